//! What a meter remembers because nothing can compute it: credits, payments for debt, accounts at midnights, snapshots at
//! changes, outages, resets. A home in which nothing of this ever happened remembers nothing.

use std::collections::VecDeque;

use domain::operation::Counter;
use domain::{LogRow, SimDuration, SimInstant};
use serde::{Deserialize, Serialize};

use crate::prepayment::{Account, MICRO};
use crate::quirks::Frozen;

/// Outages remembered; logs do not know of older ones.
const OUTAGES_MAX: usize = 64;
/// Billing snapshots at a change of mode or tariff, by the payload's schema.
const CHANGES_MAX: usize = 12;
/// Switchings of auxiliary loads remembered, by the payload's schema.
const SWITCHINGS_MAX: usize = 100;

/// Everything of one meter, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// Credits added, milli-pence.
    pub(crate) credits: VecDeque<(SimInstant, i64)>,
    /// Taken from credits for the payment-based debt, milli-pence.
    pub(crate) debt_payments: VecDeque<(SimInstant, i64)>,
    /// When a meter in prepayment came into the lab: midnights before that are computed.
    pub(crate) prepaying_since: Option<SimInstant>,
    /// The account at local midnights, in prepayment.
    pub(crate) midnights: VecDeque<(SimInstant, AccountRow)>,
    /// The account at billing points, in prepayment.
    pub(crate) billings: VecDeque<(SimInstant, AccountRow)>,
    /// Registers and account just before a change of payment mode or tariff.
    pub(crate) changes: VecDeque<LogRow>,
    /// When mains were away, from and to.
    pub(crate) outages: VecDeque<(SimInstant, SimInstant)>,
    /// When counters began anew.
    pub(crate) resets: Vec<(Counter, SimInstant)>,
    /// When the last recording of gas flow began, and its number.
    pub(crate) recording: Option<(SimInstant, u32)>,
    /// Auxiliary load switches that are on, one bit each from the lowest.
    pub(crate) switches_on: u8,
    /// Switchings of auxiliary loads: number of the switch, and whether on.
    pub(crate) switchings: VecDeque<(SimInstant, u8, bool)>,
    /// What switches of auxiliary loads go back to and when, at most one entry for each.
    pub(crate) switch_backs: Vec<(SimInstant, u8, bool)>,
    /// When the clock was invalid, where that stops the rest.
    pub(crate) frozen: VecDeque<Frozen>,
    /// Causes of the open switch, as bits, where they are logged.
    pub(crate) switch_causes: u8,
    /// The first of two acts that close an armed switch.
    pub(crate) pressed_at: Option<SimInstant>,
    /// When something last changed the device, where it needs a moment after that.
    pub(crate) changed_at: Option<SimInstant>,
    /// The valve does not move.
    pub(crate) jammed: bool,
    /// When that will be noticed.
    pub(crate) fault_at: Option<SimInstant>,
    /// The hub has told that it does not hear this device.
    pub(crate) silent: bool,
    /// When the voltage log was emptied, if it was.
    pub(crate) voltages_from: Option<SimInstant>,
}

/// An account as logs show it, milli-pence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AccountRow {
    pub(crate) accumulated_debt: i64,
    pub(crate) emergency: i64,
    pub(crate) balance: i64,
    pub(crate) payment_debt: i64,
    pub(crate) time_debts: [i64; 2],
}

impl AccountRow {
    pub(crate) fn of(account: &Account) -> Self {
        let money = |micro: i64| micro.div_euclid(MICRO);
        Self {
            accumulated_debt: money(account.accumulated_debt),
            emergency: money(account.emergency_left),
            balance: money(account.balance),
            payment_debt: money(account.payment_debt),
            time_debts: account.time_debts.map(money),
        }
    }
}

impl History {
    /// Of a meter that comes into the lab in prepayment.
    pub(crate) fn prepaying_since(at: SimInstant) -> Self {
        Self {
            prepaying_since: Some(at),
            ..Self::default()
        }
    }

    pub(crate) fn outage(&mut self, from: SimInstant, to: SimInstant) {
        push(&mut self.outages, (from, to), OUTAGES_MAX);
    }

    pub(crate) fn change(&mut self, row: LogRow) {
        push(&mut self.changes, row, CHANGES_MAX);
    }

    /// Switches load `switch` (1 to 5), and has it go back at `until` to what it was before anybody switched it.
    pub(crate) fn switching(&mut self, at: SimInstant, switch: u8, on: bool, until: Option<SimInstant>) {
        let under_way = self.switch_backs.iter().position(|(_, other, _)| *other == switch);
        let before = match under_way {
            Some(place) => self.switch_backs.remove(place).2,
            None => self.switched_on(switch),
        };
        self.switched(at, switch, on);
        if let Some(until) = until.filter(|_| before != on) {
            self.switch_backs.push((until, switch, before));
        }
    }

