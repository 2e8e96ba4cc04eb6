//! What is known of one installation: its facts, and where its migration stands.

use std::sync::Arc;

use domain::{CommunicationsProvider, DeviceKind, Eui64, Mpxn, SimInstant};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::day::{serde_day, serde_day_option};
use crate::planning::authorisation::Fuel;
use crate::planning::gates::{Combination, ListedModel};
use crate::settings::{Class, CohortSlug};
use crate::{InstallationId, InstallationType};

/// What is known of an installation before its migration begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Its name.
    pub id: InstallationId,
    /// Cohort.
    pub cohort: CohortSlug,
    /// Carrier of its WAN.
    pub provider: CommunicationsProvider,
    /// Its hub.
    pub hub: Eui64,
    /// Its devices, the hub among them.
    pub devices: Vec<DeviceFacts>,
    /// Its metering points: electricity, and gas where there is some.
    pub points: Vec<PointFacts>,
    /// A vulnerable customer lives there.
    pub vulnerable: bool,
}

/// One device as its operator has it on file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Its identity.
    pub id: Eui64,
    /// What it is.
    pub kind: DeviceKind,
    /// Model with firmware.
    pub model: ListedModel,
    /// Hardware version.
    pub hardware: String,
    /// Serial number.
    pub serial: String,
    /// `model@firmware` of the lab's catalogue.
    pub profile: String,
    /// Digest of its configuration, hex; empty where there is none.
    pub configuration: String,
    /// Key epoch in force.
    pub epoch: u32,
}

/// One metering point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PointFacts {
    /// Which.
    pub mpxn: Mpxn,
    /// The responsible supplier.
    pub supplier: Eui64,
    /// The network operator.
    pub network: Eui64,
    /// Whether the supplier has smart service there.
    pub active: bool,
    /// Prepayment.
    pub prepayment: bool,
}

/// Where an installation stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    /// What it is. Shared: an installation is copied with every instruction about it, its facts seldom change.
    pub facts: Arc<Facts>,
    /// State.
    pub state: State,
    /// Since when.
    pub since: SimInstant,
    /// Its devices' progress, in the order of the facts.
    pub devices: Vec<DeviceProgress>,
    /// Its points' authorisations and pending changes, in the order of the facts.
    pub points: Vec<PointProgress>,
    /// The EPCL entry that makes it eligible.
    pub epcl: Option<String>,
    /// Firmware to be brought before it is eligible.
    pub upgrades: Vec<Upgrade>,
    /// Configuration to be brought: devices and the digests they must have.
    pub configurations: Vec<(Eui64, String)>,
    /// The running or last attempt.
    pub attempt: Attempt,
    /// Counted failures.
    pub counted: u8,
    /// Days on which its preparation failed, one after the other.
    pub unprepared: u8,
    /// What must be undone before anything else.
    pub unwind: Unwind,
    /// Tries and attempts that failed, and releases, ever: what tells one try from the next.
    pub failures: u32,
    /// Why an authorisation was taken from it last.
    pub lost_by: Option<String>,
    /// Codes that somebody released it from.
    pub waived: Vec<String>,
    /// Why nothing happens by itself: an operator's or a rule's hold.
    pub hold: Option<String>,
    /// Goes on by itself from then on.
    pub retry_at: Option<SimInstant>,
    /// Where it was before triage, and whether only the MCC may release it.
    pub triage: Option<Triage>,
    /// Its exclusion.
    pub exclusion: Option<Exclusion>,
    /// Exclusion of its gas alone.
    pub gas_exclusion: Option<Exclusion>,
    /// Notes of its attempts, oldest first.
    pub notes: Vec<Note>,
    /// How its last attempt failed.
    pub last_failure: Option<Failure>,
}

/// Progress of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeviceProgress {
    /// Left out of this migration.
    pub left_out: bool,
    /// It answered the probe of dual control.
    pub probed: bool,
    /// It accepts only the new epoch.
    pub rotated: bool,
    /// It is commissioned.
    pub commissioned: bool,
    /// Not joined although planned: noted, and gone on without.
    pub unjoined: bool,
}

