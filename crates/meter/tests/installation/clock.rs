//! Clocks of hub and meters.

use super::*;
use domain::Refusal;
use domain::operation::ClockStatus;

fn clock(home: &mut Home, slot: DeviceKind) -> (i64, ClockStatus) {
    let now = home.now;
    match home.value(slot, DataItem::Clock) {
        Value::Clock(time, status) => (time.0 - now.0, status),
        other => panic!("{other:?}"),
    }
}

fn synchronise(home: &mut Home, ahead_ms: i64, tolerance_s: u32) -> Outcome {
    let time = SimInstant(home.now.0 + ahead_ms);
    home.approved(&Operation::SynchroniseClock { time, tolerance_s })
}

#[test]
fn a_clock_beyond_the_tolerance_is_set_and_reported() {
    let mut home = Home::new("2019-03-31T00:50:00Z", config());
    assert_eq!(clock(&mut home, DeviceKind::Esme), (0, ClockStatus::Reliable));
    assert_eq!(synchronise(&mut home, 9_000, 10), Ok(Answer::Done));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (0, ClockStatus::Reliable));
    assert_eq!(synchronise(&mut home, 11_000, 10), Ok(Answer::Done));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (11_000, ClockStatus::Reliable));
    let set_to = home.now + SimDuration::from_secs(11);
    assert_eq!(home.alerts(), [(DeviceKind::Esme, 0x8145, set_to)]);
    assert_eq!(synchronise(&mut home, 0, 86_401), Err(Refusal::OutOfRange));
    // The clocks go forward in ten minutes: devices keep UTC, nothing moves.
    home.run(SimDuration::from_hours(1));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (11_000, ClockStatus::Reliable));
}

#[test]
fn profiles_decide_about_far_clocks() {
    let mut home = Home::with("2019-03-31T00:50:00Z", config(), |[_, esme, ..]| {
        esme.clock_rule = meter::ClockRule::SetWhenWithin;
    });
    assert_eq!(synchronise(&mut home, 11_000, 10), Err(Refusal::OutOfRange));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (0, ClockStatus::Unreliable));
    assert_eq!(synchronise(&mut home, 5_000, 10), Ok(Answer::Done));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (5_000, ClockStatus::Reliable));
    assert_eq!(home.codes(DeviceKind::Esme, LogKind::Event), [0x81C6, 0x8145]);
}

#[test]
fn every_device_drifts_in_its_own_way_and_the_hub_can_be_set() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |profiles| {
        for profile in profiles {
            profile.clock_drift_ppm_max = 100;
        }
    });
    home.run(SimDuration::from_days(20));
    let (hub, esme) = (
        clock(&mut home, DeviceKind::Chf).0,
        clock(&mut home, DeviceKind::Esme).0,
    );
    assert_ne!(hub, esme);
    assert_eq!(clock(&mut home, DeviceKind::Gpf).0, hub);
    assert!(hub.abs() <= 172_800 && esme.abs() <= 172_800);
    let operation = Operation::SynchroniseClock {
        time: home.now,
        tolerance_s: 0,
    };
    // By the hub's clock, which is minutes off, a short approval might have expired before it was made.
    let approval = home.approval_for(DeviceKind::Chf, &operation, SimDuration::from_mins(30));
    assert_eq!(
        home.finished(DeviceKind::Chf, S1SP, &operation, Some(&approval)),
        Ok(Answer::Done)
    );
    assert_eq!(clock(&mut home, DeviceKind::Chf).0, 0);
}

#[test]
fn an_approval_expires_by_the_clock_of_the_device() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    synchronise(&mut home, 3_600_000, 1).expect("set an hour ahead");
    let outcome = home.approved(&Operation::DisableSupply);
    assert_eq!(outcome, Err(Refusal::Approval(domain::operation::ApprovalFault::Stale)));
}

#[test]
fn a_long_outage_may_cost_a_device_its_time() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.clock_survives_outage = Some(SimDuration::from_hours(1));
    });
    home.act(Installation::cut_power);
    home.run(SimDuration::from_hours(2));
    home.act(Installation::restore_power);
    assert_eq!(clock(&mut home, DeviceKind::Esme), (-7_200_000, ClockStatus::Invalid));
    assert_eq!(clock(&mut home, DeviceKind::Chf), (0, ClockStatus::Reliable));
    assert_eq!(synchronise(&mut home, 0, 0), Ok(Answer::Done));
    assert_eq!(clock(&mut home, DeviceKind::Esme), (0, ClockStatus::Reliable));
}
