//! Estates and hub tasks: one async task per communications hub, driving one pure `meter::Installation`.
//!
//! This crate deliberately does not decide what a device does (`meter`), how it says so in bytes (`dialects`) or how the
//! octets travel (`wan`). Nobody but tests and checks reads the truth of its devices.

pub mod estate;

pub use estate::{Estate, EstateError, Site, SiteDevice, Template};
