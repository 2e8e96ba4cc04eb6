//! What the README tells people to type works.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use s1lab_tests::{Answer, RunningLab, SMALL_ESTATE, element, program, run, workspace};

/// The command lines in the README's `sh` blocks.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && !line.is_empty() && !line.starts_with('#') => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// Arguments of a command of ours; none for any other command.
fn ours(command: &str) -> Option<Vec<&str>> {
    let arguments = command
        .strip_prefix("cargo run --release -- ")
        .or_else(|| command.strip_prefix("s1lab "))?;
    Some(arguments.split_whitespace().collect())
}

#[test]
fn the_two_commands_are_those_that_ci_runs() {
    let commands = commands();
    let ci = std::fs::read_to_string(workspace().join(".ci/run")).unwrap();
    assert!(commands.iter().any(|command| command == "cargo run --release -- sit"));
    assert!(ci.contains("cargo run --release --quiet -- sit"), "{ci}");
    assert!(commands.iter().any(|command| command == "cargo test --workspace"));
    assert!(ci.lines().any(|line| line == "cargo test --workspace"), "{ci}");
    for other in commands.iter().filter(|command| ours(command).is_none()) {
        let known =
            other == "cargo test --workspace" || other.starts_with("docker") || workspace().join(other).is_file();
        assert!(known, "no test knows the README's command {other}");
    }
}

#[test]
fn every_command_of_ours_runs_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("estate.toml"), SMALL_ESTATE).unwrap();
    let commands = commands();
    let of_lab = |arguments: &[&str]| {
        matches!(arguments[0], "device" | "audit" | "vend") || arguments.starts_with(&["duis", "send"])
    };

    let up = commands
        .iter()
        .filter_map(|command| ours(command))
        .find(|a| a[0] == "up");
    let up = up.expect("the README starts a lab");
    // A smaller lab on a faster clock: what is tested is that the words are taken.
    let faster = ["--clock", "x60"];
    let lab = RunningLab::start(&folder.join("state"), &[&up[1..], &faster].concat()).unwrap();
    let meter = lab.device("ESME").unwrap();
    let user = "90-B3-D5-1F-30-01-00-00";
    let mut sent = format!("{user}:{meter}:1000");

    for command in &commands {
        let Some(arguments) = ours(command).filter(|arguments| arguments[0] != "up") else {
            continue;
        };
        if of_lab(&arguments) {
            let adapted = adapted(&arguments, &meter, &sent);
            let arguments: Vec<&str> = adapted.iter().map(String::as_str).collect();
            let answer = lab.command(&arguments).unwrap();
            assert_eq!(answer.code, Some(0), "{command}: {answer:?}");
            if arguments[0] == "duis" {
                assert_eq!(element(&answer.out, "ResponseCode").unwrap(), "I0", "{answer:?}");
                element(&answer.out, "RequestID").unwrap().clone_into(&mut sent);
            }
        } else {
            let answer = alone(folder, &arguments);
            // A cut link is there to be noticed.
            let wanted = i32::from(arguments.contains(&"--cut"));
            assert_eq!(answer.code, Some(wanted), "{command}: {answer:?}");
        }
    }
    assert_eq!(lab.terminate().unwrap(), Some(0));
}

/// The README's devices, requests, files and ports replaced by those of this test.
fn adapted(arguments: &[&str], meter: &str, sent: &str) -> Vec<String> {
    let eui = |text: &str| text.len() == 23 && text.split('-').count() == 8;
    let adapt = |text: &&str| match *text {
        "fixtures/requests/4.1.1.xml" => workspace().join(text).display().to_string(),
        text if text.starts_with("127.0.0.1:") => "127.0.0.1:0".to_owned(),
        text if eui(text) || text == "ID" => meter.to_owned(),
        text if text.split(':').count() == 3 => sent.to_owned(),
        text => text.to_owned(),
    };
    arguments.iter().map(adapt).collect()
}

/// A command that needs no running lab, in the test's folder; runs of the pack over a small estate.
fn alone(folder: &Path, arguments: &[&str]) -> Answer {
    let mut command = Command::new(program());
    for name in ["CONFIG", "SEED", "OUT", "LAB", "STATE"] {
        command.env_remove(format!("S1LAB_{name}"));
    }
    let fixture = |text: &&str| match text.starts_with("fixtures/") {
        true => workspace().join(text).display().to_string(),
        false => (*text).to_owned(),
    };
    command.current_dir(folder).args(arguments.iter().map(fixture));
    if arguments[0] == "sit" {
        command.args(["--estate", "estate.toml"]);
    }
    run(&mut command).unwrap()
}

#[test]
fn keys_are_shown_to_those_who_ask_only() {
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate.toml");
    std::fs::write(&estate, SMALL_ESTATE).unwrap();
    let estate = ["--estate", estate.to_str().unwrap()];
    let lab = RunningLab::start(&folder.path().join("state"), &estate).unwrap();
    let meter = lab.device("ESME").unwrap();
    let secret = lab.json(&["device", "show", &meter, "--secrets"]).unwrap();
    let plain = lab.json(&["device", "show", &meter]).unwrap().to_string();
    let text = lab.command(&["device", "show", &meter]).unwrap();
    let mut keys = vec![secret["approval_key"].as_str().unwrap()];
    for association in secret["associations"].as_array().unwrap() {
        for name in ["password", "authentication_key", "encryption_key"] {
            keys.extend(association[name].as_str());
        }
    }
    keys.retain(|key| !key.is_empty());
    assert!(
        keys.len() >= 6,
        "a password, two pairs of keys and the approval's: {}",
        keys.len()
    );
    for key in keys {
        assert!(!plain.contains(key) && !text.out.contains(key) && !text.err.contains(key));
    }
    let nobody = lab.command(&["device", "show", "00-00-00-00-00-00-00-00"]).unwrap();
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(nobody.err.contains("00-00-00-00-00-00-00-00"), "{nobody:?}");
    let no_id = lab.command(&["device", "show", "meter"]).unwrap();
    assert_eq!(no_id.code, Some(2), "{no_id:?}");
    let unheard = format!("90-B3-D5-1F-30-01-00-00:{meter}:4711");
    let unheard = lab.command(&["audit", &unheard]).unwrap();
    assert_eq!(unheard.code, Some(2), "{unheard:?}");
}
