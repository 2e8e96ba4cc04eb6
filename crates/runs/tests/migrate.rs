//! Requesting and commissioning party move installations over the whole chain: from the SMSO's keys to those of S1SP and
//! DCO, through files, checks and rotations of emulated devices, and by service requests into the inventory.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod parties;

use std::sync::Arc;

use domain::{DataItem, DeviceKind, Eui64, Operation, SimDuration, UserRole};
use migration::machine::State;
use migration::machine::event::Event;
use migration::machine::journal;
use parties::{ELECTRICITY_ONLY, Only, Rig, Setup, configured, estate, listed};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use users::orders;
use world::semantic;

/// What the SMSO gets from a meter.
async fn smso_reads(rig: &mut Rig, meter: Eui64) -> SmsoOutcome {
    let command = SmsoCommand {
        reference: format!("read {meter}"),
        device: meter.0,
        operation: Some(semantic::operation_to_proto(&Operation::Read(DataItem::ActiveImport))),
    };
    let mut link = rig.lab.take_smso_supplier().unwrap();
    let body = command.encode_to_vec();
    link.send(Envelope::default(), Kind::SmsoCommand, &body).await.unwrap();
    SmsoOutcome::decode(link.recv().await.unwrap().body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn installations_go_from_notice_to_migrated_over_the_whole_chain() {
    let setup = Setup::new();
    let parts = setup.parts(&estate(1, ELECTRICITY_ONLY));
    let mut rig = Rig::start(&parts, setup);
    let clock = rig.lab.world().clock.clone();
    rig.office
        .run_until(rig.now() + SimDuration::from_mins(5))
        .await
        .unwrap();
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Eligible);
    }
    rig.authorise();
    rig.run_to(0, 23).await;
    for facts in rig.all.clone() {
        let known = rig.known(facts.id).clone();
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
        assert_eq!(steps.len(), known.plan(&rig.settings).len());
    }

    // Each device proved dual control with the DCO's approval before the first of them was rotated, a gas meter when it woke.
    let store = rig.lab.parts().journals.look(parties::CONTROL).unwrap();
    let mut entries = Vec::new();
    journal::replay(&*store, &mut |_, entry| entries.push(entry)).unwrap();
    for facts in rig.all.clone() {
        let own = || entries.iter().filter(|entry| entry.installation == Some(facts.id));
        let rotated = own()
            .find(|entry| matches!(entry.event, Event::Rotated { .. }))
            .unwrap()
            .at;
        let (mut since, mut probed) = (None, Vec::new());
        for entry in own() {
            match &entry.event {
                Event::Viable => since = Some(entry.at),
                Event::Probed { device } => {
                    let kind = facts.devices.iter().find(|facts| facts.id == *device).unwrap().kind;
                    let took = entry.at.since(since.replace(entry.at).unwrap());
                    assert!(entry.at <= rotated && took > SimDuration::ZERO, "{kind} {took}");
                    assert_eq!(
                        kind == DeviceKind::Gsme,
                        took > SimDuration::from_mins(10),
                        "{kind} {took}"
                    );
                    probed.push(kind);
                }
                _ => {}
            }
        }
        let keyed: Vec<DeviceKind> = rig.known(facts.id).keyed().map(|(facts, _)| facts.kind).collect();
        assert_eq!(probed, keyed);
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
    // Nobody said where it is but Registration Data, which has its metering points.
    for facts in rig.all.clone() {
        let site = parts.estate.site(facts.hub).unwrap();
        let devices: Vec<String> = site.devices().iter().map(|device| device.device.to_string()).collect();
        let supplier = rig.lab.user_for(facts.hub, UserRole::ImportSupplier).unwrap().clone();
        for order in [
            orders::read_inventory_by_uprn(parts.config.dcc.eui, &site.uprn()),
            orders::read_inventory_by_address(parts.config.dcc.eui, &site.post_code(), &site.address()),
        ] {
            let read = supplier.request(&order, limit).await.unwrap();
            assert_eq!(read.code(), "I0");
            let duis::ResponseBody::Message {
                payload: Some(inventory),
                ..
            } = &read.response().body
            else {
                panic!("no inventory: {:?}", read.response());
            };
            let found = inventory.children.iter();
            let found: Vec<&str> = found.filter_map(|device| device.child_text("DeviceID")).collect();
            assert_eq!(found, devices);
        }
    }
    let meter = rig.all[0].device(DeviceKind::Esme).unwrap().id;
    let outcome = smso_reads(&mut rig, meter).await;
    assert!(!outcome.failure.is_empty() && outcome.outcome.is_none(), "{outcome:?}");
    rig.stop().await;
}

fn profile_of(rig: &Rig, id: migration::InstallationId) -> String {
    rig.known(id).facts.device(DeviceKind::Esme).unwrap().profile.clone()
}

#[tokio::test(start_paused = true)]
async fn firmware_is_brought_over_the_wan_and_read_back_before_it_enrols() {
    let mut setup = Setup::new();
    let parts = setup.parts(&estate(1, ELECTRICITY_ONLY));
    setup.lists = Arc::new(Only(listed(&parts, "as300p@LAB-E001")));
    let mut rig = Rig::start(&parts, setup);
    rig.office
        .run_until(rig.now() + SimDuration::from_hours(12))
        .await
        .unwrap();
    let fleet = rig.lab.fleet().unwrap();
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Eligible, "{:?}", rig.codes(facts.id));
        let meter = facts.device(DeviceKind::Esme).unwrap().id;
        let truth = fleet.status(meter).await.unwrap();
        assert_eq!(truth.device.profile.to_string(), "as300p@LAB-E001", "the meter itself");
        assert_eq!(truth.party, domain::keys::Party::Smso, "nothing was handed over yet");
        assert_eq!(profile_of(&rig, facts.id), "as300p@LAB-E001");
    }
    rig.authorise();
    rig.run_to(0, 23).await;
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Migrated, "{:?}", rig.codes(facts.id));
        let meter = facts.device(DeviceKind::Esme).unwrap().id;
        let inventory = rig.lab.inventory_behind(facts.hub).await;
        let known = inventory.iter().find(|device| device.id == meter).unwrap();
        assert_eq!(known.model.firmware, listed(&parts, "as300p@LAB-E001"), "with the DCC");
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn firmware_that_nobody_gave_keeps_an_installation_where_it_is() {
    let mut setup = Setup::new();
    let parts = setup.parts(&estate(1, ""));
    setup.lists = Arc::new(Only("LAB-NONE"));
    let mut rig = Rig::start(&parts, setup);
    rig.office
        .run_until(rig.now() + SimDuration::from_hours(12))
        .await
        .unwrap();
    let id = rig.all[0].id;
    assert_eq!(rig.state(id), State::NeedsFirmware);
    assert!(rig.codes(id).contains("LAB-PR-03"), "{:?}", rig.codes(id));
    assert_eq!(profile_of(&rig, id), "as300p@BASE");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn configuration_is_written_where_it_is_not_so_and_read_back() {
    let mut setup = Setup::new();
    setup.settings = configured(
        "[[configuration.setting]]\nSupplierName = [\"Example Energy\", \"0800 000000\"]\n\
         [[configuration.setting]]\nDailyBlockReset = true\n",
    );
    let parts = setup.parts(&estate(1, ELECTRICITY_ONLY));
    let mut rig = Rig::start(&parts, setup);
    rig.office
        .run_until(rig.now() + SimDuration::from_hours(6))
        .await
        .unwrap();
    let fleet = rig.lab.fleet().unwrap();
    let name = DataItem::Setting(domain::operation::SettingKind::SupplierName);
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Eligible, "{:?}", rig.codes(facts.id));
        let meter = rig.known(facts.id).facts.device(DeviceKind::Esme).unwrap().clone();
        assert_eq!(meter.configuration, rig.settings.configurations[0].digest);
        let read = fleet.true_read(meter.id, Operation::Read(name)).await.unwrap();
        assert!(format!("{read:?}").contains("Example Energy"), "{read:?}");
    }
    rig.authorise();
    rig.run_to(0, 23).await;
    for facts in rig.all.clone() {
        assert_eq!(rig.state(facts.id), State::Migrated, "{:?}", rig.codes(facts.id));
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn configuration_that_a_meter_refuses_keeps_an_installation_where_it_is() {
    let mut setup = Setup::new();
    // A gas meter's setting: no electricity meter has it.
    setup.settings = configured("[[configuration.setting]]\nGasConversion = [39500, 102264]\n");
    let parts = setup.parts(&estate(1, ""));
    let mut rig = Rig::start(&parts, setup);
    rig.office
        .run_until(rig.now() + SimDuration::from_hours(6))
        .await
        .unwrap();
    let id = rig.all[0].id;
    assert_eq!(rig.state(id), State::NeedsConfig);
    assert!(rig.codes(id).contains("LAB-PR-07"), "{:?}", rig.codes(id));
    let store = rig.lab.parts().journals.look(parties::CONTROL).unwrap();
    let mut words = Vec::new();
    journal::replay(&*store, &mut |_, entry| {
        if let Event::Failed { failure, .. } = entry.event {
            words.push(failure.detail);
        }
    })
    .unwrap();
    assert!(
        words.iter().any(|words| words.contains("configuration-refused")),
        "{words:?}"
    );
    rig.stop().await;
}
