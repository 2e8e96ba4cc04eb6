//! The S1SP with a real DCO and a house at the end of its WAN link; the test is the DCC.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod rig;

use std::collections::BTreeMap;

use dialects::Notification;
use domain::operation::{Prices, SwitchingTable, TariffAction, TariffTables};
use domain::seed::mix;
use domain::{Association, DeviceKind, Operation, SimDuration, SimInstant};
use duis::{Element, SignedBody};
use proto::{Envelope, Kind};
use s1sp::{Limits, UtrnAlert, UtrnOrder, Vending};
use world::{LinkName, Verdict};

use rig::house::{ESME, GSME, Shared};
use rig::parties::{S1SP, USER, seal, synchronise_clock};
use rig::{Rig, id, noon, virtually};

const MINUTE: SimDuration = SimDuration::from_mins(1);
const HOUR: SimDuration = SimDuration::from_hours(1);

#[test]
fn a_read_comes_back_signed_once_and_is_not_sent_again_when_taken() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        rig.send(id(ESME, 1), &rig.read(1)).await;
        rig.listen(HOUR).await;
        assert_eq!(rig.accepted, [id(ESME, 1).to_string()]);
        let response = rig.only_response();
        assert_eq!(
            (response.response_code.as_str(), response.failed_hop.as_str()),
            ("I0", ""),
            "{response:?}"
        );
        let signer = duis::signature::verify(&response.signed_response_xml, rig.parties.book.as_ref()).unwrap();
        assert_eq!(signer.eui, S1SP);
        let signed = duis::read_signed_response(&response.signed_response_xml).unwrap();
        assert_eq!((signed.header.originator, signed.header.target), (ESME, USER));
        assert_eq!(
            (
                signed.header.originator_counter,
                signed.header.supplementary_originator_counter
            ),
            (1, Some(8))
        );
        let SignedBody::Response {
            payload: Some(payload), ..
        } = signed.body
        else {
            panic!("no payload")
        };
        assert_eq!(payload.name, "ReadInstantaneousImportRegistersRsp");
        assert!(rig.alerts.is_empty());
    });
}

#[test]
fn a_critical_step_goes_out_with_its_approval_on_the_critical_association() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        rig.send(id(ESME, 1), &rig.disable(1)).await;
        rig.listen(HOUR).await;
        assert_eq!(rig.only_response().response_code, "I0");
        let script = rig.script.lock();
        let critical: Vec<_> = script
            .executed
            .iter()
            .filter(|(_, _, op, _)| op.changes_state())
            .collect();
        assert_eq!(critical.len(), 1);
        assert!(
            critical[0].3 && critical[0].1.association == Association::Critical,
            "{critical:?}"
        );
    });
}

#[test]
fn the_same_request_again_gets_the_same_outcome_and_executes_nothing() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        let request = rig.disable(1);
        for wait in [SimDuration::ZERO, HOUR, HOUR] {
            rig.send(id(ESME, 1), &request).await;
            rig.send(id(ESME, 1), &request).await;
            rig.listen(wait).await;
        }
        assert_eq!(rig.executed("disable"), 1);
        assert_eq!(rig.accepted.len(), 6);
        assert!(rig.responses.len() >= 2 && rig.responses.windows(2).all(|two| two[0] == two[1]));
    });
}

#[test]
fn a_response_is_sent_until_it_is_taken() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        rig.confirm = false;
        rig.send(id(ESME, 1), &rig.read(1)).await;
        rig.listen(HOUR).await;
        let sent = rig.responses.len();
        assert!(
            sent > 3 && rig.responses.windows(2).all(|two| two[0] == two[1]),
            "{sent}"
        );
        // Not even a restart lets it be forgotten.
        rig.restart().await;
        rig.confirm = true;
        rig.listen(HOUR).await;
        assert_eq!(rig.responses.len(), sent + 1);
        rig.restart().await;
        rig.listen(HOUR).await;
        assert_eq!(rig.responses.len(), sent + 1);
    });
}

