//! The client against a DCC that the test plays by hand, on the virtual clock.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use domain::{Eui64, RequestId, Seed, SimDuration, SimInstant};
use duis::signature::{Certificate, CertificateBook, SigningKey, sign, verify};
use duis::{DeviceAlert, Element, ResponseCode, ResponseHeader, SignedBody, SignedHeader};
use proto::{DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind, Message};
use tokio_util::sync::CancellationToken;
use users::{Client, ClientError, Options, Order, Supplier, orders};
use world::{LinkEnd, World};

const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);
const S1SP: Eui64 = Eui64(0x90B3_D51F_3000_0051);
const ESME: Eui64 = Eui64(0x00DB_1234_5678_90A0);
const OTHER: Eui64 = Eui64(0x00DB_1234_5678_90A1);
const MINUTE: SimDuration = SimDuration::from_mins(1);

struct Bench {
    world: World,
    user: Arc<SigningKey>,
    dcc: SigningKey,
    s1sp: SigningKey,
    /// A key of the DCC without a known certificate.
    forger: SigningKey,
    book: Arc<CertificateBook>,
}

impl Bench {
    fn new() -> Self {
        let mut book = CertificateBook::new();
        let make = |eui: Eui64, serial: u64| {
            let pair = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, eui.to_string());
            params.serial_number = Some(serial.into());
            let pem = params.self_signed(&pair).unwrap().pem();
            let key = SigningKey::from_pem(&pair.serialize_pem(), &pem).unwrap();
            (key, Certificate::from_pem(&pem).unwrap())
        };
        let mut known = |eui, serial| {
            let (key, certificate) = make(eui, serial);
            book.add(certificate).unwrap();
            key
        };
        let (user, dcc, s1sp) = (known(USER, 1), known(DCC, 2), known(S1SP, 3));
        let start = SimInstant::from_utc(2020, 6, 1, 9, 0, 0).unwrap();
        Self {
            world: World::virtual_at(start, Seed::root(1)),
            user: Arc::new(user),
            dcc,
            s1sp,
            forger: make(DCC, 4).0,
            book: Arc::new(book),
        }
    }

    /// A client whose task runs, and the DCC's end of its link.
    fn client(&self) -> (Client, LinkEnd) {
        let (dcc, link) = self.world.link("dcc", &format!("user:{USER}"));
        let options = Options {
            eui: USER,
            dcc: DCC,
            key: Arc::clone(&self.user),
            certificates: self.book.clone(),
            reply_limit: SimDuration::from_secs(3),
        };
        let (client, task) = Client::new(&self.world, link, options);
        tokio::spawn(task.run(CancellationToken::new()));
        (client, dcc)
    }

    fn reply(&self, id: RequestId, code: ResponseCode) -> Vec<u8> {
        let header = ResponseHeader::replying(id, code, SimInstant(0));
        duis::write::response(&header, "7.4".parse().unwrap(), None).unwrap()
    }

    /// A device's answer to `inner`, delivered as the answer to `outer`, not signed by the DCC yet.
    fn answer(&self, outer: RequestId, inner: RequestId) -> Vec<u8> {
        let payload = Element::ra("ReadSupplyStatusRsp").with_attribute("MessageSuccess", "true");
        let body = SignedBody::Response {
            payload: Some(payload),
            debug: None,
        };
        let header = SignedHeader::new(inner.target, inner.originator, inner.counter);
        let inner = sign(
            &duis::write::smets1_signed_response(&header, &body).unwrap(),
            &self.s1sp,
        )
        .unwrap();
        let header = ResponseHeader::answering(outer, ResponseCode::I0, SimInstant(0));
        duis::write::smets1_response(&header, Some("7.4".parse().unwrap()), None, None, &inner).unwrap()
    }

    fn alert(&self) -> Vec<u8> {
        let alert = DeviceAlert {
            code: Some(0x8F1D),
            description: Some("GSME power supply loss".into()),
            at: SimInstant(0),
            payload: None,
        };
        let header = SignedHeader::new(ESME, USER, 1);
        let xml = duis::write::smets1_signed_response(&header, &SignedBody::Alert(alert)).unwrap();
        let inner = sign(&xml, &self.s1sp).unwrap();
        let id = RequestId {
            originator: ESME,
            target: USER,
            counter: 1,
        };
        duis::write::smets1_response(&ResponseHeader::alert(id, SimInstant(0)), None, None, None, &inner).unwrap()
    }
}

