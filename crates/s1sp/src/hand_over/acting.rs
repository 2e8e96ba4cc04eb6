//! What the commissioning party asks of the devices of one installation before anything changes: that they answer, and that
//! dual control works.

use std::sync::Arc;

use domain::operation::ApprovalFault;
use domain::{Approval, DataItem, DeviceKind, Eui64, Operation, Refusal, SimDuration, SimInstant, Value};
use head_end::survey::{self, Depth, Said, Survey, Trouble, has_keys};
use head_end::{Job, Site};
use proto::{Condition, S1spMigrationOutcome, S1spViability};
use tokio::task::JoinSet;

use super::journal::Record;
use super::{HandOver, Installation, condition};

/// The furthest a device's clock may be off before that is reported.
const CLOCK_OFF: SimDuration = SimDuration::from_mins(10);

/// One act on one installation.
pub(super) struct Acting<'a> {
    pub(super) desk: &'a Arc<HandOver>,
    pub(super) id: &'a str,
    pub(super) installation: &'a Installation,
    pub(super) site: &'a Arc<Site>,
    pub(super) trace_id: &'a str,
}

impl Acting<'_> {
    pub(super) async fn viability(&self, viability: &S1spViability, outcome: &mut S1spMigrationOutcome) {
        let since = self.desk.world.clock.now();
        let mut asked = JoinSet::new();
        for id in &viability.devices {
            let device = Eui64(*id);
            let known = self.site.device(device).filter(|known| has_keys(known.slot)).cloned();
            let Some(known) = known else {
                outcome
                    .conditions
                    .push(self.found("unknown-device", device, "not in the files"));
                continue;
            };
            let within = match known.slot {
                DeviceKind::Gsme => viability.sleepy_within_ms,
                _ => viability.mains_within_ms,
            };
            let deadline = self.deadline(within);
            let (desk, site, trace_id) = (Arc::clone(self.desk), Arc::clone(self.site), self.trace_id.to_owned());
            asked.spawn(async move {
                let survey = Survey {
                    handle: &desk.engine,
                    site: &site,
                    trace_id: &trace_id,
                    depth: Depth::Identity,
                };
                let said = survey.ask(&known, deadline).await;
                (known, said)
            });
        }
        while let Some(ended) = asked.join_next().await {
            let Ok((device, said)) = ended else { continue };
            match said {
                Ok(said) => {
                    self.compare(device.id, &said, since, outcome);
                    outcome.devices.push(survey::record(&device, &said));
                }
                Err(trouble) => outcome.conditions.push(trouble.condition(self.id, device.id)),
            }
        }
        outcome.devices.sort_by_key(|record| record.device);
        outcome.conditions.sort_by_key(|condition| condition.device);
    }

    /// What the device said, some time since it was asked, against what the files say.
    fn compare(&self, device: Eui64, said: &Said, since: SimInstant, outcome: &mut S1spMigrationOutcome) {
        let mut devices = self.installation.devices.iter();
        let Some(file) = devices.find(|record| record.device == device.0) else {
            return;
        };
        let mut differs = |kind: &str, text: String| outcome.conditions.push(self.found(kind, device, &text));
        if let Some(serial) = said.text(DataItem::SerialNumber)
            && !file.serial.is_empty()
            && serial != file.serial
        {
            differs(
                "serial-differs",
                format!("the device says {serial}, the file {}", file.serial),
            );
        }
        let expected = self.desk.models.profile(&file.profile);
        if let (Some(firmware), Some(expected)) = (said.text(DataItem::FirmwareVersion), expected)
            && firmware != expected.native_firmware
        {
            differs(
                "firmware-differs",
                format!("the device runs {firmware}, the file says {}", expected.native_firmware),
            );
        }
        if let Some(Value::Clock(time, _)) = said.values.get(&DataItem::Clock) {
            let now = self.desk.world.clock.now();
            let off = since.since(*time).max(time.since(now));
            if off > CLOCK_OFF {
                differs("clock-wrong", format!("its clock is {off} off"));
            }
        }
        let staged = said.count(DataItem::StagedKeyEpoch).unwrap_or(0);
        if staged != file.staged_epoch && said.count(DataItem::KeyEpoch) != Some(file.staged_epoch) {
            differs("keys-not-staged", format!("epoch {} is not staged", file.staged_epoch));
        }
    }

    /// A device takes an approval once. That it knows this one already proves as much as taking it, where the same probe
    /// was sent before the S1SP died over it; of any other it is a rejection.
    pub(super) async fn probe(
        &self,
        reference: &str,
        device: Eui64,
        approval: &[u8],
        within_ms: u64,
    ) -> Result<(), Condition> {
        let approval = self.approval(device, approval)?;
        let again = self.sent_before(reference, device)?;
        let operation = Operation::ProbeDualControl {
            nonce: approval.counter,
        };
        let job = self.job(device, operation, Some(approval), within_ms)?;
        match Trouble::with(self.desk.engine.execute(job).await) {
            None => Ok(()),
            Some(Trouble::Refused(Refusal::Approval(ApprovalFault::Replayed))) if again => Ok(()),
            Some(trouble) => Err(trouble.condition(self.id, device)),
        }
    }

    /// Whether this probe may have reached the device before; from now on it may.
    fn sent_before(&self, reference: &str, device: Eui64) -> Result<bool, Condition> {
        let mut state = self.desk.state();
        if state.probing.contains(reference) {
            return Ok(true);
        }
        let probing = reference.to_owned();
        let written = state.journal.write(&Record {
            probing,
            ..Record::default()
        });
        match written {
            Ok(()) => Ok(false),
            Err(error) => Err(self.found("s1sp-down", device, &error.to_string())),
        }
    }

    pub(super) fn approval(&self, device: Eui64, octets: &[u8]) -> Result<Approval, Condition> {
        Approval::from_bytes(octets).ok_or_else(|| self.found("malformed", device, "no approval"))
    }

    pub(super) fn job(
        &self,
        device: Eui64,
        operation: Operation,
        approval: Option<Approval>,
        within_ms: u64,
    ) -> Result<Job, Condition> {
        let known = self.site.device(device).filter(|known| has_keys(known.slot));
        let known = known.ok_or_else(|| self.found("unknown-device", device, "not in the files"))?;
        Ok(Job {
            trace_id: self.trace_id.to_owned(),
            hub: self.site.hub,
            device,
            slot: known.slot,
            operation,
            approval,
            deadline: self.deadline(within_ms),
        })
    }

    fn deadline(&self, within_ms: u64) -> SimInstant {
        self.desk.world.clock.now() + SimDuration::from_millis(within_ms)
    }

    pub(super) fn found(&self, kind: &str, device: Eui64, detail: &str) -> Condition {
        condition(kind, self.id, device, detail)
    }
}
