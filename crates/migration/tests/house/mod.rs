//! A small world around the pure core: parties that do what they are told once per reference, a clock that jumps, a store
//! that can die at any write, and a script of faults.
#![allow(dead_code, reason = "each test uses its part")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::{Arc, Mutex};

use domain::{CommunicationsProvider, DeviceKind, Eui64, Mpxn, Seed, SimDuration, SimInstant};
use duis::signature::Scheme;
use jiff::civil::{Date, date};
use migration::day::{instant, plus_days};
use migration::faults::Draft;
use migration::machine::control::{Control, Options};
use migration::machine::event::Entry;
use migration::machine::journal::{self, JournalError};
use migration::machine::model::{DeviceFacts, Facts, PointFacts};
use migration::machine::work::{Instruction, Work};
use migration::machine::{Done, Found, Report, State};
use migration::planning::authorisation::AuthorisationRow;
use migration::planning::gates::{Combination, Environment, ListedModel, Lists};
use migration::planning::intake::ReceivedFile;
use migration::settings::CohortSlug;
use migration::{InstallationId, Settings};
use world::{MemoryStore, Store, StoreError};

pub(crate) const SUPPLIER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
pub(crate) const GAINING: Eui64 = Eui64(0x90B3_D51F_3003_0000);
pub(crate) const MONDAY: Date = date(2019, 6, 10);

/// A model at a firmware.
pub(crate) fn model(name: &str, firmware: &str) -> ListedModel {
    ListedModel {
        manufacturer: "Example".into(),
        model: name.into(),
        firmware: firmware.into(),
    }
}

/// What kind of installation number `n` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub(crate) gas: bool,
    pub(crate) electricity_active: bool,
    pub(crate) gas_active: bool,
    pub(crate) old_firmware: bool,
    pub(crate) ppmid: bool,
    pub(crate) vulnerable: bool,
}

pub(crate) const ACTIVE: Kind = Kind {
    gas: true,
    electricity_active: true,
    gas_active: true,
    old_firmware: false,
    ppmid: false,
    vulnerable: false,
};
pub(crate) const DORMANT: Kind = Kind {
    gas: true,
    electricity_active: false,
    gas_active: false,
    old_firmware: false,
    ppmid: false,
    vulnerable: false,
};
pub(crate) const MIXED: Kind = Kind {
    gas: true,
    electricity_active: true,
    gas_active: false,
    old_firmware: false,
    ppmid: false,
    vulnerable: false,
};
pub(crate) const OLD: Kind = Kind {
    old_firmware: true,
    ..ACTIVE
};
pub(crate) const WITH_PPMID: Kind = Kind { ppmid: true, ..ACTIVE };
pub(crate) const ELECTRICITY: Kind = Kind { gas: false, ..ACTIVE };

pub(crate) fn id(n: u64) -> InstallationId {
    InstallationId(Eui64(0x021A_B000_0000_0000 + n * 16))
}

pub(crate) fn mpan(n: u64) -> Mpxn {
    format!("9900000{n:06}").parse().expect("an MPAN")
}

pub(crate) fn mprn(n: u64) -> Mpxn {
    format!("990{n:06}").parse().expect("an MPRN")
}

/// Facts of installation `n`.
pub(crate) fn facts(n: u64, kind: Kind) -> Facts {
    let hub = id(n).0;
    let firmware = if kind.old_firmware { "OLD" } else { "NEW" };
    let device = |offset: u64, of: DeviceKind, name: &str| DeviceFacts {
        id: Eui64(hub.0 + offset),
        kind: of,
        model: model(name, if of == DeviceKind::Esme { firmware } else { "NEW" }),
        hardware: String::new(),
        serial: format!("S{n}-{offset}"),
        profile: format!("{name}@{firmware}"),
        configuration: String::new(),
        epoch: 1,
    };
    let mut devices = vec![device(0, DeviceKind::Chf, "hub"), device(1, DeviceKind::Esme, "emeter")];
    let point = |mpxn, active| PointFacts {
        mpxn,
        supplier: SUPPLIER,
        network: Eui64(7),
        active,
        prepayment: false,
    };
    let mut points = vec![point(mpan(n), kind.electricity_active)];
    if kind.gas {
        devices.push(device(2, DeviceKind::Gpf, "hub"));
        devices.push(device(3, DeviceKind::Gsme, "gmeter"));
        points.push(point(mprn(n), kind.gas_active));
    }
    if kind.ppmid {
        devices.push(device(4, DeviceKind::Ppmid, "ihd"));
    }
    Facts {
        id: id(n),
        cohort: CohortSlug::new("ioc"),
        provider: CommunicationsProvider::Vodafone,
        hub,
        devices,
        points,
        vulnerable: kind.vulnerable,
    }
}

