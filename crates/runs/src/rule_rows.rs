//! Every rule of the catalogue does what it says: rows of a bench, run with the rule and with the rule deleted.
//!
//! `fixtures/dmc/rules.tsv` has a row for each rule: a profile, a script for [`Trial`](crate::Trial) and what its looks say.
//! A row proves its rule when it says something else once the rule is deleted; then it is *red*. Statements at the head of a
//! script may change the catalogue for both runs: `plain KEY = VALUE` (the plain device does otherwise; for rules that say
//! what the plain device does anyway) and `without RULE` (another rule stands in the way).

use dmc::{Catalogue, Otherwise};

use crate::trial::Trial;

/// What a profile shows because of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleRow {
    /// Line of the file, from 1.
    pub line: usize,
    /// The rule.
    pub rule: String,
    /// The profile.
    pub profile: String,
    /// What is done and looked at.
    pub script: String,
    /// What is seen.
    pub says: String,
}

/// What came of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowVerdict {
    /// With the rule deleted the row says something else: so.
    Red(String),
    /// With the rule deleted the row says the same: it proves nothing.
    NotRed,
    /// The row does not hold although the rule is there: what is wrong.
    Wrong(String),
}

/// All rows.
///
/// # Errors
/// A line that is no row, in words.
pub fn rows() -> Result<Vec<RuleRow>, String> {
    let lines = (1..).zip(ROWS.lines());
    let mut lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    match lines.next() {
        Some((_, "rule\tprofile\tscript\tsays")) => {}
        _ => return Err(format!("{FILE}: the head is not rule, profile, script, says")),
    }
    lines
        .map(|(line, text)| {
            let cells: Vec<&str> = text.split('\t').collect();
            let [rule, profile, script, says] = cells[..] else {
                return Err(format!("{FILE}:{line}: {} cells, expected 4", cells.len()));
            };
            Ok(RuleRow {
                line,
                rule: rule.to_owned(),
                profile: profile.to_owned(),
                script: script.to_owned(),
                says: says.to_owned(),
            })
        })
        .collect()
}

impl RuleRow {
    /// Runs the row with its rule and with the rule deleted.
    #[must_use]
    pub fn judge(&self) -> RowVerdict {
        let (otherwise, script) = self.ground();
        let catalogue = match Catalogue::builtin_otherwise(&otherwise) {
            Ok(catalogue) => catalogue,
            Err(error) => return RowVerdict::Wrong(error.to_string()),
        };
        let seen = self.seen(&catalogue, &script);
        if seen != self.says {
            return RowVerdict::Wrong(format!("shows {seen:?}, expected {:?}", self.says));
        }
        if !self.explained(&catalogue) {
            return RowVerdict::Wrong(format!("is not in force in {}", self.profile));
        }
        let without = match Catalogue::builtin_otherwise(&otherwise.without(&self.rule)) {
            Ok(mutant) if self.explained(&mutant) => return RowVerdict::Wrong("cannot be deleted".into()),
            Ok(mutant) => self.seen(&mutant, &script),
            Err(error) => error.to_string(),
        };
        if without == seen {
            RowVerdict::NotRed
        } else {
            RowVerdict::Red(without)
        }
    }

    /// What the head of the script changes about the catalogue, and the rest of the script.
    fn ground(&self) -> (Otherwise, String) {
        let mut otherwise = Otherwise::default();
        let mut rest = Vec::new();
        for statement in self.script.split(';').map(str::trim) {
            let plain = statement.strip_prefix("plain ").and_then(|pair| pair.split_once('='));
            if let Some((key, value)) = plain {
                otherwise = otherwise.plain(key.trim(), value.trim());
            } else if let Some(rule) = statement.strip_prefix("without ") {
                otherwise = otherwise.without(rule.trim());
            } else {
                rest.push(statement);
            }
        }
        (otherwise, rest.join("; "))
    }

    /// What the script shows, or that the profile no longer loads or the script no longer runs: which is a difference too.
    fn seen(&self, catalogue: &Catalogue, script: &str) -> String {
        let profile = match catalogue.find(&self.profile) {
            Ok(profile) => profile,
            Err(near) => return format!("no profile {}: {near:?}", self.profile),
        };
        let tried = Trial::new(catalogue, profile).map_err(|error| error.to_string());
        let seen = tried.and_then(|mut trial| trial.run(script).map_err(|error| error.to_string()));
        seen.unwrap_or_else(|error| format!("error: {error}"))
    }

    /// Whether the profile says of each setting of the rule that it comes from it.
    fn explained(&self, catalogue: &Catalogue) -> bool {
        let rule = catalogue
            .find(&self.profile)
            .ok()
            .and_then(|profile| Some((profile, profile.rule(&self.rule)?)));
        rule.is_some_and(|(profile, rule)| {
            let mut settings = rule.settings.iter();
            settings.all(|(key, _)| profile.rule_of_setting(key).is_some_and(|of| of.id == self.rule))
        })
    }
}

const FILE: &str = "fixtures/dmc/rules.tsv";
const ROWS: &str = include_str!("../../../fixtures/dmc/rules.tsv");
