//! What the writers produce: snapshots, round trips, and the real schemas' opinion.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{Oracle, Own, shared};
use domain::{Eui64, RequestId, SimInstant, Srv};
use duis::signature::{sign, verify};
use duis::{
    DccAlert, DccAlertCode, DeviceAlert, Element, Limits, ReadErrorKind, Request, Response, ResponseBody, ResponseCode,
    ResponseHeader, S1spAlert, SignedBody, SignedHeader, SignedResponse, Version, WriteError, check_against, write,
};

const DEVICE: Eui64 = Eui64(0x00DB_1234_5678_90A0);
const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);

fn id() -> RequestId {
    RequestId {
        originator: USER,
        target: DEVICE,
        counter: 1000,
    }
}

fn at() -> SimInstant {
    "2019-03-30T12:00:00.000Z".parse().unwrap()
}

fn read_registers() -> Request {
    Request::new(id(), Srv::new(4, 1, 1)).with_body(Element::sr("ReadInstantaneousImportRegisters"))
}

fn signed_response() -> (SignedHeader, SignedBody) {
    let register = Element::ra("ActiveImportRegister")
        .with_leaf("Value", "12345678")
        .with_leaf("ActiveEnergyUnit", "Wh");
    let payload = Element::ra("ReadInstantaneousImportRegistersRsp")
        .with_attribute("MessageSuccess", "true")
        .with(Element::ra("Electricity").with(register));
    (
        SignedHeader::answering(&read_registers(), at()),
        SignedBody::Response {
            payload: Some(payload),
            debug: None,
        },
    )
}

fn refusal() -> (SignedHeader, SignedBody) {
    let entry = Element::ra("SMETS1Response")
        .with_attribute("ResponseCode", "1")
        .with_attribute("Position", "1")
        .with_leaf("Error", "supply & meter < ready >");
    let debug = Element::ra("DebugInfo").with(Element::ra("SMETS1Debug").with(entry));
    let payload = Element::ra("EnableSupplyRsp").with_attribute("MessageSuccess", "false");
    let header = SignedHeader {
        message_code: Some("0027".to_owned()),
        from_gsme: Some(true),
        clock_status: Some("unreliable".to_owned()),
        supplementary_remote_party: Some(USER),
        supplementary_remote_party_counter: Some(u64::MAX),
        supplementary_originator_counter: Some(0),
        ..signed_response().0
    };
    (
        header,
        SignedBody::Response {
            payload: Some(payload),
            debug: Some(debug),
        },
    )
}

fn alert() -> (SignedHeader, SignedBody) {
    let alert = DeviceAlert {
        code: Some(0x8F1D),
        description: Some("power lost".to_owned()),
        at: at(),
        payload: None,
    };
    let header = SignedHeader {
        at: Some(at()),
        ..SignedHeader::new(DEVICE, USER, 5000)
    };
    (header, SignedBody::Alert(alert))
}

fn s1sp_alert() -> S1spAlert {
    S1spAlert {
        schema_version: Request::SCHEMA_VERSION.to_owned(),
        request_id: Some(id()),
        device: Some(DEVICE),
        code: "LAB-TOKEN".to_owned(),
        information: Some("minted".to_owned()),
        utrn: Some("73946144332040217315".to_owned()),
        at: at(),
    }
}

fn inventory() -> Element {
    let device = |id: &str, kind: &str, model: &str| {
        Element::sr("Device")
            .with_leaf("DeviceID", id)
            .with_leaf("DeviceType", kind)
            .with_leaf("DeviceStatus", "Commissioned")
            .with_leaf("DeviceManufacturer", "TEST")
            .with_leaf("DeviceModel", model)
            .with_leaf("SMETSCHTSVersion", "SMETS1")
            .with_leaf("DeviceFirmwareVersion", "00000001")
            .with_leaf("CSPRegion", "SMETS1")
            .with_leaf("S1SP", "LAB-S1SP")
    };
    Element::sr("DSPInventory").with_all([
        device("00-DB-12-34-56-78-90-A1", "CHF", "00010001"),
        device("00-DB-12-34-56-78-90-A0", "ESME", "00010002"),
    ])
}

