//! Every check of the front door: one signed refusal with the code of its class, one audit record, nothing sent onwards.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::Validity;
use dcc::audit::{self, Event};
use domain::{Eui64, SimDuration, Srv};
use duis::Element;
use duis::signature::sign;
use steps::Failure;
use users::{Order, orders};

/// Posts octets on the supplier's link and expects this refusal.
async fn refused(bench: &Bench, path: &str, xml: Vec<u8>, expected: Failure) {
    let mut running = bench.start();
    let before = audit::all(&bench.store).unwrap().len();
    let reply = running.supplier.post(path, xml.clone()).await;
    let entry = expected.entry();
    let message = users::read(&reply.xml, DCC, &*bench.parties.book).unwrap();
    let trail = audit::all(&bench.store).unwrap();
    let [record] = &trail[before..] else {
        panic!("{expected}: {:?}", &trail[before..])
    };
    assert_eq!(
        (record.event, record.failure),
        (Event::Refused, Some(expected)),
        "{record}"
    );
    let kept = &xml[..xml.len().min(audit::XML_MAX)];
    assert!(record.xml == kept, "{expected}: the request stays as it came");
    assert_eq!(message.response.header.code.as_str(), entry.code, "{expected}");
    assert_eq!(reply.http_status, u32::from(entry.http), "{expected}");
    assert_eq!(message.response.header.request_id, record.request, "{expected}");
    assert!(message.response.header.response_id.is_none(), "{expected}");
    assert!(
        running.at_s1sp(SimDuration::from_mins(1)).await.is_none(),
        "{expected}: something went on"
    );
    running.stop().await;
}

/// A request this lab knows and does not emulate.
fn activate_firmware(device: Eui64) -> Order {
    let hash = "0A".repeat(32);
    let body = Element::sr("ActivateFirmware").with_leaf("FirmwareHash", hash);
    Order::to_device(device, Srv::new(11, 3, 0), body)
}

