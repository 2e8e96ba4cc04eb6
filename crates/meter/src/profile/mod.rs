//! What one device profile does: plain data that `dmc` fills and every call is given.

mod rules;

use std::collections::BTreeSet;

use domain::keys::RelationSecret;
use domain::operation::{CriticalOperations, OperationKind};
use domain::{SimDuration, SimInstant, SupplyState};

pub use rules::{
    AlertRules, ClockRules, DarkHalfHours, GasUnit, HanRules, ImageRules, LoadLimitRules, LogRules, Midnight,
    PowerRules, PrepaymentRules, Relay, Rounding, SupplierChange, SupplyRules, TariffRules, TimingRules, TokenAction,
    TokenKind, TokenRules, TokenWords, ValueRules,
};

/// Behaviour of one device profile. `Default` is a plain SMETS1 device; most figures of it are recalled minimums of
/// SMETS1 v1.2, whose text was not found.
///
/// One struct serves all kinds of device; each field says which kind reads it where that is not all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The firmware identifier as the device itself reports it.
    pub firmware: String,
    /// Its manufacturer as the device itself reports it.
    pub manufacturer: String,
    /// Its model as the device itself reports it.
    pub model: String,
    /// What this device refuses as not supported, beyond what its kind has no use for.
    pub unsupported: BTreeSet<OperationKind>,
    /// It can be operated under dual control, by the S1SP with approvals of the DCO; without it cannot be enrolled.
    pub dual_control: bool,

    /// The clock runs fast or slow by up to this many parts per million; the seed says how much.
    pub clock_drift_ppm_max: u32,
    /// When a synchronisation sets the clock.
    pub clock_rule: ClockRule,
    /// A synchronisation that would move the clock further than this is refused with an alert. `None`: no limit.
    pub clock_adjust_limit: Option<SimDuration>,
    /// A clock not confirmed for so long calls itself unreliable. `None`: it never does.
    pub clock_reliable_for: Option<SimDuration>,
    /// Without mains for longer than this the clock stands still and is invalid until it is set (CHF, ESME). `None`: it
    /// runs on.
    pub clock_survives_outage: Option<SimDuration>,

    /// Days of half-hourly consumption.
    pub import_profile_days: u16,
    /// Days of half-hourly export and reactive import (ESME).
    pub other_profile_days: u16,
    /// Entries of the daily read log.
    pub daily_log_entries: u16,
    /// Entries of the billing data log.
    pub billing_log_entries: u16,
    /// Days of the log of daily consumption.
    pub consumption_log_entries: u16,
    /// Entries of the event log; the oldest is overwritten.
    pub event_log_entries: u16,
    /// Entries of the log of power events; the oldest is overwritten (ESME).
    pub power_log_entries: u16,
    /// Entries of the security log; the oldest is overwritten.
    pub security_log_entries: u16,
    /// Half-hourly values are shown times this ...
    pub profile_multiplier: u32,
    /// ... divided by this (zero counts as one), rounded down.
    pub profile_divisor: u32,

    /// Enabling the supply leaves it armed: the consumer must act (ESME).
    pub enable_means_arm: bool,
    /// Arming is refused unless the supply is disabled; otherwise arming an enabled supply changes nothing.
    pub arm_needs_disabled: bool,
    /// State of a supply that was disabled for lack of credit, once there is enough again.
    pub credit_restores_to: SupplyState,

    /// Alerts that are not sent; the event is logged all the same.
    pub suppressed_alerts: BTreeSet<u16>,
    /// Security alerts of one device are at least so far apart; every event is logged all the same.
    pub security_alert_gap: SimDuration,
    /// Events that are not logged.
    pub unlogged_events: BTreeSet<u16>,
    /// An outage of at least this length is reported as a long one (ESME).
    pub long_outage: SimDuration,

    /// Time between two wakes (GSME).
    pub wake_period: SimDuration,
    /// Wakes out of a thousand that do not reach the hub (GSME).
    pub han_loss_permille: u16,
    /// The result of a queued command leaves so many wakes after its execution (GSME).
    pub result_delay_wakes: u8,
    /// Days of battery at installation (GSME).
    pub battery_days: u16,
    /// Time from a report of the gas meter to its being readable (GPF).
    pub mirror_lag: SimDuration,
    /// Devices that the hub's device log has room for (CHF).
    pub device_log_entries: u16,
    /// Commands held for sleeping devices (CHF); one more is refused as busy.
    pub han_queue_entries: u16,
    /// A command held longer than this is given up as unreachable (CHF).
    pub han_queue_lifetime: SimDuration,

    /// How register and half-hour values are shown.
    pub values: ValueRules,
    /// What logs leave out, and what they hold beside the plain rows.
    pub logs: LogRules,
    /// What the clock does to the rest of the meter.
    pub clock: ClockRules,
    /// Tariffs and register numbers.
    pub tariff: TariffRules,
    /// Prepayment beyond the account itself.
    pub prepayment: PrepaymentRules,
    /// Payment tokens.
    pub tokens: TokenRules,
    /// Load switch and valve.
    pub supply: SupplyRules,
    /// Load limiting.
    pub load_limit: LoadLimitRules,
    /// Maximum demand and voltage.
    pub power: PowerRules,
    /// Home area network and displays.
    pub han: HanRules,
    /// Events and alerts.
    pub alerts: AlertRules,
    /// Firmware images.
    pub image: ImageRules,
    /// How long things take, and what they do to others.
    pub timing: TimingRules,
}

