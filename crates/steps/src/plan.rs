//! Equivalent Steps: what a request becomes for one device.

use std::fmt;

use dmc::{DeviceProfile, S1spEffect, S1spRule, StepPlace, Subject};
use domain::operation::Answer;
use domain::{Confidence, DataItem, DeviceKind, Eui64, LogKind, Operation, SimInstant, Srv};
use duis::{Element, Request};

use crate::errors::Failure;
use crate::table::{critical_operations, table};

/// The device a request is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its identity.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// The hub through which it is reached.
    pub hub: Eui64,
    /// What it is.
    pub profile: &'a DeviceProfile,
}

/// From where a step's answer is to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Via {
    /// From the device itself.
    Device,
    /// From the gas proxy's copy of what the gas meter last reported: the meter itself sleeps (inferred).
    Mirror,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its number, from 1: the `Position` of a debug entry.
    pub position: u32,
    /// The device it is for.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// What is asked of it.
    pub operation: Operation,
    /// From where the answer is to come.
    pub via: Via,
    /// Whether the DCO has to approve it on an enrolled device.
    pub critical: bool,
    /// Whether the request can succeed without it.
    pub optional: bool,
    /// The answer a rule gives in the device's place: then nothing is sent.
    pub answered: Option<Answer>,
    /// Ids of the rules that made it or changed it.
    pub rules: Vec<String>,
}

/// The Equivalent Steps of one request, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The request's service.
    pub srv: Srv,
    /// The steps.
    pub steps: Vec<Step>,
    /// Ids of all rules that touched the plan, also those that left something out.
    pub rules: Vec<String>,
    /// The weakest confidence that touched it.
    pub confidence: Confidence,
}

impl fmt::Display for Plan {
    /// One line per step, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{} {} {}", step.position, step.kind, step.operation)?;
            if step.via == Via::Mirror {
                f.write_str(", from the mirror")?;
            }
            if step.critical {
                f.write_str(", critical")?;
            }
            if step.optional {
                f.write_str(", optional")?;
            }
            if let Some(answer) = &step.answered {
                write!(f, ", answered by the S1SP: {answer:?}")?;
            }
            if !step.rules.is_empty() {
                write!(f, " [{}]", step.rules.join(", "))?;
            }
            writeln!(f)?;
        }
        let rules = if self.rules.is_empty() {
            "none".into()
        } else {
            self.rules.join(", ")
        };
        writeln!(f, "confidence {}; rules: {rules}", self.confidence)
    }
}

/// Why there is no plan. A normal outcome.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{failure}: {text}")]
pub struct Refused {
    /// The class.
    pub failure: Failure,
    /// What in particular.
    pub text: String,
    /// The rule that refuses, if one does.
    pub rule: Option<String>,
}

impl Refused {
    fn new(failure: Failure, text: impl Into<String>) -> Self {
        Self {
            failure,
            text: text.into(),
            rule: None,
        }
    }
}

/// When a future-dated request is to be executed; `None` for one on demand.
///
/// SMETS1 devices hold none (inferred): who holds the request is up to the DCC and the S1SP.
///
/// # Errors
/// A date that cannot be read.
pub fn execution_at(request: &Request) -> Result<Option<SimInstant>, Refused> {
    request.body.child_text("ExecutionDateTime").map(instant).transpose()
}

/// The Equivalent Steps of a request for this device.
///
/// # Errors
/// The request does not apply to the device, is not emulated, has arguments that cannot be read, or a rule of the
/// device's profile refuses it.
pub fn plan(request: &Request, target: &Target<'_>) -> Result<Plan, Refused> {
    let row = table()
        .row(request.srv)
        .ok_or_else(|| Refused::new(Failure::Schema, format!("there is no service request {}", request.srv)))?;
    row.applies_to(target.kind)
        .map_err(|failure| Refused::new(failure, format!("{} {} on a {}", row.srv, row.name, target.kind)))?;
    if request.body.name != row.body {
        return Err(Refused::new(
            Failure::Schema,
            format!("{} holds {}, not {}", row.srv, request.body.name, row.body),
        ));
    }
    let mut draft = Draft {
        steps: basic_steps(request, target)?,
        rules: Vec::new(),
    };
    for rule in target.profile.s1sp.iter().filter(|rule| rule.request == request.srv) {
        draft.apply(rule)?;
    }
    Ok(draft.finish(request, target, row.confidence))
}

/// Reads all of which have to succeed.
fn reads(items: &[DataItem]) -> Vec<DraftStep> {
    items
        .iter()
        .map(|item| DraftStep::new(Operation::Read(*item)))
        .collect()
}

