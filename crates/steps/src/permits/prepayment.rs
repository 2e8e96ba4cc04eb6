//! What the requests about prepayment permit.

use domain::Operation;
use domain::operation::{
    DebtChange, NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting, PrepaymentConfiguration,
    RecoveryPeriod, Setting, Token,
};
use duis::Element;

use super::arguments::part;
use super::forms::{
    civil_date, clock_minute, each, either, milli_pence, partly_open, place, season, special_day, truth_of, unreadable,
    week, whole, whole_of,
};
use super::{Case, NotPermitted, same};

type Judged<T> = Result<T, NotPermitted>;

/// Judges an operation of a request about prepayment; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    let permitted = match (case.service, operation) {
        ("1.5", Operation::AdjustBalance(_) | Operation::ResetBalance) => balance(case.body),
        ("1.6", Operation::Write(setting)) if matches!(**setting, Setting::PaymentMode(_)) => {
            mode(case.body).map(|mode| written(Setting::PaymentMode(mode)))
        }
        ("2.1", Operation::Write(setting)) if matches!(**setting, Setting::PrepaymentConfiguration(_)) => {
            configuration(case).map(|all| written(Setting::PrepaymentConfiguration(all)))
        }
        ("2.3", Operation::ChangeDebt(_)) => debts(case).map(|change| Operation::ChangeDebt(Box::new(change))),
        ("2.2", Operation::EnterToken(_)) => {
            part(case.body, "UTRN").map(|code| Operation::EnterToken(Token(code.text.trim().to_owned())))
        }
        ("2.5", Operation::ActivateEmergencyCredit) => Ok(Operation::ActivateEmergencyCredit),
        _ => return None,
    };
    Some(permitted.and_then(|permitted| same(&permitted, operation)))
}

fn written(setting: Setting) -> Operation {
    Operation::Write(Box::new(setting))
}

/// The only child there is.
fn only(element: &Element) -> Judged<&Element> {
    match element.children.as_slice() {
        [only] => Ok(only),
        _ => Err(unreadable(element)),
    }
}

fn balance(body: &Element) -> Judged<Operation> {
    let mode = only(body)?;
    let change = only(mode)?;
    match (mode.name, change.name) {
        ("PrepaymentMode" | "CreditMode", "AdjustMeterBalance") => whole(change).map(Operation::AdjustBalance),
        ("PrepaymentMode" | "CreditMode", "ResetMeterBalance") => Ok(Operation::ResetBalance),
        _ => Err(unreadable(body)),
    }
}

fn mode(body: &Element) -> Judged<PaymentSetting> {
    let named = |name: &str| body.children.iter().any(|child| child.name == name);
    match (named("Credit"), named("Prepayment")) {
        (true, false) => Ok(PaymentSetting {
            mode: PaymentMode::Credit,
            suspend_debt_disabled: false,
            suspend_debt_emergency: false,
            disablement_threshold_mp: 0,
        }),
        (false, true) => {
            let prepayment = part(body, "Prepayment")?;
            Ok(PaymentSetting {
                mode: PaymentMode::Prepayment,
                suspend_debt_disabled: truth_of(prepayment, "SuspendDebtDisabled")?,
                suspend_debt_emergency: truth_of(prepayment, "SuspendDebtEmergency")?,
                disablement_threshold_mp: whole_of(prepayment, "DisablementThreshold")?,
            })
        }
        _ => Err(unreadable(body)),
    }
}

fn configuration(case: &Case<'_>) -> Judged<PrepaymentConfiguration> {
    let electricity = !case.kind.is_gas();
    let form = if electricity {
        part(case.body, "UpdatePrepayConfigElectricity")?
    } else {
        part(case.body, "UpdatePrepayConfigGas")?
    };
    let cap: i64 = whole_of(form, "DebtRecoveryRateCap")?;
    Ok(PrepaymentConfiguration {
        // Whole pence in the electricity form, thousandths of a penny in the gas form.
        debt_recovery_rate_cap_mp: if electricity { cap.saturating_mul(1_000) } else { cap },
        emergency_credit_limit_mp: whole_of(form, "EmergencyCreditLimit")?,
        emergency_credit_threshold_mp: whole_of(form, "EmergencyCreditThreshold")?,
        low_credit_threshold_mp: whole_of(form, "LowCreditThreshold")?,
        maximum_balance_mp: whole_of(form, "MaxMeterBalance")?,
        maximum_credit_mp: whole_of(form, "MaxCreditThreshold")?,
        non_disablement: if electricity {
            rules(part(form, "ElectricityNonDisablementCalendar")?)?
        } else {
            profiles(part(form, "GasNonDisablementCalendar")?)?
        },
    })
}

