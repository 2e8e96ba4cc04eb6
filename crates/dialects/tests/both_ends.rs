//! Head end and meter talking to each other through nothing but octets.

use dialects::{FaceError, FaceProfile, HeadEndEvent, MeterSession, Notification, TimeForm};
use domain::keys::RelationSecret;
use domain::operation::{ApprovalFault, ClockStatus, PaymentMode};
use domain::{
    Answer, Association, DataItem, DeviceKind, LogKind, LogRow, Operation, Outcome, Quantity, Refusal, SecurityEvent,
    SimDuration, SimInstant, SupplyState, Unit, Value,
};
use proptest::prelude::*;
use support::line::{Line, one};
use support::{Custody, ESME, GSME, HUB, Toy};

mod support;

fn line() -> Line {
    Line::new(&FaceProfile::default())
}

fn quantity(value: i64, unit: Unit) -> Outcome {
    Ok(Answer::Value(Value::Quantity(Quantity::new(value, unit))))
}

#[test]
fn every_shape_of_value_comes_through() {
    let mut line = line();
    let now = line.toy.now;
    let checks = [
        (
            DeviceKind::Esme,
            DataItem::ActiveImport,
            quantity(1_234_567, Unit::WattHour),
        ),
        (
            DeviceKind::Esme,
            DataItem::TouRegister(48),
            quantity(48_000, Unit::WattHour),
        ),
        (
            DeviceKind::Esme,
            DataItem::MeterBalance,
            quantity(-42_000, Unit::MilliPence),
        ),
        (
            DeviceKind::Esme,
            DataItem::DisablementThreshold,
            quantity(5, Unit::MilliPence),
        ),
        (
            DeviceKind::Esme,
            DataItem::Clock,
            Ok(Answer::Value(Value::Clock(now, ClockStatus::Reliable))),
        ),
        (
            DeviceKind::Esme,
            DataItem::SuspendDebtDisabled,
            Ok(Answer::Value(Value::Flag(true))),
        ),
        (
            DeviceKind::Esme,
            DataItem::SupplyState,
            Ok(Answer::Value(Value::Supply(SupplyState::Enabled))),
        ),
        (
            DeviceKind::Esme,
            DataItem::PaymentMode,
            Ok(Answer::Value(Value::PaymentMode(PaymentMode::Prepayment))),
        ),
        (DeviceKind::Gpf, DataItem::GasConsumption, quantity(98_765, Unit::Litre)),
        (
            DeviceKind::Chf,
            DataItem::FirmwareVersion,
            Ok(Answer::Value(Value::Text("LAB-0001".into()))),
        ),
        (DeviceKind::Esme, DataItem::ReactiveImport, Err(Refusal::NotSupported)),
    ];
    for (slot, item, expected) in checks {
        assert_eq!(line.read(slot, item), expected, "{slot} {item:?}");
    }
    let devices = line.read(DeviceKind::Chf, DataItem::DeviceLog);
    let Ok(Answer::Value(Value::Devices(devices))) = devices else {
        panic!("{devices:?}")
    };
    assert_eq!(
        devices.iter().map(|known| known.device).collect::<Vec<_>>(),
        [ESME, GSME]
    );
    assert_eq!(devices[0].last_heard, Some(now));
    assert_eq!(line.toy.events, []);
}

#[test]
fn every_association_reads_the_clock_however_the_octets_are_cut() {
    for association in [
        Association::Public,
        Association::Reader,
        Association::Management,
        Association::Critical,
    ] {
        for piece in [1, 7, 64, usize::MAX] {
            let mut line = line();
            line.piece = piece;
            let clock = line.outcome(DeviceKind::Esme, association, &Operation::Read(DataItem::Clock));
            let expected = Value::Clock(line.toy.now, ClockStatus::Reliable);
            assert_eq!(
                clock,
                Ok(Answer::Value(expected)),
                "{association:?} in pieces of {piece}"
            );
        }
    }
    let mut line = line();
    let register = Operation::Read(DataItem::ActiveImport);
    assert_eq!(
        line.outcome(DeviceKind::Esme, Association::Public, &register),
        Err(Refusal::NotPermitted)
    );
}

