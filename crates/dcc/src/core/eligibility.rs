//! Which devices may come into service and stay there: the product lists, enforced.

use std::collections::BTreeMap;

use dmc::CplStatus;
use domain::{DeviceKind, DeviceModel, Eui64, RequestId, SimInstant};
use steps::Failure;

use super::Core;
use crate::Products;
use crate::audit::{Event, Record};
use crate::front_door::Denied;
use crate::inventory::{Device, SmiStatus};
use crate::journal::Entry;

impl Core {
    /// 8.1.1 brings a meter into service: not where the entry that decides about its installation is a refusal, and, where
    /// every combination must be listed, not without an approval. Which code the real system gives is not known.
    pub(super) fn check_combination(&self, device: &Device, now: SimInstant) -> Result<(), Denied> {
        let products = &self.options.products;
        let Some(hub) = device.hub.filter(|_| !products.combinations().is_empty()) else {
            return Ok(());
        };
        match products.combination(&self.models_behind(hub), now) {
            Some(found) if !found.approved => {
                let detail = format!("EPCL {} refused by {}, {}", found.id, found.approved_by, found.report);
                Err(Denied(Failure::CombinationRefused, detail))
            }
            None if self.options.limits.require_listed_combination => {
                let detail = "no EPCL entry has this combination".to_owned();
                Err(Denied(Failure::CombinationRefused, detail))
            }
            _ => Ok(()),
        }
    }

    /// The models of an installation, by kind of device.
    pub(super) fn models_behind(&self, hub: Eui64) -> BTreeMap<DeviceKind, DeviceModel> {
        let behind = self.options.inventory.behind(hub);
        behind.map(|device| (device.kind, (*device.model).clone())).collect()
    }

    /// 8.1.1 worked.
    pub(super) fn commissioned(&mut self, entry: &mut Entry, id: RequestId, now: SimInstant) {
        self.note_combination(entry, id, now);
        let status = self
            .options
            .inventory
            .device(id.target)
            .and_then(|device| device.status);
        if status == Some(SmiStatus::Pending) {
            // It was reached, so it is installed, whatever its log says.
            self.try_status(entry, id.target, SmiStatus::InstalledNotCommissioned, now);
        }
        self.try_status(entry, id.target, SmiStatus::Commissioned, now);
    }

    /// Which entry of the list decided about what comes into service: said in the audit trail.
    fn note_combination(&self, entry: &mut Entry, id: RequestId, now: SimInstant) {
        let products = &self.options.products;
        let hub = self.options.inventory.device(id.target).and_then(|device| device.hub);
        let Some(hub) = hub.filter(|_| !products.combinations().is_empty()) else {
            return;
        };
        let models = self.models_behind(hub);
        let detail = match products.combination(&models, now) {
            Some(found) => {
                let decision = if found.approved { "approved" } else { "refused" };
                format!(
                    "EPCL {} {decision} by {}, {}",
                    found.id, found.approved_by, found.report
                )
            }
            None => "no EPCL entry has this combination".to_owned(),
        };
        let record = Record {
            device: Some(id.target),
            request: Some(id),
            detail,
            ..Record::new(Event::DeviceChanged, now)
        };
        entry.audits.push(record.to_message());
    }

    /// Holds a device against the product list: suspended while its firmware is not active there, restored when it is.
    pub(super) fn review(&mut self, entry: &mut Entry, id: Eui64, now: SimInstant) {
        let Some(device) = self.options.inventory.device(id) else {
            return;
        };
        let listed = self.options.products.listed(device.kind, &device.model);
        let Some(active) = listed.map(|listed| listed.status == CplStatus::Active) else {
            return;
        };
        match device.status {
            Some(SmiStatus::Commissioned) if !active => self.try_status(entry, id, SmiStatus::Suspended, now),
            Some(SmiStatus::Suspended) if active => {
                let before = device.status_before().unwrap_or(SmiStatus::Commissioned);
                self.try_status(entry, id, before, now);
            }
            _ => {}
        }
    }

    /// Other product lists: every device is held against them.
    pub(super) fn set_products(&mut self, products: Products, now: SimInstant) {
        self.options.products = products;
        let devices: Vec<_> = self.options.inventory.devices().map(|device| device.id).collect();
        for device in devices {
            let mut entry = Entry::at(now);
            self.review(&mut entry, device, now);
            if !entry.devices.is_empty() {
                self.write(entry, now);
            }
        }
    }
}
