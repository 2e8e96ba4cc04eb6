//! The supplier's side of the desk: any operation on any device, one outcome each.

use std::sync::Arc;

use domain::{Eui64, Operation};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use world::semantic;

use super::books::Known;
use super::{Answered, Desk, Taken, again};
use crate::job::Job;

/// Takes a supplier's message.
pub(super) fn take(desk: &Arc<Desk>, envelope: Envelope, full: bool) -> Taken {
    let command = match (envelope.kind(), SmsoCommand::decode(envelope.body.clone())) {
        (Kind::SmsoCommand, Ok(command)) => command,
        _ => {
            tracing::warn!(from = %envelope.from, "a message to the smso that is no command");
            return Taken::Nothing;
        }
    };
    if let Some(taken) = again(desk, &envelope, &command.reference) {
        return taken;
    }
    let failed = |failure: String| {
        Taken::Answer(answered(
            envelope.clone(),
            SmsoOutcome {
                reference: command.reference.clone(),
                outcome: None,
                failure,
            },
        ))
    };
    if full {
        return failed("too many commands are under way".into());
    }
    let work = match Work::of(desk, &command) {
        Ok(work) => work,
        Err(failure) => return failed(failure),
    };
    if work.operation.changes_state() && desk.books().known(&command.reference) == Some(Known::Lost) {
        return failed("the smso was restarted meanwhile: whether it was done is not known".into());
    }
    let begun = desk.books().begin(&command.reference, work.operation.changes_state());
    if let Err(error) = begun {
        return failed(format!("not taken: {error}"));
    }
    let desk = Arc::clone(desk);
    Taken::Work(Box::pin(async move {
        let outcome = work.run(&desk, &envelope, command.reference).await;
        answered(envelope, outcome)
    }))
}

fn answered(envelope: Envelope, outcome: SmsoOutcome) -> Answered {
    Answered {
        envelope,
        reference: outcome.reference.clone(),
        kind: Kind::SmsoOutcome,
        body: outcome.encode_to_vec().into(),
    }
}

/// One command, understood.
struct Work {
    hub: Eui64,
    device: Eui64,
    slot: domain::DeviceKind,
    operation: Operation,
}

impl Work {
    fn of(desk: &Desk, command: &SmsoCommand) -> Result<Self, String> {
        let device = Eui64(command.device);
        let operation = command.operation.as_ref().ok_or("the command has no operation")?;
        let operation = semantic::operation_from_proto(operation).map_err(|error| error.to_string())?;
        let unknown = || format!("device {device} is unknown to the smso");
        let site = desk.directory.site_of(device).ok_or_else(unknown)?;
        let slot = site.device(device).ok_or_else(unknown)?.slot;
        if desk.files.is_dormant(device) {
            return Err(format!(
                "device {device} is dormant: its supplier has no smart service with the smso"
            ));
        }
        let top_up = matches!(operation, Operation::EnterToken(_));
        if !top_up && desk.books().is_frozen(site.hub, desk.world.clock.now()) {
            return Err(format!(
                "the installation behind hub {} is frozen for its migration: only top-ups are taken",
                site.hub
            ));
        }
        Ok(Self {
            hub: site.hub,
            device,
            slot,
            operation,
        })
    }

    async fn run(self, desk: &Desk, envelope: &Envelope, reference: String) -> SmsoOutcome {
        let top_up = matches!(self.operation, Operation::EnterToken(_));
        if top_up && let Err(error) = desk.books().top_up_begins(self.hub, desk.world.clock.now()) {
            let failure = format!("not taken: {error}");
            return SmsoOutcome {
                reference,
                outcome: None,
                failure,
            };
        }
        let job = Job {
            trace_id: envelope.trace_id.clone(),
            hub: self.hub,
            device: self.device,
            slot: self.slot,
            operation: self.operation,
            approval: None,
            deadline: desk.world.clock.now() + desk.command_within,
        };
        let result = desk.handle.execute(job).await;
        if top_up {
            desk.books().top_up_ends(self.hub);
        }
        match result {
            Ok(outcome) => {
                desk.books().heard(self.hub, desk.world.clock.now());
                SmsoOutcome {
                    reference,
                    outcome: Some(semantic::outcome_to_proto(&outcome)),
                    failure: String::new(),
                }
            }
            Err(failure) => SmsoOutcome {
                reference,
                outcome: None,
                failure: failure.to_string(),
            },
        }
    }
}
