//! The state as entries that rebuild it: what a restart reads in place of everything before.

use std::collections::BTreeSet;

use domain::{Eui64, RequestId, SimInstant};
use prost::Message;
use world::{MemoryStore, StoreError};

use super::deliveries::delivery_message;
use super::{Core, Open, Stage};
use crate::journal::{
    AcceptedMessage, Acknowledged, Count, CredentialsMessage, DEAD, DeviceMessage, Entry, HeldBack, ImagesMessage,
    JobEnded, KnownMessage, QuarantineMessage, ScheduleMessage, SequenceEnded, Settled, Standing, TakenAlerts,
    id_octets,
};

/// What the journal has made different from the files the DCC was started with.
#[derive(Debug, Default)]
pub(super) struct Touched {
    devices: BTreeSet<Eui64>,
    credentials: BTreeSet<Eui64>,
}

impl Touched {
    pub(super) fn note(&mut self, entry: &Entry) {
        let devices = entry.devices.iter().map(|message| message.id);
        let devices = devices.chain(entry.devices_removed.iter().copied());
        self.devices.extend(devices.map(Eui64));
        self.credentials
            .extend(entry.credentials.iter().map(|message| Eui64(message.device)));
    }
}

/// Counters, devices and the like that share an entry: a few hundred octets each at most.
const CHUNK: usize = 1000;

impl Core {
    /// Puts a snapshot into the journal where that has grown enough since the last one. Nothing is pending then.
    pub(super) fn shorten_journal(&mut self, now: SimInstant) -> Result<(), StoreError> {
        if self.options.store.since_snapshot() < self.options.limits.snapshot_after_octets {
            return Ok(());
        }
        let mut store = std::mem::replace(&mut self.options.store, Box::new(MemoryStore::default()));
        let mut entries = self.snapshot(now).map(|entry| entry.encode_to_vec());
        let taken = store.snapshot(&mut entries);
        drop(entries);
        self.options.store = store;
        taken
    }

    fn snapshot(&self, now: SimInstant) -> impl Iterator<Item = Entry> {
        let at = move || Entry::at(now);
        self.standing(now)
            .chain(self.inventory_entries(now))
            .chain(self.open_entries())
            .chain(self.waiting_entries())
            .chain(self.outbox_entries(now))
            .chain(
                chunks(self.schedules.iter().map(ScheduleMessage::of))
                    .map(move |schedules| Entry { schedules, ..at() }),
            )
            .chain(self.image_entries(now))
            .chain(chunks(self.throttle.all_held_back()).map(move |held| {
                let held = held.into_iter().map(|(kind, count, until, xml)| HeldBack {
                    user: kind.user.0,
                    device: kind.device.0,
                    code: kind.code.clone(),
                    until_ms: until.0,
                    count,
                    xml: xml.clone(),
                });
                Entry {
                    held_back: held.collect(),
                    ..at()
                }
            }))
    }

    /// Counters, and numbers that must not be used again.
    fn standing(&self, now: SimInstant) -> impl Iterator<Item = Entry> {
        let count = |(key, value): (&Eui64, u64)| Count { key: key.0, value };
        let numbers = Standing {
            last_deliveries: self
                .outboxes
                .iter()
                .map(|(user, outbox)| count((user, outbox.last_id())))
                .collect(),
            last_schedule: self.schedules.next_id() - 1,
            last_quarantine: self.quarantines,
            throttled: self
                .throttle
                .sequences()
                .map(|(user, last)| count((user, u64::from(last))))
                .collect(),
            ..Standing::default()
        };
        let counters = self.counters.iter().map(|((originator, target), counter)| {
            id_octets(RequestId {
                originator: *originator,
                target: *target,
                counter: *counter,
            })
        });
        let counters = chunks(counters).map(|counters| Standing {
            counters,
            ..Standing::default()
        });
        let countersigned = self
            .countersigned
            .iter()
            .map(move |(device, last)| count((device, *last)));
        let countersigned = chunks(countersigned).map(|countersigned| Standing {
            countersigned,
            ..Standing::default()
        });
        let alerts = self.alerts.iter().map(|(device, taken)| TakenAlerts {
            device: device.0,
            counters: taken.iter().copied().collect(),
        });
        let alerts = chunks(alerts).map(|alerts| Standing {
            alerts,
            ..Standing::default()
        });
        let parts = std::iter::once(numbers)
            .chain(counters)
            .chain(countersigned)
            .chain(alerts);
        let ended = self.sequences.outcomes().map(|(id, succeeded)| SequenceEnded {
            request: id_octets(id),
            succeeded,
        });
        let ended = chunks(ended).map(move |sequence_ended| Entry {
            sequence_ended,
            ..Entry::at(now)
        });
        let parts = parts.map(move |standing| Entry {
            standing: Some(standing),
            ..Entry::at(now)
        });
        parts.chain(ended)
    }

