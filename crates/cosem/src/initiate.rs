//! InitiateRequest and InitiateResponse: what the two ends agree on, carried as user information of an association.

use crate::codec::{DecodeError, Reader};

/// First octet of a plain InitiateRequest.
pub const REQUEST: u8 = 0x01;
/// First octet of a plain InitiateResponse.
pub const RESPONSE: u8 = 0x08;
/// First octet of a confirmed service error.
pub const SERVICE_ERROR: u8 = 0x0E;
/// First octet of a ciphered InitiateRequest.
pub const GLO_REQUEST: u8 = 0x21;
/// First octet of a ciphered InitiateResponse.
pub const GLO_RESPONSE: u8 = 0x28;

/// The only DLMS version there is.
pub const DLMS_VERSION: u8 = 6;
/// Smallest APDU size that is agreed to; below it no block would fit.
pub const PDU_MIN: u16 = 64;

/// What an end can do: 24 bits, the first highest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conformance(pub u32);

impl Conformance {
    /// General protection.
    pub const GENERAL_PROTECTION: Self = Self::bit(1);
    /// Priorities are kept.
    pub const PRIORITY: Self = Self::bit(9);
    /// Blocks in GET.
    pub const GET_BLOCKS: Self = Self::bit(11);
    /// Blocks in SET.
    pub const SET_BLOCKS: Self = Self::bit(12);
    /// Blocks in ACTION.
    pub const ACTION_BLOCKS: Self = Self::bit(13);
    /// Several attributes per request.
    pub const MULTIPLE_REFERENCES: Self = Self::bit(14);
    /// Notifications.
    pub const DATA_NOTIFICATION: Self = Self::bit(16);
    /// GET.
    pub const GET: Self = Self::bit(19);
    /// SET.
    pub const SET: Self = Self::bit(20);
    /// Selective access.
    pub const SELECTIVE_ACCESS: Self = Self::bit(21);
    /// ACTION.
    pub const ACTION: Self = Self::bit(23);

    /// All this codec does.
    pub const ALL: Self = Self(
        Self::GENERAL_PROTECTION.0
            | Self::PRIORITY.0
            | Self::GET_BLOCKS.0
            | Self::SET_BLOCKS.0
            | Self::ACTION_BLOCKS.0
            | Self::MULTIPLE_REFERENCES.0
            | Self::DATA_NOTIFICATION.0
            | Self::GET.0
            | Self::SET.0
            | Self::SELECTIVE_ACCESS.0
            | Self::ACTION.0,
    );

    const fn bit(number: u32) -> Self {
        Self(1 << (23 - number))
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits set in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn encode(self, out: &mut Vec<u8>) {
        let [_, a, b, c] = self.0.to_be_bytes();
        out.extend_from_slice(&[0x5F, 0x1F, 0x04, 0x00, a, b, c]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.expect(0x5F, "conformance")?;
        let at = reader.at();
        // The second octet of the application tag is left out by some old clients.
        match reader.u8()? {
            0x1F => reader.expect(0x04, "length of the conformance")?,
            0x04 => {}
            other => {
                return Err(DecodeError::Unexpected {
                    what: "conformance",
                    value: other.into(),
                    at,
                });
            }
        }
        let [_, a, b, c] = reader.array()?;
        Ok(Self(u32::from_be_bytes([0, a, b, c])))
    }
}

/// What a client proposes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitiateRequest<'a> {
    /// A key for this association alone; not used by this codec.
    pub dedicated_key: Option<&'a [u8]>,
    /// DLMS version.
    pub version: u8,
    /// What it can do.
    pub conformance: Conformance,
    /// Largest APDU it takes; 0 for any.
    pub pdu_max: u16,
}

impl<'a> InitiateRequest<'a> {
    /// Appends the APDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(REQUEST);
        match self.dedicated_key {
            Some(key) => {
                out.push(1);
                crate::codec::put_sized(out, key);
            }
            None => out.push(0),
        }
        // Response allowed by default, no quality of service.
        out.extend_from_slice(&[0, 0, self.version]);
        self.conformance.encode(out);
        out.extend_from_slice(&self.pdu_max.to_be_bytes());
    }

    /// Decodes octets that are exactly one InitiateRequest.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        reader.expect(REQUEST, "APDU")?;
        let dedicated_key = if reader.flag()? { Some(reader.sized()?) } else { None };
        for _response_allowed_then_quality in 0..2 {
            if reader.flag()? {
                reader.u8()?;
            }
        }
        let version = reader.u8()?;
        let conformance = Conformance::decode(&mut reader)?;
        let pdu_max = reader.u16()?;
        reader.finish()?;
        Ok(Self {
            dedicated_key,
            version,
            conformance,
            pdu_max,
        })
    }
}

/// What a server agrees to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitiateResponse {
    /// DLMS version.
    pub version: u8,
    /// What both can do.
    pub conformance: Conformance,
    /// Largest APDU it takes.
    pub pdu_max: u16,
}

impl InitiateResponse {
    /// Appends the APDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[RESPONSE, 0, self.version]);
        self.conformance.encode(out);
        out.extend_from_slice(&self.pdu_max.to_be_bytes());
        // The variable name of the current association when logical names are used.
        out.extend_from_slice(&[0x00, 0x07]);
    }

    /// Decodes octets that are exactly one InitiateResponse.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        reader.expect(RESPONSE, "APDU")?;
        if reader.flag()? {
            reader.u8()?;
        }
        let version = reader.u8()?;
        let conformance = Conformance::decode(&mut reader)?;
        let pdu_max = reader.u16()?;
        reader.u16()?;
        reader.finish()?;
        Ok(Self {
            version,
            conformance,
            pdu_max,
        })
    }
}

/// Reasons of a confirmed service error in answer to an InitiateRequest.
pub mod refusal {
    /// The client's DLMS version is too low.
    pub const VERSION_TOO_LOW: u8 = 1;
    /// Nothing in common.
    pub const INCOMPATIBLE_CONFORMANCE: u8 = 2;
    /// The client's APDU size is too small.
    pub const PDU_TOO_SHORT: u8 = 3;
}

/// The confirmed service error that refuses an InitiateRequest.
#[must_use]
pub fn service_error(refusal: u8) -> [u8; 4] {
    [SERVICE_ERROR, 1, 6, refusal]
}
