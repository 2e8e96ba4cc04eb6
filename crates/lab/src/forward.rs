//! Requests for devices of another system: passed on as they came, and the answer back as it came.

use std::str::FromStr;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use domain::SimDuration;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri};
use world::Clock;

use crate::callback::{HttpClient, NotAListener, client};
use crate::config::ForwardConfig;

/// Octets of the other system's answer at most: what a reply of DUIS may have.
const ANSWER_MAX: usize = 12_000_000;

/// Passes requests on to another system. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forwarder {
    client: HttpClient,
    address: String,
    receive: Option<String>,
    wall: Clock,
    allowed: SimDuration,
}

impl Forwarder {
    /// From the configuration; none where it names no address. An exchange takes at most `allowed` of `wall`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        config: &ForwardConfig,
        tls: rustls::ClientConfig,
        wall: Clock,
        allowed: SimDuration,
    ) -> Result<Option<Self>, NotAListener> {
        let Some(address) = &config.address else {
            return Ok(None);
        };
        let uri = Uri::from_str(address).ok();
        let good = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.path() == "/"
        });
        if !good {
            return Err(NotAListener {
                found: address.chars().take(200).collect(),
            });
        }
        Ok(Some(Self {
            client: client(tls),
            address: address.trim_end_matches('/').to_owned(),
            receive: Some(config.receive.clone()).filter(|path| path.starts_with('/')),
            wall,
            allowed,
        }))
    }

    /// The path to which the other system posts what comes later.
    #[must_use]
    pub fn receive(&self) -> Option<&str> {
        self.receive.as_deref()
    }

    /// Posts a request there and gives the answer: status, type and body unchanged. None when there was no answer in time.
    pub(crate) async fn request(&self, service: &str, xml: Bytes) -> Option<Response> {
        let request = Request::post(format!("{}{service}", self.address))
            .header(CONTENT_TYPE, "application/xml")
            .body(Full::new(xml))
            .ok()?;
        let exchange = async {
            let (head, body) = self.client.request(request).await.ok()?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.ok()?.to_bytes();
            let mut answer = Response::builder().status(head.status);
            if let Some(kind) = head.headers.get(CONTENT_TYPE) {
                answer = answer.header(CONTENT_TYPE, kind);
            }
            answer.body(Body::from(body)).ok()
        };
        let answer = self.wall.timeout(self.allowed, exchange).await.ok().flatten();
        if answer.is_none() {
            tracing::warn!(address = self.address, "a request passed on got no answer");
        }
        answer
    }
}
