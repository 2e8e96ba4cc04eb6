//! Device profiles as data: strict files, inheritance family → route → model → firmware, provenance on every rule.
//!
//! A profile fills what `meter` (the device's behaviour), `dialects` (its bytes) and the hub's WAN side take, and holds
//! the rules by which the S1SP treats the device. This crate deliberately does not know requests' plans, links or keys.
//!
//! # A profile file
//!
//! A file holds any of `[[family]]`, `[[route]]`, `[[model]]` and `[[firmware]]`; each names the layer it stands on and has
//! rules of its own. A firmware may also inherit from another firmware of its model (`from`).
//!
//! ```toml
//! [[firmware]]
//! id = "LAB-MINE"                 # the profile is as300p@LAB-MINE
//! model = "as300p"
//! from = "BASE"
//! duis = "LAB-MINE"               # the identifier in DUIS, 1 to 8 characters
//! identifier = { source = "mine", confidence = "invented" }
//! text = "What this firmware is"
//! source = "where that is known from"
//! confidence = "invented"
//!
//! [[firmware.rule]]               # what the device does: settings under `set`
//! id = "LAB-MINE-SHORT-LOG"
//! side = "device"
//! text = "The daily read log has 7 entries"
//! source = "invented"
//! confidence = "invented"
//! requests = ["4.6.1"]            # whose answers it can change; none given means all
//! set.meter.daily_log_entries = 7
//!
//! [[firmware.rule]]               # what the S1SP does for it: one `step`
//! id = "LAB-MINE-SKIP"
//! side = "s1sp"
//! text = "Reactive import is not asked for"
//! source = "invented"
//! confidence = "invented"
//! step = { request = "4.1.1", do = "skip", item = "reactive-import" }
//! ```
//!
//! A later layer overrides the settings of an earlier one; a rule left without settings is no longer in force. Whatever is
//! invented stands under a firmware id that starts with `LAB-`, but for the firmware identifier itself, of which none is
//! known. Every other word than the known ones is refused with file, line and a suggestion.
//!
//! ```
//! let catalogue = dmc::Catalogue::builtin()?;
//! let profile = catalogue.find("as300p@BASE").expect("a built-in profile");
//! assert_eq!(profile.model.model, "AS300P");
//! # Ok::<(), dmc::Error>(())
//! ```

mod assembly;
mod bench;
mod builtin;
mod catalogue;
pub mod coverage;
mod error;
mod layer;
mod layers;
mod lists;
mod names;
mod otherwise;
mod profile;
mod rows;
mod section;
mod settings;
mod step_rule;
mod table;

pub use bench::{Bench, NoCompanion, ScriptError, length, outcome_words, quantity_words, value_words};
pub use catalogue::Catalogue;
pub use error::{Error, FileError};
pub use lists::{CplEntry, CplStatus, EpclEntry, deciding, eligible, read_cpl, read_epcl, stable};
pub use meter::{GasUnit, Profile as MeterProfile, Relay};
pub use names::{item_by_name, log_by_name, operation_by_name};
pub use otherwise::Otherwise;
pub use profile::{
    Derivation, DeviceProfile, Holder, Rule, S1spEffect, S1spRule, SUPPORTING_READS, Side, StepPlace, Subject, WanMode,
    WanProfile,
};
pub use rows::{Clause, DplEntry, read_annex, read_dpl, select, write_annex};
pub use settings::{Group, Setting, all as settings};
pub use step_rule::{STEP_KINDS, StepKind};
pub use table::{Row, Table};

/// What an event code means, for people; `None` for a code that no device of this lab raises.
#[must_use]
pub fn event_meaning(code: u16) -> Option<&'static str> {
    let found = meter::ALERT_CODES.iter().find(|alert| alert.code == code);
    found.map(|alert| alert.description)
}
