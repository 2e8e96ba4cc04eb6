//! TLS of the front door and of call-backs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use domain::SimDuration;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use world::Clock;

use crate::config::{CallBackConfig, ClientCertificates, Config};
use crate::crypto;
use crate::files::{FileError, read_text};
use crate::pki::{Identity, Pki};

/// Connections whose handshake is done and that nobody has taken yet; more wait in the system's queue.
const READY_MAX: usize = 64;

/// A certificate or key that TLS does not take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The PKI of the lab has none: it was made by an earlier version.
    #[error("the lab's PKI has no {what}; make a new one with `s1lab pki init`, or name files in [{section}]")]
    Missing {
        /// Which certificate.
        what: &'static str,
        /// Section of the configuration.
        section: &'static str,
    },
    /// It is not what it should be.
    #[error("use the {what}: {problem}")]
    Unusable {
        /// Which.
        what: &'static str,
        /// Why not.
        problem: String,
    },
}

/// What the front door shows and asks for; none where it speaks plain HTTP.
///
/// # Errors
/// [`TlsError`].
pub fn of_front_door(config: &Config, pki: &Pki) -> Result<Option<ServerConfig>, TlsError> {
    let tls = &config.tls;
    if !tls.enabled {
        return Ok(None);
    }
    let own = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Identity::new(read_text(certificate)?, read_text(key)?),
        _ => pki.tls_server.clone().ok_or(TlsError::Missing {
            what: "certificate for the front door",
            section: "tls",
        })?,
    };
    let authorities = match &tls.client_authorities {
        Some(path) => read_text(path)?,
        None => pki.tunnel_ca.certificate_pem.clone(),
    };
    let builder = ServerConfig::builder_with_provider(crypto::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("protocol", error))?;
    let verifier = |optional: bool| {
        let roots = Arc::new(roots("clients' authorities", &authorities)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, crypto::provider());
        let builder = if optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        builder.build().map_err(|error| unusable("clients' authorities", error))
    };
    let builder = match tls.clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional => builder.with_client_cert_verifier(verifier(true)?),
        ClientCertificates::Required => builder.with_client_cert_verifier(verifier(false)?),
    };
    let config = builder
        .with_single_cert(chain(&own.certificate_pem)?, key(&own)?)
        .map_err(|error| unusable("certificate for the front door", error))?;
    Ok(Some(config))
}

/// What call-backs show and trust.
///
/// # Errors
/// [`TlsError`].
pub fn of_call_backs(config: &CallBackConfig, pki: &Pki) -> Result<ClientConfig, TlsError> {
    let own = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => Some(Identity::new(read_text(certificate)?, read_text(key)?)),
        _ => pki.tls_client.clone(),
    };
    let authorities = match &config.authorities {
        Some(path) => read_text(path)?,
        None => pki.tunnel_ca.certificate_pem.clone(),
    };
    of_client(own.as_ref(), Some(&authorities))
}

/// A client that shows a certificate, if it has one, and trusts these authorities (PEM); for plain HTTP it needs neither.
///
/// # Errors
/// [`TlsError`].
pub fn of_client(own: Option<&Identity>, authorities_pem: Option<&str>) -> Result<ClientConfig, TlsError> {
    let roots = match authorities_pem {
        Some(pem) => roots("authorities", pem)?,
        None => RootCertStore::empty(),
    };
    let builder = ClientConfig::builder_with_provider(crypto::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("protocol", error))?
        .with_root_certificates(roots);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some(own) => builder
            .with_client_auth_cert(chain(&own.certificate_pem)?, key(own)?)
            .map_err(|error| unusable("client's certificate", error)),
    }
}

fn unusable(what: &'static str, problem: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable {
        what,
        problem: problem.to_string(),
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable("certificate", "no PEM block CERTIFICATE")),
        Err(error) => Err(unusable("certificate", error)),
    }
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, TlsError> {
    // The reader's own words could quote the key, so only the fact is told.
    PrivateKeyDer::from_pem_slice(identity.expose_key_pem().as_bytes())
        .map_err(|_| unusable("private key", "not a private key in PEM"))
}

fn roots(what: &'static str, pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(pem)? {
        roots.add(certificate).map_err(|error| unusable(what, error))?;
    }
    Ok(roots)
}

/// Accepts connections and shakes hands, many at a time: a client that dawdles keeps nobody waiting.
pub struct TlsListener {
    local: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    // Ends with the listener.
    _accepting: JoinSet<()>,
}

impl TlsListener {
    /// Takes a bound listener. Handshakes that take longer than `allowed` of `wall` are given up.
    ///
    /// # Errors
    /// When the system does not tell its address.
    pub fn new(listener: TcpListener, config: ServerConfig, wall: Clock, allowed: SimDuration) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(READY_MAX);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            sender,
            wall,
            allowed,
        ));
        Ok(Self {
            local,
            ready,
            _accepting: accepting,
        })
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    wall: Clock,
    allowed: SimDuration,
) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => {}
            accepted = listener.accept() => {
                let (tcp, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        wall.sleep(SimDuration::from_millis(50)).await;
                        continue;
                    }
                };
                let (acceptor, ready, wall) = (acceptor.clone(), ready.clone(), wall.clone());
                handshakes.spawn(async move {
                    match wall.timeout(allowed, acceptor.accept(tcp)).await {
                        Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::info!(%peer, %error, "no TLS with a client"),
                        Err(_) => tracing::info!(%peer, "a client took too long over TLS"),
                    }
                });
            }
        }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task ends only with the listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.local)
    }
}
