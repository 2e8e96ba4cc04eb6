//! Registration data of an estate as CSV.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use dmc::Catalogue;
use fleet::{Csv, Estate};

#[test]
fn registration_data_carries_smso_version_and_type() {
    let estate = Estate::builtin("sit").unwrap();
    let catalogue = Catalogue::builtin().unwrap();
    let csv = fleet::registration_csv(&estate, &catalogue);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "mpxn,fuel,smso,smets_version,meter_type,uprn,post_code,address"
    );
    assert_eq!(
        lines.next().unwrap(),
        "9901000000008,electricity,CGI IE,S1,S1,990100000000,ZZ1 0ZZ,1 Lab Street"
    );
    let gas: Vec<&str> = csv.lines().filter(|line| line.contains(",gas,")).collect();
    assert!(!gas.is_empty() && gas.iter().all(|line| line.contains(",S1,S1,")));
    let points = csv.lines().count() - 1;
    assert_eq!(
        points,
        estate
            .devices()
            .filter(|device| matches!(device.kind, domain::DeviceKind::Esme | domain::DeviceKind::Gsme))
            .count()
    );
}

/// The tables of an estate with everything in it, and what they are read beside.
fn tables() -> (Estate, Catalogue, String, String) {
    let catalogue = Catalogue::builtin().unwrap();
    let text = "[estate]\nname = \"all\"\nsource = \"ours\"\n\n[[template]]\nname = \"street, west\"\ncount = 40\nenrolled = false\n\
                combinations = [\n\
                { dmc = \"vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE/elster-ppmid@BASE/elster-ihd\", weight = 3 },\n\
                { dmc = \"vodafone/trilliant-bg@dcc-eligible/e470-bg@dcc-eligible\", weight = 1 },\n]\n\
                installation = { active = 5, dormant = 3, mixed = 2 }\npayment_mode = { credit = 3, prepayment = 1 }\n\
                suppliers = { one = 1, two = 1 }\nfaults = { no-coverage = 10, no-master-keys = 10 }\nsecond_element = true\n\n\
                [[template]]\nname = \"enrolled\"\ncount = 2\nprovider = \"vodafone\"\nchf = \"am110r@BASE\"\n\
                esme = \"as300p@BASE\"\nenrolled = true\n";
    let open = |_: &str| Err(String::new());
    let surroundings = fleet::Surroundings {
        catalogue: &catalogue,
        directed: &[],
        open: &open,
    };
    let estate = Estate::read("all.toml", text, &surroundings).unwrap();
    let devices = fleet::devices_csv(&estate, &catalogue);
    let registration = fleet::registration_csv(&estate, &catalogue);
    (estate, catalogue, devices, registration)
}

fn import(devices: &str, registration: &str, catalogue: &Catalogue) -> Result<Estate, fleet::EstateError> {
    let open = |_: &str| Err(String::new());
    let surroundings = fleet::Surroundings {
        catalogue,
        directed: &[],
        open: &open,
    };
    let devices = Csv {
        file: "d.csv",
        text: devices,
    };
    let registration = Csv {
        file: "r.csv",
        text: registration,
    };
    Estate::from_tables("imported", devices, registration, &surroundings)
}

#[test]
fn what_was_exported_is_imported_as_it_was() {
    let (estate, catalogue, devices, registration) = tables();
    let imported = import(&devices, &registration, &catalogue).unwrap();
    assert_eq!(imported.len(), estate.len());
    assert_eq!(fleet::devices_csv(&imported, &catalogue), devices);
    assert_eq!(fleet::registration_csv(&imported, &catalogue), registration);
    let same = |a: &fleet::Site, b: &fleet::Site| {
        (
            a.devices(),
            a.mpan(),
            a.mprn(),
            a.dmc(),
            a.installation_type(),
            a.head_end(),
        ) == (
            b.devices(),
            b.mpan(),
            b.mprn(),
            b.dmc(),
            b.installation_type(),
            b.head_end(),
        ) && a.seed(&domain::Seed::root(1)) == b.seed(&domain::Seed::root(1))
    };
    assert!(estate.sites().zip(imported.sites()).all(|(a, b)| same(&a, &b)));
}

