//! Invocation and wake-up counters that never go back, not even over a restart.
//!
//! A commit per frame would make the journal the slowest part of the chain. So counters are taken from ranges: the end of
//! a range is committed before its first value is used, and a restart begins after the last range.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Association, Eui64};
use prost::Message;
use world::{Store, StoreError};

/// Values taken from the journal at once.
pub const RANGE: u32 = 256;

/// What a counter counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CounterUse {
    /// Ciphered frames to a device on an association.
    Frames(Association),
    /// Wake-up text messages to a hub.
    WakeUp,
}

impl CounterUse {
    fn code(self) -> u32 {
        match self {
            Self::WakeUp => 0,
            Self::Frames(Association::Public) => 1,
            Self::Frames(Association::Reader) => 2,
            Self::Frames(Association::Management) => 3,
            Self::Frames(Association::Critical) => 4,
            Self::Frames(Association::StagedManagement) => 5,
            Self::Frames(Association::StagedCritical) => 6,
        }
    }

    fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::WakeUp,
            1 => Self::Frames(Association::Public),
            2 => Self::Frames(Association::Reader),
            3 => Self::Frames(Association::Management),
            4 => Self::Frames(Association::Critical),
            5 => Self::Frames(Association::StagedManagement),
            6 => Self::Frames(Association::StagedCritical),
            _ => return None,
        })
    }
}

/// One counter: each epoch has its own, since each has its own keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Counter {
    /// The device.
    pub device: Eui64,
    /// The key epoch.
    pub epoch: u32,
    /// What it counts.
    pub usage: CounterUse,
}

impl Counter {
    /// Of ciphered frames. A staged association counts with the one that has the same keys in force.
    #[must_use]
    pub fn frames(device: Eui64, epoch: u32, association: Association) -> Self {
        let usage = CounterUse::Frames(association.in_force());
        Self { device, epoch, usage }
    }
}

/// The counters of one head-end over its journal.
pub struct Counters {
    store: Box<dyn Store>,
    ranges: BTreeMap<Counter, Range>,
    /// Last counters taken from devices, and which of them the journal does not have yet.
    seen: BTreeMap<Counter, u32>,
    unsaved: BTreeSet<Counter>,
    /// The same of text messages, which come out of order.
    texts: BTreeMap<Counter, Window>,
    unsaved_texts: BTreeSet<Counter>,
}

/// The highest counter taken from text messages, and which of those just below it were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    highest: u32,
    /// Bit n: the counter n + 1 below the highest.
    taken: u64,
}

impl Window {
    /// Takes a counter; `false` when it was taken before or is below the window.
    fn take(&mut self, value: u32) -> bool {
        if let Some(ahead) = value.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            // The highest so far becomes one of those below.
            self.taken = self.taken.checked_shl(1).unwrap_or(0) | 1;
            self.taken = self.taken.checked_shl(ahead - 1).unwrap_or(0);
            self.highest = value;
            return true;
        }
        let behind = (self.highest - value).checked_sub(1);
        let Some(bit) = behind.and_then(|behind| 1u64.checked_shl(behind)) else {
            return false;
        };
        let fresh = self.taken & bit == 0;
        self.taken |= bit;
        fresh
    }
}

#[derive(Clone, Copy, Debug)]
struct Range {
    next: u32,
    end: u32,
}

/// One record of the engine's journal: what is reserved of our counters, or seen of a device's.
#[derive(Clone, PartialEq, Message)]
struct Reserved {
    #[prost(fixed64, tag = "1")]
    device: u64,
    #[prost(uint32, tag = "2")]
    usage: u32,
    /// First value that is not reserved; zero when the record is about a device's counter.
    #[prost(uint32, tag = "3")]
    end: u32,
    /// Last counter taken from the device; zero when the record is about ours.
    #[prost(uint32, tag = "4")]
    seen: u32,
    #[prost(uint32, tag = "5")]
    epoch: u32,
    /// Highest counter taken from the device's text messages; zero when the record is not about them.
    #[prost(uint32, tag = "6")]
    text: u32,
}

