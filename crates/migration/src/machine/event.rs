//! What is written down: every event of a migration. New variants go to the end, so that old journals stay readable.

use domain::{Eui64, Mpxn, SimInstant};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::model::{Authorisation, DeviceFacts, Exclusion, Facts, Failure, Unwind, Upgrade};
use super::state::{Actor, State};
use crate::InstallationId;
use crate::day::{serde_day, serde_day_option};
use crate::planning::gates::{Environment, ListedModel};
use crate::planning::ramp::CohortDay;
use crate::settings::{Class, CohortSlug, Owner};

/// One entry of the journal. A change of state has exactly one entry, which names both states.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: SimInstant,
    /// Who caused it.
    pub actor: Actor,
    /// Whom it is about.
    pub installation: Option<InstallationId>,
    /// The change of state, where there is one: from, to.
    pub change: Option<(State, State)>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The campaign began.
    Started {
        /// Its name.
        name: String,
        /// Seed of the run.
        seed: u64,
        /// Live or DUST.
        environment: Environment,
    },
    /// A file arrived, before it is judged.
    FileReceived {
        /// Name.
        name: String,
        /// Sender.
        sender: Eui64,
        /// Its octets as they came (authorisations are protected).
        text: String,
    },
    /// A file was answered.
    FileAnswered(FileRecord),
    /// Demand of a supplier by day.
    Demand {
        /// File.
        file: String,
        /// Whose.
        supplier: Eui64,
        /// SMSO's short code.
        smso: String,
        /// A commitment, or a request.
        committed: bool,
        /// Days (since 1970) and installations.
        days: Vec<(i32, u32)>,
    },
    /// A day was allocated to suppliers.
    Allocated(AllocationRecord),
    /// A day of a cohort is over.
    DayClosed {
        /// Which day.
        #[serde(with = "serde_day")]
        day: Date,
        /// Which cohort.
        cohort: CohortSlug,
        /// What it was like.
        result: CohortDay,
    },
    /// A cohort is paused.
    CohortPaused {
        /// Which.
        cohort: CohortSlug,
        /// Why.
        code: String,
        /// Until then; none: until somebody ends it.
        until: Option<SimInstant>,
    },
    /// A cohort goes on.
    CohortResumed {
        /// Which.
        cohort: CohortSlug,
        /// Who ended the pause.
        by: String,
    },
    /// An installation became known.
    Registered(Box<Facts>),
    /// Its data are complete.
    Extracted {
        /// Devices as the SMSO has them.
        devices: Vec<DeviceFacts>,
    },
    /// It needs other firmware.
    UpgradeNeeded {
        /// The EPCL entry that this leads to.
        epcl: String,
        /// Which firmware where.
        upgrades: Vec<Upgrade>,
    },
    /// A device has its firmware.
    Upgraded {
        /// Which device.
        device: Eui64,
        /// What it is now, as read back.
        model: ListedModel,
        /// Its profile now.
        profile: String,
    },
    /// Devices need configuration.
    ConfigurationNeeded {
        /// The EPCL entry it is on.
        epcl: String,
        /// Devices and the digests they must have.
        needed: Vec<(Eui64, String)>,
    },
    /// A device has its configuration.
    Configured {
        /// Which device.
        device: Eui64,
        /// The digest read back.
        configuration: String,
    },
    /// It may be migrated.
    Eligible {
        /// The EPCL entry.
        epcl: String,
    },
    /// A notice was sent about a dormant point.
    Notice {
        /// Number.
        notice: String,
        /// Which point.
        mpxn: Mpxn,
        /// Of firmware, or of the migration.
        firmware: bool,
        /// The day it announces.
        #[serde(with = "serde_day")]
        planned: Date,
    },
    /// A point was authorised, or its notice matured.
    Authorised {
        /// Which point.
        mpxn: Mpxn,
        /// By what.
        authorisation: Authorisation,
    },
    /// A point's authorisation no longer holds.
    Unauthorised {
        /// Which point.
        mpxn: Mpxn,
        /// Why.
        why: String,
    },
    /// It has a slot.
    Slotted {
        /// The day.
        #[serde(with = "serde_day")]
        day: Date,
        /// When it may begin.
        start: SimInstant,
        /// Its group.
        group: String,
    },
    /// The SMSO is frozen and was read.
    Frozen {
        /// When the snapshot was taken.
        taken_at: SimInstant,
        /// Devices as they were read.
        devices: Vec<DeviceFacts>,
    },
    /// The commissioning party accepted the files.
    Validated,
    /// S1SP and DCO took their files.
    Delivered,
    /// The S1SP reached every device in scope.
    Viable,
    /// A device is left out.
    LeftOut {
        /// Which.
        device: Eui64,
        /// The exclusion of its fuel.
        exclusion: Exclusion,
    },
    /// A device answered the probe of dual control.
    Probed {
        /// Which.
        device: Eui64,
    },
    /// A device is about to be rotated: from here on it may be.
    RotationBegun {
        /// Which.
        device: Eui64,
    },
    /// The device said that it was not rotated.
    NotRotated {
        /// Which.
        device: Eui64,
    },
    /// A device accepts only the new epoch.
    Rotated {
        /// Which.
        device: Eui64,
        /// The epoch.
        epoch: u32,
    },
    /// The S1SP took the activation file.
    Activated,
    /// A step of the commissioning plan is done, or gone on without.
    StepDone(StepRecord),
    /// The requesting party took the outcome file.
    Confirmed,
    /// The SMSO has forgotten it.
    Removed,
    /// A try failed; another follows.
    TryFailed {
        /// Code.
        code: String,
        /// Class.
        class: Class,
        /// What was found.
        condition: String,
        /// In whose words.
        detail: String,
        /// When it is tried again.
        not_before: SimInstant,
    },
    /// An attempt, or the way to one, failed.
    Failed {
        /// How.
        failure: Failure,
        /// What must be undone.
        unwind: Unwind,
        /// When it may go on by itself; none: when somebody releases it.
        retry_at: Option<SimInstant>,
    },
    /// Something was undone.
    Unwound(Unwind),
    /// It failed after the point of no return.
    Stranded {
        /// Code.
        code: String,
    },
    /// A stranded one goes on.
    Recovered,
    /// Something that did not hold it up.
    Noted {
        /// Code.
        code: String,
        /// What.
        text: String,
    },
    /// Nothing happens by itself from here on.
    Held {
        /// Why.
        reason: String,
    },
    /// The hold is over.
    Released {
        /// Who ended it.
        by: String,
    },
    /// An exclusion.
    Excluded(Exclusion),
    /// A change of supplier is announced for a point.
    ChangeAnnounced {
        /// Which point.
        mpxn: Mpxn,
        /// The gaining supplier.
        supplier: Eui64,
        /// Whether it has smart service there.
        active: bool,
        /// When it takes effect.
        #[serde(with = "serde_day")]
        effective: Date,
    },
    /// A change of supplier took effect.
    SupplierChanged {
        /// Which point.
        mpxn: Mpxn,
        /// The supplier now.
        supplier: Eui64,
        /// Whether it has smart service there.
        active: bool,
    },
    /// It went to the MCC.
    Triaged {
        /// Only the MCC may release it.
        quarantined: bool,
        /// Code.
        code: String,
        /// What must be undone.
        unwind: Unwind,
    },
    /// The MCC decided.
    Decided {
        /// Who.
        by: String,
        /// Why.
        text: String,
    },
    /// A case was opened.
    CaseOpened(CaseRecord),
    /// Something was done about a case.
    CaseActed {
        /// Which.
        case: u64,
        /// Who.
        by: String,
        /// What.
        act: CaseAct,
    },
    /// All its points are authorised for days that meet.
    AllAuthorised,
    /// The MCC was paged.
    Paged {
        /// Why.
        text: String,
    },
    /// The plan of a day is complete.
    DayPlanned {
        /// Which day.
        #[serde(with = "serde_day")]
        day: Date,
    },
    /// The campaign began, in a lab where stand-ins take the place of asymmetric signatures.
    StartedWithoutSignatures {
        /// Its name.
        name: String,
        /// Seed of the run.
        seed: u64,
        /// Live or DUST.
        environment: Environment,
    },
}

