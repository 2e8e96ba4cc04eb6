//! Links: ordered channels of encoded [`Envelope`]s between two roles, with tape and fault hook in the sender.
//!
//! A delayed envelope ([`Verdict::Delay`]) never holds up its sender, and later envelopes overtake it, as separate
//! exchanges between two systems would. Only octets of a WAN connection keep their order: a delayed one holds back what
//! follows for the same hub, because a connection shows loss and delay but never disorder. For the same reason nothing
//! more of a connection passes after a lost piece ([`Verdict::Drop`]) but its end: a connection breaks off, it has no
//! holes.
//!
//! A link is always a channel of octets in memory; where the other role is behind a socket, `lab` pumps the octets of a
//! link end through it.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::{SimDuration, SimInstant};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::{Envelope, Kind, WanOpen};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::fault::Verdict;
use crate::limits::LINK_CAPACITY;
use crate::{Clock, World};

/// The direction of a link: who sends, who receives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkName {
    /// Sending role.
    pub from: Arc<str>,
    /// Receiving role.
    pub to: Arc<str>,
}

impl LinkName {
    /// Whether it joins these two roles, in either direction; prefixes match.
    #[must_use]
    pub fn joins(&self, left: &str, right: &str) -> bool {
        (self.from.starts_with(left) && self.to.starts_with(right))
            || (self.from.starts_with(right) && self.to.starts_with(left))
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from, self.to)
    }
}

/// The other end is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("link {link} is closed")]
pub struct LinkClosed {
    /// Which link.
    pub link: String,
}

/// Octets that a link does not take from a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The other end is gone.
    #[error(transparent)]
    Closed(#[from] LinkClosed),
    /// They do not decode; the peer is at fault.
    #[error("octets that are no envelope")]
    NotAnEnvelope,
    /// The envelope names other roles than the link joins; the peer is at fault.
    #[error("an envelope of {claimed} on link {link}")]
    OtherLink {
        /// The link it came on.
        link: String,
        /// The roles it names.
        claimed: String,
    },
}

/// One role's end of a link: sends one way, receives the other.
#[derive(Debug)]
pub struct LinkEnd {
    sender: LinkSender,
    receiver: LinkReceiver,
}

/// The sending half; cheap to clone.
#[derive(Clone, Debug)]
pub struct LinkSender {
    world: World,
    name: LinkName,
    next_id: Arc<AtomicU64>,
    /// Per hub, until when its delayed connection octets hold back what follows.
    held_back: Arc<Mutex<BTreeMap<u64, SimInstant>>>,
    /// Per hub, the connection that lost a piece.
    broken: Arc<Mutex<BTreeMap<u64, u64>>>,
    parcels: mpsc::Sender<Parcel>,
}

/// An envelope under way; due at once when the fault rules let it pass.
#[derive(Debug)]
struct Parcel {
    due: Option<SimInstant>,
    octets: Bytes,
    /// What the octets say, where somebody read them already.
    read: Option<Envelope>,
}

/// An envelope on its way out. It is read at most once, and only where somebody wants to know what is in it.
struct Outgoing {
    kind: Kind,
    octets: Bytes,
    envelope: OnceCell<Envelope>,
}

impl Outgoing {
    fn new(kind: Kind, octets: Bytes) -> Self {
        Self {
            kind,
            octets,
            envelope: OnceCell::new(),
        }
    }

    fn envelope(&self) -> &Envelope {
        // What we have encoded, or decoded once already, can be read.
        self.envelope
            .get_or_init(|| Envelope::decode(self.octets.clone()).unwrap_or_default())
    }
}

/// The receiving half.
pub struct LinkReceiver {
    name: LinkName,
    clock: Clock,
    parcels: mpsc::Receiver<Parcel>,
    /// Delayed parcels by due instant and order of arrival.
    late: BinaryHeap<Reverse<Late>>,
    arrivals: u64,
    /// Rings when the first of `late` is due.
    alarm: Option<(SimInstant, Alarm)>,
    /// Where the channel waits for the role to be started again.
    home: Option<Home>,
}

type Home = Arc<Mutex<Option<mpsc::Receiver<Parcel>>>>;

/// Keeps one role's end of a link alive while the role is down, so that it can be started again.
#[derive(Clone)]
pub struct LinkSocket {
    sender: LinkSender,
    back: LinkName,
    home: Home,
}

type Alarm = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    due: SimInstant,
    arrival: u64,
    octets: Bytes,
}