#[test]
fn a_cut_hop_is_named_in_one_clear_outcome() {
    for (peer, code, hop, alert) in [
        ("dco", "E1007", "dco", "LAB-DCO-TIMEOUT"),
        ("wan", "E20", "wan", "LAB-WAN-UNREACHABLE"),
    ] {
        virtually(|| async move {
            let mut rig = Rig::new(Shared::default());
            rig.world.faults.cut("s1sp", peer);
            rig.send(id(ESME, 1), &rig.disable(1)).await;
            rig.listen(HOUR).await;
            let response = rig.only_response();
            assert_eq!(
                (response.response_code.as_str(), response.failed_hop.as_str()),
                (code, hop),
                "{response:?}"
            );
            assert!(response.signed_response_xml.is_empty() && !response.reason.is_empty());
            assert_eq!(rig.executed("disable"), 0);
            assert_eq!(rig.alerts.len(), 1);
            assert!(rig.alerts[0].is_s1sp_alert);
            let xml = duis::read_s1sp_alert(&rig.alerts[0].signed_xml).unwrap();
            assert_eq!((xml.code.as_str(), xml.request_id), (alert, Some(id(ESME, 1))));
            assert!(duis::signature::verify(&rig.alerts[0].signed_xml, rig.parties.book.as_ref()).is_ok());
        });
    }
}

#[test]
fn a_hub_that_does_not_come_is_blamed_on_the_fleet() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().lose_texts = 99;
        script.lock().confirm_texts = true;
        let mut rig = Rig::new(script);
        rig.send(id(ESME, 1), &rig.read(1)).await;
        rig.listen(HOUR).await;
        let response = rig.only_response();
        assert_eq!(
            (response.response_code.as_str(), response.failed_hop.as_str()),
            ("E20", "fleet"),
            "{response:?}"
        );
    });
}

#[test]
fn a_refusal_of_the_dco_is_the_outcome() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        let request = rig.disable(1);
        rig.world.clock.sleep(HOUR + HOUR).await;
        rig.send(id(ESME, 1), &request).await;
        rig.listen(HOUR).await;
        let response = rig.only_response();
        assert_eq!(
            (response.response_code.as_str(), response.failed_hop.as_str()),
            ("E58", "dco"),
            "{response:?}"
        );
        assert!(response.reason.contains("not fresh"), "{}", response.reason);
        assert_eq!(rig.executed("disable"), 0);
    });
}

#[test]
fn what_does_not_apply_to_the_device_never_reaches_it() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        let request = rig.countersigned("7.1", GSME, 1, Element::sr("EnableSupply"));
        rig.send(id(GSME, 1), &request).await;
        rig.listen(HOUR).await;
        assert!(rig.only_response().response_code.starts_with('E'));
        assert_eq!(rig.script.lock().texts, 0);
    });
}

#[test]
fn a_sleeping_gas_meter_answers_late_but_to_its_request() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        let mut rig = Rig::new(script);
        let request = rig.countersigned("7.2", GSME, 1, Element::sr("DisableSupply"));
        rig.send(id(GSME, 1), &request).await;
        rig.listen(HOUR + HOUR).await;
        let response = rig.only_response();
        assert_eq!(response.response_code, "I0", "{response:?}");
        assert_eq!(rig.executed("disable"), 1);
    });
}

/// A gas tariff with its prices: two approved acts at a sleeping meter.
fn gas_tariff() -> Element {
    let tables = TariffTables {
        switching: SwitchingTable::every_day("", vec![(0, TariffAction::Tou(1))]),
        thresholds: vec![vec![30_000]],
        ..TariffTables::default()
    };
    let prices = Prices {
        tou_mp: vec![Some(4_000)],
        ..Prices::default()
    };
    users::orders::update_import_tariff(GSME, users::orders::Fuel::Gas, &tables, &prices).body
}

