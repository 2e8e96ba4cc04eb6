//! The programme without devices: scheduling and scaling over months, for questions of the kind "what if".
//!
//! Installations are counted, not moved: by cohort, supplier, type and failed attempts. Capacity, gates, growth, scaling and
//! the attempt limit are the same code and the same settings as in a campaign; what becomes of an attempt comes from rates,
//! which a campaign's results can calibrate. Deterministic from the seed.
//!
//! ```
//! let scenario = migration::simulate::Scenario::builtin()?;
//! let settings = migration::Settings::builtin()?;
//! let run = migration::simulate::run(&scenario, &settings);
//! assert!(run.days.len() >= 365);
//! # Ok::<(), dmc::FileError>(())
//! ```

mod page;
mod scenario;

use std::collections::BTreeMap;

use domain::{Eui64, Seed};
use jiff::civil::Date;
use rand::{Rng, RngExt as _};

use crate::day::plus_days;
use crate::machine::Campaign;
use crate::machine::campaign::AttemptResult;
use crate::planning::gates::{Environment, cohort_open};
use crate::planning::ramp::{CohortDay, Ramp};
use crate::planning::scaling::{DayDemand, Method, allocate};
use crate::settings::{CohortSlug, Settings};

pub use page::page;
pub use scenario::{Fleet, Late, Rates, Scenario, Slip, Winter};

/// One day of one cohort.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedDay {
    /// Day.
    pub day: Date,
    /// Cohort.
    pub cohort: CohortSlug,
    /// What it may use.
    pub capacity: u32,
    /// Kept for dormant installations.
    pub reserve: u32,
    /// What suppliers want, and dormant installations.
    pub demand: u32,
    /// What they are given.
    pub allocated: u32,
    /// Demand was scaled.
    pub scaled: bool,
    /// Attempts.
    pub attempted: u32,
    /// Of these, successful.
    pub migrated: u32,
    /// Installations not migrated yet, without those excluded.
    pub left: u64,
    /// Stage of growth.
    pub stage: String,
}

/// How one supplier's part of a cohort ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ending {
    /// Migrated.
    pub migrated: u64,
    /// Excluded after the last attempt.
    pub excluded: u64,
    /// Left at the end of the plan.
    pub left: u64,
    /// Wishes that were scaled down, in installation days.
    pub scaled_away: u64,
    /// The day on which nothing was left.
    pub finished: Option<Date>,
}

/// A plan that was run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Name of the scenario.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// Every day and cohort.
    pub days: Vec<PlannedDay>,
    /// By cohort and supplier.
    pub endings: BTreeMap<(CohortSlug, Eui64), Ending>,
    /// Cohorts that never opened, and why.
    pub closed: BTreeMap<CohortSlug, String>,
}

/// Installations of one supplier, cohort and type, by failed attempts.
struct Bucket {
    fleet: usize,
    dormant: bool,
    supplier: Eui64,
    waiting: Vec<u64>,
    /// In the hands of people until a day.
    stuck: BTreeMap<Date, Vec<u64>>,
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: &Scenario, settings: &Settings) -> Plan {
    let mut plan = Plan {
        name: scenario.name.clone(),
        seed: scenario.seed,
        days: Vec::new(),
        endings: BTreeMap::new(),
        closed: BTreeMap::new(),
    };
    let mut cohorts: BTreeMap<CohortSlug, Line> = BTreeMap::new();
    for (number, fleet) in scenario.fleets.iter().enumerate() {
        let line = cohorts
            .entry(fleet.cohort.clone())
            .or_insert_with(|| Line::new(fleet, settings, scenario));
        line.add(number, fleet, settings);
        plan.endings.entry((fleet.cohort.clone(), fleet.supplier)).or_default();
    }
    let days = i32::from(scenario.days);
    for day in (0..days).map(|after| plus_days(scenario.start, after)) {
        if settings.calendar.is_slot_day(day) {
            one_day(day, scenario, settings, &mut cohorts, &mut plan);
        }
    }
    for (slug, line) in &cohorts {
        for bucket in &line.buckets {
            let ending = plan.endings.entry((slug.clone(), bucket.supplier)).or_default();
            ending.left += bucket.left();
        }
        if let Err(reasons) = line.is_open(slug, scenario, settings, plus_days(scenario.start, days - 1)) {
            plan.closed.insert(slug.clone(), reasons);
        }
    }
    plan
}

