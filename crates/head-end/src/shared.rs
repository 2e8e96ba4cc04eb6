//! What the tasks of one engine have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Answer, DataItem, Eui64, LogRow, Operation, Outcome, SimInstant, Value};
use proto::{Envelope, Kind, Message};
use tokio::sync::mpsc;
use world::{LinkClosed, LinkSender, World};

use crate::counters::Counters;
use crate::custody::Custody;
use crate::directory::Directory;
use crate::engine::Options;
use crate::job::DeviceAlert;
use crate::texts::Texts;

pub(crate) struct Shared {
    pub(crate) world: World,
    /// Name of this head-end on the WAN: "s1sp" or "smso".
    pub(crate) name: String,
    pub(crate) wan: LinkSender,
    pub(crate) options: Options,
    pub(crate) custody: Custody,
    pub(crate) directory: Directory,
    pub(crate) alerts: mpsc::Sender<DeviceAlert>,
    pub(crate) firmware: Firmware,
    pub(crate) texts: Texts,
    pub(crate) readings: Readings,
    pub(crate) counters: Mutex<Counters>,
    pub(crate) wan_state: Mutex<WanState>,
}

/// What is known of the WAN itself, so that silence can be blamed on the right hop.
#[derive(Default)]
pub(crate) struct WanState {
    /// When anything came from it last.
    pub(crate) heard_at: Option<SimInstant>,
    /// Text messages it has not confirmed, by envelope id.
    pub(crate) texts: BTreeMap<u64, Eui64>,
}

impl Shared {
    pub(crate) fn wan_state(&self) -> MutexGuard<'_, WanState> {
        self.wan_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn send(&self, trace_id: &str, kind: Kind, body: &impl Message) -> Result<u64, LinkClosed> {
        let envelope = Envelope {
            trace_id: trace_id.to_owned(),
            ..Envelope::default()
        };
        self.wan.send(envelope, kind, &body.encode_to_vec()).await
    }
}

/// Readings that hubs sent by themselves: the last of each device.
#[derive(Clone, Default)]
pub(crate) struct Readings(Arc<Mutex<BTreeMap<Eui64, LogRow>>>);

impl Readings {
    pub(crate) fn note(&self, device: Eui64, row: LogRow) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(device, row);
    }

    pub(crate) fn get(&self, device: Eui64) -> Option<LogRow> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&device).cloned()
    }
}

/// Firmware versions last read, per device.
#[derive(Clone, Default)]
pub(crate) struct Firmware(Arc<Mutex<BTreeMap<Eui64, String>>>);

impl Firmware {
    pub(crate) fn note(&self, device: Eui64, operation: &Operation, outcome: &Outcome) {
        if let (Operation::Read(DataItem::FirmwareVersion), Ok(Answer::Value(Value::Text(version)))) =
            (operation, outcome)
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(device, version.clone());
        }
    }

    pub(crate) fn get(&self, device: Eui64) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&device)
            .cloned()
    }
}
