//! With whose keys and on which association an operation reaches a device, and what the device makes of it at once.

use crate::keys::Party;
use crate::operation::Outcome;

/// The associations a device offers on its WAN leg. Our division: the real one is unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Association {
    /// Operator's keys, plus a DCO approval per critical operation on an enrolled device.
    Critical,
    /// Operator's keys: everything but critical operations.
    Management,
    /// No security: identity, clock, invocation counter, firmware.
    Public,
    /// Password: reads registers, profiles and logs.
    Reader,
    /// Keys of an epoch that is staged and not in force, to show that they work: reads, and with a DCO approval under the
    /// staged keys a probe of dual control or the activation of the epoch.
    StagedCritical,
    /// Keys of an epoch that is staged and not in force: reads.
    StagedManagement,
}

impl Association {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Critical,
        Self::Management,
        Self::Public,
        Self::Reader,
        Self::StagedCritical,
        Self::StagedManagement,
    ];

    /// Whether its keys are those of a staged epoch.
    #[must_use]
    pub fn is_staged(self) -> bool {
        matches!(self, Self::StagedCritical | Self::StagedManagement)
    }

    /// The association that has the same keys, and therefore the same counters, once its epoch is in force.
    #[must_use]
    pub fn in_force(self) -> Self {
        match self {
            Self::StagedCritical => Self::Critical,
            Self::StagedManagement => Self::Management,
            other => other,
        }
    }

    /// The association that has the same keys while their epoch is staged; itself where there is none.
    #[must_use]
    pub fn staged(self) -> Self {
        match self {
            Self::Critical => Self::StagedCritical,
            Self::Management => Self::StagedManagement,
            other => other,
        }
    }

    /// The one of the same epoch that critical operations and approvals go over.
    #[must_use]
    pub fn critical(self) -> Self {
        if self.is_staged() {
            Self::StagedCritical
        } else {
            Self::Critical
        }
    }
}

/// What authenticated an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Access {
    /// The association it arrived on.
    pub association: Association,
    /// Whose keys opened it; none on the public association.
    pub party: Option<Party>,
}

/// What a device makes of an operation at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Execution {
    /// Done or refused.
    Finished(Outcome),
    /// Held for a sleeping device behind the hub; the outcome follows under this ticket.
    Queued(u32),
}

/// What a face reports to the security core of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SecurityEvent {
    /// Someone could not prove to hold the keys.
    AuthenticationFailed,
    /// A frame or APDU that is none.
    MalformedMessage,
    /// A message larger than agreed.
    OversizedMessage,
    /// An invocation counter that was used before.
    Replay,
}
