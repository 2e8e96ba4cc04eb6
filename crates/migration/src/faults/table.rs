//! `[[fault]]` of a campaign file: which error, in which installations, when and how often.

use dmc::FileError;
use domain::{Mpxn, Seed, SimInstant};
use serde::Deserialize;

use crate::day::day_of;
use crate::machine::model::Facts;
use crate::settings::{CohortSlug, ErrorRow, Settings};
use crate::strict::{fault, unknown};

/// One `[[fault]]` as it stands in a file. Points, cohort and share narrow each other; without any, all are meant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultTable {
    /// Code of the error.
    pub error: String,
    /// One of the error's conditions; the first when it is absent.
    #[serde(default)]
    pub condition: Option<String>,
    /// Metering points.
    #[serde(default)]
    pub mpxn: Vec<String>,
    /// A cohort.
    #[serde(default)]
    pub cohort: Option<String>,
    /// A share of these, in per cent; which ones comes from the seed.
    #[serde(default)]
    pub share_percent: Option<u8>,
    /// From this instant on.
    #[serde(default)]
    pub from: Option<String>,
    /// Until this instant.
    #[serde(default)]
    pub until: Option<String>,
    /// In the first so many attempts of each.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// So often in each at most.
    #[serde(default)]
    pub times: Option<u32>,
}

/// A rule that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultRule {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The row of the error.
    pub row: ErrorRow,
    /// The condition to be found.
    pub condition: String,
    /// Metering points; empty: all.
    pub points: Vec<Mpxn>,
    /// A cohort; none: all.
    pub cohort: Option<CohortSlug>,
    /// Share of these, in per cent.
    pub share_percent: u8,
    /// From.
    pub from: Option<SimInstant>,
    /// Until, exclusively.
    pub until: Option<SimInstant>,
    /// In the first so many attempts of each.
    pub attempts: Option<u32>,
    /// So often in each at most.
    pub times: Option<u32>,
}

/// Checks the faults of a file; `text` is the file's, for the lines of what is wrong.
///
/// # Errors
/// The first thing wrong, with file, line and, where one is likely, a suggestion.
pub fn check(file: &str, text: &str, tables: &[FaultTable], settings: &Settings) -> Result<Vec<FaultRule>, FileError> {
    let each = tables.iter().zip(1usize..);
    each.map(|(table, number)| rule(&Place { file, text, number }, table, settings))
        .collect()
}

/// Where a table stands.
struct Place<'a> {
    file: &'a str,
    text: &'a str,
    number: usize,
}

impl Place<'_> {
    /// The line of a key of this table; that of its heading when it does not have the key.
    fn line(&self, key: &str) -> usize {
        let lines = self.text.lines().zip(1usize..);
        let mut headings = lines
            .clone()
            .filter(|(line, _)| line.trim_start().starts_with("[[fault]]"));
        let Some((_, heading)) = headings.nth(self.number - 1) else {
            return 0;
        };
        let own = lines
            .skip(heading)
            .take_while(|(line, _)| !line.trim_start().starts_with('['));
        let mut keys = own.filter(|(line, _)| line.split('=').next().is_some_and(|name| name.trim() == key));
        keys.next().map_or(heading, |(_, line)| line)
    }

    fn wrong(&self, key: &str, reason: impl Into<String>) -> FileError {
        fault(self.file, self.line(key), reason)
    }

    fn instant(&self, key: &str, text: Option<&String>) -> Result<Option<SimInstant>, FileError> {
        let parse = |text: &String| {
            text.parse().map_err(|_| {
                self.wrong(
                    key,
                    format!("{key} takes an instant such as 2019-06-10T09:00:00Z, not {text:?}"),
                )
            })
        };
        text.map(parse).transpose()
    }
}

fn rule(place: &Place<'_>, table: &FaultTable, settings: &Settings) -> Result<FaultRule, FileError> {
    let listed = || settings.errors.iter().filter(|row| row.listed);
    let row = listed().find(|row| row.id == table.error).ok_or_else(|| {
        let known = listed().map(|row| row.id.as_str());
        unknown(place.file, place.line("error"), "error", &table.error, known)
    })?;
    let condition = match &table.condition {
        None => row.conditions.first().cloned().unwrap_or_default(),
        Some(word) if row.conditions.contains(word) => word.clone(),
        Some(word) => {
            let known = row.conditions.iter().map(String::as_str);
            let what = format!("condition of {}", row.id);
            return Err(unknown(place.file, place.line("condition"), &what, word, known));
        }
    };
    let point = |text: &String| {
        text.parse::<Mpxn>()
            .map_err(|error| place.wrong("mpxn", format!("mpxn: {error}")))
    };
    let points = table.mpxn.iter().map(point).collect::<Result<Vec<_>, _>>()?;
    let cohort = table.cohort.as_deref().map(CohortSlug::new);
    if let Some(cohort) = &cohort
        && settings.cohort(cohort).is_none()
    {
        let known = settings.cohorts.iter().map(|known| known.slug.as_str());
        let line = place.line("cohort");
        return Err(unknown(place.file, line, "cohort", cohort.as_str(), known));
    }
    let share_percent = table.share_percent.unwrap_or(100);
    if !(1..=100).contains(&share_percent) {
        return Err(place.wrong("share_percent", "share_percent takes 1 to 100"));
    }
    for (key, value) in [("attempts", table.attempts), ("times", table.times)] {
        if value == Some(0) {
            return Err(place.wrong(key, format!("{key} takes numbers from 1; leave it out for always")));
        }
    }
    let from = place.instant("from", table.from.as_ref())?;
    let until = place.instant("until", table.until.as_ref())?;
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        return Err(place.wrong("until", format!("until is not after from, which is {from}")));
    }
    Ok(FaultRule {
        number: place.number,
        row: row.clone(),
        condition,
        points,
        cohort,
        share_percent,
        from,
        until,
        attempts: table.attempts,
        times: table.times,
    })
}

impl FaultRule {
    /// Whether it is about an installation. The same seed gives the same ones.
    #[must_use]
    pub fn is_about(&self, seed: &Seed, facts: &Facts) -> bool {
        let drawn = || {
            let of_rule = seed.child("fault").child(self.number.to_be_bytes());
            of_rule.child(facts.id.0.to_bytes()).number() % 100 < u64::from(self.share_percent)
        };
        let point = || facts.points.iter().any(|point| self.points.contains(&point.mpxn));
        self.cohort.as_ref().is_none_or(|cohort| *cohort == facts.cohort)
            && (self.points.is_empty() || point())
            && (self.share_percent == 100 || drawn())
    }

    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds_at(&self, now: SimInstant) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// Puts what it says into an authorisation that is about to be sent. Gives whether it is about files at all.
    pub fn spoil(&self, settings: &Settings, draft: &mut super::Draft, about: impl Fn(Mpxn) -> bool) -> bool {
        self.holds_at(draft.at) && draft.spoil(settings, &self.row.id, about)
    }

    /// Closes the gate it is about: [`super::Way::Gate`] keeps a cohort from being live until the rule ends, or for good.
    pub fn close_gate(&self, settings: &mut Settings) {
        let until = self.until.map(day_of);
        let releases: Vec<_> = settings
            .cohorts
            .iter()
            .filter(|known| self.cohort.as_ref().is_none_or(|cohort| *cohort == known.slug))
            .map(|known| known.release)
            .collect();
        let live = settings
            .milestones
            .iter_mut()
            .filter(|known| known.name == "live" && releases.contains(&known.release));
        for milestone in live {
            milestone.day = until.unwrap_or(jiff::civil::Date::MAX);
        }
    }
}
