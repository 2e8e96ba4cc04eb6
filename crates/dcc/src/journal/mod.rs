//! The journal's records: what is durable of the DCC.
//!
//! One entry is one decision: its audit record and what it changes. Entries are prost messages of this room alone; no
//! other room reads them.

mod device;
mod schedule;

use domain::{Credentials, Eui64, RequestId, SimInstant};
use prost::Message;
use prost::bytes::Bytes;

use crate::audit::Record;
use crate::images::{Distribution, Job, Known};
pub(crate) use device::DeviceMessage;
pub(crate) use schedule::ScheduleMessage;

/// One entry.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(int64, tag = "1")]
    pub(crate) at_ms: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) audits: Vec<AuditMessage>,
    /// RequestID whose counter this decision used up: 24 octets.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) counter_used: Option<Bytes>,
    /// A request was acknowledged.
    #[prost(message, optional, tag = "4")]
    pub(crate) acknowledged: Option<Acknowledged>,
    /// Requests that have their outcome: 24 octets each.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(crate) ended: Vec<Bytes>,
    /// Put into outboxes.
    #[prost(message, repeated, tag = "6")]
    pub(crate) deliveries: Vec<DeliveryMessage>,
    /// A delivery left its outbox.
    #[prost(message, optional, tag = "7")]
    pub(crate) settled: Option<Settled>,
    /// Devices as they are from now on.
    #[prost(message, repeated, tag = "8")]
    pub(crate) devices: Vec<DeviceMessage>,
    /// An alert was taken.
    #[prost(message, optional, tag = "9")]
    pub(crate) alert: Option<AlertTaken>,
    /// All counters of this user start anew.
    #[prost(fixed64, optional, tag = "10")]
    pub(crate) counters_reset: Option<u64>,
    /// Devices that left the inventory.
    #[prost(fixed64, repeated, tag = "11")]
    pub(crate) devices_removed: Vec<u64>,
    /// An open request goes to the S1SP.
    #[prost(message, optional, tag = "12")]
    pub(crate) released: Option<ReleasedMessage>,
    /// The device has accepted an open request and holds it.
    #[prost(message, optional, tag = "13")]
    pub(crate) accepted: Option<AcceptedMessage>,
    /// A request of a sequence has ended.
    #[prost(message, repeated, tag = "14")]
    pub(crate) sequence_ended: Vec<SequenceEnded>,
    /// Schedules as they are from now on.
    #[prost(message, repeated, tag = "15")]
    pub(crate) schedules: Vec<ScheduleMessage>,
    #[prost(uint64, repeated, tag = "16")]
    pub(crate) schedules_removed: Vec<u64>,
    /// The distribution of an image began.
    #[prost(message, optional, tag = "17")]
    pub(crate) images: Option<ImagesMessage>,
    /// Jobs of images that have their result, or are given up.
    #[prost(message, repeated, tag = "18")]
    pub(crate) jobs_ended: Vec<JobEnded>,
    /// The user was told of failed devices.
    #[prost(message, repeated, tag = "19")]
    pub(crate) jobs_reported: Vec<JobsReported>,
    /// An alert was held back.
    #[prost(message, repeated, tag = "20")]
    pub(crate) held_back: Vec<HeldBack>,
    /// Alerts held back have their summary.
    #[prost(message, repeated, tag = "21")]
    pub(crate) summed_up: Vec<SummedUp>,
    /// The record of a device's certificates as it is from now on.
    #[prost(message, optional, tag = "22")]
    pub(crate) credentials: Option<CredentialsMessage>,
    /// A request came into quarantine, or out of it.
    #[prost(message, optional, tag = "23")]
    pub(crate) quarantine: Option<QuarantineMessage>,
    /// Part of a snapshot.
    #[prost(message, optional, tag = "24")]
    pub(crate) standing: Option<Standing>,
    /// Images that came.
    #[prost(message, repeated, tag = "25")]
    pub(crate) images_known: Vec<KnownMessage>,
}

