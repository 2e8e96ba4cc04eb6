//! Equivalent Steps of the requests that set one thing of a meter, reset counters, or show something to the customer.

use domain::operation::{
    AlertBehaviour, BillingCalendar, BillingPeriod, Counter, GasFlow, LoadLimit, LogKind, Operation, Setting,
    VoltageSettings,
};
use duis::{Element, Request};

use super::arguments::{child, instant};
use super::draft::DraftStep;
use super::forms::{child_flag, child_number, date, minute, number, of_fuel, unreadable};
use super::{Refused, Target};
use crate::errors::Failure;

type Read<T> = Result<T, Refused>;

/// The steps of a request about settings; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Read<Option<Vec<DraftStep>>> {
    let body = &request.body;
    let text = |name: &str| child(body, name).map(|leaf| leaf.text.clone());
    let operation = match body.name {
        "DisplayMessage" => Operation::DisplayMessage(text("SupplierMessage")?),
        "RestrictAccessForChangeOfTenancy" => Operation::RestrictAccess {
            before: instant(&child(body, "RestrictionDateTime")?.text)?,
        },
        "ClearEventLog" => Operation::ClearLog(match body.child_text("ESMEEventLogType") {
            Some("ALCS") => LogKind::AuxiliaryLoad,
            _ => LogKind::Event,
        }),
        "UpdateSupplierName" => write(Setting::SupplierName((
            text("SupplierName")?,
            text("SupplierTelephoneNumber")?,
        ))),
        "DisablePrivacyPIN" => Operation::DisablePrivacyPin,
        "UpdateDeviceConfigurationLoadLimitingGeneralSettings" => write(Setting::LoadLimit(LoadLimit {
            period_s: child_number(body, "LoadLimitPeriod")?,
            threshold_w: child_number(body, "LoadLimitPowerThreshold")?,
            restoration_s: child_number(body, "LoadLimitRestorationPeriod")?,
            disables: word(child(body, "LoadLimitSupplyState")?, "Disable", "Unchanged")?,
        })),
        "UpdateDeviceConfigurationLoadLimitingCounterReset" => reset(vec![Counter::LoadLimit]),
        "UpdateDeviceConfigurationVoltage" => write(Setting::Voltage(voltage(body)?)),
        "UpdateDeviceConfigurationGasConversion" => write(Setting::GasConversion((
            decimal(child(body, "CalorificValue")?, 3)?,
            decimal(child(body, "ConversionFactor")?, 5)?,
        ))),
        "UpdateDeviceConfigurationGasFlow" => write(Setting::GasFlow(gas_flow(body)?)),
        "UpdateDeviceConfigurationBillingCalendar" => write(Setting::BillingCalendar(billing_calendar(body, target)?)),
        "UpdateDeviceConfigurationInstantaneousPowerThreshold" => write(Setting::PowerThresholds((
            child_number(body, "LowMediumPowerThreshold")?,
            child_number(body, "MediumHighPowerThreshold")?,
        ))),
        "SetMaximumDemandConfigurableTimePeriod" => {
            let schedule = child(body, "MaximumDemandTimePeriodSchedule")?;
            write(Setting::MaximumDemandPeriod((
                minute(child(schedule, "StartTime")?)?,
                minute(child(schedule, "EndTime")?)?,
            )))
        }
        "ResetMaximumDemandRegisters" => reset(demand_counters(body)?),
        "SetDeviceConfigurationImportMPxN" => write(Setting::ImportMpxn(import_points(body, target)?)),
        "SetDeviceConfigurationExportMPAN" => write(Setting::ExportMpan(text("ExportMPAN")?)),
        "ConfigureAlertBehaviour" => write(Setting::AlertBehaviour(alert_behaviour(body, target)?)),
        "SetElectricitySupplyTamperState" => {
            let locks = word(child(body, "SupplyTamperState")?, "Locked", "Unchanged")?;
            write(Setting::SupplyTamperLocks(locks))
        }
        "UpdateDeviceConfigurationDailyResettingOfTariffBlockCounterMatrix" => write(Setting::DailyBlockReset(
            child_flag(body, "DailyTariffBlockCounterMatrixReset")?,
        )),
        "UpdateDeviceConfigurationRMSVoltageCounterReset" => reset(vec![Counter::RmsVoltage]),
        "ActivateAuxiliaryLoad" => switch(child(body, "ActivateALCSHCALCS")?, true, target)?,
        "DeactivateAuxiliaryLoad" => switch(child(body, "DeactivateALCSHCALCS")?, false, target)?,
        "RequestCustomerIdentificationNumber" => {
            // The number is made of the request's own, so that whoever sees the request can tell it (ours).
            let number = request.id.counter.wrapping_mul(7_919) % 1_000_000;
            Operation::ShowCustomerIdentification(format!("{number:06}"))
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![DraftStep::new(operation)]))
}

fn write(setting: Setting) -> Operation {
    Operation::Write(Box::new(setting))
}

fn reset(counters: Vec<Counter>) -> Operation {
    Operation::ResetCounters(counters)
}

