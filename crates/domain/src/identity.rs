//! Identities of devices, requests and metering points.

use std::fmt;
use std::str::FromStr;

/// A text that is not what it should be: what was expected and what stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct ParseError {
    /// What the text should have been.
    pub expected: &'static str,
    /// The text as it was given.
    pub found: String,
}

impl ParseError {
    pub(crate) fn new(expected: &'static str, found: &str) -> Self {
        Self {
            expected,
            found: found.chars().take(80).collect(),
        }
    }
}

/// An EUI-64: the identity of a device, a user or a party, written as eight hex pairs joined by `-`.
///
/// Reading accepts either case; writing is upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Eui64(pub u64);

impl Eui64 {
    /// The eight octets, most significant first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// From eight octets, most significant first.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// As it is written. Identities are written many times for every message.
    fn digits(self) -> [u8; 23] {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = [b'-'; 23];
        for (pair, octet) in text.chunks_mut(3).zip(self.to_bytes()) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        text
    }
}

impl fmt::Display for Eui64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Eui64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Eui64 {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let err = || ParseError::new("an EUI-64 such as 00-DB-12-34-56-78-90-A0", text);
        let octets = text.as_bytes();
        if octets.len() != 23 {
            return Err(err());
        }
        let mut value = 0u64;
        for (at, octet) in octets.iter().enumerate() {
            let digit = match octet {
                b'-' if at % 3 == 2 => continue,
                b'0'..=b'9' => octet - b'0',
                b'a'..=b'f' => octet - b'a' + 10,
                b'A'..=b'F' => octet - b'A' + 10,
                _ => return Err(err()),
            };
            if at % 3 == 2 {
                return Err(err());
            }
            value = value << 4 | u64::from(digit);
        }
        Ok(Self(value))
    }
}

/// A DUIS RequestID or ResponseID: originator, target and a counter that rises per originator and target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// Who sent it.
    pub originator: Eui64,
    /// Whom it is for: a device, or the DCC itself.
    pub target: Eui64,
    /// 0 to 2^64-1, written without leading zeros.
    pub counter: u64,
}

impl RequestId {
    /// The id of the answer: originator and target change places, the counter stays.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            originator: self.target,
            target: self.originator,
            counter: self.counter,
        }
    }

    /// 24 octets: originator, target, counter, each most significant octet first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 24] {
        let mut out = [0; 24];
        out[..8].copy_from_slice(&self.originator.to_bytes());
        out[8..16].copy_from_slice(&self.target.to_bytes());
        out[16..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }

    /// The inverse of [`RequestId::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let part = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        Self {
            originator: Eui64(part(0)),
            target: Eui64(part(8)),
            counter: part(16),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.originator, f)?;
        f.write_str(":")?;
        fmt::Display::fmt(&self.target, f)?;
        write!(f, ":{}", self.counter)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let err = || {
            ParseError::new(
                "a RequestID: originator EUI-64, target EUI-64 and counter joined by ':'",
                text,
            )
        };
        let mut parts = text.split(':');
        let (Some(originator), Some(target), Some(counter), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(err());
        };
        let plain = !counter.is_empty()
            && counter.bytes().all(|b| b.is_ascii_digit())
            && (counter == "0" || !counter.starts_with('0'));
        if !plain {
            return Err(err());
        }
        Ok(Self {
            originator: originator.parse().map_err(|_| err())?,
            target: target.parse().map_err(|_| err())?,
            counter: counter.parse().map_err(|_| err())?,
        })
    }
}

/// An electricity metering point number: 13 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mpan(u64);

impl Mpan {
    /// From its 13 digits as a number.
    ///
    /// # Errors
    /// When the number has more than 13 digits.
    pub fn new(digits: u64) -> Result<Self, ParseError> {
        if digits < 10_000_000_000_000 {
            Ok(Self(digits))
        } else {
            Err(ParseError::new("an MPAN of 13 digits", &digits.to_string()))
        }
    }

    /// Its digits as a number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Mpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013}", self.0)
    }
}

impl fmt::Debug for Mpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mpan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.parse() {
            Ok(Mpxn::Mpan(mpan)) => Ok(mpan),
            _ => Err(ParseError::new("an MPAN of 13 digits", text)),
        }
    }
}

/// A gas metering point number: 1 to 10 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mprn(u64);

impl Mprn {
    /// From its digits as a number.
    ///
    /// # Errors
    /// When the number has more than 10 digits.
    pub fn new(digits: u64) -> Result<Self, ParseError> {
        if digits < 10_000_000_000 {
            Ok(Self(digits))
        } else {
            Err(ParseError::new("an MPRN of up to 10 digits", &digits.to_string()))
        }
    }

    /// Its digits as a number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Mprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Mprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A metering point of either fuel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Mpxn {
    /// Electricity.
    Mpan(Mpan),
    /// Gas.
    Mprn(Mprn),
}

impl fmt::Display for Mpxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mpan(mpan) => mpan.fmt(f),
            Self::Mprn(mprn) => mprn.fmt(f),
        }
    }
}

impl FromStr for Mpxn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let err = || ParseError::new("an MPAN of 13 digits or an MPRN of up to 10", text);
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(err());
        }
        let digits: u64 = text.parse().map_err(|_| err())?;
        match text.len() {
            13 => Ok(Self::Mpan(Mpan::new(digits)?)),
            1..=10 => Ok(Self::Mprn(Mprn::new(digits)?)),
            _ => Err(err()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn request_ids_round_trip(originator: u64, target: u64, counter: u64) {
            let id = RequestId { originator: Eui64(originator), target: Eui64(target), counter };
            prop_assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
            prop_assert_eq!(id.to_string().to_lowercase().parse::<RequestId>(), Ok(id));
            prop_assert_eq!(RequestId::from_bytes(id.to_bytes()), id);
            prop_assert_eq!(id.reversed().reversed(), id);
        }

        #[test]
        fn reading_never_panics(text in ".{0,80}") {
            let _ = text.parse::<RequestId>();
            let _ = text.parse::<Eui64>();
            let _ = text.parse::<Mpxn>();
        }
    }

    #[test]
    fn what_is_not_an_identity_is_refused() {
        for text in [
            "",
            "00-DB-12-34-56-78-90",
            "00-DB-12-34-56-78-90-A0-11",
            "00:DB",
            "+0-DB-12-34-56-78-90-A0",
            "00-DB-12-34-56-78-90AA0",
            "00-DB-12-34-56-78-9-0A0",
            "00-DB-12-34-56-78-90-AG",
        ] {
            assert!(text.parse::<Eui64>().is_err(), "{text}");
        }
        for counter in ["", "01", "-1", "+1", "18446744073709551616", "1:1"] {
            let text = format!("90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:{counter}");
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
        assert!("12345678901".parse::<Mpxn>().is_err());
        assert_eq!(
            "0000000000123".parse::<Mpxn>().map(|m| m.to_string()),
            Ok("0000000000123".into())
        );
    }
}
