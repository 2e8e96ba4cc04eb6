//! Finer points of the checks: dates of certificates, days of registrations, signatures moved about, counters.

use dcc::Validity;
use dcc::audit::{self, Event};
use domain::SimDuration;
use duis::Element;
use duis::signature::sign;
use steps::Failure;
use users::orders;

use super::{refused, to_device};
use crate::bench::*;

/// Posts octets on the supplier's link of a DCC that runs for them alone, and expects this refusal.
async fn refused_alone(bench: &Bench, path: &'static str, xml: Vec<u8>, expected: Failure) {
    let mut running = bench.start();
    refused(bench, &mut running, &(path, xml), expected).await;
    running.stop().await;
}

/// One that no SMETS1 device has.
fn reset_auxiliary_load() -> users::Order {
    let body = Element::sr("ResetAuxiliaryLoad").with(Element::sr("ResetALCSHCALCS").with_attribute("index", "1"));
    to_device(ESME, "7.8", body)
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
    refused_alone(&bench, SEND, early, Failure::CertificateExpired).await;
    bench.trust.validity = Validity::Ignored;
    assert_eq!(taken(&bench, 3, &bench.parties.expired).await, "I99");
    bench.store = world::MemoryStore::default();
    bench.store = world::MemoryStore::default();
    let serial = bench.parties.key(SUPPLIER).certificate().serial().to_owned();
    bench.trust.revoked.insert(serial);
    refused_alone(&bench, SEND, bench.signed(4, &order), Failure::CertificateRevoked).await;
}

/// The supplier to come has no authority before its day, the one that was has none after it.
#[tokio::test(start_paused = true)]
async fn authority_is_that_of_the_day() {
    let bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    let by = |from, counter| bench.parties.signed(from, counter, &order);
    refused_alone(&bench, SEND, by(OTHER, 1), Failure::NoAuthority).await;
    bench.world.clock.sleep(SimDuration::from_days(31)).await;
    refused_alone(&bench, SEND, by(SUPPLIER, 1), Failure::NoAuthority).await;
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
    refused_alone(&bench, SEND, with(signature), Failure::SignatureBad).await;
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
async fn counters_rise_per_originator_and_target() {
    let bench = Bench::new();
    let order = orders::read_supply_status(ESME);
    // A counter is used up even by a request that is refused after the check.
    refused_alone(
        &bench,
        SEND,
        bench.signed(5, &reset_auxiliary_load()),
        Failure::NotSmets1,
    )
    .await;
    refused_alone(&bench, SEND, bench.signed(5, &order), Failure::RequestRepeated).await;
    refused_alone(&bench, SEND, bench.signed(4, &order), Failure::RequestStale).await;
    // Other targets and other originators have their own.
    refused_alone(
        &bench,
        SEND,
        bench.signed(1, &orders::enable_supply(GSME)),
        Failure::NotApplicable,
    )
    .await;
    refused_alone(
        &bench,
        SEND,
        bench.parties.signed(OTHER, 1, &order),
        Failure::NoAuthority,
    )
    .await;
    // One that was refused before the check used up nothing.
    refused_alone(&bench, NON_DEVICE, bench.signed(9, &order), Failure::WrongPath).await;
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

fn code(bench: &Bench, xml: &[u8]) -> String {
    bench.read(xml).code
}
