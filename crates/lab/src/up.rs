//! A lab on sockets: real or scaled clock, DUIS over HTTP, call-backs, and the tunnel for a fleet elsewhere.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use dialects::external::End;
use domain::SimDuration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use world::{Clock, Faults, Tape, World};

use crate::callback::{NotAListener, Poster};
use crate::chain::Chain;
use crate::config::{ClockMode, Config};
use crate::custody::Custody;
use crate::duis_http::{DuisHttp, DuisOptions};
use crate::faces::Faces;
use crate::forward::Forwarder;
use crate::lookup_http::LookupHttp;
use crate::parts::{BuildError, Journals, Parts};
use crate::pki::{self, Pki};
use crate::tls::{self, TlsError};
use crate::tunnel::{self, CoreEnd, Credentials, FleetEnd};
use crate::user_port::{UserPort, UserPorts};
use crate::view::{Inner, LabHandle};

/// How long requests in progress may take after shutdown, in milliseconds of the machine.
pub const GRACE_MS: u64 = 3000;

/// Records of the tape a lab on sockets keeps; older ones go.
pub const TAPE_KEPT: usize = 100_000;

/// What keeps a lab on sockets from starting, or ends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The virtual clock jumps, and would jump over people and sockets.
    #[error("a lab on sockets needs the clock real or xN, not virtual")]
    Clock,
    /// An address cannot be bound, or a listener failed.
    #[error("listen for {what} on {address}")]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The address that other devices' requests are forwarded to is none.
    #[error("forward.address")]
    Forward(#[source] NotAListener),
    /// A user's listener is no address.
    #[error("user {user}")]
    Listener {
        /// Whose.
        user: String,
        /// What stands there.
        #[source]
        source: NotAListener,
    },
    /// Certificates of the front door or of call-backs.
    #[error("set up TLS")]
    Tls(#[from] TlsError),
    /// The tunnel.
    #[error("the tunnel failed")]
    Tunnel(#[from] tunnel::Error),
}

/// A lab that has started: every address is bound, every role runs.
pub struct Running {
    chain: Chain,
    http: DuisHttp,
    lookup: Option<LookupHttp>,
    tunnel: Option<(CoreEnd, world::LinkEnd)>,
    ports: JoinSet<()>,
    handle: LabHandle,
    wall: Clock,
}

/// Prepares the state folder: keys and custody are made where there are none, and what a fleet elsewhere needs is put in
/// `fleet` below it. Gives the configuration with the folder of the keys filled in.
///
/// # Errors
/// When files cannot be written.
pub fn prepare(mut config: Config) -> Result<Config, BuildError> {
    let Some(state) = config.folders.state.clone() else {
        return Ok(config);
    };
    let folder = config.folders.pki.clone().unwrap_or_else(|| state.join("pki"));
    if !folder.join("users.toml").exists() {
        init_pki(&config, &folder)?;
    }
    if config.tunnel.remote_fleet {
        let hand_over = state.join("fleet");
        if !hand_over.join("custody").exists() {
            crate::calendar::now(&state, config.clock.start, config.clock.mode.speed())?;
            crate::calendar::hand_over(&state, &hand_over)?;
            // Custody comes last: a fleet that finds it finds everything.
            Pki::load(&folder)?.write_fleet(&hand_over)?;
            Custody::load(&folder)?.write_fleet(&hand_over)?;
        }
    }
    config.folders.pki = Some(folder);
    Ok(config)
}

/// Makes the keys, certificates and custody files of a lab in `folder`: what `pki init` does. Gives the files written.
///
/// # Errors
/// When a file exists already or cannot be written.
pub fn init_pki(config: &Config, folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let pki = Pki::generate(config)?;
    let mut written = pki.write(folder)?;
    written.extend(Custody::random()?.write(folder)?);
    Ok(written)
}

/// Builds a lab, binds its addresses and starts its roles. Must be called inside a tokio runtime whose time is not paused.
///
/// # Errors
/// [`UpError`]; nothing is then left running.
pub async fn start(config: Config) -> Result<Running, UpError> {
    if config.clock.mode == ClockMode::Virtual {
        return Err(UpError::Clock);
    }
    let parts = Parts::build(prepare(config)?)?;
    let config = &parts.config;
    if config.tunnel.remote_fleet {
        parts.faces.without(End::Device, DEVICES_ELSEWHERE);
    }
    let speed = config.clock.mode.speed();
    let start = match &config.folders.state {
        Some(state) => crate::calendar::now(state, config.clock.start, speed).map_err(BuildError::from)?,
        None => config.clock.start,
    };
    let world = World {
        number: 0,
        clock: Clock::new(start, speed, config.clock.latency),
        seed: config.world_seed(),
        tape: Tape::keeping(TAPE_KEPT),
        faults: Faults::default(),
    };
    let wall = Clock::new(config.clock.start, 1.0, 1.0);
    let mut chain = Chain::start(world.clone(), Arc::clone(&parts), !config.tunnel.remote_fleet)?;
    let stop = CancellationToken::new();

    let call_backs = tls::of_call_backs(&config.call_back, &parts.pki)?;
    let mut tasks = JoinSet::new();
    let mut ports = Vec::new();
    for (user, link) in chain.take_user_links() {
        let listener = parts
            .pki
            .users
            .iter()
            .find(|other| other.eui == user)
            .and_then(|user| user.listener.as_deref());
        let poster = listener
            .map(|listener| {
                Poster::new(
                    listener,
                    call_backs.clone(),
                    wall.clone(),
                    SimDuration::from_millis(config.http.delivery_ms),
                )
            })
            .transpose()
            .map_err(|source| UpError::Listener {
                user: user.to_string(),
                source,
            })?;
        let (port, task) = UserPort::new(user, link, poster);
        tasks.spawn(task.run(stop.clone()));
        ports.push(port);
    }
    let ports = UserPorts::new(ports);

    let duis = config.listen.duis;
    let failed = |source| UpError::Listen {
        what: "DUIS",
        address: duis,
        source,
    };
    let reply = SimDuration::from_millis(config.http.reply_ms);
    let forwarder = Forwarder::new(&config.forward, call_backs, wall.clone(), reply).map_err(UpError::Forward)?;
    let options = DuisOptions {
        paths: config.listen.paths.clone(),
        limits: config.http.clone(),
        ports: ports.clone(),
        wall: wall.clone(),
        speed,
        tls: tls::of_front_door(config, &parts.pki)?,
        forwarder,
    };
    let http = DuisHttp::bind(duis, options).await.map_err(failed)?;
    let handle = LabHandle::new(Inner {
        parts: Arc::clone(&parts),
        world,
        roles: chain.shared(),
        ports,
        wall: wall.clone(),
        addresses: Mutex::default(),
        stop,
        tasks: TaskTracker::new(),
        counters: Mutex::new(BTreeMap::new()),
        tunnel: OnceLock::new(),
        changing: tokio::sync::Mutex::default(),
    });
    handle.note_address("duis", http.address().map_err(failed)?);
    let lookup = match config.lookup.enabled {
        false => None,
        true => {
            let failed = |source| UpError::Listen {
                what: "certificate look-up ([lookup] in the configuration)",
                address: config.lookup.listen,
                source,
            };
            let lookup = LookupHttp::bind(config, &parts.pki).await.map_err(failed)?;
            handle.note_address("lookup", lookup.address().map_err(failed)?);
            Some(lookup)
        }
    };
    let tunnel = match chain.take_fleet_link() {
        None => None,
        Some(link) => {
            let credentials = Credentials {
                authority_pem: parts.pki.tunnel_ca.certificate_pem.clone(),
                identity: parts.pki.tunnel_core.clone(),
            };
            let end = CoreEnd::bind(config.listen.tunnel, &credentials, config.tunnel.clone(), wall.clone()).await?;
            handle.note_address("tunnel", end.address()?);
            handle.note_tunnel(end.connected());
            Some((end, link))
        }
    };
    Ok(Running {
        chain,
        http,
        lookup,
        tunnel,
        ports: tasks,
        handle,
        wall,
    })
}

/// Builds and runs a lab until `shutdown`; `ready` is called once everything listens.
///
/// # Errors
/// [`UpError`].
pub async fn run(config: Config, shutdown: CancellationToken, ready: impl FnOnce(&LabHandle)) -> Result<(), UpError> {
    let running = start(config).await?;
    ready(running.handle());
    running.run(shutdown).await
}

impl Running {
    /// What others may ask of it.
    #[must_use]
    pub fn handle(&self) -> &LabHandle {
        &self.handle
    }

    /// Serves until `shutdown` or until somebody asks the lab to stop; then lets requests in progress end and waits for
    /// every role.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), UpError> {
        let stop = self.handle.stopping().clone();
        let address = self.handle.parts().config.listen.duis;
        let mut servers = JoinSet::new();
        servers.spawn({
            let (http, stop) = (self.http, stop.clone());
            async move {
                http.run(stop).await.map_err(|source| UpError::Listen {
                    what: "DUIS",
                    address,
                    source,
                })
            }
        });
        if let Some(lookup) = self.lookup.take() {
            let stop = stop.clone();
            let address = self.handle.parts().config.lookup.listen;
            servers.spawn(async move {
                lookup.run(stop).await.map_err(|source| UpError::Listen {
                    what: "certificate look-up",
                    address,
                    source,
                })
            });
        }
        if let Some((end, link)) = self.tunnel.take() {
            let stop = stop.clone();
            servers.spawn(async move { Ok(end.run(link, stop).await?) });
        }
        let mut outcome = Ok(());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = stop.cancelled() => {}
            Some(ended) = servers.join_next() => {
                if let Ok(ended) = ended {
                    outcome = ended;
                }
            }
        }
        stop.cancel();
        let drained = async { while servers.join_next().await.is_some() {} };
        if self
            .wall
            .timeout(SimDuration::from_millis(GRACE_MS), drained)
            .await
            .is_err()
        {
            tracing::warn!("connections were cut off at the end of the grace period");
        }
        self.handle.tasks().close();
        self.handle.tasks().wait().await;
        while self.ports.join_next().await.is_some() {}
        self.chain.stop().await;
        outcome
    }
}

