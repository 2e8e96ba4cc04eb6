//! The state of the DCC and its decisions: inputs in, journal entries and effects out. No waiting, no links.
//!
//! Nothing an input causes leaves before [`Core::commit`] has made its entries durable.

mod commands;
mod deliveries;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::{Eui64, RequestId, SimInstant, Srv, UserRole};
use prost::Message;
use prost::bytes::Bytes;
use proto::{
    Accepted, Countersigned, CountersignedServiceRequest, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind,
    S1spAlert, S1spResponse, TargetFacts,
};
use steps::Failure;
use world::StoreError;

use crate::answers;
use crate::audit::{Event, Record};
use crate::front_door::{FrontDoor, Refused, said};
use crate::inventory::Device;
use crate::journal::{self, Acknowledged, AlertTaken, DeviceMessage, Entry, id_octets};
use crate::options::{ALERTS_REMEMBERED, Options};
use crate::outbox::{Delivery, Outbox};
use crate::timers::{Timer, Timers};
use deliveries::{delivery_message, delivery_of};

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
                self.open.insert(
                    id,
                    Open {
                        srv,
                        countersigned,
                        acknowledged_left: None,
                        attempts: 0,
                    },
                );
            }
        }
        if let Some(id) = entry.ended.as_deref().and_then(journal::read_id) {
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
        if let Some(device) = entry.device.and_then(DeviceMessage::read) {
            self.options.inventory.put(device);
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
            self.timers
                .set(Timer::Deadline(id), now + self.options.limits.outcome_limit);
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

    /// A message on a user's link.
    pub(crate) fn user_message(&mut self, port: usize, envelope: Envelope, now: SimInstant) {
        match envelope.kind() {
            Kind::DuisRequest => self.request(port, envelope, now),
            Kind::DuisDeliveryAck => match DuisDeliveryAck::decode(envelope.body) {
                Ok(ack) => {
                    if let Some(user) = self.ports.get(port).copied() {
                        self.delivery_answered(user, ack.delivery_id, ack.http_status, now);
                    }
                }
                Err(error) => tracing::warn!(%error, "a delivery answer that is none"),
            },
            kind => tracing::debug!(?kind, "not for the DCC"),
        }
    }

    fn request(&mut self, port: usize, envelope: Envelope, now: SimInstant) {
        // Octets that are no message are a request without XML: refused and recorded as malformed.
        let posted = DuisRequest::decode(envelope.body.clone()).unwrap_or_default();
        let door = FrontDoor {
            eui: self.options.eui,
            certificates: &*self.options.certificates,
            directory: &self.options.directory,
            inventory: &self.options.inventory,
            counters: &self.counters,
            limits: &self.options.limits,
            open_requests: self.open.len(),
            is_open: &|id| self.open.contains_key(&id),
        };
        let admitted = match door.admit(&posted.path, &posted.xml) {
            Ok(admitted) => admitted,
            Err(refused) => return self.refuse(port, &envelope, refused, now),
        };
        let (id, srv) = (admitted.request.id, admitted.request.srv);
        let Some(device) = admitted.device else {
            let answer = answers::answer(&admitted.request, &self.options.inventory, now);
            return match answer {
                Ok(answer) => self.answer(port, &envelope, (id, srv), answer, now),
                Err((failure, detail)) => {
                    let (request, srv) = (Some(id), Some(srv));
                    self.refuse(
                        port,
                        &envelope,
                        Refused {
                            failure,
                            request,
                            srv,
                            detail,
                            counter_used: true,
                        },
                        now,
                    );
                }
            };
        };
        let facts = facts(device);
        self.acknowledge(port, &envelope, (id, srv), facts, posted.xml, now);
    }

    fn refuse(&mut self, port: usize, envelope: &Envelope, refused: Refused, now: SimInstant) {
        let Refused {
            failure,
            request,
            srv,
            detail,
            counter_used,
        } = refused;
        let entry = failure.entry();
        let record = Record {
            request,
            srv,
            detail,
            ..Record::new(Event::Refused, now).failing(failure)
        };
        // The claimed originator only where its signature was proved; before that, whose link it came on.
        let user = if counter_used {
            request.map(|id| id.originator)
        } else {
            self.ports.get(port).copied()
        };
        let record = Record {
            user,
            device: request.map(|id| id.target),
            ..record
        };
        let used = request.filter(|_| counter_used);
        if let Some(id) = used {
            self.counters.insert((id.originator, id.target), id.counter);
        }
        self.entries.push(Entry {
            audit: Some(record.to_message()),
            counter_used: used.map(id_octets),
            ..Entry::at(now)
        });
        let made = answers::reply(&self.options.key, request, srv, entry.code, None, now);
        self.reply(port, envelope, u32::from(entry.http), made, None);
    }

    fn answer(
        &mut self,
        port: usize,
        envelope: &Envelope,
        (id, srv): (RequestId, Srv),
        answer: answers::Answer,
        now: SimInstant,
    ) {
        let code = "I0";
        let made = answers::reply(
            &self.options.key,
            Some(id),
            Some(srv),
            code,
            answer.payload.as_ref(),
            now,
        );
        let record = Record::new(Event::Answered, now).about(id, Some(srv));
        // What 12.2 announces is the device the record is about, not the DCC it was sent to.
        let device = answer.device.as_ref().map_or(record.device, |device| Some(device.id));
        let record = Record {
            device,
            code: Some(code.to_owned()),
            detail: answer.detail,
            ..record
        };
        self.counters.insert((id.originator, id.target), id.counter);
        self.entries.push(Entry {
            audit: Some(record.to_message()),
            counter_used: Some(id_octets(id)),
            device: answer.device.as_ref().map(DeviceMessage::of),
            ..Entry::at(now)
        });
        if let Some(device) = answer.device {
            self.options.inventory.put(device);
        }
        self.reply(port, envelope, 200, made, None);
    }

    fn acknowledge(
        &mut self,
        port: usize,
        envelope: &Envelope,
        (id, srv): (RequestId, Srv),
        facts: TargetFacts,
        xml: Bytes,
        now: SimInstant,
    ) {
        let made = match answers::reply(&self.options.key, Some(id), Some(srv), "I99", None, now) {
            Ok(made) => made,
            Err(error) => {
                let (request, srv, detail) = (Some(id), Some(srv), error.to_string());
                let refused = Refused {
                    failure: Failure::Internal,
                    request,
                    srv,
                    detail,
                    counter_used: true,
                };
                return self.refuse(port, envelope, refused, now);
            }
        };
        let last = self.countersigned.entry(id.target).or_default();
        *last += 1;
        let originator_counter = *last;
        let countersigned = Countersigned {
            request_xml: xml,
            supplementary_remote_party_id: id.originator.0,
            supplementary_remote_party_counter: id.counter,
            supplementary_originator_counter: originator_counter,
            countersigned_at_ms: now.0,
            target: Some(facts),
        };
        let countersigned = Bytes::from(countersigned.encode_to_vec());
        let record = Record {
            code: Some("I99".to_owned()),
            ..Record::new(Event::Acknowledged, now).about(id, Some(srv))
        };
        self.counters.insert((id.originator, id.target), id.counter);
        self.entries.push(Entry {
            audit: Some(record.to_message()),
            counter_used: Some(id_octets(id)),
            acknowledged: Some(Acknowledged {
                request: id_octets(id),
                srv: srv.to_string(),
                countersigned: countersigned.clone(),
                originator_counter,
            }),
            ..Entry::at(now)
        });
        self.open.insert(
            id,
            Open {
                srv,
                countersigned,
                acknowledged_left: None,
                attempts: 0,
            },
        );
        self.timers
            .set(Timer::Deadline(id), now + self.options.limits.outcome_limit);
        self.reply(port, envelope, 200, Ok(made), Some(id));
    }

    fn reply(
        &mut self,
        port: usize,
        envelope: &Envelope,
        status: u32,
        xml: Result<Bytes, answers::MakeError>,
        acknowledges: Option<RequestId>,
    ) {
        let (http_status, xml) = match xml {
            Ok(xml) => (status, xml),
            Err(error) => {
                tracing::error!(%error, trace_id = envelope.trace_id, "a reply could not be made");
                (500, Bytes::new())
            }
        };
        let trace_id = acknowledges.map_or_else(|| envelope.trace_id.clone(), |id| id.to_string());
        self.effects.push(Effect::ToUser {
            port,
            envelope: Envelope {
                trace_id,
                in_reply_to: envelope.id,
                ..Envelope::default()
            },
            kind: Kind::DuisReply,
            body: DuisReply { http_status, xml }.encode_to_vec(),
            acknowledges,
        });
    }

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

    fn send_to_s1sp(&mut self, id: RequestId, now: SimInstant) {
        let limits = self.options.limits;
        let Some(open) = self.open.get_mut(&id) else { return };
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
                self.end(id, xml, record, device, now);
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
    fn fail(&mut self, id: RequestId, failure: Failure, now: SimInstant) {
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
            audit: Some(record.to_message()),
            ended: Some(id_octets(id)),
            deliveries: vec![delivery_message(user, &delivery)],
            device,
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

    fn alerted(&mut self, envelope: &Envelope, now: SimInstant) {
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
        let recipients = self.recipients(device);
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
        entry.audit = Some(
            Record {
                user: named.first().copied(),
                code,
                detail,
                ..record
            }
            .to_message(),
        );
        self.entries.push(entry);
        named.into_iter().for_each(|user| self.deliver(user, now));
    }

    /// The suppliers registered for what is behind the device, each once, in order of their EUI-64.
    fn recipients(&self, device: Eui64) -> BTreeSet<Eui64> {
        let Some(device) = self.options.inventory.device(device) else {
            return BTreeSet::new();
        };
        let points = self.options.inventory.metering_points(device);
        let roles = [UserRole::ImportSupplier, UserRole::GasSupplier];
        let pairs = points
            .into_iter()
            .flat_map(|mpxn| roles.into_iter().map(move |role| (mpxn, role)));
        pairs
            .filter_map(|(mpxn, role)| self.options.directory.registered(mpxn, role))
            .collect()
    }

    /// Whether this alert is new.
    fn remember_alert(&mut self, device: Eui64, counter: u64) -> bool {
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

    /// Tells the S1SP, once the journal is safe, that it may forget a message.
    fn confirm(&mut self, envelope: &Envelope, request_id: String) {
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

    fn record(&mut self, record: Record, now: SimInstant) {
        self.entries.push(Entry {
            audit: Some(record.to_message()),
            ..Entry::at(now)
        });
    }
}

/// What the S1SP needs to know of the target.
fn facts(device: &Device) -> TargetFacts {
    TargetFacts {
        device: device.id.0,
        device_kind: device.kind.as_str().to_owned(),
        hub: device.hub.unwrap_or_default().0,
    }
}
