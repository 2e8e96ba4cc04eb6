//! Large fleets, each in a process of its own: memory, and speed of the virtual clock.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use domain::keys::Party;
use domain::seed::mix;
use domain::{DataItem, DeviceKind, Eui64, Operation, Seed, SimDuration, SimInstant};
use head_end::{Custody, Engine, Job};
use lab::chain::Chain;
use lab::{Config, Parts};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wan::{Bearer, Wan};
use world::worlds::{self, WorldContext};
use world::{MemoryStore, World};

use super::machine::{Stretch, resident_octets};
use super::table::{Against, Table};

/// Bytes per installation that the design allows.
const MEMORY_AIM: f64 = 6_000.0;
/// The same for each role that has no devices.
const ROLE_MEMORY_AIM: f64 = 1_000.0;
/// Times as fast as the calendar that the design wants.
const SPEED_AIM: f64 = 500.0;
/// Worlds of a large run.
const WORLDS: u32 = 2;
/// One installation of so many is read in a half hour.
const READ_ONE_OF: u64 = 100;

pub(crate) fn memory(table: &mut Table, installations: u32) -> Result<()> {
    let numbers = ask_child("memory", installations)?;
    let [built, idle] = numbers[..] else {
        bail!("memory: {numbers:?}")
    };
    let name = |when: &str| format!("memory per installation of {installations}, fleet side, {when}");
    table.row(&name("built"), built, "octets", Against::AtMost(MEMORY_AIM, "aim"));
    table.row(
        &name("idle after two hours"),
        idle,
        "octets",
        Against::AtMost(MEMORY_AIM, "aim"),
    );
    let numbers = ask_child("roles", installations)?;
    let [shared, inventory, directory, together] = numbers[..] else {
        bail!("roles: {numbers:?}")
    };
    let name = |what: &str| format!("memory per installation of {installations}, {what}");
    let aim = Against::AtMost(ROLE_MEMORY_AIM, "aim for each role");
    table.row(
        &name("what all roles share: estate, registrations"),
        shared,
        "octets",
        Against::Nothing,
    );
    table.row(&name("inventory of the DCC"), inventory, "octets", aim);
    table.row(&name("directory of a head-end"), directory, "octets", aim);
    table.row(
        &name("DCC, S1SP, DCO, SMSO and WAN, started"),
        together,
        "octets",
        Against::AtMost(5.0 * ROLE_MEMORY_AIM, "aim for each role, five times"),
    );
    Ok(())
}

pub(crate) fn speed(table: &mut Table, installations: u32) -> Result<()> {
    let numbers = ask_child("speed", installations)?;
    let [calendar, clock, processor, reads, failed, records] = numbers[..] else {
        bail!("speed: {numbers:?}")
    };
    let what = format!(
        "speed: {installations} prepayment dual-fuel homes, {WORLDS} worlds, 1 % per half hour read by the head-end \
         engine over the WAN, digest-only tape"
    );
    println!("{what}:");
    let of = format!("speed at {installations}");
    let aim = Against::AtLeast(SPEED_AIM, "aim; calendar by the machine's clock, all cores");
    table.row(&format!("{of}: calendar time / time"), calendar / clock, "×", aim);
    let aim = Against::AtLeast(SPEED_AIM, "aim; as if two cores were free for it");
    table.row(
        &format!("{of}: calendar time / processor time of a world"),
        calendar / processor,
        "×",
        aim,
    );
    table.row(&format!("{of}: reads"), reads, "reads", Against::Nothing);
    table.row(&format!("{of}: reads failed"), failed, "reads", Against::Nothing);
    table.row(
        &format!("{of}: messages on the tape"),
        records,
        "messages",
        Against::Nothing,
    );
    Ok(())
}

