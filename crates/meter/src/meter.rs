//! The metering device of either fuel: it counts, charges, switches and keeps time.

use std::sync::Arc;

use domain::keys::Party;
use domain::operation::{Counter, PaymentMode};
use domain::{
    Answer, DeviceKind, Eui64, LogKind, Operation, Outcome, Quantity, Refusal, SimDuration, SimInstant, SupplyState,
    Unit, Value,
};

use crate::alerts::{self, AlertCode};
use crate::billing;
use crate::calendar::HALF_HOUR_MS;
use crate::clock::{DeviceClock, Synchronised, TOLERANCE_MAX_S};
use crate::device::{Around, Device};
use crate::effects::Outbox;
use crate::history::{self, AccountRow, History};
use crate::load::{Channel, Load};
use crate::metering::Metering;
use crate::prepayment::{Account, AccountSettings, CreditRefused, MICRO};
use crate::profile::Profile;
use crate::settings::Changed;
use crate::supply::{Cause, Supply};
use crate::switching::BLOCK;
use crate::tariff::{Tariff, in_blocks};

/// An electricity or gas meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meter {
    pub(crate) device: Device,
    pub(crate) clock: DeviceClock,
    pub(crate) metering: Metering,
    pub(crate) account: Box<Account>,
    pub(crate) tariff: Arc<Tariff>,
    pub(crate) supply: Supply,
    pub(crate) mode: PaymentMode,
    pub(crate) gas: bool,
    pub(crate) second_element: bool,
    pub(crate) generation: bool,
    /// The metering point it was fitted at, as a number; [`NO_POINT`] for none.
    pub(crate) point: u64,
    /// What somebody has changed since.
    pub(crate) changed: Option<Box<Changed>>,
    /// When the next billing period begins; the end of time for never.
    pub(crate) next_billing: SimInstant,
    /// What cannot be computed.
    pub(crate) history: Option<Box<History>>,
}

/// What a new meter is made of.
pub(crate) struct MeterParts<'a> {
    pub(crate) id: Eui64,
    pub(crate) party: Party,
    pub(crate) epoch: u32,
    pub(crate) clock: DeviceClock,
    pub(crate) load: Load,
    pub(crate) installed_at: SimInstant,
    pub(crate) start: u32,
    pub(crate) account: &'a AccountSettings,
    pub(crate) tariff: &'a Arc<Tariff>,
    pub(crate) mode: PaymentMode,
    pub(crate) point: u64,
    pub(crate) now: SimInstant,
}

impl Meter {
    pub(crate) fn new(parts: &MeterParts<'_>, gas: bool) -> Self {
        Self {
            device: Device::new(parts.id, parts.party, parts.epoch),
            clock: parts.clock,
            metering: Metering::new(parts.load, parts.installed_at, parts.start),
            account: Box::new(Account::new(parts.account, parts.now)),
            tariff: Arc::clone(parts.tariff),
            supply: Supply::enabled(),
            mode: parts.mode,
            gas,
            second_element: false,
            generation: false,
            point: parts.point,
            changed: None,
            next_billing: next_billing(parts.tariff, parts.now),
            history: (parts.mode == PaymentMode::Prepayment).then(|| Box::new(History::prepaying_since(parts.now))),
        }
    }

    pub(crate) fn kind(&self) -> DeviceKind {
        if self.gas { DeviceKind::Gsme } else { DeviceKind::Esme }
    }

    pub(crate) fn main_channel(&self) -> Channel {
        if self.gas { Channel::Gas } else { Channel::Import }
    }

    /// Logs and raises what happened at `at`, true time.
    pub(crate) fn note(&mut self, at: SimInstant, profile: &Profile, out: &mut Outbox, alert: AlertCode) {
        let time = self.clock.time(at);
        let kind = self.kind();
        let behaviour = self.changed.as_ref().and_then(|changed| changed.alert_behaviour());
        self.device.note(
            &mut Around {
                kind,
                profile,
                time,
                out,
                behaviour,
            },
            alert,
        );
    }

