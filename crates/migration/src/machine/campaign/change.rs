//! What an entry changes in one installation, and what people's acts change in one case.

use std::sync::Arc;

use domain::{Eui64, SimInstant};

use super::{Case, NOTES_MAX};
use crate::machine::event::{CaseAct, Entry, Event};
use crate::machine::model::{Attempt, DeviceProgress, Installation, Note, PendingChange, Triage, Unwind};
use crate::machine::state::State;

/// What an entry changes in one installation, its state apart.
pub(super) fn change(installation: &mut Installation, entry: &Entry) {
    installation.failures += u32::from(matches!(
        entry.event,
        Event::TryFailed { .. } | Event::Failed { .. } | Event::Released { .. } | Event::NotRotated { .. }
    ));
    let device = |installation: &Installation, id: &Eui64| installation.facts.devices.iter().position(|d| d.id == *id);
    let attempt = &mut installation.attempt;
    match &entry.event {
        Event::Extracted { devices } => {
            Arc::make_mut(&mut installation.facts).devices.clone_from(devices);
            installation.devices = vec![DeviceProgress::default(); devices.len()];
        }
        Event::UpgradeNeeded { epcl, upgrades } => {
            installation.epcl = Some(epcl.clone());
            installation.upgrades.clone_from(upgrades);
        }
        Event::Upgraded {
            device: id,
            model,
            profile,
        } => {
            clear_tries(attempt);
            installation.retry_at = None;
            installation.upgrades.retain(|upgrade| upgrade.device != *id);
            if let Some(at) = device(installation, id) {
                Arc::make_mut(&mut installation.facts).devices[at].model = model.clone();
                Arc::make_mut(&mut installation.facts).devices[at]
                    .profile
                    .clone_from(profile);
            }
        }
        Event::ConfigurationNeeded { epcl, needed } => {
            installation.epcl = Some(epcl.clone());
            installation.configurations.clone_from(needed);
        }
        Event::Configured {
            device: id,
            configuration,
        } => {
            installation.configurations.retain(|(needed, _)| needed != id);
            clear_tries(attempt);
            if let Some(at) = device(installation, id) {
                Arc::make_mut(&mut installation.facts).devices[at]
                    .configuration
                    .clone_from(configuration);
            }
        }
        Event::Eligible { epcl } => {
            installation.epcl = Some(epcl.clone());
            installation.retry_at = None;
        }
        Event::Authorised { mpxn, authorisation } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].authorisation = Some(authorisation.clone());
                installation.points[at].used = Some(authorisation.by.clone());
            }
        }
        Event::Unauthorised { mpxn, why } => {
            installation.lost_by = Some(why.clone());
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].authorisation = None;
            }
        }
        Event::Slotted { day, start, group } => {
            *attempt = Attempt {
                number: attempt.number + 1,
                day: Some(*day),
                start: *start,
                group: group.clone(),
                ..Attempt::default()
            };
            installation.retry_at = None;
            installation.devices.fill(DeviceProgress::default());
        }
        Event::Frozen { taken_at, devices } => {
            attempt.frozen_at = Some(entry.at);
            attempt.snapshot_at = Some(*taken_at);
            for read in devices {
                if let Some(at) = device(installation, &read.id).filter(|at| installation.facts.devices[*at] != *read) {
                    Arc::make_mut(&mut installation.facts).devices[at] = read.clone();
                }
            }
        }
        Event::LeftOut { device: id, exclusion } => {
            clear_tries(attempt);
            installation.gas_exclusion = Some(exclusion.clone());
            if let Some(at) = device(installation, id) {
                installation.devices[at].left_out = true;
            }
        }
        Event::Probed { device: id } => {
            clear_tries(attempt);
            if let Some(at) = device(installation, id) {
                installation.devices[at].probed = true;
            }
        }
        Event::RotationBegun { device } => {
            attempt.rotating = Some(*device);
            attempt.rotation_begun_at.get_or_insert(entry.at);
        }
        Event::NotRotated { .. } => attempt.rotating = None,
        Event::Rotated { device: id, epoch } => {
            clear_tries(attempt);
            attempt.rotating = None;
            attempt.rotated_at.get_or_insert(entry.at);
            if let Some(at) = device(installation, id) {
                installation.devices[at].rotated = true;
                Arc::make_mut(&mut installation.facts).devices[at].epoch = *epoch;
            }
        }
        Event::Activated => {
            clear_tries(attempt);
            attempt.activated = true;
        }
        Event::StepDone(step) => {
            clear_tries(attempt);
            attempt.steps = step.step + 1;
            let unjoined = step.note.is_some();
            if let Some(at) = device(installation, &step.device) {
                installation.devices[at].unjoined |= unjoined;
                if step.request == "8.1.1" || step.request == "8.4" {
                    installation.devices[at].commissioned = true;
                }
            }
            if let Some((code, text)) = &step.note {
                note(installation, entry.at, code, text);
            }
        }
        Event::Confirmed => {
            attempt.confirmed_at = Some(entry.at);
            for device in &mut installation.devices {
                device.commissioned |= !device.left_out;
            }
        }
        Event::TryFailed { not_before, .. } => {
            attempt.tries += 1;
            attempt.trying_since.get_or_insert(entry.at);
            attempt.not_before = Some(*not_before);
        }
        Event::Failed {
            failure,
            unwind,
            retry_at,
        } => {
            clear_tries(attempt);
            attempt.rotating = None;
            installation.counted += u8::from(failure.counted);
            installation.unprepared += u8::from(entry.change.is_none());
            installation.last_failure = Some(failure.clone());
            undo(installation, *unwind);
            installation.retry_at = *retry_at;
            if retry_at.is_none() && !matches!(entry.change, Some((_, State::Cancelled | State::Excluded))) {
                installation.hold = Some(failure.code.clone());
            }
        }
        Event::Unwound(done) => {
            clear_tries(attempt);
            installation.unwind.purge &= !done.purge;
            installation.unwind.unfreeze &= !done.unfreeze;
        }
        Event::Noted { code, text } => note(installation, entry.at, code, text),
        Event::Held { reason } => installation.hold = Some(reason.clone()),
        Event::Released { .. } => {
            clear_tries(attempt);
            installation.waived.extend(installation.hold.take());
            installation.hold = None;
            installation.retry_at = None;
        }
        Event::Excluded(exclusion) => {
            installation.exclusion = Some(exclusion.clone());
            installation.hold = None;
        }
        Event::ChangeAnnounced {
            mpxn,
            supplier,
            active,
            effective,
        } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                installation.points[at].pending = Some(PendingChange {
                    supplier: *supplier,
                    active: *active,
                    effective: *effective,
                });
            }
        }
        Event::SupplierChanged { mpxn, supplier, active } => {
            if let Some(at) = installation.facts.points.iter().position(|point| point.mpxn == *mpxn) {
                Arc::make_mut(&mut installation.facts).points[at].supplier = *supplier;
                Arc::make_mut(&mut installation.facts).points[at].active = *active;
                installation.points[at].pending = None;
            }
        }
        Event::Triaged {
            quarantined, unwind, ..
        } => {
            installation.triage = Some(Triage {
                from: installation.state,
                quarantined: *quarantined,
            });
            attempt.rotating = None;
            undo(installation, *unwind);
        }
        Event::Decided { .. } => {
            installation.triage = None;
            installation.hold = None;
            installation.retry_at = None;
        }
        Event::Recovered => attempt.recovered_at = Some(entry.at),
        Event::Paged { .. } => attempt.paged = true,
        _ => {}
    }
}

