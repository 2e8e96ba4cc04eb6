//! 8.2: what the inventory has.

use std::fmt::Write as _;

use duis::Element;
use steps::Failure;

use super::{Answer, Scene};
use crate::front_door::Denied;
use crate::inventory::{Device, Lookup, SmiStatus};
use crate::options::INVENTORY_ANSWER_MAX;

/// What the inventory says of every device here that says nothing else.
const SMETS1: &str = "SMETS1";

pub(super) fn read(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let by = lookup(scene.body()).ok_or_else(|| Denied(Failure::Schema, "no search term".to_owned()))?;
    let found = scene.inventory.look_up(&by, scene.access.directory.properties());
    if found.is_empty() {
        let failure = match by {
            Lookup::Device(_) => Failure::UnknownDevice,
            _ => Failure::NothingFound,
        };
        return Err(Denied(failure, format!("nothing found by {by:?}")));
    }
    let mut detail = format!("{} devices", found.len());
    if found.len() > INVENTORY_ANSWER_MAX {
        let _ = write!(detail, ", cut to {INVENTORY_ANSWER_MAX}");
    }
    let subject = match by {
        Lookup::Device(device) => Some(device),
        _ => None,
    };
    let devices = found
        .into_iter()
        .take(INVENTORY_ANSWER_MAX)
        .map(|device| element(device, scene));
    let answer = Answer::done(detail).with(Element::sr("DSPInventory").with_all(devices));
    Ok(Answer { subject, ..answer })
}

fn lookup(body: &Element) -> Option<Lookup> {
    let text = |name| body.child_text(name).map(str::to_owned);
    if let Some(id) = body.child_text("DeviceID") {
        return id.parse().ok().map(Lookup::Device);
    }
    if let Some(mpxn) = text("MPxN") {
        return Some(Lookup::Mpxn(mpxn));
    }
    if let Some(uprn) = text("UPRN") {
        return Some(Lookup::Uprn(uprn));
    }
    let filter = body.child("PropertyFilter")?;
    Some(Lookup::Property {
        post_code: filter.child_text("PostCode")?.to_owned(),
        address_identifier: filter.child_text("AddressIdentifier")?.to_owned(),
    })
}

/// A device as 8.2 shows it, in the order of the schema.
fn element(device: &Device, scene: &Scene<'_>) -> Element {
    let products = scene.products;
    let leaf = |name, text: Option<&str>| text.map(|text| Element::sr(name).with_text(text));
    let commissioned = device
        .commissioned()
        .map(|at| at.to_string().chars().take(10).collect::<String>());
    let more = device.more();
    let mpxn = device.mpxn.map(|mpxn| mpxn.to_string());
    let secondary = more.secondary_import.map(|mpan| mpan.to_string());
    let export = more.export.map(|mpan| mpan.to_string());
    let points = scene.inventory.metering_points(device);
    let properties = scene.access.directory.properties();
    let property = points.into_iter().find_map(|mpxn| properties.of(mpxn));
    let filter = property.and_then(|property| {
        let (post_code, address) = (property.post_code.as_ref()?, property.address_identifier.as_ref()?);
        let filter = Element::sr("PropertyFilter").with_leaf("PostCode", post_code.as_str());
        Some(filter.with_leaf("AddressIdentifier", address.as_str()))
    });
    // The model of a type 2 device has no firmware.
    let firmware = Some(device.model.firmware.as_str()).filter(|text| !text.is_empty() && !device.kind.is_type2());
    let firmware_status = products
        .listed(device.kind, &device.model)
        .map(|listed| listed.status.as_str());
    let model_status = products
        .model_status(device.kind, &device.model)
        .map(|status| status.as_str());
    Element::sr("Device")
        .with_leaf("DeviceID", device.id.to_string())
        .with_leaf("DeviceType", device.kind.as_str())
        .with_optional(leaf("DeviceStatus", device.status.map(SmiStatus::as_str)))
        .with_leaf("DeviceManufacturer", device.model.manufacturer.as_str())
        .with_leaf("DeviceModel", device.model.model.as_str())
        .with_leaf("SMETSCHTSVersion", more.smets_version.as_deref().unwrap_or(SMETS1))
        .with_optional(leaf("DeviceFirmwareVersion", firmware))
        .with_optional(leaf("DeviceFirmwareVersionStatus", firmware_status))
        .with_optional(leaf("CPLStatus", model_status))
        .with_optional(leaf("DateCommissioned", commissioned.as_deref()))
        .with_optional(leaf("ImportMPxN", mpxn.as_deref()))
        .with_optional(leaf("SecondaryImportMPAN", secondary.as_deref()))
        .with_optional(leaf("ExportMPAN", export.as_deref()))
        .with_optional(leaf("ESMEVariant", device.esme_variant.as_deref()))
        .with_optional(leaf("UPRN", property.and_then(|property| property.uprn.as_deref())))
        .with_optional(filter)
        .with_leaf("CSPRegion", SMETS1)
        .with_optional(leaf("S1SP", device.s1sp.as_deref()))
}
