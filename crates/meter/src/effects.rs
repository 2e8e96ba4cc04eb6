//! What an installation wants its driver to carry out of it.

use std::collections::VecDeque;

use domain::keys::Party;
use domain::{DeviceKind, Outcome, SimInstant};

/// Effects held at most while nobody takes them; beyond that the oldest alert is lost. A late result never is: their
/// number is bounded by the HAN queue.
pub const EFFECTS_MAX: usize = 64;

/// One thing to tell the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A device raised an alert.
    Alert {
        /// Which device.
        slot: DeviceKind,
        /// Code of the GBCS list (that SMETS1 alerts use it is inferred).
        code: u16,
        /// For people.
        description: &'static str,
        /// By the device's clock.
        at: SimInstant,
    },
    /// What became of a command that was queued for a sleeping device.
    LateResult {
        /// Whose command it was: nobody else can make anything of it.
        party: Party,
        /// The ticket given when it was queued.
        ticket: u32,
        /// Its outcome.
        outcome: Outcome,
    },
}

/// Effects waiting to be taken, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outbox(VecDeque<Effect>);

impl Outbox {
    pub(crate) fn push(&mut self, effect: Effect) {
        if self.0.len() >= EFFECTS_MAX
            && let Some(oldest) = self.0.iter().position(|held| matches!(held, Effect::Alert { .. }))
        {
            self.0.remove(oldest);
        }
        self.0.push_back(effect);
    }

    pub(crate) fn pop(&mut self) -> Option<Effect> {
        let effect = self.0.pop_front();
        if self.0.is_empty() {
            // Idle again: give the memory back, a fleet has a hundred thousand of these.
            self.0 = VecDeque::new();
        }
        effect
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.0.iter()
    }

    /// Octets on the heap.
    pub(crate) fn heap(&self) -> usize {
        self.0.capacity() * size_of::<Effect>()
    }
}
