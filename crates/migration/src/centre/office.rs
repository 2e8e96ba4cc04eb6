//! A control centre with its two parties in one world.

use domain::SimInstant;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::World;

use super::{Centre, Desk, answer};
use crate::machine::Control;
use crate::machine::journal::JournalError;
use crate::party::{Cp, Rp};

/// The control centre of one world with its desk. It owns the work under way; dropping it ends that as a crash would.
pub struct Office {
    world: World,
    centre: Centre,
    desk: Desk,
    _parties: JoinSet<()>,
}

impl Office {
    /// A control centre on links of its own with both parties. It plans from the day after the campaign's first on, or goes on
    /// after the last day it planned. Must be called inside a runtime.
    #[must_use]
    pub fn new(world: World, control: Control, rp: Rp, cp: Cp) -> Self {
        let (to_rp, rp_end) = world.link("mcc", "rp");
        let (to_cp, cp_end) = world.link("mcc", "cp");
        let (mut parties, never) = (JoinSet::new(), CancellationToken::new());
        parties.spawn(answer(rp, rp_end, never.clone()));
        parties.spawn(answer(cp, cp_end, never));
        Self {
            centre: Centre::new(control),
            desk: Desk::new(&world, [to_rp, to_cp]),
            world,
            _parties: parties,
        }
    }

    /// The core.
    #[must_use]
    pub fn control(&self) -> &Control {
        self.centre.control()
    }

    /// The core, for files, registrations, changes of supplier and people's acts between runs.
    pub fn control_mut(&mut self) -> &mut Control {
        self.centre.control_mut()
    }

    /// Works until an instant of the lab's calendar. What is under way then goes on in the next call. Safe to cancel:
    /// what was written stays written, and a later start finds what was asked.
    ///
    /// # Errors
    /// When the journal refuses: nothing is told to anybody that is not written.
    pub async fn run_until(&mut self, until: SimInstant) -> Result<(), JournalError> {
        let mut reports = Vec::new();
        loop {
            let now = self.world.clock.now();
            for errand in self.centre.turn(now, std::mem::take(&mut reports))? {
                self.desk.send(errand);
            }
            if now >= until {
                return Ok(());
            }
            let wake = self.centre.next_turn().min(until);
            tokio::select! {
                biased;
                came = self.desk.reported() => reports = came,
                () = self.world.clock.sleep_until(wake) => {}
            }
        }
    }
}
