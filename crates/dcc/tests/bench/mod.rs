//! A DCC between users and an S1SP that the test plays by hand, all on the virtual clock.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its part, and a test may panic"
)]

use std::collections::VecDeque;
use std::sync::Arc;

use dcc::audit::{self, Event};
use dcc::{
    Dcc, DccHolds, Device, Directory, Handle, Holders, Inventory, Limits, Options, Products, Property, Registration,
    SmiStatus, Trust, User, WanMatrix,
};
use domain::{DeviceKind, DeviceModel, Eui64, RequestId, Seed, SimDuration, SimInstant, UserRole};
use duis::signature::{Certificate, CertificateBook, SigningKey, sign};
use duis::{DeviceAlert, Element, Request, ResponseBody, S1spAlert, SignedBody, SignedHeader};
use proto::{
    Accepted, Countersigned, CountersignedServiceRequest, DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest,
    Envelope, Kind, Message, S1spResponse,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use users::Order;
use world::{LinkEnd, MemoryStore, StoreError, World};

pub(crate) const SUPPLIER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
pub(crate) const NETWORK: Eui64 = Eui64(0x90B3_D51F_3002_0000);
pub(crate) const OTHER: Eui64 = Eui64(0x90B3_D51F_3003_0000);
pub(crate) const SUSPENDED: Eui64 = Eui64(0x90B3_D51F_3004_0000);
pub(crate) const STRANGER: Eui64 = Eui64(0x90B3_D51F_3005_0000);
pub(crate) const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);
pub(crate) const S1SP: Eui64 = Eui64(0x90B3_D51F_3000_0051);
pub(crate) const HUB: Eui64 = Eui64(0x00DB_1234_5678_90A1);
pub(crate) const ESME: Eui64 = Eui64(0x00DB_1234_5678_90A0);
pub(crate) const GSME: Eui64 = Eui64(0x00DB_1234_5678_90A2);
pub(crate) const GPF: Eui64 = Eui64(0x00DB_1234_5678_90A3);
pub(crate) const HELD: Eui64 = Eui64(0x00DB_1234_5678_90A4);

pub(crate) const SEND: &str = "/api/v1/serviceS";
pub(crate) const NON_DEVICE: &str = "/api/v1/serviceD";
pub(crate) const TRANSFORM: &str = "/api/v1/serviceT";

/// Keys and certificates of everybody.
pub(crate) struct Parties {
    keys: Vec<(Eui64, Arc<SigningKey>)>,
    /// Their certificates: base64 of DER.
    certificates: Vec<(Eui64, String)>,
    pub(crate) book: Arc<CertificateBook>,
    /// A key of the supplier that nobody has the certificate of.
    pub(crate) unknown: SigningKey,
    /// Keys of the supplier with a certificate that ended in 2019, with one that begins in 2021, and with one of a role
    /// that signs no requests.
    pub(crate) expired: SigningKey,
    pub(crate) early: SigningKey,
    pub(crate) organisation: SigningKey,
}

impl Parties {
    fn new() -> Self {
        let mut book = CertificateBook::new();
        let make = |eui: Eui64, serial: u64, role: &str, years: (i32, i32)| {
            let pair = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
            params.distinguished_name = rcgen::DistinguishedName::new();
            let name = &mut params.distinguished_name;
            name.push(rcgen::DnType::OrganizationalUnitName, role);
            name.push(rcgen::DnType::CommonName, eui.to_string());
            params.serial_number = Some(serial.into());
            let pem = params.self_signed(&pair).unwrap().pem();
            let key = SigningKey::from_pem(&pair.serialize_pem(), &pem).unwrap();
            (key, Certificate::from_pem(&pem).unwrap(), pem)
        };
        let mut special = |serial, role, years| {
            let (key, certificate, _) = make(SUPPLIER, serial, role, years);
            book.add(certificate).unwrap();
            key
        };
        let expired = special(5001, "87", (2018, 2020));
        let early = special(5002, "87", (2021, 2118));
        let organisation = special(5003, "02", (2018, 2118));
        let (mut keys, mut certificates) = (Vec::new(), Vec::new());
        for (eui, serial) in [SUPPLIER, NETWORK, OTHER, SUSPENDED, STRANGER, DCC, S1SP]
            .into_iter()
            .zip(1001..)
        {
            let (key, certificate, pem) = make(eui, serial, "87", (2018, 2118));
            book.add(certificate).unwrap();
            let lines = pem.lines().filter(|line| !line.starts_with('-'));
            certificates.push((eui, lines.collect()));
            keys.push((eui, Arc::new(key)));
        }
        Self {
            keys,
            certificates,
            book: Arc::new(book),
            unknown: make(SUPPLIER, 9999, "87", (2018, 2118)).0,
            expired,
            early,
            organisation,
        }
    }

