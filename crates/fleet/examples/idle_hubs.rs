//! Measures hubs with nothing to do: octets per installation, and how much faster than real they live.
//!
//! `cargo run --release -p fleet --example idle_hubs -- 100000 2 24` runs 100 000 installations in 2 worlds for 24
//! virtual hours. Linux only: memory is read from `/proc`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement of the machine, for people"
)]

use std::time::Instant;

use dmc::Catalogue;
use domain::keys::RelationSecret;
use domain::operation::CriticalOperations;
use domain::{Seed, SimDuration, SimInstant};
use fleet::{Estate, Fleet, Share};
use meter::Relations;
use tokio_util::sync::CancellationToken;
use world::worlds::{self, Options, WorldContext};

const ESTATE: &str = r#"
[estate]
name = "idle"
source = "invented: a measurement"
[[template]]
name = "dual-fuel"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
gpf = "am110r-gpf@BASE"
gsme = "bk-g4e@BASE"
payment_mode = "prepayment"
enrolled = true
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let [count, k, hours] = numbers.as_slice() else {
        return Err("expected: installations, worlds, virtual hours".into());
    };
    let (count, k, hours) = (*count, *k, *hours);
    let estate = Estate::from_toml("idle", ESTATE)?.with_counts(count);
    let catalogue = Catalogue::builtin()?;
    let start = SimInstant::from_utc(2019, 3, 30, 0, 0, 0).ok_or("a date")?;
    let mut options = Options::new(start, Seed::root(1));
    options.keep = Some(0);
    let before = resident();
    let began = Instant::now();
    let run = worlds::run(k, &options, |context: WorldContext| {
        let (estate, catalogue) = (&estate, &catalogue);
        async move {
            let relations = Relations {
                smso: RelationSecret::new([1; 32]),
                s1sp: RelationSecret::new([2; 32]),
                dco: RelationSecret::new([3; 32]),
            };
            let share = Share {
                world: context.world.number,
                worlds: k,
            };
            let (mut wan, end) = context.world.link("wan", "fleet");
            let built = Fleet::new(
                &context.world,
                end,
                estate,
                share,
                catalogue,
                relations,
                CriticalOperations::default(),
            );
            let (fleet, handle) = built.map_err(|error| error.to_string())?;
            let shutdown = CancellationToken::new();
            let running = tokio::spawn(fleet.run(shutdown.clone()));
            let reader = tokio::spawn(async move {
                let mut told = 0u64;
                while wan.recv().await.is_some() {
                    told += 1;
                }
                told
            });
            context.world.clock.sleep(SimDuration::from_secs(1)).await;
            let (built, memory) = (began.elapsed(), resident());
            let timed = Instant::now();
            context
                .world
                .clock
                .sleep(SimDuration::from_hours(u64::from(hours)))
                .await;
            let (lived, later) = (timed.elapsed(), resident());
            shutdown.cancel();
            drop(handle);
            running.await.map_err(|error| error.to_string())?;
            let told = reader.await.map_err(|error| error.to_string())?;
            Ok::<_, String>((built, memory, lived, later, told))
        }
    })?;
    for (world, result) in run.results.into_iter().enumerate() {
        let (built, memory, lived, later, told) = result?;
        let speed = f64::from(hours) * 3600.0 / lived.as_secs_f64();
        println!(
            "world {world}: built after {built:.2?}, {} octets per installation in all worlds ({} after the run), \
             {hours} h in {lived:.2?} = {speed:.0} x real time, {told} messages to the WAN",
            memory.saturating_sub(before) / u64::from(count),
            later.saturating_sub(before) / u64::from(count),
        );
    }
    println!("digest {}", run.digest);
    Ok(())
}

/// Octets of memory the process occupies.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        * 4096
}
