//! The head-end: the system that the SMSO runs before enrolment and the S1SP after it. It wakes hubs, holds sessions,
//! executes operations one at a time per hub, retries, and matches late results of sleeping gas meters.
//!
//! It deliberately does not know: service requests, DUIS, who asked and whether they may, how an installation behaves,
//! or bytes of any dialect (those are `dialects`'). Each instance has its own keys ([`Custody`]) and its own journal; no
//! two roles share an engine.
//!
//! An [`Engine`] runs; its [`Handle`] executes [`Job`]s. Every job has exactly one end: what the device said, or a
//! [`Failure`] that names the hop. One task exists per active hub, none for idle hubs, whose state is a few counters.

mod counters;
mod custody;
mod directory;
mod engine;
mod hub;
mod job;
mod session_keys;
mod shared;
mod smso;

pub use counters::{CounterUse, Counters, RANGE};
pub use custody::Custody;
pub use directory::{Device, Directory, Site};
pub use engine::{Engine, Handle, Options};
pub use job::{DeviceAlert, Failure, FailureKind, Hop, Job};
pub use smso::{Smso, SmsoOptions};
