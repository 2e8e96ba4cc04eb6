//! Registers by rate and block: what was counted under each tariff a meter has had.
//!
//! A tariff holds from an instant on; what its registers stood at then is kept with it, and everything after follows from
//! the load model, half-hour by half-hour where days differ. A meter that nobody gave another tariff keeps nothing.

use std::sync::Arc;

use domain::SimInstant;

use crate::billing;
use crate::calendar::{HALF_HOUR_MS, LocalDay};
use crate::load::Channel;
use crate::metering::{Metering, TOU_MAX};
use crate::switching::{Action, BLOCK, Pattern};
use crate::tariff::{BANDS_MAX, BLOCKS_MAX, Rates, Tariff, in_blocks};

/// Changes of tariff remembered; registers by rate from before the oldest are not known any more.
pub(crate) const REGIMES_MAX: usize = 16;

/// Registers of the second element.
const SECOND_MAX: usize = 4;

/// Where counters and the second element begin in a tally's places: after 48 registers and 8 times 4 blocks.
const COUNTER_PLACE: u8 = 80;
const SECOND_PLACE: u8 = 88;

/// What a tariff's registers hold, in Wh or litres.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    tou: [i64; TOU_MAX as usize],
    /// By time band and block.
    blocks: [[i64; BLOCKS_MAX]; BANDS_MAX],
    /// By time band, since blocks were counted anew.
    counters: [i64; BANDS_MAX],
    second: [i64; SECOND_MAX],
}

/// One tariff and when it took force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Regime {
    pub(crate) from: SimInstant,
    pub(crate) tariff: Arc<Tariff>,
    /// What the registers stood at: place in a tally and amount, nothing for nothing.
    pub(crate) base: Vec<(u8, i64)>,
}

/// The tariffs of one meter, oldest first, the last one in force. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Regimes(pub(crate) Vec<Regime>);

impl Regimes {
    /// Octets they take, each tariff counted as if none shared anything.
    pub(crate) fn octets(&self) -> usize {
        let regime = |regime: &Regime| size_of::<Regime>() + regime.base.capacity() * 16 + regime.tariff.octets();
        size_of::<Self>() + self.0.iter().map(regime).sum::<usize>()
    }
}

/// Where registers are known from.
struct Ground<'t> {
    from: SimInstant,
    tariff: &'t Tariff,
    base: Option<&'t [(u8, i64)]>,
    /// A meter that was not new when it was fitted has all of it in its first register.
    start: i64,
}

impl Ground<'_> {
    /// What stood at one place of a tally.
    fn base(&self, place: u8) -> i64 {
        match self.base {
            Some(base) => base
                .iter()
                .find(|(at, _)| *at == place)
                .map_or(0, |(_, amount)| *amount),
            None if place == 0 => self.start,
            None => 0,
        }
    }

    fn tally(&self) -> Tally {
        Tally::of_sparse(self.base.unwrap_or(&[(0, self.start)]))
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            tou: [0; TOU_MAX as usize],
            blocks: [[0; BLOCKS_MAX]; BANDS_MAX],
            counters: [0; BANDS_MAX],
            second: [0; SECOND_MAX],
        }
    }
}

impl Tally {
    /// Time-of-use register `n` from 1.
    pub(crate) fn tou(&self, n: u8) -> i64 {
        pick(&self.tou, n)
    }

    /// Block `block` of time band `band`, both from 1: a register since fitting.
    pub(crate) fn block(&self, band: u8, block: u8) -> i64 {
        let band = usize::from(band).checked_sub(1).and_then(|band| self.blocks.get(band));
        band.map_or(0, |blocks| pick(blocks, block))
    }

    /// What was counted in a time band since blocks were counted anew.
    pub(crate) fn counter(&self, band: u8) -> i64 {
        pick(&self.counters, band)
    }

