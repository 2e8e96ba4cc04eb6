//! What the S1SP remembers of devices' answers, for the rules that let it answer from memory.

use std::collections::BTreeMap;

use domain::operation::{Answer, DataItem, LogKind};
use domain::{Eui64, Operation, SimDuration, SimInstant};

/// Answers kept at most; one more drops the oldest.
pub(crate) const KEPT_MAX: usize = 10_000;

/// Answers of devices with the time they came.
#[derive(Debug, Default)]
pub struct Cache {
    kept: BTreeMap<(Eui64, About), Kept>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum About {
    Item(DataItem),
    Log(LogKind),
}

#[derive(Debug)]
struct Kept {
    at: SimInstant,
    /// The range that was asked for; everything for an item.
    range: (SimInstant, SimInstant),
    answer: Answer,
}

impl Cache {
    /// Keeps an answer that came at `at`. Acts and answers that are no values are not kept.
    pub fn keep(&mut self, device: Eui64, operation: &Operation, answer: &Answer, at: SimInstant) {
        let Some((about, range)) = about(operation) else { return };
        if matches!(answer, Answer::Done) {
            return;
        }
        let answer = answer.clone();
        self.kept.insert((device, about), Kept { at, range, answer });
        if self.kept.len() > KEPT_MAX
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.at).map(|(key, _)| *key)
        {
            self.kept.remove(&oldest);
        }
    }

    /// An answer that is at most `max_age` old at `now`, with the time it came. Rows are those of the range asked for that
    /// had been written when the answer came: newer ones are missing, as in any cache.
    pub fn answer(
        &self,
        device: Eui64,
        operation: &Operation,
        max_age: SimDuration,
        now: SimInstant,
    ) -> Option<(Answer, SimInstant)> {
        let (about, (from, to)) = about(operation)?;
        let kept = self.kept.get(&(device, about))?;
        let fresh = now.since(kept.at) <= max_age;
        let covered = from >= kept.range.0 && to.min(kept.at) <= kept.range.1;
        if !fresh || !covered {
            return None;
        }
        let answer = match &kept.answer {
            Answer::Log(rows) => {
                let within = rows.iter().filter(|row| (from..=to).contains(&row.at));
                Answer::Log(within.cloned().collect())
            }
            other => other.clone(),
        };
        Some((answer, kept.at))
    }

    /// Forgets what is known of a device: something was done to it.
    pub fn forget(&mut self, device: Eui64) {
        self.kept.retain(|(of, _), _| *of != device);
    }
}

fn about(operation: &Operation) -> Option<(About, (SimInstant, SimInstant))> {
    match operation {
        Operation::Read(item) => Some((About::Item(*item), (SimInstant(i64::MIN), SimInstant(i64::MAX)))),
        Operation::ReadLog { log, from, to } => Some((About::Log(*log), (*from, *to))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::operation::{Quantity, Unit, Value};
    use domain::{LogRow, SimDuration};

    const DEVICE: Eui64 = Eui64(7);

    fn at(hours: i64) -> SimInstant {
        SimInstant(1_553_990_400_000 + hours * 3_600_000)
    }

    fn log(from: i64, to: i64) -> Operation {
        Operation::ReadLog {
            log: LogKind::ActiveImport,
            from: at(from),
            to: at(to),
        }
    }

    fn rows(hours: std::ops::RangeInclusive<i64>) -> Answer {
        let row = |hour| LogRow {
            at: at(hour),
            values: vec![(DataItem::ActiveImport, Quantity::new(hour, Unit::WattHour))],
            code: None,
        };
        Answer::Log(hours.map(row).collect())
    }

    #[test]
    fn rows_are_given_while_fresh_and_covered() {
        let mut cache = Cache::default();
        cache.keep(DEVICE, &log(0, 24), &rows(0..=12), at(12));
        let ask = |from, to, age, now| cache.answer(DEVICE, &log(from, to), SimDuration::from_hours(age), at(now));
        assert_eq!(ask(3, 5, 6, 18), Some((rows(3..=5), at(12))));
        assert_eq!(
            ask(3, 18, 6, 18),
            Some((rows(3..=12), at(12))),
            "newer rows are missing"
        );
        assert_eq!(ask(3, 5, 6, 19), None, "too old");
        assert_eq!(ask(-1, 5, 6, 18), None, "not covered");
        assert_eq!(
            cache.answer(Eui64(8), &log(3, 5), SimDuration::from_hours(6), at(13)),
            None
        );
    }

    #[test]
    fn an_act_makes_the_memory_worthless() {
        let mut cache = Cache::default();
        let read = Operation::Read(DataItem::ActiveImport);
        let value = Answer::Value(Value::Quantity(Quantity::new(5, Unit::WattHour)));
        cache.keep(DEVICE, &read, &value, at(0));
        cache.keep(DEVICE, &Operation::DisableSupply, &Answer::Done, at(0));
        assert_eq!(
            cache.answer(DEVICE, &read, SimDuration::from_hours(1), at(1)),
            Some((value, at(0)))
        );
        cache.forget(DEVICE);
        assert_eq!(cache.answer(DEVICE, &read, SimDuration::from_hours(1), at(1)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut cache = Cache::default();
        let read = Operation::Read(DataItem::ActiveImport);
        let value = Answer::Value(Value::Flag(true));
        for n in 0..=KEPT_MAX as u64 {
            cache.keep(Eui64(n), &read, &value, SimInstant(i64::try_from(n).unwrap()));
        }
        let known = |n| {
            cache
                .answer(Eui64(n), &read, SimDuration::from_days(1), SimInstant(0))
                .is_some()
        };
        assert!(!known(0) && known(1));
    }
}
