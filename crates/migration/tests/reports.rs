//! Reports tell what the journal has, to the last row; invariants find what was broken.

mod house;

use domain::SimInstant;
use house::{ACTIVE, DORMANT, ELECTRICITY, Fault, House, MIXED, OLD, SUPPLIER, id};
use migration::invariants::{
    ALL, Accepted, Evidence, Executed, InventoryRow, LetThrough, Observations, Verdict, exposures, outcome_digest,
};
use migration::machine::event::{Entry, Event};
use migration::machine::state::State;
use migration::reports::{Inputs, TestEvidence, Totals, all, page, report};

fn house() -> House {
    let tries = (0..3).map(|nth| (id(2), "viability", Some(nth), Fault::Finds("gas-silent")));
    let mut script: house::Script = tries.collect();
    script.extend([
        (id(3), "extract", None, Fault::Finds("master-key-missing")),
        (id(4), "deliver", Some(0), Fault::Finds("credit-under-margin")),
        (id(5), "upgrade", Some(0), Fault::Finds("image-missing")),
        (id(6), "deliver", None, Fault::Finds("signature-bad")),
        (id(7), "rotate", None, Fault::Finds("device-silent")),
        (id(8), "secrets", None, Fault::Finds("secrets-absent")),
    ]);
    let mut house = House::new(
        &[ACTIVE, ACTIVE, ACTIVE, ELECTRICITY, OLD, MIXED, ELECTRICITY, DORMANT],
        script,
    );
    house.run();
    house
}

fn inputs<'a>(house: &'a House, entries: &'a [Entry], evidence: &'a [TestEvidence]) -> Inputs<'a> {
    Inputs {
        campaign: house.control().campaign(),
        lists: &*house.lists,
        entries,
        evidence,
        now: house.now,
        supplier: None,
        cohort: None,
        installation: None,
    }
}

#[test]
fn the_fifteen_reports_and_their_totals() {
    let house = house();
    let entries = house.store.entries();
    let evidence = [TestEvidence {
        run: "run-1".into(),
        phase: "migration-solution-test".into(),
        combination: "hub@NEW+emeter@NEW+vodafone".into(),
        installation_type: "active".into(),
        case: "LAB-MST-01".into(),
        result: "passed".into(),
        sha256: "00".repeat(32),
    }];
    let inputs = inputs(&house, &entries, &evidence);
    let tables = all(&inputs);
    assert_eq!(tables.len(), 15);
    let text: Vec<String> = tables
        .iter()
        .filter(|table| table.form.id != "R14")
        .map(|table| format!("{} {}\n{}", table.form.id, table.form.title, table.csv()))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    let (told, counted) = (Totals::told(house.control().campaign()), Totals::counted(&entries));
    assert_eq!(told, counted);
    assert_eq!(told.sum(None), house.control().campaign().outcomes.len() as u32);
    let trace = report(
        "R14",
        &Inputs {
            installation: Some(id(1)),
            ..inputs
        },
    )
    .expect("a report");
    assert!(trace.rows.iter().all(|row| row[0].starts_with(&id(1).to_string())));
    assert_eq!(
        trace.rows.iter().filter(|row| !row[6].is_empty()).count(),
        22,
        "one row per service request"
    );
    let other = report(
        "R01",
        &Inputs {
            supplier: Some(house::GAINING),
            ..inputs
        },
    )
    .expect("a report");
    assert!(other.rows.is_empty(), "another supplier sees nothing of ours");
    let ours = report(
        "R01",
        &Inputs {
            supplier: Some(SUPPLIER),
            ..inputs
        },
    )
    .expect("a report");
    assert_eq!(ours.rows.len(), report("R01", &inputs).expect("a report").rows.len());
    assert_eq!(
        ours.form.file_name(None, Some(SUPPLIER), house.now),
        "R01_ALL_90-B3-D5-1F-30-01-00-00_20190627_050000.csv"
    );
}

