//! Demand commitments and requests: how many installations a supplier wants to migrate on which day.

use std::collections::BTreeMap;

use dmc::FileError;
use jiff::civil::Date;

use super::name::FileKind;
use crate::settings::{Columns, fields};
use crate::strict::{self, fault};

/// Days of one file at most.
const DAYS_MAX: usize = 1000;

/// Reads the days of a demand file.
///
/// # Errors
/// When it is not CSV of its columns, or names a day twice.
pub fn read(columns: &Columns, kind: FileKind, file: &str, text: &str) -> Result<BTreeMap<Date, u32>, FileError> {
    let headings = columns.form(kind.as_str()).headings_of(fields(kind.as_str()));
    let rows = strict::csv(file, text, &headings)?;
    if rows.len() > DAYS_MAX {
        return Err(fault(file, 0, format!("{} days, at most {DAYS_MAX}", rows.len())));
    }
    let mut days = BTreeMap::new();
    for row in rows {
        let day: Date = row.parse(file, 0, headings[0])?;
        if days.insert(day, row.parse(file, 1, headings[1])?).is_some() {
            return Err(fault(file, row.line, format!("{day} stands here twice")));
        }
    }
    Ok(days)
}

/// Writes a demand file.
#[must_use]
pub fn write(columns: &Columns, kind: FileKind, days: &BTreeMap<Date, u32>) -> String {
    let rows = days.iter().map(|(day, units)| vec![day.to_string(), units.to_string()]);
    columns.form(kind.as_str()).write(fields(kind.as_str()), rows)
}
