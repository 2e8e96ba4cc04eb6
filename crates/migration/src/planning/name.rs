//! Names of files between suppliers and the Migration Control Centre, read and written by pattern.
//!
//! Parts are known by their form, not by their place: the samples of real names put the SMSO before the EUI-64 in one kind
//! of file and after it in another, and join with `_` or `-`. Only the prefixes MA, MAPASSWORD, DC and DR are sourced.

use std::fmt;

use domain::{Eui64, SimInstant};
use jiff::civil::{Date, Time};

use crate::day::{compact, from_compact};
use crate::settings::Columns;

/// Characters of a name at most.
pub const NAME_MAX: usize = 120;

/// What a file is, as its name says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileName {
    /// Its kind, as the columns file has it: `migration-authorisation`, `password`, `demand-commitment` and so on.
    pub kind: FileKind,
    /// Short code of the SMSO, in upper case.
    pub smso: String,
    /// The user it is from or for.
    pub user: Eui64,
    /// SEC party signifier, in demand files.
    pub party: Option<String>,
    /// Day of the file.
    pub day: Date,
    /// Time of the file, UTC; demand files have none.
    pub time: Option<Time>,
    prefix: String,
}

/// Kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    /// Migration authorisation.
    Authorisation,
    /// Demand commitment.
    DemandCommitment,
    /// A demand document apart from commitments: a request of more or of longer range.
    DemandRequest,
    /// Notice of dormant firmware upgrades.
    FirmwareNotice,
    /// Notice of dormant migrations.
    MigrationNotice,
    /// Password of an authorisation.
    Password,
}

/// A name that fits no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file name {name:?}: {reason}")]
pub struct NameError {
    /// The name, cut to a readable length.
    pub name: String,
    /// What does not fit.
    pub reason: String,
}

impl FileKind {
    /// All kinds with a name of their own pattern.
    pub const ALL: [Self; 6] = [
        Self::Authorisation,
        Self::DemandCommitment,
        Self::DemandRequest,
        Self::FirmwareNotice,
        Self::MigrationNotice,
        Self::Password,
    ];

    /// Its name in the columns file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorisation => "migration-authorisation",
            Self::DemandCommitment => "demand-commitment",
            Self::DemandRequest => "demand-request",
            Self::FirmwareNotice => "firmware-notice",
            Self::MigrationNotice => "migration-notice",
            Self::Password => "password",
        }
    }

    fn is_demand(self) -> bool {
        matches!(self, Self::DemandCommitment | Self::DemandRequest)
    }
}

impl FileName {
    /// The name of a new file. `party` is written in demand files only.
    #[must_use]
    pub fn new(
        columns: &Columns,
        kind: FileKind,
        smso: &str,
        user: Eui64,
        party: Option<&str>,
        at: SimInstant,
    ) -> Self {
        let civil = at.utc();
        Self {
            kind,
            smso: smso.to_uppercase(),
            user,
            party: party.filter(|_| kind.is_demand()).map(str::to_owned),
            day: civil.date(),
            time: (!kind.is_demand()).then(|| without_fraction(civil.time())),
            prefix: columns.form(kind.as_str()).prefix.clone(),
        }
    }

    /// Reads a name, with or without an extension.
    ///
    /// # Errors
    /// [`NameError`]: no known prefix, or parts missing, unknown or there twice.
    pub fn read(columns: &Columns, name: &str) -> Result<Self, NameError> {
        let fail = |reason: String| NameError {
            name: name.chars().take(NAME_MAX).collect(),
            reason,
        };
        if name.len() > NAME_MAX {
            return Err(fail(format!("longer than {NAME_MAX} characters")));
        }
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        let (kind, prefix, rest) = FileKind::ALL
            .into_iter()
            .filter_map(|kind| {
                let prefix = &columns.form(kind.as_str()).prefix;
                let rest = stem.strip_prefix(prefix.as_str())?;
                let rest = rest.strip_prefix(['_', '-'])?;
                Some((kind, prefix, rest))
            })
            .max_by_key(|(_, prefix, _)| prefix.len())
            .ok_or_else(|| {
                let known: Vec<&str> = FileKind::ALL
                    .map(|kind| columns.form(kind.as_str()).prefix.as_str())
                    .to_vec();
                fail(format!("begins with none of {}", known.join(", ")))
            })?;
        let parts = Parts::of(rest, kind).map_err(fail)?;
        Ok(Self {
            kind,
            smso: parts.smso,
            user: parts.user,
            party: parts.party,
            day: parts.day,
            time: parts.time,
            prefix: prefix.clone(),
        })
    }

    /// The name of the password twin of this authorisation file.
    #[must_use]
    pub fn twin(&self, columns: &Columns) -> Self {
        let kind = if self.kind == FileKind::Password {
            FileKind::Authorisation
        } else {
            FileKind::Password
        };
        Self {
            kind,
            prefix: columns.form(kind.as_str()).prefix.clone(),
            ..self.clone()
        }
    }

    /// The instant in the name; midnight for demand files.
    #[must_use]
    pub fn created(&self) -> SimInstant {
        let time = self.time.unwrap_or(Time::midnight());
        SimInstant::from_utc(
            self.day.year(),
            self.day.month(),
            self.day.day(),
            time.hour(),
            time.minute(),
            time.second(),
        )
        .unwrap_or_default()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_demand() {
            write!(f, "{}_", self.prefix)?;
            if let Some(party) = &self.party {
                write!(f, "{party}_")?;
            }
            return write!(f, "{}_{}_{}", self.user, self.smso, compact(self.day));
        }
        write!(f, "{}_{}_{}_{}", self.prefix, self.smso, self.user, compact(self.day))?;
        if let Some(time) = self.time {
            write!(f, "_{:02}{:02}{:02}", time.hour(), time.minute(), time.second())?;
        }
        Ok(())
    }
}

