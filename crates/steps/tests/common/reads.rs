//! Bodies and answers of the requests that only read a device.

use domain::operation::{Answer, ClockStatus, KnownDevice, PaymentMode, Quantity, SupplyState, Unit, Value};
use domain::{DataItem, DeviceKind, LogKind, LogRow, Operation, SimInstant};
use duis::Element;

use super::{DEVICE, HUB, settings};

pub(crate) fn fill(srv: &str, body: Element) -> Element {
    let period = |from: &str, to: &str| {
        Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", from)
            .with_leaf("EndDateTime", to)
    };
    match srv {
        "4.4.2" | "4.4.3" | "4.4.4" | "4.4.5" | "4.6.1" | "4.6.2" | "4.10" | "4.14" | "4.17" => {
            body.with(period("2019-03-01T00:00:00Z", "2019-03-31T00:00:00Z"))
        }
        "4.8.1" | "4.8.2" | "4.8.3" => body.with(period("2019-03-30T00:00:00.00Z", "2019-03-31T00:00:00")),
        "6.13" => body
            .with(period("2019-03-01T00:00:00Z", "2019-03-31T00:00:00Z"))
            .with_leaf("LogToRead", "Event"),
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
            I::DebtRecoveryHourly(n) => Value::Flag(*n == 2),
            I::AuxiliaryLoadSwitch(n) => Value::Flag(*n == 1),
            I::Manufacturer => Value::Text("Honeywell Elster".into()),
            I::ModelType => Value::Text("AS300P-LONG-NAME".into()),
            I::MeterVariant => Value::Text("A".into()),
            I::TouRegisters if kind.is_gas() => table(4, volume, I::TouRegister),
            I::TouRegisters => table(48, volume, I::TouRegister),
            I::SecondaryTouRegisters => table(4, volume, I::SecondaryTouRegister),
            I::BlockCounters => table(4, volume, I::BlockRegister),
            I::BlockTouCounters | I::BlockTouRegisters => {
                table(32, volume, |n| I::BlockTouRegister((n - 1) / 8 + 1, (n - 1) % 8 + 1))
            }
            I::MaximumDemandExport | I::MaximumDemandImport | I::MaximumDemandImportInPeriod => {
                Value::Stamped(Quantity::new(4_321, Unit::Watt), at("2019-03-29T18:00:00Z"))
            }
            I::ActivePowerImport | I::PrimaryActivePowerImport => quantity(850, Unit::Watt),
            I::LoadLimitCounter | I::VoltageCounter(_) => quantity(3, Unit::Count),
            I::RandomisedOffset | I::RandomisedOffsetNumber | I::RandomisedOffsetLimit => quantity(90, Unit::Count),
            I::Setting(setting) => Value::Setting(Box::new(settings::example(*setting, kind.is_gas()))),
            _ => quantity(300_000, Unit::MilliPence),
        }),
        Operation::ReadLog { log, .. } => Answer::Log(rows(*log, volume)),
        _ => Answer::Done,
    }
}

fn table(count: u8, unit: Unit, item: impl Fn(u8) -> DataItem) -> Value {
    let row = |n: u8| (item(n), Quantity::new(i64::from(n) * 1_001, unit));
    Value::Table((1..=count).map(row).collect())
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
        LogKind::Billing | LogKind::BillingModeOrTariff => {
            let mp = |item, value| (item, Quantity::new(value, Unit::MilliPence));
            let registers = vec![
                (total, Quantity::new(1_000_500, unit)),
                (DataItem::TouRegister(1), Quantity::new(1_000_500, unit)),
                (DataItem::BlockRegister(1), Quantity::new(400, unit)),
                (DataItem::BlockRegister(2), Quantity::new(100, unit)),
            ];
            let account = [
                mp(DataItem::AccumulatedDebt, 1),
                mp(DataItem::EmergencyCreditBalance, 2),
                mp(DataItem::MeterBalance, -3),
                mp(DataItem::PaymentDebt, 4),
                mp(DataItem::TimeDebt(1), 5),
                mp(DataItem::TimeDebt(2), 6),
            ];
            vec![
                row(at("2019-02-28T00:00:00Z"), registers.clone()),
                row(
                    at("2019-03-28T00:00:00Z"),
                    registers.into_iter().chain(account).collect(),
                ),
            ]
        }
        LogKind::PrepaymentDailyRead => vec![row(
            at("2019-03-30T00:00:00Z"),
            vec![
                (DataItem::MeterBalance, Quantity::new(12_345, Unit::MilliPence)),
                (DataItem::PaymentDebt, Quantity::new(0, Unit::MilliPence)),
            ],
        )],
        LogKind::Credits | LogKind::DebtPayments => vec![row(
            at("2019-03-30T09:15:00Z"),
            vec![(DataItem::CreditAdded, Quantity::new(20_000, Unit::MilliPence))],
        )],
        LogKind::Network if !gas => vec![row(
            at("2019-03-30T00:30:00Z"),
            vec![(DataItem::VoltageAverage, Quantity::new(2_417, Unit::Count))],
        )],
        LogKind::AuxiliaryLoad => vec![row(
            at("2019-03-30T00:30:00Z"),
            vec![(DataItem::AuxiliaryLoadSwitch(2), Quantity::new(1, Unit::Count))],
        )],
        LogKind::Event
        | LogKind::Security
        | LogKind::PowerEvent
        | LogKind::GasMeterEvent
        | LogKind::GasMeterSecurity => [0x8F0A, 0x8145, 0x0BAD]
            .into_iter()
            .map(|code| LogRow {
                at: at("2019-03-30T00:30:00Z"),
                values: Vec::new(),
                code: Some(code),
            })
            .collect(),
        LogKind::SecondaryActiveImport => vec![row(
            at("2019-03-30T01:00:00Z"),
            vec![(DataItem::SecondaryActiveImport, Quantity::new(77, unit))],
        )],
        LogKind::ReactiveImport | LogKind::ReactiveExport | LogKind::ExportDailyRead | LogKind::ActiveExport => {
            let (item, unit) = match log {
                LogKind::ReactiveImport => (DataItem::ReactiveImport, Unit::VarHour),
                LogKind::ReactiveExport => (DataItem::ReactiveExport, Unit::VarHour),
                _ => (DataItem::ActiveExport, Unit::WattHour),
            };
            vec![row(at("2019-03-30T00:30:00Z"), vec![(item, Quantity::new(55, unit))])]
        }
        _ => vec![
            row(at("2019-03-30T00:30:00Z"), vec![(total, Quantity::new(250, unit))]),
            row(at("2019-03-30T01:00:00Z"), vec![(total, Quantity::new(151, unit))]),
        ],
    }
}
