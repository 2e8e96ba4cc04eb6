//! The four kinds of layers as files state them: family, route, model, firmware.

use domain::{Confidence, DeviceKind, Provenance, SimInstant, Srv};

use crate::error::{FileError, Place};
use crate::profile::{S1spEffect, Side};
use crate::section::{Scalar, Section, SourceText};
use crate::step_rule;

/// One layer of a profile.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) level: Level,
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) text: String,
    pub(crate) provenance: Provenance,
    pub(crate) rules: Vec<LayerRule>,
}

/// What a layer is, with what only that level has.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Level {
    Family {
        /// Absent in a family that only others stand on.
        manufacturer: Option<String>,
        from: Option<String>,
    },
    Firmware {
        model: String,
        from: Option<String>,
        duis: String,
        native: String,
        identifier: Provenance,
        stable_from: Option<SimInstant>,
    },
    Model {
        route: String,
        /// What it is; absent where it is the same as another.
        is: Option<ModelIs>,
        same_as: Option<String>,
    },
    Route {
        family: String,
        group: String,
        cohort: domain::Cohort,
        provider: domain::CommunicationsProvider,
        smso: String,
        /// How files of campaigns name the set it migrates with.
        slug: Option<String>,
        /// The operator in names of migration files.
        smso_code: Option<String>,
        /// In scope only if the government directs so.
        directed: bool,
    },
}

/// What a model is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ModelIs {
    pub(crate) kind: DeviceKind,
    pub(crate) model: String,
    pub(crate) hardware: String,
    /// Where it is not the family's.
    pub(crate) manufacturer: Option<String>,
}

impl Layer {
    /// Whether this layer may hold what is made up for the lab.
    pub(crate) fn invents(&self) -> bool {
        let type2 = matches!(&self.level, Level::Model { is: Some(is), .. } if is.kind.is_type2());
        self.id.starts_with(LAB) && (type2 || matches!(self.level, Level::Firmware { .. }))
    }
}

/// A rule as a layer states it.
#[derive(Clone, Debug)]
pub(crate) struct LayerRule {
    pub(crate) id: String,
    pub(crate) side: Side,
    pub(crate) text: String,
    pub(crate) provenance: Provenance,
    pub(crate) clause: Option<String>,
    pub(crate) requests: Vec<Srv>,
    /// Empty for all kinds.
    pub(crate) kinds: Vec<DeviceKind>,
    pub(crate) settings: Vec<(String, Scalar, Place)>,
    pub(crate) step: Option<(Srv, S1spEffect)>,
    pub(crate) place: Place,
}

const NAME_MAX: usize = 30;
const LINE_MAX: usize = 250;
/// The longest firmware identifier DUIS takes.
const DUIS_FIRMWARE_MAX: usize = 8;
/// Firmware ids that may hold invented deviations start with this.
pub(crate) const LAB: &str = "LAB-";

/// All layers of one file, in the order family, route, model, firmware.
pub(crate) fn read_file(name: &str, text: &str) -> Result<Vec<Layer>, FileError> {
    let source = SourceText::new(name, text);
    let parsed = source.parse()?;
    let top = Section::new(
        &source,
        &parsed,
        source.place(0..0),
        "a profile file",
        &["family", "firmware", "model", "route"],
    )?;
    let mut layers = Vec::new();
    let readers: [(&str, &[&str], LevelReader); 4] = [
        ("family", &["manufacturer", "from"], read_family),
        (
            "route",
            &[
                "family",
                "group",
                "cohort",
                "provider",
                "smso",
                "slug",
                "smso_code",
                "directed",
            ],
            read_route,
        ),
        (
            "model",
            &["route", "kind", "model", "hardware", "manufacturer", "same_as"],
            read_model,
        ),
        (
            "firmware",
            &["model", "from", "duis", "native", "identifier", "stable_from"],
            read_firmware,
        ),
    ];
    for (level, own, read_level) in readers {
        let known = [&["id", "text", "source", "confidence", "rule"], own].concat();
        for (table, place) in top.tables(level)? {
            let section = Section::new(&source, table, place, format!("[[{level}]]"), &known)?;
            layers.push(read_layer(&source, level, &section, read_level)?);
        }
    }
    Ok(layers)
}

type LevelReader = fn(&SourceText<'_>, &Section<'_, '_>) -> Result<Level, FileError>;

fn read_layer(
    source: &SourceText<'_>,
    name: &str,
    section: &Section<'_, '_>,
    read_level: LevelReader,
) -> Result<Layer, FileError> {
    let id = section.text("id", NAME_MAX)?;
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
        return Err(section
            .place_of("id")
            .error(format!("{id:?}: ids are letters, digits, '-', '.' and '_'")));
    }
    let mut rules = Vec::new();
    for (table, place) in section.tables("rule")? {
        rules.push(read_rule(source, name, table, place)?);
    }
    let layer = Layer {
        level: read_level(source, section)?,
        id,
        place: section.place.clone(),
        text: section.text("text", LINE_MAX)?,
        provenance: read_provenance(section)?,
        rules,
    };
    check_invented(&layer)?;
    Ok(layer)
}

/// Invented deviations stand only under `LAB-` firmware.
fn check_invented(layer: &Layer) -> Result<(), FileError> {
    if layer.invents() {
        return Ok(());
    }
    let wrong = |place: &Place, what: &str| {
        Err(place.error(format!(
            "{what} is invented: invented behaviour stands only under a firmware id that starts with LAB-"
        )))
    };
    if layer.provenance.confidence == Confidence::Invented {
        return wrong(&layer.place, &layer.id);
    }
    match layer
        .rules
        .iter()
        .find(|rule| rule.provenance.confidence == Confidence::Invented)
    {
        Some(rule) => wrong(&rule.place, &rule.id),
        None => Ok(()),
    }
}

