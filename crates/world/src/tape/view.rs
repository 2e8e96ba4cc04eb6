//! The plain-text view: one line per record, without payloads, keys or signatures.

use proto::{
    ApprovalReply, ApprovalRequest, Condition, Countersigned, CountersignedServiceRequest, DcoMigrationCommand,
    DcoMigrationOutcome, DuisDelivery, DuisDeliveryAck, DuisReply, DuisRequest, Envelope, FileAcknowledgement,
    FileDelivery, FirmwareImage, FirmwareReport, ImageJob, ImageJobResult, Kind, Message, MigrationFileContent,
    MigrationInstruction, MigrationReport, OperationOutcome, S1spAlert, S1spMigrationCommand, S1spMigrationOutcome,
    S1spResponse, SmsoCommand, SmsoMigrationCommand, SmsoMigrationOutcome, SmsoOutcome, WanClose, WanData, WanOpen,
    WanSms, approval_reply, dco_migration_command, s1sp_migration_command, smso_migration_command,
};

use super::TapeRecord;
use crate::fault::Verdict;
use crate::semantic;
use domain::{Eui64, SimInstant};

/// Characters of a summary.
const SUMMARY_MAX: usize = 160;

/// A message on a link, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    /// When it was sent.
    pub at: SimInstant,
    /// Sender and receiver.
    pub link: String,
    /// Its kind, for example `duis-request`.
    pub kind: String,
    /// The request it belongs to; empty where it belongs to none.
    pub trace_id: String,
    /// What became of it on the link, for example `pass`.
    pub verdict: String,
    /// What it says, without payloads.
    pub summary: String,
}

/// One record in words; none when it is no envelope.
#[must_use]
pub fn hop(record: &TapeRecord) -> Option<Hop> {
    let envelope = Envelope::decode(record.octets.clone()).ok()?;
    let kind = envelope.kind();
    let name = kind.as_str_name().trim_start_matches("KIND_").to_lowercase();
    let summary = summary(kind, &envelope).unwrap_or_else(|_| "does not decode".into());
    Some(Hop {
        at: record.at,
        link: record.link.to_string(),
        kind: name.replace('_', "-"),
        trace_id: envelope.trace_id,
        verdict: verdict(record),
        summary: plain(&summary),
    })
}

fn verdict(record: &TapeRecord) -> String {
    match record.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Delay(span) => format!("delay {span}"),
        Verdict::Duplicate => "duplicate".to_owned(),
        Verdict::Replace => "replace".to_owned(),
    }
}

/// One record as a line: time, world, link, kind, trace id, octets, verdict and a short summary. Never a payload, a key,
/// a signature or a value read from a device.
#[must_use]
pub fn line(record: &TapeRecord) -> String {
    let head = format!("{} w{} {}", record.at, record.world, record.link);
    let size = record.octets.len();
    let Some(hop) = hop(record) else {
        return format!("{head} no-envelope - {size} {}", verdict(record));
    };
    let trace = if hop.trace_id.is_empty() {
        "-".to_owned()
    } else {
        plain(&hop.trace_id)
    };
    format!("{head} {} {trace} {size} {} {}", hop.kind, hop.verdict, hop.summary)
        .trim_end()
        .to_owned()
}

