//! The way of a request through the S1SP: handed over, accepted, answered, ended.

use domain::{Eui64, RequestId, SimInstant, Srv};
use prost::Message;
use prost::bytes::Bytes;
use proto::{Accepted, CountersignedServiceRequest, Envelope, Kind, S1spResponse};
use steps::Failure;

use super::deliveries::delivery_message;
use super::{Core, Effect};
use crate::answers;
use crate::audit::{Event, Record};
use crate::front_door::said;
use crate::journal::{DeviceMessage, Entry, id_octets};
use crate::outbox::Delivery;
use crate::timers::Timer;

impl Core {
    /// The acknowledgement of a request is out: now, and only now, the S1SP may hear of it.
    pub(crate) fn acknowledgement_left(&mut self, id: RequestId, now: SimInstant) {
        if let Some(open) = self.open.get_mut(&id) {
            open.acknowledged_left = Some(now);
            self.send_to_s1sp(id, now);
        }
        if let Some((user, delivery)) = self.held.remove(&id) {
            let not_before = now + self.options.limits.delivery_gap;
            self.outboxes.entry(user).or_default().release(delivery, not_before);
            self.deliver(user, now);
        }
    }

    pub(super) fn send_to_s1sp(&mut self, id: RequestId, now: SimInstant) {
        let limits = self.options.limits;
        let Some(open) = self.open.get_mut(&id) else { return };
        if open.quarantine.is_some() {
            return;
        }
        if open.attempts >= limits.s1sp_attempts {
            return self.fail(id, Failure::S1spUnreachable, now);
        }
        open.attempts += 1;
        let (again, srv, countersigned) = (open.attempts > 1, open.srv, open.countersigned.clone());
        let signature = match duis::signature::sign_octets(&countersigned, &self.options.key) {
            Ok(signature) => Bytes::copy_from_slice(&signature),
            Err(error) => {
                tracing::error!(request_id = %id, error = said(&error), "not countersigned");
                return self.fail(id, Failure::Internal, now);
            }
        };
        if again {
            self.record(Record::new(Event::SentAgain, now).about(id, Some(srv)), now);
        }
        let signer_serial = self.options.key.certificate().serial().to_owned();
        self.effects.push(Effect::ToS1sp {
            envelope: Envelope {
                trace_id: id.to_string(),
                ..Envelope::default()
            },
            kind: Kind::CountersignedRequest,
            body: CountersignedServiceRequest {
                countersigned,
                signer_serial,
                signature,
            }
            .encode_to_vec(),
        });
        self.timers.set(Timer::SendAgain(id), now + limits.s1sp_accept_timeout);
    }

    /// A message of the S1SP.
    pub(crate) fn s1sp_message(&mut self, envelope: &Envelope, now: SimInstant) {
        match envelope.kind() {
            Kind::Accepted => self.accepted(&envelope.body, now),
            Kind::S1spResponse => self.responded(envelope, now),
            Kind::S1spAlert => self.alerted(envelope, now),
            kind => tracing::debug!(?kind, "not for the DCC"),
        }
    }

    fn accepted(&mut self, body: &Bytes, now: SimInstant) {
        let accepted = Accepted::decode(body.clone()).unwrap_or_default();
        let Ok(id) = accepted.request_id.parse::<RequestId>() else {
            return tracing::warn!("the S1SP accepts something that is no request");
        };
        let Some(open) = self.open.get_mut(&id) else { return };
        // A second word for the same request, after a repetition, says nothing new.
        if !self.timers.cancel(&Timer::SendAgain(id)) {
            return;
        }
        open.countersigned = Bytes::new();
        let srv = open.srv;
        let record = Record {
            hop: "s1sp".to_owned(),
            ..Record::new(Event::Accepted, now).about(id, Some(srv))
        };
        self.record(record, now);
    }

