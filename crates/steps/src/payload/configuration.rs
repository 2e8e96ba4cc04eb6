//! Payloads of 4.13, 4.15 and 6.2: settings as the device has them.

use domain::DataItem;
use domain::operation::{
    BillingCalendar, BillingPeriod, NonDisablementCalendar, NonDisablementRule, PaymentMode, Setting, SettingKind,
    Value, VoltageSettings,
};
use duis::Element;

use super::calendars::{date_parts, gas_date, gas_seasons, weeks};
use super::parts::{leaves, time_of_day, timestamp};
use super::values::Values;
use crate::plan::Target;

// By the schema.
const SPECIAL_DAYS_MAX: usize = 20;
const RULES_MAX: usize = 22;
const GAS_DAYS_MAX: usize = 5;
const GAS_SWITCHES_MAX: usize = 3;
const GAS_WEEKS_MAX: usize = 2;
const MODEL_MAX: usize = 8;
const MANUFACTURER_MAX: usize = 32;
const MPAN_MAX: usize = 13;
const MPRN_MAX: usize = 10;

/// Fills a payload of this group; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Element, Element> {
    let gas = target.kind.is_gas();
    Ok(match rsp.name {
        "ReadPrepaymentConfigurationRsp" => prepayment_configuration(rsp, gas, values),
        "ReadLoadLimitDataRsp" => load_limit(rsp, values),
        "ReadDeviceConfigurationVoltageRsp" => match values.setting(SettingKind::Voltage) {
            Some(Setting::Voltage(voltage)) => voltage_limits(rsp, voltage),
            _ => rsp,
        },
        "ReadDeviceConfigurationRandomisationRsp" => leaves(rsp, values, &RANDOMISATION),
        "ReadDeviceConfigurationDataBillingCalendarRsp" => match values.setting(SettingKind::BillingCalendar) {
            Some(Setting::BillingCalendar(calendar)) => rsp.with_optional(billing_calendar(gas, calendar)),
            _ => rsp,
        },
        "ReadDeviceConfigurationIdentityExcMPxNRsp" => identity(rsp, target, values),
        "ReadDeviceConfigurationInstantaneousPowerThresholdsRsp" => {
            match values.setting(SettingKind::PowerThresholds) {
                Some(Setting::PowerThresholds((low, high))) => rsp
                    .with_leaf("LowMediumPowerThreshold", low.to_string())
                    .with_leaf("MediumHighPowerThreshold", high.to_string()),
                _ => rsp,
            }
        }
        "ReadDeviceConfigurationMPxNRsp" => rsp.with(metering_points(gas, values)),
        "ReadDeviceConfigurationGasRsp" => gas_settings(rsp, values),
        "ReadDeviceConfigurationPaymentModeRsp" => rsp
            .with_optional(payment_mode(values))
            .with_optional(flag(values, "SuspendDebtEmergency", DataItem::SuspendDebtEmergency))
            .with_optional(flag(values, "SuspendDebtDisabled", DataItem::SuspendDebtDisabled)),
        _ => return Err(rsp),
    })
}

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

const RANDOMISATION: [(DataItem, &str); 3] = [
    (DataItem::RandomisedOffset, "RandomisedOffset"),
    (DataItem::RandomisedOffsetNumber, "RandomisedOffsetNumber"),
    (DataItem::RandomisedOffsetLimit, "RandomisedOffsetLimit"),
];

fn flag(values: &Values, name: &'static str, item: DataItem) -> Option<Element> {
    values.flag(item).map(|text| Element::ra(name).with_text(text))
}

fn payment_mode(values: &Values) -> Option<Element> {
    let Some(Value::PaymentMode(mode)) = values.items.get(&DataItem::PaymentMode) else {
        return None;
    };
    let word = match mode {
        PaymentMode::Credit => "Credit",
        PaymentMode::Prepayment => "Prepayment",
    };
    Some(Element::ra("PaymentMode").with_text(word))
}

