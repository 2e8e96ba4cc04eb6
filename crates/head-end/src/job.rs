//! What the engine is asked to do, what it gives back, and what it hears by itself.

use std::fmt;

use domain::{Approval, DeviceKind, Eui64, Operation, SimInstant};

/// One operation on one device, to be executed once.
#[derive(Clone, Debug)]
pub struct Job {
    /// Names the user's request in every envelope sent for it.
    pub trace_id: String,
    /// The hub the device is reached through.
    pub hub: Eui64,
    /// The device.
    pub device: Eui64,
    /// Which device of the installation it is.
    pub slot: DeviceKind,
    /// What is to be done.
    pub operation: Operation,
    /// The DCO's approval, where the operation is critical and the device enrolled.
    pub approval: Option<Approval>,
    /// When to give up at the latest; the outcome is a [`Failure`] then.
    pub deadline: SimInstant,
}

/// Where something failed, as audit and reports name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hop {
    /// The device: it did not answer, or answered what could not be understood.
    Device,
    /// The home area network: a device behind the hub did not come in time.
    Han,
    /// This head-end itself.
    HeadEnd,
    /// The hub: it did not connect, or no session came about with what is behind it.
    Hub,
    /// The WAN.
    Wan,
}

impl Hop {
    /// The word reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Han => "han",
            Self::HeadEnd => "head-end",
            Self::Hub => "hub",
            Self::Wan => "wan",
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of failure kept a job from its outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum FailureKind {
    /// What the device answered cannot be understood or is not authentic.
    BadAnswer,
    /// The hub's queue is full.
    Busy,
    /// The job's deadline passed before it could be tried, or between tries.
    Deadline,
    /// The WAN took the text message, the hub did not connect.
    HubNotConnected,
    /// No late result came for an operation held for a sleeping device.
    LateResultMissing,
    /// The connection was lost before the answer came.
    LinkLost,
    /// The device was reached and said nothing in time.
    NoResponse,
    /// The hub connected, but no session was opened: unidentified, or the device does not let these keys in.
    SessionFailed,
    /// This head-end cannot go on: journal lost or shut down.
    Stopped,
    /// This head-end has no such hub, or no such device behind it.
    Unknown,
    /// The WAN cannot be used: its link is closed, or it did not even take the text message.
    WanUnusable,
}

impl FailureKind {
    /// Where a failure of this kind shows.
    #[must_use]
    pub fn hop(self) -> Hop {
        match self {
            Self::BadAnswer | Self::NoResponse => Hop::Device,
            Self::LateResultMissing => Hop::Han,
            Self::Busy | Self::Deadline | Self::Stopped | Self::Unknown => Hop::HeadEnd,
            Self::HubNotConnected | Self::SessionFailed => Hop::Hub,
            Self::LinkLost | Self::WanUnusable => Hop::Wan,
        }
    }
}

/// Why a job got no outcome from its device. A device that refuses is not a failure but an outcome.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: {reason}", kind.hop())]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// Why, for people; names the hub or device and what was waited for.
    pub reason: String,
    /// True when the operation may have reached the device, so that asking again could execute it twice.
    pub may_have_executed: bool,
}

impl Failure {
    /// A failure before anything could have reached the device.
    #[must_use]
    pub fn before(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            may_have_executed: false,
        }
    }

    /// A failure after the operation may have been sent.
    #[must_use]
    pub fn after(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            may_have_executed: true,
        }
    }

    /// Where it failed.
    #[must_use]
    pub fn hop(&self) -> Hop {
        self.kind.hop()
    }
}

/// Something a device reported by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceAlert {
    /// The hub it came through.
    pub hub: Eui64,
    /// The device, as far as this head-end knows the installation.
    pub device: Eui64,
    /// Which device of the installation.
    pub slot: DeviceKind,
    /// Alert code (values of the GBCS list, inferred).
    pub code: u16,
    /// In words.
    pub description: String,
    /// When, by the device's clock.
    pub at: SimInstant,
}
