//! Association control in BER: AARQ, AARE, RLRQ and RLRE.

use crate::codec::{DecodeError, Reader, put_length};

/// First octet of an AARQ.
pub const AARQ: u8 = 0x60;
/// First octet of an AARE.
pub const AARE: u8 = 0x61;
/// First octet of an RLRQ.
pub const RLRQ: u8 = 0x62;
/// First octet of an RLRE.
pub const RLRE: u8 = 0x63;

/// Application context: logical names without ciphering.
pub const CONTEXT_PLAIN: u8 = 1;
/// Application context: logical names with ciphering.
pub const CONTEXT_CIPHERED: u8 = 3;

/// 2.16.756.5.8.1: application contexts.
const CONTEXT_ARC: [u8; 6] = [0x60, 0x85, 0x74, 0x05, 0x08, 0x01];
/// 2.16.756.5.8.2: authentication mechanisms.
const MECHANISM_ARC: [u8; 6] = [0x60, 0x85, 0x74, 0x05, 0x08, 0x02];

/// How a client proves who it is, by the last arc of the mechanism's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mechanism {
    /// Not at all.
    None,
    /// Low level: a password.
    Low,
    /// High level 5: GMAC over each other's challenge.
    Gmac,
    /// One that this codec names but does not do.
    Other(u8),
}

impl Mechanism {
    /// The last arc of its name.
    #[must_use]
    pub fn arc(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Low => 1,
            Self::Gmac => 5,
            Self::Other(arc) => arc,
        }
    }

    /// From the last arc of its name.
    #[must_use]
    pub fn from_arc(arc: u8) -> Self {
        match arc {
            0 => Self::None,
            1 => Self::Low,
            5 => Self::Gmac,
            other => Self::Other(other),
        }
    }
}

/// `result-source-diagnostic` of an AARE, from the service user.
pub mod diagnostic {
    /// Nothing wrong.
    pub const NONE: u8 = 0;
    /// No reason given.
    pub const NO_REASON: u8 = 1;
    /// The application context is not supported.
    pub const CONTEXT_NOT_SUPPORTED: u8 = 2;
    /// The client's title is missing or not recognised.
    pub const CALLING_TITLE: u8 = 3;
    /// The mechanism is not recognised.
    pub const MECHANISM_NOT_RECOGNISED: u8 = 11;
    /// A mechanism is required.
    pub const MECHANISM_REQUIRED: u8 = 12;
    /// Authentication failed.
    pub const AUTHENTICATION_FAILURE: u8 = 13;
    /// More is required; with an accepted result, passes 3 and 4 of high level security follow.
    pub const AUTHENTICATION_REQUIRED: u8 = 14;
}

/// A request for an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aarq<'a> {
    /// Last arc of the application context.
    pub context: u8,
    /// The client's system title.
    pub calling_title: Option<&'a [u8]>,
    /// How it will authenticate.
    pub mechanism: Mechanism,
    /// Password or challenge.
    pub authentication_value: Option<&'a [u8]>,
    /// The InitiateRequest, plain or ciphered.
    pub user_information: Option<&'a [u8]>,
}

/// The answer to a request for an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aare<'a> {
    /// Last arc of the application context.
    pub context: u8,
    /// 0 accepted, 1 rejected for good, 2 rejected for now.
    pub result: u8,
    /// See [`diagnostic`].
    pub diagnostic: u8,
    /// The server's system title.
    pub responding_title: Option<&'a [u8]>,
    /// How it authenticates.
    pub mechanism: Mechanism,
    /// Challenge.
    pub authentication_value: Option<&'a [u8]>,
    /// The InitiateResponse, plain or ciphered, or a service error.
    pub user_information: Option<&'a [u8]>,
}

