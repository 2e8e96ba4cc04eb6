//! 12.2: a device that is to come.

use std::sync::Arc;

use domain::{DeviceKind, DeviceModel, Eui64, UserRole};
use steps::Failure;

use super::{Answer, Change, Scene};
use crate::front_door::Denied;
use crate::inventory::{Device, SmiStatus};

pub(super) fn notify(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let text = |name| scene.body().child_text(name).unwrap_or_default();
    let id = scene.eui("DeviceID")?;
    let kind = kind(text("DeviceType"))?;
    check_identity(scene, id)?;
    let model = DeviceModel {
        manufacturer: text("DeviceManufacturer").to_owned(),
        model: text("DeviceModel").to_owned(),
        hardware: String::new(),
        firmware: text("FirmwareVersion").to_owned(),
    };
    check_details(scene, kind, &model)?;
    if !scene.products.permits(kind, &model) {
        let detail = format!("{kind} {} {} {}", model.manufacturer, model.model, model.firmware);
        return Err(Denied(Failure::NotifyNotListed, detail));
    }
    let proxy = proxy(scene, id)?;
    let mut device = Device {
        esme_variant: scene.body().child_text("ESMEVariant").map(Arc::from),
        ..Device::new(id, kind, Arc::new(model), SmiStatus::Pending, scene.now)
    };
    if let Some(version) = scene.body().child_text("SMETSCHTSVersion") {
        device.more_mut().smets_version = Some(Arc::from(version));
    }
    if scene.user.roles.contains(&UserRole::CommissioningParty) {
        device.more_mut().commissioned_by = Some(scene.user.eui);
    }
    if let Some(before) = scene.inventory.device(id) {
        // It had a life before this one: its history goes on.
        device.history = before.history.iter().copied().chain(device.history).collect();
    }
    let mut answer = Answer::done(format!("{kind} {id}")).about(id);
    match kind {
        DeviceKind::Chf => {
            if let Some(proxy) = proxy {
                device.more_mut().proxy = Some(proxy);
                if let Some(known) = scene.inventory.device(proxy).filter(|known| known.hub.is_none()) {
                    let known = Device {
                        hub: Some(id),
                        ..known.clone()
                    };
                    answer = answer.changing(Change::Device(Box::new(known)));
                }
            }
        }
        // The hub that named it may be there already.
        DeviceKind::Gpf => {
            device.hub = scene.inventory.hub_of_proxy(id).map(|hub| hub.id);
        }
        _ => {}
    }
    Ok(answer.changing(Change::Device(Box::new(device))))
}

/// Kinds of device that can be announced. Auxiliary controllers are not for SMETS1.
fn kind(text: &str) -> Result<DeviceKind, Denied> {
    match text {
        "HCALCS" => Err(Denied(Failure::NotSmets1, text.to_owned())),
        _ => text.parse().map_err(|_| Denied(Failure::Schema, text.to_owned())),
    }
}

/// A device can be announced again once it is out of service.
fn check_identity(scene: &Scene<'_>, id: Eui64) -> Result<(), Denied> {
    let denied = |detail: String| Err(Denied(Failure::NotifyIdentity, detail));
    if id == scene.id().target || id == scene.user.eui {
        return denied(format!("{id} is not a device's"));
    }
    let Some(known) = scene.inventory.device(id) else {
        return Ok(());
    };
    match known.status {
        Some(SmiStatus::Decommissioned | SmiStatus::Withdrawn) => Ok(()),
        status => {
            let status = status.map_or("without status", SmiStatus::as_str);
            denied(format!("device {id} is in the inventory already, {status}"))
        }
    }
}

fn check_details(scene: &Scene<'_>, kind: DeviceKind, model: &DeviceModel) -> Result<(), Denied> {
    let denied = |detail: &str| Err(Denied(Failure::NotifyDetail, detail.to_owned()));
    let has = |name| scene.body().child(name).is_some();
    match kind {
        _ if has("ESMEVariant") != (kind == DeviceKind::Esme) => {
            denied("an electricity meter, and nothing else, has an ESMEVariant")
        }
        _ if kind != DeviceKind::Chf && has("AssociatedGPFDeviceID") => {
            denied("only a hub has an AssociatedGPFDeviceID")
        }
        _ if kind.is_type2() && !model.firmware.is_empty() => denied("the model of a type 2 device has no firmware"),
        _ => Ok(()),
    }
}

/// The gas proxy named with a hub.
fn proxy(scene: &Scene<'_>, hub: Eui64) -> Result<Option<Eui64>, Denied> {
    if scene.body().child("AssociatedGPFDeviceID").is_none() {
        return Ok(None);
    }
    let proxy = scene.eui("AssociatedGPFDeviceID")?;
    if proxy == hub {
        return Err(Denied(
            Failure::NotifyIdentity,
            format!("the hub's gas proxy has the hub's own identity {hub}"),
        ));
    }
    match scene.inventory.device(proxy) {
        Some(known) if known.kind != DeviceKind::Gpf => Err(Denied(
            Failure::NotifyProxy,
            format!("device {proxy} is a {}", known.kind),
        )),
        Some(known) if known.hub.is_some_and(|other| other != hub) => Err(Denied(
            Failure::NotifyProxy,
            format!("gas proxy {proxy} belongs to another hub"),
        )),
        _ => Ok(Some(proxy)),
    }
}
