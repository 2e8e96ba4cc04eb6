//! Names of objects, attributes and methods, selective access, and results.

use std::fmt;
use std::str::FromStr;

use crate::codec::{DecodeError, Reader};
use crate::data::Data;
use crate::write;

/// An OBIS code: the logical name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obis(pub [u8; 6]);

impl Obis {
    /// From its six parts.
    #[must_use]
    pub const fn new(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) -> Self {
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for Obis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a}.{b}.{c}.{d}.{e}.{g}")
    }
}

impl fmt::Debug for Obis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Obis {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong = |at| DecodeError::Unexpected {
            what: "part of an OBIS code",
            value: 0,
            at,
        };
        let mut parts = [0; 6];
        let mut given = text.split('.');
        for (at, part) in parts.iter_mut().enumerate() {
            *part = given
                .next()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| wrong(at))?;
        }
        given.next().map_or(Ok(Self(parts)), |_| Err(wrong(6)))
    }
}

/// One attribute of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attribute {
    /// Interface class.
    pub class: u16,
    /// Logical name.
    pub object: Obis,
    /// Attribute; 0 stands for all.
    pub index: i8,
}

/// One method of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Method {
    /// Interface class.
    pub class: u16,
    /// Logical name.
    pub object: Obis,
    /// Method.
    pub index: i8,
}

/// A column of a profile, or the one that a range restricts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CaptureObject {
    /// The attribute.
    pub attribute: Attribute,
    /// Element within it from 1; 0 is the whole.
    pub element: u16,
}

impl CaptureObject {
    /// Appends it as a structure of four.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write::structure(out, 4);
        write::u16(out, self.attribute.class);
        write::octet_string(out, &self.attribute.object.0);
        write::i8(out, self.attribute.index);
        write::u16(out, self.element);
    }

    /// From a structure of four; `None` for anything else.
    #[must_use]
    pub fn from_data(data: &Data) -> Option<Self> {
        let Data::Structure(parts) = data else { return None };
        let [
            Data::UInt16(class),
            Data::OctetString(name),
            Data::Int8(index),
            Data::UInt16(element),
        ] = parts.as_slice()
        else {
            return None;
        };
        let object = Obis(name.as_slice().try_into().ok()?);
        Some(Self {
            attribute: Attribute {
                class: *class,
                object,
                index: *index,
            },
            element: *element,
        })
    }
}

/// Which part of an attribute is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// Selector 2 of a profile: rows by number from 1, columns by number from 1; 0 at the end stands for the last.
    Entry {
        /// First row.
        from: u32,
        /// Last row.
        to: u32,
        /// First column.
        from_column: u16,
        /// Last column.
        to_column: u16,
    },
    /// Any other selector with its parameters.
    Other(u8, Data),
    /// Selector 1 of a profile: rows whose restricting column lies between two values, both included.
    Range {
        /// The column compared.
        by: CaptureObject,
        /// Lowest value.
        from: Data,
        /// Highest value.
        to: Data,
        /// Columns wanted; none means all.
        columns: Vec<CaptureObject>,
    },
}

impl Selection {
    /// Appends selector and parameters.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry {
                from,
                to,
                from_column,
                to_column,
            } => {
                out.push(2);
                write::structure(out, 4);
                write::u32(out, *from);
                write::u32(out, *to);
                write::u16(out, *from_column);
                write::u16(out, *to_column);
            }
            Self::Other(selector, parameters) => {
                out.push(*selector);
                parameters.encode(out);
            }
            Self::Range { by, from, to, columns } => {
                out.push(1);
                write::structure(out, 4);
                by.encode(out);
                from.encode(out);
                to.encode(out);
                write::array(out, columns.len());
                columns.iter().for_each(|column| column.encode(out));
            }
        }
    }

    /// Decodes selector and parameters. Parameters of selectors 1 and 2 that have another form come as
    /// [`Selection::Other`]: only the object can say what they mean.
    ///
    /// # Errors
    /// Any [`DecodeError`] but [`DecodeError::Surplus`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let selector = reader.u8()?;
        let parameters = Data::decode(reader)?;
        let known = match (selector, parameters.as_list()) {
            (1, Some(parts)) => Self::range(parts),
            (2, Some(parts)) => Self::entry(parts),
            _ => None,
        };
        Ok(known.unwrap_or(Self::Other(selector, parameters)))
    }

    fn range(parts: &[Data]) -> Option<Self> {
        let [by, from, to, Data::Array(columns)] = parts else {
            return None;
        };
        let columns = columns.iter().map(CaptureObject::from_data).collect::<Option<_>>()?;
        Some(Self::Range {
            by: CaptureObject::from_data(by)?,
            from: from.clone(),
            to: to.clone(),
            columns,
        })
    }

    fn entry(parts: &[Data]) -> Option<Self> {
        match parts {
            [
                Data::UInt32(from),
                Data::UInt32(to),
                Data::UInt16(from_column),
                Data::UInt16(to_column),
            ] => Some(Self::Entry {
                from: *from,
                to: *to,
                from_column: *from_column,
                to_column: *to_column,
            }),
            _ => None,
        }
    }
}

/// Why a GET or SET did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
#[error("data-access-result {}", self.code())]
pub enum AccessResult {
    /// 1.
    HardwareFault,
    /// 2.
    TemporaryFailure,
    /// 3.
    ReadWriteDenied,
    /// 4.
    ObjectUndefined,
    /// 9.
    ClassInconsistent,
    /// 11.
    ObjectUnavailable,
    /// 12.
    TypeUnmatched,
    /// 13.
    ScopeViolated,
    /// 14.
    BlockUnavailable,
    /// 15.
    LongAborted,
    /// 16.
    NoLongInProgress,
    /// 19.
    BlockNumberInvalid,
    /// Any other code; 250 is "other reason".
    Other(u8),
}

/// Why an ACTION did not succeed: the same codes as for access.
pub type ActionResult = AccessResult;

impl AccessResult {
    /// 250.
    pub const OTHER_REASON: Self = Self::Other(250);

    /// The code on the wire; never 0.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::HardwareFault => 1,
            Self::TemporaryFailure => 2,
            Self::ReadWriteDenied => 3,
            Self::ObjectUndefined => 4,
            Self::ClassInconsistent => 9,
            Self::ObjectUnavailable => 11,
            Self::TypeUnmatched => 12,
            Self::ScopeViolated => 13,
            Self::BlockUnavailable => 14,
            Self::LongAborted => 15,
            Self::NoLongInProgress => 16,
            Self::BlockNumberInvalid => 19,
            Self::Other(0) => 250,
            Self::Other(code) => code,
        }
    }

    /// From the code on the wire; `Ok(())` for 0.
    ///
    /// # Errors
    /// The reason, for any other code.
    pub fn from_code(code: u8) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            1 => Self::HardwareFault,
            2 => Self::TemporaryFailure,
            3 => Self::ReadWriteDenied,
            4 => Self::ObjectUndefined,
            9 => Self::ClassInconsistent,
            11 => Self::ObjectUnavailable,
            12 => Self::TypeUnmatched,
            13 => Self::ScopeViolated,
            14 => Self::BlockUnavailable,
            15 => Self::LongAborted,
            16 => Self::NoLongInProgress,
            19 => Self::BlockNumberInvalid,
            other => Self::Other(other),
        })
    }

    /// The code of a result.
    #[must_use]
    pub fn code_of(result: Result<(), Self>) -> u8 {
        result.map_or_else(Self::code, |()| 0)
    }
}
