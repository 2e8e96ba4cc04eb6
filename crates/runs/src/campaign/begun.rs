//! What a campaign's folder says of how it was begun: it goes on the same way, and those who ask about it find its settings.

use std::path::{Path, PathBuf};

use domain::SimInstant;
use duis::signature::Scheme;
use lab::parts::Journals;
use migration::machine::journal;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{CONTROL, CampaignError, ReadError};

/// The file below the folder.
const NAME: &str = "campaign.toml";
/// The file that says when a run stopped in order.
const STOPPED: &str = "stopped-at";

/// How a campaign was begun.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    /// The campaign file.
    pub(super) file: PathBuf,
    /// Its worlds.
    pub(super) worlds: u32,
    /// Its seed.
    pub(super) seed: u64,
    /// What proves its messages.
    #[serde(default, deserialize_with = "scheme")]
    pub(super) signatures: Scheme,
}

fn scheme<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scheme, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl Begun {
    /// What the folder says.
    ///
    /// # Errors
    /// [`CampaignError::NotBegun`] where it says nothing.
    pub(super) fn read(state: &Path) -> Result<Self, CampaignError> {
        let path = state.join(NAME);
        let text = std::fs::read_to_string(&path).map_err(|_| CampaignError::NotBegun(state.to_owned()))?;
        let read = migration::strict::toml(&path.display().to_string(), &text);
        Ok(read.map_err(ReadError::File)?)
    }

    /// Writes it into the folder.
    pub(super) fn write(&self, state: &Path) -> Result<(), CampaignError> {
        let path = state.join(NAME);
        let fault = |cause| CampaignError::NotNoted {
            path: path.clone(),
            cause,
        };
        let text = format!(
            "# How this campaign was begun. It goes on the same way.\nfile = {:?}\nworlds = {}\nseed = {}\nsignatures = {:?}\n",
            self.file.display().to_string(),
            self.worlds,
            self.seed,
            self.signatures.as_str(),
        );
        std::fs::create_dir_all(state).map_err(fault)?;
        std::fs::write(&path, text).map_err(fault)
    }
}

/// When the last run stopped: in order, or a barrier after the last entry of the campaign's journal, since what others did up
/// to there is in theirs.
pub(super) fn stood_at(journals: &Journals, state: &Path) -> Result<Option<SimInstant>, CampaignError> {
    let mut last = None;
    if journals.are_durable() {
        let store = journals.look(CONTROL)?;
        journal::replay(&*store, &mut |_, entry| last = Some(entry.at))?;
    }
    let stopped = std::fs::read_to_string(state.join(STOPPED)).ok();
    let stopped: Option<SimInstant> = stopped.and_then(|text| text.trim().parse().ok());
    let killed = last.map(|last| last + domain::SimDuration::from_mins(1));
    Ok(match stopped {
        Some(stopped) => Some(last.map_or(stopped, |last| last.max(stopped))),
        None => killed,
    })
}

/// Notes that a run stopped in order; one that goes on without the note begins after the journal's last entry instead.
pub(super) fn stopped(state: &Path, at: SimInstant) {
    if let Err(error) = std::fs::write(state.join(STOPPED), at.to_string()) {
        tracing::warn!(%error, "when the run stopped was not written down");
    }
}

/// Takes the note away while a run is on its way. Gives whether there was one: whether the last run stopped in order.
pub(super) fn goes_on(state: &Path) -> bool {
    std::fs::remove_file(state.join(STOPPED)).is_ok()
}
