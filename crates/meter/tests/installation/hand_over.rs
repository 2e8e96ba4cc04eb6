//! Key epochs and their hand-over from the SMSO to the S1SP and the DCO.

use domain::operation::ApprovalFault;
use domain::{DeviceKind, Refusal};
use proptest::prelude::*;

use super::*;

const KINDS: [DeviceKind; 3] = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf];
const GSME: DeviceKind = DeviceKind::Gsme;

fn smso_home() -> Home {
    let mut config = config();
    config.enrolled = false;
    Home::new("2019-05-02T08:00:00Z", config)
}

fn by(party: Party, association: Association) -> Access {
    Access {
        association,
        party: Some(party),
    }
}

fn stage(epoch: u32) -> Operation {
    Operation::StageKeys {
        party: Party::S1sp,
        epoch,
    }
}

fn hour() -> SimDuration {
    SimDuration::from_hours(1)
}

#[test]
fn a_staged_epoch_reads_proves_itself_and_only_then_replaces_the_old_one() {
    for kind in KINDS {
        let mut home = smso_home();
        let smso = by(Party::Smso, Association::Management);
        let s1sp = by(Party::S1sp, Association::StagedCritical);
        let key = |home: &mut Home, staged: bool| {
            home.act(|installation, context| {
                let purpose = Purpose::ManagementEncryption;
                if staged {
                    installation.staged_key(context, kind, purpose)
                } else {
                    installation.key(context, kind, purpose)
                }
            })
        };
        assert_eq!(
            home.finished(kind, s1sp, &Operation::Read(DataItem::KeyEpoch), None),
            Err(Refusal::NotPermitted)
        );
        assert_eq!(home.finished(kind, smso, &stage(2), None), Ok(Answer::Done));
        assert_eq!(home.installation.staged(kind), Some((Party::S1sp, 2)));
        let (old, new) = (key(&mut home, false), key(&mut home, true));
        assert!(old.is_some() && new.is_some() && old != new);

        // Both parties read; each sees both epochs.
        for access in [smso, s1sp, by(Party::S1sp, Association::StagedManagement)] {
            for (item, expected) in [(DataItem::KeyEpoch, 1), (DataItem::StagedKeyEpoch, 2)] {
                let read = Operation::Read(item);
                let Ok(Answer::Value(Value::Quantity(quantity))) = home.finished(kind, access, &read, None) else {
                    panic!("{kind} {item} with {access:?}");
                };
                assert_eq!(quantity.value, expected);
            }
        }
        // The newcomer changes nothing, whatever it holds, and proves dual control only with the staged DCO key.
        let probe = Operation::ProbeDualControl { nonce: 7 };
        let disable = Operation::DisableSupply;
        let approval = home.approval_in(kind, 2, true, &disable, hour());
        assert_eq!(
            home.finished(kind, s1sp, &disable, Some(&approval)),
            Err(Refusal::NotPermitted)
        );
        assert_eq!(
            home.finished(kind, s1sp, &probe, None),
            Err(Refusal::Approval(ApprovalFault::Missing))
        );
        let without_secret = home.approval_in(kind, 2, false, &probe, hour());
        assert_eq!(
            home.finished(kind, s1sp, &probe, Some(&without_secret)),
            Err(Refusal::Approval(ApprovalFault::Wrong)),
            "a DCO that was not given its secret has no say"
        );
        let good = home.approval_in(kind, 2, true, &probe, hour());
        assert_eq!(home.finished(kind, s1sp, &probe, Some(&good)), Ok(Answer::Done));
        assert_eq!(
            home.finished(kind, s1sp, &probe, Some(&good)),
            Err(Refusal::Approval(ApprovalFault::Replayed))
        );
        assert_eq!(
            home.installation.active_party(kind),
            Party::Smso,
            "a probe changes nothing"
        );

        let activate = Operation::ActivateKeys { epoch: 2 };
        assert_eq!(home.finished(kind, smso, &activate, None), Err(Refusal::NotPermitted));
        let good = home.approval_in(kind, 2, true, &activate, hour());
        assert_eq!(home.finished(kind, s1sp, &activate, Some(&good)), Ok(Answer::Done));
        assert_eq!(
            (home.installation.active_party(kind), home.installation.epoch(kind)),
            (Party::S1sp, 2)
        );
        assert_eq!(home.installation.staged(kind), None);
        assert_eq!(
            key(&mut home, false),
            new,
            "the keys that were proved are the keys in force"
        );
        for association in [Association::Management, Association::Critical, Association::Reader] {
            let read = Operation::Read(DataItem::FirmwareVersion);
            let access = by(Party::Smso, association);
            assert_eq!(home.finished(kind, access, &read, None), Err(Refusal::NotPermitted));
        }
        let log = home.log(kind, LogKind::Security, SimInstant(0), SimInstant(i64::MAX));
        assert!(log.iter().any(|row| row.code == Some(0x8F70)), "on record: {log:?}");
    }
}

