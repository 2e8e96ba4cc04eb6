//! Prepayment interfaces (PPMID) and in-home displays (IHD): what they show of the meters, the supplier's messages, how they
//! come and go on the home area network, and what a person does at a PPMID.
//!
//! A display computes nothing of its own: what it shows is what the meters say, as old as its profile lets it be. It keeps
//! what nobody can compute: messages, whether it is there, and acts that wait for a sleeping gas meter.

mod acts;
mod presence;
mod screen;

use std::collections::VecDeque;

use domain::keys::Party;
use domain::{DeviceKind, Eui64, SimInstant};

pub use acts::{Acted, DisplayAct};
pub use screen::{Message, Panel, SHOWN, Screen};

use crate::device::Device;

/// The displays of one home: the prepayment interface, and the in-home display.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Displays {
    pub(crate) ppmid: Option<Display>,
    pub(crate) ihd: Option<Display>,
    /// Asked for at a PPMID, for the gas meter to hear of when it wakes, oldest first.
    pub(crate) for_gas: VecDeque<DisplayAct>,
}

/// One display.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Display {
    pub(crate) device: Device,
    /// Oldest first.
    pub(crate) messages: VecDeque<Message>,
    /// What it last heard from each meter, electricity first: a message that stands there is new once.
    pub(crate) heard: [String; 2],
    /// It does not take part; otherwise it is heard all the time.
    pub(crate) absent: Option<Absence>,
}

/// A display that does not take part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Absence {
    /// Last heard then.
    pub(crate) since: SimInstant,
    /// When it joins again by itself; `None` while it is switched off, and where its profile has it wait to be let in.
    pub(crate) rejoins: Option<SimInstant>,
}

impl Display {
    pub(crate) fn new(id: Eui64, party: Party, epoch: u32) -> Self {
        Self {
            device: Device::new(id, party, epoch),
            messages: VecDeque::new(),
            heard: [String::new(), String::new()],
            absent: None,
        }
    }

    /// Takes a message of the supplier; beyond `limit` the oldest goes.
    pub(crate) fn take_message(&mut self, at: SimInstant, text: &str, limit: u8) {
        while !self.messages.is_empty() && self.messages.len() >= usize::from(limit) {
            self.messages.pop_front();
        }
        if limit > 0 {
            self.messages.push_back(Message {
                at,
                text: text.to_owned(),
                acknowledged: false,
            });
        }
    }

    /// Octets on the heap beside the device's own.
    pub(crate) fn heap(&self) -> usize {
        let texts: usize = self.messages.iter().map(|message| message.text.capacity()).sum();
        let heard: usize = self.heard.iter().map(String::capacity).sum();
        texts + heard + self.messages.capacity() * size_of::<Message>()
    }
}

impl Displays {
    pub(crate) fn get(&self, slot: DeviceKind) -> Option<&Display> {
        match slot {
            DeviceKind::Ppmid => self.ppmid.as_ref(),
            DeviceKind::Ihd => self.ihd.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: DeviceKind) -> Option<&mut Display> {
        match slot {
            DeviceKind::Ppmid => self.ppmid.as_mut(),
            DeviceKind::Ihd => self.ihd.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Display> {
        self.ppmid.iter().chain(&self.ihd)
    }
}

/// The slots of displays.
pub(crate) const DISPLAYS: [DeviceKind; 2] = [DeviceKind::Ppmid, DeviceKind::Ihd];
