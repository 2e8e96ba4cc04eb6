//! Time limits of one migration.

use dmc::FileError;
use domain::{DeviceKind, SimDuration};
use serde::Deserialize;

use crate::strict;

/// Time limits; what happens at each stands with the state machine.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timers {
    /// Where they are from.
    pub source: String,
    snapshot_max_age_min: u32,
    freeze_max_min: u32,
    file_acknowledgement_min: u32,
    commissioning_total_min: u32,
    smso_decommission_h: u32,
    smso_command_min: u32,
    smso_firmware_min: u32,
    service_request_min: u32,
    /// Of devices on mains power.
    pub mains: PerKind,
    /// Of a gas meter, which sleeps.
    pub sleepy: PerKind,
}

/// Time limits of one kind of device, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerKind {
    read_s: u32,
    rotate_s: u32,
    probe_s: u32,
}

impl PerKind {
    /// Of one read.
    #[must_use]
    pub fn read(&self) -> SimDuration {
        SimDuration::from_secs(self.read_s.into())
    }

    /// Of one rotation.
    #[must_use]
    pub fn rotate(&self) -> SimDuration {
        SimDuration::from_secs(self.rotate_s.into())
    }

    /// Of one probe.
    #[must_use]
    pub fn probe(&self) -> SimDuration {
        SimDuration::from_secs(self.probe_s.into())
    }
}

impl Timers {
    /// The limits of a kind of device.
    #[must_use]
    pub fn of(&self, kind: DeviceKind) -> &PerKind {
        if kind == DeviceKind::Gsme {
            &self.sleepy
        } else {
            &self.mains
        }
    }

    /// The oldest snapshot that validation takes.
    #[must_use]
    pub fn snapshot_max_age(&self) -> SimDuration {
        SimDuration::from_mins(self.snapshot_max_age_min.into())
    }

    /// The longest freeze before the point of no return.
    #[must_use]
    pub fn freeze_max(&self) -> SimDuration {
        SimDuration::from_mins(self.freeze_max_min.into())
    }

    /// How long the acknowledgement of files is awaited.
    #[must_use]
    pub fn file_acknowledgement(&self) -> SimDuration {
        SimDuration::from_mins(self.file_acknowledgement_min.into())
    }

    /// From the point of no return to the end of commissioning; then the installation counts as stranded.
    #[must_use]
    pub fn commissioning_total(&self) -> SimDuration {
        SimDuration::from_mins(self.commissioning_total_min.into())
    }

    /// How long the SMSO may take to decommission; then there is a case.
    #[must_use]
    pub fn smso_decommission(&self) -> SimDuration {
        SimDuration::from_hours(self.smso_decommission_h.into())
    }

    /// How long one command to the SMSO may take.
    #[must_use]
    pub fn smso_command(&self) -> SimDuration {
        SimDuration::from_mins(self.smso_command_min.into())
    }

    /// How long the SMSO may take to bring firmware to one device, activation and the look at what it runs then included.
    #[must_use]
    pub fn smso_firmware(&self) -> SimDuration {
        SimDuration::from_mins(self.smso_firmware_min.into())
    }

    /// How long the outcome of a service request is awaited.
    #[must_use]
    pub fn service_request(&self) -> SimDuration {
        SimDuration::from_mins(self.service_request_min.into())
    }
}

pub(super) fn read(file: &str, text: &str) -> Result<Timers, FileError> {
    strict::toml(file, text)
}
