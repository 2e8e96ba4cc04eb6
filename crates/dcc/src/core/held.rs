//! Requests that wait: for their date, or for another request of their sequence.

use domain::{RequestId, SimInstant};
use duis::Request;
use steps::table::DatedBy;
use steps::{Failure, Row};

use super::{Core, Stage};
use crate::access::Access;
use crate::audit::{Event, Record};
use crate::front_door::{Denied, NEVER};
use crate::inventory::Device;
use crate::journal::Entry;
use crate::options::Holder;
use crate::timers::Timer;

/// When a request goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// Once this one has succeeded, and not before its date.
    After(RequestId, Option<SimInstant>),
    /// It cancels what is held.
    Cancel,
    /// Then, kept here until then.
    Held(SimInstant),
    /// At once; the date it carries, if any, is for whoever it goes to.
    Now(Option<SimInstant>),
}

impl Core {
    /// When a request to a device goes on, by its date and its sequence.
    pub(super) fn when(&self, request: &Request, row: &Row, device: &Device, now: SimInstant) -> Result<When, Denied> {
        let limits = &self.options.limits;
        let date = steps::execution_at(request).map_err(|refused| Denied(refused.failure, refused.text))?;
        let dated = match date {
            Some(at) if at >= NEVER => return Ok(When::Cancel),
            Some(at) if at <= now && limits.refuse_past_dates => {
                return Err(Denied(Failure::DatePassed, format!("{at} is not after {now}")));
            }
            Some(at) if at > now + limits.dated_max => {
                let detail = format!(
                    "{at} is more than {} days ahead",
                    limits.dated_max.as_millis() / 86_400_000
                );
                return Err(Denied(Failure::DateFar, detail));
            }
            date => date.filter(|at| *at > now),
        };
        if let Some(preceding) = self.predecessor(request)? {
            return Ok(When::After(preceding, dated));
        }
        let holder = match row.dated_by {
            DatedBy::Device => self.options.holders.holder(device.id, row.srv),
            DatedBy::Dcc | DatedBy::DccAndDevice | DatedBy::Nobody => Holder::Dcc,
        };
        Ok(match (dated, holder) {
            (Some(at), Holder::Dcc) => When::Held(at),
            (dated, _) => When::Now(dated),
        })
    }

    /// The request this one has to wait for; none: it need not.
    pub(super) fn predecessor(&self, request: &Request) -> Result<Option<RequestId>, Denied> {
        let Some(preceding) = request.preceding else {
            return Ok(None);
        };
        let denied = |failure| Err(Denied(failure, format!("to follow {preceding}")));
        if request.first_in_sequence == Some(true) {
            return denied(Failure::SequenceForm);
        }
        if preceding.originator != request.id.originator || preceding == request.id {
            return denied(Failure::SequenceForeign);
        }
        match self.sequences.outcome(preceding) {
            Some(true) => Ok(None),
            Some(false) => denied(Failure::Sequence),
            None => Ok(Some(preceding)),
        }
    }

    /// A request that waited goes to the S1SP, if it still may.
    pub(super) fn release(&mut self, id: RequestId, now: SimInstant) {
        let Some(open) = self.open.get(&id) else { return };
        if open.quarantine.is_some() || !matches!(open.stage, Stage::Held(_) | Stage::Waiting(_)) {
            return;
        }
        if let Err(Denied(failure, detail)) = self.still_permitted(id, now) {
            let record = self.about(Event::Outcome, id, now).failing(failure);
            let record = Record { detail, ..record };
            return self.fail_with(id, failure, &record, Entry::at(now), now);
        }
        let record = self.about(Event::Released, id, now);
        let mut entry = Entry::at(now).noting(&record);
        self.hand_over(&mut entry, id, now);
        self.write(entry, now);
        self.send_to_s1sp(id, now);
    }

    /// What was checked when the request came may have changed while it waited.
    fn still_permitted(&self, id: RequestId, now: SimInstant) -> Result<(), Denied> {
        let Some(open) = self.open.get(&id) else { return Ok(()) };
        let Some(device) = self.options.inventory.device(id.target) else {
            let detail = format!("the inventory has no device {} any more", id.target);
            return Err(Denied(Failure::UnknownDevice, detail));
        };
        if let Some(status) = device.status.filter(|status| !status.accepts(open.srv)) {
            return Err(Denied(Failure::DeviceStatus, format!("the device is {status} now")));
        }
        let (user, row) = (self.options.directory.user(open.user), steps::table().row(open.srv));
        let (Some(user), Some(row)) = (user, row) else {
            return Err(Denied(Failure::UnknownUser, format!("user {} is gone", open.user)));
        };
        if user.suspended {
            return Err(Denied(
                Failure::UserStatus,
                format!("user {} is suspended now", user.eui),
            ));
        }
        self.access().authority(user, row, device, now)
    }

    pub(super) fn access(&self) -> Access<'_> {
        Access {
            directory: &self.options.directory,
            inventory: &self.options.inventory,
            enforce_registration: self.options.limits.enforce_registration,
            commissioning_max: self.options.limits.commissioning_max,
        }
    }

    /// The request before this one has ended.
    pub(super) fn follow(&mut self, id: RequestId, succeeded: bool, now: SimInstant) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let Stage::Waiting(_) = open.stage else { return };
        if !succeeded {
            return self.fail(id, Failure::Sequence, now);
        }
        let dated = open.dated.filter(|at| *at > now);
        match dated {
            None if open.quarantine.is_some() => open.stage = Stage::Held(now),
            None => self.release(id, now),
            Some(at) => {
                open.stage = Stage::Held(at);
                self.timers.cancel(&Timer::Deadline(id));
                self.timers.set(Timer::Release(id), at);
            }
        }
    }

    /// Ends what is held of the same user, device and service. Gives how many that were, and whether one of them, or one
    /// like them, may be with the device.
    pub(super) fn cancel_held(&mut self, by: &Request, device: &Device, now: SimInstant) -> (usize, bool) {
        let same = |id: &RequestId, open: &super::Open| {
            id.originator == by.id.originator && id.target == by.id.target && open.srv == by.srv && open.dated.is_some()
        };
        let of_device = self.open.iter().filter(|(id, open)| same(id, open));
        let (mut here, mut there) = (Vec::new(), false);
        for (id, open) in of_device {
            match open.stage {
                Stage::Held(_) | Stage::Waiting(_) => here.push(*id),
                Stage::Accepted(_) => there = true,
                Stage::Released(_) => {}
            }
        }
        for id in &here {
            let record = self.about(Event::Cancelled, *id, now).failing(Failure::Cancelled);
            let detail = format!("by {}", by.id);
            let record = Record { detail, ..record };
            self.fail_with(*id, Failure::Cancelled, &record, Entry::at(now), now);
        }
        let holder = self.options.holders.holder(device.id, by.srv);
        (here.len(), there || holder == Holder::Device)
    }
}
