//! Putting staged keys in force, device by device: once, also where an answer was lost or the S1SP died over it.

use domain::{DataItem, Eui64, Operation, Refusal, Value};
use head_end::survey::Trouble;
use head_end::{FailureKind, Standing};
use proto::{Condition, S1spMigrationOutcome, S1spRotate};

use super::acting::Acting;
use super::journal::Record;

impl Acting<'_> {
    pub(super) async fn rotate(&self, rotate: &S1spRotate, outcome: &mut S1spMigrationOutcome) {
        let device = Eui64(rotate.device);
        let mut end = |rotated: bool, found: Option<Condition>| {
            outcome.rotated = rotated;
            outcome.epoch = if rotated { rotate.epoch } else { 0 };
            outcome.conditions.extend(found);
        };
        let known = self.site.device(device).map(|known| known.keys.number);
        if known != Some(rotate.epoch) {
            let text = format!("epoch {} was not handed over", rotate.epoch);
            return end(false, Some(self.found("unknown-device", device, &text)));
        }
        // Only where an earlier attempt may have done it is there anything to ask: a sleeping meter takes long to answer.
        if self.desk.state().tried.contains(&device) {
            match self.in_force(device, rotate).await {
                Ok(true) => {
                    end(true, self.rotated(device));
                    let text = "an earlier answer was lost; the device says that it has them in force";
                    outcome.mended.push(self.found("answer-lost-rotated", device, text));
                    return;
                }
                Ok(false) => {}
                Err(trouble) => return end(false, Some(trouble.condition(self.id, device))),
            }
        }
        let approval = match self.approval(device, &rotate.approval) {
            Ok(approval) => approval,
            Err(found) => return end(false, Some(found)),
        };
        if let Some(found) = self.try_it(device) {
            return end(false, Some(found));
        }
        let activate = Operation::ActivateKeys { epoch: rotate.epoch };
        let job = match self.job(device, activate, Some(approval), rotate.within_ms) {
            Ok(job) => job,
            Err(found) => return end(false, Some(found)),
        };
        let trouble = match Trouble::with(self.desk.engine.execute(job).await) {
            None => return end(true, self.rotated(device)),
            Some(trouble) => trouble,
        };
        let may_be = matches!(&trouble, Trouble::Failed(failure) if failure.may_have_executed);
        if may_be && let Ok(true) = self.in_force(device, rotate).await {
            end(true, self.rotated(device));
            let text = "the answer was lost; the device says that it has them in force";
            outcome.mended.push(self.found("answer-lost-rotated", device, text));
            return;
        }
        let mut found = trouble.condition(self.id, device);
        if found.kind == "refused" {
            "not-rotated".clone_into(&mut found.kind);
        }
        end(false, Some(found));
    }

    /// Whether the epoch is in force on the device, as the device says. It answers only to keys that it knows under the
    /// right name, so the other standing is tried where the first one is not let in.
    async fn in_force(&self, device: Eui64, rotate: &S1spRotate) -> Result<bool, Trouble> {
        let standing = self
            .site
            .device(device)
            .map_or(Standing::Staged, |known| known.keys.standing);
        let other = match standing {
            Standing::InForce => Standing::Staged,
            Standing::Staged => Standing::InForce,
        };
        let mut last = None;
        for standing in [standing, other] {
            self.desk
                .directory
                .change(device, |known| known.keys.standing = standing);
            let job = self.job(device, Operation::Read(DataItem::KeyEpoch), None, rotate.within_ms);
            let Ok(job) = job else { break };
            match self.desk.engine.execute(job).await {
                Ok(Ok(domain::Answer::Value(Value::Quantity(quantity)))) => {
                    let in_force = quantity.value == i64::from(rotate.epoch);
                    let standing = if in_force { Standing::InForce } else { Standing::Staged };
                    self.desk
                        .directory
                        .change(device, |known| known.keys.standing = standing);
                    return Ok(in_force);
                }
                Ok(Err(refusal @ Refusal::NotPermitted)) => last = Some(Trouble::Refused(refusal)),
                Ok(Err(refusal)) => return Err(Trouble::Refused(refusal)),
                Ok(Ok(_)) => return Err(Trouble::Refused(Refusal::NotSupported)),
                Err(failure) if failure.kind == FailureKind::SessionFailed => last = Some(Trouble::Failed(failure)),
                Err(failure) => {
                    self.desk
                        .directory
                        .change(device, |known| known.keys.standing = standing);
                    return Err(Trouble::Failed(failure));
                }
            }
        }
        self.desk
            .directory
            .change(device, |known| known.keys.standing = standing);
        Err(last.unwrap_or(Trouble::Refused(Refusal::NotPermitted)))
    }

    /// Notes that the activation is about to be asked for; a condition when that cannot be put on record.
    fn try_it(&self, device: Eui64) -> Option<Condition> {
        let mut state = self.desk.state();
        let written = state.journal.write(&Record {
            tried: device.0,
            ..Record::default()
        });
        match written {
            Ok(()) => {
                state.tried.insert(device);
                None
            }
            Err(error) => Some(self.found("s1sp-down", device, &error.to_string())),
        }
    }

    fn rotated(&self, device: Eui64) -> Option<Condition> {
        let mut state = self.desk.state();
        // The device has it whether it can be written or not: asked again, the device will say so again.
        let written = state.journal.write(&Record {
            rotated: device.0,
            ..Record::default()
        });
        self.desk.note_rotated(&mut state, device);
        written
            .err()
            .map(|error| self.found("s1sp-down", device, &error.to_string()))
    }
}
