//! What the commissioning party finds by itself before anything is handed over: certificates and days that are not good,
//! firmware that changed or is under way, a top-up that is not delivered. Each is really so in the lab.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod parties;

use std::sync::Arc;

use domain::image::{USUAL_OCTETS, hash};
use domain::operation::{ImageStatus, Octets};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, SimInstant, Value};
use duis::signature::Certificate;
use lab::parts::Parts;
use migration::InstallationId;
use migration::machine::State;
use parties::{Rig, Setup, estate};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoMigrationOutcome, SmsoOutcome};
use world::{FaultHook, LinkEnd, LinkName, Verdict, semantic};

/// A supplier of the operator before enrolment.
struct Supplier {
    link: LinkEnd,
    number: u32,
}

impl Supplier {
    fn of(rig: &mut Rig) -> Self {
        let link = rig.lab.take_smso_supplier().unwrap();
        Self { link, number: 0 }
    }

    async fn does(&mut self, device: Eui64, operation: &Operation) -> Answer {
        self.number += 1;
        let command = SmsoCommand {
            reference: format!("supplier {}", self.number),
            device: device.0,
            operation: Some(semantic::operation_to_proto(operation)),
        };
        let body = command.encode_to_vec();
        self.link
            .send(Envelope::default(), Kind::SmsoCommand, &body)
            .await
            .unwrap();
        let outcome = SmsoOutcome::decode(self.link.recv().await.unwrap().body).unwrap();
        assert_eq!(outcome.failure, "", "{operation}");
        semantic::outcome_from_proto(&outcome.outcome.unwrap())
            .unwrap()
            .unwrap()
    }

