//! Requesting and commissioning party move installations over the whole chain: from the SMSO's keys to those of S1SP and
//! DCO, through files, checks and rotations of emulated devices, and by service requests into the inventory.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Arc;

use dmc::Catalogue;
use domain::{CommunicationsProvider, DataItem, DeviceKind, Eui64, Mpxn, Operation, SimDuration, SimInstant, UserRole};
use duis::signature::Certificate;
use jiff::civil::{Date, date, time};
use lab::parts::Parts;
use lab::pki::{CP_EUI, RP_EUI};
use lab::{Config, Lab};
use migration::day::{compact, instant, plus_days};
use migration::machine::State;
use migration::machine::control::{Control, Options};
use migration::machine::model::{DeviceFacts, Facts, PointFacts};
use migration::party::{Cp, CpOptions, Enrolment, Office, Rp, RpOptions, Surroundings};
use migration::planning::authorisation::{self, AuthorisationRow};
use migration::planning::gates::{Combination, Environment, ListedModel, Lists};
use migration::planning::intake::ReceivedFile;
use migration::planning::protection::protect;
use migration::settings::CohortSlug;
use migration::{InstallationId, Settings};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use users::orders;
use world::{MemoryStore, World, semantic};

/// The Monday of the week they migrate in.
const MONDAY: Date = date(2019, 6, 10);

/// One dual-fuel installation and one of electricity alone, both with their operator before enrolment.
const ESTATE: &str = r#"
[estate]
name = "two"
source = "invented: two installations to be moved"

[[template]]
name = "dual-fuel"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
gpf = "am110r-gpf@BASE"
gsme = "bk-g4e@BASE"
payment_mode = "credit"
enrolled = false

[[template]]
name = "electricity-only"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
payment_mode = "credit"
enrolled = false
"#;

/// All that is in the estate may be enrolled.
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

fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

fn registered(parts: &Parts, mpxn: Mpxn, role: UserRole) -> Eui64 {
    parts
        .directory
        .registered(mpxn, role, parts.config.clock.start)
        .unwrap()
}

fn facts(parts: &Parts, catalogue: &Catalogue) -> Vec<Facts> {
    let sites = parts.estate.sites().map(|site| {
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
        let point = |mpxn, supplier, network| PointFacts {
            mpxn,
            supplier: registered(parts, mpxn, supplier),
            network: registered(parts, mpxn, network),
            active: true,
            prepayment: false,
        };
        let electricity = Mpxn::Mpan(site.mpan());
        let mut points = vec![point(
            electricity,
            UserRole::ImportSupplier,
            UserRole::ElectricityDistributor,
        )];
        let gas = site.mprn().map(Mpxn::Mprn);
        points.extend(gas.map(|mpxn| point(mpxn, UserRole::GasSupplier, UserRole::GasTransporter)));
        Facts {
            id: InstallationId(site.hub()),
            cohort: CohortSlug::new("ioc"),
            provider: CommunicationsProvider::Vodafone,
            hub: site.hub(),
            devices: devices.collect(),
            points,
            vulnerable: false,
        }
    });
    sites.collect()
}

/// An authorisation file of every supplier with its password, for the week of [`MONDAY`].
fn authorisations(settings: &Settings, all: &[Facts]) -> Vec<ReceivedFile> {
    let points: Vec<&PointFacts> = all.iter().flat_map(|facts| &facts.points).collect();
    let mut suppliers: Vec<Eui64> = points.iter().map(|point| point.supplier).collect();
    suppliers.sort_unstable();
    suppliers.dedup();
    let mut files = Vec::new();
    for supplier in suppliers {
        let own = points.iter().filter(|point| point.supplier == supplier);
        let rows: Vec<AuthorisationRow> = (1..)
            .zip(own)
            .map(|(row, point)| AuthorisationRow {
                row,
                mpxn: point.mpxn,
                not_before: MONDAY,
                not_after: plus_days(MONDAY, 6),
                supplier,
                signing_certificate: "0A".into(),
                agreement_certificate: "0A".into(),
                prepayment: false,
                withdraw: false,
            })
            .collect();
        let text = authorisation::write(&settings.columns, &rows);
        let stamp = compact(plus_days(MONDAY, -6));
        let file = |prefix: &str, text: String| ReceivedFile {
            name: format!("{prefix}_CGI_{supplier}_{stamp}_080000"),
            sender: supplier,
            at: SimInstant(0),
            text,
        };
        files.push(file("MA", protect(&text, "pw", &[7; 16]).unwrap()));
        files.push(file("MAPASSWORD", "pw".into()));
    }
    files
}