/// One cohort under way.
struct Line {
    ramp: Ramp,
    buckets: Vec<Bucket>,
    rates: Rates,
    seed: Seed,
}

fn one_day(
    day: Date,
    scenario: &Scenario,
    settings: &Settings,
    cohorts: &mut BTreeMap<CohortSlug, Line>,
    plan: &mut Plan,
) {
    let capacity = scenario.capacity_on(settings, day);
    let mut wishes: BTreeMap<CohortSlug, (BTreeMap<Eui64, u32>, u32)> = BTreeMap::new();
    for (slug, line) in &mut *cohorts {
        if line.is_open(slug, scenario, settings, day).is_ok() {
            line.release(day);
            wishes.insert(slug.clone(), line.wishes(day, scenario));
        }
    }
    let sum = |units: &BTreeMap<Eui64, u32>| units.values().fold(0u32, |sum, units| sum.saturating_add(*units));
    let shares = allocate(
        &DayDemand {
            capacity,
            dormant_reserve: 0,
            dormant_demand: 0,
            demand: wishes
                .iter()
                .map(|(slug, (units, dormant))| {
                    let cap = cohorts.get(slug).map_or(0, |line| line.ramp.cap());
                    (slug.clone(), sum(units).saturating_add(*dormant).min(cap))
                })
                .collect(),
        },
        0,
    );
    for (slug, (demand, dormant)) in wishes {
        let share = shares.units.get(&slug).copied().unwrap_or(0);
        let Some(line) = cohorts.get_mut(&slug) else { continue };
        let reserve = u64::from(share) * u64::from(settings.scaling.dormant_reserve_percent) / 100;
        let asked = DayDemand {
            capacity: share,
            dormant_reserve: u32::try_from(reserve).unwrap_or(u32::MAX),
            dormant_demand: dormant,
            demand,
        };
        let allocation = allocate(&asked, settings.scaling.d_min);
        let active: u32 = sum(&allocation.units);
        for (supplier, units) in &allocation.units {
            let lost = asked.demand.get(supplier).copied().unwrap_or(0).saturating_sub(*units);
            plan.endings.entry((slug.clone(), *supplier)).or_default().scaled_away += u64::from(lost);
        }
        let dormant_units = dormant.min(share.saturating_sub(active));
        let result = line.attempt(day, &slug, &allocation.units, dormant_units, settings, plan);
        let cap = line.ramp.cap();
        let stage = line
            .ramp
            .stage(&settings.ramp)
            .map(|stage| stage.name.clone())
            .unwrap_or_default();
        line.ramp.close_day(&settings.ramp, &result);
        plan.days.push(PlannedDay {
            day,
            capacity: capacity.min(cap),
            reserve: asked.dormant_reserve,
            demand: sum(&asked.demand).saturating_add(dormant),
            allocated: active + dormant_units,
            scaled: allocation.method != Method::Unscaled,
            attempted: result.attempted,
            migrated: result.migrated,
            left: line.buckets.iter().map(Bucket::left).sum(),
            stage,
            cohort: slug,
        });
    }
}

impl Line {
    fn new(fleet: &Fleet, settings: &Settings, scenario: &Scenario) -> Self {
        Self {
            ramp: Ramp::new(&settings.ramp),
            buckets: Vec::new(),
            rates: scenario.rates_of(&fleet.cohort),
            seed: Seed::root(scenario.seed).child(fleet.cohort.as_str()),
        }
    }