    /// Devices and records of certificates as they are now, where they are not as the files say.
    fn inventory_entries(&self, now: SimInstant) -> impl Iterator<Item = Entry> {
        let inventory = &self.options.inventory;
        let devices = chunks(self.touched.devices.iter().copied()).map(move |ids| Entry {
            devices: ids
                .iter()
                .filter_map(|id| inventory.device(*id))
                .map(DeviceMessage::of)
                .collect(),
            devices_removed: ids
                .iter()
                .filter(|id| inventory.device(**id).is_none())
                .map(|id| id.0)
                .collect(),
            ..Entry::at(now)
        });
        let records = self.touched.credentials.iter().filter_map(move |device| {
            let record = self.options.credentials.of(*device)?;
            Some(Entry {
                credentials: Some(CredentialsMessage::of(*device, record)),
                ..Entry::at(now)
            })
        });
        devices.chain(records)
    }

    /// Requests without outcome that wait for no other.
    fn open_entries(&self) -> impl Iterator<Item = Entry> {
        let open = self.open.iter();
        open.filter(|(_, open)| !matches!(open.stage, Stage::Waiting(_)))
            .flat_map(|(id, open)| of_request(*id, open))
    }

    /// Requests that wait for another: in the order they came, which is the order they go.
    fn waiting_entries(&self) -> impl Iterator<Item = Entry> {
        let waiting = self.sequences.waiting();
        waiting.flat_map(|id| {
            self.open
                .get(&id)
                .map(|open| of_request(id, open))
                .into_iter()
                .flatten()
        })
    }

    fn outbox_entries(&self, now: SimInstant) -> impl Iterator<Item = Entry> {
        self.outboxes.iter().flat_map(move |(user, outbox)| {
            let dead = outbox.dead_letters().map(move |letter| Entry {
                deliveries: vec![delivery_message(*user, &letter.delivery())],
                settled: Some(Settled {
                    user: user.0,
                    id: letter.delivery_id,
                    how: DEAD,
                    status: letter.status,
                    attempts: letter.attempts,
                }),
                ..Entry::at(now)
            });
            let waiting = outbox.deliveries().map(move |delivery| Entry {
                deliveries: vec![delivery_message(*user, delivery)],
                ..Entry::at(now)
            });
            dead.chain(waiting)
        })
    }

    fn image_entries(&self, now: SimInstant) -> impl Iterator<Item = Entry> {
        let known = self.images.known().iter().map(KnownMessage::of);
        let known = chunks(known).map(move |images_known| Entry {
            images_known,
            ..Entry::at(now)
        });
        let under_way = self.images.by_request.values().map(move |distribution| {
            let request = id_octets(distribution.request);
            let failed = distribution.failed.iter().flat_map(|(why, devices)| {
                devices.iter().map(|device| JobEnded {
                    request: request.clone(),
                    device: device.0,
                    trigger: why.to_string(),
                })
            });
            Entry {
                jobs_ended: failed.collect(),
                images: Some(ImagesMessage::of(distribution)),
                ..Entry::at(now)
            }
        });
        known.chain(under_way)
    }
}

/// The entries that bring an open request back.
fn of_request(id: RequestId, open: &Open) -> impl Iterator<Item = Entry> + use<> {
    let octets = id_octets(id);
    let mut entry = Entry {
        acknowledged: Some(Acknowledged {
            request: octets.clone(),
            srv: open.srv.to_string(),
            xml: open.xml.clone(),
            held_until_ms: open.dated.map(|at| at.0),
            preceding: None,
            schedule: open.schedule,
            user: Some(open.user.0).filter(|user| *user != id.originator.0),
        }),
        ..Entry::at(open.at)
    };
    match open.stage {
        Stage::Accepted(at) => {
            entry.accepted = Some(AcceptedMessage {
                request: octets.clone(),
                at_ms: at.0,
            });
        }
        Stage::Held(_) => {}
        Stage::Released(released) => entry.released = Some(released.message(octets.clone())),
        Stage::Waiting(preceding) => {
            if let Some(acknowledged) = &mut entry.acknowledged {
                acknowledged.preceding = Some(id_octets(preceding));
            }
        }
    }
    let quarantine = open.quarantine.as_ref().map(|quarantine| Entry {
        quarantine: Some(QuarantineMessage {
            request: octets,
            reference: quarantine.reference,
            detail: quarantine.detail.clone(),
            ended: false,
        }),
        ..Entry::at(quarantine.since)
    });
    std::iter::once(entry).chain(quarantine)
}

fn chunks<T>(mut items: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let chunk: Vec<T> = items.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}
