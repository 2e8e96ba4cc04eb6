//! The pack on the embedded lab: green as it ships, red when a link is cut, the same run for the same seed.

use runs::sit::{self, Options};
use runs::{RunResult, Verdict, report};

fn run(seed: u64, worlds: u32, cut: &[(&str, &str)]) -> sit::SitRun {
    let mut config = lab::Config {
        seed,
        ..lab::Config::default()
    };
    config.worlds.count = worlds;
    let cut = cut
        .iter()
        .map(|(left, right)| ((*left).to_owned(), (*right).to_owned()))
        .collect();
    sit::run(Options {
        config,
        cut,
        progress: None,
    })
    .expect("a run")
}

fn assert_green(result: &RunResult) {
    assert!(result.passed(), "\n{}", report::text(result));
}

#[test]
fn the_pack_passes_for_electricity_and_gas() {
    let run = run(1, 1, &[]);
    assert_green(&run.result);
    for kind in ["CHF", "ESME", "GPF", "GSME"] {
        assert!(
            run.result.cells.iter().any(|cell| cell.device_kind == kind),
            "no {kind} in the matrix"
        );
    }
    let emulated: Vec<String> = steps::table()
        .rows()
        .filter(|row| row.state != steps::table::State::Later)
        .map(|row| row.srv.to_string())
        .collect();
    assert_eq!(run.result.variants(), emulated);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for worlds in [1, 2] {
        let (one, two) = (run(7, worlds, &[]), run(7, worlds, &[]));
        assert_eq!(one.result, two.result);
        assert_eq!(world::tape::digest(&one.records).to_string(), one.result.digest);
    }
    assert_ne!(run(7, 1, &[]).result.digest, run(8, 1, &[]).result.digest);
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
        let result = run(1, 1, &[(left, right)]).result;
        assert!(!result.passed(), "cutting {left}-{right} went unnoticed");
        let failed: Vec<_> = result
            .cells
            .iter()
            .filter(|cell| cell.verdict == Verdict::Failed)
            .collect();
        assert!(!failed.is_empty(), "no cell failed with {left}-{right} cut");
        for cell in failed {
            let hop = cell.failed_hop.as_deref().unwrap_or("none");
            assert!(
                hop.contains(right),
                "{left}-{right} was cut, but {} says {hop}: {}",
                cell.srv,
                cell.observed
            );
        }
    }
}
