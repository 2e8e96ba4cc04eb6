//! Pieces that payloads of several requests are made of.

use domain::operation::{Quantity, Unit};
use domain::{DataItem, LogRow, SimInstant};
use duis::Element;

use super::values::Values;
use crate::errors::Failure;
use crate::respond::Report;

pub(super) fn leaves(element: Element, values: &Values, names: &[(DataItem, &'static str)]) -> Element {
    names
        .iter()
        .fold(element, |element, (item, name)| match values.integer(*item) {
            Some(text) => element.with_leaf(name, text),
            None => element,
        })
}

pub(super) fn active(values: &Values, item: DataItem, name: &'static str) -> Option<Element> {
    values.integer(item).map(|text| {
        Element::ra(name)
            .with_leaf("Value", text)
            .with_leaf("ActiveEnergyUnit", "Wh")
    })
}

pub(super) fn reactive(values: &Values, item: DataItem, name: &'static str) -> Option<Element> {
    values.integer(item).map(|text| {
        Element::ra(name)
            .with_leaf("Value", text)
            .with_leaf("ReactiveEnergyUnit", "varh")
    })
}

/// Litres as cubic metres with three decimals.
pub(super) fn cubic_metres(litres: i64) -> String {
    let sign = if litres < 0 { "-" } else { "" };
    let litres = litres.unsigned_abs();
    format!("{sign}{}.{:03}", litres / 1000, litres % 1000)
}

/// A quantity as the schema wants it: gas in cubic metres, everything else as it is.
pub(super) fn number(quantity: Quantity) -> String {
    match quantity.unit {
        Unit::Litre => cubic_metres(quantity.value),
        _ => quantity.value.to_string(),
    }
}

/// A quantity of a matrix with its place in it.
pub(super) fn indexed(name: &'static str, index: u8, quantity: Quantity) -> Element {
    Element::ra(name)
        .with_attribute("index", index.to_string())
        .with_text(number(quantity))
}

/// A minute of the local day as the schema's time, which requests write with a `Z` that means nothing.
pub(super) fn time_of_day(minute: u16) -> String {
    format!("{:02}:{:02}:00Z", minute / 60 % 24, minute % 60)
}

pub(super) fn timestamp(at: SimInstant) -> String {
    at.to_string()
}

/// The newest rows, and a report when there were more.
pub(super) fn newest(rows: &[LogRow], max: usize) -> (&[LogRow], Option<Report>) {
    match rows.len().checked_sub(max).filter(|surplus| *surplus > 0) {
        None => (rows, None),
        Some(surplus) => {
            let text = format!("{} rows, the newest {max} are given", rows.len());
            let report = Report {
                position: 1,
                class: Failure::RowsCut,
                text,
            };
            (rows.get(surplus..).unwrap_or(rows), Some(report))
        }
    }
}
