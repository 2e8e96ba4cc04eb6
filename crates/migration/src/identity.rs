//! What names an installation.

use std::fmt;
use std::str::FromStr;

use domain::{Eui64, ParseError};

/// Names an installation in files, journals and reports: `LAB-I-` and its hub's EUI-64 in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct InstallationId(pub Eui64);

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LAB-I-{:016X}", self.0.0)
    }
}

impl fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InstallationId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = text.strip_prefix("LAB-I-").filter(|digits| digits.len() == 16);
        digits
            .filter(|digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(|hub| Self(Eui64(hub)))
            .ok_or_else(|| ParseError {
                expected: "an installation such as LAB-I-021AB00101000001",
                found: text.chars().take(80).collect(),
            })
    }
}
