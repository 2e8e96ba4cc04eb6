//! One metering point of a campaign, from its journal: where it stands, how it came there, what comes next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{Mpxn, SimInstant};
use duis::signature::Scheme;
use lab::file_store::FileReader;
use migration::InstallationId;
use migration::machine::event::{Entry, Event};
use migration::machine::journal::{self, JournalError};
use migration::machine::{Campaign, State};
use migration::reports::next_action;
use serde_json::json;
use world::Store;

use super::begun::Begun;
use super::file::CampaignFile;
use super::{CONTROL, CampaignError};

/// Where a metering point stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Which.
    pub mpxn: Mpxn,
    /// The installation it belongs to.
    pub installation: InstallationId,
    /// State of the installation.
    pub state: State,
    /// Since when.
    pub since: SimInstant,
    /// Number of its attempts.
    pub attempts: u32,
    /// What comes next, and when, where that is known.
    pub next: (String, Option<SimInstant>),
    /// What proves the campaign's messages.
    pub signatures: Scheme,
    /// When, by whom, what.
    pub history: Vec<(SimInstant, String, String)>,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// How the campaign was begun, or its file.
    #[error(transparent)]
    Begun(Box<CampaignError>),
    /// There is no journal.
    #[error("{} has no journal of a campaign: name the folder of the campaign (--out)", .0.display())]
    NoJournal(PathBuf),
    /// The journal.
    #[error("read the campaign's journal")]
    Journal(#[from] JournalError),
    /// No campaign runs, or its journal refused.
    #[error("no campaign runs here now")]
    NotRunning,
    /// The campaign does not have it.
    #[error("the campaign has no metering point {0}")]
    Unknown(Mpxn),
}

/// What a campaign at rest adds up to under its own settings, and when its journal ends.
///
/// # Errors
/// [`StatusError`].
pub(super) fn at_rest(state: &Path) -> Result<(Campaign, SimInstant), StatusError> {
    let mut last = SimInstant(0);
    let begun = |error| StatusError::Begun(Box::new(error));
    let journal = journal_in(state)?;
    let file = Begun::read(state).map_err(begun)?.file;
    let file = CampaignFile::read(&file).map_err(|error| begun(error.into()))?;
    let mut campaign = Campaign::new(Arc::new(file.settings));
    journal::replay(&journal, &mut |_, entry| {
        campaign.apply(&entry);
        last = entry.at;
    })?;
    Ok((campaign, last))
}

fn journal_in(state: &Path) -> Result<FileReader, StatusError> {
    let folder = state.join("journals").join(CONTROL);
    if !folder.exists() {
        return Err(StatusError::NoJournal(state.to_owned()));
    }
    Ok(FileReader::new(&folder))
}

/// The status of a metering point, from the journals below the state folder of a campaign.
///
/// # Errors
/// [`StatusError`].
pub fn status(state: &Path, mpxn: Mpxn) -> Result<Status, StatusError> {
    let (campaign, _) = at_rest(state)?;
    let status = Status::of(&campaign, mpxn)?;
    status.with_history(&journal_in(state)?)
}

impl Status {
    /// From what a campaign adds up to, without its history.
    pub(super) fn of(campaign: &Campaign, mpxn: Mpxn) -> Result<Self, StatusError> {
        let known = campaign.by_mpxn(mpxn).ok_or(StatusError::Unknown(mpxn))?;
        Ok(Self {
            mpxn,
            installation: known.id(),
            state: known.state,
            since: known.since,
            attempts: known.attempt.number,
            next: next_action(known, campaign),
            signatures: campaign.signatures,
            history: Vec::new(),
        })
    }

    /// The same with its history, from the campaign's journal.
    pub(super) fn with_history(mut self, journal: &dyn Store) -> Result<Self, StatusError> {
        journal::replay(journal, &mut |_, entry| {
            if entry.installation == Some(self.installation) {
                self.history
                    .extend(told(&entry).map(|text| (entry.at, entry.actor.as_str().to_owned(), text)));
            }
        })?;
        Ok(self)
    }

    /// For the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let (next, at) = &self.next;
        let at = at.map(|at| format!(", at {at}")).unwrap_or_default();
        let mut lines = vec![
            format!(
                "{} of {}: {} since {}",
                self.mpxn, self.installation, self.state, self.since
            ),
            format!(
                "operated by {}, {} attempts; next: {next}{at}",
                self.state.operator(),
                self.attempts
            ),
        ];
        lines.extend(self.signatures.label().map(str::to_owned));
        let each = self.history.iter();
        lines.extend(each.map(|(at, who, text)| format!("  {at}  {who:<12} {text}")));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let each = self.history.iter();
        let history = each.map(|(at, who, text)| json!({ "at": at.to_string(), "by": who, "what": text }));
        json!({
            "mpxn": self.mpxn.to_string(),
            "installation": self.installation.to_string(),
            "state": self.state.as_str(),
            "since": self.since.to_string(),
            "operator": self.state.operator(),
            "attempts": self.attempts,
            "signatures": self.signatures.as_str(),
            "next": self.next.0,
            "next_at": self.next.1.map(|at| at.to_string()),
            "history": history.collect::<Vec<_>>(),
        })
    }
}

/// What an entry says of its installation, for people.
fn told(entry: &Entry) -> Option<String> {
    Some(match (&entry.event, entry.change) {
        (Event::Failed { failure, .. }, _) => format!("{}: {}", failure.code, failure.detail),
        (Event::TryFailed { code, detail, .. }, _) => format!("a try failed: {code} {detail}"),
        (Event::Noted { code, text }, _) => format!("noted: {code} {text}"),
        (Event::StepDone(step), None) => format!("{} for {}: {}", step.request, step.device, step.response_code),
        (Event::Slotted { day, .. }, Some((from, to))) => format!("{from} to {to}, slot on {day}"),
        (_, Some((from, to))) => format!("{from} to {to}"),
        _ => return None,
    })
}
