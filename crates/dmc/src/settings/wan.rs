//! The settings that fill `WanProfile`.

use domain::SimDuration;

use super::{CHF, Setting, seconds};
use crate::profile::WanMode;
use crate::section::Scalar;

pub(super) const WAN: &[Setting] = &[
    key!("wan.mode", Wan, CHF, "When the hub is connected to its head end", "\"wake-by-sms\"",
        word { "always-on" => WanMode::AlwaysOn, "wake-by-sms" => WanMode::WakeBySms } wan.mode),
    key!("wan.attach_delay_s", Wan, CHF, "From the arrival of the wake-up message to the attempt to connect", "6",
        seconds wan.attach_delay),
    key!("wan.idle_close_s", Wan, CHF, "The hub closes a connection that was silent for so long", "60",
    own "seconds, 1 to a year" |parts, value| {
        parts.wan.idle_close = seconds(value).filter(|span| *span > SimDuration::ZERO)?;
        Some(())
    }),
    key!("wan.connect_attempts", Wan, CHF, "Attempts to connect after one wake-up", "3",
        number 1..=100 wan.connect_attempts),
    key!("wan.connect_pause_s", Wan, CHF, "Pause between two attempts to connect", "20",
        seconds wan.connect_pause),
    key!("wan.sms_per_wake", Wan, CHF, "Text messages it takes to wake the hub: the last of them wakes it", "2",
        number 1..=5 wan.sms_per_wake),
    key!("wan.sms_allowance", Wan, CHF, "Text messages a month that cost nothing more", "30",
        some number 0..=100_000 wan.sms_allowance),
    key!("wan.sms_excess_mp", Wan, CHF, "Cost of one text message beyond the allowance, in thousandths of a penny", "2500",
        number 0..=1_000_000 wan.sms_excess_mp),
    key!("wan.last_gasp_permille", Wan, CHF, "Outages out of a thousand of which the hub still tells", "900",
        number 0..=1000 wan.last_gasp_permille),
    key!("wan.last_gasp_spoiled_s", Wan, CHF, "An outage so soon after the one before is not told", "600",
        seconds wan.last_gasp_spoiled_within),
    key!("wan.storm_spread_s", OtherDevices, CHF, "Over how long hubs spread their attempts after they all lost the network; 0: all at once", "600",
        seconds wan.storm_spread),
    key!("wan.fallback_from", Wan, CHF, "From this day on the faster network is gone and attaching takes the fallback time", "\"2026-01-01\"",
    own "a day such as \"2026-01-01\"" |parts, value| {
        let Scalar::Text(text) = value else { return None };
        parts.wan.fallback_from = Some(format!("{text}T00:00:00Z").parse().ok()?);
        Some(())
    }),
    key!("wan.fallback_attach_delay_s", Wan, CHF, "Time to attach once only the slower network is left", "15",
        seconds wan.fallback_attach_delay),
];
