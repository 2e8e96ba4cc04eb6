//! What a journal adds up to: every installation, cohort, allocation, case and outcome. A fold over the entries and nothing
//! else: the same entries give the same campaign.

mod change;
mod count;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use domain::{Eui64, Mpxn, SimInstant};
use duis::signature::Scheme;
use jiff::civil::Date;

use self::change::{act_on, change, clear_tries};
use super::event::{AllocationRecord, CaseRecord, Entry, Event, FileRecord, StepRecord};
use super::model::{Authorisation, Facts, Failure, Installation};
use crate::InstallationId;
use crate::day::{plus_days, week_of};
use crate::planning::gates::Environment;
use crate::planning::name::FileName;
use crate::planning::ramp::Ramp;
use crate::settings::{CohortSlug, Owner, Settings};

/// Notes kept per installation; the oldest go first, the journal has all.
const NOTES_MAX: usize = 50;

/// Everything that a journal adds up to.
#[derive(Clone, PartialEq, Debug)]
pub struct Campaign {
    settings: Arc<Settings>,
    /// Its name.
    pub name: String,
    /// Seed of the run.
    pub seed: u64,
    /// Live or DUST.
    pub environment: Environment,
    /// What proves its messages; every report names it where that is no signature.
    pub signatures: Scheme,
    pub(super) installations: BTreeMap<InstallationId, Installation>,
    points: BTreeMap<Mpxn, (InstallationId, usize)>,
    pub(super) groups: BTreeMap<String, BTreeSet<InstallationId>>,
    /// Cohorts that have installations.
    pub cohorts: BTreeMap<CohortSlug, CohortState>,
    /// Committed installations by supplier, SMSO and day.
    pub demand: BTreeMap<(Eui64, String, Date), u32>,
    /// Demand files taken, with their days: one that comes again as it was does nothing anew.
    demand_files: BTreeSet<(FileName, Vec<(i32, u32)>)>,
    /// Allocations by day and cohort.
    pub allocations: BTreeMap<(Date, CohortSlug), AllocationRecord>,
    /// Files answered, oldest first.
    pub files: Vec<(SimInstant, FileRecord)>,
    /// Points authorised, each with its weeks.
    authorised: BTreeSet<(Mpxn, Date)>,
    /// Installations that have used a unit of an allocation, by week.
    units: BTreeMap<(Date, InstallationId), Eui64>,
    /// Weeks in which units were used.
    weeks: BTreeSet<Date>,
    /// Units used, by week, supplier and cohort.
    units_used: BTreeMap<(Date, Eui64, CohortSlug), u32>,
    /// Cases by number.
    pub cases: BTreeMap<u64, Case>,
    /// Numbers of open cases, by installation.
    open_cases: BTreeMap<InstallationId, Vec<u64>>,
    /// One outcome per attempt that ended, in the order they ended first.
    pub outcomes: Vec<AttemptOutcome>,
    last_outcome: BTreeMap<InstallationId, usize>,
    /// Notices sent, by installation.
    pub notices: Vec<NoticeRecord>,
    /// Upgrades of firmware, by cohort, combination and the entry they lead to.
    pub upgrades: BTreeMap<(CohortSlug, String, String), UpgradeCount>,
    /// Steps of commissioning plans, for traces.
    pub steps: BTreeMap<InstallationId, Vec<(SimInstant, StepRecord)>>,
    /// Number of entries taken in.
    pub entries: u64,
    /// When it began.
    pub started: SimInstant,
    /// The last day whose plan is complete.
    pub planned: Option<Date>,
}

/// One cohort.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CohortState {
    /// How far it has grown.
    pub ramp: Ramp,
    /// Why nothing begins, and until when.
    pub paused: Option<Pause>,
    /// Its last attempts: true where successful.
    pub recent: VecDeque<bool>,
    /// Its days.
    pub days: BTreeMap<Date, DayCount>,
    /// Days taken into the ramp.
    pub closed: BTreeSet<Date>,
}

/// A pause of a cohort.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Why.
    pub code: String,
    /// Until then; none: until somebody ends it.
    pub until: Option<SimInstant>,
}

