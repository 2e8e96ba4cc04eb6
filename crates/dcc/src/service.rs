//! The role: links in, links out, one journal commit before anything leaves.

use std::pin::pin;
use std::task::{Context, Poll};

use domain::{Eui64, RequestId, SimInstant, Srv};
use proto::{Envelope, Kind};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkReceiver, LinkSender, StoreError, World};

use crate::audit;
use crate::core::{Core, Effect, Fitted};
use crate::front_door::Denied;
use crate::images::Known;
use crate::inventory::{Device, Lookup, SmiStatus, StatusError};
use crate::options::{BATCH, COMMANDS_MAX, GRACE, OUTGOING_MAX, Options};
use crate::outbox::DeadLetter;
use crate::products::Products;

/// The mock DCC. Owns its links and its journal; one task runs it.
#[derive(Debug)]
pub struct Dcc {
    world: World,
    core: Core,
    users: Vec<LinkEnd>,
    s1sp: LinkEnd,
    commands: mpsc::Receiver<Command>,
}

/// Asks a running DCC. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

/// A handle's question that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// No dead letter of that number is kept.
    #[error("user {user} has no dead letter {delivery_id}")]
    NoDeadLetter {
        /// Which user.
        user: Eui64,
        /// Number of the delivery.
        delivery_id: u64,
    },
    /// No request is in quarantine under that number.
    #[error("no request is in quarantine under number {0}")]
    NotInQuarantine(u64),
    /// The DCC has ended, or is about to.
    #[error("the DCC does not run any more")]
    NotRunning,
    /// The status cannot be set.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No code is made.
    #[error("{code}: {detail}")]
    VendRefused {
        /// What a top-up would have been refused with.
        code: &'static str,
        /// Why.
        detail: String,
    },
}

/// How much the DCC has in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InHand {
    /// Acknowledged requests without outcome.
    pub open_requests: usize,
    /// Those of them that wait for their date or their turn.
    pub held_requests: usize,
    /// Schedules.
    pub schedules: usize,
    /// Firmware images on their way.
    pub images: usize,
    /// Deliveries neither taken nor given up.
    pub deliveries: usize,
    /// Dead letters kept.
    pub dead_letters: usize,
}

/// A request in quarantine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// Its number: the reference that its user was told.
    pub reference: u64,
    /// Which request.
    pub request: RequestId,
    /// Service reference variant.
    pub srv: Srv,
    /// Since when.
    pub since: SimInstant,
    /// The limit it exceeded.
    pub detail: String,
}

/// A delivery that a user fetches instead of having it posted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Its number: [`Handle::fetched`] takes it.
    pub delivery_id: u64,
    /// The request it answers; none for alerts.
    pub request: Option<RequestId>,
    /// The signed document.
    pub xml: prost::bytes::Bytes,
}

/// What a supplier wants a code for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vend {
    /// The supplier. It must be registered for the meter.
    pub user: Eui64,
    /// The meter.
    pub device: Eui64,
    /// What the code is to be worth: up to 8191 pence, or up to 8191 whole pounds, as a UTRN can say it.
    pub pence: u32,
    /// The code is only to be given to the customer: the meter is not tried.
    pub for_the_keys: bool,
}

#[derive(Debug)]
pub(crate) enum Command {
    Audit(Trail, oneshot::Sender<Result<Vec<audit::Record>, StoreError>>),
    DeadLetters(oneshot::Sender<Vec<DeadLetter>>),
    DeliverAgain(Eui64, u64, oneshot::Sender<bool>),
    DeliverSince(Eui64, SimInstant, oneshot::Sender<Result<usize, StoreError>>),
    Fetch(Eui64, usize, oneshot::Sender<Vec<Fetched>>),
    Fetched(Eui64, Vec<u64>, oneshot::Sender<usize>),
    EndQuarantine(u64, bool, oneshot::Sender<bool>),
    Fit(Box<Fitted>, oneshot::Sender<()>),
    Images(oneshot::Sender<Vec<Known>>),
    InHand(oneshot::Sender<InHand>),
    LookUp(Lookup, oneshot::Sender<Vec<Device>>),
    Quarantine(oneshot::Sender<Vec<Quarantined>>),
    ResetCounters(Eui64, oneshot::Sender<()>),
    SetProducts(Box<Products>, oneshot::Sender<()>),
    SetStatus(Eui64, SmiStatus, oneshot::Sender<Result<(), StatusError>>),
    TakeAway(Vec<Eui64>, oneshot::Sender<()>),
    Vend(Vend, oneshot::Sender<Result<RequestId, Denied>>),
}

