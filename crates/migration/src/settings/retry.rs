//! Retry classes and attempt limits.

use dmc::FileError;
use domain::{Seed, SimDuration};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::strict;

/// What follows from a failure.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Where it is from.
    pub source: String,
    /// Counted attempts per installation.
    pub attempts_max: u8,
    /// Attempts per installation and day.
    pub attempts_per_day: u8,
    /// Category that the last counted failure proposes.
    pub exclusion_after_attempts: String,
    /// Whether that exclusion is decided by the rule itself; else it waits for the MCC.
    pub exclusion_is_automatic: bool,
    /// Whether electricity migrates alone when only the gas meter fails.
    pub electricity_alone: bool,
    /// When a cohort is paused.
    pub batch_stop: BatchStop,
    #[serde(rename = "class")]
    classes: Vec<ClassRule>,
}

/// A cohort is paused when too many of its last attempts failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchStop {
    /// How many of the last attempts count.
    pub window: u16,
    /// More than this share failed, in per cent.
    pub failed_percent: u8,
    /// How long that pause lasts, in minutes; 0 lasts until somebody ends it.
    pub pause_min: u32,
}

/// The class of a failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Class {
    /// Time-out or busy on the way.
    #[serde(rename = "TRANSIENT")]
    Transient,
    /// Needs time.
    #[serde(rename = "DEFER")]
    Defer,
    /// Wrong data.
    #[serde(rename = "FIX-DATA")]
    FixData,
    /// A component is at fault.
    #[serde(rename = "FIX-SYSTEM")]
    FixSystem,
    /// After the point of no return.
    #[serde(rename = "FORWARD-ONLY")]
    ForwardOnly,
    /// Security.
    #[serde(rename = "FATAL")]
    Fatal,
}

/// What follows from one class.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Which class.
    pub name: Class,
    /// What it means.
    pub text: String,
    /// Tries of one step within an attempt; 0 tries for ever.
    pub in_attempt_tries: u8,
    #[serde(default)]
    first_pause_s: u32,
    #[serde(default = "one")]
    factor: u32,
    #[serde(default)]
    pause_max_s: u32,
    #[serde(default)]
    jitter_percent: u8,
    #[serde(default)]
    page_after_s: u32,
    /// Whether a failed attempt counts.
    pub counts: bool,
    /// Whether another attempt follows by itself.
    pub automatic: bool,
    /// Whether the cohort is paused.
    #[serde(default)]
    pub stops_batch: bool,
    /// How long that pause lasts, in minutes; 0 lasts until somebody ends it.
    #[serde(default)]
    pub pause_min: u32,
    /// Whether only the MCC may release the installation.
    #[serde(default)]
    pub quarantines: bool,
}

fn one() -> u32 {
    1
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 6] = [
        Self::Transient,
        Self::Defer,
        Self::FixData,
        Self::FixSystem,
        Self::ForwardOnly,
        Self::Fatal,
    ];

    /// The word of files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "TRANSIENT",
            Self::Defer => "DEFER",
            Self::FixData => "FIX-DATA",
            Self::FixSystem => "FIX-SYSTEM",
            Self::ForwardOnly => "FORWARD-ONLY",
            Self::Fatal => "FATAL",
        }
    }

    /// The class with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl Retry {
    /// The rule of a class.
    #[must_use]
    pub fn rule(&self, class: Class) -> &ClassRule {
        // The reader refuses a file that leaves a class out.
        self.classes
            .iter()
            .find(|rule| rule.name == class)
            .unwrap_or(&self.classes[0])
    }
}

impl ClassRule {
    /// Pause after the try of this number (from 1) before the next: it grows by the factor and is spread by the jitter,
    /// which comes from `seed`.
    #[must_use]
    pub fn pause(&self, tried: u32, seed: &Seed) -> SimDuration {
        let longest = u64::from(self.pause_max_s.max(self.first_pause_s));
        let grown = u64::from(self.first_pause_s)
            .saturating_mul(u64::from(self.factor).saturating_pow(tried.saturating_sub(1).min(40)))
            .min(longest)
            .saturating_mul(1000);
        let spread = grown * u64::from(self.jitter_percent) / 100;
        if spread == 0 {
            return SimDuration::from_millis(grown);
        }
        let draw = seed.child(tried.to_be_bytes()).rng().random_range(0..=2 * spread);
        SimDuration::from_millis(grown - spread + draw)
    }

    /// After how long of trying the MCC is paged; none when it is not.
    #[must_use]
    pub fn page_after(&self) -> Option<SimDuration> {
        (self.page_after_s > 0).then(|| SimDuration::from_secs(self.page_after_s.into()))
    }
}

pub(super) fn read(file: &str, text: &str) -> Result<Retry, FileError> {
    let retry: Retry = strict::toml(file, text)?;
    for class in Class::ALL {
        let count = retry.classes.iter().filter(|rule| rule.name == class).count();
        if count != 1 {
            return Err(strict::fault(
                file,
                strict::line_of(text, class.as_str()),
                format!("class {} stands here {count} times, expected once", class.as_str()),
            ));
        }
    }
    if retry.attempts_max == 0 || retry.attempts_per_day == 0 || retry.batch_stop.window == 0 {
        return Err(strict::fault(
            file,
            0,
            "attempts_max, attempts_per_day and batch_stop.window take numbers from 1",
        ));
    }
    Ok(retry)
}
