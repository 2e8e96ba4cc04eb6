//! The keys of one operator: its relation secret and what is derived from it.

use std::fmt;

use domain::Eui64;
use domain::keys::{DeviceKey, Party, Purpose, RelationSecret};

use crate::directory::KeyEpoch;

/// What one operator holds. It can derive its own device keys and nobody else's. Prints without secrets.
#[derive(Clone)]
pub struct Custody {
    /// Whose keys these are: [`Party::Smso`] or [`Party::S1sp`].
    pub party: Party,
    /// The secret shared with the device side.
    pub relation: RelationSecret,
    /// DLMS system title of this head-end: eight octets that no other client of the devices uses.
    pub system_title: [u8; 8],
}

impl Custody {
    /// The key of a device in an epoch.
    #[must_use]
    pub fn key(&self, device: Eui64, epoch: &KeyEpoch, purpose: Purpose) -> DeviceKey {
        self.relation
            .epoch_key(device, epoch.number, epoch.hand_over.as_ref(), purpose)
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custody({}, <redacted>)", self.party.as_str())
    }
}
