//! What the S1SP believes: the DCC's countersignature and, below it, the user's signature, each verified for itself.

use domain::{Credentials, DeviceKind, Eui64};
use duis::Request;
use duis::signature::{self, Certificates};
use proto::{Countersigned, CountersignedServiceRequest, Message};
use steps::AskedBy;

/// A request that both signatures carry.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) request: Request,
    pub(crate) kind: DeviceKind,
    pub(crate) hub: Eui64,
    pub(crate) remote_party: Eui64,
    pub(crate) remote_party_counter: u64,
    pub(crate) originator_counter: u64,
    /// The record of the device's certificates before this request, where the DCC has one.
    pub(crate) credentials: Option<Credentials>,
    /// In which part its user asks, by the DCC's word.
    pub(crate) asked_by: AskedBy,
}

/// Why a request is not taken. The blame is the sender's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("countersignature: {0}")]
    Countersignature(String),
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("the user's request: {0}")]
    Request(String),
    #[error("the user's signature: {0}")]
    UserSignature(String),
    #[error("countersigned for device {facts}, but the request is for {target}")]
    Target { facts: Eui64, target: Eui64 },
}

/// Verifies both signatures and reads what they cover, once.
pub(crate) fn verify(
    message: &CountersignedServiceRequest,
    certificates: &dyn Certificates,
    dcc: Eui64,
) -> Result<Verified, Rejected> {
    let certificate = certificates.by_serial(&message.signer_serial).ok_or_else(|| {
        Rejected::Countersignature(format!(
            "no certificate with serial number {} is known",
            message.signer_serial
        ))
    })?;
    if certificate.eui() != dcc {
        return Err(Rejected::Countersignature(format!(
            "made by {}, not by the DCC",
            certificate.eui()
        )));
    }
    if !signature::verify_octets(&message.countersigned, &message.signature, certificate) {
        return Err(Rejected::Countersignature(
            "it does not fit the octets it came with".into(),
        ));
    }
    let malformed = |what: String| Rejected::Malformed(what);
    let countersigned = Countersigned::decode(message.countersigned.clone())
        .map_err(|error| malformed(format!("countersigned request: {error}")))?;
    let (request, proof) = duis::read_request_and_proof(&countersigned.request_xml)
        .map_err(|error| Rejected::Request(error.to_string()))?;
    let signer = proof
        .verify(certificates)
        .map_err(|error| Rejected::UserSignature(error.to_string()))?;
    if signer.eui != request.id.originator {
        let (signer, originator) = (signer.eui, request.id.originator);
        return Err(Rejected::UserSignature(format!("{signer} signed for {originator}")));
    }
    let facts = countersigned
        .target
        .ok_or_else(|| malformed("target is missing".into()))?;
    if Eui64(facts.device) != request.id.target {
        return Err(Rejected::Target {
            facts: Eui64(facts.device),
            target: request.id.target,
        });
    }
    let kind = facts
        .device_kind
        .parse()
        .map_err(|error| malformed(format!("device kind: {error}")))?;
    Ok(Verified {
        request,
        kind,
        hub: Eui64(facts.hub),
        remote_party: Eui64(countersigned.supplementary_remote_party_id),
        remote_party_counter: countersigned.supplementary_remote_party_counter,
        originator_counter: countersigned.supplementary_originator_counter,
        credentials: facts.credentials.map(world::credentials::from_proto),
        asked_by: if facts.for_network_operator {
            AskedBy::NetworkOperator
        } else {
            AskedBy::Supplier
        },
    })
}
