//! Converts between the semantic device interface of `/proto` and the types of `domain`.
//!
//! Names travel as text exactly as the types spell them (`ActiveImport`, `TimeDebt.1`, `Approval.Stale`). Reading is
//! strict: a missing part, an unknown name or a value beyond its limit is a [`SemanticError`], never a guess.

use domain::operation::{ClockStatus, KnownDevice, PaymentMode};
use domain::{
    Answer, DataItem, DeviceKind, Eui64, LogKind, LogRow, Operation, Outcome, Quantity, Refusal, SimInstant,
    SupplyState, Unit, Value,
};

use crate::limits::{LOG_ROWS_MAX, TEXT_MAX};
use crate::tree;

/// A message of the semantic device interface that says nothing we know. The peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SemanticError {
    /// A part that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// More than the limit allows.
    #[error("{what} beyond its limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A tree that is not the one form of what it should be.
    #[error("this is no {what}: {problem}")]
    Shape {
        /// What it should be.
        what: &'static str,
        /// What is wrong, cut to 200 characters.
        problem: String,
    },
    /// A name that is none of those known.
    #[error("{what} {name:?} is unknown")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// As it stood there, cut to 80 characters.
        name: String,
    },
}

/// Two functions per set of plain names: the name of a value and the value of a name.
macro_rules! names {
    ($(#[$doc:meta])* $name_of:ident, $read:ident, $what:literal, $type:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name_of(value: $type) -> &'static str {
            match value {
                $($type::$variant => stringify!($variant),)+
            }
        }

        #[doc = concat!("The inverse of [`", stringify!($name_of), "`].")]
        ///
        /// # Errors
        /// [`SemanticError::Unknown`].
        pub fn $read(name: &str) -> Result<$type, SemanticError> {
            match name {
                $(stringify!($variant) => Ok($type::$variant),)+
                _ => Err(unknown($what, name)),
            }
        }
    };
}

names!(
    /// The name of a unit.
    unit_name, read_unit_name, "unit",
    Unit { Count, Litre, MilliPence, Minute, HundredthPercent, VarHour, Watt, WattHour }
);
names!(
    /// The name of a supply state.
    supply_name, read_supply_name, "supply state", SupplyState { Disabled, Armed, Enabled }
);
names!(
    /// The name of a payment mode.
    payment_mode_name, read_payment_mode_name, "payment mode", PaymentMode { Credit, Prepayment }
);
names!(
    /// The name of a clock status.
    clock_status_name, read_clock_status_name, "clock status", ClockStatus { Reliable, Unreliable, Invalid }
);
/// Reads the name of a data item.
///
/// # Errors
/// [`SemanticError::Unknown`].
fn read_item_name(name: &str) -> Result<DataItem, SemanticError> {
    name.parse().map_err(|_| unknown("data item", name))
}

/// Reads the name of a log.
fn read_log_name(name: &str) -> Result<LogKind, SemanticError> {
    name.parse().map_err(|_| unknown("log", name))
}

/// Faults that refine a refusal, by the refusal's name.
macro_rules! faults {
    ($($type:ident { $($variant:ident),+ $(,)? })+) => {
        /// The name of a refusal, with its detail: `NotSupported`, `Approval.Stale`, `Token.Duplicate`.
        #[must_use]
        pub fn refusal_name(refusal: &Refusal) -> String {
            match refusal {
                Refusal::Approval(fault) => format!("Approval.{fault:?}"),
                Refusal::Image(fault) => format!("Image.{fault:?}"),
                Refusal::Token(fault) => format!("Token.{fault:?}"),
                // All others are plain words; the type may grow.
                plain => format!("{plain:?}"),
            }
        }

        fn read_fault(family: &str, name: &str) -> Option<Refusal> {
            match family {
                $(stringify!($type) => match name {
                    $(stringify!($variant) => Some(Refusal::$type(fault::$type::$variant)),)+
                    _ => None,
                },)+
                _ => None,
            }
        }
    };
}

/// The fault types under the names of their refusals.
mod fault {
    pub(super) use domain::operation::{ApprovalFault as Approval, ImageFault as Image, TokenFault as Token};
}

