//! The matrix for the terminal.

use std::fmt::Write;

use crate::verdict::{RunResult, Verdict};

use super::causes;
use super::grid::{Grid, Row};

/// The matrix in short, a row per device (of larger runs, per profile and installation type) and a column per group of
/// service requests, then each failure, and the checks. No colour: readable in a log. The whole matrix stands in the tables
/// and on the page.
#[must_use]
pub fn text(result: &RunResult) -> String {
    let grid = Grid::of(result);
    let groups = groups(&grid);
    let head = ["kind", "profile", "type"].map(str::to_owned);
    let first = if grid.by_device { "device" } else { "devices" };
    let head = std::iter::once(first.to_owned())
        .chain(head)
        .chain(groups.iter().map(|group| format!("{group}.x")));
    let mut lines: Vec<Vec<String>> = vec![head.collect()];
    lines.extend(grid.rows.iter().map(|row| {
        let device = if grid.by_device {
            short(&row.device)
        } else {
            &row.device
        };
        let of_row = [device, row.kind, row.profile, row.installation].map(str::to_owned);
        let counts = groups.iter().map(|group| counts(&grid, row, group));
        of_row.into_iter().chain(counts).collect()
    }));
    let mut out = columns(&lines);
    out.push_str("\n9: as expected  +9: refused, as expected  !9: not as expected  .: not sent\n");
    failures(result, &mut out);
    summary(result, &mut out);
    out
}

/// The first numbers of the variants, each once, in their order.
fn groups<'a>(grid: &Grid<'a>) -> Vec<&'a str> {
    let mut groups: Vec<&str> = Vec::new();
    for group in grid.variants.iter().map(|srv| group_of(srv)) {
        if groups.last() != Some(&group) {
            groups.push(group);
        }
    }
    groups
}

fn group_of(srv: &str) -> &str {
    srv.split('.').next().unwrap_or(srv)
}

/// How the cells of a row in one group came out: `28+3!1` is 28 as expected, 3 refused as expected, 1 not as expected.
fn counts(grid: &Grid<'_>, row: &Row<'_>, group: &str) -> String {
    let variants = grid.variants.iter().filter(|srv| group_of(srv) == group);
    let cells = variants.flat_map(|srv| row.cells(srv));
    let (mut ok, mut refused, mut failed) = (0, 0, 0);
    for cell in cells {
        match cell.verdict {
            Verdict::Failed => failed += 1,
            Verdict::Passed if cell.expected.starts_with("refused") => refused += 1,
            Verdict::Passed => ok += 1,
        }
    }
    let part = |mark: &str, count: usize| (count > 0).then(|| format!("{mark}{count}"));
    let parts = [part("", ok), part("+", refused), part("!", failed)];
    let text: String = parts.into_iter().flatten().collect();
    if text.is_empty() { ".".to_owned() } else { text }
}

/// An identity without what all devices of a lab have in common; failures name it whole.
fn short(device: &str) -> &str {
    device.get(SHARED..).unwrap_or(device)
}

/// Lines as columns, each as wide as its widest cell.
fn columns(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let text = cells.collect::<Vec<_>>().join(" ");
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// Characters of an identity that stand for its manufacturer.
const SHARED: usize = "02-1A-B0-".len();

/// One entry per cause.
fn failures(result: &RunResult, out: &mut String) {
    for cause in causes::of(result) {
        let Some(first) = cause.cells.first() else { continue };
        let hop = first
            .failed_hop
            .as_deref()
            .map(|hop| format!(" at {hop}"))
            .unwrap_or_default();
        let (concerned, observed) = if cause.cells.len() == 1 {
            let (kind, device) = (&first.device_kind, &first.device);
            let words = format!("{} on {kind} {device} ({})", first.srv, first.profile);
            (words, &first.observed)
        } else {
            let words = format!(
                "{} cells of {} {} ({} devices): {}",
                cause.cells.len(),
                first.device_kind,
                first.profile,
                cause.devices(),
                cause.variants().join(" ")
            );
            (words, &cause.observed)
        };
        let _ = write!(
            out,
            "\nFAIL{hop}: {concerned}\n  expected: {}\n  observed: {observed}\n  look at:  s1lab tape show tape.s1tape --request {}\n",
            first.expected, first.request_id
        );
    }
}

fn summary(result: &RunResult, out: &mut String) {
    out.push('\n');
    for check in &result.checks {
        let word = if check.verdict == Verdict::Passed {
            "holds"
        } else {
            "BROKEN"
        };
        let _ = writeln!(out, "{word:6} {}: {}", check.name, check.detail);
    }
    let (passed, all) = result.counts();
    let confidence = result.weakest_confidence().map_or("none", |c| c.as_str());
    let hops: Vec<String> = result
        .hops
        .iter()
        .map(|hop| format!("{} {:?}", hop.role, hop.kind).to_lowercase())
        .collect();
    let _ = write!(
        out,
        "\n{passed} of {all} cells as expected\nweakest confidence: {confidence}\nhops: {}\n",
        hops.join(", ")
    );
    for dropped in &result.dropped_invariants {
        let _ = writeln!(out, "NOT CHECKED in this run: {dropped}");
    }
    let _ = writeln!(
        out,
        "seed {}  worlds {}  clock {}  from {}  lasted {}\ndigest {}",
        result.seed,
        result.worlds,
        result.clock,
        result.started_at,
        duration(result.lasted_ms),
        result.digest
    );
}

/// `1 h 02 min 03 s`.
pub(crate) fn duration(ms: u64) -> String {
    let (h, min, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    match (h, min) {
        (0, 0) => format!("{}.{:03} s", s, ms % 1000),
        (0, _) => format!("{min} min {s:02} s"),
        _ => format!("{h} h {min:02} min {s:02} s"),
    }
}
