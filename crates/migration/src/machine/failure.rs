//! What follows from what was found: tries, retries, cases, pauses, triage, exclusion. The error table decides.

use domain::SimInstant;

use super::control::Control;
use super::event::{CaseAct, CaseRecord, Event, StepRecord};
use super::journal::JournalError;
use super::model::{Exclusion, Failure, Installation, Unwind};
use super::report::{Found, actor};
use super::state::{Actor, State};
use super::work::Work;
use crate::InstallationId;
use crate::day::{instant, plus_days};
use crate::planning::authorisation::Fuel;
use crate::settings::{Class, ErrorRow, Outcome, Owner, Stage};

impl Control {
    /// Takes in what a party found instead of doing its work.
    pub(super) fn found(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        found: Vec<Found>,
    ) -> Result<(), JournalError> {
        let found = if found.is_empty() {
            vec![Found::new("unknown")]
        } else {
            found
        };
        let rows: Vec<(ErrorRow, Found)> = found
            .into_iter()
            .map(|found| {
                let stage = found.stage.unwrap_or(work.stage());
                (self.settings.errors.find(stage, &found.kind).clone(), found)
            })
            .collect();
        // What is worst decides; of equals, what was named first.
        let worst = rows.iter().rev().max_by_key(|(row, _)| gravity(row));
        let Some((row, what)) = worst.cloned() else {
            return Ok(());
        };
        match row.outcome {
            Outcome::Continue => self.go_on(now, id, work, &row, &what),
            Outcome::Partial if self.leaves_gas_out(id, &rows) => self.leave_gas_out(now, id, &row, &what),
            Outcome::Partial | Outcome::Retry => self.retry(now, id, work, &row, &what),
            Outcome::Stay => self.stay(now, id, work, &row, &what),
            Outcome::Hold => {
                self.open_case(now, Some(id), &row, &words(&what))?;
                self.write(now, actor(work), Some(id), None, Event::Held { reason: row.id.clone() })
            }
            Outcome::Excluded => {
                let category = row.exclusion.clone().unwrap_or_default();
                self.exclude(now, id, &category, &words(&what), "rule")
            }
            Outcome::Cancelled => self.cancel(now, id, &row, &words(&what), actor(work)),
            Outcome::Quarantine | Outcome::Triage => self.triage(now, id, &row, &words(&what)),
            Outcome::Stranded => self.strand(now, id, &row, &words(&what)),
            Outcome::FileHeld | Outcome::FileRejected | Outcome::None | Outcome::RowRejected => {
                let event = Event::Noted {
                    code: row.id.clone(),
                    text: words(&what),
                };
                self.write(now, actor(work), Some(id), None, event)
            }
        }
    }

    /// Tries again, or goes on without what may be left out.
    fn go_on(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        row: &ErrorRow,
        what: &Found,
    ) -> Result<(), JournalError> {
        if row.case {
            self.open_case(now, Some(id), row, &words(what))?;
        }
        if let Work::Step { step, request, device } = work
            && self.is_optional(id, work)
        {
            let record = StepRecord {
                step: *step,
                request: request.to_string(),
                device: *device,
                request_id: String::new(),
                response_code: String::new(),
                octets: 0,
                note: Some((row.id.clone(), words(what))),
            };
            return self.step_done(now, id, record);
        }
        self.try_again(now, id, work, row, what)
    }

    fn is_optional(&self, id: InstallationId, work: &Work) -> bool {
        let Work::Step { request, device, .. } = work else {
            return false;
        };
        let Some(installation) = self.campaign.installation(id) else {
            return false;
        };
        let kind = installation
            .facts
            .devices
            .iter()
            .find(|known| known.id == *device)
            .map(|known| known.kind);
        let step = self
            .settings
            .commissioning
            .iter()
            .find(|step| step.request == *request && kind.is_some_and(|kind| step.per.contains(&kind)));
        step.is_some_and(|step| kind.is_some_and(|kind| step.optional_for.contains(&kind)))
    }

