//! A small Python program provides a toy protocol as the face of devices, at both ends, over gRPC.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use s1lab_tests::{RunningLab, program, python, request, skip, workspace};
use serde_json::json;

const PROFILES: &str = include_str!("../../fixtures/toy/profiles.toml");
const ESTATE: &str = include_str!("../../fixtures/toy/estate.toml");

/// The program, attached with these ends at an address, and what it has said first.
struct Attached {
    program: Child,
    said: Lines<BufReader<ChildStdout>>,
    first: String,
}

impl Attached {
    fn new(python: &Path, address: &str, ends: &[&str]) -> Self {
        let mut program = Command::new(python)
            .arg(workspace().join("tests/interop/face_program.py"))
            .arg(workspace().join("proto"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let settings = json!({ "address": address, "name": "toy", "ends": ends });
        let mut input = program.stdin.take().unwrap();
        input.write_all(settings.to_string().as_bytes()).unwrap();
        drop(input);
        let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        Self { program, said, first }
    }

    /// The words that went over the WAN, once the process it was attached to has ended.
    fn words(mut self) -> Vec<String> {
        assert!(self.program.wait().unwrap().success());
        self.said.map_while(Result::ok).collect()
    }
}

/// A lab's files in a folder: profiles and estate with the toy.
fn toy(folder: &Path) -> [String; 2] {
    let profiles = folder.join("dmc");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("toy.toml"), PROFILES).unwrap();
    let estate = folder.join("estate.toml");
    std::fs::write(&estate, ESTATE).unwrap();
    [profiles, estate].map(|path| path.to_str().unwrap().to_owned())
}

/// Sends a read, and a command that needs an approval.
fn requests_work(lab: &RunningLab, folder: &Path) {
    let meter = lab.device("ESME").unwrap();
    let read = "<sr:ReadInstantaneousImportRegisters/>";
    for (service, variant, body) in [("4.1", "4.1.1", read), ("7.2", "7.2", "<sr:DisableSupply/>")] {
        let id = format!("90-B3-D5-1F-30-01-00-00:{meter}:1");
        let file = folder.join("request.xml");
        std::fs::write(&file, request(&id, service, variant, body)).unwrap();
        let sent = lab.command(&["duis", "send", file.to_str().unwrap()]).unwrap();
        assert!(sent.out.contains("MessageSuccess=\"true\""), "{variant}: {sent:?}");
    }
}

#[test]
fn a_python_program_carries_service_requests_in_a_protocol_of_its_own() {
    let python = match python("semantic-requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with gRPC from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let [dmc, estate] = toy(folder.path());
    let arguments = [
        "--dmc",
        &dmc,
        "--estate",
        &estate,
        "--clock",
        "real",
        "--latency",
        "x0.001",
    ];
    let lab = RunningLab::start(&folder.path().join("state"), &arguments).unwrap();
    let program = Attached::new(&python, lab.address("control").unwrap(), &["device", "head-end"]);
    assert_eq!(program.first, "attached");
    requests_work(&lab, folder.path());
    assert_eq!(lab.terminate().unwrap(), Some(0));
    let words = program.words();
    for word in ["HELLO", "DO", "IS"] {
        assert!(words.iter().any(|said| said == word), "{word} in {words:?}");
    }
}

#[test]
fn where_the_fleet_stands_apart_each_end_is_attached_in_its_own_process() {
    let python = match python("semantic-requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with gRPC from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let [dmc, estate] = toy(folder.path());
    let state = folder.path().join("state");
    let same = [
        "--dmc",
        &dmc,
        "--estate",
        &estate,
        "--clock",
        "real",
        "--latency",
        "x0.001",
    ];
    let lab = RunningLab::start(&state, &[same.as_slice(), &["--fleet", "127.0.0.1:0"]].concat()).unwrap();
    let keys = state.join("fleet");
    let own = folder.path().join("fleet-state");
    let (keys, own) = (keys.to_str().unwrap(), own.to_str().unwrap());
    let mut fleet = Command::new(program())
        .args([
            "role",
            "fleet",
            "--state",
            own,
            "--connect",
            lab.address("tunnel").unwrap(),
            "--pki",
            keys,
        ])
        .args(same)
        .args(["--faces", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(fleet.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let faces = said.find_map(|line| Some(line.strip_prefix("faces")?.trim().to_owned()));
    let faces = faces.expect("says where programs are attached");
    let reading = std::thread::spawn(move || said.for_each(drop));

    let control = lab.address("control").unwrap();
    let refused = Attached::new(&python, control, &["device", "head-end"]);
    assert!(refused.first.contains("s1lab role fleet --faces"), "{}", refused.first);
    drop(refused.words());
    let refused = Attached::new(&python, &faces, &["head-end"]);
    assert!(refused.first.contains("at the control address"), "{}", refused.first);
    drop(refused.words());

    let devices = Attached::new(&python, &faces, &["device"]);
    let head_end = Attached::new(&python, control, &["head-end"]);
    assert_eq!(
        (devices.first.as_str(), head_end.first.as_str()),
        ("attached", "attached")
    );
    requests_work(&lab, folder.path());
    assert_eq!(lab.terminate().unwrap(), Some(0));
    let asked = Command::new("kill")
        .args(["-TERM", &fleet.id().to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
    assert!(fleet.wait().unwrap().success());
    reading.join().unwrap();
    for (program, expected) in [(devices, &["DO"] as &[&str]), (head_end, &["HELLO", "IS"])] {
        let words = program.words();
        for word in expected {
            assert!(words.iter().any(|said| said == word), "{word} in {words:?}");
        }
    }
}
