//! The client: signs and sends requests, keeps what was acknowledged, receives and proves deliveries.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Eui64, RequestId, SimDuration, SimInstant, Srv};
use duis::signature::{Certificates, SigningKey};
use duis::{Element, Request, Response};
use prost::Message;
use prost::bytes::Bytes;
use proto::{DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use world::{CallError, Caller, Clock, LinkEnd, Router, World};

use crate::delivery::{DeliveryError, Message as Received, read};

/// Unsolicited messages kept until they are taken; the oldest go first.
pub const UNSOLICITED_MAX: usize = 10_000;
/// Numbers of deliveries remembered, to take each once.
const DELIVERIES_REMEMBERED: usize = 4096;
/// Command variant 1, 3, 5, 7.
const SEND_COMMAND: &str = "/api/v1/serviceS";
/// Command variant 2, 6, 8.
const NON_DEVICE: &str = "/api/v1/serviceD";
/// Command variant 4.
const TRANSFORM: &str = "/api/v1/serviceT";

/// What a [`Client`] is built from.
pub struct Options {
    /// The user's EUI-64, originator of its requests.
    pub eui: Eui64,
    /// The DCC's EUI-64: target of requests that no device answers, and signer of everything that comes back.
    pub dcc: Eui64,
    /// Signs the requests.
    pub key: Arc<SigningKey>,
    /// Certificates of the DCC and of the S1SPs.
    pub certificates: Arc<dyn Certificates + Send + Sync>,
    /// How long the reply to a request is awaited: real clients wait three seconds.
    pub reply_limit: SimDuration,
}

/// One request to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The device, or the DCC itself.
    pub target: Eui64,
    /// Service reference variant.
    pub srv: Srv,
    /// 1 to 9. Decides the path.
    pub command_variant: u8,
    /// The service element.
    pub body: Element,
}

impl Order {
    /// A request to a device: command variant 1.
    #[must_use]
    pub fn to_device(device: Eui64, srv: Srv, body: Element) -> Self {
        Self {
            target: device,
            srv,
            command_variant: 1,
            body,
        }
    }

    /// A request the DCC answers itself: command variant 8.
    #[must_use]
    pub fn to_dcc(dcc: Eui64, srv: Srv, body: Element) -> Self {
        Self {
            target: dcc,
            srv,
            command_variant: 8,
            body,
        }
    }

    /// The path that belongs to its command variant.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match self.command_variant {
            2 | 6 | 8 => NON_DEVICE,
            4 => TRANSFORM,
            _ => SEND_COMMAND,
        }
    }
}

/// The signed octets of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Its id.
    pub id: RequestId,
    /// Where it is posted.
    pub path: String,
    /// The document.
    pub xml: Bytes,
}

/// What came back in the same exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// When.
    pub at: SimInstant,
    /// HTTP status.
    pub status: u16,
    /// The octets.
    pub xml: Bytes,
    /// The same, read and proved to be signed by the DCC.
    pub response: Response,
}

impl Reply {
    /// Whether it says that the result follows.
    #[must_use]
    pub fn is_acknowledgement(&self) -> bool {
        self.response.header.code == duis::ResponseCode::I99
    }
}

/// A message that came by call-back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// When.
    pub at: SimInstant,
    /// The DCC's number of it.
    pub delivery_id: u64,
    /// The octets.
    pub xml: Bytes,
    /// The same, read; both signatures are proved.
    pub message: Received,
}

/// One request and everything that became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The request's id.
    pub id: RequestId,
    /// When it was sent.
    pub sent: SimInstant,
    /// Acknowledgement, refusal or result.
    pub reply: Reply,
    /// The outcome, after an acknowledgement.
    pub outcome: Option<Delivery>,
}

impl Exchange {
    /// The response that ended it: the delivered one, or else the reply.
    #[must_use]
    pub fn response(&self) -> &Response {
        self.outcome
            .as_ref()
            .map_or(&self.reply.response, |outcome| &outcome.message.response)
    }

    /// The last response code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.response().header.code.as_str()
    }
}

/// A request that came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What came back is not a message of the DCC; the DCC or something on the way is at fault.
    #[error("the reply to {id} with status {status}")]
    BadReply {
        /// Which request.
        id: RequestId,
        /// HTTP status.
        status: u16,
        /// Why.
        #[source]
        source: Box<DeliveryError>,
    },
    /// No reply.
    #[error("post {id}")]
    Call {
        /// Which request.
        id: RequestId,
        /// Why.
        #[source]
        source: CallError,
    },
    /// It was acknowledged, but no outcome came in time.
    #[error("no outcome of {id} within {allowed}")]
    NoOutcome {
        /// Which request.
        id: RequestId,
        /// How long was waited.
        allowed: SimDuration,
    },
    /// The request could not be signed; our own fault.
    #[error("sign {id}")]
    Sign {
        /// Which request.
        id: RequestId,
        /// Why.
        #[source]
        source: Box<duis::signature::SignError>,
    },
    /// The request could not be written: the body does not fit the schema.
    #[error("write {id}")]
    Write {
        /// Which request.
        id: RequestId,
        /// Why.
        #[source]
        source: Box<duis::WriteError>,
    },
}

