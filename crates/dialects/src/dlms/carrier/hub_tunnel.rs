//! The hub tunnel: APDUs behind a header by which a hub finds the device. **Ours**: no real hub's header is public.
//!
//! One frame, numbers most significant octet first:
//!
//! | octets | what |
//! |---|---|
//! | 2 | `4C 54` ("LT") |
//! | 1 | version, 1 |
//! | 1 | kind: 1 a hub says which it is, 2 APDU to a device, 3 its answer, 4 APDU said unasked, 5 there is no such device |
//! | 2 | number of the frame: each side counts its own from 1; kinds 3 and 5 repeat the number of the frame they answer |
//! | 8 or 2 | the device: its EUI-64, or its access point where the profile says so |
//! | 1 | client access point |
//! | 2 | length of the payload |
//! | n | payload: an APDU; in kind 1 the hub's EUI-64; in kind 5 nothing |
//! | 2 | CRC-16 of X.25 over everything before, low octet first; only where the profile says so |
//!
//! A frame that does not begin so, or whose check does not fit, ends the connection: TCP does not lose octets, so the two
//! ends are no longer talking about the same thing.

use cosem::hdlc::crc16;
use cosem::server::Caller;
use domain::Eui64;

use super::{Asked, Heard, Lost};
use crate::FaceError;
use crate::profile::{Tunnel, TunnelAddress};

const MAGIC: [u8; 2] = *b"LT";
const VERSION: u8 = 1;
/// Magic, version, kind, number.
const FIXED: usize = 6;
/// Client access point and length.
const TAIL: usize = 3;
const CHECK: usize = 2;

/// Which device is where.
pub(crate) trait Directory {
    /// The identity of the device at this access point.
    fn device(&self, sap: u16) -> Option<Eui64>;
    /// The access point of a device.
    fn sap(&self, device: Eui64) -> Option<u16>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Identification = 1,
    ToDevice = 2,
    Answer = 3,
    Unasked = 4,
    NoDevice = 5,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        [
            Self::Identification,
            Self::ToDevice,
            Self::Answer,
            Self::Unasked,
            Self::NoDevice,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == code)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Device {
    Identity(Eui64),
    Sap(u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Frame<'a> {
    kind: Kind,
    number: u16,
    device: Device,
    client: u8,
    payload: &'a [u8],
}

/// Why octets are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    NoFrame,
    Oversized,
}

impl Frame<'_> {
    /// The first frame in `octets` and how many octets it takes; `None` when more are needed.
    fn read(octets: &[u8], profile: Tunnel, payload_max: usize) -> Result<Option<(Frame<'_>, usize)>, Fault> {
        let known = [MAGIC[0], MAGIC[1], VERSION];
        if octets.iter().zip(known).any(|(found, known)| *found != known) {
            return Err(Fault::NoFrame);
        }
        let Some(code) = octets.get(3) else { return Ok(None) };
        let kind = Kind::of(*code).ok_or(Fault::NoFrame)?;
        let width = width(profile);
        let header = FIXED + width + TAIL;
        let Some(head) = octets.get(..header) else {
            return Ok(None);
        };
        let (fixed, rest) = head.split_at(FIXED);
        let (device, tail) = rest.split_at(width);
        let number = u16::from_be_bytes([fixed[4], fixed[5]]);
        let device = match (profile.address, device) {
            (TunnelAddress::Identity, octets) => {
                Device::Identity(Eui64::from_bytes(octets.try_into().map_err(|_| Fault::NoFrame)?))
            }
            (TunnelAddress::AccessPoint, octets) => {
                Device::Sap(u16::from_be_bytes(octets.try_into().map_err(|_| Fault::NoFrame)?))
            }
        };
        let length = usize::from(u16::from_be_bytes([tail[1], tail[2]]));
        if length > payload_max {
            return Err(Fault::Oversized);
        }
        let check = if profile.check { CHECK } else { 0 };
        let (Some(payload), Some(whole)) = (
            octets.get(header..header + length),
            octets.get(..header + length + check),
        ) else {
            return Ok(None);
        };
        if let Some((covered, [low, high])) = whole.split_last_chunk::<CHECK>().filter(|_| profile.check)
            && u16::from_le_bytes([*low, *high]) != crc16(covered)
        {
            return Err(Fault::NoFrame);
        }
        let frame = Frame {
            kind,
            number,
            device,
            client: tail[0],
            payload,
        };
        Ok(Some((frame, whole.len())))
    }

    fn begin(&self, profile: Tunnel, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind as u8]);
        out.extend_from_slice(&self.number.to_be_bytes());
        match self.device {
            Device::Identity(device) => out.extend_from_slice(&device.to_bytes()),
            Device::Sap(sap) => out.extend_from_slice(&sap.to_be_bytes()),
        }
        out.push(self.client);
        out.extend_from_slice(&[0, 0]);
        debug_assert_eq!(out.len() - start, FIXED + width(profile) + TAIL);
        start
    }

    fn write(&self, profile: Tunnel, out: &mut Vec<u8>) {
        let start = self.begin(profile, out);
        out.extend_from_slice(self.payload);
        end(profile, start, out);
    }
}

