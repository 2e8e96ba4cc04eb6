//! DUIS over HTTP as real clients use it: POST of signed XML, the signed answer in the same exchange.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use domain::SimDuration;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use world::Clock;
use world::call::CallError;

use crate::config::HttpConfig;
use crate::forward::Forwarder;
use crate::tls::TlsListener;
use crate::user_port::{Reply, UserPorts};

/// The bound listener of the front door.
pub struct DuisHttp {
    listener: TcpListener,
    app: Router,
    tls: Option<rustls::ServerConfig>,
    wall: Clock,
    handshake: SimDuration,
}

/// What the front door is made of.
pub struct DuisOptions {
    /// Paths of the outside on the left, services of the DCC on the right.
    pub paths: BTreeMap<String, String>,
    /// Limits of its HTTP.
    pub limits: HttpConfig,
    /// The users' places at the DCC.
    pub ports: UserPorts,
    /// A clock that runs as the machine's does.
    pub wall: Clock,
    /// Calendar time per second of the machine, for waits on links.
    pub speed: f64,
    /// What it shows and asks for over TLS; plain HTTP without.
    pub tls: Option<rustls::ServerConfig>,
    /// Where requests for devices that the inventory does not have go.
    pub forwarder: Option<Forwarder>,
}

struct Door {
    ports: UserPorts,
    limits: HttpConfig,
    in_progress: Semaphore,
    wall: Clock,
    speed: f64,
    forwarder: Option<Forwarder>,
}

impl DuisHttp {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, options: DuisOptions) -> io::Result<Self> {
        let in_progress = Semaphore::new(options.limits.in_progress_max);
        let (wall, handshake) = (options.wall.clone(), SimDuration::from_millis(options.limits.reply_ms));
        let receive = options
            .forwarder
            .as_ref()
            .and_then(Forwarder::receive)
            .map(str::to_owned);
        let door = Arc::new(Door {
            ports: options.ports,
            limits: options.limits,
            in_progress,
            wall: options.wall,
            speed: options.speed,
            forwarder: options.forwarder,
        });
        let mut app = Router::new();
        for (path, service) in &options.paths {
            let service: Arc<str> = Arc::from(format!("/api/v1/{service}"));
            let answer = move |State(door): State<Arc<Door>>, request: Request| {
                let service = Arc::clone(&service);
                async move { door.answer(&service, request).await }
            };
            app = app.route(path, post(answer));
        }
        if let Some(path) = receive {
            let answer = async |State(door): State<Arc<Door>>, request: Request| door.pass_on(request).await;
            app = app.route(&path, post(answer));
        }
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            app: app.with_state(door),
            tls: options.tls,
            wall,
            handshake,
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then lets requests in progress end.
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
            Some(tls) => {
                let listener = TlsListener::new(self.listener, tls, self.wall, self.handshake)?;
                axum::serve(listener, self.app)
                    .with_graceful_shutdown(shutdown.cancelled_owned())
                    .await
            }
        }
    }
}

impl Door {
    async fn answer(&self, service: &str, request: Request) -> Response {
        if !is_xml(request.headers()) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        let Ok(_place) = self.in_progress.try_acquire() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let allowed = SimDuration::from_millis(self.limits.reply_ms);
        let exchange = async {
            let Some(xml) = body(request.into_body(), self.limits.body_max).await else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            let Some(port) = self.ports.for_message(&xml) else {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            };
            let allowed = self.in_calendar(self.limits.reply_ms);
            match port.post(service, xml.clone(), allowed).await {
                Ok(reply) if reply.forward => match &self.forwarder {
                    Some(forwarder) => forwarder.request(service, xml).await.unwrap_or_else(|| xml_of(&reply)),
                    None => xml_of(&reply),
                },
                Ok(reply) => xml_of(&reply),
                Err(CallError::TooManyOutstanding { .. }) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                Err(error) => {
                    tracing::warn!(%error, "the DCC did not reply");
                    StatusCode::GATEWAY_TIMEOUT.into_response()
                }
            }
        };
        self.wall
            .timeout(allowed, exchange)
            .await
            .unwrap_or_else(|_| StatusCode::GATEWAY_TIMEOUT.into_response())
    }

    /// What another system posts for a user of ours goes to that user's listener, and its status back.
    async fn pass_on(&self, request: Request) -> Response {
        if !is_xml(request.headers()) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        let Some(xml) = body(request.into_body(), self.limits.body_max).await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let Some(port) = self.ports.of_response(&xml) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let status = port.pass_on(xml).await;
        StatusCode::from_u16(status)
            .unwrap_or(StatusCode::BAD_GATEWAY)
            .into_response()
    }

    fn in_calendar(&self, ms: u64) -> SimDuration {
        in_calendar(ms, self.speed)
    }
}

/// A span of the machine's time in the lab's calendar.
#[must_use]
pub fn in_calendar(ms: u64, speed: f64) -> SimDuration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "waits are short"
    )]
    let scaled = (ms as f64 * speed).round() as u64;
    SimDuration::from_millis(scaled)
}

fn xml_of(reply: &Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/xml")], reply.xml.clone()).into_response()
}

fn is_xml(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/xml") || media.eq_ignore_ascii_case("text/xml")
}

/// The body, or its first `limit` octets and one more: the DCC then refuses it for its size, in a signed response.
/// `None` when the connection broke.
async fn body(mut body: Body, limit: usize) -> Option<Bytes> {
    let mut octets = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            octets.extend_from_slice(&data);
        }
        if octets.len() > limit {
            octets.truncate(limit.saturating_add(1));
            break;
        }
    }
    Some(octets.freeze())
}

