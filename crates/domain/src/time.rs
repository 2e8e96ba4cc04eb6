//! Instants of the lab's calendar, durations, and UK civil time.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::ParseError;

/// An instant of the lab's calendar: milliseconds since 1970-01-01T00:00:00Z.
///
/// It is not the machine's clock: a lab can be on 30 March 2019.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct SimInstant(pub i64);

/// A span in the lab's calendar, in milliseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct SimDuration(pub u64);

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1000)
    }

    /// So many minutes.
    #[must_use]
    pub const fn from_mins(m: u64) -> Self {
        Self(m * 60_000)
    }

    /// So many hours.
    #[must_use]
    pub const fn from_hours(h: u64) -> Self {
        Self(h * 3_600_000)
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn from_days(d: u64) -> Self {
        Self(d * 86_400_000)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As a standard duration.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Debug for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_std(), f)
    }
}

/// Half an hour, the period of every profile log.
pub const HALF_HOUR: SimDuration = SimDuration::from_mins(30);

impl SimInstant {
    /// From the parts of a UTC date and time; `None` when there is no such instant.
    #[must_use]
    pub fn from_utc(year: i16, month: i8, day: i8, hour: i8, minute: i8, second: i8) -> Option<Self> {
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(Self(
            civil
                .to_zoned_datetime(TimeZone::UTC)
                .ok()?
                .timestamp()
                .as_millisecond(),
        ))
    }

    /// The span since `earlier`, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> SimDuration {
        SimDuration(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The latest multiple of `period` since 1970 that is not after this instant. `period` of zero gives the instant.
    #[must_use]
    pub fn floor_to(self, period: SimDuration) -> Self {
        match i64::try_from(period.0) {
            Ok(p) if p > 0 => Self(self.0.div_euclid(p) * p),
            _ => self,
        }
    }

    /// UTC civil date and time.
    #[must_use]
    pub fn utc(self) -> jiff::civil::DateTime {
        self.timestamp().to_zoned_datetime(TimeZone::UTC).datetime()
    }

    /// The instant as a timestamp, clamped to the range jiff knows (years -9999 to 9999).
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl Add<SimDuration> for SimInstant {
    type Output = Self;

    fn add(self, span: SimDuration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl AddAssign<SimDuration> for SimInstant {
    fn add_assign(&mut self, span: SimDuration) {
        *self = *self + span;
    }
}

impl Sub<SimDuration> for SimInstant {
    type Output = Self;

    fn sub(self, span: SimDuration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Add for SimDuration {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for SimInstant {
    /// `2019-03-31T00:30:00.000Z`: the form DUIS messages use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.utc();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl fmt::Debug for SimInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SimInstant {
    type Err = ParseError;

    /// Reads an ISO 8601 date and time with `Z` or an offset; fractions finer than a millisecond are cut.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
            .map_err(|_| ParseError::new("a date and time such as 2019-03-31T00:30:00Z", text))
    }
}

/// UK civil time at an instant: the local date and time, and whether British Summer Time is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LondonTime {
    /// What a clock on the wall shows.
    pub civil: jiff::civil::DateTime,
    /// True while the clock is one hour ahead of UTC.
    pub summer: bool,
}

/// Europe/London, from the zone data compiled into the program.
///
/// # Panics
/// Never: the zone is part of the bundled data, which the tests prove.
#[must_use]
pub fn london_zone() -> &'static TimeZone {
    static ZONE: std::sync::LazyLock<TimeZone> =
        std::sync::LazyLock::new(|| TimeZone::get("Europe/London").expect("Europe/London is in the bundled zone data"));
    &ZONE
}

/// UK civil time at `at`.
#[must_use]
pub fn london(at: SimInstant) -> LondonTime {
    let zoned = at.timestamp().to_zoned_datetime(london_zone().clone());
    LondonTime {
        civil: zoned.datetime(),
        summer: zoned.offset().seconds() != 0,
    }
}

/// The instant at which the UK day containing `at` began (local midnight). Days have 46, 48 or 50 half-hours.
#[must_use]
pub fn london_midnight(at: SimInstant) -> SimInstant {
    let zoned = at.timestamp().to_zoned_datetime(london_zone().clone());
    zoned
        .start_of_day()
        .map_or(at, |start| SimInstant(start.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SimInstant {
        text.parse().expect("a valid instant")
    }

    #[test]
    fn both_clock_changes_of_2019() {
        let spring = at("2019-03-31T00:59:59Z");
        assert!(!london(spring).summer);
        assert!(london(spring + SimDuration::from_secs(1)).summer);
        assert_eq!(london(spring + SimDuration::from_secs(1)).civil.hour(), 2);
        let day = |noon: &str| {
            let start = london_midnight(at(noon));
            london_midnight(start + SimDuration::from_hours(30)).since(start).0 / HALF_HOUR.0
        };
        assert_eq!(day("2019-03-31T12:00:00Z"), 46);
        assert_eq!(day("2019-10-27T12:00:00Z"), 50);
        assert_eq!(day("2019-10-28T12:00:00Z"), 48);
    }

    #[test]
    fn the_duis_form_round_trips() {
        let instant = SimInstant::from_utc(2019, 3, 31, 0, 30, 0).expect("exists");
        assert_eq!(instant.to_string(), "2019-03-31T00:30:00.000Z");
        assert_eq!(at(&instant.to_string()), instant);
        assert_eq!(at("2019-03-31T01:30:00.00+01:00"), instant);
        assert_eq!(instant.floor_to(SimDuration::from_hours(1)), at("2019-03-31T00:00:00Z"));
    }
}
