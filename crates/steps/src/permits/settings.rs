//! What the requests permit that set one thing of a meter, reset counters, or show something to the customer.

use domain::Operation;
use domain::operation::{
    AlertBehaviour, BillingCalendar, BillingPeriod, Counter, GasFlow, LoadLimit, LogKind, Setting, SettingKind,
    VoltageSettings,
};
use duis::Element;

use super::arguments::{part, time};
use super::forms::{civil_date, clock_minute, either, place, truth_of, unreadable, whole, whole_of};
use super::{Case, NotPermitted, same};

type Judged<T> = Result<T, NotPermitted>;

/// Judges an operation of a request about settings; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    let permitted = match operation {
        Operation::Write(setting) => written(case, setting.kind())?.map(|setting| Operation::Write(Box::new(setting))),
        Operation::ResetCounters(_) => Ok(Operation::ResetCounters(counters(case)?)),
        _ => acts(case, operation)?,
    };
    Some(permitted.and_then(|permitted| same(&permitted, operation)))
}

/// What is done in the request's words where it stands for the kind of this operation.
fn acts(case: &Case<'_>, operation: &Operation) -> Option<Judged<Operation>> {
    let body = case.body;
    Some(match (case.service, operation) {
        ("3.1", Operation::DisplayMessage(_)) => {
            part(body, "SupplierMessage").map(|message| Operation::DisplayMessage(message.text.clone()))
        }
        ("3.2", Operation::RestrictAccess { .. }) => part(body, "RestrictionDateTime")
            .and_then(time)
            .map(|before| Operation::RestrictAccess { before }),
        ("3.3", Operation::ClearLog(_)) => {
            let auxiliary = body.children.iter().any(|child| child.text.trim() == "ALCS");
            Ok(Operation::ClearLog(if auxiliary {
                LogKind::AuxiliaryLoad
            } else {
                LogKind::Event
            }))
        }
        ("3.5", Operation::DisablePrivacyPin) => Ok(Operation::DisablePrivacyPin),
        ("7.5", Operation::SwitchAuxiliaryLoad { .. }) => switched(body, "ActivateALCSHCALCS", true),
        ("7.6", Operation::SwitchAuxiliaryLoad { .. }) => switched(body, "DeactivateALCSHCALCS", false),
        ("9.1", Operation::ShowCustomerIdentification(_)) => {
            // Six digits of the request's counter times 7919: see the planner's own words on it.
            let product = u128::from(case.counter) * 7_919 % (1u128 << 64);
            Ok(Operation::ShowCustomerIdentification(format!(
                "{:06}",
                product % 1_000_000
            )))
        }
        _ => return None,
    })
}

fn switched(body: &Element, name: &str, on: bool) -> Judged<Operation> {
    let form = part(body, name)?;
    Ok(Operation::SwitchAuxiliaryLoad {
        switch: place(form)?,
        on,
        minutes: whole_of(form, "Duration")?,
    })
}

fn counters(case: &Case<'_>) -> Option<Vec<Counter>> {
    let asked = |name: &str| case.body.children.iter().any(|child| child.name == name);
    Some(match case.service {
        "6.4.2" => vec![Counter::LoadLimit],
        "6.27" => vec![Counter::RmsVoltage],
        "6.18.2" => {
            let mut counters = Vec::new();
            if asked("MaxDemandActivePowerImportValue") {
                counters.push(Counter::MaximumDemandImport);
            }
            if asked("MaxDemandActivePowerExportValue") {
                counters.push(Counter::MaximumDemandExport);
            }
            if asked("MaxDemandConfigTimeActivePowerImportValue") {
                counters.push(Counter::MaximumDemandImportInPeriod);
            }
            counters
        }
        _ => return None,
    })
}