struct Parts {
    smso: String,
    user: Eui64,
    party: Option<String>,
    day: Date,
    time: Option<Time>,
}

impl Parts {
    fn of(rest: &str, kind: FileKind) -> Result<Self, String> {
        let (mut user, mut day, mut time, mut words) = (None, None, None, Vec::new());
        for part in rest.split('_') {
            if let Ok(eui) = part.parse::<Eui64>() {
                set(&mut user, eui, "EUI-64")?;
            } else if let Some(date) = from_compact(part) {
                set(&mut day, date, "date")?;
            } else if let Some(read) = read_time(part) {
                set(&mut time, read, "time")?;
            } else if !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
                words.push(part);
            } else {
                return Err(format!("{part:?} is no part of a name"));
            }
        }
        let user = user.ok_or("no EUI-64 in it")?;
        let day = day.ok_or("no date such as 20190407 in it")?;
        if kind.is_demand() == time.is_some() {
            return Err(if time.is_some() {
                "a time, which this kind has not"
            } else {
                "no time such as 182503 in it"
            }
            .into());
        }
        let (party, smso) = match (kind.is_demand(), words.as_slice()) {
            (true, [party, smso]) => (Some((*party).to_owned()), *smso),
            (_, [smso]) => (None, *smso),
            (_, words) => return Err(format!("{} words in it, expected the SMSO's short code", words.len())),
        };
        Ok(Self {
            smso: smso.to_uppercase(),
            user,
            party,
            day,
            time,
        })
    }
}

fn set<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match place.replace(value) {
        Some(_) => Err(format!("two parts that are a {what}")),
        None => Ok(()),
    }
}

fn read_time(text: &str) -> Option<Time> {
    if text.len() != 6 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Time::new(
        text[..2].parse().ok()?,
        text[2..4].parse().ok()?,
        text[4..].parse().ok()?,
        0,
    )
    .ok()
}

fn without_fraction(time: Time) -> Time {
    Time::new(time.hour(), time.minute(), time.second(), 0).unwrap_or(Time::midnight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use proptest::prelude::*;

    fn columns() -> Columns {
        static COLUMNS: std::sync::LazyLock<Columns> =
            std::sync::LazyLock::new(|| Settings::builtin().expect("built-in settings").columns);
        COLUMNS.clone()
    }

    #[test]
    fn the_sample_names_are_read_and_written() {
        let columns = columns();
        for (name, kind, smso, canonical) in [
            (
                "MA_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503",
                FileKind::Authorisation,
                "CGI",
                "MA_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503",
            ),
            (
                "MA_cgI_70-b3-d5-1f-30-00-a0-08_20190407_182503.csv",
                FileKind::Authorisation,
                "CGI",
                "MA_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503",
            ),
            (
                "MAPASSWORD_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503",
                FileKind::Password,
                "CGI",
                "MAPASSWORD_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503",
            ),
            (
                "DC-AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121",
                FileKind::DemandCommitment,
                "CGI",
                "DC_AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121",
            ),
            (
                "DR_AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121",
                FileKind::DemandRequest,
                "CGI",
                "DR_AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121",
            ),
        ] {
            let read = FileName::read(&columns, name).expect(name);
            assert_eq!((read.kind, read.smso.as_str()), (kind, smso), "{name}");
            assert_eq!(read.to_string(), canonical);
            assert_eq!(FileName::read(&columns, canonical), Ok(read), "{canonical}");
        }
        let file = FileName::read(&columns, "MA_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503").expect("a name");
        assert_eq!(file.created().to_string(), "2019-04-07T18:25:03.000Z");
        assert!(file.twin(&columns).to_string().starts_with("MAPASSWORD_CGI_"));
        assert_eq!(file.twin(&columns).twin(&columns), file);
    }

    #[test]
    fn what_fits_no_pattern_is_refused_with_the_reason() {
        let columns = columns();
        for (name, reason) in [
            ("MX_CGI_70-B3-D5-1F-30-00-A0-08_20190407_182503", "begins with none of"),
            ("MA_CGI_70-B3-D5-1F-30-00-A0-08_20190407", "no time"),
            ("MA_CGI_70-B3-D5-1F-30-00-A0-08_20190431_182503", "no date"),
            ("MA_CGI_70-B3-D5-1F-30-00-A0_20190407_182503", "no EUI-64"),
            ("MA_CGI_X_70-B3-D5-1F-30-00-A0-08_20190407_182503", "2 words"),
            (
                "DC_AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121_101010",
                "which this kind has not",
            ),
            ("MA_C/I_70-B3-D5-1F-30-00-A0-08_20190407_182503", "no part of a name"),
        ] {
            let error = FileName::read(&columns, name).expect_err(name);
            assert!(error.reason.contains(reason), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn written_names_are_read_again(user: u64, ms in 0i64..4_000_000_000_000, kind in 0usize..6, party in proptest::option::of("[A-Z]{3}[0-9]{3}")) {
            let columns = columns();
            let kind = FileKind::ALL[kind];
            let name = FileName::new(&columns, kind, "cgi", Eui64(user), party.as_deref(), SimInstant(ms));
            prop_assert_eq!(FileName::read(&columns, &name.to_string()), Ok(name));
        }

        #[test]
        fn reading_never_panics(name in ".{0,140}") {
            let _ = FileName::read(&columns(), &name);
            let _ = FileName::read(&columns(), &format!("MA_{name}"));
        }
    }
}
