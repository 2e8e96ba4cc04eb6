//! The virtual and the scaled clock.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use domain::{SimDuration, SimInstant};
use world::{Clock, Elapsed};

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn a_year_on_the_virtual_clock_costs_nothing_and_is_exact() {
    paused().block_on(async {
        let start = SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap();
        let clock = Clock::new(start, 1.0, 1.0);
        let year = SimDuration::from_days(365);
        clock.sleep(year).await;
        assert_eq!(clock.now(), start + year);
        clock.sleep_until(start).await;
        assert_eq!(clock.now(), start + year, "the past is now");
        let never = clock
            .timeout(SimDuration::from_secs(3), std::future::pending::<()>())
            .await;
        assert_eq!(
            (never, clock.now()),
            (Err(Elapsed), start + year + SimDuration::from_secs(3))
        );
        assert_eq!(clock.timeout(SimDuration::ZERO, async { 7 }).await, Ok(7));
    });
}

#[test]
fn latencies_scale_and_the_calendar_does_not() {
    paused().block_on(async {
        let clock = Clock::new(SimInstant(0), 1.0, 0.01);
        clock.latency(SimDuration::from_secs(8)).await;
        assert_eq!(clock.now(), SimInstant(80));
        clock.sleep(SimDuration::from_secs(8)).await;
        assert_eq!(clock.now(), SimInstant(8080));
    });
}

#[test]
fn the_scaled_clock_runs_as_many_times_as_fast() {
    // Paused time stands in for the machine's, so that the test measures arithmetic and not the machine.
    paused().block_on(async {
        let machine = Clock::new(SimInstant(0), 1.0, 1.0);
        let scaled = Clock::new(SimInstant(0), 60.0, 1.0);
        scaled.sleep(SimDuration::from_hours(1)).await;
        assert_eq!(machine.now(), SimInstant(60_000));
        assert_eq!(scaled.now(), SimInstant(3_600_000));
        machine.sleep(SimDuration::from_millis(1)).await;
        assert_eq!(scaled.now(), SimInstant(3_600_060));
    });
}
