//! Every response code and DCC alert code of the schema: what it is used for here, and how sure that is.
//!
//! The rows live in `data/codes.tsv`. Which failure gets which response code stands in [`crate::errors`]; what raises which
//! DCC alert stands here, and why nothing raises the others in `data/unraised.tsv`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use domain::{Confidence, UserRole};
use duis::{DccAlertCode, ResponseCode};

use crate::data::{Cells, TableError};
use crate::errors::Failure;

/// The triggers, each once: its name in code, the word of the table, and what it is.
macro_rules! triggers {
    ($($(#[doc = $text:literal])+ $trigger:ident = $word:literal,)+) => {
        /// What raises a DCC alert.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum AlertTrigger {
            $($(#[doc = $text])+ $trigger,)+
        }

        impl AlertTrigger {
            /// All triggers.
            pub const ALL: &[Self] = &[$(Self::$trigger,)+];

            /// The word tables and audit records use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$trigger => $word,)+
                }
            }
        }
    };
}

triggers! {
    /// The credentials on a device were updated.
    CredentialsUpdated = "credentials-updated",
    /// A device was deleted from the inventory.
    DeviceRemoved = "device-removed",
    /// A device was restored from suspension.
    DeviceRestored = "device-restored",
    /// A device was suspended.
    DeviceSuspended = "device-suspended",
    /// A device has another firmware than the inventory had.
    FirmwareDiffers = "firmware-differs",
    /// A device has a firmware that the product list does not have as active.
    FirmwareNotListed = "firmware-not-listed",
    /// A held request was cancelled: its device was decommissioned.
    HeldCancelledDecommission = "held-cancelled-decommission",
    /// A held request was cancelled: the supplier changed.
    HeldCancelledSupplier = "held-cancelled-supplier",
    /// A held request was cancelled: its device was suspended.
    HeldCancelledSuspension = "held-cancelled-suspension",
    /// A held request was cancelled: its device was withdrawn.
    HeldCancelledWithdrawal = "held-cancelled-withdrawal",
    /// A hub was decommissioned.
    HubDecommissioned = "hub-decommissioned",
    /// News of the firmware of a SMETS1 hub.
    HubFirmware = "hub-firmware",
    /// The device log of a hub was perhaps not updated.
    HubLogNotUpdated = "hub-log-not-updated",
    /// The device log of a hub was restored.
    HubLogRestored = "hub-log-restored",
    /// The device log of a hub was updated.
    HubLogUpdated = "hub-log-updated",
    /// A meter was commissioned.
    IdentityConfirmed = "identity-confirmed",
    /// Devices left service before they had the image.
    ImageDeviceLeft = "image-device-left",
    /// An image could not be brought to devices.
    ImageNotDelivered = "image-not-delivered",
    /// Devices refused an image.
    ImageRefused = "image-refused",
    /// The S1SP did not take the image for devices.
    ImageS1spUnreachable = "image-s1sp-unreachable",
    /// No result of the distribution came in time for devices.
    ImageTimeout = "image-timeout",
    /// A meter was decommissioned.
    MeterDecommissioned = "meter-decommissioned",
    /// A meter was withdrawn.
    MeterWithdrawn = "meter-withdrawn",
    /// A future-dated or scheduled request was delivered and not answered.
    NoResponse = "no-response",
    /// A future-dated or scheduled request could not be delivered.
    NotDelivered = "not-delivered",
    /// A PPMID was removed from a hub.
    PpmidRemoved = "ppmid-removed",
    /// A waiting request was given up because its predecessor failed or did not come.
    PredecessorFailed = "predecessor-failed",
    /// The device log of a gas proxy was restored.
    ProxyLogRestored = "proxy-log-restored",
    /// A request is in quarantine: a value is outside its limits.
    QuarantinedAttribute = "quarantined-attribute",
    /// A request is in quarantine: a threshold of the DCC was exceeded.
    QuarantinedDccThreshold = "quarantined-dcc-threshold",
    /// A request is in quarantine: the user's own threshold was exceeded.
    QuarantinedUserThreshold = "quarantined-user-threshold",
    /// An alert of the S1SP.
    S1spAlert = "s1sp-alert",
    /// A schedule was removed: its user no longer has authority over the device.
    ScheduleRemovedAuthority = "schedule-removed-authority",
    /// A schedule was removed: its device was decommissioned.
    ScheduleRemovedDecommission = "schedule-removed-decommission",
    /// A schedule was removed: the supplier changed.
    ScheduleRemovedSupplier = "schedule-removed-supplier",
    /// A schedule was removed: its device was withdrawn.
    ScheduleRemovedWithdrawal = "schedule-removed-withdrawal",
    /// The supplier of a device changed: to the old one.
    SupplierChanged = "supplier-changed",
    /// The supplier of a device changed: to the others concerned.
    SupplierChangedOthers = "supplier-changed-others",
    /// A message was held back because the user's schema version does not have it.
    VersionHeldBack = "version-held-back",
}

impl AlertTrigger {
    /// The alert it raises.
    ///
    /// # Panics
    /// Never: that every trigger has its code is proved by the tests.
    #[must_use]
    pub fn alert(self) -> &'static AlertFacts {
        alerts()
            .iter()
            .find(|facts| facts.trigger == Some(self))
            .expect("every trigger has its code, which the tests prove")
    }
}

