//! The semantic device interface as types: what can be asked of a device and what it answers, without bytes.
//!
//! `meter` executes operations, `dialects` carries them in each family's bytes, `steps` plans them, `dco` judges them,
//! and `/proto` has the same on the wire. [`octets`] is the one compact form that every room uses where octets are ours;
//! enumerations are numbered there by their order, so variants are appended, never reordered.

mod item;
pub mod octets;
mod setting;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use item::{DataItem, LogKind};
pub use setting::{
    AlertBehaviour, AnyDate, AnyDay, BillingCalendar, BillingPeriod, Currency, DebtChange, GasFlow, LoadLimit,
    NonDisablementCalendar, NonDisablementRule, NonDisablementSwitch, PaymentSetting, PrepaymentConfiguration, Prices,
    RecoveryPeriod, Setting, SettingKind, SwitchingTable, TariffAction, TariffDay, TariffSeason, TariffTables,
    TariffWeek, VoltageSettings, digest_of_settings,
};

use crate::keys::Party;
use crate::{DeviceKind, Eui64, ParseError, SimInstant};

/// The unit of a [`Quantity`]. Quantities are whole numbers of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Unit {
    /// A count without unit.
    Count,
    /// Litre, that is thousandth of a cubic metre.
    Litre,
    /// Thousandth of a penny.
    MilliPence,
    /// Minute.
    Minute,
    /// Per cent, in hundredths (10 000 = 100 %).
    HundredthPercent,
    /// Reactive energy.
    VarHour,
    /// Power.
    Watt,
    /// Active energy.
    WattHour,
}

/// A number with its unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Quantity {
    /// How many.
    pub value: i64,
    /// Of what.
    pub unit: Unit,
}

impl Quantity {
    /// `value` of `unit`.
    #[must_use]
    pub const fn new(value: i64, unit: Unit) -> Self {
        Self { value, unit }
    }
}

/// State of the supply. Secure's words OFF, READY and ON exist only in its face.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum SupplyState {
    /// No supply, and the consumer cannot restore it.
    Disabled,
    /// No supply until the consumer acts at the meter.
    Armed,
    /// Supply is on.
    Enabled,
}

/// How the customer pays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PaymentMode {
    /// Billed afterwards.
    Credit,
    /// Paid before use.
    Prepayment,
}

/// How good a device's clock is in its own opinion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ClockStatus {
    /// Within tolerance of the network.
    Reliable,
    /// Drifted or adjusted beyond tolerance.
    Unreliable,
    /// Never set or lost.
    Invalid,
}

/// One row of a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LogRow {
    /// End of the half-hour, the midnight, or the moment of the event.
    pub at: SimInstant,
    /// Values with the items they belong to; for a half-hour one value.
    pub values: Vec<(DataItem, Quantity)>,
    /// Event code, for event and security logs.
    pub code: Option<u16>,
}

/// What a device says about another device it knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct KnownDevice {
    /// Its identity.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// When it was last heard, if ever.
    pub last_heard: Option<SimInstant>,
}

/// One value of a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Value {
    /// Device time and status.
    Clock(SimInstant, ClockStatus),
    /// Known devices.
    Devices(Vec<KnownDevice>),
    /// Yes or no.
    Flag(bool),
    /// How the customer pays.
    PaymentMode(PaymentMode),
    /// A number with unit.
    Quantity(Quantity),
    /// Supply state.
    Supply(SupplyState),
    /// Text, at most 250 characters.
    Text(String),
    /// State of firmware transfer.
    Image(ImageStatus),
    /// A setting as it stands.
    Setting(Box<Setting>),
    /// A number with unit, and when it was so.
    Stamped(Quantity, SimInstant),
    /// Several registers that are read as one thing, with their items.
    Table(Vec<(DataItem, Quantity)>),
}

