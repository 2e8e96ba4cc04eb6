//! The messages the DCC writes and signs itself, and the two requests it answers by itself: 8.2 and 12.2.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::{DeviceModel, Eui64, RequestId, SimInstant, Srv};
use duis::signature::SigningKey;
use duis::{Element, Request, ResponseCode, ResponseHeader, SignedBody};
use prost::bytes::Bytes;
use steps::Failure;

use crate::front_door::{announced_kind, said};
use crate::inventory::{Device, Inventory, Lookup, SmiStatus};
use crate::options::INVENTORY_ANSWER_MAX;

/// 8.2 Read Inventory.
pub(crate) const READ_INVENTORY: Srv = Srv::new(8, 2, 0);
/// 12.2 Device Pre-notification.
pub(crate) const PRE_NOTIFICATION: Srv = Srv::new(12, 2, 0);
/// 11.2 Read Firmware Version.
pub(crate) const READ_FIRMWARE: Srv = Srv::new(11, 2, 0);
/// What stands in for a reference that could not be read: the schema demands one, and this is the first of its list.
const UNREADABLE: Srv = Srv::new(1, 1, 1);
/// What the inventory says of every device here.
const SMETS1: &str = "SMETS1";

/// A message the DCC could not make: our bug, or something from outside that no check caught.
#[derive(Debug, thiserror::Error)]
#[error("make a response: {0}")]
pub(crate) struct MakeError(String);

impl MakeError {
    fn of(error: &dyn std::error::Error) -> Self {
        Self(said(error))
    }
}

