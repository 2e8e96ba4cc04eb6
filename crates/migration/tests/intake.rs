//! What becomes of authorisation files and rows: each of LAB-MA-01 to LAB-MA-12 with its stated outcome, the rest unharmed.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Eui64, Mpxn, SimDuration, SimInstant};
use jiff::civil::{Date, date};
use migration::planning::authorisation::{self, AuthorisationRow};
use migration::planning::intake::{FileAnswer, FileResult, Intake, PointFacts, ReceivedFile, Register, week_for};
use migration::planning::protection::protect;
use migration::settings::CohortSlug;
use migration::{InstallationId, Settings};

const SUPPLIER: Eui64 = Eui64(0x70B3_D51F_3000_A008);
const OTHER: Eui64 = Eui64(0x70B3_D51F_3000_A009);
const NAME: &str = "MA_CGI_70-B3-D5-1F-30-00-A0-08_20190603_090000";
const WEEK: Date = date(2019, 6, 10);

fn settings() -> Settings {
    Settings::builtin().expect("built-in settings")
}

fn mpxn(number: u64) -> Mpxn {
    format!("9900000000{number:03}").parse().expect("an MPAN")
}

fn at(text: &str) -> SimInstant {
    text.parse().expect("an instant")
}

/// Points 1 to 9 are the supplier's; 7 is excluded, 8 of a cohort that is not live, 6 another's, 5 authorised already.
struct Lab {
    allocation: u32,
    points: BTreeMap<Mpxn, PointFacts>,
    authorised: BTreeSet<Mpxn>,
}

impl Lab {
    fn new(allocation: u32) -> Self {
        let point = |number: u64| {
            let facts = PointFacts {
                installation: InstallationId(Eui64(number)),
                cohort: CohortSlug::new(if number == 8 { "moc-mds" } else { "ioc" }),
                supplier: if number == 6 { OTHER } else { SUPPLIER },
                closed: number == 7,
            };
            (mpxn(number), facts)
        };
        Self {
            allocation,
            points: (1..10).map(point).collect(),
            authorised: BTreeSet::from([mpxn(5)]),
        }
    }
}

impl Register for Lab {
    fn point(&self, mpxn: Mpxn) -> Option<PointFacts> {
        self.points.get(&mpxn).cloned()
    }
    fn certificate_known(&self, serial_hex: &str) -> bool {
        serial_hex == "0A"
    }
    fn cohort_live(&self, cohort: &CohortSlug, week: Date) -> bool {
        migration::planning::gates::cohort_open(&settings(), cohort, Default::default(), week).is_ok()
    }
    fn allocation_left(&self, _: Eui64, _: &CohortSlug, _: Date) -> u32 {
        self.allocation
    }
    fn is_authorised(&self, mpxn: Mpxn, _: Date) -> bool {
        self.authorised.contains(&mpxn)
    }
    fn has_unit(&self, _: InstallationId, _: Date) -> bool {
        false
    }
}

fn row(row: u32, number: u64) -> AuthorisationRow {
    AuthorisationRow {
        row,
        mpxn: mpxn(number),
        not_before: WEEK,
        not_after: date(2019, 6, 16),
        supplier: SUPPLIER,
        signing_certificate: "0A".into(),
        agreement_certificate: "0A".into(),
        prepayment: false,
        withdraw: false,
    }
}

fn text(rows: &[AuthorisationRow]) -> String {
    authorisation::write(&settings().columns, rows)
}

fn file(name: &str, text: &str) -> ReceivedFile {
    ReceivedFile {
        name: name.into(),
        sender: SUPPLIER,
        at: at("2019-06-03T09:00:01Z"),
        text: protect(text, "pw", &[1; 16]).expect("protected"),
    }
}

fn password(word: &str) -> ReceivedFile {
    ReceivedFile {
        name: NAME.replace("MA_", "MAPASSWORD_"),
        text: word.into(),
        ..file("", "")
    }
}

/// Answers to a file with its password.
fn answers(file: ReceivedFile, allocation: u32) -> FileAnswer {
    let (settings, lab) = (settings(), Lab::new(allocation));
    let mut intake = Intake::default();
    let first = intake.receive(file, &lab, &settings).pop().expect("an answer");
    match first.result {
        FileResult::Held => intake
            .receive(password("pw"), &lab, &settings)
            .pop()
            .expect("an answer"),
        _ => first,
    }
}

fn code(answer: &FileAnswer) -> &str {
    match &answer.result {
        FileResult::Rejected { code, .. } => code,
        FileResult::Taken => "taken",
        FileResult::Held => "held",
    }
}

fn row_codes(answer: &FileAnswer) -> Vec<&str> {
    let word = |row: &'_ migration::planning::intake::RowAnswer| match &row.result {
        Ok(_) => "ACCEPTED".to_owned(),
        Err((code, _)) => code.clone(),
    };
    answer.rows.iter().map(|row| &*word(row).leak()).collect()
}

