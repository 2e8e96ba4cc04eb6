//! Payloads of 4.1, 4.2, 4.3, 4.12, 4.16 and 4.18: registers, matrices of registers, power and balances.

use domain::operation::{PaymentMode, Quantity, Setting, SettingKind, Value};
use domain::{DataItem, SimInstant};
use duis::Element;

use super::parts::{active, cubic_metres, indexed, leaves, number, reactive, time_of_day, timestamp};
use super::values::Values;

/// Registers of one row of a matrix: time bands of a block, by the schema.
const BANDS_MAX: u8 = 8;
/// Blocks, by the schema.
const BLOCKS_MAX: u8 = 4;

/// Fills a payload of this group; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, gas: bool, values: &Values) -> Result<Element, Element> {
    Ok(match rsp.name {
        "ReadInstantaneousImportRegistersRsp" => rsp.with(import_registers(gas, values)),
        "ReadInstantaneousImportTOUMatricesRsp" => rsp.with(tou_matrices(gas, values)),
        "ReadInstantaneousImportTOUWithBlocksMatricesRsp" => rsp.with(blocks_and_bands(values)),
        "ReadInstantaneousImportBlockCountersRsp" => {
            let counters = values.table(DataItem::BlockCounters).iter();
            rsp.with(Element::ra("ImportBlockCounters").with_all(
                counters.filter_map(|(item, quantity)| of_block("TariffBlockCounterValue", *item, *quantity)),
            ))
        }
        "ReadInstantaneousExportRegistersRsp" => rsp
            .with_optional(active(values, DataItem::ActiveExport, "ActiveExportRegister"))
            .with_optional(reactive(values, DataItem::ReactiveExport, "ReactiveExportRegister")),
        "ReadInstantaneousPrepayValuesRsp" => leaves(rsp, values, &PREPAY_VALUES),
        "ReadMaximumDemandImportRegistersRsp" => rsp
            .with_optional(demand(
                values,
                DataItem::MaximumDemandImportInPeriod,
                "MaxDemandConfigurableTimeActivePowerImport",
            ))
            .with_optional(demand(
                values,
                DataItem::MaximumDemandImport,
                "MaxDemandActiveEnergyImport",
            ))
            .with_optional(demand_period(values)),
        "ReadMaximumDemandExportRegistersRsp" => rsp.with_optional(demand(
            values,
            DataItem::MaximumDemandExport,
            "MaxDemandActiveEnergyExport",
        )),
        "ReadActivePowerImportRsp" => {
            let power = values.integer(DataItem::ActivePowerImport).map(|watts| {
                Element::ra("ActivePowerImport")
                    .with_leaf("Value", watts)
                    .with_leaf("Unit", "W")
            });
            let primary = [(DataItem::PrimaryActivePowerImport, "PrimaryActivePowerImportValue")];
            leaves(rsp.with_optional(power), values, &primary)
        }
        "ReadMeterBalanceRsp" => meter_balance(rsp, gas, values),
        _ => return Err(rsp),
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

fn tou_matrices(gas: bool, values: &Values) -> Element {
    let tou = |name: &'static str, max: u8| {
        let table = values.table(DataItem::TouRegisters).iter();
        table.filter_map(move |(item, quantity)| match item {
            DataItem::TouRegister(n) if *n <= max => Some(indexed(name, *n, *quantity)),
            _ => None,
        })
    };
    if gas {
        let matrix = Element::ra("TariffTOURegisterMatrix").with_all(tou("TOURegisterMatrixValue", 4));
        return Element::ra("Gas").with(matrix);
    }
    let second = values.table(DataItem::SecondaryTouRegisters).iter();
    let second = second.filter_map(|(item, quantity)| match item {
        DataItem::SecondaryTouRegister(n) if *n <= 4 => Some(indexed("TOUSecondRegisterValue", *n, *quantity)),
        _ => None,
    });
    Element::ra("Electricity").with(
        Element::ra("TariffTOURegisterCollection")
            .with_all(tou("TOUPrimaryRegisterValue", 48))
            .with_all(second),
    )
}

/// Registers and counters, block by block. The block's number stands in front of its first register.
fn blocks_and_bands(values: &Values) -> Element {
    let row = |of: DataItem, wanted: u8, name: &'static str| {
        let table = values.table(of).iter();
        table.filter_map(move |(item, quantity)| match item {
            DataItem::BlockTouRegister(block, band) if *block == wanted && *band <= BANDS_MAX => {
                Some(indexed(name, *band, *quantity))
            }
            _ => None,
        })
    };
    let block = |number: u8| {
        let registers = row(DataItem::BlockTouRegisters, number, "RegisterMatrixTOUValue");
        let counters = row(DataItem::BlockTouCounters, number, "CounterMatrixTOUValue");
        let block = Element::ra("TariffBlock").with_attribute("index", number.to_string());
        block.with_all(registers).with_all(counters)
    };
    let blocks = (1..=BLOCKS_MAX).map(block).filter(|block| !block.children.is_empty());
    Element::ra("TariffBlockTOURegisterCollection").with_all(blocks)
}

fn of_block(name: &'static str, item: DataItem, quantity: Quantity) -> Option<Element> {
    match item {
        DataItem::BlockRegister(n) if n <= BLOCKS_MAX => Some(indexed(name, n, quantity)),
        _ => None,
    }
}

fn demand(values: &Values, item: DataItem, name: &'static str) -> Option<Element> {
    let (quantity, at): (Quantity, SimInstant) = values.stamped(item)?;
    Some(
        Element::ra(name)
            .with_leaf("Value", number(quantity))
            .with_leaf("CaptureTime", timestamp(at)),
    )
}

fn demand_period(values: &Values) -> Option<Element> {
    let Some(Setting::MaximumDemandPeriod((from, to))) = values.setting(SettingKind::MaximumDemandPeriod) else {
        return None;
    };
    Some(
        Element::ra("MaxDemandConfigurableTimePeriod")
            .with_leaf("StartTime", time_of_day(*from))
            .with_leaf("EndTime", time_of_day(*to)),
    )
}

/// The gas part is for prepayment; where the mode is not known, it is left out.
fn meter_balance(rsp: Element, gas: bool, values: &Values) -> Element {
    let balance = values.integer(DataItem::MeterBalance);
    let prepaying = matches!(
        values.items.get(&DataItem::PaymentMode),
        Some(Value::PaymentMode(PaymentMode::Prepayment))
    );
    let rsp = leaves(rsp, values, &[(DataItem::MeterBalance, "MeterBalance")]);
    match balance {
        Some(balance) if gas && prepaying => {
            rsp.with(Element::ra("Gas").with_leaf("MeterBalancePrepaymentMode", balance))
        }
        _ => rsp,
    }
}
