//! The installation as its driver sees it.

use std::collections::VecDeque;

use domain::keys::{DeviceKey, Party, Purpose};
use domain::{
    Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, Refusal, SecurityEvent, Seed, SimDuration,
    SimInstant, SupplyState,
};

use crate::config::InstallationConfig;
use crate::effects::Effect;
use crate::profile::Context;

/// One home: a hub, an electricity meter and, where there is gas, a gas proxy and a sleeping gas meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    chf: Eui64,
    esme: Eui64,
    gas: Option<(Eui64, Eui64)>,
    seed: Seed,
    party: Party,
    epoch: u32,
    challenges: u32,
    counter: u32,
    next: SimInstant,
    effects: VecDeque<Effect>,
}

/// Durable octets that are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Shorter or longer than what they announce, or a value out of range: a damaged record.
    #[error("the durable state of the installation is damaged at octet {0}")]
    Damaged(usize),
    /// Written by another release.
    #[error("durable state of version {0} is not known")]
    Version(u8),
}

impl Installation {
    /// A new installation, as fitted and configured, at `context.now`.
    #[must_use]
    pub fn new(config: &InstallationConfig, context: &Context<'_>) -> Self {
        Self {
            chf: config.chf,
            esme: config.esme,
            gas: config.gas,
            seed: config.seed,
            party: if config.enrolled { Party::S1sp } else { Party::Smso },
            epoch: config.epoch,
            challenges: 0,
            counter: 0,
            next: context.now + SimDuration::from_mins(30),
            effects: VecDeque::new(),
        }
    }

