//! The mock DCC: front door, access control, inventory, outbox and audit trail, between users and the S1SP.
//!
//! A request passes the checks of the front door in one fixed order, or is refused with one code of the error table, one
//! signed reply and one audit record. A request for a device is journalled, acknowledged, countersigned and handed to the
//! S1SP, in this order, and gets exactly one outcome, also when this role dies in between: everything is rebuilt from its
//! journal.
//!
//! A supplier may also have a code made for a meter (`core::vending`): a top-up of the DCC's own in its place.
//!
//! Requests may wait: for their date, for another request of their sequence, for a decision about their quarantine. Schedules
//! run by themselves, as requests of the DCC's own in their owner's name. Requests about the inventory, schedules, coverage and
//! firmware images are answered here (`services`); what an answer or an outcome changes, and whom that concerns, follows in
//! the same journal entry (`core`). Which failure has which code, and what raises which alert, is data of `steps`.
//!
//! This crate deliberately does not know device profiles or Equivalent Steps, and of device answers only what changes the
//! inventory: what the S1SP signed is wrapped and passed on. It does not know HTTP: lab puts a listener in front of its links.
//!
//! Main types: [`Dcc`], [`Handle`], [`Options`], [`Directory`], [`Inventory`], [`audit::Record`].
//!
//! ```
//! use dcc::{Device, Inventory, Lookup, Properties, SmiStatus};
//! use domain::{DeviceKind, DeviceModel, Eui64, SimInstant};
//! let model = DeviceModel { manufacturer: "Example".into(), model: "M1".into(), hardware: "".into(), firmware: "01".into() };
//! let device = Device::new(Eui64(1), DeviceKind::Esme, model.into(), SmiStatus::Commissioned, SimInstant(0));
//! let inventory = Inventory::new([device]);
//! assert_eq!(inventory.look_up(&Lookup::Device(Eui64(1)), &Properties::default()).len(), 1);
//! ```

mod access;
pub mod anomaly;
mod answers;
pub mod audit;
mod core;
pub mod credentials;
pub mod directory;
mod front_door;
pub mod images;
mod index;
pub mod inventory;
mod journal;
mod options;
mod outbox;
pub mod products;
pub mod properties;
pub mod registration;
pub mod schedules;
pub mod schema_policy;
mod sequences;
mod service;
mod services;
mod signer;
mod throttle;
mod timers;
mod wan_matrix;

pub use crate::core::Fitted;
pub use anomaly::{AttributeLimit, Thresholds, Volume};
pub use credentials::Records;
pub use directory::{Directory, DirectoryError, User};
pub use inventory::{Device, Inventory, Lookup, SmiStatus, StatusError};
pub use options::{DccHolds, Holder, Holders, Limits, Options, Trust, Validity};
pub use outbox::DeadLetter;
pub use products::Products;
pub use properties::{Properties, Property};
pub use registration::{Registration, Registrations};
pub use schema_policy::{OtherVersions, SchemaPolicy};
pub use service::{Dcc, Fetched, Handle, HandleError, InHand, Quarantined, Vend};
pub use wan_matrix::WanMatrix;
