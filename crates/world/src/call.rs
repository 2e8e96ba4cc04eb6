//! Request and reply with a time-out over one link: many calls outstanding, replies matched by `in_reply_to`.
//!
//! ```
//! use domain::{Seed, SimDuration, SimInstant};
//! use proto::{Envelope, Kind};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let world = world::World::virtual_at(SimInstant(0), Seed::root(1));
//! let (s1sp, dco) = world.link("s1sp", "dco");
//! let (caller, mut router) = world::call::split(s1sp);
//! let (dco_sender, mut dco_receiver) = dco.split();
//! let answer = async {
//!     let request = dco_receiver.recv().await.unwrap();
//!     dco_sender.reply(&request, Kind::ApprovalReply, b"").await.unwrap();
//! };
//! let ask = caller.call(Envelope::default(), Kind::ApprovalRequest, b"", SimDuration::from_secs(5));
//! tokio::select! {
//!     biased;
//!     (reply, ()) = async { tokio::join!(ask, answer) } => assert_eq!(reply.unwrap().kind(), Kind::ApprovalReply),
//!     _ = router.recv() => unreachable!("only the reply comes"),
//! }
//! # });
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::SimDuration;
use proto::{Envelope, Kind};
use tokio::sync::oneshot;

use crate::limits::OUTSTANDING_CALLS;
use crate::link::{LinkClosed, LinkEnd, LinkReceiver, LinkSender};

/// Why a call brought no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other end is gone, before or after the request went out.
    #[error(transparent)]
    Closed(#[from] LinkClosed),
    /// No reply came in time; the other end may still be working on it.
    #[error("no reply on link {link} within {allowed}")]
    NoReply {
        /// Which link.
        link: String,
        /// How long was waited.
        allowed: SimDuration,
    },
    /// [`OUTSTANDING_CALLS`] are waiting already; nothing was sent.
    #[error("link {link} has too many calls outstanding")]
    TooManyOutstanding {
        /// Which link.
        link: String,
    },
}

/// Splits a link end into the half that calls and the half that receives.
///
/// Replies reach their callers only while someone drives [`Router::recv`]: usually the loop of the role.
#[must_use]
pub fn split(end: LinkEnd) -> (Caller, Router) {
    let (sender, receiver) = end.split();
    let waiting = Waiting::default();
    (
        Caller {
            sender,
            waiting: waiting.clone(),
        },
        Router { receiver, waiting },
    )
}

/// The calling half; cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    sender: LinkSender,
    waiting: Waiting,
}

/// The receiving half: completes waiting calls and passes everything else on.
#[derive(Debug)]
pub struct Router {
    receiver: LinkReceiver,
    waiting: Waiting,
}

#[derive(Clone, Debug, Default)]
struct Waiting(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<u64, oneshot::Sender<Envelope>>,
    closed: bool,
}

/// Forgets the call when its future is dropped.
struct Registration<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Caller {
    /// Sends a request and waits for its reply. `envelope` as in [`LinkSender::send`].
    ///
    /// Safe to cancel: a reply that comes later is passed on by the router like anything else.
    ///
    /// # Errors
    /// [`CallError`]; a lost request and a lost reply both show as [`CallError::NoReply`].
    pub async fn call(
        &self,
        envelope: Envelope,
        kind: Kind,
        body: &[u8],
        allowed: SimDuration,
    ) -> Result<Envelope, CallError> {
        let id = self.sender.reserve_id();
        let (complete, reply) = oneshot::channel();
        let registration = self.register(id, complete)?;
        let clock = self.sender.clock().clone();
        let work = async {
            self.sender.send_as(id, envelope, kind, body).await?;
            reply.await.map_err(|_| CallError::Closed(self.sender.closed()))
        };
        let outcome = clock.timeout(allowed, work).await;
        drop(registration);
        outcome.unwrap_or_else(|_| {
            Err(CallError::NoReply {
                link: self.sender.name().to_string(),
                allowed,
            })
        })
    }

    /// The plain sending half, for messages without a reply.
    #[must_use]
    pub fn sender(&self) -> &LinkSender {
        &self.sender
    }

    /// Calls that wait for their reply now.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.waiting.lock(|state| state.calls.len())
    }

    fn register(&self, id: u64, complete: oneshot::Sender<Envelope>) -> Result<Registration<'_>, CallError> {
        self.waiting.lock(|state| {
            if state.closed {
                return Err(CallError::Closed(self.sender.closed()));
            }
            if state.calls.len() >= OUTSTANDING_CALLS {
                return Err(CallError::TooManyOutstanding {
                    link: self.sender.name().to_string(),
                });
            }
            state.calls.insert(id, complete);
            Ok(Registration {
                waiting: &self.waiting,
                id,
            })
        })
    }
}

impl Router {
    /// The next envelope that answers no waiting call; `None` once every sender of the other end is gone.
    ///
    /// A reply that comes too late or twice answers no waiting call and is passed on too: roles ignore what they do not
    /// expect. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Envelope> {
        loop {
            let Some(envelope) = self.receiver.recv().await else {
                self.close();
                return None;
            };
            let complete = match envelope.in_reply_to {
                0 => None,
                id => self.waiting.lock(|state| state.calls.remove(&id)),
            };
            match complete {
                None => return Some(envelope),
                Some(complete) => {
                    if let Err(late) = complete.send(envelope) {
                        return Some(late);
                    }
                }
            }
        }
    }

    fn close(&self) {
        // Dropping the senders wakes every waiting call with "closed".
        self.waiting.lock(|state| {
            state.closed = true;
            state.calls.clear();
        });
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.close();
    }
}

impl Waiting {
    fn lock<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.waiting.lock(|state| state.calls.remove(&self.id));
    }
}
