//! Responses of the GET, SET and ACTION services, exceptions, notifications, and the ciphered envelopes of all of them.

use crate::codec::{DecodeError, Reader, put_length, put_sized};
use crate::request::{Block, block, put_block, value};
use crate::security::{Cipher, HEADER_LEN, SecurityControl, SystemTitle, TAG_LEN};
use crate::types::AccessResult;

/// First octet of a DataNotification.
pub const DATA_NOTIFICATION: u8 = 0x0F;
/// First octet of a GET response.
pub const GET: u8 = 0xC4;
/// First octet of a SET response.
pub const SET: u8 = 0xC5;
/// First octet of an ACTION response.
pub const ACTION: u8 = 0xC7;
/// First octet of an exception.
pub const EXCEPTION: u8 = 0xD8;
/// First octet of the general form of ciphering with the global key.
pub const GENERAL_GLO: u8 = 0xDB;

/// A response of any service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response<'a> {
    /// Result of a method and its return value: the octets of exactly one value.
    Action(Result<(), AccessResult>, Option<Result<&'a [u8], AccessResult>>),
    /// A block of a return value.
    ActionBlock(Block<'a>),
    /// Asks for the next block of a parameter: the number of the block that came last.
    ActionNext(u32),
    /// The octets of exactly one value.
    Get(Result<&'a [u8], AccessResult>),
    /// A block of a value.
    GetBlock(Block<'a>),
    /// No more blocks come: whether it was the last, the number of the block, and why.
    GetBlockError(bool, u32, AccessResult),
    /// One result per attribute.
    GetList(Vec<Result<&'a [u8], AccessResult>>),
    /// Result of writing.
    Set(Result<(), AccessResult>),
    /// Asks for the next block of a value: the number of the block that came last.
    SetBlock(u32),
    /// Result of writing in blocks and the number of the last.
    SetLastBlock(Result<(), AccessResult>, u32),
    /// One result per attribute.
    SetList(Vec<Result<(), AccessResult>>),
}

impl<'a> Response<'a> {
    /// Appends the APDU.
    pub fn encode(&self, invoke: u8, out: &mut Vec<u8>) {
        let (first, choice) = self.tags();
        out.extend_from_slice(&[first, choice, invoke]);
        match self {
            Self::Action(result, returned) => {
                out.push(AccessResult::code_of(*result));
                out.push(u8::from(returned.is_some()));
                if let Some(returned) = returned {
                    put_get_result(out, *returned);
                }
            }
            Self::ActionBlock(block) => put_block(out, block),
            Self::ActionNext(number) | Self::SetBlock(number) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Get(result) => put_get_result(out, *result),
            Self::GetBlock(block) => {
                out.push(u8::from(block.last));
                out.extend_from_slice(&block.number.to_be_bytes());
                out.push(0);
                put_sized(out, block.raw);
            }
            Self::GetBlockError(last, number, error) => {
                out.push(u8::from(*last));
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&[1, error.code()]);
            }
            Self::GetList(results) => {
                put_length(out, results.len());
                results.iter().for_each(|result| put_get_result(out, *result));
            }
            Self::Set(result) => out.push(AccessResult::code_of(*result)),
            Self::SetLastBlock(result, number) => {
                out.push(AccessResult::code_of(*result));
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::SetList(results) => {
                put_length(out, results.len());
                results
                    .iter()
                    .for_each(|result| out.push(AccessResult::code_of(*result)));
            }
        }
    }

    /// Decodes octets that are exactly one response; gives its invoke-id-and-priority too.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<(u8, Self), DecodeError> {
        let mut reader = Reader::new(octets);
        let first = reader.u8()?;
        let at = reader.at();
        let choice = reader.u8()?;
        let invoke = reader.u8()?;
        let response = match (first, choice) {
            (GET, 1) => Self::Get(get_result(&mut reader)?),
            (GET, 2) => get_block(&mut reader)?,
            (GET, 3) => Self::GetList(get_list(&mut reader)?),
            (SET, 1) => Self::Set(AccessResult::from_code(reader.u8()?)),
            (SET, 2) => Self::SetBlock(reader.u32()?),
            (SET, 3) => Self::SetLastBlock(AccessResult::from_code(reader.u8()?), reader.u32()?),
            (SET, 5) => {
                let count = reader.length()?;
                let codes = reader.take(count)?;
                Self::SetList(codes.iter().map(|code| AccessResult::from_code(*code)).collect())
            }
            (ACTION, 1) => {
                let result = AccessResult::from_code(reader.u8()?);
                let returned = if reader.flag()? {
                    Some(get_result(&mut reader)?)
                } else {
                    None
                };
                Self::Action(result, returned)
            }
            (ACTION, 2) => Self::ActionBlock(block(&mut reader)?),
            (ACTION, 4) => Self::ActionNext(reader.u32()?),
            (GET | SET | ACTION, other) => {
                return Err(DecodeError::Unexpected {
                    what: "kind of response",
                    value: other.into(),
                    at,
                });
            }
            (other, _) => {
                return Err(DecodeError::Unexpected {
                    what: "APDU",
                    value: other.into(),
                    at: 0,
                });
            }
        };
        reader.finish()?;
        Ok((invoke, response))
    }

    fn tags(&self) -> (u8, u8) {
        match self {
            Self::Get(_) => (GET, 1),
            Self::GetBlock(_) | Self::GetBlockError(..) => (GET, 2),
            Self::GetList(_) => (GET, 3),
            Self::Set(_) => (SET, 1),
            Self::SetBlock(_) => (SET, 2),
            Self::SetLastBlock(..) => (SET, 3),
            Self::SetList(_) => (SET, 5),
            Self::Action(..) => (ACTION, 1),
            Self::ActionBlock(_) => (ACTION, 2),
            Self::ActionNext(_) => (ACTION, 4),
        }
    }
}

/// Appends a Get-Data-Result: 0 and the value, or 1 and the reason.
pub fn put_get_result(out: &mut Vec<u8>, result: Result<&[u8], AccessResult>) {
    match result {
        Ok(value) => {
            out.push(0);
            out.extend_from_slice(value);
        }
        Err(error) => out.extend_from_slice(&[1, error.code()]),
    }
}

/// Decodes the results of a GET with a list, also when they came in blocks.
///
/// # Errors
/// Any [`DecodeError`] but [`DecodeError::Surplus`].
pub fn get_list<'a>(reader: &mut Reader<'a>) -> Result<Vec<Result<&'a [u8], AccessResult>>, DecodeError> {
    let count = reader.length()?;
    if count > crate::request::LIST_MAX {
        return Err(DecodeError::TooLarge {
            what: "number of results",
            limit: crate::request::LIST_MAX,
        });
    }
    (0..count).map(|_| get_result(reader)).collect()
}

fn get_result<'a>(reader: &mut Reader<'a>) -> Result<Result<&'a [u8], AccessResult>, DecodeError> {
    let at = reader.at();
    match reader.u8()? {
        0 => value(reader).map(Ok),
        1 => Ok(Err(AccessResult::from_code(reader.u8()?)
            .err()
            .unwrap_or(AccessResult::OTHER_REASON))),
        other => Err(DecodeError::Unexpected {
            what: "kind of result",
            value: other.into(),
            at,
        }),
    }
}

