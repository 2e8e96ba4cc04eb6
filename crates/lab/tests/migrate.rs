//! Requesting and commissioning party move an installation over the whole chain: from the SMSO's keys to those of S1SP and
//! DCO, through files, checks and rotations of emulated devices.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dmc::Catalogue;
use domain::{CommunicationsProvider, DataItem, DeviceKind, Eui64, Operation, SimDuration, Srv};
use duis::signature::Certificate;
use jiff::civil::Date;
use lab::Config;
use lab::chain::Chain;
use lab::parts::Parts;
use lab::pki::{CP_EUI, RP_EUI};
use migration::day::day_of;
use migration::machine::control::{Control, Options};
use migration::machine::model::{DeviceFacts, Facts, Installation, PointFacts};
use migration::machine::{Done, Found, State};
use migration::party::{Cp, CpOptions, Office, Requests, Rp, RpOptions, Surroundings};
use migration::planning::gates::{Combination, Environment, ListedModel, Lists};
use migration::settings::{Check, CohortSlug};
use migration::{InstallationId, Settings};
use proto::{Condition, Envelope, InstallationRecord, Kind, Message, SmsoCommand, SmsoOutcome};
use tokio_util::sync::CancellationToken;
use world::{MemoryStore, World, semantic};

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

impl Surroundings for All {
    fn judge(&self, _: Check, _: &InstallationRecord, _: domain::SimInstant) -> Option<Condition> {
        None
    }
}

/// The DCC refuses this user: the commissioning plan does not begin.
struct Refused;

impl Requests for Refused {
    fn request<'a>(
        &'a self,
        request: Srv,
        _: Eui64,
        _: &'a Installation,
    ) -> Pin<Box<dyn Future<Output = Result<Done, Vec<Found>>> + Send + 'a>> {
        Box::pin(async move { Err(vec![Found::new("refused").saying(request.to_string())]) })
    }
}

fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

fn facts(parts: &Parts, catalogue: &Catalogue) -> Facts {
    let site = parts.estate.sites().find(|site| !site.enrolled()).unwrap();
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
        supplier: Eui64(1),
        network: Eui64(2),
        active: false,
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

#[tokio::test(start_paused = true)]
async fn an_installation_changes_hands_over_the_whole_chain() {
    let config = Config::default();
    let world = World::virtual_at(config.clock.start, config.world_seed());
    let parts = Parts::build(config).unwrap();
    let facts = facts(&parts, &parts.catalogue);
    let (id, esme) = (facts.id, facts.device(DeviceKind::Esme).unwrap().id);
    let mut chain = Chain::start(world.clone(), Arc::clone(&parts), true).unwrap();
    let links = chain.take_migration_links().unwrap();
    let supplier = chain.take_smso_link().unwrap();
    let mut settings = Settings::builtin().unwrap();
    // The SMSO of this estate says active whatever suppliers say: nobody disagrees in this test.
    settings.calendar.dormant.migration_notice_days = 1;
    let settings = Arc::new(settings);

    let (rp_end, cp_end) = world.link("rp", "cp");
    let shutdown = CancellationToken::new();
    let (rp, rp_routers) = Rp::new(
        world.clone(),
        links.smso,
        rp_end,
        RpOptions {
            eui: RP_EUI,
            key: parts.signing_key("the RP", &parts.pki.rp).unwrap(),
            opening: parts.pki.rp_opening.key().unwrap(),
            s1sp: parts.pki.s1sp_opening.key().unwrap().public_key(),
            dco: parts.pki.dco_opening.key().unwrap().public_key(),
            cp: certificate(&parts.pki.cp.certificate_pem),
            settings: Arc::clone(&settings),
        },
    );
    let (cp, cp_routers) = Cp::new(
        world.clone(),
        cp_end,
        links.s1sp,
        links.dco,
        CpOptions {
            eui: CP_EUI,
            key: parts.signing_key("the CP", &parts.pki.cp).unwrap(),
            rp: certificate(&parts.pki.rp.certificate_pem),
            settings: Arc::clone(&settings),
            surroundings: Arc::new(All),
            requests: Arc::new(Refused),
        },
    );
    let running = [
        tokio::spawn(rp.clone().run(rp_routers, shutdown.clone())),
        tokio::spawn(cp.clone().run(cp_routers, shutdown.clone())),
    ];
    let options = Options {
        name: "one".into(),
        environment: Environment::Live,
        settings,
        lists: Arc::new(All),
        certificates: Arc::new(|_: &str| true),
        seed: (1, world.seed),
        store: Box::new(MemoryStore::default()),
        demand_is_committed: false,
    };
    let now = world.clock.now();
    let mut control = Control::open(options, now).unwrap();
    let active = Facts {
        points: facts
            .points
            .iter()
            .map(|point| PointFacts {
                active: true,
                ..point.clone()
            })
            .collect(),
        ..facts
    };
    control.register(now, active).unwrap();
    let mut office = Office::new(world.clone(), control, rp, cp);
    office.run_until(now + SimDuration::from_mins(5)).await.unwrap();
    assert_eq!(
        office.control().campaign().installation(id).unwrap().state,
        State::Eligible
    );

    // Its suppliers lose it to others without smart service: now it is dormant, and the DCC gives notice and migrates it.
    let points: Vec<_> = office
        .control()
        .campaign()
        .installation(id)
        .unwrap()
        .facts
        .points
        .clone();
    for point in points {
        let (now, today) = (world.clock.now(), day_of(world.clock.now()));
        office
            .control_mut()
            .change_of_supplier(now, point.mpxn, Eui64(3), false, today)
            .unwrap();
    }
    // Refused for ever, it would count as stranded after twelve hours: look while it is being commissioned.
    let mut hours = 0;
    let known = loop {
        hours += 1;
        office.run_until(now + SimDuration::from_hours(hours)).await.unwrap();
        let known = office.control().campaign().installation(id).unwrap();
        if known.state == State::Commissioning || hours > 96 {
            break known.clone();
        }
    };
    assert_eq!(
        known.state,
        State::Commissioning,
        "{:?} {:?}",
        known.last_failure,
        known.notes
    );
    assert!(known.keyed().all(|(_, progress)| progress.probed && progress.rotated));
    assert!(known.attempt.activated);

    // The SMSO's keys no longer open anything there.
    let command = SmsoCommand {
        reference: "after".into(),
        device: esme.0,
        operation: Some(semantic::operation_to_proto(&Operation::Read(DataItem::ActiveImport))),
    };
    let (sender, mut receiver) = supplier.split();
    sender
        .send(Envelope::default(), Kind::SmsoCommand, &command.encode_to_vec())
        .await
        .unwrap();
    let outcome = SmsoOutcome::decode(receiver.recv().await.unwrap().body).unwrap();
    assert!(!outcome.failure.is_empty() && outcome.outcome.is_none(), "{outcome:?}");
    drop(office);
    shutdown.cancel();
    for task in running {
        task.await.unwrap();
    }
    chain.stop().await;
}
