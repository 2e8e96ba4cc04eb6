//! Client and server of an association, with a toy device behind the server.

use cosem::acse::Mechanism;
use cosem::client::{Ask, Client, Credentials, Event, Keys, Password};
use cosem::request::{Item, Request};
use cosem::response::{Exception, Form, put_glo};
use cosem::security::{Cipher, SystemTitle};
use cosem::server::{After, Association, Caller, Event as Noted, Server};
use cosem::{AccessResult, ActionResult, Attribute, Data, Method, Obis, Selection, acse, write};
use proptest::prelude::*;

const CALLER: Caller = Caller { client: 1, server: 1 };
const CLIENT: SystemTitle = *b"CLIENT01";
const SERVER: SystemTitle = *b"SERVER01";
const THING: Obis = Obis::new(0, 0, 96, 1, 0, 255);
const LONG: Obis = Obis::new(0, 0, 96, 1, 1, 255);

/// A device with one writable value, one long value made as it is read, and a method that gives its parameter back.
struct Toy {
    mechanism: Mechanism,
    value: Data,
    counter: u32,
    own: u32,
    noted: Vec<Noted>,
    fails_at: Option<u32>,
    most: usize,
}

impl Toy {
    fn new(mechanism: Mechanism) -> Self {
        Self {
            mechanism,
            value: Data::UInt32(5),
            counter: 0,
            own: 0,
            noted: Vec::new(),
            fails_at: None,
            most: 0,
        }
    }
}

fn cipher() -> Cipher {
    Cipher::new(&[1; 16], &[2; 16])
}

impl Server for Toy {
    type Cursor = u32;

    fn mechanism(&self, caller: Caller) -> Option<Mechanism> {
        (caller == CALLER).then_some(self.mechanism)
    }

    fn title(&self, _: Caller) -> SystemTitle {
        SERVER
    }

    fn cipher(&self, _: Caller) -> Option<Cipher> {
        Some(cipher())
    }

    fn password_matches(&self, _: Caller, offered: &[u8]) -> bool {
        offered == b"secret"
    }

    fn challenge(&mut self, _: Caller) -> [u8; 16] {
        [9; 16]
    }

    fn accept_counter(&mut self, _: Caller, title: &SystemTitle, counter: u32) -> Result<(), u32> {
        assert_eq!(*title, CLIENT);
        if counter <= self.counter {
            return Err(self.counter + 1);
        }
        self.counter = counter;
        Ok(())
    }

    fn next_counter(&mut self, _: Caller) -> u32 {
        self.own += 1;
        self.own
    }

    fn event(&mut self, _: Caller, event: Noted) {
        self.noted.push(event);
    }

    fn get(
        &mut self,
        _: Caller,
        attribute: &Attribute,
        _: Option<&Selection>,
        out: &mut Vec<u8>,
    ) -> Result<Option<u32>, AccessResult> {
        match attribute.object {
            THING => {
                self.value.encode(out);
                Ok(None)
            }
            LONG => {
                write::array(out, 1000);
                Ok(Some(0))
            }
            _ => Err(AccessResult::ObjectUndefined),
        }
    }

    fn get_more(&mut self, _: Caller, cursor: &mut u32, out: &mut Vec<u8>) -> Result<bool, AccessResult> {
        self.most = self.most.max(out.len());
        if self.fails_at == Some(*cursor) {
            return Err(AccessResult::LongAborted);
        }
        write::u32(out, *cursor);
        *cursor += 1;
        Ok(*cursor < 1000)
    }

    fn set(
        &mut self,
        _: Caller,
        attribute: &Attribute,
        _: Option<&Selection>,
        value: &Data,
    ) -> Result<(), AccessResult> {
        if attribute.object != THING {
            return Err(AccessResult::ReadWriteDenied);
        }
        self.value = value.clone();
        Ok(())
    }

