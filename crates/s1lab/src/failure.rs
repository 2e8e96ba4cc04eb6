//! How a command can fail, and the exit code of each way.

use std::process::ExitCode;

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It ran, and something failed its checks: said already. Exit code 1.
    Checks,
    /// Bad input: exit code 2.
    Input(anyhow::Error),
    /// Could not start, or not reach a lab: exit code 3.
    Start(anyhow::Error),
}

impl Failure {
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }

    pub(crate) fn start(error: impl Into<anyhow::Error>) -> Self {
        Self::Start(error.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Checks => 1,
            Self::Input(_) => 2,
            Self::Start(_) => 3,
        })
    }

    /// Says what happened on standard error: the error, then each cause that adds something.
    pub(crate) fn print(&self) {
        let (Self::Input(error) | Self::Start(error)) = self else {
            return;
        };
        let mut said = error.to_string();
        eprintln!("error: {said}");
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            if !said.contains(&text) {
                eprintln!("  because: {text}");
            }
            said = text;
        }
    }
}
