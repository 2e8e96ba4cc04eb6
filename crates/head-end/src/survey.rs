//! What an operator finds out about its devices for somebody else's files: who they are, how they stand, how they are set.

use std::collections::BTreeMap;

use domain::operation::{ImageState, PaymentMode, Setting, SettingKind, digest_of_settings};
use domain::{
    Answer, DataItem, DeviceKind, Eui64, Operation, Outcome, Quantity, Refusal, SimInstant, SupplyState, Unit, Value,
};
use proto::{Condition, DeviceRecord, ItemValue};
use tokio::task::JoinSet;

use crate::directory::{Device, Site};
use crate::engine::Handle;
use crate::job::{Failure, FailureKind, Job};

/// Settings that the digest of a configuration covers, in this order.
pub const CONFIGURATION: [SettingKind; 8] = [
    SettingKind::BillingCalendar,
    SettingKind::ImportMpxn,
    SettingKind::LoadLimit,
    SettingKind::PaymentMode,
    SettingKind::PrepaymentConfiguration,
    SettingKind::Prices,
    SettingKind::SupplierName,
    SettingKind::Tariff,
];

const IDENTITY: [DataItem; 3] = [DataItem::FirmwareVersion, DataItem::SerialNumber, DataItem::KeyEpoch];

const ACCOUNT: [DataItem; 8] = [
    DataItem::PaymentMode,
    DataItem::SupplyState,
    DataItem::MeterBalance,
    DataItem::EmergencyCreditBalance,
    DataItem::AccumulatedDebt,
    DataItem::TimeDebt(1),
    DataItem::TimeDebt(2),
    DataItem::PaymentDebt,
];

/// How much is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Who it is, what it runs, what time it thinks it is and whose keys it has.
    Identity,
    /// That, and registers, account, supply and configuration.
    Everything,
}

/// What was asked of one device and came back.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Values by item; what the device does not have is left out.
    pub values: BTreeMap<DataItem, Value>,
}

impl Said {
    /// Text of an item.
    #[must_use]
    pub fn text(&self, item: DataItem) -> Option<&str> {
        match self.values.get(&item) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A count.
    #[must_use]
    pub fn count(&self, item: DataItem) -> Option<u32> {
        match self.values.get(&item) {
            Some(Value::Quantity(quantity)) => u32::try_from(quantity.value).ok(),
            _ => None,
        }
    }

    /// A setting.
    #[must_use]
    pub fn setting(&self, kind: SettingKind) -> Option<&Setting> {
        match self.values.get(&DataItem::Setting(kind)) {
            Some(Value::Setting(setting)) => Some(setting),
            _ => None,
        }
    }

    /// SHA-256 over the settings of [`CONFIGURATION`] that the device has, as hexadecimal digits; `None` when it has none.
    #[must_use]
    pub fn configuration_digest(&self) -> Option<String> {
        let settings = CONFIGURATION.into_iter().filter_map(|kind| self.setting(kind));
        digest_of_settings(settings)
    }
}

/// Asks devices of an installation, each within its own deadline; a gas meter's questions wait together for one wake.
pub struct Survey<'a> {
    /// The engine that asks.
    pub handle: &'a Handle,
    /// The installation.
    pub site: &'a Site,
    /// Names the reason in every envelope.
    pub trace_id: &'a str,
    /// How much is asked.
    pub depth: Depth,
}

impl Survey<'_> {
    /// Asks one device. The first failure ends it; what a device refuses for want of the thing is left out.
    ///
    /// # Errors
    /// What kept an answer from coming, or a refusal that says that these keys do not carry reads.
    pub async fn ask(&self, device: &Device, deadline: SimInstant) -> Result<Said, Trouble> {
        let mut jobs = JoinSet::new();
        for item in items(device.slot, self.depth) {
            let job = Job {
                trace_id: self.trace_id.to_owned(),
                hub: self.site.hub,
                device: device.id,
                slot: device.slot,
                operation: Operation::Read(item),
                approval: None,
                deadline,
            };
            let handle = self.handle.clone();
            jobs.spawn(async move { (item, handle.execute(job).await) });
        }
        let mut said = Said::default();
        let mut trouble = None;
        while let Some(ended) = jobs.join_next().await {
            let Ok((item, result)) = ended else { continue };
            match result {
                Ok(Ok(Answer::Value(value))) => {
                    said.values.insert(item, value);
                }
                Ok(Ok(_) | Err(Refusal::NotSupported | Refusal::OutOfRange)) => {}
                Ok(Err(refusal)) => trouble = trouble.or(Some(Trouble::Refused(refusal))),
                Err(failure) => trouble = trouble.or(Some(Trouble::Failed(failure))),
            }
        }
        trouble.map_or(Ok(said), Err)
    }
}