    pub(crate) fn key(&self, eui: Eui64) -> &Arc<SigningKey> {
        &self.keys.iter().find(|(of, _)| *of == eui).unwrap().1
    }

    /// Somebody's certificate as requests carry it.
    pub(crate) fn certificate(&self, eui: Eui64) -> String {
        self.certificates.iter().find(|(of, _)| *of == eui).unwrap().1.clone()
    }

    /// The written request, not signed.
    pub(crate) fn unsigned(&self, from: Eui64, counter: u64, order: &Order) -> Vec<u8> {
        let id = RequestId {
            originator: from,
            target: order.target,
            counter,
        };
        let request = Request::new(id, order.srv).with_command_variant(order.command_variant);
        duis::write::request(&request.with_body(order.body.clone())).unwrap()
    }

    /// A request as it is, signed by its originator.
    pub(crate) fn sign(&self, request: &Request) -> Vec<u8> {
        sign(&duis::write::request(request).unwrap(), self.key(request.id.originator)).unwrap()
    }

    pub(crate) fn signed(&self, from: Eui64, counter: u64, order: &Order) -> Vec<u8> {
        sign(&self.unsigned(from, counter, order), self.key(from)).unwrap()
    }

    /// What the S1SP says a device answered.
    pub(crate) fn answer(&self, id: RequestId, payload: Element) -> Vec<u8> {
        let body = SignedBody::Response {
            payload: Some(payload),
            debug: None,
        };
        let header = SignedHeader::new(id.target, id.originator, id.counter);
        sign(
            &duis::write::smets1_signed_response(&header, &body).unwrap(),
            self.key(S1SP),
        )
        .unwrap()
    }

    pub(crate) fn device_alert(&self, device: Eui64, user: Eui64, counter: u64) -> Vec<u8> {
        let alert = DeviceAlert {
            code: Some(0x8F1D),
            description: Some("GSME power supply loss".into()),
            at: SimInstant(0),
            payload: None,
        };
        let header = SignedHeader::new(device, user, counter);
        let xml = duis::write::smets1_signed_response(&header, &SignedBody::Alert(alert)).unwrap();
        sign(&xml, self.key(S1SP)).unwrap()
    }

    pub(crate) fn s1sp_alert(&self, device: Eui64) -> Vec<u8> {
        let alert = S1spAlert {
            schema_version: "5.1".into(),
            request_id: None,
            device: Some(device),
            code: "LAB-HUB-UNREACHABLE".into(),
            information: None,
            utrn: None,
            at: SimInstant(0),
        };
        sign(&duis::write::s1sp_alert(&alert).unwrap(), self.key(S1SP)).unwrap()
    }
}

/// Everything that outlives a DCC.
pub(crate) struct Bench {
    pub(crate) parties: Parties,
    pub(crate) world: World,
    pub(crate) store: MemoryStore,
    pub(crate) limits: Limits,
    pub(crate) trust: Trust,
    pub(crate) credentials: dcc::Records,
    pub(crate) products: Products,
    pub(crate) holders: Arc<dyn Holders>,
    pub(crate) thresholds: dcc::Thresholds,
    pub(crate) directory: Directory,
    pub(crate) inventory: Inventory,
}

/// A running DCC with its peers' ends.
pub(crate) struct Running {
    pub(crate) supplier: Peer,
    pub(crate) other: Peer,
    pub(crate) network: Peer,
    pub(crate) s1sp: LinkEnd,
    pub(crate) handle: Handle,
    task: JoinHandle<Result<(), StoreError>>,
    shutdown: CancellationToken,
    world: World,
}