    /// Charges everything up to `to`: each threshold is met at its own moment, however late this is called.
    pub(crate) fn settle(&mut self, to: SimInstant, profile: &Profile, out: &mut Outbox) {
        if self.mode == PaymentMode::Credit {
            self.account.settled_at = self.account.settled_at.max(to);
            return;
        }
        self.review(profile, out);
        while self.account.settled_at < to {
            let from = self.account.settled_at;
            let half_hour = next_half_hour(from);
            let boundary = self.until_protection_changes(from, half_hour, profile);
            let (until, cost) = self.step(from, boundary.min(to), profile);
            self.account.spend(cost);
            self.account.settled_at = until;
            if until == half_hour {
                let on = self.supply.state == SupplyState::Enabled;
                let accumulates = profile.prepayment.accumulates_debt;
                let due = self.account.fall_due(until, &self.tariff, on, accumulates);
                for alert in due.into_iter().flatten() {
                    self.note(until, profile, out, alert);
                }
            }
            self.warn_of_protection(from, until, profile, out);
            self.review(profile, out);
            if until == half_hour {
                self.keep_midnight(until, profile);
            }
        }
    }

    /// Reports each billing period that has begun by `to`.
    pub(crate) fn begin_billing_periods(&mut self, to: SimInstant, profile: &Profile, out: &mut Outbox) {
        while self.next_billing <= to {
            let point = self.next_billing;
            self.next_billing = next_billing(&self.tariff, point);
            self.note(point, profile, out, alerts::BILLING_LOG_UPDATED);
        }
    }

    /// When something happens to the account next; `None` in credit mode.
    pub(crate) fn next_settlement(&self, profile: &Profile) -> Option<SimInstant> {
        let from = self.account.settled_at;
        (self.mode == PaymentMode::Prepayment).then(|| {
            let boundary = self.until_protection_changes(from, next_half_hour(from), profile);
            self.step(from, boundary, profile).0
        })
    }

