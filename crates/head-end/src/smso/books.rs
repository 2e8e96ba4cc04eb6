//! What an SMSO must not forget: what it was asked and answered, which installations are frozen, which keys it has staged,
//! and whom it no longer operates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use domain::{Eui64, SimInstant};
use prost::Message;
use proto::Kind;
use world::{Store, StoreError};

/// Outcomes kept so that a repeated command gets the same one; beyond that the oldest are forgotten.
const REMEMBERED: usize = 4096;

/// Answers found in the journal may have been given or not; a command that only began is told so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// It is being worked on by this process.
    UnderWay,
    /// It began before a restart; what became of it is not known.
    Lost,
    /// The answer it got.
    Answered(Kind, Bytes),
}

/// The state of an SMSO over its journal.
pub(crate) struct Books {
    store: Box<dyn Store>,
    known: BTreeMap<String, Known>,
    order: VecDeque<String>,
    frozen: BTreeMap<Eui64, SimInstant>,
    staged: BTreeMap<Eui64, u32>,
    decommissioned: BTreeSet<Eui64>,
    /// Profiles that devices got with a firmware update, by name.
    profiles: BTreeMap<Eui64, String>,
    /// Top-ups under way, by hub.
    top_ups: BTreeMap<Eui64, u32>,
    /// Top-ups taken since the freeze began, by hub.
    while_frozen: BTreeMap<Eui64, u32>,
    contacts: BTreeMap<Eui64, SimInstant>,
}

