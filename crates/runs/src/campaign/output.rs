//! What a campaign leaves: reports as CSV, one page, a verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use migration::invariants::{ALL, Evidence, Verdict};
use migration::machine::campaign::combination_text;
use migration::machine::model::Installation;
use migration::machine::{Campaign, State};
use migration::reports::{self, Inputs, TestEvidence};
use serde_json::json;

use super::{CampaignRun, Phase};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write {}", path.display())]
pub struct OutputError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: std::io::Error,
}

impl CampaignRun {
    /// What each invariant comes to: id, text, verdict.
    #[must_use]
    pub fn invariants(&self) -> Vec<(&'static str, &'static str, Verdict)> {
        let evidence = self.evidence();
        let each = ALL.iter();
        each.map(|invariant| (invariant.id, invariant.text, (invariant.check)(&evidence)))
            .collect()
    }

    /// Whether no invariant is violated, and nothing failed in the regression.
    #[must_use]
    pub fn passed(&self) -> bool {
        let all = self.invariants();
        let holds = all.iter().all(|(.., verdict)| !matches!(verdict, Verdict::Violated(_)));
        holds && !self.regression.failed()
    }

    /// What a run of a test phase shows: how each installation came through, and its regression.
    fn test_evidence(&self) -> Vec<TestEvidence> {
        let Some(phase) = self.file.phase.map(Phase::as_str) else {
            return Vec::new();
        };
        let label = self.campaign.signatures.label().map(|label| format!(" {label}"));
        let run = format!(
            "{} seed {} digest {}{}",
            self.file.name,
            self.file.seed,
            self.digest,
            label.unwrap_or_default()
        );
        let each = self.campaign.installations().map(|known| {
            let line = outcome_line(known);
            TestEvidence {
                run: run.clone(),
                phase: phase.to_owned(),
                combination: combination_text(&known.facts),
                installation_type: known.facts.installation_type().as_str().to_owned(),
                case: format!("migration of {}", known.id()),
                result: if known.state == State::Migrated {
                    "passed"
                } else {
                    "failed"
                }
                .to_owned(),
                sha256: TestEvidence::digest_of(&line),
            }
        });
        let mut evidence: Vec<TestEvidence> = each.collect();
        evidence.extend(self.regression.evidence(&run, phase));
        evidence
    }

    /// One line per installation: how it ended. Two runs of one seed agree on it, also when one was killed on the way.
    #[must_use]
    pub fn outcomes(&self) -> Vec<String> {
        let each = self.campaign.installations();
        each.map(outcome_line).collect()
    }

