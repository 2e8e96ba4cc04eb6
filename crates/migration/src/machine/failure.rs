//! What follows from what was found: another try, another attempt, a case, triage, exclusion. The error table decides.

use domain::SimInstant;

use super::control::Control;
use super::event::{Event, StepRecord};
use super::journal::JournalError;
use super::model::{Exclusion, Installation};
use super::report::{Found, actor};
use super::state::{Actor, State};
use super::work::Work;
use crate::InstallationId;
use crate::settings::{Class, ErrorRow, ErrorTable, Outcome, Owner, Planned, Stage};

/// Something that was found, with its row of the error table.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) row: ErrorRow,
    pub(super) what: Found,
}

impl Finding {
    pub(super) fn new(errors: &ErrorTable, stage: Stage, what: Found) -> Self {
        let stage = what.stage.unwrap_or(stage);
        Self {
            row: errors.find(stage, &what.kind).clone(),
            what,
        }
    }

    /// What a rule found by itself.
    pub(super) fn by_rule(errors: &ErrorTable, stage: Stage, condition: &str, text: impl Into<String>) -> Self {
        Self::new(errors, stage, Found::new(condition).saying(text))
    }

    /// The same, for another owner.
    pub(super) fn owned_by(&self, owner: Owner) -> Self {
        let row = ErrorRow {
            owner,
            ..self.row.clone()
        };
        Self { row, ..self.clone() }
    }

    pub(super) fn class(&self) -> Class {
        self.row.class.unwrap_or(Class::FixSystem)
    }

