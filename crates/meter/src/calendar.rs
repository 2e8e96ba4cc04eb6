//! UK civil days in integers: fast enough to ask on every wake, compared with the zone data in tests.
//!
//! The rule of the clock changes (01:00 UTC on the last Sunday of March and of October) is in force since 1996; earlier
//! instants are treated as if it had been.

use domain::SimInstant;

pub(crate) const HALF_HOUR_MS: i64 = 1_800_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A UK civil day: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LocalDay(pub(crate) i64);

/// What the clocks do on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClockChange {
    /// Nothing: 48 half-hours.
    None,
    /// One hour is missing: 46 half-hours.
    Spring,
    /// One hour comes twice: 50 half-hours.
    Autumn,
}

/// Year, month (1 to 12) and day (1 to 31).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl LocalDay {
    /// The UK day that contains `at`.
    pub(crate) fn of(at: SimInstant) -> Self {
        Self((at.0 + offset_ms(at)).div_euclid(DAY_MS))
    }

    /// Its midnight. Clocks never change at midnight, so there is exactly one.
    pub(crate) fn midnight(self) -> SimInstant {
        let utc = self.0 * DAY_MS;
        let (spring, autumn) = changes(self.date().year);
        let summer = self.0 > spring && self.0 <= autumn;
        SimInstant(if summer { utc - HOUR_MS } else { utc })
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(crate) fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    pub(crate) fn date(self) -> Date {
        // Days are counted from 1 March, so that the leap day ends a year; eras have 400 years.
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Date {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }

    pub(crate) fn from_date(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = (month + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    /// The latest day not after this one that is the `n`th of its month.
    pub(crate) fn latest_day_of_month(self, n: u8) -> Self {
        let date = self.date();
        let n = i64::from(n);
        if date.day >= n {
            Self(self.0 - (date.day - n))
        } else if date.month == 1 {
            Self::from_date(date.year - 1, 12, n)
        } else {
            Self::from_date(date.year, date.month - 1, n)
        }
    }
}

/// The slot of the local clock (0 to 47) in which the `index`th half-hour since midnight lies.
pub(crate) fn slot(change: ClockChange, index: i64) -> usize {
    let slot = match change {
        ClockChange::Spring if index >= 2 => index + 2,
        ClockChange::Autumn if index >= 4 => index - 2,
        _ => index,
    };
    usize::try_from(slot.clamp(0, 47)).unwrap_or(0)
}

/// Days (since 1970) of the two clock changes of a year.
pub(crate) fn changes(year: i64) -> (i64, i64) {
    let last_sunday = |month| {
        let last = LocalDay::from_date(year, month, 31).0;
        // 1970-01-01 was a Thursday, the fourth day after a Sunday.
        last - (last + 4).rem_euclid(7)
    };
    (last_sunday(3), last_sunday(10))
}

/// Milliseconds by which UK clocks are ahead of UTC at `at`.
pub(crate) fn offset_ms(at: SimInstant) -> i64 {
    let (spring, autumn) = changes(LocalDay(at.0.div_euclid(DAY_MS)).date().year);
    let summer = at.0 >= spring * DAY_MS + HOUR_MS && at.0 < autumn * DAY_MS + HOUR_MS;
    if summer { HOUR_MS } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::{london, london_midnight};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_zone_data(ms in 820_454_400_000i64..2_524_608_000_000) {
            let at = SimInstant(ms);
            prop_assert_eq!(offset_ms(at) == HOUR_MS, london(at).summer);
            prop_assert_eq!(LocalDay::of(at).midnight(), london_midnight(at));
            let civil = london(at).civil;
            let date = LocalDay::of(at).date();
            prop_assert_eq!((date.year, date.month, date.day), (i64::from(civil.year()), i64::from(civil.month()), i64::from(civil.day())));
            prop_assert_eq!(LocalDay::from_date(date.year, date.month, date.day), LocalDay::of(at));
        }

        #[test]
        fn agrees_around_the_changes(year in 1996i64..2050, offset in -90_000_000i64..90_000_000) {
            let (spring, autumn) = changes(year);
            for day in [spring, autumn] {
                let at = SimInstant(day * DAY_MS + offset);
                prop_assert_eq!(offset_ms(at) == HOUR_MS, london(at).summer);
                prop_assert_eq!(LocalDay::of(at).midnight(), london_midnight(at));
            }
        }
    }
}
