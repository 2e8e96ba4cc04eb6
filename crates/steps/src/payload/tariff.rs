//! Payloads of 4.11: tariffs as the device has them.
//!
//! Prices of electricity are short numbers times ten to the power of a scale, of pounds (inferred from samples of requests,
//! which have -5); the smallest scale at which all prices fit is taken. Gas states thousandths of a penny.

use domain::DataItem;
use domain::operation::{
    Currency, Prices, Setting, SettingKind, SwitchingTable, TariffAction, TariffDay, TariffTables,
};
use duis::Element;

use super::calendars::{date, gas_date, gas_seasons, seasons, weeks};
use super::parts::{cubic_metres, time_of_day};
use super::values::Values;

// By the schema.
const DAYS_MAX: usize = 16;
const GAS_DAYS_MAX: usize = 4;
const WEEKS_MAX: usize = 4;
const GAS_WEEKS_MAX: usize = 2;
const SPECIAL_DAYS_MAX: usize = 50;
const GAS_SPECIAL_DAYS_MAX: usize = 20;
const SWITCHES_MAX: usize = 48;
const BANDS_MAX: usize = 8;
const BLOCKS_MAX: usize = 4;
const THRESHOLDS_MAX: usize = 3;
const TOU_MAX: usize = 48;
const GAS_TOU_MAX: usize = 4;
const SECOND_TOU_MAX: usize = 4;
/// Largest price of the electricity form.
const SHORT_MAX: i64 = 32_767;
/// Scale at which a price is a thousandth of a penny.
const MILLI_PENCE_SCALE: i8 = -5;

/// Fills a payload of this group; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, gas: bool, values: &Values) -> Result<Element, Element> {
    let tables = |kind| match values.setting(kind) {
        Some(Setting::Tariff(tables) | Setting::SecondaryTariff(tables)) => Some(tables),
        _ => None,
    };
    let prices = |kind| match values.setting(kind) {
        Some(Setting::Prices(prices) | Setting::SecondaryPrices(prices)) => Some(prices),
        _ => None,
    };
    let now = |item| values.quantity(item).map(|quantity| quantity.value);
    Ok(match rsp.name {
        "ReadTariffPrimaryElementRsp" => {
            let (tables, prices) = (tables(SettingKind::Tariff), prices(SettingKind::Prices));
            let now = now(DataItem::ActiveTariffPrice);
            rsp.with(if gas {
                gas_tariff(now, tables, prices)
            } else {
                electricity_tariff(now, tables, prices)
            })
        }
        "ReadTariffSecondaryElementRsp" => second_tariff(
            rsp,
            now(DataItem::SecondaryTariffPrice),
            tables(SettingKind::SecondaryTariff),
            prices(SettingKind::SecondaryPrices),
        ),
        _ => return Err(rsp),
    })
}

fn electricity_tariff(now: Option<i64>, tables: Option<&TariffTables>, prices: Option<&Prices>) -> Element {
    let scale = Scale::for_all(prices.into_iter().flat_map(all_prices).chain(now));
    let standing = Scale::for_all(prices.map(|prices| prices.standing_charge_mp));
    let currency = tables.map(|tables| tables.currency);
    let mut tariff = Element::ra("Electricity")
        .with_optional(now.map(|price| Element::ra("PrimaryActiveTariffPrice").with_text(scale.unsigned(price))))
        .with_optional(currency.map(|currency| Element::ra("CurrencyUnitsLabel").with_text(label(currency))))
        .with_optional(currency.map(|currency| {
            let name = match currency {
                Currency::Ecb => "Millicent",
                Currency::Gbp => "Millipence",
            };
            Element::ra("CurrencyUnitsName").with_text(name)
        }));
    if let Some(prices) = prices {
        tariff = tariff
            .with_leaf("StandingCharge", standing.signed(prices.standing_charge_mp))
            .with_leaf("StandingChargeScale", standing.power.to_string())
            .with_leaf("PriceScale", scale.power.to_string())
            .with(block_prices(prices, scale))
            .with(tou_prices("TariffTOUPriceMatrix", prices, TOU_MAX, |price| {
                scale.signed(price)
            }));
    }
    match tables {
        Some(tables) => tariff
            .with(switching(&tables.switching, true))
            .with(special_days(&tables.switching))
            .with(thresholds(&tables.thresholds)),
        None => tariff,
    }
}

