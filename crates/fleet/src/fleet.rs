//! The fleet: builds the hubs of an estate, owns their tasks and hands them what comes over the WAN.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use dialects::external::Attached;
use dmc::{Catalogue, DeviceProfile};
use domain::keys::Party;
use domain::operation::CriticalOperations;
use domain::seed::mix;
use domain::{DeviceKind, Eui64, ProfileId, SimDuration, SimInstant};
use meter::{Installation, InstallationConfig, Relations};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanSms};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkReceiver, Store, World, worlds};

use crate::estate::{Estate, KitKey, Site, SiteFault};
use crate::handle::{Handle, Known};
use crate::hub::{Conditions, Hub, Item, Kit, Shared, context};
use crate::inbox::Inbox;
use crate::journal::{Journal, Saved};

/// An estate that this catalogue cannot build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// A template names a profile that is not in the catalogue.
    #[error("template {template}: there is no device profile {profile}{}", hint.as_ref().map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
    UnknownProfile {
        /// The template.
        template: String,
        /// The name as it stands there.
        profile: String,
        /// The nearest known name.
        hint: Option<String>,
    },
    /// The journal cannot be read.
    #[error("read the fleet's journal: {0}")]
    Journal(String),
    /// What the journal says of a hub does not fit it: another estate or another release wrote it.
    #[error("restore hub {hub}: {problem}")]
    Record {
        /// Which hub.
        hub: Eui64,
        /// What does not fit.
        problem: String,
    },
    /// A profile of another kind of device.
    #[error("template {template}: {profile} is a {found}, expected a {expected}")]
    WrongKind {
        /// The template.
        template: String,
        /// The profile.
        profile: String,
        /// What the place is for.
        expected: DeviceKind,
        /// What the profile is.
        found: DeviceKind,
    },
}

/// Which part of an estate a fleet builds: one world of so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Number of this world.
    pub world: u32,
    /// Of so many.
    pub worlds: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { world: 0, worlds: 1 };

    /// Whether the installation of this hub belongs to it.
    #[must_use]
    pub fn holds(self, hub: Eui64) -> bool {
        worlds::world_of(hub, self.worlds) == self.world
    }
}

/// The hubs of an estate. Build, then [`Fleet::run`].
pub struct Fleet {
    receiver: LinkReceiver,
    #[expect(clippy::vec_box, reason = "a hub keeps its place in memory from here into its task")]
    hubs: Vec<Box<Hub>>,
    inboxes: BTreeMap<Eui64, Inbox<Item>>,
    world: World,
    shared: Arc<Shared>,
    known: Arc<Known>,
    orders: mpsc::Receiver<Order>,
}

/// What a handle asks of a running fleet as a whole.
pub(crate) enum Order {
    /// Installations come. Their devices' own counters begin at this number at least.
    Add(Vec<Site>, u32, oneshot::Sender<Result<(), FleetError>>),
    /// An installation goes; tells whether it was there.
    Remove(Eui64, oneshot::Sender<bool>),
}

/// Orders that wait at most; one more waits with whoever gives it.
const ORDERS_MAX: usize = 8;

