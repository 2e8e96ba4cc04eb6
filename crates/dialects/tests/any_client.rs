//! A meter as any DLMS client sees it, without the head end's end of the face.

use cosem::client::{Ask, Client, Credentials, Event, Keys, Password};
use cosem::request::Item;
use cosem::response::Form;
use cosem::security::Cipher;
use cosem::types::CaptureObject;
use cosem::wrapper::{self, Framer};
use cosem::{AccessResult, Attribute, Data, Method, Obis, Selection};
use dialects::{FaceProfile, Host, MeterSession};
use domain::keys::Purpose;
use domain::{DeviceKind, Operation, SupplyState};
use support::Toy;

mod support;

#[derive(Default)]
struct Counters(u32);

impl Keys for Counters {
    fn next_counter(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    fn note_counter(&mut self, _: u32) -> bool {
        true
    }
}

struct Talk {
    toy: Toy,
    meter: MeterSession,
    client: Client,
    counters: Counters,
    sap: u16,
    server: u16,
}

impl Talk {
    fn open(sap: u16, slot: DeviceKind, server: u16) -> Self {
        let toy = Toy::new();
        let key = |purpose| *toy.key(slot, purpose).expect("a key").expose();
        let gmac = |encryption, authentication| Credentials::Gmac {
            cipher: Box::new(Cipher::new(&key(encryption), &key(authentication))),
            title: support::HEAD_END,
            challenge: vec![1; 16],
            form: Form::General,
        };
        let credentials = match sap {
            1 => gmac(Purpose::ManagementEncryption, Purpose::ManagementAuthentication),
            2 => gmac(Purpose::CriticalEncryption, Purpose::CriticalAuthentication),
            17 => Credentials::Password(Password(key(Purpose::ReaderPassword).to_vec())),
            _ => Credentials::None,
        };
        let meter = MeterSession::new(&FaceProfile::default());
        let client = Client::new(credentials, 0xFFFF);
        let mut talk = Self {
            toy,
            meter,
            client,
            counters: Counters::default(),
            sap,
            server,
        };
        let aarq = talk.client.associate(&mut talk.counters);
        assert_eq!(talk.run(aarq), Event::Associated);
        talk
    }