/// Takes the next request and answers it with what `make` gives for its id.
async fn serve(dcc: &mut LinkEnd, make: impl FnOnce(RequestId) -> Vec<u8>) -> (String, Vec<u8>, RequestId) {
    let envelope = dcc.recv().await.unwrap();
    assert_eq!(envelope.kind(), Kind::DuisRequest);
    let posted = DuisRequest::decode(envelope.body.clone()).unwrap();
    let id = duis::read_request(&posted.xml).unwrap().id;
    assert_eq!(envelope.trace_id, id.to_string());
    let reply = DuisReply {
        http_status: 200,
        xml: make(id).into(),
        ..DuisReply::default()
    };
    dcc.sender()
        .reply(&envelope, Kind::DuisReply, &reply.encode_to_vec())
        .await
        .unwrap();
    (posted.path, posted.xml.to_vec(), id)
}

/// Delivers a document and gives the status the client answers with.
async fn deliver(dcc: &mut LinkEnd, delivery_id: u64, xml: Vec<u8>) -> u32 {
    let body = DuisDelivery {
        delivery_id,
        xml: xml.into(),
    }
    .encode_to_vec();
    dcc.send(Envelope::default(), Kind::DuisDelivery, &body).await.unwrap();
    let envelope = dcc.recv().await.unwrap();
    assert_eq!(envelope.kind(), Kind::DuisDeliveryAck);
    let ack = DuisDeliveryAck::decode(envelope.body).unwrap();
    assert_eq!(ack.delivery_id, delivery_id);
    ack.http_status
}

