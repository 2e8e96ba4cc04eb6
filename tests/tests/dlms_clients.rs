//! Two DLMS client libraries that know nothing of this project talk to an exposed meter: gurux-dlms and dlms-cosem.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::keys::DeviceKey;
use domain::{Approval, Eui64, Operation, RequestId, SimInstant};
use s1lab_tests::{RunningLab, SMALL_ESTATE, python, skip, workspace};
use serde_json::{Value, json};

/// Disables the supply; what DISABLED is called by class 70.
const SCRIPT_DISABLE: u8 = 1;

/// What a script found out: the checks by name.
struct Checks(Value);

impl Checks {
    fn of(python: &Path, script: &str, settings: &Value) -> Self {
        let mut child = Command::new(python)
            .arg(workspace().join("tests/interop").join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(settings.to_string().as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn check(&self, name: &str) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no check {name:?} in {:#}", self.0))
    }

    fn good(&self, name: &str) -> &Value {
        let check = self.check(name);
        assert_eq!(check["ok"], true, "{}: {check}", self.0["library"]);
        &check["value"]
    }

    fn refused(&self, name: &str) {
        let check = self.check(name);
        assert_eq!(check["ok"], false, "{}: {check}", self.0["library"]);
        // A refusal is an answer: neither silence nor a mistake of the script.
        for kind in [
            "TimeoutError",
            "CommunicationError",
            "LocalProtocolError",
            "AttributeError",
            "TypeError",
            "KeyError",
            "NameError",
        ] {
            assert_ne!(check["kind"], kind, "{}: {check}", self.0["library"]);
        }
    }
}

/// Settings of the scripts for one meter, from what `device show --secrets` says.
fn settings(shown: &Value, exposed: &str) -> Value {
    let (host, port) = exposed.rsplit_once(':').unwrap();
    let association = |name: &str| {
        let found = shown["associations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["name"] == name);
        found.unwrap_or_else(|| panic!("no association {name} in {shown:#}"))
    };
    let ciphered = |name: &str| {
        let a = association(name);
        json!({ "sap": a["client_sap"], "encryption": a["encryption_key"], "authentication": a["authentication_key"] })
    };
    let reader = association("reader");
    json!({
        "host": host,
        "port": port.parse::<u16>().unwrap(),
        "server_sap": reader["server_sap"],
        "client_title": "5331535030303031",
        "public": { "sap": association("public")["client_sap"] },
        "reader": { "sap": reader["client_sap"], "password": reader["password"] },
        "management": ciphered("management"),
        "critical": ciphered("critical"),
        "register": "1.0.1.8.0.255",
        "profile": { "obis": "1.0.99.1.0.255", "from": "2020-05-30T00:00:00Z", "to": "2020-05-30T02:00:00Z" },
    })
}

/// The DCO's approval to disable the supply of one meter, made with the test key that `device show --secrets` gives.
fn approval(shown: &Value, device: &str, counter: u32) -> String {
    approval_of(&Operation::DisableSupply, shown, device, counter)
}

/// The DCO's approval of an operation on one meter.
fn approval_of(operation: &Operation, shown: &Value, device: &str, counter: u32) -> String {
    let device: Eui64 = device.parse().unwrap();
    let key = shown["approval_key"].as_str().unwrap();
    let octets: Vec<u8> = (0..key.len() / 2)
        .map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let request: RequestId = format!("90-B3-D5-1F-30-01-00-00:{device}:{counter}").parse().unwrap();
    let approval = Approval::make(
        &DeviceKey::new(octets.try_into().unwrap()),
        device,
        operation,
        request,
        counter,
        "2030-01-01T00:00:00Z".parse::<SimInstant>().unwrap(),
    );
    hex(&approval.to_bytes())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn independent_dlms_clients_read_a_meter_and_need_the_dco_to_operate_it() {
    let python = match python("requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with the DLMS libraries from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate.toml");
    // One meter for each library: the supply of each is enabled at first.
    std::fs::write(&estate, SMALL_ESTATE.replace("count = 1", "count = 2")).unwrap();
    let arguments = ["--estate", estate.to_str().unwrap(), "--clock", "real"];
    let lab = RunningLab::start(&folder.path().join("state"), &arguments).unwrap();
    let devices = lab.json(&["device", "list"]).unwrap();
    let meters = devices
        .as_array()
        .unwrap()
        .iter()
        .filter(|device| device["kind"] == "ESME");
    let meters: Vec<_> = meters.map(|device| device["device"].as_str().unwrap()).collect();

    for (script, meter) in ["gurux_client.py", "dlms_cosem_client.py"].into_iter().zip(meters) {
        let shown = lab.json(&["device", "show", meter, "--secrets"]).unwrap();
        let exposed = lab.json(&["device", "expose", meter]).unwrap();
        let settings = settings(&shown, exposed["address"].as_str().unwrap());
        reads(&Checks::of(&python, script, &settings), script);
        operates(&python, script, settings, &shown, meter);
    }
    assert_eq!(lab.terminate().unwrap(), Some(0));
}

/// Hub and meter of every DLMS family, how its octets are framed, and the library that is to read it. dlms-cosem does not
/// take long answers over HDLC. It reads for ever from a connection that the other side has closed, and over HDLC it reads
/// the answer to its disconnection: so a device that refuses must leave the connection open there, which ours do.
const FAMILIES: &[(&str, &str, Framing, &str)] = &[
    ("am110r@BASE", "as300p@BASE", Framing::Wrapper, "gurux_client.py"),
    (
        "aclara-hub@BASE",
        "sgm1300@BASE",
        Framing::Wrapper,
        "dlms_cosem_client.py",
    ),
    (
        "itron-hub@BASE",
        "itron-esme@BASE",
        Framing::Hdlc(128),
        "gurux_client.py",
    ),
    (
        "itron-hub@LAB-K001",
        "itron-esme@BASE",
        Framing::Hdlc(512),
        "gurux_client.py",
    ),
    (
        "itron-hub@BASE",
        "itron-esme@BASE",
        Framing::Hdlc(128),
        "dlms_cosem_client.py",
    ),
    (
        "trilliant-dxc@dcc-eligible",
        "e470-dxc@dcc-eligible",
        Framing::HubTunnel,
        "gurux_client.py",
    ),
];

/// What an image makes of a meter, by the meter it is for.
const IMAGES: &[(&str, &str)] = &[
    ("as300p@BASE", "as300p@LAB-E001"),
    ("sgm1300@BASE", "sgm1300@LAB-A001"),
    ("itron-esme@BASE", "itron-esme@LAB-I001"),
    ("e470-dxc@dcc-eligible", "e470-dxc@LAB-L001"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Hdlc(u16),
    HubTunnel,
    Wrapper,
}

#[test]
fn a_meter_of_every_dlms_family_answers_an_independent_client() {
    let python = match python("requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with the DLMS libraries from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate.toml");
    let templates = FAMILIES.iter().enumerate().map(|(number, (hub, meter, ..))| {
        let provider = if hub.starts_with("skyline") {
            "telefonica"
        } else {
            "vodafone"
        };
        format!(
            "[[template]]\nname = \"family-{number}\"\ncount = 1\nprovider = \"{provider}\"\nchf = \"{hub}\"\n\
             esme = \"{meter}\"\npayment_mode = \"credit\"\nenrolled = true\n"
        )
    });
    let head = "[estate]\nname = \"families\"\nsource = \"invented: for the project's own tests\"\n".to_owned();
    std::fs::write(&estate, std::iter::once(head).chain(templates).collect::<String>()).unwrap();
    // A meter takes half a minute to check an image: a quicker clock spares the wait.
    let arguments = ["--estate", estate.to_str().unwrap(), "--clock", "x30"];
    let lab = RunningLab::start(&folder.path().join("state"), &arguments).unwrap();
    let devices = lab.json(&["device", "list"]).unwrap();
    let meters = devices
        .as_array()
        .unwrap()
        .iter()
        .filter(|device| device["kind"] == "ESME");
    let meters: Vec<_> = meters.map(|device| device["device"].as_str().unwrap()).collect();
    assert_eq!(meters.len(), FAMILIES.len());
    for ((hub, fitted, framing, script), meter) in FAMILIES.iter().zip(meters) {
        let shown = lab.json(&["device", "show", meter, "--secrets"]).unwrap();
        let exposed = lab.json(&["device", "expose", meter]).unwrap();
        let mut settings = settings(&shown, exposed["address"].as_str().unwrap());
        settings["framing"] = match framing {
            Framing::Wrapper => json!({ "kind": "wrapper" }),
            Framing::Hdlc(information) => json!({ "kind": "hdlc", "physical": 17, "information": information }),
            Framing::HubTunnel => json!({ "kind": "hub-tunnel", "device": meter.replace('-', "") }),
        };
        let wanted = [
            "reader register",
            "management register",
            "management profile by range",
            "management object list",
        ];
        let all = script.starts_with("gurux") || *framing == Framing::Wrapper;
        if !all {
            settings["only"] = json!(wanted);
        }
        let checks = Checks::of(&python, script, &settings);
        for name in wanted {
            checks.good(name);
        }
        for name in ["reader wrong password", "management wrong key"] {
            settings["only"] = json!([name]);
            Checks::of(&python, script, &settings).refused(name);
        }
        if all {
            settings.as_object_mut().unwrap().remove("only");
            let checks = Checks::of(&python, script, &settings);
            assert!(
                checks.good("management profile by blocks")["rows"].as_u64().unwrap() > 13_000,
                "{hub}"
            );
            checks.refused("critical supply without approval");
        }
        settings["critical"]["script"] = json!(SCRIPT_DISABLE);
        settings["critical"]["approval"] = json!(approval(&shown, meter, 8));
        settings["only"] = json!(["critical supply with approval"]);
        let checks = Checks::of(&python, script, &settings);
        assert_eq!(checks.good("critical supply with approval"), 0, "{hub}: disconnected");
        if script.starts_with("gurux") {
            let (_, becomes) = IMAGES.iter().find(|(of, _)| of == fitted).unwrap();
            takes_an_image(&lab, &python, settings, meter, becomes);
        }
    }
    assert_eq!(lab.terminate().unwrap(), Some(0));
}

/// An image by the standard's image transfer object, block by block: not another one than was announced, and not without the
/// DCO's approval.
fn takes_an_image(lab: &RunningLab, python: &Path, mut settings: Value, meter: &str, becomes: &str) {
    let file = lab.state().join(format!("{meter}.image"));
    let path = file.to_str().unwrap();
    let made = lab
        .command(&["image", "make", becomes, path, "--octets", "4096"])
        .unwrap();
    assert_eq!(made.code, Some(0), "{made:?}");
    let octets = std::fs::read(&file).unwrap();
    let hash = domain::image::hash(&octets);
    let shown = lab.json(&["device", "show", meter, "--secrets"]).unwrap();
    settings["image"] = json!({
        "octets": hex(&octets),
        "hash": hex(&hash.0),
        "approval": approval_of(&Operation::ActivateImage { hash }, &shown, meter, 9),
    });
    let mut check = |name: &str| {
        settings["only"] = json!([name]);
        Checks::of(python, "gurux_client.py", &settings)
    };
    check("management image of another hash").refused("management image of another hash");
    let checks = check("management image");
    let done = checks.good("management image");
    assert_eq!(
        (&done["state"], &done["verified"]),
        (&json!(3), &json!([hex(&hash.0)])),
        "{becomes}: {done}"
    );
    assert_eq!(done["blocks"], done["received"], "{becomes}");
    assert!(
        done["blocks"].as_u64().unwrap() > 3,
        "{becomes}: in more than one piece: {done}"
    );
    check("critical activation without approval").refused("critical activation without approval");
    let checks = check("critical activation with approval");
    assert_eq!(
        checks.good("critical activation with approval"),
        "activated",
        "{becomes}"
    );
}

#[test]
fn a_python_program_reads_and_operates_devices_without_bytes() {
    let python = match python("semantic-requirements.txt") {
        Ok(python) => python,
        Err(why) => skip!("no Python with gRPC from PyPI: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate.toml");
    std::fs::write(&estate, SMALL_ESTATE).unwrap();
    let arguments = ["--estate", estate.to_str().unwrap(), "--clock", "real"];
    let lab = RunningLab::start(&folder.path().join("state"), &arguments).unwrap();
    let devices = lab.json(&["device", "list"]).unwrap();
    let id = |kind: &str| {
        let device = devices.as_array().unwrap().iter().find(|device| device["kind"] == kind);
        device.unwrap()["device"].as_str().unwrap().to_owned()
    };
    let (meter, gas) = (id("ESME"), id("GPF"));
    let shown = lab.json(&["device", "show", &meter, "--secrets"]).unwrap();
    let settings = json!({
        "address": lab.address("control").unwrap(),
        "meter": meter,
        "gas": gas,
        "approval": approval(&shown, &meter, 8),
    });
    let proto = workspace().join("proto");
    let mut child = Command::new(&python)
        .arg(workspace().join("tests/interop/semantic_client.py"))
        .arg(proto)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(settings.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(results["register"].as_i64().unwrap() > 0, "{results}");
    let expected = json!({
        "supply before": "Enabled",
        "without approval": "Approval.Missing",
        "disable": true,
        "again": "Approval.Replayed",
        "supply after": "Disabled",
        "write": true,
        "gas": "Litre",
        "nonsense": "INVALID_ARGUMENT",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&results[name], value, "{name}: {results}");
    }
    assert_eq!(lab.terminate().unwrap(), Some(0));
}

/// Everything that needs no approval, with each kind of association.
fn reads(checks: &Checks, script: &str) {
    let name = checks.good("public identity").as_str().unwrap();
    assert!(!name.is_empty());
    for association in ["reader", "management"] {
        assert_eq!(checks.good(&format!("{association} identity")), name);
        let register = checks.good(&format!("{association} register"));
        assert!(register["value"].as_u64().unwrap() > 0, "{register}");
        assert_eq!(register["unit"], 30, "active energy: {register}");
        let rows = checks
            .good(&format!("{association} profile by range"))
            .as_array()
            .unwrap();
        let times: Vec<_> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        assert_eq!(times.first(), Some(&"2020-05-30T00:00:00Z"), "{rows:?}");
        assert!((4..=5).contains(&rows.len()), "two hours by half hours: {rows:?}");
    }
    for clock in ["public clock", "management clock"] {
        let clock = checks.good(clock).as_str().unwrap();
        assert!(
            clock.starts_with("2020-06-01T09:"),
            "the calendar starts there: {clock}"
        );
    }
    let objects = checks.good("management object list");
    for wanted in ["0.0.1.0.0.255", "1.0.1.8.0.255", "1.0.99.1.0.255", "0.0.96.3.10.255"] {
        let names = objects["names"].as_array().unwrap();
        assert!(names.iter().any(|name| name == wanted), "{wanted} in {objects}");
    }
    let blocks = checks.good("management profile by blocks");
    assert!(
        blocks["rows"].as_u64().unwrap() > 13_000,
        "13 months of half hours: {blocks}"
    );
    if script.starts_with("gurux") {
        assert_eq!(checks.good("management profile by entry").as_array().unwrap().len(), 3);
    }
    checks.refused("reader wrong password");
    checks.refused("management wrong key");
    checks.refused("management supply");
    // The S1SP's own keys for critical operations are not enough.
    checks.refused("critical supply without approval");
}

/// The supply: not with a stranger's approval, once with the DCO's, not twice with the same.
fn operates(python: &Path, script: &str, mut settings: Value, shown: &Value, meter: &str) {
    settings["critical"]["script"] = json!(SCRIPT_DISABLE);
    settings["only"] = json!(["critical supply with approval", "critical supply with used approval"]);
    let mut forged = approval(shown, meter, 7);
    let last = if forged.ends_with('0') { "1" } else { "0" };
    forged.replace_range(forged.len() - 1.., last);
    settings["critical"]["approval"] = json!(forged);
    let checks = Checks::of(python, script, &settings);
    checks.refused("critical supply with approval");

    settings["critical"]["approval"] = json!(approval(shown, meter, 8));
    let checks = Checks::of(python, script, &settings);
    assert_eq!(checks.good("critical supply with approval"), 0, "disconnected");
    checks.refused("critical supply with used approval");
}
