//! Reading requests: which log 6.13 means, what applies by model, event sets, message codes.

mod common;

use common::{DEVICE, catalogue, request, target};
use domain::operation::{Answer, OperationKind};
use domain::{LogKind, LogRow, Operation, SimInstant};
use steps::{Failure, NotPermitted, Plan, StepOutcome, StepResult, permits, plan, respond};

/// A request of 6.13 for this log.
fn event_log(word: &str) -> duis::Request {
    let mut request = request("6.13");
    let log = request.body.children.iter_mut().find(|child| child.name == "LogToRead");
    log.expect("6.13 names a log").text = word.into();
    request
}

fn log_of(plan: &Plan) -> LogKind {
    match plan.steps.as_slice() {
        [only] => match only.operation.kind() {
            OperationKind::ReadLog(log) => log,
            other => panic!("{other}"),
        },
        steps => panic!("{} steps", steps.len()),
    }
}

#[test]
fn every_kind_of_device_has_its_event_logs() {
    let kinds = ["as300p@BASE", "am110r-gpf@BASE", "bk-g4e@BASE", "am110r@BASE"];
    let all = [
        ("Event", [Some(LogKind::Event); 4]),
        ("Security", [Some(LogKind::Security); 4]),
        ("PowerEvent", [Some(LogKind::PowerEvent), None, None, None]),
        ("ALCSEvent", [Some(LogKind::AuxiliaryLoad), None, None, None]),
        ("GSMEEvent", [None, Some(LogKind::GasMeterEvent), None, None]),
        ("GSMESecurity", [None, Some(LogKind::GasMeterSecurity), None, None]),
    ];
    for (word, expected) in all {
        let request = event_log(word);
        for (profile, expected) in kinds.into_iter().zip(expected) {
            let target = target(catalogue(), profile);
            let planned = plan(&request, &target);
            match (&planned, expected) {
                (Ok(plan), Some(log)) => assert_eq!(log_of(plan), log, "{word} of {profile}"),
                (Err(refused), None) => assert_eq!(refused.failure, Failure::LogNotForType, "{word} of {profile}"),
                other => panic!("{word} of {profile}: {other:?}"),
            }
            // Whatever the plan says: of all logs, the request permits this one and no other.
            for log in LogKind::ALL {
                let read = Operation::ReadLog {
                    log: *log,
                    from: "2019-03-01T00:00:00Z".parse().unwrap(),
                    to: "2019-03-31T00:00:00Z".parse().unwrap(),
                };
                let permitted = permits(&request, DEVICE, target.kind, &read);
                assert_eq!(permitted.is_ok(), expected == Some(*log), "{word} of {profile}: {log}");
            }
        }
    }
}

