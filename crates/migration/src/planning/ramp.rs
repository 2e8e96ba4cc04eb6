//! Growth of a cohort: stages with a cap a day, and the gate that each must pass before the next begins. Pure.

use crate::settings::{Mode, RampStage};

/// Where a cohort stands. A fold over its days; the same days give the same place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ramp {
    stage: usize,
    cap: u32,
    days: u16,
    attempted: u64,
    migrated: u64,
}

/// One day of a cohort, after it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct CohortDay {
    /// Attempts that ended.
    pub attempted: u32,
    /// Of these, successful.
    pub migrated: u32,
    /// Installations stranded at the end of the day.
    pub stranded: u32,
    /// Age of the oldest open exception at the end of the day, in hours.
    pub oldest_exception_h: u32,
}

/// Why the next stage does not begin.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Held {
    /// It lasts longer.
    Days {
        /// Days it has lasted.
        done: u16,
        /// Days it lasts at least.
        least: u16,
    },
    /// Too few attempts succeeded.
    Success {
        /// Successful per cent, rounded down.
        percent: u8,
        /// Least per cent.
        least: u8,
    },
    /// Too many are stranded.
    Stranded(u32),
    /// An exception is too old, in hours.
    OldException(u32),
    /// The cap still grows.
    Growing,
    /// It is the last stage.
    Last,
}

impl Ramp {
    /// A cohort before its first day.
    #[must_use]
    pub fn new(stages: &[RampStage]) -> Self {
        Self {
            cap: stages.first().map_or(0, |stage| stage.cap_per_day),
            ..Self::default()
        }
    }

    /// Installations on the next day at most.
    #[must_use]
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// The stage it is in.
    #[must_use]
    pub fn stage<'s>(&self, stages: &'s [RampStage]) -> Option<&'s RampStage> {
        stages.get(self.stage)
    }

    /// How installations are released now.
    #[must_use]
    pub fn mode(&self, stages: &[RampStage]) -> Mode {
        self.stage(stages).map_or(Mode::LowVolume, |stage| stage.mode)
    }

    /// Takes in a day. Days on which nothing was attempted change nothing. Gives what holds the cohort where it is; none
    /// when the next stage begins.
    pub fn close_day(&mut self, stages: &[RampStage], day: &CohortDay) -> Vec<Held> {
        let Some(stage) = stages.get(self.stage) else {
            return vec![Held::Last];
        };
        if day.attempted == 0 {
            return vec![Held::Days {
                done: self.days,
                least: stage.days_min,
            }];
        }
        self.days = self.days.saturating_add(1);
        self.attempted += u64::from(day.attempted);
        self.migrated += u64::from(day.migrated);
        let Some(next) = stages.get(self.stage + 1) else {
            return vec![Held::Last];
        };
        let mut held = self.gate(stage, day);
        if let Some(factor) = stage.factor_per_day {
            // A day that breaks the gate does not let the cap grow either.
            if held.is_empty() {
                self.cap = self.cap.saturating_mul(factor);
                if self.cap < next.cap_per_day {
                    held.push(Held::Growing);
                }
            }
        }
        if held.is_empty() {
            *self = Self {
                stage: self.stage + 1,
                cap: next.cap_per_day,
                ..Self::default()
            };
        }
        held
    }

    fn gate(&self, stage: &RampStage, day: &CohortDay) -> Vec<Held> {
        let mut held = Vec::new();
        if self.days < stage.days_min {
            held.push(Held::Days {
                done: self.days,
                least: stage.days_min,
            });
        }
        let percent = u8::try_from(self.migrated * 100 / self.attempted.max(1)).unwrap_or(100);
        if let Some(least) = stage.success_percent_min.filter(|least| percent < *least) {
            held.push(Held::Success { percent, least });
        }
        if stage.stranded_max.is_some_and(|most| day.stranded > most) {
            held.push(Held::Stranded(day.stranded));
        }
        if stage
            .oldest_exception_h_max
            .is_some_and(|most| day.oldest_exception_h > most)
        {
            held.push(Held::OldException(day.oldest_exception_h));
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn run(days: &[CohortDay]) -> (Ramp, Vec<Vec<Held>>) {
        let stages = Settings::builtin().expect("built-in settings").ramp;
        let mut ramp = Ramp::new(&stages);
        let held = days.iter().map(|day| ramp.close_day(&stages, day)).collect();
        (ramp, held)
    }

    fn day(attempted: u32, migrated: u32) -> CohortDay {
        CohortDay {
            attempted,
            migrated,
            ..CohortDay::default()
        }
    }

    #[test]
    fn a_cohort_grows_from_ten_to_fifty_thousand() {
        let mut days = vec![day(10, 10); 3];
        days.extend([day(500, 480); 5]);
        days.extend([day(1000, 1000); 6]);
        let (ramp, held) = run(&days);
        assert_eq!(ramp.cap(), 50_000);
        assert_eq!(held[1], [Held::Days { done: 2, least: 3 }]);
        assert!(held[2].is_empty() && held[7].is_empty() && held[13].is_empty());
        assert_eq!(held[8], [Held::Growing]);
    }

    #[test]
    fn gates_hold_a_cohort_where_it_is() {
        let stranded = CohortDay {
            stranded: 1,
            ..day(10, 9)
        };
        let (ramp, held) = run(&[day(10, 10), day(10, 10), stranded, day(0, 0)]);
        assert_eq!((ramp.cap(), &held[2][..]), (10, &[Held::Stranded(1)][..]));
        let mut days = vec![day(10, 10); 3];
        days.extend([day(100, 85); 6]);
        let (ramp, held) = run(&days);
        assert_eq!(ramp.cap(), 500);
        assert_eq!(held[8], [Held::Success { percent: 85, least: 90 }]);
    }
}
