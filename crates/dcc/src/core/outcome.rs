//! What the outcome of a request to a device changes in the inventory, and who hears of it.

use domain::{DeviceKind, Eui64, RequestId, SimInstant};
use duis::{AlertPayload, Element, Request};
use prost::Message;
use proto::{Envelope, FirmwareReport};
use steps::Failure;
use steps::codes::AlertTrigger;

use super::Core;
use super::alerts::Notice;
use super::passage::payload_of;
use crate::Inventory;
use crate::audit::{Event, Record};
use crate::front_door::Denied;
use crate::inventory::{Device, SmiStatus};
use crate::journal::{AlertTaken, DeviceMessage, Entry};

/// What a request is about beyond its device, where its outcome changes something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Concern {
    /// 8.1.1: the device comes into service.
    Commission,
    /// 11.2 and 11.3: the answer names a firmware.
    Firmware,
    /// 8.11: a device enters the device log of the hub, or leaves it.
    HubLog { device: Eui64, add: bool },
    /// 8.7.1 and 8.7.2.
    Join { other: Eui64 },
    /// 8.9: the answer names the devices of the log.
    ReadLog,
    /// 8.12.1 and 8.12.2: the log of an old hub or gas proxy goes over to the new one.
    Restore { old: Eui64, of_proxy: bool },
    /// 8.8.1 and 8.8.2.
    Unjoin { other: Eui64 },
}

/// What the S1SP's answer says.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) succeeded: bool,
    payload: Option<Element>,
}

impl Content {
    pub(super) fn read(signed: &[u8], code: &str) -> Self {
        let payload = payload_of(signed);
        let said = payload.as_ref().and_then(|payload| payload.attribute("MessageSuccess"));
        Self {
            succeeded: code == "I0" && said != Some("false"),
            payload,
        }
    }
}

impl Concern {
    /// What a request is about, checked against the inventory where it names another device.
    ///
    /// Which of these checks the real system makes is not known; their codes are ours.
    pub(super) fn of(request: &Request, device: &Device, inventory: &Inventory) -> Result<Option<Self>, Denied> {
        let concern = Self::read(request)?;
        match concern {
            Some(Self::Join { other }) => {
                let failures = (Failure::JoinUnknown, Failure::JoinApart);
                let other = same_hub(device, other, inventory, failures)?;
                if !join(device.kind, other.kind) {
                    let detail = format!("a {} with a {}", device.kind, other.kind);
                    return Err(Denied(Failure::JoinTypes, detail));
                }
            }
            Some(Self::Unjoin { other }) => {
                let failures = (Failure::UnjoinUnknown, Failure::UnjoinApart);
                same_hub(device, other, inventory, failures)?;
            }
            Some(Self::HubLog { device: other, add }) => check_hub_log(device, other, add, request, inventory)?,
            Some(Self::Restore { old, of_proxy }) => check_restore(device, old, of_proxy, inventory)?,
            _ => {}
        }
        Ok(concern)
    }

    /// The same without looking at the inventory.
    pub(super) fn read(request: &Request) -> Result<Option<Self>, Denied> {
        let eui = |name: &str| -> Result<Eui64, Denied> {
            let text = request.body.child_text(name).unwrap_or_default();
            text.parse()
                .map_err(|_| Denied(Failure::Schema, format!("{name}: {text:?}")))
        };
        Ok(match request.body.name {
            "CommissionDeviceSynchroniseClock" => Some(Self::Commission),
            "ReadFirmwareVersion" | "ActivateFirmware" => Some(Self::Firmware),
            "UpdateHANDeviceLog" => Some(Self::HubLog {
                device: eui("DeviceID")?,
                add: request.body.child_text("RequestType") == Some("Add"),
            }),
            "JoinServiceCritical" | "JoinServiceNonCritical" => Some(Self::Join {
                other: eui("OtherDeviceID")?,
            }),
            "UnjoinServiceCritical" | "UnjoinServiceNonCritical" => Some(Self::Unjoin {
                other: eui("OtherDeviceID")?,
            }),
            "ReadDeviceLog" => Some(Self::ReadLog),
            "RestoreHANDeviceLog" => Some(Self::Restore {
                old: eui("OldCHFID")?,
                of_proxy: false,
            }),
            "RestoreGPFDeviceLog" => Some(Self::Restore {
                old: eui("OldGPFID")?,
                of_proxy: true,
            }),
            _ => None,
        })
    }
}

fn same_hub<'a>(
    device: &Device,
    other: Eui64,
    inventory: &'a Inventory,
    (unknown, apart): (Failure, Failure),
) -> Result<&'a Device, Denied> {
    let Some(other) = inventory.device(other) else {
        return Err(Denied(unknown, format!("the inventory has no device {other}")));
    };
    if other.hub.is_none() || other.hub != device.hub {
        let hub = |device: &Device| device.hub.map_or_else(|| "no hub".to_owned(), |hub| hub.to_string());
        let detail = format!(
            "{} is behind {}, {} behind {}",
            device.id,
            hub(device),
            other.id,
            hub(other)
        );
        return Err(Denied(apart, detail));
    }
    Ok(other)
}

