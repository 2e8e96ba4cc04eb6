//! One installation of every family, end to end on the virtual clock: engine, network, hub and devices, with nothing but
//! octets between them.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Arc;
use std::time::Duration;

use dmc::Catalogue;
use domain::keys::{Party, Purpose, RelationSecret};
use domain::operation::{ApprovalFault, CriticalOperations, OperationKind, Setting, Token};
use domain::{
    Answer, Approval, DataItem, DeviceKind, Eui64, LogKind, Operation, Outcome, Refusal, RequestId, Seed, SimDuration,
    SimInstant, SupplyState, Value,
};
use fleet::{Estate, Fleet, Share, Site};
use head_end::{Custody, Device, DeviceAlert, Directory, Engine, Failure, Handle, Job, Options};
use meter::Relations;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wan::Traffic;
use world::{MemoryStore, World};

/// The families as profiles describe them: name, and what their hub's rule sets.
const FAMILIES: &[(&str, &str)] = &[
    ("wrapper, woken", "set.face.family = \"dlms-wrapper\""),
    (
        "wrapper, always on",
        "set.face.family = \"dlms-wrapper\"\nset.wan.mode = \"always-on\"",
    ),
    (
        "HDLC with small fields",
        "set.face.family = \"dlms-hdlc\"\nset.face.hdlc_information_max = 64\nset.face.hdlc_window = 3",
    ),
    (
        "HDLC, always on",
        "set.face.family = \"dlms-hdlc\"\nset.wan.mode = \"always-on\"",
    ),
    ("hub tunnel", "set.face.family = \"dlms-hub-tunnel\""),
    (
        "hub tunnel by access point",
        "set.face.family = \"dlms-hub-tunnel\"\nset.face.tunnel_address = \"access-point\"\nset.face.tunnel_check = false",
    ),
    (
        "registers",
        "set.face.family = \"edmi-registers\"\nset.face.time_form = \"utc\"",
    ),
    (
        "hub tunnel, small things by text message",
        "set.face.family = \"dlms-hub-tunnel\"\nset.face.text_messages = true",
    ),
    ("envelope", "set.face.family = \"lab-envelope\""),
    (
        "envelope, always on",
        "set.face.family = \"lab-envelope\"\nset.wan.mode = \"always-on\"",
    ),
];

fn relations() -> Relations {
    Relations {
        smso: RelationSecret::new([1; 32]),
        s1sp: RelationSecret::new([2; 32]),
        dco: RelationSecret::new([3; 32]),
    }
}

fn catalogue(settings: &str) -> Catalogue {
    let model = |id: &str, kind: &str, settings: &str| {
        let rule = if settings.is_empty() {
            String::new()
        } else {
            format!(
                "[[firmware.rule]]\nid = \"FACE\"\nside = \"device\"\ntext = \"t\"\nsource = \"s\"\n\
                 confidence = \"invented\"\n{settings}\n"
            )
        };
        format!(
            "[[model]]\nid = \"{id}\"\nroute = \"r\"\nkind = \"{kind}\"\nmodel = \"M\"\ntext = \"t\"\nsource = \"s\"\n\
             confidence = \"recalled\"\n[[firmware]]\nid = \"LAB-1\"\nmodel = \"{id}\"\nduis = \"LAB-1\"\ntext = \"t\"\n\
             source = \"s\"\nconfidence = \"invented\"\nidentifier = {{ source = \"s\", confidence = \"invented\" }}\n{rule}"
        )
    };
    let models = [
        model("hub", "CHF", settings),
        model("meter", "ESME", ""),
        model("proxy", "GPF", ""),
        model("gas", "GSME", ""),
    ];
    let text = format!(
        "[[family]]\nid = \"f\"\nmanufacturer = \"Example Meters\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"sourced\"\n\
         [[route]]\nid = \"r\"\nfamily = \"f\"\ngroup = \"IOC-EXAMPLE\"\ncohort = \"IOC\"\nprovider = \"vodafone\"\n\
         smso = \"Example Operator\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"sourced\"\n{}",
        models.concat()
    );
    Catalogue::from_files([("families.toml", text.as_str())]).unwrap()
}

fn estate() -> Estate {
    let text = "[estate]\nname = \"one\"\nsource = \"invented\"\n[[template]]\nname = \"dual-fuel\"\ncount = 1\n\
                provider = \"vodafone\"\nchf = \"hub@LAB-1\"\nesme = \"meter@LAB-1\"\ngpf = \"proxy@LAB-1\"\n\
                gsme = \"gas@LAB-1\"\npayment_mode = \"prepayment\"\nenrolled = true\n";
    Estate::from_toml("one.toml", text).unwrap()
}