fn summary(kind: Kind, envelope: &Envelope) -> Result<String, prost::DecodeError> {
    let body = envelope.body.clone();
    Ok(match kind {
        Kind::DuisRequest => {
            let message = DuisRequest::decode(body)?;
            format!("{} {}", message.path, xml(&message.xml))
        }
        Kind::DuisReply => {
            let message = DuisReply::decode(body)?;
            format!("http {} {}", message.http_status, xml(&message.xml))
        }
        Kind::DuisDelivery => {
            let message = DuisDelivery::decode(body)?;
            format!("delivery {} {}", message.delivery_id, xml(&message.xml))
        }
        Kind::DuisDeliveryAck => {
            let message = DuisDeliveryAck::decode(body)?;
            format!("delivery {} http {}", message.delivery_id, message.http_status)
        }
        Kind::CountersignedRequest => countersigned(&CountersignedServiceRequest::decode(body)?)?,
        Kind::S1spResponse => {
            let message = S1spResponse::decode(body)?;
            let hop = if message.failed_hop.is_empty() {
                String::new()
            } else {
                format!(" at {}", message.failed_hop)
            };
            format!("{}{hop} {}", message.response_code, message.reason)
        }
        Kind::S1spAlert => {
            let message = S1spAlert::decode(body)?;
            format!("{} alert {}", Eui64(message.device), message.counter)
        }
        Kind::FirmwareImage => {
            let message = FirmwareImage::decode(body)?;
            format!("image of {} octets", message.image.len())
        }
        Kind::ImageJob => {
            let message = ImageJob::decode(body)?;
            let (device, version) = (Eui64(message.device), message.firmware_version);
            format!("{} {device} firmware {version}", message.device_kind)
        }
        Kind::ImageJobResult => {
            let message = ImageJobResult::decode(body)?;
            let outcome = message.outcome().as_str_name().trim_start_matches("IMAGE_OUTCOME_");
            format!("{outcome} {}", message.reason)
        }
        Kind::FirmwareReport => {
            let message = FirmwareReport::decode(body)?;
            let state = if message.active { "runs" } else { "is to get" };
            format!("{} {state} {}", Eui64(message.device), message.firmware_version)
        }
        Kind::ApprovalRequest => {
            let message = ApprovalRequest::decode(body)?;
            if message.credentials {
                return Ok(format!("{} note a change of certificates", Eui64(message.device)));
            }
            format!(
                "{} step {} {}",
                Eui64(message.device),
                message.step,
                operation(message.operation.as_ref())
            )
        }
        Kind::ApprovalReply => match ApprovalReply::decode(body)?.result {
            Some(approval_reply::Result::Approval(_)) => "approved".into(),
            Some(approval_reply::Result::Noted(noted)) => if noted { "noted" } else { "not noted" }.into(),
            Some(approval_reply::Result::Refused(reason)) => format!("refused: {reason}"),
            None => "nothing".into(),
        },
        Kind::WanSms => {
            let message = WanSms::decode(body)?;
            format!(
                "{} {} {} octets",
                Eui64(message.hub),
                message.head_end,
                message.payload.len()
            )
        }
        Kind::WanOpen => {
            let message = WanOpen::decode(body)?;
            format!(
                "{} {} connection {}",
                Eui64(message.hub),
                message.head_end,
                message.session
            )
        }
        Kind::WanData => {
            let message = WanData::decode(body)?;
            format!(
                "{} connection {} {} octets",
                Eui64(message.hub),
                message.session,
                message.payload.len()
            )
        }
        Kind::WanClose => {
            let message = WanClose::decode(body)?;
            format!(
                "{} connection {} closed: {}",
                Eui64(message.hub),
                message.session,
                message.reason
            )
        }
        Kind::SmsoCommand => {
            let message = SmsoCommand::decode(body)?;
            format!("{} {}", Eui64(message.device), operation(message.operation.as_ref()))
        }
        Kind::SmsoOutcome => {
            let message = SmsoOutcome::decode(body)?;
            if message.failure.is_empty() {
                outcome(message.outcome.as_ref())
            } else {
                message.failure
            }
        }
        _ => migration(kind, body)?,
    })
}

