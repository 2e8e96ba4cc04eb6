//! Which requests of sequences have ended, and which wait for one that has not.

use std::collections::{BTreeMap, VecDeque};

use domain::RequestId;

use crate::index::take_out;

/// Remembers the outcomes of requests of sequences, and who waits for whom.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    ended: BTreeMap<RequestId, bool>,
    order: VecDeque<RequestId>,
    waiting: BTreeMap<RequestId, Vec<RequestId>>,
}

impl Sequences {
    /// Remembers that a request ended, and whether it succeeded. Beyond `limit` the oldest are forgotten.
    pub(crate) fn ended(&mut self, id: RequestId, succeeded: bool, limit: usize) {
        if self.ended.insert(id, succeeded).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > limit {
            if let Some(oldest) = self.order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
    }

    /// Whether a request of a sequence succeeded; none: it has not ended, or is not known.
    pub(crate) fn outcome(&self, id: RequestId) -> Option<bool> {
        self.ended.get(&id).copied()
    }

    /// All outcomes remembered, oldest first.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (RequestId, bool)> {
        self.order.iter().filter_map(|id| Some((*id, *self.ended.get(id)?)))
    }

    /// `id` waits for `preceding`.
    pub(crate) fn wait(&mut self, id: RequestId, preceding: RequestId) {
        self.waiting.entry(preceding).or_default().push(id);
    }

    /// All that wait, those for the same one in the order they came.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = RequestId> {
        self.waiting.values().flatten().copied()
    }

    /// Who waited for `preceding`, in the order they came; they wait no longer.
    pub(crate) fn followers(&mut self, preceding: RequestId) -> Vec<RequestId> {
        self.waiting.remove(&preceding).unwrap_or_default()
    }

    /// `id` waits no longer.
    pub(crate) fn forget(&mut self, id: RequestId, preceding: RequestId) {
        take_out(&mut self.waiting, &preceding, &id);
    }
}

#[cfg(test)]
mod tests {
    use domain::Eui64;

    use super::*;

    fn id(counter: u64) -> RequestId {
        RequestId {
            originator: Eui64(1),
            target: Eui64(2),
            counter,
        }
    }

    #[test]
    fn the_oldest_outcomes_are_forgotten_first() {
        let mut sequences = Sequences::default();
        for counter in 1..=3 {
            sequences.ended(id(counter), counter != 2, 2);
        }
        let outcomes: Vec<_> = (1..=3).map(|counter| sequences.outcome(id(counter))).collect();
        assert_eq!(outcomes, [None, Some(false), Some(true)]);
        assert_eq!(
            sequences.outcomes().collect::<Vec<_>>(),
            [(id(2), false), (id(3), true)]
        );
    }

    #[test]
    fn followers_go_in_the_order_they_came_once() {
        let mut sequences = Sequences::default();
        sequences.wait(id(5), id(1));
        sequences.wait(id(4), id(1));
        sequences.wait(id(6), id(1));
        sequences.forget(id(6), id(1));
        assert_eq!(sequences.followers(id(1)), [id(5), id(4)]);
        assert!(sequences.followers(id(1)).is_empty());
    }
}
