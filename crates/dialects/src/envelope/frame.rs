use cosem::hdlc::crc16;
use domain::{DeviceKind, Eui64};

use crate::compact::{kind_code, kind_of};

const MAGIC: [u8; 3] = [b'L', b'E', 1];
/// Magic, version, kind, hub, device, job, seal, length.
const HEADER: usize = 3 + COPIED + 2;
/// From kind to seal.
pub(super) const COPIED: usize = 1 + 8 + 1 + 4 + 1;
const CHECK: usize = 2;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Hello = 1,
    Order = 2,
    Stored = 3,
    Result = 4,
    Event = 5,
    LateResult = 6,
    Readings = 7,
    Refused = 8,
    Bye = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Hello,
        Self::Order,
        Self::Stored,
        Self::Result,
        Self::Event,
        Self::LateResult,
        Self::Readings,
        Self::Refused,
        Self::Bye,
    ];
}

/// Everything in front of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) hub: Eui64,
    pub(super) device: DeviceKind,
    pub(super) job: u32,
    pub(super) seal: u8,
}

impl Header {
    /// The part of the header that a sealed body repeats.
    pub(super) fn copied(&self) -> [u8; COPIED] {
        let mut out = [0; COPIED];
        out[0] = self.kind as u8;
        out[1..9].copy_from_slice(&self.hub.to_bytes());
        out[9] = kind_code(self.device);
        out[10..14].copy_from_slice(&self.job.to_be_bytes());
        out[14] = self.seal;
        out
    }

    fn of(copied: &[u8; COPIED]) -> Option<Self> {
        let [kind, hub @ .., device, a, b, c, d, seal] = copied;
        Some(Self {
            kind: Kind::ALL.into_iter().find(|known| *known as u8 == *kind)?,
            hub: Eui64::from_bytes(*hub),
            device: kind_of(*device)?,
            job: u32::from_be_bytes([*a, *b, *c, *d]),
            seal: *seal,
        })
    }

    /// Appends a frame; a body beyond 65 535 octets is cut off, which no caller comes near.
    pub(super) fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.copied());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(body.get(..length.into()).unwrap_or(body));
        let check = crc16(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_le_bytes());
    }
}

/// Why octets are no frame: the stream cannot be followed any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    NoFrame,
    /// Whose body is longer than this end takes.
    Oversized(Header),
}

/// Header, body, and octets of the whole frame.
type Read<'a> = (Header, &'a [u8], usize);

/// The first frame in `octets` and how many octets it takes; `None` when more are needed.
fn read(octets: &[u8], body_max: usize) -> Result<Option<Read<'_>>, Fault> {
    if octets.iter().zip(MAGIC).any(|(found, known)| *found != known) {
        return Err(Fault::NoFrame);
    }
    let Some(head) = octets.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [_, _, _, copied @ .., high, low] = head;
    let header = Header::of(copied).ok_or(Fault::NoFrame)?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > body_max {
        return Err(Fault::Oversized(header));
    }
    let end = HEADER + length;
    let (Some(body), Some([covered @ .., low, high])) = (octets.get(HEADER..end), octets.get(..end + CHECK)) else {
        return Ok(None);
    };
    if u16::from_le_bytes([*low, *high]) != crc16(covered) {
        return Err(Fault::NoFrame);
    }
    Ok(Some((header, body, end + CHECK)))
}

/// Cuts a stream of octets into frames, however they were split or joined on the way.
#[derive(Debug)]
pub(super) struct Framer {
    buffer: Vec<u8>,
    at: usize,
    body_max: usize,
}

impl Framer {
    pub(super) fn new(body_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            body_max,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        self.buffer.extend_from_slice(octets);
    }

    pub(super) fn frame(&mut self) -> Result<Option<(Header, Vec<u8>)>, Fault> {
        let octets = self.buffer.get(self.at..).unwrap_or_default();
        match read(octets, self.body_max)? {
            Some((header, body, length)) => {
                let body = body.to_vec();
                self.at += length;
                Ok(Some((header, body)))
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documented_octets() {
        let header = Header {
            kind: Kind::Order,
            hub: Eui64(0x00DB_1234_5678_90A0),
            device: DeviceKind::Esme,
            job: 258,
            seal: 1,
        };
        let mut out = Vec::new();
        header.write(&[0xAA, 0xBB], &mut out);
        assert_eq!(
            out[..22],
            [
                0x4C, 0x45, 1, 2, 0x00, 0xDB, 0x12, 0x34, 0x56, 0x78, 0x90, 0xA0, 2, 0, 0, 1, 2, 1, 0, 2, 0xAA, 0xBB
            ]
        );
        assert_eq!(out[22..], crc16(&out[..22]).to_le_bytes());
        assert_eq!(read(&out, 1), Err(Fault::Oversized(header)));
    }

    proptest! {
        #[test]
        fn every_prefix_waits_and_every_damaged_octet_shows(
            kind in 0usize..9, hub: u64, device in 0usize..6, job: u32, seal: u8,
            body in proptest::collection::vec(any::<u8>(), 0..80), at: prop::sample::Index, damage in 1u8..=255,
        ) {
            let header = Header {
                kind: Kind::ALL[kind], hub: Eui64(hub), device: DeviceKind::ALL[device], job, seal,
            };
            let mut octets = Vec::new();
            header.write(&body, &mut octets);
            prop_assert_eq!(read(&octets, 1000), Ok(Some((header, body.as_slice(), octets.len()))));
            for end in 0..octets.len() {
                prop_assert_eq!(read(&octets[..end], 1000), Ok(None));
            }
            let at = at.index(octets.len());
            octets[at] ^= damage;
            prop_assert!(!matches!(read(&octets, 1000), Ok(Some(_))), "a damaged frame passed its check");
        }

        #[test]
        fn any_octets_are_taken_calmly(octets: Vec<u8>) {
            let _ = read(&octets, 1000);
        }
    }
}
