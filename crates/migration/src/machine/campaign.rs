//! What a journal adds up to: every installation, cohort, allocation, case and outcome. A fold over the entries and nothing
//! else: the same entries give the same campaign.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use domain::{Eui64, Mpxn, SimInstant};
use jiff::civil::Date;

use super::event::{AllocationRecord, CaseAct, CaseRecord, Entry, Event, FileRecord, StepRecord};
use super::model::{
    Attempt, Authorisation, DeviceProgress, Facts, Failure, Installation, Note, PendingChange, Triage, Unwind,
};
use super::state::State;
use crate::InstallationId;
use crate::day::{day_of, plus_days, week_of};
use crate::planning::gates::Environment;
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
    pub(super) installations: BTreeMap<InstallationId, Installation>,
    points: BTreeMap<Mpxn, (InstallationId, usize)>,
    pub(super) groups: BTreeMap<String, BTreeSet<InstallationId>>,
    /// Cohorts that have installations.
    pub cohorts: BTreeMap<CohortSlug, CohortState>,
    /// Committed installations by supplier, SMSO and day.
    pub demand: BTreeMap<(Eui64, String, Date), u32>,
    /// Allocations by day and cohort.
    pub allocations: BTreeMap<(Date, CohortSlug), AllocationRecord>,
    /// Files answered, oldest first.
    pub files: Vec<(SimInstant, FileRecord)>,
    /// Points authorised, by week.
    authorised: BTreeSet<(Date, Mpxn)>,
    /// Installations that have used a unit of an allocation, by week.
    units: BTreeMap<(Date, InstallationId), Eui64>,
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
            installations: BTreeMap::new(),
            points: BTreeMap::new(),
            groups: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            demand: BTreeMap::new(),
            allocations: BTreeMap::new(),
            files: Vec::new(),
            authorised: BTreeSet::new(),
            units: BTreeMap::new(),
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
        self.authorised.contains(&(week, mpxn))
    }

    /// Whether an installation has used a unit for a week.
    #[must_use]
    pub fn has_unit(&self, installation: InstallationId, week: Date) -> bool {
        self.units.contains_key(&(week, installation))
    }

    /// Units of a supplier and cohort used in a week.
    #[must_use]
    pub fn units_used(&self, supplier: Eui64, cohort: &CohortSlug, week: Date) -> u32 {
        let from = (week, InstallationId(Eui64(0)));
        let to = (plus_days(week, 1), InstallationId(Eui64(0)));
        let used = self.units.range(from..to).filter(|((_, id), who)| {
            **who == supplier
                && self
                    .installations
                    .get(id)
                    .is_some_and(|known| known.facts.cohort == *cohort)
        });
        u32::try_from(used.count()).unwrap_or(u32::MAX)
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
            Event::FileAnswered(record) => self.answered(entry.at, record),
            Event::Demand {
                supplier,
                smso,
                committed: true,
                days,
                ..
            } => {
                for (day, units) in days {
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
        self.authorised.insert((week, mpxn));
        let known = self.installations.get(&id);
        let active = known.is_some_and(|known| {
            known
                .facts
                .points
                .iter()
                .any(|point| point.mpxn == mpxn && point.active)
        });
        if active {
            self.units.entry((week, id)).or_insert(authorisation.supplier);
        }
    }

    fn unauthorise(&mut self, id: InstallationId, mpxn: Mpxn) {
        self.authorised.retain(|(_, point)| *point != mpxn);
        let none_left = |known: &Installation| known.points.iter().all(|point| point.authorisation.is_none());
        if self.installations.get(&id).is_some_and(none_left) {
            self.units.retain(|(_, unit), _| *unit != id);
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

    /// What reports and gates count.
    fn count(&mut self, id: InstallationId, entry: &Entry) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let cohort = installation.facts.cohort.clone();
        let attempt = &installation.attempt;
        let day = attempt.day.unwrap_or_else(|| day_of(entry.at));
        match &entry.event {
            Event::Slotted { day, .. } => {
                let unit = installation
                    .facts
                    .points
                    .iter()
                    .zip(&installation.points)
                    .find(|(facts, _)| facts.active)
                    .and_then(|(_, progress)| progress.authorisation.as_ref())
                    .map(|authorisation| authorisation.supplier);
                let count = self.cohorts.entry(cohort).or_default().days.entry(*day).or_default();
                count.slotted += 1;
                *count.by_supplier.entry(unit).or_default() += 1;
            }
            Event::Failed { failure, .. } if is_attempt(failure.state) => {
                let result = AttemptResult::Failed(failure.clone());
                self.outcome(id, day, entry.at, result);
            }
            Event::Triaged { code, .. } if is_attempt(installation.state) => {
                let failure = Failure {
                    code: code.clone(),
                    class: crate::settings::Class::Fatal,
                    condition: "triage".into(),
                    detail: String::new(),
                    state: installation.state,
                    counted: false,
                    day: Some(day),
                };
                self.outcome(id, day, entry.at, AttemptResult::Failed(failure));
            }
            Event::Stranded { code } => self.outcome(id, day, entry.at, AttemptResult::Stranded { code: code.clone() }),
            Event::Confirmed => {
                let result = if installation.is_partial() {
                    AttemptResult::Partial
                } else {
                    AttemptResult::Migrated
                };
                self.outcome(id, day, entry.at, result);
            }
            Event::Notice {
                notice,
                mpxn,
                firmware,
                planned,
            } => self.notices.push(NoticeRecord {
                notice: notice.clone(),
                installation: id,
                mpxn: *mpxn,
                firmware: *firmware,
                sent: entry.at,
                planned: *planned,
            }),
            Event::UpgradeNeeded { epcl, upgrades } => {
                let key = (cohort, combination_text(&installation.facts), epcl.clone());
                self.upgrades.entry(key).or_default().planned += u32::try_from(upgrades.len()).unwrap_or(u32::MAX);
            }
            Event::Upgraded { .. } => self.count_upgrade(id, |count| count.upgraded += 1),
            Event::TryFailed { condition, .. } if installation.state == State::NeedsFirmware => {
                let missing = condition == "image-missing";
                self.count_upgrade(id, |count| {
                    if missing {
                        count.no_image += 1
                    } else {
                        count.failed += 1
                    }
                });
            }
            Event::Failed { failure, .. } if installation.state == State::NeedsFirmware => {
                let missing = failure.condition == "image-missing";
                self.count_upgrade(id, |count| {
                    if missing {
                        count.no_image += 1
                    } else {
                        count.failed += 1
                    }
                });
            }
            Event::StepDone(step) => self.steps.entry(id).or_default().push((entry.at, step.clone())),
            _ => {}
        }
    }

    fn count_upgrade(&mut self, id: InstallationId, count: impl FnOnce(&mut UpgradeCount)) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let Some(epcl) = &installation.epcl else { return };
        let of = |(cohort, _, to): &(CohortSlug, String, String)| *cohort == installation.facts.cohort && to == epcl;
        if let Some((_, found)) = self.upgrades.iter_mut().find(|(key, _)| of(key)) {
            count(found);
        }
    }

    /// Writes down how an attempt ended; a stranded one that recovers keeps its place.
    fn outcome(&mut self, id: InstallationId, day: Date, at: SimInstant, result: AttemptResult) {
        let Some(installation) = self.installations.get(&id) else {
            return;
        };
        let number = installation.attempt.number;
        let cohort = self.cohorts.entry(installation.facts.cohort.clone()).or_default();
        let success = result.is_success();
        let known = self.last_outcome.get(&id).copied();
        let known = known.filter(|at| self.outcomes[*at].attempt == number);
        match known {
            Some(position) => {
                let before = self.outcomes[position].result.is_success();
                self.outcomes[position].result = result;
                self.outcomes[position].at = at;
                let count = cohort.days.entry(day).or_default();
                count.migrated = count.migrated + u32::from(success) - u32::from(before);
            }
            None => {
                self.last_outcome.insert(id, self.outcomes.len());
                let count = cohort.days.entry(day).or_default();
                count.attempted += 1;
                count.migrated += u32::from(success);
                self.outcomes.push(AttemptOutcome {
                    installation: id,
                    attempt: number,
                    day,
                    at,
                    result,
                });
            }
        }
        cohort.recent.push_back(success);
        while cohort.recent.len() > usize::from(self.settings.retry.batch_stop.window) {
            cohort.recent.pop_front();
        }
    }
}

/// Whether something that fails in this state is an attempt.
fn is_attempt(state: State) -> bool {
    state == State::Slotted || state.is_frozen()
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

/// What an entry changes in one installation, its state apart.
fn change(installation: &mut Installation, entry: &Entry) {
    installation.failures += u32::from(matches!(
        entry.event,
        Event::TryFailed { .. } | Event::Failed { .. } | Event::Released { .. } | Event::NotRotated { .. }
    ));
    let device = |installation: &Installation, id: &Eui64| installation.facts.devices.iter().position(|d| d.id == *id);
    let attempt = &mut installation.attempt;
    match &entry.event {
        Event::Extracted { devices } => {
            installation.facts.devices.clone_from(devices);
            installation.devices = vec![DeviceProgress::default(); devices.len()];
        }
        Event::UpgradeNeeded { epcl, upgrades } => {
            installation.epcl = Some(epcl.clone());
            installation.upgrades.clone_from(upgrades);
        }
        Event::Upgraded {
            device: id,
            model,
            profile,
        } => {
            clear_tries(attempt);
            installation.retry_at = None;
            installation.upgrades.retain(|upgrade| upgrade.device != *id);
            if let Some(at) = device(installation, id) {
                installation.facts.devices[at].model = model.clone();
                installation.facts.devices[at].profile.clone_from(profile);
            }
        }
        Event::ConfigurationNeeded { epcl, needed } => {
            installation.epcl = Some(epcl.clone());
            installation.configurations.clone_from(needed);
        }
        Event::Configured {
            device: id,
            configuration,
        } => {
            installation.configurations.retain(|(needed, _)| needed != id);
            clear_tries(attempt);
            if let Some(at) = device(installation, id) {
                installation.facts.devices[at].configuration.clone_from(configuration);
            }
        }
        Event::Eligible { epcl } => {
            installation.epcl = Some(epcl.clone());
            installation.retry_at = None;
        }
        Event::Authorised { mpxn, authorisation } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].authorisation = Some(authorisation.clone());
                installation.points[at].used = Some(authorisation.by.clone());
            }
        }
        Event::Unauthorised { mpxn, why } => {
            installation.lost_by = Some(why.clone());
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].authorisation = None;
            }
        }
        Event::Slotted { day, start, group } => {
            *attempt = Attempt {
                number: attempt.number + 1,
                day: Some(*day),
                start: *start,
                group: group.clone(),
                ..Attempt::default()
            };
            installation.retry_at = None;
            installation.devices.fill(DeviceProgress::default());
        }
        Event::Frozen { taken_at, devices } => {
            attempt.frozen_at = Some(entry.at);
            attempt.snapshot_at = Some(*taken_at);
            for read in devices {
                if let Some(at) = device(installation, &read.id) {
                    installation.facts.devices[at] = read.clone();
                }
            }
        }
        Event::LeftOut { device: id, exclusion } => {
            clear_tries(attempt);
            installation.gas_exclusion = Some(exclusion.clone());
            if let Some(at) = device(installation, id) {
                installation.devices[at].left_out = true;
            }
        }
        Event::Probed { device: id } => {
            clear_tries(attempt);
            if let Some(at) = device(installation, id) {
                installation.devices[at].probed = true;
            }
        }
        Event::RotationBegun { device } => {
            attempt.rotating = Some(*device);
            attempt.rotation_begun_at.get_or_insert(entry.at);
        }
        Event::NotRotated { .. } => attempt.rotating = None,
        Event::Rotated { device: id, epoch } => {
            clear_tries(attempt);
            attempt.rotating = None;
            attempt.rotated_at.get_or_insert(entry.at);
            if let Some(at) = device(installation, id) {
                installation.devices[at].rotated = true;
                installation.facts.devices[at].epoch = *epoch;
            }
        }
        Event::Activated => {
            clear_tries(attempt);
            attempt.activated = true;
        }
        Event::StepDone(step) => {
            clear_tries(attempt);
            attempt.steps = step.step + 1;
            let unjoined = step.note.is_some();
            if let Some(at) = device(installation, &step.device) {
                installation.devices[at].unjoined |= unjoined;
                if step.request == "8.1.1" || step.request == "8.4" {
                    installation.devices[at].commissioned = true;
                }
            }
            if let Some((code, text)) = &step.note {
                note(installation, entry.at, code, text);
            }
        }
        Event::Confirmed => {
            attempt.confirmed_at = Some(entry.at);
            for device in &mut installation.devices {
                device.commissioned |= !device.left_out;
            }
        }
        Event::TryFailed { not_before, .. } => {
            attempt.tries += 1;
            attempt.trying_since.get_or_insert(entry.at);
            attempt.not_before = Some(*not_before);
        }
        Event::Failed {
            failure,
            unwind,
            retry_at,
        } => {
            clear_tries(attempt);
            attempt.rotating = None;
            installation.counted += u8::from(failure.counted);
            installation.unprepared += u8::from(entry.change.is_none());
            installation.last_failure = Some(failure.clone());
            undo(installation, *unwind);
            installation.retry_at = *retry_at;
            if retry_at.is_none() && !matches!(entry.change, Some((_, State::Cancelled | State::Excluded))) {
                installation.hold = Some(failure.code.clone());
            }
        }
        Event::Unwound(done) => {
            clear_tries(attempt);
            installation.unwind.purge &= !done.purge;
            installation.unwind.unfreeze &= !done.unfreeze;
        }
        Event::Noted { code, text } => note(installation, entry.at, code, text),
        Event::Held { reason } => installation.hold = Some(reason.clone()),
        Event::Released { .. } => {
            clear_tries(attempt);
            installation.waived.extend(installation.hold.take());
            installation.hold = None;
            installation.retry_at = None;
        }
        Event::Excluded(exclusion) => {
            installation.exclusion = Some(exclusion.clone());
            installation.hold = None;
        }
        Event::ChangeAnnounced {
            mpxn,
            supplier,
            active,
            effective,
        } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].pending = Some(PendingChange {
                    supplier: *supplier,
                    active: *active,
                    effective: *effective,
                });
            }
        }
        Event::SupplierChanged { mpxn, supplier, active } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.facts.points[at].supplier = *supplier;
                installation.facts.points[at].active = *active;
                installation.points[at].pending = None;
            }
        }
        Event::Triaged {
            quarantined, unwind, ..
        } => {
            installation.triage = Some(Triage {
                from: installation.state,
                quarantined: *quarantined,
            });
            attempt.rotating = None;
            undo(installation, *unwind);
        }
        Event::Decided { .. } => {
            installation.triage = None;
            installation.hold = None;
            installation.retry_at = None;
        }
        Event::Recovered => attempt.recovered_at = Some(entry.at),
        Event::Paged { .. } => attempt.paged = true,
        _ => {}
    }
}