/// Progress of one metering point.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PointProgress {
    /// Authorisation or matured notice.
    pub authorisation: Option<Authorisation>,
    /// What authorised it last, and is used up: a notice is good for one attempt, as a row of a file is.
    pub used: Option<String>,
    /// A change of supplier to come.
    pub pending: Option<PendingChange>,
}

/// A change of supplier to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingChange {
    /// Who gains.
    pub supplier: Eui64,
    /// Whether it has smart service there.
    pub active: bool,
    /// When it takes effect.
    pub effective: Date,
}

/// An authorisation of one point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Authorisation {
    /// Who authorised, or to whom the notice went.
    pub supplier: Eui64,
    /// File and row, or the number of the notice.
    pub by: String,
    /// First day.
    #[serde(with = "serde_day")]
    pub not_before: Date,
    /// Last day.
    #[serde(with = "serde_day")]
    pub not_after: Date,
}

/// Firmware that a device must be brought to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Upgrade {
    /// Which device.
    pub device: Eui64,
    /// The model with its new firmware.
    pub to: ListedModel,
    /// Not before this instant: the notice must have matured.
    pub not_before: SimInstant,
}

/// One attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attempt {
    /// Number, from 1; 0 before the first.
    pub number: u32,
    /// Day of its slot.
    pub day: Option<Date>,
    /// When it may begin.
    pub start: SimInstant,
    /// Its group.
    pub group: String,
    /// When the SMSO was frozen.
    pub frozen_at: Option<SimInstant>,
    /// When the snapshot was taken.
    pub snapshot_at: Option<SimInstant>,
    /// The device whose rotation was asked for and not answered.
    pub rotating: Option<Eui64>,
    /// When the first rotation was asked for.
    pub rotation_begun_at: Option<SimInstant>,
    /// When the first device was rotated.
    pub rotated_at: Option<SimInstant>,
    /// When it last recovered from being stranded.
    pub recovered_at: Option<SimInstant>,
    /// The S1SP took the activation.
    pub activated: bool,
    /// Steps of the commissioning plan done.
    pub steps: u16,
    /// When the outcome was confirmed.
    pub confirmed_at: Option<SimInstant>,
    /// Tries of the work in hand that failed.
    pub tries: u32,
    /// When the first of them failed.
    pub trying_since: Option<SimInstant>,
    /// The next of them is not made before.
    pub not_before: Option<SimInstant>,
    /// The MCC was paged about it.
    pub paged: bool,
}

/// What must be undone before the point of no return.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Unwind {
    /// The S1SP and the DCO purge their secrets.
    pub purge: bool,
    /// The SMSO drops staged keys and operates as before.
    pub unfreeze: bool,
}

/// In the MCC's hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Triage {
    /// Where it was.
    pub from: State,
    /// Only the MCC may release it.
    pub quarantined: bool,
}

/// An exclusion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exclusion {
    /// Category.
    pub category: String,
    /// What shows it.
    pub evidence: String,
    /// Who decided.
    pub by: String,
    /// When.
    #[serde(with = "serde_day")]
    pub on: Date,
}

/// A note: something that did not hold it up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: SimInstant,
    /// Code.
    pub code: String,
    /// What.
    pub text: String,
}

/// How an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Code.
    pub code: String,
    /// Class.
    pub class: Class,
    /// What was found.
    pub condition: String,
    /// In whose words.
    pub detail: String,
    /// State it failed in.
    pub state: State,
    /// Whether it counts.
    pub counted: bool,
    /// Day of the attempt.
    #[serde(with = "serde_day_option")]
    pub day: Option<Date>,
}

impl Facts {
    /// Active, dormant or mixed, by the smart service at its points.
    #[must_use]
    pub fn installation_type(&self) -> InstallationType {
        let active = self.points.iter().filter(|point| point.active).count();
        match active {
            0 => InstallationType::Dormant,
            all if all == self.points.len() => InstallationType::Active,
            _ => InstallationType::Mixed,
        }
    }

    /// The device of a kind.
    #[must_use]
    pub fn device(&self, kind: DeviceKind) -> Option<&DeviceFacts> {
        self.devices.iter().find(|device| device.kind == kind)
    }

