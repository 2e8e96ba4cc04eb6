//! Plans of Equivalent Steps, and that the request alone permits every one of them and nothing else.

mod common;

use std::fmt::Write as _;
use std::sync::LazyLock;

use common::{DEVICE, HUB, catalogue, of, request, target};
use domain::operation::OperationKind;
use domain::{DataItem, DeviceKind, LogKind, Operation, SimInstant};
use proptest::prelude::*;
use steps::{Failure, NotPermitted, permits, plan};

/// One snapshot per service, with the devices it may be sent to.
#[test]
fn plans_of_every_service() {
    for srv in common::services() {
        let kinds = &steps::table().row(srv.parse().unwrap()).unwrap().kinds;
        let mut out = String::new();
        for profile in common::PROFILES {
            let target = target(catalogue(), profile);
            if !kinds.contains(&target.kind) {
                continue;
            }
            let _ = match plan(&request(&srv), &target) {
                Ok(plan) => writeln!(out, "{profile}\n{plan}"),
                Err(refused) => writeln!(out, "{profile}\nrefused: {refused}; rule {:?}\n", refused.rule),
            };
        }
        insta::assert_snapshot!(srv, out);
    }
}

#[test]
fn what_does_not_fit_has_no_plan() {
    let catalogue = catalogue();
    let refused = |srv: &str, profile: &str| plan(&request(srv), &target(catalogue, profile)).unwrap_err().failure;
    assert_eq!(
        refused("7.1", "bk-g4e@BASE"),
        Failure::NotApplicable,
        "enable supply is for electricity"
    );
    assert_eq!(refused("7.1", "am110r-gpf@BASE"), Failure::NotApplicable);
    assert_eq!(refused("6.28", "am110r@BASE"), Failure::NotSmets1);
    assert_eq!(refused("6.24.2", "am110r@BASE"), Failure::NotApplicable);
    assert_eq!(refused("8.2", "as300p@BASE"), Failure::NotSmets1);
    assert_eq!(refused("7.2", "as300p@LAB-E002"), Failure::RuleRefused);

    let mut wrong_body = request("7.4");
    wrong_body.body = common::body("7.2");
    let esme = target(catalogue, "as300p@BASE");
    assert_eq!(plan(&wrong_body, &esme).unwrap_err().failure, Failure::Schema);
    let mut no_period = request("4.8.1");
    no_period.body.children.clear();
    assert_eq!(plan(&no_period, &esme).unwrap_err().failure, Failure::Schema);
}

#[test]
fn a_future_date_is_read_from_the_body() {
    let mut dated = request("4.1.1");
    assert_eq!(steps::execution_at(&dated), Ok(None));
    dated.body = dated.body.with_leaf("ExecutionDateTime", "2019-04-01T00:00:00.00Z");
    assert_eq!(
        steps::execution_at(&dated),
        Ok(Some("2019-04-01T00:00:00Z".parse().unwrap()))
    );
    dated.body.children[0].text = "soon".into();
    assert!(steps::execution_at(&dated).is_err());
}

/// Every operation the lab reads with, and those of every plan of this suite; periods and arguments near theirs.
fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let at = |text: &str| text.parse::<SimInstant>().expect("an instant");
        let mut operations: Vec<Operation> = DataItem::every().map(Operation::Read).collect();
        for log in LogKind::ALL {
            for (from, to) in [
                ("2019-03-01T00:00:00Z", "2019-03-31T00:00:00Z"),
                ("2019-03-30T00:00:00Z", "2019-03-31T00:00:00Z"),
                ("2019-03-29T23:30:00Z", "2019-03-31T00:00:00Z"),
            ] {
                operations.push(Operation::ReadLog {
                    log: *log,
                    from: at(from),
                    to: at(to),
                });
            }
        }
        for time in ["2019-03-31T10:00:00Z", "2019-03-31T10:00:01Z"] {
            for tolerance_s in [10, 11] {
                operations.push(Operation::SynchroniseClock {
                    time: at(time),
                    tolerance_s,
                });
            }
        }
        for srv in common::services() {
            operations.extend(planned(&srv, None));
        }
        operations.sort();
        operations.dedup();
        operations
    });
    &OPERATIONS
}

/// The operations of the plans of a service on all profiles, or on those of one kind.
fn planned(srv: &str, kind: Option<DeviceKind>) -> Vec<Operation> {
    let profiles = catalogue().profiles();
    profiles
        .filter(|profile| kind.is_none_or(|kind| profile.kind == kind))
        .filter_map(|profile| plan(&request(srv), &of(profile)).ok())
        .flat_map(|plan| plan.steps)
        .map(|step| step.operation)
        .collect()
}

#[test]
fn a_plan_never_holds_more_than_the_request_permits() {
    let catalogue = catalogue();
    let mut planned = 0;
    for profile in catalogue.profiles() {
        for srv in common::services() {
            let Ok(plan) = plan(&request(&srv), &of(profile)) else {
                continue;
            };
            for step in &plan.steps {
                permits(&request(&srv), step.device, step.kind, &step.operation).unwrap();
                planned += 1;
            }
        }
    }
    assert!(planned > 150, "{planned}");
}

