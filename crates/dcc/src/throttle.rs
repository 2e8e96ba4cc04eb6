//! Too many alerts of one kind: how many pass, and what the one says that stands for the others.
//!
//! Which thresholds the real system has is not known: these are ours.

use std::collections::BTreeMap;

use domain::{Eui64, SimInstant};
use prost::bytes::Bytes;

use crate::Limits;

/// Alerts of one kind: to one user, about one device (zero: none), with one code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct AlertKind {
    pub(crate) user: Eui64,
    pub(crate) device: Eui64,
    pub(crate) code: String,
}

/// What has passed of one kind in its present period.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Period {
    until: SimInstant,
    passed: u32,
    held_back: u32,
    /// The last one held back, not signed.
    last: Bytes,
}

/// The one alert that stands for others of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    pub(crate) kind: AlertKind,
    pub(crate) sequence: u32,
    pub(crate) count: u32,
    pub(crate) xml: Bytes,
}

/// All periods that run.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    periods: BTreeMap<AlertKind, Period>,
    /// Periods with something held back so far, by user.
    sequences: BTreeMap<Eui64, u32>,
}

impl Throttle {
    /// Whether an alert may pass now; one that may not is counted and its document kept in place of the one before.
    pub(crate) fn passes(&mut self, kind: &AlertKind, xml: &Bytes, now: SimInstant, limits: &Limits) -> bool {
        let fresh = Period {
            until: now + limits.throttle_window,
            passed: 0,
            held_back: 0,
            last: Bytes::new(),
        };
        let period = self.periods.entry(kind.clone()).or_insert_with(|| fresh.clone());
        if period.until <= now && period.held_back == 0 {
            *period = fresh;
        }
        if period.passed < limits.throttle_max {
            period.passed += 1;
            return true;
        }
        period.held_back += 1;
        period.last = xml.clone();
        false
    }

    /// Takes up again what a journal says was held back.
    pub(crate) fn restore(&mut self, kind: AlertKind, until: SimInstant, held_back: u32, xml: Bytes) {
        let period = Period {
            until,
            passed: u32::MAX,
            held_back,
            last: xml,
        };
        self.periods.insert(kind, period);
    }

    /// How many are held back of a kind, and until when.
    pub(crate) fn held_back(&self, kind: &AlertKind) -> Option<(u32, SimInstant)> {
        let period = self.periods.get(kind).filter(|period| period.held_back > 0)?;
        Some((period.held_back, period.until))
    }

    /// All that is held back: its kind, how much, until when, and the last of it.
    pub(crate) fn all_held_back(&self) -> impl Iterator<Item = (&AlertKind, u32, SimInstant, &Bytes)> {
        let holding = self.periods.iter().filter(|(_, period)| period.held_back > 0);
        holding.map(|(kind, period)| (kind, period.held_back, period.until, &period.last))
    }

    /// The last number of a summary, by user.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = (&Eui64, u32)> {
        self.sequences.iter().map(|(user, last)| (user, *last))
    }

    /// When the next period ends in which something was held back.
    pub(crate) fn next_end(&self) -> Option<SimInstant> {
        let holding = self.periods.values().filter(|period| period.held_back > 0);
        holding.map(|period| period.until).min()
    }

    /// The summaries of the periods that are over by now; those periods are gone.
    pub(crate) fn over(&mut self, now: SimInstant) -> Vec<Summary> {
        let over: Vec<_> = self
            .periods
            .iter()
            .filter(|(_, period)| period.until <= now)
            .map(|(kind, _)| kind.clone())
            .collect();
        let mut summaries = Vec::new();
        for kind in over {
            let Some(period) = self.periods.remove(&kind) else {
                continue;
            };
            if period.held_back == 0 {
                continue;
            }
            let sequence = self.sequences.entry(kind.user).or_default();
            *sequence += 1;
            summaries.push(Summary {
                sequence: *sequence,
                count: period.held_back,
                xml: period.last,
                kind,
            });
        }
        summaries
    }

    /// Counts a number of a period as used.
    pub(crate) fn used(&mut self, user: Eui64, sequence: u32) {
        let last = self.sequences.entry(user).or_default();
        *last = (*last).max(sequence);
    }

    /// A kind has its summary.
    pub(crate) fn forget(&mut self, kind: &AlertKind) {
        self.periods.remove(kind);
    }
}

#[cfg(test)]
mod tests {
    use domain::SimDuration;

    use super::*;

    #[test]
    fn what_is_held_back_is_summed_up_at_the_end_of_its_period() {
        let limits = Limits {
            throttle_max: 2,
            throttle_window: SimDuration::from_mins(10),
            ..Limits::default()
        };
        let kind = AlertKind {
            user: Eui64(1),
            device: Eui64(2),
            code: "8F1D".into(),
        };
        let mut throttle = Throttle::default();
        let at = |minute: i64| SimInstant(minute * 60_000);
        let try_at = |throttle: &mut Throttle, minute: i64| {
            let xml = Bytes::from(minute.to_string());
            throttle.passes(&kind, &xml, at(minute), &limits)
        };
        let passed: Vec<_> = (0..5).map(|minute| try_at(&mut throttle, minute)).collect();
        assert_eq!(passed, [true, true, false, false, false]);
        assert_eq!(throttle.held_back(&kind), Some((3, at(10))));
        assert_eq!((throttle.next_end(), throttle.over(at(9))), (Some(at(10)), Vec::new()));
        let [summary] = &throttle.over(at(10))[..] else {
            panic!()
        };
        assert_eq!((summary.sequence, summary.count, &summary.xml[..]), (1, 3, &b"4"[..]));
        assert!(try_at(&mut throttle, 10), "a new period");
        // A period in which nothing was held back starts anew with the next alert after it.
        assert!(try_at(&mut throttle, 25) && try_at(&mut throttle, 26) && !try_at(&mut throttle, 27));
    }
}
