//! Reports are the same for the same result, and say what failed where.

use domain::{DeviceKind, Eui64, InstallationType, Srv};
use runs::{Cell, Check, Hop, HopKind, RunResult, Verdict, report};

fn result() -> RunResult {
    let cell = |kind, srv: Srv, position, verdict, expected: &str, observed: &str| Cell {
        position,
        request_id: format!("90-B3-D5-1F-30-01-00-00:00-00-00-00-00-00-00-0{position}:{position}"),
        expected: expected.into(),
        observed: observed.into(),
        verdict,
        failed_hop: (verdict == Verdict::Failed).then(|| "wan".into()),
        confidence: Some("recalled".into()),
        rules: vec!["ELS-001".into()],
        took_ms: 12_345,
        ..Cell::new(Eui64(7), kind, "as300p@LAB-0001".into(), srv)
    };
    RunResult {
        pack: "sit".into(),
        seed: 42,
        worlds: 1,
        clock: "virtual".into(),
        digest: "00ff".into(),
        started_at: "2020-06-01T00:00:00.000Z".into(),
        lasted_ms: 3_723_000,
        hops: vec![Hop {
            role: "dcc".into(),
            kind: HopKind::Emulated,
        }],
        dropped_invariants: vec![],
        cells: vec![
            cell(DeviceKind::Esme, Srv::new(4, 1, 1), 1, Verdict::Passed, "I0", "I0"),
            cell(
                DeviceKind::Esme,
                Srv::new(7, 1, 0),
                2,
                Verdict::Passed,
                "refused E11",
                "E11",
            ),
            cell(
                DeviceKind::Esme,
                Srv::new(7, 4, 0),
                3,
                Verdict::Failed,
                "I0",
                "E21 <no answer>",
            ),
        ],
        checks: vec![Check {
            name: "one outcome".into(),
            verdict: Verdict::Passed,
            detail: "3 requests".into(),
        }],
    }
}

#[test]
fn the_text_shows_matrix_failures_and_digest() {
    insta::assert_snapshot!(report::text(&result()));
    assert!(!result().passed());
}

#[test]
fn junit_names_the_hop_that_failed() {
    insta::assert_snapshot!(report::junit(&result()).expect("XML"));
}

#[test]
fn the_page_stands_alone_and_escapes() {
    let page = report::html(&result()).expect("a page");
    assert!(
        page.contains("E21 &#60;no answer&#62;") || page.contains("E21 &lt;no answer&gt;"),
        "{page}"
    );
    for outside in ["http://", "https://", "<script src", "<link"] {
        assert!(!page.contains(outside), "the page reaches outside: {outside}");
    }
}

#[test]
fn five_files_are_written_and_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = report::write(&result(), &folder.path().join("deep/down")).expect("written");
    let names: Vec<_> = files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    assert_eq!(
        names,
        ["results.json", "junit.xml", "index.html", "matrix.csv", "cells.csv"]
    );
    let read: RunResult = serde_json::from_slice(&std::fs::read(&files[0]).expect("read")).expect("JSON");
    assert_eq!(read, result());
    let table = |file: usize| std::fs::read_to_string(&files[file]).expect("read");
    assert_eq!(
        table(3),
        "kind,profile,installation,devices,4.1.1,7.1,7.4\nESME,as300p@LAB-0001,active,1,ok,no,FAIL\n"
    );
    let cells = table(4);
    assert_eq!(cells.lines().count(), 4);
    assert!(cells.ends_with(
        "3,active,ESME,as300p@LAB-0001,00-00-00-00-00-00-00-07,7.4,failed,I0,E21 <no answer>,wan,recalled,ELS-001,\
         12345,90-B3-D5-1F-30-01-00-00:00-00-00-00-00-00-00-03:3\n"
    ));
}

#[test]
fn a_large_run_has_a_row_per_profile_and_installation_type() {
    let mut large = result();
    for number in 0..100u64 {
        for mut cell in result().cells {
            cell.device = Eui64(1000 + number).to_string();
            cell.installation = InstallationType::ALL[usize::try_from(number % 3).expect("small")];
            cell.profile = format!("as300p@LAB-000{}", number % 2);
            cell.verdict = Verdict::Passed;
            large.cells.push(cell);
        }
    }
    let text = report::text(&large);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("ESME as300p")).collect();
    assert_eq!(rows.len(), 6, "{text}");
    assert!(rows[0].starts_with("17") && rows[0].contains("active"), "{}", rows[0]);
    assert!(rows.iter().any(|row| row.ends_with("!1")), "the one that failed shows");
    let page = report::html(&large).expect("a page");
    assert!(page.contains("Profile and installation type"), "{page}");
}
