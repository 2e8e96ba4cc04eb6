//! Supply of both fuels: remote commands, the consumer's act, mains.

use super::*;
use domain::{Refusal, SupplyState};

fn supply(home: &mut Home) -> SupplyState {
    match home.value(DeviceKind::Esme, DataItem::SupplyState) {
        Value::Supply(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn off_armed_and_restored_by_the_consumer() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let press = |home: &mut Home| {
        home.act(|installation, context| installation.press_restore_supply(context, DeviceKind::Esme))
    };
    assert_eq!(press(&mut home), Err(Refusal::WrongState));
    assert_eq!(home.approved(&Operation::DisableSupply), Ok(Answer::Done));
    assert_eq!(press(&mut home), Err(Refusal::WrongState));
    home.run(SimDuration::from_hours(2));
    assert_eq!(home.approved(&Operation::ArmSupply), Ok(Answer::Done));
    assert_eq!(supply(&mut home), SupplyState::Armed);
    home.run(SimDuration::from_hours(2));
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        at("2019-05-02T08:00:01Z"),
        home.now,
    );
    assert_eq!((rows.len(), sum(&rows)), (8, 0));
    assert_eq!(press(&mut home), Ok(()));
    assert_eq!(supply(&mut home), SupplyState::Enabled);
    home.run(SimDuration::from_hours(1));
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        at("2019-05-02T08:00:01Z"),
        home.now,
    );
    assert!(sum(&rows) > 0);
    assert_eq!(home.alerts().iter().map(|alert| alert.1).collect::<Vec<_>>(), [0x8F32]);
}

#[test]
fn enabling_may_only_arm() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.enable_means_arm = true
    });
    assert_eq!(home.approved(&Operation::EnableSupply), Ok(Answer::Done));
    assert_eq!(supply(&mut home), SupplyState::Enabled);
    home.approved(&Operation::DisableSupply).expect("approved");
    assert_eq!(home.approved(&Operation::EnableSupply), Ok(Answer::Done));
    assert_eq!(supply(&mut home), SupplyState::Armed);
}

#[test]
fn gas_is_never_opened_from_afar() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let approval = home.approval(DeviceKind::Gsme, &Operation::EnableSupply);
    for slot in [DeviceKind::Gsme, DeviceKind::Gpf, DeviceKind::Chf] {
        let outcome = home.finished(slot, S1SP, &Operation::EnableSupply, Some(&approval));
        assert_eq!(outcome, Err(Refusal::NotSupported), "{slot}");
    }
}

#[test]
fn nothing_answers_without_mains_and_nothing_is_counted() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    home.act(Installation::cut_power);
    home.act(Installation::cut_power);
    let read = Operation::Read(DataItem::ActiveImport);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &read, None),
        Err(Refusal::Unreachable)
    );
    assert_eq!(
        home.finished(DeviceKind::Gsme, S1SP, &read, None),
        Err(Refusal::Unreachable)
    );
    assert!(!home.installation.powered());
    home.run(SimDuration::from_hours(3));
    home.act(Installation::restore_power);
    home.act(Installation::restore_power);
    let rows = home.log(
        DeviceKind::Esme,
        LogKind::ActiveImport,
        at("2019-05-02T08:00:01Z"),
        home.now,
    );
    assert_eq!((rows.len(), sum(&rows)), (6, 0));
    home.run(SimDuration::from_mins(60));
    home.act(Installation::cut_power);
    home.run(SimDuration::from_mins(2));
    home.act(Installation::restore_power);
    assert_eq!(
        home.alerts().iter().map(|alert| alert.1).collect::<Vec<_>>(),
        [0x8F36, 0x8F35]
    );
    assert_eq!(
        home.codes(DeviceKind::Esme, LogKind::PowerEvent),
        [0x8F57, 0x8F36, 0x8F57, 0x8F35]
    );
    assert_eq!(home.codes(DeviceKind::Esme, LogKind::Event), [0_u16; 0]);
    home.esme.logs.split_event_logs = true;
    assert_eq!(
        home.codes(DeviceKind::Esme, LogKind::Event),
        [0x8F57, 0x8F36, 0x8F57, 0x8F35]
    );
}
