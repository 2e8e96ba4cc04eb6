//! `s1lab migrate`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use control::messages::ActOnExceptionsRequest;
use control::{CampaignClient, CampaignServer, StateFile};
use indicatif::{ProgressBar, ProgressStyle};
use runs::campaign::{
    self, CampaignError, CaseFilter, CohortSlug, Deed, Live, Operator, Options, Owner, Progress, Until, Which,
};
use tokio_util::sync::CancellationToken;

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
            let shown = Shown::new(bar.clone());
            let live = Live::default();
            let options = Options {
                file: file.clone(),
                config: super::config(global)?,
                seed: global.seed,
                worlds: args.worlds,
                signatures: args.signatures,
                state: (!args.in_memory).then(|| state.clone()),
                resume: args.resume,
                until,
                progress: Some(Arc::new(move |progress: &Progress| shown.tell(progress))),
                live: Some(live.clone()),
                journal: None,
            };
            let run = served(args.listen, live, options.state.as_deref(), || campaign::run(&options))?;
            let run = run.map_err(|error| match error {
                CampaignError::Worlds(_) | CampaignError::Journal(_) | CampaignError::Store(_) => Failure::start(error),
                other => Failure::input(other),
            })?;
            bar.finish_and_clear();
            run.write(&folder).map_err(Failure::start)?;
            eprintln!(
                "15 reports R01 to R15, index.html and outcomes.txt in {}",
                folder.display()
            );
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

/// Does some work while the campaign's control service listens; its address stands in the folder meanwhile.
fn served<T>(address: SocketAddr, live: Live, state: Option<&Path>, work: impl FnOnce() -> T) -> Result<T, Failure> {
    let runtime = super::runtime()?;
    let server = runtime
        .block_on(CampaignServer::bind(address, live))
        .map_err(|error| Failure::Start(anyhow::Error::from(error).context(format!("listen on {address}"))))?;
    eprintln!("{:8} {}", "control", server.address());
    // Only a folder that has a campaign already may be written into before the campaign is judged.
    let note = state.map(|state| StateFile::write(state, server.address()));
    let note = note.transpose().map_err(Failure::start)?;
    let stop = CancellationToken::new();
    let serving = runtime.spawn(server.run(stop.clone()));
    let done = work();
    drop(note);
    stop.cancel();
    match runtime.block_on(serving) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("the control service ended early: {error}"),
        Err(error) => eprintln!("the control service ended early: {error}"),
    }
    Ok(done)
}

/// The campaign, where it runs.
fn running(
    global: &Global,
    state: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<Option<CampaignClient>, Failure> {
    runtime
        .block_on(CampaignClient::find(global.lab.as_deref(), state))
        .map_err(Failure::start)
}

fn status(global: &Global, state: &Path, mpxn: &str) -> Result<(), Failure> {
    let runtime = super::runtime()?;
    let status = match running(global, state, &runtime)? {
        Some(mut client) => runtime.block_on(client.status(mpxn)).map_err(Failure::input)?,
        None => campaign::status(state, mpxn.parse().map_err(Failure::input)?).map_err(Failure::input)?,
    };
    if global.json {
        output::json(&status.json());
    } else {
        output::line(status.text());
    }
    Ok(())
}

fn exceptions(global: &Global, state: &Path, asked: &Exceptions) -> Result<(), Failure> {
    let runtime = super::runtime()?;
    let mut client = running(global, state, &runtime)?;
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
    let (Some(word), Some(name)) = (&asked.deed, &asked.by) else {
        let found = match &mut client {
            Some(client) => runtime
                .block_on(client.exceptions(&which, asked.all))
                .map_err(Failure::input)?,
            None => campaign::exceptions(state, &which, asked.all).map_err(Failure::input)?,
        };
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
    let role = owner(&asked.role)?;
    let done: Vec<(u64, Result<(), String>)> = match &mut client {
        Some(client) => {
            let request = ActOnExceptionsRequest {
                which: Some((&which).into()),
                deed: word.clone(),
                to: asked.to.clone().unwrap_or_default(),
                text: asked.text.clone().unwrap_or_default(),
                by: name.clone(),
                r#as: role.as_str().to_owned(),
            };
            runtime.block_on(client.act(request)).map_err(Failure::input)?
        }
        None => {
            let operator = Operator {
                name: name.clone(),
                role,
            };
            let done = campaign::act(state, &operator, &which, &deed).map_err(Failure::input)?;
            let words = done.into_iter();
            words
                .map(|(number, result)| (number, result.map_err(|error| error.to_string())))
                .collect()
        }
    };
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

/// How far a campaign is, on standard error.
struct Shown {
    bar: ProgressBar,
    /// What was said last, where nobody sees a bar: to a file, to a log. It says nothing that depends on the machine.
    last: Mutex<Option<Progress>>,
}

impl Shown {
    fn new(bar: ProgressBar) -> Self {
        let last = Mutex::default();
        Self { bar, last }
    }

    /// The bar is the calendar; the estimate of the end follows from how fast it went so far.
    fn tell(&self, progress: &Progress) {
        let (done, all) = progress.minutes();
        if !self.bar.is_hidden() {
            self.bar.set_length(all);
            self.bar.set_position(done);
            self.bar.set_message(progress.words());
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| progress.is_news_after(last)) {
            eprintln!("{:3} % {}", done * 100 / all.max(1), progress.words());
            *last = Some(progress.clone());
        }
    }
}
