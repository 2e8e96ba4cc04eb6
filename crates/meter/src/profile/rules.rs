//! Groups of a profile's fields: what one kind of rule can say. Each `Default` is the plain device.

use std::collections::BTreeSet;

use domain::SimDuration;
use domain::utrn::CodeForm;

/// How register and half-hour values are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueRules {
    /// Registers are shown in whole multiples of this many Wh, varh or litres (zero counts as one).
    pub register_step: u32,
    /// Half-hourly values are shown in whole multiples of this (zero counts as one).
    pub profile_step: u32,
    /// Towards where values are brought to their step.
    pub rounding: Rounding,
    /// A register begins again at zero when it would show this many Wh, varh or litres. `None`: it does not in our time.
    pub register_wrap: Option<u32>,
    /// Registers are as they were at the last whole multiple of this time (UTC). Zero: as they are.
    pub refresh: SimDuration,
    /// In what a gas meter and its proxy state consumption.
    pub gas_unit: GasUnit,
}

impl Default for ValueRules {
    fn default() -> Self {
        Self {
            register_step: 1,
            profile_step: 1,
            rounding: Rounding::Down,
            register_wrap: None,
            refresh: SimDuration::ZERO,
            gas_unit: GasUnit::Litre,
        }
    }
}

/// Towards where a value is brought to its step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rounding {
    /// Down: what is not complete does not count.
    Down,
    /// To the nearest, halves up.
    Nearest,
    /// Up.
    Up,
}

/// In what gas is stated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GasUnit {
    /// Thousandths of a cubic metre.
    Litre,
    /// Watt-hours, by the usual calorific value: the operator has to convert them.
    WattHour,
}

/// What logs leave out, and what they hold beside the plain rows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogRules {
    /// At which midnight daily and billing snapshots are taken.
    pub midnight: Midnight,
    /// No daily snapshot for a day that was wholly without mains (ESME).
    pub skips_dark_days: bool,
    /// What stands for half-hours that were wholly without mains (ESME).
    pub dark_half_hours: DarkHalfHours,
    /// An outage of at least this length empties the half-hourly logs (ESME). `None`: none does.
    pub emptied_by_outage: Option<SimDuration>,
    /// Half-hours out of a thousand that are missing, the same ones at every read.
    pub lost_permille: u16,
    /// Missing half-hours of [`lost_permille`](Self::lost_permille) are there after all when they are so old. `None`: never.
    pub lost_until: Option<SimDuration>,
    /// Profiles of what the home does not have (export without generation) are refused instead of being zero (ESME).
    pub channels_as_configured: bool,
    /// A change of payment mode writes a billing snapshot.
    pub billing_on_mode_change: bool,
    /// Billing snapshots hold account and debts beside the registers.
    pub billing_holds_account: bool,
    /// Entries of prepayment credits kept.
    pub credit_entries: u8,
    /// Entries of payment-based debt payments kept.
    pub debt_payment_entries: u8,
    /// Months of monthly totals kept.
    pub monthly_entries: u8,
    /// Gas flow can be recorded in short steps when that is asked for (GSME).
    pub records_flow: bool,
    /// Event log reads merge several logs, so rows come log by log and in each by time, not by time over all.
    pub split_event_logs: bool,
}

/// At which midnight a day ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Midnight {
    /// UK civil time.
    #[default]
    Local,
    /// Standard time: UTC, also in summer.
    Standard,
}

/// What stands for half-hours without mains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DarkHalfHours {
    /// A row that says nothing was used.
    #[default]
    Zero,
    /// A row that says nothing was used, with the event code of the outage.
    Marked,
    /// No row.
    Missing,
}

/// What a clock does to the rest of a meter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClockRules {
    /// While the clock is invalid the rate of that moment stays and neither half-hours nor snapshots are written (ESME).
    pub invalid_freezes: bool,
    /// The hub corrects the meter's clock so often (ESME, GSME at its wakes). Zero: never by itself.
    pub hub_sync: SimDuration,
    /// A correction by the hub is logged with this code instead of the one for a setting from afar. `None`: not logged.
    pub hub_sync_event: Option<u16>,
    /// Which clock switches rates.
    pub tariff: Midnight,
}

