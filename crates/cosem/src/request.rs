//! Requests of the GET, SET and ACTION services, as a server decodes and a client encodes them.

use crate::codec::{DecodeError, Reader, put_length, put_sized};
use crate::data::Data;
use crate::types::{Attribute, Method, Obis, Selection};

/// First octet of a GET request.
pub const GET: u8 = 0xC0;
/// First octet of a SET request.
pub const SET: u8 = 0xC1;
/// First octet of an ACTION request.
pub const ACTION: u8 = 0xC3;

/// Most attributes in one request.
pub const LIST_MAX: usize = 64;

/// An attribute with the part of it that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The attribute.
    pub attribute: Attribute,
    /// The part; all of it when `None`.
    pub selection: Option<Selection>,
}

/// One block of something long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block<'a> {
    /// Whether none follows.
    pub last: bool,
    /// From 1.
    pub number: u32,
    /// Part of the encoded value.
    pub raw: &'a [u8],
}

/// A request of any service. `invoke` fields are invoke-id-and-priority octets, which the answer repeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// Invoke a method; the parameter's octets are exactly one value.
    Action(Method, Option<&'a [u8]>),
    /// Invoke a method whose parameter comes in blocks.
    ActionFirstBlock(Method, Block<'a>),
    /// The next block of a parameter.
    ActionBlock(Block<'a>),
    /// The next block of a result: the number of the block that came last.
    ActionNext(u32),
    /// Read an attribute.
    Get(Item),
    /// Read several attributes.
    GetList(Vec<Item>),
    /// The next block: the number of the block that came last.
    GetNext(u32),
    /// Write an attribute; the octets are exactly one value.
    Set(Item, &'a [u8]),
    /// The next block of a value.
    SetBlock(Block<'a>),
    /// Write an attribute whose value comes in blocks.
    SetFirstBlock(Item, Block<'a>),
    /// Write several attributes.
    SetList(Vec<Item>, Vec<&'a [u8]>),
}

impl<'a> Request<'a> {
    /// Appends the APDU.
    pub fn encode(&self, invoke: u8, out: &mut Vec<u8>) {
        let (first, choice) = self.tags();
        out.extend_from_slice(&[first, choice, invoke]);
        match self {
            Self::Action(method, parameter) => {
                put_method(out, method);
                put_optional(out, *parameter);
            }
            Self::ActionFirstBlock(method, block) => {
                put_method(out, method);
                put_block(out, block);
            }
            Self::ActionBlock(block) | Self::SetBlock(block) => put_block(out, block),
            Self::ActionNext(number) | Self::GetNext(number) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Get(item) => put_item(out, item),
            Self::GetList(items) => {
                put_length(out, items.len());
                items.iter().for_each(|item| put_item(out, item));
            }
            Self::Set(item, value) => {
                put_item(out, item);
                out.extend_from_slice(value);
            }
            Self::SetFirstBlock(item, block) => {
                put_item(out, item);
                put_block(out, block);
            }
            Self::SetList(items, values) => {
                put_length(out, items.len());
                items.iter().for_each(|item| put_item(out, item));
                put_length(out, values.len());
                values.iter().for_each(|value| out.extend_from_slice(value));
            }
        }
    }

    /// Decodes octets that are exactly one request; gives its invoke-id-and-priority too.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(octets: &'a [u8]) -> Result<(u8, Self), DecodeError> {
        let mut reader = Reader::new(octets);
        let first = reader.u8()?;
        let at = reader.at();
        let choice = reader.u8()?;
        let invoke = reader.u8()?;
        let request = match (first, choice) {
            (GET, 1) => Self::Get(item(&mut reader)?),
            (GET, 2) => Self::GetNext(reader.u32()?),
            (GET, 3) => Self::GetList(items(&mut reader)?),
            (SET, 1) => Self::Set(item(&mut reader)?, value(&mut reader)?),
            (SET, 2) => Self::SetFirstBlock(item(&mut reader)?, block(&mut reader)?),
            (SET, 3) => Self::SetBlock(block(&mut reader)?),
            (SET, 4) => {
                let items = items(&mut reader)?;
                let at = reader.at();
                let count = reader.length()?;
                if count != items.len() {
                    return Err(DecodeError::Unexpected {
                        what: "number of values",
                        value: count as u64,
                        at,
                    });
                }
                let values = (0..count).map(|_| value(&mut reader)).collect::<Result<_, _>>()?;
                Self::SetList(items, values)
            }
            (ACTION, 1) => Self::Action(method(&mut reader)?, optional(&mut reader)?),
            (ACTION, 2) => Self::ActionNext(reader.u32()?),
            (ACTION, 4) => Self::ActionFirstBlock(method(&mut reader)?, block(&mut reader)?),
            (ACTION, 6) => Self::ActionBlock(block(&mut reader)?),
            (GET | SET | ACTION, other) => {
                return Err(DecodeError::Unexpected {
                    what: "kind of request",
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
        Ok((invoke, request))
    }

    fn tags(&self) -> (u8, u8) {
        match self {
            Self::Get(_) => (GET, 1),
            Self::GetNext(_) => (GET, 2),
            Self::GetList(_) => (GET, 3),
            Self::Set(..) => (SET, 1),
            Self::SetFirstBlock(..) => (SET, 2),
            Self::SetBlock(_) => (SET, 3),
            Self::SetList(..) => (SET, 4),
            Self::Action(..) => (ACTION, 1),
            Self::ActionNext(_) => (ACTION, 2),
            Self::ActionFirstBlock(..) => (ACTION, 4),
            Self::ActionBlock(_) => (ACTION, 6),
        }
    }
}

pub(crate) fn put_block(out: &mut Vec<u8>, block: &Block<'_>) {
    out.push(u8::from(block.last));
    out.extend_from_slice(&block.number.to_be_bytes());
    put_sized(out, block.raw);
}

pub(crate) fn block<'a>(reader: &mut Reader<'a>) -> Result<Block<'a>, DecodeError> {
    Ok(Block {
        last: reader.flag()?,
        number: reader.u32()?,
        raw: reader.sized()?,
    })
}

/// The octets of the next value, checked to be one.
pub(crate) fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let rest = reader.rest();
    let start = reader.at();
    Data::decode(reader)?;
    Ok(rest.get(..reader.at() - start).unwrap_or_default())
}

fn put_optional(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.push(u8::from(value.is_some()));
    out.extend_from_slice(value.unwrap_or_default());
}

fn optional<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    if reader.flag()? {
        value(reader).map(Some)
    } else {
        Ok(None)
    }
}

fn put_name(out: &mut Vec<u8>, class: u16, object: &Obis, index: i8) {
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&object.0);
    out.extend_from_slice(&index.to_be_bytes());
}

fn put_method(out: &mut Vec<u8>, method: &Method) {
    put_name(out, method.class, &method.object, method.index);
}

fn put_item(out: &mut Vec<u8>, item: &Item) {
    put_name(out, item.attribute.class, &item.attribute.object, item.attribute.index);
    out.push(u8::from(item.selection.is_some()));
    if let Some(selection) = &item.selection {
        selection.encode(out);
    }
}

fn name(reader: &mut Reader<'_>) -> Result<(u16, Obis, i8), DecodeError> {
    Ok((reader.u16()?, Obis(reader.array()?), i8::from_be_bytes(reader.array()?)))
}

fn method(reader: &mut Reader<'_>) -> Result<Method, DecodeError> {
    name(reader).map(|(class, object, index)| Method { class, object, index })
}

fn item(reader: &mut Reader<'_>) -> Result<Item, DecodeError> {
    let (class, object, index) = name(reader)?;
    let selection = if reader.flag()? {
        Some(Selection::decode(reader)?)
    } else {
        None
    };
    Ok(Item {
        attribute: Attribute { class, object, index },
        selection,
    })
}

fn items(reader: &mut Reader<'_>) -> Result<Vec<Item>, DecodeError> {
    let count = reader.length()?;
    if count > LIST_MAX {
        return Err(DecodeError::TooLarge {
            what: "number of attributes",
            limit: LIST_MAX,
        });
    }
    (0..count).map(|_| item(reader)).collect()
}
