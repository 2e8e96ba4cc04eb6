//! Event and security logs: bounded, and nothing at all while they are empty.

use std::collections::VecDeque;

use domain::{LogKind, LogRow, SimInstant};

/// The two logs of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Logs(pub(crate) Option<Box<Entries>>);

/// Time by the device's clock, and code; oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) event: VecDeque<(SimInstant, u16)>,
    pub(crate) security: VecDeque<(SimInstant, u16)>,
}

impl Logs {
    /// Appends, overwriting the oldest beyond `limit`.
    pub(crate) fn push(&mut self, security: bool, limit: u16, at: SimInstant, code: u16) {
        if limit == 0 {
            return;
        }
        let entries = self.0.get_or_insert_default();
        let log = if security {
            &mut entries.security
        } else {
            &mut entries.event
        };
        while log.len() >= usize::from(limit) {
            log.pop_front();
        }
        if log.len() == log.capacity() {
            // Most devices log a few entries in their life: grow by little.
            log.reserve_exact((log.len() / 2).clamp(2, 32));
        }
        log.push_back((at, code));
    }

    /// The rows of the event or security log in `from <= at <= to`, in the order they were written.
    ///
    /// That is not always the order of their times: a clock may be set back between two entries.
    pub(crate) fn read(&self, log: LogKind, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let Some(entries) = &self.0 else { return Vec::new() };
        let log = if log == LogKind::Security {
            &entries.security
        } else {
            &entries.event
        };
        log.iter()
            .filter(|(at, _)| (from..=to).contains(at))
            .map(|(at, code)| LogRow {
                at: *at,
                values: Vec::new(),
                code: Some(*code),
            })
            .collect()
    }
}
