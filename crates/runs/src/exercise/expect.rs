//! Expected outcomes: one row per service, target, form and timing.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;

/// Outcomes by service reference variant, target, form and timing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expectations(BTreeMap<Key, BTreeSet<String>>);

type Key = (String, String, String, String);

/// A text that is no list of expectations.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: expected five cells separated by tabs (srv, target, form, timing, outcome), found {found}")]
pub struct NotExpectations {
    /// Where.
    pub line: usize,
    /// How many cells there are.
    pub found: usize,
}

impl Expectations {
    /// Reads a table; lines beginning with `#`, and the heading, are passed over.
    ///
    /// # Errors
    /// A row that has not five cells.
    pub fn parse(text: &str) -> Result<Self, NotExpectations> {
        let mut rows: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
        for (line, row) in (1..).zip(text.lines()) {
            if row.is_empty() || row.starts_with('#') || row == HEADING {
                continue;
            }
            let cells: Vec<&str> = row.split('\t').collect();
            let [srv, target, form, timing, outcome] = cells[..] else {
                let found = cells.len();
                return Err(NotExpectations { line, found });
            };
            let key = [srv, target, form, timing].map(str::to_owned).into();
            rows.entry(key).or_default().insert(outcome.to_owned());
        }
        Ok(Self(rows))
    }

    /// The outcomes of a run, as what later runs are to come to.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut rows: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
        for one in &report.exercised {
            rows.entry(key(one)).or_default().insert(one.outcome.clone());
        }
        Self(rows)
    }

    /// As a table. Where several documents of one kind come to different outcomes, each has its row.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADING}\n");
        for ((srv, target, form, timing), outcomes) in &self.0 {
            for outcome in outcomes {
                out.push_str(&format!("{srv}\t{target}\t{form}\t{timing}\t{outcome}\n"));
            }
        }
        out
    }

    /// What came out otherwise than expected, a line each; what nothing is expected of is a difference too.
    #[must_use]
    pub fn differences(&self, report: &Report) -> Vec<String> {
        let mut differences = Vec::new();
        for one in &report.exercised {
            let expected = self.0.get(&key(one));
            if expected.is_some_and(|outcomes| outcomes.contains(&one.outcome)) {
                continue;
            }
            let words = expected.map_or_else(
                || "nothing".to_owned(),
                |outcomes| outcomes.iter().map(String::as_str).collect::<Vec<_>>().join(" or "),
            );
            differences.push(format!(
                "{} to {} ({}, {}): expected {words}, found {} ({})",
                one.document,
                one.target,
                one.form.as_str(),
                one.timing,
                one.outcome,
                one.detail
            ));
        }
        differences
    }
}

fn key(one: &super::Exercised) -> Key {
    (
        one.srv.clone(),
        one.target.clone(),
        one.form.as_str().to_owned(),
        one.timing.to_owned(),
    )
}

const HEADING: &str = "srv\ttarget\tform\ttiming\toutcome";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::{Exercised, Form};

    #[test]
    fn outcomes_compare_with_what_was_written_down() {
        let one = Exercised {
            document: "a.xml".into(),
            srv: "7.2".into(),
            target: "ESME".into(),
            form: Form::Retargeted,
            timing: "on-demand",
            outcome: "worked".into(),
            detail: "I0".into(),
        };
        let report = Report { exercised: vec![one] };
        let written = Expectations::of(&report).to_text();
        let read = Expectations::parse(&written).expect("reads as it writes");
        assert_eq!(read.differences(&report), Vec::<String>::new());
        let other = Expectations::parse(&written.replace("worked", "wrong-state")).expect("read");
        assert_eq!(
            other.differences(&report),
            ["a.xml to ESME (retargeted, on-demand): expected wrong-state, found worked (I0)"]
        );
        assert!(Expectations::parse("7.2\tESME").is_err());
    }
}
