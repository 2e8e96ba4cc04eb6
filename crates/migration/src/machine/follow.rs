//! What follows from an installation's state by itself: limits of time, eligibility, lost authorisations, exclusions.

use domain::SimInstant;

use super::control::Control;
use super::event::Event;
use super::failure::Finding;
use super::journal::JournalError;
use super::model::{Installation, Unwind};
use super::report::Found;
use super::state::{Actor, State};
use super::work::Work;
use crate::InstallationId;
use crate::settings::{ErrorRow, Owner, Stage};

/// Reason of a hold: an exclusion is proposed.
const PROPOSED: &str = "exclusion proposed";

impl Control {
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
                let finding = self.by_rule(Stage::Freeze, "freeze-outlived", "the freeze lasted too long");
                self.fail(now, id, &finding, Some(State::RetryWait))?;
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
                let finding = self.by_rule(stage, condition, "it did not end in time");
                self.strand(now, id, &finding)?;
            }
            State::Confirmed if over(attempt.confirmed_at, timers.smso_decommission()) && !attempt.paged => {
                let text = "the SMSO has not forgotten it in time".to_owned();
                let finding = self.by_rule(Stage::Smso, "no-answer", text.clone());
                self.open_case(now, Some(id), &finding)?;
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
                // Cancelled for that fuel: what another supplier authorised holds until its days are over.
                let finding = self.lost(installation, "the authorisation ended");
                self.fail(now, id, &finding, Some(State::Cancelled))?;
            }
            state if state.is_frozen() && !installation.is_authorised() && !installation.may_be_rotated() => {
                let finding = self.lost(installation, "the authorisation was withdrawn");
                self.roll_back(now, id, &finding, Actor::Supplier)?;
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

    pub(super) fn by_rule(&self, stage: Stage, condition: &str, text: impl Into<String>) -> Finding {
        Finding::by_rule(&self.settings.errors, stage, condition, text)
    }

    /// Under what an installation lost its authorisation.
    fn lost(&self, installation: &Installation, text: &str) -> Finding {
        let ended = self.by_rule(Stage::Any, "authorisation-ended", text);
        let code = installation.lost_by.as_ref();
        match code.and_then(|code| self.settings.errors.row(code)) {
            Some(row) => Finding {
                row: row.clone(),
                ..ended
            },
            None => ended,
        }
    }

    /// The row of an installation's last failure; where it has none, that of what nobody foresaw.
    fn last_row(&self, installation: &Installation) -> ErrorRow {
        let code = installation.last_failure.as_ref().map(|failure| &failure.code);
        let row = code.and_then(|code| self.settings.errors.row(code));
        row.unwrap_or_else(|| self.settings.errors.find(Stage::Any, "unknown"))
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
        let row = self.last_row(installation);
        let gas_only = |code: &String| {
            let mut known = self.settings.exclusions.iter();
            known.any(|known| known.code == *code && known.gas_only)
        };
        let category = row.exclusion.clone().filter(|code| !gas_only(code));
        let category = category.unwrap_or_else(|| retry.exclusion_after_attempts.clone());
        let evidence = format!("{} counted attempts, the last one {}", installation.counted, row.id);
        if retry.exclusion_is_automatic {
            return self.exclude(now, id, &category, &evidence, "rule");
        }
        let row = ErrorRow {
            owner: Owner::Mcc,
            ..row
        };
        self.propose(now, id, row, format!("exclusion {category} proposed: {evidence}"))
    }

    /// After too many days of failed preparation: an exclusion where the code has one, else the MCC decides.
    fn judge_preparation(&mut self, now: SimInstant, id: InstallationId) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        if installation.last_failure.is_none() {
            return Ok(());
        }
        let row = self.last_row(installation);
        let evidence = format!(
            "preparation failed on {} days, last with {}",
            self.settings.retry.attempts_max, row.id
        );
        match &row.exclusion {
            Some(category) if self.settings.retry.exclusion_is_automatic => {
                self.exclude(now, id, &category.clone(), &evidence, "rule")
            }
            _ => self.propose(now, id, row, evidence),
        }
    }

    /// Opens a case and holds the installation until somebody decides.
    fn propose(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        row: ErrorRow,
        text: String,
    ) -> Result<(), JournalError> {
        let what = Found::new("exclusion-proposed").saying(text);
        self.open_case(now, Some(id), &Finding { row, what })?;
        let reason = PROPOSED.to_owned();
        self.write(now, Actor::Mcc, Some(id), None, Event::Held { reason })
    }
}
