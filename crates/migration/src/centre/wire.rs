//! Instructions and reports as messages.

use domain::{Eui64, SimInstant};
use proto::migration_instruction::Work as WorkMessage;
use proto::{
    ConfigureDevice, DeviceRecord, DeviceUpgraded, DevicesRead, InstallationRecord, InstallationReport,
    KnownInstallation, KnownPoint, MeteringPoint, MigrationFinding, MigrationInstruction, MigrationReport, OnFile,
    OneDevice, PlannedRequest, PointAuthorisation, PointChange, RequestMade, RotateDevice, UpgradeDevice, Whole,
    installation_report,
};

use super::Errand;
use crate::InstallationId;
use crate::day::{number, of_number};
use crate::machine::model::{Authorisation, DeviceFacts, Facts, Installation, PendingChange, PointFacts};
use crate::machine::{Done, Found, Instruction, Report, Work};
use crate::planning::gates::ListedModel;
use crate::records::{device_facts, device_record};
use crate::settings::{CohortSlug, Form, Planned, Stage};

/// A message that is none of ours, or says what nobody knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireFault {
    /// It does not decode.
    #[error("the message does not decode")]
    Form(#[from] prost::DecodeError),
    /// A field is missing that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A word that nobody knows.
    #[error("no {what} is called {word:?}")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// What stood there.
        word: String,
    },
}

fn word<T>(what: &'static str, word: &str, read: Option<T>) -> Result<T, WireFault> {
    read.ok_or_else(|| WireFault::Unknown {
        what,
        word: word.chars().take(100).collect(),
    })
}

// ---- instructions ----

/// An instruction as it is sent.
pub(super) fn instruction(errand: &Errand) -> MigrationInstruction {
    let Errand { instruction, known } = errand;
    MigrationInstruction {
        reference: instruction.reference.clone(),
        group: instruction.group.clone(),
        installations: known.iter().map(installation).collect(),
        work: Some(work(&instruction.work)),
    }
}

/// An instruction as it came, with its installations.
pub(super) fn errand(message: &MigrationInstruction) -> Result<(Instruction, Vec<Installation>), WireFault> {
    let known: Vec<Installation> = message
        .installations
        .iter()
        .map(read_installation)
        .collect::<Result<_, _>>()?;
    let instruction = Instruction {
        reference: message.reference.clone(),
        work: read_work(message.work.as_ref().ok_or(WireFault::Missing("the work"))?)?,
        group: message.group.clone(),
        installations: known.iter().map(Installation::id).collect(),
    };
    Ok((instruction, known))
}

fn work(work: &Work) -> WorkMessage {
    let all = Whole {};
    match work {
        Work::Activate => WorkMessage::Activate(all),
        Work::Configure { device, configuration } => WorkMessage::Configure(ConfigureDevice {
            device: device.0,
            configuration: configuration.clone(),
        }),
        Work::Decommission => WorkMessage::Decommission(all),
        Work::Deliver => WorkMessage::Deliver(all),
        Work::Extract => WorkMessage::Extract(all),
        Work::Freeze => WorkMessage::Freeze(all),
        Work::Outcome => WorkMessage::Outcome(all),
        Work::Probe { device } => WorkMessage::Probe(OneDevice { device: device.0 }),
        Work::Purge => WorkMessage::Purge(all),
        Work::Rotate { device, epoch } => WorkMessage::Rotate(RotateDevice {
            device: device.0,
            epoch: *epoch,
        }),
        Work::Secrets => WorkMessage::Secrets(all),
        Work::Step { step, planned } => WorkMessage::Step(PlannedRequest {
            step: (*step).into(),
            request: planned.request.to_string(),
            form: planned.form.map_or("", Form::as_str).to_owned(),
            device: planned.device.0,
        }),
        Work::Unfreeze => WorkMessage::Unfreeze(all),
        Work::Upgrade { device, to } => WorkMessage::Upgrade(UpgradeDevice {
            device: device.0,
            manufacturer: to.manufacturer.clone(),
            model: to.model.clone(),
            firmware: to.firmware.clone(),
        }),
        Work::Viability => WorkMessage::Viability(all),
    }
}

