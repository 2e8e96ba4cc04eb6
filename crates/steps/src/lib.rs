//! The service request table, Equivalent Steps per request and device profile, and what becomes of their outcomes.
//!
//! A request becomes a [`Plan`] of device operations ([`plan`](plan())), its outcomes become payload, debug entries and
//! codes ([`respond`](respond())), failures become codes in one table ([`errors`]). [`permits`](permits()) is written apart
//! from the planner and looks at the request alone, so that the DCO need not believe the S1SP.
//!
//! This crate deliberately does not know links, keys, sessions, signatures, inventory or time that passes.
//!
//! ```
//! let row = steps::table().row("7.2".parse()?).expect("a service request");
//! assert!(row.critical && steps::critical_operations().contains(&domain::Operation::DisableSupply));
//! # Ok::<(), domain::ParseError>(())
//! ```

mod cache;
pub mod codes;
pub mod credentials;
mod data;
pub mod errors;
mod message_code;
mod overlay;
mod payload;
mod permits;
mod plan;
mod respond;
pub mod table;

pub use cache::Cache;
pub use data::TableError;
pub use dmc::Holder;
pub use errors::Failure;
pub use overlay::{Overlay, OverlayError, overlay};
pub use permits::{NotPermitted, permits};
pub use plan::{AskedBy, Derived, Plan, Refused, Step, Target, Via, execution_at, holder, plan};
pub use respond::{Smets1Payload, StepOutcome, StepResult, respond};
pub use table::{Row, ServicePath, critical_operations, table};
