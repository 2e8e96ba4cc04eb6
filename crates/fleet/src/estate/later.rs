//! What changes about an estate while a lab runs: installations that come or go, and what is wrong with them.
//!
//! An estate is a value: each change gives another one, whole, or an error and nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use dmc::Table;
use domain::{DeviceKind, Eui64, Mpxn};

use super::list::{self, Csv, DEVICE_COLUMNS, NEEDED};
use super::{COUNT_MAX, Estate, EstateError, Site, SiteFault, Surroundings};

/// What is other than the estate file says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Later {
    /// Hubs of the file's installations that are there no longer.
    gone: BTreeSet<Eui64>,
    /// Installations that came, in their order.
    came: Vec<Site>,
    /// Bits of [`SiteFault`] by hub.
    faults: BTreeMap<Eui64, u8>,
}

/// Number of the templates of installations that came later: no file has it.
pub(super) const LATER: u8 = 0;

impl Later {
    pub(super) fn is_gone(&self, hub: Eui64) -> bool {
        !self.gone.is_empty() && self.gone.contains(&hub)
    }

    pub(super) fn came(&self) -> &[Site] {
        &self.came
    }

    pub(super) fn gone(&self) -> usize {
        self.gone.len()
    }

    /// An installation with what is wrong with it now.
    pub(super) fn now(&self, site: Site) -> Site {
        if self.faults.is_empty() {
            return site;
        }
        match self.faults.get(&site.hub()) {
            Some(bits) => site.with_faults(*bits),
            None => site,
        }
    }
}

impl Estate {
    /// The installation behind a hub.
    #[must_use]
    pub fn site(&self, hub: Eui64) -> Option<Site> {
        self.sites().find(|site| site.hub() == hub)
    }

    /// The installation that a device belongs to.
    #[must_use]
    pub fn site_of(&self, device: Eui64) -> Option<Site> {
        self.sites().find(|site| site.slot_of(device).is_some())
    }

    /// This estate with the installations of a table as well: the columns of [`Estate::from_tables`]. Without a table of
    /// registration data their metering points are registered and their addresses are not known. Gives the new ones too.
    ///
    /// # Errors
    /// As [`Estate::from_tables`], and for a device or metering point that the estate has already, with its line.
    pub fn with_added(
        &self,
        devices: Csv<'_>,
        registration: Option<Csv<'_>>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(Self, Vec<Site>), EstateError> {
        self.has_none_of(devices)?;
        let made = match registration {
            Some(_) => String::new(),
            None => registered(devices)?,
        };
        let registration = registration.unwrap_or(Csv {
            file: devices.file,
            text: &made,
        });
        let templates = list::read(devices, registration, surroundings, 1)?;
        let added: Vec<Site> = templates
            .into_iter()
            .flat_map(|mut template| {
                Arc::make_mut(&mut template).number = LATER;
                (0..template.count).map(move |position| Site::new(Arc::clone(&template), position))
            })
            .collect();
        if added.is_empty() {
            return Err(whole(devices.file, "there is no device in it".to_owned()));
        }
        if self.later.came.len() + added.len() > COUNT_MAX as usize {
            return Err(whole(
                devices.file,
                format!("more than {COUNT_MAX} installations came later"),
            ));
        }
        let mut estate = self.clone();
        estate.later.came.extend(added.iter().cloned());
        Ok((estate, added))
    }

    /// This estate without the installation behind `hub`; `None` where there is none.
    #[must_use]
    pub fn without(&self, hub: Eui64) -> Option<Self> {
        self.site(hub)?;
        let mut estate = self.clone();
        estate.later.faults.remove(&hub);
        match estate.later.came.iter().position(|site| site.hub() == hub) {
            Some(at) => {
                estate.later.came.remove(at);
            }
            None => {
                estate.later.gone.insert(hub);
            }
        }
        Some(estate)
    }

    /// This estate with other faults of the installation behind `hub`; `None` where there is none.
    #[must_use]
    pub fn with_faults(&self, hub: Eui64, faults: &[SiteFault]) -> Option<Self> {
        self.site(hub)?;
        let mut estate = self.clone();
        let bits = faults.iter().fold(0, |bits, fault| bits | fault.bit());
        estate.later.faults.insert(hub, bits);
        Some(estate)
    }

    /// No device and no metering point of the table is in the estate already.
    fn has_none_of(&self, devices: Csv<'_>) -> Result<(), EstateError> {
        let table = Table::read(devices.file, devices.text, &NEEDED, &DEVICE_COLUMNS)?;
        let mut known = BTreeMap::new();
        for site in self.sites() {
            for device in site.devices() {
                known.insert(device.device.to_string(), device.hub);
                if let Some(point) = device.mpxn {
                    known.insert(point.to_string(), device.hub);
                }
            }
        }
        for row in table.rows() {
            let device: Eui64 = row.parse("device")?;
            if let Some(hub) = known.get(&device.to_string()) {
                return Err(EstateError {
                    hint: Some(format!("remove the installation first: s1lab device remove {hub}")),
                    ..row
                        .error(format!("device {device} is in the estate already, behind hub {hub}"))
                        .into()
                });
            }
            let kind: DeviceKind = row.parse("kind")?;
            if !matches!(kind, DeviceKind::Esme | DeviceKind::Gpf | DeviceKind::Gsme) {
                continue;
            }
            let point: Mpxn = row.parse("mpxn")?;
            if let Some(hub) = known.get(&point.to_string()) {
                return Err(EstateError {
                    hint: Some(format!("remove the installation first: s1lab device remove {hub}")),
                    ..row
                        .error(format!(
                            "metering point {point} is in the estate already, behind hub {hub}"
                        ))
                        .into()
                });
            }
        }
        Ok(())
    }
}

/// Registration data for the metering points of a table of devices: that they are there, and nothing more.
fn registered(devices: Csv<'_>) -> Result<String, EstateError> {
    let table = Table::read(devices.file, devices.text, &NEEDED, &DEVICE_COLUMNS)?;
    let mut points = BTreeMap::new();
    for row in table.rows() {
        let kind: DeviceKind = row.parse("kind")?;
        let fuel = match kind {
            DeviceKind::Esme => "electricity",
            DeviceKind::Gsme => "gas",
            _ => continue,
        };
        let point: Mpxn = row.parse("mpxn")?;
        let same_fuel = matches!(point, Mpxn::Mpan(_)) == (kind == DeviceKind::Esme);
        if same_fuel {
            points.insert(point.to_string(), fuel);
        }
    }
    let mut csv = "mpxn,fuel,smets_version\n".to_owned();
    for (point, fuel) in points {
        // Writing to a String does not fail.
        let _ = writeln!(csv, "{point},{fuel},S1");
    }
    Ok(csv)
}

fn whole(file: &str, problem: String) -> EstateError {
    EstateError {
        file: file.to_owned(),
        line: 0,
        problem,
        hint: None,
    }
}
