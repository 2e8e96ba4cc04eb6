const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const DLE: u8 = 0x10;
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;
const SHIFT: u8 = 0x40;
const ADDRESSED: u8 = b'E';
const CHECK: usize = 2;

/// Between whom an addressed command goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) destination: u32,
    pub(super) source: u32,
    pub(super) sequence: u16,
}

impl Address {
    /// That of the answer.
    pub(super) fn answered(self) -> Self {
        Self {
            destination: self.source,
            source: self.destination,
            ..self
        }
    }
}

/// What stood in a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// `None` in an unaddressed frame.
    pub(super) address: Option<Address>,
    /// Command and data, or answer; empty where attention is asked for.
    pub(super) body: Vec<u8>,
}

impl Frame {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut plain = vec![STX];
        if let Some(address) = self.address {
            plain.push(ADDRESSED);
            plain.extend_from_slice(&address.destination.to_be_bytes());
            plain.extend_from_slice(&address.source.to_be_bytes());
            plain.extend_from_slice(&address.sequence.to_be_bytes());
        }
        plain.extend_from_slice(&self.body);
        plain.extend_from_slice(&crc(&plain).to_be_bytes());
        out.push(STX);
        for octet in plain.iter().skip(1) {
            match *octet {
                special @ (STX | ETX | DLE | XON | XOFF) => out.extend_from_slice(&[DLE, special + SHIFT]),
                octet => out.push(octet),
            }
        }
        out.push(ETX);
    }

    /// What stood between `02` and `03`, unstuffed.
    fn read(inner: Vec<u8>) -> Result<Self, Fault> {
        if inner.is_empty() {
            return Ok(Self {
                address: None,
                body: inner,
            });
        }
        let Some((body, check)) = inner.split_last_chunk::<CHECK>() else {
            return Err(Fault::Check);
        };
        if u16::from_be_bytes(*check) != crc(&[&[STX], body].concat()) {
            return Err(Fault::Check);
        }
        Ok(match body {
            [ADDRESSED, a, b, c, d, e, f, g, h, high, low, body @ ..] => Self {
                address: Some(Address {
                    destination: u32::from_be_bytes([*a, *b, *c, *d]),
                    source: u32::from_be_bytes([*e, *f, *g, *h]),
                    sequence: u16::from_be_bytes([*high, *low]),
                }),
                body: body.to_vec(),
            },
            body => Self {
                address: None,
                body: body.to_vec(),
            },
        })
    }
}

/// Why a frame is none. The next one is found by its first octet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Check,
    /// Longer than this end takes.
    Oversized,
}

/// Cuts a stream of octets into frames, however they were split or joined on the way.
#[derive(Debug)]
pub(super) struct Framer {
    buffer: Vec<u8>,
    frame_max: usize,
}

