//! The task of one active hub: one command at a time, wake-up, session, retries, held operations, reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use dialects::text_message::Told;
use dialects::{FaceError, HeadEndEvent, HeadEndSession, Notification, wake_up};
use dmc::{WanMode, WanProfile};
use domain::keys::Purpose;
use domain::{Association, DeviceKind, Eui64, Outcome, Refusal, Seed, SimDuration, SimInstant};
use proto::{Kind, WanClose, WanData, WanSms};
use tokio::sync::{mpsc, oneshot};

use crate::attached::{ToProgram, said_by};
use crate::counters::{Counter, CounterUse};
use crate::directory::{KeyEpoch, Site, Standing};
use crate::job::{DeviceAlert, Failure, FailureKind, Job};
use crate::session_keys::{FRAMES_AHEAD, SessionKeys};
use crate::shared::Shared;
use crate::units;

/// How long a device may take to release an association before the connection is closed all the same.
const RELEASE_WITHIN: SimDuration = SimDuration::from_secs(5);

/// What the engine's loop gives to a hub's task.
pub(crate) enum Input {
    /// To be done in their order, one right after the other.
    Jobs(Vec<Pending>),
    Open {
        session: u64,
    },
    Data {
        session: u64,
        octets: Bytes,
    },
    Close {
        session: u64,
        reason: String,
    },
    /// The WAN has taken the wake-up text message.
    SmsTaken,
    /// A text message of the hub.
    Text {
        octets: Bytes,
    },
}

/// A job and the one who waits for its outcome.
pub(crate) struct Pending {
    pub(crate) job: Job,
    done: oneshot::Sender<Result<Outcome, Failure>>,
}

impl Pending {
    pub(crate) fn new(job: Job, done: oneshot::Sender<Result<Outcome, Failure>>) -> Self {
        Self { job, done }
    }

    pub(crate) fn finish(self, result: Result<Outcome, Failure>) {
        // Whoever asked may have stopped waiting: nobody else has a use for the outcome.
        let _ = self.done.send(result);
    }
}

/// How a job came out, as far as those after it are concerned.
enum Attended {
    /// It did not get through, or may not have: nothing is known of what a next one would meet.
    Failed(Failure),
    /// It was to change something, and was refused.
    Refused,
    /// Done, or held for its device.
    Well,
}

impl Attended {
    fn failed(pending: Pending, failure: Failure) -> Self {
        pending.finish(Err(failure.clone()));
        Self::Failed(failure)
    }
}

pub(crate) struct HubTask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Arc<Site>,
    inbox: mpsc::Receiver<Input>,
    /// Inputs taken from the inbox.
    taken: u64,
    idle: mpsc::Sender<(Eui64, u64)>,
    queue: VecDeque<Vec<Pending>>,
    /// Jobs of the same batch after the one that is attended to.
    in_turn: usize,
    pub(crate) link: Option<Link>,
    pub(crate) events: VecDeque<Event>,
    tickets: BTreeMap<u32, Held>,
    sms_taken: bool,
    /// Of the text message that asked last.
    pub(crate) last_reference: u16,
    /// Trace id of what is done now, or was last.
    pub(crate) trace_id: String,
}

/// One connection with the hub.
pub(crate) struct Link {
    session: u64,
    pub(crate) face: HeadEndSession,
    /// The program that provides the face, where one does, and what it says; `None` when it has gone.
    pub(crate) line: Option<ToProgram>,
    identified: bool,
    challenges: (Seed, u32),
    last_active: SimInstant,
    /// Nothing was done on it since its associations were released.
    at_rest: bool,
}

/// A job whose operation is held for a sleeping device.
struct Held {
    pending: Pending,
    until: SimInstant,
}

/// What [`HubTask::next`] gives.
pub(crate) enum Event {
    Closed(String),
    Failed(Fault),
    Finished(Outcome),
    Identified,
    Job,
    Opened,
    Progress,
    Queued(u32),
    Released,
    Stopped,
    /// The hub answered by text message: to which, and what.
    Text(u16, Told),
    TimedOut,
}

/// Why one try brought nothing.
pub(crate) enum Fault {
    /// Worth another try.
    Again(Failure),
    /// Another try would end the same way.
    Final(Failure),
    Stopped,
}

pub(crate) enum Reached {
    Outcome(Outcome),
    Ticket(u32),
}