/// A device in whose memory an epoch changed hands while it was off: nobody can do that to one over the air, so that the party
/// in its octets is changed here. It remembers whom it let through before, in which epoch.
#[test]
fn whom_a_device_let_through_it_remembers_over_a_restart() {
    let kind = DeviceKind::Esme;
    let mut enrolled = Home::new("2019-05-02T08:00:00Z", config());
    let (of_smso, of_s1sp) = (smso_home().installation.durable(), enrolled.installation.durable());
    let pairs = of_smso.iter().zip(&of_s1sp).enumerate();
    let parties: Vec<usize> = pairs
        .filter(|(_, (smso, s1sp))| smso != s1sp)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(parties.len(), 4, "they differ in the party of each device");

    let mut home = smso_home();
    let smso = by(Party::Smso, Association::Management);
    assert_eq!(home.finished(kind, smso, &stage(2), None), Ok(Answer::Done));
    assert_eq!(
        home.finished(kind, smso, &Operation::CancelStagedKeys, None),
        Ok(Answer::Done)
    );
    let mut octets = home.installation.durable();
    // Hub and meter come first, and nothing was written before the meter's party that was not there at first.
    parties[..2].iter().for_each(|at| octets[*at] = of_s1sp[*at]);
    let (config, before) = (home.config.clone(), home.now);
    let restored = enrolled.act(|_, context| Installation::restore(&config, context, &octets));
    enrolled.installation = restored.expect("our own octets");
    enrolled.run(hour());
    let approval = enrolled.approval_in(kind, 1, false, &Operation::DisableSupply, hour());
    let disabled = enrolled.finished(kind, S1SP, &Operation::DisableSupply, Some(&approval));
    assert_eq!(disabled, Ok(Answer::Done));

    let seen: Vec<_> = enrolled.installation.accepted(kind).collect();
    let both = [(Party::Smso, before), (Party::S1sp, enrolled.now)].map(|(party, at)| {
        let through = meter::LetThrough { at, epoch: 1 };
        meter::Accepted {
            party,
            first: through,
            last: through,
        }
    });
    assert_eq!(seen, both);
}

#[test]
fn only_the_operator_before_enrolment_hands_a_device_over() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    for operation in [stage(2), Operation::CancelStagedKeys] {
        for association in [Association::Management, Association::Critical] {
            let access = by(Party::S1sp, association);
            let approval = home.approval(DeviceKind::Esme, &operation);
            let outcome = home.finished(DeviceKind::Esme, access, &operation, Some(&approval));
            assert_eq!(outcome, Err(Refusal::NotPermitted), "{operation}");
        }
    }
    // An enrolled device proves dual control under the keys in force.
    let probe = Operation::ProbeDualControl { nonce: 1 };
    let approval = home.approval(DeviceKind::Esme, &probe);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &probe, Some(&approval)),
        Ok(Answer::Done)
    );
}

