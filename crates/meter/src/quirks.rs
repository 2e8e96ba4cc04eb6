//! What profiles make meters, hubs and their neighbours do beyond the plain device, where it fits no other file: a clock
//! that stops the rest, a hub that sets clocks, switches that want to be confirmed, valves that look at the flow.
//!
//! Codes of events here are ours (invented): no list of a manufacturer's own codes was found.

use domain::keys::Party;
use domain::operation::{OperationKind, SettingKind};
use domain::seed::mix;
use domain::{DeviceKind, LogKind, Operation, Refusal, SimDuration, SimInstant, SupplyState};
use serde::{Deserialize, Serialize};

use crate::alerts::{self, AlertCode};
use crate::calendar::{DAY_MS, HALF_HOUR_MS, HOUR_MS, LocalDay, changes};
use crate::effects::Outbox;
use crate::gas::Gas;
use crate::history::{self, History};
use crate::installation::Installation;
use crate::load::Channel;
use crate::meter::Meter;
use crate::profile::{Context, Midnight, Profile, Relay};
use crate::supply::{Cause, Supply};

/// Times with an invalid clock that are remembered.
const FROZEN_MAX: usize = 16;

/// A time in which a meter's clock was invalid, and the half-hour of the local day whose rate stayed in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Frozen {
    pub(crate) from: SimInstant,
    pub(crate) to: Option<SimInstant>,
    pub(crate) slot: u8,
}

impl Frozen {
    fn end(&self, at: SimInstant) -> SimInstant {
        self.to.map_or(at, |to| to.min(at))
    }
}

impl History {
    /// The clock is invalid from `from`; the rate is that of `rate_at`.
    fn freeze(&mut self, from: SimInstant, rate_at: SimInstant) {
        let slot = u8::try_from(local_slot(rate_at)).unwrap_or(0);
        history::push(&mut self.frozen, Frozen { from, to: None, slot }, FROZEN_MAX);
    }

    fn thaw(&mut self, at: SimInstant) {
        if let Some(last) = self.frozen.back_mut().filter(|last| last.to.is_none()) {
            last.to = Some(at);
        }
    }

    /// Whether the clock was invalid at some moment from `from` to `to`.
    pub(crate) fn was_frozen(&self, from: SimInstant, to: SimInstant) -> bool {
        self.frozen
            .iter()
            .any(|frozen| frozen.from < to && frozen.end(to) > from)
    }
}

impl Meter {
    /// The mains are back after `since`, and the clock has lost its time.
    pub(crate) fn clock_lost(&mut self, since: SimInstant, now: SimInstant, profile: &Profile) {
        if profile.clock.invalid_freezes {
            self.history.get_or_insert_default().freeze(now, since);
        }
    }

    /// The clock was set by whatever set it.
    pub(crate) fn clock_found(&mut self, now: SimInstant) {
        if let Some(history) = &mut self.history {
            history.thaw(now);
        }
    }

    /// Day and half-hour by which the tariff goes at `at`, in half-hour `slot` of the local day: standard time where the
    /// profile says so, and the half-hour at which an invalid clock has stopped.
    pub(crate) fn rate_clock(&self, at: SimInstant, slot: usize, profile: &Profile) -> (LocalDay, usize) {
        let history = self.history.as_ref().filter(|_| profile.clock.invalid_freezes);
        let stopped = history.and_then(|history| {
            let mut all = history.frozen.iter();
            all.find(|frozen| frozen.from <= at && frozen.to.is_none_or(|to| at < to))
        });
        if let Some(frozen) = stopped {
            return (LocalDay::of(at), usize::from(frozen.slot));
        }
        match profile.clock.tariff {
            Midnight::Local => (LocalDay::of(at), slot),
            Midnight::Standard => {
                let half_hours = at.0.rem_euclid(DAY_MS) / HALF_HOUR_MS;
                let slot = usize::try_from(half_hours).unwrap_or(0);
                (LocalDay(at.0.div_euclid(DAY_MS)), slot)
            }
        }
    }

    /// By how much register `n` of the tariff differs at `at` from what local time says: where another clock switches
    /// rates, and where a rate stayed because the clock was invalid. Only for tariffs whose days are all the same.
    pub(crate) fn rate_shift(&self, n: u8, at: SimInstant, profile: &Profile) -> i64 {
        let standard = profile.clock.tariff == Midnight::Standard;
        let history = self.history.as_ref().filter(|_| profile.clock.invalid_freezes);
        let frozen = history.filter(|history| !history.frozen.is_empty());
        if !standard && frozen.is_none() {
            return 0;
        }
        let mut shift = 0;
        for (from, to, tariff) in self.metering.reigns(&self.tariff, at) {
            let Some(pattern) = tariff.main.switching.uniform() else {
                continue;
            };
            if standard {
                shift += self.standard_shift(n, pattern, from, to);
            }
            for frozen in frozen.iter().flat_map(|history| &history.frozen) {
                shift += self.frozen_shift(n, pattern, frozen, from, to);
            }
        }
        shift
    }

