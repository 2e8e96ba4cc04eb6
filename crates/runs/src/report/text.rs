//! The matrix for the terminal.

use std::fmt::Write;

use crate::verdict::{RunResult, Verdict};

/// The matrix of device × service request, the reason of each failure, and the checks. No colour: readable in a log.
#[must_use]
pub fn text(result: &RunResult) -> String {
    let mut out = String::new();
    let variants = result.variants();
    let width = result
        .devices()
        .iter()
        .map(|(device, ..)| device.len())
        .max()
        .unwrap_or(0);
    let profile_width = result
        .devices()
        .iter()
        .map(|(.., profile)| profile.len())
        .max()
        .unwrap_or(0);
    // Writing to a String cannot fail.
    let _ = write!(out, "{:width$}  kind  {:profile_width$}", "device", "profile");
    for srv in &variants {
        let _ = write!(out, " {srv:>6}");
    }
    out.push('\n');
    for (device, kind, profile) in result.devices() {
        let _ = write!(out, "{device:width$}  {kind:4}  {profile:profile_width$}");
        for srv in &variants {
            let _ = write!(out, " {:>6}", mark(result, device, srv));
        }
        out.push('\n');
    }
    out.push_str("\nok = as expected  no = refused, as expected  FAIL = not as expected  . = not sent\n");
    failures(result, &mut out);
    summary(result, &mut out);
    out
}

fn mark(result: &RunResult, device: &str, srv: &str) -> &'static str {
    let cells = result.at(device, srv);
    if cells.is_empty() {
        "."
    } else if cells.iter().any(|cell| cell.verdict == Verdict::Failed) {
        "FAIL"
    } else if cells.iter().all(|cell| cell.expected.starts_with("refused")) {
        "no"
    } else {
        "ok"
    }
}

fn failures(result: &RunResult, out: &mut String) {
    for cell in result.cells.iter().filter(|cell| cell.verdict == Verdict::Failed) {
        let hop = cell
            .failed_hop
            .as_deref()
            .map(|hop| format!(" at {hop}"))
            .unwrap_or_default();
        let _ = write!(
            out,
            "\nFAIL{hop}: {} on {} {} ({})\n  expected: {}\n  observed: {}\n  look at:  s1lab tape show tape.s1tape --request {}\n",
            cell.srv, cell.device_kind, cell.device, cell.profile, cell.expected, cell.observed, cell.request_id
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
