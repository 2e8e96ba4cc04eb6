//! 8.3 and 8.4: a device leaves service, or the inventory learns something else of it.

use std::sync::Arc;

use domain::{DeviceKind, DeviceModel, Mpxn};
use duis::Element;
use steps::Failure;

use super::{Answer, Change, Scene};
use crate::front_door::Denied;
use crate::inventory::{Device, SmiStatus};

/// 8.3.
pub(super) fn decommission(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let device = scene.own_device(Failure::UnknownDevice)?;
    let Some(status) = device.status else {
        let detail = format!("a {} has no status", device.kind);
        return Err(Denied(Failure::DecommissionType, detail));
    };
    if !status.may_become(SmiStatus::Decommissioned) {
        return Err(Denied(Failure::DecommissionStatus, format!("the device is {status}")));
    }
    let answer = Answer::done(format!("{} was {status}", device.kind)).about(device.id);
    Ok(answer.changing(Change::Status(device.id, SmiStatus::Decommissioned)))
}

/// 8.4, in its five forms.
pub(super) fn update(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let device = scene.own_device(Failure::UnknownDevice)?;
    let Some(form) = scene.body().children.get(1) else {
        return Err(Denied(Failure::Schema, "nothing to update".to_owned()));
    };
    let answer = match form.name {
        "UpdateDeviceStatusExceptCH" => status(device, &form.text, device.kind != DeviceKind::Chf),
        "UpdateDeviceStatusCH" => status(device, &form.text, device.kind == DeviceKind::Chf),
        "UpdateDeviceDetails" => details(scene, device, form),
        "DeleteDevice" => delete(device),
        _ => metering_point(scene, device, form),
    }?;
    Ok(answer.about(device.id))
}

fn status(device: &Device, word: &str, fits: bool) -> Result<Answer, Denied> {
    if !fits {
        let detail = format!("{word} of this form is not for a {}", device.kind);
        return Err(Denied(Failure::StatusNotForType, detail));
    }
    let to: SmiStatus = word
        .parse()
        .map_err(|_| Denied(Failure::Schema, format!("no status {word:?}")))?;
    let Some(from) = device.status else {
        return Err(Denied(Failure::StatusNone, format!("a {} has no status", device.kind)));
    };
    if !from.may_become(to) {
        return Err(Denied(Failure::StatusNoArrow, format!("{from} to {to}")));
    }
    Ok(Answer::done(format!("{from} to {to}")).changing(Change::Status(device.id, to)))
}

/// What a device is can be put right until it is in service.
fn details(scene: &Scene<'_>, device: &Device, form: &Element) -> Result<Answer, Denied> {
    use SmiStatus as S;
    if !matches!(
        device.status,
        None | Some(S::Pending | S::Whitelisted | S::InstalledNotCommissioned)
    ) {
        let status = device.status.map_or("", SmiStatus::as_str);
        return Err(Denied(Failure::DetailsInService, format!("the device is {status}")));
    }
    let of_type = |wrong: bool, what: &str| match wrong {
        true => Err(Denied(
            Failure::DetailNotForType,
            format!("{what} of a {}", device.kind),
        )),
        false => Ok(()),
    };
    of_type(
        form.child("ESMEVariant").is_some() && device.kind != DeviceKind::Esme,
        "ESMEVariant",
    )?;
    of_type(
        form.child("FirmwareVersion").is_some() && device.kind.is_type2(),
        "FirmwareVersion",
    )?;
    let text = |name, before: &str| form.child_text(name).unwrap_or(before).to_owned();
    let model = DeviceModel {
        manufacturer: text("DeviceManufacturer", &device.model.manufacturer),
        model: text("DeviceModel", &device.model.model),
        hardware: device.model.hardware.clone(),
        firmware: text("FirmwareVersion", &device.model.firmware),
    };
    if !scene.products.permits(device.kind, &model) {
        let detail = format!("{} {} {}", model.manufacturer, model.model, model.firmware);
        return Err(Denied(Failure::DetailsNotListed, detail));
    }
    let names: Vec<_> = form.children.iter().map(|child| child.name).collect();
    let mut changed = device.clone();
    changed.model = Arc::new(model);
    if let Some(variant) = form.child_text("ESMEVariant") {
        changed.esme_variant = Some(Arc::from(variant));
    }
    if let Some(version) = form.child_text("SMETSCHTSVersion") {
        changed.more_mut().smets_version = Some(Arc::from(version));
    }
    Ok(Answer::done(names.join(", ")).changing(Change::Device(Box::new(changed))))
}

fn delete(device: &Device) -> Result<Answer, Denied> {
    use SmiStatus as S;
    match device.status {
        None | Some(S::Pending | S::Decommissioned | S::Withdrawn) => {
            let status = device.status.map_or("without status", SmiStatus::as_str);
            Ok(Answer::done(format!("deleted, was {status}")).changing(Change::Removed(device.id)))
        }
        Some(status) => Err(Denied(Failure::DeleteInService, format!("the device is {status}"))),
    }
}

fn metering_point(scene: &Scene<'_>, device: &Device, form: &Element) -> Result<Answer, Denied> {
    let Some(point) = form.children.first() else {
        return Err(Denied(Failure::Schema, "no metering point".to_owned()));
    };
    let not_for_type = || {
        let detail = format!("{} {} of a {}", point.name, point.text, device.kind);
        Denied(Failure::MpxnNotForType, detail)
    };
    let mpxn: Mpxn = point.text.parse().map_err(|_| not_for_type())?;
    let mut changed = device.clone();
    match (point.name, device.kind, mpxn) {
        ("ImportMPxN", DeviceKind::Esme, Mpxn::Mpan(_))
        | ("ImportMPxN", DeviceKind::Gsme | DeviceKind::Gpf, Mpxn::Mprn(_)) => changed.mpxn = Some(mpxn),
        ("SecondaryImportMPAN", DeviceKind::Esme, Mpxn::Mpan(mpan)) => changed.more_mut().secondary_import = Some(mpan),
        ("ExportMPAN", DeviceKind::Esme, Mpxn::Mpan(mpan)) => changed.more_mut().export = Some(mpan),
        _ => return Err(not_for_type()),
    }
    // A gas meter and its proxy share theirs.
    let taken = |other: &&Device| {
        let same_place = other.hub.is_some() && other.hub == device.hub;
        other.id != device.id && other.in_service() && !(same_place && other.kind != device.kind)
    };
    if let Some(other) = scene.inventory.at_point(mpxn).find(taken) {
        return Err(Denied(Failure::MpxnTaken, format!("device {} has {mpxn}", other.id)));
    }
    let mut of_point = Device {
        mpxn: Some(mpxn),
        more: None,
        ..device.clone()
    };
    if let Some(party) = device.more().commissioned_by {
        of_point.more_mut().commissioned_by = Some(party);
    }
    scene
        .access
        .authority(scene.user, scene.row, &of_point, scene.now)
        .map_err(|Denied(_, detail)| Denied(Failure::MpxnForeign, detail))?;
    let before: Vec<_> = device
        .points()
        .collect::<Vec<Mpxn>>()
        .iter()
        .map(Mpxn::to_string)
        .collect();
    let detail = format!("{} {mpxn}; had {}", point.name, before.join(" "));
    Ok(Answer::done(detail).changing(Change::Device(Box::new(changed))))
}