#[test]
fn what_changes_a_device_is_permitted_only_where_a_plan_has_it() {
    for row in steps::table().rows() {
        let srv = row.srv.to_string();
        let request = request(&srv);
        for kind in DeviceKind::ALL {
            let planned = planned(&srv, Some(kind));
            for operation in operations().iter().filter(|operation| operation.changes_state()) {
                let permitted = permits(&request, DEVICE, kind, operation).is_ok();
                // Arming in place of enabling is the one act that rules may put in another's place: it does less.
                let weaker = row.acts.contains(&OperationKind::EnableSupply)
                    && row.applies_to(kind).is_ok()
                    && *operation == Operation::ArmSupply;
                assert_eq!(
                    permitted,
                    weaker || planned.contains(operation),
                    "{srv} {kind} {operation}"
                );
                assert!(
                    !permitted || weaker || row.acts.contains(&operation.kind()),
                    "{srv} {operation}"
                );
            }
        }
    }
}

#[test]
fn refusals_say_what_differs() {
    let check = |srv: &str, kind, operation| {
        permits(&request(srv), DEVICE, kind, &operation)
            .unwrap_err()
            .to_string()
    };
    let time = "2019-03-31T10:00:00Z".parse().unwrap();
    let texts = [
        check("7.2", DeviceKind::Esme, Operation::EnableSupply),
        check("7.1", DeviceKind::Gsme, Operation::EnableSupply),
        check(
            "6.11",
            DeviceKind::Esme,
            Operation::SynchroniseClock { time, tolerance_s: 60 },
        ),
        check("4.1.1", DeviceKind::Gpf, Operation::Read(DataItem::ActiveImport)),
        check("6.14.1", DeviceKind::Esme, Operation::Read(DataItem::Clock)),
        permits(&request("7.2"), HUB, DeviceKind::Esme, &Operation::DisableSupply)
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!("not_permitted", texts.join("\n"));
}

#[test]
fn a_request_whose_parts_disagree_is_not_judged() {
    let mut other_body = request("7.2");
    other_body.body = common::body("7.4");
    let twice = {
        let mut request = request("6.11");
        request.body = request.body.with_leaf("TolerancePeriod", "86400");
        request
    };
    let time = "2019-03-31T10:00:00Z".parse().unwrap();
    for (request, operation) in [
        (other_body, Operation::DisableSupply),
        (twice, Operation::SynchroniseClock { time, tolerance_s: 10 }),
    ] {
        let verdict = permits(&request, DEVICE, DeviceKind::Esme, &operation);
        assert!(matches!(verdict, Err(NotPermitted::Unreadable(_))), "{verdict:?}");
    }
}

proptest! {
    #[test]
    fn any_period_is_permitted_exactly(from in 0i64..4_000_000, span in 0i64..4_000_000, other in 0i64..4_000_000) {
        let (from, to) = (SimInstant(from * 1000), SimInstant((from + span) * 1000));
        let mut request = request("4.8.1");
        let period = &mut request.body.children[0];
        period.children[0].text = from.to_string();
        period.children[1].text = to.to_string();
        let catalogue = catalogue();
        for profile in ["as300p@BASE", "as300p@LAB-E001", "bk-g4e@BASE", "am110r-gpf@BASE"] {
            let target = target(catalogue, profile);
            for step in plan(&request, &target).unwrap().steps {
                prop_assert_eq!(permits(&request, step.device, step.kind, &step.operation), Ok(()));
            }
            let log = LogKind::ActiveImport;
            let asked = Operation::ReadLog { log, from, to: SimInstant(other * 1000) };
            prop_assert_eq!(permits(&request, DEVICE, target.kind, &asked).is_ok(), SimInstant(other * 1000) == to);
        }
    }
}

/// What a request permits is planned for some device of the kind, or is one of the supporting reads.
#[test]
fn any_operation_is_permitted_only_where_a_plan_or_the_supporting_reads_have_it() {
    for srv in common::services() {
        let request = request(&srv);
        for kind in DeviceKind::ALL {
            let planned = planned(&srv, Some(kind));
            for operation in operations() {
                assert!(permits(&request, HUB, kind, operation).is_err());
                if permits(&request, DEVICE, kind, operation).is_ok() {
                    let supporting = match operation {
                        // Rules may add the register up from its parts.
                        Operation::Read(DataItem::TouRegister(_)) => srv == "4.1.1",
                        Operation::Read(item) => dmc::SUPPORTING_READS.contains(item),
                        Operation::ArmSupply => srv == "7.1",
                        _ => false,
                    };
                    assert!(supporting || planned.contains(operation), "{srv} {kind} {operation}");
                }
            }
        }
    }
}