/// How far a firmware image has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageStatus {
    /// The state.
    pub state: ImageState,
    /// The first block not there yet; the number of blocks when all are.
    pub first_missing: u32,
    /// Octets per block.
    pub block_octets: u16,
    /// Of the most recently verified image; zeros for none.
    pub verified: ImageHash,
}

/// State of a firmware image in a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ImageState {
    /// None begun.
    Idle,
    /// Blocks are coming.
    Receiving,
    /// All blocks are there and are being checked.
    Verifying,
    /// Checked and right: can be activated.
    Verified,
    /// Checked and wrong: has to be sent again.
    Wrong,
    /// Being activated: the device restarts.
    Activating,
    /// The activation failed; the old firmware runs.
    ActivationFailed,
}

/// A prepayment token as the device takes it: 20 to 60 decimal digits, native to its family.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

/// Octets that read as hexadecimal digits in text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Octets(pub Vec<u8>);

/// SHA-256 of a firmware image; hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ImageHash(pub [u8; 32]);

/// A counter that can be set back to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Counter {
    /// How often the load limit acted.
    LoadLimit,
    /// Largest export power.
    MaximumDemandExport,
    /// Largest import power.
    MaximumDemandImport,
    /// Largest import power in the configurable time.
    MaximumDemandImportInPeriod,
    /// How often the voltage left its limits.
    RmsVoltage,
    /// Counters of the tariff block matrix.
    TariffBlocks,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::LoadLimit,
        Self::MaximumDemandExport,
        Self::MaximumDemandImport,
        Self::MaximumDemandImportInPeriod,
        Self::RmsVoltage,
        Self::TariffBlocks,
    ];

    /// The name on the wire and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadLimit => "LoadLimit",
            Self::MaximumDemandExport => "MaximumDemandExport",
            Self::MaximumDemandImport => "MaximumDemandImport",
            Self::MaximumDemandImportInPeriod => "MaximumDemandImportInPeriod",
            Self::RmsVoltage => "RmsVoltage",
            Self::TariffBlocks => "TariffBlocks",
        }
    }

    /// The one that an operation on several is judged by: what is charged by the tariff blocks weighs more than any
    /// record.
    fn leading(counters: &[Self]) -> Self {
        if counters.contains(&Self::TariffBlocks) {
            return Self::TariffBlocks;
        }
        counters.first().copied().unwrap_or(Self::TariffBlocks)
    }
}

impl FromStr for Counter {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|counter| counter.name() == name);
        found.ok_or_else(|| ParseError::new("the name of a counter such as TariffBlocks", name))
    }
}

/// What is said of a device that is to join a HAN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HanEntry {
    /// Its identity.
    pub device: Eui64,
    /// Its kind, where the request knows it.
    pub kind: Option<DeviceKind>,
    /// 6 to 16 octets; empty where none was given. A secret of the device.
    pub install_code: Octets,
    /// Seconds in which it may join.
    pub join_within_s: u16,
}

