//! Tariffs: which register counts when, what blocks there are, and what energy costs.

use crate::calendar::LocalDay;

/// The tariff of one fuel. Shared between installations; a change is another tariff.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tariff {
    /// Time-of-use register (1 to 48) for each half-hour of the local day, from midnight.
    pub switching: [u8; 48],
    /// Price per time-of-use register from the first, in milli-pence per kWh; a missing one costs nothing.
    pub tou_prices_mp: Vec<u32>,
    /// Upper edges of all blocks but the last, per billing period, rising, in Wh or litres; at most three.
    pub block_edges: Vec<u32>,
    /// Price per block from the first, in milli-pence per kWh. Used instead of `tou_prices_mp` when not empty.
    pub block_prices_mp: Vec<u32>,
    /// Price of the second element, in milli-pence per kWh.
    pub secondary_price_mp: u32,
    /// Standing charge per local day, in milli-pence.
    pub standing_charge_mp: u32,
    /// Local day of the month (1 to 28) at whose midnight a billing period begins.
    pub billing_day: u8,
}

impl Tariff {
    /// One rate, no blocks: 16 p per kWh and 25 p per day.
    #[must_use]
    pub fn single_rate() -> Self {
        Self {
            switching: [1; 48],
            tou_prices_mp: vec![16_000],
            block_edges: Vec::new(),
            block_prices_mp: Vec::new(),
            secondary_price_mp: 9_000,
            standing_charge_mp: 25_000,
            billing_day: 1,
        }
    }

    /// Two rates: register 2 from 00:30 to 07:30 local time, register 1 otherwise.
    #[must_use]
    pub fn night_rate() -> Self {
        let mut tariff = Self {
            tou_prices_mp: vec![18_000, 8_500],
            ..Self::single_rate()
        };
        tariff.switching[1..15].fill(2);
        tariff
    }

    /// Gas at one rate: 4 p per kWh and 25 p per day.
    #[must_use]
    pub fn gas_single_rate() -> Self {
        Self {
            tou_prices_mp: vec![4_000],
            ..Self::single_rate()
        }
    }

    /// The highest time-of-use register that is ever active.
    #[must_use]
    pub fn tou_registers(&self) -> u8 {
        self.switching.iter().copied().max().unwrap_or(1)
    }

    /// Blocks this tariff has: 1 to 4.
    #[must_use]
    pub fn blocks(&self) -> u8 {
        u8::try_from(self.block_edges.len().min(BLOCKS_MAX - 1)).unwrap_or(0) + 1
    }

    /// What of `amount`, counted since the start of the billing period, fell into block `n` (from 1).
    #[must_use]
    pub fn block(&self, n: u8, amount: i64) -> i64 {
        let edge = |n: usize| match n {
            0 => 0,
            n if n >= usize::from(self.blocks()) => i64::MAX,
            n => i64::from(self.block_edges[n - 1]),
        };
        let n = usize::from(n);
        if n == 0 || n > usize::from(self.blocks()) {
            return 0;
        }
        let lower = edge(n - 1);
        (amount.min(edge(n)) - lower).max(0)
    }

    /// Millionths of a penny per Wh or litre in a slot of the local day.
    pub(crate) fn tou_price(&self, slot: usize, gas: bool) -> i64 {
        let register = usize::from(self.switching[slot]);
        price(
            register.checked_sub(1).and_then(|index| self.tou_prices_mp.get(index)),
            gas,
        )
    }

    /// Millionths of a penny for `amount`, counted since the start of the billing period, by blocks.
    pub(crate) fn block_cost(&self, amount: i64, gas: bool) -> i64 {
        (1..=self.blocks())
            .map(|n| {
                // The last price goes on for blocks without one of their own.
                let own = self
                    .block_prices_mp
                    .get(usize::from(n) - 1)
                    .or(self.block_prices_mp.last());
                self.block(n, amount).saturating_mul(price(own, gas))
            })
            .sum()
    }

    pub(crate) fn has_block_prices(&self) -> bool {
        !self.block_prices_mp.is_empty()
    }

    pub(crate) fn billing_day(&self) -> u8 {
        self.billing_day.clamp(1, 28)
    }

    /// The first local day of the billing period that contains `day`.
    pub(crate) fn period_start(&self, day: LocalDay) -> LocalDay {
        day.latest_day_of_month(self.billing_day())
    }
}

/// Blocks a meter counts at most.
pub(crate) const BLOCKS_MAX: usize = 4;

/// kWh per cubic metre of gas, in ten-thousandths: calorific value 39.5 MJ/m3 and correction 1.02264 (usual figures).
const GAS_KWH_PER_M3: i64 = 112_208;

fn price(milli_pence_per_kwh: Option<&u32>, gas: bool) -> i64 {
    let price = i64::from(milli_pence_per_kwh.copied().unwrap_or(0));
    // Wh times milli-pence per kWh is millionths of a penny as it stands; a litre is a thousandth of a cubic metre.
    if gas {
        (price * GAS_KWH_PER_M3 + 5_000) / 10_000
    } else {
        price
    }
}

impl Default for Tariff {
    fn default() -> Self {
        Self::single_rate()
    }
}
