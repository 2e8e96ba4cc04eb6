//! Payload elements in the order of the payload schema.
//!
//! Units: active energy in Wh and reactive energy in varh, as the device has them (the only units of the schema). Gas in
//! cubic metres with three decimals, from litres (only `m3` exists in the schema: sourced; the decimals: ours). Money in
//! thousandths of a penny, unchanged (inferred: published request templates state an emergency credit limit of 300000,
//! that is 3 pounds; for the debt recovery rate cap of electricity they hint at another unit, which is not known).
//! Percentages in hundredths (inferred from the range 0 to 10000 of the matching request element).
//! Times are UTC. A row of a profile carries the end of its half-hour (recalled).

use std::collections::BTreeMap;

use domain::operation::{Answer, ClockStatus, KnownDevice, PaymentMode, Quantity, SupplyState, Unit, Value};
use domain::{DataItem, DeviceKind, LogKind, LogRow, Operation, SimInstant};
use duis::Element;

use crate::errors::Failure;
use crate::plan::Target;
use crate::respond::Report;

/// Most rows of a profile in one payload, by the schema.
const PROFILE_ROWS_MAX: usize = 19_056;
/// Most rows of a daily read log in one payload, by the schema.
const DAILY_ROWS_MAX: usize = 31;
/// Most devices in a hub's log, by the schema.
const DEVICES_MAX: usize = 16;

/// What the steps brought.
#[derive(Debug, Default)]
pub(crate) struct Values {
    items: BTreeMap<DataItem, Value>,
    logs: BTreeMap<LogKind, Vec<LogRow>>,
}

impl Values {
    /// Keeps an answer; false when it does not fit the operation.
    pub(crate) fn take(&mut self, operation: &Operation, answer: &Answer) -> bool {
        match (operation, answer) {
            (Operation::Read(item), Answer::Value(value)) => {
                let fits = fits(*item, value);
                if fits {
                    self.items.insert(*item, value.clone());
                }
                fits
            }
            (Operation::ReadLog { log, .. }, Answer::Log(rows)) => {
                self.logs.insert(*log, rows.clone());
                true
            }
            (Operation::Read(_) | Operation::ReadLog { .. }, _) | (_, Answer::Log(_)) => false,
            (_, Answer::Done | Answer::Value(_)) => true,
        }
    }

    /// The supply state, if it was read.
    pub(crate) fn supply(&self) -> Option<SupplyState> {
        match self.items.get(&DataItem::SupplyState) {
            Some(Value::Supply(state)) => Some(*state),
            _ => None,
        }
    }

    fn quantity(&self, item: DataItem) -> Option<Quantity> {
        match self.items.get(&item) {
            Some(Value::Quantity(quantity)) => Some(*quantity),
            _ => None,
        }
    }

    /// A whole number as text.
    fn integer(&self, item: DataItem) -> Option<String> {
        self.quantity(item).map(|quantity| quantity.value.to_string())
    }

    fn flag(&self, item: DataItem) -> Option<String> {
        match self.items.get(&item) {
            Some(Value::Flag(flag)) => Some(flag.to_string()),
            _ => None,
        }
    }

    fn rows(&self, log: LogKind) -> &[LogRow] {
        self.logs.get(&log).map_or(&[], Vec::as_slice)
    }
}

/// Whether a value is of the kind that an item has.
fn fits(item: DataItem, value: &Value) -> bool {
    use DataItem as I;
    match item {
        I::Clock => matches!(value, Value::Clock(..)),
        I::DeviceLog => matches!(value, Value::Devices(_)),
        I::FirmwareVersion => matches!(value, Value::Text(_)),
        I::PaymentMode => matches!(value, Value::PaymentMode(_)),
        I::SupplyState => matches!(value, Value::Supply(_)),
        I::SuspendDebtDisabled | I::SuspendDebtEmergency => matches!(value, Value::Flag(_)),
        I::GasConsumption => matches!(value, Value::Quantity(quantity) if quantity.unit == Unit::Litre),
        _ => matches!(value, Value::Quantity(_)),
    }
}

