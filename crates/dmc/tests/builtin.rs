//! The built-in catalogue: it loads, says where everything comes from, and invents only under `LAB-`.

use dmc::{Catalogue, Side, WanMode};
use domain::{Confidence, DeviceKind, SimDuration};

fn catalogue() -> Catalogue {
    Catalogue::builtin().expect("the built-in profiles load")
}

#[test]
fn every_model_has_a_base_and_a_lab_firmware_with_rules_on_both_sides() {
    let catalogue = catalogue();
    for (model, kind, lab) in [
        ("as300p", DeviceKind::Esme, "LAB-E001"),
        ("bk-g4e", DeviceKind::Gsme, "LAB-G001"),
        ("am110r", DeviceKind::Chf, "LAB-C001"),
        ("am110r-gpf", DeviceKind::Gpf, "LAB-P001"),
    ] {
        let base = catalogue.find(&format!("{model}@BASE")).unwrap();
        assert_eq!((base.kind, base.group.as_str()), (kind, "IOC-ELSTER"));
        assert!(base.s1sp.is_empty(), "{model}");
        let lab = catalogue.find(&format!("{model}@{lab}")).unwrap();
        for side in [Side::Device, Side::S1sp] {
            let invented = lab.rules.iter().filter(|rule| {
                rule.side == side && rule.provenance.confidence == Confidence::Invented && rule.id.starts_with("LAB-")
            });
            assert!(invented.count() > 0, "{model} {side:?}");
        }
        assert_eq!(lab.confidence(), Confidence::Invented);
    }
}

#[test]
fn a_base_is_recalled_at_best_and_only_its_identifier_is_made_up() {
    let catalogue = catalogue();
    for profile in catalogue.profiles().filter(|profile| profile.id.firmware == "BASE") {
        assert_eq!(
            profile.confidence_for("7.4".parse().unwrap()),
            Confidence::Recalled,
            "{}",
            profile.id
        );
        assert_eq!(
            profile.confidence_for("11.2".parse().unwrap()),
            Confidence::Invented,
            "{}",
            profile.id
        );
        for rule in &profile.rules {
            let identifier = rule.id == "BASE.identifier";
            assert_eq!(
                rule.provenance.confidence == Confidence::Invented,
                identifier,
                "{} {}",
                profile.id,
                rule.id
            );
        }
    }
}

#[test]
fn settings_arrive_in_meter_face_and_wan() {
    let catalogue = catalogue();
    let esme = catalogue.find("as300p@LAB-E001").unwrap();
    assert_eq!(
        (esme.meter.daily_log_entries, esme.meter.import_profile_days),
        (10, 396)
    );
    assert_eq!(esme.face.pdu_max, 256);
    assert!(esme.meter.enable_means_arm);
    assert_eq!(esme.meter.firmware, "LAB 01.02.03.0004");
    assert_eq!(esme.model.firmware, "LAB-E001");
    assert_eq!(
        esme.rule_of_setting("meter.daily_log_entries")
            .map(|rule| rule.id.as_str()),
        Some("LAB-E001-SHORT-DAILY-LOG")
    );
    assert!(esme.rule("S1-DAILY-LOG-14").is_none(), "overridden, so not in force");
    assert!(catalogue.find("as300p@LAB-E002").unwrap().second_element);

    let hub = catalogue.find("am110r@BASE").unwrap();
    assert_eq!(
        (hub.wan.mode, hub.wan.attach_delay),
        (WanMode::WakeBySms, SimDuration::from_secs(6))
    );
    assert!(hub.rule("S1-DAILY-LOG-14").is_none(), "for meters only");
    assert_eq!(
        catalogue.find("bk-g4e@LAB-G001").unwrap().meter.wake_period,
        SimDuration::from_mins(15)
    );
    assert_eq!(
        catalogue.find("as300p@BSE").unwrap_err().as_deref(),
        Some("as300p@BASE")
    );
}

#[test]
fn the_example_of_the_documentation_loads() {
    let source = include_str!("../src/lib.rs");
    let example: String = source
        .lines()
        .skip_while(|line| !line.contains("```toml"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("example.toml"), example).unwrap();
    let catalogue = Catalogue::load(&[folder.path().to_owned()]).unwrap();
    let mine = catalogue.find("as300p@LAB-MINE").unwrap();
    assert_eq!((mine.meter.daily_log_entries, mine.s1sp.len()), (7, 1));
}
