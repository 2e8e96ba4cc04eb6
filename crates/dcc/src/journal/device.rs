//! A device as the journal has it.

use std::sync::Arc;

use domain::{DeviceModel, Eui64, SimInstant};
use prost::Message;

use crate::inventory::{Device, More, SmiStatus};

// Tag 13 was where the device is, which is Registration Data: it is not used again.
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
    #[prost(fixed64, optional, tag = "6")]
    pub(crate) commissioned_by: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusMessage {
    #[prost(int64, tag = "1")]
    pub(crate) at_ms: i64,
    #[prost(string, tag = "2")]
    pub(crate) status: String,
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
            firmware_reported_ms: device.firmware_reported.map(|at| at.0),
            more: device.more.as_deref().map(|more| MoreMessage {
                secondary_import: more.secondary_import.map(|mpan| mpan.to_string()).unwrap_or_default(),
                export: more.export.map(|mpan| mpan.to_string()).unwrap_or_default(),
                proxy: more.proxy.map(|proxy| proxy.0),
                joined: more.joined.iter().map(|device| device.0).collect(),
                smets_version: more.smets_version.as_deref().map(str::to_owned),
                commissioned_by: more.commissioned_by.map(|party| party.0),
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
            firmware_reported: self.firmware_reported_ms.map(SimInstant),
            more: self.more.map(|more| {
                Box::new(More {
                    secondary_import: more.secondary_import.parse().ok(),
                    export: more.export.parse().ok(),
                    proxy: more.proxy.map(Eui64),
                    joined: more.joined.into_iter().map(Eui64).collect(),
                    smets_version: more.smets_version.map(Arc::from),
                    commissioned_by: more.commissioned_by.map(Eui64),
                })
            }),
        })
    }
}