    fn add(&mut self, rates: &Rates, action: Action, amount: i64) {
        if !in_blocks(action) {
            if let Some(register) = place(action).and_then(|place| self.tou.get_mut(place)) {
                *register += amount;
            }
            return;
        }
        let band = action & !BLOCK;
        let Some(place) = place(band).filter(|place| *place < BANDS_MAX) else {
            return;
        };
        let before = self.counters[place];
        let after = before + amount;
        for (n, register) in (1..).zip(&mut self.blocks[place]) {
            *register += rates.block(band, n, after) - rates.block(band, n, before);
        }
        self.counters[place] = after;
    }

    fn cells(&self) -> impl Iterator<Item = i64> + '_ {
        let blocks = self.blocks.iter().flatten();
        let all = self.tou.iter().chain(blocks).chain(&self.counters).chain(&self.second);
        all.copied()
    }

    /// Place and amount of all that is not nothing.
    fn sparse(&self) -> Vec<(u8, i64)> {
        (0..).zip(self.cells()).filter(|(_, amount)| *amount != 0).collect()
    }

    fn of_sparse(base: &[(u8, i64)]) -> Self {
        let mut tally = Self::default();
        let blocks = tally.blocks.iter_mut().flatten();
        let mut cells: Vec<&mut i64> = tally
            .tou
            .iter_mut()
            .chain(blocks)
            .chain(&mut tally.counters)
            .chain(&mut tally.second)
            .collect();
        for (place, amount) in base {
            if let Some(cell) = cells.get_mut(usize::from(*place)) {
                **cell = *amount;
            }
        }
        tally
    }
}

/// Where a number from 1 stands in a list.
fn place(n: u8) -> Option<usize> {
    usize::from(n).checked_sub(1)
}

fn pick(list: &[i64], n: u8) -> i64 {
    place(n).and_then(|place| list.get(place)).copied().unwrap_or(0)
}

impl Metering {
    /// The tariff that was in force at `at`; `current` is the one in force now.
    pub(crate) fn tariff_at<'t>(&'t self, current: &'t Tariff, at: SimInstant) -> &'t Tariff {
        self.regime(at).map_or(current, |regime| &regime.tariff)
    }

