//! Runs of several worlds: each on its own thread with its own virtual clock and chain, meeting at barriers.
//!
//! K is fixed by what is run, never by the number of cores. Worlds share nothing while they run; every virtual minute
//! they meet, and only there sums (quotas, caps, stops) are exchanged. So K worlds give the same bytes every time,
//! whatever the machine does. Where K is 1, nothing changes but that nobody is waited for.
//!
//! ```
//! use domain::{Seed, SimDuration, SimInstant};
//! use world::worlds::{self, Options, WorldContext};
//! let run = worlds::run(2, &Options::new(SimInstant(0), Seed::root(1)), async |context: WorldContext| {
//!     context.exchange.add("done", 1);
//!     context.exchange.exchanged().await;
//!     (context.world.number, context.exchange.sum("done"))
//! })?;
//! assert_eq!(run.results, [(0, 2), (1, 2)]);
//! # Ok::<(), worlds::WorldsError>(())
//! ```

mod meeting;

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use domain::seed::mix;
use domain::{Eui64, Seed, SimDuration, SimInstant};
use tokio::sync::Notify;

use crate::limits::{EXCHANGE_NAMES_MAX, WORLDS_MAX};
use crate::tape::{Digest, Tape, TapeRecord};
use crate::{Clock, Faults, World};
use meeting::{Aborted, Meeting, Report};

/// The world, of `worlds`, that the installation of this hub belongs to: the same on every machine and in every run.
#[must_use]
pub fn world_of(hub: Eui64, worlds: u32) -> u32 {
    u32::try_from(mix(hub.0, 0x5731) % u64::from(worlds.max(1))).unwrap_or(0)
}

/// How a run of worlds goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What the calendar shows at the start.
    pub start: SimInstant,
    /// Seed of the run.
    pub seed: Seed,
    /// A run that is not over then is ended with [`WorldsError::NotOver`].
    pub until: Option<SimInstant>,
    /// Records each world keeps; none: all of them. The digest is the same.
    pub keep: Option<usize>,
    /// Virtual time from one barrier to the next; at least a millisecond.
    pub barrier: SimDuration,
}

impl Options {
    /// Whole tapes, a barrier every minute, and no end but that of the work.
    #[must_use]
    pub fn new(start: SimInstant, seed: Seed) -> Self {
        Self {
            start,
            seed,
            until: None,
            keep: None,
            barrier: SimDuration::from_mins(1),
        }
    }
}

/// What the work of one world is given.
#[derive(Clone, Debug)]
pub struct WorldContext {
    /// The world; its number is less than `worlds`.
    pub world: World,
    /// How many worlds there are.
    pub worlds: u32,
    /// What crosses worlds.
    pub exchange: Exchange,
}

/// A run of worlds after its end.
#[derive(Clone, Debug)]
pub struct Run<T> {
    /// What the work gave, in order of the worlds.
    pub results: Vec<T>,
    /// Records kept, merged by time, world and sequence.
    pub records: Vec<TapeRecord>,
    /// How many records there were, kept or not.
    pub recorded: u64,
    /// The digest over all records.
    pub digest: Digest,
    /// The exchanged sums at the end.
    pub sums: BTreeMap<String, i64>,
}

/// Why a run of worlds gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldsError {
    /// The machine gave no thread or runtime.
    #[error("world {world} cannot start: {problem}")]
    CannotStart {
        /// Which world.
        world: u32,
        /// Why not.
        problem: String,
    },
    /// Zero worlds, or more than [`WORLDS_MAX`].
    #[error("{0} worlds, expected 1 to {WORLDS_MAX}")]
    Count(u32),
    /// The work of a world was not over at the instant given in the options.
    #[error("world {world} is not over at {at}")]
    NotOver {
        /// Which world.
        world: u32,
        /// The end given.
        at: SimInstant,
    },
    /// The work of a world panicked; the others were ended.
    #[error("world {world} panicked: {message}")]
    Panicked {
        /// Which world.
        world: u32,
        /// What it said.
        message: String,
    },
}

/// Sums across all worlds, brought up to date at barriers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Exchange(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sums: Mutex<Sums>,
    exchanged: Notify,
}

#[derive(Debug, Default)]
struct Sums {
    /// Of all worlds at the last barrier.
    agreed: Arc<BTreeMap<String, i64>>,
    /// Of this world since.
    own: BTreeMap<String, i64>,
}

impl Exchange {
    /// Adds to a sum; other worlds see it after the next barrier. A new name beyond [`EXCHANGE_NAMES_MAX`] in one
    /// interval is ignored with a warning.
    pub fn add(&self, name: &str, amount: i64) {
        self.lock(|sums| {
            if let Some(sum) = sums.own.get_mut(name) {
                *sum = sum.saturating_add(amount);
            } else if sums.own.len() < EXCHANGE_NAMES_MAX {
                sums.own.insert(name.to_owned(), amount);
            } else {
                tracing::warn!(name, "too many names to exchange: ignored");
            }
        });
    }

    /// The sum over all worlds as of the last barrier, and over this world as of now.
    #[must_use]
    pub fn sum(&self, name: &str) -> i64 {
        let part = |sums: &BTreeMap<String, i64>| sums.get(name).copied().unwrap_or(0);
        self.lock(|sums| part(&sums.agreed).saturating_add(part(&sums.own)))
    }

    /// Waits for the next barrier to be over. Safe to cancel.
    pub async fn exchanged(&self) {
        self.0.exchanged.notified().await;
    }

    fn take_own(&self) -> BTreeMap<String, i64> {
        self.lock(|sums| std::mem::take(&mut sums.own))
    }

