//! The result as tables.

use crate::verdict::{RunResult, Verdict};

use super::grid::Grid;

/// The matrix by profile and installation type: a column per variant.
pub(crate) fn matrix(result: &RunResult) -> String {
    let grid = Grid::by_profile(result);
    let head = ["kind", "profile", "installation", "devices"];
    let mut out = line(head.into_iter().chain(grid.variants.iter().copied()));
    for row in &grid.rows {
        let marks = grid.variants.iter().map(|srv| row.mark(srv).word());
        let head = [row.kind, row.profile, row.installation, &row.device];
        out.push_str(&line(head.into_iter().chain(marks)));
    }
    out
}

/// Every cell, in the order they were run.
pub(crate) fn cells(result: &RunResult) -> String {
    let mut out = line([
        "position",
        "installation",
        "kind",
        "profile",
        "device",
        "srv",
        "verdict",
        "expected",
        "observed",
        "failed_hop",
        "confidence",
        "rules",
        "took_ms",
        "request_id",
    ]);
    for cell in &result.cells {
        let verdict = if cell.verdict == Verdict::Passed {
            "passed"
        } else {
            "failed"
        };
        out.push_str(&line([
            cell.position.to_string().as_str(),
            cell.installation.as_str(),
            &cell.device_kind,
            &cell.profile,
            &cell.device,
            &cell.srv,
            verdict,
            &cell.expected,
            &cell.observed,
            cell.failed_hop.as_deref().unwrap_or_default(),
            cell.confidence.as_deref().unwrap_or_default(),
            &cell.rules.join(" "),
            &cell.took_ms.to_string(),
            &cell.request_id,
        ]));
    }
    out
}

/// One line; a cell with a comma, a quote or a line break is quoted.
fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells = cells.into_iter().map(|text| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    });
    let mut line = cells.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}