/// What can be asked of a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Operation {
    /// Let the consumer restore supply at the meter.
    ArmSupply,
    /// Cut the supply.
    DisableSupply,
    /// Restore the supply (electricity only).
    EnableSupply,
    /// Read one item.
    Read(DataItem),
    /// Read the rows of a log with `from <= at <= to`.
    ReadLog {
        /// Which log.
        log: LogKind,
        /// First instant.
        from: SimInstant,
        /// Last instant.
        to: SimInstant,
    },
    /// Set the clock if it is further than the tolerance from `time`.
    SynchroniseClock {
        /// The network's time.
        time: SimInstant,
        /// 0 to 86 400 seconds.
        tolerance_s: u32,
    },
    /// Set something.
    Write(Box<Setting>),
    /// Add to the balance, milli-pence; may be negative.
    AdjustBalance(i64),
    /// Set the balance to nothing.
    ResetBalance,
    /// Change debts and their recovery.
    ChangeDebt(Box<DebtChange>),
    /// Take emergency credit in the consumer's place.
    ActivateEmergencyCredit,
    /// Enter a token.
    EnterToken(Token),
    /// Show a message of the supplier, 1 to 116 printable characters.
    DisplayMessage(String),
    /// Show no consumption from before this instant on the HAN.
    RestrictAccess {
        /// The change of tenancy.
        before: SimInstant,
    },
    /// Empty a log.
    ClearLog(LogKind),
    /// Set the privacy PIN aside.
    DisablePrivacyPin,
    /// Set counters back to nothing.
    ResetCounters(Vec<Counter>),
    /// Show a customer identification number on the display.
    ShowCustomerIdentification(String),
    /// Join with another device of the HAN that may act on this one.
    Join(Eui64),
    /// Leave another device of the HAN that may act on this one.
    Unjoin(Eui64),
    /// Let a device into the HAN (CHF).
    AddToHan(Box<HanEntry>),
    /// Put a device out of the HAN (CHF).
    RemoveFromHan(Eui64),
    /// Take over the device log of the hub or proxy that was here before.
    RestoreDeviceLog(Eui64),
    /// Switch auxiliary load n (1 to 5) on or off.
    SwitchAuxiliaryLoad {
        /// Which.
        switch: u8,
        /// On or off.
        on: bool,
        /// For so many minutes, after which it goes back by itself; 0: until it is switched again.
        minutes: u16,
    },
    /// A firmware image follows.
    BeginImage {
        /// Octets in all.
        octets: u32,
        /// Of the whole image.
        hash: ImageHash,
        /// For whom behind the hub; the device itself where none is named.
        device: Option<Eui64>,
    },
    /// One block of a firmware image.
    ImageBlock {
        /// From 0.
        number: u32,
        /// At most the block size.
        octets: Octets,
    },
    /// Check the image that came.
    VerifyImage,
    /// Run the most recently verified image, which must have this hash.
    ActivateImage {
        /// Of the image.
        hash: ImageHash,
    },
    /// Prepare a key epoch of another party: it may read and prove itself, and nothing else, until it is in force.
    StageKeys {
        /// Who gets the device.
        party: Party,
        /// Above the one in force.
        epoch: u32,
    },
    /// Forget a staged key epoch.
    CancelStagedKeys,
    /// Prove dual control: changes nothing, needs an approval under the staged or the active keys.
    ProbeDualControl {
        /// Makes each probe another one.
        nonce: u32,
    },
    /// Put the staged key epoch in force: from now on no other party's commands are taken.
    ActivateKeys {
        /// The staged epoch.
        epoch: u32,
    },
    /// Join with another device of the HAN that only listens.
    JoinListener(Eui64),
    /// Leave another device of the HAN that only listens.
    UnjoinListener(Eui64),
    /// Record gas flow in short steps for some hours, to be read as network data (GSME). The answer is the number of the
    /// recording, as a count.
    RecordNetworkData,
}

/// Makes [`OperationKind`] and its words out of one list. Append, never reorder.
macro_rules! kinds {
    (
        plain { $($word:literal $plain:ident = $pattern:pat,)+ }
        about { $($lead:literal $about:ident($subject:ty) = $about_pattern:pat => $value:expr,)+ }
    ) => {
        /// An operation without its arguments: what criticality and support are stated about.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum OperationKind {
            $(#[doc = concat!("To ", $word, ".")] $plain,)+
            $(#[doc = concat!("To ", $lead, " the subject.")] $about($subject),)+
        }

        impl Operation {
            /// The operation without its arguments.
            #[must_use]
            pub fn kind(&self) -> OperationKind {
                match self {
                    $($pattern => OperationKind::$plain,)+
                    $($about_pattern => OperationKind::$about($value),)+
                }
            }
        }

        impl OperationKind {
            /// All kinds that are about nothing in particular.
            pub const PLAIN: &'static [Self] = &[$(Self::$plain),+];
        }

        impl fmt::Display for OperationKind {
            /// As files write it: `arm supply`, `read ActiveImport`, `write Tariff`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$plain => f.write_str($word),)+
                    $(Self::$about(subject) => write!(f, concat!($lead, " {}"), subject.name()),)+
                }
            }
        }

        impl FromStr for OperationKind {
            type Err = ParseError;

            /// The inverse of [`Display`](fmt::Display).
            fn from_str(text: &str) -> Result<Self, ParseError> {
                $(if text == $word {
                    return Ok(Self::$plain);
                })+
                $(if let Some(subject) = text.strip_prefix(concat!($lead, " ")) {
                    return subject.parse().map(Self::$about);
                })+
                Err(ParseError::new("an operation such as \"arm supply\" or \"read ActiveImport\"", text))
            }
        }
    };
}

