//! Campaign files: what is migrated, when, and what goes wrong on the way. Strict TOML.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dmc::FileError;
use domain::{Mpxn, SimInstant};
use jiff::civil::Date;
use migration::faults::{self, FaultRule, FaultTable, Way, way};
use migration::planning::gates::Environment;
use migration::planning::intake::ReceivedFile;
use migration::strict::fault;
use migration::{Settings, SettingsError};
use serde::Deserialize;
use world::limits::WORLDS_MAX;

use super::files::{RawFile, commits};

/// A campaign file as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    campaign: Head,
    #[serde(default, rename = "authorisation")]
    authorisations: Vec<RawAuthorisation>,
    #[serde(default, rename = "demand")]
    demand: Vec<RawDemand>,
    #[serde(default, rename = "file")]
    files: Vec<RawFile>,
    #[serde(default, rename = "fault")]
    faults: Vec<FaultTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(default)]
    environment: Environment,
    #[serde(default = "one")]
    seed: u64,
    start: String,
    until: String,
    estate: PathBuf,
    settings: Option<PathBuf>,
    epcl: Option<PathBuf>,
    cpl: Option<PathBuf>,
    #[serde(default)]
    twin: bool,
    #[serde(default = "one_world")]
    worlds: u32,
    #[serde(default)]
    phase: Option<Phase>,
    #[serde(default)]
    regression: bool,
    #[serde(default)]
    vulnerable: Vec<String>,
}

/// The test phase that a campaign is a run of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making dormant installations eligible, and migrating them.
    DormantMeterReadinessTest,
    /// Moving combinations from their SMSOs to the DCC; it ends with the regression at the end of the cycle.
    MigrationSolutionTest,
    /// Users' combinations, in DUST.
    MigrationTestingInDust,
}

impl Phase {
    /// The word of files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DormantMeterReadinessTest => "dormant-meter-readiness-test",
            Self::MigrationSolutionTest => "migration-solution-test",
            Self::MigrationTestingInDust => "migration-testing-in-dust",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthorisation {
    week: String,
    at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDemand {
    week: String,
    at: String,
    per_day: u32,
    #[serde(default)]
    request: bool,
}

/// What every supplier sends as its demand for a week.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Which week, by its Monday.
    pub week: Date,
    /// When the files are sent.
    pub at: SimInstant,
    /// Installations a day, for each SMSO where the supplier has active ones.
    pub per_day: u32,
    /// Only a request; else a commitment.
    pub request: bool,
}

fn one() -> u64 {
    1
}

fn one_world() -> u32 {
    1
}

/// A campaign that was read and checked.
#[derive(Clone, Debug)]
pub struct CampaignFile {
    /// Its name.
    pub name: String,
    /// Live or DUST.
    pub environment: Environment,
    /// Seed of the run.
    pub seed: u64,
    /// What the calendar shows at the start.
    pub start: SimInstant,
    /// The last day.
    pub until: Date,
    /// Estate file.
    pub estate: PathBuf,
    /// EPCL and CPL; without them all that is in the estate may be enrolled.
    pub lists: Option<(PathBuf, PathBuf)>,
    /// Whether it is run twice, to see that the same comes of it.
    pub twin: bool,
    /// How many worlds it runs in, each on a thread of its own with its share of the installations.
    pub worlds: u32,
    /// The test phase it is a run of, where it is one.
    pub phase: Option<Phase>,
    /// Whether what was migrated is put through the pack of service requests at the end.
    pub regression: bool,
    /// Metering points where vulnerable customers live.
    pub vulnerable: BTreeSet<Mpxn>,
    /// Metering points that it names, each with its line: the estate must have them.
    pub named: BTreeMap<Mpxn, usize>,
    /// Weeks for which every supplier authorises its active points, each with when the files are sent.
    pub authorisations: Vec<(Date, SimInstant)>,
    /// Demand that every supplier sends. Where there is a commitment among it, capacity is allocated by what is committed;
    /// else each supplier gets what it authorises.
    pub demand: Vec<Demand>,
    /// Files that are sent as they stand.
    pub files: Vec<ReceivedFile>,
    /// What goes wrong.
    pub faults: Vec<FaultRule>,
    /// Settings of the migration.
    pub settings: Settings,
}

/// A campaign file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It says something it may not.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be read.
    #[error("read {}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl CampaignFile {
    /// Whether suppliers commit to demand, which is then allocated.
    #[must_use]
    pub fn demand_is_committed(&self) -> bool {
        let own = self.files.iter().any(|file| commits(file, &self.settings));
        own || self.demand.iter().any(|demand| !demand.request)
    }