fn read_work(message: &WorkMessage) -> Result<Work, WireFault> {
    Ok(match message {
        WorkMessage::Activate(Whole {}) => Work::Activate,
        WorkMessage::Configure(ConfigureDevice { device, configuration }) => Work::Configure {
            device: Eui64(*device),
            configuration: configuration.clone(),
        },
        WorkMessage::Decommission(Whole {}) => Work::Decommission,
        WorkMessage::Deliver(Whole {}) => Work::Deliver,
        WorkMessage::Extract(Whole {}) => Work::Extract,
        WorkMessage::Freeze(Whole {}) => Work::Freeze,
        WorkMessage::Outcome(Whole {}) => Work::Outcome,
        WorkMessage::Probe(OneDevice { device }) => Work::Probe { device: Eui64(*device) },
        WorkMessage::Purge(Whole {}) => Work::Purge,
        WorkMessage::Rotate(RotateDevice { device, epoch }) => Work::Rotate {
            device: Eui64(*device),
            epoch: *epoch,
        },
        WorkMessage::Secrets(Whole {}) => Work::Secrets,
        WorkMessage::Step(asked) => Work::Step {
            step: word("step", &asked.step.to_string(), u16::try_from(asked.step).ok())?,
            planned: Planned {
                request: word("service request", &asked.request, asked.request.parse().ok())?,
                form: match asked.form.as_str() {
                    "" => None,
                    form => Some(word("form", form, Form::from_word(form))?),
                },
                device: Eui64(asked.device),
            },
        },
        WorkMessage::Unfreeze(Whole {}) => Work::Unfreeze,
        WorkMessage::Upgrade(asked) => Work::Upgrade {
            device: Eui64(asked.device),
            to: ListedModel {
                manufacturer: asked.manufacturer.clone(),
                model: asked.model.clone(),
                firmware: asked.firmware.clone(),
            },
        },
        WorkMessage::Viability(Whole {}) => Work::Viability,
    })
}

// ---- installations ----

fn installation(known: &Installation) -> KnownInstallation {
    let facts = &known.facts;
    let devices = known.each_device().map(|(facts, progress)| {
        let standing = DeviceRecord {
            staged_epoch: known.staged_epoch(facts),
            in_scope: !progress.left_out,
            ..DeviceRecord::default()
        };
        device_record(facts, standing)
    });
    let points = known.each_point().map(|(point, _)| MeteringPoint {
        mpxn: point.mpxn.to_string(),
        responsible_supplier: point.supplier.0,
        network_operator: point.network.0,
        prepayment: point.prepayment,
        ..MeteringPoint::default()
    });
    let standing = known.each_point().map(|(point, progress)| KnownPoint {
        active: point.active,
        authorisation: progress.authorisation.as_ref().map(|given| PointAuthorisation {
            supplier: given.supplier.0,
            by: given.by.clone(),
            not_before: number(given.not_before),
            not_after: number(given.not_after),
        }),
        change: progress.pending.map(|change| PointChange {
            supplier: change.supplier.0,
            active: change.active,
            effective: number(change.effective),
        }),
    });
    KnownInstallation {
        record: Some(InstallationRecord {
            installation_id: known.id().to_string(),
            attempt: known.attempt.number,
            cohort: facts.cohort.to_string(),
            smso: String::new(),
            installation_type: facts.installation_type().as_str().to_owned(),
            communications_provider: facts.provider.as_str().to_owned(),
            hub: facts.hub.0,
            devices: devices.collect(),
            points: points.collect(),
            snapshot_ms: known.attempt.snapshot_at.map_or(0, |at| at.0),
            vulnerable: facts.vulnerable,
            open_top_ups: 0,
        }),
        group: known.attempt.group.clone(),
        points: standing.collect(),
        unjoined: known
            .each_device()
            .filter(|(_, progress)| progress.unjoined)
            .map(|(facts, _)| facts.id.0)
            .collect(),
    }
}

