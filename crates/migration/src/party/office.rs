//! The control centre at work: hands instructions to the two parties, takes their reports, wakes the core, plans the days.

use domain::SimInstant;
use jiff::civil::{Date, Time};
use tokio::task::JoinSet;
use world::World;

use super::{Cp, Rp};
use crate::day::{day_of, instant, plus_days};
use crate::machine::journal::JournalError;
use crate::machine::model::Installation;
use crate::machine::work::Party;
use crate::machine::{Control, Report};

/// When a day is planned, in UK civil time: before its first slot.
const PLANNED_AT: (i8, i8) = (5, 30);

/// The control centre with its two parties. It owns the work under way; dropping it ends that as a crash would.
pub struct Office {
    world: World,
    control: Control,
    rp: Rp,
    cp: Cp,
    work: JoinSet<Vec<Report>>,
    /// The next day to be planned.
    next_day: Date,
}

impl Office {
    /// A control centre that plans from the day after the campaign's first on, or goes on after the last day it planned.
    #[must_use]
    pub fn new(world: World, control: Control, rp: Rp, cp: Cp) -> Self {
        let campaign = control.campaign();
        let last = campaign.planned.unwrap_or(day_of(campaign.started));
        Self {
            world,
            control,
            rp,
            cp,
            work: JoinSet::new(),
            next_day: plus_days(last, 1),
        }
    }

    /// The core.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The core, for files, registrations, changes of supplier and people's acts between runs.
    pub fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    /// Works until an instant of the lab's calendar. What is under way then goes on in the next call. Safe to cancel:
    /// what was written stays written, and a later start finds what was asked.
    ///
    /// # Errors
    /// When the journal refuses: nothing is told to anybody that is not written.
    pub async fn run_until(&mut self, until: SimInstant) -> Result<(), JournalError> {
        loop {
            self.hand_out()?;
            let now = self.world.clock.now();
            if now >= until {
                return Ok(());
            }
            let plan_at = instant(
                self.next_day,
                Time::new(PLANNED_AT.0, PLANNED_AT.1, 0, 0).unwrap_or(Time::midnight()),
            );
            let wake = self.control.next_wake().unwrap_or(until).min(plan_at).min(until);
            tokio::select! {
                biased;
                Some(done) = self.work.join_next(), if !self.work.is_empty() => {
                    let now = self.world.clock.now();
                    // Work that ended badly is found again by a restart; its instruction stays in flight.
                    for report in done.unwrap_or_default() {
                        self.control.report(now, report)?;
                    }
                }
                () = self.world.clock.sleep_until(wake) => {
                    let now = self.world.clock.now();
                    if now >= plan_at {
                        self.control.plan_day(now, self.next_day)?;
                        self.next_day = plus_days(self.next_day, 1);
                    }
                    self.control.wake(now)?;
                }
            }
        }
    }

    /// Commits, and only then gives instructions to the parties.
    fn hand_out(&mut self) -> Result<(), JournalError> {
        self.control.commit()?;
        while let Some(instruction) = self.control.next_instruction() {
            let campaign = self.control.campaign();
            let known: Vec<Installation> = instruction
                .installations
                .iter()
                .filter_map(|id| campaign.installation(*id).cloned())
                .collect();
            let (rp, cp) = (self.rp.clone(), self.cp.clone());
            self.work.spawn(async move {
                match instruction.work.party() {
                    Party::Rp => rp.work(&instruction, &known).await,
                    Party::Cp => cp.work(&instruction, &known).await,
                }
            });
        }
        Ok(())
    }
}
