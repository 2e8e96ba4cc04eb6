//! Errors of a migration injected over the whole chain: files, keys and rotations of emulated devices, and a rule per
//! installation on the links between them. Each comes to what the error table says; installations beside are unharmed.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dmc::Catalogue;
use domain::{CommunicationsProvider, DeviceKind, Eui64};
use duis::signature::Certificate;
use jiff::civil::{Date, date, time};
use lab::Config;
use lab::chain::Chain;
use lab::parts::Parts;
use lab::pki::{CP_EUI, RP_EUI};
use migration::day::{instant, plus_days};
use migration::faults::{self, Draft, FaultRule, FaultTable, Rule, Spoilt, Target};
use migration::machine::control::{Control, Options};
use migration::machine::event::Event;
use migration::machine::model::{DeviceFacts, Facts, Installation, PointFacts};
use migration::machine::{Done, Found, State, journal};
use migration::party::{Cp, CpOptions, Office, Requests, Rp, RpOptions, Surroundings};
use migration::planning::authorisation::AuthorisationRow;
use migration::planning::gates::{Combination, Environment, ListedModel, Lists};
use migration::settings::{Class, CohortSlug, ErrorRow, Outcome, Planned};
use migration::{InstallationId, Settings};
use proto::InstallationRecord;
use tokio_util::sync::CancellationToken;
use world::{MemoryStore, World};

const SUPPLIER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
const MONDAY: Date = date(2019, 6, 10);

/// All that is in the estate may be enrolled, and nothing speaks against it.
struct All;

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

impl Surroundings for All {}

/// Every service request ends well.
struct Agreed;

impl Requests for Agreed {
    fn request<'a>(
        &'a self,
        _: Planned,
        _: &'a Installation,
        _: Option<&'a InstallationRecord>,
    ) -> Pin<Box<dyn Future<Output = Result<Done, Vec<Found>>> + Send + 'a>> {
        Box::pin(async {
            Ok(Done::Step {
                request_id: "R".into(),
                response_code: "I0".into(),
                octets: 1,
            })
        })
    }
}

/// One case: an error, its table in the campaign file, and what becomes of its installation.
struct Case {
    error: &'static str,
    attempts: Option<u32>,
    times: Option<u32>,
    /// Where it ends; none: where the table's outcome leaves it.
    end: Option<State>,
}

fn always(error: &'static str) -> Case {
    Case {
        error,
        attempts: None,
        times: None,
        end: None,
    }
}

/// In the first attempt only; it migrates with the next.
fn first(error: &'static str) -> Case {
    Case {
        attempts: Some(1),
        end: Some(State::Migrated),
        ..always(error)
    }
}

/// Once; it migrates all the same.
fn once(error: &'static str) -> Case {
    Case {
        times: Some(1),
        end: Some(State::Migrated),
        ..always(error)
    }
}

/// What every case ends in by the word of the table.
fn end_of(row: &ErrorRow) -> State {
    match row.outcome {
        Outcome::Stay | Outcome::Hold => State::Discovered,
        Outcome::Excluded => State::Excluded,
        Outcome::Cancelled => State::Cancelled,
        Outcome::Quarantine | Outcome::Triage => State::ManualTriage,
        Outcome::Retry => State::RetryWait,
        Outcome::Partial => State::PartiallyMigrated,
        Outcome::Stranded => State::Stranded,
        _ => State::Migrated,
    }
}

struct Bench {
    chain: Chain,
    office: Office,
    store: MemoryStore,
    facts: Vec<Facts>,
    settings: Arc<Settings>,
    running: Vec<tokio::task::JoinHandle<()>>,
    shutdown: CancellationToken,
}

