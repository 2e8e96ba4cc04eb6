//! The sleeping gas meter, its queue and its mirror.

use super::*;
use domain::operation::ApprovalFault;
use domain::{Refusal, SupplyState};

const GSME: DeviceKind = DeviceKind::Gsme;
const GPF: DeviceKind = DeviceKind::Gpf;

fn queue(home: &mut Home, operation: &Operation, approval: Option<&Approval>) -> u32 {
    match home.execute(GSME, S1SP, operation, approval) {
        Execution::Queued(ticket) => ticket,
        Execution::Finished(outcome) => panic!("{outcome:?}"),
    }
}

fn hour() -> SimDuration {
    SimDuration::from_hours(1)
}

#[test]
fn a_command_waits_for_the_wake_and_its_result_comes_under_its_ticket() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let asked_at = home.now;
    let disable = Operation::DisableSupply;
    let approval = home.approval_for(GSME, &disable, hour());
    let read = queue(&mut home, &Operation::Read(DataItem::GasConsumption), None);
    let off = queue(&mut home, &disable, Some(&approval));
    assert!(off > read);
    assert_eq!(home.installation.supply(GSME), Some(SupplyState::Enabled));
    let (when, outcome) = home.late_result(read);
    assert!(matches!(outcome, Ok(Answer::Value(Value::Quantity(_)))), "{outcome:?}");
    assert!(when > asked_at && when.since(asked_at) <= SimDuration::from_mins(30));
    assert_eq!(home.installation.supply(GSME), Some(SupplyState::Disabled));
    assert_eq!(
        home.value(GPF, DataItem::SupplyState),
        Value::Supply(SupplyState::Disabled)
    );
}

#[test]
fn results_may_leave_a_wake_later() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, _, _, gsme]| {
        gsme.result_delay_wakes = 1
    });
    let ticket = queue(&mut home, &Operation::Read(DataItem::SupplyState), None);
    let first_wake = home.installation.next_wake();
    let (when, outcome) = home.late_result(ticket);
    assert_eq!(when, first_wake + SimDuration::from_mins(30));
    assert_eq!(outcome, Ok(Answer::Value(Value::Supply(SupplyState::Enabled))));
}

#[test]
fn the_gas_meter_itself_judges_the_approval_when_it_wakes() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, _, _, gsme]| {
        gsme.security_alert_gap = SimDuration::ZERO;
    });
    // Sit just behind a wake, so that the next one is half an hour away.
    let wake = home.installation.next_wake();
    home.run_to(wake + SimDuration::from_secs(1));
    let disable = Operation::DisableSupply;
    let stale = home.approval_for(GSME, &disable, SimDuration::from_mins(20));
    let wrong = home.approval_for(DeviceKind::Esme, &disable, hour());
    let good = home.approval_for(GSME, &disable, hour());
    let tickets = [None, Some(&wrong), Some(&stale), Some(&good), Some(&good)]
        .map(|approval| queue(&mut home, &disable, approval));
    let next = home.installation.next_wake();
    home.run_to(next);
    let mut results = Vec::new();
    for effect in home.effects() {
        match effect {
            Effect::LateResult { ticket, outcome, .. } => results.push((ticket, outcome)),
            Effect::Alert { slot, code, .. } => assert_eq!((slot, code), (GSME, 0x8F53)),
        }
    }
    let refused = |fault| Err(Refusal::Approval(fault));
    let expected = [
        refused(ApprovalFault::Missing),
        refused(ApprovalFault::Wrong),
        refused(ApprovalFault::Stale),
        Ok(Answer::Done),
        refused(ApprovalFault::Replayed),
    ];
    assert_eq!(results, tickets.into_iter().zip(expected).collect::<Vec<_>>());
}

