//! What people do about exceptions: claim, assign, hold, release, retry, roll back, decide, resolve; one or many at once.

use domain::SimInstant;

use super::campaign::{Campaign, Case};
use super::control::Control;
use super::event::{CaseAct, Event};
use super::journal::JournalError;
use super::state::{Actor, State};
use crate::InstallationId;
use crate::settings::{CohortSlug, Owner, Stage};

/// Somebody who acts, and for whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// Name.
    pub name: String,
    /// For whom.
    pub role: Owner,
}

/// Why an act was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The journal refuses.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The category is not one of the settings', or needs evidence.
    #[error("category {category:?}: {problem}")]
    Category {
        /// Which.
        category: String,
        /// Why not.
        problem: &'static str,
    },
    /// Only the MCC may do this.
    #[error("{id} is quarantined: only the MCC may release it")]
    McC {
        /// Which installation.
        id: InstallationId,
    },
    /// The state does not allow it.
    #[error("{id} is {state}: {problem}")]
    State {
        /// Which installation.
        id: InstallationId,
        /// Where it stands.
        state: State,
        /// Why not, and what to do.
        problem: &'static str,
    },
    /// No such case or installation, or the case is resolved.
    #[error("there is no open {0}")]
    Unknown(String),
}

/// Which cases an act is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CaseFilter {
    /// Of this code.
    pub code: Option<String>,
    /// Of this cohort.
    pub cohort: Option<CohortSlug>,
    /// Of this owner.
    pub owner: Option<Owner>,
}

impl CaseFilter {
    /// Whether a case of a campaign fits.
    #[must_use]
    pub fn fits(&self, campaign: &Campaign, case: &Case) -> bool {
        let known = case.installation.and_then(|id| campaign.installation(id));
        let cohort = known.map(|known| &known.facts.cohort);
        self.code.as_ref().is_none_or(|code| *code == case.record.code)
            && self.owner.is_none_or(|owner| owner == case.owner)
            && self.cohort.as_ref().is_none_or(|wanted| cohort == Some(wanted))
    }
}