/// What tariffs a meter takes, and how it numbers its registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TariffRules {
    /// Time-of-use registers at most.
    pub tou_max: u8,
    /// Blocks at most.
    pub blocks_max: u8,
    /// Time-of-use registers within each block; 0: no tariff with both.
    pub block_tou_max: u8,
    /// Meter's number of the n-th register of the tariff; those beyond its end keep theirs. Empty: all keep theirs.
    pub register_order: Vec<u8>,
    /// A tariff takes force at the midnight after it was sent, not at once.
    pub starts_at_midnight: bool,
    /// Writing a tariff resets its block counters.
    pub write_resets_blocks: bool,
    /// Prices are cut to whole multiples of this many milli-pence per kWh (zero counts as one).
    pub price_step_mp: u32,
}

impl Default for TariffRules {
    fn default() -> Self {
        Self {
            tou_max: 48,
            blocks_max: 4,
            block_tou_max: 8,
            register_order: Vec::new(),
            starts_at_midnight: false,
            write_resets_blocks: false,
            price_step_mp: 1,
        }
    }
}

/// How prepayment behaves beyond the account itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrepaymentRules {
    /// Going to prepayment without credit keeps the supply on until credit next runs out.
    pub mode_change_keeps_supply: bool,
    /// Going to prepayment without credit activates emergency credit at once.
    pub mode_change_grants_emergency: bool,
    /// A supply that was off for lack of credit is armed by any change of mode.
    pub mode_change_arms: bool,
    /// A mode change whose time fell into an outage happens when mains return; otherwise it is dropped.
    pub mode_change_catches_up: bool,
    /// A refused change of mode raises an alert.
    pub mode_refusal_alerts: bool,
    /// There is a third mode, "default", in which a meter is found before it is configured.
    pub default_mode: bool,
    /// Emergency credit needs the consumer; a remote activation is refused.
    pub emergency_by_consumer: bool,
    /// Supply goes on for so long after a non-disablement period has ended.
    pub non_disablement_grace: SimDuration,
    /// The end of a non-disablement period is announced by an event so long before. `None`: it is not.
    pub non_disablement_warning: Option<SimDuration>,
    /// Debts that time recovers.
    pub time_debts: u8,
    /// Debt that could not be taken adds up in a register of its own; otherwise it is simply taken later.
    pub accumulates_debt: bool,
    /// A supplier change does all of these by itself.
    pub supplier_change: SupplierChange,
}

impl Default for PrepaymentRules {
    fn default() -> Self {
        Self {
            mode_change_keeps_supply: true,
            mode_change_grants_emergency: false,
            mode_change_arms: false,
            mode_change_catches_up: true,
            mode_refusal_alerts: false,
            default_mode: false,
            emergency_by_consumer: false,
            non_disablement_grace: SimDuration::ZERO,
            non_disablement_warning: None,
            time_debts: 2,
            accumulates_debt: true,
            supplier_change: SupplierChange::default(),
        }
    }
}

/// What a change of supplier or tenancy does at the meter by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SupplierChange {
    /// Writes a billing snapshot.
    pub bills: bool,
    /// Sets the balance to zero.
    pub resets_balance: bool,
    /// Sets all debts to zero.
    pub resets_debts: bool,
    /// Goes back to the tariff the meter was fitted with.
    pub resets_tariff: bool,
}

/// What payment tokens a meter takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRules {
    /// The form of the codes: the family's, not a rule of its own.
    pub form: CodeForm,
    /// Lengths in digits; any other is refused before anything else is looked at.
    pub lengths: BTreeSet<u8>,
    /// Wrong tokens in a row that lock entry. Zero: none do.
    pub lock_attempts: u8,
    /// Only wrong tokens within this time count. `None`: all in a row.
    pub lock_window: Option<SimDuration>,
    /// How long entry is locked.
    pub lock_for: SimDuration,
    /// A locked entry also refuses tokens from afar.
    pub lock_remote: bool,
    /// Accepted tokens remembered, so that one of them is called a duplicate; an older one is called wrong.
    pub history: u8,
    /// Each refusal raises an alert.
    pub refusal_alerts: bool,
    /// A token in credit mode is refused.
    pub refused_in_credit_mode: bool,
    /// What tokens can be for beside credit.
    pub kinds: BTreeSet<TokenKind>,
    /// What a credit token may do with the balance beside adding to it.
    pub actions: BTreeSet<TokenAction>,
    /// The words in which refusals are reported.
    pub words: TokenWords,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            form: CodeForm::default(),
            lengths: BTreeSet::from([20]),
            lock_attempts: 0,
            lock_window: None,
            lock_for: SimDuration::ZERO,
            lock_remote: false,
            history: 50,
            refusal_alerts: false,
            refused_in_credit_mode: true,
            kinds: BTreeSet::new(),
            actions: BTreeSet::new(),
            words: TokenWords::Plain,
        }
    }
}

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TokenKind {
    /// Engineer's acts: default mode, local port, clear logs, clear identities.
    Engineering,
    /// Gives the balance back to the supplier.
    RetainCredit,
    /// Acts on the load switch.
    Switch,
    /// Brings a tariff.
    Tariff,
}

