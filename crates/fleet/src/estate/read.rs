//! Reading estate files: strict, whole or not at all, every fault with its line.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use dmc::Catalogue;
use domain::operation::PaymentMode;
use domain::{CommunicationsProvider, Dmc, InstallationType, ParseError, ProfileId, Seed};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::list::{self, Csv};
use super::{
    COMBINATIONS_MAX, COUNT_MAX, Combination, Estate, EstateError, Service, Shares, SiteFault, TEMPLATES_MAX, Template,
};

/// What an estate of a lab is held against.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Device profiles.
    pub catalogue: &'a Catalogue,
    /// Groups that are in scope only if directed, and are so here, beside those the file itself names.
    pub directed: &'a [String],
    /// Gives the text of a file that the estate names, or says why not.
    pub open: &'a dyn Fn(&str) -> Result<String, String>,
}

pub(super) fn read(file: &str, text: &str, surroundings: Option<&Surroundings<'_>>) -> Result<Estate, EstateError> {
    let place = Place { file, text };
    let raw: RawFile = toml::from_str(text).map_err(|error| place.toml_error(&error))?;
    if raw.template.len() > TEMPLATES_MAX {
        return Err(place.whole(format!("{} templates, at most {TEMPLATES_MAX}", raw.template.len())));
    }
    if raw.template.is_empty() && raw.list.is_empty() {
        return Err(place.whole("neither a [[template]] nor a [[list]]: an estate without installations".into()));
    }
    let groups = surroundings
        .map_or(&[][..], |surroundings| surroundings.directed)
        .iter()
        .cloned();
    let reading = Reading {
        place,
        surroundings,
        directed: groups
            .chain(raw.estate.directed.iter().map(|group| group.get_ref().clone()))
            .collect(),
        seed: Seed::root(raw.estate.seed.unwrap_or(1)),
    };
    reading.directed_groups_exist(&raw.estate.directed)?;
    let mut names = BTreeSet::new();
    let mut templates = Vec::with_capacity(raw.template.len());
    for (raw, number) in raw.template.into_iter().zip(1..) {
        if !names.insert(raw.name.get_ref().clone()) {
            let problem = format!("template {:?} stands here twice", raw.name.get_ref());
            return Err(reading.place.error(&raw.name, problem));
        }
        templates.push(Arc::new(reading.template(raw, number)?));
    }
    for list in &raw.list {
        let first = u8::try_from(templates.len() + 1).unwrap_or(u8::MAX);
        templates.extend(reading.listed_installations(list, first)?);
    }
    let estate = Estate::of_templates(raw.estate.name, templates);
    if !raw.list.is_empty() {
        estate.nothing_twice(file)?;
    }
    Ok(estate)
}

/// Whether a profile's group is in scope: without a direction, or with one.
pub(super) fn in_scope(profile: &dmc::DeviceProfile, directed: &[String]) -> bool {
    !profile.directed || directed.contains(&profile.group)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    estate: RawEstate,
    #[serde(default)]
    template: Vec<RawTemplate>,
    #[serde(default)]
    list: Vec<RawList>,
}

