//! `s1lab estate`.

use std::path::Path;

use lab::config::EstateConfig;
use runs::estates;

use super::dmc::{load, say};
use crate::args::{Estate, EstateArgs, Global, ShelfArgs};
use crate::failure::Failure;

/// The estate of this name: a file where it has an ending, else a built-in one.
pub(super) fn chosen(estate: &str) -> EstateConfig {
    let file = Path::new(estate).extension().is_some();
    EstateConfig {
        file: file.then(|| estate.into()),
        builtin: (!file).then(|| estate.to_owned()),
        ..EstateConfig::default()
    }
}

pub(crate) fn run(global: &Global, args: &EstateArgs, command: &Estate) -> Result<(), Failure> {
    let shelf = ShelfArgs {
        folders: args.folders.clone(),
        min_confidence: None,
    };
    let shelf = load(global, &shelf)?;
    let catalogue = shelf.catalogue();
    let mut directed = super::config(global)?.estate.directed;
    directed.extend(args.directed.iter().cloned());
    let config = |estate: &str| EstateConfig {
        directed: directed.clone(),
        ..chosen(estate)
    };
    let said = match command {
        Estate::Show { estate } => estates::show(&config(estate), catalogue),
        Estate::Check { estate } => estates::check(&config(estate), catalogue),
        Estate::Export { estate, folder } => estates::export(&config(estate), catalogue, folder),
        Estate::Import {
            devices,
            registration,
            folder,
        } => estates::import(devices, registration, folder, catalogue, &directed),
    };
    say(global, said)
}
