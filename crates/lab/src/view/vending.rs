//! Codes of top-ups: made for a supplier, entered by a customer.

use domain::{Eui64, RequestId, SimDuration};
use duis::{DccAlert, ResponseBody};
use proto::v1::{VendReply, VendRequest};

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

    /// A customer enters a code at a meter. Gives why the meter does not take it; empty when it does.
    ///
    /// # Errors
    /// When there is no such device here.
    pub async fn key_in(&self, device: &str, code: &str) -> Result<String, ViewError> {
        let device: Eui64 = parse(device)?;
        match self.fleet()?.enter_code(device, code.trim()).await {
            Ok(()) => Ok(String::new()),
            Err(fleet::AskError::Refused(refusal)) => Ok(refusal.to_string()),
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
