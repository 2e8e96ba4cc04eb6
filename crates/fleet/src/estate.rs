//! Estates: which installations a lab has, as strict TOML templates times a count.
//!
//! Identities are plainly fake and follow from the file alone, so that a command in a guide works with every seed: EUIs
//! lie under the locally administered prefix `02-1A-B0`, metering points begin with 9 (no distributor has 99).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::operation::PaymentMode;
use domain::{CommunicationsProvider, DeviceKind, Dmc, Eui64, Mpan, Mprn, Mpxn, ParseError, ProfileId, Seed};
use serde::Deserialize;
use toml::Spanned;

/// Templates of one estate at most: their number is one octet of every EUI.
pub const TEMPLATES_MAX: usize = 99;

/// Installations of one template at most: what an estate of test size ever needs.
pub const COUNT_MAX: u32 = 1_000_000;

/// First three octets of every device: locally administered, so no manufacturer's.
const EUI_PREFIX: u64 = 0x02_1AB0;

/// An estate file that says something wrong: where, what, and a hint on its own line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}{}", hint.as_deref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct EstateError {
    /// The file as it was named by the caller.
    pub file: String,
    /// Line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// What is wrong, with the value.
    pub problem: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// The installations of a lab.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Estate {
    /// Its name.
    pub name: String,
    templates: Vec<Arc<Template>>,
}

/// One kind of installation and how many of it there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// Its name, unique in the estate.
    pub name: String,
    /// Position in the file, from 1; part of every identity.
    pub number: u8,
    /// How many installations.
    pub count: u32,
    /// Device profiles and carrier.
    pub dmc: Dmc,
    /// How the customers pay.
    pub payment_mode: PaymentMode,
    /// Whether the electricity meter measures a second element.
    pub second_element: bool,
    /// Operated by the S1SP with DCO approvals, else by the operator before migration.
    pub enrolled: bool,
    /// The head-end that the hubs are configured to connect to.
    pub head_end: String,
}

/// One installation of an estate: identities and membership, nothing of its devices' state. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    template: Arc<Template>,
    position: u32,
}

/// One device of an estate, for inventories and directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteDevice {
    /// Its identity.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// The hub through which it is reached; its own identity for a hub.
    pub hub: Eui64,
    /// Its profile.
    pub profile: ProfileId,
    /// The metering point it serves: none for a hub.
    pub mpxn: Option<Mpxn>,
    /// Whether it is enrolled.
    pub enrolled: bool,
}

impl Estate {
    /// Reads an estate file; `file` is its name in errors.
    ///
    /// # Errors
    /// [`EstateError`] for anything unknown, missing, out of range, or twice the same name.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, EstateError> {
        let place = Place { file, text };
        let raw: RawFile = toml::from_str(text).map_err(|error| place.toml_error(&error))?;
        if raw.template.len() > TEMPLATES_MAX {
            return Err(place.whole(format!("{} templates, at most {TEMPLATES_MAX}", raw.template.len())));
        }
        let mut names = BTreeSet::new();
        let mut templates = Vec::with_capacity(raw.template.len());
        for (raw, number) in raw.template.into_iter().zip(1..) {
            if !names.insert(raw.name.get_ref().clone()) {
                return Err(place.error(
                    &raw.name,
                    format!("template {:?} stands here twice", raw.name.get_ref()),
                ));
            }
            templates.push(Arc::new(raw.check(&place, number)?));
        }
        Ok(Self {
            name: raw.estate.name,
            templates,
        })
    }

    /// The estate `name` that is part of the program.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn builtin(name: &str) -> Result<Self, EstateError> {
        match BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
            Some((name, text)) => Self::from_toml(&format!("fixtures/estates/{name}.toml"), text),
            None => Err(EstateError {
                file: name.to_owned(),
                line: 0,
                problem: "no such estate is part of the program".into(),
                hint: Some(format!("there is {}", BUILTIN.map(|(name, _)| name).join(", "))),
            }),
        }
    }

    /// The templates, in the order of the file.
    #[must_use]
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// All installations, in the order of the file.
    pub fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        self.templates.iter().flat_map(|template| {
            (0..template.count).map(|position| Site {
                template: Arc::clone(template),
                position,
            })
        })
    }

    /// All devices, in the order of the file: hub, electricity meter, gas proxy, gas meter, prepayment interface, display.
    pub fn devices(&self) -> impl Iterator<Item = SiteDevice> + '_ {
        self.sites().flat_map(|site| site.devices())
    }

    /// How many installations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.templates.iter().map(|template| template.count as usize).sum()
    }

    /// True for an estate without installations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same estate with this count in every template, for benchmarks. Counts above [`COUNT_MAX`] are cut.
    #[must_use]
    pub fn with_counts(&self, count: u32) -> Self {
        let count = count.min(COUNT_MAX);
        let templates = self
            .templates
            .iter()
            .map(|t| {
                Arc::new(Template {
                    count,
                    ..Template::clone(t)
                })
            })
            .collect();
        Self {
            name: self.name.clone(),
            templates,
        }
    }
}