fn undo(installation: &mut Installation, unwind: Unwind) {
    installation.unwind.purge |= unwind.purge;
    installation.unwind.unfreeze |= unwind.unfreeze;
}

fn note(installation: &mut Installation, at: SimInstant, code: &str, text: &str) {
    if installation.notes.len() >= NOTES_MAX {
        installation.notes.remove(0);
    }
    installation.notes.push(Note {
        at,
        code: code.to_owned(),
        text: text.to_owned(),
    });
}

pub(super) fn clear_tries(attempt: &mut Attempt) {
    attempt.tries = 0;
    attempt.trying_since = None;
    attempt.not_before = None;
    attempt.paged = false;
}

pub(super) fn act_on(case: &mut Case, at: SimInstant, by: &str, act: &CaseAct) {
    case.history.push((at, by.to_owned(), act.words()));
    match act {
        CaseAct::Claim => case.claimed_by = Some(by.to_owned()),
        CaseAct::Assign(owner) => {
            case.owner = *owner;
            case.claimed_by = None;
        }
        CaseAct::Hold(reason) => case.held = Some(reason.clone()),
        CaseAct::Release => case.held = None,
        CaseAct::Resolve(text) => case.resolution = Some(text.clone()),
        CaseAct::Note(_) | CaseAct::Retry | CaseAct::RollBack => {}
    }
}
