//! Payment tokens at the meter: entered by the customer or sent from afar, taken once.
//!
//! What a token looks like is ours ([`domain::utrn::NativeToken`]); how often wrong ones may be entered, and how a family
//! reports them, is its profile's.

use std::collections::VecDeque;

use domain::keys::DeviceKey;
use domain::operation::{PaymentMode, Prices, Setting, TokenFault};
use domain::utrn::{CodeUse, LongCode, NativeToken, NotNative};
use domain::{Answer, LogKind, Outcome, Refusal, SimInstant};
use serde::{Deserialize, Serialize};

use crate::alerts::{self, AlertCode};
use crate::effects::Outbox;
use crate::meter::Meter;
use crate::prepayment::MICRO;
use crate::profile::{Profile, TokenAction, TokenKind, TokenRules, TokenWords};
use crate::supply::Cause;

/// What a meter remembers of tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    /// Accepted ones that it can name, oldest first: what they were worth or for, and counter.
    accepted: VecDeque<(u32, u16)>,
    /// Older ones: that they were taken is all it knows.
    older: VecDeque<(u32, u16)>,
    /// When wrong ones were entered since the last right one.
    wrong: VecDeque<SimInstant>,
    /// Entry is locked until then.
    locked_until: Option<SimInstant>,
}

/// Wrong entries remembered at most; no profile locks later.
const WRONG_MAX: usize = 32;
/// Accepted codes remembered beyond those that can be named: years of weekly top-ups.
const OLDER_MAX: usize = 500;
/// Set in the place of pence, above the number of its kind, for a code that is not plain credit.
const LONG: u32 = 1 << 31;

/// A code that may be taken.
#[derive(Clone, Copy)]
enum Code {
    Credit(NativeToken),
    Long(LongCode),
}

impl Code {
    /// What tells it from others.
    fn tag(self) -> (u32, u16) {
        match self {
            Self::Credit(token) => (token.pence, token.counter),
            Self::Long(code) => {
                let (kind, value) = code.tag();
                let tag = u32::try_from(kind << 20 | value).unwrap_or(u32::MAX);
                (LONG | tag, code.counter)
            }
        }
    }
}

/// Where a token comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenSource {
    /// The customer, at the meter.
    Keypad,
    /// The operator.
    Remote,
}