#[test]
fn the_acts_of_one_gas_request_are_done_in_one_wake() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        let mut rig = Rig::new(script);
        let request = rig.countersigned("1.1.1", GSME, 1, gas_tariff());
        rig.send(id(GSME, 1), &request).await;
        rig.listen(SimDuration::from_mins(37)).await;
        let response = rig.only_response();
        assert_eq!(response.response_code, "I0", "{response:?}");
        let signed = duis::read_signed_response(&response.signed_response_xml).unwrap();
        let SignedBody::Response {
            payload: Some(payload), ..
        } = signed.body
        else {
            panic!("no payload")
        };
        assert_eq!(payload.attribute("MessageSuccess"), Some("true"));
        let script = rig.script.lock();
        let acts: Vec<_> = script
            .executed
            .iter()
            .map(|(slot, access, _, approved)| (*slot, access.association, *approved))
            .collect();
        assert_eq!(acts, [(DeviceKind::Gsme, Association::Critical, true); 2]);
        assert_eq!(script.texts, 1);
    });
}

#[test]
fn an_act_of_a_gas_request_that_is_refused_stops_those_that_follow() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        script.lock().refuse = Some(domain::Refusal::WrongState);
        let mut rig = Rig::new(script);
        let request = rig.countersigned("1.1.1", GSME, 1, gas_tariff());
        rig.send(id(GSME, 1), &request).await;
        rig.listen(HOUR).await;
        let response = rig.only_response();
        let xml = String::from_utf8_lossy(&response.signed_response_xml).into_owned();
        assert_eq!(response.response_code, "I0", "{response:?}");
        assert!(xml.contains("MessageSuccess=\"false\""), "{xml}");
        assert!(
            xml.contains("Position=\"1\"") && xml.contains("Position=\"2\""),
            "{xml}"
        );
        assert!(xml.contains("not tried"), "{xml}");
        assert_eq!(rig.executed("write"), 1);
    });
}

#[test]
fn a_restart_between_the_acts_of_a_gas_request_doubles_none() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().late_after = Some(SimDuration::from_mins(35));
        let mut rig = Rig::new(script);
        let request = rig.countersigned("1.1.1", GSME, 1, gas_tariff());
        rig.send(id(GSME, 1), &request).await;
        // Both are held at the hub.
        rig.listen(SimDuration::from_mins(5)).await;
        assert_eq!(rig.executed("write"), 2);
        rig.restart().await;
        rig.listen(HOUR + HOUR).await;
        let response = rig.only_response();
        assert_eq!(response.response_code, "E21", "{response:?}");
        assert!(response.reason.contains("step 1 and 2"), "{}", response.reason);
        assert_eq!(rig.executed("write"), 2);
    });
}

#[test]
fn a_forged_request_is_rejected_and_uses_nothing_up() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        let genuine = rig.disable(1);
        let forged = seal(genuine.countersigned.to_vec(), &rig.parties.s1sp.key());
        rig.send(id(ESME, 1), &forged).await;
        rig.listen(MINUTE).await;
        assert_eq!(rig.only_response().response_code, "E56");
        assert_eq!(rig.script.lock().texts, 0);
        rig.send(id(ESME, 1), &genuine).await;
        rig.send(id(ESME, 1), &forged).await;
        rig.listen(HOUR).await;
        let codes: Vec<_> = rig
            .responses
            .iter()
            .map(|response| response.response_code.as_str())
            .collect();
        assert_eq!(codes, ["E56", "I0"]);
    });
}

#[test]
fn a_restart_resumes_reads_and_ends_what_may_have_been_executed() {
    virtually(|| async {
        let script = Shared::default();
        script.lock().lose_texts = 1;
        let mut rig = Rig::new(script);
        let clock = rig.countersigned("6.11", ESME, 3, synchronise_clock(noon(), 10));
        for (counter, request) in [(1, rig.read(1)), (2, rig.disable(2)), (3, clock)] {
            rig.send(id(ESME, counter), &request).await;
        }
        rig.listen(MINUTE).await;
        assert!(rig.responses.is_empty() && rig.accepted.len() == 3);
        rig.restart().await;
        rig.listen(HOUR).await;
        let mut outcomes = BTreeMap::new();
        for response in &rig.responses {
            *outcomes
                .entry((response.request_id.clone(), response.response_code.clone()))
                .or_insert(0) += 1;
        }
        let one = |counter, code: &str| ((id(ESME, counter).to_string(), code.to_owned()), 1);
        assert_eq!(outcomes, BTreeMap::from([one(1, "I0"), one(2, "E21"), one(3, "E21")]));
        assert!(rig.executed("disable") <= 1);
    });
}

