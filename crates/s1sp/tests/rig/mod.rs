//! An S1SP with a real DCO and a house at the end of its WAN link; the test is the DCC.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its part, and a test may panic"
)]

#[path = "../../../head-end/tests/house/mod.rs"]
pub(crate) mod house;
#[path = "../../../dco/tests/parties/mod.rs"]
pub(crate) mod parties;

use domain::keys::Party;
use domain::{DeviceKind, Eui64, RequestId, Seed, SimDuration, SimInstant};
use duis::Element;
use proto::{Accepted, CountersignedServiceRequest, Envelope, Kind, Message, S1spAlert, S1spResponse};
use s1sp::{Limits, Options, S1sp, Vending};
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, MemoryStore, World};

use house::{ESME, GSME, HUB, House, Shared};
use parties::{DCC, Parties, USER};

pub(crate) fn noon() -> SimInstant {
    SimInstant::from_utc(2019, 3, 30, 12, 0, 0).unwrap()
}

/// The DCC's end of everything, and what it heard.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) parties: Parties,
    pub(crate) script: Shared,
    pub(crate) store: MemoryStore,
    pub(crate) engine_store: MemoryStore,
    pub(crate) dco_store: MemoryStore,
    pub(crate) dcc: LinkEnd,
    pub(crate) stop: CancellationToken,
    pub(crate) role: Option<tokio::task::JoinHandle<()>>,
    /// Whether messages are confirmed.
    pub(crate) confirm: bool,
    pub(crate) limits: Limits,
    pub(crate) vending: Vending,
    pub(crate) directory: head_end::Directory,
    /// Whether the DCO is there.
    pub(crate) dco: bool,
    pub(crate) accepted: Vec<String>,
    pub(crate) responses: Vec<S1spResponse>,
    pub(crate) alerts: Vec<S1spAlert>,
    /// Responses and alerts in the order they came.
    pub(crate) heard: Vec<Kind>,
}

impl Rig {
    pub(crate) fn new(script: Shared) -> Self {
        // A snapshot after every commit: what a test finds after a restart came through one.
        let limits = Limits {
            snapshot_after_octets: 1,
            ..Limits::default()
        };
        Self::with(script, limits)
    }

    pub(crate) fn with(script: Shared, limits: Limits) -> Self {
        let world = World::virtual_at(noon(), Seed::root(1));
        let (dcc, _) = world.link("dcc", "s1sp");
        let mut rig = Self {
            world,
            parties: Parties::new(),
            script,
            store: MemoryStore::default(),
            engine_store: MemoryStore::default(),
            dco_store: MemoryStore::default(),
            dcc,
            stop: CancellationToken::new(),
            role: None,
            confirm: true,
            limits,
            vending: Vending::default(),
            directory: house::directory(),
            dco: true,
            accepted: Vec::new(),
            responses: Vec::new(),
            alerts: Vec::new(),
            heard: Vec::new(),
        };
        rig.start();
        rig
    }

    /// Starts S1SP, DCO and house, on the journals there are.
    pub(crate) fn start(&mut self) {
        let (dcc, s1sp_dcc) = self.world.link("dcc", "s1sp");
        let (s1sp_dco, dco) = self.world.link("s1sp", "dco");
        let (s1sp_wan, wan) = self.world.link("s1sp", "wan");
        let signing_key = self.parties.s1sp.key();
        let options = Options {
            signing_key,
            certificates: self.parties.book.clone(),
            dcc: DCC,
            custody: house::custody(Party::S1sp),
            directory: self.directory.clone(),
            models: head_end::Models::new(std::sync::Arc::new(dmc::Catalogue::builtin().unwrap())),
            engine: head_end::Options::default(),
            store: Box::new(self.store.clone()),
            engine_store: Box::new(self.engine_store.clone()),
            limits: self.limits.clone(),
            vending: self.vending,
        };
        let role = S1sp::new(self.world.clone(), s1sp_dcc, s1sp_dco, s1sp_wan, options).unwrap();
        let dco = self.dco.then_some(dco).map(|link| {
            let options = dco::Options::new(self.parties.book.clone(), DCC, house::relation(Party::Dco));
            dco::Dco::new(self.world.clone(), link, options, Box::new(self.dco_store.clone())).unwrap()
        });
        self.stop = CancellationToken::new();
        self.dcc = dcc;
        self.role = Some(tokio::spawn(role.run(self.stop.clone())));
        if let Some(dco) = dco {
            tokio::spawn(dco.run(self.stop.clone()));
        }
        tokio::spawn(House::new(&self.world, "s1sp", Party::S1sp, wan, self.script.clone()).run());
    }

