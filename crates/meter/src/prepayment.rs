//! The prepayment account: balance, emergency credit, debts, and the moment at which supply ends.
//!
//! Inside, money is whole millionths of a penny: Wh times milli-pence per kWh is exact in them, so it makes no difference
//! how often an account is settled. The rules are recalled from SMETS: emergency credit is used below the disablement
//! threshold; what falls due meanwhile, or while supply is off, goes to the accumulated debt; each payment pays a share of
//! the payment debt, then the accumulated debt, then the emergency credit, then the balance.

use domain::SimInstant;
use serde::{Deserialize, Serialize};

use crate::alerts::{self, AlertCode};
use crate::calendar::{DAY_MS, HOUR_MS, LocalDay};
use crate::tariff::Tariff;

/// Settings and start balances of one account, in milli-pence unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountSettings {
    /// Meter balance at the start.
    pub balance_mp: i64,
    /// Emergency credit granted when activated.
    pub emergency_limit_mp: u32,
    /// Balance below which emergency credit is offered.
    pub emergency_threshold_mp: u32,
    /// Balance that raises the low credit alert.
    pub low_credit_mp: u32,
    /// Balance at which supply is disabled.
    pub disablement_threshold_mp: i32,
    /// Largest single credit.
    pub maximum_credit_mp: u32,
    /// Largest balance.
    pub maximum_balance_mp: u32,
    /// Two time-based debts.
    pub time_debts: [TimeDebt; 2],
    /// Payment-based debt.
    pub payment_debt_mp: u32,
    /// Share of each payment taken for the payment-based debt, in hundredths of a per cent.
    pub debt_per_payment: u16,
    /// Most debt taken from payments per week.
    pub debt_cap_mp: u32,
    /// Debt recovery pauses while supply is disabled.
    pub suspend_debt_disabled: bool,
    /// Debt recovery pauses while emergency credit is used.
    pub suspend_debt_emergency: bool,
}

/// A debt recovered by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TimeDebt {
    /// What is left.
    pub balance_mp: u32,
    /// What is taken each time.
    pub rate_mp: u32,
    /// How often.
    pub period: DebtPeriod,
}

/// How often a time-based debt is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum DebtPeriod {
    /// At each local midnight.
    #[default]
    Daily,
    /// At each full hour.
    Hourly,
}

impl Default for AccountSettings {
    /// 20 pounds of balance, 10 pounds of emergency credit, no debts.
    fn default() -> Self {
        Self {
            balance_mp: 2_000_000,
            emergency_limit_mp: 1_000_000,
            emergency_threshold_mp: 100_000,
            low_credit_mp: 200_000,
            disablement_threshold_mp: 0,
            maximum_credit_mp: 25_000_000,
            maximum_balance_mp: 100_000_000,
            time_debts: [TimeDebt::default(); 2],
            payment_debt_mp: 0,
            debt_per_payment: 2_000,
            debt_cap_mp: 0,
            suspend_debt_disabled: false,
            suspend_debt_emergency: false,
        }
    }
}

/// One account, settled up to an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    pub(crate) settings: AccountSettings,
    /// Everything up to here has been charged.
    pub(crate) settled_at: SimInstant,
    pub(crate) balance: i64,
    pub(crate) emergency_left: i64,
    pub(crate) accumulated_debt: i64,
    pub(crate) time_debts: [i64; 2],
    pub(crate) payment_debt: i64,
    /// Taken for the payment debt in the current week, against the cap.
    pub(crate) cap_used: i64,
    pub(crate) cap_week: i32,
    pub(crate) emergency_active: bool,
    pub(crate) low_raised: bool,
    pub(crate) offered: bool,
    pub(crate) exhausted: bool,
}

/// Why credit was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CreditRefused {
    /// Above the largest single credit.
    AboveCredit,
    /// The balance would be above its maximum.
    AboveBalance,
}

impl Account {
    pub(crate) fn new(settings: &AccountSettings, settled_at: SimInstant) -> Self {
        Self {
            settings: *settings,
            settled_at,
            balance: settings.balance_mp.saturating_mul(MICRO),
            emergency_left: micro(settings.emergency_limit_mp),
            accumulated_debt: 0,
            time_debts: settings.time_debts.map(|debt| micro(debt.balance_mp)),
            payment_debt: micro(settings.payment_debt_mp),
            cap_used: 0,
            cap_week: 0,
            emergency_active: false,
            low_raised: false,
            offered: false,
            exhausted: false,
        }
    }