fn evidence<'a>(house: &'a House, entries: &'a [Entry], observations: &'a Observations) -> Evidence<'a> {
    Evidence {
        campaign: house.control().campaign(),
        entries,
        broken_link: None,
        observations,
    }
}

fn verdicts(evidence: &Evidence<'_>) -> Vec<(&'static str, Verdict)> {
    ALL.iter()
        .map(|invariant| (invariant.id, (invariant.check)(evidence)))
        .collect()
}

#[test]
fn the_page_is_one_file_with_all_of_it() {
    let house = house();
    let entries = house.store.entries();
    let observations = Observations::default();
    let html = page(
        &inputs(&house, &entries, &[]),
        &evidence(&house, &entries, &observations),
        house.control().head(),
    )
    .expect("a page");
    assert!(html.contains("R15") && html.matches("<svg").count() == 2);
    assert!(!html.contains("src=") && !html.contains("<script") && !html.contains("href=\"http"));
}

/// Evidence of everything, and good.
fn good(house: &House) -> Observations {
    let campaign = house.control().campaign();
    let confirmed = campaign
        .installations()
        .filter(|known| matches!(known.state, State::Migrated | State::PartiallyMigrated));
    let inventory = confirmed.flat_map(|known| {
        known.keyed().map(|(device, _)| InventoryRow {
            installation: known.id(),
            device: device.id,
            status: "Commissioned".into(),
            firmware: "NEW".into(),
            true_firmware: "NEW".into(),
            with_dcc: true,
        })
    });
    let removed = house.parties.done.iter().filter(|(.., word)| word == "decommission");
    Observations {
        executed: Some(vec![]),
        accepted: Some(vec![]),
        exposed: Some(vec![]),
        inventory: Some(inventory.collect()),
        removed: Some(removed.map(|(at, id, _)| (*id, *at)).collect()),
        readings: Some(vec![]),
        supply: Some(vec![]),
        replayed: Some(vec![]),
        twin: Some(outcome_digest(campaign)),
    }
}