fn changed(xml: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(xml.to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_refused() {
    let bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    let good = bench.signed(1, &order);
    let declared = good.windows(2).position(|two| two == b"?>").map_or(0, |at| at + 2);
    let doctype = [
        &good[..declared],
        b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
        &good[declared..],
    ]
    .concat();
    let cases: Vec<(Vec<u8>, Failure)> = vec![
        (vec![b' '; 100_001], Failure::Oversized),
        (vec![b' '; 12_000_001], Failure::Oversized),
        (Vec::new(), Failure::Malformed),
        (b"<sr:Request".to_vec(), Failure::Malformed),
        (good[..good.len() / 2].to_vec(), Failure::Malformed),
        (doctype, Failure::Entity),
        (
            changed(
                &good,
                "<sr:ReadSupplyStatus/>",
                "<sr:ReadSupplyStatus>&evil;</sr:ReadSupplyStatus>",
            ),
            Failure::Entity,
        ),
        (
            changed(
                &good,
                "<sr:ReadSupplyStatus/>",
                &format!("{}{}", "<a>".repeat(50), "</a>".repeat(50)),
            ),
            Failure::TooDeep,
        ),
        (changed(&good, "ReadSupplyStatus", "NoSuchElement"), Failure::Schema),
        (changed(&good, ">7.4<", ">7.99<"), Failure::Schema),
        (
            changed(&good, "CommandVariant>1<", "CommandVariant>12<"),
            Failure::Schema,
        ),
    ];
    for (xml, expected) in cases {
        refused(&bench, SEND, xml, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_proves_nothing_is_refused() {
    let bench = Bench::new();
    let parties = &bench.parties;
    let order = orders::read_supply_status(ESME);
    let good = bench.signed(1, &order);
    let unsigned = parties.unsigned(SUPPLIER, 1, &order);
    let cases = [
        (unsigned.clone(), Failure::SignatureMissing),
        (changed(&good, ":1<", ":2<"), Failure::SignatureBad),
        (
            changed(&good, "exc-c14n#", "exc-c14n#WithComments"),
            Failure::SignatureForm,
        ),
        (sign(&unsigned, &parties.unknown).unwrap(), Failure::CertificateUnknown),
        (sign(&unsigned, &parties.expired).unwrap(), Failure::CertificateExpired),
        (
            sign(&unsigned, &parties.organisation).unwrap(),
            Failure::CertificateRole,
        ),
        (parties.signed(STRANGER, 1, &order), Failure::UnknownUser),
        (parties.signed(SUSPENDED, 1, &order), Failure::UserStatus),
        (
            sign(&unsigned, parties.key(OTHER)).unwrap(),
            Failure::OriginatorMismatch,
        ),
        (sign(&unsigned, parties.key(DCC)).unwrap(), Failure::UnknownUser),
    ];
    for (xml, expected) in cases {
        refused(&bench, SEND, xml, expected).await;
    }
}

/// Which certificates are believed is configured: dates that count, and a list of revoked ones.
#[tokio::test(start_paused = true)]
async fn certificates_are_judged_as_configured() {
    let mut bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    let taken = async |bench: &Bench, counter, key: &duis::signature::SigningKey| {
        let xml = sign(&bench.parties.unsigned(SUPPLIER, counter, &order), key).unwrap();
        let mut running = bench.start();
        let reply = running.supplier.post(SEND, xml).await;
        running.stop().await;
        code(bench, &reply.xml)
    };
    assert_eq!(
        taken(&bench, 1, &bench.parties.early).await,
        "I99",
        "its end alone counts"
    );
    bench.store = world::MemoryStore::default();
    bench.trust.validity = Validity::Both;
    let early = sign(&bench.parties.unsigned(SUPPLIER, 2, &order), &bench.parties.early).unwrap();
    refused(&bench, SEND, early, Failure::CertificateExpired).await;
    bench.trust.validity = Validity::Ignored;
    assert_eq!(taken(&bench, 3, &bench.parties.expired).await, "I99");
    bench.store = world::MemoryStore::default();
    bench.store = world::MemoryStore::default();
    let serial = bench.parties.key(SUPPLIER).certificate().serial().to_owned();
    bench.trust.revoked.insert(serial);
    refused(&bench, SEND, bench.signed(4, &order), Failure::CertificateRevoked).await;
}

/// The supplier to come has no authority before its day, the one that was has none after it.
#[tokio::test(start_paused = true)]
async fn authority_is_that_of_the_day() {
    let bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    let by = |from, counter| bench.parties.signed(from, counter, &order);
    refused(&bench, SEND, by(OTHER, 1), Failure::NoAuthority).await;
    bench.world.clock.sleep(SimDuration::from_days(31)).await;
    refused(&bench, SEND, by(SUPPLIER, 1), Failure::NoAuthority).await;
    let mut running = bench.start();
    let reply = running.other.post(SEND, by(OTHER, 2)).await;
    assert_eq!(code(&bench, &reply.xml), "I99");
}

/// The signature of one request around or beside another: what is used is what was signed, or it is refused.
#[tokio::test(start_paused = true)]
async fn a_wrapped_signature_proves_nothing() {
    let bench = Bench::new();
    let good = String::from_utf8(bench.signed(1, &orders::read_supply_status(ESME))).unwrap();
    let evil = String::from_utf8(bench.parties.unsigned(SUPPLIER, 2, &orders::disable_supply(ESME))).unwrap();
    let signature = &good[good.find("<ds:Signature").unwrap()..good.find("</ds:Signature>").unwrap() + 15];
    let inner = &good[good.find("<sr:Request").unwrap()..];
    let end = evil.rfind("</sr:Request>").unwrap();
    let with = |more: &str| format!("{}{more}{}", &evil[..end], &evil[end..]).into_bytes();
    // The signature moved over; the whole signed request as an object of the signature; as a sibling before it.
    refused(&bench, SEND, with(signature), Failure::SignatureBad).await;
    let object = signature.replace(
        "</ds:Signature>",
        &format!("<ds:Object>{inner}</ds:Object></ds:Signature>"),
    );
    let object = with(&object);
    let mut running = bench.start();
    for xml in [
        object,
        with(&format!("{inner}{signature}")),
        with(&format!("{signature}{signature}")),
    ] {
        let reply = running.supplier.post(SEND, xml).await;
        let message = users::read(&reply.xml, DCC, &*bench.parties.book).unwrap();
        assert!(message.response.header.code.as_str().starts_with('E'));
    }
    assert!(running.at_s1sp(SimDuration::from_mins(1)).await.is_none());
    assert!(
        audit::all(&bench.store)
            .unwrap()
            .iter()
            .all(|record| record.event == Event::Refused)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_is_refused() {
    let bench = Bench::new();
    let by = |from: Eui64, order: &Order| bench.parties.signed(from, 1, order);
    let transform = Order {
        command_variant: 4,
        ..orders::disable_supply(ESME)
    };
    let nowhere = Eui64(0x00DB_1234_5678_90FF);
    let cases = [
        (
            NON_DEVICE,
            by(SUPPLIER, &orders::read_supply_status(ESME)),
            Failure::WrongPath,
        ),
        (
            "/api/v1/other",
            by(SUPPLIER, &orders::read_supply_status(ESME)),
            Failure::WrongPath,
        ),
        (
            SEND,
            by(SUPPLIER, &orders::read_inventory(DCC, ESME)),
            Failure::WrongPath,
        ),
        (TRANSFORM, by(SUPPLIER, &transform), Failure::VariantNotAllowed),
        (SEND, by(NETWORK, &orders::disable_supply(ESME)), Failure::WrongRole),
        (
            SEND,
            by(SUPPLIER, &orders::read_supply_status(nowhere)),
            Failure::UnknownDevice,
        ),
        (
            NON_DEVICE,
            by(SUPPLIER, &orders::read_inventory(ESME, ESME)),
            Failure::UnknownDevice,
        ),
        (
            NON_DEVICE,
            by(SUPPLIER, &orders::read_inventory(DCC, nowhere)),
            Failure::UnknownDevice,
        ),
        (
            SEND,
            by(OTHER, &orders::read_import_registers(GPF)),
            Failure::NoAuthority,
        ),
        (
            SEND,
            by(NETWORK, &orders::read_import_registers(GSME)),
            Failure::NoAuthority,
        ),
        (
            SEND,
            by(SUPPLIER, &orders::read_supply_status(HELD)),
            Failure::DeviceStatus,
        ),
        (SEND, by(SUPPLIER, &orders::enable_supply(GSME)), Failure::NotApplicable),
        (SEND, bench.signed(3, &activate_firmware(ESME)), Failure::NotEmulated),
    ];
    for (path, xml, expected) in cases {
        refused(&bench, path, xml, expected).await;
    }
    for (counter, date, expected) in [
        (2, "2020-06-01T08:00:00.000Z", Failure::DatePassed),
        (4, "2020-08-01T00:00:00.000Z", Failure::DateFar),
    ] {
        let dated = Element::sr("ReadInstantaneousImportRegisters").with_leaf("ExecutionDateTime", date);
        let dated = bench.signed(counter, &Order::to_device(GPF, Srv::new(4, 1, 1), dated));
        refused(&bench, SEND, dated, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn counters_rise_per_originator_and_target() {
    let bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    // A counter is used up even by a request that is refused after the check.
    refused(
        &bench,
        SEND,
        bench.signed(5, &activate_firmware(ESME)),
        Failure::NotEmulated,
    )
    .await;
    refused(&bench, SEND, bench.signed(5, &order), Failure::RequestRepeated).await;
    refused(&bench, SEND, bench.signed(4, &order), Failure::RequestStale).await;
    // Other targets and other originators have their own.
    refused(
        &bench,
        SEND,
        bench.signed(1, &orders::enable_supply(GSME)),
        Failure::NotApplicable,
    )
    .await;
    refused(
        &bench,
        SEND,
        bench.parties.signed(OTHER, 1, &order),
        Failure::NoAuthority,
    )
    .await;
    // One that was refused before the check used up nothing.
    refused(&bench, NON_DEVICE, bench.signed(9, &order), Failure::WrongPath).await;
    let mut running = bench.start();
    assert_eq!(
        code(&bench, &running.supplier.post(SEND, bench.signed(6, &order)).await.xml),
        "I99"
    );
    assert_eq!(
        code(&bench, &running.supplier.post(SEND, bench.signed(6, &order)).await.xml),
        "E48"
    );
    // After a reset an old one is taken, but not one that is still open.
    running.handle.reset_counters(SUPPLIER).await.unwrap();
    assert_eq!(
        code(&bench, &running.supplier.post(SEND, bench.signed(6, &order)).await.xml),
        "E48"
    );
    assert_eq!(
        code(&bench, &running.supplier.post(SEND, bench.signed(2, &order)).await.xml),
        "I99"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_house_is_busy() {
    let mut bench = Bench::new();
    bench.limits.open_requests_max = 0;
    refused(
        &bench,
        SEND,
        bench.signed(1, &orders::read_supply_status(ESME)),
        Failure::Busy,
    )
    .await;
}

fn code(bench: &Bench, xml: &[u8]) -> String {
    users::read(xml, DCC, &*bench.parties.book)
        .unwrap()
        .response
        .header
        .code
        .to_string()
}
