//! What is wrong with a profile file is said with file, line, what was expected and a suggestion; nothing is then loaded.

use dmc::Catalogue;

/// A catalogue of one model with one base firmware; `rules` is appended under the firmware, `more` at the end.
fn file(rules: &str, more: &str) -> String {
    format!(
        r#"[[family]]
id = "f"
manufacturer = "Example Meters"
text = "t"
source = "s"
confidence = "sourced"

[[route]]
id = "r"
family = "f"
group = "IOC-EXAMPLE"
cohort = "IOC"
provider = "vodafone"
smso = "Example Operator"
text = "t"
source = "s"
confidence = "sourced"

[[model]]
id = "m"
route = "r"
kind = "ESME"
model = "M1"
text = "t"
source = "s"
confidence = "recalled"

[[firmware]]
id = "LAB-1"
model = "m"
duis = "LAB-1"
identifier = {{ source = "s", confidence = "invented" }}
text = "t"
source = "s"
confidence = "invented"

{rules}

{more}
"#
    )
}

fn rule(lines: &str) -> String {
    format!(
        "[[firmware.rule]]\nid = \"R1\"\nside = \"device\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"invented\"\n{lines}\n"
    )
}

fn step(lines: &str) -> String {
    rule(lines).replace("\"device\"", "\"s1sp\"")
}

/// Another model, with these lines.
fn model(lines: &str) -> String {
    format!("[[model]]\nid = \"m2\"\nroute = \"r\"\n{lines}\ntext = \"t\"\nsource = \"s\"\nconfidence = \"recalled\"\n")
}