/// Which kinds join: meters and gas proxies with displays and prepayment interfaces, a gas meter with its proxy.
fn join(one: DeviceKind, other: DeviceKind) -> bool {
    use DeviceKind as K;
    let pair = |a, b| (one, other) == (a, b) || (other, one) == (a, b);
    pair(K::Gpf, K::Gsme)
        || [K::Ppmid, K::Ihd, K::Cad]
            .into_iter()
            .any(|display| pair(K::Esme, display) || pair(K::Gpf, display) || pair(K::Gsme, display))
}

fn check_hub_log(
    hub: &Device,
    other: Eui64,
    add: bool,
    request: &Request,
    inventory: &Inventory,
) -> Result<(), Denied> {
    let denied = |failure, detail: String| Err(Denied(failure, detail));
    if add != request.body.child("AddDeviceToCHFWhitelist").is_some() {
        return denied(Failure::HubLogForm, "AddDeviceToCHFWhitelist goes with Add".to_owned());
    }
    let Some(other) = inventory.device(other) else {
        return denied(Failure::HubLogUnknown, format!("the inventory has no device {other}"));
    };
    if matches!(other.kind, DeviceKind::Chf | DeviceKind::Gpf) {
        return denied(Failure::HubLogType, format!("a {}", other.kind));
    }
    match (add, other.hub) {
        (true, Some(elsewhere)) if elsewhere != hub.id => {
            denied(Failure::HubLogElsewhere, format!("behind {elsewhere}"))
        }
        (false, behind) if behind != Some(hub.id) => denied(Failure::HubLogAbsent, format!("device {}", other.id)),
        (true, _) if matches!(other.status, Some(SmiStatus::Decommissioned | SmiStatus::Withdrawn)) => {
            denied(Failure::HubLogStatus, format!("device {} is out of service", other.id))
        }
        _ => Ok(()),
    }
}

fn check_restore(device: &Device, old: Eui64, of_proxy: bool, inventory: &Inventory) -> Result<(), Denied> {
    let (kind, unknown, in_service) = match of_proxy {
        true => (
            DeviceKind::Gpf,
            Failure::RestoreProxyUnknown,
            Failure::RestoreProxyInService,
        ),
        false => (
            DeviceKind::Chf,
            Failure::RestoreHubUnknown,
            Failure::RestoreHubInService,
        ),
    };
    let known = inventory
        .device(old)
        .filter(|known| known.kind == kind && old != device.id);
    match known {
        None => Err(Denied(unknown, format!("{kind} {old}"))),
        Some(known) if known.status == Some(SmiStatus::Commissioned) => {
            Err(Denied(in_service, format!("{kind} {old} is Commissioned")))
        }
        Some(_) => Ok(()),
    }
}

impl Core {
    /// Does what an answer changes, as part of the entry that ends its request.
    pub(super) fn apply_outcome(&mut self, entry: &mut Entry, id: RequestId, content: &Content, now: SimInstant) {
        let Some(concern) = self.open.get(&id).and_then(|open| open.concern) else {
            return;
        };
        if let Some(notice) = self.hub_log_notice(id, content.succeeded) {
            self.raise(entry, &notice, now);
        }
        if !content.succeeded {
            return;
        }
        match concern {
            Concern::Commission => self.commissioned(entry, id, now),
            Concern::Firmware => {
                let firmware = content
                    .payload
                    .as_ref()
                    .and_then(|payload| payload.child_text("FirmwareVersion"));
                if let Some(firmware) = firmware {
                    self.learn_firmware(entry, id.target, firmware.trim(), Some(id), now);
                }
            }
            Concern::HubLog { device, add: true } => self.enter_log(entry, id.target, device, now),
            Concern::HubLog { device, add: false } => self.leave_log(entry, id.target, device, id, now),
            Concern::Join { other } => self.join(entry, id.target, other, now),
            Concern::Unjoin { other } => self.unjoin(entry, id.target, other, now),
            Concern::ReadLog => self.compare_log(entry, id, content.payload.as_ref(), now),
            Concern::Restore { old, of_proxy } => self.restore_log(entry, id, old, of_proxy, now),
        }
    }

    /// N24 or N25, where a request was to change a device log.
    pub(super) fn hub_log_notice(&self, id: RequestId, succeeded: bool) -> Option<Notice> {
        let open = self.open.get(&id)?;
        let Some(Concern::HubLog { .. }) = open.concern else {
            return None;
        };
        let trigger = match succeeded {
            true => AlertTrigger::HubLogUpdated,
            false => AlertTrigger::HubLogNotUpdated,
        };
        let notice = Notice::new(trigger, AlertPayload::UpdateHubLogResult { request: id });
        Some(notice.about(id.target).to(open.user).because_of(id))
    }

