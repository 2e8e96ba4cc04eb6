//! What some firmware does beyond the plain device.

use super::*;
use std::sync::Arc;

use domain::{Refusal, SupplyState};
use meter::{Midnight, Relay, Tariff};

fn esme(now: &str, change: impl FnOnce(&mut Profile)) -> Home {
    let mut config = config();
    config.tariff = Arc::new(Tariff::night_rate());
    Home::with(now, config, |[_, esme, _, _]| change(esme))
}

/// Codes of the alerts waiting.
fn told(home: &mut Home) -> Vec<u16> {
    let codes = home.effects().into_iter().filter_map(|effect| match effect {
        Effect::Alert { code, .. } => Some(code),
        Effect::LateResult { .. } => None,
    });
    codes.collect()
}

/// Rates together are the main register, whatever switches them.
fn rates_add_up(home: &mut Home) {
    let rates: i64 = (1..=48)
        .map(|n| home.number(DeviceKind::Esme, DataItem::TouRegister(n)))
        .sum();
    assert_eq!(rates, home.number(DeviceKind::Esme, DataItem::ActiveImport));
}

#[test]
fn rates_by_standard_time_differ_in_summer_only() {
    let night = |home: &mut Home| home.number(DeviceKind::Esme, DataItem::TouRegister(2));
    // Over the last hour of the night rate by local time in summer: by standard time it goes on for another.
    let rise = |standard: bool, now: &str| {
        let mut home = esme(now, |profile| {
            if standard {
                profile.clock.tariff = Midnight::Standard;
            }
        });
        rates_add_up(&mut home);
        let before = night(&mut home);
        home.run(SimDuration::from_mins(60));
        night(&mut home) - before
    };
    assert_eq!(rise(false, "2019-07-01T06:30:00Z"), 0);
    assert!(rise(true, "2019-07-01T06:30:00Z") > 0);
    assert_eq!(rise(true, "2019-01-07T07:30:00Z"), 0);
}

#[test]
fn an_invalid_clock_stops_the_rest_until_it_is_set() {
    let mut home = esme("2019-03-20T06:00:00Z", |profile| {
        profile.clock.invalid_freezes = true;
        profile.clock_survives_outage = Some(SimDuration::from_hours(1));
    });
    home.act(Installation::cut_power);
    home.run(SimDuration::from_hours(3));
    home.act(Installation::restore_power);
    let restored = home.now + SimDuration::from_millis(1);
    let day = home.number(DeviceKind::Esme, DataItem::TouRegister(1));
    home.run(SimDuration::from_hours(20));
    // Mains failed at night: that rate has stayed.
    assert_eq!(home.number(DeviceKind::Esme, DataItem::TouRegister(1)), day);
    rates_add_up(&mut home);
    let to = home.now;
    assert_eq!(home.log(DeviceKind::Esme, LogKind::ActiveImport, restored, to), []);
    assert_eq!(home.log(DeviceKind::Esme, LogKind::DailyRead, restored, to), []);

    let time = home.now;
    home.approved(&Operation::SynchroniseClock { time, tolerance_s: 10 })
        .expect("a clock that is lost takes any time");
    home.run(SimDuration::from_hours(4));
    assert!(home.number(DeviceKind::Esme, DataItem::TouRegister(1)) > day);
    rates_add_up(&mut home);
    let to = home.now;
    assert!(home.log(DeviceKind::Esme, LogKind::ActiveImport, restored, to).len() >= 7);
}

#[test]
fn a_hub_that_sets_the_clock_finds_it_again() {
    let mut home = esme("2019-03-20T06:00:00Z", |profile| {
        profile.clock_survives_outage = Some(SimDuration::from_hours(1));
        profile.clock.hub_sync = SimDuration::from_days(1);
        profile.clock.hub_sync_event = Some(0x81F0);
    });
    home.act(Installation::cut_power);
    home.run(SimDuration::from_hours(3));
    home.act(Installation::restore_power);
    let lost = home.value(DeviceKind::Esme, DataItem::Clock);
    assert!(
        matches!(lost, Value::Clock(at, domain::operation::ClockStatus::Invalid) if at < home.now),
        "{lost:?}"
    );
    home.run(SimDuration::from_hours(25));
    let found = home.value(DeviceKind::Esme, DataItem::Clock);
    assert_eq!(found, Value::Clock(home.now, domain::operation::ClockStatus::Reliable));
    assert!(home.codes(DeviceKind::Esme, LogKind::Event).contains(&0x81F0));
}

#[test]
fn the_switch_says_why_it_is_open() {
    let mut home = esme("2019-03-20T06:00:00Z", |profile| {
        profile.supply.logs_causes = true;
        profile.supply.tamper_opens = true;
        profile.supply.confirm_within = Some(SimDuration::from_secs(30));
    });
    let reason = |home: &mut Home| home.value(DeviceKind::Esme, DataItem::SwitchReason);
    let press = |home: &mut Home| home.act(|home, context| home.press_restore_supply(context, DeviceKind::Esme));
    assert_eq!(reason(&mut home), Value::Text("00".into()));
    home.approved(&Operation::DisableSupply).unwrap();
    assert_eq!(reason(&mut home), Value::Text("01".into()));
    home.act(|home, context| home.tamper(context, DeviceKind::Esme))
        .unwrap();
    assert_eq!(reason(&mut home), Value::Text("09".into()));
    home.approved(&Operation::ArmSupply).unwrap();
    assert_eq!(
        reason(&mut home),
        Value::Text("09".into()),
        "armed, for the same reasons"
    );

    press(&mut home).unwrap();
    home.run(SimDuration::from_secs(40));
    press(&mut home).unwrap();
    assert_eq!(
        home.installation.supply(DeviceKind::Esme),
        Some(SupplyState::Armed),
        "too late"
    );
    home.run(SimDuration::from_secs(20));
    press(&mut home).unwrap();
    assert_eq!(home.installation.supply(DeviceKind::Esme), Some(SupplyState::Enabled));
    assert_eq!(reason(&mut home), Value::Text("00".into()));
    let codes = home.codes(DeviceKind::Esme, LogKind::Event);
    let causes: Vec<u16> = codes.into_iter().filter(|code| code >> 8 == 0x82).collect();
    assert_eq!(causes, [0x82C1, 0x82C9, 0x82C9, 0x82C0]);
}