kinds! {
    plain {
        "arm supply" ArmSupply = Self::ArmSupply,
        "disable supply" DisableSupply = Self::DisableSupply,
        "enable supply" EnableSupply = Self::EnableSupply,
        "synchronise clock" SynchroniseClock = Self::SynchroniseClock { .. },
        "adjust balance" AdjustBalance = Self::AdjustBalance(_),
        "reset balance" ResetBalance = Self::ResetBalance,
        "change debt" ChangeDebt = Self::ChangeDebt(_),
        "activate emergency credit" ActivateEmergencyCredit = Self::ActivateEmergencyCredit,
        "enter token" EnterToken = Self::EnterToken(_),
        "display message" DisplayMessage = Self::DisplayMessage(_),
        "restrict access" RestrictAccess = Self::RestrictAccess { .. },
        "disable privacy PIN" DisablePrivacyPin = Self::DisablePrivacyPin,
        "show customer identification" ShowCustomerIdentification = Self::ShowCustomerIdentification(_),
        "join" Join = Self::Join(_),
        "unjoin" Unjoin = Self::Unjoin(_),
        "add to HAN" AddToHan = Self::AddToHan(_),
        "remove from HAN" RemoveFromHan = Self::RemoveFromHan(_),
        "restore device log" RestoreDeviceLog = Self::RestoreDeviceLog(_),
        "switch auxiliary load" SwitchAuxiliaryLoad = Self::SwitchAuxiliaryLoad { .. },
        "begin image" BeginImage = Self::BeginImage { .. },
        "send image block" ImageBlock = Self::ImageBlock { .. },
        "verify image" VerifyImage = Self::VerifyImage,
        "activate image" ActivateImage = Self::ActivateImage { .. },
        "stage keys" StageKeys = Self::StageKeys { .. },
        "cancel staged keys" CancelStagedKeys = Self::CancelStagedKeys,
        "probe dual control" ProbeDualControl = Self::ProbeDualControl { .. },
        "activate keys" ActivateKeys = Self::ActivateKeys { .. },
        "join listener" JoinListener = Self::JoinListener(_),
        "unjoin listener" UnjoinListener = Self::UnjoinListener(_),
        "record network data" RecordNetworkData = Self::RecordNetworkData,
    }
    about {
        "read log" ReadLog(LogKind) = Self::ReadLog { log, .. } => *log,
        "clear log" ClearLog(LogKind) = Self::ClearLog(log) => *log,
        "read" Read(DataItem) = Self::Read(item) => *item,
        "write" Write(SettingKind) = Self::Write(setting) => setting.kind(),
        "reset counters" ResetCounters(Counter) = Self::ResetCounters(counters) => Counter::leading(counters),
    }
}

impl OperationKind {
    /// Every kind there is.
    pub fn every() -> impl Iterator<Item = Self> {
        let plain = Self::PLAIN.iter().copied();
        plain
            .chain(DataItem::every().map(Self::Read))
            .chain(LogKind::ALL.iter().copied().map(Self::ReadLog))
            .chain(LogKind::ALL.iter().copied().map(Self::ClearLog))
            .chain(SettingKind::ALL.into_iter().map(Self::Write))
            .chain(Counter::ALL.into_iter().map(Self::ResetCounters))
    }

