//! Every rule of the catalogue does what it says: shown on a bench, and gone when nobody states the rule.
//!
//! `fixtures/dmc/rules.tsv` has the rows; `cargo xtask mutate-rules` prints what each comes to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use dmc::Catalogue;
use runs::{RowVerdict, rule_rows};

#[test]
fn every_rule_shows_and_does_not_without_it() {
    let mut faults = Vec::new();
    for row in rule_rows().unwrap() {
        let fault = match row.judge() {
            RowVerdict::Red(_) => continue,
            RowVerdict::NotRed => "shows the same without it".to_owned(),
            RowVerdict::Wrong(what) => what,
        };
        faults.push(format!("rules.tsv:{}: {} {fault}", row.line, row.rule));
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_kind_of_step_shows_in_a_row() {
    let catalogue = Catalogue::builtin().unwrap();
    let rows = rule_rows().unwrap();
    let rules = |kind: &str| -> BTreeSet<String> {
        let steps = catalogue.profiles().flat_map(|profile| &profile.s1sp);
        let of_kind = steps.filter(|step| step.effect.word() == kind);
        of_kind.map(|step| step.rule.clone()).collect()
    };
    for kind in dmc::STEP_KINDS {
        let stated = rules(kind.word);
        let shown = rows.iter().filter(|row| stated.contains(&row.rule));
        assert!(
            shown.count() > 0,
            "no row shows a rule of the kind {}: {stated:?}",
            kind.word
        );
    }
}

#[test]
fn every_rule_of_the_catalogue_has_a_row() {
    let catalogue = Catalogue::builtin().unwrap();
    let mut profiles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for profile in catalogue.profiles() {
        let stated = profile
            .rules
            .iter()
            .filter(|rule| !rule.settings.is_empty() || rule.side == dmc::Side::S1sp);
        for rule in stated {
            profiles
                .entry(rule.id.clone())
                .or_default()
                .insert(profile.id.to_string());
        }
    }
    let rows = rule_rows().unwrap();
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.rule.as_str()).collect();
    assert_eq!(shown.len(), rows.len(), "a rule has two rows");
    let missing: Vec<String> = profiles
        .iter()
        .filter(|(rule, _)| !shown.contains(rule.as_str()))
        .map(|(rule, profiles)| format!("{rule} of {}", profiles.iter().next().unwrap()))
        .collect();
    assert!(
        missing.is_empty(),
        "{} rules have no row\n{}",
        missing.len(),
        missing.join("\n")
    );
}
