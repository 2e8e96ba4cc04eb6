//! Where a fact about a device comes from and how sure we are of it.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// How well a device fact is known, weakest first so that `min` gives the weakest.
///
/// The domain pages say "verified" for [`Confidence::Sourced`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// Made up for the lab; only under `LAB-` firmware ids.
    Invented,
    /// Remembered, no source at hand.
    Recalled,
    /// Reasoned from a source.
    Inferred,
    /// A source that was read says so.
    Sourced,
    /// Seen on a real device or in a real capture.
    Observed,
    /// The governing specification says so.
    Specified,
}

impl Confidence {
    /// All levels, strongest first.
    pub const ALL: [Self; 6] = [
        Self::Specified,
        Self::Observed,
        Self::Sourced,
        Self::Inferred,
        Self::Recalled,
        Self::Invented,
    ];

    /// The word files and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invented => "invented",
            Self::Recalled => "recalled",
            Self::Inferred => "inferred",
            Self::Sourced => "sourced",
            Self::Observed => "observed",
            Self::Specified => "specified",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Confidence {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| {
            ParseError::new(
                "one of specified, observed, sourced, inferred, recalled, invented",
                text,
            )
        })
    }
}

/// Source and confidence of one fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provenance {
    /// Document and place, or "invented".
    pub source: String,
    /// How sure.
    pub confidence: Confidence,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weakest_is_the_least() {
        assert_eq!(Confidence::Specified.min(Confidence::Invented), Confidence::Invented);
        assert_eq!("sourced".parse(), Ok(Confidence::Sourced));
        assert!("verified".parse::<Confidence>().is_err());
    }
}
