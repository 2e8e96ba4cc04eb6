//! The matrix of a result: a row per device, or of larger runs per profile and installation type.

use std::collections::{BTreeMap, BTreeSet};

use crate::verdict::{Cell, RunResult, Verdict};

/// Devices up to which each has a row of its own.
const DEVICES_MAX: usize = 60;

/// Rows by what was tested, columns by service reference variant.
pub(crate) struct Grid<'a> {
    pub(crate) variants: Vec<&'a str>,
    pub(crate) rows: Vec<Row<'a>>,
    /// Whether a row is one device.
    pub(crate) by_device: bool,
}

/// One row.
pub(crate) struct Row<'a> {
    /// The device, or how many there are of the profile and type.
    pub(crate) device: String,
    pub(crate) kind: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) installation: &'static str,
    cells: BTreeMap<&'a str, Vec<&'a Cell>>,
}

/// What stands in the matrix for all cells of a row and variant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Nothing was sent.
    None,
    /// As expected.
    Ok,
    /// Refused, as expected.
    Refused,
    /// Not as expected, at least once.
    Fail,
}

impl Mark {
    /// The word of texts and tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => ".",
            Self::Ok => "ok",
            Self::Refused => "no",
            Self::Fail => "FAIL",
        }
    }
}

impl<'a> Grid<'a> {
    pub(crate) fn of(result: &'a RunResult) -> Self {
        let devices: BTreeSet<&str> = result.cells.iter().map(|cell| cell.device.as_str()).collect();
        Self::with(result, devices.len() <= DEVICES_MAX)
    }

    /// A row per profile and installation type.
    pub(crate) fn by_profile(result: &'a RunResult) -> Self {
        Self::with(result, false)
    }

    fn with(result: &'a RunResult, by_device: bool) -> Self {
        // Kinds in the order they first appear: rows of one kind stand together.
        let mut kinds: Vec<&str> = Vec::new();
        let mut rows: BTreeMap<Place<'_>, (Row<'a>, BTreeSet<&str>)> = BTreeMap::new();
        let mut order: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in &result.cells {
            let kind = kinds.iter().position(|kind| *kind == cell.device_kind);
            let kind = kind.unwrap_or_else(|| {
                kinds.push(&cell.device_kind);
                kinds.len() - 1
            });
            let next = order.len();
            let key = if by_device {
                (*order.entry(cell.device.as_str()).or_insert(next), "", "", 0)
            } else {
                (kind, cell.profile.as_str(), "", cell.installation as usize)
            };
            let (row, devices) = rows.entry(key).or_insert_with(|| {
                let row = Row {
                    device: cell.device.clone(),
                    kind: &cell.device_kind,
                    profile: &cell.profile,
                    installation: cell.installation.as_str(),
                    cells: BTreeMap::new(),
                };
                (row, BTreeSet::new())
            });
            devices.insert(&cell.device);
            row.cells.entry(&cell.srv).or_default().push(cell);
        }
        let rows = rows.into_values().map(|(mut row, devices)| {
            if !by_device {
                row.device = devices.len().to_string();
            }
            row
        });
        Self {
            variants: result.variants(),
            rows: rows.collect(),
            by_device,
        }
    }
}

impl<'a> Row<'a> {
    pub(crate) fn mark(&self, srv: &str) -> Mark {
        match self.cells(srv) {
            [] => Mark::None,
            cells if cells.iter().any(|cell| cell.verdict == Verdict::Failed) => Mark::Fail,
            cells if cells.iter().all(|cell| cell.expected.starts_with("refused")) => Mark::Refused,
            _ => Mark::Ok,
        }
    }

    /// The cells behind a mark, in the order they were run.
    pub(crate) fn cells(&self, srv: &str) -> &[&'a Cell] {
        self.cells.get(srv).map_or(&[], Vec::as_slice)
    }
}

/// What rows are ordered by: the place of their kind first.
type Place<'a> = (usize, &'a str, &'a str, usize);