/// Installations listed one by one in two tables beside the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    devices: Spanned<String>,
    registration: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEstate {
    name: String,
    /// Where the facts of the file come from: kept in the file for its readers.
    #[serde(rename = "source")]
    _source: String,
    seed: Option<u64>,
    #[serde(default)]
    directed: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTemplate {
    name: Spanned<String>,
    count: Spanned<u32>,
    provider: Option<Spanned<String>>,
    chf: Option<Spanned<String>>,
    esme: Option<Spanned<String>>,
    gpf: Option<Spanned<String>>,
    gsme: Option<Spanned<String>>,
    ppmid: Option<Spanned<String>>,
    ihd: Option<Spanned<String>>,
    combinations: Option<Spanned<Vec<RawCombination>>>,
    dpl: Option<Spanned<String>>,
    installation: Option<Spanned<Value>>,
    payment_mode: Option<Spanned<Value>>,
    suppliers: Option<Spanned<Value>>,
    faults: Option<Spanned<Value>>,
    #[serde(default)]
    second_element: bool,
    enrolled: bool,
    head_end: Option<Spanned<String>>,
    cohort: Option<Spanned<String>>,
    smso: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCombination {
    dmc: Spanned<String>,
    weight: Spanned<u32>,
}

/// One file being read.
struct Reading<'a> {
    place: Place<'a>,
    surroundings: Option<&'a Surroundings<'a>>,
    /// Of the file and of what is around it.
    directed: Vec<String>,
    seed: Seed,
}

/// Combinations with their weights, and the offset in the file at which each stands.
type Weighted = Vec<(Dmc, u32, usize)>;

impl Reading<'_> {
    fn template(&self, raw: RawTemplate, number: u8) -> Result<Template, EstateError> {
        let place = &self.place;
        let count = *raw.count.get_ref();
        if !(1..=COUNT_MAX).contains(&count) {
            let problem = format!("count is {count}, expected 1 to {COUNT_MAX}");
            return Err(place.error(&raw.count, problem));
        }
        for (key, text) in [
            ("head_end", &raw.head_end),
            ("cohort", &raw.cohort),
            ("smso", &raw.smso),
        ] {
            if let Some(empty) = text.as_ref().filter(|text| text.get_ref().is_empty()) {
                return Err(place.error(empty, format!("{key} is empty")));
            }
        }
        let weighted = self.combinations(&raw)?;
        for (dmc, _, offset) in &weighted {
            self.check(dmc, *offset)?;
        }
        let given = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.get_ref().clone());
        let combinations: Vec<Combination> = weighted
            .iter()
            .map(|(dmc, ..)| {
                let profile = self.surroundings.and_then(|s| s.catalogue.profile(&dmc.chf));
                let own = |of: fn(&dmc::DeviceProfile) -> &String| profile.map(|p| of(p).clone());
                Combination {
                    dmc: dmc.clone(),
                    cohort: given(&raw.cohort).or_else(|| own(|p| &p.slug)).unwrap_or_default(),
                    smso: given(&raw.smso).or_else(|| own(|p| &p.smso_code)).unwrap_or_default(),
                }
            })
            .collect();
        let shares = Shares {
            combinations: weighted
                .iter()
                .zip(0..)
                .map(|((_, weight, _), at)| (at, *weight))
                .collect(),
            services: self.services(&raw, &combinations)?,
            payment: self.mix("payment_mode", raw.payment_mode.as_ref(), &PAYMENT_MODES)?,
            two_suppliers: self.mix("suppliers", raw.suppliers.as_ref(), &SUPPLIERS)?,
            faults: self.faults(raw.faults.as_ref())?,
            second_element: raw.second_element,
            enrolled: raw.enrolled,
            seed: self.seed.child(raw.name.get_ref()),
        };
        Ok(Template {
            dealt: shares.deal(count),
            name: raw.name.into_inner(),
            number,
            count,
            combinations,
            shares,
            head_end: given(&raw.head_end),
            identities: Vec::new(),
        })
    }

    /// The installations of two tables.
    fn listed_installations(&self, list: &RawList, first: u8) -> Result<Vec<Arc<Template>>, EstateError> {
        let Some(surroundings) = self.surroundings else {
            let problem = "a list can only be read beside a catalogue of device profiles".to_owned();
            return Err(self.place.error(&list.devices, problem));
        };
        let text = |name: &Spanned<String>| {
            (surroundings.open)(name.get_ref()).map_err(|problem| self.place.error(name, problem))
        };
        let (devices, registration) = (text(&list.devices)?, text(&list.registration)?);
        let around = Surroundings {
            directed: &self.directed,
            ..*surroundings
        };
        list::read(
            Csv {
                file: list.devices.get_ref(),
                text: &devices,
            },
            Csv {
                file: list.registration.get_ref(),
                text: &registration,
            },
            &around,
            first,
        )
    }

    /// The combinations of a template: one, several with weights, or those of a DPL.
    fn combinations(&self, raw: &RawTemplate) -> Result<Weighted, EstateError> {
        let place = &self.place;
        let single = [
            &raw.provider,
            &raw.chf,
            &raw.esme,
            &raw.gpf,
            &raw.gsme,
            &raw.ppmid,
            &raw.ihd,
        ];
        let single = single.into_iter().flatten().next();
        let ways = [single.is_some(), raw.combinations.is_some(), raw.dpl.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            let problem = "devices are given by profiles (chf, esme …), by combinations, or by a dpl: by one of them";
            return Err(place.error(&raw.name, problem.into()));
        }
        if let Some(list) = &raw.combinations {
            return self.listed(list);
        }
        if let Some(dpl) = &raw.dpl {
            return self.deployed(dpl);
        }
        if raw.gpf.is_some() != raw.gsme.is_some() {
            let problem = "a gas proxy (gpf) and a gas meter (gsme) come together or not at all";
            return Err(place.error(&raw.name, problem.into()));
        }
        let missing = |key: &str| place.error(&raw.name, format!("missing field `{key}`"));
        let provider = raw.provider.as_ref().ok_or_else(|| missing("provider"))?;
        let dmc = Dmc {
            provider: place.parse::<CommunicationsProvider>(provider)?,
            chf: place.with_firmware(raw.chf.as_ref().ok_or_else(|| missing("chf"))?)?,
            esme: place.with_firmware(raw.esme.as_ref().ok_or_else(|| missing("esme"))?)?,
            gpf: raw.gpf.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            gsme: raw.gsme.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            ppmid: raw.ppmid.as_ref().map(|id| place.with_firmware(id)).transpose()?,
            ihd: raw.ihd.as_ref().map(|id| place.parse(id)).transpose()?,
        };
        // The first profile of a kind the catalogue lacks is reported where it stands.
        for text in [&raw.chf, &raw.esme, &raw.gpf, &raw.gsme, &raw.ppmid, &raw.ihd]
            .into_iter()
            .flatten()
        {
            self.known(text.get_ref(), text.span().start)?;
        }
        Ok(vec![(dmc, 1, raw.name.span().start)])
    }

    fn listed(&self, list: &Spanned<Vec<RawCombination>>) -> Result<Weighted, EstateError> {
        let place = &self.place;
        let mut weighted: Weighted = Vec::new();
        for entry in list.get_ref() {
            let dmc: Dmc = place.parse(&entry.dmc)?;
            if weighted.iter().any(|(other, ..)| *other == dmc) {
                return Err(place.error(&entry.dmc, format!("{dmc} stands here twice")));
            }
            weighted.push((dmc, *entry.weight.get_ref(), entry.dmc.span().start));
        }
        let fault = match weighted.len() {
            0 => Some("combinations is empty".to_owned()),
            many if many > COMBINATIONS_MAX => Some(format!("{many} combinations, at most {COMBINATIONS_MAX}")),
            _ if weighted.iter().all(|(_, weight, _)| *weight == 0) => Some("every weight is 0".to_owned()),
            _ => None,
        };
        fault.map_or(Ok(weighted), |problem| Err(place.error(list, problem)))
    }

    /// The combinations of a Deployed Products List, weighted by how many there are of each.
    fn deployed(&self, dpl: &Spanned<String>) -> Result<Weighted, EstateError> {
        let Some(surroundings) = self.surroundings else {
            let problem = "a dpl can only be read beside a catalogue of device profiles".to_owned();
            return Err(self.place.error(dpl, problem));
        };
        let name = dpl.get_ref();
        let text = (surroundings.open)(name).map_err(|problem| self.place.error(dpl, problem))?;
        let entries = dmc_rows(surroundings.catalogue, name, &text)?;
        if entries.len() > COMBINATIONS_MAX {
            let problem = format!("{name} has {} combinations, at most {COMBINATIONS_MAX}", entries.len());
            return Err(self.place.error(dpl, problem));
        }
        // Weights are what a share is made of: large counts lose nothing that shows.
        let most = entries.iter().map(|entry| entry.count).max().unwrap_or(1);
        let scale = most / u64::from(u32::MAX) + 1;
        let weight = |count: u64| u32::try_from(count / scale).unwrap_or(u32::MAX).max(1);
        let at = dpl.span().start;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.dmc, weight(entry.count), at))
            .collect())
    }

    /// Every profile is one of the catalogue, in the place of its kind, and in scope.
    fn check(&self, dmc: &Dmc, offset: usize) -> Result<(), EstateError> {
        let Some(surroundings) = self.surroundings else {
            return Ok(());
        };
        for (kind, id) in dmc.profiles() {
            self.known(&id.to_string(), offset)?;
            let Some(profile) = surroundings.catalogue.profile(id) else {
                continue;
            };
            if profile.kind != kind {
                let problem = format!("{id} is of kind {}, expected {kind}", profile.kind);
                return Err(self.place.at(offset, problem));
            }
            if !in_scope(profile, &self.directed) {
                return Err(EstateError {
                    hint: Some(format!(
                        "directed = [\"{}\"] under [estate], here or in the lab's configuration, says that it is",
                        profile.group
                    )),
                    ..self.place.at(
                        offset,
                        format!(
                            "{id} is of {}, a group that is in scope only if the government directs so",
                            profile.group
                        ),
                    )
                });
            }
        }
        Ok(())
    }

    fn known(&self, name: &str, offset: usize) -> Result<(), EstateError> {
        let Some(surroundings) = self.surroundings else {
            return Ok(());
        };
        let found = surroundings.catalogue.find(name).map(|_| ());
        found.map_err(|near| EstateError {
            hint: near.map(|near| format!("did you mean `{near}`?")),
            ..self.place.at(offset, format!("there is no device profile {name}"))
        })
    }

    /// What is said to be directed is a group that needs it.
    fn directed_groups_exist(&self, own: &[Spanned<String>]) -> Result<(), EstateError> {
        let Some(surroundings) = self.surroundings else {
            return Ok(());
        };
        let needing = surroundings.catalogue.profiles().filter(|profile| profile.directed);
        let groups: BTreeSet<&str> = needing.map(|profile| profile.group.as_str()).collect();
        let unknown = |group: &str| format!("no group {group:?} is in scope only if directed");
        let there = || {
            Some(format!(
                "there is {}",
                groups.iter().copied().collect::<Vec<_>>().join(", ")
            ))
        };
        for group in own {
            if !groups.contains(group.get_ref().as_str()) {
                return Err(EstateError {
                    hint: there(),
                    ..self.place.error(group, unknown(group.get_ref()))
                });
            }
        }
        match surroundings
            .directed
            .iter()
            .find(|group| !groups.contains(group.as_str()))
        {
            Some(group) => Err(EstateError {
                file: "configuration".to_owned(),
                hint: there(),
                ..self.place.whole(unknown(group))
            }),
            None => Ok(()),
        }
    }

    fn services(&self, raw: &RawTemplate, combinations: &[Combination]) -> Result<Vec<(Service, u32)>, EstateError> {
        let kinds = InstallationType::ALL.map(|kind| (kind.as_str(), kind));
        let kinds = self.mix("installation", raw.installation.as_ref(), &kinds)?;
        let mixed = kinds
            .iter()
            .any(|(kind, weight)| *kind == InstallationType::Mixed && *weight > 0);
        if mixed && combinations.iter().all(|combination| combination.dmc.gsme.is_none()) {
            let problem = "an installation is mixed when one of two fuels is active: here none has gas".to_owned();
            return Err(match &raw.installation {
                Some(value) => self.place.error(value, problem),
                None => self.place.error(&raw.name, problem),
            });
        }
        let each = |(kind, weight): (InstallationType, u32)| Service::of(kind).map(|service| (service, weight));
        let mut services: Vec<(Service, u32)> = Vec::new();
        for (service, weight) in kinds.into_iter().flat_map(each) {
            match services.iter_mut().find(|(known, _)| *known == service) {
                Some((_, sum)) => *sum = sum.saturating_add(weight),
                None => services.push((service, weight)),
            }
        }
        Ok(services)
    }

    /// One word, or weights by word. The first of `words` where nothing is given.
    fn mix<T: Copy>(
        &self,
        key: &str,
        value: Option<&Spanned<Value>>,
        words: &[(&str, T)],
    ) -> Result<Vec<(T, u32)>, EstateError> {
        let Some(value) = value else {
            return Ok(words.first().map(|(_, first)| (*first, 1)).into_iter().collect());
        };
        let weights = match value.get_ref() {
            Value::String(word) => vec![(self.word(key, value, word, words)?, 1)],
            Value::Table(table) => {
                let mut weights = Vec::new();
                for (word, weight) in table {
                    let meant = self.word(key, value, word, words)?;
                    weights.push((meant, self.weight(key, value, weight, WEIGHT_MAX)?));
                }
                weights
            }
            other => {
                let problem = format!("{key} takes a word or weights by word, found {}", other.type_str());
                return Err(self.place.error(value, problem));
            }
        };
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err(self.place.error(value, format!("every weight of {key} is 0")));
        }
        Ok(weights)
    }

    fn faults(&self, value: Option<&Spanned<Value>>) -> Result<Vec<(SiteFault, u32)>, EstateError> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let Value::Table(table) = value.get_ref() else {
            let problem = "faults takes per cent by fault, such as { no-coverage = 2 }".to_owned();
            return Err(self.place.error(value, problem));
        };
        let words = SiteFault::ALL.map(|fault| (fault.as_str(), fault));
        let each = table.iter().map(|(word, percent)| {
            let fault = self.word("faults", value, word, &words)?;
            Ok((fault, self.weight("faults", value, percent, 100)?))
        });
        each.collect()
    }

    fn word<T: Copy>(&self, key: &str, at: &Spanned<Value>, word: &str, words: &[(&str, T)]) -> Result<T, EstateError> {
        if let Some((_, meant)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(*meant);
        }
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        Err(EstateError {
            hint: nearest(word, known.iter().copied()).map(|near| format!("did you mean `{near}`?")),
            ..self.place.error(
                at,
                format!("unknown {key} {word:?}, expected one of {}", known.join(", ")),
            )
        })
    }

    fn weight(&self, key: &str, at: &Spanned<Value>, weight: &Value, max: u32) -> Result<u32, EstateError> {
        let number = weight.as_integer().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| *number <= max).ok_or_else(|| {
            self.place
                .error(at, format!("{key}: {weight} is not a whole number from 0 to {max}"))
        })
    }
}

