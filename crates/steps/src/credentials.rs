//! The requests about certificates: 6.15.1, 6.21 and 6.23 change a device's record, 6.24.1 reads it; 6.24.2
//! asks for the device's own, of which it has none.
//!
//! No device is asked: the record is held on the DCC side (inferred: a SMETS1 device's security credentials are the four
//! notified certificates). The S1SP answers in the same form as a device would, from the record that comes countersigned
//! with the request.

use base64::Engine;
use domain::{CertificateId, Credentials, CredentialsChange, Notified, RemoteParty, SimInstant, Srv};
use duis::signature::Certificate;
use duis::{Element, Request, ResponseCode};

use crate::errors::Failure;
use crate::plan::{Plan, Refused};
use crate::respond::Smets1Payload;
use crate::table::table;

/// 6.15.1 Update Security Credentials (KRP).
pub const UPDATE_KRP: Srv = Srv::new(6, 15, 1);
/// 6.21 Request Handover of DCC Controlled Device.
pub const HANDOVER: Srv = Srv::new(6, 21, 0);
/// 6.23 Update Security Credentials (CoS).
pub const CHANGE_OF_SUPPLIER: Srv = Srv::new(6, 23, 0);
/// 6.24.1 Retrieve Device Security Credentials (KRP).
pub const RETRIEVE_KRP: Srv = Srv::new(6, 24, 1);

/// 6.24.2 Retrieve Device Security Credentials (Device).
pub const RETRIEVE_DEVICE: Srv = Srv::new(6, 24, 2);

/// Whether a request changes the record of certificates, rather than reading it.
#[must_use]
pub fn changes(srv: Srv) -> bool {
    [UPDATE_KRP, HANDOVER, CHANGE_OF_SUPPLIER].contains(&srv)
}

/// Whether a request is about the record of certificates.
#[must_use]
pub fn concerns(srv: Srv) -> bool {
    changes(srv) || [RETRIEVE_KRP, RETRIEVE_DEVICE].contains(&srv)
}

/// Which remote party's certificates a request to change them is about.
///
/// # Errors
/// [`Failure::NotSmets1`] for a remote party that a SMETS1 device's record does not have, for example a load controller.
pub fn party(request: &Request) -> Result<Option<RemoteParty>, Refused> {
    match request.srv {
        CHANGE_OF_SUPPLIER => Ok(Some(RemoteParty::Supplier)),
        UPDATE_KRP | HANDOVER => match request.body.child_text("RemotePartyRole").map(str::trim) {
            Some("Supplier") => Ok(Some(RemoteParty::Supplier)),
            Some("NetworkOperator") => Ok(Some(RemoteParty::NetworkOperator)),
            other => Err(Refused {
                failure: Failure::NotSmets1,
                text: format!("a SMETS1 device has no certificates of {}", other.unwrap_or("nobody")),
                rule: None,
            }),
        },
        _ => Ok(None),
    }
}

/// A certificate that cannot be used, and the word for it in the answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{certificate}: {reason}")]
pub struct BadCertificate {
    /// `DigitalSigning` or `KeyAgreement`.
    pub certificate: &'static str,
    /// Why.
    pub reason: String,
}

/// What a request to change certificates changes; none for any other request.
///
/// Certificates are read, and held against the date where the request says so. Whose they are is not judged: a wrong
/// operator's certificate is taken, as it was in life.
///
/// # Errors
/// The first certificate that is none, or has ended.
pub fn change(request: &Request, now: SimInstant) -> Result<Option<CredentialsChange>, BadCertificate> {
    let Ok(Some(party)) = party(request) else {
        return Ok(None);
    };
    let body = &request.body;
    let certificates = match request.srv {
        UPDATE_KRP => body.at(&["ReplacementCertificates", "SupplierOrNetworkOperatorCertificates"]),
        HANDOVER => body.child("ReplacementCertificates"),
        _ => body.child("SupplierReplacementCertificates"),
    };
    let dated = matches!(
        body.child_text("ApplyTimeBasedCPVChecks").map(str::trim),
        Some("true" | "1")
    );
    let read = |name: &'static str, usage: &'static str| {
        let text = certificates.and_then(|certificates| certificates.child_text(name));
        text.map(|text| notified(text, usage, dated.then_some(now))).transpose()
    };
    let floor = ["RemotePartyFloorSeqNumber", "SupplierFloorSeqNumber"]
        .into_iter()
        .find_map(|name| body.child_text(name))
        .and_then(|text| text.trim().parse().ok());
    Ok(Some(CredentialsChange {
        party,
        critical: read("DigitalSigningCertificate", SIGNING)?,
        non_critical: read("KeyAgreementCertificate", AGREEMENT)?,
        floor,
    }))
}