impl fmt::Display for AlertTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AlertTrigger {
    type Err = UnknownTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        Self::ALL
            .iter()
            .copied()
            .find(|trigger| trigger.as_str() == text)
            .ok_or_else(|| UnknownTrigger(text.into()))
    }
}

/// Nothing of this name raises an alert, or is told by one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no trigger and no recipient of an alert")]
pub struct UnknownTrigger(String);

/// Who is told by an alert.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Recipient {
    /// The export supplier registered for the device.
    Export,
    /// The network operators registered for the device.
    Operators,
    /// Who sent the request it is about, or owns the schedule.
    Requester,
    /// The suppliers registered for the device.
    Suppliers,
}

impl Recipient {
    /// The roles it stands for; none for the requester.
    #[must_use]
    pub fn roles(self) -> &'static [UserRole] {
        match self {
            Self::Export => &[UserRole::ExportSupplier],
            Self::Operators => &[UserRole::ElectricityDistributor, UserRole::GasTransporter],
            Self::Requester => &[],
            Self::Suppliers => &[UserRole::ImportSupplier, UserRole::GasSupplier],
        }
    }
}

impl FromStr for Recipient {
    type Err = UnknownTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        match text {
            "export" => Ok(Self::Export),
            "operators" => Ok(Self::Operators),
            "requester" => Ok(Self::Requester),
            "suppliers" => Ok(Self::Suppliers),
            _ => Err(UnknownTrigger(text.into())),
        }
    }
}

/// What is known of a response code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseFacts {
    /// The code.
    pub code: ResponseCode,
    /// `good`, `access`, `validation`, `delivery`, `sequence`, `repeat`, `general`, `ecos`, `internal` or `service-8.2`.
    pub group: &'static str,
    /// How sure the text is.
    pub confidence: Confidence,
    /// What it means here, one sentence without full stop.
    pub text: &'static str,
    /// The file it comes from: `codes.tsv`, or one of the user's own.
    pub file: &'static str,
}

impl ResponseFacts {
    /// The failures that get this code; none for a code this lab has no use for, and for I0, I99 and warnings.
    pub fn classes(&self) -> impl Iterator<Item = Failure> {
        let code = self.code.as_str();
        Failure::ALL
            .iter()
            .copied()
            .filter(move |class| class.entry().code == code)
    }
}

/// What is known of a DCC alert code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertFacts {
    /// The code.
    pub code: DccAlertCode,
    /// The payload element that goes with it; the schema does not tie them.
    pub payload: Option<&'static str>,
    /// The child of the payload that tells its kind, where the payload has several to choose from.
    pub part: Option<&'static str>,
    /// What raises it here.
    pub trigger: Option<AlertTrigger>,
    /// Who is told.
    pub to: Vec<Recipient>,
    /// How sure text and pairing are.
    pub confidence: Confidence,
    /// What it means here, one sentence without full stop.
    pub text: &'static str,
    /// The file it comes from: `codes.tsv`, or one of the user's own.
    pub file: &'static str,
}

