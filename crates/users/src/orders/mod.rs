//! The service requests of this lab's users, ready to send: a file per group.

mod commands;
mod credentials;
mod dcc;
mod forms;
mod han;
mod prepayment;
mod reads;
mod settings;
mod tariff;

pub use commands::*;
pub use credentials::*;
pub use dcc::*;
pub use forms::Fuel;
pub use han::*;
pub use prepayment::*;
pub use reads::*;
pub use settings::*;
pub use tariff::*;