struct House {
    world: World,
    site: Site,
    fleet: fleet::Handle,
    engine: Handle,
    alerts: mpsc::Receiver<DeviceAlert>,
    critical: CriticalOperations,
    approvals: u32,
}

/// Runs `work` on a fresh house of a family; gives what went over the network.
fn with_house<F: Future<Output = ()>>(settings: &str, work: impl FnOnce(House) -> F) -> Traffic {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant::from_utc(2019, 7, 1, 12, 0, 0).unwrap(), Seed::root(7));
        let (estate, catalogue) = (estate(), catalogue(settings));
        let site = estate.sites().next().unwrap();
        let critical = CriticalOperations::new([
            OperationKind::DisableSupply,
            OperationKind::ArmSupply,
            OperationKind::SynchroniseClock,
        ]);
        let (s1sp, wan_s1sp) = world.link("s1sp", "wan");
        let (wan_fleet, fleet_end) = world.link("wan", "fleet");
        let heads = vec![("s1sp".into(), wan_s1sp)];
        let network = wan::Wan::new(world.clone(), heads, wan_fleet, wan::Bearer::default());
        let (fleet, fleet_handle) = Fleet::new(
            &world,
            fleet_end,
            &estate,
            Share::WHOLE,
            &catalogue,
            relations(),
            critical.clone(),
        )
        .unwrap();
        let directory = Directory::default();
        directory.insert(head_end::Site {
            hub: site.hub(),
            devices: site
                .devices()
                .into_iter()
                .map(|device| {
                    let profile = catalogue.profile(&device.profile).unwrap();
                    Device::new(device.device, device.kind, Arc::clone(profile))
                })
                .collect(),
        });
        let custody = Custody {
            party: Party::S1sp,
            relation: relations().s1sp,
            system_title: *b"LABS1SP\x01",
        };
        let options = Options {
            critical: critical.clone(),
            ..Options::default()
        };
        let store = Box::new(MemoryStore::default());
        let (engine, engine_handle, alerts) =
            Engine::new(world.clone(), "s1sp", s1sp, custody, directory, options, store).unwrap();
        let stop = CancellationToken::new();
        let running = (
            tokio::spawn(network.run(stop.clone())),
            tokio::spawn(fleet.run(stop.clone())),
            tokio::spawn(engine.run(stop.clone())),
        );
        work(House {
            world,
            site,
            fleet: fleet_handle,
            engine: engine_handle,
            alerts,
            critical,
            approvals: 0,
        })
        .await;
        stop.cancel();
        let traffic = running.0.await.unwrap();
        running.1.await.unwrap();
        running.2.await.unwrap();
        traffic
    })
}

/// Whether an answer is the truth, but for what was used while a text message was on its way back.
fn same(outcome: &Outcome, truth: &Outcome) -> bool {
    match (outcome, truth) {
        (Ok(Answer::Value(Value::Quantity(a))), Ok(Answer::Value(Value::Quantity(b)))) => {
            a.unit == b.unit && (a.value - b.value).abs() < 100
        }
        (outcome, truth) => outcome == truth,
    }
}

impl House {
    fn device(&self, slot: DeviceKind) -> Eui64 {
        self.site.device(slot).unwrap()
    }

    async fn run(
        &self,
        slot: DeviceKind,
        operation: Operation,
        approval: Option<Approval>,
    ) -> Result<Outcome, Failure> {
        let job = Job {
            trace_id: format!("test {operation}"),
            hub: self.site.hub(),
            device: self.device(slot),
            slot,
            operation,
            approval,
            deadline: self.world.clock.now() + SimDuration::from_hours(3),
        };
        self.engine.execute(job).await
    }

    /// Runs with the DCO's approval.
    async fn approved(&mut self, slot: DeviceKind, operation: Operation) -> Outcome {
        assert!(self.critical.contains(&operation));
        self.approvals += 1;
        let device = self.device(slot);
        let key = relations().dco.device_key(device, 1, Purpose::Approval);
        let request = RequestId {
            originator: Eui64(9),
            target: device,
            counter: self.approvals.into(),
        };
        let expires_at = self.world.clock.now() + SimDuration::from_hours(6);
        let approval = Approval::make(&key, device, &operation, request, self.approvals, expires_at);
        self.run(slot, operation, Some(approval)).await.unwrap()
    }

    async fn supply(&self, slot: DeviceKind) -> SupplyState {
        self.fleet.truth(self.device(slot)).await.unwrap().supply.unwrap()
    }
}

