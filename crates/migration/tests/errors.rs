//! Each code of the error table, injected: what it comes to is what the table says. The list of injections is compared with
//! the table: a code without one is a failure.

mod house;

use std::collections::{BTreeMap, BTreeSet};

use domain::{SimDuration, SimInstant};
use house::{
    ACTIVE, ELECTRICITY, Fault, GAINING, House, Kind, MONDAY, MortalStore, OLD, SUPPLIER, WITH_PPMID, id, mpan,
};
use jiff::civil::time;
use migration::Settings;
use migration::day::{instant, plus_days};
use migration::machine::event::Event;
use migration::machine::operator::Operator;
use migration::machine::{BATCH_STOP, State};
use migration::settings::{Class, CohortSlug, ErrorRow, Outcome, Owner, Stage};

/// How one code is injected into one installation.
struct Injection {
    code: &'static str,
    kind: Kind,
    how: How,
}

enum How {
    /// In the work whose word begins so, at its n-th try, or at every one.
    Work(&'static str, Option<usize>, Fault),
    /// In the authorisation of the first of two installations.
    Draft,
    /// With a scene of its own.
    Scene(fn(&ErrorRow)),
}

fn work(code: &'static str, kind: Kind, word: &'static str, nth: Option<usize>, fault: Fault) -> Injection {
    let how = How::Work(word, nth, fault);
    Injection { code, kind, how }
}

fn finds(code: &'static str, word: &'static str, condition: &'static str) -> Injection {
    work(code, ACTIVE, word, None, Fault::Finds(condition))
}

/// Found once: the next try finds nothing.
fn once(code: &'static str, word: &'static str, condition: &'static str) -> Injection {
    work(code, ACTIVE, word, Some(0), Fault::Finds(condition))
}

fn mends(code: &'static str, word: &'static str, condition: &'static str) -> Injection {
    work(code, ACTIVE, word, Some(0), Fault::Mends(condition))
}

fn draft(code: &'static str) -> Injection {
    Injection {
        code,
        kind: ELECTRICITY,
        how: How::Draft,
    }
}

fn scene(code: &'static str, scene: fn(&ErrorRow)) -> Injection {
    Injection {
        code,
        kind: ELECTRICITY,
        how: How::Scene(scene),
    }
}

fn injections() -> Vec<Injection> {
    vec![
        draft("LAB-MA-01"),
        draft("LAB-MA-02"),
        draft("LAB-MA-03"),
        draft("LAB-MA-04"),
        draft("LAB-MA-05"),
        draft("LAB-MA-06"),
        draft("LAB-MA-07"),
        scene("LAB-MA-08", a_cohort_that_is_not_live),
        draft("LAB-MA-09"),
        scene("LAB-MA-10", more_than_the_allocation),
        draft("LAB-MA-11"),
        scene("LAB-MA-12", an_excluded_installation),
        finds("LAB-PR-01", "extract", "data-incomplete"),
        finds("LAB-PR-02", "extract", "master-key-missing"),
        work("LAB-PR-03", OLD, "upgrade", None, Fault::Finds("image-missing")),
        work("LAB-PR-04", OLD, "upgrade", None, Fault::Finds("image-rejected")),
        work("LAB-PR-05", OLD, "upgrade", None, Fault::Finds("han-lost")),
        work("LAB-PR-06", OLD, "upgrade", None, Fault::Finds("firmware-not-on-epcl")),
        scene("LAB-PR-07", a_refused_configuration),
        finds("LAB-PR-08", "extract", "activity-disagrees"),
        finds("LAB-DV-01", "deliver", "signature-bad"),
        finds("LAB-DV-02", "deliver", "replayed"),
        finds("LAB-DV-03", "deliver", "shape-wrong"),
        finds("LAB-DV-04", "deliver", "already-live"),
        finds("LAB-DV-05", "deliver", "not-on-epcl"),
        finds("LAB-DV-06", "deliver", "firmware-differs"),
        finds("LAB-DV-07", "deliver", "change-of-supplier-pending"),
        finds("LAB-DV-08", "deliver", "credit-under-margin"),
        finds("LAB-DV-09", "deliver", "snapshot-old"),
        finds("LAB-SD-01", "secrets", "cannot-decrypt"),
        finds("LAB-SD-02", "secrets", "secrets-absent"),
        finds("LAB-SD-03", "secrets", "no-acknowledgement"),
        finds("LAB-SD-04", "secrets", "device-sets-differ"),
        finds("LAB-VI-01", "viability", "wan-down"),
        finds("LAB-VI-02", "viability", "serial-differs"),
        scene("LAB-VI-03", a_silent_gas_meter),
        mends("LAB-VI-04", "viability", "gas-late"),
        mends("LAB-VI-05", "viability", "clock-wrong"),
        mends("LAB-VI-06", "viability", "counter-low"),
        finds("LAB-VI-07", "probe", "dco-down"),
        finds("LAB-VI-08", "probe", "approval-rejected"),
        work(
            "LAB-KR-01",
            ACTIVE,
            "rotate",
            Some(0),
            Fault::DoneBut("answer-lost-rotated"),
        ),
        work("LAB-KR-02", ACTIVE, "rotate", Some(0), Fault::NotRotated),
        finds("LAB-KR-03", "rotate-", "hub-silent"),
        once("LAB-KR-04", "rotate", "device-silent"),
        finds("LAB-CO-01", "step-0", "already-announced-differently"),
        once("LAB-CO-02", "step-12", "device-error"),
        once("LAB-CO-03", "step-7", "log-full"),
        work("LAB-CO-04", WITH_PPMID, "step-16", None, Fault::Finds("ppmid-unjoined")),
        once("LAB-CO-05", "step-14", "certificate-revoked"),
        once("LAB-CO-06", "step-3", "dcc-restarted"),
        scene("LAB-CO-07", churn_while_it_is_commissioned),
        once("LAB-CF-01", "outcome", "no-acknowledgement"),
        once("LAB-CF-02", "decommission", "smso-still-polling"),
        finds("LAB-CF-03", "decommission", "smso-closed-early"),
        scene("LAB-LD-01", three_times_the_capacity),
        scene("LAB-LD-02", three_in_ten_links_drop),
        scene("LAB-LD-03", a_slow_s1sp),
        work(
            "LAB-TU-01",
            ACTIVE,
            "deliver",
            Some(0),
            Fault::MendsAt(Stage::Prepayment, "top-up-while-frozen"),
        ),
        work(
            "LAB-TU-02",
            ACTIVE,
            "decommission",
            Some(0),
            Fault::MendsAt(Stage::Prepayment, "vend-failed"),
        ),
        // Beyond the sixty: what fills gaps.
        finds("LAB-XT-01", "deliver", "not-registered"),
        finds("LAB-XT-02", "deliver", "not-authorised"),
        finds("LAB-XT-03", "deliver", "cpl-not-active"),
        finds("LAB-XT-04", "deliver", "excluded"),
        finds("LAB-XT-05", "deliver", "top-up-open"),
        finds("LAB-XT-06", "deliver", "no-acknowledgement"),
        finds("LAB-XT-07", "freeze", "hub-silent"),
        work(
            "LAB-XT-09",
            ACTIVE,
            "deliver",
            None,
            Fault::FindsAt(Stage::Staging, "device-silent"),
        ),
        finds("LAB-XT-10", "probe", "device-silent"),
        work("LAB-XT-11", OLD, "upgrade", None, Fault::Finds("hub-silent")),
        once("LAB-XT-13", "decommission", "no-answer"),
        finds("LAB-XT-14", "extract", "no-answer"),
        finds("LAB-XT-15", "secrets", "signature-bad"),
        once("LAB-XT-18", "activate", "activation-refused"),
        finds("LAB-XT-19", "viability", "firmware-differs"),
        finds("LAB-XT-20", "viability", "s1sp-down"),
        finds("LAB-XT-99", "viability", "never-heard-of"),
    ]
}

#[test]
fn every_injectable_error_comes_to_what_the_table_says() {
    let settings = Settings::builtin().expect("built-in settings");
    let injections = injections();
    let listed: BTreeSet<&str> = settings
        .errors
        .iter()
        .filter(|row| row.listed)
        .map(|row| row.id.as_str())
        .collect();
    let injected: BTreeSet<&str> = injections.iter().map(|injection| injection.code).collect();
    assert_eq!(listed.len(), 60);
    assert_eq!(injected.len(), injections.len(), "one injection per code");
    let missing: Vec<_> = listed.difference(&injected).collect();
    assert!(missing.is_empty(), "no injection of {missing:?}");
    for injection in injections {
        let row = settings.errors.row(injection.code).expect("a code of the table");
        match injection.how {
            How::Draft => spoilt_authorisation(row, &settings),
            How::Work(word, nth, fault) => in_work(row, injection.kind, word, nth, fault),
            How::Scene(scene) => scene(row),
        }
    }
}

/// The instant `hour` o'clock on the day so many days after the first slot day.
fn at(days: i32, hour: i8) -> SimInstant {
    instant(plus_days(MONDAY, days), time(hour, 0, 0, 0))
}

/// Codes of tries, failures and notes of an installation.
fn seen(house: &House, n: u64) -> Vec<String> {
    let mut codes = [
        house.notes(n),
        house.cases(n),
        house.last_failure(n).into_iter().collect(),
    ]
    .concat();
    codes.extend(
        house
            .store
            .entries()
            .into_iter()
            .filter(|entry| entry.installation == Some(id(n)))
            .filter_map(|entry| match entry.event {
                Event::TryFailed { code, .. } => Some(code),
                Event::Failed { failure, .. } => Some(failure.code),
                _ => None,
            }),
    );
    codes
}

/// Two of a kind, the first with the fault: it comes to what the row says, and the other migrates all the same.
fn in_work(row: &ErrorRow, kind: Kind, word: &'static str, nth: Option<usize>, fault: Fault) {
    // Rotations that never succeed are those of the hub, which is the last.
    let word = match word {
        "rotate-" => format!("rotate-{}", id(1).0).leak(),
        other => other,
    };
    let mut house = House::new(&[kind, kind], vec![(id(1), word, nth, fault)]);
    house.run_until(at(16, 23));
    let code = row.id.as_str();
    let known = house.control().campaign().installation(id(1)).expect("known");
    let (state, codes) = (known.state, seen(&house, 1));
    let text = format!(
        "{code}: {state}, {codes:?}, hold {:?}, {:?}",
        known.hold, known.last_failure
    );
    match row.outcome {
        Outcome::Stay => {
            assert!(
                matches!(state, State::Discovered | State::NeedsFirmware | State::NeedsConfig)
                    // A code with a category is excluded in the end, once it has failed often enough.
                    || (row.exclusion.is_some() && state == State::Excluded),
                "{text}"
            );
            assert_eq!(known.attempt.number, 0, "{text}");
        }
        Outcome::Hold => assert_eq!(known.hold.as_deref(), Some(code), "{text}"),
        Outcome::Excluded => {
            let category = known.exclusion.as_ref().map(|exclusion| exclusion.category.clone());
            assert_eq!((state, category), (State::Excluded, row.exclusion.clone()), "{text}");
        }
        Outcome::Cancelled => assert_eq!(state, State::Cancelled, "{text}"),
        Outcome::Quarantine | Outcome::Triage => {
            assert_eq!(state, State::ManualTriage, "{text}");
            let quarantined = known.triage.expect("in triage").quarantined;
            assert_eq!(quarantined, row.class == Some(Class::Fatal), "{text}");
        }
        Outcome::Retry => retried(row, &house, &text),
        Outcome::Partial => assert_eq!(state, State::PartiallyMigrated, "{text}"),
        Outcome::Continue | Outcome::None => {
            assert_eq!((state, known.attempt.number), (State::Migrated, 1), "{text}");
            assert!(codes.iter().any(|seen| seen == code), "{text}");
        }
        Outcome::Stranded => {
            assert_eq!(state, State::Stranded, "{text}");
            let dcc = house.parties.truth.iter().filter(|(device, truth)| {
                truth.with_dcc && known.facts.devices.iter().any(|facts| facts.id == **device)
            });
            assert_eq!(dcc.count(), 3, "only the hub is left behind: {text}");
        }
        Outcome::FileHeld | Outcome::FileRejected | Outcome::RowRejected => unreachable!("{text}"),
    }
    if row.case {
        let of_code =
            |case: &&migration::machine::campaign::Case| case.installation == Some(id(1)) && case.record.code == code;
        let case = house.control().campaign().cases.values().find(of_code);
        assert_eq!(case.map(|case| case.record.owner), Some(row.owner), "{text}");
    }
    let before = state.is_before_frozen() || matches!(state, State::Excluded | State::Cancelled);
    if before || (state == State::ManualTriage && !known.may_be_rotated()) {
        let undone = !house.parties.frozen.contains(&id(1)) && !house.parties.secrets.contains(&id(1));
        assert!(undone, "all was undone: {text}");
        let mut own = known.facts.devices.iter().map(|device| house.parties.truth[&device.id]);
        assert!(own.all(|truth| !truth.with_dcc), "nothing was rotated: {text}");
    }
    assert_eq!(house.state(2), State::Migrated, "the other is unharmed: {text}");
}

/// Back to the SMSO, and what the class says of tries, counting and pauses.
fn retried(row: &ErrorRow, house: &House, text: &str) {
    let known = house.control().campaign().installation(id(1)).expect("known");
    let class = row.class.expect("a class");
    let rule = house.settings.retry.rule(class).clone();
    let entries = house.store.entries();
    let own = || entries.iter().filter(|entry| entry.installation == Some(id(1)));
    let to_wait = own().filter(|entry| matches!(entry.change, Some((_, State::RetryWait))));
    let failed: Vec<SimInstant> = to_wait.map(|entry| entry.at).collect();
    assert!(!failed.is_empty(), "{text}");
    let tries = own().filter(|entry| entry.at <= failed[0] && matches!(entry.event, Event::TryFailed { .. }));
    assert_eq!(tries.count() + 1, usize::from(rule.in_attempt_tries), "{text}");
    let paused = entries
        .iter()
        .any(|entry| matches!(&entry.event, Event::CohortPaused { code, .. } if *code == row.id));
    assert_eq!(paused, rule.stops_batch, "{text}");
    match (rule.automatic, rule.counts) {
        (false, _) => {
            assert_eq!((known.state, failed.len()), (State::RetryWait, 1), "{text}");
            assert_eq!(house.cases(1).join(" "), row.id, "{text}");
        }
        (true, true) => {
            let category = known.exclusion.as_ref().map(|exclusion| exclusion.category.as_str());
            let expected = row.exclusion.as_deref().unwrap_or("LAB-EX-FAIL5");
            assert_eq!((known.state, category), (State::Excluded, Some(expected)), "{text}");
            assert_eq!(failed.len(), 5, "one attempt a day, five count: {text}");
        }
        (true, false) => {
            assert!(
                failed.len() >= 5 && known.counted == 0,
                "again and again, none counts: {text}"
            );
        }
    }
}

/// Two points in one authorisation, the first with the fault: file or row is refused as the row says, the rest unharmed,
/// and the reason is in the answer.
fn spoilt_authorisation(row: &ErrorRow, settings: &Settings) {
    let code = row.id.as_str();
    let store = MortalStore::new(None, 0);
    let mut house = House::spoilt(
        &[ELECTRICITY; 2],
        Vec::new(),
        settings.clone(),
        store,
        |draft, settings| {
            assert!(
                draft.spoil(settings, code, |mpxn| mpxn == mpan(1)),
                "{code} is made in the file"
            );
        },
    );
    house.run();
    let campaign = house.control().campaign();
    let answers: Vec<_> = campaign.files.iter().map(|(_, record)| record).collect();
    let last = answers.last().expect("an answer");
    match row.outcome {
        Outcome::RowRejected => {
            assert_eq!(last.result, "ACCEPTED", "{code}");
            let refused: Vec<_> = last.rows.iter().filter(|row| !row.code.is_empty()).collect();
            assert_eq!(refused.len(), 1, "{code}: {:?}", last.rows);
            assert_eq!(refused[0].code, code);
            assert!(!refused[0].text.is_empty(), "{code}");
            // The later of two equal rows is refused, so that its point is authorised all the same.
            let first = if code == "LAB-MA-07" {
                State::Migrated
            } else {
                State::Eligible
            };
            assert_eq!((house.state(1), house.state(2)), (first, State::Migrated), "{code}");
        }
        Outcome::FileHeld => {
            let results: Vec<_> = answers.iter().map(|answer| answer.result.as_str()).collect();
            assert_eq!(results, ["HELD", "REJECTED"], "{code}");
            let waited = campaign.files[1].0.since(campaign.files[0].0);
            assert_eq!(waited, SimDuration::from_hours(24), "{code}");
        }
        Outcome::FileRejected => {
            assert_eq!(last.result, "REJECTED", "{code}");
            assert!(answers.iter().all(|answer| answer.rows.is_empty()), "{code}");
        }
        other => unreachable!("{code}: {other}"),
    }
    if row.outcome != Outcome::RowRejected {
        assert!(
            answers
                .iter()
                .any(|answer| answer.code == code && !answer.text.is_empty()),
            "{code}"
        );
        assert_eq!(
            (house.state(1), house.state(2)),
            (State::Eligible, State::Eligible),
            "{code}"
        );
    }
    let cases = campaign.cases.values().filter(|case| case.record.code == code);
    assert_eq!(cases.count() > 0, row.case, "{code}");
}

fn rejected_rows(house: &House) -> Vec<String> {
    let files = &house.control().campaign().files;
    let rows = files.iter().flat_map(|(_, record)| &record.rows);
    rows.map(|row| row.code.clone()).collect()
}

fn a_cohort_that_is_not_live(row: &ErrorRow) {
    let mut settings = Settings::builtin().expect("built-in settings");
    let live_release = settings.cohorts[0].release;
    let live = settings
        .milestones
        .iter_mut()
        .find(|known| known.release == live_release && known.name == "live");
    live.expect("a milestone").day = plus_days(MONDAY, 30);
    let mut house = House::with(&[ELECTRICITY], Vec::new(), settings, MortalStore::new(None, 0));
    house.run();
    assert_eq!(rejected_rows(&house).join(" "), row.id);
    assert_eq!(house.state(1), State::Eligible);
}

/// Demand is committed for two installations a day; three are authorised.
fn more_than_the_allocation(row: &ErrorRow) {
    let mut house = House::new(&[ELECTRICITY; 3], Vec::new());
    house.committed = true;
    commit_demand(&mut house, &[(0, 2)]);
    house.run();
    assert_eq!(
        rejected_rows(&house),
        ["", "", row.id.as_str()],
        "in the order of the file"
    );
    let states = [1, 2, 3].map(|n| house.state(n));
    assert_eq!(states, [State::Migrated, State::Migrated, State::Eligible]);
}

/// The supplier's demand for days of the week of [`MONDAY`], and the scaling run.
fn commit_demand(house: &mut House, days: &[(i32, u32)]) {
    use migration::planning::demand;
    use migration::planning::intake::ReceivedFile;
    use migration::planning::name::{FileKind, FileName};
    let columns = &house.settings.columns;
    let sent = at(-14, 9);
    let name = FileName::new(columns, FileKind::DemandCommitment, "CGI", SUPPLIER, Some("LAB1"), sent).to_string();
    let units = days
        .iter()
        .map(|(day, units)| (plus_days(MONDAY, *day), *units))
        .collect();
    let file = ReceivedFile {
        name,
        sender: SUPPLIER,
        at: sent,
        text: demand::write(columns, FileKind::DemandCommitment, &units),
    };
    house.at(sent, move |control, now| {
        control.receive(
            now,
            ReceivedFile {
                at: now,
                ..file.clone()
            },
        )
    });
    house.at(at(-12, 12), |control, now| control.scale_week(now, MONDAY));
}

fn an_excluded_installation(row: &ErrorRow) {
    let mut house = House::new(&[ELECTRICITY; 2], Vec::new());
    house.at(at(-8, 12), |control, now| {
        let mcc = Operator {
            name: "mcc-1".into(),
            role: Owner::Mcc,
        };
        control
            .exclude_by(now, &mcc, id(1), "LAB-EX-DMC", "too few of them")
            .expect("excluded");
        Ok(())
    });
    house.run();
    assert_eq!(rejected_rows(&house), [row.id.as_str(), ""]);
    assert_eq!((house.state(1), house.state(2)), (State::Excluded, State::Migrated));
}

fn a_refused_configuration(row: &ErrorRow) {
    let script = vec![(id(1), "configure", None, Fault::Finds("configuration-refused"))];
    let needed = "source = \"a test\"\n[[configuration]]\nmanufacturer = \"Example\"\nmodel = \"emeter\"\n\
                  [[configuration.setting]]\nSupplierName = [\"Example\", \"0800\"]\n";
    let files = BTreeMap::from([("configurations.toml".to_owned(), needed.to_owned())]);
    let settings = Settings::from_files(&files).expect("settings");
    let digest = settings.configurations[0].digest.clone();
    let mut house = House::with(&[ELECTRICITY; 2], script, settings, MortalStore::new(None, 0));
    house.run();
    assert_eq!((house.state(1), house.state(2)), (State::NeedsConfig, State::Migrated));
    assert_eq!(house.cases(1).join(" "), row.id);
    let known = house.control().campaign().installation(id(2)).expect("known");
    let meter = known.facts.device(domain::DeviceKind::Esme).expect("a meter");
    assert_eq!(meter.configuration, digest);
}

/// Electricity migrates alone where the policy allows it; else five attempts, then out.
fn a_silent_gas_meter(row: &ErrorRow) {
    assert_eq!(row.exclusion.as_deref(), Some("LAB-EX-GT01"));
    let tries = (0..3)
        .map(|nth| (id(1), "viability", Some(nth), Fault::Finds("gas-silent")))
        .collect();
    let mut house = House::new(&[ACTIVE], tries);
    house.run();
    let known = house.control().campaign().installation(id(1)).expect("known");
    assert_eq!(known.state, State::PartiallyMigrated);
    assert_eq!(
        known
            .gas_exclusion
            .as_ref()
            .map(|exclusion| exclusion.category.as_str()),
        Some("LAB-EX-GT01")
    );
    assert_eq!(house.parties.truth.values().filter(|truth| truth.with_dcc).count(), 3);
    let mut settings = Settings::builtin().expect("built-in settings");
    settings.retry.electricity_alone = false;
    let script = vec![(id(1), "viability", None, Fault::Finds("gas-silent"))];
    let mut house = House::with(&[ACTIVE], script, settings, MortalStore::new(None, 0));
    house.run();
    let known = house.control().campaign().installation(id(1)).expect("known");
    let category = known.exclusion.as_ref().map(|exclusion| exclusion.category.as_str());
    assert_eq!(
        (known.state, known.attempt.number, category),
        (State::Excluded, 5, Some("LAB-EX-FAIL5"))
    );
    let codes = seen(&house, 1);
    assert!(codes.contains(&row.id), "{codes:?}");
}

fn churn_while_it_is_commissioned(row: &ErrorRow) {
    let script = vec![(id(1), "step-4", Some(0), Fault::Finds("device-error"))];
    let mut house = House::new(&[ACTIVE], script);
    house.at(at(0, 7) + SimDuration::from_mins(20), |control, now| {
        let state = control.campaign().installation(id(1)).expect("known").state;
        assert_eq!(state, State::Commissioning);
        control.change_of_supplier(now, mpan(1), GAINING, true, MONDAY)
    });
    house.run();
    assert_eq!(
        (house.state(1), house.notes(1)),
        (State::Migrated, vec![row.id.clone()])
    );
    let known = house.control().campaign().installation(id(1)).expect("known");
    assert_eq!(known.facts.points[0].supplier, GAINING);
}

/// Committed and authorised is three times what there is room for: each day gets its capacity and no more.
fn three_times_the_capacity(row: &ErrorRow) {
    assert_eq!((row.outcome, row.class), (Outcome::None, None));
    let mut settings = Settings::builtin().expect("built-in settings");
    settings.scaling.capacity[0].per_day = 4;
    settings.scaling.d_min = 1;
    settings.ramp[0].cap_per_day = 1000;
    let mut house = House::with(&[ELECTRICITY; 84], Vec::new(), settings, MortalStore::new(None, 0));
    house.committed = true;
    commit_demand(&mut house, &[0, 1, 2, 3, 4, 5, 6].map(|day| (day, 12)));
    house.run_until(at(7, 4));
    let campaign = house.control().campaign();
    let ioc = CohortSlug::new("ioc");
    let days = &campaign.cohorts[&ioc].days;
    let slotted: Vec<u32> = days.values().map(|day| day.slotted).collect();
    assert_eq!(slotted, [4; 7], "the capacity of each day, and no more");
    for record in campaign.allocations.values().filter(|record| record.day >= MONDAY) {
        let (asked, given) = record
            .units
            .iter()
            .fold((0, 0), |(asked, given), unit| (asked + unit.1, given + unit.2));
        assert_eq!((asked, given), (12, 4), "scaled: {record:?}");
        assert!(!record.method.is_empty(), "{record:?}");
    }
    let refused = rejected_rows(&house).iter().filter(|code| *code == "LAB-MA-10").count();
    assert_eq!(refused, 84 - 28);
    let states = campaign
        .installations()
        .filter(|known| known.state == State::Migrated)
        .count();
    assert_eq!(states, 28);
}

/// Three in ten lose their WAN at once, in a cohort that looks at its last twenty attempts.
fn three_in_ten_links_drop(row: &ErrorRow) {
    assert_eq!(row.outcome, Outcome::None);
    let mut settings = Settings::builtin().expect("built-in settings");
    settings.ramp[0].cap_per_day = 100;
    settings.retry.batch_stop.window = 20;
    let script = (1..=30)
        .filter(|n| n % 10 < 3)
        .flat_map(|n| (0..3).map(move |nth| (id(n), "viability", Some(nth), Fault::Finds("wan-down"))))
        .collect();
    let mut house = House::with(&[ELECTRICITY; 30], script, settings, MortalStore::new(None, 0));
    house.slow = vec![("viability", SimDuration::from_mins(3))];
    house.run();
    let entries = house.store.entries();
    let paused = entries
        .iter()
        .find(|entry| matches!(&entry.event, Event::CohortPaused { code, .. } if code == BATCH_STOP));
    let paused = paused.expect("the cohort is paused").at;
    let resumed = entries
        .iter()
        .find(|entry| entry.at > paused && matches!(entry.event, Event::CohortResumed { .. }));
    let resumed = resumed.expect("and goes on").at;
    assert_eq!(resumed.since(paused), SimDuration::from_mins(60));
    let begun =
        |entry: &&migration::machine::event::Entry| matches!(entry.change, Some((State::Slotted, State::Frozen)));
    assert!(
        !entries
            .iter()
            .filter(begun)
            .any(|entry| entry.at > paused + SimDuration::from_mins(1) && entry.at < resumed),
        "nothing begins in the pause"
    );
    assert!(
        (1..=30).all(|n| house.state(n) == State::Migrated),
        "{:#?}",
        house.outcomes()
    );
}

/// The S1SP takes ten times as long for everything. No more installations are frozen than may be at once, so that none of
/// them outlives its freeze.
fn a_slow_s1sp(row: &ErrorRow) {
    assert_eq!(row.outcome, Outcome::None);
    let run = |slower: u64| {
        let mut settings = Settings::builtin().expect("built-in settings");
        settings.ramp[0].cap_per_day = 1000;
        settings.calendar.slots.frozen_max = 20;
        settings.calendar.slots.group_max = 5;
        settings.calendar.slots.last = time(6, 30, 0, 0);
        let mut house = House::with(&[ELECTRICITY; 60], Vec::new(), settings, MortalStore::new(None, 0));
        let minutes = |minutes| SimDuration::from_mins(minutes * slower);
        house.slow = vec![("viability", minutes(4)), ("probe", minutes(2)), ("rotate", minutes(2))];
        house.run();
        let mut frozen = BTreeSet::new();
        let mut most = 0;
        for entry in house.store.entries() {
            assert!(
                !matches!(entry.event, Event::Failed { .. }),
                "no limit of time is broken: {entry:?}"
            );
            if let (Some(id), Some((_, to))) = (entry.installation, entry.change) {
                if to.is_frozen() {
                    frozen.insert(id);
                } else {
                    frozen.remove(&id);
                }
                most = most.max(frozen.len());
            }
        }
        assert!(
            (1..=60).all(|n| house.state(n) == State::Migrated),
            "{:#?}",
            house.outcomes()
        );
        assert!(
            house
                .control()
                .campaign()
                .installations()
                .all(|known| known.attempt.number == 1)
        );
        most
    };
    assert!(run(10) <= 20 && run(1) <= 20);
}
