//! A user's listener for people and tests: takes what is posted, judges it, answers as told.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use domain::{Eui64, SimDuration};
use duis::ResponseBody;
use duis::signature::{Certificate, CertificateBook};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use world::Clock;

use crate::tls::TlsListener;
use crate::user_http::Inbox;

/// Octets of a delivery at most.
const DELIVERY_MAX: usize = 16 << 20;
/// How long a client may take over TLS.
const HANDSHAKE_WITHIN: SimDuration = SimDuration::from_secs(10);
/// Deliveries that wait for whoever prints them; more wait in the connection.
const WAITING_MAX: usize = 64;

/// How a listener answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// 204 for what is a message of DUIS, believed as [`users::Client`] believes it where there are certificates to judge
    /// by; else 400.
    Strict,
    /// As the published client of DCC Boxed does: 204 for the messages it knows, 400 for SMETS1 responses, which it does
    /// not, and 404 for another content type. A signature is judged where there is exactly one.
    DccBoxed,
    /// The same status to everything.
    Always(u16),
}

/// Something that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The document.
    pub xml: Bytes,
    /// What it is, or what is wrong with it.
    pub words: String,
    /// What was answered.
    pub status: u16,
}

/// A bound listener.
pub struct Listener {
    listener: TcpListener,
    app: Router,
    tls: Option<(rustls::ServerConfig, Clock)>,
}

struct Ears {
    judge: Judge,
    said: mpsc::Sender<Received>,
}

/// Who says what to answer.
enum Judge {
    Manner {
        manner: Manner,
        dcc: Eui64,
        /// None: signatures are not judged.
        certificates: Option<CertificateBook>,
    },
    User(Inbox),
}

impl Listener {
    /// Binds a listener that takes posts on `path`. What it receives comes out of the channel. `certificates` are PEM by
    /// name; with some, a message has to be signed by `dcc`.
    ///
    /// # Errors
    /// When the address cannot be bound, or a certificate is none.
    pub async fn bind(
        address: SocketAddr,
        path: &str,
        manner: Manner,
        dcc: Eui64,
        certificates: BTreeMap<String, String>,
    ) -> io::Result<(Self, mpsc::Receiver<Received>)> {
        let certificates = match certificates.is_empty() {
            true => None,
            false => Some(book(&certificates)?),
        };
        let judge = Judge::Manner {
            manner,
            dcc,
            certificates,
        };
        Ok(Self::with(TcpListener::bind(address).await?, path, judge))
    }

    /// Binds a listener that gives what is posted to a user's client and answers what the client says of it. The channel
    /// has the same messages for whoever wants to see them pass, and need not be read: what nobody takes is dropped.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn for_user(
        address: SocketAddr,
        path: &str,
        inbox: Inbox,
    ) -> io::Result<(Self, mpsc::Receiver<Received>)> {
        Ok(Self::for_user_on(TcpListener::bind(address).await?, path, inbox))
    }

    /// The same on a socket that is bound: for who has to tell its address before there is a client.
    #[must_use]
    pub fn for_user_on(socket: TcpListener, path: &str, inbox: Inbox) -> (Self, mpsc::Receiver<Received>) {
        Self::with(socket, path, Judge::User(inbox))
    }

    /// The same listener over TLS; handshakes may take ten seconds of `wall`.
    #[must_use]
    pub fn over_tls(self, tls: rustls::ServerConfig, wall: Clock) -> Self {
        Self {
            tls: Some((tls, wall)),
            ..self
        }
    }

    fn with(listener: TcpListener, path: &str, judge: Judge) -> (Self, mpsc::Receiver<Received>) {
        let (said, heard) = mpsc::channel(WAITING_MAX);
        let ears = Ears { judge, said };
        let app = Router::new()
            .route(path, post(receive))
            .layer(DefaultBodyLimit::max(DELIVERY_MAX))
            .with_state(Arc::new(ears));
        let tls = None;
        (Self { listener, app, tls }, heard)
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        match self.tls {
            None => {
                axum::serve(self.listener, self.app)
                    .with_graceful_shutdown(shutdown.cancelled_owned())
                    .await
            }
            Some((tls, wall)) => {
                let listener = TlsListener::new(self.listener, tls, wall, HANDSHAKE_WITHIN)?;
                axum::serve(listener, self.app)
                    .with_graceful_shutdown(shutdown.cancelled_owned())
                    .await
            }
        }
    }
}

