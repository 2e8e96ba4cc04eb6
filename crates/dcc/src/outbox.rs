//! What waits for one user: pure rules of delivery, repetition and giving up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{Eui64, RequestId, SimDuration, SimInstant};
use prost::bytes::Bytes;

use crate::Limits;

/// One response or alert for a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    /// Rises per user; stays when the delivery is tried again.
    pub(crate) id: u64,
    /// The request it answers; none for alerts.
    pub(crate) request: Option<RequestId>,
    /// The device it is about, for audit.
    pub(crate) device: Option<Eui64>,
    /// The signed document.
    pub(crate) xml: Bytes,
}

/// A delivery that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// For whom.
    pub user: Eui64,
    /// Number of the delivery.
    pub delivery_id: u64,
    /// The request it answers; none for alerts.
    pub request: Option<RequestId>,
    /// Last status of the listener; 0 when it was not reached.
    pub status: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// The signed document.
    pub xml: Bytes,
}

impl DeadLetter {
    /// It as it was before it was given up.
    pub(crate) fn delivery(&self) -> Delivery {
        Delivery {
            id: self.delivery_id,
            request: self.request,
            device: None,
            xml: self.xml.clone(),
        }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let holds = |name: &str| self.xml.windows(name.len()).any(|octets| octets == name.as_bytes());
        match self.status {
            // The published helpers' receiver knows no SMETS1 response (sourced).
            400 if holds("SMETS1ResponseMessage") => Some(
                "The listener knows no SMETS1 responses, as the published DCC Boxed receiver does not: check them with the \
                 parser alone, or take 400 as received in a listener of your own; then deliver again.",
            ),
            401 | 403 => Some("The listener wants credentials: put them into the user's call-back address."),
            404 | 405 => Some("The listener has another path or takes no POST: correct the user's call-back address."),
            413 => Some("The listener takes smaller documents only: raise its limit, then deliver again."),
            415 => Some("The listener does not take application/xml: correct it, then deliver again."),
            0 => Some("Nobody listened at the user's call-back address: start the listener, then deliver again."),
            500..=599 => Some("The listener failed each time: see its own log, then deliver again."),
            _ => None,
        }
    }
}

/// What a user's answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settlement {
    /// Taken.
    Taken,
    /// Given up.
    Dead,
    /// Will be tried again.
    Again,
    /// Not under way: a second answer.
    Unknown,
}

/// The outbox of one user.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    last_id: u64,
    waiting: BTreeMap<u64, Waiting>,
    ready: BTreeSet<(SimInstant, u64)>,
    under_way: BTreeMap<u64, SimInstant>,
    dead: VecDeque<DeadLetter>,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    attempts: u32,
    /// Where it stands in `ready`.
    ready_at: Option<SimInstant>,
}

impl Outbox {
    /// The number of the next delivery.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    /// The last number used.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Counts a number as used.
    pub(crate) fn used(&mut self, id: u64) {
        self.last_id = self.last_id.max(id);
    }

    /// Takes a delivery that may go from `not_before` on; none: it is held until [`Outbox::release`].
    pub(crate) fn put(&mut self, delivery: Delivery, not_before: Option<SimInstant>) {
        let id = delivery.id;
        self.used(id);
        self.waiting.insert(
            id,
            Waiting {
                delivery,
                attempts: 0,
                ready_at: not_before,
            },
        );
        self.ready.extend(not_before.map(|at| (at, id)));
    }

    /// Whether a delivery of this number waits.
    pub(crate) fn holds(&self, id: u64) -> bool {
        self.waiting.contains_key(&id)
    }

    /// What may go by now, oldest first, without sending it: for a user that fetches.
    pub(crate) fn fetchable(&self, now: SimInstant, max: usize) -> Vec<Delivery> {
        let ready = self.ready.iter().take_while(|(at, _)| *at <= now);
        let under_way = self.under_way.keys();
        let mut ids: Vec<u64> = ready.map(|(_, id)| *id).chain(under_way.copied()).collect();
        ids.sort_unstable();
        let waiting = ids.iter().take(max).filter_map(|id| self.waiting.get(id));
        waiting.map(|waiting| waiting.delivery.clone()).collect()
    }

