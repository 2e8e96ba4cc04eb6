//! A plan in the making, and what rules of the S1SP's side do to it.

use dmc::{S1spEffect, S1spRule, StepPlace, Subject};
use domain::operation::Answer;
use domain::{Confidence, Operation};
use duis::Request;

use super::{Plan, Refused, Step, Target, via};
use crate::errors::Failure;
use crate::table::critical_operations;

/// A step before it has its number.
#[derive(Debug)]
pub(super) struct DraftStep {
    pub(super) operation: Operation,
    pub(super) optional: bool,
    pub(super) answered: Option<Answer>,
    pub(super) rules: Vec<String>,
}

impl DraftStep {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            optional: false,
            answered: None,
            rules: Vec::new(),
        }
    }

    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    fn is_about(&self, subject: Subject) -> bool {
        match (&self.operation, subject) {
            (Operation::Read(item), Subject::Item(other)) => *item == other,
            (Operation::ReadLog { log, .. }, Subject::Log(other)) => *log == other,
            _ => false,
        }
    }
}

/// A plan in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) steps: Vec<DraftStep>,
    pub(super) rules: Vec<String>,
}

impl Draft {
    pub(super) fn apply(&mut self, rule: &S1spRule) -> Result<(), Refused> {
        match &rule.effect {
            S1spEffect::Answer { item, value } => {
                for step in self.steps.iter_mut().filter(|step| step.is_about(Subject::Item(*item))) {
                    step.answered = Some(Answer::Value(value.clone()));
                    step.rules.push(rule.rule.clone());
                }
            }
            S1spEffect::Insert { item, place } => {
                let mut step = DraftStep::new(Operation::Read(*item)).optional();
                step.rules.push(rule.rule.clone());
                let at = match place {
                    StepPlace::First => 0,
                    StepPlace::Last => self.steps.len(),
                };
                self.steps.insert(at, step);
            }
            S1spEffect::Map { subject, .. } => {
                for step in self.steps.iter_mut().filter(|step| step.is_about(*subject)) {
                    step.rules.push(rule.rule.clone());
                }
            }
            S1spEffect::Refuse { reason } => {
                let rule = Some(rule.rule.clone());
                return Err(Refused {
                    rule,
                    ..Refused::new(Failure::RuleRefused, reason.clone())
                });
            }
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
            answered: step.answered,
            rules: step.rules,
        };
        Plan {
            srv: request.srv,
            steps: (1..).zip(self.steps).map(number).collect(),
            rules: self.rules,
            confidence: row.min(target.profile.confidence_for(request.srv)),
        }
    }
}
