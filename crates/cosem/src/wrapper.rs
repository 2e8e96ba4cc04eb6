//! The TCP wrapper of IEC 62056-47: eight octets in front of every APDU.

use crate::codec::{DecodeError, Reader};

/// Length of the header.
pub const HEADER_LEN: usize = 8;
/// Version in every header.
pub const VERSION: u16 = 1;

/// One APDU with its ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Access point it comes from.
    pub source: u16,
    /// Access point it goes to.
    pub destination: u16,
    /// The APDU.
    pub apdu: &'a [u8],
}

/// Why octets are no wrapper frame. The stream cannot be resynchronised afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than this end takes.
    #[error("an APDU of {length} octets from access point {frame_source} to {destination}, more than {limit}")]
    Oversized {
        /// Access point it comes from.
        frame_source: u16,
        /// Access point it goes to.
        destination: u16,
        /// Length in its header.
        length: usize,
        /// What this end takes.
        limit: usize,
    },
    /// Another version than 1.
    #[error("wrapper version {0}, expected 1")]
    Version(u16),
}

/// Cuts a stream of octets into frames, however they were split or joined on the way.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    at: usize,
    apdu_max: usize,
}

impl Framer {
    /// Takes APDUs of up to `apdu_max` octets.
    #[must_use]
    pub fn new(apdu_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            apdu_max,
        }
    }

    /// Adds octets as they arrived.
    ///
    /// When every complete frame is taken out with [`Framer::frame`] between calls, less than one frame stays behind.
    pub fn push(&mut self, octets: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at.min(self.buffer.len()));
            self.at = 0;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// The next complete frame; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`FrameError`]: close the connection.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let octets = self.buffer.get(self.at..).unwrap_or_default();
        match read(octets, self.apdu_max)? {
            Some((frame, length)) => {
                self.at += length;
                Ok(Some(frame))
            }
            None => Ok(None),
        }
    }
}

/// The first frame in `octets` and how many octets it takes; `None` when more are needed.
///
/// # Errors
/// [`FrameError`], as soon as the octets that show it are there.
pub fn read(octets: &[u8], apdu_max: usize) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    match octets {
        [] | [0] => return Ok(None),
        [high, rest @ ..] => {
            let version = u16::from_be_bytes([*high, rest.first().copied().unwrap_or(0)]);
            if *high != 0 || version != VERSION {
                return Err(FrameError::Version(version));
            }
        }
    }
    match read_checked(octets) {
        Ok((frame_source, destination, length)) if length > apdu_max => Err(FrameError::Oversized {
            frame_source,
            destination,
            length,
            limit: apdu_max,
        }),
        Ok((source, destination, length)) => Ok(octets.get(HEADER_LEN..HEADER_LEN + length).map(|apdu| {
            (
                Frame {
                    source,
                    destination,
                    apdu,
                },
                HEADER_LEN + length,
            )
        })),
        Err(_) => Ok(None),
    }
}

/// Starts a frame: writes a header whose length [`end`] fills in. Gives the position for it.
pub fn begin(out: &mut Vec<u8>, source: u16, destination: u16) -> usize {
    let start = out.len();
    for part in [VERSION, source, destination, 0] {
        out.extend_from_slice(&part.to_be_bytes());
    }
    start
}

/// Ends a frame begun at `start`; what was written since is its APDU. An empty APDU, or one of more than 65 535 octets,
/// is taken back.
pub fn end(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start + HEADER_LEN);
    match (u16::try_from(length), out.get_mut(start + 6..start + HEADER_LEN)) {
        (Ok(length), Some(field)) if length > 0 => field.copy_from_slice(&length.to_be_bytes()),
        _ => out.truncate(start),
    }
}

/// Writes a whole frame.
pub fn write(out: &mut Vec<u8>, source: u16, destination: u16, apdu: &[u8]) {
    let start = begin(out, source, destination);
    out.extend_from_slice(apdu);
    end(out, start);
}

fn read_checked(octets: &[u8]) -> Result<(u16, u16, usize), DecodeError> {
    let mut reader = Reader::new(octets);
    reader.u16()?;
    Ok((reader.u16()?, reader.u16()?, reader.u16()?.into()))
}
