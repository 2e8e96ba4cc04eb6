//! The requesting party: has the SMSO freeze, read, stage and forget; makes the files; takes outcome files.

mod known;
mod preparation;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::keys::Party as KeyParty;
use domain::{Eui64, SimDuration};
use duis::signature::{Certificate, SigningKey};
use proto::{
    Condition, DeviceRecord, DeviceSecret, FileAcknowledgement, FileDelivery, InstallationSecrets, Kind, Message,
    MigrationCommonFile, MigrationFileContent, MigrationFileSet, MigrationGroupSecrets, MigrationHeader,
    SmsoDecommission, SmsoExtract, SmsoFreeze, SmsoMigrationCommand, SmsoMigrationOutcome, SmsoSnapshot, SmsoStageKeys,
    SmsoUnfreeze, StagedSecrets, smso_migration_command::Act,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::call::{self, Router};
use world::file_set::{self, Admission, COMMON_ONLY, REQUIRED};
use world::sealed::{OpeningKey, PublicKey};
use world::{Caller, LinkEnd, LinkSender, Store, StoreError, World};

use self::known::{Known, opened, outcome_of};
use super::books::{Books, Record, Sent, Snapshot, Staged};
use super::{Commanded, again, ask, facts_of, found_of, recipient, record_of, reports, signed, verifier};
use crate::InstallationId;
use crate::machine::model::Installation;
use crate::machine::{Done, Found, Instruction, Report, Work};
use crate::settings::{Settings, Stage};

pub use self::preparation::{Image, Images};

/// What a requesting party is made of.
pub struct RpOptions {
    /// Its EUI-64 as a producer of files.
    pub eui: Eui64,
    /// Signs its files.
    pub key: SigningKey,
    /// Opens what the SMSO seals to it.
    pub opening: OpeningKey,
    /// To which the S1SP's secrets are sealed.
    pub s1sp: PublicKey,
    /// To which the DCO's secrets are sealed.
    pub dco: PublicKey,
    /// The commissioning party, whose outcome files it takes.
    pub cp: Certificate,
    /// Images of firmware.
    pub images: Arc<dyn Images>,
    /// Time limits, and what devices must have set before they are migrated.
    pub settings: Arc<Settings>,
}

/// The requesting party. Cheap to clone; somebody must run its [`Rp::run`].
#[derive(Clone)]
pub struct Rp {
    world: World,
    options: Arc<RpOptions>,
    smso: Caller,
    cp: Caller,
    state: Arc<Mutex<State>>,
}

struct State {
    books: Books,
    known: Known,
}

impl Rp {
    /// A requesting party on its links with the SMSO and the commissioning party, that goes on where its books end. The
    /// routers go to [`Rp::run`].
    ///
    /// # Errors
    /// When its books cannot be read.
    pub fn new(
        world: World,
        [smso, cp]: [LinkEnd; 2],
        options: RpOptions,
        store: Box<dyn Store>,
    ) -> Result<(Self, [Router; 2]), StoreError> {
        let mut known = Known::default();
        let books = Books::open(store, &mut |record| known.replay(record, &options.opening))?;
        let (smso, from_smso) = call::split(smso);
        let (cp, from_cp) = call::split(cp);
        let party = Self {
            world,
            options: Arc::new(options),
            smso,
            cp,
            state: Arc::new(Mutex::new(State { books, known })),
        };
        Ok((party, [from_smso, from_cp]))
    }

    /// Receives until cancelled or a link closes: replies to what was asked, and outcome files.
    pub async fn run(self, routers: [Router; 2], shutdown: CancellationToken) {
        let [mut smso, mut cp] = routers;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                late = smso.recv() => if late.is_none() { return },
                envelope = cp.recv() => {
                    let Some(envelope) = envelope else { return };
                    if envelope.kind() == Kind::FileDelivery {
                        let answer = self.take_outcome(&envelope.body);
                        reply(self.cp.sender(), &envelope, &answer).await;
                    }
                }
            }
        }
    }

    /// Whether an outcome file about this attempt was taken: what allows the SMSO to forget the installation.
    #[must_use]
    pub fn has_outcome(&self, id: InstallationId, attempt: u32) -> bool {
        self.state().known.confirmed.get(&id) == Some(&attempt)
    }

    /// Sends a set once more under a reference of its own, as somebody would who has captured it: for checks that it has
    /// no effect. None without an answer.
    pub async fn send_again(&self, delivery: &FileDelivery) -> Option<FileAcknowledgement> {
        again(&self.cp, delivery, self.options.settings.timers.file_acknowledgement()).await
    }

    fn take_outcome(&self, body: &[u8]) -> FileAcknowledgement {
        let delivery = FileDelivery::decode(body).unwrap_or_default();
        let reference = delivery.reference.clone();
        let admitted = outcome_of(&delivery, &mut verifier(&self.options.cp))
            .and_then(|(opened, _)| self.state().known.outcomes.admit(&reference, &opened));
        let conditions = match admitted {
            Err(fault) => vec![fault.to_condition()],
            Ok(Admission::Again) => Vec::new(),
            Ok(Admission::New) => {
                let record = Record {
                    delivery: Some(delivery),
                    ..Record::default()
                };
                self.write(record)
                    .err()
                    .into_iter()
                    .map(|found| Condition {
                        kind: found.kind,
                        detail: found.detail,
                        ..Condition::default()
                    })
                    .collect()
            }
        };
        FileAcknowledgement {
            reference,
            accepted: conditions.is_empty(),
            conditions,
        }
    }

    /// Writes a record into the books, and takes it in.
    fn write(&self, record: Record) -> Result<(), Found> {
        let mut state = self.state();
        let written = state.books.write(&record);
        written.map_err(|error| Found::new("no-answer").saying(error.to_string()))?;
        state.known.replay(record, &self.options.opening);
        Ok(())
    }

    /// Nothing need be known of an installation any more.
    fn forget(&self, known: &Installation) {
        let record = Record {
            forgotten: known.id().to_string(),
            ..Record::default()
        };
        // What stays in the books although it is not needed does no harm.
        if let Err(found) = self.write(record) {
            tracing::warn!(problem = found.detail, "an installation was not crossed out");
        }
    }

    /// Does one instruction about these installations as they stand. Cancelling it leaves the work half done; given again, it is done once.
    pub async fn work(&self, instruction: &Instruction, known: &[Installation]) -> Vec<Report> {
        match &instruction.work {
            Work::Deliver => self.deliver(instruction, known).await,
            Work::Secrets => self.secrets(instruction, known).await,
            work => {
                let Some(one) = known.first() else { return Vec::new() };
                let reference = &instruction.reference;
                let (result, mended) = match work {
                    Work::Unfreeze => self.unfreeze(reference, one).await,
                    Work::Decommission => self.decommission(reference, one).await,
                    work => self.one(reference, work, one).await.map(|done| (done, Vec::new())),
                }
                .map_or_else(|found| (Err(found), Vec::new()), |(done, mended)| (Ok(done), mended));
                let mut all = reports(instruction, |_| result.clone());
                all.iter_mut().for_each(|report| report.mended.clone_from(&mended));
                all
            }
        }
    }

    async fn unfreeze(&self, reference: &str, known: &Installation) -> Result<(Done, Vec<Found>), Vec<Found>> {
        let outcome = self.smso(reference, known, Act::Unfreeze(SmsoUnfreeze {})).await?;
        self.forget(known);
        Ok((Done::Unfrozen, topped_up(&outcome)))
    }

    async fn decommission(&self, reference: &str, known: &Installation) -> Result<(Done, Vec<Found>), Vec<Found>> {
        if !self.has_outcome(known.id(), known.attempt.number) {
            return Err(vec![
                Found::new("no-answer").saying("no outcome file about it was taken"),
            ]);
        }
        let group_id = known.attempt.group.clone();
        let outcome = self
            .smso(reference, known, Act::Decommission(SmsoDecommission { group_id }))
            .await?;
        self.forget(known);
        Ok((Done::Removed, topped_up(&outcome)))
    }

    async fn one(&self, reference: &str, work: &Work, known: &Installation) -> Result<Done, Vec<Found>> {
        match work {
            Work::Extract => {
                let outcome = self.smso(reference, known, Act::Extract(SmsoExtract {})).await?;
                Ok(Done::Extracted {
                    devices: facts_of(&outcome.devices)?,
                    master_keys: outcome.master_keys,
                    active: Some(outcome.active),
                })
            }
            Work::Freeze => {
                let until = self.world.clock.now() + self.options.settings.timers.freeze_max();
                let freeze = Act::Freeze(SmsoFreeze { until_ms: until.0 });
                self.smso(&format!("{reference}/freeze"), known, freeze).await?;
                let read = self
                    .smso(&format!("{reference}/read"), known, Act::Snapshot(SmsoSnapshot {}))
                    .await?;
                let devices = facts_of(&read.devices)?;
                let on_file = |device: &DeviceRecord| {
                    let mut facts = known.facts.devices.iter();
                    facts.find(|facts| facts.id.0 == device.device)
                };
                let snapshot = Snapshot {
                    installation_id: known.id().to_string(),
                    devices: read
                        .devices
                        .into_iter()
                        .map(|device| DeviceRecord {
                            authorised_firmware: on_file(&device)
                                .map(|facts| facts.model.firmware.clone())
                                .unwrap_or_default(),
                            ..device
                        })
                        .collect(),
                    open_top_ups: read.open_top_ups,
                };
                self.write(Record {
                    snapshot: Some(snapshot),
                    ..Record::default()
                })
                .map_err(|found| vec![found])?;
                Ok(Done::Frozen {
                    taken_at: domain::SimInstant(read.taken_ms),
                    devices,
                })
            }
            Work::Upgrade { device, to } => self.upgrade(reference, known, *device, to).await,
            Work::Configure { device, configuration } => self.configure(reference, known, *device, configuration).await,
            Work::Activate
            | Work::Decommission
            | Work::Deliver
            | Work::Outcome
            | Work::Probe { .. }
            | Work::Purge
            | Work::Rotate { .. }
            | Work::Secrets
            | Work::Step { .. }
            | Work::Unfreeze
            | Work::Viability => {
                let text = format!("{} is not one act of a requesting party", work.word());
                Err(vec![Found::new("unknown").saying(text)])
            }
        }
    }

    async fn smso(&self, reference: &str, known: &Installation, act: Act) -> Result<SmsoMigrationOutcome, Vec<Found>> {
        let within = self.options.settings.timers.smso_command();
        self.smso_within(reference, known, act, within).await
    }

    async fn smso_within(
        &self,
        reference: &str,
        known: &Installation,
        act: Act,
        within: SimDuration,
    ) -> Result<SmsoMigrationOutcome, Vec<Found>> {
        let command = SmsoMigrationCommand {
            reference: reference.to_owned(),
            hub: known.facts.hub.0,
            act: Some(act),
        };
        let smso = Commanded {
            caller: &self.smso,
            kinds: (Kind::SmsoMigrationCommand, Kind::SmsoMigrationOutcome),
            within,
            silent: "no-answer",
        };
        smso.order(reference, &command, known.id()).await
    }

    /// Stages the epoch of each installation, then sends the group's common files to the commissioning party.
    async fn deliver(&self, instruction: &Instruction, known: &[Installation]) -> Vec<Report> {
        let mut failed = self.stage_all(&instruction.reference, known).await;
        failed
            .values_mut()
            .flatten()
            .for_each(|found| found.stage = Some(Stage::Staging));
        let staged: Vec<&Installation> = known.iter().filter(|one| !failed.contains_key(&one.id())).collect();
        let answer = if staged.is_empty() {
            Ok(FileAcknowledgement {
                accepted: true,
                ..FileAcknowledgement::default()
            })
        } else {
            self.send(&instruction.reference, &instruction.group, &staged, None)
                .await
        };
        reports(instruction, |id| match (failed.get(&id), &answer) {
            (Some(found), _) => Err(found.clone()),
            (None, Err(found)) => Err(vec![found.clone()]),
            (None, Ok(answer)) => judged(answer, id, Done::Validated),
        })
    }

    /// Stages the epoch of all at once: gas meters sleep, and one after the other a group would outlive its snapshots. Gives
    /// what was found where it failed.
    async fn stage_all(&self, reference: &str, known: &[Installation]) -> BTreeMap<InstallationId, Vec<Found>> {
        let mut staging = JoinSet::new();
        for one in known {
            let (party, reference, one) = (self.clone(), reference.to_owned(), one.clone());
            staging.spawn(async move { (one.id(), party.stage(&reference, &one).await) });
        }
        let ended_badly = || vec![Found::new("unknown").saying("staging ended badly")];
        let mut failed: BTreeMap<_, _> = known.iter().map(|one| (one.id(), ended_badly())).collect();
        while let Some(staged) = staging.join_next().await {
            match staged {
                Ok((id, Ok(()))) => drop(failed.remove(&id)),
                Ok((id, Err(found))) => drop(failed.insert(id, found)),
                Err(_) => {}
            }
        }
        failed
    }

    async fn stage(&self, reference: &str, known: &Installation) -> Result<(), Vec<Found>> {
        let keyed: Vec<_> = known.keyed().map(|(facts, _)| facts).collect();
        let Some(epoch) = keyed.first().map(|device| known.staged_epoch(device)) else {
            return Err(vec![Found::new("data-incomplete").saying("no device holds keys")]);
        };
        let reference = format!("{reference}/stage/{}", known.id());
        let stage = SmsoStageKeys {
            devices: keyed.iter().map(|device| device.id.0).collect(),
            epoch,
            seal_to: self.options.opening.public_key().octets().to_vec().into(),
        };
        let outcome = self.smso(&reference, known, Act::StageKeys(stage)).await?;
        let staged = Staged {
            installation_id: known.id().to_string(),
            reference,
            sealed: outcome.secrets,
        };
        if opened(&staged, &self.options.opening).is_none() {
            return Err(vec![Found::new("keys-not-staged").saying("its secrets do not open")]);
        }
        let record = Record {
            staged: Some(staged),
            ..Record::default()
        };
        self.write(record).map_err(|found| vec![found])
    }

    /// Sends both recipients their sets through the commissioning party.
    async fn secrets(&self, instruction: &Instruction, known: &[Installation]) -> Vec<Report> {
        let all: Vec<&Installation> = known.iter().collect();
        let mut answers = Vec::new();
        for party in [KeyParty::S1sp, KeyParty::Dco] {
            answers.push(
                self.send(&instruction.reference, &instruction.group, &all, Some(party))
                    .await,
            );
        }
        reports(instruction, |id| {
            for answer in &answers {
                match answer {
                    Err(found) => return Err(vec![found.clone()]),
                    Ok(answer) => judged(answer, id, Done::Delivered)?,
                };
            }
            Ok(Done::Delivered)
        })
    }

    /// One set to the commissioning party: its own (no recipient), or one that it relays.
    async fn send(
        &self,
        reference: &str,
        group: &str,
        known: &[&Installation],
        to: Option<KeyParty>,
    ) -> Result<FileAcknowledgement, Found> {
        let word = to.map_or("cp", recipient);
        let of_set = format!("{reference}/{word}");
        let sent = self.state().known.outbox.get(&of_set).cloned();
        let delivery = match sent {
            Some(sent) => sent,
            None => self
                .make(&of_set, group, known, to)
                .map_err(|problem| Found::new("unknown").saying(problem))?,
        };
        let kinds = (Kind::FileDelivery, Kind::FileAcknowledgement);
        let within = self.options.settings.timers.file_acknowledgement();
        ask(&self.cp, reference, kinds, &delivery, within)
            .await
            .map_err(|found: Found| Found {
                kind: "no-acknowledgement".into(),
                ..found
            })
    }

    /// Makes a set, and puts it on record before it leaves.
    fn make(
        &self,
        reference: &str,
        group: &str,
        known: &[&Installation],
        to: Option<KeyParty>,
    ) -> Result<FileDelivery, String> {
        let (sequence, set) = self.set(group, known, to)?;
        let delivery = FileDelivery {
            reference: reference.to_owned(),
            set: Some(set),
        };
        let sent = Sent {
            delivery: Some(delivery.clone()),
            installations: known.iter().map(|one| one.id().to_string()).collect(),
        };
        let record = Record {
            sequence,
            sent: Some(sent),
            ..Record::default()
        };
        self.write(record).map_err(|found| found.detail)?;
        Ok(delivery)
    }

    fn set(
        &self,
        group: &str,
        known: &[&Installation],
        to: Option<KeyParty>,
    ) -> Result<(u64, MigrationFileSet), String> {
        let mut state = self.state();
        // The number stands in the books with the set, before that leaves.
        state.known.sequence += 1;
        let sequence = state.known.sequence;
        let word = to.map_or("cp", recipient);
        let header = MigrationHeader {
            group_id: format!("{group}/{word}"),
            schema_version: file_set::SCHEMA_VERSION,
            created_ms: self.world.clock.now().0,
            producer: self.options.eui.0,
            sequence,
        };
        let records = known
            .iter()
            .map(|one| record_of(one, state.known.snapshots.get(&one.id())));
        let (common, validation) = file_set::common_payloads(&MigrationCommonFile {
            installations: records.collect(),
        });
        let mut payloads = vec![common, validation];
        let kinds = match to {
            None => &COMMON_ONLY[..],
            Some(party) => {
                let secrets = MigrationGroupSecrets {
                    installations: known
                        .iter()
                        .map(|one| InstallationSecrets {
                            installation_id: one.id().to_string(),
                            devices: secrets_of(state.known.secrets.get(&one.id()), party),
                        })
                        .collect(),
                };
                let key = if party == KeyParty::Dco {
                    &self.options.dco
                } else {
                    &self.options.s1sp
                };
                payloads.push(file_set::group_payload(&secrets, key, &header).map_err(|error| error.to_string())?);
                &REQUIRED[..]
            }
        };
        drop(state);
        let files = payloads.into_iter().zip(kinds).map(|(payload, kind)| {
            let content = MigrationFileContent {
                header: Some(header.clone()),
                kind: (*kind).into(),
                recipient: word.to_owned(),
                payload: payload.into(),
            };
            signed(&self.options.key, &content).map_err(|error| error.to_string())
        });
        let files = files.collect::<Result<_, _>>()?;
        Ok((sequence, MigrationFileSet { files }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the SMSO says of top-ups that it took while the installation was frozen.
fn topped_up(outcome: &SmsoMigrationOutcome) -> Vec<Found> {
    let number = outcome.top_ups_while_frozen;
    let found = (number > 0).then(|| Found {
        stage: Some(Stage::Prepayment),
        ..Found::new("top-up-while-frozen").saying(format!("{number} went to its meters"))
    });
    found.into_iter().collect()
}

fn secrets_of(staged: Option<&StagedSecrets>, party: KeyParty) -> Vec<DeviceSecret> {
    staged.map_or_else(Vec::new, |staged| match party {
        KeyParty::Dco => staged.dco.clone(),
        KeyParty::S1sp | KeyParty::Smso => staged.s1sp.clone(),
    })
}

/// What an acknowledgement says about one installation.
fn judged(answer: &FileAcknowledgement, id: InstallationId, done: Done) -> Result<Done, Vec<Found>> {
    let found = found_of(&answer.conditions, Some(id));
    if answer.accepted && found.is_empty() {
        return Ok(done);
    }
    Err(if found.is_empty() {
        vec![Found::new("unknown").saying("refused without a reason")]
    } else {
        found
    })
}

/// Answers a delivery; a closed link shows in the loop by itself.
pub(super) async fn reply(sender: &LinkSender, envelope: &proto::Envelope, answer: &FileAcknowledgement) {
    let _sent = sender
        .reply(envelope, Kind::FileAcknowledgement, &answer.encode_to_vec())
        .await;
}

/// How long the commissioning party waits for a relayed acknowledgement: less than the requesting party waits for it.
pub(super) fn relayed(settings: &Settings) -> SimDuration {
    SimDuration::from_millis(settings.timers.file_acknowledgement().as_millis() * 9 / 10)
}