impl Fleet {
    /// The installations of `estate` that are in `share`, new at this moment of the lab's calendar, and a handle on them.
    ///
    /// # Errors
    /// [`FleetError`] when the catalogue lacks what the estate names.
    pub fn new(
        world: &World,
        wan: LinkEnd,
        estate: &Estate,
        share: Share,
        catalogue: &Catalogue,
        relations: Relations,
        critical: CriticalOperations,
    ) -> Result<(Self, Handle), FleetError> {
        let (sender, receiver) = wan.split();
        let shared = Arc::new(Shared {
            clock: world.clock.clone(),
            wan: sender,
            relations,
            critical,
            catalogue: catalogue.clone(),
            journal: OnceLock::new(),
            faces: OnceLock::new(),
        });
        let mut kits: BTreeMap<KitKey, Arc<Kit>> = BTreeMap::new();
        let mut hubs = Vec::new();
        let mut inboxes = BTreeMap::new();
        let mut sites = BTreeMap::new();
        for site in estate.sites().filter(|site| share.holds(site.hub())) {
            let kit = match site.kit_key().map(|key| kits.entry(key)) {
                Some(Entry::Occupied(known)) => Arc::clone(known.get()),
                Some(Entry::Vacant(free)) => Arc::clone(free.insert(Arc::new(kit(&site, catalogue)?))),
                None => Arc::new(kit(&site, catalogue)?),
            };
            let (hub, inbox) = hub_of(world, &shared, kit, &site);
            inboxes.insert(site.hub(), inbox);
            hubs.push(hub);
            sites.insert(site.hub(), site);
        }
        let (to_fleet, orders) = mpsc::channel(ORDERS_MAX);
        let known = Arc::new(Known::new(sites, inboxes.clone()));
        let handle = Handle::new(Arc::clone(&known), to_fleet, world.clock.clone());
        let world = world.clone();
        Ok((
            Self {
                receiver,
                hubs,
                inboxes,
                world,
                shared,
                known,
                orders,
            },
            handle,
        ))
    }

    /// Keeps the hubs' durable state in `journal` and takes up where it ends. Records of hubs that are not in this fleet
    /// are ignored; the last record of a hub counts.
    ///
    /// Each change that matters is one commit, by the hub that made it: fit for labs with some thousand operations a
    /// minute; mass runs do without.
    ///
    /// # Errors
    /// [`FleetError::Journal`] or [`FleetError::Record`]: the journal is left as it was.
    pub fn with_journal(mut self, journal: Box<dyn Store>) -> Result<Self, FleetError> {
        let mut last = BTreeMap::new();
        let mut faults = 0u64;
        let replayed = journal.replay(&mut |octets| match Saved::from_bytes(octets) {
            Some(saved) if saved.is_of_one_removed() => {
                last.remove(&saved.hub);
            }
            Some(saved) => {
                last.insert(saved.hub, saved);
            }
            None => faults += 1,
        });
        replayed.map_err(|error| FleetError::Journal(error.to_string()))?;
        if faults > 0 {
            return Err(FleetError::Journal(format!(
                "{faults} records are none of this release"
            )));
        }
        let now = self.world.clock.now();
        for hub in &mut self.hubs {
            let eui = hub.eui();
            let (Some(saved), Some(site)) = (last.get(&eui), self.known.site(eui)) else {
                continue;
            };
            let config = config_of(&site, &self.world, saved.installed_at);
            for (slot, profile) in &saved.profiles {
                let kit = hub.kit.with(&self.shared.catalogue, *slot, profile);
                hub.kit = Arc::new(kit.ok_or_else(|| FleetError::Record {
                    hub: eui,
                    problem: format!("its {slot} has become {profile}, which no file describes"),
                })?);
            }
            let context = context(&self.shared, &hub.kit, now);
            let installation =
                Installation::restore(&config, &context, &saved.installation).map_err(|error| FleetError::Record {
                    hub: eui,
                    problem: error.to_string(),
                })?;
            hub.resume(saved, installation);
        }
        // A fleet has one journal: a second one is not taken.
        let _taken = self.shared.journal.set(Journal::new(journal));
        Ok(self)
    }

    /// Lets programs that are attached at `faces` speak for hubs whose profiles say so.
    #[must_use]
    pub fn with_faces(self, faces: Arc<dyn Attached>) -> Self {
        // A fleet has one place where programs are attached: a second one is not taken.
        let _taken = self.shared.faces.set(faces);
        self
    }

    /// Lets all devices' own invocation counters go on from `from` at least: for a fleet that is started again while its
    /// head-ends remember what they heard before.
    pub fn counters_from(&mut self, from: u32) {
        for hub in &mut self.hubs {
            hub.installation.counters_from(from);
        }
    }