    /// The outcomes as their file has them: below a remark where the lab left out what it must not.
    fn outcomes_text(&self) -> String {
        let label = self.campaign.signatures.label().map(|label| format!("# {label}"));
        let lines: Vec<String> = label.into_iter().chain(self.outcomes()).collect();
        lines.join("\n") + "\n"
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            campaign: &self.campaign,
            entries: &self.entries,
            // A journal whose links do not hold could not be read to its end.
            broken_link: None,
            observations: &self.observations,
        }
    }

    /// Writes every report as CSV, `index.html` and `outcomes.txt` into a folder. Gives the files written.
    ///
    /// # Errors
    /// [`OutputError`]; what was written before stays.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, OutputError> {
        let fault = |path: &Path, cause| OutputError {
            path: path.to_owned(),
            cause,
        };
        std::fs::create_dir_all(folder).map_err(|cause| fault(folder, cause))?;
        let evidence = self.test_evidence();
        let inputs = Inputs {
            campaign: &self.campaign,
            lists: &*self.lists,
            entries: &self.entries,
            evidence: &evidence,
            now: self.now,
            supplier: None,
            cohort: None,
            installation: None,
        };
        let page = folder.join("index.html");
        let html = reports::page(&inputs, &self.evidence(), self.head)
            .map_err(|error| fault(&page, std::io::Error::other(error)))?;
        let mut files = vec![(page, html), (folder.join("outcomes.txt"), self.outcomes_text())];
        for table in reports::all(&inputs) {
            files.push((folder.join(table.form.file_name(None, None, self.now)), table.csv()));
        }
        let mut written = Vec::new();
        for (path, text) in files {
            std::fs::write(&path, text).map_err(|cause| fault(&path, cause))?;
            written.push(path);
        }
        Ok(written)
    }

    /// For the terminal: states, invariants.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{}: seed {}, {} world{}, {} installations, journal of {} records ends at {}",
            self.file.name,
            self.file.seed,
            self.worlds,
            if self.worlds == 1 { "" } else { "s" },
            self.campaign.installations().count(),
            self.head.0,
            self.now
        )];
        if let Some(label) = self.campaign.signatures.label() {
            lines.push(format!("{label}: digests that anybody could make stand in for them"));
        }
        for (state, count) in states(&self.campaign) {
            lines.push(format!("  {count:>7} {state}"));
        }
        let invariants = self.invariants();
        let all = invariants.len();
        let holds = invariants
            .iter()
            .filter(|(.., verdict)| *verdict == Verdict::Holds)
            .count();
        let unseen = invariants
            .iter()
            .filter(|(.., verdict)| *verdict == Verdict::NotObserved);
        let unseen: Vec<&str> = unseen.map(|(id, ..)| *id).collect();
        let unseen = if unseen.is_empty() {
            String::new()
        } else {
            format!("; not observed: {}", unseen.join(", "))
        };
        lines.push(format!("{holds} of {all} invariants hold{unseen}"));
        for (id, text, verdict) in invariants {
            if let Verdict::Violated(places) = verdict {
                lines.push(format!("  {id} VIOLATED ({text}): {}", places.join("; ")));
            }
        }
        if self.file.regression {
            let cells = &self.regression.cells;
            let passed = cells
                .iter()
                .filter(|cell| cell.verdict == crate::Verdict::Passed)
                .count();
            lines.push(format!("regression: {passed} of {} requests passed", cells.len()));
            let failed = cells.iter().filter(|cell| cell.verdict == crate::Verdict::Failed);
            lines.extend(failed.map(|cell| {
                format!(
                    "  {} at {} {}: expected {}, {}",
                    cell.srv, cell.device_kind, cell.device, cell.expected, cell.observed
                )
            }));
            let checks = self.regression.checks.iter();
            let failed = checks.filter(|check| check.verdict == crate::Verdict::Failed);
            lines.extend(failed.map(|check| format!("  {}: {}", check.name, check.detail)));
        }
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let invariants = self.invariants().into_iter().map(|(id, text, verdict)| {
            let (verdict, places) = match verdict {
                Verdict::Holds => ("holds", Vec::new()),
                Verdict::NotObserved => ("not-observed", Vec::new()),
                Verdict::Violated(places) => ("violated", places),
            };
            json!({ "id": id, "text": text, "verdict": verdict, "places": places })
        });
        let states: BTreeMap<&str, usize> = states(&self.campaign)
            .into_iter()
            .map(|(state, count)| (state.as_str(), count))
            .collect();
        json!({
            "name": self.file.name,
            "seed": self.file.seed,
            "signatures": self.campaign.signatures.as_str(),
            "worlds": self.worlds,
            "digest": self.digest.to_string(),
            "records": self.head.0,
            "ended": self.now.to_string(),
            "states": states,
            "invariants": invariants.collect::<Vec<_>>(),
            "regression": self.file.regression.then(|| json!({
                "cells": self.regression.cells,
                "checks": self.regression.checks,
            })),
            "passed": self.passed(),
        })
    }
}

fn outcome_line(known: &Installation) -> String {
    let code = known.last_failure.as_ref().map_or("", |failure| failure.code.as_str());
    let line = format!(
        "{} {} attempts {} {code}",
        known.id(),
        known.state,
        known.attempt.number
    );
    line.trim_end().to_owned()
}

fn states(campaign: &Campaign) -> BTreeMap<State, usize> {
    let mut states = BTreeMap::new();
    for known in campaign.installations() {
        *states.entry(known.state).or_default() += 1;
    }
    states
}
