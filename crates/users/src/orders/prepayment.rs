//! Requests about prepayment: balance, mode, limits, debts, emergency credit.

use domain::operation::{
    DebtChange, NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting, PrepaymentConfiguration,
    RecoveryPeriod,
};
use domain::utrn::Utrn;
use domain::{Eui64, Srv};
use duis::Element;

use super::forms::{Fuel, open_date, plain_date, seasons, special_days, time, weeks};
use crate::Order;

/// What 1.5 does to a balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BalanceChange {
    /// Add so many thousandths of a penny; may be negative.
    Adjust(i32),
    /// Set it to nothing.
    Reset,
}

/// 1.5 Update Meter Balance, of a meter in this mode.
#[must_use]
pub fn update_meter_balance(device: Eui64, mode: PaymentMode, change: BalanceChange) -> Order {
    let mode = match mode {
        PaymentMode::Credit => "CreditMode",
        PaymentMode::Prepayment => "PrepaymentMode",
    };
    let change = match change {
        BalanceChange::Adjust(milli_pence) => Element::sr("AdjustMeterBalance").with_text(milli_pence.to_string()),
        BalanceChange::Reset => Element::sr("ResetMeterBalance"),
    };
    let body = Element::sr("UpdateMeterBalance").with(Element::sr(mode).with(change));
    Order::to_device(device, Srv::new(1, 5, 0), body)
}

/// 1.6 Update Payment Mode.
#[must_use]
pub fn update_payment_mode(device: Eui64, setting: &PaymentSetting) -> Order {
    let mode = match setting.mode {
        PaymentMode::Credit => Element::sr("Credit"),
        PaymentMode::Prepayment => Element::sr("Prepayment")
            .with_leaf("SuspendDebtDisabled", setting.suspend_debt_disabled.to_string())
            .with_leaf("SuspendDebtEmergency", setting.suspend_debt_emergency.to_string())
            .with_leaf("DisablementThreshold", setting.disablement_threshold_mp.to_string()),
    };
    Order::to_device(device, Srv::new(1, 6, 0), Element::sr("UpdatePaymentMode").with(mode))
}

/// 2.1 Update Prepay Configuration. The electricity form has the debt recovery rate cap in whole pence (inferred): parts of
/// one are left out.
#[must_use]
pub fn update_prepay_configuration(device: Eui64, fuel: Fuel, configuration: &PrepaymentConfiguration) -> Order {
    let cap = configuration.debt_recovery_rate_cap_mp;
    let calendar = &configuration.non_disablement;
    let (name, cap, calendar) = match fuel {
        Fuel::Electricity => (
            "UpdatePrepayConfigElectricity",
            cap / 1_000,
            electricity_calendar(calendar),
        ),
        Fuel::Gas => ("UpdatePrepayConfigGas", cap, gas_calendar(calendar)),
    };
    let form = Element::sr(name)
        .with_leaf("DebtRecoveryRateCap", cap.to_string())
        .with_leaf(
            "EmergencyCreditLimit",
            configuration.emergency_credit_limit_mp.to_string(),
        )
        .with_leaf(
            "EmergencyCreditThreshold",
            configuration.emergency_credit_threshold_mp.to_string(),
        )
        .with_leaf("LowCreditThreshold", configuration.low_credit_threshold_mp.to_string())
        .with(calendar)
        .with_leaf("MaxMeterBalance", configuration.maximum_balance_mp.to_string())
        .with_leaf("MaxCreditThreshold", configuration.maximum_credit_mp.to_string());
    let body = Element::sr("UpdatePrepayConfiguration").with(form);
    Order::to_device(device, Srv::new(2, 1, 0), body)
}

