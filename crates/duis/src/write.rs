//! Writing: messages to bytes, every one checked against the structure table on its way.
//!
//! Documents come without a signature; [`crate::signature::sign`] adds it.

use crate::{
    DccAlertCode, Element, ReadError, ReadErrorKind, Request, ResponseHeader, S1spAlert, SignedBody, SignedHeader,
    WriteError,
};
use domain::Srv;

/// A service request.
///
/// # Errors
/// When the body is not a service element or a value does not fit its type.
pub fn request(request: &Request) -> Result<Vec<u8>, WriteError> {
    let _ = request;
    Err(unfinished("Request"))
}

/// An acknowledgement, a refusal or a DCC-only result: `ResponseMessage` with its references and at most one payload.
///
/// # Errors
/// When the payload is none of the schema.
pub fn response(header: &ResponseHeader, srv: Srv, payload: Option<&Element>) -> Result<Vec<u8>, WriteError> {
    let _ = (header, srv, payload);
    Err(unfinished("Response"))
}

/// A SMETS1 response or device alert around the S1SP's signed octets, which are carried unchanged.
///
/// `srv` is none for a device alert.
///
/// # Errors
/// When `signed` is not a signed SMETS1 response that the table permits.
pub fn smets1_response(
    header: &ResponseHeader,
    srv: Option<Srv>,
    schedule_id: Option<u64>,
    signed: &[u8],
) -> Result<Vec<u8>, WriteError> {
    let _ = (header, srv, schedule_id, signed);
    Err(unfinished("Response"))
}

/// What an S1SP signs: `SMETS1SignedResponse`, still without its signature.
///
/// # Errors
/// When payload or values do not fit.
pub fn smets1_signed_response(header: &SignedHeader, body: &SignedBody) -> Result<Vec<u8>, WriteError> {
    let _ = (header, body);
    Err(unfinished("SMETS1SignedResponse"))
}

/// An alert of an S1SP, still without its signature.
///
/// # Errors
/// When a value does not fit, for example a UTRN that is not 20 digits.
pub fn s1sp_alert(alert: &S1spAlert) -> Result<Vec<u8>, WriteError> {
    let _ = alert;
    Err(unfinished("S1SPAlert"))
}

/// A DCC alert with one payload element.
///
/// # Errors
/// When the payload is none of the schema.
pub fn dcc_alert(header: &ResponseHeader, code: DccAlertCode, payload: &Element) -> Result<Vec<u8>, WriteError> {
    let _ = (header, code, payload);
    Err(unfinished("Response"))
}

/// The DCC alert N55 around an S1SP's signed alert, which is carried unchanged.
///
/// # Errors
/// When `signed` is not a signed S1SP alert that the table permits.
pub fn dcc_s1sp_alert(header: &ResponseHeader, schedule_id: Option<u64>, signed: &[u8]) -> Result<Vec<u8>, WriteError> {
    let _ = (header, schedule_id, signed);
    Err(unfinished("Response"))
}

fn unfinished(root: &'static str) -> WriteError {
    WriteError::Structure {
        root,
        problem: ReadError {
            kind: ReadErrorKind::Root,
            path: String::new(),
            line: 1,
            column: 1,
            expected: "a message this build can write".to_owned(),
            found: root.to_owned(),
        },
    }
}