/// Every kind of message, by name; parts of an S1SP signed with `own`.
fn messages(own: &Own) -> Vec<(&'static str, Vec<u8>)> {
    let written = |(header, body): (SignedHeader, SignedBody)| write::smets1_signed_response(&header, &body).unwrap();
    let signed = |part| sign(&written(part), &own.key).unwrap();
    let srv = Srv::new(4, 1, 1);
    let answer = ResponseHeader::answering(id(), ResponseCode::I0, at());
    let alert_header = ResponseHeader::alert(
        RequestId {
            originator: DCC,
            target: USER,
            counter: 7000,
        },
        at(),
    );
    let alert_part = sign(&write::s1sp_alert(&s1sp_alert()).unwrap(), &own.key).unwrap();
    let status = Element::sr("FirmwareDistributionFailure");
    assert!(write::dcc_alert(&alert_header, DccAlertCode::N55, None, &status).is_err());
    let failure = Element::sr("CommandFailure")
        .with_leaf("CommandRequestID", id().to_string())
        .with_leaf("DeviceID", DEVICE.to_string());
    let n12 = DccAlertCode::new("N12").unwrap();
    let refused = ResponseHeader::replying(id(), ResponseCode::new("E4").unwrap(), at());
    let own_result = ResponseHeader::replying(id(), ResponseCode::I0, at());
    let acknowledged = ResponseHeader::replying(id(), ResponseCode::I99, at());
    vec![
        ("request", write::request(&read_registers()).unwrap()),
        ("acknowledgement", write::response(&acknowledged, srv, None).unwrap()),
        ("refusal", write::response(&refused, srv, None).unwrap()),
        (
            "inventory",
            write::response(&own_result, Srv::new(8, 2, 0), Some(&inventory())).unwrap(),
        ),
        (
            "smets1_response",
            write::smets1_response(&answer, Some(srv), None, None, &signed(signed_response())).unwrap(),
        ),
        (
            "smets1_failure",
            write::smets1_response(&answer, Some(srv), Some(17), None, &signed(refusal())).unwrap(),
        ),
        (
            "device_alert",
            write::smets1_response(&alert_header, None, None, None, &signed(alert())).unwrap(),
        ),
        (
            "s1sp_alert",
            write::dcc_s1sp_alert(&alert_header, None, None, &alert_part).unwrap(),
        ),
        (
            "dcc_alert",
            write::dcc_alert(&alert_header, n12, None, &failure).unwrap(),
        ),
        ("signed_part", signed(signed_response())),
        ("signed_alert", alert_part),
    ]
}

/// Signature and digest values differ in every run.
fn without_values(xml: &[u8]) -> String {
    let mut text = String::from_utf8(xml.to_vec()).unwrap();
    for name in ["ds:DigestValue", "ds:SignatureValue"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts: Vec<String> = text.split(&open).map(str::to_owned).collect();
        text = parts
            .iter()
            .enumerate()
            .map(|(at, part)| match (at, part.split_once(&close)) {
                (0, _) | (_, None) => part.clone(),
                (_, Some((_, rest))) => format!("{open}…{close}{rest}"),
            })
            .collect();
    }
    text.replace("><", ">\n<")
}

fn own() -> Own {
    Own::new("90-B3-D5-1F-30-00-00-51", &[0x12, 0x34])
}

#[test]
fn written_messages_look_as_before() {
    for (name, xml) in messages(&own()) {
        insta::assert_snapshot!(name, without_values(&xml));
    }
}

#[test]
fn written_messages_pass_both_versions_here_and_elsewhere() {
    let written = messages(&own());
    for (name, xml) in &written {
        for version in [Version::V5_1, Version::V5_4] {
            assert!(
                check_against(xml, version, &Limits::DEFAULT).is_ok(),
                "{name} in {version:?}"
            );
        }
    }
    let Some(folder) = shared("the real schemas") else {
        return;
    };
    for version in ["5.1", "5.4"] {
        let oracle = Oracle::new(&folder, version);
        for (name, xml) in &written {
            assert_eq!(oracle.judge(xml), Vec::<String>::new(), "{name} in {version}");
        }
    }
}

