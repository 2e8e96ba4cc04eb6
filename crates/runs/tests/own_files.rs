//! Campaigns in which suppliers send files of their own as they stand.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use migration::invariants::Verdict;
use migration::machine::State;
use runs::campaign::{self, CampaignFile, CampaignRun, Options, Until};

/// A campaign of files, good and bad.
const OWN_FILES: &str = "fixtures/campaigns/own-files/";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(OWN_FILES)
}

fn options(state: Option<&Path>) -> Options {
    Options {
        state: state.map(Path::to_owned),
        ..Options::new(fixture().join("campaign.toml"))
    }
}

/// R03, a line per answer: file, row, metering point, result, code, reason.
fn answers(run: &CampaignRun) -> String {
    let folder = tempfile::tempdir().unwrap();
    let written = run.write(folder.path()).unwrap();
    let name = |path: &&PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("R03_");
    let text = std::fs::read_to_string(written.iter().find(name).unwrap()).unwrap();
    let suppliers = text.replace("90-B3-D5-1F-30-01-00-00", "ONE");
    suppliers.replace("90-B3-D5-1F-30-03-00-00", "THREE")
}

#[test]
fn bad_files_and_rows_are_refused_with_the_reason_and_the_rest_is_unharmed() {
    let run = campaign::run(&options(None)).unwrap();
    insta::assert_snapshot!(answers(&run));
    let states: Vec<State> = run.campaign.installations().map(|known| known.state).collect();
    let left = State::Eligible;
    assert_eq!(states, [State::Migrated, left, left, left], "{:?}", run.outcomes());
    let units: BTreeSet<u32> = run.campaign.demand.values().copied().collect();
    assert_eq!((run.campaign.demand.len(), units), (3, BTreeSet::from([2])));
    for (id, text, verdict) in run.invariants() {
        assert!(!matches!(verdict, Verdict::Violated(_)), "{id} {text}: {verdict:?}");
    }
}

#[test]
fn a_file_that_comes_twice_comes_twice_over_a_stop_as_well() {
    let whole = campaign::run(&options(None)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // Between the first and the second time that one is sent, of the demand and of the authorisation.
    let stops = ["2019-05-26", "2019-06-04"].map(|day| Until::Day(day.parse().unwrap()));
    let mut last = None;
    for (until, resume) in stops.into_iter().chain([Until::End]).zip([false, true, true]) {
        let options = Options {
            until,
            resume,
            ..options(Some(&state))
        };
        last = Some(campaign::run(&options).unwrap());
    }
    let last = last.unwrap();
    assert_eq!(answers(&last), answers(&whole));
    assert_eq!(last.outcomes(), whole.outcomes());
}

#[test]
fn a_file_that_cannot_be_sent_is_refused_when_the_campaign_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let estate = fixture().join("estate.toml");
    let password = "MAPASSWORD_CGI_90-B3-D5-1F-30-01-00-00_20190604_090000";
    for name in [password, "notes.txt"] {
        std::fs::write(folder.path().join(name), "open sesame").unwrap();
    }
    let file = folder.path().join("campaign.toml");
    let read = |table: &str| {
        let text = format!(
            "[campaign]\nname = \"x\"\nsource = \"invented\"\nstart = \"2019-06-03T05:00:00Z\"\nuntil = \"2019-06-14\"\n\
             estate = \"{}\"\n\n[[file]]\n{table}\n",
            estate.display()
        );
        std::fs::write(&file, text).unwrap();
        CampaignFile::read(&file)
    };
    let at = "at = \"2019-06-04T09:00:00Z\"";
    let good = read(&format!("path = \"{password}\"\n{at}")).unwrap();
    assert_eq!(good.files[0].text, "open sesame");
    for (table, line, words) in [
        (
            format!("path = \"gone.csv\"\n{at}"),
            9,
            "paths are looked for beside the campaign file",
        ),
        (format!("path = \".\"\n{at}"), 9, "names no file"),
        (format!("path = \"notes.txt\"\n{at}"), 9, "say who sends it: sender = "),
        (format!("path = \"notes.txt\"\n{at}\nsender = \"me\""), 11, "sender: "),
        (
            format!("path = \"{password}\"\nat = \"2019-06-15T09:00:00Z\""),
            10,
            "is not in the campaign",
        ),
        (format!("path = \"{password}\"\nat = \"noon\""), 10, "noon"),
        (
            format!("path = \"{password}\"\n{at}\npassword = \"x\""),
            11,
            "unknown field",
        ),
    ] {
        let error = read(&table).unwrap_err().to_string();
        let place = format!("{}:{line}: ", file.display());
        assert!(error.starts_with(&place) && error.contains(words), "{table}\n{error}");
    }
}
