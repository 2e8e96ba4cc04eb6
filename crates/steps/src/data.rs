//! Tab-separated tables compiled into the program, with errors that name the file, the line and the column.

use std::collections::BTreeMap;
use std::str::FromStr;

/// What is wrong with a table: file, line and column.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: column {column}: {reason}")]
pub struct TableError {
    file: &'static str,
    line: usize,
    column: String,
    reason: String,
}

impl TableError {
    /// Of a file as a whole.
    pub(crate) fn of_file(file: &'static str, column: &str, reason: String) -> Self {
        Self {
            file,
            line: 0,
            column: column.into(),
            reason,
        }
    }
}

/// One row by column names.
#[derive(Debug)]
pub(crate) struct Cells {
    file: &'static str,
    line: usize,
    cells: BTreeMap<&'static str, &'static str>,
}

impl Cells {
    /// All rows of a table: `#` starts a comment line, the first other line names the columns.
    pub(crate) fn rows(file: &'static str, text: &'static str) -> Result<Vec<Self>, TableError> {
        let mut header: Option<Vec<&'static str>> = None;
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let values: Vec<&'static str> = line.split('\t').collect();
            let Some(names) = &header else {
                header = Some(values);
                continue;
            };
            let row = Self {
                file,
                line: index + 1,
                cells: names.iter().copied().zip(values.iter().copied()).collect(),
            };
            if values.len() != names.len() {
                return Err(row.error("all", format!("{} cells where {} are named", values.len(), names.len())));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    pub(crate) fn error(&self, column: &str, reason: impl Into<String>) -> TableError {
        TableError {
            file: self.file,
            line: self.line,
            column: column.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn text(&self, column: &str) -> Result<&'static str, TableError> {
        self.cells
            .get(column)
            .copied()
            .ok_or_else(|| self.error(column, "missing"))
    }

    /// The cell, or none for `-`.
    pub(crate) fn optional(&self, column: &str) -> Result<Option<&'static str>, TableError> {
        Ok(Some(self.text(column)?).filter(|text| *text != "-"))
    }

    pub(crate) fn parse<T: FromStr>(&self, column: &str) -> Result<T, TableError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(column)?;
        text.parse()
            .map_err(|error| self.error(column, format!("{text}: {error}")))
    }

    pub(crate) fn choice<T: Clone>(&self, column: &str, choices: &[(&str, T)]) -> Result<T, TableError> {
        let text = self.text(column)?;
        choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.error(column, format!("unknown word {text}")))
    }

    /// Words separated by blanks, or none for `-`.
    pub(crate) fn list<T: FromStr>(&self, column: &str) -> Result<Vec<T>, TableError>
    where
        T::Err: std::fmt::Display,
    {
        let words = self.optional(column)?.unwrap_or_default().split_whitespace();
        words
            .map(|word| {
                word.parse()
                    .map_err(|error| self.error(column, format!("{word}: {error}")))
            })
            .collect()
    }

    /// Hexadecimal message codes separated by blanks, or none for `-`.
    pub(crate) fn codes(&self, column: &str) -> Result<Vec<u16>, TableError> {
        let words = self.optional(column)?.unwrap_or_default().split_whitespace();
        words
            .map(|word| u16::from_str_radix(word, 16).map_err(|error| self.error(column, format!("{word}: {error}"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_place() {
        let short = Cells::rows("t.tsv", "# note\na\tb\n1\n").unwrap_err();
        assert_eq!(short.to_string(), "t.tsv:3: column all: 1 cells where 2 are named");
        let rows = Cells::rows("t.tsv", "a\tb\nx\t0G\n").unwrap();
        assert_eq!(
            rows[0].parse::<u8>("a").unwrap_err().to_string(),
            "t.tsv:2: column a: x: invalid digit found in string"
        );
        assert!(rows[0].codes("b").is_err());
        assert!(rows[0].text("c").is_err());
    }
}