    /// Back to the SMSO, once the tries of this attempt are used up.
    fn retry(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        row: &ErrorRow,
        what: &Found,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        if installation.may_be_rotated() {
            // No way back, whatever the table says about the way there.
            return self.try_again(now, id, work, row, what);
        }
        let class = row.class.unwrap_or(Class::FixSystem);
        let tries = u32::from(self.settings.retry.rule(class).in_attempt_tries);
        if tries == 0 || installation.attempt.tries + 1 < tries {
            return self.try_again(now, id, work, row, what);
        }
        self.fail(now, id, row, &words(what), &what.kind, Some(State::RetryWait))
    }

    /// The state stays: once the tries are used up, until tomorrow or until somebody acts.
    fn stay(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        row: &ErrorRow,
        what: &Found,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let class = row.class.unwrap_or(Class::FixSystem);
        let tries = u32::from(self.settings.retry.rule(class).in_attempt_tries);
        if tries == 0 || installation.attempt.tries + 1 < tries {
            return self.try_again(now, id, work, row, what);
        }
        self.fail(now, id, row, &words(what), &what.kind, None)
    }

    fn try_again(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        row: &ErrorRow,
        what: &Found,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let class = row.class.unwrap_or(Class::Transient);
        // After the point of no return everything is tried for ever, in the rhythm of that class.
        let class = if installation.state.is_forward_only() || installation.may_be_rotated() {
            Class::ForwardOnly
        } else {
            class
        };
        let rule = self.settings.retry.rule(class);
        let seed = self
            .seed
            .child(id.0.to_bytes())
            .child(work.word())
            .child(installation.attempt.number.to_be_bytes());
        let event = Event::TryFailed {
            code: row.id.clone(),
            class,
            condition: what.kind.clone(),
            detail: what.detail.clone(),
            not_before: now + rule.pause(installation.attempt.tries + 1, &seed),
        };
        let trying = installation.attempt.trying_since.unwrap_or(now);
        let page = rule.page_after().is_some_and(|after| trying + after <= now) && !installation.attempt.paged;
        self.write(now, actor(work), Some(id), None, event)?;
        if page {
            let text = format!("{} has failed since {trying}: {}", work.word(), words(what));
            let row = ErrorRow {
                owner: Owner::Mcc,
                ..row.clone()
            };
            self.open_case(now, Some(id), &row, &text)?;
            self.write(now, Actor::Mcc, Some(id), None, Event::Paged { text })?;
        }
        Ok(())
    }

