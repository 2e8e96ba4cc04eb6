//! Rows of a user's own in the place of compiled-in ones: one test, since the tables are one per process.

use domain::Confidence;
use duis::{DccAlertCode, ResponseCode};
use steps::codes::AlertTrigger;
use steps::{Failure, Overlay, OverlayError, overlay};

const CLASSES: &str = "# From a document.\n\
    class\tblame\thop\thttp\tcode\talert\tlab_alert\tdebug\tconfidence\ttext\n\
    request-stale\tuser\tdcc\t200\tE48\t-\t-\t-\tspecified\tThe counter has been used\n";
const CODES: &str = "kind\tcode\tgroup\tpayload\ttrigger\tto\tconfidence\ttext\n\
    response\tE48\trepeat\t-\t-\t-\tspecified\tThe counter has been used\n\
    alert\tN25\t-\tUpdateHANDeviceLogResult\thub-log-updated\trequester\tspecified\tIt is in the log\n\
    alert\tN24\t-\tUpdateHANDeviceLogResult\thub-log-not-updated\trequester\tspecified\tIt is not in the log\n";

fn tables(text: &str) -> Result<(), OverlayError> {
    overlay(&[Overlay { name: "own.tsv", text }])
}

#[test]
fn rows_of_a_file_stand_in_the_place_of_compiled_in_ones() {
    // What does not fit is told with its place, and changes nothing.
    for (text, said) in [
        (
            CLASSES.replace("E48", "E9"),
            "own.tsv:3: column code: E9 is no response code of the schema",
        ),
        (
            CLASSES.replace("request-stale", "stale"),
            "own.tsv:3: column class: stale: \"stale\" is no class of failure",
        ),
        (
            CODES.replace("hub-log-not-updated", "-"),
            "own.tsv:0: column trigger: no code with a payload",
        ),
        (
            CODES.replace("\tconfidence", "\tsure"),
            "own.tsv:2: column confidence: missing",
        ),
    ] {
        let error = tables(&text).expect_err(&text).to_string();
        assert!(error.starts_with(said), "{error}");
    }
    let both = [CLASSES, CODES].map(|text| Overlay { name: "own.tsv", text });
    assert_eq!(overlay(&both), Ok(()));
    let stale = Failure::RequestStale.entry();
    assert_eq!(
        (stale.code, stale.confidence, stale.file),
        ("E48", Confidence::Specified, "own.tsv")
    );
    assert_eq!(Failure::RequestRepeated.entry().file, "errors.tsv");
    let code = steps::codes::response(ResponseCode::new("E48").expect("a code"));
    assert_eq!((code.text, code.file), ("The counter has been used", "own.tsv"));
    assert!(code.classes().any(|class| class == Failure::RequestStale));
    assert_eq!(AlertTrigger::HubLogUpdated.alert().code.as_str(), "N25");
    assert_eq!(AlertTrigger::HubLogNotUpdated.alert().code.as_str(), "N24");
    let listed: Vec<_> = steps::codes::alerts().iter().map(|facts| facts.code).collect();
    assert_eq!(
        listed,
        DccAlertCode::all().collect::<Vec<_>>(),
        "in the order of the schema"
    );
    assert_eq!(overlay(&both), Ok(()), "the same again");
    assert_eq!(overlay(&[]), Err(OverlayError::InUse));
}
