//! A campaign without asymmetric signatures: the same messages come to the same end, altered ones are refused as ever, and
//! nothing that leaves it looks like the result of a run with signatures.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use migration::invariants::Verdict;
use migration::machine::event::Event;
use migration::reports::LAB_MODE;
use proto::{CampaignProgressReply, PointStatusReply};
use runs::campaign::{self, CampaignError, CampaignRun, Options, Progress, SignatureScheme, Status, Until};

const LABEL: &str = "WITHOUT ASYMMETRIC SIGNATURES";

/// A street of a few homes, in which the files of one are badly signed.
fn file(folder: &Path) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let text = std::fs::read_to_string(fixtures.join("campaigns/street.toml")).unwrap();
    let estate = fixtures.join("estates/street.toml").display().to_string();
    let text = text
        .replace("../estates/street.toml", &estate)
        .replace("twin = true", "phase = \"dormant-meter-readiness-test\"")
        .replace("error = \"LAB-VI-01\"", "error = \"LAB-DV-01\"");
    let file = folder.join("street.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn options(file: &Path, signatures: SignatureScheme) -> Options {
    Options {
        signatures,
        ..Options::new(file.to_owned())
    }
}

/// Every text that a run leaves, by name.
fn left(run: &CampaignRun, folder: &Path) -> Vec<(String, String)> {
    let written = run.write(folder).unwrap();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let files = written
        .iter()
        .map(|path| (name(path), std::fs::read_to_string(path).unwrap()));
    files.chain([("text".into(), run.text())]).collect()
}

#[test]
fn it_comes_to_the_same_end_and_says_in_every_result_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (signed, unsigned) = {
        let tell = Arc::clone(&told);
        let unsigned = Options {
            progress: Some(Arc::new(move |progress: &Progress| {
                tell.lock().unwrap().push(progress.clone())
            })),
            ..options(&file, SignatureScheme::None)
        };
        let run = |options| campaign::run(options).unwrap();
        (run(&options(&file, SignatureScheme::P256)), run(&unsigned))
    };

    // The same messages but for what signs them, the same refusal of the one that was altered, the same end.
    assert_eq!(unsigned.outcomes(), signed.outcomes());
    assert_eq!((unsigned.digest, unsigned.messages), (signed.digest, signed.messages));
    assert_eq!(unsigned.signatures, signed.signatures);
    let passed = |run: &CampaignRun| {
        let kinds = run.traffic.0.iter();
        kinds.map(|(kind, passed)| (*kind, passed.count)).collect::<Vec<_>>()
    };
    assert_eq!(passed(&unsigned), passed(&signed));
    for run in [&signed, &unsigned] {
        let codes = run.campaign.cases.values().map(|case| case.record.code.as_str());
        assert_eq!(codes.collect::<Vec<_>>(), ["LAB-DV-01"], "{:?}", run.outcomes());
    }
    for (id, text, verdict) in unsigned.invariants() {
        assert!(!matches!(verdict, Verdict::Violated(_)), "{id} {text}: {verdict:?}");
    }

    // The journal begins with it, so it is in all that is made of the journal.
    assert!(matches!(signed.entries[0].event, Event::Started { .. }));
    assert!(matches!(
        unsigned.entries[0].event,
        Event::StartedWithoutSignatures { .. }
    ));
    for (name, text) in left(&signed, &folder.path().join("signed")) {
        assert!(!text.contains(LABEL) && !text.contains(LAB_MODE), "{name}");
    }
    assert_eq!(signed.json()["signatures"], "p256");
    let texts = left(&unsigned, &folder.path().join("unsigned"));
    assert_eq!(texts.len(), 15 + 3);
    for (name, text) in &texts {
        if name.ends_with(".csv") {
            let mut lines = text.lines();
            assert!(lines.next().unwrap().ends_with(LAB_MODE), "{name}");
            assert!(lines.all(|line| line.ends_with(LABEL)), "{name}: {text}");
        } else {
            assert!(text.contains(LABEL), "{name}: {text}");
        }
    }
    let evidence = texts.iter().find(|(name, _)| name.starts_with("R15")).unwrap();
    let run_id = evidence.1.lines().nth(1).unwrap().split(',').next().unwrap();
    assert!(run_id.ends_with(LABEL), "the run itself is named so: {run_id}");
    assert_eq!(unsigned.json()["signatures"], "none");
    let told = told.lock().unwrap();
    assert!(!told.is_empty() && told.iter().all(|progress| progress.words().starts_with(LABEL)));
    assert_eq!(CampaignProgressReply::from(&told[0]).signatures, "none");
}

#[test]
fn it_goes_on_only_as_it_was_begun() {
    use SignatureScheme::{None as Unsigned, P256 as Signed};
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    for (begun, other) in [(Signed, Unsigned), (Unsigned, Signed)] {
        let state = folder.path().join(begun.as_str());
        let begin = Options {
            state: Some(state.clone()),
            until: Until::Day("2019-06-11".parse().unwrap()),
            ..options(&file, begun)
        };
        campaign::run(&begin).unwrap();
        let noted = std::fs::read_to_string(state.join("campaign.toml")).unwrap();
        assert!(noted.contains(&format!("signatures = \"{begun}\"")), "{noted}");
        let resume = |signatures| Options {
            state: Some(state.clone()),
            resume: true,
            ..options(&file, signatures)
        };
        let Err(refused) = campaign::run(&resume(other)) else {
            panic!("it went on with other signatures")
        };
        assert!(matches!(refused, CampaignError::OtherSignatures { .. }));
        assert!(
            refused.to_string().contains(&format!("--signatures {begun}")),
            "{refused}"
        );
        let whole = campaign::run(&resume(begun)).unwrap();
        assert_eq!(whole.campaign.signatures, begun);

        let status = campaign::status(&state, "9901000000008".parse().unwrap()).unwrap();
        assert_eq!(status.text().contains(LABEL), begun == Unsigned);
        assert_eq!(status.json()["signatures"], begun.as_str());
        assert_eq!(Status::try_from(&PointStatusReply::from(&status)).unwrap(), status);
    }
}