impl Bench {
    /// One whose journal keeps its long form.
    pub(crate) fn without_snapshots() -> Self {
        let mut bench = Self::new();
        bench.limits.snapshot_after_octets = u64::MAX;
        bench
    }

    pub(crate) fn new() -> Self {
        let start = SimInstant::from_utc(2020, 6, 1, 9, 0, 0).unwrap();
        let limits = Limits {
            request_octets_max: 100_000,
            delivery_gap: SimDuration::from_millis(500),
            delivery_attempts: 3,
            delivery_pause: SimDuration::from_secs(5),
            delivery_timeout: SimDuration::from_secs(30),
            s1sp_attempts: 3,
            s1sp_accept_timeout: SimDuration::from_secs(10),
            outcome_limit: SimDuration::from_mins(30),
            // A snapshot with every commit: what a test finds after a restart came through one.
            snapshot_after_octets: 1,
            ..Limits::default()
        };
        Self {
            parties: Parties::new(),
            world: World::virtual_at(start, Seed::root(1)),
            store: MemoryStore::default(),
            limits,
            trust: Trust::default(),
            credentials: dcc::Records::default(),
            products: Products::default(),
            holders: Arc::new(DccHolds),
            thresholds: dcc::Thresholds::default(),
            directory: directory(),
            inventory: inventory(),
        }
    }

    /// Starts a DCC on the journal as it is.
    pub(crate) fn start(&self) -> Running {
        let link = |eui: Eui64| self.world.link("dcc", &format!("user:{eui}"));
        let ((to_supplier, supplier), (to_other, other)) = (link(SUPPLIER), link(OTHER));
        let (to_network, network) = link(NETWORK);
        let (to_s1sp, s1sp) = self.world.link("dcc", "s1sp");
        let options = Options {
            eui: DCC,
            key: Arc::clone(self.parties.key(DCC)),
            certificates: self.parties.book.clone(),
            trust: self.trust.clone(),
            directory: Arc::new(self.directory.clone()),
            inventory: self.inventory.clone(),
            credentials: self.credentials.clone(),
            products: self.products.clone(),
            wan_matrix: WanMatrix::builtin(),
            holders: Arc::clone(&self.holders),
            thresholds: self.thresholds.clone(),
            store: Box::new(self.store.reopened()),
            limits: self.limits,
        };
        let links = vec![(SUPPLIER, to_supplier), (OTHER, to_other), (NETWORK, to_network)];
        let (dcc, handle) = Dcc::new(self.world.clone(), links, to_s1sp, options).unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(dcc.run(shutdown.clone()));
        let peer = |end| Peer {
            end,
            world: self.world.clone(),
            deliveries: VecDeque::new(),
        };
        let (supplier, other, network) = (peer(supplier), peer(other), peer(network));
        Running {
            supplier,
            other,
            network,
            s1sp,
            handle,
            task,
            shutdown,
            world: self.world.clone(),
        }
    }

    pub(crate) fn signed(&self, counter: u64, order: &Order) -> Vec<u8> {
        self.parties.signed(SUPPLIER, counter, order)
    }

    /// What a reply says, verified.
    pub(crate) fn said(&self, reply: &DuisReply) -> Said {
        self.read(&reply.xml)
    }

    /// What a document of the DCC says, verified.
    pub(crate) fn read(&self, xml: &[u8]) -> Said {
        let response = users::read(xml, DCC, &*self.parties.book).unwrap().response;
        Said {
            code: response.header.code.to_string(),
            header: response.header,
            body: response.body,
        }
    }

    /// The events of the audit trail about a request.
    pub(crate) fn events(&self, id: RequestId) -> Vec<Event> {
        let records = audit::of_request(&self.store, id).unwrap();
        records.into_iter().map(|record| record.event).collect()
    }
}

/// A document of the DCC, read.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) header: duis::ResponseHeader,
    pub(crate) body: ResponseBody,
}

impl Said {
    /// The payload of a plain response.
    pub(crate) fn payload(&self) -> Option<&Element> {
        match &self.body {
            ResponseBody::Message { payload, .. } => payload.as_ref(),
            _ => None,
        }
    }

    /// Code and payload of a DCC alert.
    pub(crate) fn alert(&self) -> Option<(&str, &Element)> {
        match &self.body {
            ResponseBody::DccAlert {
                code,
                alert: duis::DccAlert::Payload(payload),
                ..
            } => Some((code.as_str(), payload)),
            _ => None,
        }
    }
}

