//! Whole conversations with hubs: a head-end's end of the face against running installations, on the virtual clock.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeMap;

use bytes::Bytes;
use dialects::{HeadEndEvent, HeadEndSession, Keys, Notification, wake_up};
use dmc::Catalogue;
use domain::keys::{DeviceKey, Purpose, RelationSecret};
use domain::operation::{ApprovalFault, CriticalOperations, OperationKind};
use domain::{
    Answer, Approval, Association, DataItem, DeviceKind, Eui64, Operation, Outcome, Refusal, RequestId, Seed,
    SimDuration, SimInstant, SupplyState, Value,
};
use fleet::{ConsumerAct, DirectSession, Estate, Fleet, Handle, Share, Site};
use meter::Relations;
use proto::{Envelope, Kind, Message, WanData, WanOpen, WanSms};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, MemoryStore, Store, World};

fn relations() -> Relations {
    Relations {
        smso: RelationSecret::new([1; 32]),
        s1sp: RelationSecret::new([2; 32]),
        dco: RelationSecret::new([3; 32]),
    }
}

/// The custody of the S1SP, and what it remembers of counters.
#[derive(Default)]
struct Custody {
    counter: u32,
    seen: BTreeMap<(Eui64, Association), u32>,
}

impl Keys for Custody {
    fn key(&self, device: Eui64, purpose: Purpose) -> DeviceKey {
        relations().s1sp.device_key(device, 1, purpose)
    }

    fn next_counter(&mut self, _: Eui64, _: Association) -> u32 {
        self.counter += 1;
        self.counter
    }

    fn resume_counter_at(&mut self, _: Eui64, _: Association, next: u32) {
        self.counter = self.counter.max(next.saturating_sub(1));
    }

    fn note_device_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        let last = self.seen.entry((device, association)).or_default();
        let fresh = counter > *last;
        *last = counter.max(*last);
        fresh
    }

    fn note_text_counter(&mut self, _: Eui64, _: Association, _: u32) -> bool {
        true
    }

    fn system_title(&self) -> [u8; 8] {
        *b"LABS1SP1"
    }

    fn challenge(&mut self) -> [u8; 16] {
        [0xC5; 16]
    }
}

struct Lab {
    world: World,
    wan: LinkEnd,
    handle: Handle,
    site: Site,
    running: JoinHandle<()>,
    custody: Custody,
    wake_ups: u32,
    /// Every octet from the hub.
    heard: Vec<u8>,
}

/// A connection as the head-end sees it.
struct Connection {
    number: u64,
    session: HeadEndSession,
    events: Vec<HeadEndEvent>,
}

fn with_fleet<F: Future<Output = Vec<u8>>>(work: impl FnOnce(Lab) -> F) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap(), Seed::root(1));
        let site = Estate::builtin("sit").unwrap().sites().next().unwrap();
        let (wan, handle, running) = start(&world, None);
        let lab = Lab {
            world,
            wan,
            handle,
            site,
            running,
            custody: Custody::default(),
            wake_ups: 0,
            heard: Vec::new(),
        };
        work(lab).await
    })
}

/// Starts the fleet of the default estate; it runs until the link's other end is dropped.
fn start(world: &World, journal: Option<MemoryStore>) -> (LinkEnd, Handle, JoinHandle<()>) {
    let (wan, end) = world.link("wan", "fleet");
    let critical = CriticalOperations::new([OperationKind::DisableSupply, OperationKind::ArmSupply]);
    let (estate, catalogue) = (Estate::builtin("sit").unwrap(), Catalogue::builtin().unwrap());
    let built = Fleet::new(world, end, &estate, Share::WHOLE, &catalogue, relations(), critical);
    let (mut fleet, handle) = built.unwrap();
    if let Some(journal) = journal {
        fleet = fleet.with_journal(Box::new(journal)).unwrap();
    }
    (wan, handle, tokio::spawn(fleet.run(CancellationToken::new())))
}

impl Lab {
    fn session(&self) -> HeadEndSession {
        let devices = self
            .site
            .devices()
            .into_iter()
            .map(|device| (device.kind, device.device))
            .collect();
        let face = Catalogue::builtin()
            .unwrap()
            .find(&self.site.dmc().chf.to_string())
            .unwrap()
            .face
            .clone();
        HeadEndSession::new(&face, devices)
    }

