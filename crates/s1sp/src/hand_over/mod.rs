//! The S1SP's part in a migration: it takes files, tries the staged keys, puts them in force device by device, and operates
//! an installation for users once the commissioning party releases it.
//!
//! Until then nobody's requests reach it. A command that comes again gets the answer it got; after a restart, what was tried
//! and not seen to end is looked up at the device itself.

mod files;
mod journal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::keys::HandOverSecret;
use domain::operation::ApprovalFault;
use domain::{Approval, DataItem, DeviceKind, Eui64, Operation, Refusal, SimDuration, SimInstant, Value};
use duis::signature::Certificates;
use head_end::survey::{self, Depth, Said, Survey, Trouble, has_keys};
use head_end::{Directory, FailureKind, Handle, Job, Models, Site, Standing};
use proto::s1sp_migration_command::Act;
use proto::{
    Condition, DeviceRecord, Envelope, FileDelivery, Kind, Message, S1spMigrationCommand, S1spMigrationOutcome,
    S1spRotate, S1spViability,
};
use tokio::task::JoinSet;
use world::file_set::Taken;
use world::sealed::OpeningKey;
use world::{LinkSender, Store, StoreError, World};

use journal::{Journal, Record};

/// The furthest a device's clock may be off before that is reported.
const CLOCK_OFF: SimDuration = SimDuration::from_mins(10);

/// What an S1SP needs to take part in migrations.
pub struct HandOverOptions {
    /// The requesting party: signs file sets.
    pub rp: Eui64,
    /// The commissioning party: signs activations.
    pub cp: Eui64,
    /// Opens what is sealed to the S1SP.
    pub opening: OpeningKey,
    /// The device models it can speak to.
    pub models: Models,
    /// Journal of files, rotations and answers.
    pub store: Box<dyn Store>,
}

impl std::fmt::Debug for HandOverOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandOverOptions")
            .field("rp", &self.rp)
            .field("cp", &self.cp)
            .finish_non_exhaustive()
    }
}

/// Hubs whose installations are not released to users yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<Mutex<BTreeSet<Eui64>>>);