/// The answer to a file, as written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name.
    pub file: String,
    /// Whom the answer is for.
    pub sender: Eui64,
    /// Week.
    #[serde(with = "serde_day_option")]
    pub week: Option<Date>,
    /// `ACCEPTED`, `HELD`, `REJECTED`.
    pub result: String,
    /// Code of a refusal.
    pub code: String,
    /// Reason of a refusal.
    pub text: String,
    /// Its rows.
    pub rows: Vec<RowRecord>,
}

/// The answer to a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RowRecord {
    /// Number.
    pub row: u32,
    /// Metering point as it stood in the file.
    pub mpxn: String,
    /// Code; empty when it was accepted.
    pub code: String,
    /// Reason; empty when it was accepted.
    pub text: String,
    /// What an accepted row says: the point, and its authorisation, or none when it is withdrawn.
    pub accepted: Option<(Mpxn, Option<Authorisation>)>,
}

/// The allocation of one day and cohort.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AllocationRecord {
    /// Day.
    #[serde(with = "serde_day")]
    pub day: Date,
    /// Cohort.
    pub cohort: CohortSlug,
    /// Capacity of the cohort.
    pub capacity: u32,
    /// Reserve for dormant installations.
    pub reserve: u32,
    /// Dormant installations that want a slot.
    pub dormant: u32,
    /// The flat allocation in force.
    pub d_min: u32,
    /// How it came about.
    pub method: String,
    /// Supplier, demand, allocation.
    pub units: Vec<(Eui64, u32, u32)>,
}

/// One service request of the commissioning plan and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// Position in the plan of this installation, from 0.
    pub step: u16,
    /// Service reference variant.
    pub request: String,
    /// For which device.
    pub device: Eui64,
    /// RequestID.
    pub request_id: String,
    /// Response code.
    pub response_code: String,
    /// Octets of the response.
    pub octets: u32,
    /// Gone on without: code and reason.
    pub note: Option<(String, String)>,
}

/// A case as it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Number.
    pub case: u64,
    /// Attempt it belongs to; 0 before the first.
    pub attempt: u32,
    /// Code.
    pub code: String,
    /// Class.
    pub class: Option<Class>,
    /// Who has to act.
    pub owner: Owner,
    /// What it is about.
    pub text: String,
}

/// What is done about a case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CaseAct {
    /// Somebody takes it.
    Claim,
    /// It is given to an owner.
    Assign(Owner),
    /// Nothing happens by itself until it is released.
    Hold(String),
    /// The hold is over.
    Release,
    /// Another attempt or try.
    Retry,
    /// Back to the SMSO, no attempt planned.
    RollBack,
    /// It is over.
    Resolve(String),
    /// A remark.
    Note(String),
}

impl CaseAct {
    /// For reports.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Claim => "claimed".into(),
            Self::Assign(owner) => format!("assigned to {owner}"),
            Self::Hold(reason) => format!("held: {reason}"),
            Self::Release => "released".into(),
            Self::Retry => "retried".into(),
            Self::RollBack => "rolled back".into(),
            Self::Resolve(text) => format!("resolved: {text}"),
            Self::Note(text) => format!("noted: {text}"),
        }
    }
}
