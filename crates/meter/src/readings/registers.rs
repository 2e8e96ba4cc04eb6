//! Registers and matrices of registers, as the profile shows them.

use domain::{DataItem, Quantity, SimDuration, SimInstant, Unit, Value};

use super::View;
use crate::load::Channel;
use crate::metering::TOU_MAX;
use crate::profile::{GasUnit, Rounding, ValueRules};
use crate::tariff::{BLOCKS_MAX, CALORIFIC_VALUE_MILLI, CONVERSION_FACTOR};

/// Time-of-use registers of a gas meter.
const GAS_TOU_MAX: u8 = 4;
/// Time-of-use registers of a second element.
const SECONDARY_TOU_MAX: u8 = 4;
/// Time bands of a tariff with blocks.
const BANDS_MAX: u8 = 8;

impl View<'_> {
    /// Several registers that are read as one thing; `None` when the meter has no such matrix.
    pub(super) fn table(&self, item: DataItem) -> Option<Value> {
        let meter = self.meter;
        let rules = &self.profile.tariff;
        let items: Vec<DataItem> = match item {
            DataItem::TouRegisters => (1..=self.tou_max()).map(DataItem::TouRegister).collect(),
            DataItem::SecondaryTouRegisters if meter.second_element => {
                (1..=SECONDARY_TOU_MAX).map(DataItem::SecondaryTouRegister).collect()
            }
            DataItem::BlockCounters if meter.gas => (1..=self.blocks_max()).map(DataItem::BlockRegister).collect(),
            DataItem::BlockTouCounters | DataItem::BlockTouRegisters if !meter.gas && rules.block_tou_max > 0 => {
                let bands = 1..=rules.block_tou_max.min(BANDS_MAX);
                (1..=self.blocks_max())
                    .flat_map(|block| bands.clone().map(move |band| DataItem::BlockTouRegister(block, band)))
                    .collect()
            }
            _ => return None,
        };
        let main = meter.main_channel();
        let since_fitting =
            (item == DataItem::BlockTouRegisters).then(|| meter.metering.tally(main, &meter.tariff, self.at));
        let value = |item: DataItem| match (item, &since_fitting) {
            (DataItem::BlockTouRegister(block, band), Some(tally)) => Some(self.shown(tally.block(band, block))),
            (DataItem::BlockTouRegister(block, band), None) => self.block_tou(block, band, false, self.at),
            (other, _) => self.register(other, self.at),
        };
        let row = items.into_iter().filter_map(|item| Some((item, value(item)?)));
        Some(Value::Table(row.collect()))
    }

    /// A register as it stood at `at` and as the meter shows it; `None` when the meter has no such register.
    pub(super) fn register(&self, item: DataItem, at: SimInstant) -> Option<Quantity> {
        let meter = self.meter;
        let main = meter.main_channel();
        let at = refreshed(at, self.values.refresh);
        let channel = match item {
            DataItem::ActiveImport if !meter.gas => Channel::Import,
            DataItem::GasConsumption if meter.gas => Channel::Gas,
            DataItem::SecondaryActiveImport if meter.second_element => Channel::Secondary,
            DataItem::ActiveExport if !meter.gas => Channel::Export,
            DataItem::ReactiveExport if !meter.gas => Channel::ReactiveExport,
            DataItem::ReactiveImport if !meter.gas => Channel::ReactiveImport,
            DataItem::TouRegister(n) => {
                let inside = (1..=self.tou_max()).contains(&n);
                let of_tariff = self.tariff_register(n);
                let counted = || meter.metering.tou_register(main, &meter.tariff, of_tariff, at);
                let shift = || meter.rate_shift(of_tariff, at, self.profile);
                return inside.then(|| self.shown(counted() + shift()));
            }
            DataItem::SecondaryTouRegister(n) if meter.second_element => {
                let amount = meter.metering.second_register(&meter.tariff, n, at);
                return (1..=SECONDARY_TOU_MAX).contains(&n).then(|| self.shown(amount));
            }
            DataItem::BlockTouRegister(block, band) if !meter.gas => return self.block_tou(block, band, true, at),
            DataItem::BlockRegister(n) => {
                return self.block_tou(n, 1, false, at);
            }
            _ => return None,
        };
        let exports = matches!(channel, Channel::Export | Channel::ReactiveExport);
        let amount = if exports && !meter.generation {
            0
        } else {
            meter.metering.register(main, channel, at)
        };
        let shown = self.shown(amount);
        Some(match channel {
            Channel::ReactiveExport | Channel::ReactiveImport => Quantity::new(shown.value, Unit::VarHour),
            _ => shown,
        })
    }

    /// Consumption in block `block` of time band `band`: since the counters began anew, or since fitting.
    ///
    /// Blocks are counted per band (recalled: thresholds form a matrix of bands).
    fn block_tou(&self, block: u8, band: u8, since_fitting: bool, at: SimInstant) -> Option<Quantity> {
        let inside = (1..=self.blocks_max()).contains(&block) && (1..=BANDS_MAX).contains(&band);
        if !inside {
            return None;
        }
        let meter = self.meter;
        let (main, metering) = (meter.main_channel(), &meter.metering);
        let amount = if since_fitting {
            metering.tally(main, &meter.tariff, at).block(band, block)
        } else {
            let counted = metering.counter(main, &meter.tariff, band, at);
            metering.tariff_at(&meter.tariff, at).main.block(band, block, counted)
        };
        Some(self.shown(amount))
    }

    /// An amount of the main channel in the unit and steps in which the meter shows it.
    pub(super) fn shown(&self, amount: i64) -> Quantity {
        let rules = self.values;
        let (amount, unit) = self.in_unit(amount);
        let value = stepped(amount, rules.register_step, rules.rounding);
        Quantity::new(wrapped(value, rules), unit)
    }

    /// An amount of the main channel in the unit of this meter.
    pub(super) fn in_unit(&self, amount: i64) -> (i64, Unit) {
        match (self.meter.gas, self.values.gas_unit) {
            (false, _) => (amount, Unit::WattHour),
            (true, GasUnit::Litre) => (amount, Unit::Litre),
            (true, GasUnit::WattHour) => (amount.saturating_mul(GAS_WH_PER_10_000_LITRES) / 10_000, Unit::WattHour),
        }
    }

    fn tou_max(&self) -> u8 {
        let kind = if self.meter.gas { GAS_TOU_MAX } else { TOU_MAX };
        self.profile.tariff.tou_max.min(kind)
    }

    fn blocks_max(&self) -> u8 {
        self.profile
            .tariff
            .blocks_max
            .min(u8::try_from(BLOCKS_MAX).unwrap_or(u8::MAX))
    }

    /// The tariff's number of what the meter calls its register `n`.
    fn tariff_register(&self, n: u8) -> u8 {
        let order = &self.profile.tariff.register_order;
        let place = order.iter().position(|own| *own == n);
        place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(n)
    }
}

