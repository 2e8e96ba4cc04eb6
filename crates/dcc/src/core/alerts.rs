//! Alerts: what devices and the S1SP report by themselves, what the DCC raises itself, and who is told.

use std::collections::BTreeSet;

use domain::{Eui64, RequestId, SimInstant, UserRole};
use duis::{AlertPayload, ResponseHeader, SignedBody, Throttled};
use prost::Message;
use prost::bytes::Bytes;
use proto::{Envelope, S1spAlert};
use steps::codes::{AlertFacts, AlertTrigger, Recipient};

use super::{Core, Stage};
use crate::answers;
use crate::audit::{Event, Record};
use crate::journal::{AlertTaken, Entry, HeldBack, SummedUp};
use crate::options::ALERTS_REMEMBERED;
use crate::throttle::AlertKind;
use crate::timers::Timer;

/// An alert of the DCC itself.
pub(super) struct Notice {
    pub(super) facts: &'static AlertFacts,
    pub(super) payload: AlertPayload,
    /// The device it is about: its parties are told.
    pub(super) device: Option<Eui64>,
    /// Who sent the request it is about, or owns the schedule.
    pub(super) requester: Option<Eui64>,
    pub(super) request: Option<RequestId>,
}

impl Notice {
    pub(super) fn new(trigger: AlertTrigger, payload: AlertPayload) -> Self {
        Self {
            facts: trigger.alert(),
            payload,
            device: None,
            requester: None,
            request: None,
        }
    }

    pub(super) fn about(self, device: Eui64) -> Self {
        Self {
            device: Some(device),
            ..self
        }
    }

    pub(super) fn to(self, requester: Eui64) -> Self {
        Self {
            requester: Some(requester),
            ..self
        }
    }

    pub(super) fn because_of(self, request: RequestId) -> Self {
        Self {
            request: Some(request),
            ..self
        }
    }
}

/// What an alert of an S1SP says that matters here.
struct Reported {
    code: String,
    /// The device did what a future-dated request had asked for.
    done: bool,
    /// The schedule it concerns.
    schedule: Option<u64>,
}

/// Alert codes with which a device ends a future-dated request.
const ACTIONED: u16 = 0x8F66;

impl Core {
    /// Raises an alert as part of an entry: into the outboxes of everybody it concerns.
    pub(super) fn raise(&mut self, entry: &mut Entry, notice: &Notice, now: SimInstant) {
        let mut users = BTreeSet::new();
        for recipient in &notice.facts.to {
            match (recipient, notice.device) {
                (Recipient::Requester, _) => users.extend(notice.requester),
                (_, Some(device)) => users.extend(self.registered(device, recipient.roles(), now)),
                (_, None) => {}
            }
        }
        let code = notice.facts.code;
        let element = notice.payload.element();
        let mut told = Vec::new();
        for user in users {
            if self.options.directory.user(user).is_none() {
                continue;
            }
            let id = self.own_id(user);
            let made = duis::write::dcc_alert(&ResponseHeader::alert(id, now), code, None, &element);
            match made {
                Ok(xml) => {
                    let kind = AlertKind {
                        user,
                        device: notice.device.unwrap_or_default(),
                        code: code.to_string(),
                    };
                    self.tell(entry, kind, notice.request, xml.into(), now);
                    told.push(user.to_string());
                }
                Err(error) => tracing::error!(%code, %error, "an alert could not be made"),
            }
        }
        let to = if told.is_empty() {
            "nobody".to_owned()
        } else {
            told.join(", ")
        };
        let record = Record {
            request: notice.request,
            device: notice.device,
            user: notice.requester,
            code: Some(code.to_string()),
            detail: format!("{}, to {to}", notice.facts.text),
            confidence: Some(notice.facts.confidence),
            ..Record::new(Event::DccAlert, now)
        };
        entry.audits.push(record.to_message());
    }

