//! One installation after the other through the state machine: the main path, and each way off it.

mod house;

use domain::{SimDuration, SimInstant};
use house::{ACTIVE, DORMANT, ELECTRICITY, Fault, House, MIXED, MONDAY, MortalStore, OLD, id};
use jiff::civil::time;
use migration::Settings;
use migration::day::{instant, plus_days};
use migration::machine::State;
use migration::machine::event::{CaseAct, Event};
use migration::machine::operator::{CaseFilter, Operator};
use migration::settings::Owner;

fn mcc() -> Operator {
    Operator {
        name: "mcc-1".into(),
        role: Owner::Mcc,
    }
}

/// The instant `hour` o'clock on the day so many days after the first slot day.
fn at(days: i32, hour: i8) -> SimInstant {
    instant(plus_days(MONDAY, days), time(hour, 0, 0, 0))
}

#[test]
fn active_dormant_mixed_and_upgraded_installations_migrate() {
    let mut house = House::new(&[ACTIVE, DORMANT, MIXED, OLD, ELECTRICITY], Vec::new());
    house.run();
    let states: Vec<State> = (1..=5).map(|n| house.state(n)).collect();
    assert_eq!(states, [State::Migrated; 5]);
    assert!(
        house
            .parties
            .truth
            .values()
            .all(|truth| truth.with_dcc && truth.epoch == 2)
    );
    assert_eq!(house.parties.removed.len(), 5);
}

#[test]
fn a_hub_that_never_rotates_strands_the_installation_and_a_late_answer_recovers_it() {
    let hub = id(1).0;
    let word: &'static str = format!("rotate-{hub}").leak();
    let mut house = House::new(&[ACTIVE], vec![(id(1), word, None, Fault::Finds("hub-silent"))]);
    house.run_until(at(1, 23));
    assert_eq!(house.state(1), State::Stranded);
    assert!(house.cases(1).contains(&"LAB-KR-03".to_owned()), "{:?}", house.cases(1));
    assert_eq!(
        house.parties.truth.values().filter(|truth| truth.with_dcc).count(),
        3,
        "the hub is the last"
    );
    house.parties.script.clear();
    house.run();
    assert_eq!(house.state(1), State::Migrated);
    let open = house
        .control()
        .campaign()
        .cases
        .values()
        .filter(|case| case.is_open())
        .count();
    assert_eq!(open, 0);
    let outcomes = &house.control().campaign().outcomes;
    assert_eq!(
        (outcomes.len(), outcomes[0].result.as_str()),
        (1, "migrated"),
        "one outcome per attempt"
    );
}

#[test]
fn a_withdrawal_ends_what_can_still_be_ended() {
    for (when, state) in [
        (at(-2, 12), State::Cancelled),
        (at(0, 7), State::RolledBack),
        (at(0, 11), State::Migrated),
    ] {
        let mut house = House::new(&[ELECTRICITY], Vec::new());
        // Withdrawals are taken until the week is over: the cut-off is for authorisations.
        let mut draft = house.authorisation(&[ELECTRICITY], MONDAY);
        draft.rows[0].withdraw = true;
        draft.name = draft.name.replace("_080000", "_090000");
        draft.password_name = draft.password_name.replace("_080000", "_090000");
        let files = draft.files(&house.settings).expect("protected");
        let sent = at(-6, 12);
        house.at(when, move |control, now| {
            for file in &files {
                let file = migration::planning::intake::ReceivedFile {
                    at: sent,
                    ..file.clone()
                };
                control.receive(now, file)?;
            }
            Ok(())
        });
        house.run();
        assert_eq!(house.state(1), state, "withdrawn at {when}");
        assert!(
            house.parties.frozen.is_empty() == (state != State::Migrated),
            "withdrawn at {when}"
        );
    }
}

