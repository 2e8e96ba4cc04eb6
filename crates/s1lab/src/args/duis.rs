//! The commands below `s1lab duis`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

use super::ShelfArgs;

/// What a user outside the lab signs with, believes and listens on.
#[derive(clap::Args, Debug)]
pub(crate) struct SendOver {
    /// Private key to sign with, PKCS#8 PEM
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) key: Option<PathBuf>,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) cert: Option<PathBuf>,
    /// Certificate of the DCC or of an S1SP, PEM; may be given again
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) trust: Vec<PathBuf>,
    /// Address to take the outcome on; without it the outcome is fetched
    #[arg(long, value_name = "ADDR", requires = "to")]
    pub(crate) bind: Option<SocketAddr>,
    /// Path of that address
    #[arg(long, default_value = "/smartdcc/duis", requires = "to")]
    pub(crate) path: String,
    /// Certificate to show over TLS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Authority whose certificates are good over TLS, PEM
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) authority: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Duis {
    /// List the 129 service requests, or write a template of each
    #[command(
        after_help = "Templates are made from the structure of the schema: as little as it permits.\n\n\
        Example:\n  s1lab duis templates --write templates/\n  s1lab duis templates --json"
    )]
    Templates {
        /// Folder to write them to, one file per service and fuel; existing files are not touched
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
    /// Make a request for a device: command variant, identities and dates are filled in
    #[command(
        after_help = "The device is looked for in the running lab, or else in the configured estate. For one that neither \
        has, the request is\nmade as for a SMETS2 device.\n\n\
        Example:\n  s1lab duis new 4.1.1 --device 02-1A-B0-02-01-00-00-01 | s1lab duis send -\n  \
        s1lab duis new 3.1 --device 02-1A-B0-02-01-00-00-01 --with \"SupplierMessage=Good morning\"\n  \
        s1lab duis new 8.2 --with MPxN=9901000000007"
    )]
    New {
        /// Service reference variant, such as 4.1.1
        srv: String,
        /// EUI-64 of the device it is for; not for requests that the DCC answers itself
        #[arg(long, value_name = "EUI64")]
        device: Option<String>,
        /// EUI-64 of the user that sends it [default: the first user of the configuration]
        #[arg(long, value_name = "EUI64")]
        user: Option<String>,
        /// Include an optional element or take an alternative, with a value if one is given; may be given again
        #[arg(long, value_name = "NAME[=VALUE]")]
        with: Vec<String>,
    },
    /// Explain a response code, a DCC alert code, a class of failure, a LAB- code or a service request
    #[command(after_help = "Example:\n  s1lab duis explain E4\n  s1lab duis explain N55\n  s1lab duis explain 6.23")]
    Explain {
        /// The word
        word: String,
    },
    /// Stand in a user's place: take what the lab posts, judge it, print a line for each
    #[command(
        after_help = "Give the address as the user's listener in the lab's configuration.\n\n\
        Example:\n  s1lab duis listen --bind 127.0.0.1:9000 --cert s1lab-out/state/pki/dcc.crt.pem \\\n    \
        --cert s1lab-out/state/pki/s1sp.crt.pem"
    )]
    Listen {
        /// Address to listen on; port 0 picks a free one, which is printed
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
        bind: SocketAddr,
        /// Path
        #[arg(long, default_value = "/smartdcc/duis")]
        path: String,
        /// Certificates to judge signatures with, PEM; without one they are not judged
        #[arg(long, value_name = "FILE")]
        cert: Vec<PathBuf>,
        /// Answer everything with this status
        #[arg(long, value_name = "STATUS", conflicts_with = "boxed")]
        status: Option<u16>,
        /// Answer as the published DCC Boxed client does: 400 to every SMETS1 response
        #[arg(long)]
        boxed: bool,
        /// Print the documents too
        #[arg(long)]
        xml: bool,
    },
    /// List the requests that anomaly detection holds, or end that for one
    #[command(after_help = "Example:\n  s1lab duis quarantine\n  s1lab duis quarantine --release 3")]
    Quarantine {
        /// Let the request of this number go on
        #[arg(long, value_name = "NUMBER", conflicts_with = "delete")]
        release: Option<u64>,
        /// Delete the request of this number: its user gets an error
        #[arg(long, value_name = "NUMBER")]
        delete: Option<u64>,
    },
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
    /// Print the Equivalent Steps of a request for a device profile, without running them; exit code 1 if it is refused
    #[command(
        after_help = "Step numbers are the positions in the debug entries of a response.\n\n\
        Example:\n  s1lab duis plan 7.2 --profile as300p@BASE\n  s1lab duis plan request.xml --dmc vodafone/am110r@BASE/as300p@BASE"
    )]
    Plan {
        /// File with the request, - for standard input, or a service reference variant
        request: String,
        /// Device profile, model@firmware, or a combination, of which the device that takes the request is meant
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        #[command(flatten)]
        shelf: ShelfArgs,
    },
    /// List deliveries that a user's listener refused or that were given up
    #[command(after_help = "Example:\n  s1lab duis dead-letters --json")]
    DeadLetters,
    /// Deliver a dead letter, or all that a user was sent since an instant, once more
    #[command(
        after_help = "Give a number of `s1lab duis dead-letters`, or an instant of the lab's calendar.\n\n\
        Example:\n  s1lab duis deliver-again 90-B3-D5-1F-30-01-00-00 --delivery 7\n  \
        s1lab duis deliver-again 90-B3-D5-1F-30-01-00-00 --since 2020-06-01T09:00:00Z"
    )]
    DeliverAgain {
        /// EUI-64 of the user
        user: String,
        /// Number of a dead letter
        #[arg(long, value_name = "NUMBER", required_unless_present = "since")]
        delivery: Option<u64>,
        /// Everything since this instant
        #[arg(long, value_name = "TIME", conflicts_with = "delivery")]
        since: Option<String>,
    },
    /// Fetch what waits for a user, instead of having it posted
    #[command(after_help = "For users with `fetches = true` in the lab's configuration.\n\n\
        Example:\n  s1lab duis fetch 90-B3-D5-1F-30-01-00-00 --write inbox/")]
    Fetch {
        /// EUI-64 of the user
        user: String,
        /// Folder to write the documents to, a file each; without one a line is printed for each
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
        /// Leave them waiting: they can be fetched once more
        #[arg(long)]
        keep: bool,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        max: u32,
    },
    /// Forget the RequestID counters of one user of a running lab, so that lower ones are taken again
    #[command(after_help = "Example:\n  s1lab duis reset-counters 90-B3-D5-1F-30-01-00-00")]
    ResetCounters {
        /// EUI-64 of the user
        user: String,
    },
    /// Send a request to a running lab and wait for the outcome: as one of its users, or as a user outside it over HTTP
    #[command(
        after_help = "The file may be unsigned: then it gets a fresh counter and a signature, by the lab's user of its \
        originator, or with --key and --cert.\nWith --to it is posted to a front door, and everything that comes back is \
        judged by --trust: posted to --bind, where the lab has\nthat address as the user's listener, or else fetched, for a \
        user with fetches = true.\n\n\
        Example:\n  s1lab duis send fixtures/requests/4.1.1.xml\n  \
        s1lab duis send request.xml --to http://127.0.0.1:8079 --bind 127.0.0.1:9000 \\\n    \
        --key user.key.pem --cert user.crt.pem --trust dcc.crt.pem --trust s1sp.crt.pem"
    )]
    Send {
        /// File with the request; - for standard input
        file: PathBuf,
        /// Give up waiting for the outcome after so many seconds of the machine's clock
        #[arg(long, default_value_t = 120)]
        wait: u64,
        /// Address of a front door, without the path
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        #[command(flatten)]
        over: SendOver,
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
