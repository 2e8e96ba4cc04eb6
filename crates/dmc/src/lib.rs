//! Device profiles as data: strict files, inheritance family → route → model → firmware, provenance on every rule.
//!
//! A profile fills what `meter` (the device's behaviour), `dialects` (its bytes) and the hub's WAN side take, and holds
//! the rules by which the S1SP treats the device. This crate deliberately does not know requests' plans, links or keys.
//!
//! ```
//! let catalogue = dmc::Catalogue::builtin()?;
//! let profile = catalogue.find("as300p@BASE").expect("a built-in profile");
//! assert_eq!(profile.model.model, "AS300P");
//! # Ok::<(), dmc::Error>(())
//! ```

mod catalogue;
mod error;
mod layer;
mod meter_settings;
mod profile;
mod section;
mod settings;
mod step_rule;

pub use catalogue::Catalogue;
pub use error::{Error, FileError};
pub use profile::{
    DeviceProfile, Rule, S1spEffect, S1spRule, SUPPORTING_READS, Side, StepPlace, Subject, WanMode, WanProfile,
};
pub use step_rule::{item_by_name, item_name, log_by_name};

/// The files compiled into the program, by the names faults are reported under.
const BUILTIN: [(&str, &str); 1] = [(
    "fixtures/dmc/elster/cgi-ie.toml",
    include_str!("../../../fixtures/dmc/elster/cgi-ie.toml"),
)];
