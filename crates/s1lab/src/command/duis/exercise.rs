//! `s1lab duis exercise`.

use std::path::PathBuf;

use anyhow::Context;
use runs::exercise::{self, Document, Expectations, Report};

use crate::args::Global;
use crate::failure::Failure;
use crate::output;

/// What the command line asks for.
pub(crate) struct Wanted {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) made: bool,
    pub(crate) expect: Option<PathBuf>,
    pub(crate) write: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, wanted: &Wanted) -> Result<(), Failure> {
    let documents: Vec<Document> = match &wanted.folder {
        None => Vec::new(),
        Some(folder) => exercise::documents(folder)
            .with_context(|| format!("read the requests of {}", folder.display()))
            .map_err(Failure::input)?,
    };
    let expected = match &wanted.expect {
        None => None,
        Some(path) => Some(Expectations::parse(&output::read_text(path)?).map_err(Failure::input)?),
    };
    let made = wanted.made || wanted.folder.is_none();
    let report = exercise::run(super::super::config(global)?, &documents, made).map_err(Failure::start)?;
    if let Some(path) = &wanted.write {
        std::fs::write(path, Expectations::of(&report).to_text())
            .with_context(|| format!("write {}", path.display()))
            .map_err(Failure::start)?;
    }
    print(global, &report)?;
    let differences = expected
        .map(|expected| expected.differences(&report))
        .unwrap_or_default();
    for difference in &differences {
        eprintln!("{difference}");
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Failure::Checks)
    }
}

fn print(global: &Global, report: &Report) -> Result<(), Failure> {
    let never = report.never_worked();
    if global.json {
        let counts = report.counts();
        let counts: Vec<_> = counts
            .iter()
            .map(|((form, outcome), count)| {
                serde_json::json!({ "form": form.as_str(), "outcome": outcome, "count": count })
            })
            .collect();
        let never: Vec<_> = never
            .iter()
            .map(|(srv, target)| serde_json::json!({ "srv": srv.to_string(), "target": target }))
            .collect();
        let rows = serde_json::to_value(&report.exercised).map_err(Failure::start)?;
        output::json(&serde_json::json!({ "counts": counts, "never_worked": never, "exercised": rows }));
        return Ok(());
    }
    output::line(format!("{:14} {:22} {:>6}", "form", "outcome", "count"));
    for ((form, outcome), count) in report.counts() {
        output::line(format!("{:14} {outcome:22} {count:>6}", form.as_str()));
    }
    if never.is_empty() {
        output::line("every service request that applies worked for each kind of device");
    } else {
        let names: Vec<String> = never.iter().map(|(srv, target)| format!("{srv} {target}")).collect();
        output::line(format!("applies, and worked in no form: {}", names.join(", ")));
    }
    Ok(())
}
