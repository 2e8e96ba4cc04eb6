//! Registers: the load model seen through a meter that counts only while supply is on.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::SimInstant;

use crate::calendar::{HALF_HOUR_MS, LocalDay};
use crate::load::{Channel, Load, Slots};
use crate::regimes::Regimes;
use crate::tariff::Tariff;

/// Interruptions remembered one by one. Before the oldest of them no log can be read any more.
pub(crate) const INTERRUPTIONS_MAX: usize = 64;

/// Time-of-use registers a meter keeps at most.
pub(crate) const TOU_MAX: u8 = 48;

const CHANNELS: [Channel; 6] = [
    Channel::Export,
    Channel::Gas,
    Channel::Import,
    Channel::ReactiveExport,
    Channel::ReactiveImport,
    Channel::Secondary,
];

/// What one meter has counted. Nothing is stored but where it began and when it did not count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Metering {
    pub(crate) load: Load,
    /// From here on registers and rows follow from the load model.
    pub(crate) since: SimInstant,
    /// Main register at the very start.
    pub(crate) start: u32,
    pub(crate) gaps: Option<Box<Gaps>>,
    /// The tariffs it has had, once it had another than the one it was fitted with.
    pub(crate) regimes: Option<Box<Regimes>>,
}

/// When a meter did not count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Gaps {
    /// Not counting since.
    pub(crate) open: Option<SimInstant>,
    /// Past interruptions, oldest first, not overlapping.
    pub(crate) closed: VecDeque<(SimInstant, SimInstant)>,
    /// Registers at `since` once interruptions were forgotten, per channel.
    pub(crate) folded: Vec<i64>,
}

impl Metering {
    pub(crate) fn new(load: Load, since: SimInstant, start: u32) -> Self {
        Self {
            load,
            since,
            start,
            gaps: None,
            regimes: None,
        }
    }

    /// A register of the main channel's kind at `at`, as a total since fitting.
    pub(crate) fn register(&self, main: Channel, channel: Channel, at: SimInstant) -> i64 {
        self.base(channel as usize, channel == main) + self.consumed(channel, None, self.since, at)
    }

    /// What was counted from `from` to `to`; nothing before this meter's history begins.
    pub(crate) fn consumed(&self, channel: Channel, slots: Slots<'_>, from: SimInstant, to: SimInstant) -> i64 {
        let from = from.max(self.since);
        if to <= from {
            return 0;
        }
        let Some(gaps) = &self.gaps else {
            return self.load.between(channel, slots, from, to);
        };
        let open = gaps.open.map(|start| (start, to));
        let lost: i64 = gaps
            .closed
            .iter()
            .copied()
            .chain(open)
            .map(|(start, end)| (start.max(from), end.min(to)))
            .filter(|(start, end)| start < end)
            .map(|(start, end)| self.load.between(channel, slots, start, end))
            .sum();
        self.load.between(channel, slots, from, to) - lost
    }

    /// Slot of the local clock, and what was counted from `from` to `to`, two instants of one half-hour.
    pub(crate) fn within_half_hour(&self, channel: Channel, from: SimInstant, to: SimInstant) -> (usize, i64) {
        let (slot, amount) = self.load.within_half_hour(channel, from, to);
        if self.gaps.is_none() && from >= self.since {
            (slot, amount)
        } else {
            (slot, self.consumed(channel, None, from, to))
        }
    }

    /// Stops counting at `at`, unless it has stopped already.
    pub(crate) fn interrupt(&mut self, at: SimInstant) {
        let gaps = self.gaps.get_or_insert_default();
        // Time may stand still between two interruptions; it never runs back.
        let earliest = gaps.closed.back().map_or(self.since, |(_, end)| *end);
        gaps.open.get_or_insert(at.max(earliest));
    }

    /// Counts again from `at`.
    pub(crate) fn resume(&mut self, main: Channel, tariff: &Arc<Tariff>, at: SimInstant) {
        let Some(gaps) = &mut self.gaps else { return };
        let Some(start) = gaps.open.take() else { return };
        if at > start {
            gaps.closed.push_back((start, at));
        }
        if gaps.closed.len() > INTERRUPTIONS_MAX {
            self.forget_oldest(main, tariff);
        }
    }

    /// True while it counts.
    pub(crate) fn counts(&self) -> bool {
        self.gaps.as_ref().is_none_or(|gaps| gaps.open.is_none())
    }

