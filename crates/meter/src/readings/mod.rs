//! What a meter can be asked for: items, profiles, daily and billing logs.

mod power;
mod profiles;
mod registers;
mod snapshots;

use domain::operation::{AlertBehaviour, Counter, PaymentMode, Setting, SettingKind};
use domain::seed::mix;
use domain::{DataItem, LogKind, LogRow, Quantity, Refusal, SimDuration, SimInstant, SupplyState, Unit, Value};

use crate::alerts::{ALERT_CODES, AlertCode};
use crate::billing;
use crate::load::Channel;
use crate::meter::Meter;
use crate::prepayment::{Account, DebtPeriod, MICRO};
use crate::profile::{Profile, ValueRules};
use crate::settings;
use crate::supply::Cause;
use crate::switching::{BLOCK, Switching};
use crate::tariff::in_blocks;

/// A meter as it shows itself at an instant: now, or when it last reported to its mirror.
pub(crate) struct View<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) account: &'a Account,
    pub(crate) supply: SupplyState,
    pub(crate) at: SimInstant,
    pub(crate) profile: &'a Profile,
    /// How the meter itself shows values, whoever holds its logs.
    pub(crate) values: &'a ValueRules,
}

impl View<'_> {
    /// An item of the meter itself; `None` when it has no such thing. Clock, firmware and device log are not here.
    pub(crate) fn item(&self, item: DataItem) -> Option<Value> {
        let settings = &self.account.settings;
        let money = |micro: i64| Some(mp(micro.div_euclid(MICRO)));
        let setting = |milli_pence: u32| Some(mp(i64::from(milli_pence)));
        match item {
            DataItem::AccumulatedDebt => money(self.account.accumulated_debt),
            DataItem::BatteryRemaining if self.meter.gas => Some(self.battery()),
            DataItem::DebtRecoveryPerPayment => {
                Some(quantity(i64::from(settings.debt_per_payment), Unit::HundredthPercent))
            }
            DataItem::DebtRecoveryRateCap => setting(settings.debt_cap_mp),
            DataItem::DisablementThreshold => Some(mp(i64::from(settings.disablement_threshold_mp))),
            DataItem::EmergencyCreditBalance => money(self.account.emergency_left),
            DataItem::EmergencyCreditLimit => setting(settings.emergency_limit_mp),
            DataItem::EmergencyCreditThreshold => setting(settings.emergency_threshold_mp),
            DataItem::LowCreditThreshold => setting(settings.low_credit_mp),
            DataItem::MaximumCredit => setting(settings.maximum_credit_mp),
            DataItem::MaximumMeterBalance => setting(settings.maximum_balance_mp),
            DataItem::MeterBalance => money(self.account.balance),
            DataItem::PaymentDebt => money(self.account.payment_debt),
            DataItem::PaymentMode if self.meter.unconfigured() => None,
            DataItem::PaymentMode => Some(Value::PaymentMode(self.meter.mode)),
            DataItem::SupplyState => Some(Value::Supply(self.supply)),
            DataItem::SuspendDebtDisabled => Some(Value::Flag(settings.suspend_debt_disabled)),
            DataItem::SuspendDebtEmergency => Some(Value::Flag(settings.suspend_debt_emergency)),
            DataItem::SwitchReason if self.profile.supply.logs_causes => Some(Value::Text(self.meter.switch_reason())),
            DataItem::Manufacturer => Some(Value::Text(self.profile.manufacturer.clone())),
            DataItem::ModelType => Some(Value::Text(self.profile.model.clone())),
            DataItem::TimeDebt(n) | DataItem::DebtRecoveryRate(n) | DataItem::DebtRecoveryHourly(n)
                if n > self.profile.prepayment.time_debts =>
            {
                None
            }
            DataItem::TimeDebt(n) => {
                let index = usize::from(n).checked_sub(1)?;
                money(*self.account.time_debts.get(index)?)
            }
            DataItem::Setting(kind) => self.setting(kind).map(|setting| Value::Setting(Box::new(setting))),
            DataItem::DebtRecoveryRate(n) => {
                let index = usize::from(n).checked_sub(1)?;
                setting(settings.time_debts.get(index)?.rate_mp)
            }
            DataItem::DebtRecoveryHourly(n) => {
                let index = usize::from(n).checked_sub(1)?;
                let period = settings.time_debts.get(index)?.period;
                Some(Value::Flag(period == DebtPeriod::Hourly))
            }
            DataItem::ActiveTariffPrice => Some(mp(self.price_now())),
            DataItem::SecondaryTariffPrice if self.meter.second_element => Some(mp(self.secondary_price_now())),
            DataItem::ActiveTariffRegister => Some(quantity(self.register_now(), Unit::Count)),
            DataItem::TokensRefused => Some(quantity(self.meter.tokens_refused(), Unit::Count)),
            DataItem::SupplierMessage | DataItem::AccessRestrictedFrom | DataItem::PrivacyPinEnabled => {
                self.meter.shown_item(item)
            }
            DataItem::GasConsumptionToday if self.meter.gas => Some(Value::Quantity(self.today())),
            DataItem::ActiveImportToday if !self.meter.gas => Some(Value::Quantity(self.today())),
            DataItem::TouRegisters
            | DataItem::SecondaryTouRegisters
            | DataItem::BlockTouRegisters
            | DataItem::BlockTouCounters
            | DataItem::BlockCounters => self.table(item),
            other if self.meter.gas => self.register(other, self.at).map(Value::Quantity),
            other => self.electrical(other),
        }
    }

    /// A setting as the meter has it in effect, also where nobody ever set it.
    fn setting(&self, kind: SettingKind) -> Option<Setting> {
        Some(match self.meter.setting(kind)? {
            Setting::AlertBehaviour(told) => Setting::AlertBehaviour(self.behaviour(&told)),
            // The gas form states the start of a period; one that nobody set began with the present one.
            Setting::BillingCalendar(mut calendar) if self.meter.gas && calendar.start.is_none() => {
                calendar.start = billing::latest(&calendar, self.at);
                Setting::BillingCalendar(calendar)
            }
            other => other,
        })
    }

    /// What becomes of each event that this meter can have: what its profile says, and over it what it was told.
    fn behaviour(&self, told: &AlertBehaviour) -> AlertBehaviour {
        let profile = self.profile;
        let events = || ALERT_CODES.iter().filter(|alert| alert.log == LogKind::Event);
        let pushed = |alert: &AlertCode| {
            let pushes = profile.alerts.pushes(alert.code, alert.pushed);
            pushes && !profile.suppressed_alerts.contains(&alert.code)
        };
        let usual = AlertBehaviour {
            wan: events().map(|alert| (alert.code, pushed(alert))).collect(),
            logged: events()
                .map(|alert| (alert.code, !profile.unlogged_events.contains(&alert.code)))
                .collect(),
            ..AlertBehaviour::default()
        };
        settings::merged(settings::sorted(usual), told)
    }

    /// An item that only an electricity meter has.
    fn electrical(&self, item: DataItem) -> Option<Value> {
        let both: &[Channel] = if self.meter.second_element {
            &[Channel::Import, Channel::Secondary]
        } else {
            &[Channel::Import]
        };
        let all_day = (0, 0);
        match item {
            DataItem::ActivePowerImport => Some(self.active_power(both)),
            DataItem::PrimaryActivePowerImport if self.meter.second_element => {
                Some(self.active_power(&[Channel::Import]))
            }
            DataItem::MaximumDemandExport => {
                Some(self.maximum_demand(Channel::Export, Counter::MaximumDemandExport, all_day))
            }
            DataItem::MaximumDemandImport => {
                Some(self.maximum_demand(Channel::Import, Counter::MaximumDemandImport, all_day))
            }
            DataItem::MaximumDemandImportInPeriod => {
                let counter = Counter::MaximumDemandImportInPeriod;
                Some(self.maximum_demand(Channel::Import, counter, self.demand_window()))
            }
            DataItem::VoltageCounter(n) => self.voltage_counter(n),
            DataItem::AuxiliaryLoadSwitch(n) => {
                let history = self.meter.history.as_ref();
                let on = history.is_some_and(|history| history.switched_on(n));
                (n <= self.profile.supply.auxiliary_switches).then_some(Value::Flag(on))
            }
            DataItem::LoadLimitCounter => Some(quantity(i64::from(self.meter.load_limit_trips()), Unit::Count)),
            DataItem::LoadLimitActive => Some(Value::Flag(self.meter.supply.has(Cause::Load))),
            DataItem::RandomisedOffset => {
                Some(quantity(i64::try_from(self.random_delay_s()).unwrap_or(0), Unit::Count))
            }
            DataItem::RandomisedOffsetLimit => Some(quantity(self.random_limit(), Unit::Count)),
            DataItem::RandomisedOffsetNumber => Some(quantity(self.random_number(), Unit::Count)),
            // One element, or two; none of ours has three phases.
            DataItem::MeterVariant => {
                let letter = if self.meter.second_element { "B" } else { "A" };
                Some(Value::Text(letter.into()))
            }
            other => self.register(other, self.at).map(Value::Quantity),
        }
    }

    /// The number from which the random delay of this device follows: its own for life.
    fn random_number(&self) -> i64 {
        let drawn = mix(self.meter.metering.load.seed ^ RANDOM_LABEL, 0);
        i64::from(drawn.to_be_bytes()[0])
    }

    /// The random delay of this device, seconds.
    pub(crate) fn random_delay_s(&self) -> u64 {
        let seconds = self.random_number() * self.random_limit() / RANDOM_NUMBERS;
        u64::try_from(seconds).unwrap_or(0)
    }

    /// Largest random delay, seconds.
    fn random_limit(&self) -> i64 {
        match self.meter.setting(SettingKind::RandomisedOffsetLimit) {
            Some(Setting::RandomisedOffsetLimit(seconds)) => i64::from(seconds),
            _ => 0,
        }
    }

    /// The price in force, milli-pence per kWh.
    fn price_now(&self) -> i64 {
        let rates = &self.meter.tariff.main;
        let action = self.action_now(&rates.switching);
        if in_blocks(action) {
            let band = action & !BLOCK;
            rates.block_price(band, self.block_now(band))
        } else {
            rates.tou_price(action)
        }
    }

    /// The price in force of the second element, milli-pence per kWh.
    fn secondary_price_now(&self) -> i64 {
        let rates = &self.meter.tariff.second;
        rates.tou_price(self.action_now(&rates.switching))
    }

    /// The time-of-use register in force, from 1; the block, where blocks count.
    fn register_now(&self) -> i64 {
        let action = self.action_now(&self.meter.tariff.main.switching);
        i64::from(if in_blocks(action) {
            self.block_now(action & !BLOCK)
        } else {
            action
        })
    }

    fn block_now(&self, band: u8) -> u8 {
        let meter = self.meter;
        let counted = meter
            .metering
            .counter(meter.main_channel(), &meter.tariff, band, self.at);
        meter.tariff.main.block_at(band, counted)
    }

    fn action_now(&self, switching: &Switching) -> u8 {
        let load = &self.meter.metering.load;
        let (slot, _) = load.within_half_hour(self.meter.main_channel(), self.at, self.at);
        let (day, slot) = self.meter.rate_clock(self.at, slot, self.profile);
        switching.action(day, slot)
    }

    /// What was used since the last midnight.
    fn today(&self) -> Quantity {
        let start = self.midnight_before(self.at);
        let metering = &self.meter.metering;
        self.shown(metering.consumed(self.meter.main_channel(), None, start, self.at))
    }

    /// The item that the main channel counts.
    fn main_item(&self) -> DataItem {
        if self.meter.gas {
            DataItem::GasConsumption
        } else {
            DataItem::ActiveImport
        }
    }

    /// Rows of a log with `from <= at <= to`, oldest first. Event logs are not here.
    pub(crate) fn log(&self, log: LogKind, from: SimInstant, to: SimInstant) -> Result<Vec<LogRow>, Refusal> {
        let profile = self.profile;
        let meter = self.meter;
        let history = meter.history.as_deref();
        let others = |channel, item| self.half_hours(channel, item, profile.other_profile_days, from, to);
        match log {
            LogKind::ActiveImport => {
                let days = profile.import_profile_days;
                self.half_hours(meter.main_channel(), self.main_item(), days, from, to)
            }
            LogKind::SecondaryActiveImport if meter.second_element => {
                let (channel, item) = (Channel::Secondary, DataItem::SecondaryActiveImport);
                self.half_hours(channel, item, profile.import_profile_days, from, to)
            }
            LogKind::ActiveExport if !meter.gas => others(Channel::Export, DataItem::ActiveExport),
            LogKind::ReactiveExport if !meter.gas => others(Channel::ReactiveExport, DataItem::ReactiveExport),
            LogKind::ReactiveImport if !meter.gas => others(Channel::ReactiveImport, DataItem::ReactiveImport),
            LogKind::DailyRead => Ok(self.daily(from, to)),
            LogKind::ExportDailyRead if !meter.gas => self.export_daily(from, to),
            LogKind::PrepaymentDailyRead => Ok(self.prepayment_daily(from, to)),
            LogKind::Billing => Ok(self.billing(from, to)),
            LogKind::BillingModeOrTariff => Ok(self.changes(from, to)),
            LogKind::DailyConsumption => Ok(self.days(from, to)),
            LogKind::Credits => {
                let credits = history.map(|history| &history.credits);
                Ok(self.amounts(credits, DataItem::CreditAdded, from, to))
            }
            LogKind::DebtPayments => {
                let payments = history.map(|history| &history.debt_payments);
                Ok(self.amounts(payments, DataItem::DebtPayment, from, to))
            }
            LogKind::Network if meter.gas => Ok(self.recorded_flow(from, to)),
            LogKind::Network => Ok(self.voltages(from, to)),
            _ => Err(Refusal::NotSupported),
        }
    }

    fn battery(&self) -> Value {
        let used = self.at.since(self.meter.metering.since).as_millis() / SimDuration::from_days(1).as_millis();
        let left = u64::from(self.profile.battery_days).saturating_sub(used);
        quantity(i64::try_from(left).unwrap_or(0), Unit::Count)
    }
}

