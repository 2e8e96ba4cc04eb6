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
        }
    }

    fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::WakeUp,
            1 => Self::Frames(Association::Public),
            2 => Self::Frames(Association::Reader),
            3 => Self::Frames(Association::Management),
            4 => Self::Frames(Association::Critical),
            _ => return None,
        })
    }
}

/// The counters of one head-end over its journal.
pub struct Counters {
    store: Box<dyn Store>,
    ranges: BTreeMap<(Eui64, CounterUse), Range>,
    /// Last counters taken from devices, and which of them the journal does not have yet.
    seen: BTreeMap<(Eui64, CounterUse), u32>,
    unsaved: BTreeSet<(Eui64, CounterUse)>,
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
}

impl Counters {
    /// Reads what was reserved before.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds a record this release cannot read: going on could repeat a counter.
    pub fn open(store: Box<dyn Store>) -> Result<Self, StoreError> {
        let mut ranges = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let mut strange = 0u32;
        store.replay(&mut |record| {
            let read = Reserved::decode(record)
                .ok()
                .and_then(|r| CounterUse::from_code(r.usage).map(|usage| (r, usage)));
            let Some((reserved, usage)) = read else {
                strange += 1;
                return;
            };
            let name = (Eui64(reserved.device), usage);
            if reserved.seen > 0 {
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
        })
    }

    /// Makes sure that at least `count` values can be taken without touching the journal.
    ///
    /// # Errors
    /// When the journal refuses, or the counter would pass its largest value; nothing may then be sent.
    pub fn reserve(&mut self, device: Eui64, usage: CounterUse, count: u32) -> Result<(), StoreError> {
        let range = self.ranges.entry((device, usage)).or_insert(Range { next: 1, end: 1 });
        if range.end - range.next >= count {
            return Ok(());
        }
        let end = range.end.checked_add(RANGE.max(count)).ok_or_else(|| StoreError {
            journal: "head-end counters".into(),
            problem: format!("the counter of {device} is used up: rotate its keys"),
        })?;
        let record = Reserved {
            device: device.0,
            usage: usage.code(),
            end,
            seen: 0,
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
    pub fn next(&mut self, device: Eui64, usage: CounterUse) -> Result<u32, StoreError> {
        self.reserve(device, usage, 1)?;
        let range = self.ranges.entry((device, usage)).or_insert(Range { next: 1, end: 1 });
        let value = range.next;
        range.next += 1;
        Ok(value)
    }

    /// The value [`Counters::next`] would give.
    #[must_use]
    pub fn peek(&self, device: Eui64, usage: CounterUse) -> u32 {
        self.ranges.get(&(device, usage)).map_or(1, |range| range.next)
    }

    /// Moves a counter up to `at_least`, because the device says that it will take nothing below. Never moves it down.
    ///
    /// # Errors
    /// As [`Counters::reserve`].
    pub fn raise(&mut self, device: Eui64, usage: CounterUse, at_least: u32) -> Result<(), StoreError> {
        let range = self.ranges.entry((device, usage)).or_insert(Range { next: 1, end: 1 });
        if range.next >= at_least {
            return Ok(());
        }
        range.next = at_least;
        range.end = range.end.max(at_least);
        self.reserve(device, usage, 1)
    }

    /// Takes a device's own counter from an authentic message; `false` when it is not above the last one.
    ///
    /// It is in the journal after the next [`Counters::save_seen`]: a crash within a session forgets that session's.
    pub fn note(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        let name = (device, CounterUse::Frames(association));
        let last = self.seen.entry(name).or_insert(0);
        if counter <= *last {
            return false;
        }
        *last = counter;
        self.unsaved.insert(name);
        true
    }

    /// Puts the devices' counters noted since the last time into the journal.
    ///
    /// # Errors
    /// When the journal refuses; they are tried again the next time.
    pub fn save_seen(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        for name in &self.unsaved {
            let seen = self.seen.get(name).copied().unwrap_or(0);
            let record = Reserved {
                device: name.0.0,
                usage: name.1.code(),
                end: 0,
                seen,
            };
            self.store.append(&record.encode_to_vec())?;
        }
        self.store.commit()?;
        self.unsaved.clear();
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

    #[test]
    fn counters_rise_over_restarts_and_are_apart() {
        let store = MemoryStore::default();
        let frames = CounterUse::Frames(Association::Management);
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        let first: Vec<u32> = (0..300).map(|_| counters.next(Eui64(1), frames).unwrap()).collect();
        assert!(first.windows(2).all(|w| w[1] == w[0] + 1));
        assert_eq!(counters.next(Eui64(1), CounterUse::WakeUp).unwrap(), 1);
        assert_eq!(counters.next(Eui64(2), frames).unwrap(), 1);
        drop(counters);
        let mut again = Counters::open(Box::new(store.clone())).unwrap();
        let next = again.next(Eui64(1), frames).unwrap();
        assert!(next > 300, "{next}");
        again.raise(Eui64(1), frames, 5000).unwrap();
        again.raise(Eui64(1), frames, 10).unwrap();
        assert_eq!(again.next(Eui64(1), frames).unwrap(), 5000);
        drop(again);
        assert!(Counters::open(Box::new(store)).unwrap().next(Eui64(1), frames).unwrap() > 5000);
    }

    #[test]
    fn a_device_counter_is_taken_once_also_after_a_restart() {
        let store = MemoryStore::default();
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        assert!(counters.note(Eui64(1), Association::Management, 7));
        assert!(!counters.note(Eui64(1), Association::Management, 7));
        assert!(counters.note(Eui64(1), Association::Critical, 7));
        counters.save_seen().unwrap();
        drop(counters);
        let mut again = Counters::open(Box::new(store)).unwrap();
        assert!(!again.note(Eui64(1), Association::Management, 6));
        assert!(again.note(Eui64(1), Association::Management, 8));
        assert_eq!(
            again
                .next(Eui64(1), CounterUse::Frames(Association::Management))
                .unwrap(),
            1
        );
    }

    #[test]
    fn a_foreign_record_and_a_used_up_counter_are_refused() {
        let mut store = MemoryStore::default();
        let frames = CounterUse::Frames(Association::Critical);
        let mut counters = Counters::open(Box::new(store.clone())).unwrap();
        assert!(counters.raise(Eui64(1), frames, u32::MAX - 10).is_err());
        store.append(&[0xff, 0xff]).unwrap();
        store.commit().unwrap();
        assert!(Counters::open(Box::new(store)).is_err());
    }
}
