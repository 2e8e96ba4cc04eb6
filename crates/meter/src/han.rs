//! The hub's queue of commands for a sleeping device: bounded, with tickets, and nothing at all while it is empty.

use std::collections::VecDeque;

use domain::{Access, Approval, Operation, Outcome, Refusal, SimDuration, SimInstant};

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
    /// When it leaves, ticket and outcome.
    pub(crate) results: VecDeque<(SimInstant, u32, Outcome)>,
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
            held.results.push_back((at, command.ticket, Err(Refusal::Unreachable)));
            held.commands.pop_front();
        }
    }

    /// Keeps a result until `at`.
    pub(crate) fn keep_result(&mut self, at: SimInstant, ticket: u32, outcome: Outcome) {
        self.held
            .get_or_insert_default()
            .results
            .push_back((at, ticket, outcome));
    }

    /// A result whose time has come.
    pub(crate) fn result(&mut self, now: SimInstant) -> Option<(u32, Outcome)> {
        let held = self.held.as_mut()?;
        let due = held.results.iter().position(|(at, ..)| *at <= now)?;
        let result = held.results.remove(due).map(|(_, ticket, outcome)| (ticket, outcome));
        if held.results.is_empty() && held.commands.is_empty() {
            self.held = None;
        }
        result
    }

    /// When the next result leaves.
    pub(crate) fn next_result(&self) -> Option<SimInstant> {
        self.held.as_ref()?.results.iter().map(|(at, ..)| *at).min()
    }
}