/// The payload element of this name, and a report when rows had to be cut.
pub(crate) fn build(
    name: &'static str,
    target: &Target<'_>,
    values: &Values,
    success: bool,
) -> (Element, Option<Report>) {
    let gas = target.kind.is_gas();
    let rsp = Element::ra(name).with_attribute("MessageSuccess", success.to_string());
    let rsp = match name {
        "ReadInstantaneousImportRegistersRsp" => rsp.with(import_registers(gas, values)),
        "ReadInstantaneousExportRegistersRsp" => rsp
            .with_optional(active(values, DataItem::ActiveExport, "ActiveExportRegister"))
            .with_optional(reactive(values, DataItem::ReactiveExport, "ReactiveExportRegister")),
        "ReadInstantaneousPrepayValuesRsp" => leaves(rsp, values, &PREPAY_VALUES),
        "RetrieveImportDailyReadLogRsp" => {
            let (rows, cut) = newest(values.rows(LogKind::DailyRead), DAILY_ROWS_MAX);
            return (rsp.with_all(rows.iter().map(|row| daily_row(gas, row))), cut);
        }
        "ReadActiveImportProfileDataRsp" => {
            let (rows, cut) = newest(values.rows(LogKind::ActiveImport), PROFILE_ROWS_MAX);
            return (rsp.with_all(rows.iter().map(|row| profile_row(gas, row))), cut);
        }
        "ReadPrepaymentConfigurationRsp" => prepayment_configuration(rsp, gas, values),
        "SynchroniseClockRsp" => clock(rsp, gas, values),
        "ReadSupplyStatusRsp" => supply_status(rsp, gas, values),
        "ReadDeviceLogRsp" => device_log(rsp, target.kind, values),
        "ReadFirmwareVersionRsp" => firmware(rsp, target, values),
        // EnableSupplyRsp, DisableSupplyRsp and ArmSupplyRsp say nothing but MessageSuccess.
        _ => rsp,
    };
    (rsp, None)
}

/// The newest rows, and a report when there were more.
fn newest(rows: &[LogRow], max: usize) -> (&[LogRow], Option<Report>) {
    match rows.len().checked_sub(max).filter(|surplus| *surplus > 0) {
        None => (rows, None),
        Some(surplus) => {
            let text = format!("{} rows, the newest {max} are given", rows.len());
            let report = Report {
                position: 1,
                class: Failure::RowsCut,
                text,
            };
            (rows.get(surplus..).unwrap_or(rows), Some(report))
        }
    }
}