#[test]
fn thirteen_months_arrive_without_being_held_at_once() {
    for face in [
        FaceProfile::default(),
        FaceProfile {
            pdu_max: 128,
            time_form: TimeForm::Utc,
            ..FaceProfile::default()
        },
    ] {
        let mut line = Line::new(&face);
        let all = Operation::ReadLog {
            log: LogKind::ActiveImport,
            from: SimInstant(0),
            to: line.toy.now,
        };
        let log = line.outcome(DeviceKind::Esme, Association::Management, &all);
        let Ok(Answer::Log(rows)) = log else { panic!("{log:?}") };
        assert_eq!(rows.len(), 397 * 48 + 1);
        assert!(
            rows.windows(2)
                .all(|pair| pair[1].at.since(pair[0].at) == domain::time::HALF_HOUR)
        );
        assert_eq!(rows[0].at, line.toy.first_row());
        assert!(line.toy.most_rows <= 336, "{} rows at once", line.toy.most_rows);
    }
}

#[test]
fn a_range_has_exactly_its_rows() {
    let mut line = line();
    let noon: SimInstant = "2019-03-31T00:00:00Z".parse().expect("an instant");
    for (from, to, count) in [
        (noon, noon, 1),
        (noon, noon + SimDuration::from_hours(24), 49),
        (noon + SimDuration(1), noon + SimDuration::from_hours(1), 2),
        (noon, noon + SimDuration::from_hours(1) - SimDuration(1), 2),
        (noon, noon - SimDuration(1), 0),
        (
            line.toy.now + SimDuration(1),
            line.toy.now + SimDuration::from_days(9),
            0,
        ),
    ] {
        let read = Operation::ReadLog {
            log: LogKind::ActiveImport,
            from,
            to,
        };
        let log = line.outcome(DeviceKind::Esme, Association::Reader, &read);
        let Ok(Answer::Log(rows)) = log else { panic!("{log:?}") };
        assert_eq!(rows.len(), count, "{from} to {to}");
        assert!(rows.iter().all(|row| from <= row.at && row.at <= to));
    }
}

#[test]
fn logs_whose_columns_the_rows_decide_and_event_logs() {
    let mut line = line();
    let from = line.toy.now - SimDuration::from_days(3);
    let mut read = |log| {
        let operation = Operation::ReadLog {
            log,
            from,
            to: line.toy.now,
        };
        match line.outcome(DeviceKind::Esme, Association::Management, &operation) {
            Ok(Answer::Log(rows)) => rows,
            other => panic!("{other:?}"),
        }
    };
    let daily: Vec<LogRow> = read(LogKind::DailyRead);
    assert_eq!(daily.len(), 4);
    let value = Quantity::new(28, Unit::WattHour);
    assert_eq!(
        daily[0].values,
        [(DataItem::ActiveImport, value), (DataItem::TouRegister(1), value)]
    );
    let events = read(LogKind::Security);
    assert_eq!(events.first().and_then(|row| row.code), Some(0x8F00));
    assert_eq!(events.len(), 7);
    assert_eq!(
        line.read(DeviceKind::Chf, DataItem::MeterBalance),
        Err(Refusal::NotSupported)
    );
}

