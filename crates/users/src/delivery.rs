//! What makes a message from the DCC believable: structure, the DCC's signature, and the S1SP's inside it.

use domain::Eui64;
use duis::alert::{AlertError, AlertPayload};
use duis::signature::{Certificates, SignatureError, Signer, verify};
use duis::{DccAlert, DccAlertCode, ReadError, Response, ResponseBody};

/// A message that cannot be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The part the S1SP signed proves nothing.
    #[error("the S1SP's part")]
    Inner(#[source] SignatureError),
    /// It is about another device or user than it is addressed for.
    #[error("the S1SP's part belongs to another message: {0}")]
    OtherMessage(String),
    /// The signature of the whole proves nothing.
    #[error("the signature")]
    Outer(#[source] SignatureError),
    /// It does not fit the schema.
    #[error("the message")]
    Read(#[source] ReadError),
    /// Not signed by the DCC.
    #[error("signed by {found}, expected the DCC {expected}")]
    Signer {
        /// Who signed.
        found: Eui64,
        /// Who should have.
        expected: Eui64,
    },
}

/// A message that is what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Read.
    pub response: Response,
    /// Who signed the S1SP's part, where there is one.
    pub s1sp: Option<Signer>,
}

impl Message {
    /// The code of a DCC alert with what it says; none for other messages and for alerts of an S1SP.
    ///
    /// # Errors
    /// [`AlertError`]: a payload that this program does not know.
    pub fn dcc_alert(&self) -> Option<Result<(DccAlertCode, AlertPayload), AlertError>> {
        let ResponseBody::DccAlert { code, alert, .. } = &self.response.body else {
            return None;
        };
        Some(alert.said()?.map(|payload| (*code, payload)))
    }
}

/// Reads a message and proves both signatures. What is read is what was signed: the S1SP's part is cut out of the octets
/// that the outer signature covers.
///
/// # Errors
/// [`DeliveryError`].
pub fn read(xml: &[u8], dcc: Eui64, certificates: &(dyn Certificates + Send + Sync)) -> Result<Message, DeliveryError> {
    let (response, proof) = duis::read_response_and_proof(xml).map_err(DeliveryError::Read)?;
    let outer = proof.verify(certificates).map_err(DeliveryError::Outer)?;
    if outer.eui != dcc {
        return Err(DeliveryError::Signer {
            found: outer.eui,
            expected: dcc,
        });
    }
    let inner = match &response.body {
        ResponseBody::Smets1 { signed, content, .. } => {
            // A response of one device must not travel as the answer of another.
            if let Some(id) = response.header.request_id {
                let header = &content.header;
                let of = (header.originator, header.target, header.originator_counter);
                if of != (id.target, id.originator, id.counter) {
                    return Err(DeliveryError::OtherMessage(format!(
                        "{} to {}, counter {}",
                        of.0, of.1, of.2
                    )));
                }
            }
            Some(signed)
        }
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp { signed, .. },
            ..
        } => Some(signed),
        _ => None,
    };
    let s1sp = inner
        .map(|signed| verify(signed, certificates))
        .transpose()
        .map_err(DeliveryError::Inner)?;
    Ok(Message { response, s1sp })
}
