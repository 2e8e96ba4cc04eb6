//! The one clock: virtual, scaled or real, over tokio's time.

#![expect(clippy::disallowed_methods, reason = "this module is the implementation of Clock")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::{SimDuration, SimInstant};
use tokio::time::Instant;

/// Tells and waits for instants of the lab's calendar. Cheap to clone.
///
/// On a runtime with paused time it is the virtual clock: waiting costs nothing. Otherwise calendar time runs `speed`
/// times as fast as the machine's. `latency_scale` shortens only what [`Clock::latency`] waits for.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    start: SimInstant,
    speed: f64,
    latency_scale: f64,
}

/// A wait that took longer than it was allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not within the time allowed")]
pub struct Elapsed;

impl Clock {
    /// A clock that shows `start` now. Must be called inside a tokio runtime with time enabled.
    ///
    /// `speed` and `latency_scale` below one thousandth are taken as one thousandth.
    #[must_use]
    pub fn new(start: SimInstant, speed: f64, latency_scale: f64) -> Self {
        Self(Arc::new(Inner {
            origin: Instant::now(),
            start,
            speed: speed.max(0.001),
            latency_scale: latency_scale.max(0.001),
        }))
    }

    /// The calendar's instant now.
    #[must_use]
    pub fn now(&self) -> SimInstant {
        let real = self.0.origin.elapsed().as_secs_f64() * 1000.0;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a run fit")]
        let ms = (real * self.0.speed).round() as i64;
        SimInstant(self.0.start.0.saturating_add(ms))
    }

    fn instant_of(&self, at: SimInstant) -> Instant {
        let ms = u64::try_from(at.0.saturating_sub(self.0.start.0)).unwrap_or(0);
        if self.0.speed == 1.0 {
            self.0.origin + Duration::from_millis(ms)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a wait of 2^52 ms is beyond any run")]
            let scaled = ms as f64 / 1000.0 / self.0.speed;
            self.0.origin + Duration::from_secs_f64(scaled)
        }
    }

    /// Waits until the calendar shows `at`; at once if it already does. Safe to cancel.
    pub async fn sleep_until(&self, at: SimInstant) {
        tokio::time::sleep_until(self.instant_of(at)).await;
    }

    /// Waits for a span of the calendar. Safe to cancel.
    pub async fn sleep(&self, span: SimDuration) {
        self.sleep_until(self.now() + span).await;
    }

    /// Waits for a latency: `span` times the latency scale. Safe to cancel.
    pub async fn latency(&self, span: SimDuration) {
        self.sleep(self.scaled_latency(span)).await;
    }

    /// `span` times the latency scale.
    #[must_use]
    pub fn scaled_latency(&self, span: SimDuration) -> SimDuration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "spans are small and not negative"
        )]
        let scaled = (span.0 as f64 * self.0.latency_scale).round() as u64;
        SimDuration(scaled)
    }

    /// Runs `work`, but not beyond `span` of the calendar.
    ///
    /// # Errors
    /// [`Elapsed`] when time ran out; `work` is then dropped.
    pub async fn timeout<F: Future>(&self, span: SimDuration, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout_at(self.instant_of(self.now() + span), work)
            .await
            .map_err(|_| Elapsed)
    }
}
