//! When billing periods begin.

use domain::SimInstant;
use domain::operation::{BillingCalendar, BillingPeriod};

use crate::calendar::LocalDay;
use crate::timetable::{instant_of, weekday};

/// Days in which any period begins at least once.
const LONGEST_PERIOD_DAYS: i64 = 366;

/// Whether a period begins on a day.
fn begins(period: BillingPeriod, day: LocalDay) -> bool {
    let date = day.date();
    let monthly = |of: u8, first: u8, every: i64| {
        date.day == i64::from(of.clamp(1, 28)) && (date.month - i64::from(first)).rem_euclid(every) == 0
    };
    match period {
        BillingPeriod::Daily => true,
        BillingPeriod::Weekly(of) => weekday(day) == of.clamp(1, 7),
        BillingPeriod::Monthly(of) => monthly(of, 1, 1),
        BillingPeriod::Quarterly(of, first) => monthly(of, first, 3),
        BillingPeriod::SixMonthly(of, first) => monthly(of, first, 6),
        BillingPeriod::Yearly(of, first) => monthly(of, first, 12),
    }
}

/// The last billing point not after `at`; `None` before the first.
pub(crate) fn latest(calendar: &BillingCalendar, at: SimInstant) -> Option<SimInstant> {
    let mut day = LocalDay::of(at);
    if instant_of(day, calendar.minute) > at {
        day = day.previous();
    }
    let day = match calendar.period {
        // Nearly every meter has one of these, and is asked at every wake.
        BillingPeriod::Daily => day,
        BillingPeriod::Monthly(of) => day.latest_day_of_month(of.clamp(1, 28)),
        period => (0..=LONGEST_PERIOD_DAYS)
            .map(|back| LocalDay(day.0 - back))
            .find(|day| begins(period, *day))?,
    };
    Some(instant_of(day, calendar.minute)).filter(|point| calendar.start.is_none_or(|start| *point >= start))
}

/// The first billing point after `after`.
pub(crate) fn next(calendar: &BillingCalendar, after: SimInstant) -> Option<SimInstant> {
    let after = calendar.start.map_or(after, |start| after.max(SimInstant(start.0 - 1)));
    let today = LocalDay::of(after);
    (0..=LONGEST_PERIOD_DAYS + 1)
        .map(|ahead| LocalDay(today.0 + ahead))
        .filter(|day| begins(calendar.period, *day))
        .map(|day| instant_of(day, calendar.minute))
        .find(|point| *point > after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SimInstant {
        text.parse().expect("an instant")
    }

    fn calendar(minute: u16, period: BillingPeriod) -> BillingCalendar {
        BillingCalendar {
            minute,
            start: None,
            period,
        }
    }

    #[test]
    fn points_of_every_period() {
        let now = at("2019-05-15T12:00:00Z");
        for (period, before, after) in [
            (BillingPeriod::Daily, "2019-05-14T23:00:00Z", "2019-05-15T23:00:00Z"),
            (BillingPeriod::Weekly(7), "2019-05-11T23:00:00Z", "2019-05-18T23:00:00Z"),
            (
                BillingPeriod::Monthly(20),
                "2019-04-19T23:00:00Z",
                "2019-05-19T23:00:00Z",
            ),
            (
                BillingPeriod::Quarterly(1, 3),
                "2019-03-01T00:00:00Z",
                "2019-05-31T23:00:00Z",
            ),
            (
                BillingPeriod::SixMonthly(1, 4),
                "2019-03-31T23:00:00Z",
                "2019-09-30T23:00:00Z",
            ),
            (
                BillingPeriod::Yearly(29, 2),
                "2019-02-28T00:00:00Z",
                "2020-02-28T00:00:00Z",
            ),
        ] {
            let calendar = calendar(0, period);
            assert_eq!(latest(&calendar, now), Some(at(before)), "{period:?}");
            assert_eq!(next(&calendar, now), Some(at(after)), "{period:?}");
            assert_eq!(latest(&calendar, at(after)), Some(at(after)), "{period:?}");
            assert_eq!(next(&calendar, at(before)), Some(at(after)), "{period:?}");
        }
    }

    #[test]
    fn a_point_may_stand_in_the_middle_of_a_day_and_begin_one_day() {
        let noon = calendar(720, BillingPeriod::Daily);
        assert_eq!(
            latest(&noon, at("2019-05-15T10:59:59Z")),
            Some(at("2019-05-14T11:00:00Z"))
        );
        assert_eq!(
            latest(&noon, at("2019-05-15T11:00:00Z")),
            Some(at("2019-05-15T11:00:00Z"))
        );
        let started = BillingCalendar {
            start: Some(at("2019-06-01T00:00:00Z")),
            ..noon
        };
        assert_eq!(latest(&started, at("2019-05-15T11:00:00Z")), None);
        assert_eq!(
            next(&started, at("2019-05-15T11:00:00Z")),
            Some(at("2019-06-01T11:00:00Z"))
        );
    }
}
