//! Installations that come to a running lab, or go: their devices are then as if the files had said so at the start.

use std::sync::Arc;

use domain::{Credentials, DeviceKind, Eui64, Mpxn, SimInstant};
use steps::codes::AlertTrigger;

use super::Core;
use crate::audit::{Event, Record};
use crate::inventory::Device;
use crate::journal::{CredentialsMessage, Entry};
use crate::properties::Property;
use crate::registration::Registration;

/// What the DCC is to know of installations that come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fitted {
    /// Devices of the inventory.
    pub devices: Vec<Device>,
    /// Notified certificates, by device.
    pub credentials: Vec<(Eui64, Credentials)>,
    /// Registration Data. It is not in the journal: whoever starts the DCC again gives it with the directory.
    pub registrations: Vec<Registration>,
    /// Where metering points are: Registration Data as well.
    pub properties: Vec<(Mpxn, Arc<Property>)>,
}

impl Core {
    /// Takes devices into the inventory, and registrations into the directory.
    pub(super) fn fit(&mut self, fitted: Fitted, now: SimInstant) {
        let directory = Arc::make_mut(&mut self.options.directory);
        for registration in fitted.registrations {
            directory.register(registration);
        }
        directory.locate(fitted.properties);
        for (device, record) in fitted.credentials {
            let credentials = Some(CredentialsMessage::of(device, &record));
            self.options.credentials.set(device, record);
            self.write(
                Entry {
                    credentials,
                    ..Entry::at(now)
                },
                now,
            );
        }
        let mut entry = Entry::at(now);
        for device in fitted.devices {
            let record = Record {
                device: Some(device.id),
                detail: "came with an installation that was added to the lab".to_owned(),
                ..Record::new(Event::DeviceChanged, now)
            };
            entry.audits.push(record.to_message());
            let id = device.id;
            self.options.inventory.put(device);
            self.keep_device(&mut entry, id);
        }
        self.write(entry, now);
    }

    /// Takes devices out of the inventory with everything that waits for them, whose users are told as of a device that
    /// leaves service.
    pub(super) fn take_away(&mut self, devices: &[Eui64], now: SimInstant) {
        let mut entry = Entry::at(now);
        let known: Vec<Device> = devices
            .iter()
            .filter_map(|id| self.options.inventory.device(*id).cloned())
            .collect();
        for device in &known {
            let id = device.id;
            self.cancel_for(&mut entry, id, None, AlertTrigger::HeldCancelledDecommission, now);
            self.remove_schedules(&mut entry, id, AlertTrigger::ScheduleRemovedDecommission, None, now);
            self.images_lose(&mut entry, id, now);
            for other in device.more().joined.clone() {
                self.part(&mut entry, id, other);
            }
        }
        // The hub last: what is told about the others may look for it.
        let hubs_last = |device: &&Device| device.kind == DeviceKind::Chf;
        let (hubs, others): (Vec<_>, Vec<_>) = known.iter().partition(hubs_last);
        for device in others.into_iter().chain(hubs) {
            self.options.inventory.remove(device.id);
            entry.devices.retain(|message| message.id != device.id.0);
            entry.devices_removed.push(device.id.0);
            let record = Record {
                device: Some(device.id),
                detail: "its installation was taken out of the lab".to_owned(),
                ..Record::new(Event::DeviceRemoved, now)
            };
            entry.audits.push(record.to_message());
        }
        self.write(entry, now);
    }
}