#[test]
fn a_good_file_is_taken_row_by_row() {
    let answer = answers(file(NAME, &text(&[row(1, 1), row(2, 2), row(3, 3)])), 10);
    assert_eq!((code(&answer), answer.week), ("taken", Some(WEEK)));
    assert_eq!(row_codes(&answer), ["ACCEPTED"; 3]);
}

#[test]
fn files_are_rejected_whole() {
    let good = text(&[row(1, 1)]);
    assert_eq!(code(&answers(file("MA_20190603_090000", &good), 10)), "LAB-MA-01");
    let stranger = ReceivedFile {
        sender: OTHER,
        ..file(NAME, &good)
    };
    assert_eq!(code(&answers(stranger, 10)), "LAB-MA-02");
    let late = ReceivedFile {
        at: at("2019-06-06T16:00:01Z"),
        ..file(NAME, &good)
    };
    assert_eq!(
        code(&answers(late, 10)),
        "LAB-MA-09",
        "Thursday 17:00 is 16:00 UTC in June"
    );
    let bare = ReceivedFile {
        text: good.clone(),
        ..file(NAME, &good)
    };
    assert_eq!(code(&answers(bare, 10)), "LAB-XT-21");
    assert_eq!(
        code(&answers(file(NAME, &good.replacen("fuel", "full", 1)), 10)),
        "LAB-XT-21"
    );
}

#[test]
fn a_file_without_its_password_is_held_a_day_and_then_rejected() {
    let (settings, lab) = (settings(), Lab::new(10));
    for given in [None, Some("wrong")] {
        let mut intake = Intake::default();
        let answer = intake.receive(file(NAME, &text(&[row(1, 1)])), &lab, &settings);
        assert_eq!(code(&answer[0]), "held");
        if let Some(word) = given {
            assert_eq!(code(&intake.receive(password(word), &lab, &settings)[0]), "held");
        }
        let due = intake.next_wake(&settings).expect("waits");
        assert_eq!(due, at("2019-06-04T09:00:01Z"));
        assert!(intake.wake(due - SimDuration::from_secs(1), &settings).is_empty());
        assert_eq!(code(&intake.wake(due, &settings)[0]), "LAB-MA-03");
        assert_eq!(intake.next_wake(&settings), None);
    }
    // The password first is as good, and a file comes once.
    let mut intake = Intake::default();
    assert!(intake.receive(password("pw"), &lab, &settings).is_empty());
    let again = file(NAME, &text(&[row(1, 1)]));
    assert_eq!(code(&intake.receive(again.clone(), &lab, &settings)[0]), "taken");
    assert_eq!(code(&intake.receive(again, &lab, &settings)[0]), "LAB-XT-23");
}

#[test]
fn rows_are_rejected_alone() {
    let mut rows = vec![
        row(1, 99),
        row(2, 6),
        row(3, 1),
        row(4, 1),
        row(5, 8),
        row(6, 2),
        row(7, 7),
        row(8, 5),
        row(9, 3),
    ];
    rows[2].not_after = date(2019, 6, 17);
    rows[5].agreement_certificate = "0B".into();
    let answer = answers(file(NAME, &text(&rows)), 10);
    assert_eq!(
        row_codes(&answer),
        [
            "LAB-MA-04",
            "LAB-MA-05",
            "LAB-MA-06",
            "LAB-MA-07",
            "LAB-MA-08",
            "LAB-MA-11",
            "LAB-MA-12",
            "LAB-MA-07",
            "ACCEPTED"
        ]
    );
    let answer = answers(file(NAME, &text(&[row(1, 1), row(2, 2), row(3, 3), row(4, 4)])), 2);
    assert_eq!(
        row_codes(&answer),
        ["ACCEPTED", "ACCEPTED", "LAB-MA-10", "LAB-MA-10"],
        "in the order of the file"
    );
    let gap = answers(file(NAME, &text(&[row(1, 1), row(3, 2), row(3, 3)])), 9);
    assert_eq!(row_codes(&gap), ["ACCEPTED", "LAB-XT-22", "ACCEPTED"]);
}

#[test]
fn a_withdrawal_needs_something_to_withdraw() {
    let withdraw = |number, at| AuthorisationRow {
        withdraw: true,
        ..row(at, number)
    };
    let answer = answers(
        file(
            NAME,
            &text(&[withdraw(5, 1), withdraw(1, 2), row(3, 2), withdraw(2, 4)]),
        ),
        9,
    );
    assert_eq!(row_codes(&answer), ["ACCEPTED", "LAB-XT-22", "ACCEPTED", "ACCEPTED"]);
}

#[test]
fn the_week_of_a_file_is_the_first_whose_cut_off_it_can_make() {
    let calendar = settings().calendar;
    for (created, week) in [
        ("2019-06-03T09:00:00Z", date(2019, 6, 10)),
        ("2019-06-06T16:00:00Z", date(2019, 6, 10)),
        ("2019-06-06T16:00:01Z", date(2019, 6, 17)),
        ("2019-04-07T18:25:03Z", date(2019, 4, 15)),
    ] {
        assert_eq!(week_for(&calendar, at(created)), week, "{created}");
    }
}
