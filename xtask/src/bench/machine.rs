//! What the machine spent: time of its clock and of its processors, and memory.

use std::fs;
use std::time::{Duration, Instant};

/// The machine's clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
fn now() -> Instant {
    Instant::now()
}

/// A moment of the machine's clock.
#[derive(Clone, Copy)]
pub(crate) struct Moment(Instant);

/// Now.
pub(crate) fn moment() -> Moment {
    Moment(now())
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0 + later)
    }
}

impl Moment {
    /// Time since then; nothing when it is still to come.
    pub(crate) fn elapsed(self) -> Duration {
        now().saturating_duration_since(self.0)
    }
}

/// Waits until then, on the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark sends at its own pace, not at that of a lab"
)]
pub(crate) async fn until(moment: Moment) {
    tokio::time::sleep_until(moment.0.into()).await;
}

/// Processor time of the calling thread, in user and kernel mode. Zero where the kernel does not say (not Linux).
fn thread_time() -> Duration {
    // The kernel brings its count up to date when a thread offers its turn.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split_ascii_whitespace()
        .next()
        .and_then(|count| count.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// A stretch of work of one thread: processor time where it is known, else time of the clock. Other programs on the
/// machine then disturb the numbers less.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    processor: Duration,
    clock: Instant,
}

impl Stretch {
    pub(crate) fn begin() -> Self {
        Self {
            processor: thread_time(),
            clock: now(),
        }
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(self) -> f64 {
        match thread_time().saturating_sub(self.processor) {
            Duration::ZERO => self.clock_seconds(),
            spent => spent.as_secs_f64(),
        }
    }

    /// Seconds of the machine's clock since the beginning.
    pub(crate) fn clock_seconds(self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }
}

/// Calls `work` for about `budget` and gives microseconds of processor time per call, the best of five rounds.
pub(crate) fn micros_per_call(budget: Duration, mut work: impl FnMut()) -> f64 {
    let start = Stretch::begin();
    let mut calls = 0u32;
    while start.clock.elapsed() < budget / 10 {
        work();
        calls += 1;
    }
    let per_round = calls.max(1) * 2;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Stretch::begin();
        for _ in 0..per_round {
            work();
        }
        best = best.min(start.seconds() * 1e6 / f64::from(per_round));
    }
    best
}

/// Octets of memory this process holds; zero where the kernel does not say.
pub(crate) fn resident_octets() -> u64 {
    /// The only page size of the targets this runs on.
    const PAGE: u64 = 4096;
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|count| count.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}

/// Processor time of this process with all its threads, also those that ended, in seconds; zero where the kernel does not say.
pub(crate) fn process_seconds() -> f64 {
    /// The unit of the kernel's counts on the targets this runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold anything, so counting begins behind it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    ticks.filter_map(|count| count.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// The most octets of memory this process ever held; zero where the kernel does not say.
pub(crate) fn peak_octets() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