    async fn sms(&self, payload: Vec<u8>) {
        let sms = WanSms {
            hub: self.site.hub().0,
            head_end: "s1sp".into(),
            payload: payload.into(),
        };
        self.wan
            .send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec())
            .await
            .unwrap();
    }

    /// Wakes the hub and waits for its connection and what it says first.
    async fn connect(&mut self) -> Connection {
        self.wake_ups += 1;
        let key = self.custody.key(self.site.hub(), Purpose::WakeUp);
        self.sms(wake_up::encode(&key, self.site.hub(), self.wake_ups)).await;
        self.accept().await
    }

    /// Waits for a connection of the hub.
    async fn accept(&mut self) -> Connection {
        loop {
            let envelope = self.wan.recv().await.unwrap();
            if envelope.kind() == Kind::WanOpen {
                let open = WanOpen::decode(envelope.body).unwrap();
                assert_eq!((open.hub, open.head_end.as_str()), (self.site.hub().0, "s1sp"));
                let mut connection = Connection {
                    number: open.session,
                    session: self.session(),
                    events: Vec::new(),
                };
                let first = self.event(&mut connection).await;
                assert_eq!(first, HeadEndEvent::Identified(self.site.hub()));
                return connection;
            }
        }
    }

    /// The next event that is not to send something.
    async fn event(&mut self, connection: &mut Connection) -> HeadEndEvent {
        loop {
            if !connection.events.is_empty() {
                match connection.events.remove(0) {
                    HeadEndEvent::Send(octets) => self.send(connection.number, octets).await,
                    event => return event,
                }
                continue;
            }
            let envelope = self.wan.recv().await.unwrap();
            if envelope.kind() == Kind::WanData {
                let data = WanData::decode(envelope.body).unwrap();
                self.heard.extend_from_slice(&data.payload);
                connection
                    .events
                    .extend(connection.session.input(&mut self.custody, &data.payload).unwrap());
            }
        }
    }

    async fn send(&self, session: u64, payload: Vec<u8>) {
        let hub = self.site.hub().0;
        let data = WanData {
            hub,
            head_end: "s1sp".into(),
            session,
            payload: payload.into(),
        };
        self.wan
            .send(Envelope::default(), Kind::WanData, &data.encode_to_vec())
            .await
            .unwrap();
    }

    async fn start(
        &mut self,
        connection: &mut Connection,
        slot: DeviceKind,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> HeadEndEvent {
        let association = if approval.is_some() {
            Association::Critical
        } else {
            Association::Management
        };
        let session = &mut connection.session;
        let first = session
            .start(&mut self.custody, slot, association, operation, approval)
            .unwrap();
        self.send(connection.number, first).await;
        self.event(connection).await
    }

    fn approve(&self, slot: DeviceKind, operation: &Operation, counter: u32) -> Approval {
        let device = self.site.device(slot).unwrap();
        let key = relations().dco.device_key(device, 1, Purpose::Approval);
        let request = RequestId {
            originator: Eui64(9),
            target: device,
            counter: u64::from(counter),
        };
        let expires_at = self.world.clock.now() + SimDuration::from_days(1);
        Approval::make(&key, device, operation, request, counter, expires_at)
    }
}