/// Why something was not done at a device.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// It did not come to an outcome.
    #[error(transparent)]
    Failed(Failure),
    /// The device said no.
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl Trouble {
    /// The trouble with an outcome; `None` when it is good.
    #[must_use]
    pub fn with(result: Result<Outcome, Failure>) -> Option<Self> {
        match result {
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => Some(Self::Refused(refusal)),
            Err(failure) => Some(Self::Failed(failure)),
        }
    }

    /// The word for it in a [`Condition`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Approval(_)) => "approval-rejected",
            Self::Refused(Refusal::Busy) => "busy",
            Self::Refused(Refusal::NotPermitted) => "session-refused",
            Self::Refused(Refusal::Unreachable) => "gas-silent",
            Self::Refused(_) => "refused",
            Self::Failed(failure) => match failure.kind {
                FailureKind::Busy => "busy",
                FailureKind::HubNotConnected => "hub-silent",
                FailureKind::LateResultMissing => "gas-silent",
                FailureKind::SessionFailed => "session-refused",
                FailureKind::Stopped => "no-answer",
                FailureKind::Unknown => "unknown-device",
                FailureKind::WanUnusable => "wan-down",
                FailureKind::BadAnswer | FailureKind::Deadline | FailureKind::LinkLost | FailureKind::NoResponse => {
                    "device-silent"
                }
            },
        }
    }

    /// As a condition about a device.
    #[must_use]
    pub fn condition(&self, installation_id: &str, device: Eui64) -> Condition {
        Condition {
            kind: self.kind().to_owned(),
            installation_id: installation_id.to_owned(),
            device: device.0,
            detail: self.to_string(),
        }
    }
}

/// Whether a device has keys of its own; the others speak through the hub.
#[must_use]
pub fn has_keys(slot: DeviceKind) -> bool {
    matches!(
        slot,
        DeviceKind::Chf | DeviceKind::Esme | DeviceKind::Gpf | DeviceKind::Gsme
    )
}

/// What an operator has on file about a device.
#[must_use]
pub fn on_file(device: &Device) -> DeviceRecord {
    let model = &device.profile.model;
    DeviceRecord {
        device: device.id.0,
        kind: device.slot.as_str().to_owned(),
        manufacturer: model.manufacturer.clone(),
        model: model.model.clone(),
        hardware: model.hardware.clone(),
        firmware: model.firmware.clone(),
        profile: device.profile.id.to_string(),
        epoch: device.keys.number,
        in_scope: true,
        ..DeviceRecord::default()
    }
}

/// What an operator has on file about a device, with what the device said itself.
#[must_use]
pub fn record(device: &Device, said: &Said) -> DeviceRecord {
    let mut record = on_file(device);
    if let Some(firmware) = said.text(DataItem::FirmwareVersion)
        && firmware != device.profile.native_firmware
    {
        // Another firmware than the one on file: the device is right.
        firmware.clone_into(&mut record.firmware);
        record.profile.clear();
    }
    record.serial = said.text(DataItem::SerialNumber).unwrap_or_default().to_owned();
    record.epoch = said.count(DataItem::KeyEpoch).unwrap_or(record.epoch);
    record.staged_epoch = said.count(DataItem::StagedKeyEpoch).unwrap_or(0);
    record.configuration_digest = said.configuration_digest().unwrap_or_default();
    record.firmware_under_way = said.values.get(&DataItem::ImageStatus).is_some_and(is_under_way);
    record.readings = said
        .values
        .iter()
        .filter_map(|(item, value)| reading(*item, value))
        .collect();
    record
}

/// Whether an image is coming, being checked or being activated.
fn is_under_way(value: &Value) -> bool {
    let Value::Image(status) = value else { return false };
    matches!(
        status.state,
        ImageState::Receiving | ImageState::Verifying | ImageState::Activating
    )
}

/// Numbers as they are; states as counts: supply disabled 0, armed 1, enabled 2; credit 0, prepayment 1; clocks as
/// milliseconds since 1970.
fn reading(item: DataItem, value: &Value) -> Option<ItemValue> {
    let count = |value| Quantity::new(value, Unit::Count);
    let quantity = match value {
        Value::Quantity(quantity) => *quantity,
        Value::Clock(time, _) => count(time.0),
        Value::Supply(SupplyState::Disabled) => count(0),
        Value::Supply(SupplyState::Armed) => count(1),
        Value::Supply(SupplyState::Enabled) => count(2),
        Value::PaymentMode(PaymentMode::Credit) => count(0),
        Value::PaymentMode(PaymentMode::Prepayment) => count(1),
        _ => return None,
    };
    let proto = match world::semantic::value_to_proto(&Value::Quantity(quantity)).value? {
        proto::value::Value::Quantity(quantity) => quantity,
        _ => return None,
    };
    Some(ItemValue {
        item: item.name(),
        quantity: Some(proto),
    })
}

fn items(slot: DeviceKind, depth: Depth) -> Vec<DataItem> {
    let mut items = IDENTITY.to_vec();
    if slot != DeviceKind::Gpf {
        items.push(DataItem::Clock);
    }
    if depth == Depth::Identity {
        items.push(DataItem::StagedKeyEpoch);
        return items;
    }
    let register = match slot {
        DeviceKind::Esme => DataItem::ActiveImport,
        DeviceKind::Gpf => DataItem::GasConsumption,
        // A sleeping meter's figures are in its proxy, and its image waits in the hub.
        DeviceKind::Chf => {
            items.push(DataItem::ImageStatus);
            return items;
        }
        _ => return items,
    };
    items.push(register);
    if slot == DeviceKind::Esme {
        items.push(DataItem::ImageStatus);
    }
    items.extend(ACCOUNT);
    items.extend(CONFIGURATION.map(DataItem::Setting));
    items
}
