//! Files from suppliers: received, judged, answered, written down.

use domain::{Eui64, Mpxn, SimInstant};
use jiff::civil::Date;

use super::campaign::Campaign;
use super::control::{Control, KnownCertificate};
use super::event::{Entry, Event, FileRecord, RowRecord};
use super::failure::Finding;
use super::journal::JournalError;
use super::model::Authorisation;
use super::report::Found;
use super::state::{Actor, State};
use crate::InstallationId;
use crate::day::{number, of_number, week_of};
use crate::planning::demand;
use crate::planning::gates::cohort_open;
use crate::planning::intake::{FileAnswer, FileResult, PointFacts, ReceivedFile, Register};
use crate::planning::name::{FileKind, FileName};
use crate::settings::{CohortSlug, Owner, Stage};

impl Control {
    /// Takes in a file of a supplier: authorisation, password or demand.
    ///
    /// # Errors
    /// When the journal refuses. A file that is refused is not an error: the answer says so.
    pub fn receive(&mut self, now: SimInstant, file: ReceivedFile) -> Result<(), JournalError> {
        let event = Event::FileReceived {
            name: file.name.clone(),
            sender: file.sender,
            text: file.text.clone(),
        };
        self.write(now, Actor::Supplier, None, None, event)?;
        self.judge_file(now, file)?;
        self.settle(now)
    }

    fn judge_file(&mut self, now: SimInstant, file: ReceivedFile) -> Result<(), JournalError> {
        let name = FileName::read(&self.settings.columns, &file.name);
        if let Ok(name) = name
            && matches!(name.kind, FileKind::DemandCommitment | FileKind::DemandRequest)
        {
            return self.judge_demand(now, &file, &name);
        }
        let view = View {
            campaign: &self.campaign,
            certificates: &self.certificates,
            committed: self.demand_is_committed,
        };
        for answer in self.intake.receive(file, &view, &self.settings) {
            self.answered(now, answer)?;
        }
        Ok(())
    }

    fn judge_demand(&mut self, now: SimInstant, file: &ReceivedFile, name: &FileName) -> Result<(), JournalError> {
        let refused = |condition: &str, text: String| FileAnswer {
            file: file.name.clone(),
            sender: file.sender,
            week: None,
            result: FileResult::Rejected {
                code: self
                    .settings
                    .errors
                    .find(Stage::AuthorisationFile, condition)
                    .id
                    .clone(),
                text,
            },
            rows: Vec::new(),
        };
        if name.user != file.sender {
            let answer = refused("sender-differs", format!("it came from {}", file.sender));
            return self.answered(now, answer);
        }
        let days = match demand::read(&self.settings.columns, name.kind, &file.name, &file.text) {
            Ok(days) => days,
            Err(error) => {
                let answer = refused("malformed", error.to_string());
                return self.answered(now, answer);
            }
        };
        let days: Vec<(i32, u32)> = days.into_iter().map(|(day, units)| (number(day), units)).collect();
        if self.campaign.has_demand_file(name, &days) {
            let text = "a file of this name with the same days came before".to_owned();
            let answer = refused("already-received", text);
            return self.answered(now, answer);
        }
        // Demand for days whose week is scaled already comes too late.
        let late = days
            .iter()
            .map(|(day, _)| of_number(*day))
            .find(|day| self.settings.calendar.demand_due.instant(week_of(*day)) < file.at);
        if let Some(day) = late {
            let answer = refused("file-late", format!("demand for {day} was due before"));
            return self.answered(now, answer);
        }
        let event = Event::Demand {
            file: file.name.clone(),
            supplier: name.user,
            smso: name.smso.clone(),
            committed: name.kind == FileKind::DemandCommitment,
            days,
        };
        self.write(now, Actor::Supplier, None, None, event)
    }

    /// Writes an answer down, with the rows it accepts.
    pub(super) fn answered(&mut self, now: SimInstant, answer: FileAnswer) -> Result<(), JournalError> {
        let (result, code, text) = match answer.result {
            FileResult::Taken => ("ACCEPTED", String::new(), String::new()),
            FileResult::Held => ("HELD", String::new(), String::new()),
            FileResult::Rejected { code, text } => ("REJECTED", code, text),
        };
        let mut touched = Vec::new();
        let mut rows = Vec::with_capacity(answer.rows.len());
        for row in answer.rows {
            let (code, text, accepted) = match row.result {
                Ok((id, accepted)) => {
                    touched.push(id);
                    let authorisation = (!accepted.withdraw).then(|| Authorisation {
                        supplier: accepted.supplier,
                        by: format!("{}:{}", answer.file, row.row),
                        not_before: accepted.not_before,
                        not_after: accepted.not_after,
                    });
                    (String::new(), String::new(), Some((accepted.mpxn, authorisation)))
                }
                Err((code, text)) => (code, text, None),
            };
            rows.push(RowRecord {
                row: row.row,
                mpxn: row.mpxn,
                code,
                text,
                accepted,
            });
        }
        let security = self
            .settings
            .errors
            .row(&code)
            .filter(|row| row.case && row.owner == Owner::Mcc)
            .cloned();
        if let Some(row) = security {
            let what = Found::new("file-refused").saying(format!("{}: {text}", answer.file));
            self.open_case(now, None, &Finding { row, what })?;
        }
        let record = FileRecord {
            file: answer.file,
            sender: answer.sender,
            week: answer.week,
            result: result.to_owned(),
            code,
            text,
            rows,
        };
        self.write(now, Actor::Mcc, None, None, Event::FileAnswered(record))?;
        self.touch(touched);
        Ok(())
    }

