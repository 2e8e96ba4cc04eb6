//! What a supplier does to an account from afar: the balance, debts, emergency credit.
//!
//! Rights and approval are checked and the account is settled before any of this.

use domain::operation::{DebtChange, PaymentMode, RecoveryPeriod};
use domain::{Answer, Outcome, Refusal, SimDuration, SimInstant};

use crate::alerts;
use crate::calendar::HALF_HOUR_MS;
use crate::effects::Outbox;
use crate::meter::Meter;
use crate::prepayment::{DebtPeriod, MICRO, TimeDebt};
use crate::profile::{PrepaymentRules, Profile};
use crate::quirks::PROTECTION_ENDS;
use crate::timetable;

impl Meter {
    /// Adds to the balance, which may be negative; above its largest in prepayment it is refused.
    pub(crate) fn adjust_balance(
        &mut self,
        now: SimInstant,
        powered: bool,
        milli_pence: i64,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        let limit = i64::from(self.account.settings.maximum_balance_mp) * MICRO;
        let changed = milli_pence
            .checked_mul(MICRO)
            .and_then(|change| self.account.balance.checked_add(change))
            .filter(|balance| balance.unsigned_abs() < BALANCE_MAX);
        let balance = changed.ok_or(Refusal::OutOfRange)?;
        if self.mode == PaymentMode::Prepayment && milli_pence > 0 && balance > limit {
            self.note(now, profile, out, alerts::CREDIT_ABOVE_BALANCE);
            return Err(Refusal::OutOfRange);
        }
        self.set_balance(now, powered, balance, profile, out);
        Ok(Answer::Done)
    }

    /// Sets the balance to nothing.
    pub(crate) fn reset_balance(
        &mut self,
        now: SimInstant,
        powered: bool,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        self.set_balance(now, powered, 0, profile, out);
        Ok(Answer::Done)
    }

    fn set_balance(&mut self, now: SimInstant, powered: bool, balance: i64, profile: &Profile, out: &mut Outbox) {
        self.account.balance = balance;
        self.account.after_a_rise();
        if self.mode == PaymentMode::Prepayment {
            self.credit_returned(now, powered, profile, out);
            self.review(profile, out);
            self.follow_supply(now, powered);
        }
    }

    /// Adds to the debts, none of which falls below nothing, and sets how they are recovered.
    ///
    /// # Errors
    /// Above all limits, and for a debt that this meter does not have.
    pub(crate) fn change_debt(&mut self, change: &DebtChange, rules: &PrepaymentRules) -> Outcome {
        let absent = change.time_debt_mp.iter().skip(usize::from(rules.time_debts));
        if absent.into_iter().any(|debt| *debt != 0) {
            return Err(Refusal::OutOfRange);
        }
        let rate = |(milli_pence, period): (i64, RecoveryPeriod)| {
            let rate_mp = u32::try_from(milli_pence).map_err(|_| Refusal::OutOfRange)?;
            let period = match period {
                RecoveryPeriod::Daily => DebtPeriod::Daily,
                RecoveryPeriod::Hourly => DebtPeriod::Hourly,
            };
            Ok::<_, Refusal>((rate_mp, period))
        };
        let rates = [rate(change.recovery[0])?, rate(change.recovery[1])?];
        if change.per_payment > 10_000 {
            return Err(Refusal::OutOfRange);
        }
        let add = |debt: i64, milli_pence: i64| {
            milli_pence
                .checked_mul(MICRO)
                .and_then(|change| debt.checked_add(change))
                .filter(|debt| debt.unsigned_abs() < BALANCE_MAX)
                .map(|debt| debt.max(0))
                .ok_or(Refusal::OutOfRange)
        };
        let account = &self.account;
        let time_debts = [
            add(account.time_debts[0], change.time_debt_mp[0])?,
            add(account.time_debts[1], change.time_debt_mp[1])?,
        ];
        let payment_debt = add(account.payment_debt, change.payment_debt_mp)?;
        self.changed.get_or_insert_default();
        let account = &mut self.account;
        account.time_debts = time_debts;
        account.payment_debt = payment_debt;
        account.settings.debt_per_payment = change.per_payment;
        for (debt, (rate_mp, period)) in account.settings.time_debts.iter_mut().zip(rates) {
            *debt = TimeDebt {
                rate_mp,
                period,
                ..*debt
            };
        }
        Ok(Answer::Done)
    }

    /// Whether a calendar keeps the supply on at `at`, whatever the balance, or has done so until a moment of grace ago.
    pub(crate) fn protected(&self, at: SimInstant, profile: &Profile) -> bool {
        let Some(changed) = &self.changed else { return false };
        let grace = signed(profile.prepayment.non_disablement_grace);
        // Protection ends on a minute and lasts for half an hour at least: looking that often misses none.
        let mut moments = (0..=grace / HALF_HOUR_MS).map(|half_hours| at.0 - half_hours * HALF_HOUR_MS);
        let graceful = |moment: i64| timetable::protects(&changed.non_disablement, SimInstant(moment));
        moments.any(graceful) || grace > 0 && graceful(at.0 - grace)
    }

    /// The next moment after `after` and before `before` at which such a protection or its grace begins or ends, or at
    /// which its end is announced; else `before`.
    pub(crate) fn until_protection_changes(
        &self,
        after: SimInstant,
        before: SimInstant,
        profile: &Profile,
    ) -> SimInstant {
        let Some(changed) = &self.changed else { return before };
        let rules = &profile.prepayment;
        let grace = signed(rules.non_disablement_grace);
        let ahead = rules.non_disablement_warning.map_or(0, signed);
        [0, grace, -ahead]
            .into_iter()
            .filter_map(|shift| {
                let (after, before) = (SimInstant(after.0 - shift), SimInstant(before.0 - shift));
                let switch = timetable::next_switch(&changed.non_disablement, after, before)?;
                Some(SimInstant(switch.0 + shift))
            })
            .fold(before, SimInstant::min)
    }

    /// Announces the end of a protection where that falls due after `from` and by `to`.
    pub(crate) fn warn_of_protection(&mut self, from: SimInstant, to: SimInstant, profile: &Profile, out: &mut Outbox) {
        let (Some(ahead), Some(changed)) = (profile.prepayment.non_disablement_warning, &self.changed) else {
            return;
        };
        let calendar = &changed.non_disablement;
        let (after, before) = (from + ahead, SimInstant((to + ahead).0 + 1));
        let ends = timetable::next_switch(calendar, after, before)
            .filter(|at| !timetable::protects(calendar, *at) && timetable::protects(calendar, SimInstant(at.0 - 1)));
        if ends.is_some() {
            self.note(to, profile, out, PROTECTION_ENDS);
        }
    }
}

fn signed(span: SimDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Millionths of a penny no balance and no debt comes near: far from where sums overflow.
const BALANCE_MAX: u64 = 1 << 55;