fn prepayment_configuration(rsp: Element, gas: bool, values: &Values) -> Element {
    let rsp = leaves(rsp, values, &PREPAYMENT_CONFIGURATION)
        .with_optional(flag(values, "SuspendDebtDisabled", DataItem::SuspendDebtDisabled))
        .with_optional(flag(values, "SuspendDebtEmergency", DataItem::SuspendDebtEmergency));
    let calendar = match values.setting(SettingKind::PrepaymentConfiguration) {
        Some(Setting::PrepaymentConfiguration(configuration)) => Some(&configuration.non_disablement),
        _ => None,
    };
    let fuel = if gas {
        Element::ra("Gas").with_optional(calendar.map(gas_calendar))
    } else {
        Element::ra("Electricity")
            .with_optional(payment_mode(values))
            .with_optional(calendar.map(electricity_calendar))
    };
    let fuel = fuel
        .with_optional(debt_recovery(values, gas, 1, "DebtRecovery1"))
        .with_optional(debt_recovery(values, gas, 2, "DebtRecovery2"));
    if fuel.children.is_empty() { rsp } else { rsp.with(fuel) }
}

/// Rates are thousandths of a penny; the scale of the electricity form says so.
fn debt_recovery(values: &Values, gas: bool, debt: u8, name: &'static str) -> Option<Element> {
    let rate = values.integer(DataItem::DebtRecoveryRate(debt));
    let hourly = values.flag(DataItem::DebtRecoveryHourly(debt));
    if rate.is_none() && hourly.is_none() {
        return None;
    }
    let scale = (!gas && rate.is_some()).then(|| Element::ra("DebtRecoveryRatePriceScale").with_text("-5"));
    let period = hourly.map(|hourly| if hourly == "true" { "HOURLY" } else { "DAILY" });
    Some(
        Element::ra(name)
            .with_optional(rate.map(|rate| Element::ra("DebtRecoveryRate").with_text(rate)))
            .with_optional(scale)
            .with_optional(period.map(|period| Element::ra("DebtRecoveryRatePeriod").with_text(period))),
    )
}

fn electricity_calendar(calendar: &NonDisablementCalendar) -> Element {
    let special = calendar.special_days.iter().take(SPECIAL_DAYS_MAX).map(|(on, number)| {
        Element::ra("SpecialDay")
            .with_attribute("index", number.to_string())
            .with_all(date_parts(on))
    });
    Element::ra("NonDisablementCalendar")
        .with(Element::ra("ElectricitySpecialDays").with_all(special))
        .with_all(calendar.rules.iter().take(RULES_MAX).map(electricity_rule))
}

fn electricity_rule(rule: &NonDisablementRule) -> Element {
    const NAMES: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let special = rule
        .special_days
        .iter()
        .take(SPECIAL_DAYS_MAX)
        .map(|number| Element::ra("SpecialDayApplicability").with_leaf("SpecialDayID", number.to_string()));
    let days = rule
        .days_of_week
        .iter()
        .filter_map(|day| NAMES.get(usize::from(*day).checked_sub(1)?))
        .map(|name| Element::ra("DayOfWeekApplicability").with_leaf("DayOfWeekID", *name));
    // A date without a year has one that stands for all of them, as in requests (samples have it).
    let plain = |name: &'static str, on: &domain::operation::AnyDate| {
        let (Some(month), Some(domain::operation::AnyDay::Day(day))) = (on.month, on.day) else {
            return None;
        };
        let year = on.year.unwrap_or(u16::MAX);
        Some(Element::ra(name).with_text(format!("{year:04}-{month:02}-{day:02}")))
    };
    let dates = Element::ra("ScheduleDatesAndTime")
        .with_leaf("SwitchTime", time_of_day(rule.minute))
        .with_optional(plain("StartDate", &rule.from))
        .with_optional(plain("EndDate", &rule.to));
    Element::ra("ElectricityNonDisablementSchedule")
        .with_leaf("NonDisablementScript", if rule.start { "START" } else { "STOP" })
        .with(Element::ra("SpecialDaysApplicability").with_all(special))
        .with(Element::ra("DaysOfWeekApplicability").with_all(days))
        .with(dates)
}

