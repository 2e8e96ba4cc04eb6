//! Half-hourly profiles, consumption of whole days, and recorded gas flow.

use domain::seed::mix;
use domain::{DataItem, LogRow, Quantity, Refusal, SimDuration, SimInstant, Unit};

use super::View;
use super::registers::stepped;
use crate::alerts;
use crate::calendar::HALF_HOUR_MS;
use crate::load::Channel;
use crate::profile::DarkHalfHours;

impl View<'_> {
    /// The half-hours of a channel with `from <= at <= to`.
    ///
    /// # Errors
    /// Where the profile refuses what the home does not have.
    pub(super) fn half_hours(
        &self,
        channel: Channel,
        item: DataItem,
        days: u16,
        from: SimInstant,
        to: SimInstant,
    ) -> Result<Vec<LogRow>, Refusal> {
        let exports = matches!(channel, Channel::Export | Channel::ReactiveExport);
        let silent = exports && !self.meter.generation;
        if silent && self.profile.logs.channels_as_configured {
            return Err(Refusal::NotSupported);
        }
        let (from, to) = (from.max(self.oldest_half_hour(days)), to.min(self.at));
        let mut rows = Vec::new();
        self.meter.metering.rows(channel, from, to, |at, amount| {
            let amount = if silent { 0 } else { amount };
            rows.push(LogRow {
                at,
                values: vec![(item, self.half_hour(channel, amount))],
                code: None,
            });
        });
        if !self.meter.gas {
            self.darken(&mut rows);
        }
        rows.retain(|row| !self.lost(row.at) && !self.frozen(SimInstant(row.at.0 - HALF_HOUR_MS), row.at));
        Ok(rows)
    }

    /// Row and instant are the end of a half-hour, so the oldest row begins where the log does.
    fn oldest_half_hour(&self, days: u16) -> SimInstant {
        let oldest = self.at - SimDuration::from_days(u64::from(days));
        let emptied = self
            .profile
            .logs
            .emptied_by_outage
            .zip(self.meter.history.as_ref())
            .and_then(|(length, history)| history.long_outage_end(length, self.at));
        let oldest = emptied.map_or(oldest, |end| oldest.max(end));
        SimInstant(oldest.0.saturating_add(1))
    }

    /// An amount of half an hour as this profile shows it.
    fn half_hour(&self, channel: Channel, amount: i64) -> Quantity {
        let profile = self.profile;
        let (amount, unit) = match channel {
            Channel::ReactiveExport | Channel::ReactiveImport => (amount, Unit::VarHour),
            _ => self.in_unit(amount),
        };
        let amount =
            amount.saturating_mul(i64::from(profile.profile_multiplier)) / i64::from(profile.profile_divisor.max(1));
        Quantity::new(stepped(amount, self.values.profile_step, self.values.rounding), unit)
    }

    /// What the profile makes of half-hours that were wholly without mains.
    fn darken(&self, rows: &mut Vec<LogRow>) {
        let Some(history) = self
            .meter
            .history
            .as_ref()
            .filter(|history| !history.outages.is_empty())
        else {
            return;
        };
        let dark = |at: SimInstant| history.dark(SimInstant(at.0 - HALF_HOUR_MS), at);
        match self.profile.logs.dark_half_hours {
            DarkHalfHours::Zero => {}
            DarkHalfHours::Marked => rows.iter_mut().filter(|row| dark(row.at)).for_each(|row| {
                row.code = Some(alerts::MAINS_INTERRUPTED.code);
            }),
            DarkHalfHours::Missing => rows.retain(|row| !dark(row.at)),
        }
    }

    /// Whether nothing was written because the clock was invalid at some moment from `from` to `to`.
    pub(super) fn frozen(&self, from: SimInstant, to: SimInstant) -> bool {
        let history = self
            .meter
            .history
            .as_ref()
            .filter(|_| self.profile.clock.invalid_freezes);
        history.is_some_and(|history| history.was_frozen(from, to))
    }

    /// Whether this device has lost the half-hour that ends at `at`: the same one at every read.
    fn lost(&self, at: SimInstant) -> bool {
        let rules = &self.profile.logs;
        let found_again = rules.lost_until.is_some_and(|age| self.at.since(at) >= age);
        if rules.lost_permille == 0 || found_again {
            return false;
        }
        let drawn = mix(self.meter.metering.load.seed ^ LOST_LABEL, at.0.unsigned_abs()) % 1000;
        drawn < u64::from(rules.lost_permille)
    }

    /// Consumption of whole local days, at the midnight that ends each.
    pub(super) fn days(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let (main, item) = (self.meter.main_channel(), self.main_item());
        let mut rows = Vec::new();
        let mut end = self.midnight_before(self.at);
        for _ in 0..self.profile.consumption_log_entries {
            let start = self.midnight_before(SimInstant(end.0 - 1));
            if end < from || start < self.meter.metering.since {
                break;
            }
            if end <= to {
                let amount = self.meter.metering.consumed(main, None, start, end);
                rows.push(LogRow {
                    at: end,
                    values: vec![(item, self.shown(amount))],
                    code: None,
                });
            }
            end = start;
        }
        rows.reverse();
        rows
    }

    /// Gas used in each step of the last recording that was asked for, as far as it has come.
    pub(super) fn recorded_flow(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let begun = self.meter.history.as_ref().and_then(|history| history.recording);
        let Some((begun, _)) = begun else { return Vec::new() };
        let step = SimDuration::from_mins(RECORDING_STEP_MIN);
        let mut start = begun;
        let mut rows = Vec::new();
        for _ in 0..RECORDING_STEPS {
            let end = start + step;
            if end > self.at {
                break;
            }
            if (from..=to).contains(&end) {
                let amount = self.meter.metering.consumed(Channel::Gas, None, start, end);
                let (amount, unit) = self.in_unit(amount);
                rows.push(LogRow {
                    at: end,
                    values: vec![(DataItem::GasConsumption, Quantity::new(amount, unit))],
                    code: None,
                });
            }
            start = end;
        }
        rows
    }
}

/// Steps of a recording of gas flow: four hours of six minutes (recalled).
const RECORDING_STEPS: u32 = 40;
const RECORDING_STEP_MIN: u64 = 6;
const LOST_LABEL: u64 = 0x004c_4f53_5400;