#[test]
fn a_sleeping_gas_meter_is_handed_over_when_it_wakes() {
    let mut home = smso_home();
    let smso = by(Party::Smso, Association::Management);
    let staged = by(Party::S1sp, Association::StagedCritical);
    let queue = |home: &mut Home, access, operation: &Operation, approval: Option<&Approval>| match home
        .execute(GSME, access, operation, approval)
    {
        Execution::Queued(ticket) => ticket,
        other => panic!("{operation}: {other:?}"),
    };
    let ticket = queue(&mut home, smso, &stage(2), None);
    assert_eq!(home.installation.staged(GSME), None, "it sleeps");
    assert_eq!(home.late_result(ticket).1, Ok(Answer::Done));
    assert_eq!(home.installation.staged(GSME), Some((Party::S1sp, 2)));

    let wake = home.installation.next_wake();
    home.run_to(wake + SimDuration::from_secs(1));
    let _ = home.effects();
    let before = queue(&mut home, smso, &Operation::Read(DataItem::SupplyState), None);
    let activate = Operation::ActivateKeys { epoch: 2 };
    let approval = home.approval_in(GSME, 2, true, &activate, hour());
    let rotation = queue(&mut home, staged, &activate, Some(&approval));
    let late_smso = queue(&mut home, smso, &Operation::Read(DataItem::SupplyState), None);
    let late_s1sp = queue(&mut home, staged, &Operation::Read(DataItem::KeyEpoch), None);
    let next = home.installation.next_wake();
    home.run_to(next);
    let results: Vec<_> = home
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::LateResult { party, ticket, outcome } => Some((party, ticket, outcome)),
            Effect::Alert { .. } => None,
        })
        .collect();
    assert_eq!(results.len(), 4);
    let of = |ticket| {
        let (party, _, outcome) = results.iter().find(|result| result.1 == ticket).expect("a result");
        (*party, outcome.clone())
    };
    assert!(matches!(of(before), (Party::Smso, Ok(_))));
    assert_eq!(of(rotation), (Party::S1sp, Ok(Answer::Done)));
    assert_eq!(
        of(late_smso),
        (Party::Smso, Err(Refusal::NotPermitted)),
        "taken under keys that are no more"
    );
    let epoch = Value::Quantity(Quantity::new(2, domain::Unit::Count));
    assert_eq!(
        of(late_s1sp),
        (Party::S1sp, Ok(Answer::Value(epoch))),
        "its keys are in force now"
    );
}

#[test]
fn staged_keys_and_their_counters_survive_a_restart() {
    let mut home = smso_home();
    let smso = by(Party::Smso, Association::Management);
    assert_eq!(home.finished(DeviceKind::Esme, smso, &stage(3), None), Ok(Answer::Done));
    for _ in 0..4 {
        home.installation
            .next_counter(DeviceKind::Esme, Association::StagedManagement);
    }
    let accepted = |home: &mut Home, counter| {
        home.installation
            .accept_counter(DeviceKind::Esme, Association::StagedManagement, [9; 8], counter)
    };
    assert_eq!(accepted(&mut home, 40), Ok(()));
    let octets = home.installation.durable();
    let config = home.config.clone();
    let again = home
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("restores");
    assert_eq!(again.durable(), octets);
    home.installation = again;
    assert_eq!(home.installation.staged(DeviceKind::Esme), Some((Party::S1sp, 3)));
    assert_eq!(accepted(&mut home, 40), Err(41));
    assert_eq!(
        home.installation
            .next_counter(DeviceKind::Esme, Association::StagedManagement),
        5
    );
    assert_eq!(
        home.finished(DeviceKind::Esme, smso, &Operation::CancelStagedKeys, None),
        Ok(Answer::Done)
    );
    assert_eq!(
        home.finished(DeviceKind::Esme, smso, &stage(3), None),
        Err(Refusal::OutOfRange)
    );
    assert_eq!(home.finished(DeviceKind::Esme, smso, &stage(4), None), Ok(Answer::Done));
}

/// One thing that somebody tries.
#[derive(Clone, Debug)]
enum Try {
    Stage(Party, u32),
    Cancel(Party),
    Probe(Party, bool),
    Activate(Party, u32, bool),
    Disable(Party, bool),
    /// The gas meter wakes.
    Wait,
}

