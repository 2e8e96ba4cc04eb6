//! The one error table: failure class to blame, hop, HTTP status, response code, alerts, debug entry and text.
//!
//! The rows live in `data/errors.tsv`. Nobody else decides which code a failure gets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use domain::{Confidence, Refusal};
use duis::ResponseCode;

use crate::data::{Cells, TableError};

static TABLE: OnceLock<BTreeMap<Failure, Entry>> = OnceLock::new();

/// The classes, each once: its name in code, the word that tables, audit records and reports use, and what it is.
macro_rules! classes {
    ($($(#[doc = $text:literal])+ $class:ident = $word:literal,)+) => {
        /// A class of failure: from a malformed message to a refusal by the device.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Failure {
            $($(#[doc = $text])+ $class,)+
        }

        impl Failure {
            /// All classes.
            pub const ALL: &[Self] = &[$(Self::$class,)+];

            /// The word tables, audit records and reports use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$class => $word,)+
                }
            }
        }
    };
}

classes! {
    /// The device refused the approval.
    ApprovalRefused = "approval-refused",
    /// The device answered with something that cannot be understood.
    BadAnswer = "bad-answer",
    /// The DCC cannot take more requests now.
    Busy = "busy",
    /// A held request was cancelled before its time.
    Cancelled = "cancelled",
    /// The certificate was not valid at the time of the check.
    CertificateExpired = "certificate-expired",
    /// The certificate was revoked.
    CertificateRevoked = "certificate-revoked",
    /// The certificate is not one for signing requests.
    CertificateRole = "certificate-role",
    /// No certificate with this serial number.
    CertificateUnknown = "certificate-unknown",
    /// The execution date is further ahead than requests are held.
    DateFar = "date-far",
    /// The execution date has passed.
    DatePassed = "date-passed",
    /// The combination of models is refused, or not listed where it must be.
    CombinationRefused = "combination-refused",
    /// The DCO refused to approve the critical step.
    DcoRefused = "dco-refused",
    /// The DCO did not answer in time, so the critical step was not sent.
    DcoTimeout = "dco-timeout",
    /// The DCO was not reached, so the critical step was not sent.
    DcoUnreachable = "dco-unreachable",
    /// The request ran out of time before it was finished.
    Deadline = "deadline",
    /// The status of the device does not permit its decommissioning.
    DecommissionStatus = "decommission-status",
    /// A device without status cannot be decommissioned.
    DecommissionType = "decommission-type",
    /// Only a device that is not in service can be deleted.
    DeleteInService = "delete-in-service",
    /// A detail does not fit the type of the device.
    DetailNotForType = "detail-not-for-type",
    /// Details of a device can change only before it is commissioned.
    DetailsInService = "details-in-service",
    /// The product list does not have the new model as active.
    DetailsNotListed = "details-not-listed",
    /// The device is busy.
    DeviceBusy = "device-busy",
    /// The device's inventory status does not fit the service reference.
    DeviceStatus = "device-status",
    /// The message has a document type or entities, which are refused.
    Entity = "entity",
    /// The system that other devices are forwarded to did not answer.
    ForwardFailed = "forward-failed",
    /// A future-dated request timed out.
    FutureDatedTimeout = "future-dated-timeout",
    /// The device was not reached over the HAN.
    HanUnreachable = "han-unreachable",
    /// The device reports a hardware fault.
    HardwareFault = "hardware-fault",
    /// The device is not in the device log of this hub.
    HubLogAbsent = "hub-log-absent",
    /// The device is in the device log of another hub.
    HubLogElsewhere = "hub-log-elsewhere",
    /// A request to add lacks what is needed to add, or one to remove has it.
    HubLogForm = "hub-log-form",
    /// The status of the device does not permit it.
    HubLogStatus = "hub-log-status",
    /// A device of this type has no place in a device log.
    HubLogType = "hub-log-type",
    /// The device to add or remove does not exist.
    HubLogUnknown = "hub-log-unknown",
    /// The hub did not connect.
    HubUnreachable = "hub-unreachable",
    /// The list names a device twice.
    ImageList = "image-list",
    /// No device of the list can take the image.
    ImageNoDevice = "image-no-device",
    /// The image is not the one the product list names.
    ImageNotListed = "image-not-listed",
    /// The image cannot be read.
    ImageUnreadable = "image-unreadable",
    /// A fault inside the DCC.
    Internal = "internal",
    /// The devices to join are not behind the same hub.
    JoinApart = "join-apart",
    /// Devices of these types do not join.
    JoinTypes = "join-types",
    /// The other device does not exist.
    JoinUnknown = "join-unknown",
    /// The link was lost before the answer came.
    LinkLost = "link-lost",
    /// The log asked for is not one of this type of device.
    LogNotForType = "log-not-for-type",
    /// The message is not well-formed XML, or uses what is refused (DOCTYPE, entities).
    Malformed = "malformed",
    /// Another user is registered for the metering point.
    MpxnForeign = "mpxn-foreign",
    /// The metering point does not fit the type of the device.
    MpxnNotForType = "mpxn-not-for-type",
    /// Another device in service has the metering point.
    MpxnTaken = "mpxn-taken",
    /// The user's role has no authority over the device at the date needed.
    NoAuthority = "no-authority",
    /// The device was reached but did not answer in time.
    NoResponse = "no-response",
    /// The service reference does not fit the type of the device.
    NotApplicable = "not-applicable",
    /// This lab knows the request but does not emulate it yet.
    NotEmulated = "not-emulated",
    /// The device's record names another party for critical requests.
    NotNotified = "not-notified",
    /// The device does not permit this with these keys.
    NotPermitted = "not-permitted",
    /// The service reference does not apply to SMETS1 devices.
    NotSmets1 = "not-smets1",
    /// The device does not support this.
    NotSupported = "not-supported",
    /// Not tried, because an earlier step failed.
    NotTried = "not-tried",
    /// The inventory has nothing that fits.
    NothingFound = "nothing-found",
    /// A detail does not fit the type of the device announced.
    NotifyDetail = "notify-detail",
    /// The device identity cannot be used.
    NotifyIdentity = "notify-identity",
    /// The product list does not have the model as active.
    NotifyNotListed = "notify-not-listed",
    /// The gas proxy named is none, or belongs to another hub.
    NotifyProxy = "notify-proxy",
    /// The signer is not the originator named in the RequestID.
    OriginatorMismatch = "originator-mismatch",
    /// An argument is outside what the device takes.
    OutOfRange = "out-of-range",
    /// The message is larger than the limit.
    Oversized = "oversized",
    /// The request was quarantined, and deleted there.
    Quarantined = "quarantined",
    /// The counter is not above what the device's record has for requests of this kind.
    ReplayCounter = "replay-counter",
    /// A request with this RequestID was seen before.
    RequestRepeated = "request-repeated",
    /// The counter of the RequestID is not above the last one of this originator and target.
    RequestStale = "request-stale",
    /// The old hub is still in service.
    RestoreHubInService = "restore-hub-in-service",
    /// The old hub does not exist, or is the new one.
    RestoreHubUnknown = "restore-hub-unknown",
    /// The old gas proxy is still in service.
    RestoreProxyInService = "restore-proxy-in-service",
    /// The old gas proxy does not exist, or is the new one.
    RestoreProxyUnknown = "restore-proxy-unknown",
    /// More rows than the response may carry; the newest are given.
    RowsCut = "rows-cut",
    /// A rule of the device's profile refuses this request.
    RuleRefused = "rule-refused",
    /// The S1SP refused the countersigned request.
    S1spRejected = "s1sp-rejected",
    /// The S1SP took the request and gave no outcome in time.
    S1spTimeout = "s1sp-timeout",
    /// The S1SP was not reached.
    S1spUnreachable = "s1sp-unreachable",
    /// The user may not send the scheduled request to this device.
    ScheduleAuthority = "schedule-authority",
    /// The device of the schedule does not exist.
    ScheduleDevice = "schedule-device",
    /// The end date of the schedule is before its start date.
    ScheduleEndFirst = "schedule-end-first",
    /// The schedule belongs to another user.
    ScheduleForeign = "schedule-foreign",
    /// No schedule to delete has this number.
    ScheduleGone = "schedule-gone",
    /// The device has as many schedules as it may have.
    ScheduleLimit = "schedule-limit",
    /// The scheduled read is not the one its references name.
    ScheduleMismatch = "schedule-mismatch",
    /// The scheduled request does not apply to this device.
    ScheduleNotApplicable = "schedule-not-applicable",
    /// The schedule to delete belongs to another user.
    ScheduleNotOwn = "schedule-not-own",
    /// The start date of the schedule has passed.
    ScheduleStartPassed = "schedule-start-passed",
    /// The status of the device does not permit a schedule.
    ScheduleStatus = "schedule-status",
    /// No schedule has this number.
    ScheduleUnknown = "schedule-unknown",
    /// The message does not fit the schema.
    Schema = "schema",
    /// The user's policy refuses this version of the schema.
    SchemaVersion = "schema-version",
    /// The preceding request of the sequence did not complete.
    Sequence = "sequence",
    /// The preceding request belongs to another user or another device.
    SequenceForeign = "sequence-foreign",
    /// A request that starts a sequence names a preceding one.
    SequenceForm = "sequence-form",
    /// The preceding request of the sequence did not come in time.
    SequenceTimeout = "sequence-timeout",
    /// The hub connected but no session was opened with the device.
    SessionFailed = "session-failed",
    /// The signature does not verify, or does not cover what is used.
    SignatureBad = "signature-bad",
    /// The signature is not of the form that is permitted.
    SignatureForm = "signature-form",
    /// The message is not signed.
    SignatureMissing = "signature-missing",
    /// The device took the command but its state is not the one asked for.
    StateDiffers = "state-differs",
    /// The device cannot go from its status to the one asked for.
    StatusNoArrow = "status-no-arrow",
    /// The device has no status.
    StatusNone = "status-none",
    /// The status asked for is not one for this type of device.
    StatusNotForType = "status-not-for-type",
    /// The meter did not take the payment token.
    TokenRefused = "token-refused",
    /// The message is nested more deeply than the limit.
    TooDeep = "too-deep",
    /// The device's answer does not fit what was asked.
    UnexpectedValue = "unexpected-value",
    /// The devices to unjoin are not behind the same hub.
    UnjoinApart = "unjoin-apart",
    /// The other device to unjoin does not exist.
    UnjoinUnknown = "unjoin-unknown",
    /// The device does not exist.
    UnknownDevice = "unknown-device",
    /// The originator is not a party in this role.
    UnknownUser = "unknown-user",
    /// The user's status forbids it.
    UserStatus = "user-status",
    /// The command variant is not allowed for the request.
    VariantNotAllowed = "variant-not-allowed",
    /// Nothing is known of coverage at this address.
    WanUnknown = "wan-unknown",
    /// The WAN could not be used.
    WanUnreachable = "wan-unreachable",
    /// The request was sent to the wrong service.
    WrongPath = "wrong-path",
    /// The user's role may not send this service reference.
    WrongRole = "wrong-role",
    /// Not possible in the present state of the device.
    WrongState = "wrong-state",
}

impl Failure {
    /// What follows from it.
    ///
    /// # Panics
    /// Never: that every class has its row is proved by the tests.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        TABLE
            .get_or_init(compiled_in)
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
            Refusal::NotTried => Self::NotTried,
            Refusal::OutOfRange => Self::OutOfRange,
            Refusal::Token(_) => Self::TokenRefused,
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
            .iter()
            .copied()
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
    /// The file it comes from: `errors.tsv`, or one of the user's own.
    pub file: &'static str,
}

const COMPILED_IN: &str = "errors.tsv";

/// The table of this program.
pub(crate) fn compiled_in() -> BTreeMap<Failure, Entry> {
    read(COMPILED_IN, include_str!("../data/errors.tsv")).expect("the compiled-in table reads, which the tests prove")
}

/// Puts the rows of a file over those there are.
pub(crate) fn put_over(
    table: &mut BTreeMap<Failure, Entry>,
    file: &'static str,
    text: &'static str,
) -> Result<(), TableError> {
    table.extend(read(file, text)?);
    Ok(())
}

/// Makes this the table of the process; false where another one is in use.
pub(crate) fn settle(table: BTreeMap<Failure, Entry>) -> bool {
    TABLE.get_or_init(|| table.clone()) == &table
}

fn read(file: &'static str, text: &'static str) -> Result<BTreeMap<Failure, Entry>, TableError> {
    let mut entries = BTreeMap::new();
    for cells in Cells::rows(file, text)? {
        let code = cells.text("code")?;
        if ResponseCode::new(code).is_none() {
            return Err(cells.error("code", format!("{code} is no response code of the schema")));
        }
        let alert = cells.optional("alert")?;
        if let Some(alert) = alert.filter(|alert| duis::DccAlertCode::new(alert).is_none()) {
            return Err(cells.error("alert", format!("{alert} is no DCC alert code of the schema")));
        }
        let entry = Entry {
            class: cells.parse("class")?,
            blame: cells.choice("blame", &BLAMES)?,
            hop: cells.choice("hop", &HOPS)?,
            http: cells.parse("http")?,
            code,
            alert,
            lab_alert: cells.optional("lab_alert")?,
            debug: cells.optional("debug")?.map(|_| cells.parse("debug")).transpose()?,
            confidence: cells.parse("confidence")?,
            text: cells.text("text")?,
            file,
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
        for class in Failure::ALL.iter().copied() {
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
            .iter()
            .copied()
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
