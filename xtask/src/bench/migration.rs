//! A day of migrations over the whole chain: every message, signature and journal write, against the floor of the P-256
//! operations that its messages need; then what its journal and its reports cost.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use domain::SimInstant;
use migration::Settings;
use migration::invariants::Verdict;
use migration::machine::{Campaign, State};
use runs::campaign::{self, Options, Progress, SignatureScheme};

use super::fleet::ask_child;
use super::machine::{Stretch, peak_octets, process_seconds};
use super::migration_steps::{self, STEPS};
use super::request;
use super::table::{Against, Table};

/// Installations of a day, as the programme planned.
const DAY: f64 = 50_000.0;
/// Worlds, one per core.
const WORLDS: u32 = 2;
/// Seconds that a day without asymmetric signatures may take on two cores.
const UNSIGNED_DAY: f64 = 60.0;

/// The child that measures such a day.
pub(crate) const SIGNED: &str = "migration";
/// The child that measures it without asymmetric signatures.
pub(crate) const UNSIGNED: &str = "migration-without-signatures";

/// What a child measured, all installations together.
struct Measured {
    processor: f64,
    clock: f64,
    messages: f64,
    records: f64,
    made: f64,
    verified: f64,
    memory: f64,
    reports: f64,
    fold: f64,
    rows: f64,
    /// Processor time from the midnight before the migrations on.
    on_the_day: f64,
    /// Processor time of a day on which nothing migrates.
    idle_day: f64,
    /// Days of the calendar.
    days: f64,
    /// Microseconds.
    steps: [f64; STEPS.len()],
}

impl Measured {
    fn ask(child: &str, installations: u32) -> Result<Self> {
        let mut numbers = ask_child(child, installations)?.into_iter();
        let mut next = || numbers.next().with_context(|| format!("{child}: numbers are missing"));
        let mut measured = Self {
            processor: next()?,
            clock: next()?,
            messages: next()?,
            records: next()?,
            made: next()?,
            verified: next()?,
            memory: next()?,
            reports: next()?,
            fold: next()?,
            rows: next()?,
            on_the_day: next()?,
            idle_day: next()?,
            days: next()?,
            steps: Default::default(),
        };
        for step in &mut measured.steps {
            *step = next()?;
        }
        Ok(measured)
    }
}

pub(crate) fn run(table: &mut Table, installations: u32) -> Result<()> {
    let before = request::floor()?;
    let signed = Measured::ask(SIGNED, installations)?;
    let unsigned = Measured::ask(UNSIGNED, installations)?;
    let floor = before.best(request::floor()?);
    floor.show(table);
    let count = f64::from(installations);
    let least = floor.signatures(signed.made / count, signed.verified / count);
    let of = format!("migration of {installations} in a day, {WORLDS} worlds, journals in memory");
    let day = Against::AtMost(least * DAY / 2.0 / 1e6, "the same floor on two cores (aim ratio 0.5)");
    let per = Against::AtMost(least, "P-256 floor of its messages (aim ratio 0.5)");
    show(table, &of, &signed, count, (per, day));
    let asymmetric = [
        ("P-256 signatures made", floor.signatures(signed.made, 0.0)),
        ("P-256 signatures verified", floor.signatures(0.0, signed.verified)),
    ];
    steps(table, &of, &signed, count, &asymmetric);

    let label = SignatureScheme::None.label().unwrap_or_default();
    let of = format!("{label}, {of}");
    let day = Against::AtMost(UNSIGNED_DAY, "aim of the design, without asymmetric signatures");
    let per = Against::AtMost(UNSIGNED_DAY * 2.0 * 1e6 / DAY, "that aim, each of them");
    show(table, &of, &unsigned, count, (per, day));
    steps(table, &of, &unsigned, count, &[]);
    Ok(())
}

