//! Equivalent Steps: what a request becomes for one device.

mod arguments;
mod commands;
mod draft;
mod forms;
mod han;
mod prepayment;
mod reads;
mod settings;
mod tariff;

use std::fmt;

use dmc::{Derivation, DeviceProfile, Holder, S1spEffect};
use domain::operation::{Answer, Value};
use domain::{Confidence, DataItem, DeviceKind, Eui64, LogKind, Operation, SimDuration, SimInstant, Srv, SupplyState};
use duis::Request;

use self::arguments::instant;
use self::draft::Draft;
pub(crate) use self::draft::answers_for;
use crate::errors::Failure;
use crate::table::{Applicability, table};

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
    /// In which part the user asks: answers that have a form for each are in that of the asker.
    pub asked_by: AskedBy,
}

/// The part a user asks in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum AskedBy {
    /// As a network operator.
    NetworkOperator,
    /// As a supplier, or as anybody else.
    #[default]
    Supplier,
}

/// From where a step's answer is to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Via {
    /// From the device itself.
    Device,
    /// From the hub, which asks the device over the home area network: no face has a place for a prepayment interface, which
    /// has no address on the WAN (inferred: its firmware is read by a message of its own, MB table G).
    Hub,
    /// From the gas proxy's copy of what the gas meter last reported: the meter itself sleeps (inferred).
    Mirror,
}

impl Via {
    /// The operation as it goes to the device that this way leads to.
    #[must_use]
    pub fn asked(self, operation: &Operation) -> Operation {
        match (self, operation) {
            (Self::Hub, Operation::Read(DataItem::FirmwareVersion)) => Operation::Read(DataItem::PpmidFirmwareVersion),
            (_, other) => other.clone(),
        }
    }
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
    /// What the device has to answer for the plan to go on.
    pub expects: Option<Value>,
    /// The answer a rule gives in the device's place: then nothing is sent.
    pub answered: Option<Answer>,
    /// Why a rule refuses this step: then nothing is sent, and the step has failed.
    pub refused: Option<String>,
    /// An answer of the device that the S1SP kept may be given while it is not older than this.
    pub cached_for: Option<SimDuration>,
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
    /// Items that are computed from those that were read.
    pub derived: Vec<Derived>,
    /// Whether the remaining steps are tried after the device has refused an act.
    pub continues: bool,
    /// States of the supply that count as success although they are not the one asked for.
    pub accepts: Vec<SupplyState>,
    /// Ids of all rules that touched the plan, also those that left something out.
    pub rules: Vec<String>,
    /// The weakest confidence that touched it.
    pub confidence: Confidence,
}

/// An item that is computed from others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Derived {
    /// What is answered.
    pub item: DataItem,
    /// How.
    pub how: Derivation,
    /// From which.
    pub from: Vec<DataItem>,
}

impl Step {
    /// Whether an answer is the one the plan needs to go on.
    #[must_use]
    pub fn is_as_expected(&self, answer: &Answer) -> bool {
        self.expects
            .as_ref()
            .is_none_or(|expected| matches!(answer, Answer::Value(value) if value == expected))
    }
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
            if let Some(value) = &step.expects {
                write!(f, ", expecting {value:?}")?;
            }
            if let Some(answer) = &step.answered {
                write!(f, ", answered by the S1SP: {answer:?}")?;
            }
            if let Some(reason) = &step.refused {
                write!(f, ", refused by the S1SP: {reason}")?;
            }
            if let Some(age) = step.cached_for {
                write!(f, ", or from the cache up to {age} old")?;
            }
            if !step.rules.is_empty() {
                write!(f, " [{}]", step.rules.join(", "))?;
            }
            writeln!(f)?;
        }
        for derived in &self.derived {
            writeln!(f, "then {} as {:?} of {:?}", derived.item, derived.how, derived.from)?;
        }
        if self.continues {
            writeln!(f, "a refused act does not stop the rest")?;
        }
        for state in &self.accepts {
            writeln!(f, "a supply found {state:?} is success too")?;
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

/// Who holds a future-dated request for this device until its time: the DCC, unless a rule says otherwise.
#[must_use]
pub fn holder(srv: Srv, profile: &DeviceProfile) -> Holder {
    let held = profile.s1sp.iter().filter(|rule| rule.request == srv);
    let mut holders = held.filter_map(|rule| match rule.effect {
        S1spEffect::Hold { by } => Some(by),
        _ => None,
    });
    holders.next().unwrap_or(Holder::Dcc)
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
    if row.smets1 == Applicability::ByModel && !has_what_it_takes(request.body.name, target.profile) {
        let text = format!("{} {} on a {}", row.srv, row.name, target.profile.id);
        return Err(Refused::new(Failure::NotApplicable, text));
    }
    let mut draft = Draft::new(equivalent_steps(request, target)?);
    for rule in target.profile.s1sp.iter().filter(|rule| rule.request == request.srv) {
        draft.apply(rule)?;
    }
    Ok(draft.finish(request, target, row.confidence))
}

/// Whether a device of this profile has what a request is about that applies by model only.
fn has_what_it_takes(body: &str, profile: &DeviceProfile) -> bool {
    match body {
        "ReadTariffSecondaryElement" | "UpdateImportTariffSecondaryElement" | "UpdatePriceSecondaryElement" => {
            profile.second_element
        }
        "ActivateAuxiliaryLoad" | "DeactivateAuxiliaryLoad" | "ReadALCSData" => {
            profile.meter.supply.auxiliary_switches > 0
        }
        "RecordNetworkDataGAS" => profile.meter.logs.records_flow,
        _ => true,
    }
}

/// What is asked of a prepayment interface is asked of its hub. A gas meter's data is read from its proxy; what the proxy does not mirror needs the meter awake.
fn via(kind: DeviceKind, operation: &Operation) -> Via {
    let own = match operation {
        Operation::Read(item) => matches!(item, DataItem::Clock | DataItem::DeviceLog | DataItem::FirmwareVersion),
        Operation::ReadLog { log, .. } => matches!(log, LogKind::Event | LogKind::Security),
        _ => true,
    };
    match kind {
        DeviceKind::Gsme if !own => Via::Mirror,
        DeviceKind::Ppmid => Via::Hub,
        _ => Via::Device,
    }
}

/// The steps before any rule: each group of requests has a file of its own.
fn equivalent_steps(request: &Request, target: &Target<'_>) -> Result<Vec<draft::DraftStep>, Refused> {
    if crate::credentials::concerns(request.srv) {
        // Answered from the DCC-side record: no device is asked.
        return crate::credentials::party(request).map(|_| Vec::new());
    }
    for group in [
        reads::steps,
        commands::steps,
        han::steps,
        prepayment::steps,
        tariff::steps,
        settings::steps,
    ] {
        if let Some(steps) = group(request, target)? {
            return Ok(steps);
        }
    }
    Err(Refused::new(
        Failure::NotEmulated,
        format!("no Equivalent Steps for {}", request.body.name),
    ))
}