/// One record; each says one thing.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, tag = "1")]
    began: String,
    #[prost(message, optional, tag = "2")]
    answered: Option<Answered>,
    #[prost(message, optional, tag = "3")]
    frozen: Option<Frozen>,
    #[prost(message, optional, tag = "4")]
    staged: Option<Staged>,
    #[prost(fixed64, tag = "5")]
    decommissioned: u64,
    #[prost(message, optional, tag = "6")]
    profile: Option<NewProfile>,
    /// A top-up was taken behind this frozen hub.
    #[prost(fixed64, tag = "7")]
    top_up: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Answered {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(bytes = "bytes", tag = "3")]
    body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Frozen {
    #[prost(fixed64, tag = "1")]
    hub: u64,
    /// Milliseconds since 1970; zero for not frozen any more.
    #[prost(int64, tag = "2")]
    until_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Staged {
    #[prost(fixed64, tag = "1")]
    device: u64,
    /// Zero for none any more.
    #[prost(uint32, tag = "2")]
    epoch: u32,
}

#[derive(Clone, PartialEq, Message)]
struct NewProfile {
    #[prost(fixed64, tag = "1")]
    device: u64,
    #[prost(string, tag = "2")]
    profile: String,
}

impl Books {
    pub(crate) fn open(store: Box<dyn Store>) -> Result<Self, StoreError> {
        let mut books = Self {
            store,
            known: BTreeMap::new(),
            order: VecDeque::new(),
            frozen: BTreeMap::new(),
            staged: BTreeMap::new(),
            decommissioned: BTreeSet::new(),
            profiles: BTreeMap::new(),
            top_ups: BTreeMap::new(),
            while_frozen: BTreeMap::new(),
            contacts: BTreeMap::new(),
        };
        let mut records = Vec::new();
        let mut strange = 0u32;
        books.store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => records.push(record),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            return Err(StoreError {
                journal: "smso books".into(),
                problem: format!("{strange} record(s) that are none"),
            });
        }
        for record in records {
            books.take(record);
        }
        Ok(books)
    }

    fn take(&mut self, record: Record) {
        if !record.began.is_empty() {
            self.remember(&record.began, Known::Lost);
        }
        if let Some(answered) = record.answered {
            let kind = Kind::try_from(answered.kind).unwrap_or(Kind::Unspecified);
            self.remember(&answered.reference, Known::Answered(kind, answered.body));
        }
        match record.frozen {
            Some(frozen) if frozen.until_ms > 0 => {
                self.while_frozen.remove(&Eui64(frozen.hub));
                self.frozen.insert(Eui64(frozen.hub), SimInstant(frozen.until_ms));
            }
            Some(thawed) => {
                self.frozen.remove(&Eui64(thawed.hub));
            }
            None => {}
        }
        match record.staged {
            Some(staged) if staged.epoch > 0 => {
                self.staged.insert(Eui64(staged.device), staged.epoch);
            }
            Some(dropped) => {
                self.staged.remove(&Eui64(dropped.device));
            }
            None => {}
        }
        if record.top_up > 0 {
            *self.while_frozen.entry(Eui64(record.top_up)).or_insert(0) += 1;
        }
        if record.decommissioned > 0 {
            self.decommissioned.insert(Eui64(record.decommissioned));
        }
        if let Some(changed) = record.profile {
            self.profiles.insert(Eui64(changed.device), changed.profile);
        }
    }

    fn write(&mut self, record: Record) -> Result<(), StoreError> {
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()?;
        self.take(record);
        Ok(())
    }

    fn remember(&mut self, reference: &str, known: Known) {
        if self.known.insert(reference.to_owned(), known).is_none() {
            self.order.push_back(reference.to_owned());
        }
        while self.order.len() > REMEMBERED {
            // One that is still under way is as old as nothing else can be: its answer will be remembered again.
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    pub(crate) fn known(&self, reference: &str) -> Option<Known> {
        self.known.get(reference).cloned()
    }

    /// A command begins; on disk where it could do something twice.
    pub(crate) fn begin(&mut self, reference: &str, changes: bool) -> Result<(), StoreError> {
        if changes {
            self.write(Record {
                began: reference.to_owned(),
                ..Record::default()
            })?;
        }
        self.remember(reference, Known::UnderWay);
        Ok(())
    }

    /// A command has its answer, which is on disk when this returns.
    pub(crate) fn answer(&mut self, reference: &str, kind: Kind, body: Bytes) -> Result<(), StoreError> {
        let answered = Answered {
            reference: reference.to_owned(),
            kind: kind.into(),
            body,
        };
        self.write(Record {
            answered: Some(answered),
            ..Record::default()
        })
    }

    /// Whether the installation behind this hub is frozen at `now`.
    pub(crate) fn is_frozen(&self, hub: Eui64, now: SimInstant) -> bool {
        self.frozen.get(&hub).is_some_and(|until| now < *until)
    }

    pub(crate) fn freeze(&mut self, hub: Eui64, until: SimInstant) -> Result<(), StoreError> {
        let until_ms = until.0.max(1);
        let frozen = Some(Frozen { hub: hub.0, until_ms });
        self.write(Record {
            frozen,
            ..Record::default()
        })
    }

    pub(crate) fn unfreeze(&mut self, hub: Eui64) -> Result<(), StoreError> {
        let frozen = Some(Frozen {
            hub: hub.0,
            until_ms: 0,
        });
        self.write(Record {
            frozen,
            ..Record::default()
        })
    }

    /// The epoch staged on a device, as far as this SMSO knows.
    pub(crate) fn staged(&self, device: Eui64) -> Option<u32> {
        self.staged.get(&device).copied()
    }

    /// Zero for none any more.
    pub(crate) fn stage(&mut self, device: Eui64, epoch: u32) -> Result<(), StoreError> {
        let staged = Some(Staged {
            device: device.0,
            epoch,
        });
        self.write(Record {
            staged,
            ..Record::default()
        })
    }

    pub(crate) fn decommission(&mut self, hub: Eui64) -> Result<(), StoreError> {
        self.write(Record {
            decommissioned: hub.0,
            ..Record::default()
        })
    }

    pub(crate) fn decommissioned(&self) -> &BTreeSet<Eui64> {
        &self.decommissioned
    }

    pub(crate) fn change_profile(&mut self, device: Eui64, profile: &str) -> Result<(), StoreError> {
        let profile = Some(NewProfile {
            device: device.0,
            profile: profile.to_owned(),
        });
        self.write(Record {
            profile,
            ..Record::default()
        })
    }

    pub(crate) fn profiles(&self) -> &BTreeMap<Eui64, String> {
        &self.profiles
    }

    /// A top-up is taken; one behind a frozen hub is on record when this returns.
    pub(crate) fn top_up_begins(&mut self, hub: Eui64, now: SimInstant) -> Result<(), StoreError> {
        if self.is_frozen(hub, now) {
            self.write(Record {
                top_up: hub.0,
                ..Record::default()
            })?;
        }
        *self.top_ups.entry(hub).or_insert(0) += 1;
        Ok(())
    }

    /// Top-ups taken behind a hub since it was frozen last.
    pub(crate) fn top_ups_while_frozen(&self, hub: Eui64) -> u32 {
        self.while_frozen.get(&hub).copied().unwrap_or(0)
    }

    pub(crate) fn top_up_ends(&mut self, hub: Eui64) {
        if let Some(open) = self.top_ups.get_mut(&hub) {
            *open = open.saturating_sub(1);
        }
        self.top_ups.retain(|_, open| *open > 0);
    }

    pub(crate) fn open_top_ups(&self, hub: Eui64) -> u32 {
        self.top_ups.get(&hub).copied().unwrap_or(0)
    }

    pub(crate) fn heard(&mut self, hub: Eui64, at: SimInstant) {
        self.contacts.insert(hub, at);
    }

    pub(crate) fn last_contact(&self, hub: Eui64) -> Option<SimInstant> {
        self.contacts.get(&hub).copied()
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Books({} references)", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::MemoryStore;

    #[test]
    fn a_restart_knows_what_was_answered_and_what_only_began() {
        let store = MemoryStore::default();
        let mut books = Books::open(Box::new(store.clone())).unwrap();
        books.begin("done", true).unwrap();
        books
            .answer("done", Kind::SmsoOutcome, Bytes::from_static(b"yes"))
            .unwrap();
        books.begin("lost", true).unwrap();
        books.begin("harmless", false).unwrap();
        assert_eq!(books.known("lost"), Some(Known::UnderWay));
        books.freeze(Eui64(1), SimInstant(500)).unwrap();
        books.freeze(Eui64(2), SimInstant(500)).unwrap();
        books.unfreeze(Eui64(2)).unwrap();
        books.stage(Eui64(11), 2).unwrap();
        books.stage(Eui64(12), 2).unwrap();
        books.stage(Eui64(12), 0).unwrap();
        books.decommission(Eui64(3)).unwrap();
        for (hub, now) in [(1, 499), (1, 499), (1, 500), (2, 499)] {
            books.top_up_begins(Eui64(hub), SimInstant(now)).unwrap();
        }
        books.change_profile(Eui64(11), "a@B").unwrap();
        drop(books);

        let books = Books::open(Box::new(store)).unwrap();
        assert_eq!(
            books.known("done"),
            Some(Known::Answered(Kind::SmsoOutcome, Bytes::from_static(b"yes")))
        );
        assert_eq!(books.known("lost"), Some(Known::Lost));
        assert_eq!(books.known("harmless"), None, "it can be done again");
        assert!(books.is_frozen(Eui64(1), SimInstant(499)) && !books.is_frozen(Eui64(1), SimInstant(500)));
        assert!(!books.is_frozen(Eui64(2), SimInstant(0)));
        assert_eq!((books.staged(Eui64(11)), books.staged(Eui64(12))), (Some(2), None));
        assert_eq!(
            (
                books.top_ups_while_frozen(Eui64(1)),
                books.top_ups_while_frozen(Eui64(2))
            ),
            (2, 0)
        );
        assert!(books.decommissioned().contains(&Eui64(3)));
        assert_eq!(books.profiles().get(&Eui64(11)).map(String::as_str), Some("a@B"));
    }
}