    /// What may still be used before supply ends.
    pub(crate) fn available(&self) -> i64 {
        let emergency = if self.emergency_active { self.emergency_left } else { 0 };
        self.balance.saturating_sub(self.threshold()).saturating_add(emergency)
    }

    /// The smallest cost that makes something happen: an alert, or the end of supply.
    pub(crate) fn distance(&self, supply_ended: bool) -> Option<i64> {
        let end = (!supply_ended).then(|| self.available());
        let low = (!self.low_raised).then(|| self.combined().saturating_sub(micro(self.settings.low_credit_mp)));
        let offer = self.may_offer().then(|| self.above_offer().saturating_add(1));
        [end, low, offer]
            .into_iter()
            .flatten()
            .filter(|distance| *distance > 0)
            .min()
    }

    /// Takes the cost of consumption.
    pub(crate) fn spend(&mut self, cost: i64) {
        let room = self.balance.saturating_sub(self.threshold()).max(0);
        let emergency = if self.emergency_active {
            cost.saturating_sub(room).clamp(0, self.emergency_left)
        } else {
            0
        };
        self.emergency_left -= emergency;
        self.balance = self.balance.saturating_sub(cost - emergency);
    }

    /// Takes what falls due at `at`, a full hour. Gives the alerts of debts paid off.
    ///
    /// What cannot be taken because supply is off or emergency credit is used goes to the accumulated debt; on a meter
    /// that has none (`accumulates`), debts wait and the standing charge is taken all the same.
    pub(crate) fn fall_due(
        &mut self,
        at: SimInstant,
        tariff: &Tariff,
        supply_on: bool,
        accumulates: bool,
    ) -> [Option<AlertCode>; 2] {
        let mut done = [None; 2];
        if at.0.rem_euclid(HOUR_MS) != 0 {
            return done;
        }
        // Local midnight is at 23:00 or 00:00 UTC.
        let hour = at.0.rem_euclid(DAY_MS) / HOUR_MS;
        let midnight = (hour == 0 || hour == 23) && LocalDay::of(at).midnight() == at;
        if midnight {
            let charge = tariff.main.prices.standing_charge_mp.saturating_mul(MICRO);
            self.charge(charge, supply_on || !accumulates, accumulates);
        }
        let suspended = (!supply_on && (self.settings.suspend_debt_disabled || !accumulates))
            || (self.emergency_in_use() && (self.settings.suspend_debt_emergency || !accumulates));
        if suspended {
            return done;
        }
        for (index, settings) in self.settings.time_debts.into_iter().enumerate() {
            let due = settings.period == DebtPeriod::Hourly || midnight;
            let part = micro(settings.rate_mp).min(self.time_debts[index]);
            if due && part > 0 {
                self.time_debts[index] -= part;
                self.charge(part, supply_on, accumulates);
                if self.time_debts[index] == 0 {
                    done[index] = Some([alerts::TIME_DEBT_1_COLLECTED, alerts::TIME_DEBT_2_COLLECTED][index]);
                }
            }
        }
        done
    }

    /// Raises what the balance now calls for, once each. True when supply must end.
    pub(crate) fn review(&mut self, raise: &mut impl FnMut(AlertCode)) -> bool {
        if !self.low_raised && self.combined() <= micro(self.settings.low_credit_mp) {
            self.low_raised = true;
            raise(alerts::LOW_CREDIT);
        }
        if self.may_offer() && self.above_offer() < 0 {
            self.offered = true;
            raise(alerts::EMERGENCY_CREDIT_AVAILABLE);
        }
        if self.emergency_active && self.emergency_left == 0 && !self.exhausted {
            self.exhausted = true;
            raise(alerts::EMERGENCY_CREDIT_EXHAUSTED);
        }
        self.available() <= 0
    }