impl Site {
    /// What it is an example of.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Its number among the installations of its template, from 0.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.position
    }

    /// The identity of its communications hub, which names the installation.
    #[must_use]
    pub fn hub(&self) -> Eui64 {
        self.eui(DeviceKind::Chf)
    }

    /// The identity of the device in this slot, where there is one.
    #[must_use]
    pub fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        self.profile(slot).map(|_| self.eui(slot))
    }

    /// The profile of the device in this slot, where there is one.
    #[must_use]
    pub fn profile(&self, slot: DeviceKind) -> Option<&ProfileId> {
        self.template.dmc.profile(slot)
    }

    /// The electricity metering point.
    ///
    /// # Panics
    /// Never: its digits follow from limits of the file.
    #[must_use]
    pub fn mpan(&self) -> Mpan {
        let core = 990_000_000_000 + u64::from(self.template.number) * 100_000_000 + u64::from(self.position);
        Mpan::new(core * 10 + check_digit(core)).expect("12 digits and a check digit are 13")
    }

    /// The gas metering point, where there is gas.
    ///
    /// # Panics
    /// Never: its digits follow from limits of the file.
    #[must_use]
    pub fn mprn(&self) -> Option<Mprn> {
        let digits = 9_000_000_000 + u64::from(self.template.number) * 10_000_000 + u64::from(self.position);
        self.template
            .dmc
            .gsme
            .as_ref()
            .map(|_| Mprn::new(digits).expect("these are 10 digits"))
    }

    /// Its devices: hub, electricity meter, gas proxy, gas meter, prepayment interface, display.
    #[must_use]
    pub fn devices(&self) -> Vec<SiteDevice> {
        SLOTS
            .into_iter()
            .filter_map(|kind| {
                let mpxn = match kind {
                    DeviceKind::Esme => Some(Mpxn::Mpan(self.mpan())),
                    DeviceKind::Gpf | DeviceKind::Gsme => self.mprn().map(Mpxn::Mprn),
                    DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => None,
                };
                Some(SiteDevice {
                    device: self.device(kind)?,
                    kind,
                    hub: self.hub(),
                    profile: self.profile(kind)?.clone(),
                    mpxn,
                    enrolled: self.template.enrolled,
                })
            })
            .collect()
    }

    /// The seed of its devices: independent of what else is in the estate.
    #[must_use]
    pub fn seed(&self, root: &Seed) -> Seed {
        root.child("installation").child(self.hub().to_bytes())
    }

    /// `02-1A-B0`, kind, template, position in three octets.
    fn eui(&self, kind: DeviceKind) -> Eui64 {
        let kind = match kind {
            DeviceKind::Chf => 1,
            DeviceKind::Esme => 2,
            DeviceKind::Gpf => 3,
            DeviceKind::Gsme => 4,
            DeviceKind::Ihd => 5,
            DeviceKind::Ppmid => 6,
            DeviceKind::Cad => 7,
        };
        let number = u64::from(self.template.number);
        Eui64(EUI_PREFIX << 40 | kind << 32 | number << 24 | u64::from(self.position + 1))
    }
}

impl FromStr for Estate {
    type Err = EstateError;

