//! Killed at any write of the journal, a campaign ends as it would have ended.

mod house;

use house::{ACTIVE, DORMANT, ELECTRICITY, Fault, House, MIXED, MortalStore, OLD, Script, id};
use migration::Settings;
use proptest::prelude::*;

const KINDS: [house::Kind; 6] = [ACTIVE, DORMANT, MIXED, OLD, ELECTRICITY, ACTIVE];

/// Faults of every class, on the way to and after the point of no return.
fn script() -> Script {
    vec![
        (id(1), "rotate", Some(0), Fault::DoneBut("answer-lost")),
        (id(2), "viability", Some(0), Fault::Finds("wan-down")),
        (id(3), "deliver", Some(0), Fault::Finds("credit-under-margin")),
        (id(4), "upgrade", Some(0), Fault::Finds("image-rejected")),
        (id(5), "step-3", Some(0), Fault::Finds("device-error")),
        (id(6), "secrets", None, Fault::Finds("secrets-absent")),
    ]
}

fn run(script: Script, store: MortalStore) -> House {
    let mut house = House::with(&KINDS, script, Settings::builtin().expect("built-in settings"), store);
    house.run();
    house
}

/// What must not be done twice, as it was done: rotations, service requests and decommissionings.
fn once_only(house: &House) -> Vec<(migration::InstallationId, String)> {
    let of = |word: &str| word.starts_with("rotate") || word.starts_with("step") || word.starts_with("decommission");
    let mut done: Vec<_> = house
        .parties
        .done
        .iter()
        .filter(|(.., word)| of(word))
        .map(|(_, id, word)| (*id, word.clone()))
        .collect();
    done.sort();
    done
}

#[test]
fn a_campaign_killed_at_any_write_ends_the_same() {
    let whole = run(script(), MortalStore::new(None, 0));
    let (outcomes, once, writes) = (whole.outcomes(), once_only(&whole), whole.store.writes());
    assert!(writes > 300, "{writes} writes");
    for kept in [0, 1, 100] {
        // Every third write, beginning elsewhere for each way of dying: all writes are met.
        for die_at in (1 + kept as u64 % 3..=writes).step_by(3) {
            let house = run(script(), MortalStore::new(Some(die_at), kept));
            assert_eq!(house.deaths, 1, "killed at write {die_at}");
            assert_eq!(house.outcomes(), outcomes, "killed at write {die_at}, {kept} kept");
            assert_eq!(once_only(&house), once, "killed at write {die_at}, {kept} kept");
            journal_holds(&house);
        }
    }
}

fn faults() -> impl Strategy<Value = Script> {
    let work = prop_oneof![
        Just(("extract", vec!["no-answer", "data-incomplete"])),
        Just(("upgrade", vec!["image-missing", "image-rejected", "wan-down"])),
        Just(("freeze", vec!["hub-silent", "smso-down"])),
        Just((
            "deliver",
            vec!["signature-bad", "shape-wrong", "credit-under-margin", "not-on-epcl"]
        )),
        Just((
            "secrets",
            vec!["cannot-decrypt", "no-acknowledgement", "secrets-absent"]
        )),
        Just(("viability", vec!["wan-down", "serial-differs", "gas-silent"])),
        Just(("probe", vec!["dco-down", "approval-rejected"])),
        Just(("rotate", vec!["answer-lost", "wan-down"])),
        Just(("activate", vec!["no-answer"])),
        Just(("step-1", vec!["device-error", "no-outcome", "log-full"])),
        Just(("outcome", vec!["no-acknowledgement"])),
        Just(("decommission", vec!["no-answer", "smso-still-polling"])),
        Just(("unfreeze", vec!["smso-down"])),
        Just(("purge", vec!["s1sp-down"])),
    ];
    let fault = (
        1u64..=6,
        work,
        prop::option::of(0usize..3),
        any::<prop::sample::Index>(),
        0u8..4,
    )
        .prop_map(|(n, (word, kinds), nth, which, how)| {
            let kind = kinds[which.index(kinds.len())];
            let fault = match how {
                0 => Fault::DoneBut(kind),
                1 if word == "rotate" => Fault::NotRotated,
                _ => Fault::Finds(kind),
            };
            // Work that is done although it was reported as failed is only ever so once.
            (id(n), word, if how == 0 { Some(nth.unwrap_or(0)) } else { nth }, fault)
        });
    prop::collection::vec(fault, 0..8)
}

/// What the journal alone can prove.
fn journal_holds(house: &House) {
    let entries = house.store.entries();
    let observations = migration::invariants::Observations {
        removed: Some(
            house
                .parties
                .done
                .iter()
                .filter(|(.., word)| word == "decommission")
                .map(|(at, id, _)| (*id, *at))
                .collect(),
        ),
        ..Default::default()
    };
    let evidence = migration::invariants::Evidence {
        campaign: house.control().campaign(),
        entries: &entries,
        broken_link: None,
        observations: &observations,
    };
    for invariant in migration::invariants::ALL {
        let verdict = (invariant.check)(&evidence);
        assert!(
            !matches!(verdict, migration::invariants::Verdict::Violated(_)),
            "{} {verdict:?}",
            invariant.id
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_fails_a_killed_campaign_ends_the_same(script in faults(), deaths in prop::collection::vec(any::<prop::sample::Index>(), 1..4), kept in 0usize..4) {
        let whole = run(script.clone(), MortalStore::new(None, 0));
        for death in deaths {
            let die_at = 1 + death.index(whole.store.writes() as usize) as u64;
            let house = run(script.clone(), MortalStore::new(Some(die_at), kept));
            journal_holds(&house);
            prop_assert_eq!(house.outcomes(), whole.outcomes(), "killed at write {}, {} kept", die_at, kept);
        }
    }
}
