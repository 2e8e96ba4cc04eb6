//! Payloads of 4.4, 4.6, 4.8, 4.10, 4.14, 4.17 and 6.13: rows of logs, the newest where there are more than fit.

use domain::operation::{Quantity, Setting, SettingKind, Unit};
use domain::{DataItem, LogKind, LogRow};
use duis::Element;

use super::Built;
use super::parts::{indexed, newest, number, timestamp};
use super::values::Values;
use crate::plan::Target;

// Most rows of one payload, by the schema.
const BILLING_ROWS_MAX: usize = 12;
const CONSUMPTION_ROWS_MAX: usize = 731;
const CREDIT_ROWS_MAX: usize = 5;
const DAILY_ROWS_MAX: usize = 31;
const DEBT_ROWS_MAX: usize = 10;
const EVENT_ROWS_MAX: usize = 100;
const FLOW_ROWS_MAX: usize = 41;
const IMPORT_ROWS_MAX: usize = 19_056;
const OTHER_ROWS_MAX: usize = 4_464;
const VOLTAGE_ROWS_MAX: usize = 4_320;
/// Longest meaning of an event the schema takes, in characters.
const MEANING_MAX: usize = 200;

/// Fills a payload of this group; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Built, Element> {
    let gas = target.kind.is_gas();
    let log = |log: LogKind, max| newest(values.rows(log), max);
    Ok(match rsp.name {
        "RetrieveCoMOrTariffTriggeredBillingDataLogRsp" => {
            let (rows, cut) = log(LogKind::BillingModeOrTariff, BILLING_ROWS_MAX);
            let names = if gas {
                ["LogEntryConsumptionRegister", "LogEntryPrepaymentData"]
            } else {
                ["LogEntryConsumptionAndTariffRegistersData", "LogEntryPrepaymentData"]
            };
            (rsp.with(snapshots(gas, rows, names, change_row)), cut)
        }
        "RetrieveBillingCalendarTriggeredBillingDataLogRsp" => {
            let (rows, cut) = log(LogKind::Billing, BILLING_ROWS_MAX);
            let names = if gas {
                ["GSMEBillingDataLogEntry", "GSMEBillingPrepaymentDataLogEntry"]
            } else {
                ["ESMEBillingDataLogEntry", "ESMEBillingPrepaymentDataLogEntry"]
            };
            (rsp.with(snapshots(gas, rows, names, billing_row)), cut)
        }
        "RetrieveBillingDataLogDebtPaymentsRsp" => {
            let (rows, cut) = log(LogKind::DebtPayments, DEBT_ROWS_MAX);
            (rsp.with(amounts("PaymentBasedDebtRepayment", rows)), cut)
        }
        "RetrieveBillingDataLogPrepaymentCreditsRsp" => {
            let (rows, cut) = log(LogKind::Credits, CREDIT_ROWS_MAX);
            (rsp.with(amounts("PrepaymentCredits", rows)), cut)
        }
        "RetrieveImportDailyReadLogRsp" => {
            let (rows, cut) = log(LogKind::DailyRead, DAILY_ROWS_MAX);
            (rsp.with_all(rows.iter().map(|row| daily_row(gas, row))), cut)
        }
        "RetrieveExportDailyReadLogRsp" => {
            let (rows, cut) = log(LogKind::ExportDailyRead, DAILY_ROWS_MAX);
            let entry = |row: &LogRow| {
                Element::ra("LogEntry")
                    .with_optional(value(row, DataItem::ActiveExport, "ActiveExportRegisterValue"))
                    .with_leaf("TimeStamp", timestamp(row.at))
            };
            (rsp.with_all(rows.iter().map(entry)), cut)
        }
        "ReadActiveImportProfileDataRsp" => {
            let (rows, cut) = log(LogKind::ActiveImport, IMPORT_ROWS_MAX);
            let second = values.rows(LogKind::SecondaryActiveImport);
            (rsp.with_all(rows.iter().map(|row| profile_row(gas, row, second))), cut)
        }
        "ReadReactiveImportProfileDataRsp" => {
            let (rows, cut) = log(LogKind::ReactiveImport, OTHER_ROWS_MAX);
            let entry = |row: &LogRow| {
                Element::ra("LogEntry")
                    .with_optional(value(row, DataItem::ReactiveImport, "ReactiveEnergyImportedValue"))
                    .with_leaf("Timestamp", timestamp(row.at))
            };
            (rsp.with_all(rows.iter().map(entry)), cut)
        }
        "ReadExportProfileDataRsp" => export_profile(rsp, values),
        "ReadNetworkDataRsp" => network_data(rsp, gas, values),
        "ReadPrepaymentDailyReadLogRsp" => {
            let (rows, cut) = log(LogKind::PrepaymentDailyRead, DAILY_ROWS_MAX);
            let entries = rows.iter().map(|row| account_row("LogEntry", row));
            (rsp.with(fuel(gas).with_all(entries)), cut)
        }
        "RetrieveDailyConsumptionLogRsp" => {
            let (rows, cut) = log(LogKind::DailyConsumption, CONSUMPTION_ROWS_MAX);
            (rsp.with(fuel(gas).with_all(rows.iter().map(amount_row))), cut)
        }
        "ReadEventOrSecurityLogRsp" => event_log(rsp, target, values),
        _ => return Err(rsp),
    })
}

