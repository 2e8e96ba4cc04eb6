//! Tariffs as a supplier writes them: registers, blocks, prices, billing periods.

use super::*;
use domain::Refusal;
use domain::operation::{
    AnyDate, AnyDay, BillingCalendar, BillingPeriod, Counter, PaymentMode, Prices, Setting, SettingKind,
    SwitchingTable, TariffAction, TariffDay, TariffSeason, TariffTables, TariffWeek,
};
use meter::{AccountSettings, Tariff};
use std::sync::Arc;

const ESME: DeviceKind = DeviceKind::Esme;

fn any() -> AnyDate {
    AnyDate {
        year: None,
        month: Some(1),
        day: Some(AnyDay::Day(1)),
        day_of_week: None,
    }
}

/// Weekdays and weekends with switches of their own.
fn tables(weekday: &[(u16, TariffAction)], weekend: &[(u16, TariffAction)]) -> TariffTables {
    let day = |id, switches: &[(u16, TariffAction)]| TariffDay {
        id,
        switches: switches.to_vec(),
    };
    TariffTables {
        switching: SwitchingTable {
            days: vec![day(1, weekday), day(2, weekend)],
            weeks: vec![TariffWeek {
                id: 1,
                days: [1, 1, 1, 1, 1, 2, 2],
            }],
            seasons: vec![TariffSeason {
                name: "all".into(),
                from: any(),
                week: 1,
            }],
            special_days: Vec::new(),
        },
        ..TariffTables::default()
    }
}

fn three_rates() -> TariffTables {
    use TariffAction::Tou;
    tables(
        &[(0, Tou(2)), (420, Tou(1)), (960, Tou(3)), (1_200, Tou(1))],
        &[(0, Tou(2)), (540, Tou(1))],
    )
}

fn tou_prices(prices: &[i64], standing_charge_mp: i64) -> Prices {
    Prices {
        standing_charge_mp,
        tou_mp: prices.iter().copied().map(Some).collect(),
        ..Prices::default()
    }
}

impl Home {
    fn tou(&mut self, n: u8) -> i64 {
        self.number(ESME, DataItem::TouRegister(n))
    }
}

#[test]
fn registers_go_on_where_the_old_tariff_left_them() {
    let mut config = config();
    config.tariff = Arc::new(Tariff::night_rate());
    config.start_import_wh = 5_000;
    let mut home = Home::new("2019-05-03T08:00:00Z", config);
    let before = [1, 2, 3].map(|n| home.tou(n));
    assert_eq!(before[2], 0);
    home.set(Setting::Tariff(three_rates())).expect("taken");
    assert_eq!([1, 2, 3].map(|n| home.tou(n)), before, "a change counts nothing");
    let start = home.now;
    home.run_to(at("2019-05-07T08:00:00Z"));
    // Friday, a weekend, Monday, and Tuesday morning, from the half-hours themselves.
    let mut expected = before;
    for row in home.log(ESME, LogKind::ActiveImport, start + SimDuration(1), home.now) {
        let end = row.at - SimDuration::from_mins(30);
        let local = (end.0 / 60_000 + 60).rem_euclid(1_440);
        let day = (end.0 + 3_600_000).div_euclid(86_400_000);
        let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
        let register = match (weekend, local) {
            (true, 0..540) | (false, 0..420) => 2,
            (false, 960..1_200) => 3,
            _ => 1,
        };
        expected[register - 1] += row.values[0].1.value;
    }
    assert_eq!([1, 2, 3].map(|n| home.tou(n)), expected);
    assert_eq!(expected.iter().sum::<i64>(), home.number(ESME, DataItem::ActiveImport));
    assert_eq!(home.setting(ESME, SettingKind::Tariff), Setting::Tariff(three_rates()));
}

