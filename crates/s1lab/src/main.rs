//! The `s1lab` command line: reads arguments, calls `runs`, `lab` and `control`, prints.
//!
//! It deliberately knows nothing of the field. Data goes to standard output, logs and progress to standard error.

mod args;
mod command;
mod failure;
mod output;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::Cli;

/// A day of migrations splinters the system's own heap, which then takes a fifth of its time (`docs/numbers.md`).
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed terminal; clap's own exit code for usage is 2, as documented.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let filter = EnvFilter::try_from_env("S1LAB_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "s1lab");
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
