//! What reports and gates count: slots, outcomes of attempts, upgrades, notices, steps.

use domain::SimInstant;
use jiff::civil::Date;

use super::{AttemptOutcome, AttemptResult, Campaign, NoticeRecord, UpgradeCount, combination_text};
use crate::InstallationId;
use crate::day::day_of;
use crate::machine::event::{Entry, Event};
use crate::machine::model::Failure;
use crate::machine::state::State;
use crate::settings::CohortSlug;

impl Campaign {
    /// What reports and gates count.
    pub(super) fn count(&mut self, id: InstallationId, entry: &Entry) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let cohort = installation.facts.cohort.clone();
        let attempt = &installation.attempt;
        let day = attempt.day.unwrap_or_else(|| day_of(entry.at));
        match &entry.event {
            Event::Slotted { day, .. } => {
                let unit = installation
                    .facts
                    .points
                    .iter()
                    .zip(&installation.points)
                    .find(|(facts, _)| facts.active)
                    .and_then(|(_, progress)| progress.authorisation.as_ref())
                    .map(|authorisation| authorisation.supplier);
                let count = self.cohorts.entry(cohort).or_default().days.entry(*day).or_default();
                count.slotted += 1;
                *count.by_supplier.entry(unit).or_default() += 1;
            }
            Event::Failed { failure, .. } if is_attempt(failure.state) => {
                let result = AttemptResult::Failed(failure.clone());
                self.outcome(id, day, entry.at, result);
            }
            Event::Triaged { code, .. } if is_attempt(installation.state) => {
                let failure = Failure {
                    code: code.clone(),
                    class: crate::settings::Class::Fatal,
                    condition: "triage".into(),
                    detail: String::new(),
                    state: installation.state,
                    counted: false,
                    day: Some(day),
                };
                self.outcome(id, day, entry.at, AttemptResult::Failed(failure));
            }
            Event::Stranded { code } => self.outcome(id, day, entry.at, AttemptResult::Stranded { code: code.clone() }),
            Event::Confirmed => {
                let result = if installation.is_partial() {
                    AttemptResult::Partial
                } else {
                    AttemptResult::Migrated
                };
                self.outcome(id, day, entry.at, result);
            }
            Event::Notice {
                notice,
                mpxn,
                firmware,
                planned,
            } => self.notices.push(NoticeRecord {
                notice: notice.clone(),
                installation: id,
                mpxn: *mpxn,
                firmware: *firmware,
                sent: entry.at,
                planned: *planned,
            }),
            Event::UpgradeNeeded { epcl, upgrades } => {
                let key = (cohort, combination_text(&installation.facts), epcl.clone());
                self.upgrades.entry(key).or_default().planned += u32::try_from(upgrades.len()).unwrap_or(u32::MAX);
            }
            Event::Upgraded { .. } => self.count_upgrade(id, |count| count.upgraded += 1),
            Event::TryFailed { condition, .. } if installation.state == State::NeedsFirmware => {
                let missing = condition == "image-missing";
                self.count_upgrade(id, |count| {
                    if missing {
                        count.no_image += 1
                    } else {
                        count.failed += 1
                    }
                });
            }
            Event::Failed { failure, .. } if installation.state == State::NeedsFirmware => {
                let missing = failure.condition == "image-missing";
                self.count_upgrade(id, |count| {
                    if missing {
                        count.no_image += 1
                    } else {
                        count.failed += 1
                    }
                });
            }
            Event::StepDone(step) => self.steps.entry(id).or_default().push((entry.at, step.clone())),
            _ => {}
        }
    }

    fn count_upgrade(&mut self, id: InstallationId, count: impl FnOnce(&mut UpgradeCount)) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let Some(epcl) = &installation.epcl else { return };
        let of = |(cohort, _, to): &(CohortSlug, String, String)| *cohort == installation.facts.cohort && to == epcl;
        if let Some((_, found)) = self.upgrades.iter_mut().find(|(key, _)| of(key)) {
            count(found);
        }
    }

    /// Writes down how an attempt ended; a stranded one that recovers keeps its place.
    fn outcome(&mut self, id: InstallationId, day: Date, at: SimInstant, result: AttemptResult) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let number = installation.attempt.number;
        let cohort = self.cohorts.entry(installation.facts.cohort.clone()).or_default();
        let success = result.is_success();
        let known = self.last_outcome.get(&id).copied();
        let known = known.filter(|at| self.outcomes[*at].attempt == number);
        match known {
            Some(position) => {
                let before = self.outcomes[position].result.is_success();
                self.outcomes[position].result = result;
                self.outcomes[position].at = at;
                let count = cohort.days.entry(day).or_default();
                count.migrated = count.migrated + u32::from(success) - u32::from(before);
            }
            None => {
                self.last_outcome.insert(id, self.outcomes.len());
                let count = cohort.days.entry(day).or_default();
                count.attempted += 1;
                count.migrated += u32::from(success);
                self.outcomes.push(AttemptOutcome {
                    installation: id,
                    attempt: number,
                    day,
                    at,
                    result,
                });
            }
        }
        cohort.recent.push_back(success);
        while cohort.recent.len() > usize::from(self.settings.retry.batch_stop.window) {
            cohort.recent.pop_front();
        }
    }
}

/// Whether something that fails in this state is an attempt.
fn is_attempt(state: State) -> bool {
    state == State::Slotted || state.is_frozen()
}