fn get_block<'a>(reader: &mut Reader<'a>) -> Result<Response<'a>, DecodeError> {
    let last = reader.flag()?;
    let number = reader.u32()?;
    let at = reader.at();
    match reader.u8()? {
        0 => Ok(Response::GetBlock(Block {
            last,
            number,
            raw: reader.sized()?,
        })),
        1 => {
            let error = AccessResult::from_code(reader.u8()?)
                .err()
                .unwrap_or(AccessResult::OTHER_REASON);
            Ok(Response::GetBlockError(last, number, error))
        }
        other => Err(DecodeError::Unexpected {
            what: "kind of block",
            value: other.into(),
            at,
        }),
    }
}

/// Why a server could not treat an APDU at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// The APDU could not be opened with the keys in force.
    Deciphering,
    /// Its counter was used before; the next one that will be taken.
    InvocationCounter(u32),
    /// No association, or not on this one.
    NotAllowed,
    /// No such service here.
    NotSupported,
    /// Another reason; malformed octets among them.
    OtherReason,
    /// Longer than agreed.
    PduTooLong,
    /// Codes without a name here: state error and service error.
    Unknown(u8, u8),
}

impl Exception {
    /// Appends the APDU.
    pub fn encode(self, out: &mut Vec<u8>) {
        let (state, service) = self.codes();
        out.extend_from_slice(&[EXCEPTION, state, service]);
        if let Self::InvocationCounter(next) = self {
            out.extend_from_slice(&next.to_be_bytes());
        }
    }

    /// Decodes octets that are exactly one exception.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        reader.expect(EXCEPTION, "APDU")?;
        let exception = match (reader.u8()?, reader.u8()?) {
            (_, 6) => Self::InvocationCounter(reader.u32()?),
            (1, 1) => Self::NotAllowed,
            (1, 5) => Self::Deciphering,
            (2, 2) => Self::NotSupported,
            (2, 3) => Self::OtherReason,
            (2, 4) => Self::PduTooLong,
            (state, service) => Self::Unknown(state, service),
        };
        reader.finish()?;
        Ok(exception)
    }

    /// State error and service error.
    #[must_use]
    pub fn codes(self) -> (u8, u8) {
        match self {
            Self::NotAllowed => (1, 1),
            Self::Deciphering => (1, 5),
            Self::NotSupported => (2, 2),
            Self::OtherReason => (2, 3),
            Self::PduTooLong => (2, 4),
            Self::InvocationCounter(_) => (2, 6),
            Self::Unknown(state, service) => (state, service),
        }
    }
}

