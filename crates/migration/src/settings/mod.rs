//! Everything that real documents would change, as data: compiled in from `fixtures/migration/`, and replaced file by file
//! from a folder of the user's.

mod calendar;
mod cohort;
mod columns;
mod commissioning;
mod configurations;
mod error_table;
mod rates;
mod retry;
mod timers;
mod validation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dmc::FileError;

pub use calendar::{Calendar, Dormant, Moment, Slots, Vulnerable};
pub use cohort::{Category, Cohort, CohortSlug, Criterion, Milestone};
pub(crate) use columns::fields;
pub use columns::{Column, Columns, FileForm};
pub use commissioning::{Form, Planned, Step};
pub use configurations::Configuration;
pub(crate) use error_table::words;
pub use error_table::{ErrorRow, ErrorTable, Outcome, Owner, Stage};
pub use rates::{CapacityPoint, Mode, RampStage, Scaling};
pub use retry::{BatchStop, Class, ClassRule, Retry};
pub use timers::{PerKind, Timers};
pub use validation::{Check, CheckGroup};

use crate::planning::gates::ListedModel;
use crate::strict::{fault, unknown};

/// All settings of a migration.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The week, its cut-offs and slots.
    pub calendar: Calendar,
    /// Cohorts, in the order of the file.
    pub cohorts: Vec<Cohort>,
    /// Columns of the CSV files.
    pub columns: Columns,
    /// The commissioning plan.
    pub commissioning: Vec<Step>,
    /// What devices must have set before.
    pub configurations: Vec<Configuration>,
    /// Named live service criteria, by file name.
    pub criteria: BTreeMap<String, Vec<Criterion>>,
    /// Error codes, classes and outcomes.
    pub errors: ErrorTable,
    /// Exclusion categories.
    pub exclusions: Vec<Category>,
    /// Milestones of the releases.
    pub milestones: Vec<Milestone>,
    /// Growth of a cohort.
    pub ramp: Vec<RampStage>,
    /// Reports and their columns.
    pub reports: Vec<crate::reports::ReportForm>,
    /// Retry classes and attempt limits.
    pub retry: Retry,
    /// Scaling of demand, and capacity.
    pub scaling: Scaling,
    /// Time limits.
    pub timers: Timers,
    /// The validation list.
    pub validation: Vec<CheckGroup>,
    /// Credit below which a prepaid installation is not frozen, in pence.
    pub credit_margin_pence: u32,
}

