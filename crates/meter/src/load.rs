//! What a home uses: a load model computed from seed and time, in whole Wh, varh or litres.
//!
//! Every half-hour has a base amount (shape of the day times season times size of the home) plus noise. The noise of two
//! neighbouring days cancels out exactly, slot by slot, so that the total up to any instant is a sum over calendar months
//! and at most two days: no history is kept, and rows always add up to register differences, clock changes included.

use domain::SimInstant;
use domain::seed::mix;

use crate::calendar::{ClockChange, DAY_MS, HALF_HOUR_MS, LocalDay, changes, slot};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Channel {
    Export,
    Gas,
    Import,
    ReactiveExport,
    ReactiveImport,
    Secondary,
}

/// The size and character of one meter's load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    /// Node of the seed tree, as a number.
    pub(crate) seed: u64,
    /// Thousandths of Wh or litres per half-hour and unit of shape.
    pub(crate) unit_milli: u32,
}

/// The half-hours of the local day that count; `None` means all.
pub(crate) type Slots<'a> = Option<(&'a [u8; 48], u8)>;

struct Spec {
    label: u64,
    shape: &'static [u8; 48],
    season_permille: [u16; 12],
    /// Size relative to the meter's main channel.
    share_permille: u32,
}

impl Load {
    /// A load of so many kWh or cubic metres in a mean year.
    pub(crate) fn of_annual(seed: u64, channel: Channel, thousands: u32) -> Self {
        let shape_total = total(spec(channel).shape, None);
        let unit_milli = i64::from(thousands) * 1_000_000 / (365 * shape_total);
        Self {
            seed,
            unit_milli: u32::try_from(unit_milli).unwrap_or(u32::MAX).max(1),
        }
    }

    /// The total of `channel` from the model's origin to `at`, only in `slots`. Differences of it are consumption.
    pub(crate) fn total_until(&self, channel: Channel, slots: Slots<'_>, at: SimInstant) -> i64 {
        let day = LocalDay::of(at);
        let today = self.day(channel, day);
        let mut sum = self.whole_days(channel, slots, day);
        if today.sign < 0 {
            // The day before has been counted without its noise, which this day has yet to take back.
            sum += (0..48)
                .filter(|slot| counts(slots, *slot))
                .map(|slot| today.noise(slot))
                .sum::<i64>();
        }
        sum + today.until(slots, at.0 - today.midnight_ms)
    }

    /// What `channel` has measured from `from` to `to`, only in `slots`.
    pub(crate) fn between(&self, channel: Channel, slots: Slots<'_>, from: SimInstant, to: SimInstant) -> i64 {
        if to <= from {
            return 0;
        }
        let day = LocalDay::of(from);
        if to.0 - from.0 <= DAY_MS && LocalDay::of(SimInstant(to.0 - 1)) == day {
            let today = self.day(channel, day);
            let (start, end) = (from.0 - today.midnight_ms, to.0 - today.midnight_ms);
            let (first, last) = (start / HALF_HOUR_MS, (end - 1) / HALF_HOUR_MS);
            if first == last {
                let (slot, energy) = today.half_hour(first);
                let base = first * HALF_HOUR_MS;
                return if counts(slots, slot) {
                    part(energy, end - base) - part(energy, start - base)
                } else {
                    0
                };
            }
            return today.until(slots, end) - today.until(slots, start);
        }
        self.total_until(channel, slots, to) - self.total_until(channel, slots, from)
    }

    /// Slot of the local clock, and what `channel` measures from `from` to `to`, two instants of one half-hour.
    pub(crate) fn within_half_hour(&self, channel: Channel, from: SimInstant, to: SimInstant) -> (usize, i64) {
        let today = self.day(channel, LocalDay::of(from));
        let start = from.0 - today.midnight_ms;
        let index = start.div_euclid(HALF_HOUR_MS);
        let (slot, energy) = today.half_hour(index);
        let base = index * HALF_HOUR_MS;
        (
            slot,
            part(energy, to.0 - today.midnight_ms - base) - part(energy, start - base),
        )
    }

