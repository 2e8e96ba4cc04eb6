//! What the requests about tariffs and prices permit.

use domain::Operation;
use domain::operation::{
    Counter, Currency, Prices, Setting, SettingKind, SwitchingTable, TariffAction, TariffDay, TariffTables,
};
use duis::Element;

use super::arguments::part;
use super::forms::{clock_minute, each, milli_pence, place, season, special_day, unreadable, week, whole, whole_of};
use super::{Case, NotPermitted, same};

type Judged<T> = Result<T, NotPermitted>;

/// Judges an operation of a request about tariffs; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    use SettingKind as K;
    let permitted = match operation {
        Operation::ResetCounters(_) if case.service == "1.7" => {
            Ok(Operation::ResetCounters(vec![Counter::TariffBlocks]))
        }
        Operation::Write(setting) => match (case.service, setting.kind()) {
            ("1.1.1", K::Tariff) => main_tables(case).map(Setting::Tariff),
            ("1.1.1" | "1.2.1", K::Prices) => main_prices(case).map(Setting::Prices),
            ("1.1.2", K::SecondaryTariff) => second_tables(case).map(Setting::SecondaryTariff),
            ("1.1.2" | "1.2.2", K::SecondaryPrices) => second_prices(case).map(Setting::SecondaryPrices),
            _ => return None,
        }
        .map(|setting| Operation::Write(Box::new(setting))),
        _ => return None,
    };
    Some(permitted.and_then(|permitted| same(&permitted, operation)))
}

fn main_tables(case: &Case<'_>) -> Judged<TariffTables> {
    if case.kind.is_gas() {
        let form = part(case.body, "GasTariffElements")?;
        let matrix = part(form, "ThresholdMatrix")?;
        return Ok(TariffTables {
            currency: Currency::Gbp,
            switching: table(form)?,
            thresholds: vec![edges(matrix)?],
        });
    }
    let form = part(case.body, "ElecTariffElements")?;
    let mut bands: Vec<(u8, Vec<u64>)> = each(part(form, "ThresholdMatrix")?, "Thresholds", |band| {
        Ok((place(band)?, edges(band)?))
    })?;
    bands.sort();
    Ok(TariffTables {
        currency: money(part(form, "CurrencyUnits")?)?,
        switching: table(form)?,
        thresholds: in_places(bands, Vec::new(), form)?,
    })
}

fn second_tables(case: &Case<'_>) -> Judged<TariffTables> {
    Ok(TariffTables {
        switching: table(case.body)?,
        ..TariffTables::default()
    })
}

/// Values in the places their numbers (from 1) say, `empty` where there is none.
fn in_places<T: Clone>(numbered: Vec<(u8, T)>, empty: T, of: &Element) -> Judged<Vec<T>> {
    let mut list = Vec::new();
    for (number, value) in numbered {
        let before = usize::from(number.checked_sub(1).ok_or_else(|| unreadable(of))?);
        if before < list.len() {
            return Err(unreadable(of));
        }
        list.resize(before, empty.clone());
        list.push(value);
    }
    Ok(list)
}

fn edges(band: &Element) -> Judged<Vec<u64>> {
    let mut edges: Vec<(u8, u64)> = each(band, "BlockThreshold", |edge| Ok((place(edge)?, whole(edge)?)))?;
    edges.sort_unstable();
    if edges.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(unreadable(band));
    }
    Ok(edges.into_iter().map(|(_, edge)| edge).collect())
}

fn money(element: &Element) -> Judged<Currency> {
    match element.text.trim() {
        "ECB" => Ok(Currency::Ecb),
        "GBP" => Ok(Currency::Gbp),
        _ => Err(unreadable(element)),
    }
}