    /// Reads a campaign file. Files it names are looked for beside it.
    ///
    /// # Errors
    /// [`ReadError`] with file, line and what to do about it.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let cause = |cause| ReadError::Path {
            path: path.to_owned(),
            cause,
        };
        let text = std::fs::read_to_string(path).map_err(cause)?;
        let place = Place::new(path, &text);
        let raw: Raw = migration::strict::toml(&place.file, &text)?;
        let head = raw.campaign;
        let mut settings = match head.settings {
            Some(folder) => Settings::load(&place.beside(&folder))?,
            None => Settings::builtin().map_err(ReadError::File)?,
        };
        let lists = match (head.epcl, head.cpl) {
            (Some(epcl), Some(cpl)) => Some((place.beside(&epcl), place.beside(&cpl))),
            (None, None) => None,
            _ => return Err(place.wrong("[campaign]", "epcl and cpl go together").into()),
        };
        if !(1..=WORLDS_MAX).contains(&head.worlds) {
            let text = format!("worlds is {}, expected 1 to {WORLDS_MAX}", head.worlds);
            return Err(place.wrong("worlds", text).into());
        }
        if head.phase == Some(Phase::MigrationSolutionTest) && !head.regression {
            let text =
                "a migration-solution-test ends with the regression at the end of the cycle: set regression = true";
            return Err(place.wrong("phase", text).into());
        }
        let (start, until) = (place.instant(&head.start)?, place.date(&head.until)?);
        if migration::day::day_of(start) > until {
            let text = format!("until {until} lies before the start at {start}");
            return Err(place.wrong(&head.until, text).into());
        }
        let (mut vulnerable, mut named) = (BTreeSet::new(), BTreeMap::new());
        for word in &head.vulnerable {
            let line = place.line_from("vulnerable", word);
            let mpxn = word.parse();
            let mpxn: Mpxn =
                mpxn.map_err(|error: domain::ParseError| fault(&place.file, line, format!("vulnerable: {error}")))?;
            vulnerable.insert(mpxn);
            named.insert(mpxn, line);
        }
        let campaign = (start, until);
        let mut authorisations = Vec::new();
        for one in &raw.authorisations {
            authorisations.push((place.monday(&one.week)?, place.instant_within(&one.at, campaign)?));
        }
        authorisations.sort_by_key(|(_, at)| *at);
        let mut demand = Vec::new();
        for one in &raw.demand {
            demand.push(Demand {
                week: place.monday(&one.week)?,
                at: place.instant_within(&one.at, campaign)?,
                per_day: one.per_day,
                request: one.request,
            });
        }
        let mut files = Vec::new();
        for one in &raw.files {
            files.push(one.read(&place, &settings, campaign)?);
        }
        let faults = faults::check(&place.file, &text, &raw.faults, &settings)?;
        for rule in &faults {
            for point in &rule.points {
                let line = || place.line_from("mpxn", &point.to_string());
                named.entry(*point).or_insert_with(line);
            }
            match way(&rule.row.id) {
                Some(Way::Gate) => rule.close_gate(&mut settings),
                Some(Way::Act(_)) => {
                    let text = format!(
                        "{} comes from an act of somebody beside the migration, which no campaign does by itself; take the \
                         fault out",
                        rule.row.id
                    );
                    return Err(place.wrong(&rule.row.id, text).into());
                }
                _ => {}
            }
        }
        Ok(Self {
            name: head.name,
            environment: head.environment,
            seed: head.seed,
            start,
            until,
            estate: place.beside(&head.estate),
            lists,
            twin: head.twin,
            worlds: head.worlds,
            phase: head.phase,
            regression: head.regression,
            vulnerable,
            named,
            authorisations,
            demand,
            files,
            faults,
            settings,
        })
    }
}

/// A campaign file while it is read: where what stands in it stands.
pub(super) struct Place<'a> {
    path: &'a Path,
    file: String,
    text: &'a str,
}

impl<'a> Place<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        let file = path.display().to_string();
        Self { path, file, text }
    }

    /// A file that it names.
    pub(super) fn beside(&self, other: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(other)
    }

    /// The line where a word stands in quotes, or else the first one that begins with it.
    fn line(&self, word: &str) -> usize {
        match migration::strict::line_of(self.text, word) {
            0 => {
                let mut lines = self.text.lines().zip(1..);
                let begun = lines.find(|(line, _)| line.trim_start().starts_with(word));
                begun.map_or(0, |(_, line)| line)
            }
            line => line,
        }
    }

    /// The line of a word in quotes in the list under a key.
    fn line_from(&self, key: &str, word: &str) -> usize {
        let lines = self.text.lines().zip(1..);
        let mut lines = lines.skip_while(|(line, _)| !line.trim_start().starts_with(key));
        let found = lines.find(|(line, _)| line.contains(&format!("\"{word}\"")));
        found.map_or(0, |(_, line)| line)
    }

    /// What is wrong about a word that stands in the file.
    pub(super) fn wrong(&self, word: &str, reason: impl Into<String>) -> FileError {
        fault(&self.file, self.line(word), reason)
    }

    pub(super) fn instant(&self, word: &str) -> Result<SimInstant, FileError> {
        word.parse()
            .map_err(|error: domain::ParseError| self.wrong(word, error.to_string()))
    }

    /// An instant at which a supplier sends something: outside the campaign nobody would.
    pub(super) fn instant_within(
        &self,
        word: &str,
        (start, until): (SimInstant, Date),
    ) -> Result<SimInstant, FileError> {
        let at = self.instant(word)?;
        if at < start || migration::day::day_of(at) > until {
            let text = format!("{at} is not in the campaign, which goes from {start} to the end of {until}");
            return Err(self.wrong(word, text));
        }
        Ok(at)
    }

    fn date(&self, word: &str) -> Result<Date, FileError> {
        let expected = format!("expected a date such as 2019-06-10, found {word:?}");
        word.parse().map_err(|_| self.wrong(word, expected))
    }

    fn monday(&self, word: &str) -> Result<Date, FileError> {
        let day = self.date(word)?;
        let monday = migration::day::week_of(day);
        if monday == day {
            return Ok(day);
        }
        Err(self.wrong(word, format!("a week is named by its Monday: {monday}, not {day}")))
    }
}
