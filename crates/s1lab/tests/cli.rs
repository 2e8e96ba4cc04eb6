//! The command line as a script sees it: help, exit codes, bad input, what a run leaves behind.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One dual-fuel installation: what a run costs is small.
const SMALL_ESTATE: &str = r#"[estate]
name = "small"
source = "invented: for the project's own tests"

[[template]]
name = "credit-dual-fuel"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
gpf = "am110r-gpf@BASE"
gsme = "bk-g4e@BASE"
payment_mode = "credit"
enrolled = true
"#;

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program in `folder`, without anything of the caller's environment that it would read.
fn s1lab(folder: &Path, arguments: &[&str]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_s1lab"));
    for name in ["CONFIG", "SEED", "OUT", "LAB", "STATE", "LOG"] {
        command.env_remove(format!("S1LAB_{name}"));
    }
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes files into a fresh folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn help_says_what_each_command_is_for() {
    let commands: [&[&str]; 52] = [
        &[],
        &["sit"],
        &["up"],
        &["role"],
        &["device"],
        &["device", "list"],
        &["device", "show"],
        &["device", "expose"],
        &["duis"],
        &["duis", "sign"],
        &["duis", "verify"],
        &["duis", "send"],
        &["duis", "dead-letters"],
        &["duis", "exercise"],
        &["duis", "reset-counters"],
        &["duis", "plan"],
        &["duis", "templates"],
        &["duis", "deliver-again"],
        &["duis", "fetch"],
        &["duis", "new"],
        &["duis", "explain"],
        &["duis", "listen"],
        &["duis", "quarantine"],
        &["dmc"],
        &["dmc", "list"],
        &["dmc", "show"],
        &["dmc", "check"],
        &["dmc", "coverage"],
        &["dmc", "select"],
        &["dmc", "explain"],
        &["dmc", "diff"],
        &["dmc", "import"],
        &["dmc", "import", "annex-a"],
        &["estate"],
        &["estate", "show"],
        &["estate", "check"],
        &["estate", "export"],
        &["estate", "import"],
        &["image"],
        &["image", "make"],
        &["image", "list"],
        &["pki", "init"],
        &["tape"],
        &["tape", "show"],
        &["tape", "digest"],
        &["audit"],
        &["run"],
        &["vend"],
        &["device", "key-in"],
        &["device", "add"],
        &["device", "remove"],
        &["device", "patch"],
    ];
    let folder = folder(&[]);
    for command in commands {
        let answer = s1lab(folder.path(), &[&["help"], command].concat());
        assert_eq!(answer.code, Some(0), "{command:?}: {}", answer.err);
        let groups: [&[&str]; 7] = [
            &["device"],
            &["dmc"],
            &["dmc", "import"],
            &["duis"],
            &["estate"],
            &["image"],
            &["tape"],
        ];
        assert!(
            groups.contains(&command) || answer.out.contains("Example"),
            "{command:?} shows no example"
        );
        let name = ["help", &command.join("-")].join("-");
        insta::assert_snapshot!(name.trim_end_matches('-'), answer.out);
    }
}

#[test]
fn bad_input_is_named_with_its_place_and_code_2() {
    let folder = folder(&[
        ("lab.toml", "seed = 1\n[clock]\nmod = \"real\"\n"),
        (
            "estate.toml",
            "[estate]\nname = \"x\"\nsource = \"x\"\n\n[[template]]\nnam = \"y\"\n",
        ),
        ("not-a-tape", "hello"),
        ("request.xml", "<a>"),
    ]);
    let check = |arguments: &[&str], code: i32, wanted: &[&str]| {
        let answer = s1lab(folder.path(), arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.err);
        assert_eq!(answer.out, "", "{arguments:?}");
        for text in wanted {
            assert!(
                answer.err.contains(text),
                "{arguments:?}: no {text:?} in {}",
                answer.err
            );
        }
    };
    check(
        &["sit", "--config", "lab.toml"],
        2,
        &["lab.toml:3", "unknown field `mod`", "did you mean `mode`?"],
    );
    check(
        &["up", "--config", "lab.toml"],
        2,
        &["lab.toml:3", "did you mean `mode`?"],
    );
    check(&["sit", "--config", "nowhere.toml"], 2, &["nowhere.toml"]);
    check(
        &["sit", "--estate", "estate.toml"],
        2,
        &["estate.toml:6", "unknown field `nam`"],
    );
    check(&["sit", "--cut", "dcc"], 2, &["two roles", "s1sp-dco", "\"dcc\""]);
    check(&["sit", "--cut", "dcc-nobody"], 2, &["two roles", "smso"]);
    check(&["sit", "--clock", "real"], 2, &["virtual", "s1lab up"]);
    check(&["sit", "--worlds", "0"], 2, &["--worlds"]);
    check(&["sit", "--latency", "x-1"], 2, &["--latency", "x0.01"]);
    check(&["up", "--clock", "fast"], 2, &["--clock", "x60"]);
    check(&["sitt"], 2, &["unrecognized subcommand", "'sit'"]);
    check(&["tape", "digest", "not-a-tape"], 2, &["not-a-tape"]);
    check(&["tape", "digest", "nowhere"], 2, &["nowhere"]);
    check(
        &["duis", "verify", "request.xml", "--cert", "request.xml"],
        2,
        &["certificate"],
    );
    check(&["duis", "verify", "request.xml"], 2, &["--cert"]);
    check(&["device", "list"], 3, &["s1lab up", "--lab"]);
    check(&["device", "list", "--lab", "http://127.0.0.1:9"], 3, &["127.0.0.1:9"]);
}

#[test]
fn keys_are_made_once_and_sign_what_verifies() {
    let request = "<?xml version=\"1.0\"?><sr:Request xmlns:sr=\"http://www.dccinterface.co.uk/ServiceUserGateway\" \
        schemaVersion=\"5.1\"><sr:Header><sr:RequestID>90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000\
        </sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>4.1</sr:ServiceReference>\
        <sr:ServiceReferenceVariant>4.1.1</sr:ServiceReferenceVariant></sr:Header><sr:Body>\
        <sr:ReadInstantaneousImportRegisters/></sr:Body></sr:Request>";
    let folder = folder(&[("request.xml", request)]);
    let folder = folder.path();
    let made = s1lab(folder, &["--json", "pki", "init", "keys"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let files: Value = serde_json::from_str(&made.out).unwrap();
    assert!(files["files"].as_array().unwrap().len() > 15, "{files}");
    assert!(!made.out.contains("PRIVATE") && !made.err.contains("PRIVATE"));
    let again = s1lab(folder, &["pki", "init", "keys"]);
    assert_eq!(again.code, Some(2), "{}", again.err);

    let user = "keys/user-90-B3-D5-1F-30-01-00-00";
    let (key, cert) = (format!("{user}.key.pem"), format!("{user}.crt.pem"));
    let signed = s1lab(folder, &["duis", "sign", "request.xml", "--key", &key, "--cert", &cert]);
    assert_eq!(signed.code, Some(0), "{}", signed.err);
    std::fs::write(folder.join("signed.xml"), &signed.out).unwrap();
    let verified = s1lab(folder, &["--json", "duis", "verify", "signed.xml", "--cert", &cert]);
    assert_eq!(verified.code, Some(0), "{}", verified.err);
    let verified: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(verified["signatures"][0]["signer"], "90-B3-D5-1F-30-01-00-00");

    std::fs::write(folder.join("changed.xml"), signed.out.replace(":1000<", ":1001<")).unwrap();
    let changed = s1lab(folder, &["duis", "verify", "changed.xml", "--cert", &cert]);
    assert_eq!(changed.code, Some(1), "{}", changed.err);
    let stranger = s1lab(folder, &["duis", "verify", "signed.xml", "--cert", "keys/dcc.crt.pem"]);
    assert_eq!(stranger.code, Some(1), "{}", stranger.err);
    let wrong = s1lab(
        folder,
        &[
            "duis",
            "sign",
            "request.xml",
            "--key",
            &key,
            "--cert",
            "keys/dcc.crt.pem",
        ],
    );
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
}

/// A run over the small estate; its exit code, its results and its tape's digest.
fn sit(folder: &Path, out: &str, estate: &str, arguments: &[&str]) -> (Answer, Value, String) {
    let common = ["--json", "sit", "--out", out, "--estate", estate];
    let answer = s1lab(folder, &[&common, arguments].concat());
    let results = std::fs::read_to_string(folder.join(out).join("results.json"));
    let results = results.unwrap_or_else(|error| panic!("{error}: {}", answer.err));
    let digest = s1lab(folder, &["tape", "digest", &format!("{out}/tape.s1tape")]);
    assert_eq!(digest.code, Some(0), "{}", digest.err);
    (
        answer,
        serde_json::from_str(&results).unwrap(),
        digest.out.trim().to_owned(),
    )
}

#[test]
fn a_run_leaves_four_files_and_a_digest_that_its_input_decides() {
    // A firmware of our own, and the same with one value changed.
    let profile = |delay: u32| {
        format!(
            "[[firmware]]\nid = \"LAB-C900\"\nmodel = \"am110r\"\nfrom = \"BASE\"\nduis = \"LAB-C900\"\n\
             identifier = {{ source = \"invented\", confidence = \"invented\" }}\ntext = \"A hub for this test\"\n\
             source = \"invented\"\nconfidence = \"invented\"\n\n[[firmware.rule]]\nid = \"LAB-C900-ATTACH\"\n\
             side = \"device\"\ntext = \"Attaches slowly\"\nsource = \"invented\"\nconfidence = \"invented\"\n\
             set.wan.attach_delay_s = {delay}\n"
        )
    };
    let estate = SMALL_ESTATE.replace("am110r@BASE", "am110r@LAB-C900");
    let other = estate.replace("\"credit\"", "\"prepayment\"");
    let folder = folder(&[
        ("estate.toml", &estate),
        ("other/estate.toml", &other),
        (
            "lab.toml",
            "[estate]\nfile = \"estate.toml\"\n\n[dmc]\nfolders = [\"profiles\"]\n",
        ),
        ("profiles/hub.toml", &profile(7)),
        ("changed/hub.toml", &profile(8)),
    ]);
    let folder = folder.path();
    let (answer, results, digest) = sit(folder, "first", "estate.toml", &["--dmc", "profiles"]);
    assert_eq!(answer.code, Some(0), "{} {}", answer.err, answer.out);
    for file in ["index.html", "results.json", "junit.xml", "tape.s1tape"] {
        assert!(folder.join("first").join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let printed: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(printed["digest"], results["digest"]);
    assert_eq!(results["digest"], digest.as_str(), "what the tape says again");
    assert_eq!(results["seed"], 1);

    let (_, again, _) = sit(folder, "again", "estate.toml", &["--dmc", "profiles"]);
    assert_eq!(again["digest"], results["digest"], "the same seed and files");
    let (_, other, _) = sit(folder, "profile", "estate.toml", &["--dmc", "changed"]);
    assert_ne!(other["digest"], results["digest"], "another value in a profile");
    let (_, other, _) = sit(folder, "estate", "other/estate.toml", &["--dmc", "profiles"]);
    assert_ne!(other["digest"], results["digest"], "another value in the estate");

    let shown = s1lab(folder, &["tape", "show", "first/tape.s1tape"]);
    assert_eq!(shown.code, Some(0));
    for secret in ["PRIVATE KEY", "relation"] {
        assert!(!shown.out.contains(secret), "{secret}");
    }
    // What came of an entry of the tape: the rules, where they stand and whose they are.
    let explain = |entry: &str, more: &[&str]| {
        let arguments = [
            "--json",
            "dmc",
            "explain",
            "--tape",
            "first/tape.s1tape",
            "--entry",
            entry,
        ];
        s1lab(folder, &[&arguments, more].concat())
    };
    let entry = |wanted: &str| {
        let place = shown
            .out
            .lines()
            .position(|line| line.contains(wanted) && line.contains("4.1.1"));
        (place.unwrap() + 1).to_string()
    };
    let request = entry("countersigned-request");
    let explained = explain(&request, &["--profile", "as300p@BASE"]);
    assert_eq!(explained.code, Some(0), "{}", explained.err);
    let explained: Value = serde_json::from_str(&explained.out).unwrap();
    assert_eq!(
        (&explained["request"], &explained["side"]),
        (&"4.1.1".into(), &"s1sp".into())
    );
    assert!(
        explained["rules"][0]["file"]
            .as_str()
            .unwrap()
            .starts_with("fixtures/dmc/"),
        "{explained}"
    );
    let by_estate = explain(&request, &["--config", "lab.toml"]);
    assert!(by_estate.out.contains("@"), "{}", by_estate.err);
    let beyond = explain("100000", &[]);
    assert!(beyond.err.contains("has the entries 1 to"), "{}", beyond.err);
    let nothing = s1lab(folder, &["tape", "show", "first/tape.s1tape", "--request", "1:2:3"]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.err);
}

#[test]
fn a_cut_link_makes_the_run_red_and_is_named() {
    let folder = folder(&[("estate.toml", SMALL_ESTATE)]);
    let (answer, results, _) = sit(folder.path(), "cut", "estate.toml", &["--cut", "s1sp-dco"]);
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    assert!(results.to_string().contains("dco"), "{results}");
}

#[test]
fn the_catalogue_answers_questions_without_a_lab() {
    let folder = folder(&[
        ("mine/clauses.toml", CLAUSE),
        ("annex.csv", "ref,model\nA1,AS300P\nA2,AS300P\nA3,AS300P\n"),
        (
            "deployed.csv",
            "dmc,count\nvodafone/am110r@BASE/as300p@BASE/-/-/-/-,90\nvodafone/am110r@LAB-C001/as300p@BASE/-/-/-/-,10\n",
        ),
        ("deployed-wrong.csv", "dmc,cuont\n"),
    ]);
    let ask = |arguments: &[&str]| s1lab(folder.path(), &[&["dmc"], arguments].concat());

    let all = ask(&["list", "--json"]);
    let sure = ask(&["list", "--json", "--min-confidence", "inferred"]);
    let count = |answer: &Answer| serde_json::from_str::<Vec<Value>>(&answer.out).unwrap().len();
    assert!(count(&sure) < count(&all), "{} {}", sure.err, all.err);

    let coverage = ask(&["coverage"]);
    assert_eq!(coverage.code, Some(0), "{}", coverage.err);
    assert!(coverage.out.contains("206 items: "), "{}", coverage.out);
    assert!(coverage.out.contains("10 not modelled"), "{}", coverage.out);

    let explained = ask(&["explain", "4.8.1", "--profile", "as300p@BASE"]);
    assert!(
        explained.out.contains("fixtures/dmc/") || explained.out.contains("aclara/cgi-ie.toml"),
        "{}",
        explained.out
    );

    let selected = ask(&["select", "--dpl", "deployed.csv", "--cover", "80%"]);
    assert!(
        selected.out.contains("1 of 2 combinations, 90 of 100"),
        "{}{}",
        selected.out,
        selected.err
    );
    let wrong = ask(&["select", "--dpl", "deployed-wrong.csv"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("deployed-wrong.csv:1") && wrong.err.contains("count"),
        "{}",
        wrong.err
    );

    let same = ask(&["diff", "as300p@BASE", "as300p@BASE"]);
    assert_eq!((same.code, same.out.trim()), (Some(0), "no difference"));

    let annex = ask(&["import", "annex-a", "annex.csv", "--dmc", "mine"]);
    assert!(
        annex.out.contains("3 clauses: 1 modelled, 2 not"),
        "{}{}",
        annex.out,
        annex.err
    );
    assert!(
        folder.path().join("mine/annex-a.csv").exists(),
        "kept with the profiles"
    );
    let coverage = ask(&["coverage", "--dmc", "mine"]);
    assert!(
        coverage.out.contains("annex-a.csv: 3 clauses: 1 modelled, 2 not"),
        "{}{}",
        coverage.out,
        coverage.err
    );
    std::fs::write(folder.path().join("wrong.csv"), "ref\nA9\nA9\n").unwrap();
    let wrong = ask(&["import", "annex-a", "wrong.csv", "--dmc", "mine"]);
    assert!(
        wrong.err.contains("wrong.csv:3: clause A9 stands already in line 2"),
        "{}",
        wrong.err
    );
    let kept = std::fs::read_to_string(folder.path().join("mine/annex-a.csv")).unwrap();
    assert_eq!(
        kept, "clause,model,request\nA1,AS300P,\nA2,AS300P,\nA3,AS300P,\n",
        "as it was"
    );
}

/// A firmware of one's own with a rule that names a clause.
const CLAUSE: &str = r#"
[[firmware]]
id = "LAB-MINE"
model = "as300p"
from = "BASE"
duis = "LAB-MINE"
identifier = { source = "mine", confidence = "invented" }
text = "With a clause"
source = "mine"
confidence = "invented"

[[firmware.rule]]
id = "LAB-MINE-LOG"
side = "device"
text = "The daily read log has 7 entries"
source = "mine"
confidence = "invented"
clause = "A1"
requests = ["4.6.1"]
set.meter.daily_log_entries = 7
"#;

#[test]
fn requests_are_drafted_planned_and_explained_without_a_lab() {
    let folder = folder(&[]);
    let folder = folder.path();
    let meter = "02-1A-B0-02-01-00-00-01";
    let drafted = s1lab(folder, &["duis", "new", "7.2", "--device", meter]);
    assert_eq!(drafted.code, Some(0), "{}", drafted.err);
    assert!(
        drafted.out.contains("<sr:CommandVariant>1</sr:CommandVariant>"),
        "{}",
        drafted.out
    );
    std::fs::write(folder.join("request.xml"), &drafted.out).unwrap();
    let of_file = s1lab(folder, &["duis", "plan", "request.xml", "--profile", "as300p@BASE"]);
    let of_word = s1lab(folder, &["duis", "plan", "7.2", "--profile", "as300p@BASE"]);
    assert_eq!(of_file.code, Some(0), "{}", of_file.err);
    assert!(
        of_word.out == of_file.out && of_word.out.contains("disable supply"),
        "{}",
        of_word.out
    );
    let whole = "vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE";
    let of_combination = s1lab(folder, &["duis", "plan", "request.xml", "--dmc", whole]);
    assert_eq!(of_combination.out, of_file.out, "{}", of_combination.err);
    let nobody = s1lab(folder, &["duis", "plan", "7.2"]);
    assert!(nobody.err.contains("--profile as300p@BASE"), "{}", nobody.err);
    let refused = s1lab(folder, &["duis", "plan", "7.1", "--profile", "bk-g4e@BASE"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    // A device that is in no lab here is one of the second generation.
    let other = s1lab(folder, &["duis", "new", "7.2", "--device", "00-DB-12-34-56-78-90-A0"]);
    assert!(
        other.out.contains("<sr:CommandVariant>4</sr:CommandVariant>"),
        "{}",
        other.out
    );

    let explained = |word: &str| {
        let answer = s1lab(folder, &["--json", "duis", "explain", word]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        serde_json::from_str::<Value>(&answer.out).unwrap()[0].clone()
    };
    assert_eq!(explained("E4")["what"], "response code");
    assert_eq!(explained("N55")["facts"]["payload"], "S1SPAlertDSP");
    // Whoever has the documents puts rows of their own over the tables.
    let rows = "kind\tcode\tgroup\tpayload\ttrigger\tto\tconfidence\ttext\n\
                response\tE48\trepeat\t-\t-\t-\tspecified\tThe RequestID was used before\n";
    std::fs::write(folder.join("own.tsv"), rows).expect("written");
    std::fs::write(folder.join("own.toml"), "[dcc]\ncodes = [\"own.tsv\"]\n").expect("written");
    let own = s1lab(folder, &["--config", "own.toml", "duis", "explain", "E48"]);
    assert!(
        own.out.contains("The RequestID was used before [specified]"),
        "{}",
        own.out
    );
    assert!(own.out.contains("said by: own.tsv"), "{}", own.out);
    assert_eq!(explained("6.23")["facts"]["critical"], "no");
    assert_eq!(s1lab(folder, &["duis", "explain", "E999"]).code, Some(2));

    let listed = s1lab(folder, &["--json", "duis", "templates"]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 129);
    let written = s1lab(folder, &["duis", "templates", "--write", "templates"]);
    assert_eq!(written.code, Some(0), "{}", written.err);
    assert!(folder.join("templates/4.1.1-ESME.xml").exists());
    let again = s1lab(folder, &["duis", "templates", "--write", "templates"]);
    assert_eq!(again.code, Some(2), "what is there is not touched");
}

#[test]
fn estates_are_shown_checked_exported_and_imported() {
    let wrong = SMALL_ESTATE.replace("as300p@BASE", "as300@BASE");
    let folder = folder(&[("estate.toml", SMALL_ESTATE), ("wrong.toml", &wrong)]);
    let ask = |arguments: &[&str]| s1lab(folder.path(), &[&["estate"], arguments].concat());
    let shown = ask(&["show", "catalogue"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(
        shown.out.contains("elster-cgi-ie-mixed") && shown.out.contains("moc-mds"),
        "{}",
        shown.out
    );
    assert_eq!(ask(&["check", "estate.toml"]).code, Some(0));
    let refused = ask(&["check", "wrong.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("wrong.toml:") && refused.err.contains("did you mean `as300p@BASE`?"),
        "{}",
        refused.err
    );
    assert_eq!(ask(&["export", "estate.toml", "tables"]).code, Some(0));
    let tables = ["tables/devices.csv", "tables/registration.csv"];
    let imported = ask(&["import", tables[0], tables[1], "again"]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    assert_eq!(ask(&["export", "again/estate.toml", "tables-again"]).code, Some(0));
    for table in tables {
        let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!(read(table), read(&table.replace("tables", "tables-again")), "{table}");
    }
    let devices = std::fs::read_to_string(folder.path().join(tables[0])).unwrap();
    std::fs::write(folder.path().join("bad.csv"), devices.replacen("service", "servise", 1)).unwrap();
    let refused = ask(&["import", "bad.csv", tables[1], "never"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("bad.csv:1") && refused.err.contains("did you mean `service`?"),
        "{}",
        refused.err
    );
    assert!(!folder.path().join("never").exists(), "nothing is half imported");
}
