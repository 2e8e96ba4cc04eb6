//! The exception queue of a campaign: what people see of it and do about it. What they do is in the campaign's own journal,
//! and the campaign goes on from there.

use std::path::Path;
use std::sync::Arc;

use domain::SimInstant;
use lab::parts::Journals;
use migration::machine::campaign::Case;
use migration::machine::control::{Control, Options as ControlOptions};
use migration::machine::event::CaseAct;
use migration::machine::operator::{ActError, CaseFilter, Operator};
use migration::machine::{Campaign, State};
use migration::settings::Owner;
use serde_json::json;

use super::begun::{self, Begun};
use super::file::CampaignFile;
use super::parties::Eligible;
use super::status::{StatusError, at_rest};
use super::{CONTROL, CampaignError};

/// Which cases: those of these numbers, or all open ones that fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Which {
    /// Numbers; empty: all that fit.
    pub numbers: Vec<u64>,
    /// What the others must be like.
    pub filter: CaseFilter,
}

/// Something that people do about cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// About the case.
    Case(CaseAct),
    /// The MCC's decision about an installation in triage.
    Decide {
        /// Where it goes.
        to: State,
        /// Why.
        text: String,
    },
    /// An exclusion.
    Exclude {
        /// Its category.
        category: String,
        /// What shows it.
        evidence: String,
    },
}

/// Words of deeds, as commands have them.
pub const DEEDS: [&str; 10] = [
    "assign",
    "claim",
    "decide",
    "exclude",
    "hold",
    "note",
    "release",
    "resolve",
    "retry",
    "roll-back",
];

/// One case of the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exception {
    /// Its number.
    pub number: u64,
    /// The installation, and where it stands; none for a case about a file.
    pub installation: Option<(String, State)>,
    /// The case.
    pub case: Case,
    /// Hours that it has been open, or was.
    pub hours: u64,
}

impl Deed {
    /// From a word with what goes with it: `to` is an owner, a state or a category, `text` a reason.
    ///
    /// # Errors
    /// What is missing or unknown.
    pub fn read(word: &str, to: Option<&str>, text: Option<&str>) -> Result<Self, String> {
        let text = || {
            let said = text.map(str::trim).filter(|text| !text.is_empty());
            said.map(str::to_owned)
                .ok_or_else(|| format!("{word} needs a reason: give --text"))
        };
        let to = |what: &str| to.ok_or_else(|| format!("{word} needs {what}: give --to"));
        Ok(Self::Case(match word {
            "assign" => {
                let word = to("an owner")?;
                let known: Vec<&str> = Owner::ALL.iter().map(|owner| owner.as_str()).collect();
                let owner = Owner::from_word(word);
                CaseAct::Assign(owner.ok_or_else(|| format!("no owner {word:?}; there are {}", known.join(", ")))?)
            }
            "claim" => CaseAct::Claim,
            "hold" => CaseAct::Hold(text()?),
            "note" => CaseAct::Note(text()?),
            "release" => CaseAct::Release,
            "resolve" => CaseAct::Resolve(text()?),
            "retry" => CaseAct::Retry,
            "roll-back" => CaseAct::RollBack,
            "decide" => {
                let (word, text) = (to("a state")?, text()?);
                let to = State::from_word(word).ok_or_else(|| format!("no state {word:?}"))?;
                return Ok(Self::Decide { to, text });
            }
            "exclude" => {
                let (category, evidence) = (to("a category")?.to_owned(), text()?);
                return Ok(Self::Exclude { category, evidence });
            }
            other => return Err(format!("nothing is called {other:?}; there are {}", DEEDS.join(", "))),
        }))
    }
}

/// The cases of a campaign that does not run, open ones or all, by number.
///
/// # Errors
/// [`StatusError`].
pub fn exceptions(state: &Path, which: &Which, all: bool) -> Result<Vec<Exception>, StatusError> {
    let (campaign, now) = at_rest(state)?;
    Ok(queue(&campaign, now, which, all))
}

/// The cases that fit, by number.
pub(super) fn queue(campaign: &Campaign, now: SimInstant, which: &Which, all: bool) -> Vec<Exception> {
    let fits = |number: u64, case: &Case| {
        (all || case.is_open())
            && (which.numbers.is_empty() || which.numbers.contains(&number))
            && which.filter.fits(campaign, case)
    };
    let cases = campaign.cases.iter().filter(|(number, case)| fits(**number, case));
    cases
        .map(|(number, case)| exception(campaign, *number, case, now))
        .collect()
}

