//! Questions to a catalogue of device profiles: what it holds, where that is from, what bears on a request, how two
//! profiles or combinations differ. The commands below `s1lab dmc`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmc::coverage::{self, Class};
use dmc::{Catalogue, DeviceProfile, FileError, Rule};
use domain::{Confidence, DeviceKind, Dmc, Srv};
use serde_json::{Value, json};

use crate::trial::Trial;

mod annex;
mod explain;

pub use explain::Asked;

/// What is said to a question: as lines for people and as JSON for programs.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// Lines of text.
    pub lines: Vec<String>,
    /// The same as JSON.
    pub json: Value,
    /// Whether all is as it should be.
    pub good: bool,
}

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The profile files are refused; none of them is in then.
    #[error(transparent)]
    Catalogue(#[from] dmc::Error),
    /// A list is refused; none of its rows is in then.
    #[error(transparent)]
    List(#[from] FileError),
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No profile of this name.
    #[error("there is no profile {name:?}{}", meant.as_ref().map_or_else(String::new, |near| format!("; did you mean {near:?}?")))]
    NoProfile {
        /// The name.
        name: String,
        /// The nearest one.
        meant: Option<String>,
    },
    /// Something else in the question is wrong.
    #[error("{0}")]
    Question(String),
}

/// Profiles: the built-in ones and those of further folders.
#[derive(Debug, Clone)]
pub struct Shelf {
    catalogue: Catalogue,
    folders: Vec<PathBuf>,
    least: Confidence,
}

impl Shelf {
    /// Loads the profiles. Rules less sure than `least` (a word such as `inferred`) are left out of what is shown; none
    /// given means all.
    ///
    /// # Errors
    /// A profile file that is refused, or an unknown word.
    pub fn load(folders: &[PathBuf], least: Option<&str>) -> Result<Self, CatalogueError> {
        let least = match least {
            None => Confidence::Invented,
            Some(word) => word.parse().map_err(|_| {
                let words: Vec<&str> = Confidence::ALL.iter().map(|level| level.as_str()).collect();
                CatalogueError::Question(format!("--min-confidence: {word:?} is none of {}", words.join(", ")))
            })?,
        };
        Ok(Self {
            catalogue: Catalogue::load(folders)?,
            folders: folders.to_vec(),
            least,
        })
    }

    /// The profiles themselves, whatever their confidence.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The profiles, with kind, group, route and how sure their weakest rule is. With a least confidence only those of
    /// which every rule is that sure.
    #[must_use]
    pub fn list(&self) -> Said {
        let shown: Vec<&Arc<DeviceProfile>> = self
            .catalogue
            .profiles()
            .filter(|profile| profile.confidence() >= self.least)
            .collect();
        let mut lines = table(
            &["PROFILE", "KIND", "GROUP", "ROUTE", "RULES", "WEAKEST"],
            shown.iter().map(|profile| {
                vec![
                    profile.id.to_string(),
                    profile.kind.to_string(),
                    profile.group.clone(),
                    profile.route.clone(),
                    profile.rules.len().to_string(),
                    profile.confidence().to_string(),
                ]
            }),
        );
        lines.push(format!("{} profiles", shown.len()));
        let rows = shown.iter().map(|profile| {
            json!({
                "profile": profile.id.to_string(), "kind": profile.kind.to_string(), "group": profile.group,
                "route": profile.route, "provider": profile.provider.as_str(), "directed": profile.directed,
                "lab": profile.is_lab(), "rules": profile.rules.len(), "confidence": profile.confidence().to_string(),
            })
        });
        Said {
            json: rows.collect(),
            lines,
            good: true,
        }
    }

    /// One profile and its rules.
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn show(&self, name: &str) -> Result<Said, CatalogueError> {
        let profile = self.find(name)?;
        let model = &profile.model;
        let mut lines = vec![
            format!("{} ({})", profile.id, profile.kind),
            format!(
                "  {} {}, firmware {}",
                model.manufacturer, model.model, profile.native_firmware
            ),
            format!(
                "  group {}, route {}, family {}, operated by {}, carried by {}",
                profile.group,
                profile.route,
                profile.family,
                profile.smso,
                profile.provider.as_str()
            ),
        ];
        if profile.directed {
            lines.push("  in scope only if the government directs so".into());
        }
        if let Some(since) = profile.stable_from {
            lines.push(format!("  unchanged since {since}"));
        }
        let rules: Vec<&Rule> = self.sure(profile.rules.iter());
        for rule in &rules {
            lines.extend(rule_lines(rule));
        }
        lines.push(format!("{} of {} rules", rules.len(), profile.rules.len()));
        let json = json!({
            "profile": profile.id.to_string(), "kind": profile.kind.to_string(), "group": profile.group,
            "route": profile.route, "manufacturer": model.manufacturer, "model": model.model,
            "firmware": profile.native_firmware, "directed": profile.directed, "lab": profile.is_lab(),
            "confidence": profile.confidence().to_string(),
            "rules": rules.iter().map(|rule| rule_json(rule)).collect::<Value>(),
        });
        Ok(Said {
            lines,
            json,
            good: true,
        })
    }

    /// That the profiles are sound, and the lists given with them.
    ///
    /// # Errors
    /// The first fault of a list.
    pub fn check(&self, epcl: Option<&Path>, cpl: Option<&Path>, dpl: Option<&Path>) -> Result<Said, CatalogueError> {
        let rules: BTreeSet<&str> = self
            .catalogue
            .profiles()
            .flat_map(|profile| profile.rules.iter().map(|rule| rule.id.as_str()))
            .collect();
        let profiles = self.catalogue.profiles().count();
        let mut lines = vec![format!("{profiles} profiles with {} rules are sound", rules.len())];
        let mut counts = BTreeMap::from([("profiles", profiles), ("rules", rules.len())]);
        if let Some(path) = epcl {
            let entries = dmc::read_epcl(Some(&self.catalogue), &path.display().to_string(), &text(path)?)?;
            lines.push(format!("{} rows of an EPCL are sound", entries.len()));
            counts.insert("epcl", entries.len());
        }
        if let Some(path) = cpl {
            let entries = dmc::read_cpl(Some(&self.catalogue), &path.display().to_string(), &text(path)?)?;
            lines.push(format!("{} rows of a CPL are sound", entries.len()));
            counts.insert("cpl", entries.len());
        }
        if let Some(path) = dpl {
            let entries = dmc::read_dpl(&self.catalogue, &path.display().to_string(), &text(path)?)?;
            lines.push(format!("{} combinations of a DPL are sound", entries.len()));
            counts.insert("dpl", entries.len());
        }
        Ok(Said {
            lines,
            json: json!(counts),
            good: true,
        })
    }

    /// Every item known of SMETS1 devices, and what there is of it, by rules as sure as is asked for; then the clauses of annexes that folders of profiles
    /// keep. Not good when a rule it names is in no profile.
    ///
    /// # Errors
    /// A fault in what a folder keeps.
    pub fn coverage(&self, class: Option<&str>) -> Result<Said, CatalogueError> {
        let tracked = self.tracked()?;
        let mut items = coverage::items();
        let in_force: BTreeSet<&str> = self
            .catalogue
            .profiles()
            .flat_map(|profile| profile.rules.iter().map(|rule| rule.id.as_str()))
            .collect();
        let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
        let mut missing = Vec::new();
        for item in &items {
            *counts.entry(item.class).or_default() += 1;
            missing.extend(
                item.rules
                    .iter()
                    .filter(|rule| !in_force.contains(rule.as_str()))
                    .map(|rule| format!("{}: rule {rule} is in force in no profile", item.id)),
            );
        }
        let sure: BTreeSet<&str> = self
            .sure(self.catalogue.profiles().flat_map(|profile| &profile.rules))
            .into_iter()
            .map(|rule| rule.id.as_str())
            .collect();
        for item in &mut items {
            item.rules.retain(|rule| sure.contains(rule.as_str()));
        }
        let shown = || {
            items
                .iter()
                .filter(|item| class.is_none_or(|class| item.class.as_str() == class))
        };
        let mut lines = table(
            &["ITEM", "CLASS", "RULES", "SAYS"],
            shown().map(|item| {
                vec![
                    item.id.clone(),
                    item.class.as_str().to_owned(),
                    item.rules.join(","),
                    item.says.clone(),
                ]
            }),
        );
        let sums: Vec<String> = counts
            .iter()
            .map(|(class, count)| format!("{count} {}", class.as_str()))
            .collect();
        lines.push(format!("{} items: {}", items.len(), sums.join(", ")));
        if self.least > Confidence::Invented {
            let left = items.iter().filter(|item| !item.rules.is_empty()).count();
            lines.push(format!("{left} items have a rule that is {} or surer", self.least));
        }
        lines.extend(missing.iter().cloned());
        lines.extend(tracked.iter().map(|(line, _)| line.clone()));
        let rows = shown().map(|item| {
            let profiles: Vec<String> = self
                .catalogue
                .profiles()
                .filter(|profile| item.rules.iter().any(|rule| profile.rule(rule).is_some()))
                .map(|profile| profile.id.to_string())
                .collect();
            json!({
                "item": item.id, "class": item.class.as_str(), "rules": item.rules, "profiles": profiles,
                "proof": item.proof, "says": item.says,
            })
        });
        Ok(Said {
            json: json!({
                "items": rows.collect::<Value>(),
                "counts": counts.iter().map(|(class, count)| (class.as_str(), *count)).collect::<BTreeMap<_, _>>(),
                "missing": missing,
                "annexes": tracked.into_iter().map(|(_, json)| json).collect::<Value>(),
            }),
            good: missing.is_empty(),
            lines,
        })
    }

    /// The combinations of a DPL to test so that they cover this share of what is deployed. With a least confidence only
    /// those of which every rule is that sure; what they leave uncovered is said.
    ///
    /// # Errors
    /// A fault of the list.
    pub fn select(&self, dpl: &Path, cover_percent: u8) -> Result<Said, CatalogueError> {
        let deployed = dmc::read_dpl(&self.catalogue, &dpl.display().to_string(), &text(dpl)?)?;
        let confidence = |dmc: &Dmc| {
            dmc.profiles()
                .filter_map(|(_, id)| self.catalogue.profile(id))
                .map(|profile| profile.confidence())
                .min()
                .unwrap_or(Confidence::Invented)
        };
        let chosen = dmc::select(&deployed, cover_percent);
        let total: u64 = deployed.iter().map(|entry| entry.count).sum();
        let (kept, dropped): (Vec<_>, Vec<_>) = chosen
            .into_iter()
            .partition(|(entry, _)| confidence(&entry.dmc) >= self.least);
        let mut lines = table(
            &["COUNT", "SUM", "WEAKEST", "DMC"],
            kept.iter().map(|(entry, share)| {
                vec![
                    entry.count.to_string(),
                    format!("{share:.1}%"),
                    confidence(&entry.dmc).to_string(),
                    entry.dmc.to_string(),
                ]
            }),
        );
        let covered: u64 = kept.iter().map(|(entry, _)| entry.count).sum();
        lines.push(format!(
            "{} of {} combinations, {covered} of {total} installations",
            kept.len(),
            deployed.len()
        ));
        if !dropped.is_empty() {
            lines.push(format!(
                "{} combinations are less sure than {}",
                dropped.len(),
                self.least
            ));
        }
        let rows = kept.iter().map(|(entry, share)| {
            json!({
                "dmc": entry.dmc.to_string(), "count": entry.count, "share_so_far": share,
                "confidence": confidence(&entry.dmc).to_string(),
            })
        });
        Ok(Said {
            json: json!({ "chosen": rows.collect::<Value>(), "covered": covered, "total": total }),
            lines,
            good: true,
        })
    }

    /// What differs between two profiles, or two whole combinations: rules, and the answers of the pack's requests where
    /// both run on the same pure installation. Not good when anything does.
    ///
    /// # Errors
    /// When one of them is not in the catalogue, or they are of different kinds.
    pub fn diff(&self, a: &str, b: &str) -> Result<Said, CatalogueError> {
        let pairs = match (a.contains('/'), b.contains('/')) {
            (false, false) => vec![(Some(self.find(a)?), Some(self.find(b)?))],
            (true, true) => self.pairs(a, b)?,
            _ => {
                return Err(CatalogueError::Question(
                    "compare two profiles or two combinations, not one of each".into(),
                ));
            }
        };
        let (mut lines, mut rows, mut good) = (Vec::new(), Vec::new(), true);
        for (a, b) in pairs {
            match (a, b) {
                (Some(a), Some(b)) if a.id == b.id => {}
                (Some(a), Some(b)) => {
                    let difference = self.difference(a, b)?;
                    good &= difference.good;
                    lines.extend(difference.lines);
                    rows.push(difference.json);
                }
                (one, other) => {
                    good = false;
                    for (mark, profile) in [("-", one), ("+", other)] {
                        lines.extend(profile.map(|profile| format!("{mark} {} {}", profile.kind, profile.id)));
                    }
                    rows.push(json!({
                        "a": one.map(|profile| profile.id.to_string()),
                        "b": other.map(|profile| profile.id.to_string()),
                    }));
                }
            }
        }
        if good {
            lines.push("no difference".into());
        }
        Ok(Said {
            lines,
            json: Value::Array(rows),
            good,
        })
    }

    /// The service requests that two profiles of one kind answer differently, with both answers.
    ///
    /// # Errors
    /// When one of them is not in the catalogue, or they are of different kinds.
    pub fn answers_that_differ(&self, a: &str, b: &str) -> Result<Vec<(Srv, String, String)>, CatalogueError> {
        self.answers(self.find(a)?, self.find(b)?)
    }

    /// The kind of device that a request for a profile, or for a combination, goes to.
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn kind(&self, name: &str, srv: Srv) -> Result<DeviceKind, CatalogueError> {
        Ok(self.planned_for(name, srv)?.kind)
    }

    /// The profile tried out, without what the S1SP does for it by rules that are less sure.
    fn trial(&self, profile: &Arc<DeviceProfile>) -> Result<Trial, CatalogueError> {
        let mut sure = Arc::clone(profile);
        if self.least > Confidence::Invented {
            let known = |rule: &str| {
                let rule = profile.rule(rule);
                rule.is_some_and(|rule| rule.provenance.confidence >= self.least)
            };
            Arc::make_mut(&mut sure).s1sp.retain(|step| known(&step.rule));
        }
        Trial::new(&self.catalogue, &sure).map_err(|error| CatalogueError::Question(error.to_string()))
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Arc<DeviceProfile>, CatalogueError> {
        self.catalogue.find(name).map_err(|meant| CatalogueError::NoProfile {
            name: name.to_owned(),
            meant,
        })
    }

    fn sure<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<&'r Rule> {
        rules.filter(|rule| rule.provenance.confidence >= self.least).collect()
    }

    /// The devices of two combinations, kind by kind.
    #[expect(
        clippy::type_complexity,
        reason = "a pair of devices, either of which may be missing"
    )]
    fn pairs(
        &self,
        a: &str,
        b: &str,
    ) -> Result<Vec<(Option<&Arc<DeviceProfile>>, Option<&Arc<DeviceProfile>>)>, CatalogueError> {
        let read = |name: &str| {
            name.parse::<Dmc>()
                .map_err(|error| CatalogueError::Question(format!("{name:?}: {error}")))
        };
        let (a, b) = (read(a)?, read(b)?);
        let mut pairs = Vec::new();
        for kind in [
            DeviceKind::Chf,
            DeviceKind::Esme,
            DeviceKind::Gpf,
            DeviceKind::Gsme,
            DeviceKind::Ppmid,
            DeviceKind::Ihd,
        ] {
            let one = a.profile(kind).map(|id| self.find(&id.to_string())).transpose()?;
            let other = b.profile(kind).map(|id| self.find(&id.to_string())).transpose()?;
            if one.is_some() || other.is_some() {
                pairs.push((one, other));
            }
        }
        Ok(pairs)
    }

    fn difference(&self, a: &Arc<DeviceProfile>, b: &Arc<DeviceProfile>) -> Result<Said, CatalogueError> {
        let mut lines = vec![format!("{} {} -> {}", a.kind, a.id, b.id)];
        let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
        for (mark, one, other, found) in [("-", a, b, &mut only_a), ("+", b, a, &mut only_b)] {
            let rules = one.rules.iter().filter(|rule| {
                other
                    .rule(&rule.id)
                    .is_none_or(|same| (&same.settings, &same.place) != (&rule.settings, &rule.place))
            });
            for rule in self.sure(rules) {
                lines.push(format!(
                    "{mark} {} [{} {}] {} ({}:{})",
                    rule.id,
                    rule.side.as_str(),
                    rule.provenance.confidence,
                    rule.text,
                    rule.place.0,
                    rule.place.1
                ));
                found.push(rule_json(rule));
            }
        }
        let answers = self.answers(a, b)?;
        for (srv, one, other) in &answers {
            let (one, other) = part(one, other);
            lines.push(format!("  {srv}: {one}"));
            lines.push(format!("  {:width$}  {other}", "", width = srv.to_string().len()));
        }
        lines.push(format!(
            "{} rules differ, {} requests are answered differently",
            only_a.len() + only_b.len(),
            answers.len()
        ));
        let answers = answers
            .iter()
            .map(|(srv, one, other)| json!({ "request": srv.to_string(), "a": one, "b": other }));
        Ok(Said {
            json: json!({
                "a": a.id.to_string(), "b": b.id.to_string(), "only_a": only_a, "only_b": only_b,
                "answers": answers.collect::<Value>(),
            }),
            good: only_a.is_empty() && only_b.is_empty(),
            lines,
        })
    }

    fn answers(
        &self,
        a: &Arc<DeviceProfile>,
        b: &Arc<DeviceProfile>,
    ) -> Result<Vec<(Srv, String, String)>, CatalogueError> {
        if a.kind != b.kind {
            return Err(CatalogueError::Question(format!(
                "{} is a {}, {} a {}: compare devices of one kind",
                a.id, a.kind, b.id, b.kind
            )));
        }
        let mut of_a = self.trial(a)?;
        let mut of_b = self.trial(b)?;
        let pairs = of_a.survey().into_iter().zip(of_b.survey());
        Ok(pairs
            .filter(|((_, one), (_, other))| one != other)
            .map(|((srv, one), (_, other))| (srv, one, other))
            .collect())
    }
}

