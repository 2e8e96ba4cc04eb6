//! The register table: **ours**, but for the few numbers that public drivers of EDMI's Mk-series agree on.

use domain::{DataItem, DeviceKind, LogKind, Unit};

pub use super::value::Form;

const ESME: &[DeviceKind] = &[DeviceKind::Esme];
const GAS: &[DeviceKind] = &[DeviceKind::Gpf];
const METERS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gpf];
const ALL: &[DeviceKind] = &[DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf];

/// One register of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Its number, within the device's range.
    pub number: u32,
    /// What it holds.
    pub item: DataItem,
    /// How.
    pub form: Form,
}

struct Row {
    slots: &'static [DeviceKind],
    number: u32,
    count: u8,
    item: fn(u8) -> DataItem,
    form: Form,
}

macro_rules! one {
    ($slots:ident, $number:literal, $item:ident, $form:expr) => {
        Row {
            slots: $slots,
            number: $number,
            count: 1,
            item: |_| DataItem::$item,
            form: $form,
        }
    };
}

macro_rules! each {
    ($slots:ident, $number:literal, $item:ident, $count:literal, $form:expr) => {
        Row {
            slots: $slots,
            number: $number,
            count: $count,
            item: DataItem::$item,
            form: $form,
        }
    };
}

const WH: Form = Form::Double(Unit::WattHour);
const VARH: Form = Form::Double(Unit::VarHour);
const LITRE: Form = Form::Double(Unit::Litre);
const MONEY: Form = Form::LongLong(Unit::MilliPence);

static TABLE: &[Row] = &[
    // Numbers of public drivers.
    one!(ESME, 0x0069, ActiveImport, WH),
    one!(ESME, 0x0169, ActiveExport, WH),
    one!(ESME, 0x0269, ReactiveImport, VARH),
    one!(ESME, 0x0369, ReactiveExport, VARH),
    one!(ESME, 0xE033, ActivePowerImport, Form::Float(Unit::Watt)),
    one!(ALL, 0xF03D, Clock, Form::DateTime),
    // Ours.
    one!(GAS, 0x0069, GasConsumption, LITRE),
    one!(ALL, 0x8001, FirmwareVersion, Form::Text),
    one!(ALL, 0x8002, Manufacturer, Form::Text),
    one!(ALL, 0x8003, ModelType, Form::Text),
    one!(METERS, 0x8010, SupplyState, Form::Supply),
    one!(METERS, 0x8020, PaymentMode, Form::Payment),
    one!(METERS, 0x8021, MeterBalance, MONEY),
    one!(METERS, 0x8022, EmergencyCreditBalance, MONEY),
    one!(METERS, 0x8023, AccumulatedDebt, MONEY),
    each!(METERS, 0x8031, TimeDebt, 2, MONEY),
    one!(METERS, 0x8033, PaymentDebt, MONEY),
    one!(
        METERS,
        0x8034,
        DebtRecoveryPerPayment,
        Form::Long(Unit::HundredthPercent)
    ),
    each!(METERS, 0x8035, DebtRecoveryRate, 2, MONEY),
    one!(METERS, 0x8040, MaximumCredit, MONEY),
    one!(METERS, 0x8041, MaximumMeterBalance, MONEY),
    one!(METERS, 0x8042, EmergencyCreditLimit, MONEY),
    one!(METERS, 0x8043, EmergencyCreditThreshold, MONEY),
    one!(METERS, 0x8044, LowCreditThreshold, MONEY),
    one!(METERS, 0x8045, DebtRecoveryRateCap, MONEY),
    one!(METERS, 0x8046, DisablementThreshold, MONEY),
    one!(METERS, 0x8047, SuspendDebtDisabled, Form::Flag),
    one!(METERS, 0x8048, SuspendDebtEmergency, Form::Flag),
    one!(METERS, 0x8050, ActiveTariffPrice, MONEY),
    one!(METERS, 0x8051, ActiveTariffRegister, Form::Long(Unit::Count)),
    one!(METERS, 0x8052, CostToday, MONEY),
    one!(ESME, 0x8053, ActiveImportToday, WH),
    one!(GAS, 0x8053, GasConsumptionToday, LITRE),
    one!(GAS, 0x8054, CalorificValue, Form::Long(Unit::Count)),
    one!(GAS, 0x8055, ConversionFactor, Form::Long(Unit::Count)),
    one!(GAS, 0x8056, BatteryRemaining, Form::Long(Unit::Count)),
    one!(ESME, 0x8060, LoadLimitCounter, Form::Long(Unit::Count)),
    one!(ESME, 0x8061, LoadLimitActive, Form::Flag),
    each!(ESME, 0x8071, AuxiliaryLoadSwitch, 5, Form::Flag),
    each!(ESME, 0x8081, VoltageCounter, 18, Form::Long(Unit::Count)),
    one!(ESME, 0x80A0, SecondaryActiveImport, WH),
    each!(ESME, 0x80A1, SecondaryTouRegister, 4, WH),
    each!(ESME, 0x8101, TouRegister, 48, WH),
    each!(GAS, 0x8101, TouRegister, 48, LITRE),
    each!(ESME, 0x8141, BlockRegister, 4, WH),
    each!(GAS, 0x8141, BlockRegister, 4, LITRE),
    // Only in the rows of surveys.
    one!(METERS, 0x8201, DebtPayment, MONEY),
    one!(METERS, 0x8202, CreditAdded, MONEY),
    one!(METERS, 0x8203, CostOfConsumption, MONEY),
    one!(ESME, 0x8204, VoltageAverage, Form::Long(Unit::Count)),
];

