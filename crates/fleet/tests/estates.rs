//! Estate files: what they expand to, and what is wrong with a wrong one.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use domain::{DeviceKind, Seed};
use fleet::{Estate, EstateError};

const HEAD: &str = "[estate]\nname = \"e\"\nsource = \"invented\"\n";

fn template(lines: &str) -> String {
    let base = "name = \"t\"\ncount = 2\nprovider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\n";
    format!("{HEAD}[[template]]\n{base}enrolled = true\n{lines}")
}

fn fault(text: &str) -> EstateError {
    Estate::from_toml("e.toml", text).unwrap_err()
}

#[test]
fn the_default_estate_has_what_the_pack_needs_and_only_profiles_that_exist() {
    let estate = Estate::builtin("sit").unwrap();
    let catalogue = dmc::Catalogue::builtin().unwrap();
    for device in estate.devices() {
        let profile = catalogue.profile(&device.profile);
        assert_eq!(
            profile.map(|profile| profile.kind),
            Some(device.kind),
            "{}",
            device.profile
        );
    }
    let has = |wanted: fn(&fleet::Template) -> bool| estate.templates().iter().any(|template| wanted(template));
    assert!(has(
        |t| t.dmc.gsme.is_some() && t.payment_mode == domain::operation::PaymentMode::Credit
    ));
    assert!(has(
        |t| t.dmc.gsme.is_some() && t.payment_mode == domain::operation::PaymentMode::Prepayment
    ));
    assert!(has(|t| t.dmc.gsme.is_none() && t.dmc.esme.firmware.starts_with("LAB-")));
    assert!(has(|t| !t.enrolled && t.head_end == "smso") && has(|t| t.enrolled && t.head_end == "s1sp"));
    assert_eq!(
        Estate::builtin("st").unwrap_err().hint.unwrap(),
        "there is exercise, sit"
    );
}

#[test]
fn identities_are_fake_unique_and_follow_from_the_file() {
    let estate = Estate::builtin("sit").unwrap().with_counts(1000);
    let mut euis = BTreeSet::new();
    let mut points = BTreeSet::new();
    for site in estate.sites() {
        points.insert(site.mpan().to_string());
        points.extend(site.mprn().map(|mprn| mprn.to_string()));
        for device in site.devices() {
            assert!(euis.insert(device.device), "{} twice", device.device);
            assert!(device.device.to_string().starts_with("02-1A-B0-"));
            assert_eq!(device.hub, site.hub());
        }
    }
    let gas = estate
        .templates()
        .iter()
        .filter(|template| template.dmc.gsme.is_some())
        .count();
    assert_eq!(points.len(), estate.len() + gas * 1000);
    assert!(points.iter().all(|point| point.starts_with('9')));
    let first = Estate::builtin("sit").unwrap().sites().next().unwrap();
    assert_eq!(first.mpan().to_string(), "9901000000008");
    assert_eq!(first.mprn().unwrap().to_string(), "9010000000");
    let shown: Vec<_> = first
        .devices()
        .iter()
        .map(|d| format!("{} {} {:?}", d.kind, d.device, d.mpxn))
        .collect();
    assert_eq!(shown[0], "CHF 02-1A-B0-01-01-00-00-01 None");
    assert_eq!(shown[3], "GSME 02-1A-B0-04-01-00-00-01 Some(Mprn(9010000000))");
}

#[test]
fn one_more_template_changes_no_seed() {
    let one = Estate::from_toml("e", &template("")).unwrap();
    let two = Estate::from_toml(
        "e",
        &format!(
            "{}\n[[template]]\n{}",
            template(""),
            "name = \"u\"\ncount = 1\nprovider = \"telefonica\"\nchf = \"a@B\"\nesme = \"c@D\"\nenrolled = false\n"
        ),
    )
    .unwrap();
    let seeds = |estate: &Estate| {
        estate
            .sites()
            .take(2)
            .map(|site| site.seed(&Seed::root(1)))
            .collect::<Vec<_>>()
    };
    assert_eq!(seeds(&one), seeds(&two));
    assert_ne!(seeds(&one)[0], seeds(&one)[1]);
    assert_eq!(one.sites().next().unwrap().device(DeviceKind::Gsme), None);
}

#[test]
fn a_wrong_file_says_where_and_what_was_meant() {
    let check = |text: &str, expected: &str| {
        let error = fault(text).to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(
        &template("second_elment = true\n"),
        "e.toml:11: unknown field `second_elment`",
    );
    assert_eq!(
        fault(&template("second_elment = true\n")).hint.unwrap(),
        "did you mean `second_element`?"
    );
    check(
        &template("gpf = \"am110r-gpf@BASE\"\n"),
        "e.toml:5: a gas proxy (gpf) and a gas meter (gsme) come together",
    );
    check(&template("head_end = \"\"\n"), "e.toml:11: head_end is empty");
    check(
        &template("").replace("count = 2", "count = 0"),
        "e.toml:6: count is 0, expected 1 to 1000000",
    );
    check(
        &template("").replace("as300p@BASE", "as300p"),
        "e.toml:9: expected a device profile such as",
    );
    check(
        &template("").replace("vodafone", "vodaphone"),
        "e.toml:7: expected one of telefonica, vodafone, found",
    );
    check(
        &template("payment_mode = \"prepay\"\n"),
        "e.toml:11: unknown variant `prepay`",
    );
    assert_eq!(
        fault(&template("payment_mode = \"prepay\"\n")).hint.unwrap(),
        "did you mean `prepayment`?"
    );
    check(
        &template("").replace("source = \"invented\"\n", ""),
        "e.toml:1: missing field `source`",
    );
    check(&template("[[template]"), "e.toml:11:");
    let twice = template("").replacen(HEAD, "", 1);
    check(
        &format!("{}{twice}", template("")),
        "e.toml:12: template \"t\" stands here twice",
    );
    let many = (0..100)
        .map(|n| {
            template("")
                .replacen(HEAD, "", 1)
                .replace("\"t\"", &format!("\"t{n}\""))
        })
        .collect::<String>();
    check(&format!("{HEAD}{many}"), "e.toml:0: 100 templates, at most 99");
}
