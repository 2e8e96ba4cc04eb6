//! The SMSO role: the operator before enrolment, with its own keys, its own books, its own supplier interface, and what a
//! requesting party asks of it to move an installation away.

mod books;
mod migration;
mod supplier;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::{Eui64, SimDuration};
use proto::{Envelope, Kind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkSender, Store, StoreError, World};

use crate::custody::Custody;
use crate::directory::Directory;
use crate::engine::{Engine, Handle, Options};
use crate::models::Models;
use books::{Books, Known};

/// Commands under way at once; one more fails at once.
const UNDER_WAY: usize = 4096;

/// What an SMSO is made of.
#[derive(Debug)]
pub struct SmsoOptions {
    /// Its keys.
    pub custody: Custody,
    /// The installations it operates.
    pub directory: Directory,
    /// What it has on file about installations beside their devices.
    pub files: OnFiles,
    /// Device profiles, for devices whose firmware it changes.
    pub models: Models,
    /// Limits of its engine.
    pub engine: Options,
    /// How long a command may take in all; default 75 minutes, for a sleeping gas meter.
    pub command_within: SimDuration,
    /// How long the transfer of a firmware image and its activation may take; default 12 hours.
    pub firmware_within: SimDuration,
}

/// What an SMSO has on file about an installation, beside its devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnFile {
    /// The devices' master keys: without them nobody can be given anything.
    pub master_keys: bool,
    /// A supplier has smart service here.
    pub active: bool,
}

impl Default for OnFile {
    fn default() -> Self {
        Self {
            master_keys: true,
            active: true,
        }
    }
}

/// What an SMSO has on file about all its installations. Clones share it, so that installations can come while it runs.
#[derive(Clone, Debug, Default)]
pub struct OnFiles(Arc<Mutex<Filed>>);

#[derive(Debug, Default)]
struct Filed {
    installations: BTreeMap<Eui64, OnFile>,
    /// Devices whose supplier has no smart service: no supplier's command is taken for them.
    dormant: BTreeSet<Eui64>,
}

impl OnFiles {
    /// Puts on file what there is about the installation behind a hub, and which of its devices are operated for nobody.
    pub fn put(&self, hub: Eui64, on_file: OnFile, dormant: impl IntoIterator<Item = Eui64>) {
        let mut filed = self.lock();
        filed.installations.insert(hub, on_file);
        filed.dormant.extend(dormant);
    }

    /// Takes off file an installation with these devices.
    pub fn remove(&self, hub: Eui64, devices: &[Eui64]) {
        let mut filed = self.lock();
        filed.installations.remove(&hub);
        filed.dormant.retain(|device| !devices.contains(device));
    }

    /// What there is about an installation; the usual for one that is not in it.
    #[must_use]
    pub fn of(&self, hub: Eui64) -> OnFile {
        self.lock().installations.get(&hub).copied().unwrap_or_default()
    }

    /// Whether a device is operated for nobody.
    #[must_use]
    pub fn is_dormant(&self, device: Eui64) -> bool {
        self.lock().dormant.contains(&device)
    }

    fn lock(&self) -> MutexGuard<'_, Filed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmsoOptions {
    /// With the default limits.
    #[must_use]
    pub fn new(custody: Custody, directory: Directory, models: Models) -> Self {
        Self {
            custody,
            directory,
            files: OnFiles::default(),
            models,
            engine: Options::default(),
            command_within: SimDuration::from_mins(75),
            firmware_within: SimDuration::from_hours(12),
        }
    }
}

/// The links of an SMSO.
#[derive(Debug)]
pub struct SmsoLinks {
    /// With its suppliers.
    pub supplier: LinkEnd,
    /// With the requesting party, where there is one.
    pub rp: Option<LinkEnd>,
    /// With the WAN.
    pub wan: LinkEnd,
}

/// The journals of an SMSO.
pub struct SmsoStores {
    /// Counters of its engine.
    pub engine: Box<dyn Store>,
    /// What it was asked, answered and has done about a migration.
    pub books: Box<dyn Store>,
}

/// The SMSO at work: takes `SmsoCommand`s from its suppliers and `SmsoMigrationCommand`s from the requesting party, and
/// gives each its one answer.
#[derive(Debug)]
pub struct Smso {
    supplier: LinkEnd,
    rp: Option<LinkEnd>,
    engine: Engine,
    alerts: tokio::sync::mpsc::Receiver<crate::DeviceAlert>,
    desk: Arc<Desk>,
}

/// What every command is worked on with.
#[derive(Debug)]
struct Desk {
    world: World,
    handle: Handle,
    custody: Custody,
    directory: Directory,
    files: OnFiles,
    models: Models,
    command_within: SimDuration,
    firmware_within: SimDuration,
    books: Mutex<Books>,
}