    /// Switches back every load whose time is over by `to`; what fell into an outage, at its end.
    pub(crate) fn switch_back(&mut self, to: SimInstant) {
        while let Some(next) = self.next_switch_back().filter(|at| *at <= to) {
            let Some(place) = self.switch_backs.iter().position(|(at, ..)| *at == next) else {
                return;
            };
            let (at, switch, on) = self.switch_backs.remove(place);
            let dark = self.outages.iter().find(|(from, until)| (*from..*until).contains(&at));
            self.switched(dark.map_or(at, |(_, until)| *until), switch, on);
        }
    }

    pub(crate) fn next_switch_back(&self) -> Option<SimInstant> {
        self.switch_backs.iter().map(|(at, ..)| *at).min()
    }

    fn switched(&mut self, at: SimInstant, switch: u8, on: bool) {
        let bit = 1u8.checked_shl(u32::from(switch.saturating_sub(1))).unwrap_or(0);
        self.switches_on = if on {
            self.switches_on | bit
        } else {
            self.switches_on & !bit
        };
        push(&mut self.switchings, (at, switch, on), SWITCHINGS_MAX);
    }

    pub(crate) fn reset(&mut self, counter: Counter, at: SimInstant) {
        self.resets.retain(|(other, _)| *other != counter);
        self.resets.push((counter, at));
    }

    /// When a counter last began anew, if it ever did.
    pub(crate) fn reset_at(&self, counter: Counter) -> Option<SimInstant> {
        self.resets
            .iter()
            .find(|(other, _)| *other == counter)
            .map(|(_, at)| *at)
    }

    /// Whether load switch `switch` (1 to 5) is on.
    pub(crate) fn switched_on(&self, switch: u8) -> bool {
        (1..=8).contains(&switch) && self.switches_on >> (switch - 1) & 1 == 1
    }

    /// Whether mains were away from `from` to `to` without a break.
    pub(crate) fn dark(&self, from: SimInstant, to: SimInstant) -> bool {
        self.outages.iter().any(|(start, end)| *start <= from && to <= *end)
    }

    /// The end of the last outage of at least this length that ended by `at`.
    pub(crate) fn long_outage_end(&self, length: SimDuration, at: SimInstant) -> Option<SimInstant> {
        self.outages
            .iter()
            .rev()
            .find(|(start, end)| *end <= at && end.since(*start) >= length)
            .map(|(_, end)| *end)
    }

    /// Octets on the heap, those within rows of changes counted by a usual number.
    pub(crate) fn octets(&self) -> usize {
        let pairs = self.credits.capacity() + self.debt_payments.capacity() + self.outages.capacity();
        let accounts = self.midnights.capacity() + self.billings.capacity();
        size_of::<Self>()
            + pairs * size_of::<(SimInstant, i64)>()
            + accounts * size_of::<(SimInstant, AccountRow)>()
            + self.changes.len() * (size_of::<LogRow>() + CHANGE_VALUES * 24)
            + self.switchings.capacity() * size_of::<(SimInstant, u8, bool)>()
            + self.resets.capacity() * size_of::<(Counter, SimInstant)>()
    }
}

/// Values of a usual row of changes.
const CHANGE_VALUES: usize = 12;

/// Appends, forgetting the oldest beyond `max`; grows by little, since most meters remember few things.
pub(crate) fn push<T>(list: &mut VecDeque<T>, entry: T, max: usize) {
    if max == 0 {
        return;
    }
    while list.len() >= max {
        list.pop_front();
    }
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 2).clamp(2, 16));
    }
    list.push_back(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_found_and_bounded() {
        let mut history = History::default();
        for n in 0..100i64 {
            history.outage(SimInstant(n * 1000), SimInstant(n * 1000 + 500));
        }
        assert_eq!(history.outages.len(), OUTAGES_MAX);
        assert!(history.dark(SimInstant(99_100), SimInstant(99_500)));
        assert!(!history.dark(SimInstant(99_100), SimInstant(99_501)));
        let half_second = SimDuration::from_millis(500);
        assert_eq!(
            history.long_outage_end(half_second, SimInstant(98_700)),
            Some(SimInstant(98_500))
        );
        assert_eq!(
            history.long_outage_end(SimDuration::from_secs(1), SimInstant(98_700)),
            None
        );
    }

    #[test]
    fn a_counter_has_one_last_reset() {
        let mut history = History::default();
        history.reset(Counter::RmsVoltage, SimInstant(1));
        history.reset(Counter::LoadLimit, SimInstant(2));
        history.reset(Counter::RmsVoltage, SimInstant(3));
        assert_eq!(history.reset_at(Counter::RmsVoltage), Some(SimInstant(3)));
        assert_eq!(history.reset_at(Counter::TariffBlocks), None);
        assert_eq!(history.resets.len(), 2);
    }
}
