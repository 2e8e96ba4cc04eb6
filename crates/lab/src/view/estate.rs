//! Installations of a running lab that come, go or change: by whoever owns the lab.
//!
//! A change is checked as a whole, written to the lab's journal, and then made at every role: the fleet, the head-ends of
//! SMSO and S1SP, and the DCC's inventory and Registration Data.

use domain::operation::PaymentMode;
use domain::{DeviceKind, Eui64, SimInstant, UserRole};
use fleet::{DeviceChange, Site, SiteFault};
use proto::v1::{DeviceEntry, PatchDeviceRequest};

use super::{LabHandle, ViewError, entry, parse};
use crate::chain::counter_floor;
use crate::live::Tables;
use crate::parts::Parts;
use crate::registration;

impl LabHandle {
    /// Installations come, all that the tables have or none. Gives their devices.
    ///
    /// What is enrolled is in service at once: in the inventory, with the certificates of the users registered for it, and
    /// known to the S1SP; the rest is known to the SMSO.
    ///
    /// # Errors
    /// [`ViewError::Estate`] with file, line and remedy, [`ViewError::FleetElsewhere`].
    pub async fn add_devices(&self, tables: Tables) -> Result<Vec<DeviceEntry>, ViewError> {
        let _one_at_a_time = self.0.changing.lock().await;
        let (parts, now) = (&self.0.parts, self.0.world.clock.now());
        let (fleet, dcc) = (self.fleet()?, self.dcc()?);
        let (change, sites) = parts.live.adding(tables, &parts.catalogue, &parts.config, &parts.pki)?;
        parts.live.keep(change)?;
        let directory = parts.live.directory();
        let points: Vec<_> = sites
            .iter()
            .flat_map(Site::devices)
            .filter_map(|device| device.mpxn)
            .collect();
        let registrations = directory
            .registrations()
            .iter()
            .filter(|one| points.contains(&one.mpxn));
        dcc.fit(dcc::Fitted {
            devices: sites.iter().flat_map(|site| parts.inventory_of(site, now)).collect(),
            credentials: registration::records_of(parts, &sites, now)?,
            registrations: registrations.copied().collect(),
            properties: sites.iter().flat_map(registration::located).collect(),
        })
        .await?;
        for site in &sites {
            self.roles(|roles| {
                let (smso, files) = &roles.smso;
                let directory = if site.enrolled() { &roles.s1sp } else { smso };
                directory.insert(parts.known_to_head_end(site));
                Parts::put_on_file(files, site);
            });
        }
        let entries = sites
            .iter()
            .flat_map(Site::devices)
            .map(|device| entry(&device))
            .collect();
        fleet.add(sites, counter_floor(now, parts.config.clock.start)).await?;
        Ok(entries)
    }

    /// The installation behind a hub goes, and everybody forgets it. Gives the devices it had.
    ///
    /// # Errors
    /// [`ViewError::NotFound`], [`ViewError::FleetElsewhere`]; [`ViewError::BadQuestion`] for a device that is no hub.
    pub async fn remove_device(&self, device: &str) -> Result<Vec<DeviceEntry>, ViewError> {
        let _one_at_a_time = self.0.changing.lock().await;
        let (fleet, dcc) = (self.fleet()?, self.dcc()?);
        let (id, site) = self.installation_of(device)?;
        if site.hub() != id {
            let slot = site.slot_of(id).map_or("device", DeviceKind::as_str);
            return Err(ViewError::BadQuestion(format!(
                "{id} is the {slot} of an installation, which goes as a whole\nhint: s1lab device remove {}",
                site.hub()
            )));
        }
        let live = &self.0.parts.live;
        let change = live.removing(id).ok_or_else(|| not_found(id))?;
        live.keep(change)?;
        let devices = site.devices();
        let ids: Vec<Eui64> = devices.iter().map(|device| device.device).collect();
        self.roles(|roles| {
            let (smso, files) = &roles.smso;
            smso.remove(id);
            files.remove(id, &ids);
            roles.s1sp.remove(id);
        });
        fleet.remove(id).await?;
        dcc.take_away(ids).await?;
        Ok(devices.iter().map(entry).collect())
    }