    async fn image_status(&mut self, device: Eui64) -> ImageStatus {
        match self.does(device, &Operation::Read(DataItem::ImageStatus)).await {
            Answer::Value(Value::Image(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Sends an image as far as so many blocks; all of it, with the check and the activation, where no number is given.
    async fn firmware(&mut self, parts: &Parts, device: Eui64, profile: &str, blocks: Option<usize>) {
        let image = parts.catalogue.find(profile).unwrap().image_head().image(USUAL_OCTETS);
        let hash = hash(&image);
        let begin = Operation::BeginImage {
            octets: u32::try_from(image.len()).unwrap(),
            hash,
            device: None,
        };
        self.does(device, &begin).await;
        let size = usize::from(self.image_status(device).await.block_octets);
        let chunks = image.chunks(size).zip(0u32..);
        for (block, number) in chunks.take(blocks.unwrap_or(usize::MAX)) {
            let octets = Octets(block.to_vec());
            self.does(device, &Operation::ImageBlock { number, octets }).await;
        }
        if blocks.is_none() {
            self.does(device, &Operation::VerifyImage).await;
            while self.image_status(device).await.verified != hash {}
            self.does(device, &Operation::ActivateImage { hash }).await;
        }
    }
}

fn meter(rig: &Rig, id: InstallationId) -> Eui64 {
    rig.known(id).facts.device(DeviceKind::Esme).unwrap().id
}

/// Two installations, eligible and authorised.
async fn authorised() -> (Arc<Parts>, Rig, [InstallationId; 2]) {
    let setup = Setup::new();
    let parts = setup.parts(&estate(2, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(-1, 12).await;
    let ids = [rig.all[0].id, rig.all[1].id];
    for id in ids {
        assert_eq!(rig.state(id), State::Authorised, "{:?}", rig.codes(id));
    }
    (parts, rig, ids)
}

/// The first is as the check says and none of its devices was touched; the second migrated.
async fn only_the_first(rig: &mut Rig, [first, second]: [InstallationId; 2], state: State, code: &str, word: &str) {
    let known = rig.known(first);
    let failure = known
        .last_failure
        .clone()
        .map(|failure| failure.detail)
        .unwrap_or_default();
    assert_eq!(known.state, state, "{:?} {failure}", rig.codes(first));
    assert!(rig.codes(first).contains(code), "{code}: {:?}", rig.codes(first));
    assert!(failure.contains(word), "{word}: {failure}");
    assert_eq!(rig.with_dcc(first).await.0, 0);
    assert_eq!(rig.state(second), State::Migrated, "{:?}", rig.codes(second));
}

#[tokio::test(start_paused = true)]
async fn firmware_that_changed_since_it_was_authorised() {
    let (parts, mut rig, ids) = authorised().await;
    let device = meter(&rig, ids[0]);
    let mut supplier = Supplier::of(&mut rig);
    supplier.firmware(&parts, device, "as300p@LAB-E001", None).await;
    rig.run_to(0, 22).await;
    only_the_first(&mut rig, ids, State::RetryWait, "LAB-DV-06", "firmware-differs").await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn firmware_that_is_under_way() {
    let (parts, mut rig, ids) = authorised().await;
    let device = meter(&rig, ids[0]);
    let mut supplier = Supplier::of(&mut rig);
    supplier.firmware(&parts, device, "as300p@LAB-E001", Some(3)).await;
    rig.run_to(0, 22).await;
    only_the_first(&mut rig, ids, State::RetryWait, "LAB-XT-05", "firmware-under-way").await;
    assert_eq!(rig.known(ids[0]).counted, 0, "it waits, and no attempt counts");

    // Once it is through, it is another firmware than was authorised.
    supplier.firmware(&parts, device, "as300p@LAB-E001", None).await;
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(ids[0]), State::RetryWait);
    assert!(rig.codes(ids[0]).contains("LAB-DV-06"), "{:?}", rig.codes(ids[0]));
    rig.stop().await;
}

/// The SMSO says of the snapshots of one hub that a top-up is open.
struct OpenTopUp {
    hub: u64,
    asked: Option<u64>,
    changed: bytes::Bytes,
}

impl FaultHook for OpenTopUp {
    fn judge(&mut self, _: &LinkName, envelope: &Envelope, _: SimInstant) -> Verdict {
        use proto::smso_migration_command::Act;
        let body = envelope.body.clone();
        match envelope.kind() {
            Kind::SmsoMigrationCommand => {
                let command = proto::SmsoMigrationCommand::decode(body).unwrap();
                if command.hub == self.hub && matches!(command.act, Some(Act::Snapshot(_))) {
                    self.asked = Some(envelope.id);
                }
                Verdict::Pass
            }
            Kind::SmsoMigrationOutcome if self.asked == Some(envelope.in_reply_to) => {
                let outcome = SmsoMigrationOutcome {
                    open_top_ups: 1,
                    ..SmsoMigrationOutcome::decode(body).unwrap()
                };
                self.changed = outcome.encode_to_vec().into();
                Verdict::Replace
            }
            _ => Verdict::Pass,
        }
    }

    fn replacement(&mut self) -> bytes::Bytes {
        self.changed.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_top_up_that_is_not_delivered_yet() {
    let (_, mut rig, ids) = authorised().await;
    rig.lab.world().faults.install(OpenTopUp {
        hub: rig.known(ids[0]).facts.hub.0,
        asked: None,
        changed: bytes::Bytes::new(),
    });
    rig.run_to(0, 22).await;
    only_the_first(&mut rig, ids, State::RetryWait, "LAB-XT-05", "top-up-open").await;
    assert_eq!(rig.known(ids[0]).counted, 0);
    rig.lab.mend();
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(ids[0]), State::Migrated, "{:?}", rig.codes(ids[0]));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn certificates_that_were_revoked() {
    let setup = Setup::new();
    let mut parts = setup.parts(&estate(1, ""));
    let site = parts.estate.sites().next().unwrap();
    let supplier = runs::campaign::facts_of(&parts, &site).points[0].supplier;
    let user = parts.pki.users.iter().find(|user| user.eui == supplier).unwrap();
    let pem = &user.organisation.as_ref().unwrap().signing;
    let serial = Certificate::from_pem(pem).unwrap().serial().to_owned();
    Arc::get_mut(&mut parts).unwrap().config.access.revoked.push(serial);
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(0, 22).await;
    let id = rig.all[0].id;
    assert_eq!(rig.state(id), State::Cancelled, "{:?}", rig.codes(id));
    let failure = rig.known(id).last_failure.clone().unwrap();
    assert!(failure.detail.contains("certificate-not-good"), "{failure:?}");
    assert_eq!(
        rig.with_dcc(id).await.0,
        0,
        "it never came so far that only a revoked supplier could go on"
    );
    rig.stop().await;
}
