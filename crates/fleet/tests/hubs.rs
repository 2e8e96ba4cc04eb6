//! Hubs on the virtual clock: woken by text message, connecting, telling, idling, and asked beside the WAN.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use bytes::Bytes;
use dialects::wake_up;
use dmc::Catalogue;
use domain::keys::{Purpose, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{DataItem, DeviceKind, Eui64, Operation, Seed, SimDuration, SimInstant};
use fleet::{AskError, ConsumerAct, Estate, Fleet, Handle, Share};
use meter::Relations;
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, World};

struct Lab {
    world: World,
    wan: LinkEnd,
    handle: Handle,
    hub: Eui64,
}

fn relations() -> Relations {
    Relations {
        smso: RelationSecret::new([1; 32]),
        s1sp: RelationSecret::new([2; 32]),
        dco: RelationSecret::new([3; 32]),
    }
}

fn with_fleet<F: Future<Output = ()>>(share: Share, work: impl FnOnce(Lab) -> F) {
    with_estate(&Estate::builtin("sit").unwrap(), share, work);
}

fn with_estate<F: Future<Output = ()>>(estate: &Estate, share: Share, work: impl FnOnce(Lab) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let start = SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap();
        let world = World::virtual_at(start, Seed::root(1));
        let (wan, end) = world.link("wan", "fleet");
        let catalogue = Catalogue::builtin().unwrap();
        let critical = CriticalOperations::default();
        let (fleet, handle) = Fleet::new(&world, end, estate, share, &catalogue, relations(), critical).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(fleet.run(shutdown.clone()));
        let hub = estate.sites().next().unwrap().hub();
        work(Lab {
            world,
            wan,
            handle,
            hub,
        })
        .await;
        shutdown.cancel();
        running.await.unwrap();
    });
}

impl Lab {
    async fn wake(&self, counter: u32) {
        let key = relations().s1sp.device_key(self.hub, 1, Purpose::WakeUp);
        self.sms(wake_up::encode(&key, self.hub, counter)).await;
    }

    async fn sms(&self, payload: Vec<u8>) {
        let sms = WanSms {
            hub: self.hub.0,
            head_end: "s1sp".into(),
            payload: payload.into(),
        };
        let envelope = Envelope {
            trace_id: "request".into(),
            ..Envelope::default()
        };
        self.wan
            .send(envelope, Kind::WanSms, &sms.encode_to_vec())
            .await
            .unwrap();
    }

    async fn send(&self, kind: Kind, message: &impl Message) {
        self.wan
            .send(Envelope::default(), kind, &message.encode_to_vec())
            .await
            .unwrap();
    }

    /// The next message of this kind.
    async fn next(&mut self, kind: Kind) -> Envelope {
        loop {
            let envelope = self.wan.recv().await.unwrap();
            if envelope.kind() == kind {
                return envelope;
            }
        }
    }

    /// For so long, hubs say nothing but what they have to say by themselves (alerts).
    async fn quiet(&mut self, span: SimDuration) {
        let clock = self.world.clock.clone();
        let until = clock.now() + span;
        while let Ok(envelope) = clock.timeout(until.since(clock.now()), self.wan.recv()).await {
            let trace = envelope.unwrap().trace_id;
            assert!(trace.starts_with("hub:"), "{trace}");
        }
    }
}

#[test]
fn a_wake_up_message_brings_a_connection_that_idles_out() {
    with_fleet(Share::WHOLE, async |mut lab: Lab| {
        let start = lab.world.clock.now();
        lab.wake(1).await;
        let envelope = lab.next(Kind::WanOpen).await;
        assert_eq!(envelope.trace_id, "request");
        let open = WanOpen::decode(envelope.body).unwrap();
        assert_eq!((open.hub, open.head_end.as_str(), open.session), (lab.hub.0, "s1sp", 1));
        assert!(
            lab.world.clock.now().since(start) >= SimDuration::from_secs(1),
            "attaching takes time"
        );
        let opened = lab.world.clock.now();
        assert_eq!(
            lab.handle.status(lab.hub).await.unwrap().connected_to.as_deref(),
            Some("s1sp")
        );
        let close = WanClose::decode(lab.next(Kind::WanClose).await.body).unwrap();
        assert_eq!((close.session, close.reason.as_str()), (1, "idle"));
        assert!(lab.world.clock.now().since(opened) >= SimDuration::from_secs(10));
        lab.wake(2).await;
        let open = WanOpen::decode(lab.next(Kind::WanOpen).await.body).unwrap();
        assert_eq!(open.session, 2);
    });
}