fn notified(text: &str, certificate: &'static str, at: Option<SimInstant>) -> Result<Notified, BadCertificate> {
    let bad = |reason: String| BadCertificate { certificate, reason };
    let packed: String = text.split_ascii_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|error| bad(error.to_string()))?;
    let read = Certificate::from_der(&der).map_err(|error| bad(error.to_string()))?;
    let (_, until) = read.validity();
    if let Some(at) = at.filter(|at| *at > until) {
        return Err(bad(format!("it ended at {until}, and it is {at}")));
    }
    Ok(Notified {
        id: CertificateId {
            serial: read.serial().to_owned(),
            issuer: read.issuer_common_name().unwrap_or_default().to_owned(),
        },
        party: read.eui(),
        fingerprint: read.fingerprint(),
    })
}

/// What the S1SP answers to a request about the record, with the record as it was before the request.
#[must_use]
pub fn respond(request: &Request, plan: &Plan, record: &Credentials, now: SimInstant) -> Smets1Payload {
    let row = table().row(request.srv);
    let (name, parts, success) = match request.srv {
        RETRIEVE_KRP => (
            "RetrieveDeviceSecurityCredentialsKRPRsp",
            details(request, record),
            true,
        ),
        // A SMETS1 device has symmetric keys and no certificate of its own (inferred); the answer says that there is none.
        RETRIEVE_DEVICE => {
            let none = Element {
                name: "RetrieveDeviceSecurityCredentialsStatusCode",
                ..status("trustAnchorNotFound")
            };
            ("RetrieveDeviceSecurityCredentialsDeviceRsp", vec![none], true)
        }
        srv => {
            let name = match srv {
                UPDATE_KRP => "UpdateSecurityCredentialsKRPRsp",
                HANDOVER => "RequestHandoverOfDCCControlledDeviceRsp",
                _ => "UpdateSecurityCredentialsCoSRsp",
            };
            let (outcome, success) = outcome(request, record, now);
            (name, vec![outcome], success)
        }
    };
    let payload = Element::ra(name)
        .with_attribute("MessageSuccess", success.to_string())
        .with_all(parts);
    Smets1Payload {
        payload: Some(payload),
        debug: None,
        success,
        message_code: message_code(request).map(|code| format!("{code:04X}")),
        response_code: ResponseCode::I0,
        failure: None,
        at: now,
        confidence: row.map_or(plan.confidence, |row| row.confidence.min(plan.confidence)),
        rules: plan.rules.clone(),
    }
}

/// 6.15.1 has a use case per remote party; the others have one each.
fn message_code(request: &Request) -> Option<u16> {
    match (request.srv, party(request)) {
        (UPDATE_KRP, Ok(Some(RemoteParty::Supplier))) => Some(0x0102),
        (UPDATE_KRP, Ok(Some(RemoteParty::NetworkOperator))) => Some(0x0103),
        (CHANGE_OF_SUPPLIER, _) => Some(0x0107),
        (RETRIEVE_KRP, _) => Some(0x0008),
        _ => None,
    }
}