    fn responded(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(response) = S1spResponse::decode(envelope.body.clone()) else {
            return tracing::warn!(trace_id = envelope.trace_id, "an S1SP response that is none");
        };
        let Ok(id) = response.request_id.parse::<RequestId>() else {
            return tracing::warn!(request_id = response.request_id, "an S1SP response to no request");
        };
        self.confirm(envelope, response.request_id.clone());
        let Some(srv) = self.open.get(&id).map(|open| open.srv) else {
            let record = Record::new(Event::LateOutcome, now).about(id, None);
            let code = Some(response.response_code);
            return self.record(
                Record {
                    hop: "s1sp".to_owned(),
                    code,
                    ..record
                },
                now,
            );
        };
        let signed = &response.signed_response_xml;
        let made = answers::outcome(&self.options.key, id, srv, &response.response_code, signed, now);
        let record = Record::new(Event::Outcome, now).about(id, Some(srv));
        match made {
            Ok(xml) => {
                let hop = if response.failed_hop.is_empty() {
                    "s1sp".to_owned()
                } else {
                    response.failed_hop
                };
                let record = Record {
                    hop,
                    code: Some(response.response_code),
                    rules: response.rules,
                    detail: response.reason,
                    confidence: response.confidence.parse().ok(),
                    ..record
                };
                let device = (srv == answers::READ_FIRMWARE)
                    .then(|| answers::reported_firmware(signed))
                    .flatten()
                    .and_then(|firmware| self.report_firmware(id.target, &firmware, now));
                let change = self.open.get_mut(&id).and_then(|open| open.change.take());
                self.end(id, xml, record, device, now);
                if let Some(change) = change.filter(|_| super::credentials::worked(signed)) {
                    self.change_credentials(id, srv, &change, now);
                }
            }
            // What the S1SP says cannot be passed on; the user still gets one outcome.
            Err(error) => {
                let record = Record {
                    detail: error.to_string(),
                    ..record.failing(Failure::Internal)
                };
                self.fail_with(
                    id,
                    srv,
                    Failure::Internal,
                    Record {
                        hop: "s1sp".to_owned(),
                        ..record
                    },
                    now,
                );
            }
        }
    }

    fn report_firmware(&mut self, device: Eui64, firmware: &str, now: SimInstant) -> Option<DeviceMessage> {
        let changed = self.options.inventory.report_firmware(device, firmware, now);
        self.options
            .inventory
            .device(device)
            .filter(|_| changed)
            .map(DeviceMessage::of)
    }

    /// Ends a request with an error of the table.
    pub(super) fn fail(&mut self, id: RequestId, failure: Failure, now: SimInstant) {
        let Some(srv) = self.open.get(&id).map(|open| open.srv) else {
            return;
        };
        let record = Record::new(Event::Outcome, now).about(id, Some(srv)).failing(failure);
        let record = Record {
            detail: failure.entry().text.to_owned(),
            ..record
        };
        self.fail_with(id, srv, failure, record, now);
    }

    fn fail_with(&mut self, id: RequestId, srv: Srv, failure: Failure, record: Record, now: SimInstant) {
        match answers::outcome(&self.options.key, id, srv, failure.entry().code, &[], now) {
            Ok(xml) => self.end(id, xml, record, None, now),
            Err(error) => tracing::error!(request_id = %id, %error, "an outcome could not be made"),
        }
    }

    /// The one outcome of a request: out of the open ones, into the outbox, in one entry.
    fn end(&mut self, id: RequestId, xml: Bytes, record: Record, device: Option<DeviceMessage>, now: SimInstant) {
        let Some(open) = self.open.remove(&id) else { return };
        self.timers.cancel(&Timer::Deadline(id));
        self.timers.cancel(&Timer::SendAgain(id));
        let user = id.originator;
        let outbox = self.outboxes.entry(user).or_default();
        let delivery = Delivery {
            id: outbox.next_id(),
            request: Some(id),
            device: Some(id.target),
            xml,
        };
        self.entries.push(Entry {
            audits: vec![record.to_message()],
            ended: vec![id_octets(id)],
            deliveries: vec![delivery_message(user, &delivery)],
            devices: device.into_iter().collect(),
            ..Entry::at(now)
        });
        let not_before = open
            .acknowledged_left
            .map(|left| (left + self.options.limits.delivery_gap).max(now));
        if not_before.is_none() {
            self.held.insert(id, (user, delivery.id));
        }
        outbox.put(delivery, not_before);
        self.deliver(user, now);
    }

    /// Tells the S1SP, once the journal is safe, that it may forget a message.
    pub(super) fn confirm(&mut self, envelope: &Envelope, request_id: String) {
        self.effects.push(Effect::ToS1sp {
            envelope: Envelope {
                trace_id: envelope.trace_id.clone(),
                in_reply_to: envelope.id,
                ..Envelope::default()
            },
            kind: Kind::Accepted,
            body: Accepted { request_id }.encode_to_vec(),
        });
    }
}