impl Meter {
    /// Takes a token, or says why not. `key` is that of the party that operates the meter.
    #[expect(
        clippy::too_many_arguments,
        reason = "what surrounds every act at a meter, the token and its key"
    )]
    pub(crate) fn enter_token(
        &mut self,
        now: SimInstant,
        powered: bool,
        digits: &str,
        key: &DeviceKey,
        source: TokenSource,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        let rules = &profile.tokens;
        let guarded = source == TokenSource::Keypad || rules.lock_remote;
        if guarded && self.entry_is_locked(now) {
            self.note(now, profile, out, alerts::TOKEN_ENTRY_SUSPENDED);
            return Err(Refusal::Token(TokenFault::Locked));
        }
        let taken = match self.judge(digits, key, profile) {
            Ok(Code::Credit(token)) => self.take_credit(now, powered, token, profile, out),
            Ok(Code::Long(code)) => self.obey(now, powered, code, profile, out),
            Err(fault) => Err(Refusal::Token(fault)),
        };
        match taken {
            Ok(answer) => Ok(answer),
            Err(Refusal::Token(fault)) => {
                self.refuse_token(now, fault, guarded, profile, out);
                Err(Refusal::Token(rules.words.of(fault)))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Tokens refused in a row.
    pub(crate) fn tokens_refused(&self) -> i64 {
        let wrong = self.tokens().map_or(0, |tokens| tokens.wrong.len());
        i64::try_from(wrong).unwrap_or(i64::MAX)
    }

    fn judge(&self, digits: &str, key: &DeviceKey, profile: &Profile) -> Result<Code, TokenFault> {
        let rules = &profile.tokens;
        let length = u8::try_from(digits.len()).unwrap_or(u8::MAX);
        if !rules.lengths.contains(&length) {
            return Err(TokenFault::Incomplete);
        }
        if self.mode != PaymentMode::Prepayment && rules.refused_in_credit_mode {
            return Err(TokenFault::NotPrepayment);
        }
        let device = self.device.id;
        let code = match length {
            20 => NativeToken::read(digits, rules.form, key, device).map(Code::Credit),
            _ => LongCode::read(digits, key, device).map(Code::Long),
        };
        let code = code.map_err(|wrong| match wrong {
            NotNative::Format => TokenFault::Format,
            NotNative::OtherDevice => TokenFault::OtherDevice,
            NotNative::NotAuthentic => TokenFault::NotAuthentic,
        })?;
        match code {
            Code::Long(code) if !knows(rules, code.what) => return Err(TokenFault::Format),
            _ => {}
        }
        let tokens = self.tokens();
        if tokens.is_some_and(|tokens| tokens.accepted.contains(&code.tag())) {
            return Err(TokenFault::Duplicate);
        }
        if tokens.is_some_and(|tokens| tokens.older.contains(&code.tag())) {
            return Err(TokenFault::NotAuthentic);
        }
        Ok(code)
    }

    fn take_credit(
        &mut self,
        now: SimInstant,
        powered: bool,
        token: NativeToken,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        let milli_pence = token.pence.saturating_mul(1_000);
        if milli_pence > self.account.settings.maximum_credit_mp {
            self.note(now, profile, out, alerts::CREDIT_ABOVE_MAXIMUM);
            return Err(Refusal::Token(TokenFault::OverCredit));
        }
        if self.mode == PaymentMode::Prepayment {
            let taken = self.top_up(now, powered, milli_pence, profile, out);
            // The only limit left that a credit can break.
            taken.map_err(|_| Refusal::Token(TokenFault::OverBalance))?;
        } else {
            self.adjust_balance(now, powered, i64::from(milli_pence), profile, out)?;
        }
        self.keep_code(Code::Credit(token), profile);
        Ok(Answer::Done)
    }

    /// Remembers a code that was taken, so that it is taken once.
    fn keep_code(&mut self, code: Code, profile: &Profile) {
        let history = usize::from(profile.tokens.history);
        let tokens = &mut self.changed.get_or_insert_default().tokens;
        tokens.wrong.clear();
        tokens.accepted.push_back(code.tag());
        while tokens.accepted.len() > history
            && let Some(oldest) = tokens.accepted.pop_front()
        {
            tokens.older.push_back(oldest);
        }
        while tokens.older.len() > OLDER_MAX {
            tokens.older.pop_front();
        }
    }

    /// Does what a code says that is not plain credit.
    fn obey(&mut self, now: SimInstant, powered: bool, code: LongCode, profile: &Profile, out: &mut Outbox) -> Outcome {
        let before = self.supply;
        match code.what {
            CodeUse::Arm => {
                if self.supply.arm(profile.arm_needs_disabled)? {
                    self.note(now, profile, out, alerts::SUPPLY_ARMED);
                }
            }
            CodeUse::Disable => {
                self.supply.disable(Cause::Token);
            }
            CodeUse::ClearLogs => {
                self.device.logs.clear(LogKind::Event);
                self.device.logs.clear(LogKind::PowerEvent);
            }
            CodeUse::DefaultMode if profile.prepayment.default_mode => self.unconfigure(now, powered, profile, out),
            CodeUse::DefaultMode => return Err(Refusal::Token(TokenFault::Format)),
            CodeUse::Deduct(pence) => {
                let amount = i64::from(pence) * 1_000;
                if self.account.balance / MICRO < amount {
                    return Err(Refusal::Token(TokenFault::UnderBalance));
                }
                self.adjust_balance(now, powered, -amount, profile, out)?;
            }
            CodeUse::Overwrite(pence) => {
                let change = i64::from(pence) * 1_000 - self.account.balance / MICRO;
                let taken = self.adjust_balance(now, powered, change, profile, out);
                taken.map_err(|_| Refusal::Token(TokenFault::OverBalance))?;
            }
            CodeUse::RetainCredit => {
                self.reset_balance(now, powered, profile, out)?;
            }
            CodeUse::Tariff {
                standing_charge_mp,
                tou_mp,
            } => {
                let mut prices = Prices {
                    standing_charge_mp: i64::from(standing_charge_mp),
                    ..self.tariff.main.prices.as_ref().clone()
                };
                prices.tou_mp = tou_mp.iter().map(|price| Some(i64::from(*price))).collect();
                self.write(now, powered, &Setting::Prices(prices), profile, out)?;
            }
        }
        self.follow_supply(now, powered);
        self.log_switch(before, now, profile, out);
        self.keep_code(Code::Long(code), profile);
        Ok(Answer::Done)
    }

    fn refuse_token(&mut self, now: SimInstant, fault: TokenFault, guarded: bool, profile: &Profile, out: &mut Outbox) {
        let rules = &profile.tokens;
        let known = match fault {
            TokenFault::Duplicate => Some(alerts::TOKEN_DUPLICATE),
            TokenFault::OtherDevice => Some(alerts::TOKEN_OTHER_DEVICE),
            TokenFault::Format | TokenFault::Incomplete | TokenFault::NotAuthentic => Some(alerts::TOKEN_NOT_AUTHENTIC),
            _ => None,
        };
        // Where every refusal is told, one that has no code of its own is told as a refusal.
        let bare = matches!(fault, TokenFault::NotPrepayment | TokenFault::UnderBalance);
        let known = known.or((bare && rules.refusal_alerts).then_some(TOKEN_REFUSED));
        if let Some(alert) = known {
            let pushed = alert.pushed || rules.refusal_alerts;
            self.note(now, profile, out, AlertCode { pushed, ..alert });
        }
        // A right code for which there is no room is not a wrong one.
        let right = matches!(
            fault,
            TokenFault::NotPrepayment | TokenFault::OverBalance | TokenFault::OverCredit | TokenFault::UnderBalance
        );
        let counts = guarded && !right;
        if !counts || rules.lock_attempts == 0 {
            return;
        }
        let tokens = &mut self.changed.get_or_insert_default().tokens;
        tokens.wrong.push_back(now);
        while tokens.wrong.len() > WRONG_MAX {
            tokens.wrong.pop_front();
        }
        if let Some(window) = rules.lock_window {
            tokens.wrong.retain(|at| now.since(*at) < window);
        }
        if tokens.wrong.len() >= usize::from(rules.lock_attempts) {
            tokens.wrong.clear();
            tokens.locked_until = Some(now + rules.lock_for);
            self.note(now, profile, out, alerts::TOKEN_ENTRY_LOCKED);
        }
    }

    fn entry_is_locked(&self, now: SimInstant) -> bool {
        let until = self.tokens().and_then(|tokens| tokens.locked_until);
        until.is_some_and(|until| now < until)
    }

    fn tokens(&self) -> Option<&Tokens> {
        self.changed.as_ref().map(|changed| &changed.tokens)
    }
}

/// Whether a meter with these rules knows codes for this.
fn knows(rules: &TokenRules, what: CodeUse) -> bool {
    match what {
        CodeUse::Arm | CodeUse::Disable => rules.kinds.contains(&TokenKind::Switch),
        CodeUse::ClearLogs | CodeUse::DefaultMode => rules.kinds.contains(&TokenKind::Engineering),
        CodeUse::Deduct(_) => rules.actions.contains(&TokenAction::Deduct),
        CodeUse::Overwrite(_) => rules.actions.contains(&TokenAction::Overwrite),
        CodeUse::RetainCredit => rules.kinds.contains(&TokenKind::RetainCredit),
        CodeUse::Tariff { .. } => rules.kinds.contains(&TokenKind::Tariff),
    }
}

impl TokenWords {
    /// What a refusal is called in these words.
    fn of(self, fault: TokenFault) -> TokenFault {
        match (self, fault) {
            (Self::Plain, TokenFault::Incomplete) => TokenFault::Format,
            (
                Self::UsedOrInvalid,
                TokenFault::Format | TokenFault::Incomplete | TokenFault::OtherDevice | TokenFault::NotAuthentic,
            )
            | (Self::SixCauses, TokenFault::Format) => TokenFault::NotAuthentic,
            (Self::SixCauses, TokenFault::OverCredit) => TokenFault::OverBalance,
            _ => fault,
        }
    }
}

/// A refusal that the usual codes have no word for; the code is ours.
const TOKEN_REFUSED: AlertCode = AlertCode {
    code: 0x81F9,
    description: "a token was refused",
    log: LogKind::Event,
    pushed: true,
    confidence: domain::Confidence::Invented,
};
