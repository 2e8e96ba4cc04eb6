//! Campaigns from a file over the real chain: what they come to, day by day, and after being killed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::SimInstant;
use migration::invariants::{Accepted, LetThrough, Verdict};
use migration::machine::State;
use migration::machine::event::{Entry, Event};
use runs::campaign::{self, CampaignError, CampaignRun, Options, Until};
use world::{Store, StoreError};

fn street() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/campaigns/street.toml")
}

/// A campaign with product lists, settings and an estate of its own.
const UPGRADE: &str = "fixtures/campaigns/upgrade/";

fn options(state: Option<&Path>) -> Options {
    Options {
        state: state.map(Path::to_owned),
        ..Options::new(street())
    }
}

fn states(run: &CampaignRun) -> Vec<State> {
    run.campaign.installations().map(|known| known.state).collect()
}

#[test]
fn a_street_migrates_and_every_invariant_holds() {
    let run = campaign::run(&options(None)).unwrap();
    assert_eq!(states(&run), [State::Migrated; 8], "{:?}", run.outcomes());
    for (id, text, verdict) in run.invariants() {
        assert_eq!(verdict, Verdict::Holds, "{id}: {text}");
    }
    let failed = run
        .campaign
        .outcomes
        .iter()
        .filter(|outcome| !outcome.result.is_success())
        .count();
    assert_eq!(failed, 1, "one attempt met no network: {:?}", run.outcomes());
    let observed = &run.observations;
    let accepted = observed.accepted.as_ref().unwrap();
    let of_both = accepted
        .iter()
        .filter(|known| known.last_of_smso.is_some() && known.first_of_dcc.is_some());
    let keyed = run.campaign.installations().flat_map(|known| known.keyed());
    assert_eq!(of_both.count(), keyed.count(), "each device had both its operators");
    for (what, seen) in [
        ("commands", observed.executed.as_ref().unwrap().len()),
        ("inventory", observed.inventory.as_ref().unwrap().len()),
        ("decommissionings", observed.removed.as_ref().unwrap().len()),
        ("readings", observed.readings.as_ref().unwrap().len()),
        ("supplies", observed.supply.as_ref().unwrap().len()),
        ("files", observed.replayed.as_ref().unwrap().len()),
    ] {
        assert!(seen > 0, "{what} were looked at");
    }
    let folder = tempfile::tempdir().unwrap();
    let written = run.write(folder.path()).unwrap();
    assert_eq!(written.len(), 17, "fifteen reports, a page, the outcomes");
}

/// Firmware that no list approves is replaced over the WAN and read back, then a setting is written and read back; dormant
/// installations are given notice of both. Only then they enrol.
#[test]
fn meters_are_prepared_before_they_enrol() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(UPGRADE);
    let file = folder.join("campaign.toml");
    let run = campaign::run(&Options { file, ..options(None) }).unwrap();
    assert_eq!(states(&run), [State::Migrated; 2], "{:?}", run.outcomes());
    for (id, text, verdict) in run.invariants() {
        assert!(
            verdict == Verdict::Holds || (id == "I12" && verdict == Verdict::NotObserved),
            "{id} {text}: {verdict:?}"
        );
    }
    for known in run.campaign.installations() {
        let meter = known.facts.device(domain::DeviceKind::Esme).unwrap();
        assert_eq!(
            (meter.model.firmware.as_str(), meter.profile.as_str()),
            ("LAB-E001", "as300p@LAB-E001")
        );
        assert_eq!(known.epcl.as_deref(), Some("LAB-EPCL-2"));
    }
    let (mut upgraded, mut configured, mut announced) = (0, 0, 0);
    for entry in &run.entries {
        match &entry.event {
            Event::Upgraded { .. } => upgraded += 1,
            Event::Configured { configuration, .. } => {
                assert_eq!(*configuration, run.file.settings.configurations[0].digest);
                configured += 1;
            }
            Event::Notice { firmware: true, .. } => announced += 1,
            _ => {}
        }
    }
    assert_eq!(
        (upgraded, configured, announced),
        (2, 2, 2),
        "both points of the dormant one have notice"
    );
    let rows = run.observations.inventory.as_ref().unwrap();
    let meters = rows
        .iter()
        .filter(|row| row.true_firmware == "LAB-E001" && row.firmware == "LAB-E001");
    assert_eq!(meters.count(), 2, "the DCC knows what they run");
}

