//! Bodies of the requests that act on a device at once.

use duis::Element;

pub(crate) fn fill(srv: &str, body: Element) -> Element {
    match srv {
        "8.1.1" => body
            .with_leaf("CurrentDateTime", "2019-03-30T10:00:00Z")
            .with_leaf("TolerancePeriod", "10"),
        "8.7.1" | "8.7.2" | "8.8.1" | "8.8.2" => body.with_leaf("OtherDeviceID", "02-1A-B0-06-01-00-00-01"),
        "8.12.1" => body.with_leaf("OldCHFID", "02-1A-B0-01-01-00-00-02"),
        "8.12.2" => body.with_leaf("OldGPFID", "02-1A-B0-03-01-00-00-02"),
        "8.11" => body
            .with_leaf("DeviceID", "02-1A-B0-06-01-00-00-01")
            .with_leaf("RequestType", "Add")
            .with(
                Element::sr("AddDeviceToCHFWhitelist")
                    .with_leaf("JoinTimePeriod", "600")
                    .with_leaf("InstallCode", "0102030405060708"),
            ),
        "6.11" => body
            .with_leaf("CurrentDateTime", "2019-03-31T10:00:00Z")
            .with_leaf("TolerancePeriod", "10"),
        "11.3" => body.with_leaf("FirmwareHash", "A5".repeat(32)),
        _ => body,
    }
}
