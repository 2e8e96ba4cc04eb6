//! The DCO's part in a migration: it takes its Required File Set, and approves probes and rotations of the devices in it.
//!
//! The form is ours; only the names of the three files, their common header and its GroupID are sourced. From the moment a
//! rotation is approved, the DCO approves users' operations on that device under the epoch that was handed over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use domain::{Eui64, Operation, SimInstant};
use duis::signature::{self, Certificates};
use prost::Message;
use proto::dco_migration_command::Act;
use proto::{
    Condition, DcoMigrationCommand, DcoMigrationOutcome, Envelope, FileAcknowledgement, FileDelivery, HandOverApproval,
    Kind,
};
use world::file_set::{self, Admission, FileFault, OpenedSet, Taken};
use world::sealed::OpeningKey;
use world::{Store, StoreError};

use crate::judge::Judge;

/// Answers kept for commands that come again.
const ANSWERS_MAX: usize = 8192;

/// What a DCO needs to take part in migrations.
pub struct HandOverOptions {
    /// The requesting party: signs file sets.
    pub rp: Eui64,
    /// The commissioning party: asks for approvals.
    pub cp: Eui64,
    /// Opens what is sealed to the DCO.
    pub opening: OpeningKey,
    /// Certificates of the requesting party.
    pub certificates: Arc<dyn Certificates + Send + Sync>,
    /// Journal of files and answers.
    pub store: Box<dyn Store>,
}

/// Kinds of device that have keys of their own.
const KEYED: [&str; 4] = ["CHF", "ESME", "GPF", "GSME"];

/// The DCO's desk for migrations.
pub(crate) struct HandOver {
    options: HandOverOptions,
    taken: Taken,
    /// Devices by installation.
    installations: BTreeMap<String, BTreeSet<Eui64>>,
    answers: BTreeMap<String, (Kind, Bytes)>,
    order: VecDeque<String>,
}

/// One record; each says one thing. Files stand in it as they came: what was sealed stays sealed.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, optional, tag = "1")]
    delivery: Option<FileDelivery>,
    #[prost(string, tag = "2")]
    purged: String,
    #[prost(message, optional, tag = "3")]
    answered: Option<Answered>,
    /// The attempt of the installation that was purged.
    #[prost(uint32, tag = "4")]
    attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Answered {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(bytes = "bytes", tag = "3")]
    body: Bytes,
}

