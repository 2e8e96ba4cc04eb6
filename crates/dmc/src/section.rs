//! Strict reading of TOML tables: every key is known, every fault has its line.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{FileError, Place};

/// One file being read.
#[derive(Debug)]
pub(crate) struct SourceText<'t> {
    name: Arc<str>,
    text: &'t str,
    /// Where lines begin, but for the first.
    lines: Vec<usize>,
}

impl<'t> SourceText<'t> {
    pub(crate) fn new(name: &str, text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        Self {
            name: name.into(),
            text,
            lines: breaks.map(|(at, _)| at + 1).collect(),
        }
    }

    pub(crate) fn parse(&self) -> Result<DeTable<'t>, FileError> {
        DeTable::parse(self.text).map(Spanned::into_inner).map_err(|error| {
            let place = self.place(error.span().unwrap_or(0..0));
            place.error(format!("not TOML: {}", error.message()))
        })
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place {
            file: Arc::clone(&self.name),
            line: 1 + self.lines.partition_point(|begins| *begins <= span.start),
        }
    }
}

/// A value of a setting or of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Scalar {
    Flag(bool),
    List(Vec<Scalar>),
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, scalar) in list.iter().enumerate() {
                    write!(f, "{}{scalar}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// One table of a file.
#[derive(Clone, Debug)]
pub(crate) struct Section<'s, 't> {
    source: &'s SourceText<'t>,
    table: &'s DeTable<'t>,
    pub(crate) place: Place,
    what: String,
}

impl<'s, 't> Section<'s, 't> {
    /// The table, when it has no key but the known ones.
    pub(crate) fn new(
        source: &'s SourceText<'t>,
        table: &'s DeTable<'t>,
        place: Place,
        what: impl Into<String>,
        known: &[&str],
    ) -> Result<Self, FileError> {
        let section = Self {
            source,
            table,
            place,
            what: what.into(),
        };
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let what = format!("key of {}", section.what);
                return Err(source
                    .place(key.span())
                    .unknown(&what, key.get_ref(), known.iter().copied()));
            }
        }
        Ok(section)
    }

    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.table
            .get(key)
            .map_or_else(|| self.place.clone(), |value| self.source.place(value.span()))
    }

    pub(crate) fn missing(&self, key: &str) -> FileError {
        self.place.error(format!("{} has no key {key:?}", self.what))
    }

    /// A non-empty text of at most `max` characters.
    pub(crate) fn optional_text(&self, key: &str, max: usize) -> Result<Option<String>, FileError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() && text.chars().count() <= max && !text.contains('\n') => {
                Ok(Some(text.to_owned()))
            }
            _ => Err(self
                .place_of(key)
                .error(format!("{key:?} takes one line of 1 to {max} characters"))),
        }
    }

    pub(crate) fn text(&self, key: &str, max: usize) -> Result<String, FileError> {
        self.optional_text(key, max)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn parse<T: std::str::FromStr>(&self, key: &str) -> Result<T, FileError>
    where
        T::Err: std::fmt::Display,
    {
        self.text(key, 250)?
            .parse()
            .map_err(|error: T::Err| self.place_of(key).error(format!("{key:?}: {error}")))
    }

    /// A list of texts; empty when the key is absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, FileError> {
        match self.scalar(key)? {
            None => Ok(Vec::new()),
            Some(Scalar::List(list)) => list
                .into_iter()
                .map(|scalar| match scalar {
                    Scalar::Text(text) => Ok(text),
                    other => Err(self.place_of(key).error(format!("{key:?} takes texts, not {other}"))),
                })
                .collect(),
            Some(_) => Err(self.place_of(key).error(format!("{key:?} takes a list of texts"))),
        }
    }

    pub(crate) fn scalar(&self, key: &str) -> Result<Option<Scalar>, FileError> {
        let value = self.table.get(key);
        value
            .map(|value| scalar(value.get_ref()).ok_or_else(|| self.unfit(key)))
            .transpose()
    }

    /// True or false, where it is given.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, FileError> {
        match self.scalar(key)? {
            None => Ok(None),
            Some(Scalar::Flag(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.place_of(key).error(format!("{key:?} takes true or false"))),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<i64, FileError> {
        match self.scalar(key)? {
            Some(Scalar::Number(number)) => Ok(number),
            Some(_) => Err(self.place_of(key).error(format!("{key:?} takes a whole number"))),
            None => Err(self.missing(key)),
        }
    }

    /// The table under a key.
    pub(crate) fn table(&self, key: &str) -> Result<Option<&'s DeTable<'t>>, FileError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        value
            .get_ref()
            .as_table()
            .map(Some)
            .ok_or_else(|| self.place_of(key).error(format!("{key:?} takes a table")))
    }

    /// The tables of an array of tables, each with its place; none when the key is absent.
    pub(crate) fn tables(&self, key: &str) -> Result<Vec<(&'s DeTable<'t>, Place)>, FileError> {
        let Some(value) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let wrong = || self.place_of(key).error(format!("write each {key} as [[{key}]]"));
        let array = value.get_ref().as_array().ok_or_else(wrong)?;
        array
            .iter()
            .map(|entry| {
                let table = entry.get_ref().as_table().ok_or_else(wrong)?;
                Ok((table, self.source.place(first_key(table).unwrap_or(entry.span()))))
            })
            .collect()
    }

    /// All leaves below a key as `(dotted key, value, place)`, for example `face.pdu_max`.
    pub(crate) fn leaves(&self, key: &str) -> Result<Vec<(String, Scalar, Place)>, FileError> {
        let mut found = Vec::new();
        if let Some(table) = self.table(key)? {
            collect_leaves(self.source, table, "", &mut found)?;
        }
        Ok(found)
    }

    fn unfit(&self, key: &str) -> FileError {
        self.place_of(key).error(format!(
            "{key:?} takes a text, a whole number, true or false, or a list of these"
        ))
    }
}

fn first_key(table: &DeTable<'_>) -> Option<Range<usize>> {
    table.keys().map(Spanned::span).min_by_key(|span| span.start)
}

fn collect_leaves(
    source: &SourceText<'_>,
    table: &DeTable<'_>,
    prefix: &str,
    found: &mut Vec<(String, Scalar, Place)>,
) -> Result<(), FileError> {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        match value.get_ref() {
            DeValue::Table(inner) => collect_leaves(source, inner, &path, found)?,
            other => {
                let place = source.place(key.span());
                let value =
                    scalar(other).ok_or_else(|| place.error(format!("{path:?} has a value of a wrong kind")))?;
                found.push((path, value, place));
            }
        }
    }
    Ok(())
}

fn scalar(value: &DeValue<'_>) -> Option<Scalar> {
    match value {
        DeValue::Array(array) => array
            .iter()
            .map(|entry| scalar(entry.get_ref()))
            .collect::<Option<_>>()
            .map(Scalar::List),
        DeValue::Boolean(flag) => Some(Scalar::Flag(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(Scalar::Number),
        DeValue::String(text) => Some(Scalar::Text(text.to_string())),
        DeValue::Datetime(_) | DeValue::Float(_) | DeValue::Table(_) => None,
    }
}
