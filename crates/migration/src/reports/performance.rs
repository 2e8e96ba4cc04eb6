//! Numbers by day and week: R04 weekly, R05 public, R06 capacity, R07 errors, R11 firmware, R13 decommissioning.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Inputs, key_counts, percent};
use crate::InstallationType;
use crate::day::week_of;
use crate::machine::campaign::{AttemptOutcome, AttemptResult, combination_text};
use crate::machine::model::Installation;
use crate::machine::state::State;
use crate::settings::CohortSlug;

/// Attempts in scope with their installations.
fn attempts<'a>(inputs: &Inputs<'a>) -> impl Iterator<Item = (&'a AttemptOutcome, &'a Installation)> {
    let inputs = *inputs;
    let outcomes = inputs.campaign.outcomes.iter();
    outcomes
        .filter_map(move |outcome| Some((outcome, inputs.campaign.installation(outcome.installation)?)))
        .filter(move |(_, known)| inputs.covers(known))
}

/// Committed installations of a cohort in a week.
fn committed(inputs: &Inputs<'_>, week: Date, cohort: &CohortSlug) -> u32 {
    let smso = inputs
        .settings()
        .cohort(cohort)
        .map_or("", |cohort| cohort.smso.as_str());
    let of = inputs.campaign.demand.iter().filter(|((supplier, of, day), _)| {
        of == smso && week_of(*day) == week && inputs.supplier.is_none_or(|wanted| wanted == *supplier)
    });
    of.fold(0, |sum, (_, units)| sum.saturating_add(*units))
}

/// Every week and cohort in which something was committed, authorised or attempted.
fn weeks(inputs: &Inputs<'_>) -> BTreeSet<(Date, CohortSlug)> {
    let mut weeks: BTreeSet<(Date, CohortSlug)> = attempts(inputs)
        .map(|(outcome, known)| (week_of(outcome.day), known.facts.cohort.clone()))
        .collect();
    weeks.extend(
        inputs
            .campaign
            .allocations
            .keys()
            .map(|(day, cohort)| (week_of(*day), cohort.clone())),
    );
    weeks.retain(|(_, cohort)| inputs.covers_cohort(cohort));
    weeks
}

pub(super) fn weekly(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let row = |(week, cohort): (Date, CohortSlug)| {
        let of_week: Vec<_> = attempts(inputs)
            .filter(|(outcome, known)| week_of(outcome.day) == week && known.facts.cohort == cohort)
            .collect();
        let attempted: BTreeSet<_> = of_week.iter().map(|(outcome, _)| outcome.installation).collect();
        let authorised: Vec<_> = inputs
            .campaign
            .authorised_in(week)
            .filter_map(|(id, supplier)| Some((inputs.campaign.installation(id)?, supplier)))
            .filter(|(known, supplier)| {
                known.facts.cohort == cohort && inputs.supplier.is_none_or(|wanted| wanted == *supplier)
            })
            .collect();
        let classes = key_counts(of_week.iter().filter_map(|(outcome, _)| match &outcome.result {
            AttemptResult::Failed(failure) => Some(failure.class.as_str()),
            _ => None,
        }));
        let classes: Vec<String> = classes
            .iter()
            .map(|(class, count)| format!("{class}:{count}"))
            .collect();
        let migrated = of_week
            .iter()
            .filter(|(outcome, _)| outcome.result.is_success())
            .count();
        let carried = authorised
            .iter()
            .filter(|(known, _)| !attempted.contains(&known.id()))
            .count();
        vec![
            week.to_string(),
            cohort.to_string(),
            committed(inputs, week, &cohort).to_string(),
            authorised.len().to_string(),
            of_week.len().to_string(),
            migrated.to_string(),
            classes.join(" "),
            carried.to_string(),
        ]
    };
    weeks(inputs).into_iter().map(row).collect()
}