fn outcome(request: &Request, record: &Credentials, now: SimInstant) -> (Element, bool) {
    let mode = match (request.srv, party(request)) {
        (CHANGE_OF_SUPPLIER, _) => Some("SupplierByTransCoS"),
        (UPDATE_KRP, Ok(Some(RemoteParty::Supplier))) => Some("SupplierBySupplier"),
        (UPDATE_KRP, Ok(Some(RemoteParty::NetworkOperator))) => Some("NetworkOperatorByNetworkOperator"),
        // A handover is made by the DCC's own credentials.
        _ => None,
    };
    let mut element = Element::ra("ExecutionOutcome")
        .with_leaf(
            "AuthorisingRemotePartyOriginatorCounter",
            request.id.counter.to_string(),
        )
        .with_optional(mode.map(|mode| Element::ra("CredentialsReplacementMode").with_text(mode)));
    match change(request, now) {
        Ok(Some(change)) => {
            let role = change.party.as_str();
            if let Some(floor) = change.floor {
                let change = Element::ra("RemotePartySeqNumberChange")
                    .with_leaf("RemotePartyRole", role)
                    .with_leaf("RemotePartyFloorSeqNumber", floor.to_string());
                element = element.with(change);
            }
            let before = record.of(change.party);
            for (usage, old, new) in [
                (SIGNING, &before.critical, &change.critical),
                (AGREEMENT, &before.non_critical, &change.non_critical),
            ] {
                if let Some(new) = new {
                    element = element.with(replaced(role, usage, old.as_deref(), new));
                }
            }
            (element, true)
        }
        Ok(None) => (element, false),
        Err(bad) => {
            let failed = Element::ra("ReplacementOutcome")
                .with(status("badCertificate"))
                .with_leaf("CertificateType", bad.certificate);
            (element.with(failed), false)
        }
    }
}

fn replaced(role: &str, usage: &str, old: Option<&Notified>, new: &Notified) -> Element {
    let text = |name, text: String| Element::ra(name).with_text(text);
    Element::ra("ReplacementOutcome")
        .with(status("success"))
        .with_leaf("CertificateType", usage)
        .with_leaf("RemotePartyRole", role)
        .with_optional(old.map(|old| text("ExistingRemotePartyID", old.party.to_string())))
        .with_leaf("NewRemotePartyID", new.party.to_string())
        .with_optional(old.map(|old| text("ExistingCertificateHash", hash(old))))
        .with_leaf("NewCertificateHash", hash(new))
}

/// One entry per certificate of each role asked for, or one that says that there is none.
fn details(request: &Request, record: &Credentials) -> Vec<Element> {
    let mut entries = Vec::new();
    for role in request
        .body
        .children_named("RemotePartyRole")
        .map(|role| role.text.trim())
    {
        let of = match role {
            "Supplier" => Some(record.of(RemoteParty::Supplier)),
            "NetworkOperator" => Some(record.of(RemoteParty::NetworkOperator)),
            _ => None,
        };
        let held = of.into_iter().flat_map(|of| {
            [(SIGNING, &of.critical), (AGREEMENT, &of.non_critical)]
                .into_iter()
                .filter_map(move |(usage, held)| Some((of.execution_counter, usage, held.as_ref()?)))
        });
        let before = entries.len();
        entries.extend(held.map(|(floor, usage, held)| {
            Element::ra("RemotePartyDetails")
                .with_leaf("RemotePartyRole", role)
                .with(status("success"))
                .with_leaf("RemotePartyFloorSeqNumber", floor.to_string())
                .with_leaf("CertificateUsage", usage)
                .with_leaf("ExistingRemotePartyID", held.party.to_string())
                .with_leaf("ExistingCertificateHash", hash(held))
        }));
        if entries.len() == before {
            let none = Element::ra("RemotePartyDetails")
                .with_leaf("RemotePartyRole", role)
                .with(status("trustAnchorNotFound"));
            entries.push(none);
        }
    }
    entries
}

/// Numbers: those of RFC 5934, from which the words come (recalled).
fn status(word: &'static str) -> Element {
    let number = match word {
        "success" => "0",
        "badCertificate" => "5",
        _ => "25",
    };
    Element::ra("StatusCode")
        .with_attribute("ResponseCode", number)
        .with_leaf("ASN1Status", word)
}

fn hash(notified: &Notified) -> String {
    base64::engine::general_purpose::STANDARD.encode(notified.fingerprint)
}

const SIGNING: &str = "DigitalSigning";
const AGREEMENT: &str = "KeyAgreement";
