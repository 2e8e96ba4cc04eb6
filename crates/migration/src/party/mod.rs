//! Requesting party and commissioning party: two roles that do the control centre's instructions and exchange files.
//!
//! Everything they say to the SMSO, the S1SP, the DCO and each other is an envelope on a link, and so are the instructions of
//! the control centre.

mod books;
mod cp;
mod enrolment;
mod rp;
mod validation;

use domain::keys::Party as KeyParty;
use domain::{DeviceKind, Eui64};
use duis::signature::{Certificate, SignError, SigningKey, sign_octets, verify_octets};
use proto::{
    Condition, DcoMigrationOutcome, DeviceRecord, Envelope, FileAcknowledgement, FileDelivery, InstallationRecord,
    Kind, Message, MigrationFile, MigrationFileContent, S1spMigrationOutcome, SmsoMigrationOutcome,
};
use world::file_set::{self, FileFault};
use world::{CallError, Caller};

use crate::InstallationId;
use crate::machine::model::{Authorisation, DeviceFacts, Installation};
use crate::machine::{Done, Found, Instruction, Report};
use crate::records::{device_facts, device_record};
use books::Snapshot;

pub use crate::centre::Office;
pub use cp::{Cp, CpOptions, Requests};
pub use enrolment::{CertificatesOf, Enrolment, VariantOf};
pub use rp::{Image, Images, Rp, RpOptions};
pub use validation::{Registered, Sight, Surroundings, validate};

/// What the SMSO says its devices are.
///
/// # Errors
/// `unknown` for a device that is of no kind there is: an installation is not taken without one of its devices.
fn facts_of(records: &[DeviceRecord]) -> Result<Vec<DeviceFacts>, Vec<Found>> {
    let facts = records.iter().map(|record| {
        device_facts(record).ok_or_else(|| {
            let kind: String = record.kind.chars().take(100).collect();
            vec![Found {
                device: Some(Eui64(record.device)),
                ..Found::new("unknown").saying(format!("no kind of device is called {kind:?}"))
            }]
        })
    });
    facts.collect()
}

/// Conditions about one installation, or about the whole, as findings.
fn found_of(conditions: &[Condition], id: Option<InstallationId>) -> Vec<Found> {
    let about = conditions.iter().filter(|condition| {
        condition.installation_id.is_empty() || id.is_some_and(|id| condition.installation_id == id.to_string())
    });
    about
        .map(|condition| Found {
            device: (condition.device != 0).then_some(Eui64(condition.device)),
            ..Found::new(&condition.kind).saying(condition.detail.clone())
        })
        .collect()
}

/// Asks and waits for the one reply, whose kind must be the expected one.
async fn ask<M: Message, R: Message + Default>(
    caller: &Caller,
    reference: &str,
    kinds: (Kind, Kind),
    message: &M,
    within: domain::SimDuration,
) -> Result<R, Found> {
    let envelope = Envelope {
        trace_id: reference.to_owned(),
        ..Envelope::default()
    };
    let reply = caller.call(envelope, kinds.0, &message.encode_to_vec(), within).await;
    let reply = reply.map_err(|error: CallError| Found::new("no-answer").saying(error.to_string()))?;
    if reply.kind() != kinds.1 {
        return Err(Found::new("unknown").saying(format!("a reply of kind {:?}", reply.kind())));
    }
    R::decode(reply.body).map_err(|error| Found::new("unknown").saying(error.to_string()))
}

/// What a role answers to a command: with what it found, or with nothing found.
trait Outcome: Message + Default {
    fn conditions(&self) -> &[Condition];
}

