//! Load limiting, tamper, alert behaviour, and what the customer is shown.

use super::*;
use domain::operation::{AlertBehaviour, Counter, LoadLimit, Setting};
use domain::{Refusal, SupplyState};

const ESME: DeviceKind = DeviceKind::Esme;

fn limit(threshold_w: u32, disables: bool) -> Setting {
    Setting::LoadLimit(LoadLimit {
        period_s: 300,
        threshold_w,
        restoration_s: 600,
        disables,
    })
}

/// A threshold that the evening of 2 May 2019 goes over and the afternoon does not.
fn evening_threshold(home: &mut Home) -> u32 {
    let mut twin = Home::new("2019-05-02T23:30:00Z", home.config.clone());
    let rows = twin.log(
        ESME,
        LogKind::ActiveImport,
        at("2019-05-02T12:00:01Z"),
        at("2019-05-02T22:00:00Z"),
    );
    let watts = |row: &LogRow| row.values[0].1.value * 2;
    let peak = rows.iter().map(watts).max().expect("rows");
    u32::try_from(peak - 1).expect("positive")
}

#[test]
fn a_load_above_the_limit_cuts_the_supply_for_a_while() {
    let mut home = Home::new("2019-05-02T12:00:00Z", config());
    let threshold = evening_threshold(&mut home);
    home.set(limit(threshold, true)).expect("taken");
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    home.run_to(at("2019-05-02T22:00:00Z"));
    let alerts = home.alerts();
    let acted: Vec<_> = alerts.iter().filter(|alert| alert.1 == 0x8F33).collect();
    let back: Vec<_> = alerts.iter().filter(|alert| alert.1 == 0x8F34).collect();
    assert!(!acted.is_empty(), "{alerts:?}");
    assert_eq!(acted.len(), back.len());
    for (off, on) in acted.iter().zip(&back) {
        assert_eq!(on.2.since(off.2), SimDuration::from_secs(600));
    }
    // Five minutes into the half-hour with the peak.
    assert_eq!(acted[0].2.0.rem_euclid(1_800_000), 300_000);
    let trips = i64::try_from(acted.len()).expect("few");
    assert_eq!(home.number(ESME, DataItem::LoadLimitCounter), trips);
    assert_eq!(home.value(ESME, DataItem::LoadLimitActive), Value::Flag(false));
    let reset = Operation::ResetCounters(vec![Counter::LoadLimit]);
    home.finished(ESME, S1SP, &reset, None).expect("done");
    assert_eq!(home.number(ESME, DataItem::LoadLimitCounter), 0);
}

#[test]
fn a_trip_may_leave_the_rest_to_the_consumer_or_only_count() {
    let mut arms = Home::with("2019-05-02T12:00:00Z", config(), |[_, esme, ..]| {
        esme.load_limit.trip_arms = true;
    });
    let threshold = evening_threshold(&mut arms);
    arms.set(limit(threshold, true)).expect("taken");
    let (config, octets) = (arms.config.clone(), arms.installation.durable());
    arms.installation = arms
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("ours");
    arms.run_to(at("2019-05-02T23:00:00Z"));
    assert_eq!(arms.installation.supply(ESME), Some(SupplyState::Armed));
    let mut counts = Home::new("2019-05-02T12:00:00Z", super::config());
    counts.set(limit(threshold, false)).expect("taken");
    counts.run_to(at("2019-05-02T22:00:00Z"));
    assert_eq!(counts.installation.supply(ESME), Some(SupplyState::Enabled));
    assert_eq!(counts.number(ESME, DataItem::LoadLimitCounter), 1);
    assert_eq!(counts.set(limit(200_000, true)), Err(Refusal::OutOfRange));
}

#[test]
fn an_opened_meter_cuts_its_supply_where_that_is_set() {
    let mut home = Home::new("2019-05-02T12:00:00Z", config());
    home.act(|installation, context| installation.tamper(context, ESME))
        .expect("a meter");
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    home.run(SimDuration::from_mins(5));
    home.set(Setting::SupplyTamperLocks(true)).expect("taken");
    home.act(|installation, context| installation.tamper(context, ESME))
        .expect("a meter");
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    let opened = home
        .codes(ESME, LogKind::Event)
        .into_iter()
        .filter(|code| *code == 0x81F8);
    assert_eq!(opened.count(), 2);
    assert_eq!(home.approved(&Operation::ArmSupply), Ok(Answer::Done));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
}

