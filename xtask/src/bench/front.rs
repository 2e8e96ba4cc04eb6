//! The front door over sockets: how long an acknowledgement takes while requests keep coming, and what requests that wait
//! for their outcome cost in memory.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use domain::{Eui64, RequestId, SimDuration, UserRole};
use lab::config::ClockMode;
use lab::{Config, Lab, LabHandle, Parts, pki, up};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use users::orders;

use super::fleet::estate_file;
use super::machine::{self, resident_octets};
use super::table::{Against, Table};

const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;
/// Connections kept open, as adapters of a few suppliers would.
const CONNECTIONS: u32 = 16;
const OUTSTANDING: u32 = 10_000;

pub(crate) fn run(table: &mut Table) -> Result<()> {
    acknowledgements(table)?;
    outstanding(table)?;
    ready(table)
}

/// A lab on sockets with its journals on disk; two worker threads, as the aim says.
fn on_sockets<T>(config: Config, work: impl AsyncFnOnce(&LabHandle) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = up::start(config).await?;
        let handle = running.handle().clone();
        let stop = CancellationToken::new();
        let working = async {
            let outcome = work(&handle).await;
            stop.cancel();
            outcome
        };
        let (served, outcome) = tokio::join!(running.run(stop.clone()), working);
        served?;
        outcome
    })
}

fn config(state: &Path) -> Result<Config> {
    if state.exists() {
        std::fs::remove_dir_all(state).with_context(|| format!("empty {}", state.display()))?;
    }
    let mut config = Config::default();
    config.clock.mode = ClockMode::Real;
    config.clock.latency = 0.001;
    config.folders.state = Some(state.to_owned());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.listen.duis, config.listen.control, config.listen.tunnel) = (any, any, any);
    config.lookup.enabled = false;
    Ok(config)
}

fn address(lab: &LabHandle) -> Result<SocketAddr> {
    let status = lab.status();
    let duis = status.addresses.iter().find(|(name, _)| name.as_str() == "duis");
    Ok(duis.context("the lab says where its front door is")?.1.parse()?)
}

/// A meter and the supplier registered for it.
type Pair = (Eui64, pki::User);

/// Signed reads of one meter, one after the other: counters rise on the way.
fn signed(parts: &Parts, (meter, user): &Pair, connection: u32, count: u32) -> Result<Vec<Vec<u8>>> {
    let key = parts.signing_key(&user.name, user.identity.as_ref().context("its key")?)?;
    (1..=count)
        .map(|number| {
            let order = orders::read_import_registers(*meter);
            let id = RequestId {
                originator: user.eui,
                target: *meter,
                counter: u64::from(number) * 1000 + u64::from(connection),
            };
            let request = duis::Request::new(id, order.srv)
                .with_command_variant(order.command_variant)
                .with_body(order.body);
            Ok(duis::signature::sign(&duis::write::request(&request)?, &key)?)
        })
        .collect()
}

/// A meter for each connection.
fn pairs(parts: &Parts) -> Vec<Pair> {
    let role = UserRole::ImportSupplier;
    let registered = |device: &fleet::SiteDevice| {
        let holder = parts
            .directory
            .registered(device.mpxn?, role, parts.config.clock.start)?;
        let user = parts.pki.users.iter().find(|user| user.eui == holder)?;
        Some((device.device, user.clone()))
    };
    let devices = parts.estate.devices();
    devices
        .filter(|device| device.kind == domain::DeviceKind::Esme)
        .filter_map(|device| registered(&device))
        .take(CONNECTIONS as usize)
        .collect()
}

fn acknowledgements(table: &mut Table) -> Result<()> {
    let mut config = config(Path::new("target/bench/front"))?;
    config.estate.file = Some(estate_file(64)?);
    let mut late = on_sockets(config, async |lab| {
        let parts = Arc::clone(lab.parts());
        let to = address(lab)?;
        let pairs = pairs(&parts);
        ensure!(pairs.len() == CONNECTIONS as usize, "a meter for each connection");
        let per_connection = PER_SECOND * SECONDS / CONNECTIONS;
        let gap = Duration::from_secs(1) * CONNECTIONS / PER_SECOND;
        let mut senders = JoinSet::new();
        for (connection, pair) in (0..).zip(&pairs) {
            let requests = signed(&parts, pair, connection, per_connection)?;
            senders.spawn(send(to, requests, gap, gap * connection / CONNECTIONS));
        }
        let mut all = Vec::new();
        while let Some(sent) = senders.join_next().await {
            all.extend(sent??);
        }
        Ok(all)
    })?;
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    let aim = "aim of the design: 50 ms at 500 requests/s on two cores";
    table.row(
        &format!(
            "front door: acknowledgement, p99 of {} at {PER_SECOND}/s, journal on disk",
            late.len()
        ),
        at(0.99),
        "ms",
        Against::AtMost(50.0, aim),
    );
    table.row("front door: acknowledgement, median", at(0.5), "ms", Against::Nothing);
    Ok(())
}

