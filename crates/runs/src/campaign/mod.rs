//! Campaigns of migration from one file: real roles in virtual time, the control centre with its two parties, faults where
//! the file says, reports and the twelve invariants at the end.
//!
//! Everything that must outlive the process is in journals below one folder; a campaign that was killed goes on from there.

mod begun;
mod exceptions;
mod facts;
mod file;
mod files;
mod inside;
mod live;
mod messages;
mod observer;
mod output;
mod parties;
mod regression;
mod shared;
mod status;
mod truth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::{SimDuration, SimInstant};
use duis::signature::Scheme;
use jiff::civil::{Date, Time};
use lab::{BuildError, Config, Parts};
use migration::day::{day_of, instant, plus_days};
use migration::invariants::{self, Observations};
use migration::machine::control::{Control, Options as ControlOptions};
use migration::machine::event::Entry;
use migration::machine::journal::{self, JournalError};
use migration::machine::model::Facts;
use migration::machine::{Campaign, State};
use migration::planning::intake::ReceivedFile;
use world::tape::Digest;
use world::worlds::{self, WorldContext};

pub use duis::signature::Scheme as SignatureScheme;
pub use exceptions::{Acted, DEEDS, Deed, Exception, Which, act, exceptions};
pub use facts::facts_of;
pub use file::{CampaignFile, Demand, Phase, ReadError};
pub use live::Live;
pub use messages::Unknown;
pub use migration::machine::operator::{CaseFilter, Operator};
pub use migration::settings::{CohortSlug, Owner};
pub use observer::{Passed, Signatures, Traffic};
pub use output::OutputError;
pub use parties::{Parties, PartiesOptions};
pub use regression::Regression;
pub use status::{Status, StatusError, status};

use begun::Begun;
use parties::Eligible;
use shared::Shared;

/// What to run.
pub struct Options {
    /// The campaign file.
    pub file: PathBuf,
    /// The lab; estate, seed and clock are the campaign's.
    pub config: Config,
    /// Seed in place of the file's.
    pub seed: Option<u64>,
    /// Worlds in place of the file's; a campaign that goes on keeps its own.
    pub worlds: Option<u32>,
    /// What proves messages. A campaign goes on with what it was begun with.
    pub signatures: Scheme,
    /// Folder of journals and keys; none: all in memory.
    pub state: Option<PathBuf>,
    /// Whether it goes on with what is in the folder; else the folder must have no campaign.
    pub resume: bool,
    /// Where it stops.
    pub until: Until,
    /// Told how far it is.
    pub progress: Option<Tell>,
    /// Where others see the campaign while it runs, and act in it.
    pub live: Option<Live>,
    /// Put around the journal of the control centre: for tests that let it fail.
    pub journal: Option<Wrap>,
}

impl Options {
    /// A campaign as its file has it, with signatures as they should be, from its beginning to its end in memory, in the
    /// built-in lab.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            config: Config::default(),
            seed: None,
            worlds: None,
            signatures: Scheme::default(),
            state: None,
            resume: false,
            until: Until::End,
            progress: None,
            live: None,
            journal: None,
        }
    }
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
    /// What proves messages.
    pub signatures: Scheme,
    /// It is the run before the campaign's own, to see that the same comes of it (invariant I12).
    pub twin: bool,
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
        let label = self.signatures.label().map(|label| format!("{label}, "));
        format!(
            "{}{}{}: {}",
            label.unwrap_or_default(),
            if self.twin { "twin, " } else { "" },
            self.now,
            states.collect::<Vec<_>>().join(", ")
        )
    }

    /// Whether there is something to say to whoever was told `last` before and reads every line: another day of the calendar
    /// (UTC) began, or a quarter of the installations stands elsewhere.
    #[must_use]
    pub fn is_news_after(&self, last: &Self) -> bool {
        const DAY_MS: i64 = 86_400_000;
        let day = |progress: &Self| (progress.twin, progress.now.0.div_euclid(DAY_MS));
        let moved = last.states.iter().map(|(state, count)| {
            let still = self.states.get(state).copied().unwrap_or(0);
            count.saturating_sub(still)
        });
        let all: usize = self.states.values().sum();
        day(self) != day(last) || moved.sum::<usize>() * 4 >= all.max(1)
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
    /// How it was begun cannot be written down.
    #[error("write {}", .path.display())]
    NotNoted {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is over: this run takes no more acts.
    #[error("the campaign has come to its end: act once this run has stopped")]
    Over,
    /// It was begun with another number of worlds.
    #[error(
        "the campaign was begun with {begun} worlds, and goes on with as many: leave --worlds {asked} out, or begin \
         another one in another folder"
    )]
    OtherWorlds {
        /// As it was begun.
        begun: u32,
        /// As was asked for now.
        asked: u32,
    },
    /// It was begun with another scheme of signatures.
    #[error(
        "the campaign was begun with signatures {begun}, not {asked}, and goes on with them: say --signatures {begun}, or \
         begin another one in another folder"
    )]
    OtherSignatures {
        /// As it was begun.
        begun: Scheme,
        /// As was asked for now.
        asked: Scheme,
    },
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
    pub campaign: Arc<Campaign>,
    /// The journal, from its first record on.
    pub entries: Vec<Entry>,
    /// Number and hash of its last record.
    pub head: (u64, [u8; 32]),
    /// What was seen of everybody else.
    pub observations: Observations,
    /// When it stopped.
    pub now: SimInstant,
    /// How many worlds it ran in.
    pub worlds: u32,
    /// The digest over what passed on all links, this time.
    pub digest: Digest,
    /// How many messages that were.
    pub messages: u64,
    /// Signatures that those messages need.
    pub signatures: Signatures,
    /// What those messages were, this time.
    pub traffic: Traffic,
    /// The regression at the end, where the file asks for one.
    pub regression: Regression,
    lists: Arc<Eligible>,
}