#[test]
fn beyond_the_limit_requests_end_as_busy() {
    virtually(|| async {
        let mut rig = Rig::with(
            Shared::default(),
            Limits {
                requests_under_way: 1,
                ..Limits::default()
            },
        );
        for counter in 1..=2 {
            rig.send(id(ESME, counter), &rig.read(counter)).await;
        }
        rig.listen(HOUR).await;
        let codes: Vec<_> = rig
            .responses
            .iter()
            .map(|response| response.response_code.as_str())
            .collect();
        assert_eq!(codes, ["E1001", "I0"]);
    });
}

#[test]
fn device_alerts_are_signed_numbered_and_sent() {
    virtually(|| async {
        let script = Shared::default();
        for minutes in [10, 20] {
            let at = noon() + SimDuration::from_mins(minutes);
            let alert = Notification::Alert {
                slot: DeviceKind::Esme,
                code: 0x8F1D,
                description: "lost".into(),
                at,
            };
            script.lock().reports.push((at, alert));
        }
        let mut rig = Rig::new(script);
        rig.listen(HOUR).await;
        assert_eq!(rig.alerts.iter().map(|alert| alert.counter).collect::<Vec<_>>(), [1, 2]);
        let alert = &rig.alerts[0];
        assert!(!alert.is_s1sp_alert && alert.device == ESME.0);
        assert!(duis::signature::verify(&alert.signed_xml, rig.parties.book.as_ref()).is_ok());
        let signed = duis::read_signed_response(&alert.signed_xml).unwrap();
        let SignedBody::Alert(body) = signed.body else {
            panic!("no alert")
        };
        assert_eq!((body.code, body.description.as_deref()), (Some(0x8F1D), Some("lost")));
        assert_eq!((signed.header.originator, signed.header.originator_counter), (ESME, 1));
    });
}

const UTRN: &str = "73946144332040217315";

impl Rig {
    /// A top-up with the published code.
    async fn top_up(&mut self, counter: u64) {
        let body = Element::sr("TopUpDevice").with_leaf("UTRN", UTRN);
        let message = self.countersigned("2.2", ESME, counter, body);
        self.send(id(ESME, counter), &message).await;
        self.listen(HOUR).await;
    }

    /// The digits that reached the meter.
    fn tokens_sent(&self) -> Vec<String> {
        let executed = &self.script.lock().executed;
        let tokens = executed.iter().filter_map(|(_, _, operation, _)| match operation {
            Operation::EnterToken(token) => Some(token.0.clone()),
            _ => None,
        });
        tokens.collect()
    }

    /// The digits that the supplier was given, each by an alert for it alone.
    fn codes_given(&self) -> Vec<String> {
        let codes = self.alerts.iter().filter_map(|alert| {
            assert!(duis::signature::verify(&alert.signed_xml, self.parties.book.as_ref()).is_ok());
            let read = duis::read_s1sp_alert(&alert.signed_xml).unwrap();
            let code = read.utrn?;
            assert_eq!((read.code.as_str(), alert.user), ("LAB-UTRN", USER.0));
            Some(code)
        });
        codes.collect()
    }
}

