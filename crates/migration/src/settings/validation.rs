//! The validation list: which checks the commissioning party makes, in which groups and order.

use dmc::FileError;
use serde::Deserialize;

use crate::strict::{self, fault};

/// Checks that are made together.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckGroup {
    /// Its name.
    pub name: String,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

/// One check of the commissioning party.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The authorisation (or matured notice) that the files name is in force.
    Authorised,
    /// Carrier as the cohort has it.
    CommunicationsProvider,
    /// Every model is Active on the CPL.
    Cpl,
    /// Prepayment credit is above the margin, or it is a period in which supply is not disabled.
    CreditMargin,
    /// The validation file fits the common file.
    Digest,
    /// Form and version of the files.
    Envelope,
    /// The combination is on the EPCL at this instant.
    Epcl,
    /// Firmware as it was when the installation became eligible.
    FirmwareUnchanged,
    /// Each metering point fits its fuel.
    FuelFits,
    /// At least one electricity meter.
    HasElectricityMeter,
    /// The authorisation's days hold today.
    InDate,
    /// Kinds of devices that there are.
    KnownDevices,
    /// No change of supplier inside the window.
    NoChangeOfSupplier,
    /// No firmware activation under way at the SMSO.
    NoFirmwareUnderWay,
    /// No top-up under way at the SMSO.
    NoOpenTopUp,
    /// No exclusion applies.
    NotExcluded,
    /// No device is live in the inventory.
    NotLive,
    /// Exactly one gas proxy where there is a gas meter, at most one elsewhere.
    OneGasProxy,
    /// Exactly one hub.
    OneHub,
    /// The metering points are registered.
    Registered,
    /// The set was not taken before.
    Replay,
    /// Who is registered is who authorised.
    ResponsibleSupplier,
    /// Signed by a requesting party.
    Signature,
    /// The snapshot is young enough.
    SnapshotAge,
    /// No device twice.
    UniqueDevices,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    credit_margin_pence: u32,
    #[serde(rename = "group")]
    groups: Vec<CheckGroup>,
}

/// The groups, and the margin of credit.
pub(super) fn read(file: &str, text: &str) -> Result<(Vec<CheckGroup>, u32), FileError> {
    let File {
        groups,
        credit_margin_pence,
        ..
    } = strict::toml(file, text)?;
    let checks: Vec<Check> = groups.iter().flat_map(|group| group.checks.iter().copied()).collect();
    for (position, check) in checks.iter().enumerate() {
        if checks[..position].contains(check) {
            let word = word_of(*check);
            return Err(fault(
                file,
                strict::line_of(text, &word),
                format!("check {word:?} stands here twice"),
            ));
        }
    }
    // Without these, files from anybody would be believed: they may change their place, not go.
    for needed in [Check::Envelope, Check::Signature, Check::Digest, Check::Replay] {
        if !checks.contains(&needed) {
            return Err(fault(
                file,
                0,
                format!("check {:?} cannot be left out", word_of(needed)),
            ));
        }
    }
    Ok((groups, credit_margin_pence))
}

/// The word of the file: `FuelFits` is `fuel-fits`.
fn word_of(check: Check) -> String {
    let mut word = String::new();
    for letter in format!("{check:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
