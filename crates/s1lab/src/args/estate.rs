//! The commands below `s1lab estate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What all of them take.
#[derive(Args, Debug)]
pub(crate) struct EstateArgs {
    /// Folder with further device profiles, beside the built-in ones; may be given again
    #[arg(long = "dmc", global = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// Group of devices that is in scope only if the government directs so, and here is; may be given again
    #[arg(long, global = true, value_name = "GROUP")]
    pub(crate) directed: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Estate {
    /// Say what an estate holds: installations by template, type, payment mode, cohort
    #[command(after_help = "Example:\n  s1lab estate show fixtures/estates/slice.toml")]
    Show {
        /// Estate file (TOML), or the name of a built-in one: catalogue, exercise, sit, slice
        estate: String,
    },
    /// Check an estate file and what it names; a fault is told with file, line and hint
    #[command(after_help = "Example:\n  s1lab estate check fixtures/estates/slice.toml")]
    Check {
        /// Estate file (TOML), or the name of a built-in one
        estate: String,
    },
    /// Write the devices of an estate and the registration data of its metering points as CSV
    #[command(after_help = "Example:\n  s1lab estate export fixtures/estates/slice.toml tables")]
    Export {
        /// Estate file (TOML), or the name of a built-in one
        estate: String,
        /// Folder for devices.csv and registration.csv
        folder: PathBuf,
    },
    /// Read installations listed one by one in two CSV tables; whole or not at all
    #[command(after_help = "The columns are those of `s1lab estate export`.\n\nExample:\n  \
        s1lab estate import tables/devices.csv tables/registration.csv estate\n  \
        s1lab up --estate estate/estate.toml")]
    Import {
        /// Table of devices
        devices: PathBuf,
        /// Table of registration data
        registration: PathBuf,
        /// Folder for the estate file and copies of the tables
        folder: PathBuf,
    },
}
