//! Our compact octets of operations and outcomes: what the queue object of a sleeping device carries.

use cosem::DecodeError;
use cosem::codec::{Reader, put_length, put_sized};
use domain::operation::{ApprovalFault, ClockStatus, KnownDevice, PaymentMode};
use domain::{
    Answer, DataItem, DeviceKind, Eui64, LogRow, Operation, Outcome, Quantity, Refusal, SimInstant, SupplyState, Unit,
    Value,
};

use crate::objects::LOGS;

/// Most rows in one outcome that is decoded.
const ROWS_MAX: usize = 100_000;

const ITEMS: [DataItem; 26] = [
    DataItem::AccumulatedDebt,
    DataItem::ActiveExport,
    DataItem::ActiveImport,
    DataItem::BatteryRemaining,
    DataItem::Clock,
    DataItem::DebtRecoveryPerPayment,
    DataItem::DebtRecoveryRateCap,
    DataItem::DeviceLog,
    DataItem::DisablementThreshold,
    DataItem::EmergencyCreditBalance,
    DataItem::EmergencyCreditLimit,
    DataItem::EmergencyCreditThreshold,
    DataItem::FirmwareVersion,
    DataItem::GasConsumption,
    DataItem::LowCreditThreshold,
    DataItem::MaximumCredit,
    DataItem::MaximumMeterBalance,
    DataItem::MeterBalance,
    DataItem::PaymentDebt,
    DataItem::PaymentMode,
    DataItem::ReactiveExport,
    DataItem::ReactiveImport,
    DataItem::SecondaryActiveImport,
    DataItem::SupplyState,
    DataItem::SuspendDebtDisabled,
    DataItem::SuspendDebtEmergency,
];
const UNITS: [Unit; 8] = [
    Unit::Count,
    Unit::Litre,
    Unit::MilliPence,
    Unit::Minute,
    Unit::HundredthPercent,
    Unit::VarHour,
    Unit::Watt,
    Unit::WattHour,
];
const FAULTS: [ApprovalFault; 4] = [
    ApprovalFault::Missing,
    ApprovalFault::Replayed,
    ApprovalFault::Stale,
    ApprovalFault::Wrong,
];

/// Position of `value` among `all`, from 1.
fn code<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter()
        .position(|each| each == value)
        .and_then(|at| u8::try_from(at + 1).ok())
        .unwrap_or(0)
}

fn of_code<T: Copy>(all: &[T], code: u8, what: &'static str) -> Result<T, DecodeError> {
    let at = usize::from(code).checked_sub(1);
    at.and_then(|at| all.get(at)).copied().ok_or(DecodeError::Unexpected {
        what,
        value: code.into(),
        at: 0,
    })
}

/// The code of an approval's fault, 0 for none.
pub(crate) fn fault_code(fault: Option<ApprovalFault>) -> u8 {
    fault.map_or(0, |fault| code(&FAULTS, &fault))
}

/// The fault of a code; `None` for 0 and unknown ones.
pub(crate) fn fault_of(number: u8) -> Option<ApprovalFault> {
    of_code(&FAULTS, number, "fault").ok()
}

/// The code of a device kind.
pub(crate) fn kind_code(kind: DeviceKind) -> u8 {
    code(&DeviceKind::ALL, &kind)
}

/// The device kind of a code.
pub(crate) fn kind_of(number: u8) -> Option<DeviceKind> {
    of_code(&DeviceKind::ALL, number, "kind").ok()
}

/// The octets of an operation.
pub(crate) fn operation_to_bytes(operation: &Operation) -> Vec<u8> {
    let mut out = Vec::new();
    match operation {
        Operation::ArmSupply => out.push(1),
        Operation::DisableSupply => out.push(2),
        Operation::EnableSupply => out.push(3),
        Operation::Read(item) => {
            out.push(4);
            put_item(&mut out, *item);
        }
        Operation::ReadLog { log, from, to } => {
            out.extend_from_slice(&[5, code(&LOGS, log)]);
            put_i64(&mut out, from.0);
            put_i64(&mut out, to.0);
        }
        Operation::SynchroniseClock { time, tolerance_s } => {
            out.push(6);
            put_i64(&mut out, time.0);
            out.extend_from_slice(&tolerance_s.to_be_bytes());
        }
    }
    out
}

