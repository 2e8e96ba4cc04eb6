//! Payloads of the requests that only read a device: the group they belong to, and what belongs to none.

use domain::operation::{KnownDevice, SupplyState, Value};
use domain::{DataItem, DeviceKind};
use duis::Element;

use super::parts::timestamp;
use super::values::Values;
use super::{Built, alert_behaviour, configuration, logs, registers, tariff};
use crate::plan::Target;

/// Most devices in a hub's log, by the schema.
const DEVICES_MAX: usize = 16;
/// Most auxiliary load switches, by the schema.
const SWITCHES_MAX: u8 = 5;

/// Fills the payload of a reading request; gives it back where it is none of these.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Built, Element> {
    let gas = target.kind.is_gas();
    let filled = logs::fill(rsp, target, values).or_else(|rsp| {
        registers::fill(rsp, gas, values)
            .or_else(|rsp| tariff::fill(rsp, gas, values))
            .or_else(|rsp| configuration::fill(rsp, target, values))
            .or_else(|rsp| alert_behaviour::fill(rsp, target, values))
            .map(|rsp| (rsp, None))
    });
    let rsp = match filled {
        Ok(built) => return Ok(built),
        Err(rsp) => rsp,
    };
    let rsp = match rsp.name {
        "ReadSupplyStatusRsp" => supply_status(rsp, gas, values),
        "ReadALCSDataRsp" => auxiliary_loads(rsp, values),
        "ReadDeviceLogRsp" => device_log(rsp, target.kind, values),
        "ReadFirmwareVersionRsp" => firmware(rsp, target, values),
        "RecordNetworkDataGASRsp" => rsp,
        _ => return Err(rsp),
    };
    Ok((rsp, None))
}

/// What stands at a switch was never said to the meter: it has no description.
fn auxiliary_loads(rsp: Element, values: &Values) -> Element {
    let switch = |number: u8| {
        values.flag(DataItem::AuxiliaryLoadSwitch(number)).map(|on| {
            Element::ra("AuxiliaryLoadControlSwitch")
                .with_attribute("Index", number.to_string())
                .with(Element::ra("TypeAndIdentifier").with(Element::ra("ALCS")))
                .with_leaf("State", on)
        })
    };
    rsp.with_all((1..=SWITCHES_MAX).filter_map(switch))
}

fn supply_status(rsp: Element, gas: bool, values: &Values) -> Element {
    let word = values.supply().map(|state| match state {
        SupplyState::Armed => "Armed",
        SupplyState::Disabled => "Disabled",
        SupplyState::Enabled => "Enabled",
    });
    let rsp = rsp.with_optional(word.map(|word| Element::ra("SupplyState").with_text(word)));
    match values.quantity(DataItem::BatteryRemaining) {
        Some(quantity) if gas => {
            let days = u32::try_from(quantity.value.max(0)).unwrap_or(u32::MAX);
            rsp.with(Element::ra("Gas").with_leaf("RemainingBatteryCapacity", days.to_string()))
        }
        _ => rsp,
    }
}

fn device_log(rsp: Element, kind: DeviceKind, values: &Values) -> Element {
    let Some(Value::Devices(devices)) = values.items.get(&DataItem::DeviceLog) else {
        return rsp;
    };
    if kind == DeviceKind::Chf {
        let entry = |known: &KnownDevice| {
            let heard = known
                .last_heard
                .map(|at| Element::ra("LastCommunicationsDateTime").with_text(timestamp(at)));
            Element::ra("CHFDeviceLogEntry")
                .with_leaf("DeviceID", known.device.to_string())
                .with_optional(heard)
        };
        return rsp.with(Element::ra("CHFDeviceLog").with_all(devices.iter().take(DEVICES_MAX).map(entry)));
    }
    let entry = |known: &KnownDevice| {
        // The payload schema has one word for all type 2 devices.
        let word = if known.kind.is_type2() {
            "Type2"
        } else {
            known.kind.as_str()
        };
        Element::ra("LogEntry")
            .with_leaf("DeviceID", known.device.to_string())
            .with_leaf("DeviceType", word)
    };
    rsp.with(Element::ra("DeviceLogEntries").with_all(devices.iter().map(entry)))
}

/// The native identifier of the profile becomes its DUIS form; anything else the device says is passed on as it is.
fn firmware(rsp: Element, target: &Target<'_>, values: &Values) -> Element {
    let Some(Value::Text(text)) = values.items.get(&DataItem::FirmwareVersion) else {
        return rsp;
    };
    let profile = target.profile;
    let version = if *text == profile.native_firmware {
        profile.model.firmware.clone()
    } else {
        text.clone()
    };
    rsp.with_leaf("FirmwareVersion", version)
}
