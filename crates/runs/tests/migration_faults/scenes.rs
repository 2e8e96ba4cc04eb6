//! Errors that come from somebody beside the migration, or from many installations at once: each with a scene of its own.

use std::collections::BTreeSet;

use domain::keys::Purpose;
use domain::operation::Token;
use domain::utrn::{CodeForm, NativeToken, Utrn};
use domain::{DeviceKind, Operation, SimDuration, UserRole};
use jiff::civil::time;
use lab::Role;
use migration::day::{instant, plus_days};
use migration::faults::{self, FaultTable};
use migration::machine::event::{Entry, Event};
use migration::machine::operator::Operator;
use migration::machine::{BATCH_STOP, Found, State, journal};
use migration::planning::demand;
use migration::planning::intake::ReceivedFile;
use migration::planning::name::{FileKind, FileName};
use migration::settings::{Class, CohortSlug, Outcome, Owner};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use users::orders;
use world::semantic;

use crate::parties::{self, ELECTRICITY_ONLY, MONDAY, Rig, Setup, estate};
use crate::setup;

/// The errors that are made here.
pub(crate) const SCENES: [&str; 11] = [
    "LAB-MA-08",
    "LAB-MA-10",
    "LAB-MA-12",
    "LAB-CO-04",
    "LAB-CO-06",
    "LAB-CO-07",
    "LAB-LD-01",
    "LAB-LD-02",
    "LAB-LD-03",
    "LAB-TU-01",
    "LAB-TU-02",
];

/// So many installations without gas: they do not sleep.
fn electricity_only(count: usize) -> String {
    let template = ELECTRICITY_ONLY.replace("count = 1", &format!("count = {count}"));
    format!("[estate]\nname = \"electricity\"\nsource = \"invented: installations to be moved\"\n{template}")
}

fn rows_refused(rig: &Rig) -> Vec<String> {
    let files = &rig.office.control().campaign().files;
    let rows = files.iter().flat_map(|(_, file)| &file.rows);
    rows.map(|row| row.code.clone())
        .filter(|code| !code.is_empty())
        .collect()
}

fn entries(rig: &Rig) -> Vec<Entry> {
    let mut entries = Vec::new();
    let store = rig.lab.parts().journals.look(parties::CONTROL).unwrap();
    journal::replay(&*store, &mut |_, entry| entries.push(entry)).unwrap();
    entries
}

/// One supplier's demand for days of the week of [`MONDAY`].
fn demand_of(rig: &Rig, supplier: domain::Eui64, days: &[(i32, u32)]) -> ReceivedFile {
    let columns = &rig.settings.columns;
    let now = rig.now();
    let name = FileName::new(columns, FileKind::DemandCommitment, "CGI", supplier, Some("LAB1"), now);
    let units = days
        .iter()
        .map(|(day, units)| (plus_days(MONDAY, *day), *units))
        .collect();
    ReceivedFile {
        name: name.to_string(),
        sender: supplier,
        at: now,
        text: demand::write(columns, FileKind::DemandCommitment, &units),
    }
}

/// Commits demand two weeks ahead, has it scaled, and goes on to the Monday before.
async fn commit(rig: &mut Rig, demand: Vec<ReceivedFile>) {
    for file in demand {
        let now = rig.now();
        rig.office.control_mut().receive(now, file).unwrap();
    }
    let scaling = instant(plus_days(MONDAY, -12), time(12, 0, 0, 0));
    rig.office.run_until(scaling).await.unwrap();
    rig.office.control_mut().scale_week(scaling, MONDAY).unwrap();
    rig.run_to(-7, 6).await;
}

/// From two weeks before on, when demand is due.
fn with_demand() -> Setup {
    let mut setup = setup();
    setup.start = instant(plus_days(MONDAY, -14), time(6, 0, 0, 0));
    setup.demand_is_committed = true;
    setup
}

