//! COSEM values: the `Data` choice of A-XDR.

use crate::codec::{DecodeError, Reader, put_length, put_sized};
use crate::write;

/// Deepest nesting of arrays and structures that is decoded.
pub const DEPTH_MAX: usize = 12;
/// Most values, nested ones included, in one decoded [`Data`].
pub const VALUES_MAX: usize = 200_000;

/// Tags of the types.
pub mod tag {
    #![allow(missing_docs)]
    pub const NULL: u8 = 0;
    pub const ARRAY: u8 = 1;
    pub const STRUCTURE: u8 = 2;
    pub const BOOLEAN: u8 = 3;
    pub const BIT_STRING: u8 = 4;
    pub const INT32: u8 = 5;
    pub const UINT32: u8 = 6;
    pub const OCTET_STRING: u8 = 9;
    pub const VISIBLE_STRING: u8 = 10;
    pub const UTF8_STRING: u8 = 12;
    pub const BCD: u8 = 13;
    pub const INT8: u8 = 15;
    pub const INT16: u8 = 16;
    pub const UINT8: u8 = 17;
    pub const UINT16: u8 = 18;
    pub const COMPACT_ARRAY: u8 = 19;
    pub const INT64: u8 = 20;
    pub const UINT64: u8 = 21;
    pub const ENUM: u8 = 22;
    pub const FLOAT32: u8 = 23;
    pub const FLOAT64: u8 = 24;
    pub const DATE_TIME: u8 = 25;
    pub const DATE: u8 = 26;
    pub const TIME: u8 = 27;
    pub const DELTA_INT8: u8 = 28;
    pub const DELTA_INT16: u8 = 29;
    pub const DELTA_INT32: u8 = 30;
    pub const DELTA_UINT8: u8 = 31;
    pub const DELTA_UINT16: u8 = 32;
    pub const DELTA_UINT32: u8 = 33;
    pub const DONT_CARE: u8 = 255;
}

/// One COSEM value. Floats are kept as their bits, so that values compare and round-trip exactly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// null-data.
    Null,
    /// array: values of one type.
    Array(Vec<Self>),
    /// structure.
    Structure(Vec<Self>),
    /// boolean.
    Boolean(bool),
    /// bit-string: count of bits, and the octets that hold them, first bit highest; spare bits are zero.
    BitString(usize, Vec<u8>),
    /// double-long.
    Int32(i32),
    /// double-long-unsigned.
    UInt32(u32),
    /// octet-string.
    OctetString(Vec<u8>),
    /// visible-string: octets, as devices put other things than ASCII into it.
    VisibleString(Vec<u8>),
    /// utf8-string: octets, for the same reason.
    Utf8String(Vec<u8>),
    /// bcd: one octet.
    Bcd(u8),
    /// integer.
    Int8(i8),
    /// long.
    Int16(i16),
    /// unsigned.
    UInt8(u8),
    /// long-unsigned.
    UInt16(u16),
    /// compact-array: the type that all values have, then the values.
    CompactArray(TypeDescription, Vec<Self>),
    /// long64.
    Int64(i64),
    /// long64-unsigned.
    UInt64(u64),
    /// enum.
    Enum(u8),
    /// float32, as bits.
    Float32(u32),
    /// float64, as bits.
    Float64(u64),
    /// date-time, 12 octets.
    DateTime([u8; 12]),
    /// date, 5 octets.
    Date([u8; 5]),
    /// time, 4 octets.
    Time([u8; 4]),
    /// delta-integer.
    DeltaInt8(i8),
    /// delta-long.
    DeltaInt16(i16),
    /// delta-double-long.
    DeltaInt32(i32),
    /// delta-unsigned.
    DeltaUInt8(u8),
    /// delta-long-unsigned.
    DeltaUInt16(u16),
    /// delta-double-long-unsigned.
    DeltaUInt32(u32),
    /// dont-care.
    DontCare,
}

