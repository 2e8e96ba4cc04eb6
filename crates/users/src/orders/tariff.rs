//! Requests about tariffs and prices.

use domain::operation::{Currency, Prices, SwitchingTable, TariffAction, TariffDay, TariffTables};
use domain::{Eui64, Srv};
use duis::Element;

use super::forms::{Fuel, seasons, special_days, time, weeks};
use crate::Order;

/// 1.1.1 Update Import Tariff (Primary Element).
#[must_use]
pub fn update_import_tariff(device: Eui64, fuel: Fuel, tables: &TariffTables, prices: &Prices) -> Order {
    let form = match fuel {
        Fuel::Electricity => Element::sr("ElecTariffElements")
            .with_leaf("CurrencyUnits", currency(tables.currency))
            .with(switching(fuel, &tables.switching))
            .with(special_days(fuel, &tables.switching.special_days))
            .with(threshold_matrix(&tables.thresholds)),
        Fuel::Gas => Element::sr("GasTariffElements")
            .with(switching(fuel, &tables.switching))
            .with(special_days(fuel, &tables.switching.special_days))
            .with(thresholds(
                "ThresholdMatrix",
                tables.thresholds.first().map_or(&[][..], Vec::as_slice),
            )),
    };
    let body = Element::sr("UpdateImportTariffPrimaryElement")
        .with(form)
        .with(price_elements(fuel, prices));
    Order::to_device(device, Srv::new(1, 1, 1), body)
}

/// 1.1.2 Update Import Tariff (Secondary Element).
#[must_use]
pub fn update_secondary_tariff(device: Eui64, table: &SwitchingTable, prices: &Prices) -> Order {
    let fuel = Fuel::Electricity;
    let body = Element::sr("UpdateImportTariffSecondaryElement")
        .with(switching(fuel, table))
        .with(special_days(fuel, &table.special_days))
        .with(secondary_prices(prices));
    Order::to_device(device, Srv::new(1, 1, 2), body)
}

/// 1.2.1 Update Price (Primary Element). Electricity prices go in thousandths of a penny, at most 32.767 pence.
#[must_use]
pub fn update_price(device: Eui64, fuel: Fuel, prices: &Prices) -> Order {
    let body = Element::sr("UpdatePricePrimaryElement").with(price_elements(fuel, prices));
    Order::to_device(device, Srv::new(1, 2, 1), body)
}

/// 1.2.2 Update Price (Secondary Element).
#[must_use]
pub fn update_secondary_price(device: Eui64, prices: &Prices) -> Order {
    let body = Element::sr("UpdatePriceSecondaryElement").with(secondary_prices(prices));
    Order::to_device(device, Srv::new(1, 2, 2), body)
}

/// 1.7 Reset Tariff Block Counter Matrix.
#[must_use]
pub fn reset_tariff_blocks(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(1, 7, 0), Element::sr("ResetTariffBlockCounterMatrix"))
}

fn currency(currency: Currency) -> &'static str {
    match currency {
        Currency::Ecb => "ECB",
        Currency::Gbp => "GBP",
    }
}

fn switching(fuel: Fuel, table: &SwitchingTable) -> Element {
    let day = |day: &TariffDay| {
        let profile = Element::sr("DayProfile").with_leaf("DayName", day.id.to_string());
        if fuel == Fuel::Gas {
            // One action for the whole day.
            return profile.with_optional(day.switches.first().map(|(_, action)| self::action(fuel, *action)));
        }
        profile.with_all(day.switches.iter().map(|(minute, action)| {
            Element::sr("ProfileSchedule")
                .with_leaf("StartTime", time(*minute))
                .with(self::action(fuel, *action))
        }))
    };
    Element::sr("SwitchingTable")
        .with(Element::sr("DayProfiles").with_all(table.days.iter().map(day)))
        .with(weeks(&table.weeks))
        .with(seasons(fuel, "Seasons", &table.seasons))
}

fn action(fuel: Fuel, action: TariffAction) -> Element {
    match (action, fuel) {
        (TariffAction::Tou(register), _) => Element::sr("TOUTariffAction").with_text(register.to_string()),
        (TariffAction::Block(band), Fuel::Electricity) => Element::sr("BlockTariffAction").with_text(band.to_string()),
        (TariffAction::Block(_), Fuel::Gas) => Element::sr("BlockTariff"),
    }
}

fn numbered(name: &'static str, number: usize, text: String) -> Element {
    Element::sr(name)
        .with_attribute("index", number.to_string())
        .with_text(text)
}

fn thresholds(name: &'static str, edges: &[u64]) -> Element {
    let edges = (1..)
        .zip(edges)
        .map(|(n, edge)| numbered("BlockThreshold", n, edge.to_string()));
    Element::sr(name).with_all(edges)
}

/// The form has eight bands with a threshold at least: where there is none, one that is never reached.
fn threshold_matrix(bands: &[Vec<u64>]) -> Element {
    let none = [u64::from(u32::MAX)];
    let band = |n: usize| {
        let edges = bands.get(n - 1).map_or(&[][..], Vec::as_slice);
        let edges = if edges.is_empty() { &none } else { edges };
        thresholds("Thresholds", edges).with_attribute("index", n.to_string())
    };
    Element::sr("ThresholdMatrix").with_all((1..=8).map(band))
}

fn priced(name: &'static str, prices: &[Option<i64>]) -> impl Iterator<Item = Element> {
    let given = (1..).zip(prices).filter_map(|(n, price)| Some((n, (*price)?)));
    given.map(move |(n, price): (usize, i64)| numbered(name, n, price.to_string()))
}

fn price_elements(fuel: Fuel, prices: &Prices) -> Element {
    let form = match fuel {
        Fuel::Electricity => {
            let bands = (1..).zip(&prices.block_mp).map(|(n, band): (usize, _)| {
                Element::sr("BlockPrices")
                    .with_attribute("index", n.to_string())
                    .with_all(priced("BlockPrice", band))
            });
            let name = match (prices.block_mp.is_empty(), prices.tou_mp.is_empty()) {
                (true, _) => "TOUTariff",
                (false, true) => "BlockTariff",
                (false, false) => "HybridTariff",
            };
            Element::sr("ElectricityPriceElements")
                .with_leaf("StandingCharge", prices.standing_charge_mp.to_string())
                .with_leaf("StandingChargeScale", "-5")
                .with_leaf("PriceScale", "-5")
                .with(
                    Element::sr(name)
                        .with_all(bands)
                        .with_all(priced("TOUPrice", &prices.tou_mp)),
                )
        }
        Fuel::Gas => {
            let tariff = match prices.block_mp.first() {
                Some(blocks) => {
                    let used = prices.thresholds_used.unwrap_or(1);
                    Element::sr("BlockTariff")
                        .with_all(priced("BlockPrice", blocks))
                        .with_leaf("NumberOfThresholds", used.to_string())
                }
                None => Element::sr("TOUTariff").with_all(priced("TOUPrice", &prices.tou_mp)),
            };
            Element::sr("GasPriceElements")
                .with_leaf("CurrencyUnits", currency(prices.currency.unwrap_or_default()))
                .with_leaf("StandingCharge", prices.standing_charge_mp.to_string())
                .with(tariff)
        }
    };
    Element::sr("PriceElements").with(form)
}

fn secondary_prices(prices: &Prices) -> Element {
    Element::sr("PriceElements")
        .with_leaf("PriceScale", "-5")
        .with_all(priced("ElectricityPriceElement", &prices.tou_mp))
}
