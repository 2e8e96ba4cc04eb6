//! How many text messages each hub has cost this month: an operator pays for those beyond an allowance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dmc::WanProfile;
use domain::time::london;
use domain::{Eui64, SimInstant};

/// What one hub's text messages came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TextMessages {
    /// Sent since the month began (UK civil time).
    pub this_month: u32,
    /// Sent since the head-end started.
    pub in_all: u32,
    /// What those beyond the monthly allowance have cost since the head-end started, in thousandths of a penny.
    pub cost_mp: u64,
}

/// Text messages per hub, and the month they are counted in.
#[derive(Clone, Default)]
pub(crate) struct Texts(Arc<Mutex<BTreeMap<Eui64, (u32, TextMessages)>>>);

impl Texts {
    /// One message went out to `hub` at `now`.
    pub(crate) fn note(&self, hub: Eui64, now: SimInstant, wan: &WanProfile) {
        let civil = london(now).civil;
        let month = u32::try_from(i32::from(civil.year()) * 12 + i32::from(civil.month())).unwrap_or(0);
        let mut all = self.lock();
        let (counted_in, texts) = all.entry(hub).or_default();
        if *counted_in != month {
            *counted_in = month;
            texts.this_month = 0;
        }
        texts.this_month += 1;
        texts.in_all += 1;
        texts.cost_mp += wan.text_cost_mp(texts.this_month);
    }

    pub(crate) fn of(&self, hub: Eui64) -> TextMessages {
        self.lock().get(&hub).map(|(_, texts)| *texts).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Eui64, (u32, TextMessages)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SimDuration;

    #[test]
    fn messages_beyond_the_monthly_allowance_cost() {
        let wan = WanProfile {
            sms_allowance: Some(2),
            sms_excess_mp: 2_500,
            ..WanProfile::default()
        };
        let texts = Texts::default();
        let start = SimInstant::from_utc(2019, 3, 30, 12, 0, 0).expect("a day");
        for _ in 0..4 {
            texts.note(Eui64(1), start, &wan);
        }
        let march = texts.of(Eui64(1));
        assert_eq!((march.this_month, march.cost_mp), (4, 5_000));
        texts.note(Eui64(1), start + SimDuration::from_days(3), &wan);
        let april = texts.of(Eui64(1));
        assert_eq!((april.this_month, april.in_all, april.cost_mp), (1, 5, 5_000));
        texts.note(Eui64(2), start, &WanProfile::default());
        assert_eq!(texts.of(Eui64(2)).cost_mp, 0);
    }
}
