//! Late results that come in parts.

use std::collections::BTreeMap;

use domain::operation::octets;

use crate::{FaceError, Notification};

/// Most octets of one late result put together from parts.
const RESULT_MAX: usize = 8 * 1024 * 1024;
/// Most late results being put together at once.
const RESULTS_MAX: usize = 16;

/// Results on their way, by ticket.
#[derive(Debug, Default)]
pub(crate) struct LateResults(BTreeMap<u32, Vec<u8>>);

impl LateResults {
    /// Takes a part, numbered from 0; gives the result with the last.
    pub(crate) fn part(
        &mut self,
        ticket: u32,
        number: u32,
        last: bool,
        part: &[u8],
    ) -> Result<Option<Notification>, FaceError> {
        if number == 0 {
            self.0.insert(ticket, Vec::new());
        }
        let limit = || FaceError::Malformed("a late result beyond the limits".into());
        if self.0.len() > RESULTS_MAX {
            return Err(limit());
        }
        // Parts of a result whose beginning was lost are dropped.
        let Some(whole) = self.0.get_mut(&ticket) else {
            return Ok(None);
        };
        if whole.len() + part.len() > RESULT_MAX {
            return Err(limit());
        }
        whole.extend_from_slice(part);
        if !last {
            return Ok(None);
        }
        let whole = self.0.remove(&ticket).unwrap_or_default();
        let outcome = octets::outcome(&whole).map_err(|error| FaceError::Malformed(error.to_string()))?;
        Ok(Some(Notification::LateResult { ticket, outcome }))
    }
}