#[tokio::test(start_paused = true)]
async fn a_cohort_that_is_not_live() {
    let mut setup = setup();
    let table = FaultTable {
        error: "LAB-MA-08".into(),
        ..FaultTable::default()
    };
    let rules = faults::check("campaign.toml", "", &[table], &setup.settings).unwrap();
    rules[0].close_gate(&mut setup.settings);
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(1, 22).await;
    let id = rig.all[0].id;
    let refused: BTreeSet<String> = rows_refused(&rig).into_iter().collect();
    assert_eq!(refused, BTreeSet::from(["LAB-MA-08".to_owned()]));
    assert_eq!((rig.state(id), rig.with_dcc(id).await.0), (State::Eligible, 0));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_than_the_allocation() {
    let setup = with_demand();
    let parts = setup.parts(&electricity_only(2));
    let mut rig = Rig::start(&parts, setup);
    let supplier = rig.all[0].points[0].supplier;
    let demand = vec![demand_of(&rig, supplier, &[(0, 1)])];
    commit(&mut rig, demand).await;
    rig.authorise();
    rig.run_to(1, 22).await;
    assert_eq!(rows_refused(&rig), ["LAB-MA-10"]);
    let ids = [rig.all[0].id, rig.all[1].id];
    assert_eq!(ids.map(|id| rig.state(id)), [State::Migrated, State::Eligible]);
    assert_eq!(rig.with_dcc(ids[1]).await.0, 0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_is_excluded() {
    let setup = setup();
    let parts = setup.parts(&estate(2, ""));
    let mut rig = Rig::start(&parts, setup);
    let ids = [rig.all[0].id, rig.all[1].id];
    rig.office
        .run_until(rig.now() + SimDuration::from_hours(1))
        .await
        .unwrap();
    let mcc = Operator {
        name: "mcc-1".into(),
        role: Owner::Mcc,
    };
    let now = rig.now();
    let control = rig.office.control_mut();
    control
        .exclude_by(now, &mcc, ids[0], "LAB-EX-DMC", "too few of them")
        .unwrap();
    rig.authorise();
    rig.run_to(1, 22).await;
    assert_eq!(rows_refused(&rig), ["LAB-MA-12", "LAB-MA-12"], "both its points");
    assert_eq!(ids.map(|id| rig.state(id)), [State::Excluded, State::Migrated]);
    assert_eq!(rig.with_dcc(ids[0]).await.0, 0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_prepayment_interface_that_does_not_join() {
    let mut setup = setup();
    let home = estate(2, "").replace(
        "payment_mode = \"credit\"",
        "ppmid = \"elster-ppmid@BASE\"\npayment_mode = \"credit\"",
    );
    setup.rules = Box::new(|settings, facts| {
        let table = FaultTable {
            error: "LAB-CO-04".into(),
            mpxn: vec![facts[0].points[0].mpxn.to_string()],
            ..FaultTable::default()
        };
        faults::check("campaign.toml", "", &[table], settings).unwrap()
    });
    let parts = setup.parts(&home);
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(1, 22).await;
    for (number, facts) in rig.all.clone().iter().enumerate() {
        assert_eq!(rig.state(facts.id), State::Migrated, "{:?}", rig.codes(facts.id));
        assert_eq!(rig.codes(facts.id).contains("LAB-CO-04"), number == 0);
        let (with_dcc, all) = rig.with_dcc(facts.id).await;
        assert_eq!(with_dcc, all, "all but the interface, which has no keys");
    }
    rig.stop().await;
}

/// The DCC is away and is killed while requests of the plan are under way: what it took it answers after its restart, and what
/// it did not is asked again. The commissioning party notes that its front door was silent, and no step is done twice.
#[tokio::test(start_paused = true)]
async fn a_dcc_that_restarts_on_the_way() {
    let setup = setup();
    assert_eq!(
        setup.settings.errors.row("LAB-CO-06").unwrap().outcome,
        Outcome::Continue
    );
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    let id = rig.all[0].id;
    rig.run_to(0, 5).await;
    rig.reaches(id, State::Commissioning, 6).await;
    rig.lab.cut("cp", "dcc");
    rig.until("that its silence is noted", 6, |rig| {
        rig.codes(id).contains("LAB-CO-06")
    })
    .await;
    rig.lab.restart(Role::Dcc).await.unwrap();
    rig.lab.mend();
    let tried = entries(&rig).into_iter().find_map(|entry| match entry.event {
        Event::TryFailed { code, condition, .. } if code == "LAB-CO-06" => Some((entry.installation, condition)),
        _ => None,
    });
    assert_eq!(tried, Some((Some(id), "dcc-down".to_owned())));
    // At each of some requests, a while after it was asked for.
    for _ in 0..4 {
        let steps = rig.known(id).attempt.steps;
        rig.lab.restart(Role::Dcc).await.unwrap();
        rig.until("the next step", 3, |rig| rig.known(id).attempt.steps > steps + 1)
            .await;
    }
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(id), State::Migrated, "{:?}", rig.codes(id));
    let plan = rig.known(id).plan(&rig.settings).len();
    let steps = &rig.office.control().campaign().steps[&id];
    assert_eq!(steps.len(), plan, "each step once");
    let requests: BTreeSet<&str> = steps.iter().map(|(_, step)| step.request_id.as_str()).collect();
    assert_eq!(requests.len(), plan, "each with a request of its own");
    let (with_dcc, all) = rig.with_dcc(id).await;
    assert_eq!(with_dcc, all);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_supplier_while_it_is_commissioned() {
    let setup = setup();
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    let (id, point) = (rig.all[0].id, rig.all[0].points[0].clone());
    let gaining = rig
        .lab
        .users()
        .iter()
        .map(users::Client::eui)
        .find(|user| *user != point.supplier)
        .unwrap();
    rig.run_to(0, 5).await;
    rig.reaches(id, State::Commissioning, 6).await;
    let now = rig.now();
    let control = rig.office.control_mut();
    control
        .change_of_supplier(now, point.mpxn, gaining, true, MONDAY)
        .unwrap();
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(id), State::Migrated, "{:?}", rig.codes(id));
    assert!(rig.codes(id).contains("LAB-CO-07"), "{:?}", rig.codes(id));
    assert_eq!(rig.known(id).facts.points[0].supplier, gaining);
    rig.stop().await;
}

/// Committed and authorised is three times what there is room for: each day gets its capacity and no more.
#[tokio::test(start_paused = true)]
async fn three_times_the_capacity() {
    let mut setup = with_demand();
    setup.settings.scaling.capacity[0].per_day = 2;
    setup.settings.scaling.d_min = 1;
    let parts = setup.parts(&electricity_only(12));
    let mut rig = Rig::start(&parts, setup);
    let suppliers: BTreeSet<domain::Eui64> = rig.all.iter().map(|facts| facts.points[0].supplier).collect();
    let of = |supplier| {
        rig.all
            .iter()
            .filter(|facts| facts.points[0].supplier == supplier)
            .count()
    };
    let days = |units| [0, 1].map(|day| (day, units));
    let demand = suppliers.iter().map(|supplier| {
        let units = u32::try_from(of(*supplier)).unwrap();
        demand_of(&rig, *supplier, &days(units))
    });
    let demand = demand.collect();
    commit(&mut rig, demand).await;
    rig.authorise();
    rig.run_to(6, 22).await;
    let campaign = rig.office.control().campaign();
    let slotted: Vec<u32> = campaign.cohorts[&CohortSlug::new("ioc")]
        .days
        .values()
        .map(|day| day.slotted)
        .collect();
    assert!(
        slotted.iter().all(|slots| *slots <= 2) && slotted.contains(&2),
        "{slotted:?}"
    );
    let migrated: Vec<_> = rig
        .all
        .iter()
        .filter(|facts| rig.state(facts.id) == State::Migrated)
        .collect();
    assert_eq!(migrated.len(), usize::try_from(slotted.iter().sum::<u32>()).unwrap());
    let refused = rows_refused(&rig);
    assert_eq!(refused.len(), 12 - migrated.len(), "{refused:?}");
    assert!(refused.iter().all(|code| code == "LAB-MA-10"));
    for facts in rig.all.clone() {
        let (with_dcc, all) = rig.with_dcc(facts.id).await;
        let expected = if rig.state(facts.id) == State::Migrated { all } else { 0 };
        assert_eq!(with_dcc, expected);
    }
    rig.stop().await;
}

/// Some links of the WAN drop at once, on one morning: the cohort is paused, goes on an hour later, and everybody migrates.
#[tokio::test(start_paused = true)]
async fn three_in_ten_links_drop() {
    let mut setup = setup();
    setup.settings.retry.batch_stop.window = 10;
    setup.rules = Box::new(|settings, _| {
        let table = FaultTable {
            error: "LAB-LD-02".into(),
            share_percent: Some(30),
            from: Some("2019-06-10T04:00:00Z".into()),
            until: Some("2019-06-10T16:00:00Z".into()),
            ..FaultTable::default()
        };
        faults::check("campaign.toml", "", &[table], settings).unwrap()
    });
    let parts = setup.parts(&electricity_only(40));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(3, 22).await;
    let entries = entries(&rig);
    let paused = entries
        .iter()
        .find(|entry| matches!(&entry.event, Event::CohortPaused { code, .. } if code == BATCH_STOP));
    let paused = paused.expect("the cohort is paused").at;
    let mut later = entries.iter().filter(|entry| entry.at > paused);
    let resumed = later.find(|entry| matches!(entry.event, Event::CohortResumed { .. }));
    assert_eq!(
        resumed.expect("and goes on").at.since(paused),
        SimDuration::from_mins(60)
    );
    let failed = entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::Failed { .. }));
    assert!(failed.count() >= 5, "those without a link");
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Migrated, "{:?}", rig.codes(facts.id));
    }
    rig.stop().await;
}

