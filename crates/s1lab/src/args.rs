//! The command line as clap sees it. Names are a contract with scripts.

mod dmc;
mod duis;
mod estate;
mod image;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runs::campaign::SignatureScheme;

pub(crate) use dmc::{DmcCommand, Import, Shelf as ShelfArgs};
pub(crate) use duis::{Duis, SendOver};
pub(crate) use estate::{Estate, EstateArgs};
pub(crate) use image::ImageCommand;

/// Emulates fleets of Great Britain's first-generation smart meters and everything between them and a supplier's
/// system, for integration and migration tests.
#[derive(Parser, Debug)]
#[command(
    name = "s1lab",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 fine; 1 it ran and something failed its checks; 2 usage or bad input; 3 could not start.\n\
        Data goes to standard output, logs to standard error (set S1LAB_LOG=debug for more).\n\n\
        Example:\n  s1lab sit --seed 7 --out report"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Debug, Clone)]
pub(crate) struct Global {
    /// Lab configuration (TOML); without it the built-in lab is used
    #[arg(long, global = true, value_name = "FILE", env = "S1LAB_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Root seed of the run; the same seed and files give the same run
    #[arg(long, global = true, value_name = "NUMBER", env = "S1LAB_SEED")]
    pub(crate) seed: Option<u64>,
    /// Which clock: virtual, real, or x60 for sixty times as fast
    #[arg(long, global = true, value_name = "virtual|real|xN")]
    pub(crate) clock: Option<String>,
    /// Scale of latencies on a real or scaled clock: x0.01 makes an 8 s text message take 80 ms
    #[arg(long, global = true, value_name = "xN")]
    pub(crate) latency: Option<String>,
    /// Folder for the report of a run and what else it leaves [default: s1lab-out/ and the command's name]
    #[arg(long, global = true, value_name = "DIR", env = "S1LAB_OUT")]
    pub(crate) out: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Control address of a running lab, for example http://127.0.0.1:8081; without it the state folder is asked
    #[arg(long, global = true, value_name = "URL", env = "S1LAB_LAB")]
    pub(crate) lab: Option<String>,
    /// Folder in which a running lab keeps its journals, keys and address
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "S1LAB_STATE",
        default_value = "s1lab-out/state"
    )]
    pub(crate) state: PathBuf,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the system integration tests: every service request against every device of an embedded lab
    #[command(after_help = "Example:\n  s1lab sit --seed 7 --worlds 2 --out report\n  xdg-open report/index.html")]
    Sit(Sit),
    /// Run a scenario on an embedded lab: a story with its own cast, told request by request
    #[command(
        after_help = "Packs:\n  proof-of-interoperability  two suppliers, prepayment top-up, change of supplier (as the programme \
        showed in November 2018)\n\nExample:\n  s1lab run proof-of-interoperability --out report\n  xdg-open report/index.html"
    )]
    Run(Run),
    /// Plan a migration programme without devices: scheduling and scaling over months
    #[command(
        after_help = "Example:\n  s1lab plan fixtures/plans/programme.toml --out plan\n  xdg-open plan/index.html"
    )]
    Plan(Plan),
    /// Run a campaign of migration from a file: whole installations from their operator to the DCC, in virtual time
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Reports, journals and keys of the campaign are written below the folder that --out names.\n\n\
        Example:\n  s1lab migrate fixtures/campaigns/street.toml --out street\n  \
        s1lab migrate status 9901000000008 --out street\n  xdg-open street/index.html"
    )]
    Migrate(Migrate),
    /// Start a lab on real sockets and keep it running until interrupted
    #[command(after_help = "Example:\n  s1lab up --latency x0.01\n  s1lab device list")]
    Up(Up),
    /// Run one role of a lab in a process of its own
    #[command(after_help = "Example:\n  s1lab role fleet --connect 127.0.0.1:8082 --pki s1lab-out/state/pki")]
    Role(Role),
    /// Look at the devices of a running lab, or open one to a DLMS client
    #[command(subcommand)]
    Device(Device),
    /// Have the code of a top-up made for a meter of a running lab, as its supplier
    #[command(
        after_help = "The lab returns the code as its configuration says ([vending]): by S1SP alert to the supplier, which \
        this command waits\nfor. Unless --keypad is given, the code is sent to the meter as well.\n\n\
        Example:\n  s1lab vend 02-1A-B0-02-01-00-00-01 10.00 --keypad\n  s1lab device key-in 02-1A-B0-02-01-00-00-01 CODE"
    )]
    Vend(Vend),
    /// Look at the catalogue of device profiles: what it holds, what bears on a request, how two of them differ
    Dmc {
        #[command(flatten)]
        shelf: ShelfArgs,
        #[command(subcommand)]
        command: DmcCommand,
    },
    /// Make firmware images for devices of the lab, and say what images are
    Image {
        #[command(flatten)]
        shelf: ShelfArgs,
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Make, plan, sign, verify, send, receive and explain DUIS messages
    #[command(subcommand)]
    Duis(Duis),
    /// Look at estates, and bring installations in and out as tables
    Estate {
        #[command(flatten)]
        args: EstateArgs,
        #[command(subcommand)]
        command: Estate,
    },
    /// The lab's public key infrastructure
    #[command(subcommand)]
    Pki(Pki),
    /// Look at a recorded tape
    #[command(subcommand)]
    Tape(Tape),
    /// The service audit trail of a request, a device or a metering point of a running lab
    #[command(
        after_help = "For a request every hop is shown: what each role wrote down, and every message on the way as far as \
        the lab\nstill has it. Confidence says how sure the code is for what happened.\n\n\
        Example:\n  s1lab audit 90-B3-D5-1F-30-01-00-00:02-1A-B0-02-01-00-00-01:1591002000206\n  \
        s1lab audit 02-1A-B0-02-01-00-00-01 --json\n  s1lab audit 9901000000007"
    )]
    Audit(Audit),
}

