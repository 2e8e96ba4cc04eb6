//! Requests that only read a device.

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

/// 7.4 Read Supply Status.
#[must_use]
pub fn read_supply_status(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(7, 4, 0), Element::sr("ReadSupplyStatus"))
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
