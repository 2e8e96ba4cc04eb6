//! The commands below `s1lab dmc`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What all of them take.
#[derive(Args, Debug)]
pub(crate) struct Shelf {
    /// Folder with further device profiles, beside the built-in ones; may be given again
    #[arg(long = "dmc", global = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// Leave out what is less sure: specified, observed, sourced, inferred, recalled or invented
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) min_confidence: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum DmcCommand {
    /// List the device profiles with group, route and how sure their weakest rule is
    #[command(after_help = "Example:\n  s1lab dmc list --min-confidence inferred")]
    List,
    /// Show one profile and its rules: side, confidence, source, file, settings
    #[command(after_help = "Example:\n  s1lab dmc show as300p@BASE")]
    Show {
        /// model@firmware
        profile: String,
    },
    /// Check profile folders and lists; nothing of them is taken unless all of it is sound
    #[command(after_help = "Example:\n  s1lab dmc check --dmc my-profiles --dpl deployed.csv")]
    Check {
        /// Eligible combinations: dmc, report, date, decision, approved_by; or by models as in fixtures/products/epcl.csv
        #[arg(long, value_name = "CSV")]
        epcl: Option<PathBuf>,
        /// Products: profile, and if any image_hash, status; or by models as in fixtures/products/cpl.csv
        #[arg(long, value_name = "CSV")]
        cpl: Option<PathBuf>,
        /// Deployed combinations: dmc, count
        #[arg(long, value_name = "CSV")]
        dpl: Option<PathBuf>,
    },
    /// Account for every item known of SMETS1 devices: a rule, a constraint, not of SMETS1, or not modelled
    #[command(after_help = "Example:\n  s1lab dmc coverage --class 'not modelled'")]
    Coverage {
        /// Only this class
        #[arg(long, value_parser = ["constraint", "rule", "not SMETS1", "not modelled"])]
        class: Option<String>,
    },
    /// Choose the deployed combinations to test, the commonest first, until they cover a share
    #[command(after_help = "Example:\n  s1lab dmc select --dpl deployed.csv --cover 80%")]
    Select {
        /// Deployed combinations: dmc, count
        #[arg(long, value_name = "CSV")]
        dpl: PathBuf,
        /// Share of the installations to cover
        #[arg(long, value_name = "PERCENT", default_value = "80%", value_parser = percent)]
        cover: u8,
    },
    /// Say which rules bear on the answer to a request: side, file and line, and the steps they leave
    #[command(after_help = "Example:\n  s1lab dmc explain 4.8.1 --profile as300p@BASE\n  \
        s1lab dmc explain 90-B3-D5-1F-30-01-00-00:02-1A-B0-02-01-00-00-01:1591002000206\n  \
        s1lab dmc explain --tape s1lab-out/tape.s1tape --entry 12")]
    Explain {
        /// Service reference variant, or the RequestID of a request to a running lab
        #[arg(required_unless_present = "tape")]
        request: Option<String>,
        /// The profile; without one it is that of the request's device in the running lab, or in the configured estate for
        /// a tape
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        /// For a RequestID: its service reference variant, where the running lab no longer has it
        #[arg(long, value_name = "SRV")]
        service: Option<String>,
        /// A recorded tape, to explain one entry of
        #[arg(long, value_name = "FILE", requires = "entry", conflicts_with_all = ["request", "service"])]
        tape: Option<PathBuf>,
        /// Which entry of the tape, from 1 in the order of `s1lab tape show`
        #[arg(long, value_name = "N", requires = "tape")]
        entry: Option<usize>,
    },
    /// Say how two profiles, or two whole combinations, differ: in rules and in what users see
    #[command(
        after_help = "Exit code 1 if they differ. The answers are those of the requests of `s1lab sit`, each profile on an \
        installation of its own\nwith the plainest companions.\n\nExample:\n  s1lab dmc diff liberty100@pre-dcc liberty100@dcc-eligible"
    )]
    Diff {
        /// model@firmware, or provider/chf/esme/gpf/gsme/ppmid/ihd
        a: String,
        /// The other one
        b: String,
    },
    /// Take in a list that an owner of real data has
    #[command(subcommand)]
    Import(Import),
}

#[derive(Subcommand, Debug)]
pub(crate) enum Import {
    /// An annex of deviations as a table: say which clauses are modelled and which are not, and keep them with --dmc
    #[command(
        after_help = "The table needs a column for the clause (clause, ref, reference or id) and may have one for the model \
        and one for the\nrequest. Rules are of a clause when they name it (`clause = …`). A folder given with --dmc keeps\nthe \
        clauses, without their text, in annex-a.csv; `s1lab dmc coverage` counts them from then on.\n\nExample:\n  \
        s1lab dmc import annex-a annex.csv --dmc my-profiles"
    )]
    AnnexA {
        /// The table
        file: PathBuf,
    },
}

fn percent(text: &str) -> Result<u8, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent @ 1..=100) => Ok(percent),
        _ => Err("expected 1% to 100%".into()),
    }
}
