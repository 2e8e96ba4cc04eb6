//! Statements about codes, settings and what happens at a home, beyond the plain ones of the script.

use domain::keys::Purpose;
use domain::operation::{
    AnyDate, AnyDay, DebtChange, LoadLimit, NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting,
    PrepaymentConfiguration, Prices, RecoveryPeriod, Setting, SettingKind, SwitchingTable, TariffAction, TariffTables,
    Token, Value, VoltageSettings,
};
use domain::utrn::{CodeUse, LongCode, NativeToken};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, Outcome, SecurityEvent, SimDuration};

use super::Bench;
use super::script::length;
use super::words::outcome_words;

impl Bench {
    /// A look or an act beyond the plain ones, if these words are one.
    pub(super) fn more(&mut self, slot: DeviceKind, words: &[&str]) -> Option<Result<Option<String>, String>> {
        Some(match words {
            ["code", rest @ ..] => self.code(slot, rest).map(|digits| {
                let taken = self.with(|installation, context| installation.enter_token(context, slot, &digits));
                Some(outcome_words(&taken.map(|()| Answer::Done)))
            }),
            ["send-code", rest @ ..] => self.code(slot, rest).map(|digits| {
                let operation = Operation::EnterToken(Token(digits));
                Some(outcome_words(&self.execute(slot, &operation).0))
            }),
            ["set", rest @ ..] => self
                .setting(slot, rest)
                .map(|operation| Some(outcome_words(&self.execute(slot, &operation).0))),
            ["plan-mode", mode, span] => self.plan_mode(slot, mode, span).map(|()| None),
            ["load", switch, on] => number(switch).map(|switch| {
                let on = *on == "on";
                let operation = Operation::SwitchAuxiliaryLoad { switch, on, minutes: 0 };
                Some(outcome_words(&self.execute(slot, &operation).0))
            }),
            ["intrude"] => {
                let event = SecurityEvent::AuthenticationFailed;
                self.with(|installation, context| installation.security_event(context, slot, event));
                Ok(None)
            }
            ["tries", count, operation] => self.tries(slot, count, operation).map(Some),
            ["changes", item, span] => self.changes(slot, item, span).map(Some),
            ["months"] => {
                let months = self.with(|installation, context| installation.months(context, slot));
                Ok(Some(format!("{} months", months.len())))
            }
            ["texts", count] => number(count).map(|count: u32| {
                let wan = &self.profiles.chf.wan;
                let cost: u64 = (1..=count).map(|nth| wan.text_cost_mp(nth)).sum();
                Some(format!("{cost} mp"))
            }),
            _ => return None,
        })
    }

    /// The digits of a code: `PENCE COUNTER`, `elsewhere PENCE COUNTER` (for another device), `digits DIGITS`, or what a long
    /// code is for with its amounts and its counter.
    fn code(&mut self, slot: DeviceKind, words: &[&str]) -> Result<String, String> {
        let device = self.installation.device(slot).ok_or("no such device here")?;
        let key = self.with(|installation, context| installation.key(context, slot, Purpose::Token));
        let key = key.ok_or("the device has no key for codes")?;
        let long = |what, counter: &str| {
            let counter = number(counter)?;
            Ok(LongCode { what, counter }.digits(&key, device))
        };
        let form = match slot {
            DeviceKind::Gsme => self.profiles.gsme.meter.tokens.form,
            _ => self.profiles.esme.meter.tokens.form,
        };
        let credit = |pence: &str, counter: &str, device: Eui64| {
            let (pence, counter) = (number(pence)?, number(counter)?);
            Ok(NativeToken { pence, counter }.digits(form, &key, device))
        };
        match words {
            ["digits", digits] => Ok((*digits).to_owned()),
            ["elsewhere", pence, counter] => credit(pence, counter, Eui64(device.0 ^ 1)),
            ["arm", counter] => long(CodeUse::Arm, counter),
            ["clear-logs", counter] => long(CodeUse::ClearLogs, counter),
            ["deduct", pence, counter] => long(CodeUse::Deduct(number(pence)?), counter),
            ["default-mode", counter] => long(CodeUse::DefaultMode, counter),
            ["disable", counter] => long(CodeUse::Disable, counter),
            ["overwrite", pence, counter] => long(CodeUse::Overwrite(number(pence)?), counter),
            ["retain-credit", counter] => long(CodeUse::RetainCredit, counter),
            ["tariff", standing, first, second, counter] => {
                let what = CodeUse::Tariff {
                    standing_charge_mp: number(standing)?,
                    tou_mp: [number(first)?, number(second)?],
                };
                long(what, counter)
            }
            [pence, counter] => credit(pence, counter, device),
            _ => Err("no such code".to_owned()),
        }
    }

