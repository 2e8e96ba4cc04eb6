//! Requests of users: admitted, refused, answered by the DCC itself, or acknowledged for the S1SP.

use domain::{RequestId, SimInstant};
use duis::{Request, ResponseCode};
use prost::Message;
use prost::bytes::Bytes;
use proto::{DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind};
use steps::Failure;

use super::held::When;
use super::{Concern, Core, Effect, Open, Stage};
use crate::answers;
use crate::audit::{Event, Record};
use crate::front_door::{Denied, FrontDoor, Refused};
use crate::inventory::Device;
use crate::journal::{Acknowledged, Entry, id_octets};
use crate::services::{self, Answer, Scene};
use crate::timers::Timer;

/// Where a request came from, to be replied to.
struct Caller {
    port: usize,
    envelope: Envelope,
}

impl Caller {
    /// The request as it was received; nothing where the message was none.
    fn xml(&self) -> Bytes {
        DuisRequest::decode(self.envelope.body.clone()).unwrap_or_default().xml
    }
}

impl Core {
    /// A message on a user's link.
    pub(crate) fn user_message(&mut self, port: usize, envelope: Envelope, now: SimInstant) {
        match envelope.kind() {
            Kind::DuisRequest => self.request(&Caller { port, envelope }, now),
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

    fn request(&mut self, caller: &Caller, now: SimInstant) {
        // Octets that are no message are a request without XML: refused and recorded as malformed.
        let posted = DuisRequest::decode(caller.envelope.body.clone()).unwrap_or_default();
        let door = FrontDoor {
            eui: self.options.eui,
            certificates: &*self.options.certificates,
            trust: &self.options.trust,
            credentials: &self.options.credentials,
            directory: &self.options.directory,
            inventory: &self.options.inventory,
            counters: &self.counters,
            limits: &self.options.limits,
            open_requests: self.open.len(),
            is_open: &|id| self.open.contains_key(&id),
            now,
        };
        let admitted = match door.admit(&posted.path, &posted.xml) {
            Ok(admitted) => admitted,
            Err(refused) => return self.refuse(caller, refused, now),
        };
        let request = admitted.request;
        let warning = admitted.warning.map(|detail| Record {
            detail,
            ..Record::new(Event::Warned, now).about(request.id, Some(request.srv))
        });
        let device = admitted.device.map(|device| device.id);
        if let Some(record) = warning {
            self.warn(&record, now);
        }
        let judged = match device {
            None => self.own_answer(caller, &request, now),
            Some(_) => self.ask_device(caller, &request, posted.xml, now),
        };
        if let Err(Denied(failure, detail)) = judged {
            let refused = Refused {
                failure,
                request: Some(request.id),
                srv: Some(request.srv),
                detail,
                counter_used: true,
            };
            self.refuse(caller, refused, now);
        }
    }

    /// Notes what a request is taken in spite of.
    fn warn(&mut self, record: &Record, now: SimInstant) {
        self.entries.push(Entry::at(now).noting(record));
    }

    /// A request that the DCC answers itself.
    fn own_answer(&mut self, caller: &Caller, request: &Request, now: SimInstant) -> Result<(), Denied> {
        if let Some(preceding) = self.predecessor(request)? {
            // The answer is due at once, so it cannot wait.
            let detail = format!("{preceding} has not ended yet");
            return Err(Denied(Failure::Sequence, detail));
        }
        let user = self.options.directory.user(request.id.originator);
        let row = steps::table().row(request.srv);
        let (Some(user), Some(row)) = (user, row) else {
            return Err(Denied(Failure::Internal, "admitted without user or row".to_owned()));
        };
        let scene = Scene {
            request,
            user,
            row,
            access: self.access(),
            inventory: &self.options.inventory,
            products: &self.options.products,
            wan: &self.options.wan_matrix,
            schedules: &self.schedules,
            images: &self.images,
            limits: &self.options.limits,
            now,
        };
        let answer = services::answer(&scene)?;
        self.answer(caller, request, answer, now)
    }

    fn answer(&mut self, caller: &Caller, request: &Request, answer: Answer, now: SimInstant) -> Result<(), Denied> {
        let (id, srv) = (request.id, request.srv);
        let reply = answers::Reply {
            request: Some(id),
            srv: Some(srv),
            code: answer.code.as_str(),
            payload: answer.payload.as_ref(),
            schema_version: answer.schema_version.as_deref(),
        };
        let made = reply
            .made(&self.options.key, now)
            .map_err(|error| Denied(Failure::Internal, error.to_string()))?;
        let record = Record::new(Event::Answered, now)
            .about(id, Some(srv))
            .with_request(&caller.xml());
        let record = Record {
            // What it names is the device the record is about, not the DCC it was sent to.
            device: answer.subject.or(record.device),
            code: Some(answer.code.to_string()),
            detail: answer.detail,
            ..record
        };
        self.counters.insert((id.originator, id.target), id.counter);
        let mut entry = Entry {
            counter_used: Some(id_octets(id)),
            ..Entry::at(now).noting(&record)
        };
        if request.first_in_sequence == Some(true) || request.preceding.is_some() {
            self.remember_ended(&mut entry, id, true);
        }
        for change in answer.changes {
            self.change(&mut entry, change, id, now);
        }
        self.write(entry, now);
        self.reply(caller, 200, made, None);
        self.follow_all(id, true, now);
        Ok(())
    }

    /// A request to a device.
    fn ask_device(&mut self, caller: &Caller, request: &Request, xml: Bytes, now: SimInstant) -> Result<(), Denied> {
        let target = self.options.inventory.device(request.id.target);
        let (Some(device), Some(row)) = (target, steps::table().row(request.srv)) else {
            return Err(Denied(Failure::Internal, "admitted without device or row".to_owned()));
        };
        let concern = Concern::of(request, device, &self.options.inventory)?;
        if concern == Some(Concern::Commission) {
            self.check_combination(device, now)?;
        }
        let when = self.when(request, row, device, now)?;
        let made = answers::Reply {
            request: Some(request.id),
            srv: Some(request.srv),
            code: ResponseCode::I99.as_str(),
            payload: None,
            schema_version: None,
        }
        .made(&self.options.key, now)
        .map_err(|error| Denied(Failure::Internal, error.to_string()))?;
        let device = device.clone();
        let anomaly = self.anomaly(request, now).filter(|_| when != When::Cancel);
        let mut entry = self.acknowledge(request, xml, when, concern, now);
        match anomaly {
            Some(anomaly) => self.quarantine(&mut entry, request.id, anomaly, now),
            None if matches!(when, When::Now(_)) => self.hand_over(&mut entry, request.id, now),
            None => {}
        }
        self.reply(caller, 200, made, Some(request.id));
        match when {
            When::Cancel => self.cancel(request, &device, entry, now),
            _ => self.write(entry, now),
        }
        Ok(())
    }

    /// Takes a request in hand, on its way as far as it may go now. Gives what the journal is to have of it.
    fn acknowledge(
        &mut self,
        request: &Request,
        xml: Bytes,
        when: When,
        concern: Option<Concern>,
        now: SimInstant,
    ) -> Entry {
        let (id, srv) = (request.id, request.srv);
        let (stage, dated) = match when {
            When::After(preceding, dated) => (Stage::Waiting(preceding), dated),
            When::Held(at) => (Stage::Held(at), Some(at)),
            // Held for this moment only: what follows lets it go or ends it.
            When::Now(dated) => (Stage::Held(now), dated),
            When::Cancel => (Stage::Held(now), None),
        };
        let open = Open {
            srv,
            user: id.originator,
            schedule: None,
            at: now,
            xml: xml.clone(),
            stage,
            acknowledged_left: None,
            attempts: 0,
            concern,
            credentials: Self::asked_change(request, now),
            dated,
            in_sequence: request.first_in_sequence == Some(true) || request.preceding.is_some(),
            quarantine: None,
        };
        self.open.insert(id, open);
        self.counters.insert((id.originator, id.target), id.counter);
        let record = Record {
            code: Some(ResponseCode::I99.to_string()),
            ..self.about(Event::Acknowledged, id, now)
        };
        let mut entry = Entry {
            counter_used: Some(id_octets(id)),
            credentials: self.count_credentials(request),
            ..Entry::at(now).noting(&record)
        };
        let mut acknowledged = Acknowledged {
            request: id_octets(id),
            srv: srv.to_string(),
            xml,
            held_until_ms: dated.map(|at| at.0),
            ..Acknowledged::default()
        };
        let held = self.about(Event::Held, id, now);
        match when {
            When::Held(at) => {
                let detail = format!("until {at}");
                entry = entry.noting(&Record { detail, ..held });
                self.timers.set(Timer::Release(id), at);
            }
            When::After(preceding, _) => {
                let detail = format!("for {preceding}");
                entry = entry.noting(&Record { detail, ..held });
                acknowledged.preceding = Some(id_octets(preceding));
                self.sequences.wait(id, preceding);
                let limit = now + self.options.limits.sequence_wait;
                self.timers.set(Timer::Deadline(id), limit);
            }
            When::Now(_) | When::Cancel => {}
        }
        entry.acknowledged = Some(acknowledged);
        entry
    }

    /// Cancels what is held. What the device may hold is for the device to cancel.
    fn cancel(&mut self, request: &Request, device: &Device, mut entry: Entry, now: SimInstant) {
        let id = request.id;
        let (cancelled, pass_on) = self.cancel_held(request, device, now);
        if pass_on {
            self.hand_over(&mut entry, id, now);
            return self.write(entry, now);
        }
        let record = Record {
            code: Some(ResponseCode::I0.to_string()),
            detail: format!("cancelled {cancelled}"),
            ..self.about(Event::Outcome, id, now)
        };
        match answers::outcome(&self.options.key, id, request.srv, "I0", &[], now) {
            Ok(xml) => self.end(id, entry.noting(&record), Some(xml), true, now),
            Err(error) => tracing::error!(request_id = %id, %error, "an outcome could not be made"),
        }
    }

    fn refuse(&mut self, caller: &Caller, refused: Refused, now: SimInstant) {
        let Refused {
            failure,
            request,
            srv,
            detail,
            counter_used,
        } = refused;
        let entry = failure.entry();
        // The claimed originator only where its signature was proved; before that, whose link it came on.
        let user = if counter_used {
            request.map(|id| id.originator)
        } else {
            self.ports.get(caller.port).copied()
        };
        let forward = failure == Failure::ForwardFailed;
        let record = if forward {
            // The code stands in a reply that is only for the case that the other system does not answer.
            Record::new(Event::Forwarded, now)
        } else {
            Record::new(Event::Refused, now).failing(failure)
        };
        let record = Record {
            request,
            srv,
            detail,
            user,
            device: request.map(|id| id.target),
            ..record
        }
        .with_request(&caller.xml());
        let used = request.filter(|_| counter_used);
        if let Some(id) = used {
            self.counters.insert((id.originator, id.target), id.counter);
        }
        let refusal = Entry {
            counter_used: used.map(id_octets),
            ..Entry::at(now).noting(&record)
        };
        self.write(refusal, now);
        let reply = answers::Reply {
            request,
            srv,
            code: entry.code,
            payload: None,
            schema_version: None,
        };
        match reply.made(&self.options.key, now) {
            Ok(xml) => {
                let reply = DuisReply {
                    http_status: u32::from(entry.http),
                    xml,
                    forward,
                };
                self.send_reply(caller, reply, None);
            }
            Err(error) => {
                tracing::error!(%error, trace_id = caller.envelope.trace_id, "a reply could not be made");
                self.reply(caller, 500, Bytes::new(), None);
            }
        }
    }

    fn reply(&mut self, caller: &Caller, http_status: u32, xml: Bytes, acknowledges: Option<RequestId>) {
        let reply = DuisReply {
            http_status,
            xml,
            forward: false,
        };
        self.send_reply(caller, reply, acknowledges);
    }

    fn send_reply(&mut self, caller: &Caller, reply: DuisReply, acknowledges: Option<RequestId>) {
        let envelope = &caller.envelope;
        let trace_id = acknowledges.map_or_else(|| envelope.trace_id.clone(), |id| id.to_string());
        self.effects.push(Effect::ToUser {
            port: caller.port,
            envelope: Envelope {
                trace_id,
                in_reply_to: envelope.id,
                ..Envelope::default()
            },
            kind: Kind::DuisReply,
            body: reply.encode_to_vec(),
            acknowledges,
        });
    }
}
