//! What becomes of a supplier's authorisation file: its name, its sender, its password, its hour, and then row by row.
//!
//! Pure: the files that wait for their twin are the only state, and can be written down and put back.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Eui64, Mpxn, SimInstant};
use jiff::civil::Date;

use super::authorisation::{self, AuthorisationRow, ReadRow};
use super::name::{FileKind, FileName};
use super::protection;
use crate::InstallationId;
use crate::day::{day_of, plus_days, week_of};
use crate::settings::{Calendar, CohortSlug, ErrorRow, Settings, Stage};

/// Files that wait for their twin at most; one more is refused as malformed.
pub const HELD_MAX: usize = 10_000;

/// A file as it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedFile {
    /// Its name as it was given.
    pub name: String,
    /// Who sent it, as the channel proved.
    pub sender: Eui64,
    /// When.
    pub at: SimInstant,
    /// Its text.
    pub text: String,
}

/// What intake must know about the world.
pub trait Register {
    /// A metering point; none when it is unknown.
    fn point(&self, mpxn: Mpxn) -> Option<PointFacts>;
    /// Whether a certificate is known and not revoked.
    fn certificate_known(&self, serial_hex: &str) -> bool;
    /// Whether a cohort migrates in a week.
    fn cohort_live(&self, cohort: &CohortSlug, week: Date) -> bool;
    /// Installations a supplier may still authorise for a week.
    fn allocation_left(&self, supplier: Eui64, cohort: &CohortSlug, week: Date) -> u32;
    /// Whether a metering point is authorised for a week.
    fn is_authorised(&self, mpxn: Mpxn, week: Date) -> bool;
    /// Whether an installation has used a unit of a supplier's allocation for a week.
    fn has_unit(&self, installation: InstallationId, week: Date) -> bool;
}

/// What intake must know about a metering point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointFacts {
    /// Its installation.
    pub installation: InstallationId,
    /// Cohort of that.
    pub cohort: CohortSlug,
    /// Who is responsible.
    pub supplier: Eui64,
    /// Excluded, or migrated already.
    pub closed: bool,
}

/// The answer to one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileAnswer {
    /// Its name as it was given.
    pub file: String,
    /// Who sent it.
    pub sender: Eui64,
    /// The week it is for, as far as that is known.
    pub week: Option<Date>,
    /// What became of the file as a whole.
    pub result: FileResult,
    /// What became of its rows; none when the file was refused or waits.
    pub rows: Vec<RowAnswer>,
}

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileResult {
    /// Its rows were judged.
    Taken,
    /// It waits for its twin.
    Held,
    /// Refused, under this code and for this reason.
    Rejected {
        /// The code.
        code: String,
        /// Why.
        text: String,
    },
}

/// The answer to one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowAnswer {
    /// Its number.
    pub row: u32,
    /// The metering point as it stands in the file.
    pub mpxn: String,
    /// The accepted row with its installation; or code and reason.
    pub result: Result<(InstallationId, AuthorisationRow), (String, String)>,
}

/// Files that wait for their twin.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    held: BTreeMap<FileName, ReceivedFile>,
    passwords: BTreeMap<FileName, String>,
    taken: BTreeSet<FileName>,
}