    /// One local day of a channel.
    pub(crate) fn day(&self, channel: Channel, day: LocalDay) -> DayLoad {
        let spec = spec(channel);
        let seed = mix(self.seed, spec.label);
        let date = day.date();
        let (spring, autumn) = changes(date.year);
        let change = match day.0 {
            d if d == spring => ClockChange::Spring,
            d if d == autumn => ClockChange::Autumn,
            _ => ClockChange::None,
        };
        let pair = day.0.div_euclid(2);
        let first = pair * 2;
        let same_month = if day.0 == first {
            day.next().date().day != 1
        } else {
            date.day != 1
        };
        let changes_clock = [spring, autumn].iter().any(|d| *d == first || *d == first + 1);
        let sign = match (same_month && !changes_clock, day.0 == first) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        };
        let pair_seed = mix(seed, pair.unsigned_abs());
        DayLoad {
            shape: spec.shape,
            unit: self.unit_of_month(spec, date.month),
            seed: pair_seed,
            day_noise: byte(mix(pair_seed, 6), 0),
            sign,
            change,
            midnight_ms: {
                let utc = day.0 * DAY_MS;
                if day.0 > spring && day.0 <= autumn {
                    utc - 2 * HALF_HOUR_MS
                } else {
                    utc
                }
            },
        }
    }

    /// All days from the origin to the start of `day`, without the noise that cancels out.
    fn whole_days(&self, channel: Channel, slots: Slots<'_>, day: LocalDay) -> i64 {
        let spec = spec(channel);
        let date = day.date();
        let years = date.year - ORIGIN_YEAR;
        let last = date.year - 1;
        let leap_years = (last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400)) - LEAPS_BEFORE_ORIGIN;
        let leap_now = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
        let mut unit_days = 0;
        for month in 1..=12 {
            let (extra, extra_now) = if month == 2 {
                (leap_years, i64::from(leap_now))
            } else {
                (0, 0)
            };
            let length = MONTH_DAYS[index(month - 1)];
            let mut days = years * length + extra;
            match month.cmp(&date.month) {
                std::cmp::Ordering::Less => days += length + extra_now,
                std::cmp::Ordering::Equal => days += date.day - 1,
                std::cmp::Ordering::Greater => {}
            }
            unit_days += days * self.unit_of_month(spec, month);
        }
        let (spring, autumn) = changes(date.year);
        let springs = years + i64::from(spring < day.0);
        let autumns = years + i64::from(autumn < day.0);
        let changed_hour: i64 = (2..4)
            .filter(|slot| counts(slots, *slot))
            .map(|slot| i64::from(spec.shape[slot]))
            .sum();
        let corrections = autumns * self.unit_of_month(spec, 10) - springs * self.unit_of_month(spec, 3);
        unit_days * total(spec.shape, slots) + corrections * changed_hour
    }

    fn unit_of_month(&self, spec: &Spec, month: i64) -> i64 {
        let season = u64::from(spec.season_permille[index(month - 1)]);
        let unit = u64::from(self.unit_milli) * u64::from(spec.share_permille) * season;
        i64::try_from(unit / 1_000_000_000).unwrap_or(i64::MAX >> 32)
    }
}

/// One local day of one channel, ready to be asked for its half-hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DayLoad {
    shape: &'static [u8; 48],
    unit: i64,
    seed: u64,
    day_noise: i64,
    sign: i64,
    change: ClockChange,
    /// Milliseconds since 1970 at which the day begins.
    pub(crate) midnight_ms: i64,
}

impl DayLoad {
    /// How many half-hours the day has.
    #[cfg(test)]
    pub(crate) fn half_hours(&self) -> i64 {
        match self.change {
            ClockChange::None => 48,
            ClockChange::Spring => 46,
            ClockChange::Autumn => 50,
        }
    }

    /// Slot of the local clock and amount of the `index`th half-hour since midnight.
    pub(crate) fn half_hour(&self, index: i64) -> (usize, i64) {
        let slot = slot(self.change, index);
        let base = self.unit * i64::from(self.shape[slot]);
        (
            slot,
            if self.sign == 0 {
                base
            } else {
                base + self.sign * self.noise(slot)
            },
        )
    }

