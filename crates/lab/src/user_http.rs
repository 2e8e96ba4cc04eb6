//! A user of a front door over HTTP: [`users::Client`] with sockets around its link.
//!
//! The client signs, keeps counters, waits for outcomes and proves both signatures of everything that comes back; this
//! module posts what it sends, and gives it what arrives: by call-back through a [`Listener`](crate::listen::Listener), or
//! fetched by whoever has a way to, through its [`Inbox`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use domain::{Eui64, SimDuration};
//! use duis::signature::{Certificate, CertificateBook, SigningKey};
//! use lab::listen::Listener;
//! use lab::{tls, user_http};
//! use tokio_util::sync::CancellationToken;
//!
//! let pem = |name: &str| std::fs::read_to_string(format!("s1lab-out/state/pki/{name}.pem"));
//! let mut book = CertificateBook::new();
//! for name in ["dcc.crt", "s1sp.crt"] {
//!     book.add(Certificate::from_pem(&pem(name)?)?)?;
//! }
//! let user: Eui64 = "90-B3-D5-1F-30-01-00-00".parse()?;
//! let options = user_http::Options {
//!     user: users::Options {
//!         eui: user,
//!         dcc: "90-B3-D5-1F-30-00-00-02".parse()?,
//!         key: Arc::new(SigningKey::from_pem(
//!             &pem(&format!("user-{user}.key"))?,
//!             &pem(&format!("user-{user}.crt"))?,
//!         )?),
//!         certificates: Arc::new(book),
//!         reply_limit: SimDuration::from_secs(3),
//!     },
//!     front_door: "http://127.0.0.1:8079".into(),
//!     tls: tls::of_client(None, None)?,
//! };
//! let (client, inbox, task) = user_http::user(options)?;
//! let (listener, _heard) = Listener::for_user("127.0.0.1:9000".parse()?, "/smartdcc/duis", inbox).await?;
//! let stop = CancellationToken::new();
//! tokio::spawn(task.run(stop.clone()));
//! tokio::spawn(listener.run(stop.clone()));
//!
//! let meter: Eui64 = "02-1A-B0-02-01-00-00-01".parse()?;
//! let order = users::orders::read_import_registers(meter);
//! let exchange = client.request(&order, SimDuration::from_mins(5)).await?;
//! println!("{}", exchange.code());
//! stop.cancel();
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Eui64, Seed, SimDuration, SimInstant};
use duis::signature::{Certificate, CertificateBook, SigningKey};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use prost::Message;
use proto::{DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use users::{Client, ClientTask, Exchange, Signed};
use world::{Caller, Clock, Faults, Router, Tape, World};

use crate::callback::{HttpClient, client};
use crate::pki::Identity;
use crate::tls::{self, TlsError};

/// Octets of a reply that are read; a longer one is none.
const REPLY_MAX: usize = 16 << 20;
/// How long a reply may take: real clients wait three seconds.
const REPLY_WITHIN: SimDuration = SimDuration::from_secs(3);
/// How long the client may take to judge what was delivered.
const JUDGE_WITHIN: SimDuration = SimDuration::from_secs(30);

/// Who the user is, and where its front door is.
pub struct Options {
    /// Its identity, its key, and the certificates it believes.
    pub user: users::Options,
    /// Address of the front door, `http` or `https`, without the services' paths.
    pub front_door: String,
    /// What it shows and trusts where that is `https`.
    pub tls: rustls::ClientConfig,
}

/// An address that no request can be posted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the address of a front door such as http://127.0.0.1:8079, found {found:?}")]
pub struct NotAFrontDoor {
    /// What stood there.
    pub found: String,
}

/// Where messages for the user go in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox(Caller);

/// What carries between the client and its front door; somebody must run it.
pub struct UserTask {
    client: ClientTask,
    router: Router,
    to_client: Caller,
    front_door: String,
    http: HttpClient,
    clock: Clock,
    reply_limit: SimDuration,
}

/// A user of a front door. RequestIDs count in milliseconds of the machine's time, as those of other clients do: a lab
/// whose calendar is behind must not have signed for the same user later.
///
/// Must be called inside a tokio runtime whose time is not paused.
///
/// # Errors
/// [`NotAFrontDoor`].
pub fn user(options: Options) -> Result<(Client, Inbox, UserTask), NotAFrontDoor> {
    let front_door = options.front_door.trim_end_matches('/').to_owned();
    let uri = Uri::from_str(&front_door).ok();
    let usable = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !usable {
        return Err(NotAFrontDoor {
            found: front_door.chars().take(200).collect(),
        });
    }
    let world = World {
        number: 0,
        clock: Clock::new(crate::calendar::of_the_machine(), 1.0, 1.0),
        seed: Seed::root(0),
        tape: Tape::keeping(0),
        faults: Faults::default(),
    };
    let (own, far) = world.link("user", "front-door");
    let reply_limit = options.user.reply_limit;
    let (client, client_task) = Client::new(&world, own, options.user);
    let (to_client, router) = world::call::split(far);
    let task = UserTask {
        client: client_task,
        router,
        to_client: to_client.clone(),
        front_door,
        http: self::client(options.tls),
        clock: world.clock,
        reply_limit,
    };
    Ok((client, Inbox(to_client), task))
}

impl Inbox {
    /// Gives the client a message, and gives the status it answers: 204 for one it believes, also the second time, else
    /// 400; 503 where nobody runs the client. Safe to cancel; the client may still have taken it.
    pub async fn take(&self, xml: Bytes) -> u16 {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &xml);
        let first = digest.as_ref().first_chunk::<8>().copied().unwrap_or_default();
        let delivery = DuisDelivery {
            // Over HTTP a delivery has no number: the same document is the same delivery.
            delivery_id: u64::from_be_bytes(first),
            xml,
        };
        let reply = self
            .0
            .call(
                Envelope::default(),
                Kind::DuisDelivery,
                &delivery.encode_to_vec(),
                JUDGE_WITHIN,
            )
            .await;
        let status = reply
            .ok()
            .and_then(|reply| DuisDeliveryAck::decode(reply.body).ok())
            .map_or(503, |ack| ack.http_status);
        u16::try_from(status).unwrap_or(500)
    }
}

