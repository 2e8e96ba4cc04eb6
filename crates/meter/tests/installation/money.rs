//! What a supplier does to an account from afar.

use super::*;
use domain::operation::{
    AnyDate, DebtChange, NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting, RecoveryPeriod,
    Setting, SettingKind,
};
use domain::{Refusal, SupplyState};
use meter::AccountSettings;

const ESME: DeviceKind = DeviceKind::Esme;

fn prepaying(balance_mp: i64) -> Home {
    prepaying_with(balance_mp, |_| {})
}

fn prepaying_with(balance_mp: i64, change: impl FnOnce(&mut Profile)) -> Home {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        balance_mp,
        emergency_limit_mp: 0,
        ..AccountSettings::default()
    };
    Home::with("2019-05-02T08:00:00Z", config, |[_, esme, ..]| change(esme))
}

impl Home {
    fn ask(&mut self, operation: &Operation) -> Outcome {
        self.finished(ESME, S1SP, operation, None)
    }
}

#[test]
fn a_balance_is_adjusted_and_reset_and_supply_follows() {
    let mut home = prepaying(50_000);
    assert_eq!(home.ask(&Operation::AdjustBalance(25_000)), Ok(Answer::Done));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 75_000);
    assert_eq!(home.ask(&Operation::ResetBalance), Ok(Answer::Done));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 0);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    assert!(home.alerts().iter().any(|alert| alert.1 == 0x8F0F));
    assert_eq!(home.ask(&Operation::AdjustBalance(-1_000)), Ok(Answer::Done));
    assert_eq!(home.ask(&Operation::AdjustBalance(900)), Ok(Answer::Done));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    assert_eq!(home.ask(&Operation::AdjustBalance(101)), Ok(Answer::Done));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 1);
}

#[test]
fn a_balance_stays_within_its_limits() {
    let mut home = prepaying(50_000);
    let limit = i64::from(AccountSettings::default().maximum_balance_mp);
    assert_eq!(home.ask(&Operation::AdjustBalance(limit)), Err(Refusal::OutOfRange));
    assert_eq!(home.alerts().last().map(|alert| alert.1), Some(0x8F47));
    for absurd in [i64::MAX, i64::MIN] {
        assert_eq!(home.ask(&Operation::AdjustBalance(absurd)), Err(Refusal::OutOfRange));
    }
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 50_000);
    assert_eq!(home.ask(&Operation::AdjustBalance(limit - 50_000)), Ok(Answer::Done));
}

#[test]
fn debts_are_added_to_and_recovered_at_their_new_rates() {
    let mut home = prepaying(5_000_000);
    let change = DebtChange {
        time_debt_mp: [30_000, 15_000],
        payment_debt_mp: 50_000,
        per_payment: 1_000,
        recovery: [(10_000, RecoveryPeriod::Daily), (1_000, RecoveryPeriod::Hourly)],
    };
    let ask = |home: &mut Home, change: &DebtChange| home.ask(&Operation::ChangeDebt(Box::new(change.clone())));
    assert_eq!(ask(&mut home, &change), Ok(Answer::Done));
    home.run(SimDuration::from_hours(3));
    let debts = |home: &mut Home| {
        [DataItem::TimeDebt(1), DataItem::TimeDebt(2), DataItem::PaymentDebt].map(|item| home.number(ESME, item))
    };
    assert_eq!(debts(&mut home), [30_000, 12_000, 50_000]);
    home.run(SimDuration::from_hours(24));
    assert_eq!(debts(&mut home), [20_000, 0, 50_000]);
    let codes: Vec<u16> = home.alerts().iter().map(|alert| alert.1).collect();
    assert_eq!(codes, [0x81A8], "time debt 2 is paid off");
    home.act(|installation, context| installation.top_up(context, ESME, 100_000))
        .expect("taken");
    assert_eq!(debts(&mut home), [20_000, 0, 40_000], "a tenth of the payment");
    let forgive = DebtChange {
        time_debt_mp: [-90_000, 0],
        payment_debt_mp: -40_000,
        ..change.clone()
    };
    assert_eq!(ask(&mut home, &forgive), Ok(Answer::Done));
    assert_eq!(debts(&mut home), [0, 0, 0]);
    for wrong in [
        DebtChange {
            per_payment: 10_001,
            ..change.clone()
        },
        DebtChange {
            recovery: [(-1, RecoveryPeriod::Daily); 2],
            ..change.clone()
        },
        DebtChange {
            time_debt_mp: [i64::MAX, 0],
            ..change
        },
    ] {
        assert_eq!(ask(&mut home, &wrong), Err(Refusal::OutOfRange), "{wrong:?}");
    }
    assert_eq!(debts(&mut home), [0, 0, 0]);
}

