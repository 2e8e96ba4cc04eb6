//! The prepayment account of both fuels.

use super::*;
use domain::operation::PaymentMode;
use domain::{Refusal, SupplyState};
use meter::{AccountSettings, DebtPeriod, Tariff, TimeDebt};
use proptest::prelude::*;
use std::sync::Arc;

const ESME: DeviceKind = DeviceKind::Esme;

fn prepaying(settings: AccountSettings) -> InstallationConfig {
    let mut config = config();
    config.gas = None;
    config.payment_mode = PaymentMode::Prepayment;
    config.account = settings;
    config
}

/// Little credit, no standing charge, nothing but consumption.
fn plain(balance_mp: i64) -> AccountSettings {
    AccountSettings {
        balance_mp,
        low_credit_mp: 0,
        emergency_limit_mp: 0,
        ..AccountSettings::default()
    }
}

fn no_standing_charge() -> Arc<Tariff> {
    Arc::new(Tariff::single_rate().with_standing_charge(0))
}

#[test]
fn supply_ends_at_the_very_moment_the_credit_is_used() {
    let mut config = prepaying(plain(100_000));
    config.tariff = no_standing_charge();
    let mut home = Home::new("2019-05-02T08:00:00Z", config);
    let start = home.number(ESME, DataItem::ActiveImport);
    home.run(SimDuration::from_days(5));
    let alerts = home.alerts();
    let [low, off] = alerts.as_slice() else {
        panic!("{alerts:?}")
    };
    assert_eq!((low.1, off.1), (0x810D, 0x8F0F));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    // 100 p at 16 p per kWh are 6.25 kWh: supply ended in the millisecond in which the last Wh was counted.
    assert_eq!(home.number(ESME, DataItem::ActiveImport) - start, 6_250);
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 0);
    let mut twin = Home::new("2019-05-02T08:00:00Z", home.config.clone());
    twin.run_to(SimInstant(off.2.0 - 1));
    assert_eq!(twin.number(ESME, DataItem::ActiveImport) - start, 6_249);
    assert_eq!(twin.installation.next_wake(), off.2);
    assert_eq!(twin.installation.supply(ESME), Some(SupplyState::Enabled));
}

#[test]
fn a_late_wake_finds_the_same_moment() {
    let mut config = prepaying(AccountSettings {
        balance_mp: 150_000,
        ..AccountSettings::default()
    });
    config.gas = Some((Eui64(0xF0), Eui64(0x60)));
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.gas_account = AccountSettings {
        balance_mp: 30_000,
        ..AccountSettings::default()
    };
    let mut home = Home::new("2019-05-02T08:00:00Z", config.clone());
    let mut late = Home::new("2019-05-02T08:00:00Z", config);
    home.run(SimDuration::from_days(3));
    late.now = home.now;
    late.act(|installation, context| installation.wake(context));
    let sorted = |home: &mut Home| {
        let mut alerts = home.alerts();
        alerts.sort();
        alerts
    };
    assert_eq!(sorted(&mut late), sorted(&mut home));
    assert_eq!(late.installation, home.installation);
}