    /// In summer, standard time is an hour behind local time: what counted an hour too early, less what it should have.
    fn standard_shift(&self, n: u8, pattern: &[u8; 48], from: SimInstant, to: SimInstant) -> i64 {
        let mut later = *pattern;
        later.rotate_right(2);
        let mut shift = 0;
        for year in LocalDay::of(from).date().year..=LocalDay::of(to).date().year {
            let (spring, autumn) = changes(year);
            let from = SimInstant(spring * DAY_MS + HOUR_MS).max(from);
            let to = SimInstant(autumn * DAY_MS + HOUR_MS).min(to);
            let counted = |table| self.metering.consumed(self.main_channel(), Some((table, n)), from, to);
            shift += counted(&later) - counted(pattern);
        }
        shift
    }

    /// All that was used while the clock was invalid counts in the rate that stayed.
    fn frozen_shift(&self, n: u8, pattern: &[u8; 48], frozen: &Frozen, from: SimInstant, to: SimInstant) -> i64 {
        let (from, to) = (frozen.from.max(from), frozen.end(to));
        let counted = |slots| self.metering.consumed(self.main_channel(), slots, from, to);
        let stayed = pattern.get(usize::from(frozen.slot)) == Some(&n);
        let all = if stayed { counted(None) } else { 0 };
        all - counted(Some((pattern, n)))
    }

    /// Logs what keeps the switch open, after it may have moved; `before` is how it was.
    pub(crate) fn log_switch(&mut self, before: Supply, now: SimInstant, profile: &Profile, out: &mut Outbox) {
        if !profile.supply.logs_causes || before == self.supply {
            return;
        }
        let open = self.supply.state != SupplyState::Enabled;
        // Arming takes the causes away; the log still says what it was that opened the switch.
        let causes = if open { before.causes | self.supply.causes } else { 0 };
        self.history.get_or_insert_default().switch_causes = causes;
        self.note(now, profile, out, SWITCH_CAUSES[usize::from(causes & 0x1F)]);
    }

    /// What keeps the switch open, as two hexadecimal digits.
    pub(crate) fn switch_reason(&self) -> String {
        let causes = self.history.as_ref().map_or(0, |history| history.switch_causes);
        format!("{causes:02X}")
    }

    /// Whether the consumer has done enough to close an armed switch; the first act of two is remembered.
    pub(crate) fn confirmed(&mut self, now: SimInstant, profile: &Profile) -> bool {
        let Some(within) = profile.supply.confirm_within else {
            return true;
        };
        let history = self.history.get_or_insert_default();
        let first = history.pressed_at.take();
        if first.is_some_and(|first| now.since(first) <= within) {
            return true;
        }
        history.pressed_at = Some(now);
        false
    }

    /// A valve that has just opened looks at the flow, and may go back to being armed.
    pub(crate) fn look_at_flow(&mut self, now: SimInstant, profile: &Profile, out: &mut Outbox) {
        let Some(limit) = profile.supply.reopen_flow_limit.filter(|_| self.gas) else {
            return;
        };
        let start = SimInstant(now.0.div_euclid(HALF_HOUR_MS) * HALF_HOUR_MS);
        let half_hour = self
            .metering
            .load
            .between(Channel::Gas, None, start, SimInstant(start.0 + HALF_HOUR_MS));
        if half_hour * 2 > i64::from(limit) {
            self.supply.disable(Cause::Command);
            self.note(now, profile, out, VALVE_FLOW);
            // It was enabled a moment ago: nothing but the flow keeps it from being armed.
            if self.supply.arm(false).is_ok() {
                self.note(now, profile, out, alerts::SUPPLY_ARMED);
            }
        }
    }

    /// A jammed valve does not move: its fault is noticed after a while. True when it is jammed.
    pub(crate) fn jammed(&mut self, now: SimInstant, profile: &Profile) -> bool {
        let Some(history) = self.history.as_mut().filter(|history| history.jammed) else {
            return false;
        };
        if let Some(after) = profile.supply.valve_fault_after {
            history.fault_at.get_or_insert(now + after);
        }
        true
    }

