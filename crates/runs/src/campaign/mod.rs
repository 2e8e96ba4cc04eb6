//! Campaigns of migration from one file: real roles in virtual time, the control centre with its two parties, faults where
//! the file says, reports and the twelve invariants at the end.
//!
//! Everything that must outlive the process is in journals below one folder; a campaign that was killed goes on from there.

mod exceptions;
mod facts;
mod file;
mod observer;
mod output;
mod parties;
mod status;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{SimDuration, SimInstant};
use jiff::civil::{Date, Time};
use lab::parts::Journals;
use lab::{BuildError, Config, Lab, Parts};
use migration::day::{day_of, instant, plus_days};
use migration::faults::{Rule, Target};
use migration::invariants::{self, Observations};
use migration::machine::control::{Control, Options as ControlOptions};
use migration::machine::event::{Entry, Event};
use migration::machine::journal::{self, JournalError};
use migration::machine::model::Facts;
use migration::machine::{Campaign, State};
use migration::party::Office;
use migration::planning::intake::ReceivedFile;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::worlds::{self, WorldContext};

pub use exceptions::{Acted, DEEDS, Deed, Exception, Which, act, exceptions};
pub use file::{CampaignFile, ReadError};
pub use migration::machine::operator::{CaseFilter, Operator};
pub use migration::settings::{CohortSlug, Owner};
pub use output::OutputError;
pub use status::{Status, StatusError, status};

use observer::Observer;
use parties::Eligible;

/// What to run.
pub struct Options {
    /// The campaign file.
    pub file: PathBuf,
    /// The lab; estate, seed and clock are the campaign's.
    pub config: Config,
    /// Seed in place of the file's.
    pub seed: Option<u64>,
    /// Folder of journals and keys; none: all in memory.
    pub state: Option<PathBuf>,
    /// Whether it goes on with what is in the folder; else the folder must have no campaign.
    pub resume: bool,
    /// Where it stops.
    pub until: Until,
    /// Told how far it is.
    pub progress: Option<Tell>,
    /// Put around the journal of the control centre: for tests that let it fail.
    pub journal: Option<Wrap>,
}

/// Is told how far a campaign is.
pub type Tell = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Puts something around a journal.
pub type Wrap = Arc<dyn Fn(Box<dyn world::Store>) -> Box<dyn world::Store> + Send + Sync>;

/// Where a run stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Until {
    /// At the end of the file's last day.
    #[default]
    End,
    /// At the end of this day.
    Day(Date),
    /// One day after it begins, or goes on.
    NextDay,
}

/// How far a campaign is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The calendar.
    pub now: SimInstant,
    /// Where it began, this time.
    pub began: SimInstant,
    /// Where it stops.
    pub until: SimInstant,
    /// Installations by state.
    pub states: BTreeMap<State, usize>,
}

impl Progress {
    /// Minutes of the lab's calendar that are done, and all of this run.
    #[must_use]
    pub fn minutes(&self) -> (u64, u64) {
        let minutes = |to: SimInstant| to.since(self.began).as_millis() / 60_000;
        (minutes(self.now), minutes(self.until))
    }

    /// The calendar, and installations by state.
    #[must_use]
    pub fn words(&self) -> String {
        let states = self.states.iter().map(|(state, count)| format!("{count} {state}"));
        format!("{}: {}", self.now, states.collect::<Vec<_>>().join(", "))
    }
}

