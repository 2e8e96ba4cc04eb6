//! Payloads: element order, units, partial success, debug entries.

mod common;

use std::fmt::Write as _;

use common::reads::answer;
use common::{catalogue, render, request, target};
use domain::operation::{Answer, Quantity, SupplyState, Unit, Value};
use domain::{Confidence, DataItem, LogRow, Refusal, SimInstant};
use steps::{Failure, Plan, Smets1Payload, StepOutcome, StepResult, plan, respond};

fn at(text: &str) -> SimInstant {
    text.parse().expect("an instant")
}

fn outcomes(plan: &Plan) -> Vec<StepOutcome> {
    let outcome = |step: &steps::Step| StepOutcome {
        position: step.position,
        result: StepResult::Device(Ok(answer(&step.operation, step.kind))),
        at: Some(at("2019-03-31T10:00:03Z")),
    };
    plan.steps.iter().map(outcome).collect()
}

fn answered(srv: &str, profile: &str, change: impl FnOnce(&mut Vec<StepOutcome>)) -> Option<Smets1Payload> {
    let catalogue = catalogue();
    let target = target(catalogue, profile);
    let plan = plan(&request(srv), &target).ok()?;
    let mut outcomes = outcomes(&plan);
    change(&mut outcomes);
    Some(respond(
        &request(srv),
        &target,
        &plan,
        &outcomes,
        at("2019-03-31T10:01:00Z"),
    ))
}

fn show(payload: &Smets1Payload) -> String {
    let mut out = format!(
        "code {} message {} confidence {} rules {}\n",
        payload.response_code.as_str(),
        payload.message_code.as_deref().unwrap_or("none"),
        payload.confidence,
        payload.rules.join(", ")
    );
    for element in payload.payload.iter().chain(&payload.debug) {
        let _ = write!(out, "{}", render(element));
    }
    out
}

/// One snapshot per service, with the devices it applies to.
#[test]
fn payloads_of_every_service() {
    for srv in common::services() {
        let mut out = String::new();
        for profile in common::PROFILES {
            if let Some(payload) = answered(&srv, profile, |_| {}) {
                let _ = writeln!(out, "{profile} {}", show(&payload));
            }
        }
        insta::assert_snapshot!(srv, out);
    }
}

fn result(outcomes: &mut [StepOutcome], position: usize, result: StepResult) {
    outcomes[position - 1].result = result;
}

/// Writes the payload as the S1SP does: the writer checks every element against the schema's structure.
fn write(request: &duis::Request, payload: &Smets1Payload) {
    let mut header = duis::SignedHeader::answering(request, payload.at);
    header.message_code.clone_from(&payload.message_code);
    let body = duis::SignedBody::Response {
        payload: payload.payload.clone(),
        debug: payload.debug.clone(),
    };
    let xml = duis::write::smets1_signed_response(&header, &body).expect("the payload fits the schema");
    assert!(!xml.is_empty());
}

#[test]
fn every_payload_fits_the_schema_whatever_the_device_does() {
    let catalogue = catalogue();
    let refused = |outcomes: &mut Vec<StepOutcome>| {
        for outcome in outcomes {
            outcome.result = StepResult::Device(Err(Refusal::NotSupported));
        }
    };
    let mut written = 0;
    for profile in catalogue.profiles() {
        let partial = |rule: &dmc::S1spRule| matches!(rule.effect, dmc::S1spEffect::Partial { .. });
        let optional: Vec<&str> = profile
            .s1sp
            .iter()
            .filter(|rule| partial(rule))
            .map(|rule| &*rule.rule)
            .collect();
        let profile = profile.id.to_string();
        for srv in common::services() {
            let Some(answered_well) = answered(&srv, &profile, |_| {}) else {
                continue;
            };
            write(&request(&srv), &answered_well);
            for payload in [answered(&srv, &profile, refused), answered(&srv, &profile, Vec::clear)]
                .into_iter()
                .flatten()
            {
                // What worked has no failed step in it, unless a rule says that it works without this step.
                let without = payload.rules.iter().any(|rule| optional.contains(&rule.as_str()));
                assert!(
                    !payload.success || payload.debug.is_none() || without,
                    "{profile} {srv}"
                );
                write(&request(&srv), &payload);
                written += 1;
            }
        }
    }
    assert!(written > 150, "{written}");
}

#[test]
fn a_refusal_of_the_device_is_a_good_response_without_success() {
    let payload = answered("4.1.1", "as300p@BASE", |outcomes| {
        result(outcomes, 2, StepResult::Device(Err(Refusal::NotSupported)));
    })
    .unwrap();
    insta::assert_snapshot!("partial", show(&payload));
    assert!(!payload.success);
    assert_eq!(payload.failure, None);
}

