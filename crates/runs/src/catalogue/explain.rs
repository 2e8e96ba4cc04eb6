//! Why a request is answered as it is: the rules that bear on it, and the steps they leave.

use std::sync::Arc;

use dmc::{DeviceProfile, Rule, Side};
use domain::{Dmc, Srv};
use lab::tape_file::About;
use serde_json::{Value, json};

use super::{CatalogueError, Said, Shelf, rule_json, rule_lines};

/// What is asked about: a request, and where it comes from the entry of a tape.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Service reference variant.
    pub service: String,
    /// The entry of the tape, as a line.
    pub entry: Option<String>,
    /// Whose doing the entry is.
    pub side: Option<Side>,
}

impl Asked {
    /// About all answers to a service reference variant.
    #[must_use]
    pub fn service(srv: &str) -> Self {
        Self {
            service: srv.to_owned(),
            ..Self::default()
        }
    }

    /// About an entry of a tape.
    ///
    /// # Errors
    /// When the tape does not say which service the entry belongs to.
    pub fn entry(about: &About) -> Result<Self, CatalogueError> {
        let service = about.service.ok_or_else(|| {
            let line = &about.line;
            CatalogueError::Question(format!("the tape does not say to which request this belongs: {line}"))
        })?;
        Ok(Self {
            service: service.to_string(),
            entry: Some(about.line.clone()),
            side: about.side,
        })
    }
}

impl Shelf {
    /// The rules that bear on the answer to a request, with file and side, and the Equivalent Steps they leave. Of an entry
    /// of a tape the rules of its own side come first.
    ///
    /// # Errors
    /// When there is no such profile or service reference variant.
    pub fn explain(&self, name: &str, asked: &Asked) -> Result<Said, CatalogueError> {
        let profile = self.find(name)?;
        let srv: Srv = asked
            .service
            .parse()
            .map_err(|_| CatalogueError::Question(format!("{:?} is no service reference variant", asked.service)))?;
        let rules: Vec<&Rule> = self.sure(profile.rules_for(srv));
        let named = rules.iter().filter(|rule| !rule.requests.is_empty()).count();
        let mut lines: Vec<String> = asked.entry.iter().cloned().collect();
        lines.extend(asked.side.map(|side| match side {
            Side::Device => {
                "this is said by the device or to it: what it does is rules of the device's side".to_owned()
            }
            Side::S1sp => "this is of the S1SP: what it asks and answers is rules of its side".to_owned(),
        }));
        lines.push(format!(
            "{srv} for {}: {named} rules name it, {} bear on every request, weakest {}",
            profile.id,
            rules.len() - named,
            profile.confidence_for(srv)
        ));
        let mut sorted = rules.clone();
        sorted.sort_by_key(|rule| {
            (
                asked.side.is_some_and(|side| side != rule.side),
                rule.requests.is_empty(),
                rule.side,
            )
        });
        for rule in &sorted {
            lines.extend(rule_lines(rule));
        }
        let plan = self.trial(profile)?.run(&format!("plan {srv}")).unwrap_or_default();
        lines.push(format!("steps: {plan}"));
        Ok(Said {
            json: json!({
                "profile": profile.id.to_string(), "request": srv.to_string(), "steps": plan, "entry": asked.entry,
                "side": asked.side.map(Side::as_str),
                "confidence": profile.confidence_for(srv).to_string(),
                "rules": sorted.iter().map(|rule| rule_json(rule)).collect::<Value>(),
            }),
            lines,
            good: true,
        })
    }

    /// The Equivalent Steps of a request as a file has it, for a profile.
    ///
    /// # Errors
    /// When the request cannot be read or there is no such profile.
    pub fn plan(&self, name: &str, request: &[u8]) -> Result<Said, CatalogueError> {
        let request = duis::read_request(request).map_err(|error| CatalogueError::Question(error.to_string()))?;
        let profile = self.planned_for(name, request.srv)?;
        let (lines, json, good) = match self.trial(profile)?.plan(&request) {
            Err(refused) => (
                vec![format!("refused: {}: {}", refused.failure, refused.text)],
                json!({ "refused": refused.text }),
                false,
            ),
            Ok(plan) => {
                let row = |step: &steps::Step| {
                    let mut notes = Vec::new();
                    notes.extend(step.critical.then_some("critical"));
                    notes.extend(step.optional.then_some("its failure does not fail the request"));
                    notes.extend(step.answered.is_some().then_some("answered without the device"));
                    notes.extend(step.refused.is_some().then_some("refused"));
                    notes.extend(
                        step.cached_for
                            .is_some()
                            .then_some("from the S1SP's memory while fresh"),
                    );
                    notes
                };
                let lines = plan.steps.iter().map(|step| {
                    let notes = row(step);
                    let notes = if notes.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", notes.join(", "))
                    };
                    format!(
                        "{:2}  {:?} {}  {}{notes}",
                        step.position, step.via, step.kind, step.operation
                    )
                });
                let json = plan.steps.iter().map(|step| {
                    json!({
                        "position": step.position, "kind": step.kind.to_string(), "notes": row(step),
                        "operation": step.operation.to_string(),
                    })
                });
                (lines.collect(), json!({ "steps": json.collect::<Value>() }), true)
            }
        };
        Ok(Said { lines, json, good })
    }

    /// The profile that a request is planned for: a profile by its name, or that of the device in a combination
    /// (`provider/chf/esme/gpf/gsme/ppmid/ihd`) to which such a request goes.
    pub(super) fn planned_for(&self, name: &str, srv: Srv) -> Result<&Arc<DeviceProfile>, CatalogueError> {
        if !name.contains('/') {
            return self.find(name);
        }
        let combination: Dmc = name
            .parse()
            .map_err(|error| CatalogueError::Question(format!("{name:?}: {error}")))?;
        let kinds = steps::table()
            .row(srv)
            .map(|row| row.kinds.as_slice())
            .unwrap_or_default();
        let found = kinds.iter().find_map(|kind| combination.profile(*kind));
        let found = found.ok_or_else(|| CatalogueError::Question(format!("no device of {name} takes {srv}")))?;
        self.find(&found.to_string())
    }

    /// The profile of a device in the estate of a lab with this configuration.
    ///
    /// # Errors
    /// When the estate cannot be read or has no such device.
    pub fn profile_in(&self, estate: &lab::EstateConfig, device: &str) -> Result<String, CatalogueError> {
        let question = |problem: String| CatalogueError::Question(problem);
        let estate = lab::estate(estate, &self.catalogue).map_err(|error| question(error.to_string()))?;
        let found = estate.devices().find(|known| known.device.to_string() == device);
        let found = found.ok_or_else(|| {
            question(format!(
                "{device} is no device of the configured estate {}: give --profile too",
                estate.name
            ))
        })?;
        Ok(found.profile.to_string())
    }
}
