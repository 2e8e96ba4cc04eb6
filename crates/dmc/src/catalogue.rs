//! Building profiles from layers: parents, cycles, contradictions, what overrides what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{DeviceKind, DeviceModel, ProfileId, Provenance, Srv};

use crate::error::{Error, FileError, Place};
use crate::layer::{LAB, Layer, LayerRule, Level, read_file};
use crate::profile::{DeviceProfile, Rule, S1spRule, Side};
use crate::settings::{self, Parts};
use crate::step_rule;

/// All device profiles of a lab.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    profiles: BTreeMap<ProfileId, Arc<DeviceProfile>>,
}

impl Catalogue {
    /// The profiles compiled into the program.
    ///
    /// # Errors
    /// A fault in one of the files; the tests prove that there is none.
    pub fn builtin() -> Result<Self, Error> {
        Ok(Self::from_files(crate::BUILTIN.iter().copied())?)
    }

    /// The built-in profiles and those of the `.toml` files in these directories, which may add firmware to built-in
    /// models. Directories are read in the order given, files in the order of their names; subdirectories are read too.
    ///
    /// # Errors
    /// A directory or file that cannot be read, or the first fault found. Nothing is then loaded.
    pub fn load(extra: &[PathBuf]) -> Result<Self, Error> {
        let mut files = Vec::new();
        for directory in extra {
            collect_files(directory, 0, &mut files)?;
        }
        let builtin = crate::BUILTIN.iter().copied();
        let extra = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(Self::from_files(builtin.chain(extra))?)
    }

    /// A catalogue of exactly these files, each with the name that faults are reported under.
    ///
    /// # Errors
    /// The first fault found.
    pub fn from_files<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, FileError> {
        let mut layers = Layers::default();
        for (name, text) in files {
            for layer in read_file(name, text)? {
                layers.insert(layer)?;
            }
        }
        layers.check_parents()?;
        let mut profiles = BTreeMap::new();
        for firmware in layers.firmware.values() {
            let profile = layers.build(firmware)?;
            profiles.insert(profile.id.clone(), Arc::new(profile));
        }
        Ok(Self { profiles })
    }

    /// The profile of this name.
    #[must_use]
    pub fn profile(&self, id: &ProfileId) -> Option<&Arc<DeviceProfile>> {
        self.profiles.get(id)
    }

    /// All profiles in order of their names.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<DeviceProfile>> {
        self.profiles.values()
    }

    /// The profile a name stands for, or what was probably meant.
    ///
    /// # Errors
    /// The nearest known name, if any is near.
    pub fn find(&self, name: &str) -> Result<&Arc<DeviceProfile>, Option<String>> {
        let exact = name.parse().ok().and_then(|id| self.profiles.get(&id));
        exact.ok_or_else(|| {
            let names = self.profiles.keys().map(ToString::to_string);
            let near = names.map(|known| (strsim::jaro_winkler(name, &known), known));
            near.filter(|(likeness, _)| *likeness >= 0.8)
                .max_by(|(a, _), (b, _)| a.total_cmp(b))
                .map(|(_, known)| known)
        })
    }
}

/// Deepest nesting of directories that is read.
const DEPTH_MAX: usize = 8;

