//! What parties report on their instructions and suppliers by themselves, and what follows.

use domain::{Eui64, Mpxn, SimInstant};

use super::control::Control;
use super::event::{Event, StepRecord};
use super::journal::JournalError;
use super::model::DeviceFacts;
use super::state::{Actor, State};
use super::work::Work;
use crate::InstallationId;
use crate::planning::gates::ListedModel;
use crate::settings::Stage;

/// Something a party found: a word of the error table, where, and in its own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The condition.
    pub kind: String,
    /// Which device, where it is about one.
    pub device: Option<Eui64>,
    /// In the party's words.
    pub detail: String,
    /// The stage, where it is another than the instruction's own.
    pub stage: Option<Stage>,
}

impl Found {
    /// A condition without more.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            device: None,
            detail: String::new(),
            stage: None,
        }
    }

    /// The same, in words.
    #[must_use]
    pub fn saying(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }
}

/// What a party reports about one installation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Of which instruction.
    pub reference: String,
    /// About whom.
    pub installation: InstallationId,
    /// Done, or what was found.
    pub result: Result<Done, Vec<Found>>,
    /// What was found and put right.
    pub mended: Vec<Found>,
}

/// Work that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// The S1SP took the activation.
    Activated,
    /// A device has its configuration.
    Configured {
        /// The digest read back.
        configuration: String,
    },
    /// S1SP and DCO took their files.
    Delivered,
    /// What the SMSO has on file.
    Extracted {
        /// Devices.
        devices: Vec<DeviceFacts>,
        /// All master keys are there.
        master_keys: bool,
        /// Whether the SMSO serves a supplier there; none when it does not say.
        active: Option<bool>,
    },
    /// Frozen and read.
    Frozen {
        /// When.
        taken_at: SimInstant,
        /// Devices as read.
        devices: Vec<DeviceFacts>,
    },
    /// The device said that it was not rotated.
    NotRotated,
    /// The RP took the outcome.
    OutcomeTaken,
    /// The probe succeeded.
    Probed,
    /// Secrets are purged.
    Purged,
    /// The SMSO has forgotten it.
    Removed,
    /// The device accepts only this epoch.
    Rotated {
        /// Which.
        epoch: u32,
    },
    /// A service request ended well.
    Step {
        /// RequestID.
        request_id: String,
        /// Response code.
        response_code: String,
        /// Octets of the response.
        octets: u32,
    },
    /// The SMSO operates it as before.
    Unfrozen,
    /// A device has its firmware.
    Upgraded {
        /// What it is now, as read back.
        model: ListedModel,
        /// Its profile.
        profile: String,
    },
    /// The commissioning party accepted the files.
    Validated,
    /// Every device answered the S1SP.
    Viable,
}

