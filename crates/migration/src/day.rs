//! Days of the Migration Service: UK civil dates, and the instants that belong to them.

use domain::SimInstant;
use domain::time::{london, london_zone};
use jiff::civil::{Date, Time, Weekday};

/// The UK date on which an instant falls.
#[must_use]
pub fn day_of(at: SimInstant) -> Date {
    london(at).civil.date()
}

/// The instant at which a clock on a UK wall shows this date and time. In the hour that is missing in March it is the
/// instant an hour later; of the two in October, the first.
#[must_use]
pub fn instant(day: Date, time: Time) -> SimInstant {
    let zoned = day.to_datetime(time).to_zoned_datetime(london_zone().clone());
    zoned.map_or(SimInstant(i64::MAX), |zoned| {
        SimInstant(zoned.timestamp().as_millisecond())
    })
}

/// The Monday of the week a date lies in: how weeks are named.
#[must_use]
pub fn week_of(day: Date) -> Date {
    plus_days(day, -i32::from(day.weekday().to_monday_zero_offset()))
}

/// So many days later, or earlier. Stays where the calendar ends.
#[must_use]
pub fn plus_days(day: Date, days: i32) -> Date {
    day.checked_add(jiff::Span::new().days(days)).unwrap_or(day)
}

/// Days from `earlier` to `later`, negative when it is the other way round.
#[must_use]
pub fn days_between(earlier: Date, later: Date) -> i32 {
    earlier.until(later).map_or(0, |span| span.get_days())
}

/// The date in a file name: `20190407`.
#[must_use]
pub fn compact(day: Date) -> String {
    format!("{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

/// The inverse of [`compact`].
#[must_use]
pub fn from_compact(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Date::new(
        text[..4].parse().ok()?,
        text[4..6].parse().ok()?,
        text[6..].parse().ok()?,
    )
    .ok()
}

/// A day as its number since 1970.
#[must_use]
pub fn number(day: Date) -> i32 {
    serde_day::number(day)
}

/// The inverse of [`number`].
#[must_use]
pub fn of_number(number: i32) -> Date {
    serde_day::of_number(number)
}

/// A weekday by its English name.
#[must_use]
pub fn weekday(name: &str) -> Option<Weekday> {
    WEEKDAYS.into_iter().find(|(word, _)| *word == name).map(|(_, day)| day)
}

/// For serde: a date as days since 1970.
pub(crate) mod serde_day {
    use jiff::civil::{Date, date};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{days_between, plus_days};

    pub(crate) fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        number(*day).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        i32::deserialize(deserializer).map(of_number)
    }

    pub(super) fn number(day: Date) -> i32 {
        days_between(date(1970, 1, 1), day)
    }

    pub(super) fn of_number(number: i32) -> Date {
        plus_days(date(1970, 1, 1), number)
    }
}

/// For serde: a date that may be absent.
pub(crate) mod serde_day_option {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::serde_day::{number, of_number};

    pub(crate) fn serialize<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        day.map(number).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        Ok(Option::<i32>::deserialize(deserializer)?.map(of_number))
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Monday", Weekday::Monday),
    ("Tuesday", Weekday::Tuesday),
    ("Wednesday", Weekday::Wednesday),
    ("Thursday", Weekday::Thursday),
    ("Friday", Weekday::Friday),
    ("Saturday", Weekday::Saturday),
    ("Sunday", Weekday::Sunday),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    #[test]
    fn days_and_instants_agree_over_both_clock_changes() {
        for (day, hour, expected) in [
            (date(2019, 3, 30), 12, "2019-03-30T12:00:00.000Z"),
            (date(2019, 3, 31), 12, "2019-03-31T11:00:00.000Z"),
            (date(2019, 3, 31), 1, "2019-03-31T01:00:00.000Z"),
            (date(2019, 10, 27), 1, "2019-10-27T00:00:00.000Z"),
        ] {
            assert_eq!(instant(day, time(hour, 0, 0, 0)).to_string(), expected);
        }
        assert_eq!(day_of(instant(date(2019, 7, 1), time(0, 30, 0, 0))), date(2019, 7, 1));
        assert_eq!(week_of(date(2019, 4, 7)), date(2019, 4, 1), "7 April 2019 is a Sunday");
        assert_eq!(days_between(date(2019, 3, 30), date(2019, 4, 2)), 3);
        assert_eq!(from_compact(&compact(date(2019, 4, 7))), Some(date(2019, 4, 7)));
        assert_eq!(from_compact("20190431"), None);
    }
}