impl Held {
    pub(crate) fn contains(&self, hub: Eui64) -> bool {
        self.lock().contains(&hub)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Eui64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The S1SP's desk for migrations.
pub(crate) struct HandOver {
    world: World,
    engine: Handle,
    directory: Directory,
    certificates: Arc<dyn Certificates + Send + Sync>,
    rp: Eui64,
    cp: Eui64,
    opening: OpeningKey,
    models: Models,
    held: Held,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    taken: Taken,
    installations: BTreeMap<String, Installation>,
    /// Devices whose activation was asked for at least once.
    tried: BTreeSet<Eui64>,
    /// References of probes that were sent before this start and never answered.
    probing: BTreeSet<String>,
}

/// An installation whose files were taken.
#[derive(Clone, Debug)]
struct Installation {
    hub: Eui64,
    /// As the files describe them; those this attempt moves.
    devices: Vec<DeviceRecord>,
    rotated: BTreeSet<Eui64>,
}

/// What every command is answered with in the end.
struct Answer {
    reference: String,
    kind: Kind,
    body: Bytes,
}

impl HandOver {
    pub(crate) fn open(
        world: World,
        engine: Handle,
        directory: Directory,
        certificates: Arc<dyn Certificates + Send + Sync>,
        held: Held,
        options: HandOverOptions,
    ) -> Result<Self, StoreError> {
        let (journal, records) = Journal::open(options.store)?;
        let desk = Self {
            world,
            engine,
            directory,
            certificates,
            rp: options.rp,
            cp: options.cp,
            opening: options.opening,
            models: options.models,
            held,
            state: Mutex::new(State {
                journal,
                taken: Taken::default(),
                installations: BTreeMap::new(),
                tried: BTreeSet::new(),
                probing: BTreeSet::new(),
            }),
        };
        for record in records {
            desk.replay(record);
        }
        Ok(desk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replay(&self, record: Record) {
        if let Some(delivery) = record.delivery {
            // What the journal has was proved before it was written.
            let _conditions = self.apply(&delivery);
        }
        let mut state = self.state();
        if !record.probing.is_empty() && state.journal.known(&record.probing).is_none() {
            state.probing.insert(record.probing.clone());
        }
        if record.tried > 0 {
            state.tried.insert(Eui64(record.tried));
        }
        if record.rotated > 0 {
            self.note_rotated(&mut state, Eui64(record.rotated));
        }
        if !record.purged.is_empty() {
            self.forget(&mut state, &record.purged);
        }
    }

    /// Takes one message of the commissioning party and answers it on `to`.
    pub(crate) async fn take(self: Arc<Self>, envelope: Envelope, to: LinkSender) {
        let Some(answer) = self.answer(&envelope).await else {
            return;
        };
        // A closed link shows in the role's loop by itself.
        let _ = to.reply(&envelope, answer.kind, &answer.body).await;
    }

    async fn answer(self: &Arc<Self>, envelope: &Envelope) -> Option<Answer> {
        let (reference, work) = match envelope.kind() {
            Kind::FileDelivery => {
                let delivery = FileDelivery::decode(envelope.body.clone()).ok()?;
                (delivery.reference.clone(), Work::Files(delivery))
            }
            Kind::S1spMigrationCommand => {
                let command = S1spMigrationCommand::decode(envelope.body.clone()).ok()?;
                (command.reference.clone(), Work::Command(command))
            }
            kind => {
                tracing::warn!(from = %envelope.from, ?kind, leg = "s1sp", "no message of a migration");
                return None;
            }
        };
        {
            let mut state = self.state();
            match state.journal.known(&reference) {
                Some(Some((kind, body))) => {
                    let (kind, body) = (*kind, body.clone());
                    return Some(Answer { reference, kind, body });
                }
                Some(None) => return None,
                None => state.journal.begin(&reference),
            }
        }
        let (kind, body) = match work {
            Work::Files(delivery) => (Kind::FileAcknowledgement, self.files(&delivery).encode_to_vec()),
            Work::Command(command) => {
                let outcome = self.command(&command, &envelope.trace_id).await;
                (Kind::S1spMigrationOutcome, outcome.encode_to_vec())
            }
        };
        let answer = Answer {
            reference,
            kind,
            body: body.into(),
        };
        let journalled = self
            .state()
            .journal
            .answer(&answer.reference, answer.kind, answer.body.clone());
        match journalled {
            Ok(()) => Some(answer),
            Err(error) => {
                tracing::error!(reference = answer.reference, leg = "s1sp", %error, "answer not journalled, not given");
                None
            }
        }
    }

    async fn command(self: &Arc<Self>, command: &S1spMigrationCommand, trace_id: &str) -> S1spMigrationOutcome {
        let mut outcome = S1spMigrationOutcome {
            reference: command.reference.clone(),
            ..S1spMigrationOutcome::default()
        };
        let known = self.state().installations.get(&command.installation_id).cloned();
        let site = known.as_ref().and_then(|known| self.directory.site(known.hub));
        let (Some(installation), Some(site)) = (known, site) else {
            if !matches!(command.act, Some(Act::Purge(_))) {
                let text = "no files of this installation were taken";
                outcome.conditions.push(condition(
                    "unknown-installation",
                    &command.installation_id,
                    Eui64(0),
                    text,
                ));
            }
            return outcome;
        };
        let act = Acting {
            desk: self,
            id: &command.installation_id,
            installation: &installation,
            site: &site,
            trace_id,
        };
        match &command.act {
            Some(Act::Viability(viability)) => act.viability(viability, &mut outcome).await,
            Some(Act::Probe(probe)) => {
                let device = Eui64(probe.device);
                match act
                    .probe(&command.reference, device, &probe.approval, probe.within_ms)
                    .await
                {
                    Ok(()) => {}
                    Err(found) => outcome.conditions.push(found),
                }
            }
            Some(Act::Rotate(rotate)) => act.rotate(rotate, &mut outcome).await,
            Some(Act::Purge(_)) => self.purge(&command.installation_id, &mut outcome),
            None => {
                let text = "the command says nothing to do";
                outcome
                    .conditions
                    .push(condition("malformed", &command.installation_id, Eui64(0), text));
            }
        }
        outcome
    }

    fn purge(&self, id: &str, outcome: &mut S1spMigrationOutcome) {
        let mut state = self.state();
        let rotated = state
            .installations
            .get(id)
            .is_some_and(|known| !known.rotated.is_empty());
        if rotated {
            let text = "keys of it are in force: there is no way back";
            outcome
                .conditions
                .push(condition("already-rotated", id, Eui64(0), text));
            return;
        }
        let written = state.journal.write(&Record {
            purged: id.to_owned(),
            ..Record::default()
        });
        match written {
            Ok(()) => self.forget(&mut state, id),
            Err(error) => outcome
                .conditions
                .push(condition("s1sp-down", id, Eui64(0), &error.to_string())),
        }
    }

    fn forget(&self, state: &mut State, id: &str) {
        if let Some(installation) = state.installations.remove(id) {
            self.directory.remove(installation.hub);
            self.held.lock().remove(&installation.hub);
            for device in &installation.devices {
                state.tried.remove(&Eui64(device.device));
            }
        }
    }

    fn note_rotated(&self, state: &mut State, device: Eui64) {
        let mut installations = state.installations.values_mut();
        let found = installations.find(|known| known.devices.iter().any(|record| record.device == device.0));
        if let Some(installation) = found {
            installation.rotated.insert(device);
        }
        self.directory
            .change(device, |known| known.keys.standing = Standing::InForce);
    }
}

enum Work {
    Files(FileDelivery),
    Command(S1spMigrationCommand),
}

/// One act on one installation.
struct Acting<'a> {
    desk: &'a Arc<HandOver>,
    id: &'a str,
    installation: &'a Installation,
    site: &'a Arc<Site>,
    trace_id: &'a str,
}

impl Acting<'_> {
    async fn viability(&self, viability: &S1spViability, outcome: &mut S1spMigrationOutcome) {
        let since = self.desk.world.clock.now();
        let mut asked = JoinSet::new();
        for id in &viability.devices {
            let device = Eui64(*id);
            let known = self.site.device(device).filter(|known| has_keys(known.slot)).cloned();
            let Some(known) = known else {
                outcome
                    .conditions
                    .push(self.found("unknown-device", device, "not in the files"));
                continue;
            };
            let within = match known.slot {
                DeviceKind::Gsme => viability.sleepy_within_ms,
                _ => viability.mains_within_ms,
            };
            let deadline = self.deadline(within);
            let (desk, site, trace_id) = (Arc::clone(self.desk), Arc::clone(self.site), self.trace_id.to_owned());
            asked.spawn(async move {
                let survey = Survey {
                    handle: &desk.engine,
                    site: &site,
                    trace_id: &trace_id,
                    depth: Depth::Identity,
                };
                let said = survey.ask(&known, deadline).await;
                (known, said)
            });
        }
        while let Some(ended) = asked.join_next().await {
            let Ok((device, said)) = ended else { continue };
            match said {
                Ok(said) => {
                    self.compare(device.id, &said, since, outcome);
                    outcome.devices.push(survey::record(&device, &said));
                }
                Err(trouble) => outcome.conditions.push(trouble.condition(self.id, device.id)),
            }
        }
        outcome.devices.sort_by_key(|record| record.device);
        outcome.conditions.sort_by_key(|condition| condition.device);
    }

    /// What the device said, some time since it was asked, against what the files say.
    fn compare(&self, device: Eui64, said: &Said, since: SimInstant, outcome: &mut S1spMigrationOutcome) {
        let mut devices = self.installation.devices.iter();
        let Some(file) = devices.find(|record| record.device == device.0) else {
            return;
        };
        let mut differs = |kind: &str, text: String| outcome.conditions.push(self.found(kind, device, &text));
        if let Some(serial) = said.text(DataItem::SerialNumber)
            && !file.serial.is_empty()
            && serial != file.serial
        {
            differs(
                "serial-differs",
                format!("the device says {serial}, the file {}", file.serial),
            );
        }
        let expected = self.desk.models.profile(&file.profile);
        if let (Some(firmware), Some(expected)) = (said.text(DataItem::FirmwareVersion), expected)
            && firmware != expected.native_firmware
        {
            differs(
                "firmware-differs",
                format!("the device runs {firmware}, the file says {}", expected.native_firmware),
            );
        }
        if let Some(Value::Clock(time, _)) = said.values.get(&DataItem::Clock) {
            let now = self.desk.world.clock.now();
            let off = since.since(*time).max(time.since(now));
            if off > CLOCK_OFF {
                differs("clock-wrong", format!("its clock is {off} off"));
            }
        }
        let staged = said.count(DataItem::StagedKeyEpoch).unwrap_or(0);
        if staged != file.staged_epoch && said.count(DataItem::KeyEpoch) != Some(file.staged_epoch) {
            differs("keys-not-staged", format!("epoch {} is not staged", file.staged_epoch));
        }
    }

    /// A device takes an approval once. That it knows this one already proves as much as taking it, where the same probe
    /// was sent before the S1SP died over it; of any other it is a rejection.
    async fn probe(&self, reference: &str, device: Eui64, approval: &[u8], within_ms: u64) -> Result<(), Condition> {
        let approval = self.approval(device, approval)?;
        let again = self.sent_before(reference, device)?;
        let operation = Operation::ProbeDualControl {
            nonce: approval.counter,
        };
        let job = self.job(device, operation, Some(approval), within_ms)?;
        match Trouble::with(self.desk.engine.execute(job).await) {
            None => Ok(()),
            Some(Trouble::Refused(Refusal::Approval(ApprovalFault::Replayed))) if again => Ok(()),
            Some(trouble) => Err(trouble.condition(self.id, device)),
        }
    }

    /// Whether this probe may have reached the device before; from now on it may.
    fn sent_before(&self, reference: &str, device: Eui64) -> Result<bool, Condition> {
        let mut state = self.desk.state();
        if state.probing.contains(reference) {
            return Ok(true);
        }
        let probing = reference.to_owned();
        let written = state.journal.write(&Record {
            probing,
            ..Record::default()
        });
        match written {
            Ok(()) => Ok(false),
            Err(error) => Err(self.found("s1sp-down", device, &error.to_string())),
        }
    }

    async fn rotate(&self, rotate: &S1spRotate, outcome: &mut S1spMigrationOutcome) {
        let device = Eui64(rotate.device);
        let mut end = |rotated: bool, found: Option<Condition>| {
            outcome.rotated = rotated;
            outcome.epoch = if rotated { rotate.epoch } else { 0 };
            outcome.conditions.extend(found);
        };
        let known = self.site.device(device).map(|known| known.keys.number);
        if known != Some(rotate.epoch) {
            let text = format!("epoch {} was not handed over", rotate.epoch);
            return end(false, Some(self.found("unknown-device", device, &text)));
        }
        // Only where an earlier attempt may have done it is there anything to ask: a sleeping meter takes long to answer.
        if self.desk.state().tried.contains(&device) {
            match self.in_force(device, rotate).await {
                Ok(true) => {
                    end(true, self.rotated(device));
                    let text = "an earlier answer was lost; the device says that it has them in force";
                    outcome.mended.push(self.found("answer-lost-rotated", device, text));
                    return;
                }
                Ok(false) => {}
                Err(trouble) => return end(false, Some(trouble.condition(self.id, device))),
            }
        }
        let approval = match self.approval(device, &rotate.approval) {
            Ok(approval) => approval,
            Err(found) => return end(false, Some(found)),
        };
        if let Some(found) = self.try_it(device) {
            return end(false, Some(found));
        }
        let activate = Operation::ActivateKeys { epoch: rotate.epoch };
        let job = match self.job(device, activate, Some(approval), rotate.within_ms) {
            Ok(job) => job,
            Err(found) => return end(false, Some(found)),
        };
        let trouble = match Trouble::with(self.desk.engine.execute(job).await) {
            None => return end(true, self.rotated(device)),
            Some(trouble) => trouble,
        };
        let may_be = matches!(&trouble, Trouble::Failed(failure) if failure.may_have_executed);
        if may_be && let Ok(true) = self.in_force(device, rotate).await {
            end(true, self.rotated(device));
            let text = "the answer was lost; the device says that it has them in force";
            outcome.mended.push(self.found("answer-lost-rotated", device, text));
            return;
        }
        let mut found = trouble.condition(self.id, device);
        if found.kind == "refused" {
            "not-rotated".clone_into(&mut found.kind);
        }
        end(false, Some(found));
    }

    /// Whether the epoch is in force on the device, as the device says. It answers only to keys that it knows under the
    /// right name, so the other standing is tried where the first one is not let in.
    async fn in_force(&self, device: Eui64, rotate: &S1spRotate) -> Result<bool, Trouble> {
        let standing = self
            .site
            .device(device)
            .map_or(Standing::Staged, |known| known.keys.standing);
        let other = match standing {
            Standing::InForce => Standing::Staged,
            Standing::Staged => Standing::InForce,
        };
        let mut last = None;
        for standing in [standing, other] {
            self.desk
                .directory
                .change(device, |known| known.keys.standing = standing);
            let job = self.job(device, Operation::Read(DataItem::KeyEpoch), None, rotate.within_ms);
            let Ok(job) = job else { break };
            match self.desk.engine.execute(job).await {
                Ok(Ok(domain::Answer::Value(Value::Quantity(quantity)))) => {
                    let in_force = quantity.value == i64::from(rotate.epoch);
                    let standing = if in_force { Standing::InForce } else { Standing::Staged };
                    self.desk
                        .directory
                        .change(device, |known| known.keys.standing = standing);
                    return Ok(in_force);
                }
                Ok(Err(refusal @ Refusal::NotPermitted)) => last = Some(Trouble::Refused(refusal)),
                Ok(Err(refusal)) => return Err(Trouble::Refused(refusal)),
                Ok(Ok(_)) => return Err(Trouble::Refused(Refusal::NotSupported)),
                Err(failure) if failure.kind == FailureKind::SessionFailed => last = Some(Trouble::Failed(failure)),
                Err(failure) => {
                    self.desk
                        .directory
                        .change(device, |known| known.keys.standing = standing);
                    return Err(Trouble::Failed(failure));
                }
            }
        }
        self.desk
            .directory
            .change(device, |known| known.keys.standing = standing);
        Err(last.unwrap_or(Trouble::Refused(Refusal::NotPermitted)))
    }

    /// Notes that the activation is about to be asked for; a condition when that cannot be put on record.
    fn try_it(&self, device: Eui64) -> Option<Condition> {
        let mut state = self.desk.state();
        let written = state.journal.write(&Record {
            tried: device.0,
            ..Record::default()
        });
        match written {
            Ok(()) => {
                state.tried.insert(device);
                None
            }
            Err(error) => Some(self.found("s1sp-down", device, &error.to_string())),
        }
    }

    fn rotated(&self, device: Eui64) -> Option<Condition> {
        let mut state = self.desk.state();
        // The device has it whether it can be written or not: asked again, the device will say so again.
        let written = state.journal.write(&Record {
            rotated: device.0,
            ..Record::default()
        });
        self.desk.note_rotated(&mut state, device);
        written
            .err()
            .map(|error| self.found("s1sp-down", device, &error.to_string()))
    }

    fn approval(&self, device: Eui64, octets: &[u8]) -> Result<Approval, Condition> {
        Approval::from_bytes(octets).ok_or_else(|| self.found("malformed", device, "no approval"))
    }

    fn job(
        &self,
        device: Eui64,
        operation: Operation,
        approval: Option<Approval>,
        within_ms: u64,
    ) -> Result<Job, Condition> {
        let known = self.site.device(device).filter(|known| has_keys(known.slot));
        let known = known.ok_or_else(|| self.found("unknown-device", device, "not in the files"))?;
        Ok(Job {
            trace_id: self.trace_id.to_owned(),
            hub: self.site.hub,
            device,
            slot: known.slot,
            operation,
            approval,
            deadline: self.deadline(within_ms),
        })
    }

    fn deadline(&self, within_ms: u64) -> SimInstant {
        self.desk.world.clock.now() + SimDuration::from_millis(within_ms)
    }

    fn found(&self, kind: &str, device: Eui64, detail: &str) -> Condition {
        condition(kind, self.id, device, detail)
    }
}

/// The secrets of one installation, by device.
type Secrets = BTreeMap<Eui64, (u32, HandOverSecret)>;

fn condition(kind: &str, installation_id: &str, device: Eui64, detail: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        installation_id: installation_id.to_owned(),
        device: device.0,
        detail: detail.to_owned(),
    }
}