/// What a program is told that wants to speak for devices of a fleet elsewhere.
const DEVICES_ELSEWHERE: &str = "the devices of this lab are in a process of their own: attach their end there, at the address \
                                 that `s1lab role fleet --faces ADDR` listens on, and the head-end's end here";

/// What a program is told that wants to speak for a head-end where only devices are.
const HEAD_ENDS_ELSEWHERE: &str = "only devices are in this process: attach the head-end's end at the control address of the \
                                   lab, and the devices' end here";

/// The fleet as a process of its own: builds the installations and connects to the core.
pub struct FleetRole {
    world: World,
    fleet: fleet::Fleet,
    handle: fleet::Handle,
    end: FleetEnd,
    link: world::LinkEnd,
    faces: Faces,
}

impl FleetRole {
    /// Builds the fleet from the configuration, with credentials and custody from `folder`. Must be called inside a
    /// tokio runtime whose time is not paused.
    ///
    /// # Errors
    /// When a file is missing, for example because the core has not left it yet, or the estate cannot be built.
    pub fn build(mut config: Config, folder: &Path) -> Result<Self, UpError> {
        if config.clock.mode == ClockMode::Virtual {
            return Err(UpError::Clock);
        }
        let custody = Custody::load(folder).map_err(BuildError::from)?;
        let credentials = pki::load_fleet_credentials(folder).map_err(BuildError::from)?;
        // The parts' own keys are not the lab's and are used for nothing here.
        let state = std::mem::take(&mut config.folders).state;
        let mut parts = Parts::clone(&*Parts::build(config)?);
        parts.custody = custody;
        let config = &parts.config;
        let speed = config.clock.mode.speed();
        let start = crate::calendar::now(folder, config.clock.start, speed).map_err(BuildError::from)?;
        let world = World {
            number: 0,
            clock: Clock::new(start, speed, config.clock.latency),
            seed: config.world_seed(),
            tape: Tape::keeping(0),
            faults: Faults::default(),
        };
        let wall = Clock::new(config.clock.start, 1.0, 1.0);
        let (wan_side, fleet_side) = world.link("wan", "fleet");
        let journal = state.map(|state| Journals::on_disk(&state).open("fleet")).transpose();
        let journal = journal.map_err(BuildError::from)?;
        let (fleet, handle) = crate::chain::fleet_of(&world, fleet_side, &parts, journal)?;
        parts.faces.without(End::HeadEnd, HEAD_ENDS_ELSEWHERE);
        let faces = parts.faces.clone();
        let end = FleetEnd::new(&credentials, config.tunnel.clone(), wall)?;
        Ok(Self {
            world,
            fleet,
            handle,
            end,
            link: wan_side,
            faces,
        })
    }

    /// The fleet's handle.
    #[must_use]
    pub fn handle(&self) -> &fleet::Handle {
        &self.handle
    }

    /// Where programs that speak for its devices are attached.
    #[must_use]
    pub fn faces(&self) -> &Faces {
        &self.faces
    }

    /// The world of this process.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Runs until `shutdown`; connects again whenever the tunnel breaks.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        let (fleet, stop) = (self.fleet, shutdown.clone());
        tasks.spawn(async move {
            fleet.run(stop).await;
        });
        tasks.spawn(self.end.run(self.link, shutdown));
        while tasks.join_next().await.is_some() {}
    }
}