    /// What the first day of the pair has more in this slot, and the second less; never more than the base.
    fn noise(&self, slot: usize) -> i64 {
        let base = self.unit * i64::from(self.shape[slot]);
        let drawn = byte(mix(self.seed, slot as u64 / 8), slot % 8);
        base * (drawn * 3 + self.day_noise) / 512
    }

    fn until(&self, slots: Slots<'_>, elapsed_ms: i64) -> i64 {
        let whole = elapsed_ms.div_euclid(HALF_HOUR_MS);
        let mut sum = 0;
        for half_hour in 0..=whole {
            let (slot, energy) = self.half_hour(half_hour);
            if counts(slots, slot) {
                sum += if half_hour < whole {
                    energy
                } else {
                    part(energy, elapsed_ms.rem_euclid(HALF_HOUR_MS))
                };
            }
        }
        sum
    }
}

/// The share of a half-hour's energy that has flowed after so many milliseconds of it, rounded down.
fn part(energy: i64, elapsed_ms: i64) -> i64 {
    energy * elapsed_ms / HALF_HOUR_MS
}

fn counts(slots: Slots<'_>, slot: usize) -> bool {
    slots.is_none_or(|(switching, register)| switching[slot] == register)
}

fn total(shape: &[u8; 48], slots: Slots<'_>) -> i64 {
    (0..48)
        .filter(|slot| counts(slots, *slot))
        .map(|slot| i64::from(shape[slot]))
        .sum()
}

/// One octet of a drawn number as a signed value from -128 to 127.
fn byte(drawn: u64, at: usize) -> i64 {
    i64::from(drawn.to_be_bytes()[at & 7]) - 128
}

fn index(n: i64) -> usize {
    usize::try_from(n.clamp(0, 11)).unwrap_or(0)
}

fn spec(channel: Channel) -> &'static Spec {
    match channel {
        Channel::Export => &EXPORT,
        Channel::Gas => &GAS,
        Channel::Import => &IMPORT,
        Channel::ReactiveExport => &REACTIVE_EXPORT,
        Channel::ReactiveImport => &REACTIVE_IMPORT,
        Channel::Secondary => &SECONDARY,
    }
}

const ORIGIN_YEAR: i64 = 2000;
/// Leap years before the origin year in the Gregorian count.
const LEAPS_BEFORE_ORIGIN: i64 = 484;
const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

