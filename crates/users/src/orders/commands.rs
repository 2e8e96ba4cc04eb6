//! Requests that act on a device at once: clock, supply and firmware.

use domain::{Eui64, SimInstant, Srv};
use duis::Element;

use crate::Order;

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

/// 11.3 Activate Firmware: of the image with this SHA-256.
#[must_use]
pub fn activate_firmware(device: Eui64, image_sha256: &[u8; 32]) -> Order {
    let digits: String = image_sha256.iter().map(|octet| format!("{octet:02X}")).collect();
    let body = Element::sr("ActivateFirmware").with_leaf("FirmwareHash", digits);
    Order::to_device(device, Srv::new(11, 3, 0), body)
}

/// 14.1 Record Network Data (GAS).
#[must_use]
pub fn record_network_data(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(14, 1, 0), Element::sr("RecordNetworkDataGAS"))
}