impl HandOver {
    /// A desk on its journal; `judge` learns the keys that were handed over.
    pub(crate) fn open(options: HandOverOptions, judge: &mut Judge) -> Result<Self, StoreError> {
        let mut desk = Self {
            options,
            taken: Taken::default(),
            installations: BTreeMap::new(),
            answers: BTreeMap::new(),
            order: VecDeque::new(),
        };
        let mut records = Vec::new();
        let mut strange = 0u32;
        desk.options.store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => records.push(record),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            return Err(StoreError {
                journal: "dco hand-over".into(),
                problem: format!("{strange} record(s) that are none"),
            });
        }
        for record in records {
            if let Some(delivery) = record.delivery {
                // What the journal has was proved before it was written.
                let _conditions = desk.apply(&delivery, judge);
            }
            if !record.purged.is_empty() {
                desk.forget(&record.purged, record.attempt, judge);
            }
            if let Some(answered) = record.answered {
                let kind = Kind::try_from(answered.kind).unwrap_or(Kind::Unspecified);
                desk.remember(answered.reference, kind, answered.body);
            }
        }
        Ok(desk)
    }

    /// Answers one message of the commissioning party; `None` when it is none, or the answer could not be put on record.
    pub(crate) fn answer(&mut self, envelope: &Envelope, judge: &mut Judge, now: SimInstant) -> Option<(Kind, Bytes)> {
        let (reference, kind, body) = match envelope.kind() {
            Kind::FileDelivery => {
                let delivery = FileDelivery::decode(envelope.body.clone()).ok()?;
                if let Some(answer) = self.answers.get(&delivery.reference) {
                    return Some(answer.clone());
                }
                let body = self.files(&delivery, judge).encode_to_vec();
                (delivery.reference, Kind::FileAcknowledgement, body)
            }
            Kind::DcoMigrationCommand => {
                let command = DcoMigrationCommand::decode(envelope.body.clone()).ok()?;
                if let Some(answer) = self.answers.get(&command.reference) {
                    return Some(answer.clone());
                }
                let body = self.command(&command, judge, now).encode_to_vec();
                (command.reference, Kind::DcoMigrationOutcome, body)
            }
            kind => {
                tracing::warn!(from = %envelope.from, ?kind, leg = "dco", "no message of a migration");
                return None;
            }
        };
        let body = Bytes::from(body);
        let answered = Answered {
            reference: reference.clone(),
            kind: kind.into(),
            body: body.clone(),
        };
        let written = self.write(&Record {
            answered: Some(answered),
            ..Record::default()
        });
        if let Err(error) = written {
            tracing::error!(reference, leg = "dco", %error, "answer not journalled, not given");
            return None;
        }
        self.remember(reference, kind, body.clone());
        Some((kind, body))
    }

    /// Takes files. Those that it took before the last start, under the same reference, and whose answer it did not put on
    /// record, do again what they did.
    fn files(&mut self, delivery: &FileDelivery, judge: &mut Judge) -> FileAcknowledgement {
        let mut acknowledgement = FileAcknowledgement {
            reference: delivery.reference.clone(),
            ..FileAcknowledgement::default()
        };
        match self.take_files(delivery, judge) {
            Ok(conditions) => {
                acknowledgement.accepted = true;
                acknowledgement.conditions = conditions;
            }
            Err(found) => {
                tracing::debug!(leg = "dco", found.kind, found.detail, "files not taken");
                acknowledgement.conditions.push(found);
            }
        }
        acknowledgement
    }

    fn take_files(&mut self, delivery: &FileDelivery, judge: &mut Judge) -> Result<Vec<Condition>, Condition> {
        let fault = |fault: FileFault| fault.to_condition();
        let opened = self.opened(delivery).map_err(fault)?;
        let admission = self.taken.admit(&delivery.reference, &opened).map_err(fault)?;
        self.taken.admit_any(&opened.installations().map_err(fault)?)?;
        opened.secrets(&self.options.opening).map_err(fault)?;
        if admission == Admission::New {
            let written = self.write(&Record {
                delivery: Some(delivery.clone()),
                ..Record::default()
            });
            written.map_err(|error| condition("dco-down", "", Eui64(0), &error.to_string()))?;
            self.taken.take(&delivery.reference, &opened).map_err(fault)?;
        }
        self.act_on(&opened, judge).map_err(fault)
    }

    fn opened(&self, delivery: &FileDelivery) -> Result<OpenedSet, FileFault> {
        let set = delivery.set.clone().unwrap_or_default();
        let mut prove = file_set::only(self.options.rp, |serial, octets, signature| {
            let certificate = self.options.certificates.by_serial(serial)?;
            let fits = signature::verify_octets(octets, signature, certificate);
            Some((certificate.eui(), fits))
        });
        file_set::read(&set, "dco", &file_set::REQUIRED, &mut prove)
    }

    /// Does what files say that the journal has: they were proved before they were written.
    fn apply(&mut self, delivery: &FileDelivery, judge: &mut Judge) -> Result<Vec<Condition>, FileFault> {
        let opened = self.opened(delivery)?;
        self.taken.take(&delivery.reference, &opened)?;
        self.act_on(&opened, judge)
    }

    fn act_on(&mut self, opened: &OpenedSet, judge: &mut Judge) -> Result<Vec<Condition>, FileFault> {
        let secrets = opened.secrets(&self.options.opening)?;
        let mut conditions = Vec::new();
        for record in opened.installations()? {
            if let Err(found) = self.taken.admit_installation(&record) {
                conditions.push(found);
                continue;
            }
            let id = &record.installation_id;
            let given = file_set::secrets_by_device(&secrets, id);
            let wanted: BTreeSet<Eui64> = OpenedSet::devices_in_scope(&record)
                .filter(|device| KEYED.contains(&device.kind.as_str()))
                .map(|device| Eui64(device.device))
                .collect();
            let found = |kind, text: &str| condition(kind, id, Eui64(record.hub), text);
            if given.is_empty() && !wanted.is_empty() {
                conditions.push(found(
                    "secrets-absent",
                    "no secrets of this installation came with the files",
                ));
                continue;
            }
            if given.keys().copied().collect::<BTreeSet<_>>() != wanted {
                conditions.push(found(
                    "device-sets-differ",
                    "common file and secrets name different devices",
                ));
                continue;
            }
            for (device, (epoch, secret)) in given {
                judge.learn(device, epoch, secret);
            }
            self.installations.insert(id.clone(), wanted);
        }
        Ok(conditions)
    }

    fn command(&mut self, command: &DcoMigrationCommand, judge: &mut Judge, now: SimInstant) -> DcoMigrationOutcome {
        let mut outcome = DcoMigrationOutcome {
            reference: command.reference.clone(),
            ..DcoMigrationOutcome::default()
        };
        let id = &command.installation_id;
        match &command.act {
            Some(Act::Approve(asked)) => match self.approve(id, asked, judge, now) {
                Ok(approval) => outcome.approval = approval,
                Err(found) => outcome.conditions.push(found),
            },
            Some(Act::Purge(purge)) => {
                let written = self.write(&Record {
                    purged: id.clone(),
                    attempt: purge.attempt,
                    ..Record::default()
                });
                match written {
                    Ok(()) => self.forget(id, purge.attempt, judge),
                    Err(error) => outcome
                        .conditions
                        .push(condition("dco-down", id, Eui64(0), &error.to_string())),
                }
            }
            None => outcome
                .conditions
                .push(condition("malformed", id, Eui64(0), "the command says nothing to do")),
        }
        outcome
    }

    fn approve(
        &self,
        id: &str,
        asked: &HandOverApproval,
        judge: &mut Judge,
        now: SimInstant,
    ) -> Result<Bytes, Condition> {
        let device = Eui64(asked.device);
        let refused = |text: &str| condition("approval-refused", id, device, text);
        let known = self
            .installations
            .get(id)
            .is_some_and(|devices| devices.contains(&device));
        if !known {
            return Err(refused("not a device of a file set that was taken"));
        }
        let counter = judge.next_counter(device);
        let operation = match asked.purpose.as_str() {
            "probe" => Operation::ProbeDualControl { nonce: counter },
            "rotate" => Operation::ActivateKeys { epoch: asked.epoch },
            _ => return Err(refused("neither a probe nor a rotation")),
        };
        match judge.approve_hand_over(device, asked.epoch, &operation, self.options.cp, now) {
            Ok(Some(approval)) => Ok(Bytes::from(approval.to_bytes().to_vec())),
            Ok(None) => Err(refused("not the epoch that was handed over")),
            Err(error) => Err(condition("dco-down", id, device, &error.to_string())),
        }
    }

    fn forget(&mut self, id: &str, attempt: u32, judge: &mut Judge) {
        self.taken.end(id, attempt);
        for device in self.installations.remove(id).unwrap_or_default() {
            judge.unlearn(device);
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        self.options.store.append(&record.encode_to_vec())?;
        self.options.store.commit()
    }

    fn remember(&mut self, reference: String, kind: Kind, body: Bytes) {
        if self.answers.insert(reference.clone(), (kind, body)).is_none() {
            self.order.push_back(reference);
        }
        while self.order.len() > ANSWERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

impl std::fmt::Debug for HandOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HandOver({} installations)", self.installations.len())
    }
}

fn condition(kind: &str, installation_id: &str, device: Eui64, detail: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        installation_id: installation_id.to_owned(),
        device: device.0,
        detail: detail.to_owned(),
    }
}
