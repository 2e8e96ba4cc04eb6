//! The engine against one hub, on the virtual clock.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use dialects::Notification;
use domain::keys::Party;
use domain::operation::{CriticalOperations, OperationKind};
use domain::{
    Answer, Association, DataItem, DeviceKind, Eui64, Operation, Outcome, Refusal, Seed, SimDuration, SimInstant, Value,
};
use head_end::{DeviceAlert, Engine, Failure, FailureKind, Handle, Hop, Job, Options};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use world::{MemoryStore, World};

use house::{ESME, GPF, GSME, HUB, House, Shared};

struct Rig {
    world: World,
    handle: Handle,
    script: Shared,
    alerts: mpsc::Receiver<DeviceAlert>,
    stop: CancellationToken,
}

fn start() -> SimInstant {
    SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap()
}

fn options() -> Options {
    Options {
        critical: CriticalOperations::new([OperationKind::DisableSupply]),
        ..Options::default()
    }
}

/// An engine and its house, running.
fn rig(options: Options, store: &MemoryStore, script: Shared) -> Rig {
    let world = World::virtual_at(start(), Seed::root(1));
    let (wan, house) = world.link("s1sp", "wan");
    let (engine, handle, alerts) = Engine::new(
        world.clone(),
        "s1sp",
        wan,
        house::custody(Party::S1sp),
        house::directory(),
        options,
        Box::new(store.clone()),
    )
    .unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(engine.run(stop.clone()));
    tokio::spawn(House::new(&world, "s1sp", Party::S1sp, house, script.clone()).run());
    Rig {
        world,
        handle,
        script,
        alerts,
        stop,
    }
}

impl Rig {
    fn job(&self, slot: DeviceKind, operation: Operation, within: SimDuration) -> Job {
        let device = match slot {
            DeviceKind::Esme => ESME,
            DeviceKind::Gpf => GPF,
            DeviceKind::Gsme => GSME,
            _ => HUB,
        };
        let deadline = self.world.clock.now() + within;
        Job {
            trace_id: "test".into(),
            hub: HUB,
            device,
            slot,
            operation,
            approval: None,
            deadline,
        }
    }

    async fn execute(&self, slot: DeviceKind, operation: Operation) -> Result<Outcome, Failure> {
        self.handle
            .execute(self.job(slot, operation, SimDuration::from_hours(2)))
            .await
    }

    fn elapsed(&self) -> SimDuration {
        self.world.clock.now().since(start())
    }
}

/// Runs a test on the virtual clock.
fn virtually<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await });
}

const READ: Operation = Operation::Read(DataItem::ActiveImport);

#[test]
fn one_wake_up_serves_all_that_is_queued_and_the_session_is_released() {
    virtually(|| async {
        let rig = rig(options(), &MemoryStore::default(), Shared::default());
        let (first, second, third) = tokio::join!(
            rig.execute(DeviceKind::Esme, READ),
            rig.execute(DeviceKind::Chf, Operation::Read(DataItem::FirmwareVersion)),
            rig.execute(DeviceKind::Esme, Operation::DisableSupply),
        );
        assert!(matches!(first, Ok(Ok(Answer::Value(Value::Quantity(_))))), "{first:?}");
        assert!(matches!(second, Ok(Ok(Answer::Value(Value::Text(_))))), "{second:?}");
        assert_eq!(third, Ok(Ok(Answer::Done)));
        assert_eq!(rig.handle.firmware(HUB).as_deref(), Some("LAB-0001"));
        assert_eq!(rig.handle.firmware(ESME), None);
        rig.world.clock.sleep(SimDuration::from_mins(5)).await;
        let script = rig.script.lock();
        assert_eq!((script.texts, script.sessions), (1, 1));
        let associations: Vec<_> = script
            .executed
            .iter()
            .map(|(_, access, ..)| access.association)
            .collect();
        assert_eq!(
            associations,
            [Association::Management, Association::Management, Association::Critical]
        );
    });
}

