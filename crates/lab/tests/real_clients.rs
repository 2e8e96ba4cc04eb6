//! What the published client of DCC Boxed meets here. It cannot be installed in every place, so a small client of our own
//! stands in for it: serial numbers alone choose keys, three seconds for a reply, only 2xx with `application/xml` counts,
//! a request is known once its I99 was read, 204 for known messages and 400 for SMETS1 responses.

mod on_sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{Eui64, RequestId};
use duis::signature::{Certificate, SignatureError};
use duis::{Response, ResponseBody, ResponseCode};
use lab::config::ThresholdConfig;
use lab::listen::{Listener, Manner, Received};
use lab::pki::base64_of;
use on_sockets::{LOOPBACK, Up, config, plain, post, start};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use users::{Order, orders};

/// The client's total limit for one exchange.
const REPLY: Duration = Duration::from_secs(3);
const RECEIVE: &str = "/smartdcc/duis";

struct Boxed<'a> {
    lab: &'a Up,
    /// Certificates by serial number alone: what it looked up.
    known: BTreeMap<String, Certificate>,
    /// Requests whose I99 it has read.
    waiting: BTreeSet<RequestId>,
    counter: u64,
}

impl<'a> Boxed<'a> {
    /// Looks the DCC's signing certificate up, as it does for every party it meets.
    async fn new(lab: &'a Up) -> Self {
        let dcc = lab.handle.parts().config.dcc.eui;
        let mut client = Self {
            lab,
            known: BTreeMap::new(),
            waiting: BTreeSet::new(),
            counter: 0,
        };
        let search = format!(
            "<CertificateSearchRequest><CertificateSubjectAltName>{dcc}</CertificateSubjectAltName></CertificateSearchRequest>"
        );
        let found = client.look_up("certificatesearch", &search).await;
        for serial in texts(&found, "CertificateSerial") {
            let retrieve = format!(
                "<CertificateDataRequest><CertificateSerial>{serial}</CertificateSerial></CertificateDataRequest>"
            );
            let given = client.look_up("retrievecertificate", &retrieve).await;
            let body = texts(&given, "CertificateBody").pop().expect("a body");
            let own = &lab.handle.parts().pki.dcc.certificate_pem;
            if body == base64_of(own) {
                let certificate = Certificate::from_pem(own).expect("a certificate");
                assert_eq!(certificate.serial(), serial);
                assert!(
                    client.known.insert(serial, certificate).is_none(),
                    "it must occur exactly once"
                );
            }
        }
        assert_eq!(client.known.len(), 1, "{found}");
        client
    }

    async fn look_up(&self, what: &str, question: &str) -> String {
        let path = format!("/services/{what}?apikey=anything");
        let answer = post(plain(&self.lab.address("lookup")).await, &path, question.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// One exchange with the front door: the signed reply, read and proved by serial number.
    async fn send(&mut self, order: &Order) -> (RequestId, Response) {
        self.counter += 1;
        let id = RequestId {
            originator: self.lab.handle.parts().pki.users[0].eui,
            target: order.target,
            counter: self.counter,
        };
        let signed = self.lab.signed(order, self.counter);
        let exchange = async { post(plain(&self.lab.address("duis")).await, order.path(), &signed).await };
        #[expect(clippy::disallowed_methods, reason = "a client outside the lab has its own clock")]
        let answer = tokio::time::timeout(REPLY, exchange)
            .await
            .expect("within three seconds");
        let (head, xml) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.to_ascii_lowercase().contains("content-type: application/xml"),
            "{head}"
        );
        let response = duis::read_response(xml.as_bytes()).expect("a response");
        let proved = self
            .known
            .values()
            .map(|known| duis::signature::verify(xml.as_bytes(), known));
        assert!(
            proved.into_iter().all(|proof: Result<_, SignatureError>| proof.is_ok()),
            "{xml}"
        );
        if response.header.code == ResponseCode::I99 {
            self.waiting.insert(id);
        }
        (id, response)
    }

    /// What its flow does with a delivery: 204 with the request it belongs to, where it remembers that.
    fn correlate(&mut self, received: &Received) -> Option<RequestId> {
        let id = duis::read_response(&received.xml).ok()?.header.request_id?;
        self.waiting.take(&id)
    }
}

/// The texts of all elements of that name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let start = format!("<{name}>");
    let parts = xml.split(&start).skip(1);
    parts
        .filter_map(|part| Some(part.split('<').next()?.to_owned()))
        .collect()
}

