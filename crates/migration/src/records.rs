//! Devices as the files and messages of a migration have them.

use domain::Eui64;
use proto::DeviceRecord;

use crate::machine::model::DeviceFacts;
use crate::planning::gates::ListedModel;

/// The record of a device: what is on file about it, over what else is known.
pub(crate) fn device_record(facts: &DeviceFacts, known: DeviceRecord) -> DeviceRecord {
    DeviceRecord {
        device: facts.id.0,
        kind: facts.kind.as_str().to_owned(),
        manufacturer: facts.model.manufacturer.clone(),
        model: facts.model.model.clone(),
        hardware: facts.hardware.clone(),
        firmware: facts.model.firmware.clone(),
        serial: facts.serial.clone(),
        profile: facts.profile.clone(),
        configuration_digest: facts.configuration.clone(),
        epoch: facts.epoch,
        ..known
    }
}

/// What a record says of a device; nothing where its kind is none that is known.
pub(crate) fn device_facts(record: &DeviceRecord) -> Option<DeviceFacts> {
    Some(DeviceFacts {
        id: Eui64(record.device),
        kind: record.kind.parse().ok()?,
        model: ListedModel {
            manufacturer: record.manufacturer.clone(),
            model: record.model.clone(),
            firmware: record.firmware.clone(),
        },
        hardware: record.hardware.clone(),
        serial: record.serial.clone(),
        profile: record.profile.clone(),
        configuration: record.configuration_digest.clone(),
        epoch: record.epoch,
    })
}
