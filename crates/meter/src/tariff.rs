//! Tariffs: which register counts when, what blocks there are, what energy costs, and when billing periods begin.

use std::sync::Arc;

use domain::Refusal;
use domain::operation::{
    BillingCalendar, BillingPeriod, Currency, Prices, SwitchingTable, TariffAction, TariffTables, octets,
};

use crate::profile::TariffRules;
use crate::switching::{BLOCK, Bounds, Switching};

/// The tariff of one meter, both elements and all that decides what a register holds. Shared between installations; a
/// change is another tariff.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tariff {
    pub(crate) main: Rates,
    /// Of the second element.
    pub(crate) second: Rates,
    /// When billing periods begin, at which blocks are counted anew.
    pub(crate) billing: BillingCalendar,
    /// Blocks are counted anew every midnight too.
    pub(crate) daily_reset: bool,
    /// What a cubic metre is charged as: calorific value (thousandths of MJ) and conversion factor (hundred-thousandths).
    pub(crate) conversion: (u64, u64),
}

/// What counts when on one element, and what it costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rates {
    pub(crate) currency: Currency,
    pub(crate) switching: Arc<Switching>,
    /// Upper edges of all blocks but the last, by time band, rising, in Wh or litres.
    pub(crate) thresholds: Arc<Vec<Vec<u64>>>,
    pub(crate) prices: Arc<Prices>,
}

impl Tariff {
    /// One rate, no blocks: 16 p per kWh and 25 p per day; billing periods are calendar months. The second element
    /// costs 9 p.
    #[must_use]
    pub fn single_rate() -> Self {
        let main = Rates::uniform(&[(0, TariffAction::Tou(1))], &[16_000], 25_000);
        Self {
            main,
            second: Rates::uniform(&[(0, TariffAction::Tou(1))], &[9_000], 0),
            billing: BillingCalendar {
                minute: 0,
                start: None,
                period: BillingPeriod::Monthly(1),
            },
            daily_reset: false,
            conversion: (CALORIFIC_VALUE_MILLI, CONVERSION_FACTOR),
        }
    }

    /// Two rates: register 2 from 00:30 to 07:30 local time, register 1 otherwise.
    #[must_use]
    pub fn night_rate() -> Self {
        let day = [
            (0, TariffAction::Tou(1)),
            (30, TariffAction::Tou(2)),
            (450, TariffAction::Tou(1)),
        ];
        Self {
            main: Rates::uniform(&day, &[18_000, 8_500], 25_000),
            ..Self::single_rate()
        }
    }

    /// Gas at one rate: 4 p per kWh and 25 p per day.
    #[must_use]
    pub fn gas_single_rate() -> Self {
        Self {
            main: Rates::uniform(&[(0, TariffAction::Tou(1))], &[4_000], 25_000),
            ..Self::single_rate()
        }
    }

    /// With another standing charge, milli-pence per day.
    #[must_use]
    pub fn with_standing_charge(mut self, milli_pence: u32) -> Self {
        Arc::make_mut(&mut self.main.prices).standing_charge_mp = i64::from(milli_pence);
        self
    }

    /// With other prices of the time-of-use registers from the first, milli-pence per kWh.
    #[must_use]
    pub fn with_prices(mut self, tou_mp: &[u32]) -> Self {
        let prices = tou_mp.iter().map(|price| Some(i64::from(*price)));
        Arc::make_mut(&mut self.main.prices).tou_mp = prices.collect();
        self
    }

    /// All time in blocks: upper edges of all blocks but the last, in Wh or litres, and a price for each block in
    /// milli-pence per kWh.
    #[must_use]
    pub fn with_blocks(mut self, edges: &[u32], prices_mp: &[u32]) -> Self {
        let standing_charge_mp = self.main.prices.standing_charge_mp;
        self.main = Rates::uniform(&[(0, TariffAction::Block(1))], &[], 0);
        self.main.thresholds = Arc::new(vec![edges.iter().copied().map(u64::from).collect()]);
        self.main.prices = Arc::new(Prices {
            standing_charge_mp,
            block_mp: vec![prices_mp.iter().map(|price| Some(i64::from(*price))).collect()],
            ..Prices::default()
        });
        self
    }

