//! Every rule of the catalogue does what it says: shown on a bench, and gone when nobody states the rule.
//!
//! `fixtures/dmc/rules.tsv` has the rows. Deleting a rule from the profiles makes its row fail: the mutation run.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use dmc::Catalogue;
use runs::Trial;

const ROWS: &str = include_str!("../../../fixtures/dmc/rules.tsv");

/// One row: what a profile shows because of a rule.
struct Row<'t> {
    line: usize,
    rule: &'t str,
    profile: &'t str,
    script: &'t str,
    says: &'t str,
    /// The plain device does the same: the rule then only says from where that is known.
    plain: bool,
}

fn rows() -> Vec<Row<'static>> {
    let lines = (1..)
        .zip(ROWS.lines())
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut lines = lines.peekable();
    let (_, head) = lines.next().unwrap();
    assert_eq!(head, "rule\tprofile\tscript\tsays");
    lines
        .map(|(line, text)| {
            let cells: Vec<&str> = text.split('\t').collect();
            let [rule, profile, script, says] = cells[..] else {
                panic!("rules.tsv:{line}: {} cells, expected 4", cells.len())
            };
            let plain = says.strip_prefix("= ");
            Row {
                line,
                rule,
                profile,
                script,
                says: plain.unwrap_or(says),
                plain: plain.is_some(),
            }
        })
        .collect()
}

/// What the script shows, or that the profile no longer loads or the script no longer runs: which is a difference too.
fn shown(catalogue: &Catalogue, row: &Row<'_>) -> String {
    let profile = match catalogue.find(row.profile) {
        Ok(profile) => profile,
        Err(near) => return format!("no profile {}: {near:?}", row.profile),
    };
    let tried = Trial::new(catalogue, profile).map_err(|error| error.to_string());
    let seen = tried.and_then(|mut trial| trial.run(row.script).map_err(|error| error.to_string()));
    seen.unwrap_or_else(|error| format!("error: {error}"))
}

/// Whether the profile says of each setting of the rule that it comes from it.
fn explained(catalogue: &Catalogue, row: &Row<'_>) -> bool {
    let Ok(profile) = catalogue.find(row.profile) else {
        return false;
    };
    let Some(rule) = profile.rule(row.rule) else {
        return false;
    };
    let settings = rule.settings.iter();
    settings
        .map(|(key, _)| profile.rule_of_setting(key))
        .all(|of| of.is_some_and(|of| of.id == row.rule))
}

#[test]
fn every_rule_shows_and_does_not_without_it() {
    let catalogue = Catalogue::builtin().unwrap();
    let mut faults = Vec::new();
    for row in rows() {
        let seen = shown(&catalogue, &row);
        if seen != row.says {
            faults.push(format!(
                "rules.tsv:{}: {} shows {seen:?}, expected {:?}",
                row.line, row.rule, row.says
            ));
            continue;
        }
        if !explained(&catalogue, &row) {
            faults.push(format!(
                "rules.tsv:{}: {} is not in force in {}",
                row.line, row.rule, row.profile
            ));
            continue;
        }
        // A row below whose rule nothing changes would prove nothing.
        let without = match Catalogue::builtin_without(&[row.rule]) {
            Ok(mutant) => {
                assert!(!explained(&mutant, &row), "{} is still there", row.rule);
                shown(&mutant, &row)
            }
            Err(error) => error.to_string(),
        };
        if row.plain != (without == seen) {
            let what = if row.plain { "another" } else { "the same" };
            faults.push(format!(
                "rules.tsv:{}: without {} it shows {what}: {without:?}",
                row.line, row.rule
            ));
        }
    }
    if let Ok(folder) = std::env::var("S1LAB_RULES_SEEN") {
        std::fs::write(folder, faults.join("\n")).unwrap();
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
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
    let shown: BTreeSet<&str> = rows().iter().map(|row| row.rule).collect();
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
