//! The tape: every envelope on every link, and the digest over its canonical view.
//!
//! A whole tape keeps every record. A *short* tape ([`Tape::keeping`]) keeps the last records only and computes the
//! digest as records come, so that a run of any size fits in memory. Both give the same digest.

mod canonical;
mod view;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::{SimDuration, SimInstant};
use proto::Envelope;
use sha2::{Digest as _, Sha256};

use crate::fault::Verdict;
use crate::link::LinkName;

pub use canonical::canonical_xml;
pub use view::{Hop, hop, line};

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

/// A record as it stands in a tape file that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tape record with the unknown verdict {0}")]
pub struct UnknownVerdict(pub i32);

impl TapeRecord {
    /// As it stands in a tape file.
    #[must_use]
    pub fn to_message(&self) -> proto::TapeRecord {
        let (verdict, delay_ms) = match self.verdict {
            Verdict::Pass => (proto::TapeVerdict::Pass, 0),
            Verdict::Drop => (proto::TapeVerdict::Drop, 0),
            Verdict::Delay(span) => (proto::TapeVerdict::Delay, span.as_millis()),
            Verdict::Duplicate => (proto::TapeVerdict::Duplicate, 0),
            Verdict::Replace => (proto::TapeVerdict::Replace, 0),
        };
        proto::TapeRecord {
            world: self.world,
            sequence: self.sequence,
            at_ms: self.at.0,
            from: self.link.from.to_string(),
            to: self.link.to.to_string(),
            verdict: verdict.into(),
            delay_ms,
            octets: self.octets.clone(),
        }
    }

    /// The inverse of [`TapeRecord::to_message`].
    ///
    /// # Errors
    /// [`UnknownVerdict`]: the file is damaged or of a later release.
    pub fn from_message(message: proto::TapeRecord) -> Result<Self, UnknownVerdict> {
        let verdict = match proto::TapeVerdict::try_from(message.verdict) {
            Ok(proto::TapeVerdict::Pass) => Verdict::Pass,
            Ok(proto::TapeVerdict::Drop) => Verdict::Drop,
            Ok(proto::TapeVerdict::Delay) => Verdict::Delay(SimDuration::from_millis(message.delay_ms)),
            Ok(proto::TapeVerdict::Duplicate) => Verdict::Duplicate,
            Ok(proto::TapeVerdict::Replace) => Verdict::Replace,
            Err(_) => return Err(UnknownVerdict(message.verdict)),
        };
        Ok(Self {
            world: message.world,
            sequence: message.sequence,
            at: SimInstant(message.at_ms),
            link: LinkName {
                from: message.from.into(),
                to: message.to.into(),
            },
            verdict,
            octets: message.octets,
        })
    }
}

/// The digest of a run: SHA-256 over the canonical views of its records in the order of time, world and sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    /// 64 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest of these records, given in any order: what `s1lab tape digest` recomputes from a file.
#[must_use]
pub fn digest<'a>(records: impl IntoIterator<Item = &'a TapeRecord>) -> Digest {
    let mut ordered: Vec<_> = records.into_iter().collect();
    ordered.sort_by_key(|record| (record.at, record.world, record.sequence));
    let mut running = Sha256::new();
    ordered
        .iter()
        .for_each(|record| running.update(canonical::record_hash(record)));
    Digest(running.finalize().into())
}

/// Records of one world, shared by its links. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Records kept.
    keep: usize,
    next_sequence: u64,
    records: VecDeque<TapeRecord>,
    short: Option<Short>,
}

/// What a short tape keeps of records it has let go.
#[derive(Debug, Default)]
struct Short {
    running: Sha256,
    /// Hashes not yet in `running`, where several worlds are merged at barriers.
    pending: Option<Vec<Hashed>>,
}

/// The hash of one record, with what orders it among those of other worlds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed {
    pub(crate) at: SimInstant,
    pub(crate) hash: [u8; 32],
}

impl Default for Tape {
    /// A whole tape.
    fn default() -> Self {
        Self::new(usize::MAX, None)
    }
}

impl Tape {
    /// A short tape, keeping the last `keep` records; none with zero.
    #[must_use]
    pub fn keeping(keep: usize) -> Self {
        Self::new(keep, Some(Short::default()))
    }

    /// A short tape whose hashes are collected for merging with other worlds.
    pub(crate) fn keeping_merged(keep: usize) -> Self {
        Self::new(
            keep,
            Some(Short {
                pending: Some(Vec::new()),
                ..Short::default()
            }),
        )
    }

    fn new(keep: usize, short: Option<Short>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            keep,
            next_sequence: 0,
            records: VecDeque::new(),
            short,
        })))
    }

    /// Records an envelope; `read` gives what its octets say.
    pub(crate) fn record<'e>(
        &self,
        world: u32,
        at: SimInstant,
        link: &LinkName,
        verdict: Verdict,
        octets: &Bytes,
        read: impl FnOnce() -> &'e Envelope,
    ) {
        self.lock(|inner| {
            let sequence = inner.next_sequence;
            inner.next_sequence += 1;
            if let Some(short) = &mut inner.short {
                let hash = canonical::hash(world, at, link, verdict, Ok(read()));
                match &mut short.pending {
                    Some(pending) => pending.push(Hashed { at, hash }),
                    None => short.running.update(hash),
                }
            }
            if inner.keep > 0 {
                if inner.records.len() >= inner.keep {
                    inner.records.pop_front();
                }
                inner.records.push_back(TapeRecord {
                    world,
                    sequence,
                    at,
                    link: link.clone(),
                    verdict,
                    octets: octets.clone(),
                });
            }
        });
    }

    /// The records kept, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<TapeRecord> {
        self.lock(|inner| inner.records.iter().cloned().collect())
    }

    /// How many records there were, kept or not.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.lock(|inner| inner.next_sequence)
    }

    /// The digest of this world's records so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.lock(|inner| match &inner.short {
            None => digest(&inner.records),
            Some(short) => {
                let mut running = short.running.clone();
                short
                    .pending
                    .iter()
                    .flatten()
                    .for_each(|hashed| running.update(hashed.hash));
                Digest(running.finalize().into())
            }
        })
    }

    /// Takes the hashes collected for merging out, in order of time. Their room stays for the next ones.
    pub(crate) fn drain_hashed(&self, each: impl FnMut(Hashed)) {
        self.lock(|inner| {
            let pending = inner.short.as_mut().and_then(|short| short.pending.as_mut());
            pending.into_iter().flat_map(|pending| pending.drain(..)).for_each(each);
        });
    }

    fn lock<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
