//! Equivalent Steps of the requests about tariffs and prices.
//!
//! A tariff with its prices is two steps at the meter: what counts when, then what it costs.

use domain::operation::{
    Counter, Currency, Operation, Prices, Setting, SwitchingTable, TariffAction, TariffDay, TariffTables,
};
use duis::{Element, Request};

use super::arguments::child;
use super::draft::DraftStep;
use super::forms::{child_number, index, minute, number, of_fuel, scaled, seasons, special_days, unreadable, weeks};
use super::{Refused, Target};
use crate::errors::Failure;

type Read<T> = Result<T, Refused>;

/// The steps of a request about tariffs; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Read<Option<Vec<DraftStep>>> {
    let body = &request.body;
    let steps = match body.name {
        "UpdateImportTariffPrimaryElement" => vec![
            write(Setting::Tariff(tables(body, target)?)),
            write(Setting::Prices(prices(child(body, "PriceElements")?, target)?)),
        ],
        "UpdatePricePrimaryElement" => {
            vec![write(Setting::Prices(prices(child(body, "PriceElements")?, target)?))]
        }
        "UpdateImportTariffSecondaryElement" => {
            has_second_element(target)?;
            let tables = TariffTables {
                switching: switching(body)?,
                ..TariffTables::default()
            };
            let prices = secondary_prices(child(body, "PriceElements")?)?;
            vec![
                write(Setting::SecondaryTariff(tables)),
                write(Setting::SecondaryPrices(prices)),
            ]
        }
        "UpdatePriceSecondaryElement" => {
            has_second_element(target)?;
            let prices = secondary_prices(child(body, "PriceElements")?)?;
            vec![write(Setting::SecondaryPrices(prices))]
        }
        "ResetTariffBlockCounterMatrix" => {
            vec![DraftStep::new(Operation::ResetCounters(vec![Counter::TariffBlocks]))]
        }
        _ => return Ok(None),
    };
    Ok(Some(steps))
}

fn write(setting: Setting) -> DraftStep {
    DraftStep::new(Operation::Write(Box::new(setting)))
}

fn has_second_element(target: &Target<'_>) -> Read<()> {
    if target.profile.second_element {
        return Ok(());
    }
    let text = format!("{} has no second element", target.profile.id);
    Err(Refused::new(Failure::NotApplicable, text))
}

fn tables(body: &Element, target: &Target<'_>) -> Read<TariffTables> {
    let form = of_fuel(body, target, "ElecTariffElements", "GasTariffElements")?;
    let matrix = child(form, "ThresholdMatrix")?;
    let thresholds = if target.kind.is_gas() {
        vec![thresholds(matrix)?]
    } else {
        by_index(matrix, "Thresholds", thresholds)?
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect()
    };
    Ok(TariffTables {
        currency: form.child("CurrencyUnits").map_or(Ok(Currency::Gbp), currency)?,
        switching: switching(form)?,
        thresholds,
    })
}

fn thresholds(band: &Element) -> Read<Vec<u64>> {
    let all = by_index(band, "BlockThreshold", number)?;
    Ok(all.into_iter().flatten().collect())
}

/// The values of children of this name, each at the place its index says.
fn by_index<T: Clone>(parent: &Element, name: &str, read: impl Fn(&Element) -> Read<T>) -> Read<Vec<Option<T>>> {
    let mut values: Vec<Option<T>> = Vec::new();
    for entry in parent.children_named(name) {
        let place = usize::from(index(entry)?) - 1;
        if values.len() <= place {
            values.resize(place + 1, None);
        }
        if values[place].replace(read(entry)?).is_some() {
            return Err(unreadable(entry, "there twice"));
        }
    }
    Ok(values)
}

fn currency(element: &Element) -> Read<Currency> {
    match element.text.trim() {
        "GBP" => Ok(Currency::Gbp),
        "ECB" => Ok(Currency::Ecb),
        _ => Err(unreadable(element, "no currency")),
    }
}

fn switching(form: &Element) -> Read<SwitchingTable> {
    let table = child(form, "SwitchingTable")?;
    let days = child(table, "DayProfiles")?.children_named("DayProfile").map(day);
    Ok(SwitchingTable {
        days: days.collect::<Read<_>>()?,
        weeks: weeks(child(table, "WeekProfiles")?)?,
        seasons: seasons(child(table, "Seasons")?)?,
        special_days: special_days(child(form, "SpecialDays")?)?,
    })
}

/// A day of the electricity form has a schedule, one of the gas form a single action.
fn day(profile: &Element) -> Read<TariffDay> {
    let mut switches = Vec::new();
    for schedule in profile.children_named("ProfileSchedule") {
        switches.push((minute(child(schedule, "StartTime")?)?, action(schedule)?));
    }
    if switches.is_empty() {
        switches.push((0, action(profile)?));
    }
    Ok(TariffDay {
        id: child_number(profile, "DayName")?,
        switches,
    })
}

fn action(element: &Element) -> Read<TariffAction> {
    if let Some(register) = element.child("TOUTariffAction") {
        return number(register).map(TariffAction::Tou);
    }
    match element.child("BlockTariffAction") {
        Some(band) => number(band).map(TariffAction::Block),
        // Gas has one time band.
        None => child(element, "BlockTariff").map(|_| TariffAction::Block(1)),
    }
}

fn prices(elements: &Element, target: &Target<'_>) -> Read<Prices> {
    let form = of_fuel(elements, target, "ElectricityPriceElements", "GasPriceElements")?;
    if target.kind.is_gas() {
        return gas_prices(form);
    }
    let scale = number(child(form, "PriceScale")?)?;
    let price = |element: &Element| scaled(element, number(element)?, scale);
    let charge = child(form, "StandingCharge")?;
    let kinds = ["BlockTariff", "TOUTariff", "HybridTariff"];
    let tariff = kinds.into_iter().find_map(|name| form.child(name));
    let tariff = tariff.ok_or_else(|| unreadable(form, "without prices"))?;
    let bands = by_index(tariff, "BlockPrices", |band| by_index(band, "BlockPrice", price))?;
    Ok(Prices {
        standing_charge_mp: scaled(charge, number(charge)?, number(child(form, "StandingChargeScale")?)?)?,
        tou_mp: by_index(tariff, "TOUPrice", price)?,
        block_mp: bands.into_iter().map(Option::unwrap_or_default).collect(),
        ..Prices::default()
    })
}

fn gas_prices(form: &Element) -> Read<Prices> {
    let prices = Prices {
        standing_charge_mp: child_number(form, "StandingCharge")?,
        currency: Some(currency(child(form, "CurrencyUnits")?)?),
        ..Prices::default()
    };
    match form.child("BlockTariff") {
        Some(blocks) => Ok(Prices {
            block_mp: vec![by_index(blocks, "BlockPrice", number)?],
            thresholds_used: Some(child_number(blocks, "NumberOfThresholds")?),
            ..prices
        }),
        None => Ok(Prices {
            tou_mp: by_index(child(form, "TOUTariff")?, "TOUPrice", number)?,
            ..prices
        }),
    }
}

fn secondary_prices(elements: &Element) -> Read<Prices> {
    let scale = number(child(elements, "PriceScale")?)?;
    let price = |element: &Element| scaled(element, number(element)?, scale);
    Ok(Prices {
        tou_mp: by_index(elements, "ElectricityPriceElement", price)?,
        ..Prices::default()
    })
}
