//! The network as a pure machine: messages and `now` in, deliveries with their due instant out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bytes::Bytes;
use domain::{Eui64, Seed, SimDuration, SimInstant};
use proto::{Accepted, Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};

use crate::bearer::{Bearer, Draws};
use crate::{IN_FLIGHT_MAX, PIECE_MAX, SESSIONS_MAX, SMS_MAX, Traffic};

/// One end of the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    /// Index of a head-end.
    HeadEnd(usize),
    /// All hubs.
    Fleet,
}

/// A message to be delivered to one side.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    pub(crate) to: Side,
    pub(crate) kind: Kind,
    pub(crate) trace_id: String,
    /// Id of the message it answers, else zero.
    pub(crate) in_reply_to: u64,
    pub(crate) body: Bytes,
}

pub(crate) struct Network {
    bearer: Bearer,
    seed: Seed,
    head_ends: Vec<String>,
    /// Connections by hub and its session number.
    sessions: BTreeMap<(u64, u64), Session>,
    /// Draws of hubs seen so far.
    draws: BTreeMap<u64, Draws>,
    in_flight: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    pub(crate) traffic: Traffic,
}

struct Session {
    head_end: usize,
    up: Direction,
    down: Direction,
}

/// What keeps a direction of a connection in order and within its rate.
#[derive(Clone, Copy, Default)]
struct Direction {
    last_due: SimInstant,
    line_free_at: SimInstant,
}

#[derive(PartialEq, Eq)]
struct Due {
    at: SimInstant,
    sequence: u64,
    delivery: Delivery,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Bearer figures after the latency scale of the lab.
type Scale<'a> = &'a dyn Fn(SimDuration) -> SimDuration;

impl Network {
    pub(crate) fn new(bearer: Bearer, seed: Seed, head_ends: Vec<String>) -> Self {
        Self {
            bearer,
            seed,
            head_ends,
            sessions: BTreeMap::new(),
            draws: BTreeMap::new(),
            in_flight: BinaryHeap::new(),
            sequence: 0,
            traffic: Traffic::default(),
        }
    }

    /// False while more is under way than the limit: nothing further should be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn next_due(&self) -> Option<SimInstant> {
        self.in_flight.peek().map(|Reverse(due)| due.at)
    }

    pub(crate) fn pop_due(&mut self, now: SimInstant) -> Option<Delivery> {
        if self.next_due()? > now {
            return None;
        }
        self.in_flight.pop().map(|Reverse(due)| due.delivery)
    }

    /// Takes one message from a side. What is no message of the WAN is dropped and counted.
    pub(crate) fn take(&mut self, now: SimInstant, from: Side, envelope: &Envelope, scale: Scale<'_>) {
        let body = envelope.body.clone();
        let trace = &envelope.trace_id;
        let understood = match envelope.kind() {
            Kind::WanSms => WanSms::decode(body)
                .map(|sms| self.sms(now, from, envelope, &sms, scale))
                .is_ok(),
            Kind::WanOpen => WanOpen::decode(body)
                .map(|open| self.open(now, from, trace, &open, scale))
                .is_ok(),
            Kind::WanData => WanData::decode(body)
                .map(|data| self.data(now, from, trace, &data, scale))
                .is_ok(),
            Kind::WanClose => WanClose::decode(body)
                .map(|close| self.close(now, from, trace, &close, scale))
                .is_ok(),
            _ => false,
        };
        if !understood {
            self.traffic.refused += 1;
            tracing::warn!(from = %envelope.from, kind = envelope.kind, "no message of the WAN");
        }
    }