pub(super) fn public(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let mut cumulative: BTreeMap<CohortSlug, usize> = BTreeMap::new();
    let row = |(week, cohort): (Date, CohortSlug)| {
        let of_week: Vec<_> = attempts(inputs)
            .filter(|(outcome, known)| week_of(outcome.day) == week && known.facts.cohort == cohort)
            .collect();
        let migrated = |kind: InstallationType| {
            let of_kind = of_week
                .iter()
                .filter(|(outcome, known)| outcome.result.is_success() && known.facts.installation_type() == kind);
            of_kind.count()
        };
        let kinds = [
            InstallationType::Active,
            InstallationType::Dormant,
            InstallationType::Mixed,
        ]
        .map(migrated);
        let all: usize = kinds.iter().sum();
        let sum = cumulative.entry(cohort.clone()).or_default();
        *sum += all;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        vec![
            week.to_string(),
            cohort.to_string(),
            committed(inputs, week, &cohort).to_string(),
            of_week.len().to_string(),
            kinds[0].to_string(),
            kinds[1].to_string(),
            kinds[2].to_string(),
            percent(count(all), count(of_week.len())),
            sum.to_string(),
        ]
    };
    weeks(inputs).into_iter().map(row).collect()
}

pub(super) fn capacity(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let records = inputs
        .campaign
        .allocations
        .values()
        .filter(|record| inputs.covers_cohort(&record.cohort));
    let row = |record: &crate::machine::event::AllocationRecord| {
        let sum = |of: fn(&(domain::Eui64, u32, u32)) -> u32| record.units.iter().map(of).map(u64::from).sum::<u64>();
        vec![
            record.day.to_string(),
            record.cohort.to_string(),
            record.capacity.to_string(),
            record.reserve.to_string(),
            sum(|(_, demand, _)| *demand).to_string(),
            sum(|(.., units)| *units).to_string(),
            record.d_min.to_string(),
            if record.method.is_empty() { "N" } else { "Y" }.to_owned(),
        ]
    };
    records.map(row).collect()
}

pub(super) fn errors(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let attempted = key_counts(attempts(inputs).map(|(outcome, known)| (outcome.day, known.facts.cohort.clone())));
    let failed = attempts(inputs).filter_map(|(outcome, known)| {
        let (state, code, class) = match &outcome.result {
            AttemptResult::Failed(failure) => (failure.state.as_str(), failure.code.clone(), failure.class.as_str()),
            AttemptResult::Stranded { code } => (State::Stranded.as_str(), code.clone(), "FORWARD-ONLY"),
            AttemptResult::Migrated | AttemptResult::Partial => return None,
        };
        Some((
            outcome.day,
            known.facts.cohort.clone(),
            combination_text(&known.facts),
            state,
            code,
            class,
        ))
    });
    let row =
        |((day, cohort, dmc, state, code, class), count): ((Date, CohortSlug, String, &str, String, &str), u32)| {
            let whole = attempted.get(&(day, cohort.clone())).copied().unwrap_or(0);
            vec![
                day.to_string(),
                cohort.to_string(),
                dmc,
                state.to_owned(),
                code,
                class.to_owned(),
                count.to_string(),
                percent(count, whole),
            ]
        };
    key_counts(failed).into_iter().map(row).collect()
}

pub(super) fn firmware(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let of_cohort = inputs
        .campaign
        .upgrades
        .iter()
        .filter(|((cohort, ..), _)| inputs.covers_cohort(cohort));
    of_cohort
        .map(|((cohort, from, to), count)| {
            vec![
                cohort.to_string(),
                from.clone(),
                to.clone(),
                count.planned.to_string(),
                count.upgraded.to_string(),
                count.failed.to_string(),
                count.no_image.to_string(),
            ]
        })
        .collect()
}

pub(super) fn decommissioning(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let cohorts = inputs
        .campaign
        .cohorts
        .keys()
        .filter(|cohort| inputs.covers_cohort(cohort));
    let row = |cohort: &CohortSlug| {
        let members = inputs
            .campaign
            .installations()
            .filter(|known| known.facts.cohort == *cohort);
        let (mut confirmed, mut removed, mut oldest) = (0u32, 0u32, 0);
        for known in members {
            match known.state {
                State::Migrated | State::PartiallyMigrated => {
                    confirmed += 1;
                    removed += 1;
                }
                State::Confirmed => {
                    confirmed += 1;
                    let since = known.attempt.confirmed_at.unwrap_or(known.since);
                    oldest = oldest.max(inputs.now.since(since).as_millis() / 3_600_000);
                }
                _ => {}
            }
        }
        let smso = inputs
            .settings()
            .cohort(cohort)
            .map(|known| known.smso.clone())
            .unwrap_or_default();
        vec![
            cohort.to_string(),
            smso,
            confirmed.to_string(),
            removed.to_string(),
            (confirmed - removed).to_string(),
            oldest.to_string(),
        ]
    };
    cohorts.map(row).collect()
}