#[test]
fn a_log_with_another_period_is_not_permitted() {
    let read = |to: &str| Operation::ReadLog {
        log: LogKind::DailyConsumption,
        from: "2019-03-01T00:00:00Z".parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let kind = domain::DeviceKind::Esme;
    let request = request("4.17");
    assert_eq!(permits(&request, DEVICE, kind, &read("2019-03-31T00:00:00Z")), Ok(()));
    let longer = permits(&request, DEVICE, kind, &read("2019-04-30T00:00:00Z"));
    assert!(matches!(longer, Err(NotPermitted::OtherArguments { .. })), "{longer:?}");
}

#[test]
fn what_applies_by_model_is_refused_by_models_without_it() {
    for (srv, without, with) in [
        ("4.11.2", "as300p@BASE", "as300p@LAB-E002"),
        ("7.7", "as300p@BASE", "as300p@LAB-E002"),
        ("14.1", "bk-g4e@BASE", "bk-g4e@LAB-G001"),
    ] {
        let refused = plan(&request(srv), &target(catalogue(), without)).unwrap_err();
        assert_eq!(refused.failure, Failure::NotApplicable, "{srv}");
        assert!(plan(&request(srv), &target(catalogue(), with)).is_ok(), "{srv}");
    }
    let loads = plan(&request("7.7"), &target(catalogue(), "as300p@LAB-E002")).unwrap();
    assert_eq!(loads.steps.len(), 5, "one read per switch");
}

#[test]
fn a_second_element_adds_steps_that_may_fail() {
    for (srv, plain) in [("4.1.2", 1), ("4.8.1", 1), ("4.16", 1)] {
        let base = plan(&request(srv), &target(catalogue(), "as300p@BASE")).unwrap();
        assert_eq!(base.steps.len(), plain, "{srv}");
        let twin = plan(&request(srv), &target(catalogue(), "as300p@LAB-E002")).unwrap();
        assert_eq!(twin.steps.len(), plain + 1, "{srv}");
        assert!(twin.steps.last().unwrap().optional, "{srv}");
    }
}

#[test]
fn events_outside_the_mandated_set_and_renamed_ones_say_so() {
    let mut profile: dmc::DeviceProfile = (**catalogue().find("as300p@BASE").unwrap()).clone();
    profile.meter.alerts.non_mandated.insert(0x8145);
    profile.meter.alerts.renamed.push((0x8F0A, 0x7001));
    let target = common::of(&profile);
    let request = event_log("Event");
    let plan = plan(&request, &target).unwrap();
    let row = |code| LogRow {
        at: SimInstant(1_553_900_000_000),
        values: Vec::new(),
        code: Some(code),
    };
    let outcome = StepOutcome {
        position: 1,
        result: StepResult::Device(Ok(Answer::Log(vec![row(0x8145), row(0x7001), row(0x0BAD)]))),
        at: None,
    };
    let answer = respond(&request, &target, &plan, &[outcome], SimInstant(0));
    let log = answer.payload.unwrap();
    let seen: Vec<_> = log.children[0]
        .children
        .iter()
        .map(|entry| {
            (
                entry.child_text("LogCode").unwrap(),
                entry.child_text("LogMeaning").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("8145", "non-mandated: the clock was set"),
            ("7001", "the billing data log has a new entry"),
            ("0BAD", "not in the list of this lab"),
        ]
    );
    assert_eq!(answer.message_code.as_deref(), Some("0048"));
    let security = event_log("Security");
    let plan = steps::plan(&security, &target).unwrap();
    let answer = respond(&security, &target, &plan, &[], SimInstant(0));
    assert_eq!(answer.message_code.as_deref(), Some("0049"));
}

#[test]
fn what_is_cut_is_reported_at_the_step_that_read_it() {
    let target = target(catalogue(), "as300p@BASE");
    let request = request("4.10");
    let plan = plan(&request, &target).unwrap();
    let row = |n: i64| LogRow {
        at: SimInstant(n * 1_800_000),
        values: vec![(
            domain::DataItem::VoltageAverage,
            domain::Quantity::new(n, domain::Unit::Count),
        )],
        code: None,
    };
    let outcome = |step: &steps::Step| {
        let answer = match &step.operation {
            Operation::ReadLog { .. } => Answer::Log((0..4_400).map(row).collect()),
            other => common::reads::answer(other, step.kind),
        };
        StepOutcome {
            position: step.position,
            result: StepResult::Device(Ok(answer)),
            at: None,
        }
    };
    let outcomes: Vec<_> = plan.steps.iter().map(outcome).collect();
    let answer = respond(&request, &target, &plan, &outcomes, SimInstant(0));
    assert!(answer.success);
    let debug = answer.debug.expect("80 rows too many");
    let entry = debug.at(&["SMETS1Debug", "SMETS1Response"]).expect("an entry");
    assert_eq!(
        entry.attribute("Position"),
        Some("4"),
        "after two counters and the period"
    );
}

#[test]
fn a_step_that_fails_leaves_the_others_in_the_answer() {
    let target = target(catalogue(), "as300p@BASE");
    let request = request("6.2.4");
    let plan = plan(&request, &target).unwrap();
    let outcomes: Vec<_> = plan
        .steps
        .iter()
        .map(|step| StepOutcome {
            position: step.position,
            result: StepResult::Device(if step.position == 2 {
                Err(domain::Refusal::NotSupported)
            } else {
                Ok(common::reads::answer(&step.operation, step.kind))
            }),
            at: None,
        })
        .collect();
    let answer = respond(&request, &target, &plan, &outcomes, SimInstant(0));
    assert!(!answer.success);
    let payload = answer.payload.expect("what the device did say");
    assert_eq!(
        payload.child_text("ModelType"),
        Some("AS300P-L"),
        "cut to eight characters"
    );
    assert_eq!(payload.child_text("ManufacturerIdentifier"), None);
    let debug = answer.debug.expect("one step failed");
    let entry = debug.at(&["SMETS1Debug", "SMETS1Response"]).expect("an entry");
    assert_eq!(entry.attribute("Position"), Some("2"));
}