fn read_provenance(section: &Section<'_, '_>) -> Result<Provenance, FileError> {
    Ok(Provenance {
        source: section.text("source", LINE_MAX)?,
        confidence: section.parse("confidence")?,
    })
}

fn read_family(_: &SourceText<'_>, section: &Section<'_, '_>) -> Result<Level, FileError> {
    Ok(Level::Family {
        manufacturer: section.optional_text("manufacturer", NAME_MAX)?,
        from: section.optional_text("from", NAME_MAX)?,
    })
}

fn read_route(_: &SourceText<'_>, section: &Section<'_, '_>) -> Result<Level, FileError> {
    Ok(Level::Route {
        family: section.text("family", NAME_MAX)?,
        group: section.text("group", NAME_MAX)?,
        cohort: section.parse("cohort")?,
        provider: section.parse("provider")?,
        smso: section.text("smso", NAME_MAX)?,
        slug: section.optional_text("slug", NAME_MAX)?,
        smso_code: section.optional_text("smso_code", NAME_MAX)?,
        directed: section.flag("directed")?.unwrap_or(false),
    })
}

fn read_model(_: &SourceText<'_>, section: &Section<'_, '_>) -> Result<Level, FileError> {
    let route = section.text("route", NAME_MAX)?;
    let same_as = section.optional_text("same_as", NAME_MAX)?;
    if same_as.is_some() {
        for key in ["kind", "model", "hardware", "manufacturer"] {
            if section.scalar(key)?.is_some() {
                return Err(section
                    .place_of(key)
                    .error(format!("a model that is the same as another has that one's {key}")));
            }
        }
        return Ok(Level::Model {
            route,
            is: None,
            same_as,
        });
    }
    let is = ModelIs {
        kind: section.parse("kind")?,
        model: section.text("model", NAME_MAX)?,
        hardware: section.optional_text("hardware", NAME_MAX)?.unwrap_or_default(),
        manufacturer: section.optional_text("manufacturer", NAME_MAX)?,
    };
    Ok(Level::Model {
        route,
        is: Some(is),
        same_as,
    })
}

fn read_firmware(source: &SourceText<'_>, section: &Section<'_, '_>) -> Result<Level, FileError> {
    let duis = section.text("duis", DUIS_FIRMWARE_MAX)?;
    let table = section
        .table("identifier")?
        .ok_or_else(|| section.missing("identifier"))?;
    let place = section.place_of("identifier");
    let identifier = Section::new(source, table, place, "identifier", &["source", "confidence"])?;
    Ok(Level::Firmware {
        model: section.text("model", NAME_MAX)?,
        from: section.optional_text("from", NAME_MAX)?,
        native: section
            .optional_text("native", NAME_MAX)?
            .unwrap_or_else(|| duis.clone()),
        duis,
        identifier: read_provenance(&identifier)?,
        stable_from: match section.optional_text("stable_from", NAME_MAX)? {
            None => None,
            Some(day) => Some(format!("{day}T00:00:00Z").parse().map_err(|_| {
                let place = section.place_of("stable_from");
                place.error(format!("\"stable_from\" takes a day such as 2019-01-31, not {day}"))
            })?),
        },
    })
}

fn read_rule(
    source: &SourceText<'_>,
    level: &str,
    table: &toml::de::DeTable<'_>,
    place: Place,
) -> Result<LayerRule, FileError> {
    const KNOWN: [&str; 10] = [
        "id",
        "side",
        "text",
        "source",
        "confidence",
        "clause",
        "requests",
        "kinds",
        "set",
        "step",
    ];
    let section = Section::new(source, table, place, format!("[[{level}.rule]]"), &KNOWN)?;
    let side = match section.text("side", NAME_MAX)?.as_str() {
        "device" => Side::Device,
        "s1sp" => Side::S1sp,
        other => return Err(section.place_of("side").unknown("side", other, ["device", "s1sp"])),
    };
    let settings = section.leaves("set")?;
    let step = match section.table("step")? {
        Some(step) => Some(step_rule::read(source, step, section.place_of("step"))?),
        None => None,
    };
    match (side, settings.is_empty(), step.is_some()) {
        (Side::Device, false, false) | (Side::S1sp, true, true) => {}
        (Side::Device, ..) => {
            return Err(section
                .place
                .error("a rule of side \"device\" has settings under \"set\" and no \"step\""));
        }
        (Side::S1sp, ..) => {
            return Err(section
                .place
                .error("a rule of side \"s1sp\" has one \"step\" and no \"set\""));
        }
    }
    let mut requests = parse_all(&section, "requests")?;
    if let Some((request, _)) = &step
        && !requests.contains(request)
    {
        requests.push(*request);
    }
    Ok(LayerRule {
        id: section.text("id", NAME_MAX * 2)?,
        side,
        text: section.text("text", LINE_MAX)?,
        provenance: read_provenance(&section)?,
        clause: section.optional_text("clause", NAME_MAX)?,
        requests,
        kinds: parse_all(&section, "kinds")?,
        settings,
        step,
        place: section.place.clone(),
    })
}

fn parse_all<T: std::str::FromStr>(section: &Section<'_, '_>, key: &str) -> Result<Vec<T>, FileError>
where
    T::Err: std::fmt::Display,
{
    let texts = section.texts(key)?.into_iter();
    texts
        .map(|text| {
            text.parse()
                .map_err(|error: T::Err| section.place_of(key).error(format!("{key:?}: {error}")))
        })
        .collect()
}