fn tries() -> impl Strategy<Value = Try> {
    let party = prop::sample::select(vec![Party::Smso, Party::S1sp, Party::Dco]);
    prop_oneof![
        (party.clone(), 1..5u32).prop_map(|(party, epoch)| Try::Stage(party, epoch)),
        party.clone().prop_map(Try::Cancel),
        (party.clone(), any::<bool>()).prop_map(|(party, staged)| Try::Probe(party, staged)),
        (party.clone(), 1..5u32, any::<bool>()).prop_map(|(p, epoch, staged)| Try::Activate(p, epoch, staged)),
        (party, any::<bool>()).prop_map(|(party, staged)| Try::Disable(party, staged)),
        Just(Try::Wait),
    ]
}

/// Everybody tries to change the device, on every association, with the approvals of every epoch; gives who managed to.
fn who_changes(home: &mut Home, slot: DeviceKind) -> Vec<Party> {
    let (installation, now, approvals) = (home.installation.clone(), home.now, home.approvals);
    let epoch = home.installation.epoch(slot);
    let staged = home.installation.staged(slot).map_or(epoch, |(_, epoch)| epoch);
    let mut managed = Vec::new();
    for party in [Party::Smso, Party::S1sp, Party::Dco] {
        for association in Association::ALL {
            for (epoch, handed) in [(epoch, false), (epoch, true), (staged, true)] {
                let operation = Operation::DisableSupply;
                let approval = home.approval_in(slot, epoch, handed, &operation, hour());
                let done = match home.execute(slot, by(party, association), &operation, Some(&approval)) {
                    Execution::Finished(outcome) => outcome.is_ok(),
                    Execution::Queued(ticket) => home.late_result(ticket).1.is_ok(),
                };
                if done {
                    managed.push(party);
                }
                home.installation = installation.clone();
                (home.now, home.approvals) = (now, approvals);
            }
        }
    }
    managed.dedup();
    managed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn at_no_instant_could_two_parties_change_a_device(
        gas: bool,
        enrolled in prop::bool::weighted(0.2),
        script in prop::collection::vec(tries(), 1..12),
    ) {
        let slot = if gas { GSME } else { DeviceKind::Esme };
        let mut config = config();
        config.enrolled = enrolled;
        let mut home = Home::new("2019-05-02T08:00:00Z", config);
        for step in script {
            let epoch = home.installation.epoch(slot);
            let next = home.installation.staged(slot).map_or(epoch, |(_, epoch)| epoch);
            let ways = |staged: bool| if staged { Association::StagedCritical } else { Association::Critical };
            let (party, association, operation) = match step {
                Try::Stage(party, epoch) => (party, Association::Management, stage(epoch)),
                Try::Cancel(party) => (party, Association::Management, Operation::CancelStagedKeys),
                Try::Probe(party, staged) => (party, ways(staged), Operation::ProbeDualControl { nonce: 1 }),
                Try::Activate(party, epoch, staged) => (party, ways(staged), Operation::ActivateKeys { epoch }),
                Try::Disable(party, staged) => (party, ways(staged), Operation::DisableSupply),
                Try::Wait => {
                    home.run(SimDuration::from_mins(31));
                    continue;
                }
            };
            let (in_epoch, handed) = if association.is_staged() { (next, true) } else { (epoch, epoch > 1) };
            let approval = home.approval_in(slot, in_epoch, handed, &operation, hour());
            let _ = home.execute(slot, by(party, association), &operation, Some(&approval));
            let _ = home.effects();
            let active = home.installation.active_party(slot);
            prop_assert!(home.installation.epoch(slot) >= epoch, "an epoch never goes back");
            let managed = who_changes(&mut home, slot);
            if gas {
                // What waits for the meter may change hands before the attempt is executed.
                prop_assert!(managed.len() <= 1, "{managed:?}");
            } else {
                prop_assert_eq!(managed, vec![active]);
            }
        }
    }
}
