//! Faults in the service requests of the commissioning party.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Eui64, SimInstant, Srv};
use proto::InstallationRecord;
use world::Clock;

use super::table::FaultRule;
use super::way::{Way, way};
use crate::InstallationId;
use crate::machine::model::Installation;
use crate::machine::{Done, Found};
use crate::party::Requests;
use crate::settings::Planned;

/// Finds what rules say instead of making a request; makes all others.
pub struct Spoilt {
    inner: Arc<dyn Requests>,
    clock: Clock,
    rules: Vec<(FaultRule, Srv, Vec<InstallationId>)>,
    acted: Mutex<BTreeMap<(usize, InstallationId), u32>>,
}

impl Spoilt {
    /// Requests under these rules, each with the installations it is about. Rules about other things are left out.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Requests>,
        clock: Clock,
        rules: impl IntoIterator<Item = (FaultRule, Vec<InstallationId>)>,
    ) -> Self {
        let about = |(rule, ids): (FaultRule, Vec<InstallationId>)| match way(&rule.row.id) {
            Some(Way::Request(request)) => Some((rule, request.parse().ok()?, ids)),
            _ => None,
        };
        Self {
            inner,
            clock,
            rules: rules.into_iter().filter_map(about).collect(),
            acted: Mutex::default(),
        }
    }

    /// What a rule finds instead of making this request.
    fn found(&self, request: Srv, device: Eui64, known: &Installation, now: SimInstant) -> Option<Found> {
        let mut acted = self.acted.lock().unwrap_or_else(PoisonError::into_inner);
        let (rule, ..) = self.rules.iter().find(|(rule, about, ids)| {
            let done = acted.get(&(rule.number, known.id())).copied().unwrap_or(0);
            *about == request
                && ids.contains(&known.id())
                && rule.holds_at(now)
                && rule.attempts.is_none_or(|first| known.attempt.number <= first)
                && rule.times.is_none_or(|times| done < times)
        })?;
        *acted.entry((rule.number, known.id())).or_default() += 1;
        let mut found = Found::new(&rule.condition).saying(format!("fault {} of the campaign", rule.number));
        found.device = Some(device);
        Some(found)
    }
}

impl Requests for Spoilt {
    fn request<'a>(
        &'a self,
        planned: Planned,
        known: &'a Installation,
        record: Option<&'a InstallationRecord>,
    ) -> Pin<Box<dyn Future<Output = Result<Done, Vec<Found>>> + Send + 'a>> {
        match self.found(planned.request, planned.device, known, self.clock.now()) {
            Some(found) => Box::pin(async move { Err(vec![found]) }),
            None => self.inner.request(planned, known, record),
        }
    }
}
