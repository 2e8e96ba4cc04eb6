//! What a migration asks of the SMSO, the S1SP and the DCO, over the whole chain: the test is requesting and commissioning
//! party.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::keys::Party;
use domain::{DataItem, DeviceKind, Eui64, Operation, SimDuration, SimInstant};
use duis::signature::{SigningKey, sign_octets};
use fleet::Site;
use lab::chain::{Chain, MigrationLinks, Role};
use lab::parts::Parts;
use lab::pki::{CP_EUI, RP_EUI};
use lab::{Config, pki};
use proto::{
    ActivatedInstallation, Condition, DcoMigrationCommand, DcoMigrationOutcome, DeviceRecord, Envelope,
    FileAcknowledgement, FileDelivery, HandOverApproval, InstallationRecord, InstallationSecrets, Kind, Message,
    MigrationActivationFile, MigrationCommonFile, MigrationFile, MigrationFileContent, MigrationFileKind,
    MigrationFileSet, MigrationGroupSecrets, MigrationHeader, PurgeSecrets, S1spMigrationCommand, S1spMigrationOutcome,
    S1spProbe, S1spRotate, S1spViability, SmsoCommand, SmsoConfigure, SmsoDecommission, SmsoExtract, SmsoFreeze,
    SmsoMigrationCommand, SmsoMigrationOutcome, SmsoOutcome, SmsoSnapshot, SmsoStageKeys, SmsoUnfreeze, StagedSecrets,
    dco_migration_command, s1sp_migration_command, smso_migration_command,
};
use world::file_set::{self, REQUIRED};
use world::sealed::PublicKey;
use world::{LinkEnd, LinkName, Verdict, World, semantic};

const ID: &str = "LAB-I-1";
/// Messages from the device before the one that answers an operation: of the association.
const ASSOCIATION_ANSWERS: usize = 2;
const MAINS: u64 = 180_000;
const SLEEPY: u64 = 70 * 60_000;

struct Rig {
    chain: Chain,
    site: Site,
    links: MigrationLinks,
    supplier: LinkEnd,
    references: u32,
    sequence: u64,
    attempt: u32,
}

impl Rig {
    fn start() -> Self {
        let config = Config::default();
        let world = World::virtual_at(config.clock.start, config.world_seed());
        let parts = Parts::build(config).unwrap();
        let site = parts.estate.sites().find(|site| !site.enrolled()).unwrap();
        let mut chain = Chain::start(world, parts, true).unwrap();
        let links = chain.take_migration_links().unwrap();
        let supplier = chain.take_smso_link().unwrap();
        Self {
            chain,
            site,
            links,
            supplier,
            references: 0,
            sequence: 0,
            attempt: 1,
        }
    }

    fn parts(&self) -> &Arc<Parts> {
        self.chain.parts()
    }

    fn hub(&self) -> Eui64 {
        self.site.hub()
    }

    fn device(&self, kind: DeviceKind) -> Eui64 {
        self.site.device(kind).unwrap()
    }

    fn devices(&self) -> Vec<u64> {
        KINDS.map(|kind| self.device(kind).0).to_vec()
    }

    fn reference(&mut self) -> String {
        self.references += 1;
        format!("r{}", self.references)
    }

    async fn smso(&mut self, act: smso_migration_command::Act) -> SmsoMigrationOutcome {
        let command = SmsoMigrationCommand {
            reference: self.reference(),
            hub: self.hub().0,
            act: Some(act),
        };
        self.smso_again(&command).await
    }

    async fn smso_again(&mut self, command: &SmsoMigrationCommand) -> SmsoMigrationOutcome {
        let link = &mut self.links.smso;
        exchange(link, Kind::SmsoMigrationCommand, command, Kind::SmsoMigrationOutcome).await
    }

    async fn s1sp(&mut self, act: s1sp_migration_command::Act) -> S1spMigrationOutcome {
        let command = S1spMigrationCommand {
            reference: self.reference(),
            group_id: "LAB-G".into(),
            installation_id: ID.into(),
            hub: self.hub().0,
            act: Some(act),
        };
        let link = &mut self.links.s1sp;
        exchange(link, Kind::S1spMigrationCommand, &command, Kind::S1spMigrationOutcome).await
    }