    fn action(
        &mut self,
        _: Caller,
        method: &Method,
        parameter: Option<&Data>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ActionResult> {
        if method.object != THING {
            return Err(AccessResult::ObjectUndefined);
        }
        parameter.iter().for_each(|parameter| parameter.encode(out));
        Ok(parameter.is_some())
    }
}

#[derive(Default)]
struct Counters {
    own: u32,
    seen: u32,
}

impl Keys for Counters {
    fn next_counter(&mut self) -> u32 {
        self.own += 1;
        self.own
    }

    fn note_counter(&mut self, counter: u32) -> bool {
        let fresh = counter > self.seen;
        self.seen = self.seen.max(counter);
        fresh
    }
}

struct Pair {
    toy: Toy,
    association: Association<u32>,
    client: Client,
    counters: Counters,
    /// Longest APDU from the server.
    longest: usize,
}

impl Pair {
    fn new(mechanism: Mechanism, form: Form, pdu_max: u16) -> Self {
        let credentials = match mechanism {
            Mechanism::Gmac => Credentials::Gmac {
                cipher: Box::new(cipher()),
                title: CLIENT,
                challenge: vec![7; 16],
                form,
            },
            Mechanism::Low => Credentials::Password(Password(b"secret".to_vec())),
            _ => Credentials::None,
        };
        Self {
            toy: Toy::new(mechanism),
            association: Association::new(CALLER, 4096),
            client: Client::new(credentials, pdu_max),
            counters: Counters::default(),
            longest: 0,
        }
    }

    fn open(mechanism: Mechanism, form: Form, pdu_max: u16) -> Self {
        let mut pair = Self::new(mechanism, form, pdu_max);
        let aarq = pair.client.associate(&mut pair.counters);
        assert_eq!(pair.run(aarq), Event::Associated);
        assert!(pair.association.is_open() && pair.client.is_idle());
        pair.longest = 0;
        pair
    }

