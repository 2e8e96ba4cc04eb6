//! A lab with both parties of a migration and their control centre: what the tests of migrations start from.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use domain::{DeviceKind, Eui64, SimDuration, SimInstant};
use jiff::civil::{Date, date, time};
use lab::parts::Parts;
use lab::{Config, Lab};
use migration::day::{instant, plus_days};
use migration::faults::{Draft, FaultRule, Rule, Target};
use migration::machine::control::{Control, Options};
use migration::machine::event::Event;
use migration::machine::model::{Facts, Installation};
use migration::machine::{State, journal};
use migration::party::{Cp, Office, Rp};
use migration::planning::authorisation::AuthorisationRow;
use migration::planning::gates::{Combination, Environment, ListedModel, Lists};
use migration::{InstallationId, Settings};
use proto::{Envelope, FileDelivery, Kind, Message};
use runs::campaign::{Parties, PartiesOptions, facts_of};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::{LinkName, Verdict, World};

/// The Monday of the week they migrate in.
pub(crate) const MONDAY: Date = date(2019, 6, 10);

/// Installations of the first release that are with their operator before enrolment.
pub(crate) fn estate(count: usize, more: &str) -> String {
    format!(
        "[estate]\nname = \"parties\"\nsource = \"invented: installations to be moved\"\n\n[[template]]\nname = \"smso\"\n\
         count = {count}\nprovider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\n\
         gpf = \"am110r-gpf@BASE\"\ngsme = \"bk-g4e@BASE\"\npayment_mode = \"credit\"\nenrolled = false\n\n{more}"
    )
}

/// One installation more, without gas.
pub(crate) const ELECTRICITY_ONLY: &str = r#"
[[template]]
name = "electricity-only"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
payment_mode = "credit"
enrolled = false
"#;

/// A set of files that left: from whom, to whom, what.
pub(crate) type Sent = (String, String, FileDelivery);

/// Whether files name an installation, in what anybody can read of them.
pub(crate) fn is_about(delivery: &FileDelivery, id: InstallationId) -> bool {
    let name = id.to_string();
    let octets = delivery.encode_to_vec();
    octets.windows(name.len()).any(|window| window == name.as_bytes())
}

/// All that is in the estate may be enrolled.
pub(crate) struct All;

impl Lists for All {
    fn epcl(&self, _: &Combination, _: Date) -> Option<String> {
        Some("LAB-E1".into())
    }
    fn cpl_active(&self, _: DeviceKind, _: &ListedModel) -> bool {
        true
    }
    fn upgrade_target(&self, _: &Combination, _: Date) -> Option<(String, Combination)> {
        None
    }
}

/// Only meters with this firmware are on the EPCL; others of their model can be brought there.
pub(crate) struct Only(pub(crate) &'static str);

impl Lists for Only {
    fn epcl(&self, combination: &Combination, _: Date) -> Option<String> {
        (combination.esme.firmware == self.0).then(|| "LAB-E2".into())
    }
    fn cpl_active(&self, _: DeviceKind, _: &ListedModel) -> bool {
        true
    }
    fn upgrade_target(&self, combination: &Combination, _: Date) -> Option<(String, Combination)> {
        let mut target = combination.clone();
        self.0.clone_into(&mut target.esme.firmware);
        (target != *combination).then(|| ("LAB-E2".into(), target))
    }
}

/// The firmware, as product lists name it, of a profile.
pub(crate) fn listed(parts: &Parts, profile: &str) -> &'static str {
    let firmware = &parts.catalogue.find(profile).unwrap().model.firmware;
    firmware.clone().leak()
}

/// Settings under which meters of the first release must have these.
pub(crate) fn configured(settings: &str) -> Settings {
    let text = format!(
        "source = \"a test\"\n[[configuration]]\nmanufacturer = \"Honeywell Elster\"\nmodel = \"AS300P\"\n{settings}"
    );
    Settings::from_files(&BTreeMap::from([("configurations.toml".to_owned(), text)])).unwrap()
}

/// An authorisation of every supplier, as it is about to be sent at an instant, for the week of [`MONDAY`].
pub(crate) fn drafts(settings: &Settings, all: &[Facts], at: SimInstant) -> Vec<Draft> {
    let points = || all.iter().flat_map(|facts| &facts.points).filter(|point| point.active);
    let suppliers: BTreeSet<Eui64> = points().map(|point| point.supplier).collect();
    let draft = |supplier: Eui64| {
        let own = points().filter(|point| point.supplier == supplier);
        let rows = (1..).zip(own).map(|(row, point)| AuthorisationRow {
            row,
            mpxn: point.mpxn,
            not_before: MONDAY,
            not_after: plus_days(MONDAY, 6),
            supplier,
            signing_certificate: "0A".into(),
            agreement_certificate: "0A".into(),
            prepayment: point.prepayment,
            withdraw: false,
        });
        Draft::new(settings, "CGI", supplier, at, "pw", rows.collect())
    };
    suppliers.into_iter().map(draft).collect()
}

