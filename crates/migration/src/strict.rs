//! Strict reading of the room's files: TOML without unknown keys, CSV with exactly the columns expected; every fault has its
//! file, its line and, where one is likely, a suggestion.

use std::fmt::Display;
use std::str::FromStr;

use dmc::FileError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

/// Octets of one file at most.
pub const FILE_MAX: usize = 64 << 20;

/// A fault in `file` at `line` (0 when it is about the file as a whole).
#[must_use]
pub fn fault(file: &str, line: usize, reason: impl Into<String>) -> FileError {
    FileError {
        file: file.to_owned(),
        line,
        reason: reason.into(),
        suggestion: None,
    }
}

/// A fault about a word that should have been one of `known`.
#[must_use]
pub fn unknown<'k>(
    file: &str,
    line: usize,
    what: &str,
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> FileError {
    let known: Vec<&str> = known.into_iter().collect();
    FileError {
        suggestion: nearest(word, known.iter().copied()),
        ..fault(
            file,
            line,
            format!("unknown {what} {word:?}, expected one of: {}", known.join(", ")),
        )
    }
}

/// Reads strict TOML.
///
/// # Errors
/// When the text is not TOML, lacks a key, or has an unknown one or a value of the wrong kind.
pub fn toml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| {
            1 + text.bytes().take(span.start).filter(|octet| *octet == b'\n').count()
        });
        let reason = error.message().to_owned();
        FileError {
            suggestion: suggestion(&reason),
            ..fault(file, line, reason)
        }
    })
}

/// The line of the last place where a word stands in quotes; 0 when it stands nowhere. For faults that show only after a
/// file was read: what is there twice is shown where it stands again.
#[must_use]
pub fn line_of(text: &str, word: &str) -> usize {
    let quoted = format!("\"{word}\"");
    text.rfind(&quoted).map_or(0, |at| {
        1 + text.bytes().take(at).filter(|octet| *octet == b'\n').count()
    })
}

/// One row of a CSV file: its line, and the values in the order of the columns that were asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Line in the file, from 1.
    pub line: usize,
    /// Values, trimmed.
    pub values: Vec<String>,
}

impl Row {
    /// The value of a column by its position; empty beyond the end.
    #[must_use]
    pub fn value(&self, column: usize) -> &str {
        self.values.get(column).map_or("", String::as_str)
    }

    /// A value that must be there and be one of its kind.
    ///
    /// # Errors
    /// With file and line.
    pub fn parse<T: FromStr<Err: Display>>(&self, file: &str, column: usize, heading: &str) -> Result<T, FileError> {
        let text = self.value(column);
        text.parse()
            .map_err(|error: T::Err| fault(file, self.line, format!("{heading}: {error}, found {text:?}")))
    }
}

/// Reads CSV (UTF-8, comma, RFC 4180 quoting, LF or CRLF) whose heading row has exactly `columns`, in any order. Rows come
/// with their values in the order of `columns`.
///
/// # Errors
/// When a column is missing, unknown or there twice, a row has another number of values, or it is no CSV.
pub fn csv(file: &str, text: &str, columns: &[&str]) -> Result<Vec<Row>, FileError> {
    if text.len() > FILE_MAX {
        return Err(fault(file, 0, format!("{} octets, at most {FILE_MAX}", text.len())));
    }
    if text.starts_with('\u{feff}') {
        return Err(fault(file, 1, "a byte order mark, which the form does not have"));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let no_csv = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        fault(file, usize::try_from(line).unwrap_or(0), format!("not CSV: {error}"))
    };
    let Some(headings) = records.next() else {
        return Err(fault(
            file,
            1,
            format!("no heading row, expected {}", columns.join(",")),
        ));
    };
    let headings = headings.map_err(no_csv)?;
    let positions = positions(file, &headings, columns)?;
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(no_csv)?;
        let line = record.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(0);
        if record.len() != headings.len() {
            return Err(fault(
                file,
                line,
                format!("{} values, expected {}", record.len(), headings.len()),
            ));
        }
        let values = positions.iter().map(|at| record.get(*at).unwrap_or("").to_owned());
        rows.push(Row {
            line,
            values: values.collect(),
        });
    }
    Ok(rows)
}

fn positions(file: &str, headings: &csv::StringRecord, columns: &[&str]) -> Result<Vec<usize>, FileError> {
    for (position, heading) in headings.iter().enumerate() {
        if !columns.contains(&heading) {
            return Err(unknown(file, 1, "column", heading, columns.iter().copied()));
        }
        if headings.iter().skip(position + 1).any(|other| other == heading) {
            return Err(fault(file, 1, format!("column {heading:?} stands here twice")));
        }
    }
    columns
        .iter()
        .map(|column| {
            headings
                .iter()
                .position(|heading| heading == *column)
                .ok_or_else(|| fault(file, 1, format!("no column {column:?}")))
        })
        .collect()
}

/// Writes CSV with LF line ends, quoting where RFC 4180 asks for it.
#[must_use]
pub fn write_csv<R, V>(headings: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = Vec<V>>,
    V: AsRef<str>,
{
    let mut out = String::new();
    write_row(&mut out, headings.iter().copied());
    for row in rows {
        write_row(&mut out, row.iter().map(AsRef::as_ref));
    }
    out
}

fn write_row<'v>(out: &mut String, values: impl Iterator<Item = &'v str>) {
    for (position, value) in values.enumerate() {
        if position > 0 {
            out.push(',');
        }
        if value.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&value.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(value);
        }
    }
    out.push('\n');
}

/// For serde: a value written as text.
pub(crate) fn from_text<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// `did you mean` for serde's "unknown field `x`, expected one of `a`, `b`".
fn suggestion(problem: &str) -> Option<String> {
    let rest = problem
        .strip_prefix("unknown field `")
        .or_else(|| problem.strip_prefix("unknown variant `"))?;
    let (wrong, rest) = rest.split_once('`')?;
    nearest(wrong, rest.split('`').skip(1).step_by(2))
}

/// The known word most like `word`, when it is like it at all.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned())
}