#[test]
fn emergency_credit_is_offered_used_exhausted_and_paid_back() {
    let mut config = prepaying(AccountSettings {
        balance_mp: 120_000,
        emergency_limit_mp: 100_000,
        emergency_threshold_mp: 100_000,
        low_credit_mp: 110_000,
        ..AccountSettings::default()
    });
    config.tariff = no_standing_charge();
    let mut home = Home::new("2019-05-02T08:00:00Z", config);
    let activate =
        |home: &mut Home| home.act(|installation, context| installation.activate_emergency_credit(context, ESME));
    assert_eq!(activate(&mut home), Err(Refusal::WrongState));
    home.run(SimDuration::from_days(4));
    let codes = |home: &mut Home| home.alerts().iter().map(|alert| alert.1).collect::<Vec<_>>();
    assert_eq!(codes(&mut home), [0x810D, 0x8119, 0x8F0F]);
    assert_eq!(activate(&mut home), Ok(()));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
    home.act(|installation, context| installation.press_restore_supply(context, ESME))
        .expect("armed");
    home.run(SimDuration::from_days(4));
    assert_eq!(codes(&mut home), [0x81AB, 0x8F32, 0x81AA, 0x8F0F]);
    assert_eq!(home.number(ESME, DataItem::EmergencyCreditBalance), 0);
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 0);
    let top_up = |home: &mut Home, mp| home.act(|installation, context| installation.top_up(context, ESME, mp));
    assert_eq!(top_up(&mut home, 60_000), Ok(()));
    assert_eq!(home.number(ESME, DataItem::EmergencyCreditBalance), 60_000);
    assert_eq!(top_up(&mut home, 500_000), Ok(()));
    assert_eq!(home.number(ESME, DataItem::EmergencyCreditBalance), 100_000);
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 460_000);
    assert_eq!(top_up(&mut home, 25_000_001), Err(Refusal::OutOfRange));
}

#[test]
fn a_supply_cut_by_command_is_not_restored_by_credit() {
    let mut home = Home::new("2019-05-02T08:00:00Z", prepaying(plain(1_000_000)));
    home.approved(&Operation::DisableSupply).expect("approved");
    home.act(|installation, context| installation.top_up(context, ESME, 1_000_000))
        .expect("taken");
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
}

#[test]
fn without_credit_no_command_turns_the_supply_on() {
    let mut home = Home::new("2019-05-02T08:00:00Z", prepaying(plain(-1)));
    home.run(SimDuration::from_mins(30));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    assert_eq!(home.approved(&Operation::EnableSupply), Err(Refusal::WrongState));
    assert_eq!(home.approved(&Operation::ArmSupply), Err(Refusal::WrongState));
}

#[test]
fn standing_charge_and_debts_fall_due_at_local_midnight() {
    let debt = |balance_mp, rate_mp, period| TimeDebt {
        balance_mp,
        rate_mp,
        period,
    };
    let settings = AccountSettings {
        balance_mp: 10_000_000,
        time_debts: [
            debt(100_000, 30_000, DebtPeriod::Daily),
            debt(5_000, 1_000, DebtPeriod::Hourly),
        ],
        ..plain(0)
    };
    let settings = AccountSettings {
        balance_mp: 10_000_000,
        ..settings
    };
    let mut config = prepaying(settings);
    config.tariff = Arc::new(Tariff::single_rate().with_prices(&[0]));
    // Through the night in which the clocks go forward.
    let mut home = Home::new("2019-03-30T22:00:00Z", config);
    let state = |home: &mut Home| {
        [DataItem::MeterBalance, DataItem::TimeDebt(1), DataItem::TimeDebt(2)].map(|item| home.number(ESME, item))
    };
    home.run_to(at("2019-03-30T23:59:59Z"));
    assert_eq!(state(&mut home), [9_999_000, 100_000, 4_000]);
    home.run_to(at("2019-03-31T00:00:00Z"));
    assert_eq!(state(&mut home), [9_999_000 - 25_000 - 30_000 - 1_000, 70_000, 3_000]);
    home.run_to(at("2019-03-31T22:59:59Z"));
    assert_eq!(state(&mut home), [9_940_000, 70_000, 0]);
    home.run_to(at("2019-03-31T23:00:00Z"));
    assert_eq!(state(&mut home), [9_885_000, 40_000, 0]);
    home.run_to(at("2019-04-09T12:00:00Z"));
    assert_eq!(state(&mut home)[1], 0);
    let codes: Vec<u16> = home
        .alerts()
        .iter()
        .map(|alert| alert.1)
        .filter(|code| *code != 0x8F0A)
        .collect();
    assert_eq!(codes, [0x81A8, 0x81A7]);
}

