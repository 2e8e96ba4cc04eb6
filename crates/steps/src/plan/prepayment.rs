//! Equivalent Steps of the requests about prepayment: account, mode, limits, debts, emergency credit.

use domain::operation::{
    DebtChange, NonDisablementCalendar, NonDisablementRule, Operation, PaymentMode, PaymentSetting,
    PrepaymentConfiguration, RecoveryPeriod, Setting, Token, Value,
};
use domain::utrn::Utrn;
use domain::{DataItem, operation::AnyDate};
use duis::{Element, Request};

use super::arguments::child;
use super::draft::DraftStep;
use super::forms::{
    child_flag, child_number, date, index, minute, number, of_fuel, open_date, scaled, seasons, special_days,
    unreadable, weeks,
};
use super::{Refused, Target};

type Read<T> = Result<T, Refused>;

/// The steps of a request about prepayment; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Read<Option<Vec<DraftStep>>> {
    let body = &request.body;
    let steps = match body.name {
        "UpdateMeterBalance" => update_balance(body)?,
        "UpdatePaymentMode" => {
            let mut steps = vec![write(Setting::PaymentMode(payment_mode(body)?))];
            if !target.kind.is_gas() {
                // What came of it; a sleeping meter would need another wake for it.
                steps.push(DraftStep::new(Operation::Read(DataItem::PaymentMode)).optional());
            }
            steps
        }
        "UpdatePrepayConfiguration" => vec![write(Setting::PrepaymentConfiguration(configuration(body, target)?))],
        "UpdateDebt" => vec![DraftStep::new(Operation::ChangeDebt(Box::new(debt(body, target)?)))],
        "TopUpDevice" => {
            // Who knows the meter's keys makes of it the code that the meter takes.
            let code = child(body, "UTRN")?;
            let utrn: Utrn = code.text.trim().parse().map_err(|_| unreadable(code, "no UTRN"))?;
            vec![DraftStep::new(Operation::EnterToken(Token(utrn.to_string())))]
        }
        "ActivateEmergencyCredit" => vec![DraftStep::new(Operation::ActivateEmergencyCredit)],
        _ => return Ok(None),
    };
    Ok(Some(steps))
}

fn write(setting: Setting) -> DraftStep {
    DraftStep::new(Operation::Write(Box::new(setting)))
}

/// The request says for which mode it is meant; a SMETS1 meter has one balance, so the mode is looked at first (ours).
fn update_balance(body: &Element) -> Read<Vec<DraftStep>> {
    let (mode, change) = match body.child("PrepaymentMode") {
        Some(change) => (PaymentMode::Prepayment, change),
        None => (PaymentMode::Credit, child(body, "CreditMode")?),
    };
    let act = match change.child("AdjustMeterBalance") {
        Some(amount) => Operation::AdjustBalance(number(amount)?),
        None => {
            child(change, "ResetMeterBalance")?;
            Operation::ResetBalance
        }
    };
    let look = DraftStep::new(Operation::Read(DataItem::PaymentMode)).expecting(Value::PaymentMode(mode));
    Ok(vec![look, DraftStep::new(act)])
}

fn payment_mode(body: &Element) -> Read<PaymentSetting> {
    let Some(prepayment) = body.child("Prepayment") else {
        child(body, "Credit")?;
        return Ok(PaymentSetting {
            mode: PaymentMode::Credit,
            suspend_debt_disabled: false,
            suspend_debt_emergency: false,
            disablement_threshold_mp: 0,
        });
    };
    Ok(PaymentSetting {
        mode: PaymentMode::Prepayment,
        suspend_debt_disabled: child_flag(prepayment, "SuspendDebtDisabled")?,
        suspend_debt_emergency: child_flag(prepayment, "SuspendDebtEmergency")?,
        disablement_threshold_mp: child_number(prepayment, "DisablementThreshold")?,
    })
}

fn configuration(body: &Element, target: &Target<'_>) -> Read<PrepaymentConfiguration> {
    let form = of_fuel(body, target, "UpdatePrepayConfigElectricity", "UpdatePrepayConfigGas")?;
    let (cap_unit, non_disablement) = if target.kind.is_gas() {
        (1, gas_calendar(child(form, "GasNonDisablementCalendar")?)?)
    } else {
        let calendar = child(form, "ElectricityNonDisablementCalendar")?;
        (CAP_UNIT_MP, electricity_calendar(calendar)?)
    };
    let cap: i64 = child_number(form, "DebtRecoveryRateCap")?;
    Ok(PrepaymentConfiguration {
        debt_recovery_rate_cap_mp: cap.saturating_mul(cap_unit),
        emergency_credit_limit_mp: child_number(form, "EmergencyCreditLimit")?,
        emergency_credit_threshold_mp: child_number(form, "EmergencyCreditThreshold")?,
        low_credit_threshold_mp: child_number(form, "LowCreditThreshold")?,
        maximum_balance_mp: child_number(form, "MaxMeterBalance")?,
        maximum_credit_mp: child_number(form, "MaxCreditThreshold")?,
        non_disablement,
    })
}

