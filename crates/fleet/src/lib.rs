//! Estates and hub tasks: one async task per communications hub, driving one pure [`meter::Installation`].
//!
//! This crate deliberately does not decide what a device does (`meter`), how it says so in bytes (`dialects`) or how the
//! octets travel (`wan`). Nobody but tests and checks reads the truth of its devices.
//!
//! ```
//! let estate = fleet::Estate::builtin("sit")?;
//! let first = estate.devices().next().expect("a device");
//! assert_eq!(first.hub.to_string(), "02-1A-B0-01-01-00-00-01");
//! # Ok::<(), fleet::EstateError>(())
//! ```

pub mod estate;
mod export;
mod face;
mod fleet;
mod handle;
mod hub;
mod inbox;
mod journal;
pub mod line;
pub mod probe;
mod readings;

pub use estate::{Combination, Csv, Estate, EstateError, Site, SiteDevice, SiteFault, Surroundings, Template};
pub use export::{devices_csv, registration_csv};
pub use face::Face;
pub use fleet::{Fleet, FleetError, Share};
pub use handle::{AskError, ConsumerAct, DIRECT_PIECES, DeviceChange, DeviceStatus, DirectSession, Handle, Truth};
pub use hub::{DIRECT_MAX, PENDING_MAX};
