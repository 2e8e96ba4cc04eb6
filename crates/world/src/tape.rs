//! The tape: every envelope on every link, and the digest over its canonical view.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::SimInstant;

use crate::fault::Verdict;
use crate::link::LinkName;

/// One recorded envelope.
#[derive(Clone, Debug)]
pub struct TapeRecord {
    /// World it happened in.
    pub world: u32,
    /// Rises within a world.
    pub sequence: u64,
    /// When it was sent.
    pub at: SimInstant,
    /// Where.
    pub link: LinkName,
    /// What became of it.
    pub verdict: Verdict,
    /// The encoded envelope.
    pub octets: Bytes,
}

/// Records of one world, shared by its links. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<Vec<TapeRecord>>>);

impl Tape {
    pub(crate) fn record(&self, world: u32, at: SimInstant, link: &LinkName, verdict: Verdict, octets: &Bytes) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = records.len() as u64;
        records.push(TapeRecord {
            world,
            sequence,
            at,
            link: link.clone(),
            verdict,
            octets: octets.clone(),
        });
    }

    /// All records so far.
    #[must_use]
    pub fn records(&self) -> Vec<TapeRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
