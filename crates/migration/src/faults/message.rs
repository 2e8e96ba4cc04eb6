//! What messages of a migration are about, and how one is changed.

use domain::DeviceKind;
use prost::bytes::Bytes;
use proto::{
    Condition, Envelope, FileAcknowledgement, FileDelivery, Kind, Message, MigrationCommonFile, MigrationFileContent,
    S1spMigrationCommand, S1spMigrationOutcome, SmsoMigrationCommand, SmsoMigrationOutcome, s1sp_migration_command,
    smso_migration_command,
};

use crate::InstallationId;

/// What an instruction's reference says: the work, and the installation with its attempt where it is about one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct About {
    pub(super) work: String,
    pub(super) one: Option<(InstallationId, u32)>,
}

impl About {
    /// Of a trace id; none for traffic that is not a migration's.
    pub(super) fn of(trace: &str) -> Option<Self> {
        let parts: Vec<&str> = trace.split('/').collect();
        let (first, second) = (*parts.first()?, *parts.get(1)?);
        if let Ok(id) = first.parse::<InstallationId>() {
            return Some(Self {
                work: (*parts.get(2)?).to_owned(),
                one: Some((id, second.parse().ok()?)),
            });
        }
        let staged = parts.get(3).filter(|word| **word == "stage");
        Some(Self {
            work: if staged.is_some() { "stage" } else { second }.to_owned(),
            one: staged.and_then(|_| Some((parts.get(4)?.parse().ok()?, 0))),
        })
    }
}

/// The installations, with their attempts, that a set of files is about.
pub(super) fn members(body: &[u8]) -> Vec<(InstallationId, u32)> {
    let set = FileDelivery::decode(body).ok().and_then(|delivery| delivery.set);
    let contents = set.into_iter().flat_map(|set| set.files);
    let payloads = contents.filter_map(|file| MigrationFileContent::decode(file.signed).ok());
    let common = payloads
        .filter(|content| content.kind() == proto::MigrationFileKind::Common)
        .find_map(|content| MigrationCommonFile::decode(content.payload).ok());
    let records = common.into_iter().flat_map(|common| common.installations);
    records
        .filter_map(|record| Some((record.installation_id.parse().ok()?, record.attempt)))
        .collect()
}

/// The kind of device that a command of the S1SP is about, by the device's id; none when it is about all.
pub(super) fn device_of(envelope: &Envelope) -> Option<u64> {
    let command = S1spMigrationCommand::decode(envelope.body.clone()).ok()?;
    match command.act? {
        s1sp_migration_command::Act::Probe(probe) => Some(probe.device),
        s1sp_migration_command::Act::Rotate(rotate) => Some(rotate.device),
        _ => None,
    }
}

/// Whether a viability command asks for this device.
pub(super) fn asks_for(envelope: &Envelope, device: u64) -> bool {
    let command = S1spMigrationCommand::decode(envelope.body.clone()).unwrap_or_default();
    matches!(command.act, Some(s1sp_migration_command::Act::Viability(asked)) if asked.devices.contains(&device))
}

/// The delivery with the files of another one, under its own reference.
pub(super) fn with_set_of(envelope: &Envelope, other: &Bytes) -> Option<Bytes> {
    encode(&FileDelivery {
        set: FileDelivery::decode(other.clone()).ok()?.set,
        ..FileDelivery::decode(envelope.body.clone()).ok()?
    })
}

fn encode(message: &impl Message) -> Option<Bytes> {
    Some(Bytes::from(message.encode_to_vec()))
}

/// The answer with these conditions instead of what it says; about the installations that they name.
pub(super) fn found(envelope: &Envelope, conditions: Vec<Condition>) -> Option<Bytes> {
    let body = envelope.body.clone();
    match envelope.kind() {
        Kind::SmsoMigrationOutcome => encode(&SmsoMigrationOutcome {
            conditions,
            ..SmsoMigrationOutcome::decode(body).ok()?
        }),
        Kind::S1spMigrationOutcome => encode(&S1spMigrationOutcome {
            conditions,
            ..S1spMigrationOutcome::decode(body).ok()?
        }),
        Kind::FileAcknowledgement => {
            let mut answer = FileAcknowledgement::decode(body).ok()?;
            answer.conditions.extend(conditions);
            encode(&answer)
        }
        _ => None,
    }
}

/// The answer of the S1SP with this put right on the way.
pub(super) fn mended(envelope: &Envelope, condition: Condition) -> Option<Bytes> {
    let mut outcome = S1spMigrationOutcome::decode(envelope.body.clone()).ok()?;
    outcome.mended.push(condition);
    encode(&outcome)
}

/// The message with what an error changes in it; none when there is nothing of it in this message.
pub(super) fn changed(code: &str, envelope: &Envelope) -> Option<Bytes> {
    let body = envelope.body.clone();
    match (code, envelope.kind()) {
        ("LAB-PR-01" | "LAB-PR-02" | "LAB-PR-08", Kind::SmsoMigrationOutcome) => {
            let mut outcome = SmsoMigrationOutcome::decode(body).ok()?;
            match code {
                "LAB-PR-01" => meter(&mut outcome)?.model.clear(),
                "LAB-PR-02" => outcome.master_keys = false,
                _ => outcome.active = !outcome.active,
            }
            encode(&outcome)
        }
        ("LAB-PR-04", Kind::SmsoMigrationCommand) => {
            let mut command = SmsoMigrationCommand::decode(body).ok()?;
            let Some(smso_migration_command::Act::Firmware(firmware)) = &mut command.act else {
                return None;
            };
            firmware.sha256 = flipped(&firmware.sha256);
            encode(&command)
        }
        ("LAB-PR-06", Kind::SmsoMigrationOutcome) => {
            let mut outcome = SmsoMigrationOutcome::decode(body).ok()?;
            "LAB-9999".clone_into(&mut meter(&mut outcome)?.firmware);
            encode(&outcome)
        }
        ("LAB-DV-01", Kind::FileDelivery) => {
            let mut delivery = FileDelivery::decode(body).ok()?;
            let file = delivery.set.as_mut()?.files.first_mut()?;
            file.signature = flipped(&file.signature);
            encode(&delivery)
        }
        ("LAB-VI-08", Kind::S1spMigrationCommand) => {
            let mut command = S1spMigrationCommand::decode(body).ok()?;
            let Some(s1sp_migration_command::Act::Probe(probe)) = &mut command.act else {
                return None;
            };
            probe.approval = flipped(&probe.approval);
            encode(&command)
        }
        _ => None,
    }
}

fn meter(outcome: &mut SmsoMigrationOutcome) -> Option<&mut proto::DeviceRecord> {
    let mut devices = outcome.devices.iter_mut();
    devices.find(|device| device.kind == DeviceKind::Esme.as_str())
}

/// The same octets with one bit of the last one changed.
fn flipped(octets: &Bytes) -> Bytes {
    let mut octets = octets.to_vec();
    if let Some(last) = octets.last_mut() {
        *last ^= 1;
    }
    octets.into()
}