fn fault(text: &str) -> String {
    match Catalogue::from_files([("my.toml", text)]) {
        Ok(_) => "loaded".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_plain_file_loads() {
    assert_eq!(fault(&file("", "")), "loaded");
    assert_eq!(fault(&file(&rule("set.meter.daily_log_entries = 3"), "")), "loaded");
}

#[test]
fn faults_name_their_place_and_what_was_expected() {
    let two = |a: &str, b: &str| format!("{}\n{}", rule(a), rule(b).replace("R1", "R2"));
    let steps = |a: &str, b: &str| format!("{}\n{}", step(a), step(b).replace("R1", "R2"));
    let base = |lines: &str| {
        format!(
            "[[firmware]]\nid = \"BASE\"\nmodel = \"m\"\nduis = \"BASE\"\ntext = \"t\"\nsource = \"s\"\n\
             identifier = {{ source = \"s\", confidence = \"invented\" }}\n{lines}"
        )
    };
    let skip = "step = { request = \"4.1.1\", do = \"skip\", item = \"reactive-import\" }";
    let cases = [
        ("not TOML", "[[family]\n".to_owned()),
        (
            "unknown key",
            file(&rule("set.meter.daily_log_entries = 3").replace("source", "sourse"), ""),
        ),
        ("unknown section", file("", "[[firmwares]]\nid = \"x\"\n")),
        ("unknown setting", file(&rule("set.meter.daily_log_entrys = 3"), "")),
        ("value out of range", file(&rule("set.face.pdu_max = 63"), "")),
        (
            "value of a wrong kind",
            file(&rule("set.meter.enable_means_arm = \"yes\""), ""),
        ),
        (
            "setting of another kind",
            file(&rule("set.wan.mode = \"always-on\""), ""),
        ),
        (
            "missing key",
            file(&rule("set.face.pdu_max = 64").replace("text = \"t\"", ""), ""),
        ),
        ("rule without effect", file(&rule(""), "")),
        ("side without its effect", file(&rule(skip), "")),
        (
            "unknown confidence",
            file(
                &rule("set.face.pdu_max = 64").replace("\"invented\"", "\"verified\""),
                "",
            ),
        ),
        (
            "contradiction",
            file(&two("set.face.pdu_max = 64", "set.face.pdu_max = 128"), ""),
        ),
        (
            "contradicting steps",
            file(
                &steps(
                    skip,
                    &skip.replace("skip\", item", "map\", numerator = 1, denominator = 2, item"),
                ),
                "",
            ),
        ),
        (
            "rule twice",
            file(
                &two("set.face.pdu_max = 64", "set.face.flag_id = \"ABC\"").replace("R2", "R1"),
                "",
            ),
        ),
        (
            "unknown step",
            file(
                &step("step = { request = \"4.1.1\", do = \"skipp\", item = \"clock\" }"),
                "",
            ),
        ),
        (
            "unknown item",
            file(
                &step("step = { request = \"4.1.1\", do = \"skip\", item = \"reactive-imprt\" }"),
                "",
            ),
        ),
        (
            "key of another step",
            file(
                &step("step = { request = \"4.1.1\", do = \"skip\", item = \"clock\", value = 1 }"),
                "",
            ),
        ),
        (
            "insert of something private",
            file(
                &step("step = { request = \"7.4\", do = \"insert\", item = \"meter-balance\", place = \"last\" }"),
                "",
            ),
        ),
        (
            "value of a wrong item",
            file(
                &step("step = { request = \"7.4\", do = \"answer\", item = \"supply-state\", value = 1 }"),
                "",
            ),
        ),
        (
            "map by nothing",
            file(
                &step(
                    "step = { request = \"4.8.1\", do = \"map\", log = \"active-import\", numerator = 1, denominator = 0 }",
                ),
                "",
            ),
        ),
        (
            "missing parent",
            file(
                "",
                "[[model]]\nid = \"m2\"\nroute = \"rr\"\nkind = \"CHF\"\nmodel = \"M2\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"recalled\"\n",
            ),
        ),
        (
            "missing firmware",
            file("", &base("from = \"LAB\"\nconfidence = \"recalled\"\n")),
        ),
        ("cycle", file("", &base("from = \"BASE\"\nconfidence = \"recalled\"\n"))),
        (
            "base on lab",
            file("", &base("from = \"LAB-1\"\nconfidence = \"recalled\"\n")),
        ),
        (
            "layer twice",
            file("", &base("confidence = \"recalled\"\n").replace("BASE", "LAB-1")),
        ),
        ("invented base", file("", &base("confidence = \"invented\"\n"))),
        (
            "invented rule on a base",
            file(
                "",
                &format!(
                    "{}{}",
                    base("confidence = \"recalled\"\n"),
                    rule("set.face.pdu_max = 64")
                ),
            ),
        ),
        (
            "defect on a base",
            file(
                "",
                &format!(
                    "{}{}",
                    base("confidence = \"recalled\"\n"),
                    rule("set.face.surplus_octet = true").replace("invented", "recalled")
                ),
            ),
        ),
        (
            "long identifier",
            file(
                "",
                &base("confidence = \"recalled\"\n").replace("duis = \"BASE\"", "duis = \"24.01.10.00\""),
            ),
        ),
        (
            "family on nothing",
            file(
                "",
                "[[family]]\nid = \"g\"\nfrom = \"ff\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"sourced\"\n",
            ),
        ),
        (
            "family on itself",
            file(
                "",
                "[[family]]\nid = \"g\"\nfrom = \"g\"\ntext = \"t\"\nsource = \"s\"\nconfidence = \"sourced\"\n",
            ),
        ),
        (
            "family without manufacturer",
            file("", "").replace("manufacturer = \"Example Meters\"\n", ""),
        ),
        ("model the same as itself", file("", &model("same_as = \"m2\""))),
        ("model the same as nothing", file("", &model("same_as = \"mm\""))),
        (
            "model the same as another and of its own kind",
            file("", &model("same_as = \"m\"\nkind = \"CHF\"")),
        ),
        (
            "display with firmware",
            file(
                "",
                &format!(
                    "{}\n{}",
                    model("kind = \"IHD\"\nmodel = \"D\""),
                    base("confidence = \"recalled\"\n").replace("\"m\"", "\"m2\"")
                ),
            ),
        ),
        (
            "invented display",
            file(
                "",
                &format!(
                    "{}\n{}",
                    model("kind = \"IHD\"\nmodel = \"D\""),
                    rule("set.meter.han.messages_max = 1").replace("firmware", "model")
                ),
            ),
        ),
        (
            "stable from no day",
            file("", &base("confidence = \"recalled\"\nstable_from = \"spring\"\n")),
        ),
        (
            "codes out of pairs",
            file(&rule("set.meter.alerts.renamed = [0x8F32]"), ""),
        ),
        (
            "order with a gap",
            file(&rule("set.meter.tariff.register_order = [1, 3]"), ""),
        ),
        (
            "defect of the meter on a base",
            file(
                "",
                &format!(
                    "{}{}",
                    base("confidence = \"recalled\"\n"),
                    rule("set.meter.timing.busy_permille = 5").replace("invented", "recalled")
                ),
            ),
        ),
        (
            "an act replaced by more",
            file(
                &step("step = { request = \"7.3\", do = \"replace\", act = \"arm-supply\", by = \"enable-supply\" }"),
                "",
            ),
        ),
        (
            "step about two things",
            file(
                &step("step = { request = \"7.4\", do = \"partial\", item = \"clock\", log = \"billing\" }"),
                "",
            ),
        ),
        (
            "step about nothing",
            file(&step("step = { request = \"7.4\", do = \"partial\" }"), ""),
        ),
        (
            "unknown act",
            file(
                &step("step = { request = \"7.4\", do = \"partial\", act = \"arm-suply\" }"),
                "",
            ),
        ),
        (
            "bounds the wrong way round",
            file(
                &step("step = { request = \"4.3\", do = \"clip\", item = \"meter-balance\", min = 2, max = 1 }"),
                "",
            ),
        ),
        (
            "derived from itself",
            file(
                &step(
                    "step = { request = \"4.1.1\", do = \"derive\", item = \"active-import\", how = \"sum\", from = [\"active-import\"] }",
                ),
                "",
            ),
        ),
        (
            "cached for no time",
            file(
                &step("step = { request = \"4.8.1\", do = \"cache\", log = \"active-import\", max_age_s = 0 }"),
                "",
            ),
        ),
        (
            "skipped and clipped",
            file(
                &steps(
                    skip,
                    "step = { request = \"4.1.1\", do = \"clip\", item = \"reactive-import\", min = 0 }",
                ),
                "",
            ),
        ),
        (
            "unknown request",
            file(&rule("requests = [\"4.x\"]\nset.face.pdu_max = 64"), ""),
        ),
    ];
    let report: Vec<String> = cases
        .iter()
        .map(|(what, text)| format!("{what}\n  {}", fault(text)))
        .collect();
    insta::assert_snapshot!("faults", report.join("\n\n"));
}

#[test]
fn a_longer_cycle_is_refused_too() {
    let firmware = |id: &str, from: &str| {
        format!(
            "[[firmware]]\nid = \"LAB-{id}\"\nmodel = \"m\"\nfrom = \"LAB-{from}\"\nduis = \"LAB-{id}\"\ntext = \"t\"\nsource = \"s\"\n\
             confidence = \"invented\"\nidentifier = {{ source = \"s\", confidence = \"invented\" }}\n"
        )
    };
    let text = file(
        "",
        &[firmware("A", "B"), firmware("B", "C"), firmware("C", "A")].join("\n"),
    );
    assert!(fault(&text).contains("inherits from itself"), "{}", fault(&text));
}

#[test]
fn a_directory_adds_firmware_to_built_in_models() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("sub");
    std::fs::create_dir(&mine).unwrap();
    let firmware = "[[firmware]]\nid = \"LAB-MINE\"\nmodel = \"as300p\"\nfrom = \"BASE\"\nduis = \"LAB-MINE\"\ntext = \"t\"\nsource = \"mine\"\n\
        confidence = \"invented\"\nidentifier = { source = \"mine\", confidence = \"invented\" }\n";
    std::fs::write(mine.join("mine.toml"), firmware).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a profile").unwrap();
    let catalogue = Catalogue::load(&[folder.path().to_owned()]).unwrap();
    assert!(catalogue.find("as300p@LAB-MINE").is_ok());
    // The same meter on another route has it too.
    assert!(catalogue.find("as300p-mds@LAB-MINE").is_ok());
    assert_eq!(
        catalogue.profiles().count(),
        Catalogue::builtin().unwrap().profiles().count() + 2
    );

    std::fs::write(mine.join("worse.toml"), firmware).unwrap();
    let twice = Catalogue::load(&[folder.path().to_owned()]).unwrap_err().to_string();
    assert!(twice.contains("worse.toml:2: LAB-MINE stands already in"), "{twice}");
    assert!(Catalogue::load(&[folder.path().join("absent")]).is_err());
}
