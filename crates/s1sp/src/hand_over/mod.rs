//! The S1SP's part in a migration: it takes files, tries the staged keys, puts them in force device by device, and operates
//! an installation for users once the commissioning party releases it.
//!
//! Until then nobody's requests reach it. A command that comes again gets the answer it got; after a restart, what was tried
//! and not seen to end is looked up at the device itself.

mod acting;
mod files;
mod journal;
mod rotation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::Eui64;
use domain::keys::HandOverSecret;
use duis::signature::Certificates;
use head_end::{Directory, Handle, Models, Standing};
use proto::s1sp_migration_command::Act;
use proto::{
    Condition, DeviceRecord, Envelope, FileDelivery, Kind, Message, S1spMigrationCommand, S1spMigrationOutcome,
};
use world::file_set::Taken;
use world::sealed::OpeningKey;
use world::{LinkSender, Store, StoreError, World};

use acting::Acting;
use journal::{Journal, Record};

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
    installations: BTreeMap<String, Arc<Installation>>,
    /// The installation that was learned last with this hub, and with this device: a day has tens of thousands of them.
    by_hub: BTreeMap<Eui64, String>,
    by_device: BTreeMap<Eui64, String>,
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

impl State {
    /// Takes an installation out, where it is there, and whatever leads to it.
    fn take_out(&mut self, id: &str) -> Option<Arc<Installation>> {
        let installation = self.installations.remove(id)?;
        let drop_from = |index: &mut BTreeMap<Eui64, String>, key: Eui64| {
            if index.get(&key).is_some_and(|of| of == id) {
                index.remove(&key);
            }
        };
        drop_from(&mut self.by_hub, installation.hub);
        for device in &installation.devices {
            drop_from(&mut self.by_device, Eui64(device.device));
        }
        Some(installation)
    }
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
                by_hub: BTreeMap::new(),
                by_device: BTreeMap::new(),
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
            self.forget(&mut state, &record.purged, record.attempt);
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
        if let Some(Act::Purge(purge)) = &command.act {
            self.purge(&command.installation_id, purge.attempt, &mut outcome);
            return outcome;
        }
        let known = self.state().installations.get(&command.installation_id).cloned();
        let site = known.as_ref().and_then(|known| self.directory.site(known.hub));
        let (Some(installation), Some(site)) = (known, site) else {
            let text = "no files of this installation were taken";
            outcome.conditions.push(condition(
                "unknown-installation",
                &command.installation_id,
                Eui64(0),
                text,
            ));
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
            Some(Act::Purge(_)) | None => {
                let text = "the command says nothing to do";
                outcome
                    .conditions
                    .push(condition("malformed", &command.installation_id, Eui64(0), text));
            }
        }
        outcome
    }

    /// Also what never came, or is on its way still, is of no use any more.
    fn purge(&self, id: &str, attempt: u32, outcome: &mut S1spMigrationOutcome) {
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
            attempt,
            ..Record::default()
        });
        match written {
            Ok(()) => self.forget(&mut state, id, attempt),
            Err(error) => outcome
                .conditions
                .push(condition("s1sp-down", id, Eui64(0), &error.to_string())),
        }
    }

    fn forget(&self, state: &mut State, id: &str, attempt: u32) {
        state.taken.end(id, attempt);
        if let Some(installation) = state.take_out(id) {
            self.directory.remove(installation.hub);
            self.held.lock().remove(&installation.hub);
            for device in &installation.devices {
                state.tried.remove(&Eui64(device.device));
            }
        }
    }

    fn note_rotated(&self, state: &mut State, device: Eui64) {
        let id = state.by_device.get(&device);
        if let Some(installation) = id.and_then(|id| state.installations.get_mut(id)) {
            Arc::make_mut(installation).rotated.insert(device);
        }
        self.directory
            .change(device, |known| known.keys.standing = Standing::InForce);
    }
}

enum Work {
    Files(FileDelivery),
    Command(S1spMigrationCommand),
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