    async fn dco(&mut self, act: dco_migration_command::Act) -> DcoMigrationOutcome {
        let command = DcoMigrationCommand {
            reference: self.reference(),
            group_id: "LAB-G".into(),
            installation_id: ID.into(),
            act: Some(act),
        };
        let link = &mut self.links.dco;
        exchange(link, Kind::DcoMigrationCommand, &command, Kind::DcoMigrationOutcome).await
    }

    async fn deliver(&mut self, to: Role, set: MigrationFileSet) -> FileAcknowledgement {
        let delivery = FileDelivery {
            reference: self.reference(),
            set: Some(set),
        };
        let link = match to {
            Role::Dco => &mut self.links.dco,
            _ => &mut self.links.s1sp,
        };
        exchange(link, Kind::FileDelivery, &delivery, Kind::FileAcknowledgement).await
    }

    /// What the supplier hears of an operation.
    async fn supplier(&mut self, kind: DeviceKind, operation: &Operation) -> SmsoOutcome {
        let command = SmsoCommand {
            reference: self.reference(),
            device: self.device(kind).0,
            operation: Some(semantic::operation_to_proto(operation)),
        };
        let link = &mut self.supplier;
        exchange(link, Kind::SmsoCommand, &command, Kind::SmsoOutcome).await
    }

    async fn approval(&mut self, kind: DeviceKind, epoch: u32, purpose: &str) -> Result<bytes::Bytes, Vec<Condition>> {
        let asked = HandOverApproval {
            device: self.device(kind).0,
            epoch,
            purpose: purpose.into(),
        };
        let outcome = self.dco(dco_migration_command::Act::Approve(asked)).await;
        if outcome.conditions.is_empty() {
            Ok(outcome.approval)
        } else {
            Err(outcome.conditions)
        }
    }

    fn header(&mut self, producer: Eui64) -> MigrationHeader {
        self.sequence += 1;
        MigrationHeader {
            group_id: format!("LAB-G{}", self.sequence),
            schema_version: 1,
            created_ms: self.chain.world().clock.now().0,
            producer: producer.0,
            sequence: self.sequence,
        }
    }

    fn key(&self, producer: Eui64) -> SigningKey {
        let pki = &self.parts().pki;
        let identity: &pki::Identity = if producer == RP_EUI { &pki.rp } else { &pki.cp };
        self.parts().signing_key("test", identity).unwrap()
    }

    fn file(
        &self,
        kind: MigrationFileKind,
        header: &MigrationHeader,
        recipient: &str,
        payload: Vec<u8>,
    ) -> MigrationFile {
        let content = MigrationFileContent {
            header: Some(header.clone()),
            kind: kind.into(),
            recipient: recipient.into(),
            payload: payload.into(),
        };
        let key = self.key(Eui64(header.producer));
        let sign = |octets: &[u8]| {
            sign_octets(octets, &key).map(|signature| (key.certificate().serial().to_owned(), signature))
        };
        file_set::file(&content, sign).unwrap()
    }

    /// The Required File Set of one recipient.
    fn required(
        &mut self,
        recipient: &str,
        devices: &[DeviceRecord],
        secrets: &[proto::DeviceSecret],
    ) -> MigrationFileSet {
        let header = self.header(RP_EUI);
        let record = InstallationRecord {
            installation_id: ID.into(),
            attempt: self.attempt,
            hub: self.hub().0,
            devices: devices.to_vec(),
            ..InstallationRecord::default()
        };
        let common = MigrationCommonFile {
            installations: vec![record],
        };
        let secrets = MigrationGroupSecrets {
            installations: vec![InstallationSecrets {
                installation_id: ID.into(),
                devices: secrets.to_vec(),
            }],
        };
        let opening = match recipient {
            "dco" => &self.parts().pki.dco_opening,
            _ => &self.parts().pki.s1sp_opening,
        };
        let sealed = file_set::group_payload(&secrets, &opening.key().unwrap().public_key(), &header).unwrap();
        let (payload, validation) = file_set::common_payloads(&common);
        let files = [payload, validation, sealed].into_iter().zip(REQUIRED);
        MigrationFileSet {
            files: files
                .map(|(payload, kind)| self.file(kind, &header, recipient, payload))
                .collect(),
        }
    }

    fn activation(&mut self, producer: Eui64) -> MigrationFileSet {
        let header = self.header(producer);
        let payload = MigrationActivationFile {
            installations: vec![ActivatedInstallation {
                installation_id: ID.into(),
                attempt: self.attempt,
                hub: self.hub().0,
                devices: self.devices(),
            }],
        };
        let file = self.file(MigrationFileKind::Activation, &header, "s1sp", payload.encode_to_vec());
        MigrationFileSet { files: vec![file] }
    }

