//! A plan is deterministic, conserves installations, and answers what-if questions in the direction they have.

use domain::Eui64;
use jiff::civil::date;
use migration::Settings;
use migration::settings::CohortSlug;
use migration::simulate::{Late, Plan, Scenario, Slip, Winter, page, run};

fn settings() -> Settings {
    Settings::builtin().expect("built-in settings")
}

fn scenario() -> Scenario {
    Scenario::builtin().expect("a built-in scenario")
}

fn first_day(plan: &Plan, cohort: &str) -> Option<jiff::civil::Date> {
    plan.days
        .iter()
        .find(|day| day.cohort.as_str() == cohort && day.attempted > 0)
        .map(|day| day.day)
}

#[test]
fn a_year_of_ten_million_adds_up_and_comes_out_the_same_again() {
    let (settings, scenario) = (settings(), scenario());
    let plan = run(&scenario, &settings);
    assert_eq!(run(&scenario, &settings), plan);
    let other = run(
        &Scenario {
            seed: 2,
            ..scenario.clone()
        },
        &settings,
    );
    assert_ne!(other.days, plan.days);
    let asked: u64 = scenario.fleets.iter().map(|fleet| fleet.installations).sum();
    let ended: u64 = plan
        .endings
        .values()
        .map(|ending| ending.migrated + ending.excluded + ending.left)
        .sum();
    assert_eq!((asked, ended), (10_000_000, 10_000_000));
    for day in &plan.days {
        assert!(day.attempted <= day.allocated && day.allocated <= 50_000, "{day:?}");
        assert!(day.migrated <= day.attempted, "{day:?}");
    }
    let mut by_day = std::collections::BTreeMap::<_, u32>::new();
    plan.days
        .iter()
        .for_each(|day| *by_day.entry(day.day).or_default() += day.attempted);
    assert!(by_day.values().all(|attempts| *attempts <= 50_000));
    assert_eq!(
        plan.days.iter().map(|day| u64::from(day.migrated)).sum::<u64>(),
        plan.migrated()
    );
    assert!(plan.migrated() > 5_000_000, "{}", plan.migrated());
    assert_eq!(
        first_day(&plan, "foc-bg"),
        Some(date(2019, 12, 12)),
        "a cohort begins with its release"
    );
    assert!(plan.days_csv().lines().count() == plan.days.len() + 1);
    let html = page(&plan).expect("a page");
    assert!(html.matches("<svg").count() == 2 && !html.contains("<script"));
}

#[test]
fn what_if_questions_point_where_they_should() {
    let (settings, base) = (settings(), scenario());
    let plan = run(&base, &settings);
    let slipped = Scenario {
        slip: vec![Slip {
            release: domain::Cohort::Moc,
            weeks: 6,
        }],
        ..base.clone()
    };
    let slipped = run(&slipped, &settings);
    assert_eq!(first_day(&slipped, "moc-mds"), Some(date(2019, 11, 11)));
    assert_eq!(
        first_day(&slipped, "foc-bg"),
        Some(date(2020, 1, 11)),
        "two months after the release before it"
    );
    assert_eq!(first_day(&slipped, "ioc"), first_day(&plan, "ioc"));
    let late = Scenario {
        late: vec![Late {
            supplier: Eui64(0x90B3_D51F_3001_0000),
            weeks: 8,
        }],
        ..base.clone()
    };
    let late = run(&late, &settings);
    let of = |plan: &Plan| plan.endings[&(CohortSlug::new("ioc"), Eui64(0x90B3_D51F_3001_0000))].migrated;
    assert!(of(&late) < of(&plan), "who begins late has migrated less by then");
    let cold = Scenario {
        winter: vec![Winter {
            from: date(2019, 12, 1),
            to: date(2020, 3, 31),
            capacity_percent: 0,
        }],
        ..base
    };
    let cold = run(&cold, &settings);
    assert!(
        cold.days
            .iter()
            .all(|day| day.day < date(2019, 12, 1) || day.day > date(2020, 3, 31) || day.attempted == 0)
    );
}

#[test]
fn a_directed_switch_keeps_a_cohort_closed_and_says_so() {
    let mut scenario = scenario();
    scenario.fleets[0].cohort = CohortSlug::new("moc-secure");
    let plan = run(&scenario, &settings());
    assert_eq!(
        plan.closed.get(&CohortSlug::new("moc-secure")).map(String::as_str),
        Some("it is not directed")
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/plans/programme.toml"
    ))
    .expect("a fixture");
    let error = Scenario::from_toml("p.toml", &text.replacen("gap_days", "gap_day", 1)).expect_err("unknown key");
    assert_eq!(
        (error.line, error.suggestion.as_deref()),
        (8, Some("gap_days")),
        "{error}"
    );
    let error = Scenario::from_toml("p.toml", &text.replacen("0.93", "1.93", 1)).expect_err("a rate above 1");
    assert!(error.to_string().contains("between 0 and 1"), "{error}");
}
