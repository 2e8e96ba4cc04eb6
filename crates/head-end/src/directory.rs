//! Which devices sit behind which hub, with which profile: what a head-end must know to speak to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dmc::DeviceProfile;
use domain::keys::HandOverSecret;
use domain::{DeviceKind, Eui64};

/// One device of an installation, as its operator knows it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its identity.
    pub id: Eui64,
    /// What it is; an installation has at most one of each.
    pub slot: DeviceKind,
    /// The keys it shares with this operator.
    pub keys: KeyEpoch,
    /// How its model behaves at its firmware.
    pub profile: Arc<DeviceProfile>,
}

impl Device {
    /// A device that this operator has operated since it was fitted.
    #[must_use]
    pub fn new(id: Eui64, slot: DeviceKind, profile: Arc<DeviceProfile>) -> Self {
        Self {
            id,
            slot,
            keys: KeyEpoch::first(),
            profile,
        }
    }
}

/// The key epoch that an operator shares with a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyEpoch {
    /// From 1.
    pub number: u32,
    /// What came with it, where it was handed over.
    pub hand_over: Option<HandOverSecret>,
    /// Whether it is in force.
    pub standing: Standing,
}

impl KeyEpoch {
    /// The epoch a device is fitted with.
    #[must_use]
    pub fn first() -> Self {
        Self {
            number: 1,
            hand_over: None,
            standing: Standing::InForce,
        }
    }

    /// An epoch staged for this operator, with the secret it was given for it.
    #[must_use]
    pub fn staged(number: u32, hand_over: HandOverSecret) -> Self {
        Self {
            number,
            hand_over: Some(hand_over),
            standing: Standing::Staged,
        }
    }
}

/// What an operator may do with an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Operate the device.
    InForce,
    /// Read, prove itself and put the epoch in force.
    Staged,
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

    /// Changes what is known of one device; `false` when it is not known. A job under way keeps what it began with.
    pub fn change(&self, device: Eui64, change: impl FnOnce(&mut Device)) -> bool {
        let mut index = self.lock();
        let Some(hub) = index.hubs.get(&device).copied() else {
            return false;
        };
        let Some(site) = index.sites.get_mut(&hub) else {
            return false;
        };
        let site = Arc::make_mut(site);
        match site.devices.iter_mut().find(|known| known.id == device) {
            Some(known) => change(known),
            None => return false,
        }
        true
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
