//! What people do about exceptions of a campaign at rest, and that it goes on from there.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::path::Path;

use migration::machine::State;
use migration::machine::operator::{CaseFilter, Operator};
use migration::settings::Owner;
use runs::campaign::{self, Deed, Options, Until, Which};

/// A street where one installation's files have a wrong shape once, and another's SMSO disagrees with its supplier.
fn campaign_file(folder: &Path) -> std::path::PathBuf {
    let estate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/estates/street.toml");
    let text = format!(
        "[campaign]\nname = \"queue\"\nsource = \"invented\"\nstart = \"2019-06-03T05:00:00Z\"\nuntil = \"2019-06-14\"\n\
         estate = \"{}\"\n\n[[authorisation]]\nweek = \"2019-06-10\"\nat = \"2019-06-04T09:00:00Z\"\n\n\
         [[fault]]\nerror = \"LAB-DV-03\"\nshare_percent = 60\nattempts = 1\n",
        estate.display()
    );
    let path = folder.join("queue.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn people_act_on_the_queue_between_two_days() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (campaign_file(folder.path()), folder.path().join("state"));
    let run = |resume, until| {
        let options = Options {
            state: Some(state.clone()),
            resume,
            until,
            ..Options::new(file.clone())
        };
        campaign::run(&options).unwrap()
    };
    run(false, Until::Day("2019-06-11".parse().unwrap()));
    let all = Which::default();
    let open = campaign::exceptions(&state, &all, false).unwrap();
    assert!(open.len() > 1, "{open:?}");
    assert!(open.iter().all(|one| one.case.record.code == "LAB-DV-03"), "{open:?}");
    assert!(
        open.iter()
            .all(|one| one.installation.as_ref().unwrap().1 == State::RetryWait),
        "{open:?}"
    );

    let ann = Operator {
        name: "ann".into(),
        role: Owner::Mcc,
    };
    let act = |which: &Which, word: &str, to, text| {
        let deed = Deed::read(word, to, text).unwrap();
        campaign::act(&state, &ann, which, &deed).unwrap()
    };
    // One, and then all of a code at once.
    let first = Which {
        numbers: vec![open[0].number],
        ..Which::default()
    };
    assert!(act(&first, "claim", None, None).iter().all(|(_, done)| done.is_ok()));
    let of_code = Which {
        filter: CaseFilter {
            code: Some("LAB-DV-03".into()),
            ..CaseFilter::default()
        },
        ..Which::default()
    };
    for (word, to, text) in [
        ("assign", Some("RP"), None),
        ("note", None, Some("the SMSO corrected it")),
        ("retry", None, None),
        ("resolve", None, Some("data corrected")),
    ] {
        let done = act(&of_code, word, to, text);
        assert_eq!(done.len(), open.len(), "{word}");
        assert!(done.iter().all(|(_, done)| done.is_ok()), "{word}: {done:?}");
    }
    assert!(
        campaign::exceptions(&state, &all, false).unwrap().is_empty(),
        "all are resolved"
    );
    let history = campaign::exceptions(&state, &first, true).unwrap();
    let words: Vec<&str> = history[0]
        .case
        .history
        .iter()
        .map(|(_, _, what)| what.as_str())
        .collect();
    assert_eq!(
        words,
        [
            "claimed",
            "assigned to RP",
            "noted: the SMSO corrected it",
            "retried",
            "resolved: data corrected"
        ]
    );
    assert!(history[0].text().contains("ann"), "{}", history[0].text());
    // What is over stays over; nothing is changed by what is refused.
    let refused = act(&first, "roll-back", None, None);
    assert!(refused[0].1.is_err(), "{refused:?}");

    let run = run(true, Until::End);
    let states: Vec<State> = run.campaign.installations().map(|known| known.state).collect();
    assert!(
        states.iter().all(|state| *state == State::Migrated),
        "{:?}",
        run.outcomes()
    );
}

#[test]
fn deeds_say_what_they_need() {
    let refused = |word, to, text| Deed::read(word, to, text).unwrap_err();
    assert!(refused("resolve", None, Some(" ")).contains("needs a reason"));
    assert!(refused("assign", None, None).contains("needs an owner"));
    assert!(refused("assign", Some("Bob"), None).contains("there are CP, DCO, MCC"));
    assert!(refused("decide", Some("Nowhere"), Some("x")).contains("no state"));
    assert!(refused("cliam", None, None).contains("there are assign, claim"));
    let folder = tempfile::tempdir().unwrap();
    let error = campaign::exceptions(folder.path(), &Which::default(), false).unwrap_err();
    assert!(error.to_string().contains("no journal of a campaign"), "{error}");
}
