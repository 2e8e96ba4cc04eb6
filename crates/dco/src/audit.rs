//! The audit record of every decision: what was asked, what was decided and why.
//!
//! The same records are the DCO's journal: what was approved, under which counter, is read back from them at start.

use domain::SimInstant;
use prost::Message;
use world::{Store, StoreError};

/// One decision. Holds no key and no MAC.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// When, milliseconds since 1970 in the lab's calendar.
    #[prost(int64, tag = "1")]
    pub at_ms: i64,
    /// RequestID of the user's request; empty when the message did not even have one that could be believed.
    #[prost(string, tag = "2")]
    pub request_id: String,
    /// Position of the step in the S1SP's plan, from 1.
    #[prost(uint32, tag = "3")]
    pub step: u32,
    /// The device.
    #[prost(fixed64, tag = "4")]
    pub device: u64,
    /// The operation in words.
    #[prost(string, tag = "5")]
    pub operation: String,
    /// The counter of the approval; zero when it was refused.
    #[prost(uint32, tag = "6")]
    pub counter: u32,
    /// Until when the device may accept it; zero when it was refused.
    #[prost(int64, tag = "7")]
    pub expires_at_ms: i64,
    /// Why it was refused; empty when it was approved.
    #[prost(string, tag = "8")]
    pub refused: String,
    /// First eight octets of a hash over device and operation with arguments: what the same request may not get twice.
    #[prost(fixed64, tag = "9")]
    pub operation_mark: u64,
    /// A change of certificates was noted: who may send critical requests of a supplier from then on, zero when the change
    /// was about others.
    #[prost(fixed64, optional, tag = "10")]
    pub noted: Option<u64>,
}

impl Record {
    /// When.
    #[must_use]
    pub fn at(&self) -> SimInstant {
        SimInstant(self.at_ms)
    }

    /// Whether a change of certificates was noted.
    #[must_use]
    pub fn is_note(&self) -> bool {
        self.noted.is_some()
    }

    /// Whether an approval was given.
    #[must_use]
    pub fn approved(&self) -> bool {
        self.counter > 0
    }
}

/// All decisions in a journal, oldest first.
///
/// # Errors
/// When the journal cannot be read or holds a record that is none: starting on it could approve something twice.
pub fn read(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let mut strange = 0usize;
    store.replay(&mut |octets| match Record::decode(octets) {
        Ok(record) => records.push(record),
        Err(_) => strange += 1,
    })?;
    if strange > 0 {
        let problem = format!("{strange} record(s) that are no decision");
        return Err(StoreError {
            journal: "dco".into(),
            problem,
        });
    }
    Ok(records)
}
