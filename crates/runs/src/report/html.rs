//! One HTML page without anything from outside: matrix first, then failures, checks and cells.

use askama::Template;

use crate::verdict::{Cell, RunResult, Verdict};

use super::causes::{self, Cause};
use super::grid::{Grid, Mark, Row as GridRow};
use super::text::duration;

/// Cells up to which the page lists every one; of more, those that failed.
const CELLS_MAX: usize = 3000;

#[derive(Template)]
#[template(path = "run.html")]
struct Page<'a> {
    result: &'a RunResult,
    grid: &'a Grid<'a>,
    rows: Vec<Row<'a>>,
    causes: Vec<Cause<'a>>,
    listed: Vec<&'a Cell>,
    all_listed: bool,
    passed: usize,
    all: usize,
    weakest: &'a str,
    lasted: String,
}

struct Row<'a> {
    row: &'a GridRow<'a>,
    marks: Vec<Shown<'a>>,
}

struct Shown<'a> {
    class: &'static str,
    word: &'static str,
    confidence: &'a str,
    title: String,
    /// Position of the cell that is shown; 0 where the page does not list it.
    anchor: u32,
}

/// The page.
///
/// # Errors
/// Never in practice: the template is compiled in and has no formatter that fails.
pub fn html(result: &RunResult) -> Result<String, askama::Error> {
    let grid = Grid::of(result);
    let all_listed = result.cells.len() <= CELLS_MAX;
    let failed = |cell: &&Cell| cell.verdict == Verdict::Failed;
    let rows = grid.rows.iter().map(|row| Row {
        row,
        marks: grid.variants.iter().map(|srv| shown(row, srv, all_listed)).collect(),
    });
    let (passed, all) = result.counts();
    Page {
        result,
        grid: &grid,
        rows: rows.collect(),
        causes: causes::of(result),
        listed: result.cells.iter().filter(|cell| all_listed || failed(cell)).collect(),
        all_listed,
        passed,
        all,
        weakest: result.weakest_confidence().map_or("none", |c| c.as_str()),
        lasted: duration(result.lasted_ms),
    }
    .render()
}

fn shown<'a>(row: &GridRow<'a>, srv: &str, all_listed: bool) -> Shown<'a> {
    let cells = row.cells(srv);
    let failed = cells.iter().find(|cell| cell.verdict == Verdict::Failed);
    let Some(cell) = failed.or_else(|| cells.last()).copied() else {
        return Shown {
            class: "none",
            word: "·",
            confidence: "",
            title: "not sent".into(),
            anchor: 0,
        };
    };
    let mark = row.mark(srv);
    let class = match mark {
        Mark::None => "none",
        Mark::Ok => "ok",
        Mark::Refused => "refused",
        Mark::Fail => "fail",
    };
    Shown {
        class,
        word: mark.word(),
        confidence: cell.confidence.as_deref().unwrap_or(""),
        title: format!("expected: {} | observed: {}", cell.expected, cell.observed),
        anchor: if all_listed || failed.is_some() {
            cell.position
        } else {
            0
        },
    }
}
