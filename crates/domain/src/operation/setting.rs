//! What can be set in a device, as one typed value per kind of setting, readable back in the same form.
//!
//! Times of day are minutes after local midnight, days of the week 1 (Monday) to 7. Money is in thousandths of a penny
//! (milli-pence), prices in milli-pence per kWh (a gas meter converts by its calorific value and factor), standing charges per day.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{PaymentMode, octets};
use crate::{ParseError, SimInstant};

/// A date in which any part may be left open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnyDate {
    /// Four digits; none for every year.
    pub year: Option<u16>,
    /// 1 to 12; none for every month.
    pub month: Option<u8>,
    /// 1 to 31, or one of the two words; none for every day.
    pub day: Option<AnyDay>,
    /// 1 to 7; none for every day of the week.
    pub day_of_week: Option<u8>,
}

/// A day of a month.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum AnyDay {
    /// 1 to 31.
    Day(u8),
    /// The last of the month.
    Last,
    /// The last but one.
    SecondLast,
}

/// What prices a stretch of a day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TariffAction {
    /// Block prices of time band n (1 to 8; 1 for gas).
    Block(u8),
    /// Time-of-use register n (1 to 48; to 4 for gas and the second element).
    Tou(u8),
}

/// One day of a switching table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffDay {
    /// Its number, from 1.
    pub id: u8,
    /// Minute of the day and what holds from then on, in order.
    pub switches: Vec<(u16, TariffAction)>,
}

/// One week of a switching table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffWeek {
    /// Its number, from 1.
    pub id: u8,
    /// Day numbers from Monday to Sunday.
    pub days: [u8; 7],
}

/// One season of a switching table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffSeason {
    /// Up to 8 characters; empty where the form has none (gas).
    pub name: String,
    /// When it begins.
    pub from: AnyDate,
    /// Week number.
    pub week: u8,
}

/// When which register or block counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchingTable {
    /// Days, at most 16.
    pub days: Vec<TariffDay>,
    /// Weeks, at most 4.
    pub weeks: Vec<TariffWeek>,
    /// Seasons, at most 4.
    pub seasons: Vec<TariffSeason>,
    /// Special dates with their day number, at most 50.
    pub special_days: Vec<(AnyDate, u8)>,
}

impl SwitchingTable {
    /// The same switches, each a minute of the day with what counts from then on, every day of every year: one season of that
    /// name ([`TariffSeason::name`]).
    #[must_use]
    pub fn every_day(season: &str, switches: Vec<(u16, TariffAction)>) -> Self {
        Self {
            days: vec![TariffDay { id: 1, switches }],
            weeks: vec![TariffWeek { id: 1, days: [1; 7] }],
            seasons: vec![TariffSeason {
                name: season.to_owned(),
                from: AnyDate {
                    year: None,
                    month: Some(1),
                    day: Some(AnyDay::Day(1)),
                    day_of_week: None,
                },
                week: 1,
            }],
            special_days: Vec::new(),
        }
    }
}

/// A currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Currency {
    /// European Central Bank: the euro.
    Ecb,
    /// Pound sterling.
    #[default]
    Gbp,
}

/// A tariff without its prices.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffTables {
    /// Currency of the prices.
    pub currency: Currency,
    /// When what counts.
    pub switching: SwitchingTable,
    /// Block thresholds by time band (Wh or litres): up to 8 bands of up to 3 thresholds.
    pub thresholds: Vec<Vec<u64>>,
}

/// Prices of a tariff. Lists are by register, from 1; a price that was not given is none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Milli-pence per day.
    pub standing_charge_mp: i64,
    /// Milli-pence per unit by time-of-use register.
    pub tou_mp: Vec<Option<i64>>,
    /// Milli-pence per unit by time band and block (1 to 4).
    pub block_mp: Vec<Vec<Option<i64>>>,
    /// How many thresholds of each band are in use; all where it is not said.
    pub thresholds_used: Option<u8>,
    /// Their currency, where the form states it with the prices (gas).
    pub currency: Option<Currency>,
}

/// A minute of the day and whether non-disablement begins or ends then.
pub type NonDisablementSwitch = (u16, bool);

