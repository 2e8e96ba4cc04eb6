//! The commissioning party: validates files, relays what it cannot read, orders checks and rotations, enrols over the DUIS,
//! sends the outcome.

mod known;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{DeviceKind, Eui64};
use duis::signature::{Certificate, SigningKey};
use proto::{
    ActivatedInstallation, Condition, DcoMigrationCommand, DcoMigrationOutcome, FileAcknowledgement, FileDelivery,
    HandOverApproval, InstallationOutcome, InstallationRecord, Kind, Message, MigrationActivationFile,
    MigrationFileContent, MigrationFileKind, MigrationFileSet, MigrationHeader, MigrationOutcomeFile, PurgeSecrets,
    S1spMigrationCommand, S1spMigrationOutcome, S1spProbe, S1spRotate, S1spViability, dco_migration_command,
    s1sp_migration_command::Act,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::call::{self, Router};
use world::file_set::{self, Admission, COMMON_ONLY, FileFault};
use world::{Caller, LinkEnd, Store, StoreError, World};

use self::known::Known;
use super::books::{Books, Record, Sent};
use super::rp::{relayed, reply};
use super::{Commanded, Surroundings, again, ask, found_of, reports, signed, validate, verifier};
use crate::InstallationId;
use crate::machine::model::Installation;
use crate::machine::report::Found;
use crate::machine::{Done, Instruction, Report, Work};
use crate::settings::{Planned, Settings};

/// Makes one service request of the commissioning plan, and gives RequestID, response code and octets of the response, or
/// what was found.
pub trait Requests: Send + Sync {
    /// Sends one request of the plan of an installation and waits for its outcome; `record` is what the last files said of
    /// the installation.
    fn request<'a>(
        &'a self,
        planned: Planned,
        known: &'a Installation,
        record: Option<&'a InstallationRecord>,
    ) -> Pin<Box<dyn Future<Output = Result<Done, Vec<Found>>> + Send + 'a>>;
}

/// What a commissioning party is made of.
pub struct CpOptions {
    /// Its EUI-64 as a producer of files.
    pub eui: Eui64,
    /// Signs its files.
    pub key: SigningKey,
    /// The requesting party, whose files it takes.
    pub rp: Certificate,
    /// Validation list and time limits.
    pub settings: Arc<Settings>,
    /// What its checks can ask about the world.
    pub surroundings: Arc<dyn Surroundings>,
    /// How it sends service requests.
    pub requests: Arc<dyn Requests>,
}

/// The commissioning party. Cheap to clone; somebody must run its [`Cp::run`].
#[derive(Clone)]
pub struct Cp {
    world: World,
    options: Arc<CpOptions>,
    rp: Caller,
    s1sp: Caller,
    dco: Caller,
    state: Arc<Mutex<State>>,
}

struct State {
    books: Books,
    known: Known,
}

impl Cp {
    /// A commissioning party on its links, that goes on where its books end. The routers go to [`Cp::run`].
    ///
    /// # Errors
    /// When its books cannot be read.
    pub fn new(
        world: World,
        [rp, s1sp, dco]: [LinkEnd; 3],
        options: CpOptions,
        store: Box<dyn Store>,
    ) -> Result<(Self, [Router; 3]), StoreError> {
        let mut known = Known::default();
        let books = Books::open(store, &mut |record| known.replay(record))?;
        let (rp, from_rp) = call::split(rp);
        let (s1sp, from_s1sp) = call::split(s1sp);
        let (dco, from_dco) = call::split(dco);
        let party = Self {
            world,
            options: Arc::new(options),
            rp,
            s1sp,
            dco,
            state: Arc::new(Mutex::new(State { books, known })),
        };
        Ok((party, [from_rp, from_s1sp, from_dco]))
    }

