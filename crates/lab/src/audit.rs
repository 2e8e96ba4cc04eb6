//! The service audit trail: what each role wrote down of a request, a device or a metering point, in the order of time.

use std::collections::BTreeSet;
use std::str::FromStr;

use dcc::audit::Record;
use domain::{Eui64, Mpxn, ParseError, RequestId};
use proto::v1::AuditEntry;
use world::World;
use world::tape::{self, Hop};

use crate::chain::journal_name;
use crate::parts::Parts;
use crate::view::ViewError;

/// What a trail is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One request.
    Request(RequestId),
    /// Everything about one device.
    Device(Eui64),
    /// Everything about the devices of one metering point.
    Point(Mpxn),
}

impl FromStr for Subject {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(request) = text.parse() {
            return Ok(Self::Request(request));
        }
        if let Ok(device) = text.parse() {
            return Ok(Self::Device(device));
        }
        text.parse().map(Self::Point).map_err(|_| ParseError {
            expected: "a RequestID, a device's EUI-64 or a metering point",
            found: text.chars().take(80).collect(),
        })
    }
}

/// The trail of a subject, by time.
///
/// # Errors
/// When the DCC does not run or a journal cannot be read.
pub(crate) async fn trail(
    parts: &Parts,
    world: &World,
    dcc: &dcc::Handle,
    subject: Subject,
) -> Result<Vec<AuditEntry>, ViewError> {
    let devices: BTreeSet<Eui64> = match subject {
        Subject::Request(_) => BTreeSet::new(),
        Subject::Device(device) => BTreeSet::from([device]),
        Subject::Point(mpxn) => {
            let found = dcc.look_up(dcc::Lookup::Mpxn(mpxn.to_string())).await?;
            let of_point = found
                .into_iter()
                .filter(|device| device.mpxn.is_none_or(|own| own == mpxn));
            of_point.map(|device| device.id).collect()
        }
    };
    let mut entries: Vec<AuditEntry> = Vec::new();
    let mut requests = BTreeSet::new();
    if let Subject::Request(request) = subject {
        requests.insert(request.to_string());
        entries.extend(dcc.audit_of_request(request).await?.iter().map(of_dcc));
    }
    for device in &devices {
        for record in dcc.audit_of_device(*device).await? {
            requests.extend(record.request.map(|request| request.to_string()));
            entries.push(of_dcc(&record));
        }
    }
    let journal = parts.journals.look(&journal_name(world.number, "dco"))?;
    for record in dco::audit::read(journal.as_ref())? {
        if requests.contains(&record.request_id) || devices.contains(&Eui64(record.device)) {
            entries.push(of_dco(&record));
        }
    }
    if let Subject::Request(request) = subject {
        let text = request.to_string();
        let hops = world.tape.records();
        let hops = hops.iter().filter_map(tape::hop).filter(|hop| hop.trace_id == text);
        entries.extend(hops.map(|hop| of_hop(&hop)));
    }
    // What is of one instant stays as it was gathered: records first, then messages.
    entries.sort_by_key(|entry| entry.at_ms);
    Ok(entries)
}

fn of_dcc(record: &Record) -> AuditEntry {
    let code = record.code.iter().map(|code| format!("code {code}"));
    let hop = (record.hop != "dcc").then(|| format!("hop {}", record.hop)).into_iter();
    let rules = record.rules.iter().map(|rule| format!("rule {rule}"));
    let confidence = record
        .confidence
        .iter()
        .map(|confidence| format!("confidence {confidence}"));
    let words = (!record.detail.is_empty()).then(|| record.detail.clone()).into_iter();
    let detail: Vec<String> = code.chain(hop).chain(words).chain(rules).chain(confidence).collect();
    AuditEntry {
        at_ms: record.at.0,
        role: "dcc".into(),
        event: record.event.to_string(),
        detail: detail.join("; "),
        request_id: text(record.request),
        srv: text(record.srv),
        user: text(record.user),
        device: text(record.device),
        hop: record.hop.clone(),
        code: record.code.clone().unwrap_or_default(),
        failure: text(record.failure),
        confidence: text(record.confidence),
        rules: record.rules.clone(),
        words: record.detail.clone(),
        xml: record.xml.clone(),
    }
}

fn of_dco(record: &dco::audit::Record) -> AuditEntry {
    let device = Eui64(record.device);
    let (event, words) = match (record.is_note(), record.approved()) {
        (true, _) => ("noted", format!("{} of {device}", record.operation)),
        (false, true) => (
            "approved",
            format!(
                "step {}: {} on {device}; counter {}",
                record.step, record.operation, record.counter
            ),
        ),
        (false, false) => (
            "refused",
            format!(
                "step {}: {} on {device}; {}",
                record.step, record.operation, record.refused
            ),
        ),
    };
    AuditEntry {
        at_ms: record.at_ms,
        role: "dco".into(),
        event: event.into(),
        detail: words.clone(),
        request_id: record.request_id.clone(),
        device: device.to_string(),
        hop: "dco".into(),
        words,
        ..AuditEntry::default()
    }
}

fn of_hop(hop: &Hop) -> AuditEntry {
    let verdict = if hop.verdict == "pass" {
        String::new()
    } else {
        format!("; {}", hop.verdict)
    };
    let words = format!("{}{verdict}", hop.summary);
    AuditEntry {
        at_ms: hop.at.0,
        role: "link".into(),
        event: hop.kind.clone(),
        detail: format!("{}: {words}", hop.link),
        request_id: hop.trace_id.clone(),
        hop: hop.link.clone(),
        words,
        ..AuditEntry::default()
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        let device = "02-1A-B0-02-01-00-00-01";
        let request = format!("90-B3-D5-1F-30-01-00-00:{device}:7");
        assert!(matches!(request.parse(), Ok(Subject::Request(_))));
        assert_eq!(device.parse(), device.parse().map(Subject::Device));
        assert!(matches!("9901000000007".parse(), Ok(Subject::Point(_))));
        assert!("nobody".parse::<Subject>().is_err());
    }
}
