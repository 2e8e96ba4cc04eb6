//! One hub: an async task that drives one pure installation, its connection to the head-end and its direct sessions.
//!
//! The state lives in one box; the task itself holds little more than that and a timer. Between two wakes an idle hub
//! costs no time at all.

mod kit;
mod wan;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use dialects::external::{FromFace, Line};
use dialects::{MeterSession, Notification};
use dmc::WanMode;
use domain::keys::Party;
use domain::{Association, DeviceKind, Eui64, ProfileId, SimDuration, SimInstant};
use meter::{Context, Installation};
use proto::Kind;
use tokio::sync::mpsc;

use crate::estate::{SLOTS, SiteFault};
use crate::face::Face;
use crate::handle::{AskError, DeviceChange};
use crate::inbox::Inbox;
use crate::journal::{COUNTERS_EVERY, COUNTERS_SKIPPED, Saved};
pub(crate) use kit::{Kit, Shared, context};

/// Notifications a hub holds while it cannot connect; the oldest is dropped for one more.
pub const PENDING_MAX: usize = 32;

/// Direct sessions to one installation at a time; one more is refused.
pub const DIRECT_MAX: usize = 4;

/// From the answer to what makes a hub restart until its connections are gone. Invented: more than a family takes that asks
/// for each part of an answer.
const LAST_WORDS: SimDuration = SimDuration::from_secs(5);

/// What an installation is like from the start, beside its devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Conditions {
    /// No supplier had smart service here before it was enrolled.
    pub(crate) dormant: bool,
    /// No network reaches the hub.
    pub(crate) no_coverage: bool,
}

/// What reaches a hub.
pub(crate) enum Item {
    /// Something to be done with the hub, and with nobody else at it: control and checks.
    Ask(Ask),
    Close {
        session: u64,
        reason: String,
    },
    Data {
        session: u64,
        head_end: String,
        trace_id: String,
        payload: Bytes,
    },
    /// What the program that provides the face of a connection says; `None` when it has gone.
    Face {
        session: u64,
        message: Option<Box<FromFace>>,
    },
    /// The installation is taken away.
    Leave,
    Sms {
        trace_id: String,
        payload: Bytes,
    },
}

/// A question to a hub, answered by its task.
pub(crate) type Ask = Box<dyn FnOnce(&mut Hub, SimInstant) -> Reply + Send>;

/// Gives the answer to whoever asked. Called once what the question changed is on disk; dropped where that failed.
pub(crate) type Reply = Box<dyn FnOnce() + Send>;

/// The state of one hub.
pub(crate) struct Hub {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kit: Arc<Kit>,
    pub(crate) installation: Installation,
    inbox: Inbox<Item>,
    eui: Eui64,
    last_session: u64,
    /// Whose keys are in force on the hub itself, as last acted upon.
    operator: Party,
    /// What there is with the head-end of each party: while keys are staged, two may be connected.
    sides: [Side; PARTIES.len()],
    /// When the last text message came that did not wake the hub yet, and how many there were in a row.
    texts: (SimInstant, u8),
    /// When readings are sent next.
    pub(crate) next_readings: SimInstant,
    direct: Vec<Direct>,
    output: Vec<Output>,
    /// Answers that wait until what they tell of is on disk.
    replies: Vec<Reply>,
    installed_at: SimInstant,
    conditions: Conditions,
    /// Something changed that must be on disk before anybody hears of it.
    unsaved: bool,
    /// Messages since the last record in the journal.
    since_saved: u32,
    /// The installation is taken away: what it still has to say is its last.
    leaves: bool,
}

/// Parties that run a head-end, in the order of [`Hub::sides`].
pub(crate) const PARTIES: [Party; 2] = [Party::Smso, Party::S1sp];

/// What a hub has with the head-end of one party.
#[derive(Default)]
struct Side {
    connecting: Option<Box<Connecting>>,
    link: Option<Box<Link>>,
    pending: VecDeque<Notification>,
    wake_ups: WakeUps,
}

