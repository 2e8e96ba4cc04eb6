//! Registers, profiles, daily and billing logs.

use super::*;
use domain::time::{HALF_HOUR, london, london_midnight};
use meter::Tariff;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_add_up_to_register_differences(seed: u64, start in 0i64..26_000, half_hours in 1u64..600, cut in 0u64..600) {
        let mut config = config();
        config.seed = Seed::root(seed);
        config.second_element = true;
        config.generation = true;
        config.tariff = Arc::new(Tariff::night_rate());
        let mut home = Home::new("2018-10-01T00:00:00Z", config);
        home.now = SimInstant(home.now.0 + start * 1_800_000);
        home.act(|installation, context| installation.wake(context));
        let from = home.now;
        let items = [
            (LogKind::ActiveImport, DataItem::ActiveImport),
            (LogKind::ActiveExport, DataItem::ActiveExport),
            (LogKind::ReactiveImport, DataItem::ReactiveImport),
        ];
        let before = items.map(|(_, item)| home.number(DeviceKind::Esme, item));
        home.run(SimDuration(cut.min(half_hours) * HALF_HOUR.0));
        home.approved(&Operation::DisableSupply).expect("approved");
        home.run(SimDuration::from_mins(77));
        home.approved(&Operation::EnableSupply).expect("approved");
        home.run_to(from + SimDuration((half_hours + 3) * HALF_HOUR.0 + cut.min(half_hours)));
        home.run_to(SimInstant(home.now.0.div_euclid(1_800_000) * 1_800_000 + 1_800_000));
        let to = home.now;
        for ((log, item), before) in items.into_iter().zip(before) {
            let rows = home.log(DeviceKind::Esme, log, SimInstant(from.0 + 1), to);
            prop_assert_eq!(rows.len() as i64, (to.0 - from.0) / 1_800_000);
            prop_assert!(rows.iter().all(|row| row.values.iter().all(|(of, value)| *of == item && value.value >= 0)));
            prop_assert_eq!(home.number(DeviceKind::Esme, item) - before, sum(&rows));
        }
        let tou: i64 = (1..=48).map(|n| home.number(DeviceKind::Esme, DataItem::TouRegister(n))).sum();
        prop_assert_eq!(tou, home.number(DeviceKind::Esme, DataItem::ActiveImport));
    }
}

#[test]
fn thirteen_months_can_be_read_and_no_more() {
    let mut home = Home::new("2019-06-15T10:10:00Z", config());
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        SimInstant(0),
        SimInstant(i64::MAX),
    );
    assert_eq!(rows.len(), 396 * 48);
    assert_eq!(rows.last().map(|row| row.at), Some(at("2019-06-15T10:00:00Z")));
    assert!(rows.windows(2).all(|pair| pair[1].at.0 - pair[0].at.0 == 1_800_000));
    let exported = home.log(DeviceKind::Esme, LogKind::ActiveExport, SimInstant(0), home.now);
    assert_eq!((exported.len(), sum(&exported)), (92 * 48, 0));
    let year = sum(&rows) / 1000;
    assert!((1_500..6_000).contains(&year), "{year} kWh in 13 months");
}

#[test]
fn nothing_can_be_read_from_before_the_meter_was_fitted() {
    let mut config = config();
    config.installed_at = at("2019-06-10T09:20:00Z");
    config.start_import_wh = 1_000_000;
    let mut home = Home::new("2019-06-12T00:00:00Z", config);
    let rows = home.log(DeviceKind::Esme, LogKind::ActiveImport, SimInstant(i64::MIN), home.now);
    assert_eq!(rows.first().map(|row| row.at), Some(at("2019-06-10T09:30:00Z")));
    assert_eq!(
        home.number(DeviceKind::Esme, DataItem::ActiveImport),
        1_000_000 + sum(&rows)
    );
    let days = home.log(DeviceKind::Esme, LogKind::DailyRead, SimInstant(0), home.now);
    assert_eq!(
        days.iter().map(|row| row.at).collect::<Vec<_>>(),
        [at("2019-06-10T23:00:00Z"), at("2019-06-11T23:00:00Z")]
    );
    assert_eq!(
        home.log(DeviceKind::Esme, LogKind::Billing, SimInstant(0), home.now),
        []
    );
}

#[test]
fn a_local_day_has_as_many_rows_as_it_has_half_hours() {
    let mut home = Home::new("2019-11-05T12:00:00Z", config());
    for (noon, expected) in [
        ("2019-03-31T12:00:00Z", 46),
        ("2019-10-27T12:00:00Z", 50),
        ("2019-10-28T12:00:00Z", 48),
    ] {
        let start = london_midnight(at(noon));
        let end = london_midnight(start + SimDuration::from_hours(30));
        let rows = home.log(DeviceKind::Esme, LogKind::ActiveImport, SimInstant(start.0 + 1), end);
        assert_eq!(rows.len(), expected, "{noon}");
        assert!(sum(&rows) > 0);
    }
}