fn exception(campaign: &Campaign, number: u64, case: &Case, now: SimInstant) -> Exception {
    let known = case.installation.and_then(|id| campaign.installation(id));
    let last = case.history.last().filter(|_| !case.is_open());
    let until = last.map_or(now, |(at, ..)| *at);
    Exception {
        number,
        installation: known.map(|known| (known.id().to_string(), known.state)),
        case: case.clone(),
        hours: until.since(case.opened).as_millis() / 3_600_000,
    }
}

/// What came of a deed for the case of this number.
pub type Acted = (u64, Result<(), ActError>);

/// Does something about cases of a campaign that does not run; each is done or refused by itself. Where it goes on, it goes
/// on from there.
///
/// # Errors
/// [`CampaignError`]: the campaign file, or the journal cannot be opened (also while the campaign runs).
pub fn act(state: &Path, operator: &Operator, which: &Which, deed: &Deed) -> Result<Vec<Acted>, CampaignError> {
    let begun = Begun::read(state)?;
    let file = CampaignFile::read(&begun.file)?;
    let journals = Journals::on_disk(state);
    if !state.join("journals").join(CONTROL).exists() {
        return Err(CampaignError::NotBegun(state.to_owned()));
    }
    let now = begun::stood_at(&journals, state)?.unwrap_or(file.start);
    let lists = Arc::new(Eligible::read(&file, None)?);
    let options = ControlOptions {
        name: file.name.clone(),
        environment: file.environment,
        signatures: begun.signatures,
        settings: Arc::new(file.settings.clone()),
        lists,
        // No authorisation is judged while people act.
        certificates: Arc::new(|_: &str| true),
        seed: (begun.seed, domain::Seed::root(begun.seed)),
        store: journals.open(CONTROL)?,
        demand_is_committed: file.demand_is_committed(),
    };
    let mut control = Control::open(options, now)?;
    act_in(&mut control, now, operator, which, deed)
}

/// Does something about cases, and has it written.
pub(super) fn act_in(
    control: &mut Control,
    now: SimInstant,
    operator: &Operator,
    which: &Which,
    deed: &Deed,
) -> Result<Vec<Acted>, CampaignError> {
    let numbers = if which.numbers.is_empty() {
        control.cases(&which.filter)
    } else {
        which.numbers.clone()
    };
    let done = match deed {
        Deed::Case(act) => control.act(now, operator, &numbers, act),
        about => numbers
            .iter()
            .map(|number| (*number, about_installation(control, now, operator, *number, about)))
            .collect(),
    };
    control.commit()?;
    Ok(done)
}

fn about_installation(
    control: &mut Control,
    now: SimInstant,
    operator: &Operator,
    number: u64,
    deed: &Deed,
) -> Result<(), ActError> {
    let case = control.campaign().cases.get(&number).filter(|case| case.is_open());
    let id = case.and_then(|case| case.installation);
    let id = id.ok_or_else(|| ActError::Unknown(format!("case {number} about an installation")))?;
    match deed {
        Deed::Decide { to, text } => control.decide(now, operator, id, *to, text),
        Deed::Exclude { category, evidence } => control.exclude_by(now, operator, id, category, evidence),
        Deed::Case(_) => Ok(()),
    }
}

impl Exception {
    /// For the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            number, case, hours, ..
        } = self;
        let about = match &self.installation {
            Some((id, state)) => format!("{id} in {state}"),
            None => "a file".to_owned(),
        };
        let claimed = case.claimed_by.as_ref().map(|by| format!(", claimed by {by}"));
        let mut lines = vec![format!(
            "case {number}: {} about {about}, with {}{}, {hours} h: {}",
            case.record.code,
            case.owner,
            claimed.unwrap_or_default(),
            case.record.text
        )];
        let each = case.history.iter();
        lines.extend(each.map(|(at, by, what)| format!("  {at}  {by:<12} {what}")));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let case = &self.case;
        let each = case.history.iter();
        let history = each.map(|(at, by, what)| json!({ "at": at.to_string(), "by": by, "what": what }));
        json!({
            "case": self.number,
            "code": case.record.code,
            "class": case.record.class.map(migration::settings::Class::as_str),
            "installation": self.installation.as_ref().map(|(id, _)| id),
            "state": self.installation.as_ref().map(|(_, state)| state.as_str()),
            "attempt": case.record.attempt,
            "owner": case.owner.as_str(),
            "claimed_by": case.claimed_by,
            "held": case.held,
            "opened": case.opened.to_string(),
            "hours": self.hours,
            "text": case.record.text,
            "resolution": case.resolution,
            "history": history.collect::<Vec<_>>(),
        })
    }
}
