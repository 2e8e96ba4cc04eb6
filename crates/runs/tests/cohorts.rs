//! The test sets of every cohort, as named campaigns: migration solution test with its regression, dormant meter readiness,
//! migration in DUST; active, dormant and mixed installations.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use migration::invariants::Verdict;
use migration::machine::State;
use migration::{InstallationType, Settings};
use runs::campaign::{self, CampaignRun, Options};

const SETS: [&str; 3] = ["dormant", "dust", "solution"];
const CAMPAIGNS: &str = "fixtures/campaigns/cohorts/";
const ESTATES: &str = "fixtures/estates/cohorts/";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn file(cohort: &str, set: &str) -> PathBuf {
    folder(CAMPAIGNS).join(format!("{cohort}-{set}.toml"))
}

/// The names of the files that stand in a folder itself.
fn names(in_folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder(in_folder)).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Every installation migrates, and no invariant that was observed is broken.
fn runs_through(cohort: &str, set: &str) {
    let run = campaign::run(&Options::new(file(cohort, set))).unwrap();
    let text = format!("{cohort}-{set}: {:?}", run.outcomes());
    let known: Vec<_> = run.campaign.installations().collect();
    assert!(
        !known.is_empty() && known.iter().all(|known| known.state == State::Migrated),
        "{text}"
    );
    assert!(
        known.iter().all(|known| known.facts.cohort.as_str() == cohort),
        "{text}"
    );
    let types: BTreeSet<InstallationType> = known.iter().map(|known| known.facts.installation_type()).collect();
    let dormant = BTreeSet::from([InstallationType::Dormant]);
    let expected = if set == "dormant" {
        dormant
    } else {
        InstallationType::ALL.iter().copied().collect()
    };
    assert_eq!(types, expected, "{text}");
    for (id, words, verdict) in run.invariants() {
        // Only the solution test is run twice.
        let once = id == "I12" && set != "solution";
        assert!(
            verdict == Verdict::Holds || (once && verdict == Verdict::NotObserved),
            "{text}: {id} {words}: {verdict:?}"
        );
    }
    regression(&run, set, &text);
}

/// What was migrated answers every service request that applies, at the end of the cycle.
fn regression(run: &CampaignRun, set: &str, text: &str) {
    let cells = &run.regression.cells;
    let failed: Vec<String> = cells
        .iter()
        .filter(|cell| cell.verdict != runs::Verdict::Passed)
        .map(|cell| {
            format!(
                "{} at {} {}: {} / {}",
                cell.srv, cell.device_kind, cell.device, cell.expected, cell.observed
            )
        })
        .collect();
    assert!(failed.is_empty(), "{text}: {failed:#?}");
    assert!(!run.regression.failed(), "{text}: {:?}", run.regression.checks);
    let installations = run.campaign.installations().count();
    if set == "solution" {
        let types: BTreeSet<InstallationType> = cells.iter().map(|cell| cell.installation).collect();
        assert_eq!(types, InstallationType::ALL.iter().copied().collect(), "{text}");
        assert!(cells.len() > 3 * 50, "{text}: {} requests", cells.len());
        // One per device, and one by property reference and one by address per installation.
        let read_inventory = || cells.iter().filter(|cell| cell.srv == "8.2");
        let devices: BTreeSet<_> = read_inventory().map(|cell| &cell.device).collect();
        assert_eq!(read_inventory().count(), devices.len() + 3 * 2, "{text}");
    } else {
        assert!(cells.is_empty(), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let written = run.write(folder.path()).unwrap();
    let evidence = written.iter().find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("R15")
    });
    let rows = std::fs::read_to_string(evidence.unwrap()).unwrap().lines().count() - 1;
    assert_eq!(rows, installations + cells.len(), "{text}: a row of evidence each");
}

#[test]
fn every_cohort_has_every_test_set() {
    let (mut campaigns, mut estates) = (BTreeSet::new(), BTreeSet::new());
    for cohort in Settings::builtin().unwrap().cohorts {
        let cohort = cohort.slug.as_str();
        for set in SETS {
            campaigns.insert(format!("{cohort}-{set}.toml"));
            let who = if set == "dormant" { set } else { "all" };
            let estate = format!("{cohort}-{who}.toml");
            let text = std::fs::read_to_string(file(cohort, set)).unwrap();
            let line = format!("estate = \"../../estates/cohorts/{estate}\"");
            assert!(text.lines().any(|said| said == line), "{cohort}-{set}: {line}");
            estates.insert(estate);
        }
    }
    // No file stands there that no cohort's campaign is or uses: the other tests run all of them.
    assert_eq!(names(CAMPAIGNS), campaigns);
    assert_eq!(names(ESTATES), estates);
}

#[test]
fn cohorts_of_the_first_release() {
    SETS.iter().for_each(|set| runs_through("ioc", set));
}

#[test]
fn cohorts_of_the_middle_release() {
    for cohort in ["moc-mds", "moc-secure"] {
        SETS.iter().for_each(|set| runs_through(cohort, set));
    }
}

#[test]
fn cohorts_of_the_final_release() {
    for cohort in ["foc-bg", "foc-dxc", "foc-cgi", "foc-edmi"] {
        SETS.iter().for_each(|set| runs_through(cohort, set));
    }
}
