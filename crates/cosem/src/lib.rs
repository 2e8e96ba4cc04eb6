//! DLMS/COSEM codec, both ends, sans-IO.
//!
//! Octets go in, octets and values come out. It covers the TCP wrapper, HDLC frames and connections, application
//! associations (no security, low level security with a password, high level security with GMAC), security suite 0 in the
//! service-specific and the general form, GET, SET and ACTION with block transfer in both directions, selective access,
//! exceptions and notifications.
//!
//! It deliberately does not know any object, meter or market, keeps no keys or counters, reads no clock, opens no socket
//! and draws no random number: a [`server::Server`] or [`client::Keys`] of the caller supplies all of that. Short names and
//! the ECDSA suites are not here.
//!
//! Strictness: octets after a complete value are an error, every length is checked before anything is reserved, and nothing
//! that arrives can panic. A prefix of a valid frame decodes to [`DecodeError::NeedMore`].
//!
//! ```
//! use cosem::{Data, DecodeError};
//! let mut octets = Vec::new();
//! Data::Structure(vec![Data::Int8(0), Data::Enum(30)]).encode(&mut octets);
//! assert_eq!(octets, [2, 2, 15, 0, 22, 30]);
//! assert_eq!(Data::decode_all(&octets)?, Data::Structure(vec![Data::Int8(0), Data::Enum(30)]));
//! assert_eq!(Data::decode_all(&octets[..3]), Err(DecodeError::NeedMore));
//! # Ok::<(), DecodeError>(())
//! ```

pub mod acse;

pub mod client;
pub mod codec;
pub mod data;
pub mod hdlc;
pub mod initiate;
pub mod request;
pub mod response;
pub mod security;
pub mod server;

mod time;
mod transfer;

pub mod types;
pub mod wrapper;
pub mod write;

pub use codec::DecodeError;
pub use data::Data;
pub use time::DateTime;
pub use types::{AccessResult, ActionResult, Attribute, CaptureObject, Method, Obis, Selection};
