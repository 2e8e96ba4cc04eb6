//! Requests that are acknowledged and then end with a row of the table.

use std::sync::Arc;

use dcc::audit::{self, Event};
use dcc::{Holder, Holders, Thresholds, Volume};
use domain::{Eui64, RequestId, SimDuration, Srv};
use duis::{Element, Request};
use steps::Failure;
use users::orders;

use crate::bench::*;

pub(super) const ALL: &[Failure] = &[
    Failure::Cancelled,
    Failure::FutureDatedTimeout,
    Failure::Internal,
    Failure::Quarantined,
    Failure::S1spTimeout,
    Failure::S1spUnreachable,
    Failure::Sequence,
    Failure::SequenceTimeout,
];

const LONG: SimDuration = SimDuration::from_hours(30);
const TOMORROW: &str = "2020-06-02T09:00:00.000Z";

fn id(counter: u64) -> RequestId {
    RequestId {
        originator: SUPPLIER,
        target: ESME,
        counter,
    }
}

fn read(counter: u64) -> Request {
    Request::new(id(counter), Srv::new(7, 4, 0)).with_body(orders::read_supply_status(ESME).body)
}

fn dated(counter: u64, date: &str) -> Request {
    let body = Element::sr("ReadInstantaneousImportRegisters").with_leaf("ExecutionDateTime", date);
    Request::new(id(counter), Srv::new(4, 1, 1)).with_body(body)
}

/// 1.6, which is the device's to hold.
fn held_there(counter: u64, date: &str) -> Request {
    let body = Element::sr("UpdatePaymentMode")
        .with_leaf("ExecutionDateTime", date)
        .with(Element::sr("Credit"));
    Request::new(id(counter), Srv::new(1, 6, 0)).with_body(body)
}

fn following(counter: u64, preceding: u64) -> Request {
    Request {
        preceding: Some(id(preceding)),
        ..read(counter)
    }
}

struct DeviceHolds;

impl Holders for DeviceHolds {
    fn holder(&self, _device: Eui64, _srv: Srv) -> Holder {
        Holder::Device
    }
}

/// Posts a request that must be acknowledged; gives what was posted.
async fn acknowledged(bench: &Bench, running: &mut Running, request: &Request) -> Vec<u8> {
    let xml = bench.parties.sign(request);
    let reply = running.supplier.post(SEND, xml.clone()).await;
    assert_eq!(bench.said(&reply).code, "I99");
    xml
}

/// The S1SP takes the next request.
async fn taken(running: &mut Running) {
    let (envelope, ..) = running.countersigned().await;
    running.accept(&envelope).await;
}

/// Brings a request to its end with this class; gives it and what was posted.
async fn end(bench: &Bench, running: &mut Running, failure: Failure) -> (RequestId, Vec<u8>) {
    let posted = match failure {
        Failure::Cancelled => {
            let posted = acknowledged(bench, running, &dated(1, TOMORROW)).await;
            acknowledged(bench, running, &dated(2, "3000-12-31T00:00:00.00Z")).await;
            posted
        }
        Failure::FutureDatedTimeout => {
            let posted = acknowledged(bench, running, &held_there(1, TOMORROW)).await;
            taken(running).await;
            let payload = Element::ra("UpdatePaymentModeRsp").with_attribute("MessageSuccess", "true");
            running.respond(id(1), "I0", bench.parties.answer(id(1), payload)).await;
            posted
        }
        Failure::Internal => {
            let posted = acknowledged(bench, running, &read(1)).await;
            running.respond(id(1), "I0", b"<sr:Request/>".to_vec()).await;
            posted
        }
        Failure::Quarantined => {
            let posted = acknowledged(bench, running, &read(1)).await;
            running.handle.end_quarantine(1, false).await.unwrap();
            posted
        }
        Failure::S1spTimeout => {
            let posted = acknowledged(bench, running, &read(1)).await;
            taken(running).await;
            posted
        }
        Failure::S1spUnreachable => acknowledged(bench, running, &read(1)).await,
        Failure::Sequence => {
            let first = Request {
                first_in_sequence: Some(true),
                ..read(2)
            };
            acknowledged(bench, running, &first).await;
            let posted = acknowledged(bench, running, &following(3, 2)).await;
            running.respond(id(2), "E21", Vec::new()).await;
            return (id(3), posted);
        }
        Failure::SequenceTimeout => acknowledged(bench, running, &following(1, 9)).await,
        other => panic!("{other} has no way to be brought about here"),
    };
    (id(1), posted)
}

fn prepared(failure: Failure) -> Bench {
    let mut bench = Bench::new();
    match failure {
        Failure::FutureDatedTimeout => bench.holders = Arc::new(DeviceHolds),
        Failure::Quarantined => {
            let volume = Volume {
                user: Some(SUPPLIER),
                srv: None,
                count: 0,
                per: SimDuration::from_hours(24),
            };
            bench.thresholds = Thresholds {
                volumes: vec![volume],
                limits: Vec::new(),
            };
        }
        _ => {}
    }
    bench
}

#[tokio::test(start_paused = true)]
async fn every_outcome_has_its_code_and_its_record() {
    for failure in ALL.iter().copied() {
        let bench = prepared(failure);
        let mut running = bench.start();
        let (id, posted) = end(&bench, &mut running, failure).await;
        let entry = failure.entry();
        let mut codes = Vec::new();
        while let Some(delivery) = running.supplier.delivery(LONG).await {
            running.supplier.answer(&delivery, 204).await;
            let said = bench.read(&delivery.1.xml);
            codes.extend(Some(said.code).filter(|_| said.header.request_id == Some(id)));
        }
        assert_eq!(codes.last().map(String::as_str), Some(entry.code), "{failure}");
        let trail = audit::of_request(&bench.store, id).unwrap();
        let ended: Vec<_> = trail.iter().filter(|record| record.failure == Some(failure)).collect();
        let [record] = &ended[..] else {
            panic!("{failure}: {trail:?}")
        };
        assert!(matches!(record.event, Event::Outcome | Event::Cancelled), "{record}");
        assert_eq!(record.code.as_deref(), Some(entry.code), "{failure}");
        let kept = trail.iter().find(|record| record.event == Event::Acknowledged).unwrap();
        assert!(kept.xml == posted, "{failure}: the request stays as it came");
        running.stop().await;
    }
}