#[test]
fn the_supply_moves_with_the_approval_and_only_with_it() {
    let mut line = line();
    let disable = Operation::DisableSupply;
    let without = |line: &mut Line, association| line.outcome(DeviceKind::Esme, association, &disable);
    for association in [Association::Management, Association::Critical] {
        assert_eq!(
            without(&mut line, association),
            Err(Refusal::Approval(ApprovalFault::Missing))
        );
    }
    assert_eq!(without(&mut line, Association::Reader), Err(Refusal::NotPermitted));
    let approval = line.toy.approval(&disable, 1);
    let mut with = |operation: &Operation, approval| {
        one(line.run(DeviceKind::Esme, Association::Management, operation, Some(approval)))
    };
    assert_eq!(
        with(&Operation::EnableSupply, &approval),
        Err(Refusal::Approval(ApprovalFault::Wrong))
    );
    assert_eq!(with(&disable, &approval), Ok(Answer::Done));
    assert_eq!(
        with(&disable, &approval),
        Err(Refusal::Approval(ApprovalFault::Replayed))
    );
    assert_eq!(line.toy.supply, SupplyState::Disabled);
    // One presentation serves one operation.
    assert_eq!(
        without(&mut line, Association::Critical),
        Err(Refusal::Approval(ApprovalFault::Missing))
    );
}

#[test]
fn the_clock_is_set_to_the_exact_time_and_tolerance() {
    let mut line = line();
    let noon = line.toy.now;
    for (counter, time, tolerance_s) in [
        (1, noon, 10),
        (2, noon + SimDuration(10), 86_400),
        (3, noon + SimDuration(7), 0),
    ] {
        let operation = Operation::SynchroniseClock { time, tolerance_s };
        let approval = line.toy.approval(&operation, counter);
        let outcome = one(line.run(DeviceKind::Esme, Association::Critical, &operation, Some(&approval)));
        assert_eq!(outcome, Ok(Answer::Done), "{operation}");
        assert_eq!(line.toy.synchronised.last(), Some(&(time, tolerance_s)));
    }
}

#[test]
fn a_sleeping_meter_answers_late() {
    let mut line = line();
    let events = line.run(DeviceKind::Gsme, Association::Management, &Operation::ArmSupply, None);
    assert_eq!(events, Ok(vec![HeadEndEvent::Queued(77)]));
    let rows = (0..1000)
        .map(|n| LogRow {
            at: SimInstant(n),
            values: Vec::new(),
            code: None,
        })
        .collect();
    for outcome in [Ok(Answer::Done), Err(Refusal::Unreachable), Ok(Answer::Log(rows))] {
        let late = Notification::LateResult { ticket: 77, outcome };
        let octets = line.meter.notify(&late, &mut line.toy);
        line.piece = 50;
        assert_eq!(line.receive(&octets), Ok(vec![HeadEndEvent::Notification(late)]));
    }
}

#[test]
fn the_hub_says_who_it_is_and_alerts_prove_where_they_come_from() {
    let mut line = line();
    let hello = line.meter.open(&mut line.toy);
    assert_eq!(line.receive(&hello), Ok(vec![HeadEndEvent::Identified(HUB)]));
    let alert = Notification::Alert {
        slot: DeviceKind::Esme,
        code: 0x8F3E,
        description: "supply interrupted".into(),
        at: line.toy.now,
    };
    let octets = line.meter.notify(&alert, &mut line.toy);
    assert_eq!(line.receive(&octets), Ok(vec![HeadEndEvent::Notification(alert)]));
    assert_eq!(line.receive(&octets), Err(FaceError::NotAuthentic), "a second time");
    let mut forged = octets;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(line.receive(&forged), Err(FaceError::NotAuthentic));
}

#[test]
fn wrong_keys_are_refused_and_noted() {
    let mut line = line();
    line.custody.secret = RelationSecret::new([0; 32]);
    let read = Operation::Read(DataItem::Clock);
    let refused = Err(FaceError::AssociationRefused {
        result: 1,
        diagnostic: 13,
    });
    for association in [Association::Management, Association::Critical, Association::Reader] {
        let mut line = Line {
            toy: Toy::new(),
            custody: Custody::new(),
            ..self::line()
        };
        line.custody.secret = RelationSecret::new([0; 32]);
        assert_eq!(line.run(DeviceKind::Esme, association, &read, None), refused);
        assert_eq!(
            line.toy.events,
            [(DeviceKind::Esme, SecurityEvent::AuthenticationFailed)]
        );
        assert!(line.closed);
    }
}