    /// Takes other limits. Emergency credit that is not in use follows its limit; what is used stays owed.
    pub(crate) fn configure(&mut self, settings: AccountSettings) {
        let used = micro(self.settings.emergency_limit_mp).saturating_sub(self.emergency_left);
        self.settings = settings;
        self.emergency_left = micro(settings.emergency_limit_mp).saturating_sub(used).max(0);
        self.after_a_rise();
    }

    /// Turns emergency credit on. False when it is not on offer.
    pub(crate) fn activate_emergency(&mut self) -> bool {
        let possible = !self.emergency_active && self.emergency_left > 0 && self.above_offer() < 0;
        self.emergency_active |= possible;
        possible
    }

    /// Turns emergency credit on whether it is on offer or not. False when there is none left, or it is on.
    pub(crate) fn grant_emergency(&mut self) -> bool {
        let possible = !self.emergency_active && self.emergency_left > 0;
        self.emergency_active |= possible;
        possible
    }

    /// Credit arrives. Gives whether the payment debt was paid off by it.
    pub(crate) fn credit(&mut self, milli_pence: u32) -> Result<bool, CreditRefused> {
        let mut rest = micro(milli_pence);
        if milli_pence > self.settings.maximum_credit_mp {
            return Err(CreditRefused::AboveCredit);
        }
        if self.balance.saturating_add(rest) > micro(self.settings.maximum_balance_mp) {
            return Err(CreditRefused::AboveBalance);
        }
        let owed = self.payment_debt;
        let share = self.payment_share(rest);
        self.payment_debt -= share;
        rest -= share;
        let accumulated = rest.min(self.accumulated_debt);
        self.accumulated_debt -= accumulated;
        rest -= accumulated;
        let limit = micro(self.settings.emergency_limit_mp);
        let used = limit.saturating_sub(self.emergency_left).clamp(0, rest);
        self.emergency_left += used;
        rest -= used;
        self.balance = self.balance.saturating_add(rest);
        if self.emergency_left >= limit && self.balance > self.threshold() {
            self.emergency_active = false;
        }
        self.after_a_rise();
        Ok(owed > 0 && self.payment_debt == 0)
    }

    /// What was raised about a low balance can be raised again once the balance is above it.
    pub(crate) fn after_a_rise(&mut self) {
        self.low_raised &= self.combined() <= micro(self.settings.low_credit_mp);
        self.offered &= self.above_offer() < 0;
        self.exhausted &= self.emergency_left == 0;
    }

    fn payment_share(&mut self, amount: i64) -> i64 {
        let week = i32::try_from(LocalDay::of(self.settled_at).0.div_euclid(7)).unwrap_or(i32::MAX);
        if week != self.cap_week {
            self.cap_week = week;
            self.cap_used = 0;
        }
        let cap = match micro(self.settings.debt_cap_mp) {
            0 => i64::MAX,
            cap => cap.saturating_sub(self.cap_used).max(0),
        };
        let share = amount.saturating_mul(i64::from(self.settings.debt_per_payment.min(10_000))) / 10_000;
        let share = share.min(self.payment_debt).min(cap);
        self.cap_used = self.cap_used.saturating_add(share);
        share
    }

    fn charge(&mut self, amount: i64, supply_on: bool, accumulates: bool) {
        if !supply_on || (accumulates && self.emergency_in_use()) {
            self.accumulated_debt = self.accumulated_debt.saturating_add(amount);
        } else {
            self.balance = self.balance.saturating_sub(amount);
        }
    }

    /// Whether emergency credit is what is being used up.
    pub(crate) fn emergency_in_use(&self) -> bool {
        self.emergency_active && self.balance <= self.threshold()
    }

    fn combined(&self) -> i64 {
        self.balance
            .saturating_add(if self.emergency_active { self.emergency_left } else { 0 })
    }

    fn above_offer(&self) -> i64 {
        self.balance.saturating_sub(micro(self.settings.emergency_threshold_mp))
    }

    fn may_offer(&self) -> bool {
        !self.offered && !self.emergency_active && self.emergency_left > 0
    }

    fn threshold(&self) -> i64 {
        i64::from(self.settings.disablement_threshold_mp) * MICRO
    }
}

/// Millionths of a penny in a thousandth.
pub(crate) const MICRO: i64 = 1_000;

fn micro(milli_pence: u32) -> i64 {
    i64::from(milli_pence) * MICRO
}