impl<'a> Aarq<'a> {
    /// Appends the APDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(128);
        put_context(&mut body, self.context);
        if let Some(title) = self.calling_title {
            put_nested(&mut body, 0xA6, 0x04, title);
        }
        if self.mechanism != Mechanism::None {
            put(&mut body, 0x8A, &[0x07, 0x80]);
            put_mechanism(&mut body, 0x8B, self.mechanism);
        }
        if let Some(value) = self.authentication_value {
            put_nested(&mut body, 0xAC, 0x80, value);
        }
        if let Some(information) = self.user_information {
            put_nested(&mut body, 0xBE, 0x04, information);
        }
        put(out, AARQ, &body);
    }

    /// Decodes octets that are exactly one AARQ.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut body = whole(octets, AARQ)?;
        let mut aarq = Self {
            context: 0,
            calling_title: None,
            mechanism: Mechanism::None,
            authentication_value: None,
            user_information: None,
        };
        while !body.is_empty() {
            let (tag, at, content) = element(&mut body)?;
            match tag {
                0xA1 => aarq.context = oid(content, &CONTEXT_ARC)?,
                0xA6 => aarq.calling_title = Some(inner(content, 0x04)?),
                0x8B => aarq.mechanism = mechanism(content)?,
                0xAC => aarq.authentication_value = Some(inner(content, 0x80)?),
                0xBE => aarq.user_information = Some(inner(content, 0x04)?),
                // Protocol version, called and calling titles, qualifiers and ids, requirements, implementation data:
                // allowed, and of no meaning here.
                0x80 | 0x8A | 0xA2..=0xA5 | 0xA7..=0xA9 | 0xBD => {}
                other => {
                    return Err(DecodeError::Unexpected {
                        what: "part of an AARQ",
                        value: other.into(),
                        at,
                    });
                }
            }
        }
        Ok(aarq)
    }
}

impl<'a> Aare<'a> {
    /// Appends the APDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(128);
        put_context(&mut body, self.context);
        put(&mut body, 0xA2, &[0x02, 0x01, self.result]);
        put(&mut body, 0xA3, &[0xA1, 0x03, 0x02, 0x01, self.diagnostic]);
        if let Some(title) = self.responding_title {
            put_nested(&mut body, 0xA4, 0x04, title);
        }
        if self.mechanism != Mechanism::None {
            put(&mut body, 0x88, &[0x07, 0x80]);
            put_mechanism(&mut body, 0x89, self.mechanism);
        }
        if let Some(value) = self.authentication_value {
            put_nested(&mut body, 0xAA, 0x80, value);
        }
        if let Some(information) = self.user_information {
            put_nested(&mut body, 0xBE, 0x04, information);
        }
        put(out, AARE, &body);
    }

    /// Decodes octets that are exactly one AARE.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut body = whole(octets, AARE)?;
        let mut aare = Self {
            context: 0,
            result: 1,
            diagnostic: 0,
            responding_title: None,
            mechanism: Mechanism::None,
            authentication_value: None,
            user_information: None,
        };
        while !body.is_empty() {
            let (tag, at, content) = element(&mut body)?;
            match tag {
                0xA1 => aare.context = oid(content, &CONTEXT_ARC)?,
                0xA2 => aare.result = small_integer(inner(content, 0x02)?)?,
                0xA3 => aare.diagnostic = source_diagnostic(content)?,
                0xA4 => aare.responding_title = Some(inner(content, 0x04)?),
                0x89 => aare.mechanism = mechanism(content)?,
                0xAA => aare.authentication_value = Some(inner(content, 0x80)?),
                0xBE => aare.user_information = Some(inner(content, 0x04)?),
                0x80 | 0x88 | 0xA5..=0xA7 | 0xBD => {}
                other => {
                    return Err(DecodeError::Unexpected {
                        what: "part of an AARE",
                        value: other.into(),
                        at,
                    });
                }
            }
        }
        Ok(aare)
    }
}