    fn run(&mut self, mut apdu: Vec<u8>) -> Event {
        loop {
            let mut answer = Vec::new();
            self.association.input(&apdu, &mut self.toy, &mut answer);
            self.longest = self.longest.max(answer.len());
            match self.client.input(&answer, &mut self.counters).expect("an answer") {
                Event::Send(next) => apdu = next,
                event => return event,
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Event {
        let apdu = self.client.ask(ask, &mut self.counters).expect("an open association");
        self.run(apdu)
    }
}

fn item(object: Obis) -> Item {
    Item {
        attribute: Attribute {
            class: 1,
            object,
            index: 2,
        },
        selection: None,
    }
}

fn method(object: Obis) -> Method {
    Method {
        class: 1,
        object,
        index: 1,
    }
}

fn all_ways() -> impl Iterator<Item = (Mechanism, Form, u16)> {
    let ways = [
        (Mechanism::None, Form::Service),
        (Mechanism::Low, Form::Service),
        (Mechanism::Gmac, Form::Service),
        (Mechanism::Gmac, Form::General),
    ];
    ways.into_iter()
        .flat_map(|(mechanism, form)| [64, 128, 1024].map(move |pdu_max| (mechanism, form, pdu_max)))
}

#[test]
fn every_service_in_every_protection_and_size() {
    for (mechanism, form, pdu_max) in all_ways() {
        let mut pair = Pair::open(mechanism, form, pdu_max);
        let text = Data::OctetString((0..700u32).map(|n| n as u8).collect());
        assert_eq!(
            pair.ask(&Ask::Get(item(THING))),
            Event::Got(Ok(Data::UInt32(5).to_bytes()))
        );
        assert_eq!(
            pair.ask(&Ask::Get(item(Obis([1; 6])))),
            Event::Got(Err(AccessResult::ObjectUndefined))
        );
        assert_eq!(pair.ask(&Ask::Set(item(THING), text.to_bytes())), Event::Was(Ok(())));
        assert_eq!(pair.toy.value, text);
        assert_eq!(pair.ask(&Ask::Get(item(THING))), Event::Got(Ok(text.to_bytes())));
        let denied = Event::Was(Err(AccessResult::ReadWriteDenied));
        assert_eq!(pair.ask(&Ask::Set(item(LONG), Data::Null.to_bytes())), denied);
        assert_eq!(pair.ask(&Ask::Set(item(LONG), text.to_bytes())), denied);
        let both = Ask::GetList(vec![item(THING), item(Obis([1; 6])), item(THING)]);
        let expected = vec![
            Ok(text.to_bytes()),
            Err(AccessResult::ObjectUndefined),
            Ok(text.to_bytes()),
        ];
        assert_eq!(pair.ask(&both), Event::GotList(expected));
        assert_eq!(pair.ask(&Ask::Action(method(THING), None)), Event::Acted(Ok(None)));
        let echo = Ask::Action(method(THING), Some(text.to_bytes()));
        assert_eq!(pair.ask(&echo), Event::Acted(Ok(Some(text.to_bytes()))));
        let none = Event::Acted(Err(AccessResult::ObjectUndefined));
        assert_eq!(pair.ask(&Ask::Action(method(LONG), Some(text.to_bytes()))), none);
        assert!(
            pair.longest <= pdu_max.into(),
            "{} octets in {pdu_max} {mechanism:?} {form:?}",
            pair.longest
        );
        let release = pair.client.release();
        assert_eq!(pair.run(release), Event::Released);
        assert_eq!(pair.toy.noted, []);
    }
}

#[test]
fn long_values_are_made_as_they_are_read() {
    let expected = Data::Array((0..1000).map(Data::UInt32).collect()).to_bytes();
    for (mechanism, form, pdu_max) in all_ways() {
        let mut pair = Pair::open(mechanism, form, pdu_max);
        assert_eq!(pair.ask(&Ask::Get(item(LONG))), Event::Got(Ok(expected.clone())));
        assert!(
            pair.toy.most <= usize::from(pdu_max) + 8,
            "{} octets held for {pdu_max}",
            pair.toy.most
        );
        pair.toy.fails_at = Some(500);
        assert_eq!(
            pair.ask(&Ask::Get(item(LONG))),
            Event::Got(Err(AccessResult::LongAborted))
        );
    }
}

#[test]
fn an_answer_has_the_form_of_its_request() {
    for (form, first) in [(Form::Service, 0xCC), (Form::General, 0xDB)] {
        let mut pair = Pair::open(Mechanism::Gmac, form, 1024);
        let apdu = pair
            .client
            .ask(&Ask::Get(item(THING)), &mut pair.counters)
            .expect("idle");
        let mut answer = Vec::new();
        pair.association.input(&apdu, &mut pair.toy, &mut answer);
        assert_eq!(answer[0], first);
    }
}

#[test]
fn a_replay_is_told_the_next_counter_and_does_nothing() {
    let mut pair = Pair::open(Mechanism::Gmac, Form::Service, 1024);
    let set = Ask::Set(item(THING), Data::UInt32(6).to_bytes());
    let apdu = pair.client.ask(&set, &mut pair.counters).expect("idle");
    let mut answer = Vec::new();
    pair.association.input(&apdu, &mut pair.toy, &mut answer);
    pair.toy.value = Data::UInt32(7);
    answer.clear();
    pair.association.input(&apdu, &mut pair.toy, &mut answer);
    assert_eq!(
        Exception::decode(&answer),
        Ok(Exception::InvocationCounter(pair.toy.counter + 1))
    );
    assert_eq!(
        (&pair.toy.value, pair.toy.noted.as_slice()),
        (&Data::UInt32(7), &[Noted::Replay][..])
    );
}

#[test]
fn what_is_not_allowed_is_refused_and_noted() {
    let mut plain = Vec::new();
    Request::Get(item(THING)).encode(0xC1, &mut plain);
    let check = |association: &mut Association<u32>, toy: &mut Toy, apdu: &[u8]| {
        let mut answer = Vec::new();
        association.input(apdu, toy, &mut answer);
        Exception::decode(&answer).expect("an exception")
    };
    let mut fresh = Association::new(CALLER, 1024);
    let mut toy = Toy::new(Mechanism::None);
    assert_eq!(check(&mut fresh, &mut toy, &plain), Exception::NotAllowed);
    assert_eq!(check(&mut fresh, &mut toy, &[]), Exception::OtherReason);
    assert_eq!(check(&mut fresh, &mut toy, &[0xD9, 1]), Exception::NotSupported);
    // Plain requests on a ciphered association, and ciphered ones with other keys, another title or another inside.
    let mut pair = Pair::open(Mechanism::Gmac, Form::Service, 1024);
    let mut sealed = |cipher: &Cipher, title, form, first| {
        pair.counters.own += 1;
        let mut out = Vec::new();
        let inner = [&[first], &plain[1..]].concat();
        put_glo(cipher, form, title, pair.counters.own, &inner, &mut out);
        out
    };
    let stranger = Cipher::new(&[1; 16], &[3; 16]);
    let wrong_keys = sealed(&stranger, &CLIENT, Form::Service, 0xC0);
    let wrong_title = sealed(&cipher(), b"OTHER001", Form::General, 0xC0);
    let mut wrong_inside = sealed(&cipher(), &CLIENT, Form::Service, 0xC0);
    wrong_inside[0] = 0xC9;
    for (apdu, expected) in [
        (&plain, Exception::NotAllowed),
        (&wrong_keys, Exception::Deciphering),
        (&wrong_title, Exception::Deciphering),
        (&wrong_inside, Exception::OtherReason),
    ] {
        assert_eq!(check(&mut pair.association, &mut pair.toy, apdu), expected);
    }
    let failed = Noted::AuthenticationFailed;
    assert_eq!(pair.toy.noted, [Noted::Malformed, failed, failed, Noted::Malformed]);
    assert_eq!(
        pair.ask(&Ask::Get(item(THING))),
        Event::Got(Ok(Data::UInt32(5).to_bytes())),
        "it goes on"
    );
}

#[test]
fn nothing_is_served_between_the_passes_of_authentication() {
    let mut pair = Pair::new(Mechanism::Gmac, Form::Service, 1024);
    let aarq = pair.client.associate(&mut pair.counters);
    let mut aare = Vec::new();
    pair.association.input(&aarq, &mut pair.toy, &mut aare);
    let mut plain = Vec::new();
    Request::Get(item(THING)).encode(0xC1, &mut plain);
    let mut sealed = Vec::new();
    put_glo(&cipher(), Form::Service, &CLIENT, 50, &plain, &mut sealed);
    let mut answer = Vec::new();
    pair.association.input(&sealed, &mut pair.toy, &mut answer);
    assert_eq!(Exception::decode(&answer), Ok(Exception::NotAllowed));
    assert!(!pair.association.is_open());
}

#[test]
fn refusals_of_associations_carry_the_standard_reasons() {
    let refused = |toy_mechanism, credentials, pdu_max, expected| {
        let mut toy = Toy::new(toy_mechanism);
        let mut association = Association::new(CALLER, 1024);
        let mut client = Client::new(credentials, pdu_max);
        let mut counters = Counters::default();
        let aarq = client.associate(&mut counters);
        let mut answer = Vec::new();
        let after = association.input(&aarq, &mut toy, &mut answer);
        assert_eq!(client.input(&answer, &mut counters), Ok(Event::Refused(1, expected)));
        assert!(!association.is_open());
        after
    };
    let gmac = |key| Credentials::Gmac {
        cipher: Box::new(Cipher::new(&[1; 16], &[key; 16])),
        title: CLIENT,
        challenge: vec![7; 16],
        form: Form::Service,
    };
    let password = |text: &[u8]| Credentials::Password(Password(text.to_vec()));
    assert_eq!(refused(Mechanism::Low, Credentials::None, 1024, 14), After::Keep);
    assert_eq!(refused(Mechanism::Low, password(b"guess"), 1024, 13), After::Close);
    assert_eq!(refused(Mechanism::None, password(b"secret"), 1024, 11), After::Keep);
    assert_eq!(refused(Mechanism::Gmac, gmac(3), 1024, 13), After::Close);
    assert_eq!(refused(Mechanism::None, Credentials::None, 63, 1), After::Keep);
    let mut toy = Toy::new(Mechanism::None);
    let mut stranger = Association::new(Caller { client: 99, server: 1 }, 1024);
    let aarq = Client::new(Credentials::None, 1024).associate(&mut Counters::default());
    let mut answer = Vec::new();
    stranger.input(&aarq, &mut toy, &mut answer);
    assert_eq!(
        acse::Aare::decode(&answer).map(|aare| (aare.result, aare.diagnostic)),
        Ok((1, 1))
    );
}

#[test]
fn blocks_out_of_order_end_the_transfer() {
    let mut pair = Pair::open(Mechanism::None, Form::Service, 128);
    let mut send = |request: Request<'_>| {
        let mut apdu = Vec::new();
        request.encode(0xC1, &mut apdu);
        let mut answer = Vec::new();
        pair.association.input(&apdu, &mut pair.toy, &mut answer);
        answer
    };
    assert_eq!(send(Request::GetNext(1)), [0xC4, 2, 0xC1, 1, 0, 0, 0, 1, 1, 16]);
    assert_eq!(send(Request::Get(item(LONG)))[..9], [0xC4, 2, 0xC1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(send(Request::GetNext(2)), [0xC4, 2, 0xC1, 1, 0, 0, 0, 2, 1, 19]);
    assert_eq!(send(Request::GetNext(1)), [0xC4, 2, 0xC1, 1, 0, 0, 0, 1, 1, 16]);
    let block = |number, last| cosem::request::Block {
        last,
        number,
        raw: &[6, 0, 0],
    };
    assert_eq!(
        send(Request::SetFirstBlock(item(THING), block(1, false))),
        [0xC5, 2, 0xC1, 0, 0, 0, 1]
    );
    assert_eq!(send(Request::SetBlock(block(3, true))), [0xC5, 3, 0xC1, 19, 0, 0, 0, 3]);
    assert_eq!(send(Request::ActionBlock(block(2, true))), [0xC7, 1, 0xC1, 16, 0]);
    assert_eq!(pair.toy.value, Data::UInt32(5));
}

proptest! {
    #[test]
    fn an_open_association_takes_any_octets_calmly(
        apdus in prop::collection::vec((prop::sample::select(vec![0xC0u8, 0xC1, 0xC3, 0x62, 0xC8, 0xDB]), 0..7u8, any::<Vec<u8>>()), 1..8),
        pdu_max in 64u16..300,
    ) {
        let mut pair = Pair::open(Mechanism::None, Form::Service, pdu_max);
        for (first, choice, rest) in apdus {
            let mut answer = Vec::new();
            pair.association.input(&[&[first, choice, 0xC1], rest.as_slice()].concat(), &mut pair.toy, &mut answer);
            prop_assert!(!answer.is_empty());
        }
    }

    #[test]
    fn a_client_takes_any_answer_calmly(first: u8, choice in 0..7u8, rest: Vec<u8>, gmac: bool) {
        let mechanism = if gmac { Mechanism::Gmac } else { Mechanism::None };
        let mut pair = Pair::open(mechanism, Form::Service, 1024);
        pair.client.ask(&Ask::Get(item(THING)), &mut pair.counters).expect("idle");
        let octets = [&[first, choice, 0xC1], rest.as_slice()].concat();
        let _ = pair.client.input(&octets, &mut pair.counters);
        let _ = Pair::new(mechanism, Form::Service, 1024).client.input(&octets, &mut pair.counters);
    }
}
