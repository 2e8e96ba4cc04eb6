//! Names and columns of the CSV files.

use dmc::FileError;
use serde::Deserialize;

use crate::strict::{self, fault, unknown};

/// The forms of all CSV files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Columns(Vec<FileForm>);

/// The form of one kind of CSV file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileForm {
    /// What it is, for example `migration-authorisation`.
    pub kind: String,
    /// What its name begins with.
    pub prefix: String,
    /// Its columns, in the order they are written.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// What the program calls it.
    pub field: String,
    /// What stands in the file.
    pub heading: String,
}

impl Columns {
    /// The form of a kind of file.
    ///
    /// # Panics
    /// Never for the kinds that the reader demands, which are all that the program asks for.
    #[must_use]
    pub fn form(&self, kind: &str) -> &FileForm {
        let form = self.0.iter().find(|form| form.kind == kind);
        form.expect("the reader refuses a file without the kinds that the program asks for")
    }

    /// All forms.
    pub fn iter(&self) -> impl Iterator<Item = &FileForm> {
        self.0.iter()
    }
}

impl FileForm {
    /// The headings of these fields, in the order of the fields.
    #[must_use]
    pub fn headings_of<'f>(&'f self, fields: &[&'f str]) -> Vec<&'f str> {
        let heading = |field: &&'f str| {
            let column = self.columns.iter().find(|column| column.field == *field);
            column.map_or(*field, |column| column.heading.as_str())
        };
        fields.iter().map(heading).collect()
    }

    /// Writes rows whose values come in the order of `fields`, in the order of this form.
    #[must_use]
    pub fn write(&self, fields: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let headings: Vec<&str> = self.columns.iter().map(|column| column.heading.as_str()).collect();
        let order: Vec<Option<usize>> = self
            .columns
            .iter()
            .map(|column| fields.iter().position(|field| *field == column.field))
            .collect();
        let rows = rows.into_iter().map(|row| {
            let value = |at: &Option<usize>| at.and_then(|at| row.get(at).cloned()).unwrap_or_default();
            order.iter().map(value).collect::<Vec<String>>()
        });
        strict::write_csv(&headings, rows)
    }
}

/// The kinds and fields that the program asks for.
pub(crate) const KINDS: [(&str, &[&str]); 9] = [
    ("answers", &["file", "row", "mpxn", "result", "code", "text"]),
    ("demand-commitment", &["day", "units"]),
    ("demand-request", &["day", "units"]),
    (
        "firmware-notice",
        &[
            "notice",
            "cohort",
            "smso",
            "mpxn",
            "device",
            "device-kind",
            "model",
            "firmware",
            "target",
            "epcl",
            "image-source",
            "from",
            "to",
            "supplier",
        ],
    ),
    (
        "forecast",
        &[
            "supplier",
            "cohort",
            "start",
            "finish",
            "installations",
            "target-rate",
            "ramp-weeks",
        ],
    ),
    (
        "migration-authorisation",
        &[
            "row",
            "mpxn",
            "fuel",
            "not-before",
            "not-after",
            "supplier",
            "signing-certificate",
            "agreement-certificate",
            "prepayment",
            "withdraw",
        ],
    ),
    (
        "migration-notice",
        &[
            "notice",
            "cohort",
            "smso",
            "mpan",
            "mprn",
            "hub",
            "day",
            "supplier-electricity",
            "supplier-gas",
            "type",
        ],
    ),
    ("password", &[]),
    ("profile", &["week", "cohort", "supplier", "units"]),
];

/// The fields of a kind.
pub(crate) fn fields(kind: &str) -> &'static [&'static str] {
    KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(&[], |(_, fields)| fields)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "file")]
    files: Vec<FileForm>,
}

pub(super) fn read(file: &str, text: &str) -> Result<Columns, FileError> {
    let forms = strict::toml::<File>(file, text)?.files;
    for form in &forms {
        if !KINDS.iter().any(|(kind, _)| *kind == form.kind) {
            return Err(unknown(
                file,
                0,
                "kind of file",
                &form.kind,
                KINDS.map(|(kind, _)| kind),
            ));
        }
        let known = fields(&form.kind);
        for column in &form.columns {
            if !known.contains(&column.field.as_str()) {
                let what = format!("field of {}", form.kind);
                return Err(unknown(
                    file,
                    strict::line_of(text, &column.field),
                    &what,
                    &column.field,
                    known.iter().copied(),
                ));
            }
        }
    }
    for (kind, fields) in KINDS {
        let mut of_kind = forms.iter().filter(|form| form.kind == kind);
        let (Some(form), None) = (of_kind.next(), of_kind.next()) else {
            return Err(fault(file, 0, format!("expected one [[file]] of kind {kind:?}")));
        };
        for field in fields {
            let count = form.columns.iter().filter(|column| column.field == *field).count();
            if count != 1 {
                return Err(fault(
                    file,
                    0,
                    format!("{kind} has {count} columns for {field:?}, expected one"),
                ));
            }
        }
    }
    Ok(Columns(forms))
}