    /// How many installations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hubs.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hubs.is_empty()
    }

    /// Runs every hub until cancelled or until the WAN is gone. The hubs are then gone as if switched off.
    ///
    /// It always empties its link: what a hub has no room for is dropped, and the hub gives its connection up.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            mut receiver,
            hubs,
            mut inboxes,
            world,
            shared,
            known,
            mut orders,
        } = self;
        let mut tasks = JoinSet::new();
        for hub in hubs {
            tasks.spawn(hub.run());
        }
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                envelope = receiver.recv() => match envelope {
                    Some(envelope) => route(&inboxes, &envelope),
                    None => break,
                },
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a hub's task ended: its installation is lost");
                    }
                }
                Some(order) = orders.recv() => match order {
                    Order::Add(sites, counters_from, answer) => {
                        let added = add(&world, &shared, &known, sites, counters_from);
                        let answered = added.map(|hubs| {
                            for (hub, inbox) in hubs {
                                inboxes.insert(hub.eui(), inbox);
                                tasks.spawn(hub.run());
                            }
                        });
                        // Whoever asked may have gone.
                        let _ = answer.send(answered);
                    }
                    Order::Remove(hub, answer) => {
                        known.remove(hub);
                        let inbox = inboxes.remove(&hub);
                        let left = inbox.is_some_and(|inbox| inbox.push(Item::Leave));
                        let _ = answer.send(left);
                    }
                },
            }
        }
        tasks.shutdown().await;
    }
}

/// A hub that is not run yet, and where it is to be told things.
type NewHub = (Box<Hub>, Inbox<Item>);

/// Builds the hubs of installations that come, all or none, and makes them known.
fn add(
    world: &World,
    shared: &Arc<Shared>,
    known: &Known,
    sites: Vec<Site>,
    counters_from: u32,
) -> Result<Vec<NewHub>, FleetError> {
    let mut hubs = Vec::with_capacity(sites.len());
    for site in &sites {
        let kit = Arc::new(kit(site, &shared.catalogue)?);
        let (mut hub, inbox) = hub_of(world, shared, kit, site);
        hub.installation.counters_from(counters_from);
        // Whatever the journal has of a hub of this identity is about another installation.
        hub.note(true);
        hubs.push((hub, inbox));
    }
    for (site, (_, inbox)) in sites.into_iter().zip(&hubs) {
        known.insert(site, inbox.clone());
    }
    Ok(hubs)
}

/// The hub of an installation that is new at this moment.
fn hub_of(world: &World, shared: &Arc<Shared>, kit: Arc<Kit>, site: &Site) -> NewHub {
    let now = world.clock.now();
    let inbox = Inbox::new();
    let config = config_of(site, world, fitted_at(now));
    let mut installation = Installation::new(&config, &context(shared, &kit, now));
    if site.has_fault(SiteFault::MainsOff) {
        installation.cut_power(&context(shared, &kit, now));
    }
    let conditions = Conditions {
        dormant: !site.active(DeviceKind::Chf),
        no_coverage: site.has_fault(SiteFault::NoCoverage),
    };
    let hub = Hub::new(
        Arc::clone(shared),
        kit,
        installation,
        inbox.clone(),
        site.hub(),
        config.installed_at,
        conditions,
    );
    (hub, inbox)
}

