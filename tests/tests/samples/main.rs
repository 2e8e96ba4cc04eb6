//! A sample of every kind of message the lab emits is stored under `fixtures/samples`; each fits the schemas and verifies.
//!
//! The samples come from three places: every service made for every kind of device, the SIT pack, and, for the DCC alerts
//! that neither raises and for the codes that neither gets, the writer. What a run emits is held against what is stored, signatures apart. To write
//! the samples anew: `UPDATE_SAMPLES=1 cargo test -p s1lab-tests --test samples`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../crates/duis/tests/common/alerts.rs"]
mod alerts;
mod judges;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::{Eui64, RequestId, SimInstant};
use duis::{DccAlert, ResponseBody, ResponseHeader, SignedBody};
use lab::{Config, Custody, Pki};
use proto::{DuisDelivery, DuisReply, DuisRequest, Envelope, Kind, Message};
use runs::{exercise, sit};
use s1lab_tests::workspace;
use steps::codes::AlertTrigger;
use world::TapeRecord;
use world::tape::canonical_xml;

use judges::Certificates;

/// Read whole: nothing in this folder is named elsewhere.
const SAMPLES: &str = "fixtures/samples/";

fn stored() -> BTreeMap<String, Vec<u8>> {
    let root = workspace().join(SAMPLES);
    let mut found = BTreeMap::new();
    for group in ["requests", "replies", "responses", "alerts"] {
        let files = std::fs::read_dir(root.join(group)).into_iter().flatten();
        for path in files.map(|entry| entry.unwrap().path()) {
            let name = path.file_stem().unwrap().to_string_lossy();
            found.insert(format!("{group}/{name}"), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn path_of(kind: &str) -> PathBuf {
    workspace().join(SAMPLES).join(format!("{kind}.xml"))
}

/// Which kind of message a document is, and where it stands among the samples.
fn kind(envelope: Kind, xml: &[u8]) -> Option<String> {
    match envelope {
        Kind::DuisRequest => Some(format!("requests/{}", duis::read_request(xml).ok()?.srv)),
        Kind::DuisReply => {
            let response = duis::read_response(xml).ok()?;
            let code = response.header.code;
            Some(match response.body {
                ResponseBody::Message { srv, .. }
                    if !["I99", "E"].iter().any(|start| code.as_str().starts_with(start)) =>
                {
                    let later = match duis::Version::of(&response.header.schema_version) {
                        duis::Version::V5_1 => "",
                        duis::Version::V5_4 => judges::LATER,
                    };
                    format!("replies/{srv}-{code}{later}")
                }
                _ => format!("replies/{code}"),
            })
        }
        Kind::DuisDelivery => {
            let response = duis::read_response(xml).ok()?;
            Some(delivered(&response.body, response.header.code.as_str()))
        }
        _ => None,
    }
}

fn delivered(body: &ResponseBody, code: &str) -> String {
    match body {
        ResponseBody::Message { .. } => format!("responses/{code}"),
        ResponseBody::DeviceAlert(_) => "alerts/gbcs".to_owned(),
        ResponseBody::DccAlert { code, alert, throttled } => {
            let kind = match alert {
                DccAlert::S1sp { content, .. } => format!("-{}", content.code),
                DccAlert::Payload(_) => String::new(),
            };
            let summary = if throttled.is_some() { "-throttled" } else { "" };
            format!("alerts/{code}{kind}{summary}")
        }
        ResponseBody::Smets1 {
            srv,
            schedule_id,
            content,
            ..
        } => match &content.body {
            SignedBody::Alert(alert) => format!("alerts/device-{:04X}", alert.code.unwrap_or_default()),
            SignedBody::Response { payload, debug } => {
                let srv = srv.map(|srv| srv.to_string()).unwrap_or_default();
                let payload = payload.as_ref();
                let failed = payload.and_then(|payload| payload.attribute("MessageSuccess")) == Some("false");
                let fuel = payload.and_then(|payload| {
                    let names = payload.children.iter().map(|child| child.name);
                    names
                        .into_iter()
                        .find(|name| name.starts_with("Gas") || name.starts_with("Elec"))
                });
                let fuel = fuel.map_or("", |name| {
                    if name.starts_with("Gas") {
                        "-gas"
                    } else {
                        "-electricity"
                    }
                });
                let outcome = match (failed, debug.is_some()) {
                    (true, _) => "-failed",
                    (false, true) => "-partial",
                    (false, false) => "",
                };
                let scheduled = if schedule_id.is_some() { "-scheduled" } else { "" };
                format!("responses/{srv}{fuel}{outcome}{scheduled}")
            }
        },
    }
}

/// Every DUIS document on a tape, with its kind, in the order they were sent.
fn documents(records: &[TapeRecord]) -> Vec<(String, Vec<u8>)> {
    let mut ordered: Vec<_> = records.iter().collect();
    ordered.sort_by_key(|record| (record.at, record.world, record.sequence));
    let document = |record: &&TapeRecord| {
        let envelope = Envelope::decode(record.octets.clone()).ok()?;
        let body = envelope.body.clone();
        let xml = match envelope.kind() {
            Kind::DuisRequest => DuisRequest::decode(body).ok()?.xml,
            Kind::DuisReply => DuisReply::decode(body).ok()?.xml,
            Kind::DuisDelivery => DuisDelivery::decode(body).ok()?.xml,
            _ => return None,
        };
        Some((kind(envelope.kind(), &xml)?, xml.to_vec()))
    };
    ordered.iter().filter_map(document).collect()
}

/// A lab whose keys are known here: its configuration, and the folder with its certificates.
fn lab_in(folder: &Path) -> Config {
    let mut config = Config::default();
    Pki::generate(&config).unwrap().write(folder).unwrap();
    Custody::of_run(&config).write(folder).unwrap();
    config.folders.pki = Some(folder.to_owned());
    config
}

/// A request of which the answer differs by version of the schema, as a user of the later one sends it.
fn of_later_version() -> exercise::Document {
    let config = Config::default();
    let id = RequestId {
        originator: alerts::USER,
        target: config.dcc.eui,
        counter: 1,
    };
    let address = duis::Element::sr("PartialAddress")
        .with_leaf("PostCode", "AB1 2CD")
        .with_leaf("AddressIdentifier", "1");
    let mut request = duis::Request::new(id, "12.1".parse().unwrap())
        .with_command_variant(8)
        .with_body(duis::Element::sr("RequestWANMatrix").with(address));
    request.schema_version = "5.4".into();
    exercise::Document {
        name: "12.1 of version 5.4".into(),
        xml: duis::write::request(&request).unwrap(),
    }
}

/// The DCC alerts of triggers that no run above raises, made by the writer and signed with the DCC's key.
fn made_alerts(pki: &Pki, there: &BTreeSet<&String>) -> Vec<(String, Vec<u8>)> {
    let key = duis::signature::SigningKey::from_pem(pki.dcc.expose_key_pem(), &pki.dcc.certificate_pem).unwrap();
    let mut made = Vec::new();
    for trigger in AlertTrigger::ALL {
        let facts = trigger.alert();
        let name = format!("alerts/{}", facts.code);
        if *trigger == AlertTrigger::S1spAlert || there.contains(&name) {
            continue;
        }
        let payloads = alerts::payloads().into_iter().map(|(_, payload)| payload.element());
        let fits = |payload: &duis::Element| {
            let part = |part| {
                payload.child(part).is_some() || payload.children.iter().any(|child| child.child(part).is_some())
            };
            Some(payload.name) == facts.payload && facts.part.is_none_or(part)
        };
        let payload = payloads.into_iter().find(fits);
        let payload = payload.unwrap_or_else(|| panic!("no payload for {trigger}"));
        let id = RequestId {
            originator: Eui64(0x90B3_D51F_3000_0002),
            target: alerts::USER,
            counter: 7000,
        };
        let at: SimInstant = "2019-03-30T12:00:00.000Z".parse().unwrap();
        let xml = duis::write::dcc_alert(&ResponseHeader::alert(id, at), facts.code, None, &payload).unwrap();
        made.push((name, duis::signature::sign(&xml, &key).unwrap()));
    }
    made
}

/// Refusals and outcomes with the codes of the error table that no run above has.
fn made_refusals(pki: &Pki, there: &BTreeSet<&String>) -> Vec<(String, Vec<u8>)> {
    let key = duis::signature::SigningKey::from_pem(pki.dcc.expose_key_pem(), &pki.dcc.certificate_pem).unwrap();
    let mut made = BTreeMap::new();
    for failure in steps::Failure::ALL {
        let (entry, code) = (failure.entry(), failure.response_code());
        let group = if entry.hop == steps::errors::Hop::Dcc {
            "replies"
        } else {
            "responses"
        };
        let name = format!("{group}/{code}");
        if entry.code == "I0" || there.contains(&name) {
            continue;
        }
        let at: SimInstant = "2019-03-30T12:00:00.000Z".parse().unwrap();
        let mut header = ResponseHeader::replying(alerts::id(), code, at);
        header.response_id = (group == "responses").then_some(alerts::id());
        let xml = duis::write::response(&header, "7.4".parse().unwrap(), None).unwrap();
        made.insert(name, duis::signature::sign(&xml, &key).unwrap());
    }
    made.into_iter().collect()
}

#[test]
fn stored_samples_fit_the_schemas_and_verify() {
    let stored = stored();
    assert!(stored.len() > 100, "{} samples", stored.len());
    let files: Vec<_> = stored.keys().map(|kind| (kind.as_str(), path_of(kind))).collect();
    judges::validate(&files);
    let scratch = tempfile::tempdir().unwrap();
    let certificates = Certificates::of(&workspace().join(SAMPLES).join("certificates"));
    certificates.verify(scratch.path(), stored.values().map(Vec::as_slice));
}

#[test]
fn every_kind_of_message_the_lab_emits_has_its_sample() {
    let folder = tempfile::tempdir().unwrap();
    let config = lab_in(folder.path());
    let (_, tape) = exercise::run_recorded(config.clone(), &[of_later_version()], true).unwrap();
    let pack = sit::run(sit::Options {
        config,
        cut: Vec::new(),
        without_rules: Vec::new(),
        progress: None,
    });
    let pack = documents(&pack.unwrap().records);
    all_fit_and_verify(folder.path(), &pack);
    let mut emitted: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (kind, xml) in documents(&tape).into_iter().chain(pack) {
        emitted.entry(kind).or_insert(xml);
    }
    let pki = Pki::load(folder.path()).unwrap();
    let there: BTreeSet<_> = emitted.keys().collect();
    let made = [made_alerts(&pki, &there), made_refusals(&pki, &there)].concat();
    emitted.extend(made);
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        write(folder.path(), &emitted);
    }
    let stored = stored();
    let (new, old): (BTreeSet<_>, BTreeSet<_>) = (emitted.keys().collect(), stored.keys().collect());
    let missing: Vec<_> = new.difference(&old).collect();
    let surplus: Vec<_> = old.difference(&new).collect();
    assert!(missing.is_empty(), "no samples of {missing:?}: write them anew");
    assert!(surplus.is_empty(), "samples of what is not emitted: {surplus:?}");
    let differs = |kind: &&String| canonical_xml(&stored[*kind]) != canonical_xml(&emitted[*kind]);
    let different: Vec<_> = emitted.keys().filter(differs).collect();
    assert!(different.is_empty(), "not as they are stored: {different:?}");
}

/// Every message of the SIT pack, not only the first of its kind.
fn all_fit_and_verify(pki: &Path, documents: &[(String, Vec<u8>)]) {
    let scratch = tempfile::tempdir().unwrap();
    let mut files = Vec::with_capacity(documents.len());
    for (number, (kind, xml)) in documents.iter().enumerate() {
        let path = scratch.path().join(format!("{number}-{}.xml", kind.replace('/', "-")));
        std::fs::write(&path, xml).unwrap();
        files.push((kind.as_str(), path));
    }
    assert!(files.len() > 500, "{} messages", files.len());
    judges::validate(&files);
    let judged = tempfile::tempdir().unwrap();
    let documents = documents.iter().map(|(_, xml)| xml.as_slice());
    Certificates::of(pki).verify(judged.path(), documents);
}

fn write(pki: &Path, emitted: &BTreeMap<String, Vec<u8>>) {
    let root = workspace().join(SAMPLES);
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    for (kind, xml) in emitted {
        let path = path_of(kind);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, xml).unwrap();
    }
    let certificates = root.join("certificates");
    std::fs::create_dir_all(&certificates).unwrap();
    let used = Certificates::of(pki).used(emitted.values().map(Vec::as_slice));
    for path in used {
        std::fs::copy(&path, certificates.join(path.file_name().unwrap())).unwrap();
    }
    let note = "Samples made by this project's own lab, with keys made for them and thrown away; devices, users and \
                metering points are made up. They are written by the test `samples`, not by hand.\n";
    std::fs::write(root.join("README.md"), note).unwrap();
}