/// The setting in the request's words where it stands for this kind.
fn written(case: &Case<'_>, kind: SettingKind) -> Option<Judged<Setting>> {
    use SettingKind as K;
    let body = case.body;
    Some(match (case.service, kind) {
        ("3.4", K::SupplierName) => supplier(body),
        ("6.4.1", K::LoadLimit) => load_limit(body).map(Setting::LoadLimit),
        ("6.5", K::Voltage) => voltages(body).map(Setting::Voltage),
        ("6.6", K::GasConversion) => conversion(body).map(Setting::GasConversion),
        ("6.7", K::GasFlow) => flow(body).map(Setting::GasFlow),
        ("6.8", K::BillingCalendar) => calendar(case).map(Setting::BillingCalendar),
        ("6.12", K::PowerThresholds) => whole_of(body, "LowMediumPowerThreshold").and_then(|low| {
            let high = whole_of(body, "MediumHighPowerThreshold")?;
            Ok(Setting::PowerThresholds((low, high)))
        }),
        ("6.18.1", K::MaximumDemandPeriod) => part(body, "MaximumDemandTimePeriodSchedule").and_then(|window| {
            let from = clock_minute(part(window, "StartTime")?)?;
            Ok(Setting::MaximumDemandPeriod((
                from,
                clock_minute(part(window, "EndTime")?)?,
            )))
        }),
        ("6.20.1", K::ImportMpxn) => points(case).map(Setting::ImportMpxn),
        ("6.20.2", K::ExportMpan) => part(body, "ExportMPAN").map(|point| Setting::ExportMpan(point.text.clone())),
        ("6.22", K::AlertBehaviour) => behaviour(case).map(Setting::AlertBehaviour),
        ("6.25", K::SupplyTamperLocks) => {
            either(body, "SupplyTamperState", "Locked", "Unchanged").map(Setting::SupplyTamperLocks)
        }
        ("6.26", K::DailyBlockReset) => {
            truth_of(body, "DailyTariffBlockCounterMatrixReset").map(Setting::DailyBlockReset)
        }
        _ => return None,
    })
}

fn supplier(body: &Element) -> Judged<Setting> {
    let name = part(body, "SupplierName")?.text.clone();
    let telephone = part(body, "SupplierTelephoneNumber")?.text.clone();
    Ok(Setting::SupplierName((name, telephone)))
}

fn load_limit(body: &Element) -> Judged<LoadLimit> {
    Ok(LoadLimit {
        disables: either(body, "LoadLimitSupplyState", "Disable", "Unchanged")?,
        threshold_w: whole_of(body, "LoadLimitPowerThreshold")?,
        period_s: whole_of(body, "LoadLimitPeriod")?,
        restoration_s: whole_of(body, "LoadLimitRestorationPeriod")?,
    })
}

/// Whole volts as tenths.
fn tenths(element: &Element, name: &str) -> Judged<u32> {
    let volts: u32 = whole_of(element, name)?;
    Ok(volts.saturating_mul(10))
}

fn voltages(body: &Element) -> Judged<VoltageSettings> {
    let root = part(body, "RMSVoltageSettings")?;
    let mut extremes = [(0, 0); 4];
    let names = [
        "RMSExtremeOverVoltage",
        "RMSExtremeUnderVoltage",
        "RMSVoltageSag",
        "RMSVoltageSwell",
    ];
    for (extreme, name) in extremes.iter_mut().zip(names) {
        let period = whole_of(root, &format!("{name}MeasurementPeriod"))?;
        *extreme = (period, tenths(root, &format!("{name}Threshold"))?);
    }
    let average = |of: &Element| {
        let over = tenths(of, "AverageRMSOverVoltageThreshold")?;
        let under = tenths(of, "AverageRMSUnderVoltageThreshold")?;
        Ok::<_, NotPermitted>((over, under, whole_of(of, "AverageRMSVoltageMeasurementPeriod")?))
    };
    let named = |name: &str| body.children.iter().filter(|child| child.name == name).count();
    let averages = match (named("SinglePhaseVoltageSettings"), named("PolyPhaseVoltageSettings")) {
        (1, 0) => vec![average(part(body, "SinglePhaseVoltageSettings")?)?],
        (0, 3) => {
            let mut phases = [None; 3];
            for child in body
                .children
                .iter()
                .filter(|child| child.name == "PolyPhaseVoltageSettings")
            {
                let number: usize = whole_of(child, "Phase")?;
                let settings = average(part(child, "PhaseVoltageSettings")?)?;
                let phase = number.checked_sub(1).and_then(|place| phases.get_mut(place));
                *phase.ok_or_else(|| unreadable(child))? = Some(settings);
            }
            phases.into_iter().flatten().collect()
        }
        _ => return Err(unreadable(body)),
    };
    Ok(VoltageSettings {
        extremes,
        averages,
        keep_counters: named("RMSVoltageCountersNotReset") > 0,
    })
}

