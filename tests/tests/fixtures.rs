//! Nothing lies under `fixtures/` that no crate embeds and no test reads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use s1lab_tests::workspace;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Whether a source reads the whole folder that a file stands in or below: it is then named with a slash at its end.
fn whole_folder(source: &str, name: &str) -> bool {
    let folders = name.match_indices('/').skip(1).map(|(at, _)| &name[..=at]);
    folders
        .into_iter()
        .any(|folder| source.contains(&format!("\"{folder}\"")))
}

#[test]
fn every_fixture_is_read() {
    let workspace = workspace();
    let (mut fixtures, mut sources) = (Vec::new(), Vec::new());
    files(&workspace.join("fixtures"), &mut fixtures);
    for folder in ["crates", "tests", "xtask"] {
        files(&workspace.join(folder), &mut sources);
    }
    let sources: Vec<String> = sources
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(!fixtures.is_empty() && !sources.is_empty());
    for fixture in fixtures {
        let name = fixture.strip_prefix(&workspace).unwrap().to_str().unwrap();
        // Named with its path from the workspace, or from the fixtures' folder.
        let inner = name.strip_prefix("fixtures/").unwrap();
        assert!(
            sources
                .iter()
                .any(|text| text.contains(name) || text.contains(&format!("\"{inner}\"")) || whole_folder(text, name)),
            "{name} is read by nothing: embed it, test it or remove it"
        );
    }
}
