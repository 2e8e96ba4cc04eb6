//! Estates: which installations a lab has, as strict TOML templates times a count.
//!
//! Identities are plainly fake and follow from the file alone, so that a command in a guide works with every seed: EUIs
//! lie under the locally administered prefix `02-1A-B0`, metering points begin with 9 (no distributor has 99), post codes
//! with ZZ (no area has it). Who of a template gets what follows from the estate's own seed and the template's name.
//!
//! ```toml
//! [estate]
//! name = "mine"
//! source = "invented"
//! seed = 7                            # who gets what; 1 when not given
//! directed = ["MOC-SECURE"]           # groups that are in scope only if directed, and here are
//!
//! [[template]]
//! name = "street"
//! count = 2000
//! enrolled = false
//! # The devices: one combination (provider, chf, esme, gpf, gsme, ppmid, ihd), a list with weights, or a DPL.
//! combinations = [
//!     { dmc = "vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE", weight = 9 },
//!     { dmc = "vodafone/am110r@BASE/as300p@BASE", weight = 1 },
//! ]
//! # dpl = "dpl.csv"
//! installation = { active = 70, dormant = 20, mixed = 10 }    # or one word
//! payment_mode = { credit = 85, prepayment = 15 }             # or one word
//! suppliers = { one = 60, two = 40 }                          # of dual fuel; or one word
//! second_element = false
//! faults = { no-coverage = 2 }                                # per cent
//! # cohort = "ioc"                    # the profiles' own when not given
//! # smso = "CGI"
//! # head_end = "smso"
//!
//! # Installations one by one, in two tables as `s1lab estate export` writes them.
//! # [[list]]
//! # devices = "devices.csv"
//! # registration = "registration.csv"
//! ```

mod catalogue;
mod deal;
mod later;
mod list;
mod read;
mod site;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dmc::Catalogue;
use domain::operation::PaymentMode;
use domain::{Dmc, InstallationType, Seed};

use deal::Spread;
use later::Later;
pub use list::Csv;
use list::Identities;
pub use read::Surroundings;
pub use site::{Site, SiteDevice};

/// Templates of one estate at most: their number is one octet of every EUI.
pub const TEMPLATES_MAX: usize = 99;

/// Installations of one template at most: what an estate of test size ever needs.
pub const COUNT_MAX: u32 = 1_000_000;

/// Combinations of one template at most.
pub const COMBINATIONS_MAX: usize = 4096;

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
    /// What is other than its file says.
    later: Later,
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
    combinations: Vec<Combination>,
    shares: Shares,
    dealt: Dealt,
    head_end: Option<String>,
    /// Of installations that were listed one by one; else empty, and they follow from number and position.
    identities: Vec<Identities>,
}

/// A combination of devices, and what migrates with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Combination {
    /// Device profiles and carrier.
    pub dmc: Dmc,
    /// The cohort it migrates with, as files of campaigns name it; empty where neither file nor profile says so.
    pub cohort: String,
    /// Short code of the operator before enrolment; empty where neither file nor profile says so.
    pub smso: String,
}

/// Something wrong with an installation from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SiteFault {
    /// Mains have failed: nothing in it has power.
    MainsOff,
    /// No network reaches its hub.
    NoCoverage,
    /// Its operator has no master keys of it on file.
    NoMasterKeys,
}

impl SiteFault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MainsOff, Self::NoCoverage, Self::NoMasterKeys];

    /// The word files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MainsOff => "mains-off",
            Self::NoCoverage => "no-coverage",
            Self::NoMasterKeys => "no-master-keys",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which fuels a supplier has smart service for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Service {
    electricity: bool,
    gas: bool,
}

/// The shares of a template, as weights; positions of `combinations` are those of the template.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Shares {
    combinations: Vec<(u16, u32)>,
    services: Vec<(Service, u32)>,
    payment: Vec<(PaymentMode, u32)>,
    two_suppliers: Vec<(bool, u32)>,
    faults: Vec<(SiteFault, u32)>,
    second_element: bool,
    enrolled: bool,
    /// Draws who gets what.
    seed: Seed,
}

/// What each installation of a template got.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Dealt {
    combination: Spread<u16>,
    service: Spread<Service>,
    payment: Spread<PaymentMode>,
    two_suppliers: Spread<bool>,
    second_element: Spread<bool>,
    enrolled: Spread<bool>,
    /// Bits of [`SiteFault`].
    faults: Spread<u8>,
}

impl Shares {
    fn deal(&self, count: u32) -> Dealt {
        let seed = |what: &str| self.seed.child(what).number();
        let mut faults = Spread::All(0);
        for (fault, percent) in &self.faults {
            let bits = [(fault.bit(), *percent), (0, 100 - (*percent).min(100))];
            let these = Spread::deal(&bits, count, seed(fault.as_str()));
            faults = match (&faults, &these) {
                (Spread::All(before), Spread::All(bit)) => Spread::All(before | bit),
                _ => {
                    let both = |at| faults.at(at).unwrap_or(0) | these.at(at).unwrap_or(0);
                    Spread::Each((0..count).map(both).collect())
                }
            };
        }
        Dealt {
            combination: Spread::deal(&self.combinations, count, seed("combination")),
            service: Spread::deal(&self.services, count, seed("installation")),
            payment: Spread::deal(&self.payment, count, seed("payment mode")),
            two_suppliers: Spread::deal(&self.two_suppliers, count, seed("suppliers")),
            second_element: Spread::All(self.second_element),
            enrolled: Spread::All(self.enrolled),
            faults,
        }
    }
}

