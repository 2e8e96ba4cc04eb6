//! Devices come, change, leave: the statuses of the inventory, and everything that hangs on them.

use domain::{DeviceKind, Eui64, RequestId, SimInstant};
use duis::AlertPayload;
use duis::alert::{MeterPoints, StatusChange};
use steps::Failure;
use steps::codes::AlertTrigger;

use super::alerts::Notice;
use super::{Core, Stage};
use crate::audit::{Event, Record};
use crate::inventory::{Device, SmiStatus, StatusError};
use crate::journal::{Entry, KnownMessage};
use crate::services::Change;

impl Core {
    /// Does one change of an answer, as part of the entry that answers.
    pub(super) fn change(&mut self, entry: &mut Entry, change: Change, by: RequestId, now: SimInstant) {
        match change {
            Change::Device(device) => {
                let id = device.id;
                self.options.inventory.put(*device);
                self.keep_device(entry, id);
            }
            Change::Image(image) => {
                let (distribution, known) = *image;
                entry.images_known.push(KnownMessage::of(&known));
                self.images.know(known);
                self.distribute(entry, distribution, now);
            }
            Change::Removed(device) => self.remove_device(entry, device, by, now),
            Change::Schedule(schedule) => self.create_schedule(entry, *schedule, by, now),
            Change::ScheduleDeleted(id) => {
                self.remove_schedule(entry, id, None, now);
            }
            Change::Status(device, to) => {
                if let Err(error) = self.change_status(entry, device, to, Some(by), now) {
                    // Checked before it was answered.
                    tracing::error!(%device, %error, "a status was not changed");
                }
            }
        }
    }

