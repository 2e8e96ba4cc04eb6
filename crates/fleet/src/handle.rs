//! What others may ask of a running fleet: lists, direct sessions, what a consumer does, and truth for checks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use domain::keys::{DeviceKey, Party, Purpose};
use domain::operation::{PaymentMode, Token};
use domain::{
    Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, Outcome, ProfileId, Refusal, SimDuration,
    SimInstant, SupplyState,
};
use meter::{Accepted, Acted, DisplayAct, Screen};
use tokio::sync::{mpsc, oneshot};
use world::Clock;

use crate::estate::{Site, SiteDevice, SiteFault};
use crate::fleet::{FleetError, Order};
use crate::hub::{Hub, Item};
use crate::inbox::Inbox;

/// Pieces a direct session holds in each direction.
pub const DIRECT_PIECES: usize = 64;

/// How long an answer of a hub is awaited; a running fleet answers at once.
const ANSWER_WITHIN: SimDuration = SimDuration::from_secs(10);

/// Why a fleet did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No device of this fleet has this identity.
    #[error("there is no device {0} in this fleet")]
    NoSuchDevice(Eui64),
    /// What was to come cannot be built.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Nothing can be set at meters without mains.
    #[error("the installation of hub {0} has no mains: its meters take no payment mode")]
    NoMains(Eui64),
    /// A device cannot become what it is to be.
    #[error("{device} cannot become {profile}: {problem}")]
    NoSuchChange {
        /// The device.
        device: Eui64,
        /// What it was to become.
        profile: ProfileId,
        /// Why not.
        problem: String,
    },
    /// The fleet does not run.
    #[error("the fleet does not run any more")]
    NotRunning,
    /// The hub does not answer: too much to do, or the fleet is not running.
    #[error("the hub {0} does not answer")]
    NotAnswering(Eui64),
    /// What a person in the home tried is not possible now.
    #[error("not possible: {0}")]
    Refused(#[source] Refusal),
    /// All direct sessions of the installation are taken.
    #[error("too many direct sessions to this installation")]
    TooManySessions,
}

/// What a person in the home does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConsumerAct {
    /// Acknowledges the messages of a display.
    AcknowledgeMessages,
    /// Activates emergency credit at the meter.
    ActivateEmergencyCredit,
    /// Does something at a prepayment interface about the meter of this kind.
    AtDisplay(DeviceKind, DisplayAct),
    /// Enters a payment token at the meter.
    EnterToken(Token),
    /// Mains fail.
    CutPower,
    /// Restores an armed supply at the meter.
    PressRestoreSupply,
    /// Mains return.
    RestorePower,
    /// Switches a display off, or on again.
    SwitchDisplay(bool),
    /// Enters credit at the meter, in milli-pence.
    TopUp(u32),
}

/// A connection of any client of the family's protocol straight to the face of one installation, around the WAN.
///
/// The devices of the installation sit behind it as the face lays them out. Dropping it closes the connection.
#[derive(Debug)]
pub struct DirectSession {
    /// Octets to the face; bounded, full while the hub is busy.
    pub to_device: mpsc::Sender<Bytes>,
    /// Octets from the face; `None` when the face closed the connection.
    pub from_device: mpsc::Receiver<Bytes>,
}

/// One device with what its operator could know of its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceStatus {
    /// The device.
    pub device: SiteDevice,
    /// Whose keys are in force.
    pub party: Party,
    /// Key epoch in force.
    pub epoch: u32,
    /// The head-end its hub is connected to.
    pub connected_to: Option<String>,
    /// Next client counter it accepts on the management association.
    pub invocation_counter: u32,
    /// Notifications that wait for a connection.
    pub pending: usize,
}

/// The true state of one device, for tests and checks only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truth {
    /// State of the supply, of a meter.
    pub supply: Option<SupplyState>,
    /// Whether there are mains.
    pub powered: bool,
    /// When its installation has something to do next.
    pub next_wake: SimInstant,
    /// What would survive a restart of the installation, in the octets of `meter`.
    pub durable: Vec<u8>,
    /// When it first and last let a state-changing command of each party through, restarts or not.
    pub accepted: Vec<Accepted>,
}

/// What is changed about a device, or about its installation, from outside: by whoever owns the lab.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceChange {
    /// What the device becomes: another firmware of its model, as after an image that nobody saw arrive.
    pub profile: Option<ProfileId>,
    /// How the customer pays at the installation's meters from now on.
    pub payment_mode: Option<PaymentMode>,
    /// What is wrong with the installation from now on, and nothing else.
    pub faults: Option<Vec<SiteFault>>,
}