/// Every combination with firmware NEW is on the EPCL, unless it was removed.
#[derive(Default)]
pub(crate) struct TestLists {
    pub(crate) removed_from: Mutex<Option<Date>>,
}

impl Lists for TestLists {
    fn epcl(&self, combination: &Combination, day: Date) -> Option<String> {
        let removed = self
            .removed_from
            .lock()
            .expect("not poisoned")
            .is_some_and(|from| from <= day);
        (combination.esme.firmware == "NEW" && !removed).then(|| "LAB-E1".to_owned())
    }
    fn cpl_active(&self, _: DeviceKind, _: &ListedModel) -> bool {
        true
    }
    fn upgrade_target(&self, combination: &Combination, _: Date) -> Option<(String, Combination)> {
        let mut target = combination.clone();
        (combination.esme.firmware == "OLD").then(|| {
            target.esme.firmware = "NEW".into();
            ("LAB-E1".to_owned(), target)
        })
    }
}

/// A store that dies at its `die_at`-th write, and then keeps `kept` of what was not committed.
#[derive(Clone)]
pub(crate) struct MortalStore {
    inner: MemoryStore,
    life: Arc<Mutex<Life>>,
}

pub(crate) struct Life {
    pub(crate) writes: u64,
    pub(crate) die_at: Option<u64>,
    pub(crate) kept: usize,
    pending: Vec<Vec<u8>>,
}

impl MortalStore {
    pub(crate) fn new(die_at: Option<u64>, kept: usize) -> Self {
        let life = Life {
            writes: 0,
            die_at,
            kept,
            pending: Vec::new(),
        };
        Self {
            inner: MemoryStore::default(),
            life: Arc::new(Mutex::new(life)),
        }
    }

    /// As another process finds it; dies again at the given write.
    pub(crate) fn reborn(&self, die_at: Option<u64>) -> Self {
        let mut life = self.life.lock().expect("not poisoned");
        let kept: Vec<Vec<u8>> = std::mem::take(&mut life.pending).into_iter().take(life.kept).collect();
        let mut inner = self.inner.reopened();
        for record in kept {
            inner.append(&record).expect("memory");
        }
        inner.commit().expect("memory");
        life.die_at = die_at;
        drop(life);
        Self {
            inner,
            life: Arc::clone(&self.life),
        }
    }

    pub(crate) fn writes(&self) -> u64 {
        self.life.lock().expect("not poisoned").writes
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        journal::replay(&self.inner, &mut |_, entry| entries.push(entry)).expect("a whole journal");
        entries
    }

    fn tick(life: &mut Life) -> Result<(), StoreError> {
        life.writes += 1;
        if life.die_at == Some(life.writes) {
            return Err(StoreError {
                journal: "migration".into(),
                problem: "killed".into(),
            });
        }
        Ok(())
    }
}

impl Store for MortalStore {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let mut life = self.life.lock().expect("not poisoned");
        Self::tick(&mut life)?;
        life.pending.push(record.to_vec());
        Ok(())
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        let mut life = self.life.lock().expect("not poisoned");
        Self::tick(&mut life)?;
        for record in life.pending.drain(..) {
            self.inner.append(&record)?;
        }
        self.inner.commit()
    }
    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.inner.replay(each)
    }
}

