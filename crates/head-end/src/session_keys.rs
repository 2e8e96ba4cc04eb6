//! What a face sees of this operator's custody while it holds a session with one installation.

use domain::keys::{DeviceKey, Purpose};
use domain::{Association, Eui64, Seed};
use world::StoreError;

use crate::counters::Counter;
use crate::directory::{KeyEpoch, Site};
use crate::shared::Shared;

/// The furthest a device's unauthenticated word may move one of our counters.
const RESUME_LIMIT: u32 = 1 << 20;

/// Frames of one operation for which counters are reserved before it begins.
pub(crate) const FRAMES_AHEAD: u32 = 16;

pub(crate) struct SessionKeys<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) site: &'a Site,
    /// The seed of this connection's challenges, and how many were given.
    pub(crate) challenges: &'a mut (Seed, u32),
    /// Set when a counter could not be had: nothing may be sent any more.
    pub(crate) broken: Option<StoreError>,
}

impl SessionKeys<'_> {
    fn epoch(&self, device: Eui64) -> KeyEpoch {
        self.site
            .device(device)
            .map_or_else(KeyEpoch::first, |known| known.keys)
    }

    fn frames(&self, device: Eui64, association: Association) -> Counter {
        Counter::frames(device, self.epoch(device).number, association)
    }
}

impl dialects::Keys for SessionKeys<'_> {
    fn key(&self, device: Eui64, purpose: Purpose) -> DeviceKey {
        self.shared.custody.key(device, &self.epoch(device), purpose)
    }

    fn next_counter(&mut self, device: Eui64, association: Association) -> u32 {
        let counter = self.frames(device, association);
        match self.shared.counters().next(counter) {
            Ok(counter) => counter,
            Err(error) => {
                self.broken = Some(error);
                0
            }
        }
    }

    fn resume_counter_at(&mut self, device: Eui64, association: Association, next: u32) {
        let counter = self.frames(device, association);
        let mut counters = self.shared.counters();
        if next.saturating_sub(counters.peek(counter)) > RESUME_LIMIT {
            tracing::warn!(%device, next, "device asks for a counter far ahead, ignored");
        } else if let Err(error) = counters.raise(counter, next) {
            self.broken = Some(error);
        }
    }

    fn note_device_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        let name = self.frames(device, association);
        self.shared.counters().note(name, counter)
    }

    fn note_text_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        let name = self.frames(device, association);
        self.shared.counters().note_text(name, counter)
    }

    fn system_title(&self) -> [u8; 8] {
        self.shared.custody.system_title
    }

    fn challenge(&mut self) -> [u8; 16] {
        self.challenges.1 += 1;
        let seed = self.challenges.0.child(self.challenges.1.to_be_bytes());
        let mut challenge = [0; 16];
        challenge.copy_from_slice(&seed.bytes()[..16]);
        challenge
    }
}