#[test]
fn the_night_rate_follows_local_time_through_both_changes() {
    let mut config = config();
    config.tariff = Arc::new(Tariff::night_rate());
    let mut home = Home::new("2019-11-05T12:00:00Z", config);
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        at("2019-03-20T00:00:01Z"),
        home.now,
    );
    let night: i64 = rows
        .iter()
        .filter(|row| {
            let civil = london(row.at - HALF_HOUR).civil;
            (30..450).contains(&(i32::from(civil.hour()) * 60 + i32::from(civil.minute())))
        })
        .map(|row| row.values[0].1.value)
        .sum();
    let last = home.number(DeviceKind::Esme, DataItem::TouRegister(2));
    let mut earlier = Home::new("2019-03-20T00:00:00Z", {
        let mut config = home.config.clone();
        config.tariff = Arc::new(Tariff::night_rate());
        config
    });
    // The same home asked twice: rows and registers do not depend on when an installation was built.
    assert_eq!(last - earlier.number(DeviceKind::Esme, DataItem::TouRegister(2)), {
        let end = at("2019-11-05T12:00:00Z");
        assert_eq!(rows.last().map(|row| row.at), Some(end));
        night
    });
}

#[test]
fn blocks_count_what_was_used_since_the_billing_day() {
    let mut config = config();
    config.tariff = Arc::new(
        Tariff::single_rate()
            .with_blocks(&[20_000, 50_000], &[10_000, 15_000, 20_000])
            .with_billing_day(7),
    );
    let mut home = Home::new("2019-06-29T13:30:00Z", config);
    let used = sum(&home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        at("2019-06-06T23:00:01Z"),
        home.now,
    ));
    let blocks = [1, 2, 3, 4].map(|n| home.number(DeviceKind::Esme, DataItem::BlockRegister(n)));
    assert_eq!(blocks, [20_000, 30_000, used - 50_000, 0]);
    let billing = home.log(DeviceKind::Esme, LogKind::Billing, SimInstant(0), home.now);
    assert_eq!(billing.len(), 12);
    assert_eq!(billing.last().map(|row| row.at), Some(at("2019-06-06T23:00:00Z")));
    let register = |row: &LogRow| row.values[0].1.value;
    for pair in billing.windows(2) {
        let counted: i64 = pair[1]
            .values
            .iter()
            .filter(|(item, _)| matches!(item, DataItem::BlockRegister(_)))
            .map(|(_, value)| value.value)
            .sum();
        assert_eq!(counted, register(&pair[1]) - register(&pair[0]));
    }
}

#[test]
fn fourteen_midnights_are_kept() {
    let mut home = Home::new("2019-04-02T08:00:00Z", config());
    let days = home.log(DeviceKind::Esme, LogKind::DailyRead, SimInstant(0), home.now);
    assert_eq!(days.len(), 14);
    assert!(days.iter().all(|row| london_midnight(row.at) == row.at));
    assert_eq!(days.last().map(|row| row.at), Some(at("2019-04-01T23:00:00Z")));
    let day_of_46 = &days[11..13];
    assert_eq!(day_of_46[1].at.0 - day_of_46[0].at.0, 46 * 1_800_000);
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        SimInstant(day_of_46[0].at.0 + 1),
        day_of_46[1].at,
    );
    assert_eq!(
        day_of_46[1].values[0].1.value - day_of_46[0].values[0].1.value,
        sum(&rows)
    );
}

#[test]
fn what_a_device_has_not_is_not_supported() {
    let mut home = Home::with("2019-04-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.unsupported.insert(OperationKind::ReadLog(LogKind::ReactiveImport));
    });
    let mut check = |slot, operation: Operation| {
        let outcome = home.finished(slot, S1SP, &operation, None);
        assert_eq!(outcome, Err(domain::Refusal::NotSupported), "{slot} {operation}");
    };
    check(DeviceKind::Esme, Operation::Read(DataItem::SecondaryActiveImport));
    check(DeviceKind::Esme, Operation::Read(DataItem::GasConsumption));
    check(DeviceKind::Esme, Operation::Read(DataItem::TouRegister(0)));
    check(DeviceKind::Esme, Operation::Read(DataItem::TouRegister(49)));
    check(DeviceKind::Esme, Operation::Read(DataItem::BlockRegister(5)));
    check(DeviceKind::Esme, Operation::Read(DataItem::TimeDebt(3)));
    check(DeviceKind::Gpf, Operation::Read(DataItem::ActiveImport));
    check(DeviceKind::Chf, Operation::Read(DataItem::SupplyState));
    check(DeviceKind::Ppmid, Operation::Read(DataItem::Clock));
    let (from, to) = (SimInstant(0), SimInstant(1));
    check(
        DeviceKind::Esme,
        Operation::ReadLog {
            log: LogKind::ReactiveImport,
            from,
            to,
        },
    );
    check(
        DeviceKind::Gpf,
        Operation::ReadLog {
            log: LogKind::ActiveExport,
            from,
            to,
        },
    );
    check(
        DeviceKind::Chf,
        Operation::ReadLog {
            log: LogKind::DailyRead,
            from,
            to,
        },
    );
}
