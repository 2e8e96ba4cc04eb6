//! One plain value of each simple type, for templates.

use base64::Engine;
use domain::SimInstant;

use super::{Base, Decimal, Pattern, Simple};

impl Simple {
    /// The plainest value the type permits: a one where a number may be one, the first of a list, as few characters as may
    /// be; dates are `at`. None only for a definition that permits nothing this knows to write.
    pub(crate) fn example(&self, at: SimInstant) -> Option<String> {
        if let Some(first) = self.values.first() {
            return Some((*first).to_owned());
        }
        let text = at.to_string();
        let length = self.length.or(self.length_min).unwrap_or(1).max(1);
        let candidates: Vec<String> = match self.base {
            Base::Any => vec!["urn:example".to_owned()],
            Base::Id => vec!["example".to_owned()],
            Base::Boolean => vec!["false".to_owned()],
            Base::Date => vec![text.chars().take(10).collect()],
            Base::DateTime => vec![text],
            Base::Time => vec!["00:00:00".to_owned()],
            Base::Decimal | Base::Integer => self.numbers(),
            Base::Base64 => vec![base64::engine::general_purpose::STANDARD.encode(vec![0; length])],
            Base::Hex => vec!["00".repeat(length)],
            Base::Text | Base::Token => match self.patterns.first() {
                Some(Pattern::Digits | Pattern::DigitsAndSpaces) => vec!["0".repeat(length)],
                Some(Pattern::Eui | Pattern::EuiList) => vec![EUI.to_owned()],
                Some(Pattern::RequestId) => vec![format!("{EUI}:{EUI}:1")],
                Some(Pattern::Printable) | None => vec!["Example".to_owned(), "x".repeat(length), String::new()],
            },
        };
        candidates.into_iter().find(|value| self.permits(value))
    }

    fn numbers(&self) -> Vec<String> {
        let bounds = [
            &self.min,
            &self.builtin.0,
            &self.max,
            &self.builtin.1,
            &self.above,
            &self.below,
        ];
        let bound = |decimal: &Decimal<'_>| {
            let sign = if decimal.negative { "-" } else { "" };
            let whole = if decimal.whole.is_empty() { "0" } else { decimal.whole };
            format!("{sign}{whole}")
        };
        // A bound itself, and where it is excluded, something just above it.
        let bounds = bounds.into_iter().flatten().map(bound);
        let bounds = bounds.flat_map(|bound| [bound.clone(), format!("{bound}.1"), format!("{bound}.6")]);
        ["1", "0", "0.1", "0.01"]
            .into_iter()
            .map(str::to_owned)
            .chain(bounds)
            .collect()
    }
}

/// No device's.
const EUI: &str = "00-00-00-00-00-00-00-00";
