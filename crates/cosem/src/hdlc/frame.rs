use std::fmt;

use crate::codec::Reader;

/// Opens and closes a frame.
pub const CONTROL_FLAG: u8 = 0x7E;
/// Longest frame that the eleven bits of the length can say, flags not counted.
pub const FRAME_MAX: usize = 0x07FF;

/// Format, two addresses, control and check sequence.
const FRAME_MIN: usize = 2 + 1 + 1 + 1 + CHECK_LEN;
const CHECK_LEN: usize = 2;
const FORMAT_TYPE: u16 = 0xA000;
const FORMAT_TYPE_MASK: u16 = 0xF000;
const SEGMENTED: u16 = 0x0800;

/// An address of one, two or four octets: a server's logical device and physical address, or a client's access point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    upper: u16,
    lower: u16,
    octets: u8,
}

impl Address {
    /// The shortest form of a logical device or client `upper` and, for servers that share a line, a physical address.
    /// Numbers are cut to 7 bits without a physical address, to 14 with one.
    #[must_use]
    pub const fn new(upper: u16, lower: Option<u16>) -> Self {
        match lower {
            None => Self {
                upper: upper & 0x7F,
                lower: 0,
                octets: 1,
            },
            Some(lower) if upper <= 0x7F && lower <= 0x7F => Self {
                upper,
                lower,
                octets: 2,
            },
            Some(lower) => Self::four(upper, lower),
        }
    }

    /// The form of four octets; numbers are cut to 14 bits.
    #[must_use]
    pub const fn four(upper: u16, lower: u16) -> Self {
        Self {
            upper: upper & 0x3FFF,
            lower: lower & 0x3FFF,
            octets: 4,
        }
    }

    /// Logical device or client.
    #[must_use]
    pub const fn upper(self) -> u16 {
        self.upper
    }

    /// Physical address; `None` in the form of one octet.
    #[must_use]
    pub const fn lower(self) -> Option<u16> {
        if self.octets == 1 { None } else { Some(self.lower) }
    }

    /// Whether a station with this physical address should listen: it is meant, everybody is, or none is named.
    #[must_use]
    pub const fn reaches(self, physical: u16) -> bool {
        match self.octets {
            1 => true,
            2 => self.lower == physical || self.lower == 0x7F,
            _ => self.lower == physical || self.lower == 0x3FFF,
        }
    }

    fn encode(self, out: &mut Vec<u8>) {
        let low = |value: u16| u8::try_from(value & 0x7F).unwrap_or(0) << 1;
        let high = |value: u16| low(value >> 7);
        match self.octets {
            1 => out.push(low(self.upper) | 1),
            2 => out.extend_from_slice(&[low(self.upper), low(self.lower) | 1]),
            _ => out.extend_from_slice(&[high(self.upper), low(self.upper), high(self.lower), low(self.lower) | 1]),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let rest = reader.rest();
        let count = rest.iter().take(4).position(|octet| octet & 1 == 1)? + 1;
        let part = |octet: u8| u16::from(octet >> 1);
        Some(match *reader.take(count).ok()? {
            [upper] => Self {
                upper: part(upper),
                lower: 0,
                octets: 1,
            },
            [upper, lower] => Self {
                upper: part(upper),
                lower: part(lower),
                octets: 2,
            },
            [a, b, c, d] => Self {
                upper: part(a) << 7 | part(b),
                lower: part(c) << 7 | part(d),
                octets: 4,
            },
            // An address of three octets does not exist.
            _ => return None,
        })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lower() {
            None => write!(f, "{}", self.upper),
            Some(lower) => write!(f, "{}/{lower}", self.upper),
        }
    }
}

/// The control field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Ends a connection.
    Disc {
        /// Poll.
        poll: bool,
    },
    /// There is no connection.
    Dm {
        /// Final.
        poll: bool,
    },
    /// The peer broke the rules; the connection is of no use any more.
    Frmr {
        /// Final.
        poll: bool,
    },
    /// Numbered information.
    Information {
        /// N(S), its own number, 0 to 7.
        send: u8,
        /// N(R), the number expected next.
        receive: u8,
        /// Poll to the server, final from it.
        poll: bool,
    },
    /// Ready, with N(R).
    ReceiveReady {
        /// The number expected next.
        receive: u8,
        /// Poll or final.
        poll: bool,
    },
    /// Busy, with N(R).
    ReceiveNotReady {
        /// The number expected next.
        receive: u8,
        /// Poll or final.
        poll: bool,
    },
    /// Sets a connection up.
    Snrm {
        /// Poll.
        poll: bool,
    },
    /// Agrees.
    Ua {
        /// Final.
        poll: bool,
    },
    /// Information outside any connection.
    Unnumbered {
        /// Poll or final.
        poll: bool,
    },
}