#[test]
fn what_falls_due_without_supply_is_accumulated_and_paid_first() {
    let mut home = Home::new(
        "2019-05-02T08:00:00Z",
        prepaying(AccountSettings {
            payment_debt_mp: 50_000,
            debt_per_payment: 2_500,
            ..plain(-1)
        }),
    );
    home.run(SimDuration::from_days(2));
    assert_eq!(home.number(ESME, DataItem::AccumulatedDebt), 50_000);
    home.act(|installation, context| installation.top_up(context, ESME, 100_000))
        .expect("taken");
    assert_eq!(home.number(ESME, DataItem::PaymentDebt), 25_000);
    assert_eq!(home.number(ESME, DataItem::AccumulatedDebt), 0);
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 24_999);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
}

#[test]
fn gas_runs_out_between_two_wakes_and_tells_at_the_next() {
    let mut config = config();
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.gas_account = plain(20_000);
    let mut home = Home::new("2019-01-10T05:00:00Z", config);
    home.run(SimDuration::from_days(1));
    let alerts = home.alerts();
    let [(_, 0x810D, _), (DeviceKind::Gsme, 0x8F0F, off)] = alerts.as_slice() else {
        panic!("{alerts:?}")
    };
    assert_eq!(home.installation.supply(DeviceKind::Gsme), Some(SupplyState::Disabled));
    assert_eq!(
        home.value(DeviceKind::Gpf, DataItem::SupplyState),
        Value::Supply(SupplyState::Disabled)
    );
    let mut twin = Home::new("2019-01-10T05:00:00Z", home.config.clone());
    twin.run_to(*off);
    assert_eq!(twin.installation.supply(DeviceKind::Gsme), Some(SupplyState::Disabled));
    assert_eq!(twin.alerts(), []);
    assert_eq!(
        twin.value(DeviceKind::Gpf, DataItem::SupplyState),
        Value::Supply(SupplyState::Enabled)
    );
}

#[test]
fn in_credit_mode_the_balance_stands_still() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    home.run(SimDuration::from_days(3));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 2_000_000);
    let top_up = home.act(|installation, context| installation.top_up(context, ESME, 1));
    assert_eq!(top_up, Err(Refusal::WrongState));
    assert_eq!(
        home.value(ESME, DataItem::PaymentMode),
        Value::PaymentMode(PaymentMode::Credit)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However often it is asked, a meter charges the same, and exactly what its registers say.
    #[test]
    fn asking_changes_nothing(seed: u64, asks in prop::collection::vec(1u64..9_000_000, 0..60), blocks: bool) {
        let mut config = prepaying(AccountSettings { balance_mp: 90_000_000, ..plain(0) });
        config.account.balance_mp = 90_000_000;
        config.seed = Seed::root(seed);
        config.tariff = Arc::new(if blocks {
            Tariff::single_rate().with_blocks(&[3_000, 9_000], &[30_000, 20_000, 10_000]).with_billing_day(3)
        } else {
            Tariff::night_rate()
        });
        let mut often = Home::new("2019-03-29T08:00:00Z", config.clone());
        let mut once = Home::new("2019-03-29T08:00:00Z", config.clone());
        let registers = |home: &mut Home| [1, 2].map(|n| home.number(ESME, DataItem::TouRegister(n)));
        let before = registers(&mut once);
        for ask in asks {
            often.now += SimDuration(ask);
            often.act(|installation, context| installation.wake(context));
            often.number(ESME, DataItem::MeterBalance);
        }
        once.now = often.now;
        once.act(|installation, context| installation.wake(context));
        once.number(ESME, DataItem::MeterBalance);
        once.effects();
        often.effects();
        prop_assert_eq!(&once.installation, &often.installation);
        if !blocks {
            let after = registers(&mut once);
            let energy: i64 = [18_000, 8_500].iter().zip(after.iter().zip(before)).map(|(price, (after, before))| price * (after - before)).sum();
            let midnights = domain::time::london_midnight(once.now).since(at("2019-03-29T00:00:00Z")).0;
            let days = (midnights as f64 / 86_400_000.0).round() as i64;
            let expected = 90_000_000_000 - energy - days * 25_000_000;
            prop_assert_eq!(once.number(ESME, DataItem::MeterBalance), expected.div_euclid(1000));
        }
    }
}