fn gas_calendar(calendar: &NonDisablementCalendar) -> Element {
    let day = |(number, switches): &(u8, Vec<(u16, bool)>)| {
        let switches = (1..).zip(switches.iter().take(GAS_SWITCHES_MAX));
        let switch = |(place, (minute, start)): (u8, &(u16, bool))| {
            Element::ra("TimeStartAction")
                .with_attribute("index", place.to_string())
                .with_leaf("StartTime", time_of_day(*minute))
                .with_leaf("NonDisablementAction", if *start { "START" } else { "STOP" })
        };
        Element::ra("GasNonDisablementDayProfile")
            .with_all(switches.map(switch))
            .with_leaf("GasDayName", number.to_string())
    };
    let days = calendar.days.iter().take(GAS_DAYS_MAX).map(day);
    let special = calendar.special_days.iter().take(SPECIAL_DAYS_MAX).map(|(on, day)| {
        Element::ra("SpecialDay")
            .with(gas_date("Date", on))
            .with_leaf("ReferencedDayName", day.to_string())
    });
    Element::ra("NonDisablementCalendar")
        .with(Element::ra("DayProfiles").with_all(days))
        .with(weeks(&calendar.weeks, GAS_WEEKS_MAX, "ReferencedDayName"))
        .with(gas_seasons("SeasonProfiles", &calendar.seasons))
        .with(Element::ra("SpecialDays").with_all(special))
}

fn load_limit(rsp: Element, values: &Values) -> Element {
    let rsp = leaves(rsp, values, &[(DataItem::LoadLimitCounter, "LoadLimitCounterValue")]);
    let Some(Setting::LoadLimit(limit)) = values.setting(SettingKind::LoadLimit) else {
        return rsp;
    };
    rsp.with_leaf("LoadLimitPowerThreshold", limit.threshold_w.to_string())
        .with_leaf("LoadLimitPeriod", limit.period_s.to_string())
        .with_leaf("LoadLimitRestorationPeriod", limit.restoration_s.to_string())
        .with_leaf(
            "LoadLimitSupplyState",
            if limit.disables { "Disable" } else { "Unchanged" },
        )
}

/// Limits in volts, as requests state them (samples), from the devices' tenths.
fn voltage_limits(rsp: Element, voltage: &VoltageSettings) -> Element {
    let volts = |tenths: u32| (tenths.saturating_add(5) / 10).to_string();
    let average = |name: &'static str, (over, under, _): &(u32, u32, u32)| {
        Element::ra(name)
            .with_leaf("AverageRMSOverVoltageThreshold", volts(*over))
            .with_leaf("AverageRMSUnderVoltageThreshold", volts(*under))
    };
    let averages: Vec<Element> = match voltage.averages.as_slice() {
        [only] => vec![average("SinglePhaseVoltageSettings", only)],
        phases => (1..)
            .zip(phases.iter().take(3))
            .map(|(phase, limits): (u8, _)| {
                Element::ra("PolyPhaseVoltageSettings")
                    .with_leaf("Phase", phase.to_string())
                    .with(average("PhaseVoltageSettings", limits))
            })
            .collect(),
    };
    const EXTREMES: [(&str, &str); 4] = [
        (
            "RMSExtremeOverVoltageMeasurementPeriod",
            "RMSExtremeOverVoltageThreshold",
        ),
        (
            "RMSExtremeUnderVoltageMeasurementPeriod",
            "RMSExtremeUnderVoltageThreshold",
        ),
        ("RMSVoltageSagMeasurementPeriod", "RMSVoltageSagThreshold"),
        ("RMSVoltageSwellMeasurementPeriod", "RMSVoltageSwellThreshold"),
    ];
    let extremes = EXTREMES
        .into_iter()
        .zip(voltage.extremes)
        .flat_map(|((period, limit), (seconds, tenths))| {
            [
                Element::ra(period).with_text(seconds.to_string()),
                Element::ra(limit).with_text(volts(tenths)),
            ]
        });
    rsp.with_all(averages)
        .with(Element::ra("RMSVoltageSettings").with_all(extremes))
}