impl Control {
    const POLL: u8 = 0x10;

    /// The octet.
    #[must_use]
    pub fn octet(self) -> u8 {
        let (base, poll) = match self {
            Self::Information { send, receive, poll } => (send << 1 & 0x0E | receive << 5, poll),
            Self::ReceiveReady { receive, poll } => (0x01 | receive << 5, poll),
            Self::ReceiveNotReady { receive, poll } => (0x05 | receive << 5, poll),
            Self::Unnumbered { poll } => (0x03, poll),
            Self::Dm { poll } => (0x0F, poll),
            Self::Disc { poll } => (0x43, poll),
            Self::Ua { poll } => (0x63, poll),
            Self::Snrm { poll } => (0x83, poll),
            Self::Frmr { poll } => (0x87, poll),
        };
        base | if poll { Self::POLL } else { 0 }
    }

    /// The control field of an octet; `None` for what this layer does not have.
    #[must_use]
    pub fn of(octet: u8) -> Option<Self> {
        let poll = octet & Self::POLL != 0;
        let receive = octet >> 5;
        if octet & 1 == 0 {
            let send = octet >> 1 & 7;
            return Some(Self::Information { send, receive, poll });
        }
        Some(match (octet & 0x0F, octet & !Self::POLL) {
            (0x01, _) => Self::ReceiveReady { receive, poll },
            (0x05, _) => Self::ReceiveNotReady { receive, poll },
            (_, 0x03) => Self::Unnumbered { poll },
            (_, 0x0F) => Self::Dm { poll },
            (_, 0x43) => Self::Disc { poll },
            (_, 0x63) => Self::Ua { poll },
            (_, 0x83) => Self::Snrm { poll },
            (_, 0x87) => Self::Frmr { poll },
            _ => return None,
        })
    }

    /// The poll or final bit: the sender now listens.
    #[must_use]
    pub fn poll(self) -> bool {
        self.octet() & Self::POLL != 0
    }
}

/// One frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// More of the same message follows.
    pub segmented: bool,
    /// Where it goes.
    pub destination: Address,
    /// Where it comes from.
    pub source: Address,
    /// What it is.
    pub control: Control,
    /// What it carries; empty for most kinds.
    pub information: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Appends the frame with a flag on each side. Information beyond what [`FRAME_MAX`] leaves room for is cut off: the
    /// connections of this module never offer more.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(CONTROL_FLAG);
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        self.destination.encode(out);
        self.source.encode(out);
        out.push(self.control.octet());
        let header = out.len() - start;
        let room = FRAME_MAX - header - 2 * CHECK_LEN;
        let information = self.information.get(..room).unwrap_or(self.information);
        let length = match information.len() {
            0 => header + CHECK_LEN,
            count => header + CHECK_LEN + count + CHECK_LEN,
        };
        let mut format = FORMAT_TYPE | u16::try_from(length).unwrap_or(0);
        if self.segmented {
            format |= SEGMENTED;
        }
        if let Some(field) = out.get_mut(start..start + 2) {
            field.copy_from_slice(&format.to_be_bytes());
        }
        if !information.is_empty() {
            put_check(out, start);
            out.extend_from_slice(information);
        }
        put_check(out, start);
        out.push(CONTROL_FLAG);
    }

    /// Decodes what stands between two flags.
    fn decode(octets: &'a [u8]) -> Result<Self, FrameError> {
        let (body, check) = octets
            .split_last_chunk::<CHECK_LEN>()
            .ok_or(FrameError::Length(octets.len()))?;
        if u16::from_le_bytes(*check) != crc16(body) {
            return Err(FrameError::Check("frame"));
        }
        let mut reader = Reader::closed(body);
        let format = reader.u16().map_err(|_| FrameError::Length(octets.len()))?;
        let destination = Address::decode(&mut reader).ok_or(FrameError::Address)?;
        let source = Address::decode(&mut reader).ok_or(FrameError::Address)?;
        let octet = reader.u8().map_err(|_| FrameError::Length(octets.len()))?;
        let control = Control::of(octet).ok_or(FrameError::Control(octet))?;
        let header = body.get(..reader.at()).unwrap_or_default();
        let mut information = reader.rest();
        if let Some((check, rest)) = information.split_first_chunk::<CHECK_LEN>() {
            if u16::from_le_bytes(*check) != crc16(header) {
                return Err(FrameError::Check("header"));
            }
            information = rest;
            if information.is_empty() {
                return Err(FrameError::Length(octets.len()));
            }
        } else if !information.is_empty() {
            return Err(FrameError::Length(octets.len()));
        }
        Ok(Self {
            segmented: format & SEGMENTED != 0,
            destination,
            source,
            control,
            information,
        })
    }
}