fn electricity_calendar(calendar: &Element) -> Read<NonDisablementCalendar> {
    let mut special: Vec<(AnyDate, u8)> = Vec::new();
    for day in child(calendar, "ElectricitySpecialDays")?.children_named("SpecialDay") {
        special.push((open_date(child(day, "Date")?)?, index(day)?));
    }
    let rule = |schedule: &Element| {
        let times = child(schedule, "ScheduleDatesAndTime")?;
        let special_days = child(schedule, "SpecialDaysApplicability")?
            .children_named("SpecialDayApplicability")
            .map(|day| child_number(day, "SpecialDayID"));
        let days_of_week = child(schedule, "DaysOfWeekApplicability")?
            .children_named("DayOfWeekApplicability")
            .map(|day| child(day, "DayOfWeekID").and_then(day_of_week));
        Ok(NonDisablementRule {
            start: child(schedule, "NonDisablementScript")?.text.trim() == "START",
            minute: minute(child(times, "SwitchTime")?)?,
            from: date(child(times, "StartDate")?)?,
            to: date(child(times, "EndDate")?)?,
            days_of_week: days_of_week.collect::<Read<_>>()?,
            special_days: special_days.collect::<Read<_>>()?,
        })
    };
    let rules = calendar.children_named("ElectricityNonDisablementSchedule").map(rule);
    Ok(NonDisablementCalendar {
        rules: rules.collect::<Read<_>>()?,
        special_days: special,
        ..NonDisablementCalendar::default()
    })
}

fn gas_calendar(calendar: &Element) -> Read<NonDisablementCalendar> {
    let switch = |action: &Element| {
        let on = child(action, "NonDisablementAction")?.text.trim() == "START";
        Ok((minute(child(action, "StartTime")?)?, on))
    };
    let day = |profile: &Element| {
        let switches = profile.children_named("TimeStartAction").map(switch);
        Ok((child_number(profile, "GasDayName")?, switches.collect::<Read<_>>()?))
    };
    let days = child(calendar, "DayProfiles")?
        .children_named("GasNonDisablementDayProfile")
        .map(day);
    Ok(NonDisablementCalendar {
        rules: Vec::new(),
        days: days.collect::<Read<_>>()?,
        weeks: weeks(child(calendar, "WeekProfiles")?)?,
        seasons: seasons(child(calendar, "SeasonProfiles")?)?,
        special_days: special_days(child(calendar, "SpecialDays")?)?,
    })
}

fn day_of_week(element: &Element) -> Read<u8> {
    const NAMES: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let number = (1..).zip(NAMES).find(|(_, name)| *name == element.text.trim());
    number
        .map(|(number, _)| number)
        .ok_or_else(|| unreadable(element, "no day of the week"))
}

fn debt(body: &Element, target: &Target<'_>) -> Read<DebtChange> {
    let recovery = |electricity: &str, gas: &str| {
        let form = of_fuel(body, target, electricity, gas)?;
        let rate = child(form, "DebtRecoveryRate")?;
        let milli_pence = match form.child("DebtRecoveryRatePriceScale") {
            Some(scale) => scaled(rate, number(rate)?, number(scale)?)?,
            None => number(rate)?,
        };
        let period = match child(form, "DebtRecoveryRatePeriod")?.text.trim() {
            "HOURLY" => RecoveryPeriod::Hourly,
            _ => RecoveryPeriod::Daily,
        };
        Ok((milli_pence, period))
    };
    Ok(DebtChange {
        time_debt_mp: [
            child_number(body, "TimeDebtRegister1")?,
            child_number(body, "TimeDebtRegister2")?,
        ],
        payment_debt_mp: child_number(body, "PaymentDebtRegister")?,
        per_payment: child_number(body, "DebtRecoveryPerPayment")?,
        recovery: [
            recovery("ElecDebtRecovery1", "GasDebtRecovery1")?,
            recovery("ElecDebtRecovery2", "GasDebtRecovery2")?,
        ],
    })
}

/// The electricity form of the debt recovery rate cap is a short number, of which published samples state 30 where gas
/// states 100000: taken as whole pence (inferred).
const CAP_UNIT_MP: i64 = 1_000;
