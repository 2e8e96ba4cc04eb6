//! Every payload of a DCC alert: what it looks like, and that both editions of the schemas have it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Oracle, shared};
use domain::{DeviceKind, Eui64, RequestId, SimInstant, Srv};
use duis::alert::{AlertPayload as P, Breach, CertificateUse, HeldBack, MeterPoints, StatusChange, SupplierChange};
use duis::{
    DccAlert, DccAlertCode, Element, Limits, ResponseBody, ResponseHeader, Throttled, Version, WriteError,
    check_against, write,
};

const HUB: Eui64 = Eui64(0x00DB_1234_5678_90A1);
const ESME: Eui64 = Eui64(0x00DB_1234_5678_90A0);
const PPMID: Eui64 = Eui64(0x00DB_1234_5678_90A5);
const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);

fn at() -> SimInstant {
    "2019-03-30T12:00:00.000Z".parse().unwrap()
}

fn id() -> RequestId {
    RequestId {
        originator: USER,
        target: ESME,
        counter: 1000,
    }
}

fn points() -> MeterPoints {
    MeterPoints {
        import: "1200000000001".into(),
        secondary_import: Some("1200000000002".into()),
        export: Some("1200000000003".into()),
    }
}

fn status(change: StatusChange) -> P {
    P::DeviceStatusChange { device: ESME, change }
}

/// One of each, with the parts that are optional; those only the later edition has apart.
fn payloads() -> Vec<(&'static str, P)> {
    use CertificateUse::{DigitalSigning, KeyAgreement, KeyAgreementTopUp};
    let firmware = || "00000002".to_owned();
    vec![
        (
            "AD1",
            P::PowerOutage {
                hub: HUB,
                since: at(),
                mpxn: "1200000000001".into(),
            },
        ),
        (
            "N1",
            status(StatusChange::MeterLeft {
                points: points(),
                associated: vec![(PPMID, DeviceKind::Ppmid)],
            }),
        ),
        ("N8", status(StatusChange::Removed)),
        ("N9", status(StatusChange::HubDecommissioned)),
        (
            "N16",
            status(StatusChange::MeterIdentity {
                points: points(),
                esme_variant: Some("A".into()),
            }),
        ),
        ("N28", status(StatusChange::Suspended)),
        ("N29", status(StatusChange::Restored)),
        (
            "N44",
            status(StatusChange::RecoveryCompleteAcb(
                vec![DigitalSigning, KeyAgreementTopUp],
                vec![KeyAgreement],
            )),
        ),
        ("N45", status(StatusChange::RecoveryComplete)),
        (
            "N4",
            P::ScheduleRemoval {
                device: ESME,
                schedule: 17,
            },
        ),
        (
            "N13",
            P::CommandFailure {
                request: id(),
                schedule: Some(17),
                device: ESME,
            },
        ),
        (
            "N18",
            P::FirmwareDistributionFailure {
                request: id(),
                devices: vec![ESME, PPMID],
            },
        ),
        ("N24", P::UpdateHubLogResult { request: id() }),
        (
            "N26",
            P::ChangeOfSupplier(SupplierChange::Device {
                device: ESME,
                kind: DeviceKind::Esme,
                points: points(),
            }),
        ),
        (
            "N27",
            P::ChangeOfSupplier(SupplierChange::Request {
                request: id(),
                ecos_error: None,
            }),
        ),
        (
            "N30",
            P::DeviceLogRestored {
                on: at(),
                of_proxy: false,
                devices: [HUB, ESME, HUB, ESME],
            },
        ),
        (
            "N31",
            P::DeviceLogRestored {
                on: at(),
                of_proxy: true,
                devices: [HUB, ESME, HUB, ESME],
            },
        ),
        (
            "N39",
            P::PpmidAlert {
                device: PPMID,
                code: 0x8F1C,
                at: Some(at()),
                upgrade: Some((firmware(), true)),
            },
        ),
        (
            "N42",
            P::SecurityCredentialsUpdated {
                device: ESME,
                role: "Supplier".into(),
                floors: Some((5, Some(7))),
                certificates: vec![(DigitalSigning, [7; 20])],
            },
        ),
        (
            "N43",
            P::PpmidRemoval {
                device: PPMID,
                hub: HUB,
            },
        ),
        (
            "N46",
            P::QuarantinedRequest {
                breach: Breach::UserThreshold,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N47",
            P::QuarantinedRequest {
                breach: Breach::DccThreshold,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N48",
            P::QuarantinedRequest {
                breach: Breach::Attribute,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N49",
            P::FirmwareVersionMismatch {
                device: ESME,
                kind: DeviceKind::Esme,
                inventory: "00000001".into(),
                found: firmware(),
            },
        ),
        (
            "N54",
            P::DualBandHub {
                hub: HUB,
                code: 0x8F20,
                message_code: Some(0x010B),
                detail: Some(
                    Element::sr("LimitedDutyCycleActionTaken").with_leaf("DeviceIDToSuspend", ESME.to_string()),
                ),
            },
        ),
        (
            "N56",
            P::Smets1HubFirmware {
                hub: HUB,
                firmware: firmware(),
                active: false,
            },
        ),
        (
            "N57",
            P::DuisVersionMismatch {
                held_back: HeldBack::Alert {
                    code: "N63".into(),
                    device: Some(ESME),
                    request: Some(id()),
                },
                user_version: "5.0".into(),
            },
        ),
        (
            "N999",
            P::DuisVersionMismatch {
                held_back: HeldBack::Response {
                    request: id(),
                    srv: Srv::new(4, 1, 1),
                    request_version: "5.4".into(),
                },
                user_version: "5.1".into(),
            },
        ),
        (
            "N58",
            P::AlcsConfigurationChange {
                device: ESME,
                esme_variant: Some("B".into()),
                gbcs_version: Some("4.1".into()),
            },
        ),
        (
            "N59",
            P::FirmwareUpgradeRequested {
                kind: DeviceKind::Ppmid,
                firmware: firmware(),
                devices: vec![PPMID],
            },
        ),
        (
            "N60",
            P::CspFirmwareDelivery {
                request: id(),
                hub: HUB,
                device: ESME,
                firmware: firmware(),
                at: at(),
                delivered: false,
            },
        ),
        (
            "N61",
            P::CommsHubAlert {
                hub: HUB,
                code: 0x8F70,
                at: Some(at()),
                transfer: Some(
                    Element::sr("FirmwareTransferAlert")
                        .with_leaf("OtherDeviceID", PPMID.to_string())
                        .with_leaf("FirmwareVersion", "00000002")
                        .with_leaf("TransferResponseCode", "FileTransferSuccess"),
                ),
            },
        ),
        (
            "N63",
            P::Ecos {
                alert: id(),
                request: Some(id()),
                code: "C1".into(),
                device: ESME,
                information: Some("late".into()),
            },
        ),
        (
            "N64",
            P::CommsHubFirmwareActivation {
                hub: HUB,
                firmware: firmware(),
            },
        ),
        (
            "N65",
            P::CosCertificate {
                device: ESME,
                serial: Some("12345678901234567890123".into()),
            },
        ),
    ]
}

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
