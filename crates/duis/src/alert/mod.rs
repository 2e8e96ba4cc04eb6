//! What DCC alerts say: the payloads as values, and the elements they become. The one that carries an S1SP's signed alert is
//! written by [`crate::write::dcc_s1sp_alert`].
//!
//! Which code goes with which payload is not this crate's matter, as the schema does not tie them.

use domain::{DeviceKind, Eui64, RequestId, SimInstant, Srv};

use crate::element::Element;

mod element;
mod reading;

pub use reading::AlertError;

/// The payload of a DCC alert. Texts and numbers that the schema limits are checked when they are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AlertPayload {
    /// Switches of a meter were configured.
    AlcsConfigurationChange {
        /// The meter.
        device: Eui64,
        /// Its variant from now on.
        esme_variant: Option<String>,
        /// Its GBCS version.
        gbcs_version: Option<String>,
    },
    /// The supplier of something changed.
    ChangeOfSupplier(SupplierChange),
    /// A request, or one run of a schedule, failed.
    CommandFailure {
        /// The request.
        request: RequestId,
        /// The schedule it belongs to.
        schedule: Option<u64>,
        /// The device it was for.
        device: Eui64,
    },
    /// A hub raised an alert.
    CommsHubAlert {
        /// The hub.
        hub: Eui64,
        /// GBCS alert code.
        code: u16,
        /// When.
        at: Option<SimInstant>,
        /// The transfer it is about: the element `FirmwareTransferAlert`.
        transfer: Option<Element>,
    },
    /// A hub activated a firmware.
    CommsHubFirmwareActivation {
        /// The hub.
        hub: Eui64,
        /// 1 to 8 characters.
        firmware: String,
    },
    /// A certificate for changes of supplier.
    CosCertificate {
        /// The device.
        device: Eui64,
        /// Its serial number, decimal.
        serial: Option<String>,
    },
    /// State of a delivery by the communications provider.
    CspFirmwareDelivery {
        /// The user's 11.1.
        request: RequestId,
        /// The hub.
        hub: Eui64,
        /// The device behind it.
        device: Eui64,
        /// 1 to 8 characters.
        firmware: String,
        /// When.
        at: SimInstant,
        /// Whether the hub has it.
        delivered: bool,
    },
    /// The device log of a hub or a gas proxy was restored.
    DeviceLogRestored {
        /// The day.
        on: SimInstant,
        /// Whether it is the log of a gas proxy, not of a hub.
        of_proxy: bool,
        /// Old hub, new hub, old proxy, new proxy.
        devices: [Eui64; 4],
    },
    /// The status of a device changed.
    DeviceStatusChange {
        /// The device.
        device: Eui64,
        /// How.
        change: StatusChange,
    },
    /// An alert of a dual band hub: everything after its codes as the schema has it.
    DualBandHub {
        /// The hub.
        hub: Eui64,
        /// GBCS alert code.
        code: u16,
        /// Message code.
        message_code: Option<u16>,
        /// For example the element `SubGHzChannelChanged`.
        detail: Option<Element>,
    },
    /// A message was held back because the user's schema version does not have it.
    DuisVersionMismatch {
        /// What was held back.
        held_back: HeldBack,
        /// The user's version.
        user_version: String,
    },
    /// An alert of the enduring change of supplier service.
    Ecos {
        /// Its number.
        alert: RequestId,
        /// The request it concerns.
        request: Option<RequestId>,
        /// Its code.
        code: String,
        /// The device it concerns.
        device: Eui64,
        /// More words.
        information: Option<String>,
    },
    /// An image could not be brought to some devices.
    FirmwareDistributionFailure {
        /// The user's 11.1.
        request: RequestId,
        /// The devices; at least one.
        devices: Vec<Eui64>,
    },
    /// A firmware upgrade was asked for.
    FirmwareUpgradeRequested {
        /// The type of the devices.
        kind: DeviceKind,
        /// 1 to 8 characters.
        firmware: String,
        /// The devices; at least one.
        devices: Vec<Eui64>,
    },
    /// Firmware of inventory and device differ.
    FirmwareVersionMismatch {
        /// The device.
        device: Eui64,
        /// Its type.
        kind: DeviceKind,
        /// What the inventory had, 1 to 8 characters.
        inventory: String,
        /// What the device has, 1 to 8 characters.
        found: String,
    },
    /// The supply of a hub is out.
    PowerOutage {
        /// The hub.
        hub: Eui64,
        /// Since when.
        since: SimInstant,
        /// Metering point, 1 to 13 characters.
        mpxn: String,
    },
    /// A PPMID raised an alert.
    PpmidAlert {
        /// The PPMID.
        device: Eui64,
        /// GBCS alert code.
        code: u16,
        /// When.
        at: Option<SimInstant>,
        /// The firmware it is about, and whether its activation succeeded.
        upgrade: Option<(String, bool)>,
    },
    /// A PPMID was removed from a hub.
    PpmidRemoval {
        /// The PPMID.
        device: Eui64,
        /// The hub.
        hub: Eui64,
    },
    /// A request is in quarantine.
    QuarantinedRequest {
        /// Which limit was exceeded.
        breach: Breach,
        /// The request.
        request: RequestId,
        /// Number of the quarantine, up to 20 digits.
        reference: u64,
    },
    /// A schedule was removed.
    ScheduleRemoval {
        /// The device it read.
        device: Eui64,
        /// Its number.
        schedule: u64,
    },
    /// Credentials on a device were updated.
    SecurityCredentialsUpdated {
        /// The device.
        device: Eui64,
        /// `Supplier`, `NetworkOperator` and so on.
        role: String,
        /// Floor counter, and the one for top-ups.
        floors: Option<(u64, Option<u64>)>,
        /// Type and SHA-1 of each certificate; one to three.
        certificates: Vec<(CertificateUse, [u8; 20])>,
    },
    /// News of the firmware of a SMETS1 hub.
    Smets1HubFirmware {
        /// The hub.
        hub: Eui64,
        /// 1 to 8 characters.
        firmware: String,
        /// Whether it runs now; else its update was asked for.
        active: bool,
    },
    /// The device log of a hub was updated, or perhaps not.
    UpdateHubLogResult {
        /// The user's 8.11.
        request: RequestId,
    },
}