    /// For cases and reports.
    pub(super) fn words(&self) -> String {
        let found = &self.what;
        let device = found.device.map(|device| format!(" {device}")).unwrap_or_default();
        let detail = if found.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", found.detail)
        };
        format!("{}{device}{detail}", found.kind)
    }

    /// How bad it is: the worst decides.
    fn gravity(&self) -> u8 {
        match (self.row.class, self.row.outcome) {
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
}

impl Control {
    /// Takes in what a party found instead of doing its work.
    pub(super) fn found(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        found: Vec<Found>,
    ) -> Result<(), JournalError> {
        let mut findings: Vec<Finding> = found
            .into_iter()
            .map(|found| Finding::new(&self.settings.errors, work.stage(), found))
            .collect();
        if findings.is_empty() {
            findings.push(Finding::new(&self.settings.errors, work.stage(), Found::new("unknown")));
        }
        // Of equals, what was named first.
        let Some(worst) = findings.iter().rev().max_by_key(|finding| finding.gravity()) else {
            return Ok(());
        };
        match worst.row.outcome {
            Outcome::Continue => self.go_on(now, id, work, worst),
            Outcome::Partial if self.leaves_gas_out(id, &findings) => self.leave_gas_out(now, id, work, worst),
            Outcome::Partial | Outcome::Retry => self.try_or_end(now, id, work, worst, Some(State::RetryWait)),
            Outcome::Stay => self.try_or_end(now, id, work, worst, None),
            Outcome::Hold => {
                self.open_case(now, Some(id), worst)?;
                let reason = worst.row.id.clone();
                self.write(now, actor(work), Some(id), None, Event::Held { reason })
            }
            Outcome::Excluded => {
                let category = worst.row.exclusion.clone().unwrap_or_default();
                self.exclude(now, id, &category, &worst.words(), "rule")
            }
            Outcome::Cancelled => self.cancel(now, id, worst, actor(work)),
            Outcome::Quarantine | Outcome::Triage => self.triage(now, id, worst),
            Outcome::Stranded => self.strand(now, id, worst),
            Outcome::FileHeld | Outcome::FileRejected | Outcome::None | Outcome::RowRejected => {
                let (code, text) = (worst.row.id.clone(), worst.words());
                self.write(now, actor(work), Some(id), None, Event::Noted { code, text })
            }
        }
    }

    /// Tries again, or goes on without what may be left out.
    fn go_on(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        if finding.row.case {
            self.open_case(now, Some(id), finding)?;
        }
        match work {
            Work::Step { step, planned } if self.is_optional(id, *planned) => {
                let record = StepRecord {
                    step: *step,
                    request: planned.request.to_string(),
                    device: planned.device,
                    request_id: String::new(),
                    response_code: String::new(),
                    octets: 0,
                    note: Some((finding.row.id.clone(), finding.words())),
                };
                self.step_done(now, id, record)
            }
            _ => self.try_again(now, id, work, finding),
        }
    }

    fn is_optional(&self, id: InstallationId, planned: Planned) -> bool {
        let Some(installation) = self.campaign.installation(id) else {
            return false;
        };
        let kind = installation
            .facts
            .devices
            .iter()
            .find(|known| known.id == planned.device)
            .map(|known| known.kind);
        let step = self.settings.commissioning.iter().find(|step| {
            (step.request, step.form) == (planned.request, planned.form)
                && kind.is_some_and(|kind| step.per.contains(&kind))
        });
        step.is_some_and(|step| kind.is_some_and(|kind| step.optional_for.contains(&kind)))
    }

    /// Another try, until those of this attempt are used up; then the attempt ends (`to`), or the state stays until
    /// tomorrow or until somebody acts. Once a device may be rotated there is no way back, whatever the table says.
    fn try_or_end(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        finding: &Finding,
        to: Option<State>,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        if installation.may_be_rotated() || self.has_tries_left(installation, finding.class()) {
            return self.try_again(now, id, work, finding);
        }
        self.fail(now, id, finding, to)
    }

    fn has_tries_left(&self, installation: &Installation, class: Class) -> bool {
        let tries = u32::from(self.settings.retry.rule(class).in_attempt_tries);
        tries == 0 || installation.attempt.tries + 1 < tries
    }

    fn try_again(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        // After the point of no return everything is tried for ever, in the rhythm of that class.
        let class = if installation.state.is_forward_only() || installation.may_be_rotated() {
            Class::ForwardOnly
        } else {
            finding.row.class.unwrap_or(Class::Transient)
        };
        let rule = self.settings.retry.rule(class);
        let seed = self
            .seed
            .child(id.0.to_bytes())
            .child(work.word())
            .child(installation.attempt.number.to_be_bytes());
        let event = Event::TryFailed {
            code: finding.row.id.clone(),
            class,
            condition: finding.what.kind.clone(),
            detail: finding.what.detail.clone(),
            not_before: now + rule.pause(installation.attempt.tries + 1, &seed),
        };
        let trying = installation.attempt.trying_since.unwrap_or(now);
        let page = rule.page_after().is_some_and(|after| trying + after <= now) && !installation.attempt.paged;
        self.write(now, actor(work), Some(id), None, event)?;
        if page {
            let text = format!("{} has failed since {trying}: {}", work.word(), finding.words());
            self.open_case(now, Some(id), &finding.owned_by(Owner::Mcc))?;
            self.write(now, Actor::Mcc, Some(id), None, Event::Paged { text })?;
        }
        Ok(())
    }

    /// Whether only gas is at fault and the policy lets electricity go on alone.
    fn leaves_gas_out(&self, id: InstallationId, findings: &[Finding]) -> bool {
        let Some(installation) = self.campaign.installation(id) else {
            return false;
        };
        let has = |kind| installation.in_scope().any(|(facts, _)| facts.kind == kind);
        self.settings.retry.electricity_alone
            && findings
                .iter()
                .all(|finding| matches!(finding.row.outcome, Outcome::Partial | Outcome::Continue))
            && installation.state == State::SecretsDelivered
            && has(domain::DeviceKind::Gsme)
            && has(domain::DeviceKind::Esme)
    }

    /// Drops the gas meter from this migration, once the tries of this attempt are used up.
    fn leave_gas_out(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        work: &Work,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        if self.has_tries_left(installation, finding.class()) {
            return self.try_again(now, id, work, finding);
        }
        let gas = installation
            .in_scope()
            .find(|(facts, _)| facts.kind == domain::DeviceKind::Gsme);
        let Some(device) = gas.map(|(facts, _)| facts.id) else {
            return Ok(());
        };
        let exclusion = Exclusion {
            category: finding.row.exclusion.clone().unwrap_or_default(),
            evidence: finding.words(),
            by: "rule".into(),
            on: self.today(now),
        };
        self.write(now, Actor::Cp, Some(id), None, Event::LeftOut { device, exclusion })
    }
}