fn fuel(gas: bool) -> Element {
    Element::ra(if gas { "Gas" } else { "Electricity" })
}

/// A value of a row as an element; none where the row does not have it.
fn value(row: &LogRow, item: DataItem, name: &'static str) -> Option<Element> {
    quantity(row, item).map(|quantity| Element::ra(name).with_text(number(quantity)))
}

fn quantity(row: &LogRow, item: DataItem) -> Option<Quantity> {
    let found = row.values.iter().find(|(known, _)| *known == item);
    found.map(|(_, quantity)| *quantity)
}

/// The first value of a row, whatever it is of, and its time.
fn amount_row(row: &LogRow) -> Element {
    let first = row
        .values
        .first()
        .map(|(_, quantity)| Element::ra("Value").with_text(number(*quantity)));
    Element::ra("LogEntry")
        .with_optional(first)
        .with_leaf("Timestamp", timestamp(row.at))
}

fn amounts(name: &'static str, rows: &[LogRow]) -> Element {
    let entry = |row: &LogRow| {
        let amount = row
            .values
            .first()
            .map(|(_, quantity)| Element::ra("Amount").with_text(number(*quantity)));
        Element::ra("LogEntry")
            .with_optional(amount)
            .with_leaf("Timestamp", timestamp(row.at))
    };
    Element::ra(name).with_all(rows.iter().map(entry))
}

