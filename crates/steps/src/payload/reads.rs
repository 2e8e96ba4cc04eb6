//! Payloads of the requests that only read a device.

use domain::operation::{KnownDevice, PaymentMode, Quantity, SupplyState, Value};
use domain::{DataItem, DeviceKind, LogKind, LogRow};
use duis::Element;

use super::Built;
use super::parts::{active, cubic_metres, leaves, newest, number, reactive, timestamp};
use super::values::Values;
use crate::plan::Target;

/// Most rows of a profile in one payload, by the schema.
const PROFILE_ROWS_MAX: usize = 19_056;
/// Most rows of a daily read log in one payload, by the schema.
const DAILY_ROWS_MAX: usize = 31;
/// Most devices in a hub's log, by the schema.
const DEVICES_MAX: usize = 16;

/// Fills the payload of a reading request; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Built, Element> {
    let gas = target.kind.is_gas();
    let rsp = match rsp.name {
        "ReadInstantaneousImportRegistersRsp" => rsp.with(import_registers(gas, values)),
        "ReadInstantaneousExportRegistersRsp" => rsp
            .with_optional(active(values, DataItem::ActiveExport, "ActiveExportRegister"))
            .with_optional(reactive(values, DataItem::ReactiveExport, "ReactiveExportRegister")),
        "ReadInstantaneousPrepayValuesRsp" => leaves(rsp, values, &PREPAY_VALUES),
        "RetrieveImportDailyReadLogRsp" => {
            let (rows, cut) = newest(values.rows(LogKind::DailyRead), DAILY_ROWS_MAX);
            return Ok((rsp.with_all(rows.iter().map(|row| daily_row(gas, row))), cut));
        }
        "ReadActiveImportProfileDataRsp" => {
            let (rows, cut) = newest(values.rows(LogKind::ActiveImport), PROFILE_ROWS_MAX);
            return Ok((rsp.with_all(rows.iter().map(|row| profile_row(gas, row))), cut));
        }
        "ReadPrepaymentConfigurationRsp" => prepayment_configuration(rsp, gas, values),
        "ReadSupplyStatusRsp" => supply_status(rsp, gas, values),
        "ReadDeviceLogRsp" => device_log(rsp, target.kind, values),
        "ReadFirmwareVersionRsp" => firmware(rsp, target, values),
        _ => return Err(rsp),
    };
    Ok((rsp, None))
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
        let word = if known.kind.is_type2() {
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
