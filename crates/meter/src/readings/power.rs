//! Power, demand and voltage of an electricity meter, computed from the load model and from seed and time.

use domain::operation::{Counter, Setting, SettingKind, VoltageSettings};
use domain::seed::mix;
use domain::{DataItem, LogRow, Quantity, SimInstant, Unit, Value};

use super::View;
use crate::calendar::{DAY_MS, HALF_HOUR_MS, offset_ms};
use crate::load::Channel;

impl View<'_> {
    /// Active power now: what flows in the present half-hour flows evenly.
    pub(super) fn active_power(&self, channels: &[Channel]) -> Value {
        let start = SimInstant(self.at.0 - self.at.0.rem_euclid(HALF_HOUR_MS));
        let end = SimInstant(start.0 + HALF_HOUR_MS);
        let counts = self.meter.metering.counts();
        let energy = |channel: &Channel| self.meter.metering.load.between(*channel, None, start, end);
        let energy: i64 = channels.iter().map(energy).sum();
        let watts = if counts { energy * HALF_HOURS_PER_HOUR } else { 0 };
        Value::Quantity(Quantity::new(watts, Unit::Watt))
    }

    /// The largest average power of an integration period since the counter began anew, and the end of that period.
    /// `window` is the first and last minute of the local day that counts; all of it where both are the same.
    pub(super) fn maximum_demand(&self, channel: Channel, counter: Counter, window: (u16, u16)) -> Value {
        let since = self.demand_since(counter);
        let silent = channel == Channel::Export && !self.meter.generation;
        // Within a half-hour power is even, so that a shorter period gives the same as the half-hour it lies in.
        let halves = i64::from(self.profile.power.demand_period_min.max(30)).div_euclid(30);
        let period = halves * HALF_HOUR_MS;
        let mut best = (0, since);
        let mut sum = 0;
        self.meter
            .metering
            .rows(channel, SimInstant(since.0 + HALF_HOUR_MS), self.at, |end, energy| {
                let start = SimInstant(end.0 - HALF_HOUR_MS);
                if start.0.rem_euclid(period) == 0 {
                    sum = 0;
                }
                sum += energy;
                if end.0.rem_euclid(period) != 0 || !within(start, window) {
                    return;
                }
                let watts = sum * HALF_HOURS_PER_HOUR / halves;
                if watts > best.0 {
                    best = (watts, end);
                }
            });
        let watts = if silent { 0 } else { best.0 };
        Value::Stamped(Quantity::new(watts, Unit::Watt), best.1)
    }

    fn demand_since(&self, counter: Counter) -> SimInstant {
        let reset = self.meter.reset_at(counter).unwrap_or(self.meter.metering.since);
        if self.profile.power.demand_reset_by_billing {
            let billing = self.meter.metering.billing_point(&self.meter.tariff, self.at);
            return reset.max(billing);
        }
        reset.max(self.meter.metering.since)
    }

    /// First and last minute of the day in which demand is watched.
    pub(super) fn demand_window(&self) -> (u16, u16) {
        match self.meter.setting(SettingKind::MaximumDemandPeriod) {
            Some(Setting::MaximumDemandPeriod(window)) => window,
            _ => (0, 0),
        }
    }

    /// Average voltages of the last so many periods without an outage, oldest first.
    pub(super) fn voltages(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let period = self.voltage_period_ms();
        let oldest = self.at.0 - i64::from(self.profile.power.voltage_entries) * period;
        let emptied = self.meter.history.as_ref().and_then(|history| history.voltages_from);
        let since = self.meter.metering.since.max(emptied.unwrap_or(SimInstant(i64::MIN)));
        let first = from.0.max(since.0).max(oldest);
        let last = to.0.min(self.at.0);
        let mut rows = Vec::new();
        // A row stands at the end of its period, all of which lies behind `first`.
        let mut end = (first.div_euclid(period) + 1) * period;
        if first.rem_euclid(period) == 0 && first == from.0 {
            end -= period;
        }
        while end <= last {
            if !self.without_mains(end - period, end) {
                rows.push(LogRow {
                    at: SimInstant(end),
                    values: vec![(
                        DataItem::VoltageAverage,
                        Quantity::new(self.voltage(end, period), Unit::Count),
                    )],
                    code: None,
                });
            }
            end += period;
        }
        rows
    }

    /// How often the voltage left its limits since the counters began anew: 1 over and 2 under on average, 3 extreme over,
    /// 4 extreme under, 5 sag, 6 swell. `None` for what a single-phase meter does not have.
    pub(super) fn voltage_counter(&self, n: u8) -> Option<Value> {
        let settings = self.voltage_settings();
        let since = self
            .meter
            .reset_at(Counter::RmsVoltage)
            .unwrap_or(self.meter.metering.since);
        let (over, under, _) = settings.averages.first().copied().unwrap_or_default();
        let count = match n {
            1 => self.periods(since, |tenths| tenths > i64::from(over)),
            2 => self.periods(since, |tenths| tenths < i64::from(under)),
            3..=6 => {
                let (_, threshold) = settings.extremes.get(usize::from(n) - 3).copied()?;
                self.extremes(n, i64::from(threshold), since)
            }
            _ => return None,
        };
        Some(Value::Quantity(Quantity::new(count, Unit::Count)))
    }

    fn periods(&self, since: SimInstant, outside: impl Fn(i64) -> bool) -> i64 {
        let period = self.voltage_period_ms();
        let (first, last) = (since.0.div_euclid(period) + 2, self.at.0.div_euclid(period));
        (first..=last)
            .filter(|number| outside(self.voltage(number * period, period)))
            .count()
            .try_into()
            .unwrap_or(i64::MAX)
    }

    /// On one day in about two hundred the voltage makes a short excursion of each kind; some go beyond the limit.
    fn extremes(&self, kind: u8, threshold: i64, since: SimInstant) -> i64 {
        let (first, last) = (since.0.div_euclid(DAY_MS) + 1, self.at.0.div_euclid(DAY_MS));
        let beyond = |day: &i64| {
            let drawn = mix(self.seed() ^ u64::from(kind), day.unsigned_abs());
            let size = i64::try_from(drawn / 256 % 600).unwrap_or(0);
            let upwards = matches!(kind, 3 | 6);
            let reached = if upwards { 2_530 + size } else { 2_160 - size };
            drawn.is_multiple_of(200)
                && (if upwards {
                    reached > threshold
                } else {
                    reached < threshold
                })
        };
        (first..last).filter(beyond).count().try_into().unwrap_or(i64::MAX)
    }

    /// The average voltage of the period that ends at `end`, tenths of a volt: 242 V, lower when the street cooks, with a
    /// little of its own in every period.
    fn voltage(&self, end: i64, period: i64) -> i64 {
        let middle = SimInstant(end - period / 2);
        let minute = (middle.0 + offset_ms(middle)).rem_euclid(DAY_MS) / 60_000;
        let cooking = 45 - (minute - EVENING_PEAK_MIN).abs() / 4;
        let own = i64::try_from(mix(self.seed(), end.unsigned_abs()) % 61).unwrap_or(0) - 30;
        NOMINAL_TENTHS - cooking.max(0) + own
    }

    fn without_mains(&self, start: i64, end: i64) -> bool {
        let history = self.meter.history.as_ref();
        history.is_some_and(|history| history.dark(SimInstant(start), SimInstant(end)))
    }

    fn voltage_settings(&self) -> VoltageSettings {
        match self.meter.setting(SettingKind::Voltage) {
            Some(Setting::Voltage(settings)) => settings,
            _ => VoltageSettings::default(),
        }
    }

    fn voltage_period_ms(&self) -> i64 {
        let seconds = self
            .voltage_settings()
            .averages
            .first()
            .map_or(0, |(_, _, period)| *period);
        i64::from(if seconds == 0 { USUAL_PERIOD_S } else { seconds }) * 1000
    }

    fn seed(&self) -> u64 {
        self.meter.metering.load.seed ^ VOLTAGE_LABEL
    }
}

/// Whether a half-hour lies within a window of the local day, which may go over midnight.
fn within(start: SimInstant, (from, to): (u16, u16)) -> bool {
    let minute = (start.0 + offset_ms(start)).rem_euclid(DAY_MS) / 60_000;
    let (from, to) = (i64::from(from), i64::from(to));
    match from.cmp(&to) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => (from..to).contains(&minute),
        std::cmp::Ordering::Greater => minute >= from || minute < to,
    }
}

const HALF_HOURS_PER_HOUR: i64 = 2;
const NOMINAL_TENTHS: i64 = 2_420;
/// 18:30 on the wall.
const EVENING_PEAK_MIN: i64 = 1_110;
const USUAL_PERIOD_S: u32 = 1_800;
const VOLTAGE_LABEL: u64 = 0x564f_4c54;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_over_midnight() {
        let at = |hour: i64| SimInstant(1_546_300_800_000 + hour * 3_600_000);
        assert!(within(at(3), (0, 0)));
        assert!(within(at(17), (960, 1_140)) && !within(at(19), (960, 1_140)));
        assert!(within(at(23), (1_320, 300)) && within(at(4), (1_320, 300)) && !within(at(5), (1_320, 300)));
    }
}
