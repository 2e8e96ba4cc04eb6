//! Security and event logs, alerts and identities.

use super::*;
use domain::SecurityEvent;

fn report(home: &mut Home, event: SecurityEvent) {
    home.act(|installation, context| installation.security_event(context, DeviceKind::Esme, event));
}

#[test]
fn a_failed_authentication_is_logged_each_time_and_reported_now_and_then() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    for _ in 0..5 {
        report(&mut home, SecurityEvent::AuthenticationFailed);
        home.run(SimDuration::from_secs(20));
    }
    assert_eq!(home.codes(DeviceKind::Esme, LogKind::Security), [0x8F3D; 5]);
    let start = at("2019-05-02T08:00:00Z");
    let minute = start + SimDuration::from_mins(1);
    assert_eq!(
        home.alerts(),
        [(DeviceKind::Esme, 0x8F3D, start), (DeviceKind::Esme, 0x8F3D, minute)]
    );
    assert_eq!(home.codes(DeviceKind::Chf, LogKind::Security), [0_u16; 0]);
}

#[test]
fn every_kind_of_misuse_has_its_code() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    for event in [
        SecurityEvent::MalformedMessage,
        SecurityEvent::OversizedMessage,
        SecurityEvent::Replay,
    ] {
        report(&mut home, event);
    }
    assert_eq!(
        home.codes(DeviceKind::Esme, LogKind::Security),
        [0x8F1E, 0x8F1E, 0x8F60]
    );
}

#[test]
fn logs_are_bounded_and_profiles_may_keep_silent() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.suppressed_alerts.insert(0x8F3D);
        esme.unlogged_events.insert(0x8F60);
    });
    for _ in 0..150 {
        report(&mut home, SecurityEvent::AuthenticationFailed);
        report(&mut home, SecurityEvent::Replay);
        home.run(SimDuration::from_secs(1));
    }
    let rows = home.log(DeviceKind::Esme, LogKind::Security, SimInstant(0), SimInstant(i64::MAX));
    assert_eq!(rows.len(), 100);
    assert_eq!(rows[0].at, at("2019-05-02T08:00:50Z"));
    assert!(home.alerts().iter().all(|alert| alert.1 == 0x8F60));
    let some = home.log(
        DeviceKind::Esme,
        LogKind::Security,
        at("2019-05-02T08:01:00Z"),
        at("2019-05-02T08:01:02Z"),
    );
    assert_eq!(some.len(), 3);
}

#[test]
fn effects_nobody_takes_are_bounded() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.security_alert_gap = SimDuration::ZERO;
    });
    for _ in 0..meter::EFFECTS_MAX + 9 {
        report(&mut home, SecurityEvent::Replay);
        home.run(SimDuration::from_secs(1));
    }
    let alerts = home.alerts();
    assert_eq!(alerts.len(), meter::EFFECTS_MAX);
    assert_eq!(alerts[0].2, at("2019-05-02T08:00:09Z"));
}

#[test]
fn a_new_billing_period_is_reported_by_both_meters() {
    let mut home = Home::new("2019-04-29T08:00:00Z", config());
    home.run(SimDuration::from_days(4));
    let midnight = at("2019-04-30T23:00:00Z");
    assert_eq!(
        home.alerts(),
        [
            (DeviceKind::Esme, 0x8F0A, midnight),
            (DeviceKind::Gsme, 0x8F0A, midnight)
        ]
    );
}

#[test]
fn devices_say_who_they_are_and_whom_they_know() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[chf, esme, ..]| {
        chf.firmware = "LAB-0C01".into();
        esme.firmware = "LAB-0E01".into();
    });
    assert_eq!(
        home.value(DeviceKind::Chf, DataItem::FirmwareVersion),
        Value::Text("LAB-0C01".into())
    );
    assert_eq!(
        home.value(DeviceKind::Esme, DataItem::FirmwareVersion),
        Value::Text("LAB-0E01".into())
    );
    let known = |home: &mut Home, slot| match home.value(slot, DataItem::DeviceLog) {
        Value::Devices(devices) => devices.iter().map(|device| device.device.0).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(known(&mut home, DeviceKind::Chf), [0xE0, 0xF0, 0x60]);
    assert_eq!(known(&mut home, DeviceKind::Gpf), [0xC0, 0x60]);
    assert_eq!(known(&mut home, DeviceKind::Esme), [0xC0]);
    let mut without_gas = config();
    without_gas.gas = None;
    let mut home = Home::new("2019-05-02T08:00:00Z", without_gas);
    assert_eq!(known(&mut home, DeviceKind::Chf), [0xE0]);
    assert_eq!(home.installation.device(DeviceKind::Gsme), None);
    home.run(SimDuration::from_days(3));
    assert_eq!(home.installation.next_wake(), at("2019-05-05T23:00:00Z"));
}
