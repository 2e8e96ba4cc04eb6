//! Equivalent Steps of the requests that only read a device.

use domain::operation::SettingKind;
use domain::{DataItem, DeviceKind, LogKind, Operation};
use duis::Request;

use super::arguments::{child, instant};
use super::draft::DraftStep;
use super::{Refused, Target};
use crate::errors::Failure;

/// The steps of a reading request; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Result<Option<Vec<DraftStep>>, Refused> {
    let name = request.body.name;
    if let Some(items) = items(name, target) {
        return Ok(Some(items));
    }
    let logs = match name {
        "ReadEventOrSecurityLog" => vec![event_log(request, target.kind)?],
        "ReadNetworkData" => return network_data(request, target).map(Some),
        _ => match logs(name) {
            Some(logs) => logs.to_vec(),
            None => return Ok(None),
        },
    };
    let mut steps = Vec::new();
    for log in logs {
        steps.push(read_log(request, log)?);
    }
    if name == "ReadActiveImportProfileData" && target.profile.second_element {
        // The profile says the model can; this installation may not use it.
        steps.push(read_log(request, LogKind::SecondaryActiveImport)?.optional());
    }
    Ok(Some(steps))
}

/// The steps of requests that read items.
fn items(name: &str, target: &Target<'_>) -> Option<Vec<DraftStep>> {
    use DataItem as I;
    use SettingKind as S;
    let gas = target.kind.is_gas();
    let steps = match name {
        "ReadInstantaneousImportRegisters" if gas => reads(&[I::GasConsumption]),
        "ReadInstantaneousImportRegisters" => {
            with_second(target, &[I::ActiveImport, I::ReactiveImport], I::SecondaryActiveImport)
        }
        "ReadInstantaneousImportTOUMatrices" if gas => reads(&[I::TouRegisters]),
        "ReadInstantaneousImportTOUMatrices" => with_second(target, &[I::TouRegisters], I::SecondaryTouRegisters),
        "ReadInstantaneousImportTOUWithBlocksMatrices" => reads(&[I::BlockTouRegisters, I::BlockTouCounters]),
        "ReadInstantaneousImportBlockCounters" => reads(&[I::BlockCounters]),
        "ReadInstantaneousExportRegisters" => reads(&[I::ActiveExport, I::ReactiveExport]),
        "ReadInstantaneousPrepayValues" => reads(&[
            I::EmergencyCreditBalance,
            I::AccumulatedDebt,
            I::PaymentDebt,
            I::TimeDebt(1),
            I::TimeDebt(2),
            I::MeterBalance,
        ]),
        "ReadTariffPrimaryElement" => reads(&[I::ActiveTariffPrice, I::Setting(S::Prices), I::Setting(S::Tariff)]),
        "ReadTariffSecondaryElement" => reads(&[
            I::SecondaryTariffPrice,
            I::Setting(S::SecondaryPrices),
            I::Setting(S::SecondaryTariff),
        ]),
        "ReadMaximumDemandImportRegisters" => reads(&[
            I::MaximumDemandImportInPeriod,
            I::MaximumDemandImport,
            I::Setting(S::MaximumDemandPeriod),
        ]),
        "ReadMaximumDemandExportRegisters" => reads(&[I::MaximumDemandExport]),
        "ReadPrepaymentConfiguration" => prepayment_configuration(gas),
        "ReadLoadLimitData" => reads(&[I::LoadLimitCounter, I::Setting(S::LoadLimit)]),
        "ReadActivePowerImport" => with_second(target, &[I::ActivePowerImport], I::PrimaryActivePowerImport),
        "ReadMeterBalance" if gas => {
            // Only the gas part of the payload tells the modes apart.
            let mut steps = reads(&[I::MeterBalance]);
            steps.push(DraftStep::new(Operation::Read(I::PaymentMode)).optional());
            steps
        }
        "ReadMeterBalance" => reads(&[I::MeterBalance]),
        "ReadSupplyStatus" => {
            let mut steps = reads(&[I::SupplyState]);
            if gas {
                steps.push(DraftStep::new(Operation::Read(I::BatteryRemaining)).optional());
            }
            steps
        }
        "ReadALCSData" => {
            let switches = 1..=target.profile.meter.supply.auxiliary_switches;
            reads(&switches.map(I::AuxiliaryLoadSwitch).collect::<Vec<_>>())
        }
        "ReadDeviceLog" => reads(&[I::DeviceLog]),
        "ReadFirmwareVersion" => reads(&[I::FirmwareVersion]),
        _ => return configuration(name, gas),
    };
    Some(steps)
}

/// The steps of 6.2.x.
fn configuration(name: &str, gas: bool) -> Option<Vec<DraftStep>> {
    use DataItem as I;
    use SettingKind as S;
    let items: &[I] = match name {
        "ReadDeviceConfigurationVoltage" => &[I::Setting(S::Voltage)],
        "ReadDeviceConfigurationRandomisation" => {
            &[I::RandomisedOffset, I::RandomisedOffsetNumber, I::RandomisedOffsetLimit]
        }
        "ReadDeviceConfigurationBillingCalendar" => &[I::Setting(S::BillingCalendar)],
        "ReadDeviceConfigurationIdentityExcMPxN" if gas => &[I::ModelType, I::Manufacturer, I::Setting(S::GasFlow)],
        "ReadDeviceConfigurationIdentityExcMPxN" => &[
            I::ModelType,
            I::Manufacturer,
            I::Setting(S::SupplyTamperLocks),
            I::MeterVariant,
        ],
        "ReadDeviceConfigurationInstantaneousPowerThresholds" => &[I::Setting(S::PowerThresholds)],
        "ReadDeviceConfigurationMPxN" if gas => &[I::Setting(S::ImportMpxn)],
        "ReadDeviceConfigurationMPxN" => &[I::Setting(S::ImportMpxn), I::Setting(S::ExportMpan)],
        "ReadDeviceConfigurationGas" => &[I::Setting(S::GasConversion), I::Setting(S::GasFlow)],
        "ReadDeviceConfigurationPaymentMode" => &[I::PaymentMode, I::SuspendDebtEmergency, I::SuspendDebtDisabled],
        "ReadDeviceConfigurationEventAndAlertBehaviours" => &[I::Setting(S::AlertBehaviour)],
        _ => return None,
    };
    Some(reads(items))
}

