//! Times, dates, weeks and money as requests write them, and as the planner reads them.
//!
//! A time of day is taken by its digits, whatever zone is written behind it: published samples write `Z`, while tariffs of
//! SMETS1 meters follow the local clock (Secure, sourced). A price or rate with a scale is a number times ten to that
//! power of pounds (inferred from the samples); without one it is thousandths of a penny.

use domain::operation::{AnyDate, AnyDay, TariffSeason, TariffWeek};
use duis::Element;

use super::arguments::child;
use super::{Refused, Target};
use crate::errors::Failure;

type Read<T> = Result<T, Refused>;

pub(super) fn unreadable(element: &Element, what: &str) -> Refused {
    Refused::new(
        Failure::Schema,
        format!("{}: {:?} is {what}", element.name, element.text),
    )
}

/// The form of the device's own fuel; a request with the other fuel's form does not fit the device.
pub(super) fn of_fuel<'e>(body: &'e Element, target: &Target<'_>, electricity: &str, gas: &str) -> Read<&'e Element> {
    let (own, other) = if target.kind.is_gas() {
        (gas, electricity)
    } else {
        (electricity, gas)
    };
    if body.child(own).is_none() && body.child(other).is_some() {
        let text = format!("{} holds {other}, which is not for a {}", body.name, target.kind);
        return Err(Refused::new(Failure::NotApplicable, text));
    }
    child(body, own)
}

/// A whole number of any kind.
pub(super) fn number<T: std::str::FromStr>(element: &Element) -> Read<T> {
    let text = element.text.trim();
    let plain = text.strip_prefix('+').unwrap_or(text);
    plain
        .parse()
        .map_err(|_| unreadable(element, "not a number this lab can hold"))
}

pub(super) fn child_number<T: std::str::FromStr>(element: &Element, name: &str) -> Read<T> {
    number(child(element, name)?)
}

pub(super) fn flag(element: &Element) -> Read<bool> {
    match element.text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(unreadable(element, "neither true nor false")),
    }
}

pub(super) fn child_flag(element: &Element, name: &str) -> Read<bool> {
    flag(child(element, name)?)
}

/// The attribute `index`, from 1.
pub(super) fn index(element: &Element) -> Read<u8> {
    element
        .attribute("index")
        .and_then(|text| text.trim().parse().ok())
        .filter(|index| *index > 0)
        .ok_or_else(|| Refused::new(Failure::Schema, format!("{} has no index", element.name)))
}

/// Minutes since midnight; seconds are left out.
pub(super) fn minute(element: &Element) -> Read<u16> {
    let wrong = || unreadable(element, "no time of day");
    let mut parts = element.text.trim().split(':');
    let mut next = |limit: u16| {
        let digits = parts.next().filter(|digits| digits.len() == 2)?;
        digits.parse::<u16>().ok().filter(|number| *number < limit)
    };
    let hour = next(24).ok_or_else(wrong)?;
    let minute = next(60).ok_or_else(wrong)?;
    Ok(hour * 60 + minute)
}

/// A plain date, whatever zone stands behind it. The year 65535 leaves the year open (published samples have it).
pub(super) fn date(element: &Element) -> Read<AnyDate> {
    let wrong = || unreadable(element, "no date");
    let mut parts = element.text.trim().splitn(3, '-');
    let mut next = || parts.next().ok_or_else(wrong);
    let year: u16 = next()?.parse().map_err(|_| wrong())?;
    let month = next()?.parse().map_err(|_| wrong())?;
    let day = next()?.get(..2).and_then(|part| part.parse().ok());
    Ok(AnyDate {
        year: Some(year).filter(|year| *year != u16::MAX),
        month: Some(month),
        day: Some(AnyDay::Day(day.ok_or_else(wrong)?)),
        day_of_week: None,
    })
}

/// A date with open parts, in the electricity or the gas form.
pub(super) fn open_date(element: &Element) -> Read<AnyDate> {
    let part = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| element.child(name));
        found
            .and_then(|part| part.children.first())
            .ok_or_else(|| Refused::new(Failure::Schema, format!("{} has no {}", element.name, names[0])))
    };
    let specified = |choice: &Element| match choice.name {
        name if name.starts_with("Specified") => number::<u16>(choice).map(Some),
        _ => Ok(None),
    };
    let small = |choice: &Element| specified(choice).map(|number| number.and_then(|number| u8::try_from(number).ok()));
    let day = part(["DayOfMonth", "GasDayOfMonthWithWildcards"])?;
    Ok(AnyDate {
        year: specified(part(["Year", "GasYearWithWildcards"])?)?,
        month: small(part(["Month", "GasMonthWithWildcards"])?)?,
        day: match day.name {
            "LastDayOfMonth" => Some(AnyDay::Last),
            "SecondLastDayOfMonth" => Some(AnyDay::SecondLast),
            _ => small(day)?.map(AnyDay::Day),
        },
        day_of_week: small(part(["DayOfWeek", "GasDayOfWeekWithWildcards"])?)?,
    })
}

pub(super) fn weeks(profiles: &Element) -> Read<Vec<TariffWeek>> {
    let week = |profile: &Element| {
        let mut days = [0; 7];
        for day in profile.children_named("ReferencedDayName") {
            let place = days.get_mut(usize::from(index(day)?) - 1).filter(|place| **place == 0);
            *place.ok_or_else(|| unreadable(day, "on no day of the week, or on one twice"))? = number(day)?;
        }
        Ok(TariffWeek {
            id: child_number(profile, "WeekName")?,
            days,
        })
    };
    profiles.children_named("WeekProfile").map(week).collect()
}

pub(super) fn seasons(seasons: &Element) -> Read<Vec<TariffSeason>> {
    let season = |season: &Element| {
        Ok(TariffSeason {
            name: season.child_text("SeasonName").unwrap_or_default().to_owned(),
            from: open_date(child(season, "SeasonStartDate")?)?,
            week: child_number(season, "ReferencedWeekName")?,
        })
    };
    seasons.children_named("Season").map(season).collect()
}

/// Special days that name a day of the switching table.
pub(super) fn special_days(days: &Element) -> Read<Vec<(AnyDate, u8)>> {
    let special = |day: &Element| Ok((open_date(child(day, "Date")?)?, child_number(day, "ReferencedDayName")?));
    days.children_named("SpecialDay").map(special).collect()
}

/// `number` times ten to the power of `scale`, of pounds, in thousandths of a penny.
pub(super) fn scaled(element: &Element, number: i64, scale: i8) -> Read<i64> {
    let power = i32::from(scale) + 5;
    let factor = 10i64.checked_pow(power.unsigned_abs());
    let milli_pence = match factor {
        Some(factor) if power >= 0 => number.checked_mul(factor),
        Some(factor) if number % factor == 0 => Some(number / factor),
        // Nothing times anything is nothing.
        None if number == 0 => Some(0),
        _ => None,
    };
    milli_pence.ok_or_else(|| {
        let text = format!(
            "{} {number} times ten to the power of {scale} is no whole number of thousandths of a penny",
            element.name
        );
        Refused::new(Failure::Schema, text)
    })
}
