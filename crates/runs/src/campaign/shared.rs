//! What all worlds of a campaign have in common: the control centre with its one journal. It takes its turn at the barriers
//! where the worlds meet, on what all of them reported since the last one, so that the order of threads shows nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::SimInstant;
use migration::centre::{Centre, Errand};
use migration::machine::journal::JournalError;
use migration::machine::{Campaign, Control, Report};
use migration::planning::intake::ReceivedFile;
use world::worlds::world_of;

use super::Progress;

/// The control centre of a campaign over several worlds.
pub(super) struct Shared {
    worlds: u32,
    began: SimInstant,
    until: SimInstant,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    /// The calendar, at the last turn.
    now: SimInstant,
    /// What suppliers will have sent, in the order they do.
    files: VecDeque<ReceivedFile>,
    /// When, from which world, what.
    reports: Vec<(SimInstant, u32, Vec<Report>)>,
    /// What is to be done in each world.
    errands: Vec<Vec<Errand>>,
}

enum Stage {
    Running(Box<Centre>),
    /// It takes no more turns: what it came to.
    Over(Arc<Campaign>),
    /// The journal refused.
    Failed(Option<JournalError>),
}

impl Shared {
    /// A control centre that begins now and takes turns until an instant. `files` come in the order they are sent.
    pub(super) fn new(
        control: Control,
        worlds: u32,
        (began, until): (SimInstant, SimInstant),
        files: Vec<ReceivedFile>,
    ) -> Self {
        let errands = (0..worlds).map(|_| Vec::new()).collect();
        Self {
            worlds,
            began,
            until,
            state: Mutex::new(State {
                stage: Stage::Running(Box::new(Centre::new(control))),
                now: began,
                files: files.into(),
                reports: Vec::new(),
                errands,
            }),
        }
    }

    /// A report came in one world. Between two turns each world adds its own, in the order they come there.
    pub(super) fn reported(&self, world: u32, at: SimInstant, reports: Vec<Report>) {
        self.lock().reports.push((at, world, reports));
    }

    /// What the last turn gave one world to do.
    pub(super) fn errands(&self, world: u32) -> Vec<Errand> {
        self.lock()
            .errands
            .get_mut(world as usize)
            .map(take)
            .unwrap_or_default()
    }

    /// Whether it takes turns still.
    pub(super) fn runs(&self) -> bool {
        matches!(self.lock().stage, Stage::Running(_))
    }

    /// One turn, while all worlds stand still at a barrier. Gives whether there was one.
    pub(super) fn turn(&self, now: SimInstant) -> bool {
        let mut state = self.lock();
        let turned = state.turn(now, self.worlds);
        if let Err(error) = turned {
            state.stage = Stage::Failed(Some(error));
            return true;
        }
        if now >= self.until {
            // Its journal is closed with it.
            let stage = std::mem::replace(&mut state.stage, Stage::Failed(None));
            state.stage = match stage {
                Stage::Running(centre) => Stage::Over(Arc::new(centre.into_control().into_campaign())),
                over => over,
            };
        }
        turned.unwrap_or(false)
    }

    /// Acts in the control centre between two turns, with the calendar at the last of them; none when it takes no more.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut Control, SimInstant) -> R) -> Option<R> {
        let mut state = self.lock();
        let now = state.now;
        match &mut state.stage {
            Stage::Running(centre) => Some(act(centre.control_mut(), now)),
            _ => None,
        }
    }

    /// Looks at the campaign as of the last turn; none when the journal refused.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Campaign, SimInstant) -> R) -> Option<R> {
        let state = self.lock();
        match &state.stage {
            Stage::Running(centre) => Some(look(centre.control().campaign(), state.now)),
            Stage::Over(campaign) => Some(look(campaign, state.now)),
            Stage::Failed(_) => None,
        }
    }

    /// How far it is; none when the journal refused.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.look(|campaign, now| {
            let mut states = BTreeMap::new();
            for known in campaign.installations() {
                *states.entry(known.state).or_default() += 1;
            }
            Progress {
                now,
                began: self.began,
                until: self.until,
                states,
                twin: false,
                signatures: campaign.signatures,
            }
        })
    }

    /// What it came to, after its last turn; none while it runs, and when the journal refused.
    pub(super) fn campaign(&self) -> Option<Arc<Campaign>> {
        match &self.lock().stage {
            Stage::Over(campaign) => Some(Arc::clone(campaign)),
            _ => None,
        }
    }

    /// Why it takes no more turns, where that is not as it should be. Told once.
    pub(super) fn take_failure(&self) -> Option<JournalError> {
        match &mut self.lock().stage {
            Stage::Failed(error) => error.take(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, now: SimInstant, worlds: u32) -> Result<bool, JournalError> {
        let Stage::Running(centre) = &mut self.stage else {
            return Ok(false);
        };
        self.now = now;
        while self.files.front().is_some_and(|file| file.at <= now)
            && let Some(file) = self.files.pop_front()
        {
            centre.control_mut().receive(now, file)?;
        }
        let mut came = take(&mut self.reports);
        // Stable: what came in one world at one instant stays in its order.
        came.sort_by_key(|(at, world, _)| (*at, *world));
        let reports = came.into_iter().flat_map(|(.., reports)| reports).collect();
        for errand in centre.turn(now, reports)? {
            for (world, errands) in (0..worlds).zip(&mut self.errands) {
                errands.extend(errand.about(|id| world_of(id.0, worlds) == world));
            }
        }
        Ok(true)
    }
}