/// What a compact array holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeDescription {
    /// Arrays of so many values of a type.
    Array(u16, Box<Self>),
    /// A simple type by its tag.
    Simple(u8),
    /// Structures of these types.
    Structure(Vec<Self>),
}

impl Data {
    /// Decodes octets that are exactly one value.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode_all(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Decodes the next value.
    ///
    /// # Errors
    /// Any [`DecodeError`] but [`DecodeError::Surplus`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut budget = VALUES_MAX;
        decode(reader, 0, &mut budget)
    }

    /// Appends the value with its tag.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        self.encode_content(out);
    }

    /// The value with its tag.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// The tag of its type.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Null => tag::NULL,
            Self::Array(_) => tag::ARRAY,
            Self::Structure(_) => tag::STRUCTURE,
            Self::Boolean(_) => tag::BOOLEAN,
            Self::BitString(..) => tag::BIT_STRING,
            Self::Int32(_) => tag::INT32,
            Self::UInt32(_) => tag::UINT32,
            Self::OctetString(_) => tag::OCTET_STRING,
            Self::VisibleString(_) => tag::VISIBLE_STRING,
            Self::Utf8String(_) => tag::UTF8_STRING,
            Self::Bcd(_) => tag::BCD,
            Self::Int8(_) => tag::INT8,
            Self::Int16(_) => tag::INT16,
            Self::UInt8(_) => tag::UINT8,
            Self::UInt16(_) => tag::UINT16,
            Self::CompactArray(..) => tag::COMPACT_ARRAY,
            Self::Int64(_) => tag::INT64,
            Self::UInt64(_) => tag::UINT64,
            Self::Enum(_) => tag::ENUM,
            Self::Float32(_) => tag::FLOAT32,
            Self::Float64(_) => tag::FLOAT64,
            Self::DateTime(_) => tag::DATE_TIME,
            Self::Date(_) => tag::DATE,
            Self::Time(_) => tag::TIME,
            Self::DeltaInt8(_) => tag::DELTA_INT8,
            Self::DeltaInt16(_) => tag::DELTA_INT16,
            Self::DeltaInt32(_) => tag::DELTA_INT32,
            Self::DeltaUInt8(_) => tag::DELTA_UINT8,
            Self::DeltaUInt16(_) => tag::DELTA_UINT16,
            Self::DeltaUInt32(_) => tag::DELTA_UINT32,
            Self::DontCare => tag::DONT_CARE,
        }
    }

    /// Any integer, enum or bcd as a number; `None` for other types and beyond `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        Some(match self {
            Self::Int8(v) | Self::DeltaInt8(v) => i64::from(*v),
            Self::Int16(v) | Self::DeltaInt16(v) => i64::from(*v),
            Self::Int32(v) | Self::DeltaInt32(v) => i64::from(*v),
            Self::Int64(v) => *v,
            Self::UInt8(v) | Self::DeltaUInt8(v) | Self::Enum(v) | Self::Bcd(v) => i64::from(*v),
            Self::UInt16(v) | Self::DeltaUInt16(v) => i64::from(*v),
            Self::UInt32(v) | Self::DeltaUInt32(v) => i64::from(*v),
            Self::UInt64(v) => i64::try_from(*v).ok()?,
            _ => return None,
        })
    }

    /// The octets of any string or date type.
    #[must_use]
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Self::OctetString(octets) | Self::VisibleString(octets) | Self::Utf8String(octets) => Some(octets),
            Self::DateTime(octets) => Some(octets),
            Self::Date(octets) => Some(octets),
            Self::Time(octets) => Some(octets),
            _ => None,
        }
    }

    /// The values of an array, structure or compact array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) | Self::Structure(values) | Self::CompactArray(_, values) => Some(values),
            _ => None,
        }
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null | Self::DontCare => {}
            Self::Array(values) | Self::Structure(values) => {
                put_length(out, values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Boolean(value) => out.push(u8::from(*value)),
            Self::BitString(bits, octets) => {
                put_length(out, *bits);
                out.extend_from_slice(octets);
            }
            Self::OctetString(octets) | Self::VisibleString(octets) | Self::Utf8String(octets) => {
                put_sized(out, octets);
            }
            Self::CompactArray(description, values) => {
                description.encode(out);
                let mut content = Vec::new();
                values
                    .iter()
                    .for_each(|value| value.encode_in(description, &mut content));
                put_sized(out, &content);
            }
            Self::Int8(v) | Self::DeltaInt8(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Int16(v) | Self::DeltaInt16(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Int32(v) | Self::DeltaInt32(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Int64(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::UInt8(v) | Self::DeltaUInt8(v) | Self::Enum(v) | Self::Bcd(v) => out.push(*v),
            Self::UInt16(v) | Self::DeltaUInt16(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::UInt32(v) | Self::DeltaUInt32(v) | Self::Float32(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::UInt64(v) | Self::Float64(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::DateTime(octets) => out.extend_from_slice(octets),
            Self::Date(octets) => out.extend_from_slice(octets),
            Self::Time(octets) => out.extend_from_slice(octets),
        }
    }

    /// Inside a compact array a value has no tag, and arrays and structures have no count.
    fn encode_in(&self, description: &TypeDescription, out: &mut Vec<u8>) {
        match (description, self) {
            (TypeDescription::Array(_, of), Self::Array(values)) => {
                values.iter().for_each(|value| value.encode_in(of, out));
            }
            (TypeDescription::Structure(types), Self::Structure(values)) => {
                types
                    .iter()
                    .zip(values)
                    .for_each(|(of, value)| value.encode_in(of, out));
            }
            _ => self.encode_content(out),
        }
    }
}

impl TypeDescription {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Array(count, of) => {
                out.push(tag::ARRAY);
                out.extend_from_slice(&count.to_be_bytes());
                of.encode(out);
            }
            Self::Simple(of) => out.push(*of),
            Self::Structure(types) => {
                write::structure(out, types.len());
                types.iter().for_each(|of| of.encode(out));
            }
        }
    }

    fn decode(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Self, DecodeError> {
        spend(depth, budget)?;
        Ok(match reader.u8()? {
            tag::ARRAY => {
                let count = reader.u16()?;
                Self::Array(count, Box::new(Self::decode(reader, depth + 1, budget)?))
            }
            tag::STRUCTURE => {
                let count = reader.length()?;
                let mut types = Vec::new();
                for _ in 0..count {
                    types.push(Self::decode(reader, depth + 1, budget)?);
                }
                Self::Structure(types)
            }
            simple => Self::Simple(simple),
        })
    }

    fn decode_value(&self, reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Data, DecodeError> {
        spend(depth, budget)?;
        Ok(match self {
            Self::Array(count, of) => {
                let mut values = Vec::new();
                for _ in 0..*count {
                    values.push(of.decode_value(reader, depth + 1, budget)?);
                }
                Data::Array(values)
            }
            Self::Simple(of) => decode_content(*of, reader, depth, budget)?,
            Self::Structure(types) => {
                let mut values = Vec::new();
                for of in types {
                    values.push(of.decode_value(reader, depth + 1, budget)?);
                }
                Data::Structure(values)
            }
        })
    }
}

fn spend(depth: usize, budget: &mut usize) -> Result<(), DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::TooLarge {
            what: "nesting",
            limit: DEPTH_MAX,
        });
    }
    match budget.checked_sub(1) {
        Some(left) => {
            *budget = left;
            Ok(())
        }
        None => Err(DecodeError::TooLarge {
            what: "number of values",
            limit: VALUES_MAX,
        }),
    }
}

fn decode(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Data, DecodeError> {
    spend(depth, budget)?;
    let tag = reader.u8()?;
    decode_content(tag, reader, depth, budget)
}

fn decode_list(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Vec<Data>, DecodeError> {
    let count = reader.length()?;
    if count > *budget {
        return Err(DecodeError::TooLarge {
            what: "number of values",
            limit: VALUES_MAX,
        });
    }
    // Every value takes an octet at least: never reserve for more than has arrived.
    let mut values = Vec::with_capacity(count.min(reader.rest().len()));
    for _ in 0..count {
        values.push(decode(reader, depth + 1, budget)?);
    }
    Ok(values)
}

fn decode_content(of: u8, reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Data, DecodeError> {
    let at = reader.at();
    Ok(match of {
        tag::NULL => Data::Null,
        tag::ARRAY => Data::Array(decode_list(reader, depth, budget)?),
        tag::STRUCTURE => Data::Structure(decode_list(reader, depth, budget)?),
        tag::BOOLEAN => Data::Boolean(reader.flag()?),
        tag::BIT_STRING => {
            let bits = reader.length()?;
            let octets = reader.take(bits.div_ceil(8))?;
            let spare = bits.div_ceil(8) * 8 - bits;
            match octets.last() {
                Some(last) if last & ((1u8 << spare) - 1) != 0 => {
                    return Err(DecodeError::Unexpected {
                        what: "spare bits",
                        value: (*last).into(),
                        at,
                    });
                }
                _ => Data::BitString(bits, octets.to_vec()),
            }
        }
        tag::INT32 => Data::Int32(i32::from_be_bytes(reader.array()?)),
        tag::UINT32 => Data::UInt32(reader.u32()?),
        tag::OCTET_STRING => Data::OctetString(reader.sized()?.to_vec()),
        tag::VISIBLE_STRING => Data::VisibleString(reader.sized()?.to_vec()),
        tag::UTF8_STRING => Data::Utf8String(reader.sized()?.to_vec()),
        tag::BCD => Data::Bcd(reader.u8()?),
        tag::INT8 => Data::Int8(i8::from_be_bytes(reader.array()?)),
        tag::INT16 => Data::Int16(i16::from_be_bytes(reader.array()?)),
        tag::UINT8 => Data::UInt8(reader.u8()?),
        tag::UINT16 => Data::UInt16(reader.u16()?),
        tag::COMPACT_ARRAY => decode_compact(reader, depth, budget)?,
        tag::INT64 => Data::Int64(i64::from_be_bytes(reader.array()?)),
        tag::UINT64 => Data::UInt64(u64::from_be_bytes(reader.array()?)),
        tag::ENUM => Data::Enum(reader.u8()?),
        tag::FLOAT32 => Data::Float32(reader.u32()?),
        tag::FLOAT64 => Data::Float64(u64::from_be_bytes(reader.array()?)),
        tag::DATE_TIME => Data::DateTime(reader.array()?),
        tag::DATE => Data::Date(reader.array()?),
        tag::TIME => Data::Time(reader.array()?),
        tag::DELTA_INT8 => Data::DeltaInt8(i8::from_be_bytes(reader.array()?)),
        tag::DELTA_INT16 => Data::DeltaInt16(i16::from_be_bytes(reader.array()?)),
        tag::DELTA_INT32 => Data::DeltaInt32(i32::from_be_bytes(reader.array()?)),
        tag::DELTA_UINT8 => Data::DeltaUInt8(reader.u8()?),
        tag::DELTA_UINT16 => Data::DeltaUInt16(reader.u16()?),
        tag::DELTA_UINT32 => Data::DeltaUInt32(reader.u32()?),
        tag::DONT_CARE => Data::DontCare,
        other => {
            return Err(DecodeError::Unexpected {
                what: "type",
                value: other.into(),
                at: at.saturating_sub(1),
            });
        }
    })
}

fn decode_compact(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Result<Data, DecodeError> {
    let description = TypeDescription::decode(reader, depth + 1, budget)?;
    let mut content = Reader::closed(reader.sized()?);
    let mut values = Vec::new();
    while !content.is_empty() {
        let before = content.at();
        values.push(description.decode_value(&mut content, depth + 1, budget)?);
        if content.at() == before {
            // Values without content would never use the content up.
            return Err(DecodeError::Unexpected {
                what: "empty type in a compact array",
                value: 0,
                at: before,
            });
        }
    }
    Ok(Data::CompactArray(description, values))
}
