//! The built-in catalogue as it would be otherwise: without a rule, or standing on a plain device that does other things.
//!
//! A rule is shown to do something by what changes when nobody states it. A rule that says of a device what the plain
//! device does anyway changes nothing then; it is shown against a plain device that does otherwise.

use crate::error::{FileError, Place};
use crate::layers::Layers;
use crate::section::{Scalar, Section, SourceText};
use crate::settings;

/// What is otherwise about the built-in catalogue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Otherwise {
    without: Vec<String>,
    plain: Vec<(String, String)>,
}

impl Otherwise {
    /// Nobody states this rule.
    #[must_use]
    pub fn without(mut self, rule: &str) -> Self {
        self.without.push(rule.to_owned());
        self
    }

    /// The plain device, on which every family stands, has this value of a setting; the value is written as TOML.
    #[must_use]
    pub fn plain(mut self, key: &str, value: &str) -> Self {
        self.plain.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn apply(&self, layers: &mut Layers) -> Result<(), FileError> {
        let place = Place {
            file: "the catalogue otherwise".into(),
            line: 1,
        };
        for rule in &self.without {
            if layers.forget_rule(rule) == 0 {
                return Err(place.error(format!("there is no rule {rule}")));
            }
        }
        for (key, text) in &self.plain {
            let setting = settings::find(key).ok_or_else(|| place.unknown("setting", key, settings::keys()))?;
            let value = value(key, text)?;
            if (setting.apply)(&mut settings::Parts::default(), &value).is_none() {
                return Err(place.error(format!("{key} takes {}, not {value}", setting.expects)));
            }
            layers.plain.push((setting, value));
        }
        Ok(())
    }
}

fn value(key: &str, text: &str) -> Result<Scalar, FileError> {
    let text = format!("value = {text}");
    let source = SourceText::new(key, &text);
    let table = source.parse()?;
    let section = Section::new(&source, &table, source.place(0..0), "a value", &["value"])?;
    section.scalar("value")?.ok_or_else(|| section.missing("value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    fn daily(otherwise: &Otherwise) -> Result<u16, String> {
        let catalogue = Catalogue::builtin_otherwise(otherwise).map_err(|error| error.to_string())?;
        let found = catalogue.find("as300p@BASE");
        Ok(found.expect("a built-in profile").meter.daily_log_entries)
    }

    #[test]
    fn a_plain_device_that_does_otherwise_shows_what_a_rule_says() {
        let plain = Otherwise::default().plain("meter.daily_log_entries", "31");
        assert_eq!(daily(&plain), Ok(14));
        assert_eq!(daily(&plain.without("S1-DAILY-LOG-14")), Ok(31));
    }

    #[test]
    fn what_is_not_there_cannot_be_otherwise() {
        let said = |otherwise: Otherwise| daily(&otherwise).expect_err("refused");
        assert!(said(Otherwise::default().without("S1-NONE")).contains("no rule S1-NONE"));
        let near = said(Otherwise::default().plain("meter.daily_log_entrys", "3"));
        assert!(near.contains("did you mean \"meter.daily_log_entries\"?"), "{near}");
        assert!(said(Otherwise::default().plain("meter.daily_log_entries", "true")).contains("takes a whole number"));
        assert!(said(Otherwise::default().plain("meter.daily_log_entries", "3 4")).contains("not TOML"));
    }
}