/// Ends a frame begun at `start`; one whose payload is too long to say is taken back.
fn end(profile: Tunnel, start: usize, out: &mut Vec<u8>) {
    let at = start + FIXED + width(profile) + 1;
    let length = out.len().saturating_sub(at + 2);
    match (u16::try_from(length), out.get_mut(at..at + 2)) {
        (Ok(length), Some(field)) => field.copy_from_slice(&length.to_be_bytes()),
        _ => {
            out.truncate(start);
            return;
        }
    }
    if profile.check {
        let check = crc16(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_le_bytes());
    }
}

fn width(profile: Tunnel) -> usize {
    match profile.address {
        TunnelAddress::AccessPoint => 2,
        TunnelAddress::Identity => 8,
    }
}

fn device(profile: Tunnel, sap: u16, directory: &dyn Directory) -> Device {
    match profile.address {
        TunnelAddress::AccessPoint => Device::Sap(sap),
        TunnelAddress::Identity => Device::Identity(directory.device(sap).unwrap_or_default()),
    }
}

fn sap(device: Device, directory: &dyn Directory) -> Option<u16> {
    match device {
        Device::Identity(device) => directory.sap(device),
        Device::Sap(sap) => directory.device(sap).map(|_| sap),
    }
}

/// Octets as they arrived, and the numbers of frames sent.
#[derive(Debug)]
struct Stream {
    profile: Tunnel,
    payload_max: usize,
    buffer: Vec<u8>,
    at: usize,
    sent: u16,
}

impl Stream {
    fn new(profile: Tunnel, payload_max: usize) -> Self {
        Self {
            profile,
            payload_max,
            buffer: Vec::new(),
            at: 0,
            sent: 0,
        }
    }

    fn push(&mut self, octets: &[u8]) {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        self.buffer.extend_from_slice(octets);
    }

    fn frame(&mut self) -> Result<Option<Frame<'_>>, Fault> {
        let octets = self.buffer.get(self.at..).unwrap_or_default();
        match Frame::read(octets, self.profile, self.payload_max)? {
            Some((frame, length)) => {
                self.at += length;
                Ok(Some(frame))
            }
            None => Ok(None),
        }
    }

    fn number(&mut self) -> u16 {
        self.sent = self.sent.wrapping_add(1).max(1);
        self.sent
    }
}

#[derive(Debug)]
pub(crate) struct DeviceEnd {
    stream: Stream,
    /// Number and device of the frame being answered.
    answers: (u16, Device),
}