impl Running {
    /// Kills the DCC as it is.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// The next message at the S1SP's door; none within the time.
    pub(crate) async fn at_s1sp(&mut self, within: SimDuration) -> Option<Envelope> {
        self.world.clock.timeout(within, self.s1sp.recv()).await.ok().flatten()
    }

    /// The next countersigned request, which must come within a minute.
    pub(crate) async fn countersigned(&mut self) -> (Envelope, CountersignedServiceRequest, Countersigned) {
        loop {
            let envelope = self
                .at_s1sp(SimDuration::from_mins(1))
                .await
                .expect("a countersigned request");
            if envelope.kind() == Kind::CountersignedRequest {
                let request = CountersignedServiceRequest::decode(envelope.body.clone()).unwrap();
                let countersigned = Countersigned::decode(request.countersigned.clone()).unwrap();
                return (envelope, request, countersigned);
            }
        }
    }

    /// The same, for a request that is held until then.
    pub(crate) async fn countersigned_by(&mut self, date: &str) {
        let by: SimInstant = date.parse().unwrap();
        let within = by.since(self.world.clock.now()) + SimDuration::from_mins(1);
        let envelope = self.at_s1sp(within).await.expect("a countersigned request");
        assert_eq!(envelope.kind(), Kind::CountersignedRequest);
        self.accept(&envelope).await;
    }

    pub(crate) async fn accept(&self, request: &Envelope) {
        let body = Accepted {
            request_id: request.trace_id.clone(),
        }
        .encode_to_vec();
        self.s1sp.sender().reply(request, Kind::Accepted, &body).await.unwrap();
    }

    /// The S1SP's outcome of a request.
    pub(crate) async fn respond(&self, id: RequestId, code: &str, signed: Vec<u8>) {
        let response = S1spResponse {
            request_id: id.to_string(),
            signed_response_xml: signed.into(),
            response_code: code.into(),
            confidence: "inferred".into(),
            ..S1spResponse::default()
        };
        self.s1sp_sends(Kind::S1spResponse, &id.to_string(), &response.encode_to_vec())
            .await;
    }

    pub(crate) async fn s1sp_sends(&self, kind: Kind, trace_id: &str, body: &[u8]) {
        let envelope = Envelope {
            trace_id: trace_id.into(),
            ..Envelope::default()
        };
        self.s1sp.send(envelope, kind, body).await.unwrap();
    }
}

/// A user's end of its link.
pub(crate) struct Peer {
    end: LinkEnd,
    world: World,
    deliveries: VecDeque<(Envelope, DuisDelivery)>,
}

impl Peer {
    /// Posts a request and waits for the reply in the same exchange.
    pub(crate) async fn post(&mut self, path: &str, xml: Vec<u8>) -> DuisReply {
        let body = DuisRequest {
            path: path.into(),
            xml: xml.into(),
        }
        .encode_to_vec();
        let id = self
            .end
            .send(Envelope::default(), Kind::DuisRequest, &body)
            .await
            .unwrap();
        loop {
            let envelope = self
                .next(SimDuration::from_secs(3))
                .await
                .expect("a reply within three seconds");
            if envelope.in_reply_to == id {
                return DuisReply::decode(envelope.body).unwrap();
            }
        }
    }

    /// All deliveries within the time, each taken.
    pub(crate) async fn take_all(&mut self, within: SimDuration) -> Vec<DuisDelivery> {
        let mut taken = Vec::new();
        while let Some(delivery) = self.delivery(within).await {
            self.answer(&delivery, 204).await;
            taken.push(delivery.1);
        }
        taken
    }

    /// Sends something and waits for nothing.
    pub(crate) async fn send(&self, kind: Kind, body: &[u8]) {
        self.end.send(Envelope::default(), kind, body).await.unwrap();
    }

    /// The next delivery within the time.
    pub(crate) async fn delivery(&mut self, within: SimDuration) -> Option<(Envelope, DuisDelivery)> {
        if self.deliveries.is_empty() {
            self.next(within).await;
        }
        self.deliveries.pop_front()
    }

