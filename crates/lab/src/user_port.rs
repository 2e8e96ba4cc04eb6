//! A user's place at the DCC, for a user that is not a role of the lab: requests in, deliveries out.
//!
//! A [`UserPort`] holds the user's end of its link. Requests come from the HTTP listener or from the control service;
//! deliveries are posted to the user's listener where it has one, and are kept in its mailbox always.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::{Eui64, RequestId, SimDuration};
use prost::Message;
use proto::{DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, Kind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use world::call::{CallError, Caller, Router};
use world::{LinkEnd, LinkSender};

use crate::callback::Poster;

/// Deliveries a mailbox keeps; the oldest goes when one more comes.
pub const MAILBOX_MAX: usize = 1000;
/// Deliveries that wait for the user's listener; more are answered as not delivered, so that the DCC tries again.
pub const WAITING_MAX: usize = 64;

/// Where requests of one user enter the lab. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserPort {
    eui: Eui64,
    caller: Caller,
    mailbox: Mailbox,
    poster: Option<Poster>,
    passed_on: Arc<AtomicU64>,
}

/// What the DCC answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Signed `sr:Response`.
    pub xml: Bytes,
    /// Whether the request is to be passed on to another system; `xml` is then for the case that it cannot be.
    pub forward: bool,
}

/// What was delivered to one user, oldest first. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailbox {
    kept: Arc<Mutex<VecDeque<Delivery>>>,
    changed: watch::Sender<u64>,
}

/// One response or alert as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The DCC's number of the delivery.
    pub id: u64,
    /// The RequestID it answers; none for alerts.
    pub request: Option<RequestId>,
    /// Signed `sr:Response`.
    pub xml: Bytes,
}

/// The task behind a port; run it beside the lab.
pub struct UserPortTask {
    router: Router,
    sender: LinkSender,
    mailbox: Mailbox,
    poster: Option<Poster>,
}

/// The ports of all users. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct UserPorts(Arc<BTreeMap<Eui64, UserPort>>);

impl UserPort {
    /// Takes a user's end of its link with the DCC. Deliveries go to `poster` where there is one.
    #[must_use]
    pub fn new(eui: Eui64, link: LinkEnd, poster: Option<Poster>) -> (Self, UserPortTask) {
        let sender = link.sender();
        let (caller, router) = world::call::split(link);
        let mailbox = Mailbox {
            kept: Arc::default(),
            changed: watch::Sender::new(0),
        };
        let port = Self {
            eui,
            caller,
            mailbox: mailbox.clone(),
            poster: poster.clone(),
            passed_on: Arc::default(),
        };
        (
            port,
            UserPortTask {
                router,
                sender,
                mailbox,
                poster,
            },
        )
    }

    /// Whose port it is.
    #[must_use]
    pub fn eui(&self) -> Eui64 {
        self.eui
    }

    /// Hands a request to the DCC and waits for its reply. Safe to cancel; the DCC may still act on it.
    ///
    /// # Errors
    /// [`CallError`] when the DCC does not reply within `allowed`.
    pub async fn post(&self, path: &str, xml: Bytes, allowed: SimDuration) -> Result<Reply, CallError> {
        let trace_id = request_id_of(&xml).map(|id| id.to_string()).unwrap_or_default();
        let request = DuisRequest {
            path: path.to_owned(),
            xml,
        };
        let envelope = Envelope {
            trace_id,
            ..Envelope::default()
        };
        let reply = self
            .caller
            .call(envelope, Kind::DuisRequest, &request.encode_to_vec(), allowed)
            .await?;
        let reply = DuisReply::decode(reply.body).unwrap_or_default();
        Ok(Reply {
            status: u16::try_from(reply.http_status).unwrap_or(500),
            xml: reply.xml,
            forward: reply.forward,
        })
    }

    /// Hands on what another system has for the user: to its listener, or into its mailbox where it has none. Gives the
    /// listener's status.
    pub async fn pass_on(&self, xml: Bytes) -> u16 {
        match &self.poster {
            Some(poster) => match poster.post(xml).await {
                0 => 502,
                status => status,
            },
            None => {
                let id = u64::MAX - self.passed_on.fetch_add(1, Ordering::Relaxed);
                let request = duis::read_response(&xml)
                    .ok()
                    .and_then(|response| response.header.request_id);
                self.mailbox.keep(Delivery { id, request, xml });
                204
            }
        }
    }

    /// What was delivered so far and will be.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl Mailbox {
    /// All deliveries kept, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Waits for the delivery that answers `request`. Safe to cancel. Limit the wait from outside.
    pub async fn answer_to(&self, request: RequestId) -> Delivery {
        self.first(|delivery| (delivery.request == Some(request)).then(|| delivery.clone()))
            .await
    }