#[derive(Args, Debug)]
pub(crate) struct Vend {
    /// EUI-64 of the meter
    pub(crate) device: String,
    /// Pounds, with or without pence: 12.50; up to 81.91, above that whole pounds up to 8191
    pub(crate) pounds: String,
    /// EUI-64 of the supplier; without it, the first user of the lab
    #[arg(long, value_name = "EUI64")]
    pub(crate) user: Option<String>,
    /// Only make the code, to be entered at the meter: nothing is sent there
    #[arg(long)]
    pub(crate) keypad: bool,
    /// How long the code is awaited, in seconds of this machine
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// RequestID (originator, target and counter joined by ':'), EUI-64 of a device, or metering point
    pub(crate) subject: String,
    /// Print the request as the lab received it, octet for octet, instead of the trail
    #[arg(long)]
    pub(crate) request: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Which one
    #[arg(value_parser = [runs::interoperability::PACK])]
    pub(crate) pack: String,
    /// Estate file (TOML) instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) estate: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Sit {
    /// Worlds to run in, one thread each; part of what the digest depends on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) worlds: u32,
    /// Folder with further device profiles, beside the built-in ones; may be given again
    #[arg(long, value_name = "DIR")]
    pub(crate) dmc: Vec<PathBuf>,
    /// Estate file (TOML), or the name of a built-in one: catalogue, which has every profile there is in every type of
    /// installation (this when nothing is said), slice for a quick look, or sit
    #[arg(long, value_name = "ESTATE")]
    pub(crate) estate: Option<String>,
    /// Cut the link between two roles before the run, to see that the pack notices: dcc-s1sp, s1sp-dco, s1sp-wan …
    #[arg(long, value_name = "A-B")]
    pub(crate) cut: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// Scenario (TOML); without it the built-in programme of ten million installations
    pub(crate) file: Option<PathBuf>,
    /// Folder with settings (calendar, ramp, scaling and so on) in place of the built-in ones of the same name
    #[arg(long, value_name = "DIR")]
    pub(crate) settings: Option<PathBuf>,
    /// Forecasts of suppliers (CSV) in place of the scenario's fleets
    #[arg(long, value_name = "FILE")]
    pub(crate) forecast: Option<PathBuf>,
    /// Journal of a campaign, whose results give the rates
    #[arg(long, value_name = "DIR")]
    pub(crate) calibrate: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Migrate {
    /// The campaign (TOML)
    #[arg(required = true)]
    pub(crate) file: Option<PathBuf>,
    /// Go on with the campaign in the folder, also after it was killed
    #[arg(long)]
    pub(crate) resume: bool,
    /// Stop after one more day
    #[arg(long, conflicts_with = "until")]
    pub(crate) day: bool,
    /// Stop at the end of this day instead of the file's last one
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) until: Option<String>,
    /// Worlds in place of the file's, each on a thread of its own with its share of the installations; part of the run, like
    /// the seed
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) worlds: Option<u32>,
    /// What proves messages: p256, or none, where digests that anybody could make stand in for signatures, to see what all
    /// else costs; every result names it
    #[arg(long, value_name = "SCHEME", default_value = "p256")]
    pub(crate) signatures: SignatureScheme,
    /// Keep journals and keys in memory only: faster, and nothing to resume or to ask for a status afterwards
    #[arg(long, conflicts_with = "resume")]
    pub(crate) in_memory: bool,
    /// Address of the campaign's control service while it runs; status and exceptions find it by the folder, or with --lab
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    #[command(subcommand)]
    pub(crate) command: Option<MigrateCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum MigrateCommand {
    /// The exception queue of a campaign: look at it, or act on one case or many
    #[command(
        after_help = "Without a deed the open cases are listed. Deeds are written in the campaign's journal; a campaign that runs \
        goes on\nwith them at once, another one with --resume.\n\n\
        Example:\n  s1lab migrate exceptions --out street\n  \
        s1lab migrate exceptions claim 3 4 --by ann --out street\n  \
        s1lab migrate exceptions retry --code LAB-DV-03 --by ann --out street\n  \
        s1lab migrate exceptions decide 5 --to RetryWait --text \"certificate renewed\" --by ann --out street"
    )]
    Exceptions(Box<Exceptions>),
    /// Where a metering point of a campaign stands, how it came there, what comes next
    #[command(after_help = "Example:\n  s1lab migrate status 9901000000008 --out street --json")]
    Status {
        /// MPAN or MPRN
        mpxn: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Exceptions {
    /// What is done: assign, claim, decide, exclude, hold, note, release, resolve, retry, roll-back
    #[arg(requires = "by")]
    pub(crate) deed: Option<String>,
    /// Numbers of cases; without any, all open ones that the options below name
    pub(crate) cases: Vec<u64>,
    /// Owner to assign to, state to decide for, or category of an exclusion
    #[arg(long, value_name = "WORD")]
    pub(crate) to: Option<String>,
    /// Reason, resolution, remark or evidence
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Who acts
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// For whom: MCC, CP, DCO, RP, S1SP, SMSO or supplier
    #[arg(long = "as", value_name = "OWNER", default_value = "MCC")]
    pub(crate) role: String,
    /// Cases of this code
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Cases of this cohort
    #[arg(long)]
    pub(crate) cohort: Option<String>,
    /// Cases with this owner
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// List resolved cases too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Address of the DUIS front door
    #[arg(long, value_name = "ADDR")]
    pub(crate) duis: Option<SocketAddr>,
    /// Address of the control service
    #[arg(long, value_name = "ADDR")]
    pub(crate) control: Option<SocketAddr>,
    /// Address of the certificate look-up
    #[arg(long, value_name = "ADDR")]
    pub(crate) lookup: Option<SocketAddr>,
    /// Where a user's responses and alerts are posted, for example
    /// 90-B3-D5-1F-30-01-00-00=http://127.0.0.1:9000/smartdcc/duis; may be given again
    #[arg(long, value_name = "EUI64=URL")]
    pub(crate) listener: Vec<String>,
    /// Wait for the fleet on this address (mutual TLS) instead of running it in this process
    #[arg(long, value_name = "ADDR")]
    pub(crate) fleet: Option<SocketAddr>,
    /// Folder with further device profiles, beside the built-in ones; may be given again
    #[arg(long, value_name = "DIR")]
    pub(crate) dmc: Vec<PathBuf>,
    /// Estate file (TOML) instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) estate: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Role {
    /// Which role; `fleet` is the one that can stand alone for now
    #[arg(value_parser = ["fleet"])]
    pub(crate) name: String,
    /// Tunnel address of the lab it belongs to: host and port
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect: String,
    /// Folder with this role's certificates and custody file, made by `s1lab pki init`
    #[arg(long, value_name = "DIR")]
    pub(crate) pki: PathBuf,
    /// Folder with further device profiles, beside the built-in ones; may be given again
    #[arg(long, value_name = "DIR")]
    pub(crate) dmc: Vec<PathBuf>,
    /// Estate file (TOML) instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) estate: Option<PathBuf>,
    /// Let programs that speak for devices attach here (docs/devices/attached-faces.md); port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) faces: Option<SocketAddr>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Device {
    /// List the devices with kind, profile, hub and state
    #[command(after_help = "Example:\n  s1lab device list --json")]
    List,
    /// Show one device: profile, rules with their confidence, associations
    #[command(after_help = "Example:\n  s1lab device show 02-1A-B0-02-01-00-00-01 --json --secrets")]
    Show {
        /// EUI-64 of the device
        id: String,
        /// Include the device's test keys
        #[arg(long)]
        secrets: bool,
    },
    /// Give one meter a TCP port of its own, on which any DLMS client can talk to it
    #[command(after_help = "Example:\n  s1lab device expose 02-1A-B0-02-01-00-00-01 --listen 127.0.0.1:4059")]
    Expose {
        /// EUI-64 of the device
        id: String,
        /// Address to listen on; port 0 picks a free one, which is printed
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Add installations to the running lab, from tables as `s1lab estate export` writes them
    #[command(
        after_help = "Example:\n  s1lab device add tables/devices.csv tables/registration.csv\n\n\
        All of them come, or none. What is enrolled is in the inventory and in service at once."
    )]
    Add {
        /// CSV of the devices: whole installations
        devices: PathBuf,
        /// CSV of the registration data of their metering points; without it they have no address
        registration: Option<PathBuf>,
    },
    /// Take an installation out of the running lab
    #[command(after_help = "Example:\n  s1lab device remove 02-1A-B0-01-02-00-00-01")]
    Remove {
        /// EUI-64 of its hub
        id: String,
    },
    /// Change a device of the running lab, or its installation: all that is asked, or nothing
    #[command(after_help = "Example:\n  s1lab device patch 02-1A-B0-02-01-00-00-01 --payment-mode prepayment")]
    Patch {
        /// EUI-64 of the device
        id: String,
        /// Firmware it has from now on, as an image would make it: model@firmware, of the same model
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        /// How the customer pays from now on: credit or prepayment
        #[arg(long, value_name = "MODE")]
        payment_mode: Option<String>,
        /// EUI-64 of the user that supplies the device's metering point from now on
        #[arg(long, value_name = "USER")]
        supplier: Option<String>,
        /// What is wrong with the installation from now on: mains-off, no-coverage, no-master-keys, or none
        #[arg(long, value_name = "FAULT", value_delimiter = ',')]
        faults: Option<Vec<String>>,
    },
    /// Enter the code of a top-up at the keys of a meter or a prepayment interface, as a customer does
    #[command(after_help = "Example:\n  s1lab device key-in 02-1A-B0-02-01-00-00-01 01234567890123456789")]
    KeyIn {
        /// EUI-64 of the meter, or of a prepayment interface (PPMID)
        id: String,
        /// The digits
        code: String,
        /// At a prepayment interface: the meter it is for, ESME or GSME; else the electricity meter
        #[arg(long, value_name = "KIND")]
        meter: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Pki {
    /// Make the keys and certificates of a lab: authorities, DCC, S1SP, users, tunnel
    #[command(after_help = "Example:\n  s1lab pki init s1lab-out/state/pki")]
    Init {
        /// Folder to fill; it must be empty or missing
        dir: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Tape {
    /// Print a tape as text, a line per message
    #[command(after_help = "Example:\n  s1lab tape show report/tape.s1tape | grep dco")]
    Show {
        /// The tape
        file: PathBuf,
        /// Only what belongs to this RequestID
        #[arg(long, value_name = "REQUEST_ID")]
        request: Option<String>,
    },
    /// Recompute the digest over the canonical view of a tape
    #[command(after_help = "Example:\n  s1lab tape digest report/tape.s1tape")]
    Digest {
        /// The tape
        file: PathBuf,
    },
}