    fn add(&mut self, number: usize, fleet: &Fleet, settings: &Settings) {
        let attempts = usize::from(settings.retry.attempts_max);
        let dormant = fleet.installations * u64::from(fleet.dormant_percent.min(100)) / 100;
        for (count, dormant) in [(fleet.installations - dormant, false), (dormant, true)] {
            let mut waiting = vec![0; attempts];
            waiting[0] = count;
            self.buckets.push(Bucket {
                fleet: number,
                dormant,
                supplier: fleet.supplier,
                waiting,
                stuck: BTreeMap::new(),
            });
        }
    }

    /// Whether the cohort migrates on a day, with the scenario's slips and the gap that follows from them.
    fn is_open(&self, slug: &CohortSlug, scenario: &Scenario, settings: &Settings, day: Date) -> Result<(), String> {
        let shifted = plus_days(day, -scenario.slip_days(settings, slug));
        cohort_open(settings, slug, Environment::Live, shifted)
            .map_err(|closed| closed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// Installations that people have put right.
    fn release(&mut self, day: Date) {
        for bucket in &mut self.buckets {
            let later = bucket.stuck.split_off(&plus_days(day, 1));
            for counts in std::mem::replace(&mut bucket.stuck, later).into_values() {
                bucket
                    .waiting
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(waiting, count)| *waiting += count);
            }
        }
    }

    /// What suppliers want today, and how many dormant installations wait.
    fn wishes(&self, day: Date, scenario: &Scenario) -> (BTreeMap<Eui64, u32>, u32) {
        let mut wishes: BTreeMap<Eui64, u32> = BTreeMap::new();
        let mut dormant = 0u32;
        for bucket in &self.buckets {
            let waiting: u64 = bucket.waiting.iter().sum();
            if bucket.dormant {
                dormant = dormant.saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
                continue;
            }
            let wish = scenario.wish(bucket.fleet, day, waiting);
            let sum = wishes.entry(bucket.supplier).or_default();
            *sum = sum.saturating_add(wish);
        }
        (wishes, dormant)
    }

    fn attempt(
        &mut self,
        day: Date,
        slug: &CohortSlug,
        units: &BTreeMap<Eui64, u32>,
        dormant_units: u32,
        settings: &Settings,
        plan: &mut Plan,
    ) -> CohortDay {
        let mut result = CohortDay::default();
        let mut rng = self.seed.child(crate::day::number(day).to_be_bytes()).rng();
        let (mut left, mut dormant) = (units.clone(), dormant_units);
        let rates = self.rates;
        for bucket in &mut self.buckets {
            let room = if bucket.dormant {
                &mut dormant
            } else {
                left.entry(bucket.supplier).or_default()
            };
            let ending = plan.endings.entry((slug.clone(), bucket.supplier)).or_default();
            // Repeated attempts first, as in a campaign.
            for failed in (0..bucket.waiting.len()).rev() {
                let count = u32::try_from(bucket.waiting[failed]).unwrap_or(u32::MAX).min(*room);
                if count == 0 {
                    continue;
                }
                *room -= count;
                bucket.waiting[failed] -= u64::from(count);
                let migrated = binomial(&mut rng, count, rates.success);
                let stuck = binomial(&mut rng, count - migrated, rates.stuck);
                result.attempted += count;
                result.migrated += migrated;
                ending.migrated += u64::from(migrated);
                let again = count - migrated;
                if failed + 1 >= bucket.waiting.len() {
                    ending.excluded += u64::from(again);
                    continue;
                }
                bucket.waiting[failed + 1] += u64::from(again - stuck);
                if stuck > 0 {
                    let back = plus_days(day, i32::from(rates.stuck_days));
                    let attempts = usize::from(settings.retry.attempts_max);
                    bucket.stuck.entry(back).or_insert_with(|| vec![0; attempts])[failed + 1] += u64::from(stuck);
                }
            }
            if bucket.left() == 0 && ending.finished.is_none_or(|finished| finished < day) && result.attempted > 0 {
                ending.finished = Some(day);
            }
        }
        result
    }
}

impl Bucket {
    fn left(&self) -> u64 {
        self.waiting.iter().sum::<u64>() + self.stuck.values().flatten().sum::<u64>()
    }
}

impl Plan {
    /// Installations migrated.
    #[must_use]
    pub fn migrated(&self) -> u64 {
        self.endings.values().map(|ending| ending.migrated).sum()
    }

