//! Published templates and samples read, pass the check, and verify or fail as their notice says.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{certificate, files, shared};
use duis::signature::{CertificateBook, SignatureError, verify};
use duis::{DccAlert, Limits, ReadErrorKind, Response, ResponseBody, Root, SignedBody, Version, check_against};

#[test]
fn every_template_reads_and_passes_both_versions() {
    let Some(folder) = shared("the templates") else { return };
    let templates = files(&folder.join("templates"));
    assert_eq!(templates.len(), 223);
    for (name, xml) in templates {
        for version in [Version::V5_1, Version::V5_4] {
            assert_eq!(
                check_against(&xml, version, &Limits::DEFAULT),
                Ok(Root::Request),
                "{name}"
            );
        }
        let request = duis::read_request(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(request.schema_version, "5.4", "{name}");
        let written = duis::write::request(&request).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(
            duis::read_request(&written),
            Ok(request),
            "{name}: what was written reads the same"
        );
    }
}

#[test]
fn every_sample_passes_both_versions() {
    let Some(folder) = shared("the samples") else { return };
    for (name, xml) in files(&folder.join("samples")) {
        let root = match name.as_str() {
            name if name.starts_with("request") => Root::Request,
            "smets1-signed-response-standalone.xml" => Root::SignedResponse,
            _ => Root::Response,
        };
        for version in [Version::V5_1, Version::V5_4] {
            assert_eq!(check_against(&xml, version, &Limits::DEFAULT), Ok(root), "{name}");
        }
    }
}

#[test]
fn outer_and_inner_signatures_of_the_samples_verify_as_noted() {
    let Some(folder) = shared("the signed samples") else {
        return;
    };
    let dcc = certificate(&folder, "dsp-xml-sign-90B3D51F30000002-ds");
    let user = certificate(&folder, "xml-sign-90B3D51F30010000-ds");
    let s1sp = certificate(&folder, "xml-sign-90B3D51F30020000-ds");
    assert_eq!(dcc.eui().to_string(), "90-B3-D5-1F-30-00-00-02");
    assert_eq!((dcc.role(), user.role()), (Some(0x89), Some(0x87)));
    assert_eq!(dcc.issuer(), "CN=Z1,OU=07");
    let mut book = CertificateBook::new();
    for known in [&dcc, &user, &s1sp] {
        book.add(known.clone()).unwrap();
    }
    let mut inner_parts = 0;
    for (name, xml) in files(&folder.join("samples")) {
        let signer = verify(&xml, &book).map(|signer| signer.eui);
        let expected = match name.as_str() {
            "smets1-signed-response-standalone.xml" => Ok(s1sp.eui()),
            name if name.ends_with("-signed.xml") || name.ends_with("-preserved.xml") => {
                Ok(if name.starts_with("request") {
                    user.eui()
                } else {
                    dcc.eui()
                })
            }
            _ => Err(SignatureError::Missing),
        };
        assert_eq!(signer, expected, "{name}");
        if !name.starts_with("request") && !name.contains("standalone") {
            let response = duis::read_response(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Some(part) = signed_part(&response) {
                assert_eq!(verify(part, &s1sp).map(|signer| signer.eui), Ok(s1sp.eui()), "{name}");
                inner_parts += 1;
            }
        }
    }
    assert_eq!(inner_parts, 6);
}

fn signed_part(response: &Response) -> Option<&[u8]> {
    match &response.body {
        ResponseBody::Smets1 { signed, .. } => Some(signed),
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp { signed, .. },
            ..
        } => Some(signed),
        _ => None,
    }
}

#[test]
fn a_sample_response_reads_as_values() {
    let Some(folder) = shared("a sample response") else {
        return;
    };
    let xml = std::fs::read(folder.join("samples/smets1-response-failure-signed.xml")).unwrap();
    let response = duis::read_response(&xml).unwrap();
    assert_eq!(response.header.code, duis::ResponseCode::I0);
    let ResponseBody::Smets1 { srv, content, .. } = response.body else {
        panic!("a SMETS1 response")
    };
    assert_eq!(srv.map(|srv| srv.to_string()).as_deref(), Some("4.1.1"));
    assert_eq!(content.header.originator_counter, 1000);
    let SignedBody::Response { payload, debug } = content.body else {
        panic!("a response")
    };
    let payload = payload.unwrap();
    assert_eq!(payload.name, "ReadInstantaneousImportRegistersRsp");
    assert_eq!(payload.attribute("MessageSuccess"), Some("false"));
    let debug = debug.unwrap();
    let entry = debug.at(&["SMETS1Debug", "SMETS1Response"]).unwrap();
    assert_eq!(
        (entry.attribute("Position"), entry.child_text("Error")),
        (Some("1"), Some("example text"))
    );
}

#[test]
fn what_only_5_4_knows_is_refused_by_5_1() {
    let header = r#"<sr:Header><sr:RequestID>90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1</sr:RequestID>"#;
    let response = |code: &str| {
        format!(
            r#"<sr:Response xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.4">{header}<sr:ResponseCode>{code}</sr:ResponseCode><sr:ResponseDateTime>2020-06-01T10:00:00Z</sr:ResponseDateTime></sr:Header><sr:Body><sr:ResponseMessage><sr:ServiceReference>8.4</sr:ServiceReference><sr:ServiceReferenceVariant>8.4</sr:ServiceReferenceVariant></sr:ResponseMessage></sr:Body></sr:Response>"#
        )
    };
    let check = |code: &str, version| check_against(response(code).as_bytes(), version, &Limits::DEFAULT);
    for facts in duis::ResponseCode::all() {
        assert_eq!(check(facts.value, Version::V5_4), Ok(Root::Response), "{}", facts.value);
        let old = check(facts.value, Version::V5_1).map_err(|error| error.kind);
        let expected = if facts.since_5_4 {
            Err(ReadErrorKind::Value)
        } else {
            Ok(Root::Response)
        };
        assert_eq!(old, expected, "{}", facts.value);
    }
    assert!(check("E6", Version::V5_4).is_err());
}