impl HubTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        site: Arc<Site>,
        inbox: mpsc::Receiver<Input>,
        idle: mpsc::Sender<(Eui64, u64)>,
    ) -> Self {
        let trace_id = format!("hub {}", site.hub);
        Self {
            shared,
            site,
            inbox,
            taken: 0,
            idle,
            queue: VecDeque::new(),
            in_turn: 0,
            link: None,
            events: VecDeque::new(),
            tickets: BTreeMap::new(),
            sms_taken: false,
            last_reference: 0,
            trace_id,
        }
    }

    /// Works until the engine lets go of it, which it does once there is nothing left to do.
    pub(crate) async fn run(mut self) {
        loop {
            self.events.clear();
            if let Some(jobs) = self.queue.pop_front() {
                if self.attend_in_turn(jobs).await {
                    continue;
                }
                return;
            }
            if self.link.is_none() && self.tickets.is_empty() {
                if self.idle.send((self.site.hub, self.taken)).await.is_err() {
                    return;
                }
                let Some(input) = self.inbox.recv().await else { return };
                self.take(input).await;
                continue;
            }
            match self.next(self.patience()).await {
                Event::Stopped => return,
                Event::TimedOut if self.link.is_some() => self.release().await,
                _ => {}
            }
        }
    }

    pub(crate) fn now(&self) -> SimInstant {
        self.shared.world.clock.now()
    }

    /// Until when to wait while there is no job: for a connection its linger, else for the first held operation.
    fn patience(&self) -> SimInstant {
        let options = &self.shared.options;
        match &self.link {
            // A connection that is always there is not given back.
            Some(link) if link.identified && link.at_rest => SimInstant(i64::MAX),
            Some(link) if link.identified => link.last_active + options.linger,
            Some(link) => link.last_active + options.identify_within,
            None => self
                .tickets
                .values()
                .map(|held| held.until)
                .min()
                .unwrap_or_else(|| self.now()),
        }
    }

    /// Does jobs one after the other, as far as nothing that comes before keeps one from being done; `false` when the
    /// engine stopped.
    async fn attend_in_turn(&mut self, jobs: Vec<Pending>) -> bool {
        let mut so_far = Attended::Well;
        self.in_turn = jobs.len();
        for pending in jobs {
            self.in_turn = self.in_turn.saturating_sub(1);
            let follows = pending.job.approval.as_ref().is_some_and(|approval| approval.follows);
            match &so_far {
                Attended::Failed(failure) => {
                    let reason = format!("an operation before it did not get through: {}", failure.reason);
                    pending.finish(Err(Failure::before(failure.kind, reason)));
                }
                Attended::Refused if follows => pending.finish(Ok(Err(Refusal::NotTried))),
                Attended::Refused | Attended::Well => match self.attend(pending).await {
                    Some(Attended::Well) => {}
                    Some(ended) => so_far = ended,
                    None => return false,
                },
            }
        }
        true
    }

    /// Tries a job until it has an outcome or is held for its device; `None` when the engine stopped.
    async fn attend(&mut self, pending: Pending) -> Option<Attended> {
        self.trace_id.clone_from(&pending.job.trace_id);
        match self.shared.directory.site(self.site.hub) {
            // Keys or devices may have changed since this task began.
            Some(site) => {
                if self.link.is_some() && !same_behind(&site, &self.site) {
                    self.release().await;
                }
                self.site = site;
            }
            None => {
                let reason = format!("hub {} is no longer operated by {}", self.site.hub, self.shared.name);
                return Some(Attended::failed(pending, Failure::before(FailureKind::Unknown, reason)));
            }
        }
        let options = &self.shared.options;
        let (attempts, mut wait) = (options.attempts.max(1), options.back_off);
        let mut attempt = 1;
        loop {
            if self.now() >= pending.job.deadline {
                let reason = format!("the request's time ran out before hub {} could be used", self.site.hub);
                return Some(Attended::failed(
                    pending,
                    Failure::before(FailureKind::Deadline, reason),
                ));
            }
            let failure = match self.attempt(&pending.job).await {
                Ok(Reached::Outcome(outcome)) => {
                    let outcome = self.as_stated(pending.job.slot, outcome);
                    self.shared
                        .firmware
                        .note(pending.job.device, &pending.job.operation, &outcome);
                    let refused = outcome.is_err() && pending.job.operation.changes_state();
                    pending.finish(Ok(outcome));
                    return Some(if refused { Attended::Refused } else { Attended::Well });
                }
                Ok(Reached::Ticket(ticket)) => {
                    self.hold(ticket, pending);
                    return Some(Attended::Well);
                }
                Err(Fault::Stopped) => return None,
                Err(Fault::Final(failure)) => return Some(Attended::failed(pending, failure)),
                Err(Fault::Again(failure)) => failure,
            };
            let risky = failure.may_have_executed && pending.job.operation.changes_state();
            let next_try = self.now() + wait;
            if attempt >= attempts || risky || next_try >= pending.job.deadline {
                return Some(Attended::failed(pending, failure));
            }
            tracing::debug!(hub = %self.site.hub, %failure, attempt, "tries again");
            attempt += 1;
            wait = wait + wait;
            if !self.pause(next_try).await {
                return None;
            }
        }
    }

    /// Waits before another try, but not if the hub connects meanwhile; `false` when the engine stopped.
    async fn pause(&mut self, until: SimInstant) -> bool {
        loop {
            match self.next(until).await {
                Event::Stopped => return false,
                Event::TimedOut | Event::Identified => return true,
                _ => {}
            }
        }
    }

    /// One try: connect, associate, operate.
    async fn attempt(&mut self, job: &Job) -> Result<Reached, Fault> {
        let Some(device) = self.site.slot(job.slot).filter(|device| device.id == job.device) else {
            let reason = format!("no {} {} behind hub {}", job.slot, job.device, self.site.hub);
            return Err(Fault::Final(Failure::before(FailureKind::Unknown, reason)));
        };
        let keys = device.keys;
        let critical = job.approval.is_some() || self.shared.options.critical.contains(&job.operation);
        let association = match critical {
            true => Association::Critical,
            false => Association::Management,
        };
        let association = match keys.standing {
            Standing::InForce => association,
            Standing::Staged => association.staged(),
        };
        // A text message takes as long as it takes to connect: where more waits, a connection serves all of it.
        let alone = self.in_turn == 0 && self.queue.is_empty();
        if self.link.is_none()
            && alone
            && let Some(reached) = self.by_text(job, association).await?
        {
            return Ok(reached);
        }
        self.connect(job.deadline).await?;
        self.events.clear();
        let counter = Counter::frames(job.device, keys.number, association);
        let reserved = self.shared.counters().reserve(counter, FRAMES_AHEAD);
        reserved.map_err(|error| Fault::Final(Failure::before(FailureKind::Stopped, error.to_string())))?;
        let octets =
            self.with_face(|face, keys| face.start(keys, job.slot, association, &job.operation, job.approval.as_ref()));
        if let Some(link) = &mut self.link {
            link.at_rest = false;
        }
        match octets {
            Some(Ok(octets)) => self.send_octets(octets).await?,
            Some(Err(error)) => {
                self.close("no operation could be begun").await;
                return Err(self.fault_of(&error));
            }
            None => {
                return Err(Fault::Again(Failure::before(
                    FailureKind::LinkLost,
                    "the connection was lost",
                )));
            }
        }
        self.answer(job).await
    }

    /// Waits for what becomes of the operation begun.
    async fn answer(&mut self, job: &Job) -> Result<Reached, Fault> {
        let within = self.shared.options.answer_within;
        let mut until = (self.now() + within).min(job.deadline);
        loop {
            match self.next(until).await {
                Event::Finished(outcome) => return Ok(Reached::Outcome(outcome)),
                Event::Queued(ticket) => return Ok(Reached::Ticket(ticket)),
                Event::Progress => until = (self.now() + within).min(job.deadline),
                Event::Failed(fault) => return Err(fault),
                Event::Closed(reason) => {
                    let reason = format!("the connection with hub {} was lost: {reason}", self.site.hub);
                    return Err(Fault::Again(Failure::after(FailureKind::LinkLost, reason)));
                }
                Event::TimedOut => {
                    self.close("no answer").await;
                    let reason = format!("{} {} did not answer: {}", job.slot, job.device, job.operation);
                    return Err(Fault::Again(Failure::after(FailureKind::NoResponse, reason)));
                }
                Event::Stopped => return Err(Fault::Stopped),
                Event::Identified | Event::Job | Event::Opened | Event::Released | Event::Text(..) => {}
            }
        }
    }

    /// Sees to it that the hub is connected and has said who it is.
    async fn connect(&mut self, deadline: SimInstant) -> Result<(), Fault> {
        let hub = self.site.hub;
        if self.link.is_none() && !self.connects_by_itself(deadline).await? {
            let since = self.now();
            let texts = self.wake_up().await?;
            let until = (since + self.shared.options.connect_within).min(deadline);
            let reached = self.opened_by(until).await;
            texts.iter().for_each(|text| {
                self.shared.wan_state().texts.remove(text);
            });
            match reached {
                Event::Opened => {}
                Event::Stopped => return Err(Fault::Stopped),
                _ => return Err(Fault::Again(self.silence(since))),
            }
        }
        let until = (self.now() + self.shared.options.identify_within).min(deadline);
        while self.link.as_ref().is_none_or(|link| !link.identified) {
            match self.next(until).await {
                Event::Stopped => return Err(Fault::Stopped),
                Event::Failed(fault) => return Err(fault),
                Event::Closed(reason) => {
                    let reason = format!("the connection with hub {hub} was lost: {reason}");
                    return Err(Fault::Again(Failure::before(FailureKind::LinkLost, reason)));
                }
                Event::TimedOut => {
                    self.close("not identified").await;
                    let reason = format!("hub {hub} connected but did not say who it is");
                    return Err(Fault::Again(Failure::before(FailureKind::SessionFailed, reason)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a hub that should always be connected has come by itself, in half the time that a hub is given.
    async fn connects_by_itself(&mut self, deadline: SimInstant) -> Result<bool, Fault> {
        if !self.is_always_on() {
            return Ok(false);
        }
        let half = SimDuration(self.shared.options.connect_within.0 / 2);
        match self.opened_by((self.now() + half).min(deadline)).await {
            Event::Opened => Ok(true),
            Event::Stopped => Err(Fault::Stopped),
            _ => Ok(false),
        }
    }

    fn is_always_on(&self) -> bool {
        let chf = self.site.slot(DeviceKind::Chf);
        chf.is_some_and(|chf| chf.profile.wan.mode == WanMode::AlwaysOn)
    }

    /// Waits until there is a connection: [`Event::Opened`], [`Event::TimedOut`] or [`Event::Stopped`].
    async fn opened_by(&mut self, until: SimInstant) -> Event {
        while self.link.is_none() {
            if let event @ (Event::Stopped | Event::TimedOut) = self.next(until).await {
                return event;
            }
        }
        Event::Opened
    }

    /// Sends as many wake-up text messages as it takes; gives the ids they were sent under.
    async fn wake_up(&mut self) -> Result<Vec<u64>, Fault> {
        let chf = self.site.slot(DeviceKind::Chf);
        let wan = chf.map_or_else(WanProfile::default, |chf| chf.profile.wan.clone());
        let mut sent = Vec::new();
        for _ in 0..wan.sms_per_wake.max(1) {
            sent.push(self.wake_up_once().await?);
            self.shared.texts.note(self.site.hub, self.now(), &wan);
        }
        Ok(sent)
    }

    async fn wake_up_once(&mut self) -> Result<u64, Fault> {
        let hub = self.site.hub;
        let keys = self
            .site
            .slot(DeviceKind::Chf)
            .map_or_else(KeyEpoch::first, |chf| chf.keys);
        let counter = self.shared.counters().next(Counter {
            device: hub,
            epoch: keys.number,
            usage: CounterUse::WakeUp,
        });
        let counter =
            counter.map_err(|error| Fault::Final(Failure::before(FailureKind::Stopped, error.to_string())))?;
        let key = self.shared.custody.key(hub, &keys, Purpose::WakeUp);
        let payload = Bytes::from(wake_up::encode(&key, hub, counter));
        self.sms_taken = false;
        let sms = WanSms {
            hub: hub.0,
            head_end: self.shared.name.clone(),
            payload,
        };
        let id = self
            .shared
            .send(&self.trace_id, Kind::WanSms, &sms)
            .await
            .map_err(|_| wan_closed())?;
        self.shared.wan_state().texts.insert(id, hub);
        Ok(id)
    }

    /// What it means that no connection came after a text message sent at `since`.
    ///
    /// A WAN from which nothing at all was heard since then is blamed itself; otherwise the hub is.
    fn silence(&self, since: SimInstant) -> Failure {
        let hub = self.site.hub;
        let waited = self.now().since(since);
        let alive = self.shared.wan_state().heard_at.is_some_and(|at| at >= since);
        if self.sms_taken || alive {
            let reason = format!("hub {hub} did not connect within {waited} of a wake-up text message");
            Failure::before(FailureKind::HubNotConnected, reason)
        } else {
            let reason = format!("nothing came over the WAN within {waited} of a wake-up text message to hub {hub}");
            Failure::before(FailureKind::WanUnusable, reason)
        }
    }

    /// An outcome in the unit in which the gas meter states what was used.
    fn as_stated(&self, slot: DeviceKind, outcome: Outcome) -> Outcome {
        match self.site.slot(DeviceKind::Gsme) {
            Some(meter) if slot.is_gas() => units::as_stated(&meter.profile, outcome),
            _ => outcome,
        }
    }

    fn hold(&mut self, ticket: u32, pending: Pending) {
        let wakes = self
            .site
            .slot(pending.job.slot)
            .map(|meter| meter.profile.result_within());
        let within = wakes.unwrap_or_default() + self.shared.options.late_result_margin;
        let until = (self.now() + within).min(pending.job.deadline);
        tracing::debug!(hub = %self.site.hub, ticket, %until, "held for a sleeping device");
        if let Some(older) = self.tickets.insert(ticket, Held { pending, until }) {
            let reason = format!("hub {} gave ticket {ticket} away again", self.site.hub);
            older
                .pending
                .finish(Err(Failure::after(FailureKind::LateResultMissing, reason)));
        }
    }

    fn expire_tickets(&mut self) {
        let now = self.now();
        while let Some((ticket, _)) = self.tickets.iter().find(|(_, held)| held.until <= now) {
            let ticket = *ticket;
            let Some(held) = self.tickets.remove(&ticket) else {
                return;
            };
            let job = &held.pending.job;
            let reason = format!(
                "{} {} did not wake in time: {} (ticket {ticket})",
                job.slot, job.device, job.operation
            );
            held.pending
                .finish(Err(Failure::after(FailureKind::LateResultMissing, reason)));
        }
    }

    /// The next thing that happens, at `until` at the latest. Held operations that run out end on the way.
    pub(crate) async fn next(&mut self, until: SimInstant) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.expire_tickets();
            let wake = self
                .tickets
                .values()
                .map(|held| held.until)
                .min()
                .map_or(until, |first| first.min(until));
            let clock = self.shared.world.clock.clone();
            tokio::select! {
                biased;
                input = self.inbox.recv() => match input {
                    Some(input) => self.take(input).await,
                    None => return Event::Stopped,
                },
                said = said_by(&mut self.link) => self.face_said(said).await,
                () = clock.sleep_until(wake) => {
                    self.expire_tickets();
                    if self.now() >= until {
                        return Event::TimedOut;
                    }
                }
            }
        }
    }

    /// Takes one input; what follows from it waits in `events`.
    async fn take(&mut self, input: Input) {
        self.taken += 1;
        match input {
            Input::Jobs(jobs) => {
                let waiting: usize = self.queue.iter().map(Vec::len).sum();
                if waiting + jobs.len() <= self.shared.options.queue_per_hub {
                    self.queue.push_back(jobs);
                    self.events.push_back(Event::Job);
                } else {
                    let reason = format!("the queue of hub {} is full", self.site.hub);
                    let failure = Failure::before(FailureKind::Busy, reason);
                    jobs.into_iter()
                        .for_each(|pending| pending.finish(Err(failure.clone())));
                }
            }
            Input::Open { session } => {
                self.opened(session);
                if self
                    .link
                    .as_ref()
                    .is_some_and(|link| link.face.is_external() && link.line.is_none())
                {
                    self.close("no program is attached that speaks to these devices").await;
                }
            }
            Input::Data { session, octets } => {
                if self.link.as_ref().is_some_and(|link| link.session == session) {
                    self.octets(&octets).await;
                } else if self.is_always_on() {
                    // A connection from before this engine was started: the hub believes in it until it is told.
                    self.send_close(session, "unknown to this head-end").await;
                }
            }
            Input::Close { session, reason } => {
                if self.link.as_ref().is_some_and(|link| link.session == session) {
                    self.link = None;
                    self.save_seen();
                    self.events.push_back(Event::Closed(reason));
                }
            }
            Input::SmsTaken => self.sms_taken = true,
            Input::Text { octets } => self.text(&octets),
        }
    }

    fn opened(&mut self, session: u64) {
        if self.link.as_ref().is_some_and(|link| link.session == session) {
            return; // the same message twice
        }
        if self.link.take().is_some() {
            self.events.push_back(Event::Closed("the hub opened another".into()));
        }
        let Some(chf) = self.site.slot(DeviceKind::Chf) else {
            return;
        };
        let devices = self
            .site
            .devices
            .iter()
            .map(|device| (device.slot, device.id))
            .collect();
        let now = self.now();
        let face = HeadEndSession::new(&chf.profile.face, devices);
        let line = face
            .is_external()
            .then(|| self.line(&chf.profile.face.external))
            .flatten();
        let label = format!("{} challenges {} {session} {}", self.shared.name, self.site.hub, now.0);
        self.link = Some(Link {
            session,
            face,
            line,
            identified: false,
            challenges: (self.shared.world.seed.child(label), 0),
            last_active: now,
            at_rest: false,
        });
        self.events.push_back(Event::Opened);
        self.tell_face();
    }

    /// Gives octets to the face and does what it says.
    async fn octets(&mut self, octets: &[u8]) {
        let now = self.now();
        if let Some(link) = &mut self.link {
            link.last_active = now;
        }
        let happened = self.with_face(|face, keys| face.input(keys, octets));
        self.happened(happened).await;
    }

    pub(crate) async fn happened(&mut self, happened: Option<Result<Vec<HeadEndEvent>, FaceError>>) {
        match happened {
            None => {}
            Some(Ok(happened)) => {
                for event in happened {
                    self.face_event(event).await;
                }
            }
            Some(Err(error)) => {
                let fault = self.fault_of(&error);
                self.close("not understood").await;
                self.events.push_back(Event::Failed(fault));
            }
        }
    }

    async fn face_event(&mut self, event: HeadEndEvent) {
        match event {
            HeadEndEvent::Finished(outcome) => self.events.push_back(Event::Finished(outcome)),
            HeadEndEvent::Identified(hub) if hub == self.site.hub => {
                if let Some(link) = &mut self.link {
                    link.identified = true;
                }
                self.events.push_back(Event::Identified);
            }
            HeadEndEvent::Identified(other) => {
                self.close("not the hub it came from").await;
                let reason = format!("the connection of hub {} says that it is {other}", self.site.hub);
                let failure = Failure::before(FailureKind::SessionFailed, reason);
                self.events.push_back(Event::Failed(Fault::Again(failure)));
            }
            HeadEndEvent::Notification(notification) => self.notified(notification).await,
            HeadEndEvent::Queued(ticket) => self.events.push_back(Event::Queued(ticket)),
            HeadEndEvent::Released => self.events.push_back(Event::Released),
            HeadEndEvent::Send(octets) => match self.send_octets(octets).await {
                Ok(()) => self.events.push_back(Event::Progress),
                Err(fault) => self.events.push_back(Event::Failed(fault)),
            },
        }
    }

    async fn notified(&mut self, notification: Notification) {
        match notification {
            Notification::Alert {
                slot,
                code,
                description,
                at,
            } => {
                let device = self.site.slot(slot).map_or(self.site.hub, |device| device.id);
                let alert = DeviceAlert {
                    hub: self.site.hub,
                    device,
                    slot,
                    code,
                    description,
                    at,
                };
                if self.shared.alerts.send(alert).await.is_err() {
                    tracing::debug!(hub = %self.site.hub, "nobody listens to alerts");
                }
            }
            Notification::Readings { slot, row } => {
                if let Some(device) = self.site.slot(slot) {
                    self.shared.readings.note(device.id, row);
                }
            }
            Notification::LateResult { ticket, outcome } => match self.tickets.remove(&ticket) {
                Some(held) => {
                    let job = &held.pending.job;
                    self.shared.firmware.note(job.device, &job.operation, &outcome);
                    held.pending.finish(Ok(outcome));
                }
                // Late beyond its time, twice, or from before a restart: its job has had its one outcome.
                None => tracing::debug!(hub = %self.site.hub, ticket, "a late result nobody waits for"),
            },
        }
    }

    /// Runs `act` on the face of the connection; `None` without a connection or when no counter could be had.
    pub(crate) fn with_face<R>(
        &mut self,
        act: impl FnOnce(&mut HeadEndSession, &mut SessionKeys<'_>) -> R,
    ) -> Option<R> {
        let link = self.link.as_mut()?;
        let mut keys = SessionKeys {
            shared: &self.shared,
            site: &self.site,
            challenges: &mut link.challenges,
            broken: None,
        };
        let result = act(&mut link.face, &mut keys);
        if let Some(error) = keys.broken {
            tracing::error!(hub = %self.site.hub, %error, "no counter to be had");
            self.link = None;
            let failure = Failure::after(FailureKind::Stopped, error.to_string());
            self.events.push_back(Event::Failed(Fault::Final(failure)));
            return None;
        }
        self.tell_face();
        Some(result)
    }

    async fn send_octets(&mut self, octets: Vec<u8>) -> Result<(), Fault> {
        let Some(link) = &self.link else { return Ok(()) };
        let data = WanData {
            hub: self.site.hub.0,
            head_end: self.shared.name.clone(),
            session: link.session,
            payload: octets.into(),
        };
        self.shared
            .send(&self.trace_id, Kind::WanData, &data)
            .await
            .map_err(|_| wan_closed())?;
        Ok(())
    }

    /// Releases the association and closes the connection.
    async fn release(&mut self) {
        let Some(session) = self.link.as_ref().map(|link| link.session) else {
            return;
        };
        let octets = self.with_face(|face, keys| face.release(keys)).unwrap_or_default();
        let external = self.link.as_ref().is_some_and(|link| link.face.is_external());
        if external || (!octets.is_empty() && self.send_octets(octets).await.is_ok()) {
            let until = self.now() + RELEASE_WITHIN;
            loop {
                match self.next(until).await {
                    Event::Released | Event::Failed(_) | Event::Closed(_) | Event::TimedOut => break,
                    Event::Stopped => return,
                    _ => {}
                }
            }
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.session == session) {
            link.at_rest = true;
            if !self.is_always_on() {
                self.close(proto::RELEASED).await;
            }
        }
    }

    /// Closes the connection without more ado.
    pub(crate) async fn close(&mut self, reason: &str) {
        self.save_seen();
        if let Some(link) = self.link.take() {
            self.send_close(link.session, reason).await;
        }
    }

    async fn send_close(&self, session: u64, reason: &str) {
        let close = WanClose {
            hub: self.site.hub.0,
            head_end: self.shared.name.clone(),
            session,
            reason: reason.to_owned(),
        };
        // A closed WAN link ends the engine, which ends this task.
        let _ = self.shared.send(&self.trace_id, Kind::WanClose, &close).await;
    }

    pub(crate) fn save_seen(&self) {
        if let Err(error) = self.shared.counters().save_seen() {
            tracing::warn!(hub = %self.site.hub, %error, "counters of devices not saved yet");
        }
    }

    fn fault_of(&self, error: &FaceError) -> Fault {
        let reason = format!("hub {}: {error}", self.site.hub);
        match error {
            FaceError::AssociationRefused { .. } => Fault::Final(Failure::before(FailureKind::SessionFailed, reason)),
            FaceError::NoDevice(_) => Fault::Final(Failure::before(FailureKind::Unknown, reason)),
            FaceError::Busy => Fault::Again(Failure::before(FailureKind::SessionFailed, reason)),
            _ => Fault::Again(Failure::after(FailureKind::BadAnswer, reason)),
        }
    }
}

/// Whether a session with the one installation is as good as with the other: same devices behind the same face.
fn same_behind(one: &Site, other: &Site) -> bool {
    let devices = |site: &Site| -> Vec<_> { site.devices.iter().map(|device| (device.slot, device.id)).collect() };
    let face = |site: &Site| site.slot(DeviceKind::Chf).map(|chf| Arc::as_ptr(&chf.profile));
    devices(one) == devices(other) && face(one) == face(other)
}

pub(crate) fn wan_closed() -> Fault {
    Fault::Final(Failure::before(
        FailureKind::WanUnusable,
        "the link to the WAN is closed",
    ))
}