/// So many installations of an SMSO, whose parties meet these rules.
fn bench(
    count: usize,
    change: impl FnOnce(&mut Settings),
    rules: impl FnOnce(&Settings, &[Facts]) -> Vec<FaultRule>,
) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate.toml");
    std::fs::write(
        &estate,
        format!(
            "[estate]\nname = \"faults\"\nsource = \"invented\"\n\n[[template]]\nname = \"smso\"\ncount = {count}\n\
             provider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\ngpf = \"am110r-gpf@BASE\"\n\
             gsme = \"bk-g4e@BASE\"\npayment_mode = \"credit\"\nenrolled = false\n"
        ),
    )
    .unwrap();
    let mut config = Config::default();
    config.estate.file = Some(estate);
    config.clock.start = instant(plus_days(MONDAY, -4), time(12, 0, 0, 0));
    let world = World::virtual_at(config.clock.start, config.world_seed());
    let parts = Parts::build(config).unwrap();
    let facts: Vec<Facts> = parts
        .estate
        .sites()
        .map(|site| facts(&site, &parts.catalogue))
        .collect();
    let mut chain = Chain::start(world.clone(), Arc::clone(&parts), true).unwrap();
    let links = chain.take_migration_links().unwrap();
    let mut settings = Settings::builtin().unwrap();
    settings.ramp[0].cap_per_day = 1000;
    settings.retry.batch_stop.window = 1000;
    change(&mut settings);
    let settings = Arc::new(settings);

    let rules = rules(&settings, &facts);
    let about = |rule: &FaultRule| {
        let about = facts.iter().filter(|facts| rule.is_about(&world.seed, facts));
        about.map(|facts| (facts.id, Target::of(facts))).collect::<Vec<_>>()
    };
    for rule in &rules {
        if let Some(rule) = Rule::new(rule.clone(), about(rule)) {
            world.faults.install(rule);
        }
    }
    let named = rules
        .iter()
        .map(|rule| (rule.clone(), about(rule).into_iter().map(|(id, _)| id).collect()));
    let requests = Spoilt::new(Arc::new(Agreed), world.clock.clone(), named);

    let (rp_end, cp_end) = world.link("rp", "cp");
    let shutdown = CancellationToken::new();
    let certificate = |pem: &str| Certificate::from_pem(pem).unwrap();
    let (rp, rp_routers) = Rp::new(
        world.clone(),
        [links.smso, rp_end],
        RpOptions {
            eui: RP_EUI,
            key: parts.signing_key("the RP", &parts.pki.rp).unwrap(),
            opening: parts.pki.rp_opening.key().unwrap(),
            s1sp: parts.pki.s1sp_opening.key().unwrap().public_key(),
            dco: parts.pki.dco_opening.key().unwrap().public_key(),
            cp: certificate(&parts.pki.cp.certificate_pem),
            settings: Arc::clone(&settings),
        },
        Box::new(MemoryStore::default()),
    )
    .unwrap();
    let (cp, cp_routers) = Cp::new(
        world.clone(),
        [cp_end, links.s1sp, links.dco],
        CpOptions {
            eui: CP_EUI,
            key: parts.signing_key("the CP", &parts.pki.cp).unwrap(),
            rp: certificate(&parts.pki.rp.certificate_pem),
            settings: Arc::clone(&settings),
            surroundings: Arc::new(All),
            requests: Arc::new(requests),
        },
        Box::new(MemoryStore::default()),
    )
    .unwrap();
    let running = vec![
        tokio::spawn(rp.clone().run(rp_routers, shutdown.clone())),
        tokio::spawn(cp.clone().run(cp_routers, shutdown.clone())),
    ];
    let store = MemoryStore::default();
    let options = Options {
        name: "faults".into(),
        environment: Environment::Live,
        settings: Arc::clone(&settings),
        lists: Arc::new(All),
        certificates: Arc::new(|_: &str| true),
        seed: (1, world.seed),
        store: Box::new(store.clone()),
        demand_is_committed: false,
    };
    let now = world.clock.now();
    let mut control = Control::open(options, now).unwrap();
    for facts in &facts {
        control.register(now, facts.clone()).unwrap();
    }
    let points = facts.iter().flat_map(|facts| &facts.points);
    let rows = points.zip(1u32..).map(|(point, row)| AuthorisationRow {
        row,
        mpxn: point.mpxn,
        not_before: MONDAY,
        not_after: plus_days(MONDAY, 6),
        supplier: SUPPLIER,
        signing_certificate: "0A".into(),
        agreement_certificate: "0A".into(),
        prepayment: false,
        withdraw: false,
    });
    let draft = Draft::new(&settings, "CGI", SUPPLIER, now, "pw", rows.collect());
    for file in draft.files(&settings).unwrap() {
        control.receive(now, file).unwrap();
    }
    Bench {
        office: Office::new(world.clone(), control, rp, cp),
        chain,
        store,
        facts,
        settings,
        running,
        shutdown,
    }
}

