//! Changes of supplier at every state.

use domain::{Eui64, Mpxn, SimInstant};
use jiff::civil::Date;

use super::control::Control;
use super::event::Event;
use super::journal::JournalError;
use super::model::PendingChange;
use super::state::{Actor, State};
use crate::InstallationId;
use crate::planning::authorisation::Fuel;
use crate::settings::Stage;

impl Control {
    /// Registration announces a change of supplier at a point. `active`: whether the gaining supplier has smart service
    /// there.
    ///
    /// Before the freeze nothing happens until the change takes effect, but that a slot too near to it is given up; from
    /// the freeze to the point of no return a change inside the window ends the attempt; after it, the migration goes on.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn change_of_supplier(
        &mut self,
        now: SimInstant,
        mpxn: Mpxn,
        supplier: Eui64,
        active: bool,
        effective: Date,
    ) -> Result<(), JournalError> {
        let Some(known) = self.campaign.by_mpxn(mpxn) else {
            return Ok(());
        };
        let id = known.id();
        let day = known.attempt.day.unwrap_or_else(|| self.today(now));
        let near = self.settings.calendar.change_is_near(day, effective);
        let stops = (known.state == State::Slotted || known.state.is_frozen()) && !known.may_be_rotated() && near;
        let event = Event::ChangeAnnounced {
            mpxn,
            supplier,
            active,
            effective,
        };
        self.write(now, Actor::Registration, Some(id), None, event)?;
        if stops {
            let text = format!("{} changes supplier on {effective}", fuel_word(mpxn));
            let finding = self.by_rule(Stage::Validation, "change-of-supplier-pending", text);
            self.fail(now, id, &finding, Some(State::RetryWait))?;
        }
        if effective <= self.today(now) {
            let change = PendingChange {
                supplier,
                active,
                effective,
            };
            self.change_takes_effect(now, id, mpxn, change)?;
        }
        self.settle(now)
    }

    pub(super) fn change_takes_effect(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        mpxn: Mpxn,
        change: PendingChange,
    ) -> Result<(), JournalError> {
        let Some(known) = self.campaign.installation(id) else {
            return Ok(());
        };
        let (state, rotated) = (known.state, known.may_be_rotated());
        let authorised = known
            .each_point()
            .any(|(facts, progress)| facts.mpxn == mpxn && progress.authorisation.is_some());
        let PendingChange { supplier, active, .. } = change;
        let event = Event::SupplierChanged { mpxn, supplier, active };
        self.write(now, Actor::Registration, Some(id), None, event)?;
        if state.is_forward_only() || rotated {
            let row = self
                .settings
                .errors
                .find(Stage::Commissioning, "change-of-supplier-effective");
            let code = row.id.clone();
            let text = format!("{} changed supplier to {supplier}", fuel_word(mpxn));
            return self.write(now, Actor::Cp, Some(id), None, Event::Noted { code, text });
        }
        if authorised && !state.is_terminal() && state != State::Confirmed {
            // The gaining supplier must authorise anew; what follows from that follows from the state.
            let row = self.settings.errors.find(Stage::Any, "change-of-supplier");
            let event = Event::Unauthorised {
                mpxn,
                why: row.id.clone(),
            };
            self.write(now, Actor::Registration, Some(id), None, event)?;
        }
        Ok(())
    }
}

/// The fuel of a point, for messages.
fn fuel_word(mpxn: Mpxn) -> &'static str {
    match Fuel::of(mpxn) {
        Fuel::Electricity => "electricity",
        Fuel::Gas => "gas",
    }
}
