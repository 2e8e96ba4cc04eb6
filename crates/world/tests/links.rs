//! Links, fault rules, calls and clocks at the edge of the crate.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use domain::{Seed, SimDuration, SimInstant};
use proto::{Envelope, Kind, Message, WanClose, WanData};
use world::{CallError, FaultHook, LinkEnd, LinkName, Verdict, World};

fn run<F: Future>(work: impl FnOnce(World) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { work(World::virtual_at(SimInstant(0), Seed::root(1))).await })
}

fn traced(trace: &str) -> Envelope {
    Envelope {
        trace_id: trace.into(),
        ..Envelope::default()
    }
}

async fn data(end: &LinkEnd, trace: &str, hub: u64) {
    let body = WanData {
        hub,
        session: 1,
        ..WanData::default()
    }
    .encode_to_vec();
    end.send(traced(trace), Kind::WanData, &body).await.unwrap();
}

/// Delays what carries this trace id.
fn delay(world: &World, trace: &'static str, ms: u64) {
    world
        .faults
        .install(move |_: &LinkName, envelope: &Envelope, _: SimInstant| {
            if envelope.trace_id == trace {
                Verdict::Delay(SimDuration::from_millis(ms))
            } else {
                Verdict::Pass
            }
        });
}

async fn arrivals(world: &World, end: &mut LinkEnd, count: usize) -> Vec<(String, i64)> {
    let mut seen = Vec::new();
    for _ in 0..count {
        let envelope = end.recv().await.unwrap();
        seen.push((envelope.trace_id, world.clock.now().0));
    }
    seen
}

fn as_seen(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(trace, at)| ((*trace).to_owned(), *at)).collect()
}

#[test]
fn a_delayed_message_is_overtaken_and_holds_nobody_up() {
    run(|world| async move {
        let (dcc, mut s1sp) = world.link("dcc", "s1sp");
        delay(&world, "slow", 500);
        delay(&world, "slower", 700);
        for trace in ["slower", "slow", "quick"] {
            dcc.send(traced(trace), Kind::Accepted, b"").await.unwrap();
        }
        assert_eq!(world.clock.now(), SimInstant(0), "the sender did not wait");
        drop(dcc);
        let seen = arrivals(&world, &mut s1sp, 3).await;
        assert_eq!(seen, as_seen(&[("quick", 0), ("slow", 500), ("slower", 700)]));
        assert!(s1sp.recv().await.is_none());
    });
}

#[test]
fn a_connection_keeps_its_order_and_other_hubs_go_on() {
    run(|world| async move {
        let (wan, mut fleet) = world.link("wan", "fleet");
        delay(&world, "slow", 500);
        data(&wan, "slow", 1).await;
        data(&wan, "behind", 1).await;
        data(&wan, "other hub", 2).await;
        let seen = arrivals(&world, &mut fleet, 3).await;
        assert_eq!(seen, as_seen(&[("other hub", 0), ("slow", 500), ("behind", 500)]));
        data(&wan, "afterwards", 1).await;
        assert_eq!(arrivals(&world, &mut fleet, 1).await, as_seen(&[("afterwards", 500)]));
    });
}

#[test]
fn a_connection_that_loses_a_piece_breaks_off() {
    run(|world| async move {
        let (wan, mut fleet) = world.link("wan", "fleet");
        world
            .faults
            .install(|_: &LinkName, envelope: &Envelope, _: SimInstant| {
                if envelope.trace_id == "lost" {
                    Verdict::Drop
                } else {
                    Verdict::Pass
                }
            });
        for (trace, hub) in [("first", 1), ("lost", 1), ("after", 1), ("other hub", 2)] {
            data(&wan, trace, hub).await;
        }
        let next = WanData {
            hub: 1,
            session: 2,
            ..WanData::default()
        }
        .encode_to_vec();
        wan.send(traced("next connection"), Kind::WanData, &next).await.unwrap();
        let end = WanClose {
            hub: 1,
            session: 1,
            ..WanClose::default()
        }
        .encode_to_vec();
        wan.send(traced("end"), Kind::WanClose, &end).await.unwrap();
        let seen = arrivals(&world, &mut fleet, 4).await;
        assert_eq!(
            seen,
            as_seen(&[("first", 0), ("other hub", 0), ("next connection", 0), ("end", 0)])
        );
        assert_eq!(world.tape.records()[2].verdict, Verdict::Drop);
    });
}