#[test]
fn debts_and_limits_survive_a_restart() {
    let mut home = prepaying(5_000_000);
    let change = DebtChange {
        time_debt_mp: [30_000, 15_000],
        payment_debt_mp: 50_000,
        per_payment: 1_000,
        recovery: [(10_000, RecoveryPeriod::Daily), (1_000, RecoveryPeriod::Hourly)],
    };
    home.ask(&Operation::ChangeDebt(Box::new(change))).expect("taken");
    let mut twin = prepaying(5_000_000);
    let (config, octets) = (home.config.clone(), home.installation.durable());
    twin.installation = twin
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("ours");
    for home in [&mut home, &mut twin] {
        home.run(SimDuration::from_days(2));
    }
    assert_eq!(home.installation, twin.installation);
    assert_eq!(home.number(ESME, DataItem::TimeDebt(1)), 10_000);
}

/// Without credit, and protected on Thursday from 8:00 to 19:10 local time, which ends within a half-hour.
fn protected(change: impl FnOnce(&mut Profile)) -> Home {
    let mut home = prepaying_with(1, change);
    let every_day = AnyDate {
        year: None,
        month: None,
        day: None,
        day_of_week: None,
    };
    let rule = |start, minute| NonDisablementRule {
        start,
        minute,
        from: every_day,
        to: every_day,
        days_of_week: vec![4],
        special_days: Vec::new(),
    };
    let Setting::PrepaymentConfiguration(mut configuration) = home.setting(ESME, SettingKind::PrepaymentConfiguration)
    else {
        panic!("another setting")
    };
    configuration.non_disablement = NonDisablementCalendar {
        rules: vec![rule(true, 480), rule(false, 1_150)],
        ..NonDisablementCalendar::default()
    };
    home.set(Setting::PrepaymentConfiguration(configuration))
        .expect("taken");
    home
}

#[test]
fn protection_is_announced_to_end_and_goes_on_for_a_time_of_grace() {
    let mut home = protected(|esme| {
        esme.prepayment.non_disablement_grace = SimDuration::from_mins(45);
        esme.prepayment.non_disablement_warning = Some(SimDuration::from_mins(20));
    });
    home.run_to(at("2019-05-02T17:00:00Z"));
    home.alerts();
    home.run_to(at("2019-05-02T18:54:59Z"));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    home.run_to(at("2019-05-02T20:00:00Z"));
    let told = [
        (ESME, 0x81FB, at("2019-05-02T17:50:00Z")),
        (ESME, 0x8F0F, at("2019-05-02T18:55:00Z")),
    ];
    assert_eq!(home.alerts(), told);
}

#[test]
fn a_change_of_mode_that_an_outage_delayed_happens_or_not() {
    let mode_after_an_outage = |catches_up| {
        let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
            esme.prepayment.mode_change_catches_up = catches_up;
        });
        let planned = home.now + SimDuration::from_hours(1);
        home.act(|installation, context| {
            installation.plan_payment_mode(context, ESME, planned, PaymentMode::Prepayment)
        })
        .expect("a meter with mains");
        home.act(|installation, context| installation.cut_power(context));
        home.run(SimDuration::from_hours(2));
        let (config, octets) = (home.config.clone(), home.installation.durable());
        home.installation = home
            .act(|_, context| Installation::restore(&config, context, &octets))
            .expect("ours");
        home.act(|installation, context| installation.restore_power(context));
        home.value(ESME, DataItem::PaymentMode)
    };
    assert_eq!(mode_after_an_outage(true), Value::PaymentMode(PaymentMode::Prepayment));
    assert_eq!(mode_after_an_outage(false), Value::PaymentMode(PaymentMode::Credit));
    let mut on_time = Home::new("2019-05-02T08:00:00Z", config());
    let planned = on_time.now + SimDuration::from_mins(61);
    on_time
        .act(|installation, context| installation.plan_payment_mode(context, ESME, planned, PaymentMode::Prepayment))
        .expect("a meter with mains");
    assert!(on_time.installation.next_wake() <= planned);
    on_time.run_to(planned);
    assert_eq!(
        on_time.value(ESME, DataItem::PaymentMode),
        Value::PaymentMode(PaymentMode::Prepayment)
    );
}