#[test]
fn day_by_day_it_comes_to_the_same() {
    let whole = campaign::run(&options(None)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let stop = |day: &str| Until::Day(day.parse().unwrap());
    let stops = [stop("2019-06-09"), Until::NextDay, Until::NextDay, Until::End];
    let runs = stops.into_iter().zip([false, true, true, true]).map(|(until, resume)| {
        let options = Options {
            until,
            resume,
            ..options(Some(&state))
        };
        campaign::run(&options).unwrap()
    });
    let runs: Vec<CampaignRun> = runs.collect();
    let ends: Vec<String> = runs.iter().map(|run| run.now.to_string()).collect();
    let midnight = |day: &str| format!("2019-06-{day}T23:00:00.000Z");
    assert_eq!(ends, ["09", "10", "11", "14"].map(midnight));
    assert_eq!(runs[3].outcomes(), whole.outcomes());
    let mpxn = "9901000000008".parse().unwrap();
    let status = campaign::status(&state, mpxn).unwrap();
    assert_eq!((status.state, status.attempts), (State::Migrated, 2));
    let again = campaign::run(&options(Some(&state)));
    assert!(matches!(again, Err(CampaignError::Begun(_))));
}

#[test]
fn in_two_worlds_it_comes_to_the_same_outcomes_and_to_one_digest() {
    let one = campaign::run(&options(None)).unwrap();
    let in_two = || {
        campaign::run(&Options {
            worlds: Some(2),
            ..options(None)
        })
        .unwrap()
    };
    let (two, again) = (in_two(), in_two());
    assert_eq!((one.worlds, two.worlds), (1, 2));
    assert_eq!(two.outcomes(), one.outcomes());
    assert_eq!((two.digest, two.head), (again.digest, again.head));
    assert_ne!(two.digest, one.digest, "the number of worlds is part of the run");
    for (id, text, verdict) in two.invariants() {
        assert_eq!(verdict, Verdict::Holds, "{id}: {text}");
    }
    let rows = |run: &CampaignRun| run.observations.inventory.as_ref().unwrap().len();
    assert_eq!(rows(&two), rows(&one), "each world looked at its own");
}

#[test]
fn a_campaign_keeps_its_worlds_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let stopped = Options {
        worlds: Some(2),
        until: Until::Day("2019-06-09".parse().unwrap()),
        ..options(Some(&state))
    };
    campaign::run(&stopped).unwrap();
    let asked = |worlds| Options {
        worlds,
        resume: true,
        ..options(Some(&state))
    };
    let Err(refused) = campaign::run(&asked(Some(1))) else {
        panic!("another number of worlds was taken")
    };
    assert_eq!(
        refused.to_string(),
        "the campaign was begun with 2 worlds, and goes on with as many: leave --worlds 1 out, or begin another one in \
         another folder"
    );
    let run = campaign::run(&asked(None)).unwrap();
    assert_eq!(run.worlds, 2);
    assert_eq!(run.outcomes(), campaign::run(&options(None)).unwrap().outcomes());
}

/// A journal that refuses after so many writes.
struct Mortal {
    inner: Box<dyn Store>,
    left: Arc<AtomicU64>,
}

impl Mortal {
    fn tick(&self) -> Result<(), StoreError> {
        let before = self.left.load(Ordering::Relaxed);
        self.left.store(before.saturating_sub(1), Ordering::Relaxed);
        (before > 0).then_some(()).ok_or_else(|| StoreError {
            journal: "control".into(),
            problem: "killed".into(),
        })
    }
}

impl Store for Mortal {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.tick()?;
        self.inner.append(record)
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        self.tick()?;
        self.inner.commit()
    }
    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.inner.replay(each)
    }
}