/// A user of the DCC. Cheap to clone; all clones are one user.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    caller: Caller,
    clock: Clock,
}

/// The receiving half of a client; somebody must run it.
pub struct ClientTask {
    shared: Arc<Shared>,
    router: Router,
    caller: Caller,
    clock: Clock,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    /// Last counter, by target.
    counters: BTreeMap<Eui64, u64>,
    /// Who waits for which outcome.
    waiting: BTreeMap<RequestId, oneshot::Sender<Delivery>>,
    unsolicited: VecDeque<Delivery>,
    seen: BTreeSet<u64>,
}

/// Forgets the wait when the request's future is dropped.
struct Wait<'a> {
    shared: &'a Shared,
    id: RequestId,
}

impl Client {
    /// Takes the user's end of its link with the DCC.
    #[must_use]
    pub fn new(world: &World, link: LinkEnd, options: Options) -> (Self, ClientTask) {
        let (caller, router) = world::call::split(link);
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            arrived: Notify::new(),
        });
        let clock = world.clock.clone();
        let client = Self {
            shared: Arc::clone(&shared),
            caller: caller.clone(),
            clock: clock.clone(),
        };
        (
            client,
            ClientTask {
                shared,
                router,
                caller,
                clock,
            },
        )
    }

    /// The user's EUI-64.
    #[must_use]
    pub fn eui(&self) -> Eui64 {
        self.shared.options.eui
    }

    /// The DCC's EUI-64.
    #[must_use]
    pub fn dcc(&self) -> Eui64 {
        self.shared.options.dcc
    }

    /// The calendar's instant now.
    #[must_use]
    pub fn now(&self) -> SimInstant {
        self.clock.now()
    }

    /// The id of the next request to this target: its counter is the calendar's milliseconds, and rises always.
    #[must_use]
    pub fn next_id(&self, target: Eui64) -> RequestId {
        let now = u64::try_from(self.clock.now().0).unwrap_or(0);
        let mut state = self.shared.state();
        let last = state.counters.entry(target).or_default();
        *last = now.max(last.saturating_add(1));
        RequestId {
            originator: self.shared.options.eui,
            target,
            counter: *last,
        }
    }

    /// Writes and signs a request under a new id.
    ///
    /// # Errors
    /// [`ClientError::Write`] or [`ClientError::Sign`].
    pub fn sign(&self, order: &Order) -> Result<Signed, ClientError> {
        self.sign_as(self.next_id(order.target), order)
    }

    /// Writes and signs a request under an id of the caller's choice, for tests of counters.
    ///
    /// # Errors
    /// [`ClientError::Write`] or [`ClientError::Sign`].
    pub fn sign_as(&self, id: RequestId, order: &Order) -> Result<Signed, ClientError> {
        let request = Request::new(id, order.srv)
            .with_command_variant(order.command_variant)
            .with_body(order.body.clone());
        let xml = duis::write::request(&request).map_err(|error| ClientError::Write {
            id,
            source: Box::new(error),
        })?;
        let xml = duis::signature::sign(&xml, &self.shared.options.key).map_err(|error| ClientError::Sign {
            id,
            source: Box::new(error),
        })?;
        Ok(Signed {
            id,
            path: order.path().to_owned(),
            xml: Bytes::from(xml),
        })
    }

    /// Signs a document as it stands; a signature that is in it is replaced. `id` is what its header says.
    ///
    /// # Errors
    /// [`ClientError::Sign`].
    pub fn sign_document(&self, id: RequestId, path: &str, xml: &[u8]) -> Result<Signed, ClientError> {
        let xml = duis::signature::sign(xml, &self.shared.options.key).map_err(|error| ClientError::Sign {
            id,
            source: Box::new(error),
        })?;
        Ok(Signed {
            id,
            path: path.to_owned(),
            xml: Bytes::from(xml),
        })
    }

    /// Posts octets as they are and gives the raw reply: status and document. Safe to cancel.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post(&self, path: &str, trace_id: &str, xml: Bytes) -> Result<(u16, Bytes), CallError> {
        let body = DuisRequest {
            path: path.to_owned(),
            xml,
        }
        .encode_to_vec();
        let envelope = Envelope {
            trace_id: trace_id.to_owned(),
            ..Envelope::default()
        };
        let reply = self
            .caller
            .call(envelope, Kind::DuisRequest, &body, self.shared.options.reply_limit)
            .await?;
        // Octets that are no reply read as status 0 without a document, which no check lets pass.
        let reply = DuisReply::decode(reply.body).unwrap_or_default();
        Ok((u16::try_from(reply.http_status).unwrap_or(u16::MAX), reply.xml))
    }

    /// Makes a request and waits for its end: the reply, and after an acknowledgement the outcome, for up to `limit` after
    /// it. Safe to cancel; an outcome that comes later is unsolicited.
    ///
    /// # Errors
    /// [`ClientError`]. A refusal by the DCC or by the device is an exchange, not an error.
    pub async fn request(&self, order: &Order, limit: SimDuration) -> Result<Exchange, ClientError> {
        self.send(self.sign(order)?, limit).await
    }

    /// As [`Client::request`], for a request signed before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send(&self, signed: Signed, limit: SimDuration) -> Result<Exchange, ClientError> {
        let Signed { id, path, xml } = signed;
        let sent = self.clock.now();
        // Registered before the request leaves: an outcome may overtake its acknowledgement on the network.
        let (complete, outcome) = oneshot::channel();
        self.shared.state().waiting.insert(id, complete);
        let wait = Wait {
            shared: &self.shared,
            id,
        };
        let posted = self.post(&path, &id.to_string(), xml).await;
        let (status, xml) = posted.map_err(|source| ClientError::Call { id, source })?;
        let reply = self.read_reply(id, status, xml)?;
        if !reply.is_acknowledgement() {
            return Ok(Exchange {
                id,
                sent,
                reply,
                outcome: None,
            });
        }
        let late = ClientError::NoOutcome { id, allowed: limit };
        let outcome = self.clock.timeout(limit, outcome).await;
        drop(wait);
        match outcome {
            Ok(Ok(outcome)) => Ok(Exchange {
                id,
                sent,
                reply,
                outcome: Some(outcome),
            }),
            _ => Err(late),
        }
    }

    fn read_reply(&self, id: RequestId, status: u16, xml: Bytes) -> Result<Reply, ClientError> {
        let options = &self.shared.options;
        match read(&xml, options.dcc, &*options.certificates) {
            Ok(message) => Ok(Reply {
                at: self.clock.now(),
                status,
                xml,
                response: message.response,
            }),
            Err(source) => Err(ClientError::BadReply {
                id,
                status,
                source: Box::new(source),
            }),
        }
    }

    /// Takes the oldest message that answered no waiting request: alerts, and outcomes nobody waited for.
    #[must_use]
    pub fn take_unsolicited(&self) -> Option<Delivery> {
        self.shared.state().unsolicited.pop_front()
    }

    /// Waits for an unsolicited message and takes it. Safe to cancel. Limit the wait from outside.
    pub async fn next_unsolicited(&self) -> Delivery {
        loop {
            let arrived = self.shared.arrived.notified();
            if let Some(delivery) = self.take_unsolicited() {
                return delivery;
            }
            arrived.await;
        }
    }
}

