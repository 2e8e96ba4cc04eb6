//! Writing COSEM values straight into an APDU, without a [`crate::Data`] tree in between.
//!
//! An array or structure header must be followed by exactly as many values as it says.

use crate::codec::{put_length, put_sized};
use crate::data::tag;

/// Header of an array of `count` values.
pub fn array(out: &mut Vec<u8>, count: usize) {
    out.push(tag::ARRAY);
    put_length(out, count);
}

/// Header of a structure of `count` values.
pub fn structure(out: &mut Vec<u8>, count: usize) {
    out.push(tag::STRUCTURE);
    put_length(out, count);
}

/// null-data.
pub fn null(out: &mut Vec<u8>) {
    out.push(tag::NULL);
}

/// boolean.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(&[tag::BOOLEAN, u8::from(value)]);
}

/// octet-string.
pub fn octet_string(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(tag::OCTET_STRING);
    put_sized(out, octets);
}

/// visible-string; the caller keeps to visible characters.
pub fn visible_string(out: &mut Vec<u8>, text: &str) {
    out.push(tag::VISIBLE_STRING);
    put_sized(out, text.as_bytes());
}

/// enum.
pub fn enumerated(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[tag::ENUM, value]);
}

/// integer.
pub fn i8(out: &mut Vec<u8>, value: i8) {
    out.push(tag::INT8);
    out.extend_from_slice(&value.to_be_bytes());
}

/// unsigned.
pub fn u8(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[tag::UINT8, value]);
}

/// long.
pub fn i16(out: &mut Vec<u8>, value: i16) {
    out.push(tag::INT16);
    out.extend_from_slice(&value.to_be_bytes());
}

/// long-unsigned.
pub fn u16(out: &mut Vec<u8>, value: u16) {
    out.push(tag::UINT16);
    out.extend_from_slice(&value.to_be_bytes());
}

/// double-long-unsigned.
pub fn u32(out: &mut Vec<u8>, value: u32) {
    out.push(tag::UINT32);
    out.extend_from_slice(&value.to_be_bytes());
}

/// long64.
pub fn i64(out: &mut Vec<u8>, value: i64) {
    out.push(tag::INT64);
    out.extend_from_slice(&value.to_be_bytes());
}

/// long64-unsigned.
pub fn u64(out: &mut Vec<u8>, value: u64) {
    out.push(tag::UINT64);
    out.extend_from_slice(&value.to_be_bytes());
}