fn electricity_calendar(calendar: &NonDisablementCalendar) -> Element {
    let special = calendar.special_days.iter().map(|(date, id)| {
        Element::sr("SpecialDay")
            .with_attribute("index", id.to_string())
            .with(open_date(Fuel::Electricity, "Date", date))
    });
    let rule = |rule: &NonDisablementRule| {
        let special = rule
            .special_days
            .iter()
            .map(|id| Element::sr("SpecialDayApplicability").with_leaf("SpecialDayID", id.to_string()));
        let days = rule
            .days_of_week
            .iter()
            .filter_map(|day| DAYS.get(usize::from(*day).checked_sub(1)?))
            .map(|name| Element::sr("DayOfWeekApplicability").with_leaf("DayOfWeekID", *name));
        let times = Element::sr("ScheduleDatesAndTime")
            .with_leaf("SwitchTime", time(rule.minute))
            .with_leaf("StartDate", plain_date(&rule.from))
            .with_leaf("EndDate", plain_date(&rule.to));
        Element::sr("ElectricityNonDisablementSchedule")
            .with_leaf("NonDisablementScript", if rule.start { "START" } else { "STOP" })
            .with(Element::sr("SpecialDaysApplicability").with_all(special))
            .with(Element::sr("DaysOfWeekApplicability").with_all(days))
            .with(times)
    };
    Element::sr("ElectricityNonDisablementCalendar")
        .with(Element::sr("ElectricitySpecialDays").with_all(special))
        .with_all(calendar.rules.iter().map(rule))
}

fn gas_calendar(calendar: &NonDisablementCalendar) -> Element {
    let switch = |(minute, on): &(u16, bool)| {
        Element::sr("TimeStartAction")
            .with_leaf("StartTime", time(*minute))
            .with_leaf("NonDisablementAction", if *on { "START" } else { "STOP" })
    };
    let days = calendar.days.iter().map(|(id, switches)| {
        Element::sr("GasNonDisablementDayProfile")
            .with_all(switches.iter().map(switch))
            .with_leaf("GasDayName", id.to_string())
    });
    Element::sr("GasNonDisablementCalendar")
        .with(Element::sr("DayProfiles").with_all(days))
        .with(weeks(&calendar.weeks))
        .with(seasons(Fuel::Gas, "SeasonProfiles", &calendar.seasons))
        .with(special_days(Fuel::Gas, &calendar.special_days))
}

/// 2.2 Top Up Device, with the supplier's code.
#[must_use]
pub fn top_up(device: Eui64, utrn: Utrn) -> Order {
    let body = Element::sr("TopUpDevice").with_leaf("UTRN", utrn.to_string());
    Order::to_device(device, Srv::new(2, 2, 0), body)
}

/// 2.3 Update Debt. The electricity form has rates in steps of a hundredth of a penny here; parts of one are left out.
#[must_use]
pub fn update_debt(device: Eui64, fuel: Fuel, change: &DebtChange) -> Order {
    let recovery = |name: &'static str, (rate, period): (i64, RecoveryPeriod)| {
        let (rate, scale) = match fuel {
            Fuel::Electricity => (
                rate / 10,
                Some(Element::sr("DebtRecoveryRatePriceScale").with_text("-4")),
            ),
            Fuel::Gas => (rate, None),
        };
        let period = match period {
            RecoveryPeriod::Daily => "DAILY",
            RecoveryPeriod::Hourly => "HOURLY",
        };
        Element::sr(name)
            .with_leaf("DebtRecoveryRate", rate.to_string())
            .with_optional(scale)
            .with_leaf("DebtRecoveryRatePeriod", period)
    };
    let names = match fuel {
        Fuel::Electricity => ["ElecDebtRecovery1", "ElecDebtRecovery2"],
        Fuel::Gas => ["GasDebtRecovery1", "GasDebtRecovery2"],
    };
    let body = Element::sr("UpdateDebt")
        .with_leaf("TimeDebtRegister1", change.time_debt_mp[0].to_string())
        .with_leaf("TimeDebtRegister2", change.time_debt_mp[1].to_string())
        .with_leaf("PaymentDebtRegister", change.payment_debt_mp.to_string())
        .with_leaf("DebtRecoveryPerPayment", change.per_payment.to_string())
        .with(recovery(names[0], change.recovery[0]))
        .with(recovery(names[1], change.recovery[1]));
    Order::to_device(device, Srv::new(2, 3, 0), body)
}

/// 2.5 Activate Emergency Credit.
#[must_use]
pub fn activate_emergency_credit(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(2, 5, 0), Element::sr("ActivateEmergencyCredit"))
}

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