#[test]
fn an_optional_step_may_fail() {
    let payload = answered("4.1.1", "as300p@LAB-E002", |outcomes| {
        result(outcomes, 3, StepResult::Device(Err(Refusal::NotSupported)));
    })
    .unwrap();
    assert!(payload.success && payload.debug.is_some());
    let disabled = Answer::Value(Value::Supply(SupplyState::Disabled));
    let supply = answered("7.2", "bk-g4e@BASE", |outcomes| {
        result(outcomes, 2, StepResult::Failed(Failure::NoResponse, "no mirror".into()));
    })
    .unwrap();
    assert!(supply.success);
    assert_eq!(supply.response_code.as_str(), "I0");
    let seen = answered("7.2", "bk-g4e@BASE", |outcomes| {
        result(outcomes, 2, StepResult::Device(Ok(disabled)))
    })
    .unwrap();
    assert!(seen.success && seen.debug.is_none());
}

#[test]
fn a_chain_that_never_reached_the_device_gives_its_code_and_no_payload() {
    let cut = |class| {
        answered("7.2", "as300p@BASE", |outcomes| {
            result(outcomes, 1, StepResult::Failed(class, "the hub did not connect".into()));
            result(outcomes, 2, StepResult::NotTried);
        })
        .unwrap()
    };
    insta::assert_snapshot!("unreachable", show(&cut(Failure::HubUnreachable)));
    for (class, code) in [
        (Failure::HubUnreachable, "E20"),
        (Failure::NoResponse, "E21"),
        (Failure::DcoRefused, "E58"),
        (Failure::DcoUnreachable, "E1006"),
    ] {
        let payload = cut(class);
        assert_eq!((payload.response_code.as_str(), payload.failure), (code, Some(class)));
        assert!(payload.payload.is_none() && !payload.success);
    }
}

#[test]
fn a_gas_meter_out_of_reach_is_a_word_about_the_device() {
    let payload = answered("7.2", "bk-g4e@BASE", |outcomes| {
        result(
            outcomes,
            1,
            StepResult::Failed(Failure::HanUnreachable, "no result after two wakes".into()),
        );
        result(outcomes, 2, StepResult::NotTried);
    })
    .unwrap();
    assert_eq!(
        (payload.response_code.as_str(), payload.failure, payload.success),
        ("I0", None, false)
    );
    assert!(payload.payload.is_some());
}

#[test]
fn an_act_without_its_effect_is_no_success() {
    let ready = |outcomes: &mut Vec<StepOutcome>| {
        result(
            outcomes,
            2,
            StepResult::Device(Ok(Answer::Value(Value::Supply(SupplyState::Armed)))),
        );
    };
    let enable = answered("7.1", "as300p@LAB-E001", ready).unwrap();
    insta::assert_snapshot!("enabled_but_armed", show(&enable));
    assert!(!enable.success);
    assert!(answered("7.3", "as300p@BASE", ready).unwrap().success);
    assert!(!answered("7.2", "as300p@BASE", ready).unwrap().success);
}

#[test]
fn answers_that_do_not_fit_are_reported() {
    let payload = answered("7.4", "as300p@BASE", |outcomes| {
        result(outcomes, 1, StepResult::Device(Ok(Answer::Done)));
    })
    .unwrap();
    assert!(!payload.success);
    insta::assert_snapshot!("unfit", show(&payload));
}

#[test]
fn rows_beyond_the_schema_are_cut_to_the_newest() {
    let many = |from: i64, count: i64| {
        let row = |n| LogRow {
            at: SimInstant((from + n) * 1_800_000),
            values: vec![(DataItem::ActiveImport, Quantity::new(n, Unit::WattHour))],
            code: None,
        };
        StepResult::Device(Ok(Answer::Log((0..count).map(row).collect())))
    };
    for (srv, count, max) in [("4.6.1", 40, 31), ("4.8.1", 19_100, 19_056)] {
        let payload = answered(srv, "as300p@BASE", |outcomes| result(outcomes, 1, many(860_000, count))).unwrap();
        let rsp = payload.payload.unwrap();
        assert_eq!(rsp.children.len(), max);
        assert!(payload.success && payload.debug.is_some());
        let last = rsp.children.last().unwrap();
        assert_eq!(last.children[1].children[0].text, (count - 1).to_string());
    }
}

/// What brings about each row of the error table that leaves the response code at I0: a service, its device, and what that
/// answers.
fn debug_rows() -> Vec<(Failure, &'static str, &'static str, StepResult)> {
    let refused = |refusal| StepResult::Device(Err(refusal));
    let supply = |state| StepResult::Device(Ok(Answer::Value(Value::Supply(state))));
    let row = |n: i64| LogRow {
        at: SimInstant((860_000 + n) * 1_800_000),
        values: vec![(DataItem::ActiveImport, Quantity::new(n, Unit::WattHour))],
        code: None,
    };
    let rows = StepResult::Device(Ok(Answer::Log((0..40).map(row).collect())));
    let meter = "as300p@BASE";
    let forged = refused(Refusal::Approval(domain::operation::ApprovalFault::Missing));
    vec![
        (Failure::NotSupported, "7.2", meter, refused(Refusal::NotSupported)),
        (Failure::OutOfRange, "7.2", meter, refused(Refusal::OutOfRange)),
        (Failure::NotPermitted, "7.2", meter, refused(Refusal::NotPermitted)),
        (Failure::WrongState, "7.2", meter, refused(Refusal::WrongState)),
        (Failure::DeviceBusy, "7.2", meter, refused(Refusal::Busy)),
        (Failure::HardwareFault, "7.2", meter, refused(Refusal::HardwareFault)),
        (Failure::HanUnreachable, "7.2", meter, refused(Refusal::Unreachable)),
        (Failure::ApprovalRefused, "7.2", meter, forged),
        (
            Failure::TokenRefused,
            "2.2",
            meter,
            refused(Refusal::Token(domain::operation::TokenFault::Duplicate)),
        ),
        (Failure::NotTried, "7.2", meter, StepResult::NotTried),
        (Failure::StateDiffers, "7.2", meter, supply(SupplyState::Armed)),
        (
            Failure::UnexpectedValue,
            "7.4",
            meter,
            StepResult::Device(Ok(Answer::Done)),
        ),
        (Failure::RowsCut, "4.6.1", meter, rows),
    ]
}

