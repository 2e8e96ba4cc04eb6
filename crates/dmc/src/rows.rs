//! Lists that owners of real data add beside the product lists: deployed products (DPL) and the clauses of an annex. Read
//! whole or not at all; profiles are named as the catalogue names them.

use std::collections::BTreeMap;

use domain::{Dmc, ProfileId};

use crate::catalogue::Catalogue;
use crate::error::{FileError, Place};
use crate::table::{Row, Table};

/// One row of a Deployed Products List.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DplEntry {
    /// The combination.
    pub dmc: Dmc,
    /// How many installations have it.
    pub count: u64,
}

/// One clause of an annex as its owner has it, and what the catalogue has of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clause {
    /// Its number.
    pub clause: String,
    /// The model it is about, in the words of the annex.
    pub model: String,
    /// The request it is about; empty for all.
    pub request: String,
    /// Line of the file.
    pub line: usize,
    /// Rules of the catalogue that name this clause.
    pub rules: Vec<String>,
}

/// Reads a DPL: columns `dmc` and `count`. Rows of one combination are added up.
///
/// # Errors
/// The first row that names a profile the catalogue does not have or says something that cannot be read, and for a list
/// without any installation.
pub fn read_dpl(catalogue: &Catalogue, file: &str, text: &str) -> Result<Vec<DplEntry>, FileError> {
    let table = Table::read(file, text, &["dmc", "count"], &[])?;
    let mut counts: BTreeMap<Dmc, u64> = BTreeMap::new();
    for row in table.rows() {
        let count: u64 = row.parse("count")?;
        *counts.entry(combination(catalogue, &row)?).or_default() += count;
    }
    counts.retain(|_, count| *count > 0);
    if counts.is_empty() {
        return Err(table.error("a DPL without any installation"));
    }
    Ok(counts.into_iter().map(|(dmc, count)| DplEntry { dmc, count }).collect())
}

/// Reads an annex of deviations: one column for the clause, and where there are any one for the model and one for the
/// service request. Nothing of its text is kept but these.
///
/// # Errors
/// A table without a clause column, a row without a clause, or a clause twice for one model and request.
pub fn read_annex(catalogue: &Catalogue, file: &str, text: &str) -> Result<Vec<Clause>, FileError> {
    let table = Table::read_any(file, text)?;
    let name = |names: &[&str]| table.column_like(names).map(str::to_owned);
    let clause = name(&["clause", "ref", "reference", "id"]).ok_or_else(|| {
        table.error("there is no column for the clause: name one \"clause\", \"ref\", \"reference\" or \"id\"")
    })?;
    let model = name(&["model", "device model"]).unwrap_or_default();
    let request = name(&["request", "srv", "service request", "service reference variant"]).unwrap_or_default();
    let mut seen = BTreeMap::new();
    let mut clauses = Vec::new();
    for row in table.rows() {
        let entry = Clause {
            clause: row.text(&clause).to_owned(),
            model: row.text(&model).to_owned(),
            request: row.text(&request).to_owned(),
            line: row.line(),
            rules: rules_of(catalogue, row.text(&clause)),
        };
        if entry.clause.is_empty() {
            return Err(row.error(format!("no {clause}")));
        }
        let key = (entry.clause.clone(), entry.model.clone(), entry.request.clone());
        if let Some(first) = seen.insert(key, row.line()) {
            return Err(row.error(format!("clause {} stands already in line {first}", entry.clause)));
        }
        clauses.push(entry);
    }
    Ok(clauses)
}

/// The clauses as a table that [`read_annex`] reads: number, model and request of each.
///
/// # Panics
/// Never: a table in memory takes all it is given.
#[must_use]
pub fn write_annex(clauses: &[Clause]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [["clause", "model", "request"]];
    let rows = clauses.iter().map(|of| [of.clause.as_str(), &of.model, &of.request]);
    for row in head.into_iter().chain(rows) {
        writer.write_record(row).expect("written to memory");
    }
    let octets = writer.into_inner().expect("written to memory");
    String::from_utf8(octets).expect("made of text")
}

/// The combinations to test so that they cover this share (hundredths) of what is deployed: the commonest first.
#[must_use]
pub fn select(deployed: &[DplEntry], cover_percent: u8) -> Vec<(DplEntry, f64)> {
    let total: u64 = deployed.iter().map(|entry| entry.count).sum();
    let mut sorted = deployed.to_vec();
    sorted.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.dmc.cmp(&b.dmc)));
    let mut covered = 0;
    let mut chosen = Vec::new();
    for entry in sorted {
        if total == 0 || covered * 100 >= u64::from(cover_percent) * total {
            break;
        }
        covered += entry.count;
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let share = covered as f64 * 100.0 / total as f64;
        chosen.push((entry, share));
    }
    chosen
}

pub(crate) fn combination(catalogue: &Catalogue, row: &Row<'_>) -> Result<Dmc, FileError> {
    let dmc: Dmc = row.parse("dmc")?;
    for (kind, id) in dmc.profiles() {
        let found = known(catalogue, &row.place(), &id.to_string())?;
        let of = catalogue.profile(&found).map(|profile| profile.kind);
        if of != Some(kind) {
            return Err(row.error(format!("{id} stands where a {kind} should stand")));
        }
    }
    Ok(dmc)
}

pub(crate) fn known(catalogue: &Catalogue, place: &Place, name: &str) -> Result<ProfileId, FileError> {
    catalogue
        .find(name)
        .map(|profile| profile.id.clone())
        .map_err(|near| FileError {
            suggestion: near,
            ..place.error(format!("there is no device profile {name}"))
        })
}

fn rules_of(catalogue: &Catalogue, clause: &str) -> Vec<String> {
    let mut rules: Vec<String> = catalogue
        .profiles()
        .flat_map(|profile| &profile.rules)
        .filter(|rule| rule.clause.as_deref() == Some(clause))
        .map(|rule| rule.id.clone())
        .collect();
    rules.sort();
    rules.dedup();
    rules
}