    /// With billing periods that begin at midnight of another day of the month (1 to 28).
    #[must_use]
    pub fn with_billing_day(mut self, day: u8) -> Self {
        self.billing.period = BillingPeriod::Monthly(day.clamp(1, 28));
        self
    }

    /// Millionths of a penny per Wh or litre at so many milli-pence per kWh.
    pub(crate) fn unit_price(&self, milli_pence_per_kwh: i64, gas: bool) -> i64 {
        // Wh times milli-pence per kWh is millionths of a penny as it stands; a litre is a thousandth of a cubic metre.
        if gas {
            let price = i128::from(milli_pence_per_kwh) * i128::from(self.wh_per_10_000_litres());
            i64::try_from((price + 5_000).div_euclid(10_000)).unwrap_or(i64::MAX)
        } else {
            milli_pence_per_kwh
        }
    }

    /// Watt-hours that ten thousand litres are charged as.
    pub(crate) fn wh_per_10_000_litres(&self) -> i64 {
        let (calorific, factor) = self.conversion;
        let energy = u128::from(calorific) * u128::from(factor) / 36_000;
        i64::try_from(energy).unwrap_or(i64::MAX)
    }

    /// Its compact form for a journal.
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        let rates = |rates: &Rates| (rates.tables(), rates.prices.as_ref().clone());
        let written: Written = (
            rates(&self.main),
            rates(&self.second),
            self.billing.clone(),
            self.daily_reset,
            self.conversion,
        );
        octets::write(&written)
    }

    /// The tariff of such octets; `None` where they are none that a meter could hold.
    pub(crate) fn of_octets(octets: &[u8]) -> Option<Self> {
        let (main, second, billing, daily_reset, conversion): Written = octets::read(octets, "tariff").ok()?;
        let blocks = u8::try_from(BLOCKS_MAX).ok()?;
        let rates = |(tables, prices): (TariffTables, Prices)| {
            let rates = Rates::uniform(&[], &[], 0);
            let rates = rates.with_tables(&tables, &ELECTRICITY, blocks).ok()?;
            rates.with_prices(&prices, &ELECTRICITY, blocks, 1).ok()
        };
        Some(Self {
            main: rates(main)?,
            second: rates(second)?,
            billing,
            daily_reset,
            conversion,
        })
    }

    /// Octets this tariff takes where it is not shared.
    pub(crate) fn octets(&self) -> usize {
        size_of::<Self>() + self.main.octets() + self.second.octets()
    }
}

impl Rates {
    /// The same every day.
    fn uniform(switches: &[(u16, TariffAction)], tou_mp: &[u32], standing_charge_mp: i64) -> Self {
        let table = SwitchingTable::every_day("all year", switches.to_vec());
        Self {
            currency: Currency::Gbp,
            switching: Arc::new(Switching::of_checked(table)),
            thresholds: Arc::default(),
            prices: Arc::new(Prices {
                standing_charge_mp,
                tou_mp: tou_mp.iter().map(|price| Some(i64::from(*price))).collect(),
                ..Prices::default()
            }),
        }
    }

    /// As the supplier writes it, without prices.
    pub(crate) fn tables(&self) -> TariffTables {
        TariffTables {
            currency: self.currency,
            switching: self.switching.table.clone(),
            thresholds: self.thresholds.to_vec(),
        }
    }

    /// Other tables with the same prices. The form of a request states thresholds for eight bands of electricity: those that
    /// a meter does not have, and in which nothing counts, are no part of its tariff.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] for tables that do not hold together or are larger than the meter holds.
    pub(crate) fn with_tables(&self, tables: &TariffTables, bounds: &Bounds, blocks: u8) -> Result<Self, Refusal> {
        let edges = usize::from(blocks.saturating_sub(1));
        let right = |band: &Vec<u64>| {
            band.len() <= edges && band.is_sorted() && band.iter().all(|edge| i64::try_from(*edge).is_ok())
        };
        let switching = Switching::new(tables.switching.clone(), bounds)?;
        let kept = tables.thresholds.iter().take(usize::from(bounds.bands));
        if !kept.clone().all(right) || !tables.thresholds.iter().all(|band| band.is_sorted()) {
            return Err(Refusal::OutOfRange);
        }
        Ok(Self {
            currency: tables.currency,
            switching: Arc::new(switching),
            thresholds: Arc::new(kept.cloned().collect()),
            prices: Arc::clone(&self.prices),
        })
    }