fn read_installation(message: &KnownInstallation) -> Result<Installation, WireFault> {
    let record = message.record.as_ref().ok_or(WireFault::Missing("the record"))?;
    let id: Option<InstallationId> = record.installation_id.parse().ok();
    let devices: Vec<DeviceFacts> = record.devices.iter().map(read_device).collect::<Result<_, _>>()?;
    if record.points.len() != message.points.len() {
        return Err(WireFault::Missing("the standing of a point"));
    }
    let points = record.points.iter().zip(&message.points).map(|(point, standing)| {
        Ok(PointFacts {
            mpxn: word("metering point", &point.mpxn, point.mpxn.parse().ok())?,
            supplier: Eui64(point.responsible_supplier),
            network: Eui64(point.network_operator),
            active: standing.active,
            prepayment: point.prepayment,
        })
    });
    let provider = &record.communications_provider;
    let facts = Facts {
        id: word("installation", &record.installation_id, id)?,
        cohort: CohortSlug::new(&record.cohort),
        provider: word("communications provider", provider, provider.parse().ok())?,
        hub: Eui64(record.hub),
        devices,
        points: points.collect::<Result<_, WireFault>>()?,
        vulnerable: record.vulnerable,
    };
    let mut known = Installation::new(facts, SimInstant(0));
    known.attempt.number = record.attempt;
    known.attempt.group.clone_from(&message.group);
    known.attempt.snapshot_at = (record.snapshot_ms != 0).then_some(SimInstant(record.snapshot_ms));
    for (progress, device) in known.devices.iter_mut().zip(&record.devices) {
        progress.left_out = !device.in_scope;
        progress.unjoined = message.unjoined.contains(&device.device);
    }
    for (progress, standing) in known.points.iter_mut().zip(&message.points) {
        progress.authorisation = standing.authorisation.as_ref().map(|given| Authorisation {
            supplier: Eui64(given.supplier),
            by: given.by.clone(),
            not_before: of_number(given.not_before),
            not_after: of_number(given.not_after),
        });
        progress.pending = standing.change.as_ref().map(|change| PendingChange {
            supplier: Eui64(change.supplier),
            active: change.active,
            effective: of_number(change.effective),
        });
    }
    Ok(known)
}

fn on_file(facts: &DeviceFacts) -> DeviceRecord {
    device_record(facts, DeviceRecord::default())
}

fn read_device(record: &DeviceRecord) -> Result<DeviceFacts, WireFault> {
    word("kind of device", &record.kind, device_facts(record))
}

// ---- reports ----

/// The reports on one instruction as they are sent.
pub(super) fn report(reference: String, reports: &[Report]) -> MigrationReport {
    let each = reports.iter().map(|report| {
        let (done, found) = match &report.result {
            Ok(done) => (Some(done_message(done)), Vec::new()),
            Err(found) => (None, found.iter().map(finding).collect()),
        };
        InstallationReport {
            installation_id: report.installation.to_string(),
            found,
            mended: report.mended.iter().map(finding).collect(),
            done,
        }
    });
    MigrationReport {
        reference,
        installations: each.collect(),
    }
}

/// The reports on one instruction as they came.
pub(super) fn reports(message: &MigrationReport) -> Result<Vec<Report>, WireFault> {
    let each = message.installations.iter().map(|report| {
        let findings = |found: &[MigrationFinding]| found.iter().map(read_finding).collect::<Result<Vec<_>, _>>();
        let result = match &report.done {
            Some(done) => Ok(read_done(done)?),
            None => Err(findings(&report.found)?),
        };
        Ok(Report {
            reference: message.reference.clone(),
            installation: word(
                "installation",
                &report.installation_id,
                report.installation_id.parse().ok(),
            )?,
            result,
            mended: findings(&report.mended)?,
        })
    });
    each.collect()
}

fn finding(found: &Found) -> MigrationFinding {
    MigrationFinding {
        kind: found.kind.clone(),
        device: found.device.map(|device| device.0),
        detail: found.detail.clone(),
        stage: found.stage.map_or("", Stage::as_str).to_owned(),
    }
}

fn read_finding(found: &MigrationFinding) -> Result<Found, WireFault> {
    Ok(Found {
        kind: found.kind.clone(),
        device: found.device.map(Eui64),
        detail: found.detail.clone(),
        stage: match found.stage.as_str() {
            "" => None,
            stage => Some(word("stage", stage, Stage::from_word(stage))?),
        },
    })
}