// Shapes and seasons are invented: a plausible home, no measured data behind them.
const DOMESTIC: [u8; 48] = [
    3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 6, 7, 7, 6, 5, 4, 4, 4, 4, 5, 5, 5, 4, 4, 4, 4, 5, 6, 7, 9, 10, 10, 10,
    9, 9, 8, 8, 8, 7, 7, 6, 5, 4, 3,
];
const HEATING: [u8; 48] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 8, 12, 12, 11, 10, 8, 6, 4, 3, 2, 2, 2, 2, 3, 3, 2, 2, 2, 3, 5, 7, 9, 10, 10, 10,
    9, 9, 8, 8, 7, 6, 5, 4, 2, 1, 0, 0,
];
const NIGHT: [u8; 48] = [
    2, 12, 12, 12, 12, 10, 9, 8, 8, 7, 6, 5, 4, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 4, 3, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const SUN: [u8; 48] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6, 8, 10, 12, 14, 15, 16, 16, 16, 16, 15, 14, 12, 10, 8, 6, 4, 2,
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const MILD: [u16; 12] = [1220, 1180, 1090, 990, 900, 850, 830, 840, 890, 980, 1090, 1200];
const COLD: [u16; 12] = [2050, 1900, 1550, 1050, 520, 230, 180, 190, 380, 900, 1500, 1950];
const BRIGHT: [u16; 12] = [280, 480, 850, 1250, 1550, 1700, 1650, 1450, 1100, 700, 350, 220];

const IMPORT: Spec = Spec {
    label: 1,
    shape: &DOMESTIC,
    season_permille: MILD,
    share_permille: 1000,
};
const SECONDARY: Spec = Spec {
    label: 2,
    shape: &NIGHT,
    season_permille: COLD,
    share_permille: 1500,
};
const EXPORT: Spec = Spec {
    label: 3,
    shape: &SUN,
    season_permille: BRIGHT,
    share_permille: 600,
};
const REACTIVE_IMPORT: Spec = Spec {
    label: 4,
    shape: &DOMESTIC,
    season_permille: MILD,
    share_permille: 240,
};
const REACTIVE_EXPORT: Spec = Spec {
    label: 5,
    shape: &SUN,
    season_permille: BRIGHT,
    share_permille: 60,
};
const GAS: Spec = Spec {
    label: 6,
    shape: &HEATING,
    season_permille: COLD,
    share_permille: 1000,
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHANNELS: [Channel; 6] = [
        Channel::Export,
        Channel::Gas,
        Channel::Import,
        Channel::ReactiveExport,
        Channel::ReactiveImport,
        Channel::Secondary,
    ];

    /// 2010 to 2040, in half-hours.
    fn any_instant() -> impl Strategy<Value = SimInstant> {
        (1_262_304_000_000i64..2_208_988_800_000).prop_map(SimInstant)
    }

    fn load(seed: u64) -> Load {
        Load::of_annual(seed, Channel::Import, 3_100)
    }

    proptest! {
        #[test]
        fn totals_are_the_sum_of_half_hours(seed: u64, from in any_instant(), days in 1i64..12, channel in 0usize..6) {
            let (load, channel) = (load(seed), CHANNELS[channel]);
            let mut day = LocalDay::of(from);
            let start = day.midnight();
            let mut sum = 0;
            for _ in 0..days {
                let today = load.day(channel, day);
                prop_assert_eq!(today.midnight_ms, day.midnight().0);
                prop_assert_eq!((day.next().midnight().0 - day.midnight().0) / HALF_HOUR_MS, today.half_hours());
                for half_hour in 0..today.half_hours() {
                    let (_, energy) = today.half_hour(half_hour);
                    prop_assert!(energy >= 0);
                    sum += energy;
                }
                day = day.next();
            }
            prop_assert_eq!(load.total_until(channel, None, day.midnight()) - load.total_until(channel, None, start), sum);
        }

        #[test]
        fn totals_never_fall_and_parts_add_up(seed: u64, at in any_instant(), a in 0i64..200_000_000, b in 0i64..200_000_000) {
            let load = load(seed);
            let (middle, end) = (SimInstant(at.0 + a), SimInstant(at.0 + a + b));
            let whole = load.between(Channel::Import, None, at, end);
            prop_assert!(whole >= 0);
            prop_assert_eq!(
                whole,
                load.between(Channel::Import, None, at, middle) + load.between(Channel::Import, None, middle, end)
            );
            let boundary = SimInstant((at.0.div_euclid(HALF_HOUR_MS) + 1) * HALF_HOUR_MS);
            prop_assert_eq!(
                load.within_half_hour(Channel::Import, at, boundary.min(end)).1,
                load.between(Channel::Import, None, at, boundary.min(end))
            );
            prop_assert_eq!(
                whole,
                load.total_until(Channel::Import, None, end) - load.total_until(Channel::Import, None, at)
            );
        }

        #[test]
        fn registers_by_time_of_use_add_up(seed: u64, at in any_instant(), span in 0i64..40_000_000_000, cut in 0usize..48) {
            let load = load(seed);
            let mut switching = [1u8; 48];
            switching[..cut].fill(2);
            let end = SimInstant(at.0 + span);
            let parts: i64 = (1..=2).map(|n| load.between(Channel::Import, Some((&switching, n)), at, end)).sum();
            prop_assert_eq!(parts, load.between(Channel::Import, None, at, end));
        }
    }

    #[test]
    fn a_year_is_about_what_was_asked_for() {
        let year = |channel, thousands| {
            let load = Load::of_annual(7, channel, thousands);
            load.between(
                channel,
                None,
                SimInstant(1_546_300_800_000),
                SimInstant(1_577_836_800_000),
            ) / 1000
        };
        assert!(
            (2_900..3_300).contains(&year(Channel::Import, 3_100)),
            "{}",
            year(Channel::Import, 3_100)
        );
        assert!(
            (950..1_250).contains(&year(Channel::Gas, 1_100)),
            "{}",
            year(Channel::Gas, 1_100)
        );
    }
}
