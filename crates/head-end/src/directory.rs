//! Which devices sit behind which hub, with which profile: what a head-end must know to speak to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dmc::DeviceProfile;
use domain::{DeviceKind, Eui64};

/// One device of an installation, as its operator knows it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its identity.
    pub id: Eui64,
    /// What it is; an installation has at most one of each.
    pub slot: DeviceKind,
    /// Key epoch in force between this operator and the device; 1 for the first.
    pub epoch: u32,
    /// How its model behaves at its firmware.
    pub profile: Arc<DeviceProfile>,
}

/// An installation as its operator knows it.
#[derive(Clone, Debug)]
pub struct Site {
    /// The hub all devices are reached through.
    pub hub: Eui64,
    /// Its devices, the hub itself (slot CHF) among them.
    pub devices: Vec<Device>,
}

impl Site {
    /// The device in a slot.
    #[must_use]
    pub fn slot(&self, slot: DeviceKind) -> Option<&Device> {
        self.devices.iter().find(|device| device.slot == slot)
    }

    /// A device by its identity.
    #[must_use]
    pub fn device(&self, id: Eui64) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }
}

/// The installations of one operator. Clones share them, so that installations can be added while an engine runs.
#[derive(Clone, Default)]
pub struct Directory(Arc<Mutex<Index>>);

#[derive(Default)]
struct Index {
    sites: BTreeMap<Eui64, Arc<Site>>,
    hubs: BTreeMap<Eui64, Eui64>,
}

impl Directory {
    /// Adds an installation, or replaces the one with the same hub. A job under way keeps what it began with.
    pub fn insert(&self, site: Site) {
        let mut index = self.lock();
        if let Some(old) = index.sites.remove(&site.hub) {
            for device in &old.devices {
                index.hubs.remove(&device.id);
            }
        }
        for device in &site.devices {
            index.hubs.insert(device.id, site.hub);
        }
        index.sites.insert(site.hub, Arc::new(site));
    }

    /// Removes an installation: this operator no longer speaks to it.
    pub fn remove(&self, hub: Eui64) {
        let mut index = self.lock();
        if let Some(old) = index.sites.remove(&hub) {
            for device in &old.devices {
                index.hubs.remove(&device.id);
            }
        }
    }

    /// The installation behind a hub.
    #[must_use]
    pub fn site(&self, hub: Eui64) -> Option<Arc<Site>> {
        self.lock().sites.get(&hub).cloned()
    }

    /// The installation a device belongs to.
    #[must_use]
    pub fn site_of(&self, device: Eui64) -> Option<Arc<Site>> {
        let index = self.lock();
        index.sites.get(index.hubs.get(&device)?).cloned()
    }

    /// Number of installations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().sites.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Directory({} installations)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_through_their_hub_until_it_is_replaced() {
        let directory = Directory::default();
        directory.insert(Site {
            hub: Eui64(1),
            devices: Vec::new(),
        });
        assert!(directory.site(Eui64(1)).is_some());
        assert!(directory.site_of(Eui64(2)).is_none());
        directory.remove(Eui64(1));
        assert!(directory.is_empty());
    }
}