/// Counters and numbers as they stand, in a snapshot.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Standing {
    /// The last RequestID of each originator and target.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) counters: Vec<Bytes>,
    /// The last supplementary originator counter, by device.
    #[prost(message, repeated, tag = "2")]
    pub(crate) countersigned: Vec<Count>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) alerts: Vec<TakenAlerts>,
    /// The last number of a delivery, by user.
    #[prost(message, repeated, tag = "4")]
    pub(crate) last_deliveries: Vec<Count>,
    #[prost(uint64, tag = "5")]
    pub(crate) last_schedule: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) last_quarantine: u64,
    /// The last number of a summary of alerts, by user.
    #[prost(message, repeated, tag = "7")]
    pub(crate) throttled: Vec<Count>,
}

/// A number that belongs to a user or a device.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Count {
    #[prost(fixed64, tag = "1")]
    pub(crate) key: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) value: u64,
}

/// The counters of alerts of a device that were taken, as far as they are remembered.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TakenAlerts {
    #[prost(fixed64, tag = "1")]
    pub(crate) device: u64,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) counters: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct QuarantineMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) reference: u64,
    #[prost(string, tag = "3")]
    pub(crate) detail: String,
    /// It is over; what became of the request says its outcome.
    #[prost(bool, tag = "4")]
    pub(crate) ended: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CredentialsMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) device: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) record: Option<proto::Credentials>,
}

impl CredentialsMessage {
    pub(crate) fn of(device: Eui64, record: &Credentials) -> Self {
        Self {
            device: device.0,
            record: Some(world::credentials::to_proto(record)),
        }
    }

    pub(crate) fn read(self) -> (Eui64, Credentials) {
        let record = self.record.map(world::credentials::from_proto);
        (Eui64(self.device), record.unwrap_or_default())
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuditMessage {
    #[prost(string, tag = "1")]
    pub(crate) event: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) request: Option<Vec<u8>>,
    #[prost(fixed64, optional, tag = "3")]
    pub(crate) user: Option<u64>,
    #[prost(fixed64, optional, tag = "4")]
    pub(crate) device: Option<u64>,
    #[prost(string, tag = "5")]
    pub(crate) srv: String,
    #[prost(string, tag = "6")]
    pub(crate) hop: String,
    #[prost(string, tag = "7")]
    pub(crate) code: String,
    #[prost(string, tag = "8")]
    pub(crate) failure: String,
    #[prost(string, repeated, tag = "9")]
    pub(crate) rules: Vec<String>,
    #[prost(string, tag = "10")]
    pub(crate) detail: String,
    #[prost(string, tag = "11")]
    pub(crate) confidence: String,
    /// The request as it was received, where the record is about that and the entry has it nowhere else.
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) xml: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Acknowledged {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(string, tag = "2")]
    pub(crate) srv: String,
    /// The request as it was signed.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) xml: Bytes,
    /// It waits here until then.
    #[prost(int64, optional, tag = "4")]
    pub(crate) held_until_ms: Option<i64>,
    /// It waits for the outcome of this one: 24 octets.
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(crate) preceding: Option<Bytes>,
    /// It is a run of this schedule.
    #[prost(uint64, optional, tag = "6")]
    pub(crate) schedule: Option<u64>,
    /// Who gets the outcome, where that is not its originator.
    #[prost(fixed64, optional, tag = "7")]
    pub(crate) user: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReleasedMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) originator_counter: u64,
    #[prost(int64, tag = "3")]
    pub(crate) at_ms: i64,
    #[prost(string, tag = "4")]
    pub(crate) kind: String,
    #[prost(fixed64, tag = "5")]
    pub(crate) hub: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AcceptedMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    /// When it is to be executed.
    #[prost(int64, tag = "2")]
    pub(crate) at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SequenceEnded {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(bool, tag = "2")]
    pub(crate) succeeded: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ImagesMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(string, tag = "2")]
    pub(crate) firmware: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) sha256: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) image: Bytes,
    #[prost(int64, tag = "5")]
    pub(crate) deadline_ms: i64,
    #[prost(message, repeated, tag = "6")]
    pub(crate) jobs: Vec<JobMessage>,
}

