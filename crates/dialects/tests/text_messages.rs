//! Operations in text messages: both ends, and what must have no effect.

use std::collections::BTreeMap;

use dialects::text_message::{self, Told};
use domain::keys::RelationSecret;
use domain::operation::{Token, TokenFault};
use domain::{
    Answer, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, Operation, Quantity, Refusal, SecurityEvent,
    SimInstant, Unit, Value,
};
use proptest::prelude::*;
use support::{Custody, ESME, GPF, GSME, HUB, Toy};

mod support;

fn devices() -> BTreeMap<DeviceKind, Eui64> {
    BTreeMap::from([
        (DeviceKind::Chf, HUB),
        (DeviceKind::Esme, ESME),
        (DeviceKind::Gpf, GPF),
        (DeviceKind::Gsme, GSME),
    ])
}

fn ask(custody: &mut Custody, slot: DeviceKind, operation: &Operation) -> Option<Vec<u8>> {
    let device = devices()[&slot];
    text_message::ask(custody, (slot, device), Association::Management, operation, None, 9)
}

fn register() -> Execution {
    let quantity = Quantity::new(1_234_567, Unit::WattHour);
    Execution::Finished(Ok(Answer::Value(Value::Quantity(quantity))))
}

#[test]
fn a_read_and_a_payment_code_go_there_and_back() {
    let (mut toy, mut custody) = (Toy::new(), Custody::new());
    let token = Operation::EnterToken(Token("73946144332040217315".into()));
    for (slot, operation, expected) in [
        (DeviceKind::Esme, Operation::Read(DataItem::ActiveImport), register()),
        (
            DeviceKind::Esme,
            token,
            Execution::Finished(Err(Refusal::Token(TokenFault::Duplicate))),
        ),
        (
            DeviceKind::Gsme,
            Operation::Read(DataItem::SupplyState),
            Execution::Queued(77),
        ),
    ] {
        let text = ask(&mut custody, slot, &operation).expect("small enough");
        assert!(text.len() <= text_message::LEN_MAX && text_message::is_text_message(&text));
        let (_, answer) = text_message::answer(&text, &mut toy).expect("an answer");
        assert!(answer.len() <= text_message::LEN_MAX);
        let told = text_message::told(&mut custody, &devices(), &answer);
        assert_eq!(told, Some((9, Told::Execution(expected))), "{operation}");
        // The network delivers either of them twice: nothing happens again, and nothing is believed again.
        assert_eq!(text_message::answer(&text, &mut toy), None);
        assert_eq!(text_message::told(&mut custody, &devices(), &answer), None);
    }
    assert_eq!(toy.events, []);
}

#[test]
fn a_payment_code_fits_with_an_approval_and_long_things_do_not() {
    let (mut toy, mut custody) = (Toy::new(), Custody::new());
    let token = Operation::EnterToken(Token("7".repeat(20)));
    let approval = toy.approval(&token, 1);
    let critical = text_message::ask(
        &mut custody,
        (DeviceKind::Esme, ESME),
        Association::Management,
        &token,
        Some(&approval),
        1,
    );
    assert!(critical.is_some_and(|text| text.len() <= text_message::LEN_MAX));
    for operation in [
        Operation::EnterToken(Token("7".repeat(110))),
        Operation::Read(DataItem::DeviceLog),
        Operation::ReadLog {
            log: LogKind::Event,
            from: SimInstant(0),
            to: SimInstant(1),
        },
        Operation::DisableSupply,
    ] {
        assert_eq!(ask(&mut custody, DeviceKind::Esme, &operation), None, "{operation}");
    }
    toy.text = "x".repeat(120);
    let read = Operation::Read(DataItem::FirmwareVersion);
    let text = ask(&mut custody, DeviceKind::Esme, &read).expect("small enough");
    let (_, answer) = text_message::answer(&text, &mut toy).expect("an answer");
    let told = text_message::told(&mut custody, &devices(), &answer);
    assert_eq!(told, Some((9, Told::TooLong)));
}

#[test]
fn answers_out_of_order_are_taken_once_each() {
    let (mut toy, mut custody) = (Toy::new(), Custody::new());
    let read = Operation::Read(DataItem::ActiveImport);
    let answers: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let text = ask(&mut custody, DeviceKind::Esme, &read).expect("small enough");
            text_message::answer(&text, &mut toy).expect("an answer").1
        })
        .collect();
    // The counter of an alert over a connection is ahead of them all.
    assert!(dialects::Keys::note_device_counter(
        &mut custody,
        ESME,
        Association::Management,
        1_000
    ));
    for answer in [&answers[2], &answers[0], &answers[1]] {
        assert!(text_message::told(&mut custody, &devices(), answer).is_some());
    }
    for answer in &answers {
        assert_eq!(text_message::told(&mut custody, &devices(), answer), None);
    }
}

#[test]
fn what_is_forged_has_no_effect_and_is_noted() {
    let (mut toy, mut custody) = (Toy::new(), Custody::new());
    custody.secret = RelationSecret::new([0; 32]);
    let text = ask(&mut custody, DeviceKind::Esme, &Operation::Read(DataItem::ActiveImport)).expect("small enough");
    assert_eq!(text_message::answer(&text, &mut toy), None);
    assert_eq!(toy.events, [(DeviceKind::Esme, SecurityEvent::AuthenticationFailed)]);
}

proptest! {
    #[test]
    fn a_damaged_message_has_no_effect(at: prop::sample::Index, damage in 1u8..=255) {
        let (mut toy, mut custody) = (Toy::new(), Custody::new());
        let text = ask(&mut custody, DeviceKind::Esme, &Operation::Read(DataItem::ActiveImport)).expect("small enough");
        let mut damaged = text.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= damage;
        prop_assert_eq!(text_message::answer(&damaged, &mut toy), None);
        for end in 0..text.len() {
            prop_assert_eq!(text_message::answer(&text[..end], &mut toy), None);
        }
        let (_, mut answer) = text_message::answer(&text, &mut toy).expect("the message itself is good");
        let at = at % answer.len();
        answer[at] ^= damage;
        prop_assert_eq!(text_message::told(&mut custody, &devices(), &answer), None);
    }

    #[test]
    fn any_octets_are_taken_calmly(octets: Vec<u8>) {
        let (mut toy, mut custody) = (Toy::new(), Custody::new());
        let octets = [b"LABS".as_slice(), &octets].concat();
        prop_assert_eq!(text_message::answer(&octets, &mut toy), None);
        prop_assert_eq!(text_message::told(&mut custody, &devices(), &octets), None);
    }
}

#[test]
fn a_display_has_no_place_in_a_text_message_either() {
    let mut custody = Custody::new();
    let read = Operation::Read(DataItem::FirmwareVersion);
    for (slot, has_one) in [
        (DeviceKind::Esme, true),
        (DeviceKind::Ppmid, false),
        (DeviceKind::Ihd, false),
    ] {
        let text = text_message::ask(&mut custody, (slot, ESME), Association::Management, &read, None, 9);
        assert_eq!(text.is_some(), has_one, "{slot}");
    }
}
