use crate::codec::{DecodeError, Reader};

/// Fewest octets of an information field that a peer can talk us down to.
pub const INFORMATION_MIN: u16 = 32;
/// Most octets of an information field: what the frame length leaves with addresses of four octets.
pub const INFORMATION_MAX: u16 = 2030;
/// Most frames sent before waiting for an acknowledgement.
pub const WINDOW_MAX: u8 = 7;

const FORMAT: u8 = 0x81;
const GROUP: u8 = 0x80;
const INFORMATION_TX: u8 = 0x05;
const INFORMATION_RX: u8 = 0x06;
const WINDOW_TX: u8 = 0x07;
const WINDOW_RX: u8 = 0x08;

/// What the two ends of a connection agree on, as one of them sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// Most octets of an information field that this end sends.
    pub information_tx: u16,
    /// Most octets of an information field that this end takes.
    pub information_rx: u16,
    /// Most frames that this end sends before it listens.
    pub window_tx: u8,
    /// Most frames that the other end may send before it listens.
    pub window_rx: u8,
}

impl Default for Parameters {
    /// What holds where nothing is said: 128 octets, one frame.
    fn default() -> Self {
        Self {
            information_tx: 128,
            information_rx: 128,
            window_tx: 1,
            window_rx: 1,
        }
    }
}

impl Parameters {
    /// The same size and window both ways, brought within the limits of this module.
    #[must_use]
    pub fn symmetric(information: u16, window: u8) -> Self {
        let information = information.clamp(INFORMATION_MIN, INFORMATION_MAX);
        let window = window.clamp(1, WINDOW_MAX);
        Self {
            information_tx: information,
            information_rx: information,
            window_tx: window,
            window_rx: window,
        }
    }

    /// What this end keeps to when the other proposes or agrees to `theirs`, as the other sees it.
    #[must_use]
    pub fn agree(&self, theirs: &Self) -> Self {
        Self {
            information_tx: self.information_tx.min(theirs.information_rx),
            information_rx: self.information_rx.min(theirs.information_tx),
            window_tx: self.window_tx.min(theirs.window_rx),
            window_rx: self.window_rx.min(theirs.window_tx),
        }
    }

    /// Appends the information field of an SNRM or UA.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[FORMAT, GROUP, 0]);
        for (name, value) in [
            (INFORMATION_TX, self.information_tx),
            (INFORMATION_RX, self.information_rx),
        ] {
            match u8::try_from(value) {
                Ok(value) => out.extend_from_slice(&[name, 1, value]),
                Err(_) => {
                    out.extend_from_slice(&[name, 2]);
                    out.extend_from_slice(&value.to_be_bytes());
                }
            }
        }
        for (name, value) in [(WINDOW_TX, self.window_tx), (WINDOW_RX, self.window_rx)] {
            out.extend_from_slice(&[name, 4, 0, 0, 0, value]);
        }
        let length = u8::try_from(out.len() - start - 3).unwrap_or(0);
        if let Some(field) = out.get_mut(start + 2) {
            *field = length;
        }
    }

    /// The parameters in the information field of an SNRM or UA; what is not named keeps its default. Values out of range
    /// are brought into it.
    pub(super) fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut parameters = Self::default();
        if octets.is_empty() {
            return Ok(parameters);
        }
        let mut reader = Reader::closed(octets);
        reader.expect(FORMAT, "format of a negotiation")?;
        reader.expect(GROUP, "group of a negotiation")?;
        let length = reader.u8()?;
        let mut group = Reader::closed(reader.take(length.into())?);
        // A user-defined group may follow; it means nothing here.
        while !group.is_empty() {
            let name = group.u8()?;
            let length = group.u8()?;
            let octets = group.take(length.into())?;
            if octets.is_empty() || octets.len() > 4 {
                return Err(DecodeError::Unexpected {
                    what: "length of a parameter",
                    value: length.into(),
                    at: group.at(),
                });
            }
            let value = octets.iter().fold(0u32, |value, octet| value << 8 | u32::from(*octet));
            let size = u16::try_from(value)
                .unwrap_or(u16::MAX)
                .clamp(INFORMATION_MIN, INFORMATION_MAX);
            let window = u8::try_from(value).unwrap_or(u8::MAX).clamp(1, WINDOW_MAX);
            match name {
                INFORMATION_TX => parameters.information_tx = size,
                INFORMATION_RX => parameters.information_rx = size,
                WINDOW_TX => parameters.window_tx = window,
                WINDOW_RX => parameters.window_rx = window,
                _ => {}
            }
        }
        Ok(parameters)
    }
}
