//! The fleet: builds the hubs of an estate, owns their tasks and hands them what comes over the WAN.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmc::{Catalogue, DeviceProfile};
use domain::keys::Party;
use domain::operation::CriticalOperations;
use domain::seed::mix;
use domain::{DeviceKind, Eui64, ProfileId, SimDuration, SimInstant};
use meter::{Context, Installation, InstallationConfig, Profiles, Relations};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanSms};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, LinkReceiver, World, worlds};

use crate::estate::{Estate, Site, Template};
use crate::handle::{Directory, Handle};
use crate::hub::{Hub, Item, Kit, Shared};
use crate::inbox::Inbox;

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
    inboxes: Arc<BTreeMap<Eui64, Inbox<Item>>>,
}

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
        });
        let mut kits = BTreeMap::new();
        for template in estate.templates() {
            kits.insert(template.number, Arc::new(kit(template, catalogue)?));
        }
        let now = world.clock.now();
        let mut hubs = Vec::new();
        let mut inboxes = BTreeMap::new();
        let mut sites = BTreeMap::new();
        for site in estate.sites().filter(|site| share.holds(site.hub())) {
            let Some(kit) = kits.get(&site.template().number) else {
                continue;
            };
            let inbox = Inbox::new();
            inboxes.insert(site.hub(), inbox.clone());
            let installation = install(&site, kit, &shared, world, now);
            hubs.push(Hub::new(
                Arc::clone(&shared),
                Arc::clone(kit),
                installation,
                inbox,
                site.hub(),
            ));
            sites.insert(site.hub(), site);
        }
        let inboxes = Arc::new(inboxes);
        let handle = Handle::new(Directory::new(sites), Arc::clone(&inboxes), world.clock.clone());
        Ok((
            Self {
                receiver,
                hubs,
                inboxes,
            },
            handle,
        ))
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
            inboxes,
        } = self;
        let mut tasks = JoinSet::new();
        for hub in hubs {
            tasks.spawn(hub.run());
        }
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                envelope = receiver.recv() => match envelope {
                    Some(envelope) => route(&inboxes, &envelope),
                    None => break,
                },
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a hub's task ended: its installation is lost");
                    }
                }
            }
        }
        tasks.shutdown().await;
    }
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

fn kit(template: &Template, catalogue: &Catalogue) -> Result<Kit, FleetError> {
    let find = |id: &ProfileId, expected: DeviceKind| -> Result<Arc<DeviceProfile>, FleetError> {
        let name = id.to_string();
        let profile = catalogue.find(&name).map_err(|hint| FleetError::UnknownProfile {
            template: template.name.clone(),
            profile: name.clone(),
            hint,
        })?;
        if profile.kind == expected {
            return Ok(Arc::clone(profile));
        }
        Err(FleetError::WrongKind {
            template: template.name.clone(),
            profile: name,
            expected,
            found: profile.kind,
        })
    };
    let gas = match (&template.dmc.gpf, &template.dmc.gsme) {
        (Some(gpf), Some(gsme)) => Some((find(gpf, DeviceKind::Gpf)?, find(gsme, DeviceKind::Gsme)?)),
        _ => None,
    };
    Ok(Kit {
        chf: find(&template.dmc.chf, DeviceKind::Chf)?,
        esme: find(&template.dmc.esme, DeviceKind::Esme)?,
        gas,
        party: if template.enrolled { Party::S1sp } else { Party::Smso },
        head_end: template.head_end.clone(),
    })
}

fn install(site: &Site, kit: &Kit, shared: &Shared, world: &World, now: SimInstant) -> Installation {
    let template = site.template();
    let seed = site.seed(&world.seed);
    let esme = site.device(DeviceKind::Esme).unwrap_or_default();
    let mut config = InstallationConfig::new(site.hub(), esme, site.mpan(), seed);
    config.gas = site.device(DeviceKind::Gpf).zip(site.device(DeviceKind::Gsme));
    config.mprn = site.mprn();
    config.second_element = template.second_element;
    config.payment_mode = template.payment_mode;
    config.gas_payment_mode = template.payment_mode;
    config.enrolled = template.enrolled;
    // No log reaches further back than the fitting, and 13 months should be readable in any lab.
    config.installed_at = config.installed_at.min(now - SimDuration::from_days(400));
    let draw = |index, limit: u64| u32::try_from(mix(seed.number(), index) % limit).unwrap_or(0);
    config.start_import_wh = draw(1, 20_000_000);
    config.start_gas_litres = draw(2, 5_000_000);
    let gas = kit.gas.as_ref();
    let profiles = Profiles {
        chf: &kit.chf.meter,
        esme: &kit.esme.meter,
        gpf: gas.map(|(gpf, _)| &gpf.meter),
        gsme: gas.map(|(_, gsme)| &gsme.meter),
    };
    Installation::new(
        &config,
        &Context {
            now,
            profiles,
            relations: &shared.relations,
            critical: &shared.critical,
        },
    )
}