/// A lab with its two parties and a control centre.
struct Rig {
    lab: Lab,
    office: Office,
    all: Vec<Facts>,
    /// The commissioning party as a user.
    commissioning: users::Client,
    shutdown: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Rig {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("estate.toml");
        std::fs::write(&file, ESTATE).unwrap();
        let mut config = Config::default();
        config.estate.file = Some(file);
        config.clock.start = SimInstant::from_utc(2019, 6, 3, 5, 0, 0).unwrap();
        let world = World::virtual_at(config.clock.start, config.world_seed());
        let parts = Parts::build(config).unwrap();
        let all = facts(&parts, &parts.catalogue);
        let mut lab = Lab::start_in(world.clone(), Arc::clone(&parts)).unwrap();
        let links = lab.take_migration_links().unwrap();
        let settings = Arc::new(Settings::builtin().unwrap());
        let shutdown = CancellationToken::new();
        let (rp_end, cp_end) = world.link("rp", "cp");
        let rp_options = RpOptions {
            eui: RP_EUI,
            key: parts.signing_key("the RP", &parts.pki.rp).unwrap(),
            opening: parts.pki.rp_opening.key().unwrap(),
            s1sp: parts.pki.s1sp_opening.key().unwrap().public_key(),
            dco: parts.pki.dco_opening.key().unwrap().public_key(),
            cp: certificate(&parts.pki.cp.certificate_pem),
            settings: Arc::clone(&settings),
        };
        let store = Box::new(MemoryStore::default());
        let (rp, rp_routers) = Rp::new(world.clone(), [links.smso, rp_end], rp_options, store).unwrap();
        let (client, task) = parts.commissioning_client(&world, links.dcc).unwrap();
        let (commissioning, certificates) = (client.clone(), Arc::clone(&parts));
        let enrolment = Enrolment {
            client,
            certificates: Arc::new(move |user| certificates.organisation_certificates(user)),
            variant: Arc::new(parts.esme_variants()),
            limit: settings.timers.service_request(),
        };
        let cp_options = CpOptions {
            eui: CP_EUI,
            key: parts.signing_key("the CP", &parts.pki.cp).unwrap(),
            rp: certificate(&parts.pki.rp.certificate_pem),
            settings: Arc::clone(&settings),
            surroundings: Arc::new(All),
            requests: Arc::new(enrolment),
        };
        let store = Box::new(MemoryStore::default());
        let (cp, cp_routers) = Cp::new(world.clone(), [cp_end, links.s1sp, links.dco], cp_options, store).unwrap();
        let running = vec![
            tokio::spawn(rp.clone().run(rp_routers, shutdown.clone())),
            tokio::spawn(cp.clone().run(cp_routers, shutdown.clone())),
            tokio::spawn(task.run(shutdown.clone())),
        ];
        let options = Options {
            name: "two".into(),
            environment: Environment::Live,
            settings: Arc::clone(&settings),
            lists: Arc::new(All),
            certificates: Arc::new(|_: &str| true),
            seed: (1, world.seed),
            store: Box::new(MemoryStore::default()),
            demand_is_committed: false,
        };
        let now = world.clock.now();
        let mut control = Control::open(options, now).unwrap();
        for facts in &all {
            control.register(now, facts.clone()).unwrap();
        }
        Self {
            office: Office::new(world, control, rp, cp),
            lab,
            all,
            commissioning,
            shutdown,
            running,
        }
    }

