//! Requests that anomaly detection holds: told to their user, kept over a restart, released or deleted by people.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::{Thresholds, Volume};
use domain::{RequestId, SimDuration};
use users::orders;

const MINUTE: SimDuration = SimDuration::from_mins(1);

fn bench_with_threshold() -> Bench {
    let volume = Volume {
        user: Some(SUPPLIER),
        srv: None,
        count: 1,
        per: SimDuration::from_hours(24),
    };
    Bench {
        thresholds: Thresholds {
            volumes: vec![volume],
            limits: Vec::new(),
        },
        ..Bench::new()
    }
}

async fn told(bench: &Bench, running: &mut Running) -> String {
    let delivery = running.supplier.delivery(MINUTE).await.expect("a delivery");
    running.supplier.answer(&delivery, 204).await;
    users::read(&delivery.1.xml, DCC, &*bench.parties.book).unwrap();
    String::from_utf8_lossy(&delivery.1.xml).into_owned()
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_a_threshold_waits_until_it_is_released_or_deleted() {
    let bench = bench_with_threshold();
    let order = orders::read_supply_status(ESME);
    let id = |counter| RequestId {
        originator: SUPPLIER,
        target: ESME,
        counter,
    };
    let mut running = bench.start();
    for counter in 1..=3 {
        let reply = running.supplier.post(SEND, bench.signed(counter, &order)).await;
        assert_eq!(reply.http_status, 200);
    }
    assert!(running.at_s1sp(MINUTE).await.is_some(), "the first goes on");
    let first = told(&bench, &mut running).await;
    assert!(
        first.contains("<sr:DCCAlertCode>N46<") && first.contains("ADUserThresholdBreach"),
        "{first}"
    );
    assert!(told(&bench, &mut running).await.contains(&id(3).to_string()));
    running.stop().await;

    // Both are still there after a restart, however long it took.
    bench.world.clock.sleep(SimDuration::from_days(3)).await;
    let mut running = bench.start();
    let waiting = running.handle.quarantine().await.unwrap();
    let requests: Vec<_> = waiting.iter().map(|one| (one.reference, one.request)).collect();
    assert_eq!(requests, [(1, id(2)), (2, id(3))]);
    while running.at_s1sp(MINUTE).await.is_some() {}

    running.handle.end_quarantine(1, true).await.unwrap();
    let (.., countersigned) = running.countersigned().await;
    let now = bench.world.clock.now();
    assert!(
        now.since(domain::SimInstant(countersigned.countersigned_at_ms)) < MINUTE,
        "countersigned anew"
    );
    running.handle.end_quarantine(2, false).await.unwrap();
    let mut ended = told(&bench, &mut running).await;
    // The first request ends too, as nobody answers for the S1SP; and alerts taken just before the restart may come again.
    while !ended.contains("<sr:ResponseCode>E51<") {
        ended = told(&bench, &mut running).await;
    }
    assert!(ended.contains(&id(3).to_string()), "{ended}");
    assert!(running.handle.end_quarantine(2, true).await.is_err());
    assert_eq!(running.handle.quarantine().await.unwrap(), []);
    running.stop().await;
}