fn table(form: &Element) -> Judged<SwitchingTable> {
    let switching = part(form, "SwitchingTable")?;
    Ok(SwitchingTable {
        days: each(part(switching, "DayProfiles")?, "DayProfile", |day| {
            let mut switches = each(day, "ProfileSchedule", |switch| {
                Ok((clock_minute(part(switch, "StartTime")?)?, counts(switch)?))
            })?;
            if switches.is_empty() {
                switches = vec![(0, counts(day)?)];
            }
            Ok(TariffDay {
                id: whole_of(day, "DayName")?,
                switches,
            })
        })?,
        weeks: each(part(switching, "WeekProfiles")?, "WeekProfile", week)?,
        seasons: each(part(switching, "Seasons")?, "Season", season)?,
        special_days: each(part(form, "SpecialDays")?, "SpecialDay", special_day)?,
    })
}

fn counts(element: &Element) -> Judged<TariffAction> {
    let named: Vec<&Element> = element
        .children
        .iter()
        .filter(|child| ["TOUTariffAction", "BlockTariffAction", "BlockTariff"].contains(&child.name))
        .collect();
    match named.as_slice() {
        [one] if one.name == "TOUTariffAction" => whole(one).map(TariffAction::Tou),
        [one] if one.name == "BlockTariffAction" => whole(one).map(TariffAction::Block),
        [_] => Ok(TariffAction::Block(1)),
        _ => Err(unreadable(element)),
    }
}

fn main_prices(case: &Case<'_>) -> Judged<Prices> {
    let elements = part(case.body, "PriceElements")?;
    if case.kind.is_gas() {
        return gas(part(elements, "GasPriceElements")?);
    }
    let form = part(elements, "ElectricityPriceElements")?;
    let scale = part(form, "PriceScale")?;
    let known = ["BlockTariff", "TOUTariff", "HybridTariff"];
    let tariffs: Vec<&Element> = form
        .children
        .iter()
        .filter(|child| known.contains(&child.name))
        .collect();
    let [tariff] = tariffs.as_slice() else {
        return Err(unreadable(form));
    };
    let mut bands: Vec<(u8, Vec<Option<i64>>)> = each(tariff, "BlockPrices", |band| {
        Ok((
            place(band)?,
            priced(band, "BlockPrice", |price| milli_pence(price, scale))?,
        ))
    })?;
    bands.sort();
    let charge_scale = part(form, "StandingChargeScale")?;
    Ok(Prices {
        standing_charge_mp: milli_pence(part(form, "StandingCharge")?, charge_scale)?,
        tou_mp: priced(tariff, "TOUPrice", |price| milli_pence(price, scale))?,
        block_mp: in_places(bands, Vec::new(), tariff)?,
        thresholds_used: None,
        currency: None,
    })
}

fn priced(list: &Element, name: &str, price: impl Fn(&Element) -> Judged<i64>) -> Judged<Vec<Option<i64>>> {
    let mut all: Vec<(u8, Option<i64>)> = each(list, name, |entry| Ok((place(entry)?, Some(price(entry)?))))?;
    all.sort_unstable();
    in_places(all, None, list)
}

fn gas(form: &Element) -> Judged<Prices> {
    let blocks = form.children.iter().any(|child| child.name == "BlockTariff");
    let list = part(form, if blocks { "BlockTariff" } else { "TOUTariff" })?;
    let prices = priced(list, if blocks { "BlockPrice" } else { "TOUPrice" }, whole)?;
    Ok(Prices {
        standing_charge_mp: whole_of(form, "StandingCharge")?,
        tou_mp: if blocks { Vec::new() } else { prices.clone() },
        block_mp: if blocks { vec![prices] } else { Vec::new() },
        thresholds_used: if blocks {
            Some(whole_of(list, "NumberOfThresholds")?)
        } else {
            None
        },
        currency: Some(money(part(form, "CurrencyUnits")?)?),
    })
}

fn second_prices(case: &Case<'_>) -> Judged<Prices> {
    let elements = part(case.body, "PriceElements")?;
    let scale = part(elements, "PriceScale")?;
    Ok(Prices {
        tou_mp: priced(elements, "ElectricityPriceElement", |price| milli_pence(price, scale))?,
        ..Prices::default()
    })
}
