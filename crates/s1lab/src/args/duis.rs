//! The commands below `s1lab duis`.

use std::path::PathBuf;

use clap::Subcommand;

use super::ShelfArgs;

#[derive(Subcommand, Debug)]
pub(crate) enum Duis {
    /// Sign a request or response with a key and certificate
    #[command(
        after_help = "Example:\n  s1lab duis sign request.xml --key supplier-1.key.pem --cert supplier-1.cert.pem > signed.xml"
    )]
    Sign {
        /// File with the message; - for standard input
        file: PathBuf,
        /// Private key, PKCS#8 PEM
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Certificate, PEM
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
    },
    /// Check structure and signatures of a message, the inner S1SP signature included
    #[command(after_help = "Example:\n  s1lab duis verify response.xml --cert dcc.cert.pem --cert s1sp.cert.pem")]
    Verify {
        /// File with the message; - for standard input
        file: PathBuf,
        /// Certificates to verify with, PEM; may be given again
        #[arg(long, value_name = "FILE", required = true)]
        cert: Vec<PathBuf>,
    },
    /// Print the Equivalent Steps of a request for a device profile; exit code 1 if it is refused
    #[command(after_help = "Example:\n  s1lab duis plan fixtures/requests/4.1.1.xml --profile as300p@BASE")]
    Plan {
        /// File with the request; - for standard input
        file: PathBuf,
        /// model@firmware
        #[arg(long, value_name = "PROFILE")]
        profile: String,
        #[command(flatten)]
        shelf: ShelfArgs,
    },
    /// List deliveries that a user's listener refused or that were given up
    #[command(after_help = "Example:\n  s1lab duis dead-letters --json")]
    DeadLetters,
    /// Forget the RequestID counters of one user of a running lab, so that lower ones are taken again
    #[command(after_help = "Example:\n  s1lab duis reset-counters 90-B3-D5-1F-30-01-00-00")]
    ResetCounters {
        /// EUI-64 of the user
        user: String,
    },
    /// Send a request to a running lab as one of its users and wait for the outcome
    #[command(
        after_help = "The file may be unsigned: then the lab's user of its originator signs it, with a fresh counter.\n\n\
        Example:\n  s1lab duis send fixtures/requests/4.1.1.xml"
    )]
    Send {
        /// File with the request; - for standard input
        file: PathBuf,
        /// Give up waiting for the outcome after so many seconds of the machine's clock
        #[arg(long, default_value_t = 120)]
        wait: u64,
    },
    /// Exercise every request of a folder: as it stands, and made one of this lab; count what became of them
    #[command(
        after_help = "Each request goes out as it stands but for its signature; then with this lab's identities, metering \
        points, counters and\ndates, to every kind of device it is meant for. One that asks for a pre-command is sent with its \
        own command variant and\nwith variant 1. The lab is an embedded one on the virtual clock.\n\n\
        Example:\n  s1lab duis exercise templates/ --made"
    )]
    Exercise {
        /// Folder with requests (*.xml); without one, only made ones are exercised
        folder: Option<PathBuf>,
        /// Also make a request of every service for every kind of device, from the structure of the schema
        #[arg(long)]
        made: bool,
        /// Expected outcomes to compare with (tab-separated: srv, target, form, timing, outcome); exit code 1 if one differs
        #[arg(long, value_name = "FILE")]
        expect: Option<PathBuf>,
        /// Write the outcomes in the form that --expect reads
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
}
