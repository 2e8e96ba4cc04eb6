//! The prepayment account: balance, emergency credit, debts, and the moment at which supply ends.

/// Settings and start balances of one account, in milli-pence unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimeDebt {
    /// What is left.
    pub balance_mp: u32,
    /// What is taken each time.
    pub rate_mp: u32,
    /// How often.
    pub period: DebtPeriod,
}

/// How often a time-based debt is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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