fn leaves(element: Element, values: &Values, names: &[(DataItem, &'static str)]) -> Element {
    names
        .iter()
        .fold(element, |element, (item, name)| match values.integer(*item) {
            Some(text) => element.with_leaf(name, text),
            None => element,
        })
}

const PREPAY_VALUES: [(DataItem, &str); 6] = [
    (DataItem::EmergencyCreditBalance, "EmergencyCreditBalance"),
    (DataItem::AccumulatedDebt, "AccumulatedDebtRegister"),
    (DataItem::PaymentDebt, "PaymentDebtRegister"),
    (DataItem::TimeDebt(1), "TimeDebtRegister1"),
    (DataItem::TimeDebt(2), "TimeDebtRegister2"),
    (DataItem::MeterBalance, "MeterBalance"),
];

const PREPAYMENT_CONFIGURATION: [(DataItem, &str); 8] = [
    (DataItem::DebtRecoveryPerPayment, "DebtRecoveryPerPayment"),
    (DataItem::DebtRecoveryRateCap, "DebtRecoveryRateCap"),
    (DataItem::DisablementThreshold, "DisablementThreshold"),
    (DataItem::EmergencyCreditLimit, "EmergencyCreditLimit"),
    (DataItem::EmergencyCreditThreshold, "EmergencyCreditThreshold"),
    (DataItem::LowCreditThreshold, "LowCreditThreshold"),
    (DataItem::MaximumCredit, "CreditMaxCreditThreshold"),
    (DataItem::MaximumMeterBalance, "MaxCreditMaxMeterBalance"),
];

fn import_registers(gas: bool, values: &Values) -> Element {
    if gas {
        let register = values.quantity(DataItem::GasConsumption).map(|quantity| {
            Element::ra("ConsumptionRegister")
                .with_leaf("Value", cubic_metres(quantity.value))
                .with_leaf("Unit", "m3")
        });
        return Element::ra("Gas").with_optional(register);
    }
    Element::ra("Electricity")
        .with_optional(active(values, DataItem::ActiveImport, "ActiveImportRegister"))
        .with_optional(reactive(values, DataItem::ReactiveImport, "ReactiveImportRegister"))
        .with_optional(active(
            values,
            DataItem::SecondaryActiveImport,
            "SecondaryActiveImportRegister",
        ))
}

fn active(values: &Values, item: DataItem, name: &'static str) -> Option<Element> {
    values.integer(item).map(|text| {
        Element::ra(name)
            .with_leaf("Value", text)
            .with_leaf("ActiveEnergyUnit", "Wh")
    })
}

fn reactive(values: &Values, item: DataItem, name: &'static str) -> Option<Element> {
    values.integer(item).map(|text| {
        Element::ra(name)
            .with_leaf("Value", text)
            .with_leaf("ReactiveEnergyUnit", "varh")
    })
}

/// Litres as cubic metres with three decimals.
fn cubic_metres(litres: i64) -> String {
    let sign = if litres < 0 { "-" } else { "" };
    let litres = litres.unsigned_abs();
    format!("{sign}{}.{:03}", litres / 1000, litres % 1000)
}

/// A quantity as the schema wants it: gas in cubic metres, everything else as it is.
fn number(quantity: Quantity) -> String {
    match quantity.unit {
        Unit::Litre => cubic_metres(quantity.value),
        _ => quantity.value.to_string(),
    }
}

fn timestamp(at: SimInstant) -> String {
    at.to_string()
}

fn profile_row(gas: bool, row: &LogRow) -> Element {
    let secondary = |item: &DataItem| *item == DataItem::SecondaryActiveImport;
    let primary = row
        .values
        .iter()
        .find(|(item, _)| !secondary(item))
        .map(|(_, quantity)| number(*quantity));
    let second = row
        .values
        .iter()
        .find(|(item, _)| secondary(item))
        .map(|(_, quantity)| number(*quantity));
    let leaf = |name, text: Option<String>| text.map(|text| Element::ra(name).with_text(text));
    let values = if gas {
        Element::ra("Gas").with_optional(leaf("PrimaryValue", primary))
    } else {
        Element::ra("Electricity")
            .with_optional(leaf("PrimaryValue", primary))
            .with_optional(leaf("SecondaryValue", second))
    };
    Element::ra("LogEntry")
        .with_leaf("Timestamp", timestamp(row.at))
        .with(values)
}

fn daily_row(gas: bool, row: &LogRow) -> Element {
    let find = |wanted: DataItem, name: &'static str| {
        let value = row.values.iter().find(|(item, _)| *item == wanted);
        value.map(|(_, quantity)| Element::ra(name).with_text(number(*quantity)))
    };
    let indexed = |name: &'static str, index: u8, quantity: Quantity| {
        Element::ra(name)
            .with_attribute("index", index.to_string())
            .with_text(number(quantity))
    };
    let blocks = row.values.iter().filter_map(|(item, quantity)| match item {
        DataItem::BlockRegister(n) => Some((*n, *quantity)),
        _ => None,
    });
    let rates = row.values.iter().filter_map(|(item, quantity)| match item {
        DataItem::TouRegister(n) => Some((*n, *quantity)),
        _ => None,
    });
    let values = if gas {
        Element::ra("Gas")
            .with_optional(find(DataItem::GasConsumption, "GasActiveImportRegisterConsumption"))
            .with_all(
                blocks
                    .take(4)
                    .map(|(n, quantity)| indexed("TariffBlockCounterMatrix", n, quantity)),
            )
            .with_all(
                rates
                    .take(4)
                    .map(|(n, quantity)| indexed("TariffTOURegisterMatrix", n, quantity)),
            )
    } else {
        // Blocks without times of use: each block has its first register only.
        let block = |(n, quantity)| block_name(n).map(|name| indexed(name, 1, quantity));
        Element::ra("Electricity")
            .with_optional(find(DataItem::ActiveImport, "ElecActiveImportRegisterConsumption"))
            .with_optional(find(
                DataItem::SecondaryActiveImport,
                "SecondaryActiveImportRegisterConsumption",
            ))
            .with_all(
                rates
                    .take(48)
                    .map(|(n, quantity)| indexed("TariffTOURegisterMatrixValue", n, quantity)),
            )
            .with_all(blocks.filter_map(block))
    };
    Element::ra("LogEntry")
        .with_leaf("Timestamp", timestamp(row.at))
        .with(values)
}

