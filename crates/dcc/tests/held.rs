//! Requests that wait: for their date, for another request, with the device; cancelled, ended, and across a restart.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use std::sync::Arc;

use bench::*;
use dcc::audit::Event;
use dcc::{Holder, Holders, SmiStatus};
use domain::{Eui64, RequestId, SimDuration, SimInstant, Srv};
use duis::{DeviceAlert, Element, Request, ResponseBody, SignedBody, SignedHeader};
use proto::{Kind, Message, S1spAlert};
use users::orders;

const SECOND: SimDuration = SimDuration::from_secs(1);
const HOUR: SimDuration = SimDuration::from_hours(1);

fn id(counter: u64) -> RequestId {
    RequestId {
        originator: SUPPLIER,
        target: ESME,
        counter,
    }
}

/// 4.1.1, executed then.
fn dated(counter: u64, at: &str) -> Request {
    let body = Element::sr("ReadInstantaneousImportRegisters").with_leaf("ExecutionDateTime", at);
    Request::new(id(counter), Srv::new(4, 1, 1)).with_body(body)
}

fn read(counter: u64) -> Request {
    Request::new(id(counter), Srv::new(7, 4, 0)).with_body(orders::read_supply_status(ESME).body)
}

fn following(counter: u64, preceding: u64) -> Request {
    Request {
        preceding: Some(id(preceding)),
        ..read(counter)
    }
}

fn first(counter: u64) -> Request {
    Request {
        first_in_sequence: Some(true),
        ..read(counter)
    }
}

async fn post(bench: &Bench, running: &mut Running, request: &Request) -> Said {
    let reply = running.supplier.post(SEND, bench.parties.sign(request)).await;
    bench.said(&reply)
}

async fn accepted(bench: &Bench, running: &mut Running, request: &Request) {
    let said = post(bench, running, request).await;
    assert_eq!(said.code, "I99", "{:?}", bench.events(request.id));
}

/// The S1SP takes the next request and answers it.
async fn serve(bench: &Bench, running: &mut Running, code: &str) -> RequestId {
    let (envelope, ..) = running.countersigned().await;
    let id: RequestId = envelope.trace_id.parse().unwrap();
    running.accept(&envelope).await;
    let signed = match code {
        "I0" => {
            let payload = Element::ra("ReadSupplyStatusRsp").with_attribute("MessageSuccess", "true");
            bench.parties.answer(id, payload)
        }
        _ => Vec::new(),
    };
    running.respond(id, code, signed).await;
    id
}

/// Codes and RequestIDs of what reaches the supplier.
async fn delivered(bench: &Bench, running: &mut Running) -> Vec<(String, Option<u64>)> {
    let taken = running.supplier.take_all(SimDuration::from_mins(2)).await;
    let said = taken.iter().map(|one| bench.read(&one.xml));
    said.map(|said| {
        let code = said
            .alert()
            .map_or_else(|| said.code.clone(), |(code, _)| code.to_owned());
        (code, said.header.request_id.map(|id| id.counter))
    })
    .collect()
}