impl Framer {
    pub(super) fn new(frame_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            frame_max,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next complete frame; `None` when more octets are needed. What stands between frames is left out.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, Fault> {
        let Some(start) = self.buffer.iter().position(|octet| *octet == STX) else {
            self.buffer.clear();
            return Ok(None);
        };
        self.buffer.drain(..start);
        let rest = self.buffer.get(1..).unwrap_or_default();
        let Some(end) = rest.iter().position(|octet| matches!(*octet, STX | ETX)) else {
            if rest.len() > self.frame_max {
                self.buffer.clear();
                return Err(Fault::Oversized);
            }
            return Ok(None);
        };
        let stuffed = rest.get(..end).unwrap_or_default().to_vec();
        let closed = rest.get(end) == Some(&ETX);
        // A frame that another begins in was cut off: the other one is kept.
        self.buffer.drain(..=end);
        if closed {
            self.buffer.drain(..1);
        }
        if !closed {
            return Err(Fault::Check);
        }
        if stuffed.len() > self.frame_max {
            return Err(Fault::Oversized);
        }
        Frame::read(unstuff(&stuffed)?).map(Some)
    }
}

fn unstuff(stuffed: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(stuffed.len());
    let mut octets = stuffed.iter();
    while let Some(octet) = octets.next() {
        match *octet {
            DLE => match octets.next().map(|shifted| shifted.wrapping_sub(SHIFT)) {
                Some(special @ (STX | ETX | DLE | XON | XOFF)) => out.push(special),
                _ => return Err(Fault::Check),
            },
            // Flow control of a serial line, which may stand anywhere and means nothing here.
            XON | XOFF => {}
            octet => out.push(octet),
        }
    }
    Ok(out)
}

/// CRC of CCITT from 0, most significant bit first.
fn crc(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |crc: u16, octet| {
        (0..8).fold(crc ^ u16::from(*octet) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn octets(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(u8::is_ascii_hexdigit)
            .map(|digit| (digit as char).to_digit(16).expect("a digit") as u8)
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn frames(octets: &[u8]) -> Vec<Result<Frame, Fault>> {
        let mut framer = Framer::new(1000);
        framer.push(octets);
        std::iter::from_fn(|| framer.frame().transpose()).collect()
    }

    /// A session with a real Mk-series meter as a public driver's author printed it: login, and a read of several registers.
    #[test]
    fn a_captured_session_reads_and_writes_the_same() {
        let login = octets("02450efaaa45012b1668ffff4c45444d492c494d4445494d444500841503");
        let answer = octets("0245012b16680efaaa45ffff06ee8c03");
        let several = octets(
            "02450efaaa45012b1668ffff4d0000fff10000e0000000e0010000e010420000f7010000f710430000e01050\
             0000e010510000e0120000f7000000f710420000e0260000e060000001690000104369 3cae03",
        );
        let address = Address {
            destination: 0x0EFA_AA45,
            source: 0x012B_1668,
            sequence: 0xFFFF,
        };
        let mut registers = vec![b'M', 0, 0, 0xFF, 0xF1];
        for register in [
            0xE000u32, 0xE001, 0xE002, 0xF701, 0xF703, 0xE010, 0xE011, 0xE012, 0xF700, 0xF702, 0xE026, 0xE060, 0x0169,
            0x0369,
        ] {
            registers.extend_from_slice(&register.to_be_bytes());
        }
        let expected = [
            (address, [b"LEDMI,IMDEIMDE".as_slice(), &[0]].concat(), &login),
            (address.answered(), vec![ACKNOWLEDGED], &answer),
            (address, registers, &several),
        ];
        for (address, body, octets) in expected {
            let frame = Frame {
                address: Some(address),
                body,
            };
            let mut written = Vec::new();
            frame.write(&mut written);
            assert_eq!(&written, octets);
            let noisy = [b"/?!\r\n".as_slice(), octets].concat();
            assert_eq!(frames(&noisy), [Ok(frame)]);
        }
    }

    const ACKNOWLEDGED: u8 = 0x06;

    #[test]
    fn attention_damage_and_length() {
        assert_eq!(
            frames(&[STX, ETX]),
            [Ok(Frame {
                address: None,
                body: Vec::new()
            })]
        );
        let mut good = Vec::new();
        let frame = Frame {
            address: None,
            body: vec![b'R', 0xF0, 0x02],
        };
        frame.write(&mut good);
        // The rest of a frame that was cut off, a whole one, one with a stray flow control octet.
        let stream = [&good[..4], &good, &good[..2], &[XON], &good[2..]].concat();
        assert_eq!(frames(&stream), [Err(Fault::Check), Ok(frame.clone()), Ok(frame)]);
        assert_eq!(frames(&[vec![STX], vec![b'x'; 1001]].concat()), [Err(Fault::Oversized)]);
        assert_eq!(frames(&[STX, DLE, ETX]), [Err(Fault::Check)]);
    }

    proptest! {
        #[test]
        fn every_prefix_waits_and_every_damaged_octet_shows(
            addressed: bool, destination: u32, source: u32, sequence: u16,
            mut body in proptest::collection::vec(any::<u8>(), 1..60), at: prop::sample::Index, damage in 1u8..=255,
        ) {
            let address = addressed.then_some(Address { destination, source, sequence });
            if body[0] == ADDRESSED {
                body[0] = b'R';
            }
            let frame = Frame { address, body };
            let mut octets = Vec::new();
            frame.write(&mut octets);
            for end in 0..octets.len() {
                prop_assert_eq!(frames(&octets[..end]), []);
            }
            prop_assert_eq!(frames(&octets), [Ok(frame.clone())]);
            let at = at.index(octets.len());
            octets[at] ^= damage;
            for read in frames(&octets) {
                prop_assert_ne!(read, Ok(frame.clone()));
            }
        }

        #[test]
        fn any_octets_are_taken_calmly(octets: Vec<u8>) {
            frames(&octets);
        }
    }
}
