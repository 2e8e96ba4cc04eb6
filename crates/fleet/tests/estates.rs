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
    let has = |wanted: fn(&fleet::Site) -> bool| estate.sites().any(|site| wanted(&site));
    assert!(has(
        |s| s.dmc().gsme.is_some() && s.payment_mode() == domain::operation::PaymentMode::Credit
    ));
    assert!(has(
        |s| s.dmc().gsme.is_some() && s.payment_mode() == domain::operation::PaymentMode::Prepayment
    ));
    assert!(has(
        |s| s.dmc().gsme.is_none() && s.dmc().esme.firmware.starts_with("LAB-")
    ));
    assert!(has(|s| !s.enrolled() && s.head_end() == "smso") && has(|s| s.enrolled() && s.head_end() == "s1sp"));
    assert_eq!(
        Estate::builtin("st").unwrap_err().hint.unwrap(),
        "there is catalogue, exercise, sit, slice"
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
        .filter(|template| template.combinations()[0].dmc.gsme.is_some())
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
        "e.toml:11: unknown payment_mode \"prepay\", expected one of credit, prepayment",
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

const DUAL: &str = "vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE/-/-";
const SINGLE: &str = "vodafone/am110r@BASE/as300p@LAB-E001/-/-/-/-";

fn street(devices: &str, lines: &str) -> String {
    format!("{HEAD}[[template]]\nname = \"street\"\ncount = 2000\nenrolled = false\n{devices}{lines}")
}

/// Reads as a lab does, with one file `dpl.csv` beside the estate.
fn read(text: &str, dpl: &str, directed: &[String]) -> Result<Estate, EstateError> {
    let catalogue = dmc::Catalogue::builtin().unwrap();
    let open = |name: &str| match name {
        "dpl.csv" => Ok(dpl.to_owned()),
        _ => Err(format!("open {name}: no such file")),
    };
    let surroundings = fleet::Surroundings {
        catalogue: &catalogue,
        directed,
        open: &open,
    };
    Estate::read("e.toml", text, &surroundings)
}

#[test]
fn shares_of_a_template_come_out_exactly_and_from_the_seed() {
    let devices = format!(
        "combinations = [\n  {{ dmc = \"{DUAL}\", weight = 9 }},\n  {{ dmc = \"{SINGLE}\", weight = 1 }},\n]\n"
    );
    let shares = "installation = { active = 70, dormant = 20, mixed = 10 }\n\
         payment_mode = { credit = 85, prepayment = 15 }\nsuppliers = { one = 60, two = 40 }\n\
         faults = { no-coverage = 2, mains-off = 1 }\n";
    let text = street(&devices, shares);
    let estate = read(&text, "", &[]).unwrap();
    let count = |wanted: &dyn Fn(&fleet::Site) -> bool| estate.sites().filter(|site| wanted(site)).count();
    use domain::InstallationType as Type;
    assert_eq!(estate.len(), 2000);
    assert_eq!(count(&|site| site.dmc().to_string() == DUAL), 1800);
    assert_eq!(
        count(&|site| site.payment_mode() == domain::operation::PaymentMode::Prepayment),
        300
    );
    // 200 are mixed before it is known which of them have one fuel only: those are active or dormant.
    let mixed = count(&|site| site.installation_type() == Type::Mixed);
    assert!((160..=195).contains(&mixed), "{mixed}");
    let electricity = count(&|site| site.active(DeviceKind::Esme));
    assert_eq!(electricity, 1500, "70 % and half of 10 %");
    assert!(estate.sites().all(|site| {
        let (electric, gas) = (site.active(DeviceKind::Esme), site.active(DeviceKind::Gsme));
        let agrees = match site.installation_type() {
            Type::Active => electric && (gas || site.mprn().is_none()),
            Type::Dormant => !electric && (!gas || site.mprn().is_none()),
            Type::Mixed => electric != gas && site.two_suppliers(),
        };
        agrees && site.active(DeviceKind::Chf) == (site.installation_type() != Type::Dormant)
    }));
    assert_eq!(count(&|site| site.has_fault(fleet::SiteFault::NoCoverage)), 40);
    assert_eq!(count(&|site| site.has_fault(fleet::SiteFault::MainsOff)), 20);
    assert!(estate.sites().all(|site| {
        let combination = site.combination();
        (combination.cohort.as_str(), combination.smso.as_str()) == ("ioc", "CGI")
    }));
    assert_eq!(read(&text, "", &[]).unwrap(), estate);
    let other = read(&text.replace("[estate]", "[estate]\nseed = 2"), "", &[]).unwrap();
    let identities = |estate: &Estate| estate.sites().map(|site| site.hub()).collect::<Vec<_>>();
    assert_eq!(identities(&estate), identities(&other));
    assert_ne!(estate, other);
}

#[test]
fn a_dpl_gives_combinations_in_the_proportion_they_are_deployed() {
    let dpl = format!("dmc,count\n{DUAL},1500000\n{SINGLE},500000\n");
    let estate = read(&street("dpl = \"dpl.csv\"\n", ""), &dpl, &[]).unwrap();
    let dual = estate.sites().filter(|site| site.mprn().is_some()).count();
    assert_eq!((estate.len(), dual), (2000, 1500));
    let error = read(&street("dpl = \"dpl.csv\"\n", ""), &dpl.replace("E001", "E009"), &[]).unwrap_err();
    assert_eq!(
        error.to_string().lines().next().unwrap(),
        "dpl.csv:3: there is no device profile as300p@LAB-E009"
    );
    let wrong = dpl.replace("count", "number");
    let error = read(&street("dpl = \"dpl.csv\"\n", ""), &wrong, &[]).unwrap_err();
    assert_eq!((error.file.as_str(), error.line), ("dpl.csv", 1));
    let error = read(&street("dpl = \"other.csv\"\n", ""), &dpl, &[]).unwrap_err();
    assert_eq!(error.to_string(), "e.toml:8: open other.csv: no such file");
    let error = fault(&street("dpl = \"dpl.csv\"\n", ""));
    assert!(error.problem.contains("beside a catalogue"), "{error}");
}

#[test]
fn groups_that_need_a_direction_are_refused_without_one() {
    let secure = "provider = \"telefonica\"\nchf = \"skyline510@pre-dcc\"\nesme = \"liberty100@pre-dcc\"\n";
    let text = street(secure, "");
    let error = read(&text, "", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "e.toml:5: skyline510@pre-dcc is of MOC-SECURE, a group that is in scope only if the government directs so\n  \
         hint: directed = [\"MOC-SECURE\"] under [estate], here or in the lab's configuration, says that it is"
    );
    let said = text.replace("[estate]", "[estate]\ndirected = [\"MOC-SECURE\"]");
    assert!(read(&said, "", &[]).is_ok());
    assert!(read(&text, "", &["MOC-SECURE".to_owned()]).is_ok());
    let wrong = text.replace("[estate]", "[estate]\ndirected = [\"MOC-SECUR\"]");
    let error = read(&wrong, "", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "e.toml:2: no group \"MOC-SECUR\" is in scope only if directed\n  hint: there is FOC-EDMI, MOC-SECURE"
    );
    let error = read(&text, "", &["IOC-ELSTER".to_owned()]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("configuration:0: no group \"IOC-ELSTER\"")
    );
}

#[test]
fn shares_that_make_no_sense_are_refused_with_their_line() {
    let dual = "provider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\n\
                gpf = \"am110r-gpf@BASE\"\ngsme = \"bk-g4e@BASE\"\n";
    let single = "provider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\n";
    let check = |devices: &str, lines: &str, expected: &str| {
        let error = read(&street(devices, lines), "", &[]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(
        dual,
        "installation = \"dormnt\"\n",
        "e.toml:13: unknown installation \"dormnt\", expected one of active, dormant, mixed\n  hint: did you mean `dormant`?",
    );
    check(
        dual,
        "installation = { active = 0 }\n",
        "e.toml:13: every weight of installation is 0",
    );
    check(
        dual,
        "suppliers = 2\n",
        "e.toml:13: suppliers takes a word or weights by word, found integer",
    );
    check(
        dual,
        "faults = { no-coverage = 101 }\n",
        "e.toml:13: faults: 101 is not a whole number from 0 to 100",
    );
    check(
        dual,
        "faults = \"no-coverage\"\n",
        "e.toml:13: faults takes per cent by fault",
    );
    check(
        dual,
        "faults = { no-cover = 1 }\n",
        "e.toml:13: unknown faults \"no-cover\"",
    );
    check(dual, "cohort = \"\"\n", "e.toml:13: cohort is empty");
    check(
        single,
        "installation = \"mixed\"\n",
        "e.toml:11: an installation is mixed when one of two fuels is active: here none has gas",
    );
    check(
        "",
        &format!("chf = \"am110r@BASE\"\ncombinations = [{{ dmc = \"{DUAL}\", weight = 1 }}]\n"),
        "e.toml:5: devices are given by profiles",
    );
    check("", "combinations = []\n", "e.toml:8: combinations is empty");
    check(
        "",
        &format!("combinations = [\n{{ dmc = \"{DUAL}\", weight = 1 }},\n{{ dmc = \"{DUAL}\", weight = 1 }}]\n"),
        "e.toml:10: vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE/-/- stands here twice",
    );
    check("provider = \"vodafone\"\n", "", "e.toml:5: missing field `chf`");
    check(
        &dual.replace("bk-g4e@BASE", "bk-g4@BASE"),
        "",
        "e.toml:12: there is no device profile bk-g4@BASE\n  hint: did you mean `bk-g4e@BASE`?",
    );
    check(
        &dual.replace("\"bk-g4e@BASE", "\"as300p@BASE"),
        "",
        "e.toml:5: as300p@BASE is of kind ESME, expected GSME",
    );
}

#[test]
fn the_estate_of_a_catalogue_has_every_profile_in_every_type() {
    let catalogue = dmc::Catalogue::builtin().unwrap();
    let estate = Estate::of_catalogue(&catalogue).unwrap();
    use domain::InstallationType as Type;
    for kind in Type::ALL {
        let there: BTreeSet<_> = estate
            .sites()
            .filter(|site| site.enrolled() && (site.installation_type() == kind))
            .flat_map(|site| site.dmc().profiles().map(|(_, id)| id.clone()).collect::<Vec<_>>())
            .collect();
        let missing: Vec<_> = catalogue
            .profiles()
            .filter(|profile| !there.contains(&profile.id))
            .collect();
        assert!(missing.is_empty(), "{kind}: {missing:?}");
    }
    let count = |wanted: &dyn Fn(&fleet::Site) -> bool| estate.sites().filter(|site| wanted(site)).count();
    assert_eq!(count(&|site| !site.enrolled()), 3);
    assert!(count(&|site| site.payment_mode() == domain::operation::PaymentMode::Prepayment) >= 9);
    let euis: BTreeSet<_> = estate.devices().map(|device| device.device).collect();
    assert_eq!(euis.len(), estate.devices().count());
    assert_eq!(Estate::builtin_with("catalogue", &catalogue, &[]).unwrap(), estate);
}
