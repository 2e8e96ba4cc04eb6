//! Parties of a migration that died over their work and begin again on their journals: what they had sent leaves as it left
//! before, and nothing that was ever sent is taken twice.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod parties;

use migration::day::plus_days;
use migration::machine::model::{Authorisation, Installation};
use migration::machine::{Done, Instruction, Report, Work};
use parties::{MONDAY, Rig, Setup, estate};

fn instruction(reference: &str, work: Work, known: &Installation) -> Instruction {
    Instruction {
        reference: reference.to_owned(),
        work,
        group: known.attempt.group.clone(),
        installations: vec![known.id()],
    }
}

fn done(reports: &[Report]) -> Vec<Done> {
    reports.iter().map(|report| report.result.clone().unwrap()).collect()
}

/// The first installation in its first attempt.
fn attempted(rig: &Rig) -> Installation {
    let mut known = Installation::new(rig.all[0].clone(), rig.now());
    known.attempt.number = 1;
    known.attempt.group = "LAB-G-test".into();
    known.attempt.snapshot_at = Some(rig.now());
    let suppliers: Vec<_> = rig.all[0].points.iter().map(|point| point.supplier).collect();
    for (point, supplier) in known.points.iter_mut().zip(suppliers) {
        point.authorisation = Some(Authorisation {
            supplier,
            by: "a test".into(),
            not_before: plus_days(MONDAY, -7),
            not_after: MONDAY,
        });
    }
    known
}

#[tokio::test(start_paused = true)]
async fn sets_leave_as_they_left_before_and_none_is_taken_twice() {
    let parts = Setup::new().parts(&estate(1, ""));
    let mut captured = Vec::new();
    let mut known = None;
    for life in 0..3 {
        let mut setup = Setup::new();
        let first = setup.start;
        setup.start = first + domain::SimDuration::from_mins(30 * life);
        let rig = Rig::start(&parts, setup);
        let known = known.get_or_insert_with(|| attempted(&rig)).clone();
        let of = std::slice::from_ref(&known);
        for (reference, work) in [
            ("freeze", Work::Freeze),
            ("deliver", Work::Deliver),
            ("secrets", Work::Secrets),
        ] {
            let reports = rig.rp.work(&instruction(reference, work, &known), of).await;
            assert_eq!(reports.len(), 1);
            done(&reports);
        }
        for (reference, work) in [("outcome", Work::Outcome)] {
            let reports = rig.cp.work(&instruction(reference, work, &known), of).await;
            assert_eq!(done(&reports), [Done::OutcomeTaken], "life {life}");
        }
        if life < 2 {
            captured.extend(rig.kill().await);
        } else {
            captured.append(&mut rig.sets.lock().unwrap());
            let effective = rig.replayed(&captured).await;
            assert_eq!(effective, [""; 0]);
            rig.stop().await;
        }
    }
    // What the requesting party sent about it are the same octets in every life.
    let of_rp = || {
        captured
            .iter()
            .filter(|(from, ..)| from == "rp")
            .map(|(_, _, sent)| sent)
    };
    assert_eq!(of_rp().count(), 9, "three sets in each life");
    for sent in of_rp() {
        assert!(
            of_rp().all(|other| other.reference != sent.reference || other == sent),
            "{}",
            sent.reference
        );
    }
}