/// All registers of a device that hold a data item, in the order of the table.
pub fn registers(slot: DeviceKind) -> impl Iterator<Item = Register> {
    let rows = TABLE.iter().filter(move |row| row.slots.contains(&slot));
    rows.flat_map(|row| {
        (1..=row.count).map(|n| Register {
            number: row.number + u32::from(n) - 1,
            item: (row.item)(n),
            form: row.form,
        })
    })
}

/// The register of an item.
pub(super) fn of_item(slot: DeviceKind, item: DataItem) -> Option<Register> {
    registers(slot).find(|register| register.item == item)
}

/// What a register holds.
pub(super) fn at(slot: DeviceKind, number: u32) -> Option<Register> {
    registers(slot).find(|register| register.number == number)
}

/// The surveys of the electricity meter: file number, its name, and the log it shows. LS01 to LS10 have the numbers of public
/// drivers; which log each shows, and all that follow, is ours.
pub const SURVEYS: [(u16, &str, LogKind); 20] = [
    (0x0305, "LS01", LogKind::ActiveImport),
    (0x0325, "LS02", LogKind::ActiveExport),
    (0x0345, "LS03", LogKind::ReactiveImport),
    (0x0365, "LS04", LogKind::ReactiveExport),
    (0x0385, "LS05", LogKind::DailyRead),
    (0x0395, "LS06", LogKind::Billing),
    (0x03A5, "LS07", LogKind::Event),
    (0x03B5, "LS08", LogKind::Security),
    (0x03C5, "LS09", LogKind::PrepaymentDailyRead),
    (0x03D5, "LS10", LogKind::ExportDailyRead),
    (0x03E5, "LS11", LogKind::BillingModeOrTariff),
    (0x03E6, "LS12", LogKind::Credits),
    (0x03E7, "LS13", LogKind::DailyConsumption),
    (0x03E8, "LS14", LogKind::DebtPayments),
    (0x03E9, "LS15", LogKind::Network),
    (0x03EA, "LS16", LogKind::PowerEvent),
    (0x03EB, "LS17", LogKind::AuxiliaryLoad),
    (0x03EC, "LS18", LogKind::GasMeterEvent),
    (0x03ED, "LS19", LogKind::GasMeterSecurity),
    (0x03EE, "LS20", LogKind::SecondaryActiveImport),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_register_has_one_place_and_every_survey_one_log() {
        for slot in ALL {
            let mut numbers = BTreeSet::new();
            let mut items = BTreeSet::new();
            for register in registers(*slot) {
                assert!(numbers.insert(register.number), "{slot} {:04X}", register.number);
                assert!(items.insert(register.item), "{slot} {}", register.item);
                assert_eq!(at(*slot, register.number), Some(register));
                assert_eq!(of_item(*slot, register.item), Some(register));
                assert!(
                    register.number < 0x8F00 || register.number > 0x8FFF,
                    "the range of the files is taken"
                );
            }
        }
        let logs: BTreeSet<_> = SURVEYS.iter().map(|(_, _, log)| *log).collect();
        // A log without a survey is read as an operation.
        assert_eq!(logs.len(), SURVEYS.len());
        let files: BTreeSet<_> = SURVEYS.iter().map(|(file, ..)| *file).collect();
        assert_eq!(files.len(), SURVEYS.len());
    }
}
