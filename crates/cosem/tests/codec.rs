//! Octets from the standards, round trips, prefixes and damage.

use cosem::acse::{Aare, Aarq, Mechanism};
use cosem::codec::Reader;
use cosem::data::{DEPTH_MAX, TypeDescription};
use cosem::initiate::{Conformance, InitiateRequest, InitiateResponse};
use cosem::request::{Block, Item, Request};
use cosem::response::{DataNotification, Envelope, Exception, Form, Response, put_glo};
use cosem::security::{Cipher, SecurityControl, SecurityError};
use cosem::wrapper::{self, FrameError, Framer};
use cosem::{AccessResult, Attribute, CaptureObject, Data, DateTime, DecodeError, Method, Obis, Selection};
use proptest::prelude::*;

const TITLE: [u8; 8] = [0x4D, 0x4D, 0x4D, 0x00, 0x00, 0xBC, 0x61, 0x4E];

/// Keys, title and counter of the Green Book's worked example.
fn green_book() -> Cipher {
    let mut encryption = [0; 16];
    let mut authentication = [0; 16];
    for (number, (e, a)) in encryption.iter_mut().zip(&mut authentication).enumerate() {
        *e = number as u8;
        *a = 0xD0 + number as u8;
    }
    Cipher::new(&encryption, &authentication)
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hex")
}

#[test]
fn ciphering_gives_the_octets_of_the_standard() {
    // A GET of the clock; the ciphered octets were checked with an independent AES-GCM.
    let plain = hex("c0010000080000010000ff0200");
    let sealed = |control| {
        let mut out = Vec::new();
        green_book().seal(control, &TITLE, 0x0123_4567, &plain, &mut out);
        hex::encode(out)
    };
    assert_eq!(
        sealed(SecurityControl::AUTHENTICATED_ENCRYPTED),
        "3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
    );
    assert_eq!(
        sealed(SecurityControl::AUTHENTICATED),
        "1001234567c0010000080000010000ff020006725d910f9221d263877516"
    );
    let mut request = Vec::new();
    put_glo(&green_book(), Form::Service, &TITLE, 0x0123_4567, &plain, &mut request);
    assert_eq!(hex::encode(&request[..2]), "c81e");
    assert_eq!(
        hex::encode(green_book().prove(&TITLE, 1, b"P6wRJ21F")),
        "1000000001cf563666006823b2b508ef4a"
    );
}

#[test]
fn only_what_was_sealed_opens() {
    let cipher = green_book();
    for control in [SecurityControl::AUTHENTICATED, SecurityControl::AUTHENTICATED_ENCRYPTED] {
        let mut sealed = Vec::new();
        cipher.seal(control, &TITLE, 7, b"plain", &mut sealed);
        let mut out = b"before".to_vec();
        assert_eq!(cipher.open(&TITLE, &sealed, &mut out), Ok((control, 7)));
        assert_eq!(out, b"beforeplain");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 0x01;
            assert!(cipher.open(&TITLE, &bad, &mut out).is_err(), "octet {at}");
            assert!(cipher.open(&TITLE, &sealed[..at], &mut out).is_err(), "{at} octets");
        }
        assert_eq!(cipher.open(b"another1", &sealed, &mut out), Err(SecurityError::Tag));
        assert_eq!(out, b"beforeplain", "nothing stays of what was not authentic");
    }
    for control in [0x00, 0x20, 0x31, 0x70, 0xB0] {
        let mut sealed = Vec::new();
        cipher.seal(SecurityControl(control), &TITLE, 7, b"plain", &mut sealed);
        sealed.resize(40, 0);
        assert_eq!(
            cipher.open(&TITLE, &sealed, &mut Vec::new()),
            Err(SecurityError::Unsupported(control))
        );
    }
    assert_eq!(format!("{cipher:?}"), "<redacted>");
}

