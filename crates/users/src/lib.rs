//! DUIS client and simulated users: ordinary peers of the DCC.
//!
//! A [`Client`] signs requests, keeps their counters, posts them over its link, waits for acknowledgement and outcome, and
//! proves every message that comes back: structure, the DCC's signature, the S1SP's signature inside.
//! [`orders`] has the requests of this lab; [`Supplier`] is a user that runs through a list of them.
//!
//! This crate deliberately knows nothing of the roles behind the DCC, and no HTTP: lab puts a socket around its link.

mod client;
mod delivery;
pub mod orders;
mod supplier;

pub use client::{Client, ClientError, ClientTask, Delivery, Exchange, Options, Order, Reply, Signed, UNSOLICITED_MAX};
pub use delivery::{DeliveryError, Message, read};
pub use supplier::{Done, Supplier};