/// The S1SP takes ten times as long. No more installations are frozen than may be at once, and none outlives its freeze.
#[tokio::test(start_paused = true)]
async fn an_s1sp_that_is_slow() {
    let mut setup = setup();
    setup.settings.calendar.slots.frozen_max = 4;
    setup.settings.calendar.slots.last = time(6, 30, 0, 0);
    setup.rules = Box::new(|settings, _| {
        let table = FaultTable {
            error: "LAB-LD-03".into(),
            ..FaultTable::default()
        };
        faults::check("campaign.toml", "", &[table], settings).unwrap()
    });
    let parts = setup.parts(&electricity_only(12));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(1, 22).await;
    let (mut frozen, mut most) = (BTreeSet::new(), 0);
    for entry in entries(&rig) {
        assert!(
            !matches!(entry.event, Event::Failed { .. }),
            "no limit of time is broken: {entry:?}"
        );
        if let (Some(id), Some((_, to))) = (entry.installation, entry.change) {
            if to.is_frozen() {
                frozen.insert(id);
            } else {
                frozen.remove(&id);
            }
            most = most.max(frozen.len());
        }
    }
    assert!((1..=4).contains(&most), "{most} at once");
    for facts in rig.all.clone() {
        let known = rig.known(facts.id);
        assert_eq!(
            (known.state, known.attempt.number),
            (State::Migrated, 1),
            "{:?}",
            rig.codes(facts.id)
        );
    }
    rig.stop().await;
}

