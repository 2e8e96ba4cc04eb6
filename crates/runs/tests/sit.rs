//! The pack on the embedded lab: green as it ships, red when a link is cut, the same run for the same seed.

use std::collections::BTreeSet;

use domain::{InstallationType, Srv};
use runs::sit::{self, Options};
use runs::{RunResult, Verdict, report};
use steps::table::{Mode, State};

/// One home with both fuels and one that is not enrolled: enough where the matrix is not the subject.
const SMALL: &str = r#"
[estate]
name = "small"
source = "invented"

[[template]]
name = "credit-dual-fuel"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
gpf = "am110r-gpf@BASE"
gsme = "bk-g4e@BASE"
payment_mode = "credit"
enrolled = true

[[template]]
name = "not-yet-enrolled"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
payment_mode = "credit"
enrolled = false
"#;

fn run_small(seed: u64, worlds: u32, cut: &[(&str, &str)]) -> sit::SitRun {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("small.toml");
    std::fs::write(&file, SMALL).expect("an estate file");
    let mut config = lab::Config::default();
    config.estate.file = Some(file);
    run_with(config, seed, worlds, cut)
}

fn run_with(mut config: lab::Config, seed: u64, worlds: u32, cut: &[(&str, &str)]) -> sit::SitRun {
    config.seed = seed;
    config.worlds.count = worlds;
    let cut = cut
        .iter()
        .map(|(left, right)| ((*left).to_owned(), (*right).to_owned()))
        .collect();
    sit::run(Options {
        config,
        without_rules: Vec::new(),
        cut,
        progress: None,
    })
    .expect("a run")
}

/// What fails elsewhere when one of these failed before: a meter that was not put into prepayment takes no code, and a
/// device that the hub did not let in cannot be joined.
const CONSEQUENCES: &[(&str, &[&str])] = &[
    ("2.2", &["1.6"]),
    ("8.7.1", &["8.11"]),
    ("8.7.2", &["8.11"]),
    ("8.8.1", &["8.11"]),
    ("8.8.2", &["8.11"]),
];

fn assert_green(result: &RunResult) {
    assert!(result.passed(), "\n{}", report::text(result));
}

#[test]
fn the_pack_passes_for_electricity_and_gas() {
    let mut config = lab::Config::default();
    config.estate.builtin = Some("slice".into());
    let run = run_with(config, 1, 1, &[]);
    assert_green(&run.result);
    for kind in InstallationType::ALL {
        assert!(
            run.result.cells.iter().any(|cell| cell.installation == kind),
            "no {kind} installation in the matrix"
        );
    }
    for kind in ["CHF", "ESME", "GPF", "GSME", "PPMID", "IHD"] {
        assert!(
            run.result.cells.iter().any(|cell| cell.device_kind == kind),
            "no {kind} in the matrix"
        );
    }
    let emulated: Vec<String> = steps::table()
        .rows()
        // What is answered from the record of a device has suites of its own.
        .filter(|row| row.state != State::Refused && !steps::credentials::concerns(row.srv))
        .map(|row| row.srv.to_string())
        .collect();
    assert_eq!(run.result.variants(), emulated);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for worlds in [1, 2] {
        let (one, two) = (run_small(7, worlds, &[]), run_small(7, worlds, &[]));
        assert_eq!(one.result, two.result);
        assert_eq!(world::tape::digest(&one.records).to_string(), one.result.digest);
    }
    assert_ne!(run_small(7, 1, &[]).result.digest, run_small(8, 1, &[]).result.digest);
}

#[test]
fn every_applicable_variant_meets_every_profile_in_every_type_of_installation() {
    let catalogue = dmc::Catalogue::builtin().expect("the built-in profiles");
    let estate = fleet::Estate::of_catalogue(&catalogue).expect("an estate");
    let matrix: BTreeSet<_> = sit::matrix(&estate).collect();
    // What is answered from the record of a device has suites of its own.
    let emulated = || {
        let rows = steps::table().rows();
        rows.filter(|row| row.state != State::Refused && !steps::credentials::concerns(row.srv))
    };
    let mut missing = Vec::new();
    for profile in catalogue.profiles() {
        for kind in InstallationType::ALL {
            let applicable = emulated().filter(|row| row.applies_to(profile.kind).is_ok());
            let cells = applicable.map(|row| (profile.id.clone(), kind, row.srv));
            missing.extend(cells.filter(|cell| !matrix.contains(cell)));
            if !matrix.iter().any(|(id, of, _)| *id == profile.id && *of == kind) {
                missing.push((profile.id.clone(), kind, Srv::new(8, 2, 0)));
            }
        }
    }
    assert!(missing.is_empty(), "not in the matrix: {missing:?}");
    // What the DCC answers itself is about no profile, but it too is asked in every type of installation.
    for row in emulated().filter(|row| row.mode == Mode::DccOnly) {
        for kind in InstallationType::ALL {
            assert!(
                matrix.iter().any(|(_, of, srv)| *of == kind && *srv == row.srv),
                "{} in no {kind} installation",
                row.srv
            );
        }
    }
}

