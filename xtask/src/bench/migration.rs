//! A day of migrations over the whole chain: every message, signature and journal write, against the floor of the P-256
//! operations that its messages need; then what its journal and its reports cost.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use lab::Config;
use migration::Settings;
use migration::invariants::Verdict;
use migration::machine::{Campaign, State};
use runs::campaign::{self, Options, Progress, SignatureScheme, Until};

use super::fleet::ask_child;
use super::machine::{Stretch, peak_octets, process_seconds};
use super::request;
use super::table::{Against, Table};

/// Installations of a day, as the programme planned.
const DAY: f64 = 50_000.0;
/// Worlds, one per core.
const WORLDS: u32 = 2;

pub(crate) fn run(table: &mut Table, installations: u32) -> Result<()> {
    let before = request::floor()?;
    let numbers = ask_child("migration", installations)?;
    let [
        processor,
        clock,
        messages,
        records,
        made,
        verified,
        memory,
        reports,
        fold,
        rows,
    ] = numbers[..]
    else {
        bail!("migration: {numbers:?}")
    };
    let floor = before.best(request::floor()?);
    floor.show(table);
    let count = f64::from(installations);
    let of = format!("migration of {installations} in a day, {WORLDS} worlds, journals in memory");
    let per = |total: f64| total / count;
    let least = floor.signatures(per(made), per(verified));
    table.row(
        &format!("{of}: processor time per installation"),
        per(processor) * 1e6,
        "µs",
        Against::AtMost(least, "P-256 floor of its messages (aim ratio 0.5)"),
    );
    table.row(
        &format!(
            "a day of 50 000 at that cost on two free cores{}",
            if count < DAY { ", EXTRAPOLATED" } else { "" }
        ),
        per(processor) * DAY / 2.0,
        "s",
        Against::AtMost(least * DAY / 2.0 / 1e6, "the same floor on two cores (aim ratio 0.5)"),
    );
    let mut row = |what: &str, value, unit| table.row(&format!("{of}: {what}"), value, unit, Against::Nothing);
    row("time of the machine's clock", clock, "s");
    row("signatures made, per installation", per(made), "signatures");
    row("signatures verified, per installation", per(verified), "signatures");
    row("messages on links, per installation", per(messages), "messages");
    row(
        "records of the campaign's journal, per installation",
        per(records),
        "records",
    );
    row("memory at the peak, per installation", per(memory), "octets");
    row("step: fold of the journal, per installation", per(fold) * 1e6, "µs");
    row(
        "step: fifteen reports and twelve invariants, per installation",
        per(reports) * 1e6,
        "µs",
    );
    row("rows of daily outcomes that reconcile with the journal", rows, "rows");
    Ok(())
}

/// Runs such a day and prints its numbers.
pub(crate) fn run_here(installations: u32) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("s1lab-bench-migration-{}", std::process::id()));
    let file = files(&folder, installations)?;
    let result = measure(&file, installations);
    fs::remove_dir_all(&folder)?;
    result
}

fn measure(file: &Path, installations: u32) -> Result<()> {
    let (clock, processor) = (Stretch::begin(), process_seconds());
    let told = std::env::var_os("S1LAB_BENCH_TELL").is_some();
    let run = campaign::run(&Options {
        file: file.to_owned(),
        config: Config::default(),
        seed: None,
        worlds: Some(WORLDS),
        signatures: SignatureScheme::P256,
        state: None,
        resume: false,
        until: Until::End,
        progress: told.then(|| {
            Arc::new(|progress: &Progress| eprintln!("{}", progress.words())) as Arc<dyn Fn(&Progress) + Send + Sync>
        }),
        live: None,
        journal: None,
    })?;
    let (processor, clock) = (process_seconds() - processor, clock.clock_seconds());
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
    ];
    println!("{}", numbers.map(|number| number.to_string()).join(" "));
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