#[test]
fn people_act_on_exceptions_one_by_one_and_in_bulk() {
    let script = vec![
        (id(1), "viability", None, Fault::Finds("serial-differs")),
        (id(2), "extract", None, Fault::Finds("data-incomplete")),
        (id(3), "extract", None, Fault::Finds("data-incomplete")),
        (id(4), "deliver", None, Fault::Finds("signature-bad")),
    ];
    let mut house = House::new(&[ACTIVE; 4], script);
    house.run_until(at(0, 22));
    house.parties.script.clear();
    let control = house.control.as_mut().expect("open");
    let supplier = Operator {
        name: "s".into(),
        role: Owner::Supplier,
    };
    let now = house.now;
    // One after the other.
    let error = control
        .decide(now, &supplier, id(4), State::RetryWait, "looks fine")
        .expect_err("quarantined");
    assert!(error.to_string().contains("only the MCC"), "{error}");
    let error = control
        .decide(now, &mcc(), id(4), State::Frozen, "")
        .expect_err("not where it was");
    assert!(error.to_string().contains("the decision can be"), "{error}");
    control
        .decide(now, &mcc(), id(4), State::RetryWait, "certificate renewed")
        .expect("decided");
    control
        .decide(now, &mcc(), id(1), State::Discovered, "serial number corrected")
        .expect("decided");
    // In bulk.
    let cases = control.cases(&CaseFilter {
        code: Some("LAB-PR-01".into()),
        ..CaseFilter::default()
    });
    assert_eq!(cases.len(), 2);
    for act in [
        CaseAct::Claim,
        CaseAct::Note("data came".into()),
        CaseAct::Retry,
        CaseAct::Resolve("data came".into()),
    ] {
        let done = control.act(now, &mcc(), &cases, &act);
        assert!(done.iter().all(|(_, result)| result.is_ok()), "{act:?} {done:?}");
    }
    let done = control.act(now, &mcc(), &cases, &CaseAct::Claim);
    assert!(
        done.iter().all(|(_, result)| result.is_err()),
        "resolved cases are closed"
    );
    let history: Vec<_> = control.campaign().cases[&cases[0]]
        .history
        .iter()
        .map(|(_, who, what)| (who.as_str(), what.as_str()))
        .collect();
    assert_eq!(
        history,
        [
            ("mcc-1", "claimed"),
            ("mcc-1", "noted: data came"),
            ("mcc-1", "retried"),
            ("mcc-1", "resolved: data came")
        ]
    );
    house.run();
    let states: Vec<State> = (1..=4).map(|n| house.state(n)).collect();
    assert_eq!(states[1..], [State::Migrated; 3]);
}

#[test]
fn roll_back_is_refused_after_the_point_of_no_return() {
    let script = vec![
        (id(1), "step-3", None, Fault::Finds("certificate-revoked")),
        (id(2), "viability", None, Fault::Finds("wan-down")),
    ];
    let mut house = House::new(&[ELECTRICITY; 2], script);
    house.run_until(at(0, 18));
    assert_eq!(house.state(1), State::Commissioning);
    let control = house.control.as_mut().expect("open");
    let cases = control.cases(&CaseFilter {
        code: Some("LAB-CO-05".into()),
        ..CaseFilter::default()
    });
    let done = control.act(house.now, &mcc(), &cases, &CaseAct::RollBack);
    let error = done[0].1.as_ref().expect_err("refused").to_string();
    assert!(error.contains("no way but forward"), "{error}");
}

#[test]
fn too_many_failures_pause_a_cohort_and_a_pause_ends() {
    let mut settings = Settings::builtin().expect("built-in settings");
    settings.ramp[0].cap_per_day = 100;
    settings.retry.batch_stop.window = 5;
    let script = (1..=20)
        .map(|n| (id(n), "deliver", Some(0), Fault::Finds("credit-under-margin")))
        .collect();
    let mut house = House::with(&[ELECTRICITY; 40], script, settings, MortalStore::new(None, 0));
    house.run();
    let pauses = house.store.entries().into_iter().filter(
        |entry| matches!(&entry.event, Event::CohortPaused { code, .. } if code == migration::machine::BATCH_STOP),
    );
    let pauses: Vec<SimInstant> = pauses.map(|entry| entry.at).collect();
    assert!(!pauses.is_empty());
    let resumed = house
        .store
        .entries()
        .into_iter()
        .find(|entry| matches!(entry.event, Event::CohortResumed { .. }));
    assert_eq!(
        resumed.map(|entry| entry.at),
        Some(pauses[0] + SimDuration::from_mins(60))
    );
    assert!(
        (1..=40).all(|n| house.state(n) == State::Migrated),
        "{:#?}",
        house.outcomes()
    );
}

#[test]
fn a_dormant_notice_is_good_for_one_attempt() {
    let script = vec![(id(1), "deliver", Some(0), Fault::Finds("not-on-epcl"))];
    let mut house = House::new(&[DORMANT], script);
    house.run();
    assert_eq!(house.state(1), State::Migrated);
    let entries = house.store.entries();
    let used: Vec<String> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Authorised { mpxn, authorisation } if *mpxn == house::mpan(1) => Some(authorisation.by.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(used.len(), 2, "cancelled once, and given another notice: {used:?}");
    assert_ne!(
        used[0], used[1],
        "the notice of the attempt that was cancelled is used up"
    );
    let attempts = entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::Slotted { .. }));
    let days: Vec<_> = attempts.map(|entry| entry.at).collect();
    let notice = u64::from(house.settings.calendar.dormant.migration_notice_days);
    assert!(
        days[1].since(days[0]) >= SimDuration::from_hours(24 * (notice - 1)),
        "it is announced anew, so many days ahead: {days:?}"
    );
}