fn at(text: &str) -> SimInstant {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_dated_request_waits_here_and_goes_at_its_time_also_across_a_restart() {
    let bench = Bench::new();
    for restart in [false, true] {
        let counter = if restart { 2 } else { 1 };
        let mut running = bench.start();
        let date = if restart {
            "2020-06-03T09:00:00.000Z"
        } else {
            "2020-06-02T09:00:00.000Z"
        };
        accepted(&bench, &mut running, &dated(counter, date)).await;
        assert_eq!(running.handle.in_hand().await.unwrap().held_requests, 1);
        if restart {
            running.crash().await;
            running = bench.start();
        }
        let within = (at(date) - SECOND).since(bench.world.clock.now());
        assert!(running.at_s1sp(within).await.is_none());
        let (envelope, _, countersigned) = running.countersigned().await;
        assert_eq!(
            (envelope.trace_id, bench.world.clock.now()),
            (id(counter).to_string(), at(date))
        );
        assert_eq!(countersigned.countersigned_at_ms, at(date).0);
        running.respond(id(counter), "E21", Vec::new()).await;
        // What was future dated and not answered is told by an alert too.
        assert_eq!(
            delivered(&bench, &mut running).await,
            [("N13".to_owned(), None), ("E21".to_owned(), Some(counter))]
        );
        running.stop().await;
    }
    let held = [Event::Acknowledged, Event::Held, Event::Released];
    assert_eq!(bench.events(id(1))[..3], held);
    assert_eq!(bench.events(id(2))[..4], [held[0], held[1], Event::Resumed, held[2]]);
}

#[tokio::test(start_paused = true)]
async fn the_year_3000_cancels_what_is_held_and_each_request_has_its_outcome() {
    let bench = Bench::new();
    let mut running = bench.start();
    accepted(&bench, &mut running, &dated(1, "2020-06-02T09:00:00.000Z")).await;
    accepted(&bench, &mut running, &dated(2, "2020-06-03T09:00:00.000Z")).await;
    accepted(&bench, &mut running, &dated(3, "3000-12-31T00:00:00.00Z")).await;
    let expected = [("E31", 1), ("E31", 2), ("I0", 3)].map(|(code, id)| (code.to_owned(), Some(id)));
    assert_eq!(delivered(&bench, &mut running).await, expected);
    assert!(running.at_s1sp(SimDuration::from_days(3)).await.is_none());
    assert_eq!(bench.events(id(1))[2], Event::Cancelled);
    assert_eq!(running.handle.in_hand().await.unwrap(), dcc::InHand::default());
    // With nothing to cancel it is a success as well.
    accepted(&bench, &mut running, &dated(4, "3000-12-31T00:00:00.00Z")).await;
    assert_eq!(delivered(&bench, &mut running).await, [("I0".to_owned(), Some(4))]);
}

/// The device holds what the table leaves to it.
struct DeviceHolds;

impl Holders for DeviceHolds {
    fn holder(&self, _device: Eui64, srv: Srv) -> Holder {
        if srv == Srv::new(6, 8, 0) {
            Holder::Dcc
        } else {
            Holder::Device
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_the_device_holds_has_an_acceptance_and_an_outcome() {
    let mut bench = Bench::new();
    bench.holders = Arc::new(DeviceHolds);
    let date = "2020-06-02T09:00:00.000Z";
    for (counter, done, settled) in [(1, Some(0x8F66), "8F66"), (2, Some(0x8F67), "8F67"), (3, None, "E30")] {
        let mut running = bench.start();
        accepted(&bench, &mut running, &activate(counter, date)).await;
        assert_eq!(serve(&bench, &mut running, "I0").await, id(counter));
        assert_eq!(
            delivered(&bench, &mut running).await,
            [("I0".to_owned(), Some(counter))]
        );
        assert_eq!(
            running.handle.in_hand().await.unwrap().open_requests,
            1,
            "its outcome is still to come"
        );
        running.crash().await;
        let mut running = bench.start();
        if let Some(code) = done {
            running
                .s1sp_sends(Kind::S1spAlert, "alert", &settling(&bench, counter, code))
                .await;
            let taken = running.supplier.take_all(HOUR).await;
            let [alert] = &taken[..] else { panic!("{}", taken.len()) };
            let ResponseBody::Smets1 { content, .. } = bench.read(&alert.xml).body else {
                panic!()
            };
            let SignedBody::Alert(alert) = content.body else {
                panic!()
            };
            assert_eq!(alert.code.map(|code| format!("{code:04X}")).as_deref(), Some(settled));
        } else {
            bench
                .world
                .clock
                .sleep_until(at(date) + bench.limits.outcome_limit)
                .await;
            assert_eq!(
                delivered(&bench, &mut running).await,
                [("N13".to_owned(), None), (settled.to_owned(), Some(counter))]
            );
        }
        assert_eq!(running.handle.in_hand().await.unwrap().open_requests, 0);
        let outcomes = bench
            .events(id(counter))
            .into_iter()
            .filter(|event| *event == Event::Outcome);
        assert_eq!(outcomes.count(), 1);
        running.stop().await;
    }
}

/// A request that the table leaves to the device to hold and that runs end to end here.
fn activate(counter: u64, date: &str) -> Request {
    let row = steps::table()
        .rows()
        .find(|row| {
            row.dated_by == steps::table::DatedBy::Device
                && row.applies_to(domain::DeviceKind::Esme).is_ok()
                && row.srv.to_string() == "1.6"
        })
        .expect("1.6 is the device's to hold");
    let body = Element::sr(row.body)
        .with_leaf("ExecutionDateTime", date)
        .with(Element::sr("Credit"));
    Request::new(id(counter), row.srv).with_body(body)
}

/// The alert with which a device ends a request it held.
fn settling(bench: &Bench, counter: u64, code: u16) -> Vec<u8> {
    let alert = DeviceAlert {
        code: Some(code),
        description: Some("future-dated command".into()),
        at: SimInstant(0),
        payload: None,
    };
    let header = SignedHeader::new(ESME, DCC, counter);
    let xml = duis::write::smets1_signed_response(&header, &SignedBody::Alert(alert)).unwrap();
    S1spAlert {
        device: ESME.0,
        signed_xml: duis::signature::sign(&xml, bench.parties.key(S1SP)).unwrap().into(),
        is_s1sp_alert: false,
        counter,
        request_id: id(counter).to_string(),
        ..S1spAlert::default()
    }
    .encode_to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_sequence_goes_one_after_the_other_in_whatever_order_it_came() {
    let bench = Bench::new();
    let mut running = bench.start();
    // The third names the second before that is here.
    accepted(&bench, &mut running, &following(3, 5)).await;
    accepted(&bench, &mut running, &first(4)).await;
    accepted(&bench, &mut running, &following(5, 4)).await;
    running.crash().await;
    let mut running = bench.start();
    for expected in [4, 5, 3] {
        assert_eq!(serve(&bench, &mut running, "I0").await, id(expected));
    }
    assert_eq!(delivered(&bench, &mut running).await.len(), 3);
    // One more, after all of them have ended.
    accepted(&bench, &mut running, &following(6, 3)).await;
    assert_eq!(serve(&bench, &mut running, "I0").await, id(6));
}

#[tokio::test(start_paused = true)]
async fn with_one_failed_the_rest_of_a_sequence_fails() {
    let bench = Bench::new();
    let mut running = bench.start();
    accepted(&bench, &mut running, &first(1)).await;
    accepted(&bench, &mut running, &following(2, 1)).await;
    accepted(&bench, &mut running, &following(3, 2)).await;
    assert_eq!(serve(&bench, &mut running, "E20").await, id(1));
    // Alerts do not wait for the gap after an acknowledgement.
    let expected = [
        ("N14", None),
        ("N14", None),
        ("E20", Some(1)),
        ("E40", Some(2)),
        ("E40", Some(3)),
    ];
    assert_eq!(
        delivered(&bench, &mut running).await,
        expected.map(|(code, id)| (code.to_owned(), id))
    );
    for (request, code) in [
        (following(4, 3), "E40"),
        (
            Request {
                first_in_sequence: Some(true),
                ..following(5, 9)
            },
            "E43",
        ),
        (
            Request {
                preceding: Some(RequestId {
                    originator: OTHER,
                    ..id(1)
                }),
                ..read(6)
            },
            "E42",
        ),
        (following(7, 7), "E42"),
    ] {
        assert_eq!(post(&bench, &mut running, &request).await.code, code);
    }
    // One whose predecessor never comes.
    accepted(&bench, &mut running, &following(8, 99)).await;
    bench
        .world
        .clock
        .sleep_until(bench.world.clock.now() + bench.limits.sequence_wait)
        .await;
    assert_eq!(
        delivered(&bench, &mut running).await.last(),
        Some(&("E41".to_owned(), Some(8)))
    );
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_a_request_waits_counts_at_its_time() {
    let bench = Bench::new();
    let mut running = bench.start();
    // On the first of July the metering point is another supplier's: refused now, as its authority is needed then.
    let said = post(&bench, &mut running, &dated(1, "2020-07-01T00:00:00.000Z")).await;
    assert_eq!(said.code, "E4");
    // A device suspended meanwhile, decommissioned meanwhile: the request ends, and the user is told why.
    accepted(&bench, &mut running, &dated(2, "2020-06-02T09:00:00.000Z")).await;
    running.handle.set_status(ESME, SmiStatus::Suspended).await.unwrap();
    let told = delivered(&bench, &mut running).await;
    assert_eq!(
        told,
        [
            ("N28".to_owned(), None),
            ("N10".to_owned(), None),
            ("E31".to_owned(), Some(2))
        ]
    );
    running.handle.set_status(ESME, SmiStatus::Commissioned).await.unwrap();
    accepted(&bench, &mut running, &dated(3, "2020-06-02T09:00:00.000Z")).await;
    running
        .handle
        .set_status(ESME, SmiStatus::Decommissioned)
        .await
        .unwrap();
    let told = delivered(&bench, &mut running).await;
    let codes: Vec<_> = told.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["N29", "N1", "N3", "E31"]);
}
