//! What a party must not forget over a restart: sets that it sent, files taken, snapshots, staged secrets as they came
//! sealed. What is sealed stays sealed on disk.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use proto::{DeviceRecord, FileDelivery, Sealed};
use world::{Store, StoreError};

/// One record; each says one thing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    /// The number of a set that is about to leave.
    #[prost(uint64, tag = "1")]
    pub(super) sequence: u64,
    /// Files taken.
    #[prost(message, optional, tag = "2")]
    pub(super) delivery: Option<FileDelivery>,
    #[prost(message, optional, tag = "3")]
    pub(super) snapshot: Option<Snapshot>,
    #[prost(message, optional, tag = "4")]
    pub(super) staged: Option<Staged>,
    /// An installation about which nothing need be known any more.
    #[prost(string, tag = "5")]
    pub(super) forgotten: String,
    /// The set itself.
    #[prost(message, optional, tag = "6")]
    pub(super) sent: Option<Sent>,
    /// The attempt that was given up of an installation that is forgotten; zero where none was.
    #[prost(uint32, tag = "7")]
    pub(super) attempt: u32,
}

/// A set that is about to leave, signed and sealed as it will be.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Sent {
    #[prost(message, optional, tag = "1")]
    pub(super) delivery: Option<FileDelivery>,
    /// Whom it is about.
    #[prost(string, repeated, tag = "2")]
    pub(super) installations: Vec<String>,
}

/// Sets sent about installations that are still on their way, by reference. What is to be sent under a reference once more
/// leaves as it left before: its receiver then knows it, and no second set is in the world that nobody ever took.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sets: BTreeMap<String, (FileDelivery, BTreeSet<String>)>,
    of: BTreeMap<String, BTreeSet<String>>,
}

impl Outbox {
    pub(super) fn keep(&mut self, sent: Sent) {
        let Some(delivery) = sent.delivery else { return };
        for installation in &sent.installations {
            let of = self.of.entry(installation.clone()).or_default();
            of.insert(delivery.reference.clone());
        }
        let installations = sent.installations.into_iter().collect();
        self.sets.insert(delivery.reference.clone(), (delivery, installations));
    }

    pub(super) fn get(&self, reference: &str) -> Option<&FileDelivery> {
        self.sets.get(reference).map(|(delivery, _)| delivery)
    }

    /// Drops what is about nobody but this installation and others that were forgotten.
    pub(super) fn forget(&mut self, installation: &str) {
        for reference in self.of.remove(installation).unwrap_or_default() {
            let Some((_, about)) = self.sets.get_mut(&reference) else {
                continue;
            };
            about.remove(installation);
            if about.is_empty() {
                self.sets.remove(&reference);
            }
        }
    }
}

/// What the SMSO read last.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(string, tag = "1")]
    pub(super) installation_id: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) devices: Vec<DeviceRecord>,
    #[prost(uint32, tag = "3")]
    pub(super) open_top_ups: u32,
}

/// Secrets of a staged epoch, sealed under the reference they were asked for with.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Staged {
    #[prost(string, tag = "1")]
    pub(super) installation_id: String,
    #[prost(string, tag = "2")]
    pub(super) reference: String,
    #[prost(message, optional, tag = "3")]
    pub(super) sealed: Option<Sealed>,
}

/// The journal of one party.
pub(super) struct Books(Box<dyn Store>);

impl Books {
    /// Opens them and hands every record to `each`, oldest first.
    ///
    /// # Errors
    /// When the medium cannot be read, or a record is none.
    pub(super) fn open(store: Box<dyn Store>, each: &mut dyn FnMut(Record)) -> Result<Self, StoreError> {
        let mut strange = 0u32;
        store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => each(record),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            return Err(StoreError {
                journal: "migration party".into(),
                problem: format!("{strange} record(s) that are none"),
            });
        }
        Ok(Self(store))
    }

    /// On disk when this returns.
    ///
    /// # Errors
    /// When the medium refuses.
    pub(super) fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        self.0.append(&record.encode_to_vec())?;
        self.0.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_until_everybody_in_it_is_forgotten() {
        let sent = |reference: &str, installations: &[&str]| Sent {
            delivery: Some(FileDelivery {
                reference: reference.to_owned(),
                set: None,
            }),
            installations: installations.iter().map(|id| (*id).to_owned()).collect(),
        };
        let mut outbox = Outbox::default();
        outbox.keep(sent("both", &["1", "2"]));
        outbox.keep(sent("one", &["1"]));
        outbox.forget("1");
        assert!(outbox.get("both").is_some() && outbox.get("one").is_none());
        outbox.forget("2");
        assert!(outbox.sets.is_empty() && outbox.of.is_empty());
    }
}
