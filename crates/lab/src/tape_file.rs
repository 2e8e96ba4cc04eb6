//! Tapes on disk: prost records in zstd frames.
//!
//! A tape file is `s1labt\0\x01` followed by zstd frames. Each frame holds length-delimited `TapeRecord`s of `/proto`; frames end
//! at [`FRAME_RECORDS`] records, so that a tape can be read in pieces and a torn tail costs one frame.

pub use world::tape::{digest, line};

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use bytes::{Buf, Bytes};
use dmc::Side;
use domain::Srv;
use prost::Message;
use world::TapeRecord;

use crate::files::FileError;

/// Records per zstd frame.
pub const FRAME_RECORDS: usize = 1000;
/// Largest record, in octets.
pub const RECORD_MAX: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"s1labt\0\x01";

/// Writes records as a new tape file; an existing one is replaced.
///
/// # Errors
/// When the file cannot be written.
pub fn write<'a>(path: &Path, records: impl IntoIterator<Item = &'a TapeRecord>) -> Result<(), FileError> {
    let failed = |source| FileError::new("write the tape", path, source);
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    out.write_all(MAGIC).map_err(failed)?;
    let mut frame = Vec::new();
    let mut count = 0;
    for record in records {
        record
            .to_message()
            .encode_length_delimited(&mut frame)
            .map_err(|error| failed(io::Error::other(error)))?;
        count += 1;
        if count % FRAME_RECORDS == 0 {
            out.write_all(&zstd::encode_all(frame.as_slice(), 3).map_err(failed)?)
                .map_err(failed)?;
            frame.clear();
        }
    }
    if !frame.is_empty() {
        out.write_all(&zstd::encode_all(frame.as_slice(), 3).map_err(failed)?)
            .map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// Reads a whole tape file.
///
/// # Errors
/// When it cannot be read, is no tape, or a record is damaged.
pub fn read(path: &Path) -> Result<Vec<TapeRecord>, FileError> {
    let failed = |source| FileError::new("read the tape", path, source);
    let damaged = |what: &str| failed(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(failed)?;
    if &magic != MAGIC {
        return Err(damaged("not a tape of this program"));
    }
    let mut plain = Vec::new();
    zstd::Decoder::new(file)
        .map_err(failed)?
        .read_to_end(&mut plain)
        .map_err(failed)?;
    let mut rest = Bytes::from(plain);
    let mut records = Vec::new();
    while rest.has_remaining() {
        let length = prost::decode_length_delimiter(&mut rest).map_err(|_| damaged("a record without its length"))?;
        if length > RECORD_MAX || length > rest.len() {
            return Err(damaged("a record longer than the tape"));
        }
        let record = proto::TapeRecord::decode(rest.split_to(length)).map_err(|_| damaged("a record that is none"))?;
        records.push(TapeRecord::from_message(record).map_err(|fault| damaged(&fault.to_string()))?);
    }
    Ok(records)
}

/// What one record of a tape is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The record as a line.
    pub line: String,
    /// The request it belongs to; empty where it belongs to none.
    pub request: String,
    /// What that request asks for, where the tape has it.
    pub service: Option<Srv>,
    /// Whose doing it is: the S1SP's where it sends or is sent to, else the devices' behind the WAN.
    pub side: Option<Side>,
}

/// What the `entry`th record (from 1) is about; `None` where the tape has no such record.
#[must_use]
pub fn about(records: &[TapeRecord], entry: usize) -> Option<About> {
    let record = records.get(entry.checked_sub(1)?)?;
    let request = world::tape::hop(record).map(|hop| hop.trace_id).unwrap_or_default();
    let of_request = records
        .iter()
        .filter_map(world::tape::hop)
        .filter(|hop| !request.is_empty() && hop.trace_id == request);
    let service = of_request
        .filter(|hop| hop.kind == "duis-request" || hop.kind == "countersigned-request")
        .find_map(|hop| hop.summary.split_whitespace().find_map(|word| word.parse().ok()));
    let between = |name: &str| &*record.link.from == name || &*record.link.to == name;
    let side = if between("fleet") {
        Some(Side::Device)
    } else if between("s1sp") {
        Some(Side::S1sp)
    } else {
        None
    };
    Some(About {
        line: line(record),
        request,
        service,
        side,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{SimDuration, SimInstant};
    use world::{LinkName, Verdict};

    use super::*;

    #[test]
    fn tapes_read_as_written() {
        let verdicts = [
            Verdict::Pass,
            Verdict::Drop,
            Verdict::Duplicate,
            Verdict::Delay(SimDuration::from_millis(80)),
        ];
        let records: Vec<TapeRecord> = (0..2500u64)
            .map(|n| TapeRecord {
                world: (n % 2) as u32,
                sequence: n,
                at: SimInstant(n as i64 * 7),
                link: LinkName {
                    from: Arc::from("dcc"),
                    to: Arc::from("s1sp"),
                },
                verdict: verdicts[n as usize % 4],
                octets: Bytes::from(vec![n as u8; n as usize % 50]),
            })
            .collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.tape");
        write(&path, &records).expect("written");
        let back = read(&path).expect("read");
        assert_eq!(format!("{back:?}"), format!("{records:?}"));
        assert_eq!(about(&records, 0), None);
        assert_eq!(about(&records, records.len() + 1), None);
        let first = about(&records, 1).expect("a record");
        assert_eq!((first.service, first.side), (None, Some(Side::S1sp)), "{}", first.line);
        std::fs::write(&path, b"not a tape at all").expect("written");
        assert!(
            read(&path)
                .expect_err("no tape")
                .to_string()
                .starts_with("read the tape ")
        );
    }
}
