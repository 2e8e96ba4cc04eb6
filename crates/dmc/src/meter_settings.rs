//! The settings that fill `meter::Profile`.

use std::collections::BTreeSet;

use domain::operation::OperationKind;
use domain::{DeviceKind, SupplyState};
use meter::ClockRule;

use crate::section::Scalar;
use crate::settings::{Setting, flag, number, seconds, setting, word};

const CHF: &[DeviceKind] = &[DeviceKind::Chf];
const ESME: &[DeviceKind] = &[DeviceKind::Esme];
const GPF: &[DeviceKind] = &[DeviceKind::Gpf];
const GSME: &[DeviceKind] = &[DeviceKind::Gsme];
const METERS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gsme];
const WITH_LOGS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];

const ENTRIES: &str = "a number of entries from 0 to 10000";

pub(crate) const METER: &[Setting] = &[
    setting(
        "meter.unsupported",
        &[],
        "a list of operations such as \"read reactive-import\", \"log active-export\" or \"arm-supply\"",
        |parts, value| {
            let Scalar::List(list) = value else { return None };
            parts.meter.unsupported = list.iter().map(operation).collect::<Option<BTreeSet<_>>>()?;
            Some(())
        },
    ),
    setting("meter.second_element", ESME, "true or false", |parts, value| {
        parts.second_element = flag(value)?;
        Some(())
    }),
    setting(
        "meter.clock_drift_ppm_max",
        METERS,
        "parts per million from 0 to 10000",
        |parts, value| {
            parts.meter.clock_drift_ppm_max = number(value, 0..=10_000)?;
            Some(())
        },
    ),
    setting(
        "meter.clock_rule",
        METERS,
        "\"set-when-outside\" or \"set-when-within\"",
        |parts, value| {
            parts.meter.clock_rule = word(
                value,
                &[
                    ("set-when-outside", ClockRule::SetWhenOutside),
                    ("set-when-within", ClockRule::SetWhenWithin),
                ],
            )?;
            Some(())
        },
    ),
    setting(
        "meter.clock_adjust_limit_s",
        METERS,
        "seconds, 0 to a year",
        |parts, value| {
            parts.meter.clock_adjust_limit = Some(seconds(value)?);
            Some(())
        },
    ),
    setting(
        "meter.clock_reliable_for_s",
        METERS,
        "seconds, 0 to a year",
        |parts, value| {
            parts.meter.clock_reliable_for = Some(seconds(value)?);
            Some(())
        },
    ),
    setting(
        "meter.import_profile_days",
        WITH_LOGS,
        "a number of days from 1 to 3660",
        |parts, value| {
            parts.meter.import_profile_days = number(value, 1..=3660)?;
            Some(())
        },
    ),
    setting(
        "meter.other_profile_days",
        ESME,
        "a number of days from 1 to 3660",
        |parts, value| {
            parts.meter.other_profile_days = number(value, 1..=3660)?;
            Some(())
        },
    ),
    setting("meter.daily_log_entries", WITH_LOGS, ENTRIES, |parts, value| {
        parts.meter.daily_log_entries = number(value, 0..=10_000)?;
        Some(())
    }),
    setting("meter.billing_log_entries", WITH_LOGS, ENTRIES, |parts, value| {
        parts.meter.billing_log_entries = number(value, 0..=10_000)?;
        Some(())
    }),
    setting("meter.event_log_entries", &[], ENTRIES, |parts, value| {
        parts.meter.event_log_entries = number(value, 0..=10_000)?;
        Some(())
    }),
    setting("meter.security_log_entries", &[], ENTRIES, |parts, value| {
        parts.meter.security_log_entries = number(value, 0..=10_000)?;
        Some(())
    }),
    setting(
        "meter.profile_multiplier",
        WITH_LOGS,
        "a number from 1 to 1000000",
        |parts, value| {
            parts.meter.profile_multiplier = number(value, 1..=1_000_000)?;
            Some(())
        },
    ),
    setting(
        "meter.profile_divisor",
        WITH_LOGS,
        "a number from 1 to 1000000",
        |parts, value| {
            parts.meter.profile_divisor = number(value, 1..=1_000_000)?;
            Some(())
        },
    ),
    setting("meter.enable_means_arm", ESME, "true or false", |parts, value| {
        parts.meter.enable_means_arm = flag(value)?;
        Some(())
    }),
    setting("meter.arm_needs_disabled", METERS, "true or false", |parts, value| {
        parts.meter.arm_needs_disabled = flag(value)?;
        Some(())
    }),
    setting(
        "meter.credit_restores_to",
        METERS,
        "\"armed\", \"disabled\" or \"enabled\"",
        |parts, value| {
            let words = [
                ("armed", SupplyState::Armed),
                ("disabled", SupplyState::Disabled),
                ("enabled", SupplyState::Enabled),
            ];
            parts.meter.credit_restores_to = word(value, &words)?;
            Some(())
        },
    ),
    setting(
        "meter.suppressed_alerts",
        &[],
        "a list of alert codes from 0x0001 to 0xffff",
        |parts, value| {
            parts.meter.suppressed_alerts = codes(value)?;
            Some(())
        },
    ),
    setting(
        "meter.security_alert_gap_s",
        &[],
        "seconds, 0 to a year",
        |parts, value| {
            parts.meter.security_alert_gap = seconds(value)?;
            Some(())
        },
    ),
    setting(
        "meter.unlogged_events",
        &[],
        "a list of event codes from 0x0001 to 0xffff",
        |parts, value| {
            parts.meter.unlogged_events = codes(value)?;
            Some(())
        },
    ),
    setting("meter.long_outage_s", ESME, "seconds, 0 to a year", |parts, value| {
        parts.meter.long_outage = seconds(value)?;
        Some(())
    }),
    setting(
        "meter.wake_period_s",
        GSME,
        "seconds from 60 to 86400",
        |parts, value| {
            number::<u64>(value, 60..=86_400)?;
            parts.meter.wake_period = seconds(value)?;
            Some(())
        },
    ),
    setting(
        "meter.han_loss_permille",
        GSME,
        "a number from 0 to 1000",
        |parts, value| {
            parts.meter.han_loss_permille = number(value, 0..=1000)?;
            Some(())
        },
    ),
    setting(
        "meter.result_delay_wakes",
        GSME,
        "a number from 0 to 10",
        |parts, value| {
            parts.meter.result_delay_wakes = number(value, 0..=10)?;
            Some(())
        },
    ),
    setting(
        "meter.battery_days",
        GSME,
        "a number of days from 0 to 10000",
        |parts, value| {
            parts.meter.battery_days = number(value, 0..=10_000)?;
            Some(())
        },
    ),
    setting("meter.mirror_lag_s", GPF, "seconds, 0 to a year", |parts, value| {
        parts.meter.mirror_lag = seconds(value)?;
        Some(())
    }),
    setting(
        "meter.han_queue_entries",
        CHF,
        "a number from 1 to 1000",
        |parts, value| {
            parts.meter.han_queue_entries = number(value, 1..=1000)?;
            Some(())
        },
    ),
    setting(
        "meter.han_queue_lifetime_s",
        CHF,
        "seconds, 0 to a year",
        |parts, value| {
            parts.meter.han_queue_lifetime = seconds(value)?;
            Some(())
        },
    ),
];

fn codes(value: &Scalar) -> Option<BTreeSet<u16>> {
    let Scalar::List(list) = value else { return None };
    list.iter().map(|code| number(code, 1..=0xFFFF)).collect()
}

/// `arm-supply`, `read-reactive-import` or `read reactive-import`.
fn operation(value: &Scalar) -> Option<OperationKind> {
    let Scalar::Text(text) = value else { return None };
    OperationKind::from_key(&text.replace(' ', "-"))
}
