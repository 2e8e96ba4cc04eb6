//! The mobile network between hubs and head-ends: text messages, and connections that hubs open.
//!
//! A connection keeps TCP's promise: octets arrive in order or not at all. Loss on the air shows as delay, and beyond
//! some repetitions as a close that both sides hear of, never as a hole. This crate deliberately never looks into a
//! payload and knows no device. Outages are fault rules (`world::Faults`) on the links of `wan` and `fleet`.
//!
//! ```
//! use domain::{Seed, SimInstant};
//! use proto::{Envelope, Kind, Message, WanSms};
//! use tokio_util::sync::CancellationToken;
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let world = world::World::virtual_at(SimInstant(0), Seed::root(1));
//! let (s1sp, wan_s1sp) = world.link("s1sp", "wan");
//! let (wan_fleet, mut fleet) = world.link("wan", "fleet");
//! let network = wan::Wan::new(world.clone(), vec![("s1sp".into(), wan_s1sp)], wan_fleet, wan::Bearer::default());
//! let shutdown = CancellationToken::new();
//! let running = tokio::spawn(network.run(shutdown.clone()));
//! let sms = WanSms { hub: 1, head_end: "s1sp".into(), payload: "wake up".into() };
//! s1sp.send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec()).await.unwrap();
//! assert_eq!(fleet.recv().await.unwrap().kind(), Kind::WanSms);
//! assert!(world.clock.now() >= SimInstant(3000), "a text message takes its time");
//! shutdown.cancel();
//! assert_eq!(running.await.unwrap().sms, 1);
//! # });
//! ```

mod bearer;
mod network;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use domain::SimInstant;
use proto::Envelope;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkReceiver, LinkSender, World};

pub use bearer::{Bearer, Spread};
use network::{Delivery, Network, Side};

/// Octets of one text message; longer ones are refused.
pub const SMS_MAX: usize = 140;

/// Octets of one piece of a connection; a longer one ends the connection.
pub const PIECE_MAX: usize = 64 * 1024;

/// Connections at a time; further ones are closed at once.
pub const SESSIONS_MAX: usize = 200_000;

/// Messages under way at a time; beyond, the network takes nothing in until some have arrived.
pub const IN_FLIGHT_MAX: usize = 1_000_000;

/// What went through the network, and what it did to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Text messages taken in.
    pub sms: u64,
    /// Text messages lost.
    pub sms_lost: u64,
    /// Connections opened.
    pub sessions: u64,
    /// Connections given up by the bearer.
    pub resets: u64,
    /// Connection octets from hubs.
    pub octets_up: u64,
    /// Connection octets to hubs.
    pub octets_down: u64,
    /// Messages that were none or went against the rules.
    pub refused: u64,
    /// Messages still under way at shutdown.
    pub cut_off: u64,
}

/// The network. Build, then [`Wan::run`].
pub struct Wan {
    world: World,
    network: Network,
    senders: Vec<LinkSender>,
    fleet_sender: LinkSender,
    /// Head-ends in their order, then the fleet.
    receivers: Vec<(Side, Option<LinkReceiver>)>,
}

impl Wan {
    /// A network with these head-ends, by the names that hubs connect to, one link to all hubs, and one bearer.
    #[must_use]
    pub fn new(world: World, head_ends: Vec<(String, LinkEnd)>, fleet: LinkEnd, bearer: Bearer) -> Self {
        let mut names = Vec::with_capacity(head_ends.len());
        let mut senders = Vec::with_capacity(head_ends.len());
        let mut receivers = Vec::with_capacity(head_ends.len() + 1);
        for (index, (name, end)) in head_ends.into_iter().enumerate() {
            let (sender, receiver) = end.split();
            names.push(name);
            senders.push(sender);
            receivers.push((Side::HeadEnd(index), Some(receiver)));
        }
        let (fleet_sender, fleet_receiver) = fleet.split();
        receivers.push((Side::Fleet, Some(fleet_receiver)));
        let network = Network::new(bearer, world.seed, names);
        Self {
            world,
            network,
            senders,
            fleet_sender,
            receivers,
        }
    }

    /// Runs until cancelled, or until every head-end or the fleet is gone. What is under way then is cut off and
    /// counted.
    ///
    /// It never waits for one side to read while the other side's link fills up for ever: hubs and head-ends always
    /// empty their links, which is their duty.
    pub async fn run(mut self, shutdown: CancellationToken) -> Traffic {
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            let now = self.world.clock.now();
            while let Some(delivery) = self.network.pop_due(now) {
                self.deliver(delivery).await;
            }
            let next_due = self.network.next_due();
            let has_room = self.network.has_room();
            let taken = {
                let alarm = pin!(alarm(&self.world, next_due));
                let input = next_input(&mut self.receivers, has_room, alarm);
                tokio::select! {
                    biased;
                    () = &mut stopped => break,
                    taken = input => taken,
                }
            };
            match taken {
                Input::Closed => break,
                Input::Due => {}
                Input::Message(side, envelope) => {
                    let now = self.world.clock.now();
                    let clock = self.world.clock.clone();
                    self.network
                        .take(now, side, &envelope, &|span| clock.scaled_latency(span));
                }
            }
        }
        self.network.traffic.cut_off = self.network.in_flight() as u64;
        self.network.traffic
    }

    async fn deliver(&mut self, delivery: Delivery) {
        let sender = match delivery.to {
            Side::Fleet => Some(&self.fleet_sender),
            Side::HeadEnd(index) => self.senders.get(index),
        };
        let envelope = Envelope {
            trace_id: delivery.trace_id,
            in_reply_to: delivery.in_reply_to,
            ..Envelope::default()
        };
        if let Some(sender) = sender
            && let Err(gone) = sender.send(envelope, delivery.kind, &delivery.body).await
        {
            tracing::debug!(%gone, "undeliverable");
        }
    }
}

enum Input {
    /// Nobody is left to serve.
    Closed,
    /// Something under way has arrived.
    Due,
    Message(Side, Envelope),
}

/// The next message of any side, or that something is due. Deliveries first: at equal instants, what was under way
/// arrives before something new is taken in.
async fn next_input(
    receivers: &mut [(Side, Option<LinkReceiver>)],
    has_room: bool,
    mut alarm: impl Future<Output = ()> + Unpin,
) -> Input {
    poll_fn(|context| {
        if std::pin::Pin::new(&mut alarm).poll(context).is_ready() {
            return Poll::Ready(Input::Due);
        }
        if has_room {
            for (side, slot) in receivers.iter_mut() {
                let Some(receiver) = slot else { continue };
                match receiver.poll_recv(context) {
                    Poll::Ready(Some(envelope)) => return Poll::Ready(Input::Message(*side, envelope)),
                    Poll::Ready(None) => *slot = None,
                    Poll::Pending => {}
                }
            }
        }
        if serves_nobody(receivers) {
            Poll::Ready(Input::Closed)
        } else {
            Poll::Pending
        }
    })
    .await
}

fn serves_nobody(receivers: &[(Side, Option<LinkReceiver>)]) -> bool {
    let open = |wanted: fn(&Side) -> bool| receivers.iter().any(|(side, slot)| wanted(side) && slot.is_some());
    !open(|side| *side == Side::Fleet) || !open(|side| *side != Side::Fleet)
}

async fn alarm(world: &World, at: Option<SimInstant>) {
    match at {
        Some(at) => world.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