fn basic_steps(request: &Request, target: &Target<'_>) -> Result<Vec<DraftStep>, Refused> {
    use DataItem as I;
    let gas = target.kind.is_gas();
    let steps = match request.body.name {
        "ReadInstantaneousImportRegisters" if gas => reads(&[I::GasConsumption]),
        "ReadInstantaneousImportRegisters" => {
            let mut steps = reads(&[I::ActiveImport, I::ReactiveImport]);
            if target.profile.second_element {
                // The profile says the model can; this installation may not use it.
                steps.push(DraftStep::new(Operation::Read(I::SecondaryActiveImport)).optional());
            }
            steps
        }
        "ReadInstantaneousExportRegisters" => reads(&[I::ActiveExport, I::ReactiveExport]),
        "ReadInstantaneousPrepayValues" => reads(&[
            I::EmergencyCreditBalance,
            I::AccumulatedDebt,
            I::PaymentDebt,
            I::TimeDebt(1),
            I::TimeDebt(2),
            I::MeterBalance,
        ]),
        "RetrieveImportDailyReadLog" => vec![read_log(request, LogKind::DailyRead)?],
        "ReadActiveImportProfileData" => vec![read_log(request, LogKind::ActiveImport)?],
        "ReadPrepaymentConfiguration" => prepayment_configuration(gas),
        "SynchroniseClock" => {
            let mut steps = vec![DraftStep::new(synchronise_clock(&request.body)?)];
            if !gas {
                // A sleeping meter would need another wake for it.
                steps.push(DraftStep::new(Operation::Read(I::Clock)).optional());
            }
            steps
        }
        "EnableSupply" => act_on_supply(Operation::EnableSupply),
        "DisableSupply" => act_on_supply(Operation::DisableSupply),
        "ArmSupply" => act_on_supply(Operation::ArmSupply),
        "ReadSupplyStatus" => {
            let mut steps = reads(&[I::SupplyState]);
            if gas {
                steps.push(DraftStep::new(Operation::Read(I::BatteryRemaining)).optional());
            }
            steps
        }
        "ReadDeviceLog" => reads(&[I::DeviceLog]),
        "ReadFirmwareVersion" => reads(&[I::FirmwareVersion]),
        other => {
            return Err(Refused::new(
                Failure::NotEmulated,
                format!("no Equivalent Steps for {other}"),
            ));
        }
    };
    Ok(steps)
}

fn prepayment_configuration(gas: bool) -> Vec<DraftStep> {
    use DataItem as I;
    let mut steps = reads(&[
        I::DebtRecoveryPerPayment,
        I::DebtRecoveryRateCap,
        I::DisablementThreshold,
        I::EmergencyCreditLimit,
        I::EmergencyCreditThreshold,
        I::LowCreditThreshold,
        I::MaximumCredit,
        I::MaximumMeterBalance,
        I::SuspendDebtDisabled,
        I::SuspendDebtEmergency,
    ]);
    if !gas {
        // Only the electricity part of the payload has a place for it.
        steps.extend(reads(&[I::PaymentMode]));
    }
    steps
}

/// The act, then a look at what came of it: Equivalent Steps are judged by effect (SEC glossary).
fn act_on_supply(act: Operation) -> Vec<DraftStep> {
    vec![
        DraftStep::new(act),
        DraftStep::new(Operation::Read(DataItem::SupplyState)).optional(),
    ]
}

/// A gas meter's data is read from its proxy; what the proxy does not mirror needs the meter awake.
fn via(kind: DeviceKind, operation: &Operation) -> Via {
    let own = match operation {
        Operation::Read(item) => matches!(item, DataItem::Clock | DataItem::DeviceLog | DataItem::FirmwareVersion),
        Operation::ReadLog { log, .. } => matches!(log, LogKind::Event | LogKind::Security),
        _ => true,
    };
    if kind == DeviceKind::Gsme && !own {
        Via::Mirror
    } else {
        Via::Device
    }
}

fn read_log(request: &Request, log: LogKind) -> Result<DraftStep, Refused> {
    let period = child(&request.body, "ReadLogPeriod")?;
    let from = instant(&child(period, "StartDateTime")?.text)?;
    let to = instant(&child(period, "EndDateTime")?.text)?;
    Ok(DraftStep::new(Operation::ReadLog { log, from, to }))
}

fn synchronise_clock(body: &Element) -> Result<Operation, Refused> {
    let time = instant(&child(body, "CurrentDateTime")?.text)?;
    let tolerance = &child(body, "TolerancePeriod")?.text;
    let tolerance_s = tolerance.trim().parse().map_err(|_| {
        Refused::new(
            Failure::Schema,
            format!("TolerancePeriod {tolerance:?} is no number of seconds"),
        )
    })?;
    Ok(Operation::SynchroniseClock { time, tolerance_s })
}

fn child<'e>(element: &'e Element, name: &str) -> Result<&'e Element, Refused> {
    let missing = || Refused::new(Failure::Schema, format!("{} has no {name}", element.name));
    element.child(name).ok_or_else(missing)
}

/// A date and time of a request; one without a zone is taken as UTC (inferred: DUIS states times in UTC).
fn instant(text: &str) -> Result<SimInstant, Refused> {
    let text = text.trim();
    text.parse()
        .or_else(|_| format!("{text}Z").parse())
        .map_err(|_| Refused::new(Failure::Schema, format!("{text:?} is no date and time")))
}

#[derive(Debug)]
struct DraftStep {
    operation: Operation,
    optional: bool,
    answered: Option<Answer>,
    rules: Vec<String>,
}

impl DraftStep {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            optional: false,
            answered: None,
            rules: Vec::new(),
        }
    }

    fn optional(self) -> Self {
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

#[derive(Debug)]
struct Draft {
    steps: Vec<DraftStep>,
    rules: Vec<String>,
}

impl Draft {
    fn apply(&mut self, rule: &S1spRule) -> Result<(), Refused> {
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

    fn finish(self, request: &Request, target: &Target<'_>, row: Confidence) -> Plan {
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