    /// Puts back which files wait and which were taken, from the journal; judges the last file again if it died unanswered.
    pub(super) fn remember_files(&mut self, now: SimInstant, entries: &[Entry]) -> Result<(), JournalError> {
        let mut unanswered = None;
        for (position, entry) in entries.iter().enumerate() {
            let Event::FileReceived { name, sender, text } = &entry.event else {
                continue;
            };
            let file = ReceivedFile {
                name: name.clone(),
                sender: *sender,
                at: entry.at,
                text: text.clone(),
            };
            let before = self.intake.clone();
            let answers = self.intake.receive(file.clone(), &Nobody, &self.settings);
            let answered = entries[position + 1..]
                .iter()
                .any(|later| matches!(later.event, Event::FileAnswered(_) | Event::Demand { .. }));
            if !answers.is_empty() && !answered && position + 1 == entries.len() {
                unanswered = Some((before, file));
            }
        }
        // Files that waited too long were answered then; waking gives those answers again, and they go nowhere.
        let last = entries.last().map_or(now, |entry| entry.at);
        let _given_before = self.intake.wake(last, &self.settings);
        if let Some((before, file)) = unanswered {
            self.intake = before;
            self.judge_file(now, file)?;
        }
        Ok(())
    }
}

/// What intake sees of a campaign.
struct View<'a> {
    campaign: &'a Campaign,
    certificates: &'a KnownCertificate,
    committed: bool,
}

impl Register for View<'_> {
    fn point(&self, mpxn: Mpxn) -> Option<PointFacts> {
        let known = self.campaign.by_mpxn(mpxn)?;
        let point = known.facts.points.iter().find(|point| point.mpxn == mpxn)?;
        Some(PointFacts {
            installation: known.id(),
            cohort: known.facts.cohort.clone(),
            supplier: point.supplier,
            closed: known.state.is_terminal() || matches!(known.state, State::Confirmed | State::Stranded),
        })
    }

    fn certificate_known(&self, serial_hex: &str) -> bool {
        (self.certificates)(serial_hex)
    }

    fn cohort_live(&self, cohort: &CohortSlug, week: Date) -> bool {
        // Live on its last day will do: a cohort may open in mid-week.
        let last = crate::day::plus_days(week, 6);
        cohort_open(self.campaign.settings(), cohort, self.campaign.environment, last).is_ok()
    }

    fn allocation_left(&self, supplier: Eui64, cohort: &CohortSlug, week: Date) -> u32 {
        if !self.committed {
            return u32::MAX;
        }
        let of_week = (0..7).map(|days| (crate::day::plus_days(week, days), cohort.clone()));
        let records = of_week.filter_map(|key| self.campaign.allocations.get(&key));
        let units = records
            .flat_map(|record| &record.units)
            .filter(|(who, ..)| *who == supplier);
        let units: u32 = units.fold(0, |sum, (.., units)| sum.saturating_add(*units));
        units.saturating_sub(self.campaign.units_used(supplier, cohort, week))
    }

    fn is_authorised(&self, mpxn: Mpxn, week: Date) -> bool {
        self.campaign.is_authorised(mpxn, week)
    }

    fn has_unit(&self, installation: InstallationId, week: Date) -> bool {
        self.campaign.has_unit(installation, week)
    }
}

/// A register without points: enough to find out again which files wait and which were taken.
struct Nobody;

impl Register for Nobody {
    fn point(&self, _: Mpxn) -> Option<PointFacts> {
        None
    }
    fn certificate_known(&self, _: &str) -> bool {
        false
    }
    fn cohort_live(&self, _: &CohortSlug, _: Date) -> bool {
        false
    }
    fn allocation_left(&self, _: Eui64, _: &CohortSlug, _: Date) -> u32 {
        0
    }
    fn is_authorised(&self, _: Mpxn, _: Date) -> bool {
        false
    }
    fn has_unit(&self, _: InstallationId, _: Date) -> bool {
        false
    }
}
