//! From the outcomes of a plan's steps to what the S1SP signs: payload, debug entries, message code, response code.
//!
//! Whether a request succeeded is judged by effect: every step that is not optional was done, and where the state was
//! read after an act it is the state asked for (inferred from the SEC glossary on Equivalent Steps).

use dmc::{S1spEffect, Subject};
use domain::operation::{Answer, Outcome, Quantity, Setting, SupplyState, Unit, Value};
use domain::{Confidence, DataItem, LogRow, Operation, Refusal, SimInstant};
use duis::{Element, Request, ResponseCode};

use crate::errors::Failure;
use crate::message_code::message_code;
use crate::payload::{self, Values};
use crate::plan::{Plan, Step, Target, answers_for};
use crate::table::table;

/// What became of one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepOutcome {
    /// Which step.
    pub position: u32,
    /// What became of it.
    pub result: StepResult,
    /// When the device answered, as the head end knows it.
    pub at: Option<SimInstant>,
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepResult {
    /// The device answered: done, values or a refusal.
    Device(Outcome),
    /// No answer of the device: what failed in the chain, and why in words.
    Failed(Failure, String),
    /// Not tried, because an earlier step failed.
    NotTried,
}

/// What the S1SP answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Smets1Payload {
    /// The `…Rsp` element, with `MessageSuccess`; `None` when no step brought anything from the device and
    /// [`response_code`](Self::response_code) says why.
    pub payload: Option<Element>,
    /// The element `DebugInfo`, when some step has something to report.
    pub debug: Option<Element>,
    /// Value of `MessageSuccess`.
    pub success: bool,
    /// Four hexadecimal digits for the header, where a code is known.
    pub message_code: Option<String>,
    /// Code of the outer response: I0 whenever the device had a word in it.
    pub response_code: ResponseCode,
    /// The failure behind a code other than I0.
    pub failure: Option<Failure>,
    /// Time for the header: the last answer of the device, or now.
    pub at: SimInstant,
    /// The weakest confidence that touched it.
    pub confidence: Confidence,
    /// Ids of the rules that touched it.
    pub rules: Vec<String>,
}

/// Makes the answer to `request` out of what became of the steps of its plan. A step without outcome counts as not tried.
#[must_use]
pub fn respond(
    request: &Request,
    target: &Target<'_>,
    plan: &Plan,
    outcomes: &[StepOutcome],
    now: SimInstant,
) -> Smets1Payload {
    let mut run = Run {
        values: Values::default(),
        reports: Vec::new(),
        success: true,
        spoke: false,
        broken: None,
    };
    for step in &plan.steps {
        let outcome = outcomes.iter().find(|outcome| outcome.position == step.position);
        run.take(step, outcome, target);
    }
    for derived in &plan.derived {
        run.values.derive(derived);
    }
    run.check_effect(plan);
    let row = table().row(plan.srv);
    // A class with code I0 is a word about the device, by the hub: then the payload says that it failed.
    let failure = run
        .broken
        .filter(|class| !run.spoke && class.response_code() != ResponseCode::I0);
    let payload = match failure {
        Some(_) => None,
        None => row.and_then(|row| row.payload).map(|name| {
            let (element, cut) = payload::build(name, target, &run.values, run.success);
            if let Some(report) = cut {
                // Rows are those of the first log that was read: a second one only accompanies it.
                let mut logs = plan.steps.iter();
                let log = logs.find(|step| matches!(step.operation, Operation::ReadLog { .. }));
                let position = log.map_or(report.position, |step| step.position);
                run.reports.push(Report { position, ..report });
                run.reports.sort_by_key(|report| report.position);
            }
            element
        }),
    };
    let classes = run.reports.iter().map(|report| report.class.entry().confidence);
    let confidence = classes
        .chain(failure.map(|class| class.entry().confidence))
        .fold(plan.confidence, Ord::min);
    let code = row.and_then(|row| message_code(row, request, target.kind));
    Smets1Payload {
        payload,
        debug: debug_info(&run.reports),
        success: run.success,
        message_code: code.map(|code| format!("{code:04X}")),
        response_code: failure.map_or(ResponseCode::I0, Failure::response_code),
        failure,
        at: outcomes.iter().filter_map(|outcome| outcome.at).max().unwrap_or(now),
        confidence,
        rules: touched(request, target, plan),
    }
}