/// A handle on a fleet; cheap to clone. It answers only while [`crate::Fleet::run`] runs, lists excepted.
#[derive(Clone)]
pub struct Handle {
    known: Arc<Known>,
    orders: mpsc::Sender<Order>,
    clock: Clock,
}

/// The installations of a fleet as they are now.
pub(crate) struct Known(RwLock<Directory>);

/// Which installations there are, and through which hub a device is reached.
struct Directory {
    sites: BTreeMap<Eui64, Site>,
    inboxes: BTreeMap<Eui64, Inbox<Item>>,
    /// Device, hub and slot, in order of the device.
    devices: Vec<(Eui64, Eui64, DeviceKind)>,
}

impl Known {
    pub(crate) fn new(sites: BTreeMap<Eui64, Site>, inboxes: BTreeMap<Eui64, Inbox<Item>>) -> Self {
        let mut devices: Vec<_> = sites.values().flat_map(devices_of).collect();
        devices.sort_unstable();
        Self(RwLock::new(Directory {
            sites,
            inboxes,
            devices,
        }))
    }

    pub(crate) fn site(&self, hub: Eui64) -> Option<Site> {
        self.read(|directory| directory.sites.get(&hub).cloned())
    }

    pub(crate) fn insert(&self, site: Site, inbox: Inbox<Item>) {
        self.write(|directory| {
            directory.devices.extend(devices_of(&site));
            directory.devices.sort_unstable();
            directory.inboxes.insert(site.hub(), inbox);
            directory.sites.insert(site.hub(), site);
        });
    }

    pub(crate) fn remove(&self, hub: Eui64) {
        self.write(|directory| {
            directory.devices.retain(|(_, of, _)| *of != hub);
            directory.inboxes.remove(&hub);
            directory.sites.remove(&hub);
        });
    }

    fn find(&self, device: Eui64) -> Option<(Eui64, DeviceKind)> {
        self.read(|directory| {
            let index = directory.devices.binary_search_by_key(&device, |entry| entry.0).ok()?;
            directory.devices.get(index).map(|(_, hub, slot)| (*hub, *slot))
        })
    }

    fn inbox(&self, hub: Eui64) -> Option<Inbox<Item>> {
        self.read(|directory| directory.inboxes.get(&hub).cloned())
    }

    fn read<R>(&self, look: impl FnOnce(&Directory) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn devices_of(site: &Site) -> impl Iterator<Item = (Eui64, Eui64, DeviceKind)> + '_ {
    let slots = crate::estate::SLOTS.into_iter();
    slots.filter_map(|slot| Some((site.device(slot)?, site.hub(), slot)))
}

impl Handle {
    pub(crate) fn new(known: Arc<Known>, orders: mpsc::Sender<Order>, clock: Clock) -> Self {
        Self { known, orders, clock }
    }

    /// The installations of this fleet, in order of their hubs.
    #[must_use]
    pub fn sites(&self) -> Vec<Site> {
        self.known.read(|directory| directory.sites.values().cloned().collect())
    }

    /// The devices of this fleet, by hub.
    #[must_use]
    pub fn devices(&self) -> Vec<SiteDevice> {
        self.sites().iter().flat_map(Site::devices).collect()
    }

    /// Lets installations come into the running fleet, new at this moment, all of them or none. Their devices' own
    /// invocation counters begin at `counters_from` at least. What is known of them is on disk before any of them speaks.
    ///
    /// # Errors
    /// [`AskError::Fleet`] when the catalogue lacks what they name, [`AskError::NotRunning`].
    pub async fn add(&self, sites: Vec<Site>, counters_from: u32) -> Result<(), AskError> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Add(sites, counters_from, answer);
        self.orders.send(order).await.map_err(|_| AskError::NotRunning)?;
        Ok(answered.await.map_err(|_| AskError::NotRunning)??)
    }