fn facts(site: &fleet::Site, catalogue: &Catalogue) -> Facts {
    let devices = site.devices().into_iter().map(|device| {
        let model = &catalogue.profile(&device.profile).unwrap().model;
        DeviceFacts {
            id: device.device,
            kind: device.kind,
            model: ListedModel {
                manufacturer: model.manufacturer.clone(),
                model: model.model.clone(),
                firmware: model.firmware.clone(),
            },
            hardware: model.hardware.clone(),
            serial: String::new(),
            profile: device.profile.to_string(),
            configuration: String::new(),
            epoch: 1,
        }
    });
    let point = |mpxn| PointFacts {
        mpxn,
        supplier: SUPPLIER,
        network: Eui64(2),
        active: true,
        prepayment: false,
    };
    let mut points = vec![point(domain::Mpxn::Mpan(site.mpan()))];
    points.extend(site.mprn().map(|mprn| point(domain::Mpxn::Mprn(mprn))));
    Facts {
        id: InstallationId(site.hub()),
        cohort: CohortSlug::new("ioc"),
        provider: CommunicationsProvider::Vodafone,
        hub: site.hub(),
        devices: devices.collect(),
        points,
        vulnerable: false,
    }
}

impl Bench {
    fn known(&self, id: InstallationId) -> &Installation {
        self.office.control().campaign().installation(id).unwrap()
    }

