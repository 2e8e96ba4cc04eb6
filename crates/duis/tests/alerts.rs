//! Every payload of a DCC alert: what it looks like, and that both editions of the schemas have it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::alerts::{HUB, USER, at, id, payloads};
use common::{Oracle, shared};
use domain::{Eui64, RequestId};
use duis::alert::{AlertPayload as P, SupplierChange};
use duis::{
    DccAlert, DccAlertCode, Element, Limits, ResponseBody, ResponseHeader, Throttled, Version, WriteError,
    check_against, write,
};

const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);

fn written(code: &str, payload: &P, version: &str, throttled: Option<Throttled>) -> Result<Vec<u8>, WriteError> {
    let counter = 7000;
    let header = ResponseHeader {
        schema_version: version.to_owned(),
        ..ResponseHeader::alert(
            RequestId {
                originator: DCC,
                target: USER,
                counter,
            },
            at(),
        )
    };
    write::dcc_alert(&header, DccAlertCode::new(code).unwrap(), throttled, &payload.element())
}

#[test]
fn payloads_look_as_before() {
    let mut text = String::new();
    for (code, payload) in payloads() {
        let xml = String::from_utf8(written(code, &payload, "5.1", None).unwrap()).unwrap();
        let from = xml.find("<sr:DCCAlert>").unwrap();
        let to = xml.find("</sr:DCCAlertMessage>").unwrap();
        text.push_str(&format!("{code}\n{}\n\n", xml[from..to].replace("><", ">\n<")));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn both_editions_have_every_payload() {
    let names: std::collections::BTreeSet<_> = payloads().iter().map(|(_, payload)| payload.element().name).collect();
    assert_eq!(names.len(), 23, "all but the one around an S1SP's alert");
    let folder = shared("the real schemas");
    for version in ["5.1", "5.4"] {
        let oracle = folder.as_deref().map(|folder| Oracle::new(folder, version));
        for (code, payload) in payloads() {
            let xml = written(code, &payload, version, None).unwrap();
            assert!(
                check_against(&xml, Version::of(version), &Limits::DEFAULT).is_ok(),
                "{code} in {version}"
            );
            if let Some(oracle) = &oracle {
                assert_eq!(oracle.judge(&xml), Vec::<String>::new(), "{code} in {version}");
            }
        }
    }
}

#[test]
fn what_only_the_later_edition_has_is_written_in_it_alone() {
    let payload = P::ChangeOfSupplier(SupplierChange::Request {
        request: id(),
        ecos_error: Some("E01".into()),
    });
    assert!(written("N27", &payload, "5.4", None).is_ok());
    assert!(written("N27", &payload, "5.1", None).is_err());
    let payload = P::Smets1HubFirmware {
        hub: HUB,
        firmware: "123456789".into(),
        active: true,
    };
    assert!(
        written("N56", &payload, "5.4", None).is_err(),
        "a firmware version has eight characters at most"
    );
}

#[test]
fn a_throttled_alert_says_for_how_many_it_stands() {
    let throttled = Throttled { sequence: 3, count: 12 };
    let payload = P::UpdateHubLogResult { request: id() };
    let xml = written("N24", &payload, "5.1", Some(throttled)).unwrap();
    let ResponseBody::DccAlert {
        code,
        throttled: read,
        alert,
    } = duis::read_response(&xml).unwrap().body
    else {
        panic!("a DCC alert")
    };
    assert_eq!((code.as_str(), read), ("N24", Some(throttled)));
    assert_eq!(alert, DccAlert::Payload(payload.element()));
}

#[test]
fn every_payload_is_read_as_it_was_written() {
    for (code, payload) in payloads() {
        let xml = written(code, &payload, "5.4", None).unwrap();
        let ResponseBody::DccAlert { alert, .. } = duis::read_response(&xml).unwrap().body else {
            panic!("a DCC alert")
        };
        let read = alert.said().expect("an alert of the DCC's own").unwrap();
        // A day is read as its first instant.
        let read = match read {
            P::DeviceLogRestored { of_proxy, devices, on } => {
                assert_eq!(on.to_string(), "2019-03-30T00:00:00.000Z");
                P::DeviceLogRestored {
                    on: at(),
                    of_proxy,
                    devices,
                }
            }
            read => read,
        };
        assert_eq!(read, payload, "{code}");
    }
    let strange = Element::sr("CommandFailure").with_leaf("CommandRequestID", "1");
    let error = P::try_from(&strange).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CommandFailure of a DCC alert: CommandRequestID: \"1\""
    );
    assert!(P::try_from(&Element::sr("S1SPAlertDSP")).is_err());
}

#[test]
fn versions_are_held_against_the_edition_that_has_them() {
    for (text, version) in [
        ("5.0", Version::V5_1),
        ("5.1", Version::V5_1),
        ("5.2", Version::V5_1),
        ("5.3", Version::V5_4),
        ("5.40", Version::V5_4),
        (" 5.4 ", Version::V5_4),
        ("6", Version::V5_4),
        ("5", Version::V5_1),
        ("five", Version::V5_1),
    ] {
        assert_eq!(Version::of(text), version, "{text}");
    }
}
