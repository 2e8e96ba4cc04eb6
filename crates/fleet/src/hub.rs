//! One hub: an async task that drives one pure installation, its connection to the head-end and its direct sessions.
//!
//! The state lives in one box; the task itself holds little more than that and a timer. Between two wakes an idle hub
//! costs no time at all.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use dialects::{MeterSession, Notification, wake_up};
use dmc::{DeviceProfile, WanMode};
use domain::keys::{Party, Purpose};
use domain::operation::CriticalOperations;
use domain::{Association, DeviceKind, Eui64, SecurityEvent, SimDuration, SimInstant};
use meter::{Context, Effect, Installation, Profiles, Relations};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen};
use tokio::sync::mpsc;
use world::{Clock, LinkSender};

use crate::estate::SLOTS;
use crate::face::Face;
use crate::inbox::Inbox;
use crate::journal::{COUNTERS_EVERY, COUNTERS_SKIPPED, Journal, Saved};

/// Notifications a hub holds while it cannot connect; the oldest is dropped for one more.
pub const PENDING_MAX: usize = 32;

/// Direct sessions to one installation at a time; one more is refused.
pub const DIRECT_MAX: usize = 4;

/// Octets of a connection in one message.
const PIECE: usize = 16 * 1024;

/// What all hubs of a fleet share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) wan: LinkSender,
    pub(crate) relations: Relations,
    pub(crate) critical: CriticalOperations,
    /// Where the hubs' durable state goes; a fleet without one is born again with every start.
    pub(crate) journal: OnceLock<Journal>,
}

/// What all hubs of a template share.
pub(crate) struct Kit {
    pub(crate) chf: Arc<DeviceProfile>,
    pub(crate) esme: Arc<DeviceProfile>,
    pub(crate) gas: Option<(Arc<DeviceProfile>, Arc<DeviceProfile>)>,
    /// Operator at the start, and the name of its head-end.
    pub(crate) party: Party,
    pub(crate) head_end: String,
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
        trace_id: String,
        payload: Bytes,
    },
    Sms {
        trace_id: String,
        payload: Bytes,
    },
}

/// A question to a hub, answered by its task.
pub(crate) type Ask = Box<dyn FnOnce(&mut Hub, SimInstant) + Send>;