/// What happened to a cohort on one day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DayCount {
    /// Slots given.
    pub slotted: u32,
    /// Slots given, by supplier of the allocation; dormant installations count under none.
    pub by_supplier: BTreeMap<Option<Eui64>, u32>,
    /// Attempts of that day that ended.
    pub attempted: u32,
    /// Of these, successful.
    pub migrated: u32,
}

/// A case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// As it was opened.
    pub record: CaseRecord,
    /// Whom it is about; none for one about a file.
    pub installation: Option<InstallationId>,
    /// When it was opened.
    pub opened: SimInstant,
    /// Who has to act now.
    pub owner: Owner,
    /// Who works on it.
    pub claimed_by: Option<String>,
    /// Why nothing happens by itself.
    pub held: Option<String>,
    /// How it ended.
    pub resolution: Option<String>,
    /// What was done: when, by whom, what.
    pub history: Vec<(SimInstant, String, String)>,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptOutcome {
    /// Whose.
    pub installation: InstallationId,
    /// Number of the attempt.
    pub attempt: u32,
    /// Day of its slot.
    pub day: Date,
    /// When it ended.
    pub at: SimInstant,
    /// How.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttemptResult {
    /// Before the point of no return.
    Failed(Failure),
    /// All of it migrated.
    Migrated,
    /// Electricity migrated, gas was left out.
    Partial,
    /// After the point of no return; it may still recover.
    Stranded {
        /// Code.
        code: String,
    },
}

/// A notice that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeRecord {
    /// Number.
    pub notice: String,
    /// Which installation.
    pub installation: InstallationId,
    /// Which point.
    pub mpxn: Mpxn,
    /// Of firmware, or of the migration.
    pub firmware: bool,
    /// When it was sent.
    pub sent: SimInstant,
    /// The day it announces.
    pub planned: Date,
}

/// Progress of upgrades from one combination to one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UpgradeCount {
    /// Devices to be upgraded.
    pub planned: u32,
    /// Done.
    pub upgraded: u32,
    /// Tries that failed.
    pub failed: u32,
    /// Tries that failed for want of an image.
    pub no_image: u32,
}

impl Case {
    /// Whether somebody still has to act.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }
}

impl AttemptResult {
    /// The word of reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Migrated => "migrated",
            Self::Partial => "partially-migrated",
            Self::Stranded { .. } => "stranded",
        }
    }

    /// Whether the installation (or its electricity) is with the DCC now.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Migrated | Self::Partial)
    }
}