#[test]
fn association_octets_are_those_of_the_standard() {
    let mut initiate = Vec::new();
    InitiateRequest {
        dedicated_key: None,
        version: 6,
        conformance: Conformance(0x00_7E_1F),
        pdu_max: 0x04B0,
    }
    .encode(&mut initiate);
    assert_eq!(hex::encode(&initiate), "01000000065f1f0400007e1f04b0");
    let mut aarq = Vec::new();
    Aarq {
        context: 1,
        calling_title: None,
        mechanism: Mechanism::Low,
        authentication_value: Some(b"12345678"),
        user_information: Some(&initiate),
    }
    .encode(&mut aarq);
    assert_eq!(
        hex::encode(&aarq),
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738be10040e01000000065f1f0400007e1f04b0"
    );
    let aare = hex("6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007");
    let decoded = Aare::decode(&aare).expect("an AARE");
    assert_eq!(
        (decoded.result, decoded.diagnostic, decoded.mechanism),
        (0, 0, Mechanism::None)
    );
    let agreed = InitiateResponse::decode(decoded.user_information.expect("information")).expect("a response");
    assert_eq!(
        agreed,
        InitiateResponse {
            version: 6,
            conformance: Conformance(0x50_1F),
            pdu_max: 500
        }
    );
    let mut again = Vec::new();
    decoded.encode(&mut again);
    assert_eq!(again, aare);
}

#[test]
fn data_octets_and_limits() {
    let check = |text: &str, expected: Result<Data, DecodeError>| assert_eq!(Data::decode_all(&hex(text)), expected);
    check(
        "0203090100110103ff",
        Ok(Data::Structure(vec![
            Data::OctetString(vec![0]),
            Data::UInt8(1),
            Data::Boolean(true),
        ])),
    );
    check("0406fc", Ok(Data::BitString(6, vec![0xFC])));
    check(
        "0406fd",
        Err(DecodeError::Unexpected {
            what: "spare bits",
            value: 0xFD,
            at: 1,
        }),
    );
    let compact = TypeDescription::Structure(vec![TypeDescription::Simple(17), TypeDescription::Simple(18)]);
    let row = |a, b| Data::Structure(vec![Data::UInt8(a), Data::UInt16(b)]);
    check(
        "1302021112060100020300ff",
        Ok(Data::CompactArray(compact, vec![row(1, 2), row(3, 255)])),
    );
    check(
        "130006010203040506",
        Err(DecodeError::Unexpected {
            what: "empty type in a compact array",
            value: 0,
            at: 0,
        }),
    );
    check("1101ff", Err(DecodeError::Surplus(1)));
    check(
        "07",
        Err(DecodeError::Unexpected {
            what: "type",
            value: 7,
            at: 0,
        }),
    );
    check(
        "0184ffffffff",
        Err(DecodeError::TooLarge {
            what: "number of values",
            limit: 200_000,
        }),
    );
    let deep = [[1, 1].repeat(DEPTH_MAX + 1), vec![0]].concat();
    assert_eq!(
        Data::decode_all(&deep),
        Err(DecodeError::TooLarge {
            what: "nesting",
            limit: DEPTH_MAX
        })
    );
    assert_eq!(Data::decode_all(&deep[2..]).map(|_| ()), Ok(()));
}

#[test]
fn names_and_times() {
    let obis: Obis = "1.0.99.1.0.255".parse().expect("a name");
    assert_eq!(
        (obis, obis.to_string().as_str()),
        (Obis([1, 0, 99, 1, 0, 255]), "1.0.99.1.0.255")
    );
    for text in ["", "1.0.99.1.0", "1.0.99.1.0.256", "1.0.99.1.0.255.1", "a.0.0.0.0.0"] {
        assert!(text.parse::<Obis>().is_err(), "{text}");
    }
    let octets = hex("07e3070101000000 00ffc480".replace(' ', "").as_str());
    let time = DateTime::from_bytes(&octets).expect("a time");
    assert_eq!(
        (time.year, time.deviation, time.status),
        (Some(2019), Some(-60), DateTime::SUMMER)
    );
    assert_eq!(time.to_bytes().as_slice(), octets);
    let bad = DateTime::from_bytes(&hex("07e30d0101000000008000ff"));
    assert_eq!(
        bad,
        Err(DecodeError::Unexpected {
            what: "part of a date-time",
            value: 13,
            at: 2
        })
    );
}