    /// Lets a held delivery go from `not_before` on.
    pub(crate) fn release(&mut self, id: u64, not_before: SimInstant) {
        if let Some(waiting) = self.waiting.get_mut(&id).filter(|waiting| waiting.ready_at.is_none()) {
            waiting.ready_at = Some(not_before);
            self.ready.insert((not_before, id));
        }
    }

    /// The next delivery to send now, in the order they became ready; it is then under way.
    pub(crate) fn next(&mut self, now: SimInstant, limits: &Limits) -> Option<Delivery> {
        if self.under_way.len() >= limits.deliveries_in_flight {
            return None;
        }
        let (at, id) = *self.ready.first()?;
        if at > now {
            return None;
        }
        self.ready.remove(&(at, id));
        let waiting = self.waiting.get_mut(&id)?;
        waiting.attempts += 1;
        waiting.ready_at = None;
        self.under_way.insert(id, now + limits.delivery_timeout);
        Some(waiting.delivery.clone())
    }

    /// When [`Outbox::next`] or [`Outbox::overdue`] has something to do again.
    pub(crate) fn next_wake(&self, limits: &Limits) -> Option<SimInstant> {
        let room = self.under_way.len() < limits.deliveries_in_flight;
        let ready = self.ready.first().filter(|_| room).map(|(at, _)| *at);
        ready.into_iter().chain(self.under_way.values().min().copied()).min()
    }

    /// Deliveries whose answer did not come in time.
    pub(crate) fn overdue(&self, now: SimInstant) -> Vec<u64> {
        self.under_way
            .iter()
            .filter(|(_, by)| **by <= now)
            .map(|(id, _)| *id)
            .collect()
    }

    /// What the user's answer means; status 0: not reached. 4xx is a dead letter at once, 2xx is taken.
    pub(crate) fn judge(&self, id: u64, status: u32, limits: &Limits) -> Settlement {
        let Some(waiting) = self.waiting.get(&id).filter(|_| self.under_way.contains_key(&id)) else {
            return Settlement::Unknown;
        };
        match status {
            200..=299 => Settlement::Taken,
            400..=499 => Settlement::Dead,
            _ if waiting.attempts >= limits.delivery_attempts => Settlement::Dead,
            _ => Settlement::Again,
        }
    }

    /// Puts an unanswered delivery back to wait: longer each time.
    pub(crate) fn again(&mut self, id: u64, now: SimInstant, limits: &Limits) {
        if self.under_way.remove(&id).is_none() {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&id) {
            let doublings = waiting.attempts.saturating_sub(1).min(20);
            let pause = limits.delivery_pause.as_millis().saturating_mul(1 << doublings);
            let pause = SimDuration::from_millis(pause.min(limits.delivery_pause_max.as_millis()));
            waiting.ready_at = Some(now + pause);
            self.ready.insert((now + pause, id));
        }
    }

    /// Takes a delivery out, with the number of its tries.
    pub(crate) fn take(&mut self, id: u64) -> Option<(Delivery, u32)> {
        self.under_way.remove(&id);
        let waiting = self.waiting.remove(&id)?;
        if let Some(at) = waiting.ready_at {
            self.ready.remove(&(at, id));
        }
        Some((waiting.delivery, waiting.attempts))
    }

    /// Keeps a dead letter, dropping the oldest beyond the limit.
    pub(crate) fn bury(&mut self, letter: DeadLetter, limits: &Limits) {
        if self.dead.len() >= limits.dead_letters_max {
            self.dead.pop_front();
        }
        self.dead.push_back(letter);
    }

    /// Takes a dead letter out, to be put into the outbox again under its old number.
    pub(crate) fn exhume(&mut self, id: u64) -> Option<Delivery> {
        let at = self.dead.iter().position(|letter| letter.delivery_id == id)?;
        Some(self.dead.remove(at)?.delivery())
    }

