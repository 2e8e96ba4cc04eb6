//! What is to be done next for an installation: a function of its state, so that a restart finds it again.

use domain::{DeviceKind, Eui64, SimInstant};

use super::model::{DeviceFacts, DeviceProgress, Installation};
use super::state::State;
use crate::InstallationId;
use crate::planning::gates::ListedModel;
use crate::settings::{Planned, Settings, Stage};

/// Kinds of devices that hold keys, in the order in which they are rotated: the hub last.
pub const ROTATION_ORDER: [DeviceKind; 4] = [DeviceKind::Gpf, DeviceKind::Gsme, DeviceKind::Esme, DeviceKind::Chf];

/// Who does a piece of work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// The commissioning party.
    Cp,
    /// The requesting party.
    Rp,
}

/// One piece of work.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Work {
    /// CP: give the S1SP the activation file.
    Activate,
    /// RP: have the SMSO bring a device's configuration.
    Configure {
        /// Which device.
        device: Eui64,
        /// The digest it must have.
        configuration: String,
    },
    /// RP: have the SMSO forget the installation.
    Decommission,
    /// RP: stage keys and send the group's common files to the CP, which validates them.
    Deliver,
    /// RP: ask the SMSO what it has on file.
    Extract,
    /// RP: have the SMSO freeze the installation and read it.
    Freeze,
    /// CP: send the outcome file to the RP.
    Outcome,
    /// CP: one probe of dual control.
    Probe {
        /// Which device.
        device: Eui64,
    },
    /// CP: have S1SP and DCO purge their secrets.
    Purge,
    /// CP: rotate one device.
    Rotate {
        /// Which device.
        device: Eui64,
        /// To which epoch.
        epoch: u32,
    },
    /// RP: send the group's secrets to S1SP and DCO, through the CP.
    Secrets,
    /// CP: one service request of the commissioning plan.
    Step {
        /// Position in the plan of this installation.
        step: u16,
        /// Which request.
        planned: Planned,
    },
    /// RP: have the SMSO operate it as before.
    Unfreeze,
    /// RP: bring firmware to a device.
    Upgrade {
        /// Which device.
        device: Eui64,
        /// Model with its new firmware.
        to: ListedModel,
    },
    /// CP: have the S1SP reach every device.
    Viability,
}

/// Work for a party, under a reference that is used once per try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Names it; a party that sees it again does the work once.
    pub reference: String,
    /// What.
    pub work: Work,
    /// Group of the installations.
    pub group: String,
    /// Whom it is about: one, or the members of a group.
    pub installations: Vec<InstallationId>,
}

impl Work {
    /// Who does it.
    #[must_use]
    pub fn party(&self) -> Party {
        match self {
            Self::Configure { .. }
            | Self::Decommission
            | Self::Deliver
            | Self::Extract
            | Self::Freeze
            | Self::Secrets
            | Self::Unfreeze
            | Self::Upgrade { .. } => Party::Rp,
            Self::Activate
            | Self::Outcome
            | Self::Probe { .. }
            | Self::Purge
            | Self::Rotate { .. }
            | Self::Step { .. }
            | Self::Viability => Party::Cp,
        }
    }

    /// The word in references.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Activate => "activate".into(),
            Self::Configure { device, .. } => format!("configure-{device}"),
            Self::Decommission => "decommission".into(),
            Self::Deliver => "deliver".into(),
            Self::Extract => "extract".into(),
            Self::Freeze => "freeze".into(),
            Self::Outcome => "outcome".into(),
            Self::Probe { device } => format!("probe-{device}"),
            Self::Purge => "purge".into(),
            Self::Rotate { device, .. } => format!("rotate-{device}"),
            Self::Secrets => "secrets".into(),
            Self::Step { step, .. } => format!("step-{step}"),
            Self::Unfreeze => "unfreeze".into(),
            Self::Upgrade { device, to } => format!("upgrade-{device}-{}", to.firmware),
            Self::Viability => "viability".into(),
        }
    }

    /// Where its failures are looked up.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Activate | Self::Rotate { .. } => Stage::Rotation,
            Self::Configure { .. } => Stage::Configuration,
            Self::Decommission => Stage::Smso,
            Self::Deliver => Stage::Validation,
            Self::Extract => Stage::Discovered,
            Self::Freeze => Stage::Freeze,
            Self::Outcome => Stage::Outcome,
            Self::Probe { .. } => Stage::DcoViability,
            Self::Purge | Self::Unfreeze => Stage::Unwinding,
            Self::Secrets => Stage::Secrets,
            Self::Step { .. } => Stage::Commissioning,
            Self::Upgrade { .. } => Stage::Firmware,
            Self::Viability => Stage::S1spViability,
        }
    }

    /// Whether a whole group shares it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Deliver | Self::Secrets)
    }
}

