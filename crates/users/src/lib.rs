//! DUIS client and simulated users: ordinary peers of the DCC.
//!
//! A [`Client`] signs requests, keeps their counters, posts them over its link, waits for acknowledgement and outcome, and
//! proves every message that comes back: structure, the DCC's signature, the S1SP's signature inside.
//! [`orders`] has the requests of this lab; [`Supplier`] is a user that runs through a list of them.
//!
//! This crate deliberately knows nothing of the roles behind the DCC, and no HTTP: `lab::user_http` puts sockets around its
//! link, for a user that speaks to a front door elsewhere.
//!
//! ```
//! use domain::Eui64;
//! let (dcc, meter) = (Eui64(0x90B3_D51F_3000_0002), Eui64(0x00DB_1234_5678_90A0));
//! let order = users::orders::disable_supply(meter);
//! assert_eq!((order.command_variant, order.path()), (1, "/api/v1/serviceS"));
//! assert_eq!(users::orders::read_inventory(dcc, meter).path(), "/api/v1/serviceD");
//! ```

mod client;
mod delivery;
pub mod orders;
mod supplier;

pub use client::{Client, ClientError, ClientTask, Delivery, Exchange, Options, Order, Reply, Signed, UNSOLICITED_MAX};
pub use delivery::{DeliveryError, Message, read};
pub use supplier::{Done, Supplier};
