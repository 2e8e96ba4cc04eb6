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

/// 8.2 Read Inventory, by property reference number.
#[must_use]
pub fn read_inventory_by_uprn(dcc: Eui64, uprn: &str) -> Order {
    let body = Element::sr("ReadInventory").with_leaf("UPRN", uprn);
    Order::to_dcc(dcc, Srv::new(8, 2, 0), body)
}

/// 8.2 Read Inventory, by post code and address identifier.
#[must_use]
pub fn read_inventory_by_address(dcc: Eui64, post_code: &str, address: &str) -> Order {
    let filter = Element::sr("PropertyFilter")
        .with_leaf("PostCode", post_code)
        .with_leaf("AddressIdentifier", address);
    let body = Element::sr("ReadInventory").with(filter);
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

/// 12.2 Device Pre-notification of a hub with its gas proxy.
#[must_use]
pub fn pre_notify_hub(dcc: Eui64, announced: &Announced, proxy: Eui64) -> Order {
    let order = pre_notify(dcc, announced);
    let body = order.body.with_leaf("AssociatedGPFDeviceID", proxy.to_string());
    Order { body, ..order }
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

/// 5.1 Create Schedule: the import daily read log of the day before, every day from a day on.
#[must_use]
pub fn schedule_daily_reads(dcc: Eui64, device: Eui64, from: domain::SimInstant) -> Order {
    let read = Element::sr("DSPRetrieveImportDailyReadLog")
        .with_leaf("StartDateOffset", "-1")
        .with_leaf("StartTime", "00:00:00.00Z")
        .with_leaf("EndDateOffset", "0")
        .with_leaf("EndTime", "00:00:00.00Z");
    let body = Element::sr("CreateSchedule")
        .with_leaf("ScheduleFrequency", "Daily")
        .with_leaf("ScheduleStartDate", from.utc().date().to_string())
        .with_leaf("DSPScheduledServiceReference", "4.6")
        .with_leaf("DSPScheduledServiceReferenceVariant", "4.6.1")
        .with_leaf("DeviceID", device.to_string())
        .with(read);
    Order::to_dcc(dcc, Srv::new(5, 1, 0), body)
}

/// 5.2 Read Schedule: all of a device.
#[must_use]
pub fn read_schedules(dcc: Eui64, device: Eui64) -> Order {
    let body = Element::sr("ReadSchedule").with_leaf("DeviceID", device.to_string());
    Order::to_dcc(dcc, Srv::new(5, 2, 0), body)
}

/// 5.3 Delete Schedule: all of a device.
#[must_use]
pub fn delete_schedules(dcc: Eui64, device: Eui64) -> Order {
    let body = Element::sr("DeleteSchedule").with_leaf("DeviceID", device.to_string());
    Order::to_dcc(dcc, Srv::new(5, 3, 0), body)
}

/// 8.3 Decommission Device.
#[must_use]
pub fn decommission(dcc: Eui64, device: Eui64) -> Order {
    let body = Element::sr("DecommissionDevice").with_leaf("DeviceID", device.to_string());
    Order::to_dcc(dcc, Srv::new(8, 3, 0), body)
}

/// 8.4 Update Inventory: a device that is no hub is installed.
#[must_use]
pub fn installed(dcc: Eui64, device: Eui64) -> Order {
    let body = Element::sr("UpdateInventory")
        .with_leaf("DeviceID", device.to_string())
        .with_leaf("UpdateDeviceStatusExceptCH", "InstalledNotCommissioned");
    Order::to_dcc(dcc, Srv::new(8, 4, 0), body)
}

/// 8.4 Update Inventory: a hub comes to another status.
#[must_use]
pub fn hub_becomes(dcc: Eui64, hub: Eui64, status: &str) -> Order {
    let body = Element::sr("UpdateInventory")
        .with_leaf("DeviceID", hub.to_string())
        .with_leaf("UpdateDeviceStatusCH", status);
    Order::to_dcc(dcc, Srv::new(8, 4, 0), body)
}

/// 8.4 Update Inventory: the import metering point of a device.
#[must_use]
pub fn import_point(dcc: Eui64, device: Eui64, mpxn: domain::Mpxn) -> Order {
    let point = Element::sr("UpdateMPxN").with_leaf("ImportMPxN", mpxn.to_string());
    let body = Element::sr("UpdateInventory")
        .with_leaf("DeviceID", device.to_string())
        .with(point);
    Order::to_dcc(dcc, Srv::new(8, 4, 0), body)
}

/// 11.1 Update Firmware: an image for some devices.
#[must_use]
pub fn update_firmware(dcc: Eui64, devices: &[Eui64], firmware: &str, image: &[u8]) -> Order {
    use base64::Engine as _;
    let list: Vec<_> = devices.iter().map(Eui64::to_string).collect();
    let body = Element::sr("UpdateFirmware")
        .with_leaf("FirmwareImage", base64::engine::general_purpose::STANDARD.encode(image))
        .with_leaf("FirmwareVersion", firmware)
        .with_leaf("DeviceIDList", list.join(","));
    Order::to_dcc(dcc, Srv::new(11, 1, 0), body)
}

/// 12.1 Request WAN Matrix, by address.
#[must_use]
pub fn coverage(dcc: Eui64, post_code: &str, address_identifier: &str) -> Order {
    let address = Element::sr("PartialAddress")
        .with_leaf("PostCode", post_code)
        .with_leaf("AddressIdentifier", address_identifier);
    let body = Element::sr("RequestWANMatrix").with(address);
    Order::to_dcc(dcc, Srv::new(12, 1, 0), body)
}
