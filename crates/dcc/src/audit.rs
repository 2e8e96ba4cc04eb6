//! The audit trail: one record per message or decision, kept in the journal and read back from it.

use std::fmt;
use std::str::FromStr;

use domain::{Confidence, Eui64, ParseError, RequestId, SimInstant, Srv};
use prost::bytes::Bytes;
use steps::Failure;
use world::{Store, StoreError};

use crate::journal::{AuditMessage, Entry};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The S1SP said that it has the request.
    Accepted,
    /// A request was acknowledged.
    Acknowledged,
    /// A device or S1SP alert came and goes to somebody, or to nobody.
    Alert,
    /// A DCC-only request was answered at once.
    Answered,
    /// A held request was cancelled.
    Cancelled,
    /// The RequestID counters of a user were reset.
    CountersReset,
    /// A device accepted a future-dated request and holds it.
    DatedAccepted,
    /// The DCC raised an alert itself.
    DccAlert,
    /// A delivery was given up.
    DeadLettered,
    /// A dead letter was put back into the outbox.
    DeliverAgain,
    /// A user took a delivery.
    Delivered,
    /// The inventory learnt something else of a device.
    DeviceChanged,
    /// A device left the inventory.
    DeviceRemoved,
    /// The firmware of a device was reported.
    Firmware,
    /// A request was acknowledged and waits: for its date, or for another request.
    Held,
    /// An alert was held back, being one of too many.
    HeldBack,
    /// A device has its image, or did not get it.
    ImageJob,
    /// A request was handed to another system, as its device is not in the inventory.
    Forwarded,
    /// The S1SP reported an outcome of a request that has none to come.
    LateOutcome,
    /// A request has its one outcome.
    Outcome,
    /// Anomaly detection put a request into quarantine.
    Quarantined,
    /// A request left quarantine: released, or deleted.
    QuarantineEnded,
    /// A request was refused at the front door.
    Refused,
    /// A request that waited goes to the S1SP.
    Released,
    /// After a restart a request was taken up again.
    Resumed,
    /// A schedule was created.
    ScheduleCreated,
    /// A schedule was removed.
    ScheduleRemoved,
    /// A schedule runs.
    ScheduleRun,
    /// A run of a schedule was left out.
    ScheduleSkipped,
    /// A request was sent to the S1SP once more.
    SentAgain,
    /// The SMI status of a device changed.
    StatusChanged,
    /// A supplier had a code made for a meter.
    Vended,
    /// A request was taken although something is to be said against it.
    Warned,
}

const EVENTS: &[(&str, Event)] = &[
    ("accepted", Event::Accepted),
    ("acknowledged", Event::Acknowledged),
    ("alert", Event::Alert),
    ("answered", Event::Answered),
    ("cancelled", Event::Cancelled),
    ("counters-reset", Event::CountersReset),
    ("dated-accepted", Event::DatedAccepted),
    ("dcc-alert", Event::DccAlert),
    ("dead-lettered", Event::DeadLettered),
    ("deliver-again", Event::DeliverAgain),
    ("delivered", Event::Delivered),
    ("device-changed", Event::DeviceChanged),
    ("device-removed", Event::DeviceRemoved),
    ("firmware", Event::Firmware),
    ("held", Event::Held),
    ("held-back", Event::HeldBack),
    ("image-job", Event::ImageJob),
    ("forwarded", Event::Forwarded),
    ("late-outcome", Event::LateOutcome),
    ("outcome", Event::Outcome),
    ("quarantined", Event::Quarantined),
    ("quarantine-ended", Event::QuarantineEnded),
    ("refused", Event::Refused),
    ("released", Event::Released),
    ("resumed", Event::Resumed),
    ("schedule-created", Event::ScheduleCreated),
    ("schedule-removed", Event::ScheduleRemoved),
    ("schedule-run", Event::ScheduleRun),
    ("schedule-skipped", Event::ScheduleSkipped),
    ("sent-again", Event::SentAgain),
    ("status-changed", Event::StatusChanged),
    ("vended", Event::Vended),
    ("warned", Event::Warned),
];

impl Event {
    /// The word reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        EVENTS
            .iter()
            .find(|(_, event)| *event == self)
            .map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Event {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = EVENTS.iter().find(|(word, _)| *word == text).map(|(_, event)| *event);
        found.ok_or_else(|| ParseError {
            expected: "an audit event such as refused",
            found: text.chars().take(80).collect(),
        })
    }
}

/// One audit record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub at: SimInstant,
    /// What happened.
    pub event: Event,
    /// The request it belongs to, as far as it could be read.
    pub request: Option<RequestId>,
    /// The user it came from or goes to.
    pub user: Option<Eui64>,
    /// The device it is about.
    pub device: Option<Eui64>,
    /// Service reference variant.
    pub srv: Option<Srv>,
    /// Where it was decided, or the hop that failed.
    pub hop: String,
    /// Response code, alert code or status of the listener.
    pub code: Option<String>,
    /// Class of the error table.
    pub failure: Option<Failure>,
    /// Rules that touched it.
    pub rules: Vec<String>,
    /// More words, for people.
    pub detail: String,
    /// Weakest confidence that touched it.
    pub confidence: Option<Confidence>,
    /// The request's octets as they were received: with refusals, answers and acknowledgements. Of one that is larger than
    /// its limit only the beginning is kept.
    pub xml: Bytes,
}

