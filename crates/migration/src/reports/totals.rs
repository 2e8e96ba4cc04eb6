//! Totals by day, cohort and result: as reports tell them, and as the journal counts them by itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::tables;
use crate::InstallationId;
use crate::machine::Campaign;
use crate::machine::event::{Entry, Event};
use crate::machine::state::State;
use crate::settings::CohortSlug;

/// Attempts by day, cohort and result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals(pub BTreeMap<(Date, CohortSlug, &'static str), u32>);

impl Totals {
    /// What the daily outcomes tell.
    #[must_use]
    pub fn told(campaign: &Campaign) -> Self {
        let mut seen = BTreeSet::new();
        let mut totals = Self::default();
        for row in tables::outcome_rows(campaign) {
            // A dual-fuel installation has a row per metering point, and counts once.
            if seen.insert((row.installation, row.attempt)) {
                *totals.0.entry((row.day, row.cohort, row.result)).or_default() += 1;
            }
        }
        totals
    }

    /// What the journal counts, entry by entry, without the fold.
    #[must_use]
    pub fn counted(entries: &[Entry]) -> Self {
        let mut cohorts: BTreeMap<InstallationId, CohortSlug> = BTreeMap::new();
        let mut gas_left: BTreeSet<InstallationId> = BTreeSet::new();
        let mut attempts: BTreeMap<InstallationId, (u32, Date)> = BTreeMap::new();
        let mut results: BTreeMap<(InstallationId, u32), (Date, &'static str)> = BTreeMap::new();
        for entry in entries {
            let Some(id) = entry.installation else { continue };
            let attempted = |state: State| state == State::Slotted || state.is_frozen();
            let result = match &entry.event {
                Event::Registered(facts) => {
                    cohorts.insert(id, facts.cohort.clone());
                    None
                }
                Event::Slotted { day, .. } => {
                    let (number, on) = attempts.entry(id).or_insert((0, *day));
                    (*number, *on) = (*number + 1, *day);
                    gas_left.remove(&id);
                    None
                }
                Event::LeftOut { .. } => {
                    gas_left.insert(id);
                    None
                }
                Event::Failed { .. } if entry.change.is_some_and(|(from, _)| attempted(from)) => Some("failed"),
                Event::Triaged { .. } if entry.change.is_some_and(|(from, _)| attempted(from)) => Some("failed"),
                Event::Stranded { .. } => Some("stranded"),
                Event::Confirmed if gas_left.contains(&id) => Some("partially-migrated"),
                Event::Confirmed => Some("migrated"),
                _ => None,
            };
            if let (Some(result), Some((number, day))) = (result, attempts.get(&id)) {
                results.insert((id, *number), (*day, result));
            }
        }
        let mut totals = Self::default();
        for ((id, _), (day, result)) in results {
            if let Some(cohort) = cohorts.get(&id) {
                *totals.0.entry((day, cohort.clone(), result)).or_default() += 1;
            }
        }
        totals
    }

    /// The sum of one result; of all with none named.
    #[must_use]
    pub fn sum(&self, result: Option<&str>) -> u32 {
        let of = |(_, _, word): &(Date, CohortSlug, &'static str)| result.is_none_or(|wanted| wanted == *word);
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, count)| count).sum()
    }
}
