//! The same conversation with every family: what differs is in the description, not in what can be done.

use dialects::{
    FaceError, FaceProfile, Family, Hdlc, HeadEndEvent, MeterSession, Notification, TimeForm, Tunnel, TunnelAddress,
};
use domain::keys::RelationSecret;
use domain::operation::{ApprovalFault, ClockStatus, ImageFault, LoadLimit, Octets, Setting, Token, TokenFault};
use domain::{
    Answer, Association, DataItem, DeviceKind, LogKind, LogRow, Operation, Outcome, Quantity, Refusal, SecurityEvent,
    SimDuration, SupplyState, Unit, Value,
};
use proptest::prelude::*;
use support::line::{Line, one};
use support::{HUB, Toy};

mod support;

/// Every family, and the variants of those that have some.
fn faces() -> Vec<(&'static str, FaceProfile)> {
    let face = |family| FaceProfile {
        family,
        ..FaceProfile::default()
    };
    vec![
        ("wrapper", face(Family::DlmsWrapper)),
        ("hdlc", face(Family::DlmsHdlc)),
        (
            "hdlc with windows and small fields",
            FaceProfile {
                hdlc: Hdlc {
                    information_max: 48,
                    window: 5,
                    physical: 1000,
                },
                pdu_max: 700,
                ..face(Family::DlmsHdlc)
            },
        ),
        ("hub tunnel", face(Family::DlmsHubTunnel)),
        (
            "hub tunnel by access point, without check",
            FaceProfile {
                tunnel: Tunnel {
                    address: TunnelAddress::AccessPoint,
                    check: false,
                },
                ..face(Family::DlmsHubTunnel)
            },
        ),
        (
            "registers",
            FaceProfile {
                time_form: TimeForm::Utc,
                ..face(Family::EdmiRegisters)
            },
        ),
        ("registers in local time", face(Family::EdmiRegisters)),
        ("envelope", face(Family::LabEnvelope)),
        (
            "envelope with small parts",
            FaceProfile {
                pdu_max: 128,
                ..face(Family::LabEnvelope)
            },
        ),
    ]
}

fn each(mut check: impl FnMut(&str, Line)) {
    for (name, face) in faces() {
        for piece in [1, 50, usize::MAX] {
            let mut line = Line::new(&face);
            line.piece = piece;
            check(name, line);
        }
    }
}

fn quantity(value: i64, unit: Unit) -> Outcome {
    Ok(Answer::Value(Value::Quantity(Quantity::new(value, unit))))
}

#[test]
fn every_family_has_a_word_and_a_conversation_here() {
    // What a program outside makes of octets is its own affair.
    for family in Family::ALL.into_iter().filter(|family| *family != Family::External) {
        assert!(
            faces().iter().any(|(_, face)| face.family == family),
            "{}",
            family.as_str()
        );
    }
}

#[test]
fn registers_clock_and_money_are_read() {
    each(|name, mut line| {
        let now = line.toy.now;
        let clock = Ok(Answer::Value(Value::Clock(now, ClockStatus::Reliable)));
        let wanted = [
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
            (DeviceKind::Esme, DataItem::Clock, clock),
            (DeviceKind::Esme, DataItem::ReactiveImport, Err(Refusal::NotSupported)),
            (DeviceKind::Gpf, DataItem::GasConsumption, quantity(98_765, Unit::Litre)),
        ];
        for (slot, item, expected) in wanted {
            assert_eq!(line.read(slot, item), expected, "{name}: {slot} {item:?}");
        }
        let devices = line.read(DeviceKind::Chf, DataItem::DeviceLog);
        assert!(
            matches!(&devices, Ok(Answer::Value(Value::Devices(known))) if known.len() == 2),
            "{name}: {devices:?}"
        );
        assert_eq!(line.toy.events, [], "{name}");
    });
}

#[test]
fn logs_are_read_by_range() {
    each(|name, mut line| {
        let to = line.toy.now;
        for (log, days, count) in [
            (LogKind::ActiveImport, 3, 145),
            (LogKind::DailyRead, 3, 4),
            (LogKind::Security, 3, 7),
        ] {
            let from = to - SimDuration::from_days(days);
            let read = Operation::ReadLog { log, from, to };
            let outcome = line.outcome(DeviceKind::Esme, Association::Management, &read);
            let Ok(Answer::Log(rows)) = outcome else {
                panic!("{name} {log:?}: {outcome:?}");
            };
            assert_eq!(rows.len(), count, "{name} {log:?}");
            assert!(rows.iter().all(|row| from <= row.at && row.at <= to), "{name}");
        }
    });
}

