//! The pages under docs/devices that are made from the catalogue are those the catalogue makes now. Run with
//! `UPDATE_DOCS=1` to write them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use dmc::{Catalogue, Group, STEP_KINDS, Side};
use domain::Confidence;

/// Compares, or writes where the environment says so.
fn page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/devices")
        .join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == text,
        "{name} is out of step: UPDATE_DOCS=1 cargo test -p dmc --test docs"
    );
}

#[test]
fn the_reference_of_rule_kinds_is_in_step() {
    let mut text = "# Rule kinds\n\nMade from the catalogue's own tables (`UPDATE_DOCS=1 cargo test -p dmc --test docs`); do \
                    not edit.\n\nA rule of a profile either sets what the device does (`set.…`) or says what the S1SP does for \
                    it (`step = {…}`). How to\nwrite one: [writing-a-profile.md](writing-a-profile.md).\n\n## The device's \
                    side\n"
        .to_owned();
    for group in Group::ALL {
        let mut settings: Vec<_> = dmc::settings().filter(|setting| setting.group == group).collect();
        settings.sort_by_key(|setting| setting.key);
        writeln!(text, "\n### {}\n", group.title()).unwrap();
        for setting in settings {
            let kinds: Vec<String> = setting.kinds.iter().map(ToString::to_string).collect();
            let mut notes = Vec::new();
            notes.extend((!kinds.is_empty()).then(|| format!("only {}", kinds.join(", "))));
            notes.extend(setting.lab_only.then(|| "only under `LAB-` firmware".to_owned()));
            let notes = if notes.is_empty() {
                String::new()
            } else {
                format!(" ({})", notes.join("; "))
            };
            writeln!(
                text,
                "- `set.{} = {}`: {}. Takes {}{notes}.",
                setting.key,
                setting.example,
                setting.about.trim_end_matches('.'),
                setting.expects
            )
            .unwrap();
        }
    }
    text.push_str("\n## The S1SP's side\n\n");
    for kind in STEP_KINDS {
        writeln!(
            text,
            "- `{}`: {}. For example `{}`.",
            kind.word,
            kind.about.trim_end_matches('.'),
            kind.example
        )
        .unwrap();
    }
    page("rule-kinds.md", &text);
}

#[test]
fn the_page_of_each_group_is_in_step() {
    let catalogue = Catalogue::builtin().unwrap();
    let groups: BTreeSet<&str> = catalogue.profiles().map(|profile| profile.group.as_str()).collect();
    let mut index =
        "# Device groups\n\nMade from the catalogue (`UPDATE_DOCS=1 cargo test -p dmc --test docs`); do not \
                     edit.\n\n"
            .to_owned();
    for group in groups {
        let profiles: Vec<_> = catalogue.profiles().filter(|profile| profile.group == group).collect();
        let name = format!("{}.md", group.to_lowercase());
        let rules: BTreeSet<&str> = profiles
            .iter()
            .flat_map(|profile| profile.rules.iter().map(|rule| rule.id.as_str()))
            .collect();
        writeln!(
            index,
            "- [{group}]({name}): {} profiles, {} rules",
            profiles.len(),
            rules.len()
        )
        .unwrap();
        page(&name, &group_page(group, &profiles));
    }
    page("groups.md", &index);
}

fn group_page(group: &str, profiles: &[&std::sync::Arc<dmc::DeviceProfile>]) -> String {
    let mut text = format!(
        "# {group}\n\nMade from the catalogue (`UPDATE_DOCS=1 cargo test -p dmc --test docs`); do not edit. What none of \
         this can tell:\n[what-this-lab-cannot-tell-you.md](../what-this-lab-cannot-tell-you.md).\n\n## Profiles\n\n\
         | Profile | Kind | Route | Operated by | Carried by | Weakest rule |\n|---|---|---|---|---|---|\n"
    );
    for profile in profiles {
        writeln!(
            text,
            "| `{}` | {} | {}{} | {} | {} | {} |",
            profile.id,
            profile.kind,
            profile.route,
            if profile.directed { ", only if directed" } else { "" },
            profile.smso,
            profile.provider.as_str(),
            profile.confidence()
        )
        .unwrap();
    }
    for (title, levels) in [
        (
            "Known, and from where",
            &[Confidence::Specified, Confidence::Observed, Confidence::Sourced][..],
        ),
        ("Inferred", &[Confidence::Inferred]),
        ("Recalled, no source at hand", &[Confidence::Recalled]),
        ("Invented for the lab", &[Confidence::Invented]),
    ] {
        let mut rules: BTreeMap<&str, (&dmc::Rule, usize)> = BTreeMap::new();
        for rule in profiles.iter().flat_map(|profile| &profile.rules) {
            if levels.contains(&rule.provenance.confidence) {
                rules.entry(&rule.id).or_insert((rule, 0)).1 += 1;
            }
        }
        writeln!(text, "\n## {title}\n").unwrap();
        if rules.is_empty() {
            text.push_str("Nothing.\n");
        }
        for (id, (rule, count)) in rules {
            let side = match rule.side {
                Side::Device => "device",
                _ => "S1SP",
            };
            writeln!(
                text,
                "- `{id}` ({side}, {count} profiles): {}. Source: {}.",
                rule.text.trim_end_matches('.'),
                rule.provenance.source.trim_end_matches('.')
            )
            .unwrap();
        }
    }
    text
}
