//! From checked trees to typed messages.

use domain::{Eui64, RequestId, SimInstant, Srv};

use crate::codes::{DccAlertCode, ResponseCode};
use crate::element::Element;
use crate::error::{ReadError, ReadErrorKind};
use crate::message::{
    DccAlert, DeviceAlert, Request, Response, ResponseBody, ResponseHeader, Root, S1spAlert, SignedBody, SignedHeader,
    SignedResponse, Throttled,
};
use crate::read::Document;

type Read<T> = Result<T, ReadError>;

pub(crate) fn request(document: Document<'_>) -> Read<Request> {
    let mut tree = document.tree;
    let body = take(&mut tree, "Body").and_then(|mut body| take_first(&mut body));
    let header = need(&tree, "Header")?;
    Ok(Request {
        id: value(header, "RequestID")?,
        schema_version: schema_version(&tree),
        command_variant: value(header, "CommandVariant")?,
        reference: value(header, "ServiceReference")?,
        srv: value(header, "ServiceReferenceVariant")?,
        first_in_sequence: header.child_text("FirstInSequence").map(is_true),
        preceding: optional(header, "PrecedingServiceRequestID")?,
        body: body.ok_or_else(|| lacking(&tree, "Body"))?,
    })
}

pub(crate) fn response(document: Document<'_>) -> Read<Response> {
    let Document {
        mut tree, signed_part, ..
    } = document;
    let message = take(&mut tree, "Body").and_then(|mut body| take_first(&mut body));
    let message = message.ok_or_else(|| lacking(&tree, "Body"))?;
    let header = need(&tree, "Header")?;
    let header = ResponseHeader {
        schema_version: schema_version(&tree),
        request_id: optional(header, "RequestID")?,
        response_id: optional(header, "ResponseID")?,
        code: value(header, "ResponseCode")?,
        at: instant(header, "ResponseDateTime")?,
    };
    let body = match message.name {
        "ResponseMessage" => ResponseBody::Message {
            reference: value(&message, "ServiceReference")?,
            srv: value(&message, "ServiceReferenceVariant")?,
            payload: message.children.into_iter().nth(2),
        },
        "DCCAlertMessage" => dcc_alert(message, signed_part)?,
        "SMETS1ResponseMessage" => smets1(message, signed_part)?,
        _ => ResponseBody::DeviceAlert(message),
    };
    Ok(Response { header, body })
}

fn smets1(mut message: Element, signed_part: Option<Vec<u8>>) -> Read<ResponseBody> {
    let content = take(&mut message, Root::SignedResponse.name().1);
    let (Some(content), Some(signed)) = (content, signed_part) else {
        return Err(lacking(&message, Root::SignedResponse.name().1));
    };
    Ok(ResponseBody::Smets1 {
        reference: optional(&message, "ServiceReference")?,
        srv: optional(&message, "ServiceReferenceVariant")?,
        schedule_id: optional(&message, "DSPScheduleID")?,
        throttled: throttled(&message)?,
        signed,
        content: signed_response(content)?,
    })
}

fn dcc_alert(mut message: Element, signed_part: Option<Vec<u8>>) -> Read<ResponseBody> {
    let payload = take(&mut message, "DCCAlert").and_then(|mut alert| take_first(&mut alert));
    let mut payload = payload.ok_or_else(|| lacking(&message, "DCCAlert"))?;
    let code: DccAlertCode = value(&message, "DCCAlertCode")?;
    let throttled = throttled(&message)?;
    let content = if payload.name == "S1SPAlertDSP" {
        take(&mut payload, "S1SPAlert")
    } else {
        None
    };
    let alert = match (content, signed_part) {
        (Some(content), Some(signed)) => DccAlert::S1sp {
            signed,
            content: s1sp_alert(content)?,
            schedule_id: optional(&payload, "DSPScheduleID")?,
        },
        _ => DccAlert::Payload(payload),
    };
    Ok(ResponseBody::DccAlert { code, throttled, alert })
}

/// One of the two numbers without the other counts as zero.
fn throttled(message: &Element) -> Read<Option<Throttled>> {
    let sequence = optional(message, "ThrottledAlertSequenceId")?;
    let count = optional(message, "ThrottledAlertCount")?;
    Ok((sequence.is_some() || count.is_some()).then(|| Throttled {
        sequence: sequence.unwrap_or_default(),
        count: count.unwrap_or_default(),
    }))
}

pub(crate) fn signed_response(mut tree: Element) -> Read<SignedResponse> {
    let schema_version = schema_version(&tree);
    let mut inner = take(&mut tree, "SMETS1Response").ok_or_else(|| lacking(&tree, "SMETS1Response"))?;
    let message = take(&mut inner, "Body").and_then(|mut body| take_first(&mut body));
    let mut message = message.ok_or_else(|| lacking(&inner, "Body"))?;
    let header = signed_header(need(&inner, "Header")?)?;
    let body = if message.name == "DeviceAlertMessage" {
        SignedBody::Alert(device_alert(message)?)
    } else {
        SignedBody::Response {
            payload: take(&mut message, "SMETSData").and_then(|mut data| take_first(&mut data)),
            debug: take(&mut message, "DebugInfo"),
        }
    };
    Ok(SignedResponse {
        schema_version,
        header,
        body,
    })
}

