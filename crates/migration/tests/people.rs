//! Rules for people: changes of supplier at every state, vulnerable customers, prepayment.

mod house;

use domain::SimDuration;
use house::{ACTIVE, Fault, GAINING, House, Kind, MONDAY, SUPPLIER, id, mpan};
use jiff::civil::{Weekday, time};
use migration::day::{day_of, instant, plus_days};
use migration::machine::State;
use migration::machine::event::Event;

/// What becomes of an installation that changes supplier in a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// Its authorisation ends; nothing is left frozen.
    Cancelled,
    /// It has no authorisation that could end.
    Same,
    /// It goes on for the gaining supplier.
    GoesOn,
}

/// Stretches every piece of work, so that each state can be met.
fn slowed(kind: Kind, script: house::Script) -> House {
    let mut house = House::new(&[kind], script);
    let words = [
        "extract",
        "freeze",
        "deliver",
        "secrets",
        "viability",
        "probe",
        "rotate",
        "activate",
        "step",
        "outcome",
        "decommission",
    ];
    house.slow = words.map(|word| (word, SimDuration::from_mins(10))).to_vec();
    house
}

/// Runs until the installation is in a state.
fn until(house: &mut House, state: State) {
    let last = instant(plus_days(MONDAY, 3), time(0, 0, 0, 0));
    loop {
        let next = house.now + SimDuration::from_mins(1);
        house.run_until(next);
        let known = house.control().campaign().installation(id(1));
        if known.is_some_and(|known| known.state == state) {
            return;
        }
        assert!(house.now < last, "{state} was never met");
    }
}

fn churn(house: &mut House, days: i32) {
    let now = house.now;
    let day = plus_days(day_of(now), days);
    let control = house.control.as_mut().expect("open");
    control
        .change_of_supplier(now, mpan(1), GAINING, true, day)
        .expect("written");
}

#[test]
fn a_change_of_supplier_at_every_state() {
    use State::*;
    use Then::{GoesOn, Same};
    let hub: &'static str = format!("rotate-{}", id(1).0).leak();
    let strands = vec![(id(1), hub, None, Fault::Finds("hub-silent"))];
    let fails = |work, kind| vec![(id(1), work, None, Fault::Finds(kind))];
    let cases = [
        (Discovered, fails("extract", "data-incomplete"), Same),
        (NeedsFirmware, fails("upgrade", "image-missing"), Same),
        (Eligible, Vec::new(), Same),
        (Authorised, Vec::new(), Then::Cancelled),
        (Slotted, Vec::new(), Then::Cancelled),
        (Frozen, Vec::new(), Then::Cancelled),
        (DataValidated, Vec::new(), Then::Cancelled),
        (SecretsDelivered, Vec::new(), Then::Cancelled),
        (S1spViable, Vec::new(), Then::Cancelled),
        (KeysRotated, Vec::new(), GoesOn),
        (Commissioning, Vec::new(), GoesOn),
        (Commissioned, Vec::new(), GoesOn),
        (Confirmed, Vec::new(), GoesOn),
        (Stranded, strands, GoesOn),
        (RetryWait, fails("deliver", "shape-wrong"), Then::Cancelled),
    ];
    for (state, script, then) in cases {
        let kind = Kind {
            old_firmware: state == NeedsFirmware,
            ..ACTIVE
        };
        // It takes effect today; and far away, where a migration under way goes on.
        let mut house = slowed(kind, script.clone());
        until(&mut house, state);
        churn(&mut house, 0);
        house.parties.script.clear();
        house.run();
        let known = house.control().campaign().installation(id(1)).expect("known");
        let text = format!("{state}: {} {:?}", known.state, known.last_failure);
        assert_eq!(known.facts.points[0].supplier, GAINING, "{text}");
        match then {
            Then::Cancelled => {
                assert_eq!(known.state, Cancelled, "{text}");
                assert!(
                    known.points[0].authorisation.is_none(),
                    "the gaining supplier must authorise: {text}"
                );
                assert!(
                    house.parties.frozen.is_empty() && house.parties.secrets.is_empty(),
                    "{text}"
                );
                assert!(house.parties.truth.values().all(|truth| !truth.with_dcc), "{text}");
            }
            Same => assert!(known.state.is_before_frozen() && known.attempt.number == 0, "{text}"),
            GoesOn => {
                assert_eq!(known.state, Migrated, "{text}");
                assert!(house.notes(1).contains(&"LAB-CO-07".to_owned()), "{text}");
            }
        }
        if state.is_frozen() {
            let mut house = slowed(kind, script);
            until(&mut house, state);
            churn(&mut house, 9);
            house.run();
            assert_eq!(house.state(1), Migrated, "far away, from {state}");
        }
    }
    // What is over stays over.
    let mut house = slowed(ACTIVE, Vec::new());
    until(&mut house, Migrated);
    churn(&mut house, 0);
    house.run();
    assert_eq!(house.state(1), Migrated);
}

#[test]
fn a_slot_given_up_for_a_change_is_free_again() {
    let mut house = slowed(ACTIVE, Vec::new());
    until(&mut house, State::Slotted);
    churn(&mut house, 1);
    house.run();
    let failed = house.store.entries().into_iter().find_map(|entry| match entry.event {
        Event::Failed { failure, .. } => Some((failure.code, failure.counted, entry.change)),
        _ => None,
    });
    let change = Some((State::Slotted, State::RetryWait));
    assert_eq!(failed, Some(("LAB-DV-07".to_owned(), false, change)));
}

#[test]
fn one_fuel_that_changes_to_a_supplier_without_smart_service_makes_it_mixed() {
    let mut house = slowed(ACTIVE, Vec::new());
    until(&mut house, State::Eligible);
    let now = house.now;
    let control = house.control.as_mut().expect("open");
    control
        .change_of_supplier(now, house::mprn(1), GAINING, false, day_of(now))
        .expect("written");
    house.run_until(house.now + SimDuration::from_mins(1));
    let known = house.control().campaign().installation(id(1)).expect("known");
    assert_eq!(known.facts.installation_type(), migration::InstallationType::Mixed);
    assert_eq!(known.facts.points[0].supplier, SUPPLIER);
}

#[test]
fn a_vulnerable_customer_is_left_alone_from_friday_to_sunday() {
    let kind = Kind {
        vulnerable: true,
        ..ACTIVE
    };
    // Authorised for the end of the week only: no day is left.
    let from = plus_days(MONDAY, 4);
    let mut house = House::spoilt(
        &[kind, ACTIVE],
        Vec::new(),
        migration::Settings::builtin().expect("built-in settings"),
        house::MortalStore::new(None, 0),
        |draft, _| draft.rows.iter_mut().for_each(|row| row.not_before = from),
    );
    house.run();
    assert_eq!((house.state(1), house.state(2)), (State::Cancelled, State::Migrated));
    // Failing on Thursday, it waits for Monday.
    let script = (0..4)
        .map(|nth| (id(1), "deliver", Some(nth), Fault::Finds("credit-under-margin")))
        .collect();
    let mut house = House::new(&[kind], script);
    house.run();
    assert_eq!(house.state(1), State::Migrated);
    let slots = house.store.entries().into_iter().filter_map(|entry| match entry.event {
        Event::Slotted { day, .. } => Some(day.weekday()),
        _ => None,
    });
    let slots: Vec<Weekday> = slots.collect();
    use Weekday::{Monday, Thursday, Tuesday, Wednesday};
    assert_eq!(slots, [Monday, Tuesday, Wednesday, Thursday, Monday]);
}
