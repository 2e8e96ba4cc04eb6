//! Calendars as a supplier writes them: dates with open parts, seasons, weeks, special days, and what they say of a day.
//!
//! The season in force is the one that began last; before any has begun, the first of the list. On a special day only
//! what is said of that day counts (recalled from the COSEM classes these forms come from).

use domain::operation::{AnyDate, AnyDay, NonDisablementCalendar, NonDisablementRule, TariffSeason, TariffWeek};
use domain::{SimDuration, SimInstant};

use crate::calendar::{DAY_MS, LocalDay, offset_ms};

/// Days looked back for the last switch of a calendar. A state older than that is taken as ended.
const LOOK_BACK_DAYS: i64 = 32;
/// Days looked back for a date that says too little to be calculated.
const SCAN_DAYS: i64 = 400;

/// 1 (Monday) to 7.
pub(crate) fn weekday(day: LocalDay) -> u8 {
    // 1970-01-01 was a Thursday.
    u8::try_from((day.0 + 3).rem_euclid(7)).unwrap_or(0) + 1
}

/// Minutes of the local clock since midnight.
pub(crate) fn minute_of_day(at: SimInstant) -> u16 {
    let minutes = (at.0 + offset_ms(at)).rem_euclid(DAY_MS) / 60_000;
    u16::try_from(minutes).unwrap_or(0)
}

/// The instant of a minute of a local day. A minute that the clocks leave out is the first one after the gap; one that
/// comes twice is the first of the two.
pub(crate) fn instant_of(day: LocalDay, minute: u16) -> SimInstant {
    let midnight = day.midnight();
    let plain = midnight + SimDuration::from_mins(u64::from(minute));
    // Across a change the local clock is an hour off what was counted from midnight.
    let shift = offset_ms(midnight) - offset_ms(plain);
    let shifted = SimInstant(plain.0 + shift);
    if shift > 0 || minute_of_day(shifted) == minute {
        shifted
    } else {
        plain
    }
}

/// Whether a date with open parts is this day.
pub(crate) fn is_on(date: &AnyDate, day: LocalDay) -> bool {
    let civil = day.date();
    if date.year.is_some_and(|year| i64::from(year) != civil.year)
        || date.month.is_some_and(|month| i64::from(month) != civil.month)
    {
        return false;
    }
    match (date.day, date.day_of_week) {
        (None, None) => true,
        (None, Some(weekday_wanted)) => weekday(day) == weekday_wanted,
        (Some(wanted), weekday_wanted) => in_month(civil.year, civil.month, wanted, weekday_wanted) == day,
    }
}

/// The latest day not after `day` that the date names.
fn latest(date: &AnyDate, day: LocalDay) -> Option<LocalDay> {
    if let (Some(month), Some(wanted)) = (date.month, date.day) {
        let this = day.date().year;
        let years = match date.year {
            Some(year) => [i64::from(year), i64::from(year)],
            None => [this, this - 1],
        };
        return years
            .into_iter()
            .map(|year| in_month(year, i64::from(month), wanted, date.day_of_week))
            .find(|found| *found <= day);
    }
    (0..SCAN_DAYS)
        .map(|back| LocalDay(day.0 - back))
        .find(|earlier| is_on(date, *earlier))
}

/// A day of a month; with a day of the week the first such day from there on, or the last ones of the month.
fn in_month(year: i64, month: i64, wanted: AnyDay, weekday_wanted: Option<u8>) -> LocalDay {
    let first = LocalDay::from_date(year, month, 1);
    let next = if month == 12 {
        LocalDay::from_date(year + 1, 1, 1)
    } else {
        LocalDay::from_date(year, month + 1, 1)
    };
    let last = next.previous();
    let back_to = |day: LocalDay, weekday_wanted: u8| {
        LocalDay(day.0 - i64::from((weekday(day) + 7 - weekday_wanted.clamp(1, 7)) % 7))
    };
    match (wanted, weekday_wanted) {
        (AnyDay::Day(n), None) => LocalDay(first.0 + i64::from(n) - 1),
        (AnyDay::Day(n), Some(weekday_wanted)) => back_to(LocalDay(first.0 + i64::from(n) + 5), weekday_wanted),
        (AnyDay::Last, None) => last,
        (AnyDay::Last, Some(weekday_wanted)) => back_to(last, weekday_wanted),
        (AnyDay::SecondLast, None) => last.previous(),
        (AnyDay::SecondLast, Some(weekday_wanted)) => LocalDay(back_to(last, weekday_wanted).0 - 7),
    }
}

/// The number of the day profile that seasons, weeks and special days give to a day.
pub(crate) fn day_number(
    seasons: &[TariffSeason],
    weeks: &[TariffWeek],
    special_days: &[(AnyDate, u8)],
    day: LocalDay,
) -> Option<u8> {
    if let Some((_, number)) = special_days.iter().find(|(date, _)| is_on(date, day)) {
        return Some(*number);
    }
    let begun = seasons
        .iter()
        .filter_map(|season| latest(&season.from, day).map(|from| (from, season)))
        .max_by_key(|(from, _)| *from);
    let season = begun.map(|(_, season)| season).or(seasons.first())?;
    let week = weeks.iter().find(|week| week.id == season.week)?;
    week.days.get(usize::from(weekday(day)) - 1).copied()
}