impl Installation {
    /// The key epoch that this attempt stages on a device. It rises with every attempt, so that no key is used twice.
    #[must_use]
    pub fn staged_epoch(&self, device: &DeviceFacts) -> u32 {
        device.epoch.saturating_add(self.attempt.number)
    }

    /// Devices in scope that hold keys, in the order of rotation.
    pub fn keyed(&self) -> impl Iterator<Item = (&DeviceFacts, &DeviceProgress)> {
        ROTATION_ORDER
            .into_iter()
            .flat_map(|kind| self.in_scope().filter(move |(facts, _)| facts.kind == kind))
    }

    /// The commissioning plan of this installation: each step with its device.
    #[must_use]
    pub fn plan(&self, settings: &Settings) -> Vec<Planned> {
        let mut plan = Vec::new();
        for step in &settings.commissioning {
            for kind in &step.per {
                let devices = self.in_scope().filter(|(facts, _)| facts.kind == *kind);
                plan.extend(devices.map(|(facts, _)| Planned {
                    request: step.request,
                    form: step.form,
                    device: facts.id,
                }));
            }
        }
        plan
    }

    /// What comes next, when nothing keeps it from happening now. Shared work is the group's, and not given here.
    #[must_use]
    pub fn next_work(&self, now: SimInstant, cohort_paused: bool, settings: &Settings) -> Option<Work> {
        if self.attempt.not_before.is_some_and(|at| at > now) {
            return None;
        }
        if self.unwind.purge {
            return Some(Work::Purge);
        }
        if self.unwind.unfreeze {
            return Some(Work::Unfreeze);
        }
        let waits = self.hold.is_some() || self.retry_at.is_some_and(|at| at > now);
        let next = match self.state {
            State::Discovered if !waits => Work::Extract,
            State::NeedsFirmware if !waits => {
                let upgrade = self.upgrades.iter().find(|upgrade| upgrade.not_before <= now)?;
                Work::Upgrade {
                    device: upgrade.device,
                    to: upgrade.to.clone(),
                }
            }
            State::NeedsConfig if !waits => {
                let (device, configuration) = self.configurations.first()?.clone();
                Work::Configure { device, configuration }
            }
            State::Slotted if !waits && !cohort_paused && self.attempt.start <= now => Work::Freeze,
            State::SecretsDelivered => Work::Viability,
            State::S1spViable => {
                let (facts, _) = self.keyed().find(|(_, progress)| !progress.probed)?;
                Work::Probe { device: facts.id }
            }
            State::DcoViable | State::KeysRotated => self.next_forward(settings),
            State::Commissioning | State::Commissioned | State::Stranded => self.next_forward(settings),
            State::Confirmed => Work::Decommission,
            _ => return None,
        };
        Some(next)
    }

    /// What comes next on the way that only goes forward.
    fn next_forward(&self, settings: &Settings) -> Work {
        if let Some((facts, _)) = self.keyed().find(|(_, progress)| !progress.rotated) {
            return Work::Rotate {
                device: facts.id,
                epoch: self.staged_epoch(facts),
            };
        }
        if !self.attempt.activated {
            return Work::Activate;
        }
        match self.plan(settings).get(usize::from(self.attempt.steps)) {
            Some(planned) => Work::Step {
                step: self.attempt.steps,
                planned: *planned,
            },
            None => Work::Outcome,
        }
    }

    /// When something happens to it next by the clock, after `now`: a try, a slot, a limit.
    #[must_use]
    pub fn next_wake(&self, now: SimInstant, settings: &Settings) -> Option<SimInstant> {
        let timers = &settings.timers;
        let attempt = &self.attempt;
        let limit = match self.state {
            State::Slotted => Some(attempt.start),
            state if state.is_frozen() && !self.may_be_rotated() => {
                attempt.frozen_at.map(|at| at + timers.freeze_max())
            }
            State::DcoViable | State::KeysRotated | State::Commissioning | State::Commissioned => {
                self.forward_since().map(|at| at + timers.commissioning_total())
            }
            State::Confirmed if !attempt.paged => attempt.confirmed_at.map(|at| at + timers.smso_decommission()),
            State::NeedsFirmware => self
                .upgrades
                .iter()
                .map(|upgrade| upgrade.not_before)
                .find(|at| *at > now),
            _ => None,
        };
        let retry = self.retry_at.filter(|_| {
            matches!(
                self.state,
                State::Discovered | State::NeedsFirmware | State::NeedsConfig | State::Profiled
            )
        });
        [limit, retry, attempt.not_before]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }
}
