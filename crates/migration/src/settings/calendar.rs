//! The week of the Migration Service.

use dmc::FileError;
use domain::{SimDuration, SimInstant};
use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Deserializer, de};

use crate::day::{self, days_between, instant, plus_days};
use crate::strict;

/// Cut-offs, slots and notice periods. Times are UK civil time.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Where it is from.
    pub source: String,
    /// When demand for a week is due.
    pub demand_due: Moment,
    /// When allocations of a week are made.
    pub scaling_run: Moment,
    /// When authorisations for a week are due.
    pub authorisations_due: Moment,
    /// When the answers are published and the plan is frozen.
    pub answers_published: Moment,
    /// When installations are migrated.
    pub slots: Slots,
    /// When reports are made.
    pub reports: ReportTimes,
    /// Authorisation files.
    pub files: FileTimes,
    /// Notices about dormant installations.
    pub dormant: Dormant,
    /// Days on which a vulnerable customer is left alone.
    pub vulnerable: Vulnerable,
    /// Changes of supplier.
    pub churn: Churn,
}

/// A moment before the week it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Weeks before.
    pub weeks_before: u8,
    /// Day of that week.
    #[serde(deserialize_with = "weekday")]
    pub day: Weekday,
    /// UK civil time.
    #[serde(deserialize_with = "time")]
    pub time: Time,
}

/// The days and hours in which a migration may begin.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// Days of the week.
    #[serde(deserialize_with = "weekdays")]
    pub days: Vec<Weekday>,
    /// From.
    #[serde(deserialize_with = "time")]
    pub first: Time,
    /// To.
    #[serde(deserialize_with = "time")]
    pub last: Time,
    /// Installations that share one set of files, at most.
    pub group_max: u16,
    /// Installations of one cohort that may be frozen at once; the next ones wait.
    pub frozen_max: u32,
}

/// When reports are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportTimes {
    /// Of the day before.
    #[serde(deserialize_with = "time")]
    pub daily: Time,
    /// Day of the week after.
    #[serde(deserialize_with = "weekday")]
    pub weekly_day: Weekday,
    /// Of the week before.
    #[serde(deserialize_with = "time")]
    pub weekly: Time,
}

/// Authorisation files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTimes {
    /// How long a file waits for its password twin, in hours.
    pub password_hours: u16,
}

/// Notice periods, in days.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dormant {
    /// Of a firmware upgrade.
    pub firmware_notice_days: u16,
    /// Of a migration.
    pub migration_notice_days: u16,
}

/// Days on which an installation with a vulnerable customer is left alone.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vulnerable {
    /// Days of the week.
    #[serde(deserialize_with = "weekdays")]
    pub never_on: Vec<Weekday>,
    /// First day of the cold part of the year, `MM-DD`.
    #[serde(deserialize_with = "month_day")]
    pub cold_from: (i8, i8),
    /// Last day of it.
    #[serde(deserialize_with = "month_day")]
    pub cold_to: (i8, i8),
}

/// Changes of supplier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// A change that takes effect so many days after a migration day keeps the installation out of it.
    pub window_days: u16,
}

impl Moment {
    /// The instant of this moment for the week that begins on this Monday.
    #[must_use]
    pub fn instant(&self, week: Date) -> SimInstant {
        let days = i32::from(self.day.to_monday_zero_offset()) - 7 * i32::from(self.weeks_before);
        instant(plus_days(week, days), self.time)
    }
}

impl Calendar {
    /// Whether migrations begin on this day at all.
    #[must_use]
    pub fn is_slot_day(&self, day: Date) -> bool {
        self.slots.days.contains(&day.weekday())
    }

    /// The first and last instant of a day at which a migration may begin.
    #[must_use]
    pub fn slot_hours(&self, day: Date) -> (SimInstant, SimInstant) {
        (instant(day, self.slots.first), instant(day, self.slots.last))
    }

    /// Whether an installation with a vulnerable customer is left alone on this day.
    #[must_use]
    pub fn spares_vulnerable(&self, day: Date) -> bool {
        let Vulnerable {
            never_on,
            cold_from,
            cold_to,
        } = &self.vulnerable;
        let date = (day.month(), day.day());
        let cold = if cold_from <= cold_to {
            (*cold_from..=*cold_to).contains(&date)
        } else {
            date >= *cold_from || date <= *cold_to
        };
        cold || never_on.contains(&day.weekday())
    }

    /// Whether a change of supplier that takes effect on `effective` keeps an installation out of `day`.
    #[must_use]
    pub fn change_is_near(&self, day: Date, effective: Date) -> bool {
        (0..=i32::from(self.churn.window_days)).contains(&days_between(day, effective))
    }

    /// How long a file waits for its password twin.
    #[must_use]
    pub fn password_wait(&self) -> SimDuration {
        SimDuration::from_hours(u64::from(self.files.password_hours))
    }
}

pub(super) fn read(file: &str, text: &str) -> Result<Calendar, FileError> {
    let calendar: Calendar = strict::toml(file, text)?;
    if calendar.slots.last <= calendar.slots.first {
        return Err(strict::fault(file, 0, "slots.last is not after slots.first"));
    }
    if !(1..=1000).contains(&calendar.slots.group_max) {
        return Err(strict::fault(file, 0, "slots.group_max takes 1 to 1000"));
    }
    if calendar.slots.frozen_max == 0 {
        return Err(strict::fault(file, 0, "slots.frozen_max takes numbers from 1"));
    }
    if calendar.slots.days.is_empty() {
        return Err(strict::fault(file, 0, "slots.days names no day"));
    }
    Ok(calendar)
}

fn weekday<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weekday, D::Error> {
    let name = String::deserialize(deserializer)?;
    day::weekday(&name).ok_or_else(|| de::Error::custom(format!("expected a day of the week, found {name:?}")))
}

fn weekdays<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Weekday>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let each = names.iter().map(|name| {
        day::weekday(name).ok_or_else(|| de::Error::custom(format!("expected a day of the week, found {name:?}")))
    });
    each.collect()
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text
        .split_once(':')
        .and_then(|(hour, minute)| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok());
    parts.ok_or_else(|| de::Error::custom(format!("expected a time such as 08:00, found {text:?}")))
}

fn month_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(i8, i8), D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text.split_once('-').and_then(|(month, day)| {
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        // 2020 is a leap year: 29 February is a day that may be named.
        Date::new(2020, month, day).ok().map(|_| (month, day))
    });
    parts.ok_or_else(|| de::Error::custom(format!("expected a day of the year such as 12-15, found {text:?}")))
}
