//! The control centre (MCC) at work: its core takes a turn whenever somebody reported or the clock brings something; its
//! desk sends the instructions that follow to the two parties and hears their reports, as messages on links.
//!
//! [`Office`] is a centre with one desk in one world. A campaign over several worlds has one [`Centre`], which takes its
//! turns at their barriers, and a [`Desk`] in each of them.

mod answering;
mod desk;
mod office;
mod wire;

use domain::SimInstant;
use jiff::civil::{Date, Time};

use crate::InstallationId;
use crate::day::{day_of, instant, plus_days, week_of};
use crate::machine::journal::JournalError;
use crate::machine::model::Installation;
use crate::machine::{Control, Instruction, Report};

pub use answering::{Works, answer};
pub use desk::Desk;
pub use office::Office;
pub use wire::WireFault;

/// When a day is planned, in UK civil time: before its first slot.
const PLANNED_AT: (i8, i8) = (5, 30);

/// The core of the control centre with its calendar.
pub struct Centre {
    control: Control,
    /// The next day to be planned.
    next_day: Date,
    /// The next week whose capacity is to be shared among suppliers, where they commit to demand.
    next_scaled: Option<Date>,
}

/// An instruction with what is known of those it is about, as it leaves the centre.
#[derive(Clone, PartialEq, Debug)]
pub struct Errand {
    /// What is to be done.
    pub instruction: Instruction,
    /// Its installations, as they stand.
    pub known: Vec<Installation>,
}

impl Centre {
    /// A control centre that plans from the day after the campaign's first on, or goes on after the last day it planned.
    #[must_use]
    pub fn new(control: Control) -> Self {
        let campaign = control.campaign();
        let last = campaign.planned.unwrap_or(day_of(campaign.started));
        // Weeks that were shared already are not shared again.
        let next_scaled = control.demand_is_committed().then(|| week_of(plus_days(last, 1)));
        Self {
            next_scaled,
            control,
            next_day: plus_days(last, 1),
        }
    }

    /// The core.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The core, for files, registrations, changes of supplier and people's acts between turns.
    pub fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    /// The core alone, when the work is over.
    #[must_use]
    pub fn into_control(self) -> Control {
        self.control
    }

    /// When the clock brings something next.
    #[must_use]
    pub fn next_turn(&self) -> SimInstant {
        let plan = self.plan_at();
        let scale = self.scale_at().map(|(at, _)| at);
        [self.control.next_wake(), scale]
            .into_iter()
            .flatten()
            .fold(plan, SimInstant::min)
    }

    /// When which week is shared next.
    fn scale_at(&self) -> Option<(SimInstant, Date)> {
        let week = self.next_scaled?;
        Some((self.control.settings().calendar.scaling_run.instant(week), week))
    }

    /// One turn: takes reports in, plans the days that are due, does what the clock brings, commits. Gives what is to be
    /// done next; nothing of it is told to anybody before it is written.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn turn(&mut self, now: SimInstant, reports: Vec<Report>) -> Result<Vec<Errand>, JournalError> {
        for report in reports {
            self.control.report(now, report)?;
        }
        while let Some((_, week)) = self.scale_at().filter(|(at, _)| *at <= now) {
            self.control.scale_week(now, week)?;
            self.next_scaled = Some(plus_days(week, 7));
        }
        while self.plan_at() <= now {
            self.control.plan_day(now, self.next_day)?;
            self.next_day = plus_days(self.next_day, 1);
        }
        if self.control.next_wake().is_some_and(|at| at <= now) {
            self.control.wake(now)?;
        }
        self.control.commit()?;
        let given = std::iter::from_fn(|| self.control.next_instruction()).collect::<Vec<_>>();
        let campaign = self.control.campaign();
        let errands = given.into_iter().map(|instruction| {
            let ids = instruction.installations.iter();
            let known = ids.filter_map(|id| campaign.installation(*id).cloned()).collect();
            Errand { instruction, known }
        });
        Ok(errands.collect())
    }

    fn plan_at(&self) -> SimInstant {
        let time = Time::new(PLANNED_AT.0, PLANNED_AT.1, 0, 0).unwrap_or(Time::midnight());
        instant(self.next_day, time)
    }
}

impl Errand {
    /// The part of it that is about some installations alone; none when it is about none of them.
    #[must_use]
    pub fn about(&self, mut whom: impl FnMut(InstallationId) -> bool) -> Option<Self> {
        let known: Vec<_> = self.known.iter().filter(|known| whom(known.id())).cloned().collect();
        if known.is_empty() {
            return None;
        }
        let instruction = Instruction {
            installations: known.iter().map(Installation::id).collect(),
            ..self.instruction.clone()
        };
        Some(Self { instruction, known })
    }
}

impl std::fmt::Debug for Centre {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Centre")
            .field("control", &self.control)
            .field("next_day", &self.next_day)
            .finish()
    }
}