#[test]
fn loss_duplication_and_cuts_act_where_they_should() {
    run(|world| async move {
        let (user, mut dcc) = world.link("user:90-B3-D5-1F-30-01-00-00", "dcc");
        let (s1sp, mut wan) = world.link("s1sp", "wan");
        world.faults.cut("user", "dcc");
        user.send(traced("lost"), Kind::DuisRequest, b"").await.unwrap();
        s1sp.send(traced("other link"), Kind::WanSms, b"").await.unwrap();
        assert_eq!(wan.recv().await.unwrap().trace_id, "other link");
        world.faults.clear();
        world.faults.install(|link: &LinkName, _: &Envelope, _: SimInstant| {
            if link.joins("user", "dcc") {
                Verdict::Duplicate
            } else {
                Verdict::Pass
            }
        });
        let id = user.send(traced("twice"), Kind::DuisRequest, b"x").await.unwrap();
        let (first, second) = (dcc.recv().await.unwrap(), dcc.recv().await.unwrap());
        assert_eq!((first.id, &first), (id, &second));
        let verdicts: Vec<_> = world.tape.records().iter().map(|record| record.verdict).collect();
        assert_eq!(verdicts, [Verdict::Drop, Verdict::Pass, Verdict::Duplicate]);
        drop(dcc);
        assert!(user.send(traced("closed"), Kind::DuisRequest, b"").await.is_err());
    });
}

/// Delivers other octets in place of every body.
struct Another(&'static [u8]);

impl FaultHook for Another {
    fn judge(&mut self, _: &LinkName, _: &Envelope, _: SimInstant) -> Verdict {
        Verdict::Replace
    }
    fn replacement(&mut self) -> bytes::Bytes {
        bytes::Bytes::from_static(self.0)
    }
}

#[test]
fn a_replaced_body_comes_in_its_own_envelope_and_both_are_on_the_tape() {
    run(|world| async move {
        let (left, mut right) = world.link("left", "right");
        world.faults.install(Another(b"other"));
        let id = left.send(traced("t"), Kind::WanSms, b"own").await.unwrap();
        let got = right.recv().await.unwrap();
        assert_eq!(
            (got.id, got.trace_id.as_str(), got.body.as_ref()),
            (id, "t", &b"other"[..])
        );
        let records = world.tape.records();
        let taped: Vec<_> = records
            .iter()
            .map(|record| (record.verdict, Envelope::decode(record.octets.clone()).unwrap().body))
            .collect();
        assert_eq!(
            taped,
            [
                (Verdict::Replace, bytes::Bytes::from_static(b"own")),
                (Verdict::Pass, bytes::Bytes::from_static(b"other"))
            ]
        );
    });
}

#[test]
fn calls_are_answered_in_any_order_and_time_out() {
    run(|world| async move {
        let (s1sp, dco) = world.link("s1sp", "dco");
        let (caller, mut router) = world::call::split(s1sp);
        let (dco_sender, mut dco_receiver) = dco.split();
        let call = |trace, allowed| {
            caller.call(
                traced(trace),
                Kind::ApprovalRequest,
                b"",
                SimDuration::from_secs(allowed),
            )
        };
        let dco = async {
            let requests = [dco_receiver.recv().await.unwrap(), dco_receiver.recv().await.unwrap()];
            dco_receiver.recv().await.unwrap();
            for request in requests.iter().rev() {
                dco_sender.reply(request, Kind::ApprovalReply, b"").await.unwrap();
            }
            // The same reply again, which nobody waits for any more.
            dco_sender.reply(&requests[0], Kind::ApprovalReply, b"").await.unwrap();
        };
        let work = async { tokio::join!(call("a", 5), call("b", 5), call("never", 7), dco) };
        let passed_on = async {
            let first = router.recv().await.unwrap();
            (first, router.recv().await)
        };
        let ((a, b, never, ()), repeated) = tokio::select! {
            biased;
            _ = passed_on => unreachable!("the link stays open"),
            done = async { (work.await, caller.outstanding()) } => done,
        };
        assert_eq!(
            (a.unwrap().trace_id, b.unwrap().trace_id),
            ("a".to_owned(), "b".to_owned())
        );
        assert!(matches!(never, Err(CallError::NoReply { .. })), "{never:?}");
        assert_eq!((world.clock.now(), repeated), (SimInstant(7000), 0));
        drop(router);
        assert!(matches!(call("closed", 1).await, Err(CallError::Closed(_))));
    });
}

#[test]
fn a_call_ends_when_the_other_end_goes() {
    run(|world| async move {
        let (s1sp, dco) = world.link("s1sp", "dco");
        let (caller, mut router) = world::call::split(s1sp);
        let call = caller.call(traced("a"), Kind::ApprovalRequest, b"", SimDuration::from_secs(60));
        let (outcome, end) = tokio::join!(call, async {
            drop(dco);
            router.recv().await
        });
        assert!(matches!(outcome, Err(CallError::Closed(_))) && end.is_none());
        assert_eq!(world.clock.now(), SimInstant(0));
    });
}
