//! Posts responses and alerts to a user's listener.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use domain::SimDuration;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use world::Clock;

/// Octets of a listener's answer that are read; what comes after is not.
const ANSWER_MAX: usize = 64 << 10;

/// A client of HTTP with and without TLS.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that shows and trusts what `tls` says where an address is `https`.
pub(crate) fn client(tls: rustls::ClientConfig) -> HttpClient {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(5))
        .build(connector)
}

/// A client for one listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Poster {
    client: HttpClient,
    listener: Uri,
    wall: Clock,
    allowed: SimDuration,
}

/// An address that no response can be posted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a listener such as http://127.0.0.1:9000/smartdcc/duis, found {found:?}")]
pub struct NotAListener {
    /// What stood there.
    pub found: String,
}

impl Poster {
    /// A client for `listener`, an `http` or `https` address; over TLS it shows and trusts what `tls` says. `wall` is a
    /// clock that runs as the machine's does; a post takes at most `allowed` of it.
    ///
    /// # Errors
    /// [`NotAListener`].
    pub fn new(
        listener: &str,
        tls: rustls::ClientConfig,
        wall: Clock,
        allowed: SimDuration,
    ) -> Result<Self, NotAListener> {
        let wrong = || NotAListener {
            found: listener.chars().take(200).collect(),
        };
        let uri = Uri::from_str(listener).map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong());
        }
        let client = client(tls);
        Ok(Self {
            client,
            listener: uri,
            wall,
            allowed,
        })
    }

    /// Posts one message; gives the HTTP status, 0 when the listener could not be reached or took too long.
    pub async fn post(&self, xml: Bytes) -> u16 {
        let request = Request::post(self.listener.clone())
            .header(CONTENT_TYPE, "application/xml")
            .body(Full::new(xml));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, "a delivery that HTTP does not take");
                return 0;
            }
        };
        let exchange = async {
            let response = self.client.request(request).await?;
            let status = response.status().as_u16();
            // Read to the end, so that the connection can be used again.
            let _body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            Ok::<_, hyper_util::client::legacy::Error>(status)
        };
        match self.wall.timeout(self.allowed, exchange).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::info!(listener = %self.listener, error, "a user's listener could not be reached");
                0
            }
            Err(_) => {
                tracing::info!(listener = %self.listener, "a user's listener took too long");
                0
            }
        }
    }
}