/// Which of two words stands there: true for the first.
fn word(element: &Element, yes: &str, no: &str) -> Read<bool> {
    match element.text.trim() {
        text if text == yes => Ok(true),
        text if text == no => Ok(false),
        _ => Err(unreadable(element, &format!("neither {yes} nor {no}"))),
    }
}

/// A decimal number in units of ten to the power of `-places`; what is finer is left out.
fn decimal(element: &Element, places: usize) -> Read<u64> {
    let text = element.text.trim().trim_start_matches('+');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
    let all_digits = fraction.chars().all(|c| c.is_ascii_digit()) && !text.is_empty();
    let number = format!("{whole}{digits}").parse().ok().filter(|_| all_digits);
    number.ok_or_else(|| unreadable(element, "no decimal number this lab can hold"))
}

/// Requests state volts, meters take tenths of a volt.
fn voltage(body: &Element) -> Read<VoltageSettings> {
    let volts = |form: &Element, name: &str| {
        let volts: u32 = child_number(form, name)?;
        Ok::<_, Refused>(volts.saturating_mul(10))
    };
    let form = child(body, "RMSVoltageSettings")?;
    let extreme = |period: &str, threshold: &str| Ok((child_number(form, period)?, volts(form, threshold)?));
    let average = |form: &Element| {
        Ok((
            volts(form, "AverageRMSOverVoltageThreshold")?,
            volts(form, "AverageRMSUnderVoltageThreshold")?,
            child_number(form, "AverageRMSVoltageMeasurementPeriod")?,
        ))
    };
    let averages = match body.child("SinglePhaseVoltageSettings") {
        Some(form) => vec![average(form)?],
        None => {
            let mut phases = Vec::new();
            for phase in body.children_named("PolyPhaseVoltageSettings") {
                let number: u8 = child_number(phase, "Phase")?;
                phases.push((number, average(child(phase, "PhaseVoltageSettings")?)?));
            }
            phases.sort_unstable();
            if phases.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(unreadable(body, "about one phase twice"));
            }
            phases.into_iter().map(|(_, average)| average).collect()
        }
    };
    Ok(VoltageSettings {
        extremes: [
            extreme(
                "RMSExtremeOverVoltageMeasurementPeriod",
                "RMSExtremeOverVoltageThreshold",
            )?,
            extreme(
                "RMSExtremeUnderVoltageMeasurementPeriod",
                "RMSExtremeUnderVoltageThreshold",
            )?,
            extreme("RMSVoltageSagMeasurementPeriod", "RMSVoltageSagThreshold")?,
            extreme("RMSVoltageSwellMeasurementPeriod", "RMSVoltageSwellThreshold")?,
        ],
        averages,
        keep_counters: body.child("RMSVoltageCountersNotReset").is_some(),
    })
}

fn gas_flow(body: &Element) -> Read<GasFlow> {
    let rate = body
        .child("UncontrolledGasFlowRateDecimal")
        .map_or_else(|| child(body, "UncontrolledGasFlowRate"), Ok)?;
    Ok(GasFlow {
        uncontrolled_flow_milli: decimal(rate, 3)?,
        depletion_locks: word(child(body, "SupplyDepletionState")?, "Locked", "Unchanged")?,
        tamper_locks: word(child(body, "SupplyTamperState")?, "Locked", "Unchanged")?,
        stabilisation: child_number(body, "StabilisationPeriod")?,
        measurement: child_number(body, "MeasurementPeriod")?,
    })
}

fn billing_calendar(body: &Element, target: &Target<'_>) -> Read<BillingCalendar> {
    let form = of_fuel(body, target, "ElectricityBillingCalendar", "GasBillingCalendar")?;
    if target.kind.is_gas() {
        return gas_billing_calendar(form);
    }
    let period = form.children.iter().find_map(|choice| {
        let day_and_month = || {
            Ok::<_, Refused>((
                child_number(choice, "DayOfMonth")?,
                child_number(choice, "BillingPeriodStartMonth")?,
            ))
        };
        Some(match choice.name {
            "Daily" => Ok(BillingPeriod::Daily),
            "Weekly" => number(choice).map(BillingPeriod::Weekly),
            "Monthly" => number(choice).map(BillingPeriod::Monthly),
            "Quarterly" => day_and_month().map(|(day, month)| BillingPeriod::Quarterly(day, month)),
            "SixMonthly" => day_and_month().map(|(day, month)| BillingPeriod::SixMonthly(day, month)),
            "Yearly" => day_and_month().map(|(day, month)| BillingPeriod::Yearly(day, month)),
            _ => return None,
        })
    });
    Ok(BillingCalendar {
        minute: minute(child(form, "BillingTime")?)?,
        start: None,
        period: period.unwrap_or_else(|| Err(unreadable(form, "without a period")))?,
    })
}

