//! Payloads: element order, units, partial success, debug entries.

mod common;

use std::fmt::Write as _;

use common::{DEVICE, HUB, SERVICES, catalogue, render, request, target};
use domain::operation::{Answer, ClockStatus, KnownDevice, PaymentMode, Quantity, SupplyState, Unit, Value};
use domain::{Confidence, DataItem, DeviceKind, LogKind, LogRow, Operation, Refusal, SimInstant};
use steps::{Failure, Plan, Smets1Payload, StepOutcome, StepResult, plan, respond};

fn at(text: &str) -> SimInstant {
    text.parse().expect("an instant")
}

fn quantity(value: i64, unit: Unit) -> Value {
    Value::Quantity(Quantity::new(value, unit))
}

/// What a well-behaved device would answer.
fn answer(operation: &Operation, kind: DeviceKind) -> Answer {
    use DataItem as I;
    let volume = if kind.is_gas() { Unit::Litre } else { Unit::WattHour };
    match operation {
        Operation::Read(item) => Answer::Value(match item {
            I::ActiveImport => quantity(12_345_678, Unit::WattHour),
            I::SecondaryActiveImport => quantity(4_321, Unit::WattHour),
            I::ActiveExport => quantity(0, Unit::WattHour),
            I::ReactiveImport | I::ReactiveExport => quantity(987, Unit::VarHour),
            I::GasConsumption => quantity(1_234_056, Unit::Litre),
            I::BatteryRemaining => quantity(3000, Unit::Count),
            I::Clock => Value::Clock(at("2019-03-31T10:00:02Z"), ClockStatus::Reliable),
            I::DebtRecoveryPerPayment => quantity(2500, Unit::HundredthPercent),
            I::DeviceLog => Value::Devices(vec![
                KnownDevice {
                    device: DEVICE,
                    kind: DeviceKind::Esme,
                    last_heard: Some(at("2019-03-31T09:59:00Z")),
                },
                KnownDevice {
                    device: HUB,
                    kind: DeviceKind::Ihd,
                    last_heard: None,
                },
            ]),
            I::FirmwareVersion => Value::Text("BASE".into()),
            I::PaymentMode => Value::PaymentMode(PaymentMode::Prepayment),
            I::SupplyState => Value::Supply(SupplyState::Enabled),
            I::SuspendDebtDisabled => Value::Flag(true),
            I::SuspendDebtEmergency => Value::Flag(false),
            I::MeterBalance => quantity(-150_000, Unit::MilliPence),
            _ => quantity(300_000, Unit::MilliPence),
        }),
        Operation::ReadLog { log, .. } => Answer::Log(rows(*log, volume)),
        _ => Answer::Done,
    }
}

fn rows(log: LogKind, unit: Unit) -> Vec<LogRow> {
    let gas = unit == Unit::Litre;
    let total = if gas {
        DataItem::GasConsumption
    } else {
        DataItem::ActiveImport
    };
    let row = |at: SimInstant, values| LogRow { at, values, code: None };
    match log {
        LogKind::DailyRead => vec![row(
            at("2019-03-30T00:00:00Z"),
            vec![
                (total, Quantity::new(1_000_500, unit)),
                (DataItem::BlockRegister(1), Quantity::new(400, unit)),
                (DataItem::TouRegister(1), Quantity::new(600, unit)),
                (DataItem::TouRegister(2), Quantity::new(500, unit)),
            ],
        )],
        _ => vec![
            row(at("2019-03-30T00:30:00Z"), vec![(total, Quantity::new(250, unit))]),
            row(at("2019-03-30T01:00:00Z"), vec![(total, Quantity::new(151, unit))]),
        ],
    }
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

fn all(profile: &str) -> String {
    let mut out = String::new();
    for srv in SERVICES {
        if let Some(payload) = answered(srv, profile, |_| {}) {
            let _ = writeln!(out, "{srv} {}", show(&payload));
        }
    }
    out
}

#[test]
fn payloads_of_every_device() {
    insta::assert_snapshot!("esme_base", all("as300p@BASE"));
    insta::assert_snapshot!("esme_lab_1", all("as300p@LAB-E001"));
    insta::assert_snapshot!("esme_lab_2", all("as300p@LAB-E002"));
    insta::assert_snapshot!("gpf_base", all("am110r-gpf@BASE"));
    insta::assert_snapshot!("gsme_lab", all("bk-g4e@LAB-G001"));
    insta::assert_snapshot!("chf_lab", all("am110r@LAB-C001"));
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
        let profile = profile.id.to_string();
        for srv in SERVICES {
            let Some(answered_well) = answered(srv, &profile, |_| {}) else {
                continue;
            };
            write(&request(srv), &answered_well);
            for payload in [answered(srv, &profile, refused), answered(srv, &profile, Vec::clear)]
                .into_iter()
                .flatten()
            {
                assert!(!payload.success || payload.debug.is_none(), "{profile} {srv}");
                write(&request(srv), &payload);
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