/// A decimal in units of its last place but `places`, cut there.
fn cut(element: &Element, places: u32) -> Judged<u64> {
    let mut number: u64 = 0;
    let mut after: Option<u32> = None;
    for c in element.text.trim().chars() {
        match (c, after) {
            ('.', None) => after = Some(0),
            (digit, _) if digit.is_ascii_digit() => {
                if after.is_some_and(|seen| seen >= places) {
                    continue;
                }
                let value = u64::from(digit.to_digit(10).unwrap_or(0));
                let next = number.checked_mul(10).and_then(|ten| ten.checked_add(value));
                number = next.ok_or_else(|| unreadable(element))?;
                after = after.map(|seen| seen + 1);
            }
            _ => return Err(unreadable(element)),
        }
    }
    let missing = places - after.unwrap_or(0);
    10u64
        .checked_pow(missing)
        .and_then(|factor| number.checked_mul(factor))
        .ok_or_else(|| unreadable(element))
}

fn conversion(body: &Element) -> Judged<(u64, u64)> {
    Ok((
        cut(part(body, "CalorificValue")?, 3)?,
        cut(part(body, "ConversionFactor")?, 5)?,
    ))
}

fn flow(body: &Element) -> Judged<GasFlow> {
    let whole_rate = body
        .children
        .iter()
        .any(|child| child.name == "UncontrolledGasFlowRate");
    let rate = if whole_rate {
        part(body, "UncontrolledGasFlowRate")?
    } else {
        part(body, "UncontrolledGasFlowRateDecimal")?
    };
    Ok(GasFlow {
        uncontrolled_flow_milli: cut(rate, 3)?,
        depletion_locks: either(body, "SupplyDepletionState", "Locked", "Unchanged")?,
        tamper_locks: either(body, "SupplyTamperState", "Locked", "Unchanged")?,
        measurement: whole_of(body, "MeasurementPeriod")?,
        stabilisation: whole_of(body, "StabilisationPeriod")?,
    })
}

fn calendar(case: &Case<'_>) -> Judged<BillingCalendar> {
    if case.kind.is_gas() {
        return gas_calendar(part(case.body, "GasBillingCalendar")?);
    }
    let form = part(case.body, "ElectricityBillingCalendar")?;
    let [at, choice] = form.children.as_slice() else {
        return Err(unreadable(form));
    };
    let month = || whole_of::<u8>(choice, "BillingPeriodStartMonth");
    let day = || whole_of::<u8>(choice, "DayOfMonth");
    let period = match choice.name {
        "Daily" => BillingPeriod::Daily,
        "Weekly" => BillingPeriod::Weekly(whole(choice)?),
        "Monthly" => BillingPeriod::Monthly(whole(choice)?),
        "Quarterly" => BillingPeriod::Quarterly(day()?, month()?),
        "SixMonthly" => BillingPeriod::SixMonthly(day()?, month()?),
        "Yearly" => BillingPeriod::Yearly(day()?, month()?),
        _ => return Err(unreadable(choice)),
    };
    Ok(BillingCalendar {
        minute: clock_minute(at)?,
        start: None,
        period,
    })
}