#[test]
fn a_top_up_becomes_the_meters_own_code_and_the_supplier_is_told_as_the_policy_has_it() {
    use UtrnAlert::{Always, Never, OnFailure};
    use UtrnOrder::{AfterResponse, BeforeResponse};
    let (alert, response) = (Kind::S1spAlert, Kind::S1spResponse);
    // Policy and order, whether the meter is reached, whether the code is told, and what comes first.
    let cases = [
        (Always, BeforeResponse, true, true, vec![alert, response]),
        (Always, AfterResponse, true, true, vec![response, alert]),
        (Always, BeforeResponse, false, true, vec![alert, response, alert]),
        (Always, AfterResponse, false, true, vec![response, alert]),
        (OnFailure, BeforeResponse, true, false, vec![response]),
        (OnFailure, BeforeResponse, false, true, vec![alert, response]),
        (OnFailure, AfterResponse, false, true, vec![response, alert]),
        (Never, BeforeResponse, true, false, vec![response]),
        (Never, BeforeResponse, false, false, vec![response, alert]),
    ];
    for (when, order, reached, told, heard) in cases {
        virtually(|| async move {
            let script = Shared::default();
            script.lock().lose_texts = if reached { 0 } else { 99 };
            script.lock().confirm_texts = !reached;
            let mut rig = Rig::new(script);
            rig.vending = Vending { alert: when, order };
            rig.restart().await;
            rig.top_up(1).await;
            let case = format!("{when:?}, {order:?}, reached {reached}");
            assert_eq!(rig.responses.len(), 1, "{case}");
            assert_eq!(rig.heard, heard, "{case}");
            let (sent, given) = (rig.tokens_sent(), rig.codes_given());
            assert_eq!(
                (sent.len(), given.len()),
                (usize::from(reached), usize::from(told)),
                "{case}"
            );
            for code in sent.iter().chain(&given) {
                assert!(code.len() == 20 && code != UTRN, "{case}: {code}");
            }
            if reached && told {
                assert_eq!(sent, given, "{case}");
            }
        });
    }
}

#[test]
fn one_code_of_a_supplier_is_one_code_of_the_meter() {
    virtually(|| async {
        let mut rig = Rig::new(Shared::default());
        rig.top_up(1).await;
        rig.top_up(2).await;
        let sent = rig.tokens_sent();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0], sent[1], "the meter sees the duplicate");
    });
}

/// Loses, repeats and delays a third of what passes between the S1SP, the DCC and the DCO, by seed.
fn storm(rig: &Rig, seed: u64) {
    let mut index = 0;
    rig.world
        .faults
        .install(move |link: &LinkName, _: &Envelope, _: SimInstant| {
            if !link.joins("s1sp", "d") {
                return Verdict::Pass;
            }
            index += 1;
            match mix(seed, index) % 9 {
                0 => Verdict::Drop,
                1 => Verdict::Duplicate,
                2 => Verdict::Delay(SimDuration::from_secs(mix(seed, index) / 9 % 90)),
                _ => Verdict::Pass,
            }
        });
}

#[test]
fn in_any_storm_each_request_has_one_outcome_and_nothing_is_executed_twice() {
    for seed in 0..12 {
        virtually(|| async move {
            let mut rig = Rig::new(Shared::default());
            storm(&rig, seed);
            let requests: Vec<_> = (1..=6)
                .map(|n| (id(ESME, n), if n % 2 == 0 { rig.read(n) } else { rig.disable(n) }))
                .collect();
            // As the DCC does: again, until it is accepted.
            for round in 0..12 {
                for (id, request) in &requests {
                    if !rig.accepted.contains(&id.to_string()) {
                        rig.send(*id, request).await;
                    }
                }
                rig.listen(MINUTE).await;
                if round == 3 {
                    rig.restart().await;
                }
            }
            rig.listen(HOUR + HOUR).await;
            let mut outcomes: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for response in &rig.responses {
                outcomes
                    .entry(response.request_id.clone())
                    .or_default()
                    .push(response.clone());
            }
            assert_eq!(outcomes.len(), requests.len(), "seed {seed}: {:?}", outcomes.keys());
            for (request, all) in &outcomes {
                assert!(
                    all.windows(2).all(|two| two[0] == two[1]),
                    "seed {seed}: {request} has two outcomes"
                );
            }
            assert!(rig.executed("disable") <= 3, "seed {seed}");
        });
    }
}
