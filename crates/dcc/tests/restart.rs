//! The DCC dies at each point of a request's way and starts again on its journal: every acknowledged request gets exactly
//! one outcome, nothing is delivered twice once it was taken, and what was not acknowledged never happened.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use domain::{RequestId, SimDuration};
use duis::Element;
use proto::{Envelope, Kind};
use users::orders;
use world::{LinkName, Verdict};

const HOUR: SimDuration = SimDuration::from_hours(1);
const ID: RequestId = RequestId {
    originator: SUPPLIER,
    target: ESME,
    counter: 1,
};

/// Where the DCC dies.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
enum Point {
    Acknowledged,
    SentToS1sp,
    AcceptedByS1sp,
    OutcomeJournalled,
    DeliveryUnderWay,
    DeliveryTaken,
}

const POINTS: [Point; 6] = [
    Point::Acknowledged,
    Point::SentToS1sp,
    Point::AcceptedByS1sp,
    Point::OutcomeJournalled,
    Point::DeliveryUnderWay,
    Point::DeliveryTaken,
];

fn answer(bench: &Bench) -> Vec<u8> {
    let payload = Element::ra("ReadSupplyStatusRsp").with_attribute("MessageSuccess", "true");
    bench.parties.answer(ID, payload)
}

fn count(bench: &Bench, event: Event) -> usize {
    audit::of_request(&bench.store, ID)
        .unwrap()
        .iter()
        .filter(|record| record.event == event)
        .count()
}

/// Runs a request up to the point, kills the DCC there, and gives the number of the delivery if one was seen.
async fn die_at(bench: &Bench, point: Point) -> Option<u64> {
    let mut running = bench.start();
    let reply = running
        .supplier
        .post(SEND, bench.signed(1, &orders::read_supply_status(ESME)))
        .await;
    let code = users::read(&reply.xml, DCC, &*bench.parties.book)
        .unwrap()
        .response
        .header
        .code;
    assert_eq!(code.as_str(), "I99");
    let mut number = None;
    if point >= Point::SentToS1sp {
        let (envelope, ..) = running.countersigned().await;
        if point >= Point::AcceptedByS1sp {
            running.accept(&envelope).await;
        }
    }
    if point >= Point::OutcomeJournalled {
        running.respond(ID, "I0", answer(bench)).await;
        assert_eq!(running.at_s1sp(HOUR).await.unwrap().kind(), Kind::Accepted);
    }
    if point >= Point::DeliveryUnderWay {
        let delivery = running.supplier.delivery(HOUR).await.unwrap();
        number = Some(delivery.1.delivery_id);
        if point >= Point::DeliveryTaken {
            running.supplier.answer(&delivery, 204).await;
            while count(bench, Event::Delivered) == 0 {
                bench.world.clock.sleep(SimDuration::from_millis(1)).await;
            }
        }
    }
    running.crash().await;
    number
}

#[tokio::test(start_paused = true)]
async fn every_acknowledged_request_gets_one_outcome_wherever_the_dcc_died() {
    let benches: [fn() -> Bench; 2] = [Bench::new, Bench::without_snapshots];
    for (point, bench) in POINTS
        .into_iter()
        .flat_map(|point| benches.map(|bench| (point, bench())))
    {
        let number = die_at(&bench, point).await;
        let mut running = bench.start();
        if point < Point::OutcomeJournalled {
            let (envelope, _, countersigned) = running.countersigned().await;
            assert_eq!(
                countersigned.supplementary_originator_counter, 1,
                "{point:?}: the same request"
            );
            running.accept(&envelope).await;
            running.respond(ID, "I0", answer(&bench)).await;
        }
        let delivery = running.supplier.delivery(HOUR).await;
        if point == Point::DeliveryTaken {
            assert!(delivery.is_none(), "{point:?}: taken before");
        } else {
            let delivery = delivery.unwrap_or_else(|| panic!("{point:?}: no outcome"));
            assert!(
                number.is_none_or(|number| number == delivery.1.delivery_id),
                "{point:?}: the same delivery"
            );
            running.supplier.answer(&delivery, 204).await;
            assert!(running.supplier.delivery(HOUR).await.is_none(), "{point:?}: twice");
        }
        assert_eq!(
            (count(&bench, Event::Outcome), count(&bench, Event::Delivered)),
            (1, 1),
            "{point:?}"
        );
        // The counter is still used up.
        let reply = running
            .supplier
            .post(SEND, bench.signed(1, &orders::read_supply_status(ESME)))
            .await;
        let code = users::read(&reply.xml, DCC, &*bench.parties.book)
            .unwrap()
            .response
            .header
            .code;
        assert_eq!(code.as_str(), "E48", "{point:?}");
        assert_eq!(count(&bench, Event::Acknowledged), 1, "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_s1sp_gone_a_restart_still_ends_every_request() {
    for point in [Point::Acknowledged, Point::AcceptedByS1sp] {
        let bench = Bench::new();
        die_at(&bench, point).await;
        let mut running = bench.start();
        let delivery = running.supplier.delivery(HOUR).await.unwrap();
        let message = users::read(&delivery.1.xml, DCC, &*bench.parties.book).unwrap();
        assert_eq!(message.response.header.code.as_str(), "E1003", "{point:?}");
        running.supplier.answer(&delivery, 204).await;
        assert!(running.supplier.delivery(HOUR).await.is_none(), "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_survive_a_restart() {
    let bench = Bench::new();
    let mut running = bench.start();
    running
        .supplier
        .post(SEND, bench.signed(1, &orders::read_supply_status(ESME)))
        .await;
    running.respond(ID, "E21", Vec::new()).await;
    let delivery = running.supplier.delivery(HOUR).await.unwrap();
    running.supplier.answer(&delivery, 415).await;
    while count(&bench, Event::DeadLettered) == 0 {
        bench.world.clock.sleep(SimDuration::from_millis(1)).await;
    }
    running.crash().await;
    let mut running = bench.start();
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let letters = running.handle.dead_letters().await.unwrap();
    assert_eq!(
        (letters.len(), letters[0].status, &letters[0].xml),
        (1, 415, &delivery.1.xml)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_delivered_before_the_acknowledgement_has_left() {
    let bench = Bench::new();
    // The acknowledgement is lost on the way: the request goes on, and its outcome comes after the gap, not before.
    let lost = |link: &LinkName, envelope: &Envelope, _| {
        let reply = envelope.kind() == Kind::DuisReply && link.from.starts_with("dcc");
        if reply { Verdict::Drop } else { Verdict::Pass }
    };
    bench.world.faults.install(lost);
    let mut running = bench.start();
    let began = bench.world.clock.now();
    let xml = bench.signed(1, &orders::read_supply_status(ESME));
    let body = proto::Message::encode_to_vec(&proto::DuisRequest {
        path: SEND.into(),
        xml: xml.into(),
    });
    running.supplier.send(Kind::DuisRequest, &body).await;
    let (envelope, ..) = running.countersigned().await;
    running.accept(&envelope).await;
    running.respond(ID, "I0", answer(&bench)).await;
    assert!(running.supplier.delivery(HOUR).await.is_some());
    assert!(bench.world.clock.now() >= began + bench.limits.delivery_gap);
}
