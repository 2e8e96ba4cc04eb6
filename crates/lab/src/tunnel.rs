//! The tunnel between the WAN and a fleet elsewhere: envelopes as length-delimited frames over mutual TLS.
//!
//! The core listens, the fleet connects and connects again, with growing pauses, whenever the connection breaks. Each
//! side proves itself with a certificate of the tunnel's own authority, and each checks the other's name. While no fleet
//! is connected, what the WAN sends to it is lost, as it would be with every mast down; the fleet's own envelopes wait.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::SimDuration;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;
use world::{Clock, ForwardError, LinkEnd, LinkReceiver, LinkSender};
use x509_parser::extensions::GeneralName;

use crate::config::TunnelConfig;
use crate::crypto;
use crate::pki::{Identity, TUNNEL_CORE, TUNNEL_FLEET};

/// An empty frame is sent after so long without another, so that a dead peer is noticed.
pub const HEARTBEAT: SimDuration = SimDuration::from_secs(10);
/// Without any frame for so long, the connection counts as broken.
pub const SILENCE_MAX: SimDuration = SimDuration::from_secs(30);

/// A tunnel that cannot be built or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A certificate or key that TLS does not take.
    #[error("use the tunnel's {what}: {problem}")]
    Certificate {
        /// Which file.
        what: &'static str,
        /// Why not.
        problem: String,
    },
    /// The peer sent octets that belong on no link; its fault.
    #[error("the peer sent what the link does not take")]
    Forward(#[source] ForwardError),
    /// The connection or the listener failed.
    #[error("{act}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The link inside this process has ended.
    #[error("the link has ended")]
    LinkEnded,
    /// Nothing came for longer than [`SILENCE_MAX`].
    #[error("the peer is silent")]
    Silent,
    /// The peer took too long over its handshake.
    #[error("the TLS handshake took too long")]
    Slow,
    /// The peer's certificate is of the tunnel's authority but names another party.
    #[error("the peer is not {expected}")]
    WrongPeer {
        /// Who it should have been.
        expected: &'static str,
    },
}

/// What one end proves itself with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Certificate of the tunnel's authority, PEM.
    pub authority_pem: String,
    /// This end's certificate and key.
    pub identity: Identity,
}

/// The core's end: listens for the fleet.
pub struct CoreEnd {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    options: TunnelConfig,
    wall: Clock,
    /// How many fleets have connected so far.
    connected: watch::Sender<u64>,
}

/// The fleet's end: connects to the core.
pub struct FleetEnd {
    connector: TlsConnector,
    options: TunnelConfig,
    wall: Clock,
}

