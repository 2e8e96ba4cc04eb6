//! Quarantine: acknowledged requests that wait until somebody lets them go on or deletes them.

use domain::{RequestId, SimInstant};
use duis::{AlertPayload, Request};
use prost::Message;
use prost::bytes::Bytes;
use proto::Countersigned;
use steps::Failure;

use super::Core;
use super::notices::Notice;
use crate::anomaly::{self, Anomaly};
use crate::audit::{Event, Record};
use crate::journal::{Entry, QuarantineMessage, id_octets};
use crate::service::Quarantined;
use crate::timers::Timer;

/// What keeps a request in quarantine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Quarantine {
    pub(super) reference: u64,
    pub(super) since: SimInstant,
    pub(super) detail: String,
}

impl Core {
    /// The limit that an admitted request for a device exceeds; without one it is counted.
    pub(super) fn anomaly(&mut self, request: &Request, now: SimInstant) -> Option<Anomaly> {
        self.options.thresholds.judge(&mut self.counts, request, now)
    }

    /// Puts a request that was just acknowledged into quarantine and tells its user.
    pub(super) fn quarantine(&mut self, id: RequestId, anomaly: Anomaly, now: SimInstant) {
        self.quarantines += 1;
        let reference = self.quarantines;
        let Anomaly { breach, detail } = anomaly;
        let message = QuarantineMessage {
            request: id_octets(id),
            reference,
            detail: detail.clone(),
            ended: false,
        };
        let record = Record {
            detail: format!("quarantine {reference}: {detail}"),
            ..Record::new(Event::Quarantined, now).about(id, self.open.get(&id).map(|open| open.srv))
        };
        self.entries.push(Entry {
            audits: vec![record.to_message()],
            quarantine: Some(message.clone()),
            ..Entry::at(now)
        });
        self.take_quarantine(message, now);
        // It waits for people: the limit counts from its release.
        self.timers.cancel(&Timer::Deadline(id));
        let notice = Notice {
            trigger: anomaly::trigger(breach),
            payload: AlertPayload::QuarantinedRequest {
                breach,
                request: id,
                reference,
            },
            request: Some(id),
            device: Some(id.target),
        };
        self.notify([id.originator], &notice, now);
    }

    /// What the journal says of a quarantine; also called when it begins and ends.
    pub(super) fn take_quarantine(&mut self, message: QuarantineMessage, at: SimInstant) {
        self.quarantines = self.quarantines.max(message.reference);
        let Some(id) = crate::journal::read_id(&message.request) else {
            return;
        };
        if let Some(open) = self.open.get_mut(&id) {
            open.quarantine = (!message.ended).then_some(Quarantine {
                reference: message.reference,
                since: at,
                detail: message.detail,
            });
        }
    }

    /// All requests in quarantine, by their number.
    pub(super) fn quarantined(&self) -> Vec<Quarantined> {
        let mut all: Vec<_> = self
            .open
            .iter()
            .filter_map(|(id, open)| {
                let quarantine = open.quarantine.as_ref()?;
                Some(Quarantined {
                    reference: quarantine.reference,
                    request: *id,
                    srv: open.srv,
                    since: quarantine.since,
                    detail: quarantine.detail.clone(),
                })
            })
            .collect();
        all.sort_by_key(|one| one.reference);
        all
    }

    /// Lets a request go on, or deletes it: then it ends with the code of the class. False when there is none of the number.
    pub(super) fn end_quarantine(&mut self, reference: u64, release: bool, now: SimInstant) -> bool {
        let found = self.open.iter().find(|(_, open)| {
            let quarantine = open.quarantine.as_ref();
            quarantine.is_some_and(|quarantine| quarantine.reference == reference)
        });
        let Some((id, open)) = found else { return false };
        let (id, srv) = (*id, open.srv);
        let message = QuarantineMessage {
            request: id_octets(id),
            reference,
            detail: String::new(),
            ended: true,
        };
        let word = if release { "released" } else { "deleted" };
        let record = Record {
            detail: format!("quarantine {reference}: {word}"),
            ..Record::new(Event::QuarantineEnded, now).about(id, Some(srv))
        };
        self.entries.push(Entry {
            audits: vec![record.to_message()],
            quarantine: Some(message.clone()),
            ..Entry::at(now)
        });
        self.take_quarantine(message, now);
        if !release {
            self.fail(id, Failure::Quarantined, now);
            return true;
        }
        self.timers
            .set(Timer::Deadline(id), now + self.options.limits.outcome_limit);
        if let Some(open) = self.open.get_mut(&id) {
            open.countersigned = dated(&open.countersigned, now);
            if open.acknowledged_left.is_some() {
                self.send_to_s1sp(id, now);
            }
        }
        true
    }
}

/// The octets to countersign with another time: those of long ago are not fresh to the DCO.
fn dated(countersigned: &Bytes, now: SimInstant) -> Bytes {
    match Countersigned::decode(countersigned.clone()) {
        Ok(inner) => Countersigned {
            countersigned_at_ms: now.0,
            ..inner
        }
        .encode_to_vec()
        .into(),
        Err(_) => countersigned.clone(),
    }
}