/// Something a server says unasked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataNotification<'a> {
    /// Long invoke id and priority: 24 bits of number, 8 of flags in front.
    pub long_invoke: u32,
    /// When; 12 octets or none.
    pub at: Option<[u8; 12]>,
    /// The octets of exactly one value.
    pub body: &'a [u8],
}

impl<'a> DataNotification<'a> {
    /// Appends the APDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(DATA_NOTIFICATION);
        out.extend_from_slice(&self.long_invoke.to_be_bytes());
        put_sized(out, self.at.as_ref().map_or(&[], |at| at.as_slice()));
        out.extend_from_slice(self.body);
    }

    /// Decodes octets that are exactly one notification.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        reader.expect(DATA_NOTIFICATION, "APDU")?;
        let long_invoke = reader.u32()?;
        let position = reader.at();
        let at = match reader.sized()? {
            [] => None,
            at => Some(at.try_into().map_err(|_| DecodeError::Unexpected {
                what: "length of a date-time",
                value: at.len() as u64,
                at: position,
            })?),
        };
        let body = value(&mut reader)?;
        reader.finish()?;
        Ok(Self { long_invoke, at, body })
    }
}

/// The form in which an APDU is ciphered with the global key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One envelope for all services, with the sender's title.
    General,
    /// An own first octet per service.
    Service,
}

/// Most octets that [`put_glo`] adds to a plain APDU in this form.
#[must_use]
pub fn overhead(form: Form) -> usize {
    // First octet, a length of up to three octets, security header and tag; the general form has a title in front.
    let service = 1 + 3 + HEADER_LEN + TAG_LEN;
    match form {
        Form::General => service + 1 + 8,
        Form::Service => service,
    }
}

/// The first octet of the service-specific envelope of a plain APDU that begins with `first`.
#[must_use]
pub fn glo_tag(first: u8) -> Option<u8> {
    Some(match first {
        0x01 => 0x21,
        0x08 => 0x28,
        0xC0 => 0xC8,
        0xC1 => 0xC9,
        0xC3 => 0xCB,
        0xC4 => 0xCC,
        0xC5 => 0xCD,
        0xC7 => 0xCF,
        _ => return None,
    })
}

/// Appends `plain` authenticated and encrypted. An APDU without a service-specific envelope gets the general one.
pub fn put_glo(cipher: &Cipher, form: Form, title: &SystemTitle, counter: u32, plain: &[u8], out: &mut Vec<u8>) {
    match (form, plain.first().copied().and_then(glo_tag)) {
        (Form::Service, Some(tag)) => out.push(tag),
        _ => {
            out.push(GENERAL_GLO);
            put_sized(out, title);
        }
    }
    put_length(out, plain.len() + HEADER_LEN + TAG_LEN);
    cipher.seal(SecurityControl::AUTHENTICATED_ENCRYPTED, title, counter, plain, out);
}

/// An envelope taken apart but not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// Its form.
    pub form: Form,
    /// First octet that the plain APDU must have; `None` in the general form.
    pub inner: Option<u8>,
    /// The sender's title, where the form has one and it was given.
    pub title: Option<SystemTitle>,
    /// Security header, content and tag.
    pub protected: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes octets that are exactly one envelope apart; `Ok(None)` when they are no envelope.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(octets);
        let (form, inner) = match reader.u8()? {
            GENERAL_GLO => (Form::General, None),
            first @ (0x21 | 0x28) => (Form::Service, Some(first & 0x0F)),
            // C8, C9, CB, CC, CD and CF wrap C0, C1, C3, C4, C5 and C7.
            first @ (0xC8 | 0xC9 | 0xCB | 0xCC | 0xCD | 0xCF) => (Form::Service, Some(first & !0x08)),
            _ => return Ok(None),
        };
        let mut title = None;
        if form == Form::General {
            let at = reader.at();
            let given = reader.sized()?;
            if !given.is_empty() {
                title = Some(given.try_into().map_err(|_| DecodeError::Unexpected {
                    what: "length of a title",
                    value: given.len() as u64,
                    at,
                })?);
            }
        }
        let protected = reader.sized()?;
        reader.finish()?;
        Ok(Some(Self {
            form,
            inner,
            title,
            protected,
        }))
    }
}