#[tokio::test(start_paused = true)]
async fn a_request_is_signed_acknowledged_and_answered() {
    let bench = Bench::new();
    let (client, mut dcc) = bench.client();
    let served = async {
        let (path, xml, id) = serve(&mut dcc, |id| {
            sign(&bench.reply(id, ResponseCode::I99), &bench.dcc).unwrap()
        })
        .await;
        assert_eq!(path, "/api/v1/serviceS");
        assert_eq!(verify(&xml, &*bench.book).unwrap().eui, USER);
        let answer = sign(&bench.answer(id, id), &bench.dcc).unwrap();
        assert_eq!(deliver(&mut dcc, 1, answer.clone()).await, 204);
        assert_eq!(deliver(&mut dcc, 1, answer).await, 204, "the same delivery again");
        id
    };
    let order = orders::read_supply_status(ESME);
    let (exchange, id) = tokio::join!(client.request(&order, MINUTE), served);
    let exchange = exchange.unwrap();
    assert_eq!((exchange.id, exchange.code()), (id, "I0"));
    assert!(exchange.reply.is_acknowledgement());
    assert_eq!(
        exchange.outcome.unwrap().message.s1sp.map(|signer| signer.eui),
        Some(S1SP)
    );
    assert!(
        client.take_unsolicited().is_none(),
        "the second delivery is the same one"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_believed_is_answered_with_400() {
    let bench = Bench::new();
    let (client, mut dcc) = bench.client();
    let id = RequestId {
        originator: USER,
        target: ESME,
        counter: 1,
    };
    let other = RequestId { target: OTHER, ..id };
    let good = sign(&bench.answer(id, id), &bench.dcc).unwrap();
    let tampered = String::from_utf8(good.clone())
        .unwrap()
        .replacen("\"true\"", "\"false\"", 1)
        .into_bytes();
    assert_ne!(tampered, good);
    let cases = [
        b"no XML".to_vec(),
        bench.answer(id, id),
        sign(&bench.answer(id, id), &bench.forger).unwrap(),
        sign(&bench.answer(id, id), &bench.s1sp).unwrap(),
        // The DCC signs over a part of the S1SP's that was changed, and over an answer of another device.
        sign(
            &String::from_utf8(bench.answer(id, id))
                .unwrap()
                .replacen("\"true\"", "\"false\"", 1)
                .into_bytes(),
            &bench.dcc,
        )
        .unwrap(),
        sign(&bench.answer(id, other), &bench.dcc).unwrap(),
        tampered,
    ];
    for (number, xml) in (1..).zip(cases) {
        assert_eq!(deliver(&mut dcc, number, xml).await, 400, "case {number}");
    }
    assert!(client.take_unsolicited().is_none());
    assert_eq!(deliver(&mut dcc, 99, good).await, 204);
    assert!(
        client.take_unsolicited().is_some(),
        "an outcome nobody waits for is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn alerts_wait_until_they_are_taken() {
    let bench = Bench::new();
    let (client, mut dcc) = bench.client();
    let alert = sign(&bench.alert(), &bench.dcc).unwrap();
    let (delivery, status) = tokio::join!(client.next_unsolicited(), deliver(&mut dcc, 5, alert));
    assert_eq!((delivery.delivery_id, status), (5, 204));
    assert!(delivery.message.response.header.request_id.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_no_end_says_why() {
    let bench = Bench::new();
    let (client, mut dcc) = bench.client();
    let order = orders::read_supply_status(ESME);
    let refusal = |id| sign(&bench.reply(id, ResponseCode::new("E19").unwrap()), &bench.dcc).unwrap();
    let (exchange, _) = tokio::join!(client.request(&order, MINUTE), serve(&mut dcc, refusal));
    let exchange = exchange.unwrap();
    assert_eq!((exchange.code(), exchange.outcome), ("E19", None));

    let acknowledge = |id| sign(&bench.reply(id, ResponseCode::I99), &bench.dcc).unwrap();
    let (late, _) = tokio::join!(client.request(&order, MINUTE), serve(&mut dcc, acknowledge));
    assert!(matches!(late, Err(ClientError::NoOutcome { .. })), "{late:?}");

    let (unsigned, _) = tokio::join!(
        client.request(&order, MINUTE),
        serve(&mut dcc, |id| bench.reply(id, ResponseCode::I99))
    );
    assert!(matches!(unsigned, Err(ClientError::BadReply { .. })), "{unsigned:?}");

    let silent = client.request(&order, MINUTE).await;
    assert!(matches!(silent, Err(ClientError::Call { .. })), "{silent:?}");

    let wrong = Order {
        body: Element::sr("ReadLogPeriod"),
        ..order
    };
    let written = client.request(&wrong, MINUTE).await;
    assert!(matches!(written, Err(ClientError::Write { .. })), "{written:?}");
}

#[tokio::test(start_paused = true)]
async fn counters_rise_per_target() {
    let bench = Bench::new();
    let (client, _dcc) = bench.client();
    let first = client.next_id(ESME);
    assert_eq!(first.counter, u64::try_from(client.now().0).unwrap());
    assert_eq!(
        client.next_id(ESME).counter,
        first.counter + 1,
        "also within one millisecond"
    );
    assert_eq!(client.next_id(OTHER).counter, first.counter);
}

#[tokio::test(start_paused = true)]
async fn a_supplier_works_through_its_list_whatever_comes() {
    let bench = Bench::new();
    let (client, mut dcc) = bench.client();
    let supplier = Supplier::new("Example Energy", client);
    let list = vec![
        orders::read_supply_status(ESME),
        orders::read_inventory(DCC, ESME),
        orders::arm_supply(OTHER),
    ];
    let served = async {
        for expected in ["/api/v1/serviceS", "/api/v1/serviceD", "/api/v1/serviceS"] {
            let refusal = |id| sign(&bench.reply(id, ResponseCode::new("E4").unwrap()), &bench.dcc).unwrap();
            assert_eq!(serve(&mut dcc, refusal).await.0, expected);
        }
    };
    let (done, ()) = tokio::join!(supplier.work_through(list.clone(), MINUTE), served);
    assert_eq!(done.iter().map(|done| done.order.clone()).collect::<Vec<_>>(), list);
    assert!(
        done.iter()
            .all(|done| done.result.as_ref().is_ok_and(|exchange| exchange.code() == "E4"))
    );
}

/// Every order of this room is a request that the schema knows.
#[test]
fn every_order_can_be_written() {
    let period = orders::Period {
        from: SimInstant(0),
        to: SimInstant(86_400_000),
    };
    let model = domain::DeviceModel {
        manufacturer: "Example".into(),
        model: "M1".into(),
        hardware: String::new(),
        firmware: "00000001".into(),
    };
    let kind = domain::DeviceKind::Esme;
    let announced = orders::Announced {
        device: ESME,
        kind,
        model,
        esme_variant: Some("A".into()),
    };
    let list = [
        orders::arm_supply(ESME),
        orders::disable_supply(ESME),
        orders::enable_supply(ESME),
        orders::pre_notify(DCC, &announced),
        orders::read_daily_log(ESME, period),
        orders::read_device_log(OTHER),
        orders::read_export_registers(ESME),
        orders::read_firmware_version(ESME),
        orders::read_import_profile(ESME, period),
        orders::read_import_registers(ESME),
        orders::read_inventory(DCC, ESME),
        orders::read_inventory_by_mpxn(DCC, "1200000000001".parse().unwrap()),
        orders::read_prepay_values(ESME),
        orders::read_prepayment_configuration(ESME),
        orders::read_supply_status(ESME),
        orders::synchronise_clock(ESME, SimInstant(0), 10),
    ];
    for (counter, order) in (1..).zip(list) {
        let id = RequestId {
            originator: USER,
            target: order.target,
            counter,
        };
        let request = duis::Request::new(id, order.srv).with_command_variant(order.command_variant);
        let xml = duis::write::request(&request.with_body(order.body)).unwrap_or_else(|e| panic!("{}: {e}", order.srv));
        assert_eq!(duis::read_request(&xml).unwrap().srv, order.srv);
    }
}