#[test]
fn the_supply_moves_with_the_approval_and_only_with_it() {
    each(|name, mut line| {
        let disable = Operation::DisableSupply;
        for association in [Association::Management, Association::Critical] {
            let outcome = line.outcome(DeviceKind::Esme, association, &disable);
            assert_eq!(outcome, Err(Refusal::Approval(ApprovalFault::Missing)), "{name}");
        }
        let approval = line.toy.approval(&disable, 1);
        let mut with = |operation: &Operation| {
            one(line.run(DeviceKind::Esme, Association::Management, operation, Some(&approval)))
        };
        assert_eq!(
            with(&Operation::EnableSupply),
            Err(Refusal::Approval(ApprovalFault::Wrong)),
            "{name}"
        );
        assert_eq!(with(&disable), Ok(Answer::Done), "{name}");
        assert_eq!(
            with(&disable),
            Err(Refusal::Approval(ApprovalFault::Replayed)),
            "{name}"
        );
        assert_eq!(line.toy.supply, SupplyState::Disabled, "{name}");
        let time = line.toy.now + SimDuration::from_secs(3);
        let synchronise = Operation::SynchroniseClock { time, tolerance_s: 10 };
        let approval = line.toy.approval(&synchronise, 2);
        let set = one(line.run(DeviceKind::Esme, Association::Critical, &synchronise, Some(&approval)));
        assert_eq!(set, Ok(Answer::Done), "{name}");
        assert_eq!(line.toy.synchronised, [(time, 10)], "{name}");
    });
}

#[test]
fn a_sleeping_meter_answers_late_and_the_hub_says_who_it_is() {
    each(|name, mut line| {
        let hello = line.meter.open(&mut line.toy);
        assert_eq!(line.receive(&hello), Ok(vec![HeadEndEvent::Identified(HUB)]), "{name}");
        let events = line.run(DeviceKind::Gsme, Association::Management, &Operation::ArmSupply, None);
        assert_eq!(events, Ok(vec![HeadEndEvent::Queued(77)]), "{name}");
        let alert = Notification::Alert {
            slot: DeviceKind::Gsme,
            code: 0x8F3E,
            description: "x".repeat(80),
            at: line.toy.now,
        };
        let readings = Notification::Readings {
            slot: DeviceKind::Gpf,
            row: LogRow {
                at: line.toy.now,
                values: vec![(DataItem::GasConsumption, Quantity::new(98_765, Unit::Litre))],
                code: None,
            },
        };
        let octets = line.meter.notify(&readings, &mut line.toy);
        let heard = vec![HeadEndEvent::Notification(readings)];
        assert_eq!(line.receive(&octets), Ok(heard), "{name}");
        let mut last = Vec::new();
        for outcome in [Ok(Answer::Done), Err(Refusal::Unreachable)] {
            let late = Notification::LateResult { ticket: 77, outcome };
            last = line.meter.notify(&late, &mut line.toy);
            last.extend(line.meter.notify(&alert, &mut line.toy));
            let heard = vec![
                HeadEndEvent::Notification(late),
                HeadEndEvent::Notification(alert.clone()),
            ];
            assert_eq!(line.receive(&last), Ok(heard), "{name}");
        }
        assert_eq!(line.receive(&last), Err(FaceError::NotAuthentic), "{name}: again");
    });
}

#[test]
fn whoever_does_not_hold_the_keys_is_not_let_in() {
    each(|name, mut line| {
        line.custody.secret = RelationSecret::new([0; 32]);
        for association in [Association::Management, Association::Critical, Association::Reader] {
            let mut line = Line {
                toy: Toy::new(),
                ..Line::new(&line.face)
            };
            line.custody.secret = RelationSecret::new([0; 32]);
            let refused = line.run(
                DeviceKind::Esme,
                association,
                &Operation::Read(DataItem::ActiveImport),
                None,
            );
            assert!(
                matches!(refused, Err(FaceError::AssociationRefused { .. })),
                "{name} {association:?}: {refused:?}"
            );
            let expected = (DeviceKind::Esme, SecurityEvent::AuthenticationFailed);
            assert_eq!(line.toy.events, [expected], "{name} {association:?}");
        }
    });
}

#[test]
fn a_head_end_behind_with_its_counter_catches_up_once() {
    each(|name, mut line| {
        let counter = (DeviceKind::Esme, Association::Management, support::HEAD_END);
        line.toy.counters.insert(counter, 500);
        let read = line.read(DeviceKind::Esme, DataItem::ActiveImport);
        assert_eq!(read, quantity(1_234_567, Unit::WattHour), "{name}");
        assert_eq!(line.toy.events, [(DeviceKind::Esme, SecurityEvent::Replay)], "{name}");
    });
}

