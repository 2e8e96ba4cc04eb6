//! Reading: bytes to messages, strictly.

use domain::{RequestId, Srv};

use crate::{ReadError, ReadErrorKind, Request, Response, Root, S1spAlert, SignedResponse};

/// How large a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Elements inside one another.
    pub depth: usize,
    /// Attributes of one element, declarations included.
    pub attributes: usize,
    /// Octets of one text or attribute value.
    pub text: usize,
}

impl Default for Limits {
    /// 16 MiB for a firmware image; depth 40; 32 attributes; 14 MiB of text.
    fn default() -> Self {
        Self {
            octets: 16 << 20,
            depth: 40,
            attributes: 32,
            text: 14 << 20,
        }
    }
}

/// Reads and checks a service request.
///
/// # Errors
/// The first fault, with its place.
pub fn read_request(xml: &[u8]) -> Result<Request, ReadError> {
    Err(unfinished(xml))
}

/// Reads and checks a response or alert of the DCC.
///
/// # Errors
/// The first fault, with its place.
pub fn read_response(xml: &[u8]) -> Result<Response, ReadError> {
    Err(unfinished(xml))
}

/// Reads and checks what an S1SP signed.
///
/// # Errors
/// The first fault, with its place.
pub fn read_signed_response(xml: &[u8]) -> Result<SignedResponse, ReadError> {
    Err(unfinished(xml))
}

/// Reads and checks an alert of an S1SP.
///
/// # Errors
/// The first fault, with its place.
pub fn read_s1sp_alert(xml: &[u8]) -> Result<S1spAlert, ReadError> {
    Err(unfinished(xml))
}

/// Checks any message and says which it is.
///
/// # Errors
/// The first fault, with its place.
pub fn check(xml: &[u8]) -> Result<Root, ReadError> {
    Err(unfinished(xml))
}

/// Whatever a request that was refused still tells about itself, so that the refusal can name it: its id and its service
/// reference variant, as far as they can be read.
#[must_use]
pub fn salvage_header(xml: &[u8]) -> (Option<RequestId>, Option<Srv>) {
    let _ = xml;
    (None, None)
}

fn unfinished(xml: &[u8]) -> ReadError {
    ReadError {
        kind: ReadErrorKind::Root,
        path: String::new(),
        line: 1,
        column: 1,
        expected: "a message this build can read".to_owned(),
        found: format!("{} octets", xml.len()),
    }
}