impl UserTask {
    /// Carries requests and deliveries until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut posts = JoinSet::new();
        let mut client = JoinSet::new();
        client.spawn(self.client.run(shutdown.clone()));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = posts.join_next(), if !posts.is_empty() => {}
                envelope = self.router.recv() => {
                    let Some(envelope) = envelope else { break };
                    let Ok(request) = DuisRequest::decode(envelope.body.clone()) else { continue };
                    let (http, clock, sender) = (self.http.clone(), self.clock.clone(), self.to_client.sender().clone());
                    let (address, limit) = (format!("{}{}", self.front_door, request.path), self.reply_limit);
                    posts.spawn(async move {
                        let posted = clock.timeout(limit, post(&http, &address, request.xml)).await;
                        // No answer at all: the client's own limit says so.
                        let Ok(Some((status, xml))) = posted else { return };
                        let reply = DuisReply { http_status: u32::from(status), xml, forward: false };
                        // A client that has stopped waits for nothing.
                        let _ = sender.reply(&envelope, Kind::DuisReply, &reply.encode_to_vec()).await;
                    });
                }
            }
        }
        posts.shutdown().await;
        while client.join_next().await.is_some() {}
    }
}

/// Posts a request; none where the front door was not reached or its reply broke off.
async fn post(http: &HttpClient, address: &str, xml: Bytes) -> Option<(u16, Bytes)> {
    let request = Request::post(address)
        .header(CONTENT_TYPE, "application/xml")
        .body(Full::new(xml))
        .ok()?;
    let response = match http.request(request).await {
        Ok(response) => response,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(address, error, "the front door could not be reached");
            return None;
        }
    };
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), REPLY_MAX).collect().await.ok()?;
    Some((status, body.to_bytes()))
}