    fn sms(&mut self, now: SimInstant, from: Side, envelope: &Envelope, sms: &WanSms, scale: Scale<'_>) {
        let trace = &envelope.trace_id;
        let (to, head_end) = match from {
            Side::HeadEnd(index) => (Side::Fleet, self.head_end_name(index)),
            Side::Fleet => match self.head_end(&sms.head_end) {
                Some(index) => (Side::HeadEnd(index), sms.head_end.clone()),
                None => return self.refuse(sms.hub, "text message to an unknown head-end"),
            },
        };
        if sms.payload.len() > SMS_MAX {
            return self.refuse(sms.hub, "text message too long");
        }
        self.traffic.sms += 1;
        if from != Side::Fleet {
            // The network has the message; whether the hub will is another matter.
            let body = Accepted {
                request_id: trace.clone(),
            }
            .encode_to_vec()
            .into();
            let (kind, trace_id, in_reply_to) = (Kind::Accepted, trace.clone(), envelope.id);
            self.schedule(
                now,
                Delivery {
                    to: from,
                    kind,
                    trace_id,
                    in_reply_to,
                    body,
                },
            );
        }
        let bearer = self.bearer.clone();
        let draws = self.draws(sms.hub);
        let (lost, twice) = (
            draws.chance(bearer.sms_loss_ppm),
            draws.chance(bearer.sms_duplication_ppm),
        );
        let delays = [draws.spread(bearer.sms_delay), draws.spread(bearer.sms_delay)];
        if lost {
            self.traffic.sms_lost += 1;
            return;
        }
        let body = Bytes::from(
            WanSms {
                head_end,
                ..sms.clone()
            }
            .encode_to_vec(),
        );
        for delay in delays.into_iter().take(if twice { 2 } else { 1 }) {
            let delivery = Delivery {
                to,
                kind: Kind::WanSms,
                trace_id: trace.to_owned(),
                in_reply_to: 0,
                body: body.clone(),
            };
            self.schedule(now + scale(delay), delivery);
        }
    }

    fn open(&mut self, now: SimInstant, from: Side, trace: &str, open: &WanOpen, scale: Scale<'_>) {
        if from != Side::Fleet {
            return self.refuse(open.hub, "only hubs open connections on this bearer");
        }
        let key = (open.hub, open.session);
        let problem = match self.head_end(&open.head_end) {
            None => "no such head-end",
            Some(_) if self.sessions.contains_key(&key) => "session number in use",
            Some(_) if self.sessions.len() >= SESSIONS_MAX => "refused by WAN: too many connections",
            Some(head_end) => {
                let direction = Direction {
                    last_due: now,
                    line_free_at: now,
                };
                self.sessions.insert(
                    key,
                    Session {
                        head_end,
                        up: direction,
                        down: direction,
                    },
                );
                self.traffic.sessions += 1;
                let attach = self.bearer.attach;
                let latency = self.bearer.latency;
                let draws = self.draws(open.hub);
                let delay = draws.spread(attach) + draws.spread(latency);
                let body = open.encode_to_vec();
                return self.along(now + scale(delay), Side::Fleet, key, Kind::WanOpen, trace, body);
            }
        };
        self.answer_close(now, from, trace, key, &open.head_end, problem);
    }

    fn data(&mut self, now: SimInstant, from: Side, trace: &str, data: &WanData, scale: Scale<'_>) {
        let key = (data.hub, data.session);
        if !self.belongs(key, from) {
            return self.answer_close(now, from, trace, key, &data.head_end, "no such connection");
        }
        if data.payload.len() > PIECE_MAX {
            return self.reset(now, trace, key, "too much at once");
        }
        match from {
            Side::Fleet => self.traffic.octets_up += data.payload.len() as u64,
            Side::HeadEnd(_) => self.traffic.octets_down += data.payload.len() as u64,
        }
        let (latency, loss_ppm, repeats_max) = (self.bearer.latency, self.bearer.loss_ppm, self.bearer.repeats_max);
        let mut wait = self.bearer.repeat_after;
        let draws = self.draws(data.hub);
        let mut delay = draws.spread(latency);
        let mut repeats = 0;
        while draws.chance(loss_ppm) {
            if repeats == repeats_max {
                // What had already been lost when the sender gave up: the other side hears the same.
                return self.reset(now, trace, key, "bearer lost");
            }
            delay = delay + wait;
            wait = SimDuration(wait.0.saturating_mul(2));
            repeats += 1;
        }
        let sent_at = self.send_at(now, from, key, data.payload.len(), scale);
        self.along(
            sent_at + scale(delay),
            from,
            key,
            Kind::WanData,
            trace,
            data.encode_to_vec(),
        );
    }