/// A day as a whole; what one installation and what 50,000 on two cores are compared with.
fn show(table: &mut Table, of: &str, run: &Measured, count: f64, (per, day): (Against, Against)) {
    let each = run.processor / count;
    table.row(&format!("{of}: processor time per installation"), each * 1e6, "µs", per);
    let extrapolated = if count < DAY { ", EXTRAPOLATED" } else { "" };
    table.row(
        &format!("{of}: a day of 50 000 at that cost on two free cores{extrapolated}"),
        each * DAY / 2.0,
        "s",
        day,
    );
    table.row(
        &format!("{of}: the same of the days of migration alone{extrapolated}"),
        run.on_the_day / count * DAY / 2.0,
        "s",
        day,
    );
    let mut row = |what: &str, value, unit| table.row(&format!("{of}: {what}"), value, unit, Against::Nothing);
    row("time of the machine's clock", run.clock, "s");
    row("signatures made, per installation", run.made / count, "signatures");
    row(
        "signatures verified, per installation",
        run.verified / count,
        "signatures",
    );
    row("messages on links, per installation", run.messages / count, "messages");
    row(
        "records of the campaign's journal, per installation",
        run.records / count,
        "records",
    );
    row("memory at the peak, per installation", run.memory / count, "octets");
    row(
        "rows of daily outcomes that reconcile with the journal",
        run.rows,
        "rows",
    );
}

/// Where the processor time of an installation went: what was counted in the run at its cost apart, and the rest. Reports come
/// after the run and are no part of it.
fn steps(table: &mut Table, of: &str, run: &Measured, count: f64, asymmetric: &[(&str, f64)]) {
    let more = [
        ("fold of the journal", run.fold * 1e6),
        (
            "days of the calendar, each as one without migrations (devices by themselves)",
            run.days * run.idle_day * 1e6,
        ),
    ];
    let counted = STEPS.into_iter().zip(run.steps);
    let all: Vec<(&str, f64)> = asymmetric.iter().copied().chain(counted).chain(more).collect();
    let rest = run.processor * 1e6 - all.iter().map(|(_, micros)| micros).sum::<f64>();
    let mut row = |what: &str, micros: f64| {
        table.row(
            &format!("{of}: {what}, per installation"),
            micros / count,
            "µs",
            Against::Nothing,
        );
    };
    for (what, micros) in all {
        row(&format!("step (count in the run x cost apart): {what}"), micros);
    }
    row(
        "step: the rest (tasks, roles and their journals, files, clock, memory)",
        rest,
    );
    row(
        "after the run: fifteen reports and twelve invariants",
        run.reports * 1e6,
    );
}

/// Runs such a day and prints its numbers.
pub(crate) fn run_here(installations: u32, signatures: SignatureScheme) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("s1lab-bench-migration-{}", std::process::id()));
    let file = files(&folder, installations)?;
    let result = measure(&file, installations, signatures);
    fs::remove_dir_all(&folder)?;
    result
}