/// Sends at fixed moments, whatever the answers take, and gives milliseconds from the moment each was due.
async fn send(to: SocketAddr, requests: Vec<Vec<u8>>, gap: Duration, first: Duration) -> Result<Vec<f64>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let begin = machine::moment() + first;
    let mut took = Vec::with_capacity(requests.len());
    for (number, xml) in (0_u32..).zip(requests) {
        let due = begin + gap * number;
        machine::until(due).await;
        let head = format!(
            "POST /api/v1/serviceS HTTP/1.1\r\nHost: lab\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
            xml.len()
        );
        stream.write_all(&[head.as_bytes(), &xml].concat()).await?;
        let body = reply(&mut stream).await?;
        if !body.contains("I99") {
            bail!("not acknowledged: {body}");
        }
        took.push(due.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(took)
}

/// Reads one response with a length; gives its body.
async fn reply(stream: &mut TcpStream) -> Result<String> {
    let mut octets = Vec::with_capacity(4096);
    loop {
        let text = String::from_utf8_lossy(&octets);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .context("a response with a length")?;
            let length: usize = length.1.trim().parse()?;
            if body.len() >= length {
                return Ok(body.to_owned());
            }
        }
        if stream.read_buf(&mut octets).await? == 0 {
            bail!("the connection was closed: {}", String::from_utf8_lossy(&octets));
        }
    }
}

/// Ten thousand requests that wait, because the hubs cannot be reached; then every one gets its outcome.
fn outstanding(table: &mut Table) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let (octets, outcomes) = runtime.block_on(async {
        let mut config = Config::default();
        config.estate.file = Some(estate_file(200)?);
        let lab = Lab::start(config)?;
        let meters: Vec<_> = lab
            .devices()
            .values()
            .flatten()
            .filter(|device| device.kind == domain::DeviceKind::Esme)
            .filter_map(|device| {
                let client = lab.user_for(device.device, UserRole::ImportSupplier)?;
                Some((device.device, client.clone()))
            })
            .collect();
        lab.cut("s1sp", "wan");
        let before = resident_octets();
        let mut waiting = JoinSet::new();
        for number in 0..OUTSTANDING {
            let (meter, client) = meters[number as usize % meters.len()].clone();
            let signed = client.sign(&orders::read_import_registers(meter))?;
            waiting.spawn(async move { client.send(signed, SimDuration::from_hours(6)).await });
            tokio::task::yield_now().await;
        }
        // Everything that can be accepted is accepted before the clock moves on.
        lab.world().clock.sleep(SimDuration::from_secs(20)).await;
        let held = resident_octets().saturating_sub(before);
        lab.mend();
        let mut outcomes = 0_u32;
        while let Some(ended) = waiting.join_next().await {
            outcomes += u32::from(ended??.outcome.is_some());
        }
        lab.stop().await;
        anyhow::Ok((held, outcomes))
    })?;
    table.row(
        &format!("front door: {OUTSTANDING} requests outstanding, memory of all roles, users and the tape"),
        octets as f64 / f64::from(OUTSTANDING),
        "octets each",
        Against::Nothing,
    );
    table.row(
        "front door: of those, with an outcome in the end",
        f64::from(outcomes),
        "requests",
        Against::AtLeast(f64::from(OUTSTANDING), "all of them"),
    );
    Ok(())
}

/// From the start of the process's work to the bound front door, with ten thousand installations.
fn ready(table: &mut Table) -> Result<()> {
    let mut config = config(Path::new("target/bench/ready"))?;
    config.estate.file = Some(estate_file(10_000)?);
    let begin = machine::moment();
    let seconds = on_sockets(config, async |lab| {
        address(lab)?;
        Ok(begin.elapsed().as_secs_f64())
    })?;
    table.row(
        "up: 10 000 installations, keys made, journals on disk, until the front door is bound",
        seconds,
        "s",
        Against::AtMost(2.0, "aim of the design"),
    );
    Ok(())
}