impl Intake {
    /// Takes one file in: an authorisation or a password. Gives the answers that follow, to this file or to its twin.
    pub fn receive(&mut self, file: ReceivedFile, register: &dyn Register, settings: &Settings) -> Vec<FileAnswer> {
        let name = match FileName::read(&settings.columns, &file.name) {
            Ok(name) if matches!(name.kind, FileKind::Authorisation | FileKind::Password) => name,
            Ok(name) => {
                let text = match name.kind {
                    FileKind::FirmwareNotice | FileKind::MigrationNotice => {
                        format!("a {} is the DCC's to send, none is taken", name.kind.as_str())
                    }
                    kind => format!("a {} is not taken here", kind.as_str()),
                };
                return vec![rejected(&file, None, settings, "bad-file-name", &text)];
            }
            Err(error) => return vec![rejected(&file, None, settings, "bad-file-name", &error.to_string())],
        };
        if name.user != file.sender {
            let text = format!("the name says {}, it came from {}", name.user, file.sender);
            return vec![rejected(&file, None, settings, "sender-differs", &text)];
        }
        if name.kind == FileKind::Password {
            let twin = name.twin(&settings.columns);
            let waiting = self.held.remove(&twin);
            if self.passwords.len() < HELD_MAX {
                self.passwords.insert(twin.clone(), file.text.trim().to_owned());
            }
            return waiting
                .map(|held| self.open(&twin, held, register, settings))
                .into_iter()
                .collect();
        }
        let week = week_for(&settings.calendar, name.created());
        if self.taken.contains(&name) || self.held.contains_key(&name) {
            return vec![rejected(
                &file,
                Some(week),
                settings,
                "already-received",
                "a file of this name came before",
            )];
        }
        let due = settings.calendar.authorisations_due.instant(week);
        if file.at > due {
            let text = format!(
                "it came at {}, authorisations for the week of {week} were due at {due}",
                file.at
            );
            return vec![rejected(&file, Some(week), settings, "file-late", &text)];
        }
        if self.passwords.contains_key(&name) {
            return vec![self.open(&name, file, register, settings)];
        }
        if self.held.len() >= HELD_MAX {
            let text = format!("{HELD_MAX} files wait for their passwords already");
            return vec![rejected(&file, Some(week), settings, "malformed", &text)];
        }
        let answer = held(&file, week);
        self.held.insert(name, file);
        vec![answer]
    }

    /// When the next file has waited too long.
    #[must_use]
    pub fn next_wake(&self, settings: &Settings) -> Option<SimInstant> {
        let wait = settings.calendar.password_wait();
        self.held.values().map(|file| file.at + wait).min()
    }

    /// Refuses the files that have waited too long for their twin.
    pub fn wake(&mut self, now: SimInstant, settings: &Settings) -> Vec<FileAnswer> {
        let wait = settings.calendar.password_wait();
        let (late, waiting) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(_, file)| file.at + wait <= now);
        self.held = waiting;
        let late: BTreeMap<FileName, ReceivedFile> = late;
        let answers = late.into_iter().map(|(name, file)| {
            let week = week_for(&settings.calendar, name.created());
            let condition = if self.passwords.remove(&name).is_some() {
                "password-wrong"
            } else {
                "password-missing"
            };
            rejected(
                &file,
                Some(week),
                settings,
                condition,
                "no password that opens it came in time",
            )
        });
        answers.collect()
    }

    fn open(
        &mut self,
        name: &FileName,
        file: ReceivedFile,
        register: &dyn Register,
        settings: &Settings,
    ) -> FileAnswer {
        let week = week_for(&settings.calendar, name.created());
        let password = self.passwords.get(name).map_or("", String::as_str);
        let text = match protection::open(&file.text, password) {
            Ok(text) => text,
            Err(protection::ProtectionError::Password) => {
                // Another password may still come.
                let answer = held(&file, week);
                self.held.insert(name.clone(), file);
                return answer;
            }
            Err(error) => return rejected(&file, Some(week), settings, "not-protected", &error.to_string()),
        };
        let rows = match authorisation::read(&settings.columns, &file.name, &text) {
            Ok(rows) => rows,
            Err(error) => return rejected(&file, Some(week), settings, "malformed", &error.to_string()),
        };
        self.passwords.remove(name);
        self.taken.insert(name.clone());
        let mut judge = Judge {
            name,
            week,
            register,
            settings,
            seen: BTreeSet::new(),
            units: BTreeMap::new(),
            counted: BTreeSet::new(),
        };
        FileAnswer {
            rows: rows
                .into_iter()
                .zip(1u32..)
                .map(|(row, number)| judge.answer(row, number))
                .collect(),
            file: file.name,
            sender: file.sender,
            week: Some(week),
            result: FileResult::Taken,
        }
    }
}

/// The week that a file made at this instant is for: the first whose authorisations were not due yet.
#[must_use]
pub fn week_for(calendar: &Calendar, created: SimInstant) -> Date {
    let mut week = week_of(day_of(created));
    // The cut-off lies some weeks before the week: a handful of steps.
    while calendar.authorisations_due.instant(week) < created {
        week = plus_days(week, 7);
    }
    week
}

