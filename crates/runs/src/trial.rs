//! A device profile tried out without a lab: the pure installation, the planner and the answer that the S1SP would make of
//! it. What rules are shown by, and what two profiles are compared with.

use std::sync::Arc;

use dmc::{Bench, Catalogue, DeviceProfile, NoCompanion, ScriptError};
use domain::{Association, DeviceKind, Eui64, Operation, RequestId, SimDuration, Srv};
use duis::{Element, Request};
use fleet::line;
use fleet::probe::{self, Look};
use steps::{Cache, Plan, Refused, Smets1Payload, Step, StepOutcome, StepResult, Target, Via};

use crate::sit::script::{self, At};

/// A script that cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The profile's route lacks a device.
    #[error(transparent)]
    Bench(#[from] NoCompanion),
    /// A statement that is neither the bench's nor the trial's.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

/// One profile, its installation, and an S1SP with a memory.
pub struct Trial {
    catalogue: Catalogue,
    profile: Arc<DeviceProfile>,
    bench: Bench,
    cache: Cache,
}

impl Trial {
    /// The profile with the plainest companions of its route.
    ///
    /// # Errors
    /// Where the route has no hub or no meters.
    pub fn new(catalogue: &Catalogue, profile: &Arc<DeviceProfile>) -> Result<Self, NoCompanion> {
        Ok(Self {
            catalogue: catalogue.clone(),
            profile: Arc::clone(profile),
            bench: Bench::new(catalogue, profile)?,
            cache: Cache::default(),
        })
    }

    /// Runs a script of the bench's statements and of these looks: `plan SRV` (the steps in short), `answer SRV [PATH]`
    /// (code and success, or the text of an element of the payload), `tried SRV` (what came of each step), `holder SRV` (of a dated request),
    /// `face octets|frames ITEM` (of the operation that reads it, over the profile's own face: the last octets said, or how
    /// much is said), `face log LOG SPAN`,
    /// `wan wake|idle|retries|storm|gasp|hello|readings|text [INSTANT]` (of a hub, in a world of its own).
    ///
    /// # Errors
    /// The first statement that is none of these.
    pub fn run(&mut self, script: &str) -> Result<String, TrialError> {
        let mut seen = Vec::new();
        for statement in script
            .split(';')
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
        {
            let words: Vec<&str> = statement.split_whitespace().collect();
            let look = match words.as_slice() {
                ["plan", srv] => Some(self.plan_words(of(statement, srv)?)),
                ["answer", srv] => Some(self.answer_words(of(statement, srv)?, None)),
                ["tried", srv] => Some(self.tried_words(of(statement, srv)?)),
                ["answer", srv, path] => Some(self.answer_words(of(statement, srv)?, Some(path))),
                ["wan", look, at @ ..] => Some(self.wan_words(statement, look, at)?),
                ["face", look, rest @ ..] => Some(self.face_words(statement, look, rest)?),
                ["holder", srv] => {
                    let holder = steps::holder(of(statement, srv)?, &self.profile);
                    Some(format!("{holder:?}").to_lowercase())
                }
                _ => self.bench.statement(statement)?,
            };
            seen.extend(look);
        }
        Ok(seen.join("; "))
    }

    /// The request with which the pack asks for this variant now; `None` where it has none.
    #[must_use]
    pub fn request(&self, srv: Srv) -> Option<Request> {
        let at = At {
            device: DEVICE,
            kind: self.profile.kind,
            dcc: Eui64(0),
            now: self.bench.now(),
            model: self.profile.model.clone(),
            image: Some(self.profile.image_head()),
            property: script::Property::default(),
        };
        let order = script::order(srv, &at)?;
        let id = RequestId {
            originator: Eui64(0),
            target: DEVICE,
            counter: 0,
        };
        Some(Request::new(id, srv).with_body(order.body))
    }

    /// The Equivalent Steps of a request for the profile.
    ///
    /// # Errors
    /// Why there are none.
    pub fn plan(&self, request: &Request) -> Result<Plan, Refused> {
        steps::plan(request, &self.target())
    }

    /// What the S1SP would answer, having run the steps one after the other.
    ///
    /// # Errors
    /// Why there is no plan.
    pub fn answer(&mut self, request: &Request) -> Result<Smets1Payload, Refused> {
        let plan = self.plan(request)?;
        let outcomes = self.run_steps(&plan);
        Ok(steps::respond(
            request,
            &self.target(),
            &plan,
            &outcomes,
            self.bench.now(),
        ))
    }

    /// Runs the steps that are neither answered nor refused; after a refused act the rest is not tried, unless the plan
    /// goes on.
    fn run_steps(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        let mut outcomes = Vec::new();
        let mut stopped = false;
        for step in plan
            .steps
            .iter()
            .filter(|step| step.answered.is_none() && step.refused.is_none())
        {
            if stopped {
                outcomes.push(StepOutcome {
                    position: step.position,
                    result: StepResult::NotTried,
                    at: None,
                });
                continue;
            }
            let (result, at) = self.step(step);
            stopped = matches!(&result, StepResult::Device(Err(_)))
                && !step.optional
                && !plan.continues
                && step.operation.changes_state();
            outcomes.push(StepOutcome {
                position: step.position,
                result,
                at: Some(at),
            });
        }
        outcomes
    }

    fn step(&mut self, step: &Step) -> (StepResult, domain::SimInstant) {
        let now = self.bench.now();
        if let Some(max_age) = step.cached_for
            && let Some((answer, at)) = self.cache.answer(step.device, &step.operation, max_age, now)
        {
            return (StepResult::Device(Ok(answer)), at);
        }
        let slot = match step.via {
            Via::Hub => DeviceKind::Chf,
            Via::Mirror => DeviceKind::Gpf,
            Via::Device => step.kind,
        };
        let outcome = self.bench.execute(slot, &step.via.asked(&step.operation)).0;
        match &outcome {
            Ok(answer) if step.cached_for.is_some() => self.cache.keep(step.device, &step.operation, answer, now),
            _ if step.operation.changes_state() => self.cache.forget(step.device),
            _ => {}
        }
        (StepResult::Device(outcome), self.bench.now())
    }

    fn wan_words(&self, statement: &str, look: &str, at: &[&str]) -> Result<String, ScriptError> {
        let wrong = |problem: &str| ScriptError {
            statement: statement.to_owned(),
            problem: problem.to_owned(),
        };
        let look = match look {
            "gasp" => Look::Gasp,
            "hello" => Look::Hello,
            "idle" => Look::Idle,
            "readings" => Look::Readings,
            "retries" => Look::Retries,
            "storm" => Look::Storm,
            "text" => Look::Text,
            "wake" => Look::Wake,
            _ => return Err(wrong("no such look at a hub")),
        };
        let at = match at {
            [] => self.bench.now(),
            [at] => at.parse().map_err(|_| wrong("no instant"))?,
            _ => return Err(wrong("more than an instant")),
        };
        probe::look(&self.catalogue, &self.profile, look, at).map_err(|problem| wrong(&problem))
    }

    fn face_words(&mut self, statement: &str, look: &str, words: &[&str]) -> Result<String, ScriptError> {
        let wrong = |problem: &str| ScriptError {
            statement: statement.to_owned(),
            problem: problem.to_owned(),
        };
        // Who only asks for the time needs no keys, so that what is said can be seen.
        let (association, operation) = match (look, words) {
            ("octets" | "frames", [item]) => {
                let item = dmc::item_by_name(item).ok_or_else(|| wrong("no such item"))?;
                let association = if look == "octets" {
                    Association::Public
                } else {
                    Association::Management
                };
                (association, Operation::Read(item))
            }
            ("log", [log, span]) => {
                let log = dmc::log_by_name(log).ok_or_else(|| wrong("no such log"))?;
                let (to, span) = (self.bench.now(), dmc::length(span).map_err(|problem| wrong(&problem))?);
                let from = to - span;
                (Association::Management, Operation::ReadLog { log, from, to })
            }
            _ => return Err(wrong("no such look at a face")),
        };
        let (face, slot) = (self.profile.face.clone(), self.profile.kind);
        let slot = if look == "log" { DeviceKind::Esme } else { slot };
        let said = self
            .bench
            .with(|installation, context| line::talk(&face, (installation, context), slot, association, &operation))
            .map_err(|problem| wrong(&problem))?;
        if look == "octets" {
            let last = said.last().map(Vec::as_slice).unwrap_or_default();
            let tail = last.iter().skip(last.len().saturating_sub(LAST_OCTETS));
            return Ok(tail.map(|octet| format!("{octet:02X}")).collect());
        }
        let longest = said.iter().map(Vec::len).max().unwrap_or(0);
        Ok(format!("speaks {} times, at most {longest} octets", said.len()))
    }

    fn target(&self) -> Target<'_> {
        Target {
            device: DEVICE,
            kind: self.profile.kind,
            hub: HUB,
            profile: &self.profile,
            asked_by: steps::AskedBy::Supplier,
        }
    }

    fn plan_words(&self, srv: Srv) -> String {
        let Some(request) = self.request(srv) else {
            return format!("the pack has no {srv}");
        };
        match self.plan(&request) {
            Ok(plan) => plan.steps.iter().map(step_words).collect::<Vec<_>>().join(", "),
            Err(refused) => format!("refused: {}", refused.failure),
        }
    }

    fn tried_words(&mut self, srv: Srv) -> String {
        let Some(request) = self.request(srv) else {
            return format!("the pack has no {srv}");
        };
        let plan = match self.plan(&request) {
            Ok(plan) => plan,
            Err(refused) => return format!("refused: {}", refused.failure),
        };
        let outcomes = self.run_steps(&plan);
        let words = outcomes.iter().map(|outcome| {
            let step = plan.steps.iter().find(|step| step.position == outcome.position);
            let came = match &outcome.result {
                StepResult::Device(Ok(_)) => "done",
                StepResult::Device(Err(_)) => "refused",
                StepResult::NotTried => "not tried",
                _ => "failed",
            };
            format!("{} {came}", step.map(step_words).unwrap_or_default())
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn answer_words(&mut self, srv: Srv, path: Option<&str>) -> String {
        let Some(request) = self.request(srv) else {
            return format!("the pack has no {srv}");
        };
        let answered = match self.answer(&request) {
            Ok(answered) => answered,
            Err(refused) => return format!("refused: {}", refused.failure),
        };
        match (path, &answered.payload) {
            (None, _) => {
                let success = if answered.success { "success" } else { "no success" };
                format!("{} {success}", answered.response_code.as_str())
            }
            (Some(path), Some(payload)) => text_at(payload, path).unwrap_or_else(|| "no such element".to_owned()),
            (Some(_), None) => "no payload".to_owned(),
        }
    }

    /// Every request that the pack has for this kind of device, with what came of it: the answer as text, or why there is
    /// none. Read requests come first, so that acts do not disturb them.
    pub fn survey(&mut self) -> Vec<(Srv, String)> {
        let mut found = Vec::new();
        for srv in script::variants(self.profile.kind) {
            let Some(request) = self.request(srv) else { continue };
            let text = match self.answer(&request) {
                Ok(answered) => answer_text(&answered),
                // Which profile it was is no part of the answer: two that refuse alike answer alike.
                Err(refused) => {
                    let text = refused.text.replace(&self.profile.id.to_string(), "this device");
                    format!("refused: {}: {text}", refused.failure)
                }
            };
            found.push((srv, text));
        }
        found
    }

    /// Lets time pass.
    pub fn wait(&mut self, span: SimDuration) {
        self.bench.wait(span);
    }
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trial({})", self.profile.id)
    }
}

fn of(statement: &str, srv: &str) -> Result<Srv, ScriptError> {
    srv.parse().map_err(|_| ScriptError {
        statement: statement.to_owned(),
        problem: "no service reference variant".to_owned(),
    })
}

/// A step in short: `read-active-import`, with `?` for optional, `=` for answered, `!` for refused and `~` for cached.
fn step_words(step: &Step) -> String {
    let mut words = step.operation.kind().key();
    for (mark, set) in [
        ('?', step.optional),
        ('=', step.answered.is_some()),
        ('!', step.refused.is_some()),
        ('~', step.cached_for.is_some()),
    ] {
        if set {
            words.push(mark);
        }
    }
    words
}

/// The text of the first element along a path of names, each at any depth below the one before.
fn text_at(element: &Element, path: &str) -> Option<String> {
    let mut at = element;
    for name in path.split('/') {
        at = below(at, name)?;
    }
    if at.children.is_empty() {
        Some(at.text.clone())
    } else {
        Some(format!("{} elements", at.children.len()))
    }
}

fn below<'e>(element: &'e Element, name: &str) -> Option<&'e Element> {
    let direct = element.children.iter().find(|child| child.name == name);
    direct.or_else(|| element.children.iter().find_map(|child| below(child, name)))
}

/// The answer on one line: code, success, leaves of the payload in their order, debug entries.
fn answer_text(answered: &Smets1Payload) -> String {
    let success = if answered.success { "success" } else { "no success" };
    let mut text = format!("{} {success}", answered.response_code.as_str());
    for element in answered.payload.iter().chain(&answered.debug) {
        leaves(element, &mut text);
    }
    text
}

fn leaves(element: &Element, text: &mut String) {
    for (name, value) in &element.attributes {
        if *name != "MessageSuccess" {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    if element.children.is_empty() && !element.text.is_empty() {
        text.push_str(&format!(" {}={}", element.name, element.text));
    }
    for child in &element.children {
        leaves(child, text);
    }
}

/// Octets of a frame that are shown.
const LAST_OCTETS: usize = 16;

/// The device looked at, and its hub, as requests name them. Nothing on the bench asks for identities.
const DEVICE: Eui64 = Eui64(0x021A_B000_0000_0002);
const HUB: Eui64 = Eui64(0x021A_B000_0000_0001);
