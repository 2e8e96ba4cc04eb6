//! A hub on the wide area network: text messages that wake it, its connections, and what it tells on them.

use bytes::Bytes;
use dialects::external::{End, FromFace, Line};
use dialects::{MeterSession, Notification, SessionOutput, text_message, wake_up};
use domain::keys::{Party, Purpose};
use domain::seed::mix;
use domain::{DeviceKind, SecurityEvent, SimDuration, SimInstant};
use meter::Effect;
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};

use super::{Connecting, Hub, Item, Link, Output, PARTIES, PENDING_MAX, WakeUps};
use crate::face::Face;

/// Text messages further apart than this do not wake a hub together.
const TEXTS_TOGETHER: SimDuration = SimDuration::from_mins(10);

/// Alert code of a last gasp: ours, no list of a manufacturer's own codes was found.
const LAST_GASP: u16 = 0x81F9;

const GASP_LABEL: u64 = 0x4741_5350;

const STORM_LABEL: u64 = 0x5354_4f52;

/// Octets of a connection in one message.
const PIECE: usize = 16 * 1024;

impl Hub {
    pub(super) fn sms(&mut self, now: SimInstant, trace_id: String, payload: &[u8]) {
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
    pub(super) fn answer_text(&mut self, now: SimInstant, trace_id: &str, payload: &[u8]) {
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
    pub(super) fn is_last_text(&mut self, now: SimInstant) -> bool {
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

    pub(super) fn connect_after(&mut self, now: SimInstant, party: Party, delay: SimDuration, trace_id: String) {
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
    pub(super) fn open(&mut self, now: SimInstant, party: Party) {
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
    pub(super) fn line(&self, number: u64) -> Option<Box<dyn Line>> {
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
    pub(super) fn tell_faces(&mut self) {
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
    pub(super) fn face_said(&mut self, now: SimInstant, number: u64, message: Option<Box<FromFace>>) {
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
        self.answer(now, party, link, (changed, output));
    }

    /// Sends on a connection what the devices answer there, and whether they changed.
    fn answer(&mut self, now: SimInstant, party: Party, link: Box<Link>, (changed, output): (bool, SessionOutput)) {
        self.note(changed);
        self.side(party).link = Some(link);
        self.put_data(party, output.octets);
        self.touch(now, party);
        if output.close {
            self.close(now, party, "closed by device");
        }
    }

    /// Says on the open connection who it is.
    pub(super) fn show(&mut self, now: SimInstant, party: Party) {
        let Some(mut link) = self.side(party).link.take() else {
            return;
        };
        let octets = link.session.open(&mut Face::new(self.parts(now)));
        self.side(party).link = Some(link);
        self.put_data(party, octets);
    }

    pub(super) fn head_end(&self, party: Party) -> String {
        if party == self.kit.party {
            self.kit.head_end.clone()
        } else {
            party.as_str().to_owned()
        }
    }

    /// The party on the connection with this number, and that connection, taken out of its side.
    pub(super) fn take_link(&mut self, number: u64) -> Option<(Party, Box<Link>)> {
        PARTIES.into_iter().find_map(|party| {
            let link = self.side(party).link.take_if(|link| link.number == number)?;
            Some((party, link))
        })
    }

    pub(super) fn data(
        &mut self,
        now: SimInstant,
        (number, head_end): (u64, String),
        trace_id: String,
        payload: &[u8],
    ) {
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
        self.answer(now, party, link, (changed, output));
    }

    pub(super) fn closed(&mut self, now: SimInstant, number: u64, reason: &str) {
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

    pub(super) fn close(&mut self, now: SimInstant, party: Party, reason: &str) {
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

    pub(super) fn touch(&mut self, now: SimInstant, party: Party) {
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
    pub(super) fn drain_effects(&mut self, now: SimInstant) {
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

    pub(super) fn tell(&mut self, now: SimInstant, party: Party, notification: Notification) {
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

    pub(super) fn put_data(&mut self, party: Party, octets: Vec<u8>) {
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

    pub(super) fn put(&mut self, kind: Kind, trace_id: &str, body: Vec<u8>) {
        self.output.push(Output {
            kind,
            trace_id: trace_id.to_owned(),
            body,
        });
    }

    pub(super) async fn flush(&mut self) {
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