#[test]
fn frames_however_they_arrive() {
    let mut octets = Vec::new();
    wrapper::write(&mut octets, 16, 1, &[0xC0; 5]);
    wrapper::write(&mut octets, 1, 1, &[0x60; 300]);
    for size in [1, 3, 8, 13, octets.len()] {
        let mut framer = Framer::new(300);
        let mut seen = Vec::new();
        for piece in octets.chunks(size) {
            framer.push(piece);
            while let Some(frame) = framer.frame().expect("frames") {
                seen.push((frame.source, frame.destination, frame.apdu.len()));
            }
        }
        assert_eq!(seen, [(16, 1, 5), (1, 1, 300)], "in pieces of {size}");
    }
    let oversized = FrameError::Oversized {
        frame_source: 1,
        destination: 1,
        length: 300,
        limit: 299,
    };
    assert_eq!(
        wrapper::read(&octets[13..21], 299),
        Err(oversized),
        "as soon as the header is there"
    );
    assert_eq!(wrapper::read(&[0, 2], 300), Err(FrameError::Version(2)));
    assert_eq!(wrapper::read(&[0x7E], 300), Err(FrameError::Version(0x7E00)));
}

fn data() -> impl Strategy<Value = Data> {
    let octets = || prop::collection::vec(any::<u8>(), 0..200);
    let leaf = prop_oneof![
        Just(Data::Null),
        Just(Data::DontCare),
        any::<bool>().prop_map(Data::Boolean),
        any::<i8>().prop_map(Data::Int8),
        any::<i16>().prop_map(Data::Int16),
        any::<i32>().prop_map(Data::Int32),
        any::<i64>().prop_map(Data::Int64),
        any::<u8>().prop_map(Data::UInt8),
        any::<u16>().prop_map(Data::UInt16),
        any::<u32>().prop_map(Data::UInt32),
        any::<u64>().prop_map(Data::UInt64),
        any::<u8>().prop_map(Data::Enum),
        any::<u8>().prop_map(Data::Bcd),
        any::<u32>().prop_map(Data::Float32),
        any::<u64>().prop_map(Data::Float64),
        any::<[u8; 12]>().prop_map(Data::DateTime),
        any::<[u8; 5]>().prop_map(Data::Date),
        any::<[u8; 4]>().prop_map(Data::Time),
        any::<i8>().prop_map(Data::DeltaInt8),
        any::<i16>().prop_map(Data::DeltaInt16),
        any::<i32>().prop_map(Data::DeltaInt32),
        any::<u8>().prop_map(Data::DeltaUInt8),
        any::<u16>().prop_map(Data::DeltaUInt16),
        any::<u32>().prop_map(Data::DeltaUInt32),
        octets().prop_map(Data::OctetString),
        octets().prop_map(Data::VisibleString),
        octets().prop_map(Data::Utf8String),
        octets().prop_map(|octets| Data::BitString(octets.len() * 8, octets)),
        prop::collection::vec(any::<u16>(), 0..20).prop_map(|values| {
            Data::CompactArray(
                TypeDescription::Simple(18),
                values.into_iter().map(Data::UInt16).collect(),
            )
        }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Data::Array),
            prop::collection::vec(inner, 0..6).prop_map(Data::Structure),
        ]
    })
}

