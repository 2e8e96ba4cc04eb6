//! The 206 items are accounted for, each with what proves it; and what the items say of groups and models holds.

use std::collections::BTreeSet;

use dmc::coverage::{Class, items};
use dmc::{Catalogue, DeviceProfile};
use domain::{CommunicationsProvider, DeviceKind};

fn workspace() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_item_is_accounted_for() {
    let catalogue = Catalogue::builtin().unwrap();
    let items = items();
    let ids: BTreeSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!((ids.len(), items.len()), (206, 206));
    let in_force: BTreeSet<&str> = catalogue
        .profiles()
        .flat_map(|profile| &profile.rules)
        .map(|rule| rule.id.as_str())
        .collect();
    for item in &items {
        assert!(item.says.len() > 10, "{} says nothing", item.id);
        for rule in &item.rules {
            assert!(
                in_force.contains(rule.as_str()),
                "{}: {rule} is in force nowhere",
                item.id
            );
        }
        match item.class {
            Class::Rule => assert!(!item.rules.is_empty() && item.proof.is_some(), "{}", item.id),
            Class::Constraint => assert!(item.proof.is_some(), "{}", item.id),
            Class::NotModelled | Class::NotSmets1 => {
                assert!(item.rules.is_empty() && item.proof.is_none(), "{}", item.id)
            }
        }
        if let Some((file, test)) = item.proof.as_deref().and_then(|proof| proof.split_once("::")) {
            let text = std::fs::read_to_string(workspace().join(file));
            let text = text.unwrap_or_else(|error| panic!("{}: {file}: {error}", item.id));
            assert!(
                text.contains(&format!("fn {test}(")),
                "{}: {file} has no test {test}",
                item.id
            );
        }
    }
    let not_modelled = items.iter().filter(|item| item.class == Class::NotModelled).count();
    assert!(not_modelled <= 10, "{not_modelled}");
}

#[test]
fn the_items_are_those_of_the_notes() {
    let notes = workspace().join("../shared/domain/devices.yaml");
    let Ok(text) = std::fs::read_to_string(&notes) else {
        eprintln!("skipped: {} is absent", notes.display());
        return;
    };
    let ids: BTreeSet<String> = items().into_iter().map(|item| item.id).collect();
    let noted = text.lines().filter_map(|line| line.strip_prefix("- id: "));
    let noted: Vec<&str> = noted.filter(|id| id.chars().any(|c| c.is_ascii_digit())).collect();
    assert_eq!(noted.len(), 158);
    for id in noted {
        assert!(ids.contains(id), "{id}");
    }
    assert!((1..=48).all(|n| ids.contains(&format!("MB-{n:02}"))));
}

#[test]
fn the_catalogue_keeps_to_the_facts() {
    let catalogue = Catalogue::builtin().unwrap();
    let of_group = |group: &str| -> Vec<&DeviceProfile> {
        let profiles = catalogue.profiles().map(AsRef::as_ref);
        profiles
            .filter(|profile: &&DeviceProfile| profile.group == group)
            .collect()
    };
    use CommunicationsProvider::{Telefonica, Vodafone};
    for (group, provider, smso, directed) in [
        ("IOC-ACLARA", Vodafone, "CGI IE", false),
        ("IOC-ELSTER", Vodafone, "CGI IE", false),
        ("IOC-ITRON", Vodafone, "CGI IE", false),
        ("MOC-ELSTER-MDS", Telefonica, "MDS", false),
        ("MOC-SECURE", Telefonica, "Secure", true),
        ("FOC-EDMI", Vodafone, "not known", true),
    ] {
        let profiles = of_group(group);
        assert!(!profiles.is_empty(), "{group}");
        for profile in &profiles {
            assert_eq!(
                (profile.provider, profile.directed),
                (provider, directed),
                "{}",
                profile.id
            );
            assert_eq!(profile.smso, smso, "{}", profile.id);
        }
        for kind in [
            DeviceKind::Chf,
            DeviceKind::Esme,
            DeviceKind::Gpf,
            DeviceKind::Gsme,
            DeviceKind::Ppmid,
            DeviceKind::Ihd,
        ] {
            assert!(
                profiles.iter().any(|profile| profile.kind == kind),
                "{group} has no {kind}"
            );
        }
    }
    let smsos: BTreeSet<&str> = of_group("FOC-LG").iter().map(|profile| profile.smso.as_str()).collect();
    assert_eq!(smsos, BTreeSet::from(["BG SMSO", "CGI IE", "DXC"]));
    assert!(of_group("FOC-LG").iter().all(|profile| profile.provider == Vodafone));

    for wrong in ["SGM14", "AS302P", "ES-10B", "ES-12B", "Libra", "MKII"] {
        let found = catalogue.profiles().find(|profile| profile.model.model.contains(wrong));
        assert!(found.is_none(), "{wrong} is not SMETS1");
    }
    let model = |id: &str| &catalogue.find(id).unwrap().model;
    assert_eq!(model("skyline510@pre-dcc").model, "Skyline-i 510");
    assert_eq!(
        (
            model("g4szv@BASE").manufacturer.as_str(),
            model("g4szv@BASE").model.as_str()
        ),
        ("Flonidan", "G4SZV MKI")
    );
    assert_eq!(model("bk-g4e@BASE").model, "BK-G4E");
    assert_eq!(model("itron-gsme@BASE").model, "RF1 sv ZB");
    assert_eq!(model("trilliant-bg@pre-dcc").manufacturer, "Trilliant");
    assert_eq!(catalogue.find("liberty100@pre-dcc").unwrap().native_firmware, "P4X2G04");
    assert_eq!(model("pipit500").firmware, "", "the model of a display has no firmware");
    // The same meter on two routes behaves the same: only what the route says differs.
    let (cgi, mds) = (
        catalogue.find("as300p@BASE").unwrap(),
        catalogue.find("as300p-mds@BASE").unwrap(),
    );
    assert_eq!((&cgi.meter, &cgi.face), (&mds.meter, &mds.face));
}

#[test]
fn the_whole_catalogue_has_every_kind_of_rule() {
    let catalogue = Catalogue::builtin().unwrap();
    let set: BTreeSet<&str> = catalogue
        .profiles()
        .flat_map(|profile| &profile.rules)
        .flat_map(|rule| &rule.settings)
        .map(|(key, _)| key.as_str())
        .collect();
    let groups: BTreeSet<dmc::Group> = dmc::settings()
        .filter(|setting| set.contains(setting.key))
        .map(|setting| setting.group)
        .collect();
    let missing: Vec<&dmc::Group> = dmc::Group::ALL.iter().filter(|group| !groups.contains(group)).collect();
    assert!(missing.is_empty(), "no built-in rule is of {missing:?}");
}