    /// Ends an attempt, or stops the way to one (`to` none). What must be undone is undone before anything else.
    pub(super) fn fail(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        text: &str,
        condition: &str,
        to: Option<State>,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let class = row.class.unwrap_or(Class::FixSystem);
        let rule = self.settings.retry.rule(class).clone();
        let unwind = unwind_of(installation);
        let cohort = installation.facts.cohort.clone();
        let failure = Failure {
            code: row.id.clone(),
            class,
            condition: condition.to_owned(),
            detail: text.to_owned(),
            state: installation.state,
            counted: rule.counts && to == Some(State::RetryWait),
            day: installation.attempt.day,
        };
        let tomorrow = self.tomorrow(now);
        if row.case || !rule.automatic {
            self.open_case(now, Some(id), row, text)?;
        }
        if rule.stops_batch {
            self.pause(now, &cohort, &row.id, rule.pause_min)?;
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
    fn stop_batch(&mut self, now: SimInstant, cohort: &crate::settings::CohortSlug) -> Result<(), JournalError> {
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
        cohort: &crate::settings::CohortSlug,
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

    /// Whether only gas is at fault and the policy lets electricity go on alone.
    fn leaves_gas_out(&self, id: InstallationId, rows: &[(ErrorRow, Found)]) -> bool {
        let Some(installation) = self.campaign.installation(id) else {
            return false;
        };
        let has = |kind| installation.in_scope().any(|(facts, _)| facts.kind == kind);
        self.settings.retry.electricity_alone
            && rows
                .iter()
                .all(|(row, _)| matches!(row.outcome, Outcome::Partial | Outcome::Continue))
            && installation.state == State::SecretsDelivered
            && has(domain::DeviceKind::Gsme)
            && has(domain::DeviceKind::Esme)
    }

    /// Drops the gas meter from this migration, once the tries of this attempt are used up.
    fn leave_gas_out(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        what: &Found,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let tries = u32::from(
            self.settings
                .retry
                .rule(row.class.unwrap_or(Class::Transient))
                .in_attempt_tries,
        );
        if installation.attempt.tries + 1 < tries {
            return self.try_again(now, id, &Work::Viability, row, what);
        }
        let gas = installation
            .in_scope()
            .find(|(facts, _)| facts.kind == domain::DeviceKind::Gsme);
        let Some(device) = gas.map(|(facts, _)| facts.id) else {
            return Ok(());
        };
        let exclusion = Exclusion {
            category: row.exclusion.clone().unwrap_or_default(),
            evidence: words(what),
            by: "rule".into(),
            on: self.today(now),
        };
        self.write(now, Actor::Cp, Some(id), None, Event::LeftOut { device, exclusion })
    }

    /// Ends the authorisations, and the migration with them.
    pub(super) fn cancel(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        text: &str,
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
            let event = Event::Unauthorised {
                mpxn,
                why: row.id.clone(),
            };
            self.write(now, actor, Some(id), None, event)?;
        }
        self.fail(now, id, row, text, "cancelled", Some(State::Cancelled))
    }

    pub(super) fn triage(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        text: &str,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let rule = self.settings.retry.rule(row.class.unwrap_or(Class::FixSystem)).clone();
        let unwind = unwind_of(installation);
        let cohort = installation.facts.cohort.clone();
        self.open_case(now, Some(id), row, text)?;
        if rule.stops_batch {
            self.pause(now, &cohort, &row.id, rule.pause_min)?;
        }
        self.forget_work(id);
        let event = Event::Triaged {
            quarantined: rule.quarantines,
            code: row.id.clone(),
            unwind,
        };
        self.write(now, Actor::Mcc, Some(id), Some(State::ManualTriage), event)
    }

    pub(super) fn strand(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        text: &str,
    ) -> Result<(), JournalError> {
        self.open_case(now, Some(id), row, text)?;
        let event = Event::Stranded { code: row.id.clone() };
        self.write(now, Actor::Cp, Some(id), Some(State::Stranded), event)
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

    /// Opens a case, unless there is an open one about the same.
    pub(super) fn open_case(
        &mut self,
        now: SimInstant,
        id: Option<InstallationId>,
        row: &ErrorRow,
        text: &str,
    ) -> Result<(), JournalError> {
        let code = |case: u64| self.campaign.cases.get(&case).map(|case| case.record.code.as_str());
        let known = id.is_some_and(|id| self.campaign.open_cases_of(id).any(|case| code(case) == Some(&row.id)));
        if known {
            return Ok(());
        }
        let attempt = id
            .and_then(|id| self.campaign.installation(id))
            .map_or(0, |known| known.attempt.number);
        let record = CaseRecord {
            case: self.campaign.cases.last_key_value().map_or(1, |(last, _)| last + 1),
            attempt,
            code: row.id.clone(),
            class: row.class,
            owner: row.owner,
            text: text.to_owned(),
        };
        self.write(now, Actor::Mcc, id, None, Event::CaseOpened(record))
    }

    /// Resolves all open cases of an installation.
    pub(super) fn close_cases(&mut self, now: SimInstant, id: InstallationId, text: &str) -> Result<(), JournalError> {
        let open: Vec<u64> = self.campaign.open_cases_of(id).collect();
        for case in open {
            let event = Event::CaseActed {
                case,
                by: "rule".into(),
                act: CaseAct::Resolve(text.to_owned()),
            };
            self.write(now, Actor::Mcc, Some(id), None, event)?;
        }
        Ok(())
    }

    /// What follows from an installation's state by itself: limits of time, eligibility, exclusion after the last attempt,
    /// the mark before a rotation. Gives whether anything was written.
    pub(super) fn follow(&mut self, now: SimInstant, id: InstallationId) -> Result<bool, JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(false);
        };
        let before = self.head().0;
        let timers = &self.settings.timers;
        let attempt = &installation.attempt;
        let over = |since: Option<SimInstant>, limit| since.is_some_and(|since| since + limit <= now);
        match installation.state {
            state
                if state.is_frozen()
                    && !installation.may_be_rotated()
                    && over(attempt.frozen_at, timers.freeze_max()) =>
            {
                let row = self.settings.errors.find(Stage::Freeze, "freeze-outlived").clone();
                self.fail(
                    now,
                    id,
                    &row,
                    "the freeze lasted too long",
                    "freeze-outlived",
                    Some(State::RetryWait),
                )?;
            }
            State::DcoViable | State::KeysRotated | State::Commissioning | State::Commissioned
                if installation.may_be_rotated()
                    && over(installation.forward_since(), timers.commissioning_total()) =>
            {
                let rotated = installation.keyed().all(|(_, progress)| progress.rotated);
                let (stage, condition) = if rotated {
                    (Stage::Commissioning, "commissioning-outlived")
                } else {
                    (Stage::Rotation, "rotation-outlived")
                };
                let row = self.settings.errors.find(stage, condition).clone();
                self.strand(now, id, &row, "it did not end in time")?;
            }
            State::Confirmed if over(attempt.confirmed_at, timers.smso_decommission()) && !attempt.paged => {
                let row = self.settings.errors.find(Stage::Smso, "no-answer").clone();
                let text = "the SMSO has not forgotten it in time".to_owned();
                self.open_case(now, Some(id), &row, &text)?;
                self.write(now, Actor::Mcc, Some(id), None, Event::Paged { text })?;
            }
            State::Profiled if installation.hold.is_none() => self.judge_eligibility(now, id)?,
            State::Eligible | State::Cancelled
                if installation.unwind == Unwind::default()
                    && installation.hold.is_none()
                    && installation.authorised_days().is_some()
                    && self.entry_of(installation, now).is_some() =>
            {
                self.write(now, Actor::Mcc, Some(id), Some(State::Authorised), Event::AllAuthorised)?;
            }
            State::Authorised | State::Slotted | State::RetryWait if !installation.is_authorised() => {
                let row = self.lost_row(installation);
                self.cancel(now, id, &row, "the authorisation ended", Actor::Supplier)?;
            }
            state if state.is_frozen() && !installation.is_authorised() && !installation.may_be_rotated() => {
                let row = self.lost_row(installation);
                self.roll_back(now, id, &row, "the authorisation was withdrawn", Actor::Supplier)?;
            }
            State::RetryWait if installation.unwind == Unwind::default() => self.judge_attempts(now, id)?,
            State::Discovered | State::NeedsFirmware | State::NeedsConfig
                if installation.unprepared >= self.settings.retry.attempts_max && installation.hold.is_none() =>
            {
                self.judge_preparation(now, id)?;
            }

            _ => {
                let next = installation.next_work(now, false, &self.settings);
                if let Some(Work::Rotate { device, .. }) = next
                    && attempt.rotating != Some(device)
                    && !self.is_busy(id)
                {
                    self.write(now, Actor::Cp, Some(id), None, Event::RotationBegun { device })?;
                }
            }
        }
        Ok(self.head().0 > before)
    }

    /// The code under which an installation lost its authorisation.
    fn lost_row(&self, installation: &Installation) -> ErrorRow {
        let lost = installation
            .lost_by
            .as_ref()
            .and_then(|code| self.settings.errors.row(code));
        lost.unwrap_or_else(|| self.settings.errors.find(Stage::Any, "authorisation-ended"))
            .clone()
    }

    /// After the last counted attempt: an exclusion, by rule or proposed to the MCC.
    fn judge_attempts(&mut self, now: SimInstant, id: InstallationId) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };

