//! `[[fault]]` of a campaign file: read strictly, and every error has a way to be made.

mod house;

use domain::Seed;
use house::{ACTIVE, facts, mpan};
use migration::Settings;
use migration::faults::{self, FaultRule, FaultTable, Way};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<FaultTable>,
}

fn read(text: &str) -> Result<Vec<FaultRule>, String> {
    let settings = Settings::builtin().expect("built-in settings");
    let file: File = migration::strict::toml("campaign.toml", text).map_err(|error| error.to_string())?;
    faults::check("campaign.toml", text, &file.fault, &settings).map_err(|error| error.to_string())
}

#[test]
fn every_error_of_the_table_has_a_way_to_be_made() {
    let settings = Settings::builtin().expect("built-in settings");
    for row in settings.errors.iter() {
        assert_eq!(faults::way(&row.id).is_some(), row.listed, "{}", row.id);
    }
}

#[test]
fn a_rule_is_about_the_points_cohort_and_share_it_names() {
    let text = format!(
        "[[fault]]\nerror = \"LAB-VI-01\"\nmpxn = [\"{}\"]\nattempts = 1\n\n\
         [[fault]]\nerror = \"LAB-LD-02\"\ncohort = \"ioc\"\nshare_percent = 30\n\
         from = \"2019-06-10T09:00:00Z\"\nuntil = \"2019-06-10T10:00:00Z\"\n",
        mpan(2)
    );
    let rules = read(&text).expect("good");
    let seed = Seed::root(1);
    let about = |rule: &FaultRule| (1..=1000).filter(|n| rule.is_about(&seed, &facts(*n, ACTIVE))).count();
    assert_eq!(
        (about(&rules[0]), rules[0].condition.as_str(), rules[0].attempts),
        (1, "wan-down", Some(1))
    );
    assert!(rules[0].is_about(&seed, &facts(2, ACTIVE)));
    assert!((250..350).contains(&about(&rules[1])), "{}", about(&rules[1]));
    let again = read(&text).expect("good");
    assert_eq!(about(&again[1]), about(&rules[1]), "the same seed, the same ones");
    let at = |text: &str| text.parse().expect("an instant");
    assert!(rules[1].holds_at(at("2019-06-10T09:00:00Z")) && !rules[1].holds_at(at("2019-06-10T10:00:00Z")));
    assert_eq!(faults::way(&rules[1].row.id), Some(Way::Links));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let first = "[[fault]]\nerror = \"LAB-VI-01\"\n\n[[fault]]\n";
    let wrong = |rest: &str| read(&format!("{first}{rest}")).expect_err("refused");
    insta::assert_snapshot!(
        [
            wrong("error = \"LAB-VI-10\""),
            wrong("error = \"LAB-XT-01\""),
            wrong("error = \"LAB-VI-01\"\ncondition = \"wan-dwn\""),
            wrong("error = \"LAB-VI-01\"\nmpxn = [\"12\", \"x\"]"),
            wrong("error = \"LAB-VI-01\"\ncohort = \"icc\""),
            wrong("error = \"LAB-VI-01\"\nshare_percent = 0"),
            wrong("error = \"LAB-VI-01\"\n\ntimes = 0"),
            wrong("error = \"LAB-VI-01\"\nfrom = \"Monday\""),
            wrong("error = \"LAB-VI-01\"\nfrom = \"2019-06-10T09:00:00Z\"\nuntil = \"2019-06-10T09:00:00Z\""),
            wrong("eror = \"LAB-VI-01\""),
        ]
        .join("\n")
    );
}
