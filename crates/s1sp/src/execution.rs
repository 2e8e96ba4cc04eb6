//! The steps of one plan, as devices are asked for them.
//!
//! What is asked of a sleeping gas meter goes to its hub in turns: all that need not wait for what becomes of something
//! else is handed over together and done in one wake.

use std::sync::{MutexGuard, PoisonError};

use domain::operation::Token;
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, Refusal, SimDuration, SimInstant, Value};
use head_end::{Failure as EngineFailure, FailureKind, Job};
use steps::{Failure, Plan, Step, StepOutcome, StepResult, Via};

use crate::work::{Context, Task};

/// The steps of a plan while they are carried out.
struct Execution<'a> {
    task: &'a Task,
    plan: &'a Plan,
    due: SimInstant,
    /// The code that the meter takes for a token of the supplier.
    code: Option<&'a str>,
    outcomes: Vec<StepOutcome>,
    /// Nothing more is tried.
    stopped: bool,
    /// Turns so far that changed the device.
    acting_turns: u64,
}

impl Context {
    pub(crate) async fn execute(
        &self,
        task: &Task,
        plan: &Plan,
        due: SimInstant,
        code: Option<&str>,
    ) -> Vec<StepOutcome> {
        let mut execution = Execution {
            task,
            plan,
            due,
            code,
            outcomes: Vec::with_capacity(plan.steps.len()),
            stopped: false,
            acting_turns: 0,
        };
        let mut turn: Vec<&Step> = Vec::new();
        for step in plan.steps.iter().filter(|step| step.refused.is_none()) {
            if let Some(answer) = &step.answered {
                if !step.is_as_expected(answer) {
                    self.carry_out(&mut execution, std::mem::take(&mut turn)).await;
                    execution.stopped = true;
                }
                continue;
            }
            if let Some((answer, at)) = self.remembered(step) {
                execution.outcomes.push(StepOutcome {
                    position: step.position,
                    result: StepResult::Device(Ok(answer)),
                    at: Some(at),
                });
                continue;
            }
            if !joins(plan, &turn, step) {
                self.carry_out(&mut execution, std::mem::take(&mut turn)).await;
            }
            turn.push(step);
        }
        self.carry_out(&mut execution, turn).await;
        execution.outcomes.sort_by_key(|outcome| outcome.position);
        execution.outcomes
    }

    /// Asks for the steps of one turn, and judges what came of each in its order.
    async fn carry_out(&self, execution: &mut Execution<'_>, turn: Vec<&Step>) {
        let results = match execution.stopped {
            true => vec![StepResult::NotTried; turn.len()],
            false => self.turn(execution, &turn).await,
        };
        for (step, mut result) in turn.into_iter().zip(results) {
            // In the same turn as what stopped the plan: what the device did is told as it is, but a read was not to be
            // made any more.
            if execution.stopped && !step.operation.changes_state() {
                result = StepResult::NotTried;
            }
            self.remember(step, &result);
            execution.stopped |= match &result {
                // After a failure of the chain the next step would only wait for the same.
                StepResult::Failed(..) => true,
                StepResult::Device(Err(_)) => {
                    !step.optional && !execution.plan.continues && step.operation.changes_state()
                }
                // The request is for another state of the device than the one it is in.
                StepResult::Device(Ok(answer)) => !step.is_as_expected(answer),
                StepResult::NotTried => false,
            };
            let at = matches!(result, StepResult::Device(_)).then(|| self.world.clock.now());
            execution.outcomes.push(StepOutcome {
                position: step.position,
                result,
                at,
            });
        }
    }

    /// Journals and approves what one turn changes, and has all of it executed. A step that cannot be begun ends the
    /// turn.
    async fn turn(&self, execution: &mut Execution<'_>, turn: &[&Step]) -> Vec<StepResult> {
        let task = execution.task;
        let id = task.verified.request.id;
        if turn.iter().any(|step| step.operation.changes_state()) {
            execution.acting_turns += 1;
        }
        let deadline = execution.due + self.within(task, execution.acting_turns);
        let mut jobs = Vec::with_capacity(turn.len());
        let mut not_begun = None;
        let mut acts = 0;
        for step in turn {
            let changes = step.operation.changes_state();
            if changes && let Err(error) = self.journal().begin(id, step.position) {
                not_begun = Some(StepResult::Failed(Failure::Internal, error.to_string()));
                break;
            }
            let mut approval = None;
            if step.critical {
                match self.approval(task, step).await {
                    Ok(given) => approval = Some(given),
                    Err((failure, reason)) => {
                        not_begun = Some(StepResult::Failed(failure, reason));
                        break;
                    }
                }
            }
            if let Some(approval) = &mut approval {
                approval.follows = acts > 0 && !execution.plan.continues;
            }
            acts += usize::from(changes);
            let itself = (step.device, step.kind);
            // Where the plan wants the proxy's copy and there is no proxy, the sleeping meter itself is asked.
            let (device, slot) = match step.via {
                Via::Mirror => self
                    .proxy(task.verified.hub)
                    .map_or(itself, |proxy| (proxy, DeviceKind::Gpf)),
                Via::Hub => (task.verified.hub, DeviceKind::Chf),
                Via::Device => itself,
            };
            jobs.push(Job {
                trace_id: id.to_string(),
                hub: task.verified.hub,
                device,
                slot,
                operation: step.via.asked(&as_the_device_takes_it(step, execution.code)),
                approval,
                deadline,
            });
        }
        let mut results: Vec<StepResult> = if jobs.is_empty() {
            Vec::new()
        } else {
            let ended = self.engine.execute_in_turn(jobs).await;
            ended
                .into_iter()
                .map(|ended| match ended {
                    Ok(Err(Refusal::NotTried)) => StepResult::NotTried,
                    Ok(outcome) => StepResult::Device(outcome),
                    Err(failure) => StepResult::Failed(class(&failure), failure.reason),
                })
                .collect()
        };
        results.extend(not_begun);
        results.resize(turn.len(), StepResult::NotTried);
        results
    }

