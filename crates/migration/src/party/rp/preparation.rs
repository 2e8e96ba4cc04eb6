//! What is brought to devices before a migration: firmware of an EPCL entry, and configuration.

use domain::operation::Setting;
use domain::{Eui64, Operation};
use prost::bytes::Bytes;
use proto::{SmsoConfigure, SmsoFirmware, smso_migration_command::Act};
use sha2::{Digest, Sha256};
use world::semantic;

use super::Rp;
use crate::machine::model::{DeviceFacts, Installation};
use crate::machine::{Done, Found};
use crate::party::facts_of;
use crate::planning::gates::ListedModel;

/// A firmware image that an installing supplier gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its octets.
    pub octets: Bytes,
    /// The profile that a device has with it, `model@firmware`.
    pub profile: String,
}

/// Where the images are that installing suppliers gave.
pub trait Images: Send + Sync {
    /// The image that brings a device to a model; none when nobody gave it.
    fn image(&self, device: &DeviceFacts, to: &ListedModel) -> Option<Image>;
}

impl Rp {
    /// Has the SMSO bring a device to the firmware of an EPCL entry; what it is then, it says itself.
    pub(super) async fn upgrade(
        &self,
        reference: &str,
        known: &Installation,
        device: Eui64,
        to: &ListedModel,
    ) -> Result<Done, Vec<Found>> {
        let facts = facts(known, device)?;
        let image = self.options.images.image(facts, to).ok_or_else(|| {
            let found = Found::new("image-missing").saying(format!("no installing supplier gave an image of {to}"));
            vec![about(device, found)]
        })?;
        let firmware = SmsoFirmware {
            device: device.0,
            firmware: to.firmware.clone(),
            sha256: Sha256::digest(&image.octets).to_vec().into(),
            image: image.octets,
            profile: image.profile,
        };
        let within = self.options.settings.timers.smso_firmware();
        let outcome = self
            .smso_within(reference, known, Act::Firmware(firmware), within)
            .await?;
        let read = facts_of(&outcome.devices)?.into_iter().find(|read| read.id == device);
        let read = read.ok_or_else(|| {
            let found = Found::new("activation-failed").saying("the SMSO does not say what it is now");
            vec![about(device, found)]
        })?;
        Ok(Done::Upgraded {
            model: read.model,
            profile: read.profile,
        })
    }

    /// Has the SMSO set a device as its model must be, and read back what it has then.
    pub(super) async fn configure(
        &self,
        reference: &str,
        known: &Installation,
        device: Eui64,
        digest: &str,
    ) -> Result<Done, Vec<Found>> {
        let facts = facts(known, device)?;
        let wanted = self.options.settings.configuration(&facts.model);
        let wanted = wanted.filter(|wanted| wanted.digest == digest).ok_or_else(|| {
            let found = Found::new("configuration-refused").saying(format!("no settings have the digest {digest}"));
            vec![about(device, found)]
        })?;
        let write = |setting: &Setting| semantic::operation_to_proto(&Operation::Write(Box::new(setting.clone())));
        let configure = SmsoConfigure {
            device: device.0,
            configuration_digest: String::new(),
            operations: wanted.settings.iter().map(write).collect(),
        };
        let outcome = self.smso(reference, known, Act::Configure(configure)).await?;
        let mut read = outcome.devices.into_iter().filter(|read| read.device == device.0);
        Ok(Done::Configured {
            configuration: read.next().unwrap_or_default().configuration_digest,
        })
    }
}

fn facts(known: &Installation, device: Eui64) -> Result<&DeviceFacts, Vec<Found>> {
    let mut devices = known.facts.devices.iter();
    let missing = || {
        vec![about(
            device,
            Found::new("unknown").saying("not a device of the installation"),
        )]
    };
    devices.find(|facts| facts.id == device).ok_or_else(missing)
}

fn about(device: Eui64, found: Found) -> Found {
    Found {
        device: Some(device),
        ..found
    }
}
