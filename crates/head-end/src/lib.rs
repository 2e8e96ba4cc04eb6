//! The head-end: the system that the SMSO runs before enrolment and the S1SP after it. It wakes hubs, holds sessions,
//! executes operations one at a time per hub, retries, and matches late results of sleeping gas meters.
//!
//! It deliberately does not know: service requests, DUIS, who asked and whether they may, how an installation behaves,
//! or bytes of any dialect (those are `dialects`'). Each instance has its own keys ([`Custody`]) and its own journal; no
//! two roles share an engine.
//!
//! An [`Engine`] runs; its [`Handle`] executes [`Job`]s. Every job has exactly one end: what the device said, or a
//! [`Failure`] that names the hop. One task exists per active hub, none for idle hubs, whose state is a few counters.
//!
//! ```
//! use domain::keys::{Party, RelationSecret};
//! use domain::{DataItem, DeviceKind, Eui64, Operation, Seed, SimDuration, SimInstant};
//! use head_end::{Custody, Directory, Engine, FailureKind, Job, Options};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let world = world::World::virtual_at(SimInstant(0), Seed::root(1));
//! let (wan, _network) = world.link("s1sp", "wan");
//! let custody = Custody { party: Party::S1sp, relation: RelationSecret::new([1; 32]), system_title: *b"LABS1SP\x01" };
//! let store = Box::new(world::MemoryStore::default());
//! let (engine, handle, _alerts) =
//!     Engine::new(world.clone(), "s1sp", wan, custody, Directory::default(), Options::default(), store).unwrap();
//! let stop = tokio_util::sync::CancellationToken::new();
//! let running = tokio::spawn(engine.run(stop.clone()));
//! let job = Job {
//!     trace_id: "example".into(),
//!     hub: Eui64(1),
//!     device: Eui64(2),
//!     slot: DeviceKind::Esme,
//!     operation: Operation::Read(DataItem::ActiveImport),
//!     approval: None,
//!     deadline: world.clock.now() + SimDuration::from_mins(10),
//! };
//! assert_eq!(handle.execute(job).await.unwrap_err().kind, FailureKind::Unknown, "an empty directory");
//! stop.cancel();
//! running.await.unwrap();
//! # });
//! ```

mod attached;
mod by_text;
mod counters;
mod custody;
mod directory;
mod engine;
mod hub;
pub mod image;
mod job;
mod models;
mod session_keys;
mod shared;
mod smso;
pub mod survey;
mod texts;
mod units;

pub use counters::{Counter, CounterUse, Counters, RANGE};
pub use custody::Custody;
pub use directory::{Device, Directory, KeyEpoch, Site, Standing};
pub use engine::{Engine, Handle, Options};
pub use job::{DeviceAlert, Failure, FailureKind, Hop, Job};
pub use models::Models;
pub use smso::{OnFile, OnFiles, Smso, SmsoLinks, SmsoOptions, SmsoStores};
pub use texts::TextMessages;
