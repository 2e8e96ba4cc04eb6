//! Messages between roles, the WAN tunnel and the semantic device interface, generated from `/proto`.
//!
//! This crate deliberately knows nothing of the field: names of items, units and refusals travel as text, and
//! `world::semantic` turns them into `domain` types.

/// The generated messages of package `s1lab.v1`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::disallowed_types,
    unused_qualifications,
    unreachable_pub
)]
pub mod v1 {
    tonic::include_proto!("s1lab.v1");
}

/// Reason of a [`WanClose`] by which a head-end ends a connection after it has heard everything: what the hub told on it need
/// not be told again.
pub const RELEASED: &str = "released";

pub use prost::Message;
pub use v1::*;
