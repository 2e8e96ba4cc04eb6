//! What is written down at a moment: at midnights, at billing points, at changes of mode and tariff, at credits.

use std::collections::VecDeque;

use domain::operation::PaymentMode;
use domain::{DataItem, LogRow, Quantity, Refusal, SimInstant, Unit};

use super::View;
use crate::calendar::{DAY_MS, LocalDay};
use crate::history::AccountRow;
use crate::prepayment::{DebtPeriod, MICRO};
use crate::profile::Midnight;

impl View<'_> {
    /// What was used in each of the latest calendar months (UK civil time), the present one included, oldest first: as
    /// many as the profile keeps, each at its beginning.
    pub(crate) fn months(&self) -> Vec<LogRow> {
        let (meter, since) = (self.meter, self.meter.metering.since);
        let mut rows = Vec::new();
        let (mut first, mut end) = (LocalDay::of(self.at).latest_day_of_month(1), self.at);
        while rows.len() < usize::from(self.profile.logs.monthly_entries) && end > since {
            let start = first.midnight();
            let used = meter.metering.consumed(meter.main_channel(), None, start, end);
            rows.push(LogRow {
                at: start,
                values: vec![(self.main_item(), self.shown(used))],
                code: None,
            });
            (first, end) = (first.previous().latest_day_of_month(1), start);
        }
        rows.reverse();
        rows
    }

    /// Registers at the last so many midnights.
    pub(super) fn daily(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        self.midnights(self.profile.daily_log_entries, from, to, |at| {
            Some(self.snapshot(at, false))
        })
    }

    /// Export registers at the last so many midnights.
    ///
    /// # Errors
    /// Where the profile refuses what the home does not have.
    pub(super) fn export_daily(&self, from: SimInstant, to: SimInstant) -> Result<Vec<LogRow>, Refusal> {
        if self.profile.logs.channels_as_configured && !self.meter.generation {
            return Err(Refusal::NotSupported);
        }
        Ok(self.midnights(self.profile.daily_log_entries, from, to, |at| {
            let register = self.register(DataItem::ActiveExport, at)?;
            Some(row(at, vec![(DataItem::ActiveExport, register)]))
        }))
    }

    /// The account at the last so many midnights at which there was one.
    pub(super) fn prepayment_daily(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        self.midnights(self.profile.daily_log_entries, from, to, |at| {
            let kept = self
                .meter
                .history
                .as_ref()
                .and_then(|history| history.midnights.iter().find(|(midnight, _)| *midnight == at));
            let account = kept
                .map(|(_, account)| *account)
                .or_else(|| self.account_before_birth(at));
            account.map(|account| row(at, account_values(&account)))
        })
    }

    /// Registers, and where the profile has it the account, at the last so many billing points.
    pub(super) fn billing(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let mut rows = Vec::new();
        let (metering, tariff) = (&self.meter.metering, &self.meter.tariff);
        let mut before = self.at;
        for _ in 0..self.profile.billing_log_entries {
            let at = metering.billing_point(tariff, before);
            if at < from || at <= self.meter.metering.since {
                break;
            }
            if at <= to {
                let mut snapshot = self.snapshot(at, true);
                if self.profile.logs.billing_holds_account {
                    let history = self.meter.history.as_ref();
                    let kept = history.and_then(|history| history.billings.iter().find(|(point, _)| *point == at));
                    if let Some((_, account)) = kept {
                        snapshot.values.extend(account_values(account));
                    }
                }
                rows.push(snapshot);
            }
            before = SimInstant(at.0 - 1);
        }
        rows.reverse();
        rows
    }

    /// Snapshots at changes of payment mode and tariff.
    pub(super) fn changes(&self, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let Some(history) = &self.meter.history else {
            return Vec::new();
        };
        let inside = |row: &&LogRow| row.at <= self.at && (from..=to).contains(&row.at);
        history.changes.iter().filter(inside).cloned().collect()
    }

    /// Amounts with their times out of what the meter remembers.
    pub(super) fn amounts(
        &self,
        list: Option<&VecDeque<(SimInstant, i64)>>,
        item: DataItem,
        from: SimInstant,
        to: SimInstant,
    ) -> Vec<LogRow> {
        let inside = |(at, _): &&(SimInstant, i64)| *at <= self.at && (from..=to).contains(at);
        list.into_iter()
            .flatten()
            .filter(inside)
            .map(|(at, amount)| row(*at, vec![(item, Quantity::new(*amount, Unit::MilliPence))]))
            .collect()
    }

    /// Registers as they stand at the viewed instant, and the account: what is kept of a change.
    pub(crate) fn at_change(&self) -> LogRow {
        let mut snapshot = self.snapshot(self.at, true);
        if self.meter.mode == PaymentMode::Prepayment {
            snapshot.values.extend(account_values(&AccountRow::of(self.account)));
        }
        snapshot
    }

    /// The last midnight not after `at`, as this profile has its days.
    pub(crate) fn midnight_before(&self, at: SimInstant) -> SimInstant {
        match self.profile.logs.midnight {
            Midnight::Local => LocalDay::of(at).midnight(),
            Midnight::Standard => SimInstant(at.0.div_euclid(DAY_MS) * DAY_MS),
        }
    }

    /// Rows of the last so many midnights that `make` has something for, oldest first.
    fn midnights(
        &self,
        entries: u16,
        from: SimInstant,
        to: SimInstant,
        make: impl Fn(SimInstant) -> Option<LogRow>,
    ) -> Vec<LogRow> {
        let mut rows = Vec::new();
        let mut at = self.midnight_before(self.at);
        for _ in 0..entries {
            if at < from || at <= self.meter.metering.since {
                break;
            }
            let before = self.midnight_before(SimInstant(at.0 - 1));
            if at <= to && !self.dark_day(before, at) && !self.frozen(SimInstant(at.0 - 1), at) {
                rows.extend(make(at));
            }
            at = before;
        }
        rows.reverse();
        rows
    }

    fn dark_day(&self, start: SimInstant, end: SimInstant) -> bool {
        let history = self.meter.history.as_ref();
        self.profile.logs.skips_dark_days && history.is_some_and(|history| history.dark(start, end))
    }

    fn snapshot(&self, at: SimInstant, billing: bool) -> LogRow {
        let tariff = &self.meter.tariff;
        let mut values = Vec::new();
        let mut take = |item| values.extend(self.register(item, at).map(|quantity| (item, quantity)));
        take(self.main_item());
        if !self.meter.gas {
            if self.meter.second_element {
                take(DataItem::SecondaryActiveImport);
            }
            if self.meter.generation {
                take(DataItem::ActiveExport);
            }
        }
        let (main, metering) = (self.meter.main_channel(), &self.meter.metering);
        // The tariff that ended here, not one that begins at this moment.
        let rates = &metering.tariff_at(tariff, SimInstant(at.0 - 1)).main;
        for n in 1..=rates.tou_registers() {
            take(DataItem::TouRegister(n));
        }
        if billing && rates.blocks(1) > 1 {
            // Blocks as they stood when the period ended: a moment later they begin anew.
            let counted = metering.tally(main, tariff, at).counter(1);
            for n in 1..=rates.blocks(1) {
                values.push((DataItem::BlockRegister(n), self.shown(rates.block(1, n, counted))));
            }
        }
        row(at, values)
    }

    /// The account at a midnight before this meter came into the lab: what was used until then was still there.
    fn account_before_birth(&self, at: SimInstant) -> Option<AccountRow> {
        let meter = self.meter;
        let born_at = meter.history.as_ref()?.prepaying_since?;
        if at >= born_at {
            return None;
        }
        let settings = &self.account.settings;
        let mut spent = meter.cost_between(at, born_at, self.profile);
        let mut time_debts = settings.time_debts.map(|debt| i64::from(debt.balance_mp));
        let mut day = LocalDay::of(at).next();
        while day.midnight() <= born_at {
            spent += meter.tariff.main.prices.standing_charge_mp * MICRO;
            for (left, debt) in time_debts.iter_mut().zip(settings.time_debts) {
                let times = if debt.period == DebtPeriod::Hourly { 24 } else { 1 };
                if debt.balance_mp > 0 {
                    *left += i64::from(debt.rate_mp) * times;
                    spent += i64::from(debt.rate_mp) * times * MICRO;
                }
            }
            day = day.next();
        }
        Some(AccountRow {
            accumulated_debt: 0,
            emergency: i64::from(settings.emergency_limit_mp),
            balance: settings.balance_mp.saturating_add(spent / MICRO),
            payment_debt: i64::from(settings.payment_debt_mp),
            time_debts,
        })
    }
}

fn row(at: SimInstant, values: Vec<(DataItem, Quantity)>) -> LogRow {
    LogRow { at, values, code: None }
}

fn account_values(account: &AccountRow) -> Vec<(DataItem, Quantity)> {
    let mp = |item, amount| (item, Quantity::new(amount, Unit::MilliPence));
    vec![
        mp(DataItem::AccumulatedDebt, account.accumulated_debt),
        mp(DataItem::EmergencyCreditBalance, account.emergency),
        mp(DataItem::MeterBalance, account.balance),
        mp(DataItem::PaymentDebt, account.payment_debt),
        mp(DataItem::TimeDebt(1), account.time_debts[0]),
        mp(DataItem::TimeDebt(2), account.time_debts[1]),
    ]
}
