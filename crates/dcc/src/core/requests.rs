//! Requests of users: admitted, refused, answered by the DCC itself, or acknowledged for the S1SP.

use domain::{RequestId, SimInstant, Srv};
use duis::Request;
use prost::Message;
use prost::bytes::Bytes;
use proto::{Countersigned, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind, TargetFacts};
use steps::Failure;

use super::{Core, Effect, Open};
use crate::answers;
use crate::audit::{Event, Record};
use crate::front_door::{FrontDoor, Refused};
use crate::inventory::Device;
use crate::journal::{Acknowledged, DeviceMessage, Entry, id_octets};
use crate::timers::Timer;

impl Core {
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
        let request = admitted.request;
        let anomaly = self.anomaly(&request, now);
        self.acknowledge(port, &envelope, &request, facts, posted.xml, now);
        if let Some(anomaly) = anomaly.filter(|_| self.open.contains_key(&id)) {
            self.quarantine(id, anomaly, now);
        }
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
            audits: vec![record.to_message()],
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
            audits: vec![record.to_message()],
            counter_used: Some(id_octets(id)),
            devices: answer.device.as_ref().map(DeviceMessage::of).into_iter().collect(),
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
        request: &Request,
        mut facts: TargetFacts,
        xml: Bytes,
        now: SimInstant,
    ) {
        let (id, srv) = (request.id, request.srv);
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
        let counted = steps::table()
            .row(srv)
            .and_then(|row| self.count_credentials(request, row));
        let (before, credentials) = counted.unzip();
        facts.credentials = before.as_ref().map(world::credentials::to_proto);
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
            audits: vec![record.to_message()],
            counter_used: Some(id_octets(id)),
            acknowledged: Some(Acknowledged {
                request: id_octets(id),
                srv: srv.to_string(),
                countersigned: countersigned.clone(),
                originator_counter,
            }),
            credentials,
            ..Entry::at(now)
        });
        self.open.insert(
            id,
            Open {
                srv,
                countersigned,
                acknowledged_left: None,
                attempts: 0,
                change: steps::credentials::change(request, now).ok().flatten(),
                quarantine: None,
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
}

/// What the S1SP needs to know of the target.
fn facts(device: &Device) -> TargetFacts {
    TargetFacts {
        device: device.id.0,
        device_kind: device.kind.as_str().to_owned(),
        hub: device.hub.unwrap_or_default().0,
        credentials: None,
    }
}