impl CoreEnd {
    /// Binds the listener. `wall` is a clock that runs as the machine's does.
    ///
    /// # Errors
    /// When the credentials are not usable or the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        credentials: &Credentials,
        options: TunnelConfig,
        wall: Clock,
    ) -> Result<Self, Error> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(credentials)?));
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Io {
            act: "bind the tunnel's listener",
            source,
        })?;
        Ok(Self {
            listener,
            acceptor,
            options,
            wall,
            connected: watch::Sender::new(0),
        })
    }

    /// How many fleets have connected so far: what is sent to a fleet before it has is lost.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<u64> {
        self.connected.subscribe()
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|source| Error::Io {
            act: "ask for the tunnel's address",
            source,
        })
    }

    /// Carries `link` (the fleet's end of the WAN's link) until `shutdown` or until the link ends.
    ///
    /// A second fleet that connects takes the place of the first: it is the same one, started again.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, link: LinkEnd, shutdown: CancellationToken) -> Result<(), Error> {
        let (sender, mut receiver) = link.split();
        let mut next = None;
        loop {
            let stream = match next.take() {
                Some(stream) => stream,
                None => match self.wait(&mut receiver, &shutdown).await? {
                    Some(stream) => stream,
                    None => return Ok(()),
                },
            };
            let mut framed = Framed::new(stream, codec(&self.options));
            tracing::info!("the fleet is connected");
            self.connected.send_modify(|count| *count += 1);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                accepted = self.accept() => next = Some(accepted?),
                ended = pump(&mut framed, &sender, &mut receiver, &self.wall) => match ended {
                    Error::LinkEnded => return Ok(()),
                    error => tracing::warn!(error = &error as &dyn std::error::Error, "the fleet's tunnel broke"),
                },
            }
        }
    }

    /// Waits for the fleet and lets go what is sent to it; `None` on shutdown or at the end of the link.
    async fn wait(
        &self,
        receiver: &mut LinkReceiver,
        shutdown: &CancellationToken,
    ) -> Result<Option<TlsStream<TcpStream>>, Error> {
        let accepting = self.accept();
        tokio::pin!(accepting);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(None),
                accepted = &mut accepting => return accepted.map(Some),
                lost = receiver.recv_octets() => match lost {
                    Some(_) => tracing::debug!("no fleet is connected: an envelope is lost"),
                    None => return Ok(None),
                },
            }
        }
    }

    /// The next peer that proves to be the fleet. Others are turned away with a warning.
    async fn accept(&self) -> Result<TlsStream<TcpStream>, Error> {
        loop {
            let (tcp, peer) = self.listener.accept().await.map_err(|source| Error::Io {
                act: "accept a tunnel",
                source,
            })?;
            let handshake = self
                .wall
                .timeout(span(self.options.handshake_ms), self.acceptor.accept(prepared(tcp)));
            let outcome = match handshake.await {
                Err(_) => Err(Error::Slow),
                Ok(Err(source)) => Err(Error::Io {
                    act: "shake hands with the fleet",
                    source,
                }),
                Ok(Ok(stream)) => named(stream.get_ref().1.peer_certificates(), TUNNEL_FLEET).map(|()| stream),
            };
            match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::warn!(%peer, error = &error as &dyn std::error::Error, "turned a tunnel away");
                }
            }
        }
    }
}

impl FleetEnd {
    /// Prepares to connect. `wall` is a clock that runs as the machine's does.
    ///
    /// # Errors
    /// When the credentials are not usable.
    pub fn new(credentials: &Credentials, options: TunnelConfig, wall: Clock) -> Result<Self, Error> {
        let connector = TlsConnector::from(Arc::new(client_config(credentials)?));
        Ok(Self {
            connector,
            options,
            wall,
        })
    }

    /// Carries `link` (the WAN's end of the fleet's link) until `shutdown` or until the link ends.
    pub async fn run(self, link: LinkEnd, shutdown: CancellationToken) {
        let (sender, mut receiver) = link.split();
        let mut pause = self.options.reconnect_ms.max(1);
        loop {
            let ended = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                ended = self.once(&sender, &mut receiver, &mut pause) => ended,
            };
            if matches!(ended, Error::LinkEnded) {
                return;
            }
            tracing::info!(
                error = &ended as &dyn std::error::Error,
                pause_ms = pause,
                "no tunnel; will connect again"
            );
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.wall.sleep(span(pause)) => {}
            }
            pause = pause.saturating_mul(2).min(self.options.reconnect_max_ms.max(1));
        }
    }

    /// One connection, from start to end; never ends well.
    async fn once(&self, sender: &LinkSender, receiver: &mut LinkReceiver, pause: &mut u64) -> Error {
        let connecting = async {
            let tcp = TcpStream::connect(&self.options.core)
                .await
                .map_err(|source| Error::Io {
                    act: "connect to the core",
                    source,
                })?;
            let name = ServerName::try_from(TUNNEL_CORE).map_err(|error| Error::Certificate {
                what: "name",
                problem: error.to_string(),
            })?;
            self.connector
                .connect(name, prepared(tcp))
                .await
                .map_err(|source| Error::Io {
                    act: "shake hands with the core",
                    source,
                })
        };
        let stream = match self.wall.timeout(span(self.options.handshake_ms), connecting).await {
            Err(_) => return Error::Slow,
            Ok(Err(error)) => return error,
            Ok(Ok(stream)) => stream,
        };
        tracing::info!(core = %self.options.core, "connected to the core");
        *pause = self.options.reconnect_ms.max(1);
        let mut framed = Framed::new(stream, codec(&self.options));
        pump(&mut framed, sender, receiver, &self.wall).await
    }
}

