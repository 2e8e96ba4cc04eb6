//! DCC alerts: made, journalled and put into the outboxes of those concerned.

use domain::{Eui64, RequestId, SimInstant};
use duis::{AlertPayload, ResponseHeader};
use steps::codes::AlertTrigger;

use super::Core;
use super::deliveries::delivery_message;
use crate::answers;
use crate::audit::{Event, Record};
use crate::journal::Entry;
use crate::outbox::Delivery;

/// A DCC alert to send.
pub(crate) struct Notice {
    pub(crate) trigger: AlertTrigger,
    pub(crate) payload: AlertPayload,
    /// The request that caused it.
    pub(crate) request: Option<RequestId>,
    /// The device it is about.
    pub(crate) device: Option<Eui64>,
}

impl Core {
    /// Sends a DCC alert to these users, each once; journalled with its own audit record. Users that the directory does not
    /// have are left out.
    pub(super) fn notify(&mut self, users: impl IntoIterator<Item = Eui64>, notice: &Notice, now: SimInstant) {
        let facts = notice.trigger.alert();
        let element = notice.payload.element();
        for user in users {
            if self.options.directory.user(user).is_none() {
                continue;
            }
            let outbox = self.outboxes.entry(user).or_default();
            let id = outbox.next_id();
            let header = ResponseHeader::alert(
                RequestId {
                    originator: self.options.eui,
                    target: user,
                    counter: id,
                },
                now,
            );
            let made = answers::dcc_alert(&self.options.key, &header, facts.code, &element);
            let record = Record {
                request: notice.request,
                user: Some(user),
                device: notice.device,
                code: Some(facts.code.to_string()),
                confidence: Some(facts.confidence),
                detail: notice.trigger.to_string(),
                ..Record::new(Event::Alert, now)
            };
            let xml = match made {
                Ok(xml) => xml,
                Err(error) => {
                    tracing::error!(%error, code = %facts.code, "a DCC alert could not be made");
                    let detail = error.to_string();
                    self.record(Record { detail, ..record }, now);
                    continue;
                }
            };
            let delivery = Delivery {
                id,
                request: None,
                device: notice.device,
                xml,
            };
            self.entries.push(Entry {
                audits: vec![record.to_message()],
                deliveries: vec![delivery_message(user, &delivery)],
                ..Entry::at(now)
            });
            outbox.put(delivery, Some(now));
            self.deliver(user, now);
        }
    }
}
