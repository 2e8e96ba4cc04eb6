//! The requesting party's side of the desk: extract, freeze, snapshot, stage, update, configure, decommission.
//!
//! Every act may be asked again: doing it twice is the same as doing it once. What was found is reported as conditions; what
//! follows from one is not this role's business.

use std::sync::Arc;

use domain::keys::Party;
use domain::operation::{ImageFault, ImageHash, Setting, SettingKind, digest_of_settings};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, Refusal, SimInstant, Value};
use proto::smso_migration_command::Act;
use proto::{
    Condition, DeviceRecord, DeviceSecret, Envelope, Kind, Message, Sealed, SmsoConfigure, SmsoFirmware,
    SmsoMigrationCommand, SmsoMigrationOutcome, SmsoStageKeys, StagedSecrets,
};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use world::sealed::{PublicKey, seal};
use world::semantic;

use super::{Answered, Desk, OnFile, Taken, again};
use crate::directory::{Device, Site};
use crate::image::{NotStored, Transfer};
use crate::job::Job;
use crate::survey::{self, Depth, Survey, Trouble, has_keys};

/// Takes a message of the requesting party.
pub(super) fn take(desk: &Arc<Desk>, envelope: Envelope) -> Taken {
    let command = match (envelope.kind(), SmsoMigrationCommand::decode(envelope.body.clone())) {
        (Kind::SmsoMigrationCommand, Ok(command)) => command,
        _ => {
            tracing::warn!(from = %envelope.from, "a message to the smso that is no migration command");
            return Taken::Nothing;
        }
    };
    if let Some(taken) = again(desk, &envelope, &command.reference) {
        return taken;
    }
    if let Err(error) = desk.books().begin(&command.reference, false) {
        tracing::error!(%error, "migration command not taken");
        return Taken::Nothing;
    }
    let desk = Arc::clone(desk);
    Taken::Work(Box::pin(async move {
        let outcome = work(&desk, &envelope, &command).await;
        Answered {
            envelope,
            reference: command.reference,
            kind: Kind::SmsoMigrationOutcome,
            body: outcome.encode_to_vec().into(),
        }
    }))
}

async fn work(desk: &Arc<Desk>, envelope: &Envelope, command: &SmsoMigrationCommand) -> SmsoMigrationOutcome {
    let mut outcome = SmsoMigrationOutcome {
        reference: command.reference.clone(),
        ..SmsoMigrationOutcome::default()
    };
    let hub = Eui64(command.hub);
    if let Some(Act::Decommission(act)) = &command.act {
        tracing::info!(%hub, group = act.group_id, leg = "smso", "decommissioned");
        outcome.top_ups_while_frozen = desk.books().top_ups_while_frozen(hub);
        let done = desk.books().decommission(hub);
        match done {
            Ok(()) => desk.directory.remove(hub),
            Err(error) => outcome.conditions.push(own(&error.to_string())),
        }
        return outcome;
    }
    let Some(site) = desk.directory.site(hub) else {
        outcome
            .conditions
            .push(condition("unknown-installation", hub, "not operated by this SMSO"));
        return outcome;
    };
    let act = Acting {
        desk,
        site: &site,
        trace_id: &envelope.trace_id,
        deadline: desk.world.clock.now() + desk.command_within,
    };
    match &command.act {
        Some(Act::Extract(_)) => outcome.devices = site.devices.iter().map(survey::on_file).collect(),
        Some(Act::Freeze(freeze)) => act.freeze(SimInstant(freeze.until_ms), &mut outcome),
        Some(Act::Unfreeze(_)) => act.unfreeze(&mut outcome).await,
        Some(Act::Snapshot(_)) => act.snapshot(&mut outcome).await,
        Some(Act::StageKeys(stage)) => act.stage(stage, &mut outcome).await,
        Some(Act::Firmware(firmware)) => act.firmware(firmware, &mut outcome).await,
        Some(Act::Configure(configure)) => act.configure(configure, &mut outcome).await,
        Some(Act::Decommission(_)) => {}
        None => outcome
            .conditions
            .push(condition("malformed", hub, "the command says nothing to do")),
    }
    let OnFile { master_keys, active } = desk.files.of(hub);
    let books = desk.books();
    outcome.master_keys = master_keys;
    outcome.active = active;
    outcome.open_top_ups = books.open_top_ups(hub);
    outcome.top_ups_while_frozen = books.top_ups_while_frozen(hub);
    outcome.last_contact_ms = books.last_contact(hub).map_or(0, |at| at.0);
    outcome
}

