//! What the WAN does to text messages and connections, seen from both sides.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use domain::{Seed, SimDuration, SimInstant};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};
use tokio_util::sync::CancellationToken;
use wan::{Bearer, Spread, Traffic, Wan};
use world::{LinkEnd, World};

struct Lab {
    world: World,
    s1sp: LinkEnd,
    smso: LinkEnd,
    fleet: LinkEnd,
}

/// Runs `work` with a network between two head-ends and the hubs; gives what went through.
fn with_network<F: Future<Output = ()>>(seed: u64, bearer: Bearer, work: impl FnOnce(Lab) -> F) -> Traffic {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant(0), Seed::root(seed));
        let (s1sp, wan_s1sp) = world.link("s1sp", "wan");
        let (smso, wan_smso) = world.link("smso", "wan");
        let (fleet, wan_fleet) = world.link("fleet", "wan");
        let head_ends = vec![("s1sp".to_owned(), wan_s1sp), ("smso".to_owned(), wan_smso)];
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Wan::new(world.clone(), head_ends, wan_fleet, bearer).run(shutdown.clone()));
        work(Lab {
            world,
            s1sp,
            smso,
            fleet,
        })
        .await;
        shutdown.cancel();
        running.await.unwrap()
    })
}

async fn send(end: &LinkEnd, kind: Kind, message: &impl Message) {
    end.send(
        Envelope {
            trace_id: "t".into(),
            ..Envelope::default()
        },
        kind,
        &message.encode_to_vec(),
    )
    .await
    .unwrap();
}

fn open(hub: u64, head_end: &str, session: u64) -> WanOpen {
    WanOpen {
        hub,
        head_end: head_end.into(),
        session,
    }
}

fn data(hub: u64, session: u64, payload: &[u8]) -> WanData {
    WanData {
        hub,
        head_end: "s1sp".into(),
        session,
        payload: payload.to_vec().into(),
    }
}

/// The next message but confirmations.
async fn next(end: &mut LinkEnd) -> Envelope {
    loop {
        let envelope = end.recv().await.unwrap();
        if envelope.kind() != Kind::Accepted {
            return envelope;
        }
    }
}

#[test]
fn pieces_arrive_in_order_and_whole_however_bad_the_air() {
    let bearer = Bearer {
        loss_ppm: 200_000,
        repeats_max: 50,
        latency: Spread::from_millis(0, 900),
        ..Bearer::default()
    };
    let traffic = with_network(3, bearer, async |mut lab: Lab| {
        send(&lab.fleet, Kind::WanOpen, &open(1, "s1sp", 7)).await;
        for n in 0..200u8 {
            send(&lab.fleet, Kind::WanData, &data(1, 7, &[n])).await;
        }
        assert_eq!(next(&mut lab.s1sp).await.kind(), Kind::WanOpen);
        for n in 0..200u8 {
            let envelope = next(&mut lab.s1sp).await;
            assert_eq!(WanData::decode(envelope.body).unwrap().payload, [n].as_slice());
        }
        assert!(lab.world.clock.now() > SimInstant(1000), "repetitions take time");
    });
    assert_eq!((traffic.octets_up, traffic.resets, traffic.sessions), (200, 0, 1));
}

#[test]
fn a_bearer_that_gives_up_closes_both_sides() {
    let bearer = Bearer {
        loss_ppm: 1_000_000,
        ..Bearer::default()
    };
    let traffic = with_network(1, bearer, async |mut lab: Lab| {
        send(&lab.fleet, Kind::WanOpen, &open(1, "s1sp", 1)).await;
        assert_eq!(next(&mut lab.s1sp).await.kind(), Kind::WanOpen);
        send(&lab.s1sp, Kind::WanData, &data(1, 1, b"x")).await;
        for end in [&mut lab.s1sp, &mut lab.fleet] {
            let envelope = next(end).await;
            assert_eq!(envelope.kind(), Kind::WanClose);
            assert_eq!(WanClose::decode(envelope.body).unwrap().reason, "bearer lost");
        }
        send(&lab.fleet, Kind::WanData, &data(1, 1, b"x")).await;
        let reply = next(&mut lab.fleet).await;
        assert_eq!(WanClose::decode(reply.body).unwrap().reason, "no such connection");
    });
    assert_eq!(traffic.resets, 1);
}

#[test]
fn a_head_end_reaches_only_its_own_connections() {
    let traffic = with_network(1, Bearer::ideal(), async |mut lab: Lab| {
        send(&lab.fleet, Kind::WanOpen, &open(1, "s1sp", 1)).await;
        next(&mut lab.s1sp).await;
        send(&lab.smso, Kind::WanData, &data(1, 1, b"x")).await;
        assert_eq!(next(&mut lab.smso).await.kind(), Kind::WanClose);
        send(
            &lab.smso,
            Kind::WanClose,
            &WanClose {
                hub: 1,
                session: 1,
                ..WanClose::default()
            },
        )
        .await;
        send(&lab.smso, Kind::WanOpen, &open(2, "s1sp", 1)).await;
        send(&lab.s1sp, Kind::WanData, &data(1, 1, b"y")).await;
        let envelope = next(&mut lab.fleet).await;
        assert_eq!(WanData::decode(envelope.body).unwrap().payload, b"y".as_slice());
        send(&lab.fleet, Kind::WanOpen, &open(3, "nobody", 1)).await;
        let envelope = next(&mut lab.fleet).await;
        assert_eq!(WanClose::decode(envelope.body).unwrap().reason, "no such head-end");
        send(&lab.fleet, Kind::Accepted, &WanClose::default()).await;
        lab.world.clock.sleep(SimDuration::from_millis(1)).await;
    });
    assert_eq!(traffic.refused, 2);
}

