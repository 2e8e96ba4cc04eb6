//! Power, demand, voltage and auxiliary loads of an electricity meter.

use super::*;
use domain::operation::{Counter, Setting, SettingKind};
use domain::{Refusal, Unit};

fn stamped(home: &mut Home, item: DataItem) -> (i64, SimInstant) {
    match home.value(DeviceKind::Esme, item) {
        Value::Stamped(quantity, at) => {
            assert_eq!(quantity.unit, Unit::Watt);
            (quantity.value, at)
        }
        other => panic!("{other:?}"),
    }
}

fn reset(home: &mut Home, counter: Counter) {
    home.finished(DeviceKind::Esme, S1SP, &Operation::ResetCounters(vec![counter]), None)
        .expect("a counter");
}

#[test]
fn power_is_what_the_register_moves_by() {
    let mut home = Home::new("2019-05-02T18:00:00Z", config());
    let watts = home.number(DeviceKind::Esme, DataItem::ActivePowerImport);
    let before = home.number(DeviceKind::Esme, DataItem::ActiveImport);
    home.run(SimDuration::from_mins(30));
    let used = home.number(DeviceKind::Esme, DataItem::ActiveImport) - before;
    assert_eq!(watts, used * 2);
    assert!(watts > 0);
    home.approved(&Operation::DisableSupply).expect("approved");
    assert_eq!(home.number(DeviceKind::Esme, DataItem::ActivePowerImport), 0);
}

#[test]
fn the_largest_demand_is_the_largest_half_hour_since_the_reset() {
    let mut home = Home::new("2019-05-02T00:00:00Z", config());
    reset(&mut home, Counter::MaximumDemandImport);
    let from = home.now;
    home.run(SimDuration::from_days(5));
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        from + SimDuration::from_mins(1),
        home.now,
    );
    let largest = rows.iter().map(|row| row.values[0].1.value).max().expect("rows");
    let first = rows.iter().find(|row| row.values[0].1.value == largest).expect("a row");
    assert_eq!(
        stamped(&mut home, DataItem::MaximumDemandImport),
        (largest * 2, first.at)
    );
    let all = stamped(&mut home, DataItem::MaximumDemandImportInPeriod);
    assert!(all.0 >= largest * 2, "never reset, and the period is the whole day");
    assert_eq!(stamped(&mut home, DataItem::MaximumDemandExport).0, 0);

    // In the small hours of the night, which is asked for as a period, less is used.
    let period = Operation::Write(Box::new(Setting::MaximumDemandPeriod((60, 300))));
    home.finished(DeviceKind::Esme, S1SP, &period, None).expect("a setting");
    reset(&mut home, Counter::MaximumDemandImportInPeriod);
    home.run(SimDuration::from_days(2));
    let (night, at) = stamped(&mut home, DataItem::MaximumDemandImportInPeriod);
    assert!(night > 0 && night < largest * 2, "{night}");
    let minute = (at.0 / 60_000 - 30 + 60).rem_euclid(1_440);
    assert!((60..300).contains(&minute), "{at}");
}

#[test]
fn voltages_are_logged_per_period_and_not_without_mains() {
    let mut home = Home::new("2019-05-02T00:00:00Z", config());
    home.run(SimDuration::from_hours(6));
    home.act(Installation::cut_power);
    home.run(SimDuration::from_hours(2));
    home.act(Installation::restore_power);
    home.run(SimDuration::from_hours(2));
    let from = home.now - SimDuration::from_hours(10);
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::Network,
        from + SimDuration::from_secs(1),
        home.now,
    );
    assert_eq!(rows.len(), 16, "ten hours without two");
    assert!(rows.iter().all(|row| (2_300..2_460).contains(&row.values[0].1.value)));
    home.esme.power.voltage_entries = 4;
    assert_eq!(
        home.log(DeviceKind::Esme, LogKind::Network, SimInstant(0), home.now)
            .len(),
        4
    );
    let again = home.log(DeviceKind::Esme, LogKind::Network, rows[15].at, rows[15].at);
    assert_eq!(again, rows[15..]);
}

#[test]
fn voltage_counters_follow_their_limits() {
    let mut home = Home::new("2019-05-02T00:00:00Z", config());
    let count = |home: &mut Home, n| home.number(DeviceKind::Esme, DataItem::VoltageCounter(n));
    assert_eq!(count(&mut home, 1), 0, "within the usual limits");
    let Value::Setting(setting) = home.value(DeviceKind::Esme, DataItem::Setting(SettingKind::Voltage)) else {
        panic!("a voltage setting")
    };
    let Setting::Voltage(mut voltage) = *setting else {
        panic!("voltage")
    };
    voltage.averages = vec![(2_300, 2_162, 1_800)];
    let write = Operation::Write(Box::new(Setting::Voltage(voltage)));
    home.finished(DeviceKind::Esme, S1SP, &write, None).expect("limits");
    reset(&mut home, Counter::RmsVoltage);
    home.run(SimDuration::from_hours(24));
    assert!(count(&mut home, 1) > 40, "{}", count(&mut home, 1));
    assert_eq!(count(&mut home, 2), 0);
    let phase_two = Operation::Read(DataItem::VoltageCounter(7));
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &phase_two, None),
        Err(Refusal::NotSupported)
    );
}