fn measure(file: &Path, installations: u32, signatures: SignatureScheme) -> Result<()> {
    let (clock, processor) = (Stretch::begin(), process_seconds());
    let told = std::env::var_os("S1LAB_BENCH_TELL").is_some();
    let marks = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&marks);
    let progress = move |progress: &Progress| {
        if told {
            eprintln!("{}", progress.words());
        }
        let mark = (progress.now, process_seconds());
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
    };
    let run = campaign::run(&Options {
        worlds: Some(WORLDS),
        signatures,
        progress: Some(Arc::new(progress)),
        ..Options::new(file.to_owned())
    })?;
    let (end, clock) = (process_seconds(), clock.clock_seconds());
    let processor = end - processor;
    let marks = std::mem::take(&mut *marks.lock().unwrap_or_else(PoisonError::into_inner));
    let at = |text: &str| -> Result<f64> {
        let at: SimInstant = text.parse()?;
        let mark = marks.iter().find(|(now, _)| *now >= at);
        Ok(mark.with_context(|| format!("the run ended before {text}"))?.1)
    };
    // A Saturday, and the midnight before the week of the authorisations.
    let idle_day = at("2019-06-08T23:00:00Z")? - at("2019-06-07T23:00:00Z")?;
    let on_the_day = end - at("2019-06-09T23:00:00Z")?;
    let days = run.now.since(run.file.start).as_millis() as f64 / 86_400_000.0;
    let memory = peak_octets();
    let migrated = run
        .campaign
        .installations()
        .filter(|known| known.state == State::Migrated)
        .count();
    ensure!(
        migrated == installations as usize,
        "{migrated} of {installations} migrated: {}",
        run.text()
    );
    let fold = Stretch::begin();
    let mut campaign = Campaign::new(Arc::new(Settings::builtin()?));
    run.entries.iter().for_each(|entry| campaign.apply(entry));
    black_box(&campaign);
    let fold = fold.seconds();
    let reports = Stretch::begin();
    for (id, text, verdict) in run.invariants() {
        ensure!(!matches!(verdict, Verdict::Violated(_)), "{id} {text}: {verdict:?}");
    }
    let folder = file.parent().context("a folder")?.join("reports");
    let written = run.write(&folder)?;
    let reports = reports.seconds();
    let daily = written.iter().find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("R01"))
    });
    // One row per metering point and attempt.
    let rows = fs::read_to_string(daily.context("report R01")?)?.lines().count() - 1;
    let points: usize = run
        .campaign
        .outcomes
        .iter()
        .map(|outcome| {
            run.campaign
                .installation(outcome.installation)
                .map_or(0, |known| known.facts.points.len())
        })
        .sum();
    ensure!(
        rows == points,
        "{rows} rows of daily outcomes, {points} points in the journal's outcomes"
    );
    let numbers = [
        processor,
        clock,
        run.messages as f64,
        run.head.0 as f64,
        run.signatures.made as f64,
        run.signatures.verified as f64,
        memory as f64,
        reports,
        fold,
        rows as f64,
        on_the_day,
        idle_day,
        days,
    ];
    let numbers = numbers.into_iter().chain(migration_steps::of(&run)?);
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    println!("{}", numbers.join(" "));
    Ok(())
}

/// A campaign whose installations are all due on one day: the cohort is at its target from the first day on.
fn files(folder: &Path, installations: u32) -> Result<PathBuf> {
    let settings = folder.join("settings");
    fs::create_dir_all(&settings)?;
    let ramp = "source = \"invented: the benchmark begins at the target\"\n\n[[stage]]\nname = \"target\"\nmode = \"bulk\"\n\
                cap_per_day = 50000\n";
    fs::write(settings.join("ramp.toml"), ramp)?;
    let (dual, single) = (installations - installations / 4, installations / 4);
    let estate = format!(
        "[estate]\nname = \"bench\"\nsource = \"invented\"\n\n[[template]]\nname = \"dual-fuel\"\ncount = {dual}\n\
         enrolled = false\nprovider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\n\
         gpf = \"am110r-gpf@BASE\"\ngsme = \"bk-g4e@BASE\"\npayment_mode = \"credit\"\n\
         installation = {{ active = 2, dormant = 1, mixed = 1 }}\ncohort = \"ioc\"\nsmso = \"CGI\"\n\n[[template]]\n\
         name = \"electricity-only\"\ncount = {single}\nenrolled = false\nprovider = \"vodafone\"\n\
         chf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\npayment_mode = \"credit\"\ninstallation = \"active\"\n\
         cohort = \"ioc\"\nsmso = \"CGI\"\n"
    );
    fs::write(folder.join("estate.toml"), estate)?;
    let campaign = "[campaign]\nname = \"a day\"\nsource = \"invented\"\nseed = 7\nstart = \"2019-06-03T04:00:00Z\"\n\
                    until = \"2019-06-12\"\nestate = \"estate.toml\"\nsettings = \"settings\"\n\n[[authorisation]]\n\
                    week = \"2019-06-10\"\nat = \"2019-06-04T09:00:00Z\"\n";
    let file = folder.join("campaign.toml");
    fs::write(&file, campaign)?;
    Ok(file)
}
