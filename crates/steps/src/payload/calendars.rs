//! Dates with open parts, weeks and seasons, in the electricity and the gas form.

use domain::operation::{AnyDate, AnyDay, TariffSeason, TariffWeek};
use duis::Element;

/// The parts of a date in the electricity form, to stand in an element of any name.
pub(super) fn date_parts(date: &AnyDate) -> [Element; 4] {
    let part = |name, specified: &'static str, open: &'static str, number: Option<u16>, digits: usize| {
        let choice = match number {
            Some(number) => Element::ra(specified).with_text(format!("{number:0digits$}")),
            None => Element::ra(open),
        };
        Element::ra(name).with(choice)
    };
    let day = Element::ra("DayOfMonth").with(match date.day {
        Some(AnyDay::Day(day)) => Element::ra("SpecifiedDayOfMonth").with_text(format!("{day:02}")),
        Some(AnyDay::Last) => Element::ra("LastDayOfMonth"),
        Some(AnyDay::SecondLast) => Element::ra("SecondLastDayOfMonth"),
        None => Element::ra("NonSpecifiedDayOfMonth"),
    });
    [
        part("Year", "SpecifiedYear", "NonSpecifiedYear", date.year, 4),
        part(
            "Month",
            "SpecifiedMonth",
            "NonSpecifiedMonth",
            date.month.map(u16::from),
            2,
        ),
        day,
        part(
            "DayOfWeek",
            "SpecifiedDayOfWeek",
            "NonSpecifiedDayOfWeek",
            date.day_of_week.map(u16::from),
            1,
        ),
    ]
}

/// A date in the electricity form.
pub(super) fn date(name: &'static str, date: &AnyDate) -> Element {
    Element::ra(name).with_all(date_parts(date))
}

/// A date in the gas form, which has no word for the last days of a month.
pub(super) fn gas_date(name: &'static str, date: &AnyDate) -> Element {
    let part = |name, specified: &'static str, open: &'static str, number: Option<u16>, digits: usize| {
        let choice = match number {
            Some(number) => Element::ra(specified).with_text(format!("{number:0digits$}")),
            None => Element::ra(open),
        };
        Element::ra(name).with(choice)
    };
    let day = match date.day {
        Some(AnyDay::Day(day)) => Some(u16::from(day)),
        Some(AnyDay::Last) => Some(31),
        Some(AnyDay::SecondLast) => Some(30),
        None => None,
    };
    Element::ra(name)
        .with(part(
            "GasYearWithWildcards",
            "SpecifiedYear",
            "NonSpecifiedYear",
            date.year,
            4,
        ))
        .with(part(
            "GasMonthWithWildcards",
            "SpecifiedMonth",
            "NonSpecifiedMonth",
            date.month.map(u16::from),
            2,
        ))
        .with(part(
            "GasDayOfMonthWithWildcards",
            "SpecifiedDayOfMonth",
            "GasNonSpecifiedDayOfMonth",
            day,
            2,
        ))
        .with(part(
            "GasDayOfWeekWithWildcards",
            "SpecifiedDayOfWeek",
            "NonSpecifiedDayOfWeek",
            date.day_of_week.map(u16::from),
            1,
        ))
}

/// Weeks, whose days carry `day` as their name.
pub(super) fn weeks(weeks: &[TariffWeek], max: usize, day: &'static str) -> Element {
    let week = |week: &TariffWeek| {
        let days = (1..).zip(week.days).map(|(place, number): (u8, u8)| {
            Element::ra(day)
                .with_attribute("index", place.to_string())
                .with_text(number.to_string())
        });
        Element::ra("WeekProfile")
            .with_leaf("WeekName", week.id.to_string())
            .with_all(days)
    };
    Element::ra("WeekProfiles").with_all(weeks.iter().take(max).map(week))
}

/// Seasons of the electricity form, with their names.
pub(super) fn seasons(seasons: &[TariffSeason]) -> Element {
    let season = |season: &TariffSeason| {
        Element::ra("Season")
            .with_leaf("SeasonName", season.name.as_str())
            .with(date("SeasonStartDate", &season.from))
            .with_leaf("ReferencedWeekName", season.week.to_string())
    };
    Element::ra("Seasons").with_all(seasons.iter().take(SEASONS_MAX).map(season))
}

/// Seasons of the gas form, which have no names.
pub(super) fn gas_seasons(name: &'static str, seasons: &[TariffSeason]) -> Element {
    let season = |season: &TariffSeason| {
        Element::ra("Season")
            .with(gas_date("SeasonStartDate", &season.from))
            .with_leaf("ReferencedWeekName", season.week.to_string())
    };
    Element::ra(name).with_all(seasons.iter().take(GAS_SEASONS_MAX).map(season))
}

// By the schema.
const SEASONS_MAX: usize = 4;
const GAS_SEASONS_MAX: usize = 3;