/// What a scripted fault does to one try of one piece of work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The party finds this.
    Finds(&'static str),
    /// The same, at another stage.
    FindsAt(migration::settings::Stage, &'static str),
    /// It is done, and this was put right on the way.
    Mends(&'static str),
    /// The same, at another stage.
    MendsAt(migration::settings::Stage, &'static str),
    /// It is done at the device and the party finds this all the same.
    DoneBut(&'static str),
    /// A rotation that the device says did not happen.
    NotRotated,
}

/// Faults by installation, word of the work (a prefix will do) and number of the try; no number: every try.
pub(crate) type Script = Vec<(InstallationId, &'static str, Option<usize>, Fault)>;

/// A device as it is: which epoch its owner has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Truth {
    pub(crate) epoch: u32,
    pub(crate) with_dcc: bool,
}

/// RP, CP and everybody behind them: they remember what they did, by reference, and outlive the control centre.
pub(crate) struct Parties {
    pub(crate) script: Script,
    facts: BTreeMap<InstallationId, Facts>,
    tried: BTreeMap<(InstallationId, String), usize>,
    answered: BTreeMap<(String, InstallationId), Report>,
    pub(crate) truth: BTreeMap<Eui64, Truth>,
    pub(crate) frozen: BTreeSet<InstallationId>,
    pub(crate) secrets: BTreeSet<InstallationId>,
    pub(crate) removed: BTreeSet<InstallationId>,
    /// Every piece of work really done: installation and word, in order.
    pub(crate) done: Vec<(SimInstant, InstallationId, String)>,
    pub(crate) activity: BTreeMap<InstallationId, bool>,
    pub(crate) keys_missing: BTreeSet<InstallationId>,
}

impl Parties {
    pub(crate) fn new(all: &[Facts], script: Script) -> Self {
        let truth = all.iter().flat_map(|facts| &facts.devices);
        Self {
            script,
            truth: truth
                .map(|device| {
                    (
                        device.id,
                        Truth {
                            epoch: device.epoch,
                            with_dcc: false,
                        },
                    )
                })
                .collect(),
            facts: all.iter().map(|facts| (facts.id, facts.clone())).collect(),
            tried: BTreeMap::new(),
            answered: BTreeMap::new(),
            frozen: BTreeSet::new(),
            secrets: BTreeSet::new(),
            removed: BTreeSet::new(),
            done: Vec::new(),
            activity: BTreeMap::new(),
            keys_missing: BTreeSet::new(),
        }
    }

    fn take(&mut self, now: SimInstant, instruction: &Instruction, id: InstallationId) -> Report {
        let key = (instruction.reference.clone(), id);
        if let Some(report) = self.answered.get(&key) {
            return report.clone();
        }
        let report = self.work(now, instruction, id);
        self.answered.insert(key, report.clone());
        report
    }

    fn work(&mut self, now: SimInstant, instruction: &Instruction, id: InstallationId) -> Report {
        let word = instruction.work.word();
        let tried = self.tried.entry((id, word.clone())).or_default();
        let number = *tried;
        *tried += 1;
        let mut fault = self
            .script
            .iter()
            .find(|(of, prefix, nth, _)| *of == id && word.starts_with(prefix) && nth.is_none_or(|nth| nth == number));
        let fault = fault.take().map(|(.., fault)| fault.clone());
        let report = |result, mended| Report {
            reference: instruction.reference.clone(),
            installation: id,
            result,
            mended,
        };
        let found = |kind: &str| Err(vec![Found::new(kind)]);
        match fault {
            Some(Fault::Finds(kind)) => report(found(kind), Vec::new()),
            Some(Fault::FindsAt(stage, kind)) => {
                let found = Found {
                    stage: Some(stage),
                    ..Found::new(kind)
                };
                report(Err(vec![found]), Vec::new())
            }
            Some(Fault::NotRotated) => report(Ok(Done::NotRotated), Vec::new()),
            Some(Fault::DoneBut(kind)) => {
                self.really(now, &instruction.work, id);
                report(found(kind), Vec::new())
            }
            Some(Fault::MendsAt(stage, kind)) => {
                let found = Found {
                    stage: Some(stage),
                    ..Found::new(kind)
                };
                report(Ok(self.really(now, &instruction.work, id)), vec![found])
            }
            Some(Fault::Mends(kind)) => report(Ok(self.really(now, &instruction.work, id)), vec![Found::new(kind)]),
            None => report(Ok(self.really(now, &instruction.work, id)), Vec::new()),
        }
    }

    fn really(&mut self, now: SimInstant, work: &Work, id: InstallationId) -> Done {
        self.done.push((now, id, work.word()));
        let facts = self.facts.get_mut(&id).expect("a known installation");
        match work {
            Work::Activate => Done::Activated,
            Work::Configure { device, configuration } => {
                let mut devices = facts.devices.iter_mut();
                let of = devices.find(|known| known.id == *device).expect("a known device");
                of.configuration.clone_from(configuration);
                Done::Configured {
                    configuration: configuration.clone(),
                }
            }
            Work::Decommission => {
                self.removed.insert(id);
                Done::Removed
            }
            Work::Deliver => Done::Validated,
            Work::Extract => Done::Extracted {
                devices: facts.devices.clone(),
                master_keys: !self.keys_missing.contains(&id),
                active: Some(
                    self.activity
                        .get(&id)
                        .copied()
                        .unwrap_or(facts.points.iter().any(|p| p.active)),
                ),
            },
            Work::Freeze => {
                self.frozen.insert(id);
                Done::Frozen {
                    taken_at: now,
                    devices: facts.devices.clone(),
                }
            }
            Work::Outcome => Done::OutcomeTaken,
            Work::Probe { .. } => Done::Probed,
            Work::Purge => {
                self.secrets.remove(&id);
                Done::Purged
            }
            Work::Rotate { device, epoch } => {
                let truth = self.truth.get_mut(device).expect("a known device");
                assert!(truth.epoch < *epoch || truth.with_dcc, "an epoch never comes again");
                *truth = Truth {
                    epoch: *epoch,
                    with_dcc: true,
                };
                Done::Rotated { epoch: *epoch }
            }
            Work::Secrets => {
                self.secrets.insert(id);
                Done::Delivered
            }
            Work::Step { step, .. } => Done::Step {
                request_id: format!("R:{step}"),
                response_code: "I0".into(),
                octets: 100,
            },
            Work::Unfreeze => {
                self.frozen.remove(&id);
                Done::Unfrozen
            }
            Work::Upgrade { device, to } => {
                let of = facts
                    .devices
                    .iter_mut()
                    .find(|known| known.id == *device)
                    .expect("a known device");
                of.model = to.clone();
                Done::Upgraded {
                    model: to.clone(),
                    profile: "emeter@NEW".into(),
                }
            }
            Work::Viability => Done::Viable,
        }
    }
}

/// Everything together.
pub(crate) struct House {
    pub(crate) control: Option<Control>,
    pub(crate) store: MortalStore,
    pub(crate) parties: Parties,
    pub(crate) settings: Arc<Settings>,
    pub(crate) lists: Arc<TestLists>,
    pub(crate) now: SimInstant,
    pub(crate) committed: bool,
    /// How long work takes whose word begins so.
    pub(crate) slow: Vec<(&'static str, SimDuration)>,
    reports: BinaryHeap<Reverse<(SimInstant, u64, Report2)>>,
    sequence: u64,
    /// Acts at given instants, done once.
    acts: Vec<(SimInstant, Act)>,
    pub(crate) deaths: usize,
}

type Act = Arc<dyn Fn(&mut Control, SimInstant) -> Result<(), JournalError>>;

#[derive(PartialEq, Eq)]
struct Report2(Report);

impl PartialOrd for Report2 {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Report2 {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.0.reference, self.0.installation).cmp(&(&other.0.reference, other.0.installation))
    }
}

impl House {
    /// Installations 1 to n of the given kinds, authorised where active for the week of [`MONDAY`].
    pub(crate) fn new(kinds: &[Kind], script: Script) -> Self {
        Self::with(
            kinds,
            script,
            Settings::builtin().expect("built-in settings"),
            MortalStore::new(None, 0),
        )
    }

    pub(crate) fn with(kinds: &[Kind], script: Script, settings: Settings, store: MortalStore) -> Self {
        Self::spoilt(kinds, script, settings, store, |_, _| {})
    }

    /// The same, with something done to the authorisation before it is sent.
    pub(crate) fn spoilt(
        kinds: &[Kind],
        script: Script,
        settings: Settings,
        store: MortalStore,
        spoil: impl FnOnce(&mut Draft, &Settings),
    ) -> Self {
        let start = instant(plus_days(MONDAY, -14), jiff::civil::time(6, 0, 0, 0));
        let all: Vec<Facts> = (1u64..).zip(kinds).map(|(n, kind)| facts(n, *kind)).collect();
        let mut house = Self {
            control: None,
            store,
            parties: Parties::new(&all, script),
            settings: Arc::new(settings),
            lists: Arc::default(),
            now: start,
            committed: false,
            slow: Vec::new(),
            reports: BinaryHeap::new(),
            sequence: 0,
            acts: Vec::new(),
            deaths: 0,
        };
        house.at(start, move |control, now| {
            all.iter().try_for_each(|facts| control.register(now, facts.clone()))
        });
        let mut draft = house.authorisation(kinds, MONDAY);
        spoil(&mut draft, &house.settings);
        if !draft.rows.is_empty() {
            house.send(&draft);
        }
        for days in 0..28 {
            let day = plus_days(MONDAY, days - 10);
            let six = instant(day, jiff::civil::time(5, 30, 0, 0));
            house.at(six, move |control, now| control.plan_day(now, day));
        }
        house
    }

    /// The authorisation of the active points for a week, as it is sent on the Tuesday before.
    pub(crate) fn authorisation(&self, kinds: &[Kind], week: Date) -> Draft {
        let points = (1u64..).zip(kinds).flat_map(|(n, kind)| {
            [
                (kind.electricity_active, mpan(n)),
                (kind.gas && kind.gas_active, mprn(n)),
            ]
        });
        let rows: Vec<AuthorisationRow> = points
            .filter(|(active, _)| *active)
            .zip(1u32..)
            .map(|((_, mpxn), row)| AuthorisationRow {
                row,
                mpxn,
                not_before: week,
                not_after: plus_days(week, 6),
                supplier: SUPPLIER,
                signing_certificate: "0A".into(),
                agreement_certificate: "0A".into(),
                prepayment: false,
                withdraw: false,
            })
            .collect();
        let at = instant(plus_days(week, -6), jiff::civil::time(9, 0, 0, 0));
        Draft::new(&self.settings, "CGI", SUPPLIER, at, "pw", rows)
    }

    /// Sends the files of a draft when it says, one after the other.
    pub(crate) fn send(&mut self, draft: &Draft) {
        let files = draft.files(&self.settings).expect("protected");
        for (file, at) in files.into_iter().zip([draft.at, draft.at + SimDuration::from_secs(1)]) {
            self.at(at, move |control, now| {
                control.receive(
                    now,
                    ReceivedFile {
                        at: now,
                        ..file.clone()
                    },
                )
            });
        }
    }

    /// Does something at an instant.
    pub(crate) fn at(
        &mut self,
        at: SimInstant,
        act: impl Fn(&mut Control, SimInstant) -> Result<(), JournalError> + 'static,
    ) {
        self.acts.push((at, Arc::new(act)));
        self.acts.sort_by_key(|(at, _)| *at);
    }

    fn open(&mut self) {
        loop {
            let options = Options {
                name: "test".into(),
                environment: Environment::Live,
                signatures: Scheme::P256,
                settings: Arc::clone(&self.settings),
                lists: Arc::clone(&self.lists) as _,
                certificates: Arc::new(|serial: &str| serial == "0A"),
                seed: (1, Seed::root(1)),
                store: Box::new(self.store.clone()),
                demand_is_committed: self.committed,
            };
            match Control::open(options, self.now) {
                Ok(control) => {
                    self.control = Some(control);
                    return;
                }
                Err(error) => self.died(&error),
            }
        }
    }

    fn died(&mut self, error: &JournalError) {
        assert!(error.to_string().contains("killed"), "{error}");
        self.deaths += 1;
        self.control = None;
        self.store = self.store.reborn(None);
        // What was on the way to the dead control centre is lost with it.
        self.reports.clear();
    }

    /// Runs until an instant.
    pub(crate) fn run_until(&mut self, until: SimInstant) {
        loop {
            if self.control.is_none() {
                self.open();
            }
            let step = self.step(until);
            match step {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.died(&error),
            }
        }
    }

    fn step(&mut self, until: SimInstant) -> Result<bool, JournalError> {
        let control = self.control.as_mut().expect("open");
        control.commit()?;
        while let Some(instruction) = control.next_instruction() {
            for id in instruction.installations.clone() {
                let report = self.parties.take(self.now, &instruction, id);
                self.sequence += 1;
                let word = instruction.work.word();
                let slow = self.slow.iter().find(|(prefix, _)| word.starts_with(prefix));
                let took = match instruction.work {
                    _ if slow.is_some() => slow.map_or(SimDuration::ZERO, |(_, took)| *took),
                    Work::Viability => SimDuration::from_mins(70),
                    Work::Step { .. } => SimDuration::from_mins(2),
                    _ => SimDuration::from_secs(20),
                };
                self.reports
                    .push(Reverse((self.now + took, self.sequence, Report2(report))));
            }
        }
        let control = self.control.as_mut().expect("open");
        let report = self.reports.peek().map(|Reverse((at, ..))| *at);
        let act = self.acts.first().map(|(at, _)| *at);
        let Some(next) = [report, act, control.next_wake()].into_iter().flatten().min() else {
            return Ok(false);
        };
        if next > until {
            self.now = until;
            return Ok(false);
        }
        self.now = self.now.max(next);
        if act == Some(next) {
            // An act is repeated when the control centre dies over it: whoever asked asks again.
            let (_, act) = self.acts.first().cloned().expect("just seen");
            act(control, self.now)?;
            control.commit()?;
            self.acts.remove(0);
        } else if report == Some(next) {
            let Reverse((_, _, Report2(report))) = self.reports.pop().expect("just seen");
            control.report(self.now, report)?;
        } else {
            control.wake(self.now)?;
        }
        Ok(true)
    }

    /// Runs through the week of [`MONDAY`] and the one after.
    pub(crate) fn run(&mut self) {
        self.run_until(instant(plus_days(MONDAY, 17), jiff::civil::time(6, 0, 0, 0)));
    }

    pub(crate) fn control(&self) -> &Control {
        self.control.as_ref().expect("open")
    }

    pub(crate) fn state(&self, n: u64) -> State {
        self.control().campaign().installation(id(n)).expect("known").state
    }

    /// Codes of the open cases of installation `n`, and of the notes.
    pub(crate) fn cases(&self, n: u64) -> Vec<String> {
        let of = |case: &&migration::machine::campaign::Case| case.installation == Some(id(n));
        self.control()
            .campaign()
            .cases
            .values()
            .filter(of)
            .map(|case| case.record.code.clone())
            .collect()
    }

    pub(crate) fn notes(&self, n: u64) -> Vec<String> {
        let known = self.control().campaign().installation(id(n)).expect("known");
        known.notes.iter().map(|note| note.code.clone()).collect()
    }

    pub(crate) fn last_failure(&self, n: u64) -> Option<String> {
        let known = self.control().campaign().installation(id(n)).expect("known");
        known.last_failure.as_ref().map(|failure| failure.code.clone())
    }

    /// How every installation ended: what two runs must agree on.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let line = |known: &migration::machine::model::Installation| {
            format!(
                "{} {} attempts {} counted {}",
                known.id(),
                known.state,
                known.attempt.number,
                known.counted
            )
        };
        self.control().campaign().installations().map(line).collect()
    }
}