    /// Receives until cancelled or a link closes: replies to what was asked, and files of the requesting party.
    pub async fn run(self, routers: [Router; 3], shutdown: CancellationToken) {
        let [mut rp, mut s1sp, mut dco] = routers;
        let mut relays = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = relays.join_next(), if !relays.is_empty() => {}
                late = s1sp.recv() => if late.is_none() { break },
                late = dco.recv() => if late.is_none() { break },
                envelope = rp.recv() => {
                    let Some(envelope) = envelope else { break };
                    if envelope.kind() == Kind::FileDelivery {
                        let party = self.clone();
                        relays.spawn(async move {
                            let answer = party.take(&envelope.body).await;
                            reply(party.rp.sender(), &envelope, &answer).await;
                        });
                    }
                }
            }
        }
        relays.shutdown().await;
    }

    /// Takes a set for itself, or relays one that it cannot read.
    async fn take(&self, body: &[u8]) -> FileAcknowledgement {
        let delivery = FileDelivery::decode(body).unwrap_or_default();
        let set = delivery.set.clone().unwrap_or_default();
        let first = set
            .files
            .first()
            .map(|file| MigrationFileContent::decode(file.signed.clone()));
        let to = match first {
            Some(Ok(content)) => content.recipient,
            _ => String::new(),
        };
        let caller = match to.as_str() {
            "s1sp" => &self.s1sp,
            "dco" => &self.dco,
            _ => return self.judge(delivery.reference, &set).await,
        };
        let kinds = (Kind::FileDelivery, Kind::FileAcknowledgement);
        let within = relayed(&self.options.settings);
        let answer: Result<FileAcknowledgement, Found> =
            ask(caller, &delivery.reference, kinds, &delivery, within).await;
        answer.unwrap_or_else(|found| FileAcknowledgement {
            reference: delivery.reference,
            accepted: false,
            conditions: vec![Condition {
                kind: "no-acknowledgement".into(),
                detail: found.detail,
                ..Condition::default()
            }],
        })
    }

    /// Sends a set once more to the S1SP, the DCO or the requesting party under a reference of its own, as somebody would who
    /// has captured it: for checks that it has no effect. None without an answer.
    pub async fn send_again(&self, to: &str, delivery: &FileDelivery) -> Option<FileAcknowledgement> {
        let caller = match to {
            "s1sp" => &self.s1sp,
            "dco" => &self.dco,
            _ => &self.rp,
        };
        again(caller, delivery, self.options.settings.timers.file_acknowledgement()).await
    }

    async fn judge(&self, reference: String, set: &MigrationFileSet) -> FileAcknowledgement {
        let (accepted, conditions) = match self.learn(&reference, set) {
            Ok((records, mut found)) => {
                let (options, now) = (&self.options, self.world.clock.now());
                for record in &records {
                    let sight = options.surroundings.look(record, now).await;
                    found.extend(validate(record, &options.settings, &sight, now));
                }
                (true, found)
            }
            Err(found) => (false, vec![found]),
        };
        FileAcknowledgement {
            reference,
            accepted,
            conditions,
        }
    }

    /// Takes a set of its own into the books. Gives the installations in it, and what keeps some of them from being taken.
    fn learn(
        &self,
        reference: &str,
        set: &MigrationFileSet,
    ) -> Result<(Vec<InstallationRecord>, Vec<Condition>), Condition> {
        let fault = |fault: FileFault| fault.to_condition();
        let opened = file_set::read(set, "cp", &COMMON_ONLY, &mut verifier(&self.options.rp)).map_err(fault)?;
        let records = opened.installations().map_err(fault)?;
        let mut state = self.state();
        let admission = state.known.taken.admit(reference, &opened).map_err(fault)?;
        state.known.taken.admit_any(&records)?;
        let (records, over) = state.known.of_attempts_under_way(records);
        if admission == Admission::Again {
            return Ok((records, over));
        }
        let record = Record {
            delivery: Some(FileDelivery {
                reference: reference.to_owned(),
                set: Some(set.clone()),
            }),
            ..Record::default()
        };
        state.books.write(&record).map_err(|error| Condition {
            kind: "no-acknowledgement".into(),
            detail: error.to_string(),
            ..Condition::default()
        })?;
        state.known.taken.take(reference, &opened).map_err(fault)?;
        state.known.learn(records.clone());
        Ok((records, over))
    }

    /// Nothing need be known of an installation any more; of an attempt that was given up nothing is taken any more either.
    fn forget(&self, id: InstallationId, attempt: u32) {
        let mut state = self.state();
        let record = Record {
            forgotten: id.to_string(),
            attempt,
            ..Record::default()
        };
        // What stays in the books although it is not needed does no harm.
        if let Err(error) = state.books.write(&record) {
            tracing::warn!(%error, "an installation was not crossed out");
        }
        state.known.replay(record);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one instruction about an installation as it stands. Cancelling it leaves the work half done; given again, it is done once.
    pub async fn work(&self, instruction: &Instruction, known: &[Installation]) -> Vec<Report> {
        let Some(known) = known.first() else {
            return Vec::new();
        };
        let (result, mended) = match &instruction.work {
            Work::Viability => self.viability(instruction, known).await,
            Work::Rotate { device, epoch } => match self.rotate(&instruction.reference, known, *device, *epoch).await {
                Ok((done, mended)) => (Ok(done), mended),
                Err(found) => (Err(found), Vec::new()),
            },
            work => (self.one(instruction, work, known).await, Vec::new()),
        };
        let mut all = reports(instruction, |_| result.clone());
        all.iter_mut().for_each(|report| report.mended.clone_from(&mended));
        all
    }

    async fn one(&self, instruction: &Instruction, work: &Work, known: &Installation) -> Result<Done, Vec<Found>> {
        let reference = &instruction.reference;
        match work {
            Work::Probe { device } => {
                let approval = self.approve(reference, known, *device, "probe").await?;
                let within = self.within(known, *device, |timers| timers.probe());
                let probe = Act::Probe(S1spProbe {
                    device: device.0,
                    approval,
                    within_ms: within,
                });
                self.s1sp(reference, known, probe).await?;
                Ok(Done::Probed)
            }
            Work::Activate => {
                let payload = MigrationActivationFile {
                    installations: vec![ActivatedInstallation {
                        installation_id: known.id().to_string(),
                        attempt: known.attempt.number,
                        hub: known.facts.hub.0,
                        devices: known.keyed().map(|(device, _)| device.id.0).collect(),
                    }],
                };
                let kind = MigrationFileKind::Activation;
                self.deliver(&self.s1sp, reference, known, "s1sp", kind, payload.encode_to_vec())
                    .await?;
                Ok(Done::Activated)
            }
            Work::Outcome => {
                let partial = known.is_partial();
                let payload = MigrationOutcomeFile {
                    installations: vec![InstallationOutcome {
                        installation_id: known.id().to_string(),
                        attempt: known.attempt.number,
                        hub: known.facts.hub.0,
                        result: if partial { "partially-migrated" } else { "confirmed" }.to_owned(),
                        devices: known.keyed().map(|(device, _)| device.id.0).collect(),
                        left_out: known
                            .each_device()
                            .filter(|(_, p)| p.left_out)
                            .map(|(d, _)| d.id.0)
                            .collect(),
                        code: String::new(),
                    }],
                };
                let kind = MigrationFileKind::Outcome;
                self.deliver(&self.rp, reference, known, "rp", kind, payload.encode_to_vec())
                    .await?;
                self.forget(known.id(), 0);
                Ok(Done::OutcomeTaken)
            }
            Work::Purge => {
                let attempt = known.attempt.number;
                self.s1sp(
                    &format!("{reference}/s1sp"),
                    known,
                    Act::Purge(PurgeSecrets { attempt }),
                )
                .await?;
                let purge = dco_migration_command::Act::Purge(PurgeSecrets { attempt });
                self.dco(&format!("{reference}/dco"), known, purge).await?;
                self.forget(known.id(), attempt);
                Ok(Done::Purged)
            }
            Work::Step { planned, .. } => {
                let record = self.state().known.records.get(&known.id()).cloned();
                let requests = &self.options.requests;
                requests.request(*planned, known, record.as_deref()).await
            }
            Work::Configure { .. }
            | Work::Decommission
            | Work::Deliver
            | Work::Extract
            | Work::Freeze
            | Work::Rotate { .. }
            | Work::Secrets
            | Work::Unfreeze
            | Work::Upgrade { .. }
            | Work::Viability => {
                let text = format!("{} is not one step of a commissioning party", work.word());
                Err(vec![Found::new("unknown").saying(text)])
            }
        }
    }

    /// The rotation, with what was put right on the way.
    async fn rotate(
        &self,
        reference: &str,
        known: &Installation,
        device: Eui64,
        epoch: u32,
    ) -> Result<(Done, Vec<Found>), Vec<Found>> {
        let approval = self.approve(reference, known, device, "rotate").await?;
        let within = self.within(known, device, |timers| timers.rotate());
        let rotate = S1spRotate {
            device: device.0,
            epoch,
            approval,
            within_ms: within,
        };
        let outcome = self.s1sp(reference, known, Act::Rotate(rotate)).await?;
        match (outcome.rotated, outcome.epoch) {
            (true, _) => Ok((Done::Rotated { epoch }, found_of(&outcome.mended, Some(known.id())))),
            (false, 0) => Err(vec![Found::new("answer-lost").saying("the device did not say")]),
            (false, _) => Ok((Done::NotRotated, Vec::new())),
        }
    }

    async fn viability(
        &self,
        instruction: &Instruction,
        known: &Installation,
    ) -> (Result<Done, Vec<Found>>, Vec<Found>) {
        let timers = &self.options.settings.timers;
        let ms = |kind: DeviceKind| timers.of(kind).read().as_millis();
        let ask = Act::Viability(S1spViability {
            devices: known.keyed().map(|(device, _)| device.id.0).collect(),
            mains_within_ms: ms(DeviceKind::Esme),
            sleepy_within_ms: ms(DeviceKind::Gsme),
        });
        match self.s1sp(&instruction.reference, known, ask).await {
            Ok(outcome) => (Ok(Done::Viable), found_of(&outcome.mended, Some(known.id()))),
            Err(found) => (Err(found), Vec::new()),
        }
    }

    async fn approve(
        &self,
        reference: &str,
        known: &Installation,
        device: Eui64,
        purpose: &str,
    ) -> Result<prost::bytes::Bytes, Vec<Found>> {
        let facts = known.facts.devices.iter().find(|facts| facts.id == device);
        let asked = HandOverApproval {
            device: device.0,
            epoch: facts.map_or(0, |facts| known.staged_epoch(facts)),
            purpose: purpose.to_owned(),
        };
        let act = dco_migration_command::Act::Approve(asked);
        Ok(self.dco(&format!("{reference}/approve"), known, act).await?.approval)
    }

    async fn dco(
        &self,
        reference: &str,
        known: &Installation,
        act: dco_migration_command::Act,
    ) -> Result<DcoMigrationOutcome, Vec<Found>> {
        let command = DcoMigrationCommand {
            reference: reference.to_owned(),
            group_id: known.attempt.group.clone(),
            installation_id: known.id().to_string(),
            act: Some(act),
        };
        let dco = Commanded {
            caller: &self.dco,
            kinds: (Kind::DcoMigrationCommand, Kind::DcoMigrationOutcome),
            within: self.options.settings.timers.file_acknowledgement(),
            silent: "dco-down",
        };
        dco.order(reference, &command, known.id()).await
    }

    async fn s1sp(&self, reference: &str, known: &Installation, act: Act) -> Result<S1spMigrationOutcome, Vec<Found>> {
        let command = S1spMigrationCommand {
            reference: reference.to_owned(),
            group_id: known.attempt.group.clone(),
            installation_id: known.id().to_string(),
            hub: known.facts.hub.0,
            act: Some(act),
        };
        let s1sp = Commanded {
            caller: &self.s1sp,
            kinds: (Kind::S1spMigrationCommand, Kind::S1spMigrationOutcome),
            // Longer than its own limits: the S1SP itself says which device did not answer.
            within: self.options.settings.timers.smso_command(),
            silent: "s1sp-down",
        };
        s1sp.order(reference, &command, known.id()).await
    }

    async fn deliver(
        &self,
        caller: &Caller,
        reference: &str,
        known: &Installation,
        to: &str,
        kind: MigrationFileKind,
        payload: Vec<u8>,
    ) -> Result<(), Vec<Found>> {
        let sent = self.state().known.outbox.get(reference).cloned();
        let delivery = match sent {
            Some(sent) => sent,
            None => self.make(reference, known, to, kind, payload)?,
        };
        let kinds = (Kind::FileDelivery, Kind::FileAcknowledgement);
        let within = relayed(&self.options.settings);
        let answer: FileAcknowledgement =
            ask(caller, reference, kinds, &delivery, within)
                .await
                .map_err(|found: Found| {
                    vec![Found {
                        kind: "no-acknowledgement".into(),
                        ..found
                    }]
                })?;
        let found = found_of(&answer.conditions, Some(known.id()));
        if answer.accepted && found.is_empty() {
            Ok(())
        } else {
            Err(found)
        }
    }

    /// Makes a file, and puts it on record before it leaves.
    fn make(
        &self,
        reference: &str,
        known: &Installation,
        to: &str,
        kind: MigrationFileKind,
        payload: Vec<u8>,
    ) -> Result<FileDelivery, Vec<Found>> {
        let sequence = {
            let mut state = self.state();
            state.known.sequence += 1;
            state.known.sequence
        };
        let content = MigrationFileContent {
            header: Some(MigrationHeader {
                group_id: format!("{}/{}/{to}", known.attempt.group, known.id()),
                schema_version: file_set::SCHEMA_VERSION,
                created_ms: self.world.clock.now().0,
                producer: self.options.eui.0,
                sequence,
            }),
            kind: kind.into(),
            recipient: to.to_owned(),
            payload: payload.into(),
        };
        let file = signed(&self.options.key, &content);
        let file = file.map_err(|error| vec![Found::new("unknown").saying(error.to_string())])?;
        let delivery = FileDelivery {
            reference: reference.to_owned(),
            set: Some(MigrationFileSet { files: vec![file] }),
        };
        let sent = Sent {
            delivery: Some(delivery.clone()),
            installations: vec![known.id().to_string()],
        };
        let record = Record {
            sequence,
            sent: Some(sent),
            ..Record::default()
        };
        let mut state = self.state();
        let written = state.books.write(&record);
        written.map_err(|error| vec![Found::new("no-answer").saying(error.to_string())])?;
        state.known.replay(record);
        Ok(delivery)
    }

    fn within(
        &self,
        known: &Installation,
        device: Eui64,
        of: impl Fn(&crate::settings::PerKind) -> domain::SimDuration,
    ) -> u64 {
        let kind = known
            .facts
            .devices
            .iter()
            .find(|facts| facts.id == device)
            .map(|facts| facts.kind);
        of(self.options.settings.timers.of(kind.unwrap_or(DeviceKind::Gsme))).as_millis()
    }
}