/// The operation of octets that are exactly one.
pub(crate) fn operation_from_bytes(octets: &[u8]) -> Result<Operation, DecodeError> {
    let mut reader = Reader::closed(octets);
    let operation = match reader.u8()? {
        1 => Operation::ArmSupply,
        2 => Operation::DisableSupply,
        3 => Operation::EnableSupply,
        4 => Operation::Read(item(&mut reader)?),
        5 => Operation::ReadLog {
            log: of_code(&LOGS, reader.u8()?, "log")?,
            from: instant(&mut reader)?,
            to: instant(&mut reader)?,
        },
        6 => Operation::SynchroniseClock {
            time: instant(&mut reader)?,
            tolerance_s: reader.u32()?,
        },
        other => {
            return Err(DecodeError::Unexpected {
                what: "operation",
                value: other.into(),
                at: 0,
            });
        }
    };
    reader.finish()?;
    Ok(operation)
}

/// The octets of an outcome.
pub(crate) fn outcome_to_bytes(outcome: &Outcome) -> Vec<u8> {
    let mut out = Vec::new();
    match outcome {
        Ok(Answer::Done) => out.push(0),
        Ok(Answer::Log(rows)) => {
            out.push(1);
            put_length(&mut out, rows.len());
            rows.iter().for_each(|row| put_row(&mut out, row));
        }
        Ok(Answer::Value(value)) => {
            out.push(2);
            put_value(&mut out, value);
        }
        Err(refusal) => put_refusal(&mut out, refusal),
    }
    out
}

/// The outcome of octets that are exactly one.
pub(crate) fn outcome_from_bytes(octets: &[u8]) -> Result<Outcome, DecodeError> {
    let mut reader = Reader::closed(octets);
    let outcome = match reader.u8()? {
        0 => Ok(Answer::Done),
        1 => {
            let count = reader.length()?;
            if count > ROWS_MAX {
                return Err(DecodeError::TooLarge {
                    what: "number of rows",
                    limit: ROWS_MAX,
                });
            }
            Ok(Answer::Log(
                (0..count).map(|_| row(&mut reader)).collect::<Result<_, _>>()?,
            ))
        }
        2 => Ok(Answer::Value(value(&mut reader)?)),
        3 => Err(refusal(&mut reader)?),
        other => {
            return Err(DecodeError::Unexpected {
                what: "outcome",
                value: other.into(),
                at: 0,
            });
        }
    };
    reader.finish()?;
    Ok(outcome)
}

fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn i64_of(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    reader.array().map(i64::from_be_bytes)
}

fn instant(reader: &mut Reader<'_>) -> Result<SimInstant, DecodeError> {
    i64_of(reader).map(SimInstant)
}

fn put_item(out: &mut Vec<u8>, item: DataItem) {
    let parts = match item {
        DataItem::BlockRegister(number) => [101, number],
        DataItem::TimeDebt(number) => [102, number],
        DataItem::TouRegister(number) => [103, number],
        other => [code(&ITEMS, &other), 0],
    };
    out.extend_from_slice(&parts);
}

fn item(reader: &mut Reader<'_>) -> Result<DataItem, DecodeError> {
    let [first, number] = reader.array()?;
    match first {
        101 => Ok(DataItem::BlockRegister(number)),
        102 => Ok(DataItem::TimeDebt(number)),
        103 => Ok(DataItem::TouRegister(number)),
        other => of_code(&ITEMS, other, "item"),
    }
}