/// A calendar in which nothing was written protects nobody.
pub(crate) fn is_empty(calendar: &NonDisablementCalendar) -> bool {
    calendar.rules.is_empty() && calendar.days.is_empty()
}

/// Whether supply must not be cut for lack of credit at `at`.
pub(crate) fn protects(calendar: &NonDisablementCalendar, at: SimInstant) -> bool {
    if is_empty(calendar) {
        return false;
    }
    let today = LocalDay::of(at);
    let now = minute_of_day(at);
    for back in 0..LOOK_BACK_DAYS {
        let day = LocalDay(today.0 - back);
        let mut last: Option<(u16, bool)> = None;
        each_switch(calendar, day, |minute, on| {
            let passed = back > 0 || minute <= now;
            if passed && last.is_none_or(|(earlier, _)| earlier <= minute) {
                last = Some((minute, on));
            }
        });
        if let Some((_, on)) = last {
            return on;
        }
    }
    false
}

/// The next switch of a calendar after `after` and before `before`.
pub(crate) fn next_switch(
    calendar: &NonDisablementCalendar,
    after: SimInstant,
    before: SimInstant,
) -> Option<SimInstant> {
    if is_empty(calendar) {
        return None;
    }
    let mut next: Option<SimInstant> = None;
    let day = LocalDay::of(after);
    each_switch(calendar, day, |minute, _| {
        let at = instant_of(day, minute);
        if at > after && at < next.unwrap_or(before) {
            next = Some(at);
        }
    });
    next
}

fn each_switch(calendar: &NonDisablementCalendar, day: LocalDay, mut switch: impl FnMut(u16, bool)) {
    let special = |days: &[(AnyDate, u8)]| days.iter().find(|(date, _)| is_on(date, day)).map(|(_, id)| *id);
    let is_special = special(&calendar.special_days);
    for rule in &calendar.rules {
        if holds(rule, day, is_special) {
            switch(rule.minute, rule.start);
        }
    }
    let number = day_number(&calendar.seasons, &calendar.weeks, &calendar.special_days, day);
    let profile = calendar.days.iter().find(|(id, _)| Some(*id) == number);
    for (minute, on) in profile.iter().flat_map(|(_, switches)| switches) {
        switch(*minute, *on);
    }
}

fn holds(rule: &NonDisablementRule, day: LocalDay, special: Option<u8>) -> bool {
    if !is_between(&rule.from, &rule.to, day) {
        return false;
    }
    match special {
        Some(id) => rule.special_days.contains(&id),
        None if rule.days_of_week.is_empty() => rule.special_days.is_empty(),
        None => rule.days_of_week.contains(&weekday(day)),
    }
}

