//! The little language of acts and looks.

use std::sync::Arc;

use domain::keys::Party;
use domain::operation::{Answer, ClockStatus, Outcome, PaymentMode, Value};
use domain::{Access, Association, DataItem, DeviceKind, Execution, LogRow, Operation, SimDuration};
use meter::Tariff;

use super::Bench;
use super::words::{outcome_words, quantity_words};
use crate::names::{item_by_name, log_by_name, operation_by_name};

/// A statement that cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{statement:?}: {problem}")]
pub struct ScriptError {
    /// The statement.
    pub statement: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Bench {
    /// Runs a script; gives what its looks saw, joined by `; `.
    ///
    /// Acts: `with prepayment|generation|night-rate|start N|before-enrolment` (before anything else), `wait SPAN`,
    /// `outage SPAN`, `cut`, `restore`, `press`, `top-up MILLIPENCE`, `emergency`, `forget alerts`, `message TEXT` (to the
    /// electricity meter), `switch off|on` and `acknowledge` (a display).
    /// Looks: `do OPERATION`, `took OPERATION` (with the time it took), `sync +SPAN|-SPAN [TOLERANCE_S]`, `read ITEM`,
    /// `let-in own|foreign` (another device into the HAN), `show [electricity|gas|balance|price|messages]` (a display),
    /// `keypad METER emergency|restore|token DIGITS` (at a display),
    /// `rise ITEM SPAN` (by how much it rises), `log LOG SPAN [ago SPAN] [count|first|last|sum|codes]`, `clock`, `alerts`.
    /// Also, beyond a plain home: `code …` and `send-code …` (of a supplier, at the meter or from afar: `PENCE COUNTER`,
    /// `elsewhere PENCE COUNTER`, `digits DIGITS`, `arm|disable|clear-logs|default-mode|retain-credit COUNTER`,
    /// `deduct|overwrite PENCE COUNTER`, `tariff STANDING FIRST SECOND COUNTER`), `set tou|blocks|price|mode|limit|voltage|
    /// protection|debts …`, `plan-mode MODE SPAN`, `load SWITCH on|off`, `intrude`, `tries COUNT OPERATION`, `changes ITEM SPAN`,
    /// `months`, `texts COUNT`. `times COUNT STATEMENT` does a statement so often and shows what it saw last.
    /// `image OCTETS [metrology|damaged|through-hub]`, `run-image first|last` (firmware).
    /// A look may end in `| % N`, `| digits` or `| sign`. A device other than the one looked at is named first: `on ESME read …`.
    ///
    /// # Errors
    /// The first statement that is none of these.
    pub fn run(&mut self, script: &str) -> Result<String, ScriptError> {
        let mut seen = Vec::new();
        for statement in script
            .split(';')
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
        {
            if let Some(look) = self.statement(statement)? {
                seen.push(look);
            }
        }
        Ok(seen.join("; "))
    }

    /// One statement: what it saw, if it is a look.
    ///
    /// # Errors
    /// Where it is no statement.
    pub fn statement(&mut self, statement: &str) -> Result<Option<String>, ScriptError> {
        let wrong = |problem: &str| ScriptError {
            statement: statement.to_owned(),
            problem: problem.to_owned(),
        };
        let (body, filter) = match statement.split_once('|') {
            Some((body, filter)) => (body.trim(), Some(filter.trim())),
            None => (statement, None),
        };
        if let Some((count, again)) = statement.strip_prefix("times ").and_then(|rest| rest.split_once(' ')) {
            let count: u16 = count.parse().map_err(|_| wrong("no count"))?;
            let mut last = None;
            for _ in 0..count {
                last = self.statement(again)?;
            }
            return Ok(last);
        }
        let words: Vec<&str> = body.split_whitespace().collect();
        let (slot, words) = match words.as_slice() {
            ["on", kind, rest @ ..] => (kind.parse().map_err(|_| wrong("no kind of device"))?, rest),
            all => (self.kind, all),
        };
        let done = self
            .more(slot, words)
            .or_else(|| self.act(slot, words).map(|done| done.map(|()| None)))
            .or_else(|| self.look(slot, words).map(|seen| seen.map(Some)))
            .unwrap_or_else(|| Err("neither an act nor a look".to_owned()));
        let seen = done.map_err(|problem| wrong(&problem))?;
        self.drain();
        match (seen, filter) {
            (Some(seen), Some(filter)) => filtered(&seen, filter).map(Some).ok_or_else(|| wrong("no such filter")),
            (seen, _) => Ok(seen),
        }
    }

    /// Does something, if these words are an act.
    fn act(&mut self, slot: DeviceKind, words: &[&str]) -> Option<Result<(), String>> {
        let result = match words {
            ["with", rest @ ..] => self.configure(rest),
            ["wait", span] => length(span).map(|span| self.wait(span)),
            ["outage", span] => length(span).map(|span| {
                self.with(|installation, context| installation.cut_power(context));
                self.wait(span);
                self.with(|installation, context| installation.restore_power(context));
            }),
            ["tamper"] => self
                .with(|installation, context| installation.tamper(context, slot))
                .map_err(|refusal| refusal.to_string()),
            ["jam"] => self
                .with(|installation, _| installation.jam_valve(true))
                .map_err(|refusal| refusal.to_string()),
            ["cut"] => {
                self.with(|installation, context| installation.cut_power(context));
                Ok(())
            }
            ["restore"] => {
                self.with(|installation, context| installation.restore_power(context));
                Ok(())
            }
            ["press"] => self
                .with(|installation, context| installation.press_restore_supply(context, slot))
                .map_err(|refusal| refusal.to_string()),
            ["top-up", amount] => match amount.parse() {
                Ok(amount) => self
                    .with(|installation, context| installation.top_up(context, slot, amount))
                    .map_err(|refusal| refusal.to_string()),
                Err(_) => Err("no amount".to_owned()),
            },
            ["emergency"] => self
                .with(|installation, context| installation.activate_emergency_credit(context, slot))
                .map_err(|refusal| refusal.to_string()),
            ["message", text] => self.message(DeviceKind::Esme, text),
            ["switch", on @ ("off" | "on")] => self
                .with(|installation, context| installation.switch_display(context, slot, *on == "on"))
                .map_err(|refusal| refusal.to_string()),
            ["acknowledge"] => self
                .with(|installation, _| installation.acknowledge_messages(slot))
                .map_err(|refusal| refusal.to_string()),
            ["forget", "alerts"] => {
                self.drain();
                self.alerts.clear();
                Ok(())
            }
            _ => return None,
        };
        Some(result)
    }

    /// Changes what the home is, before anything has happened in it.
    fn configure(&mut self, words: &[&str]) -> Result<(), String> {
        if self.started {
            return Err("only before anything has happened".to_owned());
        }
        match words {
            ["prepayment"] => self.rebuild(|config| {
                config.payment_mode = PaymentMode::Prepayment;
                config.gas_payment_mode = PaymentMode::Prepayment;
            }),
            ["balance", amount] => {
                let amount = amount.parse().map_err(|_| "no amount".to_owned())?;
                self.rebuild(|config| {
                    config.account.balance_mp = amount;
                    config.gas_account.balance_mp = amount;
                });
            }
            ["generation"] => self.rebuild(|config| config.generation = true),
            ["night-rate"] => self.rebuild(|config| config.tariff = Arc::new(Tariff::night_rate())),
            ["start", number] => {
                let number = number.parse().map_err(|_| "no number".to_owned())?;
                self.rebuild(|config| {
                    config.start_import_wh = number;
                    config.start_gas_litres = number;
                });
            }
            ["deaf-gas"] => {
                let deaf = Arc::make_mut(&mut self.profiles.gsme);
                deaf.meter.han_loss_permille = 1000;
                self.rebuild(|_| {});
            }
            ["before-enrolment"] => self.rebuild(|config| config.enrolled = false),
            ["at", instant] => {
                self.now = instant.parse().map_err(|_| "no instant".to_owned())?;
                self.rebuild(|_| {});
            }
            _ => return Err("no such home".to_owned()),
        }
        Ok(())
    }

    /// Looks, if these words are a look.
    fn look(&mut self, slot: DeviceKind, words: &[&str]) -> Option<Result<String, String>> {
        let seen = match words {
            ["do", operation] => self
                .operation(operation)
                .map(|operation| outcome_words(&self.execute(slot, &operation).0)),
            ["took", operation] => self.operation(operation).map(|operation| {
                let (outcome, took) = self.execute(slot, &operation);
                format!("{} after {} min", outcome_words(&outcome), took.as_millis() / 60_000)
            }),
            ["sync", shift] => self.sync(slot, shift, 10),
            ["sync", shift, tolerance] => match tolerance.parse() {
                Ok(tolerance) => self.sync(slot, shift, tolerance),
                Err(_) => Err("no tolerance".to_owned()),
            },
            ["queue", count, operation] => match (count.parse(), self.operation(operation)) {
                (Ok(count), Ok(operation)) => Ok(self.queue(slot, count, &operation)),
                _ => Err("no count, or no operation".to_owned()),
            },
            ["let-in", "own"] => Ok(self.let_in(true)),
            ["let-in", "foreign"] => Ok(self.let_in(false)),
            ["show", what @ ..] => self.show(slot, what),
            ["keypad", meter, act @ ..] => match meter.parse() {
                Ok(meter) => self.keypad(slot, meter, act),
                Err(_) => Err("no kind of device".to_owned()),
            },
            ["image", octets, how @ ..] => self.bring_image(slot, octets, how),
            ["run-image", which] => self.run_image(slot, which),
            ["nothing"] => Ok("nothing".to_owned()),
            ["state"] => Ok(self
                .installation
                .supply(slot)
                .map_or_else(|| "no supply".to_owned(), |state| format!("{state:?}").to_lowercase())),
            ["read", item] => item_of(item).map(|item| outcome_words(&self.read(slot, item))),
            ["rise", item, span] => match (item_of(item), length(span)) {
                (Ok(item), Ok(span)) => self.rise(slot, item, span),
                (Err(problem), _) | (_, Err(problem)) => Err(problem),
            },
            ["log", log, span, rest @ ..] => self.log(slot, log, span, rest),
            ["clock"] => Ok(self.clock(slot)),
            ["alerts"] => Ok(self.alert_words()),
            ["restarts"] => {
                let restarted = self.installation.take_hub_restart();
                Ok(if restarted {
                    "the hub restarts"
                } else {
                    "nothing restarts"
                }
                .to_owned())
            }
            _ => return None,
        };
        Some(seen)
    }

    pub(super) fn operation(&self, name: &str) -> Result<Operation, String> {
        use domain::operation::OperationKind as K;
        let kind = operation_by_name(name).ok_or_else(|| "no such operation".to_owned())?;
        match kind {
            K::ArmSupply => Ok(Operation::ArmSupply),
            K::DisableSupply => Ok(Operation::DisableSupply),
            K::EnableSupply => Ok(Operation::EnableSupply),
            K::ResetBalance => Ok(Operation::ResetBalance),
            K::StageKeys => Ok(Operation::StageKeys {
                party: Party::S1sp,
                epoch: self.config.epoch + 1,
            }),
            K::ActivateEmergencyCredit => Ok(Operation::ActivateEmergencyCredit),
            K::Read(item) => Ok(Operation::Read(item)),
            K::RecordNetworkData => Ok(Operation::RecordNetworkData),
            K::RestrictAccess => Ok(Operation::RestrictAccess { before: self.now }),
            _ => Err("this operation needs more than a name".to_owned()),
        }
    }

    /// Hands in the same operation several times at once; gives how many were taken.
    fn queue(&mut self, slot: DeviceKind, count: u32, operation: &Operation) -> String {
        let party = self.installation.active_party(slot);
        let access = Access {
            association: Association::Critical,
            party: Some(party),
        };
        let taken = (0..count)
            .filter(|_| {
                let execution =
                    self.with(|installation, context| installation.execute(context, slot, access, operation, None));
                matches!(execution, Execution::Queued(_))
            })
            .count();
        format!("{taken} taken")
    }

    fn read(&mut self, slot: DeviceKind, item: DataItem) -> Outcome {
        self.execute(slot, &Operation::Read(item)).0
    }

    fn number(&mut self, slot: DeviceKind, item: DataItem) -> Result<domain::Quantity, String> {
        match self.read(slot, item) {
            Ok(Answer::Value(Value::Quantity(quantity) | Value::Stamped(quantity, _))) => Ok(quantity),
            other => Err(format!("no number: {}", outcome_words(&other))),
        }
    }

    fn rise(&mut self, slot: DeviceKind, item: DataItem, span: SimDuration) -> Result<String, String> {
        let before = self.number(slot, item)?;
        self.wait(span);
        let after = self.number(slot, item)?;
        let rise = domain::Quantity::new(after.value - before.value, after.unit);
        Ok(quantity_words(rise))
    }

    fn sync(&mut self, slot: DeviceKind, shift: &str, tolerance_s: u32) -> Result<String, String> {
        let time = match (shift.strip_prefix('+'), shift.strip_prefix('-')) {
            (Some(span), _) => self.now + length(span)?,
            (_, Some(span)) => self.now - length(span)?,
            _ => return Err("a shift begins with + or -".to_owned()),
        };
        let operation = Operation::SynchroniseClock { time, tolerance_s };
        Ok(outcome_words(&self.execute(slot, &operation).0))
    }

    fn log(&mut self, slot: DeviceKind, log: &str, span: &str, rest: &[&str]) -> Result<String, String> {
        let log = log_by_name(log).ok_or_else(|| "no such log".to_owned())?;
        let (ago, how) = match rest {
            ["ago", ago, how @ ..] => (length(ago)?, how),
            how => (SimDuration::ZERO, how),
        };
        let to = self.now - ago;
        let from = to - length(span)?;
        let rows = match self.execute(slot, &Operation::ReadLog { log, from, to }).0 {
            Ok(Answer::Log(rows)) => rows,
            other => return Ok(outcome_words(&other)),
        };
        match how {
            [] | ["count"] => Ok(format!("{} rows", rows.len())),
            ["first"] => Ok(rows.first().map_or_else(|| "none".to_owned(), row_words)),
            ["last"] => Ok(rows.last().map_or_else(|| "none".to_owned(), row_words)),
            ["sum"] => Ok(sum(&rows)),
            ["codes"] => Ok(rows
                .iter()
                .filter_map(|row| row.code.map(|code| format!("{code:04X}")))
                .collect::<Vec<_>>()
                .join(" ")),
            _ => Err("no such way to look at a log".to_owned()),
        }
    }

    /// Seconds by which the clock is ahead, and what it thinks of itself.
    fn clock(&mut self, slot: DeviceKind) -> String {
        match self.read(slot, DataItem::Clock) {
            Ok(Answer::Value(Value::Clock(at, status))) => {
                let ahead = (at.0 - self.now.0).div_euclid(1000);
                let status = match status {
                    ClockStatus::Reliable => "reliable",
                    ClockStatus::Unreliable => "unreliable",
                    ClockStatus::Invalid => "invalid",
                };
                format!("{ahead} s ahead, {status}")
            }
            other => outcome_words(&other),
        }
    }

    fn alert_words(&mut self) -> String {
        self.drain();
        if self.alerts.is_empty() {
            return "none".to_owned();
        }
        let words: Vec<String> = self
            .alerts
            .iter()
            .map(|(kind, code)| format!("{kind} {code:04X}"))
            .collect();
        words.join(", ")
    }
}

pub(super) fn item_of(name: &str) -> Result<DataItem, String> {
    item_by_name(name).ok_or_else(|| "no such item".to_owned())
}

fn row_words(row: &LogRow) -> String {
    let values: Vec<String> = row
        .values
        .iter()
        .map(|(item, quantity)| format!("{} {}", item.key(), quantity_words(*quantity)))
        .collect();
    let code = row.code.map(|code| format!(" code {code:04X}")).unwrap_or_default();
    format!("{}{code} {}", row.at, values.join(", ")).trim_end().to_owned()
}

fn sum(rows: &[LogRow]) -> String {
    let quantities = rows
        .iter()
        .filter_map(|row| row.values.first().map(|(_, quantity)| *quantity));
    let mut unit = None;
    let mut sum: i64 = 0;
    for quantity in quantities {
        unit = Some(quantity.unit);
        sum = sum.saturating_add(quantity.value);
    }
    unit.map_or_else(
        || "none".to_owned(),
        |unit| quantity_words(domain::Quantity::new(sum, unit)),
    )
}

/// What a filter leaves of a look.
fn filtered(seen: &str, filter: &str) -> Option<String> {
    let number: Option<i64> = seen.split_whitespace().next().and_then(|word| word.parse().ok());
    match filter.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["%", by] => {
            let by: i64 = by.parse().ok().filter(|by| *by > 0)?;
            Some(number.map_or_else(|| seen.to_owned(), |number| number.rem_euclid(by).to_string()))
        }
        ["digits"] => Some(number.map_or_else(|| seen.to_owned(), |number| number.abs().to_string().len().to_string())),
        ["sign"] => Some(number.map_or_else(
            || seen.to_owned(),
            |number| match number.signum() {
                1 => "more".to_owned(),
                0 => "same".to_owned(),
                _ => "less".to_owned(),
            },
        )),
        _ => None,
    }
}

/// A span of time: `90s`, `5m`, `2h`, `3d`.
///
/// # Errors
/// In words, when it is none.
pub fn length(text: &str) -> Result<SimDuration, String> {
    let problem = || format!("{text:?} is no span of time such as 90s, 5m, 2h or 3d");
    let unit = text.chars().last().ok_or_else(problem)?;
    let number = text[..text.len() - unit.len_utf8()]
        .parse::<u64>()
        .map_err(|_| problem())?;
    let number = number.min(100_000);
    match unit {
        's' => Ok(SimDuration::from_secs(number)),
        'm' => Ok(SimDuration::from_mins(number)),
        'h' => Ok(SimDuration::from_hours(number)),
        'd' => Ok(SimDuration::from_days(number)),
        _ => Err(problem()),
    }
}