    /// As [`Estate::from_toml`], for text without a file.
    fn from_str(text: &str) -> Result<Self, EstateError> {
        Self::from_toml("estate", text)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    estate: RawEstate,
    template: Vec<RawTemplate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEstate {
    name: String,
    /// Where the facts of the file come from: kept in the file for its readers.
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTemplate {
    name: Spanned<String>,
    count: Spanned<u32>,
    provider: Spanned<String>,
    chf: Spanned<String>,
    esme: Spanned<String>,
    gpf: Option<Spanned<String>>,
    gsme: Option<Spanned<String>>,
    ppmid: Option<Spanned<String>>,
    ihd: Option<Spanned<String>>,
    #[serde(default)]
    payment_mode: RawPaymentMode,
    #[serde(default)]
    second_element: bool,
    enrolled: bool,
    head_end: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum RawPaymentMode {
    #[default]
    Credit,
    Prepayment,
}

impl RawTemplate {
    fn check(self, place: &Place<'_>, number: u8) -> Result<Template, EstateError> {
        if !(1..=COUNT_MAX).contains(self.count.get_ref()) {
            let problem = format!("count is {}, expected 1 to {COUNT_MAX}", self.count.get_ref());
            return Err(place.error(&self.count, problem));
        }
        if self.gpf.is_some() != self.gsme.is_some() {
            let problem = "a gas proxy (gpf) and a gas meter (gsme) come together or not at all";
            return Err(place.error(&self.name, problem.into()));
        }
        let head_end = match &self.head_end {
            Some(name) if name.get_ref().is_empty() => {
                return Err(place.error(name, "head_end is empty".into()));
            }
            Some(name) => name.get_ref().clone(),
            None if self.enrolled => "s1sp".to_owned(),
            None => "smso".to_owned(),
        };
        let dmc = Dmc {
            provider: place.parse::<CommunicationsProvider>(&self.provider)?,
            chf: place.with_firmware(&self.chf)?,
            esme: place.with_firmware(&self.esme)?,
            gpf: self.gpf.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            gsme: self.gsme.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            ppmid: self.ppmid.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            ihd: self.ihd.as_ref().map(|id| place.parse(id)).transpose()?,
        };
        Ok(Template {
            name: self.name.into_inner(),
            number,
            count: self.count.into_inner(),
            dmc,
            payment_mode: match self.payment_mode {
                RawPaymentMode::Credit => PaymentMode::Credit,
                RawPaymentMode::Prepayment => PaymentMode::Prepayment,
            },
            second_element: self.second_element,
            enrolled: self.enrolled,
            head_end,
        })
    }
}

/// The file being read, for errors.
struct Place<'a> {
    file: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn parse<T: FromStr<Err = ParseError>>(&self, text: &Spanned<String>) -> Result<T, EstateError> {
        text.get_ref()
            .parse()
            .map_err(|error: ParseError| self.error(text, error.to_string()))
    }

    /// A profile of a device whose model has a firmware.
    fn with_firmware(&self, text: &Spanned<String>) -> Result<ProfileId, EstateError> {
        let id: ProfileId = self.parse(text)?;
        if id.firmware.is_empty() {
            let problem = format!("expected a device profile such as as300p@LAB-0001, found {id}");
            return Err(self.error(text, problem));
        }
        Ok(id)
    }

    fn error<T>(&self, at: &Spanned<T>, problem: String) -> EstateError {
        EstateError {
            line: self.line(at.span().start),
            ..self.whole(problem)
        }
    }

    fn whole(&self, problem: String) -> EstateError {
        EstateError {
            file: self.file.to_owned(),
            line: 0,
            problem,
            hint: None,
        }
    }

    fn toml_error(&self, error: &toml::de::Error) -> EstateError {
        let line = error.span().map_or(0, |span| self.line(span.start));
        EstateError {
            line,
            hint: hint(error.message()),
            ..self.whole(error.message().to_owned())
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.template.name, self.hub())
    }
}

/// The nearest of the names that an "unknown …, expected …" message of the reader lists.
fn hint(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().filter(|_| message.starts_with("unknown"))?;
    let (name, near) = quoted
        .map(|name| (name, strsim::normalized_damerau_levenshtein(wrong, name)))
        .max_by(|left, right| left.1.total_cmp(&right.1))?;
    (near > 0.4).then(|| format!("did you mean `{name}`?"))
}

/// The check digit of an MPAN's first twelve digits: primes as weights, modulo 11, then modulo 10.
fn check_digit(core: u64) -> u64 {
    const WEIGHTS: [u64; 12] = [43, 41, 37, 31, 29, 23, 19, 17, 13, 7, 5, 3];
    let mut rest = core;
    let mut sum = 0;
    for weight in WEIGHTS {
        sum += rest % 10 * weight;
        rest /= 10;
    }
    sum % 11 % 10
}

/// The slots of an installation, in inventory order.
pub(crate) const SLOTS: [DeviceKind; 6] = [
    DeviceKind::Chf,
    DeviceKind::Esme,
    DeviceKind::Gpf,
    DeviceKind::Gsme,
    DeviceKind::Ppmid,
    DeviceKind::Ihd,
];

const BUILTIN: [(&str, &str); 2] = [
    ("exercise", include_str!("../../../fixtures/estates/exercise.toml")),
    ("sit", include_str!("../../../fixtures/estates/sit.toml")),
];