    /// Freezes, reads and stages; gives the snapshot with the staged epoch in it, and the secrets.
    async fn staged(&mut self, epoch: u32) -> (Vec<DeviceRecord>, StagedSecrets) {
        let until = self.chain.world().clock.now() + SimDuration::from_hours(8);
        let frozen = self
            .smso(smso_migration_command::Act::Freeze(SmsoFreeze { until_ms: until.0 }))
            .await;
        assert_eq!(frozen.conditions, []);
        let snapshot = self.smso(smso_migration_command::Act::Snapshot(SmsoSnapshot {})).await;
        assert_eq!(snapshot.conditions, []);
        let opening = self.parts().pki.rp_opening.key().unwrap();
        let stage = SmsoStageKeys {
            devices: self.devices(),
            epoch,
            seal_to: opening.public_key().octets().to_vec().into(),
        };
        let staged = self.smso(smso_migration_command::Act::StageKeys(stage)).await;
        assert_eq!(staged.conditions, []);
        let sealed = staged.secrets.unwrap();
        let secrets = opening.open(&sealed, staged.reference.as_bytes()).unwrap();
        let mut devices = snapshot.devices;
        for device in &mut devices {
            device.staged_epoch = epoch;
        }
        (devices, StagedSecrets::decode(secrets.as_slice()).unwrap())
    }
}

const KINDS: [DeviceKind; 4] = [DeviceKind::Gpf, DeviceKind::Gsme, DeviceKind::Esme, DeviceKind::Chf];

fn viability(rig: &Rig) -> s1sp_migration_command::Act {
    s1sp_migration_command::Act::Viability(S1spViability {
        devices: rig.devices(),
        mains_within_ms: MAINS,
        sleepy_within_ms: SLEEPY,
    })
}

async fn exchange<M: Message, R: Message + Default>(link: &mut LinkEnd, kind: Kind, message: &M, expected: Kind) -> R {
    link.send(Envelope::default(), kind, &message.encode_to_vec())
        .await
        .unwrap();
    let reply = link.recv().await.unwrap();
    assert_eq!(reply.kind(), expected);
    R::decode(reply.body).unwrap()
}

fn kinds(conditions: &[Condition]) -> Vec<&str> {
    conditions.iter().map(|condition| condition.kind.as_str()).collect()
}

fn reading(record: &DeviceRecord, item: DataItem) -> i64 {
    let found = record.readings.iter().find(|reading| reading.item == item.name());
    found
        .unwrap_or_else(|| panic!("{item} of {record:?}"))
        .quantity
        .as_ref()
        .unwrap()
        .value
}

