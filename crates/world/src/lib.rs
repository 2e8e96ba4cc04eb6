//! What every role runs in: [`Clock`], [`link`], [`Store`], the [`tape`] and the fault hook on every link, worlds and
//! barriers.
//!
//! This crate deliberately knows no device, no DUIS, no socket and no file: sockets, TLS and disk live in `lab`.
//!
//! A role takes a [`World`] and its link ends, and runs until its links close:
//!
//! ```
//! use proto::{Envelope, Kind};
//! # use domain::{Seed, SimInstant};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let world = world::World::virtual_at(SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap(), Seed::root(1));
//! let (dcc, mut s1sp) = world.link("dcc", "s1sp");
//! dcc.send(Envelope { trace_id: "example".into(), ..Envelope::default() }, Kind::Accepted, b"").await.unwrap();
//! assert_eq!(s1sp.recv().await.unwrap().from, "dcc");
//! # });
//! ```

pub mod call;
pub mod clock;
pub mod credentials;
pub mod fault;
pub mod file_set;
pub mod limits;
pub mod link;
pub mod sealed;
pub mod semantic;
pub mod store;
pub mod tape;
mod tree;
pub mod worlds;

use std::sync::Arc;

use domain::{Seed, SimInstant};

pub use call::{CallError, Caller, Router};
pub use clock::{Clock, Elapsed};
pub use fault::{FaultHook, Faults, Verdict};
pub use link::{ForwardError, LinkClosed, LinkEnd, LinkName, LinkReceiver, LinkSender, LinkSocket};
pub use store::{MemoryStore, Store, StoreError};
pub use tape::{Digest, Tape, TapeRecord};

/// The surroundings of one world: its number, clock, seed, tape and fault hook. Cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    /// Number of the world, from 0.
    pub number: u32,
    /// The clock of this world.
    pub clock: Clock,
    /// Seed of this run (the same in all worlds).
    pub seed: Seed,
    /// Where every envelope on every link is recorded.
    pub tape: Tape,
    /// Asked before every delivery.
    pub faults: Faults,
}

impl World {
    /// A world on the virtual clock, to be used inside a current-thread runtime whose time is paused.
    #[must_use]
    pub fn virtual_at(start: SimInstant, seed: Seed) -> Self {
        Self {
            number: 0,
            clock: Clock::new(start, 1.0, 1.0),
            seed,
            tape: Tape::default(),
            faults: Faults::default(),
        }
    }

    /// A link between two roles of this world: the first end is `left`'s.
    #[must_use]
    pub fn link(&self, left: &str, right: &str) -> (LinkEnd, LinkEnd) {
        link::pair(self, Arc::from(left), Arc::from(right))
    }
}
