//! Builds a lab from one [`Config`]: clocks, sockets, TLS, PKI, custody, disk.
//!
//! This is the one room with sockets, TLS and files; everything below speaks to links, clocks and stores. It deliberately
//! holds no rule of the field: who may do what is decided in `dcc`, `dco`, `steps` and the device side.
//!
//! [`embedded::Lab`] is a lab in memory for tests and virtual runs; [`up`] is a lab on sockets.

pub mod audit;
pub mod calendar;
pub mod callback;
pub mod chain;
mod commissioning;
pub mod config;
pub mod crypto;
pub mod custody;
pub mod drafting;
pub mod duis_http;
pub mod embedded;
pub mod explain;
pub mod expose;
pub mod faces;
pub mod file_store;
pub mod files;
pub mod forward;
mod known;
pub mod listen;
pub mod live;
pub mod lookup_http;
pub mod messages;
pub mod operate;
pub mod parts;
pub mod pki;
mod products;
mod registration;
pub mod requests;
pub mod tape_file;
pub mod tls;
pub mod tunnel;
pub mod up;
pub mod user_http;
pub mod user_port;
pub mod view;

pub use chain::Role;
pub use config::{ClockMode, Config, ConfigError, EstateConfig};
pub use custody::Custody;
pub use embedded::Lab;
pub use file_store::FileStore;
pub use head_end::image::IMAGE_MAX;
pub use known::{KnownToDcc, Supply};
pub use live::Tables;
pub use parts::{BuildError, Parts, estate};
pub use pki::Pki;
pub use view::{LabHandle, ViewError};

/// An instant such as `2020-06-01T09:00:00Z` as milliseconds of the lab's calendar.
///
/// # Errors
/// What is no instant.
pub fn time_ms(text: &str) -> Result<i64, domain::ParseError> {
    text.parse::<domain::SimInstant>().map(|at| at.0)
}

/// Milliseconds of the lab's calendar as text: `2020-06-01T09:00:00.000Z`.
#[must_use]
pub fn time_text(ms: i64) -> String {
    domain::SimInstant(ms).to_string()
}
