//! Payloads of the requests about the home area network.

use duis::Element;

use super::Built;
use super::commands::clock;
use super::values::Values;
use crate::plan::Target;

/// Fills the payload of a request about the HAN; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Built, Element> {
    match rsp.name {
        "CommissionDeviceSynchroniseClockRsp" => Ok((clock(rsp, target.kind.is_gas(), values), None)),
        "JoinServiceCriticalRsp" | "JoinServiceNonCriticalRsp" => Ok((coded(rsp, "joinResponseCode"), None)),
        "UnjoinServiceCriticalRsp" | "UnjoinServiceNonCriticalRsp" => Ok((coded(rsp, "unjoinResponseCode"), None)),
        _ => Err(rsp),
    }
}

/// The words are those of the schema; their numbers, and that a SMETS1 device's refusal is told as "otherFailure" (it does
/// not say which), are inferred.
fn coded(rsp: Element, name: &'static str) -> Element {
    let done = rsp.attribute("MessageSuccess") == Some("true");
    let (code, word) = if done { ("0", "success") } else { ("1", "otherFailure") };
    rsp.with(
        Element::ra(name)
            .with_attribute("ResponseCode", code)
            .with_leaf("ASN1Status", word),
    )
}
