//! What device rules can set: one registry of keys, with what each takes.

use domain::{DeviceKind, SimDuration};

use crate::profile::{S1spEffect, WanMode, WanProfile};
use crate::section::Scalar;

/// The parts of a profile that settings fill.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) meter: meter::Profile,
    pub(crate) face: dialects::FaceProfile,
    pub(crate) wan: WanProfile,
    pub(crate) second_element: bool,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    /// The devices that have it; empty for all.
    pub(crate) kinds: &'static [DeviceKind],
    pub(crate) expects: &'static str,
    /// An injected defect: only under `LAB-` firmware.
    pub(crate) lab_only: bool,
    /// Sets it; `None` when the value does not fit.
    pub(crate) apply: fn(&mut Parts, &Scalar) -> Option<()>,
}

/// The setting of this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

/// All keys.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    all().map(|setting| setting.key)
}

fn all() -> impl Iterator<Item = &'static Setting> {
    FACE.iter().chain(&WAN).chain(crate::meter_settings::METER)
}

/// Whether two step rules are about the same thing, so that only one can hold.
pub(crate) fn collide(a: &S1spEffect, b: &S1spEffect) -> bool {
    use S1spEffect as E;
    let subject = |effect: &E| match effect {
        E::Answer { item, .. } => Some(crate::profile::Subject::Item(*item)),
        E::Map { subject, .. } | E::Skip { subject } => Some(*subject),
        E::Insert { .. } | E::Refuse { .. } => None,
    };
    match (a, b) {
        (E::Insert { item: a, .. }, E::Insert { item: b, .. }) => a == b,
        (E::Refuse { .. }, E::Refuse { .. }) => true,
        _ => subject(a).is_some() && subject(a) == subject(b),
    }
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

/// Seconds, 0 to a year.
pub(crate) fn seconds(value: &Scalar) -> Option<SimDuration> {
    number(value, 0..=31_536_000).map(SimDuration::from_secs)
}

/// A setting that any firmware may have.
pub(crate) const fn setting(
    key: &'static str,
    kinds: &'static [DeviceKind],
    expects: &'static str,
    apply: fn(&mut Parts, &Scalar) -> Option<()>,
) -> Setting {
    Setting {
        key,
        kinds,
        expects,
        lab_only: false,
        apply,
    }
}

/// A defect to inject.
pub(crate) const fn defect(
    key: &'static str,
    kinds: &'static [DeviceKind],
    expects: &'static str,
    apply: fn(&mut Parts, &Scalar) -> Option<()>,
) -> Setting {
    Setting {
        key,
        kinds,
        expects,
        lab_only: true,
        apply,
    }
}

const FACE: [Setting; 16] = [
    setting(
        "face.family",
        &[],
        "\"dlms-hdlc\", \"dlms-hub-tunnel\" or \"dlms-wrapper\"",
        |parts, value| {
            parts.face.family = word(value, &dialects::Family::ALL.map(|family| (family.as_str(), family)))?;
            Some(())
        },
    ),
    setting(
        "face.hdlc_information_max",
        &[],
        "a number of octets from 32 to 2030",
        |parts, value| {
            parts.face.hdlc.information_max = number(value, 32..=2030)?;
            Some(())
        },
    ),
    setting("face.hdlc_window", &[], "a number from 1 to 7", |parts, value| {
        parts.face.hdlc.window = number(value, 1..=7)?;
        Some(())
    }),
    setting(
        "face.hdlc_physical_address",
        &[],
        "a number from 0 to 16382",
        |parts, value| {
            parts.face.hdlc.physical = number(value, 0..=16_382)?;
            Some(())
        },
    ),
    setting(
        "face.tunnel_address",
        &[],
        "\"access-point\" or \"identity\"",
        |parts, value| {
            use dialects::TunnelAddress;
            let words = [
                ("access-point", TunnelAddress::AccessPoint),
                ("identity", TunnelAddress::Identity),
            ];
            parts.face.tunnel.address = word(value, &words)?;
            Some(())
        },
    ),
    setting("face.tunnel_check", &[], "true or false", |parts, value| {
        parts.face.tunnel.check = flag(value)?;
        Some(())
    }),
    setting("face.flag_id", &[], "three capital letters", |parts, value| {
        let Scalar::Text(text) = value else { return None };
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(())?;
        parts.face.flag_id = letters;
        Some(())
    }),
    setting("face.sap_esme", &[], "a number from 1 to 65535", |parts, value| {
        parts.face.saps.esme = number(value, 1..=65_535)?;
        Some(())
    }),
    setting("face.sap_gpf", &[], "a number from 1 to 65535", |parts, value| {
        parts.face.saps.gpf = number(value, 1..=65_535)?;
        Some(())
    }),
    setting("face.sap_gsme", &[], "a number from 1 to 65535", |parts, value| {
        parts.face.saps.gsme = number(value, 1..=65_535)?;
        Some(())
    }),
    setting("face.sap_chf", &[], "a number from 1 to 65535", |parts, value| {
        parts.face.saps.chf = number(value, 1..=65_535)?;
        Some(())
    }),
    setting(
        "face.pdu_max",
        &[],
        "a number of octets from 64 to 65535",
        |parts, value| {
            parts.face.pdu_max = number(value, 64..=65_535)?;
            Some(())
        },
    ),
    setting(
        "face.time_form",
        &[],
        "\"london\", \"unspecified-utc\" or \"utc\"",
        |parts, value| {
            use dialects::TimeForm;
            parts.face.time_form = word(
                value,
                &[
                    ("london", TimeForm::London),
                    ("unspecified-utc", TimeForm::UnspecifiedUtc),
                    ("utc", TimeForm::Utc),
                ],
            )?;
            Some(())
        },
    ),
    setting(
        "face.rows_per_fetch",
        &[],
        "a number from 1 to 10000",
        |parts, value| {
            parts.face.rows_per_fetch = number(value, 1..=10_000)?;
            Some(())
        },
    ),
    defect("face.surplus_octet", &[], "true or false", |parts, value| {
        parts.face.surplus_octet = flag(value)?;
        Some(())
    }),
    defect("face.deviation_sign_wrong", &[], "true or false", |parts, value| {
        parts.face.deviation_sign_wrong = flag(value)?;
        Some(())
    }),
];

const CHF: &[DeviceKind] = &[DeviceKind::Chf];

const WAN: [Setting; 5] = [
    setting("wan.mode", CHF, "\"always-on\" or \"wake-by-sms\"", |parts, value| {
        parts.wan.mode = word(
            value,
            &[("always-on", WanMode::AlwaysOn), ("wake-by-sms", WanMode::WakeBySms)],
        )?;
        Some(())
    }),
    setting("wan.attach_delay_s", CHF, "seconds, 0 to a year", |parts, value| {
        parts.wan.attach_delay = seconds(value)?;
        Some(())
    }),
    setting("wan.idle_close_s", CHF, "seconds, 1 to a year", |parts, value| {
        parts.wan.idle_close = seconds(value).filter(|span| *span > SimDuration::ZERO)?;
        Some(())
    }),
    setting("wan.connect_attempts", CHF, "a number from 1 to 100", |parts, value| {
        parts.wan.connect_attempts = number(value, 1..=100)?;
        Some(())
    }),
    setting("wan.connect_pause_s", CHF, "seconds, 0 to a year", |parts, value| {
        parts.wan.connect_pause = seconds(value)?;
        Some(())
    }),
];
