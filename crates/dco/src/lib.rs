//! The Dual Control Organisation: the second pair of eyes on every critical step.
//!
//! It verifies the user's signature and the DCC's countersignature for itself, reads the user's request for itself, asks
//! [`steps::permits`] (which knows nothing of the S1SP's plan) whether that request allows that operation with those
//! arguments on that device, and only then makes the approval that the device checks. Each step of each request is
//! approved at most once; counters rise per device and are in the journal before the reply is sent.
//!
//! It deliberately does not know: device profiles, plans, sessions, what a device did with an approval, or anything the
//! S1SP says beyond the signed octets that it passes on.

pub mod audit;
mod judge;
mod role;
mod used;

pub use judge::{Denied, Judge, Options, Thresholds};
pub use role::Dco;