/// The published flow's receiver, and what it was posted.
async fn receiver(stop: CancellationToken) -> (String, mpsc::Receiver<Received>, JoinHandle<()>) {
    let bound = Listener::bind(
        LOOPBACK,
        RECEIVE,
        Manner::DccBoxed,
        lab::Config::default().dcc.eui,
        BTreeMap::new(),
    )
    .await;
    let (listener, heard) = bound.expect("bound");
    let address = format!("http://{}{RECEIVE}", listener.address().expect("bound"));
    let task = tokio::spawn(async move { listener.run(stop).await.expect("serves") });
    (address, heard, task)
}

#[tokio::test]
async fn the_published_client_works_and_its_refusals_become_dead_letters() {
    let stop = CancellationToken::new();
    let (address, mut heard, receiver) = receiver(stop.clone()).await;
    let state = tempfile::tempdir().expect("a folder");
    let mut config = config(state.path());
    config.users[0].listener = Some(address);
    config.access.thresholds.push(ThresholdConfig {
        user: Some(config.users[0].eui.to_string()),
        srv: Some("4.1.1".into()),
        count: 1,
        per_s: 3600,
    });
    let lab = start(config).await;
    let (dcc, meter) = (lab.handle.parts().config.dcc.eui, lab.meter());
    let mut client = Boxed::new(&lab).await;

    // Answers of the DCC itself, refusals included, are in the reply and with status 200.
    let (_, inventory) = client.send(&orders::read_inventory(dcc, meter)).await;
    assert_eq!(inventory.header.code, ResponseCode::I0);
    let nowhere = Eui64(0x00DB_1234_5678_90A0);
    let (_, refused) = client.send(&orders::read_import_registers(nowhere)).await;
    assert!(refused.header.code.as_str().starts_with('E'), "{:?}", refused.header);
    assert!(client.waiting.is_empty());

    // The answer of a device comes later, and is not known to it.
    let (read, acknowledged) = client.send(&orders::read_import_registers(meter)).await;
    assert_eq!(acknowledged.header.code, ResponseCode::I99);
    let smets1 = heard.recv().await.expect("posted");
    assert_eq!(smets1.status, 400, "{}", smets1.words);
    let response = duis::read_response(&smets1.xml).expect("a response");
    assert!(matches!(response.body, ResponseBody::Smets1 { .. }), "{response:?}");
    assert_eq!(client.correlate(&smets1), Some(read), "it came after its I99");
    let letter = loop {
        // Each question is a round trip to the DCC, which settles the refusal meanwhile.
        if let Some(letter) = lab.handle.dead_letters().await.expect("asked").pop() {
            break letter;
        }
    };
    assert_eq!((letter.request_id, letter.http_status), (read.to_string(), 400));
    assert_eq!(letter.attempts, 1, "a refusal is not tried again");
    assert!(letter.hint.contains("DCC Boxed"), "{}", letter.hint);

    // An alert it does know: its own threshold was exceeded.
    let (held, acknowledged) = client.send(&orders::read_import_registers(meter)).await;
    assert_eq!(acknowledged.header.code, ResponseCode::I99);
    let alert = heard.recv().await.expect("posted");
    assert_eq!((alert.status, client.correlate(&alert)), (204, None), "{}", alert.words);
    assert!(alert.words.contains("DCC alert N46"), "{}", alert.words);
    assert!(client.waiting.contains(&held), "still without an outcome");

    // What it refused comes once more when asked for, byte for byte the same.
    let user = lab.handle.parts().pki.users[0].eui.to_string();
    lab.handle
        .deliver_again(&user, letter.delivery_id)
        .await
        .expect("put back");
    let again = heard.recv().await.expect("posted");
    assert_eq!(again.xml, smets1.xml);
    lab.stop().await;
    stop.cancel();
    receiver.await.expect("ended");
}