#[test]
fn what_follows_a_refusal_in_its_request_is_left_undone_also_in_a_later_wake() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[_, _, _, gsme]| {
        gsme.security_alert_gap = SimDuration::ZERO;
    });
    let disable = Operation::DisableSupply;
    let make = |home: &mut Home, like: Option<&Approval>, slot| {
        let mut approval = home.approval_for(slot, &disable, hour() + hour());
        if let Some(first) = like {
            // The same request, and its MAC with it: what a DCO does for a second step.
            let device = home.installation.device(slot).expect("the device exists");
            let key = home
                .relations
                .dco
                .epoch_key(device, home.installation.epoch(slot), None, Purpose::Approval);
            approval = Approval::make(
                &key,
                device,
                &disable,
                first.request,
                approval.counter,
                approval.expires_at,
            );
            approval.follows = true;
        }
        approval
    };
    let refused = make(&mut home, None, DeviceKind::Esme);
    let follows = make(&mut home, Some(&refused), GSME);
    let later = make(&mut home, Some(&refused), GSME);
    let other = make(&mut home, None, GSME);
    let [bad, left] = [&refused, &follows].map(|approval| queue(&mut home, &disable, Some(approval)));
    let wrong = Err(Refusal::Approval(ApprovalFault::Wrong));
    assert_eq!(results(&mut home), [(bad, wrong), (left, Err(Refusal::NotTried))]);
    // A restart of the hub between the two keeps it.
    let (octets, config) = (home.installation.durable(), home.config.clone());
    let restored = home.act(|_, context| Installation::restore(&config, context, &octets));
    home.installation = restored.expect("our own octets");
    let [left, done] = [&later, &other].map(|approval| queue(&mut home, &disable, Some(approval)));
    let expected = [(left, Err(Refusal::NotTried)), (done, Ok(Answer::Done))];
    assert_eq!(results(&mut home), expected);
    assert_eq!(home.installation.supply(GSME), Some(SupplyState::Disabled));
}

/// What the next wake brings.
fn results(home: &mut Home) -> Vec<(u32, Outcome)> {
    home.run(SimDuration::from_mins(30));
    let effects = home.effects();
    let results = effects.into_iter().filter_map(|effect| match effect {
        Effect::LateResult { ticket, outcome, .. } => Some((ticket, outcome)),
        Effect::Alert { .. } => None,
    });
    results.collect()
}

#[test]
fn the_queue_is_bounded_and_forgets_in_the_end() {
    let mut home = Home::with("2019-05-02T08:00:00Z", config(), |[chf, _, _, gsme]| {
        chf.han_queue_entries = 2;
        chf.han_queue_lifetime = SimDuration::from_hours(3);
        gsme.han_loss_permille = 1000;
    });
    let read = Operation::Read(DataItem::SupplyState);
    let tickets = [queue(&mut home, &read, None), queue(&mut home, &read, None)];
    assert_eq!(home.finished(GSME, S1SP, &read, None), Err(Refusal::Busy));
    let (when, outcome) = home.late_result(tickets[0]);
    assert_eq!(outcome, Err(Refusal::Unreachable));
    let waited = when.since(at("2019-05-02T08:00:00Z"));
    assert!(
        waited > SimDuration::from_hours(3) && waited <= SimDuration::from_mins(211),
        "{waited}"
    );
}

#[test]
fn the_mirror_shows_the_last_report_not_the_present() {
    let mut home = Home::new("2019-01-10T08:00:00Z", config());
    let wake = home.installation.next_wake();
    home.run_to(wake);
    let reported = home.number(GPF, DataItem::GasConsumption);
    home.run(SimDuration::from_mins(29));
    assert_eq!(home.number(GPF, DataItem::GasConsumption), reported);
    let truth = home.act(|installation, context| installation.truth(context, GSME, DataItem::GasConsumption));
    assert!(
        matches!(truth, Some(Value::Quantity(quantity)) if quantity.value > reported),
        "{truth:?}"
    );
    home.run(SimDuration::from_mins(1));
    assert!(home.number(GPF, DataItem::GasConsumption) > reported);
    let rows = home.log(GPF, LogKind::ActiveImport, SimInstant(0), home.now);
    assert_eq!(rows.len(), 396 * 48);
    let days = home.log(GPF, LogKind::DailyRead, SimInstant(0), home.now);
    assert_eq!(days.len(), 14);
    let between: Vec<_> = rows
        .iter()
        .filter(|row| row.at > days[0].at && row.at <= days[13].at)
        .cloned()
        .collect();
    assert_eq!(days[13].values[0].1.value - days[0].values[0].1.value, sum(&between));
}

