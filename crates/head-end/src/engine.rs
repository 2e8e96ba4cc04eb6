//! The engine: one task per active hub, none for idle hubs.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use dialects::external::Attached;
use domain::operation::CriticalOperations;
use domain::{Eui64, LogRow, Outcome, SimDuration};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkReceiver, Store, StoreError, World};

use crate::counters::Counters;
use crate::custody::Custody;
use crate::directory::Directory;
use crate::hub::{HubTask, Input, Pending};
use crate::job::{DeviceAlert, Failure, FailureKind, Job};
use crate::shared::{Firmware, Readings, Shared, WanState};
use crate::texts::{TextMessages, Texts};

/// Commands that wait for the engine's loop; senders wait beyond that.
const COMMANDS: usize = 1024;

/// Alerts that wait for their reader; hub tasks wait beyond that.
const ALERTS: usize = 256;

/// Inputs that wait for one hub's task. Beyond that a job fails at once ([`FailureKind::Busy`]) and octets from the WAN
/// are lost, so that the session they belong to fails.
const HUB_INPUTS: usize = 256;

/// Limits and time-outs of an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Operations that go over the critical association.
    pub critical: CriticalOperations,
    /// Jobs that may wait per hub; one more fails at once as [`FailureKind::Busy`].
    pub queue_per_hub: usize,
    /// Times a job is tried before it fails. An operation that changes a device is not tried again once it may have
    /// reached it.
    pub attempts: u32,
    /// Wait before the second try; doubles with each.
    pub back_off: SimDuration,
    /// How long after a wake-up text message the hub may take to connect.
    pub connect_within: SimDuration,
    /// How long a connected hub may take to say who it is.
    pub identify_within: SimDuration,
    /// How long a device may take for each of its messages.
    pub answer_within: SimDuration,
    /// How long a held operation may take beyond the wakes that its sleeping gas meter needs
    /// ([`dmc::DeviceProfile::result_within`]).
    pub late_result_margin: SimDuration,
    /// How long a session is kept for the next job before it is released.
    pub linger: SimDuration,
    /// Where programs that provide faces are attached.
    pub faces: Option<Arc<dyn Attached>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            critical: CriticalOperations::default(),
            queue_per_hub: 64,
            attempts: 3,
            back_off: SimDuration::from_secs(15),
            connect_within: SimDuration::from_secs(120),
            identify_within: SimDuration::from_secs(30),
            answer_within: SimDuration::from_secs(60),
            late_result_margin: SimDuration::from_mins(10),
            linger: SimDuration::from_secs(2),
            faces: None,
        }
    }
}

/// One head-end at work: owns its WAN link, its journal and the tasks of its active hubs.
pub struct Engine {
    shared: Arc<Shared>,
    from_wan: LinkReceiver,
    commands: mpsc::Receiver<Command>,
    active: BTreeMap<Eui64, Active>,
    tasks: JoinSet<()>,
}

struct Active {
    inbox: mpsc::Sender<Input>,
    /// Inputs given to the task so far; it may end when it has taken them all.
    given: u64,
}

/// Asks the engine to execute jobs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    firmware: Firmware,
    texts: Texts,
    readings: Readings,
}

pub(crate) struct Command(Vec<Pending>);