/// Reads a DPL; its faults keep their own place.
fn dmc_rows(catalogue: &Catalogue, name: &str, text: &str) -> Result<Vec<dmc::DplEntry>, EstateError> {
    Ok(dmc::read_dpl(catalogue, name, text)?)
}

impl From<dmc::FileError> for EstateError {
    /// A fault in a table beside the estate keeps its own place.
    fn from(error: dmc::FileError) -> Self {
        Self {
            file: error.file,
            line: error.line,
            problem: error.reason,
            hint: error.suggestion.map(|near| format!("did you mean `{near}`?")),
        }
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
        self.at(at.span().start, problem)
    }

    fn at(&self, offset: usize, problem: String) -> EstateError {
        EstateError {
            line: self.line(offset),
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

/// The nearest of the names that an "unknown …, expected …" message of the reader lists.
fn hint(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().filter(|_| message.starts_with("unknown"))?;
    nearest(wrong, quoted).map(|name| format!("did you mean `{name}`?"))
}

fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let (name, near) = known
        .map(|name| (name, strsim::normalized_damerau_levenshtein(wrong, name)))
        .max_by(|left, right| left.1.total_cmp(&right.1))?;
    (near > 0.4).then_some(name)
}

pub(super) const PAYMENT_MODES: [(&str, PaymentMode); 2] =
    [("credit", PaymentMode::Credit), ("prepayment", PaymentMode::Prepayment)];
pub(super) const SUPPLIERS: [(&str, bool); 2] = [("one", false), ("two", true)];

/// A weight of this size is enough for every share, and any number of them fit.
const WEIGHT_MAX: u32 = 1_000_000;