fn undo(installation: &mut Installation, unwind: Unwind) {
    installation.unwind.purge |= unwind.purge;
    installation.unwind.unfreeze |= unwind.unfreeze;
}

fn note(installation: &mut Installation, at: SimInstant, code: &str, text: &str) {
    if installation.notes.len() >= NOTES_MAX {
        installation.notes.remove(0);
    }
    installation.notes.push(Note {
        at,
        code: code.to_owned(),
        text: text.to_owned(),
    });
}

fn clear_tries(attempt: &mut Attempt) {
    attempt.tries = 0;
    attempt.trying_since = None;
    attempt.not_before = None;
    attempt.paged = false;
}

fn act_on(case: &mut Case, at: SimInstant, by: &str, act: &CaseAct) {
    case.history.push((at, by.to_owned(), act.words()));
    match act {
        CaseAct::Claim => case.claimed_by = Some(by.to_owned()),
        CaseAct::Assign(owner) => {
            case.owner = *owner;
            case.claimed_by = None;
        }
        CaseAct::Hold(reason) => case.held = Some(reason.clone()),
        CaseAct::Release => case.held = None,
        CaseAct::Resolve(text) => case.resolution = Some(text.clone()),
        CaseAct::Note(_) | CaseAct::Retry | CaseAct::RollBack => {}
    }
}