fn collect_files(directory: &Path, depth: usize, files: &mut Vec<(String, String)>) -> Result<(), Error> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let entries = std::fs::read_dir(directory).map_err(fault(directory))?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(fault(directory))?.path()))
        .collect::<Result<Vec<PathBuf>, Error>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < DEPTH_MAX {
                collect_files(&path, depth + 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(fault(&path))?;
            files.push((path.display().to_string(), text));
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Layers {
    families: BTreeMap<String, Layer>,
    routes: BTreeMap<String, Layer>,
    models: BTreeMap<String, Layer>,
    firmware: BTreeMap<(String, String), Layer>,
}

impl Layers {
    fn insert(&mut self, layer: Layer) -> Result<(), FileError> {
        let (id, place) = (layer.id.clone(), layer.place.clone());
        let twice = match &layer.level {
            Level::Family { .. } => self.families.insert(id.clone(), layer),
            Level::Firmware { model, .. } => self.firmware.insert((model.clone(), id.clone()), layer),
            Level::Model { .. } => self.models.insert(id.clone(), layer),
            Level::Route { .. } => self.routes.insert(id.clone(), layer),
        };
        match twice {
            Some(first) => Err(place.error(format!(
                "{id} stands already in {}:{}",
                first.place.file, first.place.line
            ))),
            None => Ok(()),
        }
    }

    /// Every layer has its parent, also those that no firmware uses yet.
    fn check_parents(&self) -> Result<(), FileError> {
        for route in self.routes.values() {
            self.parent_of(route)?;
        }
        for model in self.models.values() {
            self.parent_of(model)?;
        }
        Ok(())
    }

    /// The layer this one inherits from; none for a family.
    fn parent_of(&self, layer: &Layer) -> Result<Option<&Layer>, FileError> {
        let (parents, what, id) = match &layer.level {
            Level::Family { .. } => return Ok(None),
            Level::Firmware {
                model,
                from: Some(from),
                ..
            } => {
                let known = self
                    .firmware
                    .keys()
                    .filter(|(of, _)| of == model)
                    .map(|(_, id)| id.as_str());
                let parent = self.firmware.get(&(model.clone(), from.clone()));
                let what = format!("firmware of {model}");
                if from.starts_with(LAB) && !layer.id.starts_with(LAB) {
                    let reason = format!(
                        "{} inherits from {from}: what is made up for the lab stays under LAB-",
                        layer.id
                    );
                    return Err(layer.place.error(reason));
                }
                return parent.map(Some).ok_or_else(|| layer.place.unknown(&what, from, known));
            }
            Level::Firmware { model, .. } => (&self.models, "model", model),
            Level::Model { route, .. } => (&self.routes, "route", route),
            Level::Route { family, .. } => (&self.families, "family", family),
        };
        let known = parents.keys().map(String::as_str);
        parents
            .get(id)
            .map(Some)
            .ok_or_else(|| layer.place.unknown(what, id, known))
    }

    /// The layers a firmware stands on, family first.
    fn chain<'l>(&'l self, firmware: &'l Layer) -> Result<Vec<&'l Layer>, FileError> {
        let mut chain = vec![firmware];
        let mut at = firmware;
        while let Some(parent) = self.parent_of(at)? {
            if chain.iter().any(|layer| std::ptr::eq(*layer, parent)) {
                return Err(firmware.place.error(format!(
                    "firmware {} inherits from itself through {}",
                    firmware.id, at.id
                )));
            }
            chain.push(parent);
            at = parent;
        }
        chain.reverse();
        Ok(chain)
    }

    fn build(&self, firmware: &Layer) -> Result<DeviceProfile, FileError> {
        let chain = self.chain(firmware)?;
        let broken = || {
            firmware
                .place
                .error("a firmware stands on a model, a route and a family")
        };
        let mut found = (None, None, None);
        for layer in &chain {
            match &layer.level {
                Level::Family { manufacturer } => found.0 = Some((manufacturer, layer)),
                Level::Route {
                    group,
                    cohort,
                    provider,
                    smso,
                    ..
                } => {
                    found.1 = Some(((group, *cohort, *provider, smso), layer));
                }
                Level::Model {
                    kind, model, hardware, ..
                } => found.2 = Some(((*kind, model, hardware), layer)),
                Level::Firmware { .. } => {}
            }
        }
        let (Some((manufacturer, family)), Some((route, route_layer)), Some((model, model_layer))) = found else {
            return Err(broken());
        };
        let Level::Firmware {
            duis,
            native,
            identifier,
            ..
        } = &firmware.level
        else {
            return Err(broken());
        };
        let ((group, cohort, provider, smso), (kind, model, hardware)) = (route, model);
        let mut assembly = Assembly::default();
        for layer in &chain {
            assembly.add(layer, kind)?;
        }
        assembly.add_identifier(firmware, identifier);
        Ok(DeviceProfile {
            id: ProfileId {
                model: model_layer.id.clone(),
                firmware: firmware.id.clone(),
            },
            kind,
            model: DeviceModel {
                manufacturer: manufacturer.clone(),
                model: model.clone(),
                hardware: hardware.clone(),
                firmware: duis.clone(),
            },
            native_firmware: native.clone(),
            cohort,
            provider,
            group: group.clone(),
            family: family.id.clone(),
            route: route_layer.id.clone(),
            smso: smso.clone(),
            meter: meter::Profile {
                firmware: native.clone(),
                ..assembly.parts.meter
            },
            second_element: assembly.parts.second_element,
            face: assembly.parts.face,
            wan: assembly.parts.wan,
            s1sp: assembly.steps,
            rules: assembly.rules,
        })
    }
}

/// A profile while its layers are being laid on each other.
#[derive(Debug, Default)]
struct Assembly {
    parts: Parts,
    steps: Vec<S1spRule>,
    rules: Vec<Rule>,
}

impl Assembly {
    fn add(&mut self, layer: &Layer, kind: DeviceKind) -> Result<(), FileError> {
        self.rules.push(Rule {
            id: layer.id.clone(),
            side: Side::Device,
            text: layer.text.clone(),
            provenance: layer.provenance.clone(),
            clause: None,
            requests: Vec::new(),
            settings: Vec::new(),
            place: (layer.place.file.clone(), layer.place.line),
        });
        let mut here: BTreeMap<&str, &str> = BTreeMap::new();
        for rule in layer
            .rules
            .iter()
            .filter(|rule| rule.kinds.is_empty() || rule.kinds.contains(&kind))
        {
            if let Some(first) = self.rules.iter().find(|known| known.id == rule.id) {
                let (file, line) = &first.place;
                return Err(rule
                    .place
                    .error(format!("rule {} stands already in {file}:{line}", rule.id)));
            }
            for (key, _, place) in &rule.settings {
                if let Some(other) = here.insert(key, &rule.id) {
                    return Err(place.error(format!(
                        "{key} is set here and by rule {other} of the same layer: which holds?"
                    )));
                }
            }
            self.add_rule(layer, rule, kind)?;
        }
        Ok(())
    }

    fn add_rule(&mut self, layer: &Layer, rule: &LayerRule, kind: DeviceKind) -> Result<(), FileError> {
        for (key, value, place) in &rule.settings {
            let setting = settings::find(key).ok_or_else(|| place.unknown("setting", key, settings::keys()))?;
            if !setting.kinds.is_empty() && !setting.kinds.contains(&kind) {
                let reason = format!("{key} is no setting of a {kind}; name the devices it is for with \"kinds\"");
                return Err(place.error(reason));
            }
            if setting.lab_only && !(layer.id.starts_with(LAB) && matches!(layer.level, Level::Firmware { .. })) {
                return Err(place.error(format!(
                    "{key} is an injected defect: only under a firmware id that starts with LAB-"
                )));
            }
            if (setting.apply)(&mut self.parts, value).is_none() {
                return Err(place.error(format!("{key} takes {}, not {value}", setting.expects)));
            }
            self.override_setting(key);
        }
        if let Some((request, effect)) = &rule.step {
            let step = S1spRule {
                rule: rule.id.clone(),
                request: *request,
                effect: effect.clone(),
            };
            self.check_step(&step, &rule.place)?;
            self.steps.push(step);
        }
        self.rules.push(Rule {
            id: rule.id.clone(),
            side: rule.side,
            text: rule.text.clone(),
            provenance: rule.provenance.clone(),
            clause: rule.clause.clone(),
            requests: rule.requests.clone(),
            settings: rule
                .settings
                .iter()
                .map(|(key, value, _)| (key.clone(), value.to_string()))
                .collect(),
            place: (rule.place.file.clone(), rule.place.line),
        });
        Ok(())
    }

    /// Takes a setting from the rule that made it so far; a rule left with none is no longer in force.
    fn override_setting(&mut self, key: &str) {
        self.rules.retain_mut(|earlier| {
            let before = earlier.settings.len();
            earlier.settings.retain(|(set, _)| set != key);
            before == 0 || !earlier.settings.is_empty()
        });
    }

    /// Two step rules on the same thing of the same request contradict each other.
    fn check_step(&self, step: &S1spRule, place: &Place) -> Result<(), FileError> {
        let same = |other: &&S1spRule| other.request == step.request && step_rule::collide(&other.effect, &step.effect);
        match self.steps.iter().find(same) {
            Some(other) => Err(place.error(format!(
                "contradicts rule {} on the same item of {}",
                other.rule, step.request
            ))),
            None => Ok(()),
        }
    }

    /// The firmware identifier is a fact of its own: it shows only where firmware is read.
    fn add_identifier(&mut self, firmware: &Layer, identifier: &Provenance) {
        const READ_FIRMWARE_VERSION: Srv = Srv::new(11, 2, 0);
        self.rules.push(Rule {
            id: format!("{}.identifier", firmware.id),
            side: Side::Device,
            text: format!("The identifier of firmware {}", firmware.id),
            provenance: identifier.clone(),
            clause: None,
            requests: vec![READ_FIRMWARE_VERSION],
            settings: Vec::new(),
            place: (firmware.place.file.clone(), firmware.place.line),
        });
    }
}
