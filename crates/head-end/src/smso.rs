//! The SMSO role: the operator before enrolment, with its own keys, its own journal and its own supplier interface.

use std::collections::BTreeMap;

use domain::{Eui64, SimDuration};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkSender, Store, StoreError, World, semantic};

use crate::custody::Custody;
use crate::directory::Directory;
use crate::engine::{Engine, Handle, Options};
use crate::job::Job;

/// Outcomes kept so that a repeated command gets the same one; beyond that the oldest are forgotten.
const REMEMBERED: usize = 4096;

/// Commands under way at once; one more fails at once.
const UNDER_WAY: usize = 4096;

/// What an SMSO is made of.
#[derive(Debug)]
pub struct SmsoOptions {
    /// Its keys.
    pub custody: Custody,
    /// The installations it operates.
    pub directory: Directory,
    /// Limits of its engine.
    pub engine: Options,
    /// How long a command may take in all; default 75 minutes, for a sleeping gas meter.
    pub command_within: SimDuration,
}

impl SmsoOptions {
    /// With the default limits.
    #[must_use]
    pub fn new(custody: Custody, directory: Directory) -> Self {
        Self {
            custody,
            directory,
            engine: Options::default(),
            command_within: SimDuration::from_mins(75),
        }
    }
}

/// The SMSO at work: takes `SmsoCommand`s from its suppliers and gives each one `SmsoOutcome`.
#[derive(Debug)]
pub struct Smso {
    world: World,
    supplier: LinkEnd,
    engine: Engine,
    handle: Handle,
    alerts: tokio::sync::mpsc::Receiver<crate::DeviceAlert>,
    directory: Directory,
    command_within: SimDuration,
}

/// Outcomes by reference, oldest forgotten first. `None` while under way.
#[derive(Default)]
struct Remembered {
    outcomes: BTreeMap<String, Option<SmsoOutcome>>,
    order: std::collections::VecDeque<String>,
}

impl Smso {
    /// An SMSO on its two links.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(
        world: World,
        supplier: LinkEnd,
        wan: LinkEnd,
        options: SmsoOptions,
        store: Box<dyn Store>,
    ) -> Result<Self, StoreError> {
        let SmsoOptions {
            custody,
            directory,
            engine,
            command_within,
        } = options;
        let (engine, handle, alerts) =
            Engine::new(world.clone(), "smso", wan, custody, directory.clone(), engine, store)?;
        Ok(Self {
            world,
            supplier,
            engine,
            handle,
            alerts,
            directory,
            command_within,
        })
    }

    /// A handle to its engine, for a migration that reads through the SMSO.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until cancelled or the supplier's link closes.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            world,
            supplier,
            engine,
            handle,
            mut alerts,
            directory,
            command_within,
        } = self;
        let (to_supplier, mut from_supplier) = supplier.split();
        let stop = shutdown.child_token();
        let mut engine_task = JoinSet::new();
        engine_task.spawn(engine.run(stop.clone()));
        let mut commands: JoinSet<(Envelope, SmsoOutcome)> = JoinSet::new();
        let mut remembered = Remembered::default();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = engine_task.join_next() => break,
                Some(ended) = commands.join_next(), if !commands.is_empty() => {
                    if let Ok((envelope, outcome)) = ended {
                        reply(&to_supplier, &envelope, &outcome).await;
                        remembered.finish(outcome);
                    }
                }
                Some(alert) = alerts.recv() => {
                    // Before enrolment alerts go to the operator's own screens, which are not emulated.
                    tracing::debug!(device = %alert.device, code = alert.code, "alert at the smso");
                }
                envelope = from_supplier.recv() => {
                    let Some(envelope) = envelope else { break };
                    let Some(command) = read(&envelope) else { continue };
                    match remembered.outcomes.get(&command.reference) {
                        Some(Some(outcome)) => reply(&to_supplier, &envelope, outcome).await,
                        Some(None) => {}
                        None if commands.len() >= UNDER_WAY => {
                            let failure = "too many commands are under way".to_owned();
                            let outcome = SmsoOutcome { reference: command.reference, outcome: None, failure };
                            reply(&to_supplier, &envelope, &outcome).await;
                        }
                        None => {
                            remembered.begin(&command.reference);
                            let deadline = world.clock.now() + command_within;
                            let (handle, directory) = (handle.clone(), directory.clone());
                            commands.spawn(async move {
                                let outcome = execute(&handle, &directory, &envelope, command, deadline).await;
                                (envelope, outcome)
                            });
                        }
                    }
                }
            }
        }
        stop.cancel();
        commands.shutdown().await;
        while engine_task.join_next().await.is_some() {}
    }
}

impl Remembered {
    fn begin(&mut self, reference: &str) {
        self.outcomes.insert(reference.to_owned(), None);
        self.order.push_back(reference.to_owned());
        if self.order.len() > REMEMBERED + UNDER_WAY
            && let Some(oldest) = self.order.pop_front()
        {
            self.outcomes.remove(&oldest);
        }
    }

    fn finish(&mut self, outcome: SmsoOutcome) {
        if let Some(entry) = self.outcomes.get_mut(&outcome.reference) {
            *entry = Some(outcome);
        }
    }
}

fn read(envelope: &Envelope) -> Option<SmsoCommand> {
    match (envelope.kind(), SmsoCommand::decode(envelope.body.clone())) {
        (Kind::SmsoCommand, Ok(command)) => Some(command),
        _ => {
            tracing::warn!(from = %envelope.from, "a message to the smso that is no command");
            None
        }
    }
}

async fn reply(supplier: &LinkSender, envelope: &Envelope, outcome: &SmsoOutcome) {
    // A closed link shows in the loop by itself.
    let _ = supplier
        .reply(envelope, Kind::SmsoOutcome, &outcome.encode_to_vec())
        .await;
}

async fn execute(
    handle: &Handle,
    directory: &Directory,
    envelope: &Envelope,
    command: SmsoCommand,
    deadline: domain::SimInstant,
) -> SmsoOutcome {
    let device = Eui64(command.device);
    let failed = |failure: String| SmsoOutcome {
        reference: command.reference.clone(),
        outcome: None,
        failure,
    };
    let Some(operation) = &command.operation else {
        return failed("the command has no operation".into());
    };
    let operation = match semantic::operation_from_proto(operation) {
        Ok(operation) => operation,
        Err(error) => return failed(error.to_string()),
    };
    let Some(site) = directory.site_of(device) else {
        return failed(format!("device {device} is unknown to the smso"));
    };
    let Some(slot) = site.device(device).map(|known| known.slot) else {
        return failed(format!("device {device} is unknown to the smso"));
    };
    let trace_id = envelope.trace_id.clone();
    let job = Job {
        trace_id,
        hub: site.hub,
        device,
        slot,
        operation,
        approval: None,
        deadline,
    };
    match handle.execute(job).await {
        Ok(outcome) => {
            let outcome = Some(semantic::outcome_to_proto(&outcome));
            SmsoOutcome {
                reference: command.reference.clone(),
                outcome,
                failure: String::new(),
            }
        }
        Err(failure) => failed(failure.to_string()),
    }
}
