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
    /// Which device is no longer joined with which fitted display.
    pub(crate) parted: Vec<(DeviceKind, Eui64)>,
}

/// The devices fitted with a hub, but for it: electricity meter, gas proxy, gas meter, prepayment interface, display.
pub(crate) type Fitted = [Option<Eui64>; 5];

/// Places in [`Fitted`].
const PROXY: usize = 1;
const DISPLAYS: usize = 3;
const LISTENER: usize = 4;

/// What a hub lets in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// Itself.
    pub(crate) hub: Eui64,
    /// Entries of its device log.
    pub(crate) entries: u16,
    /// Devices at most, the gas proxy not counted: it is in the hub.
    pub(crate) devices: u8,
    /// Only devices of its own manufacturer: those whose identities begin like its own. In the lab that is a prefix of
    /// three octets; what real hubs look at is the manufacturer's keys.
    pub(crate) own_only: bool,
}

impl Membership {
    pub(crate) fn is_out(&self, device: Eui64) -> bool {
        self.out.contains(&device)
    }

    fn guest(&self, device: Eui64) -> Option<Option<DeviceKind>> {
        let mut guests = self.guests.iter();
        guests.find(|(id, _)| *id == device).map(|(_, kind)| *kind)
    }

    /// Lets a device in. One that is in already stays in.
    pub(crate) fn add(&mut self, entry: &HanEntry, fitted: Fitted, door: Door) -> Outcome {
        let known = fitted.contains(&Some(entry.device));
        if (known && !self.is_out(entry.device)) || self.guest(entry.device).is_some() {
            return Ok(Answer::Done);
        }
        let foreign = entry.device.0 >> MANUFACTURER_BITS != door.hub.0 >> MANUFACTURER_BITS;
        if (door.own_only && foreign) || !self.has_room(fitted, door) {
            return Err(Refusal::OutOfRange);
        }
        if known {
            self.out.retain(|id| *id != entry.device);
        } else {
            self.guests.push((entry.device, entry.kind));
        }
        Ok(Answer::Done)
    }

    /// Whether one device more is let in.
    fn has_room(&self, fitted: Fitted, door: Door) -> bool {
        let inside = |(_, device): &(usize, Eui64)| !self.is_out(*device);
        let fitted = || {
            let places = fitted.into_iter().enumerate();
            places
                .filter_map(|(place, device)| Some((place, device?)))
                .filter(inside)
        };
        let counted = fitted().filter(|(place, _)| *place != PROXY).count() + self.guests.len();
        fitted().count() + self.guests.len() < usize::from(door.entries) && counted < usize::from(door.devices)
    }

    /// Leaves those fitted displays out that the hub has no room for, the last first: what comes of an installer who
    /// brings more than the hub takes.
    pub(crate) fn leave_out(&mut self, fitted: Fitted, door: Door) {
        self.out.extend(fitted[DISPLAYS..].iter().flatten());
        for device in fitted[DISPLAYS..].iter().flatten() {
            if self.has_room(fitted, door) {
                self.out.retain(|id| id != device);
            }
        }
    }

    /// Whether the device in `slot` is joined with this one: with fitted displays unless somebody parted them.
    pub(crate) fn is_joined(&self, slot: DeviceKind, other: Eui64, fitted: Fitted) -> bool {
        if fitted[DISPLAYS..].contains(&Some(other)) {
            return !self.parted.contains(&(slot, other));
        }
        self.joins.contains(&(slot, other))
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
        let listener_fitted = fitted[LISTENER] == Some(other);
        let only_listens = listener_fitted || self.guest(other).flatten().is_some_and(DeviceKind::is_type2);
        if joins && only_listens && !listener {
            // What only listens is never given a say.
            return Some(Err(Refusal::OutOfRange));
        }
        if self.is_joined(slot, other, fitted) == joins {
            return Some(if joins {
                Ok(Answer::Done)
            } else {
                Err(Refusal::WrongState)
            });
        }
        let display = fitted[DISPLAYS..].contains(&Some(other));
        let list = if display { &mut self.parted } else { &mut self.joins };
        if display == joins {
            list.retain(|pair| *pair != (slot, other));
        } else {
            list.push((slot, other));
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

/// Bits of an identity below its manufacturer's prefix.
const MANUFACTURER_BITS: u32 = 40;

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