    fn agree(&self, agreed: Arc<BTreeMap<String, i64>>) {
        self.lock(|sums| sums.agreed = agreed);
        self.0.exchanged.notify_waiters();
    }

    fn lock<R>(&self, act: impl FnOnce(&mut Sums) -> R) -> R {
        act(&mut self.0.sums.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs `work` in `count` worlds and merges what they give. Blocks the calling thread; not to be called inside a runtime.
///
/// A world whose work is over keeps meeting the others until all are over. Each world's work owns its tasks: what it
/// leaves running ends with it.
///
/// # Errors
/// [`WorldsError`]; the first world that fails ends all others at their next barrier.
pub fn run<T, F, W>(count: u32, options: &Options, work: F) -> Result<Run<T>, WorldsError>
where
    T: Send,
    F: Fn(WorldContext) -> W + Sync,
    W: Future<Output = T>,
{
    run_between(count, options, &|_| {}, work)
}

/// The same, with something that the worlds have in common: `between` is called once at each barrier, with its instant,
/// on the thread of the world that came last, while all others stand still. What it finds is what every world did before
/// that instant, and every world sees what it did once [`Exchange::exchanged`] is over; in between nothing but `between`
/// may touch what is shared, or the order of threads would show.
///
/// # Errors
/// [`WorldsError`]; the first world that fails ends all others at their next barrier.
pub fn run_between<T, F, W>(
    count: u32,
    options: &Options,
    between: &(dyn Fn(SimInstant) + Sync),
    work: F,
) -> Result<Run<T>, WorldsError>
where
    T: Send,
    F: Fn(WorldContext) -> W + Sync,
    W: Future<Output = T>,
{
    if !(1..=WORLDS_MAX).contains(&count) {
        return Err(WorldsError::Count(count));
    }
    let meeting = Meeting::new(count, options.until, between);
    let ends: Vec<Option<(T, Tape)>> = std::thread::scope(|scope| {
        let (meeting, work) = (&meeting, &work);
        let start = |number| {
            let thread = std::thread::Builder::new().name(format!("world-{number}"));
            thread.spawn_scoped(scope, move || live(number, count, options, meeting, work))
        };
        let threads: Vec<_> = (0..count).map(|number| (number, start(number))).collect();
        let end = |(number, thread): (u32, std::io::Result<std::thread::ScopedJoinHandle<'_, _>>)| match thread {
            Ok(thread) => thread.join().ok().flatten(),
            Err(error) => {
                meeting.fail(WorldsError::CannotStart {
                    world: number,
                    problem: error.to_string(),
                });
                None
            }
        };
        // A thread that did not start must be reported before waiting for those that did.
        let (started, failed): (Vec<_>, Vec<_>) = threads.into_iter().partition(|(_, thread)| thread.is_ok());
        failed.into_iter().for_each(|thread| drop(end(thread)));
        started.into_iter().map(end).collect()
    });
    let (sums, digest) = meeting.close()?;
    let mut results = Vec::with_capacity(ends.len());
    let mut records = Vec::new();
    let mut recorded = 0;
    for (result, tape) in ends.into_iter().flatten() {
        results.push(result);
        recorded += tape.recorded();
        records.extend(tape.records());
    }
    records.sort_by_key(|record| (record.at, record.world, record.sequence));
    let digest = if options.keep.is_some() {
        digest
    } else {
        crate::tape::digest(&records)
    };
    Ok(Run {
        results,
        records,
        recorded,
        digest,
        sums,
    })
}

/// One world from its start to the end of all.
fn live<T, F, W>(number: u32, count: u32, options: &Options, meeting: &Meeting<'_>, work: &F) -> Option<(T, Tape)>
where
    F: Fn(WorldContext) -> W,
    W: Future<Output = T>,
{
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            meeting.fail(WorldsError::CannotStart {
                world: number,
                problem: error.to_string(),
            });
            return None;
        }
    };
    let tape = options.keep.map_or_else(Tape::default, Tape::keeping_merged);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(live_through(number, count, options, meeting, work, tape.clone()))
    }));
    match lived {
        Ok(Ok(result)) => Some((result, tape)),
        Ok(Err(Aborted)) => None,
        Err(panic) => {
            meeting.fail(WorldsError::Panicked {
                world: number,
                message: panic_message(panic.as_ref()),
            });
            None
        }
    }
}

async fn live_through<T, F, W>(
    number: u32,
    count: u32,
    options: &Options,
    meeting: &Meeting<'_>,
    work: &F,
    tape: Tape,
) -> Result<T, Aborted>
where
    F: Fn(WorldContext) -> W,
    W: Future<Output = T>,
{
    let clock = Clock::new(options.start, 1.0, 1.0);
    let exchange = Exchange::default();
    let world = World {
        number,
        clock: clock.clone(),
        seed: options.seed,
        tape: tape.clone(),
        faults: Faults::default(),
    };
    let mut work = pin!(work(WorldContext {
        world,
        worlds: count,
        exchange: exchange.clone()
    }));
    let step = SimDuration(options.barrier.0.max(1));
    let mut barrier = options.start + step;
    let report = |barrier, over| Report {
        world: number,
        barrier,
        sums: exchange.take_own(),
        tape: &tape,
        over,
    };
    let result = loop {
        tokio::select! {
            biased;
            result = &mut work => break result,
            () = clock.sleep_until(barrier) => {
                let agreed = meeting.meet(report(barrier, false))?;
                exchange.agree(agreed.sums);
                barrier += step;
            }
        }
    };
    // Others may still be at work: meet them at every barrier until all are over.
    loop {
        if meeting.meet(report(barrier, true))?.all_over {
            return Ok(result);
        }
        barrier += step;
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}
