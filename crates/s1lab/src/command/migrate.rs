//! `s1lab migrate`.

use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use runs::campaign::{
    self, CampaignError, CaseFilter, CohortSlug, Deed, Operator, Options, Owner, Progress, Until, Which,
};

use crate::args::{Exceptions, Global, Migrate, MigrateCommand};
use crate::failure::Failure;
use crate::output;

/// Where everything goes when nothing is said.
const DEFAULT_FOLDER: &str = "s1lab-out/migrate";

pub(crate) fn run(global: &Global, args: &Migrate) -> Result<(), Failure> {
    let folder = global.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let state = folder.join("state");
    match (&args.command, &args.file) {
        (Some(MigrateCommand::Status { mpxn }), _) => status(global, &state, mpxn),
        (Some(MigrateCommand::Exceptions(asked)), _) => exceptions(global, &state, asked),
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

fn exceptions(global: &Global, state: &std::path::Path, asked: &Exceptions) -> Result<(), Failure> {
    let owner = |word: &str| {
        let known = Owner::ALL.iter().map(|owner| owner.as_str());
        let all = known.collect::<Vec<_>>().join(", ");
        Owner::from_word(word).ok_or_else(|| Failure::Input(anyhow::anyhow!("no owner {word:?}; there are {all}")))
    };
    let which = Which {
        numbers: asked.cases.clone(),
        filter: CaseFilter {
            code: asked.code.clone(),
            cohort: asked.cohort.as_deref().map(CohortSlug::new),
            owner: asked.owner.as_deref().map(owner).transpose()?,
        },
    };
    let (Some(word), Some(name), Some(file)) = (&asked.deed, &asked.by, &asked.file) else {
        let found = campaign::exceptions(state, &which, asked.all).map_err(Failure::input)?;
        if global.json {
            let all: Vec<_> = found.iter().map(campaign::Exception::json).collect();
            output::json(&all.into());
        } else if found.is_empty() {
            output::line("no case fits");
        } else {
            found.iter().for_each(|one| output::line(one.text()));
        }
        return Ok(());
    };
    if which == Which::default() {
        return Err(Failure::Input(anyhow::anyhow!(
            "say which cases: their numbers, --code, --cohort or --owner"
        )));
    }
    let deed = Deed::read(word, asked.to.as_deref(), asked.text.as_deref())
        .map_err(|problem| Failure::Input(anyhow::anyhow!(problem)))?;
    let operator = Operator {
        name: name.clone(),
        role: owner(&asked.role)?,
    };
    let done = campaign::act(file, state, &operator, &which, &deed).map_err(Failure::input)?;
    let mut good = true;
    for (number, result) in &done {
        match result {
            Ok(()) => output::line(format!("case {number}: done")),
            Err(error) => {
                good = false;
                output::line(format!("case {number}: refused: {error}"));
            }
        }
    }
    if done.is_empty() {
        output::line("no case fits");
    }
    if good { Ok(()) } else { Err(Failure::Checks) }
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
