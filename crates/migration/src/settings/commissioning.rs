//! The commissioning plan: which service requests the commissioning party sends for an installation, in order.

use dmc::FileError;
use domain::{DeviceKind, Eui64, Srv};
use serde::{Deserialize, Deserializer, de};

use super::words;
use crate::strict::{self, fault, from_text};

words! {
    /// What exactly a request of the plan is to do, where it can do several things.
    Form {
        /// 8.4: the device is in service.
        InService = "in-service",
        /// 8.4: the device is installed.
        Installed = "installed",
        /// 8.4: the metering point of the device.
        MeteringPoint = "metering-point",
        /// 6.21: to the network operator of record.
        NetworkOperator = "network-operator",
        /// 6.21: to the supplier of record.
        Supplier = "supplier",
    }
}

impl Form {
    /// The request that has it.
    fn request(self) -> Srv {
        match self {
            Self::InService | Self::Installed | Self::MeteringPoint => UPDATE_INVENTORY,
            Self::NetworkOperator | Self::Supplier => HAND_OVER,
        }
    }
}

/// One request of the plan of one installation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Planned {
    /// Service reference variant.
    pub request: Srv,
    /// What exactly, where the request can do several things.
    pub form: Option<Form>,
    /// For which device.
    pub device: Eui64,
}

/// One step of the plan, made for each device of the named kinds.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Service reference variant.
    #[serde(deserialize_with = "from_text")]
    pub request: Srv,
    /// What exactly it is to do, for requests that can do several things.
    #[serde(default, deserialize_with = "form")]
    pub form: Option<Form>,
    /// Kinds of devices, in this order.
    #[serde(deserialize_with = "kinds")]
    pub per: Vec<DeviceKind>,
    /// What it is for.
    pub text: String,
    /// Kinds for which a failure is noted and does not hold the installation up.
    #[serde(default, deserialize_with = "kinds")]
    pub optional_for: Vec<DeviceKind>,
}

const UPDATE_INVENTORY: Srv = Srv::new(8, 4, 0);
const HAND_OVER: Srv = Srv::new(6, 21, 0);

/// Requests that the commissioning party knows how to make.
const KNOWN: [Srv; 10] = [
    Srv::new(12, 2, 0),
    UPDATE_INVENTORY,
    Srv::new(8, 7, 1),
    Srv::new(8, 11, 0),
    Srv::new(8, 1, 1),
    Srv::new(8, 7, 2),
    HAND_OVER,
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

fn form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Form>, D::Error> {
    let word = String::deserialize(deserializer)?;
    Form::from_word(&word).map(Some).ok_or_else(|| {
        let all: Vec<&str> = Form::ALL.iter().map(|form| form.as_str()).collect();
        de::Error::custom(format!("no form {word:?}; there are {}", all.join(", ")))
    })
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
        let needs_form = [UPDATE_INVENTORY, HAND_OVER].contains(&step.request);
        if needs_form != step.form.is_some() || step.form.is_some_and(|form| form.request() != step.request) {
            let forms = Form::ALL.iter().filter(|form| form.request() == step.request);
            let forms: Vec<&str> = forms.map(|form| form.as_str()).collect();
            let expected = match forms.as_slice() {
                [] => "no form".to_owned(),
                forms => format!("a form, one of {}", forms.join(", ")),
            };
            return Err(fault(file, 0, format!("step {} has {expected}", step.request)));
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