struct Judge<'a> {
    name: &'a FileName,
    week: Date,
    register: &'a dyn Register,
    settings: &'a Settings,
    seen: BTreeSet<Mpxn>,
    /// Units used by this file, by cohort.
    units: BTreeMap<CohortSlug, u32>,
    /// Installations that have a unit by this file.
    counted: BTreeSet<InstallationId>,
}

impl Judge<'_> {
    fn answer(&mut self, read: ReadRow, number: u32) -> RowAnswer {
        let result = read
            .row
            .map_err(|text| ("malformed", text))
            .and_then(|row| Ok((self.judge(&row)?, row)))
            .map_err(|(condition, text)| (self.code(condition).id.clone(), text));
        RowAnswer {
            row: number,
            mpxn: read.mpxn,
            result,
        }
    }

    fn code(&self, condition: &str) -> &ErrorRow {
        self.settings.errors.find(Stage::AuthorisationRow, condition)
    }

    fn judge(&mut self, row: &AuthorisationRow) -> Result<InstallationId, (&'static str, String)> {
        let mpxn = row.mpxn;
        let facts = self
            .register
            .point(mpxn)
            .ok_or_else(|| ("mpxn-unknown", format!("{mpxn} is unknown")))?;
        if row.supplier != self.name.user || facts.supplier != row.supplier {
            return Err((
                "supplier-not-responsible",
                format!("{} is not responsible for {mpxn}", row.supplier),
            ));
        }
        let authorised = self.register.is_authorised(mpxn, self.week);
        if row.withdraw {
            return if authorised || self.seen.contains(&mpxn) {
                Ok(facts.installation)
            } else {
                Err((
                    "nothing-to-withdraw",
                    format!("{mpxn} is not authorised for the week of {}", self.week),
                ))
            };
        }
        if authorised || !self.seen.insert(mpxn) {
            return Err((
                "duplicate-row",
                format!("{mpxn} is authorised for the week of {} already", self.week),
            ));
        }
        let last = plus_days(self.week, 6);
        if row.not_before > row.not_after || row.not_after < self.week || row.not_after > last || row.not_before > last
        {
            let text = format!(
                "{} to {} does not lie in {} to {last}",
                row.not_before, row.not_after, self.week
            );
            return Err(("dates-outside-week", text));
        }
        if facts.closed {
            return Err((
                "excluded-or-migrated",
                format!("{} is excluded or migrated", facts.installation),
            ));
        }
        if !self.register.cohort_live(&facts.cohort, self.week) {
            return Err((
                "cohort-not-live",
                format!("cohort {} is not live in the week of {}", facts.cohort, self.week),
            ));
        }
        for serial in [&row.signing_certificate, &row.agreement_certificate] {
            if !self.register.certificate_known(serial) {
                return Err((
                    "certificate-unknown",
                    format!("certificate {serial} is unknown or revoked"),
                ));
            }
        }
        self.take_unit(row, &facts)?;
        Ok(facts.installation)
    }

    /// One unit per installation, whichever of its fuels comes first.
    fn take_unit(&mut self, row: &AuthorisationRow, facts: &PointFacts) -> Result<(), (&'static str, String)> {
        if self.counted.contains(&facts.installation) || self.register.has_unit(facts.installation, self.week) {
            return Ok(());
        }
        let left = self.register.allocation_left(row.supplier, &facts.cohort, self.week);
        let used = self.units.entry(facts.cohort.clone()).or_default();
        if *used >= left {
            self.seen.remove(&row.mpxn);
            return Err((
                "above-allocation",
                format!("the allocation of {left} for cohort {} is used up", facts.cohort),
            ));
        }
        *used += 1;
        self.counted.insert(facts.installation);
        Ok(())
    }
}

fn held(file: &ReceivedFile, week: Date) -> FileAnswer {
    FileAnswer {
        file: file.name.clone(),
        sender: file.sender,
        week: Some(week),
        result: FileResult::Held,
        rows: Vec::new(),
    }
}

fn rejected(file: &ReceivedFile, week: Option<Date>, settings: &Settings, condition: &str, text: &str) -> FileAnswer {
    let code = settings.errors.find(Stage::AuthorisationFile, condition).id.clone();
    FileAnswer {
        file: file.name.clone(),
        sender: file.sender,
        week,
        result: FileResult::Rejected {
            code,
            text: text.to_owned(),
        },
        rows: Vec::new(),
    }
}