fn second_tariff(rsp: Element, now: Option<i64>, tables: Option<&TariffTables>, prices: Option<&Prices>) -> Element {
    let scale = Scale::for_all(prices.into_iter().flat_map(all_prices).chain(now));
    let mut rsp = rsp
        .with_optional(now.map(|price| Element::ra("SecondaryActiveTariffPrice").with_text(scale.unsigned(price))))
        .with_leaf("PriceScale", scale.power.to_string());
    if let Some(prices) = prices {
        rsp = rsp.with(tou_prices("TariffTOUPriceMatrix", prices, SECOND_TOU_MAX, |price| {
            scale.signed(price)
        }));
    }
    match tables {
        Some(tables) => rsp
            .with(switching(&tables.switching, false))
            .with(special_days(&tables.switching)),
        None => rsp,
    }
}

fn gas_tariff(now: Option<i64>, tables: Option<&TariffTables>, prices: Option<&Prices>) -> Element {
    let plain = |price: i64| price.max(0).to_string();
    let leaf = |name: &'static str, text: Option<String>| text.map(|text| Element::ra(name).with_text(text));
    let currency = prices
        .and_then(|prices| prices.currency)
        .or(tables.map(|tables| tables.currency));
    let currency = currency.map(|currency| label(currency).to_owned());
    let standing = prices.map(|prices| plain(prices.standing_charge_mp));
    let scale = now.map(|_| MILLI_PENCE_SCALE.to_string());
    let mut tariff = Element::ra("Gas")
        .with_optional(leaf("PrimaryActiveTariffPrice", now.map(plain)))
        .with_optional(leaf("PrimaryActiveTariffPriceScale", scale))
        .with_optional(leaf("CurrencyUnitsLabel", currency))
        .with_optional(leaf("StandingCharge", standing));
    if let Some(tables) = tables {
        let table = &tables.switching;
        let special = table.special_days.iter().take(GAS_SPECIAL_DAYS_MAX).map(|(on, day)| {
            Element::ra("SpecialDay")
                .with(gas_date("Date", on))
                .with_leaf("ReferencedDay", day.to_string())
        });
        let edges = tables.thresholds.first().into_iter().flatten();
        let edges = (1..)
            .zip(edges.take(THRESHOLDS_MAX))
            .map(|(place, litres): (u8, &u64)| {
                Element::ra("BlockThreshold")
                    .with_attribute("index", place.to_string())
                    .with_text(cubic_metres(i64::try_from(*litres).unwrap_or(i64::MAX)))
            });
        let days = table.days.iter().take(GAS_DAYS_MAX).map(gas_day);
        tariff = tariff
            .with(
                Element::ra("TariffSwitchingTable")
                    .with(Element::ra("DayProfiles").with_all(days))
                    .with(weeks(&table.weeks, GAS_WEEKS_MAX, "ReferencedDay"))
                    .with(gas_seasons("Seasons", &table.seasons)),
            )
            .with(Element::ra("TariffSwitchingTableSpecialDays").with_all(special))
            .with(Element::ra("TariffThresholds").with_all(edges));
    }
    match prices {
        Some(prices) => tariff
            .with(tou_prices("TOUTariff", prices, GAS_TOU_MAX, plain))
            .with(Element::ra("BlockTariff").with_all(blocks(prices.block_mp.first(), plain))),
        None => tariff,
    }
}

fn label(currency: Currency) -> &'static str {
    match currency {
        Currency::Ecb => "ECB",
        Currency::Gbp => "GBP",
    }
}

fn all_prices(prices: &Prices) -> impl Iterator<Item = i64> + '_ {
    prices
        .tou_mp
        .iter()
        .chain(prices.block_mp.iter().flatten())
        .filter_map(|price| *price)
}

fn tou_prices(name: &'static str, prices: &Prices, max: usize, text: impl Fn(i64) -> String) -> Element {
    let prices = (1..).zip(prices.tou_mp.iter().take(max));
    let price = |(place, price): (u8, &Option<i64>)| {
        price.map(|price| {
            Element::ra("TariffTOUPrice")
                .with_attribute("index", place.to_string())
                .with_text(text(price))
        })
    };
    Element::ra(name).with_all(prices.filter_map(price))
}

fn blocks(band: Option<&Vec<Option<i64>>>, text: impl Fn(i64) -> String) -> Vec<Element> {
    let prices = (1..).zip(band.into_iter().flatten().take(BLOCKS_MAX));
    let price = |(place, price): (u8, &Option<i64>)| {
        price.map(|price| {
            Element::ra("BlockPrice")
                .with_attribute("index", place.to_string())
                .with_text(text(price))
        })
    };
    prices.filter_map(price).collect()
}

