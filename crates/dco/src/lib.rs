//! The Dual Control Organisation: the second pair of eyes on every critical step.
//!
//! It verifies the user's signature and the DCC's countersignature for itself, reads the user's request for itself, asks
//! [`steps::permits`] (which knows nothing of the S1SP's plan) whether that request allows that operation with those
//! arguments on that device, and only then makes the approval that the device checks. Each step of each request is
//! approved at most once; counters rise per device and are in the journal before the reply is sent.
//!
//! With [`Dco::with_hand_over`] it also takes its Required File Set of a migration, and approves probes and rotations of the
//! devices in it, and of no others.
//!
//! It deliberately does not know: device profiles, plans, sessions, what a device did with an approval, or anything the
//! S1SP says beyond the signed octets that it passes on.
//!
//! ```
//! use dco::{Judge, Options, audit};
//! use domain::keys::RelationSecret;
//! use domain::{Eui64, SimInstant};
//! use proto::ApprovalRequest;
//! use world::MemoryStore;
//! let certificates = std::sync::Arc::new(duis::signature::CertificateBook::new());
//! let options = Options::new(certificates, Eui64(0x90B3_D51F_3000_0002), RelationSecret::new([1; 32]));
//! let journal = MemoryStore::default();
//! let mut judge = Judge::open(options, Box::new(journal.clone()))?;
//! assert!(judge.decide(&ApprovalRequest::default(), SimInstant(0)).is_err(), "nothing asked, nothing approved");
//! assert_eq!(audit::read(&journal)?.len(), 1, "but on record");
//! # Ok::<(), world::StoreError>(())
//! ```

pub mod audit;
mod hand_over;
mod judge;
mod role;
mod used;

pub use hand_over::HandOverOptions;
pub use judge::{Denied, Judge, Options, Thresholds};
pub use role::Dco;