    /// The days as CSV.
    #[must_use]
    pub fn days_csv(&self) -> String {
        let rows = self.days.iter().map(|day| {
            vec![
                day.day.to_string(),
                day.cohort.to_string(),
                day.stage.clone(),
                day.capacity.to_string(),
                day.reserve.to_string(),
                day.demand.to_string(),
                day.allocated.to_string(),
                if day.scaled { "Y" } else { "N" }.to_owned(),
                day.attempted.to_string(),
                day.migrated.to_string(),
                day.left.to_string(),
            ]
        });
        let headings = [
            "day",
            "cohort",
            "stage",
            "capacity",
            "reserve",
            "demand",
            "allocated",
            "scaled",
            "attempted",
            "migrated",
            "left",
        ];
        crate::strict::write_csv(&headings, rows)
    }

    /// The endings as CSV.
    #[must_use]
    pub fn endings_csv(&self) -> String {
        let rows = self.endings.iter().map(|((cohort, supplier), ending)| {
            vec![
                cohort.to_string(),
                supplier.to_string(),
                ending.migrated.to_string(),
                ending.excluded.to_string(),
                ending.left.to_string(),
                ending.scaled_away.to_string(),
                ending
                    .finished
                    .filter(|_| ending.left == 0)
                    .map(|day| day.to_string())
                    .unwrap_or_default(),
            ]
        });
        let headings = [
            "cohort",
            "supplier",
            "migrated",
            "excluded",
            "left",
            "scaled_away",
            "finished",
        ];
        crate::strict::write_csv(&headings, rows)
    }
}

/// Rates as a campaign showed them, for one cohort; none when nothing was attempted in it.
#[must_use]
pub fn calibrate(campaign: &Campaign, cohort: &CohortSlug) -> Option<Rates> {
    let of_cohort = campaign.outcomes.iter().filter(|outcome| {
        campaign
            .installation(outcome.installation)
            .is_some_and(|known| known.facts.cohort == *cohort)
    });
    let (mut all, mut good, mut stuck) = (0u32, 0u32, 0u32);
    for outcome in of_cohort {
        all += 1;
        match &outcome.result {
            AttemptResult::Migrated | AttemptResult::Partial => good += 1,
            AttemptResult::Failed(failure) if !campaign.settings().retry.rule(failure.class).automatic => stuck += 1,
            AttemptResult::Failed(_) | AttemptResult::Stranded { .. } => {}
        }
    }
    let share = |part: u32, whole: u32| {
        if whole == 0 {
            0.0
        } else {
            f64::from(part) / f64::from(whole)
        }
    };
    (all > 0).then(|| Rates {
        success: share(good, all),
        stuck: share(stuck, all - good),
        ..Rates::default()
    })
}

/// So many of `count` that something of this probability happens to.
fn binomial(rng: &mut impl Rng, count: u32, probability: f64) -> u32 {
    if count == 0 || probability <= 0.0 {
        return 0;
    }
    if probability >= 1.0 {
        return count;
    }
    if count < 200 {
        return (0..count).fold(0, |sum, _| sum + u32::from(rng.random::<f64>() < probability));
    }
    // For many, the normal distribution is as good.
    let mean = f64::from(count) * probability;
    let spread = (mean * (1.0 - probability)).sqrt();
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=count"
    )]
    let drawn = (mean + spread * normal).round().clamp(0.0, f64::from(count)) as u32;
    drawn
}
