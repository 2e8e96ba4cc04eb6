//! The digest and the plain-text view of the tape.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use domain::{Eui64, Seed, SimDuration, SimInstant};
use proto::{
    ApprovalReply, Countersigned, CountersignedServiceRequest, DuisRequest, Envelope, Kind, Message, S1spResponse,
    TargetFacts, WanData, approval_reply,
};
use world::tape::{self, canonical_xml};
use world::{Digest, Tape, TapeRecord, Verdict, World};

/// Everything that one request leaves on a tape, with these values of what is left out of digests.
fn messages(value: &str, secret: u8) -> Vec<(Kind, Vec<u8>)> {
    let xml = format!(
        "<?xml version=\"1.0\"?><sr:Request xmlns:sr=\"x\"><sr:ServiceReferenceVariant>7.4</sr:ServiceReferenceVariant>\
         <ds:DigestValue>{secret}</ds:DigestValue><ds:SignatureValue Id=\"s\">{secret}</ds:SignatureValue>\
         <ds:X509SerialNumber>12</ds:X509SerialNumber><sr:Value>{value}</sr:Value></sr:Request>"
    );
    let target = TargetFacts {
        device: 1,
        device_kind: "ESME".into(),
        hub: 2,
        credentials: None,
        for_network_operator: false,
    };
    let inner = Countersigned {
        request_xml: xml.clone().into(),
        target: Some(target),
        ..Countersigned::default()
    };
    let countersigned = CountersignedServiceRequest {
        countersigned: inner.encode_to_vec().into(),
        signer_serial: "12".into(),
        signature: vec![secret; 64].into(),
    };
    let mut approval = vec![7; 37];
    approval.extend([secret; 16]);
    let approval = approval_reply::Result::Approval(approval.into());
    let response = S1spResponse {
        request_id: "r".into(),
        signed_response_xml: xml.clone().into(),
        response_code: "I0".into(),
        ..S1spResponse::default()
    };
    let wan = WanData {
        hub: 2,
        session: 1,
        payload: vec![secret; 20].into(),
        ..WanData::default()
    };
    vec![
        (
            Kind::DuisRequest,
            DuisRequest {
                path: "/p".into(),
                xml: xml.into(),
            }
            .encode_to_vec(),
        ),
        (Kind::CountersignedRequest, countersigned.encode_to_vec()),
        (
            Kind::ApprovalReply,
            ApprovalReply { result: Some(approval) }.encode_to_vec(),
        ),
        (Kind::WanData, wan.encode_to_vec()),
        (Kind::S1spResponse, response.encode_to_vec()),
    ]
}

fn world_with(tape: Tape, messages: &[(Kind, Vec<u8>)]) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World {
            tape,
            ..World::virtual_at(SimInstant(1_553_904_000_000), Seed::root(1))
        };
        let (left, _right) = world.link("dcc", "s1sp");
        for (kind, body) in messages {
            let envelope = Envelope {
                trace_id: "r".into(),
                ..Envelope::default()
            };
            left.send(envelope, *kind, body).await.unwrap();
        }
        world
    })
}

fn digest_of(value: &str, secret: u8) -> Digest {
    world_with(Tape::default(), &messages(value, secret)).tape.digest()
}

#[test]
fn signatures_do_not_count_and_values_do() {
    assert_eq!(digest_of("1", 5), digest_of("1", 6));
    assert_ne!(digest_of("1", 5), digest_of("2", 5));
}

#[test]
fn a_short_tape_has_the_digest_of_the_whole_one() {
    let messages = messages("1", 5);
    let whole = world_with(Tape::default(), &messages).tape;
    let mut shuffled = whole.records();
    shuffled.reverse();
    assert_eq!(tape::digest(&shuffled), whole.digest());
    for keep in [0, 2, 100] {
        let short = world_with(Tape::keeping(keep), &messages).tape;
        assert_eq!(short.digest(), whole.digest());
        assert_eq!(
            (short.records().len(), short.recorded()),
            (keep.min(messages.len()), messages.len() as u64)
        );
    }
}