/// The rules of the plan, then those of the profile that name this request.
fn touched(request: &Request, target: &Target<'_>, plan: &Plan) -> Vec<String> {
    let mut rules = plan.rules.clone();
    for rule in target
        .profile
        .rules_for(request.srv)
        .filter(|rule| !rule.requests.is_empty())
    {
        if !rules.contains(&rule.id) {
            rules.push(rule.id.clone());
        }
    }
    rules
}

/// One debug entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) position: u32,
    pub(crate) class: Failure,
    pub(crate) text: String,
}

struct Run {
    values: Values,
    reports: Vec<Report>,
    success: bool,
    /// The device had a word.
    spoke: bool,
    /// The first failure of the chain.
    broken: Option<Failure>,
}

impl Run {
    fn take(&mut self, step: &Step, outcome: Option<&StepOutcome>, target: &Target<'_>) {
        if let Some(reason) = &step.refused {
            self.report(step, Failure::RuleRefused, format!("{}: {reason}", step.operation));
            return;
        }
        let answered = step.answered.clone().map(|answer| StepResult::Device(Ok(answer)));
        let result = answered.as_ref().or(outcome.map(|outcome| &outcome.result));
        match result {
            Some(StepResult::Device(Ok(answer))) => {
                self.spoke |= step.answered.is_none();
                if !step.is_as_expected(answer) {
                    let text = format!("{}: the request is for another state of the device", step.operation);
                    self.report(step, Failure::WrongState, text);
                } else if states_energy(&changed(answer, step, target), step) {
                    // The schema's gas values are cubic metres without a word about it.
                    let text = format!("{} states energy where the answer has cubic metres", step.operation);
                    self.report(step, Failure::UnexpectedValue, text);
                } else if !self
                    .values
                    .take(&asked_for(step, target), &changed(answer, step, target))
                {
                    let text = format!("{} answered with something else", step.operation);
                    self.report(step, Failure::UnexpectedValue, text);
                }
            }
            Some(StepResult::Device(Err(refusal))) => {
                self.spoke = true;
                if let Refusal::Image(fault) = refusal {
                    self.values.activation = Some(Err(*fault));
                }
                self.report(
                    step,
                    Failure::of_refusal(refusal),
                    format!("{}: {refusal}", step.operation),
                );
            }
            Some(StepResult::Failed(class, reason)) => {
                self.broken = self.broken.or(Some(*class));
                self.report(step, *class, format!("{}: {reason}", step.operation));
            }
            Some(StepResult::NotTried) | None => {
                self.report(step, Failure::NotTried, format!("{}: not tried", step.operation));
            }
        }
    }

    fn report(&mut self, step: &Step, class: Failure, text: String) {
        self.success &= step.optional;
        self.reports.push(Report {
            position: step.position,
            class,
            text,
        });
    }

    /// Compares the mode of payment read after a change with the one asked for.
    fn check_mode(&mut self, plan: &Plan) {
        let Some(mode) = self.values.payment_mode() else { return };
        for step in &plan.steps {
            let Operation::Write(setting) = &step.operation else {
                continue;
            };
            let Setting::PaymentMode(wanted) = **setting else {
                continue;
            };
            let failed = self.reports.iter().any(|report| report.position == step.position);
            if wanted.mode != mode && !failed {
                self.success = false;
                self.reports.push(Report {
                    position: step.position,
                    class: Failure::StateDiffers,
                    text: format!("after {} the mode is {mode:?}", step.operation),
                });
            }
        }
        self.reports.sort_by_key(|report| report.position);
    }

    /// Whether the supply was looked at after an act: what was seen before says nothing about it.
    fn is_seen_after(&self, act: &Step, plan: &Plan) -> bool {
        let mut looks = plan.steps.iter().filter(|step| step.position > act.position);
        looks.any(|step| {
            let looks = step.operation == Operation::Read(DataItem::SupplyState);
            looks && !self.reports.iter().any(|report| report.position == step.position)
        })
    }

