//! `s1lab migrate`.

use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use runs::campaign::{self, CampaignError, Options, Progress, Until};

use crate::args::{Global, Migrate, MigrateCommand};
use crate::failure::Failure;
use crate::output;

/// Where everything goes when nothing is said.
const DEFAULT_FOLDER: &str = "s1lab-out/migrate";

pub(crate) fn run(global: &Global, args: &Migrate) -> Result<(), Failure> {
    let folder = global.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let state = folder.join("state");
    match (&args.command, &args.file) {
        (Some(MigrateCommand::Status { mpxn }), _) => status(global, &state, mpxn),
        (None, Some(file)) => {
            let until = match (&args.until, args.day) {
                (Some(day), _) => Until::Day(day.parse().map_err(|_| {
                    Failure::Input(anyhow::anyhow!(
                        "--until: expected a date such as 2019-06-10, found {day:?}"
                    ))
                })?),
                (None, true) => Until::NextDay,
                (None, false) => Until::End,
            };
            let bar = bar();
            let shown = bar.clone();
            let options = Options {
                file: file.clone(),
                config: super::config(global)?,
                seed: global.seed,
                state: (!args.in_memory).then(|| state.clone()),
                resume: args.resume,
                until,
                progress: Some(Arc::new(move |progress: &Progress| show(&shown, progress))),
                journal: None,
            };
            let run = campaign::run(&options).map_err(|error| match error {
                CampaignError::Worlds(_) | CampaignError::Journal(_) | CampaignError::Store(_) => Failure::start(error),
                other => Failure::input(other),
            })?;
            bar.finish_and_clear();
            for file in run.write(&folder).map_err(Failure::start)? {
                eprintln!("wrote {}", file.display());
            }
            if global.json {
                output::json(&run.json());
            } else {
                output::line(run.text());
            }
            if run.passed() { Ok(()) } else { Err(Failure::Checks) }
        }
        (None, None) => Err(Failure::Input(anyhow::anyhow!("a campaign file is needed; see --help"))),
    }
}

fn status(global: &Global, state: &std::path::Path, mpxn: &str) -> Result<(), Failure> {
    let mpxn = mpxn.parse().map_err(Failure::input)?;
    let status = campaign::status(state, mpxn).map_err(Failure::input)?;
    if global.json {
        output::json(&status.json());
    } else {
        output::line(status.text());
    }
    Ok(())
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {msg}, {elapsed} gone, {eta} to go");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The bar is the calendar; the estimate of the end follows from how fast it went so far.
fn show(bar: &ProgressBar, progress: &Progress) {
    let (done, all) = progress.minutes();
    bar.set_length(all);
    bar.set_position(done);
    bar.set_message(progress.words());
}
