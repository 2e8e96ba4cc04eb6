//! Several worlds: the same bytes every time, sums at barriers, and no deadlock.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Mutex;

use domain::{Eui64, Seed, SimDuration, SimInstant};
use proto::{Envelope, Kind, Message, WanSms};
use world::tape;
use world::worlds::{self, Options, Run, WorldContext, WorldsError};

fn options() -> Options {
    Options::new(SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap(), Seed::root(7))
}

/// Each hub sends a message at its own pace for ten minutes; every hub lives in one world.
async fn chatter(context: WorldContext) -> u32 {
    let world = context.world.clone();
    let (left, mut right) = world.link("s1sp", "wan");
    let mut hubs = Vec::new();
    for hub in (0..40)
        .map(Eui64)
        .filter(|hub| worlds::world_of(*hub, context.worlds) == world.number)
    {
        let (world, sender, exchange) = (world.clone(), left.sender(), context.exchange.clone());
        hubs.push(tokio::spawn(async move {
            for _ in 0..10 {
                world.clock.sleep(SimDuration::from_secs(7 + hub.0)).await;
                let sms = WanSms {
                    hub: hub.0,
                    ..WanSms::default()
                };
                sender
                    .send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec())
                    .await
                    .unwrap();
                exchange.add("sent", 1);
            }
        }));
    }
    drop(left);
    let mut seen = 0;
    while right.recv().await.is_some() {
        seen += 1;
    }
    for hub in hubs {
        hub.await.unwrap();
    }
    seen
}

fn run(count: u32, options: &Options) -> Run<u32> {
    worlds::run(count, options, chatter).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_digest_with_one_world_and_with_two() {
    for count in [1, 2, 3] {
        let first = run(count, &options());
        let second = run(count, &options());
        assert_eq!((first.digest, first.sums.get("sent")), (second.digest, Some(&400)));
        assert_eq!(first.results.iter().sum::<u32>(), 400);
        assert_eq!((first.results.len(), first.records.len()), (count as usize, 400));
        assert!(
            first.results.iter().all(|seen| *seen > 0),
            "the hash spreads hubs: {:?}",
            first.results
        );
        let order: Vec<_> = first.records.iter().map(|r| (r.at, r.world, r.sequence)).collect();
        assert!(order.is_sorted());
        assert_eq!(tape::digest(&first.records), first.digest);
    }
}

#[test]
fn short_tapes_have_the_digest_of_whole_ones() {
    for count in [1, 2, 3] {
        let short = run(
            count,
            &Options {
                keep: Some(3),
                ..options()
            },
        );
        assert_eq!(short.digest, run(count, &options()).digest);
        assert_eq!((short.records.len(), short.recorded), (3 * count as usize, 400));
    }
}

#[test]
fn sums_are_seen_by_all_after_the_next_barrier() {
    let run = worlds::run(3, &options(), async |context: WorldContext| {
        let exchange = &context.exchange;
        exchange.add("quota", i64::from(context.world.number) + 1);
        let before = exchange.sum("quota");
        exchange.exchanged().await;
        let after = exchange.sum("quota");
        exchange.add("late", 5);
        (before, after, context.world.clock.now().since(options().start))
    });
    let run = run.unwrap();
    let minute = SimDuration::from_mins(1);
    assert_eq!(run.results, [(1, 6, minute), (2, 6, minute), (3, 6, minute)]);
    assert_eq!(
        run.sums.get("late"),
        Some(&15),
        "what is added after the last barrier counts too"
    );
}

#[test]
fn a_world_that_is_over_waits_for_the_others() {
    let run = worlds::run(2, &options(), async |context: WorldContext| {
        if context.world.number == 1 {
            context.world.clock.sleep(SimDuration::from_days(2)).await;
            context.exchange.add("days", 2);
        }
        context.world.clock.now().since(options().start)
    });
    let run = run.unwrap();
    assert_eq!(run.results, [SimDuration::ZERO, SimDuration::from_days(2)]);
    assert_eq!(run.sums.get("days"), Some(&2));
}

#[test]
fn a_panic_in_one_world_ends_all_with_its_words() {
    let run = worlds::run(3, &options(), async |context: WorldContext| {
        context.world.clock.sleep(SimDuration::from_mins(5)).await;
        assert!(context.world.number != 1, "balance went below zero");
        std::future::pending::<()>().await;
    });
    assert_eq!(
        run.unwrap_err(),
        WorldsError::Panicked {
            world: 1,
            message: "balance went below zero".into()
        }
    );
}

#[test]
fn a_run_that_does_not_end_is_ended() {
    let until = options().start + SimDuration::from_hours(1);
    let run = worlds::run(
        2,
        &Options {
            until: Some(until),
            ..options()
        },
        async |context: WorldContext| {
            if context.world.number == 0 {
                std::future::pending::<()>().await;
            }
        },
    );
    assert_eq!(run.unwrap_err(), WorldsError::NotOver { world: 0, at: until });
    assert_eq!(
        worlds::run(0, &options(), async |_| ()).unwrap_err(),
        WorldsError::Count(0)
    );
    assert_eq!(
        worlds::run(65, &options(), async |_| ()).unwrap_err(),
        WorldsError::Count(65)
    );
}

#[test]
fn what_is_common_changes_between_barriers_only_and_alike_for_all() {
    for count in [1, 2, 3] {
        // Each world brings its share of numbers; between two barriers they are put in order and given back to all.
        let (brought, given) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let between = |at: SimInstant| {
            let mut came = std::mem::take(&mut *brought.lock().unwrap());
            came.sort_unstable();
            *given.lock().unwrap() = came;
            assert_eq!(at.since(options().start).as_millis() % 60_000, 0);
        };
        let run = worlds::run_between(count, &options(), &between, async |context: WorldContext| {
            let mut seen = Vec::new();
            for round in 0..3 {
                let own = (0..12).filter(|number| number % context.worlds == context.world.number);
                brought.lock().unwrap().extend(own.map(|number| number + round * 100));
                context.exchange.exchanged().await;
                seen.push(given.lock().unwrap().clone());
            }
            seen
        });
        let rounds: Vec<Vec<u32>> = (0..3)
            .map(|round| (0..12).map(|number| number + round * 100).collect())
            .collect();
        assert_eq!(run.unwrap().results, vec![rounds; count as usize]);
    }
}