impl Counters {
    /// Reads what was reserved before.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds a record this release cannot read: going on could repeat a counter.
    pub fn open(store: Box<dyn Store>) -> Result<Self, StoreError> {
        let mut ranges = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let mut texts = BTreeMap::new();
        let mut strange = 0u32;
        store.replay(&mut |record| {
            let read = Reserved::decode(record)
                .ok()
                .and_then(|r| CounterUse::from_code(r.usage).map(|usage| (r, usage)));
            let Some((reserved, usage)) = read else {
                strange += 1;
                return;
            };
            let name = Counter {
                device: Eui64(reserved.device),
                epoch: reserved.epoch,
                usage,
            };
            if reserved.text > 0 {
                // Which of those below were taken is forgotten with a restart: none of them is any more.
                let window = Window {
                    highest: reserved.text,
                    taken: u64::MAX,
                };
                texts.insert(name, window);
            } else if reserved.seen > 0 {
                seen.insert(name, reserved.seen);
            } else {
                ranges.insert(
                    name,
                    Range {
                        next: reserved.end,
                        end: reserved.end,
                    },
                );
            }
        })?;
        if strange > 0 {
            return Err(StoreError {
                journal: "head-end counters".into(),
                problem: format!("{strange} record(s) that are no counter reservation"),
            });
        }
        Ok(Self {
            store,
            ranges,
            seen,
            unsaved: BTreeSet::new(),
            texts,
            unsaved_texts: BTreeSet::new(),
        })
    }

    /// Makes sure that at least `count` values can be taken without touching the journal.
    ///
    /// # Errors
    /// When the journal refuses, or the counter would pass its largest value; nothing may then be sent.
    pub fn reserve(&mut self, counter: Counter, count: u32) -> Result<(), StoreError> {
        let range = self.ranges.entry(counter).or_insert(Range { next: 1, end: 1 });
        if range.end - range.next >= count {
            return Ok(());
        }
        let end = range.end.checked_add(RANGE.max(count)).ok_or_else(|| StoreError {
            journal: "head-end counters".into(),
            problem: format!("the counter of {} is used up: rotate its keys", counter.device),
        })?;
        let record = Reserved {
            device: counter.device.0,
            usage: counter.usage.code(),
            end,
            epoch: counter.epoch,
            ..Reserved::default()
        };
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()?;
        range.end = end;
        Ok(())
    }

    /// The next value; each is given once.
    ///
    /// # Errors
    /// As [`Counters::reserve`].
    pub fn next(&mut self, counter: Counter) -> Result<u32, StoreError> {
        self.reserve(counter, 1)?;
        let range = self.ranges.entry(counter).or_insert(Range { next: 1, end: 1 });
        let value = range.next;
        range.next += 1;
        Ok(value)
    }

    /// The value [`Counters::next`] would give.
    #[must_use]
    pub fn peek(&self, counter: Counter) -> u32 {
        self.ranges.get(&counter).map_or(1, |range| range.next)
    }

    /// Moves a counter up to `at_least`, because the device says that it will take nothing below. Never moves it down.
    ///
    /// # Errors
    /// As [`Counters::reserve`].
    pub fn raise(&mut self, counter: Counter, at_least: u32) -> Result<(), StoreError> {
        let range = self.ranges.entry(counter).or_insert(Range { next: 1, end: 1 });
        if range.next >= at_least {
            return Ok(());
        }
        range.next = at_least;
        range.end = range.end.max(at_least);
        self.reserve(counter, 1)
    }

    /// Takes a device's own counter from an authentic message; `false` when it is not above the last one.
    ///
    /// It is in the journal after the next [`Counters::save_seen`]: a crash within a session forgets that session's.
    pub fn note(&mut self, counter: Counter, value: u32) -> bool {
        let last = self.seen.entry(counter).or_insert(0);
        if value <= *last {
            return false;
        }
        *last = value;
        self.unsaved.insert(counter);
        true
    }

    /// Takes a device's own counter from an authentic text message; `false` when it was taken before, or is so far behind
    /// the highest that nobody knows.
    ///
    /// It is in the journal after the next [`Counters::save_seen`].
    pub fn note_text(&mut self, counter: Counter, value: u32) -> bool {
        let window = self.texts.entry(counter).or_insert(Window { highest: 0, taken: 0 });
        let fresh = window.take(value);
        if fresh {
            self.unsaved_texts.insert(counter);
        }
        fresh
    }

