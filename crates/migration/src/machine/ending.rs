//! How an attempt ends otherwise than well, and what must be undone then.

use domain::SimInstant;

use super::control::Control;
use super::event::Event;
use super::failure::Finding;
use super::journal::JournalError;
use super::model::{Exclusion, Failure, Installation, Unwind};
use super::state::{Actor, State};
use crate::InstallationId;
use crate::day::{instant, plus_days};
use crate::settings::{Class, CohortSlug};

/// Code of a pause after too many failures.
pub const BATCH_STOP: &str = "LAB-BATCH-STOP";

impl Control {
    /// Ends an attempt, or stops the way to one (`to` none). What must be undone is undone before anything else.
    pub(super) fn fail(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        finding: &Finding,
        to: Option<State>,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let class = finding.class();
        let rule = self.settings.retry.rule(class).clone();
        let unwind = unwind_of(installation);
        let cohort = installation.facts.cohort.clone();
        let mut failure = failure(installation, finding, class);
        failure.counted = rule.counts && to == Some(State::RetryWait);
        let tomorrow = self.tomorrow(now);
        if finding.row.case || !rule.automatic {
            self.open_case(now, Some(id), finding)?;
        }
        if rule.stops_batch {
            self.pause(now, &cohort, &finding.row.id, rule.pause_min)?;
        }
        let event = Event::Failed {
            failure,
            unwind,
            retry_at: rule.automatic.then_some(tomorrow),
        };
        self.forget_work(id);
        self.write(now, Actor::Mcc, Some(id), to, event)?;
        self.stop_batch(now, &cohort)
    }

    /// The start of the next day's slots.
    fn tomorrow(&self, now: SimInstant) -> SimInstant {
        instant(plus_days(self.today(now), 1), self.settings.calendar.slots.first)
    }

    /// Pauses a cohort when too many of its last attempts failed.
    fn stop_batch(&mut self, now: SimInstant, cohort: &CohortSlug) -> Result<(), JournalError> {
        let rule = self.settings.retry.batch_stop;
        let Some(state) = self.campaign.cohorts.get(cohort) else {
            return Ok(());
        };
        let window = usize::from(rule.window);
        let failed = state.recent.iter().filter(|success| !**success).count();
        if state.paused.is_none()
            && state.recent.len() >= window
            && failed * 100 > usize::from(rule.failed_percent) * window
        {
            self.pause(now, cohort, BATCH_STOP, rule.pause_min)?;
        }
        Ok(())
    }

    pub(super) fn pause(
        &mut self,
        now: SimInstant,
        cohort: &CohortSlug,
        code: &str,
        minutes: u32,
    ) -> Result<(), JournalError> {
        let event = Event::CohortPaused {
            cohort: cohort.clone(),
            code: code.to_owned(),
            until: (minutes > 0).then(|| now + domain::SimDuration::from_mins(minutes.into())),
        };
        self.write(now, Actor::Mcc, None, None, event)
    }

    /// Ends the authorisations, and the migration with them.
    pub(super) fn cancel(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        finding: &Finding,
        actor: Actor,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let authorised: Vec<_> = installation
            .each_point()
            .filter(|(_, progress)| progress.authorisation.is_some())
            .map(|(facts, _)| facts.mpxn)
            .collect();
        for mpxn in authorised {
            let why = finding.row.id.clone();
            self.write(now, actor, Some(id), None, Event::Unauthorised { mpxn, why })?;
        }
        self.fail(now, id, finding, Some(State::Cancelled))
    }

    pub(super) fn triage(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let rule = self.settings.retry.rule(finding.class()).clone();
        let unwind = unwind_of(installation);
        let cohort = installation.facts.cohort.clone();
        self.open_case(now, Some(id), finding)?;
        if rule.stops_batch {
            self.pause(now, &cohort, &finding.row.id, rule.pause_min)?;
        }
        self.forget_work(id);
        let event = Event::Triaged {
            quarantined: rule.quarantines,
            code: finding.row.id.clone(),
            unwind,
        };
        self.write(now, Actor::Mcc, Some(id), Some(State::ManualTriage), event)
    }

    pub(super) fn strand(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        self.open_case(now, Some(id), finding)?;
        let code = finding.row.id.clone();
        self.write(
            now,
            Actor::Cp,
            Some(id),
            Some(State::Stranded),
            Event::Stranded { code },
        )
    }

    pub(super) fn exclude(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        category: &str,
        evidence: &str,
        by: &str,
    ) -> Result<(), JournalError> {
        let exclusion = Exclusion {
            category: category.to_owned(),
            evidence: evidence.to_owned(),
            by: by.to_owned(),
            on: self.today(now),
        };
        self.forget_work(id);
        self.write(
            now,
            Actor::Mcc,
            Some(id),
            Some(State::Excluded),
            Event::Excluded(exclusion),
        )
    }

    /// Back to the SMSO, without another attempt planned.
    pub(super) fn roll_back(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        finding: &Finding,
        actor: Actor,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let event = Event::Failed {
            failure: failure(installation, finding, finding.row.class.unwrap_or(Class::Defer)),
            unwind: unwind_of(installation),
            retry_at: None,
        };
        self.forget_work(id);
        self.write(now, actor, Some(id), Some(State::RolledBack), event)
    }
}

/// How an attempt failed; not counted.
fn failure(installation: &Installation, finding: &Finding, class: Class) -> Failure {
    Failure {
        code: finding.row.id.clone(),
        class,
        condition: finding.what.kind.clone(),
        detail: finding.words(),
        state: installation.state,
        counted: false,
        day: installation.attempt.day,
    }
}

/// What has to be undone when an installation stops here.
fn unwind_of(installation: &Installation) -> Unwind {
    match installation.state {
        State::Slotted | State::Frozen if !installation.may_be_rotated() => Unwind {
            purge: false,
            unfreeze: true,
        },
        state if state.is_frozen() && !installation.may_be_rotated() => Unwind {
            purge: true,
            unfreeze: true,
        },
        _ => Unwind::default(),
    }
}
