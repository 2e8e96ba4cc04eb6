//! The journal: append-only, each record linked to the one before by its hash.
//!
//! A record is version, sequence, the hash before, the entry, and the SHA-256 over all of these. Entries hold nothing that
//! differs between two runs of one seed (no signature, no ciphertext, no key), so the hashes do not differ either.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use world::{Store, StoreError};

use super::event::Entry;

/// The form of records that this program writes and reads.
pub const VERSION: u8 = 1;

/// Octets of a hash.
pub const HASH_LEN: usize = 32;

/// A journal that cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A record that is none, or of another version.
    #[error("record {sequence} of the migration journal is no record of version {VERSION}")]
    Form {
        /// Which, from 1.
        sequence: u64,
    },
    /// A record that does not follow the one before: something was changed, removed or put in.
    #[error("record {sequence} of the migration journal does not follow the one before it: it was tampered with")]
    Link {
        /// Which, from 1.
        sequence: u64,
    },
    /// The medium.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The writing end.
pub struct Journal {
    store: Box<dyn Store>,
    sequence: u64,
    last: [u8; HASH_LEN],
}

#[derive(Serialize, Deserialize)]
struct Body {
    version: u8,
    sequence: u64,
    before: [u8; HASH_LEN],
    entry: Entry,
}

#[derive(Serialize)]
struct BodyRef<'e> {
    version: u8,
    sequence: u64,
    before: [u8; HASH_LEN],
    entry: &'e Entry,
}

impl Journal {
    /// Opens a journal and hands every entry of it to `each`, oldest first, with its sequence number.
    ///
    /// # Errors
    /// [`JournalError`], with the first record that is not as it should be; `each` has had those before it.
    pub fn open(store: Box<dyn Store>, each: &mut dyn FnMut(u64, Entry)) -> Result<Self, JournalError> {
        let (sequence, last) = replay(&*store, each)?;
        Ok(Self { store, sequence, last })
    }

    /// Adds an entry. Durable after the next [`Journal::commit`]; nothing may be done about it before.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn append(&mut self, entry: &Entry) -> Result<u64, JournalError> {
        let sequence = self.sequence + 1;
        let body = BodyRef {
            version: VERSION,
            sequence,
            before: self.last,
            entry,
        };
        let mut record = postcard::to_allocvec(&body).map_err(|_| JournalError::Form { sequence })?;
        let hash: [u8; HASH_LEN] = Sha256::digest(&record).into();
        record.extend_from_slice(&hash);
        self.store.append(&record)?;
        (self.sequence, self.last) = (sequence, hash);
        Ok(sequence)
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        Ok(self.store.commit()?)
    }

    /// Number of the last record.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Hash of the last record: it stands for the whole journal.
    #[must_use]
    pub fn head(&self) -> [u8; HASH_LEN] {
        self.last
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} records)", self.sequence)
    }
}

/// Reads a journal and proves its links. Gives the number and the hash of its last record.
///
/// # Errors
/// [`JournalError`].
pub fn replay(store: &dyn Store, each: &mut dyn FnMut(u64, Entry)) -> Result<(u64, [u8; HASH_LEN]), JournalError> {
    let (mut sequence, mut last, mut fault) = (0, [0; HASH_LEN], None);
    store.replay(&mut |record| {
        if fault.is_none() {
            sequence += 1;
            match read(record, sequence, last) {
                Ok((entry, hash)) => {
                    last = hash;
                    each(sequence, entry);
                }
                Err(error) => fault = Some(error),
            }
        }
    })?;
    match fault {
        Some(fault) => Err(fault),
        None => Ok((sequence, last)),
    }
}

fn read(record: &[u8], sequence: u64, before: [u8; HASH_LEN]) -> Result<(Entry, [u8; HASH_LEN]), JournalError> {
    let form = || JournalError::Form { sequence };
    let split = record.len().checked_sub(HASH_LEN).ok_or_else(form)?;
    let (octets, hash) = record.split_at(split);
    let computed: [u8; HASH_LEN] = Sha256::digest(octets).into();
    if computed != hash {
        return Err(JournalError::Link { sequence });
    }
    let (body, rest) = postcard::take_from_bytes::<Body>(octets).map_err(|_| form())?;
    if body.version != VERSION || !rest.is_empty() {
        return Err(form());
    }
    if body.sequence != sequence || body.before != before {
        return Err(JournalError::Link { sequence });
    }
    Ok((body.entry, computed))
}
