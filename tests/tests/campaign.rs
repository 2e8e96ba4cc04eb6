//! A campaign of migration that is killed goes on, and comes to what it would have come to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use s1lab_tests::{program, run, workspace};

fn migrate(out: &Path, resume: bool) -> Command {
    let mut command = Command::new(program());
    for name in ["CONFIG", "SEED", "OUT", "LAB", "STATE"] {
        command.env_remove(format!("S1LAB_{name}"));
    }
    command
        .arg("migrate")
        .arg(workspace().join("fixtures/campaigns/street.toml"));
    command.arg("--out").arg(out).args(resume.then_some("--resume"));
    command
}

/// Octets in the campaign's own journal so far.
fn written(out: &Path) -> u64 {
    let journal = out.join("state/journals/migration-control");
    let files = std::fs::read_dir(journal).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum()
}

#[test]
fn a_campaign_killed_on_the_way_comes_to_the_same_outcome_list() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    assert_eq!(run(&mut migrate(&whole, false)).unwrap().code, Some(0));
    let half = written(&whole) / 2;
    let mut child = migrate(&killed, false)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while written(&killed) < half && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert!(!ended.success(), "it was killed before its end");
    assert_eq!(run(&mut migrate(&killed, true)).unwrap().code, Some(0));
    let outcomes = |out: &Path| std::fs::read_to_string(out.join("outcomes.txt")).unwrap();
    assert_eq!(outcomes(&killed), outcomes(&whole));
}
