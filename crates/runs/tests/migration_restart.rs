//! Parties of a migration that died over their work and begin again on their journals: what they had sent leaves as it left
//! before, and nothing that was ever sent is taken twice.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod parties;

use domain::DeviceKind;
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

/// After an attempt was given up, sets of it that are made or come late are refused, in the next life as well; sets of the next
/// attempt are taken.
#[tokio::test(start_paused = true)]
async fn sets_of_an_attempt_that_was_given_up_are_refused() {
    let setup = Setup::new();
    let begins = setup.start;
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    let mut known = attempted(&rig);
    for (reference, work) in [
        ("freeze", Work::Freeze),
        ("deliver", Work::Deliver),
        ("secrets", Work::Secrets),
    ] {
        let of = std::slice::from_ref(&known);
        done(&rig.rp.work(&instruction(reference, work, &known), of).await);
    }
    let of = std::slice::from_ref(&known);
    let purged = rig.cp.work(&instruction("purge", Work::Purge, &known), of).await;
    assert_eq!(done(&purged), [Done::Purged]);
    for life in 0..2 {
        let of = std::slice::from_ref(&known);
        for (reference, work) in [
            ("deliver".to_owned(), Work::Deliver),
            (format!("deliver late {life}"), Work::Deliver),
            (format!("secrets late {life}"), Work::Secrets),
        ] {
            let reports = rig.rp.work(&instruction(&reference, work, &known), of).await;
            let found = reports[0].result.as_ref().unwrap_err();
            assert_eq!(found[0].kind, "attempt-over", "{reference}, life {life}: {found:?}");
        }
        // The very set that S1SP and DCO had taken is answered as it was, and brings nothing back.
        done(&rig.rp.work(&instruction("secrets", Work::Secrets, &known), of).await);
        let device = rig.all[0].device(DeviceKind::Esme).unwrap().id;
        let probe = instruction(&format!("probe {life}"), Work::Probe { device }, &known);
        let probed = rig.cp.work(&probe, of).await;
        assert_eq!(probed[0].result.as_ref().unwrap_err()[0].kind, "approval-refused");
        rig.kill().await;
        let mut setup = Setup::new();
        setup.start = begins + domain::SimDuration::from_mins(30 * (life + 1));
        rig = Rig::start(&parts, setup);
    }
    let of = std::slice::from_ref(&known);
    let thawed = rig.rp.work(&instruction("unfreeze", Work::Unfreeze, &known), of).await;
    assert_eq!(done(&thawed), [Done::Unfrozen]);
    known.attempt.number = 2;
    known.attempt.group = "LAB-G-next".into();
    known.attempt.snapshot_at = Some(rig.now());
    for (reference, work) in [
        ("freeze 2", Work::Freeze),
        ("deliver 2", Work::Deliver),
        ("secrets 2", Work::Secrets),
    ] {
        let of = std::slice::from_ref(&known);
        done(&rig.rp.work(&instruction(reference, work, &known), of).await);
    }
    rig.stop().await;
}
