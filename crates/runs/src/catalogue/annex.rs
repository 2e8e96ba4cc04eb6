//! The annex of deviations that an owner of its text has: which of its clauses the catalogue models.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{CatalogueError, Said, Shelf, table, text};

/// Under this name a folder of profiles keeps the clauses of an annex that was imported into it.
const TRACKED: &str = "annex-a.csv";

impl Shelf {
    /// What an annex of deviations has that the catalogue does not: how many clauses are modelled, and which are not. Where
    /// folders of profiles are given, the last one keeps the clauses (their numbers, models and requests; nothing of their
    /// text), in place of those of an earlier import.
    ///
    /// # Errors
    /// A fault of the table: nothing of it is then kept. Or when the folder cannot be written.
    pub fn import_annex(&self, path: &Path) -> Result<Said, CatalogueError> {
        let clauses = self.clauses(path)?;
        let mut said = said(&clauses);
        if let Some(folder) = self.folders.last() {
            let kept = folder.join(TRACKED);
            write(&kept, &dmc::write_annex(&clauses))?;
            said.lines.push(format!("kept in {}", kept.display()));
        }
        Ok(said)
    }

    /// The clauses of a table, each with the rules that name it and are as sure as is asked for.
    fn clauses(&self, path: &Path) -> Result<Vec<dmc::Clause>, CatalogueError> {
        let mut clauses = dmc::read_annex(&self.catalogue, &path.display().to_string(), &text(path)?)?;
        let rules: Vec<&dmc::Rule> = self.sure(self.catalogue.profiles().flat_map(|profile| &profile.rules));
        for clause in &mut clauses {
            clause.rules.retain(|id| rules.iter().any(|rule| rule.id == *id));
        }
        Ok(clauses)
    }

    /// The clauses that folders of profiles keep, one line and one value for each folder that keeps any.
    ///
    /// # Errors
    /// A fault of such a list.
    pub(super) fn tracked(&self) -> Result<Vec<(String, Value)>, CatalogueError> {
        let kept = self.folders.iter().map(|folder| folder.join(TRACKED));
        kept.filter(|path| path.exists())
            .map(|path| {
                let said = said(&self.clauses(&path)?);
                let sum = said.lines.last().cloned().unwrap_or_default();
                let json = json!({ "file": path.display().to_string(), "modelled": said.json["modelled"], "not": said.json["not"] });
                Ok((format!("{}: {sum}", path.display()), json))
            })
            .collect()
    }
}

fn said(clauses: &[dmc::Clause]) -> Said {
    let modelled = clauses.iter().filter(|clause| !clause.rules.is_empty()).count();
    let mut lines = table(
        &["CLAUSE", "MODEL", "REQUEST", "RULES"],
        clauses.iter().map(|clause| {
            vec![
                clause.clause.clone(),
                clause.model.clone(),
                clause.request.clone(),
                if clause.rules.is_empty() {
                    "not modelled".into()
                } else {
                    clause.rules.join(",")
                },
            ]
        }),
    );
    lines.push(format!(
        "{} clauses: {modelled} modelled, {} not",
        clauses.len(),
        clauses.len() - modelled
    ));
    let rows = clauses.iter().map(|clause| {
        json!({
            "clause": clause.clause, "model": clause.model, "request": clause.request, "line": clause.line,
            "rules": clause.rules,
        })
    });
    Said {
        json: json!({ "clauses": rows.collect::<Value>(), "modelled": modelled, "not": clauses.len() - modelled }),
        lines,
        good: true,
    }
}

/// Writes a file that is there whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), CatalogueError> {
    let failed = |source| CatalogueError::Write {
        path: path.to_owned(),
        source,
    };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    std::fs::write(&aside, text).map_err(failed)?;
    std::fs::rename(&aside, path).map_err(failed)
}