#[test]
fn text_messages_are_late_lost_and_doubled_as_the_bearer_says() {
    let sms = |payload: usize| WanSms {
        hub: 1,
        head_end: "s1sp".into(),
        payload: vec![0; payload].into(),
    };
    let doubled = Bearer {
        sms_loss_ppm: 0,
        sms_duplication_ppm: 1_000_000,
        ..Bearer::default()
    };
    let traffic = with_network(1, doubled, async |mut lab: Lab| {
        send(&lab.s1sp, Kind::WanSms, &sms(141)).await;
        send(&lab.s1sp, Kind::WanSms, &sms(140)).await;
        assert_eq!(next(&mut lab.fleet).await.body, next(&mut lab.fleet).await.body);
        send(&lab.fleet, Kind::WanSms, &sms(3)).await;
        assert_eq!(next(&mut lab.s1sp).await.kind(), Kind::WanSms);
    });
    assert_eq!((traffic.sms, traffic.refused), (2, 1));
    let lossy = Bearer {
        sms_loss_ppm: 500_000,
        sms_duplication_ppm: 0,
        ..Bearer::default()
    };
    let traffic = with_network(1, lossy, async |lab: Lab| {
        for _ in 0..1000 {
            send(&lab.s1sp, Kind::WanSms, &sms(1)).await;
            lab.world.clock.sleep(SimDuration::from_millis(1)).await;
        }
    });
    assert!((400..600).contains(&traffic.sms_lost), "{traffic:?}");
    assert!(traffic.cut_off > 0, "{traffic:?}");
}

#[test]
fn a_text_message_is_confirmed_at_once() {
    let bearer = Bearer {
        sms_loss_ppm: 1_000_000,
        ..Bearer::default()
    };
    with_network(1, bearer, async |mut lab: Lab| {
        let sms = WanSms {
            hub: 1,
            head_end: "s1sp".into(),
            payload: "x".into(),
        };
        let envelope = Envelope {
            trace_id: "t".into(),
            ..Envelope::default()
        };
        let id = lab
            .s1sp
            .send(envelope, Kind::WanSms, &sms.encode_to_vec())
            .await
            .unwrap();
        let confirmation = lab.s1sp.recv().await.unwrap();
        assert_eq!((confirmation.kind(), confirmation.in_reply_to), (Kind::Accepted, id));
        assert_eq!(
            (confirmation.trace_id.as_str(), lab.world.clock.now()),
            ("t", SimInstant(0))
        );
    });
}

#[test]
fn a_narrow_line_takes_its_time_and_closes_come_last() {
    let bearer = Bearer {
        rate: Some(1000),
        ..Bearer::ideal()
    };
    with_network(1, bearer, async |mut lab: Lab| {
        send(&lab.fleet, Kind::WanOpen, &open(1, "s1sp", 1)).await;
        send(&lab.fleet, Kind::WanData, &data(1, 1, &[0; 2000])).await;
        send(&lab.fleet, Kind::WanData, &data(1, 1, &[0; 500])).await;
        send(
            &lab.fleet,
            Kind::WanClose,
            &WanClose {
                hub: 1,
                session: 1,
                ..WanClose::default()
            },
        )
        .await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push((next(&mut lab.s1sp).await.kind(), lab.world.clock.now().0));
        }
        let expected = [
            (Kind::WanOpen, 0),
            (Kind::WanData, 2000),
            (Kind::WanData, 2500),
            (Kind::WanClose, 2500),
        ];
        assert_eq!(seen, expected);
    });
}

#[test]
fn the_same_seed_gives_the_same_times_and_other_hubs_change_nothing() {
    let arrival = |seed, others: u64| {
        let mut at = None;
        let found = &mut at;
        with_network(seed, Bearer::default(), async move |mut lab: Lab| {
            for hub in (1..=1 + others).rev() {
                send(
                    &lab.s1sp,
                    Kind::WanSms,
                    &WanSms {
                        hub,
                        head_end: "s1sp".into(),
                        payload: "x".into(),
                    },
                )
                .await;
            }
            while found.is_none() {
                let sms = WanSms::decode(next(&mut lab.fleet).await.body).unwrap();
                *found = (sms.hub == 1).then(|| lab.world.clock.now());
            }
        });
        at
    };
    assert_eq!(arrival(1, 0), arrival(1, 0));
    assert_eq!(arrival(1, 0), arrival(1, 9));
    assert_ne!(arrival(1, 0), arrival(2, 0));
}

#[test]
fn the_network_ends_when_a_side_is_gone() {
    with_network(1, Bearer::ideal(), async |lab: Lab| {
        let Lab { world, fleet, .. } = lab;
        drop(fleet);
        world.clock.sleep(SimDuration::from_secs(1)).await;
    });
}