#[test]
fn only_a_fresh_and_authentic_message_wakes_a_hub() {
    with_fleet(Share::WHOLE, async |mut lab: Lab| {
        let minutes = SimDuration::from_mins(5);
        lab.sms(b"wake up".to_vec()).await;
        let other = relations().smso.device_key(lab.hub, 1, Purpose::WakeUp);
        lab.sms(wake_up::encode(&other, lab.hub, 9)).await;
        lab.send(
            Kind::WanSms,
            &WanSms {
                hub: 12,
                ..WanSms::default()
            },
        )
        .await;
        lab.send(Kind::Accepted, &WanSms::default()).await;
        lab.quiet(minutes).await;
        lab.wake(5).await;
        lab.next(Kind::WanClose).await;
        lab.wake(5).await;
        lab.wake(4).await;
        lab.quiet(minutes).await;
    });
}

#[test]
fn a_refused_connection_is_tried_again_some_times() {
    with_fleet(Share::WHOLE, async |mut lab: Lab| {
        lab.wake(1).await;
        let attempts = Catalogue::builtin()
            .unwrap()
            .find("am110r@BASE")
            .unwrap()
            .wan
            .connect_attempts;
        for session in 1..=u64::from(attempts) {
            let open = WanOpen::decode(lab.next(Kind::WanOpen).await.body).unwrap();
            assert_eq!(open.session, session);
            let close = WanClose {
                hub: lab.hub.0,
                session,
                reason: "refused by WAN".into(),
                ..WanClose::default()
            };
            lab.send(Kind::WanClose, &close).await;
        }
        while lab
            .world
            .clock
            .timeout(SimDuration::from_secs(1), lab.wan.recv())
            .await
            .is_ok()
        {}
        lab.quiet(SimDuration::from_mins(10)).await;
    });
}

#[test]
fn octets_of_another_connection_are_not_taken() {
    with_fleet(Share::WHOLE, async |mut lab: Lab| {
        let data = |session| WanData {
            hub: lab.hub.0,
            session,
            head_end: "s1sp".into(),
            payload: Bytes::from_static(b"x"),
        };
        lab.send(Kind::WanData, &data(1)).await;
        // Whoever believes in a connection that is not there is told.
        let told = WanClose::decode(lab.next(Kind::WanClose).await.body).unwrap();
        assert_eq!((told.hub, told.session, told.head_end.as_str()), (lab.hub.0, 1, "s1sp"));
        lab.quiet(SimDuration::from_mins(1)).await;
        lab.wake(1).await;
        lab.next(Kind::WanOpen).await;
        lab.send(
            Kind::WanClose,
            &WanClose {
                hub: lab.hub.0,
                session: 7,
                ..WanClose::default()
            },
        )
        .await;
        assert!(lab.handle.status(lab.hub).await.unwrap().connected_to.is_some());
    });
}

#[test]
fn the_handle_lists_devices_and_tells_the_truth_to_checks() {
    with_fleet(Share::WHOLE, async |lab: Lab| {
        let estate = Estate::builtin("sit").unwrap();
        assert_eq!(lab.handle.devices().len(), estate.devices().count());
        let esme = lab
            .handle
            .devices()
            .into_iter()
            .find(|device| device.kind == DeviceKind::Esme)
            .unwrap()
            .device;
        let gsme = lab
            .handle
            .devices()
            .into_iter()
            .find(|device| device.kind == DeviceKind::Gsme)
            .unwrap()
            .device;
        let truth = lab.handle.truth(esme).await.unwrap();
        assert!(truth.supply.is_some() && truth.powered);
        let read = Operation::Read(DataItem::ActiveImport);
        assert!(lab.handle.true_read(esme, read.clone()).await.is_ok());
        assert!(matches!(
            lab.handle.true_read(gsme, read).await,
            Err(AskError::Refused(_))
        ));
        assert!(matches!(
            lab.handle.true_read(esme, Operation::DisableSupply).await,
            Err(AskError::Refused(_))
        ));
        assert!(matches!(
            lab.handle.act(esme, ConsumerAct::PressRestoreSupply).await,
            Err(AskError::Refused(_))
        ));
        assert_eq!(lab.handle.truth(Eui64(5)).await, Err(AskError::NoSuchDevice(Eui64(5))));
        let keys = lab.handle.keys(esme).await.unwrap();
        assert!(
            keys.iter()
                .any(|(purpose, _)| *purpose == Purpose::ManagementEncryption)
        );
        assert!(!format!("{keys:?}").contains("[") || format!("{keys:?}").contains("<redacted>"));
    });
}

