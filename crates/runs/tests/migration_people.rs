//! What customers and suppliers do while an installation migrates: a change of supplier at every state, prepayment with its
//! credit, its emergency credit and its top-ups, customers who are vulnerable.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod parties;

use domain::keys::Purpose;
use domain::operation::Token;
use domain::utrn::{CodeForm, NativeToken};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, SimDuration, UserRole, Value};
use lab::config::ChangeConfig;
use migration::day::plus_days;
use migration::faults::{self, FaultTable};
use migration::machine::State;
use parties::{MONDAY, Rig, Setup, drafts, estate};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use world::{LinkEnd, semantic};

/// Another supplier than this one.
fn gaining(rig: &Rig, losing: Eui64) -> Eui64 {
    let mut users = rig.lab.users().iter().map(users::Client::eui);
    users.find(|user| *user != losing).unwrap()
}

/// What holds an installation for a while where it else passes at once.
fn held_at(state: State) -> Option<&'static str> {
    match state {
        State::DataValidated => Some("LAB-SD-03"),
        State::Commissioned => Some("LAB-CF-01"),
        State::Confirmed => Some("LAB-CF-02"),
        _ => None,
    }
}

/// An installation changes its supplier of electricity today, at the instant when it is in a state.
async fn changes_supplier_at(state: State) -> (Rig, State) {
    let mut setup = Setup::new();
    setup.rules = Box::new(move |settings, _| {
        let tables = held_at(state).map(|error| FaultTable {
            error: error.into(),
            times: Some(1),
            ..FaultTable::default()
        });
        faults::check("campaign.toml", "", tables.as_slice(), settings).unwrap()
    });
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    let (id, point) = (rig.all[0].id, rig.all[0].points[0].clone());
    if state != State::Eligible {
        rig.authorise();
    }
    if !matches!(state, State::Eligible | State::Authorised) {
        rig.run_to(0, 5).await;
    }
    rig.reaches(id, state, 12).await;
    let (now, to) = (rig.now(), gaining(&rig, point.supplier));
    let today = migration::day::day_of(now);
    let control = rig.office.control_mut();
    control.change_of_supplier(now, point.mpxn, to, true, today).unwrap();
    rig.run_to(4, 22).await;
    let ended = rig.state(id);
    assert_eq!(rig.known(id).facts.points[0].supplier, to, "{state}");
    (rig, ended)
}

