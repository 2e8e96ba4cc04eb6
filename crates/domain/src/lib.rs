//! The field's words as types: identities, models, service requests, the semantic device operations, seeds, keys,
//! approvals and UK civil time.
//!
//! Every other room speaks in these. This crate deliberately does not know bytes on any wire, XML, device behaviour,
//! clocks that tick, or any role; it does no input or output.
//!
//! ```
//! use domain::{Eui64, RequestId};
//! let id: RequestId = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000".parse()?;
//! assert_eq!(id.target, Eui64(0x00DB_1234_5678_90A0));
//! assert_eq!(id.to_string(), "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000");
//! # Ok::<(), domain::ParseError>(())
//! ```

pub mod access;
pub mod approval;
pub mod credentials;
mod identity;
pub mod image;
pub mod keys;
pub mod model;
pub mod operation;
pub mod provenance;
pub mod seed;
pub mod service;
pub mod time;
pub mod utrn;

pub use access::{Access, Association, Execution, SecurityEvent};
pub use approval::Approval;
pub use credentials::{CertificateId, Credentials, CredentialsChange, Notified, PartyCredentials, RemoteParty};
pub use identity::{Eui64, Mpan, Mprn, Mpxn, ParseError, RequestId};
pub use model::{Cohort, CommunicationsProvider, DeviceKind, DeviceModel, Dmc, InstallationType, ProfileId};
pub use operation::{
    Answer, DataItem, LogKind, LogRow, Operation, Outcome, Quantity, Refusal, SupplyState, Unit, Value,
};
pub use provenance::{Confidence, Provenance};
pub use seed::Seed;
pub use service::{Srv, UserRole};
pub use time::{SimDuration, SimInstant};
