//! The one configuration of a lab: a strict TOML file, one struct per section, defaults in one place.

mod access;
mod front;
mod products;
mod vending;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::{Eui64, Seed, SimDuration, SimInstant};
use duis::signature::Scheme;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

pub use access::{
    AccessConfig, CertificateValidity, ChangeConfig, LimitConfig, SchemaConfig, ThresholdConfig, UserConfig,
};
pub use front::{CallBackConfig, ClientCertificates, ForwardConfig, LookupConfig, TlsConfig};
pub use products::ProductsConfig;
pub use vending::{UtrnAlert, UtrnOrder, VendingConfig};

/// The configuration as it ships; a test compares it with [`Config::default`].
pub const DEFAULT_TOML: &str = include_str!("../../../fixtures/lab/default.toml");

/// Everything a lab is built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Root seed of the run; same seed and files give the same octets on every link but for signature values.
    pub seed: u64,
    /// Calendar and speed.
    pub clock: ClockConfig,
    /// How many worlds a virtual run is split into.
    pub worlds: WorldsConfig,
    /// The installations.
    pub estate: EstateConfig,
    /// Device profiles beyond the built-in ones.
    pub dmc: DmcConfig,
    /// The mock DCC.
    pub dcc: DccConfig,
    /// The DCO.
    pub dco: DcoConfig,
    /// Times and limits of the head-end engines.
    pub head_end: HeadEndConfig,
    /// Addresses and ports of a lab on sockets.
    pub listen: ListenConfig,
    /// Limits of the front door's HTTP.
    pub http: HttpConfig,
    /// TLS in front of DUIS.
    pub tls: TlsConfig,
    /// How the lab shows itself to users' listeners.
    pub call_back: CallBackConfig,
    /// Certificate look-up over HTTP.
    pub lookup: LookupConfig,
    /// Where requests for devices go that the inventory does not have.
    pub forward: ForwardConfig,
    /// The tunnel between the core and a fleet elsewhere.
    pub tunnel: TunnelConfig,
    /// Folders.
    pub folders: FoldersConfig,
    /// What users are judged by.
    pub access: AccessConfig,
    /// What may be in service, and what is known of coverage.
    pub products: ProductsConfig,
    /// What suppliers are told of the codes of top-ups.
    pub vending: VendingConfig,
    /// DCC users, in the order they get their links.
    #[serde(rename = "user")]
    pub users: Vec<UserConfig>,
    /// What proves messages. No file can say it: only a run that names it in every result may choose another scheme.
    #[serde(skip)]
    pub signatures: Scheme,
}

/// Calendar and speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// `virtual`, `real` or `x60` for sixty times as fast. Sockets need `real` or `xN`.
    pub mode: ClockMode,
    /// The calendar when the lab starts, as a UTC date and time.
    #[serde(with = "text")]
    pub start: SimInstant,
    /// Factor on network latencies: 0.01 makes a text message of 8 s take 80 ms.
    pub latency: f64,
}

/// Which of the three clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockMode {
    /// Calendar time as fast as the machine's.
    Real,
    /// Calendar time so many times as fast as the machine's.
    Scaled(f64),
    /// Paused time that jumps when nothing is left to do; in-memory links only.
    Virtual,
}

/// How a virtual run is split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldsConfig {
    /// Number of worlds, each with its own runtime and chain; 1 to 64. Part of the run, not of the machine.
    pub count: u32,
}

/// The installations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EstateConfig {
    /// An estate file; without one, the built-in estate of the pack is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Name of a built-in estate: `sit` (the pack's) or `exercise`. A file goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builtin: Option<String>,
    /// Groups of devices that are in scope only if the government directs so, and in this lab are, such as `FOC-EDMI`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directed: Vec<String>,
}

/// Device profiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DmcConfig {
    /// Folders of further profile files, over the built-in ones.
    pub folders: Vec<PathBuf>,
}

