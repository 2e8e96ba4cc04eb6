//! What the pack does about prepayment: there and back again, so that later requests find the meter as it was.

use domain::operation::{
    AnyDate, AnyDay, DebtChange, NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting,
    PrepaymentConfiguration, RecoveryPeriod, TariffSeason, TariffWeek,
};
use domain::utrn::Utrn;
use domain::{Eui64, Srv};
use users::Order;
use users::orders::{self, BalanceChange, Fuel};

use super::{At, Turn};

pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(2, 1, 0), configuration),
    (Srv::new(2, 3, 0), |at| {
        orders::update_debt(at.device, Fuel::of(at.kind), &debts())
    }),
    (Srv::new(1, 6, 0), |at| mode(at.device, PaymentMode::Prepayment)),
    (Srv::new(1, 5, 0), |at| {
        // Prepayment is in force, so a balance of a credit meter is not what this is for.
        let change = BalanceChange::Adjust(1_000);
        orders::update_meter_balance(at.device, PaymentMode::Credit, change)
    }),
    (Srv::new(1, 5, 0), |at| {
        let change = BalanceChange::Adjust(3_000_000);
        orders::update_meter_balance(at.device, PaymentMode::Prepayment, change)
    }),
    (Srv::new(2, 2, 0), |at| {
        // Ten pounds; nobody but a GBCS meter could tell whether the code is authentic.
        orders::top_up(at.device, Utrn::of_pence(1_000, 3, 0x1D2C_3B4A).expect("few pence"))
    }),
    (Srv::new(2, 5, 0), |at| orders::activate_emergency_credit(at.device)),
    (Srv::new(4, 3, 0), |at| orders::read_prepay_values(at.device)),
    (Srv::new(1, 6, 0), |at| mode(at.device, PaymentMode::Credit)),
    (Srv::new(1, 5, 0), |at| {
        orders::update_meter_balance(at.device, PaymentMode::Credit, BalanceChange::Reset)
    }),
];

fn mode(device: Eui64, mode: PaymentMode) -> Order {
    let setting = PaymentSetting {
        mode,
        suspend_debt_disabled: true,
        suspend_debt_emergency: true,
        disablement_threshold_mp: -1_000,
    };
    orders::update_payment_mode(device, &setting)
}

/// Emergency credit is offered well above any balance of this pack, so that it can be taken.
fn configuration(at: &At) -> Order {
    let fuel = Fuel::of(at.kind);
    let configuration = PrepaymentConfiguration {
        debt_recovery_rate_cap_mp: 700_000,
        emergency_credit_limit_mp: 1_000_000,
        emergency_credit_threshold_mp: 50_000_000,
        low_credit_threshold_mp: 200_000,
        maximum_balance_mp: 100_000_000,
        maximum_credit_mp: 25_000_000,
        non_disablement: match fuel {
            Fuel::Electricity => nights_by_rules(),
            Fuel::Gas => nights_by_profiles(),
        },
    };
    orders::update_prepay_configuration(at.device, fuel, &configuration)
}

const fn on(month: u8, day: u8) -> AnyDate {
    AnyDate {
        year: None,
        month: Some(month),
        day: Some(AnyDay::Day(day)),
        day_of_week: None,
    }
}

fn nights_by_rules() -> NonDisablementCalendar {
    let rule = |start, minute| NonDisablementRule {
        start,
        minute,
        from: on(1, 1),
        to: on(12, 31),
        days_of_week: (1..=7).collect(),
        special_days: vec![1],
    };
    NonDisablementCalendar {
        rules: vec![rule(true, 1_080), rule(false, 540)],
        special_days: vec![(on(12, 25), 1)],
        ..NonDisablementCalendar::default()
    }
}

fn nights_by_profiles() -> NonDisablementCalendar {
    NonDisablementCalendar {
        days: vec![(1, vec![(0, true), (540, false), (1_080, true)]), (2, vec![(0, true)])],
        weeks: vec![TariffWeek {
            id: 1,
            days: [1, 1, 1, 1, 1, 2, 2],
        }],
        seasons: vec![TariffSeason {
            name: String::new(),
            from: on(1, 1),
            week: 1,
        }],
        special_days: vec![(on(12, 25), 2)],
        ..NonDisablementCalendar::default()
    }
}

fn debts() -> DebtChange {
    DebtChange {
        time_debt_mp: [500_000, 250_000],
        payment_debt_mp: 300_000,
        per_payment: 2_500,
        recovery: [(30_000, RecoveryPeriod::Daily), (100, RecoveryPeriod::Hourly)],
    }
}
