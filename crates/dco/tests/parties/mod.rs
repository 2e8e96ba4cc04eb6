//! A user, a DCC and an S1SP with their certificates, and the messages they make.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its part, and a test may panic"
)]

use std::sync::Arc;

use domain::{DeviceKind, Eui64, RequestId, SimInstant};
use duis::signature::{Certificate, CertificateBook, Certificates, SigningKey};
use duis::{Element, Request};
use proto::{Countersigned, CountersignedServiceRequest, Message, TargetFacts};

pub(crate) const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
pub(crate) const OTHER_USER: Eui64 = Eui64(0x90B3_D51F_3003_0000);
pub(crate) const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);
pub(crate) const S1SP: Eui64 = Eui64(0x90B3_D51F_3000_0003);

/// A key with its certificate as text, since signing keys cannot be cloned.
pub(crate) struct Pem {
    key: String,
    certificate: String,
}

impl Pem {
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_pem(&self.key, &self.certificate).unwrap()
    }
}

pub(crate) struct Parties {
    pub(crate) user: SigningKey,
    pub(crate) other_user: SigningKey,
    pub(crate) dcc: SigningKey,
    pub(crate) s1sp: Pem,
    pub(crate) book: Arc<dyn Certificates + Send + Sync>,
}

impl Parties {
    pub(crate) fn new() -> Self {
        let mut book = CertificateBook::new();
        let mut key = |eui: Eui64, serial: u64| {
            let pair = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, eui.to_string());
            params.serial_number = Some(serial.into());
            let pem = params.self_signed(&pair).unwrap().pem();
            book.add(Certificate::from_pem(&pem).unwrap()).unwrap();
            Pem {
                key: pair.serialize_pem(),
                certificate: pem,
            }
        };
        let (user, other_user) = (key(USER, 1001).key(), key(OTHER_USER, 1002).key());
        let (dcc, s1sp) = (key(DCC, 1003).key(), key(S1SP, 1004));
        Self {
            user,
            other_user,
            dcc,
            s1sp,
            book: Arc::new(book),
        }
    }

    /// A request of the user, signed.
    pub(crate) fn request(&self, srv: &str, target: Eui64, counter: u64, body: Element) -> Vec<u8> {
        self.request_by(&self.user, USER, srv, target, counter, body)
    }

    /// A request signed with a key that need not be its originator's.
    pub(crate) fn request_by(
        &self,
        key: &SigningKey,
        originator: Eui64,
        srv: &str,
        target: Eui64,
        counter: u64,
        body: Element,
    ) -> Vec<u8> {
        let id = RequestId {
            originator,
            target,
            counter,
        };
        let request = Request::new(id, srv.parse().unwrap()).with_body(body);
        duis::signature::sign(&duis::write::request(&request).unwrap(), key).unwrap()
    }

    /// What the DCC makes of it.
    pub(crate) fn countersign(
        &self,
        xml: Vec<u8>,
        device: Eui64,
        kind: DeviceKind,
        hub: Eui64,
        at: SimInstant,
    ) -> CountersignedServiceRequest {
        let countersigned = Countersigned {
            request_xml: xml.into(),
            supplementary_remote_party_id: USER.0,
            supplementary_remote_party_counter: 7,
            supplementary_originator_counter: 8,
            countersigned_at_ms: at.0,
            target: Some(TargetFacts {
                device: device.0,
                device_kind: kind.as_str().into(),
                hub: hub.0,
                credentials: None,
                for_network_operator: false,
            }),
        };
        seal(countersigned.encode_to_vec(), &self.dcc)
    }
}

/// Octets under a signature.
pub(crate) fn seal(octets: Vec<u8>, key: &SigningKey) -> CountersignedServiceRequest {
    let signature = duis::signature::sign_octets(&octets, key).unwrap();
    CountersignedServiceRequest {
        countersigned: octets.into(),
        signer_serial: key.certificate().serial().to_owned(),
        signature: signature.to_vec().into(),
    }
}

/// Body of a request to set the clock.
pub(crate) fn synchronise_clock(at: SimInstant, tolerance_s: u32) -> Element {
    Element::sr("SynchroniseClock")
        .with_leaf("CurrentDateTime", at.to_string())
        .with_leaf("TolerancePeriod", tolerance_s.to_string())
}
