//! The state of the DCC and its decisions: inputs in, journal entries and effects out. No waiting, no links.
//!
//! Nothing an input causes leaves before [`Core::commit`] has made its entries durable.

mod alerts;
mod commands;
mod credentials;
mod deliveries;
mod notices;
mod passage;
mod quarantine;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::{CredentialsChange, Eui64, RequestId, SimInstant, Srv};
use prost::Message;
use prost::bytes::Bytes;
use proto::{Envelope, Kind};
use steps::Failure;
use world::StoreError;

use crate::anomaly::Counts;
use crate::audit::{Event, Record};
use crate::journal::{self, CredentialsMessage, DeviceMessage, Entry};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::timers::{Timer, Timers};
use deliveries::delivery_of;

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
    outboxes: BTreeMap<Eui64, Outbox>,
    /// Deliveries that wait for the acknowledgement of their request to leave.
    held: BTreeMap<RequestId, (Eui64, u64)>,
    /// Alert counters taken, by device; the smallest are forgotten, and everything below them counts as taken.
    alerts: BTreeMap<Eui64, BTreeSet<u64>>,
    /// What anomaly detection has counted since the start.
    counts: Counts,
    /// Number of the last quarantine.
    quarantines: u64,
    timers: Timers,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
}

/// An acknowledged request without outcome.
#[derive(Debug)]
struct Open {
    srv: Srv,
    /// Octets the countersignature covers; empty once the S1SP has them and this DCC has not restarted.
    countersigned: Bytes,
    acknowledged_left: Option<SimInstant>,
    attempts: u32,
    /// What it changes of the device's record when it works.
    change: Option<CredentialsChange>,
    /// It waits until somebody decides about it.
    quarantine: Option<quarantine::Quarantine>,
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
    /// Reads the journal.
    pub(crate) fn new(options: Options, ports: Vec<Eui64>, now: SimInstant) -> Result<Self, StoreError> {
        let mut core = Self {
            options,
            ports,
            counters: BTreeMap::new(),
            countersigned: BTreeMap::new(),
            open: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            held: BTreeMap::new(),
            alerts: BTreeMap::new(),
            counts: Counts::default(),
            quarantines: 0,
            timers: Timers::default(),
            entries: Vec::new(),
            effects: Vec::new(),
        };
        let mut entries = Vec::new();
        core.options
            .store
            .replay(&mut |octets| entries.extend(Entry::read(octets)))?;
        for entry in entries {
            core.replay(entry, now);
        }
        Ok(core)
    }

    fn replay(&mut self, entry: Entry, now: SimInstant) {
        if let Some(id) = entry.counter_used.as_deref().and_then(journal::read_id) {
            self.counters.insert((id.originator, id.target), id.counter);
        }
        if let Some(user) = entry.counters_reset {
            self.counters.retain(|(originator, _), _| originator.0 != user);
        }
        if let Some(acknowledged) = entry.acknowledged {
            let (id, srv) = (journal::read_id(&acknowledged.request), acknowledged.srv.parse());
            if let (Some(id), Ok(srv)) = (id, srv) {
                self.countersigned.insert(id.target, acknowledged.originator_counter);
                let countersigned = acknowledged.countersigned;
                let change = Self::asked_change(&countersigned, srv, SimInstant(entry.at_ms));
                self.open.insert(
                    id,
                    Open {
                        srv,
                        countersigned,
                        acknowledged_left: None,
                        attempts: 0,
                        change,
                        quarantine: None,
                    },
                );
            }
        }
        for id in entry.ended.iter().filter_map(|octets| journal::read_id(octets)) {
            self.open.remove(&id);
        }
        // Whether an acknowledgement had left before the end is not known; the gap starts anew, for certain.
        let not_before = now + self.options.limits.delivery_gap;
        for message in entry.deliveries {
            let outbox = self.outboxes.entry(Eui64(message.user)).or_default();
            outbox.put(delivery_of(message), Some(not_before));
        }
        if let Some(settled) = entry.settled {
            self.settle(&settled, not_before);
        }
        for device in entry.devices.into_iter().filter_map(DeviceMessage::read) {
            self.options.inventory.put(device);
        }
        for device in entry.devices_removed {
            self.options.inventory.remove(Eui64(device));
        }
        if let Some(quarantine) = entry.quarantine {
            self.take_quarantine(quarantine, SimInstant(entry.at_ms));
        }
        if let Some((device, record)) = entry.credentials.map(CredentialsMessage::read) {
            self.options.credentials.set(device, record);
        }
        if let Some(alert) = entry.alert {
            self.remember_alert(Eui64(alert.device), alert.counter);
        }
    }

    /// Takes up again what the journal left open.
    pub(crate) fn start(&mut self, now: SimInstant) {
        let open: Vec<_> = self.open.iter().map(|(id, open)| (*id, open.srv)).collect();
        for (id, srv) in open {
            self.record(Record::new(Event::Resumed, now).about(id, Some(srv)), now);
            // The limit starts anew: a DCC that was down for long must not end what the S1SP may have finished.
            if self.open.get(&id).is_some_and(|open| open.quarantine.is_none()) {
                self.timers
                    .set(Timer::Deadline(id), now + self.options.limits.outcome_limit);
            }
            self.acknowledgement_left(id, now);
        }
        let users: Vec<_> = self.outboxes.keys().copied().collect();
        users.into_iter().for_each(|user| self.deliver(user, now));
    }

    /// Makes all entries durable and gives the effects that may leave now.
    pub(crate) fn commit(&mut self) -> Result<Vec<Effect>, StoreError> {
        if !self.entries.is_empty() {
            for entry in self.entries.drain(..) {
                self.options.store.append(&entry.encode_to_vec())?;
            }
            self.options.store.commit()?;
        }
        Ok(std::mem::take(&mut self.effects))
    }

    /// When [`Core::wake`] has something to do.
    pub(crate) fn next_wake(&self) -> Option<SimInstant> {
        self.timers.next()
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: SimInstant) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Deadline(id) => self.fail(id, Failure::S1spTimeout, now),
                Timer::Outbox(user) => self.deliver(user, now),
                Timer::SendAgain(id) => self.send_to_s1sp(id, now),
            }
        }
    }

    pub(super) fn record(&mut self, record: Record, now: SimInstant) {
        self.entries.push(Entry {
            audits: vec![record.to_message()],
            ..Entry::at(now)
        });
    }
}
