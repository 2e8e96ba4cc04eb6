//! Reading octets without trust, and the length form that A-XDR and BER share.

/// Why octets were not decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The octets are the beginning of something; the rest has not arrived.
    #[error("more octets are needed")]
    NeedMore,
    /// A part claims to be longer than the whole that holds it.
    #[error("a part at octet {at} runs over the end of what holds it")]
    Overrun {
        /// Offset within the whole that holds it.
        at: usize,
    },
    /// Octets follow a complete value.
    #[error("{0} surplus octets after a complete value")]
    Surplus(usize),
    /// Deeper or longer than the limits of [`crate::data`].
    #[error("{what} beyond the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A tag, choice or value that should not be there.
    #[error("unexpected {what} {value:#x} at octet {at}")]
    Unexpected {
        /// What it was read as.
        what: &'static str,
        /// What stood there.
        value: u64,
        /// Offset of it.
        at: usize,
    },
}

/// A position in octets that are not trusted.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
    /// The octets are all there will be: running out is an overrun, not a reason to wait.
    closed: bool,
}

impl<'a> Reader<'a> {
    /// Reads octets that may go on arriving.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            at: 0,
            closed: false,
        }
    }

    /// Reads octets of a known length.
    #[must_use]
    pub fn closed(octets: &'a [u8]) -> Self {
        Self {
            octets,
            at: 0,
            closed: true,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// Requires that nothing follows.
    ///
    /// # Errors
    /// [`DecodeError::Surplus`].
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.rest().len() {
            0 => Ok(()),
            surplus => Err(DecodeError::Surplus(surplus)),
        }
    }

    /// The next `count` octets.
    ///
    /// # Errors
    /// [`DecodeError::NeedMore`] or [`DecodeError::Overrun`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest().get(..count) {
            Some(octets) => {
                self.at += count;
                Ok(octets)
            }
            None if self.closed => Err(DecodeError::Overrun { at: self.at }),
            None => Err(DecodeError::NeedMore),
        }
    }

    /// The next `N` octets.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One octet.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[octet]| octet)
    }

    /// Two octets, most significant first.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets, most significant first.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// An octet that must be this one.
    ///
    /// # Errors
    /// [`DecodeError::Unexpected`], or as [`Reader::take`].
    pub fn expect(&mut self, octet: u8, what: &'static str) -> Result<(), DecodeError> {
        let at = self.at;
        match self.u8()? {
            found if found == octet => Ok(()),
            found => Err(DecodeError::Unexpected {
                what,
                value: found.into(),
                at,
            }),
        }
    }

    /// An octet that is 0 or anything else.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        self.u8().map(|octet| octet != 0)
    }

    /// A length: one octet below 128, else the count of octets that follow and those (up to four).
    ///
    /// # Errors
    /// [`DecodeError::Unexpected`] for the indefinite form or more than four octets, or as [`Reader::take`].
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let count = usize::from(first & 0x7F);
        if count == 0 || count > 4 {
            return Err(DecodeError::Unexpected {
                what: "form of a length",
                value: first.into(),
                at,
            });
        }
        let mut value = 0usize;
        for octet in self.take(count)? {
            value = value << 8 | usize::from(*octet);
        }
        Ok(value)
    }

    /// A length and that many octets.
    ///
    /// # Errors
    /// As [`Reader::length`] and [`Reader::take`].
    pub fn sized(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }
}

/// Writes a length in its shortest form.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    // Beyond u32 no buffer of ours grows: every writer has a limit far below.
    let value = u32::try_from(length).unwrap_or(u32::MAX);
    let [a, b, c, d] = value.to_be_bytes();
    match value {
        0..=0x7F => out.push(d),
        0x80..=0xFF => out.extend_from_slice(&[0x81, d]),
        0x100..=0xFFFF => out.extend_from_slice(&[0x82, c, d]),
        0x1_0000..=0xFF_FFFF => out.extend_from_slice(&[0x83, b, c, d]),
        _ => out.extend_from_slice(&[0x84, a, b, c, d]),
    }
}

/// How many octets [`put_length`] writes.
#[must_use]
pub fn length_len(length: usize) -> usize {
    match length {
        0..=0x7F => 1,
        0x80..=0xFF => 2,
        0x100..=0xFFFF => 3,
        0x1_0000..=0xFF_FFFF => 4,
        _ => 5,
    }
}

/// Writes a length and the octets.
pub fn put_sized(out: &mut Vec<u8>, octets: &[u8]) {
    put_length(out, octets.len());
    out.extend_from_slice(octets);
}
