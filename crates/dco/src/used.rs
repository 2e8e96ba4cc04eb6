//! Which requests have had which approvals: nothing is approved twice, however late it is asked again.

use std::collections::BTreeMap;

use domain::{Eui64, RequestId};

/// Requests per originator and target whose approvals are remembered one by one. Older ones, by their counter, are known
/// only as "not any more": they get no approval.
const RECENT: usize = 64;

/// Steps of one request that may need approval.
pub(crate) const STEPS: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Used(BTreeMap<(Eui64, Eui64), Pair>);

#[derive(Debug, Default)]
struct Pair {
    /// Counters up to here get no approval; `None` while none were forgotten.
    forgotten: Option<u64>,
    recent: BTreeMap<u64, Vec<(u32, u64)>>,
}

/// Why a further approval is out of the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    /// This step, or this operation, was approved for this request.
    Approved,
    /// So many later requests were approved that this one can no longer be told from a repeated one.
    TooOld,
    /// More steps of one request than any plan has.
    TooMany,
}

impl Used {
    pub(crate) fn check(&self, request: RequestId, step: u32, mark: u64) -> Result<(), Again> {
        let Some(pair) = self.0.get(&(request.originator, request.target)) else {
            return Ok(());
        };
        match pair.recent.get(&request.counter) {
            Some(steps) if steps.iter().any(|(s, m)| *s == step || *m == mark) => Err(Again::Approved),
            Some(steps) if steps.len() >= STEPS => Err(Again::TooMany),
            None if pair.forgotten.is_some_and(|floor| request.counter <= floor) => Err(Again::TooOld),
            _ => Ok(()),
        }
    }

    pub(crate) fn note(&mut self, request: RequestId, step: u32, mark: u64) {
        let pair = self.0.entry((request.originator, request.target)).or_default();
        pair.recent.entry(request.counter).or_default().push((step, mark));
        while pair.recent.len() > RECENT {
            if let Some((counter, _)) = pair.recent.pop_first() {
                pair.forgotten = pair.forgotten.max(Some(counter));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_approved_twice_however_many_come_between() {
        let request = |counter| RequestId {
            originator: Eui64(1),
            target: Eui64(2),
            counter,
        };
        let mut used = Used::default();
        assert_eq!(used.check(request(5), 1, 7), Ok(()));
        used.note(request(5), 1, 7);
        assert_eq!(used.check(request(5), 1, 8), Err(Again::Approved));
        assert_eq!(used.check(request(5), 2, 7), Err(Again::Approved));
        assert_eq!(used.check(request(5), 2, 8), Ok(()));
        assert_eq!(used.check(request(4), 1, 7), Ok(()));
        for counter in 6..200 {
            used.note(request(counter), 1, 7);
        }
        assert_eq!(used.check(request(5), 1, 7), Err(Again::TooOld));
        assert_eq!(used.check(request(4), 1, 7), Err(Again::TooOld));
        assert_eq!(used.check(request(200), 1, 7), Ok(()));
    }
}
