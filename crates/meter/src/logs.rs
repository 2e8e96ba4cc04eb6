//! Event, security and power event logs: bounded, and nothing at all while they are empty. Firmware images lie beside them,
//! since most devices never see one.

use std::collections::VecDeque;

use domain::{LogKind, LogRow, SimInstant};

use crate::image::Images;

/// The logs of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Logs(pub(crate) Option<Box<Entries>>);

/// Time by the device's clock, and code; oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) event: VecDeque<(SimInstant, u16)>,
    pub(crate) security: VecDeque<(SimInstant, u16)>,
    pub(crate) power: VecDeque<(SimInstant, u16)>,
    pub(crate) images: Option<Box<Images>>,
}

impl Entries {
    fn list(&self, log: LogKind) -> Option<&VecDeque<(SimInstant, u16)>> {
        match log {
            LogKind::Event => Some(&self.event),
            LogKind::PowerEvent => Some(&self.power),
            LogKind::Security => Some(&self.security),
            _ => None,
        }
    }
}

impl Logs {
    /// Appends, overwriting the oldest beyond `limit`.
    pub(crate) fn push(&mut self, log: LogKind, limit: u16, at: SimInstant, code: u16) {
        if limit == 0 {
            return;
        }
        let entries = self.0.get_or_insert_default();
        let log = match log {
            LogKind::PowerEvent => &mut entries.power,
            LogKind::Security => &mut entries.security,
            _ => &mut entries.event,
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

    /// The rows of a log of events in `from <= at <= to`, in the order they were written.
    ///
    /// That is not always the order of their times: a clock may be set back between two entries.
    pub(crate) fn read(&self, log: LogKind, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let entries = self.0.as_deref().and_then(|entries| entries.list(log));
        entries
            .into_iter()
            .flatten()
            .filter(|(at, _)| (from..=to).contains(at))
            .map(|(at, code)| LogRow {
                at: *at,
                values: Vec::new(),
                code: Some(*code),
            })
            .collect()
    }

    /// What there is of firmware images.
    pub(crate) fn images(&self) -> Option<&Images> {
        self.0.as_ref()?.images.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn images_mut(&mut self) -> &mut Images {
        self.0.get_or_insert_default().images.get_or_insert_default()
    }

    /// Empties a log.
    pub(crate) fn clear(&mut self, log: LogKind) {
        if let Some(entries) = &mut self.0 {
            match log {
                LogKind::Event => entries.event.clear(),
                LogKind::PowerEvent => entries.power.clear(),
                LogKind::Security => entries.security.clear(),
                _ => {}
            }
        }
    }
}
