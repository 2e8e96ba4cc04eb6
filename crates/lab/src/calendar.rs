//! The calendar of a lab on sockets: it goes on across restarts, and a fleet elsewhere has the same one.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::SimInstant;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, strict};
use crate::files::{FileError, read_text, write_public};

/// Name of the file that ties the lab's calendar to the machine's.
pub const FILE: &str = "calendar.toml";

/// A calendar that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not say what it should.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    /// An instant of the lab's calendar, milliseconds since 1970.
    calendar_ms: i64,
    /// The machine's time at that instant, milliseconds since 1970.
    machine_ms: i64,
}

/// What the lab's calendar shows now: `start` at the first call for this folder, later as much more as has passed since,
/// times `speed`.
///
/// # Errors
/// When the file in `folder` cannot be read or written.
pub fn now(folder: &Path, start: SimInstant, speed: f64) -> Result<SimInstant, Error> {
    let path = folder.join(FILE);
    let machine_ms = machine_ms();
    if !path.exists() {
        let anchor = Anchor {
            calendar_ms: start.0,
            machine_ms,
        };
        let text = toml::to_string(&anchor).unwrap_or_default();
        write_public(&path, &format!("# Ties the lab's calendar to the machine's.\n{text}"))?;
    }
    let anchor: Anchor = strict(&path.display().to_string(), &read_text(&path)?)?;
    Ok(SimInstant(anchor.at(machine_ms, speed)))
}

/// Puts the calendar of `from` into `to`, for a fleet elsewhere.
///
/// # Errors
/// When it cannot be read, or there is one already.
pub fn hand_over(from: &Path, to: &Path) -> Result<(), Error> {
    Ok(write_public(&to.join(FILE), &read_text(&from.join(FILE))?)?)
}

impl Anchor {
    fn at(self, machine_ms: i64, speed: f64) -> i64 {
        let passed = machine_ms.saturating_sub(self.machine_ms).max(0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "years in milliseconds are exact"
        )]
        let scaled = (passed as f64 * speed).round() as i64;
        self.calendar_ms.saturating_add(scaled)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks for the machine's date: processes have no other in common"
)]
fn machine_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The machine's time.
pub(crate) fn of_the_machine() -> SimInstant {
    SimInstant(machine_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_goes_on_and_is_shared() {
        let (folder, fleet) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let start = SimInstant(1_591_002_000_000);
        let first = now(folder.path(), start, 1.0).expect("written");
        assert!(first.since(start).as_millis() < 60_000);
        hand_over(folder.path(), fleet.path()).expect("copied");
        let later = now(fleet.path(), SimInstant(0), 1.0).expect("read");
        assert!(later >= first && later.since(first).as_millis() < 60_000);
        let anchor = Anchor {
            calendar_ms: 1000,
            machine_ms: 50,
        };
        assert_eq!(anchor.at(150, 60.0), 7000);
        assert_eq!(anchor.at(0, 60.0), 1000, "a machine set back does not set the lab back");
    }
}
