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
use duis::ResponseBody;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::messages;

/// Octets of a delivery at most.
const DELIVERY_MAX: usize = 16 << 20;
/// Deliveries that wait for whoever prints them; more wait in the connection.
const WAITING_MAX: usize = 64;

/// How a listener answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// 204 for what is a message of DUIS, signed as it must be where there are certificates to judge by; else 400.
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
}

struct Ears {
    manner: Manner,
    /// PEM certificates by name; empty: signatures are not judged.
    certificates: Vec<(String, String)>,
    said: mpsc::Sender<Received>,
}

impl Listener {
    /// Binds a listener that takes posts on `path`. What it receives comes out of the channel.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        path: &str,
        manner: Manner,
        certificates: BTreeMap<String, String>,
    ) -> io::Result<(Self, mpsc::Receiver<Received>)> {
        let (said, heard) = mpsc::channel(WAITING_MAX);
        let ears = Ears {
            manner,
            certificates: certificates.into_iter().collect(),
            said,
        };
        let app = Router::new()
            .route(path, post(receive))
            .layer(DefaultBodyLimit::max(DELIVERY_MAX))
            .with_state(Arc::new(ears));
        let listener = TcpListener::bind(address).await?;
        Ok((Self { listener, app }, heard))
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
        axum::serve(self.listener, self.app)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    }
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
        ears.judge(&xml)
    } else {
        (404, format!("content type {media:?}"))
    };
    let received = Received { xml, words, status };
    // Whoever listened has gone: the answer is the same.
    let _ = ears.said.send(received).await;
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Ears {
    fn judge(&self, xml: &[u8]) -> (u16, String) {
        let response = match duis::read_response(xml) {
            Ok(response) => response,
            Err(error) => return (self.status(400), format!("not a message of DUIS: {error}")),
        };
        let words = describe(&response);
        if self.manner == Manner::DccBoxed && matches!(response.body, ResponseBody::Smets1 { .. }) {
            return (400, format!("{words}; the published client knows no SMETS1 responses"));
        }
        let skipped = self.manner == Manner::DccBoxed && signatures(xml) != 1;
        if self.certificates.is_empty() || skipped {
            return (self.status(204), words);
        }
        match messages::verify(xml, &self.certificates) {
            Ok(judged) => {
                let signers: Vec<String> = judged
                    .signers
                    .iter()
                    .map(|(which, eui, _)| format!("{which} signature of {eui} good"))
                    .collect();
                (self.status(204), format!("{words}; {}", signers.join(", ")))
            }
            Err(error) => (self.status(400), format!("{words}; {}", chain(&error))),
        }
    }

    fn status(&self, otherwise: u16) -> u16 {
        match self.manner {
            Manner::Always(status) => status,
            Manner::DccBoxed | Manner::Strict => otherwise,
        }
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