/// Why octets are no frame. The [`Framer`] goes on at the next flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// An address without end, or of three octets.
    #[error("an address that is none")]
    Address,
    /// The check sequence of the header or of the whole frame does not fit.
    #[error("the check sequence of a {0} does not fit")]
    Check(&'static str),
    /// A control field that this layer does not have.
    #[error("control field {0:#04x} is unknown")]
    Control(u8),
    /// There is no flag where the length says that the frame ends.
    #[error("no flag at the end of a frame")]
    Flag,
    /// Another frame format than type 3.
    #[error("frame format {0:#06x}, expected type 3")]
    Format(u16),
    /// A length that no frame can have.
    #[error("a frame of {0} octets")]
    Length(usize),
    /// Octets between frames.
    #[error("{0} octets outside any frame")]
    Noise(usize),
    /// Longer than this end takes.
    #[error("a frame of {length} octets, more than {limit}")]
    Oversized {
        /// Length in its format field.
        length: usize,
        /// What this end takes.
        limit: usize,
    },
}

/// Cuts a stream of octets into frames, however they were split or joined on the way.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    at: usize,
    frame_max: usize,
}

impl Framer {
    /// Takes frames of up to `frame_max` octets between the flags.
    #[must_use]
    pub fn new(frame_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            frame_max: frame_max.min(FRAME_MAX),
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
    /// [`FrameError`]: what stood there is left out, and the next call goes on behind it.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let octets = self.buffer.get(self.at..).unwrap_or_default();
        let (used, read) = read(octets, self.frame_max);
        self.at += used;
        read
    }
}

/// The first frame in `octets`, and how many octets are done with whatever came of it.
fn read(octets: &[u8], frame_max: usize) -> (usize, Result<Option<Frame<'_>>, FrameError>) {
    let Some(flag) = octets.iter().position(|octet| *octet == CONTROL_FLAG) else {
        return match octets.len() {
            0 => (0, Ok(None)),
            noise => (noise, Err(FrameError::Noise(noise))),
        };
    };
    if flag > 0 {
        return (flag, Err(FrameError::Noise(flag)));
    }
    // One flag may close a frame and open the next, and there may be any number between.
    let Some(start) = octets.iter().position(|octet| *octet != CONTROL_FLAG) else {
        return (octets.len() - 1, Ok(None));
    };
    let body = octets.get(start..).unwrap_or_default();
    // The damage ends where the next flag is.
    let damaged = || {
        let next = body.iter().position(|octet| *octet == CONTROL_FLAG);
        start + next.unwrap_or(body.len())
    };
    let Some((format, _)) = body.split_first_chunk::<2>() else {
        return match body {
            [first] if u16::from(*first) << 8 & FORMAT_TYPE_MASK != FORMAT_TYPE => {
                (damaged(), Err(FrameError::Format(u16::from(*first) << 8)))
            }
            _ => (start - 1, Ok(None)),
        };
    };
    let format = u16::from_be_bytes(*format);
    if format & FORMAT_TYPE_MASK != FORMAT_TYPE {
        return (damaged(), Err(FrameError::Format(format)));
    }
    let length = usize::from(format) & FRAME_MAX;
    if length < FRAME_MIN {
        return (damaged(), Err(FrameError::Length(length)));
    }
    if length > frame_max {
        let limit = frame_max;
        return (damaged(), Err(FrameError::Oversized { length, limit }));
    }
    match (body.get(..length), body.get(length)) {
        (Some(frame), Some(&CONTROL_FLAG)) => match Frame::decode(frame) {
            Ok(frame) => (start + length, Ok(Some(frame))),
            Err(error) => (damaged(), Err(error)),
        },
        (Some(_), Some(_)) => (damaged(), Err(FrameError::Flag)),
        _ => (start - 1, Ok(None)),
    }
}

fn put_check(out: &mut Vec<u8>, start: usize) {
    let check = crc16(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&check.to_le_bytes());
}

/// CRC-16 of X.25: both check sequences of a frame, sent low octet first.
#[must_use]
pub fn crc16(octets: &[u8]) -> u16 {
    let crc = octets.iter().fold(0xFFFF_u16, |crc, octet| {
        let index = usize::from((crc ^ u16::from(*octet)) & 0xFF);
        crc >> 8 ^ TABLE.get(index).copied().unwrap_or(0)
    });
    !crc
}

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
}