/// The numbers on the last line that a measurement in a process of its own prints.
pub(crate) fn ask_child(name: &str, count: u32) -> Result<Vec<f64>> {
    let program = std::env::current_exe().context("find this program")?;
    let output = Command::new(program).args(["child", name, &count.to_string()]).output();
    let output = output.with_context(|| format!("measure {name} in a process of its own"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    line.split(' ')
        .map(|number| number.parse().with_context(|| format!("{name} said {line:?}")))
        .collect()
}

/// Homes with electricity and gas, prepayment, so that every one has a balance to count down.
pub(crate) fn estate_file(installations: u32) -> Result<PathBuf> {
    let text = format!(
        "[estate]\nname = \"bench\"\nsource = \"invented\"\n[[template]]\nname = \"home\"\ncount = {installations}\n\
         provider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\ngpf = \"am110r-gpf@BASE\"\n\
         gsme = \"bk-g4e@BASE\"\npayment_mode = \"prepayment\"\nenrolled = true\n"
    );
    let file = std::env::temp_dir().join(format!("s1lab-bench-{}-{installations}.toml", std::process::id()));
    fs::write(&file, text)?;
    Ok(file)
}

fn parts(installations: u32) -> Result<Arc<Parts>> {
    let file = estate_file(installations)?;
    let mut config = Config::default();
    config.estate.file = Some(file.clone());
    config.worlds.count = WORLDS;
    let parts = Parts::build(config);
    fs::remove_file(&file)?;
    Ok(parts?)
}

/// Prints octets per installation: built, and idle after some hours of wakes.
pub(crate) fn memory_here(installations: u32) -> Result<()> {
    let mut whole = Parts::clone(&*parts(installations)?);
    whole.config.worlds.count = 1;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let mut world = World::virtual_at(whole.config.clock.start, Seed::root(1));
        world.tape = world::Tape::keeping(0);
        let (mut wan, end) = world.link("wan", "fleet");
        let before = resident_octets();
        let (fleet, handle) = lab::chain::fleet_of(&world, end, &whole, None)?;
        let built = resident_octets();
        let stop = CancellationToken::new();
        let running = tokio::spawn(fleet.run(stop.clone()));
        // What hubs have to say by themselves is heard and let go.
        let until = world.clock.now() + SimDuration::from_hours(2);
        while let Ok(Some(_)) = world.clock.timeout(until.since(world.clock.now()), wan.recv()).await {}
        let idle = resident_octets();
        let per = |after: u64| after.saturating_sub(before) as f64 / f64::from(installations);
        println!("{} {}", per(built), per(idle));
        stop.cancel();
        running.await?;
        drop(handle);
        Ok(())
    })
}

/// Prints octets per installation in roles that have no devices: what all of them share, what the DCC and a head-end know of them, and everything
/// that all roles but the fleet hold once they are started.
pub(crate) fn roles_here(installations: u32) -> Result<()> {
    let mut at = vec![resident_octets()];
    let mut whole = Parts::clone(&*parts(installations)?);
    whole.config.worlds.count = 1;
    let whole = Arc::new(whole);
    at.push(resident_octets());
    let inventory = whole.inventory(0);
    at.push(resident_octets());
    let directory = whole.head_end_directory(0, Party::S1sp);
    at.push(resident_octets());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    // Those above are still held: nothing of them is used again for these.
    runtime.block_on(async {
        let mut world = World::virtual_at(whole.config.clock.start, Seed::root(1));
        world.tape = world::Tape::keeping(0);
        let chain = Chain::start(world.clone(), Arc::clone(&whole), false)?;
        world.clock.sleep(SimDuration::from_mins(1)).await;
        at.push(resident_octets());
        chain.stop().await;
        anyhow::Ok(())
    })?;
    let per = at
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]) as f64 / f64::from(installations));
    println!("{}", per.map(|octets| octets.to_string()).collect::<Vec<_>>().join(" "));
    drop((inventory, directory));
    Ok(())
}

/// What one world measured.
struct Measured {
    clock: f64,
    processor: f64,
    reads: u32,
    failed: u32,
    records: u64,
}

/// Prints calendar seconds, seconds by the clock, processor seconds of the busiest world, reads, failed reads, records.
pub(crate) fn speed_here(installations: u32) -> Result<()> {
    let parts = parts(installations)?;
    let span = SimDuration::from_hours(if installations > 30_000 { 1 } else { 4 });
    let mut options = worlds::Options::new(parts.config.clock.start, parts.config.world_seed());
    options.keep = Some(0);
    let run = worlds::run(WORLDS, &options, async |context: WorldContext| {
        live(context, &parts, span).await
    })?;
    let results = run.results.into_iter().collect::<Result<Vec<_>>>()?;
    let most = |of: fn(&Measured) -> f64| results.iter().map(of).fold(0.0, f64::max);
    let sum = |of: fn(&Measured) -> f64| results.iter().map(of).sum::<f64>();
    println!(
        "{} {} {} {} {} {}",
        span.0 as f64 / 1000.0,
        most(|m| m.clock),
        sum(|m| m.processor) / f64::from(WORLDS),
        sum(|m| f64::from(m.reads)),
        sum(|m| f64::from(m.failed)),
        sum(|m| m.records as f64),
    );
    Ok(())
}