    /// Changes a device or its installation, all that is asked or nothing. Gives the device as it is then.
    ///
    /// # Errors
    /// [`ViewError`], with a remedy where there is one.
    pub async fn patch_device(&self, request: PatchDeviceRequest) -> Result<DeviceEntry, ViewError> {
        let _one_at_a_time = self.0.changing.lock().await;
        let (fleet, dcc) = (self.fleet()?, self.dcc()?);
        let (id, site) = self.installation_of(&request.device)?;
        let patch = self.patch(&site, id, &request)?;
        fleet.may_change(id, &patch.change).await?;
        let live = &self.0.parts.live;
        let faults = patch.change.faults.as_deref();
        if faults.is_some() || !patch.registrations.is_empty() {
            let change = live.patching(site.hub(), faults, patch.registrations.clone());
            live.keep(change.ok_or_else(|| not_found(site.hub()))?)?;
        }
        fleet.change(id, patch.change).await?;
        if let Some(site) = live.estate().site(site.hub()) {
            self.roles(|roles| Parts::put_on_file(&roles.smso.1, &site));
        }
        if !patch.registrations.is_empty() {
            dcc.fit(dcc::Fitted {
                registrations: patch.registrations,
                ..dcc::Fitted::default()
            })
            .await?;
        }
        Ok(entry(&fleet.status(id).await?.device))
    }

    /// What is asked, once every word of it means something.
    fn patch(&self, site: &Site, device: Eui64, request: &PatchDeviceRequest) -> Result<Patch, ViewError> {
        let bad = |problem: String| ViewError::BadQuestion(problem);
        let mut patch = Patch::default();
        if let Some(name) = &request.profile {
            let found = self.0.parts.catalogue.find(name.trim()).map_err(|near| {
                let hint = near
                    .map(|near| format!("\nhint: did you mean {near}?"))
                    .unwrap_or_default();
                bad(format!("there is no device profile {name}{hint}"))
            })?;
            patch.change.profile = Some(found.id.clone());
        }
        if let Some(word) = &request.payment_mode {
            patch.change.payment_mode = Some(match word.trim() {
                "credit" => PaymentMode::Credit,
                "prepayment" => PaymentMode::Prepayment,
                other => return Err(bad(format!("expected credit or prepayment, found {other:?}"))),
            });
        }
        if let Some(faults) = &request.faults {
            let known = |name: &String| {
                let found = SiteFault::ALL.into_iter().find(|fault| fault.as_str() == name.trim());
                found.ok_or_else(|| {
                    let all = SiteFault::ALL.map(SiteFault::as_str).join(", ");
                    bad(format!("there is no fault {name:?}\nhint: there are {all}"))
                })
            };
            patch.change.faults = Some(faults.names.iter().map(known).collect::<Result<_, _>>()?);
        }
        if let Some(user) = &request.supplier {
            patch.registrations.push(self.supplier(site, device, user)?);
        }
        if patch == Patch::default() {
            let what = "profile, payment mode, supplier, faults";
            return Err(bad(format!("nothing to change was named: {what}")));
        }
        Ok(patch)
    }

    /// The registration of a user as supplier at the metering point of a device, from now on.
    fn supplier(&self, site: &Site, device: Eui64, user: &str) -> Result<dcc::Registration, ViewError> {
        let bad = |problem: String| ViewError::BadQuestion(problem);
        let own = site.devices().into_iter().find(|own| own.device == device);
        let role = match own.as_ref().map(|own| own.kind) {
            Some(DeviceKind::Esme) => UserRole::ImportSupplier,
            Some(DeviceKind::Gpf | DeviceKind::Gsme) => UserRole::GasSupplier,
            _ => {
                return Err(bad(format!(
                    "{device} has no metering point to be supplier of\nhint: name the electricity or the gas meter"
                )));
            }
        };
        let mpxn = own.and_then(|own| own.mpxn).ok_or_else(|| not_found(device))?;
        let eui = self.user(user)?;
        let directory = self.0.parts.live.directory();
        if !directory.user(eui).is_some_and(|user| user.roles.contains(&role)) {
            return Err(bad(format!(
                "user {eui} has not the role {role}: it cannot supply {mpxn}"
            )));
        }
        let SimInstant(now) = self.0.world.clock.now();
        Ok(dcc::Registration {
            mpxn,
            role,
            user: eui,
            from: Some(SimInstant(now)),
            until: None,
        })
    }

    fn installation_of(&self, device: &str) -> Result<(Eui64, Site), ViewError> {
        let id: Eui64 = parse(device)?;
        let site = self.0.parts.live.estate().site_of(id);
        site.map(|site| (id, site)).ok_or_else(|| not_found(id))
    }
}

/// What is changed at the fleet, and in the Registration Data.
#[derive(PartialEq, Default)]
struct Patch {
    change: DeviceChange,
    registrations: Vec<dcc::Registration>,
}

fn not_found(device: Eui64) -> ViewError {
    ViewError::NotFound {
        what: "device",
        id: device.to_string(),
    }
}