/// What is known of a response code.
///
/// # Panics
/// Never: that every code of the schema has its row is proved by the tests.
#[must_use]
pub fn response(code: ResponseCode) -> &'static ResponseFacts {
    responses()
        .iter()
        .find(|facts| facts.code == code)
        .expect("every code has its row, which the tests prove")
}

/// What is known of a DCC alert code.
///
/// # Panics
/// Never: that every code of the schema has its row is proved by the tests.
#[must_use]
pub fn alert(code: DccAlertCode) -> &'static AlertFacts {
    alerts()
        .iter()
        .find(|facts| facts.code == code)
        .expect("every code has its row, which the tests prove")
}

/// Why nothing raises a DCC alert code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unraised {
    /// The code.
    pub code: DccAlertCode,
    /// How sure the reason is.
    pub confidence: Confidence,
    /// The reason, without full stop.
    pub reason: &'static str,
}

/// Why nothing raises this code, unless something does.
///
/// # Panics
/// Never: that the compiled-in text reads is proved by the tests.
#[must_use]
pub fn unraised(code: DccAlertCode) -> Option<&'static Unraised> {
    static TABLE: OnceLock<Vec<Unraised>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        read_unraised("unraised.tsv", include_str!("../data/unraised.tsv"))
            .expect("the compiled-in table reads, which the tests prove")
    });
    let row = table.iter().find(|row| row.code == code)?;
    // A table of the user's own may give the code a trigger.
    alert(code).trigger.is_none().then_some(row)
}

fn read_unraised(file: &'static str, text: &'static str) -> Result<Vec<Unraised>, TableError> {
    let rows = Cells::rows(file, text)?;
    rows.iter()
        .map(|cells| {
            Ok(Unraised {
                code: cells.parse("code")?,
                confidence: cells.parse("confidence")?,
                reason: cells.text("reason")?,
            })
        })
        .collect()
}

/// All response codes, in the order of the schema.
///
/// # Panics
/// Never: that the compiled-in text reads is proved by the tests.
#[must_use]
pub fn responses() -> &'static [ResponseFacts] {
    &table().responses
}

/// All DCC alert codes, in the order of the schema.
///
/// # Panics
/// Never: that the compiled-in text reads is proved by the tests.
#[must_use]
pub fn alerts() -> &'static [AlertFacts] {
    &table().alerts
}

static TABLE: OnceLock<Codes> = OnceLock::new();

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Codes {
    responses: Vec<ResponseFacts>,
    alerts: Vec<AlertFacts>,
}

fn table() -> &'static Codes {
    TABLE.get_or_init(compiled_in)
}

const COMPILED_IN: &str = "codes.tsv";

/// The table of this program.
pub(crate) fn compiled_in() -> Codes {
    read(COMPILED_IN, include_str!("../data/codes.tsv")).expect("the compiled-in table reads, which the tests prove")
}

/// Puts the rows of a file over those there are. A trigger that a row takes leaves the code it had.
pub(crate) fn put_over(table: &mut Codes, file: &'static str, text: &'static str) -> Result<(), TableError> {
    let rows = read(file, text)?;
    for row in rows.responses {
        table.responses.retain(|facts| facts.code != row.code);
        table.responses.push(row);
    }
    for row in rows.alerts {
        let had = table
            .alerts
            .iter()
            .find(|facts| facts.code == row.code)
            .and_then(|facts| facts.trigger);
        table.alerts.retain(|facts| facts.code != row.code);
        for other in &mut table.alerts {
            if other.trigger.is_some() && other.trigger == row.trigger {
                other.trigger = had.filter(|had| row.trigger != Some(*had));
            }
        }
        table.alerts.push(row);
    }
    let missing = AlertTrigger::ALL.iter().find(|trigger| {
        let code = table.alerts.iter().find(|facts| facts.trigger == Some(**trigger));
        code.is_none_or(|facts| facts.payload.is_none() || facts.to.is_empty())
    });
    match missing {
        None => Ok(()),
        Some(trigger) => Err(TableError::of_file(
            file,
            "trigger",
            format!("no code with a payload and somebody to tell is left for {trigger}"),
        )),
    }
}

