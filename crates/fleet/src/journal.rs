//! What of a hub is durable, and how it stands in the fleet's journal: one record per hub and change, the last one counts.
//!
//! A change that matters (a command executed, an alert raised, something a consumer did) is on disk before anybody hears
//! of it. Mere counters are written every [`COUNTERS_EVERY`] messages only; a restored hub skips twice as many, so that
//! none is used a second time. Notifications that were not told yet are lost with the process, as in a power cut.

use std::sync::{Mutex, PoisonError};

use domain::{DeviceKind, Eui64, ProfileId, SimInstant};
use world::{Store, StoreError};

use crate::hub::WakeUps;

/// Messages of a hub after which its counters are written although nothing else changed.
pub(crate) const COUNTERS_EVERY: u32 = 128;

/// Counters a restored device skips.
pub(crate) const COUNTERS_SKIPPED: u32 = 2 * COUNTERS_EVERY;

const VERSION: u8 = 3;

/// The journal of one fleet.
pub(crate) struct Journal(Mutex<Box<dyn Store>>);

/// What of a hub is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Saved {
    pub(crate) hub: Eui64,
    pub(crate) installed_at: SimInstant,
    /// By party, in the order of [`PARTIES`](crate::hub::PARTIES).
    pub(crate) wake_ups: [WakeUps; 2],
    pub(crate) last_session: u64,
    /// Devices that have another firmware than they were fitted with.
    pub(crate) profiles: Vec<(DeviceKind, ProfileId)>,
    /// In the octets of `meter`; none of an installation that was taken away.
    pub(crate) installation: Vec<u8>,
}

impl Journal {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self(Mutex::new(store))
    }

    /// Writes a record; it is on disk when this returns.
    pub(crate) fn save(&self, saved: &Saved) -> Result<(), StoreError> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.append(&saved.to_bytes())?;
        store.commit()
    }
}

impl Saved {
    /// Whether this is the last word on an installation that was taken away.
    pub(crate) fn is_of_one_removed(&self) -> bool {
        self.installation.is_empty()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.hub.to_bytes());
        out.extend_from_slice(&self.installed_at.0.to_be_bytes());
        for wake_ups in self.wake_ups {
            out.extend_from_slice(&wake_ups.epoch.to_be_bytes());
            out.extend_from_slice(&wake_ups.last.to_be_bytes());
        }
        out.extend_from_slice(&self.last_session.to_be_bytes());
        let changed: Vec<_> = self.profiles.iter().map(|(slot, id)| format!("{slot} {id}")).collect();
        let changed = changed.join("\n");
        out.extend_from_slice(&u16::try_from(changed.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(changed.as_bytes());
        out.extend_from_slice(&self.installation);
        out
    }

    /// The inverse of [`Saved::to_bytes`]; `None` for another version or too few octets.
    pub(crate) fn from_bytes(octets: &[u8]) -> Option<Self> {
        let (version, rest) = octets.split_first()?;
        let (hub, rest) = rest.split_first_chunk::<8>()?;
        let (installed_at, rest) = rest.split_first_chunk::<8>()?;
        let (smso, rest) = wake_ups(rest)?;
        let (s1sp, rest) = wake_ups(rest)?;
        let (last_session, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (changed, installation) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        if *version != VERSION {
            return None;
        }
        Some(Self {
            hub: Eui64::from_bytes(*hub),
            installed_at: SimInstant(i64::from_be_bytes(*installed_at)),
            wake_ups: [smso, s1sp],
            last_session: u64::from_be_bytes(*last_session),
            profiles: std::str::from_utf8(changed)
                .ok()?
                .lines()
                .map(profile)
                .collect::<Option<_>>()?,
            installation: installation.to_vec(),
        })
    }
}

fn profile(line: &str) -> Option<(DeviceKind, ProfileId)> {
    let (slot, id) = line.split_once(' ')?;
    Some((slot.parse().ok()?, id.parse().ok()?))
}

fn wake_ups(octets: &[u8]) -> Option<(WakeUps, &[u8])> {
    let (epoch, rest) = octets.split_first_chunk::<4>()?;
    let (last, rest) = rest.split_first_chunk::<4>()?;
    let (epoch, last) = (u32::from_be_bytes(*epoch), u32::from_be_bytes(*last));
    Some((WakeUps { epoch, last }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_pieces_are_refused() {
        let saved = Saved {
            hub: Eui64(7),
            installed_at: SimInstant(-5),
            wake_ups: [WakeUps { epoch: 1, last: 3 }, WakeUps { epoch: 2, last: 0 }],
            last_session: 9,
            profiles: vec![
                (DeviceKind::Chf, "am110r@LAB-H001".parse().expect("a profile")),
                (DeviceKind::Esme, "as300p@LAB-E001".parse().expect("a profile")),
            ],
            installation: vec![1, 2],
        };
        let octets = saved.to_bytes();
        assert_eq!(Saved::from_bytes(&octets), Some(saved));
        assert!((0..83).all(|length| Saved::from_bytes(&octets[..length]).is_none()));
        assert_eq!(Saved::from_bytes(&[&[9], &octets[1..]].concat()), None);
    }
}