    /// The dead letters kept, oldest first.
    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.iter()
    }

    /// The oldest delivery, where there are as many as there may be.
    pub(crate) fn surplus(&self, limits: &Limits) -> Option<u64> {
        let full = self.waiting.len() >= limits.deliveries_waiting_max;
        self.waiting.keys().next().copied().filter(|_| full)
    }

    /// What is neither taken nor given up, oldest first.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.waiting.values().map(|waiting| &waiting.delivery)
    }

    /// Deliveries that are neither taken nor given up.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            delivery_attempts: 3,
            delivery_pause: SimDuration::from_secs(5),
            delivery_pause_max: SimDuration::from_secs(8),
            delivery_timeout: SimDuration::from_secs(60),
            deliveries_in_flight: 2,
            ..Limits::default()
        }
    }

    fn outbox(count: u64) -> Outbox {
        let mut outbox = Outbox::default();
        for _ in 0..count {
            let id = outbox.next_id();
            let delivery = Delivery {
                id,
                request: None,
                device: None,
                xml: Bytes::new(),
            };
            outbox.put(delivery, Some(SimInstant(0)));
        }
        outbox
    }

    fn next(outbox: &mut Outbox, now: i64) -> Option<u64> {
        outbox.next(SimInstant(now), &limits()).map(|delivery| delivery.id)
    }

    #[test]
    fn a_window_of_deliveries_goes_in_order() {
        let mut outbox = outbox(3);
        assert_eq!(
            [next(&mut outbox, 0), next(&mut outbox, 0), next(&mut outbox, 0)],
            [Some(1), Some(2), None]
        );
        assert_eq!(outbox.judge(1, 204, &limits()), Settlement::Taken);
        assert!(outbox.take(1).is_some());
        assert_eq!(outbox.judge(1, 204, &limits()), Settlement::Unknown, "a second answer");
        assert_eq!(next(&mut outbox, 0), Some(3));
    }

    #[test]
    fn refusals_are_final_and_failures_are_tried_again_up_to_the_limit() {
        let mut outbox = outbox(1);
        assert_eq!(next(&mut outbox, 0), Some(1));
        assert_eq!(outbox.judge(1, 400, &limits()), Settlement::Dead);
        for (now, pause) in [(0, 5000), (5000, 8000)] {
            assert_eq!(outbox.judge(1, 503, &limits()), Settlement::Again);
            assert_eq!(outbox.judge(1, 0, &limits()), Settlement::Again);
            outbox.again(1, SimInstant(now), &limits());
            assert_eq!(outbox.next_wake(&limits()), Some(SimInstant(now + pause)));
            assert_eq!(next(&mut outbox, now + pause - 1), None);
            assert_eq!(next(&mut outbox, now + pause), Some(1));
        }
        assert_eq!(outbox.judge(1, 0, &limits()), Settlement::Dead);
    }

    #[test]
    fn what_is_held_goes_only_once_released() {
        let mut outbox = Outbox::default();
        outbox.put(
            Delivery {
                id: 7,
                request: None,
                device: None,
                xml: Bytes::new(),
            },
            None,
        );
        assert_eq!(
            (next(&mut outbox, 99), outbox.next_wake(&limits()), outbox.len()),
            (None, None, 1)
        );
        outbox.release(7, SimInstant(100));
        assert_eq!((next(&mut outbox, 99), next(&mut outbox, 100)), (None, Some(7)));
        assert_eq!(outbox.overdue(SimInstant(60_099)), [0_u64; 0]);
        assert_eq!(outbox.overdue(SimInstant(60_100)), [7]);
    }

    #[test]
    fn dead_letters_are_kept_up_to_a_limit_and_come_back_under_their_number() {
        let limits = Limits {
            dead_letters_max: 1,
            ..limits()
        };
        let mut outbox = outbox(2);
        for id in [1, 2] {
            let (delivery, attempts) = outbox.take(id).unwrap();
            let letter = DeadLetter {
                user: Eui64(1),
                delivery_id: id,
                request: delivery.request,
                status: 400,
                attempts,
                xml: delivery.xml,
            };
            outbox.bury(letter, &limits);
        }
        assert_eq!(
            outbox
                .dead_letters()
                .map(|letter| letter.delivery_id)
                .collect::<Vec<_>>(),
            [2]
        );
        assert_eq!(outbox.exhume(2).map(|delivery| delivery.id), Some(2));
        assert_eq!((outbox.next_id(), outbox.len()), (3, 0));
    }
}
