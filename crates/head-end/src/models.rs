//! The device models an operator can speak to.

use std::sync::Arc;

use dmc::{Catalogue, DeviceProfile};
use domain::{DeviceKind, Eui64};

use crate::directory::Device;

/// A catalogue, as far as an operator needs it. Cheap to clone.
#[derive(Clone)]
pub struct Models(Arc<Catalogue>);

impl Models {
    /// Those of a catalogue.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self(catalogue)
    }

    /// The profile of this name (`model@firmware`), if a file describes it.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<Arc<DeviceProfile>> {
        self.0.find(name).ok().map(Arc::clone)
    }

    /// A device with its first keys; `None` when no file describes its profile, or it is of another kind.
    #[must_use]
    pub fn device(&self, id: Eui64, slot: DeviceKind, profile: &str) -> Option<Device> {
        let profile = self.profile(profile).filter(|profile| profile.kind == slot)?;
        Some(Device::new(id, slot, profile))
    }

    /// The profile that a device of the same model, on the same route, has when it says that it runs this firmware.
    #[must_use]
    pub fn running(&self, profile: &DeviceProfile, native_firmware: &str) -> Option<Arc<DeviceProfile>> {
        let same = |other: &&Arc<DeviceProfile>| {
            other.kind == profile.kind
                && other.id.model == profile.id.model
                && other.route == profile.route
                && other.native_firmware == native_firmware
        };
        self.0.profiles().find(same).map(Arc::clone)
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Models({})", self.0.profiles().count())
    }
}
