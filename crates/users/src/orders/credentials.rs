//! Requests about the record of a device's certificates.

use domain::{Eui64, Srv};
use duis::Element;

use crate::Order;

/// Certificates to put into a device's record: base64 of DER, as requests carry them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewCertificates {
    /// For signatures.
    pub signing: String,
    /// For key agreement.
    pub agreement: Option<String>,
    /// Those of the authorities above, one to three.
    pub path: Vec<String>,
}

impl NewCertificates {
    fn replacement(&self, name: &'static str) -> Element {
        let agreement = self.agreement.as_ref();
        Element::sr(name)
            .with_leaf("DigitalSigningCertificate", self.signing.as_str())
            .with_optional(agreement.map(|text| Element::sr("KeyAgreementCertificate").with_text(text.as_str())))
    }

    fn path(&self) -> Element {
        let certificate = |text: &String| Element::sr("Certificate").with_text(text.as_str());
        Element::sr("CertificationPathCertificates").with_all(self.path.iter().map(certificate))
    }
}

/// 6.15.1 Update Security Credentials (KRP), of `Supplier` or `NetworkOperator`.
#[must_use]
pub fn update_credentials(device: Eui64, role: &str, certificates: &NewCertificates) -> Order {
    let inner = certificates.replacement("SupplierOrNetworkOperatorCertificates");
    let body = Element::sr("UpdateSecurityCredentialsKRP")
        .with_leaf("RemotePartyRole", role)
        .with(Element::sr("ReplacementCertificates").with(inner))
        .with(certificates.path())
        .with_leaf("ApplyTimeBasedCPVChecks", "true");
    Order::to_device(device, Srv::new(6, 15, 1), body)
}

/// 6.21 Request Handover of DCC Controlled Device, to `NetworkOperator` for example.
#[must_use]
pub fn hand_over(device: Eui64, role: &str, certificates: &NewCertificates) -> Order {
    let body = Element::sr("RequestHandoverOfDCCControlledDevice")
        .with_leaf("RemotePartyRole", role)
        .with(certificates.replacement("ReplacementCertificates"))
        .with(certificates.path())
        .with_leaf("ApplyTimeBasedCPVChecks", "true");
    Order::to_device(device, Srv::new(6, 21, 0), body)
}

/// 6.23 Update Security Credentials (CoS): the change of supplier, sent by the new one. `floor` is where its counters begin.
#[must_use]
pub fn change_of_supplier(device: Eui64, mpxn: domain::Mpxn, floor: u64, certificates: &NewCertificates) -> Order {
    let body = Element::sr("UpdateSecurityCredentialsCoS")
        .with_leaf("SupplierFloorSeqNumber", floor.to_string())
        .with(certificates.replacement("SupplierReplacementCertificates"))
        .with(certificates.path())
        .with_leaf("ApplyTimeBasedCPVChecks", "true")
        .with_leaf("ImportMPxN", mpxn.to_string());
    Order::to_device(device, Srv::new(6, 23, 0), body)
}

/// 6.24.1 Retrieve Device Security Credentials (KRP), of these remote parties.
#[must_use]
pub fn retrieve_credentials(device: Eui64, roles: &[&str]) -> Order {
    let role = |role: &&str| Element::sr("RemotePartyRole").with_text(*role);
    let body = Element::sr("RetrieveDeviceSecurityCredentialsKRP").with_all(roles.iter().map(role));
    Order::to_device(device, Srv::new(6, 24, 1), body)
}

/// 6.24.2 Retrieve Device Security Credentials (Device): the device's own certificate for signatures, or else for key
/// agreement.
#[must_use]
pub fn retrieve_device_credentials(device: Eui64, signing: bool) -> Order {
    let kind = if signing { "Digital Signature" } else { "Key Agreement" };
    let body = Element::sr("RetrieveDeviceSecurityCredentialsDevice").with_leaf("CredentialType", kind);
    Order::to_device(device, Srv::new(6, 24, 2), body)
}
