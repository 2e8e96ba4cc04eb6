//! A plan while the rules of a device's profile are being applied to it.

use dmc::{S1spEffect, S1spRule, StepPlace, Subject};
use domain::operation::{Answer, OperationKind, Value};
use domain::{Confidence, Operation, SimDuration, SupplyState};
use duis::Request;

use super::{Derived, Plan, Refused, Step, Target, via};
use crate::errors::Failure;
use crate::table::critical_operations;

/// One step that is not numbered yet.
#[derive(Clone, Debug)]
pub(super) struct DraftStep {
    operation: Operation,
    optional: bool,
    expects: Option<Value>,
    answered: Option<Answer>,
    refused: Option<String>,
    cached_for: Option<SimDuration>,
    rules: Vec<String>,
}

impl DraftStep {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            optional: false,
            expects: None,
            answered: None,
            refused: None,
            cached_for: None,
            rules: Vec::new(),
        }
    }

    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The plan ends here unless the device answers this.
    pub(super) fn expecting(self, value: Value) -> Self {
        Self {
            expects: Some(value),
            ..self
        }
    }

    fn is_about(&self, subject: Subject) -> bool {
        match (self.operation.kind(), subject) {
            (OperationKind::Read(item), Subject::Item(other)) => item == other,
            (OperationKind::ReadLog(log), Subject::Log(other)) => log == other,
            (act, Subject::Act(other)) => act == other,
            _ => false,
        }
    }
}

/// Steps in their order, and what rules said beyond single steps.
#[derive(Debug)]
pub(super) struct Draft {
    steps: Vec<DraftStep>,
    derived: Vec<Derived>,
    continues: bool,
    accepts: Vec<SupplyState>,
    rules: Vec<String>,
}

