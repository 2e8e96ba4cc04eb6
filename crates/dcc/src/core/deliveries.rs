//! Deliveries to users: what goes out, what its answer means, what the journal says of it.

use domain::{Eui64, RequestId, SimInstant};
use duis::{AlertPayload, ResponseHeader};
use prost::Message;
use prost::bytes::Bytes;
use proto::{DuisDelivery, Envelope, Kind};
use steps::codes::AlertTrigger;

use super::{Core, Effect};
use crate::answers;
use crate::audit::{Event, Record};
use crate::journal::{self, DeliveryMessage, Entry, Settled, id_octets};
use crate::outbox::{DeadLetter, Delivery, Settlement};
use crate::timers::Timer;

impl Core {
    /// Puts a message into an outbox, as part of an entry: it goes once that is written. Without `not_before` it is held
    /// until it is released. Gives its number.
    pub(super) fn enqueue(
        &mut self,
        entry: &mut Entry,
        user: Eui64,
        request: Option<RequestId>,
        device: Option<Eui64>,
        xml: Bytes,
        not_before: Option<SimInstant>,
    ) -> u64 {
        let xml = self.readable(entry, user, request, xml);
        let surplus = self
            .outboxes
            .get(&user)
            .and_then(|outbox| outbox.surplus(&self.options.limits));
        if let Some(oldest) = surplus {
            self.end_delivery(user, oldest, 0, journal::DEAD, SimInstant(entry.at_ms));
        }
        let outbox = self.outboxes.entry(user).or_default();
        let delivery = Delivery {
            id: outbox.next_id(),
            request,
            device: device.filter(|device| *device != Eui64::default()),
            xml,
        };
        let id = delivery.id;
        entry.deliveries.push(delivery_message(user, &delivery));
        outbox.put(delivery, not_before);
        id
    }

    /// The message, or, where the user's version of the schema does not have it, an alert that says that it is held back.
    fn readable(&mut self, entry: &mut Entry, user: Eui64, request: Option<RequestId>, xml: Bytes) -> Bytes {
        let policy = self.options.directory.user(user).and_then(|user| user.schema.as_ref());
        let Some(policy) = policy else { return xml };
        // What a response answers came in the user's own version, as far as is remembered.
        let Some(held_back) = policy.held_back(&xml, &policy.version) else {
            return xml;
        };
        let user_version = policy.version.clone();
        let facts = AlertTrigger::VersionHeldBack.alert();
        let at = SimInstant(entry.at_ms);
        let header = ResponseHeader::alert(self.own_id(user), at);
        let record = Record {
            request,
            user: Some(user),
            code: Some(facts.code.to_string()),
            confidence: Some(facts.confidence),
            detail: format!("{held_back:?}"),
            ..Record::new(Event::DccAlert, at)
        };
        let payload = AlertPayload::DuisVersionMismatch {
            held_back,
            user_version,
        };
        let made = duis::write::dcc_alert(&header, facts.code, None, &payload.element())
            .map_err(|error| error.to_string())
            .and_then(|alert| answers::signed(&self.options.key, &alert).map_err(|error| error.to_string()));
        match made {
            Ok(alert) => {
                entry.audits.push(record.to_message());
                alert
            }
            Err(error) => {
                tracing::error!(error, "an alert about a held back message could not be made");
                xml
            }
        }
    }

    /// Sends what may go to a user now, and sets the alarm for the rest.
    pub(super) fn deliver(&mut self, user: Eui64, now: SimInstant) {
        let fetches = |user: &crate::User| user.fetches;
        if self.options.directory.user(user).is_some_and(fetches) {
            // It waits until it is fetched.
            return;
        }
        let limits = self.options.limits;
        let overdue = self
            .outboxes
            .get(&user)
            .map(|outbox| outbox.overdue(now))
            .unwrap_or_default();
        overdue.into_iter().for_each(|id| self.judge_delivery(user, id, 0, now));
        let Some(outbox) = self.outboxes.get_mut(&user) else {
            return;
        };
        let port = self.ports.iter().position(|eui| *eui == user);
        let mut unreachable = Vec::new();
        while let Some(delivery) = outbox.next(now, &limits) {
            let Some(port) = port else {
                unreachable.push(delivery.id);
                continue;
            };
            let trace_id = delivery.request.map(|id| id.to_string()).unwrap_or_default();
            self.effects.push(Effect::ToUser {
                port,
                envelope: Envelope {
                    trace_id,
                    ..Envelope::default()
                },
                kind: Kind::DuisDelivery,
                body: DuisDelivery {
                    delivery_id: delivery.id,
                    xml: delivery.xml,
                }
                .encode_to_vec(),
                acknowledges: None,
            });
        }
        // A user without a link is a listener that cannot be reached.
        unreachable
            .into_iter()
            .for_each(|id| self.judge_delivery(user, id, 0, now));
        let next = self.outboxes.get(&user).and_then(|outbox| outbox.next_wake(&limits));
        match next {
            Some(at) => self.timers.set(Timer::Outbox(user), at),
            None => {
                self.timers.cancel(&Timer::Outbox(user));
            }
        }
    }