/// When a prepayment meter must not cut supply for lack of credit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonDisablementCalendar {
    /// Rules of the electricity form.
    pub rules: Vec<NonDisablementRule>,
    /// Days of the gas form: day number and switches.
    pub days: Vec<(u8, Vec<NonDisablementSwitch>)>,
    /// Weeks of the gas form.
    pub weeks: Vec<TariffWeek>,
    /// Seasons of the gas form.
    pub seasons: Vec<TariffSeason>,
    /// Special dates: number of the special day (electricity) or of the day (gas).
    pub special_days: Vec<(AnyDate, u8)>,
}

/// One rule of the electricity form of a non-disablement calendar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonDisablementRule {
    /// True where non-disablement begins, false where it ends.
    pub start: bool,
    /// Minute of the day.
    pub minute: u16,
    /// First day; without a year, every year's.
    pub from: AnyDate,
    /// Last day; without a year, every year's.
    pub to: AnyDate,
    /// Days of the week it holds on; empty for all.
    pub days_of_week: Vec<u8>,
    /// Numbers of special days it holds on.
    pub special_days: Vec<u8>,
}

/// How prepayment is done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepaymentConfiguration {
    /// Most debt recovered per week, milli-pence.
    pub debt_recovery_rate_cap_mp: i64,
    /// Milli-pence.
    pub emergency_credit_limit_mp: i64,
    /// Milli-pence.
    pub emergency_credit_threshold_mp: i64,
    /// Milli-pence.
    pub low_credit_threshold_mp: i64,
    /// Milli-pence.
    pub maximum_balance_mp: i64,
    /// Milli-pence.
    pub maximum_credit_mp: i64,
    /// When supply is not cut.
    pub non_disablement: NonDisablementCalendar,
}

/// How often a time-based debt is charged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum RecoveryPeriod {
    /// Every day.
    #[default]
    Daily,
    /// Every hour.
    Hourly,
}

/// Debts and their recovery.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebtChange {
    /// Added to time-based debt 1 and 2, milli-pence; may be negative.
    pub time_debt_mp: [i64; 2],
    /// Added to the payment-based debt, milli-pence; may be negative.
    pub payment_debt_mp: i64,
    /// Hundredths of a per cent of each payment.
    pub per_payment: u16,
    /// Rate of recovery of time-based debt 1 and 2, milli-pence, and its period.
    pub recovery: [(i64, RecoveryPeriod); 2],
}

/// When billing snapshots are taken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingCalendar {
    /// Minute of the day.
    pub minute: u16,
    /// Start of the first period, in the gas form.
    pub start: Option<SimInstant>,
    /// How often.
    pub period: BillingPeriod,
}

/// Length of a billing period.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum BillingPeriod {
    /// Every day.
    Daily,
    /// On this day of the month (1 to 28).
    Monthly(u8),
    /// Every three months: day, first month.
    Quarterly(u8, u8),
    /// Every six months: day, first month.
    SixMonthly(u8, u8),
    /// On this day of the week.
    Weekly(u8),
    /// Every year: day, month.
    Yearly(u8, u8),
}

/// Load limiting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadLimit {
    /// Seconds above the threshold before it acts.
    pub period_s: u32,
    /// W.
    pub threshold_w: u32,
    /// Seconds after which supply is armed again.
    pub restoration_s: u32,
    /// Whether it cuts supply, or only counts and alerts.
    pub disables: bool,
}

/// Voltage limits; tenths of a volt and seconds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageSettings {
    /// Measurement period and threshold of: extreme over, extreme under, sag, swell.
    pub extremes: [(u32, u32); 4],
    /// Per phase (1 or 3): average over threshold, average under threshold, measurement period.
    pub averages: Vec<(u32, u32, u32)>,
    /// Counters are left as they are.
    pub keep_counters: bool,
}

/// Uncontrolled flow and supply loss of a gas meter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasFlow {
    /// Flow rate as the request states it, in thousandths of its unit.
    pub uncontrolled_flow_milli: u64,
    /// Supply state on loss of supply.
    pub depletion_locks: bool,
    /// Supply state on tamper.
    pub tamper_locks: bool,
    /// Tenths of a second, as a count.
    pub stabilisation: u32,
    /// Seconds, as a count.
    pub measurement: u32,
}

