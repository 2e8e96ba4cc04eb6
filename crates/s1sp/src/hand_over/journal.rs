//! What the S1SP must not forget of a migration: files taken, rotations tried and done, what was purged and answered.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use prost::Message;
use proto::{FileDelivery, Kind};
use world::{Store, StoreError};

/// Answers kept for commands that come again.
const ANSWERS_MAX: usize = 8192;

/// One record; each says one thing. Files stand in it as they came: what was sealed stays sealed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    #[prost(message, optional, tag = "1")]
    pub(super) delivery: Option<FileDelivery>,
    /// An activation of this device's keys is about to be asked for.
    #[prost(fixed64, tag = "2")]
    pub(super) tried: u64,
    /// This device's keys are in force.
    #[prost(fixed64, tag = "3")]
    pub(super) rotated: u64,
    /// Installation.
    #[prost(string, tag = "4")]
    pub(super) purged: String,
    #[prost(message, optional, tag = "5")]
    pub(super) answered: Option<Answered>,
    /// The probe with this reference is about to be sent to its device.
    #[prost(string, tag = "6")]
    pub(super) probing: String,
    /// The attempt of the installation that was purged.
    #[prost(uint32, tag = "7")]
    pub(super) attempt: u32,
}

/// The answer to a command.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answered {
    #[prost(string, tag = "1")]
    pub(super) reference: String,
    #[prost(int32, tag = "2")]
    pub(super) kind: i32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) body: Bytes,
}

/// The journal and the answers in it.
pub(super) struct Journal {
    store: Box<dyn Store>,
    /// `None` while a command is being worked on.
    answers: BTreeMap<String, Option<(Kind, Bytes)>>,
    order: VecDeque<String>,
}

impl Journal {
    /// Opens it and gives every record but the answers, oldest first.
    pub(super) fn open(store: Box<dyn Store>) -> Result<(Self, Vec<Record>), StoreError> {
        let mut journal = Self {
            store,
            answers: BTreeMap::new(),
            order: VecDeque::new(),
        };
        let mut records = Vec::new();
        let mut strange = 0u32;
        journal.store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => records.push(record),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            return Err(StoreError {
                journal: "s1sp hand-over".into(),
                problem: format!("{strange} record(s) that are none"),
            });
        }
        for record in &mut records {
            if let Some(Answered { reference, kind, body }) = record.answered.take() {
                let kind = Kind::try_from(kind).unwrap_or(Kind::Unspecified);
                journal.remember(reference, Some((kind, body)));
            }
        }
        Ok((journal, records))
    }

    /// On disk when this returns.
    pub(super) fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()
    }

    /// What is known of a reference: nothing, that it is being worked on, or its answer.
    pub(super) fn known(&self, reference: &str) -> Option<&Option<(Kind, Bytes)>> {
        self.answers.get(reference)
    }

    pub(super) fn begin(&mut self, reference: &str) {
        self.remember(reference.to_owned(), None);
    }

    /// The answer to a command: on disk when this returns.
    pub(super) fn answer(&mut self, reference: &str, kind: Kind, body: Bytes) -> Result<(), StoreError> {
        let answered = Some(Answered {
            reference: reference.to_owned(),
            kind: kind.into(),
            body: body.clone(),
        });
        self.write(&Record {
            answered,
            ..Record::default()
        })?;
        self.remember(reference.to_owned(), Some((kind, body)));
        Ok(())
    }

    fn remember(&mut self, reference: String, answer: Option<(Kind, Bytes)>) {
        if self.answers.insert(reference.clone(), answer).is_none() {
            self.order.push_back(reference);
        }
        while self.order.len() > ANSWERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}
