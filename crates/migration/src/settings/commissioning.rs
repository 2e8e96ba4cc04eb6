//! The commissioning plan: which service requests the commissioning party sends for an installation, in order.

use dmc::FileError;
use domain::{DeviceKind, Srv};
use serde::{Deserialize, Deserializer, de};

use crate::strict::{self, fault, from_text};

/// One step of the plan, made for each device of the named kinds.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Service reference variant.
    #[serde(deserialize_with = "from_text")]
    pub request: Srv,
    /// Kinds of devices, in this order.
    #[serde(deserialize_with = "kinds")]
    pub per: Vec<DeviceKind>,
    /// What it is for.
    pub text: String,
    /// Kinds for which a failure is noted and does not hold the installation up.
    #[serde(default, deserialize_with = "kinds")]
    pub optional_for: Vec<DeviceKind>,
}

/// Requests that the commissioning party knows how to make.
const KNOWN: [Srv; 9] = [
    Srv::new(12, 2, 0),
    Srv::new(8, 4, 0),
    Srv::new(8, 11, 0),
    Srv::new(8, 1, 1),
    Srv::new(8, 7, 2),
    Srv::new(6, 21, 0),
    Srv::new(6, 20, 1),
    Srv::new(8, 2, 0),
    Srv::new(4, 1, 1),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "step")]
    steps: Vec<Step>,
}

fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DeviceKind>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let each = words.iter().map(|word| word.parse().map_err(de::Error::custom));
    each.collect()
}

pub(super) fn read(file: &str, text: &str) -> Result<Vec<Step>, FileError> {
    let steps = strict::toml::<File>(file, text)?.steps;
    for step in &steps {
        if !KNOWN.contains(&step.request) {
            let known: Vec<String> = KNOWN.iter().map(ToString::to_string).collect();
            let known = known.iter().map(String::as_str);
            let word = step.request.to_string();
            return Err(strict::unknown(
                file,
                strict::line_of(text, &word),
                "request of a step",
                &word,
                known,
            ));
        }
        if let Some(kind) = step.optional_for.iter().find(|kind| !step.per.contains(kind)) {
            return Err(fault(
                file,
                0,
                format!("step {} is optional for {kind}, which it is not made for", step.request),
            ));
        }
    }
    match steps.first() {
        Some(_) if steps.len() <= STEPS_MAX => Ok(steps),
        _ => Err(fault(file, 0, format!("1 to {STEPS_MAX} steps, found {}", steps.len()))),
    }
}

/// Steps of a plan at most.
const STEPS_MAX: usize = 100;
