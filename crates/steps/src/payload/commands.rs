//! Payloads of the requests that act on a device at once. Most say nothing but `MessageSuccess`.

use domain::DataItem;
use domain::operation::{ClockStatus, ImageFault, Value};
use duis::Element;

use super::Built;
use super::parts::timestamp;
use super::values::Values;
use crate::plan::Target;

/// Fills the payload of an acting request; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Built, Element> {
    match rsp.name {
        "SynchroniseClockRsp" => Ok((clock(rsp, target.kind.is_gas(), values), None)),
        "ActivateFirmwareRsp" => Ok((activation(rsp, values), None)),
        _ => Err(rsp),
    }
}

/// The answer leaves before the device restarts, so it cannot name the firmware that will run. Numbers are those of the
/// use case (recalled).
fn activation(rsp: Element, values: &Values) -> Element {
    let (code, word) = match values.activation {
        None => return rsp,
        Some(Ok(())) => ("0", "success"),
        Some(Err(ImageFault::NotBegun | ImageFault::Incomplete)) => ("1", "noImageHeld"),
        Some(Err(ImageFault::Hash)) => ("2", "hashMismatch"),
        Some(Err(_)) => ("3", "activationFailure"),
    };
    let status = Element::ra("ActivateImageResponseCode")
        .with_attribute("ResponseCode", code)
        .with_leaf("ASN1Status", word);
    rsp.with(status)
}

pub(super) fn clock(rsp: Element, gas: bool, values: &Values) -> Element {
    let Some(Value::Clock(at, status)) = values.items.get(&DataItem::Clock) else {
        return rsp;
    };
    let rsp = rsp.with_leaf("DeviceTime", timestamp(*at));
    if gas {
        // The gas branch has a GBCS status only, which says nothing about how reliable the clock is.
        return rsp;
    }
    // The numbers are those of the schema's own order of the three words (inferred).
    let (code, word) = match status {
        ClockStatus::Reliable => ("0", "reliable"),
        ClockStatus::Invalid => ("1", "invalid"),
        ClockStatus::Unreliable => ("2", "unreliable"),
    };
    let status = Element::ra("ElecClockTimeStatus")
        .with_attribute("TimeStatusCode", code)
        .with_leaf("TimeStatus", word);
    rsp.with(Element::ra("Electricity").with(status))
}
