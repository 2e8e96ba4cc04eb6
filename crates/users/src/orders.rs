//! The service requests of this lab's users, ready to send.

use domain::{Eui64, SimInstant, Srv};
use duis::Element;

use crate::Order;

/// From and to of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// First instant.
    pub from: SimInstant,
    /// Last instant.
    pub to: SimInstant,
}

impl Period {
    fn element(self) -> Element {
        Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", self.from.to_string())
            .with_leaf("EndDateTime", self.to.to_string())
    }
}

/// 4.1.1 Read Instantaneous Import Registers.
#[must_use]
pub fn read_import_registers(device: Eui64) -> Order {
    Order::to_device(
        device,
        Srv::new(4, 1, 1),
        Element::sr("ReadInstantaneousImportRegisters"),
    )
}

/// 4.2 Read Instantaneous Export Registers.
#[must_use]
pub fn read_export_registers(device: Eui64) -> Order {
    Order::to_device(
        device,
        Srv::new(4, 2, 0),
        Element::sr("ReadInstantaneousExportRegisters"),
    )
}

/// 4.3 Read Instantaneous Prepay Values.
#[must_use]
pub fn read_prepay_values(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(4, 3, 0), Element::sr("ReadInstantaneousPrepayValues"))
}

/// 4.6.1 Retrieve Import Daily Read Log.
#[must_use]
pub fn read_daily_log(device: Eui64, period: Period) -> Order {
    let body = Element::sr("RetrieveImportDailyReadLog").with(period.element());
    Order::to_device(device, Srv::new(4, 6, 1), body)
}

/// 4.8.1 Read Active Import Profile Data.
#[must_use]
pub fn read_import_profile(device: Eui64, period: Period) -> Order {
    let body = Element::sr("ReadActiveImportProfileData").with(period.element());
    Order::to_device(device, Srv::new(4, 8, 1), body)
}

/// 4.13 Read Prepayment Configuration.
#[must_use]
pub fn read_prepayment_configuration(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(4, 13, 0), Element::sr("ReadPrepaymentConfiguration"))
}

/// 6.11 Synchronise Clock.
#[must_use]
pub fn synchronise_clock(device: Eui64, to: SimInstant, tolerance_s: u32) -> Order {
    let body = Element::sr("SynchroniseClock")
        .with_leaf("CurrentDateTime", to.to_string())
        .with_leaf("TolerancePeriod", tolerance_s.to_string());
    Order::to_device(device, Srv::new(6, 11, 0), body)
}

/// 7.1 Enable Supply.
#[must_use]
pub fn enable_supply(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(7, 1, 0), Element::sr("EnableSupply"))
}

/// 7.2 Disable Supply.
#[must_use]
pub fn disable_supply(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(7, 2, 0), Element::sr("DisableSupply"))
}

/// 7.3 Arm Supply.
#[must_use]
pub fn arm_supply(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(7, 3, 0), Element::sr("ArmSupply"))
}

/// 7.4 Read Supply Status.
#[must_use]
pub fn read_supply_status(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(7, 4, 0), Element::sr("ReadSupplyStatus"))
}

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

/// 8.9 Read Device Log.
#[must_use]
pub fn read_device_log(hub: Eui64) -> Order {
    Order::to_device(hub, Srv::new(8, 9, 0), Element::sr("ReadDeviceLog"))
}

/// 11.2 Read Firmware Version.
#[must_use]
pub fn read_firmware_version(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(11, 2, 0), Element::sr("ReadFirmwareVersion"))
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