#[test]
fn a_hub_that_sleeps_through_one_text_message_is_woken_by_the_next() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().lose_texts = 1;
        let rig = rig(options(), &MemoryStore::default(), script);
        assert!(rig.execute(DeviceKind::Esme, READ).await.is_ok());
        assert_eq!(rig.script.lock().texts, 2);
        assert_eq!(rig.script.lock().executed.len(), 1);
    });
}

#[test]
fn silence_is_blamed_on_the_hub_only_if_the_wan_is_alive() {
    for (confirm, kind, hop) in [
        (true, FailureKind::HubNotConnected, Hop::Hub),
        (false, FailureKind::WanUnusable, Hop::Wan),
    ] {
        virtually(|| async move {
            let script = Shared::default();
            script.lock().lose_texts = 99;
            script.lock().confirm_texts = confirm;
            let rig = rig(options(), &MemoryStore::default(), script);
            let failure = rig
                .execute(DeviceKind::Esme, Operation::DisableSupply)
                .await
                .unwrap_err();
            assert_eq!(
                (failure.kind, failure.hop(), failure.may_have_executed),
                (kind, hop, false),
                "{failure}"
            );
            assert_eq!(rig.script.lock().texts, 3);
            assert!(rig.elapsed() < SimDuration::from_mins(10), "{}", rig.elapsed());
        });
    }
}

#[test]
fn an_operation_that_may_have_reached_the_device_is_not_repeated() {
    for (operation, tries) in [(READ, 3), (Operation::DisableSupply, 1)] {
        virtually(|| async move {
            let script = Shared::default();
            script.lock().silent = true;
            let rig = rig(options(), &MemoryStore::default(), script);
            let failure = rig.execute(DeviceKind::Esme, operation).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.hop()),
                (FailureKind::NoResponse, Hop::Device),
                "{failure}"
            );
            assert!(failure.may_have_executed);
            assert_eq!(rig.script.lock().sessions, tries);
        });
    }
}

#[test]
fn a_late_gas_result_finds_its_job_and_others_go_on_meanwhile() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        let rig = rig(options(), &MemoryStore::default(), script);
        let gas = async {
            let outcome = rig.execute(DeviceKind::Gsme, Operation::DisableSupply).await;
            (outcome, rig.elapsed())
        };
        let mains = async {
            let outcome = rig.execute(DeviceKind::Esme, READ).await;
            (outcome, rig.elapsed())
        };
        let ((gas, gas_at), (mains, mains_at)) = tokio::join!(gas, mains);
        assert_eq!(gas, Ok(Ok(Answer::Done)));
        assert!(
            gas_at >= SimDuration::from_mins(35) && gas_at < SimDuration::from_mins(37),
            "{gas_at}"
        );
        assert!(
            mains.is_ok() && mains_at < SimDuration::from_mins(2),
            "{mains:?} {mains_at}"
        );
        assert_eq!(rig.script.lock().executed.len(), 2);
    });
}

#[test]
fn jobs_in_turn_are_held_together_and_their_results_come_in_one_wake() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        let rig = rig(options(), &MemoryStore::default(), script);
        let read = Operation::Read(DataItem::Clock);
        let jobs = [
            rig.job(DeviceKind::Gpf, READ, SimDuration::from_hours(2)),
            rig.job(DeviceKind::Gsme, Operation::DisableSupply, SimDuration::from_hours(2)),
            rig.job(DeviceKind::Gsme, read.clone(), SimDuration::from_hours(2)),
        ];
        let outcomes = rig.handle.execute_in_turn(jobs.to_vec()).await;
        assert!(matches!(outcomes[0], Ok(Ok(Answer::Value(_)))), "{outcomes:?}");
        assert_eq!(outcomes[1], Ok(Ok(Answer::Done)));
        assert!(matches!(outcomes[2], Ok(Ok(Answer::Value(_)))), "{outcomes:?}");
        let elapsed = rig.elapsed();
        assert!(
            elapsed >= SimDuration::from_mins(35) && elapsed < SimDuration::from_mins(37),
            "{elapsed}"
        );
        let script = rig.script.lock();
        let order: Vec<_> = script
            .executed
            .iter()
            .map(|(_, _, operation, _)| operation.clone())
            .collect();
        assert_eq!(order, [READ, Operation::DisableSupply, read]);
        assert_eq!(script.texts, 1);
    });
}

