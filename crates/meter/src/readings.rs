//! What a meter can be asked for: items, profiles, daily and billing logs.

use domain::operation::PaymentMode;
use domain::{DataItem, LogKind, LogRow, Quantity, Refusal, SimDuration, SimInstant, SupplyState, Unit, Value};

use crate::calendar::LocalDay;
use crate::load::Channel;
use crate::meter::Meter;
use crate::metering::TOU_MAX;
use crate::prepayment::{Account, MICRO};
use crate::profile::Profile;
use crate::tariff::BLOCKS_MAX;

/// Time-of-use registers of a gas meter.
const GAS_TOU_MAX: u8 = 4;

/// A meter as it shows itself at an instant: now, or when it last reported to its mirror.
pub(crate) struct View<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) account: &'a Account,
    pub(crate) supply: SupplyState,
    pub(crate) at: SimInstant,
    pub(crate) profile: &'a Profile,
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
            DataItem::PaymentMode => Some(Value::PaymentMode(self.meter.mode)),
            DataItem::SupplyState => Some(Value::Supply(self.supply)),
            DataItem::SuspendDebtDisabled => Some(Value::Flag(settings.suspend_debt_disabled)),
            DataItem::SuspendDebtEmergency => Some(Value::Flag(settings.suspend_debt_emergency)),
            DataItem::TimeDebt(n) => {
                let index = usize::from(n).checked_sub(1)?;
                money(*self.account.time_debts.get(index)?)
            }
            DataItem::Setting(kind) => self
                .meter
                .setting(kind)
                .map(|setting| Value::Setting(Box::new(setting))),
            other => self.register(other, self.at).map(Value::Quantity),
        }
    }

    /// A register as it stood at `at`; `None` when the meter has no such register.
    fn register(&self, item: DataItem, at: SimInstant) -> Option<Quantity> {
        let meter = self.meter;
        let main = meter.main_channel();
        let unit = if meter.gas { Unit::Litre } else { Unit::WattHour };
        let channel = match item {
            DataItem::ActiveImport if !meter.gas => Channel::Import,
            DataItem::GasConsumption if meter.gas => Channel::Gas,
            DataItem::SecondaryActiveImport if meter.second_element => Channel::Secondary,
            DataItem::ActiveExport if !meter.gas => Channel::Export,
            DataItem::ReactiveExport if !meter.gas => Channel::ReactiveExport,
            DataItem::ReactiveImport if !meter.gas => Channel::ReactiveImport,
            DataItem::TouRegister(n) => {
                let limit = if meter.gas { GAS_TOU_MAX } else { TOU_MAX };
                let inside = (1..=limit).contains(&n);
                return inside.then(|| Quantity::new(meter.metering.tou_register(main, &meter.tariff, n, at), unit));
            }
            DataItem::BlockRegister(n) => {
                let inside = (1..=BLOCKS_MAX).contains(&usize::from(n));
                let counted = || meter.metering.in_period(main, &meter.tariff, at);
                return inside.then(|| Quantity::new(meter.tariff.block(n, counted()), unit));
            }
            _ => return None,
        };
        let unit = match channel {
            Channel::ReactiveExport | Channel::ReactiveImport => Unit::VarHour,
            _ => unit,
        };
        let exports = matches!(channel, Channel::Export | Channel::ReactiveExport);
        let value = if exports && !meter.generation {
            0
        } else {
            meter.metering.register(main, channel, at)
        };
        Some(Quantity::new(value, unit))
    }

    /// Rows of a profile, daily read or billing log with `from <= at <= to`, oldest first.
    pub(crate) fn log(&self, log: LogKind, from: SimInstant, to: SimInstant) -> Result<Vec<LogRow>, Refusal> {
        let profile = self.profile;
        let main = if self.meter.gas {
            DataItem::GasConsumption
        } else {
            DataItem::ActiveImport
        };
        match log {
            LogKind::ActiveImport => {
                Ok(self.half_hours(self.meter.main_channel(), main, profile.import_profile_days, from, to))
            }
            LogKind::ActiveExport if !self.meter.gas => Ok(self.half_hours(
                Channel::Export,
                DataItem::ActiveExport,
                profile.other_profile_days,
                from,
                to,
            )),
            LogKind::ReactiveImport if !self.meter.gas => Ok(self.half_hours(
                Channel::ReactiveImport,
                DataItem::ReactiveImport,
                profile.other_profile_days,
                from,
                to,
            )),
            LogKind::DailyRead => Ok(self.snapshots(profile.daily_log_entries, false, from, to)),
            LogKind::Billing => Ok(self.snapshots(profile.billing_log_entries, true, from, to)),
            _ => Err(Refusal::NotSupported),
        }
    }

    fn half_hours(&self, channel: Channel, item: DataItem, days: u16, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let unit = match channel {
            Channel::Gas => Unit::Litre,
            Channel::ReactiveExport | Channel::ReactiveImport => Unit::VarHour,
            _ => Unit::WattHour,
        };
        let silent = channel == Channel::Export && !self.meter.generation;
        let multiplier = i64::from(self.profile.profile_multiplier);
        let divisor = i64::from(self.profile.profile_divisor.max(1));
        // Row and instant are the end of a half-hour, so the oldest row begins where the log does.
        let oldest = self.at - SimDuration::from_days(u64::from(days));
        let from = from.max(SimInstant(oldest.0.saturating_add(1)));
        let mut rows = Vec::new();
        self.meter.metering.rows(channel, from, to.min(self.at), |at, amount| {
            let amount = if silent {
                0
            } else {
                amount.saturating_mul(multiplier) / divisor
            };
            rows.push(LogRow {
                at,
                values: vec![(item, Quantity::new(amount, unit))],
                code: None,
            });
        });
        rows
    }

    /// Registers at the last so many midnights, or beginnings of billing periods.
    fn snapshots(&self, entries: u16, billing: bool, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let mut rows = Vec::new();
        let mut day = LocalDay::of(self.at);
        for _ in 0..entries {
            if billing {
                day = self.meter.tariff.period_start(day);
            }
            let at = day.midnight();
            if at < from || at <= self.meter.metering.since {
                break;
            }
            if at <= to {
                rows.push(self.snapshot(at, billing));
            }
            day = day.previous();
        }
        rows.reverse();
        rows
    }

    fn snapshot(&self, at: SimInstant, billing: bool) -> LogRow {
        let tariff = &self.meter.tariff;
        let mut values = Vec::new();
        let mut take = |item| values.extend(self.register(item, at).map(|quantity| (item, quantity)));
        if self.meter.gas {
            take(DataItem::GasConsumption);
        } else {
            take(DataItem::ActiveImport);
            if self.meter.second_element {
                take(DataItem::SecondaryActiveImport);
            }
            if self.meter.generation {
                take(DataItem::ActiveExport);
            }
        }
        for n in 1..=tariff.tou_registers() {
            take(DataItem::TouRegister(n));
        }
        if billing && tariff.blocks() > 1 {
            // Blocks as they stood when the period ended: a moment later they begin anew.
            let ended = SimInstant(at.0 - 1);
            let start = tariff.period_start(LocalDay::of(ended)).midnight();
            let counted = self.meter.metering.consumed(self.meter.main_channel(), None, start, at);
            let unit = if self.meter.gas { Unit::Litre } else { Unit::WattHour };
            for n in 1..=tariff.blocks() {
                values.push((
                    DataItem::BlockRegister(n),
                    Quantity::new(tariff.block(n, counted), unit),
                ));
            }
        }
        LogRow { at, values, code: None }
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
        }
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
