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
