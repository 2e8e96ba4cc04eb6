//! `s1lab duis plan` and `s1lab duis explain`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::dmc as catalogue;
use crate::args::{Global, ShelfArgs};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, request: &str, profile: Option<&str>, shelf: &ShelfArgs) -> Result<(), Failure> {
    // Folders have no "@" in their names, unless there is one that has.
    let is_name = |text: &Path| !text.exists() && text.to_string_lossy().contains('@');
    let (names, folders): (Vec<PathBuf>, Vec<PathBuf>) = shelf.folders.iter().cloned().partition(|text| is_name(text));
    let name = names.first().map(|name| name.to_string_lossy().into_owned());
    let profile = profile.map(str::to_owned).or(name).ok_or_else(|| {
        Failure::Input(anyhow::anyhow!(
            "say for which device: --profile as300p@BASE, or --dmc with a profile or a combination"
        ))
    })?;
    let profile = profile.as_str();
    let shelf = ShelfArgs {
        folders,
        min_confidence: shelf.min_confidence.clone(),
    };
    let catalogue = catalogue::load(global, &shelf)?;
    let path = Path::new(request);
    // A word, unless a file has its name.
    let octets = match request.parse() {
        Ok(srv) if !path.exists() => {
            let kind = catalogue.kind(profile, srv).map_err(Failure::input)?;
            let drafted = lab::drafting::of_service(&super::super::config(global)?, srv, kind);
            drafted.map_err(Failure::input)?.into_bytes()
        }
        _ => output::read(path)?,
    };
    catalogue::say(global, catalogue.plan(profile, &octets))
}

pub(crate) fn explain(global: &Global, word: &str) -> Result<(), Failure> {
    lab::explain::use_codes(&super::super::config(global)?).map_err(Failure::input)?;
    let found = lab::explain::explain(word);
    if found.is_empty() {
        return Err(Failure::Input(anyhow::anyhow!(
            "{word} is no response code, DCC alert code, class of failure, code of this lab or service request"
        )));
    }
    if global.json {
        let all = found.iter().map(|one| {
            let facts: BTreeMap<&str, &str> = one.facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
            json!({
                "what": one.what, "word": one.word, "text": one.text, "confidence": one.confidence.to_string(),
                "facts": facts,
            })
        });
        output::json(&all.collect());
        return Ok(());
    }
    for one in &found {
        output::line(format!("{} ({})", one.word, one.what));
        output::line(format!("  {} [{}]", one.text, one.confidence));
        for (name, value) in &one.facts {
            output::line(format!("  {name}: {value}"));
        }
    }
    Ok(())
}