#[test]
fn all_twelve_hold_and_each_finds_what_was_broken() {
    let house = house();
    let entries = house.store.entries();
    let whole = good(&house);
    for (id, verdict) in verdicts(&evidence(&house, &entries, &whole)) {
        assert_eq!(verdict, Verdict::Holds, "{id}");
    }
    let nothing = Observations::default();
    let unobserved = verdicts(&evidence(&house, &entries, &nothing))
        .into_iter()
        .filter(|(_, v)| *v == Verdict::NotObserved);
    let unobserved: Vec<&str> = unobserved.map(|(id, _)| id).collect();
    assert_eq!(unobserved, ["I1", "I2", "I3", "I4", "I5", "I6", "I8", "I11", "I12"]);

    let device = house.parties.truth.keys().next().copied().expect("a device");
    let executed = |by_dcc, at: i64, approved| Executed {
        device,
        at: SimInstant(at),
        by_dcc,
        critical: true,
        approved,
    };
    let mut broken: Vec<(&str, Observations)> = Vec::new();
    broken.push((
        "I1",
        Observations {
            executed: Some(vec![executed(true, 5, true), executed(false, 6, false)]),
            ..whole.clone()
        },
    ));
    let let_through = |at, epoch| {
        Some(LetThrough {
            at: SimInstant(at),
            epoch,
        })
    };
    for (last_of_smso, first_of_dcc) in [
        (let_through(5, 1), let_through(5, 2)),
        (let_through(5, 1), let_through(6, 1)),
        (let_through(5, 2), let_through(6, 1)),
    ] {
        broken.push((
            "I1",
            Observations {
                accepted: Some(vec![Accepted {
                    device,
                    last_of_smso,
                    first_of_dcc,
                }]),
                ..whole.clone()
            },
        ));
    }
    broken.push((
        "I8",
        Observations {
            executed: Some(vec![executed(true, 5, false)]),
            ..whole.clone()
        },
    ));
    let exposed = exposures(
        "a report",
        b"key 0102030405060708 here",
        &[vec![1, 2, 3, 4, 5, 6, 7, 8]],
    );
    broken.push((
        "I2",
        Observations {
            exposed: Some(exposed),
            ..whole.clone()
        },
    ));
    let mut rows = whole.inventory.clone().expect("rows");
    rows[0].true_firmware = "OTHER".into();
    broken.push((
        "I3",
        Observations {
            inventory: Some(rows),
            ..whole.clone()
        },
    ));
    let mut removed = whole.removed.clone().expect("rows");
    removed[0].1 = SimInstant(0);
    broken.push((
        "I4",
        Observations {
            removed: Some(removed),
            ..whole.clone()
        },
    ));
    let pair = migration::invariants::ReadingPair {
        device,
        item: "ActiveImport".into(),
        before: 10,
        after: 13,
        used: 2,
    };
    broken.push((
        "I5",
        Observations {
            readings: Some(vec![pair]),
            ..whole.clone()
        },
    ));
    let pair = migration::invariants::SupplyPair {
        device,
        before: "Enabled".into(),
        after: "Disabled".into(),
    };
    broken.push((
        "I6",
        Observations {
            supply: Some(vec![pair]),
            ..whole.clone()
        },
    ));
    broken.push((
        "I11",
        Observations {
            replayed: Some(vec![("outcome file".into(), true)]),
            ..whole.clone()
        },
    ));
    broken.push((
        "I12",
        Observations {
            twin: Some([0; 32]),
            ..whole.clone()
        },
    ));
    for (id, observations) in broken {
        let violated: Vec<&str> = verdicts(&evidence(&house, &entries, &observations))
            .into_iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Violated(_)))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(violated, [id]);
    }
    // A journal that lacks an outcome: reports say more than it has.
    let cut: Vec<Entry> = entries
        .iter()
        .filter(|entry| !matches!(entry.event, Event::Confirmed))
        .cloned()
        .collect();
    let violated: Vec<&str> = verdicts(&evidence(&house, &cut, &whole))
        .into_iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Violated(_)))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(violated, ["I4", "I9", "I10"]);
    // A slot beyond the allocation.
    let mut more = entries.clone();
    let slot = entries
        .iter()
        .find(|entry| matches!(entry.event, Event::Slotted { .. }))
        .expect("a slot")
        .clone();
    more.extend(std::iter::repeat_n(slot, 20));
    let seven = ALL.iter().find(|invariant| invariant.id == "I7").expect("I7");
    assert!(matches!(
        (seven.check)(&evidence(&house, &more, &whole)),
        Verdict::Violated(_)
    ));
}

#[test]
fn a_journal_that_was_tampered_with_does_not_open() {
    use migration::machine::journal::{self, JournalError};
    use world::{MemoryStore, Store};
    let house = house();
    let mut records = Vec::new();
    house
        .store
        .replay(&mut |record| records.push(record.to_vec()))
        .expect("memory");
    let open = |records: &[Vec<u8>]| {
        let mut store = MemoryStore::default();
        records.iter().for_each(|record| store.append(record).expect("memory"));
        store.commit().expect("memory");
        journal::replay(&store, &mut |_, _| {})
    };
    assert!(open(&records).is_ok());
    let mut changed = records.clone();
    changed[40][30] ^= 1;
    assert!(matches!(open(&changed), Err(JournalError::Link { sequence: 41 })));
    let mut shorter = records.clone();
    shorter.remove(40);
    assert!(matches!(open(&shorter), Err(JournalError::Link { sequence: 41 })));
    let mut swapped = records.clone();
    swapped.swap(40, 41);
    assert!(matches!(open(&swapped), Err(JournalError::Link { sequence: 41 })));
    assert!(matches!(
        open(&[vec![1, 2, 3]]),
        Err(JournalError::Form { sequence: 1 })
    ));
}