#[test]
fn a_tariff_survives_a_restart_with_its_registers() {
    let mut home = Home::new("2019-05-03T08:00:00Z", config());
    for setting in [
        Setting::Tariff(three_rates()),
        Setting::Prices(tou_prices(&[20_000, 10_000, 35_000], 27_000)),
        Setting::BillingCalendar(BillingCalendar {
            minute: 0,
            start: None,
            period: BillingPeriod::Weekly(1),
        }),
    ] {
        home.set(setting).expect("taken");
        home.run(SimDuration::from_hours(30));
    }
    home.effects();
    let (config, octets) = (home.config.clone(), home.installation.durable());
    let mut twin = Home::new("2019-05-03T08:00:00Z", config.clone());
    twin.now = home.now;
    twin.installation = twin
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("ours");
    for home in [&mut home, &mut twin] {
        home.run(SimDuration::from_days(9));
    }
    assert_eq!(home.installation, twin.installation);
    assert_eq!(home.alerts(), twin.alerts());
    assert_eq!([1, 2, 3].map(|n| home.tou(n)), [1, 2, 3].map(|n| twin.tou(n)));
}

#[test]
fn prices_change_what_is_charged_from_then_on() {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.tariff = Arc::new(Tariff::single_rate().with_standing_charge(0));
    config.account = AccountSettings {
        balance_mp: 10_000_000,
        emergency_limit_mp: 0,
        ..AccountSettings::default()
    };
    let mut home = Home::new("2019-05-03T08:00:00Z", config);
    let read = |home: &mut Home| {
        (
            home.number(ESME, DataItem::ActiveImport),
            home.number(ESME, DataItem::MeterBalance),
        )
    };
    let first = read(&mut home);
    home.run(SimDuration::from_mins(100));
    let second = read(&mut home);
    assert_eq!(first.1 - second.1, (second.0 - first.0) * 16, "16 p per kWh");
    home.set(Setting::Prices(tou_prices(&[20_000], 50_000))).expect("taken");
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 20_000);
    home.run(SimDuration::from_mins(100));
    let third = read(&mut home);
    assert_eq!(second.1 - third.1, (third.0 - second.0) * 20);
    home.run_to(at("2019-05-03T23:00:00Z"));
    let midnight = read(&mut home);
    assert_eq!(third.1 - midnight.1, (midnight.0 - third.0) * 20 + 50_000);
}

#[test]
fn blocks_within_time_bands_are_counted_and_charged_apart() {
    use TariffAction::Block;
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        balance_mp: 50_000_000,
        emergency_limit_mp: 0,
        ..AccountSettings::default()
    };
    let mut home = Home::new("2019-05-03T08:00:00Z", config);
    let blocks = TariffTables {
        thresholds: vec![vec![3_000], vec![300, 600]],
        ..tables(&[(0, Block(2)), (420, Block(1))], &[(0, Block(1))])
    };
    home.set(Setting::Tariff(blocks)).expect("taken");
    let prices = Prices {
        block_mp: vec![
            vec![Some(10_000), Some(20_000)],
            vec![Some(5_000), Some(6_000), Some(7_000)],
        ],
        ..Prices::default()
    };
    home.set(Setting::Prices(prices)).expect("taken");
    let before = home.number(ESME, DataItem::MeterBalance);
    let import = home.number(ESME, DataItem::ActiveImport);
    home.run_to(at("2019-05-06T12:00:00Z"));
    let block = |home: &mut Home, block, band| home.number(ESME, DataItem::BlockTouRegister(block, band));
    let matrix = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)].map(|(n, band)| block(&mut home, n, band));
    assert_eq!(
        matrix.iter().sum::<i64>(),
        home.number(ESME, DataItem::ActiveImport) - import
    );
    assert_eq!((matrix[0], matrix[2], matrix[3]), (3_000, 300, 300), "{matrix:?}");
    assert!(matrix[1] > 0 && matrix[4] > 0, "{matrix:?}");
    let cost = [10, 20, 5, 6, 7]
        .iter()
        .zip(matrix)
        .map(|(price, amount)| price * amount)
        .sum::<i64>();
    assert_eq!(before - home.number(ESME, DataItem::MeterBalance), cost);
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 20_000);
    // Counted anew by command: registers stay, the price falls.
    home.finished(ESME, S1SP, &Operation::ResetCounters(vec![Counter::TariffBlocks]), None)
        .expect("done");
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 10_000);
    assert_eq!(
        [(1, 1), (2, 1)].map(|(n, band)| block(&mut home, n, band)),
        [matrix[0], matrix[1]]
    );
    // And every day, once that is set.
    home.set(Setting::DailyBlockReset(true)).expect("taken");
    home.run_to(at("2019-05-08T00:00:00Z"));
    assert_eq!(
        home.number(ESME, DataItem::ActiveTariffPrice),
        5_000,
        "night, first block"
    );
    assert_eq!(
        home.setting(ESME, SettingKind::DailyBlockReset),
        Setting::DailyBlockReset(true)
    );
}