faults!(
    Approval { Missing, Replayed, Stale, Wrong }
    Image { Block, Hash, Incomplete, NotBegun, NotForThisDevice }
    Token { Duplicate, Format, Locked, NotAuthentic, NotPrepayment, OtherDevice, OverBalance, OverCredit, Incomplete, UnderBalance }
);

/// The inverse of [`refusal_name`].
///
/// # Errors
/// [`SemanticError::Unknown`].
pub fn read_refusal_name(name: &str) -> Result<Refusal, SemanticError> {
    if let Some((family, fault)) = name.split_once('.') {
        return read_fault(family, fault).ok_or_else(|| unknown("refusal", name));
    }
    Ok(match name {
        "Busy" => Refusal::Busy,
        "HardwareFault" => Refusal::HardwareFault,
        "NotPermitted" => Refusal::NotPermitted,
        "NotSupported" => Refusal::NotSupported,
        "NotTried" => Refusal::NotTried,
        "OutOfRange" => Refusal::OutOfRange,
        "Unreachable" => Refusal::Unreachable,
        "WrongState" => Refusal::WrongState,
        _ => return Err(unknown("refusal", name)),
    })
}

/// An operation as a message.
#[must_use]
pub fn operation_to_proto(operation: &Operation) -> proto::Operation {
    use proto::operation::Operation as Wire;
    let supply = |command: proto::SupplyCommand| Wire::Supply(command.into());
    let wire = match operation {
        Operation::ArmSupply => supply(proto::SupplyCommand::Arm),
        Operation::DisableSupply => supply(proto::SupplyCommand::Disable),
        Operation::EnableSupply => supply(proto::SupplyCommand::Enable),
        Operation::Read(item) => Wire::Read(item.name()),
        Operation::ReadLog { log, from, to } => Wire::ReadLog(proto::ReadLog {
            log: log.name().to_owned(),
            from_ms: from.0,
            to_ms: to.0,
        }),
        Operation::SynchroniseClock { time, tolerance_s } => Wire::SynchroniseClock(proto::SynchroniseClock {
            time_ms: time.0,
            tolerance_s: *tolerance_s,
        }),
        other => Wire::Act(act(other)),
    };
    proto::Operation { operation: Some(wire) }
}

/// The inverse of [`operation_to_proto`].
///
/// # Errors
/// [`SemanticError`].
pub fn operation_from_proto(message: &proto::Operation) -> Result<Operation, SemanticError> {
    use proto::operation::Operation as Wire;
    match message.operation.as_ref().ok_or(SemanticError::Missing("operation"))? {
        Wire::Read(name) => read_item_name(name).map(Operation::Read),
        Wire::ReadLog(read) => Ok(Operation::ReadLog {
            log: read_log_name(&read.log)?,
            from: SimInstant(read.from_ms),
            to: SimInstant(read.to_ms),
        }),
        Wire::SynchroniseClock(set) => Ok(Operation::SynchroniseClock {
            time: SimInstant(set.time_ms),
            tolerance_s: set.tolerance_s,
        }),
        Wire::Supply(command) => match proto::SupplyCommand::try_from(*command) {
            Ok(proto::SupplyCommand::Arm) => Ok(Operation::ArmSupply),
            Ok(proto::SupplyCommand::Disable) => Ok(Operation::DisableSupply),
            Ok(proto::SupplyCommand::Enable) => Ok(Operation::EnableSupply),
            Ok(proto::SupplyCommand::Unspecified) | Err(_) => Err(unknown("supply command", &command.to_string())),
        },
        Wire::Act(act) => act_from_proto(act),
    }
}

/// An operation without a message of its own: the name of its variant and the tree of its content.
fn act(operation: &Operation) -> proto::Act {
    use proto::tree::Tree as Wire;
    match tree::of(operation).tree {
        Some(Wire::Map(mut map)) if map.entries.len() == 1 => {
            let entry = map.entries.remove(0);
            proto::Act {
                name: entry.name,
                arguments: entry.value,
            }
        }
        Some(Wire::Text(name)) => proto::Act { name, arguments: None },
        _ => proto::Act::default(),
    }
}