impl DeviceEnd {
    pub(super) fn new(profile: Tunnel, apdu_max: usize) -> Self {
        Self {
            stream: Stream::new(profile, apdu_max),
            answers: (0, Device::Sap(0)),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.stream.push(octets);
    }

    pub(super) fn next(
        &mut self,
        directory: &dyn Directory,
        apdu: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Asked>, Lost> {
        let profile = self.stream.profile;
        loop {
            let frame = match self.stream.frame() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame,
                Err(_) => return Err(Lost::Stream),
            };
            if frame.kind != Kind::ToDevice {
                // Nobody asks a hub anything else.
                return Err(Lost::Stream);
            }
            match sap(frame.device, directory) {
                Some(server) => {
                    apdu.extend_from_slice(frame.payload);
                    let client = frame.client.into();
                    self.answers = (frame.number, frame.device);
                    return Ok(Some(Asked::Apdu(Caller { client, server })));
                }
                None => Frame {
                    kind: Kind::NoDevice,
                    payload: &[],
                    ..frame
                }
                .write(profile, out),
            }
        }
    }

    pub(super) fn begin(&mut self, caller: Caller, _: &dyn Directory, out: &mut Vec<u8>) -> usize {
        let (number, device) = self.answers;
        Frame {
            kind: Kind::Answer,
            number,
            device,
            client: client(caller),
            payload: &[],
        }
        .begin(self.stream.profile, out)
    }

    pub(super) fn end(&mut self, start: usize, out: &mut Vec<u8>) {
        end(self.stream.profile, start, out);
    }

    pub(super) fn say(&mut self, caller: Caller, directory: &dyn Directory, apdu: &[u8], out: &mut Vec<u8>) {
        let profile = self.stream.profile;
        Frame {
            kind: Kind::Unasked,
            number: self.stream.number(),
            device: device(profile, caller.server, directory),
            client: client(caller),
            payload: apdu,
        }
        .write(profile, out);
    }

    pub(super) fn identify(&mut self, hub: Eui64, directory: &dyn Directory, out: &mut Vec<u8>) {
        let profile = self.stream.profile;
        let device = match profile.address {
            TunnelAddress::AccessPoint => Device::Sap(directory.sap(hub).unwrap_or(0)),
            TunnelAddress::Identity => Device::Identity(hub),
        };
        Frame {
            kind: Kind::Identification,
            number: self.stream.number(),
            device,
            client: 0,
            payload: &hub.to_bytes(),
        }
        .write(profile, out);
    }
}

#[derive(Debug)]
pub(crate) struct OperatorEnd {
    stream: Stream,
}

impl OperatorEnd {
    pub(super) fn new(profile: Tunnel, apdu_max: usize) -> Self {
        Self {
            stream: Stream::new(profile, apdu_max),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.stream.push(octets);
    }

    pub(super) fn send(
        &mut self,
        caller: Caller,
        directory: &dyn Directory,
        apdu: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FaceError> {
        let profile = self.stream.profile;
        Frame {
            kind: Kind::ToDevice,
            number: self.stream.number(),
            device: device(profile, caller.server, directory),
            client: client(caller),
            payload: apdu,
        }
        .write(profile, out);
        Ok(())
    }

    pub(super) fn next(&mut self, directory: &dyn Directory) -> Result<Option<Heard>, FaceError> {
        loop {
            let frame = match self.stream.frame() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame,
                Err(_) => return Err(FaceError::Malformed("no frame of the hub tunnel".into())),
            };
            if frame.kind == Kind::Identification {
                let hub = frame
                    .payload
                    .try_into()
                    .map_err(|_| FaceError::Malformed("a hub that does not say which it is".into()))?;
                return Ok(Some(Heard::Identified(Eui64::from_bytes(hub))));
            }
            // What comes from a device that this end does not know is nothing it can use.
            let Some(server) = sap(frame.device, directory) else {
                continue;
            };
            let client = frame.client.into();
            let caller = Caller { client, server };
            return match frame.kind {
                Kind::Answer => Ok(Some(Heard::Answer(caller, frame.payload.to_vec()))),
                Kind::Unasked => Ok(Some(Heard::Unasked(caller, frame.payload.to_vec()))),
                Kind::NoDevice => Ok(Some(Heard::Nobody(caller))),
                Kind::Identification | Kind::ToDevice => {
                    Err(FaceError::Malformed("a request from the device's side".into()))
                }
            };
        }
    }
}

fn client(caller: Caller) -> u8 {
    // Client access points are below 128 in every profile.
    u8::try_from(caller.client).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profiles() -> impl Strategy<Value = Tunnel> {
        (any::<bool>(), any::<bool>()).prop_map(|(identity, check)| Tunnel {
            address: if identity {
                TunnelAddress::Identity
            } else {
                TunnelAddress::AccessPoint
            },
            check,
        })
    }

    fn frame(profile: Tunnel, kind: u8, number: u16, device: u64, client: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Frame {
            kind: Kind::of(kind).expect("a kind"),
            number,
            device: match profile.address {
                TunnelAddress::AccessPoint => Device::Sap(device as u16),
                TunnelAddress::Identity => Device::Identity(Eui64(device)),
            },
            client,
            payload,
        }
        .write(profile, &mut out);
        out
    }

    #[test]
    fn the_documented_octets() {
        let profile = Tunnel::default();
        let octets = frame(profile, 2, 7, 0x00DB_0000_0000_0001, 1, &[0xC0, 0x01]);
        assert_eq!(
            octets[..19],
            [
                0x4C, 0x54, 1, 2, 0, 7, 0x00, 0xDB, 0, 0, 0, 0, 0, 1, 1, 0, 2, 0xC0, 0x01
            ]
        );
        assert_eq!(octets[19..], crc16(&octets[..19]).to_le_bytes());
        assert_eq!(Frame::read(&octets, profile, 1), Err(Fault::Oversized));
    }

    proptest! {
        #[test]
        fn every_prefix_waits_and_every_damaged_octet_shows(
            profile in profiles(), kind in 1u8..=5, number: u16, device: u64, client: u8,
            payload in proptest::collection::vec(any::<u8>(), 0..100), at: prop::sample::Index, damage in 1u8..=255,
        ) {
            let octets = frame(profile, kind, number, device, client, &payload);
            let read = Frame::read(&octets, profile, 1000).expect("a frame");
            let (whole, length) = read.expect("complete");
            prop_assert_eq!((whole.number, whole.client, whole.payload, length), (number, client, payload.as_slice(), octets.len()));
            for end in 0..octets.len() {
                prop_assert_eq!(Frame::read(&octets[..end], profile, 1000), Ok(None));
            }
            let mut damaged = octets.clone();
            damaged[at.index(octets.len())] ^= damage;
            if let Ok(Some((other, _))) = Frame::read(&damaged, profile, 1000) {
                prop_assert!(!profile.check, "a damaged frame passed its check");
                prop_assert_ne!(other, whole);
            }
        }

        #[test]
        fn any_octets_are_taken_calmly(profile in profiles(), octets: Vec<u8>) {
            let _ = Frame::read(&octets, profile, 1000);
        }
    }
}
