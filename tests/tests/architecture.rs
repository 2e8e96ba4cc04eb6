//! The import table of ARCHITECTURE.md is what cargo sees.

use std::collections::{BTreeMap, BTreeSet};

use s1lab_tests::workspace;

/// Reads the rows of the table under "## Import table": crate name and what it may import.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("read ARCHITECTURE.md");
    let section = text.split("## Import table").nth(1).expect("a section 'Import table'");
    let names = |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            assert_eq!(cells.len(), 4, "floor, crate, holds, may import: {line}");
            (names(cells[1]).pop_first().expect("a crate name"), names(cells[3]))
        })
        .collect()
}

#[test]
fn every_room_imports_only_what_its_row_allows() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let rooms: BTreeSet<String> = metadata
        .packages
        .iter()
        .filter(|package| package.manifest_path.as_str().contains("/crates/"))
        .map(|package| package.name.to_string())
        .collect();
    let table = documented();
    assert_eq!(
        table.keys().cloned().collect::<BTreeSet<_>>(),
        rooms,
        "rows of the table and folders under crates/"
    );
    for package in &metadata.packages {
        let Some(allowed) = table.get(package.name.as_str()) else {
            continue;
        };
        let imported: BTreeSet<String> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal)
            .map(|dependency| dependency.name.clone())
            .filter(|name| rooms.contains(name))
            .collect();
        let smuggled: Vec<_> = imported.difference(allowed).collect();
        assert!(
            smuggled.is_empty(),
            "{} imports {smuggled:?}, which its row does not allow",
            package.name
        );
    }
}

#[test]
fn pure_rooms_do_not_see_the_runtime() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    for package in &metadata.packages {
        if ["domain", "cosem", "duis", "meter", "dialects", "dmc", "steps"].contains(&package.name.as_str()) {
            for banned in ["tokio", "tracing", "axum", "rustls", "world"] {
                assert!(
                    !package
                        .dependencies
                        .iter()
                        .any(|d| d.name == banned && d.kind == cargo_metadata::DependencyKind::Normal),
                    "{} is a pure room and imports {banned}",
                    package.name
                );
            }
        }
    }
}