pub(crate) fn pair(world: &World, left: Arc<str>, right: Arc<str>) -> (LinkEnd, LinkEnd) {
    let (to_right, at_right) = mpsc::channel(LINK_CAPACITY);
    let (to_left, at_left) = mpsc::channel(LINK_CAPACITY);
    let there = LinkName {
        from: Arc::clone(&left),
        to: Arc::clone(&right),
    };
    let back = LinkName { from: right, to: left };
    let end = |out: &LinkName, sender, back: &LinkName, receiver| LinkEnd {
        sender: LinkSender {
            world: world.clone(),
            name: out.clone(),
            next_id: Arc::new(AtomicU64::new(1)),
            held_back: Arc::default(),
            broken: Arc::default(),
            parcels: sender,
        },
        receiver: LinkReceiver {
            name: back.clone(),
            clock: world.clock.clone(),
            parcels: receiver,
            late: BinaryHeap::new(),
            arrivals: 0,
            alarm: None,
            home: None,
        },
    };
    (
        end(&there, to_right, &back, at_left),
        end(&back, to_left, &there, at_right),
    )
}

impl LinkEnd {
    /// Keeps the link for another start of the role that this end is given to: the other role never sees it close.
    #[must_use]
    pub fn socket(&mut self) -> LinkSocket {
        let home = Home::default();
        self.receiver.home = Some(Arc::clone(&home));
        LinkSocket {
            sender: self.sender.clone(),
            back: self.receiver.name.clone(),
            home,
        }
    }

    /// Both halves, for roles that send from one task and receive in another.
    #[must_use]
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }

    /// A clone of the sending half.
    #[must_use]
    pub fn sender(&self) -> LinkSender {
        self.sender.clone()
    }

    /// As [`LinkSender::send`].
    ///
    /// # Errors
    /// [`LinkClosed`] when the other end is gone.
    pub async fn send(&self, envelope: Envelope, kind: Kind, body: &[u8]) -> Result<u64, LinkClosed> {
        self.sender.send(envelope, kind, body).await
    }

    /// As [`LinkReceiver::recv`].
    pub async fn recv(&mut self) -> Option<Envelope> {
        self.receiver.recv().await
    }
}

impl LinkSender {
    /// The direction it sends in.
    #[must_use]
    pub fn name(&self) -> &LinkName {
        &self.name
    }

    /// Sends one message: fills in from, to, kind, id and body, records it on the tape, asks the fault rules, delivers.
    ///
    /// Of `envelope`, `trace_id` and `in_reply_to` are kept. Gives the id it was sent under. A lost envelope is not an
    /// error: the sender of a real network would not know either. Waits while the link is full. Not cancelled half-way:
    /// once taped, it is delivered or lost as judged.
    ///
    /// # Errors
    /// [`LinkClosed`] when the other end is gone.
    pub async fn send(&self, envelope: Envelope, kind: Kind, body: &[u8]) -> Result<u64, LinkClosed> {
        let id = self.reserve_id();
        self.send_as(id, envelope, kind, body).await?;
        Ok(id)
    }