    /// Takes the installation behind a hub out of the running fleet: it closes its connections and is gone, also after a
    /// restart.
    ///
    /// # Errors
    /// [`AskError::NoSuchDevice`], [`AskError::NotRunning`].
    pub async fn remove(&self, hub: Eui64) -> Result<(), AskError> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Remove(hub, answer);
        self.orders.send(order).await.map_err(|_| AskError::NotRunning)?;
        match answered.await.map_err(|_| AskError::NotRunning)? {
            true => Ok(()),
            false => Err(AskError::NoSuchDevice(hub)),
        }
    }

    /// Whether a change of a device could be made now; nothing is changed.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn may_change(&self, device: Eui64, change: &DeviceChange) -> Result<(), AskError> {
        let (hub, slot) = self.find(device)?;
        let change = change.clone();
        self.ask(hub, move |hub, _| hub.may_change((device, slot), &change))
            .await?
    }

    /// Changes a device, or its installation, all that is asked or nothing. It is on disk before this returns.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn change(&self, device: Eui64, change: DeviceChange) -> Result<(), AskError> {
        let (hub, slot) = self.find(device)?;
        self.ask(hub, move |hub, now| hub.change(now, (device, slot), &change))
            .await?
    }

    /// One device with what its operator could know of its state.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn status(&self, device: Eui64) -> Result<DeviceStatus, AskError> {
        let (hub, slot) = self.find(device)?;
        let site = self.known.site(hub);
        let listed = site.and_then(|site| site.devices().into_iter().find(|d| d.kind == slot));
        let listed = listed.ok_or(AskError::NoSuchDevice(device))?;
        self.ask(hub, move |hub, _| DeviceStatus {
            // What it is now, which it may have become since it was fitted.
            device: SiteDevice {
                profile: hub
                    .kit
                    .profile(slot)
                    .map_or(listed.profile, |profile| profile.id.clone()),
                ..listed
            },
            party: hub.installation.active_party(slot),
            epoch: hub.installation.epoch(slot),
            connected_to: hub.connected_to().map(str::to_owned),
            invocation_counter: hub.installation.invocation_counter(slot),
            pending: hub.pending(),
        })
        .await
    }

    /// The test keys in force on a device. They unlock it: only for the person who owns the lab.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn keys(&self, device: Eui64) -> Result<Vec<(Purpose, DeviceKey)>, AskError> {
        let (hub, slot) = self.find(device)?;
        self.ask(hub, move |hub, now| {
            let (installation, context) = hub.parts(now);
            PURPOSES
                .into_iter()
                .filter_map(|p| Some((p, installation.key(&context, slot, p)?)))
                .collect()
        })
        .await
    }

    /// Connects straight to the face of the installation that this device belongs to.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn direct(&self, device: Eui64) -> Result<DirectSession, AskError> {
        let (hub, _) = self.find(device)?;
        let (to_device, from_client) = mpsc::channel(DIRECT_PIECES);
        let (to_client, from_device) = mpsc::channel(DIRECT_PIECES);
        let taken = self
            .ask(hub, move |hub, _| hub.add_direct(from_client, to_client))
            .await?;
        if taken {
            Ok(DirectSession { to_device, from_device })
        } else {
            Err(AskError::TooManySessions)
        }
    }

    /// Does what a person in the home would do at this device. What came of it is on disk before this returns.
    ///
    /// # Errors
    /// [`AskError::Refused`] when it is not possible now.
    pub async fn act(&self, device: Eui64, act: ConsumerAct) -> Result<Acted, AskError> {
        let (hub, slot) = self.find(device)?;
        let done = self.ask(hub, move |hub, now| {
            hub.note(true);
            if act == ConsumerAct::CutPower {
                hub.last_gasp(now);
            }
            let (installation, context) = hub.parts(now);
            let done = match act {
                ConsumerAct::AtDisplay(meter, act) => {
                    return installation.act_at_display(&context, slot, meter, &act);
                }
                ConsumerAct::AcknowledgeMessages => installation.acknowledge_messages(slot),
                ConsumerAct::ActivateEmergencyCredit => installation.activate_emergency_credit(&context, slot),
                ConsumerAct::EnterToken(token) => installation.enter_token(&context, slot, &token.0),
                ConsumerAct::PressRestoreSupply => installation.press_restore_supply(&context, slot),
                ConsumerAct::SwitchDisplay(on) => installation.switch_display(&context, slot, on),
                ConsumerAct::TopUp(milli_pence) => installation.top_up(&context, slot, milli_pence),
                ConsumerAct::CutPower => {
                    installation.cut_power(&context);
                    hub.power_lost();
                    Ok(())
                }
                ConsumerAct::RestorePower => {
                    installation.restore_power(&context);
                    Ok(())
                }
            };
            done.map(|()| Acted::Done)
        });
        done.await?.map_err(AskError::Refused)
    }

    /// What a display shows now; `None` where the device is none.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn screen(&self, device: Eui64) -> Result<Option<Screen>, AskError> {
        let (hub, slot) = self.find(device)?;
        self.ask(hub, move |hub, now| {
            let (installation, context) = hub.parts(now);
            installation.screen(&context, slot)
        })
        .await
    }

    /// Enters a code at the keys of a meter.
    ///
    /// # Errors
    /// [`AskError::Refused`] when the meter does not take it.
    pub async fn enter_code(&self, device: Eui64, digits: &str) -> Result<(), AskError> {
        let (hub, slot) = self.find(device)?;
        let digits = digits.to_owned();
        let done = self.ask(hub, move |hub, now| {
            hub.note(true);
            let (installation, context) = hub.parts(now);
            installation.enter_token(&context, slot, &digits)
        });
        done.await?.map_err(AskError::Refused)
    }

    /// The true state of a device. Only tests and checks may look.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn truth(&self, device: Eui64) -> Result<Truth, AskError> {
        let (hub, slot) = self.find(device)?;
        self.ask(hub, move |hub, _| Truth {
            supply: hub.installation.supply(slot),
            powered: hub.installation.powered(),
            next_wake: hub.installation.next_wake(),
            durable: hub.installation.durable(),
            accepted: hub.installation.accepted(slot).collect(),
        })
        .await
    }

    /// Executes an operation on a device as the party whose keys are in force would on the critical association, without
    /// octets and beside every link: the semantic device interface. What changes is on disk before this returns.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn operate(
        &self,
        device: Eui64,
        operation: Operation,
        approval: Option<Approval>,
    ) -> Result<Execution, AskError> {
        let (hub, slot) = self.find(device)?;
        self.ask(hub, move |hub, now| {
            hub.note(operation.changes_state());
            let (installation, context) = hub.parts(now);
            let access = Access {
                association: Association::Critical,
                party: Some(installation.active_party(slot)),
            };
            installation.execute(&context, slot, access, &operation, approval.as_ref())
        })
        .await
    }

    /// What a device would answer to a read, asked beside every link. Only tests and checks may ask; a gas meter's data
    /// are asked of its gas proxy.
    ///
    /// # Errors
    /// [`AskError`]; [`AskError::Refused`] for an operation that changes the device or would be queued.
    pub async fn true_read(&self, device: Eui64, operation: Operation) -> Result<Outcome, AskError> {
        if operation.changes_state() {
            return Err(AskError::Refused(Refusal::NotPermitted));
        }
        let (hub, slot) = self.find(device)?;
        if slot == DeviceKind::Gsme {
            return Err(AskError::Refused(Refusal::Unreachable));
        }
        let execution = self.ask(hub, move |hub, now| {
            let (installation, context) = hub.parts(now);
            let party = installation.active_party(slot);
            let access = Access {
                association: Association::Management,
                party: Some(party),
            };
            installation.execute(&context, slot, access, &operation, None)
        });
        match execution.await? {
            Execution::Finished(outcome) => Ok(outcome),
            Execution::Queued(_) => Err(AskError::Refused(Refusal::Unreachable)),
        }
    }

    fn find(&self, device: Eui64) -> Result<(Eui64, DeviceKind), AskError> {
        self.known.find(device).ok_or(AskError::NoSuchDevice(device))
    }

    async fn ask<R: Send + 'static>(
        &self,
        hub: Eui64,
        question: impl FnOnce(&mut Hub, SimInstant) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let inbox = self.known.inbox(hub).ok_or(AskError::NoSuchDevice(hub))?;
        let (reply, answer) = oneshot::channel();
        let ask = Item::Ask(Box::new(move |hub: &mut Hub, now| {
            let answer = question(hub, now);
            Box::new(move || {
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            })
        }));
        if !inbox.push(ask) {
            return Err(AskError::NotAnswering(hub));
        }
        match self.clock.timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(AskError::NotAnswering(hub)),
        }
    }
}

const PURPOSES: [Purpose; 7] = [
    Purpose::Approval,
    Purpose::CriticalAuthentication,
    Purpose::CriticalEncryption,
    Purpose::ManagementAuthentication,
    Purpose::ManagementEncryption,
    Purpose::ReaderPassword,
    Purpose::WakeUp,
];