    /// The tariffs in force up to `at`, each with its time; `current` is the one in force now.
    pub(crate) fn reigns<'t>(
        &'t self,
        current: &'t Tariff,
        at: SimInstant,
    ) -> Vec<(SimInstant, SimInstant, &'t Tariff)> {
        let Some(regimes) = &self.regimes else {
            return vec![(self.since, at, current)];
        };
        let begun = regimes.0.iter().filter(|regime| regime.from < at);
        let ends = regimes.0.iter().skip(1).map(|regime| regime.from.min(at)).chain([at]);
        begun
            .zip(ends)
            .map(|(regime, end)| (regime.from, end, regime.tariff.as_ref()))
            .collect()
    }

    /// When the last billing period or count of blocks that is not after `at` began; when fitted, before the first.
    pub(crate) fn billing_point(&self, current: &Tariff, at: SimInstant) -> SimInstant {
        let mut end = at;
        let list = self.regimes.as_ref().map_or(&[][..], |regimes| regimes.0.as_slice());
        let held = list.iter().rev().filter(|regime| regime.from <= at);
        for regime in held {
            match billing::latest(&regime.tariff.billing, end) {
                Some(point) if point >= regime.from => return point.max(self.since),
                // Not under this tariff: under the one before it, which ended here.
                _ => end = SimInstant(regime.from.0 - 1),
            }
        }
        let first = list.first().map_or(current, |regime| &regime.tariff);
        billing::latest(&first.billing, end).map_or(self.since, |point| point.max(self.since))
    }

    /// Time-of-use register `n` of the main channel at `at`.
    pub(crate) fn tou_register(&self, main: Channel, current: &Tariff, n: u8, at: SimInstant) -> i64 {
        let ground = self.ground(current, at);
        match ground.tariff.main.switching.uniform() {
            Some(pattern) => ground.base(n.wrapping_sub(1)) + self.consumed(main, Some((pattern, n)), ground.from, at),
            None => self.tally(main, current, at).tou(n),
        }
    }

    /// All registers by rate and block at `at`.
    pub(crate) fn tally(&self, main: Channel, current: &Tariff, at: SimInstant) -> Tally {
        let ground = self.ground(current, at);
        let mut tally = ground.tally();
        let switching = &ground.tariff.main.switching;
        match switching.uniform() {
            // Every day the same and no blocks: the load model sums whole months at once.
            Some(pattern) if switching.bands() == 0 => {
                for (n, register) in (1..=switching.tou_registers()).zip(&mut tally.tou) {
                    *register += self.consumed(main, Some((pattern, n)), ground.from, at);
                }
            }
            _ => self.walk(main, ground.tariff, ground.from, at, &mut tally),
        }
        if ground.tariff.second.tou_registers() > 0 {
            for (n, register) in (1..).zip(&mut tally.second) {
                *register += self.second(ground.tariff, n, ground.from, at);
            }
        }
        tally
    }

    /// Register `n` (from 1) of the second element at `at`.
    pub(crate) fn second_register(&self, current: &Tariff, n: u8, at: SimInstant) -> i64 {
        let ground = self.ground(current, at);
        ground.base(SECOND_PLACE + n.wrapping_sub(1)) + self.second(ground.tariff, n, ground.from, at)
    }

    /// What was counted in a time band at `at` since blocks were counted anew.
    pub(crate) fn counter(&self, main: Channel, current: &Tariff, band: u8, at: SimInstant) -> i64 {
        let ground = self.ground(current, at);
        let reset = self.counted_from(ground.tariff, at);
        let (start, before) = if reset >= ground.from {
            (reset, 0)
        } else {
            (ground.from, ground.base(COUNTER_PLACE + band.wrapping_sub(1)))
        };
        let code = BLOCK | band;
        let Some(pattern) = ground.tariff.main.switching.uniform() else {
            let mut sum = before;
            let pattern = |day| ground.tariff.main.switching.on(day);
            self.each_half_hour(main, pattern, start, at, |action, amount, _| {
                sum += if action == code { amount } else { 0 };
            });
            return sum;
        };
        before + self.consumed(main, Some((pattern, code)), start, at)
    }

    /// Another tariff from `at` on; `anew` counts blocks anew.
    pub(crate) fn change_tariff(
        &mut self,
        main: Channel,
        current: &Arc<Tariff>,
        next: Arc<Tariff>,
        at: SimInstant,
        anew: bool,
    ) {
        let mut tally = self.tally(main, current, at);
        if anew {
            tally.counters = [0; BANDS_MAX];
        }
        let first = self.first_regime(current);
        let list = &mut self.regimes.get_or_insert_with(|| Box::new(Regimes(vec![first]))).0;
        list.retain(|regime| regime.from < at || regime.from == self.since && at > self.since);
        list.push(Regime {
            from: at,
            tariff: next,
            base: tally.sparse(),
        });
        if list.len() > REGIMES_MAX {
            list.remove(0);
        }
    }

    /// Everything before `at` is forgotten: registers begin there with what they stand at.
    pub(crate) fn forget_tariffs_before(&mut self, main: Channel, current: &Arc<Tariff>, at: SimInstant) {
        let tally = self.tally(main, current, at);
        let tariff = match &self.regimes {
            Some(regimes) => regimes
                .0
                .iter()
                .rev()
                .find(|regime| regime.from <= at)
                .or(regimes.0.first()),
            None => None,
        };
        let first = Regime {
            from: at,
            tariff: tariff.map_or_else(|| Arc::clone(current), |regime| Arc::clone(&regime.tariff)),
            base: tally.sparse(),
        };
        let later = self.regimes.take().map(|regimes| regimes.0).unwrap_or_default();
        let list = std::iter::once(first).chain(later.into_iter().filter(|regime| regime.from > at));
        self.regimes = Some(Box::new(Regimes(list.collect())));
    }

    fn first_regime(&self, current: &Arc<Tariff>) -> Regime {
        Regime {
            from: self.since,
            tariff: Arc::clone(current),
            base: self.ground(current, self.since).tally().sparse(),
        }
    }

    fn regime(&self, at: SimInstant) -> Option<&Regime> {
        let list = &self.regimes.as_ref()?.0;
        list.iter().rev().find(|regime| regime.from <= at).or(list.first())
    }

    /// From where registers are known, and the tariff since.
    fn ground<'t>(&'t self, current: &'t Tariff, at: SimInstant) -> Ground<'t> {
        match self.regime(at) {
            Some(regime) => Ground {
                from: regime.from,
                tariff: &regime.tariff,
                base: Some(&regime.base),
                start: 0,
            },
            None => Ground {
                from: self.since,
                tariff: current,
                base: None,
                start: i64::from(self.start),
            },
        }
    }

    fn second(&self, tariff: &Tariff, n: u8, from: SimInstant, at: SimInstant) -> i64 {
        let channel = Channel::Secondary;
        if let Some(pattern) = tariff.second.switching.uniform() {
            return self.consumed(channel, Some((pattern, n)), from, at);
        }
        let mut sum = 0;
        let pattern = |day| tariff.second.switching.on(day);
        self.each_half_hour(channel, pattern, from, at, |action, amount, _| {
            sum += if action == n { amount } else { 0 };
        });
        sum
    }

    /// When blocks were last counted anew by the calendar, not after `at`.
    fn counted_from(&self, tariff: &Tariff, at: SimInstant) -> SimInstant {
        let billing = billing::latest(&tariff.billing, at).unwrap_or(SimInstant(i64::MIN));
        // Counting is by half-hours.
        let billing = SimInstant(billing.0 - billing.0.rem_euclid(HALF_HOUR_MS));
        if tariff.daily_reset {
            billing.max(LocalDay::of(at).midnight())
        } else {
            billing
        }
    }

    fn walk(&self, main: Channel, tariff: &Tariff, from: SimInstant, to: SimInstant, tally: &mut Tally) {
        let rates = &tariff.main;
        let pattern = |day| rates.switching.on(day);
        let blocks = rates.switching.bands() > 0;
        let mut counted_from = SimInstant(i64::MIN);
        self.each_half_hour(main, pattern, from, to, |action, amount, start| {
            if blocks && start.0.rem_euclid(HALF_HOUR_MS) == 0 {
                let anew = self.counted_from(tariff, start);
                if anew > counted_from {
                    if anew == start {
                        tally.counters = [0; BANDS_MAX];
                    }
                    counted_from = anew;
                }
            }
            tally.add(rates, action, amount);
        });
    }

    /// Calls `each` with what counts, how much, and the start, for each half-hour or part of one.
    fn each_half_hour(
        &self,
        channel: Channel,
        pattern: impl Fn(LocalDay) -> Pattern,
        from: SimInstant,
        to: SimInstant,
        mut each: impl FnMut(Action, i64, SimInstant),
    ) {
        let mut at = from.max(self.since);
        while at < to {
            let day = LocalDay::of(at);
            let end_of_day = day.next().midnight().min(to);
            let slots = pattern(day);
            let load = self.load.day(channel, day);
            let whole = !self.interrupted(at, end_of_day);
            while at < end_of_day {
                let index = (at.0 - load.midnight_ms).div_euclid(HALF_HOUR_MS);
                let end = SimInstant(load.midnight_ms + (index + 1) * HALF_HOUR_MS).min(end_of_day);
                let (slot, energy) = load.half_hour(index);
                let amount = if whole && end.0 - at.0 == HALF_HOUR_MS {
                    energy
                } else {
                    self.consumed(channel, None, at, end)
                };
                each(slots[slot], amount, at);
                at = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_where_the_lists_begin() {
        let tally = Tally {
            counters: [7; BANDS_MAX],
            second: [9; SECOND_MAX],
            ..Tally::default()
        };
        let sparse = tally.sparse();
        assert_eq!(sparse.first(), Some(&(COUNTER_PLACE, 7)));
        assert_eq!(sparse.last(), Some(&(SECOND_PLACE + 3, 9)));
        assert_eq!(Tally::of_sparse(&sparse), tally);
    }
}