#[test]
fn a_table_with_a_fault_is_refused_with_file_line_and_suggestion() {
    let (_, catalogue, devices, registration) = tables();
    let check = |devices: &str, registration: &str, expected: &str| {
        let error = import(devices, registration, &catalogue).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let first = |from: &str, to: &str| devices.replacen(from, to, 1);
    check(
        &first("payment_mode", "payment_mod"),
        &registration,
        "d.csv:1: unknown column \"payment_mod\"",
    );
    check(
        &first(",kind,", ",knd,"),
        &registration,
        "d.csv:1: unknown column \"knd\"",
    );
    let error = import(&first(",kind,", ",knd,"), &registration, &catalogue).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `kind`?"));
    check(
        &devices,
        &registration.replacen("fuel", "gas", 1),
        "r.csv:1: unknown column \"gas\"",
    );
    check(
        &first("am110r@BASE", "am110@BASE"),
        &registration,
        "d.csv:2: there is no device profile am110@BASE\n  hint: did you mean `am110r@BASE`?",
    );
    check(
        &first("am110r@BASE", "liberty100@pre-dcc"),
        &registration,
        "d.csv:2: liberty100@pre-dcc is of kind ESME, expected CHF",
    );
    // The second row of the first installation says something else than its hub.
    let mut lines: Vec<String> = devices.lines().map(str::to_owned).collect();
    lines[2] = lines[2].replace(",CGI,", ",MDS,");
    check(
        &lines.join("\n"),
        &registration,
        "d.csv:3: smso is \"MDS\", but \"CGI\" in line 2",
    );
    let mut lines: Vec<String> = devices.lines().map(str::to_owned).collect();
    let again = lines[2].clone();
    lines.push(again.clone());
    check(
        &lines.join("\n"),
        &registration,
        &format!(
            "d.csv:{}: device 02-1A-B0-02-01-00-00-01 stands already in line 3",
            lines.len()
        ),
    );
    lines.pop();
    lines.push(again.replace("02-1A-B0-02-01-00-00-01", "02-1A-B0-02-77-00-00-01"));
    check(
        &lines.join("\n"),
        &registration,
        &format!(
            "d.csv:{}: installation 02-1A-B0-01-01-00-00-01 has a second ESME",
            lines.len()
        ),
    );
    lines.pop();
    lines.remove(1);
    check(
        &lines.join("\n"),
        &registration,
        "d.csv:2: installation 02-1A-B0-01-01-00-00-01 has no CHF",
    );
    // Registration data and devices fit each other.
    let without = registration.lines().take(1).chain(registration.lines().skip(2));
    let without: String = without.map(|line| format!("{line}\n")).collect();
    check(&devices, &without, "d.csv:3: 9901000000008 has no registration data");
    let more = format!("{registration}9999999999999,electricity,CGI IE,S1,S1,,,\n");
    check(
        &devices,
        &more,
        &format!("r.csv:{}: no device of the other table", more.lines().count()),
    );
    check(
        &devices,
        &registration.replacen("electricity", "gas", 1),
        "r.csv:2: fuel is \"gas\", but 9901000000008 is a point of electricity",
    );
    check(
        &devices,
        &registration.replacen(",S1,S1,", ",S2,S2,", 1),
        "r.csv:2: unknown smets_version \"S2\"",
    );
}

#[test]
fn an_estate_file_may_list_installations_beside_its_templates() {
    let (_, catalogue, devices, registration) = tables();
    let open = |name: &str| match name {
        "d.csv" => Ok(devices.clone()),
        "r.csv" => Ok(registration.clone()),
        _ => Err(format!("open {name}: no such file")),
    };
    let surroundings = fleet::Surroundings {
        catalogue: &catalogue,
        directed: &[],
        open: &open,
    };
    let head = "[estate]\nname = \"e\"\nsource = \"ours\"\n[[list]]\ndevices = \"d.csv\"\nregistration = \"r.csv\"\n";
    let estate = Estate::read("e.toml", head, &surroundings).unwrap();
    assert_eq!(estate.len(), 42);
    // A template's identities are those that were exported from one of the same number.
    let both = format!(
        "{head}[[template]]\nname = \"t\"\ncount = 1\nprovider = \"vodafone\"\nchf = \"am110r@BASE\"\n\
         esme = \"as300p@BASE\"\nenrolled = true\n"
    );
    let error = Estate::read("e.toml", &both, &surroundings).unwrap_err();
    assert!(error.to_string().ends_with("is in the estate twice"), "{error}");
    let error = Estate::read("e.toml", &head.replace("r.csv", "x.csv"), &surroundings).unwrap_err();
    assert_eq!(error.to_string(), "e.toml:6: open x.csv: no such file");
}