    /// The device in a slot; `None` when there is no such device here.
    #[must_use]
    pub fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        match slot {
            DeviceKind::Chf => Some(self.chf),
            DeviceKind::Esme => Some(self.esme),
            DeviceKind::Gpf => self.gas.map(|gas| gas.0),
            DeviceKind::Gsme => self.gas.map(|gas| gas.1),
            DeviceKind::Ihd | DeviceKind::Ppmid => None,
        }
    }

    /// Executes, refuses or queues an operation.
    ///
    /// On the gas meter's slot it is queued at the hub and answered later by [`Effect::LateResult`]; the gas meter
    /// checks the approval when it wakes, by its own clock.
    pub fn execute(
        &mut self,
        _context: &Context<'_>,
        _slot: DeviceKind,
        _access: Access,
        _operation: &Operation,
        _approval: Option<&Approval>,
    ) -> Execution {
        Execution::Finished(Err(Refusal::NotSupported))
    }

    /// When [`Installation::wake`] has something to do next.
    #[must_use]
    pub fn next_wake(&self) -> SimInstant {
        self.next
    }

    /// Does what is due at `context.now`. Early or twice is harmless; late does what was missed, at its own time.
    pub fn wake(&mut self, context: &Context<'_>) {
        if context.now >= self.next {
            self.next = context.now + SimDuration::from_mins(30);
        }
    }

    /// The oldest effect not yet taken.
    pub fn pop_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The party whose keys are in force; of a device that is not here, the hub's.
    #[must_use]
    pub fn active_party(&self, _slot: DeviceKind) -> Party {
        self.party
    }

    /// The key epoch in force.
    #[must_use]
    pub fn epoch(&self, _slot: DeviceKind) -> u32 {
        self.epoch
    }

    /// A key of the active party and epoch. The approval key exists only where the DCO has a say.
    #[must_use]
    pub fn key(&self, context: &Context<'_>, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        let secret = match (self.party, purpose) {
            (Party::S1sp, Purpose::Approval) => &context.relations.dco,
            (_, Purpose::Approval) => return None,
            (Party::S1sp, _) => &context.relations.s1sp,
            (_, _) => &context.relations.smso,
        };
        Some(secret.device_key(self.device(slot)?, self.epoch, purpose))
    }

    /// Accepts a client's invocation counter if it was not used before.
    ///
    /// # Errors
    /// The next counter that would be accepted.
    pub fn accept_counter(
        &mut self,
        _slot: DeviceKind,
        _association: Association,
        _title: [u8; 8],
        _counter: u32,
    ) -> Result<(), u32> {
        Ok(())
    }

    /// The device's own next invocation counter.
    pub fn next_counter(&mut self, _slot: DeviceKind, _association: Association) -> u32 {
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    /// The client counter that is acceptable next on the management association, as the public object shows it.
    #[must_use]
    pub fn invocation_counter(&self, _slot: DeviceKind) -> u32 {
        0
    }

    /// A challenge for HLS authentication: never the same twice, repeatable from the seed.
    pub fn challenge(&mut self) -> [u8; 16] {
        self.challenges = self.challenges.saturating_add(1);
        let node = self
            .seed
            .child([b"challenge".as_slice(), &self.challenges.to_be_bytes()].concat());
        let mut out = [0; 16];
        out.copy_from_slice(&node.bytes()[..16]);
        out
    }

    /// Records what a face noticed.
    pub fn security_event(&mut self, _context: &Context<'_>, _slot: DeviceKind, _event: SecurityEvent) {}

    /// Gives a device to another party with a new key epoch, as a migration does after proof of possession.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] when the epoch does not rise or the party is the DCO, which operates no device.
    pub fn hand_over(
        &mut self,
        _context: &Context<'_>,
        _slot: DeviceKind,
        party: Party,
        epoch: u32,
    ) -> Result<(), Refusal> {
        if epoch <= self.epoch || party == Party::Dco {
            return Err(Refusal::OutOfRange);
        }
        self.party = party;
        self.epoch = epoch;
        Ok(())
    }

    /// The consumer restores an armed supply at the meter.
    ///
    /// # Errors
    /// [`Refusal::WrongState`] unless the supply is armed, [`Refusal::NotSupported`] on what is no meter.
    pub fn press_restore_supply(&mut self, _context: &Context<'_>, _slot: DeviceKind) -> Result<(), Refusal> {
        Err(Refusal::WrongState)
    }

    /// The consumer activates emergency credit at the meter.
    ///
    /// # Errors
    /// [`Refusal::WrongState`] when it is not on offer, [`Refusal::NotSupported`] on what is no meter.
    pub fn activate_emergency_credit(&mut self, _context: &Context<'_>, _slot: DeviceKind) -> Result<(), Refusal> {
        Err(Refusal::WrongState)
    }

    /// Credit arrives at the meter, in milli-pence.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] above the largest credit or balance, [`Refusal::WrongState`] in credit mode.
    pub fn top_up(&mut self, _context: &Context<'_>, _slot: DeviceKind, _milli_pence: u32) -> Result<(), Refusal> {
        Err(Refusal::WrongState)
    }

    /// Mains fail: nothing is consumed, and the hub is off.
    pub fn cut_power(&mut self, _context: &Context<'_>) {}

    /// Mains return.
    pub fn restore_power(&mut self, _context: &Context<'_>) {}

    /// True while there are mains.
    #[must_use]
    pub fn powered(&self) -> bool {
        true
    }

    /// State of the supply as it truly is; for consumer acts and checks only.
    #[must_use]
    pub fn supply(&self, _slot: DeviceKind) -> Option<SupplyState> {
        Some(SupplyState::Enabled)
    }

    /// What must survive a restart, as compact octets.
    #[must_use]
    pub fn durable(&self) -> Vec<u8> {
        Vec::new()
    }

    /// An installation as it was when `octets` were made, at `context.now`.
    ///
    /// # Errors
    /// [`RestoreError`] when the octets are not ours.
    pub fn restore(config: &InstallationConfig, context: &Context<'_>, _octets: &[u8]) -> Result<Self, RestoreError> {
        Ok(Self::new(config, context))
    }
}
