//! What must be open before anything migrates: the cohort (directed, live, criteria met, DUST not closed) and the
//! combination of device models (EPCL, CPL).

use std::fmt;

use domain::{CommunicationsProvider, DeviceKind};
use jiff::civil::Date;

use crate::settings::{CohortSlug, Settings};

/// Where a campaign runs: the live system, or the test environment of suppliers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// DUST: migration testing for users.
    Dust,
    /// The live system.
    #[default]
    Live,
}

/// Why a cohort does not migrate.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Closed {
    /// A live service criterion is not met.
    Criterion {
        /// Its id.
        id: String,
        /// What it asks.
        text: String,
    },
    /// Migration in DUST is closed for it.
    DustClosed,
    /// The programme was not directed to include it.
    NotDirected,
    /// Its milestone lies ahead, or has no date.
    NotYet {
        /// The milestone.
        milestone: &'static str,
        /// Its date.
        day: Option<Date>,
    },
    /// No such cohort.
    Unknown,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Criterion { id, text } => write!(f, "live service criterion {id} is not met: {text}"),
            Self::DustClosed => f.write_str("migration in DUST is closed for it"),
            Self::NotDirected => f.write_str("it is not directed"),
            Self::NotYet {
                milestone,
                day: Some(day),
            } => write!(f, "milestone {milestone} is on {day}"),
            Self::NotYet { milestone, day: None } => write!(f, "milestone {milestone} has no date"),
            Self::Unknown => f.write_str("there is no such cohort"),
        }
    }
}

/// Whether a cohort migrates on a day. All reasons against it are given.
///
/// # Errors
/// The reasons.
pub fn cohort_open(
    settings: &Settings,
    cohort: &CohortSlug,
    environment: Environment,
    day: Date,
) -> Result<(), Vec<Closed>> {
    let Some(cohort) = settings.cohort(cohort) else {
        return Err(vec![Closed::Unknown]);
    };
    let mut closed = Vec::new();
    if !cohort.directed {
        closed.push(Closed::NotDirected);
    }
    let milestone = match environment {
        Environment::Dust => "migration-testing-in-dust",
        Environment::Live => "live",
    };
    let date = settings
        .milestones
        .iter()
        .find(|entry| entry.release == cohort.release && entry.name == milestone)
        .map(|entry| entry.day);
    if date.is_none_or(|date| day < date) {
        closed.push(Closed::NotYet { milestone, day: date });
    }
    match environment {
        Environment::Dust if cohort.dust_closed => closed.push(Closed::DustClosed),
        Environment::Dust => {}
        Environment::Live => {
            let criteria = settings.criteria.get(&cohort.live_service_criteria);
            let unmet = criteria.into_iter().flatten().filter(|criterion| !criterion.met);
            closed.extend(unmet.map(|criterion| Closed::Criterion {
                id: criterion.id.clone(),
                text: criterion.text.clone(),
            }));
        }
    }
    if closed.is_empty() { Ok(()) } else { Err(closed) }
}

/// A device model as the EPCL and the CPL have it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ListedModel {
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware.
    pub firmware: String,
}

/// The device models of one installation with its carrier: what an EPCL entry approves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Combination {
    /// Carrier of the WAN.
    pub provider: CommunicationsProvider,
    /// Hub.
    pub hub: ListedModel,
    /// Electricity meter.
    pub esme: ListedModel,
    /// Gas meter, where there is one.
    pub gsme: Option<ListedModel>,
    /// Prepayment interface, where there is one.
    pub ppmid: Option<ListedModel>,
}

/// The lists that say what may be enrolled, at an instant.
pub trait Lists {
    /// The id of the entry of the EPCL that approves a combination on a day.
    fn epcl(&self, combination: &Combination, day: Date) -> Option<String>;
    /// Whether a model is Active on the CPL.
    fn cpl_active(&self, kind: DeviceKind, model: &ListedModel) -> bool;
    /// When an EPCL entry was first added and from which source.
    fn entry_facts(&self, _epcl: &str) -> Option<(String, String)> {
        None
    }
    /// The nearest approved combination that upgrades of firmware alone lead to, with its entry.
    fn upgrade_target(&self, combination: &Combination, day: Date) -> Option<(String, Combination)>;
}

impl fmt::Display for ListedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.manufacturer, self.model, self.firmware)
    }
}

impl Combination {
    /// The same but for firmware.
    #[must_use]
    pub fn same_hardware(&self, other: &Self) -> bool {
        let same = |a: &ListedModel, b: &ListedModel| a.manufacturer == b.manufacturer && a.model == b.model;
        let same_optional = |a: &Option<ListedModel>, b: &Option<ListedModel>| match (a, b) {
            (Some(a), Some(b)) => same(a, b),
            (None, None) => true,
            _ => false,
        };
        self.provider == other.provider
            && same(&self.hub, &other.hub)
            && same(&self.esme, &other.esme)
            && same_optional(&self.gsme, &other.gsme)
            && same_optional(&self.ppmid, &other.ppmid)
    }
}
