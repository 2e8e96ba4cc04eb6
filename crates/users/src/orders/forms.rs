//! Dates, weeks and seasons as requests write them, in the form of either fuel.

use domain::operation::{AnyDate, AnyDay, TariffSeason, TariffWeek};
use duis::Element;

/// Which fuel's form a request is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fuel {
    /// Electricity.
    Electricity,
    /// Gas.
    Gas,
}

impl Fuel {
    /// The fuel of a device, by its kind.
    #[must_use]
    pub fn of(kind: domain::DeviceKind) -> Self {
        if kind.is_gas() { Self::Gas } else { Self::Electricity }
    }
}

/// A minute of the day.
pub(super) fn time(minute: u16) -> String {
    format!("{:02}:{:02}:00.00Z", minute / 60, minute % 60)
}

/// An element with a date, parts of which may be open.
pub(super) fn open_date(fuel: Fuel, name: &'static str, date: &AnyDate) -> Element {
    let (year, month, day, day_of_week, no_day) = match fuel {
        Fuel::Electricity => ("Year", "Month", "DayOfMonth", "DayOfWeek", "NonSpecifiedDayOfMonth"),
        Fuel::Gas => (
            "GasYearWithWildcards",
            "GasMonthWithWildcards",
            "GasDayOfMonthWithWildcards",
            "GasDayOfWeekWithWildcards",
            "GasNonSpecifiedDayOfMonth",
        ),
    };
    let part = |name, specified: &'static str, text: Option<String>, open: &'static str| {
        let choice = match text {
            Some(text) => Element::sr(specified).with_text(text),
            None => Element::sr(open),
        };
        Element::sr(name).with(choice)
    };
    let day_of_month = match date.day {
        Some(AnyDay::Day(number)) => Element::sr("SpecifiedDayOfMonth").with_text(format!("{number:02}")),
        Some(AnyDay::Last) => Element::sr("LastDayOfMonth"),
        Some(AnyDay::SecondLast) => Element::sr("SecondLastDayOfMonth"),
        None => Element::sr(no_day),
    };
    let digits = |number: Option<u8>, width: usize| number.map(|number| format!("{number:0width$}"));
    Element::sr(name)
        .with(part(
            year,
            "SpecifiedYear",
            date.year.map(|year| format!("{year:04}")),
            "NonSpecifiedYear",
        ))
        .with(part(
            month,
            "SpecifiedMonth",
            digits(date.month, 2),
            "NonSpecifiedMonth",
        ))
        .with(Element::sr(day).with(day_of_month))
        .with(part(
            day_of_week,
            "SpecifiedDayOfWeek",
            digits(date.day_of_week, 1),
            "NonSpecifiedDayOfWeek",
        ))
}

/// A date that is not open but for its year.
pub(super) fn plain_date(date: &AnyDate) -> String {
    let day = match date.day {
        Some(AnyDay::Day(day)) => day,
        _ => 1,
    };
    format!(
        "{:04}-{:02}-{day:02}Z",
        date.year.unwrap_or(u16::MAX),
        date.month.unwrap_or(1)
    )
}

pub(super) fn weeks(weeks: &[TariffWeek]) -> Element {
    let week = |week: &TariffWeek| {
        let days = (1..).zip(week.days).map(|(index, day): (u8, u8)| {
            Element::sr("ReferencedDayName")
                .with_attribute("index", index.to_string())
                .with_text(day.to_string())
        });
        Element::sr("WeekProfile")
            .with_leaf("WeekName", week.id.to_string())
            .with_all(days)
    };
    Element::sr("WeekProfiles").with_all(weeks.iter().map(week))
}

/// Only the electricity form has names of seasons.
pub(super) fn seasons(fuel: Fuel, name: &'static str, seasons: &[TariffSeason]) -> Element {
    let season = |season: &TariffSeason| {
        let name = (fuel == Fuel::Electricity).then(|| Element::sr("SeasonName").with_text(season.name.as_str()));
        Element::sr("Season")
            .with_optional(name)
            .with(open_date(fuel, "SeasonStartDate", &season.from))
            .with_leaf("ReferencedWeekName", season.week.to_string())
    };
    Element::sr(name).with_all(seasons.iter().map(season))
}

/// Special days that name a day of the switching table.
pub(super) fn special_days(fuel: Fuel, days: &[(AnyDate, u8)]) -> Element {
    let special = |(date, day): &(AnyDate, u8)| {
        Element::sr("SpecialDay")
            .with(open_date(fuel, "Date", date))
            .with_leaf("ReferencedDayName", day.to_string())
    };
    Element::sr("SpecialDays").with_all(days.iter().map(special))
}