#[test]
fn what_has_no_form_of_its_own_goes_in_ours() {
    each(|name, mut line| {
        let token = Operation::EnterToken(Token("73946144332040217315".into()));
        let done = line.outcome(DeviceKind::Esme, Association::Management, &token);
        assert_eq!(done, Err(Refusal::Token(TokenFault::Duplicate)), "{name}");
        let setting = Operation::Write(Box::new(Setting::LoadLimit(LoadLimit::default())));
        let approval = line.toy.approval(&setting, 1);
        let done = one(line.run(DeviceKind::Esme, Association::Critical, &setting, Some(&approval)));
        assert_eq!(done, Ok(Answer::Done), "{name}");
        assert_eq!(line.toy.last_approval, 1, "{name}");
        let block = Operation::ImageBlock {
            number: 3,
            octets: Octets(vec![7; 2000]),
        };
        // The object that DLMS has for it knows no such reason.
        let outcome = line.outcome(DeviceKind::Gpf, Association::Management, &block);
        assert_eq!(outcome, Err(Refusal::Image(ImageFault::NotBegun)), "{name}");
    });
}

#[test]
fn firmware_is_begun_sent_checked_and_looked_at() {
    each(|name, mut line| {
        let mut ask = |operation: Operation| line.outcome(DeviceKind::Esme, Association::Management, &operation);
        let status = ask(Operation::Read(DataItem::ImageStatus));
        assert_eq!(status, Ok(Answer::Value(Value::Image(support::IMAGE))), "{name}");
        for device in [None, Some(support::GSME)] {
            let begin = Operation::BeginImage {
                octets: 5_000,
                hash: support::IMAGE.verified,
                device,
            };
            assert_eq!(ask(begin), Ok(Answer::Done), "{name}");
        }
        let block = Operation::ImageBlock {
            number: 3,
            octets: Octets(vec![7; 512]),
        };
        // Not begun, as far as the family can say so.
        let refused = ask(block);
        let said = [Refusal::Image(ImageFault::NotBegun), Refusal::WrongState];
        assert!(
            matches!(&refused, Err(refusal) if said.contains(refusal)),
            "{name}: {refused:?}"
        );
        assert_eq!(ask(Operation::VerifyImage), Ok(Answer::Done), "{name}");
    });
}

#[test]
fn sessions_are_released_and_opened_again() {
    each(|name, mut line| {
        line.read(DeviceKind::Esme, DataItem::Clock).expect("a clock");
        line.read(DeviceKind::Gpf, DataItem::Clock).expect("a clock");
        let release = line.head_end.release(&mut line.custody);
        let released = line.exchange(release);
        assert_eq!(released, Ok(vec![HeadEndEvent::Released]), "{name}");
        line.read(DeviceKind::Esme, DataItem::Clock).expect("a clock");
        assert!(!line.closed, "{name}");
    });
}

#[test]
fn a_damaged_hdlc_frame_is_asked_for_again() {
    let mut line = Line::new(&FaceProfile {
        family: Family::DlmsHdlc,
        ..FaceProfile::default()
    });
    line.read(DeviceKind::Esme, DataItem::Clock).expect("a clock");
    let read = Operation::Read(DataItem::ActiveImport);
    let ask = line
        .head_end
        .start(
            &mut line.custody,
            DeviceKind::Esme,
            Association::Management,
            &read,
            None,
        )
        .expect("a start");
    let mut answer = line.meter.input(&ask, &mut line.toy).octets;
    answer[10] ^= 0x20;
    let again = match line.receive(&answer).expect("nothing lost for ever").as_slice() {
        [HeadEndEvent::Send(octets)] => octets.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(one(line.exchange(again)), quantity(1_234_567, Unit::WattHour));
}

proptest! {
    #[test]
    fn a_damaged_conversation_harms_nobody(which: prop::sample::Index, at: prop::sample::Index, flip in 1u8.., slot in 0..3usize) {
        let all = faces();
        let (_, face) = &all[which.index(all.len())];
        let mut line = Line::new(face);
        let slot = [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme][slot];
        let operation = Operation::DisableSupply;
        // An approval for another operation than the one that damage must not turn it into.
        let approval = line.toy.approval(&Operation::EnableSupply, 1);
        let mut octets = line
            .head_end
            .start(&mut line.custody, slot, Association::Critical, &operation, Some(&approval))
            .expect("a start");
        for _ in 0..12 {
            let index = at.index(octets.len());
            octets[index] ^= flip;
            let damaged = MeterSession::new(face).input(&octets, &mut line.toy);
            octets[index] ^= flip;
            let _ = line.head_end.input(&mut line.custody, &damaged.octets);
            octets = line.meter.input(&octets, &mut line.toy).octets;
            if octets.is_empty() {
                break;
            }
            let _ = line.head_end.input(&mut line.custody, &octets);
        }
        prop_assert_eq!(line.toy.supply, SupplyState::Enabled);
    }

    #[test]
    fn both_ends_take_any_octets_calmly(which: prop::sample::Index, octets: Vec<u8>, cut: prop::sample::Index) {
        let all = faces();
        let (_, face) = &all[which.index(all.len())];
        let mut line = Line::new(face);
        let mut toy = Toy::new();
        let (first, second) = octets.split_at(cut.index(octets.len() + 1));
        for part in [first, second] {
            line.meter.input(part, &mut toy);
            let _ = line.head_end.input(&mut line.custody, part);
        }
    }
}