    fn state(&self, id: InstallationId) -> State {
        self.office.control().campaign().installation(id).unwrap().state
    }

    /// What the SMSO gets from a meter.
    async fn smso_reads(&mut self, meter: Eui64) -> SmsoOutcome {
        let command = SmsoCommand {
            reference: format!("read {meter}"),
            device: meter.0,
            operation: Some(semantic::operation_to_proto(&Operation::Read(DataItem::ActiveImport))),
        };
        let mut link = self.lab.take_smso_supplier().unwrap();
        let body = command.encode_to_vec();
        link.send(Envelope::default(), Kind::SmsoCommand, &body).await.unwrap();
        SmsoOutcome::decode(link.recv().await.unwrap().body).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn installations_go_from_notice_to_migrated_over_the_whole_chain() {
    let mut rig = Rig::start();
    let (start, clock) = (rig.lab.world().clock.now(), rig.lab.world().clock.clone());
    rig.office.run_until(start + SimDuration::from_mins(5)).await.unwrap();
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Eligible);
    }
    let settings = Settings::builtin().unwrap();
    for file in authorisations(&settings, &rig.all) {
        let now = clock.now();
        let file = ReceivedFile { at: now, ..file };
        rig.office.control_mut().receive(now, file).unwrap();
    }
    let monday = instant(MONDAY, time(23, 0, 0, 0));
    rig.office.run_until(monday).await.unwrap();
    for facts in rig.all.clone() {
        let known = rig.office.control().campaign().installation(facts.id).unwrap().clone();
        assert_eq!(
            known.state,
            State::Migrated,
            "{} {:?} {:?} {} {:?}",
            known.id(),
            known.last_failure,
            known.notes,
            known.attempt.steps,
            rig.office.control().campaign().steps.get(&facts.id),
        );
        let steps = &rig.office.control().campaign().steps[&facts.id];
        assert!(
            steps
                .iter()
                .all(|(_, step)| step.response_code == "I0" && step.note.is_none())
        );
        assert_eq!(steps.len(), known.plan(&settings).len());
    }

    // Its supplier reads it through the DCC like any other meter; the commissioning party has no more say than it needs.
    let limit = SimDuration::from_hours(2);
    for facts in rig.all.clone() {
        for (kind, role) in [
            (DeviceKind::Esme, UserRole::ImportSupplier),
            (DeviceKind::Gpf, UserRole::GasSupplier),
        ] {
            let Some(device) = facts.device(kind) else { continue };
            let supplier = rig.lab.user_for(device.id, role).unwrap().clone();
            let read = supplier
                .request(&orders::read_import_registers(device.id), limit)
                .await
                .unwrap();
            assert_eq!(read.code(), "I0", "{kind}");
            let other = rig.lab.users().iter().find(|user| user.eui() != supplier.eui());
            let foreign = other
                .unwrap()
                .request(&orders::read_import_registers(device.id), limit)
                .await;
            assert_ne!(foreign.unwrap().code(), "I0", "{kind}: not registered there");
        }
        let meter = facts.device(DeviceKind::Esme).unwrap().id;
        let supplier = rig.lab.user_for(meter, UserRole::ImportSupplier).unwrap().clone();
        let arm = supplier.request(&orders::disable_supply(meter), limit).await.unwrap();
        assert_eq!(arm.code(), "I0", "critical, with the DCO's approval");
        let mut refused = Vec::new();
        for order in [
            orders::disable_supply(meter),
            orders::commission(meter, clock.now(), 10),
        ] {
            let exchange = rig.commissioning.request(&order, limit).await.unwrap();
            refused.push(exchange.code());
        }
        assert_eq!(
            refused,
            ["E2", "E4"],
            "no supplier's request, nothing critical after the hand-over"
        );
    }
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    let outcome = rig.smso_reads(meter).await;
    assert!(!outcome.failure.is_empty() && outcome.outcome.is_none(), "{outcome:?}");
    rig.shutdown.cancel();
    for task in rig.running {
        task.await.unwrap();
    }
    rig.lab.stop().await;
}