#[test]
fn a_valve_looks_at_the_flow_and_a_jammed_one_says_so() {
    let mut home = Home::with("2019-01-20T18:00:00Z", config(), |[_, _, _, gsme]| {
        gsme.supply.reopen_flow_limit = Some(30);
        gsme.supply.valve_fault_after = Some(SimDuration::from_secs(180));
        gsme.wake_period = SimDuration::from_mins(5);
    });
    let act = |home: &mut Home, operation| {
        let approval = home.approval_for(DeviceKind::Gsme, &operation, SimDuration::from_hours(1));
        home.execute(DeviceKind::Gsme, S1SP, &operation, Some(&approval));
        home.run(SimDuration::from_mins(12));
    };
    act(&mut home, Operation::DisableSupply);
    act(&mut home, Operation::ArmSupply);
    home.act(|home, context| home.press_restore_supply(context, DeviceKind::Gsme))
        .unwrap();
    let state = |home: &Home| home.installation.supply(DeviceKind::Gsme);
    assert_eq!(state(&home), Some(SupplyState::Armed), "the heating was on");

    home.installation.jam_valve(true).unwrap();
    home.effects();
    act(&mut home, Operation::DisableSupply);
    assert_eq!(state(&home), Some(SupplyState::Armed));
    home.run(SimDuration::from_mins(10));
    // The flow was told of at the wake after it, and that the valve is armed again.
    assert_eq!(told(&mut home), [0x81F6, 0x8F32, 0x81F7]);
}

#[test]
fn a_hub_hands_on_what_it_does_and_tells_who_is_silent() {
    let mut home = Home::with("2019-03-20T06:00:00Z", config(), |[chf, _, _, gsme]| {
        chf.han.relays = [Relay::Clock].into();
        chf.han.reports_connection = true;
        gsme.han_loss_permille = 1000;
    });
    let refused = home.execute(DeviceKind::Gsme, S1SP, &Operation::ArmSupply, None);
    assert_eq!(refused, Execution::Finished(Err(Refusal::NotSupported)));
    let time = home.now;
    let clock = Operation::SynchroniseClock { time, tolerance_s: 10 };
    assert!(matches!(
        home.execute(DeviceKind::Gsme, S1SP, &clock, None),
        Execution::Queued(_)
    ));

    home.run(SimDuration::from_hours(4));
    assert_eq!(told(&mut home), [0x81F4]);
    home.gsme.han_loss_permille = 0;
    home.run(SimDuration::from_hours(1));
    assert!(told(&mut home).contains(&0x81F5));
}

#[test]
fn a_device_can_need_a_moment() {
    let mut home = esme("2019-03-20T06:00:00Z", |profile| {
        profile.timing.boot = SimDuration::from_secs(30);
        profile.timing.busy_after_write = SimDuration::from_secs(5);
        profile.supply.cut_resets_hub = true;
        profile.alerts.doubled = [0x8F32].into();
        profile.alerts.renamed = vec![(0x8F32, 0x81F2)];
        profile.alerts.added = [0x8F57].into();
    });
    let read = Operation::Read(DataItem::ActiveImport);
    let ask = |home: &mut Home| home.finished(DeviceKind::Esme, S1SP, &read, None).map(|_| ());
    home.act(Installation::cut_power);
    home.run(SimDuration::from_mins(1));
    home.act(Installation::restore_power);
    assert_eq!(ask(&mut home), Err(Refusal::Unreachable));
    home.run(SimDuration::from_secs(30));
    assert_eq!(ask(&mut home), Ok(()));

    assert!(!home.installation.take_hub_restart());
    home.approved(&Operation::DisableSupply).unwrap();
    assert!(home.installation.take_hub_restart() && !home.installation.take_hub_restart());
    assert_eq!(ask(&mut home), Err(Refusal::Busy));
    home.run(SimDuration::from_secs(5));
    home.approved(&Operation::ArmSupply).unwrap();
    assert_eq!(told(&mut home), [0x8F57, 0x8F35, 0x81F2, 0x81F2]);

    let octets = home.installation.durable();
    let config = home.config.clone();
    let again = home
        .act(|_, context| Installation::restore(&config, context, &octets))
        .unwrap();
    assert_eq!(again, home.installation);
}

#[test]
fn a_device_without_dual_control_cannot_be_given_to_the_s1sp() {
    let mut config = config();
    config.enrolled = false;
    let mut home = Home::with("2019-03-20T06:00:00Z", config, |[_, esme, _, _]| {
        esme.dual_control = false
    });
    let smso = Access {
        association: Association::Critical,
        party: Some(Party::Smso),
    };
    let stage = Operation::StageKeys {
        party: Party::S1sp,
        epoch: 2,
    };
    assert_eq!(
        home.finished(DeviceKind::Esme, smso, &stage, None),
        Err(Refusal::NotSupported)
    );
    assert_eq!(home.finished(DeviceKind::Chf, smso, &stage, None), Ok(Answer::Done));
}
