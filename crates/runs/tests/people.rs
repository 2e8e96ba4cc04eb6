//! Campaigns whose files say who lives in the homes that migrate.

use std::path::{Path, PathBuf};

use migration::invariants::Verdict;
use migration::machine::State;
use migration::machine::event::Event;
use runs::campaign::{self, Options};

/// A campaign with vulnerable customers and prepayment.
const PEOPLE: &str = "fixtures/campaigns/people/";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PEOPLE)
}

fn options(file: PathBuf, state: Option<&Path>) -> Options {
    Options {
        state: state.map(Path::to_owned),
        ..Options::new(file)
    }
}

#[test]
fn a_file_says_who_is_vulnerable_and_the_estate_who_pays_in_advance() {
    let run = campaign::run(&options(fixture().join("campaign.toml"), None)).unwrap();
    let campaign = &run.campaign;
    let known = |mpxn: &str| campaign.by_mpxn(mpxn.parse().unwrap()).unwrap();
    let vulnerable = known("9901000000008");
    assert!(vulnerable.facts.vulnerable);
    assert_eq!(vulnerable.attempt.number, 0, "{}", vulnerable.state);
    assert_ne!(vulnerable.state, State::Migrated, "Friday to Sunday are never theirs");
    let neighbour = known("9901000000026");
    assert!(!neighbour.facts.vulnerable);
    assert_eq!(neighbour.state, State::Migrated, "{:?}", run.outcomes());

    let prepaying = known("9902000000000");
    assert!(prepaying.facts.vulnerable && prepaying.facts.prepayment());
    assert_eq!(
        (prepaying.state, prepaying.attempt.number, prepaying.counted),
        (State::Migrated, 2, 0),
        "it waits for credit, which is nobody's failure: {:?}",
        run.outcomes()
    );
    let under_margin = run.entries.iter().filter(|entry| match &entry.event {
        Event::Failed { failure, .. } => failure.code == "LAB-DV-08" && entry.installation == Some(prepaying.id()),
        _ => false,
    });
    assert_eq!(under_margin.count(), 1);
    for (id, text, verdict) in run.invariants() {
        assert!(!matches!(verdict, Verdict::Violated(_)), "{id} {text}: {verdict:?}");
    }
}

#[test]
fn a_home_that_the_estate_does_not_have_is_refused_and_nothing_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (folder.path().join("campaign.toml"), folder.path().join("state"));
    let begin = |vulnerable: &str, fault: &str| {
        let text = format!(
            "[campaign]\nname = \"x\"\nsource = \"invented\"\nstart = \"2019-06-03T05:00:00Z\"\nuntil = \"2019-06-03\"\n\
             estate = \"{}\"\nvulnerable = [\n  \"{vulnerable}\",\n]\n\n[[fault]]\nerror = \"LAB-VI-01\"\nmpxn = [\"{fault}\"]\n",
            fixture().join("estate.toml").display()
        );
        std::fs::write(&file, text).unwrap();
        campaign::run(&options(file.clone(), Some(&state)))
    };
    let (known, unknown) = ("9901000000008", "9909999999999");
    let at_none = format!("{unknown} is at no installation of the estate");
    for (vulnerable, fault, line, words) in [
        (unknown, known, 8, at_none.as_str()),
        (known, unknown, 13, &at_none),
        ("home", known, 8, "home"),
    ] {
        let error = begin(vulnerable, fault).err().unwrap().to_string();
        let place = format!("{}:{line}: ", file.display());
        assert!(error.starts_with(&place) && error.contains(words), "{error}");
    }
    begin(known, known).unwrap();
}

#[test]
fn what_would_be_sent_after_the_end_is_refused_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("campaign.toml");
    for sent in ["authorisation", "demand"] {
        let text = format!(
            "[campaign]\nname = \"x\"\nsource = \"invented\"\nstart = \"2019-06-03T05:00:00Z\"\nuntil = \"2019-06-12\"\n\
             estate = \"{}\"\n\n[[{sent}]]\nweek = \"2019-06-17\"\nat = \"2019-06-13T09:00:00Z\"\n{}",
            fixture().join("estate.toml").display(),
            if sent == "demand" { "per_day = 1\n" } else { "" }
        );
        std::fs::write(&file, text).unwrap();
        let error = campaign::run(&options(file.clone(), None)).err().unwrap().to_string();
        let place = format!("{}:10: 2019-06-13T09:00:00.000Z is not in the campaign", file.display());
        assert!(error.starts_with(&place), "{error}");
    }
}