/// Why there was no campaign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// The lab.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The folder has one already.
    #[error("{} has a campaign already: go on with it (--resume), or name another folder", .0.display())]
    Begun(PathBuf),
    /// The folder has none.
    #[error("{} has no campaign to go on with", .0.display())]
    NotBegun(PathBuf),
    /// The journal.
    #[error("the campaign's journal")]
    Journal(#[from] JournalError),
    /// Somebody else took the links of the parties: our bug.
    #[error("the links of the migration's parties are taken")]
    LinksTaken,
    /// The campaign file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A journal of the parties.
    #[error(transparent)]
    Store(#[from] world::StoreError),
    /// The worlds did not come to an end: our bug.
    #[error("run the campaign's world")]
    Worlds(#[from] worlds::WorldsError),
    /// An authorisation could not be protected: our bug.
    #[error("protect an authorisation")]
    Protection(#[from] migration::planning::protection::ProtectionError),
}

/// A campaign that was run.
pub struct CampaignRun {
    /// The file.
    pub file: CampaignFile,
    /// What the journal adds up to.
    pub campaign: Campaign,
    /// The journal, with its numbers.
    pub entries: Vec<(u64, Entry)>,
    /// Number and hash of its last record.
    pub head: (u64, [u8; 32]),
    /// What was seen of everybody else.
    pub observations: Observations,
    /// When it stopped.
    pub now: SimInstant,
    lists: Arc<Eligible>,
}

/// The number of the one world that a campaign runs in.
const WORLD: u32 = 0;
/// How often somebody is told how far it is, in the lab's calendar.
const PROGRESS_EVERY: SimDuration = SimDuration::from_mins(30);

/// The name of a journal of the migration in one world.
pub(crate) fn journal_name(world: u32, role: &str) -> String {
    format!("{world}-migration-{role}")
}

/// Runs a campaign to where it stops. Blocks the calling thread; must be called outside any runtime.
///
/// # Errors
/// [`CampaignError`]. Installations that fail are results, not errors.
pub fn run(options: &Options) -> Result<CampaignRun, CampaignError> {
    let mut file = CampaignFile::read(&options.file)?;
    file.seed = options.seed.unwrap_or(file.seed);
    let twin = (file.twin && !options.resume)
        .then(|| twin(options, &file))
        .transpose()?;
    run_file(options, file, twin)
}

/// The digest of how the same campaign ends, run once more beside it.
fn twin(options: &Options, file: &CampaignFile) -> Result<[u8; 32], CampaignError> {
    let alone = Options {
        file: options.file.clone(),
        config: options.config.clone(),
        seed: options.seed,
        state: None,
        resume: false,
        until: options.until,
        progress: None,
        journal: None,
    };
    let run = run_file(&alone, file.clone(), None)?;
    Ok(invariants::outcome_digest(&run.campaign))
}

fn run_file(options: &Options, file: CampaignFile, twin: Option<[u8; 32]>) -> Result<CampaignRun, CampaignError> {
    let lists = Arc::new(Eligible::read(&file)?);
    let mut config = options.config.clone();
    config.seed = file.seed;
    config.clock.start = file.start;
    config.worlds.count = 1;
    config.estate.file = Some(file.estate.clone());
    if let Some(state) = &options.state {
        keep(&mut config, state, options.resume)?;
    }
    let parts = Parts::build(config)?;
    let stopped = options.state.as_ref().map(|state| state.join(STOPPED));
    let began = began(&parts.journals, stopped.as_deref())?.map_or(file.start, |last| last.max(file.start));
    // It is written again when this run stops in order.
    let in_order = stopped
        .as_deref()
        .is_some_and(|path| std::fs::remove_file(path).is_ok());
    let after_kill = options.resume && !in_order;
    let until = match options.until {
        Until::End => file.until,
        Until::Day(day) => day,
        Until::NextDay => day_of(began + SimDuration::from_hours(1)),
    };
    let until = instant(plus_days(until, 1), Time::midnight());
    let worlds_options = worlds::Options {
        // A campaign's tape would not fit into memory: the digest is over all of it all the same.
        keep: Some(0),
        ..worlds::Options::new(began, parts.config.world_seed())
    };
    let run = worlds::run(1, &worlds_options, async |context: WorldContext| {
        in_world(context, options, &file, &parts, &lists, until, (twin, after_kill)).await
    })?;
    let Some(end) = run.results.into_iter().next() else {
        return Err(worlds::WorldsError::Count(0).into());
    };
    let (campaign, entries, head, observations) = end?;
    if let Some(path) = &stopped {
        // A run that goes on without it begins at the journal's last entry instead.
        if let Err(error) = std::fs::write(path, until.to_string()) {
            tracing::warn!(%error, "when the run stopped was not written down");
        }
    }
    Ok(CampaignRun {
        file,
        campaign,
        entries,
        head,
        observations,
        now: until,
        lists,
    })
}

/// Journals, keys and custody below a folder.
fn keep(config: &mut Config, state: &Path, resume: bool) -> Result<(), CampaignError> {
    let pki = state.join("pki");
    match (resume, pki.exists()) {
        (false, true) => return Err(CampaignError::Begun(state.to_owned())),
        (true, false) => return Err(CampaignError::NotBegun(state.to_owned())),
        (false, false) => {
            lab::up::init_pki(config, &pki)?;
        }
        (true, true) => {}
    }
    config.folders.state = Some(state.to_owned());
    config.folders.pki = Some(pki);
    Ok(())
}

/// The file that says when a run stopped in order.
const STOPPED: &str = "stopped-at";

/// When the last run stopped: in order, or with the last entry of the campaign's journal.
fn began(journals: &Journals, stopped: Option<&Path>) -> Result<Option<SimInstant>, CampaignError> {
    let mut last = None;
    if journals.are_durable() {
        let store = journals.open(&journal_name(WORLD, "control"))?;
        journal::replay(&*store, &mut |_, entry| last = Some(entry.at))?;
    }
    let stopped = stopped.and_then(|path| std::fs::read_to_string(path).ok());
    Ok(last.max(stopped.and_then(|text| text.trim().parse().ok())))
}

type End = (Campaign, Vec<(u64, Entry)>, (u64, [u8; 32]), Observations);

/// The campaign in its world.
async fn in_world(
    context: WorldContext,
    options: &Options,
    file: &CampaignFile,
    parts: &Arc<Parts>,
    lists: &Arc<Eligible>,
    until: SimInstant,
    (twin, after_kill): (Option<[u8; 32]>, bool),
) -> Result<End, CampaignError> {
    let world = context.world.clone();
    let began = world.clock.now();
    let all = facts::of_estate(parts);
    let observer = Observer::new(after_kill);
    world.faults.install(observer.hook());
    for rule in &file.faults {
        let about = all.iter().filter(|facts| rule.is_about(&world.seed, facts));
        let targets: Vec<_> = about.map(|facts| (facts.id, Target::of(facts))).collect();
        if let Some(rule) = Rule::new(rule.clone(), targets) {
            world.faults.install(rule);
        }
    }
    let mut lab = Lab::start_in(world.clone(), Arc::clone(parts))?;
    let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
    let (rp, cp) = parties::start(&mut lab, file, lists, &all, &mut tasks, &shutdown)?;
    let certificates: BTreeSet<String> = parts
        .pki
        .users
        .iter()
        .filter_map(|user| facts::certificate_of(parts, user.eui))
        .collect();
    let settings = Arc::new(file.settings.clone());
    let store = parts.journals.open(&journal_name(WORLD, "control"))?;
    let received = received(&*store)?;
    let store = match &options.journal {
        Some(wrap) => wrap(store),
        None => store,
    };
    let control_options = ControlOptions {
        name: file.name.clone(),
        environment: file.environment,
        settings,
        lists: Arc::clone(lists) as _,
        certificates: Arc::new(move |serial: &str| certificates.contains(serial)),
        seed: (file.seed, world.seed),
        store,
        demand_is_committed: false,
    };
    let mut control = Control::open(control_options, began)?;
    for facts in &all {
        control.register(began, facts.clone())?;
    }
    let mut office = Office::new(world.clone(), control, rp.clone(), cp.clone());
    let mut files = sent(file, parts, &all)?;
    files.retain(|file| !received.contains(&file.name) && file.at < until);
    while world.clock.now() < until {
        let now = world.clock.now();
        if let Some(tell) = &options.progress {
            tell(&progress(office.control().campaign(), now, began, until));
        }
        while files.first().is_some_and(|file| file.at <= now) {
            let file = ReceivedFile {
                at: now,
                ..files.remove(0)
            };
            office.control_mut().receive(now, file)?;
        }
        let file = files.first().map_or(until, |file| file.at);
        office.run_until((now + PROGRESS_EVERY).min(file).min(until)).await?;
    }
    let campaign = office.control().campaign().clone();
    drop(office);
    let (mut entries, store) = (Vec::new(), parts.journals.look(&journal_name(WORLD, "control"))?);
    let head = journal::replay(&*store, &mut |sequence, entry| entries.push((sequence, entry)))?;
    let mut octets = Vec::new();
    store.replay(&mut |record| octets.extend_from_slice(record))?;
    let observations = truth::observe(&lab, &campaign, observer.take(), (&rp, &cp), &octets, twin).await;
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    lab.stop().await;
    Ok((campaign, entries, head, observations))
}

/// Names of the files that the journal has.
fn received(store: &dyn world::Store) -> Result<BTreeSet<String>, CampaignError> {
    let mut names = BTreeSet::new();
    journal::replay(store, &mut |_, entry| {
        if let Event::FileReceived { name, .. } = entry.event {
            names.insert(name);
        }
    })?;
    Ok(names)
}

/// The files that suppliers send, in the order they do.
fn sent(file: &CampaignFile, parts: &Parts, all: &[Facts]) -> Result<Vec<ReceivedFile>, CampaignError> {
    let mut files = Vec::new();
    for (week, at) in &file.authorisations {
        for draft in facts::authorisations(file, parts, all, *week, *at) {
            files.extend(draft.files(&file.settings)?);
        }
    }
    files.sort_by_key(|file| file.at);
    Ok(files)
}

fn progress(campaign: &Campaign, now: SimInstant, began: SimInstant, until: SimInstant) -> Progress {
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for known in campaign.installations() {
        *states.entry(known.state).or_default() += 1;
    }
    Progress {
        now,
        began,
        until,
        states,
    }
}
