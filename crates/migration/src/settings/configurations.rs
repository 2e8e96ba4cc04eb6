//! What a device of a model must have set before it may be migrated.

use dmc::FileError;
use domain::operation::{Setting, digest_of_settings};
use serde::Deserialize;

use crate::planning::gates::ListedModel;
use crate::strict::{self, fault};

/// The configuration of a model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware; none: any.
    pub firmware: Option<String>,
    /// What is set, in this order.
    pub settings: Vec<Setting>,
    /// SHA-256 over the settings, as hexadecimal digits: what is read back must have it.
    pub digest: String,
}

impl Configuration {
    /// Whether it is that of a model.
    #[must_use]
    pub fn is_of(&self, model: &ListedModel) -> bool {
        let firmware = self.firmware.as_ref();
        self.manufacturer == model.manufacturer
            && self.model == model.model
            && firmware.is_none_or(|firmware| *firmware == model.firmware)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    #[serde(default, rename = "configuration")]
    configurations: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    manufacturer: String,
    model: String,
    firmware: Option<String>,
    #[serde(rename = "setting")]
    settings: Vec<Setting>,
}

pub(super) fn read(file: &str, text: &str) -> Result<Vec<Configuration>, FileError> {
    let tables = strict::toml::<File>(file, text)?.configurations;
    let each = tables.into_iter().map(|table| {
        let name = format!("{} {}", table.manufacturer, table.model);
        let mut kinds: Vec<_> = table.settings.iter().map(Setting::kind).collect();
        kinds.sort_unstable();
        if let Some(twice) = kinds.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fault(file, 0, format!("{name} has {} twice", twice[0].name())));
        }
        let digest = digest_of_settings(&table.settings);
        let digest = digest.ok_or_else(|| fault(file, 0, format!("{name} has no settings; leave it out")))?;
        Ok(Configuration {
            manufacturer: table.manufacturer,
            model: table.model,
            firmware: table.firmware,
            settings: table.settings,
            digest,
        })
    });
    each.collect()
}
