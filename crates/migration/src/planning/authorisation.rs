//! The rows of a migration authorisation. Columns are the settings'; their meaning is ours.

use dmc::FileError;
use domain::{Eui64, Mpxn};
use jiff::civil::Date;

use crate::settings::Columns;
use crate::strict::{self, Row as CsvRow};

/// Rows of one file at most.
pub const ROWS_MAX: usize = 500_000;

/// Which fuel a metering point serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fuel {
    /// Electricity.
    Electricity,
    /// Gas.
    Gas,
}

impl Fuel {
    /// `E` or `G`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Electricity => "E",
            Self::Gas => "G",
        }
    }

    /// The fuel of a metering point.
    #[must_use]
    pub fn of(mpxn: Mpxn) -> Self {
        match mpxn {
            Mpxn::Mpan(_) => Self::Electricity,
            Mpxn::Mprn(_) => Self::Gas,
        }
    }
}

/// One authorised (or withdrawn) metering point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorisationRow {
    /// Its number in the file, from 1.
    pub row: u32,
    /// Which metering point.
    pub mpxn: Mpxn,
    /// First day on which it may migrate.
    pub not_before: Date,
    /// Last day.
    pub not_after: Date,
    /// The authorising user.
    pub supplier: Eui64,
    /// Its signing certificate, hexadecimal serial number.
    pub signing_certificate: String,
    /// Its key agreement certificate.
    pub agreement_certificate: String,
    /// Prepayment at this point, as the supplier has it.
    pub prepayment: bool,
    /// Takes back an earlier authorisation.
    pub withdraw: bool,
}

/// A row as read: or why it is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRow {
    /// Line in the file.
    pub line: usize,
    /// The metering point as it stands in the file.
    pub mpxn: String,
    /// The row, or what is wrong with it.
    pub row: Result<AuthorisationRow, String>,
}

const KIND: &str = "migration-authorisation";

/// Reads the text of an authorisation file. Rows that are malformed come as such; the rest are unharmed.
///
/// # Errors
/// When it is not CSV, or its columns are not those of the settings.
pub fn read(columns: &Columns, file: &str, text: &str) -> Result<Vec<ReadRow>, FileError> {
    let fields = crate::settings::fields(KIND);
    let headings = columns.form(KIND).headings_of(fields);
    let rows = strict::csv(file, text, &headings)?;
    if rows.len() > ROWS_MAX {
        return Err(strict::fault(
            file,
            0,
            format!("{} rows, at most {ROWS_MAX}", rows.len()),
        ));
    }
    let each = rows.iter().zip(1u32..).map(|(row, number)| ReadRow {
        line: row.line,
        mpxn: row.value(1).to_owned(),
        row: row_of(file, row, &headings, number),
    });
    Ok(each.collect())
}

/// Writes the text of an authorisation file.
#[must_use]
pub fn write(columns: &Columns, rows: &[AuthorisationRow]) -> String {
    let flag = |yes: bool| if yes { "Y" } else { "N" }.to_owned();
    let rows = rows.iter().map(|row| {
        vec![
            row.row.to_string(),
            row.mpxn.to_string(),
            Fuel::of(row.mpxn).as_str().to_owned(),
            row.not_before.to_string(),
            row.not_after.to_string(),
            row.supplier.to_string(),
            row.signing_certificate.clone(),
            row.agreement_certificate.clone(),
            flag(row.prepayment),
            flag(row.withdraw),
        ]
    });
    columns.form(KIND).write(crate::settings::fields(KIND), rows)
}

fn row_of(file: &str, row: &CsvRow, headings: &[&str], number: u32) -> Result<AuthorisationRow, String> {
    let heading = |at: usize| headings.get(at).copied().unwrap_or("");
    let in_words = |error: FileError| error.reason;
    let given: u32 = row.parse(file, 0, heading(0)).map_err(in_words)?;
    if given != number {
        return Err(format!(
            "{} is {given}, expected {number}: rows have no gaps",
            heading(0)
        ));
    }
    let mpxn: Mpxn = row.parse(file, 1, heading(1)).map_err(in_words)?;
    if row.value(2) != Fuel::of(mpxn).as_str() {
        return Err(format!(
            "{} is {:?}, which does not fit {mpxn}",
            heading(2),
            row.value(2)
        ));
    }
    let flag = |at: usize| match row.value(at) {
        "Y" => Ok(true),
        "N" => Ok(false),
        other => Err(format!("{} takes Y or N, found {other:?}", heading(at))),
    };
    let certificate = |at: usize| {
        let text = row.value(at);
        let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        if plain {
            Ok(text.to_uppercase())
        } else {
            Err(format!("{} takes a serial number in hex, found {text:?}", heading(at)))
        }
    };
    Ok(AuthorisationRow {
        row: number,
        mpxn,
        not_before: row.parse(file, 3, heading(3)).map_err(in_words)?,
        not_after: row.parse(file, 4, heading(4)).map_err(in_words)?,
        supplier: row.parse(file, 5, heading(5)).map_err(in_words)?,
        signing_certificate: certificate(6)?,
        agreement_certificate: certificate(7)?,
        prepayment: flag(8)?,
        withdraw: flag(9)?,
    })
}