    /// Puts an alert into an outbox, or holds it back.
    fn tell(&mut self, entry: &mut Entry, kind: AlertKind, request: Option<RequestId>, xml: Bytes, now: SimInstant) {
        if !self.throttle.passes(&kind, &xml, now, &self.options.limits) {
            let (count, until) = self.throttle.held_back(&kind).unwrap_or((0, now));
            entry.held_back.push(HeldBack {
                user: kind.user.0,
                device: kind.device.0,
                code: kind.code.clone(),
                until_ms: until.0,
                count,
                xml,
            });
            let record = Record {
                user: Some(kind.user),
                device: Some(kind.device).filter(|device| *device != Eui64::default()),
                code: Some(kind.code),
                detail: format!("{count} until {until}"),
                ..Record::new(Event::HeldBack, now)
            };
            entry.audits.push(record.to_message());
            return self.watch_throttling();
        }
        match answers::signed(&self.options.key, &xml) {
            Ok(signed) => drop(self.enqueue(entry, kind.user, request, Some(kind.device), signed, Some(now))),
            Err(error) => tracing::error!(code = kind.code, %error, "an alert could not be signed"),
        }
    }

    pub(super) fn watch_throttling(&mut self) {
        match self.throttle.next_end() {
            Some(at) => self.timers.set(Timer::Throttle, at),
            None => drop(self.timers.cancel(&Timer::Throttle)),
        }
    }

    /// Sends the alerts that stand for those held back.
    pub(super) fn end_throttling(&mut self, now: SimInstant) {
        let mut entry = Entry::at(now);
        for summary in self.throttle.over(now) {
            let throttled = Throttled {
                sequence: summary.sequence,
                count: summary.count,
            };
            entry.summed_up.push(SummedUp {
                user: summary.kind.user.0,
                device: summary.kind.device.0,
                code: summary.kind.code.clone(),
                sequence: summary.sequence,
            });
            match answers::summary(&self.options.key, &summary.xml, throttled) {
                Ok(xml) => {
                    let (user, device) = (summary.kind.user, Some(summary.kind.device));
                    self.enqueue(&mut entry, user, None, device, xml, Some(now));
                }
                Err(error) => tracing::error!(%error, "a summary of alerts could not be made"),
            }
        }
        self.write(entry, now);
        self.watch_throttling();
    }

    /// An alert the S1SP passes on.
    pub(super) fn alerted(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(alert) = S1spAlert::decode(envelope.body.clone()) else {
            return tracing::warn!("an S1SP alert that is none");
        };
        self.confirm(envelope, envelope.trace_id.clone());
        let device = Eui64(alert.device);
        if !self.remember_alert(device, alert.counter) {
            return;
        }
        let mut entry = Entry {
            alert: Some(AlertTaken {
                device: device.0,
                counter: alert.counter,
            }),
            ..Entry::at(now)
        };
        let passed_on = alert.is_s1sp_alert.then(|| AlertTrigger::S1spAlert.alert());
        let record = Record {
            device: Some(device),
            hop: "s1sp".to_owned(),
            code: Some(passed_on.map_or("I0", |facts| facts.code.as_str()).to_owned()),
            confidence: passed_on.map(|facts| facts.confidence),
            ..Record::new(Event::Alert, now)
        };
        let reported = match self.reported(&alert) {
            Ok(reported) => reported,
            // Signed by the S1SP or not: a real client's schema check would refuse it.
            Err(error) => {
                tracing::warn!(%device, error, "an alert that cannot be passed on");
                let record = Record {
                    detail: error,
                    ..record
                };
                return self.write(entry.noting(&record), now);
            }
        };
        // The outcome of a future-dated request is for whoever sent it.
        let settles = alert.request_id.parse::<RequestId>().ok();
        let settles = settles.filter(|id| matches!(self.open.get(id).map(|open| open.stage), Some(Stage::Accepted(_))));
        let mut recipients = match alert.user {
            0 => self.recipients(device, now),
            user => BTreeSet::from([Eui64(user)]),
        };
        recipients.extend(settles.map(|id| id.originator));
        let made = self.pass_on(&mut entry, &alert, &reported, &recipients, now);
        let record = Record {
            user: recipients.first().copied(),
            request: settles,
            detail: match made {
                Err(error) => error.to_string(),
                Ok(()) if recipients.is_empty() => "nobody is registered for it".to_owned(),
                Ok(()) => {
                    let users: Vec<_> = recipients.iter().map(Eui64::to_string).collect();
                    format!("{} to {}", reported.code, users.join(", "))
                }
            },
            ..record
        };
        let entry = entry.noting(&record);
        match settles {
            Some(id) => {
                let outcome = self.about(Event::Outcome, id, now);
                let outcome = Record {
                    hop: "s1sp".to_owned(),
                    code: Some(reported.code),
                    ..outcome
                };
                self.end(id, entry.noting(&outcome), None, reported.done, now);
            }
            None => self.write(entry, now),
        }
    }