/// Octets of an oversized request that its audit record keeps. All others are kept whole.
pub const OVERSIZED_KEPT: usize = 1 << 20;

impl Record {
    /// A record of something decided at the DCC.
    #[must_use]
    pub fn new(event: Event, at: SimInstant) -> Self {
        Self {
            at,
            event,
            request: None,
            user: None,
            device: None,
            srv: None,
            hop: "dcc".to_owned(),
            code: None,
            failure: None,
            rules: Vec::new(),
            detail: String::new(),
            confidence: None,
            xml: Bytes::new(),
        }
    }

    /// With the request as it was received.
    pub(crate) fn with_request(self, xml: &Bytes) -> Self {
        let kept = match self.failure {
            Some(Failure::Oversized) => xml.len().min(OVERSIZED_KEPT),
            _ => xml.len(),
        };
        Self {
            xml: xml.slice(..kept),
            ..self
        }
    }

    pub(crate) fn about(self, request: RequestId, srv: Option<Srv>) -> Self {
        Self {
            request: Some(request),
            user: Some(request.originator),
            device: Some(request.target),
            srv,
            ..self
        }
    }

    pub(crate) fn failing(self, failure: Failure) -> Self {
        let entry = failure.entry();
        Self {
            hop: entry.hop.as_str().to_owned(),
            code: Some(entry.code.to_owned()),
            failure: Some(failure),
            confidence: Some(entry.confidence),
            ..self
        }
    }

    pub(crate) fn to_message(&self) -> AuditMessage {
        AuditMessage {
            event: self.event.as_str().to_owned(),
            request: self.request.map(|id| id.to_bytes().to_vec()),
            user: self.user.map(|eui| eui.0),
            device: self.device.map(|eui| eui.0),
            srv: self.srv.map(|srv| srv.to_string()).unwrap_or_default(),
            hop: self.hop.clone(),
            code: self.code.clone().unwrap_or_default(),
            failure: self.failure.map(|failure| failure.to_string()).unwrap_or_default(),
            rules: self.rules.clone(),
            detail: self.detail.clone(),
            confidence: self.confidence.map(|c| c.to_string()).unwrap_or_default(),
            xml: self.xml.clone(),
        }
    }

    /// None for a record a newer program wrote.
    pub(crate) fn from_message(at: SimInstant, message: AuditMessage) -> Option<Self> {
        Some(Self {
            at,
            event: message.event.parse().ok()?,
            request: message
                .request
                .and_then(|octets| Some(RequestId::from_bytes(octets.try_into().ok()?))),
            user: message.user.map(Eui64),
            device: message.device.map(Eui64),
            srv: message.srv.parse().ok(),
            hop: message.hop,
            code: Some(message.code).filter(|code| !code.is_empty()),
            failure: message.failure.parse().ok(),
            rules: message.rules,
            detail: message.detail,
            confidence: message.confidence.parse().ok(),
            xml: message.xml,
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.at, self.event, self.hop)?;
        if let Some(request) = self.request {
            write!(f, ", request {request}")?;
        }
        if let Some(srv) = self.srv {
            write!(f, " ({srv})")?;
        }
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(failure) = self.failure {
            write!(f, " {failure}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if let Some(confidence) = self.confidence {
            write!(f, " [{confidence}]")?;
        }
        Ok(())
    }
}

/// Every record of a journal, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub fn all(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    select(store, |_| true)
}

/// The records of one request, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub fn of_request(store: &dyn Store, request: RequestId) -> Result<Vec<Record>, StoreError> {
    select(store, |record| record.request == Some(request))
}

/// The records about one device, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub fn of_device(store: &dyn Store, device: Eui64) -> Result<Vec<Record>, StoreError> {
    select(store, |record| record.device == Some(device))
}

fn select(store: &dyn Store, wanted: impl Fn(&Record) -> bool) -> Result<Vec<Record>, StoreError> {
    let mut found = Vec::new();
    store.history(&|_| false, &mut |octets| {
        let entry = Entry::read(octets);
        let Some(entry) = entry else { return };
        let at = SimInstant(entry.at_ms);
        let acknowledged = entry
            .acknowledged
            .map(|acknowledged| acknowledged.xml)
            .unwrap_or_default();
        let records = entry.audits.into_iter().filter_map(|audit| {
            let record = Record::from_message(at, audit)?;
            let keeps = matches!(record.event, Event::Acknowledged | Event::Held);
            Some(Record {
                xml: if keeps {
                    acknowledged.clone()
                } else {
                    record.xml.clone()
                },
                ..record
            })
        });
        found.extend(records.filter(&wanted));
    })?;
    Ok(found)
}