    /// What a device says its firmware is.
    pub(super) fn learn_firmware(
        &mut self,
        entry: &mut Entry,
        device: Eui64,
        firmware: &str,
        request: Option<RequestId>,
        now: SimInstant,
    ) {
        // The inventory's field holds 1 to 8 characters; what is longer is not an identifier it can show.
        if !(1..=8).contains(&firmware.chars().count()) {
            return;
        }
        let Some(known) = self.options.inventory.device(device) else {
            return;
        };
        let (kind, before) = (known.kind, known.model.firmware.clone());
        if !self.options.inventory.report_firmware(device, firmware, now) {
            return;
        }
        self.keep_device(entry, device);
        let record = Record {
            device: Some(device),
            request,
            detail: format!("{firmware}; the inventory had {before:?}"),
            ..Record::new(Event::Firmware, now)
        };
        entry.audits.push(record.to_message());
        if !before.is_empty() {
            let payload = AlertPayload::FirmwareVersionMismatch {
                device,
                kind,
                inventory: before.clone(),
                found: firmware.to_owned(),
            };
            let notice = Notice::new(AlertTrigger::FirmwareDiffers, payload).about(device);
            self.raise(entry, &notice, now);
        }
        let Some(known) = self.options.inventory.device(device) else {
            return;
        };
        let products = &self.options.products;
        if products.has_cpl() && kind != DeviceKind::Gpf && products.listed(kind, &known.model).is_none() {
            let payload = AlertPayload::FirmwareVersionMismatch {
                device,
                kind,
                inventory: if before.is_empty() { firmware.to_owned() } else { before },
                found: firmware.to_owned(),
            };
            let notice = Notice::new(AlertTrigger::FirmwareNotListed, payload).about(device);
            self.raise(entry, &notice, now);
        }
        if kind == DeviceKind::Chf {
            self.hub_firmware(entry, device, firmware, true, now);
        }
        self.review(entry, device, now);
    }

    /// N56.
    pub(super) fn hub_firmware(
        &mut self,
        entry: &mut Entry,
        hub: Eui64,
        firmware: &str,
        active: bool,
        now: SimInstant,
    ) {
        let payload = AlertPayload::Smets1HubFirmware {
            hub,
            firmware: firmware.to_owned(),
            active,
        };
        let notice = Notice::new(AlertTrigger::HubFirmware, payload).about(hub);
        self.raise(entry, &notice, now);
    }

    /// What the S1SP learnt by itself.
    pub(super) fn firmware_reported(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(report) = FirmwareReport::decode(envelope.body.clone()) else {
            return tracing::warn!("a firmware report that is none");
        };
        self.confirm(envelope, envelope.trace_id.clone());
        let device = Eui64(report.device);
        if !self.remember_alert(device, report.counter) {
            return;
        }
        let mut entry = Entry {
            alert: Some(AlertTaken {
                device: device.0,
                counter: report.counter,
            }),
            ..Entry::at(now)
        };
        let is_hub = self
            .options
            .inventory
            .device(device)
            .is_some_and(|known| known.kind == DeviceKind::Chf);
        if report.active {
            self.learn_firmware(&mut entry, device, &report.firmware_version, None, now);
        } else if is_hub {
            self.hub_firmware(&mut entry, device, &report.firmware_version, false, now);
        }
        self.write(entry, now);
    }

    fn compare_log(&mut self, entry: &mut Entry, id: RequestId, payload: Option<&Element>, now: SimInstant) {
        let entries = payload
            .into_iter()
            .flat_map(|payload| &payload.children)
            .flat_map(|log| &log.children);
        let found: std::collections::BTreeSet<Eui64> = entries
            .filter_map(|one| one.child_text("DeviceID")?.parse().ok())
            .collect();
        let Some(device) = self.options.inventory.device(id.target) else {
            return;
        };
        if device.kind != DeviceKind::Chf || found.is_empty() {
            return;
        }
        let behind = self.options.inventory.behind(device.id);
        let known: std::collections::BTreeSet<Eui64> = behind
            .filter(|one| !matches!(one.kind, DeviceKind::Chf | DeviceKind::Gpf))
            .map(|one| one.id)
            .collect();
        let texts = |ids: Vec<&Eui64>| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
        let of_hub = |id: &&Eui64| {
            let known = self.options.inventory.device(**id);
            !known.is_some_and(|one| matches!(one.kind, DeviceKind::Chf | DeviceKind::Gpf))
        };
        let only_log = texts(found.difference(&known).filter(of_hub).collect());
        let only_inventory = texts(known.difference(&found).collect());
        if only_log.is_empty() && only_inventory.is_empty() {
            return;
        }
        let record = Record {
            device: Some(id.target),
            request: Some(id),
            detail: format!(
                "device log and inventory differ: only in the log [{only_log}], only in the inventory [{only_inventory}]"
            ),
            ..Record::new(Event::DeviceChanged, now)
        };
        entry.audits.push(record.to_message());
    }

    /// Puts a device as it is now into an entry.
    pub(super) fn keep_device(&self, entry: &mut Entry, device: Eui64) {
        if let Some(known) = self.options.inventory.device(device) {
            entry.devices.retain(|message| message.id != device.0);
            entry.devices.push(DeviceMessage::of(known));
        }
    }
}
