//! A campaign of migration while it runs: what it says without a terminal, and what people ask it and do in it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use s1lab_tests::{Answer, program, run, workspace};

/// The street, without an end that a test would see; one installation comes to nothing, and people hear of it.
fn campaign(folder: &Path) -> std::path::PathBuf {
    let estate = workspace().join("fixtures/estates/street.toml");
    let text = format!(
        "[campaign]\nname = \"street\"\nsource = \"invented: for a test\"\nseed = 7\nstart = \"2019-06-03T05:00:00Z\"\n\
         until = \"2039-06-14\"\nestate = {estate:?}\n\n[[authorisation]]\nweek = \"2019-06-10\"\n\
         at = \"2019-06-04T09:00:00Z\"\n\n[[fault]]\nerror = \"LAB-PR-01\"\nmpxn = [\"9901000000008\"]\n"
    );
    let file = folder.join("campaign.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn s1lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    for name in ["CONFIG", "SEED", "OUT", "LAB", "STATE"] {
        command.env_remove(format!("S1LAB_{name}"));
    }
    command.args(arguments);
    command
}

/// It is killed when dropped.
struct Running {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(file: &Path, out: &Path) -> Self {
        let mut child = s1lab(&["migrate"])
            .arg(file)
            .arg("--out")
            .arg(out)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next line on standard error that has all these words, and those before it.
    fn says(&mut self, words: &[&str]) -> Vec<String> {
        let mut heard = Vec::new();
        for line in self.said.by_ref().map_while(Result::ok) {
            heard.push(line);
            if words
                .iter()
                .all(|word| heard.last().is_some_and(|line| line.contains(word)))
            {
                return heard;
            }
        }
        panic!("it ended without {words:?}: {heard:#?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn good(answer: &Answer) -> &str {
    assert_eq!(answer.code, Some(0), "{answer:?}");
    &answer.out
}

#[test]
fn a_campaign_that_runs_says_how_far_it_is_answers_and_is_acted_in() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut campaign = Running::start(&campaign(folder.path()), &out);
    let first = campaign.says(&["control", "127.0.0.1:"]);
    let address = first.last().unwrap().split_whitespace().last().unwrap().to_owned();
    let lines = campaign.says(&["7 Migrated"]);
    let (percent, rest) = lines[0].split_once(" % ").unwrap();
    assert_eq!(percent.trim(), "0", "{}", lines[0]);
    assert!(rest.starts_with("2019-06-03T05:"), "{rest}");
    let days = lines.iter().filter(|line| line.contains("% 2019-06-0")).count();
    assert!((7..60).contains(&days), "a few lines a day: {lines:#?}");

    // By the folder and by the address it is the same campaign.
    let out = out.to_str().unwrap();
    let lab = format!("http://{address}");
    let with = |place: [&str; 2], arguments: &[&str]| run(s1lab(&place).args(arguments)).unwrap();
    for place in [["--out", out], ["--lab", lab.as_str()]] {
        let status = with(place, &["--json", "migrate", "status", "9901000000008"]);
        let status: serde_json::Value = serde_json::from_str(good(&status)).unwrap();
        assert_eq!(status["state"], "Discovered", "{status}");
        let history = status["history"].as_array().unwrap();
        assert!(!history.is_empty(), "{status}");
        let open = with(place, &["migrate", "exceptions", "--code", "LAB-PR-01"]);
        assert_eq!(good(&open).lines().count(), 1, "{open:?}");
    }
    let all = with(["--out", out], &["migrate", "exceptions"]);
    assert!(good(&all).contains("LAB-PR-01"), "{all:?}");
    let lab = ["--lab", lab.as_str()];
    let claim = ["migrate", "exceptions", "claim", "--code", "LAB-PR-01", "--by", "ann"];
    let claimed = with(lab, &claim);
    assert!(good(&claimed).ends_with(": done\n"), "{claimed:?}");
    let open = with(lab, &["migrate", "exceptions", "--code", "LAB-PR-01"]);
    assert!(good(&open).contains("ann"), "{open:?}");
    let unknown = with(lab, &["migrate", "status", "9901000000999"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(campaign.child.try_wait().unwrap().is_none(), "it goes on all the while");
}