fn item() -> impl Strategy<Value = Item> {
    let attribute = (any::<u16>(), any::<[u8; 6]>(), any::<i8>()).prop_map(|(class, name, index)| Attribute {
        class,
        object: Obis(name),
        index,
    });
    let column =
        (attribute.clone(), any::<u16>()).prop_map(|(attribute, element)| CaptureObject { attribute, element });
    let selection = prop_oneof![
        (any::<u32>(), any::<u32>(), any::<u16>(), any::<u16>()).prop_map(|(from, to, from_column, to_column)| {
            Selection::Entry {
                from,
                to,
                from_column,
                to_column,
            }
        }),
        (column.clone(), data(), data(), prop::collection::vec(column, 0..3))
            .prop_map(|(by, from, to, columns)| Selection::Range { by, from, to, columns }),
        (3u8.., data()).prop_map(|(selector, parameters)| Selection::Other(selector, parameters)),
    ];
    (attribute, prop::option::of(selection)).prop_map(|(attribute, selection)| Item { attribute, selection })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let octets = || prop::collection::vec(any::<u8>(), 0..300);
    let items = || prop::collection::vec((item(), data()), 0..4);
    (
        0..11u8,
        any::<u8>(),
        item(),
        data(),
        octets(),
        any::<u32>(),
        any::<bool>(),
        items(),
    )
        .prop_map(|(kind, invoke, item, value, raw, number, last, list)| {
            let Attribute { class, object, index } = item.attribute;
            let method = Method { class, object, index };
            let block = Block {
                last,
                number,
                raw: &raw,
            };
            let value = value.to_bytes();
            let values: Vec<_> = list.iter().map(|(_, value)| value.to_bytes()).collect();
            let items: Vec<_> = list.into_iter().map(|(item, _)| item).collect();
            let request = match kind {
                0 => Request::Action(method, Some(&value).filter(|_| last).map(Vec::as_slice)),
                1 => Request::ActionFirstBlock(method, block),
                2 => Request::ActionBlock(block),
                3 => Request::ActionNext(number),
                4 => Request::Get(item),
                5 => Request::GetList(items),
                6 => Request::GetNext(number),
                7 => Request::Set(item, &value),
                8 => Request::SetBlock(block),
                9 => Request::SetFirstBlock(item, block),
                _ => Request::SetList(items, values.iter().map(Vec::as_slice).collect()),
            };
            let mut out = Vec::new();
            request.encode(invoke, &mut out);
            assert_eq!(Request::decode(&out), Ok((invoke, request)));
            out
        })
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let octets = || prop::collection::vec(any::<u8>(), 0..300);
    let code = || any::<u8>().prop_map(AccessResult::from_code);
    let results = || prop::collection::vec((code(), data()), 0..4);
    (
        0..11u8,
        any::<u8>(),
        code(),
        data(),
        octets(),
        any::<u32>(),
        any::<bool>(),
        results(),
    )
        .prop_map(|(kind, invoke, code, value, raw, number, last, list)| {
            let block = Block {
                last,
                number,
                raw: &raw,
            };
            let value = value.to_bytes();
            let result = |code: Result<(), AccessResult>, value| code.map(|()| value);
            let values: Vec<_> = list.iter().map(|(_, value)| value.to_bytes()).collect();
            let response = match kind {
                0 => Response::Action(code, None),
                1 => Response::Action(code, Some(result(code, value.as_slice()))),
                2 => Response::ActionBlock(block),
                3 => Response::ActionNext(number),
                4 => Response::Get(result(code, value.as_slice())),
                5 => Response::GetBlock(block),
                6 => Response::GetBlockError(last, number, code.err().unwrap_or(AccessResult::OTHER_REASON)),
                7 => Response::GetList(
                    list.iter()
                        .zip(&values)
                        .map(|((c, _), v)| result(*c, v.as_slice()))
                        .collect(),
                ),
                8 => Response::Set(code),
                9 => Response::SetBlock(number),
                _ => Response::SetLastBlock(code, number),
            };
            let mut out = Vec::new();
            response.encode(invoke, &mut out);
            assert_eq!(Response::decode(&out), Ok((invoke, response)));
            out
        })
}

