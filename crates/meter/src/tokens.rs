//! Payment tokens at the meter: entered by the customer or sent from afar, taken once.
//!
//! What a token looks like is ours ([`domain::utrn::NativeToken`]); how often wrong ones may be entered, and how a family
//! reports them, is its profile's.

use std::collections::VecDeque;

use domain::keys::DeviceKey;
use domain::operation::{PaymentMode, TokenFault};
use domain::utrn::{NativeToken, NotNative};
use domain::{Answer, Outcome, Refusal, SimInstant};
use serde::{Deserialize, Serialize};

use crate::alerts::{self, AlertCode};
use crate::effects::Outbox;
use crate::meter::Meter;
use crate::profile::Profile;

/// What a meter remembers of tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    /// Accepted ones, oldest first: pence and counter.
    accepted: VecDeque<(u32, u16)>,
    /// When wrong ones were entered since the last right one.
    wrong: VecDeque<SimInstant>,
    /// Entry is locked until then.
    locked_until: Option<SimInstant>,
}

/// Wrong entries remembered at most; no profile locks later.
const WRONG_MAX: usize = 32;

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
        match self.judge(digits, key, profile) {
            Ok(token) => self.take_credit(now, powered, token, profile, out),
            Err(fault) => {
                self.refuse_token(now, fault, guarded, profile, out);
                Err(Refusal::Token(fault))
            }
        }
    }

    /// Tokens refused in a row.
    pub(crate) fn tokens_refused(&self) -> i64 {
        let wrong = self.tokens().map_or(0, |tokens| tokens.wrong.len());
        i64::try_from(wrong).unwrap_or(i64::MAX)
    }

    fn judge(&self, digits: &str, key: &DeviceKey, profile: &Profile) -> Result<NativeToken, TokenFault> {
        let rules = &profile.tokens;
        let length = u8::try_from(digits.len()).unwrap_or(u8::MAX);
        if !rules.lengths.contains(&length) {
            return Err(TokenFault::Format);
        }
        if self.mode != PaymentMode::Prepayment && rules.refused_in_credit_mode {
            return Err(TokenFault::NotPrepayment);
        }
        let token = NativeToken::read(digits, key, self.device.id).map_err(|wrong| match wrong {
            NotNative::Format => TokenFault::Format,
            NotNative::OtherDevice => TokenFault::OtherDevice,
            NotNative::NotAuthentic => TokenFault::NotAuthentic,
        })?;
        let used = |tokens: &Tokens| tokens.accepted.contains(&(token.pence, token.counter));
        if self.tokens().is_some_and(used) {
            return Err(TokenFault::Duplicate);
        }
        Ok(token)
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
        let history = usize::from(profile.tokens.history);
        let tokens = &mut self.changed.get_or_insert_default().tokens;
        tokens.wrong.clear();
        while !tokens.accepted.is_empty() && tokens.accepted.len() >= history {
            tokens.accepted.pop_front();
        }
        if history > 0 {
            tokens.accepted.push_back((token.pence, token.counter));
        }
        Ok(Answer::Done)
    }

    fn refuse_token(&mut self, now: SimInstant, fault: TokenFault, guarded: bool, profile: &Profile, out: &mut Outbox) {
        let rules = &profile.tokens;
        let known = match fault {
            TokenFault::Duplicate => Some(alerts::TOKEN_DUPLICATE),
            TokenFault::OtherDevice => Some(alerts::TOKEN_OTHER_DEVICE),
            TokenFault::Format | TokenFault::NotAuthentic => Some(alerts::TOKEN_NOT_AUTHENTIC),
            _ => None,
        };
        if let Some(alert) = known {
            let pushed = alert.pushed || rules.refusal_alerts;
            self.note(now, profile, out, AlertCode { pushed, ..alert });
        }
        let counts = guarded && !matches!(fault, TokenFault::NotPrepayment);
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
