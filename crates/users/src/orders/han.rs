//! Requests about the home area network: commissioning, joins, the hub's device log.

use domain::{Eui64, SimInstant, Srv};
use duis::Element;

use crate::Order;

/// 8.1.1 Commission Device.
#[must_use]
pub fn commission(device: Eui64, now: SimInstant, tolerance_s: u32) -> Order {
    let body = Element::sr("CommissionDeviceSynchroniseClock")
        .with_leaf("CurrentDateTime", now.to_string())
        .with_leaf("TolerancePeriod", tolerance_s.to_string());
    Order::to_device(device, Srv::new(8, 1, 1), body)
}

/// 8.7.1 Join Service (Critical), with a device that may act on this one.
#[must_use]
pub fn join(device: Eui64, other: Eui64) -> Order {
    with_other(device, Srv::new(8, 7, 1), "JoinServiceCritical", other)
}

/// 8.7.2 Join Service (Non-Critical), with a device that only listens.
#[must_use]
pub fn join_listener(device: Eui64, other: Eui64) -> Order {
    with_other(device, Srv::new(8, 7, 2), "JoinServiceNonCritical", other)
}

/// 8.8.1 Unjoin Service (Critical).
#[must_use]
pub fn unjoin(device: Eui64, other: Eui64) -> Order {
    with_other(device, Srv::new(8, 8, 1), "UnjoinServiceCritical", other)
}

/// 8.8.2 Unjoin Service (Non-Critical).
#[must_use]
pub fn unjoin_listener(device: Eui64, other: Eui64) -> Order {
    with_other(device, Srv::new(8, 8, 2), "UnjoinServiceNonCritical", other)
}

/// 8.11 Update HAN Device Log: let a device in that has this install code (6 to 16 octets as hexadecimal digits) and joins
/// within so many seconds.
#[must_use]
pub fn add_to_log(hub: Eui64, device: Eui64, install_code: &str, join_within_s: u16) -> Order {
    let details = Element::sr("AddDeviceToCHFWhitelist")
        .with_leaf("JoinTimePeriod", join_within_s.to_string())
        .with_leaf("InstallCode", install_code);
    let body = log_body(device, "Add").with(details);
    Order::to_device(hub, Srv::new(8, 11, 0), body)
}

/// 8.11 Update HAN Device Log: put a device out.
#[must_use]
pub fn remove_from_log(hub: Eui64, device: Eui64) -> Order {
    Order::to_device(hub, Srv::new(8, 11, 0), log_body(device, "Remove"))
}

/// 8.12.1 Restore HAN Device Log: what the hub before this one had let in.
#[must_use]
pub fn restore_hub_log(hub: Eui64, old: Eui64) -> Order {
    let body = Element::sr("RestoreHANDeviceLog").with_leaf("OldCHFID", old.to_string());
    Order::to_device(hub, Srv::new(8, 12, 1), body)
}

/// 8.12.2 Restore Gas Proxy Function Device Log: what the proxy before this one was joined with.
#[must_use]
pub fn restore_proxy_log(proxy: Eui64, old: Eui64) -> Order {
    let body = Element::sr("RestoreGPFDeviceLog").with_leaf("OldGPFID", old.to_string());
    Order::to_device(proxy, Srv::new(8, 12, 2), body)
}

fn log_body(device: Eui64, act: &str) -> Element {
    Element::sr("UpdateHANDeviceLog")
        .with_leaf("DeviceID", device.to_string())
        .with_leaf("RequestType", act)
}

fn with_other(device: Eui64, srv: Srv, body: &'static str, other: Eui64) -> Order {
    Order::to_device(
        device,
        srv,
        Element::sr(body).with_leaf("OtherDeviceID", other.to_string()),
    )
}
