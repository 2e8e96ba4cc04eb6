//! The settings that fill the groups of `meter::Profile`.

use std::collections::BTreeSet;

use meter::{DarkHalfHours, GasUnit, Midnight, Relay, Rounding, TokenAction, TokenKind, TokenWords};

use super::{CHF, DISPLAYS, ESME, GSME, METERS, Setting, WITH_LOGS, number, numbers};
use crate::section::Scalar;

pub(super) const METER_RULES: &[Setting] = &[
    // Values.
    key!("meter.values.register_step", Values, METERS, "Registers are shown in whole multiples of so many Wh, varh or litres", "10",
        number 1..=1_000_000 meter.values.register_step),
    key!("meter.values.profile_step", Values, METERS, "Half-hourly values are shown in whole multiples of this", "10",
        number 1..=1_000_000 meter.values.profile_step),
    key!("meter.values.rounding", Values, METERS, "Towards where values are brought to their step", "\"nearest\"",
        word { "down" => Rounding::Down, "nearest" => Rounding::Nearest, "up" => Rounding::Up } meter.values.rounding),
    key!("meter.values.register_wrap", Values, METERS, "A register begins again at zero when it would show so many Wh, varh or litres", "100000000",
        some number 1_000..=4_294_967_295 meter.values.register_wrap),
    key!("meter.values.refresh_s", Values, METERS, "Registers are as they were at the last whole multiple of this time", "900",
        seconds meter.values.refresh),
    key!("meter.values.gas_unit", Values, GSME, "In what gas is stated: litres, or watt-hours by the usual calorific value", "\"watt-hour\"",
        word { "litre" => GasUnit::Litre, "watt-hour" => GasUnit::WattHour } meter.values.gas_unit),
    // Logs.
    key!("meter.logs.midnight", Logs, WITH_LOGS, "At which midnight snapshots are taken: of UK civil time, or of standard time all year", "\"standard\"",
        word { "local" => Midnight::Local, "standard" => Midnight::Standard } meter.logs.midnight),
    key!("meter.logs.skips_dark_days", Logs, ESME, "No daily snapshot for a day wholly without mains", "true",
        flag meter.logs.skips_dark_days),
    key!("meter.logs.dark_half_hours", Logs, ESME, "What stands for half-hours wholly without mains", "\"missing\"",
        word {
            "marked" => DarkHalfHours::Marked,
            "missing" => DarkHalfHours::Missing,
            "zero" => DarkHalfHours::Zero
        } meter.logs.dark_half_hours),
    key!("meter.logs.emptied_by_outage_s", Logs, ESME, "An outage of at least this length empties the half-hourly logs", "259200",
        some seconds meter.logs.emptied_by_outage),
    key!("meter.logs.lost_permille", Logs, WITH_LOGS, "Half-hours out of a thousand that are missing", "20",
        number 0..=1000 meter.logs.lost_permille),
    key!("meter.logs.lost_until_s", Logs, WITH_LOGS, "Missing half-hours are there after all when they are so old", "172800",
        some seconds meter.logs.lost_until),
    key!("meter.logs.channels_as_configured", Logs, ESME, "Profiles of what the home does not have are refused instead of being zero", "true",
        flag meter.logs.channels_as_configured),
    key!("meter.logs.billing_on_mode_change", Logs, METERS, "A change of payment mode writes a billing snapshot", "true",
        flag meter.logs.billing_on_mode_change),
    key!("meter.logs.billing_holds_account", Logs, METERS, "Billing snapshots hold account and debts beside the registers", "true",
        flag meter.logs.billing_holds_account),
    key!("meter.logs.credit_entries", Logs, METERS, "Prepayment credits kept", "5",
        number 0..=100 meter.logs.credit_entries),
    key!("meter.logs.debt_payment_entries", Logs, METERS, "Payment-based debt payments kept", "10",
        number 0..=100 meter.logs.debt_payment_entries),
    key!("meter.logs.monthly_entries", Logs, WITH_LOGS, "Months of monthly totals kept", "12",
        number 0..=100 meter.logs.monthly_entries),
    key!("meter.logs.records_flow", Logs, GSME, "Gas flow can be recorded in short steps when that is asked for", "true",
        flag meter.logs.records_flow),
    key!("meter.logs.split_event_logs", Logs, &[], "Event reads merge several logs: rows come log by log, not by time over all", "true",
        flag meter.logs.split_event_logs),
    // Clock.
    key!("meter.clock.invalid_freezes", Clock, ESME, "While the clock is invalid its last rate stays and no half-hours or snapshots are written", "true",
        flag meter.clock.invalid_freezes),
    key!("meter.clock.hub_sync_s", Clock, ESME, "The hub corrects the meter's clock so often; 0: never by itself", "86400",
        seconds meter.clock.hub_sync),
    key!("meter.clock.hub_sync_event", Clock, ESME, "Event code with which a correction by the hub is logged", "0x81F0",
        some number 1..=65_535 meter.clock.hub_sync_event),
    key!("meter.clock.tariff", Clock, METERS, "Which clock switches rates: UK civil time, or standard time all year", "\"standard\"",
        word { "local" => Midnight::Local, "standard" => Midnight::Standard } meter.clock.tariff),
    // Tariff.
    key!("meter.tariff.tou_max", Tariff, METERS, "Time-of-use registers at most; a tariff with more is refused", "48",
        number 1..=48 meter.tariff.tou_max),
    key!("meter.tariff.blocks_max", Tariff, METERS, "Blocks at most; a tariff with more is refused", "4",
        number 1..=8 meter.tariff.blocks_max),
    key!("meter.tariff.block_tou_max", Tariff, METERS, "Time-of-use registers within each block; 0: no tariff with both", "8",
        number 0..=12 meter.tariff.block_tou_max),
    key!("meter.tariff.register_order", Tariff, METERS, "The meter's number of the n-th register of the tariff", "[2, 1]",
    own "a list of the numbers 1 to n, each once, at most 48" |parts, value| {
        let Scalar::List(list) = value else { return None };
        let order = list.iter().map(|entry| number(entry, 1..=48)).collect::<Option<Vec<u8>>>()?;
        let all: BTreeSet<u8> = order.iter().copied().collect();
        let permutation = all.len() == order.len() && all.iter().copied().zip(1..).all(|(a, b): (u8, u8)| a == b);
        permutation.then_some(())?;
        parts.meter.tariff.register_order = order;
        Some(())
    }),
    key!("meter.tariff.starts_at_midnight", Tariff, METERS, "A tariff takes force at the midnight after it was sent", "true",
        flag meter.tariff.starts_at_midnight),
    key!("meter.tariff.write_resets_blocks", Tariff, METERS, "Writing a tariff resets its block counters", "true",
        flag meter.tariff.write_resets_blocks),
    key!("meter.tariff.price_step_mp", Tariff, METERS, "Prices are cut to whole multiples of so many thousandths of a penny", "10",
        number 1..=1_000_000 meter.tariff.price_step_mp),
    // Prepayment.
    key!("meter.prepayment.mode_change_keeps_supply", Prepayment, METERS, "Going to prepayment without credit keeps the supply on", "true",
        flag meter.prepayment.mode_change_keeps_supply),
    key!("meter.prepayment.mode_change_grants_emergency", Prepayment, METERS, "Going to prepayment without credit activates emergency credit", "true",
        flag meter.prepayment.mode_change_grants_emergency),
    key!("meter.prepayment.mode_change_arms", Prepayment, METERS, "A supply that was off for lack of credit is armed by any change of mode", "true",
        flag meter.prepayment.mode_change_arms),
    key!("meter.prepayment.mode_change_catches_up", Prepayment, METERS, "A mode change whose time fell into an outage happens when mains return", "true",
        flag meter.prepayment.mode_change_catches_up),
    key!("meter.prepayment.mode_refusal_alerts", Prepayment, METERS, "A refused change of mode raises an alert", "true",
        flag meter.prepayment.mode_refusal_alerts),
    key!("meter.prepayment.default_mode", Prepayment, METERS, "There is a third mode, in which a meter is found before it is configured", "true",
        flag meter.prepayment.default_mode),
    key!("meter.prepayment.emergency_by_consumer", Prepayment, METERS, "Emergency credit needs the consumer: a remote activation is refused", "true",
        flag meter.prepayment.emergency_by_consumer),
    key!("meter.prepayment.non_disablement_grace_s", Prepayment, METERS, "Supply goes on for so long after a non-disablement period", "3600",
        seconds meter.prepayment.non_disablement_grace),
    key!("meter.prepayment.non_disablement_warning_s", Prepayment, METERS, "The end of a non-disablement period is announced so long before", "3600",
        some seconds meter.prepayment.non_disablement_warning),
    key!("meter.prepayment.time_debts", Prepayment, METERS, "Debts that time recovers", "2",
        number 0..=2 meter.prepayment.time_debts),
    key!("meter.prepayment.accumulates_debt", Prepayment, METERS, "Debt that could not be taken adds up in a register of its own", "true",
        flag meter.prepayment.accumulates_debt),
    key!("meter.prepayment.supplier_change", Prepayment, METERS, "What a change of supplier or tenancy does at the meter by itself", "[\"bills\", \"resets-balance\"]",
    own "a list of \"bills\", \"resets-balance\", \"resets-debts\", \"resets-tariff\"" |parts, value| {
        let known = [("bills", 0), ("resets-balance", 1), ("resets-debts", 2), ("resets-tariff", 3)];
        let chosen = super::words(value, &known)?;
        parts.meter.prepayment.supplier_change = meter::SupplierChange {
            bills: chosen.contains(&0),
            resets_balance: chosen.contains(&1),
            resets_debts: chosen.contains(&2),
            resets_tariff: chosen.contains(&3),
        };
        Some(())
    }),
    // Tokens.
    key!("meter.tokens.lengths", Prepayment, METERS, "Lengths of tokens in digits; any other is refused before anything else is looked at", "[20, 40, 60]",
        numbers 1..=200 meter.tokens.lengths),
    key!("meter.tokens.lock_attempts", Prepayment, METERS, "Wrong tokens that lock entry; 0: none do", "5",
        number 0..=100 meter.tokens.lock_attempts),
    key!("meter.tokens.lock_window_s", Prepayment, METERS, "Only wrong tokens within this time count", "600",
        some seconds meter.tokens.lock_window),
    key!("meter.tokens.lock_for_s", Prepayment, METERS, "How long entry is locked", "3600",
        seconds meter.tokens.lock_for),
    key!("meter.tokens.lock_remote", Prepayment, METERS, "A locked entry also refuses tokens from afar", "true",
        flag meter.tokens.lock_remote),
    key!("meter.tokens.history", Prepayment, METERS, "Accepted tokens remembered", "5",
        number 0..=255 meter.tokens.history),
    key!("meter.tokens.refusal_alerts", Prepayment, METERS, "Each refused token raises an alert", "true",
        flag meter.tokens.refusal_alerts),
    key!("meter.tokens.refused_in_credit_mode", Prepayment, METERS, "A token in credit mode is refused", "true",
        flag meter.tokens.refused_in_credit_mode),
    key!("meter.tokens.kinds", Prepayment, METERS, "What tokens can be for beside credit", "[\"switch\", \"tariff\"]",
        words {
            "engineering" => TokenKind::Engineering,
            "retain-credit" => TokenKind::RetainCredit,
            "switch" => TokenKind::Switch,
            "tariff" => TokenKind::Tariff
        } meter.tokens.kinds),
    key!("meter.tokens.actions", Prepayment, METERS, "What a credit token may do with the balance beside adding to it", "[\"deduct\", \"overwrite\"]",
        words { "deduct" => TokenAction::Deduct, "overwrite" => TokenAction::Overwrite } meter.tokens.actions),
    key!("meter.tokens.words", Prepayment, METERS, "The words in which refused tokens are reported", "\"six-causes\"",
        word {
            "plain" => TokenWords::Plain,
            "six-causes" => TokenWords::SixCauses,
            "used-or-invalid" => TokenWords::UsedOrInvalid
        } meter.tokens.words),
    // Supply.
    key!("meter.supply.logs_causes", Supply, METERS, "The causes for which the switch is open are logged with each change, as a set", "true",
        flag meter.supply.logs_causes),
    key!("meter.supply.tamper_opens", Supply, METERS, "A tamper event opens the switch; clearing it arms the supply", "true",
        flag meter.supply.tamper_opens),
    key!("meter.supply.confirm_within_s", Supply, METERS, "The consumer must confirm within this time, else the supply stays armed", "30",
        some seconds meter.supply.confirm_within),
    key!("meter.supply.reopen_flow_limit", Supply, GSME, "A valve that finds more flow than this while it opens, in litres an hour, is armed again", "30",
        some number 1..=100_000 meter.supply.reopen_flow_limit),
    key!("meter.supply.valve_fault_after_s", Supply, GSME, "A valve that has not moved for so long is reported as faulty", "180",
        some seconds meter.supply.valve_fault_after),
    key!("meter.supply.cut_resets_hub", OtherDevices, ESME, "Cutting the supply resets the hub, which loses its connection", "true",
        defect flag meter.supply.cut_resets_hub),
    key!("meter.supply.auxiliary_switches", Supply, ESME, "Auxiliary load switches", "1",
        number 0..=5 meter.supply.auxiliary_switches),
    // Load limit, demand, voltage.
    key!("meter.load_limit.window_min_s", Load, ESME, "Shortest averaging window of the load limit", "30",
        seconds meter.load_limit.window_min),
    key!("meter.load_limit.window_max_s", Load, ESME, "Longest averaging window of the load limit", "3600",
        seconds meter.load_limit.window_max),
    key!("meter.load_limit.trip_arms", Load, ESME, "After a trip the supply is armed: the consumer reconnects", "true",
        flag meter.load_limit.trip_arms),
    key!("meter.load_limit.disturbed_window_skipped", Load, ESME, "A window in which limits, clock or mains changed does not count", "true",
        flag meter.load_limit.disturbed_window_skipped),
    key!("meter.load_limit.emergency_limit", Load, ESME, "A second, lower limit holds while emergency credit is used", "true",
        flag meter.load_limit.emergency_limit),
    key!("meter.load_limit.counter_by_command", Load, ESME, "The counter of trips is cleared by a command of its own only", "true",
        flag meter.load_limit.counter_by_command),
    key!("meter.load_limit.limit_max_w", Load, ESME, "Most watts a limit may be set to", "23000",
        number 1..=1_000_000 meter.load_limit.limit_max_w),
    key!("meter.power.demand_period_min", Load, ESME, "Integration period of the maximum demand in minutes", "30",
        number 1..=60 meter.power.demand_period_min),
    key!("meter.power.demand_reset_by_billing", Load, ESME, "Maximum demand begins anew at each billing point", "true",
        flag meter.power.demand_reset_by_billing),
    key!("meter.power.voltage_periods_min", Load, ESME, "Averaging periods that the voltage can have, in minutes", "[1, 2, 3, 5, 10, 30]",
        numbers 1..=255 meter.power.voltage_periods_min),
    key!("meter.power.voltage_period_empties_log", Load, ESME, "Another averaging period empties the voltage log", "true",
        flag meter.power.voltage_period_empties_log),
    key!("meter.power.voltage_entries", Load, ESME, "Entries of the voltage log", "4320",
        number 0..=60_000 meter.power.voltage_entries),
    // HAN and displays.
    key!("meter.han.devices_max", Han, CHF, "Devices joined to the hub at most, the gas proxy not counted", "3",
        number 1..=16 meter.han.devices_max),
    key!("meter.han.own_devices_only", Han, CHF, "Only devices of the hub's own manufacturer join", "true",
        flag meter.han.own_devices_only),
    key!("meter.han.reports_connection", Han, CHF, "The hub reports when a device behind it goes silent or comes back", "true",
        flag meter.han.reports_connection),
    key!("meter.han.relays", Han, CHF, "What the hub hands on to other devices; without it everything", "[\"clock\", \"credit\", \"tariff\"]",
        words {
            "clear-log" => Relay::ClearLog,
            "clock" => Relay::Clock,
            "credit" => Relay::Credit,
            "payment-mode" => Relay::PaymentMode,
            "supplier-change" => Relay::SupplierChange,
            "supply" => Relay::Supply,
            "tariff" => Relay::Tariff
        } meter.han.relays),
    key!("meter.han.rejoin_within_s", Han, DISPLAYS, "A display that was away joins again by itself within this time", "600",
        some seconds meter.han.rejoin_within),
    key!("meter.han.electricity_refresh_s", Han, DISPLAYS, "How old shown electricity figures may be", "10",
        seconds meter.han.electricity_refresh),
    key!("meter.han.gas_refresh_s", Han, DISPLAYS, "How old shown gas figures may be", "900",
        seconds meter.han.gas_refresh),
    key!("meter.han.messages_max", Han, DISPLAYS, "Supplier messages a display keeps", "20",
        number 0..=100 meter.han.messages_max),
    key!("meter.han.messages_block", Han, DISPLAYS, "Important messages block the display until they are acknowledged", "true",
        flag meter.han.messages_block),
    key!("meter.han.takes_tokens", Han, DISPLAYS, "A token can be entered at the display", "true",
        flag meter.han.takes_tokens),
    // Alerts.
    key!("meter.alerts.only", Alerts, &[], "Only these events raise an alert, whatever others do by default", "[0x8F3D]",
    own "a list of event codes from 0x0001 to 0xffff" |parts, value| {
        parts.meter.alerts.only = Some(numbers(value, &(1..=0xFFFF))?);
        Some(())
    }),
    key!("meter.alerts.added", Alerts, &[], "Events that raise an alert although they usually are only logged", "[0x8F57]",
        numbers 1..=65_535 meter.alerts.added),
    key!("meter.alerts.doubled", Alerts, &[], "Alerts that are sent twice", "[0x8F32]",
        numbers 1..=65_535 meter.alerts.doubled),
    key!("meter.alerts.renamed", Alerts, &[], "Codes sent in place of others, in pairs of usual and own code", "[0x8F32, 0x81F2]",
    own "a list of pairs of event codes: usual, own, usual, own" |parts, value| {
        let Scalar::List(list) = value else { return None };
        let codes = list.iter().map(|entry| number(entry, 1..=0xFFFF)).collect::<Option<Vec<u16>>>()?;
        codes.len().is_multiple_of(2).then_some(())?;
        parts.meter.alerts.renamed = codes.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        Some(())
    }),
    key!("meter.alerts.non_mandated", Alerts, &[], "Event codes outside the mandated set", "[0x81F0]",
        numbers 1..=65_535 meter.alerts.non_mandated),
    // Firmware.
    key!("meter.image.block_max", Firmware, &[], "Largest block of an image that is taken, in octets", "256",
        number 16..=65_535 meter.image.block_max),
    key!("meter.image.size_max", Firmware, &[], "Largest image that is taken, in octets", "262144",
        number 1_024..=100_000_000 meter.image.size_max),
    key!("meter.image.verify_s", Firmware, &[], "How long the verification of an image takes", "30",
        seconds meter.image.verify),
    key!("meter.image.reboot_s", Firmware, &[], "How long the device is away after an activation", "60",
        seconds meter.image.reboot),
    key!("meter.image.reached_from", Firmware, &[], "Firmware ids from which this one can be reached; without it from any", "[\"LAB-X001\"]",
    own "a list of firmware ids" |parts, value| {
        let Scalar::List(list) = value else { return None };
        let text = |entry: &Scalar| match entry {
            Scalar::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        };
        parts.meter.image.reached_from = list.iter().map(text).collect::<Option<_>>()?;
        Some(())
    }),
    key!("meter.image.only_latest", Firmware, &[], "Only the image that was verified last can be activated", "true",
        flag meter.image.only_latest),
    key!("meter.image.fails_permille", Firmware, &[], "Activations out of a thousand that fail, so that the old firmware stays", "100",
        defect number 0..=1000 meter.image.fails_permille),
    key!("meter.image.staged_in_hub", Firmware, CHF, "Images for other devices are staged in the hub first", "true",
        flag meter.image.staged_in_hub),
    key!("meter.image.split", Firmware, &[], "Metering and application have firmware of their own; images are for the application", "true",
        flag meter.image.split),
    // Timing.
    key!("meter.timing.boot_s", Timing, &[], "After mains return the device answers nothing for so long", "30",
        seconds meter.timing.boot),
    key!("meter.timing.busy_permille", Timing, &[], "Operations out of a thousand that are answered as busy", "50",
        defect number 0..=1000 meter.timing.busy_permille),
    key!("meter.timing.busy_after_write_s", Timing, &[], "After an operation that changed it the device is busy for so long", "5",
        seconds meter.timing.busy_after_write),
];
