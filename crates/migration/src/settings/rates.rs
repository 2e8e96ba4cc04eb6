//! Growth of a cohort, scaling of demand, and capacity as a dated series.

use dmc::FileError;
use jiff::civil::Date;
use serde::Deserialize;

use crate::strict::{self, from_text};

/// How installations are released for migration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A small fixed cap, released by hand.
    LowVolume,
    /// Batched, scheduled, rate-limited.
    Bulk,
}

/// One stage of a cohort's growth, and what must be so before the next begins.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampStage {
    /// Its name.
    pub name: String,
    /// How installations are released.
    pub mode: Mode,
    /// Installations a day.
    pub cap_per_day: u32,
    /// The cap grows by this factor each day of the stage, up to the next stage's cap.
    pub factor_per_day: Option<u32>,
    /// Days the stage lasts at least.
    #[serde(default)]
    pub days_min: u16,
    /// Most installations stranded at its end.
    pub stranded_max: Option<u32>,
    /// Least share of attempts that succeeded during the stage, in per cent.
    pub success_percent_min: Option<u8>,
    /// Oldest open exception at its end, in hours.
    pub oldest_exception_h_max: Option<u32>,
}

/// Scaling of demand, and capacity.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Where it is from.
    pub source: String,
    /// The flat allocation, installations a day.
    pub d_min: u32,
    /// Part of the capacity kept for dormant installations while there are any, in per cent.
    pub dormant_reserve_percent: u8,
    /// Weight of a dormant installation in a slot queue; the lower number goes first.
    pub dormant_priority: u8,
    /// Weight of an active or mixed one.
    pub active_priority: u8,
    /// Capacity from a date on, in order.
    pub capacity: Vec<CapacityPoint>,
}

/// Capacity from a date on.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityPoint {
    /// First day.
    #[serde(deserialize_with = "from_text")]
    pub from: Date,
    /// Installations a day.
    pub per_day: u32,
    /// What other load takes of it, in per cent.
    #[serde(default)]
    pub other_load_percent: u8,
    /// Where that is from.
    pub source: String,
}

impl Scaling {
    /// What migration can have on a day: the last point on or before it, less other load; none before the first.
    #[must_use]
    pub fn capacity_on(&self, day: Date) -> u32 {
        let point = self.capacity.iter().rev().find(|point| point.from <= day);
        point.map_or(0, CapacityPoint::net)
    }
}

impl CapacityPoint {
    /// Installations a day after other load.
    #[must_use]
    pub fn net(&self) -> u32 {
        let left = u64::from(self.per_day) * u64::from(100 - self.other_load_percent.min(100)) / 100;
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RampFile {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "stage")]
    stages: Vec<RampStage>,
}

pub(super) fn read_ramp(file: &str, text: &str) -> Result<Vec<RampStage>, FileError> {
    let stages = strict::toml::<RampFile>(file, text)?.stages;
    if stages.is_empty() {
        return Err(strict::fault(file, 0, "no [[stage]]"));
    }
    for stage in &stages {
        if stage.factor_per_day == Some(0) || stage.cap_per_day == 0 {
            return Err(strict::fault(
                file,
                0,
                format!("stage {:?} never migrates anything", stage.name),
            ));
        }
    }
    Ok(stages)
}

pub(super) fn read_scaling(file: &str, text: &str) -> Result<Scaling, FileError> {
    let scaling: Scaling = strict::toml(file, text)?;
    for percent in [scaling.dormant_reserve_percent]
        .into_iter()
        .chain(scaling.capacity.iter().map(|p| p.other_load_percent))
    {
        if percent > 100 {
            return Err(strict::fault(file, 0, format!("{percent} per cent, at most 100")));
        }
    }
    if !scaling.capacity.is_sorted_by(|a, b| a.from < b.from) {
        return Err(strict::fault(
            file,
            0,
            "the [[capacity]] points are not in the order of their dates",
        ));
    }
    Ok(scaling)
}