fn put_row(out: &mut Vec<u8>, row: &LogRow) {
    put_i64(out, row.at.0);
    match row.code {
        Some(event) => {
            out.push(1);
            out.extend_from_slice(&event.to_be_bytes());
        }
        None => out.push(0),
    }
    put_length(out, row.values.len());
    for (item, quantity) in &row.values {
        put_item(out, *item);
        put_quantity(out, *quantity);
    }
}

fn row(reader: &mut Reader<'_>) -> Result<LogRow, DecodeError> {
    let at = instant(reader)?;
    let code = if reader.flag()? { Some(reader.u16()?) } else { None };
    let count = reader.length()?;
    let values = (0..count)
        .map(|_| Ok((item(reader)?, quantity(reader)?)))
        .collect::<Result<_, DecodeError>>()?;
    Ok(LogRow { at, values, code })
}

fn put_quantity(out: &mut Vec<u8>, quantity: Quantity) {
    put_i64(out, quantity.value);
    out.push(code(&UNITS, &quantity.unit));
}

fn quantity(reader: &mut Reader<'_>) -> Result<Quantity, DecodeError> {
    Ok(Quantity {
        value: i64_of(reader)?,
        unit: of_code(&UNITS, reader.u8()?, "unit")?,
    })
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Clock(at, status) => {
            out.push(1);
            put_i64(out, at.0);
            out.push(code(&CLOCKS, status));
        }
        Value::Devices(devices) => {
            out.push(2);
            put_length(out, devices.len());
            for known in devices {
                out.extend_from_slice(&known.device.to_bytes());
                out.push(kind_code(known.kind));
                out.push(u8::from(known.last_heard.is_some()));
                known.last_heard.iter().for_each(|at| put_i64(out, at.0));
            }
        }
        Value::Flag(flag) => out.extend_from_slice(&[3, u8::from(*flag)]),
        Value::PaymentMode(mode) => out.extend_from_slice(&[4, code(&MODES, mode)]),
        Value::Quantity(quantity) => {
            out.push(5);
            put_quantity(out, *quantity);
        }
        Value::Supply(state) => out.extend_from_slice(&[6, code(&SUPPLIES, state)]),
        Value::Text(text) => {
            out.push(7);
            put_sized(out, text.as_bytes());
        }
    }
}

const CLOCKS: [ClockStatus; 3] = [ClockStatus::Reliable, ClockStatus::Unreliable, ClockStatus::Invalid];
const MODES: [PaymentMode; 2] = [PaymentMode::Credit, PaymentMode::Prepayment];
const SUPPLIES: [SupplyState; 3] = [SupplyState::Disabled, SupplyState::Armed, SupplyState::Enabled];

fn value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    Ok(match reader.u8()? {
        1 => Value::Clock(instant(reader)?, of_code(&CLOCKS, reader.u8()?, "clock status")?),
        2 => {
            let count = reader.length()?;
            let one = |reader: &mut Reader<'_>| {
                let device = Eui64::from_bytes(reader.array()?);
                let kind = of_code(&DeviceKind::ALL, reader.u8()?, "kind")?;
                let last_heard = if reader.flag()? { Some(instant(reader)?) } else { None };
                Ok(KnownDevice {
                    device,
                    kind,
                    last_heard,
                })
            };
            Value::Devices((0..count).map(|_| one(reader)).collect::<Result<_, DecodeError>>()?)
        }
        3 => Value::Flag(reader.flag()?),
        4 => Value::PaymentMode(of_code(&MODES, reader.u8()?, "payment mode")?),
        5 => Value::Quantity(quantity(reader)?),
        6 => Value::Supply(of_code(&SUPPLIES, reader.u8()?, "supply state")?),
        7 => Value::Text(String::from_utf8_lossy(reader.sized()?).into_owned()),
        other => {
            return Err(DecodeError::Unexpected {
                what: "value",
                value: other.into(),
                at: reader.at(),
            });
        }
    })
}