    /// Waits for the first delivery of which `look` makes something. Safe to cancel. Limit the wait from outside.
    pub async fn first<T>(&self, look: impl Fn(&Delivery) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            let found = self.deliveries().iter().find_map(&look);
            if let Some(found) = found {
                return found;
            }
            if changed.changed().await.is_err() {
                // The sender lives in `self`, so this does not end; a pending wait is the honest fallback.
                std::future::pending::<()>().await;
            }
        }
    }

    fn keep(&self, delivery: Delivery) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The same delivery tried again is one delivery.
        if kept.iter().any(|other| other.id == delivery.id) {
            return;
        }
        if kept.len() >= MAILBOX_MAX {
            kept.pop_front();
        }
        kept.push_back(delivery);
        drop(kept);
        self.changed.send_modify(|count| *count += 1);
    }
}

impl UserPortTask {
    /// Carries replies and deliveries until `shutdown` or until the link ends.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (waiting, deliveries) = mpsc::channel(WAITING_MAX);
        let courier = courier(
            deliveries,
            self.sender.clone(),
            self.mailbox.clone(),
            self.poster.take(),
        );
        let receive = async {
            while let Some(envelope) = self.router.recv().await {
                if envelope.kind() != Kind::DuisDelivery {
                    continue;
                }
                // A full queue: no acknowledgement, so the DCC tries again later.
                if waiting.try_send(envelope).is_err() {
                    tracing::warn!(link = %self.sender.name(), "the user's listener is too slow; a delivery must wait");
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = receive => {}
            () = courier => {}
        }
    }
}

/// Delivers one after the other, in order.
async fn courier(
    mut deliveries: mpsc::Receiver<Envelope>,
    sender: LinkSender,
    mailbox: Mailbox,
    poster: Option<Poster>,
) {
    while let Some(envelope) = deliveries.recv().await {
        let Ok(delivery) = DuisDelivery::decode(envelope.body.clone()) else {
            tracing::warn!(link = %sender.name(), "a delivery that is none");
            continue;
        };
        let http_status = match &poster {
            // The lab's own mailbox is the listener, and it is always there.
            None => 204,
            Some(poster) => u32::from(poster.post(delivery.xml.clone()).await),
        };
        // The header's RequestID only: alerts may name the request they are about further in.
        let request = duis::read_response(&delivery.xml)
            .ok()
            .and_then(|response| response.header.request_id);
        mailbox.keep(Delivery {
            id: delivery.delivery_id,
            request,
            xml: delivery.xml,
        });
        let ack = DuisDeliveryAck {
            delivery_id: delivery.delivery_id,
            http_status,
        };
        if sender
            .reply(&envelope, Kind::DuisDeliveryAck, &ack.encode_to_vec())
            .await
            .is_err()
        {
            return;
        }
    }
}

impl UserPorts {
    /// The ports of these users.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = UserPort>) -> Self {
        Self(Arc::new(ports.into_iter().map(|port| (port.eui, port)).collect()))
    }

    /// One user's port.
    #[must_use]
    pub fn of(&self, user: Eui64) -> Option<&UserPort> {
        self.0.get(&user)
    }

    /// The port a message enters by: its originator's, or the first one. Only a signature says who sent it, and only the
    /// DCC judges that; here it is a matter of which link carries it.
    #[must_use]
    pub fn for_message(&self, xml: &[u8]) -> Option<&UserPort> {
        request_id_of(xml)
            .and_then(|id| self.of(id.originator))
            .or_else(|| self.0.values().next())
    }

    /// The port of the user a response or alert is for: the originator of the request it answers, or the target of its own
    /// id.
    #[must_use]
    pub fn of_response(&self, xml: &[u8]) -> Option<&UserPort> {
        let header = duis::read_response(xml).ok()?.header;
        let user = header
            .request_id
            .map(|id| id.originator)
            .or(header.response_id.map(|id| id.target))?;
        self.of(user)
    }

    /// All ports, by EUI-64.
    pub fn iter(&self) -> impl Iterator<Item = &UserPort> {
        self.0.values()
    }
}

/// The first RequestID in the text of a message, for routing and tracing; nothing is believed because of it.
#[must_use]
pub fn request_id_of(xml: &[u8]) -> Option<RequestId> {
    let head = xml.get(..xml.len().min(16 << 10))?;
    let tag = b"RequestID>";
    let start = head.windows(tag.len()).position(|window| window == tag)? + tag.len();
    let rest = head.get(start..)?;
    let end = rest.iter().position(|octet| *octet == b'<')?;
    std::str::from_utf8(rest.get(..end)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_id_is_found_or_not() {
        let id = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000";
        let check = |xml: &str, expected: Option<&str>| {
            assert_eq!(
                request_id_of(xml.as_bytes()).map(|id| id.to_string()).as_deref(),
                expected,
                "{xml}"
            );
        };
        check(&format!("<sr:Request><sr:RequestID>{id}</sr:RequestID>"), Some(id));
        check(&format!("<Request><RequestID> {id}\n</RequestID>"), Some(id));
        check("<RequestID>1:2:3</RequestID>", None);
        check("<RequestID>", None);
        check("", None);
    }
}
