//! What can be read of a device, and the names and numbers these things have on every wire of ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SettingKind;
use crate::ParseError;

/// Makes [`DataItem`] out of one list, with its names. The order of the list is the number on disk and in our octets:
/// append, never reorder.
macro_rules! items {
    (
        plain { $($(#[$doc:meta])* $plain:ident,)+ }
        numbered { $($(#[$ndoc:meta])* $numbered:ident <= $max:literal,)+ }
    ) => {
        /// One readable thing of a device.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum DataItem {
            $($(#[$doc])* $plain,)+
            $($(#[$ndoc])* $numbered(u8),)+
            /// Consumption in a matrix of blocks and times: register of block n (1 to 4) in time
            /// band m (1 to 8), Wh.
            BlockTouRegister(u8, u8),
            /// A setting as it stands.
            Setting(SettingKind),
        }

        impl DataItem {
            /// All items without a number, in their order.
            pub const PLAIN: &'static [Self] = &[$(Self::$plain),+];

            /// Every item there is, numbered ones within their ranges.
            pub fn every() -> impl Iterator<Item = Self> {
                let plain = Self::PLAIN.iter().copied();
                let numbered = [$((Self::$numbered as fn(u8) -> Self, $max)),+];
                plain
                    .chain(numbered.into_iter().flat_map(|(make, max): (fn(u8) -> Self, u8)| (1..=max).map(make)))
                    .chain((1..=4).flat_map(|block| (1..=8).map(move |tou| Self::BlockTouRegister(block, tou))))
                    .chain(SettingKind::ALL.into_iter().map(Self::Setting))
            }

            /// The name on the wire and in reports: `ActiveImport`, `TimeDebt.1`, `BlockTouRegister.2.8`,
            /// `Setting.LoadLimit`.
            #[must_use]
            pub fn name(self) -> String {
                match self {
                    $(Self::$plain => stringify!($plain).to_owned(),)+
                    $(Self::$numbered(n) => format!(concat!(stringify!($numbered), ".{}"), n),)+
                    Self::BlockTouRegister(block, tou) => format!("BlockTouRegister.{block}.{tou}"),
                    Self::Setting(kind) => format!("Setting.{}", kind.name()),
                }
            }
        }

        impl FromStr for DataItem {
            type Err = ParseError;

            /// The inverse of [`DataItem::name`]; numbers without leading zeros and within the item's range.
            fn from_str(name: &str) -> Result<Self, ParseError> {
                let unknown = || ParseError::new("the name of a data item such as ActiveImport or TimeDebt.1", name);
                let Some((base, rest)) = name.split_once('.') else {
                    return match name {
                        $(stringify!($plain) => Ok(Self::$plain),)+
                        _ => Err(unknown()),
                    };
                };
                match base {
                    $(stringify!($numbered) => number(rest, $max).map(Self::$numbered),)+
                    "BlockTouRegister" => rest.split_once('.').and_then(|(block, tou)| {
                        Some(Self::BlockTouRegister(number(block, 4)?, number(tou, 8)?))
                    }),
                    "Setting" => SettingKind::ALL.into_iter().find(|kind| kind.name() == rest).map(Self::Setting),
                    _ => None,
                }
                .ok_or_else(unknown)
            }
        }
    };
}

items! {
    plain {
    /// Accumulated debt register, milli-pence.
    AccumulatedDebt,
    /// Total active export, Wh.
    ActiveExport,
    /// Total active import, Wh.
    ActiveImport,
    /// Remaining battery of a gas meter, days, as a count.
    BatteryRemaining,
    /// Device time and its status.
    Clock,
    /// Debt taken from each payment, hundredths of a per cent.
    DebtRecoveryPerPayment,
    /// Most debt recovered per period, milli-pence.
    DebtRecoveryRateCap,
    /// The devices a hub knows (CHF), or those a meter is joined with.
    DeviceLog,
    /// Balance at which supply is disabled, milli-pence.
    DisablementThreshold,
    /// Emergency credit left, milli-pence.
    EmergencyCreditBalance,
    /// Emergency credit granted, milli-pence.
    EmergencyCreditLimit,
    /// Balance below which emergency credit is offered, milli-pence.
    EmergencyCreditThreshold,
    /// Native firmware identifier and DUIS form.
    FirmwareVersion,
    /// Total gas consumption, litres.
    GasConsumption,
    /// Balance that raises a low-credit alert, milli-pence.
    LowCreditThreshold,
    /// Largest single credit accepted, milli-pence.
    MaximumCredit,
    /// Largest balance accepted, milli-pence.
    MaximumMeterBalance,
    /// Meter balance, milli-pence.
    MeterBalance,
    /// Payment-based debt, milli-pence.
    PaymentDebt,
    /// Credit or prepayment.
    PaymentMode,
    /// Total reactive export, varh.
    ReactiveExport,
    /// Total reactive import, varh.
    ReactiveImport,
    /// Active import of the second element, Wh.
    SecondaryActiveImport,
    /// Supply state.
    SupplyState,
    /// Whether debt recovery stops while supply is disabled.
    SuspendDebtDisabled,
    /// Whether debt recovery stops while emergency credit is used.
    SuspendDebtEmergency,
    /// Active power imported now, W.
    ActivePowerImport,
    /// The price in force, milli-pence per kWh.
    ActiveTariffPrice,
    /// The tariff register in force now, as a count from 1.
    ActiveTariffRegister,
    /// Largest half-hourly average of exported power since the last reset, W, with its time.
    MaximumDemandExport,
    /// Largest half-hourly average of imported power since the last reset, W, with its time.
    MaximumDemandImport,
    /// The same within the configurable time of day, W, with its time.
    MaximumDemandImportInPeriod,
    /// How often the load limit acted since its counter was reset.
    LoadLimitCounter,
    /// Whether the supply is cut because of the load limit.
    LoadLimitActive,
    /// Largest random delay of switching times, seconds, as a count.
    RandomisedOffsetLimit,
    /// Random delay of this device, seconds, as a count.
    RandomisedOffset,
    /// Manufacturer, as text.
    Manufacturer,
    /// Model, as text.
    ModelType,
    /// Variant of an electricity meter (DUIS letters), as text.
    MeterVariant,
    /// The date before which consumption is not shown on the HAN, as a clock value.
    AccessRestrictedFrom,
    /// Whether a privacy PIN protects the display.
    PrivacyPinEnabled,
    /// The supplier's message on the display, as text.
    SupplierMessage,
    /// State of firmware transfer.
    ImageStatus,
    /// Gas in the current half-hour or day so far, litres.
    GasConsumptionToday,
    /// Electricity of the current day so far, Wh.
    ActiveImportToday,
    /// Cost of the current day so far, milli-pence.
    CostToday,
    /// Payment taken for debt, milli-pence: in the rows of a debt payment log.
    DebtPayment,
    /// Credit added, milli-pence: in the rows of a credit log.
    CreditAdded,
    /// Cost of consumption, milli-pence: in the rows of a daily log.
    CostOfConsumption,
    /// The average voltage of phase 1, tenths of a volt, as a count: in the rows of the voltage log.
    VoltageAverage,
    /// Daily calorific value, thousandths of MJ per cubic metre, as a count.
    CalorificValue,
    /// Conversion factor, millionths, as a count.
    ConversionFactor,
    /// Key epoch in force, as a count.
    KeyEpoch,
    /// Key epoch staged and not yet in force, as a count; 0 for none.
    StagedKeyEpoch,
    /// Last approval counter accepted, as a count.
    ApprovalCounter,
    /// Tokens refused in a row, as a count.
    TokensRefused,
    /// Operating state of the device's supply switch in its own words, as text (Secure: reason in hexadecimal digits).
    SwitchReason,
    /// All time-of-use registers of the first element, or of gas, as a table of [`TouRegister`](Self::TouRegister).
    TouRegisters,
    /// All time-of-use registers of the second element, as a table of [`SecondaryTouRegister`](Self::SecondaryTouRegister).
    SecondaryTouRegisters,
    /// Consumption by block and time band since fitting, as a table of [`BlockTouRegister`](Self::BlockTouRegister).
    BlockTouRegisters,
    /// The same since the block counters began anew, as a table of [`BlockTouRegister`](Self::BlockTouRegister).
    BlockTouCounters,
    /// Consumption by block since the block counters began anew, as a table of [`BlockRegister`](Self::BlockRegister).
    BlockCounters,
    /// Active power imported now through the first of two elements, W.
    PrimaryActivePowerImport,
    /// The price in force of the second element, milli-pence per kWh.
    SecondaryTariffPrice,
    /// The number from which this device's random delay follows, 0 to 255, as a count.
    RandomisedOffsetNumber,
    /// Serial number as its manufacturer gave it, as text.
    SerialNumber,
    /// The native firmware identifier of the prepayment interface, as the hub has it over the home area network.
    PpmidFirmwareVersion,
    }
    numbered {
        /// Consumption in tariff block n (1 to 4).
        BlockRegister <= 4,
        /// Time-based debt register n (1 or 2), milli-pence.
        TimeDebt <= 2,
        /// Time-of-use register n (1 to 48), Wh or litres.
        TouRegister <= 48,
        /// Time-of-use register n (1 to 4) of the second element, Wh.
        SecondaryTouRegister <= 4,
        /// How often the voltage left its limits, by kind: 1 over, 2 under (averages), 3 extreme over, 4 extreme under,
        /// 5 sag, 6 swell, 7 over-voltage counter of phase 2 and so on in steps of six.
        VoltageCounter <= 18,
        /// State of auxiliary load switch n (1 to 5), as a flag.
        AuxiliaryLoadSwitch <= 5,
        /// Debt recovery rate n (1 or 2), milli-pence per period, as quantity in milli-pence.
        DebtRecoveryRate <= 2,
        /// Whether debt n (1 or 2) is recovered every hour; otherwise every day.
        DebtRecoveryHourly <= 2,
    }
}

impl fmt::Display for DataItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl DataItem {
    /// The name in files: `active-import`, `time-debt-1`.
    #[must_use]
    pub fn key(self) -> String {
        kebab(&self.name())
    }
}

impl LogKind {
    /// The name in files: `daily-read`.
    #[must_use]
    pub fn key(self) -> String {
        kebab(self.name())
    }
}

/// Words with hyphens out of `CapitalWords.1` or of words with spaces.
pub(super) fn kebab(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c == '.' || c == ' ' {
            words.push('-');
        } else {
            if c.is_ascii_uppercase() && lower {
                words.push('-');
            }
            words.push(c.to_ascii_lowercase());
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words
}

fn number(digits: &str, max: u8) -> Option<u8> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|n| plain && (1..=max).contains(n))
}

/// Makes [`LogKind`] out of one list, with its names. Append, never reorder.
macro_rules! logs {
    ($($(#[$doc:meta])* $log:ident,)+) => {
        /// One log of a device.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum LogKind {
            $($(#[$doc])* $log,)+
        }

        impl LogKind {
            /// All logs, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$log),+];

            /// The name on the wire and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$log => stringify!($log),)+
                }
            }
        }

        impl FromStr for LogKind {
            type Err = ParseError;

            fn from_str(name: &str) -> Result<Self, ParseError> {
                match name {
                    $(stringify!($log) => Ok(Self::$log),)+
                    _ => Err(ParseError::new("the name of a log such as DailyRead", name)),
                }
            }
        }
    };
}

logs! {
    /// Half-hourly active export, Wh.
    ActiveExport,
    /// Half-hourly consumption: active import in Wh (ESME) or gas in litres (GPF, GSME).
    ActiveImport,
    /// Snapshots at billing points of the billing calendar.
    Billing,
    /// Registers at local midnight.
    DailyRead,
    /// Events.
    Event,
    /// Half-hourly reactive import, varh.
    ReactiveImport,
    /// Security events.
    Security,
    /// Snapshots at a change of payment mode or tariff.
    BillingModeOrTariff,
    /// Credits added in prepayment.
    Credits,
    /// Consumption and cost of whole days.
    DailyConsumption,
    /// Payments taken for debt.
    DebtPayments,
    /// Export registers at local midnight.
    ExportDailyRead,
    /// Network data: average voltages (ESME), gas flow (GSME).
    Network,
    /// Power outages and restorations.
    PowerEvent,
    /// Prepayment registers at local midnight.
    PrepaymentDailyRead,
    /// Half-hourly reactive export, varh.
    ReactiveExport,
    /// Events of the auxiliary load switches.
    AuxiliaryLoad,
    /// Events of the gas meter as its proxy keeps them (GPF).
    GasMeterEvent,
    /// Security events of the gas meter as its proxy keeps them (GPF).
    GasMeterSecurity,
    /// Half-hourly active import of the second element, Wh.
    SecondaryActiveImport,
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_one_name() {
        let mut names = std::collections::BTreeSet::new();
        for item in DataItem::every() {
            assert_eq!(item.name().parse(), Ok(item));
            assert!(names.insert(item.name()), "{item}");
        }
        for name in [
            "",
            "activeImport",
            "TimeDebt",
            "TimeDebt.0",
            "TimeDebt.3",
            "TimeDebt.01",
            "TimeDebt.+1",
            "Clock.1",
            "BlockTouRegister.1",
            "BlockTouRegister.5.1",
            "Setting.",
            "Setting.Nothing",
        ] {
            assert!(name.parse::<DataItem>().is_err(), "{name}");
        }
        assert_eq!(DataItem::TimeDebt(2).key(), "time-debt-2");
        assert_eq!(DataItem::Setting(SettingKind::LoadLimit).key(), "setting-load-limit");
        for log in LogKind::ALL {
            assert_eq!(log.name().parse(), Ok(*log));
        }
    }
}
