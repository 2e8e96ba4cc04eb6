//! Alarms by what they are for: each thing has at most one.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Eui64, RequestId, SimInstant};

/// What an alarm is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A request must have its outcome.
    Deadline(RequestId),
    /// The distribution of an image must be over.
    ImageDeadline(RequestId),
    /// The user is to be told which devices an image did not reach.
    ImageReport(RequestId),
    /// An image, or jobs of it, are to be sent, or sent again.
    ImageSend(RequestId),
    /// Something of this user's outbox is due.
    Outbox(Eui64),
    /// A held request is due.
    Release(RequestId),
    /// A schedule runs.
    Schedule(u64),
    /// The S1SP has not said that it has a request.
    SendAgain(RequestId),
    /// A period of throttled alerts is over.
    Throttle,
}

/// All alarms set. Equal instants go in the order of [`Timer`].
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_instant: BTreeSet<(SimInstant, Timer)>,
    by_timer: BTreeMap<Timer, SimInstant>,
}

impl Timers {
    /// Sets or moves an alarm.
    pub(crate) fn set(&mut self, timer: Timer, at: SimInstant) {
        if let Some(before) = self.by_timer.insert(timer, at) {
            self.by_instant.remove(&(before, timer));
        }
        self.by_instant.insert((at, timer));
    }

    /// Takes an alarm away. Gives whether it was set.
    pub(crate) fn cancel(&mut self, timer: &Timer) -> bool {
        match self.by_timer.remove(timer) {
            Some(at) => self.by_instant.remove(&(at, *timer)),
            None => false,
        }
    }

    /// Whether an alarm is set.
    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    /// When the next one rings.
    pub(crate) fn next(&self) -> Option<SimInstant> {
        self.by_instant.first().map(|(at, _)| *at)
    }

    /// The next alarm that rings by `now`; it is then gone.
    pub(crate) fn due(&mut self, now: SimInstant) -> Option<Timer> {
        let (at, timer) = *self.by_instant.first()?;
        if at > now {
            return None;
        }
        self.cancel(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_once_when_it_was_last_set_for() {
        let mut timers = Timers::default();
        let (a, b) = (Timer::Outbox(Eui64(1)), Timer::Outbox(Eui64(2)));
        timers.set(a, SimInstant(5));
        timers.set(b, SimInstant(7));
        timers.set(a, SimInstant(9));
        assert_eq!((timers.next(), timers.due(SimInstant(6))), (Some(SimInstant(7)), None));
        assert!(timers.cancel(&b) && !timers.cancel(&b));
        assert_eq!((timers.due(SimInstant(9)), timers.due(SimInstant(9))), (Some(a), None));
    }
}
