//! The matrix for the terminal.

use std::fmt::Write;

use crate::verdict::{RunResult, Verdict};

use super::causes;
use super::grid::{Grid, Row};

/// The matrix of device × service request (of larger runs, of profile and installation type × service request), the reason
/// of each failure, and the checks. No colour: readable in a log.
#[must_use]
pub fn text(result: &RunResult) -> String {
    let mut out = String::new();
    let grid = Grid::of(result);
    let head = if grid.by_device { "device" } else { "devices" };
    let width = |of: fn(&Row<'_>) -> usize, least: usize| grid.rows.iter().map(of).max().unwrap_or(0).max(least);
    let (first, profile) = (
        width(|row| row.device.len(), head.len()),
        width(|row| row.profile.len(), 7),
    );
    // Writing to a String cannot fail.
    let _ = write!(out, "{head:first$}  kind   {:profile$}  type   ", "profile");
    for srv in &grid.variants {
        let _ = write!(out, " {srv:>6}");
    }
    out.push('\n');
    for row in &grid.rows {
        let _ = write!(
            out,
            "{:first$}  {:5}  {:profile$}  {:7}",
            row.device, row.kind, row.profile, row.installation
        );
        for srv in &grid.variants {
            let _ = write!(out, " {:>6}", row.mark(srv).word());
        }
        out.push('\n');
    }
    out.push_str("\nok = as expected  no = refused, as expected  FAIL = not as expected  . = not sent\n");
    failures(result, &mut out);
    summary(result, &mut out);
    out
}

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
