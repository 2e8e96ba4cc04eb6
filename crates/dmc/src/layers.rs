//! The layers of a catalogue and how they stand on each other: parents, cycles, what a model shares with another.

use std::collections::BTreeMap;

use domain::{DeviceModel, ProfileId};

use crate::assembly::Assembly;
use crate::error::FileError;
use crate::layer::{LAB, Layer, Level, ModelIs};
use crate::profile::DeviceProfile;
use crate::section::Scalar;
use crate::settings::Setting;

/// All layers of a catalogue by their level and id.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    families: BTreeMap<String, Layer>,
    routes: BTreeMap<String, Layer>,
    models: BTreeMap<String, Layer>,
    firmware: BTreeMap<(String, String), Layer>,
    /// What the plain device does where no layer says otherwise, in place of its usual defaults.
    pub(crate) plain: Vec<(&'static Setting, Scalar)>,
}

/// A model with what it stands on.
struct ModelChain<'l> {
    /// Family to route, outermost first.
    below: Vec<&'l Layer>,
    /// The model itself, then those it is the same as.
    models: Vec<&'l Layer>,
}

impl Layers {
    pub(crate) fn insert(&mut self, layer: Layer) -> Result<(), FileError> {
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

    /// Takes a rule away as if nobody had stated it. Gives how often it was found.
    pub(crate) fn forget_rule(&mut self, id: &str) -> usize {
        let mut found = 0;
        let families = self.families.values_mut().chain(self.routes.values_mut());
        for layer in families
            .chain(self.models.values_mut())
            .chain(self.firmware.values_mut())
        {
            let before = layer.rules.len();
            layer.rules.retain(|rule| rule.id != id);
            found += before - layer.rules.len();
        }
        found
    }

    /// All profiles.
    ///
    /// # Errors
    /// The first fault found.
    pub(crate) fn build(&self) -> Result<Vec<DeviceProfile>, FileError> {
        // Every layer has its parent, also those that no profile uses yet.
        for family in self.families.values() {
            self.families_of(family)?;
        }
        for route in self.routes.values() {
            self.route_chain(route)?;
        }
        for firmware in self.firmware.values() {
            self.model_of_firmware(firmware)?;
        }
        let mut profiles = Vec::new();
        for model in self.models.values() {
            let chain = self.model_chain(model)?;
            let is = model_is(&chain.models);
            if is.kind.is_type2() {
                // A type 2 device has no firmware in its model (SEC glossary).
                profiles.push(self.profile(&chain, &[])?);
                continue;
            }
            let mut done: Vec<&str> = Vec::new();
            for at in &chain.models {
                let own = self
                    .firmware
                    .values()
                    .filter(|firmware| matches!(&firmware.level, Level::Firmware { model, .. } if *model == at.id));
                for firmware in own {
                    if !done.contains(&firmware.id.as_str()) {
                        done.push(&firmware.id);
                        let versions = self.firmware_chain(&chain, firmware)?;
                        profiles.push(self.profile(&chain, &versions)?);
                    }
                }
            }
        }
        Ok(profiles)
    }

    /// A family with those it stands on, outermost first.
    fn families_of<'l>(&'l self, family: &'l Layer) -> Result<Vec<&'l Layer>, FileError> {
        let mut chain = vec![family];
        let mut at = family;
        while let Level::Family { from: Some(from), .. } = &at.level {
            let known = self.families.keys().map(String::as_str);
            at = self
                .families
                .get(from)
                .ok_or_else(|| at.place.unknown("family", from, known))?;
            push_once(&mut chain, at, "family")?;
        }
        chain.reverse();
        Ok(chain)
    }

    /// Families and route, outermost first.
    fn route_chain<'l>(&'l self, route: &'l Layer) -> Result<Vec<&'l Layer>, FileError> {
        let Level::Route { family, .. } = &route.level else {
            return Err(route.place.error("not a route"));
        };
        let known = self.families.keys().map(String::as_str);
        let family = self
            .families
            .get(family)
            .ok_or_else(|| route.place.unknown("family", family, known))?;
        let mut chain = self.families_of(family)?;
        if manufacturer(&chain).is_none() {
            let reason = format!(
                "family {} names no manufacturer, and neither does what it stands on",
                family.id
            );
            return Err(route.place.error(reason));
        }
        chain.push(route);
        Ok(chain)
    }

    fn model_chain<'l>(&'l self, model: &'l Layer) -> Result<ModelChain<'l>, FileError> {
        let mut models = vec![model];
        let mut at = model;
        while let Level::Model {
            same_as: Some(other), ..
        } = &at.level
        {
            let known = self.models.keys().map(String::as_str);
            at = self
                .models
                .get(other)
                .ok_or_else(|| at.place.unknown("model", other, known))?;
            push_once(&mut models, at, "model")?;
        }
        let Level::Model { route, .. } = &model.level else {
            return Err(model.place.error("not a model"));
        };
        let known = self.routes.keys().map(String::as_str);
        let route = self
            .routes
            .get(route)
            .ok_or_else(|| model.place.unknown("route", route, known))?;
        Ok(ModelChain {
            below: self.route_chain(route)?,
            models,
        })
    }

    fn model_of_firmware(&self, firmware: &Layer) -> Result<(), FileError> {
        let Level::Firmware { model, .. } = &firmware.level else {
            return Err(firmware.place.error("not a firmware"));
        };
        let known = self.models.keys().map(String::as_str);
        let at = self
            .models
            .get(model)
            .ok_or_else(|| firmware.place.unknown("model", model, known))?;
        let kind = model_is(&self.model_chain(at)?.models).kind;
        if kind.is_type2() {
            return Err(firmware.place.error(format!(
                "{model} is an {kind}: the model of a type 2 device has no firmware"
            )));
        }
        Ok(())
    }

    /// A firmware with those it inherits from, outermost first. What is not stated for a model itself is that of the model
    /// it is the same as.
    fn firmware_chain<'l>(&'l self, chain: &ModelChain<'l>, firmware: &'l Layer) -> Result<Vec<&'l Layer>, FileError> {
        let mut versions = vec![firmware];
        let mut at = firmware;
        while let Level::Firmware { from: Some(from), .. } = &at.level {
            if from.starts_with(LAB) && !at.id.starts_with(LAB) {
                let reason = format!(
                    "{} inherits from {from}: what is made up for the lab stays under LAB-",
                    at.id
                );
                return Err(at.place.error(reason));
            }
            let parent = chain
                .models
                .iter()
                .find_map(|model| self.firmware.get(&(model.id.clone(), from.clone())));
            let Some(parent) = parent else {
                let models: Vec<&str> = chain.models.iter().map(|model| model.id.as_str()).collect();
                let known = self
                    .firmware
                    .keys()
                    .filter(|(model, _)| models.contains(&model.as_str()));
                let what = format!("firmware of {}", models.first().copied().unwrap_or_default());
                return Err(at.place.unknown(&what, from, known.map(|(_, id)| id.as_str())));
            };
            push_once(&mut versions, parent, "firmware")?;
            at = parent;
        }
        versions.reverse();
        Ok(versions)
    }

    fn profile(&self, chain: &ModelChain<'_>, versions: &[&Layer]) -> Result<DeviceProfile, FileError> {
        let (Some(model), Some(route)) = (chain.models.first(), chain.below.last()) else {
            unreachable!("a chain has a model and a route")
        };
        let Level::Route {
            family,
            group,
            cohort,
            provider,
            smso,
            slug,
            smso_code,
            directed,
        } = &route.level
        else {
            return Err(route.place.error("not a route"));
        };
        let is = model_is(&chain.models);
        let mut assembly = Assembly::default();
        for (setting, value) in &self.plain {
            // Whoever put it here has seen that the value fits.
            let _ = (setting.apply)(&mut assembly.parts, value);
        }
        let models = chain.models.iter().rev();
        for layer in chain.below.iter().chain(models).chain(versions) {
            assembly.add(layer, is.kind)?;
        }
        let (mut firmware, mut duis, mut native) = (String::new(), String::new(), String::new());
        let mut stable_from = None;
        if let Some(last) = versions.last()
            && let Level::Firmware {
                duis: in_duis,
                native: own,
                identifier,
                stable_from: since,
                ..
            } = &last.level
        {
            assembly.add_identifier(last, identifier);
            firmware.clone_from(&last.id);
            duis.clone_from(in_duis);
            native.clone_from(own);
            stable_from = *since;
        }
        let maker = is
            .manufacturer
            .clone()
            .or_else(|| manufacturer(&chain.below))
            .unwrap_or_default();
        Ok(DeviceProfile {
            id: ProfileId {
                model: model.id.clone(),
                firmware,
            },
            kind: is.kind,
            model: DeviceModel {
                manufacturer: maker.clone(),
                model: is.model.clone(),
                hardware: is.hardware.clone(),
                firmware: duis,
            },
            native_firmware: native.clone(),
            stable_from,
            cohort: *cohort,
            provider: *provider,
            directed: *directed,
            group: group.clone(),
            family: family.clone(),
            route: route.id.clone(),
            smso: smso.clone(),
            slug: slug.clone().unwrap_or_else(|| route.id.clone()),
            smso_code: smso_code.clone().unwrap_or_else(|| smso.clone()),
            meter: meter::Profile {
                tokens: meter::TokenRules {
                    form: domain::utrn::CodeForm::of_family(family),
                    ..assembly.parts.meter.tokens
                },
                firmware: native,
                manufacturer: maker,
                model: is.model.clone(),
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

/// What a model is: stated where the chain of sameness ends.
fn model_is<'l>(models: &[&'l Layer]) -> &'l ModelIs {
    let stated = models.iter().rev().find_map(|layer| match &layer.level {
        Level::Model { is: Some(is), .. } => Some(is),
        _ => None,
    });
    stated.expect("a model without \"same_as\" does not load unless it says what it is")
}

/// The manufacturer that the innermost family names.
fn manufacturer(chain: &[&Layer]) -> Option<String> {
    chain.iter().rev().find_map(|layer| match &layer.level {
        Level::Family { manufacturer, .. } => manufacturer.clone(),
        _ => None,
    })
}

fn push_once<'l>(chain: &mut Vec<&'l Layer>, layer: &'l Layer, what: &str) -> Result<(), FileError> {
    if chain.iter().any(|known| std::ptr::eq(*known, layer)) {
        let through = chain.last().map_or("", |last| last.id.as_str());
        return Err(layer
            .place
            .error(format!("{what} {} inherits from itself through {through}", layer.id)));
    }
    chain.push(layer);
    Ok(())
}