    /// How far one can charge from `from` until something happens, at most `to` in the same half-hour, and the cost.
    fn step(&self, from: SimInstant, to: SimInstant, profile: &Profile) -> (SimInstant, i64) {
        if !self.metering.counts() {
            return (to, 0);
        }
        let cost = self.cost(from, to, profile);
        let Some(distance) = self
            .account
            .distance(self.supply.has(Cause::Credit))
            .filter(|limit| cost >= *limit)
        else {
            return (to, cost);
        };
        // The first millisecond at which the distance is covered.
        let (mut before, mut after) = (from.0, to.0);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.cost(from, SimInstant(middle), profile) >= distance {
                after = middle;
            } else {
                before = middle;
            }
        }
        let until = SimInstant(after);
        (until, self.cost(from, until, profile))
    }

    /// Cost of what is used from `from` to `to`, two instants of one half-hour, in millionths of a penny.
    fn cost(&self, from: SimInstant, to: SimInstant, profile: &Profile) -> i64 {
        let channel = self.main_channel();
        let (slot, used) = self.metering.within_half_hour(channel, from, to);
        let tariff = self.metering.tariff_at(&self.tariff, from);
        let (day, slot) = self.rate_clock(from, slot, profile);
        let action = tariff.main.switching.action(day, slot);
        let main = if in_blocks(action) {
            let band = action & !BLOCK;
            let before = self.metering.counter(channel, &self.tariff, band, from);
            let rates = &tariff.main;
            let block = |n| {
                let used = rates.block(band, n, before + used) - rates.block(band, n, before);
                used.saturating_mul(tariff.unit_price(rates.block_price(band, n), self.gas))
            };
            (1..=rates.blocks(band)).map(block).fold(0, i64::saturating_add)
        } else {
            used.saturating_mul(tariff.unit_price(tariff.main.tou_price(action), self.gas))
        };
        if !self.second_element {
            return main;
        }
        let second = self.metering.within_half_hour(Channel::Secondary, from, to).1;
        let price = tariff.second.tou_price(tariff.second.switching.action(day, slot));
        main.saturating_add(second.saturating_mul(price))
    }

    /// Cost of what is used from `from` to `to`, whole half-hours at a time, in millionths of a penny.
    pub(crate) fn cost_between(&self, from: SimInstant, to: SimInstant, profile: &Profile) -> i64 {
        let mut sum: i64 = 0;
        let mut at = from;
        while at < to {
            let until = next_half_hour(at).min(to);
            sum = sum.saturating_add(self.cost(at, until, profile));
            at = until;
        }
        sum
    }

    fn reset_counters(&mut self, now: SimInstant, counters: &[Counter]) {
        for counter in counters {
            if *counter == Counter::TariffBlocks {
                let (main, tariff) = (self.main_channel(), Arc::clone(&self.tariff));
                self.metering
                    .change_tariff(main, &tariff, Arc::clone(&tariff), now, true);
                continue;
            }
            if *counter == Counter::LoadLimit {
                self.reset_load_limit_counter();
            }
            self.history.get_or_insert_default().reset(*counter, now);
        }
    }

    /// When a counter last began anew, if it ever did.
    pub(crate) fn reset_at(&self, counter: Counter) -> Option<SimInstant> {
        self.history.as_ref()?.reset_at(counter)
    }

    /// Empties a log of events; the security log stays (sourced for the later generation, inferred here).
    fn clear_log(&mut self, log: LogKind) -> Outcome {
        match log {
            LogKind::Event => self.device.logs.clear(log),
            LogKind::PowerEvent if !self.gas => self.device.logs.clear(log),
            LogKind::AuxiliaryLoad if !self.gas => {
                if let Some(history) = &mut self.history {
                    history.switchings.clear();
                }
            }
            _ => return Err(Refusal::NotSupported),
        }
        Ok(Answer::Done)
    }

    /// Begins to record gas flow. Gives the number of the recording.
    fn record_flow(&mut self, now: SimInstant) -> Answer {
        let history = self.history.get_or_insert_default();
        let number = history.recording.map_or(0, |(_, number)| number).wrapping_add(1);
        history.recording = Some((now, number));
        Answer::Value(Value::Quantity(Quantity::new(i64::from(number), Unit::Count)))
    }

    /// Keeps registers and account as they are at `at`: they are about to change their meaning.
    pub(crate) fn keep_change(&mut self, at: SimInstant, profile: &Profile) {
        let row = self.view(at, profile).at_change();
        self.history.get_or_insert_default().change(row);
    }

    /// Keeps the account where `at` is a midnight or a billing point; it has just been settled.
    fn keep_midnight(&mut self, at: SimInstant, profile: &Profile) {
        let billing = profile.logs.billing_holds_account && self.metering.billing_point(&self.tariff, at) == at;
        let midnight = self.view(at, profile).midnight_before(at) == at;
        if !billing && !midnight {
            return;
        }
        let row = (at, AccountRow::of(&self.account));
        let history = self.history.get_or_insert_default();
        if midnight {
            history::push(&mut history.midnights, row, usize::from(profile.daily_log_entries));
        }
        if billing {
            history::push(&mut history.billings, row, usize::from(profile.billing_log_entries));
        }
    }

    /// Keeps a credit, and what of it went to the payment-based debt.
    fn keep_credit(&mut self, at: SimInstant, milli_pence: i64, debt_payment: i64, profile: &Profile) {
        let history = self.history.get_or_insert_default();
        let rules = &profile.logs;
        history::push(
            &mut history.credits,
            (at, milli_pence),
            usize::from(rules.credit_entries),
        );
        if debt_payment > 0 {
            let entries = usize::from(rules.debt_payment_entries);
            history::push(&mut history.debt_payments, (at, debt_payment), entries);
        }
    }

    /// Raises what the balance calls for, and ends supply where it must end.
    pub(crate) fn review(&mut self, profile: &Profile, out: &mut Outbox) {
        let at = self.account.settled_at;
        let mut raised = [None; 3];
        let mut free = raised.iter_mut();
        let ended = self.account.review(&mut |alert| {
            if let Some(place) = free.next() {
                *place = Some(alert);
            }
        });
        for alert in raised.into_iter().flatten() {
            self.note(at, profile, out, alert);
        }
        if ended && !self.supply.has(Cause::Credit) && !self.kept_on() && !self.protected(at, profile) {
            let before = self.supply;
            self.supply.disable(Cause::Credit);
            self.metering.interrupt(at);
            self.note(at, profile, out, alerts::CREDIT_BELOW_DISABLEMENT);
            self.log_switch(before, at, profile, out);
        }
    }

    /// Counting follows supply and mains.
    pub(crate) fn follow_supply(&mut self, at: SimInstant, powered: bool) {
        if self.supply.state == SupplyState::Enabled && (powered || self.gas) {
            self.metering.resume(self.main_channel(), &self.tariff, at);
        } else {
            self.metering.interrupt(at);
        }
    }

    /// Carries out an operation that changes the meter; rights and approval are checked, the account is settled.
    pub(crate) fn operate(
        &mut self,
        now: SimInstant,
        powered: bool,
        operation: &Operation,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        let (before, was_lost) = (self.supply, self.clock.lost);
        let switches = matches!(
            operation,
            Operation::ArmSupply | Operation::DisableSupply | Operation::EnableSupply
        );
        if switches && self.jammed(now, profile) {
            // The meter has told its valve to move, and that is all it knows.
            return Ok(Answer::Done);
        }
        let outcome = self.carry_out(now, powered, operation, profile, out);
        if was_lost && !self.clock.lost {
            self.clock_found(now);
        }
        if outcome.is_ok() {
            self.was_changed(now, profile);
        }
        self.log_switch(before, now, profile, out);
        outcome
    }

    fn carry_out(
        &mut self,
        now: SimInstant,
        powered: bool,
        operation: &Operation,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        match operation {
            Operation::DisableSupply => {
                self.supply.disable(Cause::Command);
            }
            Operation::ArmSupply => {
                if self.supply.arm(profile.arm_needs_disabled)? {
                    self.note(now, profile, out, alerts::SUPPLY_ARMED);
                }
            }
            Operation::EnableSupply if profile.enable_means_arm && self.supply.state != SupplyState::Enabled => {
                if self.supply.arm(false)? {
                    self.note(now, profile, out, alerts::SUPPLY_ARMED);
                }
            }
            Operation::EnableSupply => {
                self.supply.enable()?;
            }
            Operation::ResetCounters(counters) => self.reset_counters(now, counters),
            Operation::ClearLog(log) => return self.clear_log(*log),
            Operation::SwitchAuxiliaryLoad { switch, on, minutes } => {
                if !(1..=profile.supply.auxiliary_switches).contains(switch) {
                    return Err(Refusal::NotSupported);
                }
                // The end is put off by the random delay of this meter, as its switching times are (LAB: inferred).
                let delay = SimDuration::from_secs(self.view(now, profile).random_delay_s());
                let until = (*minutes > 0).then(|| now + SimDuration::from_mins((*minutes).into()) + delay);
                self.history.get_or_insert_default().switching(now, *switch, *on, until);
            }
            Operation::RecordNetworkData if profile.logs.records_flow => return Ok(self.record_flow(now)),
            Operation::SynchroniseClock { time, tolerance_s } => {
                let result = synchronise(&mut self.clock, now, profile, *time, *tolerance_s)?;
                if let Some(alert) = clock_alert(result) {
                    self.note(now, profile, out, alert);
                }
                if result == Synchronised::Set {
                    self.disturb_load_window(now, profile);
                }
                return clock_outcome(result);
            }
            Operation::AdjustBalance(milli_pence) => {
                return self.adjust_balance(now, powered, *milli_pence, profile, out);
            }
            Operation::ResetBalance => return self.reset_balance(now, powered, profile, out),
            Operation::ChangeDebt(change) => return self.change_debt(change, &profile.prepayment),
            Operation::DisplayMessage(message) => return self.display(message),
            Operation::RestrictAccess { before } => {
                self.change_supplier(now, powered, profile, out)?;
                return self.restrict(*before);
            }
            Operation::DisablePrivacyPin => return self.protect(false),
            Operation::ShowCustomerIdentification(number) => return self.identify(number),
            Operation::ActivateEmergencyCredit if profile.prepayment.emergency_by_consumer => {
                return Err(Refusal::WrongState);
            }
            Operation::ActivateEmergencyCredit => self.activate_emergency(now, powered, profile, out)?,
            Operation::Write(setting) => return self.write(now, powered, setting, profile, out),
            _ => return Err(Refusal::NotSupported),
        }
        self.follow_supply(now, powered);
        Ok(Answer::Done)
    }

    /// The consumer restores an armed supply.
    pub(crate) fn press_restore(
        &mut self,
        now: SimInstant,
        powered: bool,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let before = self.supply;
        if before.state == SupplyState::Armed && !self.confirmed(now, profile) {
            return Ok(());
        }
        self.supply.restore_locally()?;
        self.note(now, profile, out, alerts::LOCAL_COMMAND);
        self.look_at_flow(now, profile, out);
        self.follow_supply(now, powered);
        self.log_switch(before, now, profile, out);
        Ok(())
    }

    /// The consumer activates emergency credit.
    pub(crate) fn activate_emergency(
        &mut self,
        now: SimInstant,
        powered: bool,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        if self.mode != PaymentMode::Prepayment || !self.account.activate_emergency() {
            return Err(Refusal::WrongState);
        }
        self.note(now, profile, out, alerts::EMERGENCY_CREDIT_ACTIVATED);
        self.credit_returned(now, powered, profile, out);
        Ok(())
    }

    /// Credit arrives at the meter.
    pub(crate) fn top_up(
        &mut self,
        now: SimInstant,
        powered: bool,
        milli_pence: u32,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        if self.mode != PaymentMode::Prepayment {
            return Err(Refusal::WrongState);
        }
        let owed = self.account.payment_debt;
        match self.account.credit(milli_pence) {
            Ok(debt_paid) => {
                let paid = (owed - self.account.payment_debt) / MICRO;
                self.keep_credit(now, i64::from(milli_pence), paid, profile);
                self.note(now, profile, out, alerts::CREDIT_ADDED_LOCALLY);
                if debt_paid {
                    self.note(now, profile, out, alerts::PAYMENT_DEBT_COLLECTED);
                }
                self.credit_returned(now, powered, profile, out);
                Ok(())
            }
            Err(refused) => {
                let alert = match refused {
                    CreditRefused::AboveBalance => alerts::CREDIT_ABOVE_BALANCE,
                    CreditRefused::AboveCredit => alerts::CREDIT_ABOVE_MAXIMUM,
                };
                self.note(now, profile, out, alert);
                Err(Refusal::OutOfRange)
            }
        }
    }

    pub(crate) fn credit_returned(&mut self, now: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        if self.account.available() > 0 {
            self.keep_on(false);
            let to = profile.credit_restores_to;
            self.release_credit(now, powered, to, profile, out);
        }
    }

    /// Lack of credit no longer keeps the supply off; it goes to state `to`.
    pub(crate) fn release_credit(
        &mut self,
        now: SimInstant,
        powered: bool,
        to: SupplyState,
        profile: &Profile,
        out: &mut Outbox,
    ) {
        let before = self.supply;
        if self.supply.credit_returns(to) {
            if self.supply.state == SupplyState::Armed {
                self.note(now, profile, out, alerts::SUPPLY_ARMED);
            }
            self.follow_supply(now, powered);
            self.log_switch(before, now, profile, out);
        }
    }
}

