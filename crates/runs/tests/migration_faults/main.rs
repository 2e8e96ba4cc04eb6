//! Errors of a migration injected over the whole chain: files, keys and rotations of emulated devices, and a rule per
//! installation on the links between them. Each comes to what the error table says; installations beside are unharmed.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

#[path = "../parties/mod.rs"]
mod parties;
mod scenes;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{DeviceKind, SimDuration};
use lab::Config;
use lab::chain::Chain;
use lab::parts::Parts;
use migration::Settings;
use migration::faults::{self, FaultRule, FaultTable};
use migration::machine::State;
use migration::machine::model::Facts;
use migration::settings::{Class, ErrorRow, Outcome};
use parties::{Only, Rig, Sent, Setup, configured, estate, listed};
use world::World;

/// One case: an error, its table in the campaign file, and what becomes of its installation.
struct Case {
    error: &'static str,
    attempts: Option<u32>,
    times: Option<u32>,
    /// Where it ends; none: where the table's outcome leaves it.
    end: Option<State>,
}

const fn always(error: &'static str) -> Case {
    Case {
        error,
        attempts: None,
        times: None,
        end: None,
    }
}

/// In the first attempt only; it migrates with the next.
const fn first(error: &'static str) -> Case {
    Case {
        attempts: Some(1),
        end: Some(State::Migrated),
        ..always(error)
    }
}

/// Once; it migrates all the same.
const fn once(error: &'static str) -> Case {
    Case {
        times: Some(1),
        end: Some(State::Migrated),
        ..always(error)
    }
}

/// What every case ends in by the word of the table.
fn end_of(row: &ErrorRow) -> State {
    match row.outcome {
        Outcome::Stay | Outcome::Hold => State::Discovered,
        Outcome::Excluded => State::Excluded,
        Outcome::Cancelled => State::Cancelled,
        Outcome::Quarantine | Outcome::Triage => State::ManualTriage,
        Outcome::Retry => State::RetryWait,
        Outcome::Partial => State::PartiallyMigrated,
        Outcome::Stranded => State::Stranded,
        _ => State::Migrated,
    }
}

/// A rule per case, each about the installation of its number.
fn rules_of(cases: &[Case], settings: &Settings, facts: &[Facts]) -> Vec<FaultRule> {
    let tables: Vec<FaultTable> = cases
        .iter()
        .zip(facts)
        .map(|(case, facts)| FaultTable {
            error: case.error.into(),
            mpxn: vec![facts.points[0].mpxn.to_string()],
            attempts: case.attempts,
            times: case.times,
            ..FaultTable::default()
        })
        .collect();
    faults::check("campaign.toml", "", &tables, settings).unwrap()
}

/// A lab in which so many are moved, and so many at once as want to be.
fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.settings.ramp[0].cap_per_day = 1000;
    setup.settings.retry.batch_stop.window = 1000;
    setup
}

