//! Requests that the DCC answers itself.

use domain::{Eui64, Srv};
use duis::Element;

use crate::Order;

/// 8.2 Read Inventory, by device.
#[must_use]
pub fn read_inventory(dcc: Eui64, device: Eui64) -> Order {
    let body = Element::sr("ReadInventory").with_leaf("DeviceID", device.to_string());
    Order::to_dcc(dcc, Srv::new(8, 2, 0), body)
}

/// 8.2 Read Inventory, by metering point.
#[must_use]
pub fn read_inventory_by_mpxn(dcc: Eui64, mpxn: domain::Mpxn) -> Order {
    let body = Element::sr("ReadInventory").with_leaf("MPxN", mpxn.to_string());
    Order::to_dcc(dcc, Srv::new(8, 2, 0), body)
}

/// A device to announce with 12.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// Its identity.
    pub device: Eui64,
    /// What it is.
    pub kind: domain::DeviceKind,
    /// Manufacturer, model, firmware.
    pub model: domain::DeviceModel,
    /// `A` and so on, for electricity meters.
    pub esme_variant: Option<String>,
}

/// 12.2 Device Pre-notification.
#[must_use]
pub fn pre_notify(dcc: Eui64, announced: &Announced) -> Order {
    let model = &announced.model;
    let firmware = Some(&model.firmware).filter(|firmware| !firmware.is_empty());
    let variant = announced.esme_variant.as_ref();
    let body = Element::sr("DevicePrenotification")
        .with_leaf("DeviceID", announced.device.to_string())
        .with_leaf("DeviceManufacturer", model.manufacturer.as_str())
        .with_leaf("DeviceModel", model.model.as_str())
        .with_leaf("DeviceType", announced.kind.as_str())
        .with_leaf("SMETSCHTSVersion", "SMETS1")
        .with_optional(firmware.map(|text| Element::sr("FirmwareVersion").with_text(text.as_str())))
        .with_optional(variant.map(|text| Element::sr("ESMEVariant").with_text(text.as_str())));
    Order::to_dcc(dcc, Srv::new(12, 2, 0), body)
}
