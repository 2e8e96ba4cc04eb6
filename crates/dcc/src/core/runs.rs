//! Schedules: made, run, removed.

use domain::{Eui64, RequestId, SimInstant};
use duis::{AlertPayload, Request};
use prost::bytes::Bytes;
use steps::Failure;
use steps::codes::AlertTrigger;

use super::alerts::Notice;
use super::{Core, Open, Stage};
use crate::audit::{Event, Record};
use crate::front_door::Denied;
use crate::journal::{Acknowledged, Entry, ScheduleMessage, id_octets};
use crate::schedules::Schedule;
use crate::timers::Timer;

impl Core {
    pub(super) fn create_schedule(&mut self, entry: &mut Entry, schedule: Schedule, by: RequestId, now: SimInstant) {
        let record = Record {
            device: Some(schedule.device),
            request: Some(by),
            user: Some(schedule.owner),
            srv: Some(schedule.srv),
            detail: format!("schedule {}", schedule.id),
            ..Record::new(Event::ScheduleCreated, now)
        };
        entry.audits.push(record.to_message());
        entry.schedules.push(ScheduleMessage::of(&schedule));
        if let Some(at) = schedule.next {
            self.timers.set(Timer::Schedule(schedule.id), at);
        }
        self.schedules.put(schedule);
    }

    /// A schedule ends; where somebody else ended it, its owner is told why.
    pub(super) fn remove_schedule(&mut self, entry: &mut Entry, id: u64, why: Option<AlertTrigger>, now: SimInstant) {
        let Some(schedule) = self.schedules.remove(id) else {
            return;
        };
        self.timers.cancel(&Timer::Schedule(id));
        entry.schedules.retain(|message| message.id != id);
        entry.schedules_removed.push(id);
        let record = Record {
            device: Some(schedule.device),
            user: Some(schedule.owner),
            srv: Some(schedule.srv),
            detail: match why {
                Some(why) => format!("schedule {id}: {}", why.alert().text),
                None => format!("schedule {id}"),
            },
            ..Record::new(Event::ScheduleRemoved, now)
        };
        entry.audits.push(record.to_message());
        if let Some(why) = why {
            let payload = AlertPayload::ScheduleRemoval {
                device: schedule.device,
                schedule: id,
            };
            let notice = Notice::new(why, payload).to(schedule.owner);
            self.raise(entry, &notice, now);
        }
    }

    /// All schedules of a device end.
    pub(super) fn remove_schedules(
        &mut self,
        entry: &mut Entry,
        device: Eui64,
        why: AlertTrigger,
        _by: Option<RequestId>,
        now: SimInstant,
    ) {
        let ids: Vec<_> = self.schedules.of_device(device).map(|schedule| schedule.id).collect();
        for id in ids {
            self.remove_schedule(entry, id, Some(why), now);
        }
    }

    /// A schedule is due: the DCC makes the request in its owner's place.
    ///
    /// The request is the DCC's own, signed with its key; the owner is named as the supplementary remote party. How the real
    /// system asks an S1SP is not known (ours).
    pub(super) fn run_schedule(&mut self, id: u64, now: SimInstant) {
        let Some(schedule) = self.schedules.get(id).cloned() else {
            return;
        };
        let mut entry = Entry::at(now);
        if let Err(Denied(failure, detail)) = self.may_run(&schedule, now) {
            let record = Record {
                device: Some(schedule.device),
                user: Some(schedule.owner),
                srv: Some(schedule.srv),
                detail: format!("schedule {id}: {detail}"),
                ..Record::new(Event::ScheduleSkipped, now).failing(failure)
            };
            entry = entry.noting(&record);
            if failure == Failure::NoAuthority {
                self.remove_schedule(&mut entry, id, Some(AlertTrigger::ScheduleRemovedAuthority), now);
                return self.write(entry, now);
            }
            self.set_next_run(&mut entry, &schedule, None, now);
            return self.write(entry, now);
        }
        let run = self.begin_run(&mut entry, &schedule, now);
        self.set_next_run(&mut entry, &schedule, run.map(|run| run.counter), now);
        self.write(entry, now);
        if let Some(run) = run {
            self.send_to_s1sp(run, now);
        }
    }