#[test]
fn what_comes_after_a_job_in_turn_that_fails_or_is_refused_is_not_tried() {
    let approval = |counter, follows| domain::Approval {
        request: domain::RequestId {
            originator: Eui64(9),
            target: ESME,
            counter: 1,
        },
        counter,
        expires_at: SimInstant(0),
        mac: [0; 16],
        follows,
    };
    for (silent, follows) in [(true, true), (false, true), (false, false)] {
        virtually(|| async move {
            let script = Shared::default();
            script.lock().silent = silent;
            script.lock().refuse = Some(Refusal::WrongState);
            let rig = rig(options(), &MemoryStore::default(), script);
            let job = |counter, follows| Job {
                approval: Some(approval(counter, follows)),
                ..rig.job(DeviceKind::Esme, Operation::DisableSupply, SimDuration::from_hours(1))
            };
            let jobs = vec![job(1, false), job(2, follows)];
            let outcomes = rig.handle.execute_in_turn(jobs).await;
            if silent {
                let failures: Vec<_> = outcomes.into_iter().map(Result::unwrap_err).collect();
                let said: Vec<_> = failures.iter().map(|f| (f.kind, f.may_have_executed)).collect();
                assert_eq!(
                    said,
                    [(FailureKind::NoResponse, true), (FailureKind::NoResponse, false)]
                );
                return;
            }
            let second = if follows {
                Refusal::NotTried
            } else {
                Refusal::WrongState
            };
            assert_eq!(outcomes, [Ok(Err(Refusal::WrongState)), Ok(Err(second))]);
            assert_eq!(rig.script.lock().executed.len(), if follows { 1 } else { 2 });
        });
    }
}

#[test]
fn a_gas_meter_that_never_wakes_ends_at_the_han() {
    virtually(|| async {
        let rig = rig(options(), &MemoryStore::default(), Shared::default());
        let failure = rig
            .execute(DeviceKind::Gsme, Operation::DisableSupply)
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, failure.hop()),
            (FailureKind::LateResultMissing, Hop::Han),
            "{failure}"
        );
        let elapsed = rig.elapsed();
        assert!(
            elapsed > SimDuration::from_mins(70) && elapsed < SimDuration::from_mins(72),
            "{elapsed}"
        );
    });
}

#[test]
fn a_deadline_ends_a_job_at_the_hop_where_it_stands() {
    virtually(|| async {
        let rig = rig(options(), &MemoryStore::default(), Shared::default());
        let job = rig.job(DeviceKind::Gsme, Operation::DisableSupply, SimDuration::from_mins(5));
        let failure = rig.handle.execute(job).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::LateResultMissing);
        assert_eq!(rig.elapsed(), SimDuration::from_mins(5));
        let job = rig.job(DeviceKind::Esme, READ, SimDuration::ZERO);
        assert_eq!(rig.handle.execute(job).await.unwrap_err().kind, FailureKind::Deadline);
    });
}

