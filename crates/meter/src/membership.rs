//! Who belongs to the home area network: the hub's device log, and which devices are joined with which.
//!
//! An installation is born with its fitted devices in the log; nothing is kept until something changes. The hub's own log is
//! what counts (the term "SMETS1 CHF Device Log" is sourced, what it holds is ours): a device that was put out of it is out
//! of reach until it is let in again.

use domain::operation::{HanEntry, KnownDevice};
use domain::{Answer, DeviceKind, Eui64, Operation, Outcome, Refusal, SimInstant};

/// What changed since the installation was fitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Membership {
    /// Devices let in that were not fitted with the hub, and their kind where it was said.
    pub(crate) guests: Vec<(Eui64, Option<DeviceKind>)>,
    /// Fitted devices that were put out.
    pub(crate) out: Vec<Eui64>,
    /// Which device is joined with which guest.
    pub(crate) joins: Vec<(DeviceKind, Eui64)>,
}

/// The devices fitted with a hub, but for it.
pub(crate) type Fitted = [Option<Eui64>; 3];

impl Membership {
    pub(crate) fn is_out(&self, device: Eui64) -> bool {
        self.out.contains(&device)
    }

    fn guest(&self, device: Eui64) -> Option<Option<DeviceKind>> {
        let mut guests = self.guests.iter();
        guests.find(|(id, _)| *id == device).map(|(_, kind)| *kind)
    }

    /// Lets a device in. One that is in already stays in.
    pub(crate) fn add(&mut self, entry: &HanEntry, fitted: Fitted, limit: u16) -> Outcome {
        if self.is_out(entry.device) {
            self.out.retain(|id| *id != entry.device);
            return Ok(Answer::Done);
        }
        if fitted.contains(&Some(entry.device)) || self.guest(entry.device).is_some() {
            return Ok(Answer::Done);
        }
        if fitted.iter().flatten().count().saturating_sub(self.out.len()) + self.guests.len() >= usize::from(limit) {
            return Err(Refusal::OutOfRange);
        }
        self.guests.push((entry.device, entry.kind));
        Ok(Answer::Done)
    }

    /// Puts a device out, with all its joins.
    pub(crate) fn remove(&mut self, device: Eui64, fitted: Fitted) -> Outcome {
        if fitted.contains(&Some(device)) && !self.is_out(device) {
            self.out.push(device);
        } else if self.guest(device).is_some() {
            self.guests.retain(|(id, _)| *id != device);
            self.joins.retain(|(_, id)| *id != device);
        } else {
            return Err(Refusal::WrongState);
        }
        Ok(Answer::Done)
    }

    /// A join or unjoin of the device in `slot`; `None` for any other operation. Joining twice is joining once.
    pub(crate) fn operate(&mut self, slot: DeviceKind, operation: &Operation, fitted: Fitted) -> Option<Outcome> {
        let (other, joins, listener) = match operation {
            Operation::Join(other) => (*other, true, false),
            Operation::Unjoin(other) => (*other, false, false),
            Operation::JoinListener(other) => (*other, true, true),
            Operation::UnjoinListener(other) => (*other, false, true),
            _ => return None,
        };
        let known = fitted.contains(&Some(other)) && !self.is_out(other) || self.guest(other).is_some();
        if !known {
            return Some(Err(Refusal::WrongState));
        }
        let only_listens = self.guest(other).flatten().is_some_and(DeviceKind::is_type2);
        if joins && only_listens && !listener {
            // What only listens is never given a say.
            return Some(Err(Refusal::OutOfRange));
        }
        let joined = self.joins.contains(&(slot, other));
        if joins && !joined {
            self.joins.push((slot, other));
        } else if !joins && !joined {
            return Some(Err(Refusal::WrongState));
        } else if !joins {
            self.joins.retain(|join| *join != (slot, other));
        }
        Some(Ok(Answer::Done))
    }

    /// Guests that the device in `slot` knows: all of them for the hub. They are heard while they are there.
    pub(crate) fn known(&self, slot: DeviceKind, now: SimInstant) -> Vec<KnownDevice> {
        self.guests
            .iter()
            .filter(|(id, _)| slot == DeviceKind::Chf || self.joins.contains(&(slot, *id)))
            .map(|(device, kind)| KnownDevice {
                device: *device,
                kind: kind.unwrap_or(DeviceKind::Ppmid),
                last_heard: Some(now),
            })
            .collect()
    }
}

/// Lets something happen to what is kept of a HAN, which is nothing while nothing changed.
pub(crate) fn change(
    kept: &mut Option<Box<Membership>>,
    act: impl FnOnce(&mut Membership) -> Option<Outcome>,
) -> Option<Outcome> {
    let mut membership = kept.take().unwrap_or_default();
    let outcome = act(&mut membership);
    *kept = (*membership != Membership::default()).then_some(membership);
    outcome
}
