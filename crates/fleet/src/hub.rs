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
use dialects::external::{Attached, End, FromFace, Line};
use dialects::{MeterSession, Notification, text_message, wake_up};
use dmc::{Catalogue, DeviceProfile, WanMode};
use domain::keys::{Party, Purpose};
use domain::operation::CriticalOperations;
use domain::seed::mix;
use domain::{Association, DeviceKind, Eui64, ProfileId, SecurityEvent, SimDuration, SimInstant};
use meter::{Context, Effect, Installation, Profiles, Relations};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};
use tokio::sync::mpsc;
use world::{Clock, LinkSender};

use crate::estate::{SLOTS, SiteFault};
use crate::face::Face;
use crate::handle::{AskError, DeviceChange};
use crate::inbox::Inbox;
use crate::journal::{COUNTERS_EVERY, COUNTERS_SKIPPED, Journal, Saved};

/// Notifications a hub holds while it cannot connect; the oldest is dropped for one more.
pub const PENDING_MAX: usize = 32;

/// Direct sessions to one installation at a time; one more is refused.
pub const DIRECT_MAX: usize = 4;

/// Text messages further apart than this do not wake a hub together.
const TEXTS_TOGETHER: SimDuration = SimDuration::from_mins(10);

/// From the answer to what makes a hub restart until its connections are gone. Invented: more than a family takes that asks
/// for each part of an answer.
const LAST_WORDS: SimDuration = SimDuration::from_secs(5);

/// Alert code of a last gasp: ours, no list of a manufacturer's own codes was found.
const LAST_GASP: u16 = 0x81F9;

const GASP_LABEL: u64 = 0x4741_5350;
const STORM_LABEL: u64 = 0x5354_4f52;

/// Octets of a connection in one message.
const PIECE: usize = 16 * 1024;

/// What all hubs of a fleet share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) wan: LinkSender,
    pub(crate) relations: Relations,
    pub(crate) critical: CriticalOperations,
    /// What devices may become when their firmware changes.
    pub(crate) catalogue: Catalogue,
    /// Where the hubs' durable state goes; a fleet without one is born again with every start.
    pub(crate) journal: OnceLock<Journal>,
    /// Where programs that provide faces are attached.
    pub(crate) faces: OnceLock<Arc<dyn Attached>>,
}

/// What all hubs of a template share; a hub with a device of another firmware has a kit of its own.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) chf: Arc<DeviceProfile>,
    pub(crate) esme: Arc<DeviceProfile>,
    pub(crate) gas: Option<(Arc<DeviceProfile>, Arc<DeviceProfile>)>,
    pub(crate) ppmid: Option<Arc<DeviceProfile>>,
    pub(crate) ihd: Option<Arc<DeviceProfile>>,
    /// Operator at the start, and the name of its head-end.
    pub(crate) party: Party,
    pub(crate) head_end: String,
    /// Devices that have another firmware than they were fitted with.
    pub(crate) changed: Vec<(DeviceKind, ProfileId)>,
}

impl Kit {
    /// The profile of the device in a slot.
    pub(crate) fn profile(&self, slot: DeviceKind) -> Option<&Arc<DeviceProfile>> {
        match slot {
            DeviceKind::Chf => Some(&self.chf),
            DeviceKind::Esme => Some(&self.esme),
            DeviceKind::Gpf => self.gas.as_ref().map(|(gpf, _)| gpf),
            DeviceKind::Gsme => self.gas.as_ref().map(|(_, gsme)| gsme),
            DeviceKind::Ppmid => self.ppmid.as_ref(),
            DeviceKind::Ihd => self.ihd.as_ref(),
            DeviceKind::Cad => None,
        }
    }