    /// Calls `row` with end and amount of each whole half-hour in `from <= end <= to`, oldest first.
    pub(crate) fn rows(
        &self,
        channel: Channel,
        from: SimInstant,
        to: SimInstant,
        mut row: impl FnMut(SimInstant, i64),
    ) {
        let earliest = from.0.max(self.since.0.saturating_add(1));
        let mut end = earliest
            .saturating_add(HALF_HOUR_MS - 1)
            .div_euclid(HALF_HOUR_MS)
            .saturating_mul(HALF_HOUR_MS);
        let has_gaps = self.gaps.is_some();
        let mut day = None;
        while end <= to.0 {
            let start = end - HALF_HOUR_MS;
            let date = LocalDay::of(SimInstant(start));
            let today = match day {
                Some((known, load)) if known == date => load,
                _ => self.load.day(channel, date),
            };
            day = Some((date, today));
            let amount = if has_gaps || start < self.since.0 {
                self.consumed(channel, None, SimInstant(start), SimInstant(end))
            } else {
                today.half_hour((start - today.midnight_ms) / HALF_HOUR_MS).1
            };
            row(SimInstant(end), amount);
            end += HALF_HOUR_MS;
        }
    }

    fn base(&self, index: usize, takes_start: bool) -> i64 {
        match &self.gaps {
            Some(gaps) if !gaps.folded.is_empty() => gaps.folded.get(index).copied().unwrap_or(0),
            _ if takes_start => i64::from(self.start),
            _ => 0,
        }
    }

    fn forget_oldest(&mut self, main: Channel, tariff: &Arc<Tariff>) {
        let Some((_, end)) = self.gaps.as_ref().and_then(|gaps| gaps.closed.front()).copied() else {
            return;
        };
        let registers = CHANNELS.iter().map(|channel| self.register(main, *channel, end));
        let folded = registers.collect();
        self.forget_tariffs_before(main, tariff, end);
        self.since = end;
        if let Some(gaps) = &mut self.gaps {
            gaps.closed.pop_front();
            gaps.folded = folded;
        }
    }

    /// Whether it did not count at some time from `from` to `to`.
    pub(crate) fn interrupted(&self, from: SimInstant, to: SimInstant) -> bool {
        let Some(gaps) = &self.gaps else { return false };
        let open = gaps.open.is_some_and(|start| start < to);
        open || gaps.closed.iter().any(|(start, end)| *start < to && *end > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_546_300_800_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn rows_and_registers_agree_through_interruptions(
            seed: u64,
            spans in prop::collection::vec((0i64..40_000_000, 0i64..40_000_000), 0..90),
        ) {
            let tariff = Arc::new(Tariff::night_rate());
            let load = Load::of_annual(seed, Channel::Import, 3_100);
            let mut meter = Metering::new(load, SimInstant(START), 4_711);
            let mut at = SimInstant(START);
            for (on, off) in spans {
                at.0 += on;
                meter.interrupt(at);
                prop_assert!(!meter.counts());
                at.0 += off;
                meter.resume(Channel::Import, &tariff, at);
            }
            let from = SimInstant(meter.since.0.div_euclid(HALF_HOUR_MS) * HALF_HOUR_MS + HALF_HOUR_MS);
            let to = SimInstant(at.0.max(from.0).div_euclid(HALF_HOUR_MS) * HALF_HOUR_MS + HALF_HOUR_MS);
            let mut sum = 0;
            meter.rows(Channel::Import, SimInstant(from.0 + 1), to, |_, amount| sum += amount);
            let register = |at| meter.register(Channel::Import, Channel::Import, at);
            prop_assert_eq!(register(to) - register(from), sum);
            let tou: i64 = (1..=TOU_MAX).map(|n| meter.tou_register(Channel::Import, &tariff, n, to)).sum();
            prop_assert_eq!(tou, register(to));
            prop_assert!(register(from) >= 4_711);
        }
    }

    #[test]
    fn nothing_is_counted_while_interrupted_however_often() {
        let tariff = Arc::new(Tariff::single_rate());
        let load = Load::of_annual(3, Channel::Import, 3_100);
        let mut meter = Metering::new(load, SimInstant(START), 100);
        let mut at = SimInstant(START);
        let mut expected = 100;
        for n in 0..200i64 {
            let on = SimInstant(at.0 + 700_000 * (n % 9));
            expected += load.between(Channel::Import, None, at, on);
            meter.interrupt(on);
            at = SimInstant(on.0 + 1_000_000);
            meter.resume(Channel::Import, &tariff, at);
        }
        assert_eq!(meter.register(Channel::Import, Channel::Import, at), expected);
    }
}