    async fn next(&mut self, within: SimDuration) -> Option<Envelope> {
        let envelope = self.world.clock.timeout(within, self.end.recv()).await.ok().flatten()?;
        if envelope.kind() == Kind::DuisDelivery {
            let delivery = DuisDelivery::decode(envelope.body.clone()).unwrap();
            self.deliveries.push_back((envelope.clone(), delivery));
        }
        Some(envelope)
    }

    pub(crate) async fn answer(&self, delivery: &(Envelope, DuisDelivery), http_status: u32) {
        let ack = DuisDeliveryAck {
            delivery_id: delivery.1.delivery_id,
            http_status,
        };
        self.end
            .sender()
            .reply(&delivery.0, Kind::DuisDeliveryAck, &ack.encode_to_vec())
            .await
            .unwrap();
    }
}

/// The usual users, the supplier changed.
pub(crate) fn directory_with(change: impl Fn(&mut User)) -> Directory {
    let usual = directory();
    let users = usual.users().cloned().map(|mut user| {
        if user.eui == SUPPLIER {
            change(&mut user);
        }
        user
    });
    Directory::new(users, usual.registrations().iter().copied()).unwrap()
}

pub(crate) fn directory() -> Directory {
    let user = |eui, roles: &[UserRole], suspended| User {
        eui,
        name: format!("user {eui}"),
        roles: roles.to_vec(),
        certificates: Vec::new(),
        call_back: None,
        fetches: false,
        schema: None,
        suspended,
    };
    let supplier = [UserRole::ImportSupplier, UserRole::GasSupplier];
    let users = [
        user(SUPPLIER, &supplier, false),
        user(OTHER, &supplier, false),
        user(NETWORK, &[UserRole::ElectricityDistributor], false),
        user(SUSPENDED, &supplier, true),
    ];
    let point = |digits: &str| digits.parse().unwrap();
    let (mpan, mprn) = (point("1200000000001"), point("770000001"));
    let change = SimInstant::from_utc(2020, 7, 1, 0, 0, 0);
    let registrations = [
        Registration::always(mpan, UserRole::ImportSupplier, SUPPLIER),
        Registration::always(mprn, UserRole::GasSupplier, SUPPLIER),
        Registration::always(mpan, UserRole::ElectricityDistributor, NETWORK),
        Registration::always(point("1200000000005"), UserRole::ImportSupplier, OTHER),
        Registration {
            from: change,
            ..Registration::always(mpan, UserRole::ImportSupplier, OTHER)
        },
    ];
    let mut directory = Directory::new(users, registrations).unwrap();
    // The second home has no device yet.
    for (number, points) in [("7", &["1200000000001", "770000001"][..]), ("9", &["1200000000009"])] {
        let home = Arc::new(Property {
            uprn: Some(format!("10000000000{number}")),
            post_code: Some("ZZ1 1AA".into()),
            address_identifier: Some(number.into()),
        });
        directory.locate(points.iter().map(|mpxn| (point(mpxn), Arc::clone(&home))));
    }
    directory
}

pub(crate) fn inventory() -> Inventory {
    let model = Arc::new(DeviceModel {
        manufacturer: "Example".into(),
        model: "M1".into(),
        hardware: String::new(),
        firmware: "00000001".into(),
    });
    let since = SimInstant::from_utc(2019, 5, 1, 0, 0, 0).unwrap();
    let device = |id, kind, mpxn: Option<&str>, status| Device {
        hub: Some(HUB),
        mpxn: mpxn.map(|mpxn| mpxn.parse().unwrap()),
        s1sp: Some("S1SP-A".into()),
        esme_variant: (kind == DeviceKind::Esme).then(|| "A".into()),
        ..Device::new(id, kind, Arc::clone(&model), status, since)
    };
    Inventory::new([
        device(HUB, DeviceKind::Chf, None, SmiStatus::Commissioned),
        device(ESME, DeviceKind::Esme, Some("1200000000001"), SmiStatus::Commissioned),
        device(GSME, DeviceKind::Gsme, Some("770000001"), SmiStatus::Commissioned),
        device(GPF, DeviceKind::Gpf, None, SmiStatus::Commissioned),
        Device {
            hub: None,
            mpxn: None,
            ..device(HELD, DeviceKind::Esme, None, SmiStatus::Suspended)
        },
    ])
}
