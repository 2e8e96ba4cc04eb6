//! Bad input: one precise error each, never a panic.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use duis::signature::verify;
use duis::{Limits, ReadErrorKind, Version, check, check_against, salvage_header};
use proptest::prelude::*;

const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1">
  <sr:Header>
    <sr:RequestID>90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000</sr:RequestID>
    <sr:CommandVariant>1</sr:CommandVariant>
    <sr:ServiceReference>3.1</sr:ServiceReference>
    <sr:ServiceReferenceVariant>3.1</sr:ServiceReferenceVariant>
  </sr:Header>
  <sr:Body>
    <sr:DisplayMessage><sr:SupplierMessage>hello</sr:SupplierMessage></sr:DisplayMessage>
  </sr:Body>
</sr:Request>
"#;

/// Replaces `from` by `to` in a good request: the refusal as text.
fn refusal(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from:?} stands in the request");
    let error = duis::read_request(text.as_bytes()).expect_err("a refusal");
    assert_eq!(check(text.as_bytes()), Err(error.clone()), "read and check agree");
    format!("{:?}: {error}", error.kind)
}

#[test]
fn every_fault_names_kind_place_expected_and_found() {
    assert!(duis::read_request(GOOD.as_bytes()).is_ok());
    let cases = [
        ("<sr:Body>", "<sr:Body><!DOCTYPE a>"),
        ("<sr:Request ", "<!DOCTYPE r [<!ENTITY e \"v\">]><sr:Request "),
        ("hello", "&e;"),
        ("hello", "&#0;"),
        ("hello", "&#xD800;"),
        ("hello", "&lt"),
        ("hello", "]]>"),
        ("hello", "\u{1}"),
        ("hello", ""),
        ("hello", "h\u{e9}llo"),
        ("<sr:Body>", "<?php ?><sr:Body>"),
        ("<sr:Body>", "<!-- a -- b --><sr:Body>"),
        ("UTF-8", "ISO-8859-1"),
        ("1.0", "1.1"),
        ("</sr:Request>", "</sr:Request><sr:Request/>"),
        ("</sr:Request>", ""),
        ("</sr:Body>", "</sr:Bodie>"),
        ("<sr:Body>", "<x:Body>"),
        ("<sr:Body>", "<Body xmlns='urn:other'>"),
        ("<sr:Body>", "<sr:Body xmlns:sr=''>"),
        ("<sr:CommandVariant>1</sr:CommandVariant>", ""),
        ("<sr:CommandVariant>1<", "<sr:CommandVariant>0<"),
        (":1000<", ":01000<"),
        ("<sr:ServiceReference>3.1<", "<sr:ServiceReference>3.9<"),
        (" schemaVersion=\"5.1\"", ""),
        ("schemaVersion=\"5.1\"", "schemaVersion=\"five\""),
        ("schemaVersion=\"5.1\"", "schemaVersion=\"5.1\" schemaVersion=\"5.1\""),
        ("schemaVersion=\"5.1\"", "schemaVersion=\"5.1\" a=\"<\""),
        ("<sr:DisplayMessage>", "<sr:DisplayMessage x=\"1\">"),
        ("<sr:DisplayMessage>", "<sr:DisplayMessage>words"),
        ("</sr:DisplayMessage>", "</sr:DisplayMessage><sr:DisplayMessage/>"),
        ("<sr:Body>", "<sr:Trailer/><sr:Body>"),
        ("<sr:SupplierMessage>hello</sr:SupplierMessage>", ""),
        ("hello", "<sr:Deeper/>"),
    ];
    let report: Vec<String> = cases
        .iter()
        .map(|(from, to)| format!("{to:?}\n    {}", refusal(from, to)))
        .collect();
    insta::assert_snapshot!("refusals", report.join("\n"));
}

#[test]
fn other_documents_are_refused_at_the_root() {
    let kind = |xml: &[u8]| duis::read_request(xml).expect_err("a refusal").kind;
    assert_eq!(kind(b""), ReadErrorKind::Syntax);
    assert_eq!(kind(b"hello"), ReadErrorKind::Syntax);
    assert_eq!(kind(b"<a/>"), ReadErrorKind::UnexpectedElement);
    assert_eq!(kind(b"\xff\xfe<\0a\0"), ReadErrorKind::Encoding);
    let response = GOOD
        .replace("sr:Request ", "sr:Response ")
        .replace("/sr:Request>", "/sr:Response>");
    assert_eq!(kind(response.as_bytes()), ReadErrorKind::Root);
    assert_eq!(
        check(b"<a xmlns='http://www.w3.org/2000/09/xmldsig#'/>").map_err(|e| e.kind),
        Err(ReadErrorKind::Root)
    );
}

#[test]
fn limits_are_errors_that_name_them() {
    let kind = |xml: &str, limits: &Limits| check_against(xml.as_bytes(), Version::V5_4, limits).map_err(|e| e.kind);
    let small = Limits {
        octets: 100,
        ..Limits::DEFAULT
    };
    assert_eq!(kind(GOOD, &small), Err(ReadErrorKind::Limit));
    let short = Limits {
        text: 10,
        ..Limits::DEFAULT
    };
    assert_eq!(kind(GOOD, &short), Err(ReadErrorKind::Limit));
    let shallow = Limits {
        depth: 3,
        ..Limits::DEFAULT
    };
    assert_eq!(kind(GOOD, &shallow), Err(ReadErrorKind::Depth));
    let bare = Limits {
        attributes: 1,
        ..Limits::DEFAULT
    };
    assert_eq!(kind(GOOD, &bare), Err(ReadErrorKind::Limit));
    // Deep input of any size ends at the limit: a signature check meets it too.
    let deep = "<a>".repeat(100_000);
    let own = common::Own::new("90-B3-D5-1F-30-01-00-00", &[1]);
    let error = verify(deep.as_bytes(), own.key.certificate())
        .expect_err("a refusal")
        .to_string();
    assert_eq!(error, "read the signed document");
    let huge = vec![b' '; Limits::DEFAULT.octets + 1];
    assert_eq!(duis::read_request(&huge).map_err(|e| e.kind), Err(ReadErrorKind::Limit));
}

#[test]
fn a_refused_request_still_tells_who_asked() {
    let broken = GOOD.replace("hello", "&e;");
    let (id, srv) = salvage_header(broken.as_bytes());
    assert_eq!(id.map(|id| id.counter), Some(1000));
    assert_eq!(srv.map(|srv| srv.to_string()).as_deref(), Some("3.1"));
    assert_eq!(salvage_header(b"\xff"), (None, None));
}

proptest! {
    #[test]
    fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = duis::read_request(&octets);
        let _ = salvage_header(&octets);
    }

    #[test]
    fn broken_requests_never_panic(at in 0..GOOD.len(), cut in 0..20_usize, with in "[<>&;/:=\"'!?\\[\\]a-z \\-\u{e9}]{0,6}") {
        let mut text = GOOD.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.bytes());
        let _ = check(&text);
        let _ = duis::read_response(&text);
        let own_free = duis::signature::CertificateBook::new();
        let _ = verify(&text, &own_free);
    }

    /// Whatever we take for XML, another parser takes for XML too.
    #[test]
    fn we_accept_no_more_than_another_parser(at in 0..GOOD.len(), cut in 0..12_usize, with in "[<>&;/:=\"'a-z \\-]{0,4}") {
        let mut text = GOOD.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.bytes());
        if check(&text).is_ok() {
            let text = std::str::from_utf8(&text).unwrap();
            prop_assert!(roxmltree::Document::parse(text).is_ok(), "{}", text);
        }
    }
}