impl ClientTask {
    /// Receives until `shutdown` or until the link closes. Every delivery is answered: 204 when it is what it should be,
    /// also the second time, else 400.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            let envelope = tokio::select! {
                biased;
                () = &mut stopped => return,
                envelope = self.router.recv() => envelope,
            };
            let Some(envelope) = envelope else { return };
            if envelope.kind() != Kind::DuisDelivery {
                continue;
            }
            let Ok(delivery) = DuisDelivery::decode(envelope.body.clone()) else {
                tracing::warn!("a delivery that is none");
                continue;
            };
            let http_status = self.take(&delivery);
            let ack = DuisDeliveryAck {
                delivery_id: delivery.delivery_id,
                http_status,
            };
            let sent = self
                .caller
                .sender()
                .reply(&envelope, Kind::DuisDeliveryAck, &ack.encode_to_vec())
                .await;
            if sent.is_err() {
                return;
            }
        }
    }

    fn take(&self, delivery: &DuisDelivery) -> u32 {
        let options = &self.shared.options;
        let message = match read(&delivery.xml, options.dcc, &*options.certificates) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(user = %options.eui, delivery = delivery.delivery_id, %error, "a delivery was refused");
                return 400;
            }
        };
        let mut state = self.shared.state();
        if !state.seen.insert(delivery.delivery_id) {
            return 204;
        }
        if state.seen.len() > DELIVERIES_REMEMBERED {
            state.seen.pop_first();
        }
        let received = Delivery {
            at: self.clock.now(),
            delivery_id: delivery.delivery_id,
            xml: delivery.xml.clone(),
            message,
        };
        let waiting = received
            .message
            .response
            .header
            .request_id
            .and_then(|id| state.waiting.remove(&id));
        let left = match waiting {
            Some(waiting) => waiting.send(received).err(),
            None => Some(received),
        };
        if let Some(received) = left {
            if state.unsolicited.len() >= UNSOLICITED_MAX {
                state.unsolicited.pop_front();
            }
            state.unsolicited.push_back(received);
            drop(state);
            self.shared.arrived.notify_one();
        }
        204
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.shared.state().waiting.remove(&self.id);
    }
}
