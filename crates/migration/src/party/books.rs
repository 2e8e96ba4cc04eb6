//! What a party must not forget over a restart: numbers of its sets, files taken, snapshots, staged secrets as they came
//! sealed. What is sealed stays sealed on disk.

use prost::Message;
use proto::{DeviceRecord, FileDelivery, Sealed};
use world::{Store, StoreError};

/// One record; each says one thing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    /// A set of this number is about to leave.
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
}

/// What the SMSO read last.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(string, tag = "1")]
    pub(super) installation_id: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) devices: Vec<DeviceRecord>,
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