/// What a credit token does with the balance beside adding to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TokenAction {
    /// Takes from it.
    Deduct,
    /// Puts another in its place.
    Overwrite,
}

/// The words for refused tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TokenWords {
    /// Each cause that this lab tells apart (invented).
    Plain,
    /// Credit already used, and everything else that is no right code: invalid.
    UsedOrInvalid,
    /// Duplicate, invalid (other meter), incorrect, incomplete, account high, account low.
    SixCauses,
}

/// What the load switch or valve does beyond the three states.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SupplyRules {
    /// The causes for which the switch is open are logged with each change, as a set.
    pub logs_causes: bool,
    /// A tamper event opens the switch; clearing it arms the supply and sets its counter to zero.
    pub tamper_opens: bool,
    /// The consumer must confirm within this time of the first key, else the supply stays armed. `None`: one act is enough.
    pub confirm_within: Option<SimDuration>,
    /// A valve that finds gas flowing while it opens, in litres an hour above this, is armed again (GSME). `None`: not looked at.
    pub reopen_flow_limit: Option<u32>,
    /// A valve fault is reported when the valve has not moved for so long (GSME). `None`: none is.
    pub valve_fault_after: Option<SimDuration>,
    /// Cutting the supply resets the hub of the installation, which loses its connection (ESME).
    pub cut_resets_hub: bool,
    /// Auxiliary load switches, at most five (ESME).
    pub auxiliary_switches: u8,
}

/// Load limiting (ESME).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadLimitRules {
    /// Shortest averaging window.
    pub window_min: SimDuration,
    /// Longest averaging window.
    pub window_max: SimDuration,
    /// After a trip the supply is armed: the consumer reconnects. Otherwise it comes back by itself.
    pub trip_arms: bool,
    /// A window in which limits, clock or mains changed does not count.
    pub disturbed_window_skipped: bool,
    /// A second, lower limit can hold while emergency credit is used.
    pub emergency_limit: bool,
    /// The counter is cleared by a command of its own only.
    pub counter_by_command: bool,
    /// Most watts a limit may be set to.
    pub limit_max_w: u32,
}

impl Default for LoadLimitRules {
    fn default() -> Self {
        Self {
            window_min: SimDuration::from_secs(1),
            window_max: SimDuration::from_secs(86_400),
            trip_arms: false,
            disturbed_window_skipped: false,
            emergency_limit: false,
            counter_by_command: true,
            limit_max_w: 100_000,
        }
    }
}

/// Maximum demand and voltage (ESME).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PowerRules {
    /// Integration period of the maximum demand in minutes.
    pub demand_period_min: u8,
    /// Maximum demand begins anew at each billing point.
    pub demand_reset_by_billing: bool,
    /// Averaging periods of the voltage, in minutes; empty: any.
    pub voltage_periods_min: BTreeSet<u8>,
    /// Another averaging period empties the voltage log.
    pub voltage_period_empties_log: bool,
    /// Entries of the voltage log.
    pub voltage_entries: u16,
}

impl Default for PowerRules {
    fn default() -> Self {
        Self {
            demand_period_min: 30,
            demand_reset_by_billing: false,
            voltage_periods_min: BTreeSet::new(),
            voltage_period_empties_log: false,
            voltage_entries: 4320,
        }
    }
}