#[derive(Debug)]
pub(crate) enum Trail {
    All,
    Device(Eui64),
    Request(RequestId),
}

/// Something for the core to handle.
enum Input {
    Command(Command),
    Left(RequestId),
    S1sp(Envelope),
    User(usize, Envelope),
}

/// A message on its way out.
struct Outgoing {
    envelope: Envelope,
    kind: Kind,
    body: Vec<u8>,
    /// The request this acknowledges: the core hears when it has left.
    acknowledges: Option<RequestId>,
}

impl Dcc {
    /// Takes its links and reads its journal.
    ///
    /// Requests are accepted on any of the users' links, because only a signature says who sent one; deliveries go to the
    /// first link of their user.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(
        world: World,
        users: Vec<(Eui64, LinkEnd)>,
        s1sp: LinkEnd,
        options: Options,
    ) -> Result<(Self, Handle), StoreError> {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (ports, users): (Vec<_>, Vec<_>) = users.into_iter().unzip();
        let core = Core::new(options, ports, world.clock.now())?;
        let dcc = Self {
            world,
            core,
            users,
            s1sp,
            commands,
        };
        Ok((dcc, Handle { commands: sender }))
    }

    /// Runs until `shutdown`, or until every link is closed. Dropping the future is a crash: what the journal has is safe.
    ///
    /// # Errors
    /// When the journal refuses a commit; nothing of that batch has then left.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let clock = self.world.clock.clone();
        let mut pumps = JoinSet::new();
        let (left, left_receiver) = mpsc::channel(OUTGOING_MAX);
        let mut start = |end: LinkEnd| {
            let (sender, receiver) = end.split();
            let (queue, waiting) = mpsc::channel(OUTGOING_MAX);
            pumps.spawn(pump(sender, waiting, left.clone()));
            (queue, Some(receiver))
        };
        let (s1sp_queue, s1sp) = start(self.s1sp);
        let (user_queues, users): (Vec<_>, Vec<_>) = self.users.into_iter().map(&mut start).unzip();
        drop(left);
        let mut inputs = Inputs {
            users,
            s1sp,
            left: left_receiver,
            commands: self.commands,
            turn: 0,
        };
        let outputs = Outputs {
            users: user_queues,
            s1sp: s1sp_queue,
        };

        self.core.start(clock.now());
        flush(&mut self.core, &outputs, clock.now())?;
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            let wake = self.core.next_wake();
            let sleep = async {
                match wake {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stopped => break,
                input = inputs.next() => match input {
                    None => break,
                    Some(input) => handle(&mut self.core, input, clock.now()),
                },
                () = sleep => self.core.wake(clock.now()),
            }
            // What is ready now shares the commit.
            for _ in 1..BATCH {
                let Some(input) = inputs.ready().await else { break };
                handle(&mut self.core, input, clock.now());
            }
            flush(&mut self.core, &outputs, clock.now())?;
        }
        drop(outputs);
        let drained = async { while pumps.join_next().await.is_some() {} };
        if clock.timeout(GRACE, drained).await.is_err() {
            tracing::warn!("messages of the DCC were cut off at shutdown");
        }
        Ok(())
    }
}

fn handle(core: &mut Core, input: Input, now: SimInstant) {
    match input {
        Input::Command(command) => core.command(command, now),
        Input::Left(request) => core.acknowledgement_left(request, now),
        Input::S1sp(envelope) => core.s1sp_message(&envelope, now),
        Input::User(port, envelope) => core.user_message(port, envelope, now),
    }
}

/// Makes everything durable, then lets it leave. An acknowledgement lost on the way out has left as far as the DCC can tell.
fn flush(core: &mut Core, outputs: &Outputs, now: SimInstant) -> Result<(), StoreError> {
    loop {
        let lost = outputs.release(core.commit(now)?);
        if lost.is_empty() {
            return Ok(());
        }
        lost.into_iter()
            .for_each(|request| core.acknowledgement_left(request, now));
    }
}