impl Outcome for DcoMigrationOutcome {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Outcome for S1spMigrationOutcome {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Outcome for SmsoMigrationOutcome {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// A role that takes commands: how it is reached, the kinds of command and outcome, how long it may take, and the word for
/// one that does not answer.
struct Commanded<'a> {
    caller: &'a Caller,
    kinds: (Kind, Kind),
    within: domain::SimDuration,
    silent: &'static str,
}

impl Commanded<'_> {
    /// Gives a command about an installation; its outcome, where nothing was found.
    async fn order<O: Outcome>(
        &self,
        reference: &str,
        command: &impl Message,
        about: InstallationId,
    ) -> Result<O, Vec<Found>> {
        let outcome: Result<O, Found> = ask(self.caller, reference, self.kinds, command, self.within).await;
        let outcome = outcome.map_err(|found| {
            let kind = self.silent.to_owned();
            vec![Found { kind, ..found }]
        })?;
        match outcome.conditions() {
            [] => Ok(outcome),
            conditions => Err(found_of(conditions, Some(about))),
        }
    }
}

/// A delivery once more, under a reference that no other set was ever sent under.
async fn again(caller: &Caller, delivery: &FileDelivery, within: domain::SimDuration) -> Option<FileAcknowledgement> {
    let first = delivery.set.as_ref().and_then(|set| set.files.first());
    let content = first.and_then(|file| MigrationFileContent::decode(file.signed.clone()).ok());
    let number = content.and_then(|content| content.header).unwrap_or_default().sequence;
    let delivery = FileDelivery {
        reference: format!("{}/again/{number}", delivery.reference),
        ..delivery.clone()
    };
    let kinds = (Kind::FileDelivery, Kind::FileAcknowledgement);
    ask(caller, &delivery.reference, kinds, &delivery, within).await.ok()
}

/// One signed file.
fn signed(key: &SigningKey, content: &MigrationFileContent) -> Result<MigrationFile, SignError> {
    file_set::file(content, |octets| {
        let signature = sign_octets(octets, key)?;
        Ok((key.certificate().serial().to_owned(), signature))
    })
}

/// Verifies files that only `signer` may have made.
fn verifier(signer: &Certificate) -> impl FnMut(&str, &[u8], &[u8]) -> Result<Eui64, FileFault> + '_ {
    file_set::only(signer.eui(), move |serial, octets, signature| {
        (serial == signer.serial()).then(|| (signer.eui(), verify_octets(octets, signature, signer)))
    })
}

/// A report about each installation of an instruction.
fn reports(instruction: &Instruction, each: impl Fn(InstallationId) -> Result<Done, Vec<Found>>) -> Vec<Report> {
    let one = |id: &InstallationId| Report {
        reference: instruction.reference.clone(),
        installation: *id,
        result: each(*id),
        mended: Vec::new(),
    };
    instruction.installations.iter().map(one).collect()
}

/// What everybody may know of an installation: the record of the common file.
fn record_of(known: &Installation, snapshot: Option<&Snapshot>) -> InstallationRecord {
    let read = snapshot.map_or(&[][..], |snapshot| &snapshot.devices);
    let facts = &known.facts;
    let devices = facts
        .devices
        .iter()
        .zip(&known.devices)
        .filter(|(device, _)| device.kind != DeviceKind::Ihd);
    let devices = devices.map(|(device, progress)| {
        let read = read
            .iter()
            .find(|read| read.device == device.id.0)
            .cloned()
            .unwrap_or_default();
        let known = DeviceRecord {
            staged_epoch: known.staged_epoch(device),
            in_scope: !progress.left_out,
            ..read
        };
        device_record(device, known)
    });
    let points = known.each_point().map(|(point, progress)| proto::MeteringPoint {
        mpxn: point.mpxn.to_string(),
        responsible_supplier: point.supplier.0,
        network_operator: point.network.0,
        prepayment: point.prepayment,
        ..authorised(progress.authorisation.as_ref())
    });
    InstallationRecord {
        installation_id: known.id().to_string(),
        attempt: known.attempt.number,
        cohort: facts.cohort.to_string(),
        installation_type: facts.installation_type().as_str().to_owned(),
        communications_provider: facts.provider.as_str().to_owned(),
        hub: facts.hub.0,
        devices: devices.collect(),
        points: points.collect(),
        snapshot_ms: known.attempt.snapshot_at.map_or(0, |at| at.0),
        vulnerable: facts.vulnerable,
        smso: String::new(),
        open_top_ups: snapshot.map_or(0, |snapshot| snapshot.open_top_ups),
    }
}

/// What the files say of an authorisation.
fn authorised(by: Option<&Authorisation>) -> proto::MeteringPoint {
    by.map_or_else(proto::MeteringPoint::default, |by| proto::MeteringPoint {
        authorisation: by.by.clone(),
        authorised_from: by.not_before.to_string(),
        authorised_to: by.not_after.to_string(),
        ..proto::MeteringPoint::default()
    })
}

/// The word for a recipient of files.
fn recipient(party: KeyParty) -> &'static str {
    party.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_not_taken_without_a_device_of_an_unknown_kind() {
        let record = |device, kind: &str| DeviceRecord {
            device,
            kind: kind.to_owned(),
            ..DeviceRecord::default()
        };
        let facts = facts_of(&[record(1, "CHF"), record(2, "ESME")]).unwrap();
        assert_eq!(facts.len(), 2);
        let found = facts_of(&[record(1, "CHF"), record(2, "KETTLE")]).unwrap_err();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].device, Some(Eui64(2)));
        assert_eq!(found[0].detail, "no kind of device is called \"KETTLE\"");
    }
}