    /// A device comes to another status: what hangs on it follows.
    pub(super) fn change_status(
        &mut self,
        entry: &mut Entry,
        id: Eui64,
        to: SmiStatus,
        by: Option<RequestId>,
        now: SimInstant,
    ) -> Result<(), StatusError> {
        let inventory = &mut self.options.inventory;
        let from = inventory.device(id).and_then(|device| device.status);
        inventory.set_status(id, to, now)?;
        self.keep_device(entry, id);
        let from = from.map_or("", SmiStatus::as_str);
        let record = Record {
            device: Some(id),
            request: by,
            user: by.map(|by| by.originator),
            detail: format!("{from} to {to}"),
            ..Record::new(Event::StatusChanged, now)
        };
        entry.audits.push(record.to_message());
        let Some(device) = self.options.inventory.device(id).cloned() else {
            return Ok(());
        };
        match to {
            SmiStatus::Commissioned => self.came_into_service(entry, &device, from, now),
            SmiStatus::Suspended => {
                self.raise_status(
                    entry,
                    AlertTrigger::DeviceSuspended,
                    &device,
                    StatusChange::Suspended,
                    now,
                );
                self.cancel_for(entry, id, None, AlertTrigger::HeldCancelledSuspension, now);
            }
            SmiStatus::Decommissioned => self.left_service(entry, &device, &DECOMMISSIONED, by, now),
            SmiStatus::Withdrawn => self.left_service(entry, &device, &WITHDRAWN, by, now),
            SmiStatus::InstalledNotCommissioned | SmiStatus::Recovered if from == SmiStatus::Suspended.as_str() => {
                self.raise_status(
                    entry,
                    AlertTrigger::DeviceRestored,
                    &device,
                    StatusChange::Restored,
                    now,
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn came_into_service(&mut self, entry: &mut Entry, device: &Device, from: &str, now: SimInstant) {
        if from == SmiStatus::Suspended.as_str() {
            return self.raise_status(entry, AlertTrigger::DeviceRestored, device, StatusChange::Restored, now);
        }
        match device.kind {
            DeviceKind::Esme | DeviceKind::Gsme => {
                let change = StatusChange::MeterIdentity {
                    points: points(device),
                    esme_variant: device.esme_variant.as_deref().map(str::to_owned),
                };
                self.raise_status(entry, AlertTrigger::IdentityConfirmed, device, change, now);
            }
            // The gas proxy is part of the hub and goes with it (inferred).
            DeviceKind::Chf => {
                for proxy in self.proxies(device.id) {
                    self.try_status(entry, proxy, SmiStatus::Commissioned, now);
                }
            }
            _ => {}
        }
    }

    /// A device is out of service for good.
    fn left_service(&mut self, entry: &mut Entry, device: &Device, way: &Way, by: Option<RequestId>, now: SimInstant) {
        match device.kind {
            DeviceKind::Esme | DeviceKind::Gsme => {
                let joined = device
                    .more()
                    .joined
                    .iter()
                    .filter_map(|id| self.options.inventory.device(*id));
                let type1 = joined.filter(|other| other.kind == DeviceKind::Ppmid);
                let change = StatusChange::MeterLeft {
                    points: points(device),
                    associated: type1.map(|other| (other.id, other.kind)).take(ASSOCIATED_MAX).collect(),
                };
                self.raise_status(entry, way.meter, device, change, now);
            }
            DeviceKind::Chf => {
                let change = StatusChange::HubDecommissioned;
                self.raise_status(entry, AlertTrigger::HubDecommissioned, device, change, now);
                let to = device.status.unwrap_or(SmiStatus::Decommissioned);
                for proxy in self.proxies(device.id) {
                    self.try_status(entry, proxy, to, now);
                }
            }
            _ => {}
        }
        self.cancel_for(entry, device.id, None, way.held, now);
        self.remove_schedules(entry, device.id, way.schedule, by, now);
        self.images_lose(entry, device.id, now);
        for other in device.more().joined.clone() {
            self.part(entry, device.id, other);
        }
        // It leaves the device log of its hub; a hub and its proxy stay where they are.
        if !matches!(device.kind, DeviceKind::Chf | DeviceKind::Gpf) {
            self.set_hub(entry, device.id, None);
        }
    }

    fn remove_device(&mut self, entry: &mut Entry, id: Eui64, by: RequestId, now: SimInstant) {
        let Some(device) = self.options.inventory.device(id).cloned() else {
            return;
        };
        // Told while it is still known whom it concerns.
        let status = AlertPayload::DeviceStatusChange {
            device: id,
            change: StatusChange::Removed,
        };
        let notice = Notice::new(AlertTrigger::DeviceRemoved, status)
            .about(id)
            .because_of(by);
        self.raise(entry, &notice, now);
        for other in device.more().joined.clone() {
            self.part(entry, id, other);
        }
        self.options.inventory.remove(id);
        entry.devices.retain(|message| message.id != id.0);
        entry.devices_removed.push(id.0);
        let record = Record {
            device: Some(id),
            request: Some(by),
            user: Some(by.originator),
            ..Record::new(Event::DeviceRemoved, now)
        };
        entry.audits.push(record.to_message());
    }

    /// Ends what waits for a device, of one user or of all, and tells them why.
    pub(super) fn cancel_for(
        &mut self,
        entry: &mut Entry,
        device: Eui64,
        of: Option<Eui64>,
        why: AlertTrigger,
        now: SimInstant,
    ) {
        let waiting = self.open.iter().filter(|(id, open)| {
            let of_user = of.is_none_or(|user| open.user == user);
            id.target == device
                && of_user
                && matches!(open.stage, Stage::Held(_) | Stage::Waiting(_) | Stage::Accepted(_))
        });
        let waiting: Vec<_> = waiting.map(|(id, open)| (*id, open.user, open.schedule)).collect();
        for (id, user, schedule) in waiting {
            let payload = AlertPayload::CommandFailure {
                request: id,
                schedule,
                device,
            };
            let notice = Notice::new(why, payload).to(user).because_of(id);
            self.raise(entry, &notice, now);
            let record = Record {
                detail: why.alert().text.to_owned(),
                ..self.about(Event::Cancelled, id, now).failing(Failure::Cancelled)
            };
            self.fail_with(id, Failure::Cancelled, &record, Entry::at(now), now);
        }
    }

    fn raise_status(
        &mut self,
        entry: &mut Entry,
        trigger: AlertTrigger,
        device: &Device,
        change: StatusChange,
        now: SimInstant,
    ) {
        // The schema demands a metering point; a meter without one is nobody's.
        let no_point = device.mpxn.is_none();
        if no_point
            && matches!(
                change,
                StatusChange::MeterIdentity { .. } | StatusChange::MeterLeft { .. }
            )
        {
            return;
        }
        let payload = AlertPayload::DeviceStatusChange {
            device: device.id,
            change,
        };
        let notice = Notice::new(trigger, payload).about(device.id);
        self.raise(entry, &notice, now);
    }

    fn proxies(&self, hub: Eui64) -> Vec<Eui64> {
        let behind = self.options.inventory.behind(hub);
        behind
            .filter(|device| device.kind == DeviceKind::Gpf)
            .map(|device| device.id)
            .collect()
    }

    /// A status that follows from another one; where there is no arrow to it, the device stays as it is.
    pub(super) fn try_status(&mut self, entry: &mut Entry, device: Eui64, to: SmiStatus, now: SimInstant) {
        let status = self.options.inventory.device(device).and_then(|device| device.status);
        if status.is_some_and(|from| from.may_become(to))
            && let Err(error) = self.change_status(entry, device, to, None, now)
        {
            tracing::error!(%device, %error, "a status was not changed");
        }
    }

    /// A device is in the device log of a hub.
    pub(super) fn enter_log(&mut self, entry: &mut Entry, hub: Eui64, device: Eui64, now: SimInstant) {
        self.set_hub(entry, device, Some(hub));
        if self.options.inventory.device(device).and_then(|known| known.status) == Some(SmiStatus::Pending) {
            self.try_status(entry, device, SmiStatus::Whitelisted, now);
        }
    }

    /// A device is in the device log of a hub no longer.
    pub(super) fn leave_log(&mut self, entry: &mut Entry, hub: Eui64, device: Eui64, by: RequestId, now: SimInstant) {
        let Some(known) = self.options.inventory.device(device).cloned() else {
            return;
        };
        if known.hub != Some(hub) {
            return;
        }
        if known.kind == DeviceKind::Ppmid {
            let payload = AlertPayload::PpmidRemoval { device, hub };
            let notice = Notice::new(AlertTrigger::PpmidRemoved, payload)
                .about(device)
                .because_of(by);
            self.raise(entry, &notice, now);
        }
        for other in known.more().joined.clone() {
            self.part(entry, device, other);
        }
        self.set_hub(entry, device, None);
        if known.status == Some(SmiStatus::Whitelisted) {
            self.try_status(entry, device, SmiStatus::Pending, now);
        }
    }

    /// Two devices are joined. A prepayment interface is in service from then on (inferred).
    pub(super) fn join(&mut self, entry: &mut Entry, one: Eui64, other: Eui64, now: SimInstant) {
        for (device, with) in [(one, other), (other, one)] {
            let Some(mut known) = self.options.inventory.device(device).cloned() else {
                continue;
            };
            if !known.more().joined.contains(&with) {
                known.more_mut().joined.push(with);
                known.more_mut().joined.sort_unstable();
            }
            let ppmid = known.kind == DeviceKind::Ppmid;
            self.options.inventory.put(known);
            self.keep_device(entry, device);
            if ppmid {
                self.try_status(entry, device, SmiStatus::Commissioned, now);
            }
        }
    }

    /// Two devices are joined no longer.
    pub(super) fn unjoin(&mut self, entry: &mut Entry, one: Eui64, other: Eui64, now: SimInstant) {
        self.part(entry, one, other);
        for device in [one, other] {
            let alone = self
                .options
                .inventory
                .device(device)
                .is_some_and(|known| known.kind == DeviceKind::Ppmid && known.more().joined.is_empty());
            if alone {
                self.try_status(entry, device, SmiStatus::InstalledNotCommissioned, now);
            }
        }
    }

    pub(super) fn part(&mut self, entry: &mut Entry, one: Eui64, other: Eui64) {
        for (device, with) in [(one, other), (other, one)] {
            let Some(mut known) = self.options.inventory.device(device).cloned() else {
                continue;
            };
            if known.more().joined.contains(&with) {
                known.more_mut().joined.retain(|id| *id != with);
                self.options.inventory.put(known);
                self.keep_device(entry, device);
            }
        }
    }

    fn set_hub(&mut self, entry: &mut Entry, device: Eui64, hub: Option<Eui64>) {
        let Some(known) = self.options.inventory.device(device).cloned() else {
            return;
        };
        self.options.inventory.put(Device { hub, ..known });
        self.keep_device(entry, device);
    }

    /// The log of an old hub, or of its gas proxy, is that of the new one.
    pub(super) fn restore_log(
        &mut self,
        entry: &mut Entry,
        id: RequestId,
        old: Eui64,
        of_proxy: bool,
        now: SimInstant,
    ) {
        let new = id.target;
        if of_proxy {
            let joined = self
                .options
                .inventory
                .device(old)
                .map(|known| known.more().joined.clone());
            for other in joined.unwrap_or_default() {
                self.part(entry, old, other);
                self.join(entry, new, other, now);
            }
        } else {
            let behind = self.options.inventory.behind(old);
            let moving: Vec<_> = behind
                .filter(|device| !matches!(device.kind, DeviceKind::Chf | DeviceKind::Gpf))
                .map(|device| device.id)
                .collect();
            for device in moving {
                self.set_hub(entry, device, Some(new));
            }
        }
        let proxy = |hub: Option<Eui64>| {
            hub.and_then(|hub| self.proxies(hub).first().copied())
                .unwrap_or_default()
        };
        let hub_of = |device: Eui64| self.options.inventory.device(device).and_then(|known| known.hub);
        let devices = match of_proxy {
            true => [
                hub_of(old).unwrap_or_default(),
                hub_of(new).unwrap_or_default(),
                old,
                new,
            ],
            false => [old, new, proxy(Some(old)), proxy(Some(new))],
        };
        let trigger = match of_proxy {
            true => AlertTrigger::ProxyLogRestored,
            false => AlertTrigger::HubLogRestored,
        };
        let payload = AlertPayload::DeviceLogRestored {
            on: now,
            of_proxy,
            devices,
        };
        let notice = Notice::new(trigger, payload).about(new).because_of(id);
        self.raise(entry, &notice, now);
    }
}

/// What leaving service raises, by the way a device leaves.
struct Way {
    meter: AlertTrigger,
    held: AlertTrigger,
    schedule: AlertTrigger,
}

const DECOMMISSIONED: Way = Way {
    meter: AlertTrigger::MeterDecommissioned,
    held: AlertTrigger::HeldCancelledDecommission,
    schedule: AlertTrigger::ScheduleRemovedDecommission,
};

const WITHDRAWN: Way = Way {
    meter: AlertTrigger::MeterWithdrawn,
    held: AlertTrigger::HeldCancelledWithdrawal,
    schedule: AlertTrigger::ScheduleRemovedWithdrawal,
};

/// Devices joined with a meter that one alert can name.
const ASSOCIATED_MAX: usize = 7;

fn points(device: &Device) -> MeterPoints {
    let more = device.more();
    MeterPoints {
        import: device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
        secondary_import: more.secondary_import.map(|mpan| mpan.to_string()),
        export: more.export.map(|mpan| mpan.to_string()),
    }
}