fn act_from_proto(message: &proto::Act) -> Result<Operation, SemanticError> {
    use proto::tree::Tree as Wire;
    let whole = match &message.arguments {
        None => Wire::Text(message.name.clone()),
        Some(arguments) => Wire::Map(proto::TreeMap {
            entries: vec![proto::TreeEntry {
                name: message.name.clone(),
                value: Some(arguments.clone()),
            }],
        }),
    };
    let operation = tree::read(&proto::Tree { tree: Some(whole) }, "operation")?;
    match operation {
        Operation::Read(_)
        | Operation::ReadLog { .. }
        | Operation::SynchroniseClock { .. }
        | Operation::ArmSupply
        | Operation::DisableSupply
        | Operation::EnableSupply => Err(unknown("act", &message.name)),
        other => Ok(other),
    }
}

/// An outcome as a message.
#[must_use]
pub fn outcome_to_proto(outcome: &Outcome) -> proto::OperationOutcome {
    use proto::operation_outcome::Outcome as Wire;
    let wire = match outcome {
        Ok(answer) => Wire::Answer(answer_to_proto(answer)),
        Err(refusal) => Wire::Refusal(refusal_name(refusal)),
    };
    proto::OperationOutcome { outcome: Some(wire) }
}

/// The inverse of [`outcome_to_proto`].
///
/// # Errors
/// [`SemanticError`].
pub fn outcome_from_proto(message: &proto::OperationOutcome) -> Result<Outcome, SemanticError> {
    use proto::operation_outcome::Outcome as Wire;
    match message.outcome.as_ref().ok_or(SemanticError::Missing("outcome"))? {
        Wire::Answer(answer) => answer_from_proto(answer).map(Ok),
        Wire::Refusal(name) => read_refusal_name(name).map(Err),
    }
}

/// An answer as a message.
#[must_use]
pub fn answer_to_proto(answer: &Answer) -> proto::Answer {
    use proto::answer::Answer as Wire;
    let wire = match answer {
        Answer::Done => Wire::Done(true),
        Answer::Log(rows) => Wire::Log(proto::LogRows {
            rows: rows.iter().map(row_to_proto).collect(),
        }),
        Answer::Value(value) => Wire::Value(value_to_proto(value)),
    };
    proto::Answer { answer: Some(wire) }
}

/// The inverse of [`answer_to_proto`].
///
/// # Errors
/// [`SemanticError`]; `done` that is not true is one.
pub fn answer_from_proto(message: &proto::Answer) -> Result<Answer, SemanticError> {
    use proto::answer::Answer as Wire;
    match message.answer.as_ref().ok_or(SemanticError::Missing("answer"))? {
        Wire::Done(true) => Ok(Answer::Done),
        Wire::Done(false) => Err(unknown("answer", "done = false")),
        Wire::Log(log) if log.rows.len() > LOG_ROWS_MAX => Err(SemanticError::TooLarge {
            what: "log rows",
            limit: LOG_ROWS_MAX,
        }),
        Wire::Log(log) => log
            .rows
            .iter()
            .map(row_from_proto)
            .collect::<Result<_, _>>()
            .map(Answer::Log),
        Wire::Value(value) => value_from_proto(value).map(Answer::Value),
    }
}

/// A value as a message.
#[must_use]
pub fn value_to_proto(value: &Value) -> proto::Value {
    use proto::value::Value as Wire;
    let wire = match value {
        Value::Clock(at, status) => Wire::Clock(proto::ClockReading {
            time_ms: at.0,
            status: clock_status_name(*status).to_owned(),
        }),
        Value::Devices(devices) => Wire::Devices(proto::KnownDevices {
            devices: devices.iter().map(device_to_proto).collect(),
        }),
        Value::Flag(flag) => Wire::Flag(*flag),
        Value::PaymentMode(mode) => Wire::PaymentMode(payment_mode_name(*mode).to_owned()),
        Value::Quantity(quantity) => Wire::Quantity(quantity_to_proto(*quantity)),
        Value::Supply(state) => Wire::Supply(supply_name(*state).to_owned()),
        Value::Stamped(quantity, at) => Wire::Stamped(proto::StampedQuantity {
            quantity: Some(quantity_to_proto(*quantity)),
            at_ms: at.0,
        }),
        Value::Text(text) => Wire::Text(text.clone()),
        Value::Image(_) | Value::Setting(_) | Value::Table(_) => Wire::Other(tree::of(value)),
    };
    proto::Value { value: Some(wire) }
}

