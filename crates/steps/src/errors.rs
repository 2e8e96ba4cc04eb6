//! The one error table: failure class to blame, hop, HTTP status, response code, alerts, debug entry and text.
//!
//! The rows live in `data/errors.tsv`. Nobody else decides which code a failure gets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use domain::{Confidence, Refusal};
use duis::ResponseCode;

use crate::data::{Cells, TableError};

/// A class of failure: from a malformed message to a refusal by the device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The device refused the approval.
    ApprovalRefused,
    /// The device answered with something that cannot be understood.
    BadAnswer,
    /// The DCC cannot take more requests now.
    Busy,
    /// No certificate with this serial number.
    CertificateUnknown,
    /// The DCO refused to approve the critical step.
    DcoRefused,
    /// The DCO did not answer in time, so the critical step was not sent.
    DcoTimeout,
    /// The DCO was not reached, so the critical step was not sent.
    DcoUnreachable,
    /// The request ran out of time before it was finished.
    Deadline,
    /// The device is busy.
    DeviceBusy,
    /// The device's inventory status does not fit the service reference.
    DeviceStatus,
    /// A future-dated request timed out.
    FutureDatedTimeout,
    /// The device was not reached over the HAN.
    HanUnreachable,
    /// The device reports a hardware fault.
    HardwareFault,
    /// The hub did not connect.
    HubUnreachable,
    /// A fault inside the DCC.
    Internal,
    /// The link was lost before the answer came.
    LinkLost,
    /// Local command service is not allowed.
    LocalNotAllowed,
    /// The message is not well-formed XML, or uses what is refused (DOCTYPE, entities).
    Malformed,
    /// The user's role has no authority over the device at the date needed.
    NoAuthority,
    /// The device was reached but did not answer in time.
    NoResponse,
    /// The service reference does not fit the type of the device.
    NotApplicable,
    /// This lab knows the request but does not emulate it yet.
    NotEmulated,
    /// The device does not permit this with these keys.
    NotPermitted,
    /// The service reference does not apply to SMETS1 devices.
    NotSmets1,
    /// The device does not support this.
    NotSupported,
    /// Not tried, because an earlier step failed.
    NotTried,
    /// The signer is not the originator named in the RequestID.
    OriginatorMismatch,
    /// An argument is outside what the device takes.
    OutOfRange,
    /// The message is larger than the limit.
    Oversized,
    /// A request with this RequestID was seen before.
    RequestRepeated,
    /// The counter of the RequestID is not above the last one of this originator and target.
    RequestStale,
    /// More rows than the response may carry; the newest are given.
    RowsCut,
    /// A rule of the device's profile refuses this request.
    RuleRefused,
    /// The S1SP refused the countersigned request.
    S1spRejected,
    /// The S1SP took the request and gave no outcome in time.
    S1spTimeout,
    /// The S1SP was not reached.
    S1spUnreachable,
    /// The message does not fit the schema.
    Schema,
    /// The preceding request of the sequence did not complete.
    Sequence,
    /// The hub connected but no session was opened with the device.
    SessionFailed,
    /// The signature does not verify, or does not cover what is used.
    SignatureBad,
    /// The message is not signed.
    SignatureMissing,
    /// The device took the command but its state is not the one asked for.
    StateDiffers,
    /// An anomaly detection threshold was exceeded.
    Threshold,
    /// The device's answer does not fit what was asked.
    UnexpectedValue,
    /// The device does not exist.
    UnknownDevice,
    /// The originator is not a party in this role.
    UnknownUser,
    /// The user's status forbids it.
    UserStatus,
    /// The command variant is not allowed for the request.
    VariantNotAllowed,
    /// The WAN could not be used.
    WanUnreachable,
    /// The request was sent to the wrong service.
    WrongPath,
    /// The user's role may not send this service reference.
    WrongRole,
    /// Not possible in the present state of the device.
    WrongState,
}

impl Failure {
    /// All classes.
    pub const ALL: [Self; 52] = [
        Self::ApprovalRefused,
        Self::BadAnswer,
        Self::Busy,
        Self::CertificateUnknown,
        Self::DcoRefused,
        Self::DcoTimeout,
        Self::DcoUnreachable,
        Self::Deadline,
        Self::DeviceBusy,
        Self::DeviceStatus,
        Self::FutureDatedTimeout,
        Self::HanUnreachable,
        Self::HardwareFault,
        Self::HubUnreachable,
        Self::Internal,
        Self::LinkLost,
        Self::LocalNotAllowed,
        Self::Malformed,
        Self::NoAuthority,
        Self::NoResponse,
        Self::NotApplicable,
        Self::NotEmulated,
        Self::NotPermitted,
        Self::NotSmets1,
        Self::NotSupported,
        Self::NotTried,
        Self::OriginatorMismatch,
        Self::OutOfRange,
        Self::Oversized,
        Self::RequestRepeated,
        Self::RequestStale,
        Self::RowsCut,
        Self::RuleRefused,
        Self::S1spRejected,
        Self::S1spTimeout,
        Self::S1spUnreachable,
        Self::Schema,
        Self::Sequence,
        Self::SessionFailed,
        Self::SignatureBad,
        Self::SignatureMissing,
        Self::StateDiffers,
        Self::Threshold,
        Self::UnexpectedValue,
        Self::UnknownDevice,
        Self::UnknownUser,
        Self::UserStatus,
        Self::VariantNotAllowed,
        Self::WanUnreachable,
        Self::WrongPath,
        Self::WrongRole,
        Self::WrongState,
    ];

