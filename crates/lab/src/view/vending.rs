//! Codes of top-ups: made for a supplier, entered by a customer.

use domain::operation::Token;
use domain::{DeviceKind, Eui64, RequestId, SimDuration};
use duis::{DccAlert, ResponseBody};
use fleet::{AskError, ConsumerAct};
use meter::{Acted, DisplayAct};
use proto::v1::{KeyInReply, VendReply, VendRequest};

use super::{LabHandle, ViewError, parse};
use crate::user_port::Delivery;

impl LabHandle {
    /// Has a code made for a meter, in a supplier's place, and waits so long as it is asked to for the alert that tells the
    /// code. Safe to cancel; the vend then goes on.
    ///
    /// # Errors
    /// When the supplier or the meter is none of this lab, or a top-up by that supplier would be refused.
    pub async fn vend(&self, request: VendRequest, wait_ms: u64) -> Result<VendReply, ViewError> {
        let VendRequest {
            user,
            device,
            pence,
            for_the_keys,
            ..
        } = request;
        let user = self.user(&user)?;
        let vend = dcc::Vend {
            user,
            device: parse(&device)?,
            pence,
            for_the_keys,
        };
        let id = self.dcc()?.vend(vend).await?;
        let mut utrn = String::new();
        if let Some(port) = self.0.ports.of(user).filter(|_| wait_ms > 0) {
            let told = port.mailbox().first(|delivery| code_of(delivery, id));
            let within = SimDuration::from_millis(wait_ms);
            // What the policy does not tell, or nobody takes for the supplier, does not come.
            utrn = self.0.wall.timeout(within, told).await.unwrap_or_default();
        }
        Ok(VendReply {
            request_id: id.to_string(),
            utrn,
        })
    }

    /// A customer enters a code at a meter, or at a prepayment interface for the meter of a kind (`ESME` where none is named).
    /// Gives why it is not taken, empty when it is, and whether it waits for a gas meter to wake.
    ///
    /// # Errors
    /// When there is no such device here, or no such kind of meter.
    pub async fn key_in(&self, device: &str, code: &str, meter: &str) -> Result<KeyInReply, ViewError> {
        let id: Eui64 = parse(device)?;
        let fleet = self.fleet()?;
        let digits = code.trim();
        let entered = if fleet.screen(id).await?.is_some() {
            let meter = match meter.trim() {
                "" => DeviceKind::Esme,
                kind => parse(kind)?,
            };
            let act = DisplayAct::EnterToken(Token(digits.to_owned()));
            fleet.act(id, ConsumerAct::AtDisplay(meter, act)).await
        } else if meter.trim().is_empty() {
            fleet.enter_code(id, digits).await.map(|()| Acted::Done)
        } else {
            return Err(ViewError::BadQuestion(format!(
                "{id} is no prepayment interface: what is entered there is for itself, and no meter is named"
            )));
        };
        match entered {
            Ok(acted) => Ok(KeyInReply {
                refusal: String::new(),
                waits: acted == Acted::Waits,
            }),
            Err(AskError::Refused(refusal)) => Ok(KeyInReply {
                refusal: refusal.to_string(),
                waits: false,
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// The code in an S1SP alert about a request.
fn code_of(delivery: &Delivery, request: RequestId) -> Option<String> {
    let ResponseBody::DccAlert {
        alert: DccAlert::S1sp { content, .. },
        ..
    } = duis::read_response(&delivery.xml).ok()?.body
    else {
        return None;
    };
    content.utrn.filter(|_| content.request_id == Some(request))
}