#[tokio::test(start_paused = true)]
async fn an_installation_is_taken_over_step_by_step_across_restarts() {
    let mut rig = Rig::start();
    let extract = rig.smso(smso_migration_command::Act::Extract(SmsoExtract {})).await;
    assert!(extract.master_keys && extract.active && extract.open_top_ups == 0);
    assert_eq!(extract.devices.len(), 4);
    assert!(
        extract
            .devices
            .iter()
            .all(|device| !device.profile.is_empty() && device.epoch == 1)
    );

    let opening = rig.parts().pki.rp_opening.key().unwrap();
    let stage = |devices, key: &PublicKey| {
        smso_migration_command::Act::StageKeys(SmsoStageKeys {
            devices,
            epoch: 2,
            seal_to: key.octets().to_vec().into(),
        })
    };
    let early = rig.smso(stage(rig.devices(), &opening.public_key())).await;
    assert_eq!(kinds(&early.conditions), ["not-frozen"]);
    let (devices, secrets) = rig.staged(2).await;
    let esme = devices.iter().find(|device| device.kind == "ESME").unwrap();
    assert!(reading(esme, DataItem::ActiveImport) > 0);
    assert_eq!(reading(esme, DataItem::SupplyState), 2);
    assert!(
        !esme.serial.is_empty() && esme.configuration_digest.len() == 64,
        "{esme:?}"
    );
    let refused = rig
        .supplier(DeviceKind::Esme, &Operation::Read(DataItem::ActiveImport))
        .await;
    assert!(refused.failure.contains("frozen"), "{refused:?}");

    // Whose files are taken, and whose not.
    let good = rig.required("s1sp", &devices, &secrets.s1sp);
    let wrong_reader = rig.required("dco", &devices, &secrets.dco);
    let refused = rig.deliver(Role::S1sp, wrong_reader).await;
    assert_eq!(
        (refused.accepted, kinds(&refused.conditions)),
        (false, vec!["wrong-recipient"])
    );
    let unknown = rig.s1sp(viability(&rig)).await;
    assert_eq!(kinds(&unknown.conditions), ["unknown-installation"]);
    let taken = rig.deliver(Role::S1sp, good.clone()).await;
    assert_eq!((taken.accepted, kinds(&taken.conditions)), (true, vec![]));
    let again = rig.deliver(Role::S1sp, good).await;
    assert_eq!((again.accepted, kinds(&again.conditions)), (false, vec!["replayed"]));
    let incomplete = rig.required("dco", &devices, &secrets.dco[1..]);
    let differ = rig.deliver(Role::Dco, incomplete).await;
    assert_eq!(
        (differ.accepted, kinds(&differ.conditions)),
        (true, vec!["device-sets-differ"])
    );
    let early = rig.approval(DeviceKind::Esme, 2, "probe").await.unwrap_err();
    assert_eq!(kinds(&early), ["approval-refused"]);
    let files = rig.required("dco", &devices, &secrets.dco);
    let taken = rig.deliver(Role::Dco, files).await;
    assert_eq!((taken.accepted, kinds(&taken.conditions)), (true, vec![]));

    // Every device is reached under the staged keys, by an S1SP and a DCO that were restarted meanwhile.
    rig.chain.restart(Role::S1sp).await.unwrap();
    rig.chain.restart(Role::Dco).await.unwrap();
    let viable = rig.s1sp(viability(&rig)).await;
    assert_eq!(kinds(&viable.conditions), Vec::<&str>::new(), "{:?}", viable.conditions);
    assert_eq!(viable.devices.len(), 4);
    assert!(
        viable
            .devices
            .iter()
            .all(|device| device.epoch == 1 && device.staged_epoch == 2)
    );
    for kind in KINDS {
        let approval = rig.approval(kind, 2, "probe").await.unwrap();
        let probe = S1spProbe {
            device: rig.device(kind).0,
            approval: approval.clone(),
            within_ms: SLEEPY,
        };
        let probed = rig.s1sp(s1sp_migration_command::Act::Probe(probe.clone())).await;
        assert_eq!(kinds(&probed.conditions), Vec::<&str>::new(), "{kind}");
        let replayed = rig.s1sp(s1sp_migration_command::Act::Probe(probe)).await;
        assert_eq!(kinds(&replayed.conditions), ["approval-rejected"], "{kind}");
    }

    // Nothing is released before every device is rotated; each rotation may be asked for twice.
    let early = rig.activation(CP_EUI);
    let refused = rig.deliver(Role::S1sp, early).await;
    assert_eq!(kinds(&refused.conditions), ["not-rotated"; 4]);
    let refused_epoch = rig.approval(DeviceKind::Esme, 3, "rotate").await.unwrap_err();
    assert_eq!(kinds(&refused_epoch), ["approval-refused"]);
    for kind in KINDS {
        for time in ["first", "second"] {
            let approval = rig.approval(kind, 2, "rotate").await.unwrap();
            let rotate = S1spRotate {
                device: rig.device(kind).0,
                epoch: 2,
                approval,
                within_ms: SLEEPY,
            };
            let rotated = rig.s1sp(s1sp_migration_command::Act::Rotate(rotate)).await;
            assert_eq!(
                kinds(&rotated.conditions),
                Vec::<&str>::new(),
                "{kind} {time}: {:?}",
                rotated.conditions
            );
            assert!(rotated.rotated && rotated.epoch == 2, "{kind} {time}");
            rig.chain.restart(Role::S1sp).await.unwrap();
        }
    }
    let no_way_back = rig
        .s1sp(s1sp_migration_command::Act::Purge(PurgeSecrets { attempt: 1 }))
        .await;
    assert_eq!(kinds(&no_way_back.conditions), ["already-rotated"]);
    let of_rp = rig.activation(RP_EUI);
    let refused = rig.deliver(Role::S1sp, of_rp).await;
    assert_eq!(
        (refused.accepted, kinds(&refused.conditions)),
        (false, vec!["signer-unknown"])
    );
    let good = rig.activation(CP_EUI);
    let released = rig.deliver(Role::S1sp, good).await;
    assert_eq!((released.accepted, kinds(&released.conditions)), (true, vec![]));

    let fleet = rig.chain.fleet().unwrap();
    for kind in KINDS {
        let status = fleet.status(rig.device(kind)).await.unwrap();
        assert_eq!((status.party, status.epoch), (Party::S1sp, 2), "{kind}");
    }
    let act = smso_migration_command::Act::Decommission(SmsoDecommission {
        group_id: "LAB-G".into(),
    });
    let done = rig.smso(act).await;
    assert_eq!(done.conditions, []);
    let gone = rig.smso(smso_migration_command::Act::Extract(SmsoExtract {})).await;
    assert_eq!(kinds(&gone.conditions), ["unknown-installation"]);
    rig.chain.restart(Role::Smso).await.unwrap();
    let gone = rig.smso(smso_migration_command::Act::Extract(SmsoExtract {})).await;
    assert_eq!(
        kinds(&gone.conditions),
        ["unknown-installation"],
        "also after a restart"
    );
    rig.chain.stop().await;
}

