//! Cases: opened once per code and installation, resolved when what they were about is over.

use domain::SimInstant;

use super::control::Control;
use super::event::{CaseAct, CaseRecord, Event};
use super::failure::Finding;
use super::journal::JournalError;
use super::state::Actor;
use crate::InstallationId;

impl Control {
    /// Opens a case, unless there is an open one about the same.
    pub(super) fn open_case(
        &mut self,
        now: SimInstant,
        id: Option<InstallationId>,
        finding: &Finding,
    ) -> Result<(), JournalError> {
        let row = &finding.row;
        let code = |case: u64| self.campaign.cases.get(&case).map(|case| case.record.code.as_str());
        let known = id.is_some_and(|id| self.campaign.open_cases_of(id).any(|case| code(case) == Some(&row.id)));
        if known {
            return Ok(());
        }
        let attempt = id
            .and_then(|id| self.campaign.installation(id))
            .map_or(0, |known| known.attempt.number);
        let record = CaseRecord {
            case: self.campaign.cases.last_key_value().map_or(1, |(last, _)| last + 1),
            attempt,
            code: row.id.clone(),
            class: row.class,
            owner: row.owner,
            text: finding.words(),
        };
        self.write(now, Actor::Mcc, id, None, Event::CaseOpened(record))
    }

    /// Resolves all open cases of an installation.
    pub(super) fn close_cases(&mut self, now: SimInstant, id: InstallationId, text: &str) -> Result<(), JournalError> {
        let open: Vec<u64> = self.campaign.open_cases_of(id).collect();
        for case in open {
            let event = Event::CaseActed {
                case,
                by: "rule".into(),
                act: CaseAct::Resolve(text.to_owned()),
            };
            self.write(now, Actor::Mcc, Some(id), None, event)?;
        }
        Ok(())
    }
}
