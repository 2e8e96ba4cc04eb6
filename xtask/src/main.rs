//! Chores of the workspace: `cargo xtask bench`, `cargo xtask ci` and `cargo xtask mutate-rules`.

#![expect(clippy::print_stdout, reason = "tables and numbers on stdout are its purpose")]

mod bench;
mod mutate_rules;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

/// As in `s1lab`: a day of migrations splinters the system's own heap, which then takes a fifth of its time (`docs/numbers.md`).
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure speed and memory, each as a ratio to a floor or aim
    Bench {
        /// Only the benchmarks whose name contains this
        filter: Option<String>,
        /// Where to write the numbers as JSON
        #[arg(long, default_value = "target/bench.json")]
        json: PathBuf,
        /// Installations of the large runs
        #[arg(long, default_value_t = 100_000)]
        installations: u32,
    },
    /// Run exactly what CI runs
    Ci,
    /// Delete each rule of the device profiles in turn and say whether its row on the bench turns red
    MutateRules {
        /// Only the rules whose id contains this
        filter: Option<String>,
    },
    /// One memory or speed measurement in a process of its own; the benchmarks call this
    #[command(hide = true)]
    Child {
        /// Which
        name: String,
        /// Size
        count: u32,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.chore {
        Chore::Bench {
            filter,
            json,
            installations,
        } => bench::run(filter.as_deref(), &json, installations),
        Chore::Child { name, count } => bench::child(&name, count),
        Chore::MutateRules { filter } => mutate_rules::run(filter.as_deref()),
        Chore::Ci => {
            let status = Command::new("bash").arg(".ci/run").status().context("run .ci/run")?;
            if status.success() {
                Ok(())
            } else {
                bail!(".ci/run ended with {status}")
            }
        }
    }
}