/// `amount` brought to a whole multiple of `step`.
pub(super) fn stepped(amount: i64, step: u32, rounding: Rounding) -> i64 {
    let step = i64::from(step.max(1));
    let rest = amount.rem_euclid(step);
    let down = amount - rest;
    match rounding {
        _ if rest == 0 => amount,
        Rounding::Down => down,
        Rounding::Nearest if rest * 2 < step => down,
        Rounding::Nearest | Rounding::Up => down.saturating_add(step),
    }
}

fn wrapped(value: i64, rules: &ValueRules) -> i64 {
    match rules.register_wrap {
        Some(limit) if limit > 0 => value.rem_euclid(i64::from(limit)),
        _ => value,
    }
}

/// The last whole multiple of `period` not after `at`.
fn refreshed(at: SimInstant, period: SimDuration) -> SimInstant {
    match i64::try_from(period.as_millis()) {
        Ok(period) if period > 0 => SimInstant(at.0 - at.0.rem_euclid(period)),
        _ => at,
    }
}

/// By the usual figures, whatever the tariff charges by: 39.5 MJ per cubic metre times 1.02264, in watt-hours of 3600 J.
const GAS_WH_PER_10_000_LITRES: i64 = (CALORIFIC_VALUE_MILLI * CONVERSION_FACTOR / 36_000).cast_signed();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_wraps() {
        for (amount, rounding, expected) in [
            (1_234, Rounding::Down, 1_230),
            (1_234, Rounding::Nearest, 1_230),
            (1_235, Rounding::Nearest, 1_240),
            (1_231, Rounding::Up, 1_240),
            (1_230, Rounding::Up, 1_230),
        ] {
            assert_eq!(stepped(amount, 10, rounding), expected, "{amount} {rounding:?}");
        }
        assert_eq!(stepped(7, 0, Rounding::Up), 7);
        let rules = ValueRules {
            register_wrap: Some(1_000),
            ..ValueRules::default()
        };
        assert_eq!(wrapped(12_345, &rules), 345);
        assert_eq!(
            refreshed(SimInstant(12_345), SimDuration::from_secs(10)),
            SimInstant(10_000)
        );
    }
}