/// Hands one message of the WAN to its hub.
fn route(inboxes: &BTreeMap<Eui64, Inbox<Item>>, envelope: &Envelope) {
    let trace_id = envelope.trace_id.clone();
    let body = envelope.body.clone();
    let item = match envelope.kind() {
        Kind::WanSms => WanSms::decode(body)
            .map(|sms| {
                (
                    sms.hub,
                    Item::Sms {
                        trace_id,
                        payload: sms.payload,
                    },
                )
            })
            .ok(),
        Kind::WanData => WanData::decode(body)
            .map(|data| {
                (
                    data.hub,
                    Item::Data {
                        session: data.session,
                        head_end: data.head_end,
                        trace_id,
                        payload: data.payload,
                    },
                )
            })
            .ok(),
        Kind::WanClose => WanClose::decode(body)
            .map(|close| {
                (
                    close.hub,
                    Item::Close {
                        session: close.session,
                        reason: close.reason,
                    },
                )
            })
            .ok(),
        _ => None,
    };
    let Some((hub, item)) = item else {
        tracing::warn!(kind = envelope.kind, "no message for a hub");
        return;
    };
    match inboxes.get(&Eui64(hub)) {
        // A full inbox shows at the hub as an overrun.
        Some(inbox) => {
            inbox.push(item);
        }
        None => tracing::debug!(hub = %Eui64(hub), "no such hub"),
    }
}

fn kit(site: &Site, catalogue: &Catalogue) -> Result<Kit, FleetError> {
    let find = |id: &ProfileId, expected: DeviceKind| -> Result<Arc<DeviceProfile>, FleetError> {
        let name = id.to_string();
        let profile = catalogue.find(&name).map_err(|hint| FleetError::UnknownProfile {
            template: site.template().name.clone(),
            profile: name.clone(),
            hint,
        })?;
        if profile.kind == expected {
            return Ok(Arc::clone(profile));
        }
        Err(FleetError::WrongKind {
            template: site.template().name.clone(),
            profile: name,
            expected,
            found: profile.kind,
        })
    };
    let dmc = site.dmc();
    let gas = match (&dmc.gpf, &dmc.gsme) {
        (Some(gpf), Some(gsme)) => Some((find(gpf, DeviceKind::Gpf)?, find(gsme, DeviceKind::Gsme)?)),
        _ => None,
    };
    let display = |id: &Option<ProfileId>, kind| id.as_ref().map(|id| find(id, kind)).transpose();
    Ok(Kit {
        chf: find(&dmc.chf, DeviceKind::Chf)?,
        esme: find(&dmc.esme, DeviceKind::Esme)?,
        gas,
        ppmid: display(&dmc.ppmid, DeviceKind::Ppmid)?,
        ihd: display(&dmc.ihd, DeviceKind::Ihd)?,
        party: if site.enrolled() { Party::S1sp } else { Party::Smso },
        head_end: site.head_end().to_owned(),
        changed: Vec::new(),
    })
}

/// When the meters of a new installation were fitted: no log reaches further back, and 13 months should be readable in
/// any lab.
fn fitted_at(now: SimInstant) -> SimInstant {
    const USUAL: SimInstant = SimInstant(1_483_228_800_000); // 2017-01-01T00:00:00Z
    USUAL.min(now - SimDuration::from_days(400))
}

fn config_of(site: &Site, world: &World, installed_at: SimInstant) -> InstallationConfig {
    let payment_mode = site.payment_mode();
    let seed = site.seed(&world.seed);
    let esme = site.device(DeviceKind::Esme).unwrap_or_default();
    let draw = |index, limit: u64| u32::try_from(mix(seed.number(), index) % limit).unwrap_or(0);
    let mut config = InstallationConfig::new(site.hub(), esme, site.mpan(), seed);
    config.gas = site.device(DeviceKind::Gpf).zip(site.device(DeviceKind::Gsme));
    config.mprn = site.mprn();
    config.ppmid = site.device(DeviceKind::Ppmid);
    config.ihd = site.device(DeviceKind::Ihd);
    config.second_element = site.second_element();
    config.payment_mode = payment_mode;
    config.gas_payment_mode = payment_mode;
    config.enrolled = site.enrolled();
    config.installed_at = installed_at;
    config.start_import_wh = draw(1, 20_000_000);
    config.start_gas_litres = draw(2, 5_000_000);
    config
}
