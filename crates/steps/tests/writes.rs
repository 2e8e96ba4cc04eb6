//! Requests that set or act on a meter: what is planned, that the request permits exactly that, what is answered.

mod common;

use std::fmt::Write as _;

use common::writes::{SERVICES, numbered, wishes};
use common::{DEVICE, USER, catalogue, render, target};
use domain::operation::{Answer, PaymentMode, Refusal, Value};
use domain::{DataItem, DeviceKind, Operation, RequestId, SimInstant, Srv};
use duis::template::{Fuel, Wishes};
use duis::{Element, Request};
use steps::table::State;
use steps::{Failure, Plan, StepOutcome, StepResult, permits, plan, respond};

const METERS: [(Fuel, &str); 2] = [(Fuel::Electricity, "as300p@BASE"), (Fuel::Gas, "bk-g4e@BASE")];

/// Alternatives of the schema that the least template does not take.
const ALTERNATIVES: &[(&str, &[&str])] = &[
    ("1.5", &["AdjustMeterBalance"]),
    ("1.5", &["CreditMode", "AdjustMeterBalance"]),
    ("1.5", &["ResetMeterBalance"]),
    ("1.5", &["CreditMode", "ResetMeterBalance"]),
    ("1.6", &["Prepayment"]),
    ("1.1.1", &["BlockTariffAction", "BlockTariff", "SpecialDay"]),
    ("1.1.1", &["TOUTariff", "TOUTariffAction", "LastDayOfMonth"]),
    ("1.1.1", &["HybridTariff", "SpecifiedYear", "SpecifiedDayOfMonth"]),
    ("1.2.1", &["TOUTariff"]),
    ("1.2.1", &["HybridTariff"]),
    ("3.3", &["ESMEEventLogType"]),
    ("6.5", &["PolyPhaseVoltageSettings"]),
    ("6.7", &["UncontrolledGasFlowRateDecimal"]),
    ("6.8", &["Weekly"]),
    ("6.8", &["Quarterly"]),
    ("6.8", &["Yearly"]),
    ("6.18.2", &["MaxDemandActivePowerImportValue"]),
    (
        "6.18.2",
        &[
            "MaxDemandActivePowerExportValue",
            "MaxDemandConfigTimeActivePowerImportValue",
        ],
    ),
    ("6.20.1", &["SecondaryImportMPAN"]),
    ("6.22", &["SupplierESMECommon", "x810D", "x81C6"]),
    ("6.22", &["GasSupplierAlerts", "x810D"]),
    (
        "6.22",
        &["ElectricitySupplierLoggingSettings", "SupplierESMECommon", "x8119"],
    ),
    ("6.22", &["GasSupplierAlertEventSettings", "x8119"]),
    (
        "6.22",
        &["ElectricityNetworkOperatorAlerts", "NetworkOperatorESMECommon", "x8014"],
    ),
    (
        "2.1",
        &["SpecialDay", "DayOfWeekApplicability", "SpecialDayApplicability"],
    ),
];

fn request(srv: &str, body: Element) -> Request {
    let id = RequestId {
        originator: USER,
        target: DEVICE,
        counter: 1000,
    };
    Request::new(id, srv.parse().expect("a service")).with_body(body)
}

fn template(srv: &str, fuel: Fuel, wished: &[&str]) -> Request {
    let row = steps::table().row(srv.parse().expect("a service")).expect("known");
    let wishes = Wishes {
        at: "2019-04-01T00:00:00Z".parse().expect("an instant"),
        fuel,
        elements: wishes(wished),
    };
    request(
        srv,
        numbered(duis::template::body(row.body, &wishes).expect("a template")),
    )
}

/// Every request of this suite with the profile it is sent to, and a name.
fn requests() -> Vec<(String, Request, &'static str)> {
    let mut all = Vec::new();
    for (fuel, profile) in METERS {
        let kind = target(catalogue(), profile).kind;
        let plain = SERVICES.iter().map(|srv| (*srv, [].as_slice()));
        for (srv, wished) in plain.chain(ALTERNATIVES.iter().copied()) {
            let row = steps::table().row(srv.parse().expect("a service")).expect("known");
            if row.kinds.contains(&kind) && fits(srv, fuel, wished) {
                let name = format!("{srv} {kind} {}", wished.join(" "));
                all.push((name.trim().to_owned(), template(srv, fuel, wished), profile));
            }
        }
    }
    all
}

/// Whether the schema has these alternatives for this fuel, and the profiles of this suite what the request is about.
fn fits(srv: &str, fuel: Fuel, wished: &[&str]) -> bool {
    let of_electricity = [
        "HybridTariff",
        "LastDayOfMonth",
        "Weekly",
        "Quarterly",
        "Yearly",
        "SecondaryImportMPAN",
        "SupplierESMECommon",
        "NetworkOperatorESMECommon",
    ];
    let needs_more = ["1.1.2", "1.2.2", "7.5", "7.6"].contains(&srv) || srv == "6.18.2" && wished.is_empty();
    let electricity = wished.iter().any(|name| of_electricity.contains(name));
    let gas = ["6.6", "6.7"].contains(&srv) || wished.iter().any(|name| name.starts_with("GasSupplier"));
    let fuel_fits = match fuel {
        Fuel::Electricity => !gas,
        // A template without wishes takes the first kind of settings, which is electricity's.
        Fuel::Gas => !electricity && (srv != "6.22" || gas),
    };
    fuel_fits && !needs_more
}