#[test]
fn an_installation_of_every_family_is_woken_read_and_operated() {
    for (name, settings) in FAMILIES {
        let traffic = with_house(settings, async |mut house: House| {
            let reads = [
                (DeviceKind::Esme, DataItem::ActiveImport),
                (DeviceKind::Esme, DataItem::SupplyState),
                (DeviceKind::Esme, DataItem::MeterBalance),
                (DeviceKind::Gpf, DataItem::GasConsumption),
                (DeviceKind::Gpf, DataItem::PaymentMode),
                (DeviceKind::Chf, DataItem::FirmwareVersion),
            ];
            for (slot, item) in reads {
                let read = Operation::Read(item);
                let outcome = house.run(slot, read.clone(), None).await.unwrap();
                let truth = house.fleet.true_read(house.device(slot), read).await.unwrap();
                assert!(truth.is_ok(), "{name}: {slot} {item}");
                assert!(same(&outcome, &truth), "{name}: {slot} {item} {outcome:?} {truth:?}");
            }
            let to = house.world.clock.now();
            let log = Operation::ReadLog {
                log: LogKind::ActiveImport,
                from: to - SimDuration::from_days(10),
                to,
            };
            for slot in [DeviceKind::Esme, DeviceKind::Gpf] {
                let Ok(Answer::Log(rows)) = house.run(slot, log.clone(), None).await.unwrap() else {
                    panic!("{name}: {slot} no log");
                };
                assert!(rows.len() > 400, "{name}: {slot} {} rows", rows.len());
            }

            // The supply moves with the approval and only with it.
            let without = house
                .run(DeviceKind::Esme, Operation::DisableSupply, None)
                .await
                .unwrap();
            assert_eq!(without, Err(Refusal::Approval(ApprovalFault::Missing)), "{name}");
            assert_eq!(house.supply(DeviceKind::Esme).await, SupplyState::Enabled, "{name}");
            let done = house.approved(DeviceKind::Esme, Operation::DisableSupply).await;
            assert_eq!(done, Ok(Answer::Done), "{name}");
            assert_eq!(house.supply(DeviceKind::Esme).await, SupplyState::Disabled, "{name}");
            let done = house.approved(DeviceKind::Esme, Operation::ArmSupply).await;
            assert_eq!(done, Ok(Answer::Done), "{name}");
            let time = house.world.clock.now();
            let synchronise = Operation::SynchroniseClock { time, tolerance_s: 10 };
            let done = house.approved(DeviceKind::Esme, synchronise).await;
            assert_eq!(done, Ok(Answer::Done), "{name}");

            // What no standard form expresses goes in ours.
            let setting = Setting::SupplierName(("Example Energy".into(), "0800 000000".into()));
            let write = Operation::Write(Box::new(setting.clone()));
            let done = house.run(DeviceKind::Esme, write, None).await.unwrap();
            assert_eq!(done, Ok(Answer::Done), "{name}");
            let read = Operation::Read(DataItem::Setting(setting.kind()));
            let back = house.run(DeviceKind::Esme, read, None).await.unwrap();
            assert_eq!(back, Ok(Answer::Value(Value::Setting(Box::new(setting)))), "{name}");

            // The gas meter sleeps: its outcome comes with its next wake.
            let asked = house.world.clock.now();
            let state = house
                .run(DeviceKind::Gsme, Operation::Read(DataItem::SupplyState), None)
                .await
                .unwrap();
            let expected = Value::Supply(house.supply(DeviceKind::Gsme).await);
            assert_eq!(state, Ok(Answer::Value(expected)), "{name}");
            let waited = house.world.clock.now().since(asked);
            assert!(waited < SimDuration::from_mins(75), "{name}: {waited}");
            let done = house.approved(DeviceKind::Gsme, Operation::DisableSupply).await;
            assert_eq!(done, Ok(Answer::Done), "{name}");
            assert_eq!(house.supply(DeviceKind::Gsme).await, SupplyState::Disabled, "{name}");

            // What was refused on the way was told as alerts too.
            let mut told = Vec::new();
            while let Ok(alert) = house.alerts.try_recv() {
                told.push((alert.slot, alert.code));
            }
            assert!(
                told.iter().any(|(slot, _)| *slot == DeviceKind::Esme),
                "{name}: {told:?}"
            );
        });
        let always_on = settings.contains("always-on");
        assert_eq!(traffic.sms == 0, always_on, "{name}: {traffic:?}");
        assert!(
            traffic.sessions >= 1 && traffic.octets_up > 10_000,
            "{name}: {traffic:?}"
        );
        if always_on {
            assert_eq!(traffic.sessions, 1, "{name}: {traffic:?}");
        }
    }
}