#[test]
fn a_head_end_behind_with_its_counter_catches_up_once() {
    let mut line = line();
    line.toy
        .counters
        .insert((DeviceKind::Esme, Association::Management, support::HEAD_END), 500);
    assert_eq!(
        line.read(DeviceKind::Esme, DataItem::ActiveImport),
        quantity(1_234_567, Unit::WattHour)
    );
    assert_eq!(line.toy.events, [(DeviceKind::Esme, SecurityEvent::Replay)]);
    line.custody.counter = 0;
    assert_eq!(
        line.read(DeviceKind::Esme, DataItem::ActiveImport),
        quantity(1_234_567, Unit::WattHour)
    );
}

#[test]
fn associations_are_released_and_opened_again() {
    let mut line = line();
    line.read(DeviceKind::Esme, DataItem::Clock).expect("a clock");
    line.read(DeviceKind::Gpf, DataItem::Clock).expect("a clock");
    let release = line.head_end.release(&mut line.custody);
    assert_eq!(line.exchange(release), Ok(vec![HeadEndEvent::Released]));
    line.read(DeviceKind::Esme, DataItem::Clock).expect("a clock");
}

#[test]
fn too_much_is_too_much() {
    let mut line = line();
    let output = line.meter.input(&[0, 1, 0, 16, 0, 1, 0xFF, 0xFF], &mut line.toy);
    assert_eq!(
        (output.octets.as_slice(), output.close),
        (&[0, 1, 0, 1, 0, 16, 0, 3, 0xD8, 2, 4][..], true)
    );
    assert_eq!(line.toy.events, [(DeviceKind::Esme, SecurityEvent::OversizedMessage)]);
    let output = line.meter.input(&[0, 1], &mut line.toy);
    assert!(output.close && output.octets.is_empty());
}

#[test]
fn injected_defects_show() {
    let mut line = Line::new(&FaceProfile {
        surplus_octet: true,
        ..FaceProfile::default()
    });
    let read = Operation::Read(DataItem::ActiveImport);
    let malformed = line.run(DeviceKind::Esme, Association::Management, &read, None);
    assert!(matches!(malformed, Err(FaceError::Malformed(_))), "{malformed:?}");
    let mut line = Line::new(&FaceProfile {
        deviation_sign_wrong: true,
        ..FaceProfile::default()
    });
    let late = line.toy.now + SimDuration::from_hours(2);
    let clock = line.read(DeviceKind::Esme, DataItem::Clock);
    assert_eq!(clock, Ok(Answer::Value(Value::Clock(late, ClockStatus::Reliable))));
}

proptest! {
    #[test]
    fn a_meter_takes_any_octets_calmly(octets: Vec<u8>, cut in 0..64usize) {
        let mut toy = Toy::new();
        let mut meter = MeterSession::new(&FaceProfile::default());
        let (first, second) = octets.split_at(cut.min(octets.len()));
        meter.input(first, &mut toy);
        meter.input(second, &mut toy);
    }

    #[test]
    fn a_damaged_conversation_harms_nobody(at: prop::sample::Index, flip in 1u8.., slot in 0..3usize) {
        let mut line = line();
        let slot = [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme][slot];
        let operation = Operation::DisableSupply;
        let approval = line.toy.approval(&operation, 1);
        let mut octets = line
            .head_end
            .start(&mut line.custody, slot, Association::Critical, &operation, Some(&approval))
            .expect("a start");
        for _ in 0..6 {
            let index = at.index(octets.len());
            octets[index] ^= flip;
            let output = line.meter.input(&octets, &mut line.toy);
            octets[index] ^= flip;
            let honest = MeterSession::new(&FaceProfile::default()).input(&octets, &mut line.toy);
            let _ = line.head_end.input(&mut line.custody, &output.octets);
            octets = honest.octets;
            if octets.is_empty() {
                break;
            }
            let index = at.index(octets.len());
            octets[index] ^= flip;
            let _ = line.head_end.input(&mut line.custody, &octets);
        }
        prop_assert_eq!(line.toy.supply, SupplyState::Enabled);
    }
}
