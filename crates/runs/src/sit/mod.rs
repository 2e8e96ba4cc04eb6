//! The main job: system integration tests. An embedded lab, every service request the lab has against every device of
//! its estate, values compared with each other, and the invariants.

pub(crate) mod checks;
mod expect;
pub(crate) mod installation;
mod memory;
mod rules;
pub(crate) mod script;
mod timing;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dmc::{Catalogue, Otherwise};
use domain::{InstallationType, ProfileId, SimDuration, Srv};
use fleet::{Estate, Site};
use futures_util::future::join_all;
use lab::{BuildError, Config, Lab, Parts};
use tokio::sync::Mutex;
use world::TapeRecord;
use world::worlds::{self, WorldContext};

use crate::verdict::{Cell, Check, Hop, HopKind, RunResult};
use installation::Findings;

/// What to run.
pub struct Options {
    /// The lab; its clock is taken as virtual.
    pub config: Config,
    /// Rules that devices and roles do not know while the expectations go by them: to see that the pack notices.
    pub without_rules: Vec<String>,
    /// Links to cut before the run, as pairs of role names.
    pub cut: Vec<(String, String)>,
    /// Told of progress: cells done, cells planned.
    pub progress: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>,
}

/// What is a cell of the pack's matrix for an estate: profile, installation type and service reference variant. Nothing
/// is run.
pub fn matrix(estate: &Estate) -> impl Iterator<Item = (ProfileId, InstallationType, Srv)> {
    estate.sites().flat_map(|site| {
        let devices = site.devices();
        let kind = site.installation_type();
        script::script(&site).into_iter().filter_map(move |act| {
            let device = devices.iter().find(|device| device.device == act.device)?;
            Some((device.profile.clone(), kind, act.srv))
        })
    })
}

/// A run and what it left.
pub struct SitRun {
    /// Matrix, checks, digest.
    pub result: RunResult,
    /// The tape, merged over the worlds.
    pub records: Vec<TapeRecord>,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SitError {
    /// The lab cannot be built.
    #[error("build the lab")]
    Build(#[from] BuildError),
    /// The worlds did not come to an end: our bug.
    #[error("run the worlds")]
    Worlds(#[from] worlds::WorldsError),
}

/// How long one request may take in the lab's calendar before the pack gives up on it. Longer than the DCC's own limit, so
/// that the DCC's answer is seen.
pub const REQUEST_LIMIT: SimDuration = SimDuration::from_hours(7);

/// Runs the pack to its end. Blocks the calling thread; must be called outside any runtime.
///
/// # Errors
/// [`SitError`]. Cells that fail are results, not errors.
pub fn run(options: Options) -> Result<SitRun, SitError> {
    let parts = Parts::build(options.config)?;
    let expected = Arc::clone(&parts.catalogue);
    let parts = without(&options.without_rules, parts)?;
    let config = &parts.config;
    let progress = Progress::new(&parts, options.progress);
    let worlds_options = worlds::Options {
        // The pack's worlds have nothing to tell each other: the longer they need not wait for each other, the better.
        barrier: SimDuration::from_days(1),
        ..worlds::Options::new(config.clock.start, config.world_seed())
    };
    let run = worlds::run(config.worlds.count, &worlds_options, async |context: WorldContext| {
        in_world(context, &parts, &expected, &options.cut, &progress).await
    })?;
    let mut cells: Vec<Cell> = Vec::new();
    let mut checks = Vec::new();
    let mut lasted_ms = 0;
    for world in run.results {
        let (findings, lasted) = world?;
        lasted_ms = lasted_ms.max(lasted.as_millis());
        cells.extend(findings.cells);
        checks.extend(findings.checks);
    }
    for (position, cell) in (1..).zip(&mut cells) {
        cell.position = position;
    }
    let mut checks = checks::merged(checks);
    checks.extend(checks::of_tape(&run.records, &cells, &parts));
    let result = RunResult {
        pack: "sit".into(),
        seed: config.seed,
        worlds: config.worlds.count,
        clock: "virtual".into(),
        digest: run.digest.to_string(),
        started_at: config.clock.start.to_string(),
        lasted_ms,
        hops: ["user", "dcc", "s1sp", "dco", "wan", "fleet"]
            .map(|role| Hop {
                role: role.into(),
                kind: HopKind::Emulated,
            })
            .to_vec(),
        dropped_invariants: Vec::new(),
        cells,
        checks,
    };
    Ok(SitRun {
        result,
        records: run.records,
    })
}

/// A lab of the built-in profiles without these rules; the same lab where there are none.
fn without(rules: &[String], parts: Arc<Parts>) -> Result<Arc<Parts>, BuildError> {
    if rules.is_empty() {
        return Ok(parts);
    }
    let otherwise = rules
        .iter()
        .fold(Otherwise::default(), |otherwise, rule| otherwise.without(rule));
    Ok(Arc::new(Parts {
        catalogue: Arc::new(Catalogue::builtin_otherwise(&otherwise)?),
        ..Parts::clone(&parts)
    }))
}

impl SitRun {
    /// Writes the reports and the tape into a folder. Gives the files written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<std::path::PathBuf>, crate::report::ReportError> {
        let mut written = crate::report::write(&self.result, folder)?;
        let path = folder.join("tape.s1tape");
        lab::tape_file::write(&path, &self.records).map_err(|error| crate::report::ReportError {
            path: path.clone(),
            cause: std::io::Error::other(error),
        })?;
        written.push(path);
        Ok(written)
    }
}

/// Everything of one world: its lab, its users, its installations.
async fn in_world(
    context: WorldContext,
    parts: &Arc<Parts>,
    expected: &Catalogue,
    cut: &[(String, String)],
    progress: &Progress,
) -> Result<(Findings, SimDuration), BuildError> {
    let started = context.world.clock.now();
    let mut lab = Lab::start_in(context.world.clone(), Arc::clone(parts))?;
    for (left, right) in cut {
        lab.cut(left, right);
    }
    let mut findings = Findings::default();
    // All at once: none has to wait for weeks for its turn, while its clock drifts and its credit runs out.
    let images = Mutex::new(());
    let sites: Vec<Site> = parts.sites(context.world.number);
    let installations = sites
        .iter()
        .map(|site| installation::run(&lab, expected, site, &images, progress));
    for of_one in join_all(installations).await {
        findings.extend(of_one);
    }
    installation::explain(&lab, &mut findings.cells).await;
    if let Some(link) = lab.take_smso_supplier() {
        findings.extend(installation::before_enrolment(&lab, link).await);
    }
    findings.checks.extend(checks::of_lab(&lab).await);
    let lasted = context.world.clock.now().since(started);
    lab.stop().await;
    Ok((findings, lasted))
}

/// Counts cells over all worlds.
pub(crate) struct Progress {
    done: AtomicUsize,
    planned: usize,
    tell: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>,
}

impl Progress {
    pub(crate) fn new(parts: &Parts, tell: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>) -> Self {
        let planned = parts.estate.sites().map(|site| script::cells(&site)).sum();
        Self {
            done: AtomicUsize::new(0),
            planned,
            tell,
        }
    }

    pub(crate) fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(tell) = &self.tell {
            tell(done, self.planned.max(done));
        }
    }
}

pub(crate) fn merged_check(name: &str, passed: bool, detail: impl Into<String>) -> Check {
    let verdict = if passed {
        crate::Verdict::Passed
    } else {
        crate::Verdict::Failed
    };
    Check {
        name: name.into(),
        verdict,
        detail: detail.into(),
    }
}
