//! Quarantine: acknowledged requests that wait until somebody lets them go on or deletes them.

use domain::{RequestId, SimInstant};
use duis::{AlertPayload, Request};
use steps::Failure;

use super::alerts::Notice;
use super::{Core, Stage};
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

    /// Puts a request that is just acknowledged into quarantine, as part of its entry, and tells its user.
    pub(super) fn quarantine(&mut self, entry: &mut Entry, id: RequestId, anomaly: Anomaly, now: SimInstant) {
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
            ..self.about(Event::Quarantined, id, now)
        };
        entry.audits.push(record.to_message());
        entry.quarantine = Some(message.clone());
        self.take_quarantine(message, now);
        let payload = AlertPayload::QuarantinedRequest {
            breach,
            request: id,
            reference,
        };
        let notice = Notice::new(anomaly::trigger(breach), payload).to(id.originator);
        self.raise(entry, &notice.about(id.target).because_of(id), now);
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
        let (id, stage) = (*id, open.stage);
        let message = QuarantineMessage {
            request: id_octets(id),
            reference,
            detail: String::new(),
            ended: true,
        };
        let word = if release { "released" } else { "deleted" };
        let record = Record {
            detail: format!("quarantine {reference}: {word}"),
            ..self.about(Event::QuarantineEnded, id, now)
        };
        let mut entry = Entry::at(now).noting(&record);
        entry.quarantine = Some(message.clone());
        self.write(entry, now);
        self.take_quarantine(message, now);
        match stage {
            _ if !release => self.fail(id, Failure::Quarantined, now),
            Stage::Held(at) if at > now => self.timers.set(Timer::Release(id), at),
            Stage::Held(_) => self.release(id, now),
            _ => {}
        }
        true
    }
}