impl Template {
    /// The combinations its installations have, in the order of the file.
    #[must_use]
    pub fn combinations(&self) -> &[Combination] {
        &self.combinations
    }

    /// The same template with another count; shares are dealt out anew.
    fn with_count(&self, count: u32) -> Self {
        if !self.identities.is_empty() {
            return self.clone();
        }
        Self {
            count,
            dealt: self.shares.deal(count),
            ..self.clone()
        }
    }
}

impl Estate {
    /// Reads an estate file without a catalogue: profiles are not looked up, and a DPL cannot be read. `file` is its name
    /// in errors.
    ///
    /// # Errors
    /// [`EstateError`] for anything unknown, missing, out of range, or twice the same name.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, EstateError> {
        read::read(file, text, None)
    }

    /// Reads an estate file for a lab: every profile must be in the catalogue, in the place of its kind, and of a group
    /// that is in scope.
    ///
    /// # Errors
    /// As [`Estate::from_toml`], and for what the surroundings do not allow. Nothing is then taken.
    pub fn read(file: &str, text: &str, surroundings: &Surroundings<'_>) -> Result<Self, EstateError> {
        read::read(file, text, Some(surroundings))
    }

    /// The estate `name` that is part of the program, as [`Estate::from_toml`].
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn builtin(name: &str) -> Result<Self, EstateError> {
        let (file, text) = builtin_text(name)?;
        Self::from_toml(&file, text)
    }

    /// The estate `name` that is part of the program, for a lab with this catalogue; `catalogue` is that of
    /// [`Estate::of_catalogue`].
    ///
    /// # Errors
    /// When there is none of this name, or as [`Estate::read`].
    pub fn builtin_with(name: &str, catalogue: &Catalogue, directed: &[String]) -> Result<Self, EstateError> {
        if name == WHOLE {
            return Self::of_catalogue(catalogue);
        }
        let (file, text) = builtin_text(name)?;
        let open = |_: &str| Err("an estate of the program has no files beside it".to_owned());
        Self::read(
            &file,
            text,
            &Surroundings {
                catalogue,
                directed,
                open: &open,
            },
        )
    }

    pub(crate) fn of_templates(name: String, templates: Vec<Arc<Template>>) -> Self {
        Self {
            name,
            templates,
            later: Later::default(),
        }
    }

    /// The templates, in the order of the file.
    #[must_use]
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// All installations, in the order of the file; then those that came later.
    pub fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        let of_file = self
            .templates
            .iter()
            .flat_map(|template| (0..template.count).map(|position| Site::new(Arc::clone(template), position)));
        let still_there = of_file.filter(|site| !self.later.is_gone(site.hub()));
        let all = still_there.chain(self.later.came().iter().cloned());
        all.map(|site| self.later.now(site))
    }

    /// All devices, in the order of the file: hub, electricity meter, gas proxy, gas meter, prepayment interface, display.
    pub fn devices(&self) -> impl Iterator<Item = SiteDevice> + '_ {
        self.sites().flat_map(|site| site.devices())
    }

    /// How many installations.
    #[must_use]
    pub fn len(&self) -> usize {
        let of_file: usize = self.templates.iter().map(|template| template.count as usize).sum();
        of_file - self.later.gone() + self.later.came().len()
    }

    /// True for an estate without installations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same estate with this count in every template that is not a list, for benchmarks. Counts above [`COUNT_MAX`] are cut.
    #[must_use]
    pub fn with_counts(&self, count: u32) -> Self {
        let count = count.min(COUNT_MAX);
        let templates = self.templates.iter();
        let templates = templates.map(|template| Arc::new(template.with_count(count)));
        Self::of_templates(self.name.clone(), templates.collect())
    }
}

impl FromStr for Estate {
    type Err = EstateError;

    /// As [`Estate::from_toml`], for text without a file.
    fn from_str(text: &str) -> Result<Self, EstateError> {
        Self::from_toml("estate", text)
    }
}

impl fmt::Display for SiteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Service {
    /// The services of an installation type, each with its share of the type's weight: of mixed ones, half have smart
    /// service for electricity and half for gas.
    fn of(kind: InstallationType) -> [Self; 2] {
        let both = match kind {
            InstallationType::Active => [(true, true), (true, true)],
            InstallationType::Dormant => [(false, false), (false, false)],
            InstallationType::Mixed => [(true, false), (false, true)],
        };
        both.map(|(electricity, gas)| Self { electricity, gas })
    }
}

fn builtin_text(name: &str) -> Result<(String, &'static str), EstateError> {
    match BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
        Some((name, text)) => Ok((format!("fixtures/estates/{name}.toml"), text)),
        None => Err(EstateError {
            file: name.to_owned(),
            line: 0,
            problem: "no such estate is part of the program".into(),
            hint: Some(format!(
                "there is {WHOLE}, {}",
                BUILTIN.map(|(name, _)| name).join(", ")
            )),
        }),
    }
}

/// Every profile of the catalogue.
const WHOLE: &str = "catalogue";

const BUILTIN: [(&str, &str); 3] = [
    ("exercise", include_str!("../../../../fixtures/estates/exercise.toml")),
    ("sit", include_str!("../../../../fixtures/estates/sit.toml")),
    ("slice", include_str!("../../../../fixtures/estates/slice.toml")),
];

pub(crate) use list::{DEVICE_COLUMNS, REGISTRATION_COLUMNS};
pub(crate) use site::{KitKey, SLOTS};