impl Desk {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that was answered.
struct Answered {
    /// The command.
    envelope: Envelope,
    reference: String,
    kind: Kind,
    body: Bytes,
}

impl Smso {
    /// An SMSO on its links. Installations that its books say are decommissioned are forgotten again.
    ///
    /// # Errors
    /// When a journal cannot be read.
    pub fn new(world: World, links: SmsoLinks, options: SmsoOptions, stores: SmsoStores) -> Result<Self, StoreError> {
        let SmsoOptions {
            custody,
            directory,
            files,
            models,
            engine,
            command_within,
            firmware_within,
        } = options;
        let books = Books::open(stores.books)?;
        for hub in books.decommissioned() {
            directory.remove(*hub);
        }
        for (device, profile) in books.profiles() {
            match models.profile(profile) {
                Some(profile) => {
                    directory.change(*device, |known| known.profile = profile);
                }
                None => tracing::warn!(%device, profile, "a profile that no file describes any more"),
            }
        }
        let (engine, handle, alerts) = Engine::new(
            world.clone(),
            "smso",
            links.wan,
            custody.clone(),
            directory.clone(),
            engine,
            stores.engine,
        )?;
        let desk = Desk {
            world,
            handle,
            custody,
            directory,
            files,
            models,
            command_within,
            firmware_within,
            books: Mutex::new(books),
        };
        Ok(Self {
            supplier: links.supplier,
            rp: links.rp,
            engine,
            alerts,
            desk: Arc::new(desk),
        })
    }

    /// A handle to its engine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.desk.handle.clone()
    }

    /// Runs until cancelled or the supplier's link closes.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            supplier,
            rp,
            engine,
            mut alerts,
            desk,
        } = self;
        let (to_supplier, mut from_supplier) = supplier.split();
        let (to_rp, mut from_rp) = rp.map(LinkEnd::split).unzip();
        let stop = shutdown.child_token();
        let mut engine_task = JoinSet::new();
        engine_task.spawn(engine.run(stop.clone()));
        let mut commands: JoinSet<Answered> = JoinSet::new();
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(_) = engine_task.join_next() => break,
                Some(ended) = commands.join_next(), if !commands.is_empty() => {
                    if let Ok(answered) = ended {
                        let to = if answered.kind == Kind::SmsoOutcome { Some(&to_supplier) } else { to_rp.as_ref() };
                        finish(&desk, to, answered).await;
                    }
                }
                Some(alert) = alerts.recv() => {
                    // Before enrolment alerts go to the operator's own screens, which are not emulated.
                    desk.books().heard(alert.hub, desk.world.clock.now());
                    tracing::debug!(device = %alert.device, code = alert.code, "alert at the smso");
                }
                envelope = from_supplier.recv() => {
                    let Some(envelope) = envelope else { break };
                    let full = commands.len() >= UNDER_WAY;
                    match supplier::take(&desk, envelope, full) {
                        Taken::Answer(answered) => send(Some(&to_supplier), &answered).await,
                        Taken::Nothing => {}
                        Taken::Work(work) => {
                            commands.spawn(work);
                        }
                    }
                }
                envelope = async { from_rp.as_mut()?.recv().await }, if from_rp.is_some() => match envelope {
                    None => from_rp = None,
                    Some(envelope) => match migration::take(&desk, envelope) {
                        Taken::Answer(answered) => send(to_rp.as_ref(), &answered).await,
                        Taken::Nothing => {}
                        Taken::Work(work) => {
                            commands.spawn(work);
                        }
                    }
                },
            }
        }
        stop.cancel();
        commands.shutdown().await;
        while engine_task.join_next().await.is_some() {}
    }
}

/// What becomes of a message.
enum Taken {
    /// It is answered at once.
    Answer(Answered),
    /// It is none, or is being worked on already.
    Nothing,
    /// It takes time.
    Work(std::pin::Pin<Box<dyn Future<Output = Answered> + Send>>),
}

/// Answers a command, once the answer is on disk.
async fn finish(desk: &Desk, to: Option<&LinkSender>, answered: Answered) {
    let journalled = desk
        .books()
        .answer(&answered.reference, answered.kind, answered.body.clone());
    match journalled {
        Ok(()) => send(to, &answered).await,
        // Asked again it will be done again, which is harmless, or be told that nobody knows.
        Err(error) => tracing::error!(reference = answered.reference, %error, "answer not journalled, not given"),
    }
}

async fn send(to: Option<&LinkSender>, answered: &Answered) {
    if let Some(to) = to {
        // A closed link shows in the loop by itself.
        let _ = to.reply(&answered.envelope, answered.kind, &answered.body).await;
    }
}

/// What is known of a reference, as what is to be done about it; `None` when it is new or harmless to do again.
fn again(desk: &Desk, envelope: &Envelope, reference: &str) -> Option<Taken> {
    match desk.books().known(reference)? {
        Known::UnderWay => Some(Taken::Nothing),
        Known::Lost => None,
        Known::Answered(kind, body) => Some(Taken::Answer(Answered {
            envelope: envelope.clone(),
            reference: reference.to_owned(),
            kind,
            body,
        })),
    }
}