fn planned(request: &Request, profile: &str) -> Plan {
    match plan(request, &target(catalogue(), profile)) {
        Ok(plan) => plan,
        Err(refused) => panic!("{} on {profile}: {refused}\n{}", request.srv, render(&request.body)),
    }
}

#[test]
fn every_service_of_this_suite_runs_end_to_end() {
    for srv in SERVICES {
        let row = steps::table().row(srv.parse().expect("a service")).expect("known");
        assert_eq!(row.state, State::EndToEnd, "{srv}");
        assert!(!row.acts.is_empty(), "{srv} acts on nothing");
    }
}

#[test]
fn equivalent_steps() {
    let mut out = String::new();
    for (name, request, profile) in requests() {
        let _ = writeln!(out, "{name}");
        for step in &planned(&request, profile).steps {
            let flags = [(step.critical, ", critical"), (step.optional, ", optional")];
            let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
            let _ = writeln!(out, "  {} {:?}{flags}", step.position, step.operation);
        }
    }
    insta::assert_snapshot!("writes", out);
}

#[test]
fn what_a_critical_request_does_needs_an_approval_and_nothing_else_does() {
    for (name, request, profile) in requests() {
        let row = steps::table().row(request.srv).expect("known");
        for step in planned(&request, profile).steps {
            assert_eq!(step.critical, row.critical && step.operation.changes_state(), "{name}");
        }
    }
}

#[test]
fn a_request_permits_its_plan_and_no_other_requests() {
    let all = requests();
    for (name, request, profile) in &all {
        for step in &planned(request, profile).steps {
            let verdict = permits(request, DEVICE, step.kind, &step.operation);
            assert_eq!(verdict, Ok(()), "{name}: {}", step.operation);
            for (other_name, other, other_profile) in &all {
                let kind = target(catalogue(), other_profile).kind;
                if other.srv != request.srv && step.operation.changes_state() {
                    let acts = &steps::table().row(other.srv).expect("known").acts;
                    let permitted = permits(other, DEVICE, kind, &step.operation).is_ok();
                    assert!(
                        !permitted || acts.contains(&step.operation.kind()),
                        "{other_name} permits {} of {name}",
                        step.operation
                    );
                }
            }
        }
    }
}

/// Leaves that say nothing to the device, or that say it in a second place.
const SILENT: &[&str] = &["ExecutionDateTime", "UncontrolledGasFlowRateDecimal", "Duration"];

/// The text of a leaf turned into another one of the same form.
fn other_text(leaf: &Element) -> Option<String> {
    let swaps = [
        ("true", "false"),
        ("START", "STOP"),
        ("HOURLY", "DAILY"),
        ("Monday", "Sunday"),
        ("Disable", "Unchanged"),
        ("Locked", "Unchanged"),
        ("GBP", "ECB"),
        ("Enable", "Disable"),
        ("ESME", "ALCS"),
    ];
    let text = leaf.text.as_str();
    for (one, other) in swaps {
        match text {
            _ if text == one => return Some(other.to_owned()),
            _ if text == other => return Some(one.to_owned()),
            _ => {}
        }
    }
    // The minute of a time, else the last digit: seconds and zones mean nothing to these requests.
    let place = match text.match_indices(':').next() {
        Some((colon, _)) => colon + 1,
        None => text
            .get(..10)
            .filter(|_| text.contains('-'))
            .unwrap_or(text)
            .rfind(|c: char| c.is_ascii_digit())?,
    };
    let mut octets = text.as_bytes().to_vec();
    octets[place] = if octets[place] == b'1' { b'2' } else { b'1' };
    String::from_utf8(octets).ok()
}

