//! What is durable: an append-only journal, synchronous.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("journal {journal}: {problem}")]
pub struct StoreError {
    /// Which journal.
    pub journal: String,
    /// What went wrong.
    pub problem: String,
}

/// An append-only journal of records. Nothing is acknowledged to anyone before [`Store::commit`] returned.
///
/// A journal that grows for ever is no use: a role may put a snapshot in, a few records that stand for all before them. What
/// stands before a snapshot is history: it is read by people and audits, not by a restart, and a medium may drop the oldest.
pub trait Store: Send {
    /// Adds a record; it becomes durable with the next commit.
    ///
    /// # Errors
    /// When the medium refuses.
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError>;

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// When the medium refuses.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Calls `each` with what a restart needs, oldest first: the records of the last snapshot, and every record committed
    /// after it.
    ///
    /// # Errors
    /// When the medium cannot be read, or a record before the last commit is damaged.
    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError>;

    /// Octets committed since the last snapshot; 0 for a medium that takes none.
    fn since_snapshot(&self) -> u64 {
        0
    }

    /// Puts records in the place of everything committed so far. Whole and durable when this returns; after a crash in
    /// between, as if it had not been called. Nothing may be pending. A medium that takes no snapshots keeps the long form.
    ///
    /// # Errors
    /// When the medium refuses, or something is pending.
    fn snapshot(&mut self, _records: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Calls `each` with every committed record that is kept, oldest first, also those a snapshot stands for, and not with
    /// the snapshot's own. Records before the last one for which `before` holds may be left out, where records that are
    /// `before` stand before all others.
    ///
    /// # Errors
    /// As [`Store::replay`].
    fn history(&self, _before: &dyn Fn(&[u8]) -> bool, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.replay(each)
    }
}

/// A journal in memory. Clones share it, so that a role can be stopped and started again on the same journal.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    committed: Vec<Vec<u8>>,
    pending: Vec<Vec<u8>>,
    /// What stands for so many of the first committed records.
    snapshot: Vec<Vec<u8>>,
    stands_for: usize,
    octets_since: u64,
}

impl MemoryStore {
    /// The same journal as a role finds it that starts after another died: what was not committed is gone.
    #[must_use]
    pub fn reopened(&self) -> Self {
        self.records().pending.clear();
        self.clone()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.records().pending.push(record.to_vec());
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let mut records = self.records();
        let pending = std::mem::take(&mut records.pending);
        records.octets_since += pending.iter().map(|record| record.len() as u64).sum::<u64>();
        records.committed.extend(pending);
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        // Copied, since `each` may look at the journal itself.
        let records = {
            let records = self.records();
            let since = records.committed.get(records.stands_for..).unwrap_or_default();
            [&records.snapshot, since].concat()
        };
        records.iter().for_each(|record| each(record));
        Ok(())
    }

    fn since_snapshot(&self) -> u64 {
        self.records().octets_since
    }

    fn snapshot(&mut self, snapshot: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), StoreError> {
        let snapshot: Vec<_> = snapshot.collect();
        let mut records = self.records();
        if !records.pending.is_empty() {
            return Err(StoreError {
                journal: "in memory".to_owned(),
                problem: "a snapshot while records are pending".to_owned(),
            });
        }
        records.snapshot = snapshot;
        records.stands_for = records.committed.len();
        records.octets_since = 0;
        Ok(())
    }

    fn history(&self, before: &dyn Fn(&[u8]) -> bool, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let records = self.records().committed.clone();
        let first = records.partition_point(|record| before(record));
        records
            .iter()
            .skip(first.saturating_sub(1))
            .for_each(|record| each(record));
        Ok(())
    }
}