/// A user as files have it, all PEM.
#[derive(Clone, Default)]
pub struct Files {
    /// Address of the front door.
    pub front_door: String,
    /// The DCC's EUI-64.
    pub dcc: String,
    /// Private key to sign with.
    pub key: String,
    /// Its certificate, which says who the user is.
    pub certificate: String,
    /// Certificates of the DCC and of S1SPs, by name.
    pub trusted: BTreeMap<String, String>,
    /// Certificate and key to show over TLS.
    pub tls: Option<(String, String)>,
    /// Whose certificates are good over TLS.
    pub authorities: Option<String>,
}

/// What keeps a user of files from being one, or its request from coming to an end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// A trusted certificate that is none.
    #[error("read the certificate {file}: {problem}")]
    Certificate {
        /// Which.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The DCC's identity.
    #[error("read the DCC's EUI-64")]
    Dcc(#[source] domain::ParseError),
    /// The request came to no end.
    #[error(transparent)]
    Exchange(#[from] users::ClientError),
    /// The address.
    #[error(transparent)]
    FrontDoor(#[from] NotAFrontDoor),
    /// The signing key does not fit its certificate, or is none.
    #[error("use the signing key")]
    Key(#[from] duis::signature::KeyError),
    /// The request is of somebody else, and not signed.
    #[error("the request is of {originator}, and the certificate of {user}")]
    Originator {
        /// Whose request.
        originator: Eui64,
        /// Whose certificate.
        user: Eui64,
    },
    /// The document is no request.
    #[error("read the request")]
    Request(#[source] duis::ReadError),
    /// Certificates for TLS.
    #[error("set up TLS")]
    Tls(#[from] TlsError),
    /// The document cannot be written with another RequestID.
    #[error("write the request")]
    Write(#[source] Box<duis::WriteError>),
}

/// The user that files make. Must be called inside a tokio runtime whose time is not paused.
///
/// # Errors
/// [`UserError`].
pub fn user_of(files: &Files) -> Result<(Client, Inbox, UserTask), UserError> {
    let mut book = CertificateBook::new();
    for (file, pem) in &files.trusted {
        let wrong = |problem: String| UserError::Certificate {
            file: file.clone(),
            problem,
        };
        let certificate = Certificate::from_pem(pem).map_err(|error| wrong(error.to_string()))?;
        book.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    let own = Certificate::from_pem(&files.certificate).map_err(|error| UserError::Certificate {
        file: "of the user".into(),
        problem: error.to_string(),
    })?;
    let identity = files
        .tls
        .as_ref()
        .map(|(certificate, key)| Identity::new(certificate.clone(), key.clone()));
    let options = Options {
        user: users::Options {
            eui: own.eui(),
            dcc: files.dcc.parse().map_err(UserError::Dcc)?,
            key: Arc::new(SigningKey::from_pem(&files.key, &files.certificate)?),
            certificates: Arc::new(book),
            reply_limit: REPLY_WITHIN,
        },
        front_door: files.front_door.clone(),
        tls: tls::of_client(identity.as_ref(), files.authorities.as_deref())?,
    };
    Ok(user(options)?)
}

/// Sends a request of a file and waits for its end, up to `wait_ms` milliseconds after an acknowledgement. One that is
/// signed goes as it is; one that is not gets a fresh counter and the user's signature.
///
/// # Errors
/// [`UserError`].
pub async fn ask(client: &Client, xml: &[u8], wait_ms: u64) -> Result<Exchange, UserError> {
    let mut request = duis::read_request(xml).map_err(UserError::Request)?;
    let path = crate::view::path_of(xml);
    let signed = if crate::view::is_signed(xml) {
        Signed {
            id: request.id,
            path,
            xml: Bytes::copy_from_slice(xml),
        }
    } else {
        if request.id.originator != client.eui() {
            return Err(UserError::Originator {
                originator: request.id.originator,
                user: client.eui(),
            });
        }
        request.id = client.next_id(request.id.target);
        let fresh = duis::write::request(&request).map_err(|error| UserError::Write(Box::new(error)))?;
        client.sign_document(request.id, &path, &fresh)?
    };
    Ok(client.send(signed, SimDuration::from_millis(wait_ms)).await?)
}

/// Pauses for so many milliseconds of the machine.
pub async fn pause(ms: u64) {
    Clock::new(SimInstant(0), 1.0, 1.0)
        .sleep(SimDuration::from_millis(ms))
        .await;
}