    /// Compares the state read after an act with the one asked for.
    fn check_effect(&mut self, plan: &Plan) {
        self.check_mode(plan);
        let Some(state) = self.values.supply() else { return };
        for step in &plan.steps {
            let wanted = match step.operation {
                Operation::EnableSupply => state == SupplyState::Enabled,
                Operation::DisableSupply => state == SupplyState::Disabled,
                // The consumer may have closed the switch between the two steps.
                Operation::ArmSupply => state != SupplyState::Disabled,
                _ => true,
            };
            let failed = self.reports.iter().any(|report| report.position == step.position);
            if !wanted && !failed && self.is_seen_after(step, plan) && !plan.accepts.contains(&state) {
                let text = format!("after {} the supply is {state:?}", step.operation);
                self.success = false;
                self.reports.push(Report {
                    position: step.position,
                    class: Failure::StateDiffers,
                    text,
                });
            }
        }
        self.reports.sort_by_key(|report| report.position);
    }
}

/// The rules of the profile that were applied to this step.
fn effects<'t>(step: &'t Step, target: &'t Target<'_>) -> impl Iterator<Item = &'t S1spEffect> {
    let rules = target.profile.s1sp.iter();
    rules
        .filter(|rule| step.rules.contains(&rule.rule))
        .map(|rule| &rule.effect)
}

/// The operation whose answer the request wants: another than the step's where a rule replaced that.
fn asked_for(step: &Step, target: &Target<'_>) -> Operation {
    effects(step, target)
        .find_map(|effect| answers_for(effect, &step.operation))
        .unwrap_or_else(|| step.operation.clone())
}

/// The answer with the map and clip rules of this step applied, in their order.
fn changed(answer: &Answer, step: &Step, target: &Target<'_>) -> Answer {
    let mut answer = answer.clone();
    for effect in effects(step, target) {
        match effect {
            S1spEffect::Clip { subject, min, max } => each(&mut answer, *subject, |quantity| {
                quantity.value = quantity.value.min(max.unwrap_or(i64::MAX)).max(min.unwrap_or(i64::MIN));
            }),
            S1spEffect::Map {
                subject,
                numerator,
                denominator,
                unit,
            } => each(&mut answer, *subject, |quantity| {
                let scaled = quantity.value.saturating_mul(*numerator).checked_div(*denominator);
                quantity.value = scaled.unwrap_or(quantity.value);
                quantity.unit = unit.unwrap_or(quantity.unit);
            }),
            _ => {}
        }
    }
    answer
}

/// Whether a gas meter states as energy what its answers have as volume.
fn states_energy(answer: &Answer, step: &Step) -> bool {
    let energy = |quantity: &Quantity| quantity.unit == Unit::WattHour;
    step.kind.is_gas()
        && match answer {
            Answer::Value(Value::Quantity(quantity) | Value::Stamped(quantity, _)) => energy(quantity),
            Answer::Value(Value::Table(table)) => table.iter().any(|(_, quantity)| energy(quantity)),
            Answer::Log(rows) => rows
                .iter()
                .flat_map(|row| &row.values)
                .any(|(_, quantity)| energy(quantity)),
            _ => false,
        }
}

/// Changes every quantity of an answer that a rule is about.
fn each(answer: &mut Answer, subject: Subject, change: impl Fn(&mut Quantity)) {
    match (answer, subject) {
        (Answer::Value(Value::Quantity(quantity) | Value::Stamped(quantity, _)), Subject::Item(_)) => change(quantity),
        (Answer::Value(Value::Table(table)), Subject::Item(_)) => {
            table.iter_mut().for_each(|(_, quantity)| change(quantity));
        }
        (Answer::Log(rows), Subject::Log(_)) => {
            rows.iter_mut()
                .flat_map(|row: &mut LogRow| &mut row.values)
                .for_each(|(_, quantity)| change(quantity));
        }
        _ => {}
    }
}

/// Longest `Error` the schema takes, in characters.
const ERROR_MAX: usize = 250;
/// `ResponseCode` of an entry whose class has none of its own.
const DEBUG_OTHER: u16 = 999;

fn debug_info(reports: &[Report]) -> Option<Element> {
    let entry = |report: &Report| {
        let code = report.class.entry().debug.unwrap_or(DEBUG_OTHER);
        let text = printable(&report.text);
        Element::ra("SMETS1Response")
            .with_attribute("ResponseCode", code.to_string())
            .with_attribute("Position", report.position.to_string())
            .with_leaf("Error", text)
    };
    if reports.is_empty() {
        return None;
    }
    Some(Element::ra("DebugInfo").with(Element::ra("SMETS1Debug").with_all(reports.iter().map(entry))))
}

/// Cut to the schema's length, without characters XML cannot carry.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(ERROR_MAX)
        .collect()
}