    /// The name in files: `arm-supply`, `read-active-import`, `read-log-billing`, `write-tariff`.
    #[must_use]
    pub fn key(self) -> String {
        item::kebab(&self.to_string())
    }

    /// The inverse of [`OperationKind::key`].
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::every().find(|kind| kind.key() == key)
    }
}

impl Operation {
    /// True when executing it changes the device.
    #[must_use]
    pub fn changes_state(&self) -> bool {
        !matches!(
            self,
            Self::Read(_) | Self::ReadLog { .. } | Self::ProbeDualControl { .. }
        )
    }

    /// The octets an approval covers: one form per operation and arguments, ours. Names, not numbers, so that it means
    /// the same in every release.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        octets::canonical(self)
    }
}

impl fmt::Display for Operation {
    /// For people: `read ActiveImport`, `disable supply`. Never an install code or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::ReadLog { from, to, .. } => write!(f, "{kind} from {from} to {to}"),
            Self::SynchroniseClock { time, tolerance_s } => {
                write!(f, "{kind} to {time} tolerance {tolerance_s} s")
            }
            Self::AdjustBalance(milli_pence) => write!(f, "{kind} by {milli_pence} mp"),
            Self::RestrictAccess { before } => write!(f, "{kind} before {before}"),
            Self::Join(other) | Self::Unjoin(other) => write!(f, "{kind} {other}"),
            Self::JoinListener(other) | Self::UnjoinListener(other) => write!(f, "{kind} {other}"),
            Self::RemoveFromHan(other) | Self::RestoreDeviceLog(other) => write!(f, "{kind} {other}"),
            Self::AddToHan(entry) => write!(f, "{kind} {}", entry.device),
            Self::SwitchAuxiliaryLoad { switch, on, minutes } => {
                write!(f, "{kind} {switch} {}", if *on { "on" } else { "off" })?;
                match minutes {
                    0 => Ok(()),
                    minutes => write!(f, " for {minutes} min"),
                }
            }
            Self::BeginImage { octets, .. } => write!(f, "{kind} of {octets} octets"),
            Self::ImageBlock { number, .. } => write!(f, "{kind} {number}"),
            Self::StageKeys { party, epoch } => write!(f, "{kind} of {} epoch {epoch}", party.as_str()),
            Self::ActivateKeys { epoch } => write!(f, "{kind} epoch {epoch}"),
            _ => write!(f, "{kind}"),
        }
    }
}

/// The operations that need a DCO approval on an enrolled device.
///
/// Its only source is the service request table of `steps`; whoever builds a lab hands it to the device side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CriticalOperations(std::collections::BTreeSet<OperationKind>);

impl CriticalOperations {
    /// Exactly these.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = OperationKind>) -> Self {
        Self(kinds.into_iter().collect())
    }

    /// Whether `operation` is among them.
    #[must_use]
    pub fn contains(&self, operation: &Operation) -> bool {
        self.0.contains(&operation.kind())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = OperationKind> + '_ {
        self.0.iter().copied()
    }
}

/// What a device gives back when it did what was asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Done, nothing to say.
    Done,
    /// Rows of a log, oldest first.
    Log(Vec<LogRow>),
    /// One value.
    Value(Value),
}

