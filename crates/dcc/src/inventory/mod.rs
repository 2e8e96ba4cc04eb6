//! The Smart Metering Inventory: devices, their SMI status with its history, and what was last reported of them.

mod device;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{DeviceKind, DeviceModel, Eui64, Mpxn, SimInstant};

use crate::index::take_out;
use crate::properties::Properties;

pub use device::{Device, More};
pub use status::{SmiStatus, StatusError};

/// What 8.2 looks devices up by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The device and every other device behind the same hub.
    Device(Eui64),
    /// Devices of a metering point and their hub, as text of 1 to 13 digits.
    Mpxn(String),
    /// Devices of the metering points of a property, by its number, and their hub.
    Uprn(String),
    /// The same by its address.
    Property {
        /// Post code.
        post_code: String,
        /// Address identifier.
        address_identifier: String,
    },
}

/// The inventory. About 160 octets for a device whose model is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    devices: BTreeMap<Eui64, Device>,
    by_hub: BTreeMap<Eui64, Vec<Eui64>>,
    by_mpxn: BTreeMap<Mpxn, Vec<Eui64>>,
    /// Hubs by the gas proxy that was named with them.
    by_proxy: BTreeMap<Eui64, Vec<Eui64>>,
}

impl Inventory {
    /// From devices; a later one with the same identity replaces an earlier one.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = Device>) -> Self {
        let mut inventory = Self::default();
        for device in devices {
            inventory.put(device);
        }
        inventory
    }

    /// Adds or replaces a device.
    pub fn put(&mut self, device: Device) {
        let id = device.id;
        self.remove(id);
        if let Some(hub) = device.hub {
            self.by_hub.entry(hub).or_default().push(id);
        }
        for mpxn in device.points() {
            self.by_mpxn.entry(mpxn).or_default().push(id);
        }
        if let Some(proxy) = device.more().proxy {
            self.by_proxy.entry(proxy).or_default().push(id);
        }
        self.devices.insert(id, device);
    }

    /// The hub that a gas proxy was named with.
    #[must_use]
    pub fn hub_of_proxy(&self, proxy: Eui64) -> Option<&Device> {
        self.devices.get(self.by_proxy.get(&proxy)?.first()?)
    }

    /// Takes a device out.
    pub fn remove(&mut self, id: Eui64) -> Option<Device> {
        let old = self.devices.remove(&id)?;
        if let Some(hub) = old.hub {
            take_out(&mut self.by_hub, &hub, &id);
        }
        for mpxn in old.points() {
            take_out(&mut self.by_mpxn, &mpxn, &id);
        }
        if let Some(proxy) = old.more().proxy {
            take_out(&mut self.by_proxy, &proxy, &id);
        }
        Some(old)
    }

    /// The devices that have this metering point.
    pub fn at_point(&self, mpxn: Mpxn) -> impl Iterator<Item = &Device> {
        let ids = self.by_mpxn.get(&mpxn).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.devices.get(id))
    }

    /// How many devices it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The device with this identity.
    #[must_use]
    pub fn device(&self, id: Eui64) -> Option<&Device> {
        self.devices.get(&id)
    }

    /// All devices in order of their identity.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// The devices behind a hub, the hub included.
    pub fn behind(&self, hub: Eui64) -> impl Iterator<Item = &Device> {
        let ids = self.by_hub.get(&hub).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.devices.get(id))
    }

    /// The metering point that decides who is responsible for a device: its own, or, for devices without, that of a meter
    /// of the same fuel behind the same hub. A hub has the points of both fuels.
    #[must_use]
    pub fn metering_points(&self, device: &Device) -> Vec<Mpxn> {
        if device.mpxn.is_some() {
            return device.points().collect();
        }
        let Some(hub) = device.hub else { return Vec::new() };
        let same_fuel = |other: &&Device| match device.kind {
            DeviceKind::Gpf | DeviceKind::Gsme => other.kind.is_gas(),
            DeviceKind::Esme => other.kind == DeviceKind::Esme,
            DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => true,
        };
        let mut points: Vec<_> = self.behind(hub).filter(same_fuel).flat_map(Device::points).collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    /// The devices 8.2 gives, hub first, then in inventory order of kinds.
    ///
    /// Where a property's metering points are, Registration Data says. That a look-up by device or metering point gives the
    /// whole installation is recalled, not sourced.
    #[must_use]
    pub fn look_up(&self, by: &Lookup, properties: &Properties) -> Vec<&Device> {
        let mut found: Vec<&Device> = match by {
            Lookup::Device(id) => match self.devices.get(id) {
                None => Vec::new(),
                Some(device) => device
                    .hub
                    .map_or_else(|| vec![device], |hub| self.behind(hub).collect()),
            },
            Lookup::Mpxn(digits) => {
                let mpxn = digits.parse().ok();
                self.around(mpxn.as_slice())
            }
            Lookup::Uprn(uprn) => self.around(properties.at_uprn(uprn)),
            Lookup::Property {
                post_code,
                address_identifier,
            } => self.around(properties.at_address(post_code, address_identifier)),
        };
        found.sort_by_key(|device| (device.kind, device.id));
        found.dedup_by_key(|device| device.id);
        found
    }

    /// The devices of metering points, and all that is behind their hubs.
    fn around(&self, points: &[Mpxn]) -> Vec<&Device> {
        let devices = points.iter().flat_map(|mpxn| self.at_point(*mpxn));
        devices.flat_map(|device| self.with_hub(device)).collect()
    }

    fn with_hub<'a>(&'a self, device: &'a Device) -> Vec<&'a Device> {
        match device.hub {
            None => vec![device],
            Some(hub) => self.behind(hub).collect(),
        }
    }

    /// Changes the status of a device and keeps the old one in its history.
    ///
    /// # Errors
    /// [`StatusError`]; the device is then as it was.
    pub fn set_status(&mut self, id: Eui64, to: SmiStatus, at: SimInstant) -> Result<(), StatusError> {
        let device = self.devices.get_mut(&id).ok_or(StatusError::NoStatus(id))?;
        let from = device.status.ok_or(StatusError::NoStatus(id))?;
        if !from.may_become(to) {
            return Err(StatusError::NoSuchArrow { device: id, from, to });
        }
        device.status = Some(to);
        device.history.push((at, to));
        Ok(())
    }

    /// Notes the firmware the S1SP reported. Gives whether it is another one than before.
    pub fn report_firmware(&mut self, id: Eui64, firmware: &str, at: SimInstant) -> bool {
        let Some(device) = self.devices.get_mut(&id) else {
            return false;
        };
        device.firmware_reported = Some(at);
        if device.model.firmware == firmware {
            return false;
        }
        device.model = Arc::new(DeviceModel {
            firmware: firmware.into(),
            ..(*device.model).clone()
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Property;

    fn model(firmware: &str) -> Arc<DeviceModel> {
        Arc::new(DeviceModel {
            manufacturer: "Example".into(),
            model: "M1".into(),
            hardware: String::new(),
            firmware: firmware.into(),
        })
    }

    fn installation() -> Inventory {
        let at = SimInstant(0);
        let hub = Eui64(1);
        let device = |id, kind, mpxn: Option<&str>| Device {
            hub: Some(hub),
            mpxn: mpxn.map(|m| m.parse().unwrap()),
            ..Device::new(Eui64(id), kind, model("01"), SmiStatus::Commissioned, at)
        };
        Inventory::new([
            device(3, DeviceKind::Gsme, Some("77")),
            device(2, DeviceKind::Esme, Some("1200000000001")),
            device(1, DeviceKind::Chf, None),
            device(4, DeviceKind::Gpf, None),
            Device::new(Eui64(9), DeviceKind::Esme, model("02"), SmiStatus::Pending, at),
        ])
    }

    #[test]
    fn look_up_gives_the_installation_hub_first() {
        let inventory = installation();
        let ids = |by| {
            inventory
                .look_up(&by, &Properties::default())
                .iter()
                .map(|device| device.id.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(Lookup::Device(Eui64(3))), [1, 2, 4, 3]);
        assert_eq!(ids(Lookup::Device(Eui64(9))), [9]);
        assert_eq!(ids(Lookup::Mpxn("1200000000001".into())), [1, 2, 4, 3]);
        assert_eq!(ids(Lookup::Mpxn("78".into())), [0_u64; 0]);
        assert_eq!(
            ids(Lookup::Mpxn("12345678901".into())),
            [0_u64; 0],
            "no metering point has eleven digits"
        );
    }

    /// What a look-up gives when every device is looked at.
    fn scanned(devices: &BTreeMap<Eui64, Device>, homes: &BTreeMap<Mpxn, Property>, by: &Lookup) -> Vec<Eui64> {
        let behind = |hub: Option<Eui64>, own: Eui64| {
            devices
                .values()
                .filter(move |device| device.id == own || (hub.is_some() && device.hub == hub))
        };
        let around = |is_there: &dyn Fn(Mpxn) -> bool| -> Vec<&Device> {
            let there = devices.values().filter(|device| device.points().any(is_there));
            there.flat_map(|device| behind(device.hub, device.id)).collect()
        };
        let at = |matches: &dyn Fn(&Property) -> bool| around(&|mpxn| homes.get(&mpxn).is_some_and(matches));
        let mut found: Vec<&Device> = match by {
            Lookup::Device(id) => devices
                .get(id)
                .into_iter()
                .flat_map(|device| behind(device.hub, *id))
                .collect(),
            Lookup::Mpxn(digits) => around(&|mpxn| mpxn.to_string() == *digits),
            Lookup::Uprn(uprn) => at(&|property| property.uprn.as_ref() == Some(uprn)),
            Lookup::Property {
                post_code,
                address_identifier,
            } => at(&|property| {
                property.post_code.as_ref() == Some(post_code)
                    && property.address_identifier.as_ref() == Some(address_identifier)
            }),
        };
        found.sort_by_key(|device| (device.kind, device.id));
        found.dedup_by_key(|device| device.id);
        found.iter().map(|device| device.id).collect()
    }

    const POINTS: [&str; 3] = ["1200000000001", "1200000000002", "77"];

    fn property(of: u8) -> Option<Property> {
        let text = |number: u8| (number > 0).then(|| format!("P{number}"));
        (of > 0).then(|| Property {
            uprn: text(of % 3),
            post_code: text(of % 2),
            address_identifier: text(of / 3 % 3),
        })
    }

    proptest::proptest! {
        /// Whatever was put, put again with something else, or taken out: each index gives what a scan gives.
        #[test]
        fn every_look_up_gives_what_a_scan_gives(
            changes in proptest::collection::vec((1_u64..8, 0_u8..4, 0_u64..3, 0_u8..10, 0_usize..5), 0..40),
            places in proptest::collection::vec((0_u8..10, 0_usize..3), 0..6),
        ) {
            let mut inventory = Inventory::default();
            let mut devices = BTreeMap::new();
            let (mut properties, mut homes) = (Properties::default(), BTreeMap::new());
            for (place, point) in places {
                if let Some(property) = property(place) {
                    let mpxn: Mpxn = POINTS[point].parse().unwrap();
                    properties.put(mpxn, Arc::new(property.clone()));
                    homes.insert(mpxn, property);
                }
            }
            for (id, kind, hub, act, point) in changes {
                let id = Eui64(id);
                if act == 9 {
                    inventory.remove(id);
                    devices.remove(&id);
                    continue;
                }
                let kinds = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];
                let device = Device {
                    hub: (hub > 0).then_some(Eui64(hub)),
                    mpxn: POINTS.get(point).map(|digits| digits.parse().unwrap()),
                    ..Device::new(id, kinds[usize::from(kind)], model("01"), SmiStatus::Pending, SimInstant(0))
                };
                inventory.put(device.clone());
                devices.insert(id, device);
            }
            let text = |number: u8| format!("P{number}");
            let mut searches: Vec<Lookup> = (1..8).map(|id| Lookup::Device(Eui64(id))).collect();
            searches.extend(POINTS.map(|digits| Lookup::Mpxn(digits.into())));
            searches.extend((0..4).map(|number| Lookup::Uprn(text(number))));
            searches.extend((0..9).map(|number| Lookup::Property {
                post_code: text(number / 3),
                address_identifier: text(number % 3),
            }));
            for by in searches {
                let found: Vec<Eui64> = inventory.look_up(&by, &properties).iter().map(|device| device.id).collect();
                proptest::prop_assert_eq!(found, scanned(&devices, &homes, &by), "{:?}", by);
            }
        }
    }

    #[test]
    fn metering_points_follow_the_fuel() {
        let inventory = installation();
        let points = |id| inventory.metering_points(inventory.device(Eui64(id)).unwrap());
        assert_eq!(points(4), ["77".parse().unwrap()]);
        assert_eq!(points(1).len(), 2);
        assert_eq!(points(9), []);
    }

    #[test]
    fn status_changes_along_the_arrows_and_keeps_its_history() {
        let mut inventory = installation();
        let to = SmiStatus::Commissioned;
        let refused = inventory.set_status(Eui64(9), to, SimInstant(1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "device 00-00-00-00-00-00-00-09 cannot go from Pending to Commissioned"
        );
        inventory
            .set_status(Eui64(9), SmiStatus::InstalledNotCommissioned, SimInstant(2))
            .unwrap();
        inventory.set_status(Eui64(9), to, SimInstant(3)).unwrap();
        let device = inventory.device(Eui64(9)).unwrap();
        assert_eq!((device.history.len(), device.commissioned()), (3, Some(SimInstant(3))));
        for status in SmiStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert!(!status.may_become(status), "{status}");
        }
    }

    #[test]
    fn reported_firmware_replaces_the_old_one_of_that_device_only() {
        let mut inventory = installation();
        assert!(inventory.report_firmware(Eui64(2), "03", SimInstant(5)));
        assert!(!inventory.report_firmware(Eui64(2), "03", SimInstant(6)));
        assert_eq!(inventory.device(Eui64(2)).unwrap().model.firmware, "03");
        assert_eq!(inventory.device(Eui64(3)).unwrap().model.firmware, "01");
        assert!(!inventory.report_firmware(Eui64(77), "03", SimInstant(5)));
    }
}