/// How often somebody is told how far it is, in the lab's calendar.
const PROGRESS_EVERY: SimDuration = SimDuration::from_mins(30);

/// The name of the journal of the control centre, which all worlds share.
pub(crate) const CONTROL: &str = "migration-control";

/// The name of a journal of a party in one world.
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
    file.worlds = options.worlds.unwrap_or(file.worlds);
    if options.resume
        && let Some(state) = &options.state
    {
        let begun = Begun::read(state)?;
        if let Some(asked) = options.worlds.filter(|asked| *asked != begun.worlds) {
            let begun = begun.worlds;
            return Err(CampaignError::OtherWorlds { begun, asked });
        }
        if begun.signatures != options.signatures {
            let (begun, asked) = (begun.signatures, options.signatures);
            return Err(CampaignError::OtherSignatures { begun, asked });
        }
        (file.worlds, file.seed) = (begun.worlds, begun.seed);
    }
    let twin = (file.twin && !options.resume)
        .then(|| twin(options, &file))
        .transpose()?;
    run_file(options, file, twin)
}

/// The digest of how the same campaign ends, run once more beside it.
fn twin(options: &Options, file: &CampaignFile) -> Result<[u8; 32], CampaignError> {
    let progress = options.progress.clone().map(|tell| -> Tell {
        Arc::new(move |progress: &Progress| {
            tell(&Progress {
                twin: true,
                ..progress.clone()
            });
        })
    });
    let alone = Options {
        config: options.config.clone(),
        seed: options.seed,
        worlds: options.worlds,
        signatures: options.signatures,
        until: options.until,
        progress,
        ..Options::new(options.file.clone())
    };
    let run = run_file(&alone, file.clone(), None)?;
    Ok(invariants::outcome_digest(&run.campaign))
}