    /// The word tables, audit records and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApprovalRefused => "approval-refused",
            Self::BadAnswer => "bad-answer",
            Self::Busy => "busy",
            Self::CertificateUnknown => "certificate-unknown",
            Self::DcoRefused => "dco-refused",
            Self::DcoTimeout => "dco-timeout",
            Self::DcoUnreachable => "dco-unreachable",
            Self::Deadline => "deadline",
            Self::DeviceBusy => "device-busy",
            Self::DeviceStatus => "device-status",
            Self::FutureDatedTimeout => "future-dated-timeout",
            Self::HanUnreachable => "han-unreachable",
            Self::HardwareFault => "hardware-fault",
            Self::HubUnreachable => "hub-unreachable",
            Self::Internal => "internal",
            Self::LinkLost => "link-lost",
            Self::LocalNotAllowed => "local-not-allowed",
            Self::Malformed => "malformed",
            Self::NoAuthority => "no-authority",
            Self::NoResponse => "no-response",
            Self::NotApplicable => "not-applicable",
            Self::NotEmulated => "not-emulated",
            Self::NotPermitted => "not-permitted",
            Self::NotSmets1 => "not-smets1",
            Self::NotSupported => "not-supported",
            Self::NotTried => "not-tried",
            Self::OriginatorMismatch => "originator-mismatch",
            Self::OutOfRange => "out-of-range",
            Self::Oversized => "oversized",
            Self::RequestRepeated => "request-repeated",
            Self::RequestStale => "request-stale",
            Self::RowsCut => "rows-cut",
            Self::RuleRefused => "rule-refused",
            Self::S1spRejected => "s1sp-rejected",
            Self::S1spTimeout => "s1sp-timeout",
            Self::S1spUnreachable => "s1sp-unreachable",
            Self::Schema => "schema",
            Self::Sequence => "sequence",
            Self::SessionFailed => "session-failed",
            Self::SignatureBad => "signature-bad",
            Self::SignatureMissing => "signature-missing",
            Self::StateDiffers => "state-differs",
            Self::Threshold => "threshold",
            Self::UnexpectedValue => "unexpected-value",
            Self::UnknownDevice => "unknown-device",
            Self::UnknownUser => "unknown-user",
            Self::UserStatus => "user-status",
            Self::VariantNotAllowed => "variant-not-allowed",
            Self::WanUnreachable => "wan-unreachable",
            Self::WrongPath => "wrong-path",
            Self::WrongRole => "wrong-role",
            Self::WrongState => "wrong-state",
        }
    }

    /// What follows from it.
    ///
    /// # Panics
    /// Never: that every class has its row is proved by the tests.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        static TABLE: LazyLock<BTreeMap<Failure, Entry>> = LazyLock::new(|| {
            read(include_str!("../data/errors.tsv")).expect("the compiled-in table reads, which the tests prove")
        });
        TABLE
            .get(&self)
            .expect("every class has its row, which the tests prove")
    }

    /// The response code of its row.
    ///
    /// # Panics
    /// Never: that every row has a code of the schema's list is proved by the tests.
    #[must_use]
    pub fn response_code(self) -> ResponseCode {
        ResponseCode::new(self.entry().code).expect("every row has a code of the list, which the tests prove")
    }

    /// The class of a device's refusal.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Approval(_) => Self::ApprovalRefused,
            Refusal::Busy => Self::DeviceBusy,
            Refusal::HardwareFault => Self::HardwareFault,
            Refusal::NotPermitted => Self::NotPermitted,
            Refusal::NotSupported => Self::NotSupported,
            Refusal::OutOfRange => Self::OutOfRange,
            Refusal::Unreachable => Self::HanUnreachable,
            Refusal::WrongState => Self::WrongState,
            // A refusal this table does not know yet: said as the least specific one a device can give.
            _ => Self::UnexpectedValue,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Failure {
    type Err = UnknownFailure;

    fn from_str(text: &str) -> Result<Self, UnknownFailure> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| UnknownFailure(text.into()))
    }
}

/// No class of failure has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no class of failure")]
pub struct UnknownFailure(String);

