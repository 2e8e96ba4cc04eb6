//! `s1lab plan`.

use std::path::PathBuf;

use runs::plan::{self, Options, PlanError};

use crate::args::{Global, Plan};
use crate::failure::Failure;
use crate::output;

/// Where the tables go when nothing is said.
const DEFAULT_FOLDER: &str = "s1lab-out/plan";

pub(crate) fn run(global: &Global, args: &Plan) -> Result<(), Failure> {
    let planned = plan::run(&Options {
        scenario: args.file.clone(),
        settings: args.settings.clone(),
        forecast: args.forecast.clone(),
        calibrate: args.calibrate.clone(),
        seed: global.seed,
    })
    .map_err(Failure::input)?;
    let folder = global.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let written = planned
        .write(&folder)
        .map_err(|error: PlanError| Failure::start(error))?;
    for file in written {
        eprintln!("wrote {}", file.display());
    }
    if global.json {
        output::json(&planned.json());
    } else {
        output::line(planned.text());
    }
    Ok(())
}