impl Engine {
    /// An engine under the name that hubs know this head-end by ("s1sp" or "smso"), a handle to it, and the alerts that
    /// devices raise. The receiver of alerts must be drained: hubs that report wait for it.
    ///
    /// # Errors
    /// When the journal cannot be read: starting without it could repeat a counter.
    pub fn new(
        world: World,
        name: &str,
        wan: LinkEnd,
        custody: Custody,
        directory: Directory,
        options: Options,
        store: Box<dyn Store>,
    ) -> Result<(Self, Handle, mpsc::Receiver<DeviceAlert>), StoreError> {
        let (to_wan, from_wan) = wan.split();
        let (alerts, alerts_out) = mpsc::channel(ALERTS);
        let (to_engine, commands) = mpsc::channel(COMMANDS);
        let firmware = Firmware::default();
        let texts = Texts::default();
        let readings = Readings::default();
        let counters = Mutex::new(Counters::open(store)?);
        let wan_state = Mutex::new(WanState::default());
        let name = name.to_owned();
        let handle = Handle {
            commands: to_engine,
            firmware: firmware.clone(),
            texts: texts.clone(),
            readings: readings.clone(),
        };
        let shared = Shared {
            world,
            name,
            wan: to_wan,
            options,
            custody,
            directory,
            alerts,
            firmware,
            texts,
            readings,
            counters,
            wan_state,
        };
        let engine = Self {
            shared: Arc::new(shared),
            from_wan,
            commands,
            active: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        Ok((engine, handle, alerts_out))
    }

    /// Runs until cancelled; jobs under way then end as [`FailureKind::Stopped`].
    ///
    /// When the WAN link closes it goes on: each job then ends as [`FailureKind::WanUnusable`], those under way at their
    /// time-outs.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (idle, mut idles) = mpsc::channel(ALERTS);
        let (mut commands_open, mut wan_open) = (true, true);
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(head_end = %self.shared.name, %error, "a hub's task broke");
                    }
                }
                Some((hub, taken)) = idles.recv() => self.let_go(hub, taken),
                envelope = self.from_wan.recv(), if wan_open => match envelope {
                    Some(envelope) => self.hear(&envelope, &idle),
                    None => {
                        tracing::warn!(head_end = %self.shared.name, "the link to the WAN is closed");
                        wan_open = false;
                    }
                },
                command = self.commands.recv(), if commands_open => match command {
                    Some(Command(jobs)) => self.execute(jobs, &idle),
                    None => commands_open = false,
                },
            }
        }
        // Without their inboxes the tasks would end by themselves, but perhaps only after a time-out.
        self.active.clear();
        self.tasks.shutdown().await;
        if let Err(error) = self.shared.counters().save_seen() {
            tracing::error!(head_end = %self.shared.name, %error, "counters of devices not saved");
        }
    }

    /// The task of `hub` has nothing to do and had taken `taken` inputs when it said so.
    fn let_go(&mut self, hub: Eui64, taken: u64) {
        if self.active.get(&hub).is_some_and(|active| active.given == taken) {
            self.active.remove(&hub);
        }
    }

    fn execute(&mut self, jobs: Vec<Pending>, idle: &mpsc::Sender<(Eui64, u64)>) {
        let Some(hub) = jobs.first().map(|pending| pending.job.hub) else {
            return;
        };
        let refused = match self.give(hub, Input::Jobs(jobs), idle) {
            Ok(()) => return,
            Err(NotGiven::Full(input)) => (
                input,
                Failure::before(FailureKind::Busy, format!("the queue of hub {hub} is full")),
            ),
            Err(NotGiven::UnknownHub(input)) => {
                let who = &self.shared.name;
                (
                    input,
                    Failure::before(FailureKind::Unknown, format!("hub {hub} is unknown to {who}")),
                )
            }
        };
        if let (Input::Jobs(jobs), failure) = refused {
            jobs.into_iter()
                .for_each(|pending| pending.finish(Err(failure.clone())));
        }
    }

    fn hear(&mut self, envelope: &Envelope, idle: &mpsc::Sender<(Eui64, u64)>) {
        let now = self.shared.world.clock.now();
        self.shared.wan_state().heard_at = Some(now);
        if envelope.kind() == Kind::Accepted {
            let hub = self.shared.wan_state().texts.remove(&envelope.in_reply_to);
            if let Some(hub) = hub.filter(|hub| self.active.contains_key(hub)) {
                // A full queue loses the confirmation, which only makes a later reason less exact.
                let _ = self.give(hub, Input::SmsTaken, idle);
            }
            return;
        }
        let (hub, input) = match read(envelope, &self.shared.name) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(head_end = %self.shared.name, %error, "a message from the WAN that is none");
                return;
            }
        };
        let opened = if let Input::Open { session } = input {
            Some(session)
        } else {
            None
        };
        if opened.is_none() && !self.active.contains_key(&hub) {
            // The rest of a session that ended here before it did there.
            return;
        }
        match self.give(hub, input, idle) {
            Ok(()) => {}
            Err(NotGiven::Full(_)) => tracing::warn!(%hub, "input of a hub lost: its queue is full"),
            Err(NotGiven::UnknownHub(_)) => {
                let close = WanClose {
                    hub: hub.0,
                    head_end: self.shared.name.clone(),
                    session: opened.unwrap_or(0),
                    reason: "unknown to this head-end".into(),
                };
                let (shared, trace_id) = (Arc::clone(&self.shared), envelope.trace_id.clone());
                self.tasks.spawn(async move {
                    // A closed link shows in the engine's loop by itself.
                    let _ = shared.send(&trace_id, Kind::WanClose, &close).await;
                });
            }
        }
    }

    fn give(&mut self, hub: Eui64, mut input: Input, idle: &mpsc::Sender<(Eui64, u64)>) -> Result<(), NotGiven> {
        if let Some(active) = self.active.get_mut(&hub) {
            match active.inbox.try_send(input) {
                Ok(()) => {
                    active.given += 1;
                    return Ok(());
                }
                Err(TrySendError::Full(input)) => return Err(NotGiven::Full(input)),
                // Its task broke, which was logged: a new one takes over.
                Err(TrySendError::Closed(back)) => input = back,
            }
        }
        let Some(site) = self.shared.directory.site(hub) else {
            return Err(NotGiven::UnknownHub(input));
        };
        let (inbox, inputs) = mpsc::channel(HUB_INPUTS);
        if let Err(error) = inbox.try_send(input) {
            return Err(NotGiven::Full(error.into_inner()));
        }
        let task = HubTask::new(Arc::clone(&self.shared), site, inputs, idle.clone());
        self.tasks.spawn(task.run());
        self.active.insert(hub, Active { inbox, given: 1 });
        Ok(())
    }
}

