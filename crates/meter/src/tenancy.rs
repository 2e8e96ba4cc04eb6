//! What happens to a meter when its supplier or its mode changes: what it then does by itself, a change of mode that was left
//! at it for later, and the mode it had before it was configured.

use domain::operation::{PaymentMode, PaymentSetting, Setting, SettingKind};
use domain::{DeviceKind, Refusal, SimInstant};

use crate::effects::Outbox;
use crate::installation::Installation;
use crate::meter::Meter;
use crate::profile::{Context, Profile};

impl Meter {
    /// Another supplier or another customer: what the profile has the meter do by itself.
    pub(crate) fn change_supplier(
        &mut self,
        now: SimInstant,
        powered: bool,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let change = profile.prepayment.supplier_change;
        if change.bills {
            self.keep_change(now, profile);
        }
        if change.resets_balance {
            self.reset_balance(now, powered, profile, out)?;
        }
        if change.resets_debts {
            let account = &mut self.account;
            (account.time_debts, account.payment_debt, account.accumulated_debt) = ([0; 2], 0, 0);
        }
        if change.resets_tariff {
            let fitted = self.metering.tariff_at(&self.tariff, self.metering.since).clone();
            self.adopt(now, fitted, SettingKind::Tariff, profile);
        }
        Ok(())
    }

    /// Whether it is in the mode it had before it was configured.
    pub(crate) fn unconfigured(&self) -> bool {
        self.changed.as_ref().is_some_and(|changed| changed.unconfigured)
    }

    /// Puts it back into that mode: it charges nothing, and has neither of the two modes.
    pub(crate) fn unconfigure(&mut self, now: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        let credit = self.in_mode(PaymentMode::Credit);
        self.set_payment_mode(now, powered, &credit, profile, out);
        self.changed.get_or_insert_default().unconfigured = true;
    }

    /// Mains are back after `since`: a change of payment mode that fell into the outage happens now, or never.
    pub(crate) fn after_outage(&mut self, since: SimInstant, now: SimInstant, profile: &Profile, out: &mut Outbox) {
        let missed = self.changed.as_mut().and_then(|changed| {
            let missed = |(at, setting): &(SimInstant, Setting)| {
                setting.kind() == SettingKind::PaymentMode && *at >= since && *at <= now
            };
            let place = changed.delayed.iter().position(missed)?;
            Some(changed.delayed.remove(place).1)
        });
        if let Some(Setting::PaymentMode(payment)) = missed
            && profile.prepayment.mode_change_catches_up
        {
            self.set_payment_mode(now, true, &payment, profile, out);
        }
    }

    fn in_mode(&self, mode: PaymentMode) -> PaymentSetting {
        PaymentSetting {
            mode,
            ..self.payment_setting()
        }
    }
}

impl Installation {
    /// Puts the meters into a payment mode, as somebody with a tool at them would: no right is asked for, and each does what
    /// its profile has it do when the mode changes. A meter in that mode already is left alone.
    ///
    /// # Errors
    /// [`Refusal::WrongState`] without mains; nothing has changed then.
    pub fn put_payment_mode(&mut self, context: &Context<'_>, mode: PaymentMode) -> Result<(), Refusal> {
        for slot in [DeviceKind::Esme, DeviceKind::Gsme] {
            if self.meter(slot).is_none() {
                continue;
            }
            self.consumer_act(context, slot, |meter, powered, profile, out| {
                if meter.mode != mode || meter.unconfigured() {
                    let payment = meter.in_mode(mode);
                    meter.set_payment_mode(context.now, powered, &payment, profile, out);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Leaves a change of payment mode at a meter for a time to come, as whoever operated it before may have done.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] on what is no meter, [`Refusal::WrongState`] on an electricity meter without mains.
    pub fn plan_payment_mode(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        at: SimInstant,
        mode: PaymentMode,
    ) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, _, _, _| {
            let payment = meter.in_mode(mode);
            let changed = meter.changed.get_or_insert_default();
            changed.delay(at, Setting::PaymentMode(payment));
            Ok(())
        })
    }
}
