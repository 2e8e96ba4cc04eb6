//! What a person does at a display.

use domain::keys::Purpose;
use domain::operation::Token;
use domain::{DeviceKind, Operation, Refusal, SimInstant};
use serde::{Deserialize, Serialize};

use crate::effects::Outbox;
use crate::installation::{Installation, profile};
use crate::meter::Meter;
use crate::profile::{Context, Profile};
use crate::quirks::relays;
use crate::tokens::TokenSource;

/// Acts that wait for the gas meter at most; one more is refused as busy.
const FOR_GAS_MAX: usize = 8;

/// What can be done at a prepayment interface about a meter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DisplayAct {
    /// Activates emergency credit.
    ActivateEmergencyCredit,
    /// Keys in a payment token.
    EnterToken(Token),
    /// Restores an armed supply.
    RestoreSupply,
}

/// What became of an act at a display.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acted {
    /// Done.
    Done,
    /// The gas meter sleeps: it hears of it at its next wake, and nobody at the display hears what became of it.
    Waits,
}

impl Installation {
    /// Somebody acts at a prepayment interface: about the electricity meter at once, about the gas meter at its next wake.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] where the display cannot, [`Refusal::Unreachable`] while it does not take part,
    /// [`Refusal::WrongState`] where it is not joined with that meter or a message blocks it, [`Refusal::Busy`] when too
    /// much waits for the gas meter; and what the electricity meter refuses.
    pub fn act_at_display(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        meter: DeviceKind,
        act: &DisplayAct,
    ) -> Result<Acted, Refusal> {
        self.advance(context);
        let acted = self.admit_act(context, slot, meter, act);
        let acted = acted.and_then(|()| match (&mut self.displays, meter) {
            (_, DeviceKind::Esme) => {
                let (esme, out) = (&mut self.esme, &mut self.effects);
                carry_out(esme, context.now, act, context, context.profiles.esme, out)?;
                Ok(Acted::Done)
            }
            (Some(displays), _) if displays.for_gas.len() < FOR_GAS_MAX => {
                displays.for_gas.push_back(act.clone());
                Ok(Acted::Waits)
            }
            _ => Err(Refusal::Busy),
        });
        self.reschedule(context);
        acted
    }

    /// Somebody acknowledges all messages of a display.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] where there is no such display.
    pub fn acknowledge_messages(&mut self, slot: DeviceKind) -> Result<(), Refusal> {
        let display = self.display_mut(slot).ok_or(Refusal::NotSupported)?;
        display
            .messages
            .iter_mut()
            .for_each(|message| message.acknowledged = true);
        Ok(())
    }

    /// The gas meter was awake and in reach at `at`: it hears what waits for it.
    pub(crate) fn gas_meter_met(&mut self, context: &Context<'_>, at: SimInstant) {
        let waiting = self
            .displays
            .as_mut()
            .map(|displays| std::mem::take(&mut displays.for_gas));
        if let (Some(gas), Some(profile)) = (&mut self.gas, context.profiles.gsme) {
            for act in waiting.into_iter().flatten() {
                // What the meter refuses shows in its own log and alerts.
                let _ = carry_out(&mut gas.gsme, at, &act, context, profile, &mut gas.alerts);
            }
        }
        self.hear_messages(context);
    }

    fn admit_act(
        &self,
        context: &Context<'_>,
        slot: DeviceKind,
        meter: DeviceKind,
        act: &DisplayAct,
    ) -> Result<(), Refusal> {
        let device = self.device(slot).ok_or(Refusal::NotSupported)?;
        let rules = &profile(context, slot).han;
        let token = matches!(act, DisplayAct::EnterToken(_));
        if slot != DeviceKind::Ppmid || self.meter(meter).is_none() || (token && !rules.takes_tokens) {
            return Err(Refusal::NotSupported);
        }
        if !self.display_takes_part(slot) || self.is_out(meter) {
            return Err(Refusal::Unreachable);
        }
        if !self.is_joined(meter, device) || self.screen(context, slot).is_some_and(|screen| screen.blocked) {
            return Err(Refusal::WrongState);
        }
        if meter == DeviceKind::Gsme && !relays(context.profiles.chf, &as_operation(act)) {
            return Err(Refusal::NotSupported);
        }
        Ok(())
    }
}

fn carry_out(
    meter: &mut Meter,
    at: SimInstant,
    act: &DisplayAct,
    context: &Context<'_>,
    profile: &Profile,
    out: &mut Outbox,
) -> Result<(), Refusal> {
    match act {
        DisplayAct::ActivateEmergencyCredit => meter.activate_emergency(at, true, profile, out),
        DisplayAct::RestoreSupply => meter.press_restore(at, true, profile, out),
        DisplayAct::EnterToken(digits) => {
            let key = meter.device.security.key(context, meter.device.id, Purpose::Token);
            let key = key.ok_or(Refusal::NotPermitted)?;
            meter
                .enter_token(at, true, &digits.0, &key, TokenSource::Keypad, profile, out)
                .map(|_| ())
        }
    }
}

/// The same as an operation of the meter.
fn as_operation(act: &DisplayAct) -> Operation {
    match act {
        DisplayAct::ActivateEmergencyCredit => Operation::ActivateEmergencyCredit,
        DisplayAct::EnterToken(token) => Operation::EnterToken(token.clone()),
        DisplayAct::RestoreSupply => Operation::EnableSupply,
    }
}