impl ImagesMessage {
    pub(crate) fn of(distribution: &Distribution) -> Self {
        let message = |(device, job): (&Eui64, &Job)| JobMessage {
            device: device.0,
            kind: job.kind.as_str().to_owned(),
            hub: job.hub.0,
        };
        Self {
            request: id_octets(distribution.request),
            firmware: distribution.firmware.clone(),
            sha256: Bytes::copy_from_slice(&distribution.sha256),
            image: distribution.image.clone(),
            deadline_ms: distribution.deadline.0,
            jobs: distribution.jobs.iter().map(message).collect(),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KnownMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) sha256: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) octets: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) owner: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) request: Bytes,
    #[prost(string, tag = "5")]
    pub(crate) firmware: String,
    #[prost(string, repeated, tag = "6")]
    pub(crate) rows: Vec<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) makes: Option<String>,
    #[prost(int64, tag = "8")]
    pub(crate) at_ms: i64,
}

impl KnownMessage {
    pub(crate) fn of(known: &Known) -> Self {
        Self {
            sha256: Bytes::copy_from_slice(&known.sha256),
            octets: known.octets as u64,
            owner: known.owner.0,
            request: id_octets(known.request),
            firmware: known.firmware.clone(),
            rows: known.rows.clone(),
            makes: known.makes.clone(),
            at_ms: known.at.0,
        }
    }

    pub(crate) fn read(self) -> Option<Known> {
        Some(Known {
            sha256: <[u8; 32]>::try_from(&*self.sha256).ok()?,
            octets: usize::try_from(self.octets).ok()?,
            owner: Eui64(self.owner),
            request: read_id(&self.request)?,
            firmware: self.firmware,
            rows: self.rows,
            makes: self.makes,
            at: SimInstant(self.at_ms),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JobMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) device: u64,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(fixed64, tag = "3")]
    pub(crate) hub: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JobEnded {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(fixed64, tag = "2")]
    pub(crate) device: u64,
    /// What the user is to be told; empty: it worked.
    #[prost(string, tag = "3")]
    pub(crate) trigger: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JobsReported {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(string, tag = "2")]
    pub(crate) trigger: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeldBack {
    #[prost(fixed64, tag = "1")]
    pub(crate) user: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) device: u64,
    #[prost(string, tag = "3")]
    pub(crate) code: String,
    /// When the period ends.
    #[prost(int64, tag = "4")]
    pub(crate) until_ms: i64,
    /// How many were held back in it so far.
    #[prost(uint32, tag = "5")]
    pub(crate) count: u32,
    /// The alert, not signed.
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) xml: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SummedUp {
    #[prost(fixed64, tag = "1")]
    pub(crate) user: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) device: u64,
    #[prost(string, tag = "3")]
    pub(crate) code: String,
    #[prost(uint32, tag = "4")]
    pub(crate) sequence: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeliveryMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) user: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) request: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) xml: Bytes,
    #[prost(fixed64, optional, tag = "5")]
    pub(crate) device: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Settled {
    #[prost(fixed64, tag = "1")]
    pub(crate) user: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
    /// 0: taken by the user. 1: dead letter. 2: put back.
    #[prost(uint32, tag = "3")]
    pub(crate) how: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) status: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) attempts: u32,
}

pub(crate) const TAKEN: u32 = 0;
pub(crate) const DEAD: u32 = 1;
pub(crate) const PUT_BACK: u32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AlertTaken {
    #[prost(fixed64, tag = "1")]
    pub(crate) device: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) counter: u64,
}

impl Entry {
    /// Nothing yet, decided at this instant.
    pub(crate) fn at(at: SimInstant) -> Self {
        Self {
            at_ms: at.0,
            ..Self::default()
        }
    }

    /// With one more audit record.
    pub(crate) fn noting(mut self, record: &Record) -> Self {
        self.audits.push(record.to_message());
        self
    }

    /// Reads one; octets that are none are skipped with a warning, so that one bad record does not stop a lab.
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        match Self::decode(octets) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(%error, "a journal record that is no entry of the DCC");
                None
            }
        }
    }
}

/// A RequestID as the journal has it.
pub(crate) fn id_octets(id: RequestId) -> Bytes {
    Bytes::copy_from_slice(&id.to_bytes())
}

/// The inverse of [`id_octets`]; none for other octets.
pub(crate) fn read_id(octets: &[u8]) -> Option<RequestId> {
    octets.try_into().ok().map(RequestId::from_bytes)
}