/// Whether a day is not before the one date and not after the other. Where the years are open, a span whose end comes
/// before its beginning goes over the turn of the year.
fn is_between(from: &AnyDate, to: &AnyDate, day: LocalDay) -> bool {
    let civil = day.date();
    let here = (civil.year, civil.month, civil.day);
    let place = |date: &AnyDate, open_month: u8, open_day: u8| {
        let number = match date.day {
            Some(AnyDay::Day(number)) => number,
            Some(AnyDay::Last | AnyDay::SecondLast) => 31,
            None => open_day,
        };
        let year = date.year.map_or(civil.year, i64::from);
        (year, i64::from(date.month.unwrap_or(open_month)), i64::from(number))
    };
    let (from_place, to_place) = (place(from, 1, 1), place(to, 12, 31));
    if from.year.is_none() && to.year.is_none() && to_place < from_place {
        return here >= from_place || here <= to_place;
    }
    (from_place..=to_place).contains(&here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(year: i64, month: i64, day: i64) -> LocalDay {
        LocalDay::from_date(year, month, day)
    }

    fn date(year: Option<u16>, month: Option<u8>, day: Option<AnyDay>, day_of_week: Option<u8>) -> AnyDate {
        AnyDate {
            year,
            month,
            day,
            day_of_week,
        }
    }

    #[test]
    fn open_dates_name_the_days_they_say() {
        let cases = [
            (date(None, Some(12), Some(AnyDay::Day(25)), None), day(2019, 12, 25)),
            (date(Some(2019), None, None, Some(1)), day(2019, 5, 6)),
            (date(None, Some(3), Some(AnyDay::Last), Some(7)), day(2019, 3, 31)),
            (date(None, Some(10), Some(AnyDay::Last), Some(7)), day(2019, 10, 27)),
            (date(None, None, Some(AnyDay::SecondLast), None), day(2019, 4, 29)),
            (date(None, Some(5), Some(AnyDay::Day(1)), Some(1)), day(2019, 5, 6)),
            (date(None, None, None, None), day(2020, 2, 29)),
        ];
        for (date, on) in cases {
            assert!(is_on(&date, on), "{date:?}");
            assert_eq!(latest(&date, on), Some(on), "{date:?}");
        }
        let christmas = date(None, Some(12), Some(AnyDay::Day(25)), None);
        assert!(!is_on(&christmas, day(2019, 12, 24)));
        assert_eq!(latest(&christmas, day(2019, 12, 24)), Some(day(2018, 12, 25)));
        let once = date(Some(2030), Some(1), Some(AnyDay::Day(1)), None);
        assert_eq!(latest(&once, day(2019, 12, 24)), None);
    }

    #[test]
    fn a_minute_of_a_day_is_an_instant_also_when_clocks_change() {
        let at = |text: &str| text.parse::<SimInstant>().expect("an instant");
        assert_eq!(instant_of(day(2019, 7, 1), 450), at("2019-07-01T06:30:00Z"));
        assert_eq!(instant_of(day(2019, 3, 31), 450), at("2019-03-31T06:30:00Z"));
        assert_eq!(instant_of(day(2019, 10, 27), 450), at("2019-10-27T07:30:00Z"));
        // Half past one is left out in March and comes twice in October.
        assert_eq!(instant_of(day(2019, 3, 31), 90), at("2019-03-31T01:30:00Z"));
        assert_eq!(instant_of(day(2019, 10, 27), 90), at("2019-10-27T00:30:00Z"));
    }

    proptest! {
        #[test]
        fn minutes_and_instants_agree(ms in 1_262_304_000_000i64..2_208_988_800_000) {
            let at = SimInstant(ms.div_euclid(60_000) * 60_000);
            let found = instant_of(LocalDay::of(at), minute_of_day(at));
            // The second of two equal minutes is not the first.
            prop_assert!(found == at || at.0 - found.0 == 3_600_000);
        }
    }

    fn season(month: u8, week: u8) -> TariffSeason {
        TariffSeason {
            name: String::new(),
            from: date(None, Some(month), Some(AnyDay::Day(1)), None),
            week,
        }
    }

    #[test]
    fn seasons_weeks_and_special_days_give_each_day_its_profile() {
        let seasons = [season(4, 2), season(10, 1)];
        let weeks = [
            TariffWeek {
                id: 1,
                days: [1, 1, 1, 1, 1, 2, 2],
            },
            TariffWeek { id: 2, days: [3; 7] },
        ];
        let special = [(date(None, Some(12), Some(AnyDay::Day(25)), None), 4)];
        let number = |on| day_number(&seasons, &weeks, &special, on);
        assert_eq!(number(day(2019, 1, 7)), Some(1), "a Monday in winter");
        assert_eq!(number(day(2019, 1, 6)), Some(2), "a Sunday in winter");
        assert_eq!(number(day(2019, 4, 1)), Some(3));
        assert_eq!(number(day(2019, 9, 30)), Some(3));
        assert_eq!(number(day(2019, 10, 1)), Some(1));
        assert_eq!(number(day(2019, 12, 25)), Some(4));
    }

    #[test]
    fn a_span_without_years_comes_back_every_year() {
        let on = |month, day| date(None, Some(month), Some(AnyDay::Day(day)), None);
        let winter = |on_day| is_between(&on(10, 1), &on(3, 31), on_day);
        assert!(winter(day(2019, 12, 24)) && winter(day(2020, 3, 31)) && !winter(day(2020, 4, 1)));
        let summer = |on_day| is_between(&on(4, 29), &on(7, 25), on_day);
        assert!(summer(day(2031, 4, 29)) && !summer(day(2031, 7, 26)));
    }

    #[test]
    fn weekend_protection_holds_from_friday_to_monday() {
        let at = |text: &str| text.parse::<SimInstant>().expect("an instant");
        let rule = |start, minute, day_of_week| NonDisablementRule {
            start,
            minute,
            from: date(Some(2019), Some(1), Some(AnyDay::Day(1)), None),
            to: date(Some(2019), Some(12), Some(AnyDay::Day(31)), None),
            days_of_week: vec![day_of_week],
            special_days: Vec::new(),
        };
        let calendar = NonDisablementCalendar {
            rules: vec![rule(true, 1_080, 5), rule(false, 540, 1)],
            ..NonDisablementCalendar::default()
        };
        let protects = |text| protects(&calendar, at(text));
        assert!(!protects("2019-05-03T16:59:59Z"));
        assert!(protects("2019-05-03T17:00:00Z"), "Friday, 18:00 local time");
        assert!(protects("2019-05-05T12:00:00Z"));
        assert!(protects("2019-05-06T07:59:59Z"));
        assert!(!protects("2019-05-06T08:00:00Z"), "Monday, 9:00 local time");
        assert!(!protects("2020-05-03T12:00:00Z"), "next year it no longer holds");
        let switch = next_switch(&calendar, at("2019-05-06T06:00:00Z"), at("2019-05-06T09:00:00Z"));
        assert_eq!(switch, Some(at("2019-05-06T08:00:00Z")));
    }
}
