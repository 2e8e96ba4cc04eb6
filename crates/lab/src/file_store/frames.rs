//! Records on the medium: length, checksum, octets.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use world::StoreError;

use super::problem;

/// Largest record, in octets.
pub const RECORD_MAX: usize = 64 << 20;

pub(super) const MAGIC: &[u8; 8] = b"s1labj\0\x01";

/// The first record of a segment; none where there is none, or none that can be read.
pub(super) fn first_record(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let mut head = [0; 16];
    file.read_exact(&mut head).ok()?;
    let (magic, rest) = head.split_first_chunk::<8>()?;
    let (length, sum) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length))
        .ok()
        .filter(|length| *length <= RECORD_MAX)?;
    let mut record = vec![0; length];
    file.read_exact(&mut record).ok()?;
    (magic == MAGIC && crc32(&record).to_be_bytes() == sum).then_some(record)
}

/// Reads a file that must be whole.
pub(super) fn read_whole(path: &Path, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
    let octets = fs::read(path).map_err(|error| problem(path, &error))?;
    let whole = scan(&octets, each).map_err(|error| problem(path, &error))?;
    if whole < octets.len() {
        return Err(problem(path, &format!("damaged at octet {whole}")));
    }
    Ok(())
}

/// Adds a record with its length and checksum.
pub(super) fn frame(record: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
    let length = u32::try_from(record.len()).ok().filter(|_| record.len() <= RECORD_MAX);
    let length =
        length.ok_or_else(|| format!("a record of {} octets, at most {RECORD_MAX} are taken", record.len()))?;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(&crc32(record).to_be_bytes());
    to.extend_from_slice(record);
    Ok(())
}

/// Gives each whole record; returns how many octets they take with the magic. Damage that whole records follow is an
/// error, damage at the end is the end.
pub(super) fn scan(octets: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<usize, String> {
    let mut rest = octets
        .strip_prefix(MAGIC.as_slice())
        .ok_or("not a journal of this program")?;
    loop {
        let at = octets.len() - rest.len();
        match record(rest) {
            Some((body, after)) => {
                each(body);
                rest = after;
            }
            // A bad checksum with more records behind it is no torn write.
            None if following(rest).is_some() => return Err(format!("damaged at octet {at}")),
            None => return Ok(at),
        }
    }
}

pub(super) fn record(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (crc32(body) == u32::from_be_bytes(*sum)).then_some((body, rest))
}

/// The record behind one whose length is credible but whose octets are not.
pub(super) fn following(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let behind = rest.get(4 + usize::try_from(u32::from_be_bytes(*length)).ok()?..)?;
    record(behind).map(|(body, _)| body)
}

/// CRC-32 as in zip and Ethernet.
pub(super) fn crc32(octets: &[u8]) -> u32 {
    static TABLE: std::sync::LazyLock<[u32; 256]> = std::sync::LazyLock::new(|| {
        std::array::from_fn(|n| {
            let mut value = u32::try_from(n).unwrap_or(0);
            for _ in 0..8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ 0xEDB8_8320
                } else {
                    value >> 1
                };
            }
            value
        })
    });
    let folded = octets.iter().fold(u32::MAX, |crc, octet| {
        crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ octet)]
    });
    !folded
}
