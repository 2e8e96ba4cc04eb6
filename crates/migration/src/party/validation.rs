//! The commissioning party's checks, group by group in the order of the settings: pure, over the record and what was seen
//! of the world around the installation.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::{DataItem, DeviceKind, Eui64, Mpxn, SimInstant};
use jiff::civil::Date;
use proto::{Condition, DeviceRecord, InstallationRecord, MeteringPoint};

use crate::day::day_of;
use crate::planning::authorisation::Fuel;
use crate::planning::gates::{Combination, ListedModel, Lists};
use crate::settings::{Check, CohortSlug, Settings};

/// Who answers the commissioning party's questions about the world.
pub trait Surroundings: Send + Sync {
    /// Looks at what surrounds an installation. By default nothing is looked at.
    fn look<'a>(
        &'a self,
        _record: &'a InstallationRecord,
        _now: SimInstant,
    ) -> Pin<Box<dyn Future<Output = Sight> + Send + 'a>> {
        Box::pin(async { Sight::default() })
    }
}

/// What was seen around one installation. What was not looked at is taken as good; what the record itself must say is not.
#[derive(Clone, Default)]
pub struct Sight {
    /// Status in the inventory, in the words of DUIS, of those of its devices that are in it; none: not looked at.
    pub inventory: Option<BTreeMap<Eui64, String>>,
    /// Registration of those of its points that have one; none: not looked at.
    pub registration: Option<BTreeMap<Mpxn, Registered>>,
    /// EPCL and CPL.
    pub lists: Option<Arc<dyn Lists + Send + Sync>>,
    /// The category that excludes it.
    pub excluded: Option<String>,
    /// Organisations whose certificates are revoked or out of date.
    pub uncertified: BTreeSet<Eui64>,
}

/// Registration of one metering point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The supplier of record.
    pub supplier: Eui64,
    /// The next change: to whom, on which day.
    pub next: Option<(Eui64, Date)>,
}

/// Status of devices that are still, or again, nobody's: they may be announced.
const NOT_LIVE: [&str; 3] = ["Decommissioned", "Pending", "Withdrawn"];