    /// Other prices with the same tables, each cut to whole multiples of `step`.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] for more prices than the meter has registers or blocks.
    pub(crate) fn with_prices(
        &self,
        prices: &Prices,
        bounds: &Bounds,
        blocks: u8,
        step_mp: u32,
    ) -> Result<Self, Refusal> {
        let amount = |price: i64| price.unsigned_abs() < PRICE_MAX;
        let every = || {
            let block = prices.block_mp.iter().flatten();
            prices.tou_mp.iter().chain(block).flatten().copied()
        };
        if prices.tou_mp.len() > usize::from(bounds.tou)
            || prices.block_mp.len() > usize::from(bounds.bands)
            || prices.block_mp.iter().any(|band| band.len() > usize::from(blocks))
            || !every().chain([prices.standing_charge_mp]).all(amount)
        {
            return Err(Refusal::OutOfRange);
        }
        let step = i64::from(step_mp.max(1));
        let cut = |price: &mut Option<i64>| *price = price.map(|price| price - price.rem_euclid(step));
        let mut prices = prices.clone();
        prices.tou_mp.iter_mut().for_each(cut);
        prices.block_mp.iter_mut().flatten().for_each(cut);
        Ok(Self {
            currency: prices.currency.unwrap_or(self.currency),
            prices: Arc::new(prices),
            ..self.clone()
        })
    }

    /// The highest time-of-use register that is ever active.
    pub(crate) fn tou_registers(&self) -> u8 {
        self.switching.tou_registers()
    }

    /// Milli-pence per kWh of time-of-use register `n`; one without a price costs nothing.
    pub(crate) fn tou_price(&self, n: u8) -> i64 {
        let place = usize::from(n).checked_sub(1);
        let price = place.and_then(|place| self.prices.tou_mp.get(place));
        price.copied().flatten().unwrap_or(0)
    }

    /// Upper edges of all blocks of a time band but the last.
    fn edges(&self, band: u8) -> &[u64] {
        let place = usize::from(band).checked_sub(1);
        let edges = place
            .and_then(|place| self.thresholds.get(place))
            .map_or(&[][..], Vec::as_slice);
        let used = self.prices.thresholds_used.map_or(BLOCKS_MAX - 1, usize::from);
        edges.get(..used.min(BLOCKS_MAX - 1)).unwrap_or(edges)
    }

    /// Blocks of a time band: 1 to 4.
    pub(crate) fn blocks(&self, band: u8) -> u8 {
        u8::try_from(self.edges(band).len()).unwrap_or(0) + 1
    }

    /// What of `amount`, counted since blocks were counted anew, fell into block `n` (from 1).
    pub(crate) fn block(&self, band: u8, n: u8, amount: i64) -> i64 {
        let edges = self.edges(band);
        let n = usize::from(n);
        if n == 0 || n > edges.len() + 1 {
            return 0;
        }
        let edge = |place: Option<usize>, beyond: i64| {
            let edge = place.and_then(|place| edges.get(place));
            edge.map_or(beyond, |edge| i64::try_from(*edge).unwrap_or(i64::MAX))
        };
        let lower = edge(n.checked_sub(2), 0);
        (amount.min(edge(Some(n - 1), i64::MAX)) - lower).max(0)
    }

    /// The block in which the next unit counts, and its price in milli-pence per kWh. The last price goes on for blocks
    /// without one of their own.
    pub(crate) fn block_price(&self, band: u8, n: u8) -> i64 {
        let place = usize::from(band).checked_sub(1);
        let prices = place.and_then(|place| self.prices.block_mp.get(place));
        let own = prices.and_then(|prices| {
            let place = usize::from(n).checked_sub(1)?;
            prices
                .get(place)
                .copied()
                .flatten()
                .or(prices.last().copied().flatten())
        });
        own.unwrap_or(0)
    }

