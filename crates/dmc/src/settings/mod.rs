//! What device rules can set: one registry of keys, with what each takes and an example.

#[macro_use]
mod keys;

mod face;
mod meter;
mod meter_rules;
mod wan;

use domain::{DeviceKind, SimDuration};

use crate::profile::WanProfile;
use crate::section::Scalar;

/// The parts of a profile that settings fill.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) meter: ::meter::Profile,
    pub(crate) face: dialects::FaceProfile,
    pub(crate) wan: WanProfile,
    pub(crate) second_element: bool,
}

/// One key that a device rule can set.
#[derive(Debug)]
pub struct Setting {
    /// Dotted, as it stands after `set.`.
    pub key: &'static str,
    /// What kind of behaviour it is about.
    pub group: Group,
    /// One line: what it does.
    pub about: &'static str,
    /// A value it takes, as TOML.
    pub example: &'static str,
    /// The devices that have it; empty for all.
    pub kinds: &'static [DeviceKind],
    /// What values it takes, in words.
    pub expects: &'static str,
    /// An injected defect: only under `LAB-` firmware.
    pub lab_only: bool,
    /// Sets it; `None` when the value does not fit.
    pub(crate) apply: fn(&mut Parts, &Scalar) -> Option<()>,
}

/// Kinds of device rules, as the reference lists them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Alerts: which, when, suppressed, doubled.
    Alerts,
    /// Time format and clock.
    Clock,
    /// Framing, association and ciphering, defects included.
    Face,
    /// Firmware transfer and activation.
    Firmware,
    /// HAN limits, displays.
    Han,
    /// Load limit, maximum demand, voltage.
    Load,
    /// Log depth and holes.
    Logs,
    /// Effects on another device of the installation or on the head end.
    OtherDevices,
    /// Prepayment and tokens.
    Prepayment,
    /// Supply and arming.
    Supply,
    /// Support of an operation.
    Support,
    /// Tariff and register limits.
    Tariff,
    /// Timing.
    Timing,
    /// Values: scale, unit, missing, rounding, stale.
    Values,
    /// The hub on its WAN side.
    Wan,
}

impl Group {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 15] = [
        Self::Support,
        Self::Values,
        Self::Logs,
        Self::Clock,
        Self::Tariff,
        Self::Prepayment,
        Self::Supply,
        Self::Load,
        Self::Han,
        Self::Alerts,
        Self::Timing,
        Self::Firmware,
        Self::OtherDevices,
        Self::Wan,
        Self::Face,
    ];

    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Alerts => "Alerts and events",
            Self::Clock => "Clock",
            Self::Face => "Framing, association, ciphering",
            Self::Firmware => "Firmware transfer and activation",
            Self::Han => "Home area network and displays",
            Self::Load => "Load limit, demand, voltage",
            Self::Logs => "Logs: depth and holes",
            Self::OtherDevices => "Effects on other devices and the head end",
            Self::Prepayment => "Prepayment and tokens",
            Self::Supply => "Supply and arming",
            Self::Support => "Support of operations",
            Self::Tariff => "Tariff and register limits",
            Self::Timing => "Timing",
            Self::Values => "Values: scale, unit, rounding, staleness",
            Self::Wan => "The hub on its WAN",
        }
    }
}

/// All keys, in no particular order.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    face::FACE
        .iter()
        .chain(wan::WAN)
        .chain(meter::METER)
        .chain(meter_rules::METER_RULES)
}

/// The setting of this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

/// All keys.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    all().map(|setting| setting.key)
}

/// A whole number within a range.
pub(crate) fn number<T: TryFrom<i64>>(value: &Scalar, range: std::ops::RangeInclusive<i64>) -> Option<T> {
    match value {
        Scalar::Number(number) if range.contains(number) => T::try_from(*number).ok(),
        _ => None,
    }
}

pub(crate) fn flag(value: &Scalar) -> Option<bool> {
    match value {
        Scalar::Flag(flag) => Some(*flag),
        _ => None,
    }
}

/// One of a few words.
pub(crate) fn word<T: Copy>(value: &Scalar, words: &[(&str, T)]) -> Option<T> {
    match value {
        Scalar::Text(text) => words.iter().find(|(word, _)| word == text).map(|(_, meaning)| *meaning),
        _ => None,
    }
}

/// A set of a few words.
pub(crate) fn words<T: Copy + Ord>(value: &Scalar, known: &[(&str, T)]) -> Option<std::collections::BTreeSet<T>> {
    let Scalar::List(list) = value else { return None };
    list.iter().map(|entry| word(entry, known)).collect()
}

/// A set of numbers within a range.
pub(crate) fn numbers<T: TryFrom<i64> + Ord>(
    value: &Scalar,
    range: &std::ops::RangeInclusive<i64>,
) -> Option<std::collections::BTreeSet<T>> {
    let Scalar::List(list) = value else { return None };
    list.iter().map(|entry| number(entry, range.clone())).collect()
}

/// Seconds, 0 to a year.
pub(crate) fn seconds(value: &Scalar) -> Option<SimDuration> {
    number(value, 0..=31_536_000).map(SimDuration::from_secs)
}

const CHF: &[DeviceKind] = &[DeviceKind::Chf];
const DISPLAYS: &[DeviceKind] = &[DeviceKind::Ihd, DeviceKind::Ppmid];
const ESME: &[DeviceKind] = &[DeviceKind::Esme];
const GPF: &[DeviceKind] = &[DeviceKind::Gpf];
const GSME: &[DeviceKind] = &[DeviceKind::Gsme];
const METERS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gsme];
const WITH_LOGS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once_with_a_line_about_it_and_belongs_to_a_group() {
        let keys: std::collections::BTreeSet<_> = keys().collect();
        assert_eq!(keys.len(), all().count());
        for setting in all() {
            assert!(
                setting.about.len() > 20 && !setting.about.contains('\n'),
                "{}",
                setting.key
            );
            assert!(Group::ALL.contains(&setting.group));
        }
    }
}
