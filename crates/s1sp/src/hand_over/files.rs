//! Files: an S1SP Required File Set makes an installation known, an activation file releases it to users.

use std::sync::Arc;

use domain::{DeviceKind, Eui64};
use duis::signature;
use head_end::survey::has_keys;
use head_end::{Device, KeyEpoch, Site, Standing};
use proto::{
    Condition, DeviceRecord, FileAcknowledgement, FileDelivery, InstallationRecord, Message, MigrationActivationFile,
    MigrationFileKind,
};
use world::file_set::{self, Admission, FileFault, OpenedSet};

use super::journal::Record;
use super::{HandOver, Installation, Secrets, condition};

const ACTIVATION: [MigrationFileKind; 1] = [MigrationFileKind::Activation];

impl HandOver {
    /// Takes files, and puts on record what it took. Files that it took before the last start, under the same reference, and
    /// whose answer it did not put on record, do again what they did.
    pub(super) fn files(&self, delivery: &FileDelivery) -> FileAcknowledgement {
        let mut acknowledgement = FileAcknowledgement {
            reference: delivery.reference.clone(),
            ..FileAcknowledgement::default()
        };
        match self.take_files(delivery) {
            Ok(conditions) => {
                acknowledgement.accepted = true;
                acknowledgement.conditions = conditions;
            }
            Err(found) => {
                tracing::debug!(leg = "s1sp", found.kind, found.detail, "files not taken");
                acknowledgement.conditions.push(found);
            }
        }
        acknowledgement
    }

    fn take_files(&self, delivery: &FileDelivery) -> Result<Vec<Condition>, Condition> {
        let fault = |fault: FileFault| fault.to_condition();
        let opened = self.opened(delivery).map_err(fault)?;
        let admission = self.state().taken.admit(&delivery.reference, &opened).map_err(fault)?;
        if !is_activation(&opened) {
            let records = opened.installations().map_err(fault)?;
            self.state().taken.admit_any(&records)?;
            opened.secrets(&self.opening).map_err(fault)?;
        }
        if admission == Admission::New {
            let mut state = self.state();
            let written = state.journal.write(&Record {
                delivery: Some(delivery.clone()),
                ..Record::default()
            });
            written.map_err(|error| condition("s1sp-down", "", Eui64(0), &error.to_string()))?;
            state.taken.take(&delivery.reference, &opened).map_err(fault)?;
        }
        self.act_on(&opened).map_err(fault)
    }

    /// Does what files say that the journal has: they were proved before they were written.
    pub(super) fn apply(&self, delivery: &FileDelivery) -> Result<Vec<Condition>, FileFault> {
        let opened = self.opened(delivery)?;
        self.state().taken.take(&delivery.reference, &opened)?;
        self.act_on(&opened)
    }

    fn act_on(&self, opened: &OpenedSet) -> Result<Vec<Condition>, FileFault> {
        if is_activation(opened) {
            let file = MigrationActivationFile::decode(opened.payload(MigrationFileKind::Activation)?)
                .map_err(|error| FileFault::Malformed(error.to_string()))?;
            Ok(self.activate(&file))
        } else {
            self.learn(opened)
        }
    }

    /// The set with its signatures proved.
    fn opened(&self, delivery: &FileDelivery) -> Result<OpenedSet, FileFault> {
        let set = delivery.set.clone().unwrap_or_default();
        let single = set.files.len() == 1;
        let (expected, signer): (&[MigrationFileKind], Eui64) = if single {
            (&ACTIVATION, self.cp)
        } else {
            (&file_set::REQUIRED, self.rp)
        };
        let mut prove = file_set::only(signer, |serial, octets, signature| {
            let certificate = self.certificates.by_serial(serial)?;
            let fits = signature::verify_octets(octets, signature, certificate);
            Some((certificate.eui(), fits))
        });
        file_set::read(&set, "s1sp", expected, &mut prove)
    }

    /// Makes the installations of a Required File Set known, under staged keys.
    fn learn(&self, opened: &OpenedSet) -> Result<Vec<Condition>, FileFault> {
        let secrets = opened.secrets(&self.opening)?;
        let mut conditions = Vec::new();
        for record in opened.installations()? {
            let secrets = file_set::secrets_by_device(&secrets, &record.installation_id);
            if let Err(found) = self.learn_one(&record, &secrets) {
                conditions.push(found);
            }
        }
        Ok(conditions)
    }

    fn learn_one(&self, record: &InstallationRecord, secrets: &Secrets) -> Result<(), Condition> {
        let id = &record.installation_id;
        let hub = Eui64(record.hub);
        let mut state = self.state();
        state.taken.admit_installation(record)?;
        let live = state.by_hub.get(&hub).is_some_and(|other| {
            let known = state.installations.get(other);
            other != id || known.is_some_and(|known| !known.rotated.is_empty())
        });
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
        state.take_out(id);
        for device in &in_scope {
            state.tried.remove(&Eui64(device.device));
            state.by_device.insert(Eui64(device.device), id.clone());
        }
        state.by_hub.insert(hub, id.clone());
        let installation = Installation {
            hub,
            devices: in_scope,
            rotated: Default::default(),
        };
        state.installations.insert(id.clone(), Arc::new(installation));
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