impl Meter {
    /// The meter as it is now.
    pub(crate) fn view<'a>(&'a self, at: SimInstant, profile: &'a Profile) -> View<'a> {
        View {
            meter: self,
            account: &self.account,
            supply: self.supply.state,
            at,
            profile,
            values: &profile.values,
        }
    }

    /// Switchings of auxiliary loads, each as the state of its switch.
    pub(crate) fn switchings(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let Some(history) = &self.history else {
            return Vec::new();
        };
        let row = |(at, switch, on): &(SimInstant, u8, bool)| {
            let state = Quantity::new(i64::from(*on), Unit::Count);
            LogRow {
                at: *at,
                values: vec![(DataItem::AuxiliaryLoadSwitch(*switch), state)],
                code: None,
            }
        };
        let inside = |(at, ..): &&(SimInstant, u8, bool)| (from..=to).contains(at);
        history.switchings.iter().filter(inside).map(row).collect()
    }

    /// True while the account runs down.
    pub(crate) fn prepays(&self) -> bool {
        self.mode == PaymentMode::Prepayment
    }
}

fn mp(value: i64) -> Value {
    quantity(value, Unit::MilliPence)
}

fn quantity(value: i64, unit: Unit) -> Value {
    Value::Quantity(Quantity::new(value, unit))
}

/// Numbers from which random delays follow.
const RANDOM_NUMBERS: i64 = 256;
const RANDOM_LABEL: u64 = 0x5241_4e44;
