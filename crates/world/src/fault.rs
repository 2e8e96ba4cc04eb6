//! The fault hook: rules asked in order before every delivery on every link.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::{SimDuration, SimInstant};
use proto::Envelope;

use crate::link::LinkName;

/// What becomes of one envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Delivered as if nothing were.
    Pass,
    /// Lost.
    Drop,
    /// Delivered later.
    Delay(SimDuration),
    /// Delivered twice.
    Duplicate,
    /// Not delivered, but another body in its envelope: that of [`FaultHook::replacement`].
    Replace,
}

/// One fault rule. It may keep its own counters and generator.
pub trait FaultHook: Send {
    /// Judges one envelope about to be delivered on `link`.
    fn judge(&mut self, link: &LinkName, envelope: &Envelope, now: SimInstant) -> Verdict;

    /// The body that is delivered instead, asked for once after each [`Verdict::Replace`].
    fn replacement(&mut self) -> Bytes {
        Bytes::new()
    }
}

impl<F: FnMut(&LinkName, &Envelope, SimInstant) -> Verdict + Send> FaultHook for F {
    fn judge(&mut self, link: &LinkName, envelope: &Envelope, now: SimInstant) -> Verdict {
        self(link, envelope, now)
    }
}

/// The rules in force, asked in the order they were installed; the first that does not pass decides.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Box<dyn FaultHook>>>>);

impl Faults {
    /// Adds a rule after those in force.
    pub fn install(&self, hook: impl FaultHook + 'static) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(hook));
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Loses everything, both ways, on the links between these two roles. Prefixes match: `user` means every user.
    pub fn cut(&self, left: &str, right: &str) {
        let (left, right) = (left.to_owned(), right.to_owned());
        self.install(move |link: &LinkName, _: &Envelope, _: SimInstant| {
            if link.joins(&left, &right) {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
    }

    /// The verdict, with the other body of a replaced envelope.
    pub(crate) fn judge<'e>(
        &self,
        link: &LinkName,
        now: SimInstant,
        envelope: impl Fn() -> &'e Envelope,
    ) -> (Verdict, Option<Bytes>) {
        let mut hooks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in hooks.iter_mut() {
            match hook.judge(link, envelope(), now) {
                Verdict::Pass => {}
                Verdict::Replace => return (Verdict::Replace, Some(hook.replacement())),
                other => return (other, None),
            }
        }
        (Verdict::Pass, None)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Faults({})",
            self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
        )
    }
}
