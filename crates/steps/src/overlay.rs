//! Rows of a user's own in the place of those of the error table and the code table: for whoever has the documents.
//!
//! The tables are one per process. They are settled by the first look at them, so rows are put in before anything runs.

use crate::data::TableError;
use crate::{codes, errors};

/// A table that somebody wrote: the columns are those of the table it has rows for.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Tab-separated text; the first line that is no comment names the columns: `class …` for classes of failure,
    /// `kind code …` for codes.
    pub text: &'a str,
}

/// Rows that cannot be put in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The tables are in use with other rows: this process has a lab with other files.
    #[error("the tables of codes are in use already: one set of files to a process")]
    InUse,
    /// A row that does not read or does not fit.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Puts the rows of these tables in the place of those compiled in: all, or none. The same rows again change nothing.
///
/// # Errors
/// [`OverlayError`].
pub fn overlay(tables: &[Overlay<'_>]) -> Result<(), OverlayError> {
    let (mut classes, mut known) = (errors::compiled_in(), codes::compiled_in());
    for table in tables {
        // Kept for the life of the process, as the tables are.
        let name: &'static str = Box::leak(table.name.to_owned().into_boxed_str());
        let text: &'static str = Box::leak(table.text.to_owned().into_boxed_str());
        let header = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
        if header.is_some_and(|header| header.split('\t').any(|column| column == "class")) {
            errors::put_over(&mut classes, name, text)?;
        } else {
            codes::put_over(&mut known, name, text)?;
        }
    }
    let settled = errors::settle(classes) && codes::settle(known);
    settled.then_some(()).ok_or(OverlayError::InUse)
}