#[test]
fn killed_at_any_write_of_the_journal_it_comes_to_the_same() {
    let whole = campaign::run(&options(None)).unwrap();
    let writes = whole.head.0 * 2;
    // Points all over the way, never at a regular distance from what happens there.
    for part in [7, 31, 53, 67, 83] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let left = Arc::new(AtomicU64::new(writes * part / 101));
        let killed = campaign::run(&Options {
            journal: Some(Arc::new(move |inner| {
                Box::new(Mortal {
                    inner,
                    left: Arc::clone(&left),
                })
            })),
            ..options(Some(&state))
        });
        let died = match killed {
            Err(CampaignError::Journal(_)) => true,
            Err(other) => panic!("{other}"),
            Ok(_) => false,
        };
        if !died {
            continue;
        }
        let resumed = campaign::run(&Options {
            resume: true,
            ..options(Some(&state))
        })
        .unwrap();
        assert_eq!(resumed.outcomes(), whole.outcomes(), "killed at {part} of 101");
        for (id, text, verdict) in resumed.invariants() {
            // The same outcome list as the run that was not killed is what was asked above.
            if id != "I12" {
                assert_eq!(verdict, Verdict::Holds, "{id} {text}, killed at {part}");
            }
        }
    }
}

/// A journal that refuses from this record on.
struct Short {
    inner: Box<dyn Store>,
    left: u64,
}

impl Store for Short {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| StoreError {
            journal: "control".into(),
            problem: "killed".into(),
        })?;
        self.inner.append(record)
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        self.inner.commit()
    }
    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.inner.replay(each)
    }
}

/// What devices let through before a kill counts beside what they let through after it.
#[test]
fn two_operators_are_found_out_with_a_kill_between_them() {
    let whole = campaign::run(&options(None)).unwrap();
    let viable = |entry: &Entry| entry.change.is_some_and(|(_, to)| to == State::DcoViable);
    let left = whole.entries.iter().position(viable).unwrap() as u64;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let killed = campaign::run(&Options {
        journal: Some(Arc::new(move |inner| Box::new(Short { inner, left }))),
        ..options(Some(&state))
    });
    assert!(matches!(killed, Err(CampaignError::Journal(_))));
    let began = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&began);
    let mut resumed = campaign::run(&Options {
        resume: true,
        progress: Some(Arc::new(move |progress| {
            told.store(progress.began.0, Ordering::Relaxed);
        })),
        ..options(Some(&state))
    })
    .unwrap();
    let began = SimInstant(began.load(Ordering::Relaxed));
    let first = |run: &CampaignRun| {
        let (_, text, verdict) = run.invariants().swap_remove(0);
        assert!(text.contains("as devices remember over restarts"), "{text}");
        verdict
    };
    assert_eq!(first(&resumed), Verdict::Holds);
    let keyed = resumed.campaign.installations().flat_map(|known| known.keyed()).count();
    let accepted = resumed.observations.accepted.as_mut().unwrap();
    let both = |known: &Accepted| Some((known.last_of_smso?, known.first_of_dcc?));
    assert_eq!(accepted.iter().filter_map(both).count(), keyed, "each had both");

    let between = |known: &&mut Accepted| {
        both(known).is_some_and(|(last, first)| last.at < began && began <= first.at && last.epoch < first.epoch)
    };
    let torn: Vec<&mut Accepted> = accepted.iter_mut().filter(between).collect();
    assert!(!torn.is_empty(), "some were handed over with the kill in between");
    for known in torn {
        let of_smso = known.last_of_smso.map(|last| last.epoch);
        known.first_of_dcc = known.first_of_dcc.map(|first| LetThrough {
            epoch: of_smso.unwrap_or(first.epoch),
            ..first
        });
    }
    let violated = first(&resumed);
    assert!(
        matches!(&violated, Verdict::Violated(places) if places[0].contains("in epoch 1, and the DCC")),
        "{violated:?}"
    );
}