impl Control {
    /// Takes a report in. A report on something that is not (or no longer) asked for changes nothing.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn report(&mut self, now: SimInstant, report: Report) -> Result<(), JournalError> {
        let id = report.installation;
        let Some(work) = self.reported(&report.reference, id) else {
            return Ok(());
        };
        for mended in &report.mended {
            let stage = mended.stage.unwrap_or(work.stage());
            self.noted(now, actor(&work), id, (stage, mended))?;
        }
        match report.result {
            Ok(done) => self.done(now, id, &work, done)?,
            Err(found) => self.found(now, id, &work, found)?,
        }
        self.settle(now)
    }

    /// A supplier reports what it met at one of its metering points around a migration, such as a top-up for which there was no
    /// code. It is noted; a point that nobody knows changes nothing.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn told_by_supplier(&mut self, now: SimInstant, mpxn: Mpxn, found: &Found) -> Result<(), JournalError> {
        let Some(known) = self.campaign.by_mpxn(mpxn) else {
            return Ok(());
        };
        let (id, stage) = (known.id(), found.stage.unwrap_or(Stage::Prepayment));
        self.noted(now, Actor::Supplier, id, (stage, found))?;
        self.settle(now)
    }

    fn noted(
        &mut self,
        now: SimInstant,
        who: Actor,
        id: InstallationId,
        (stage, found): (Stage, &Found),
    ) -> Result<(), JournalError> {
        let code = self.settings.errors.find(stage, &found.kind).id.clone();
        let text = format!("{} {}", found.kind, found.detail).trim_end().to_owned();
        self.write(now, who, Some(id), None, Event::Noted { code, text })
    }

    fn done(&mut self, now: SimInstant, id: InstallationId, work: &Work, done: Done) -> Result<(), JournalError> {
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let state = installation.state;
        let who = actor(work);
        match (work, done) {
            (
                Work::Extract,
                Done::Extracted {
                    devices,
                    master_keys,
                    active,
                },
            ) if state == State::Discovered => {
                let found = self.judge_extract(id, &devices, master_keys, active);
                if found.is_empty() {
                    self.write(now, who, Some(id), Some(State::Profiled), Event::Extracted { devices })
                } else {
                    self.found(now, id, work, found)
                }
            }
            (Work::Upgrade { device, to }, Done::Upgraded { model, profile }) if state == State::NeedsFirmware => {
                if model != *to {
                    let found = Found::new("firmware-not-on-epcl").saying(format!("{model} instead of {to}"));
                    return self.found(now, id, work, vec![found]);
                }
                let last = installation.upgrades.iter().all(|upgrade| upgrade.device == *device);
                let event = Event::Upgraded {
                    device: *device,
                    model,
                    profile,
                };
                self.write(now, who, Some(id), last.then_some(State::Profiled), event)
            }
            (Work::Configure { device, configuration }, Done::Configured { configuration: read })
                if state == State::NeedsConfig =>
            {
                if read != *configuration {
                    let found = Found::new("configuration-refused").saying(format!("{read} was read back"));
                    return self.found(now, id, work, vec![found]);
                }
                let last = installation.configurations.iter().all(|(needed, _)| needed == device);
                let event = Event::Configured {
                    device: *device,
                    configuration: read,
                };
                self.write(now, who, Some(id), last.then_some(State::Eligible), event)
            }
            (Work::Freeze, Done::Frozen { taken_at, devices }) if state == State::Slotted => self.write(
                now,
                who,
                Some(id),
                Some(State::Frozen),
                Event::Frozen { taken_at, devices },
            ),
            (Work::Deliver, Done::Validated) if state == State::Frozen => {
                self.write(now, Actor::Cp, Some(id), Some(State::DataValidated), Event::Validated)
            }
            (Work::Secrets, Done::Delivered) if state == State::DataValidated => {
                self.write(now, who, Some(id), Some(State::SecretsDelivered), Event::Delivered)
            }
            (Work::Viability, Done::Viable) if state == State::SecretsDelivered => {
                self.write(now, Actor::S1sp, Some(id), Some(State::S1spViable), Event::Viable)
            }
            (Work::Probe { device }, Done::Probed) if state == State::S1spViable => {
                let others = installation
                    .keyed()
                    .filter(|(facts, progress)| facts.id != *device && !progress.probed);
                let last = others.count() == 0;
                let event = Event::Probed { device: *device };
                self.write(now, Actor::Dco, Some(id), last.then_some(State::DcoViable), event)
            }
            (Work::Rotate { device, .. }, Done::Rotated { epoch }) => {
                let event = Event::Rotated { device: *device, epoch };
                let to = matches!(state, State::DcoViable).then_some(State::KeysRotated);
                self.write(now, Actor::S1sp, Some(id), to, event)?;
                self.recover(now, id, State::KeysRotated)
            }
            (Work::Rotate { device, .. }, Done::NotRotated) => {
                self.write(now, Actor::S1sp, Some(id), None, Event::NotRotated { device: *device })?;
                self.found(now, id, work, vec![Found::new("not-rotated")])
            }
            (Work::Activate, Done::Activated) if state.is_forward_only() => {
                let to = (state != State::Commissioning).then_some(State::Commissioning);
                self.write(now, who, Some(id), to, Event::Activated)
            }
            (
                Work::Step { step, planned },
                Done::Step {
                    request_id,
                    response_code,
                    octets,
                },
            ) => {
                let record = StepRecord {
                    step: *step,
                    request: planned.request.to_string(),
                    device: planned.device,
                    request_id,
                    response_code,
                    octets,
                    note: None,
                };
                self.step_done(now, id, record)
            }
            (Work::Outcome, Done::OutcomeTaken) if matches!(state, State::Commissioned | State::Stranded) => {
                self.recover(now, id, State::Commissioned)?;
                self.write(now, who, Some(id), Some(State::Confirmed), Event::Confirmed)?;
                self.close_cases(now, id, "the installation was migrated")
            }
            (Work::Decommission, Done::Removed) if state == State::Confirmed => {
                let to = if installation.is_partial() {
                    State::PartiallyMigrated
                } else {
                    State::Migrated
                };
                self.write(now, who, Some(id), Some(to), Event::Removed)?;
                self.close_cases(now, id, "the SMSO has forgotten it")
            }
            (Work::Purge, Done::Purged) => {
                let done = super::model::Unwind {
                    purge: true,
                    unfreeze: false,
                };
                self.write(now, who, Some(id), None, Event::Unwound(done))
            }
            (Work::Unfreeze, Done::Unfrozen) => {
                let done = super::model::Unwind {
                    purge: false,
                    unfreeze: true,
                };
                self.write(now, who, Some(id), None, Event::Unwound(done))
            }
            (work, done) => {
                let text = format!("{} ended with {done:?} in state {state}", work.word());
                self.found(now, id, work, vec![Found::new("unknown").saying(text)])
            }
        }
    }

    /// Writes a step of the plan down; the last one ends commissioning.
    pub(super) fn step_done(
        &mut self,
        now: SimInstant,
        id: InstallationId,
        record: StepRecord,
    ) -> Result<(), JournalError> {
        self.recover(now, id, State::Commissioning)?;
        let Some(installation) = self.campaign.installation(id) else {
            return Ok(());
        };
        let last = usize::from(record.step) + 1 >= installation.plan(&self.settings).len();
        let to = last.then_some(State::Commissioned);
        self.write(now, Actor::Cp, Some(id), to, Event::StepDone(record))
    }

    /// A stranded one that made progress goes on.
    fn recover(&mut self, now: SimInstant, id: InstallationId, to: State) -> Result<(), JournalError> {
        let stranded = self
            .campaign
            .installation(id)
            .is_some_and(|known| known.state == State::Stranded);
        if stranded {
            self.write(now, Actor::S1sp, Some(id), Some(to), Event::Recovered)?;
        }
        Ok(())
    }

    fn judge_extract(
        &self,
        id: InstallationId,
        devices: &[DeviceFacts],
        master_keys: bool,
        active: Option<bool>,
    ) -> Vec<Found> {
        let Some(installation) = self.campaign.installation(id) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        if !master_keys {
            found.push(Found::new("master-key-missing"));
        }
        let has = |kind| devices.iter().any(|device| device.kind == kind);
        for kind in [domain::DeviceKind::Chf, domain::DeviceKind::Esme] {
            if !has(kind) {
                found.push(Found::new("data-incomplete").saying(format!("no {kind}")));
            }
        }
        for device in devices {
            // Type 2 devices have no firmware in their model.
            let bare = device.kind != domain::DeviceKind::Ihd && device.model.firmware.is_empty();
            if bare || device.model.model.is_empty() {
                let mut about = Found::new("data-incomplete").saying("model or firmware is missing");
                about.device = Some(device.id);
                found.push(about);
            }
        }
        let disagrees = self
            .settings
            .errors
            .find(Stage::Discovered, "activity-disagrees")
            .id
            .clone();
        let claimed = installation.facts.points.iter().any(|point| point.active);
        if active.is_some_and(|active| active != claimed) && !installation.waived.contains(&disagrees) {
            let word = |active: bool| if active { "active" } else { "dormant" };
            let text = format!("the SMSO says {}, suppliers say {}", word(!claimed), word(claimed));
            found.push(Found::new("activity-disagrees").saying(text));
        }
        found
    }
}

pub(super) fn actor(work: &Work) -> Actor {
    match work.party() {
        super::work::Party::Cp => Actor::Cp,
        super::work::Party::Rp => Actor::Rp,
    }
}
