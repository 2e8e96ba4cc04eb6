//! What the requests permit that only read a device.

use domain::operation::SettingKind;
use domain::{DataItem, DeviceKind, LogKind, Operation};

use super::arguments::{part, time};
use super::{Case, NotPermitted, same};

/// Judges an operation of a reading request; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    match operation {
        Operation::Read(item) => shows(case.service, case.kind.is_gas(), *item).then_some(Ok(())),
        Operation::ReadLog { log, .. } => {
            let permitted = match case.service {
                "6.13" => match event_log(case) {
                    Ok(permitted) => permitted == Some(*log),
                    Err(unreadable) => return Some(Err(unreadable)),
                },
                service => log_of(service, case.kind, *log),
            };
            permitted.then(|| within_period(case, *log, operation))
        }
        _ => None,
    }
}

/// Whether a request is about an item.
fn shows(service: &str, gas: bool, item: DataItem) -> bool {
    use DataItem as I;
    match item {
        // The registers by time of use are the consumption of 4.1.1 in parts.
        I::TouRegister(_) => service == "4.1.1" && !gas,
        I::Setting(kind) => setting_of(service, gas, kind),
        I::ActiveImport | I::ReactiveImport | I::SecondaryActiveImport => service == "4.1.1" && !gas,
        I::GasConsumption => service == "4.1.1" && gas,
        I::TouRegisters => service == "4.1.2",
        I::SecondaryTouRegisters => service == "4.1.2" && !gas,
        I::BlockTouRegisters | I::BlockTouCounters => service == "4.1.3",
        I::BlockCounters => service == "4.1.4",
        I::ActiveExport | I::ReactiveExport => service == "4.2",
        I::EmergencyCreditBalance | I::AccumulatedDebt | I::PaymentDebt | I::TimeDebt(_) => service == "4.3",
        I::MeterBalance => matches!(service, "4.3" | "4.18"),
        I::VoltageCounter(1 | 2) => service == "4.10" && !gas,
        I::ActiveTariffPrice => service == "4.11.1",
        I::SecondaryTariffPrice => service == "4.11.2",
        I::MaximumDemandImport | I::MaximumDemandImportInPeriod => service == "4.12.1",
        I::MaximumDemandExport => service == "4.12.2",
        I::DebtRecoveryPerPayment
        | I::DebtRecoveryRateCap
        | I::DebtRecoveryRate(_)
        | I::DebtRecoveryHourly(_)
        | I::DisablementThreshold
        | I::EmergencyCreditLimit
        | I::EmergencyCreditThreshold
        | I::LowCreditThreshold
        | I::MaximumCredit
        | I::MaximumMeterBalance => service == "4.13",
        I::SuspendDebtDisabled | I::SuspendDebtEmergency => matches!(service, "4.13" | "6.2.9"),
        I::LoadLimitCounter => service == "4.15",
        I::ActivePowerImport | I::PrimaryActivePowerImport => service == "4.16",
        I::RandomisedOffset | I::RandomisedOffsetNumber | I::RandomisedOffsetLimit => service == "6.2.2",
        I::ModelType | I::Manufacturer => service == "6.2.4",
        I::MeterVariant => service == "6.2.4" && !gas,
        I::BatteryRemaining => service == "7.4" && gas,
        I::AuxiliaryLoadSwitch(_) => service == "7.7",
        I::DeviceLog => service == "8.9",
        _ => false,
    }
}

/// Whether a request shows a setting.
fn setting_of(service: &str, gas: bool, kind: SettingKind) -> bool {
    use SettingKind as S;
    match service {
        "4.10" => kind == S::Voltage && !gas,
        "4.11.1" => matches!(kind, S::Prices | S::Tariff),
        "4.11.2" => matches!(kind, S::SecondaryPrices | S::SecondaryTariff),
        "4.12.1" => kind == S::MaximumDemandPeriod,
        "4.13" => kind == S::PrepaymentConfiguration,
        "4.15" => kind == S::LoadLimit,
        "6.2.1" => kind == S::Voltage,
        "6.2.3" => kind == S::BillingCalendar,
        "6.2.4" => kind == if gas { S::GasFlow } else { S::SupplyTamperLocks },
        "6.2.5" => kind == S::PowerThresholds,
        "6.2.7" => kind == S::ImportMpxn || (kind == S::ExportMpan && !gas),
        "6.2.8" => matches!(kind, S::GasConversion | S::GasFlow),
        "6.2.10" => kind == S::AlertBehaviour,
        _ => false,
    }
}

/// Whether a request is about a log, of which it states a period.
fn log_of(service: &str, kind: DeviceKind, log: LogKind) -> bool {
    use LogKind as L;
    let electricity = kind == DeviceKind::Esme;
    match log {
        L::BillingModeOrTariff => service == "4.4.2",
        L::Billing => service == "4.4.3",
        L::DebtPayments => service == "4.4.4",
        L::Credits => service == "4.4.5",
        L::DailyRead => service == "4.6.1",
        L::ExportDailyRead => service == "4.6.2",
        L::ActiveImport => service == "4.8.1",
        L::SecondaryActiveImport => service == "4.8.1" && electricity,
        L::ReactiveImport => service == "4.8.2",
        L::ActiveExport | L::ReactiveExport => service == "4.8.3",
        L::Network => service == "4.10",
        L::PrepaymentDailyRead => service == "4.14",
        L::DailyConsumption => service == "4.17",
        L::Event | L::Security | L::PowerEvent | L::AuxiliaryLoad | L::GasMeterEvent | L::GasMeterSecurity => false,
    }
}

/// The log that the words of 6.13 name on this kind of device, if it has that.
fn event_log(case: &Case<'_>) -> Result<Option<LogKind>, NotPermitted> {
    let words = [
        ("Event", None, LogKind::Event),
        ("Security", None, LogKind::Security),
        ("PowerEvent", Some(DeviceKind::Esme), LogKind::PowerEvent),
        ("ALCSEvent", Some(DeviceKind::Esme), LogKind::AuxiliaryLoad),
        ("GSMEEvent", Some(DeviceKind::Gpf), LogKind::GasMeterEvent),
        ("GSMESecurity", Some(DeviceKind::Gpf), LogKind::GasMeterSecurity),
    ];
    let named = part(case.body, "LogToRead")?.text.trim();
    let found = words
        .iter()
        .find(|(word, only, _)| *word == named && only.is_none_or(|only| only == case.kind));
    Ok(found.map(|(_, _, log)| *log))
}

fn within_period(case: &Case<'_>, log: LogKind, operation: &Operation) -> Result<(), NotPermitted> {
    let period = part(case.body, "ReadLogPeriod")?;
    let (from, to) = (
        time(part(period, "StartDateTime")?)?,
        time(part(period, "EndDateTime")?)?,
    );
    same(&Operation::ReadLog { log, from, to }, operation)
}
