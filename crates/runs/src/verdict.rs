//! What a run found: cells of the matrix, named checks, and what stands behind them.

use std::collections::BTreeSet;

use domain::{Confidence, DeviceKind, Eui64, InstallationType, Srv};
use serde::{Deserialize, Serialize};

/// How one cell or check ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What was expected happened.
    Passed,
    /// Something else happened.
    Failed,
}

/// Where the answer of a hop came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HopKind {
    /// s1lab's own emulation.
    Emulated,
    /// A recorded tape.
    Replayed,
    /// The user's own component.
    Own,
}

/// One hop of the chain and what stood there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Role, for example `s1sp`.
    pub role: String,
    /// What it was.
    pub kind: HopKind,
}

/// One cell: one service request to one device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The device it was sent to.
    pub device: String,
    /// Its kind.
    pub device_kind: String,
    /// Its profile, `model@firmware`.
    pub profile: String,
    /// What its installation was before it was enrolled: active, dormant or mixed.
    #[serde(default)]
    pub installation: InstallationType,
    /// The service reference variant.
    pub srv: String,
    /// Order within the run, from 1.
    pub position: u32,
    /// RequestID, by which the tape can be searched.
    pub request_id: String,
    /// What was expected, in words.
    pub expected: String,
    /// What happened, in words.
    pub observed: String,
    /// Whether the two agree.
    pub verdict: Verdict,
    /// The hop that failed, where one did.
    pub failed_hop: Option<String>,
    /// The weakest confidence that touched the answer; absent where nothing of a device did.
    pub confidence: Option<String>,
    /// Rules of the device profile that touched the answer.
    pub rules: Vec<String>,
    /// From request to outcome, milliseconds of the lab's calendar.
    pub took_ms: u64,
}

/// One invariant or other check over the whole run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was looked at, or what was found.
    pub detail: String,
}

/// The result of one run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// Name of the pack.
    pub pack: String,
    /// Root seed.
    pub seed: u64,
    /// Number of worlds.
    pub worlds: u32,
    /// Which clock.
    pub clock: String,
    /// Digest over the canonical view of the tape.
    pub digest: String,
    /// First instant of the calendar.
    pub started_at: String,
    /// Calendar time that went by, milliseconds.
    pub lasted_ms: u64,
    /// What stood at each hop.
    pub hops: Vec<Hop>,
    /// Modes that drop an invariant; named in every result.
    pub dropped_invariants: Vec<String>,
    /// The matrix, in the order it was run.
    pub cells: Vec<Cell>,
    /// Invariants and other checks.
    pub checks: Vec<Check>,
}

impl Cell {
    /// The start of a cell; the rest is filled in when the outcome is known.
    #[must_use]
    pub fn new(device: Eui64, kind: DeviceKind, profile: String, srv: Srv) -> Self {
        Self {
            device: device.to_string(),
            device_kind: kind.to_string(),
            profile,
            installation: InstallationType::Active,
            srv: srv.to_string(),
            position: 0,
            request_id: String::new(),
            expected: String::new(),
            observed: String::new(),
            verdict: Verdict::Failed,
            failed_hop: None,
            confidence: None,
            rules: Vec::new(),
            took_ms: 0,
        }
    }
}

impl RunResult {
    /// True when every cell and every check passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cells.is_empty()
            && self.cells.iter().all(|cell| cell.verdict == Verdict::Passed)
            && self.checks.iter().all(|check| check.verdict == Verdict::Passed)
    }

    /// Cells passed and cells in all.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.cells.iter().filter(|cell| cell.verdict == Verdict::Passed).count(),
            self.cells.len(),
        )
    }

    /// The weakest confidence that touched any cell.
    #[must_use]
    pub fn weakest_confidence(&self) -> Option<Confidence> {
        self.cells
            .iter()
            .filter_map(|cell| cell.confidence.as_deref()?.parse().ok())
            .min()
    }

    /// Devices in the order they first appear: identity, kind and profile.
    #[must_use]
    pub fn devices(&self) -> Vec<(&str, &str, &str)> {
        let mut seen = BTreeSet::new();
        let devices = self.cells.iter().filter(|cell| seen.insert(cell.device.as_str()));
        devices
            .map(|cell| (cell.device.as_str(), cell.device_kind.as_str(), cell.profile.as_str()))
            .collect()
    }

    /// Service reference variants in their own order.
    #[must_use]
    pub fn variants(&self) -> Vec<&str> {
        let mut parsed: Vec<(Srv, &str)> = self
            .cells
            .iter()
            .filter_map(|cell| Some((cell.srv.parse().ok()?, cell.srv.as_str())))
            .collect();
        parsed.sort_unstable();
        parsed.dedup();
        parsed.into_iter().map(|(_, text)| text).collect()
    }
}