    /// The combination that the EPCL must approve; none without hub or electricity meter.
    #[must_use]
    pub fn combination(&self) -> Option<Combination> {
        let model = |kind| self.device(kind).map(|device| device.model.clone());
        Some(Combination {
            provider: self.provider,
            hub: model(DeviceKind::Chf)?,
            esme: model(DeviceKind::Esme)?,
            gsme: model(DeviceKind::Gsme),
            ppmid: model(DeviceKind::Ppmid),
        })
    }

    /// Whether any point is prepaid.
    #[must_use]
    pub fn prepayment(&self) -> bool {
        self.points.iter().any(|point| point.prepayment)
    }
}

impl Installation {
    /// An installation that has just become known.
    #[must_use]
    pub fn new(facts: Facts, at: SimInstant) -> Self {
        Self {
            devices: vec![DeviceProgress::default(); facts.devices.len()],
            points: vec![PointProgress::default(); facts.points.len()],
            facts: Arc::new(facts),
            state: State::Discovered,
            since: at,
            epcl: None,
            upgrades: Vec::new(),
            configurations: Vec::new(),
            failures: 0,
            lost_by: None,
            waived: Vec::new(),
            attempt: Attempt::default(),
            counted: 0,
            unprepared: 0,
            unwind: Unwind::default(),
            hold: None,
            retry_at: None,
            triage: None,
            exclusion: None,
            gas_exclusion: None,
            notes: Vec::new(),
            last_failure: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> InstallationId {
        self.facts.id
    }

    /// Facts and progress of each device.
    pub fn each_device(&self) -> impl Iterator<Item = (&DeviceFacts, &DeviceProgress)> {
        self.facts.devices.iter().zip(&self.devices)
    }

    /// Facts and progress of each point.
    pub fn each_point(&self) -> impl Iterator<Item = (&PointFacts, &PointProgress)> {
        self.facts.points.iter().zip(&self.points)
    }

    /// Devices that this attempt moves. Type 2 devices (IHD) hold no keys and are not moved.
    pub fn in_scope(&self) -> impl Iterator<Item = (&DeviceFacts, &DeviceProgress)> {
        self.each_device()
            .filter(|(facts, progress)| !progress.left_out && facts.kind != DeviceKind::Ihd)
    }

    /// The days on which all its points allow a migration; none when one of them has no authorisation or they do not meet.
    #[must_use]
    pub fn authorised_days(&self) -> Option<(Date, Date)> {
        let mut days: Option<(Date, Date)> = None;
        for point in &self.points {
            let Authorisation {
                not_before, not_after, ..
            } = point.authorisation.as_ref()?;
            days = Some(days.map_or((*not_before, *not_after), |(from, to)| {
                (from.max(*not_before), to.min(*not_after))
            }));
        }
        days.filter(|(from, to)| from <= to)
    }

    /// The supplier of record of a fuel on a day.
    #[must_use]
    pub fn supplier_on(&self, fuel: Fuel, day: Date) -> Option<Eui64> {
        let (facts, progress) = self.each_point().find(|(facts, _)| Fuel::of(facts.mpxn) == fuel)?;
        match progress.pending {
            Some(change) if change.effective <= day => Some(change.supplier),
            _ => Some(facts.supplier),
        }
    }

    /// Whether each of its points has an authorisation.
    #[must_use]
    pub fn is_authorised(&self) -> bool {
        self.points.iter().all(|point| point.authorisation.is_some())
    }

    /// From when on the time to the end of commissioning counts.
    #[must_use]
    pub fn forward_since(&self) -> Option<SimInstant> {
        let attempt = &self.attempt;
        attempt
            .recovered_at
            .or(attempt.rotated_at)
            .or(attempt.rotation_begun_at)
    }

    /// Whether a device has been rotated, or may have been: nothing is rolled back then.
    #[must_use]
    pub fn may_be_rotated(&self) -> bool {
        self.attempt.rotating.is_some() || self.devices.iter().any(|device| device.rotated)
    }

    /// The kind of meters it has left out.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.devices.iter().any(|device| device.left_out)
    }
}