/// What a probe found out, where the S1SP died over it and its reference comes again: the device has taken the approval, and
/// says so. Under another reference the same answer of the device is a rejection.
#[tokio::test(start_paused = true)]
async fn a_probe_that_an_s1sp_died_over_may_be_asked_again() {
    let mut rig = Rig::start();
    let (devices, secrets) = rig.staged(2).await;
    let files = rig.required("s1sp", &devices, &secrets.s1sp);
    assert!(rig.deliver(Role::S1sp, files).await.accepted);
    let files = rig.required("dco", &devices, &secrets.dco);
    assert!(rig.deliver(Role::Dco, files).await.accepted);
    let kind = DeviceKind::Esme;
    let approval = rig.approval(kind, 2, "probe").await.unwrap();
    let probe = |reference: &str| S1spMigrationCommand {
        reference: reference.into(),
        group_id: "LAB-G".into(),
        installation_id: ID.into(),
        hub: rig.hub().0,
        act: Some(s1sp_migration_command::Act::Probe(S1spProbe {
            device: rig.device(kind).0,
            approval: approval.clone(),
            within_ms: MAINS,
        })),
    };
    let (again, other) = (probe("probe"), probe("another"));

    // The device answers, and the S1SP dies before its answer comes.
    let executed = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&executed);
    rig.chain
        .world()
        .faults
        .install(move |link: &LinkName, envelope: &Envelope, _: SimInstant| {
            let answer = *link.from == *"wan" && *link.to == *"s1sp" && envelope.kind() == Kind::WanData;
            heard.fetch_add(usize::from(answer), Ordering::Relaxed);
            // The association's answers pass; the probe's own is the last.
            if answer && heard.load(Ordering::Relaxed) > ASSOCIATION_ANSWERS {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
    let link = &mut rig.links.s1sp;
    link.send(Envelope::default(), Kind::S1spMigrationCommand, &again.encode_to_vec())
        .await
        .unwrap();
    for _ in 0..90 {
        if executed.load(Ordering::Relaxed) > ASSOCIATION_ANSWERS {
            break;
        }
        rig.chain.world().clock.sleep(SimDuration::from_secs(1)).await;
    }
    assert!(
        executed.load(Ordering::Relaxed) > ASSOCIATION_ANSWERS,
        "the device had answered"
    );
    rig.chain.restart(Role::S1sp).await.unwrap();
    rig.chain.world().faults.clear();
    // The hub gives its old connection up meanwhile.
    rig.chain.world().clock.sleep(SimDuration::from_mins(10)).await;

    for (command, found) in [(again, vec![]), (other, vec!["approval-rejected"])] {
        let outcome: S1spMigrationOutcome = exchange(
            &mut rig.links.s1sp,
            Kind::S1spMigrationCommand,
            &command,
            Kind::S1spMigrationOutcome,
        )
        .await;
        assert_eq!(kinds(&outcome.conditions), found, "{}", command.reference);
    }
    rig.chain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_came_to_nothing_leaves_nothing_behind() {
    let mut rig = Rig::start();
    let (devices, secrets) = rig.staged(2).await;
    let files = rig.required("s1sp", &devices, &secrets.s1sp);
    assert!(rig.deliver(Role::S1sp, files).await.accepted);
    let files = rig.required("dco", &devices, &secrets.dco);
    assert!(rig.deliver(Role::Dco, files).await.accepted);
    let approval = rig.approval(DeviceKind::Esme, 2, "rotate").await.unwrap();
    for _ in 0..2 {
        let purge = PurgeSecrets { attempt: 1 };
        let purged = rig.s1sp(s1sp_migration_command::Act::Purge(purge)).await;
        assert_eq!(purged.conditions, []);
        let purged = rig.dco(dco_migration_command::Act::Purge(purge)).await;
        assert_eq!(purged.conditions, []);
    }
    // Sets of it that come late are refused, also by an S1SP and a DCO that began again meanwhile.
    for restarted in [false, true] {
        for (role, word, secrets) in [(Role::S1sp, "s1sp", &secrets.s1sp), (Role::Dco, "dco", &secrets.dco)] {
            if restarted {
                rig.chain.restart(role).await.unwrap();
            }
            let late = rig.required(word, &devices, secrets);
            let refused = rig.deliver(role, late).await;
            assert_eq!(
                (refused.accepted, kinds(&refused.conditions)),
                (false, vec!["attempt-over"]),
                "{word}"
            );
        }
        let nothing = rig.approval(DeviceKind::Esme, 2, "rotate").await.unwrap_err();
        assert_eq!(kinds(&nothing), ["approval-refused"]);
    }
    rig.attempt = 2;
    let thawed = rig.smso(smso_migration_command::Act::Unfreeze(SmsoUnfreeze {})).await;
    assert_eq!(thawed.conditions, []);
    let read = rig
        .supplier(DeviceKind::Esme, &Operation::Read(DataItem::StagedKeyEpoch))
        .await;
    let text = format!("{read:?}");
    assert!(read.failure.is_empty() && text.contains("value: 0"), "{text}");

    // The next attempt has another epoch; what was approved before is worth nothing in it.
    let (devices, secrets) = rig.staged(3).await;
    let files = rig.required("s1sp", &devices, &secrets.s1sp);
    assert!(rig.deliver(Role::S1sp, files).await.accepted);
    let mut rotate = S1spRotate {
        device: rig.device(DeviceKind::Esme).0,
        epoch: 3,
        approval,
        within_ms: MAINS,
    };
    let refused = rig.s1sp(s1sp_migration_command::Act::Rotate(rotate.clone())).await;
    assert_eq!(kinds(&refused.conditions), ["approval-rejected"]);
    assert!(!refused.rotated);
    let files = rig.required("dco", &devices, &secrets.dco);
    assert!(rig.deliver(Role::Dco, files).await.accepted);
    rotate.approval = rig.approval(DeviceKind::Esme, 3, "rotate").await.unwrap();
    let rotated = rig.s1sp(s1sp_migration_command::Act::Rotate(rotate)).await;
    assert!(rotated.rotated, "{rotated:?}");
    rig.chain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_again_gets_the_same_answer() {
    let mut rig = Rig::start();
    let command = SmsoMigrationCommand {
        reference: "again".into(),
        hub: rig.hub().0,
        act: Some(smso_migration_command::Act::Snapshot(SmsoSnapshot {})),
    };
    let first = rig.smso_again(&command).await;
    rig.chain.world().clock.sleep(SimDuration::from_hours(5)).await;
    rig.chain.restart(Role::Smso).await.unwrap();
    assert_eq!(rig.smso_again(&command).await, first);

    let write = Operation::Write(Box::new(domain::operation::Setting::SupplierName((
        "Example Energy".into(),
        "0800 000000".into(),
    ))));
    let configure = |digest: &str, rig: &Rig| {
        smso_migration_command::Act::Configure(SmsoConfigure {
            device: rig.device(DeviceKind::Esme).0,
            configuration_digest: digest.into(),
            operations: vec![semantic::operation_to_proto(&write)],
        })
    };
    let done = rig.smso(configure("", &rig)).await;
    assert_eq!(done.conditions, []);
    let digest = done.devices[0].configuration_digest.clone();
    let before = first.devices.iter().find(|device| device.kind == "ESME").unwrap();
    assert_ne!(before.configuration_digest, digest, "the name is part of it");
    let same = rig.smso(configure(&digest, &rig)).await;
    assert_eq!(same.conditions, []);
    let other = rig.smso(configure(&"0".repeat(64), &rig)).await;
    assert_eq!(kinds(&other.conditions), ["configuration-refused"]);
    rig.chain.stop().await;
}
