//! Cohorts, the milestones of their releases, live service criteria and exclusion categories.

use std::fmt;
use std::sync::Arc;

use dmc::FileError;
use domain::Confidence;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

use crate::strict::{self, fault, from_text};

/// The short name of a cohort, for example `ioc` or `moc-mds`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CohortSlug(Arc<str>);

/// Installations that migrate together.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Its short name.
    pub slug: CohortSlug,
    /// The release that opens it.
    #[serde(deserialize_with = "from_text")]
    pub release: domain::Cohort,
    /// Short code of the SMSO that operates it.
    pub smso: String,
    /// What it is.
    pub text: String,
    /// Carriers of its WAN.
    #[serde(deserialize_with = "providers")]
    pub communications_providers: Vec<domain::CommunicationsProvider>,
    /// Whether the programme was directed to include it.
    pub directed: bool,
    /// Whether migration in DUST is closed for it.
    pub dust_closed: bool,
    /// File of its live service criteria.
    pub live_service_criteria: String,
}

/// A dated milestone of a release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Milestone {
    /// Which release.
    pub release: domain::Cohort,
    /// What is reached, for example `live`.
    pub name: String,
    /// When.
    pub day: Date,
    /// Where that is from.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// One live service criterion.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name.
    pub id: String,
    /// What it asks.
    pub text: String,
    /// Whether it is met.
    pub met: bool,
}

/// One exclusion category.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its code.
    pub code: String,
    /// What it means.
    pub text: String,
    /// Only the gas meter stays behind.
    #[serde(default)]
    pub gas_only: bool,
    /// The supplier must have stated that it reasonably believes so.
    #[serde(default)]
    pub needs_statement: bool,
}

impl CohortSlug {
    /// From a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CohortSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for CohortSlug {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CohortSlug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

fn providers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<domain::CommunicationsProvider>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let each = words.iter().map(|word| word.parse().map_err(serde::de::Error::custom));
    each.collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CohortFile {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "cohort")]
    cohorts: Vec<Cohort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriteriaFile {
    #[serde(rename = "source")]
    _source: String,
    #[serde(default, rename = "criterion")]
    criteria: Vec<Criterion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExclusionFile {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "category")]
    categories: Vec<Category>,
}

pub(super) fn read(file: &str, text: &str) -> Result<Vec<Cohort>, FileError> {
    let cohorts = strict::toml::<CohortFile>(file, text)?.cohorts;
    for (position, cohort) in cohorts.iter().enumerate() {
        if cohorts[..position].iter().any(|other| other.slug == cohort.slug) {
            return Err(fault(file, 0, format!("cohort {} stands here twice", cohort.slug)));
        }
    }
    Ok(cohorts)
}

pub(super) fn read_criteria(file: &str, text: &str) -> Result<Vec<Criterion>, FileError> {
    Ok(strict::toml::<CriteriaFile>(file, text)?.criteria)
}

pub(super) fn read_exclusions(file: &str, text: &str) -> Result<Vec<Category>, FileError> {
    let categories = strict::toml::<ExclusionFile>(file, text)?.categories;
    match categories.iter().find(|category| !category.code.starts_with("LAB-")) {
        Some(category) => Err(fault(
            file,
            0,
            format!("code {:?} does not begin with LAB-", category.code),
        )),
        None => Ok(categories),
    }
}

pub(super) fn read_milestones(file: &str, text: &str) -> Result<Vec<Milestone>, FileError> {
    const COLUMNS: [&str; 5] = ["release", "milestone", "date", "source", "confidence"];
    let rows = strict::csv(file, text, &COLUMNS)?;
    let each = rows.iter().map(|row| {
        Ok(Milestone {
            release: row.parse(file, 0, COLUMNS[0])?,
            name: row.value(1).to_owned(),
            day: row.parse(file, 2, COLUMNS[2])?,
            source: row.value(3).to_owned(),
            confidence: row.parse(file, 4, COLUMNS[4])?,
        })
    });
    each.collect()
}