    /// Puts the devices' counters noted since the last time into the journal.
    ///
    /// # Errors
    /// When the journal refuses; they are tried again the next time.
    pub fn save_seen(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() && self.unsaved_texts.is_empty() {
            return Ok(());
        }
        for name in &self.unsaved_texts {
            let record = Reserved {
                device: name.device.0,
                usage: name.usage.code(),
                epoch: name.epoch,
                text: self.texts.get(name).map_or(0, |window| window.highest),
                ..Reserved::default()
            };
            self.store.append(&record.encode_to_vec())?;
        }
        for name in &self.unsaved {
            let seen = self.seen.get(name).copied().unwrap_or(0);
            let record = Reserved {
                device: name.device.0,
                usage: name.usage.code(),
                seen,
                epoch: name.epoch,
                ..Reserved::default()
            };
            self.store.append(&record.encode_to_vec())?;
        }
        self.store.commit()?;
        self.unsaved.clear();
        self.unsaved_texts.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counters({})", self.ranges.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::MemoryStore;

    fn frames(device: u64, association: Association) -> Counter {
        Counter::frames(Eui64(device), 1, association)
    }

    #[test]
    fn counters_rise_over_restarts_and_are_apart() {
        let store = MemoryStore::default();
        let management = frames(1, Association::Management);
        let wake_up = Counter {
            usage: CounterUse::WakeUp,
            ..management
        };
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        let first: Vec<u32> = (0..300).map(|_| counters.next(management).unwrap()).collect();
        assert!(first.windows(2).all(|w| w[1] == w[0] + 1));
        assert_eq!(counters.next(wake_up).unwrap(), 1);
        assert_eq!(counters.next(frames(2, Association::Management)).unwrap(), 1);
        drop(counters);
        let mut again = Counters::open(Box::new(store.clone())).unwrap();
        let next = again.next(management).unwrap();
        assert!(next > 300, "{next}");
        again.raise(management, 5000).unwrap();
        again.raise(management, 10).unwrap();
        assert_eq!(again.next(management).unwrap(), 5000);
        drop(again);
        assert!(Counters::open(Box::new(store)).unwrap().next(management).unwrap() > 5000);
    }

    #[test]
    fn a_device_counter_is_taken_once_also_after_a_restart() {
        let store = MemoryStore::default();
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        assert!(counters.note(frames(1, Association::Management), 7));
        assert!(!counters.note(frames(1, Association::Management), 7));
        assert!(counters.note(frames(1, Association::Critical), 7));
        counters.save_seen().unwrap();
        drop(counters);
        let mut again = Counters::open(Box::new(store)).unwrap();
        assert!(!again.note(frames(1, Association::Management), 6));
        assert!(again.note(frames(1, Association::Management), 8));
        assert_eq!(again.next(frames(1, Association::Management)).unwrap(), 1);
    }

    #[test]
    fn counters_of_text_messages_come_out_of_order_but_once() {
        let store = MemoryStore::default();
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        let name = frames(1, Association::Management);
        for value in [5, 3, 9, 4, 8, 200, 199, 137] {
            assert!(counters.note_text(name, value), "{value}");
            assert!(!counters.note_text(name, value), "{value} twice");
        }
        assert!(!counters.note_text(name, 135), "too far behind to tell");
        assert!(counters.note(name, 6), "what comes over a connection counts apart");
        counters.save_seen().unwrap();
        drop(counters);
        let mut again = Counters::open(Box::new(store)).unwrap();
        assert!(!again.note_text(name, 198) && !again.note_text(name, 200) && again.note_text(name, 201));
        assert!(!again.note(name, 6));
        assert_eq!(again.next(name).unwrap(), 1);
    }

    #[test]
    fn a_foreign_record_and_a_used_up_counter_are_refused() {
        let mut store = MemoryStore::default();
        let critical = frames(1, Association::Critical);
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        assert!(counters.raise(critical, u32::MAX - 10).is_err());
        store.append(&[0xff, 0xff]).unwrap();
        store.commit().unwrap();
        assert!(Counters::open(Box::new(store)).is_err());
    }

    #[test]
    fn an_epoch_begins_with_its_own_counters_and_keeps_them_when_it_comes_into_force() {
        let store = MemoryStore::default();
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        let of = |epoch, association| Counter::frames(Eui64(1), epoch, association);
        let old = of(1, Association::Management);
        assert!(counters.note(old, 900));
        let staged = of(2, Association::StagedManagement);
        assert_eq!(counters.next(staged).unwrap(), 1);
        assert!(counters.note(staged, 1), "the device counts anew too");
        assert_eq!(
            counters.next(of(2, Association::Management)).unwrap(),
            2,
            "the same keys"
        );
        assert!(!counters.note(of(2, Association::Management), 1));
        counters.save_seen().unwrap();
        drop(counters);
        let mut again = Counters::open(Box::new(store)).unwrap();
        assert!(!again.note(staged, 1));
        assert!(!again.note(old, 900));
    }
}