/// The campaign of the street, with other lines in its file.
fn street_with(folder: &Path, start: &str, more: &str) -> PathBuf {
    let estate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/estates/street.toml");
    let text = format!(
        "[campaign]\nname = \"street\"\nsource = \"invented\"\nstart = \"{start}\"\nuntil = \"2019-06-14\"\n\
         estate = \"{}\"\n\n[[authorisation]]\nweek = \"2019-06-10\"\nat = \"2019-06-04T09:00:00Z\"\n{more}",
        estate.display()
    );
    let path = folder.join("street.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn committed_demand_is_allocated_and_slots_keep_to_it() {
    let folder = tempfile::tempdir().unwrap();
    // Due on the Monday two weeks before, at noon; the second one is a request, the third too late.
    let demand = "\n[[demand]]\nweek = \"2019-06-10\"\nat = \"2019-05-26T09:00:00Z\"\nper_day = 1\n\
                  \n[[demand]]\nweek = \"2019-06-10\"\nat = \"2019-05-26T10:00:00Z\"\nper_day = 9\nrequest = true\n\
                  \n[[demand]]\nweek = \"2019-06-10\"\nat = \"2019-05-28T09:00:00Z\"\nper_day = 5\n";
    let run = campaign::run(&Options {
        file: street_with(folder.path(), "2019-05-26T05:00:00Z", demand),
        ..options(None)
    })
    .unwrap();
    let campaign = &run.campaign;
    assert_eq!(
        campaign.demand.values().collect::<std::collections::BTreeSet<_>>(),
        [1].iter().collect()
    );
    let late = campaign.files.iter().filter(|(_, file)| file.file.starts_with("DC"));
    assert!(
        late.clone().count() > 0 && late.clone().all(|(_, file)| file.result == "REJECTED"),
        "only the late ones are answered: {:?}",
        late.collect::<Vec<_>>()
    );
    let days = campaign.cohorts.values().flat_map(|cohort| &cohort.days);
    let mut slots = 0;
    for (day, count) in days {
        for (supplier, given) in count.by_supplier.iter().filter(|(supplier, _)| supplier.is_some()) {
            assert_eq!(*given, 1, "{day} {supplier:?}");
            slots += given;
        }
    }
    assert!(slots >= 4, "a slot per supplier and day, over several days: {slots}");
    for (id, text, verdict) in run.invariants() {
        assert!(!matches!(verdict, Verdict::Violated(_)), "{id} {text}: {verdict:?}");
    }
}

#[test]
fn a_bulk_group_with_sleeping_gas_meters_migrates_in_one_attempt_each() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings");
    std::fs::create_dir(&settings).unwrap();
    let ramp = "source = \"invented\"\n\n[[stage]]\nname = \"target\"\nmode = \"bulk\"\ncap_per_day = 100\n";
    std::fs::write(settings.join("ramp.toml"), ramp).unwrap();
    // One after the other, twelve gas meters would take longer to be given their keys than a snapshot is good for.
    let street =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/estates/street.toml"))
            .unwrap();
    let estate = street
        .replace("count = 6", "count = 12")
        .replace("dormant = 1, mixed = 1", "dormant = 0, mixed = 0");
    std::fs::write(folder.path().join("estate.toml"), estate).unwrap();
    let file = street_with(folder.path(), "2019-06-03T05:00:00Z", "");
    let text = std::fs::read_to_string(&file).unwrap();
    let head = text.lines().map(|line| {
        if line.starts_with("estate") {
            "estate = \"estate.toml\"\nsettings = \"settings\""
        } else {
            line
        }
    });
    std::fs::write(&file, head.collect::<Vec<_>>().join("\n")).unwrap();
    let run = campaign::run(&Options { file, ..options(None) }).unwrap();
    let groups: std::collections::BTreeSet<&str> = run
        .campaign
        .installations()
        .map(|known| known.attempt.group.as_str())
        .collect();
    assert_eq!(groups.len(), 1, "{groups:?}");
    for known in run.campaign.installations() {
        assert_eq!(
            (known.state, known.attempt.number),
            (State::Migrated, 1),
            "{:?}",
            run.outcomes()
        );
    }
}