#[test]
fn what_is_written_reads_as_the_same_values() {
    let own = own();
    for (header, body) in [signed_response(), refusal(), alert()] {
        let part = sign(&write::smets1_signed_response(&header, &body).unwrap(), &own.key).unwrap();
        let expected = SignedResponse {
            schema_version: Request::SCHEMA_VERSION.to_owned(),
            header,
            body,
        };
        assert_eq!(duis::read_signed_response(&part).as_ref(), Ok(&expected));
        let outer = ResponseHeader::answering(id(), ResponseCode::I0, at());
        let xml = write::smets1_response(&outer, None, Some(9), None, &part).unwrap();
        let response = duis::read_response(&sign(&xml, &own.key).unwrap()).unwrap();
        let Response {
            header,
            body:
                ResponseBody::Smets1 {
                    signed,
                    content,
                    schedule_id: Some(9),
                    ..
                },
        } = response
        else {
            panic!("a SMETS1 response")
        };
        assert_eq!((header, content), (outer, expected));
        assert!(verify(&signed, own.key.certificate()).is_ok());
        let root = part.iter().position(|b| *b == b'\n').unwrap() + 1;
        assert_eq!(
            String::from_utf8(signed),
            String::from_utf8(part[root..].to_vec()),
            "octets unchanged"
        );
    }
    let part = sign(&write::s1sp_alert(&s1sp_alert()).unwrap(), &own.key).unwrap();
    assert_eq!(duis::read_s1sp_alert(&part), Ok(s1sp_alert()));
    let header = ResponseHeader::alert(id(), at());
    let xml = write::dcc_s1sp_alert(&header, Some(3), None, &part).unwrap();
    let ResponseBody::DccAlert {
        code: DccAlertCode::N55,
        throttled: None,
        alert,
    } = duis::read_response(&xml).unwrap().body
    else {
        panic!("N55")
    };
    let DccAlert::S1sp {
        signed,
        content,
        schedule_id: Some(3),
    } = alert
    else {
        panic!("an alert of an S1SP")
    };
    assert_eq!(content, s1sp_alert());
    assert!(verify(&signed, own.key.certificate()).is_ok());
}

#[test]
fn a_part_that_leans_on_outer_declarations_is_cut_out_with_them() {
    let own = own();
    let (header, body) = signed_response();
    let part = sign(&write::smets1_signed_response(&header, &body).unwrap(), &own.key).unwrap();
    let outer = ResponseHeader::answering(id(), ResponseCode::I0, at());
    let xml = String::from_utf8(write::smets1_response(&outer, None, None, None, &part).unwrap()).unwrap();
    // Some tools drop the declarations of the inner root, which the outer one repeats.
    let from = xml.find("<sr:SMETS1SignedResponse").unwrap();
    let bare = format!(
        "{}<sr:SMETS1SignedResponse{}",
        &xml[..from],
        xml[from..].split_once("ResponseAndAlert\"").unwrap().1
    );
    let ResponseBody::Smets1 { signed, .. } = duis::read_response(bare.as_bytes()).unwrap().body else {
        panic!("a SMETS1 response")
    };
    assert_eq!(
        verify(&signed, own.key.certificate()).map(|signer| signer.eui),
        Ok(own.key.certificate().eui())
    );
}

#[test]
fn what_the_table_does_not_know_is_not_written() {
    let fault = |result: Result<Vec<u8>, WriteError>| match result {
        Err(WriteError::Structure { problem, .. } | WriteError::Signed(problem)) => (problem.kind, problem.path),
        other => panic!("{other:?}"),
    };
    let request = read_registers().with_body(Element::sr("ReadEverything"));
    assert_eq!(
        fault(write::request(&request)),
        (ReadErrorKind::UnexpectedElement, "/sr:Request/sr:Body".to_owned())
    );
    let request = read_registers().with_command_variant(10);
    let path = "/sr:Request/sr:Header/sr:CommandVariant";
    assert_eq!(fault(write::request(&request)), (ReadErrorKind::Value, path.to_owned()));
    let alert = S1spAlert {
        utrn: Some("123".to_owned()),
        ..s1sp_alert()
    };
    assert_eq!(
        fault(write::s1sp_alert(&alert)),
        (ReadErrorKind::Value, "/sr:S1SPAlert/sr:UTRN".to_owned())
    );
    let (header, body) = signed_response();
    let unsigned = write::smets1_signed_response(&header, &body).unwrap();
    let outer = ResponseHeader::answering(id(), ResponseCode::I0, at());
    let wrapped = write::smets1_response(&outer, None, None, None, &unsigned);
    assert_eq!(
        fault(wrapped).0,
        ReadErrorKind::MissingElement,
        "an unsigned part is not carried"
    );
    let control = S1spAlert {
        information: Some("bell \u{7}".to_owned()),
        ..s1sp_alert()
    };
    assert_eq!(fault(write::s1sp_alert(&control)).0, ReadErrorKind::Value);
}