/// The gas form states the start of a period and how often; where no start is known there is nothing to state.
fn billing_calendar(gas: bool, calendar: &BillingCalendar) -> Option<Element> {
    let (word, parts) = match calendar.period {
        BillingPeriod::Daily => ("Daily", None),
        BillingPeriod::Weekly(day) => ("Weekly", Some((day, None))),
        BillingPeriod::Monthly(day) => ("Monthly", Some((day, None))),
        BillingPeriod::Quarterly(day, month) => ("Quarterly", Some((day, Some(month)))),
        BillingPeriod::SixMonthly(day, month) => ("SixMonthly", Some((day, Some(month)))),
        BillingPeriod::Yearly(day, month) => ("Yearly", Some((day, Some(month)))),
    };
    if gas {
        let form = Element::ra("GasBillingCalendar")
            .with_leaf("BillingPeriodStart", timestamp(calendar.start?))
            .with_leaf("Periodicity", word);
        return Some(Element::ra("BillingCalendar").with(form));
    }
    let period = Element::ra(word);
    let period = match parts {
        None => period,
        Some((day, None)) => period.with_text(day.to_string()),
        Some((day, Some(month))) => period
            .with_leaf("DayOfMonth", day.to_string())
            .with_leaf("BillingPeriodStartMonth", month.to_string()),
    };
    let form = Element::ra("ElectricityBillingCalendar")
        .with_leaf("BillingTime", time_of_day(calendar.minute))
        .with(period);
    Some(Element::ra("BillingCalendar").with(form))
}

fn identity(rsp: Element, target: &Target<'_>, values: &Values) -> Element {
    let text = |item, name: &'static str, max: usize| {
        let text = values.text(item)?;
        Some(Element::ra(name).with_text(text.chars().take(max).collect::<String>()))
    };
    let rsp = rsp
        .with_leaf("DeviceIdentifier", target.device.to_string())
        .with_optional(text(DataItem::ModelType, "ModelType", MODEL_MAX))
        .with_optional(text(DataItem::Manufacturer, "ManufacturerIdentifier", MANUFACTURER_MAX));
    let state = |locks: bool| if locks { "Locked" } else { "Unchanged" };
    if target.kind.is_gas() {
        let Some(Setting::GasFlow(flow)) = values.setting(SettingKind::GasFlow) else {
            return rsp;
        };
        return rsp.with(
            Element::ra("Gas")
                .with_leaf("SupplyTamperState", state(flow.tamper_locks))
                .with_leaf("SupplyDepletionState", state(flow.depletion_locks)),
        );
    }
    let tamper = match values.setting(SettingKind::SupplyTamperLocks) {
        Some(Setting::SupplyTamperLocks(locks)) => Some(Element::ra("SupplyTamperState").with_text(state(*locks))),
        _ => None,
    };
    rsp.with(Element::ra("Electricity").with_optional(tamper).with_optional(text(
        DataItem::MeterVariant,
        "MeterVariant",
        1,
    )))
}

fn metering_points(gas: bool, values: &Values) -> Element {
    let leaf = |name: &'static str, point: Option<&str>, max: usize| {
        let point = point.filter(|point| !point.is_empty())?;
        Some(Element::ra(name).with_text(point.chars().take(max).collect::<String>()))
    };
    let (first, second) = match values.setting(SettingKind::ImportMpxn) {
        Some(Setting::ImportMpxn((first, second))) => (Some(first.as_str()), second.as_deref()),
        _ => (None, None),
    };
    if gas {
        return Element::ra("Gas").with_optional(leaf("MPRN", first, MPRN_MAX));
    }
    let export = match values.setting(SettingKind::ExportMpan) {
        Some(Setting::ExportMpan(point)) => Some(point.as_str()),
        _ => None,
    };
    Element::ra("Electricity")
        .with_optional(leaf("ImportMPAN", first, MPAN_MAX))
        .with_optional(leaf("SecondaryImportMPAN", second, MPAN_MAX))
        .with_optional(leaf("ExportMPAN", export, MPAN_MAX))
}

fn gas_settings(rsp: Element, values: &Values) -> Element {
    let decimal = |number: u64, places: usize| {
        let unit = 10_u64.pow(u32::try_from(places).unwrap_or(0));
        format!("{}.{:0places$}", number / unit, number % unit)
    };
    let rsp = match values.setting(SettingKind::GasConversion) {
        Some(Setting::GasConversion((calorific_milli, factor))) => rsp
            .with_leaf("CalorificValue", decimal(*calorific_milli, 3))
            .with_leaf("ConversionFactor", decimal(*factor, 5)),
        _ => rsp,
    };
    match values.setting(SettingKind::GasFlow) {
        Some(Setting::GasFlow(flow)) => rsp
            .with_leaf("UncontrolledGasFlowRate", decimal(flow.uncontrolled_flow_milli, 3))
            .with_leaf("FlowStabilisationPeriod", flow.stabilisation.to_string())
            .with_leaf("FlowMeasurementPeriod", flow.measurement.to_string()),
        _ => rsp,
    }
}