#[test]
fn alerts_and_log_entries_follow_what_the_supplier_switched() {
    let mut home = Home::new("2019-05-02T12:00:00Z", config());
    let behaviour = AlertBehaviour {
        wan: vec![(0x8161, true), (0x8F32, false)],
        logged: vec![(0x8161, false)],
        ..AlertBehaviour::default()
    };
    home.set(Setting::AlertBehaviour(behaviour)).expect("taken");
    assert_eq!(home.approved(&Operation::DisableSupply), Ok(Answer::Done));
    assert_eq!(home.approved(&Operation::ArmSupply), Ok(Answer::Done));
    home.act(|installation, context| installation.press_restore_supply(context, ESME))
        .expect("armed");
    let codes: Vec<u16> = home.alerts().iter().map(|alert| alert.1).collect();
    assert_eq!(codes, [0x8161], "usually only logged; the other is switched off");
    assert_eq!(home.codes(ESME, LogKind::Event), [0x8F32]);
}

#[test]
fn what_the_customer_sees_is_what_was_sent() {
    let mut home = Home::new("2019-05-02T12:00:00Z", config());
    let ask = |home: &mut Home, operation: Operation| home.finished(ESME, S1SP, &operation, None);
    let message = "Your meter will be read on Monday";
    assert_eq!(
        ask(&mut home, Operation::DisplayMessage(message.into())),
        Ok(Answer::Done)
    );
    assert_eq!(home.value(ESME, DataItem::SupplierMessage), Value::Text(message.into()));
    for wrong in [String::new(), "x".repeat(117), "line\nbreak".into()] {
        assert_eq!(
            ask(&mut home, Operation::DisplayMessage(wrong)),
            Err(Refusal::OutOfRange)
        );
    }
    home.act(|installation, context| installation.set_privacy_pin(context, ESME))
        .expect("a meter");
    assert_eq!(home.value(ESME, DataItem::PrivacyPinEnabled), Value::Flag(true));
    assert_eq!(ask(&mut home, Operation::DisablePrivacyPin), Ok(Answer::Done));
    assert_eq!(home.value(ESME, DataItem::PrivacyPinEnabled), Value::Flag(false));
    let before = at("2019-05-01T00:00:00Z");
    assert_eq!(ask(&mut home, Operation::RestrictAccess { before }), Ok(Answer::Done));
    match home.value(ESME, DataItem::AccessRestrictedFrom) {
        Value::Clock(from, _) => assert_eq!(from, before),
        other => panic!("{other:?}"),
    }
    let number = Operation::ShowCustomerIdentification("004711".into());
    assert_eq!(ask(&mut home, number), Ok(Answer::Done));
    assert_eq!(
        ask(&mut home, Operation::ShowCustomerIdentification("4a".into())),
        Err(Refusal::OutOfRange)
    );
    let gas = home.ask_gas(&Operation::DisplayMessage(message.into()));
    assert_eq!(gas, Ok(Answer::Done));
}

#[test]
fn prepayment_that_begins_without_credit_keeps_the_supply_until_credit_runs_out() {
    use domain::operation::{PaymentMode, PaymentSetting};
    let mut config = config();
    config.account.balance_mp = -1_000;
    config.account.emergency_limit_mp = 0;
    let mut home = Home::new("2019-05-02T12:00:00Z", config);
    let prepay = Setting::PaymentMode(PaymentSetting {
        mode: PaymentMode::Prepayment,
        suspend_debt_disabled: false,
        suspend_debt_emergency: false,
        disablement_threshold_mp: 0,
    });
    home.set(prepay).expect("taken");
    home.run(SimDuration::from_hours(6));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Enabled));
    let owed = -home.number(ESME, DataItem::MeterBalance);
    home.finished(ESME, S1SP, &Operation::AdjustBalance(owed + 1_000), None)
        .expect("done");
    home.run(SimDuration::from_hours(6));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
}
