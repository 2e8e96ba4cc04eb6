//! The one inbox of a hub: bounded, and a hundred octets while empty, where a channel would take kilobytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Messages an inbox holds; one more is refused.
pub(crate) const INBOX_MAX: usize = 64;

/// The inbox of one hub; clones share it.
pub(crate) struct Inbox<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    queue: VecDeque<T>,
    waker: Option<Waker>,
    /// Something was refused since the last look.
    overrun: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            queue: VecDeque::new(),
            waker: None,
            overrun: false,
        })))
    }

    /// Adds a message and wakes the hub; `false` when the inbox is full.
    pub(crate) fn push(&self, message: T) -> bool {
        let (taken, waker) = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = state.queue.len() < INBOX_MAX;
            if taken {
                state.queue.push_back(message);
            } else {
                state.overrun = true;
            }
            (taken, state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        taken
    }

    /// The oldest message; remembers whom to wake when there is none.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.queue.pop_front() {
            Some(message) => {
                if state.queue.is_empty() {
                    // An idle hub keeps no buffer.
                    state.queue = VecDeque::new();
                }
                Poll::Ready(message)
            }
            None => {
                if !state
                    .waker
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(context.waker()))
                {
                    state.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Whether a message was refused since the last call.
    pub(crate) fn take_overrun(&self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).overrun)
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