fn run_file(options: &Options, file: CampaignFile, twin: Option<[u8; 32]>) -> Result<CampaignRun, CampaignError> {
    let mut config = options.config.clone();
    config.seed = file.seed;
    config.signatures = options.signatures;
    config.clock.start = file.start;
    config.worlds.count = file.worlds;
    config.estate.file = Some(file.estate.clone());
    if let Some(state) = &options.state {
        keep(&mut config, state, options.resume)?;
    }
    let made = config
        .folders
        .pki
        .clone()
        .filter(|_| options.state.is_some() && !options.resume);
    let prepared = Prepared::of(config, &file, &options.file).inspect_err(|_| {
        // A campaign that cannot begin leaves nothing that the next one would find.
        if let Some(Err(error)) = made.map(std::fs::remove_dir_all) {
            tracing::warn!(%error, "the keys of a campaign that did not begin were not removed");
        }
    });
    let Prepared { parts, lists, all } = prepared?;
    let mut began = file.start;
    let mut after_kill = false;
    if let Some(state) = &options.state {
        if !options.resume {
            let begun = Begun {
                file: std::path::absolute(&options.file).unwrap_or_else(|_| options.file.clone()),
                worlds: file.worlds,
                seed: file.seed,
                signatures: options.signatures,
            };
            begun.write(state)?;
        }
        began = begun::stood_at(&parts.journals, state)?.map_or(began, |stood| stood.max(began));
        after_kill = !begun::goes_on(state) && options.resume;
    }
    let until = match options.until {
        Until::End => file.until,
        Until::Day(day) => day,
        Until::NextDay => day_of(began + SimDuration::from_hours(1)),
    };
    let until = instant(plus_days(until, 1), Time::midnight());
    let (control, files) = centre(options, &file, &parts, &lists, &all, (began, until))?;
    let shared = Arc::new(Shared::new(control, file.worlds, (began, until), files));
    if let Some(live) = &options.live {
        live.begin(&shared, &parts.journals);
    }
    let worlds_options = worlds::Options {
        // A campaign's tape would not fit into memory: the digest is over all of it all the same.
        keep: Some(0),
        ..worlds::Options::new(began, parts.config.world_seed())
    };
    let told = AtomicI64::new(i64::MIN);
    let between = |now: SimInstant| {
        if shared.turn(now)
            && let Some(tell) = &options.progress
            && (now >= until || now.0 >= told.load(Ordering::Relaxed) + PROGRESS_EVERY.0.cast_signed())
        {
            told.store(now.0, Ordering::Relaxed);
            shared.progress().iter().for_each(|progress| tell(progress));
        }
    };
    let run = worlds::run_between(file.worlds, &worlds_options, &between, async |context: WorldContext| {
        inside::campaign(context, &file, &parts, &lists, &all, &shared, after_kill).await
    })?;
    if let Some(error) = shared.take_failure() {
        return Err(error.into());
    }
    let Some(campaign) = shared.campaign() else {
        return Err(worlds::WorldsError::Count(0).into());
    };
    let (mut seen, mut signatures, mut traffic) = (Vec::new(), Signatures::default(), Traffic::default());
    let mut regression = Regression::default();
    for world in run.results {
        let end = world?;
        seen.push(end.observations);
        signatures += end.signatures;
        traffic += end.traffic;
        regression.extend(end.regression);
    }
    let mut observations = truth::together(seen);
    observations.twin = twin;
    let (mut entries, store) = (Vec::new(), parts.journals.look(CONTROL)?);
    let head = journal::replay(&*store, &mut |_, entry| entries.push(entry))?;
    if let Some(exposed) = &mut observations.exposed {
        exposed.extend(truth::exposed_in_journal(&parts, &*store)?);
    }
    if let Some(state) = &options.state {
        begun::stopped(state, until);
    }
    Ok(CampaignRun {
        worlds: file.worlds,
        digest: run.digest,
        messages: run.recorded,
        signatures,
        traffic,
        regression,
        file,
        campaign,
        entries,
        head,
        observations,
        now: until,
        lists,
    })
}

/// What the files of a campaign come to.
struct Prepared {
    parts: Arc<Parts>,
    /// What may be enrolled.
    lists: Arc<Eligible>,
    /// What is known of those who migrate.
    all: Vec<Facts>,
}

impl Prepared {
    fn of(config: Config, file: &CampaignFile, path: &Path) -> Result<Self, CampaignError> {
        let parts = Parts::build(config)?;
        let lists = Arc::new(Eligible::read(file, Some(&parts.catalogue))?);
        let all = facts::of_estate(&parts, file, path).map_err(ReadError::File)?;
        Ok(Self { parts, lists, all })
    }
}

/// The control centre's core on its journal, and the files that suppliers will have sent until the end.
fn centre(
    options: &Options,
    file: &CampaignFile,
    parts: &Parts,
    lists: &Arc<Eligible>,
    all: &[Facts],
    (began, until): (SimInstant, SimInstant),
) -> Result<(Control, Vec<ReceivedFile>), CampaignError> {
    let certificates = facts::Certificates::of(parts);
    let store = parts.journals.open(CONTROL)?;
    let mut files = files::sent(file, &certificates, all)?;
    files::leave_unsent(&mut files, &*store)?;
    files.retain(|file| file.at < until);
    let store = match &options.journal {
        Some(wrap) => wrap(store),
        None => store,
    };
    let control_options = ControlOptions {
        name: file.name.clone(),
        environment: file.environment,
        signatures: options.signatures,
        settings: Arc::new(file.settings.clone()),
        lists: Arc::clone(lists) as _,
        certificates: Arc::new(move |serial: &str| certificates.is_known(serial)),
        seed: (file.seed, parts.config.world_seed()),
        store,
        demand_is_committed: file.demand_is_committed(),
    };
    let mut control = Control::open(control_options, began)?;
    for facts in all {
        control.register(began, facts.clone())?;
    }
    control.commit()?;
    Ok((control, files))
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