/// Makes fault rules from what there is.
type Rules = dyn FnOnce(&Settings, &[Facts]) -> Vec<FaultRule>;

/// What a rig is made of.
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) lists: Arc<dyn Lists + Send + Sync>,
    /// The calendar at the start.
    pub(crate) start: SimInstant,
    pub(crate) demand_is_committed: bool,
    /// Where vulnerable customers live, by number.
    pub(crate) vulnerable: Vec<usize>,
    /// Rules on the links and in the requests, made once it is known who is there.
    pub(crate) rules: Box<Rules>,
}

impl Setup {
    /// Everything may be enrolled, nothing goes wrong; from the Monday before the week of [`MONDAY`] on.
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::builtin().unwrap(),
            lists: Arc::new(All),
            start: instant(plus_days(MONDAY, -7), time(6, 0, 0, 0)),
            demand_is_committed: false,
            vulnerable: Vec::new(),
            rules: Box::new(|_, _| Vec::new()),
        }
    }

    /// The parts of a lab of this estate.
    pub(crate) fn parts(&self, estate: &str) -> Arc<Parts> {
        self.parts_with(estate, |_| {})
    }

    /// The same, with something changed in the configuration.
    pub(crate) fn parts_with(&self, estate: &str, change: impl FnOnce(&mut Config)) -> Arc<Parts> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("estate.toml");
        std::fs::write(&file, estate).unwrap();
        let mut config = Config::default();
        config.estate.file = Some(file);
        config.clock.start = self.start;
        change(&mut config);
        Parts::build(config).unwrap()
    }
}

/// A lab with its two parties and a control centre.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    pub(crate) office: Office,
    pub(crate) rp: Rp,
    pub(crate) cp: Cp,
    pub(crate) all: Vec<Facts>,
    pub(crate) settings: Arc<Settings>,
    /// The commissioning party as a user.
    pub(crate) commissioning: users::Client,
    /// Every set of files that left, with the link it left on.
    pub(crate) sets: Arc<Mutex<Vec<Sent>>>,
    shutdown: CancellationToken,
    running: JoinSet<()>,
}

/// Between two looks at how far something is.
const MOMENT: SimDuration = SimDuration::from_secs(1);
/// The name of the control centre's journal.
pub(crate) const CONTROL: &str = "control";

impl Rig {
    /// A first life, or another one on the journals that the parts have.
    pub(crate) fn start(parts: &Arc<Parts>, setup: Setup) -> Self {
        let Setup {
            settings,
            lists,
            start,
            demand_is_committed,
            vulnerable,
            rules,
        } = setup;
        let world = World::virtual_at(start, parts.config.world_seed());
        let settings = Arc::new(settings);
        let mut all: Vec<Facts> = parts.estate.sites().map(|site| facts_of(parts, &site)).collect();
        for number in vulnerable {
            all[number].vulnerable = true;
        }
        let sets: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let kept = Arc::clone(&sets);
        world
            .faults
            .install(move |link: &LinkName, envelope: &Envelope, _: SimInstant| {
                if envelope.kind() == Kind::FileDelivery {
                    let delivery = FileDelivery::decode(envelope.body.clone()).unwrap();
                    kept.lock()
                        .unwrap()
                        .push((link.from.to_string(), link.to.to_string(), delivery));
                }
                Verdict::Pass
            });
        let rules = rules(&settings, &all);
        for rule in &rules {
            let about = all.iter().filter(|facts| rule.is_about(&world.seed, facts));
            let targets: Vec<_> = about.map(|facts| (facts.id, Target::of(facts))).collect();
            if let Some(rule) = Rule::new(rule.clone(), targets) {
                world.faults.install(rule);
            }
        }
        let mut lab = Lab::start_in(world.clone(), Arc::clone(parts)).unwrap();
        let (mut running, shutdown) = (JoinSet::new(), CancellationToken::new());
        let options = PartiesOptions {
            settings: Arc::clone(&settings),
            lists: Arc::clone(&lists),
            faults: &rules,
            installations: &all.iter().collect::<Vec<_>>(),
        };
        let Parties { rp, cp, commissioning } = Parties::start(&mut lab, options, &mut running, &shutdown).unwrap();
        let options = Options {
            name: "parties".into(),
            environment: Environment::Live,
            signatures: parts.config.signatures,
            settings: Arc::clone(&settings),
            lists,
            certificates: Arc::new(|serial: &str| serial == "0A"),
            seed: (1, world.seed),
            store: parts.journals.open(CONTROL).unwrap(),
            demand_is_committed,
        };
        let now = world.clock.now();
        let mut control = Control::open(options, now).unwrap();
        for facts in &all {
            if control.campaign().installation(facts.id).is_none() {
                control.register(now, facts.clone()).unwrap();
            }
        }
        Self {
            office: Office::new(world, control, rp.clone(), cp.clone()),
            rp,
            cp,
            lab,
            all,
            settings,
            commissioning,
            sets,
            shutdown,
            running,
        }
    }

