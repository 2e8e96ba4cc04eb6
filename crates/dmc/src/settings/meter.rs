//! The settings that fill the plain fields of `meter::Profile`.

use std::collections::BTreeSet;

use domain::SupplyState;
use meter::ClockRule;

use super::{CHF, ESME, GPF, GSME, METERS, Setting, WITH_LOGS, number, numbers, seconds};
use crate::names::operation_by_name;
use crate::section::Scalar;

pub(super) const METER: &[Setting] = &[
    key!("meter.unsupported", Support, &[], "Operations that are refused as not supported, beyond what the kind of device has no use for",
    "[\"read-reactive-import\", \"arm-supply\"]",
    own "a list of operations such as \"read-reactive-import\", \"read-log-active-export\" or \"arm-supply\""
    |parts, value| {
        let Scalar::List(list) = value else { return None };
        let operation = |entry: &Scalar| match entry {
            Scalar::Text(text) => operation_by_name(text),
            _ => None,
        };
        parts.meter.unsupported = list.iter().map(operation).collect::<Option<BTreeSet<_>>>()?;
        Some(())
    }),
    key!("meter.dual_control", Support, &[], "The device can be operated under dual control; without it cannot be enrolled", "false",
        flag meter.dual_control),
    key!("meter.second_element", Values, ESME, "The meter measures a second element", "true",
        flag second_element),
    key!("meter.clock_drift_ppm_max", Clock, METERS, "The clock runs fast or slow by up to so many parts per million", "20",
        number 0..=10_000 meter.clock_drift_ppm_max),
    key!("meter.clock_rule", Clock, METERS, "When a synchronisation sets the clock", "\"set-always\"",
        word {
            "set-always" => ClockRule::SetAlways,
            "set-when-outside" => ClockRule::SetWhenOutside,
            "set-when-within" => ClockRule::SetWhenWithin
        } meter.clock_rule),
    key!("meter.clock_adjust_limit_s", Clock, METERS, "A synchronisation that would move the clock further is refused with an alert", "3600",
        some seconds meter.clock_adjust_limit),
    key!("meter.clock_reliable_for_s", Clock, METERS, "A clock not confirmed for so long calls itself unreliable", "259200",
        some seconds meter.clock_reliable_for),
    key!("meter.clock_survives_outage_s", Clock, &[domain::DeviceKind::Chf, domain::DeviceKind::Esme],
        "Without mains for longer the clock stands still and is invalid until it is set", "172800",
        some seconds meter.clock_survives_outage),
    key!("meter.import_profile_days", Logs, WITH_LOGS, "Days of half-hourly consumption that can be read", "396",
        number 1..=3660 meter.import_profile_days),
    key!("meter.other_profile_days", Logs, ESME, "Days of half-hourly export and reactive import that can be read", "92",
        number 1..=3660 meter.other_profile_days),
    key!("meter.daily_log_entries", Logs, WITH_LOGS, "Entries of the daily read log", "14",
        number 0..=10_000 meter.daily_log_entries),
    key!("meter.billing_log_entries", Logs, WITH_LOGS, "Entries of the billing data log", "12",
        number 0..=10_000 meter.billing_log_entries),
    key!("meter.event_log_entries", Logs, &[], "Entries of the event log; the oldest is overwritten", "100",
        number 0..=10_000 meter.event_log_entries),
    key!("meter.security_log_entries", Logs, &[], "Entries of the security log; the oldest is overwritten", "100",
        number 0..=10_000 meter.security_log_entries),
    key!("meter.power_log_entries", Logs, ESME, "Entries of the log of power events", "100",
        number 0..=10_000 meter.power_log_entries),
    key!("meter.consumption_log_entries", Logs, WITH_LOGS, "Days of the log of daily consumption", "731",
        number 0..=10_000 meter.consumption_log_entries),
    key!("meter.profile_multiplier", Values, WITH_LOGS, "Half-hourly values are shown times this", "2",
        number 1..=1_000_000 meter.profile_multiplier),
    key!("meter.profile_divisor", Values, WITH_LOGS, "Half-hourly values are shown divided by this, rounded down", "10",
        number 1..=1_000_000 meter.profile_divisor),
    key!("meter.enable_means_arm", Supply, ESME, "Enabling the supply leaves it armed: the consumer must act", "true",
        flag meter.enable_means_arm),
    key!("meter.arm_needs_disabled", Supply, METERS, "Arming is refused unless the supply is disabled", "true",
        flag meter.arm_needs_disabled),
    key!("meter.credit_restores_to", Supply, METERS, "State of a supply that was off for lack of credit, once there is credit", "\"armed\"",
        word {
            "armed" => SupplyState::Armed,
            "disabled" => SupplyState::Disabled,
            "enabled" => SupplyState::Enabled
        } meter.credit_restores_to),
    key!("meter.suppressed_alerts", Alerts, &[], "Alerts that are not sent; the event is logged all the same", "[0x8145]",
    own "a list of alert codes from 0x0001 to 0xffff" |parts, value| {
        parts.meter.suppressed_alerts = numbers(value, &(1..=0xFFFF))?;
        Some(())
    }),
    key!("meter.security_alert_gap_s", Alerts, &[], "Security alerts of one device are at least so far apart", "60",
        seconds meter.security_alert_gap),
    key!("meter.unlogged_events", Logs, &[], "Events that are not logged", "[0x8F57]",
    own "a list of event codes from 0x0001 to 0xffff" |parts, value| {
        parts.meter.unlogged_events = numbers(value, &(1..=0xFFFF))?;
        Some(())
    }),
    key!("meter.long_outage_s", Alerts, ESME, "An outage of at least this length is reported as a long one", "180",
        seconds meter.long_outage),
    key!("meter.wake_period_s", Timing, GSME, "Time between two wakes of a gas meter", "1800",
    own "seconds from 60 to 86400" |parts, value| {
        number::<u64>(value, 60..=86_400)?;
        parts.meter.wake_period = seconds(value)?;
        Some(())
    }),
    key!("meter.han_loss_permille", Han, GSME, "Wakes out of a thousand that do not reach the hub", "50",
        number 0..=1000 meter.han_loss_permille),
    key!("meter.result_delay_wakes", Timing, GSME, "The result of a queued command leaves so many wakes after its execution", "1",
        number 0..=10 meter.result_delay_wakes),
    key!("meter.battery_days", Values, GSME, "Days of battery at installation", "3650",
        number 0..=10_000 meter.battery_days),
    key!("meter.mirror_lag_s", Timing, GPF, "Time from a report of the gas meter to its being readable", "600",
        seconds meter.mirror_lag),
    key!("meter.device_log_entries", Han, CHF, "Devices that the hub's device log has room for", "16",
        number 1..=1000 meter.device_log_entries),
    key!("meter.han_queue_entries", Han, CHF, "Commands held for sleeping devices; one more is refused as busy", "8",
        number 1..=1000 meter.han_queue_entries),
    key!("meter.han_queue_lifetime_s", Han, CHF, "A command held longer is given up as unreachable", "86400",
        seconds meter.han_queue_lifetime),
];