impl Draft {
    pub(super) fn new(steps: Vec<DraftStep>) -> Self {
        Self {
            steps,
            derived: Vec::new(),
            continues: false,
            accepts: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// Where the rule refuses the whole request, or is of a kind that this planner does not know.
    pub(super) fn apply(&mut self, rule: &S1spRule) -> Result<(), Refused> {
        match &rule.effect {
            S1spEffect::Accept { state } => self.accepts.push(*state),
            S1spEffect::Answer { item, value } => {
                self.each(rule, Subject::Item(*item), |step| {
                    step.answered = Some(Answer::Value(value.clone()));
                });
            }
            S1spEffect::Cache { subject, max_age } => {
                self.each(rule, *subject, |step| step.cached_for = Some(*max_age));
            }
            S1spEffect::Clip { subject, .. } | S1spEffect::Map { subject, .. } => self.each(rule, *subject, |_| {}),
            S1spEffect::Continue => self.continues = true,
            S1spEffect::Derive { item, how, from } => self.derive(
                rule,
                &Derived {
                    item: *item,
                    how: *how,
                    from: from.clone(),
                },
            ),
            // Who holds a request is asked before there is a plan.
            S1spEffect::Hold { .. } => {}
            S1spEffect::Insert { item, place } => {
                let mut step = DraftStep::new(Operation::Read(*item)).optional();
                step.rules.push(rule.rule.clone());
                self.put(step, *place);
            }
            S1spEffect::Partial { subject } => self.each(rule, *subject, |step| step.optional = true),
            S1spEffect::Refuse { subject: None, reason } => {
                let rule = Some(rule.rule.clone());
                return Err(Refused {
                    rule,
                    ..Refused::new(Failure::RuleRefused, reason.clone())
                });
            }
            S1spEffect::Refuse {
                subject: Some(subject),
                reason,
            } => self.each(rule, *subject, |step| step.refused = Some(reason.clone())),
            S1spEffect::Reorder { subject, place } => self.reorder(rule, *subject, *place),
            S1spEffect::Replace { subject, by } => self.each(rule, *subject, |step| {
                step.operation = replaced(&step.operation, *by);
            }),
            S1spEffect::Skip { subject } => self.steps.retain(|step| !step.is_about(*subject)),
            other => {
                return Err(Refused::new(
                    Failure::NotEmulated,
                    format!("the planner does not know the rule {other:?}"),
                ));
            }
        }
        self.rules.push(rule.rule.clone());
        Ok(())
    }

    /// Changes the steps that are about a subject.
    fn each(&mut self, rule: &S1spRule, subject: Subject, change: impl Fn(&mut DraftStep)) {
        for step in self.steps.iter_mut().filter(|step| step.is_about(subject)) {
            change(step);
            step.rules.push(rule.rule.clone());
        }
    }

    fn put(&mut self, step: DraftStep, place: StepPlace) {
        match place {
            StepPlace::First => self.steps.insert(0, step),
            StepPlace::Last => self.steps.push(step),
        }
    }

    fn reorder(&mut self, rule: &S1spRule, subject: Subject, place: StepPlace) {
        let Some(at) = self.steps.iter().position(|step| step.is_about(subject)) else {
            return;
        };
        let mut step = self.steps.remove(at);
        step.rules.push(rule.rule.clone());
        self.put(step, place);
    }

    /// Reads of the sources stand where the read of the item stood; a source that is read anyway is not read twice.
    fn derive(&mut self, rule: &S1spRule, derived: &Derived) {
        let Some(at) = self
            .steps
            .iter()
            .position(|step| step.is_about(Subject::Item(derived.item)))
        else {
            return;
        };
        let replaced = self.steps.remove(at);
        let missing: Vec<DraftStep> = derived
            .from
            .iter()
            .filter(|item| !self.steps.iter().any(|step| step.is_about(Subject::Item(**item))))
            .map(|item| DraftStep {
                operation: Operation::Read(*item),
                rules: vec![rule.rule.clone()],
                ..replaced.clone()
            })
            .collect();
        self.steps.splice(at..at, missing);
        self.derived.push(derived.clone());
    }

    pub(super) fn finish(self, request: &Request, target: &Target<'_>, row: Confidence) -> Plan {
        let critical = critical_operations();
        let number = |(position, step): (u32, DraftStep)| Step {
            position,
            device: target.device,
            kind: target.kind,
            via: via(target.kind, &step.operation),
            critical: critical.contains(&step.operation),
            operation: step.operation,
            optional: step.optional,
            expects: step.expects,
            answered: step.answered,
            refused: step.refused,
            cached_for: step.cached_for,
            rules: step.rules,
        };
        Plan {
            srv: request.srv,
            steps: (1..).zip(self.steps).map(number).collect(),
            derived: self.derived,
            continues: self.continues,
            accepts: self.accepts,
            rules: self.rules,
            confidence: row.min(target.profile.confidence_for(request.srv)),
        }
    }
}

/// The operation that stands in the place of another, with that one's arguments.
fn replaced(operation: &Operation, by: Subject) -> Operation {
    match (operation, by) {
        (Operation::Read(_), Subject::Item(item)) => Operation::Read(item),
        (Operation::ReadLog { from, to, .. }, Subject::Log(log)) => Operation::ReadLog {
            log,
            from: *from,
            to: *to,
        },
        // The only act that rules may put in another's place: profiles refuse all others.
        (Operation::EnableSupply, Subject::Act(OperationKind::ArmSupply)) => Operation::ArmSupply,
        _ => operation.clone(),
    }
}

/// What an answer to a replaced read is taken for: the item or log that the request is about.
pub(crate) fn answers_for(effect: &S1spEffect, operation: &Operation) -> Option<Operation> {
    let S1spEffect::Replace { subject, by } = effect else {
        return None;
    };
    match (operation, subject, by) {
        (Operation::Read(item), Subject::Item(asked), Subject::Item(read)) if item == read => {
            Some(Operation::Read(*asked))
        }
        (Operation::ReadLog { log, from, to }, Subject::Log(asked), Subject::Log(read)) if log == read => {
            Some(Operation::ReadLog {
                log: *asked,
                from: *from,
                to: *to,
            })
        }
        _ => None,
    }
}
