//! One HTML page without anything from outside: matrix first, then failures, checks and every cell.

use askama::Template;

use crate::verdict::{Cell, RunResult, Verdict};

use super::text::duration;

#[derive(Template)]
#[template(path = "run.html")]
struct Page<'a> {
    result: &'a RunResult,
    variants: Vec<&'a str>,
    rows: Vec<Row<'a>>,
    passed: usize,
    all: usize,
    weakest: &'a str,
    lasted: String,
}

struct Row<'a> {
    device: &'a str,
    kind: &'a str,
    profile: &'a str,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    class: &'static str,
    word: &'static str,
    confidence: &'a str,
    title: String,
    anchor: u32,
}

/// The page.
///
/// # Errors
/// Never in practice: the template is compiled in and has no formatter that fails.
pub fn html(result: &RunResult) -> Result<String, askama::Error> {
    let variants = result.variants();
    let rows = result
        .devices()
        .into_iter()
        .map(|(device, kind, profile)| Row {
            device,
            kind,
            profile,
            marks: variants.iter().map(|srv| mark(&result.at(device, srv))).collect(),
        })
        .collect();
    let (passed, all) = result.counts();
    let weakest = result.weakest_confidence().map_or("none", |c| c.as_str());
    Page {
        result,
        variants,
        rows,
        passed,
        all,
        weakest,
        lasted: duration(result.lasted_ms),
    }
    .render()
}

fn mark<'a>(cells: &[&'a Cell]) -> Mark<'a> {
    let Some(shown) = cells
        .iter()
        .find(|cell| cell.verdict == Verdict::Failed)
        .or_else(|| cells.last())
    else {
        return Mark {
            class: "none",
            word: "",
            confidence: "",
            title: "not sent".into(),
            anchor: 0,
        };
    };
    let (class, word) = match (shown.verdict, shown.expected.starts_with("refused")) {
        (Verdict::Failed, _) => ("fail", "FAIL"),
        (Verdict::Passed, true) => ("refused", "no"),
        (Verdict::Passed, false) => ("ok", "ok"),
    };
    Mark {
        class,
        word,
        confidence: shown.confidence.as_deref().unwrap_or(""),
        title: format!("expected: {} | observed: {}", shown.expected, shown.observed),
        anchor: shown.position,
    }
}