/// The number of no metering point.
pub(crate) const NO_POINT: u64 = u64::MAX;

/// The first billing point after `after`; the end of time where there is none.
pub(crate) fn next_billing(tariff: &Tariff, after: SimInstant) -> SimInstant {
    billing::next(&tariff.billing, after).unwrap_or(SimInstant(i64::MAX))
}

/// Sets a clock.
///
/// # Errors
/// For a tolerance no synchronisation may carry.
pub(crate) fn synchronise(
    clock: &mut DeviceClock,
    now: SimInstant,
    profile: &Profile,
    time: SimInstant,
    tolerance_s: u32,
) -> Result<Synchronised, Refusal> {
    if tolerance_s > TOLERANCE_MAX_S {
        return Err(Refusal::OutOfRange);
    }
    Ok(clock.synchronise(now, profile, time, tolerance_s))
}

/// What a synchronisation is reported as.
pub(crate) fn clock_alert(result: Synchronised) -> Option<AlertCode> {
    match result {
        Synchronised::Kept => None,
        Synchronised::Set => Some(alerts::CLOCK_ADJUSTED),
        Synchronised::TooFar => Some(alerts::CLOCK_NOT_ADJUSTED),
        Synchronised::OutsideTolerance => Some(alerts::CLOCK_OUTSIDE_TOLERANCE),
    }
}

/// What a synchronisation answers.
pub(crate) fn clock_outcome(result: Synchronised) -> Outcome {
    match result {
        Synchronised::Kept | Synchronised::Set => Ok(Answer::Done),
        Synchronised::TooFar | Synchronised::OutsideTolerance => Err(Refusal::OutOfRange),
    }
}

fn next_half_hour(at: SimInstant) -> SimInstant {
    SimInstant((at.0.div_euclid(HALF_HOUR_MS) + 1) * HALF_HOUR_MS)
}