/// Carries frames both ways until something ends; returns what did.
async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, LengthDelimitedCodec>,
    sender: &LinkSender,
    receiver: &mut LinkReceiver,
    wall: &Clock,
) -> Error {
    let broken = |source| Error::Io {
        act: "carry frames",
        source,
    };
    let mut heard = wall.now();
    let mut spoke = wall.now();
    loop {
        tokio::select! {
            biased;
            outgoing = receiver.recv_octets() => {
                let Some(octets) = outgoing else { return Error::LinkEnded };
                if let Err(source) = framed.send(octets).await {
                    return broken(source);
                }
                spoke = wall.now();
            }
            incoming = framed.next() => {
                let octets: Bytes = match incoming {
                    None => return broken(io::ErrorKind::UnexpectedEof.into()),
                    Some(Err(source)) => return broken(source),
                    Some(Ok(octets)) => octets.freeze(),
                };
                heard = wall.now();
                match if octets.is_empty() { Ok(()) } else { sender.forward(octets).await } {
                    Ok(()) => {}
                    Err(ForwardError::Closed(_)) => return Error::LinkEnded,
                    Err(error) => return Error::Forward(error),
                }
            }
            () = wall.sleep_until(spoke + HEARTBEAT) => {
                if wall.now().since(heard) >= SILENCE_MAX {
                    return Error::Silent;
                }
                if let Err(source) = framed.send(Bytes::new()).await {
                    return broken(source);
                }
                spoke = wall.now();
            }
        }
    }
}

fn codec(options: &TunnelConfig) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(options.frame_max)
        .new_codec()
}

fn prepared(tcp: TcpStream) -> TcpStream {
    // Frames are small and answered one by one; waiting to fill a packet would only delay them.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "the connection keeps its delay");
    }
    tcp
}

fn span(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

/// The rustls server configuration that demands a client certificate of the tunnel's authority.
///
/// # Errors
/// When the credentials are not usable.
pub fn server_config(credentials: &Credentials) -> Result<ServerConfig, Error> {
    let unusable = |what, problem: String| Error::Certificate { what, problem };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(credentials)?), crypto::provider())
        .build()
        .map_err(|error| unusable("authority", error.to_string()))?;
    ServerConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable("protocol", error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(credentials)?, key(credentials)?)
        .map_err(|error| unusable("certificate", error.to_string()))
}

/// The rustls client configuration that shows its certificate and trusts the tunnel's authority alone.
///
/// # Errors
/// When the credentials are not usable.
pub fn client_config(credentials: &Credentials) -> Result<ClientConfig, Error> {
    let unusable = |what, problem: String| Error::Certificate { what, problem };
    ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable("protocol", error.to_string()))?
        .with_root_certificates(roots(credentials)?)
        .with_client_auth_cert(chain(credentials)?, key(credentials)?)
        .map_err(|error| unusable("certificate", error.to_string()))
}

fn roots(credentials: &Credentials) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let authority =
        CertificateDer::from_pem_slice(credentials.authority_pem.as_bytes()).map_err(|error| Error::Certificate {
            what: "authority",
            problem: error.to_string(),
        })?;
    roots.add(authority).map_err(|error| Error::Certificate {
        what: "authority",
        problem: error.to_string(),
    })?;
    Ok(roots)
}

fn chain(credentials: &Credentials) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::from_pem_slice(credentials.identity.certificate_pem.as_bytes())
        .map(|certificate| vec![certificate])
        .map_err(|error| Error::Certificate {
            what: "certificate",
            problem: error.to_string(),
        })
}

fn key(credentials: &Credentials) -> Result<PrivateKeyDer<'static>, Error> {
    // The reader's own words could quote the key, so only the fact is told.
    PrivateKeyDer::from_pem_slice(credentials.identity.expose_key_pem().as_bytes()).map_err(|_| Error::Certificate {
        what: "key",
        problem: "not a private key in PEM".into(),
    })
}

