//! An installation changes hands over the whole chain: two head-ends, one WAN, one hub with a sleeping gas meter.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Arc;

use dmc::Catalogue;
use domain::keys::{HandOverSecret, Party, Purpose, RelationSecret};
use domain::{
    Answer, Approval, DataItem, DeviceKind, Eui64, Operation, Outcome, Quantity, Refusal, RequestId, Seed, SimDuration,
    SimInstant, Unit, Value,
};
use fleet::{Estate, Fleet, Share, Site};
use head_end::{Custody, Device, Directory, Engine, Failure, FailureKind, Handle, Job, KeyEpoch, Options, Standing};
use meter::Relations;
use tokio_util::sync::CancellationToken;
use wan::{Bearer, Wan};
use world::{MemoryStore, World};

const EPOCH: u32 = 2;

struct House {
    world: World,
    site: Site,
    fleet: fleet::Handle,
    smso: Handle,
    s1sp: Handle,
    /// What the S1SP knows.
    directory: Directory,
    approvals: u32,
}

fn secret(octet: u8) -> RelationSecret {
    RelationSecret::new([octet; 32])
}

fn devices(site: &Site, keys: impl Fn(Eui64) -> KeyEpoch) -> Vec<Device> {
    let catalogue = Catalogue::builtin().unwrap();
    site.devices()
        .into_iter()
        .map(|device| Device {
            keys: keys(device.device),
            ..Device::new(
                device.device,
                device.kind,
                Arc::clone(catalogue.profile(&device.profile).unwrap()),
            )
        })
        .collect()
}

/// Hub, electricity meter, gas proxy and gas meter of a family, and the carrier of its WAN.
const FAMILIES: [[&str; 5]; 5] = [
    [
        "vodafone",
        "am110r@BASE",
        "as300p@BASE",
        "am110r-gpf@BASE",
        "bk-g4e@BASE",
    ],
    [
        "vodafone",
        "edmi-hub@BASE",
        "es10a@BASE",
        "edmi-gpf@BASE",
        "edmi-gas@BASE",
    ],
    [
        "vodafone",
        "itron-hub@BASE",
        "itron-esme@BASE",
        "itron-gpf@BASE",
        "itron-gsme@BASE",
    ],
    [
        "vodafone",
        "trilliant-dxc@dcc-eligible",
        "e470-dxc@dcc-eligible",
        "trilliant-gpf-dxc@dcc-eligible",
        "lg-gas-dxc@dcc-eligible",
    ],
    [
        "telefonica",
        "skyline510@dcc-eligible",
        "liberty100@dcc-eligible",
        "skyline510-gpf@dcc-eligible",
        "secure-gas@dcc-eligible",
    ],
];

fn estate([provider, chf, esme, gpf, gsme]: [&str; 5]) -> Estate {
    let text = format!(
        "[estate]\nname = \"hand-over\"\nsource = \"invented: for the project's own tests\"\n[[template]]\nname = \"one\"\n\
         count = 1\nprovider = \"{provider}\"\nchf = \"{chf}\"\nesme = \"{esme}\"\ngpf = \"{gpf}\"\ngsme = \"{gsme}\"\n\
         enrolled = false\n"
    );
    Estate::from_toml("hand-over", &text).unwrap()
}