fn finished(event: HeadEndEvent) -> Outcome {
    match event {
        HeadEndEvent::Finished(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_read_over_the_wan_is_the_truth() {
    let conversation = || {
        with_fleet(async |mut lab: Lab| {
            let mut connection = lab.connect().await;
            for (slot, item) in [
                (DeviceKind::Esme, DataItem::ActiveImport),
                (DeviceKind::Esme, DataItem::SupplyState),
                (DeviceKind::Gpf, DataItem::GasConsumption),
                (DeviceKind::Chf, DataItem::FirmwareVersion),
            ] {
                let read = Operation::Read(item);
                let event = lab.start(&mut connection, slot, &read, None).await;
                let truth = lab
                    .handle
                    .true_read(lab.site.device(slot).unwrap(), read)
                    .await
                    .unwrap();
                assert!(truth.is_ok(), "{slot} {item:?}: {truth:?}");
                assert_eq!(finished(event), truth, "{slot} {item:?}");
            }
            lab.heard
        })
    };
    let heard = conversation();
    assert!(heard.len() > 200);
    assert_eq!(heard, conversation(), "the same seed gives the same octets");
}

#[test]
fn the_supply_needs_an_approval_and_the_consumer() {
    with_fleet(async |mut lab: Lab| {
        let esme = lab.site.device(DeviceKind::Esme).unwrap();
        let mut connection = lab.connect().await;
        let refused = lab
            .start(&mut connection, DeviceKind::Esme, &Operation::DisableSupply, None)
            .await;
        assert!(finished(lab.past_alerts(&mut connection, refused).await).is_err());
        assert_eq!(lab.handle.truth(esme).await.unwrap().supply, Some(SupplyState::Enabled));
        let disable = lab.approve(DeviceKind::Esme, &Operation::DisableSupply, 1);
        let mut connection = lab.again(connection).await;
        let done = lab
            .start(
                &mut connection,
                DeviceKind::Esme,
                &Operation::DisableSupply,
                Some(&disable),
            )
            .await;
        assert_eq!(finished(lab.past_alerts(&mut connection, done).await), Ok(Answer::Done));
        assert_eq!(
            lab.handle.truth(esme).await.unwrap().supply,
            Some(SupplyState::Disabled)
        );
        let again = lab
            .start(
                &mut connection,
                DeviceKind::Esme,
                &Operation::DisableSupply,
                Some(&disable),
            )
            .await;
        let again = lab.past_alerts(&mut connection, again).await;
        assert_eq!(finished(again), Err(Refusal::Approval(ApprovalFault::Replayed)));
        let arm = lab.approve(DeviceKind::Esme, &Operation::ArmSupply, 2);
        let done = lab
            .start(&mut connection, DeviceKind::Esme, &Operation::ArmSupply, Some(&arm))
            .await;
        assert_eq!(finished(lab.past_alerts(&mut connection, done).await), Ok(Answer::Done));
        lab.handle.act(esme, ConsumerAct::PressRestoreSupply).await.unwrap();
        assert_eq!(lab.handle.truth(esme).await.unwrap().supply, Some(SupplyState::Enabled));
        lab.heard
    });
}

impl Lab {
    /// Switches the fleet off and on again.
    async fn restart(&mut self, journal: &MemoryStore) {
        let (wan, handle, running) = start(&self.world, Some(journal.clone()));
        (self.wan, self.handle) = (wan, handle);
        std::mem::replace(&mut self.running, running).await.unwrap();
    }

    /// Ends one association before the next.
    async fn again(&mut self, mut connection: Connection) -> Connection {
        let release = connection.session.release(&mut self.custody);
        if !release.is_empty() {
            self.send(connection.number, release).await;
            while self.event(&mut connection).await != HeadEndEvent::Released {}
        }
        connection
    }

    async fn past_alerts(&mut self, connection: &mut Connection, event: HeadEndEvent) -> HeadEndEvent {
        let mut event = event;
        while matches!(event, HeadEndEvent::Notification(Notification::Alert { .. })) {
            event = self.event(connection).await;
        }
        event
    }
}

#[test]
fn a_sleeping_gas_meter_answers_by_a_connection_of_its_own() {
    with_fleet(async |mut lab: Lab| {
        let mut connection = lab.connect().await;
        let asked = lab.world.clock.now();
        let read = Operation::Read(DataItem::SupplyState);
        let event = lab.start(&mut connection, DeviceKind::Gsme, &read, None).await;
        let HeadEndEvent::Queued(ticket) = event else {
            panic!("{event:?}")
        };
        // The hub hangs up in between and calls when the meter has been awake.
        let mut connection = lab.accept().await;
        let HeadEndEvent::Notification(Notification::LateResult { ticket: told, outcome }) =
            lab.event(&mut connection).await
        else {
            panic!("no late result")
        };
        assert_eq!(
            (told, outcome),
            (ticket, Ok(Answer::Value(Value::Supply(SupplyState::Enabled))))
        );
        let waited = lab.world.clock.now().since(asked);
        assert!(waited <= SimDuration::from_mins(70), "two wakes and a margin: {waited}");
        lab.heard
    });
}

#[test]
fn someone_at_the_door_is_reported() {
    with_fleet(async |mut lab: Lab| {
        lab.sms(b"open sesame".to_vec()).await;
        let mut connection = lab.accept().await;
        let event = lab.event(&mut connection).await;
        assert!(
            matches!(
                event,
                HeadEndEvent::Notification(Notification::Alert {
                    slot: DeviceKind::Chf,
                    ..
                })
            ),
            "{event:?}"
        );
        lab.heard
    });
}

#[test]
fn what_was_told_to_nobody_is_told_again() {
    with_fleet(async |mut lab: Lab| {
        lab.sms(b"open sesame".to_vec()).await;
        let connection = lab.accept().await;
        let close = proto::WanClose {
            hub: lab.site.hub().0,
            session: connection.number,
            ..Default::default()
        };
        lab.wan
            .send(Envelope::default(), Kind::WanClose, &close.encode_to_vec())
            .await
            .unwrap();
        let mut connection = lab.accept().await;
        let event = lab.event(&mut connection).await;
        assert!(
            matches!(event, HeadEndEvent::Notification(Notification::Alert { .. })),
            "{event:?}"
        );
        lab.heard
    });
}

#[test]
fn a_fleet_that_is_switched_off_remembers_what_it_acknowledged() {
    with_fleet(async |mut lab: Lab| {
        let journal = MemoryStore::default();
        lab.restart(&journal).await;
        let esme = lab.site.device(DeviceKind::Esme).unwrap();
        let disable = lab.approve(DeviceKind::Esme, &Operation::DisableSupply, 1);
        let mut connection = lab.connect().await;
        let done = lab
            .start(
                &mut connection,
                DeviceKind::Esme,
                &Operation::DisableSupply,
                Some(&disable),
            )
            .await;
        assert_eq!(finished(lab.past_alerts(&mut connection, done).await), Ok(Answer::Done));
        let number = connection.number;
        lab.restart(&journal.reopened()).await;
        assert_eq!(
            lab.handle.truth(esme).await.unwrap().supply,
            Some(SupplyState::Disabled)
        );
        // The custody goes on with its counters: a device that used one of its own again would not be believed.
        let mut connection = lab.connect().await;
        assert!(connection.number > number);
        let again = lab
            .start(
                &mut connection,
                DeviceKind::Esme,
                &Operation::DisableSupply,
                Some(&disable),
            )
            .await;
        let again = finished(lab.past_alerts(&mut connection, again).await);
        assert_eq!(again, Err(Refusal::Approval(ApprovalFault::Replayed)));
        let read = Operation::Read(DataItem::ActiveImport);
        let mut connection = lab.again(connection).await;
        let event = lab.start(&mut connection, DeviceKind::Esme, &read, None).await;
        let event = lab.past_alerts(&mut connection, event).await;
        assert_eq!(finished(event), lab.handle.true_read(esme, read).await.unwrap());
        lab.heard
    });
}

#[test]
fn a_journal_of_something_else_is_refused() {
    with_fleet(async |lab: Lab| {
        let check = |record: &[u8], expected: &str| {
            let mut journal = MemoryStore::default();
            journal.append(record).unwrap();
            journal.commit().unwrap();
            let (_wan, end) = lab.world.link("wan", "fleet");
            let (estate, catalogue) = (Estate::builtin("sit").unwrap(), Catalogue::builtin().unwrap());
            let critical = CriticalOperations::default();
            let built = Fleet::new(
                &lab.world,
                end,
                &estate,
                Share::WHOLE,
                &catalogue,
                relations(),
                critical,
            );
            let error = built
                .unwrap()
                .0
                .with_journal(Box::new(journal))
                .err()
                .unwrap()
                .to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            b"anything",
            "read the fleet's journal: 1 records are none of this release",
        );
        let mut record = vec![3];
        record.extend(lab.site.hub().to_bytes());
        record.extend([0; 35]);
        check(&record, "restore hub 02-1A-B0-01-01-00-00-01: ");
        lab.heard
    });
}

#[test]
fn a_direct_session_speaks_the_same_face() {
    with_fleet(async |mut lab: Lab| {
        let esme = lab.site.device(DeviceKind::Esme).unwrap();
        let DirectSession {
            to_device,
            mut from_device,
        } = lab.handle.direct(esme).await.unwrap();
        let mut session = lab.session();
        let read = Operation::Read(DataItem::ActiveImport);
        let first = session
            .start(&mut lab.custody, DeviceKind::Esme, Association::Management, &read, None)
            .unwrap();
        let mut to_send = vec![HeadEndEvent::Send(first)];
        let outcome = 'talk: loop {
            for event in std::mem::take(&mut to_send) {
                match event {
                    HeadEndEvent::Send(octets) => to_device.send(Bytes::from(octets)).await.unwrap(),
                    HeadEndEvent::Finished(outcome) => break 'talk outcome,
                    other => panic!("{other:?}"),
                }
            }
            let octets = from_device.recv().await.unwrap();
            to_send = session.input(&mut lab.custody, &octets).unwrap();
        };
        assert_eq!(outcome, lab.handle.true_read(esme, read).await.unwrap());
        lab.heard
    });
}

#[test]
fn a_client_that_comes_back_at_once_finds_its_place_free() {
    with_fleet(async |lab: Lab| {
        let esme = lab.site.device(DeviceKind::Esme).unwrap();
        for _ in 0..3 {
            let mut open = Vec::new();
            for _ in 0..fleet::DIRECT_MAX {
                open.push(lab.handle.direct(esme).await.unwrap());
            }
            assert!(lab.handle.direct(esme).await.is_err(), "one more than the limit");
            // All leave, and the next comes before the hub has had a turn to notice.
            drop(open);
        }
        lab.heard
    });
}
