//! The journal's records: what is durable of the DCC.
//!
//! One entry is one decision: its audit record and what it changes. Entries are prost messages of this room alone; no
//! other room reads them.

use std::sync::Arc;

use domain::{Credentials, DeviceModel, Eui64, RequestId, SimInstant};
use prost::Message;
use prost::bytes::Bytes;

use crate::inventory::{Device, More, Property, SmiStatus};

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
    /// The record of a device's certificates as it is from now on.
    #[prost(message, optional, tag = "20")]
    pub(crate) credentials: Option<CredentialsMessage>,
    /// A request came into quarantine, or out of it.
    #[prost(message, optional, tag = "21")]
    pub(crate) quarantine: Option<QuarantineMessage>,
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
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Acknowledged {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request: Bytes,
    #[prost(string, tag = "2")]
    pub(crate) srv: String,
    /// Octets the countersignature covers, the user's request among them.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) countersigned: Bytes,
    /// The DCC's counter of the target device that went into them.
    #[prost(uint64, tag = "4")]
    pub(crate) originator_counter: u64,
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

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeviceMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(string, tag = "3")]
    pub(crate) manufacturer: String,
    #[prost(string, tag = "4")]
    pub(crate) model: String,
    #[prost(string, tag = "5")]
    pub(crate) hardware: String,
    #[prost(string, tag = "6")]
    pub(crate) firmware: String,
    #[prost(string, tag = "7")]
    pub(crate) status: String,
    #[prost(message, repeated, tag = "8")]
    pub(crate) history: Vec<StatusMessage>,
    #[prost(fixed64, optional, tag = "9")]
    pub(crate) hub: Option<u64>,
    #[prost(string, tag = "10")]
    pub(crate) mpxn: String,
    #[prost(string, optional, tag = "11")]
    pub(crate) esme_variant: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub(crate) s1sp: Option<String>,
    #[prost(message, optional, tag = "13")]
    pub(crate) property: Option<PropertyMessage>,
    #[prost(int64, optional, tag = "14")]
    pub(crate) firmware_reported_ms: Option<i64>,
    #[prost(message, optional, tag = "15")]
    pub(crate) more: Option<MoreMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MoreMessage {
    #[prost(string, tag = "1")]
    pub(crate) secondary_import: String,
    #[prost(string, tag = "2")]
    pub(crate) export: String,
    #[prost(fixed64, optional, tag = "3")]
    pub(crate) proxy: Option<u64>,
    #[prost(fixed64, repeated, tag = "4")]
    pub(crate) joined: Vec<u64>,
    #[prost(string, optional, tag = "5")]
    pub(crate) smets_version: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusMessage {
    #[prost(int64, tag = "1")]
    pub(crate) at_ms: i64,
    #[prost(string, tag = "2")]
    pub(crate) status: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PropertyMessage {
    #[prost(string, optional, tag = "1")]
    pub(crate) uprn: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) post_code: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) address_identifier: Option<String>,
}

impl Entry {
    /// Nothing yet, decided at this instant.
    pub(crate) fn at(at: SimInstant) -> Self {
        Self {
            at_ms: at.0,
            ..Self::default()
        }
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

impl DeviceMessage {
    pub(crate) fn of(device: &Device) -> Self {
        let status = |(at, status): &(SimInstant, SmiStatus)| StatusMessage {
            at_ms: at.0,
            status: status.to_string(),
        };
        Self {
            id: device.id.0,
            kind: device.kind.as_str().to_owned(),
            manufacturer: device.model.manufacturer.clone(),
            model: device.model.model.clone(),
            hardware: device.model.hardware.clone(),
            firmware: device.model.firmware.clone(),
            status: device.status.map(|status| status.to_string()).unwrap_or_default(),
            history: device.history.iter().map(status).collect(),
            hub: device.hub.map(|hub| hub.0),
            mpxn: device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
            esme_variant: device.esme_variant.as_deref().map(str::to_owned),
            s1sp: device.s1sp.as_deref().map(str::to_owned),
            property: device.property.as_deref().map(|property| PropertyMessage {
                uprn: property.uprn.clone(),
                post_code: property.post_code.clone(),
                address_identifier: property.address_identifier.clone(),
            }),
            firmware_reported_ms: device.firmware_reported.map(|at| at.0),
            more: device.more.as_deref().map(|more| MoreMessage {
                secondary_import: more.secondary_import.map(|mpan| mpan.to_string()).unwrap_or_default(),
                export: more.export.map(|mpan| mpan.to_string()).unwrap_or_default(),
                proxy: more.proxy.map(|proxy| proxy.0),
                joined: more.joined.iter().map(|device| device.0).collect(),
                smets_version: more.smets_version.as_deref().map(str::to_owned),
            }),
        }
    }

    /// None for a device of a kind this program does not have.
    pub(crate) fn read(self) -> Option<Device> {
        let status = |message: StatusMessage| Some((SimInstant(message.at_ms), message.status.parse().ok()?));
        Some(Device {
            id: Eui64(self.id),
            kind: self.kind.parse().ok()?,
            model: Arc::new(DeviceModel {
                manufacturer: self.manufacturer,
                model: self.model,
                hardware: self.hardware,
                firmware: self.firmware,
            }),
            status: self.status.parse().ok(),
            history: self.history.into_iter().filter_map(status).collect(),
            hub: self.hub.map(Eui64),
            mpxn: self.mpxn.parse().ok(),
            esme_variant: self.esme_variant.map(Arc::from),
            s1sp: self.s1sp.map(Arc::from),
            property: self.property.map(|property| {
                Arc::new(Property {
                    uprn: property.uprn,
                    post_code: property.post_code,
                    address_identifier: property.address_identifier,
                })
            }),
            firmware_reported: self.firmware_reported_ms.map(SimInstant),
            more: self.more.map(|more| {
                Box::new(More {
                    secondary_import: more.secondary_import.parse().ok(),
                    export: more.export.parse().ok(),
                    proxy: more.proxy.map(Eui64),
                    joined: more.joined.into_iter().map(Eui64).collect(),
                    smets_version: more.smets_version.map(Arc::from),
                })
            }),
        })
    }
}
