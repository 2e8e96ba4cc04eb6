//! What people see of a campaign, as messages of the control service.

use domain::SimInstant;
use migration::machine::State;
use migration::machine::campaign::Case;
use migration::machine::event::CaseRecord;
use migration::machine::operator::CaseFilter;
use migration::settings::{Class, CohortSlug, Owner};
use proto::{CampaignProgressReply, ExceptionEntry, HistoryEntry, PointStatusReply, WhichExceptions as WhichMessage};

use super::{Exception, Progress, Status, Which};

/// A message that says what this program does not know.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no {what} {word:?}")]
pub struct Unknown {
    what: &'static str,
    word: String,
}

fn known<T>(what: &'static str, word: &str, read: Option<T>) -> Result<T, Unknown> {
    read.ok_or_else(|| Unknown {
        what,
        word: word.chars().take(100).collect(),
    })
}

fn history<'a>(entries: impl Iterator<Item = &'a (SimInstant, String, String)>) -> Vec<HistoryEntry> {
    let each = entries.map(|(at, by, what)| HistoryEntry {
        at_ms: at.0,
        by: by.clone(),
        what: what.clone(),
    });
    each.collect()
}

fn read_history(entries: &[HistoryEntry]) -> Vec<(SimInstant, String, String)> {
    let each = entries.iter();
    each.map(|entry| (SimInstant(entry.at_ms), entry.by.clone(), entry.what.clone()))
        .collect()
}

impl From<&Progress> for CampaignProgressReply {
    fn from(progress: &Progress) -> Self {
        let states = progress.states.iter();
        Self {
            now_ms: progress.now.0,
            began_ms: progress.began.0,
            until_ms: progress.until.0,
            states: states
                .map(|(state, count)| (state.as_str().to_owned(), *count as u64))
                .collect(),
            signatures: progress.signatures.as_str().to_owned(),
        }
    }
}

impl From<&Status> for PointStatusReply {
    fn from(status: &Status) -> Self {
        Self {
            mpxn: status.mpxn.to_string(),
            installation_id: status.installation.to_string(),
            state: status.state.as_str().to_owned(),
            since_ms: status.since.0,
            attempts: status.attempts,
            next: status.next.0.clone(),
            next_ms: status.next.1.map(|at| at.0),
            history: history(status.history.iter()),
            signatures: status.signatures.as_str().to_owned(),
        }
    }
}

impl TryFrom<&PointStatusReply> for Status {
    type Error = Unknown;

    fn try_from(message: &PointStatusReply) -> Result<Self, Unknown> {
        Ok(Self {
            mpxn: known("metering point", &message.mpxn, message.mpxn.parse().ok())?,
            installation: known(
                "installation",
                &message.installation_id,
                message.installation_id.parse().ok(),
            )?,
            state: known("state", &message.state, State::from_word(&message.state))?,
            since: SimInstant(message.since_ms),
            attempts: message.attempts,
            next: (message.next.clone(), message.next_ms.map(SimInstant)),
            signatures: known(
                "scheme of signatures",
                &message.signatures,
                message.signatures.parse().ok(),
            )?,
            history: read_history(&message.history),
        })
    }
}

impl From<&Which> for WhichMessage {
    fn from(which: &Which) -> Self {
        let filter = &which.filter;
        Self {
            numbers: which.numbers.clone(),
            code: filter.code.clone().unwrap_or_default(),
            cohort: filter.cohort.as_ref().map(ToString::to_string).unwrap_or_default(),
            owner: filter.owner.map_or("", Owner::as_str).to_owned(),
        }
    }
}

impl TryFrom<&WhichMessage> for Which {
    type Error = Unknown;

    fn try_from(message: &WhichMessage) -> Result<Self, Unknown> {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let owner = said(&message.owner);
        Ok(Self {
            numbers: message.numbers.clone(),
            filter: CaseFilter {
                code: said(&message.code),
                cohort: said(&message.cohort).map(|slug| CohortSlug::new(&slug)),
                owner: owner
                    .map(|word| known("owner", &word, Owner::from_word(&word)))
                    .transpose()?,
            },
        })
    }
}

impl From<&Exception> for ExceptionEntry {
    fn from(exception: &Exception) -> Self {
        let case = &exception.case;
        let (id, state) = match &exception.installation {
            Some((id, state)) => (id.clone(), state.as_str().to_owned()),
            None => Default::default(),
        };
        Self {
            number: exception.number,
            installation_id: id,
            state,
            attempt: case.record.attempt,
            code: case.record.code.clone(),
            class: case.record.class.map_or("", Class::as_str).to_owned(),
            owner: case.owner.as_str().to_owned(),
            opened_for: case.record.owner.as_str().to_owned(),
            text: case.record.text.clone(),
            opened_ms: case.opened.0,
            hours: exception.hours,
            claimed_by: case.claimed_by.clone(),
            held: case.held.clone(),
            resolution: case.resolution.clone(),
            history: history(case.history.iter()),
        }
    }
}

impl TryFrom<&ExceptionEntry> for Exception {
    type Error = Unknown;

    fn try_from(message: &ExceptionEntry) -> Result<Self, Unknown> {
        let (id, state) = (&message.installation_id, &message.state);
        let owner = |word: &str| known("owner", word, Owner::from_word(word));
        let installation = if id.is_empty() {
            None
        } else {
            Some((id.clone(), known("state", state, State::from_word(state))?))
        };
        let class = match message.class.as_str() {
            "" => None,
            class => Some(known("class", class, Class::from_word(class))?),
        };
        Ok(Self {
            number: message.number,
            case: Case {
                record: CaseRecord {
                    case: message.number,
                    attempt: message.attempt,
                    code: message.code.clone(),
                    class,
                    owner: owner(&message.opened_for)?,
                    text: message.text.clone(),
                },
                installation: installation.as_ref().and_then(|(id, _)| id.parse().ok()),
                opened: SimInstant(message.opened_ms),
                owner: owner(&message.owner)?,
                claimed_by: message.claimed_by.clone(),
                held: message.held.clone(),
                resolution: message.resolution.clone(),
                history: read_history(&message.history),
            },
            installation,
            hours: message.hours,
        })
    }
}