/// One act on one installation.
struct Acting<'a> {
    desk: &'a Arc<Desk>,
    site: &'a Arc<Site>,
    trace_id: &'a str,
    deadline: SimInstant,
}

impl Acting<'_> {
    fn freeze(&self, until: SimInstant, outcome: &mut SmsoMigrationOutcome) {
        if let Err(error) = self.desk.books().freeze(self.site.hub, until) {
            outcome.conditions.push(own(&error.to_string()));
        }
    }

    /// Drops what is staged, then lets the suppliers in again. A device that could not be told keeps its staged keys, which
    /// is reported and tried again with the next unfreeze; nobody can change it with them alone.
    async fn unfreeze(&self, outcome: &mut SmsoMigrationOutcome) {
        self.drop_staged(outcome).await;
        if let Err(error) = self.desk.books().unfreeze(self.site.hub) {
            outcome.conditions.push(own(&error.to_string()));
        }
        // What was being staged meanwhile; what comes later finds that the freeze is over, and drops it itself.
        if outcome.conditions.is_empty() {
            self.drop_staged(outcome).await;
        }
    }

    /// Has every device drop the keys that are staged on it, or may be.
    async fn drop_staged(&self, outcome: &mut SmsoMigrationOutcome) {
        let staged: Vec<Device> = {
            let books = self.desk.books();
            let devices = self.site.devices.iter();
            devices
                .filter(|device| books.staged(device.id).is_some())
                .cloned()
                .collect()
        };
        for (device, trouble) in self.each(&staged, &Operation::CancelStagedKeys).await {
            match trouble {
                Some(trouble) => outcome.conditions.push(trouble.condition("", device.id)),
                None => self.note_staged(device.id, 0, outcome),
            }
        }
    }

    async fn snapshot(&self, outcome: &mut SmsoMigrationOutcome) {
        let mut asked = JoinSet::new();
        for device in self.site.devices.iter().filter(|device| has_keys(device.slot)) {
            let (desk, site, trace_id) = (Arc::clone(self.desk), Arc::clone(self.site), self.trace_id.to_owned());
            let (device, deadline) = (device.clone(), self.deadline);
            asked.spawn(async move {
                let survey = Survey {
                    handle: &desk.handle,
                    site: &site,
                    trace_id: &trace_id,
                    depth: Depth::Everything,
                };
                let said = survey.ask(&device, deadline).await;
                (device, said)
            });
        }
        while let Some(ended) = asked.join_next().await {
            let Ok((device, said)) = ended else { continue };
            match said {
                Ok(said) => {
                    self.desk.books().heard(self.site.hub, self.desk.world.clock.now());
                    outcome.devices.push(survey::record(&device, &said));
                }
                Err(trouble) => outcome.conditions.push(trouble.condition("", device.id)),
            }
        }
        let keyless = self.site.devices.iter().filter(|device| !has_keys(device.slot));
        outcome.devices.extend(keyless.map(survey::on_file));
        outcome
            .devices
            .sort_by_key(|record| (place(&record.kind), record.device));
        outcome.taken_ms = self.desk.world.clock.now().0;
    }

    async fn stage(&self, stage: &SmsoStageKeys, outcome: &mut SmsoMigrationOutcome) {
        let hub = self.site.hub;
        if !self.desk.files.of(hub).master_keys {
            outcome
                .conditions
                .push(condition("master-key-missing", hub, "no master keys on file"));
            return;
        }
        if !self.desk.books().is_frozen(hub, self.desk.world.clock.now()) {
            outcome
                .conditions
                .push(condition("not-frozen", hub, "freeze the installation first"));
            return;
        }
        let seal_to = match PublicKey::from_octets(&stage.seal_to) {
            Ok(key) => key,
            Err(error) => {
                outcome.conditions.push(condition("malformed", hub, &error.to_string()));
                return;
            }
        };
        let Some(devices) = self.devices(&stage.devices, outcome) else {
            return;
        };
        let operation = Operation::StageKeys {
            party: Party::S1sp,
            epoch: stage.epoch,
        };
        // From now on they may be staged, whatever becomes of the answers or of this process.
        for device in &devices {
            self.note_staged(device.id, stage.epoch, outcome);
        }
        let mut secrets = StagedSecrets::default();
        for (device, trouble) in self.each(&devices, &operation).await {
            if let Some(trouble) = trouble {
                let mut found = trouble.condition("", device.id);
                if matches!(trouble, Trouble::Refused(Refusal::OutOfRange | Refusal::WrongState)) {
                    "keys-not-staged".clone_into(&mut found.kind);
                }
                outcome.conditions.push(found);
                continue;
            }
            let secret = |recipient| {
                let secret = self
                    .desk
                    .custody
                    .relation
                    .hand_over_secret(device.id, stage.epoch, recipient);
                DeviceSecret {
                    device: device.id.0,
                    epoch: stage.epoch,
                    secret: secret.expose().to_vec().into(),
                }
            };
            secrets.s1sp.push(secret(Party::S1sp));
            secrets.dco.push(secret(Party::Dco));
            outcome.devices.push(DeviceRecord {
                staged_epoch: stage.epoch,
                ..survey::on_file(&device)
            });
        }
        if !self.desk.books().is_frozen(hub, self.desk.world.clock.now()) {
            let text = "it was unfrozen while its keys were staged; they are dropped again";
            outcome.conditions.push(condition("not-frozen", hub, text));
            outcome.devices.clear();
            return self.drop_staged(outcome).await;
        }
        match seal(&secrets.encode_to_vec(), &seal_to, outcome.reference.as_bytes()) {
            Ok(sealed) => outcome.secrets = Some(sealed),
            Err(error) => {
                outcome.secrets = Some(Sealed::default());
                outcome.conditions.push(condition("malformed", hub, &error.to_string()));
            }
        }
    }

    async fn firmware(&self, update: &SmsoFirmware, outcome: &mut SmsoMigrationOutcome) {
        let Some(devices) = self.devices(&[update.device], outcome) else {
            return;
        };
        let Some(device) = devices.first() else { return };
        let clock = &self.desk.world.clock;
        let deadline = clock.now() + self.desk.firmware_within;
        let mut found = |kind: &str, detail: &str| outcome.conditions.push(condition(kind, device.id, detail));
        let Some(profile) = self.desk.models.profile(&update.profile) else {
            return found("image-missing", &format!("no file describes {}", update.profile));
        };
        let hash: [u8; 32] = Sha256::digest(&update.image).into();
        if update.sha256.as_ref() != hash {
            return found("image-rejected", "the image does not have the hash that came with it");
        }
        let transfer = Transfer {
            handle: &self.desk.handle,
            site: self.site,
            device: device.id,
            trace_id: self.trace_id,
            image: &update.image,
            hash: ImageHash(hash),
            deadline,
        };
        match transfer.run(clock).await {
            Ok(()) => {}
            Err(NotStored::Refused(refusal)) => {
                return found("image-rejected", &Trouble::Refused(refusal).to_string());
            }
            Err(NotStored::NotDelivered(trouble)) => return found(trouble.kind(), &trouble.to_string()),
        }
        let activate = Operation::ActivateImage { hash: ImageHash(hash) };
        let told = std::slice::from_ref(device);
        let told = if device.slot.runs_images_by_itself() { &[] } else { told };
        let activated = self.each(told, &activate).await;
        if let Some((_, Some(trouble))) = activated.into_iter().next() {
            let kind = match &trouble {
                Trouble::Refused(Refusal::Image(ImageFault::Hash)) => "image-rejected",
                Trouble::Refused(_) => "activation-failed",
                Trouble::Failed(_) => trouble.kind(),
            };
            return found(kind, &trouble.to_string());
        }
        let running = match has_keys(device.slot) {
            true => self.runs(device, &profile.native_firmware, deadline).await,
            // What speaks through the hub cannot be asked: the hub said that it has the image.
            false => Ok(None),
        };
        match running {
            Err(trouble) => found(trouble.kind(), &trouble.to_string()),
            Ok(Some(other)) => found("activation-failed", &format!("it runs {other}")),
            Ok(None) => {
                self.desk
                    .directory
                    .change(device.id, |known| known.profile = Arc::clone(&profile));
                if let Err(error) = self.desk.books().change_profile(device.id, &update.profile) {
                    outcome.conditions.push(own(&error.to_string()));
                }
                if let Some(site) = self.desk.directory.site(self.site.hub)
                    && let Some(device) = site.device(device.id)
                {
                    outcome.devices.push(survey::on_file(device));
                }
            }
        }
    }

    /// Waits until a device runs this firmware; gives what it runs instead when it is back with another.
    async fn runs(&self, device: &Device, firmware: &str, deadline: SimInstant) -> Result<Option<String>, Trouble> {
        let clock = &self.desk.world.clock;
        let mut last = None;
        for _ in 0..LOOKS {
            clock.sleep(LOOK_EVERY).await;
            let survey = Survey {
                handle: &self.desk.handle,
                site: self.site,
                trace_id: self.trace_id,
                depth: Depth::Identity,
            };
            match survey.ask(device, deadline).await {
                Ok(said) => match said.text(DataItem::FirmwareVersion) {
                    Some(running) if running == firmware => return Ok(None),
                    running => last = Some(Ok(running.map(str::to_owned))),
                },
                Err(trouble) => last = Some(Err(trouble)),
            }
            if clock.now() >= deadline {
                break;
            }
        }
        last.unwrap_or(Ok(Some(String::new())))
    }

    /// Writes what is not so yet, then reads all of it back: the device's own word counts, not its acknowledgement.
    async fn configure(&self, configure: &SmsoConfigure, outcome: &mut SmsoMigrationOutcome) {
        let Some(devices) = self.devices(&[configure.device], outcome) else {
            return;
        };
        let Some(device) = devices.first() else { return };
        let mut wanted = Vec::new();
        for operation in &configure.operations {
            match semantic::operation_from_proto(operation) {
                Ok(operation) => wanted.push(operation),
                Err(error) => {
                    let found = condition("malformed", device.id, &error.to_string());
                    return outcome.conditions.push(found);
                }
            }
        }
        for operation in &wanted {
            if let Err(found) = self.write(device, operation).await {
                return outcome.conditions.push(found);
            }
        }
        let survey = Survey {
            handle: &self.desk.handle,
            site: self.site,
            trace_id: self.trace_id,
            depth: Depth::Everything,
        };
        let said = match survey.ask(device, self.deadline).await {
            Ok(said) => said,
            Err(trouble) => return outcome.conditions.push(trouble.condition("", device.id)),
        };
        let digest = match self.read_back(device, &wanted).await {
            Ok(digest) => digest.or(said.configuration_digest()).unwrap_or_default(),
            Err(found) => return outcome.conditions.push(found),
        };
        if !configure.configuration_digest.is_empty() && !configure.configuration_digest.eq_ignore_ascii_case(&digest) {
            let detail = format!("the digest is {digest}");
            outcome
                .conditions
                .push(condition("configuration-refused", device.id, &detail));
        }
        outcome.devices.push(DeviceRecord {
            configuration_digest: digest,
            ..survey::record(device, &said)
        });
    }

    /// Does one operation, unless it is a setting that the device has already.
    async fn write(&self, device: &Device, operation: &Operation) -> Result<(), Condition> {
        let refused =
            |refusal: &Refusal| condition("configuration-refused", device.id, &format!("{operation}: {refusal}"));
        if let Operation::Write(setting) = operation {
            match self.setting(device, setting.kind()).await {
                Ok(current) if current.as_ref() == Some(setting) => return Ok(()),
                Ok(_) | Err(Trouble::Refused(_)) => {}
                Err(trouble) => return Err(trouble.condition("", device.id)),
            }
        }
        let done = self.each(std::slice::from_ref(device), operation).await;
        match done.into_iter().next().and_then(|(_, trouble)| trouble) {
            None => Ok(()),
            Some(Trouble::Refused(refusal)) => Err(refused(&refusal)),
            Some(trouble) => Err(trouble.condition("", device.id)),
        }
    }

    /// The digest of the settings that were to be written, as the device has them; none when there were none.
    async fn read_back(&self, device: &Device, wanted: &[Operation]) -> Result<Option<String>, Condition> {
        let mut settings = Vec::new();
        for operation in wanted {
            let Operation::Write(setting) = operation else { continue };
            let kind = setting.kind();
            match self.setting(device, kind).await {
                Ok(Some(current)) if current == *setting => settings.push(current),
                Ok(_) => {
                    let detail = format!("{} reads back otherwise", kind.name());
                    return Err(condition("configuration-refused", device.id, &detail));
                }
                Err(Trouble::Refused(refusal)) => {
                    let detail = format!("{} cannot be read back: {refusal}", kind.name());
                    return Err(condition("configuration-refused", device.id, &detail));
                }
                Err(trouble) => return Err(trouble.condition("", device.id)),
            }
        }
        Ok(digest_of_settings(settings.iter().map(Box::as_ref)))
    }

    /// What a device has for a setting; none when it answers with something else.
    async fn setting(&self, device: &Device, kind: SettingKind) -> Result<Option<Box<Setting>>, Trouble> {
        let job = self.job(device, Operation::Read(DataItem::Setting(kind)));
        match self.desk.handle.execute(job).await {
            Ok(Ok(Answer::Value(Value::Setting(setting)))) => Ok(Some(setting)),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(refusal)) => Err(Trouble::Refused(refusal)),
            Err(failure) => Err(Trouble::Failed(failure)),
        }
    }

    fn job(&self, device: &Device, operation: Operation) -> Job {
        Job {
            trace_id: self.trace_id.to_owned(),
            hub: self.site.hub,
            device: device.id,
            slot: device.slot,
            operation,
            approval: None,
            deadline: self.deadline,
        }
    }

    /// The devices of a list; `None`, with a condition, when one of them is not here.
    fn devices(&self, ids: &[u64], outcome: &mut SmsoMigrationOutcome) -> Option<Vec<Device>> {
        let mut devices = Vec::with_capacity(ids.len());
        for id in ids {
            match self.site.device(Eui64(*id)) {
                Some(device) => devices.push(device.clone()),
                None => {
                    let detail = format!("not behind hub {}", self.site.hub);
                    outcome
                        .conditions
                        .push(condition("unknown-device", Eui64(*id), &detail));
                    return None;
                }
            }
        }
        Some(devices)
    }

    /// Asks each device the same, all at once; in the order of the list.
    async fn each(&self, devices: &[Device], operation: &Operation) -> Vec<(Device, Option<Trouble>)> {
        let mut asked = JoinSet::new();
        for (index, device) in devices.iter().cloned().enumerate() {
            let job = self.job(&device, operation.clone());
            let handle = self.desk.handle.clone();
            asked.spawn(async move { (index, device, Trouble::with(handle.execute(job).await)) });
        }
        let mut done = Vec::with_capacity(devices.len());
        while let Some(ended) = asked.join_next().await {
            done.extend(ended);
        }
        done.sort_by_key(|(index, ..)| *index);
        done.into_iter().map(|(_, device, trouble)| (device, trouble)).collect()
    }

    fn note_staged(&self, device: Eui64, epoch: u32, outcome: &mut SmsoMigrationOutcome) {
        if let Err(error) = self.desk.books().stage(device, epoch) {
            outcome.conditions.push(own(&error.to_string()));
        }
    }
}

fn place(kind: &str) -> usize {
    let kinds = DeviceKind::ALL.iter();
    kinds
        .clone()
        .position(|known| known.as_str() == kind)
        .unwrap_or(kinds.len())
}

fn condition(kind: &str, device: Eui64, detail: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        installation_id: String::new(),
        device: device.0,
        detail: detail.to_owned(),
    }
}

/// The SMSO's own trouble.
fn own(detail: &str) -> Condition {
    condition("smso-down", Eui64(0), detail)
}

/// How often and how long a device is looked for after an activation: a gas meter answers only when it wakes.
const LOOKS: usize = 10;
const LOOK_EVERY: domain::SimDuration = domain::SimDuration::from_mins(5);