#[test]
fn another_billing_calendar_makes_its_own_periods() {
    let mut home = Home::new("2019-05-15T08:00:00Z", config());
    let monthly = home.log(ESME, LogKind::Billing, SimInstant(0), home.now);
    assert_eq!(monthly.last().map(|row| row.at), Some(at("2019-04-30T23:00:00Z")));
    let calendar = BillingCalendar {
        minute: 390,
        start: None,
        period: BillingPeriod::Weekly(5),
    };
    home.set(Setting::BillingCalendar(calendar.clone())).expect("taken");
    home.run_to(at("2019-06-01T08:00:00Z"));
    let fridays = ["2019-05-17T05:30:00Z", "2019-05-24T05:30:00Z", "2019-05-31T05:30:00Z"].map(at);
    let reported: Vec<SimInstant> = home
        .alerts()
        .into_iter()
        .filter(|alert| alert.0 == ESME && alert.1 == 0x8F0A)
        .map(|alert| alert.2)
        .collect();
    assert_eq!(reported, fridays);
    let rows = home.log(ESME, LogKind::Billing, SimInstant(0), home.now);
    let times: Vec<SimInstant> = rows.iter().map(|row| row.at).rev().take(4).collect();
    assert_eq!(times, [fridays[2], fridays[1], fridays[0], at("2019-04-30T23:00:00Z")]);
    assert_eq!(
        home.setting(ESME, SettingKind::BillingCalendar),
        Setting::BillingCalendar(calendar)
    );
}

#[test]
fn gas_is_charged_by_its_calorific_value() {
    let mut config = config();
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.gas_tariff = Arc::new(Tariff::gas_single_rate().with_standing_charge(0));
    config.gas_account = AccountSettings {
        balance_mp: 50_000_000,
        emergency_limit_mp: 0,
        ..AccountSettings::default()
    };
    let mut home = Home::new("2019-01-15T08:00:00Z", config);
    let gpf = DeviceKind::Gpf;
    let read = |home: &mut Home| {
        (
            home.number(gpf, DataItem::GasConsumption),
            home.number(gpf, DataItem::MeterBalance),
        )
    };
    // 36 MJ per cubic metre are 10 kWh: 40 p per cubic metre.
    let conversion = Operation::Write(Box::new(Setting::GasConversion((36_000, 100_000))));
    home.ask_gas(&conversion).expect("taken");
    let before = read(&mut home);
    home.run(SimDuration::from_hours(5));
    let after = read(&mut home);
    assert!(after.0 > before.0);
    assert_eq!(before.1 - after.1, (after.0 - before.0) * 40);
    assert_eq!(
        home.setting(gpf, SettingKind::GasConversion),
        Setting::GasConversion((36_000, 100_000))
    );
    use TariffAction::Block;
    let blocks = TariffTables {
        thresholds: vec![vec![1_000, 2_000, 3_000]],
        ..tables(&[(0, Block(1))], &[(0, Block(1))])
    };
    home.ask_gas(&Operation::Write(Box::new(Setting::Tariff(blocks))))
        .expect("taken");
    let prices = Prices {
        block_mp: vec![vec![Some(1_000), Some(2_000), Some(3_000), Some(4_000)]],
        thresholds_used: Some(2),
        ..Prices::default()
    };
    home.ask_gas(&Operation::Write(Box::new(Setting::Prices(prices))))
        .expect("taken");
    home.run(SimDuration::from_days(3));
    let blocks = [1, 2, 3, 4].map(|n| home.number(gpf, DataItem::BlockRegister(n)));
    assert_eq!(
        (blocks[0], blocks[1], blocks[3]),
        (1_000, 1_000, 0),
        "two thresholds are in use"
    );
    assert!(blocks[2] > 1_000);
}

#[test]
fn a_profile_may_let_tariffs_begin_at_midnight() {
    let mut home = Home::with("2019-05-03T08:00:00Z", config(), |[_, esme, ..]| {
        esme.tariff.starts_at_midnight = true;
        esme.tariff.price_step_mp = 100;
    });
    home.set(Setting::Prices(tou_prices(&[20_055], 0))).expect("taken");
    home.set(Setting::Prices(tou_prices(&[30_055], 0))).expect("taken");
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 16_000);
    let (config, octets) = (home.config.clone(), home.installation.durable());
    home.installation = home
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("ours");
    home.run_to(at("2019-05-03T22:59:59Z"));
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 16_000);
    home.run_to(at("2019-05-03T23:00:00Z"));
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 30_000);
}