/// The inverse of [`value_to_proto`].
///
/// # Errors
/// [`SemanticError`].
pub fn value_from_proto(message: &proto::Value) -> Result<Value, SemanticError> {
    use proto::value::Value as Wire;
    Ok(match message.value.as_ref().ok_or(SemanticError::Missing("value"))? {
        Wire::Clock(clock) => Value::Clock(SimInstant(clock.time_ms), read_clock_status_name(&clock.status)?),
        Wire::Devices(known) => Value::Devices(known.devices.iter().map(device_from_proto).collect::<Result<_, _>>()?),
        Wire::Flag(flag) => Value::Flag(*flag),
        Wire::PaymentMode(name) => Value::PaymentMode(read_payment_mode_name(name)?),
        Wire::Quantity(quantity) => Value::Quantity(quantity_from_proto(quantity)?),
        Wire::Stamped(stamped) => {
            let quantity = stamped.quantity.as_ref().ok_or(SemanticError::Missing("quantity"))?;
            Value::Stamped(quantity_from_proto(quantity)?, SimInstant(stamped.at_ms))
        }
        Wire::Other(tree) => match tree::read(tree, "value")? {
            value @ (Value::Image(_) | Value::Setting(_) | Value::Table(_)) => value,
            // Everything else has a form of its own, and a message has one form.
            _ => return Err(unknown("value", "a tree of something that is none")),
        },
        Wire::Supply(name) => Value::Supply(read_supply_name(name)?),
        Wire::Text(text) if text.chars().count() > TEXT_MAX => {
            return Err(SemanticError::TooLarge {
                what: "text",
                limit: TEXT_MAX,
            });
        }
        Wire::Text(text) => Value::Text(text.clone()),
    })
}

fn quantity_to_proto(quantity: Quantity) -> proto::Quantity {
    proto::Quantity {
        value: quantity.value,
        unit: unit_name(quantity.unit).to_owned(),
    }
}

fn quantity_from_proto(message: &proto::Quantity) -> Result<Quantity, SemanticError> {
    Ok(Quantity::new(message.value, read_unit_name(&message.unit)?))
}

fn device_to_proto(known: &KnownDevice) -> proto::KnownDevice {
    proto::KnownDevice {
        device: known.device.0,
        kind: known.kind.as_str().to_owned(),
        last_heard_ms: known.last_heard.map(|at| at.0),
    }
}

fn device_from_proto(message: &proto::KnownDevice) -> Result<KnownDevice, SemanticError> {
    // Not `FromStr`: that accepts either case, and a message has one form.
    let kind = DeviceKind::ALL.into_iter().find(|kind| kind.as_str() == message.kind);
    Ok(KnownDevice {
        device: Eui64(message.device),
        kind: kind.ok_or_else(|| unknown("device kind", &message.kind))?,
        last_heard: message.last_heard_ms.map(SimInstant),
    })
}

fn row_to_proto(row: &LogRow) -> proto::LogRow {
    let value = |(item, quantity): &(DataItem, Quantity)| proto::ItemValue {
        item: item.name(),
        quantity: Some(quantity_to_proto(*quantity)),
    };
    proto::LogRow {
        at_ms: row.at.0,
        values: row.values.iter().map(value).collect(),
        code: row.code.map(u32::from),
    }
}

fn row_from_proto(message: &proto::LogRow) -> Result<LogRow, SemanticError> {
    let value = |value: &proto::ItemValue| {
        let quantity = value.quantity.as_ref().ok_or(SemanticError::Missing("quantity"))?;
        Ok((read_item_name(&value.item)?, quantity_from_proto(quantity)?))
    };
    let code = message.code.map(|code| {
        u16::try_from(code).map_err(|_| SemanticError::TooLarge {
            what: "event code",
            limit: usize::from(u16::MAX),
        })
    });
    Ok(LogRow {
        at: SimInstant(message.at_ms),
        values: message.values.iter().map(value).collect::<Result<_, SemanticError>>()?,
        code: code.transpose()?,
    })
}

