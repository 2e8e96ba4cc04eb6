//! The state machine of a campaign: a fold over an append-only, hash-linked journal. Pure: `now` and inputs go in, entries
//! are written, and what is to be done comes out.

pub mod campaign;
mod cases;
mod churn;
pub mod control;
mod ending;
pub mod event;
mod failure;
mod files;
mod follow;
pub mod journal;
pub mod model;
pub mod operator;
mod pressure;
pub mod report;
mod schedule;
pub mod state;
pub mod work;

pub use campaign::Campaign;
pub use control::{Control, Options};
pub use ending::BATCH_STOP;
pub use report::{Done, Found, Report};
pub use state::{Actor, State};
pub use work::{Instruction, Work};