    /// This kit once the device in `slot` has become `profile`; `None` where no file describes that, or it is another kind
    /// of device. A gas proxy goes with its hub where there is a profile of the same firmware for it (ours).
    pub(crate) fn with(&self, catalogue: &Catalogue, slot: DeviceKind, profile: &ProfileId) -> Option<Self> {
        let new = catalogue.profile(profile).filter(|new| new.kind == slot)?;
        let mut kit = self.clone();
        let place = match (slot, &mut kit.gas) {
            (DeviceKind::Chf, _) => &mut kit.chf,
            (DeviceKind::Esme, _) => &mut kit.esme,
            (DeviceKind::Gpf, Some((gpf, _))) => gpf,
            (DeviceKind::Gsme, Some((_, gsme))) => gsme,
            (DeviceKind::Ppmid, _) => kit.ppmid.as_mut()?,
            _ => return None,
        };
        *place = Arc::clone(new);
        kit.changed.retain(|(changed, _)| *changed != slot);
        kit.changed.push((slot, profile.clone()));
        let proxy = self.profile(DeviceKind::Gpf).map(|gpf| ProfileId {
            model: gpf.id.model.clone(),
            firmware: profile.firmware.clone(),
        });
        let proxy = proxy.filter(|_| slot == DeviceKind::Chf);
        let with_proxy = proxy.and_then(|proxy| kit.with(catalogue, DeviceKind::Gpf, &proxy));
        Some(with_proxy.unwrap_or(kit))
    }
}

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

    fn sms(&mut self, now: SimInstant, trace_id: String, payload: &[u8]) {
        if !self.installation.powered() || self.installation.hub_is_restarting() || self.conditions.no_coverage {
            return;
        }
        if self.kit.chf.face.text_messages && text_message::is_text_message(payload) {
            self.answer_text(now, &trace_id, payload);
            return;
        }
        let hub = self.eui;
        let (installation, context) = self.parts(now);
        let operator = (
            installation.active_party(DeviceKind::Chf),
            installation.epoch(DeviceKind::Chf),
        );
        let staged = installation.staged(DeviceKind::Chf);
        let keys = [
            Some(operator).zip(installation.key(&context, DeviceKind::Chf, Purpose::WakeUp)),
            staged.zip(installation.staged_key(&context, DeviceKind::Chf, Purpose::WakeUp)),
        ];
        for ((party, epoch), key) in keys.into_iter().flatten() {
            let wake_ups = &mut self.side(party).wake_ups;
            if wake_ups.epoch != epoch {
                *wake_ups = WakeUps { epoch, last: 0 };
            }
            if let Some(counter) = wake_up::check(&key, hub, payload, wake_ups.last) {
                wake_ups.last = counter;
                if !self.is_last_text(now) {
                    return;
                }
                if self.always_on(party) && self.side(party).link.is_some() {
                    // Whoever wakes a hub that is connected does not see its connection: it is shown, or found to be dead.
                    self.show(now, party);
                }
                self.connect_after(now, party, self.kit.chf.wan.attach_delay_at(now), trace_id);
                return;
            }
            if wake_up::check(&key, hub, payload, 0).is_some() {
                // Networks deliver text messages twice and out of order: nothing to report.
                tracing::debug!(%hub, "old wake-up message");
                return;
            }
        }
        let (installation, context) = self.parts(now);
        installation.security_event(&context, DeviceKind::Chf, SecurityEvent::AuthenticationFailed);
    }

    /// Does what a text message asks for, and answers by another.
    fn answer_text(&mut self, now: SimInstant, trace_id: &str, payload: &[u8]) {
        let mut face = Face::new(self.parts(now));
        let answer = text_message::answer(payload, &mut face);
        let changed = face.changed;
        self.note(changed);
        let Some((association, answer)) = answer else { return };
        let staged = self.installation.staged(DeviceKind::Chf).map(|(party, _)| party);
        let party = staged.filter(|_| association.is_staged()).unwrap_or(self.operator);
        let sms = WanSms {
            hub: self.eui.0,
            head_end: self.head_end(party),
            payload: answer.into(),
        };
        self.put(Kind::WanSms, trace_id, sms.encode_to_vec());
    }

    /// Whether this text message is the one that wakes the hub: some need more than one in a row.
    fn is_last_text(&mut self, now: SimInstant) -> bool {
        let (last, count) = self.texts;
        let count = if now.since(last) > TEXTS_TOGETHER {
            1
        } else {
            count.saturating_add(1)
        };
        let enough = count >= self.kit.chf.wan.sms_per_wake;
        self.texts = (now, if enough { 0 } else { count });
        enough
    }

    /// Says with the last of its power that mains have failed, where its profile has it do so and it works out.
    pub(crate) fn last_gasp(&mut self, now: SimInstant) {
        let wan = &self.kit.chf.wan;
        let before = self.installation.mains_back_at();
        let spoiled = before.is_some_and(|at| now.since(at) < wan.last_gasp_spoiled_within);
        let drawn = mix(self.eui.0 ^ GASP_LABEL, now.0.unsigned_abs()) % 1000;
        if self.asleep() || !self.installation.powered() || spoiled || drawn >= u64::from(wan.last_gasp_permille) {
            return;
        }
        let party = self.operator;
        if self.side(party).link.is_none() {
            // There is no time to attach: the back-up supply is there to find an attached hub.
            let trace_id = self.own_trace();
            self.connect_after(now, party, SimDuration::ZERO, trace_id);
            self.open(now, party);
        }
        let alert = Notification::Alert {
            slot: DeviceKind::Chf,
            code: LAST_GASP,
            description: "mains failed: the last of the power".to_owned(),
            at: now,
        };
        self.tell(now, party, alert);
    }

    fn connect_after(&mut self, now: SimInstant, party: Party, delay: SimDuration, trace_id: String) {
        if self.conditions.no_coverage {
            return;
        }
        let attempts_left = self.kit.chf.wan.connect_attempts.max(1);
        let at = now + self.shared.clock.scaled_latency(delay);
        let side = self.side(party);
        if side.link.is_none() && side.connecting.is_none() {
            side.connecting = Some(Box::new(Connecting {
                at,
                attempts_left,
                trace_id,
            }));
        }
    }

    /// Opens the connection, says who it is, and tells what waits to be told.
    fn open(&mut self, now: SimInstant, party: Party) {
        let Some(connecting) = self.side(party).connecting.take() else {
            return;
        };
        if !self.installation.powered() {
            return;
        }
        if self.installation.hub_is_restarting() {
            // It will try when it is up again.
            let at = now + self.kit.chf.wan.connect_pause.max(SimDuration::from_secs(1));
            self.side(party).connecting = Some(Box::new(Connecting { at, ..*connecting }));
            return;
        }
        self.last_session += 1;
        let head_end = self.head_end(party);
        let number = self.last_session;
        let open = WanOpen {
            hub: self.eui.0,
            head_end: head_end.clone(),
            session: number,
        };
        self.put(Kind::WanOpen, &connecting.trace_id, open.encode_to_vec());
        let mut session = MeterSession::with(&self.kit.chf.face, party);
        let identification = session.open(&mut Face::new(self.parts(now)));
        let line = session.is_external().then(|| self.line(number)).flatten();
        let alone = session.is_external() && line.is_none();
        let side = self.side(party);
        side.link = Some(Box::new(Link {
            session,
            line,
            number,
            head_end,
            trace_id: connecting.trace_id,
            close_at: SimInstant(i64::MAX),
            down_at: None,
            attempts_left: connecting.attempts_left.saturating_sub(1),
            told: Vec::new(),
            heard: false,
        }));
        if alone {
            let face = &self.kit.chf.face.external;
            tracing::warn!(hub = %self.eui, face, "no program is attached that speaks for these devices");
            self.close(now, party, "nobody speaks for these devices");
            return;
        }
        let pending = std::mem::take(&mut side.pending);
        self.put_data(party, identification);
        self.touch(now, party);
        for notification in pending {
            self.tell(now, party, notification);
        }
    }

    /// A line to the program that provides the face of connection `number`, where one is attached.
    fn line(&self, number: u64) -> Option<Box<dyn Line>> {
        let inbox = self.inbox.clone();
        let back = move |message: Option<FromFace>| {
            inbox.push(Item::Face {
                session: number,
                message: message.map(Box::new),
            })
        };
        let faces = self.shared.faces.get()?;
        faces.open(&self.kit.chf.face.external, End::Device, Box::new(back))
    }

    /// Passes on to attached programs what they are to be told.
    fn tell_faces(&mut self) {
        for side in &mut self.sides {
            let Some(link) = &mut side.link else { continue };
            for message in link.session.take_told() {
                if link.line.as_ref().is_some_and(|line| !line.tell(message)) {
                    // Its last word, that it has gone, ends the connection.
                    link.line = None;
                }
            }
        }
    }

    /// Does what an attached program says on a connection.
    fn face_said(&mut self, now: SimInstant, number: u64, message: Option<Box<FromFace>>) {
        let Some((party, mut link)) = self.take_link(number) else {
            return;
        };
        let Some(message) = message else {
            self.side(party).link = Some(link);
            self.close(now, party, "the program that speaks for these devices has gone");
            return;
        };
        let mut face = Face::new(self.parts(now));
        let output = link.session.said(*message, &mut face);
        let changed = face.changed;
        self.note(changed);
        self.side(party).link = Some(link);
        self.put_data(party, output.octets);
        self.touch(now, party);
        if output.close {
            self.close(now, party, "closed by device");
        }
    }

    /// Says on the open connection who it is.
    fn show(&mut self, now: SimInstant, party: Party) {
        let Some(mut link) = self.side(party).link.take() else {
            return;
        };
        let octets = link.session.open(&mut Face::new(self.parts(now)));
        self.side(party).link = Some(link);
        self.put_data(party, octets);
    }

    fn head_end(&self, party: Party) -> String {
        if party == self.kit.party {
            self.kit.head_end.clone()
        } else {
            party.as_str().to_owned()
        }
    }

    /// The party on the connection with this number, and that connection, taken out of its side.
    fn take_link(&mut self, number: u64) -> Option<(Party, Box<Link>)> {
        PARTIES.into_iter().find_map(|party| {
            let link = self.side(party).link.take_if(|link| link.number == number)?;
            Some((party, link))
        })
    }

    fn data(&mut self, now: SimInstant, (number, head_end): (u64, String), trace_id: String, payload: &[u8]) {
        let Some((party, mut link)) = self.take_link(number) else {
            // A connection from before this fleet was started, or one given up: the head-end believes in it until told.
            let close = WanClose {
                hub: self.eui.0,
                head_end,
                session: number,
                reason: "unknown to the hub".into(),
            };
            self.put(Kind::WanClose, &trace_id, close.encode_to_vec());
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
        self.side(party).link = Some(link);
        self.put_data(party, output.octets);
        self.touch(now, party);
        if output.close {
            self.close(now, party, "closed by device");
        }
    }

    fn closed(&mut self, now: SimInstant, number: u64, reason: &str) {
        let Some((party, link)) = self.take_link(number) else {
            return;
        };
        tracing::debug!(hub = %self.eui, reason, "connection closed");
        let always_on = self.always_on(party);
        let failed = !link.heard && reason != proto::RELEASED;
        if failed {
            // Nobody was there: what was told on it is told again.
            let side = self.side(party);
            let later = std::mem::take(&mut side.pending);
            side.pending = link.told.into_iter().chain(later).collect();
        }
        if always_on || (failed && link.attempts_left > 0) {
            let wan = &self.kit.chf.wan;
            let spread = wan.storm_spread.as_millis();
            let spread = mix(self.eui.0 ^ STORM_LABEL, now.0.unsigned_abs())
                .checked_rem(spread)
                .unwrap_or(0);
            let pause = wan.connect_pause + SimDuration::from_millis(spread);
            let at = now + self.shared.clock.scaled_latency(pause);
            let attempts_left = if always_on { 1 } else { link.attempts_left };
            self.side(party).connecting = Some(Box::new(Connecting {
                at,
                attempts_left,
                trace_id: link.trace_id,
            }));
        }
    }

    fn close(&mut self, now: SimInstant, party: Party, reason: &str) {
        if let Some(link) = self.side(party).link.take() {
            let close = WanClose {
                hub: self.eui.0,
                head_end: link.head_end,
                session: link.number,
                reason: reason.to_owned(),
            };
            self.put(Kind::WanClose, &link.trace_id, close.encode_to_vec());
            if self.always_on(party) {
                self.connect_after(now, party, self.kit.chf.wan.connect_pause, link.trace_id);
            }
        }
    }

    fn touch(&mut self, now: SimInstant, party: Party) {
        let close_at = if self.always_on(party) {
            SimInstant(i64::MAX)
        } else {
            now + self.shared.clock.scaled_latency(self.kit.chf.wan.idle_close)
        };
        if let Some(link) = &mut self.side(party).link {
            link.close_at = close_at;
        }
    }

    /// Takes what the installation wants carried out: told at once on an open connection, else a connection is opened.
    fn drain_effects(&mut self, now: SimInstant) {
        while let Some(effect) = self.installation.pop_effect() {
            self.unsaved = true;
            let (party, notification) = match effect {
                Effect::Alert {
                    slot,
                    code,
                    description,
                    at,
                } => (
                    self.installation.active_party(slot),
                    Notification::Alert {
                        slot,
                        code,
                        description: description.into(),
                        at,
                    },
                ),
                Effect::LateResult { party, ticket, outcome } => (party, Notification::LateResult { ticket, outcome }),
            };
            self.tell_or_keep(now, party, notification);
        }
        if !self.installation.powered() {
            return;
        }
        let asleep = self.asleep();
        for party in PARTIES {
            let side = self.side(party);
            // A late result answers an order: whoever woke the hub to give it is owed that, also when nobody else is.
            let tells = |told: &Notification| !asleep || matches!(told, Notification::LateResult { .. });
            if side.pending.iter().any(tells) && side.connecting.is_none() {
                let trace_id = self.own_trace();
                self.connect_after(now, party, self.kit.chf.wan.attach_delay, trace_id);
            }
        }
    }

    /// Tells at once on an open connection, else keeps it until there is one.
    pub(crate) fn tell_or_keep(&mut self, now: SimInstant, party: Party, notification: Notification) {
        if self.side(party).link.is_some() {
            self.tell(now, party, notification);
            return;
        }
        let hub = self.eui;
        let pending = &mut self.side(party).pending;
        if pending.len() >= PENDING_MAX {
            tracing::debug!(%hub, "too much to tell: the oldest notification is dropped");
            pending.pop_front();
        }
        pending.push_back(notification);
    }

    fn tell(&mut self, now: SimInstant, party: Party, notification: Notification) {
        let Some(mut link) = self.side(party).link.take() else {
            return;
        };
        let octets = link.session.notify(&notification, &mut Face::new(self.parts(now)));
        self.note(false);
        if !link.heard && link.told.len() < PENDING_MAX {
            link.told.push(notification);
        }
        self.side(party).link = Some(link);
        self.put_data(party, octets);
        self.touch(now, party);
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

    fn put_data(&mut self, party: Party, octets: Vec<u8>) {
        let hub = self.eui.0;
        let Some(link) = &self.side(party).link else { return };
        let (head_end, session, trace_id) = (link.head_end.clone(), link.number, link.trace_id.clone());
        for piece in octets.chunks(PIECE) {
            let data = WanData {
                hub,
                head_end: head_end.clone(),
                session,
                payload: Bytes::copy_from_slice(piece),
            };
            self.put(Kind::WanData, &trace_id, data.encode_to_vec());
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

/// Associations whose counters rise with what a device says.
const CIPHERED: [Association; 4] = [
    Association::Critical,
    Association::Management,
    Association::StagedCritical,
    Association::StagedManagement,
];

/// What every call of an installation is given.
pub(crate) fn context<'a>(shared: &'a Shared, kit: &'a Kit, now: SimInstant) -> Context<'a> {
    let gas = kit.gas.as_ref();
    let profiles = Profiles {
        chf: &kit.chf.meter,
        esme: &kit.esme.meter,
        gpf: gas.map(|(gpf, _)| &gpf.meter),
        gsme: gas.map(|(_, gsme)| &gsme.meter),
        ppmid: kit.ppmid.as_ref().map(|ppmid| &ppmid.meter),
        ihd: kit.ihd.as_ref().map(|ihd| &ihd.meter),
    };
    Context {
        now,
        profiles,
        relations: &shared.relations,
        critical: &shared.critical,
    }
}
