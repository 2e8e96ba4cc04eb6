//! Forecasts of suppliers in, the consolidated master profile out.

use std::collections::BTreeMap;

use dmc::FileError;
use domain::Eui64;
use jiff::civil::Date;

use crate::day::{days_between, plus_days, week_of};
use crate::settings::{CohortSlug, Columns, fields};
use crate::strict::{self, fault};

/// Weeks of one forecast at most.
const WEEKS_MAX: i32 = 520;

/// One supplier's plan for one cohort: when it starts and ends, how many, at which rate, how it grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// Who.
    pub supplier: Eui64,
    /// Which cohort.
    pub cohort: CohortSlug,
    /// First day.
    pub start: Date,
    /// Last day.
    pub finish: Date,
    /// Installations in all.
    pub installations: u64,
    /// Installations a day once grown.
    pub target_rate: u32,
    /// Weeks over which the rate grows to the target, evenly.
    pub ramp_weeks: u16,
}

/// Installations by week (named by its Monday), cohort and supplier.
pub type Profile = BTreeMap<(Date, CohortSlug, Eui64), u64>;

/// Reads forecasts.
///
/// # Errors
/// With file and line: not its columns, an end before its start, more than ten years.
pub fn read(columns: &Columns, file: &str, text: &str) -> Result<Vec<Forecast>, FileError> {
    let headings = columns.form("forecast").headings_of(fields("forecast"));
    let rows = strict::csv(file, text, &headings)?;
    let each = rows.iter().map(|row| {
        let forecast = Forecast {
            supplier: row.parse(file, 0, headings[0])?,
            cohort: CohortSlug::new(row.value(1)),
            start: row.parse(file, 2, headings[2])?,
            finish: row.parse(file, 3, headings[3])?,
            installations: row.parse(file, 4, headings[4])?,
            target_rate: row.parse(file, 5, headings[5])?,
            ramp_weeks: row.parse(file, 6, headings[6])?,
        };
        let days = days_between(forecast.start, forecast.finish);
        if !(0..WEEKS_MAX * 7).contains(&days) {
            let text = format!(
                "{} to {}: expected an end within ten years of the start",
                forecast.start, forecast.finish
            );
            return Err(fault(file, row.line, text));
        }
        Ok(forecast)
    });
    each.collect()
}

/// Writes forecasts.
#[must_use]
pub fn write(columns: &Columns, forecasts: &[Forecast]) -> String {
    let rows = forecasts.iter().map(|forecast| {
        vec![
            forecast.supplier.to_string(),
            forecast.cohort.to_string(),
            forecast.start.to_string(),
            forecast.finish.to_string(),
            forecast.installations.to_string(),
            forecast.target_rate.to_string(),
            forecast.ramp_weeks.to_string(),
        ]
    });
    columns.form("forecast").write(fields("forecast"), rows)
}

impl Forecast {
    /// What the supplier wants on a day, when so many are left: the rate of that week, never more than are left.
    #[must_use]
    pub fn wish(&self, day: Date, left: u64) -> u32 {
        if day < self.start || day > self.finish {
            return 0;
        }
        let week = u32::try_from(days_between(self.start, day) / 7).unwrap_or(0);
        let ramp = u32::from(self.ramp_weeks);
        let rate = if week >= ramp {
            u64::from(self.target_rate)
        } else {
            (u64::from(self.target_rate) * u64::from(week + 1)).div_ceil(u64::from(ramp) + 1)
        };
        u32::try_from(rate.min(left)).unwrap_or(u32::MAX)
    }
}

/// The master profile: the forecasts of all, by week.
#[must_use]
pub fn consolidate(forecasts: &[Forecast]) -> Profile {
    let mut profile = Profile::new();
    for forecast in forecasts {
        let mut left = forecast.installations;
        let mut day = forecast.start;
        while day <= forecast.finish && left > 0 {
            let units = u64::from(forecast.wish(day, left));
            if units > 0 {
                *profile
                    .entry((week_of(day), forecast.cohort.clone(), forecast.supplier))
                    .or_default() += units;
            }
            left -= units;
            day = plus_days(day, 1);
        }
    }
    profile
}

/// Writes a profile.
#[must_use]
pub fn write_profile(columns: &Columns, profile: &Profile) -> String {
    let rows = profile.iter().map(|((week, cohort, supplier), units)| {
        vec![
            week.to_string(),
            cohort.to_string(),
            supplier.to_string(),
            units.to_string(),
        ]
    });
    columns.form("profile").write(fields("profile"), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use jiff::civil::date;

    #[test]
    fn a_profile_adds_up_to_the_forecasts_that_fit_their_time() {
        let forecast = |supplier, installations| Forecast {
            supplier: Eui64(supplier),
            cohort: CohortSlug::new("ioc"),
            start: date(2019, 6, 3),
            finish: date(2019, 8, 4),
            installations,
            target_rate: 100,
            ramp_weeks: 3,
        };
        let profile = consolidate(&[forecast(1, 2000), forecast(2, 1_000_000)]);
        let of = |supplier| -> u64 {
            profile
                .iter()
                .filter(|((_, _, id), _)| *id == Eui64(supplier))
                .map(|(_, units)| units)
                .sum()
        };
        assert_eq!(of(1), 2000);
        // Weeks at 25, 50, 75 and then six at 100 a day.
        assert_eq!(of(2), 7 * (25 + 50 + 75) + 6 * 7 * 100);
        let columns = Settings::builtin().expect("built-in settings").columns;
        let written = write(&columns, &[forecast(1, 2000)]);
        assert_eq!(read(&columns, "f.csv", &written), Ok(vec![forecast(1, 2000)]));
        assert!(
            write_profile(&columns, &profile)
                .starts_with("week,cohort,supplier_user_id,installations\n2019-06-03,ioc,")
        );
        let wrong = written.replace("2019-08-04", "2019-05-04");
        assert_eq!(
            read(&columns, "f.csv", &wrong).expect_err("ends before it starts").line,
            2
        );
    }
}
