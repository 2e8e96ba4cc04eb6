//! The codes the schema lists: nothing else is ever written.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use domain::ParseError;

/// A response code out of the list of the schema, version 5.4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(&'static str);

/// A response code of the list and since when it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeFacts {
    /// For example `E4`.
    pub value: &'static str,
    /// True for the values a receiver that checks against version 5.1 refuses.
    pub since_5_4: bool,
}

impl ResponseCode {
    /// Success.
    pub const I0: Self = Self("I0");
    /// Acknowledged; the result follows asynchronously.
    pub const I99: Self = Self("I99");

    /// The code of that value, if the schema lists it.
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        Self::all()
            .iter()
            .find(|facts| facts.value == value)
            .map(|facts| Self(facts.value))
    }

    /// Every code, in the order of the schema.
    #[must_use]
    pub fn all() -> &'static [CodeFacts] {
        &RESPONSES
    }

    /// Its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// What is known of it; none only if the list and the constants disagree, which a test excludes.
    #[must_use]
    pub fn facts(self) -> Option<&'static CodeFacts> {
        RESPONSES.iter().find(|facts| facts.value == self.0)
    }
}

/// A DCC alert code out of the list of the schema.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DccAlertCode(&'static str);

impl DccAlertCode {
    /// An alert of an S1SP.
    pub const N55: Self = Self("N55");

    /// The code of that value, if the schema lists it.
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        Self::all().find(|code| code.0 == value)
    }

    /// Every code, in the order of the schema.
    pub fn all() -> impl Iterator<Item = Self> {
        ALERTS.iter().copied().map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! code_traits {
    ($type:ty, $expected:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let found: String = text.chars().take(80).collect();
                Self::new(text).ok_or(ParseError {
                    expected: $expected,
                    found,
                })
            }
        }
    };
}

code_traits!(ResponseCode, "a response code of the DUIS schema");
code_traits!(DccAlertCode, "a DCC alert code of the DUIS schema");

static RESPONSES: LazyLock<Vec<CodeFacts>> = LazyLock::new(|| {
    rows(include_str!("data/response_codes.txt"))
        .filter_map(|mut field| {
            Some(CodeFacts {
                value: field.next()?,
                since_5_4: field.next()? == "5.4",
            })
        })
        .collect()
});

static ALERTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    rows(include_str!("data/alert_codes.txt"))
        .filter_map(|mut field| field.next())
        .collect()
});

fn rows(text: &'static str) -> impl Iterator<Item = std::str::Split<'static, char>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_complete() {
        assert_eq!(RESPONSES.len(), rows(include_str!("data/response_codes.txt")).count());
        assert_eq!(ALERTS.len(), rows(include_str!("data/alert_codes.txt")).count());
        assert!(ResponseCode::I0.facts().is_some() && ResponseCode::I99.facts().is_some());
        assert_eq!(DccAlertCode::new("N55"), Some(DccAlertCode::N55));
        assert_eq!(DccAlertCode::new("N32"), None);
        assert_eq!(ResponseCode::new("E6"), None);
        assert_eq!(
            "E4".parse::<ResponseCode>().map(|code| code.to_string()).as_deref(),
            Ok("E4")
        );
    }
}