/// The state of one hub.
pub(crate) struct Hub {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kit: Arc<Kit>,
    pub(crate) installation: Installation,
    inbox: Inbox<Item>,
    eui: Eui64,
    last_wake_up: u32,
    last_session: u64,
    connecting: Option<Box<Connecting>>,
    link: Option<Box<Link>>,
    pending: VecDeque<Notification>,
    direct: Vec<Direct>,
    output: Vec<Output>,
    installed_at: SimInstant,
    /// Something changed that must be on disk before anybody hears of it.
    unsaved: bool,
    /// Messages since the last record in the journal.
    since_saved: u32,
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
    number: u64,
    head_end: String,
    trace_id: String,
    close_at: SimInstant,
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
    ) -> Box<Self> {
        Box::new(Self {
            shared,
            kit,
            installation,
            inbox,
            eui,
            last_wake_up: 0,
            last_session: 0,
            connecting: None,
            link: None,
            pending: VecDeque::new(),
            direct: Vec::new(),
            output: Vec::new(),
            installed_at,
            unsaved: false,
            since_saved: 0,
        })
    }

    /// Runs for ever; its owner drops it.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.start();
        loop {
            let event = self.next_event().await;
            self.handle(event);
            if !self.save() {
                // Nothing is said that is not on disk: to the head-end, the hub has gone.
                self.output.clear();
                self.link = None;
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
        let mut due = self.installation.next_wake();
        if let Some(connecting) = &self.connecting {
            due = due.min(connecting.at);
        }
        if let Some(link) = &self.link {
            due = due.min(link.close_at);
        }
        due
    }

    /// A hub that is always connected does not wait for anything.
    fn start(&mut self) {
        if self.kit.chf.wan.mode == WanMode::AlwaysOn {
            let now = self.shared.clock.now();
            self.connect_after(now, self.kit.chf.wan.attach_delay, format!("hub:{}", self.eui));
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.shared.clock.now();
        match event {
            Event::Due => self.due(now),
            Event::Direct(index, octets) => self.direct_input(now, index, octets),
            Event::Item(Item::Sms { trace_id, payload }) => self.sms(now, trace_id, &payload),
            Event::Item(Item::Data {
                session,
                trace_id,
                payload,
            }) => self.data(now, session, trace_id, &payload),
            Event::Item(Item::Close { session, reason }) => self.closed(now, session, &reason),
            Event::Item(Item::Ask(ask)) => ask(self, now),
        }
        if self.inbox.take_overrun() {
            tracing::warn!(hub = %self.eui, "inbox full: connection given up");
            self.close(now, "hub overrun");
        }
        self.drain_effects(now);
    }

    fn due(&mut self, now: SimInstant) {
        if self.installation.next_wake() <= now {
            let (installation, context) = self.parts(now);
            installation.wake(&context);
        }
        if self.connecting.as_ref().is_some_and(|connecting| connecting.at <= now) {
            self.open(now);
        }
        if self.link.as_ref().is_some_and(|link| link.close_at <= now) {
            self.close(now, "idle");
        }
    }

    fn sms(&mut self, now: SimInstant, trace_id: String, payload: &[u8]) {
        if !self.installation.powered() {
            return;
        }
        let (hub, last) = (self.eui, self.last_wake_up);
        let (installation, context) = self.parts(now);
        let Some(key) = installation.key(&context, DeviceKind::Chf, Purpose::WakeUp) else {
            return;
        };
        if let Some(counter) = wake_up::check(&key, hub, payload, last) {
            self.last_wake_up = counter;
            if self.link.is_some() && self.kit.chf.wan.mode == WanMode::AlwaysOn {
                // Whoever wakes a hub that is connected does not see its connection: it is shown, or found to be dead.
                self.show(now);
            }
            self.connect_after(now, self.kit.chf.wan.attach_delay, trace_id);
        } else if wake_up::check(&key, hub, payload, 0).is_some() {
            // Networks deliver text messages twice and out of order: nothing to report.
            tracing::debug!(%hub, "old wake-up message");
        } else {
            installation.security_event(&context, DeviceKind::Chf, SecurityEvent::AuthenticationFailed);
        }
    }

    fn connect_after(&mut self, now: SimInstant, delay: SimDuration, trace_id: String) {
        if self.link.is_none() && self.connecting.is_none() {
            let attempts_left = self.kit.chf.wan.connect_attempts.max(1);
            let at = now + self.shared.clock.scaled_latency(delay);
            self.connecting = Some(Box::new(Connecting {
                at,
                attempts_left,
                trace_id,
            }));
        }
    }

    /// Opens the connection, says who it is, and tells what waits to be told.
    fn open(&mut self, now: SimInstant) {
        let Some(connecting) = self.connecting.take() else {
            return;
        };
        if !self.installation.powered() {
            return;
        }
        self.last_session += 1;
        let head_end = self.head_end();
        let number = self.last_session;
        let open = WanOpen {
            hub: self.eui.0,
            head_end: head_end.clone(),
            session: number,
        };
        self.put(Kind::WanOpen, &connecting.trace_id, open.encode_to_vec());
        let mut session = MeterSession::new(&self.kit.chf.face);
        let identification = session.open(&mut Face::new(self.parts(now)));
        self.link = Some(Box::new(Link {
            session,
            number,
            head_end,
            trace_id: connecting.trace_id,
            close_at: SimInstant(i64::MAX),
            attempts_left: connecting.attempts_left.saturating_sub(1),
            told: Vec::new(),
            heard: false,
        }));
        self.put_data(identification);
        self.touch(now);
        for notification in std::mem::take(&mut self.pending) {
            self.tell(now, notification);
        }
    }

    /// Says on the open connection who it is.
    fn show(&mut self, now: SimInstant) {
        let Some(mut link) = self.link.take() else { return };
        let octets = link.session.open(&mut Face::new(self.parts(now)));
        self.link = Some(link);
        self.put_data(octets);
    }

    /// The head-end of the operator whose keys are in force.
    fn head_end(&self) -> String {
        match self.installation.active_party(DeviceKind::Chf) {
            party if party == self.kit.party => self.kit.head_end.clone(),
            party => party.as_str().to_owned(),
        }
    }

    fn data(&mut self, now: SimInstant, number: u64, trace_id: String, payload: &[u8]) {
        let Some(mut link) = self.link.take_if(|link| link.number == number) else {
            return;
        };
        if !trace_id.is_empty() {
            link.trace_id = trace_id;
        }
        link.heard = true;
        link.told.clear();
        let mut face = Face::new(self.parts(now));
        let output = link.session.input(payload, &mut face);
        let changed = face.changed;
        self.note(changed);
        self.link = Some(link);
        self.put_data(output.octets);
        self.touch(now);
        if output.close {
            self.close(now, "closed by device");
        }
    }

    fn closed(&mut self, now: SimInstant, number: u64, reason: &str) {
        let Some(link) = self.link.take_if(|link| link.number == number) else {
            return;
        };
        tracing::debug!(hub = %self.eui, reason, "connection closed");
        let always_on = self.kit.chf.wan.mode == WanMode::AlwaysOn;
        let failed = !link.heard;
        if failed {
            // Nobody was there: what was told on it is told again.
            let later = std::mem::take(&mut self.pending);
            self.pending = link.told.into_iter().chain(later).collect();
        }
        if always_on || (failed && link.attempts_left > 0) {
            let at = now + self.shared.clock.scaled_latency(self.kit.chf.wan.connect_pause);
            let attempts_left = if always_on { 1 } else { link.attempts_left };
            self.connecting = Some(Box::new(Connecting {
                at,
                attempts_left,
                trace_id: link.trace_id,
            }));
        }
    }

    fn close(&mut self, now: SimInstant, reason: &str) {
        if let Some(link) = self.link.take() {
            let close = WanClose {
                hub: self.eui.0,
                head_end: link.head_end,
                session: link.number,
                reason: reason.to_owned(),
            };
            self.put(Kind::WanClose, &link.trace_id, close.encode_to_vec());
            if self.kit.chf.wan.mode == WanMode::AlwaysOn {
                self.connect_after(now, self.kit.chf.wan.connect_pause, link.trace_id);
            }
        }
    }

    fn touch(&mut self, now: SimInstant) {
        let always_on = self.kit.chf.wan.mode == WanMode::AlwaysOn;
        let close_at = if always_on {
            SimInstant(i64::MAX)
        } else {
            now + self.shared.clock.scaled_latency(self.kit.chf.wan.idle_close)
        };
        if let Some(link) = &mut self.link {
            link.close_at = close_at;
        }
    }

    /// Takes what the installation wants carried out: told at once on an open connection, else a connection is opened.
    fn drain_effects(&mut self, now: SimInstant) {
        while let Some(effect) = self.installation.pop_effect() {
            self.unsaved = true;
            let notification = match effect {
                Effect::Alert {
                    slot,
                    code,
                    description,
                    at,
                } => Notification::Alert {
                    slot,
                    code,
                    description: description.to_owned(),
                    at,
                },
                Effect::LateResult { ticket, outcome } => Notification::LateResult { ticket, outcome },
            };
            if self.link.is_some() {
                self.tell(now, notification);
                continue;
            }
            if self.pending.len() >= PENDING_MAX {
                tracing::debug!(hub = %self.eui, "too much to tell: the oldest notification is dropped");
                self.pending.pop_front();
            }
            self.pending.push_back(notification);
        }
        if !self.pending.is_empty() && self.connecting.is_none() && self.installation.powered() {
            self.connect_after(now, self.kit.chf.wan.attach_delay, format!("hub:{}", self.eui));
        }
    }

    fn tell(&mut self, now: SimInstant, notification: Notification) {
        let Some(mut link) = self.link.take() else { return };
        let octets = link.session.notify(&notification, &mut Face::new(self.parts(now)));
        self.note(false);
        if !link.heard && link.told.len() < PENDING_MAX {
            link.told.push(notification);
        }
        self.link = Some(link);
        self.put_data(octets);
        self.touch(now);
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
        if !self.save() {
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
            last_wake_up: self.last_wake_up,
            last_session: self.last_session,
            installation: self.installation.durable(),
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
        self.last_wake_up = saved.last_wake_up;
        self.last_session = saved.last_session.saturating_add(u64::from(COUNTERS_SKIPPED));
        for _ in 0..COUNTERS_SKIPPED {
            self.installation.challenge();
            for slot in SLOTS
                .into_iter()
                .filter(|slot| self.kit.gas.is_some() || !slot.is_gas())
            {
                for association in [Association::Critical, Association::Management] {
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
        self.connecting = None;
        self.link = None;
        self.direct.clear();
    }

    /// The head-end it is connected to.
    pub(crate) fn connected_to(&self) -> Option<&str> {
        self.link.as_ref().map(|link| link.head_end.as_str())
    }

    /// Notifications that wait for a connection.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn put_data(&mut self, octets: Vec<u8>) {
        let Some(link) = &self.link else { return };
        for piece in octets.chunks(PIECE) {
            let data = WanData {
                hub: self.eui.0,
                head_end: link.head_end.clone(),
                session: link.number,
                payload: Bytes::copy_from_slice(piece),
            };
            let body = data.encode_to_vec();
            self.output.push(Output {
                kind: Kind::WanData,
                trace_id: link.trace_id.clone(),
                body,
            });
        }
    }

    fn put(&mut self, kind: Kind, trace_id: &str, body: Vec<u8>) {
        self.output.push(Output {
            kind,
            trace_id: trace_id.to_owned(),
            body,
        });
    }

    async fn flush(&mut self) {
        for Output { kind, trace_id, body } in std::mem::take(&mut self.output) {
            let envelope = Envelope {
                trace_id,
                ..Envelope::default()
            };
            if let Err(gone) = self.shared.wan.send(envelope, kind, &body).await {
                tracing::debug!(hub = %self.eui, %gone, "the WAN is gone");
            }
        }
    }
}

/// What every call of an installation is given.
pub(crate) fn context<'a>(shared: &'a Shared, kit: &'a Kit, now: SimInstant) -> Context<'a> {
    let gas = kit.gas.as_ref();
    let profiles = Profiles {
        chf: &kit.chf.meter,
        esme: &kit.esme.meter,
        gpf: gas.map(|(gpf, _)| &gpf.meter),
        gsme: gas.map(|(_, gsme)| &gsme.meter),
    };
    Context {
        now,
        profiles,
        relations: &shared.relations,
        critical: &shared.critical,
    }
}
