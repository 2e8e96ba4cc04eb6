//! `s1lab run`.

use std::path::PathBuf;

use runs::interoperability;
use runs::sit::SitError;

use crate::args::{Global, Run};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: Run) -> Result<(), Failure> {
    let mut config = super::config(global)?;
    config.estate.file = args.estate.or(config.estate.file);
    let run = interoperability::run(config).map_err(|error| match error {
        SitError::Build(error) => Failure::input(error),
        other => Failure::start(other),
    })?;
    let folder = global.out.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from("s1lab-out").join(&args.pack));
    super::announce(&run.write(&folder).map_err(Failure::start)?);
    if global.json {
        output::json(&serde_json::to_value(&run.result).map_err(Failure::start)?);
    } else {
        output::line(interoperability::text(&run.result));
    }
    if run.result.passed() {
        Ok(())
    } else {
        Err(Failure::Checks)
    }
}