/// Checks that the peer's certificate carries `expected` as a DNS name.
fn named(certificates: Option<&[CertificateDer<'_>]>, expected: &'static str) -> Result<(), Error> {
    let names_it = certificates.and_then(<[_]>::first).is_some_and(|der| {
        x509_parser::parse_x509_certificate(der).is_ok_and(|(_, certificate)| {
            certificate
                .subject_alternative_name()
                .ok()
                .flatten()
                .is_some_and(|names| {
                    names
                        .value
                        .general_names
                        .iter()
                        .any(|name| matches!(name, GeneralName::DNSName(n) if *n == expected))
                })
        })
    });
    if names_it {
        Ok(())
    } else {
        Err(Error::WrongPeer { expected })
    }
}

#[cfg(test)]
mod tests {
    use domain::{Seed, SimInstant};
    use prost::Message;
    use proto::{Envelope, Kind};
    use world::World;

    use super::*;
    use crate::{Config, Pki};

    fn world() -> World {
        World::virtual_at(SimInstant(0), Seed::root(1))
    }

    fn options(core: SocketAddr) -> TunnelConfig {
        TunnelConfig {
            core: core.to_string(),
            reconnect_ms: 1,
            reconnect_max_ms: 10,
            ..TunnelConfig::default()
        }
    }

    async fn say(end: &LinkEnd, text: &str) {
        end.send(
            Envelope {
                trace_id: text.into(),
                ..Envelope::default()
            },
            Kind::WanSms,
            b"",
        )
        .await
        .expect("open");
    }

    #[tokio::test]
    async fn envelopes_pass_both_ways_and_a_fleet_may_come_again() {
        let pki = Pki::generate(&Config::default()).expect("made");
        let credentials = |identity: &Identity| Credentials {
            authority_pem: pki.tunnel_ca.certificate_pem.clone(),
            identity: identity.clone(),
        };
        let (core_world, shutdown) = (world(), CancellationToken::new());
        let (mut wan, fleet_side) = core_world.link("wan", "fleet");
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let core = CoreEnd::bind(
            loopback,
            &credentials(&pki.tunnel_core),
            TunnelConfig::default(),
            core_world.clock.clone(),
        )
        .await
        .expect("bound");
        let address = core.address().expect("bound");
        let core = tokio::spawn(core.run(fleet_side, shutdown.clone()));

        // One that shows the wrong certificate is turned away.
        let imposter = FleetEnd::new(
            &credentials(&pki.tunnel_core),
            options(address),
            core_world.clock.clone(),
        )
        .expect("usable");
        let (imposter_wan, imposter_fleet) = world().link("wan", "fleet");
        say(&imposter_fleet, "imposter").await;
        let stop_imposter = CancellationToken::new();
        let imposter = tokio::spawn(imposter.run(imposter_wan, stop_imposter.clone()));

        for round in ["first", "second"] {
            let fleet_world = world();
            let (wan_side, mut fleet) = fleet_world.link("wan", "fleet");
            let end = FleetEnd::new(
                &credentials(&pki.tunnel_fleet),
                options(address),
                fleet_world.clock.clone(),
            )
            .expect("usable");
            let stop = CancellationToken::new();
            let running = tokio::spawn(end.run(wan_side, stop.clone()));
            say(&fleet, round).await;
            assert_eq!(wan.recv().await.expect("open").trace_id, round);
            say(&wan, round).await;
            assert_eq!(fleet.recv().await.expect("open").trace_id, round);
            stop.cancel();
            running.await.expect("ended");
        }
        stop_imposter.cancel();
        imposter.await.expect("ended");
        shutdown.cancel();
        core.await.expect("ended").expect("well");
        let traces = core_world
            .tape
            .records()
            .into_iter()
            .map(|record| Envelope::decode(record.octets).expect("an envelope").trace_id);
        assert_eq!(traces.collect::<Vec<_>>(), ["first", "first", "second", "second"]);
    }
}
