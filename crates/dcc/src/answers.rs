//! The messages the DCC writes and signs itself.

use domain::{Eui64, RequestId, SimInstant, Srv};
use duis::signature::SigningKey;
use duis::{DccAlert, Element, Request, Response, ResponseBody, ResponseCode, ResponseHeader, Throttled};
use prost::bytes::Bytes;

use crate::front_door::said;

/// What stands in for a reference that could not be read: the schema demands one, and this is the first of its list.
const UNREADABLE: Srv = Srv::new(1, 1, 1);

/// What a message says that [`Request::SCHEMA_VERSION`] does not have everything of.
const LATER_VERSION: &str = "5.4";

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
pub(crate) struct Reply<'a> {
    pub(crate) request: Option<RequestId>,
    pub(crate) srv: Option<Srv>,
    pub(crate) code: &'a str,
    pub(crate) payload: Option<&'a Element>,
    /// Where the payload differs by version.
    pub(crate) schema_version: Option<&'a str>,
}

impl Reply<'_> {
    pub(crate) fn made(&self, key: &SigningKey, at: SimInstant) -> Result<Bytes, MakeError> {
        let header = ResponseHeader {
            schema_version: self.schema_version.unwrap_or(Request::SCHEMA_VERSION).to_owned(),
            request_id: self.request,
            response_id: None,
            code: known(self.code)?,
            at,
        };
        let xml = duis::write::response(&header, self.srv.unwrap_or(UNREADABLE), self.payload);
        signed(key, &xml.map_err(|error| MakeError::of(&error))?)
    }
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
    let write = |header: &ResponseHeader| {
        if signed_response.is_empty() {
            duis::write::response(header, srv, None)
        } else {
            duis::write::smets1_response(header, Some(srv), None, None, signed_response)
        }
    };
    let xml = write(&header).or_else(|_| {
        // What only a later version of the schema has says so; whether its user can read it is judged elsewhere.
        write(&ResponseHeader {
            schema_version: LATER_VERSION.to_owned(),
            ..header.clone()
        })
    });
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// The result of one run of a schedule, around what the S1SP signed. It answers no request of the user's, so it names none
/// (inferred).
pub(crate) fn scheduled(
    key: &SigningKey,
    run: RequestId,
    user: Eui64,
    srv: Srv,
    schedule: u64,
    signed_response: &[u8],
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let id = RequestId {
        originator: run.target,
        target: user,
        counter: run.counter,
    };
    let header = ResponseHeader::alert(id, at);
    let xml = duis::write::smets1_response(&header, Some(srv), Some(schedule), None, signed_response);
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

/// A SMETS1 device alert for one user, not signed yet.
pub(crate) fn device_alert(id: RequestId, signed_alert: &[u8], at: SimInstant) -> Result<Bytes, MakeError> {
    let xml = duis::write::smets1_response(&ResponseHeader::alert(id, at), None, None, None, signed_alert);
    xml.map(Bytes::from).map_err(|error| MakeError::of(&error))
}

/// An S1SP alert for one user, as DCC alert N55, not signed yet.
pub(crate) fn s1sp_alert(
    id: RequestId,
    schedule: Option<u64>,
    signed_alert: &[u8],
    at: SimInstant,
) -> Result<Bytes, MakeError> {
    let xml = duis::write::dcc_s1sp_alert(&ResponseHeader::alert(id, at), schedule, None, signed_alert);
    xml.map(Bytes::from).map_err(|error| MakeError::of(&error))
}

/// An alert that was held back, as the one that stands for all that were.
pub(crate) fn summary(key: &SigningKey, xml: &[u8], throttled: Throttled) -> Result<Bytes, MakeError> {
    let Response { header, body } = duis::read_response(xml).map_err(|error| MakeError::of(&error))?;
    let throttled = Some(throttled);
    let xml = match body {
        ResponseBody::Smets1 { signed, .. } => duis::write::smets1_response(&header, None, None, throttled, &signed),
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp {
                signed, schedule_id, ..
            },
            ..
        } => duis::write::dcc_s1sp_alert(&header, schedule_id, throttled, &signed),
        ResponseBody::DccAlert {
            code,
            alert: DccAlert::Payload(payload),
            ..
        } => duis::write::dcc_alert(&header, code, throttled, &payload),
        ResponseBody::Message { .. } | ResponseBody::DeviceAlert(_) => {
            return Err(MakeError("what was held back is no alert".to_owned()));
        }
    };
    signed(key, &xml.map_err(|error| MakeError::of(&error))?)
}

pub(crate) fn signed(key: &SigningKey, xml: &[u8]) -> Result<Bytes, MakeError> {
    let signed = duis::signature::sign(xml, key);
    Ok(Bytes::from(signed.map_err(|error| MakeError::of(&error))?))
}

/// Never a code outside the published list: a real client's schema check would refuse the whole message.
fn known(code: &str) -> Result<ResponseCode, MakeError> {
    let shown = || code.chars().take(20).collect::<String>();
    ResponseCode::new(code).ok_or_else(|| MakeError(format!("{:?} is no response code", shown())))
}
