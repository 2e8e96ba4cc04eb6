//! One module per command.

mod audit;
mod device;
mod dmc;
mod duis;
mod estate;
mod image;
mod migrate;
mod plan;
mod run;
mod sit;
mod tape;
mod up;
mod vend;

use control::Client;
use lab::Config;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::args::{Cli, Command, Global, Pki};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Run(args) => run::run(&global, args),
        Command::Sit(args) => sit::run(&global, args),
        Command::Migrate(args) => migrate::run(&global, &args),
        Command::Plan(args) => plan::run(&global, &args),
        Command::Up(args) => up::up(&global, args),
        Command::Role(args) => up::role(&global, args),
        Command::Device(args) => device::run(&global, args),
        Command::Dmc { shelf, command } => dmc::run(&global, &shelf, &command),
        Command::Duis(args) => duis::run(&global, args),
        Command::Estate { args, command } => estate::run(&global, &args, &command),
        Command::Image { shelf, command } => image::run(&global, &shelf, &command),
        Command::Pki(Pki::Init { dir }) => pki_init(&global, &dir),
        Command::Tape(args) => tape::run(&global, args),
        Command::Vend(args) => vend::run(&global, &args),
        Command::Audit(args) => audit::run(&global, &args),
    }
}

/// The configuration: file, then what the command line says. Nothing is bound or written.
fn config(global: &Global) -> Result<Config, Failure> {
    let mut config = match &global.config {
        Some(path) => Config::read(path).map_err(Failure::input)?,
        None => Config::default(),
    };
    if let Some(seed) = global.seed {
        config.seed = seed;
    }
    if let Some(clock) = &global.clock {
        config.clock.mode = clock
            .parse()
            .map_err(|e| Failure::Input(anyhow::anyhow!("--clock: {e}")))?;
    }
    if let Some(latency) = &global.latency {
        let factor = latency.strip_prefix('x').unwrap_or(latency).parse::<f64>().ok();
        config.clock.latency = factor
            .filter(|factor| factor.is_finite() && *factor > 0.0)
            .ok_or_else(|| {
                Failure::Input(anyhow::anyhow!(
                    "--latency: expected a factor such as x0.01, found {latency:?}"
                ))
            })?;
    }
    Ok(config)
}

/// A runtime for commands that talk over sockets.
fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::start)
}

/// The running lab that the command line or the state folder names.
async fn client(global: &Global) -> Result<Client, Failure> {
    Client::find(global.lab.as_deref(), &global.state)
        .await
        .map_err(|error| {
            Failure::Start(
                anyhow::Error::from(error)
                    .context("find the running lab (start one with `s1lab up`, or name it with --lab)"),
            )
        })
}

/// Says which files a run left.
fn announce(files: &[std::path::PathBuf]) {
    for file in files {
        eprintln!("wrote {}", file.display());
    }
}

fn pki_init(global: &Global, dir: &std::path::Path) -> Result<(), Failure> {
    let files = lab::up::init_pki(&config(global)?, dir).map_err(Failure::input)?;
    if global.json {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        output::json(&json!({ "files": names }));
    } else {
        for file in &files {
            output::line(file.display().to_string());
        }
        eprintln!("{} files; keys are readable by you alone", files.len());
    }
    Ok(())
}