#[test]
fn a_report_may_take_its_time_into_the_mirror() {
    let mut home = Home::with("2019-01-10T08:00:00Z", config(), |[_, _, gpf, _]| {
        gpf.mirror_lag = SimDuration::from_mins(10);
    });
    let before = home.number(GPF, DataItem::GasConsumption);
    let wake = home.installation.next_wake();
    home.run_to(wake + SimDuration::from_mins(9));
    assert_eq!(home.number(GPF, DataItem::GasConsumption), before);
    home.run(SimDuration::from_mins(1));
    assert!(home.number(GPF, DataItem::GasConsumption) > before);
}

#[test]
fn gas_is_armed_and_the_consumer_opens_the_valve() {
    let mut home = Home::new("2019-01-10T08:00:00Z", config());
    for operation in [Operation::DisableSupply, Operation::ArmSupply] {
        let approval = home.approval_for(GSME, &operation, hour());
        let ticket = queue(&mut home, &operation, Some(&approval));
        assert_eq!(home.late_result(ticket).1, Ok(Answer::Done));
    }
    assert_eq!(home.installation.supply(GSME), Some(SupplyState::Armed));
    home.act(|installation, context| installation.press_restore_supply(context, GSME))
        .expect("armed");
    assert_eq!(home.installation.supply(GSME), Some(SupplyState::Enabled));
    // The mirror hears of it at the next wake.
    assert_eq!(
        home.value(GPF, DataItem::SupplyState),
        Value::Supply(SupplyState::Armed)
    );
    home.run(SimDuration::from_mins(30));
    assert_eq!(
        home.value(GPF, DataItem::SupplyState),
        Value::Supply(SupplyState::Enabled)
    );
}

#[test]
fn a_clock_command_does_not_age_in_the_queue() {
    let mut home = Home::with("2019-01-10T08:00:00Z", config(), |[_, _, _, gsme]| {
        gsme.clock_drift_ppm_max = 10_000
    });
    home.run(SimDuration::from_hours(20));
    let operation = Operation::SynchroniseClock {
        time: home.now,
        tolerance_s: 0,
    };
    let approval = home.approval_for(GSME, &operation, SimDuration::from_hours(2));
    let ticket = queue(&mut home, &operation, Some(&approval));
    assert_eq!(home.late_result(ticket).1, Ok(Answer::Done));
    let set_at = home.now;
    let ticket = queue(&mut home, &Operation::Read(DataItem::Clock), None);
    let (read_at, outcome) = home.late_result(ticket);
    let Ok(Answer::Value(Value::Clock(time, _))) = outcome else {
        panic!("{outcome:?}")
    };
    let drifted = (read_at.0 - set_at.0) / 100;
    assert!((time.0 - read_at.0).abs() <= drifted, "{} ms off", time.0 - read_at.0);
}

#[test]
fn wakes_are_half_hours_apart_and_missing_some_is_harmless() {
    let mut home = Home::new("2019-01-10T08:00:00Z", config());
    let first = home.installation.next_wake();
    home.run_to(first);
    assert_eq!(home.installation.next_wake(), first + SimDuration::from_mins(30));
    let mut late = Home::new("2019-01-10T08:00:00Z", config());
    home.run(SimDuration::from_hours(9));
    late.now = home.now;
    late.act(|installation, context| installation.wake(context));
    assert_eq!(late.installation, home.installation);
    late.act(|installation, context| installation.wake(context));
    assert_eq!(late.installation, home.installation);
}
