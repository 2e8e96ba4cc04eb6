//! What a supplier shows to the customer or keeps from others, and how alerts behave.

use domain::operation::{AlertBehaviour, ClockStatus, Setting, SettingKind};
use domain::{Answer, DataItem, Outcome, Refusal, SimInstant, Value};
use serde::{Deserialize, Serialize};

use crate::meter::Meter;

/// What a meter shows and hides beyond what it measures.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// The supplier's last message.
    pub(crate) message: String,
    /// A number by which the customer can be told at the meter.
    pub(crate) identification: String,
    /// Consumption from before this is not shown on the HAN.
    pub(crate) restricted_before: Option<SimInstant>,
    /// Whether the customer's PIN protects the display.
    pub(crate) pin: bool,
}

/// Longest message, in characters.
const MESSAGE_MAX: usize = 116;

impl Meter {
    /// Shows a message of the supplier.
    pub(crate) fn display(&mut self, message: &str) -> Outcome {
        let printable = message.bytes().all(|b| (0x20..0x7F).contains(&b));
        if message.is_empty() || message.len() > MESSAGE_MAX || !printable {
            return Err(Refusal::OutOfRange);
        }
        message.clone_into(&mut self.shown().message);
        Ok(Answer::Done)
    }

    /// Shows a number by which the customer can be told.
    pub(crate) fn identify(&mut self, number: &str) -> Outcome {
        if number.is_empty() || number.len() > 16 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::OutOfRange);
        }
        number.clone_into(&mut self.shown().identification);
        Ok(Answer::Done)
    }

    /// Shows no consumption from before `before` any more.
    pub(crate) fn restrict(&mut self, before: SimInstant) -> Outcome {
        self.shown().restricted_before = Some(before);
        Ok(Answer::Done)
    }

    /// Before when its data is not to be shown on the HAN.
    pub(crate) fn restricted_before(&self) -> Option<SimInstant> {
        self.changed.as_ref()?.shown.restricted_before
    }

    /// Sets the customer's PIN, or sets it aside.
    pub(crate) fn protect(&mut self, pin: bool) -> Outcome {
        self.shown().pin = pin;
        Ok(Answer::Done)
    }

    /// What of an item is shown; `None` where this is none of these items.
    pub(crate) fn shown_item(&self, item: DataItem) -> Option<Value> {
        let shown = self.changed.as_ref().map(|changed| &changed.shown);
        let text = |of: fn(&Shown) -> &String| Value::Text(shown.map(of).cloned().unwrap_or_default());
        match item {
            DataItem::SupplierMessage => Some(text(|shown| &shown.message)),
            DataItem::AccessRestrictedFrom => {
                let from = shown.and_then(|shown| shown.restricted_before);
                Some(Value::Clock(from.unwrap_or(SimInstant(0)), ClockStatus::Reliable))
            }
            DataItem::PrivacyPinEnabled => Some(Value::Flag(shown.is_some_and(|shown| shown.pin))),
            _ => None,
        }
    }

    fn shown(&mut self) -> &mut Shown {
        &mut self.changed.get_or_insert_default().shown
    }

    /// The alerts and log entries that a supplier has switched, where one has.
    pub(crate) fn alert_behaviour(&self) -> Option<&AlertBehaviour> {
        match self.kept(SettingKind::AlertBehaviour) {
            Some(Setting::AlertBehaviour(behaviour)) => Some(behaviour),
            _ => None,
        }
    }
}

/// What a switch list says of a code.
pub(crate) fn says(list: &[(u16, bool)], code: u16) -> Option<bool> {
    let place = list.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    list.get(place).map(|(_, on)| *on)
}