/// Appends a release request (`first` = [`RLRQ`]) or response ([`RLRE`]) with reason "normal".
pub fn put_release(out: &mut Vec<u8>, first: u8, user_information: Option<&[u8]>) {
    let mut body = vec![0x80, 0x01, 0x00];
    if let Some(information) = user_information {
        put_nested(&mut body, 0xBE, 0x04, information);
    }
    put(out, first, &body);
}

/// Decodes octets that are exactly one release request or response; gives its user information.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_release(octets: &[u8], first: u8) -> Result<Option<&[u8]>, DecodeError> {
    let mut body = whole(octets, first)?;
    let mut information = None;
    while !body.is_empty() {
        let (tag, at, content) = element(&mut body)?;
        match tag {
            0x80 => {}
            0xBE => information = Some(inner(content, 0x04)?),
            other => {
                return Err(DecodeError::Unexpected {
                    what: "part of a release",
                    value: other.into(),
                    at,
                });
            }
        }
    }
    Ok(information)
}

fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    put_length(out, content.len());
    out.extend_from_slice(content);
}

fn put_nested(out: &mut Vec<u8>, outer: u8, tag: u8, content: &[u8]) {
    let mut nested = Vec::with_capacity(content.len() + 4);
    put(&mut nested, tag, content);
    put(out, outer, &nested);
}

fn put_context(out: &mut Vec<u8>, arc: u8) {
    let [a, b, c, d, e, f] = CONTEXT_ARC;
    put_nested(out, 0xA1, 0x06, &[a, b, c, d, e, f, arc]);
}

fn put_mechanism(out: &mut Vec<u8>, tag: u8, mechanism: Mechanism) {
    let [a, b, c, d, e, f] = MECHANISM_ARC;
    put(out, tag, &[a, b, c, d, e, f, mechanism.arc()]);
}

/// The content of an element that is all there is; running out within it is no reason to wait any more.
fn whole(octets: &[u8], tag: u8) -> Result<Reader<'_>, DecodeError> {
    let mut reader = Reader::new(octets);
    reader.expect(tag, "APDU")?;
    let content = reader.sized()?;
    reader.finish()?;
    Ok(Reader::closed(content))
}

fn element<'a>(reader: &mut Reader<'a>) -> Result<(u8, usize, &'a [u8]), DecodeError> {
    let at = reader.at();
    let tag = reader.u8()?;
    Ok((tag, at, reader.sized()?))
}

fn inner(content: &[u8], tag: u8) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::closed(content);
    reader.expect(tag, "nested tag")?;
    let inner = reader.sized()?;
    reader.finish()?;
    Ok(inner)
}

fn oid(content: &[u8], arc: &[u8; 6]) -> Result<u8, DecodeError> {
    last_arc(inner(content, 0x06)?, arc)
}

fn mechanism(content: &[u8]) -> Result<Mechanism, DecodeError> {
    last_arc(content, &MECHANISM_ARC).map(Mechanism::from_arc)
}

fn last_arc(name: &[u8], arc: &[u8; 6]) -> Result<u8, DecodeError> {
    match name.strip_prefix(arc) {
        Some([last]) => Ok(*last),
        _ => Err(DecodeError::Unexpected {
            what: "object identifier of octets",
            value: name.len() as u64,
            at: 0,
        }),
    }
}

fn small_integer(content: &[u8]) -> Result<u8, DecodeError> {
    match content {
        [value] => Ok(*value),
        _ => Err(DecodeError::Unexpected {
            what: "integer of octets",
            value: content.len() as u64,
            at: 0,
        }),
    }
}

fn source_diagnostic(content: &[u8]) -> Result<u8, DecodeError> {
    let mut reader = Reader::closed(content);
    let (tag, at, choice) = element(&mut reader)?;
    reader.finish()?;
    // A1 from the service user, A2 from the provider.
    match tag {
        0xA1 | 0xA2 => small_integer(inner(choice, 0x02)?),
        other => Err(DecodeError::Unexpected {
            what: "source of a diagnostic",
            value: other.into(),
            at,
        }),
    }
}