    /// The operation that sets something: `tou REGISTERS`, `blocks BLOCKS BANDS`, `price MILLIPENCE`,
    /// `mode credit|prepayment [THRESHOLD_MP]`, `limit WATTS PERIOD_S RESTORATION_S`, `voltage MINUTES`,
    /// `protection FROM_MINUTE TO_MINUTE`, `debts TIME_1 TIME_2 PAYMENT`.
    fn setting(&mut self, slot: DeviceKind, words: &[&str]) -> Result<Operation, String> {
        let write = |setting| Operation::Write(Box::new(setting));
        Ok(match words {
            ["tou", registers] => write(tables(number(registers)?, TariffAction::Tou, Vec::new())),
            ["blocks", blocks, bands] => {
                let edges: Vec<u64> = (1..number::<u64>(blocks)?).map(|n| n * 1_000_000).collect();
                let bands: u8 = number(bands)?;
                let thresholds = (0..bands).map(|_| edges.clone()).collect();
                write(tables(bands, TariffAction::Block, thresholds))
            }
            ["price", price] => write(Setting::Prices(Prices {
                standing_charge_mp: 25_000,
                tou_mp: vec![Some(number(price)?); 2],
                ..Prices::default()
            })),
            ["mode", mode] => write(payment(mode, 0)?),
            ["mode", mode, threshold] => write(payment(mode, number(threshold)?)?),
            ["limit", watts, period, restoration] => write(Setting::LoadLimit(LoadLimit {
                period_s: number(period)?,
                threshold_w: number(watts)?,
                restoration_s: number(restoration)?,
                disables: true,
            })),
            ["voltage", minutes] => write(Setting::Voltage(VoltageSettings {
                extremes: [(1, 2_760), (1, 1_840), (1, 2_070), (1, 2_645)],
                averages: vec![(2_530, 2_162, number::<u32>(minutes)? * 60)],
                keep_counters: true,
            })),
            ["protection", from, to] => {
                let non_disablement = every_day(number(from)?, number(to)?);
                let item = DataItem::Setting(SettingKind::PrepaymentConfiguration);
                let held = match self.execute(slot, &Operation::Read(item)).0 {
                    Ok(Answer::Value(Value::Setting(held))) => *held,
                    other => return Err(format!("no configuration: {}", outcome_words(&other))),
                };
                let Setting::PrepaymentConfiguration(held) = held else {
                    return Err("no configuration".to_owned());
                };
                write(Setting::PrepaymentConfiguration(PrepaymentConfiguration {
                    non_disablement,
                    ..held
                }))
            }
            ["debts", first, second, payment] => Operation::ChangeDebt(Box::new(DebtChange {
                time_debt_mp: [number(first)?, number(second)?],
                payment_debt_mp: number(payment)?,
                per_payment: 2_000,
                recovery: [(30_000, RecoveryPeriod::Daily), (100, RecoveryPeriod::Hourly)],
            })),
            _ => return Err("no such setting".to_owned()),
        })
    }

    fn plan_mode(&mut self, slot: DeviceKind, mode: &str, span: &str) -> Result<(), String> {
        let (mode, at) = (mode_of(mode)?, self.now + length(span)?);
        self.with(|installation, context| installation.plan_payment_mode(context, slot, at, mode))
            .map_err(|refusal| refusal.to_string())
    }

    /// Tries an operation so often, half an hour apart, and counts the refusals.
    fn tries(&mut self, slot: DeviceKind, count: &str, operation: &str) -> Result<String, String> {
        let operation = self.operation(operation)?;
        let (mut done, mut refused) = (0u32, Vec::new());
        for _ in 0..number::<u16>(count)? {
            match self.execute(slot, &operation).0 {
                Ok(_) => done += 1,
                Err(refusal) => refused.push(refusal),
            }
            self.wait(SimDuration::from_mins(30));
        }
        let why = refused.first().map(|why| format!(": {why}")).unwrap_or_default();
        Ok(format!("{done} done, {} refused{why}", refused.len()))
    }

    /// How often an item changes within a time, looked at every minute, and after how many minutes it first does.
    fn changes(&mut self, slot: DeviceKind, item: &str, span: &str) -> Result<String, String> {
        let item = super::script::item_of(item)?;
        let minutes = length(span)?.as_millis() / 60_000;
        let look = |bench: &mut Self| -> Outcome { bench.execute(slot, &Operation::Read(item)).0 };
        let mut before = look(self);
        let mut at = Vec::new();
        for minute in 1..=minutes {
            self.wait(SimDuration::from_mins(1));
            let now = look(self);
            if now != before {
                at.push(minute);
            }
            before = now;
        }
        let first = at
            .first()
            .map(|minute| format!(", first after {minute} min"))
            .unwrap_or_default();
        Ok(format!("{} changes{first}", at.len()))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no such number"))
}

fn mode_of(text: &str) -> Result<PaymentMode, String> {
    match text {
        "credit" => Ok(PaymentMode::Credit),
        "prepayment" => Ok(PaymentMode::Prepayment),
        _ => Err(format!("{text:?} is no payment mode")),
    }
}

fn payment(mode: &str, threshold_mp: i64) -> Result<Setting, String> {
    Ok(Setting::PaymentMode(PaymentSetting {
        mode: mode_of(mode)?,
        suspend_debt_disabled: false,
        suspend_debt_emergency: false,
        disablement_threshold_mp: threshold_mp,
    }))
}

/// A tariff that switches through so many registers or bands, one each half-hour from midnight.
fn tables(count: u8, action: fn(u8) -> TariffAction, thresholds: Vec<Vec<u64>>) -> Setting {
    let switches = (1..=count).map(|n| (u16::from(n - 1) * 30, action(n))).collect();
    Setting::Tariff(TariffTables {
        switching: SwitchingTable::every_day("", switches),
        thresholds,
        ..TariffTables::default()
    })
}

/// No disablement between two minutes of each day.
fn every_day(from: u16, to: u16) -> NonDisablementCalendar {
    let rule = |start, minute| NonDisablementRule {
        start,
        minute,
        from: on(1, 1),
        to: on(12, 31),
        days_of_week: (1..=7).collect(),
        special_days: Vec::new(),
    };
    NonDisablementCalendar {
        rules: vec![rule(true, from), rule(false, to)],
        ..NonDisablementCalendar::default()
    }
}

const fn on(month: u8, day: u8) -> AnyDate {
    AnyDate {
        year: None,
        month: Some(month),
        day: Some(AnyDay::Day(day)),
        day_of_week: None,
    }
}
