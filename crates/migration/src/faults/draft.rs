//! An authorisation as a supplier is about to send it, and what can be wrong with it.

use domain::{Eui64, Mpxn, SimDuration, SimInstant};

use crate::day::plus_days;
use crate::planning::authorisation::{self, AuthorisationRow};
use crate::planning::intake::{ReceivedFile, week_for};
use crate::planning::name::{FileKind, FileName};
use crate::planning::protection::{ProtectionError, protect, salt_of};
use crate::settings::Settings;

/// An authorisation file with its password, before it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Name of the file; the password's is made from it.
    pub name: String,
    /// Name of the password file.
    pub password_name: String,
    /// Who sends it.
    pub sender: Eui64,
    /// When.
    pub at: SimInstant,
    /// Its rows.
    pub rows: Vec<AuthorisationRow>,
    /// The password it is protected with.
    pub password: String,
    /// The password that is sent; none is sent where it is `None`.
    pub told: Option<String>,
}

impl Draft {
    /// An authorisation of a supplier, made and sent at an instant.
    #[must_use]
    pub fn new(
        settings: &Settings,
        smso: &str,
        sender: Eui64,
        at: SimInstant,
        password: &str,
        rows: Vec<AuthorisationRow>,
    ) -> Self {
        let name = FileName::new(&settings.columns, FileKind::Authorisation, smso, sender, None, at);
        Self {
            password_name: name.twin(&settings.columns).to_string(),
            name: name.to_string(),
            sender,
            at,
            rows,
            password: password.to_owned(),
            told: Some(password.to_owned()),
        }
    }

    /// The files as they are sent: the authorisation, and its password where one is told.
    ///
    /// # Errors
    /// [`ProtectionError`] when the text cannot be protected.
    pub fn files(&self, settings: &Settings) -> Result<Vec<ReceivedFile>, ProtectionError> {
        let text = authorisation::write(&settings.columns, &self.rows);
        let file = |name: &str, text: String| ReceivedFile {
            name: name.to_owned(),
            sender: self.sender,
            at: self.at,
            text,
        };
        let mut files = vec![file(&self.name, protect(&text, &self.password, &salt_of(&self.name))?)];
        files.extend(self.told.iter().map(|told| file(&self.password_name, told.clone())));
        Ok(files)
    }

    /// Puts an error of the error table into it; those of rows into the rows of these points. Gives whether the error is
    /// one of a file: the others are made elsewhere.
    pub fn spoil(&mut self, settings: &Settings, error: &str, points: impl Fn(Mpxn) -> bool) -> bool {
        let mut rows = |each: &mut dyn FnMut(&mut AuthorisationRow)| {
            self.rows.iter_mut().filter(|row| points(row.mpxn)).for_each(each);
        };
        match error {
            "LAB-MA-01" => self.name = self.name.replace('_', ""),
            "LAB-MA-02" => self.sender = Eui64(self.sender.0 ^ 1),
            "LAB-MA-03" => self.told = None,
            "LAB-MA-04" => rows(&mut |row| row.mpxn = nobodys(row.mpxn)),
            "LAB-MA-05" => rows(&mut |row| row.supplier = Eui64(row.supplier.0 ^ 1)),
            "LAB-MA-06" => rows(&mut |row| row.not_after = plus_days(row.not_after, 14)),
            "LAB-MA-07" => {
                let again: Vec<_> = self.rows.iter().filter(|row| points(row.mpxn)).cloned().collect();
                self.rows.extend(again);
                self.rows.iter_mut().zip(1..).for_each(|(row, number)| row.row = number);
            }
            "LAB-MA-09" => {
                let week = week_for(&settings.calendar, self.at);
                self.at = settings.calendar.authorisations_due.instant(week) + SimDuration::from_mins(1);
            }
            "LAB-MA-11" => rows(&mut |row| row.signing_certificate = "FFFFFFFFFFFFFFFF".to_owned()),
            _ => return false,
        }
        true
    }
}

/// A metering point that nobody has: the highest number of its fuel.
fn nobodys(mpxn: Mpxn) -> Mpxn {
    let text = match mpxn {
        Mpxn::Mpan(_) => "9999999999999",
        Mpxn::Mprn(_) => "9999999999",
    };
    text.parse().unwrap_or(mpxn)
}
