//! A profile while its layers are being laid on each other: what contradicts, what overrides what.

use std::collections::BTreeMap;

use domain::{DeviceKind, Provenance, Srv};

use crate::error::{FileError, Place};
use crate::layer::{Layer, LayerRule};
use crate::profile::{Rule, S1spRule, Side};
use crate::settings::{self, Parts};
use crate::step_rule;

/// A profile while its layers are being laid on each other.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    pub(crate) parts: Parts,
    pub(crate) steps: Vec<S1spRule>,
    pub(crate) rules: Vec<Rule>,
}

impl Assembly {
    /// Lays a layer on what is there.
    ///
    /// # Errors
    /// A rule twice, a setting twice in one layer, one that does not fit the device, or steps that contradict each other.
    pub(crate) fn add(&mut self, layer: &Layer, kind: DeviceKind) -> Result<(), FileError> {
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
            if setting.lab_only && !layer.invents() {
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
    pub(crate) fn add_identifier(&mut self, firmware: &Layer, identifier: &Provenance) {
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
