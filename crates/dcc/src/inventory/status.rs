//! SMI statuses and the arrows between them.

use std::fmt;
use std::str::FromStr;

use domain::{Eui64, ParseError, Srv};

/// SMI status of a device, in the words of DUIS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SmiStatus {
    /// Pre-notified.
    Pending,
    /// In the CHF Device Log of a hub.
    Whitelisted,
    /// Installed but not commissioned.
    InstalledNotCommissioned,
    /// In service.
    Commissioned,
    /// Taken out of service.
    Decommissioned,
    /// Withdrawn by its user.
    Withdrawn,
    /// Its model is no longer permitted.
    Suspended,
    /// Being recovered.
    Recovery,
    /// Recovered.
    Recovered,
}

impl SmiStatus {
    /// All, in the order of the schema.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Whitelisted,
        Self::InstalledNotCommissioned,
        Self::Commissioned,
        Self::Decommissioned,
        Self::Withdrawn,
        Self::Suspended,
        Self::Recovery,
        Self::Recovered,
    ];

    /// The word DUIS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Whitelisted => "Whitelisted",
            Self::InstalledNotCommissioned => "InstalledNotCommissioned",
            Self::Commissioned => "Commissioned",
            Self::Decommissioned => "Decommissioned",
            Self::Withdrawn => "Withdrawn",
            Self::Suspended => "Suspended",
            Self::Recovery => "Recovery",
            Self::Recovered => "Recovered",
        }
    }

    /// Whether a device may go from this status to `to`. The arrows are inferred from the names and from which requests
    /// set which status.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        use SmiStatus as S;
        let next: &[Self] = match self {
            S::Pending => &[S::Whitelisted, S::InstalledNotCommissioned, S::Withdrawn],
            S::Whitelisted => &[
                S::Pending,
                S::InstalledNotCommissioned,
                S::Commissioned,
                S::Decommissioned,
                S::Withdrawn,
            ],
            S::InstalledNotCommissioned => &[S::Pending, S::Commissioned, S::Decommissioned, S::Withdrawn],
            S::Commissioned => &[
                S::InstalledNotCommissioned,
                S::Suspended,
                S::Recovery,
                S::Decommissioned,
                S::Withdrawn,
            ],
            S::Suspended => &[
                S::Commissioned,
                S::InstalledNotCommissioned,
                S::Decommissioned,
                S::Withdrawn,
            ],
            S::Recovery => &[S::Recovered, S::Decommissioned],
            S::Recovered => &[S::Commissioned, S::Decommissioned, S::Withdrawn],
            S::Decommissioned => &[S::Withdrawn, S::Pending],
            S::Withdrawn => &[S::Pending],
        };
        next.contains(&to)
    }

    /// Whether a device request may go to a device in this status.
    ///
    /// Devices in service take all. A suspended device takes what mends it: firmware, reads of its identity and of the
    /// hub's device log (inferred from what suspension is for). A pre-notified one takes the requests that install it.
    #[must_use]
    pub fn accepts(self, srv: Srv) -> bool {
        const MENDING: [Srv; 4] = [
            Srv::new(8, 9, 0),
            Srv::new(11, 2, 0),
            Srv::new(11, 3, 0),
            Srv::new(6, 2, 4),
        ];
        const INSTALLING: [Srv; 3] = [Srv::new(8, 1, 1), Srv::new(8, 7, 1), Srv::new(8, 7, 2)];
        match self {
            Self::Commissioned | Self::InstalledNotCommissioned | Self::Recovered => true,
            Self::Suspended => MENDING.contains(&srv),
            Self::Pending | Self::Whitelisted => INSTALLING.contains(&srv),
            Self::Decommissioned | Self::Recovery | Self::Withdrawn => false,
        }
    }
}

impl fmt::Display for SmiStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SmiStatus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| ParseError {
                expected: "an SMI status such as Commissioned",
                found: text.chars().take(80).collect(),
            })
    }
}

/// A change of status that the arrows do not have, or of a device nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Not an arrow of [`SmiStatus::may_become`].
    #[error("device {device} cannot go from {from} to {to}")]
    NoSuchArrow {
        /// Which device.
        device: Eui64,
        /// Its status now.
        from: SmiStatus,
        /// What was asked for.
        to: SmiStatus,
    },
    /// The inventory does not have it, or it has no status.
    #[error("device {0} has no SMI status")]
    NoStatus(Eui64),
}
