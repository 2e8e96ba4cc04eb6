//! Plans: reads what is asked, runs the simulation of room `migration`, and writes tables and a page.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::file_store::FileReader;
use migration::machine::{Campaign, journal};
use migration::planning::forecast;
use migration::simulate::{self, Plan, Scenario};
use migration::{Settings, SettingsError};

/// What to plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Scenario; the built-in one without.
    pub scenario: Option<PathBuf>,
    /// Folder of settings.
    pub settings: Option<PathBuf>,
    /// Forecasts of suppliers.
    pub forecast: Option<PathBuf>,
    /// Journal of a campaign to take rates from.
    pub calibrate: Option<PathBuf>,
    /// Seed in place of the scenario's.
    pub seed: Option<u64>,
}

/// A plan that could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file says something it may not.
    #[error(transparent)]
    File(#[from] dmc::FileError),
    /// A campaign's journal.
    #[error("read the journal to calibrate from")]
    Journal(#[from] journal::JournalError),
    /// A file could not be read or written.
    #[error("read or write {}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// A plan with what it was made from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    settings: Settings,
    scenario: Scenario,
}

/// Makes a plan.
///
/// # Errors
/// [`PlanError`]; the message names file and line.
pub fn run(options: &Options) -> Result<Planned, PlanError> {
    let settings = match &options.settings {
        Some(folder) => Settings::load(folder)?,
        None => Settings::builtin()?,
    };
    let mut scenario = match &options.scenario {
        Some(path) => Scenario::from_toml(&path.display().to_string(), &read(path)?)?,
        None => Scenario::builtin()?,
    };
    if let Some(path) = &options.forecast {
        let forecasts = forecast::read(&settings.columns, &path.display().to_string(), &read(path)?)?;
        scenario = scenario.with_forecasts(&forecasts);
    }
    if let Some(folder) = &options.calibrate {
        let mut campaign = Campaign::new(Arc::new(settings.clone()));
        journal::replay(&FileReader::new(folder), &mut |_, entry| campaign.apply(&entry))?;
        scenario = scenario.calibrated(&campaign);
    }
    if let Some(seed) = options.seed {
        scenario.seed = seed;
    }
    let unknown = scenario.unknown_cohorts(&settings).next().cloned();
    if let Some(cohort) = unknown {
        let known = settings.cohorts.iter().map(|known| known.slug.as_str());
        let file = options
            .scenario
            .as_deref()
            .unwrap_or(Path::new("scenario"))
            .display()
            .to_string();
        return Err(migration::strict::unknown(&file, 0, "cohort", cohort.as_str(), known).into());
    }
    Ok(Planned {
        plan: simulate::run(&scenario, &settings),
        settings,
        scenario,
    })
}

impl Planned {
    /// Writes `index.html`, `days.csv`, `endings.csv`, and the forecasts' master profile `profile.csv`.
    ///
    /// # Errors
    /// When a file cannot be written; those written before it stay.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, PlanError> {
        let fault = |path: &Path, cause| PlanError::Path {
            path: path.to_owned(),
            cause,
        };
        std::fs::create_dir_all(folder).map_err(|cause| fault(folder, cause))?;
        let index = folder.join("index.html");
        let page = simulate::page(&self.plan).map_err(|error| fault(&index, std::io::Error::other(error)))?;
        let profile = forecast::consolidate(&self.scenario.forecasts());
        let mut written = Vec::new();
        for (name, text) in [
            ("index.html", page),
            ("days.csv", self.plan.days_csv()),
            ("endings.csv", self.plan.endings_csv()),
            ("profile.csv", forecast::write_profile(&self.settings.columns, &profile)),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|cause| fault(&path, cause))?;
            written.push(path);
        }
        Ok(written)
    }

    /// For the terminal: how each supplier's part ends.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{}: seed {}, {} installations migrated in {} days",
            self.plan.name,
            self.plan.seed,
            self.plan.migrated(),
            self.scenario.days
        )];
        for ((cohort, supplier), ending) in &self.plan.endings {
            let finished = ending.finished.filter(|_| ending.left == 0);
            let end = finished.map_or_else(|| format!("{} left", ending.left), |day| format!("finished {day}"));
            lines.push(format!(
                "  {cohort:<12} {supplier}  {:>9} migrated  {:>7} excluded  {end}",
                ending.migrated, ending.excluded
            ));
        }
        for (cohort, why) in &self.plan.closed {
            lines.push(format!("  {cohort:<12} never opens: {why}"));
        }
        let scaled = self.plan.days.iter().filter(|day| day.scaled).count();
        lines.push(format!(
            "demand was scaled on {scaled} of {} days and cohorts",
            self.plan.days.len()
        ));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let endings = self.plan.endings.iter().map(|((cohort, supplier), ending)| {
            serde_json::json!({
                "cohort": cohort.as_str(),
                "supplier": supplier.to_string(),
                "migrated": ending.migrated,
                "excluded": ending.excluded,
                "left": ending.left,
                "scaled_away": ending.scaled_away,
                "finished": ending.finished.filter(|_| ending.left == 0).map(|day| day.to_string()),
            })
        });
        serde_json::json!({
            "name": self.plan.name,
            "seed": self.plan.seed,
            "days": self.scenario.days,
            "migrated": self.plan.migrated(),
            "endings": endings.collect::<Vec<_>>(),
        })
    }
}

fn read(path: &Path) -> Result<String, PlanError> {
    std::fs::read_to_string(path).map_err(|cause| PlanError::Path {
        path: path.to_owned(),
        cause,
    })
}