fn unknown(what: &'static str, name: &str) -> SemanticError {
    SemanticError::Unknown {
        what,
        name: name.chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use domain::operation::{
        ApprovalFault, Counter, HanEntry, ImageFault, ImageHash, ImageState, ImageStatus, Octets, Prices, Setting,
        Token, TokenFault,
    };
    use proptest::prelude::*;
    use proto::Message;

    use super::*;

    fn quantity() -> impl Strategy<Value = Quantity> {
        let units = [
            "Count",
            "Litre",
            "MilliPence",
            "Minute",
            "HundredthPercent",
            "VarHour",
            "Watt",
            "WattHour",
        ];
        (any::<i64>(), prop::sample::select(units.to_vec()))
            .prop_map(|(value, unit)| Quantity::new(value, read_unit_name(unit).expect("a unit")))
    }

    fn item() -> impl Strategy<Value = DataItem> {
        prop::sample::select(DataItem::every().collect::<Vec<_>>())
    }

    fn log() -> impl Strategy<Value = LogKind> {
        prop::sample::select(LogKind::ALL)
    }

    /// One of each kind of act, with content in all depths.
    fn acts() -> Vec<Operation> {
        vec![
            Operation::AdjustBalance(-5),
            Operation::ResetBalance,
            Operation::ChangeDebt(Box::default()),
            Operation::ActivateEmergencyCredit,
            Operation::EnterToken(Token("73946144332040217315".into())),
            Operation::DisplayMessage("Hello".into()),
            Operation::RestrictAccess { before: SimInstant(5) },
            Operation::ClearLog(LogKind::Event),
            Operation::ResetCounters(vec![Counter::RmsVoltage]),
            Operation::Join(Eui64(5)),
            Operation::AddToHan(Box::new(HanEntry {
                device: Eui64(7),
                kind: Some(DeviceKind::Ppmid),
                install_code: Octets(vec![1; 8]),
                join_within_s: 60,
            })),
            Operation::BeginImage {
                octets: 70_000,
                hash: ImageHash([7; 32]),
                device: None,
            },
            Operation::ImageBlock {
                number: 3,
                octets: Octets(vec![0, 255]),
            },
            Operation::StageKeys {
                party: domain::keys::Party::S1sp,
                epoch: 2,
            },
            Operation::Write(Box::new(Setting::ImportMpxn(("9900000000001".into(), None)))),
            Operation::Write(Box::new(Setting::Prices(Prices {
                standing_charge_mp: 12,
                tou_mp: vec![Some(5), None],
                block_mp: vec![vec![None, Some(3)]],
                ..Prices::default()
            }))),
        ]
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let instant = || any::<i64>().prop_map(SimInstant);
        prop_oneof![
            Just(Operation::ArmSupply),
            Just(Operation::DisableSupply),
            Just(Operation::EnableSupply),
            item().prop_map(Operation::Read),
            (log(), instant(), instant()).prop_map(|(log, from, to)| Operation::ReadLog { log, from, to }),
            (instant(), any::<u32>()).prop_map(|(time, tolerance_s)| Operation::SynchroniseClock { time, tolerance_s }),
            prop::sample::select(acts()),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let known = (
            any::<u64>(),
            prop::sample::select(DeviceKind::ALL.to_vec()),
            any::<Option<i64>>(),
        )
            .prop_map(|(device, kind, heard)| KnownDevice {
                device: Eui64(device),
                kind,
                last_heard: heard.map(SimInstant),
            });
        let states = [SupplyState::Disabled, SupplyState::Armed, SupplyState::Enabled];
        let clocks = [ClockStatus::Reliable, ClockStatus::Unreliable, ClockStatus::Invalid];
        let modes = [PaymentMode::Credit, PaymentMode::Prepayment];
        prop_oneof![
            (any::<i64>(), prop::sample::select(clocks.to_vec())).prop_map(|(at, s)| Value::Clock(SimInstant(at), s)),
            prop::collection::vec(known, 0..5).prop_map(Value::Devices),
            any::<bool>().prop_map(Value::Flag),
            prop::sample::select(modes.to_vec()).prop_map(Value::PaymentMode),
            quantity().prop_map(Value::Quantity),
            prop::sample::select(states.to_vec()).prop_map(Value::Supply),
            (quantity(), any::<i64>()).prop_map(|(quantity, at)| Value::Stamped(quantity, SimInstant(at))),
            Just(Value::Setting(Box::new(Setting::DailyBlockReset(true)))),
            prop::collection::vec((item(), quantity()), 0..5).prop_map(Value::Table),
            Just(Value::Image(ImageStatus {
                state: ImageState::Verified,
                first_missing: 9,
                block_octets: 512,
                verified: ImageHash([1; 32]),
            })),
            "\\PC{0,60}".prop_map(Value::Text),
        ]
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        let row = (
            any::<i64>(),
            prop::collection::vec((item(), quantity()), 0..3),
            any::<Option<u16>>(),
        )
            .prop_map(|(at, values, code)| LogRow {
                at: SimInstant(at),
                values,
                code,
            });
        let faults = [
            ApprovalFault::Missing,
            ApprovalFault::Replayed,
            ApprovalFault::Stale,
            ApprovalFault::Wrong,
        ];
        let plain = [
            Refusal::Busy,
            Refusal::HardwareFault,
            Refusal::NotPermitted,
            Refusal::NotSupported,
            Refusal::NotTried,
            Refusal::OutOfRange,
            Refusal::Unreachable,
            Refusal::WrongState,
            Refusal::Token(TokenFault::Duplicate),
            Refusal::Image(ImageFault::Incomplete),
        ];
        prop_oneof![
            Just(Ok(Answer::Done)),
            prop::collection::vec(row, 0..5).prop_map(|rows| Ok(Answer::Log(rows))),
            value().prop_map(|value| Ok(Answer::Value(value))),
            prop::sample::select(faults.to_vec()).prop_map(|fault| Err(Refusal::Approval(fault))),
            prop::sample::select(plain.to_vec()).prop_map(Err),
        ]
    }

    proptest! {
        #[test]
        fn operations_round_trip_over_the_wire(operation in operation()) {
            let octets = operation_to_proto(&operation).encode_to_vec();
            let message = proto::Operation::decode(octets.as_slice()).expect("decodes");
            prop_assert_eq!(operation_from_proto(&message), Ok(operation));
        }

        #[test]
        fn outcomes_round_trip_over_the_wire(outcome in outcome()) {
            let octets = outcome_to_proto(&outcome).encode_to_vec();
            let message = proto::OperationOutcome::decode(octets.as_slice()).expect("decodes");
            prop_assert_eq!(outcome_from_proto(&message), Ok(outcome));
        }
    }

    #[test]
    fn what_is_not_exactly_right_is_refused() {
        for name in ["", "Approval", "Approval.", "Approval.Late", "Stale"] {
            assert!(read_refusal_name(name).is_err(), "{name}");
        }
        let supply = proto::operation::Operation::Supply(0);
        assert!(
            operation_from_proto(&proto::Operation {
                operation: Some(supply)
            })
            .is_err()
        );
        // What has a message of its own has no other.
        let act = proto::operation::Operation::Act(proto::Act {
            name: "ArmSupply".into(),
            arguments: None,
        });
        assert!(operation_from_proto(&proto::Operation { operation: Some(act) }).is_err());
        let act = proto::operation::Operation::Act(proto::Act {
            name: "Explode".into(),
            arguments: None,
        });
        let error = operation_from_proto(&proto::Operation { operation: Some(act) }).expect_err("unknown");
        assert!(error.to_string().contains("Explode"), "{error}");
        assert_eq!(
            operation_from_proto(&proto::Operation::default()),
            Err(SemanticError::Missing("operation"))
        );
        let done = proto::Answer {
            answer: Some(proto::answer::Answer::Done(false)),
        };
        assert!(answer_from_proto(&done).is_err());
        let long = proto::Value {
            value: Some(proto::value::Value::Text("x".repeat(TEXT_MAX + 1))),
        };
        assert!(value_from_proto(&long).is_err());
    }
}