/// Registers of all rows, then the accounts of those that have one.
fn snapshots(
    gas: bool,
    rows: &[LogRow],
    [registers, accounts]: [&'static str; 2],
    entry: fn(&'static str, bool, &LogRow) -> Element,
) -> Element {
    let with_account = rows
        .iter()
        .filter(|row| quantity(row, DataItem::MeterBalance).is_some());
    fuel(gas)
        .with_all(rows.iter().map(|row| entry(registers, gas, row)))
        .with_all(with_account.map(|row| account_row(accounts, row)))
}

fn account_row(name: &'static str, row: &LogRow) -> Element {
    let names = [
        (DataItem::AccumulatedDebt, "AccumulatedDebtRegister"),
        (DataItem::EmergencyCreditBalance, "EmergencyCreditBalance"),
        (DataItem::MeterBalance, "MeterBalance"),
        (DataItem::PaymentDebt, "PaymentDebtRegister"),
        (DataItem::TimeDebt(1), "TimeDebtRegisters1"),
        (DataItem::TimeDebt(2), "TimeDebtRegisters2"),
    ];
    Element::ra(name)
        .with_all(names.into_iter().filter_map(|(item, name)| value(row, item, name)))
        .with_leaf("Timestamp", timestamp(row.at))
}

/// A snapshot in the order of 4.4.2.
fn change_row(name: &'static str, gas: bool, row: &LogRow) -> Element {
    let entry = Element::ra(name);
    if gas {
        return entry
            .with_optional(value(row, DataItem::GasConsumption, "ConsumptionRegister"))
            .with_leaf("Timestamp", timestamp(row.at))
            .with_all(rates(row, "TariffTOURegisterMatrixValue", 4))
            .with_all(gas_blocks(row, "BlockRegisterMatrixValue"));
    }
    entry
        .with_optional(value(row, DataItem::ActiveImport, "ActiveImportRegisterConsumption"))
        .with_all(rates(row, "TariffTOURegisterMatrixValue", 48))
        .with_all(blocks(row))
        .with_optional(value(
            row,
            DataItem::SecondaryActiveImport,
            "SecondaryActiveImportRegisterConsumption",
        ))
        .with_all(second_rates(row))
        .with_leaf("Timestamp", timestamp(row.at))
}

/// A snapshot in the order of 4.4.3.
fn billing_row(name: &'static str, gas: bool, row: &LogRow) -> Element {
    let entry = Element::ra(name).with_leaf("Timestamp", timestamp(row.at));
    let register = "ActiveImportRegisterValueConsumption";
    if gas {
        return entry
            .with_optional(value(row, DataItem::GasConsumption, register))
            .with_all(gas_blocks(row, "BlockRegisterMatrixValue"))
            .with_all(rates(row, "TariffTOURegisterMatrixValue", 4));
    }
    entry
        .with_optional(value(row, DataItem::ActiveImport, register))
        .with_optional(value(
            row,
            DataItem::SecondaryActiveImport,
            "SecondaryActiveImportRegisterValueConsumption",
        ))
        .with_all(rates(row, "TariffTOURegisterMatrixValue", 48))
        .with_all(second_rates(row))
        .with_all(blocks(row))
}

/// A snapshot in the order of 4.6.1.
fn daily_row(gas: bool, row: &LogRow) -> Element {
    let values = if gas {
        fuel(gas)
            .with_optional(value(
                row,
                DataItem::GasConsumption,
                "GasActiveImportRegisterConsumption",
            ))
            .with_all(gas_blocks(row, "TariffBlockCounterMatrix"))
            .with_all(rates(row, "TariffTOURegisterMatrix", 4))
    } else {
        fuel(gas)
            .with_optional(value(
                row,
                DataItem::ActiveImport,
                "ElecActiveImportRegisterConsumption",
            ))
            .with_optional(value(
                row,
                DataItem::SecondaryActiveImport,
                "SecondaryActiveImportRegisterConsumption",
            ))
            .with_all(second_rates(row))
            .with_all(rates(row, "TariffTOURegisterMatrixValue", 48))
            .with_all(blocks(row))
    };
    Element::ra("LogEntry")
        .with_leaf("Timestamp", timestamp(row.at))
        .with(values)
}

fn rates<'r>(row: &'r LogRow, name: &'static str, max: u8) -> impl Iterator<Item = Element> + 'r {
    row.values.iter().filter_map(move |(item, quantity)| match item {
        DataItem::TouRegister(n) if *n <= max => Some(indexed(name, *n, *quantity)),
        _ => None,
    })
}

fn second_rates(row: &LogRow) -> impl Iterator<Item = Element> + '_ {
    row.values.iter().filter_map(|(item, quantity)| match item {
        DataItem::SecondaryTouRegister(n) if *n <= 4 => {
            Some(indexed("SecondaryTariffTOURegisterMatrixValue", *n, *quantity))
        }
        _ => None,
    })
}

fn gas_blocks<'r>(row: &'r LogRow, name: &'static str) -> impl Iterator<Item = Element> + 'r {
    row.values.iter().filter_map(move |(item, quantity)| match item {
        DataItem::BlockRegister(n) if *n <= 4 => Some(indexed(name, *n, *quantity)),
        _ => None,
    })
}

/// Blocks in order, each with its time bands; a block without bands has its first only.
fn blocks(row: &LogRow) -> Vec<Element> {
    let mut found: Vec<(u8, u8, Quantity)> = row
        .values
        .iter()
        .filter_map(|(item, quantity)| match item {
            DataItem::BlockRegister(block) => Some((*block, 1, *quantity)),
            DataItem::BlockTouRegister(block, band) => Some((*block, *band, *quantity)),
            _ => None,
        })
        .collect();
    found.sort_unstable_by_key(|(block, band, _)| (*block, *band));
    let element = |(block, band, quantity)| block_name(block).map(|name| indexed(name, band, quantity));
    found.into_iter().filter_map(element).collect()
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

fn profile_row(gas: bool, row: &LogRow, second: &[LogRow]) -> Element {
    let first = |row: &LogRow| row.values.first().map(|(_, quantity)| number(*quantity));
    let leaf = |name, text: Option<String>| text.map(|text| Element::ra(name).with_text(text));
    let values = fuel(gas).with_optional(leaf("PrimaryValue", first(row)));
    let values = if gas {
        values
    } else {
        let place = second.binary_search_by_key(&row.at, |row| row.at).ok();
        let second = place.and_then(|place| second.get(place)).and_then(first);
        values.with_optional(leaf("SecondaryValue", second))
    };
    Element::ra("LogEntry")
        .with_leaf("Timestamp", timestamp(row.at))
        .with(values)
}

/// Active and reactive export of the same half-hours side by side.
fn export_profile(rsp: Element, values: &Values) -> Built {
    let (active, reactive) = (values.rows(LogKind::ActiveExport), values.rows(LogKind::ReactiveExport));
    let mut times: Vec<_> = active.iter().chain(reactive).map(|row| row.at).collect();
    times.sort_unstable();
    times.dedup();
    let (more, cut) = newest(if active.is_empty() { reactive } else { active }, OTHER_ROWS_MAX);
    let first = more.first().map(|row| row.at);
    let times = times.into_iter().filter(|at| first.is_none_or(|first| *at >= first));
    let find = |rows: &[LogRow], at, name: &'static str| {
        let place = rows.binary_search_by_key(&at, |row| row.at).ok()?;
        let (_, quantity) = rows.get(place)?.values.first()?;
        Some(Element::ra(name).with_text(number(*quantity)))
    };
    let entry = |at| {
        Element::ra("LogEntry")
            .with_optional(find(active, at, "ActiveEnergyExportedValue"))
            .with_optional(find(reactive, at, "ReactiveEnergyExportedValue"))
            .with_leaf("Timestamp", timestamp(at))
    };
    (rsp.with_all(times.take(OTHER_ROWS_MAX).map(entry)), cut)
}

/// Averages in volts with one decimal (the devices have tenths); the period in minutes, as requests state it (inferred
/// from samples, which have 30).
fn network_data(rsp: Element, gas: bool, values: &Values) -> Built {
    if gas {
        let (rows, cut) = newest(values.rows(LogKind::Network), FLOW_ROWS_MAX);
        let log = Element::ra("NetworkDataLog").with_all(rows.iter().map(amount_row));
        return (rsp.with(fuel(gas).with(log)), cut);
    }
    let (rows, cut) = newest(values.rows(LogKind::Network), VOLTAGE_ROWS_MAX);
    let entry = |row: &LogRow| {
        let tenths = row.values.first().map_or(0, |(_, quantity)| quantity.value);
        Element::ra("LogEntry")
            .with_leaf("Value", format!("{}.{}", tenths / 10, (tenths % 10).abs()))
            .with_leaf("Timestamp", timestamp(row.at))
    };
    let counter = |n, name| {
        let count = values.integer(DataItem::VoltageCounter(n));
        count.map(|count| Element::ra(name).with_leaf("Value", count))
    };
    let period = match values.setting(SettingKind::Voltage) {
        Some(Setting::Voltage(voltage)) => voltage.averages.first().map(|(_, _, seconds)| seconds / 60),
        _ => None,
    };
    let period = period.map(|minutes| Element::ra("MeasurementPeriod").with_text(minutes.to_string()));
    let log = Element::ra("AvgRMSVoltageProfileDataLog")
        .with_all(rows.iter().map(entry))
        .with_optional(period);
    let single = Element::ra("SinglePhaseESME")
        .with_optional(counter(1, "AvgRMSOverVoltageCounter"))
        .with_optional(counter(2, "AvgRMSUnderVoltageCounter"))
        .with(log);
    (rsp.with(fuel(gas).with(single)), cut)
}

/// Events with code and meaning. A code outside the mandated set says so; the two sets are named by the S1SR (sourced),
/// that an answer tells them apart in this way is ours.
fn event_log(rsp: Element, target: &Target<'_>, values: &Values) -> Built {
    if let Some(rows) = values.log(LogKind::AuxiliaryLoad) {
        let (rows, cut) = newest(rows, EVENT_ROWS_MAX);
        let log = Element::ra("ALCSEvent").with_all(rows.iter().filter_map(switching));
        return (rsp.with(log), cut);
    }
    let logs = [
        LogKind::Event,
        LogKind::Security,
        LogKind::PowerEvent,
        LogKind::GasMeterEvent,
        LogKind::GasMeterSecurity,
    ];
    let rows = logs.into_iter().find_map(|log| values.log(log)).unwrap_or_default();
    let (rows, cut) = newest(rows, EVENT_ROWS_MAX);
    let alerts = &target.profile.meter.alerts;
    let entry = |row: &LogRow| {
        let code = row.code.unwrap_or_default();
        let renamed = alerts.renamed.iter().find(|(_, own)| *own == code);
        let usual = renamed.map_or(code, |(usual, _)| *usual);
        let meaning = dmc::event_meaning(usual).unwrap_or("not in the list of this lab");
        let set = if alerts.non_mandated.contains(&code) {
            "non-mandated: "
        } else {
            ""
        };
        let meaning: String = format!("{set}{meaning}").chars().take(MEANING_MAX).collect();
        Element::ra("LogEntry")
            .with_leaf("Timestamp", timestamp(row.at))
            .with_leaf("LogCode", format!("{code:04X}"))
            .with_leaf("LogMeaning", meaning)
    };
    (rsp.with(Element::ra("Log").with_all(rows.iter().map(entry))), cut)
}

fn switching(row: &LogRow) -> Option<Element> {
    let (DataItem::AuxiliaryLoadSwitch(switch), state) = row.values.first()? else {
        return None;
    };
    let on = Quantity::new(0, Unit::Count) != *state;
    Some(
        Element::ra("ALCSEventLogEntry")
            .with_leaf("Timestamp", timestamp(row.at))
            .with_leaf("SwitchNumber", switch.to_string())
            .with_leaf("SwitchAction", if on { "On" } else { "Off" })
            .with_leaf("Outcome", "Success"),
    )
}
