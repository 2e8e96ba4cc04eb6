//! What hubs share: with all of their fleet, and with those that have the same devices.

use std::sync::{Arc, OnceLock};

use dialects::external::Attached;
use dmc::{Catalogue, DeviceProfile};
use domain::keys::Party;
use domain::operation::CriticalOperations;
use domain::{DeviceKind, ProfileId, SimInstant};
use meter::{Context, Profiles, Relations};
use world::{Clock, LinkSender};

use crate::journal::Journal;

/// What all hubs of a fleet share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) wan: LinkSender,
    pub(crate) relations: Relations,
    pub(crate) critical: CriticalOperations,
    /// What devices may become when their firmware changes.
    pub(crate) catalogue: Catalogue,
    /// Where the hubs' durable state goes; a fleet without one is born again with every start.
    pub(crate) journal: OnceLock<Journal>,
    /// Where programs that provide faces are attached.
    pub(crate) faces: OnceLock<Arc<dyn Attached>>,
}

/// What all hubs of a template share; a hub with a device of another firmware has a kit of its own.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) chf: Arc<DeviceProfile>,
    pub(crate) esme: Arc<DeviceProfile>,
    pub(crate) gas: Option<(Arc<DeviceProfile>, Arc<DeviceProfile>)>,
    pub(crate) ppmid: Option<Arc<DeviceProfile>>,
    pub(crate) ihd: Option<Arc<DeviceProfile>>,
    /// Operator at the start, and the name of its head-end.
    pub(crate) party: Party,
    pub(crate) head_end: String,
    /// Devices that have another firmware than they were fitted with.
    pub(crate) changed: Vec<(DeviceKind, ProfileId)>,
}

impl Kit {
    /// The profile of the device in a slot.
    pub(crate) fn profile(&self, slot: DeviceKind) -> Option<&Arc<DeviceProfile>> {
        match slot {
            DeviceKind::Chf => Some(&self.chf),
            DeviceKind::Esme => Some(&self.esme),
            DeviceKind::Gpf => self.gas.as_ref().map(|(gpf, _)| gpf),
            DeviceKind::Gsme => self.gas.as_ref().map(|(_, gsme)| gsme),
            DeviceKind::Ppmid => self.ppmid.as_ref(),
            DeviceKind::Ihd => self.ihd.as_ref(),
            DeviceKind::Cad => None,
        }
    }

    /// This kit once the device in `slot` has become `profile`; `None` where no file describes that, or it is another kind
    /// of device. A gas proxy goes with its hub where there is a profile of the same firmware for it (ours).
    pub(crate) fn with(&self, catalogue: &Catalogue, slot: DeviceKind, profile: &ProfileId) -> Option<Self> {
        let new = catalogue.profile(profile).filter(|new| new.kind == slot)?;
        let mut kit = self.clone();
        let place = match (slot, &mut kit.gas) {
            (DeviceKind::Chf, _) => &mut kit.chf,
            (DeviceKind::Esme, _) => &mut kit.esme,
            (DeviceKind::Gpf, Some((gpf, _))) => gpf,
            (DeviceKind::Gsme, Some((_, gsme))) => gsme,
            (DeviceKind::Ppmid, _) => kit.ppmid.as_mut()?,
            _ => return None,
        };
        *place = Arc::clone(new);
        kit.changed.retain(|(changed, _)| *changed != slot);
        kit.changed.push((slot, profile.clone()));
        let proxy = self.profile(DeviceKind::Gpf).map(|gpf| ProfileId {
            model: gpf.id.model.clone(),
            firmware: profile.firmware.clone(),
        });
        let proxy = proxy.filter(|_| slot == DeviceKind::Chf);
        let with_proxy = proxy.and_then(|proxy| kit.with(catalogue, DeviceKind::Gpf, &proxy));
        Some(with_proxy.unwrap_or(kit))
    }
}

/// What every call of an installation is given.
pub(crate) fn context<'a>(shared: &'a Shared, kit: &'a Kit, now: SimInstant) -> Context<'a> {
    let gas = kit.gas.as_ref();
    let profiles = Profiles {
        chf: &kit.chf.meter,
        esme: &kit.esme.meter,
        gpf: gas.map(|(gpf, _)| &gpf.meter),
        gsme: gas.map(|(_, gsme)| &gsme.meter),
        ppmid: kit.ppmid.as_ref().map(|ppmid| &ppmid.meter),
        ihd: kit.ihd.as_ref().map(|ihd| &ihd.meter),
    };
    Context {
        now,
        profiles,
        relations: &shared.relations,
        critical: &shared.critical,
    }
}