/// Why a device did not do what was asked. A normal outcome, not an error of ours.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The approval is missing, wrong, stale, repeated or for something else.
    #[error("approval refused: {0}")]
    Approval(ApprovalFault),
    /// The device is busy; try again later.
    #[error("temporarily unable")]
    Busy,
    /// Something in the device is broken.
    #[error("hardware fault")]
    HardwareFault,
    /// The party's keys do not carry this right.
    #[error("not permitted with these keys")]
    NotPermitted,
    /// This device has no such thing.
    #[error("not supported by this device")]
    NotSupported,
    /// An argument is outside what the device takes.
    #[error("argument out of range")]
    OutOfRange,
    /// The device behind the hub did not come in time.
    #[error("the device was not reached over the HAN")]
    Unreachable,
    /// Not in the present state of the device.
    #[error("not possible in the present state")]
    WrongState,
    /// The token was not taken.
    #[error("token refused: {0}")]
    Token(TokenFault),
    /// The firmware image was not taken.
    #[error("image refused: {0}")]
    Image(ImageFault),
    /// Left undone, because an operation of the same request before it was refused.
    #[error("left undone after a refusal in the same request")]
    NotTried,
}

/// Why a token was not taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum TokenFault {
    /// Used before.
    #[error("used before")]
    Duplicate,
    /// Its digits do not fit together: a wrong check digit, or too few.
    #[error("not a token")]
    Format,
    /// Entry is locked after too many wrong ones.
    #[error("entry is locked")]
    Locked,
    /// Nobody who holds the key made it.
    #[error("not authentic")]
    NotAuthentic,
    /// The meter does not take tokens in its present mode.
    #[error("not in this payment mode")]
    NotPrepayment,
    /// For another device.
    #[error("for another device")]
    OtherDevice,
    /// The balance would be above its limit.
    #[error("the balance would be above its limit")]
    OverBalance,
    /// More than one credit may be.
    #[error("above the largest credit")]
    OverCredit,
    /// Digits are missing.
    #[error("incomplete")]
    Incomplete,
    /// There is less than it takes away.
    #[error("the balance is too low")]
    UnderBalance,
}

/// Why a firmware image was not taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum ImageFault {
    /// The block is longer than it may be, or beyond the end.
    #[error("a block that does not belong")]
    Block,
    /// The octets do not have the hash announced, or the hash asked for is not the verified one.
    #[error("another hash")]
    Hash,
    /// Blocks are missing.
    #[error("blocks are missing")]
    Incomplete,
    /// Not firmware of this device.
    #[error("not for this device")]
    NotForThisDevice,
    /// No image was begun.
    #[error("no image was begun")]
    NotBegun,
}

/// What was wrong with an approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ApprovalFault {
    /// None was given.
    #[error("none given")]
    Missing,
    /// Its counter is not above the last one accepted.
    #[error("replayed")]
    Replayed,
    /// It has expired by the device's clock.
    #[error("stale")]
    Stale,
    /// Its MAC does not fit this device, operation, arguments and request.
    #[error("wrong")]
    Wrong,
}

/// What became of an operation on a device.
pub type Outcome = Result<Answer, Refusal>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_key() {
        let mut keys = std::collections::BTreeSet::new();
        for kind in OperationKind::every() {
            assert!(keys.insert(kind.key()), "{kind}");
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(
            OperationKind::from_key("read-log-billing"),
            Some(OperationKind::ReadLog(LogKind::Billing))
        );
        assert_eq!(OperationKind::from_key("arm supply"), None);
        let reset = |counters: &[Counter]| Operation::ResetCounters(counters.to_vec()).kind().key();
        assert_eq!(reset(&[Counter::RmsVoltage]), "reset-counters-rms-voltage");
        assert_eq!(
            reset(&[Counter::RmsVoltage, Counter::TariffBlocks]),
            "reset-counters-tariff-blocks",
            "what is critical leads"
        );
    }

    #[test]
    fn arguments_change_the_canonical_octets() {
        let sync = |time, tolerance_s| Operation::SynchroniseClock {
            time: SimInstant(time),
            tolerance_s,
        };
        assert_ne!(sync(1, 10).canonical_bytes(), sync(2, 10).canonical_bytes());
        assert_ne!(sync(1, 10).canonical_bytes(), sync(1, 11).canonical_bytes());
        assert_ne!(
            Operation::ArmSupply.canonical_bytes(),
            Operation::EnableSupply.canonical_bytes()
        );
    }
}
