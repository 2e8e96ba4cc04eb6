//! The hub's queue of commands for a sleeping device: bounded, with tickets, and nothing at all while it is empty.

use std::collections::VecDeque;

use domain::keys::Party;
use domain::{Access, Approval, Operation, Outcome, Refusal, RequestId, SimDuration, SimInstant};

/// Commands on their way to the gas meter, and results on their way back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct HanQueue {
    /// The last ticket given.
    pub(crate) tickets: u32,
    pub(crate) held: Option<Box<Held>>,
}

/// What is under way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    pub(crate) commands: VecDeque<Command>,
    pub(crate) results: VecDeque<HanResult>,
    /// Requests of which an approved operation was refused, the latest last: what follows in them is left undone.
    pub(crate) refused: VecDeque<RequestId>,
}

/// What became of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HanResult {
    /// When it leaves.
    pub(crate) at: SimInstant,
    /// Who is to hear it.
    pub(crate) party: Party,
    pub(crate) ticket: u32,
    pub(crate) outcome: Outcome,
}

/// One command as it was handed to the hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Command {
    pub(crate) ticket: u32,
    pub(crate) access: Access,
    /// Key epoch under which it came.
    pub(crate) epoch: u32,
    /// True time at which the hub took it.
    pub(crate) taken_at: SimInstant,
    pub(crate) operation: Operation,
    pub(crate) approval: Option<Approval>,
}

impl Command {
    /// Whose it is. The public association carries nothing to a sleeping device.
    pub(crate) fn party(&self) -> Party {
        self.access.party.unwrap_or(Party::Smso)
    }
}

impl HanQueue {
    /// Takes a command, whose ticket it sets.
    ///
    /// # Errors
    /// [`Refusal::Busy`] while the queue is full.
    pub(crate) fn take(&mut self, limit: u16, mut command: Command) -> Result<u32, Refusal> {
        let held = self.held.get_or_insert_default();
        if held.commands.len() >= usize::from(limit) {
            return Err(Refusal::Busy);
        }
        self.tickets = self.tickets.wrapping_add(1).max(1);
        command.ticket = self.tickets;
        held.commands.push_back(command);
        Ok(self.tickets)
    }

    /// All commands taken before `at`, in their order, for the device that is awake.
    pub(crate) fn deliver(&mut self, at: SimInstant) -> Vec<Command> {
        let Some(held) = &mut self.held else { return Vec::new() };
        let due = held
            .commands
            .iter()
            .take_while(|command| command.taken_at <= at)
            .count();
        held.commands.drain(..due).collect()
    }

    /// Gives up commands held longer than `lifetime`.
    pub(crate) fn expire(&mut self, at: SimInstant, lifetime: SimDuration) {
        let Some(held) = &mut self.held else { return };
        while let Some(command) = held
            .commands
            .front()
            .filter(|command| at.since(command.taken_at) > lifetime)
        {
            held.results.push_back(HanResult {
                at,
                party: command.party(),
                ticket: command.ticket,
                outcome: Err(Refusal::Unreachable),
            });
            let approval = command.approval.clone();
            held.commands.pop_front();
            held.note(approval.as_ref(), false);
        }
    }

    /// Whether a command is to be left undone, because one before it in the same request was refused.
    pub(crate) fn is_left_undone(&self, command: &Command) -> bool {
        let approval = command.approval.as_ref().filter(|approval| approval.follows);
        let refused = self.held.as_ref().map(|held| &held.refused);
        approval
            .zip(refused)
            .is_some_and(|(approval, refused)| refused.contains(&approval.request))
    }

    /// Notes how a command ended, for those that follow it.
    pub(crate) fn note(&mut self, command: &Command, outcome: &Outcome) {
        if let Some(held) = &mut self.held {
            held.note(command.approval.as_ref(), outcome.is_ok());
        } else if outcome.is_err() {
            self.held.get_or_insert_default().note(command.approval.as_ref(), false);
        }
    }

    /// Keeps a result until its time.
    pub(crate) fn keep_result(&mut self, result: HanResult) {
        self.held.get_or_insert_default().results.push_back(result);
    }

    /// A result whose time has come.
    pub(crate) fn result(&mut self, now: SimInstant) -> Option<HanResult> {
        let held = self.held.as_mut()?;
        let due = held.results.iter().position(|result| result.at <= now)?;
        let result = held.results.remove(due);
        if held.is_empty() {
            self.held = None;
        }
        result
    }

    /// When the next result leaves.
    pub(crate) fn next_result(&self) -> Option<SimInstant> {
        self.held.as_ref()?.results.iter().map(|result| result.at).min()
    }
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.results.is_empty() && self.commands.is_empty() && self.refused.is_empty()
    }

    fn note(&mut self, approval: Option<&Approval>, done: bool) {
        let Some(approval) = approval else { return };
        self.refused.retain(|request| *request != approval.request);
        if !done {
            self.refused.push_back(approval.request);
        }
        while self.refused.len() > REFUSED_MAX {
            self.refused.pop_front();
        }
    }
}

/// Requests of which it is remembered that an operation was refused. Commands of one request are handed over within
/// seconds, so that only those of other users come between them.
const REFUSED_MAX: usize = 8;
