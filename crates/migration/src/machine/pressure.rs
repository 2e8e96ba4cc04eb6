//! Back-pressure: no more installations of a cohort are frozen at once than the calendar allows, so that a slow party holds
//! the next ones back instead of letting those under way outlive their freeze. A group that has begun is let in whole.

use std::collections::{BTreeMap, BTreeSet};

use domain::SimInstant;

use super::model::Installation;
use super::state::State;
use crate::InstallationId;
use crate::settings::CohortSlug;

/// Who is let in, and who waits. It is read off the campaign: a restart finds it again.
#[derive(Debug, Default)]
pub(super) struct Pressure(BTreeMap<CohortSlug, Cohort>);

#[derive(Debug, Default)]
struct Cohort {
    inside: BTreeMap<InstallationId, String>,
    /// Members inside, by group.
    groups: BTreeMap<String, usize>,
    /// By start of slot and group.
    waiting: BTreeSet<(SimInstant, String, InstallationId)>,
}

impl Pressure {
    /// Takes in where an installation stands now. Gives the group that may be let in because it left.
    pub(super) fn follow(&mut self, known: &Installation) -> Vec<InstallationId> {
        let cohort = self.0.entry(known.facts.cohort.clone()).or_default();
        if known.state.is_frozen() {
            cohort.enter(known);
        } else if known.state != State::Slotted && cohort.leave(known.id()) {
            return cohort.next_group();
        }
        Vec::new()
    }

    /// Whether an installation may be frozen now; else it waits. A group is let in as one: its members share their files,
    /// and those inside would wait for the others.
    pub(super) fn admits(&mut self, known: &Installation, most: u32) -> bool {
        let cohort = self.0.entry(known.facts.cohort.clone()).or_default();
        let group = &known.attempt.group;
        let room = cohort.inside.len() < usize::try_from(most).unwrap_or(usize::MAX);
        if room || cohort.groups.contains_key(group) {
            cohort.enter(known);
            return true;
        }
        cohort.waiting.insert((known.attempt.start, group.clone(), known.id()));
        false
    }
}

impl Cohort {
    fn enter(&mut self, known: &Installation) {
        let group = &known.attempt.group;
        if self.inside.insert(known.id(), group.clone()).is_none() {
            *self.groups.entry(group.clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, id: InstallationId) -> bool {
        let Some(group) = self.inside.remove(&id) else {
            return false;
        };
        let left = self.groups.get_mut(&group).map_or(0, |members| {
            *members -= 1;
            *members
        });
        if left == 0 {
            self.groups.remove(&group);
        }
        true
    }

    fn next_group(&mut self) -> Vec<InstallationId> {
        let Some((_, group, _)) = self.waiting.first().cloned() else {
            return Vec::new();
        };
        let mut next = Vec::new();
        while self.waiting.first().is_some_and(|(_, of, _)| *of == group) {
            next.extend(self.waiting.pop_first().map(|(.., id)| id));
        }
        next
    }
}
