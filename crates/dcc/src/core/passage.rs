//! The way of a request through the S1SP: handed over, accepted, answered, ended.

use domain::{RequestId, SimInstant, Srv, UserRole};
use duis::SignedBody;
use prost::Message;
use prost::bytes::Bytes;
use proto::{Accepted, Countersigned, CountersignedServiceRequest, Envelope, Kind, S1spResponse, TargetFacts};
use steps::Failure;
use steps::codes::AlertTrigger;

use super::alerts::Notice;
use super::outcome::Content;
use super::{Core, Effect, Open, Released, Stage};
use crate::answers;
use crate::audit::{Event, Record};
use crate::credentials::{self, Records};
use crate::directory::User;
use crate::front_door::said;
use crate::images::read_job_id;
use crate::journal::{AcceptedMessage, Entry, SequenceEnded, id_octets};
use crate::timers::Timer;

impl Core {
    /// An open request becomes the S1SP's, as part of an entry; sending it is the next step.
    pub(super) fn hand_over(&mut self, entry: &mut Entry, id: RequestId, now: SimInstant) {
        let device = self.options.inventory.device(id.target);
        let (Some(open), Some(device)) = (self.open.get_mut(&id), device) else {
            return;
        };
        let last = self.countersigned.entry(id.target).or_default();
        *last += 1;
        let released = Released {
            originator_counter: *last,
            at: now,
            kind: device.kind,
            hub: device.hub.unwrap_or_default(),
        };
        open.stage = Stage::Released(released);
        entry.released = Some(released.message(id_octets(id)));
        self.timers.cancel(&Timer::Release(id));
        self.timers
            .set(Timer::Deadline(id), now + self.options.limits.outcome_limit);
    }

    /// The acknowledgement of a request is out: now, and only now, the S1SP may hear of it.
    pub(crate) fn acknowledgement_left(&mut self, id: RequestId, now: SimInstant) {
        if let Some(open) = self.open.get_mut(&id) {
            open.acknowledged_left = Some(now);
            self.send_to_s1sp(id, now);
        }
        if let Some((user, delivery)) = self.unacknowledged.remove(&id) {
            let not_before = now + self.options.limits.delivery_gap;
            self.outboxes.entry(user).or_default().release(delivery, not_before);
            self.deliver(user, now);
        }
    }

    pub(super) fn send_to_s1sp(&mut self, id: RequestId, now: SimInstant) {
        let limits = self.options.limits;
        let Some(open) = self.open.get_mut(&id) else { return };
        let Stage::Released(released) = open.stage else { return };
        // An acknowledgement on its way lets it go once it has left.
        if open.acknowledged_left.is_none() {
            return;
        }
        if open.attempts >= limits.s1sp_attempts {
            return self.fail(id, Failure::S1spUnreachable, now);
        }
        open.attempts += 1;
        let again = open.attempts > 1;
        let user = self.options.directory.user(open.user);
        let countersigned = countersigned(id, open, released, &self.options.credentials, user);
        let countersigned = Bytes::from(countersigned.encode_to_vec());
        let signature = match duis::signature::sign_octets(&countersigned, &self.options.key) {
            Ok(signature) => Bytes::copy_from_slice(&signature),
            Err(error) => {
                tracing::error!(request_id = %id, error = said(&error), "not countersigned");
                return self.fail(id, Failure::Internal, now);
            }
        };
        if again {
            self.record(&self.about(Event::SentAgain, id, now), now);
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
            Kind::ImageJobResult => self.image_job_ended(envelope, now),
            Kind::FirmwareReport => self.firmware_reported(envelope, now),
            kind => tracing::debug!(?kind, "not for the DCC"),
        }
    }

    fn accepted(&mut self, body: &Bytes, now: SimInstant) {
        let accepted = Accepted::decode(body.clone()).unwrap_or_default();
        let Ok(id) = accepted.request_id.parse::<RequestId>() else {
            return match read_job_id(&accepted.request_id) {
                Some((request, device)) => self.image_job_taken(request, device, now),
                None => self.image_taken(&accepted.request_id, now),
            };
        };
        // A second word for the same request, after a repetition, says nothing new.
        if !self.timers.cancel(&Timer::SendAgain(id)) {
            return;
        }
        let record = Record {
            hop: "s1sp".to_owned(),
            ..self.about(Event::Accepted, id, now)
        };
        self.record(&record, now);
    }

