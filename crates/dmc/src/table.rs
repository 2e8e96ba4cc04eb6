//! CSV tables with known columns: whole or not at all, every fault with its line.

use crate::error::{FileError, Place};

/// The rows of a table, each with its line.
pub struct Table {
    place: Place,
    columns: Vec<String>,
    rows: Vec<(usize, Vec<String>)>,
}

/// One row.
pub struct Row<'t> {
    table: &'t Table,
    line: usize,
    cells: &'t [String],
}

impl Table {
    /// Reads a table that has all `needed` columns and no others than those and `optional`, in any order.
    ///
    /// # Errors
    /// An unknown column with what may have been meant, a missing one, or what is no table.
    pub fn read(file: &str, text: &str, needed: &[&str], optional: &[&str]) -> Result<Self, FileError> {
        let table = Self::read_any(file, text)?;
        for column in &table.columns {
            let known = needed.iter().chain(optional).copied();
            if !known.clone().any(|name| name == column) {
                return Err(table.place.unknown("column", column, known));
            }
        }
        for column in needed {
            if !table.columns.iter().any(|name| name == column) {
                return Err(table.place.error(format!("there is no column {column:?}")));
            }
        }
        Ok(table)
    }

    /// Reads a table with whatever columns it has.
    pub(crate) fn read_any(file: &str, text: &str) -> Result<Self, FileError> {
        let place = |line| Place {
            file: file.into(),
            line,
        };
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let fault = |error: &csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            place(usize::try_from(line).unwrap_or(1)).error(format!("not a table: {error}"))
        };
        let columns: Vec<String> = reader
            .headers()
            .map_err(|error| fault(&error))?
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').to_owned())
            .collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| fault(&error))?;
            let line = record.position().map_or(1, csv::Position::line);
            rows.push((
                usize::try_from(line).unwrap_or(1),
                record.iter().map(str::to_owned).collect(),
            ));
        }
        Ok(Self {
            place: place(1),
            columns,
            rows,
        })
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row {
            table: self,
            line: *line,
            cells,
        })
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The first of these columns that the table has.
    pub(crate) fn column_like(&self, names: &[&str]) -> Option<&str> {
        let folded = |name: &str| name.to_lowercase().replace([' ', '_', '-'], "");
        let mut columns = self.columns.iter();
        let found = columns.find(|column| names.iter().any(|name| folded(column) == folded(name)));
        found.map(String::as_str)
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> FileError {
        self.place.error(reason)
    }
}

impl Row<'_> {
    /// Its line in the file, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The cell of a column; empty where the table has no such column.
    #[must_use]
    pub fn text(&self, column: &str) -> &str {
        let place = self.table.columns.iter().position(|name| name == column);
        place.and_then(|place| self.cells.get(place)).map_or("", String::as_str)
    }

    /// The cell of a column as a value.
    ///
    /// # Errors
    /// When it is none, with what was expected.
    pub fn parse<T: std::str::FromStr>(&self, column: &str) -> Result<T, FileError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(column);
        text.parse()
            .map_err(|error: T::Err| self.error(format!("{column}: {error}")))
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            line: self.line,
            ..self.table.place.clone()
        }
    }

    /// A fault of this row.
    #[must_use]
    pub fn error(&self, reason: impl Into<String>) -> FileError {
        self.place().error(reason)
    }

    /// A fault about a word that should have been one of `known`.
    #[must_use]
    pub fn unknown<'k>(&self, what: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> FileError {
        self.place().unknown(what, word, known)
    }
}