fn text(path: &Path) -> Result<String, CatalogueError> {
    std::fs::read_to_string(path).map_err(|source| CatalogueError::Read {
        path: path.to_owned(),
        source,
    })
}

fn rule_lines(rule: &Rule) -> impl Iterator<Item = String> {
    let requests: Vec<String> = rule.requests.iter().map(ToString::to_string).collect();
    let about = if requests.is_empty() {
        "every request".to_owned()
    } else {
        requests.join(", ")
    };
    let settings = rule
        .settings
        .iter()
        .map(|(key, value)| format!("      {key} = {value}"));
    let head = [
        format!(
            "  {} [{} {}] {}",
            rule.id,
            rule.side.as_str(),
            rule.provenance.confidence,
            rule.text
        ),
        format!(
            "      {}:{}, about {about}, from: {}",
            rule.place.0, rule.place.1, rule.provenance.source
        ),
    ];
    head.into_iter().chain(settings.collect::<Vec<_>>())
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "id": rule.id, "side": rule.side.as_str(), "text": rule.text, "source": rule.provenance.source,
        "confidence": rule.provenance.confidence.to_string(), "file": &*rule.place.0, "line": rule.place.1,
        "clause": rule.clause, "requests": rule.requests.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "settings": rule.settings.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

/// Two texts from the first word in which they differ, not longer than a line each.
fn part(one: &str, other: &str) -> (String, String) {
    let same = one
        .split(' ')
        .zip(other.split(' '))
        .take_while(|(one, other)| one == other)
        .count();
    let rest = |text: &str| {
        let rest: Vec<&str> = text.split(' ').skip(same).collect();
        let rest = rest.join(" ");
        match rest.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &rest[..end]),
            None if rest.is_empty() => "(nothing more)".into(),
            None => rest,
        }
    };
    (rest(one), rest(other))
}

/// Characters of an answer that are shown.
const LONGEST: usize = 100;

/// Columns as wide as they must be, the last one as it is.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows.insert(0, head.iter().map(|&cell| cell.to_owned()).collect());
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect::<Vec<_>>();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}
