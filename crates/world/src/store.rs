//! What is durable: an append-only journal, synchronous.

use std::sync::{Arc, Mutex, PoisonError};

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

    /// Calls `each` with every committed record, oldest first.
    ///
    /// # Errors
    /// When the medium cannot be read, or a record before the last commit is damaged.
    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError>;
}

/// A journal in memory. Clones share it, so that a role can be stopped and started again on the same journal.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    committed: Vec<Vec<u8>>,
    pending: Vec<Vec<u8>>,
}

impl MemoryStore {
    /// The same journal as a role finds it that starts after another died: what was not committed is gone.
    #[must_use]
    pub fn reopened(&self) -> Self {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pending.clear();
        self.clone()
    }
}

impl Store for MemoryStore {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pending
            .push(record.to_vec());
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut records.pending);
        records.committed.extend(pending);
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner).committed.clone();
        records.iter().for_each(|record| each(record));
        Ok(())
    }
}