    pub(super) fn delivery_answered(&mut self, user: Eui64, id: u64, status: u32, now: SimInstant) {
        self.judge_delivery(user, id, status, now);
        self.deliver(user, now);
    }

    /// A user has fetched a delivery itself. False when it does not wait any more.
    pub(super) fn fetched(&mut self, user: Eui64, id: u64, now: SimInstant) -> bool {
        let taken = self.outboxes.get_mut(&user).and_then(|outbox| outbox.take(id));
        let Some((delivery, attempts)) = taken else {
            return false;
        };
        let settled = Settled {
            user: user.0,
            id,
            how: journal::TAKEN,
            status: 0,
            attempts,
        };
        let record = Record {
            user: Some(user),
            request: delivery.request,
            device: delivery.device,
            hop: "user".to_owned(),
            detail: format!("delivery {id}, fetched"),
            ..Record::new(Event::Delivered, now)
        };
        self.entries.push(Entry {
            settled: Some(settled),
            ..Entry::at(now).noting(&record)
        });
        true
    }

    fn judge_delivery(&mut self, user: Eui64, id: u64, status: u32, now: SimInstant) {
        let limits = self.options.limits;
        let Some(outbox) = self.outboxes.get_mut(&user) else {
            return;
        };
        match outbox.judge(id, status, &limits) {
            Settlement::Unknown => {}
            Settlement::Again => outbox.again(id, now, &limits),
            Settlement::Taken => self.end_delivery(user, id, status, journal::TAKEN, now),
            Settlement::Dead => self.end_delivery(user, id, status, journal::DEAD, now),
        }
    }

    /// A delivery leaves its outbox, and the journal says how.
    fn end_delivery(&mut self, user: Eui64, id: u64, status: u32, how: u32, now: SimInstant) {
        let limits = self.options.limits;
        let Some(outbox) = self.outboxes.get_mut(&user) else {
            return;
        };
        let Some((delivery, attempts)) = outbox.take(id) else {
            return;
        };
        let event = match how {
            journal::DEAD => Event::DeadLettered,
            _ => Event::Delivered,
        };
        let settled = Settled {
            user: user.0,
            id,
            how,
            status,
            attempts,
        };
        let record = Record {
            user: Some(user),
            request: delivery.request,
            device: delivery.device,
            hop: "user".to_owned(),
            code: Some(status.to_string()),
            detail: format!("delivery {id}, try {attempts}"),
            ..Record::new(event, now)
        };
        if how == journal::DEAD {
            tracing::info!(%user, delivery = id, status, "a delivery was given up");
            outbox.bury(dead_letter(user, delivery, status, attempts), &limits);
        }
        self.entries.push(Entry {
            settled: Some(settled),
            ..Entry::at(now).noting(&record)
        });
    }

    /// Replays the end of a delivery, or its way back.
    pub(super) fn settle(&mut self, settled: &Settled, not_before: SimInstant) {
        let (user, limits) = (Eui64(settled.user), self.options.limits);
        let outbox = self.outboxes.entry(user).or_default();
        if settled.how == journal::PUT_BACK {
            if let Some(delivery) = outbox.exhume(settled.id) {
                outbox.put(delivery, Some(not_before));
            }
        } else if let Some((delivery, _)) = outbox.take(settled.id).filter(|_| settled.how == journal::DEAD) {
            outbox.bury(dead_letter(user, delivery, settled.status, settled.attempts), &limits);
        }
    }
}

pub(super) fn delivery_of(message: DeliveryMessage) -> Delivery {
    Delivery {
        id: message.id,
        request: journal::read_id(&message.request),
        device: message.device.map(Eui64),
        xml: message.xml,
    }
}

pub(super) fn delivery_message(user: Eui64, delivery: &Delivery) -> DeliveryMessage {
    DeliveryMessage {
        user: user.0,
        id: delivery.id,
        request: delivery.request.map(id_octets).unwrap_or_default(),
        xml: delivery.xml.clone(),
        device: delivery.device.map(|device| device.0),
    }
}

fn dead_letter(user: Eui64, delivery: Delivery, status: u32, attempts: u32) -> DeadLetter {
    DeadLetter {
        user,
        delivery_id: delivery.id,
        request: delivery.request,
        status,
        attempts,
        xml: delivery.xml,
    }
}
