//! Bodies and answers of the requests that only read a device.

use domain::operation::{Answer, ClockStatus, KnownDevice, PaymentMode, Quantity, SupplyState, Unit, Value};
use domain::{DataItem, DeviceKind, LogKind, LogRow, Operation, SimInstant};
use duis::Element;

use super::{DEVICE, HUB};

pub(crate) fn fill(srv: &str, body: Element) -> Element {
    let period = |from: &str, to: &str| {
        Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", from)
            .with_leaf("EndDateTime", to)
    };
    match srv {
        "4.6.1" => body.with(period("2019-03-01T00:00:00Z", "2019-03-31T00:00:00Z")),
        "4.8.1" => body.with(period("2019-03-30T00:00:00.00Z", "2019-03-31T00:00:00")),
        _ => body,
    }
}

fn at(text: &str) -> SimInstant {
    text.parse().expect("an instant")
}

fn quantity(value: i64, unit: Unit) -> Value {
    Value::Quantity(Quantity::new(value, unit))
}

/// What a well-behaved device would answer.
pub(crate) fn answer(operation: &Operation, kind: DeviceKind) -> Answer {
    use DataItem as I;
    let volume = if kind.is_gas() { Unit::Litre } else { Unit::WattHour };
    match operation {
        Operation::Read(item) => Answer::Value(match item {
            I::ActiveImport => quantity(12_345_678, Unit::WattHour),
            I::SecondaryActiveImport => quantity(4_321, Unit::WattHour),
            I::ActiveExport => quantity(0, Unit::WattHour),
            I::ReactiveImport | I::ReactiveExport => quantity(987, Unit::VarHour),
            I::GasConsumption => quantity(1_234_056, Unit::Litre),
            I::BatteryRemaining => quantity(3000, Unit::Count),
            I::Clock => Value::Clock(at("2019-03-31T10:00:02Z"), ClockStatus::Reliable),
            I::DebtRecoveryPerPayment => quantity(2500, Unit::HundredthPercent),
            I::DeviceLog => Value::Devices(vec![
                KnownDevice {
                    device: DEVICE,
                    kind: DeviceKind::Esme,
                    last_heard: Some(at("2019-03-31T09:59:00Z")),
                },
                KnownDevice {
                    device: HUB,
                    kind: DeviceKind::Ihd,
                    last_heard: None,
                },
            ]),
            I::FirmwareVersion => Value::Text("BASE".into()),
            I::PaymentMode => Value::PaymentMode(PaymentMode::Prepayment),
            I::SupplyState => Value::Supply(SupplyState::Enabled),
            I::SuspendDebtDisabled => Value::Flag(true),
            I::SuspendDebtEmergency => Value::Flag(false),
            I::MeterBalance => quantity(-150_000, Unit::MilliPence),
            _ => quantity(300_000, Unit::MilliPence),
        }),
        Operation::ReadLog { log, .. } => Answer::Log(rows(*log, volume)),
        _ => Answer::Done,
    }
}

fn rows(log: LogKind, unit: Unit) -> Vec<LogRow> {
    let gas = unit == Unit::Litre;
    let total = if gas {
        DataItem::GasConsumption
    } else {
        DataItem::ActiveImport
    };
    let row = |at: SimInstant, values| LogRow { at, values, code: None };
    match log {
        LogKind::DailyRead => vec![row(
            at("2019-03-30T00:00:00Z"),
            vec![
                (total, Quantity::new(1_000_500, unit)),
                (DataItem::BlockRegister(1), Quantity::new(400, unit)),
                (DataItem::TouRegister(1), Quantity::new(600, unit)),
                (DataItem::TouRegister(2), Quantity::new(500, unit)),
            ],
        )],
        _ => vec![
            row(at("2019-03-30T00:30:00Z"), vec![(total, Quantity::new(250, unit))]),
            row(at("2019-03-30T01:00:00Z"), vec![(total, Quantity::new(151, unit))]),
        ],
    }
}
