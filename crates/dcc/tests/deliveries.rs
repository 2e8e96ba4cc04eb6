//! Deliveries asked for: everything since an instant once more, and fetched instead of posted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use domain::{RequestId, SimDuration, SimInstant};
use users::orders;

const MINUTE: SimDuration = SimDuration::from_mins(1);

async fn answered(bench: &Bench, running: &mut Running, counter: u64) {
    let xml = bench.signed(counter, &orders::read_supply_status(ESME));
    running.supplier.post(SEND, xml).await;
    let id = RequestId {
        originator: SUPPLIER,
        target: ESME,
        counter,
    };
    running.respond(id, "E20", Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_comes_once_more_when_asked_for() {
    let bench = Bench::new();
    let mut running = bench.start();
    answered(&bench, &mut running, 1).await;
    let first = running.supplier.take_all(MINUTE).await;
    let since = bench.world.clock.now();
    answered(&bench, &mut running, 2).await;
    let second = running.supplier.take_all(MINUTE).await;
    assert_eq!(running.handle.deliver_since(SUPPLIER, since).await.unwrap(), 1);
    running.crash().await;
    let mut running = bench.start();
    assert_eq!(running.supplier.take_all(MINUTE).await, second);
    assert_eq!(running.handle.deliver_since(SUPPLIER, SimInstant(0)).await.unwrap(), 2);
    assert_eq!(running.supplier.take_all(MINUTE).await, [first, second].concat());
}

/// A refusal that is refused again is the same dead letter: after it was asked for once more, and over a restart meanwhile.
#[tokio::test(start_paused = true)]
async fn what_is_refused_once_more_is_one_dead_letter() {
    for bench in [Bench::new(), Bench::without_snapshots()] {
        let mut running = bench.start();
        answered(&bench, &mut running, 1).await;
        let refused = running.supplier.delivery(MINUTE).await.unwrap();
        running.supplier.answer(&refused, 400).await;
        for restarts in [false, true] {
            assert!(running.supplier.delivery(MINUTE).await.is_none());
            assert_eq!(running.handle.deliver_since(SUPPLIER, SimInstant(0)).await.unwrap(), 1);
            if restarts {
                running.crash().await;
                running = bench.start();
            }
            assert_eq!(running.handle.dead_letters().await.unwrap(), [], "on its way again");
            let again = running.supplier.delivery(MINUTE).await.unwrap();
            assert_eq!(again.1, refused.1);
            running.supplier.answer(&again, 400).await;
            assert!(running.supplier.delivery(MINUTE).await.is_none());
            let letters = running.handle.dead_letters().await.unwrap();
            assert_eq!(letters.len(), 1, "restarts {restarts}: {letters:?}");
        }
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_does_not_listen_fetches() {
    let bench = Bench::new();
    let mut running = bench.start();
    answered(&bench, &mut running, 1).await;
    bench.world.clock.sleep(SimDuration::from_secs(2)).await;
    let waiting = running.handle.fetch(SUPPLIER, 10).await.unwrap();
    let [one] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!(bench.read(&one.xml).code, "E20");
    assert_eq!(
        running
            .handle
            .fetched(SUPPLIER, vec![one.delivery_id, 99])
            .await
            .unwrap(),
        1
    );
    running.crash().await;
    let running = bench.start();
    assert!(running.handle.fetch(SUPPLIER, 10).await.unwrap().is_empty());
    assert_eq!(running.handle.in_hand().await.unwrap().deliveries, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_fetching_user_is_sent_waits_for_it_across_a_restart() {
    let mut bench = Bench::new();
    bench.directory = directory_with(|user| user.fetches = true);
    let mut running = bench.start();
    answered(&bench, &mut running, 1).await;
    assert!(running.supplier.take_all(MINUTE).await.is_empty(), "nothing is posted");
    running.crash().await;
    let mut running = bench.start();
    assert!(running.supplier.take_all(MINUTE).await.is_empty());
    let waiting = running.handle.fetch(SUPPLIER, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(running.handle.dead_letters().await.unwrap().is_empty());
    let id = waiting[0].delivery_id;
    assert_eq!(running.handle.fetched(SUPPLIER, vec![id]).await.unwrap(), 1);
    assert!(running.handle.fetch(SUPPLIER, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_user_has_a_limit_and_nothing_is_lost_beyond_it() {
    let mut bench = Bench::new();
    bench.directory = directory_with(|user| user.fetches = true);
    bench.limits.deliveries_waiting_max = 2;
    let mut running = bench.start();
    for counter in 1..=3 {
        answered(&bench, &mut running, counter).await;
    }
    bench.world.clock.sleep(MINUTE).await;
    running.crash().await;
    let running = bench.start();
    bench.world.clock.sleep(MINUTE).await;
    let numbers = |fetched: Vec<dcc::Fetched>| fetched.iter().map(|one| one.delivery_id).collect::<Vec<_>>();
    let fetch = || running.handle.fetch(SUPPLIER, 10);
    assert_eq!(numbers(fetch().await.unwrap()), [2, 3]);
    assert_eq!(running.handle.fetched(SUPPLIER, vec![2, 3]).await.unwrap(), 2);
    let letters = running.handle.dead_letters().await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.delivery_id).collect::<Vec<_>>(), [1]);
    running.handle.deliver_again(SUPPLIER, 1).await.unwrap();
    assert_eq!(numbers(fetch().await.unwrap()), [1]);
}