fn with_house<F: Future<Output = ()>>(estate: &Estate, test: impl FnOnce(House) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant::from_utc(2019, 5, 2, 8, 0, 0).unwrap(), Seed::root(1));
        let site = estate.sites().find(|site| !site.enrolled()).unwrap();
        let (smso_wan, wan_smso) = world.link("smso", "wan");
        let (s1sp_wan, wan_s1sp) = world.link("s1sp", "wan");
        let (wan_fleet, fleet_wan) = world.link("wan", "fleet");
        let relations = Relations {
            smso: secret(1),
            s1sp: secret(2),
            dco: secret(3),
        };
        let critical = steps::critical_operations();
        let (fleet, handle) = Fleet::new(
            &world,
            fleet_wan,
            estate,
            Share::WHOLE,
            &Catalogue::builtin().unwrap(),
            relations,
            critical.clone(),
        )
        .unwrap();
        let head_ends = vec![("smso".to_owned(), wan_smso), ("s1sp".to_owned(), wan_s1sp)];
        let wan = Wan::new(world.clone(), head_ends, wan_fleet, Bearer::default());
        let stop = CancellationToken::new();
        let engine = |name: &str, party, octet, link, directory: &Directory| {
            let custody = Custody {
                party,
                relation: secret(octet),
                system_title: [octet; 8],
            };
            let options = Options {
                critical: critical.clone(),
                ..Options::default()
            };
            let store = Box::new(MemoryStore::default());
            let (engine, handle, mut alerts) =
                Engine::new(world.clone(), name, link, custody, directory.clone(), options, store).unwrap();
            tokio::spawn(engine.run(stop.clone()));
            tokio::spawn(async move { while alerts.recv().await.is_some() {} });
            handle
        };
        let old = Directory::default();
        old.insert(head_end::Site {
            hub: site.hub(),
            devices: devices(&site, |_| KeyEpoch::first()),
        });
        let directory = Directory::default();
        let smso = engine("smso", Party::Smso, 1, smso_wan, &old);
        let s1sp = engine("s1sp", Party::S1sp, 2, s1sp_wan, &directory);
        tokio::spawn(fleet.run(stop.clone()));
        tokio::spawn(wan.run(stop.clone()));
        test(House {
            world,
            site,
            fleet: handle,
            smso,
            s1sp,
            directory,
            approvals: 0,
        })
        .await;
        stop.cancel();
    });
}

impl House {
    fn job(&self, slot: DeviceKind, operation: Operation, approval: Option<Approval>) -> Job {
        Job {
            trace_id: format!("{slot} {operation}"),
            hub: self.site.hub(),
            device: self.site.device(slot).unwrap(),
            slot,
            operation,
            approval,
            deadline: self.world.clock.now() + SimDuration::from_hours(2),
        }
    }

    async fn smso(&self, slot: DeviceKind, operation: Operation) -> Result<Outcome, Failure> {
        self.smso.execute(self.job(slot, operation, None)).await
    }

    async fn s1sp(&mut self, slot: DeviceKind, operation: Operation, approved: bool) -> Result<Outcome, Failure> {
        let approval = approved.then(|| self.approve(slot, &operation));
        self.s1sp.execute(self.job(slot, operation, approval)).await
    }

    fn secret(&self, slot: DeviceKind, recipient: Party) -> HandOverSecret {
        secret(1).hand_over_secret(self.site.device(slot).unwrap(), EPOCH, recipient)
    }

    fn approve(&mut self, slot: DeviceKind, operation: &Operation) -> Approval {
        self.approvals += 1;
        let device = self.site.device(slot).unwrap();
        let key = secret(3).epoch_key(device, EPOCH, Some(&self.secret(slot, Party::Dco)), Purpose::Approval);
        let request = RequestId {
            originator: Eui64(1),
            target: device,
            counter: self.approvals.into(),
        };
        let expires = self.world.clock.now() + SimDuration::from_hours(2);
        Approval::make(&key, device, operation, request, self.approvals, expires)
    }

    fn teach(&self, secret: impl Fn(&Self, DeviceKind) -> HandOverSecret) {
        let slots = |id| self.site.devices().into_iter().find(|d| d.device == id).unwrap().kind;
        self.directory.insert(head_end::Site {
            hub: self.site.hub(),
            devices: devices(&self.site, |id| KeyEpoch::staged(EPOCH, secret(self, slots(id)))),
        });
    }
}

const SLOTS: [DeviceKind; 4] = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];

