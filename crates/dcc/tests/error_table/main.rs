//! One case and more for every row of the error table that shows at the DCC: the code, the audit record, the request as it
//! came, and nothing that goes on. A row without a case fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../bench/mod.rs"]
mod bench;
mod devices;
mod front_door;
mod images;
mod inventory;
mod order;
mod outcomes;
mod reading;
mod rights;
mod schedules;

use std::collections::BTreeSet;

use bench::*;
use dcc::audit::{self, Event};
use domain::{DeviceKind, Eui64, SimDuration};
use duis::Element;
use steps::errors::Hop;
use steps::{Failure, table};
use users::Order;

const MINUTE: SimDuration = SimDuration::from_mins(1);

/// Octets for a path of the front door.
type Post = (&'static str, Vec<u8>);

/// A refusal: its class, what the bench is changed to, and what is posted, the last of which is refused with it.
struct Case(Failure, fn(&mut Bench), fn(&Bench) -> Vec<Post>);

/// Nothing is changed.
fn usual(_: &mut Bench) {}

/// One request of the supplier to a device.
fn sent(bench: &Bench, order: &Order) -> Vec<Post> {
    vec![(SEND, bench.signed(1, order))]
}

/// Requests of the supplier to the DCC, one after the other.
fn asked(bench: &Bench, orders: &[Order]) -> Vec<Post> {
    let counted = orders.iter().zip(1..);
    counted
        .map(|(order, counter)| (NON_DEVICE, bench.signed(counter, order)))
        .collect()
}

fn to_dcc(srv: &str, body: Element) -> Order {
    Order::to_dcc(DCC, srv.parse().unwrap(), body)
}

fn to_device(device: Eui64, srv: &str, body: Element) -> Order {
    Order::to_device(device, srv.parse().unwrap(), body)
}

fn changed(xml: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(xml.to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

fn refusals() -> impl Iterator<Item = &'static Case> {
    let lists: [&[Case]; 6] = [
        reading::CASES,
        rights::CASES,
        devices::CASES,
        inventory::CASES,
        schedules::CASES,
        images::CASES,
    ];
    lists.into_iter().flatten()
}

/// Whether a row of the table shows at the DCC: decided there, or what the DCC says of an S1SP or a device that is silent.
fn at_the_dcc(failure: Failure) -> bool {
    let silent = [
        Failure::FutureDatedTimeout,
        Failure::S1spTimeout,
        Failure::S1spUnreachable,
    ];
    failure.entry().hop == Hop::Dcc || silent.contains(&failure)
}

#[test]
fn every_row_that_shows_here_has_a_case() {
    let cases: BTreeSet<Failure> = refusals()
        .map(|case| case.0)
        .chain(outcomes::ALL.iter().copied())
        .collect();
    for failure in Failure::ALL.iter().filter(|failure| at_the_dcc(**failure)) {
        assert!(cases.contains(failure), "no case for {failure}");
    }
    for failure in cases {
        assert!(at_the_dcc(failure), "{failure} is not of the DCC");
    }
}

#[tokio::test(start_paused = true)]
async fn every_refusal_has_its_code_and_its_record() {
    for Case(expected, change, posts) in refusals() {
        let mut bench = Bench::new();
        change(&mut bench);
        let posts = posts(&bench);
        let Some((last, first)) = posts.split_last() else {
            continue;
        };
        let mut running = bench.start();
        for (path, xml) in first {
            running.supplier.post(path, xml.clone()).await;
        }
        while running.at_s1sp(MINUTE).await.is_some() {}
        refused(&bench, &mut running, last, reached(*expected)).await;
        running.stop().await;
    }
}

/// Posts octets on the supplier's link and expects this refusal.
async fn refused(bench: &Bench, running: &mut Running, (path, xml): &Post, expected: Failure) {
    let before = audit::all(&bench.store).unwrap().len();
    let reply = running.supplier.post(path, xml.clone()).await;
    let trail = audit::all(&bench.store).unwrap();
    let [record] = &trail[before..] else {
        panic!("{expected}: {:?}", &trail[before..])
    };
    // What is for another system is handed over; the code stands in the reply for the case that nobody is there.
    let (event, class) = match expected {
        Failure::ForwardFailed => (Event::Forwarded, None),
        _ => (Event::Refused, Some(expected)),
    };
    assert_eq!((record.event, record.failure), (event, class), "{expected}: {record}");
    let kept = match expected {
        Failure::Oversized => &xml[..xml.len().min(audit::OVERSIZED_KEPT)],
        _ => xml,
    };
    assert!(record.xml == kept, "{expected}: the request stays as it came");
    let header = bench.said(&reply).header;
    let entry = expected.entry();
    assert_eq!(header.code.as_str(), entry.code, "{expected}");
    assert_eq!(reply.http_status, u32::from(entry.http), "{expected}");
    assert_eq!(reply.forward, expected == Failure::ForwardFailed, "{expected}");
    assert_eq!(header.request_id, record.request, "{expected}");
    assert!(header.response_id.is_none(), "{expected}");
    assert!(running.at_s1sp(MINUTE).await.is_none(), "{expected}: something went on");
}

/// What a case gets whose request the table does not let through to its own check.
fn reached(failure: Failure) -> Failure {
    let (srv, kind) = match failure {
        Failure::RestoreHubUnknown | Failure::RestoreHubInService => ("8.12.1", DeviceKind::Chf),
        Failure::RestoreProxyUnknown | Failure::RestoreProxyInService => ("8.12.2", DeviceKind::Gpf),
        _ => return failure,
    };
    barred(srv, kind).unwrap_or(failure)
}

/// What the table has against a request to a kind of device.
fn barred(srv: &str, kind: DeviceKind) -> Option<Failure> {
    table().row(srv.parse().unwrap()).unwrap().applies_to(kind).err()
}
