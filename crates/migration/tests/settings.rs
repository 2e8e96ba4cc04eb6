//! Settings are wholly in or not at all, and say where they are wrong.

use std::collections::BTreeMap;

use migration::Settings;
use migration::settings::{Class, Outcome, Stage};

/// A built-in file with one text in place of another.
fn changed(name: &str, from: &str, to: &str) -> String {
    let path = format!("{}/../../fixtures/migration/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a built-in file");
    assert!(text.contains(from), "{name} has {from:?}");
    text.replacen(from, to, 1)
}

fn refusal(name: &str, from: &str, to: &str) -> String {
    let files = BTreeMap::from([(name.to_owned(), changed(name, from, to))]);
    Settings::from_files(&files).expect_err("refused").to_string()
}

#[test]
fn the_built_in_files_are_good_and_have_the_sixty_codes() {
    let settings = Settings::builtin().expect("built-in settings");
    assert_eq!(settings.errors.iter().filter(|row| row.listed).count(), 60);
    assert_eq!(settings.reports.len(), 15);
    assert_eq!(settings.cohorts.len(), 7);
    let row = settings.errors.find(Stage::Secrets, "cannot-decrypt");
    assert_eq!(
        (row.id.as_str(), row.class, row.outcome),
        ("LAB-SD-01", Some(Class::FixSystem), Outcome::Retry)
    );
    assert_eq!(settings.errors.find(Stage::Rotation, "never-heard-of").id, "LAB-XT-99");
}

#[test]
fn a_file_of_the_users_replaces_one_and_the_rest_stays() {
    let text = changed("scaling.toml", "d_min = 100", "d_min = 7");
    let files = BTreeMap::from([("scaling.toml".to_owned(), text)]);
    let settings = Settings::from_files(&files).expect("good settings");
    assert_eq!(settings.scaling.d_min, 7);
    assert_eq!(settings.timers, Settings::builtin().expect("built-in settings").timers);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let refusals = [
        refusal("calendar.toml", "weeks_before = 2", "weeks_befor = 2"),
        refusal("calendar.toml", "\"Wednesday\"", "\"Wedensday\""),
        refusal(
            "errors.csv",
            "LAB-MA-02,Y,authorisation-file",
            "LAB-MA-02,Y,authorisation-fil",
        ),
        refusal("errors.csv", "id,listed", "id,listd"),
        refusal("errors.csv", "LAB-EX-KEY", "LAB-EX-KEYS"),
        refusal("retry.toml", "name = \"FATAL\"", "name = \"DEFER\""),
        refusal("validation.toml", "\"replay\"", "\"fuel-fits\""),
        refusal("validation.toml", ", \"replay\"", ""),
        refusal("columns.toml", "field = \"fuel\"", "field = \"full\""),
        refusal("reports.toml", "\"attempt_no\"", "\"attempt_nr\""),
        refusal("commissioning.toml", "request = \"8.4\"", "request = \"8.14.1\""),
        refusal("milestones.csv", "2019-03-15", "2019-02-30"),
    ];
    insta::assert_snapshot!(refusals.join("\n\n"));
    let files = BTreeMap::from([("scalling.toml".to_owned(), String::new())]);
    let error = Settings::from_files(&files).expect_err("no such file");
    assert_eq!(error.suggestion.as_deref(), Some("scaling.toml"));
}