/// One world: fleet, network and head-end; measured from a quarter past, when everything has settled.
async fn live(context: WorldContext, parts: &Parts, span: SimDuration) -> Result<Measured> {
    let world = context.world.clone();
    let (engine_end, wan_end) = world.link("s1sp", "wan");
    let (wan_fleet, fleet_end) = world.link("wan", "fleet");
    let (fleet, handle) = lab::chain::fleet_of(&world, fleet_end, parts, None)?;
    let hubs: Vec<Eui64> = handle.sites().iter().map(fleet::Site::hub).collect();
    let network = Wan::new(
        world.clone(),
        vec![("s1sp".into(), wan_end)],
        wan_fleet,
        Bearer::default(),
    );
    let custody = Custody {
        party: Party::S1sp,
        relation: parts.custody.s1sp.clone(),
        system_title: *b"LABS1SP\x01",
    };
    let directory = parts.head_end_directory(world.number, Party::S1sp);
    let options = head_end::Options {
        critical: parts.critical.clone(),
        ..head_end::Options::default()
    };
    let store = Box::new(MemoryStore::default());
    let (engine, engine_handle, mut alerts) = Engine::new(
        world.clone(),
        "s1sp",
        engine_end,
        custody,
        directory.clone(),
        options,
        store,
    )?;
    let stop = CancellationToken::new();
    let mut roles = JoinSet::new();
    roles.spawn(fleet.run(stop.clone()));
    let network_stop = stop.clone();
    roles.spawn(async move {
        network.run(network_stop).await;
    });
    roles.spawn(engine.run(stop.clone()));
    roles.spawn(async move { while alerts.recv().await.is_some() {} });

    // Half an hour in which every clock has been set, every gas meter has woken, and first alerts are out.
    world.clock.sleep(SimDuration::from_mins(45)).await;
    let (start, records) = (Stretch::begin(), world.tape.recorded());
    let began = world.clock.now();
    let mut reads = JoinSet::new();
    let read = hubs.iter().enumerate().flat_map(|(at, hub)| {
        let halves = span.0.div_ceil(1_800_000);
        let read = move |half: &u64| mix(hub.0, *half).is_multiple_of(READ_ONE_OF);
        (0..halves).filter(read).map(move |half| {
            let offset = mix(hub.0, half + 1000) % 1_800_000;
            (began + SimDuration(half * 1_800_000 + offset), at, *hub)
        })
    });
    let mut schedule: Vec<(SimInstant, usize, Eui64)> = read.collect();
    schedule.sort_unstable();
    let last = began + span;
    for (at, number, hub) in schedule {
        world.clock.sleep_until(at).await;
        let (slot, item) = if number % 2 == 0 {
            (DeviceKind::Esme, DataItem::ActiveImport)
        } else {
            (DeviceKind::Gpf, DataItem::GasConsumption)
        };
        let site = directory
            .site(hub)
            .ok_or_else(|| anyhow!("the directory lacks {hub}"))?;
        let device = site.slot(slot).ok_or_else(|| anyhow!("{hub} has no {slot}"))?;
        let job = Job {
            trace_id: format!("read-{number}"),
            hub,
            device: device.id,
            slot,
            operation: Operation::Read(item),
            approval: None,
            deadline: at + SimDuration::from_mins(10),
        };
        let engine = engine_handle.clone();
        reads.spawn(async move { matches!(engine.execute(job).await, Ok(Ok(_))) });
    }
    world.clock.sleep_until(last).await;
    let measured = (start.clock_seconds(), start.seconds(), world.tape.recorded() - records);
    let (mut done, mut failed) = (0, 0);
    while let Some(read) = reads.join_next().await {
        done += 1;
        failed += u32::from(!read?);
    }
    stop.cancel();
    while roles.join_next().await.is_some() {}
    let (clock, processor, records) = measured;
    Ok(Measured {
        clock,
        processor,
        reads: done,
        failed,
        records,
    })
}