/// Makes this the table of the process; false where another one is in use.
pub(crate) fn settle(mut table: Codes) -> bool {
    let place = |code: ResponseCode| {
        ResponseCode::all()
            .iter()
            .position(|facts| facts.value == code.as_str())
    };
    table.responses.sort_by_key(|facts| place(facts.code));
    let place = |code: DccAlertCode| DccAlertCode::all().position(|other| other == code);
    table.alerts.sort_by_key(|facts| place(facts.code));
    TABLE.get_or_init(|| table.clone()) == &table
}

fn read(file: &'static str, text: &'static str) -> Result<Codes, TableError> {
    let mut codes = Codes::default();
    let mut triggers = BTreeMap::new();
    for cells in Cells::rows(file, text)? {
        let (confidence, text) = (cells.parse("confidence")?, cells.text("text")?);
        match cells.text("kind")? {
            "response" => codes.responses.push(ResponseFacts {
                code: cells.parse("code")?,
                group: cells.text("group")?,
                confidence,
                text,
                file,
            }),
            "alert" => {
                let trigger = cells
                    .optional("trigger")?
                    .map(|_| cells.parse::<AlertTrigger>("trigger"))
                    .transpose()?;
                if let Some(trigger) = trigger
                    && triggers.insert(trigger, ()).is_some()
                {
                    return Err(cells.error("trigger", format!("{trigger} stands here twice")));
                }
                let payload = cells.optional("payload")?;
                let (payload, part) = match payload.and_then(|payload| payload.split_once('/')) {
                    Some((payload, part)) => (Some(payload), Some(part)),
                    None => (payload, None),
                };
                codes.alerts.push(AlertFacts {
                    code: cells.parse("code")?,
                    payload,
                    part,
                    trigger,
                    to: cells.list("to")?,
                    confidence,
                    text,
                    file,
                });
            }
            _ => return Err(cells.error("kind", "expected response or alert")),
        }
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_schema_has_its_row_in_the_same_order() {
        let responses: Vec<_> = responses().iter().map(|facts| facts.code.as_str()).collect();
        let listed: Vec<_> = ResponseCode::all().iter().map(|facts| facts.value).collect();
        assert_eq!(responses, listed);
        let alerts: Vec<_> = alerts().iter().map(|facts| facts.code.as_str()).collect();
        let listed: Vec<_> = DccAlertCode::all().collect();
        assert_eq!(alerts, listed.iter().map(|code| code.as_str()).collect::<Vec<_>>());
        for text in self::responses()
            .iter()
            .map(|facts| facts.text)
            .chain(self::alerts().iter().map(|facts| facts.text))
        {
            assert!(text.len() <= 250 && !text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn every_trigger_has_one_code_and_every_failure_is_found_from_its_code() {
        for trigger in AlertTrigger::ALL {
            assert_eq!(trigger.as_str().parse(), Ok(*trigger));
            assert_eq!(trigger.alert().trigger, Some(*trigger));
            assert!(
                trigger.alert().payload.is_some() && !trigger.alert().to.is_empty(),
                "{trigger}"
            );
        }
        for class in Failure::ALL {
            let facts = response(class.response_code());
            assert!(facts.classes().any(|other| other == *class), "{class}");
        }
        for facts in alerts() {
            let why = unraised(facts.code);
            assert_ne!(
                facts.trigger.is_some(),
                why.is_some(),
                "{}: a trigger or a reason",
                facts.code
            );
            assert!(
                why.is_none_or(|why| !why.reason.is_empty() && why.reason.len() <= 250),
                "{}",
                facts.code
            );
        }
        assert_eq!(alert(DccAlertCode::N55).trigger, Some(AlertTrigger::S1spAlert));
        assert_eq!(response(ResponseCode::I99).classes().count(), 0);
    }
}
