//! What the DCC knows of devices and metering points, for those who ask before they enrol.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dcc::Lookup;
use domain::{Eui64, Mpxn, SimInstant, UserRole};

use crate::chain::{Chain, Handles};
use crate::parts::Parts;

/// Inventory and Registration Data of a running lab. Cheap to clone; a restarted DCC is found again.
#[derive(Clone)]
pub struct KnownToDcc {
    handles: Arc<Mutex<Handles>>,
    parts: Arc<Parts>,
}

/// Who supplies a metering point, and who will next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supply {
    /// The supplier of record.
    pub supplier: Eui64,
    /// The next one, and from when.
    pub next: Option<(Eui64, SimInstant)>,
}

impl Chain {
    /// What its DCC knows.
    #[must_use]
    pub fn known_to_dcc(&self) -> KnownToDcc {
        KnownToDcc {
            handles: self.shared(),
            parts: Arc::clone(self.parts()),
        }
    }
}

impl KnownToDcc {
    /// SMI status, in the words of DUIS, of all devices behind the hub of this device; none while the DCC is down.
    pub async fn statuses(&self, device: Eui64) -> Option<BTreeMap<Eui64, String>> {
        let handle = self
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .dcc
            .clone()?;
        let devices = handle.look_up(Lookup::Device(device)).await.ok()?;
        let with_status = devices
            .into_iter()
            .filter_map(|device| Some((device.id, device.status?.as_str().to_owned())));
        Some(with_status.collect())
    }

    /// Whether an organisation has certificates that are good at an instant: there, not revoked, and in date.
    #[must_use]
    pub fn is_certified(&self, organisation: Eui64, at: SimInstant) -> bool {
        self.parts.is_certified(organisation, at)
    }

    /// The registration of a metering point at an instant; none where nobody is registered.
    #[must_use]
    pub fn supply(&self, mpxn: Mpxn, at: SimInstant) -> Option<Supply> {
        let role = match mpxn {
            Mpxn::Mpan(_) => UserRole::ImportSupplier,
            Mpxn::Mprn(_) => UserRole::GasSupplier,
        };
        let directory = self.parts.live.directory();
        let registrations = directory.registrations();
        let next = registrations.pending(mpxn, role, at);
        Some(Supply {
            supplier: registrations.holder(mpxn, role, at)?,
            next: next.and_then(|next| Some((next.user, next.from?))),
        })
    }
}
