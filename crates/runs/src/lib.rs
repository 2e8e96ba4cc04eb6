//! Runs: the SIT pack, requests from files exercised one by one, scenarios, the checks every run makes, verdicts and reports.
//!
//! This crate deliberately knows no socket and no role's inside: it starts a lab through `lab`, speaks to it as a user,
//! and judges what the user, the audit and the tape show.

pub mod campaign;
pub mod catalogue;
pub mod estates;
pub mod exercise;
mod images;
pub mod interoperability;
pub mod plan;
pub mod report;
mod rule_rows;
pub mod sit;
mod surroundings;
mod trial;
pub mod verdict;

pub use rule_rows::{RowVerdict, RuleRow, rows as rule_rows};
pub use trial::{Trial, TrialError};
pub use verdict::{Cell, Check, Hop, HopKind, RunResult, Verdict};
