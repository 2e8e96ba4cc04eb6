//! `s1lab sit`.

use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use runs::report;
use runs::sit::{self, Options, SitError};

use crate::args::{Global, Sit};
use crate::failure::Failure;
use crate::output;

/// The estate of a run that is told of none: every device profile in every type of installation.
const USUAL: &str = "catalogue";

/// Where the report goes when nothing is said.
const DEFAULT_FOLDER: &str = "s1lab-out/sit";

pub(crate) fn run(global: &Global, args: Sit) -> Result<(), Failure> {
    let mut config = super::config(global)?;
    if global.clock.as_deref().is_some_and(|clock| clock != "virtual") {
        return Err(Failure::Input(anyhow::anyhow!(
            "sit runs on the virtual clock; for a lab on a real one use `s1lab up`"
        )));
    }
    config.worlds.count = args.worlds;
    config.dmc.folders.extend(args.dmc);
    match args.estate {
        Some(estate) => {
            let directed = std::mem::take(&mut config.estate.directed);
            config.estate = lab::config::EstateConfig {
                directed,
                ..super::estate::chosen(&estate)
            };
        }
        None if config.estate.file.is_none() => {
            config.estate.builtin.get_or_insert_with(|| USUAL.to_owned());
        }
        None => {}
    }
    let cut = args.cut.iter().map(|pair| cut(pair)).collect::<Result<_, _>>()?;
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {pos} of {len} requests, {elapsed} gone, {eta} to go")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let shown = bar.clone();
    let progress = move |done: usize, planned: usize| {
        shown.set_length(planned as u64);
        shown.set_position(done as u64);
    };
    let run = sit::run(Options {
        config,
        without_rules: Vec::new(),
        cut,
        progress: Some(Arc::new(progress)),
    })
    .map_err(|error| match error {
        SitError::Build(error) => Failure::input(error),
        other => Failure::start(other),
    })?;
    bar.finish_and_clear();
    let folder = global.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    super::announce(&run.write(&folder).map_err(Failure::start)?);
    if global.json {
        output::json(&serde_json::to_value(&run.result).map_err(Failure::start)?);
    } else {
        output::line(report::text(&run.result));
    }
    if run.result.passed() {
        Ok(())
    } else {
        Err(Failure::Checks)
    }
}

/// `s1sp-dco` as two role names.
fn cut(pair: &str) -> Result<(String, String), Failure> {
    let known = ["user", "dcc", "s1sp", "dco", "wan", "fleet", "smso", "supplier"];
    match pair.split_once('-') {
        Some((left, right)) if known.contains(&left) && known.contains(&right) => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(Failure::Input(anyhow::anyhow!(
            "--cut: expected two roles joined by '-', such as s1sp-dco, found {pair:?}; roles are {}",
            known.join(", ")
        ))),
    }
}