fn book(certificates: &BTreeMap<String, String>) -> io::Result<CertificateBook> {
    let mut book = CertificateBook::new();
    for (name, pem) in certificates {
        let wrong = |problem: String| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("read the certificate {name}: {problem}"),
            )
        };
        let certificate = Certificate::from_pem(pem).map_err(|error| wrong(error.to_string()))?;
        book.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(book)
}

async fn receive(State(ears): State<Arc<Ears>>, headers: HeaderMap, xml: Bytes) -> StatusCode {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let (status, words) = if media.eq_ignore_ascii_case("application/xml") {
        ears.judge(&xml).await
    } else {
        (404, format!("content type {media:?}"))
    };
    let received = Received { xml, words, status };
    match ears.judge {
        // Whoever listened has gone: the answer is the same.
        Judge::Manner { .. } => drop(ears.said.send(received).await),
        // The client has it; who looks on must not hold it up.
        Judge::User(_) => drop(ears.said.try_send(received)),
    }
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Ears {
    async fn judge(&self, xml: &Bytes) -> (u16, String) {
        match &self.judge {
            Judge::User(inbox) => (inbox.take(xml.clone()).await, words(xml)),
            Judge::Manner {
                manner,
                dcc,
                certificates,
            } => {
                let (status, words) = judged(*manner, *dcc, certificates.as_ref(), xml);
                match manner {
                    Manner::Always(status) => (*status, words),
                    Manner::DccBoxed | Manner::Strict => (status, words),
                }
            }
        }
    }
}

fn judged(manner: Manner, dcc: Eui64, certificates: Option<&CertificateBook>, xml: &[u8]) -> (u16, String) {
    let response = match duis::read_response(xml) {
        Ok(response) => response,
        Err(error) => return (400, format!("not a message of DUIS: {error}")),
    };
    let words = describe(&response);
    let boxed = manner == Manner::DccBoxed;
    if boxed && matches!(response.body, ResponseBody::Smets1 { .. }) {
        return (400, format!("{words}; the published client knows no SMETS1 responses"));
    }
    let Some(certificates) = certificates.filter(|_| !boxed || signatures(xml) == 1) else {
        return (204, words);
    };
    let signers = match boxed {
        // It finds the certificate by serial number and asks for no more.
        true => duis::signature::verify(xml, certificates)
            .map(|signer| format!("outer signature of {} good", signer.eui))
            .map_err(|error| chain(&error)),
        false => users::read(xml, dcc, certificates)
            .map(|message| match message.s1sp {
                Some(s1sp) => format!("outer signature of {dcc} good, inner signature of {} good", s1sp.eui),
                None => format!("outer signature of {dcc} good"),
            })
            .map_err(|error| chain(&error)),
    };
    match signers {
        Ok(signers) => (204, format!("{words}; {signers}")),
        Err(why) => (400, format!("{words}; {why}")),
    }
}

/// A document in a line: what it is, or what is wrong with it.
#[must_use]
pub fn words(xml: &[u8]) -> String {
    match duis::read_response(xml) {
        Ok(response) => describe(&response),
        Err(error) => format!("not a message of DUIS: {error}"),
    }
}

/// A response or alert in a line: ids, code, what it is.
#[must_use]
pub fn describe(response: &duis::Response) -> String {
    let header = &response.header;
    let id = header.request_id.or(header.response_id);
    let id = id.map_or_else(|| "without id".to_owned(), |id| id.to_string());
    let what = match &response.body {
        ResponseBody::Message { srv, payload, .. } => {
            let payload = payload
                .as_ref()
                .map(|payload| format!(" {}", payload.name))
                .unwrap_or_default();
            format!("response to {srv}{payload}")
        }
        ResponseBody::DeviceAlert(_) => "device alert".to_owned(),
        ResponseBody::DccAlert { code, .. } => format!("DCC alert {code}"),
        ResponseBody::Smets1 { srv: Some(srv), .. } => format!("SMETS1 response to {srv}"),
        ResponseBody::Smets1 { srv: None, .. } => "SMETS1 device alert".to_owned(),
    };
    format!("{id} {} {what}", header.code)
}

/// How many signatures a document shows, inner ones included.
fn signatures(xml: &[u8]) -> usize {
    const END: &[u8] = b"SignatureValue>";
    xml.windows(END.len()).filter(|part| *part == END).count() / 2
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
