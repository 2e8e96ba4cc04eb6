//! The desk of the DCC for its users: deliveries, dead letters, counters, quarantine.

use domain::{Eui64, SimInstant};
use proto::v1::{DeadLetter, FetchedDelivery, QuarantinedEntry};

use super::{LabHandle, ViewError, parse};

/// Deliveries fetched at once at most.
pub const FETCH_MAX: usize = 1000;

impl LabHandle {
    /// Forgets the RequestID counters of a user, for all its targets. The S1SP and the DCO keep their own memory: a
    /// RequestID used once more reaches no device twice.
    ///
    /// # Errors
    /// When it is no user of this lab, or the DCC does not run.
    pub async fn reset_counters(&self, user: &str) -> Result<(), ViewError> {
        let eui = self.user(user)?;
        Ok(self.dcc()?.reset_counters(eui).await?)
    }

    /// Deliveries that a listener refused or that were given up.
    ///
    /// # Errors
    /// When the DCC does not run.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ViewError> {
        let letters = self.dcc()?.dead_letters().await?;
        Ok(letters
            .into_iter()
            .map(|letter| DeadLetter {
                delivery_id: letter.delivery_id,
                user: letter.user.to_string(),
                request_id: letter.request.map(|id| id.to_string()).unwrap_or_default(),
                hint: letter.hint().unwrap_or_default().to_owned(),
                http_status: letter.status,
                attempts: letter.attempts,
                xml: letter.xml,
            })
            .collect())
    }

    /// The requests that anomaly detection holds, by number.
    ///
    /// # Errors
    /// When the DCC does not run.
    pub async fn quarantine(&self) -> Result<Vec<QuarantinedEntry>, ViewError> {
        let held = self.dcc()?.quarantine().await?;
        let entry = |one: dcc::Quarantined| QuarantinedEntry {
            reference: one.reference,
            request_id: one.request.to_string(),
            srv: one.srv.to_string(),
            since_ms: one.since.0,
            why: one.detail,
        };
        Ok(held.into_iter().map(entry).collect())
    }

    /// Lets a request in quarantine go on, or deletes it.
    ///
    /// # Errors
    /// When there is none of that number, or the DCC does not run.
    pub async fn end_quarantine(&self, reference: u64, release: bool) -> Result<(), ViewError> {
        Ok(self.dcc()?.end_quarantine(reference, release).await?)
    }

    /// Puts a dead letter back to be delivered, under its old number.
    ///
    /// # Errors
    /// When there is no such user or dead letter, or the DCC does not run.
    pub async fn deliver_again(&self, user: &str, delivery_id: u64) -> Result<(), ViewError> {
        let eui = self.user(user)?;
        Ok(self.dcc()?.deliver_again(eui, delivery_id).await?)
    }

    /// Delivers everything a user was sent since an instant (milliseconds of the calendar) once more, under its old
    /// numbers. Gives how many that are.
    ///
    /// # Errors
    /// When there is no such user or the DCC does not run.
    pub async fn deliver_since(&self, user: &str, since_ms: i64) -> Result<usize, ViewError> {
        let eui = self.user(user)?;
        Ok(self.dcc()?.deliver_since(eui, SimInstant(since_ms)).await?)
    }

    /// What waits for a user that fetches, oldest first, [`FETCH_MAX`] at most. It stays until [`LabHandle::fetched`].
    ///
    /// # Errors
    /// When there is no such user or the DCC does not run.
    pub async fn fetch(&self, user: &str, max: usize) -> Result<Vec<FetchedDelivery>, ViewError> {
        let eui = self.user(user)?;
        let waiting = self.dcc()?.fetch(eui, max.min(FETCH_MAX)).await?;
        let entry = |one: dcc::Fetched| FetchedDelivery {
            delivery_id: one.delivery_id,
            request_id: one.request.map(|id| id.to_string()).unwrap_or_default(),
            xml: one.xml,
        };
        Ok(waiting.into_iter().map(entry).collect())
    }

    /// A user has fetched these: they leave its outbox. Gives how many of them still waited.
    ///
    /// # Errors
    /// When there is no such user or the DCC does not run.
    pub async fn fetched(&self, user: &str, delivery_ids: Vec<u64>) -> Result<usize, ViewError> {
        let eui = self.user(user)?;
        Ok(self.dcc()?.fetched(eui, delivery_ids).await?)
    }

    pub(super) fn user(&self, user: &str) -> Result<Eui64, ViewError> {
        let eui = parse(user)?;
        if self.0.parts.pki.users.iter().any(|known| known.eui == eui) {
            return Ok(eui);
        }
        Err(ViewError::NotFound {
            what: "user",
            id: user.to_owned(),
        })
    }
}