    fn run(&mut self, mut apdu: Vec<u8>) -> Event {
        loop {
            let mut octets = Vec::new();
            wrapper::write(&mut octets, self.sap, self.server, &apdu);
            let output = self.meter.input(&octets, &mut self.toy);
            let mut framer = Framer::new(0xFFFF);
            framer.push(&output.octets);
            let frame = framer.frame().expect("a frame").expect("an answer");
            assert_eq!((frame.source, frame.destination), (self.server, self.sap));
            match self.client.input(frame.apdu, &mut self.counters).expect("an answer") {
                Event::Send(next) => apdu = next,
                event => return event,
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Event {
        let apdu = self.client.ask(ask, &mut self.counters).expect("idle");
        self.run(apdu)
    }

    fn select(
        &mut self,
        class: u16,
        name: &str,
        index: i8,
        selection: Option<Selection>,
    ) -> Result<Data, AccessResult> {
        match self.ask(&Ask::Get(Item {
            attribute: attribute(class, name, index),
            selection,
        })) {
            Event::Got(result) => result.map(|octets| Data::decode_all(&octets).expect("a value")),
            other => panic!("{other:?}"),
        }
    }

    fn get(&mut self, class: u16, name: &str, index: i8) -> Result<Data, AccessResult> {
        self.select(class, name, index, None)
    }

    fn act(&mut self, class: u16, name: &str, index: i8, parameter: &Data) -> Result<(), AccessResult> {
        let method = Method {
            class,
            object: obis(name),
            index,
        };
        match self.ask(&Ask::Action(method, Some(parameter.to_bytes()))) {
            Event::Acted(result) => result.map(|_| ()),
            other => panic!("{other:?}"),
        }
    }

    fn present(&mut self, operation: &Operation, counter: u32) {
        let approval = self.toy.approval(operation, counter).to_bytes().to_vec();
        assert_eq!(
            self.act(0x8000, "0.0.128.0.0.255", 1, &Data::OctetString(approval)),
            Ok(())
        );
    }
}

fn obis(name: &str) -> Obis {
    name.parse().expect("a name")
}

fn attribute(class: u16, name: &str, index: i8) -> Attribute {
    Attribute {
        class,
        object: obis(name),
        index,
    }
}

fn esme(sap: u16) -> Talk {
    Talk::open(sap, DeviceKind::Esme, 1)
}

fn text(octets: &[u8]) -> Data {
    Data::OctetString(octets.to_vec())
}

const PROFILE: &str = "1.0.99.1.0.255";

fn entry(from: u32, to: u32, from_column: u16, to_column: u16) -> Option<Selection> {
    Some(Selection::Entry {
        from,
        to,
        from_column,
        to_column,
    })
}

#[test]
fn the_public_client_sees_identity_and_nothing_else() {
    let mut talk = esme(16);
    assert_eq!(talk.get(1, "0.0.42.0.0.255", 2), Ok(text(b"ELSB000000000001")));
    assert_eq!(talk.get(1, "0.0.42.0.0.255", 1), Ok(text(&[0, 0, 42, 0, 0, 255])));
    assert_eq!(talk.get(1, "0.0.43.1.0.255", 2), Ok(Data::UInt32(1)));
    assert_eq!(talk.get(1, "0.0.0.2.1.255", 2), Ok(text(b"LAB-0001")));
    assert!(talk.get(8, "0.0.1.0.0.255", 2).is_ok());
    assert!(talk.get(15, "0.0.40.0.0.255", 2).is_ok());
    for (class, name, index) in [
        (3, "1.0.1.8.0.255", 2),
        (7, PROFILE, 2),
        (7, PROFILE, 7),
        (70, "0.0.96.3.10.255", 2),
    ] {
        assert_eq!(
            talk.get(class, name, index),
            Err(AccessResult::ReadWriteDenied),
            "{name}"
        );
    }
    let script = talk.act(9, "0.0.10.0.106.255", 1, &Data::UInt16(1));
    assert_eq!(script, Err(AccessResult::ReadWriteDenied));
}

#[test]
fn every_listed_object_has_its_listed_attributes() {
    let mut talk = esme(1);
    let list = talk.get(15, "0.0.40.0.0.255", 2).expect("a list");
    let list = list.as_list().expect("an array").to_vec();
    assert!(list.len() > 60, "{}", list.len());
    for object in list {
        let Some([Data::UInt16(class), Data::UInt8(_), Data::OctetString(name), rights]) = object.as_list() else {
            panic!("{object:?}")
        };
        let name = Obis(name.as_slice().try_into().expect("a name")).to_string();
        let attributes = rights
            .as_list()
            .and_then(|rights| rights[0].as_list())
            .expect("attributes");
        for each in attributes {
            let Some([Data::Int8(index), Data::Enum(1), _]) = each.as_list() else {
                panic!("{each:?}")
            };
            // The long ones have tests of their own.
            let long = *index == 2 && matches!(*class, 7 | 15);
            // The toy has no charges, and the class lists two attributes that different objects use.
            if !long && *class != 113 {
                let value = talk.get(*class, &name, *index);
                assert!(value.is_ok(), "{class} {name} attribute {index}: {value:?}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_undefined() {
    let mut talk = esme(1);
    for (class, name, index) in [
        (3, "1.0.1.8.0.255", 9),
        (3, "1.0.1.8.49.255", 2),
        (3, "1.0.1.8.49.255", 1),
        (1, "1.0.1.8.0.255", 2),
        (7, "1.0.99.2.0.255", 2),
        (7, PROFILE, 9),
        (3, "7.0.3.0.0.255", 2),
        (8, "0.0.1.0.1.255", 3),
    ] {
        assert_eq!(
            talk.get(class, name, index),
            Err(AccessResult::ObjectUndefined),
            "{class} {name} {index}"
        );
    }
    let selection = entry(1, 1, 1, 1);
    assert_eq!(
        talk.select(3, "1.0.1.8.0.255", 2, selection),
        Err(AccessResult::ScopeViolated)
    );
}

#[test]
fn profiles_by_entry_and_by_column() {
    let mut talk = esme(17);
    assert_eq!(talk.get(7, PROFILE, 7), Ok(Data::UInt32(19_057)));
    let captured = talk.get(7, PROFILE, 3).expect("columns");
    let columns: Vec<_> = captured
        .as_list()
        .expect("an array")
        .iter()
        .map(|each| CaptureObject::from_data(each).expect("one"))
        .collect();
    assert_eq!(columns[1].attribute, attribute(3, "1.0.1.8.0.255", 2));
    let mut values = |selection| {
        talk.select(7, PROFILE, 2, selection).map(|rows| {
            let row = |row: &Data| row.as_list().and_then(|row| row.last()?.as_i64()).expect("a value");
            rows.as_list().expect("an array").iter().map(row).collect::<Vec<_>>()
        })
    };
    assert_eq!(values(entry(1, 3, 1, 0)), Ok(vec![0, 1, 2]));
    assert_eq!(values(entry(19_055, 0, 1, 2)), Ok(vec![19_054, 19_055, 19_056]));
    assert_eq!(values(entry(19_057, 99_999, 2, 2)), Ok(vec![19_056]));
    assert_eq!(values(entry(19_058, 0, 1, 0)), Ok(vec![]));
    assert_eq!(values(entry(3, 2, 1, 0)), Ok(vec![]));
    assert_eq!(values(entry(1, 1, 3, 0)), Err(AccessResult::ScopeViolated));
    let day = text(&[0x07, 0xE3, 6, 30, 0xFF, 0, 0, 0, 0, 0x80, 0, 0xFF]);
    let mut range = |by, columns| {
        let selection = Selection::Range {
            by,
            from: day.clone(),
            to: day.clone(),
            columns,
        };
        talk.select(7, PROFILE, 2, Some(selection))
    };
    // Without a deviation, local time: midnight in summer is an hour before midnight UTC.
    let row = Data::Array(vec![Data::Structure(vec![Data::UInt32(18_982)])]);
    assert_eq!(range(columns[0], vec![columns[1]]), Ok(row));
    assert_eq!(range(columns[1], Vec::new()), Err(AccessResult::ScopeViolated));
    let stranger = CaptureObject {
        attribute: attribute(3, "1.0.2.8.0.255", 2),
        element: 0,
    };
    assert_eq!(range(columns[0], vec![stranger]), Err(AccessResult::ScopeViolated));
}

#[test]
fn standard_ways_to_supply_and_clock_need_the_approval_too() {
    let mut talk = esme(2);
    let nothing = Data::Int8(0);
    let denied = Err(AccessResult::ReadWriteDenied);
    assert_eq!(talk.act(70, "0.0.96.3.10.255", 1, &nothing), denied);
    assert_eq!(talk.get(0x8000, "0.0.128.0.0.255", 3), Ok(Data::Enum(1)));
    talk.present(&Operation::DisableSupply, 1);
    assert_eq!(talk.get(0x8000, "0.0.128.0.0.255", 2), Ok(Data::UInt32(1)));
    assert_eq!(talk.act(70, "0.0.96.3.10.255", 1, &nothing), Ok(()));
    assert_eq!(talk.get(70, "0.0.96.3.10.255", 2), Ok(Data::Boolean(false)));
    talk.present(&Operation::EnableSupply, 2);
    assert_eq!(
        talk.act(70, "0.0.96.3.10.255", 1, &nothing),
        denied,
        "approved was the other one"
    );
    assert_eq!(
        talk.act(70, "0.0.96.3.10.255", 2, &nothing),
        denied,
        "and it is used up"
    );
    assert_eq!(talk.toy.supply, SupplyState::Disabled);
    let time = talk.get(8, "0.0.1.0.0.255", 2).expect("a time");
    let set = Ask::Set(
        Item {
            attribute: attribute(8, "0.0.1.0.0.255", 2),
            selection: None,
        },
        time.to_bytes(),
    );
    assert_eq!(talk.ask(&set), Event::Was(denied));
    talk.present(
        &Operation::SynchroniseClock {
            time: talk.toy.now,
            tolerance_s: 0,
        },
        3,
    );
    assert_eq!(talk.ask(&set), Event::Was(Ok(())));
    assert_eq!(talk.toy.synchronised, [(talk.toy.now, 0)]);
    // Not on the management association, even with the right octets.
    let mut talk = esme(1);
    let approval = talk.toy.approval(&Operation::DisableSupply, 1).to_bytes();
    assert_eq!(talk.act(0x8000, "0.0.128.0.0.255", 1, &text(&approval)), denied);
}

#[test]
fn every_logical_device_answers_for_itself() {
    let mut hub = Talk::open(16, DeviceKind::Chf, 4);
    let names = hub.get(17, "0.0.41.0.0.255", 2).expect("logical devices");
    let saps: Vec<_> = names
        .as_list()
        .expect("an array")
        .iter()
        .filter_map(|each| each.as_list()?[0].as_i64())
        .collect();
    assert_eq!(saps, [1, 2, 3, 4]);
    let mut gas = Talk::open(1, DeviceKind::Gpf, 2);
    assert_eq!(gas.get(3, "7.0.3.0.0.255", 2), Ok(Data::UInt32(98_765)));
    let unit = Data::Structure(vec![Data::Int8(-3), Data::Enum(13)]);
    assert_eq!(gas.get(3, "7.0.3.0.0.255", 3), Ok(unit));
    // A sleeping meter cannot be read at once.
    let mut asleep = Talk::open(1, DeviceKind::Gsme, 3);
    assert_eq!(asleep.get(3, "7.0.3.0.0.255", 2), Err(AccessResult::TemporaryFailure));
    assert_eq!(asleep.get(7, "7.0.99.1.0.255", 2), Err(AccessResult::TemporaryFailure));
    assert_eq!(asleep.get(1, "0.0.42.0.0.255", 2), Ok(text(b"ELSB000000000003")));
    let mut meter = MeterSession::new(&FaceProfile::default());
    let output = meter.input(&[0, 1, 0, 16, 0, 9, 0, 1, 0xC0], &mut Toy::new());
    assert_eq!(output.octets[8..], [0xD8, 1, 1], "no such logical device");
}