fn gas_calendar(form: &Element) -> Judged<BillingCalendar> {
    let first = part(form, "BillingPeriodStart")?;
    let start = time(first)?;
    let date = civil_date(first)?;
    let day = match date.day {
        Some(domain::operation::AnyDay::Day(day)) => day.min(28),
        _ => return Err(unreadable(first)),
    };
    let month = date.month.ok_or_else(|| unreadable(first))?;
    let clock: String = first.text.trim().chars().skip_while(|c| *c != 'T').skip(1).collect();
    // Days since a Monday.
    let weekday = start.0.div_euclid(86_400_000).wrapping_sub(4).rem_euclid(7) + 1;
    let periodicity = part(form, "Periodicity")?;
    Ok(BillingCalendar {
        minute: clock_minute(&Element::sr("BillingPeriodStart").with_text(clock))?,
        start: Some(start),
        period: match periodicity.text.trim() {
            "Daily" => BillingPeriod::Daily,
            "Weekly" => BillingPeriod::Weekly(u8::try_from(weekday).map_err(|_| unreadable(first))?),
            "Monthly" => BillingPeriod::Monthly(day),
            "Quarterly" => BillingPeriod::Quarterly(day, month),
            "SixMonthly" => BillingPeriod::SixMonthly(day, month),
            "Yearly" => BillingPeriod::Yearly(day, month),
            _ => return Err(unreadable(periodicity)),
        },
    })
}

fn points(case: &Case<'_>) -> Judged<(String, Option<String>)> {
    if case.kind.is_gas() {
        return Ok((part(case.body, "ImportMPRN")?.text.clone(), None));
    }
    let form = part(case.body, "ImportMPANs")?;
    let second = form.children.iter().find(|child| child.name == "SecondaryImportMPAN");
    Ok((
        part(form, "ImportMPAN")?.text.clone(),
        second.map(|point| point.text.clone()),
    ))
}

fn behaviour(case: &Case<'_>) -> Judged<AlertBehaviour> {
    let [form] = case.body.children.as_slice() else {
        return Err(unreadable(case.body));
    };
    if form.name.starts_with("Gas") != case.kind.is_gas() {
        return Err(unreadable(form));
    }
    let mut all = AlertBehaviour::default();
    let groups = form.children.iter().flat_map(|child| {
        if child.name.starts_with('x') {
            std::slice::from_ref(child)
        } else {
            child.children.as_slice()
        }
    });
    for entry in groups {
        let hex = entry.name.trim_start_matches('x');
        let code = u16::from_str_radix(hex, 16).map_err(|_| unreadable(entry))?;
        let says = |leaf: &Element| match leaf.text.trim() {
            "Enable" => Ok((code, true)),
            "Disable" => Ok((code, false)),
            _ => Err(unreadable(leaf)),
        };
        match form.name {
            "ElectricitySupplierAlerts" | "ElectricityNetworkOperatorAlerts" | "GasSupplierAlerts" => {
                all.wan.push(says(entry)?);
            }
            "ElectricitySupplierHANAlertSettings" => all.han.push(says(entry)?),
            "ElectricitySupplierAlarmSettings" => all.alarm.push(says(entry)?),
            "ElectricitySupplierLoggingSettings" | "ElectricityNetworkOperatorLoggingSettings" => {
                all.logged.push(says(entry)?);
            }
            "GasSupplierAlertEventSettings" => {
                all.wan.push(says(part(entry, "WANAlert")?)?);
                all.han.push(says(part(entry, "HANAlert")?)?);
                all.logged.push(says(part(entry, "EventLog")?)?);
                all.alarm.push(says(part(entry, "Alarm")?)?);
            }
            _ => return Err(unreadable(form)),
        }
    }
    for list in [&mut all.wan, &mut all.han, &mut all.alarm, &mut all.logged] {
        list.sort_unstable();
    }
    Ok(all)
}
