//! `s1lab duis send --to`: a user outside the lab, over HTTP, with its own key and its own belief.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use s1lab_tests::{RunningLab, element, request};

const USER: &str = "90-B3-D5-1F-30-01-00-00";

#[test]
fn a_user_outside_the_lab_signs_fetches_and_believes_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (state, config) = (folder.join("state"), folder.join("lab.toml"));
    let user =
        format!("[[user]]\nname = \"Example Energy\"\neui = \"{USER}\"\nroles = [\"IS\", \"GS\"]\nfetches = true\n");
    std::fs::write(&config, user).unwrap();
    let arguments = ["--config", config.to_str().unwrap(), "--latency", "x0.001"];
    let lab = RunningLab::start(&state, &arguments).unwrap();
    let id = format!("{USER}:{}:1", lab.device("ESME").unwrap());
    let file = folder.join("request.xml");
    std::fs::write(
        &file,
        request(&id, "4.1", "4.1.1", "<sr:ReadInstantaneousImportRegisters/>"),
    )
    .unwrap();
    let front_door = format!("http://{}", lab.address("duis").unwrap());
    let send = |to: &str, trusted: &[&str]| {
        let mut arguments = vec!["duis", "send", "request.xml", "--to", to, "--wait", "60"];
        let (key, certificate) = (
            format!("state/pki/user-{USER}.key.pem"),
            format!("state/pki/user-{USER}.crt.pem"),
        );
        arguments.extend(["--key", &key, "--cert", &certificate]);
        let files: Vec<String> = trusted.iter().map(|name| format!("state/pki/{name}.crt.pem")).collect();
        arguments.extend(files.iter().flat_map(|file| ["--trust", file.as_str()]));
        lab.command(&arguments).unwrap()
    };
    let sent = send(&front_door, &["dcc", "s1sp"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(element(&sent.out, "ResponseCode").unwrap(), "I0", "{sent:?}");
    assert!(sent.out.contains("SMETS1SignedResponse"), "{sent:?}");
    // Who does not believe the DCC gets nothing that it says.
    let stranger = send(&front_door, &["s1sp"]);
    assert_eq!((stranger.code, stranger.out.as_str()), (Some(2), ""), "{stranger:?}");
    assert!(stranger.err.contains("the signature"), "{stranger:?}");
    let nowhere = send("127.0.0.1", &["dcc", "s1sp"]);
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    assert!(
        nowhere.err.contains("expected the address of a front door"),
        "{nowhere:?}"
    );
    assert_eq!(lab.terminate().unwrap(), Some(0));
}
