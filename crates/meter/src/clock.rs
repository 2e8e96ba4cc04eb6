//! A device's clock: it drifts, is synchronised now and then, and has an opinion of itself.
//!
//! All devices keep UTC; local time follows from the calendar, so a clock change moves no clock here.

use domain::operation::ClockStatus;
use domain::seed::mix;
use domain::{DeviceKind, SimInstant};

use crate::profile::{ClockRule, Profile};

/// Largest tolerance a synchronisation may carry, in seconds.
pub(crate) const TOLERANCE_MAX_S: u32 = 86_400;

/// The clock of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DeviceClock {
    /// True time of the last confirmation.
    pub(crate) set_at: SimInstant,
    /// How far it was ahead of true time then.
    pub(crate) ahead_ms: i64,
    /// Parts per million it runs fast, as the seed has it.
    pub(crate) drift_ppm: i32,
    /// The last synchronisation failed.
    pub(crate) doubtful: bool,
    /// It stood still and has not been set since.
    pub(crate) lost: bool,
}

/// What a synchronisation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Synchronised {
    /// It was right enough.
    Kept,
    /// It was set.
    Set,
    /// It would have moved further than the device allows.
    TooFar,
    /// It was outside the tolerance of a device that only sets within it.
    OutsideTolerance,
}

impl DeviceClock {
    /// A clock that was right when it was fitted at `at`.
    pub(crate) fn new(seed: u64, slot: DeviceKind, profile: &Profile, at: SimInstant) -> Self {
        let span = u64::from(profile.clock_drift_ppm_max.min(1_000_000)) * 2 + 1;
        let drawn = mix(seed, slot as u64) % span;
        let drift_ppm = i32::try_from(drawn).unwrap_or(0) - i32::try_from(span / 2).unwrap_or(0);
        Self {
            set_at: at,
            ahead_ms: 0,
            drift_ppm,
            doubtful: false,
            lost: false,
        }
    }

    /// What the device takes for UTC when it is truly `now`.
    pub(crate) fn time(&self, now: SimInstant) -> SimInstant {
        let elapsed = i128::from(now.0) - i128::from(self.set_at.0);
        let drifted = elapsed * i128::from(self.drift_ppm) / 1_000_000;
        let shown = i128::from(now.0) + i128::from(self.ahead_ms) + drifted;
        // Whoever sets a clock to the end of time gets a clock that stands there.
        let shown = shown.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        SimInstant(i64::try_from(shown).unwrap_or(now.0))
    }

    pub(crate) fn status(&self, now: SimInstant, profile: &Profile) -> ClockStatus {
        if self.lost {
            return ClockStatus::Invalid;
        }
        let stale = profile
            .clock_reliable_for
            .is_some_and(|limit| now.since(self.set_at) > limit);
        if self.doubtful || stale {
            ClockStatus::Unreliable
        } else {
            ClockStatus::Reliable
        }
    }

    /// Compares it with `time` and sets it as the profile's rule says. `tolerance_s` has been checked by the caller.
    pub(crate) fn synchronise(
        &mut self,
        now: SimInstant,
        profile: &Profile,
        time: SimInstant,
        tolerance_s: u32,
    ) -> Synchronised {
        let shown = self.time(now);
        let gap_ms = shown.0.abs_diff(time.0);
        let within = gap_ms <= u64::from(tolerance_s) * 1000;
        let result = match (profile.clock_rule, within) {
            // A clock that knows it is wrong takes any time.
            _ if self.lost => Synchronised::Set,
            (ClockRule::SetWhenOutside, true) => Synchronised::Kept,
            (ClockRule::SetWhenWithin, false) => Synchronised::OutsideTolerance,
            _ if profile
                .clock_adjust_limit
                .is_some_and(|limit| gap_ms > limit.as_millis()) =>
            {
                Synchronised::TooFar
            }
            _ => Synchronised::Set,
        };
        let ahead = match result {
            Synchronised::Kept => shown,
            Synchronised::Set => time,
            Synchronised::TooFar | Synchronised::OutsideTolerance => {
                self.doubtful = true;
                return result;
            }
        };
        self.ahead_ms = ahead.0.saturating_sub(now.0);
        self.set_at = now;
        self.doubtful = false;
        self.lost = false;
        result
    }

    /// It is set to `time`, whatever its rule.
    pub(crate) fn follow(&mut self, now: SimInstant, time: SimInstant) {
        self.ahead_ms = time.0.saturating_sub(now.0);
        self.set_at = now;
        self.doubtful = false;
        self.lost = false;
    }

    /// It stood still from `from` to `to`.
    pub(crate) fn stand_still(&mut self, from: SimInstant, to: SimInstant) {
        self.ahead_ms = self.time(from).0.saturating_sub(to.0);
        self.set_at = to;
        self.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SimDuration;

    const NOW: SimInstant = SimInstant(1_553_990_400_000);

    fn clock(ahead_ms: i64) -> DeviceClock {
        DeviceClock {
            set_at: NOW,
            ahead_ms,
            drift_ppm: 20,
            doubtful: false,
            lost: false,
        }
    }

    #[test]
    fn it_drifts_by_parts_per_million() {
        let later = NOW + SimDuration::from_days(10);
        assert_eq!(clock(500).time(NOW), SimInstant(NOW.0 + 500));
        assert_eq!(clock(500).time(later), SimInstant(later.0 + 500 + 17_280));
        let limits = Profile {
            clock_drift_ppm_max: 3,
            ..Profile::default()
        };
        let drifts: std::collections::BTreeSet<i32> = (0..200)
            .map(|seed| DeviceClock::new(seed, DeviceKind::Esme, &limits, NOW).drift_ppm)
            .collect();
        assert_eq!(drifts.into_iter().collect::<Vec<_>>(), (-3..=3).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_set_by_the_rule_of_its_profile() {
        let check = |ahead_ms, profile: &Profile, tolerance_s| {
            let mut clock = clock(ahead_ms);
            let result = clock.synchronise(NOW, profile, NOW, tolerance_s);
            (result, clock.time(NOW).0 - NOW.0, clock.status(NOW, profile))
        };
        let plain = Profile::default();
        assert_eq!(
            check(9_000, &plain, 10),
            (Synchronised::Kept, 9_000, ClockStatus::Reliable)
        );
        assert_eq!(
            check(-11_000, &plain, 10),
            (Synchronised::Set, 0, ClockStatus::Reliable)
        );
        let within = Profile {
            clock_rule: ClockRule::SetWhenWithin,
            ..Profile::default()
        };
        assert_eq!(check(9_000, &within, 10), (Synchronised::Set, 0, ClockStatus::Reliable));
        assert_eq!(
            check(11_000, &within, 10),
            (Synchronised::OutsideTolerance, 11_000, ClockStatus::Unreliable)
        );
        let limited = Profile {
            clock_adjust_limit: Some(SimDuration::from_secs(60)),
            ..Profile::default()
        };
        assert_eq!(
            check(61_000, &limited, 10),
            (Synchronised::TooFar, 61_000, ClockStatus::Unreliable)
        );
        assert_eq!(check(i64::MAX, &plain, 86_400).0, Synchronised::Set);
    }

    #[test]
    fn a_clock_long_unconfirmed_doubts_itself_where_the_profile_says_so() {
        let profile = Profile {
            clock_reliable_for: Some(SimDuration::from_days(3)),
            ..Profile::default()
        };
        let at = |days| clock(0).status(NOW + SimDuration::from_days(days), &profile);
        assert_eq!((at(3), at(4)), (ClockStatus::Reliable, ClockStatus::Unreliable));
    }
}