    /// How long a request may have taken by the end of its nth turn that changes the device.
    fn within(&self, task: &Task, acting_turns: u64) -> SimDuration {
        match task.verified.kind {
            // Each may have to wait for a wake of its own.
            DeviceKind::Gsme => {
                let site = self.directory.site(task.verified.hub);
                let meter = site
                    .as_ref()
                    .and_then(|site| site.device(task.verified.request.id.target));
                let wakes = meter.map(|meter| meter.profile.result_within()).unwrap_or_default();
                let each = (wakes + self.limits.gas_margin).as_millis();
                SimDuration::from_millis(each.saturating_mul(acting_turns.max(1)))
            }
            _ => self.limits.mains_within,
        }
    }

    /// Learns from what a device has said of its firmware.
    pub(crate) fn learn_from(&self, plan: &Plan, outcomes: &[StepOutcome]) {
        let firmware = Operation::Read(DataItem::FirmwareVersion);
        for step in plan.steps.iter().filter(|step| step.operation == firmware) {
            let outcome = outcomes.iter().find(|outcome| outcome.position == step.position);
            if let Some(StepResult::Device(Ok(Answer::Value(Value::Text(running))))) =
                outcome.map(|found| &found.result)
            {
                self.learn(step.device, running);
            }
        }
    }

    /// A device says which firmware it runs: from here on it is spoken to as what it is. Another firmware is known only by
    /// reading it.
    pub(crate) fn learn(&self, device: Eui64, running: &str) {
        let site = self.directory.site_of(device);
        let Some(known) = site.as_ref().and_then(|site| site.device(device)) else {
            return;
        };
        if known.profile.native_firmware == running {
            return;
        }
        let Some(profile) = self.models.running(&known.profile, running) else {
            return tracing::debug!(%device, running, leg = "s1sp", "a firmware that no file describes");
        };
        if let Err(error) = self.journal().became(device, profile.id.to_string()) {
            return tracing::error!(%device, leg = "s1sp", %error, "new firmware not journalled");
        }
        tracing::info!(%device, profile = %profile.id, leg = "s1sp", "another firmware");
        self.cache().forget(device);
        self.directory.change(device, |known| known.profile = profile);
    }

    fn cache(&self) -> MutexGuard<'_, steps::Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept answer that a rule lets the S1SP give in place of the device's.
    fn remembered(&self, step: &Step) -> Option<(Answer, SimInstant)> {
        let max_age = step.cached_for?;
        let now = self.world.clock.now();
        self.cache().answer(step.device, &step.operation, max_age, now)
    }

    /// Keeps an answer that may be given again; what was known of a device that was acted on is forgotten.
    fn remember(&self, step: &Step, result: &StepResult) {
        match result {
            StepResult::Device(Ok(answer)) if step.cached_for.is_some() => {
                let now = self.world.clock.now();
                self.cache().keep(step.device, &step.operation, answer, now);
            }
            _ if step.operation.changes_state() => self.cache().forget(step.device),
            _ => {}
        }
    }

    /// The gas proxy behind a hub.
    fn proxy(&self, hub: Eui64) -> Option<Eui64> {
        let site = self.directory.site(hub)?;
        site.devices
            .iter()
            .find(|device| device.slot == DeviceKind::Gpf)
            .map(|device| device.id)
    }
}

/// Whether a step goes to the hub together with those of the turn before it.
///
/// Only what a sleeping meter is asked does: whatever answers at once is asked one by one. A step waits for those before
/// it where the plan goes on only after a certain answer; where it changes the device and something before it did, unless
/// the device itself can see whether it may (an approved act after approved ones) or nothing depends on it; and where the
/// proxy's copy is to show what came of an act.
fn joins(plan: &Plan, turn: &[&Step], step: &Step) -> bool {
    let Some(last) = turn.last() else { return true };
    if step.kind != DeviceKind::Gsme || last.expects.is_some() {
        return false;
    }
    let mut acts = turn.iter().filter(|step| step.operation.changes_state()).peekable();
    if acts.peek().is_none() {
        return true;
    }
    if !step.operation.changes_state() {
        return step.via == Via::Device;
    }
    plan.continues || (step.critical && acts.all(|act| act.critical && !act.optional))
}

/// The step's operation, but for a token: the supplier's code becomes one that the meter takes.
fn as_the_device_takes_it(step: &Step, code: Option<&str>) -> Operation {
    match (&step.operation, code) {
        (Operation::EnterToken(_), Some(code)) => Operation::EnterToken(Token(code.to_owned())),
        (operation, _) => operation.clone(),
    }
}

/// The class of an engine's failure in the error table.
fn class(failure: &EngineFailure) -> Failure {
    match failure.kind {
        FailureKind::BadAnswer => Failure::BadAnswer,
        FailureKind::Busy => Failure::Busy,
        FailureKind::Deadline => Failure::Deadline,
        FailureKind::HubNotConnected => Failure::HubUnreachable,
        FailureKind::LateResultMissing => Failure::HanUnreachable,
        FailureKind::LinkLost => Failure::LinkLost,
        FailureKind::NoResponse => Failure::NoResponse,
        FailureKind::SessionFailed => Failure::SessionFailed,
        FailureKind::Unknown => Failure::S1spRejected,
        FailureKind::WanUnusable => Failure::WanUnreachable,
        _ => Failure::Internal,
    }
}