/// The mock DCC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DccConfig {
    /// The DCC's own EUI-64, target of requests that no device answers.
    #[serde(with = "text")]
    pub eui: Eui64,
    /// Certificate of its XML signatures, PEM, instead of one of the lab's own: for clients that know the published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of that certificate, PKCS#8 PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Tables with rows of your own for the error table and the code table (`steps`), for whoever has the documents: codes,
    /// triggers and texts with their confidence. One set of files to a process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<PathBuf>,
    /// How often a delivery is tried again after a connection failure or a 5xx.
    pub delivery_retries: u32,
    /// Pause before the first retry, in seconds; it doubles with each.
    pub delivery_pause_s: u64,
    /// Least time between a reply and the delivery of what it announced, in milliseconds: real clients need some to read
    /// the reply.
    pub delivery_gap_ms: u64,
    /// How long the DCC waits for the outcome of a request before it answers for the device, in seconds.
    pub outcome_limit_s: u64,
    /// How many days ahead a request may be dated.
    pub dated_days_max: u64,
    /// Whether a request dated in the past is refused; else it is executed at once.
    pub refuse_past_dates: bool,
    /// Alerts of one code about one device that a user gets within an hour; further ones are held back and summed up.
    pub alerts_per_hour_max: u32,
}

/// The DCO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DcoConfig {
    /// How long an approval may be presented, in seconds.
    pub approval_lifetime_s: u64,
}

/// Times and limits of the head-end engines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadEndConfig {
    /// Wake-up text messages sent before the hub counts as unreachable.
    pub wake_up_attempts: u32,
    /// How long the engine waits for the hub to connect after a wake-up, in seconds.
    pub wake_up_timeout_s: u64,
    /// How long a device may take to answer within a session, in seconds.
    pub answer_timeout_s: u64,
}

/// Addresses; port 0 lets the system choose, and the bound address is printed. Anything but loopback must be said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// DUIS over HTTP.
    pub duis: SocketAddr,
    /// gRPC control service. Whoever reaches it can have test keys shown: keep it to yourself.
    pub control: SocketAddr,
    /// Tunnel for a fleet elsewhere; mutual TLS.
    pub tunnel: SocketAddr,
    /// Path of the outside on the left, service of the DCC on the right.
    pub paths: BTreeMap<String, String>,
}

/// Limits of the front door's HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Largest request body, in octets. Larger than a firmware image in base64.
    pub body_max: usize,
    /// Requests in progress per user; more get 503.
    pub in_progress_max: usize,
    /// Within this the acknowledgement leaves, in milliseconds; real clients give up after 3 s.
    pub reply_ms: u64,
    /// How long a user's listener may take over a delivery, in milliseconds.
    pub delivery_ms: u64,
}

/// The tunnel between the core and a fleet elsewhere: mutual TLS, length-delimited frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelConfig {
    /// Where the fleet finds the core, `host:port`; only the fleet's side reads it.
    pub core: String,
    /// Largest frame, in octets.
    pub frame_max: usize,
    /// First pause between attempts to connect, in milliseconds; it doubles.
    pub reconnect_ms: u64,
    /// Longest pause between attempts to connect, in milliseconds.
    pub reconnect_max_ms: u64,
    /// How long a TLS handshake may take, in milliseconds.
    pub handshake_ms: u64,
    /// True when the fleet of this lab is elsewhere and comes through the tunnel.
    pub remote_fleet: bool,
}

/// Folders. A relative path counts from where the program runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FoldersConfig {
    /// Journals and the address of the running lab; without one, journals stay in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// Keys and certificates as `pki init` writes them; without one, the lab makes its own for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pki: Option<PathBuf>,
    /// Users with certificates from elsewhere, in one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<PathBuf>,
}