/// The code that a meter takes while it is its first operator's.
fn native(rig: &Rig, pence: u32, counter: u16) -> (domain::Eui64, String) {
    let parts = rig.lab.parts();
    let device = rig.all[0].device(DeviceKind::Esme).unwrap();
    let relations = parts.custody.relations();
    let key = relations.smso.epoch_key(device.id, 1, None, Purpose::Token);
    let family = &parts.catalogue.find(&device.profile).unwrap().family;
    let token = NativeToken { pence, counter };
    (device.id, token.digits(CodeForm::of_family(family), &key, device.id))
}

/// What the operator before enrolment answers to a code.
async fn enter(link: &mut world::LinkEnd, reference: &str, (device, digits): (domain::Eui64, String)) -> SmsoOutcome {
    let command = SmsoCommand {
        reference: reference.into(),
        device: device.0,
        operation: Some(semantic::operation_to_proto(&Operation::EnterToken(Token(digits)))),
    };
    let body = command.encode_to_vec();
    link.send(Envelope::default(), Kind::SmsoCommand, &body).await.unwrap();
    SmsoOutcome::decode(link.recv().await.unwrap().body).unwrap()
}

/// A home that pays in advance: a code that comes during the freeze reaches the meter through its old operator; just after
/// the migration the DCC is away, so that no code can be had, and the same is had once it is back.
#[tokio::test(start_paused = true)]
async fn top_ups_during_and_after_the_migration() {
    let setup = setup();
    let parts = setup.parts(&estate(1, "").replace("\"credit\"", "\"prepayment\""));
    let mut rig = Rig::start(&parts, setup);
    let mut smso = rig.lab.take_smso_supplier().unwrap();
    let id = rig.all[0].id;
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    let before = enter(&mut smso, "before", native(&rig, 2_000, 1)).await;
    assert_eq!(before.failure, "");
    rig.authorise();
    rig.run_to(0, 5).await;
    rig.reaches(id, State::Frozen, 6).await;
    let frozen = enter(&mut smso, "frozen", native(&rig, 1_000, 2)).await;
    assert_eq!(frozen.failure, "", "top-ups are taken in a freeze");
    rig.until("its end", 12, |rig| rig.state(id) == State::Migrated).await;
    assert!(rig.codes(id).contains("LAB-TU-01"), "{:?}", rig.codes(id));
    let late = enter(&mut smso, "late", native(&rig, 1_000, 3)).await;
    assert_ne!(late.failure, "", "it is no more the operator's");

    let supplier = rig.lab.user_for(meter, UserRole::ImportSupplier).unwrap().clone();
    let limit = SimDuration::from_hours(1);
    let top_up = orders::top_up(meter, Utrn::of_pence(500, 1, 7).unwrap());
    let user = lab::chain::user_name(supplier.eui());
    rig.lab.cut(&user, "dcc");
    let away = supplier.request(&top_up, limit).await;
    let away = away.expect_err("no code while the DCC is away");
    let row = rig.settings.errors.row("LAB-TU-02").unwrap();
    assert_eq!((row.outcome, row.class), (Outcome::None, Some(Class::Transient)));
    let (now, point) = (rig.now(), rig.all[0].points[0].mpxn);
    let found = Found::new("vend-failed").saying(away.to_string());
    rig.office.control_mut().told_by_supplier(now, point, &found).unwrap();
    rig.lab.mend();
    let exchange = supplier.request(&top_up, limit).await.unwrap();
    assert_eq!(exchange.code(), "I0", "the same, once it is back");
    rig.until("the note of it", 1, |rig| rig.codes(id).contains("LAB-TU-02"))
        .await;
    assert_eq!(rig.state(id), State::Migrated, "it is noted, and changes nothing");
    rig.stop().await;
}