/// The gas form states the first point; the others follow from its day. Days after the 28th count as the 28th.
fn gas_billing_calendar(form: &Element) -> Read<BillingCalendar> {
    let start = child(form, "BillingPeriodStart")?;
    let at = instant(&start.text)?;
    let day = date(start)?;
    let day_of_month = match day.day {
        Some(domain::operation::AnyDay::Day(day)) => day.min(28),
        _ => 1,
    };
    let month = day.month.unwrap_or(1);
    let periodicity = child(form, "Periodicity")?;
    let weekday = u8::try_from((at.0.div_euclid(86_400_000) + 3).rem_euclid(7) + 1).unwrap_or(1);
    let time = start.text.split_once('T').map_or("", |(_, time)| time);
    Ok(BillingCalendar {
        minute: minute(&Element::sr("BillingPeriodStart").with_text(time))?,
        start: Some(at),
        period: match periodicity.text.trim() {
            "Daily" => BillingPeriod::Daily,
            "Weekly" => BillingPeriod::Weekly(weekday),
            "Monthly" => BillingPeriod::Monthly(day_of_month),
            "Quarterly" => BillingPeriod::Quarterly(day_of_month, month),
            "SixMonthly" => BillingPeriod::SixMonthly(day_of_month, month),
            "Yearly" => BillingPeriod::Yearly(day_of_month, month),
            _ => return Err(unreadable(periodicity, "no periodicity")),
        },
    })
}

fn demand_counters(body: &Element) -> Read<Vec<Counter>> {
    let counters: Vec<Counter> = [
        ("MaxDemandActivePowerImportValue", Counter::MaximumDemandImport),
        ("MaxDemandActivePowerExportValue", Counter::MaximumDemandExport),
        (
            "MaxDemandConfigTimeActivePowerImportValue",
            Counter::MaximumDemandImportInPeriod,
        ),
    ]
    .into_iter()
    .filter(|(name, _)| body.child(name).is_some())
    .map(|(_, counter)| counter)
    .collect();
    if counters.is_empty() {
        return Err(unreadable(body, "without a register to reset"));
    }
    Ok(counters)
}

fn import_points(body: &Element, target: &Target<'_>) -> Read<(String, Option<String>)> {
    let form = of_fuel(body, target, "ImportMPANs", "ImportMPRN")?;
    if target.kind.is_gas() {
        return Ok((form.text.clone(), None));
    }
    let second = form.child_text("SecondaryImportMPAN").map(str::to_owned);
    Ok((child(form, "ImportMPAN")?.text.clone(), second))
}

/// Elements named `x` and a code, each with the word that says whether.
fn alert_behaviour(body: &Element, target: &Target<'_>) -> Read<AlertBehaviour> {
    let form = body
        .children
        .first()
        .ok_or_else(|| unreadable(body, "without settings"))?;
    if form.name.starts_with("Gas") != target.kind.is_gas() {
        let text = format!("{} is not for a {}", form.name, target.kind);
        return Err(Refused::new(Failure::NotApplicable, text));
    }
    let enabled = |element: &Element| word(element, "Enable", "Disable");
    let mut codes: Vec<(u16, &Element)> = Vec::new();
    codes_within(form, &mut codes);
    codes.sort_by_key(|(code, _)| *code);
    let list = |part: Option<&str>| {
        let entries = codes.iter().map(|(code, element)| {
            let word = part.map_or(Ok(*element), |name| child(element, name))?;
            Ok((*code, enabled(word)?))
        });
        entries.collect::<Read<Vec<(u16, bool)>>>()
    };
    let mut behaviour = AlertBehaviour::default();
    match form.name {
        "ElectricitySupplierHANAlertSettings" => behaviour.han = list(None)?,
        "ElectricitySupplierAlarmSettings" => behaviour.alarm = list(None)?,
        "ElectricitySupplierLoggingSettings" | "ElectricityNetworkOperatorLoggingSettings" => {
            behaviour.logged = list(None)?;
        }
        "GasSupplierAlertEventSettings" => {
            behaviour.wan = list(Some("WANAlert"))?;
            behaviour.han = list(Some("HANAlert"))?;
            behaviour.logged = list(Some("EventLog"))?;
            behaviour.alarm = list(Some("Alarm"))?;
        }
        _ => behaviour.wan = list(None)?,
    }
    Ok(behaviour)
}

fn codes_within<'e>(element: &'e Element, codes: &mut Vec<(u16, &'e Element)>) {
    for child in &element.children {
        match child
            .name
            .strip_prefix('x')
            .and_then(|hex| u16::from_str_radix(hex, 16).ok())
        {
            Some(code) => codes.push((code, child)),
            None => codes_within(child, codes),
        }
    }
}

fn switch(form: &Element, on: bool, target: &Target<'_>) -> Read<Operation> {
    let switches = target.profile.meter.supply.auxiliary_switches;
    if switches == 0 {
        let text = format!("{} has no auxiliary load switches", target.profile.id);
        return Err(Refused::new(Failure::NotApplicable, text));
    }
    let switch = super::forms::index(form)?;
    // Minutes (recalled); the schema gives no unit.
    let minutes = child_number(form, "Duration")?;
    Ok(Operation::SwitchAuxiliaryLoad { switch, on, minutes })
}