/// What the parties of a migration ask each other.
fn migration(kind: Kind, body: bytes::Bytes) -> Result<String, prost::DecodeError> {
    Ok(match kind {
        Kind::FileDelivery => {
            let message = FileDelivery::decode(body)?;
            let mut parts = vec![message.reference];
            for file in message.set.iter().flat_map(|set| &set.files) {
                let content = MigrationFileContent::decode(file.signed.clone())?;
                let name = content.kind().as_str_name();
                let group = content.header.map(|header| header.group_id).unwrap_or_default();
                parts.push(format!(
                    "{} {group}",
                    name.trim_start_matches("MIGRATION_FILE_KIND_").to_lowercase()
                ));
            }
            parts.join(" ")
        }
        Kind::FileAcknowledgement => {
            let message = FileAcknowledgement::decode(body)?;
            let word = if message.accepted { "taken" } else { "refused" };
            ended(&format!("{} {word}", message.reference), &message.conditions)
        }
        Kind::SmsoMigrationCommand => {
            use smso_migration_command::Act;
            let message = SmsoMigrationCommand::decode(body)?;
            let act = message.act.as_ref().map_or("nothing", |act| match act {
                Act::Extract(_) => "extract",
                Act::Freeze(_) => "freeze",
                Act::Unfreeze(_) => "unfreeze",
                Act::Snapshot(_) => "snapshot",
                Act::StageKeys(_) => "stage-keys",
                Act::Firmware(_) => "firmware",
                Act::Configure(_) => "configure",
                Act::Decommission(_) => "decommission",
            });
            format!("{} {} {act}", message.reference, Eui64(message.hub))
        }
        Kind::SmsoMigrationOutcome => {
            let message = SmsoMigrationOutcome::decode(body)?;
            ended(&message.reference, &message.conditions)
        }
        Kind::S1spMigrationCommand => {
            use s1sp_migration_command::Act;
            let message = S1spMigrationCommand::decode(body)?;
            let act = match &message.act {
                Some(Act::Viability(_)) => "viability".into(),
                Some(Act::Probe(probe)) => format!("probe {}", Eui64(probe.device)),
                Some(Act::Rotate(rotate)) => format!("rotate {} to epoch {}", Eui64(rotate.device), rotate.epoch),
                Some(Act::Purge(_)) => "purge".into(),
                None => "nothing".to_owned(),
            };
            format!("{} {} {act}", message.reference, message.installation_id)
        }
        Kind::S1spMigrationOutcome => {
            let message = S1spMigrationOutcome::decode(body)?;
            ended(&message.reference, &message.conditions)
        }
        Kind::DcoMigrationCommand => {
            use dco_migration_command::Act;
            let message = DcoMigrationCommand::decode(body)?;
            let act = match &message.act {
                Some(Act::Approve(asked)) => format!("approve {} {}", asked.purpose, Eui64(asked.device)),
                Some(Act::Purge(_)) => "purge".into(),
                None => "nothing".to_owned(),
            };
            format!("{} {} {act}", message.reference, message.installation_id)
        }
        Kind::DcoMigrationOutcome => {
            let message = DcoMigrationOutcome::decode(body)?;
            ended(&message.reference, &message.conditions)
        }
        // The reference says who and what.
        Kind::MigrationInstruction => MigrationInstruction::decode(body)?.reference,
        Kind::MigrationReport => {
            let message = MigrationReport::decode(body)?;
            let found = message.installations.iter().flat_map(|report| &report.found);
            let words = found.map(|finding| format!(" {}", finding.kind));
            format!("{}{}", message.reference, words.collect::<String>())
        }
        _ => String::new(),
    })
}

/// Reference and what was found.
fn ended(head: &str, conditions: &[Condition]) -> String {
    let mut line = head.to_owned();
    for condition in conditions {
        line.push(' ');
        line.push_str(&condition.kind);
    }
    line
}

fn countersigned(message: &CountersignedServiceRequest) -> Result<String, prost::DecodeError> {
    let inner = Countersigned::decode(message.countersigned.clone())?;
    let kind = inner.target.as_ref().map_or("", |target| target.device_kind.as_str());
    Ok(format!("for {kind} {}", xml(&inner.request_xml)))
}

fn operation(message: Option<&proto::Operation>) -> String {
    match message.map(semantic::operation_from_proto) {
        Some(Ok(operation)) => operation.to_string(),
        Some(Err(problem)) => problem.to_string(),
        None => "no operation".into(),
    }
}

fn outcome(message: Option<&OperationOutcome>) -> String {
    match message.map(semantic::outcome_from_proto) {
        Some(Ok(Ok(_))) => "done".into(),
        Some(Ok(Err(refusal))) => format!("refused: {refusal}"),
        Some(Err(problem)) => problem.to_string(),
        None => "no outcome".into(),
    }
}

/// Root element, service reference variant and response code, as far as they are there.
fn xml(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let root = text
        .split('<')
        .skip(1)
        .find(|tag| !tag.starts_with(['?', '!']))
        .and_then(|tag| tag.split([' ', '>', '/', '\n', '\r', '\t']).next())
        .map(local);
    let mut parts = vec![root.unwrap_or("no XML").to_owned()];
    parts.extend(
        ["ServiceReferenceVariant", "ResponseCode"]
            .into_iter()
            .filter_map(|name| element_text(&text, name)),
    );
    parts.join(" ")
}

fn element_text(text: &str, name: &str) -> Option<String> {
    let tag = text
        .split('<')
        .find(|tag| local(tag).strip_prefix(name).is_some_and(|rest| rest.starts_with('>')))?;
    tag.split_once('>')
        .map(|(_, content)| content.chars().take(20).collect())
}

fn local(name: &str) -> &str {
    match name.split_once(':') {
        Some((prefix, local)) if prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => local,
        _ => name,
    }
}

/// Without control characters, and cut: a line stays a line whatever a peer sent.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUMMARY_MAX)
        .collect()
}
