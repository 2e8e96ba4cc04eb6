//! The device rules of the built-in profiles, seen on an installation that has them.

use dmc::{Catalogue, DeviceProfile};
use domain::keys::{Party, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{
    Access, Answer, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, LogRow, Mpan, Mprn, Operation,
    Outcome, Refusal, Seed, SimDuration, SimInstant, SupplyState, Value,
};
use meter::{Context, Effect, Installation, InstallationConfig, Profiles, Relations};

/// A dual-fuel home with these profiles.
struct Home {
    profiles: [std::sync::Arc<DeviceProfile>; 4],
    relations: Relations,
    critical: CriticalOperations,
    now: SimInstant,
    installation: Option<Installation>,
}

impl Home {
    fn new(chf: &str, esme: &str, gpf: &str, gsme: &str) -> Self {
        let catalogue = Catalogue::builtin().expect("the built-in profiles load");
        let profile = |name: &str| catalogue.find(name).expect("a built-in profile").clone();
        let mut home = Self {
            profiles: [profile(chf), profile(esme), profile(gpf), profile(gsme)],
            relations: Relations {
                smso: RelationSecret::new([1; 32]),
                s1sp: RelationSecret::new([2; 32]),
                dco: RelationSecret::new([3; 32]),
            },
            // What is critical is the business of the service request table, not of profiles.
            critical: CriticalOperations::default(),
            now: "2019-03-20T10:07:00Z".parse().expect("an instant"),
            installation: None,
        };
        let mpan = Mpan::new(1_200_000_000_001).expect("a metering point");
        let mut config = InstallationConfig::new(Eui64(1), Eui64(2), mpan, Seed::root(7));
        config.gas = Some((Eui64(3), Eui64(4)));
        config.mprn = Mprn::new(1_234_567).ok();
        home.installation = Some(Installation::new(&config, &home.context()));
        home
    }

    fn base() -> Self {
        Self::new("am110r@BASE", "as300p@BASE", "am110r-gpf@BASE", "bk-g4e@BASE")
    }

    fn context(&self) -> Context<'_> {
        let [chf, esme, gpf, gsme] = &self.profiles;
        Context {
            now: self.now,
            profiles: Profiles {
                chf: &chf.meter,
                esme: &esme.meter,
                gpf: Some(&gpf.meter),
                gsme: Some(&gsme.meter),
                ppmid: None,
                ihd: None,
            },
            relations: &self.relations,
            critical: &self.critical,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Installation, &Context<'_>) -> T) -> T {
        let mut installation = self.installation.take().expect("the home is built");
        let result = act(&mut installation, &self.context());
        self.installation = Some(installation);
        result
    }

    fn execute(&mut self, slot: DeviceKind, operation: &Operation) -> Execution {
        let association = if operation.changes_state() {
            Association::Critical
        } else {
            Association::Management
        };
        let access = Access {
            association,
            party: Some(Party::S1sp),
        };
        self.with(|installation, context| installation.execute(context, slot, access, operation, None))
    }

    fn done(&mut self, slot: DeviceKind, operation: &Operation) -> Outcome {
        match self.execute(slot, operation) {
            Execution::Finished(outcome) => outcome,
            Execution::Queued(ticket) => panic!("queued as {ticket}"),
        }
    }

    fn read(&mut self, slot: DeviceKind, item: DataItem) -> Result<Value, Refusal> {
        match self.done(slot, &Operation::Read(item))? {
            Answer::Value(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    fn log(&mut self, slot: DeviceKind, log: LogKind, days: u64) -> Vec<LogRow> {
        let from = self.now - SimDuration::from_days(days);
        match self.done(
            slot,
            &Operation::ReadLog {
                log,
                from,
                to: self.now,
            },
        ) {
            Ok(Answer::Log(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass until the installation reports a late result, at most a day.
    fn late_result(&mut self) -> (SimDuration, Outcome) {
        let start = self.now;
        while self.now.since(start) < SimDuration::from_days(1) {
            let next = self.with(|installation, _| installation.next_wake());
            self.now = next.max(self.now + SimDuration::from_secs(1));
            self.with(|installation, context| installation.wake(context));
            while let Some(effect) = self.with(|installation, _| installation.pop_effect()) {
                if let Effect::LateResult { outcome, .. } = effect {
                    return (self.now.since(start), outcome);
                }
            }
        }
        panic!("no late result within a day");
    }
}

#[test]
fn an_electricity_meter_of_the_lab_differs_in_what_its_rules_say() {
    let esme = DeviceKind::Esme;
    let mut base = Home::base();
    let mut lab = Home::new("am110r@BASE", "as300p@LAB-E001", "am110r-gpf@BASE", "bk-g4e@BASE");

    assert!(base.read(esme, DataItem::ReactiveImport).is_ok());
    assert_eq!(lab.read(esme, DataItem::ReactiveImport), Err(Refusal::NotSupported));
    assert_eq!(
        lab.read(esme, DataItem::FirmwareVersion),
        Ok(Value::Text("LAB 01.02.03.0004".into()))
    );

    assert_eq!(base.log(esme, LogKind::DailyRead, 40).len(), 14);
    assert_eq!(lab.log(esme, LogKind::DailyRead, 40).len(), 10);

    let (plain, doubled) = (
        base.log(esme, LogKind::ActiveImport, 2),
        lab.log(esme, LogKind::ActiveImport, 2),
    );
    assert_eq!(plain.len(), 96);
    assert!(
        plain
            .iter()
            .zip(&doubled)
            .all(|(a, b)| a.values[0].1.value * 2 == b.values[0].1.value)
    );
    assert!(plain.iter().any(|row| row.values[0].1.value > 0));

    for (home, state) in [(&mut base, SupplyState::Enabled), (&mut lab, SupplyState::Armed)] {
        home.done(esme, &Operation::DisableSupply).unwrap();
        home.done(esme, &Operation::EnableSupply).unwrap();
        assert_eq!(home.read(esme, DataItem::SupplyState), Ok(Value::Supply(state)));
    }
}

#[test]
fn a_clock_that_is_only_corrected_within_its_tolerance() {
    let set = |home: &mut Home| {
        let time = home.now + SimDuration::from_mins(10);
        home.done(DeviceKind::Esme, &Operation::SynchroniseClock { time, tolerance_s: 10 })
    };
    assert!(set(&mut Home::base()).is_ok());
    let mut lab = Home::new("am110r@BASE", "as300p@LAB-E002", "am110r-gpf@BASE", "bk-g4e@BASE");
    assert!(set(&mut lab).is_err());
}

#[test]
fn gas_commands_wait_for_the_wake_the_profile_has() {
    let mut base = Home::base();
    assert!(matches!(
        base.execute(DeviceKind::Gsme, &Operation::ArmSupply),
        Execution::Queued(_)
    ));
    let (after, outcome) = base.late_result();
    assert_eq!(outcome, Ok(Answer::Done));
    assert!(
        after > SimDuration::from_mins(30) && after <= SimDuration::from_mins(60),
        "{after}"
    );

    let mut lab = Home::new("am110r@BASE", "as300p@BASE", "am110r-gpf@BASE", "bk-g4e@LAB-G001");
    lab.execute(DeviceKind::Gsme, &Operation::ArmSupply);
    let (after, outcome) = lab.late_result();
    assert_eq!(outcome, Err(Refusal::WrongState), "arming needs a disabled supply");
    assert!(after <= SimDuration::from_mins(45), "{after}");
}

#[test]
fn a_hub_with_a_short_queue_is_soon_busy() {
    let queue = |mut home: Home| {
        (0..5)
            .map(|_| home.execute(DeviceKind::Gsme, &Operation::ArmSupply))
            .collect()
    };
    let held = |executions: Vec<Execution>| {
        executions
            .iter()
            .filter(|execution| matches!(execution, Execution::Queued(_)))
            .count()
    };
    assert_eq!(held(queue(Home::base())), 5);
    let lab: Vec<Execution> = queue(Home::new(
        "am110r@LAB-C001",
        "as300p@BASE",
        "am110r-gpf@BASE",
        "bk-g4e@BASE",
    ));
    assert_eq!(lab[2], Execution::Finished(Err(Refusal::Busy)));
    assert_eq!(held(lab), 2);
}

#[test]
fn a_lagging_mirror_shows_older_gas() {
    let consumption = |mut home: Home| {
        // Ten minutes after a wake the plain mirror has the report; the lagging one shows the one before.
        home.now = "2019-03-20T18:00:00Z".parse().unwrap();
        let mut seen = Vec::new();
        for _ in 0..48 {
            home.now += SimDuration::from_mins(5);
            home.with(|installation, context| installation.wake(context));
            seen.push(match home.read(DeviceKind::Gpf, DataItem::GasConsumption) {
                Ok(Value::Quantity(quantity)) => quantity.value,
                other => panic!("{other:?}"),
            });
        }
        seen
    };
    let plain = consumption(Home::base());
    let lagging = consumption(Home::new(
        "am110r@BASE",
        "as300p@BASE",
        "am110r-gpf@LAB-P001",
        "bk-g4e@BASE",
    ));
    assert!(plain.iter().zip(&lagging).all(|(plain, lagging)| plain >= lagging));
    assert_ne!(plain, lagging);
}

#[test]
fn a_result_is_waited_for_as_long_as_its_gas_meter_needs() {
    let catalogue = Catalogue::builtin().expect("the built-in profiles load");
    for (profile, minutes) in [
        ("bk-g4e@BASE", 60),
        // Wakes every two hours.
        ("lg-gas-dxc@LAB-L002", 240),
        // Results leave two wakes later.
        ("itron-gsme@LAB-J001", 90),
        // One wake in five does not reach the hub: nine in a row once in two million times.
        ("edmi-gas@LAB-X002", 330),
    ] {
        let within = catalogue.find(profile).expect("a built-in profile").result_within();
        assert_eq!(within, SimDuration::from_mins(minutes), "{profile}");
    }
}