fn block_name(block: u8) -> Option<&'static str> {
    match block {
        1 => Some("TariffTOUBlock1RegisterMatrixValue"),
        2 => Some("TariffTOUBlock2RegisterMatrixValue"),
        3 => Some("TariffTOUBlock3RegisterMatrixValue"),
        4 => Some("TariffTOUBlock4RegisterMatrixValue"),
        _ => None,
    }
}

fn prepayment_configuration(rsp: Element, gas: bool, values: &Values) -> Element {
    let flag = |name: &'static str, item| values.flag(item).map(|text| Element::ra(name).with_text(text));
    let rsp = leaves(rsp, values, &PREPAYMENT_CONFIGURATION)
        .with_optional(flag("SuspendDebtDisabled", DataItem::SuspendDebtDisabled))
        .with_optional(flag("SuspendDebtEmergency", DataItem::SuspendDebtEmergency));
    match values.items.get(&DataItem::PaymentMode) {
        Some(Value::PaymentMode(mode)) if !gas => {
            let word = match mode {
                PaymentMode::Credit => "Credit",
                PaymentMode::Prepayment => "Prepayment",
            };
            rsp.with(Element::ra("Electricity").with_leaf("PaymentMode", word))
        }
        _ => rsp,
    }
}

fn clock(rsp: Element, gas: bool, values: &Values) -> Element {
    let Some(Value::Clock(at, status)) = values.items.get(&DataItem::Clock) else {
        return rsp;
    };
    let rsp = rsp.with_leaf("DeviceTime", timestamp(*at));
    if gas {
        // The gas branch has a GBCS status only, which says nothing about how reliable the clock is.
        return rsp;
    }
    // The numbers are those of the schema's own order of the three words (inferred).
    let (code, word) = match status {
        ClockStatus::Reliable => ("0", "reliable"),
        ClockStatus::Invalid => ("1", "invalid"),
        ClockStatus::Unreliable => ("2", "unreliable"),
    };
    let status = Element::ra("ElecClockTimeStatus")
        .with_attribute("TimeStatusCode", code)
        .with_leaf("TimeStatus", word);
    rsp.with(Element::ra("Electricity").with(status))
}

fn supply_status(rsp: Element, gas: bool, values: &Values) -> Element {
    let word = values.supply().map(|state| match state {
        SupplyState::Armed => "Armed",
        SupplyState::Disabled => "Disabled",
        SupplyState::Enabled => "Enabled",
    });
    let rsp = rsp.with_optional(word.map(|word| Element::ra("SupplyState").with_text(word)));
    match values.quantity(DataItem::BatteryRemaining) {
        Some(quantity) if gas => {
            let days = u32::try_from(quantity.value.max(0)).unwrap_or(u32::MAX);
            rsp.with(Element::ra("Gas").with_leaf("RemainingBatteryCapacity", days.to_string()))
        }
        _ => rsp,
    }
}

fn device_log(rsp: Element, kind: DeviceKind, values: &Values) -> Element {
    let Some(Value::Devices(devices)) = values.items.get(&DataItem::DeviceLog) else {
        return rsp;
    };
    if kind == DeviceKind::Chf {
        let entry = |known: &KnownDevice| {
            let heard = known
                .last_heard
                .map(|at| Element::ra("LastCommunicationsDateTime").with_text(timestamp(at)));
            Element::ra("CHFDeviceLogEntry")
                .with_leaf("DeviceID", known.device.to_string())
                .with_optional(heard)
        };
        return rsp.with(Element::ra("CHFDeviceLog").with_all(devices.iter().take(DEVICES_MAX).map(entry)));
    }
    let entry = |known: &KnownDevice| {
        // The payload schema has one word for all type 2 devices.
        let word = if known.kind == DeviceKind::Ihd {
            "Type2"
        } else {
            known.kind.as_str()
        };
        Element::ra("LogEntry")
            .with_leaf("DeviceID", known.device.to_string())
            .with_leaf("DeviceType", word)
    };
    rsp.with(Element::ra("DeviceLogEntries").with_all(devices.iter().map(entry)))
}

/// The native identifier of the profile becomes its DUIS form; anything else the device says is passed on as it is.
fn firmware(rsp: Element, target: &Target<'_>, values: &Values) -> Element {
    let Some(Value::Text(text)) = values.items.get(&DataItem::FirmwareVersion) else {
        return rsp;
    };
    let profile = target.profile;
    let version = if *text == profile.native_firmware {
        profile.model.firmware.clone()
    } else {
        text.clone()
    };
    rsp.with_leaf("FirmwareVersion", version)
}
