//! What is asked of a plan: fleets, rates, and what differs from the settings.

use dmc::FileError;
use domain::Eui64;
use jiff::civil::Date;
use serde::Deserialize;

use crate::day::{days_between, plus_days};
use crate::planning::forecast::Forecast;
use crate::settings::{CapacityPoint, CohortSlug, Settings};
use crate::strict::{self, fault, from_text};

/// A scenario file.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Seed; the same seed gives the same plan.
    pub seed: u64,
    /// First day.
    #[serde(deserialize_with = "from_text")]
    pub start: Date,
    /// How many days.
    pub days: u16,
    /// Days between the live dates of two releases at least, when one of them slips.
    pub gap_days: u16,
    /// What becomes of attempts, where a fleet's cohort has no rates of its own.
    #[serde(default)]
    pub rates: Rates,
    /// Installations with their suppliers' plans.
    #[serde(rename = "fleet")]
    pub fleets: Vec<Fleet>,
    /// Rates of single cohorts.
    #[serde(default, rename = "cohort_rates")]
    pub cohort_rates: Vec<CohortRates>,
    /// Suppliers that begin late.
    #[serde(default)]
    pub late: Vec<Late>,
    /// Releases that slip.
    #[serde(default)]
    pub slip: Vec<Slip>,
    /// Parts of the year with less capacity.
    #[serde(default)]
    pub winter: Vec<Winter>,
    /// Capacity in place of that of the settings.
    #[serde(default)]
    pub capacity: Vec<CapacityPoint>,
}

/// Installations of one supplier in one cohort, and how it wants to migrate them.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// Cohort.
    pub cohort: CohortSlug,
    /// Supplier.
    #[serde(deserialize_with = "from_text")]
    pub supplier: Eui64,
    /// How many.
    pub installations: u64,
    /// Dormant ones among them, in per cent.
    #[serde(default)]
    pub dormant_percent: u8,
    /// First day on which it wants to migrate.
    #[serde(deserialize_with = "from_text")]
    pub start: Date,
    /// Last day.
    #[serde(deserialize_with = "from_text")]
    pub finish: Date,
    /// Installations a day, once grown.
    pub target_per_day: u32,
    /// Weeks of growth.
    #[serde(default)]
    pub ramp_up_weeks: u16,
}

/// What becomes of attempts.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Share that succeeds.
    pub success: f64,
    /// Share of the failures that waits for people.
    pub stuck: f64,
    /// Days until people have put it right.
    pub stuck_days: u16,
}

/// Rates of one cohort.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortRates {
    /// Cohort.
    pub cohort: CohortSlug,
    /// Its rates.
    pub rates: Rates,
}

/// A supplier that begins late.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// Who.
    #[serde(deserialize_with = "from_text")]
    pub supplier: Eui64,
    /// By how much.
    pub weeks: u16,
}

/// A release that slips.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slip {
    /// Which.
    #[serde(deserialize_with = "from_text")]
    pub release: domain::Cohort,
    /// By how much.
    pub weeks: u16,
}

