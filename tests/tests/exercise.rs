//! Every request template: as it stands, retargeted, and made by the lab itself; each comes to the outcome written down, and
//! every service that applies to SMETS1 devices works for each kind of device it is for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lab::Config;
use runs::exercise::{self, Document, Expectations, Report};
use s1lab_tests::{shared, skip, workspace};

fn expected() -> Expectations {
    let path = workspace().join("fixtures/exercise/expected.tsv");
    Expectations::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn as_written_down(report: &Report) {
    let surprises = expected().differences(report);
    assert!(surprises.is_empty(), "{surprises:#?}");
}

fn everything_works_somewhere(report: &Report) {
    let missing = report.never_worked();
    assert!(missing.is_empty(), "applies, and worked in no form: {missing:?}");
}

#[test]
fn requests_made_from_the_structure_of_the_schema() {
    let report = exercise::run(Config::default(), &[], true).unwrap();
    assert!(report.exercised.len() > 200, "{}", report.exercised.len());
    as_written_down(&report);
}

#[test]
fn published_templates() {
    let Some(shared) = shared() else {
        skip!("no templates: reference data is absent");
    };
    let documents: Vec<Document> = exercise::documents(&shared.join("domain/duis/templates")).unwrap();
    assert_eq!(documents.len(), 223);
    let report = exercise::run(Config::default(), &documents, true).unwrap();
    as_written_down(&report);
    everything_works_somewhere(&report);
    for one in &report.exercised {
        let unheard = ["failed", "no-outcome", "not-sent", "unreadable"].contains(&one.outcome.as_str());
        assert!(!unheard, "{one:?}");
    }
}
