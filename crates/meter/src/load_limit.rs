//! Load limiting: power above a threshold for long enough ends the supply, or is only counted.
//!
//! Power is even within a half-hour, as the load model has it.

use domain::operation::{LoadLimit, Setting, SettingKind};
use domain::{SimDuration, SimInstant, SupplyState};
use serde::{Deserialize, Serialize};

use crate::alerts;
use crate::calendar::{DAY_MS, HALF_HOUR_MS};
use crate::effects::Outbox;
use crate::load::Channel;
use crate::meter::Meter;
use crate::profile::Profile;
use crate::supply::Cause;

/// How far a meter's watch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// What lies before this does not count any more.
    pub(crate) from: SimInstant,
    /// When supply comes back after a trip.
    pub(crate) restores_at: Option<SimInstant>,
    /// How often it acted.
    pub(crate) trips: u32,
}

/// What part of the limit holds while emergency credit is used. That there is a lower limit is sourced, how low is not.
const EMERGENCY_SHARE: u32 = 2;

impl Meter {
    /// A limit was set, or the watch begins anew for another reason.
    pub(crate) fn watch_load_from(&mut self, at: SimInstant) {
        let changed = self.changed.get_or_insert_default();
        let trips = changed.watch.map_or(0, |watch| watch.trips);
        let restores_at = changed.watch.and_then(|watch| watch.restores_at);
        changed.watch = Some(Watch {
            from: at,
            restores_at,
            trips,
        });
    }

    /// How often the limit acted since its counter was reset.
    pub(crate) fn load_limit_trips(&self) -> u32 {
        self.watch().map_or(0, |watch| watch.trips)
    }

    pub(crate) fn reset_load_limit_counter(&mut self) {
        if let Some(watch) = self.changed.as_mut().and_then(|changed| changed.watch.as_mut()) {
            watch.trips = 0;
        }
    }

    /// When load limiting does something next, looked for up to a day ahead.
    pub(crate) fn next_limit_event(&self, profile: &Profile) -> Option<SimInstant> {
        let watch = self.watch()?;
        if let Some(at) = watch.restores_at {
            return Some(at);
        }
        let limit = self.load_limit(profile)?;
        if self.supply.state != SupplyState::Enabled || !self.metering.counts() {
            return None;
        }
        self.next_trip(&limit, watch.from, SimInstant(watch.from.0 + DAY_MS))
    }

    /// Does what load limiting has to do by `to`; the account is settled up to each act.
    pub(crate) fn limit_load(&mut self, to: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        while let Some(at) = self.next_limit_event(profile).filter(|at| *at <= to) {
            self.settle(at, profile, out);
            let Some(watch) = self.watch().copied() else { return };
            if watch.restores_at.is_some() {
                self.restore_after_limit(at, powered, profile, out);
            } else if let Some(limit) = self.load_limit(profile) {
                self.trip(at, powered, &limit, profile, out);
            }
        }
        // Nothing until here: the watch goes on from here, but for what a window still needs of the past.
        let period = self
            .load_limit(profile)
            .map_or(0, |limit| i64::from(limit.period_s) * 1000);
        let past = SimInstant(to.0 - period - HALF_HOUR_MS);
        if let Some(watch) = self.changed.as_mut().and_then(|changed| changed.watch.as_mut()) {
            watch.from = watch.from.max(past);
        }
    }

    fn trip(&mut self, at: SimInstant, powered: bool, limit: &LoadLimit, profile: &Profile, out: &mut Outbox) {
        self.note(at, profile, out, alerts::LOAD_LIMITED);
        let mut watch = Watch {
            from: at,
            restores_at: None,
            trips: self.load_limit_trips().saturating_add(1),
        };
        if !limit.disables {
            // Counted once: the watch goes on when the load has fallen.
            watch.from = self.falls_at(limit, at);
        } else if profile.load_limit.trip_arms {
            self.supply.disable(Cause::Load);
            let _ = self.supply.arm(false);
        } else {
            self.supply.disable(Cause::Load);
            watch.restores_at = Some(at + SimDuration::from_secs(u64::from(limit.restoration_s)));
        }
        self.changed.get_or_insert_default().watch = Some(watch);
        self.follow_supply(at, powered);
    }

    fn restore_after_limit(&mut self, at: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        if let Some(watch) = self.changed.as_mut().and_then(|changed| changed.watch.as_mut()) {
            watch.restores_at = None;
            watch.from = at;
        }
        if self.supply.limit_ends() {
            self.note(at, profile, out, alerts::LOAD_LIMIT_RESTORED);
            self.follow_supply(at, powered);
        }
    }

    /// When power has been above the threshold for the period, looked for from `from` to `to`.
    fn next_trip(&self, limit: &LoadLimit, from: SimInstant, to: SimInstant) -> Option<SimInstant> {
        let period = i64::from(limit.period_s) * 1000;
        let mut above: Option<SimInstant> = None;
        let mut at = from;
        while at < to {
            let end = SimInstant((at.0.div_euclid(HALF_HOUR_MS) + 1) * HALF_HOUR_MS);
            if self.watts(at) > i64::from(limit.threshold_w) {
                let trip = SimInstant(above.get_or_insert(at).0 + period);
                if trip <= end {
                    return Some(trip);
                }
            } else {
                above = None;
            }
            at = end;
        }
        None
    }

    /// When power next is not above the threshold, looked for within a day.
    fn falls_at(&self, limit: &LoadLimit, from: SimInstant) -> SimInstant {
        let mut at = from;
        while at.0 < from.0 + DAY_MS && self.watts(at) > i64::from(limit.threshold_w) {
            at = SimInstant((at.0.div_euclid(HALF_HOUR_MS) + 1) * HALF_HOUR_MS);
        }
        at
    }

    fn watts(&self, at: SimInstant) -> i64 {
        let start = SimInstant(at.0 - at.0.rem_euclid(HALF_HOUR_MS));
        let end = SimInstant(start.0 + HALF_HOUR_MS);
        let of = |channel| self.metering.load.between(channel, None, start, end);
        let second = if self.second_element { of(Channel::Secondary) } else { 0 };
        2 * (of(Channel::Import) + second)
    }

    /// The limit in force, where there is one: a lower one while emergency credit is used, on meters that have two.
    fn load_limit(&self, profile: &Profile) -> Option<LoadLimit> {
        let Some(Setting::LoadLimit(limit)) = self.kept(SettingKind::LoadLimit) else {
            return None;
        };
        let lower = profile.load_limit.emergency_limit && self.account.emergency_in_use();
        let threshold_w = if lower {
            limit.threshold_w.div_ceil(EMERGENCY_SHARE)
        } else {
            limit.threshold_w
        };
        (threshold_w > 0).then_some(LoadLimit { threshold_w, ..*limit })
    }

    /// The clock was set or mains came back: where such a window does not count, another begins.
    pub(crate) fn disturb_load_window(&mut self, at: SimInstant, profile: &Profile) {
        if profile.load_limit.disturbed_window_skipped && self.watch().is_some() {
            self.watch_load_from(at);
        }
    }

    fn watch(&self) -> Option<&Watch> {
        self.changed.as_ref()?.watch.as_ref()
    }
}
