//! What an S1SP is made of.

use std::fmt;
use std::sync::Arc;

use domain::{Eui64, SimDuration};
use duis::signature::{Certificates, SigningKey};
use head_end::{Custody, Directory, Models};
use world::Store;

/// Keys, directory, journals and limits of an S1SP.
pub struct Options {
    /// Signs responses and alerts.
    pub signing_key: SigningKey,
    /// Certificates of users and of the DCC.
    pub certificates: Arc<dyn Certificates + Send + Sync>,
    /// The one party whose countersignature counts.
    pub dcc: Eui64,
    /// Keys towards the devices.
    pub custody: Custody,
    /// The enrolled installations.
    pub directory: Directory,
    /// What the devices may become when their firmware changes.
    pub models: Models,
    /// Limits of the head-end engine. Its critical operations are taken from the service request table.
    pub engine: head_end::Options,
    /// Journal of requests, outcomes and alerts.
    pub store: Box<dyn Store>,
    /// Journal of the engine's counters.
    pub engine_store: Box<dyn Store>,
    /// Limits of the S1SP itself.
    pub limits: Limits,
    /// What a supplier is told of the codes made for its top-ups.
    pub vending: Vending,
}

/// Limits and time-outs of an S1SP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Requests under way at once; one more ends at once with the code for "busy".
    pub requests_under_way: usize,
    /// Firmware images on their way to devices at once; further ones wait.
    pub images_under_way: usize,
    /// How long a request for a device on mains may take in all.
    pub mains_within: SimDuration,
    /// How long a request for a sleeping gas meter may take beyond the wakes that the meter needs: a margin, and the way
    /// there.
    pub gas_margin: SimDuration,
    /// How long the DCO may take for one approval. It is asked once: a repeated question would be refused.
    pub approval_within: SimDuration,
    /// How long the DCC may take to confirm a message before it is sent again; doubles with each try.
    pub confirm_within: SimDuration,
    /// The longest wait between two tries to send a message to the DCC.
    pub confirm_within_max: SimDuration,
    /// Octets of the journal after which a snapshot stands for it. A restart reads at most that much and the snapshot.
    pub snapshot_after_octets: u64,
}

/// What a supplier is told of the codes that meters take for its top-ups. That there is such a policy is recalled; which one
/// the real service has is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vending {
    /// When the code is given away.
    pub alert: UtrnAlert,
    /// Whether before or after the response of the top-up.
    pub order: UtrnOrder,
}

/// Whether a supplier is given a code before or after the response of its top-up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum UtrnOrder {
    /// After it.
    AfterResponse,
    /// Before it; as a matter of course even before the meter is tried.
    #[default]
    BeforeResponse,
}

/// When the S1SP gives a supplier the code that the meter takes for a top-up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum UtrnAlert {
    /// As a matter of course (recalled).
    #[default]
    Always,
    /// Never.
    Never,
    /// Only where the meter has not taken it.
    OnFailure,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_under_way: 100_000,
            images_under_way: 64,
            mains_within: SimDuration::from_mins(10),
            gas_margin: SimDuration::from_mins(20),
            approval_within: SimDuration::from_secs(30),
            confirm_within: SimDuration::from_secs(30),
            confirm_within_max: SimDuration::from_mins(10),
            snapshot_after_octets: 256 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("signing_key", &self.signing_key)
            .field("dcc", &self.dcc)
            .field("custody", &self.custody)
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