impl Campaign {
    /// Before the first entry.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            name: String::new(),
            seed: 0,
            environment: Environment::Live,
            signatures: Scheme::default(),
            installations: BTreeMap::new(),
            points: BTreeMap::new(),
            groups: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            demand: BTreeMap::new(),
            demand_files: BTreeSet::new(),
            allocations: BTreeMap::new(),
            files: Vec::new(),
            authorised: BTreeSet::new(),
            units: BTreeMap::new(),
            weeks: BTreeSet::new(),
            units_used: BTreeMap::new(),
            cases: BTreeMap::new(),
            open_cases: BTreeMap::new(),
            outcomes: Vec::new(),
            last_outcome: BTreeMap::new(),
            notices: Vec::new(),
            upgrades: BTreeMap::new(),
            steps: BTreeMap::new(),
            entries: 0,
            started: SimInstant(0),
            planned: None,
        }
    }

    /// The settings it is run under.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// All installations, by name.
    pub fn installations(&self) -> impl Iterator<Item = &Installation> {
        self.installations.values()
    }

    /// One installation.
    #[must_use]
    pub fn installation(&self, id: InstallationId) -> Option<&Installation> {
        self.installations.get(&id)
    }

    /// The installation of a metering point.
    #[must_use]
    pub fn by_mpxn(&self, mpxn: Mpxn) -> Option<&Installation> {
        self.installations.get(&self.points.get(&mpxn)?.0)
    }

    /// Whether a point is authorised for a week.
    #[must_use]
    pub fn is_authorised(&self, mpxn: Mpxn, week: Date) -> bool {
        self.authorised.contains(&(mpxn, week))
    }

    /// Whether an installation has used a unit for a week.
    #[must_use]
    pub fn has_unit(&self, installation: InstallationId, week: Date) -> bool {
        self.units.contains_key(&(week, installation))
    }

    /// Units of a supplier and cohort used in a week.
    #[must_use]
    pub fn units_used(&self, supplier: Eui64, cohort: &CohortSlug, week: Date) -> u32 {
        let key = (week, supplier, cohort.clone());
        self.units_used.get(&key).copied().unwrap_or(0)
    }

    /// Whether a demand file of this name was taken with the same days.
    #[must_use]
    pub fn has_demand_file(&self, name: &FileName, days: &[(i32, u32)]) -> bool {
        self.demand_files.contains(&(name.clone(), days.to_vec()))
    }

    /// Installations authorised in a week, by their supplier of electricity.
    pub fn authorised_in(&self, week: Date) -> impl Iterator<Item = (InstallationId, Eui64)> {
        let from = (week, InstallationId(Eui64(0)));
        let to = (plus_days(week, 1), InstallationId(Eui64(0)));
        self.units.range(from..to).map(|((_, id), who)| (*id, *who))
    }

    /// Takes in one entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.entries += 1;
        if let Some(id) = entry.installation {
            self.apply_to_installation(id, entry);
        }
        match &entry.event {
            Event::Started {
                name,
                seed,
                environment,
            } => {
                (self.name, self.seed, self.environment) = (name.clone(), *seed, *environment);
                self.started = entry.at;
            }
            Event::StartedWithoutSignatures {
                name,
                seed,
                environment,
            } => {
                (self.name, self.seed, self.environment) = (name.clone(), *seed, *environment);
                self.signatures = Scheme::None;
                self.started = entry.at;
            }
            Event::FileAnswered(record) => self.answered(entry.at, record),
            Event::Demand {
                file,
                supplier,
                smso,
                committed,
                days,
            } => {
                if let Ok(name) = FileName::read(&self.settings.columns, file) {
                    self.demand_files.insert((name, days.clone()));
                }
                for (day, units) in days.iter().filter(|_| *committed) {
                    let day = crate::day::of_number(*day);
                    self.demand.insert((*supplier, smso.clone(), day), *units);
                }
            }
            Event::Allocated(record) => {
                self.allocations
                    .insert((record.day, record.cohort.clone()), record.clone());
            }
            Event::DayClosed { day, cohort, result } => {
                let stages = &self.settings.ramp;
                let cohort = self.cohorts.entry(cohort.clone()).or_default();
                if cohort.closed.insert(*day) {
                    cohort.ramp.close_day(stages, result);
                }
            }
            Event::DayPlanned { day } => self.planned = self.planned.max(Some(*day)),
            Event::CohortPaused { cohort, code, until } => {
                let cohort = self.cohorts.entry(cohort.clone()).or_default();
                cohort.paused = Some(Pause {
                    code: code.clone(),
                    until: *until,
                });
            }
            Event::CohortResumed { cohort, .. } => {
                let cohort = self.cohorts.entry(cohort.clone()).or_default();
                cohort.paused = None;
                cohort.recent.clear();
            }
            Event::CaseOpened(record) => {
                let case = Case {
                    owner: record.owner,
                    record: record.clone(),
                    installation: entry.installation,
                    opened: entry.at,
                    claimed_by: None,
                    held: None,
                    resolution: None,
                    history: Vec::new(),
                };
                self.cases.insert(record.case, case);
                if let Some(id) = entry.installation {
                    self.open_cases.entry(id).or_default().push(record.case);
                }
            }
            Event::CaseActed { case, by, act } => {
                if let Some(case) = self.cases.get_mut(case) {
                    act_on(case, entry.at, by, act);
                    if !case.is_open()
                        && let Some(id) = case.installation
                        && let Some(open) = self.open_cases.get_mut(&id)
                    {
                        open.retain(|number| *number != case.record.case);
                    }
                }
            }
            _ => {}
        }
    }

    fn apply_to_installation(&mut self, id: InstallationId, entry: &Entry) {
        if let Event::Registered(facts) = &entry.event {
            self.register(facts, entry.at);
            return;
        }
        self.count(id, entry);
        let Some(installation) = self.installations.get_mut(&id) else {
            return;
        };
        change(installation, entry);
        if let Some((_, to)) = entry.change {
            installation.state = to;
            installation.unprepared = 0;
            installation.since = entry.at;
            clear_tries(&mut installation.attempt);
        }
        match &entry.event {
            Event::Slotted { group, .. } => {
                self.groups.entry(group.clone()).or_default().insert(id);
            }
            Event::Authorised { mpxn, authorisation } => {
                let week = week_of(authorisation.not_before);
                self.authorise(id, *mpxn, week, authorisation);
            }
            Event::Unauthorised { mpxn, .. } => self.unauthorise(id, *mpxn),
            _ => {}
        }
    }

    /// Takes in the rows of a file, all at once.
    fn answered(&mut self, at: SimInstant, record: &FileRecord) {
        for (mpxn, authorisation) in record.rows.iter().filter_map(|row| row.accepted.as_ref()) {
            let Some((id, position)) = self.points.get(mpxn).copied() else {
                continue;
            };
            let known = self.installations.get_mut(&id);
            if let Some(point) = known.and_then(|known| known.points.get_mut(position)) {
                point.authorisation.clone_from(authorisation);
            }
            match (authorisation, record.week) {
                (Some(authorisation), Some(week)) => self.authorise(id, *mpxn, week, authorisation),
                _ => self.unauthorise(id, *mpxn),
            }
        }
        self.files.push((at, record.clone()));
    }

    fn authorise(&mut self, id: InstallationId, mpxn: Mpxn, week: Date, authorisation: &Authorisation) {
        self.authorised.insert((mpxn, week));
        let Some(known) = self.installations.get(&id) else {
            return;
        };
        let active = known
            .facts
            .points
            .iter()
            .any(|point| point.mpxn == mpxn && point.active);
        if active && !self.units.contains_key(&(week, id)) {
            let supplier = authorisation.supplier;
            self.units.insert((week, id), supplier);
            self.weeks.insert(week);
            let key = (week, supplier, known.facts.cohort.clone());
            *self.units_used.entry(key).or_default() += 1;
        }
    }

    fn unauthorise(&mut self, id: InstallationId, mpxn: Mpxn) {
        let of_point = (mpxn, Date::MIN)..=(mpxn, Date::MAX);
        let weeks: Vec<_> = self.authorised.range(of_point).copied().collect();
        for week in weeks {
            self.authorised.remove(&week);
        }
        let Some(known) = self.installations.get(&id) else {
            return;
        };
        if known.points.iter().any(|point| point.authorisation.is_some()) {
            return;
        }
        for week in &self.weeks {
            if let Some(supplier) = self.units.remove(&(*week, id))
                && let Some(used) = self.units_used.get_mut(&(*week, supplier, known.facts.cohort.clone()))
            {
                *used = used.saturating_sub(1);
            }
        }
    }

    /// Numbers of the open cases of an installation.
    pub fn open_cases_of(&self, id: InstallationId) -> impl Iterator<Item = u64> {
        self.open_cases.get(&id).into_iter().flatten().copied()
    }

    fn register(&mut self, facts: &Facts, at: SimInstant) {
        for (position, point) in facts.points.iter().enumerate() {
            self.points.insert(point.mpxn, (facts.id, position));
        }
        let stages = &self.settings.ramp;
        self.cohorts.entry(facts.cohort.clone()).or_insert_with(|| CohortState {
            ramp: Ramp::new(stages),
            ..CohortState::default()
        });
        self.installations
            .insert(facts.id, Installation::new(facts.clone(), at));
    }
}

/// The models of an installation in one line: how reports name a combination.
#[must_use]
pub fn combination_text(facts: &Facts) -> String {
    let mut parts: Vec<String> = facts
        .devices
        .iter()
        .filter(|device| device.kind != domain::DeviceKind::Ihd && device.kind != domain::DeviceKind::Gpf)
        .map(|device| format!("{}@{}", device.model.model, device.model.firmware))
        .collect();
    parts.push(facts.provider.as_str().to_owned());
    parts.join("+")
}