#[test]
fn supply_is_not_cut_while_a_calendar_protects_it() {
    let mut home = protected(|_| {});
    home.run_to(at("2019-05-02T18:09:59Z"));
    assert!(home.number(ESME, DataItem::MeterBalance) < 0);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    home.alerts();
    home.run_to(at("2019-05-02T20:00:00Z"));
    assert_eq!(home.alerts(), [(ESME, 0x8F0F, at("2019-05-02T18:10:00Z"))]);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
}

#[test]
fn emergency_credit_can_be_taken_in_the_consumers_place() {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        balance_mp: 90_000,
        ..AccountSettings::default()
    };
    let mut home = Home::new("2019-05-02T08:00:00Z", config);
    home.run(SimDuration::from_mins(30));
    home.alerts();
    assert_eq!(home.ask(&Operation::ActivateEmergencyCredit), Ok(Answer::Done));
    assert_eq!(home.alerts().last().map(|alert| alert.1), Some(0x81AB));
    assert_eq!(
        home.ask(&Operation::ActivateEmergencyCredit),
        Err(Refusal::WrongState),
        "it is in use already"
    );
}

#[test]
fn another_mode_of_payment_ends_what_lack_of_credit_did() {
    let mut home = prepaying(1);
    home.run(SimDuration::from_hours(3));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    home.alerts();
    let mode = |mode| {
        Setting::PaymentMode(PaymentSetting {
            mode,
            suspend_debt_disabled: false,
            suspend_debt_emergency: false,
            disablement_threshold_mp: 0,
        })
    };
    home.set(mode(PaymentMode::Credit)).expect("taken");
    assert_eq!(home.alerts().last().map(|alert| alert.1), Some(0x8F32));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
    assert_eq!(
        home.value(ESME, DataItem::PaymentMode),
        Value::PaymentMode(PaymentMode::Credit)
    );
    assert_eq!(
        home.ask(&Operation::EnableSupply).err(),
        Some(Refusal::Approval(domain::operation::ApprovalFault::Missing))
    );
    assert_eq!(home.approved(&Operation::EnableSupply), Ok(Answer::Done));
    home.run(SimDuration::from_days(3));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    home.esme.prepayment.mode_change_keeps_supply = false;
    home.set(mode(PaymentMode::Prepayment)).expect("taken");
    assert_eq!(
        home.installation.supply(ESME),
        Some(SupplyState::Disabled),
        "there is still no credit"
    );
}

#[test]
fn a_gas_meter_takes_all_of_it_when_it_wakes() {
    let mut home = prepaying(1);
    let gsme = DeviceKind::Gsme;
    let before = home.number(DeviceKind::Gpf, DataItem::MeterBalance);
    assert_eq!(home.ask_gas(&Operation::AdjustBalance(500_000)), Ok(Answer::Done));
    let after = home.number(DeviceKind::Gpf, DataItem::MeterBalance);
    assert!(after > before + 400_000, "{before} {after}");
    let change = DebtChange {
        time_debt_mp: [30_000, 0],
        ..DebtChange::default()
    };
    assert_eq!(home.ask_gas(&Operation::ChangeDebt(Box::new(change))), Ok(Answer::Done));
    assert_eq!(home.number(DeviceKind::Gpf, DataItem::TimeDebt(1)), 30_000);
    assert_eq!(
        home.ask_gas(&Operation::ActivateEmergencyCredit),
        Err(Refusal::WrongState)
    );
    assert_eq!(home.ask_gas(&Operation::ResetBalance), Ok(Answer::Done));
    assert_eq!(home.installation.supply(gsme), Some(SupplyState::Disabled));
}