fn rules(calendar: &Element) -> Judged<NonDisablementCalendar> {
    let special_days = each(part(calendar, "ElectricitySpecialDays")?, "SpecialDay", |day| {
        Ok((partly_open(part(day, "Date")?)?, place(day)?))
    })?;
    let rules = each(calendar, "ElectricityNonDisablementSchedule", |schedule| {
        let when = part(schedule, "ScheduleDatesAndTime")?;
        Ok(NonDisablementRule {
            start: either(schedule, "NonDisablementScript", "START", "STOP")?,
            minute: clock_minute(part(when, "SwitchTime")?)?,
            from: civil_date(part(when, "StartDate")?)?,
            to: civil_date(part(when, "EndDate")?)?,
            days_of_week: each(
                part(schedule, "DaysOfWeekApplicability")?,
                "DayOfWeekApplicability",
                |day| weekday(part(day, "DayOfWeekID")?),
            )?,
            special_days: each(
                part(schedule, "SpecialDaysApplicability")?,
                "SpecialDayApplicability",
                |day| whole_of(day, "SpecialDayID"),
            )?,
        })
    })?;
    Ok(NonDisablementCalendar {
        rules,
        special_days,
        ..NonDisablementCalendar::default()
    })
}

fn profiles(calendar: &Element) -> Judged<NonDisablementCalendar> {
    let days = each(part(calendar, "DayProfiles")?, "GasNonDisablementDayProfile", |day| {
        let switches = each(day, "TimeStartAction", |switch| {
            let begins = either(switch, "NonDisablementAction", "START", "STOP")?;
            Ok((clock_minute(part(switch, "StartTime")?)?, begins))
        })?;
        Ok((whole_of(day, "GasDayName")?, switches))
    })?;
    Ok(NonDisablementCalendar {
        days,
        weeks: each(part(calendar, "WeekProfiles")?, "WeekProfile", week)?,
        seasons: each(part(calendar, "SeasonProfiles")?, "Season", season)?,
        special_days: each(part(calendar, "SpecialDays")?, "SpecialDay", special_day)?,
        ..NonDisablementCalendar::default()
    })
}

fn weekday(element: &Element) -> Judged<u8> {
    match element.text.trim() {
        "Monday" => Ok(1),
        "Tuesday" => Ok(2),
        "Wednesday" => Ok(3),
        "Thursday" => Ok(4),
        "Friday" => Ok(5),
        "Saturday" => Ok(6),
        "Sunday" => Ok(7),
        _ => Err(unreadable(element)),
    }
}

fn debts(case: &Case<'_>) -> Judged<DebtChange> {
    let gas = case.kind.is_gas();
    let recovery = |electricity: &str, of_gas: &str| {
        let (form, rate) = if gas {
            let form = part(case.body, of_gas)?;
            (form, whole_of(form, "DebtRecoveryRate")?)
        } else {
            let form = part(case.body, electricity)?;
            let amount = part(form, "DebtRecoveryRate")?;
            (form, milli_pence(amount, part(form, "DebtRecoveryRatePriceScale")?)?)
        };
        let hourly = either(form, "DebtRecoveryRatePeriod", "HOURLY", "DAILY")?;
        let period = if hourly {
            RecoveryPeriod::Hourly
        } else {
            RecoveryPeriod::Daily
        };
        Ok::<_, NotPermitted>((rate, period))
    };
    Ok(DebtChange {
        time_debt_mp: [
            whole_of(case.body, "TimeDebtRegister1")?,
            whole_of(case.body, "TimeDebtRegister2")?,
        ],
        payment_debt_mp: whole_of(case.body, "PaymentDebtRegister")?,
        per_payment: whole_of(case.body, "DebtRecoveryPerPayment")?,
        recovery: [
            recovery("ElecDebtRecovery1", "GasDebtRecovery1")?,
            recovery("ElecDebtRecovery2", "GasDebtRecovery2")?,
        ],
    })
}