/// The hub's home area network, and what displays show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HanRules {
    /// Devices joined at most, the gas proxy not counted (CHF).
    pub devices_max: u8,
    /// Only devices of the hub's own manufacturer join: HAN keys are the manufacturer's (CHF).
    pub own_devices_only: bool,
    /// The hub reports when a device behind it goes silent or comes back (CHF).
    pub reports_connection: bool,
    /// What the hub hands on to HAN devices; empty: everything it is given (CHF).
    pub relays: BTreeSet<Relay>,
    /// A device that was away joins again by itself within this time (PPMID, IHD). `None`: not by itself.
    pub rejoin_within: Option<SimDuration>,
    /// How old shown electricity figures may be (PPMID, IHD).
    pub electricity_refresh: SimDuration,
    /// How old shown gas figures may be (PPMID, IHD).
    pub gas_refresh: SimDuration,
    /// Supplier messages kept (PPMID, IHD).
    pub messages_max: u8,
    /// Messages come in classes, of which the higher block the display until they are acknowledged (PPMID, IHD).
    pub messages_block: bool,
    /// A token can be entered here (PPMID).
    pub takes_tokens: bool,
}

impl Default for HanRules {
    fn default() -> Self {
        Self {
            devices_max: 16,
            own_devices_only: false,
            reports_connection: false,
            relays: BTreeSet::new(),
            rejoin_within: Some(SimDuration::from_mins(60)),
            electricity_refresh: SimDuration::from_secs(10),
            gas_refresh: SimDuration::from_mins(30),
            messages_max: 10,
            messages_block: false,
            takes_tokens: true,
        }
    }
}

/// What a hub hands on to other devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Relay {
    /// Clearing a log.
    ClearLog,
    /// Setting the clock.
    Clock,
    /// Credit.
    Credit,
    /// Payment mode.
    PaymentMode,
    /// Change of supplier or tenancy.
    SupplierChange,
    /// Arming and closing the valve.
    Supply,
    /// Tariffs.
    Tariff,
}

/// Which events a device has, and how it reports them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertRules {
    /// Only these events raise an alert, whatever others do by default. `None`: the usual ones.
    pub only: Option<BTreeSet<u16>>,
    /// These events raise an alert although they usually are only logged.
    pub added: BTreeSet<u16>,
    /// Each of these alerts is sent twice.
    pub doubled: BTreeSet<u16>,
    /// Codes that this device sends in place of others, as (usual, own).
    pub renamed: Vec<(u16, u16)>,
    /// Event codes outside the mandated set; they are reported as non-mandated.
    pub non_mandated: BTreeSet<u16>,
}

impl AlertRules {
    /// Whether an event with this code raises an alert, when usually it does or does not.
    pub(crate) fn pushes(&self, code: u16, usually: bool) -> bool {
        match &self.only {
            Some(only) => only.contains(&code),
            None => usually || self.added.contains(&code),
        }
    }

    /// The code this device has for an event.
    pub(crate) fn own_code(&self, code: u16) -> u16 {
        let renamed = self.renamed.iter().find(|(usual, _)| *usual == code);
        renamed.map_or(code, |(_, own)| *own)
    }
}

/// Firmware: transfer, verification, activation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageRules {
    /// Largest block taken, octets.
    pub block_max: u16,
    /// Largest image taken, octets.
    pub size_max: u32,
    /// How long a verification takes.
    pub verify: SimDuration,
    /// How long the device is away after an activation.
    pub reboot: SimDuration,
    /// Identifiers from which this firmware can be reached; empty: from any.
    pub reached_from: BTreeSet<String>,
    /// Only the image verified last can be activated.
    pub only_latest: bool,
    /// An activation fails and the old firmware stays, out of a thousand.
    pub fails_permille: u16,
    /// The image goes to the hub first and from there to the device (CHF).
    pub staged_in_hub: bool,
    /// Metering and application have firmware of their own; an image is for the application.
    pub split: bool,
}

impl Default for ImageRules {
    fn default() -> Self {
        Self {
            block_max: 512,
            size_max: 8 << 20,
            verify: SimDuration::from_secs(30),
            reboot: SimDuration::from_secs(60),
            reached_from: BTreeSet::new(),
            only_latest: false,
            fails_permille: 0,
            staged_in_hub: false,
            split: false,
        }
    }
}

/// What a device does to others, and how long it takes over its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TimingRules {
    /// After mains return the device answers nothing for so long.
    pub boot: SimDuration,
    /// Operations out of a thousand that are answered as busy, drawn from seed and time.
    pub busy_permille: u16,
    /// After an operation that changed it the device is busy for so long.
    pub busy_after_write: SimDuration,
}