        let retry = &self.settings.retry;
        if installation.counted < retry.attempts_max || installation.hold.as_deref() == Some(PROPOSED) {
            return Ok(());
        }
        let row = installation
            .last_failure
            .as_ref()
            .and_then(|failure| self.settings.errors.row(&failure.code))
            .cloned();
        let gas_only = |code: &String| {
            self.settings
                .exclusions
                .iter()
                .any(|known| known.code == *code && known.gas_only)
        };
        let category = row
            .as_ref()
            .and_then(|row| row.exclusion.clone())
            .filter(|code| !gas_only(code));
        let category = category.unwrap_or_else(|| retry.exclusion_after_attempts.clone());
        let evidence = format!(
            "{} counted attempts, the last one {}",
            installation.counted,
            row.as_ref().map_or("", |row| row.id.as_str())
        );
        if retry.exclusion_is_automatic {
            return self.exclude(now, id, &category, &evidence, "rule");
        }
        let row = ErrorRow {
            owner: Owner::Mcc,
            ..row.unwrap_or_else(|| self.settings.errors.find(Stage::Any, "unknown").clone())
        };
        self.open_case(
            now,
            Some(id),
            &row,
            &format!("exclusion {category} proposed: {evidence}"),
        )?;
        self.write(
            now,
            Actor::Mcc,
            Some(id),
            None,
            Event::Held {
                reason: PROPOSED.to_owned(),
            },
        )
    }

    /// After too many days of failed preparation: an exclusion where the code has one, else the MCC decides.
    fn judge_preparation(&mut self, now: SimInstant, id: InstallationId) -> Result<(), JournalError> {
        let Some(failure) = self
            .campaign
            .installation(id)
            .and_then(|known| known.last_failure.clone())
        else {
            return Ok(());
        };
        let unknown = self.settings.errors.find(Stage::Any, "unknown");
        let row = self.settings.errors.row(&failure.code).unwrap_or(unknown).clone();
        let evidence = format!(
            "preparation failed on {} days, last with {}",
            self.settings.retry.attempts_max, row.id
        );
        match &row.exclusion {
            Some(category) if self.settings.retry.exclusion_is_automatic => {
                self.exclude(now, id, &category.clone(), &evidence, "rule")
            }
            _ => {
                self.open_case(now, Some(id), &row, &evidence)?;
                self.write(
                    now,
                    Actor::Mcc,
                    Some(id),
                    None,
                    Event::Held {
                        reason: PROPOSED.to_owned(),
                    },
                )
            }
        }
    }

    /// Back to the SMSO, without another attempt planned.
    pub(super) fn roll_back(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: &ErrorRow,
        text: &str,
        actor: Actor,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let failure = Failure {
            code: row.id.clone(),
            class: row.class.unwrap_or(Class::Defer),
            condition: "rolled-back".into(),
            detail: text.to_owned(),
            state: installation.state,
            counted: false,
            day: installation.attempt.day,
        };
        let event = Event::Failed {
            failure,
            unwind: unwind_of(installation),
            retry_at: None,
        };
        self.forget_work(id);
        self.write(now, actor, Some(id), Some(State::RolledBack), event)
    }

    /// The fuel of a point, for messages.
    pub(super) fn fuel_word(mpxn: domain::Mpxn) -> &'static str {
        match Fuel::of(mpxn) {
            Fuel::Electricity => "electricity",
            Fuel::Gas => "gas",
        }
    }
}

/// Reason of a hold: an exclusion is proposed.
const PROPOSED: &str = "exclusion proposed";

/// Code of a pause after too many failures.
pub const BATCH_STOP: &str = "LAB-BATCH-STOP";

/// How bad a finding is: the worst decides.
fn gravity(row: &ErrorRow) -> u8 {
    match (row.class, row.outcome) {
        (_, Outcome::Continue | Outcome::None) => 0,
        (None, _) => 1,
        (Some(Class::ForwardOnly), _) => 2,
        (Some(Class::Transient), Outcome::Partial) => 3,
        (Some(Class::Transient), _) => 4,
        (Some(Class::Defer), _) => 5,
        (Some(Class::FixData), Outcome::Cancelled) => 7,
        (Some(Class::FixData), Outcome::Excluded) => 8,
        (Some(Class::FixData), _) => 6,
        (Some(Class::FixSystem), _) => 9,
        (Some(Class::Fatal), _) => 10,
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

fn words(found: &Found) -> String {
    let device = found.device.map(|device| format!(" {device}")).unwrap_or_default();
    let detail = if found.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", found.detail)
    };
    format!("{}{device}{detail}", found.kind)
}