/// Calls `with` for each variant of the body in which one leaf or index differs.
fn each_other(body: &Element, with: &mut dyn FnMut(Element, &'static str)) {
    fn leaves(element: &Element, path: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
        if element.children.is_empty() && !element.text.is_empty() {
            out.push(path.clone());
        }
        for (number, child) in element.children.iter().enumerate() {
            path.push(number);
            leaves(child, path, out);
            path.pop();
        }
    }
    let mut paths = Vec::new();
    leaves(body, &mut Vec::new(), &mut paths);
    for path in paths {
        let mut changed = body.clone();
        let leaf = path
            .iter()
            .fold(&mut changed, |element, number| &mut element.children[*number]);
        if SILENT.contains(&leaf.name) {
            continue;
        }
        let (name, Some(text)) = (leaf.name, other_text(leaf)) else {
            continue;
        };
        leaf.text = text;
        with(changed, name);
    }
}

#[test]
fn a_request_that_differs_in_one_value_does_not_permit_the_plan() {
    let mut compared = 0;
    for (name, request, profile) in requests() {
        let plan = planned(&request, profile);
        each_other(&request.body, &mut |body, leaf| {
            let other = common_request(&request, body);
            let acts = || plan.steps.iter().filter(|step| step.operation.changes_state());
            let all = acts().all(|step| permits(&other, DEVICE, step.kind, &step.operation).is_ok());
            assert!(!all, "{name}: another {leaf} permits the same\n{}", render(&other.body));
            compared += 1;
        });
    }
    assert!(compared > 40, "{compared}");
}

fn common_request(request: &Request, body: Element) -> Request {
    Request {
        body,
        ..request.clone()
    }
}

fn done(plan: &Plan, mut result: impl FnMut(&Operation) -> StepResult) -> Vec<StepOutcome> {
    let at: SimInstant = "2019-04-01T00:00:00Z".parse().expect("an instant");
    plan.steps
        .iter()
        .map(|step| StepOutcome {
            position: step.position,
            result: result(&step.operation),
            at: Some(at),
        })
        .collect()
}

fn answer(operation: &Operation, mode: PaymentMode) -> StepResult {
    StepResult::Device(Ok(match operation {
        Operation::Read(DataItem::PaymentMode) => Answer::Value(Value::PaymentMode(mode)),
        _ => Answer::Done,
    }))
}

#[test]
fn every_answer_fits_the_schema_whether_it_worked_or_not() {
    let now: SimInstant = "2019-04-01T00:00:00Z".parse().expect("an instant");
    let mut codes = String::new();
    for (name, request, profile) in requests() {
        let target = target(catalogue(), profile);
        let plan = planned(&request, profile);
        let wanted = plan
            .steps
            .iter()
            .find_map(|step| match (&step.operation, &step.expects) {
                (_, Some(Value::PaymentMode(mode))) => Some(*mode),
                (Operation::Write(setting), _) => match **setting {
                    domain::operation::Setting::PaymentMode(payment) => Some(payment.mode),
                    _ => None,
                },
                _ => None,
            });
        let mode = wanted.unwrap_or(PaymentMode::Credit);
        let worked = respond(&request, &target, &plan, &done(&plan, |step| answer(step, mode)), now);
        assert!(worked.success, "{name}");
        let refused = done(&plan, |_| StepResult::Device(Err(Refusal::OutOfRange)));
        let refused = respond(&request, &target, &plan, &refused, now);
        assert!(!refused.success, "{name}");
        for payload in [&worked, &refused] {
            let header = duis::SignedHeader {
                message_code: payload.message_code.clone(),
                ..duis::SignedHeader::answering(&request, payload.at)
            };
            let body = duis::SignedBody::Response {
                payload: payload.payload.clone(),
                debug: payload.debug.clone(),
            };
            duis::write::smets1_signed_response(&header, &body).expect("fits the schema");
        }
        let _ = writeln!(codes, "{name}: {}", worked.message_code.as_deref().unwrap_or("-"));
    }
    insta::assert_snapshot!("write_codes", codes);
}

#[test]
fn a_balance_is_not_touched_while_the_customer_pays_otherwise() {
    let now: SimInstant = "2019-04-01T00:00:00Z".parse().expect("an instant");
    let request = template("1.5", Fuel::Electricity, &["PrepaymentMode", "AdjustMeterBalance"]);
    let target = target(catalogue(), "as300p@BASE");
    let plan = planned(&request, "as300p@BASE");
    let look = plan.steps.first().expect("a look first");
    let credit = Answer::Value(Value::PaymentMode(PaymentMode::Credit));
    assert!(!look.is_as_expected(&credit), "the plan ends there");
    let outcomes = [StepOutcome {
        position: look.position,
        result: StepResult::Device(Ok(credit)),
        at: Some(now),
    }];
    let response = respond(&request, &target, &plan, &outcomes, now);
    assert!(!response.success);
    insta::assert_snapshot!("other_mode", render(&response.debug.expect("says why")));
}

#[test]
fn the_form_of_the_other_fuel_is_refused() {
    for (fuel, profile) in [(Fuel::Gas, "as300p@BASE"), (Fuel::Electricity, "bk-g4e@BASE")] {
        for srv in ["2.1", "2.3"] {
            let refused = plan(&template(srv, fuel, &[]), &target(catalogue(), profile)).expect_err("refused");
            assert_eq!(refused.failure, Failure::NotApplicable, "{srv} {profile}");
        }
    }
}

#[test]
fn a_mode_that_did_not_change_is_no_success() {
    let now: SimInstant = "2019-04-01T00:00:00Z".parse().expect("an instant");
    let request = template("1.6", Fuel::Electricity, &["Prepayment"]);
    let target = target(catalogue(), "as300p@BASE");
    let plan = planned(&request, "as300p@BASE");
    let outcomes = done(&plan, |step| answer(step, PaymentMode::Credit));
    assert!(!respond(&request, &target, &plan, &outcomes, now).success);
    assert_eq!(plan.srv, Srv::new(1, 6, 0));
    assert_eq!(target.kind, DeviceKind::Esme);
}
