//! A campaign while it runs, for people: where metering points stand, the exception queue, and what is done about it.

use std::sync::{Arc, Mutex, PoisonError};

use domain::Mpxn;
use lab::parts::Journals;
use migration::machine::operator::Operator;

use super::exceptions::{act_in, queue};
use super::shared::Shared;
use super::status::{Status, StatusError};
use super::{Acted, CONTROL, CampaignError, Deed, Exception, Progress, Which};

/// Where a campaign is seen while it runs. Cheap to clone; clones see the same. Before the campaign has begun there is
/// nothing to be seen; after its end it is seen as it ended.
///
/// What is done here is done between two turns of the control centre, and written before it is answered; what follows from
/// it begins at the next turn, at most a minute of the lab's calendar later. A run in which people act is no longer a
/// function of its seed alone.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<Option<Running>>>);

#[derive(Clone)]
struct Running {
    shared: Arc<Shared>,
    journals: Journals,
}

impl Live {
    pub(super) fn begin(&self, shared: &Arc<Shared>, journals: &Journals) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running {
            shared: Arc::clone(shared),
            journals: journals.clone(),
        });
    }

    fn running(&self) -> Option<Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the campaign is; none before it has begun, and when its journal refused.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.running()?.shared.progress()
    }

    /// The status of a metering point, with its history from the journal.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn status(&self, mpxn: Mpxn) -> Result<Status, StatusError> {
        let running = self.running().ok_or(StatusError::NotRunning)?;
        let status = running.shared.look(|campaign, _| Status::of(campaign, mpxn));
        let journal = running
            .journals
            .look(CONTROL)
            .map_err(migration::machine::journal::JournalError::from)?;
        status.ok_or(StatusError::NotRunning)??.with_history(&*journal)
    }

    /// The cases, open ones or all, by number.
    ///
    /// # Errors
    /// [`StatusError::NotRunning`].
    pub fn exceptions(&self, which: &Which, all: bool) -> Result<Vec<Exception>, StatusError> {
        let running = self.running().ok_or(StatusError::NotRunning)?;
        let queue = running.shared.look(|campaign, now| queue(campaign, now, which, all));
        queue.ok_or(StatusError::NotRunning)
    }

    /// Does something about cases; each is done or refused by itself.
    ///
    /// # Errors
    /// [`CampaignError::Over`] when the campaign takes no more turns, [`CampaignError::Journal`] when the journal refuses.
    pub fn act(&self, operator: &Operator, which: &Which, deed: &Deed) -> Result<Vec<Acted>, CampaignError> {
        let running = self.running().ok_or(CampaignError::Over)?;
        let acted = running
            .shared
            .act(|control, now| act_in(control, now, operator, which, deed));
        acted.ok_or(CampaignError::Over)?
    }
}