fn block_prices(prices: &Prices, scale: Scale) -> Element {
    let bands = (1..).zip(prices.block_mp.iter().take(BANDS_MAX));
    Element::ra("TariffBlockPriceMatrix").with_all(bands.map(|(place, band): (u8, _)| {
        Element::ra("TariffBlockPrices")
            .with_attribute("index", place.to_string())
            .with_all(blocks(Some(band), |price| scale.signed(price)))
    }))
}

fn switching(table: &SwitchingTable, with_blocks: bool) -> Element {
    let day = |day: &TariffDay| {
        let switch = |(minute, action): &(u16, TariffAction)| {
            let action = match action {
                TariffAction::Tou(register) => ("TOUTariffAction", register),
                TariffAction::Block(band) if with_blocks => ("BlockTariffAction", band),
                TariffAction::Block(_) => return None,
            };
            Some(
                Element::ra("ProfileSchedule")
                    .with_leaf("StartTime", time_of_day(*minute))
                    .with_leaf(action.0, action.1.to_string()),
            )
        };
        Element::ra("DayProfile")
            .with_leaf("Day", day.id.to_string())
            .with_all(day.switches.iter().take(SWITCHES_MAX).filter_map(switch))
    };
    let days = table.days.iter().take(DAYS_MAX).map(day);
    Element::ra("TariffSwitchingTable")
        .with(Element::ra("DayProfiles").with_all(days))
        .with(weeks(&table.weeks, WEEKS_MAX, "ReferencedElecDay"))
        .with(seasons(&table.seasons))
}

fn special_days(table: &SwitchingTable) -> Element {
    let days = table.special_days.iter().take(SPECIAL_DAYS_MAX).map(|(on, day)| {
        Element::ra("SpecialDay")
            .with(date("Date", on))
            .with_leaf("ReferencedDay", day.to_string())
    });
    Element::ra("TariffSwitchingTableSpecialDays").with_all(days)
}

/// A gas day has one action for all of it.
fn gas_day(day: &TariffDay) -> Element {
    let action = match day.switches.first() {
        Some((_, TariffAction::Tou(register))) => Some(Element::ra("TOUTariffAction").with_text(register.to_string())),
        Some((_, TariffAction::Block(_))) => Some(Element::ra("BlockTariff")),
        None => None,
    };
    Element::ra("DayProfile")
        .with_leaf("DayName", day.id.to_string())
        .with_optional(action)
}

fn thresholds(bands: &[Vec<u64>]) -> Element {
    let band = |(place, band): (u8, &Vec<u64>)| {
        let edge = |(place, edge): (u8, &u64)| {
            Element::ra("BlockThreshold")
                .with_attribute("index", place.to_string())
                .with_text(u32::try_from(*edge).unwrap_or(u32::MAX).to_string())
        };
        Element::ra("ElecTariffThresholds")
            .with_attribute("index", place.to_string())
            .with_all((1..).zip(band.iter().take(THRESHOLDS_MAX)).map(edge))
    };
    Element::ra("TariffThresholdMatrix").with_all((1..).zip(bands.iter().take(BANDS_MAX)).map(band))
}

/// A power of ten that goes with prices.
#[derive(Clone, Copy, Debug)]
struct Scale {
    power: i8,
    divisor: i64,
}

impl Scale {
    /// The smallest at which all of these fit.
    fn for_all(prices: impl IntoIterator<Item = i64>) -> Self {
        let most = prices.into_iter().map(i64::abs).max().unwrap_or(0);
        let mut scale = Self {
            power: MILLI_PENCE_SCALE,
            divisor: 1,
        };
        while most / scale.divisor > SHORT_MAX {
            scale.power += 1;
            scale.divisor *= 10;
        }
        scale
    }

    fn of(self, milli_pence: i64) -> i64 {
        let half = self.divisor / 2;
        let towards = if milli_pence < 0 { -half } else { half };
        (milli_pence.saturating_add(towards) / self.divisor).clamp(-SHORT_MAX, SHORT_MAX)
    }

    fn signed(self, milli_pence: i64) -> String {
        self.of(milli_pence).to_string()
    }

    fn unsigned(self, milli_pence: i64) -> String {
        self.of(milli_pence).max(0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_fit_a_short_number() {
        let scale = Scale::for_all([16_000, -5]);
        assert_eq!(
            (scale.power, scale.signed(16_000), scale.signed(-5)),
            (-5, "16000".into(), "-5".into())
        );
        let scale = Scale::for_all([412_346, 99]);
        assert_eq!(
            (scale.power, scale.signed(412_346), scale.signed(99)),
            (-3, "4123".into(), "1".into())
        );
        assert_eq!(Scale::for_all([i64::MAX]).of(i64::MAX).to_string().len(), 4);
    }
}
