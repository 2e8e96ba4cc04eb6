//! One installation and the keys to it, for benchmarks below the chain.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use dialects::FaceProfile;
use dmc::{Catalogue, DeviceProfile};
use domain::keys::{DeviceKey, Purpose, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{DeviceKind, Eui64, Seed, SimDuration, SimInstant};
use fleet::line::Custody;
use fleet::{Estate, Face, Site};
use meter::{Context, Installation, InstallationConfig, Profiles, Relations};

/// A home with electricity and gas, enrolled.
pub(crate) struct House {
    pub(crate) installation: Installation,
    pub(crate) site: Site,
    pub(crate) now: SimInstant,
    profiles: [Arc<DeviceProfile>; 4],
    relations: Relations,
    critical: CriticalOperations,
}

impl House {
    pub(crate) fn new() -> Result<Self> {
        let estate = Estate::builtin("sit")?;
        let catalogue = Catalogue::builtin()?;
        let site = estate.sites().next().context("the estate has an installation")?;
        let profile = |kind| {
            let id = site.profile(kind).context("the installation has gas")?;
            catalogue.profile(id).cloned().context("the estate's profile is known")
        };
        use DeviceKind::{Chf, Esme, Gpf, Gsme};
        let profiles = [profile(Chf)?, profile(Esme)?, profile(Gpf)?, profile(Gsme)?];
        let secret = |octet| RelationSecret::new([octet; 32]);
        let relations = Relations {
            smso: secret(1),
            s1sp: secret(2),
            dco: secret(3),
        };
        let critical = steps::critical_operations();
        let now = SimInstant::from_utc(2020, 6, 1, 9, 17, 0).context("a date")?;
        let esme = site.device(Esme).context("a meter")?;
        let mut config = InstallationConfig::new(site.hub(), esme, site.mpan(), Seed::root(1));
        config.gas = site.device(Gpf).zip(site.device(Gsme));
        config.mprn = site.mprn();
        config.enrolled = true;
        config.installed_at = now - SimDuration::from_days(400);
        let installation = Installation::new(&config, &context_of(&profiles, &relations, &critical, now));
        Ok(Self {
            installation,
            site,
            now,
            profiles,
            relations,
            critical,
        })
    }

    /// The installation as the family's face sees it.
    pub(crate) fn face(&mut self) -> Face<'_> {
        let context = context_of(&self.profiles, &self.relations, &self.critical, self.now);
        Face::new((&mut self.installation, context))
    }

    pub(crate) fn face_profile(&self) -> &FaceProfile {
        &self.profiles[0].face
    }

    pub(crate) fn device(&self, slot: DeviceKind) -> Eui64 {
        self.site.device(slot).unwrap_or_default()
    }

    /// The S1SP's key for a device.
    pub(crate) fn key(&self, slot: DeviceKind, purpose: Purpose) -> DeviceKey {
        self.relations.s1sp.device_key(self.device(slot), 1, purpose)
    }

    /// The DCO's key for a device.
    pub(crate) fn dco_key(&self, slot: DeviceKind, purpose: Purpose) -> DeviceKey {
        self.relations.dco.device_key(self.device(slot), 1, purpose)
    }

    /// Its operator's keys, for one session.
    pub(crate) fn custody(&self) -> Custody {
        Custody::new(self.relations.s1sp.clone(), 1)
    }
}

fn context_of<'a>(
    [chf, esme, gpf, gsme]: &'a [Arc<DeviceProfile>; 4],
    relations: &'a Relations,
    critical: &'a CriticalOperations,
    now: SimInstant,
) -> Context<'a> {
    let profiles = Profiles {
        chf: &chf.meter,
        esme: &esme.meter,
        gpf: Some(&gpf.meter),
        gsme: Some(&gsme.meter),
        ppmid: None,
        ihd: None,
    };
    Context {
        now,
        profiles,
        relations,
        critical,
    }
}