    /// Raises what has become due of a jammed valve.
    pub(crate) fn notice_fault(&mut self, now: SimInstant, profile: &Profile, out: &mut Outbox) {
        let due = self
            .history
            .as_mut()
            .and_then(|history| history.fault_at.take_if(|at| *at <= now));
        if let Some(at) = due {
            self.note(at, profile, out, VALVE_FAULT);
        }
    }

    /// Somebody opens the meter's cover.
    pub(crate) fn tamper(&mut self, now: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        let before = self.supply;
        self.note(now, profile, out, TAMPERED);
        let set = self.kept(SettingKind::SupplyTamperLocks);
        let locks = match set {
            Some(domain::operation::Setting::SupplyTamperLocks(locks)) => *locks,
            _ => profile.supply.tamper_opens,
        };
        if locks {
            self.supply.disable(Cause::Event);
            self.follow_supply(now, powered);
        }
        self.log_switch(before, now, profile, out);
    }

    /// The device was changed and needs a moment.
    pub(crate) fn was_changed(&mut self, now: SimInstant, profile: &Profile) {
        if profile.timing.busy_after_write > SimDuration::ZERO {
            self.history.get_or_insert_default().changed_at = Some(now);
        }
    }
}

impl Installation {
    /// Why a device does not take part just now, if its profile keeps it from that.
    pub(crate) fn indisposed(&self, context: &Context<'_>, slot: DeviceKind, profile: &Profile) -> Option<Refusal> {
        let timing = &profile.timing;
        let restored = self.esme.history.as_ref().and_then(|history| history.outages.back());
        if slot != DeviceKind::Gsme && restored.is_some_and(|(_, to)| context.now.since(*to) < timing.boot) {
            return Some(Refusal::Unreachable);
        }
        let restarts = |kind| self.part(kind).is_some_and(crate::device::Device::is_restarting);
        if restarts(DeviceKind::Chf) || slot != DeviceKind::Gsme && restarts(slot) {
            return Some(Refusal::Unreachable);
        }
        let meter = self.meter(slot).and_then(|meter| meter.history.as_ref());
        let changed = meter.and_then(|history| history.changed_at);
        let busy = changed.is_some_and(|at| context.now >= at && context.now.since(at) < timing.busy_after_write);
        let drawn = || {
            mix(
                self.seed.number() ^ BUSY_LABEL ^ slot as u64,
                context.now.0.unsigned_abs(),
            ) % 1000
        };
        let unlucky = timing.busy_permille > 0 && drawn() < u64::from(timing.busy_permille);
        (busy || unlucky).then_some(Refusal::Busy)
    }

    /// The hub sets the electricity meter's clock when that is due and its own is good.
    pub(crate) fn hub_sync(&mut self, context: &Context<'_>) {
        let profile = context.profiles.esme;
        let due = self.hub_sync_due(context).is_some_and(|due| due <= context.now);
        if !due || !self.powered() {
            return;
        }
        let now = context.now;
        self.esme.clock.follow(now, self.clock.time(now));
        self.esme.clock_found(now);
        self.esme.disturb_load_window(now, profile);
        if let Some(code) = profile.clock.hub_sync_event {
            self.esme
                .note(now, profile, &mut self.effects, AlertCode { code, ..HUB_SYNC });
        }
    }

    /// When the hub sets the electricity meter's clock next, if it does.
    pub(crate) fn hub_sync_due(&self, context: &Context<'_>) -> Option<SimInstant> {
        let every = context.profiles.esme.clock.hub_sync;
        (every > SimDuration::ZERO && !self.clock.lost).then(|| self.esme.clock.set_at + every)
    }

    /// A hub that watches its devices tells when the gas meter goes silent and when it is back.
    pub(crate) fn watch_gas(&mut self, context: &Context<'_>) {
        if !context.profiles.chf.han.reports_connection || !self.powered() {
            return;
        }
        let (Some(gas), Some(profile)) = (&mut self.gas, context.profiles.gsme) else {
            return;
        };
        let silent_after = SimDuration::from_millis(profile.wake_period.as_millis().saturating_mul(SILENT_WAKES));
        let silent = context.now.since(gas.heard_at()) > silent_after;
        let known = gas.gsme.history.as_ref().is_some_and(|history| history.silent);
        if silent == known {
            return;
        }
        gas.gsme.history.get_or_insert_default().silent = silent;
        let alert = if silent { DEVICE_SILENT } else { DEVICE_BACK };
        if let Some((device, mut around)) = self.around(context, DeviceKind::Chf) {
            device.note(&mut around, alert);
        }
    }