/// What every decoder promises: prefixes are "need more", one more octet is surplus, damage is taken calmly.
fn strict<T: PartialEq + std::fmt::Debug>(octets: &[u8], decode: impl Fn(&[u8]) -> Result<T, DecodeError>) {
    assert!(decode(octets).is_ok());
    for end in 0..octets.len() {
        assert_eq!(
            decode(&octets[..end]),
            Err(DecodeError::NeedMore),
            "{end} of {}",
            octets.len()
        );
    }
    let mut longer = octets.to_vec();
    longer.push(0);
    assert_eq!(decode(&longer), Err(DecodeError::Surplus(1)));
    let step = (octets.len() / 40).max(1);
    for at in (0..octets.len()).step_by(step) {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bad = octets.to_vec();
            bad[at] ^= flip;
            let _ = decode(&bad);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn values_round_trip(value in data()) {
        let octets = value.to_bytes();
        prop_assert_eq!(Data::decode_all(&octets), Ok(value));
        strict(&octets, Data::decode_all);
    }

    #[test]
    fn requests_round_trip(octets in request()) {
        strict(&octets, |octets| Request::decode(octets).map(|_| ()));
    }

    #[test]
    fn responses_round_trip(octets in response()) {
        strict(&octets, |octets| Response::decode(octets).map(|_| ()));
    }

    #[test]
    fn associations_round_trip(
        context: u8,
        title: Option<[u8; 8]>,
        mechanism in 0..8u8,
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..64)),
        information in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        result: u8,
    ) {
        let title = title.as_ref().map(|title| title.as_slice());
        let mechanism = Mechanism::from_arc(mechanism);
        let (authentication_value, user_information) = (value.as_deref(), information.as_deref());
        let aarq = Aarq { context, calling_title: title, mechanism, authentication_value, user_information };
        let mut octets = Vec::new();
        aarq.encode(&mut octets);
        prop_assert_eq!(Aarq::decode(&octets), Ok(aarq));
        strict(&octets, |octets| Aarq::decode(octets).map(|_| ()));
        let aare = Aare {
            context,
            result,
            diagnostic: result,
            responding_title: title,
            mechanism,
            authentication_value,
            user_information,
        };
        let mut octets = Vec::new();
        aare.encode(&mut octets);
        prop_assert_eq!(Aare::decode(&octets), Ok(aare));
        strict(&octets, |octets| Aare::decode(octets).map(|_| ()));
    }

    #[test]
    fn initiations_exceptions_and_notifications_round_trip(
        bits in 0..0x0100_0000u32,
        pdu_max: u16,
        key in prop::option::of(any::<[u8; 16]>()),
        body in data(),
        at: Option<[u8; 12]>,
        long_invoke: u32,
    ) {
        let conformance = Conformance(bits);
        let request = InitiateRequest {
            dedicated_key: key.as_ref().map(|key| key.as_slice()),
            version: 6,
            conformance,
            pdu_max,
        };
        let mut octets = Vec::new();
        request.encode(&mut octets);
        prop_assert_eq!(InitiateRequest::decode(&octets), Ok(request));
        strict(&octets, |octets| InitiateRequest::decode(octets).map(|_| ()));
        let agreed = InitiateResponse { version: 6, conformance, pdu_max };
        let mut octets = Vec::new();
        agreed.encode(&mut octets);
        strict(&octets, InitiateResponse::decode);
        let mut octets = Vec::new();
        Exception::InvocationCounter(long_invoke).encode(&mut octets);
        prop_assert_eq!(Exception::decode(&octets), Ok(Exception::InvocationCounter(long_invoke)));
        strict(&octets, Exception::decode);
        let body = body.to_bytes();
        let notification = DataNotification { long_invoke, at, body: &body };
        let mut octets = Vec::new();
        notification.encode(&mut octets);
        prop_assert_eq!(DataNotification::decode(&octets), Ok(notification));
        strict(&octets, |octets| DataNotification::decode(octets).map(|_| ()));
    }

    #[test]
    fn envelopes_open_again(plain in request(), counter: u32, general: bool) {
        let form = if general { Form::General } else { Form::Service };
        let mut octets = Vec::new();
        put_glo(&green_book(), form, &TITLE, counter, &plain, &mut octets);
        prop_assert!(octets.len() <= plain.len() + cosem::response::overhead(form));
        strict(&octets, |octets| Envelope::decode(octets).map(|_| ()));
        let envelope = Envelope::decode(&octets).expect("decodes").expect("an envelope");
        prop_assert_eq!((envelope.form, envelope.title), (form, general.then_some(TITLE)));
        prop_assert!(envelope.inner.is_none_or(|inner| inner == plain[0]));
        let mut opened = Vec::new();
        let control = SecurityControl::AUTHENTICATED_ENCRYPTED;
        prop_assert_eq!(green_book().open(&TITLE, envelope.protected, &mut opened), Ok((control, counter)));
        prop_assert_eq!(opened, plain);
    }

    #[test]
    fn any_octets_are_taken_calmly(octets: Vec<u8>, first in prop::sample::select(vec![
        0u8, 0x01, 0x08, 0x0F, 0x13, 0x60, 0x61, 0x62, 0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xC8, 0xD8, 0xDB,
    ])) {
        let octets = [&[first], octets.as_slice()].concat();
        let _ = (Data::decode_all(&octets), Selection::decode(&mut Reader::new(&octets)));
        let _ = (Request::decode(&octets), Response::decode(&octets), Envelope::decode(&octets));
        let _ = (Aarq::decode(&octets), Aare::decode(&octets), DataNotification::decode(&octets));
        let _ = (InitiateRequest::decode(&octets), InitiateResponse::decode(&octets), Exception::decode(&octets));
        let _ = (wrapper::read(&octets, 1000), DateTime::from_bytes(&octets));
    }
}
