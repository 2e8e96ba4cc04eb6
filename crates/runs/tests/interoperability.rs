//! The proof of interoperability: as told on the built-in estate, red where the policy breaks it, no story without its cast.

use lab::Config;
use runs::{Verdict, interoperability};

#[test]
fn two_suppliers_top_up_one_home_and_hand_it_over() {
    let run = interoperability::run(Config::default()).expect("run");
    let text = interoperability::text(&run.result);
    assert!(run.result.passed(), "{text}");
    for srv in ["2.2", "4.1.1", "4.18", "6.23", "6.24.1", "7.3"] {
        assert!(run.result.variants().contains(&srv), "{srv}: {text}");
    }
    assert!(text.contains("Sample Power and Gas takes over: works"), "{text}");
    assert!(text.contains("may not top up any more: refused with E4"), "{text}");
    let again = interoperability::run(Config::default()).expect("run");
    assert_eq!(again.result.digest, run.result.digest, "the same seed, the same story");
}

#[test]
fn the_story_turns_red_when_codes_are_kept_from_suppliers() {
    let mut config = Config::default();
    config.vending.utrn_alert = lab::config::UtrnAlert::Never;
    let run = interoperability::run(config).expect("run");
    assert!(!run.result.passed());
    let broken = run.result.checks.iter().find(|check| check.verdict == Verdict::Failed);
    assert_eq!(
        broken.map(|check| check.name.as_str()),
        Some("each top-up brings its supplier one code")
    );
}

#[test]
fn without_a_prepayment_home_there_is_no_story() {
    let mut config = Config::default();
    config.users.truncate(1);
    let error = interoperability::run(config).err().expect("no second supplier");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(cause.is_some_and(|text| text.contains("two suppliers")));
}
