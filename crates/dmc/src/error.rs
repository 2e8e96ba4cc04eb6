//! What can be wrong with profile files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a catalogue was refused. It is either wholly in or not at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A profile file says something it may not.
    #[error(transparent)]
    File(#[from] FileError),
    /// A directory or file could not be read.
    #[error("read profile file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A fault in a profile file, with its place and, where one is likely, a suggestion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub reason: String,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n  did you mean {suggestion:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FileError {}

/// Where something stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

impl Place {
    pub(crate) fn error(&self, reason: impl Into<String>) -> FileError {
        FileError {
            file: self.file.to_string(),
            line: self.line,
            reason: reason.into(),
            suggestion: None,
        }
    }

    /// An error about a word that should have been one of `known`.
    pub(crate) fn unknown<'k>(&self, what: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> FileError {
        let known: Vec<&str> = known.into_iter().collect();
        let suggestion = nearest(word, known.iter().copied());
        let some: Vec<&str> = known.iter().copied().take(LISTED_MAX).collect();
        let expected = match known.len() {
            0 => ", and there are none".to_owned(),
            1..=LISTED_MAX => format!(", expected one of: {}", some.join(", ")),
            many if suggestion.is_none() => format!(", expected one of {many}, such as {}", some.join(", ")),
            _ => String::new(),
        };
        FileError {
            suggestion,
            ..self.error(format!("unknown {what} {word:?}{expected}"))
        }
    }
}

/// A longer list of what was expected helps nobody.
const LISTED_MAX: usize = 16;

/// The known word most like `word`, when it is like it at all.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned())
}