/// Which alerts are sent and which events logged: event code and yes or no.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertBehaviour {
    /// Alert sent over the WAN.
    pub wan: Vec<(u16, bool)>,
    /// Alert sent over the HAN.
    pub han: Vec<(u16, bool)>,
    /// Audible alarm.
    pub alarm: Vec<(u16, bool)>,
    /// Entry in the log.
    pub logged: Vec<(u16, bool)>,
}

/// How the customer pays, and what goes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentSetting {
    /// The mode.
    pub mode: PaymentMode,
    /// Debt recovery stops while supply is disabled.
    pub suspend_debt_disabled: bool,
    /// Debt recovery stops while emergency credit is used.
    pub suspend_debt_emergency: bool,
    /// Milli-pence.
    pub disablement_threshold_mp: i64,
}

/// Makes [`Setting`] and [`SettingKind`] out of one list. Append, never reorder.
macro_rules! settings {
    ($($(#[$doc:meta])* $kind:ident($value:ty),)+) => {
        /// One setting with its value.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Setting {
            $($(#[$doc])* $kind($value),)+
        }

        /// A setting without its value.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum SettingKind {
            $($(#[$doc])* $kind,)+
        }

        impl SettingKind {
            /// All kinds, in their order.
            pub const ALL: [Self; [$(stringify!($kind)),+].len()] = [$(Self::$kind),+];

            /// The name on the wire and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }
        }

        impl Setting {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> SettingKind {
                match self {
                    $(Self::$kind(_) => SettingKind::$kind,)+
                }
            }
        }

        impl FromStr for SettingKind {
            type Err = ParseError;

            fn from_str(name: &str) -> Result<Self, ParseError> {
                match name {
                    $(stringify!($kind) => Ok(Self::$kind),)+
                    _ => Err(ParseError::new("the name of a setting such as LoadLimit", name)),
                }
            }
        }
    };
}

settings! {
    /// Which alerts are sent and logged.
    AlertBehaviour(AlertBehaviour),
    /// When billing snapshots are taken.
    BillingCalendar(BillingCalendar),
    /// Whether block counters are reset every day.
    DailyBlockReset(bool),
    /// Export metering point: digits.
    ExportMpan(String),
    /// Calorific value (thousandths of MJ per cubic metre) and conversion factor (hundred-thousandths).
    GasConversion((u64, u64)),
    /// Uncontrolled flow.
    GasFlow(GasFlow),
    /// Import metering point and, where there is a second one, that: digits.
    ImportMpxn((String, Option<String>)),
    /// Load limiting.
    LoadLimit(LoadLimit),
    /// First and last minute of the day in which the configurable maximum demand is watched.
    MaximumDemandPeriod((u16, u16)),
    /// Credit or prepayment.
    PaymentMode(PaymentSetting),
    /// Low to medium and medium to high, W.
    PowerThresholds((u32, u32)),
    /// Prepayment limits.
    PrepaymentConfiguration(PrepaymentConfiguration),
    /// Prices of the first element, or of gas.
    Prices(Prices),
    /// Prices of the second element.
    SecondaryPrices(Prices),
    /// Tariff of the second element, without prices.
    SecondaryTariff(TariffTables),
    /// The supplier's name (15 characters) and telephone number (18).
    SupplierName((String, String)),
    /// Whether a tampered meter cuts its supply.
    SupplyTamperLocks(bool),
    /// Tariff of the first element, or of gas, without prices.
    Tariff(TariffTables),
    /// Voltage limits.
    Voltage(VoltageSettings),
    /// Largest random delay of switching times, seconds.
    RandomisedOffsetLimit(u16),
}

/// SHA-256 over settings in this order, as hexadecimal digits; `None` when there are none. What two operators compare to
/// see that a device is set as it should be.
#[must_use]
pub fn digest_of_settings<'s>(settings: impl IntoIterator<Item = &'s Setting>) -> Option<String> {
    let mut digest = Sha256::new();
    let mut any = false;
    for setting in settings {
        let octets = octets::write(setting);
        digest.update(setting.kind().name().as_bytes());
        digest.update((octets.len() as u64).to_be_bytes());
        digest.update(octets);
        any = true;
    }
    any.then(|| digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect())
}
