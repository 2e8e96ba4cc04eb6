//! Operations that go as the payload of a text message, where a family has that: no connection is opened for them.

use std::collections::BTreeMap;

use bytes::Bytes;
use dialects::text_message::{self, Told};
use domain::{Association, DeviceKind, Eui64, Execution};
use proto::{Kind, WanSms};

use crate::counters::Counter;
use crate::hub::{Event, Fault, HubTask, Reached, wan_closed};
use crate::job::{Failure, FailureKind, Job};
use crate::session_keys::{FRAMES_AHEAD, SessionKeys};

impl HubTask {
    /// Tries a job by text message; `None` where it has to go over a connection.
    ///
    /// A read that gets no answer is tried over a connection; what changes a device is not, since it may have been done.
    pub(crate) async fn by_text(&mut self, job: &Job, association: Association) -> Result<Option<Reached>, Fault> {
        let Some(wan) = self.text_profile().filter(|_| text_message::is_small(&job.operation)) else {
            return Ok(None);
        };
        let Some(keys) = self.site.slot(job.slot).map(|device| device.keys) else {
            return Ok(None);
        };
        let associations = [association, association.critical()];
        for association in associations {
            let counter = Counter::frames(job.device, keys.number, association);
            let reserved = self.shared.counters().reserve(counter, FRAMES_AHEAD);
            reserved.map_err(|error| Fault::Final(Failure::before(FailureKind::Stopped, error.to_string())))?;
        }
        self.last_reference = self.last_reference.wrapping_add(1);
        let reference = self.last_reference;
        let approval = job.approval.as_ref();
        let text = self.with_keys(|keys| {
            let to = (job.slot, job.device);
            text_message::ask(keys, to, association, &job.operation, approval, reference)
        });
        let Some(payload) = text.and_then(|text| text.map(Bytes::from)) else {
            return Ok(None);
        };
        let sms = WanSms {
            hub: self.site.hub.0,
            head_end: self.shared.name.clone(),
            payload,
        };
        self.events.clear();
        self.shared
            .send(&self.trace_id, Kind::WanSms, &sms)
            .await
            .map_err(|_| wan_closed())?;
        self.shared.texts.note(self.site.hub, self.now(), &wan);
        let until = (self.now() + self.shared.options.answer_within).min(job.deadline);
        loop {
            match self.next(until).await {
                Event::Text(answered, told) if answered == reference => {
                    return Ok(match told {
                        Told::Execution(Execution::Finished(outcome)) => Some(Reached::Outcome(outcome)),
                        Told::Execution(Execution::Queued(ticket)) => Some(Reached::Ticket(ticket)),
                        Told::TooLong => None,
                    });
                }
                Event::Stopped => return Err(Fault::Stopped),
                Event::TimedOut if job.operation.changes_state() => {
                    let reason = format!(
                        "no text message answered: {} {} {}",
                        job.slot, job.device, job.operation
                    );
                    return Err(Fault::Again(Failure::after(FailureKind::NoResponse, reason)));
                }
                Event::TimedOut => return Ok(None),
                _ => {}
            }
        }
    }

    /// What the hub's profile says of its text messages; `None` where they carry no operations.
    fn text_profile(&self) -> Option<dmc::WanProfile> {
        let chf = self.site.slot(DeviceKind::Chf)?;
        chf.profile.face.text_messages.then(|| chf.profile.wan.clone())
    }

    /// Takes a text message of the hub.
    pub(crate) fn text(&mut self, octets: &[u8]) {
        let devices: BTreeMap<DeviceKind, Eui64> = self
            .site
            .devices
            .iter()
            .map(|device| (device.slot, device.id))
            .collect();
        match self.with_keys(|keys| text_message::told(keys, &devices, octets)) {
            Some(Some((reference, told))) => {
                self.save_seen();
                self.events.push_back(Event::Text(reference, told));
            }
            // Twice, out of order, or nobody's: networks do that.
            _ => tracing::debug!(hub = %self.site.hub, "a text message that says nothing new"),
        }
    }

    /// Runs `act` with this operator's keys, outside any connection; `None` when no counter could be had.
    fn with_keys<R>(&mut self, act: impl FnOnce(&mut SessionKeys<'_>) -> R) -> Option<R> {
        // Text messages need no challenge.
        let mut challenges = (self.shared.world.seed, 0);
        let mut keys = SessionKeys {
            shared: &self.shared,
            site: &self.site,
            challenges: &mut challenges,
            broken: None,
        };
        let result = act(&mut keys);
        match keys.broken {
            None => Some(result),
            Some(error) => {
                tracing::error!(hub = %self.site.hub, %error, "no counter to be had");
                let failure = Failure::before(FailureKind::Stopped, error.to_string());
                self.events.push_back(Event::Failed(Fault::Final(failure)));
                None
            }
        }
    }
}