/// The last wake-up message taken under the keys of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct WakeUps {
    pub(crate) epoch: u32,
    pub(crate) last: u32,
}

/// A connection being prepared.
struct Connecting {
    at: SimInstant,
    attempts_left: u8,
    trace_id: String,
}

/// An open connection to the head-end.
struct Link {
    session: MeterSession,
    /// The program that provides the face, where one does.
    line: Option<Box<dyn Line>>,
    number: u64,
    head_end: String,
    trace_id: String,
    close_at: SimInstant,
    /// When the hub goes down for a restart.
    down_at: Option<SimInstant>,
    attempts_left: u8,
    /// Told on this connection before anything was heard on it: to be told again if it never worked.
    told: Vec<Notification>,
    heard: bool,
}

/// A client connected straight to the face, around the WAN.
struct Direct {
    session: MeterSession,
    from_client: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Bytes>,
}

struct Output {
    kind: Kind,
    trace_id: String,
    body: Vec<u8>,
}

enum Event {
    Direct(usize, Option<Bytes>),
    Due,
    Item(Item),
}

impl Hub {
    pub(crate) fn new(
        shared: Arc<Shared>,
        kit: Arc<Kit>,
        installation: Installation,
        inbox: Inbox<Item>,
        eui: Eui64,
        installed_at: SimInstant,
        conditions: Conditions,
    ) -> Box<Self> {
        let operator = installation.active_party(DeviceKind::Chf);
        Box::new(Self {
            shared,
            kit,
            installation,
            inbox,
            eui,
            last_session: 0,
            operator,
            sides: [Side::default(), Side::default()],
            texts: (SimInstant(0), 0),
            next_readings: SimInstant(i64::MAX),
            direct: Vec::new(),
            output: Vec::new(),
            replies: Vec::new(),
            installed_at,
            conditions,
            unsaved: false,
            since_saved: 0,
            leaves: false,
        })
    }

