//! The reports of a migration: fifteen tables made from what the journal adds up to, as CSV and as one HTML page.

pub mod chart;
mod form;
mod page;
mod people;
mod performance;
mod tables;
mod totals;

use std::collections::BTreeMap;

use domain::{Eui64, SimInstant};
use sha2::Digest as _;

use crate::machine::Campaign;
use crate::machine::event::Entry;
use crate::machine::model::Installation;
use crate::machine::state::State;
use crate::planning::gates::Lists;
use crate::settings::{CohortSlug, Settings};
use crate::{InstallationId, strict};

pub use form::ReportForm;
pub(crate) use form::read_forms;
pub use page::page;
pub use totals::Totals;

/// The column that reports have beside those of their forms where the lab left out what it must not.
pub const LAB_MODE: &str = "lab_mode";

/// Of what and for whom reports are made.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What the journal adds up to.
    pub campaign: &'a Campaign,
    /// EPCL and CPL.
    pub lists: &'a dyn Lists,
    /// The journal from its first record on, for traces; empty leaves traces empty.
    pub entries: &'a [Entry],
    /// Evidence of test sets.
    pub evidence: &'a [TestEvidence],
    /// When they are made.
    pub now: SimInstant,
    /// For one supplier only: its metering points.
    pub supplier: Option<Eui64>,
    /// Of one cohort only.
    pub cohort: Option<&'a CohortSlug>,
    /// Traces of one installation only.
    pub installation: Option<InstallationId>,
}

/// One case of a test set, as evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestEvidence {
    /// The run.
    pub run: String,
    /// Test phase.
    pub phase: String,
    /// Combination.
    pub combination: String,
    /// Active, dormant or mixed.
    pub installation_type: String,
    /// What was tested.
    pub case: String,
    /// What came of it.
    pub result: String,
    /// SHA-256 of the evidence, hex.
    pub sha256: String,
}

impl TestEvidence {
    /// The digest of what was seen, as reports have it.
    #[must_use]
    pub fn digest_of(seen: &str) -> String {
        hex::encode(sha2::Sha256::digest(seen))
    }
}

/// A report: its form and its rows, with the values in the order of the form's columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its form.
    pub form: ReportForm,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As CSV.
    #[must_use]
    pub fn csv(&self) -> String {
        let headings: Vec<&str> = self.form.columns.iter().map(String::as_str).collect();
        strict::write_csv(&headings, self.rows.iter().cloned())
    }
}

/// All reports of the settings.
#[must_use]
pub fn all(inputs: &Inputs<'_>) -> Vec<Table> {
    let forms = &inputs.campaign.settings().reports;
    forms.iter().map(|form| of_form(form, inputs)).collect()
}

/// One report by its id; none when the settings do not have it.
#[must_use]
pub fn report(id: &str, inputs: &Inputs<'_>) -> Option<Table> {
    let form = inputs.campaign.settings().reports.iter().find(|form| form.id == id)?;
    Some(of_form(form, inputs))
}

fn of_form(form: &ReportForm, inputs: &Inputs<'_>) -> Table {
    let rows = match form.id.as_str() {
        "R01" => tables::daily_outcomes(inputs),
        "R02" => tables::dormant_migrated(inputs),
        "R03" => people::answers(inputs),
        "R04" => performance::weekly(inputs),
        "R05" => performance::public(inputs),
        "R06" => performance::capacity(inputs),
        "R07" => performance::errors(inputs),
        "R08" => people::exceptions(inputs),
        "R09" => people::stranded(inputs),
        "R10" => people::exclusions(inputs),
        "R11" => performance::firmware(inputs),
        "R12" => tables::eligibility(inputs),
        "R13" => performance::decommissioning(inputs),
        "R14" => tables::trace(inputs),
        "R15" => tables::evidence(inputs),
        _ => Vec::new(),
    };
    let known = form::KNOWN
        .iter()
        .find(|(id, _)| *id == form.id)
        .map_or("", |(_, columns)| columns);
    let known: Vec<&str> = known.split(' ').collect();
    let order: Vec<usize> = form
        .columns
        .iter()
        .filter_map(|column| known.iter().position(|known| known == column))
        .collect();
    let ordered = |row: Vec<String>| {
        order
            .iter()
            .map(|at| row.get(*at).cloned().unwrap_or_default())
            .collect()
    };
    let mut table = Table {
        form: form.clone(),
        rows: rows.into_iter().map(ordered).collect(),
    };
    // A report goes its way alone: each row says what it is worth.
    if let Some(label) = inputs.campaign.signatures.label() {
        table.form.columns.push(LAB_MODE.to_owned());
        table.rows.iter_mut().for_each(|row| row.push(label.to_owned()));
    }
    table
}

