//! What handles ask for.

use std::collections::BTreeMap;

use domain::{Eui64, SimInstant};
use world::StoreError;

use super::Core;
use super::deliveries::delivery_of;
use crate::audit::{self, Event, Record};
use crate::journal::{self, Entry, Settled};
use crate::outbox::Outbox;
use crate::service::{Command, Fetched, InHand, Trail};

impl Core {
    /// A handle's question. An answer nobody waits for any more is dropped.
    pub(crate) fn command(&mut self, command: Command, now: SimInstant) {
        match command {
            Command::Audit(trail, answer) => drop(answer.send(self.trail(&trail))),
            Command::DeadLetters(answer) => {
                let letters = self.outboxes.values().flat_map(Outbox::dead_letters).cloned();
                drop(answer.send(letters.collect()));
            }
            Command::DeliverSince(user, since, answer) => drop(answer.send(self.deliver_since(user, since, now))),
            Command::Fetch(user, max, answer) => {
                let outbox = self.outboxes.get(&user);
                let waiting = outbox.map(|outbox| outbox.fetchable(now, max)).unwrap_or_default();
                let fetched = waiting.into_iter().map(|one| Fetched {
                    delivery_id: one.id,
                    request: one.request,
                    xml: one.xml,
                });
                drop(answer.send(fetched.collect()));
            }
            Command::Fetched(user, ids, answer) => {
                let taken = ids.iter().filter(|id| self.fetched(user, **id, now)).count();
                self.deliver(user, now);
                let _ = answer.send(taken);
            }
            Command::DeliverAgain(user, id, answer) => drop(answer.send(self.deliver_again(user, id, now))),
            Command::EndQuarantine(reference, release, answer) => {
                let _ = answer.send(self.end_quarantine(reference, release, now));
            }
            Command::Fit(fitted, answer) => {
                self.fit(*fitted, now);
                let _ = answer.send(());
            }
            Command::Images(answer) => drop(answer.send(self.images.known().to_vec())),
            Command::TakeAway(devices, answer) => {
                self.take_away(&devices, now);
                let _ = answer.send(());
            }
            Command::Quarantine(answer) => drop(answer.send(self.quarantined())),
            Command::InHand(answer) => drop(answer.send(InHand {
                open_requests: self.open.len(),
                held_requests: self.open.values().filter(|open| open.waits()).count(),
                schedules: self.schedules.len(),
                images: self.images.len(),
                deliveries: self.outboxes.values().map(Outbox::len).sum(),
                dead_letters: self.outboxes.values().map(|outbox| outbox.dead_letters().count()).sum(),
            })),
            Command::Vend(vend, answer) => drop(answer.send(self.vend(&vend, now))),
            Command::LookUp(by, answer) => {
                let found = self.options.inventory.look_up(&by, self.options.directory.properties());
                drop(answer.send(found.into_iter().cloned().collect()));
            }
            Command::ResetCounters(user, answer) => {
                self.counters.retain(|(originator, _), _| *originator != user);
                let record = Record {
                    user: Some(user),
                    ..Record::new(Event::CountersReset, now)
                };
                let counters_reset = Some(user.0);
                self.entries.push(Entry {
                    audits: vec![record.to_message()],
                    counters_reset,
                    ..Entry::at(now)
                });
                let _ = answer.send(());
            }
            Command::SetProducts(products, answer) => {
                self.set_products(*products, now);
                let _ = answer.send(());
            }
            Command::SetStatus(device, status, answer) => {
                let mut entry = Entry::at(now);
                let set = self.change_status(&mut entry, device, status, None, now);
                if set.is_ok() {
                    self.write(entry, now);
                }
                drop(answer.send(set));
            }
        }
    }

    fn trail(&mut self, trail: &Trail) -> Result<Vec<Record>, StoreError> {
        // What is not committed yet belongs to the trail too.
        self.commit_entries()?;
        let store = &*self.options.store;
        match trail {
            Trail::All => audit::all(store),
            Trail::Device(device) => audit::of_device(store, *device),
            Trail::Request(request) => audit::of_request(store, *request),
        }
    }

    /// Puts everything a user was sent since an instant into its outbox once more, under its old numbers.
    fn deliver_since(&mut self, user: Eui64, since: SimInstant, now: SimInstant) -> Result<usize, StoreError> {
        // What is not committed yet is on its way anyhow.
        let mut again = BTreeMap::new();
        // Entries stand in the order of their time.
        let before = |octets: &[u8]| Entry::read(octets).is_some_and(|entry| entry.at_ms < since.0);
        self.options.store.history(&before, &mut |octets| {
            let Some(entry) = Entry::read(octets).filter(|entry| entry.at_ms >= since.0) else {
                return;
            };
            let own = entry.deliveries.into_iter().filter(|message| message.user == user.0);
            again.extend(own.map(|message| (message.id, message)));
        })?;
        let outbox = self.outboxes.entry(user).or_default();
        let mut entry = Entry::at(now);
        for (id, message) in again {
            if outbox.holds(id) {
                continue;
            }
            outbox.exhume(id);
            outbox.put(delivery_of(message.clone()), Some(now));
            entry.deliveries.push(message);
        }
        let count = entry.deliveries.len();
        if count > 0 {
            let record = Record {
                user: Some(user),
                detail: format!("{count} deliveries since {since}"),
                ..Record::new(Event::DeliverAgain, now)
            };
            self.write(entry.noting(&record), now);
        }
        Ok(count)
    }

    fn deliver_again(&mut self, user: Eui64, id: u64, now: SimInstant) -> bool {
        let Some(outbox) = self.outboxes.get_mut(&user) else {
            return false;
        };
        let Some(delivery) = outbox.exhume(id) else {
            return false;
        };
        let request = delivery.request;
        outbox.put(delivery, Some(now));
        let record = Record {
            user: Some(user),
            request,
            ..Record::new(Event::DeliverAgain, now)
        };
        let record = Record {
            detail: format!("delivery {id}"),
            ..record
        };
        let settled = Some(Settled {
            user: user.0,
            id,
            how: journal::PUT_BACK,
            status: 0,
            attempts: 0,
        });
        self.entries.push(Entry {
            audits: vec![record.to_message()],
            settled,
            ..Entry::at(now)
        });
        self.deliver(user, now);
        true
    }
}