/// Makes the checks on one record. Every check of a group is made; after the first group with a failure the rest are not.
/// The checks of files (envelope, signature, digest, replay) are made by whoever reads the set.
#[must_use]
pub fn validate(record: &InstallationRecord, settings: &Settings, sight: &Sight, now: SimInstant) -> Vec<Condition> {
    let judge = Judge {
        record,
        settings,
        sight,
        now,
    };
    for group in &settings.validation {
        let found: Vec<Condition> = group
            .checks
            .iter()
            .filter_map(|check| judge.check(*check))
            .map(|(kind, device, detail)| Condition {
                kind: kind.to_owned(),
                installation_id: record.installation_id.clone(),
                device,
                detail,
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// A condition, the device it is about (0: none), and words.
type Finding = (&'static str, u64, String);

struct Judge<'a> {
    record: &'a InstallationRecord,
    settings: &'a Settings,
    sight: &'a Sight,
    now: SimInstant,
}

impl Judge<'_> {
    fn check(&self, check: Check) -> Option<Finding> {
        match check {
            Check::OneHub
            | Check::OneGasProxy
            | Check::HasElectricityMeter
            | Check::KnownDevices
            | Check::UniqueDevices => self.shape(check),
            Check::NotLive => self.not_live(),
            Check::Registered | Check::ResponsibleSupplier | Check::NoChangeOfSupplier | Check::FuelFits => {
                self.registration(check)
            }
            Check::Authorised => self.each_point(|point| {
                let none = point.authorisation.is_empty();
                none.then(|| ("not-authorised", 0, format!("{} has no authorisation", point.mpxn)))
            }),
            Check::Epcl => {
                let (lists, combination) = (self.sight.lists.as_ref()?, self.combination()?);
                let listed = lists.epcl(&combination, day_of(self.now));
                listed
                    .is_none()
                    .then(|| ("not-on-epcl", 0, format!("with {}", combination.esme)))
            }
            Check::Cpl => self.cpl(),
            Check::CommunicationsProvider => {
                let cohort = self.settings.cohort(&CohortSlug::new(&self.record.cohort))?;
                let own = self.record.communications_provider.parse().ok()?;
                let fits = cohort.communications_providers.contains(&own);
                (!fits).then(|| {
                    (
                        "provider-differs",
                        0,
                        format!("{} is not of cohort {}", own.as_str(), cohort.slug),
                    )
                })
            }
            Check::NotExcluded => {
                let category = self.sight.excluded.as_ref()?;
                Some(("excluded", 0, category.clone()))
            }
            Check::CreditMargin => self.credit(),
            Check::SnapshotAge => {
                let taken = SimInstant(self.record.snapshot_ms);
                let old = taken + self.settings.timers.snapshot_max_age() < self.now;
                old.then(|| ("snapshot-old", 0, format!("taken at {taken}")))
            }
            Check::InDate => self.each_point(|point| self.in_date(point)),
            Check::FirmwareUnchanged => self.each_moved(|device| {
                let before = &device.authorised_firmware;
                let changed = !before.is_empty() && *before != device.firmware;
                changed.then(|| ("firmware-differs", format!("{before} became {}", device.firmware)))
            }),
            Check::NoFirmwareUnderWay => self.each_moved(|device| {
                let under_way = device.firmware_under_way;
                under_way.then(|| ("firmware-under-way", "an image is on its way to it".to_owned()))
            }),
            Check::NoOpenTopUp => {
                let open = self.record.open_top_ups;
                (open > 0).then(|| ("top-up-open", 0, format!("{open} not delivered yet")))
            }
            // Made by whoever reads the set.
            Check::Digest | Check::Envelope | Check::Replay | Check::Signature => None,
        }
    }

    fn of_kind(&self, kind: DeviceKind) -> impl Iterator<Item = &DeviceRecord> {
        let devices = self.record.devices.iter();
        devices.filter(move |device| device.kind == kind.as_str())
    }

    /// What the record itself shows.
    fn shape(&self, check: Check) -> Option<Finding> {
        let count = |kind| self.of_kind(kind).count();
        let problem = match check {
            Check::OneHub if count(DeviceKind::Chf) != 1 => "not exactly one hub".to_owned(),
            Check::OneHub if !self.of_kind(DeviceKind::Chf).all(|hub| hub.device == self.record.hub) => {
                "the hub is another's".to_owned()
            }
            Check::OneGasProxy if count(DeviceKind::Gpf) > 1 => "two gas proxies".to_owned(),
            Check::OneGasProxy if count(DeviceKind::Gsme) > 0 && count(DeviceKind::Gpf) == 0 => {
                "a gas meter without a gas proxy".to_owned()
            }
            Check::HasElectricityMeter if count(DeviceKind::Esme) == 0 => "no electricity meter".to_owned(),
            Check::KnownDevices => {
                let mut devices = self.record.devices.iter();
                let strange = devices.find(|device| device.kind.parse::<DeviceKind>().is_err())?;
                format!("a device of kind {:?}", strange.kind)
            }
            Check::UniqueDevices => {
                let mut seen = BTreeSet::new();
                let mut devices = self.record.devices.iter();
                let twice = devices.find(|device| !seen.insert(device.device))?;
                format!("{} stands there twice", Eui64(twice.device))
            }
            _ => return None,
        };
        Some(("shape-wrong", 0, problem))
    }

    fn not_live(&self) -> Option<Finding> {
        let inventory = self.sight.inventory.as_ref()?;
        let mut devices = self.record.devices.iter().filter(|device| device.in_scope);
        devices.find_map(|device| {
            let status = inventory.get(&Eui64(device.device))?;
            let live = !NOT_LIVE.contains(&status.as_str());
            live.then(|| ("already-live", device.device, format!("its SMI status is {status}")))
        })
    }

    fn each_point(&self, check: impl Fn(&MeteringPoint) -> Option<Finding>) -> Option<Finding> {
        self.record.points.iter().find_map(check)
    }

    fn each_moved(&self, check: impl Fn(&DeviceRecord) -> Option<(&'static str, String)>) -> Option<Finding> {
        let mut devices = self.record.devices.iter().filter(|device| device.in_scope);
        devices.find_map(|device| check(device).map(|(kind, detail)| (kind, device.device, detail)))
    }

    /// The days of an authorisation, and the certificates of who gave it. One without days is missing as a whole.
    fn in_date(&self, point: &MeteringPoint) -> Option<Finding> {
        let mpxn = &point.mpxn;
        let supplier = Eui64(point.responsible_supplier);
        if self.sight.uncertified.contains(&supplier) {
            let detail = format!("{mpxn}: the certificates of {supplier} are revoked or out of date");
            return Some(("certificate-not-good", 0, detail));
        }
        let (from, to): (Date, Date) = (point.authorised_from.parse().ok()?, point.authorised_to.parse().ok()?);
        let today = day_of(self.now);
        let in_date = from <= today && today <= to;
        (!in_date).then(|| {
            (
                "out-of-date",
                0,
                format!("{mpxn} is authorised from {from} to {to}, today is {today}"),
            )
        })
    }

    fn registration(&self, check: Check) -> Option<Finding> {
        let registration = self.sight.registration.as_ref()?;
        self.each_point(|point| {
            let mpxn: Mpxn = point.mpxn.parse().ok()?;
            let known = registration.get(&mpxn);
            match check {
                Check::Registered if known.is_none() => {
                    Some(("not-registered", 0, format!("{mpxn} is not registered")))
                }
                Check::FuelFits => {
                    let meter = match Fuel::of(mpxn) {
                        Fuel::Electricity => DeviceKind::Esme,
                        Fuel::Gas => DeviceKind::Gsme,
                    };
                    let none = self.of_kind(meter).next().is_none();
                    none.then(|| ("fuel-differs", 0, format!("{mpxn} without a {meter}")))
                }
                Check::ResponsibleSupplier => {
                    let supplier = known?.supplier;
                    (supplier.0 != point.responsible_supplier)
                        .then(|| ("supplier-differs", 0, format!("{mpxn} is registered to {supplier}")))
                }
                Check::NoChangeOfSupplier => {
                    let (_, day) = known?.next?;
                    let near = self.settings.calendar.change_is_near(day_of(self.now), day);
                    near.then(|| {
                        (
                            "change-of-supplier-pending",
                            0,
                            format!("{mpxn} changes supplier on {day}"),
                        )
                    })
                }
                _ => None,
            }
        })
    }

    fn combination(&self) -> Option<Combination> {
        let model = |kind| self.of_kind(kind).next().map(listed);
        Some(Combination {
            provider: self.record.communications_provider.parse().ok()?,
            hub: model(DeviceKind::Chf)?,
            esme: model(DeviceKind::Esme)?,
            gsme: model(DeviceKind::Gsme),
            ppmid: model(DeviceKind::Ppmid),
        })
    }

    fn cpl(&self) -> Option<Finding> {
        let lists = self.sight.lists.as_ref()?;
        let kinds = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gsme, DeviceKind::Ppmid];
        kinds.into_iter().find_map(|kind| {
            let device = self.of_kind(kind).next()?;
            let model = listed(device);
            (!lists.cpl_active(kind, &model)).then(|| ("cpl-not-active", device.device, model.to_string()))
        })
    }

    /// Credit of a prepaid meter, against the margin below which nothing is frozen.
    fn credit(&self) -> Option<Finding> {
        let margin = i64::from(self.settings.credit_margin_pence) * 1000;
        let prepaid = |fuel| {
            let mut points = self.record.points.iter().filter(|point| point.prepayment);
            points.any(|point| point.mpxn.parse().is_ok_and(|mpxn| Fuel::of(mpxn) == fuel))
        };
        let meters = [(Fuel::Electricity, DeviceKind::Esme), (Fuel::Gas, DeviceKind::Gsme)];
        meters
            .into_iter()
            .filter(|(fuel, _)| prepaid(*fuel))
            .find_map(|(_, kind)| {
                let device = self.of_kind(kind).next()?;
                let mut readings = device.readings.iter();
                let balance = readings.find(|reading| reading.item == DataItem::MeterBalance.name())?;
                let value = balance.quantity.as_ref()?.value;
                (value < margin).then(|| ("credit-under-margin", device.device, format!("{} p", value / 1000)))
            })
    }
}

fn listed(device: &DeviceRecord) -> ListedModel {
    ListedModel {
        manufacturer: device.manufacturer.clone(),
        model: device.model.clone(),
        firmware: device.firmware.clone(),
    }
}