fn number(outcome: &Outcome) -> i64 {
    match outcome {
        Ok(Answer::Value(Value::Quantity(Quantity {
            value,
            unit: Unit::Count,
        }))) => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_device_of_every_family_changes_hands_and_nobody_else_keeps_a_key() {
    for family in FAMILIES {
        eprintln!("{family:?}");
        changes_hands(&estate(family));
    }
}

fn changes_hands(estate: &Estate) {
    with_house(estate, async |mut house| {
        assert!(
            house
                .smso(DeviceKind::Esme, Operation::DisableSupply)
                .await
                .unwrap()
                .is_ok()
        );
        assert!(
            house
                .smso(DeviceKind::Esme, Operation::EnableSupply)
                .await
                .unwrap()
                .is_ok()
        );
        let unknown = house
            .s1sp(DeviceKind::Esme, Operation::Read(DataItem::KeyEpoch), false)
            .await;
        assert_eq!(unknown.unwrap_err().kind, FailureKind::Unknown);

        let stage = Operation::StageKeys {
            party: Party::S1sp,
            epoch: EPOCH,
        };
        for slot in SLOTS {
            assert_eq!(
                house.smso(slot, stage.clone()).await.unwrap(),
                Ok(Answer::Done),
                "{slot}"
            );
        }
        // An S1SP that has not been given the secret gets nowhere: the hub does not even connect.
        house.teach(|_, _| HandOverSecret::new([9; 32]));
        let blind = house
            .s1sp(DeviceKind::Esme, Operation::Read(DataItem::KeyEpoch), false)
            .await;
        assert_eq!(blind.unwrap_err().kind, FailureKind::HubNotConnected);

        house.teach(|house, slot| house.secret(slot, Party::S1sp));
        for slot in SLOTS {
            let read = house
                .s1sp(slot, Operation::Read(DataItem::StagedKeyEpoch), false)
                .await
                .unwrap();
            assert_eq!(number(&read), i64::from(EPOCH), "{slot}");
            let probe = Operation::ProbeDualControl { nonce: 1 };
            let probed = house.s1sp(slot, probe.clone(), true).await.unwrap();
            assert_eq!(probed, Ok(Answer::Done), "{slot}");
            let alone = house.s1sp(slot, probe, false).await.unwrap();
            assert!(
                matches!(alone, Err(Refusal::Approval(_) | Refusal::NotPermitted)),
                "{slot} {alone:?}"
            );
        }
        let too_early = house
            .s1sp(DeviceKind::Esme, Operation::DisableSupply, true)
            .await
            .unwrap();
        assert_eq!(too_early, Err(Refusal::NotPermitted));
        // The operator goes on working meanwhile.
        assert!(
            house
                .smso(DeviceKind::Esme, Operation::DisableSupply)
                .await
                .unwrap()
                .is_ok()
        );
        assert!(
            house
                .smso(DeviceKind::Esme, Operation::EnableSupply)
                .await
                .unwrap()
                .is_ok()
        );

        for slot in SLOTS {
            let device = house.site.device(slot).unwrap();
            let activate = Operation::ActivateKeys { epoch: EPOCH };
            let activated = house.s1sp(slot, activate, true).await.unwrap();
            assert_eq!(activated, Ok(Answer::Done), "{slot}");
            assert_eq!(house.fleet.status(device).await.unwrap().party, Party::S1sp, "{slot}");
            assert!(
                house
                    .directory
                    .change(device, |known| known.keys.standing = Standing::InForce)
            );
            let epoch = house
                .s1sp(slot, Operation::Read(DataItem::KeyEpoch), false)
                .await
                .unwrap();
            assert_eq!(number(&epoch), i64::from(EPOCH), "{slot}");
        }
        let outcome = house
            .s1sp(DeviceKind::Esme, Operation::DisableSupply, true)
            .await
            .unwrap();
        assert_eq!(outcome, Ok(Answer::Done));
        let refused = house.smso(DeviceKind::Esme, Operation::EnableSupply).await;
        assert_eq!(refused.unwrap_err().kind, FailureKind::HubNotConnected);
    });
}