#[test]
fn every_row_of_the_error_table_that_is_a_word_of_the_payload_is_one() {
    let rows = debug_rows();
    for failure in Failure::ALL.iter().filter(|failure| failure.entry().code == "I0") {
        assert!(rows.iter().any(|(row, ..)| row == failure), "no case for {failure}");
    }
    for (failure, srv, profile, given) in rows {
        // What is seen after an act stands in its second step.
        let place = if failure == Failure::StateDiffers { 2 } else { 1 };
        let payload = answered(srv, profile, |outcomes| result(outcomes, place, given)).unwrap();
        assert_eq!(payload.response_code.as_str(), "I0", "{failure}");
        let debug = payload.debug.unwrap();
        let entries = debug.children.iter().flat_map(|debug| &debug.children);
        let codes: Vec<_> = entries.filter_map(|entry| entry.attribute("ResponseCode")).collect();
        let wanted = failure.entry().debug.map(|code| code.to_string());
        assert_eq!(codes, wanted.iter().collect::<Vec<_>>(), "{failure}");
    }
}

#[test]
fn long_reasons_are_cut_to_what_the_schema_takes() {
    let payload = answered("7.4", "as300p@BASE", |outcomes| {
        result(
            outcomes,
            1,
            StepResult::Failed(Failure::NoResponse, "ä\u{1}".repeat(300)),
        );
    })
    .unwrap();
    let debug = payload.debug.unwrap();
    let error = debug.at(&["SMETS1Debug", "SMETS1Response", "Error"]).unwrap();
    assert_eq!(error.text.chars().count(), 250);
    assert!(error.text.chars().all(|c| !c.is_control()));
}

#[test]
fn confidence_is_that_of_the_weakest_part() {
    let weakest = |srv: &str, profile: &str| answered(srv, profile, |_| {}).unwrap().confidence;
    assert_eq!(weakest("4.1.1", "as300p@BASE"), Confidence::Recalled);
    assert_eq!(
        weakest("11.2", "as300p@BASE"),
        Confidence::Invented,
        "no firmware identifier is known"
    );
    assert_eq!(weakest("4.1.1", "as300p@LAB-E001"), Confidence::Invented);
}

#[test]
fn what_was_seen_before_an_act_is_not_held_against_it() {
    let enabled = |outcomes: &mut Vec<StepOutcome>| {
        for outcome in outcomes {
            if matches!(&outcome.result, StepResult::Device(Ok(Answer::Value(Value::Supply(_))))) {
                outcome.result = StepResult::Device(Ok(Answer::Value(Value::Supply(SupplyState::Enabled))));
            }
        }
    };
    // This firmware has the state read before the supply is disabled, the other after.
    assert!(answered("7.2", "as300p@LAB-E003", enabled).unwrap().success);
    assert!(!answered("7.2", "as300p@BASE", enabled).unwrap().success);
}

#[test]
fn gas_that_is_stated_as_energy_is_in_no_field_for_cubic_metres() {
    for (srv, answer) in [
        (
            "4.1.2",
            Answer::Value(Value::Table(vec![(
                DataItem::TouRegister(1),
                Quantity::new(5, Unit::WattHour),
            )])),
        ),
        (
            "4.6.1",
            Answer::Log(vec![LogRow {
                at: at("2019-03-31T00:00:00Z"),
                values: vec![(DataItem::GasConsumption, Quantity::new(5, Unit::WattHour))],
                code: None,
            }]),
        ),
    ] {
        let of = |answer: Answer| {
            let given = StepResult::Device(Ok(answer));
            answered(srv, "am110r-gpf@BASE", |outcomes| result(outcomes, 1, given)).unwrap()
        };
        let energy = of(answer.clone());
        assert!(!energy.success && energy.debug.is_some(), "{srv}");
        assert!(!format!("{:?}", energy.payload).contains("\"5\""), "{srv}");
        let mut volume = answer;
        match &mut volume {
            Answer::Value(Value::Table(table)) => table[0].1.unit = Unit::Litre,
            Answer::Log(rows) => rows[0].values[0].1.unit = Unit::Litre,
            _ => {}
        }
        assert!(of(volume).success, "{srv}");
    }
}