/// Sends what waits for one link, one after the other. A closed link loses what is sent, as a network would.
async fn pump(sender: LinkSender, mut waiting: mpsc::Receiver<Outgoing>, left: mpsc::Sender<RequestId>) {
    while let Some(out) = waiting.recv().await {
        if let Err(error) = sender.send(out.envelope, out.kind, &out.body).await {
            tracing::debug!(%error, "not sent");
        }
        if let Some(request) = out.acknowledges {
            // The DCC ends only together with this task, so there is nobody else to tell.
            let _ = left.send(request).await;
        }
    }
}

struct Outputs {
    users: Vec<mpsc::Sender<Outgoing>>,
    s1sp: mpsc::Sender<Outgoing>,
}

impl Outputs {
    /// Queues messages for their links. Gives the requests whose acknowledgement found no place.
    fn release(&self, effects: Vec<Effect>) -> Vec<RequestId> {
        let mut lost = Vec::new();
        for effect in effects {
            let (queue, out) = match effect {
                Effect::ToS1sp { envelope, kind, body } => (
                    Some(&self.s1sp),
                    Outgoing {
                        envelope,
                        kind,
                        body,
                        acknowledges: None,
                    },
                ),
                Effect::ToUser {
                    port,
                    envelope,
                    kind,
                    body,
                    acknowledges,
                } => (
                    self.users.get(port),
                    Outgoing {
                        envelope,
                        kind,
                        body,
                        acknowledges,
                    },
                ),
            };
            let Some(queue) = queue else { continue };
            if let Err(refused) = queue.try_send(out) {
                tracing::warn!("a queue of the DCC is full: a message is lost");
                lost.extend(refused.into_inner().acknowledges);
            }
        }
        lost
    }
}

struct Inputs {
    users: Vec<Option<LinkReceiver>>,
    s1sp: Option<LinkReceiver>,
    left: mpsc::Receiver<RequestId>,
    commands: mpsc::Receiver<Command>,
    /// Which link is asked first: each in turn, so that none waits for ever.
    turn: usize,
}

impl Inputs {
    /// None once every link is closed. Safe to cancel.
    async fn next(&mut self) -> Option<Input> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// What is there already.
    async fn ready(&mut self) -> Option<Input> {
        std::future::poll_fn(|context| match self.poll(context) {
            Poll::Ready(input) => Poll::Ready(input),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        if let Poll::Ready(Some(request)) = self.left.poll_recv(context) {
            return Poll::Ready(Some(Input::Left(request)));
        }
        if let Poll::Ready(Some(command)) = self.commands.poll_recv(context) {
            return Poll::Ready(Some(Input::Command(command)));
        }
        let links = self.users.len() + 1;
        let mut open = false;
        for offset in 0..links {
            let at = (self.turn + offset) % links;
            let slot = if at == 0 {
                Some(&mut self.s1sp)
            } else {
                self.users.get_mut(at - 1)
            };
            let Some(slot) = slot else { continue };
            let Some(receiver) = slot else { continue };
            match receiver.poll_recv(context) {
                Poll::Pending => open = true,
                Poll::Ready(None) => *slot = None,
                Poll::Ready(Some(envelope)) => {
                    self.turn = at + 1;
                    return Poll::Ready(Some(match at.checked_sub(1) {
                        None => Input::S1sp(envelope),
                        Some(port) => Input::User(port, envelope),
                    }));
                }
            }
        }
        if open { Poll::Pending } else { Poll::Ready(None) }
    }
}

impl Handle {
    /// The audit trail of one request, oldest record first.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn audit_of_request(&self, request: RequestId) -> Result<Vec<audit::Record>, HandleError> {
        Ok(self
            .ask(|answer| Command::Audit(Trail::Request(request), answer))
            .await??)
    }

    /// The audit trail of one device, oldest record first.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn audit_of_device(&self, device: Eui64) -> Result<Vec<audit::Record>, HandleError> {
        Ok(self
            .ask(|answer| Command::Audit(Trail::Device(device), answer))
            .await??)
    }