fn put_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    let parts = match refusal {
        Refusal::Approval(fault) => [1, fault_code(Some(*fault))],
        Refusal::Busy => [2, 0],
        Refusal::HardwareFault => [3, 0],
        Refusal::NotPermitted => [4, 0],
        Refusal::NotSupported => [5, 0],
        Refusal::OutOfRange => [6, 0],
        Refusal::Unreachable => [7, 0],
        Refusal::WrongState => [8, 0],
        // A refusal added later has no code yet; the device is then taken to be unable.
        _ => [2, 0],
    };
    out.push(3);
    out.extend_from_slice(&parts);
}

fn refusal(reader: &mut Reader<'_>) -> Result<Refusal, DecodeError> {
    let [first, second] = reader.array()?;
    Ok(match first {
        1 => Refusal::Approval(of_code(&FAULTS, second, "fault")?),
        2 => Refusal::Busy,
        3 => Refusal::HardwareFault,
        4 => Refusal::NotPermitted,
        5 => Refusal::NotSupported,
        6 => Refusal::OutOfRange,
        7 => Refusal::Unreachable,
        8 => Refusal::WrongState,
        other => {
            return Err(DecodeError::Unexpected {
                what: "refusal",
                value: other.into(),
                at: 0,
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::LogKind;
    use proptest::prelude::*;

    #[test]
    fn operations_and_outcomes_read_as_they_write() {
        let at = SimInstant(1_553_000_000_123);
        let mut operations: Vec<_> = ITEMS.into_iter().map(Operation::Read).collect();
        operations.extend([
            Operation::ArmSupply,
            Operation::DisableSupply,
            Operation::EnableSupply,
            Operation::Read(DataItem::TouRegister(48)),
            Operation::ReadLog {
                log: LogKind::Security,
                from: SimInstant(0),
                to: at,
            },
            Operation::SynchroniseClock {
                time: at,
                tolerance_s: 10,
            },
        ]);
        for operation in operations {
            assert_eq!(operation_from_bytes(&operation_to_bytes(&operation)), Ok(operation));
        }
        let quantity = Quantity::new(-5, Unit::MilliPence);
        let row = LogRow {
            at,
            values: vec![(DataItem::TimeDebt(2), quantity)],
            code: Some(0x8F01),
        };
        let known = KnownDevice {
            device: Eui64(7),
            kind: DeviceKind::Gsme,
            last_heard: Some(at),
        };
        let values = [
            Value::Clock(at, ClockStatus::Unreliable),
            Value::Devices(vec![
                known,
                KnownDevice {
                    last_heard: None,
                    ..known
                },
            ]),
            Value::Flag(true),
            Value::PaymentMode(PaymentMode::Prepayment),
            Value::Quantity(quantity),
            Value::Supply(SupplyState::Armed),
            Value::Text("LAB-0001".into()),
        ];
        let mut outcomes: Vec<Outcome> = values.into_iter().map(|value| Ok(Answer::Value(value))).collect();
        outcomes.extend([
            Ok(Answer::Done),
            Ok(Answer::Log(vec![row.clone(), LogRow { code: None, ..row }])),
        ]);
        outcomes.extend(FAULTS.into_iter().map(|fault| Err(Refusal::Approval(fault))));
        let plain = [
            Refusal::Busy,
            Refusal::HardwareFault,
            Refusal::NotPermitted,
            Refusal::NotSupported,
        ];
        outcomes.extend(plain.into_iter().map(Err));
        outcomes.extend(
            [Refusal::OutOfRange, Refusal::Unreachable, Refusal::WrongState]
                .into_iter()
                .map(Err),
        );
        for outcome in outcomes {
            let octets = outcome_to_bytes(&outcome);
            assert_eq!(outcome_from_bytes(&octets), Ok(outcome));
            assert!((0..octets.len()).all(|end| outcome_from_bytes(&octets[..end]).is_err()));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_taken_calmly(octets: Vec<u8>) {
            let _ = operation_from_bytes(&octets);
            let _ = outcome_from_bytes(&octets);
        }
    }
}
