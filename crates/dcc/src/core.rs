//! The state of the DCC and its decisions: inputs in, journal entries and effects out. No waiting, no links.
//!
//! Nothing an input causes leaves before [`Core::commit`] has made its entries durable.

mod alerts;
mod commands;
mod credentials;
mod deliveries;
mod distribution;
mod eligibility;
mod estate;
mod held;
mod lifecycle;
mod outcome;
mod passage;
mod quarantine;
mod replay;
mod requests;
mod runs;
mod snapshot;
mod vending;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use domain::{CredentialsChange, Eui64, RequestId, SimInstant, Srv};
use prost::Message;
use prost::bytes::Bytes;
use proto::{Envelope, Kind};
use steps::Failure;
use world::StoreError;

use crate::anomaly::Counts;
use crate::audit::{Event, Record};
use crate::images::Images;
use crate::journal::{Entry, ReleasedMessage};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::schedules::Schedules;
use crate::sequences::Sequences;
use crate::throttle::Throttle;
use crate::timers::{Timer, Timers};
pub use estate::Fitted;
pub(crate) use outcome::Concern;

/// Something to send once the journal is safe.
pub(crate) enum Effect {
    /// To the S1SP.
    ToS1sp {
        envelope: Envelope,
        kind: Kind,
        body: Vec<u8>,
    },
    /// To a user's link. `acknowledges`: [`Core::acknowledgement_left`] is told when it has left.
    ToUser {
        port: usize,
        envelope: Envelope,
        kind: Kind,
        body: Vec<u8>,
        acknowledges: Option<RequestId>,
    },
}

/// All state. Rebuilt from the journal at every start.
pub(crate) struct Core {
    options: Options,
    /// Which user each link belongs to.
    ports: Vec<Eui64>,
    /// Last counter used, by originator and target.
    counters: BTreeMap<(Eui64, Eui64), u64>,
    /// Last supplementary originator counter, by target device.
    countersigned: BTreeMap<Eui64, u64>,
    open: BTreeMap<RequestId, Open>,
    sequences: Sequences,
    schedules: Schedules,
    images: Images,
    throttle: Throttle,
    outboxes: BTreeMap<Eui64, Outbox>,
    /// Deliveries that wait for the acknowledgement of their request to leave.
    unacknowledged: BTreeMap<RequestId, (Eui64, u64)>,
    /// Alert counters taken, by device; the smallest are forgotten, and everything below them counts as taken.
    alerts: BTreeMap<Eui64, BTreeSet<u64>>,
    /// What anomaly detection has counted since the start.
    counts: Counts,
    /// Number of the last quarantine.
    quarantines: u64,
    /// What a snapshot must have, because the journal has changed it.
    touched: snapshot::Touched,
    /// Requests that ended and whose followers are still to go on.
    followed: VecDeque<(RequestId, bool)>,
    following: bool,
    timers: Timers,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
}

/// An acknowledged request, or a run of a schedule, without outcome.
#[derive(Debug)]
struct Open {
    srv: Srv,
    /// Who gets the outcome.
    user: Eui64,
    /// The schedule it is a run of.
    schedule: Option<u64>,
    /// When it was acknowledged.
    at: SimInstant,
    /// The request as it was signed: a restart hands it over again, also one on a snapshot.
    xml: Bytes,
    stage: Stage,
    acknowledged_left: Option<SimInstant>,
    attempts: u32,
    /// What its outcome changes here.
    concern: Option<Concern>,
    /// What it changes of the device's record of certificates when it works.
    credentials: Option<Box<CredentialsChange>>,
    /// When it is to be executed, where it was future dated when it came.
    dated: Option<SimInstant>,
    /// Whether another request may name it as the one before.
    in_sequence: bool,
    /// It waits until somebody decides about it.
    quarantine: Option<quarantine::Quarantine>,
}

/// How far an open request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The device, or the S1SP in its place, has it and is to execute it then: one more message about it is to come.
    Accepted(SimInstant),
    /// It waits here until then.
    Held(SimInstant),
    /// It is the S1SP's.
    Released(Released),
    /// It waits for the outcome of another one.
    Waiting(RequestId),
}

/// What is added to a request when it goes to the S1SP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Released {
    originator_counter: u64,
    at: SimInstant,
    kind: domain::DeviceKind,
    hub: Eui64,
}

impl Released {
    fn message(self, request: Bytes) -> ReleasedMessage {
        ReleasedMessage {
            request,
            originator_counter: self.originator_counter,
            at_ms: self.at.0,
            kind: self.kind.as_str().to_owned(),
            hub: self.hub.0,
        }
    }
}

impl Open {
    /// Whether it waits here, or at its device, for its time or its turn.
    fn waits(&self) -> bool {
        !matches!(self.stage, Stage::Released(_))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("options", &self.options)
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Makes all entries durable and gives the effects that may leave now.
    pub(crate) fn commit(&mut self, now: SimInstant) -> Result<Vec<Effect>, StoreError> {
        if !self.entries.is_empty() {
            self.commit_entries()?;
            self.shorten_journal(now)?;
        }
        Ok(std::mem::take(&mut self.effects))
    }

    fn commit_entries(&mut self) -> Result<(), StoreError> {
        for entry in self.entries.drain(..) {
            self.touched.note(&entry);
            self.options.store.append(&entry.encode_to_vec())?;
        }
        self.options.store.commit()
    }

    /// When [`Core::wake`] has something to do.
    pub(crate) fn next_wake(&self) -> Option<SimInstant> {
        self.timers.next()
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: SimInstant) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Deadline(id) => self.overdue(id, now),
                Timer::ImageDeadline(request) => self.images_overdue(request, now),
                Timer::ImageReport(request) => self.report_images(request, now),
                Timer::ImageSend(request) => self.send_images(request, now),
                Timer::Outbox(user) => self.deliver(user, now),
                Timer::Release(id) => self.release(id, now),
                Timer::Schedule(id) => self.run_schedule(id, now),
                Timer::SendAgain(id) => self.send_to_s1sp(id, now),
                Timer::Throttle => self.end_throttling(now),
            }
        }
    }

    /// The time of an open request is up.
    fn overdue(&mut self, id: RequestId, now: SimInstant) {
        match self.open.get(&id).map(|open| open.stage) {
            Some(Stage::Waiting(_)) => self.fail(id, Failure::SequenceTimeout, now),
            Some(Stage::Accepted(_)) => self.fail(id, Failure::FutureDatedTimeout, now),
            _ => self.fail(id, Failure::S1spTimeout, now),
        }
    }

    /// Puts an entry into the journal, and sends what it put into outboxes.
    fn write(&mut self, entry: Entry, now: SimInstant) {
        if entry.deliveries.is_empty() {
            return self.entries.push(entry);
        }
        let users: BTreeSet<Eui64> = entry.deliveries.iter().map(|message| Eui64(message.user)).collect();
        self.entries.push(entry);
        users.into_iter().for_each(|user| self.deliver(user, now));
    }

    fn record(&mut self, record: &Record, now: SimInstant) {
        self.write(Entry::at(now).noting(record), now);
    }

    /// A record about an open request.
    fn about(&self, event: Event, id: RequestId, now: SimInstant) -> Record {
        let open = self.open.get(&id);
        let record = Record::new(event, now).about(id, open.map(|open| open.srv));
        Record {
            user: open.map_or(record.user, |open| Some(open.user)),
            ..record
        }
    }
}