/// A synchronous answer: acknowledgement, refusal or result. `request` and `srv` as far as they are known.
pub(crate) fn reply(
    key: &SigningKey,
    request: Option<RequestId>,
    srv: Option<Srv>,
    code: &str,
    payload: Option<&Element>,
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let header = ResponseHeader {
        schema_version: Request::SCHEMA_VERSION.to_owned(),
        request_id: request,
        response_id: None,
        code: known(code)?,
        at,
    };
    let xml = duis::write::response(&header, srv.unwrap_or(UNREADABLE), payload);
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// The asynchronous answer to a request: around what the S1SP signed, or, where it has nothing from a device, bare.
pub(crate) fn outcome(
    key: &SigningKey,
    request: RequestId,
    srv: Srv,
    code: &str,
    signed_response: &[u8],
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let header = ResponseHeader::answering(request, known(code)?, at);
    let xml = if signed_response.is_empty() {
        duis::write::response(&header, srv, None)
    } else {
        duis::write::smets1_response(&header, Some(srv), None, None, signed_response)
    };
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// A SMETS1 device alert for one user.
pub(crate) fn device_alert(
    key: &SigningKey,
    id: RequestId,
    signed_alert: &[u8],
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let xml = duis::write::smets1_response(&ResponseHeader::alert(id, at), None, None, None, signed_alert);
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// An S1SP alert for one user, as DCC alert N55.
pub(crate) fn s1sp_alert(
    key: &SigningKey,
    id: RequestId,
    signed_alert: &[u8],
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let xml = duis::write::dcc_s1sp_alert(&ResponseHeader::alert(id, at), None, None, signed_alert);
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// A DCC alert for one user.
pub(crate) fn dcc_alert(
    key: &SigningKey,
    header: &ResponseHeader,
    code: duis::DccAlertCode,
    payload: &Element,
) -> Result<Bytes, MakeError> {
    let xml = duis::write::dcc_alert(header, code, None, payload);
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

fn signed(key: &SigningKey, xml: &[u8]) -> Result<Bytes, MakeError> {
    let signed = duis::signature::sign(xml, key);
    Ok(Bytes::from(signed.map_err(|error| MakeError::of(&error))?))
}

/// Never a code outside the published list: a real client's schema check would refuse the whole message.
fn known(code: &str) -> Result<ResponseCode, MakeError> {
    let shown = || code.chars().take(20).collect::<String>();
    ResponseCode::new(code).ok_or_else(|| MakeError(format!("{:?} is no response code", shown())))
}

/// What a request to the DCC itself comes to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Option<Element>,
    /// A device as it is from now on.
    pub(crate) device: Option<Device>,
    pub(crate) detail: String,
}

/// Answers a request to the DCC itself.
pub(crate) fn answer(request: &Request, inventory: &Inventory, now: SimInstant) -> Result<Answer, (Failure, String)> {
    match request.srv {
        READ_INVENTORY => read_inventory(&request.body, inventory),
        PRE_NOTIFICATION => pre_notify(&request.body, inventory, now),
        srv => Err((Failure::NotEmulated, format!("{srv} is not answered here"))),
    }
}

fn read_inventory(body: &Element, inventory: &Inventory) -> Result<Answer, (Failure, String)> {
    let by = lookup(body).ok_or((Failure::Schema, "no search term".to_owned()))?;
    let found = inventory.look_up(&by);
    if found.is_empty() {
        return Err((Failure::UnknownDevice, format!("nothing found by {by:?}")));
    }
    let mut detail = format!("{} devices", found.len());
    if found.len() > INVENTORY_ANSWER_MAX {
        let _ = write!(detail, ", cut to {INVENTORY_ANSWER_MAX}");
    }
    let devices = found.into_iter().take(INVENTORY_ANSWER_MAX).map(device_element);
    Ok(Answer {
        payload: Some(Element::sr("DSPInventory").with_all(devices)),
        device: None,
        detail,
    })
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
fn device_element(device: &Device) -> Element {
    let leaf = |name, text: Option<&str>| text.map(|text| Element::sr(name).with_text(text));
    let commissioned = device
        .commissioned()
        .map(|at| at.to_string().chars().take(10).collect::<String>());
    let mpxn = device.mpxn.map(|mpxn| mpxn.to_string());
    let property = device.property.as_deref();
    let filter = property.and_then(|property| {
        let (post_code, address) = (property.post_code.as_ref()?, property.address_identifier.as_ref()?);
        let filter = Element::sr("PropertyFilter").with_leaf("PostCode", post_code.as_str());
        Some(filter.with_leaf("AddressIdentifier", address.as_str()))
    });
    let firmware = Some(device.model.firmware.as_str()).filter(|firmware| !firmware.is_empty());
    Element::sr("Device")
        .with_leaf("DeviceID", device.id.to_string())
        .with_leaf("DeviceType", device.kind.as_str())
        .with_optional(leaf("DeviceStatus", device.status.map(SmiStatus::as_str)))
        .with_leaf("DeviceManufacturer", device.model.manufacturer.as_str())
        .with_leaf("DeviceModel", device.model.model.as_str())
        .with_leaf("SMETSCHTSVersion", SMETS1)
        .with_optional(leaf("DeviceFirmwareVersion", firmware))
        .with_optional(leaf("DateCommissioned", commissioned.as_deref()))
        .with_optional(leaf("ImportMPxN", mpxn.as_deref()))
        .with_optional(leaf("ESMEVariant", device.esme_variant.as_deref()))
        .with_optional(leaf("UPRN", property.and_then(|property| property.uprn.as_deref())))
        .with_optional(filter)
        .with_leaf("CSPRegion", SMETS1)
        .with_optional(leaf("S1SP", device.s1sp.as_deref()))
}

fn pre_notify(body: &Element, inventory: &Inventory, now: SimInstant) -> Result<Answer, (Failure, String)> {
    let text = |name| body.child_text(name).unwrap_or_default();
    let id: Eui64 = text("DeviceID")
        .parse()
        .map_err(|_| (Failure::Schema, "DeviceID".to_owned()))?;
    let kind = announced_kind(text("DeviceType")).map_err(|failure| (failure, text("DeviceType").to_owned()))?;
    if let Some(known) = inventory.device(id) {
        let status = known.status.map_or("without status", SmiStatus::as_str);
        return Err((
            Failure::DeviceStatus,
            format!("device {id} is in the inventory already, {status}"),
        ));
    }
    let model = DeviceModel {
        manufacturer: text("DeviceManufacturer").to_owned(),
        model: text("DeviceModel").to_owned(),
        hardware: String::new(),
        firmware: text("FirmwareVersion").to_owned(),
    };
    let device = Device {
        esme_variant: body.child_text("ESMEVariant").map(Arc::from),
        ..Device::new(id, kind, Arc::new(model), SmiStatus::Pending, now)
    };
    Ok(Answer {
        payload: None,
        device: Some(device),
        detail: format!("{kind} {id}"),
    })
}

/// The firmware an answer to 11.2 reports, where it does.
pub(crate) fn reported_firmware(signed_response: &[u8]) -> Option<String> {
    let SignedBody::Response { payload, .. } = duis::read_signed_response(signed_response).ok()?.body else {
        return None;
    };
    let payload = payload.filter(|payload| payload.attribute("MessageSuccess") != Some("false"))?;
    let firmware = payload.child_text("FirmwareVersion")?.trim();
    // The inventory's field holds 1 to 8 characters; what is longer is not an identifier it can show.
    (1..=8).contains(&firmware.chars().count()).then(|| firmware.to_owned())
}