    fn responded(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(response) = S1spResponse::decode(envelope.body.clone()) else {
            return tracing::warn!(trace_id = envelope.trace_id, "an S1SP response that is none");
        };
        let Ok(id) = response.request_id.parse::<RequestId>() else {
            return tracing::warn!(request_id = response.request_id, "an S1SP response to no request");
        };
        self.confirm(envelope, response.request_id.clone());
        let Some(open) = self
            .open
            .get(&id)
            .filter(|open| matches!(open.stage, Stage::Released(_)))
        else {
            let record = Record {
                hop: "s1sp".to_owned(),
                code: Some(response.response_code),
                ..self.about(Event::LateOutcome, id, now)
            };
            return self.record(&record, now);
        };
        let signed = &response.signed_response_xml;
        let matters = open.concern.is_some() || open.credentials.is_some() || open.in_sequence || open.dated.is_some();
        let content = if matters {
            Content::read(signed, &response.response_code)
        } else {
            Content::default()
        };
        let made = match open.schedule {
            Some(_) if signed.is_empty() => Ok(Bytes::new()),
            Some(schedule) => answers::scheduled(&self.options.key, id, open.user, open.srv, schedule, signed, now),
            None => answers::outcome(&self.options.key, id, open.srv, &response.response_code, signed, now),
        };
        let hop = match response.failed_hop.as_str() {
            "" => "s1sp",
            hop => hop,
        };
        let record = Record {
            hop: hop.to_owned(),
            code: Some(response.response_code.clone()),
            rules: response.rules.clone(),
            detail: response.reason.clone(),
            confidence: response.confidence.parse().ok(),
            ..self.about(Event::Outcome, id, now)
        };
        match made {
            Ok(xml) if xml.is_empty() => self.run_failed(id, &response, record, now),
            Ok(xml) => self.answered(id, xml, record, &content, now),
            // What the S1SP says cannot be passed on; the user still gets one outcome.
            Err(error) => {
                let record = self.about(Event::Outcome, id, now).failing(Failure::Internal);
                let record = Record {
                    hop: "s1sp".to_owned(),
                    detail: error.to_string(),
                    ..record
                };
                self.fail_with(id, Failure::Internal, &record, Entry::at(now), now);
            }
        }
    }

    /// The S1SP has an answer that goes to the user: the outcome, or the first of two for what a device holds.
    fn answered(&mut self, id: RequestId, xml: Bytes, record: Record, content: &Content, now: SimInstant) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let held_there = open.dated.filter(|at| *at > now && content.succeeded);
        let Some(at) = held_there else {
            let mut entry = Entry::at(now).noting(&record);
            let failed = alert_of(record.code.as_deref().unwrap_or_default());
            if let Some(facts) = failed.filter(|_| open.dated.is_some()) {
                self.raise_command_failure(&mut entry, id, facts, now);
            }
            self.apply_outcome(&mut entry, id, content, now);
            self.apply_credentials(&mut entry, id, content.succeeded, now);
            return self.end(id, entry, Some(xml), content.succeeded, now);
        };
        open.stage = Stage::Accepted(at);
        let (user, left) = (open.user, open.acknowledged_left);
        self.timers.cancel(&Timer::SendAgain(id));
        let limit = at + self.options.limits.outcome_limit;
        self.timers.set(Timer::Deadline(id), limit);
        let mut entry = Entry::at(now).noting(&Record {
            event: Event::DatedAccepted,
            detail: format!("to be executed at {at}"),
            ..record
        });
        entry.accepted = Some(AcceptedMessage {
            request: id_octets(id),
            at_ms: at.0,
        });
        let not_before = left.map_or(now, |left| (left + self.options.limits.delivery_gap).max(now));
        self.enqueue(&mut entry, user, Some(id), Some(id.target), xml, Some(not_before));
        self.write(entry, now);
    }

    /// A run of a schedule that brought nothing from the device: its owner hears of it by an alert.
    fn run_failed(&mut self, id: RequestId, response: &S1spResponse, record: Record, now: SimInstant) {
        let facts = alert_of(&response.response_code).unwrap_or_else(|| AlertTrigger::NotDelivered.alert());
        let mut entry = Entry::at(now).noting(&record);
        self.raise_command_failure(&mut entry, id, facts, now);
        self.end(id, entry, None, false, now);
    }

    /// Ends a request with an error of the table.
    pub(super) fn fail(&mut self, id: RequestId, failure: Failure, now: SimInstant) {
        let record = Record {
            detail: failure.entry().text.to_owned(),
            ..self.about(Event::Outcome, id, now).failing(failure)
        };
        self.fail_with(id, failure, &record, Entry::at(now), now);
    }

    /// The same with more to say: what the entry has, and this record.
    pub(super) fn fail_with(
        &mut self,
        id: RequestId,
        failure: Failure,
        record: &Record,
        entry: Entry,
        now: SimInstant,
    ) {
        let Some(open) = self.open.get(&id) else { return };
        let mut entry = entry.noting(record);
        let waited = open.dated.is_some() || open.schedule.is_some() || matches!(open.stage, Stage::Waiting(_));
        let code = failure.entry().alert.and_then(duis::DccAlertCode::new);
        let alert = code.map(steps::codes::alert);
        let srv = open.srv;
        let xml = if open.schedule.is_some() {
            let facts = alert.unwrap_or_else(|| AlertTrigger::NotDelivered.alert());
            self.raise_command_failure(&mut entry, id, facts, now);
            None
        } else {
            if let Some(facts) = alert.filter(|_| waited) {
                self.raise_command_failure(&mut entry, id, facts, now);
            }
            match answers::outcome(&self.options.key, id, srv, failure.entry().code, &[], now) {
                Ok(xml) => Some(xml),
                Err(error) => return tracing::error!(request_id = %id, %error, "an outcome could not be made"),
            }
        };
        if let Some(notice) = self.hub_log_notice(id, false) {
            self.raise(&mut entry, &notice, now);
        }
        self.end(id, entry, xml, false, now);
    }

    fn raise_command_failure(
        &mut self,
        entry: &mut Entry,
        id: RequestId,
        facts: &'static steps::codes::AlertFacts,
        now: SimInstant,
    ) {
        let Some(open) = self.open.get(&id) else { return };
        let payload = duis::AlertPayload::CommandFailure {
            request: id,
            schedule: open.schedule,
            device: id.target,
        };
        let notice = Notice {
            facts,
            payload,
            device: Some(id.target),
            requester: Some(open.user),
            request: Some(id),
        };
        self.raise(entry, &notice, now);
    }

    /// The one outcome of a request: out of the open ones, its message into the outbox, in one entry. Without a message it
    /// is part of the entry already.
    pub(super) fn end(
        &mut self,
        id: RequestId,
        mut entry: Entry,
        xml: Option<Bytes>,
        succeeded: bool,
        now: SimInstant,
    ) {
        let Some(open) = self.open.remove(&id) else { return };
        for timer in [Timer::Deadline(id), Timer::Release(id), Timer::SendAgain(id)] {
            self.timers.cancel(&timer);
        }
        if let Stage::Waiting(preceding) = open.stage {
            self.sequences.forget(id, preceding);
        }
        entry.ended.push(id_octets(id));
        if open.in_sequence {
            self.remember_ended(&mut entry, id, succeeded);
        }
        if let Some(xml) = xml {
            let gap = self.options.limits.delivery_gap;
            let not_before = open.acknowledged_left.map(|left| (left + gap).max(now));
            let delivery = self.enqueue(&mut entry, open.user, Some(id), Some(id.target), xml, not_before);
            if not_before.is_none() {
                self.unacknowledged.insert(id, (open.user, delivery));
            }
        }
        self.write(entry, now);
        self.follow_all(id, succeeded, now);
    }

    pub(super) fn remember_ended(&mut self, entry: &mut Entry, id: RequestId, succeeded: bool) {
        let limit = self.options.limits.sequences_remembered;
        self.sequences.ended(id, succeeded, limit);
        entry.sequence_ended.push(SequenceEnded {
            request: id_octets(id),
            succeeded,
        });
    }

    /// Lets the requests go on, or end, that waited for one that has ended; and those that waited for these.
    pub(super) fn follow_all(&mut self, id: RequestId, succeeded: bool, now: SimInstant) {
        self.followed.push_back((id, succeeded));
        if self.following {
            return;
        }
        // One loop instead of one call inside the other: a sequence may be long.
        self.following = true;
        while let Some((id, succeeded)) = self.followed.pop_front() {
            for follower in self.sequences.followers(id) {
                self.follow(follower, succeeded, now);
            }
        }
        self.following = false;
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

/// The alert that goes with a response code where a request was not on demand.
fn alert_of(code: &str) -> Option<&'static steps::codes::AlertFacts> {
    match code {
        "E20" => Some(AlertTrigger::NotDelivered.alert()),
        "E21" | "E30" => Some(AlertTrigger::NoResponse.alert()),
        _ => None,
    }
}

