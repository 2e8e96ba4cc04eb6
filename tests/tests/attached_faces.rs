//! A small Python program provides a toy protocol as the face of devices, at both ends, over gRPC.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use s1lab_tests::{RunningLab, python, request, skip, workspace};
use serde_json::json;

const PROFILES: &str = r#"
[[firmware]]
id = "LAB-TOY"
model = "am110r"
from = "BASE"
duis = "LAB-TOY"
identifier = { source = "invented", confidence = "invented" }
text = "A hub whose octets are a program's business"
source = "invented"
confidence = "invented"

[[firmware.rule]]
id = "LAB-TOY-FACE"
side = "device"
text = "Speaks the toy protocol of a program outside"
source = "invented"
confidence = "invented"
set.face.family = "external"
set.face.external = "toy"
"#;

const ESTATE: &str = r#"
[estate]
name = "toy"
source = "invented: for the project's own tests"

[[template]]
name = "toy"
count = 1
provider = "vodafone"
chf = "am110r@LAB-TOY"
esme = "as300p@BASE"
payment_mode = "credit"
enrolled = true
"#;

#[test]
fn a_python_program_carries_service_requests_in_a_protocol_of_its_own() {
    let python = match python("semantic-requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with gRPC from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("dmc");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("toy.toml"), PROFILES).unwrap();
    let estate = folder.path().join("estate.toml");
    std::fs::write(&estate, ESTATE).unwrap();
    let (dmc, estate) = (profiles.to_str().unwrap(), estate.to_str().unwrap());
    let arguments = [
        "--dmc",
        dmc,
        "--estate",
        estate,
        "--clock",
        "real",
        "--latency",
        "x0.001",
    ];
    let lab = RunningLab::start(&folder.path().join("state"), &arguments).unwrap();
    let mut program = Command::new(&python)
        .arg(workspace().join("tests/interop/face_program.py"))
        .arg(workspace().join("proto"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let settings = json!({ "address": lab.address("control").unwrap(), "name": "toy" });
    let mut input = program.stdin.take().unwrap();
    input.write_all(settings.to_string().as_bytes()).unwrap();
    drop(input);
    let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "attached");

    let meter = lab.device("ESME").unwrap();
    let read = "<sr:ReadInstantaneousImportRegisters/>";
    for (service, variant, body) in [("4.1", "4.1.1", read), ("7.2", "7.2", "<sr:DisableSupply/>")] {
        let id = format!("90-B3-D5-1F-30-01-00-00:{meter}:1");
        let file = folder.path().join("request.xml");
        std::fs::write(&file, request(&id, service, variant, body)).unwrap();
        let sent = lab.command(&["duis", "send", file.to_str().unwrap()]).unwrap();
        assert!(sent.out.contains("MessageSuccess=\"true\""), "{variant}: {sent:?}");
    }
    assert_eq!(lab.terminate().unwrap(), Some(0));
    assert!(program.wait().unwrap().success());
    let words: Vec<String> = said.map_while(Result::ok).collect();
    for word in ["HELLO", "DO", "IS"] {
        assert!(words.iter().any(|said| said == word), "{word} in {words:?}");
    }
}
