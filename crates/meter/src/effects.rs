//! What an installation wants its driver to carry out of it.

use domain::{DeviceKind, Outcome, SimInstant};

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
        /// The ticket given when it was queued.
        ticket: u32,
        /// Its outcome.
        outcome: Outcome,
    },
}