    fn pass_on(
        &mut self,
        entry: &mut Entry,
        alert: &S1spAlert,
        reported: &Reported,
        recipients: &BTreeSet<Eui64>,
        now: SimInstant,
    ) -> Result<(), answers::MakeError> {
        let device = Eui64(alert.device);
        for user in recipients.iter().copied() {
            let xml = if alert.is_s1sp_alert {
                answers::s1sp_alert(self.own_id(user), reported.schedule, &alert.signed_xml, now)?
            } else {
                let id = RequestId {
                    originator: device,
                    target: user,
                    counter: alert.counter,
                };
                answers::device_alert(id, &alert.signed_xml, now)?
            };
            let code = reported.code.clone();
            self.tell(entry, AlertKind { user, device, code }, None, xml, now);
        }
        Ok(())
    }

    fn reported(&self, alert: &S1spAlert) -> Result<Reported, String> {
        if alert.is_s1sp_alert {
            let read = duis::read_s1sp_alert(&alert.signed_xml).map_err(|error| error.to_string())?;
            let run = read.request_id.filter(|id| id.originator == self.options.eui);
            let of_device = self.schedules.of_device(Eui64(alert.device));
            let schedule = run.and_then(|run| of_device.into_iter().find(|one| one.last_run == Some(run.counter)));
            return Ok(Reported {
                schedule: schedule.map(|one| one.id),
                code: read.code,
                done: false,
            });
        }
        let read = duis::read_signed_response(&alert.signed_xml).map_err(|error| error.to_string())?;
        let SignedBody::Alert(content) = read.body else {
            return Err("a response in place of an alert".to_owned());
        };
        Ok(Reported {
            done: content.code == Some(ACTIONED),
            code: match content.code {
                Some(code) => format!("{code:04X}"),
                None => content.description.unwrap_or_default(),
            },
            schedule: None,
        })
    }

    /// Whom alerts of a device go to, each once, in order of their EUI-64: the suppliers notified for critical requests,
    /// even when registration has gone on to somebody else (inferred); where no record says who, the registered ones.
    fn recipients(&self, device: Eui64, now: SimInstant) -> BTreeSet<Eui64> {
        let notified = self.notified_suppliers(device);
        if !notified.is_empty() {
            return notified;
        }
        self.registered(device, &[UserRole::ImportSupplier, UserRole::GasSupplier], now)
    }

    /// The users registered in these roles for what is behind the device, each once, in order of their EUI-64.
    pub(super) fn registered(&self, device: Eui64, roles: &[UserRole], now: SimInstant) -> BTreeSet<Eui64> {
        let Some(device) = self.options.inventory.device(device) else {
            return BTreeSet::new();
        };
        let points = self.options.inventory.metering_points(device);
        let pairs = points
            .into_iter()
            .flat_map(|mpxn| roles.iter().map(move |role| (mpxn, *role)));
        pairs
            .filter_map(|(mpxn, role)| self.options.directory.registered(mpxn, role, now))
            .collect()
    }

    /// The id of the DCC's next message of its own to a user.
    pub(super) fn own_id(&mut self, user: Eui64) -> RequestId {
        RequestId {
            originator: self.options.eui,
            target: user,
            counter: self.outboxes.entry(user).or_default().next_id(),
        }
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