    pub(crate) fn now(&self) -> SimInstant {
        self.lab.world().clock.now()
    }

    /// Sends an authorisation now.
    pub(crate) fn send(&mut self, draft: &Draft) {
        let now = self.now();
        for file in draft.files(&self.settings).unwrap() {
            self.office.control_mut().receive(now, file).unwrap();
        }
    }

    /// Every supplier authorises its active points now.
    pub(crate) fn authorise(&mut self) {
        for draft in drafts(&self.settings, &self.all, self.now()) {
            self.send(&draft);
        }
    }

    /// Works until this time of the day so many days after [`MONDAY`].
    pub(crate) async fn run_to(&mut self, days: i32, hour: i8) {
        let until = instant(plus_days(MONDAY, days), time(hour, 0, 0, 0));
        self.office.run_until(until).await.unwrap();
    }

    pub(crate) fn known(&self, id: InstallationId) -> &Installation {
        self.office.control().campaign().installation(id).unwrap()
    }

    pub(crate) fn state(&self, id: InstallationId) -> State {
        self.known(id).state
    }

    /// Runs on until an installation is in this state. Panics when it is not within so many hours.
    pub(crate) async fn reaches(&mut self, id: InstallationId, state: State, hours: u64) {
        self.until(state.as_str(), hours, |rig| rig.state(id) == state).await;
    }

    /// Runs on, a moment at a time, until something is so. Panics when it is not within so many hours.
    pub(crate) async fn until(&mut self, what: &str, hours: u64, is_so: impl Fn(&Self) -> bool) {
        let limit = self.now() + SimDuration::from_hours(hours);
        while !is_so(self) {
            let now = self.now();
            let states: Vec<_> = self.all.iter().map(|facts| self.state(facts.id)).collect();
            assert!(now < limit, "{what} is not reached: {states:?}");
            self.office.run_until(now + MOMENT).await.unwrap();
        }
    }

    /// All that the journal says of an installation, by code.
    pub(crate) fn codes(&self, id: InstallationId) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        let store = self.lab.parts().journals.look(CONTROL).unwrap();
        journal::replay(&*store, &mut |_, entry| {
            if entry.installation == Some(id) {
                match entry.event {
                    Event::TryFailed { code, .. } | Event::Noted { code, .. } | Event::Stranded { code } => {
                        codes.insert(code);
                    }
                    Event::Failed { failure, .. } => {
                        codes.insert(failure.code);
                    }
                    Event::Triaged { code, .. } => {
                        codes.insert(code);
                    }
                    Event::CaseOpened(case) => {
                        codes.insert(case.code);
                    }
                    Event::LeftOut { exclusion, .. } | Event::Excluded(exclusion) => {
                        codes.insert(exclusion.category);
                    }
                    Event::StepDone(step) => codes.extend(step.note.map(|(code, _)| code)),
                    _ => {}
                }
            }
        })
        .unwrap();
        codes
    }

    /// How many keyed devices of an installation are the DCC's, as they say themselves, and how many there are.
    pub(crate) async fn with_dcc(&self, id: InstallationId) -> (usize, usize) {
        let fleet = self.lab.fleet().unwrap();
        let (mut with_dcc, mut all) = (0, 0);
        for (device, _) in self.known(id).keyed() {
            let status = fleet.status(device.id).await.unwrap();
            with_dcc += usize::from(status.party != domain::keys::Party::Smso);
            all += 1;
        }
        (with_dcc, all)
    }

    /// Sends every set that was seen once more, as somebody would who has captured it; names those that had an effect.
    pub(crate) async fn replayed(&self, sets: &[Sent]) -> Vec<String> {
        let mut effective = Vec::new();
        for (from, to, delivery) in sets {
            let answer = match from.as_str() {
                "rp" => self.rp.send_again(delivery).await,
                _ => self.cp.send_again(to, delivery).await,
            };
            if answer.is_some_and(|answer| answer.accepted) {
                effective.push(format!("{from} to {to}: {}", delivery.reference));
            }
        }
        effective
    }

    /// Ends everything as a crash would. What was committed stays in the journals of the parts.
    pub(crate) async fn kill(mut self) -> Vec<Sent> {
        let sets = std::mem::take(&mut *self.sets.lock().unwrap());
        self.running.shutdown().await;
        drop(self.office);
        drop(self.lab);
        tokio::task::yield_now().await;
        sets
    }

    pub(crate) async fn stop(self) {
        drop(self.office);
        self.shutdown.cancel();
        let _ended = self.running.join_all().await;
        self.lab.stop().await;
    }
}