fn done_message(done: &Done) -> installation_report::Done {
    use installation_report::Done as Message;
    let all = Whole {};
    match done {
        Done::Activated => Message::Activated(all),
        Done::Configured { configuration } => Message::Configured(configuration.clone()),
        Done::Delivered => Message::Delivered(all),
        Done::Extracted {
            devices,
            master_keys,
            active,
        } => Message::Extracted(OnFile {
            devices: devices.iter().map(on_file).collect(),
            master_keys: *master_keys,
            active: *active,
        }),
        Done::Frozen { taken_at, devices } => Message::Frozen(DevicesRead {
            taken_ms: taken_at.0,
            devices: devices.iter().map(on_file).collect(),
        }),
        Done::NotRotated => Message::NotRotated(all),
        Done::OutcomeTaken => Message::OutcomeTaken(all),
        Done::Probed => Message::Probed(all),
        Done::Purged => Message::Purged(all),
        Done::Removed => Message::Removed(all),
        Done::Rotated { epoch } => Message::Rotated(*epoch),
        Done::Step {
            request_id,
            response_code,
            octets,
        } => Message::Step(RequestMade {
            request_id: request_id.clone(),
            response_code: response_code.clone(),
            octets: *octets,
        }),
        Done::Unfrozen => Message::Unfrozen(all),
        Done::Upgraded { model, profile } => Message::Upgraded(DeviceUpgraded {
            manufacturer: model.manufacturer.clone(),
            model: model.model.clone(),
            firmware: model.firmware.clone(),
            profile: profile.clone(),
        }),
        Done::Validated => Message::Validated(all),
        Done::Viable => Message::Viable(all),
    }
}

fn read_done(message: &installation_report::Done) -> Result<Done, WireFault> {
    use installation_report::Done as Message;
    let devices = |records: &[DeviceRecord]| records.iter().map(read_device).collect::<Result<Vec<_>, _>>();
    Ok(match message {
        Message::Activated(Whole {}) => Done::Activated,
        Message::Configured(configuration) => Done::Configured {
            configuration: configuration.clone(),
        },
        Message::Delivered(Whole {}) => Done::Delivered,
        Message::Extracted(file) => Done::Extracted {
            devices: devices(&file.devices)?,
            master_keys: file.master_keys,
            active: file.active,
        },
        Message::Frozen(read) => Done::Frozen {
            taken_at: SimInstant(read.taken_ms),
            devices: devices(&read.devices)?,
        },
        Message::NotRotated(Whole {}) => Done::NotRotated,
        Message::OutcomeTaken(Whole {}) => Done::OutcomeTaken,
        Message::Probed(Whole {}) => Done::Probed,
        Message::Purged(Whole {}) => Done::Purged,
        Message::Removed(Whole {}) => Done::Removed,
        Message::Rotated(epoch) => Done::Rotated { epoch: *epoch },
        Message::Step(made) => Done::Step {
            request_id: made.request_id.clone(),
            response_code: made.response_code.clone(),
            octets: made.octets,
        },
        Message::Unfrozen(Whole {}) => Done::Unfrozen,
        Message::Upgraded(device) => Done::Upgraded {
            model: ListedModel {
                manufacturer: device.manufacturer.clone(),
                model: device.model.clone(),
                firmware: device.firmware.clone(),
            },
            profile: device.profile.clone(),
        },
        Message::Validated(Whole {}) => Done::Validated,
        Message::Viable(Whole {}) => Done::Viable,
    })
}

#[cfg(test)]
mod tests {
    use domain::{CommunicationsProvider, DeviceKind, Srv};
    use proto::Message as _;

    use super::*;

    fn known() -> Installation {
        let device = |id, kind| DeviceFacts {
            id: Eui64(id),
            kind,
            model: ListedModel {
                manufacturer: "Example".into(),
                model: "one".into(),
                firmware: "1.0".into(),
            },
            hardware: "H1".into(),
            serial: "S1".into(),
            profile: "one@BASE".into(),
            configuration: "aa".into(),
            epoch: 3,
        };
        let facts = Facts {
            id: InstallationId(Eui64(1)),
            cohort: CohortSlug::new("ioc"),
            provider: CommunicationsProvider::Vodafone,
            hub: Eui64(1),
            devices: vec![
                device(1, DeviceKind::Chf),
                device(2, DeviceKind::Esme),
                device(3, DeviceKind::Ihd),
            ],
            points: vec![PointFacts {
                mpxn: "9901000000008".parse().expect("an MPAN"),
                supplier: Eui64(7),
                network: Eui64(8),
                active: true,
                prepayment: true,
            }],
            vulnerable: true,
        };
        let mut known = Installation::new(facts, SimInstant(0));
        known.attempt.number = 2;
        known.attempt.group = "LAB-G".into();
        known.attempt.snapshot_at = Some(SimInstant(99));
        known.devices[1].left_out = true;
        known.devices[2].unjoined = true;
        known.points[0].authorisation = Some(Authorisation {
            supplier: Eui64(7),
            by: "file:1".into(),
            not_before: of_number(18_000),
            not_after: of_number(18_006),
        });
        known.points[0].pending = Some(PendingChange {
            supplier: Eui64(9),
            active: false,
            effective: of_number(18_010),
        });
        known
    }