    /// When mains last came back.
    #[must_use]
    pub fn mains_back_at(&self) -> Option<SimInstant> {
        let history = self.esme.history.as_ref()?;
        history.outages.back().map(|(_, to)| *to)
    }

    /// Whether the hub has restarted because of something a device did: its connection is gone. Asking takes it away.
    pub fn take_hub_restart(&mut self) -> bool {
        std::mem::take(&mut self.hub_restarts)
    }

    /// Jams the valve of the gas meter, or frees it: it no longer moves, and says so where its profile has it notice.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] where there is no gas.
    pub fn jam_valve(&mut self, jammed: bool) -> Result<(), Refusal> {
        let gas = self.gas.as_mut().ok_or(Refusal::NotSupported)?;
        let history = gas.gsme.history.get_or_insert_default();
        history.jammed = jammed;
        history.fault_at = None;
        Ok(())
    }

    /// Somebody opens a meter's cover.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] on what is no meter.
    pub fn tamper(&mut self, context: &Context<'_>, slot: DeviceKind) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, powered, profile, out| {
            meter.tamper(context.now, powered, profile, out);
            Ok(())
        })
    }
}

impl Gas {
    /// When the gas meter was last heard.
    pub(crate) fn heard_at(&self) -> SimInstant {
        self.pending.as_ref().map_or(self.mirror.at, |pending| pending.1.at)
    }
}

/// Whether a hub hands this on to other devices.
pub(crate) fn relays(hub: &Profile, operation: &Operation) -> bool {
    let relays = &hub.han.relays;
    if relays.is_empty() {
        return true;
    }
    let relay = match operation.kind() {
        OperationKind::ArmSupply | OperationKind::DisableSupply | OperationKind::EnableSupply => Relay::Supply,
        OperationKind::SynchroniseClock => Relay::Clock,
        OperationKind::AdjustBalance
        | OperationKind::ResetBalance
        | OperationKind::ChangeDebt
        | OperationKind::ActivateEmergencyCredit
        | OperationKind::EnterToken => Relay::Credit,
        OperationKind::ClearLog(_) => Relay::ClearLog,
        OperationKind::RestrictAccess => Relay::SupplierChange,
        OperationKind::Write(SettingKind::PaymentMode | SettingKind::PrepaymentConfiguration) => Relay::PaymentMode,
        OperationKind::Write(SettingKind::Tariff | SettingKind::Prices) => Relay::Tariff,
        _ => return true,
    };
    relays.contains(&relay)
}

/// Whether this would put a device under dual control that cannot be.
pub(crate) fn needs_dual_control(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::StageKeys { party: Party::S1sp, .. } | Operation::ProbeDualControl { .. }
    )
}

/// The half-hour of the local day in which `at` lies.
fn local_slot(at: SimInstant) -> usize {
    let minutes = (at.0 + crate::calendar::offset_ms(at)).rem_euclid(DAY_MS) / HALF_HOUR_MS;
    usize::try_from(minutes).unwrap_or(0).min(47)
}

const fn own(code: u16, description: &'static str, pushed: bool) -> AlertCode {
    AlertCode {
        code,
        description,
        log: LogKind::Event,
        pushed,
        confidence: domain::Confidence::Invented,
    }
}

/// The hub set the clock; the profile says with which code.
const HUB_SYNC: AlertCode = own(0x81F0, "the hub set the clock", false);
pub(crate) const DEVICE_SILENT: AlertCode = own(0x81F4, "a device behind the hub is silent", true);
pub(crate) const DEVICE_BACK: AlertCode = own(0x81F5, "a device behind the hub is heard again", true);
const VALVE_FLOW: AlertCode = own(0x81F6, "gas flowed while the valve opened", true);
const VALVE_FAULT: AlertCode = own(0x81F7, "the valve did not move", true);
const TAMPERED: AlertCode = own(0x81F8, "the cover was opened", true);

pub(crate) const MODE_REFUSED: AlertCode = own(0x81FA, "a change of payment mode was refused", false);
pub(crate) const PROTECTION_ENDS: AlertCode = own(0x81FB, "a non-disablement period ends soon", true);

/// One code for every set of causes, as bits: command, credit, load limit, event, token.
const SWITCH_CAUSES: [AlertCode; 32] = {
    let mut codes = [own(0x81C0, "the switch moved", false); 32];
    let mut bits = 0;
    while bits < 32 {
        codes[bits].code = 0x82C0 + bits as u16;
        bits += 1;
    }
    codes
};

/// Wakes of which nothing is heard before a hub calls a device silent.
const SILENT_WAKES: u64 = 3;
const BUSY_LABEL: u64 = 0x0042_5553_5900;
