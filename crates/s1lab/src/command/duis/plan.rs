//! `s1lab duis plan` and `s1lab duis explain`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::super::dmc as catalogue;
use crate::args::{Global, ShelfArgs};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, request: &str, profile: &str, shelf: &ShelfArgs) -> Result<(), Failure> {
    let catalogue = catalogue::load(global, shelf)?;
    let path = Path::new(request);
    // A word, unless a file has its name.
    let octets = match request.parse() {
        Ok(srv) if !path.exists() => {
            let kind = catalogue.kind(profile).map_err(Failure::input)?;
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