impl Control {
    /// Numbers of the open cases that fit a filter.
    #[must_use]
    pub fn cases(&self, filter: &CaseFilter) -> Vec<u64> {
        self.campaign
            .cases
            .iter()
            .filter(|(_, case)| case.is_open() && filter.fits(&self.campaign, case))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Does one act on many cases; each is done or refused by itself.
    pub fn act(
        &mut self,
        now: SimInstant,
        operator: &Operator,
        cases: &[u64],
        act: &CaseAct,
    ) -> Vec<(u64, Result<(), ActError>)> {
        let done = cases
            .iter()
            .map(|case| (*case, self.act_on(now, operator, *case, act)))
            .collect();
        if let Err(error) = self.settle(now) {
            return cases
                .first()
                .map(|case| (*case, Err(error.into())))
                .into_iter()
                .collect();
        }
        done
    }

    fn act_on(&mut self, now: SimInstant, operator: &Operator, number: u64, act: &CaseAct) -> Result<(), ActError> {
        let case = self.campaign.cases.get(&number).filter(|case| case.is_open());
        let case = case.ok_or_else(|| ActError::Unknown(format!("case {number}")))?;
        let id = case.installation;
        match (act, id) {
            (CaseAct::Hold(reason), Some(id)) => self.hold(now, id, reason)?,
            (CaseAct::Release | CaseAct::Retry, Some(id)) => self.release(now, operator, id)?,
            (CaseAct::RollBack, Some(id)) => self.roll_back_by(now, id)?,
            (CaseAct::Hold(_) | CaseAct::Release | CaseAct::Retry | CaseAct::RollBack, None) => {
                return Err(ActError::Unknown(format!("installation of case {number}")));
            }
            (CaseAct::Assign(_) | CaseAct::Claim | CaseAct::Note(_) | CaseAct::Resolve(_), _) => {}
        }
        let event = Event::CaseActed {
            case: number,
            by: operator.name.clone(),
            act: act.clone(),
        };
        Ok(self.write(now, Actor::Mcc, id, None, event)?)
    }

    fn state_of(&self, id: InstallationId) -> Result<State, ActError> {
        let known = self.campaign.installation(id);
        known
            .map(|known| known.state)
            .ok_or_else(|| ActError::Unknown(format!("installation {id}")))
    }

    fn hold(&mut self, now: SimInstant, id: InstallationId, reason: &str) -> Result<(), ActError> {
        let state = self.state_of(id)?;
        if !state.is_before_frozen() {
            let problem = "only what is not frozen yet can be held; roll it back, or let it go on";
            return Err(ActError::State { id, state, problem });
        }
        Ok(self.write(
            now,
            Actor::Mcc,
            Some(id),
            None,
            Event::Held {
                reason: reason.to_owned(),
            },
        )?)
    }

    fn release(&mut self, now: SimInstant, operator: &Operator, id: InstallationId) -> Result<(), ActError> {
        let by = operator.name.clone();
        match self.state_of(id)? {
            state @ State::ManualTriage => {
                let problem = "it needs a decision";
                Err(ActError::State { id, state, problem })
            }
            State::RolledBack => {
                let event = Event::Decided {
                    by,
                    text: "another attempt".into(),
                };
                Ok(self.write(now, Actor::Mcc, Some(id), Some(State::Eligible), event)?)
            }
            state if state.is_terminal() => {
                let problem = "it is over";
                Err(ActError::State { id, state, problem })
            }
            _ => Ok(self.write(now, Actor::Mcc, Some(id), None, Event::Released { by })?),
        }
    }

    fn roll_back_by(&mut self, now: SimInstant, id: InstallationId) -> Result<(), ActError> {
        let state = self.state_of(id)?;
        let rotated = self
            .campaign
            .installation(id)
            .is_some_and(|known| known.may_be_rotated());
        if rotated || state.is_forward_only() {
            let problem = "a device was rotated, or may have been: there is no way but forward";
            return Err(ActError::State { id, state, problem });
        }
        if !state.is_frozen() && state != State::RetryWait {
            let problem = "there is nothing to roll back";
            return Err(ActError::State { id, state, problem });
        }
        let finding = self.by_rule(Stage::Any, "rolled-back", "an operator rolled it back");
        Ok(self.roll_back(now, id, &finding, Actor::Mcc)?)
    }

    /// Decides about an installation in triage. Where it was after the point of no return, it can only go back there.
    ///
    /// # Errors
    /// [`ActError`]; nothing is then changed.
    pub fn decide(
        &mut self,
        now: SimInstant,
        operator: &Operator,
        id: InstallationId,
        to: State,
        text: &str,
    ) -> Result<(), ActError> {
        let state = self.state_of(id)?;
        let triage = self.campaign.installation(id).and_then(|known| known.triage);
        let Some(triage) = triage.filter(|_| state == State::ManualTriage) else {
            let problem = "it is not in triage";
            return Err(ActError::State { id, state, problem });
        };
        if triage.quarantined && operator.role != Owner::Mcc {
            return Err(ActError::McC { id });
        }
        let forward = triage.from.is_forward_only() || triage.from == State::Confirmed;
        let allowed = if forward {
            to == triage.from
        } else {
            matches!(
                to,
                State::Cancelled | State::Discovered | State::Eligible | State::RetryWait
            )
        };
        if !allowed {
            let problem = if forward {
                "it was past the point of no return: it can only go back to where it was"
            } else {
                "the decision can be Discovered, Eligible, RetryWait or Cancelled, or an exclusion"
            };
            return Err(ActError::State { id, state, problem });
        }
        let event = Event::Decided {
            by: operator.name.clone(),
            text: text.to_owned(),
        };
        self.write(now, Actor::Mcc, Some(id), Some(to), event)?;
        Ok(self.settle(now)?)
    }

    /// Excludes an installation that has not been rotated.
    ///
    /// # Errors
    /// [`ActError`]; nothing is then changed.
    pub fn exclude_by(
        &mut self,
        now: SimInstant,
        operator: &Operator,
        id: InstallationId,
        category: &str,
        evidence: &str,
    ) -> Result<(), ActError> {
        let state = self.state_of(id)?;
        let known = self.settings.exclusions.iter().find(|known| known.code == category);
        let problem = match known {
            None => Some("there is no such category"),
            Some(known) if known.gas_only => Some("it is about gas alone, and is decided during an attempt"),
            Some(known) if known.needs_statement && evidence.trim().is_empty() => {
                Some("it needs the supplier's statement as evidence")
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            return Err(ActError::Category {
                category: category.to_owned(),
                problem,
            });
        }
        if State::transition(state, State::Excluded).is_none() {
            let problem = "it cannot be excluded here; roll it back or decide about it first";
            return Err(ActError::State { id, state, problem });
        }
        self.exclude(now, id, category, evidence, &operator.name)?;
        self.close_cases(now, id, "excluded")?;
        Ok(self.settle(now)?)
    }
}