/// The logs of requests that state a period and always mean the same logs.
fn logs(name: &str) -> Option<&'static [LogKind]> {
    use LogKind as L;
    Some(match name {
        "RetrieveCoMOrTariffTriggeredBillingDataLog" => &[L::BillingModeOrTariff],
        "RetrieveBillingCalendarTriggeredBillingDataLog" => &[L::Billing],
        "RetrieveBillingDataLogDebtPayments" => &[L::DebtPayments],
        "RetrieveBillingDataLogPrepaymentCredits" => &[L::Credits],
        "RetrieveImportDailyReadLog" => &[L::DailyRead],
        "RetrieveExportDailyReadLog" => &[L::ExportDailyRead],
        "ReadActiveImportProfileData" => &[L::ActiveImport],
        "ReadReactiveImportProfileData" => &[L::ReactiveImport],
        "ReadExportProfileData" => &[L::ActiveExport, L::ReactiveExport],
        "ReadPrepaymentDailyReadLog" => &[L::PrepaymentDailyRead],
        "RetrieveDailyConsumptionLog" => &[L::DailyConsumption],
        _ => return None,
    })
}

/// The log that 6.13 asks for, as this kind of device has it.
fn event_log(request: &Request, kind: DeviceKind) -> Result<LogKind, Refused> {
    let asked = child(&request.body, "LogToRead")?.text.trim();
    match (asked, kind) {
        ("Event", _) => Ok(LogKind::Event),
        ("Security", _) => Ok(LogKind::Security),
        ("PowerEvent", DeviceKind::Esme) => Ok(LogKind::PowerEvent),
        ("ALCSEvent", DeviceKind::Esme) => Ok(LogKind::AuxiliaryLoad),
        ("GSMEEvent", DeviceKind::Gpf) => Ok(LogKind::GasMeterEvent),
        ("GSMESecurity", DeviceKind::Gpf) => Ok(LogKind::GasMeterSecurity),
        _ => Err(Refused::new(
            Failure::LogNotForType,
            format!("{asked} is no log of a {kind}"),
        )),
    }
}

/// Counters and averages of the voltage, or recorded gas flow.
fn network_data(request: &Request, target: &Target<'_>) -> Result<Vec<DraftStep>, Refused> {
    use DataItem as I;
    let mut steps = if target.kind.is_gas() {
        Vec::new()
    } else {
        reads(&[
            I::VoltageCounter(1),
            I::VoltageCounter(2),
            I::Setting(SettingKind::Voltage),
        ])
    };
    steps.push(read_log(request, LogKind::Network)?);
    Ok(steps)
}

/// Reads all of which have to succeed.
fn reads(items: &[DataItem]) -> Vec<DraftStep> {
    items
        .iter()
        .map(|item| DraftStep::new(Operation::Read(*item)))
        .collect()
}

/// The same, with a look at the second element where the model can have one; this installation may not use it.
fn with_second(target: &Target<'_>, items: &[DataItem], second: DataItem) -> Vec<DraftStep> {
    let mut steps = reads(items);
    if target.profile.second_element {
        steps.push(DraftStep::new(Operation::Read(second)).optional());
    }
    steps
}

fn prepayment_configuration(gas: bool) -> Vec<DraftStep> {
    use DataItem as I;
    let mut steps = reads(&[
        I::DebtRecoveryPerPayment,
        I::DebtRecoveryRateCap,
        I::DisablementThreshold,
        I::EmergencyCreditLimit,
        I::EmergencyCreditThreshold,
        I::LowCreditThreshold,
        I::MaximumCredit,
        I::MaximumMeterBalance,
        I::SuspendDebtDisabled,
        I::SuspendDebtEmergency,
    ]);
    if !gas {
        // Only the electricity part of the payload has a place for it.
        steps.extend(reads(&[I::PaymentMode]));
    }
    let more = [
        I::DebtRecoveryRate(1),
        I::DebtRecoveryHourly(1),
        I::DebtRecoveryRate(2),
        I::DebtRecoveryHourly(2),
        I::Setting(SettingKind::PrepaymentConfiguration),
    ];
    // The payload can do without these, and not every meter shows them.
    steps.extend(reads(&more).into_iter().map(DraftStep::optional));
    steps
}

fn read_log(request: &Request, log: LogKind) -> Result<DraftStep, Refused> {
    let period = child(&request.body, "ReadLogPeriod")?;
    let from = instant(&child(period, "StartDateTime")?.text)?;
    let to = instant(&child(period, "EndDateTime")?.text)?;
    Ok(DraftStep::new(Operation::ReadLog { log, from, to }))
}