#[test]
fn every_octet_of_an_envelope_that_is_not_left_out_counts() {
    let records = world_with(Tape::default(), &messages("1", 5)).tape.records();
    let whole = tape::digest(&records);
    assert_ne!(whole, tape::digest(&records[1..]));
    let mut other = records.clone();
    other[0].world = 1;
    assert_ne!(whole, tape::digest(&other));
    let mut other = records;
    other[0].octets = vec![0xFF; 3].into();
    assert_ne!(
        whole,
        tape::digest(&other),
        "octets that are no envelope count as they are"
    );
}

#[test]
fn records_keep_their_digest_through_a_file() {
    let mut records = world_with(Tape::default(), &messages("1", 5)).tape.records();
    let verdicts = [
        Verdict::Drop,
        Verdict::Delay(SimDuration::from_millis(7)),
        Verdict::Duplicate,
        Verdict::Replace,
    ];
    records
        .iter_mut()
        .zip(verdicts)
        .for_each(|(record, verdict)| record.verdict = verdict);
    let mut file = Vec::new();
    records
        .iter()
        .for_each(|record| record.to_message().encode_length_delimited(&mut file).unwrap());
    let mut rest = file.as_slice();
    let mut back = Vec::new();
    while !rest.is_empty() {
        let message = proto::TapeRecord::decode_length_delimited(&mut rest).unwrap();
        back.push(TapeRecord::from_message(message).unwrap());
    }
    assert_eq!(format!("{back:?}"), format!("{records:?}"));
    assert_eq!(tape::digest(&back), tape::digest(&records));
    let unknown = proto::TapeRecord {
        verdict: 9,
        ..records[0].to_message()
    };
    assert!(TapeRecord::from_message(unknown).is_err());
}

#[test]
fn only_the_text_of_signature_elements_goes() {
    let check =
        |xml: &str, expected: &str| assert_eq!(String::from_utf8(canonical_xml(xml.as_bytes())).unwrap(), expected);
    check(
        "<a><DigestValue>x</DigestValue>y</a>",
        "<a><DigestValue></DigestValue>y</a>",
    );
    check(
        "<ds:SignatureValue Id=\"i\">\nx\n</ds:SignatureValue>",
        "<ds:SignatureValue Id=\"i\"></ds:SignatureValue>",
    );
    check("<ds:X509Certificate/>kept", "<ds:X509Certificate/>kept");
    check(
        "<ds:X509SerialNumber>1</ds:X509SerialNumber>",
        "<ds:X509SerialNumber>1</ds:X509SerialNumber>",
    );
    check("<DigestValues>x</DigestValues>", "<DigestValues>x</DigestValues>");
    check("no xml < at all", "no xml < at all");
    check("<ds:DigestValue>cut", "<ds:DigestValue>");
    check("", "");
}

#[test]
fn the_view_has_one_line_per_record_without_values() {
    let tape = world_with(Tape::default(), &messages("secret-value", 5)).tape;
    let lines: Vec<_> = tape.records().iter().map(tape::line).collect();
    assert_eq!(
        lines.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "2019-03-30T00:00:00.000Z w0 dcc>s1sp duis-request r 306 pass /p Request 7.4",
            "2019-03-30T00:00:00.000Z w0 dcc>s1sp countersigned-request r 401 pass for ESME Request 7.4",
            "2019-03-30T00:00:00.000Z w0 dcc>s1sp approval-reply r 75 pass approved",
            &format!(
                "2019-03-30T00:00:00.000Z w0 dcc>s1sp wan-data r 53 pass {} connection 1 20 octets",
                Eui64(2)
            ),
            "2019-03-30T00:00:00.000Z w0 dcc>s1sp s1sp-response r 309 pass I0",
        ]
    );
    assert!(!lines.join(" ").contains("secret-value"));
}
