//! Alerts: what devices and the S1SP report by themselves, and who is told.

use std::collections::BTreeSet;

use domain::{Eui64, RequestId, SimInstant, UserRole};
use prost::Message;
use proto::{Envelope, S1spAlert};

use super::Core;
use super::deliveries::delivery_message;
use crate::answers;
use crate::audit::{Event, Record};
use crate::journal::{AlertTaken, Entry};
use crate::options::ALERTS_REMEMBERED;
use crate::outbox::Delivery;

impl Core {
    pub(super) fn alerted(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(alert) = S1spAlert::decode(envelope.body.clone()) else {
            return tracing::warn!("an S1SP alert that is none");
        };
        self.confirm(envelope, envelope.trace_id.clone());
        let device = Eui64(alert.device);
        if !self.remember_alert(device, alert.counter) {
            return;
        }
        let record = Record {
            device: Some(device),
            hop: "s1sp".to_owned(),
            ..Record::new(Event::Alert, now)
        };
        let mut entry = Entry {
            alert: Some(AlertTaken {
                device: device.0,
                counter: alert.counter,
            }),
            ..Entry::at(now)
        };
        let recipients = self.recipients(device, now);
        let (mut problem, mut named) = (None, Vec::new());
        for user in recipients {
            let outbox = self.outboxes.entry(user).or_default();
            let delivery_id = outbox.next_id();
            let made = if alert.is_s1sp_alert {
                let id = RequestId {
                    originator: self.options.eui,
                    target: user,
                    counter: delivery_id,
                };
                answers::s1sp_alert(&self.options.key, id, &alert.signed_xml, now)
            } else {
                let id = RequestId {
                    originator: device,
                    target: user,
                    counter: alert.counter,
                };
                answers::device_alert(&self.options.key, id, &alert.signed_xml, now)
            };
            match made {
                Ok(xml) => {
                    let delivery = Delivery {
                        id: delivery_id,
                        request: None,
                        device: Some(device),
                        xml,
                    };
                    entry.deliveries.push(delivery_message(user, &delivery));
                    outbox.put(delivery, Some(now));
                    named.push(user);
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
        let detail = match (problem, named.is_empty()) {
            (Some(problem), _) => problem,
            (None, true) => "nobody is registered for it".to_owned(),
            (None, false) => format!(
                "to {}",
                named.iter().map(Eui64::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let code = Some(if alert.is_s1sp_alert { "N55" } else { "I0" }.to_owned());
        let record = Record {
            user: named.first().copied(),
            code,
            detail,
            ..record
        };
        entry.audits.push(record.to_message());
        self.entries.push(entry);
        named.into_iter().for_each(|user| self.deliver(user, now));
    }

    /// Whom alerts of a device go to, each once, in order of their EUI-64: the suppliers notified for critical requests,
    /// even when registration has gone on to somebody else (inferred); where no record says who, the registered ones.
    fn recipients(&self, device: Eui64, now: SimInstant) -> BTreeSet<Eui64> {
        let notified = self.notified_suppliers(device);
        if !notified.is_empty() {
            return notified;
        }
        let Some(device) = self.options.inventory.device(device) else {
            return BTreeSet::new();
        };
        let points = self.options.inventory.metering_points(device);
        let roles = [UserRole::ImportSupplier, UserRole::GasSupplier];
        let pairs = points
            .into_iter()
            .flat_map(|mpxn| roles.into_iter().map(move |role| (mpxn, role)));
        pairs
            .filter_map(|(mpxn, role)| self.options.directory.registered(mpxn, role, now))
            .collect()
    }

    /// Whether this alert is new.
    pub(super) fn remember_alert(&mut self, device: Eui64, counter: u64) -> bool {
        let taken = self.alerts.entry(device).or_default();
        let forgotten = taken.len() >= ALERTS_REMEMBERED && taken.first().is_some_and(|first| counter < *first);
        if forgotten || !taken.insert(counter) {
            return false;
        }
        if taken.len() > ALERTS_REMEMBERED {
            taken.pop_first();
        }
        true
    }
}