/// When a synchronisation sets the clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClockRule {
    /// Set when it is further than the tolerance from the given time; otherwise it is right enough and stays.
    SetWhenOutside,
    /// Set when it is within the tolerance; otherwise refused with an alert and called unreliable.
    SetWhenWithin,
    /// Set to any time, forward or back, whatever the tolerance.
    SetAlways,
}

/// The profiles of one installation's devices.
#[derive(Clone, Copy, Debug)]
pub struct Profiles<'a> {
    /// Of the hub.
    pub chf: &'a Profile,
    /// Of the electricity meter.
    pub esme: &'a Profile,
    /// Of the gas proxy, where there is gas.
    pub gpf: Option<&'a Profile>,
    /// Of the gas meter, where there is gas.
    pub gsme: Option<&'a Profile>,
    /// Of the prepayment interface, where there is one.
    pub ppmid: Option<&'a Profile>,
    /// Of the in-home display, where there is one.
    pub ihd: Option<&'a Profile>,
}

/// The relation secrets of the device side; no key is stored per device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relations {
    /// Shared with the operator before enrolment.
    pub smso: RelationSecret,
    /// Shared with the S1SP.
    pub s1sp: RelationSecret,
    /// Shared with the DCO.
    pub dco: RelationSecret,
}

/// What every call is given: the time and all that installations share.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// True time of the lab; devices have their own idea of it.
    pub now: SimInstant,
    /// Behaviour of the devices.
    pub profiles: Profiles<'a>,
    /// Key relations.
    pub relations: &'a Relations,
    /// What needs an approval on an enrolled device.
    pub critical: &'a CriticalOperations,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            firmware: "LAB-0000".into(),
            manufacturer: "LAB".into(),
            model: "LAB-0000".into(),
            unsupported: BTreeSet::new(),
            dual_control: true,
            clock_drift_ppm_max: 5,
            clock_rule: ClockRule::SetWhenOutside,
            clock_adjust_limit: None,
            clock_reliable_for: None,
            clock_survives_outage: None,
            import_profile_days: 396,
            other_profile_days: 92,
            daily_log_entries: 14,
            billing_log_entries: 12,
            consumption_log_entries: 731,
            event_log_entries: 100,
            power_log_entries: 100,
            security_log_entries: 100,
            profile_multiplier: 1,
            profile_divisor: 1,
            enable_means_arm: false,
            arm_needs_disabled: false,
            credit_restores_to: SupplyState::Armed,
            suppressed_alerts: BTreeSet::new(),
            security_alert_gap: SimDuration::from_mins(1),
            unlogged_events: BTreeSet::new(),
            long_outage: SimDuration::from_mins(3),
            wake_period: SimDuration::from_mins(30),
            han_loss_permille: 0,
            result_delay_wakes: 0,
            battery_days: 3650,
            mirror_lag: SimDuration::ZERO,
            device_log_entries: 16,
            han_queue_entries: 8,
            han_queue_lifetime: SimDuration::from_hours(24),
            values: ValueRules::default(),
            logs: LogRules {
                billing_on_mode_change: true,
                billing_holds_account: true,
                credit_entries: 5,
                debt_payment_entries: 10,
                monthly_entries: 13,
                ..LogRules::default()
            },
            clock: ClockRules::default(),
            tariff: TariffRules::default(),
            prepayment: PrepaymentRules::default(),
            tokens: TokenRules::default(),
            supply: SupplyRules::default(),
            load_limit: LoadLimitRules::default(),
            power: PowerRules::default(),
            han: HanRules::default(),
            alerts: AlertRules::default(),
            image: ImageRules::default(),
            timing: TimingRules::default(),
        }
    }
}