    /// The id of a message yet to be sent, so that its reply can be awaited before it goes out.
    pub(crate) fn reserve_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.world.clock
    }

    pub(crate) fn closed(&self) -> LinkClosed {
        LinkClosed {
            link: self.name.to_string(),
        }
    }

    pub(crate) async fn send_as(&self, id: u64, envelope: Envelope, kind: Kind, body: &[u8]) -> Result<(), LinkClosed> {
        let octets = encoded(&self.name, id, &envelope, kind, body);
        self.pass(Outgoing::new(kind, octets)).await
    }

    /// Passes on an envelope that the role at this end sent from elsewhere, as it came out of a tunnel: checks that it
    /// names this link, then tape, fault rules and delivery as for [`LinkSender::send`].
    ///
    /// # Errors
    /// [`ForwardError`] when the octets are no envelope of this link or the other end is gone.
    pub async fn forward(&self, octets: Bytes) -> Result<(), ForwardError> {
        let envelope = Envelope::decode(octets.clone()).map_err(|_| ForwardError::NotAnEnvelope)?;
        if *envelope.from != *self.name.from || *envelope.to != *self.name.to {
            let claimed = format!("{}>{}", envelope.from, envelope.to);
            return Err(ForwardError::OtherLink {
                link: self.name.to_string(),
                claimed,
            });
        }
        let outgoing = Outgoing::new(envelope.kind(), octets);
        self.pass(outgoing).await.map_err(ForwardError::Closed)
    }

    /// Tape, fault rules, delivery.
    async fn pass(&self, outgoing: Outgoing) -> Result<(), LinkClosed> {
        let now = self.world.clock.now();
        let (verdict, body) = self.world.faults.judge(&self.name, now, || outgoing.envelope());
        let verdict = self.break_off(&outgoing, verdict);
        let tape = |verdict, outgoing: &Outgoing| {
            self.world
                .tape
                .record(self.world.number, now, &self.name, verdict, &outgoing.octets, || {
                    outgoing.envelope()
                });
        };
        tape(verdict, &outgoing);
        let span = match verdict {
            Verdict::Drop => return Ok(()),
            Verdict::Delay(span) => span,
            Verdict::Duplicate | Verdict::Pass | Verdict::Replace => SimDuration::ZERO,
        };
        let due = self.due(&outgoing, now, span);
        let outgoing = match body {
            Some(body) if verdict == Verdict::Replace => {
                let other = Envelope {
                    body,
                    ..outgoing.envelope().clone()
                };
                let other = Outgoing::new(outgoing.kind, Bytes::from(other.encode_to_vec()));
                tape(Verdict::Pass, &other);
                other
            }
            _ => outgoing,
        };
        if verdict == Verdict::Duplicate {
            self.deliver(due, outgoing.octets.clone(), None).await?;
        }
        self.deliver(due, outgoing.octets, outgoing.envelope.into_inner()).await
    }

    /// A lost piece of a connection takes with it what follows.
    fn break_off(&self, outgoing: &Outgoing, verdict: Verdict) -> Verdict {
        if outgoing.kind != Kind::WanData {
            return verdict;
        }
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if verdict != Verdict::Drop && broken.is_empty() {
            return verdict;
        }
        let WanOpen { hub, session, .. } = connection_of(outgoing.envelope());
        if verdict == Verdict::Drop {
            broken.insert(hub, session);
        } else if broken.get(&hub) == Some(&session) {
            return Verdict::Drop;
        }
        verdict
    }

    /// When an envelope arrives that is delayed by `span`; `None` for at once.
    fn due(&self, outgoing: &Outgoing, now: SimInstant, span: SimDuration) -> Option<SimInstant> {
        let mut due = (span > SimDuration::ZERO).then(|| now + span);
        if keeps_order(outgoing.kind) {
            let mut held_back = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
            if due.is_some() || !held_back.is_empty() {
                held_back.retain(|_, until| *until > now);
                let hub = connection_of(outgoing.envelope()).hub;
                due = due.max(held_back.get(&hub).copied());
                if let Some(due) = due {
                    held_back.insert(hub, due);
                }
            }
        }
        due
    }

    async fn deliver(&self, due: Option<SimInstant>, octets: Bytes, read: Option<Envelope>) -> Result<(), LinkClosed> {
        match self.parcels.try_send(Parcel { due, octets, read }) {
            Ok(()) => Ok(()),
            // Those who wait for room already go first.
            Err(TrySendError::Full(parcel)) => self.parcels.send(parcel).await.map_err(|_| self.closed()),
            Err(TrySendError::Closed(_)) => Err(self.closed()),
        }
    }

    /// Answers `request` on this link: as [`LinkSender::send`] with its trace id and `in_reply_to` set.
    ///
    /// # Errors
    /// [`LinkClosed`] when the other end is gone.
    pub async fn reply(&self, request: &Envelope, kind: Kind, body: &[u8]) -> Result<u64, LinkClosed> {
        let envelope = Envelope {
            trace_id: request.trace_id.clone(),
            in_reply_to: request.id,
            ..Envelope::default()
        };
        self.send(envelope, kind, body).await
    }
}

impl LinkReceiver {
    /// The direction it receives from.
    #[must_use]
    pub fn name(&self) -> &LinkName {
        &self.name
    }

    /// The octets of the next envelope, for a tunnel; `None` once every sender is gone and nothing is under way. Safe to
    /// cancel.
    pub async fn recv_octets(&mut self) -> Option<Bytes> {
        poll_fn(|context| self.poll_parcel(context))
            .await
            .map(|(octets, _)| octets)
    }