    /// The block in which the next unit after `amount` counts.
    pub(crate) fn block_at(&self, band: u8, amount: i64) -> u8 {
        let passed = self
            .edges(band)
            .iter()
            .filter(|edge| i64::try_from(**edge).is_ok_and(|edge| edge <= amount));
        u8::try_from(passed.count()).unwrap_or(0) + 1
    }

    fn octets(&self) -> usize {
        let prices = &self.prices;
        let blocks: usize = prices.block_mp.iter().map(|band| band.len() * 16 + 24).sum();
        let thresholds: usize = self.thresholds.iter().map(|band| band.len() * 8 + 24).sum();
        size_of::<Switching>()
            + self.switching.heap()
            + thresholds
            + size_of::<Prices>()
            + prices.tou_mp.len() * 16
            + blocks
    }
}

/// What a meter takes of a tariff: by its kind (recalled minimums of SMETS1), and by its profile.
pub(crate) fn bounds(rules: &TariffRules, gas: bool, second: bool) -> Bounds {
    let kind = match (gas, second) {
        (true, _) => Bounds {
            days: 4,
            weeks: 2,
            seasons: 3,
            special_days: 20,
            tou: 4,
            bands: 1,
        },
        (false, true) => Bounds {
            tou: 4,
            bands: 0,
            ..ELECTRICITY
        },
        (false, false) => ELECTRICITY,
    };
    let bands = if gas { kind.bands } else { rules.block_tou_max };
    Bounds {
        tou: kind.tou.min(rules.tou_max),
        bands: kind.bands.min(bands),
        ..kind
    }
}

/// What a journal holds of a tariff.
type Written = (
    (TariffTables, Prices),
    (TariffTables, Prices),
    BillingCalendar,
    bool,
    (u64, u64),
);

const ELECTRICITY: Bounds = Bounds {
    days: 16,
    weeks: 4,
    seasons: 4,
    special_days: 50,
    tou: 48,
    bands: 8,
};

/// True when an action counts in blocks.
pub(crate) fn in_blocks(action: u8) -> bool {
    action & BLOCK != 0
}

/// Blocks a meter counts at most.
pub(crate) const BLOCKS_MAX: usize = 4;
/// Time bands a meter counts blocks in at most.
pub(crate) const BANDS_MAX: usize = 8;
/// Milli-pence no price comes near: far from where sums overflow.
const PRICE_MAX: u64 = 1 << 32;
/// 39.5 MJ per cubic metre, a usual figure.
pub(crate) const CALORIFIC_VALUE_MILLI: u64 = 39_500;
/// 1.02264, the usual figure, in hundred-thousandths.
pub(crate) const CONVERSION_FACTOR: u64 = 102_264;

impl Default for Tariff {
    fn default() -> Self {
        Self::single_rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request's form says: a threshold for each of eight bands, whether or not anything counts in them.
    fn form(action: TariffAction) -> TariffTables {
        let rates = Rates::uniform(&[(0, action)], &[], 0);
        TariffTables {
            thresholds: vec![vec![u64::from(u32::MAX)]; 8],
            ..rates.tables()
        }
    }

    #[test]
    fn bands_in_which_nothing_counts_are_no_part_of_a_tariff() {
        let rates = Rates::uniform(&[], &[], 0);
        let four = Bounds {
            bands: 4,
            ..ELECTRICITY
        };
        let none = Bounds {
            bands: 0,
            ..ELECTRICITY
        };
        let taken = |action, bounds, blocks| {
            let rates = rates.with_tables(&form(action), bounds, blocks)?;
            Ok(rates.thresholds.len())
        };
        assert_eq!(taken(TariffAction::Tou(2), &four, 4), Ok(4));
        assert_eq!(taken(TariffAction::Tou(2), &none, 1), Ok(0));
        assert_eq!(taken(TariffAction::Block(4), &four, 4), Ok(4));
        assert_eq!(taken(TariffAction::Block(5), &four, 4), Err(Refusal::OutOfRange));
        // A threshold more than the meter has blocks for.
        assert_eq!(taken(TariffAction::Block(1), &four, 1), Err(Refusal::OutOfRange));
    }
}