/// How the status of a device changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatusChange {
    /// A hub was decommissioned.
    HubDecommissioned,
    /// A meter was commissioned.
    MeterIdentity {
        /// Its metering points.
        points: MeterPoints,
        /// Variant of an electricity meter.
        esme_variant: Option<String>,
    },
    /// A meter was decommissioned or withdrawn.
    MeterLeft {
        /// Its metering points.
        points: MeterPoints,
        /// Type 1 devices joined with it; up to seven.
        associated: Vec<(Eui64, DeviceKind)>,
    },
    /// It was recovered, first stage: types of supplier and of network operator certificates.
    RecoveryCompleteAcb(Vec<CertificateUse>, Vec<CertificateUse>),
    /// It was recovered.
    RecoveryComplete,
    /// It was deleted from the inventory.
    Removed,
    /// It was restored from suspension.
    Restored,
    /// It was suspended.
    Suspended,
}

/// The metering points of a meter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MeterPoints {
    /// 1 to 13 characters.
    pub import: String,
    /// 13 characters.
    pub secondary_import: Option<String>,
    /// 13 characters.
    pub export: Option<String>,
}

/// What changed its supplier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SupplierChange {
    /// A device, by the request of somebody else.
    Device {
        /// The device.
        device: Eui64,
        /// Its type.
        kind: DeviceKind,
        /// Its metering points.
        points: MeterPoints,
    },
    /// What this request asked for, which did not work.
    Request {
        /// The user's 6.23.
        request: RequestId,
        /// Three characters, since schema 5.3.
        ecos_error: Option<String>,
    },
}

/// Which limit a request in quarantine exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breach {
    /// Limits of an attribute.
    Attribute,
    /// A threshold of the DCC.
    DccThreshold,
    /// The user's own threshold.
    UserThreshold,
}

/// What was held back from a user whose schema version is too old for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeldBack {
    /// A DCC alert.
    Alert {
        /// Its code.
        code: String,
        /// The device it is about.
        device: Option<Eui64>,
        /// The request it is about.
        request: Option<RequestId>,
    },
    /// A service response.
    Response {
        /// The request it answers.
        request: RequestId,
        /// Its service.
        srv: Srv,
        /// The version the request came in.
        request_version: String,
    },
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CertificateUse {
    /// Digital signing.
    DigitalSigning,
    /// Key agreement.
    KeyAgreement,
    /// Key agreement for top-ups.
    KeyAgreementTopUp,
}

impl CertificateUse {
    /// The schema's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DigitalSigning => "DigitalSigning",
            Self::KeyAgreement => "KeyAgreement",
            Self::KeyAgreementTopUp => "KeyAgreementTopUp",
        }
    }
}
