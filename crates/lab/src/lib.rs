//! Builds a lab from one [`Config`]: clocks, sockets, TLS, PKI, custody, disk.
//!
//! This is the one room with sockets, TLS and files; everything below speaks to links, clocks and stores. It deliberately
//! holds no rule of the field: who may do what is decided in `dcc`, `dco`, `steps` and the device side.

pub mod callback;
pub mod config;
pub mod crypto;
pub mod custody;
pub mod duis_http;
pub mod file_store;
pub mod files;
pub mod pki;
pub mod tape_file;
pub mod tunnel;
pub mod user_port;

pub use config::{ClockMode, Config, ConfigError};
pub use custody::Custody;
pub use file_store::FileStore;
pub use pki::Pki;