/// Whether a user has no other part in which it may send this than that of a network operator.
fn asks_as_operator(user: &User, srv: Srv) -> bool {
    let Some(row) = steps::table().row(srv) else {
        return false;
    };
    let mut able = user.roles.iter().filter(|role| row.allows(**role)).peekable();
    able.peek().is_some()
        && able.all(|role| matches!(role, UserRole::ElectricityDistributor | UserRole::GasTransporter))
}

/// What the countersignature covers.
fn countersigned(
    id: RequestId,
    open: &Open,
    released: Released,
    records: &Records,
    user: Option<&User>,
) -> Countersigned {
    let for_network_operator = user.is_some_and(|user| asks_as_operator(user, open.srv));
    let goes_along = steps::table().row(open.srv).is_some_and(credentials::goes_along);
    // The record of a device goes along with what is judged by it, as it was before this request counted.
    let record = records.of(id.target).filter(|_| goes_along);
    let record = record.map(|record| credentials::before(record, id.counter));
    Countersigned {
        request_xml: open.xml.clone(),
        supplementary_remote_party_id: open.user.0,
        supplementary_remote_party_counter: id.counter,
        supplementary_originator_counter: released.originator_counter,
        countersigned_at_ms: released.at.0,
        target: Some(TargetFacts {
            device: id.target.0,
            device_kind: released.kind.as_str().to_owned(),
            hub: released.hub.0,
            credentials: record.as_ref().map(world::credentials::to_proto),
            for_network_operator,
        }),
    }
}

/// Whether a payload says that the device did what was asked.
pub(super) fn payload_of(signed: &[u8]) -> Option<duis::Element> {
    match duis::read_signed_response(signed).ok()?.body {
        SignedBody::Response { payload, .. } => payload,
        SignedBody::Alert(_) => None,
    }
}