/// A configuration that cannot be used: where, what and, if possible, what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {problem}{}", .line.map(|l| format!(":{l}")).unwrap_or_default(), .hint.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file, or `<text>`.
    pub file: String,
    /// Line from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what was expected.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, has an unknown key, a value of the wrong kind or one out of its limits.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            line: None,
            problem: format!("cannot be read: {error}"),
            hint: None,
        })?;
        Self::parse(&file, &text)
    }

    /// Reads a configuration from its text; `file` names it in errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = strict(file, text)?;
        config.check().map_err(|problem| ConfigError {
            file: file.to_owned(),
            line: None,
            problem,
            hint: None,
        })?;
        Ok(config)
    }

    /// The limits a value's type cannot express.
    fn check(&self) -> Result<(), String> {
        if !(1..=64).contains(&self.worlds.count) {
            return Err(format!("worlds.count is {}, expected 1 to 64", self.worlds.count));
        }
        if !(self.clock.latency.is_finite() && self.clock.latency > 0.0) {
            return Err(format!(
                "clock.latency is {}, expected a number above 0",
                self.clock.latency
            ));
        }
        if self.users.len() > 1000 {
            return Err(format!("{} users, expected at most 1000", self.users.len()));
        }
        for (n, user) in self.users.iter().enumerate() {
            if self.users[..n].iter().any(|other| other.eui == user.eui) {
                return Err(format!("user {} appears twice", user.eui));
            }
        }
        self.access.anomaly_detection()?;
        self.lookup.check()?;
        self.tls.check()?;
        self.call_back.check()?;
        for service in self.listen.paths.values() {
            if !SERVICES.contains(&service.as_str()) {
                return Err(format!(
                    "listen.paths leads to {service:?}, expected one of {}",
                    SERVICES.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// The seed that worlds and roles see. Custody comes from a sibling, which cannot be computed from it.
    #[must_use]
    pub fn world_seed(&self) -> Seed {
        Seed::root(self.seed).child("world")
    }

    /// Text of the configuration in the form [`Config::parse`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }
}

/// The three services of the DCC that a path can lead to.
pub const SERVICES: [&str; 3] = ["serviceS", "serviceD", "serviceT"];

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            clock: ClockConfig::default(),
            worlds: WorldsConfig::default(),
            estate: EstateConfig::default(),
            dmc: DmcConfig::default(),
            dcc: DccConfig::default(),
            dco: DcoConfig::default(),
            head_end: HeadEndConfig::default(),
            listen: ListenConfig::default(),
            http: HttpConfig::default(),
            tls: TlsConfig::default(),
            call_back: CallBackConfig::default(),
            lookup: LookupConfig::default(),
            forward: ForwardConfig::default(),
            tunnel: TunnelConfig::default(),
            folders: FoldersConfig::default(),
            access: AccessConfig::default(),
            products: ProductsConfig::default(),
            vending: VendingConfig::default(),
            users: access::default_users(),
            signatures: Scheme::default(),
        }
    }
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            mode: ClockMode::Virtual,
            start: SimInstant(1_591_002_000_000),
            latency: 1.0,
        }
    }
}

impl Default for WorldsConfig {
    fn default() -> Self {
        Self { count: 1 }
    }
}

impl Default for DccConfig {
    fn default() -> Self {
        Self {
            eui: Eui64(0x90B3_D51F_3000_0002),
            certificate: None,
            key: None,
            delivery_retries: 5,
            delivery_pause_s: 5,
            delivery_gap_ms: 200,
            outcome_limit_s: 21_600,
            dated_days_max: 30,
            refuse_past_dates: true,
            codes: Vec::new(),
            alerts_per_hour_max: 20,
        }
    }
}

impl Default for DcoConfig {
    fn default() -> Self {
        Self {
            approval_lifetime_s: 6 * 3600,
        }
    }
}