    #[test]
    fn every_instruction_comes_over_as_it_was_sent() {
        let (device, configuration) = (Eui64(2), "bb".to_owned());
        let to = ListedModel {
            manufacturer: "Example".into(),
            model: "one".into(),
            firmware: "2.0".into(),
        };
        let planned = |request, form| Work::Step {
            step: 4,
            planned: Planned { request, form, device },
        };
        for work in [
            Work::Activate,
            Work::Configure { device, configuration },
            Work::Decommission,
            Work::Deliver,
            Work::Extract,
            Work::Freeze,
            Work::Outcome,
            Work::Probe { device },
            Work::Purge,
            Work::Rotate { device, epoch: 5 },
            Work::Secrets,
            planned(Srv::new(12, 2, 0), None),
            planned(Srv::new(6, 21, 0), Some(Form::Supplier)),
            Work::Unfreeze,
            Work::Upgrade { device, to },
            Work::Viability,
        ] {
            let sent = Errand {
                instruction: Instruction {
                    reference: "1/2/x/3".into(),
                    work,
                    group: "LAB-G".into(),
                    installations: vec![known().id()],
                },
                known: vec![known()],
            };
            let octets = instruction(&sent).encode_to_vec();
            let message = MigrationInstruction::decode(octets.as_slice()).expect("a message");
            let (instruction, known) = errand(&message).expect("an instruction");
            assert_eq!(Errand { instruction, known }, sent);
        }
    }

    #[test]
    fn every_report_comes_over_as_it_was_sent() {
        let devices = known().facts.devices.clone();
        let model = devices[0].model.clone();
        let found = Found {
            device: Some(Eui64(0)),
            stage: Some(Stage::Staging),
            ..Found::new("keys-not-staged").saying("no")
        };
        let done = [
            Done::Activated,
            Done::Configured {
                configuration: "cc".into(),
            },
            Done::Delivered,
            Done::Extracted {
                devices: devices.clone(),
                master_keys: true,
                active: Some(false),
            },
            Done::Extracted {
                devices: devices.clone(),
                master_keys: false,
                active: None,
            },
            Done::Frozen {
                taken_at: SimInstant(5),
                devices,
            },
            Done::NotRotated,
            Done::OutcomeTaken,
            Done::Probed,
            Done::Purged,
            Done::Removed,
            Done::Rotated { epoch: 0 },
            Done::Step {
                request_id: "r".into(),
                response_code: "I0".into(),
                octets: 7,
            },
            Done::Unfrozen,
            Done::Upgraded {
                model,
                profile: "one@2".into(),
            },
            Done::Validated,
            Done::Viable,
        ];
        let results = done
            .into_iter()
            .map(Ok)
            .chain([Err(vec![found.clone()]), Err(Vec::new())]);
        for result in results {
            let sent = vec![Report {
                reference: "1/2/x/3".into(),
                installation: InstallationId(Eui64(1)),
                result,
                mended: vec![found.clone()],
            }];
            let octets = report("1/2/x/3".into(), &sent).encode_to_vec();
            let message = MigrationReport::decode(octets.as_slice()).expect("a message");
            assert_eq!(reports(&message).expect("reports"), sent);
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        let mut message = instruction(&Errand {
            instruction: Instruction {
                reference: "1".into(),
                work: Work::Freeze,
                group: String::new(),
                installations: Vec::new(),
            },
            known: vec![known()],
        });
        message.work = None;
        assert_eq!(
            errand(&message).expect_err("no work").to_string(),
            "the work is missing"
        );
        let record = message.installations[0].record.as_mut().expect("a record");
        record.devices[0].kind = "TOASTER".into();
        let refused = errand(&message).expect_err("no kind");
        assert_eq!(refused.to_string(), "no kind of device is called \"TOASTER\"");
    }
}
