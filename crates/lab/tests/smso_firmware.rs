//! The SMSO changes the firmware of devices for the requesting party, before they are migrated.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::sync::Arc;

use dmc::DeviceProfile;
use domain::DeviceKind;
use domain::image::{self, USUAL_OCTETS};
use fleet::Site;
use lab::Config;
use lab::chain::{Chain, MigrationLinks, Role};
use lab::parts::Parts;
use proto::smso_migration_command::Act;
use proto::{Envelope, Kind, Message, SmsoExtract, SmsoFirmware, SmsoMigrationCommand, SmsoMigrationOutcome};
use world::World;

struct Rig {
    chain: Chain,
    site: Site,
    links: MigrationLinks,
    references: u32,
}

impl Rig {
    fn start() -> Self {
        let config = Config::default();
        let world = World::virtual_at(config.clock.start, config.world_seed());
        let parts = Parts::build(config).unwrap();
        let site = parts.estate.sites().find(|site| !site.enrolled()).unwrap();
        let mut chain = Chain::start(world, parts, true).unwrap();
        let links = chain.take_migration_links().unwrap();
        Self {
            chain,
            site,
            links,
            references: 0,
        }
    }

    fn profile(&self, name: &str) -> Arc<DeviceProfile> {
        Arc::clone(self.chain.parts().catalogue.find(name).unwrap())
    }

    async fn ask(&mut self, act: Act) -> SmsoMigrationOutcome {
        self.references += 1;
        let command = SmsoMigrationCommand {
            reference: format!("r{}", self.references),
            hub: self.site.hub().0,
            act: Some(act),
        };
        let link = &mut self.links.smso;
        link.send(
            Envelope::default(),
            Kind::SmsoMigrationCommand,
            &command.encode_to_vec(),
        )
        .await
        .unwrap();
        SmsoMigrationOutcome::decode(link.recv().await.unwrap().body).unwrap()
    }

    /// "Upgrade this device", with an image of one profile that is said to make another.
    async fn upgrade(&mut self, kind: DeviceKind, image_of: &str, said: &str) -> SmsoMigrationOutcome {
        let image = self.profile(image_of).image_head().image(USUAL_OCTETS);
        let update = SmsoFirmware {
            device: self.site.device(kind).unwrap().0,
            firmware: "LAB-IMAGE".into(),
            sha256: image::hash(&image).0.to_vec().into(),
            image: image.into(),
            profile: said.into(),
        };
        self.ask(Act::Firmware(update)).await
    }

    async fn truth(&self, kind: DeviceKind) -> String {
        let device = self.site.device(kind).unwrap();
        let status = self.chain.fleet().unwrap().status(device).await.unwrap();
        status.device.profile.to_string()
    }
}

fn found(outcome: &SmsoMigrationOutcome) -> Vec<&str> {
    outcome.conditions.iter().map(|found| found.kind.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn devices_are_upgraded_before_they_migrate_and_the_smso_remembers() {
    let mut rig = Rig::start();
    let wanted = [
        (DeviceKind::Esme, "as300p@LAB-E001"),
        (DeviceKind::Gsme, "bk-g4e@LAB-G001"),
        (DeviceKind::Chf, "am110r@LAB-C001"),
    ];
    for (kind, profile) in wanted {
        let outcome = rig.upgrade(kind, profile, profile).await;
        assert_eq!(found(&outcome), [""; 0], "{kind}: {outcome:?}");
        let records: Vec<_> = outcome.devices.iter().map(|record| record.profile.as_str()).collect();
        assert_eq!(records, [profile]);
        assert_eq!(rig.truth(kind).await, profile);
    }
    rig.chain.restart(Role::Smso).await.unwrap();
    let on_file = rig.ask(Act::Extract(SmsoExtract {})).await;
    for (kind, profile) in wanted {
        let record = on_file.devices.iter().find(|record| record.kind == kind.as_str());
        let record = record.unwrap_or_else(|| panic!("{kind}: {on_file:?}"));
        assert_eq!(record.profile, profile);
    }
    rig.chain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_with_an_upgrade_is_named() {
    let mut rig = Rig::start();
    let esme = DeviceKind::Esme;
    let other_model = rig.upgrade(esme, "bk-g4e@LAB-G001", "as300p@LAB-E001").await;
    assert_eq!(found(&other_model), ["image-rejected"], "{other_model:?}");
    let nowhere = rig.upgrade(esme, "as300p@LAB-E001", "as300p@LAB-NONE").await;
    assert_eq!(found(&nowhere), ["image-missing"], "{nowhere:?}");
    let not_what_was_said = rig.upgrade(esme, "as300p@LAB-E002", "as300p@LAB-E001").await;
    assert_eq!(
        found(&not_what_was_said),
        ["activation-failed"],
        "{not_what_was_said:?}"
    );
    assert_eq!(rig.truth(esme).await, "as300p@LAB-E002");
    rig.chain.stop().await;
}