    /// The whole audit trail, oldest record first.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn audit(&self) -> Result<Vec<audit::Record>, HandleError> {
        Ok(self.ask(|answer| Command::Audit(Trail::All, answer)).await??)
    }

    /// The dead letters kept, by user, oldest first.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, HandleError> {
        self.ask(Command::DeadLetters).await
    }

    /// Puts a dead letter back into its outbox, under its old number.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn deliver_again(&self, user: Eui64, delivery_id: u64) -> Result<(), HandleError> {
        match self
            .ask(|answer| Command::DeliverAgain(user, delivery_id, answer))
            .await?
        {
            true => Ok(()),
            false => Err(HandleError::NoDeadLetter { user, delivery_id }),
        }
    }

    /// Delivers everything a user was sent since an instant once more, under its old numbers. Gives how many that are.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn deliver_since(&self, user: Eui64, since: SimInstant) -> Result<usize, HandleError> {
        Ok(self.ask(|answer| Command::DeliverSince(user, since, answer)).await??)
    }

    /// What waits for a user, oldest first and at most so many: for a user that fetches instead of listening. It stays until
    /// [`Handle::fetched`] or a delivery takes it.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn fetch(&self, user: Eui64, max: usize) -> Result<Vec<Fetched>, HandleError> {
        self.ask(|answer| Command::Fetch(user, max, answer)).await
    }

    /// A user has fetched these deliveries: they leave its outbox. Gives how many of them still waited.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn fetched(&self, user: Eui64, delivery_ids: Vec<u64>) -> Result<usize, HandleError> {
        self.ask(|answer| Command::Fetched(user, delivery_ids, answer)).await
    }

    /// The images that users brought, oldest first, also those that are with their devices.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn images(&self) -> Result<Vec<Known>, HandleError> {
        self.ask(Command::Images).await
    }

    /// What the DCC has in hand.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn in_hand(&self) -> Result<InHand, HandleError> {
        self.ask(Command::InHand).await
    }

    /// Devices of the inventory, as 8.2 finds them.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn look_up(&self, by: Lookup) -> Result<Vec<Device>, HandleError> {
        self.ask(|answer| Command::LookUp(by, answer)).await
    }

    /// Forgets the RequestID counters of a user, for all its targets. Requests still open stay known.
    ///
    /// The S1SP and the DCO keep their own memory of RequestIDs: a counter used once more reaches no device twice.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn reset_counters(&self, user: Eui64) -> Result<(), HandleError> {
        self.ask(|answer| Command::ResetCounters(user, answer)).await
    }

    /// Gives the DCC other product lists, and holds every device against them: a device in service whose firmware is listed
    /// and not active is suspended, a suspended one whose firmware is active again is restored.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn set_products(&self, products: Products) -> Result<(), HandleError> {
        self.ask(|answer| Command::SetProducts(Box::new(products), answer))
            .await
    }

    /// Sets the SMI status of a device, with everything that hangs on it.
    /// The requests in quarantine, by their number.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn quarantine(&self) -> Result<Vec<Quarantined>, HandleError> {
        self.ask(Command::Quarantine).await
    }

    /// Lets a request in quarantine go on, or deletes it, which ends it with an error.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn end_quarantine(&self, reference: u64, release: bool) -> Result<(), HandleError> {
        let found = self
            .ask(|answer| Command::EndQuarantine(reference, release, answer))
            .await?;
        found.then_some(()).ok_or(HandleError::NotInQuarantine(reference))
    }

    /// Sets the SMI status of a device.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn set_status(&self, device: Eui64, status: SmiStatus) -> Result<(), HandleError> {
        Ok(self.ask(|answer| Command::SetStatus(device, status, answer)).await??)
    }

    /// Lets installations come: their devices are then in the inventory as if the files had said so at the start.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn fit(&self, fitted: Fitted) -> Result<(), HandleError> {
        self.ask(|answer| Command::Fit(Box::new(fitted), answer)).await
    }

    /// Lets devices go that were taken out of the lab: what waits for them ends, and users are told of that. Devices that
    /// are not in the inventory are passed over.
    ///
    /// # Errors
    /// [`HandleError::NotRunning`].
    pub async fn take_away(&self, devices: Vec<Eui64>) -> Result<(), HandleError> {
        self.ask(|answer| Command::TakeAway(devices, answer)).await
    }

    /// Has a code made for a meter, in a supplier's place. Gives the DCC's own request about it: the alert that tells the
    /// supplier the code names it, and so does the outcome.
    ///
    /// # Errors
    /// [`HandleError::VendRefused`] where a top-up by that supplier would be.
    pub async fn vend(&self, vend: Vend) -> Result<RequestId, HandleError> {
        let begun = self.ask(|answer| Command::Vend(vend, answer)).await?;
        begun.map_err(|Denied(failure, detail)| HandleError::VendRefused {
            code: failure.entry().code,
            detail,
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, HandleError> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| HandleError::NotRunning)?;
        answered.await.map_err(|_| HandleError::NotRunning)
    }
}
