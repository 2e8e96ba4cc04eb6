//! Files: an S1SP Required File Set makes an installation known, an activation file releases it to users.

use domain::keys::HandOverSecret;
use domain::{DeviceKind, Eui64};
use duis::signature;
use head_end::survey::has_keys;
use head_end::{Device, KeyEpoch, Site, Standing};
use proto::{
    Condition, DeviceRecord, FileAcknowledgement, FileDelivery, InstallationRecord, InstallationSecrets, Message,
    MigrationActivationFile, MigrationFileKind, MigrationFileSet,
};
use world::file_set::{self, FileFault, OpenedSet};

use super::journal::Record;
use super::{HandOver, Installation, Secrets, condition};

const ACTIVATION: [MigrationFileKind; 1] = [MigrationFileKind::Activation];

impl HandOver {
    /// Takes files, and puts on record what it took.
    pub(super) fn files(&self, delivery: &FileDelivery) -> FileAcknowledgement {
        let mut acknowledgement = FileAcknowledgement {
            reference: delivery.reference.clone(),
            ..FileAcknowledgement::default()
        };
        let refused = |fault: &FileFault| condition(fault.condition(), "", Eui64(0), &fault.to_string());
        let set = delivery.set.clone().unwrap_or_default();
        if let Err(fault) = self.opened(&set, true) {
            tracing::warn!(leg = "s1sp", %fault, "files not taken");
            acknowledgement.conditions.push(refused(&fault));
            return acknowledgement;
        }
        let written = self.state().journal.write(&Record {
            delivery: Some(delivery.clone()),
            ..Record::default()
        });
        if let Err(error) = written {
            let found = condition("s1sp-down", "", Eui64(0), &error.to_string());
            acknowledgement.conditions.push(found);
            return acknowledgement;
        }
        match self.apply(delivery) {
            Ok(conditions) => {
                acknowledgement.accepted = true;
                acknowledgement.conditions = conditions;
            }
            Err(fault) => acknowledgement.conditions.push(refused(&fault)),
        }
        acknowledgement
    }

    /// Does what files say that were proved before. The same when they come from the journal.
    pub(super) fn apply(&self, delivery: &FileDelivery) -> Result<Vec<Condition>, FileFault> {
        let set = delivery.set.clone().unwrap_or_default();
        let opened = self.opened(&set, false)?;
        self.state().taken.take(&opened.header)?;
        if is_activation(&opened) {
            let file = MigrationActivationFile::decode(opened.payload(MigrationFileKind::Activation)?)
                .map_err(|error| FileFault::Malformed(error.to_string()))?;
            Ok(self.activate(&file))
        } else {
            self.learn(&opened)
        }
    }

    /// The set with its signatures proved; with `fresh`, also that it was not taken before and opens throughout.
    fn opened(&self, set: &MigrationFileSet, fresh: bool) -> Result<OpenedSet, FileFault> {
        let single = set.files.len() == 1;
        let (expected, signer): (&[MigrationFileKind], Eui64) = if single {
            (&ACTIVATION, self.cp)
        } else {
            (&file_set::REQUIRED, self.rp)
        };
        let opened = file_set::read(set, "s1sp", expected, &mut |serial, octets, signature| {
            let unknown = || FileFault::SignerUnknown(serial.to_owned());
            let certificate = self.certificates.by_serial(serial).ok_or_else(unknown)?;
            if certificate.eui() != signer {
                return Err(unknown());
            }
            if !signature::verify_octets(octets, signature, certificate) {
                return Err(FileFault::SignatureBad("file".into()));
            }
            Ok(certificate.eui())
        })?;
        if fresh {
            self.state().taken.check(&opened.header)?;
            if !is_activation(&opened) {
                opened.installations()?;
                opened.secrets(&self.opening)?;
            }
        }
        Ok(opened)
    }