#[test]
fn direct_sessions_are_bounded_and_end_with_their_client() {
    with_fleet(Share::WHOLE, async |lab: Lab| {
        let mut sessions = Vec::new();
        for _ in 0..fleet::DIRECT_MAX {
            sessions.push(lab.handle.direct(lab.hub).await.unwrap());
        }
        assert_eq!(lab.handle.direct(lab.hub).await.unwrap_err(), AskError::TooManySessions);
        sessions.pop();
        lab.world.clock.sleep(SimDuration::from_millis(1)).await;
        let session = lab.handle.direct(lab.hub).await.unwrap();
        lab.handle.act(lab.hub, ConsumerAct::CutPower).await.unwrap();
        let mut from_device = session.from_device;
        assert_eq!(
            from_device.recv().await,
            None,
            "without mains there is nobody to talk to"
        );
    });
}

#[test]
fn the_shares_of_several_worlds_are_the_whole() {
    let estate = Estate::builtin("sit").unwrap().with_counts(50);
    let count = |share: Share| estate.sites().filter(|site| share.holds(site.hub())).count();
    assert_eq!(count(Share::WHOLE), estate.len());
    let parts: Vec<_> = (0..3).map(|world| count(Share { world, worlds: 3 })).collect();
    assert_eq!(parts.iter().sum::<usize>(), estate.len());
    assert!(parts.iter().all(|part| *part > estate.len() / 5), "{parts:?}");
}

#[test]
fn a_fleet_that_is_not_running_does_not_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant(0), Seed::root(1));
        let (_wan, end) = world.link("wan", "fleet");
        let estate = Estate::builtin("sit").unwrap();
        let catalogue = Catalogue::builtin().unwrap();
        let critical = CriticalOperations::default();
        let (fleet, handle) =
            Fleet::new(&world, end, &estate, Share::WHOLE, &catalogue, relations(), critical).unwrap();
        let hub = estate.sites().next().unwrap().hub();
        assert_eq!(
            (fleet.len(), handle.truth(hub).await),
            (6, Err(AskError::NotAnswering(hub)))
        );
    });
}

/// A hub that its profile keeps always connected, in an installation that nobody used before it was enrolled, or used.
fn with_always_on<F: Future<Output = ()>>(lines: &str, work: impl FnOnce(Lab) -> F) {
    let text = format!(
        "[estate]\nname = \"one\"\nsource = \"ours\"\n[[template]]\nname = \"one\"\ncount = 1\nprovider = \"vodafone\"\n\
         chf = \"aclara-hub@BASE\"\nesme = \"sgm1300@BASE\"\nenrolled = true\n{lines}"
    );
    with_estate(&Estate::from_toml("one", &text).unwrap(), Share::WHOLE, work);
}

#[test]
fn a_hub_of_a_dormant_installation_sleeps_until_its_operator_wakes_it() {
    with_always_on("", async |mut lab: Lab| {
        lab.next(Kind::WanOpen).await;
    });
    with_always_on("installation = \"dormant\"\n", async |mut lab: Lab| {
        let clock = lab.world.clock.clone();
        let said = clock.timeout(SimDuration::from_days(2), lab.wan.recv()).await;
        assert!(said.is_err(), "{said:?}");
        for counter in 1..=3 {
            lab.wake(counter).await;
        }
        lab.next(Kind::WanOpen).await;
        clock.sleep(SimDuration::from_hours(2)).await;
        let status = lab.handle.status(lab.hub).await.unwrap();
        assert_eq!(
            status.connected_to.as_deref(),
            Some("s1sp"),
            "awake, it keeps its connection"
        );
    });
}

#[test]
fn faults_of_an_estate_are_there_from_the_start() {
    with_always_on("faults = { no-coverage = 100 }\n", async |mut lab: Lab| {
        for counter in 1..=3 {
            lab.wake(counter).await;
        }
        let clock = lab.world.clock.clone();
        let said = clock.timeout(SimDuration::from_hours(2), lab.wan.recv()).await;
        assert!(said.is_err(), "{said:?}");
    });
    with_always_on("faults = { mains-off = 100 }\n", async |lab: Lab| {
        let meter = lab
            .handle
            .devices()
            .into_iter()
            .find(|device| device.kind == DeviceKind::Esme);
        assert!(!lab.handle.truth(meter.unwrap().device).await.unwrap().powered);
    });
}
