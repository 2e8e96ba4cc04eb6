//! Values of requests as the judge reads them: written apart from the planner's reading.

use domain::operation::{AnyDate, AnyDay, TariffSeason, TariffWeek};
use duis::Element;

use super::NotPermitted;
use super::arguments::part;

type Judged<T> = Result<T, NotPermitted>;

pub(super) fn unreadable(element: &Element) -> NotPermitted {
    NotPermitted::Unreadable(format!("{}: {:?}", element.name, element.text))
}

/// A whole number within the limits of its type.
pub(super) fn whole<T: TryFrom<i128>>(element: &Element) -> Judged<T> {
    let number: i128 = element.text.trim().parse().map_err(|_| unreadable(element))?;
    T::try_from(number).map_err(|_| unreadable(element))
}

pub(super) fn whole_of<T: TryFrom<i128>>(element: &Element, name: &str) -> Judged<T> {
    whole(part(element, name)?)
}

pub(super) fn truth_of(element: &Element, name: &str) -> Judged<bool> {
    let leaf = part(element, name)?;
    let text = leaf.text.trim();
    match (["true", "1"].contains(&text), ["false", "0"].contains(&text)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(unreadable(leaf)),
    }
}

/// Which of two words stands there.
pub(super) fn either(element: &Element, name: &str, yes: &str, no: &str) -> Judged<bool> {
    let leaf = part(element, name)?;
    let text = leaf.text.trim();
    if text == yes {
        return Ok(true);
    }
    if text == no { Ok(false) } else { Err(unreadable(leaf)) }
}

/// The number in the attribute `index`.
pub(super) fn place(element: &Element) -> Judged<u8> {
    let text = element.attribute("index").unwrap_or_default();
    text.trim().parse().map_err(|_| unreadable(element))
}

/// `HH:MM`, whatever follows, in minutes.
pub(super) fn clock_minute(element: &Element) -> Judged<u16> {
    let digits: Vec<u16> = element
        .text
        .trim()
        .chars()
        .take(5)
        .filter_map(|c| c.to_digit(10).and_then(|digit| u16::try_from(digit).ok()))
        .collect();
    match (digits.as_slice(), element.text.trim().as_bytes().get(2)) {
        ([a, b, c, d], Some(b':')) if a * 10 + b < 24 && *c < 6 => Ok((a * 10 + b) * 60 + c * 10 + d),
        _ => Err(unreadable(element)),
    }
}

/// A date without a time, the zone behind it left aside; 65535 is no year.
pub(super) fn civil_date(element: &Element) -> Judged<AnyDate> {
    let digits = |c: &char| c.is_ascii_digit() || *c == '-';
    let written: String = element.text.trim().chars().take_while(digits).collect();
    let numbers: Vec<u16> = written
        .split('-')
        .take(3)
        .filter_map(|part| part.parse().ok())
        .collect();
    let [year, month, day] = numbers.as_slice() else {
        return Err(unreadable(element));
    };
    let small = |number: u16| u8::try_from(number).map_err(|_| unreadable(element));
    Ok(AnyDate {
        year: (*year < u16::MAX).then_some(*year),
        month: Some(small(*month)?),
        day: Some(AnyDay::Day(small(*day)?)),
        day_of_week: None,
    })
}

/// A date some parts of which may be open. The names of its parts are the same in both fuels but for a prefix.
pub(super) fn partly_open(element: &Element) -> Judged<AnyDate> {
    let mut date = AnyDate {
        year: None,
        month: None,
        day: None,
        day_of_week: None,
    };
    if element.children.len() != 4 {
        return Err(unreadable(element));
    }
    for choice in &element.children {
        let [value] = choice.children.as_slice() else {
            return Err(unreadable(choice));
        };
        match value.name {
            "SpecifiedYear" => date.year = Some(whole(value)?),
            "SpecifiedMonth" => date.month = Some(whole(value)?),
            "SpecifiedDayOfMonth" => date.day = Some(AnyDay::Day(whole(value)?)),
            "LastDayOfMonth" => date.day = Some(AnyDay::Last),
            "SecondLastDayOfMonth" => date.day = Some(AnyDay::SecondLast),
            "SpecifiedDayOfWeek" => date.day_of_week = Some(whole(value)?),
            open if open.contains("NonSpecified") => {}
            _ => return Err(unreadable(value)),
        }
    }
    Ok(date)
}

pub(super) fn each<T>(list: &Element, name: &str, judge: impl Fn(&Element) -> Judged<T>) -> Judged<Vec<T>> {
    let mut all = Vec::new();
    for entry in list.children.iter().filter(|entry| entry.name == name) {
        all.push(judge(entry)?);
    }
    Ok(all)
}

pub(super) fn week(element: &Element) -> Judged<TariffWeek> {
    let mut days = [0u8; 7];
    let named = each(element, "ReferencedDayName", |day| Ok((place(day)?, whole::<u8>(day)?)))?;
    for (position, number) in named {
        match days.get_mut(usize::from(position.wrapping_sub(1))) {
            Some(day) if *day == 0 => *day = number,
            _ => return Err(unreadable(element)),
        }
    }
    Ok(TariffWeek {
        id: whole_of(element, "WeekName")?,
        days,
    })
}

pub(super) fn season(element: &Element) -> Judged<TariffSeason> {
    let name = element.children.iter().find(|child| child.name == "SeasonName");
    Ok(TariffSeason {
        name: name.map(|name| name.text.clone()).unwrap_or_default(),
        from: partly_open(part(element, "SeasonStartDate")?)?,
        week: whole_of(element, "ReferencedWeekName")?,
    })
}

pub(super) fn special_day(element: &Element) -> Judged<(AnyDate, u8)> {
    let date = partly_open(part(element, "Date")?)?;
    Ok((date, whole_of(element, "ReferencedDayName")?))
}

/// Pounds with a power of ten as thousandths of a penny, exactly.
pub(super) fn milli_pence(amount: &Element, power: &Element) -> Judged<i64> {
    let (number, power): (i64, i8) = (whole(amount)?, whole(power)?);
    let mut number = i128::from(number);
    for _ in 0..i32::from(power) + 5 {
        number = number.checked_mul(10).ok_or_else(|| unreadable(amount))?;
    }
    for _ in i32::from(power) + 5..0 {
        if number % 10 != 0 {
            return Err(unreadable(amount));
        }
        number /= 10;
    }
    i64::try_from(number).map_err(|_| unreadable(amount))
}