/// A part of the year with less capacity.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Winter {
    /// From.
    #[serde(deserialize_with = "from_text")]
    pub from: Date,
    /// To.
    #[serde(deserialize_with = "from_text")]
    pub to: Date,
    /// What is left of the capacity, in per cent.
    pub capacity_percent: u8,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            success: 0.93,
            stuck: 0.2,
            stuck_days: 10,
        }
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// With file, line and, where one is likely, a suggestion.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let scenario: Self = strict::toml(file, text)?;
        let rates = scenario
            .cohort_rates
            .iter()
            .map(|of| &of.rates)
            .chain([&scenario.rates]);
        for rates in rates {
            if !(0.0..=1.0).contains(&rates.success) || !(0.0..=1.0).contains(&rates.stuck) {
                return Err(fault(file, 0, "rates lie between 0 and 1"));
            }
        }
        if !(1..=3660).contains(&scenario.days) {
            return Err(fault(file, 0, format!("{} days, expected 1 to 3660", scenario.days)));
        }
        if let Some(fleet) = scenario.fleets.iter().find(|fleet| fleet.finish < fleet.start) {
            return Err(fault(
                file,
                0,
                format!("a fleet of {} ends before it starts", fleet.supplier),
            ));
        }
        Ok(scenario)
    }

    /// The scenario that is part of the program.
    ///
    /// # Errors
    /// Never for the file compiled in, which a test proves.
    pub fn builtin() -> Result<Self, FileError> {
        Self::from_toml(
            "fixtures/plans/programme.toml",
            include_str!("../../../../fixtures/plans/programme.toml"),
        )
    }

    /// The same scenario with the fleets that suppliers' forecasts describe. Dormant shares stay those of the scenario's
    /// own fleet of the same cohort and supplier.
    #[must_use]
    pub fn with_forecasts(&self, forecasts: &[Forecast]) -> Self {
        let dormant = |forecast: &Forecast| {
            let same = |fleet: &&Fleet| fleet.cohort == forecast.cohort && fleet.supplier == forecast.supplier;
            self.fleets.iter().find(same).map_or(0, |fleet| fleet.dormant_percent)
        };
        let fleet = |forecast: &Forecast| Fleet {
            cohort: forecast.cohort.clone(),
            supplier: forecast.supplier,
            installations: forecast.installations,
            dormant_percent: dormant(forecast),
            start: forecast.start,
            finish: forecast.finish,
            target_per_day: forecast.target_rate,
            ramp_up_weeks: forecast.ramp_weeks,
        };
        Self {
            fleets: forecasts.iter().map(fleet).collect(),
            ..self.clone()
        }
    }

    /// What the fleets' suppliers want, as forecasts.
    #[must_use]
    pub fn forecasts(&self) -> Vec<Forecast> {
        let forecast = |fleet: &Fleet| Forecast {
            supplier: fleet.supplier,
            cohort: fleet.cohort.clone(),
            start: fleet.start,
            finish: fleet.finish,
            installations: fleet.installations,
            target_rate: fleet.target_per_day,
            ramp_weeks: fleet.ramp_up_weeks,
        };
        self.fleets.iter().map(forecast).collect()
    }

    /// The same scenario with the rates that a campaign showed; cohorts it did not attempt keep theirs.
    #[must_use]
    pub fn calibrated(&self, campaign: &crate::machine::Campaign) -> Self {
        let mut scenario = self.clone();
        for cohort in campaign.cohorts.keys() {
            if let Some(rates) = super::calibrate(campaign, cohort) {
                scenario.cohort_rates.retain(|of| of.cohort != *cohort);
                scenario.cohort_rates.push(CohortRates {
                    cohort: cohort.clone(),
                    rates,
                });
            }
        }
        scenario
    }

    /// Cohorts that the settings do not know; a plan leaves them out.
    pub fn unknown_cohorts<'s>(&'s self, settings: &'s Settings) -> impl Iterator<Item = &'s CohortSlug> {
        self.fleets
            .iter()
            .map(|fleet| &fleet.cohort)
            .filter(|slug| settings.cohort(slug).is_none())
    }

    pub(super) fn rates_of(&self, cohort: &CohortSlug) -> Rates {
        self.cohort_rates
            .iter()
            .find(|of| of.cohort == *cohort)
            .map_or(self.rates, |of| of.rates)
    }

    pub(super) fn capacity_on(&self, settings: &Settings, day: Date) -> u32 {
        let own = self
            .capacity
            .iter()
            .rev()
            .find(|point| point.from <= day)
            .map(CapacityPoint::net);
        let base = own.unwrap_or_else(|| settings.scaling.capacity_on(day));
        let cold = self
            .winter
            .iter()
            .find(|winter| (winter.from..=winter.to).contains(&day));
        let percent = cold.map_or(100, |winter| winter.capacity_percent.min(100));
        u32::try_from(u64::from(base) * u64::from(percent) / 100).unwrap_or(u32::MAX)
    }

    /// Days by which a cohort's release opens later: its own slip, and what keeps the gap to the release before.
    pub(super) fn slip_days(&self, settings: &Settings, cohort: &CohortSlug) -> i32 {
        let Some(cohort) = settings.cohort(cohort) else {
            return 0;
        };
        let live = |release| {
            let milestone = settings
                .milestones
                .iter()
                .find(|m| m.release == release && m.name == "live");
            milestone.map(|milestone| milestone.day)
        };
        let mut before: Option<(Date, bool)> = None;
        for release in [domain::Cohort::Ioc, domain::Cohort::Moc, domain::Cohort::Foc] {
            let Some(planned) = live(release) else { continue };
            let own = self
                .slip
                .iter()
                .find(|slip| slip.release == release)
                .map_or(0, |slip| i32::from(slip.weeks) * 7);
            let mut day = plus_days(planned, own);
            // Only a slip pushes what follows: the plan's own dates stand.
            if let Some((last, slipped)) = before
                && slipped
            {
                day = day.max(plus_days(last, i32::from(self.gap_days)));
            }
            if release == cohort.release {
                return days_between(planned, day);
            }
            before = Some((day, day > planned));
        }
        0
    }

    /// What the supplier of a fleet wants on a day, of so many that wait.
    pub(super) fn wish(&self, fleet: usize, day: Date, waiting: u64) -> u32 {
        let Some(fleet) = self.fleets.get(fleet) else {
            return 0;
        };
        let late = self
            .late
            .iter()
            .find(|late| late.supplier == fleet.supplier)
            .map_or(0, |late| i32::from(late.weeks) * 7);
        let forecast = Forecast {
            supplier: fleet.supplier,
            cohort: fleet.cohort.clone(),
            start: plus_days(fleet.start, late),
            finish: plus_days(fleet.finish, late),
            installations: fleet.installations,
            target_rate: fleet.target_per_day,
            ramp_weeks: fleet.ramp_up_weeks,
        };
        // In the last weeks a supplier wants whatever is left: suppliers leave migration to the end.
        if day <= forecast.finish && days_between(day, forecast.finish) < 7 {
            return u32::try_from(waiting).unwrap_or(u32::MAX);
        }
        forecast.wish(day, waiting)
    }
}