    /// All that the journal says of an installation, by code.
    fn codes(&self, id: InstallationId) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        journal::replay(&self.store, &mut |_, entry| {
            if entry.installation == Some(id) {
                match entry.event {
                    Event::TryFailed { code, .. } | Event::Noted { code, .. } | Event::Stranded { code } => {
                        codes.insert(code);
                    }
                    Event::Failed { failure, .. } => {
                        codes.insert(failure.code);
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

    async fn stop(self) {
        drop(self.office);
        self.shutdown.cancel();
        for task in self.running {
            task.await.unwrap();
        }
        self.chain.stop().await;
    }
}

/// A rule per case, each about the installation of its number.
fn rules_of(cases: &[Case], settings: &Settings, facts: &[Facts]) -> Vec<FaultRule> {
    let tables: Vec<FaultTable> = cases
        .iter()
        .zip(facts)
        .map(|(case, facts)| FaultTable {
            error: case.error.into(),
            mpxn: vec![facts.points[0].mpxn.to_string()],
            attempts: case.attempts,
            times: case.times,
            ..FaultTable::default()
        })
        .collect();
    faults::check("campaign.toml", "", &tables, settings).unwrap()
}

/// Runs these cases side by side, with two installations more, until the evening of the given day.
async fn come_to_what_the_table_says(cases: &[Case], days: i32) {
    let mut bench = bench(
        cases.len() + 2,
        |_| {},
        |settings, facts| rules_of(cases, settings, facts),
    );
    let until = instant(plus_days(MONDAY, days), time(22, 0, 0, 0));
    bench.office.run_until(until).await.unwrap();
    let mut problems = Vec::new();
    let fleet = bench.chain.fleet().unwrap();
    for (case, facts) in cases.iter().zip(&bench.facts) {
        let row = bench.settings.errors.row(case.error).unwrap().clone();
        let known = bench.known(facts.id);
        let codes = bench.codes(facts.id);
        let end = case.end.unwrap_or(end_of(&row));
        let mut wrong = Vec::new();
        if known.state != end {
            wrong.push(format!("it is {}, expected {end}", known.state));
        }
        let told = codes.contains(case.error) || row.exclusion.as_ref().is_some_and(|code| codes.contains(code));
        if !told {
            wrong.push("its code is nowhere".into());
        }
        let quarantined = known.triage.map(|triage| triage.quarantined);
        if end == State::ManualTriage && quarantined != Some(row.class == Some(Class::Fatal)) {
            wrong.push(format!("quarantined {quarantined:?}"));
        }
        // The devices themselves say whose they are.
        let mut with_dcc = 0;
        for (device, _) in known.keyed() {
            let status = fleet.status(device.id).await.unwrap();
            with_dcc += usize::from(status.party != domain::keys::Party::Smso);
        }
        let all = known.keyed().count();
        let expected = match end {
            State::Migrated | State::PartiallyMigrated => all,
            State::Stranded => all - 1,
            State::ManualTriage if row.class == Some(Class::ForwardOnly) || case.error == "LAB-CF-03" => all,
            _ => 0,
        };
        if with_dcc != expected {
            wrong.push(format!(
                "{with_dcc} of {all} devices are the DCC's, expected {expected}"
            ));
        }
        if !wrong.is_empty() {
            problems.push(format!(
                "{}: {wrong:?}; {codes:?}, {:?}",
                case.error, known.last_failure
            ));
        }
    }
    for facts in &bench.facts[cases.len()..] {
        let known = bench.known(facts.id);
        if known.state != State::Migrated {
            problems.push(format!(
                "one without a fault is {}: {:?}",
                known.state,
                bench.codes(facts.id)
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_dcc_says_what_it_has_and_who_supplies_whom() {
    let config = Config::default();
    let world = World::virtual_at(config.clock.start, config.world_seed());
    let parts = Parts::build(config).unwrap();
    let site = |enrolled| parts.estate.sites().find(|site| site.enrolled() == enrolled).unwrap();
    let (enrolled, other) = (site(true), site(false));
    let chain = Chain::start(world.clone(), Arc::clone(&parts), true).unwrap();
    let known = chain.known_to_dcc();
    let statuses = known.statuses(enrolled.hub()).await.unwrap();
    let meter = enrolled.device(DeviceKind::Esme).unwrap();
    assert_eq!(statuses.get(&meter).map(String::as_str), Some("Commissioned"));
    assert!(
        known.statuses(other.hub()).await.unwrap().is_empty(),
        "nobody announced it"
    );
    let (now, mpan) = (world.clock.now(), domain::Mpxn::Mpan(other.mpan()));
    let supply = known.supply(mpan, now).unwrap();
    let registered = parts.directory.registered(mpan, domain::UserRole::ImportSupplier, now);
    assert_eq!((Some(supply.supplier), supply.next), (registered, None));
    assert_eq!(known.supply("9999999999999".parse().unwrap(), now), None);
    chain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_before_the_point_of_no_return() {
    let cases = [
        always("LAB-PR-01"),
        always("LAB-PR-02"),
        always("LAB-PR-08"),
        always("LAB-DV-01"),
        always("LAB-DV-02"),
        always("LAB-DV-03"),
        always("LAB-DV-04"),
        always("LAB-DV-05"),
        always("LAB-DV-06"),
        first("LAB-DV-07"),
        first("LAB-DV-08"),
        first("LAB-DV-09"),
        first("LAB-SD-01"),
        always("LAB-SD-02"),
        once("LAB-SD-03"),
        always("LAB-SD-04"),
        first("LAB-VI-01"),
        always("LAB-VI-02"),
        always("LAB-VI-03"),
        once("LAB-VI-04"),
        once("LAB-VI-05"),
        once("LAB-VI-06"),
        first("LAB-VI-07"),
        always("LAB-VI-08"),
    ];
    come_to_what_the_table_says(&cases, 4).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_after_the_point_of_no_return() {
    let cases = [
        once("LAB-KR-01"),
        once("LAB-KR-02"),
        always("LAB-KR-03"),
        once("LAB-KR-04"),
        always("LAB-CO-01"),
        once("LAB-CO-02"),
        once("LAB-CO-03"),
        once("LAB-CO-05"),
        once("LAB-CF-01"),
        once("LAB-CF-02"),
        always("LAB-CF-03"),
    ];
    come_to_what_the_table_says(&cases, 4).await;
}
