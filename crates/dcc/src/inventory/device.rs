//! One device of the inventory.

use std::sync::Arc;

use domain::{DeviceKind, DeviceModel, Eui64, Mpan, Mpxn, SimInstant};

use super::SmiStatus;

/// One device of the inventory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its identity.
    pub id: Eui64,
    /// What it is.
    pub kind: DeviceKind,
    /// Manufacturer, model, and the firmware last reported by the S1SP.
    pub model: Arc<DeviceModel>,
    /// SMI status now; none for type 2 devices.
    pub status: Option<SmiStatus>,
    /// Every status it had, with the instant it came to it, oldest first.
    pub history: Vec<(SimInstant, SmiStatus)>,
    /// The hub through which it is reached; its own identity for a hub. None until it is installed.
    pub hub: Option<Eui64>,
    /// Metering point, where it has one.
    pub mpxn: Option<Mpxn>,
    /// `A`, `B`, ... for electricity meters.
    pub esme_variant: Option<Arc<str>>,
    /// The S1SP that serves it.
    pub s1sp: Option<Arc<str>>,
    /// When its firmware was last reported.
    pub firmware_reported: Option<SimInstant>,
    /// What few devices have.
    pub more: Option<Box<More>>,
}

/// What few devices have: apart, so that the others do not pay for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct More {
    /// Second import metering point of a twin-element meter.
    pub secondary_import: Option<Mpan>,
    /// Export metering point of an electricity meter.
    pub export: Option<Mpan>,
    /// Gas proxy that was named with a hub.
    pub proxy: Option<Eui64>,
    /// Devices it is joined with, in order.
    pub joined: Vec<Eui64>,
    /// SMETS or CHTS version as notified; none: SMETS1.
    pub smets_version: Option<Arc<str>>,
    /// The commissioning party that announced it and brings it into service.
    pub commissioned_by: Option<Eui64>,
}

static NOTHING_MORE: More = More {
    secondary_import: None,
    export: None,
    proxy: None,
    joined: Vec::new(),
    smets_version: None,
    commissioned_by: None,
};

impl Device {
    /// A device that came to this status at this instant, with nothing else known.
    #[must_use]
    pub fn new(id: Eui64, kind: DeviceKind, model: Arc<DeviceModel>, status: SmiStatus, since: SimInstant) -> Self {
        // Type 2 devices have no SMI status.
        let status = (!kind.is_type2()).then_some(status);
        Self {
            id,
            kind,
            model,
            status,
            history: status.map(|status| (since, status)).into_iter().collect(),
            hub: (kind == DeviceKind::Chf).then_some(id),
            mpxn: None,
            esme_variant: None,
            s1sp: None,
            firmware_reported: None,
            more: None,
        }
    }

    /// What few devices have.
    #[must_use]
    pub fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NOTHING_MORE)
    }

    /// The same, to be changed.
    pub fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// All its metering points.
    pub fn points(&self) -> impl Iterator<Item = Mpxn> {
        let more = self.more();
        let others = [more.secondary_import, more.export].into_iter().flatten();
        self.mpxn.into_iter().chain(others.map(Mpxn::Mpan))
    }

    /// Whether it is in service or being installed: what a second device cannot take from it.
    #[must_use]
    pub fn in_service(&self) -> bool {
        use SmiStatus as S;
        !matches!(self.status, Some(S::Pending | S::Decommissioned | S::Withdrawn) | None)
    }

    /// The status it had before its present one.
    #[must_use]
    pub fn status_before(&self) -> Option<SmiStatus> {
        self.history.iter().rev().nth(1).map(|(_, status)| *status)
    }

    /// When it was first commissioned.
    #[must_use]
    pub fn commissioned(&self) -> Option<SimInstant> {
        let first = self
            .history
            .iter()
            .find(|(_, status)| *status == SmiStatus::Commissioned);
        first.map(|(at, _)| *at)
    }
}