impl Inputs<'_> {
    /// Whether an installation is within the report's scope.
    fn covers(&self, known: &Installation) -> bool {
        let supplier = |of| known.facts.points.iter().any(|point| point.supplier == of);
        self.cohort.is_none_or(|cohort| known.facts.cohort == *cohort) && self.supplier.is_none_or(supplier)
    }

    fn covers_cohort(&self, cohort: &CohortSlug) -> bool {
        self.cohort.is_none_or(|wanted| wanted == cohort)
    }

    fn settings(&self) -> &Settings {
        self.campaign.settings()
    }
}

/// What happens to an installation next, in words, and when, where that is known.
#[must_use]
pub fn next_action(known: &Installation, campaign: &Campaign) -> (String, Option<SimInstant>) {
    if let Some(triage) = &known.triage {
        let word = if triage.quarantined {
            "decision of the MCC (quarantined)"
        } else {
            "decision of the MCC"
        };
        return (word.to_owned(), None);
    }
    if known.unwind.purge || known.unwind.unfreeze {
        return (
            "what was done before the failure is undone".to_owned(),
            known.attempt.not_before,
        );
    }
    if let Some(hold) = &known.hold {
        let case = campaign
            .open_cases_of(known.id())
            .filter_map(|number| campaign.cases.get(&number))
            .next();
        let owner = case.map_or("MCC", |case| case.owner.as_str());
        return (format!("waits for {owner} ({hold})"), None);
    }
    let unauthorised = known
        .each_point()
        .find(|(_, progress)| progress.authorisation.is_none());
    let words = match known.state {
        State::Migrated => "none: migrated",
        State::PartiallyMigrated => "none: electricity migrated, gas stays behind",
        State::Excluded => "none: excluded",
        State::RolledBack => "an operator must ask for another attempt",
        State::Stranded => "tried again for ever",
        State::RetryWait => return ("another attempt".to_owned(), known.retry_at),
        State::Slotted => return ("migration".to_owned(), Some(known.attempt.start)),
        State::Authorised => "a slot",
        State::Eligible | State::Cancelled => match unauthorised {
            Some((facts, _)) if facts.active => {
                return (format!("{} must authorise {}", facts.supplier, facts.mpxn), None);
            }
            Some((facts, _)) => return (format!("the notice for {} must mature", facts.mpxn), None),
            None => "an EPCL entry",
        },
        State::NeedsFirmware => {
            let upgrade = known.upgrades.iter().map(|upgrade| upgrade.not_before).min();
            return ("firmware".to_owned(), known.retry_at.or(upgrade));
        }
        _ => "it goes on",
    };
    (words.to_owned(), known.attempt.not_before.or(known.retry_at))
}

fn key_counts<K: Ord>(keys: impl IntoIterator<Item = K>) -> BTreeMap<K, u32> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// A share in per cent with one decimal; empty without a whole.
fn percent(part: u32, whole: u32) -> String {
    if whole == 0 {
        return String::new();
    }
    let tenths = u64::from(part) * 1000 / u64::from(whole);
    format!("{}.{}", tenths / 10, tenths % 10)
}