/// Runs these cases side by side, with two installations more, until the evening of the given day.
async fn come_to_what_the_table_says(cases: &'static [Case], days: i32, mut setup: Setup) {
    setup.rules = Box::new(|settings, facts| rules_of(cases, settings, facts));
    let parts = setup.parts(&estate(cases.len() + 2, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(days, 22).await;
    let mut problems = Vec::new();
    let all = rig.all.clone();
    for (case, facts) in cases.iter().zip(&all) {
        let row = rig.settings.errors.row(case.error).unwrap().clone();
        let known = rig.known(facts.id);
        let codes = rig.codes(facts.id);
        let end = case.end.unwrap_or(end_of(&row));
        let mut wrong = Vec::new();
        if known.state != end {
            wrong.push(format!("it is {}, expected {end}", known.state));
        }
        let told = codes.contains(case.error) || row.exclusion.as_ref().is_some_and(|code| codes.contains(code));
        if !told {
            wrong.push("its code is nowhere".into());
        }
        let quarantined = known.triage.map(|triage| triage.quarantined);
        if end == State::ManualTriage && quarantined != Some(row.class == Some(Class::Fatal)) {
            wrong.push(format!("quarantined {quarantined:?}"));
        }
        // The devices themselves say whose they are.
        let (with_dcc, all) = rig.with_dcc(facts.id).await;
        let expected = match end {
            State::Migrated | State::PartiallyMigrated => all,
            State::Stranded => all - 1,
            State::ManualTriage if row.class == Some(Class::ForwardOnly) || case.error == "LAB-CF-03" => all,
            _ => 0,
        };
        if with_dcc != expected {
            wrong.push(format!(
                "{with_dcc} of {all} devices are the DCC's, expected {expected}"
            ));
        }
        if !wrong.is_empty() {
            problems.push(format!(
                "{}: {wrong:?}; {codes:?}, {:?}",
                case.error, known.last_failure
            ));
        }
    }
    for facts in &all[cases.len()..] {
        if rig.state(facts.id) != State::Migrated {
            problems.push(format!(
                "one without a fault is {}: {:?}",
                rig.state(facts.id),
                rig.codes(facts.id)
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Whoever captured files of those that migrated can do nothing with them.
    let captured = std::mem::take(&mut *rig.sets.lock().unwrap());
    let migrated = |(.., delivery): &&Sent| {
        let about = all.iter().find(|facts| parties::is_about(delivery, facts.id));
        about.is_some_and(|facts| rig.state(facts.id) == State::Migrated)
    };
    let captured: Vec<Sent> = captured.iter().filter(migrated).cloned().collect();
    assert!(captured.len() > all.len(), "{}", captured.len());
    assert_eq!(rig.replayed(&captured).await, [""; 0], "files that came again");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_dcc_says_what_it_has_and_who_supplies_whom() {
    let config = Config::default();
    let world = World::virtual_at(config.clock.start, config.world_seed());
    let parts = Parts::build(config).unwrap();
    let site = |enrolled| parts.estate.sites().find(|site| site.enrolled() == enrolled).unwrap();
    let (enrolled, other) = (site(true), site(false));
    let chain = Chain::start(world.clone(), Arc::clone(&parts), true).unwrap();
    let known = chain.known_to_dcc();
    let statuses = known.statuses(enrolled.hub()).await.unwrap();
    let meter = enrolled.device(DeviceKind::Esme).unwrap();
    assert_eq!(statuses.get(&meter).map(String::as_str), Some("Commissioned"));
    assert!(
        known.statuses(other.hub()).await.unwrap().is_empty(),
        "nobody announced it"
    );
    let (now, mpan) = (world.clock.now(), domain::Mpxn::Mpan(other.mpan()));
    let supply = known.supply(mpan, now).unwrap();
    let registered = parts.directory.registered(mpan, domain::UserRole::ImportSupplier, now);
    assert_eq!((Some(supply.supplier), supply.next), (registered, None));
    assert_eq!(known.supply("9999999999999".parse().unwrap(), now), None);
    chain.stop().await;
}

/// What is wrong before there is anything to be frozen. The meters need firmware, and then a setting.
const PREPARATION: [Case; 5] = [
    Case {
        end: Some(State::NeedsFirmware),
        ..always("LAB-PR-03")
    },
    Case {
        end: Some(State::NeedsFirmware),
        ..always("LAB-PR-04")
    },
    once("LAB-PR-05"),
    Case {
        end: Some(State::NeedsFirmware),
        ..always("LAB-PR-06")
    },
    Case {
        end: Some(State::NeedsConfig),
        ..always("LAB-PR-07")
    },
];

const BEFORE: [Case; 24] = [
    always("LAB-PR-01"),
    always("LAB-PR-02"),
    always("LAB-PR-08"),
    always("LAB-DV-01"),
    always("LAB-DV-02"),
    always("LAB-DV-03"),
    always("LAB-DV-04"),
    always("LAB-DV-05"),
    always("LAB-DV-06"),
    first("LAB-DV-07"),
    first("LAB-DV-08"),
    first("LAB-DV-09"),
    first("LAB-SD-01"),
    always("LAB-SD-02"),
    once("LAB-SD-03"),
    always("LAB-SD-04"),
    first("LAB-VI-01"),
    always("LAB-VI-02"),
    always("LAB-VI-03"),
    once("LAB-VI-04"),
    once("LAB-VI-05"),
    once("LAB-VI-06"),
    first("LAB-VI-07"),
    always("LAB-VI-08"),
];

const AFTER: [Case; 11] = [
    once("LAB-KR-01"),
    once("LAB-KR-02"),
    always("LAB-KR-03"),
    once("LAB-KR-04"),
    always("LAB-CO-01"),
    once("LAB-CO-02"),
    once("LAB-CO-03"),
    once("LAB-CO-05"),
    once("LAB-CF-01"),
    once("LAB-CF-02"),
    always("LAB-CF-03"),
];

/// Errors of authorisation files and their rows, as they are sent.
const FILES: [&str; 9] = [
    "LAB-MA-01",
    "LAB-MA-02",
    "LAB-MA-03",
    "LAB-MA-04",
    "LAB-MA-05",
    "LAB-MA-06",
    "LAB-MA-07",
    "LAB-MA-09",
    "LAB-MA-11",
];

#[test]
fn every_error_of_the_table_is_injected_here() {
    let settings = Settings::builtin().unwrap();
    let listed: BTreeSet<&str> = settings
        .errors
        .iter()
        .filter(|row| row.listed)
        .map(|row| row.id.as_str())
        .collect();
    let cases = PREPARATION.iter().chain(&BEFORE).chain(&AFTER).map(|case| case.error);
    let here: Vec<&str> = cases.chain(FILES).chain(scenes::SCENES).collect();
    assert_eq!(here.len(), 60, "each once");
    assert_eq!(here.into_iter().collect::<BTreeSet<_>>(), listed);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_firmware_and_configuration() {
    let mut setup = setup();
    let parts = setup.parts(&estate(1, ""));
    setup.lists = Arc::new(Only(listed(&parts, "as300p@LAB-E001")));
    let (ramp, retry) = (setup.settings.ramp.clone(), setup.settings.retry.clone());
    setup.settings = configured("[[configuration.setting]]\nDailyBlockReset = true\n");
    (setup.settings.ramp, setup.settings.retry) = (ramp, retry);
    come_to_what_the_table_says(&PREPARATION, 4, setup).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_before_the_point_of_no_return() {
    come_to_what_the_table_says(&BEFORE, 4, setup()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_after_the_point_of_no_return() {
    come_to_what_the_table_says(&AFTER, 4, setup()).await;
}

/// Each supplier sends a file per installation, some of them with an error: file or row is refused as the table says, the
/// reason is in the answer, and the rest is unharmed.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_authorisations() {
    let setup = setup();
    let parts = setup.parts(&estate(FILES.len() + 2, ""));
    let mut rig = Rig::start(&parts, setup);
    let all = rig.all.clone();
    let mut sent = Vec::new();
    for (number, facts) in all.iter().enumerate() {
        // Each at a time of its own: a file is named by when it was made.
        let at = rig.now() + SimDuration::from_mins(number as u64 + 1);
        for mut draft in parties::drafts(&rig.settings, std::slice::from_ref(facts), at) {
            if let Some(error) = FILES.get(number) {
                assert!(
                    draft.spoil(&rig.settings, error, |_| true),
                    "{error} is made in the file"
                );
            }
            sent.push(draft);
        }
    }
    sent.sort_by_key(|draft| draft.at);
    for draft in sent {
        rig.office.run_until(draft.at).await.unwrap();
        rig.send(&draft);
    }
    rig.run_to(1, 22).await;
    let answers: Vec<_> = rig
        .office
        .control()
        .campaign()
        .files
        .iter()
        .map(|(_, file)| file)
        .collect();
    for (error, facts) in FILES.iter().zip(&all) {
        let row = rig.settings.errors.row(error).unwrap();
        let of_file = answers.iter().any(|file| file.code == *error && !file.text.is_empty());
        let of_row = answers.iter().flat_map(|file| &file.rows);
        let of_row = of_row.into_iter().any(|row| row.code == *error && !row.text.is_empty());
        let by_row = row.outcome == Outcome::RowRejected;
        assert_eq!((of_file, of_row), (!by_row, by_row), "{error}");
        // The later of two equal rows is refused, so that the point is authorised all the same.
        let state = if *error == "LAB-MA-07" {
            State::Migrated
        } else {
            State::Eligible
        };
        assert_eq!(rig.state(facts.id), state, "{error}");
        if state == State::Eligible {
            assert_eq!(rig.with_dcc(facts.id).await.0, 0, "{error}");
        }
    }
    for facts in &all[FILES.len()..] {
        assert_eq!(rig.state(facts.id), State::Migrated, "one without an error");
    }
    rig.stop().await;
}
