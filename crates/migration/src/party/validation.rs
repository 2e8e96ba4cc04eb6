//! The commissioning party's checks, group by group in the order of the settings. Pure.

use std::collections::BTreeSet;

use domain::{DeviceKind, SimInstant};
use proto::{Condition, DeviceRecord, InstallationRecord};

use crate::settings::{Check, Settings};

/// What the commissioning party can ask about the world. What it does not say is taken as good.
pub trait Surroundings {
    /// The condition that one check finds for a record; none when it is as it should be.
    fn judge(&self, check: Check, record: &InstallationRecord, now: SimInstant) -> Option<Condition>;
}

/// Makes the checks on one record. Every check of a group is made; after the first group with a failure the rest are not.
/// The checks of files (envelope, signature, digest, replay) are made by whoever reads the set.
#[must_use]
pub fn validate(
    record: &InstallationRecord,
    settings: &Settings,
    surroundings: &dyn Surroundings,
    now: SimInstant,
) -> Vec<Condition> {
    for group in &settings.validation {
        let own = group.checks.iter().filter_map(|check| {
            shape(*check, record, settings, now).or_else(|| surroundings.judge(*check, record, now))
        });
        let found: Vec<Condition> = own
            .map(|condition| Condition {
                installation_id: record.installation_id.clone(),
                ..condition
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// What the record itself shows.
fn shape(check: Check, record: &InstallationRecord, settings: &Settings, now: SimInstant) -> Option<Condition> {
    let kinds = |kind: DeviceKind| record.devices.iter().filter(move |device| device.kind == kind.as_str());
    let wrong = |detail: &str| Condition {
        kind: "shape-wrong".into(),
        detail: detail.into(),
        ..Condition::default()
    };
    let hub_is_own = |hub: &DeviceRecord| hub.device == record.hub;
    match check {
        Check::OneHub if kinds(DeviceKind::Chf).count() != 1 => Some(wrong("not exactly one hub")),
        Check::OneHub if !kinds(DeviceKind::Chf).all(hub_is_own) => Some(wrong("the hub is another's")),
        Check::OneGasProxy if kinds(DeviceKind::Gpf).count() > 1 => Some(wrong("two gas proxies")),
        Check::OneGasProxy if kinds(DeviceKind::Gsme).count() > 0 && kinds(DeviceKind::Gpf).count() == 0 => {
            Some(wrong("a gas meter without a gas proxy"))
        }
        Check::HasElectricityMeter if kinds(DeviceKind::Esme).count() == 0 => Some(wrong("no electricity meter")),
        Check::KnownDevices => {
            let strange = record
                .devices
                .iter()
                .find(|device| device.kind.parse::<DeviceKind>().is_err());
            strange.map(|device| wrong(&format!("a device of kind {:?}", device.kind)))
        }
        Check::UniqueDevices => {
            let mut seen = BTreeSet::new();
            let twice = record.devices.iter().find(|device| !seen.insert(device.device));
            twice.map(|_| wrong("a device stands there twice"))
        }
        Check::SnapshotAge if SimInstant(record.snapshot_ms) + settings.timers.snapshot_max_age() < now => {
            Some(Condition {
                kind: "snapshot-old".into(),
                ..Condition::default()
            })
        }
        _ => None,
    }
}