fn signed_header(header: &Element) -> Read<SignedHeader> {
    let timestamp = header.child("Timestamp");
    Ok(SignedHeader {
        originator: value(header, "BusinessOriginatorID")?,
        target: value(header, "BusinessTargetID")?,
        originator_counter: value(header, "OriginatorCounter")?,
        supplementary_remote_party: optional::<Eui64>(header, "SupplementaryRemotePartyID")?,
        supplementary_remote_party_counter: optional(header, "SupplementaryRemotePartyCounter")?,
        supplementary_originator_counter: optional(header, "SupplementaryOriginatorCounter")?,
        message_code: header.child_text("GBCSHexadecimalMessageCode").map(str::to_owned),
        reference: optional(header, "ServiceReference")?,
        srv: optional(header, "ServiceReferenceVariant")?,
        at: timestamp.map(|_| instant(header, "Timestamp")).transpose()?,
        from_gsme: timestamp
            .and_then(|timestamp| timestamp.attribute("isFromGSME"))
            .map(is_true),
        clock_status: timestamp
            .and_then(|timestamp| timestamp.attribute("ClockStatus"))
            .map(str::to_owned),
    })
}

/// An alert as SMETS1 devices raise it. Encoded GBCS data, which they do not send, is passed over.
fn device_alert(mut message: Element) -> Read<DeviceAlert> {
    let content = take(&mut message, "DeviceAlertContent");
    let mut content = content.ok_or_else(|| lacking(&message, "DeviceAlertContent"))?;
    let code = match content.child_text("GBCSHexAlertCode") {
        Some(hex) if hex.len() == 4 => {
            Some(u16::from_str_radix(hex, 16).map_err(|_| wrong(&content, "GBCSHexAlertCode", hex))?)
        }
        Some(hex) => return Err(wrong(&content, "GBCSHexAlertCode", hex)),
        None => None,
    };
    Ok(DeviceAlert {
        code,
        description: content.child_text("AlertDescription").map(str::to_owned),
        at: instant(&content, "Timestamp")?,
        payload: take(&mut content, "Payload"),
    })
}

pub(crate) fn s1sp_alert(tree: Element) -> Read<S1spAlert> {
    Ok(S1spAlert {
        schema_version: schema_version(&tree),
        request_id: optional::<RequestId>(&tree, "RequestID")?,
        device: optional(&tree, "DeviceID")?,
        code: need(&tree, "S1SPAlertCode")?.text.clone(),
        information: tree.child_text("AdditionalInformation").map(str::to_owned),
        utrn: tree.child_text("UTRN").map(str::to_owned),
        at: instant(&tree, "DateTime")?,
    })
}

fn schema_version(root: &Element) -> String {
    root.attribute("schemaVersion").unwrap_or_default().trim().to_owned()
}

fn is_true(text: &str) -> bool {
    matches!(text.trim(), "true" | "1")
}

fn take(parent: &mut Element, name: &str) -> Option<Element> {
    let at = parent.children.iter().position(|child| child.name == name)?;
    Some(parent.children.remove(at))
}

fn take_first(parent: &mut Element) -> Option<Element> {
    (!parent.children.is_empty()).then(|| parent.children.remove(0))
}

fn need<'a>(parent: &'a Element, name: &'static str) -> Read<&'a Element> {
    parent.child(name).ok_or_else(|| lacking(parent, name))
}

/// Types whose texts the schema has already held to a form we can read.
trait FromText: Sized {
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! parsed {
    ($($type:ty),*) => {
        $(impl FromText for $type {
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}

parsed!(u8, u32, u64, Eui64, RequestId, Srv, ResponseCode, DccAlertCode);

fn value<T: FromText>(parent: &Element, name: &'static str) -> Read<T> {
    let text = &need(parent, name)?.text;
    T::from_text(text).ok_or_else(|| wrong(parent, name, text))
}

fn optional<T: FromText>(parent: &Element, name: &'static str) -> Read<Option<T>> {
    match parent.child(name) {
        Some(_) => value(parent, name).map(Some),
        None => Ok(None),
    }
}

/// A date and time; without a zone it counts as UTC, which the schema leaves open.
fn instant(parent: &Element, name: &'static str) -> Read<SimInstant> {
    let text = &need(parent, name)?.text;
    let zoned = text.ends_with('Z') || text.get(19..).is_some_and(|tail| tail.contains(['+', '-']));
    let read = if zoned {
        text.parse()
    } else {
        format!("{text}Z").parse()
    };
    read.map_err(|_| wrong(parent, name, text))
}

fn wrong(parent: &Element, name: &'static str, text: &str) -> ReadError {
    beyond(
        parent,
        name,
        ReadErrorKind::Value,
        "a value this lab can hold",
        format!("{text:?}"),
    )
}

fn lacking(parent: &Element, name: &'static str) -> ReadError {
    beyond(
        parent,
        name,
        ReadErrorKind::MissingElement,
        "an element this lab can read",
        "none".to_owned(),
    )
}

/// A fault the schema permits; the tree no longer knows lines.
fn beyond(parent: &Element, name: &str, kind: ReadErrorKind, expected: &str, found: String) -> ReadError {
    let prefix = parent.namespace.prefix();
    let path = format!("//{prefix}:{}/{name}", parent.name);
    ReadError {
        kind,
        path,
        line: 1,
        column: 1,
        expected: expected.to_owned(),
        found,
    }
}