#[test]
fn small_things_need_no_connection_where_text_messages_carry_them() {
    let settings = "set.face.family = \"dlms-hub-tunnel\"\nset.face.text_messages = true";
    let traffic = with_house(settings, async |house: House| {
        for (slot, item) in [
            (DeviceKind::Esme, DataItem::ActiveImport),
            (DeviceKind::Esme, DataItem::MeterBalance),
            (DeviceKind::Gpf, DataItem::GasConsumption),
            (DeviceKind::Chf, DataItem::FirmwareVersion),
        ] {
            let read = Operation::Read(item);
            let outcome = house.run(slot, read.clone(), None).await.unwrap();
            let truth = house.fleet.true_read(house.device(slot), read).await.unwrap();
            assert!(same(&outcome, &truth), "{slot} {item} {outcome:?} {truth:?}");
        }
        let token = Operation::EnterToken(Token("12345678901234567890".into()));
        let refused = house.run(DeviceKind::Esme, token, None).await.unwrap();
        assert!(refused.is_err(), "{refused:?}");
        // One text message there for each, and one back.
        assert_eq!(house.engine.text_messages(house.site.hub()).in_all, 5);
    });
    // The one connection is the hub's own: it tells of the refused code, and may overtake the answer.
    assert_eq!((traffic.sms, traffic.sessions), (10, 1), "{traffic:?}");
}

/// What a migration asks of an installation: some two dozen reads at once, for which it gives mains devices two minutes.
#[test]
fn many_small_things_at_once_share_a_connection_where_text_messages_carry_single_ones() {
    let settings = "set.face.family = \"dlms-hub-tunnel\"\nset.face.text_messages = true";
    let traffic = with_house(settings, async |house: House| {
        let since = house.world.clock.now();
        let reads = [
            DataItem::SerialNumber,
            DataItem::FirmwareVersion,
            DataItem::KeyEpoch,
            DataItem::StagedKeyEpoch,
        ];
        let slots = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf];
        let asked = slots.into_iter().flat_map(|slot| reads.map(|item| (slot, item)));
        let asked = asked.map(|(slot, item)| house.run(slot, Operation::Read(item), None));
        let outcomes = futures_util::future::join_all(asked).await;
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Ok(Ok(_)))),
            "{outcomes:?}"
        );
        let took = house.world.clock.now().since(since);
        assert!(took < SimDuration::from_secs(90), "{took}");
    });
    // The first may go by text message before the others have come.
    assert!(traffic.sms <= 3 && traffic.sessions == 1, "{traffic:?}");
}

#[test]
fn readings_come_by_themselves_when_a_profile_says_so() {
    for mode in ["always-on", "wake-by-sms"] {
        for family in [
            "dlms-wrapper",
            "dlms-hdlc",
            "dlms-hub-tunnel",
            "edmi-registers",
            "lab-envelope",
        ] {
            let settings = format!(
                "set.face.family = \"{family}\"\nset.wan.mode = \"{mode}\"\nset.face.readings_every_s = 86400\n\
                 set.face.time_form = \"utc\""
            );
            let traffic = with_house(&settings, async |house: House| {
                let (esme, gpf) = (house.device(DeviceKind::Esme), house.device(DeviceKind::Gpf));
                assert_eq!(house.engine.readings(esme), None);
                house.world.clock.sleep(SimDuration::from_days(3)).await;
                let row = house.engine.readings(esme).unwrap();
                assert!(
                    house.world.clock.now().since(row.at) <= SimDuration::from_days(1),
                    "{family} {mode}"
                );
                assert_eq!(row.values.first().map(|(item, _)| *item), Some(DataItem::ActiveImport));
                let gas = house.engine.readings(gpf).unwrap();
                assert_eq!(
                    gas.values.first().map(|(item, _)| *item),
                    Some(DataItem::GasConsumption)
                );
            });
            assert_eq!(traffic.sms, 0, "{family} {mode}: {traffic:?}");
            let sessions = if mode == "always-on" { 1 } else { 3 };
            assert_eq!(traffic.sessions, sessions, "{family} {mode}: {traffic:?}");
        }
    }
}

#[test]
fn a_head_end_that_was_away_finds_an_always_on_hub_again() {
    with_house(FAMILIES[1].1, async |house: House| {
        let read = Operation::Read(DataItem::ActiveImport);
        assert!(house.run(DeviceKind::Esme, read.clone(), None).await.unwrap().is_ok());
        // A day without a job: the connection is still there, and no text message is needed.
        house.world.clock.sleep(SimDuration::from_days(1)).await;
        let asked = house.world.clock.now();
        assert!(house.run(DeviceKind::Esme, read, None).await.unwrap().is_ok());
        let waited = house.world.clock.now().since(asked);
        assert!(
            Duration::from_millis(waited.as_millis()) < Duration::from_secs(10),
            "{waited}"
        );
    });
}