#[test]
fn a_second_element_has_a_tariff_of_its_own() {
    let mut config = config();
    config.second_element = true;
    let mut home = Home::new("2019-05-03T08:00:00Z", config);
    let total = home.number(ESME, DataItem::SecondaryActiveImport);
    let second = |home: &mut Home, n| home.number(ESME, DataItem::SecondaryTouRegister(n));
    assert_eq!(second(&mut home, 1), total);
    use TariffAction::Tou;
    home.set(Setting::SecondaryTariff(tables(
        &[(0, Tou(2)), (180, Tou(1))],
        &[(0, Tou(3))],
    )))
    .expect("taken");
    home.set(Setting::SecondaryPrices(tou_prices(&[7_000, 6_000, 5_000], 0)))
        .expect("taken");
    home.run(SimDuration::from_days(4));
    let registers = [1, 2, 3].map(|n| second(&mut home, n));
    assert_eq!(
        registers.iter().sum::<i64>(),
        home.number(ESME, DataItem::SecondaryActiveImport)
    );
    assert!(registers[1] > 0 && registers[2] > 0, "{registers:?}");
    let mut single = Home::new("2019-05-03T08:00:00Z", super::config());
    let refused = single.set(Setting::SecondaryTariff(tables(&[(0, Tou(1))], &[])));
    assert_eq!(refused, Err(Refusal::NotSupported));
}

#[test]
fn tariffs_that_do_not_fit_change_nothing() {
    use TariffAction::{Block, Tou};
    let mut home = Home::new("2019-05-03T08:00:00Z", config());
    // That somebody was let through at all is remembered; the rest would show.
    let name = Setting::SupplierName(("Example Energy".into(), String::new()));
    home.set(name).expect("taken");
    let before = home.installation.durable();
    for wrong in [
        Setting::Tariff(tables(&[(15, Tou(1))], &[(0, Tou(1))])),
        Setting::Tariff(tables(&[(0, Tou(49))], &[(0, Tou(1))])),
        Setting::Tariff(TariffTables {
            thresholds: vec![vec![1, 2, 3, 4]],
            ..three_rates()
        }),
        Setting::Tariff(TariffTables {
            thresholds: vec![vec![2, 1]],
            ..three_rates()
        }),
        Setting::Prices(tou_prices(&[1; 49], 0)),
        Setting::Prices(tou_prices(&[i64::MAX], 0)),
        Setting::BillingCalendar(BillingCalendar {
            minute: 0,
            start: None,
            period: BillingPeriod::Monthly(29),
        }),
    ] {
        assert_eq!(home.set(wrong.clone()), Err(Refusal::OutOfRange), "{wrong:?}");
    }
    assert_eq!(home.installation.durable(), before);
    let few = Home::with("2019-05-03T08:00:00Z", config(), |[_, esme, ..]| {
        esme.tariff.tou_max = 2;
        esme.tariff.block_tou_max = 0;
    });
    let mut few = few;
    assert_eq!(few.set(Setting::Tariff(three_rates())), Err(Refusal::OutOfRange));
    let blocks = tables(&[(0, Block(1))], &[(0, Block(1))]);
    assert_eq!(few.set(Setting::Tariff(blocks)), Err(Refusal::OutOfRange));
}

#[test]
fn many_changes_are_bounded_and_registers_still_add_up() {
    let mut home = Home::new("2019-05-03T08:00:00Z", config());
    for n in 0..40i64 {
        let tables = if n % 2 == 0 {
            three_rates()
        } else {
            tables(&[(0, TariffAction::Tou(4))], &[(0, TariffAction::Tou(5))])
        };
        home.set(Setting::Tariff(tables)).expect("taken");
        home.run(SimDuration::from_mins(157));
    }
    let sum: i64 = (1..=48).map(|n| home.tou(n)).sum();
    assert_eq!(sum, home.number(ESME, DataItem::ActiveImport));
    assert!(home.installation.memory() < 40_000, "{}", home.installation.memory());
}
