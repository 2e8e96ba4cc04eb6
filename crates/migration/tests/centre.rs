//! Instructions and reports on links: lost ones are asked for again, and no work is done twice.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::{Arc, Mutex};

use domain::{CommunicationsProvider, Eui64, Seed, SimDuration, SimInstant};
use migration::InstallationId;
use migration::centre::{Desk, Errand, Works, answer};
use migration::machine::model::{Facts, Installation};
use migration::machine::{Done, Instruction, Report, Work};
use migration::settings::CohortSlug;
use proto::{Envelope, Kind};
use tokio_util::sync::CancellationToken;
use world::{LinkName, Verdict, World};

/// A party that takes its time and notes what it was asked.
#[derive(Clone)]
struct Party {
    world: World,
    asked: Arc<Mutex<Vec<(String, u32)>>>,
}

impl Works for Party {
    async fn work(&self, instruction: &Instruction, known: &[Installation]) -> Vec<Report> {
        let asked = (instruction.reference.clone(), known[0].attempt.number);
        self.asked.lock().unwrap().push(asked);
        self.world.clock.sleep(SimDuration::from_mins(40)).await;
        vec![Report {
            reference: instruction.reference.clone(),
            installation: known[0].id(),
            result: Ok(Done::Viable),
            mended: Vec::new(),
        }]
    }
}

fn known(id: u64) -> Installation {
    let facts = Facts {
        id: InstallationId(Eui64(id)),
        cohort: CohortSlug::new("ioc"),
        provider: CommunicationsProvider::Vodafone,
        hub: Eui64(id),
        devices: Vec::new(),
        points: Vec::new(),
        vulnerable: false,
    };
    let mut known = Installation::new(facts, SimInstant(0));
    known.attempt.number = 3;
    known
}

/// Sends three instructions, of which the fault rule loses what it likes; gives what the party was asked to do, and when the
/// last report came.
fn three(lose: impl FnMut(&LinkName, &Envelope, SimInstant) -> Verdict + Send + 'static) -> (Vec<(String, u32)>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant(0), Seed::root(1));
        world.faults.install(lose);
        let (to_rp, from_mcc) = world.link("mcc", "rp");
        let (to_cp, cp_end) = world.link("mcc", "cp");
        let party = Party {
            world: world.clone(),
            asked: Arc::default(),
        };
        let shutdown = CancellationToken::new();
        let answering = [from_mcc, cp_end].map(|end| tokio::spawn(answer(party.clone(), end, shutdown.clone())));
        let mut desk = Desk::new(&world, [to_rp, to_cp]);
        for (id, work) in [(1, Work::Freeze), (2, Work::Viability), (3, Work::Outcome)] {
            desk.send(Errand {
                instruction: Instruction {
                    reference: id.to_string(),
                    work,
                    group: "g".into(),
                    installations: vec![InstallationId(Eui64(id))],
                },
                known: vec![known(id)],
            });
        }
        let mut came = Vec::new();
        while came.len() < 3 {
            came.extend(desk.reported().await);
        }
        came.sort_by_key(|report| report.installation);
        for (report, id) in came.iter().zip(1..) {
            assert_eq!(
                (report.installation, &report.reference),
                (InstallationId(Eui64(id)), &id.to_string())
            );
            assert_eq!(report.result, Ok(Done::Viable));
        }
        shutdown.cancel();
        for task in answering {
            task.await.unwrap();
        }
        let mut asked = party.asked.lock().unwrap().clone();
        asked.sort();
        (asked, world.clock.now().0.unsigned_abs() / 60_000)
    })
}

#[test]
fn instructions_reach_the_party_that_does_them_once() {
    let once = ["1", "2", "3"].map(|reference| (reference.to_owned(), 3)).to_vec();
    // Longer at work than the control centre waits: it asks again, and the work is not begun again.
    assert_eq!(three(|_, _, _| Verdict::Pass), (once.clone(), 40));
    // The first reports are lost: the party is asked again, and says again what it said.
    let mut lost = 0;
    let first_reports = move |_: &LinkName, envelope: &Envelope, _: SimInstant| {
        lost += u32::from(envelope.kind() == Kind::MigrationReport);
        if envelope.kind() == Kind::MigrationReport && lost <= 6 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    };
    assert_eq!(three(first_reports), (once.clone(), 60));
    // The instructions themselves are lost, once each: they begin later.
    let mut seen = 0;
    let first_instructions = move |_: &LinkName, envelope: &Envelope, _: SimInstant| {
        seen += u32::from(envelope.kind() == Kind::MigrationInstruction);
        if envelope.kind() == Kind::MigrationInstruction && seen <= 3 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    };
    assert_eq!(three(first_instructions), (once, 70));
}