    /// The next envelope; `None` once every sender is gone and nothing is under way. Octets that are no envelope are
    /// dropped with a warning. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Envelope> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`LinkReceiver::recv`] as a poll, for roles that watch many links.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Envelope>> {
        loop {
            match self.poll_parcel(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some((_, Some(read)))) => return Poll::Ready(Some(read)),
                Poll::Ready(Some((octets, None))) => match Envelope::decode(octets) {
                    Ok(envelope) => return Poll::Ready(Some(envelope)),
                    Err(error) => tracing::warn!(link = %self.name, %error, "octets that are no envelope"),
                },
            }
        }
    }

    /// The next octets, with what they say where somebody read them already.
    fn poll_parcel(&mut self, context: &mut Context<'_>) -> Poll<Option<(Bytes, Option<Envelope>)>> {
        let closed = loop {
            match self.parcels.poll_recv(context) {
                Poll::Ready(Some(Parcel {
                    due: None,
                    octets,
                    read,
                })) => return Poll::Ready(Some((octets, read))),
                Poll::Ready(Some(Parcel {
                    due: Some(due), octets, ..
                })) => {
                    self.late.push(Reverse(Late {
                        due,
                        arrival: self.arrivals,
                        octets,
                    }));
                    self.arrivals += 1;
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        self.poll_late(context, closed)
            .map(|late| late.map(|octets| (octets, None)))
    }

    fn poll_late(&mut self, context: &mut Context<'_>, closed: bool) -> Poll<Option<Bytes>> {
        loop {
            let Some(Reverse(first)) = self.late.peek() else {
                return if closed { Poll::Ready(None) } else { Poll::Pending };
            };
            let due = first.due;
            if due <= self.clock.now() {
                return Poll::Ready(self.late.pop().map(|Reverse(late)| late.octets));
            }
            if self.alarm.as_ref().is_none_or(|(at, _)| *at != due) {
                let clock = self.clock.clone();
                self.alarm = Some((due, Box::pin(async move { clock.sleep_until(due).await })));
            }
            match self.alarm.as_mut().map(|(_, alarm)| alarm.as_mut().poll(context)) {
                Some(Poll::Ready(())) => self.alarm = None,
                _ => return Poll::Pending,
            }
        }
    }
}

impl LinkSocket {
    /// The end for the role's next start; `None` while the role still holds it. What was sent to the role while it was
    /// down is lost, as it would be with a process that is not there. Ids go on where they were.
    #[must_use]
    pub fn attach(&self) -> Option<LinkEnd> {
        let mut parcels = self.home.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        while parcels.try_recv().is_ok() {}
        Some(LinkEnd {
            sender: self.sender.clone(),
            receiver: LinkReceiver {
                name: self.back.clone(),
                clock: self.sender.world.clock.clone(),
                parcels,
                late: BinaryHeap::new(),
                arrivals: 0,
                alarm: None,
                home: Some(Arc::clone(&self.home)),
            },
        })
    }
}

impl fmt::Debug for LinkSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkSocket({})", self.sender.name)
    }
}

impl Drop for LinkReceiver {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            let (_, closed) = mpsc::channel(1);
            let parcels = std::mem::replace(&mut self.parcels, closed);
            *home.lock().unwrap_or_else(PoisonError::into_inner) = Some(parcels);
        }
    }
}

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkReceiver({}, {} delayed)", self.name, self.late.len())
    }
}

/// Whether envelopes of this kind are parts of a WAN connection.
fn keeps_order(kind: Kind) -> bool {
    matches!(kind, Kind::WanOpen | Kind::WanData | Kind::WanClose)
}

/// The connection an envelope is about: all connection messages begin with the same fields.
fn connection_of(envelope: &Envelope) -> WanOpen {
    WanOpen::decode(envelope.body.clone()).unwrap_or_default()
}

/// The octets of an [`Envelope`], as `prost` would encode it: there is one for every hop, and this copies its body once.
fn encoded(name: &LinkName, id: u64, envelope: &Envelope, kind: Kind, body: &[u8]) -> Bytes {
    /// Keys, lengths and numbers, at their longest.
    const OTHERS: usize = 64;
    let texts = envelope.trace_id.len() + name.from.len() + name.to.len();
    let mut out = Vec::with_capacity(texts + body.len() + OTHERS);
    let octets = |out: &mut Vec<u8>, tag, octets: &[u8]| {
        if !octets.is_empty() {
            encode_key(tag, WireType::LengthDelimited, out);
            encode_varint(octets.len() as u64, out);
            out.extend_from_slice(octets);
        }
    };
    let number = |out: &mut Vec<u8>, tag, number: u64| {
        if number != 0 {
            encode_key(tag, WireType::Varint, out);
            encode_varint(number, out);
        }
    };
    octets(&mut out, 1, envelope.trace_id.as_bytes());
    octets(&mut out, 2, name.from.as_bytes());
    octets(&mut out, 3, name.to.as_bytes());
    number(&mut out, 4, u64::from(kind as u32));
    octets(&mut out, 5, body);
    number(&mut out, 6, id);
    number(&mut out, 7, envelope.in_reply_to);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn envelopes_are_encoded_as_the_schema_has_them(
            trace_id in ".{0,40}",
            from in "[a-z0-9:]{0,20}",
            to in "[a-z0-9:]{0,20}",
            kind in prop::sample::select(vec![Kind::Unspecified, Kind::DuisRequest, Kind::DcoMigrationOutcome]),
            body in prop::collection::vec(any::<u8>(), 0..300),
            id: u64,
            in_reply_to in prop_oneof![Just(0), any::<u64>()],
        ) {
            let whole = Envelope {
                trace_id: trace_id.clone(),
                from: from.clone(),
                to: to.clone(),
                kind: kind.into(),
                body: body.clone().into(),
                id,
                in_reply_to,
            };
            let name = LinkName { from: from.into(), to: to.into() };
            let given = Envelope { trace_id, in_reply_to, ..Envelope::default() };
            prop_assert_eq!(encoded(&name, id, &given, kind, &body), whole.encode_to_vec());
        }
    }
}