    /// Runs until the installation is taken away or its owner drops it.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.start();
        while !self.leaves {
            let event = self.next_event().await;
            self.handle(event);
            if self.save() {
                self.replies.drain(..).for_each(|reply| reply());
                self.tell_faces();
            } else {
                // Nothing is said that is not on disk: to the head-end, the hub has gone.
                self.output.clear();
                self.replies.clear();
                self.sides.iter_mut().for_each(|side| side.link = None);
            }
            if !self.output.is_empty() {
                // Boxed: an idle hub should not carry the state of a send.
                Box::pin(self.flush()).await;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let clock = self.shared.clock.clone();
        let mut alarm = pin!(clock.sleep_until(self.next_due()));
        poll_fn(|context| {
            if let Poll::Ready(item) = self.inbox.poll(context) {
                return Poll::Ready(Event::Item(item));
            }
            if let Poll::Ready((index, octets)) = self.poll_direct(context) {
                return Poll::Ready(Event::Direct(index, octets));
            }
            alarm.as_mut().poll(context).map(|()| Event::Due)
        })
        .await
    }

    fn poll_direct(&mut self, context: &mut TaskContext<'_>) -> Poll<(usize, Option<Bytes>)> {
        for (index, direct) in self.direct.iter_mut().enumerate() {
            if let Poll::Ready(octets) = direct.from_client.poll_recv(context) {
                return Poll::Ready((index, octets));
            }
        }
        Poll::Pending
    }

    fn next_due(&self) -> SimInstant {
        let mut due = self.installation.next_wake().min(self.next_readings);
        for side in &self.sides {
            if let Some(connecting) = &side.connecting {
                due = due.min(connecting.at);
            }
            if let Some(link) = &side.link {
                due = due.min(link.close_at).min(link.down_at.unwrap_or(link.close_at));
            }
        }
        due
    }

    /// A hub that is always connected does not wait for anything.
    fn start(&mut self) {
        self.next_readings = self.readings_after(self.shared.clock.now());
        if self.always_on(self.operator) {
            let now = self.shared.clock.now();
            let trace_id = self.own_trace();
            self.connect_after(now, self.operator, self.kit.chf.wan.attach_delay_at(now), trace_id);
        }
    }

    /// Whether the hub keeps its connection with this party for ever.
    fn always_on(&self, party: Party) -> bool {
        self.kit.chf.wan.mode == WanMode::AlwaysOn && party == self.operator && !self.asleep()
    }

    /// Whether its communications are asleep: nobody uses them, so that it does nothing on the WAN by itself. It still
    /// wakes by text message, and connects to give the late result of an order that it was given then. The first
    /// wake-up of the S1SP as its operator ends that.
    pub(crate) fn asleep(&self) -> bool {
        let [_, s1sp] = &self.sides;
        self.conditions.dormant && (self.operator == Party::Smso || s1sp.wake_ups.last == 0)
    }

    fn own_trace(&self) -> String {
        format!("hub:{}", self.eui)
    }

    fn side(&mut self, party: Party) -> &mut Side {
        let [smso, s1sp] = &mut self.sides;
        if party == Party::Smso { smso } else { s1sp }
    }

    fn handle(&mut self, event: Event) {
        let now = self.shared.clock.now();
        match event {
            Event::Due => self.due(now),
            Event::Direct(index, octets) => self.direct_input(now, index, octets),
            Event::Item(Item::Sms { trace_id, payload }) => self.sms(now, trace_id, &payload),
            Event::Item(Item::Data {
                session,
                head_end,
                trace_id,
                payload,
            }) => self.data(now, (session, head_end), trace_id, &payload),
            Event::Item(Item::Close { session, reason }) => self.closed(now, session, &reason),
            Event::Item(Item::Face { session, message }) => self.face_said(now, session, message),
            Event::Item(Item::Leave) => {
                PARTIES
                    .iter()
                    .for_each(|party| self.close(now, *party, "the installation is taken away"));
                self.power_lost();
                self.unsaved = true;
                self.leaves = true;
                return;
            }
            Event::Item(Item::Ask(ask)) => {
                let reply = ask(self, now);
                self.replies.push(reply);
            }
        }
        if self.inbox.take_overrun() {
            tracing::warn!(hub = %self.eui, "inbox full: connection given up");
            PARTIES.iter().for_each(|party| self.close(now, *party, "hub overrun"));
        }
        self.follow_firmware(now);
        self.drain_effects(now);
        if self.installation.take_hub_restart() {
            // Where an answer takes several messages there is time to say it; after that nobody is there.
            let down_at = now + self.shared.clock.scaled_latency(LAST_WORDS);
            let links = self.sides.iter_mut().filter_map(|side| side.link.as_mut());
            links.for_each(|link| link.down_at = Some(down_at));
        }
        self.follow_operator(now);
    }

    /// A device that comes back from an activation is what it has become.
    fn follow_firmware(&mut self, now: SimInstant) {
        while let Some((slot, profile)) = self.installation.take_new_firmware() {
            self.unsaved = true;
            if let Some(kit) = self.kit.with(&self.shared.catalogue, slot, &profile) {
                tracing::debug!(hub = %self.eui, %slot, %profile, "another firmware");
                self.kit = Arc::new(kit);
                continue;
            }
            tracing::debug!(hub = %self.eui, %slot, %profile, "no file describes what this image makes: rolled back");
            let (installation, context) = self.parts(now);
            installation.roll_back(&context, slot);
        }
    }

    /// What the devices are once the one in `slot` has become `profile`.
    fn kit_with(&self, device: Eui64, slot: DeviceKind, profile: &ProfileId) -> Result<Kit, AskError> {
        let no = |problem: String| AskError::NoSuchChange {
            device,
            profile: profile.clone(),
            problem,
        };
        let now = self.kit.profile(slot).ok_or(AskError::NoSuchDevice(device))?;
        if now.id.model != profile.model {
            return Err(no(format!(
                "it is a {}, and another model is another device: remove the installation and add it with that",
                now.id.model
            )));
        }
        let kit = self.kit.with(&self.shared.catalogue, slot, profile);
        kit.ok_or_else(|| no(format!("no file describes a {slot} of that name")))
    }

    /// Whether all of a change could be made.
    pub(crate) fn may_change(
        &self,
        (device, slot): (Eui64, DeviceKind),
        change: &DeviceChange,
    ) -> Result<(), AskError> {
        if let Some(profile) = &change.profile {
            self.kit_with(device, slot, profile)?;
        }
        if change.payment_mode.is_some() && !self.installation.powered() {
            return Err(AskError::NoMains(self.eui));
        }
        Ok(())
    }

    /// Changes a device or the installation from outside, all of it or nothing.
    pub(crate) fn change(
        &mut self,
        now: SimInstant,
        (device, slot): (Eui64, DeviceKind),
        change: &DeviceChange,
    ) -> Result<(), AskError> {
        self.may_change((device, slot), change)?;
        self.note(true);
        if let Some(profile) = &change.profile {
            self.kit = Arc::new(self.kit_with(device, slot, profile)?);
        }
        if let Some(mode) = change.payment_mode {
            let (installation, context) = self.parts(now);
            installation
                .put_payment_mode(&context, mode)
                .map_err(AskError::Refused)?;
        }
        if let Some(faults) = &change.faults {
            self.suffer(now, faults);
        }
        Ok(())
    }

    /// These things are wrong with the installation from now on.
    fn suffer(&mut self, now: SimInstant, faults: &[SiteFault]) {
        let no_coverage = faults.contains(&SiteFault::NoCoverage);
        if no_coverage && !self.conditions.no_coverage {
            // The network is gone, and nobody could say so.
            self.sides.iter_mut().for_each(|side| {
                side.connecting = None;
                side.link = None;
            });
        }
        let returns = self.conditions.no_coverage && !no_coverage;
        self.conditions.no_coverage = no_coverage;
        let dark = faults.contains(&SiteFault::MainsOff);
        match (self.installation.powered(), dark) {
            (true, true) => {
                self.last_gasp(now);
                let (installation, context) = self.parts(now);
                installation.cut_power(&context);
                self.power_lost();
            }
            (false, false) => {
                let (installation, context) = self.parts(now);
                installation.restore_power(&context);
            }
            _ => {}
        }
        if returns && self.always_on(self.operator) {
            let trace_id = self.own_trace();
            self.connect_after(now, self.operator, self.kit.chf.wan.attach_delay_at(now), trace_id);
        }
    }

    /// When the hub itself was handed over, it stays connected with its new operator, not with the old one.
    fn follow_operator(&mut self, now: SimInstant) {
        let operator = self.installation.active_party(DeviceKind::Chf);
        if operator == std::mem::replace(&mut self.operator, operator) {
            return;
        }
        PARTIES.iter().for_each(|party| self.touch(now, *party));
        if self.always_on(operator) {
            let trace_id = self.own_trace();
            self.connect_after(now, operator, self.kit.chf.wan.attach_delay_at(now), trace_id);
        }
    }

    fn due(&mut self, now: SimInstant) {
        if self.installation.next_wake() <= now {
            let (installation, context) = self.parts(now);
            installation.wake(&context);
        }
        if self.next_readings <= now {
            self.send_readings(now);
        }
        for party in PARTIES {
            let side = self.side(party);
            let connects = side.connecting.as_ref().is_some_and(|connecting| connecting.at <= now);
            let idles = side.link.as_ref().is_some_and(|link| link.close_at <= now);
            let restarts = side
                .link
                .as_ref()
                .and_then(|link| link.down_at)
                .is_some_and(|at| at <= now);
            if connects {
                self.open(now, party);
            }
            if restarts {
                self.close(now, party, "the hub restarts");
            } else if idles {
                self.close(now, party, "idle");
            }
        }
    }

    /// Connects a client straight to the face; `false` when there are too many.
    pub(crate) fn add_direct(&mut self, from_client: mpsc::Receiver<Bytes>, to_client: mpsc::Sender<Bytes>) -> bool {
        // A client that left is only noticed on the hub's next turn; it must not keep the place of one that comes now.
        self.direct
            .retain(|direct| !direct.from_client.is_closed() || !direct.from_client.is_empty());
        let room = self.direct.len() < DIRECT_MAX;
        if room {
            let session = MeterSession::new(&self.kit.chf.face);
            self.direct.push(Direct {
                session,
                from_client,
                to_client,
            });
        }
        room
    }

    fn direct_input(&mut self, now: SimInstant, index: usize, octets: Option<Bytes>) {
        if index >= self.direct.len() {
            return;
        }
        let mut direct = self.direct.swap_remove(index);
        let Some(octets) = octets else { return };
        let mut face = Face::new(self.parts(now));
        let output = direct.session.input(&octets, &mut face);
        let changed = face.changed;
        self.note(changed);
        // Attached programs are asked over the WAN only.
        if direct.session.is_external() || !self.save() {
            return;
        }
        // A client that does not read what it asked for is let go.
        let delivered = output.octets.is_empty() || direct.to_client.try_send(output.octets.into()).is_ok();
        if delivered && !output.close {
            self.direct.push(direct);
        }
    }

    /// Notes that a message was handled, and whether it changed what must be on disk before the answer.
    pub(crate) fn note(&mut self, changed: bool) {
        self.unsaved |= changed;
        self.since_saved = self.since_saved.saturating_add(1);
    }

    /// Writes what must be durable; `false` when it could not be.
    fn save(&mut self) -> bool {
        let due = self.unsaved || self.since_saved >= COUNTERS_EVERY;
        let Some(journal) = self.shared.journal.get().filter(|_| due) else {
            return true;
        };
        let saved = Saved {
            hub: self.eui,
            installed_at: self.installed_at,
            wake_ups: self.sides.each_ref().map(|side| side.wake_ups),
            last_session: self.last_session,
            profiles: self.kit.changed.clone(),
            installation: if self.leaves {
                Vec::new()
            } else {
                self.installation.durable()
            },
        };
        match journal.save(&saved) {
            Ok(()) => {
                self.unsaved = false;
                self.since_saved = 0;
                true
            }
            Err(error) => {
                tracing::error!(hub = %self.eui, %error, "state not saved: the hub falls silent");
                false
            }
        }
    }

    /// Takes up where a record ended. What was used since then and not written is skipped.
    pub(crate) fn resume(&mut self, saved: &Saved, installation: Installation) {
        self.installation = installation;
        self.installed_at = saved.installed_at;
        for (side, wake_ups) in self.sides.iter_mut().zip(saved.wake_ups) {
            side.wake_ups = wake_ups;
        }
        self.operator = self.installation.active_party(DeviceKind::Chf);
        self.last_session = saved.last_session.saturating_add(u64::from(COUNTERS_SKIPPED));
        for _ in 0..COUNTERS_SKIPPED {
            self.installation.challenge();
            for slot in SLOTS {
                for association in CIPHERED {
                    self.installation.next_counter(slot, association);
                }
            }
        }
    }

    pub(crate) fn eui(&self) -> Eui64 {
        self.eui
    }

    /// The installation and what every call of it is given.
    pub(crate) fn parts(&mut self, now: SimInstant) -> (&mut Installation, Context<'_>) {
        (&mut self.installation, context(&self.shared, &self.kit, now))
    }

    /// What a hub without mains does: nothing, and nobody hears why.
    pub(crate) fn power_lost(&mut self) {
        for side in &mut self.sides {
            side.connecting = None;
            side.link = None;
        }
        self.direct.clear();
    }

    /// The head-end it is connected to.
    pub(crate) fn connected_to(&self) -> Option<&str> {
        let mut links = self.sides.iter().filter_map(|side| side.link.as_ref());
        links.next().map(|link| link.head_end.as_str())
    }

    /// Notifications that wait for a connection.
    pub(crate) fn pending(&self) -> usize {
        self.sides.iter().map(|side| side.pending.len()).sum()
    }
}

/// Associations whose counters rise with what a device says.
const CIPHERED: [Association; 4] = [
    Association::Critical,
    Association::Management,
    Association::StagedCritical,
    Association::StagedManagement,
];
