//! `s1lab up` and `s1lab role`.

use lab::ClockMode;
use lab::up::FleetRole;
use tokio_util::sync::CancellationToken;

use crate::args::{Global, Role, Up};
use crate::failure::Failure;

pub(crate) fn up(global: &Global, args: Up) -> Result<(), Failure> {
    let mut config = super::config(global)?;
    on_sockets(&mut config);
    if let Some(address) = args.duis {
        config.listen.duis = address;
    }
    if let Some(address) = args.control {
        config.listen.control = address;
    }
    if let Some(address) = args.lookup {
        config.lookup.listen = address;
    }
    for listener in &args.listener {
        let (user, address) = listener.split_once('=').unwrap_or((listener, ""));
        config.set_listener(user, address).map_err(Failure::input)?;
    }
    if let Some(address) = args.fleet {
        config.listen.tunnel = address;
        config.tunnel.remote_fleet = true;
    }
    config.dmc.folders.extend(args.dmc);
    if args.estate.is_some() {
        config.estate.file = args.estate;
    }
    config.folders.state.get_or_insert_with(|| global.state.clone());
    super::runtime()?.block_on(async {
        let shutdown = on_interrupt()?;
        control::up(config, shutdown, |lab| {
            let status = lab.status();
            for (name, address) in &status.addresses {
                eprintln!("{name:8} {address}");
            }
            eprintln!(
                "seed {}  clock {}  {} installations; interrupt to stop",
                status.seed, status.clock, status.installations
            );
        })
        .await
        .map_err(Failure::start)
    })
}

pub(crate) fn role(global: &Global, args: Role) -> Result<(), Failure> {
    let mut config = super::config(global)?;
    on_sockets(&mut config);
    config.tunnel.core = args.connect;
    config.folders.state.get_or_insert_with(|| global.state.clone());
    config.dmc.folders.extend(args.dmc);
    if args.estate.is_some() {
        config.estate.file = args.estate;
    }
    super::runtime()?.block_on(async {
        let shutdown = on_interrupt()?;
        let fleet = FleetRole::build(config, &args.pki).map_err(Failure::start)?;
        eprintln!("fleet of {} devices, connecting", fleet.handle().devices().len());
        let Some(address) = args.faces else {
            fleet.run(shutdown).await;
            return Ok(());
        };
        let faces = control::FacesOnly::bind(address, fleet.faces().clone()).await;
        let faces = faces.map_err(Failure::start)?;
        eprintln!("faces    {}", faces.address());
        let serving = async {
            let served = faces.run(shutdown.clone()).await;
            // A fleet that nobody can speak for is of no use.
            shutdown.cancel();
            served
        };
        let ((), served) = tokio::join!(fleet.run(shutdown.clone()), serving);
        served.map_err(Failure::start)
    })
}

/// A lab for people runs on a real clock unless they say otherwise; `--clock virtual` is refused where it is started.
fn on_sockets(config: &mut lab::Config) {
    if config.clock.mode == ClockMode::Virtual {
        config.clock.mode = ClockMode::Real;
    }
}

/// Cancelled by an interrupt or a request to terminate.
pub(super) fn on_interrupt() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::start)?;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    // Ends with the runtime, which outlives it by nothing.
    tokio::spawn(async move {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(shutdown)
}