/// Who has to act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Blame {
    /// The mock DCC.
    Dcc,
    /// The DCO.
    Dco,
    /// The device: a normal outcome.
    Device,
    /// This lab: not emulated.
    Lab,
    /// What lies between head end and device.
    Network,
    /// The S1SP.
    S1sp,
    /// The user: the request is at fault.
    User,
}

/// The hop at which a failure shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hop {
    /// The mock DCC.
    Dcc,
    /// The DCO.
    Dco,
    /// A meter or gas proxy.
    Device,
    /// The home area network.
    Han,
    /// The head-end engine of the S1SP.
    HeadEnd,
    /// The communications hub.
    Hub,
    /// The S1SP.
    S1sp,
    /// The WAN.
    Wan,
}

const BLAMES: [(&str, Blame); 7] = [
    ("dcc", Blame::Dcc),
    ("dco", Blame::Dco),
    ("device", Blame::Device),
    ("lab", Blame::Lab),
    ("network", Blame::Network),
    ("s1sp", Blame::S1sp),
    ("user", Blame::User),
];

const HOPS: [(&str, Hop); 8] = [
    ("dcc", Hop::Dcc),
    ("dco", Hop::Dco),
    ("device", Hop::Device),
    ("han", Hop::Han),
    ("head-end", Hop::HeadEnd),
    ("hub", Hop::Hub),
    ("s1sp", Hop::S1sp),
    ("wan", Hop::Wan),
];

impl Blame {
    /// The word reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        BLAMES
            .iter()
            .find(|(_, blame)| *blame == self)
            .map_or("", |(word, _)| word)
    }
}

impl Hop {
    /// The word reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        HOPS.iter().find(|(_, hop)| *hop == self).map_or("", |(word, _)| word)
    }
}

/// What follows from a class of failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The class.
    pub class: Failure,
    /// Who has to act.
    pub blame: Blame,
    /// Where it shows.
    pub hop: Hop,
    /// Status of the reply to the user's POST, when it shows there.
    pub http: u16,
    /// `ResponseCode` of the DUIS response: always one of the published list.
    pub code: &'static str,
    /// `DCCAlertCode`, where an alert goes with it.
    pub alert: Option<&'static str>,
    /// Our code for an `S1SPAlert`.
    pub lab_alert: Option<&'static str>,
    /// Our `ResponseCode` of a `SMETS1Debug` entry.
    pub debug: Option<u16>,
    /// How sure the codes are for this class.
    pub confidence: Confidence,
    /// What it means, one sentence without full stop.
    pub text: &'static str,
}

fn read(text: &'static str) -> Result<BTreeMap<Failure, Entry>, TableError> {
    let mut entries = BTreeMap::new();
    for cells in Cells::rows("errors.tsv", text)? {
        let entry = Entry {
            class: cells.parse("class")?,
            blame: cells.choice("blame", &BLAMES)?,
            hop: cells.choice("hop", &HOPS)?,
            http: cells.parse("http")?,
            code: cells.text("code")?,
            alert: cells.optional("alert")?,
            lab_alert: cells.optional("lab_alert")?,
            debug: cells.optional("debug")?.map(|_| cells.parse("debug")).transpose()?,
            confidence: cells.parse("confidence")?,
            text: cells.text("text")?,
        };
        if entries.insert(entry.class, entry).is_some() {
            return Err(cells.error("class", "stands here twice"));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_row_and_reads_as_it_writes() {
        for class in Failure::ALL {
            let entry = class.entry();
            assert_eq!((entry.class, class.as_str().parse()), (class, Ok(class)));
            assert_eq!(class.response_code().as_str(), entry.code);
            assert!(
                entry.alert.is_none_or(|code| duis::DccAlertCode::new(code).is_some()),
                "{class}"
            );
            assert!(entry.lab_alert.is_none_or(|code| code.starts_with("LAB-")), "{class}");
            assert!(entry.text.len() <= 250 && !entry.text.ends_with('.'), "{class}");
        }
        assert!("no-such".parse::<Failure>().is_err());
    }

    #[test]
    fn a_device_refusal_is_a_good_response_with_a_debug_entry() {
        for class in Failure::ALL
            .into_iter()
            .filter(|class| class.entry().blame == Blame::Device)
        {
            let entry = class.entry();
            assert!(entry.debug.is_some(), "{class}");
            assert_eq!(entry.code == "I0", entry.alert.is_none(), "{class}");
        }
        assert_eq!(Failure::of_refusal(&Refusal::NotSupported).entry().code, "I0");
        assert_eq!(Failure::HubUnreachable.entry().code, "E20");
        assert_eq!(Failure::NoResponse.entry().code, "E21");
        assert_eq!(Failure::NotApplicable.entry().code, "E11");
    }
}