#[test]
fn auxiliary_loads_go_back_by_themselves_after_their_time_and_the_random_delay() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.supply.auxiliary_switches = 2;
    });
    let write = Operation::Write(Box::new(Setting::RandomisedOffsetLimit(1_799)));
    let approval = home.approval(DeviceKind::Esme, &write);
    home.finished(DeviceKind::Esme, S1SP, &write, Some(&approval))
        .expect("a limit");
    let delay = home.number(DeviceKind::Esme, DataItem::RandomisedOffset);
    assert!((1..1_799).contains(&delay), "{delay}");
    let switch = |home: &mut Home, switch, on, minutes| {
        let operation = Operation::SwitchAuxiliaryLoad { switch, on, minutes };
        home.finished(DeviceKind::Esme, S1SP, &operation, None)
            .expect("a switch");
    };
    let start = home.now;
    let at = |home: &mut Home, minutes: u64, seconds: i64| {
        home.run_to(start + SimDuration::from_mins(minutes) + SimDuration::from_secs(seconds.unsigned_abs()));
        [1, 2].map(|switch| home.value(DeviceKind::Esme, DataItem::AuxiliaryLoadSwitch(switch)) == Value::Flag(true))
    };
    switch(&mut home, 1, true, 30);
    switch(&mut home, 2, true, 0);
    assert_eq!(at(&mut home, 30, delay - 1), [true, true]);
    assert_eq!(at(&mut home, 30, delay + 1), [false, true]);
    // A second act takes the place of the first, and what there was before both comes back.
    switch(&mut home, 2, false, 10);
    switch(&mut home, 2, false, 120);
    assert_eq!(at(&mut home, 150, 2 * delay - 1), [false, false]);
    // A restart in between changes nothing.
    let (octets, config) = (home.installation.durable(), home.config.clone());
    let restored = home.act(|_, context| Installation::restore(&config, context, &octets));
    home.installation = restored.expect("our own octets");
    assert_eq!(at(&mut home, 150, 2 * delay + 3), [false, true]);
    // Where the mains are away the time runs on, and the switch goes back with them.
    switch(&mut home, 1, true, 10);
    home.act(Installation::cut_power);
    home.run(SimDuration::from_hours(1));
    home.act(Installation::restore_power);
    let mains_back = home.now;
    assert_eq!(at(&mut home, 300, 0), [false, true]);
    let rows = home.log(DeviceKind::Esme, LogKind::AuxiliaryLoad, SimInstant(0), home.now);
    assert_eq!(rows.last().expect("switchings").at, mains_back);
}

#[test]
fn auxiliary_loads_are_switched_where_there_are_any() {
    let on = |switch, on| Operation::SwitchAuxiliaryLoad { switch, on, minutes: 0 };
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.supply.auxiliary_switches = 2;
    });
    for operation in [on(1, true), on(2, true), on(1, false)] {
        home.finished(DeviceKind::Esme, S1SP, &operation, None)
            .expect("a switch");
    }
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &on(3, true), None),
        Err(Refusal::NotSupported)
    );
    assert_eq!(
        home.value(DeviceKind::Esme, DataItem::AuxiliaryLoadSwitch(1)),
        Value::Flag(false)
    );
    assert_eq!(
        home.value(DeviceKind::Esme, DataItem::AuxiliaryLoadSwitch(2)),
        Value::Flag(true)
    );
    let rows = home.log(DeviceKind::Esme, LogKind::AuxiliaryLoad, SimInstant(0), home.now);
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.values[0].0, row.values[0].1.value))
        .collect();
    let switch = DataItem::AuxiliaryLoadSwitch;
    assert_eq!(seen, [(switch(1), 1), (switch(2), 1), (switch(1), 0)]);
    home.finished(
        DeviceKind::Esme,
        S1SP,
        &Operation::ClearLog(LogKind::AuxiliaryLoad),
        None,
    )
    .expect("a log that can be cleared");
    assert_eq!(
        home.log(DeviceKind::Esme, LogKind::AuxiliaryLoad, SimInstant(0), home.now),
        []
    );
    let security = Operation::ClearLog(LogKind::Security);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &security, None),
        Err(Refusal::NotSupported)
    );
}
