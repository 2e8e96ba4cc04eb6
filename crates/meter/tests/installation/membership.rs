//! Who belongs to the HAN: the hub's device log, joins, and what survives.

use domain::operation::{HanEntry, Octets};
use domain::{DeviceKind, Refusal};

use super::*;

const PPMID: Eui64 = Eui64(0xB1);
const IHD: Eui64 = Eui64(0xB2);

fn entry(device: Eui64, kind: Option<DeviceKind>) -> Operation {
    Operation::AddToHan(Box::new(HanEntry {
        device,
        kind,
        install_code: Octets(vec![1; 8]),
        join_within_s: 600,
    }))
}

fn log(home: &mut Home, slot: DeviceKind) -> Vec<Eui64> {
    match home.value(slot, DataItem::DeviceLog) {
        Value::Devices(devices) => devices.into_iter().map(|known| known.device).collect(),
        other => panic!("{other:?}"),
    }
}

fn ask(home: &mut Home, slot: DeviceKind, operation: &Operation) -> Outcome {
    home.finished(slot, S1SP, operation, None)
}

#[test]
fn a_guest_is_let_in_joins_leaves_and_is_put_out() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[chf, ..]| chf.device_log_entries = 5);
    assert_eq!(log(&mut home, DeviceKind::Chf).len(), 3);
    assert_eq!(
        ask(&mut home, DeviceKind::Esme, &Operation::Join(PPMID)),
        Err(Refusal::WrongState),
        "not in the log"
    );
    for _ in 0..2 {
        assert_eq!(ask(&mut home, DeviceKind::Chf, &entry(PPMID, None)), Ok(Answer::Done));
    }
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &entry(IHD, Some(DeviceKind::Ihd))),
        Ok(Answer::Done)
    );
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &entry(Eui64(0xB3), None)),
        Err(Refusal::OutOfRange),
        "full"
    );
    assert_eq!(log(&mut home, DeviceKind::Chf).len(), 5);
    assert_eq!(
        ask(&mut home, DeviceKind::Esme, &Operation::Join(IHD)),
        Err(Refusal::OutOfRange),
        "it only listens"
    );
    for _ in 0..2 {
        assert_eq!(
            ask(&mut home, DeviceKind::Esme, &Operation::Join(PPMID)),
            Ok(Answer::Done)
        );
        assert_eq!(
            ask(&mut home, DeviceKind::Esme, &Operation::JoinListener(IHD)),
            Ok(Answer::Done)
        );
    }
    assert_eq!(log(&mut home, DeviceKind::Esme), [Eui64(0xC0), PPMID, IHD]);

    let octets = home.installation.durable();
    let config = home.config.clone();
    let again = home.act(|_, context| Installation::restore(&config, context, &octets));
    assert_eq!(again.expect("restores"), home.installation);

    assert_eq!(
        ask(&mut home, DeviceKind::Esme, &Operation::Unjoin(PPMID)),
        Ok(Answer::Done)
    );
    assert_eq!(
        ask(&mut home, DeviceKind::Esme, &Operation::Unjoin(PPMID)),
        Err(Refusal::WrongState)
    );
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &Operation::RemoveFromHan(IHD)),
        Ok(Answer::Done)
    );
    assert_eq!(log(&mut home, DeviceKind::Esme), [Eui64(0xC0)], "its join went with it");
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &Operation::RemoveFromHan(IHD)),
        Err(Refusal::WrongState)
    );
    assert_eq!(
        ask(&mut home, DeviceKind::Esme, &entry(IHD, None)),
        Err(Refusal::NotSupported),
        "only the hub"
    );
}

#[test]
fn a_meter_that_was_put_out_is_out_of_reach_until_it_is_let_in_again() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let read = Operation::Read(DataItem::ActiveImport);
    for (slot, id) in [(DeviceKind::Esme, Eui64(0xE0)), (DeviceKind::Gsme, Eui64(0x60))] {
        assert_eq!(
            ask(&mut home, DeviceKind::Chf, &Operation::RemoveFromHan(id)),
            Ok(Answer::Done)
        );
        assert!(!log(&mut home, DeviceKind::Chf).contains(&id));
        assert_eq!(ask(&mut home, slot, &read), Err(Refusal::Unreachable));
        assert_eq!(ask(&mut home, DeviceKind::Chf, &entry(id, None)), Ok(Answer::Done));
        assert!(home.execute(slot, S1SP, &read, None) != Execution::Finished(Err(Refusal::Unreachable)));
    }
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &Operation::RemoveFromHan(Eui64(0xE0))),
        Ok(Answer::Done)
    );
    let own = Operation::RestoreDeviceLog(Eui64(0xC0));
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &own),
        Err(Refusal::OutOfRange),
        "itself was not here before"
    );
    assert_eq!(
        ask(&mut home, DeviceKind::Chf, &Operation::RestoreDeviceLog(Eui64(0xC1))),
        Ok(Answer::Done)
    );
    assert!(log(&mut home, DeviceKind::Chf).contains(&Eui64(0xE0)));
}

#[test]
fn a_gas_meter_joins_when_it_wakes() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    assert_eq!(ask(&mut home, DeviceKind::Chf, &entry(PPMID, None)), Ok(Answer::Done));
    let Execution::Queued(ticket) = home.execute(DeviceKind::Gsme, S1SP, &Operation::Join(PPMID), None) else {
        panic!("it sleeps");
    };
    assert_eq!(home.late_result(ticket).1, Ok(Answer::Done));
    let Execution::Queued(ticket) = home.execute(DeviceKind::Gsme, S1SP, &Operation::Unjoin(IHD), None) else {
        panic!("it sleeps");
    };
    assert_eq!(home.late_result(ticket).1, Err(Refusal::WrongState));
}
