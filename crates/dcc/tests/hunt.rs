//! Many seeds of loss, repetition, delay and death: whatever happens, every acknowledged request has exactly one outcome
//! and leaves the outbox exactly once. A failing seed is printed; give it to `survives` in a test of its own to look closer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use std::collections::BTreeMap;
use std::sync::Arc;

use bench::*;
use dcc::audit::{self, Event};
use dcc::{Dcc, DccHolds, Directory, Inventory, Options, Products, WanMatrix};
use domain::{RequestId, SimDuration, SimInstant, seed};
use proto::{DuisDelivery, DuisRequest, Envelope, Kind, Message};
use tokio_util::sync::CancellationToken;
use users::orders;
use world::{LinkName, MemoryStore, Store, StoreError, Verdict};

const SECOND: SimDuration = SimDuration::from_secs(1);

/// Plays the S1SP for a while: takes every request once, answers it some seconds later, and again until it is confirmed.
async fn play_s1sp(
    running: &mut Running,
    bench: &Bench,
    pending: &mut BTreeMap<RequestId, SimInstant>,
    until: SimInstant,
) {
    while bench.world.clock.now() < until {
        if let Some(envelope) = running.at_s1sp(SECOND).await {
            let id: RequestId = envelope.trace_id.parse().unwrap();
            match envelope.kind() {
                Kind::CountersignedRequest => {
                    running.accept(&envelope).await;
                    let due = bench.world.clock.now() + SimDuration::from_secs(3 + id.counter);
                    pending.entry(id).or_insert(due);
                }
                Kind::Accepted => {
                    pending.remove(&id);
                }
                kind => panic!("{kind:?}"),
            }
        }
        let now = bench.world.clock.now();
        let due: Vec<_> = pending
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            running.respond(id, "E21", Vec::new()).await;
            pending.insert(id, now + SimDuration::from_secs(15));
        }
        while let Some(delivery) = running.supplier.delivery(SimDuration::from_millis(1)).await {
            DuisDelivery::decode(delivery.0.body.clone()).unwrap();
            running.supplier.answer(&delivery, 204).await;
        }
    }
}

async fn survives(number: u64) {
    // Journals in their long form, with a snapshot after every commit, and with one now and then.
    let mut bench = Bench::new();
    bench.limits.snapshot_after_octets = [1, u64::MAX, 30_000][usize::try_from(number % 3).unwrap()];
    bench.limits.delivery_attempts = 50;
    bench.limits.s1sp_attempts = 50;
    let mut drawn = 0;
    bench
        .world
        .faults
        .install(move |_: &LinkName, _: &Envelope, _: SimInstant| {
            drawn += 1;
            let draw = seed::mix(number, drawn);
            match draw % 8 {
                0 => Verdict::Drop,
                1 => Verdict::Duplicate,
                2 => Verdict::Delay(SimDuration::from_millis(draw / 8 % 20_000)),
                _ => Verdict::Pass,
            }
        });
    let mut pending = BTreeMap::new();
    let mut running = bench.start();
    for counter in 1..=8 {
        let xml = bench.signed(counter, &orders::read_supply_status(ESME));
        let body = DuisRequest {
            path: SEND.into(),
            xml: xml.into(),
        }
        .encode_to_vec();
        running.supplier.send(Kind::DuisRequest, &body).await;
        let pause = SimDuration::from_secs(seed::mix(number, 1000 + counter) % 30);
        play_s1sp(&mut running, &bench, &mut pending, bench.world.clock.now() + pause).await;
        if seed::mix(number, 2000 + counter).is_multiple_of(3) {
            running.crash().await;
            running = bench.start();
        }
    }
    bench.world.faults.clear();
    play_s1sp(
        &mut running,
        &bench,
        &mut pending,
        bench.world.clock.now() + SimDuration::from_hours(2),
    )
    .await;
    let in_hand = running.handle.in_hand().await.unwrap();
    assert_eq!((in_hand.open_requests, in_hand.deliveries), (0, 0), "seed {number}");
    let mut counts: BTreeMap<RequestId, [usize; 3]> = BTreeMap::new();
    for record in audit::all(&bench.store).unwrap() {
        let place = match record.event {
            Event::Acknowledged => 0,
            Event::Outcome => 1,
            Event::Delivered | Event::DeadLettered => 2,
            _ => continue,
        };
        counts.entry(record.request.unwrap()).or_default()[place] += 1;
    }
    assert!(!counts.is_empty(), "seed {number}: nothing was acknowledged");
    for (id, count) in counts {
        assert_eq!(
            count,
            [1, 1, 1],
            "seed {number}, request {id}: acknowledged, ended, left the outbox"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_acknowledged_request_has_one_outcome_whatever_the_links_do() {
    for number in 1..=25 {
        survives(number).await;
    }
}

/// A journal that takes so many commits and then no more.
struct Failing {
    store: MemoryStore,
    commits: usize,
}

impl Store for Failing {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.store.append(record)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.commits = self.commits.checked_sub(1).ok_or_else(|| StoreError {
            journal: "dcc".into(),
            problem: "no space left".into(),
        })?;
        self.store.commit()
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.store.replay(each)
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_that_the_journal_does_not_have() {
    let bench = Bench::new();
    let (to_user, mut user) = bench.world.link("dcc", "user");
    let (to_s1sp, mut s1sp) = bench.world.link("dcc", "s1sp");
    let (directory, inventory): (Directory, Inventory) = (directory(), inventory());
    let options = Options {
        eui: DCC,
        key: bench.parties.key(DCC).clone(),
        certificates: bench.parties.book.clone(),
        trust: dcc::Trust::default(),
        directory: Arc::new(directory),
        inventory,
        credentials: dcc::Records::default(),
        products: Products::default(),
        wan_matrix: WanMatrix::builtin(),
        holders: Arc::new(DccHolds),
        thresholds: dcc::Thresholds::default(),
        store: Box::new(Failing {
            store: bench.store.clone(),
            commits: 0,
        }),
        limits: bench.limits,
    };
    let (dcc, handle) = Dcc::new(bench.world.clone(), vec![(SUPPLIER, to_user)], to_s1sp, options).unwrap();
    let xml = bench.signed(1, &orders::read_supply_status(ESME));
    let body = DuisRequest {
        path: SEND.into(),
        xml: xml.into(),
    }
    .encode_to_vec();
    user.send(Envelope::default(), Kind::DuisRequest, &body).await.unwrap();
    let ended = dcc.run(CancellationToken::new()).await;
    assert_eq!(ended.unwrap_err().to_string(), "journal dcc: no space left");
    assert!(
        user.recv().await.is_none() && s1sp.recv().await.is_none(),
        "the links closed with nothing on them"
    );
    assert!(handle.in_hand().await.is_err());
    assert!(audit::all(&bench.store.reopened()).unwrap().is_empty());
}