#[cfg(test)]
mod tests {
    use domain::{Eui64, Seed, SimInstant};
    use prost::Message;
    use proto::{DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use world::World;

    use super::*;
    use crate::callback::Poster;
    use crate::user_port::UserPort;

    const DELIVERED: &str = r#"<sr:Response xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>00-00-00-00-00-00-00-01:00-00-00-00-00-00-00-02:3</sr:RequestID><sr:ResponseCode>I99</sr:ResponseCode><sr:ResponseDateTime>2020-06-01T09:00:00.000Z</sr:ResponseDateTime></sr:Header><sr:Body><sr:ResponseMessage><sr:ServiceReference>4.1</sr:ServiceReference><sr:ServiceReferenceVariant>4.1.1</sr:ServiceReferenceVariant></sr:ResponseMessage></sr:Body></sr:Response>"#;

    async fn exchange(address: SocketAddr, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("listens");
        let text = format!(
            "{head}\r\nHost: lab\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    #[tokio::test]
    async fn requests_reach_the_dcc_and_deliveries_the_listener() {
        let world = World::virtual_at(SimInstant(0), Seed::root(1));
        let user = Eui64(0x90B3_D51F_3001_0000);
        let (dcc, user_end) = world.link("dcc", &format!("user:{user}"));
        let own = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let listener = format!("http://{}/smartdcc/duis", own.local_addr().expect("bound"));
        let tls = crate::tls::of_client(None, None).expect("made");
        let poster = Poster::new(&listener, tls, world.clock.clone(), SimDuration::from_secs(5));
        let poster = poster.expect("an address");
        let (port, task) = UserPort::new(user, user_end, Some(poster));
        let mailbox = port.mailbox().clone();
        let limits = HttpConfig {
            body_max: 300,
            ..HttpConfig::default()
        };
        let paths = crate::Config::default().listen.paths;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = DuisOptions {
            paths,
            limits,
            ports: UserPorts::new([port]),
            wall: world.clock.clone(),
            speed: 1.0,
            tls: None,
            forwarder: None,
        };
        let http = DuisHttp::bind(address, options);
        let http = http.await.expect("bound");
        let address = http.address().expect("bound");
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(http.run(shutdown.clone()));
        let port_task = tokio::spawn(task.run(shutdown.clone()));

        // The mock DCC says what it got and delivers once.
        let (sender, mut receiver) = dcc.split();
        let dcc = tokio::spawn(async move {
            let mut acks = Vec::new();
            while let Some(envelope) = receiver.recv().await {
                if envelope.kind() == Kind::DuisDeliveryAck {
                    acks.push(DuisDeliveryAck::decode(envelope.body).expect("an ack").http_status);
                    continue;
                }
                let request = DuisRequest::decode(envelope.body.clone()).expect("a request");
                let xml = Bytes::from(format!("{} {}", request.path, request.xml.len()));
                let reply = DuisReply {
                    http_status: 200,
                    xml,
                    forward: false,
                };
                sender
                    .reply(&envelope, Kind::DuisReply, &reply.encode_to_vec())
                    .await
                    .expect("open");
                let xml = Bytes::from_static(DELIVERED.as_bytes());
                let delivery = DuisDelivery { delivery_id: 7, xml };
                let envelope = Envelope {
                    trace_id: envelope.trace_id,
                    ..Envelope::default()
                };
                sender
                    .send(envelope, Kind::DuisDelivery, &delivery.encode_to_vec())
                    .await
                    .expect("open");
            }
            acks
        });

        let answer = exchange(
            address,
            "POST /api/v1/serviceS HTTP/1.1\r\nContent-Type: application/xml; charset=utf-8",
            "<x/>",
        );
        let answer = answer.await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("/api/v1/serviceS 4"), "{answer}");
        let (mut delivered, _) = own.accept().await.expect("delivered");
        let mut octets = vec![0; 4096];
        let mut post = String::new();
        while !post.ends_with("Response>") {
            let n = delivered.read(&mut octets).await.expect("posted");
            post.push_str(&String::from_utf8_lossy(&octets[..n]));
        }
        assert!(
            post.starts_with("POST /smartdcc/duis HTTP/1.1\r\ncontent-type: application/xml\r\n"),
            "{post}"
        );
        delivered
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .expect("answered");
        let id = "00-00-00-00-00-00-00-01:00-00-00-00-00-00-00-02:3"
            .parse()
            .expect("an id");
        assert_eq!(mailbox.answer_to(id).await.id, 7);
        drop(own);

        let check = async |head: &str, body: &str, expected: &str| {
            let answer = exchange(address, head, body).await;
            assert!(answer.contains(expected), "{head}: {answer}");
        };
        check(
            "POST /api/v1/serviceS HTTP/1.1\r\nContent-Type: application/xml",
            &"x".repeat(1000),
            "serviceS 301",
        )
        .await;
        check(
            "POST /api/v1/serviceD HTTP/1.1\r\nContent-Type: application/json",
            "{}",
            "415 Unsupported",
        )
        .await;
        check(
            "POST /api/v1/other HTTP/1.1\r\nContent-Type: application/xml",
            "<x/>",
            "404 Not Found",
        )
        .await;
        check("GET /api/v1/serviceS HTTP/1.1", "", "405 Method").await;
        shutdown.cancel();
        serving.await.expect("ended").expect("well");
        port_task.await.expect("ended");
        assert_eq!(dcc.await.expect("ended").first(), Some(&204));
    }
}