    pub(crate) async fn restart(&mut self) {
        self.stop.cancel();
        if let Some(role) = self.role.take() {
            role.await.unwrap();
        }
        self.start();
    }

    pub(crate) fn countersigned(
        &self,
        srv: &str,
        device: Eui64,
        counter: u64,
        body: Element,
    ) -> CountersignedServiceRequest {
        let kind = if device == GSME {
            DeviceKind::Gsme
        } else {
            DeviceKind::Esme
        };
        let xml = self.parties.request(srv, device, counter, body);
        self.parties.countersign(xml, device, kind, HUB, self.world.clock.now())
    }

    pub(crate) fn read(&self, counter: u64) -> CountersignedServiceRequest {
        self.countersigned("4.1.1", ESME, counter, Element::sr("ReadInstantaneousImportRegisters"))
    }

    pub(crate) fn disable(&self, counter: u64) -> CountersignedServiceRequest {
        self.countersigned("7.2", ESME, counter, Element::sr("DisableSupply"))
    }

    pub(crate) async fn send(&self, id: RequestId, message: &CountersignedServiceRequest) {
        let envelope = Envelope {
            trace_id: id.to_string(),
            ..Envelope::default()
        };
        self.dcc
            .send(envelope, Kind::CountersignedRequest, &message.encode_to_vec())
            .await
            .unwrap();
    }

    /// Listens for so long.
    pub(crate) async fn listen(&mut self, span: SimDuration) {
        let until = self.world.clock.now() + span;
        loop {
            let clock = self.world.clock.clone();
            let envelope = tokio::select! {
                biased;
                envelope = self.dcc.recv() => envelope.unwrap(),
                () = clock.sleep_until(until) => return,
            };
            match envelope.kind() {
                Kind::Accepted => {
                    self.accepted.push(Accepted::decode(envelope.body).unwrap().request_id);
                    continue;
                }
                Kind::S1spResponse => self
                    .responses
                    .push(S1spResponse::decode(envelope.body.clone()).unwrap()),
                Kind::S1spAlert => self.alerts.push(S1spAlert::decode(envelope.body.clone()).unwrap()),
                kind => panic!("{kind:?}"),
            }
            self.heard.push(envelope.kind());
            if self.confirm {
                let accepted = Accepted {
                    request_id: envelope.trace_id.clone(),
                }
                .encode_to_vec();
                self.dcc
                    .sender()
                    .reply(&envelope, Kind::Accepted, &accepted)
                    .await
                    .unwrap();
            }
        }
    }

    pub(crate) fn executed(&self, of: &str) -> usize {
        self.script
            .lock()
            .executed
            .iter()
            .filter(|(_, _, operation, _)| operation.to_string().starts_with(of))
            .count()
    }

    /// The one response there must be.
    pub(crate) fn only_response(&self) -> &S1spResponse {
        assert_eq!(self.responses.len(), 1, "{:?}", self.responses);
        &self.responses[0]
    }
}

pub(crate) fn id(target: Eui64, counter: u64) -> RequestId {
    RequestId {
        originator: USER,
        target,
        counter,
    }
}

pub(crate) fn virtually<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await });
}
