//! One metering point of a campaign, from its journal: where it stands, how it came there, what comes next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{Mpxn, SimInstant};
use lab::file_store::FileReader;
use migration::Settings;
use migration::machine::event::{Entry, Event};
use migration::machine::journal::{self, JournalError};
use migration::machine::{Campaign, State};
use migration::reports::next_action;
use serde_json::json;

/// Where a metering point stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Which.
    pub mpxn: Mpxn,
    /// The installation it belongs to.
    pub installation: String,
    /// State of the installation.
    pub state: State,
    /// Since when.
    pub since: SimInstant,
    /// Number of its attempts.
    pub attempts: u32,
    /// What comes next, and when, where that is known.
    pub next: (String, Option<SimInstant>),
    /// When, by whom, what.
    pub history: Vec<(SimInstant, &'static str, String)>,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// There is no journal.
    #[error("{} has no journal of a campaign: name the folder of the campaign (--out)", .0.display())]
    NoJournal(PathBuf),
    /// The journal.
    #[error("read the campaign's journal")]
    Journal(#[from] JournalError),
    /// The built-in settings: our bug.
    #[error(transparent)]
    Settings(#[from] dmc::FileError),
    /// The campaign does not have it.
    #[error("the campaign has no metering point {0}")]
    Unknown(Mpxn),
}

/// What a campaign at rest adds up to, and when its journal ends.
///
/// # Errors
/// [`StatusError`].
pub(super) fn at_rest(state: &Path) -> Result<(Campaign, SimInstant), StatusError> {
    let mut last = SimInstant(0);
    let campaign = replay(state, &mut |entry| last = entry.at)?;
    Ok((campaign, last))
}

fn replay(state: &Path, each: &mut dyn FnMut(Entry)) -> Result<Campaign, StatusError> {
    let folder = state
        .join("journals")
        .join(super::journal_name(super::WORLD, "control"));
    if !folder.exists() {
        return Err(StatusError::NoJournal(state.to_owned()));
    }
    let mut campaign = Campaign::new(Arc::new(Settings::builtin()?));
    journal::replay(&FileReader::new(&folder), &mut |_, entry| {
        campaign.apply(&entry);
        each(entry);
    })?;
    Ok(campaign)
}

/// The status of a metering point, from the journals below the state folder of a campaign.
///
/// # Errors
/// [`StatusError`].
pub fn status(state: &Path, mpxn: Mpxn) -> Result<Status, StatusError> {
    let mut entries = Vec::new();
    let campaign = replay(state, &mut |entry| entries.push(entry))?;
    let known = campaign.by_mpxn(mpxn).ok_or(StatusError::Unknown(mpxn))?;
    let about = entries.iter().filter(|entry| entry.installation == Some(known.id()));
    let history = about.filter_map(|entry| {
        let text = match (&entry.event, entry.change) {
            (Event::Failed { failure, .. }, _) => format!("{}: {}", failure.code, failure.detail),
            (Event::TryFailed { code, detail, .. }, _) => format!("a try failed: {code} {detail}"),
            (Event::Noted { code, text }, _) => format!("noted: {code} {text}"),
            (Event::StepDone(step), None) => format!("{} for {}: {}", step.request, step.device, step.response_code),
            (Event::Slotted { day, .. }, Some((from, to))) => format!("{from} to {to}, slot on {day}"),
            (_, Some((from, to))) => format!("{from} to {to}"),
            _ => return None,
        };
        Some((entry.at, entry.actor.as_str(), text))
    });
    Ok(Status {
        mpxn,
        installation: known.id().to_string(),
        state: known.state,
        since: known.since,
        attempts: known.attempt.number,
        next: next_action(known, &campaign),
        history: history.collect(),
    })
}

impl Status {
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
            "installation": self.installation,
            "state": self.state.as_str(),
            "since": self.since.to_string(),
            "operator": self.state.operator(),
            "attempts": self.attempts,
            "next": self.next.0,
            "next_at": self.next.1.map(|at| at.to_string()),
            "history": history.collect::<Vec<_>>(),
        })
    }
}