#[tokio::test(start_paused = true)]
async fn a_change_of_supplier_before_the_point_of_no_return_ends_what_was_authorised() {
    for state in [
        State::Eligible,
        State::Authorised,
        State::Slotted,
        State::Frozen,
        State::DataValidated,
        State::SecretsDelivered,
        State::S1spViable,
    ] {
        let (rig, ended) = changes_supplier_at(state).await;
        let id = rig.all[0].id;
        let expected = if state == State::Eligible {
            State::Eligible
        } else {
            State::Cancelled
        };
        assert_eq!(ended, expected, "{state}: {:?}", rig.codes(id));
        assert_eq!(rig.with_dcc(id).await.0, 0, "{state}: no device was touched");
        let known = rig.known(id);
        assert_eq!(
            known.unwind,
            migration::machine::model::Unwind::default(),
            "{state}: all is undone"
        );
        assert_eq!(known.counted, 0, "{state}: nobody's failure");
        let fleet = rig.lab.fleet().unwrap();
        let read = Operation::Read(DataItem::StagedKeyEpoch);
        for (device, _) in known.keyed().filter(|(device, _)| device.kind != DeviceKind::Gsme) {
            let staged = fleet.true_read(device.id, read.clone()).await.unwrap();
            let none = matches!(staged, Ok(Answer::Value(Value::Quantity(quantity))) if quantity.value == 0);
            assert!(none, "{state}: {} {staged:?}", device.kind);
        }
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_supplier_after_the_point_of_no_return_changes_nothing_of_the_migration() {
    for state in [
        State::KeysRotated,
        State::Commissioning,
        State::Commissioned,
        State::Confirmed,
        State::Migrated,
    ] {
        let (rig, ended) = changes_supplier_at(state).await;
        let id = rig.all[0].id;
        assert_eq!(ended, State::Migrated, "{state}: {:?}", rig.codes(id));
        assert!(rig.codes(id).contains("LAB-CO-07"), "{state}: {:?}", rig.codes(id));
        let (with_dcc, all) = rig.with_dcc(id).await;
        assert_eq!(with_dcc, all, "{state}");
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_gaining_supplier_authorises_anew() {
    let setup = Setup::new();
    let home = estate(1, "");
    let before = setup.parts(&home);
    let point = runs::campaign::facts_of(&before, &before.estate.sites().next().unwrap()).points[0].clone();
    let to = before.pki.users.iter().map(|user| user.eui).find(|user| {
        let own = before.pki.users.iter().find(|known| known.eui == *user).unwrap();
        *user != point.supplier && own.organisation.is_some() && own.roles.contains(&UserRole::ImportSupplier)
    });
    let to = to.unwrap();
    // On the Tuesday of the week before.
    let parts = setup.parts_with(&home, |config| {
        config.access.changes.push(ChangeConfig {
            mpxn: point.mpxn.to_string(),
            role: "IS".to_owned(),
            user: to.to_string(),
            from: "2019-06-04".to_owned(),
        });
    });
    let mut rig = Rig::start(&parts, setup);
    let id = rig.all[0].id;
    rig.authorise();
    rig.reaches(id, State::Authorised, 12).await;
    rig.run_to(-6, 6).await;
    let now = rig.now();
    let today = migration::day::day_of(now);
    let control = rig.office.control_mut();
    control.change_of_supplier(now, point.mpxn, to, true, today).unwrap();
    assert_eq!(rig.state(id), State::Cancelled);
    // The gaining supplier's file is for the same week.
    let facts = rig.known(id).facts.as_ref().clone();
    for mut draft in drafts(&rig.settings, &[facts], now + SimDuration::from_hours(1)) {
        rig.office.run_until(draft.at).await.unwrap();
        draft.rows.retain(|row| row.mpxn == point.mpxn);
        if !draft.rows.is_empty() {
            assert_eq!(draft.sender, to);
            rig.send(&draft);
        }
    }
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(id), State::Migrated, "{:?}", rig.codes(id));
    rig.stop().await;
}

/// The supplier of a home before enrolment.
struct Smso {
    link: LinkEnd,
    number: u32,
}

impl Smso {
    fn of(rig: &mut Rig) -> Self {
        let link = rig.lab.take_smso_supplier().unwrap();
        Self { link, number: 0 }
    }

    async fn does(&mut self, device: Eui64, operation: Operation) -> SmsoOutcome {
        self.number += 1;
        let command = SmsoCommand {
            reference: format!("supplier {}", self.number),
            device: device.0,
            operation: Some(semantic::operation_to_proto(&operation)),
        };
        let body = command.encode_to_vec();
        self.link
            .send(Envelope::default(), Kind::SmsoCommand, &body)
            .await
            .unwrap();
        SmsoOutcome::decode(self.link.recv().await.unwrap().body).unwrap()
    }

    async fn tops_up(&mut self, rig: &Rig, pence: u32) -> SmsoOutcome {
        let parts = rig.lab.parts();
        let device = rig.all[0].device(DeviceKind::Esme).unwrap();
        let relations = parts.custody.relations();
        let key = relations.smso.epoch_key(device.id, 1, None, Purpose::Token);
        let family = &parts.catalogue.find(&device.profile).unwrap().family;
        let counter = u16::try_from(self.number + 1).unwrap();
        let digits = NativeToken { pence, counter }.digits(CodeForm::of_family(family), &key, device.id);
        self.does(device.id, Operation::EnterToken(Token(digits))).await
    }
}

/// A quantity as the meter itself has it.
async fn truth(rig: &Rig, item: DataItem) -> i64 {
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    let fleet = rig.lab.fleet().unwrap();
    match fleet.true_read(meter, Operation::Read(item)).await.unwrap() {
        Ok(Answer::Value(Value::Quantity(quantity))) => quantity.value,
        other => panic!("{item}: {other:?}"),
    }
}

/// One home that pays in advance, authorised.
fn prepaying() -> (Rig, Smso) {
    let setup = Setup::new();
    let parts = setup.parts(&estate(1, "").replace("\"credit\"", "\"prepayment\""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    let smso = Smso::of(&mut rig);
    (rig, smso)
}

#[tokio::test(start_paused = true)]
async fn nobody_is_frozen_near_disconnection_and_a_top_up_lets_it_go_on() {
    let (mut rig, mut smso) = prepaying();
    let id = rig.all[0].id;
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    rig.run_to(0, 5).await;
    let balance = truth(&rig, DataItem::MeterBalance).await;
    let down = smso.does(meter, Operation::AdjustBalance(100_000 - balance)).await;
    assert_eq!(down.failure, "");
    rig.run_to(0, 22).await;
    assert_eq!(rig.state(id), State::RetryWait, "{:?}", rig.codes(id));
    assert!(rig.codes(id).contains("LAB-DV-08"), "{:?}", rig.codes(id));
    assert_eq!((rig.known(id).counted, rig.with_dcc(id).await.0), (0, 0));
    // It is its operator's again, which takes more than top-ups.
    let read = smso.does(meter, Operation::Read(DataItem::MeterBalance)).await;
    assert_eq!(read.failure, "");
    assert_eq!(smso.tops_up(&rig, 3_000).await.failure, "");
    rig.run_to(1, 22).await;
    assert_eq!(rig.state(id), State::Migrated, "{:?}", rig.codes(id));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn emergency_credit_and_a_top_up_in_flight_outlive_the_freeze() {
    let (mut rig, mut smso) = prepaying();
    let id = rig.all[0].id;
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    let balance = truth(&rig, DataItem::MeterBalance).await;
    // Down to where emergency credit is offered, taken, and up again over the margin: what was lent stays owed.
    let low = smso.does(meter, Operation::AdjustBalance(50_000 - balance)).await;
    assert_eq!(low.failure, "");
    let lent = smso.does(meter, Operation::ActivateEmergencyCredit).await;
    assert_eq!(lent.failure, "");
    assert_eq!(smso.tops_up(&rig, 4_000).await.failure, "");
    rig.run_to(0, 5).await;
    rig.reaches(id, State::Frozen, 6).await;
    let before = truth(&rig, DataItem::MeterBalance).await;
    let emergency = truth(&rig, DataItem::EmergencyCreditBalance).await;
    let frozen = smso.does(meter, Operation::AdjustBalance(1)).await;
    assert!(frozen.failure.contains("frozen"), "{frozen:?}");
    let in_flight = smso.tops_up(&rig, 1_500).await;
    assert_eq!(in_flight.failure, "", "a top-up reaches it in the freeze");
    let after = truth(&rig, DataItem::MeterBalance).await;
    assert!(
        after > before && after <= before + 1_500_000,
        "{before} and 1500 p make {after}, less what was used and is recovered"
    );
    rig.until("its end", 12, |rig| rig.state(id) == State::Migrated).await;
    assert!(rig.codes(id).contains("LAB-TU-01"), "{:?}", rig.codes(id));
    assert_eq!(
        truth(&rig, DataItem::EmergencyCreditBalance).await,
        emergency,
        "nobody is lent more or less"
    );
    let late = smso.tops_up(&rig, 100).await;
    assert_ne!(late.failure, "", "the way of its codes changed with its keys");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn vulnerable_customers_are_left_alone_at_the_end_of_the_week() {
    let mut setup = Setup::new();
    setup.vulnerable = vec![0];
    let parts = setup.parts(&estate(2, ""));
    let mut rig = Rig::start(&parts, setup);
    let all = rig.all.clone();
    // Friday to Sunday are never theirs.
    for mut draft in drafts(&rig.settings, &all, rig.now()) {
        draft
            .rows
            .iter_mut()
            .for_each(|row| row.not_before = plus_days(MONDAY, 4));
        rig.send(&draft);
    }
    rig.run_to(6, 23).await;
    assert_eq!(rig.state(all[1].id), State::Migrated, "{:?}", rig.codes(all[1].id));
    let known = rig.known(all[0].id);
    assert_eq!(known.attempt.number, 0, "{}", known.state);
    assert_eq!(rig.with_dcc(all[0].id).await.0, 0);
    rig.stop().await;

    let mut setup = Setup::new();
    setup.vulnerable = vec![0];
    let parts = setup.parts(&estate(2, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.authorise();
    rig.run_to(3, 22).await;
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Migrated, "from Monday to Thursday they are");
    }
    rig.stop().await;
}
