//! EPCL and CPL as CSV. Sourced is only what an entry combines; the columns are ours.

use std::collections::BTreeMap;

use dmc::FileError;
use domain::DeviceKind;
use jiff::civil::Date;

use super::gates::{Combination, ListedModel, Lists};
use crate::settings::CohortSlug;
use crate::strict::{self, Row, fault};

/// One approved combination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpclEntry {
    /// Its id.
    pub id: String,
    /// Cohort.
    pub cohort: CohortSlug,
    /// What it approves.
    pub combination: Combination,
    /// When it was first added.
    pub first_added: Date,
    /// When it was removed.
    pub removed: Option<Date>,
    /// `SIT`, `DMCT`, `PPCT`.
    pub source: String,
    /// Number of the report it came in, with date.
    pub report: String,
    /// `approved`, `refused`.
    pub decision: String,
    /// Who decided.
    pub approved_by: String,
}

/// The lists as read from files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CsvLists {
    /// In the order of the file.
    pub epcl: Vec<EpclEntry>,
    /// Status by kind and model.
    pub cpl: BTreeMap<(DeviceKind, ListedModel), String>,
}

/// Columns of the EPCL.
pub const EPCL_COLUMNS: [&str; 21] = [
    "epcl_id",
    "cohort",
    "comms_provider",
    "esme_maker",
    "esme_model",
    "esme_fw",
    "gsme_maker",
    "gsme_model",
    "gsme_fw",
    "ch_maker",
    "ch_model",
    "ch_fw",
    "ppmid_maker",
    "ppmid_model",
    "ppmid_fw",
    "first_added",
    "removed",
    "source",
    "report",
    "decision",
    "approved_by",
];

/// Columns of the CPL.
pub const CPL_COLUMNS: [&str; 11] = [
    "cpl_id",
    "device_type",
    "maker",
    "model",
    "hw",
    "fw",
    "smets_version",
    "status",
    "image_sha256",
    "added",
    "changed",
];

impl CsvLists {
    /// Reads both lists. Each text comes with the name of its file.
    ///
    /// # Errors
    /// With file and line.
    pub fn read(epcl: (&str, &str), cpl: (&str, &str)) -> Result<Self, FileError> {
        let (file, text) = epcl;
        let mut lists = Self::default();
        for row in strict::csv(file, text, &EPCL_COLUMNS)? {
            let entry = entry(file, &row)?;
            if lists.epcl.iter().any(|other| other.id == entry.id) {
                return Err(fault(file, row.line, format!("entry {} stands here twice", entry.id)));
            }
            lists.epcl.push(entry);
        }
        let (file, text) = cpl;
        for row in strict::csv(file, text, &CPL_COLUMNS)? {
            let kind: DeviceKind = row.parse(file, 1, CPL_COLUMNS[1])?;
            let status = row.value(7);
            if !["Active", "Cancelled", "Expired", "Withdrawn"].contains(&status) {
                let known = ["Active", "Cancelled", "Expired", "Withdrawn"];
                return Err(strict::unknown(file, row.line, "status", status, known));
            }
            let model = ListedModel {
                manufacturer: row.value(2).to_owned(),
                model: row.value(3).to_owned(),
                firmware: row.value(5).to_owned(),
            };
            if lists.cpl.insert((kind, model), status.to_owned()).is_some() {
                return Err(fault(file, row.line, "this model stands here twice"));
            }
        }
        Ok(lists)
    }
}

impl Lists for CsvLists {
    fn epcl(&self, combination: &Combination, day: Date) -> Option<String> {
        let entry = self
            .epcl
            .iter()
            .find(|entry| entry.in_force(day) && entry.combination == *combination)?;
        Some(entry.id.clone())
    }

    fn cpl_active(&self, kind: DeviceKind, model: &ListedModel) -> bool {
        self.cpl
            .get(&(kind, model.clone()))
            .is_some_and(|status| status == "Active")
    }

    fn entry_facts(&self, epcl: &str) -> Option<(String, String)> {
        let entry = self.epcl.iter().find(|entry| entry.id == epcl)?;
        Some((entry.first_added.to_string(), entry.source.clone()))
    }

    fn upgrade_target(&self, combination: &Combination, day: Date) -> Option<(String, Combination)> {
        // The latest entry of the same hardware: later approvals carry later firmware.
        let entries = self.epcl.iter().filter(|entry| entry.in_force(day));
        let best = entries
            .filter(|entry| entry.combination.same_hardware(combination) && entry.combination != *combination)
            .max_by_key(|entry| (entry.first_added, std::cmp::Reverse(&entry.id)))?;
        Some((best.id.clone(), best.combination.clone()))
    }
}

impl EpclEntry {
    /// Approved, and on the list on a day.
    #[must_use]
    pub fn in_force(&self, day: Date) -> bool {
        self.decision == "approved" && self.first_added <= day && self.removed.is_none_or(|removed| day < removed)
    }
}

fn entry(file: &str, row: &Row) -> Result<EpclEntry, FileError> {
    let needed =
        |at: usize| model(row, at).ok_or_else(|| fault(file, row.line, format!("{} is empty", EPCL_COLUMNS[at])));
    Ok(EpclEntry {
        id: row.value(0).to_owned(),
        cohort: CohortSlug::new(row.value(1)),
        combination: Combination {
            provider: row.parse(file, 2, EPCL_COLUMNS[2])?,
            esme: needed(3)?,
            gsme: model(row, 6),
            hub: needed(9)?,
            ppmid: model(row, 12),
        },
        first_added: row.parse(file, 15, EPCL_COLUMNS[15])?,
        removed: match row.value(16) {
            "" => None,
            _ => Some(row.parse(file, 16, EPCL_COLUMNS[16])?),
        },
        source: row.value(17).to_owned(),
        report: row.value(18).to_owned(),
        decision: row.value(19).to_owned(),
        approved_by: row.value(20).to_owned(),
    })
}

/// The model in three columns from `at` on; none when they are empty.
fn model(row: &Row, at: usize) -> Option<ListedModel> {
    let value = |offset: usize| row.value(at + offset).to_owned();
    (!row.value(at).is_empty()).then(|| ListedModel {
        manufacturer: value(0),
        model: value(1),
        firmware: value(2),
    })
}
