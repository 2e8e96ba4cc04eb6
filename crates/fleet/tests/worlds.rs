//! A fleet spread over worlds: the same digest every time, and every installation in exactly one of them.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use dialects::wake_up;
use dmc::Catalogue;
use domain::keys::{Purpose, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{Eui64, Seed, SimDuration, SimInstant};
use fleet::{Estate, Fleet, Share};
use meter::Relations;
use proto::{Envelope, Kind, Message, WanOpen, WanSms};
use tokio_util::sync::CancellationToken;
use world::worlds::{self, Options, Run, WorldContext};

/// Wakes every hub of its share, waits some hours, and gives the hubs that connected.
async fn morning(context: WorldContext) -> BTreeSet<Eui64> {
    let relations = Relations {
        smso: RelationSecret::new([1; 32]),
        s1sp: RelationSecret::new([2; 32]),
        dco: RelationSecret::new([3; 32]),
    };
    let world = context.world.clone();
    let share = Share {
        world: world.number,
        worlds: context.worlds,
    };
    let (mut wan, end) = world.link("wan", "fleet");
    let estate = Estate::builtin("sit").unwrap().with_counts(4);
    let catalogue = Catalogue::builtin().unwrap();
    let s1sp = relations.s1sp.clone();
    let critical = CriticalOperations::default();
    let (fleet, handle) = Fleet::new(&world, end, &estate, share, &catalogue, relations, critical).unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(fleet.run(shutdown.clone()));
    for site in handle.sites() {
        let hub = site.hub();
        let payload = wake_up::encode(&s1sp.device_key(hub, 1, Purpose::WakeUp), hub, 1);
        let sms = WanSms {
            hub: hub.0,
            head_end: "s1sp".into(),
            payload: payload.into(),
        };
        wan.send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec())
            .await
            .unwrap();
    }
    let mut connected = BTreeSet::new();
    let until = world.clock.now() + SimDuration::from_hours(3);
    while let Ok(Some(envelope)) = world.clock.timeout(until.since(world.clock.now()), wan.recv()).await {
        if envelope.kind() == Kind::WanOpen {
            connected.insert(Eui64(WanOpen::decode(envelope.body).unwrap().hub));
        }
    }
    shutdown.cancel();
    running.await.unwrap();
    connected
}

fn run(count: u32, seed: u64) -> Run<BTreeSet<Eui64>> {
    let start = SimInstant::from_utc(2019, 3, 30, 22, 0, 0).unwrap();
    worlds::run(count, &Options::new(start, Seed::root(seed)), morning).unwrap()
}

#[test]
fn one_world_and_two_are_each_the_same_again() {
    for count in [1, 2] {
        let (first, second) = (run(count, 1), run(count, 1));
        assert_eq!(first.digest, second.digest);
        let octets = |run: &Run<_>| {
            run.records
                .iter()
                .map(|record| record.octets.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(octets(&first), octets(&second), "not only the digest: every octet");
        let all: BTreeSet<_> = first.results.iter().flatten().copied().collect();
        assert_eq!(all.len(), first.results.iter().map(BTreeSet::len).sum::<usize>());
        // Those not yet enrolled answer to other keys.
        assert!(all.len() >= 20, "{all:?}");
    }
}