    fn may_run(&self, schedule: &Schedule, now: SimInstant) -> Result<(), Denied> {
        let Some(device) = self.options.inventory.device(schedule.device) else {
            return Err(Denied(Failure::UnknownDevice, "the device is gone".to_owned()));
        };
        let user = self.options.directory.user(schedule.owner);
        let (Some(user), Some(row)) = (user, steps::table().row(schedule.srv)) else {
            return Err(Denied(Failure::UnknownUser, "its owner is gone".to_owned()));
        };
        if user.suspended {
            return Err(Denied(Failure::UserStatus, "its owner is suspended".to_owned()));
        }
        self.access().authority(user, row, device, now)?;
        if let Some(status) = device.status.filter(|status| !status.accepts(schedule.srv)) {
            return Err(Denied(Failure::DeviceStatus, format!("the device is {status}")));
        }
        if self.open.len() >= self.options.limits.open_requests_max {
            return Err(Denied(Failure::Busy, format!("{} requests are open", self.open.len())));
        }
        Ok(())
    }

    /// Makes the request of one run. None, with an error in the log, where it cannot be written: our bug.
    fn begin_run(&mut self, entry: &mut Entry, schedule: &Schedule, now: SimInstant) -> Option<RequestId> {
        let row = steps::table().row(schedule.srv)?;
        let (originator, target) = (self.options.eui, schedule.device);
        let counter = self.counters.get(&(originator, target)).copied().unwrap_or(0) + 1;
        let run = RequestId {
            originator,
            target,
            counter,
        };
        let request = Request::new(run, schedule.srv).with_body(schedule.read(row, now)?);
        if let Err(error) = self.take_own(entry, &request, schedule.owner, Some(schedule.id), now) {
            tracing::error!(schedule = schedule.id, error, "a scheduled request could not be made");
            return None;
        }
        let record = Record {
            detail: format!("schedule {}", schedule.id),
            ..self.about(Event::ScheduleRun, run, now)
        };
        entry.audits.push(record.to_message());
        self.hand_over(entry, run, now);
        Some(run)
    }

    /// A request of the DCC's own, made in a user's place, becomes an open one as part of an entry.
    pub(super) fn take_own(
        &mut self,
        entry: &mut Entry,
        request: &Request,
        user: Eui64,
        schedule: Option<u64>,
        now: SimInstant,
    ) -> Result<(), String> {
        let (id, srv) = (request.id, request.srv);
        let xml = duis::write::request(request)
            .map_err(|error| error.to_string())
            .and_then(|xml| duis::signature::sign(&xml, &self.options.key).map_err(|error| error.to_string()));
        let xml = Bytes::from(xml?);
        self.counters.insert((id.originator, id.target), id.counter);
        let open = Open {
            srv,
            user,
            schedule,
            at: now,
            xml: xml.clone(),
            stage: Stage::Held(now),
            acknowledged_left: Some(now),
            attempts: 0,
            concern: None,
            credentials: None,
            dated: None,
            in_sequence: false,
            quarantine: None,
        };
        self.open.insert(id, open);
        entry.counter_used = Some(id_octets(id));
        entry.acknowledged = Some(Acknowledged {
            request: id_octets(id),
            srv: srv.to_string(),
            xml,
            schedule,
            user: Some(user.0),
            ..Acknowledged::default()
        });
        Ok(())
    }

    /// When it runs next; a schedule that is over is removed without a word, as it was to be.
    fn set_next_run(&mut self, entry: &mut Entry, schedule: &Schedule, run: Option<u64>, now: SimInstant) {
        let next = schedule.run_after(now);
        let Some(at) = next else {
            return self.remove_schedule(entry, schedule.id, None, now);
        };
        let Some(known) = self.schedules.get_mut(schedule.id) else {
            return;
        };
        known.next = next;
        known.last_run = run.or(known.last_run);
        entry.schedules.push(ScheduleMessage::of(known));
        self.timers.set(Timer::Schedule(schedule.id), at);
    }
}
