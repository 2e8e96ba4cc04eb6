//! One request from acknowledgement to outcome: order of what leaves, one outcome always, deliveries and their failures.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use dcc::{Lookup, SmiStatus};
use domain::{DeviceKind, DeviceModel, RequestId, SimDuration};
use duis::signature::verify_octets;
use duis::{DccAlert, Element, ResponseBody};
use proto::{Accepted, DuisReply, Kind, Message, S1spAlert};
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

fn status_payload() -> Element {
    Element::ra("ReadSupplyStatusRsp").with_attribute("MessageSuccess", "true")
}

fn read(bench: &Bench, xml: &[u8]) -> users::Message {
    users::read(xml, DCC, &*bench.parties.book).unwrap()
}

fn events(bench: &Bench, id: RequestId) -> Vec<Event> {
    audit::of_request(&bench.store, id)
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .collect()
}

async fn acknowledged(bench: &Bench, running: &mut Running, counter: u64) -> DuisReply {
    let reply = running
        .supplier
        .post(SEND, bench.signed(counter, &orders::read_supply_status(ESME)))
        .await;
    assert_eq!(read(bench, &reply.xml).response.header.code.as_str(), "I99");
    reply
}

#[tokio::test(start_paused = true)]
async fn a_request_is_journalled_acknowledged_countersigned_and_answered_once() {
    let bench = Bench::new();
    let mut running = bench.start();
    let xml = bench.signed(7, &orders::read_supply_status(ESME));
    let reply = running.supplier.post(SEND, xml.clone()).await;
    let left = bench.world.clock.now();
    let message = read(&bench, &reply.xml);
    assert_eq!(
        (reply.http_status, message.response.header.request_id),
        (200, Some(id(7)))
    );
    assert!(message.response.header.response_id.is_none());

    let (envelope, request, countersigned) = running.countersigned().await;
    assert_eq!(envelope.trace_id, id(7).to_string());
    assert_eq!(countersigned.request_xml, xml, "the user's octets, unchanged");
    assert_eq!(countersigned.supplementary_remote_party_id, SUPPLIER.0);
    let target = countersigned.target.unwrap();
    assert_eq!(
        (target.device, target.device_kind.as_str(), target.hub),
        (ESME.0, "ESME", HUB.0)
    );
    let dcc = bench.parties.key(DCC).certificate();
    assert_eq!(request.signer_serial, dcc.serial());
    assert!(verify_octets(&request.countersigned, &request.signature, dcc));
    running.accept(&envelope).await;

    let signed = bench.parties.answer(id(7), status_payload());
    running.respond(id(7), "I0", signed.clone()).await;
    let delivery = running.supplier.delivery(HOUR).await.unwrap();
    assert!(bench.world.clock.now() >= left + bench.limits.delivery_gap);
    assert_eq!(delivery.0.trace_id, id(7).to_string());
    let message = read(&bench, &delivery.1.xml);
    assert_eq!(message.s1sp.as_ref().map(|signer| signer.eui), Some(S1SP));
    assert_eq!(message.response.header.response_id, Some(id(7).reversed()));
    let ResponseBody::Smets1 { srv, signed: inner, .. } = &message.response.body else {
        panic!("{message:?}")
    };
    assert_eq!(srv.map(|srv| srv.to_string()).as_deref(), Some("7.4"));
    assert_eq!(
        duis::read_signed_response(inner).unwrap(),
        duis::read_signed_response(&signed).unwrap()
    );
    // The S1SP may forget it: the journal has it.
    let confirmed = running.at_s1sp(SECOND).await.unwrap();
    assert_eq!((confirmed.kind(), confirmed.in_reply_to > 0), (Kind::Accepted, true));
    running.supplier.answer(&delivery, 204).await;

    // Told again, the DCC confirms again and delivers nothing.
    running.respond(id(7), "I0", signed).await;
    let confirmed = running.at_s1sp(SECOND).await.unwrap();
    assert_eq!(Accepted::decode(confirmed.body).unwrap().request_id, id(7).to_string());
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let expected = [
        Event::Acknowledged,
        Event::Accepted,
        Event::Outcome,
        Event::Delivered,
        Event::LateOutcome,
    ];
    assert_eq!(events(&bench, id(7)), expected);
    assert_eq!(running.handle.in_hand().await.unwrap(), dcc::InHand::default());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_s1sp_has_nothing_for_is_a_bare_error() {
    let bench = Bench::new();
    let mut running = bench.start();
    acknowledged(&bench, &mut running, 1).await;
    running.respond(id(1), "E20", Vec::new()).await;
    let message = read(&bench, &running.supplier.delivery(HOUR).await.unwrap().1.xml);
    assert_eq!(message.response.header.code.as_str(), "E20");
    assert!(matches!(
        message.response.body,
        ResponseBody::Message { payload: None, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn what_the_s1sp_says_wrongly_is_never_passed_on() {
    let bench = Bench::new();
    let mut running = bench.start();
    for (counter, code, signed) in [(1, "E6", Vec::new()), (2, "I0", b"<sr:Request/>".to_vec())] {
        acknowledged(&bench, &mut running, counter).await;
        running.respond(id(counter), code, signed).await;
        let delivery = running.supplier.delivery(HOUR).await.unwrap();
        assert_eq!(read(&bench, &delivery.1.xml).response.header.code.as_str(), "E1000");
        running.supplier.answer(&delivery, 204).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_s1sp_that_does_not_take_a_request_is_asked_again_up_to_the_limit() {
    let bench = Bench::new();
    let mut running = bench.start();
    acknowledged(&bench, &mut running, 1).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (_, request, _) = running.countersigned().await;
        seen.push((bench.world.clock.now(), request.countersigned));
    }
    assert_eq!(seen[2].0.since(seen[0].0), SimDuration::from_secs(20));
    assert!(
        seen.iter().all(|(_, octets)| *octets == seen[0].1),
        "the same octets each time"
    );
    let delivery = running.supplier.delivery(HOUR).await.unwrap();
    assert_eq!(read(&bench, &delivery.1.xml).response.header.code.as_str(), "E1003");
    running.supplier.answer(&delivery, 204).await;
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let expected = [
        Event::Acknowledged,
        Event::SentAgain,
        Event::SentAgain,
        Event::Outcome,
        Event::Delivered,
    ];
    assert_eq!(events(&bench, id(1)), expected);
}

#[tokio::test(start_paused = true)]
async fn an_s1sp_that_never_answers_ends_in_one_error_and_comes_too_late_then() {
    let bench = Bench::new();
    let mut running = bench.start();
    let before = bench.world.clock.now();
    acknowledged(&bench, &mut running, 1).await;
    let (envelope, ..) = running.countersigned().await;
    running.accept(&envelope).await;
    let delivery = running.supplier.delivery(HOUR).await.unwrap();
    assert!(bench.world.clock.now() >= before + bench.limits.outcome_limit);
    assert_eq!(read(&bench, &delivery.1.xml).response.header.code.as_str(), "E1004");
    running.supplier.answer(&delivery, 204).await;
    running
        .respond(id(1), "I0", bench.parties.answer(id(1), status_payload()))
        .await;
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let last = audit::of_request(&bench.store, id(1)).unwrap().pop().unwrap();
    assert_eq!((last.event, last.code.as_deref()), (Event::LateOutcome, Some("I0")));
}

#[tokio::test(start_paused = true)]
async fn a_refused_delivery_is_a_dead_letter_and_the_next_one_goes_on() {
    let bench = Bench::new();
    let mut running = bench.start();
    for counter in [1, 2] {
        acknowledged(&bench, &mut running, counter).await;
        running.respond(id(counter), "E20", Vec::new()).await;
    }
    let first = running.supplier.delivery(HOUR).await.unwrap();
    running.supplier.answer(&first, 400).await;
    let second = running.supplier.delivery(HOUR).await.unwrap();
    running.supplier.answer(&second, 204).await;
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let letters = running.handle.dead_letters().await.unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!((letter.request, letter.status, letter.attempts), (Some(id(1)), 400, 1));
    // Visible, and deliverable again under its number.
    running
        .handle
        .deliver_again(SUPPLIER, letter.delivery_id)
        .await
        .unwrap();
    let again = running.supplier.delivery(HOUR).await.unwrap();
    assert_eq!(again.1, first.1);
    running.supplier.answer(&again, 204).await;
    assert!(
        running
            .handle
            .deliver_again(SUPPLIER, letter.delivery_id)
            .await
            .is_err()
    );
    let expected = [
        Event::Acknowledged,
        Event::Outcome,
        Event::DeadLettered,
        Event::DeliverAgain,
        Event::Delivered,
    ];
    assert_eq!(events(&bench, id(1)), expected);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_listener_is_tried_again_with_longer_pauses_up_to_the_limit() {
    let bench = Bench::new();
    let mut running = bench.start();
    acknowledged(&bench, &mut running, 1).await;
    running.respond(id(1), "E20", Vec::new()).await;
    let mut tries = Vec::new();
    // Not reached, then failing, then silent.
    for status in [Some(0), Some(503), None] {
        let delivery = running.supplier.delivery(HOUR).await.unwrap();
        tries.push((bench.world.clock.now(), delivery.1.clone()));
        if let Some(status) = status {
            running.supplier.answer(&delivery, status).await;
        }
    }
    assert!(
        tries.iter().all(|(_, delivery)| *delivery == tries[0].1),
        "same number, same octets"
    );
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    assert_eq!(pauses, [SimDuration::from_secs(5), SimDuration::from_secs(10)]);
    assert!(running.supplier.delivery(HOUR).await.is_none());
    let letters = running.handle.dead_letters().await.unwrap();
    assert_eq!((letters[0].status, letters[0].attempts), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn one_users_silence_does_not_hold_up_another() {
    let bench = Bench::new();
    let mut running = bench.start();
    acknowledged(&bench, &mut running, 1).await;
    running.respond(id(1), "E20", Vec::new()).await;
    assert!(running.supplier.delivery(HOUR).await.is_some(), "and is never answered");
    // Nobody is registered for pre-notified devices: 12.2 and 8.2 are open to every supplier.
    let order = orders::read_inventory(DCC, ESME);
    let reply = running
        .other
        .post(NON_DEVICE, bench.parties.signed(OTHER, 1, &order))
        .await;
    assert_eq!(read(&bench, &reply.xml).response.header.code.as_str(), "I0");
}

#[tokio::test(start_paused = true)]
async fn the_inventory_is_read_at_once() {
    let bench = Bench::new();
    let mut running = bench.start();
    let mpxn = "1200000000001".parse().unwrap();
    for (counter, order) in [
        (1, orders::read_inventory(DCC, ESME)),
        (2, orders::read_inventory_by_mpxn(DCC, mpxn)),
    ] {
        let reply = running.supplier.post(NON_DEVICE, bench.signed(counter, &order)).await;
        let message = read(&bench, &reply.xml);
        assert_eq!(message.response.header.code.as_str(), "I0");
        assert!(message.response.header.response_id.is_none());
        let ResponseBody::Message {
            payload: Some(payload), ..
        } = message.response.body
        else {
            panic!()
        };
        let text = |name| {
            payload
                .children
                .iter()
                .map(|d| d.child_text(name).unwrap_or("-"))
                .collect::<Vec<_>>()
        };
        assert_eq!(text("DeviceType"), ["CHF", "ESME", "GPF", "GSME"]);
        assert_eq!(text("DeviceStatus"), ["Commissioned"; 4]);
        assert_eq!(text("ImportMPxN"), ["-", "1200000000001", "-", "770000001"]);
        assert_eq!((text("CSPRegion")[0], text("S1SP")[0]), ("SMETS1", "S1SP-A"));
        assert_eq!(text("DateCommissioned")[0], "2019-05-01");
    }
    assert!(running.at_s1sp(HOUR).await.is_none());
    let id = RequestId {
        originator: SUPPLIER,
        target: DCC,
        counter: 1,
    };
    assert_eq!(events(&bench, id), [Event::Answered]);
}

#[tokio::test(start_paused = true)]
async fn an_announced_device_is_pending_also_after_a_restart() {
    let bench = Bench::new();
    let mut running = bench.start();
    let device = domain::Eui64(0x00DB_0000_0000_0001);
    let model = DeviceModel {
        manufacturer: "Example".into(),
        model: "M2".into(),
        hardware: String::new(),
        firmware: "00000002".into(),
    };
    let announced = orders::Announced {
        device,
        kind: DeviceKind::Esme,
        model,
        esme_variant: Some("A".into()),
    };
    let order = orders::pre_notify(DCC, &announced);
    for (counter, expected) in [(1, "I0"), (2, "E120201")] {
        let reply = running.supplier.post(NON_DEVICE, bench.signed(counter, &order)).await;
        assert_eq!(read(&bench, &reply.xml).response.header.code.as_str(), expected);
    }
    running.crash().await;
    let running = bench.start();
    let found = running.handle.look_up(Lookup::Device(device)).await.unwrap();
    assert_eq!((found.len(), found[0].status), (1, Some(SmiStatus::Pending)));
    running
        .handle
        .set_status(device, SmiStatus::InstalledNotCommissioned)
        .await
        .unwrap();
    assert!(running.handle.set_status(device, SmiStatus::Pending).await.is_ok());
    assert!(running.handle.set_status(device, SmiStatus::Recovered).await.is_err());
    let trail: Vec<_> = audit::of_device(&bench.store, device)
        .unwrap()
        .into_iter()
        .map(|r| r.event)
        .collect();
    assert_eq!(trail, [Event::Answered, Event::StatusChanged, Event::StatusChanged]);
}

#[tokio::test(start_paused = true)]
async fn reported_firmware_shows_in_the_inventory() {
    let bench = Bench::new();
    let mut running = bench.start();
    let xml = bench.signed(1, &orders::read_firmware_version(ESME));
    running.supplier.post(SEND, xml).await;
    let payload = Element::ra("ReadFirmwareVersionRsp").with_attribute("MessageSuccess", "true");
    let payload = payload.with_leaf("FirmwareVersion", "00000009");
    running.respond(id(1), "I0", bench.parties.answer(id(1), payload)).await;
    assert!(running.supplier.delivery(HOUR).await.is_some());
    running.crash().await;
    let running = bench.start();
    let found = running.handle.look_up(Lookup::Device(ESME)).await.unwrap();
    let firmware: Vec<_> = found.iter().map(|device| device.model.firmware.as_str()).collect();
    assert_eq!(firmware, ["00000001", "00000009", "00000001", "00000001"]);
}

#[tokio::test(start_paused = true)]
async fn alerts_go_once_to_the_registered_supplier() {
    let bench = Bench::new();
    let mut running = bench.start();
    let alert = |device: domain::Eui64, counter, is_s1sp_alert| S1spAlert {
        device: device.0,
        signed_xml: if is_s1sp_alert {
            bench.parties.s1sp_alert(device).into()
        } else {
            bench.parties.device_alert(device, SUPPLIER, counter).into()
        },
        is_s1sp_alert,
        counter,
        ..S1spAlert::default()
    };
    for alert in [
        alert(ESME, 2, false),
        alert(ESME, 2, false),
        alert(GPF, 1, false),
        alert(HUB, 1, true),
    ] {
        running
            .s1sp_sends(Kind::S1spAlert, "alert", &alert.encode_to_vec())
            .await;
        assert_eq!(running.at_s1sp(SECOND).await.unwrap().kind(), Kind::Accepted);
    }
    let mut bodies = Vec::new();
    while let Some(delivery) = running.supplier.delivery(HOUR).await {
        running.supplier.answer(&delivery, 204).await;
        let message = read(&bench, &delivery.1.xml);
        assert!(message.response.header.request_id.is_none());
        assert_eq!(message.s1sp.map(|signer| signer.eui), Some(S1SP));
        bodies.push((message.response.header.response_id.unwrap(), message.response.body));
    }
    let ids: Vec<_> = bodies
        .iter()
        .map(|(id, _)| (id.originator, id.target, id.counter))
        .collect();
    assert_eq!(ids, [(ESME, SUPPLIER, 2), (GPF, SUPPLIER, 1), (DCC, SUPPLIER, 3)]);
    assert!(matches!(&bodies[0].1, ResponseBody::Smets1 { srv: None, .. }));
    assert!(matches!(
        &bodies[2].1,
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp { .. },
            ..
        }
    ));
    // One that nobody is registered for is on record, and an older one that comes late is not lost.
    running
        .s1sp_sends(Kind::S1spAlert, "alert", &alert(HELD, 1, false).encode_to_vec())
        .await;
    running
        .s1sp_sends(Kind::S1spAlert, "alert", &alert(ESME, 1, false).encode_to_vec())
        .await;
    assert!(running.supplier.delivery(HOUR).await.is_some());
    let trail = audit::of_device(&bench.store, HELD).unwrap();
    assert_eq!(
        (trail.len(), trail[0].detail.as_str()),
        (1, "nobody is registered for it")
    );
}