#[test]
fn a_full_queue_and_a_stranger_are_refused_at_once() {
    virtually(|| async {
        let rig = rig(
            Options {
                queue_per_hub: 1,
                ..options()
            },
            &MemoryStore::default(),
            Shared::default(),
        );
        let mut jobs = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let (handle, job) = (
                rig.handle.clone(),
                rig.job(DeviceKind::Esme, READ, SimDuration::from_hours(1)),
            );
            jobs.spawn(async move { handle.execute(job).await });
        }
        let results = jobs.join_all().await;
        let busy = results
            .iter()
            .filter(|r| r.as_ref().is_err_and(|f| f.kind == FailureKind::Busy))
            .count();
        let done = results.iter().filter(|r| r.is_ok()).count();
        assert!(busy >= 3 && busy + done == 5, "{results:?}");
        let elsewhere = Job {
            hub: Eui64(77),
            ..rig.job(DeviceKind::Esme, READ, SimDuration::from_hours(1))
        };
        assert_eq!(
            rig.handle.execute(elsewhere).await.unwrap_err().kind,
            FailureKind::Unknown
        );
        let other = Job {
            device: GPF,
            ..rig.job(DeviceKind::Esme, READ, SimDuration::from_hours(1))
        };
        assert_eq!(rig.handle.execute(other).await.unwrap_err().kind, FailureKind::Unknown);
    });
}

#[test]
fn a_refusal_is_an_outcome() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().refuse = Some(Refusal::WrongState);
        let rig = rig(options(), &MemoryStore::default(), script);
        assert_eq!(
            rig.execute(DeviceKind::Esme, Operation::DisableSupply).await,
            Ok(Err(Refusal::WrongState))
        );
    });
}

#[test]
fn counters_go_on_over_a_restart() {
    virtually(|| async {
        let (store, script) = (MemoryStore::default(), Shared::default());
        for _ in 0..2 {
            let rig = rig(options(), &store, script.clone());
            assert!(rig.execute(DeviceKind::Esme, READ).await.is_ok());
            rig.stop.cancel();
        }
        let wake_ups = script.lock().wake_ups.clone();
        assert!(wake_ups.len() == 2 && wake_ups[1] > wake_ups[0], "{wake_ups:?}");
    });
}

#[test]
fn what_a_device_reports_by_itself_is_passed_on() {
    virtually(|| async {
        let script = Shared::default();
        let at = start() + SimDuration::from_mins(10);
        let alert = Notification::Alert {
            slot: DeviceKind::Esme,
            code: 0x8F1D,
            description: "lost".into(),
            at,
        };
        script.lock().reports.push((at, alert));
        let mut rig = rig(options(), &MemoryStore::default(), script);
        let heard = rig.alerts.recv().await.unwrap();
        assert_eq!((heard.hub, heard.device, heard.code, heard.at), (HUB, ESME, 0x8F1D, at));
        assert_eq!(rig.script.lock().texts, 0);
    });
}

#[test]
fn jobs_under_way_end_when_the_engine_stops() {
    virtually(|| async {
        let rig = rig(options(), &MemoryStore::default(), Shared::default());
        let job = rig.execute(DeviceKind::Gsme, Operation::DisableSupply);
        let stop = async {
            rig.world.clock.sleep(SimDuration::from_mins(3)).await;
            rig.stop.cancel();
        };
        let (ended, ()) = tokio::join!(job, stop);
        assert_eq!(ended.unwrap_err().kind, FailureKind::Stopped);
        let failure = rig.execute(DeviceKind::Esme, READ).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Stopped);
    });
}

#[test]
fn a_closed_wan_link_is_an_outcome_of_each_job() {
    virtually(|| async {
        let world = World::virtual_at(start(), Seed::root(1));
        let (wan, network) = world.link("s1sp", "wan");
        let (custody, store) = (house::custody(Party::S1sp), Box::new(MemoryStore::default()));
        let (engine, handle, alerts) = Engine::new(
            world.clone(),
            "s1sp",
            wan,
            custody,
            house::directory(),
            options(),
            store,
        )
        .unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(engine.run(stop.clone()));
        drop(network);
        let rig = Rig {
            world,
            handle,
            script: Shared::default(),
            alerts,
            stop,
        };
        for _ in 0..2 {
            let failure = rig.execute(DeviceKind::Esme, READ).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.hop()),
                (FailureKind::WanUnusable, Hop::Wan),
                "{failure}"
            );
        }
    });
}
