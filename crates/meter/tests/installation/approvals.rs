//! Who may do what: associations, parties and approvals.

use super::*;
use domain::Refusal;
use domain::operation::ApprovalFault;
use proptest::prelude::*;

const REGISTER: Operation = Operation::Read(DataItem::ActiveImport);

fn access(association: Association, party: Option<Party>) -> Access {
    Access { association, party }
}

#[test]
fn rights_follow_association_and_active_party() {
    use Association::{Critical, Management, Public, Reader};
    let (smso, s1sp) = (Some(Party::Smso), Some(Party::S1sp));
    let clock = Operation::Read(DataItem::Clock);
    let firmware = Operation::Read(DataItem::FirmwareVersion);
    let cases = [
        (access(Public, None), &clock, true),
        (access(Public, None), &firmware, true),
        (access(Public, None), &REGISTER, false),
        (access(Public, None), &Operation::DisableSupply, false),
        (access(Reader, s1sp), &REGISTER, true),
        (access(Reader, smso), &REGISTER, false),
        (access(Reader, None), &REGISTER, false),
        (access(Reader, s1sp), &Operation::DisableSupply, false),
        (access(Management, s1sp), &REGISTER, true),
        (access(Management, smso), &REGISTER, false),
        (access(Management, s1sp), &Operation::DisableSupply, false),
        (access(Critical, s1sp), &REGISTER, true),
        (access(Critical, s1sp), &Operation::DisableSupply, true),
        (access(Critical, smso), &Operation::DisableSupply, false),
        (access(Critical, Some(Party::Dco)), &Operation::DisableSupply, false),
    ];
    for (access, operation, permitted) in cases {
        let mut home = Home::new("2019-05-02T08:00:00Z", config());
        let approval = home.approval(DeviceKind::Esme, operation);
        let outcome = home.finished(DeviceKind::Esme, access, operation, Some(&approval));
        assert_eq!(
            outcome != Err(Refusal::NotPermitted),
            permitted,
            "{access:?} {operation}: {outcome:?}"
        );
        assert_eq!(
            home.codes(DeviceKind::Esme, LogKind::Security).is_empty(),
            permitted,
            "{access:?} {operation}"
        );
    }
}

#[test]
fn before_enrolment_the_smso_needs_no_approval_and_the_s1sp_has_no_say() {
    let mut before = config();
    before.enrolled = false;
    let mut home = Home::new("2019-05-02T08:00:00Z", before);
    assert_eq!(home.installation.active_party(DeviceKind::Esme), Party::Smso);
    for association in [Association::Management, Association::Critical] {
        let access = access(association, Some(Party::Smso));
        assert_eq!(
            home.finished(DeviceKind::Esme, access, &Operation::DisableSupply, None),
            Ok(Answer::Done)
        );
    }
    let approval = home.approval(DeviceKind::Esme, &Operation::EnableSupply);
    let outcome = home.finished(DeviceKind::Esme, S1SP, &Operation::EnableSupply, Some(&approval));
    assert_eq!(outcome, Err(Refusal::NotPermitted));
    assert!(
        home.act(|installation, context| installation.key(context, DeviceKind::Esme, Purpose::Approval))
            .is_none()
    );
}

#[test]
fn an_enrolled_device_takes_a_critical_operation_only_with_its_own_fresh_approval() {
    let refused = |fault| Err(Refusal::Approval(fault));
    let operation = Operation::DisableSupply;
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, None),
        refused(ApprovalFault::Missing)
    );
    let other_device = home.approval(DeviceKind::Gsme, &operation);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&other_device)),
        refused(ApprovalFault::Wrong)
    );
    let other_operation = home.approval(DeviceKind::Esme, &Operation::EnableSupply);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&other_operation)),
        refused(ApprovalFault::Wrong)
    );
    let stale = home.approval(DeviceKind::Esme, &operation);
    home.run(SimDuration::from_secs(61));
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&stale)),
        refused(ApprovalFault::Stale)
    );
    let earlier = home.approval(DeviceKind::Esme, &operation);
    let good = home.approval(DeviceKind::Esme, &operation);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&good)),
        Ok(Answer::Done)
    );
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&good)),
        refused(ApprovalFault::Replayed)
    );
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &operation, Some(&earlier)),
        refused(ApprovalFault::Replayed)
    );
    assert_eq!(home.codes(DeviceKind::Esme, LogKind::Security), [0x8F53; 6]);
    // The DCO's key alone opens nothing: the session must be the operator's.
    let good = home.approval(DeviceKind::Esme, &operation);
    let dco = access(Association::Critical, Some(Party::Dco));
    assert_eq!(
        home.finished(DeviceKind::Esme, dco, &operation, Some(&good)),
        Err(Refusal::NotPermitted)
    );
}

#[test]
fn an_approval_is_used_up_even_when_the_device_then_refuses() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, esme, ..]| {
        esme.arm_needs_disabled = true
    });
    let approval = home.approval(DeviceKind::Esme, &Operation::ArmSupply);
    let mut arm = || home.finished(DeviceKind::Esme, S1SP, &Operation::ArmSupply, Some(&approval));
    assert_eq!(arm(), Err(Refusal::WrongState));
    assert_eq!(arm(), Err(Refusal::Approval(ApprovalFault::Replayed)));
}

#[test]
fn counters_and_challenges_never_repeat() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let esme = DeviceKind::Esme;
    let challenges: std::collections::BTreeSet<[u8; 16]> = (0..50).map(|_| home.installation.challenge()).collect();
    assert_eq!(challenges.len(), 50);
    let again = Home::new("2019-05-02T08:00:00Z", config()).installation.challenge();
    assert!(challenges.contains(&again), "repeatable from the seed");
    assert_eq!(
        home.installation
            .accept_counter(esme, Association::Management, [1; 8], 0),
        Ok(())
    );
    assert_eq!(
        home.installation
            .accept_counter(esme, Association::Management, [1; 8], 0),
        Err(1)
    );
    assert_eq!(home.installation.invocation_counter(esme), 1);
    assert_eq!(
        home.installation
            .accept_counter(DeviceKind::Ihd, Association::Management, [1; 8], 0),
        Err(u32::MAX)
    );
    assert_eq!(
        [1, 2].map(|_| home.installation.next_counter(esme, Association::Management)),
        [1, 2]
    );
}

proptest! {
    /// Whatever a hostile operator sends, in whatever order, only what the DCO approved happens, and once.
    #[test]
    fn no_sequence_of_stolen_approvals_moves_the_supply_twice(picks in prop::collection::vec((0usize..6, any::<bool>()), 1..40)) {
        let mut home = Home::new("2019-05-02T08:00:00Z", config());
        let approvals: Vec<_> = (0..6).map(|n| {
            let operation = if n % 2 == 0 { Operation::DisableSupply } else { Operation::EnableSupply };
            (home.approval(DeviceKind::Esme, &operation), operation)
        }).collect();
        let mut highest = 0;
        for (pick, swap) in picks {
            let (approval, approved) = &approvals[pick];
            let operation = if swap { Operation::ArmSupply } else { approved.clone() };
            let outcome = home.finished(DeviceKind::Esme, S1SP, &operation, Some(approval));
            let accepted = !swap && approval.counter > highest;
            prop_assert_eq!(outcome.is_ok(), accepted);
            if accepted {
                highest = approval.counter;
            }
        }
    }
}
