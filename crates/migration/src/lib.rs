//! Moving whole installations from their SMSO to the DCC: planning, authorisation and notices, files, the journalled state
//! machine, exceptions, reports and simulation; requesting party and commissioning party as roles.
//!
//! What is ours and what is sourced: the names of the flow's phases, of a few files and of GT01 are sourced; states,
//! validation list, commissioning plan, codes, columns, calendar and scaling are the lab's own (`LAB-`), and are data
//! ([`Settings`]) so that whoever has the real texts replaces files, not code. Nothing here is conformant with TMAD.
//!
//! This crate deliberately knows no key of any device, no face and no socket: it drives the SMSO, the S1SP and the DCO by
//! the messages of `/proto`, and enrols over the DUIS like any other user.
//!
//! ```
//! let settings = migration::Settings::builtin()?;
//! assert_eq!(settings.errors.iter().filter(|row| row.listed).count(), 60);
//! # Ok::<(), dmc::FileError>(())
//! ```

pub mod centre;
pub mod day;
pub mod faults;
mod identity;
pub mod invariants;
pub mod machine;
pub mod party;
pub mod planning;
mod records;
pub mod reports;
pub mod settings;
pub mod simulate;
pub mod strict;

pub use domain::InstallationType;
pub use identity::InstallationId;
pub use settings::{Settings, SettingsError};