    fn close(&mut self, now: SimInstant, from: Side, trace: &str, close: &WanClose, scale: Scale<'_>) {
        let key = (close.hub, close.session);
        // Both sides may close at the same time: the second has nothing left to close.
        if self.belongs(key, from) {
            let latency = self.bearer.latency;
            let delay = self.draws(close.hub).spread(latency);
            self.along(
                now + scale(delay),
                from,
                key,
                Kind::WanClose,
                trace,
                close.encode_to_vec(),
            );
            self.sessions.remove(&key);
        }
    }

    /// Ends a connection that the bearer gave up: both sides hear of it, after what is already under way.
    fn reset(&mut self, now: SimInstant, trace: &str, key: (u64, u64), reason: &str) {
        let Some(session) = self.sessions.get(&key) else { return };
        self.traffic.resets += 1;
        let head_end = self.head_end_name(session.head_end);
        let body = WanClose {
            hub: key.0,
            head_end,
            session: key.1,
            reason: reason.to_owned(),
        }
        .encode_to_vec();
        let side = Side::HeadEnd(session.head_end);
        self.along(now, Side::Fleet, key, Kind::WanClose, trace, body.clone());
        self.along(now, side, key, Kind::WanClose, trace, body);
        self.sessions.remove(&key);
    }

    /// Schedules a message along a connection, never before what went the same way earlier.
    fn along(&mut self, at: SimInstant, from: Side, key: (u64, u64), kind: Kind, trace: &str, body: Vec<u8>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let (direction, to) = match from {
            Side::Fleet => (&mut session.up, Side::HeadEnd(session.head_end)),
            Side::HeadEnd(_) => (&mut session.down, Side::Fleet),
        };
        let at = at.max(direction.last_due);
        direction.last_due = at;
        self.schedule(
            at,
            Delivery {
                to,
                kind,
                trace_id: trace.to_owned(),
                in_reply_to: 0,
                body: body.into(),
            },
        );
    }

    /// When the last octet has left, with the rate of the bearer.
    fn send_at(&mut self, now: SimInstant, from: Side, key: (u64, u64), octets: usize, scale: Scale<'_>) -> SimInstant {
        let (Some(rate), Some(session)) = (self.bearer.rate.filter(|rate| *rate > 0), self.sessions.get_mut(&key))
        else {
            return now;
        };
        let direction = match from {
            Side::Fleet => &mut session.up,
            Side::HeadEnd(_) => &mut session.down,
        };
        let takes = SimDuration::from_millis(octets as u64 * 1000 / u64::from(rate));
        direction.line_free_at = direction.line_free_at.max(now) + scale(takes);
        direction.line_free_at
    }

    fn answer_close(&mut self, now: SimInstant, to: Side, trace: &str, key: (u64, u64), head_end: &str, reason: &str) {
        let close = WanClose {
            hub: key.0,
            head_end: head_end.to_owned(),
            session: key.1,
            reason: reason.to_owned(),
        };
        let body = Bytes::from(close.encode_to_vec());
        self.schedule(
            now,
            Delivery {
                to,
                kind: Kind::WanClose,
                trace_id: trace.to_owned(),
                in_reply_to: 0,
                body,
            },
        );
    }

    fn schedule(&mut self, at: SimInstant, delivery: Delivery) {
        self.sequence += 1;
        self.in_flight.push(Reverse(Due {
            at,
            sequence: self.sequence,
            delivery,
        }));
    }

    /// Whether the connection exists and this side is one of its two.
    fn belongs(&self, key: (u64, u64), side: Side) -> bool {
        self.sessions
            .get(&key)
            .is_some_and(|session| side == Side::Fleet || side == Side::HeadEnd(session.head_end))
    }

    fn refuse(&mut self, hub: u64, problem: &str) {
        self.traffic.refused += 1;
        tracing::warn!(hub = %Eui64(hub), problem, "refused by the WAN");
    }

    fn draws(&mut self, hub: u64) -> &mut Draws {
        let seed = self.seed;
        self.draws.entry(hub).or_insert_with(|| Draws::new(&seed, hub))
    }

    fn head_end(&self, name: &str) -> Option<usize> {
        self.head_ends.iter().position(|head_end| head_end == name)
    }

    fn head_end_name(&self, index: usize) -> String {
        self.head_ends.get(index).cloned().unwrap_or_default()
    }
}