    /// Makes the installations of a Required File Set known, under staged keys.
    fn learn(&self, opened: &OpenedSet) -> Result<Vec<Condition>, FileFault> {
        let secrets = opened.secrets(&self.opening)?;
        let mut conditions = Vec::new();
        for record in opened.installations()? {
            let mut of = secrets.installations.iter();
            let of = of.find(|secrets| secrets.installation_id == record.installation_id);
            if let Err(found) = self.learn_one(&record, &secrets_of(of)) {
                conditions.push(found);
            }
        }
        Ok(conditions)
    }

    fn learn_one(&self, record: &InstallationRecord, secrets: &Secrets) -> Result<(), Condition> {
        let id = &record.installation_id;
        let hub = Eui64(record.hub);
        let mut state = self.state();
        let live = state
            .installations
            .iter()
            .any(|(other, known)| known.hub == hub && (!known.rotated.is_empty() || other != id));
        let operated = self.directory.site(hub).is_some_and(|site| {
            let mut devices = site.devices.iter().filter(|device| has_keys(device.slot));
            devices.any(|device| device.keys.standing == Standing::InForce)
        });
        if live || operated {
            return Err(condition("already-live", id, hub, "operated by this S1SP already"));
        }
        let mut devices = Vec::new();
        let mut in_scope = Vec::new();
        for file in OpenedSet::devices_in_scope(record) {
            devices.push(self.device(id, file, secrets)?);
            in_scope.push(file.clone());
        }
        self.directory.insert(Site { hub, devices });
        self.held.lock().insert(hub);
        for device in &in_scope {
            state.tried.remove(&Eui64(device.device));
        }
        let installation = Installation {
            hub,
            devices: in_scope,
            rotated: Default::default(),
        };
        state.installations.insert(id.clone(), installation);
        Ok(())
    }

    fn device(&self, installation: &str, file: &DeviceRecord, secrets: &Secrets) -> Result<Device, Condition> {
        let id = Eui64(file.device);
        let found = |kind: &str, text: &str| condition(kind, installation, id, text);
        let slot: DeviceKind = file
            .kind
            .parse()
            .map_err(|error| found("malformed", &format!("{error}")))?;
        let device = self.models.device(id, slot, &file.profile).ok_or_else(|| {
            found(
                "unknown-device",
                &format!("no file describes a {slot} {}", file.profile),
            )
        })?;
        if !has_keys(slot) {
            return Ok(device);
        }
        match secrets.get(&id) {
            Some((epoch, secret)) if *epoch == file.staged_epoch => Ok(Device {
                keys: KeyEpoch::staged(*epoch, *secret),
                ..device
            }),
            _ => Err(found(
                "secrets-absent",
                "no secret of the staged epoch came with the files",
            )),
        }
    }

    /// Releases installations to users.
    fn activate(&self, file: &MigrationActivationFile) -> Vec<Condition> {
        let state = self.state();
        let mut conditions = Vec::new();
        for activated in &file.installations {
            let id = &activated.installation_id;
            let Some(known) = state.installations.get(id).filter(|known| known.hub.0 == activated.hub) else {
                let text = "no files of this installation were taken";
                conditions.push(condition("unknown-installation", id, Eui64(activated.hub), text));
                continue;
            };
            let missing: Vec<_> = known
                .devices
                .iter()
                .filter(|device| device.kind.parse().is_ok_and(has_keys))
                .filter(|device| activated.devices.contains(&device.device))
                .map(|device| Eui64(device.device))
                .filter(|device| !known.rotated.contains(device))
                .collect();
            if missing.is_empty() {
                self.held.lock().remove(&known.hub);
            } else {
                let devices = missing.into_iter();
                conditions
                    .extend(devices.map(|device| condition("not-rotated", id, device, "its keys are not in force")));
            }
        }
        conditions
    }
}

fn is_activation(opened: &OpenedSet) -> bool {
    opened.payload(MigrationFileKind::Activation).is_ok()
}

fn secrets_of(secrets: Option<&InstallationSecrets>) -> Secrets {
    let devices = secrets.into_iter().flat_map(|secrets| &secrets.devices);
    devices
        .filter_map(|secret| {
            let octets: [u8; 32] = secret.secret.as_ref().try_into().ok()?;
            Some((Eui64(secret.device), (secret.epoch, HandOverSecret::new(octets))))
        })
        .collect()
}