/// Why settings were refused. They are wholly in or not at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file says something it may not.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder or file could not be read.
    #[error("read settings {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Settings {
    /// The settings that are part of the program.
    ///
    /// # Errors
    /// Never for the files compiled in, which a test proves; as [`Settings::from_files`].
    pub fn builtin() -> Result<Self, FileError> {
        Self::from_files(&BTreeMap::new())
    }

    /// The settings of the program, with the files of a folder in place of those of the same name.
    ///
    /// # Errors
    /// When the folder cannot be read, has a file of another name, or a file says something it may not.
    pub fn load(folder: &Path) -> Result<Self, SettingsError> {
        let read = |path: &Path, source| SettingsError::Read {
            path: path.to_owned(),
            source,
        };
        let mut given = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| read(folder, error))? {
            let path = entry.map_err(|error| read(folder, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() || name.starts_with('.') || name == "README.md" {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(|error| read(&path, error))?;
            given.insert(name, text);
        }
        Ok(Self::from_files(&given)?)
    }

    /// The settings of the program, with these files (name to text) in place of those of the same name.
    ///
    /// # Errors
    /// When a name is not one of the settings' files, or a file says something it may not.
    pub fn from_files(given: &BTreeMap<String, String>) -> Result<Self, FileError> {
        for name in given.keys() {
            let criteria = name.starts_with("live-service-criteria") && name.ends_with(".toml");
            if !criteria && !BUILTIN.iter().any(|(builtin, _)| builtin == name) {
                return Err(unknown(name, 0, "settings file", name, BUILTIN.map(|(name, _)| name)));
            }
        }
        let text = |name: &str| -> (String, &str) {
            let builtin = BUILTIN.iter().find(|(builtin, _)| *builtin == name);
            match (given.get(name), builtin) {
                (Some(text), _) => (name.to_owned(), text.as_str()),
                (None, Some((_, text))) => (format!("fixtures/migration/{name}"), text),
                (None, None) => (name.to_owned(), ""),
            }
        };
        fn read<'t, T>(
            (file, text): (String, &'t str),
            reader: impl FnOnce(&str, &'t str) -> Result<T, FileError>,
        ) -> Result<T, FileError> {
            reader(&file, text)
        }
        let cohorts = read(text("cohorts.toml"), cohort::read)?;
        let mut criteria = BTreeMap::new();
        for cohort in &cohorts {
            let name = &cohort.live_service_criteria;
            if !given.contains_key(name) && !BUILTIN.iter().any(|(builtin, _)| builtin == name) {
                return Err(fault(
                    "cohorts.toml",
                    0,
                    format!(
                        "cohort {} names the criteria file {name:?}, which is not there",
                        cohort.slug
                    ),
                ));
            }
            criteria.insert(name.clone(), read(text(name), cohort::read_criteria)?);
        }
        let exclusions = read(text("exclusions.toml"), cohort::read_exclusions)?;
        let retry = read(text("retry.toml"), retry::read)?;
        let codes: Vec<&str> = exclusions.iter().map(|category| category.code.as_str()).collect();
        if !codes.contains(&retry.exclusion_after_attempts.as_str()) {
            let word = &retry.exclusion_after_attempts;
            return Err(unknown("retry.toml", 0, "exclusion category", word, codes));
        }
        let (validation, credit_margin_pence) = read(text("validation.toml"), validation::read)?;
        Ok(Self {
            calendar: read(text("calendar.toml"), calendar::read)?,
            columns: read(text("columns.toml"), columns::read)?,
            commissioning: read(text("commissioning.toml"), commissioning::read)?,
            configurations: read(text("configurations.toml"), configurations::read)?,
            errors: read(text("errors.csv"), |file, text| error_table::read(file, text, &codes))?,
            milestones: read(text("milestones.csv"), cohort::read_milestones)?,
            ramp: read(text("ramp.toml"), rates::read_ramp)?,
            reports: read(text("reports.toml"), crate::reports::read_forms)?,
            scaling: read(text("scaling.toml"), rates::read_scaling)?,
            timers: read(text("timers.toml"), timers::read)?,
            validation,
            credit_margin_pence,
            cohorts,
            criteria,
            exclusions,
            retry,
        })
    }

    /// What a device of a model must have set before it may be migrated; none: anything will do.
    #[must_use]
    pub fn configuration(&self, model: &ListedModel) -> Option<&Configuration> {
        self.configurations.iter().find(|known| known.is_of(model))
    }

    /// A cohort by its slug.
    #[must_use]
    pub fn cohort(&self, slug: &CohortSlug) -> Option<&Cohort> {
        self.cohorts.iter().find(|cohort| cohort.slug == *slug)
    }
}

/// The files compiled into the program.
const BUILTIN: [(&str, &str); 15] = [
    (
        "calendar.toml",
        include_str!("../../../../fixtures/migration/calendar.toml"),
    ),
    (
        "cohorts.toml",
        include_str!("../../../../fixtures/migration/cohorts.toml"),
    ),
    (
        "columns.toml",
        include_str!("../../../../fixtures/migration/columns.toml"),
    ),
    (
        "commissioning.toml",
        include_str!("../../../../fixtures/migration/commissioning.toml"),
    ),
    (
        "configurations.toml",
        include_str!("../../../../fixtures/migration/configurations.toml"),
    ),
    ("errors.csv", include_str!("../../../../fixtures/migration/errors.csv")),
    (
        "exclusions.toml",
        include_str!("../../../../fixtures/migration/exclusions.toml"),
    ),
    (
        "live-service-criteria.toml",
        include_str!("../../../../fixtures/migration/live-service-criteria.toml"),
    ),
    (
        "milestones.csv",
        include_str!("../../../../fixtures/migration/milestones.csv"),
    ),
    ("ramp.toml", include_str!("../../../../fixtures/migration/ramp.toml")),
    (
        "reports.toml",
        include_str!("../../../../fixtures/migration/reports.toml"),
    ),
    ("retry.toml", include_str!("../../../../fixtures/migration/retry.toml")),
    (
        "scaling.toml",
        include_str!("../../../../fixtures/migration/scaling.toml"),
    ),
    (
        "timers.toml",
        include_str!("../../../../fixtures/migration/timers.toml"),
    ),
    (
        "validation.toml",
        include_str!("../../../../fixtures/migration/validation.toml"),
    ),
];