impl Default for HeadEndConfig {
    fn default() -> Self {
        Self {
            wake_up_attempts: 3,
            wake_up_timeout_s: 120,
            answer_timeout_s: 60,
        }
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            duis: local(8079),
            control: local(8081),
            tunnel: local(8082),
            paths: SERVICES
                .iter()
                .map(|s| (format!("/api/v1/{s}"), (*s).to_owned()))
                .collect(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            body_max: 12_000_000,
            in_progress_max: 256,
            reply_ms: 2800,
            delivery_ms: 10_000,
        }
    }
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self {
            core: "127.0.0.1:8082".into(),
            frame_max: 1 << 20,
            reconnect_ms: 200,
            reconnect_max_ms: 5000,
            handshake_ms: 5000,
            remote_fleet: false,
        }
    }
}

impl ClockMode {
    /// Calendar seconds per second of the machine; 1 for the virtual clock.
    #[must_use]
    pub fn speed(self) -> f64 {
        match self {
            Self::Scaled(speed) => speed,
            Self::Real | Self::Virtual => 1.0,
        }
    }
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Scaled(speed) => write!(f, "x{speed}"),
            Self::Virtual => f.write_str("virtual"),
        }
    }
}

impl FromStr for ClockMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = |digits: &str| {
            digits
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite() && *n >= 0.001 && *n <= 1e6)
        };
        match text {
            "virtual" => Ok(Self::Virtual),
            "real" => Ok(Self::Real),
            _ => text
                .strip_prefix('x')
                .and_then(factor)
                .map(Self::Scaled)
                .ok_or_else(|| format!("expected virtual, real or a factor such as x60, found {text:?}")),
        }
    }
}

impl Serialize for ClockMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl From<&HeadEndConfig> for SimDuration {
    /// The longest a job waits for its hub.
    fn from(config: &HeadEndConfig) -> Self {
        Self::from_secs(
            config
                .wake_up_timeout_s
                .saturating_mul(u64::from(config.wake_up_attempts)),
        )
    }
}

/// Reads strict TOML of any kind with file, line and a suggestion in its error.
///
/// # Errors
/// When the text is not TOML, has an unknown key or a value of the wrong kind.
pub fn strict<T: de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text.as_bytes().iter().take(span.start).filter(|b| **b == b'\n').count());
        let problem = error.message().to_owned();
        ConfigError {
            file: file.to_owned(),
            line,
            hint: suggestion(&problem),
            problem,
        }
    })
}

/// `did you mean` for serde's "unknown field `x`, expected one of `a`, `b`".
fn suggestion(problem: &str) -> Option<String> {
    let rest = problem.strip_prefix("unknown field `")?;
    let (wrong, rest) = rest.split_once('`')?;
    let best = rest
        .split('`')
        .skip(1)
        .step_by(2)
        .max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)))?;
    (strsim::jaro_winkler(wrong, best) > 0.7).then(|| format!("did you mean `{best}`?"))
}

mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_says_what_the_defaults_are() {
        assert_eq!(Config::parse("default.toml", DEFAULT_TOML), Ok(Config::default()));
        let written = Config::default().to_toml();
        assert_eq!(Config::parse("written", &written), Ok(Config::default()), "{written}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let check = |text: &str, expected: &str| {
            let error = Config::parse("lab.toml", text).expect_err(text).to_string();
            assert_eq!(error, expected, "{text}");
        };
        check(
            "seed = 1\n[clock]\nmod = \"real\"\n",
            "lab.toml:3: unknown field `mod`, expected one of `mode`, `start`, `latency`\nhint: did you mean `mode`?",
        );
        check("[worlds]\ncount = 0", "lab.toml: worlds.count is 0, expected 1 to 64");
        check(
            "[clock]\nmode = \"fast\"",
            "lab.toml:2: expected virtual, real or a factor such as x60, found \"fast\"",
        );
        check(
            "[[user]]\nname = \"A\"\neui = \"1\"\nroles = []",
            "lab.toml:3: expected an EUI-64 such as 00-DB-12-34-56-78-90-A0, found \"1\"",
        );
    }
}