/// Installations in which rules decide what is expected.
const RULED: &str = r#"
[estate]
name = "ruled"
source = "invented"
directed = ["MOC-SECURE", "FOC-EDMI"]

[[template]]
name = "elster"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@LAB-E003"
enrolled = true

[[template]]
name = "itron"
count = 1
provider = "vodafone"
chf = "itron-hub@BASE"
esme = "itron-esme@LAB-I001"
enrolled = true

[[template]]
name = "secure"
count = 1
provider = "telefonica"
chf = "skyline510@LAB-S003"
esme = "liberty100@dcc-eligible"
gpf = "skyline510-gpf@dcc-eligible"
gsme = "secure-gas@LAB-S002"
ppmid = "secure-ppmid@BASE"
ihd = "pipit500"
enrolled = true

[[template]]
name = "edmi"
count = 1
provider = "vodafone"
chf = "edmi-hub@BASE"
esme = "mk10@BASE"
enrolled = true
"#;

/// Rules, and a cell each that has to turn red when the devices no longer follow it.
const RULES: &[(&str, &str, &str)] = &[
    ("EDM-ARMED-IS-DONE", "mk10@BASE", "7.1"),
    ("LAB-E003-ARM-FOR-ENABLE", "as300p@LAB-E003", "7.4"),
    ("LAB-E003-NO-TIME-DEBT-2", "as300p@LAB-E003", "4.3"),
    ("LAB-I001-FEW-RATES", "itron-esme@LAB-I001", "4.1.3"),
    ("LAB-S003-FOUR-DEVICES", "skyline510@LAB-S003", "8.11"),
    ("LAB-S003-NO-RELAY-OF-VALVE", "secure-gas@LAB-S002", "7.2"),
    ("SEC-CHANNELS-AS-CONFIGURED", "liberty100@dcc-eligible", "4.6.2"),
    ("SEC-CHANNELS-AS-CONFIGURED", "liberty100@dcc-eligible", "4.8.3"),
    ("SEC-EMERGENCY-BY-CONSUMER", "liberty100@dcc-eligible", "2.5"),
    ("SEC-READY", "liberty100@dcc-eligible", "7.4"),
];

#[test]
fn what_is_expected_by_a_rule_turns_red_without_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ruled.toml");
    std::fs::write(&file, RULED).expect("an estate file");
    let run = |without_rules: Vec<String>| {
        let mut config = lab::Config::default();
        config.estate.file = Some(file.clone());
        config.worlds.count = 2;
        let options = Options {
            config,
            without_rules,
            cut: Vec::new(),
            progress: None,
        };
        sit::run(options).expect("a run").result
    };
    assert_green(&run(Vec::new()));
    let rules: BTreeSet<&str> = RULES.iter().map(|(rule, ..)| *rule).collect();
    let without = run(rules.into_iter().map(str::to_owned).collect());
    for (rule, profile, srv) in RULES {
        let mut cells = without
            .cells
            .iter()
            .filter(|cell| cell.profile == *profile && cell.srv == *srv);
        assert!(
            cells.any(|cell| cell.verdict == Verdict::Failed),
            "{srv} on {profile} is as expected without {rule}"
        );
    }
}

#[test]
fn every_link_that_is_cut_is_named() {
    let hops = [
        ("user", "dcc"),
        ("dcc", "s1sp"),
        ("s1sp", "dco"),
        ("s1sp", "wan"),
        ("wan", "fleet"),
    ];
    for (left, right) in hops {
        let result = run_small(1, 1, &[(left, right)]).result;
        assert!(!result.passed(), "cutting {left}-{right} went unnoticed");
        let failed: Vec<_> = result
            .cells
            .iter()
            .filter(|cell| cell.verdict == Verdict::Failed)
            .collect();
        assert!(!failed.is_empty(), "no cell failed with {left}-{right} cut");
        // What fails names the hop, but for what follows from an earlier failure.
        for cell in &failed {
            let hop = cell.failed_hop.as_deref().unwrap_or("none");
            let follows = CONSEQUENCES.iter().any(|(later, earlier)| {
                let broke = |before: &&&runs::Cell| {
                    before.position < cell.position
                        && earlier.contains(&before.srv.as_str())
                        && before.failed_hop.as_deref().is_some_and(|hop| hop.contains(right))
                };
                *later == cell.srv && failed.iter().any(|before| broke(&before))
            });
            assert!(
                hop.contains(right) || follows,
                "{left}-{right} was cut, but {} on {} says {hop}: {}, {}",
                cell.srv,
                cell.profile,
                cell.expected,
                cell.observed
            );
        }
    }
}