enum NotGiven {
    Full(Input),
    UnknownHub(Input),
}

/// What an envelope from the WAN says to which hub's task; `None` when it is not for a hub of this head-end.
fn read(envelope: &Envelope, name: &str) -> Result<Option<(Eui64, Input)>, prost::DecodeError> {
    let body = envelope.body.clone();
    let (head_end, hub, input) = match envelope.kind() {
        Kind::WanOpen => {
            let open = WanOpen::decode(body)?;
            (open.head_end, open.hub, Input::Open { session: open.session })
        }
        Kind::WanData => {
            let data = WanData::decode(body)?;
            (
                data.head_end,
                data.hub,
                Input::Data {
                    session: data.session,
                    octets: data.payload,
                },
            )
        }
        Kind::WanSms => {
            let sms = WanSms::decode(body)?;
            (sms.head_end, sms.hub, Input::Text { octets: sms.payload })
        }
        Kind::WanClose => {
            let close = WanClose::decode(body)?;
            (
                close.head_end,
                close.hub,
                Input::Close {
                    session: close.session,
                    reason: close.reason,
                },
            )
        }
        _ => return Ok(None),
    };
    Ok((head_end == name).then_some((Eui64(hub), input)))
}

impl Handle {
    /// Executes one job and gives its one outcome, by its deadline at the latest.
    ///
    /// Dropping the future does not take the job back: what was asked for may still be executed.
    ///
    /// # Errors
    /// A [`Failure`] that names the hop when no outcome came from the device.
    pub async fn execute(&self, job: Job) -> Result<Outcome, Failure> {
        let (done, outcome) = oneshot::channel();
        self.commands
            .send(Command(vec![Pending::new(job, done)]))
            .await
            .map_err(|_| Failure::before(FailureKind::Stopped, "the head-end has stopped"))?;
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Executes jobs for one hub in their order and gives the outcome of each, by its deadline at the latest.
    ///
    /// No other job comes between them, and none waits for what becomes of one that is held for a sleeping device: the
    /// device does them in one wake. Where one does not get through, those after it are not tried and fail alike; where
    /// one that changes the device is refused, those whose approval follows another are left undone
    /// ([`Refusal::NotTried`](domain::Refusal::NotTried)), at the hub or at the device.
    ///
    /// Dropping the future takes nothing back.
    pub async fn execute_in_turn(&self, jobs: Vec<Job>) -> Vec<Result<Outcome, Failure>> {
        let (mut pending, mut outcomes) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for job in jobs {
            let (done, outcome) = oneshot::channel();
            pending.push(Pending::new(job, done));
            outcomes.push(outcome);
        }
        if self.commands.send(Command(pending)).await.is_err() {
            let failure = Failure::before(FailureKind::Stopped, "the head-end has stopped");
            return vec![Err(failure); outcomes.len()];
        }
        let mut results = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            results.push(outcome.await.unwrap_or_else(|_| Err(stopped())));
        }
        results
    }

    /// What the text messages to a hub have come to.
    #[must_use]
    pub fn text_messages(&self, hub: Eui64) -> TextMessages {
        self.texts.of(hub)
    }

    /// The readings that a device's hub sent last by itself, if it ever did.
    #[must_use]
    pub fn readings(&self, device: Eui64) -> Option<LogRow> {
        self.readings.get(device)
    }

    /// The firmware version last read from a device, if any was.
    #[must_use]
    pub fn firmware(&self, device: Eui64) -> Option<String> {
        self.firmware.get(device)
    }
}

fn stopped() -> Failure {
    Failure::after(FailureKind::Stopped, "the head-end stopped before the end")
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({}, {} active hubs)", self.shared.name, self.active.len())
    }
}
