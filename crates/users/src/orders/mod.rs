//! The service requests of this lab's users, ready to send: a file per group.

mod commands;
mod dcc;
mod reads;

pub use commands::*;
pub use dcc::*;
pub use reads::*;
