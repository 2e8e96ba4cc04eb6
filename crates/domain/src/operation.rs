//! The semantic device interface as types: what can be asked of a device and what it answers, without bytes.
//!
//! `meter` executes operations, `dialects` carries them in each family's bytes, `steps` plans them, `dco` judges them,
//! and `/proto` has the same on the wire.

use std::fmt;

use crate::{DeviceKind, Eui64, SimInstant};

/// The unit of a [`Quantity`]. Quantities are whole numbers of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SupplyState {
    /// No supply, and the consumer cannot restore it.
    Disabled,
    /// No supply until the consumer acts at the meter.
    Armed,
    /// Supply is on.
    Enabled,
}

/// How the customer pays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PaymentMode {
    /// Billed afterwards.
    Credit,
    /// Paid before use.
    Prepayment,
}

/// How good a device's clock is in its own opinion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClockStatus {
    /// Within tolerance of the network.
    Reliable,
    /// Drifted or adjusted beyond tolerance.
    Unreliable,
    /// Never set or lost.
    Invalid,
}

/// One readable thing of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DataItem {
    /// Accumulated debt register, milli-pence.
    AccumulatedDebt,
    /// Total active export, Wh.
    ActiveExport,
    /// Total active import, Wh.
    ActiveImport,
    /// Remaining battery of a gas meter, days, as a count.
    BatteryRemaining,
    /// Consumption in tariff block n (1 to 4).
    BlockRegister(u8),
    /// Device time and its status.
    Clock,
    /// Debt taken from each payment, hundredths of a per cent.
    DebtRecoveryPerPayment,
    /// Most debt recovered per period, milli-pence.
    DebtRecoveryRateCap,
    /// The devices a hub knows (CHF), or those a meter is joined with.
    DeviceLog,
    /// Balance at which supply is disabled, milli-pence.
    DisablementThreshold,
    /// Emergency credit left, milli-pence.
    EmergencyCreditBalance,
    /// Emergency credit granted, milli-pence.
    EmergencyCreditLimit,
    /// Balance below which emergency credit is offered, milli-pence.
    EmergencyCreditThreshold,
    /// Native firmware identifier and DUIS form.
    FirmwareVersion,
    /// Total gas consumption, litres.
    GasConsumption,
    /// Balance that raises a low-credit alert, milli-pence.
    LowCreditThreshold,
    /// Largest single credit accepted, milli-pence.
    MaximumCredit,
    /// Largest balance accepted, milli-pence.
    MaximumMeterBalance,
    /// Meter balance, milli-pence.
    MeterBalance,
    /// Payment-based debt, milli-pence.
    PaymentDebt,
    /// Credit or prepayment.
    PaymentMode,
    /// Total reactive export, varh.
    ReactiveExport,
    /// Total reactive import, varh.
    ReactiveImport,
    /// Active import of the second element, Wh.
    SecondaryActiveImport,
    /// Supply state.
    SupplyState,
    /// Whether debt recovery stops while supply is disabled.
    SuspendDebtDisabled,
    /// Whether debt recovery stops while emergency credit is used.
    SuspendDebtEmergency,
    /// Time-based debt register n (1 or 2), milli-pence.
    TimeDebt(u8),
    /// Time-of-use register n (1 to 48), Wh or litres.
    TouRegister(u8),
}

/// One log of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogKind {
    /// Half-hourly active export, Wh.
    ActiveExport,
    /// Half-hourly consumption: active import in Wh (ESME) or gas in litres (GPF, GSME).
    ActiveImport,
    /// Snapshots at billing points.
    Billing,
    /// Registers at local midnight.
    DailyRead,
    /// Events.
    Event,
    /// Half-hourly reactive import, varh.
    ReactiveImport,
    /// Security events.
    Security,
}

/// One row of a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogRow {
    /// End of the half-hour, the midnight, or the moment of the event.
    pub at: SimInstant,
    /// Values with the items they belong to; for a half-hour one value.
    pub values: Vec<(DataItem, Quantity)>,
    /// Event code, for event and security logs.
    pub code: Option<u16>,
}

/// What a device says about another device it knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KnownDevice {
    /// Its identity.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// When it was last heard, if ever.
    pub last_heard: Option<SimInstant>,
}

/// One value of a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
}

/// What can be asked of a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
}

/// An operation without its arguments: what criticality and support are stated about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OperationKind {
    /// [`Operation::ArmSupply`].
    ArmSupply,
    /// [`Operation::DisableSupply`].
    DisableSupply,
    /// [`Operation::EnableSupply`].
    EnableSupply,
    /// [`Operation::Read`] of this item.
    Read(DataItem),
    /// [`Operation::ReadLog`] of this log.
    ReadLog(LogKind),
    /// [`Operation::SynchroniseClock`].
    SynchroniseClock,
}

impl Operation {
    /// The operation without its arguments.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::ArmSupply => OperationKind::ArmSupply,
            Self::DisableSupply => OperationKind::DisableSupply,
            Self::EnableSupply => OperationKind::EnableSupply,
            Self::Read(item) => OperationKind::Read(*item),
            Self::ReadLog { log, .. } => OperationKind::ReadLog(*log),
            Self::SynchroniseClock { .. } => OperationKind::SynchroniseClock,
        }
    }

    /// True when executing it changes the device.
    #[must_use]
    pub fn changes_state(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::ReadLog { .. })
    }

    /// The octets an approval covers: one form per operation and arguments, ours, stable across releases.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        match self {
            Self::SynchroniseClock { time, tolerance_s } => {
                let mut out = b"synchronise-clock".to_vec();
                out.extend_from_slice(&time.0.to_be_bytes());
                out.extend_from_slice(&tolerance_s.to_be_bytes());
                out
            }
            Self::ReadLog { log, from, to } => {
                let mut out = format!("read-log {log:?}").into_bytes();
                out.extend_from_slice(&from.0.to_be_bytes());
                out.extend_from_slice(&to.0.to_be_bytes());
                out
            }
            Self::Read(item) => format!("read {item:?}").into_bytes(),
            Self::ArmSupply => b"arm-supply".to_vec(),
            Self::DisableSupply => b"disable-supply".to_vec(),
            Self::EnableSupply => b"enable-supply".to_vec(),
        }
    }
}

impl fmt::Display for Operation {
    /// For people: `read ActiveImport`, `disable supply`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArmSupply => f.write_str("arm supply"),
            Self::DisableSupply => f.write_str("disable supply"),
            Self::EnableSupply => f.write_str("enable supply"),
            Self::Read(item) => write!(f, "read {item:?}"),
            Self::ReadLog { log, from, to } => write!(f, "read log {log:?} from {from} to {to}"),
            Self::SynchroniseClock { time, tolerance_s } => {
                write!(f, "synchronise clock to {time} tolerance {tolerance_s} s")
            }
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done, nothing to say.
    Done,
    /// Rows of a log, oldest first.
    Log(Vec<LogRow>),
    /// One value.
    Value(Value),
}

/// Why a device did not do what was asked. A normal outcome, not an error of ours.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
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
}

/// What was wrong with an approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
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
