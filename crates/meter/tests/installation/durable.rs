//! What survives a restart.

use super::*;
use domain::SecurityEvent;
use domain::operation::PaymentMode;
use meter::{AccountSettings, RestoreError};
use proptest::prelude::*;

/// A home with something of everything in it.
fn busy() -> Home {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        balance_mp: 90_000,
        ..AccountSettings::default()
    };
    let mut home = Home::with("2019-05-02T08:00:00Z", config, |[_, _, gpf, gsme]| {
        gpf.mirror_lag = SimDuration::from_mins(20);
        gsme.result_delay_wakes = 2;
    });
    home.installation
        .accept_counter(DeviceKind::Esme, Association::Management, [7; 8], 40)
        .expect("first");
    home.installation.next_counter(DeviceKind::Esme, Association::Critical);
    home.installation.challenge();
    home.act(|installation, context| installation.security_event(context, DeviceKind::Chf, SecurityEvent::Replay));
    home.run(SimDuration::from_days(2));
    home.effects();
    home.act(|installation, context| installation.top_up(context, DeviceKind::Esme, 5_000))
        .expect("prepayment");
    home.act(Installation::cut_power);
    home.run(SimDuration::from_mins(9));
    home.act(Installation::restore_power);
    home.effects();
    let log = Operation::ReadLog {
        log: LogKind::ActiveImport,
        from: at("2019-05-02T09:00:00Z"),
        to: home.now,
    };
    for operation in [
        log,
        Operation::Read(DataItem::Clock),
        Operation::Read(DataItem::FirmwareVersion),
        Operation::EnableSupply,
    ] {
        home.execute(DeviceKind::Gsme, S1SP, &operation, None);
    }
    home.run(SimDuration::from_mins(45));
    let disable = Operation::DisableSupply;
    let approval = home.approval_for(DeviceKind::Gsme, &disable, SimDuration::from_hours(1));
    home.execute(DeviceKind::Gsme, S1SP, &disable, Some(&approval));
    let time = SimInstant(i64::MAX);
    home.execute(
        DeviceKind::Gsme,
        S1SP,
        &Operation::SynchroniseClock { time, tolerance_s: 3 },
        None,
    );
    home
}

fn restore(home: &mut Home, octets: &[u8]) -> Result<Installation, RestoreError> {
    let config = home.config.clone();
    home.act(|_, context| Installation::restore(&config, context, octets))
}

#[test]
fn a_restart_changes_nothing() {
    let mut home = busy();
    let octets = home.installation.durable();
    let restored = restore(&mut home, &octets).expect("our own octets");
    assert_eq!(restored, home.installation);
    let mut twin = busy();
    twin.installation = restored;
    for home in [&mut home, &mut twin] {
        home.run(SimDuration::from_hours(4));
    }
    assert_eq!(home.effects(), twin.effects());
    assert_eq!(home.installation, twin.installation);
}

#[test]
fn what_was_missed_meanwhile_is_due_at_once() {
    let mut home = busy();
    let octets = home.installation.durable();
    home.now += SimDuration::from_hours(7);
    home.installation = restore(&mut home, &octets).expect("our own octets");
    assert!(home.installation.next_wake() <= home.now);
    home.act(|installation, context| installation.wake(context));
    assert!(home.installation.next_wake() > home.now);
    assert!(
        home.effects()
            .iter()
            .any(|effect| matches!(effect, Effect::LateResult { .. }))
    );
}

#[test]
fn a_quiet_home_needs_few_octets() {
    let home = Home::new("2019-05-02T08:00:00Z", config());
    let octets = home.installation.durable();
    assert!(octets.len() < 300, "{} octets", octets.len());
}

#[test]
fn what_is_damaged_is_refused() {
    let mut home = busy();
    let octets = home.installation.durable();
    for len in 0..octets.len() {
        assert!(restore(&mut home, &octets[..len]).is_err(), "{len} of {}", octets.len());
    }
    let mut longer = octets.clone();
    longer.push(0);
    assert_eq!(restore(&mut home, &longer), Err(RestoreError::Damaged(octets.len())));
    let mut newer = octets;
    newer[0] = 99;
    assert_eq!(restore(&mut home, &newer), Err(RestoreError::Version(99)));
}

proptest! {
    #[test]
    fn nothing_on_disk_can_panic(at in 1usize..400, octet: u8, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut home = busy();
        let mut octets = home.installation.durable();
        if let Some(place) = octets.get_mut(at) {
            *place = octet;
        }
        let _ = restore(&mut home, &octets);
        let _ = restore(&mut home, &noise);
    }
}
