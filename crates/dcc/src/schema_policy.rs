//! Versions of the schema: what a user may send, and what it can read.

use std::fmt;
use std::str::FromStr;

use domain::{Eui64, ParseError};
use duis::alert::HeldBack;
use duis::{DccAlert, Response, ResponseBody, Version};
use serde::{Deserialize, Deserializer};

/// Which version a user works with.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaPolicy {
    /// Its `schemaVersion`, for example `5.1`.
    pub version: String,
    /// What becomes of requests of another version.
    #[serde(default, deserialize_with = "from_text")]
    pub others: OtherVersions,
}

/// What becomes of requests of another version than the user's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OtherVersions {
    /// They are taken.
    #[default]
    Accept,
    /// They are taken, and the audit trail says so.
    Warn,
    /// They are refused.
    Refuse,
}

impl OtherVersions {
    const ALL: [Self; 3] = [Self::Accept, Self::Warn, Self::Refuse];

    /// The word configurations use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for OtherVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OtherVersions {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|other| other.as_str() == text);
        found.ok_or_else(|| ParseError {
            expected: "accept, warn or refuse",
            found: text.chars().take(80).collect(),
        })
    }
}

impl SchemaPolicy {
    /// What there is to say about a request of this version; none where it is the user's own.
    pub(crate) fn differs(&self, schema_version: &str) -> Option<String> {
        let differs = schema_version.trim() != self.version.trim();
        differs.then(|| format!("schemaVersion {schema_version}, the user works with {}", self.version))
    }

    /// What is held back of a message that the user's version of the schema does not have; none of one that it has.
    pub(crate) fn held_back(&self, xml: &[u8], request_version: &str) -> Option<HeldBack> {
        let version = Version::of(&self.version);
        if duis::check_against(xml, version, &duis::Limits::DEFAULT).is_ok() {
            return None;
        }
        // What no version has is our own fault, and is sent as it is to be seen.
        let response = duis::read_response(xml).ok()?;
        Some(of(&response, request_version))
    }
}

fn of(response: &Response, request_version: &str) -> HeldBack {
    let request = response.header.request_id;
    match (&response.body, request) {
        (ResponseBody::Message { srv, .. }, Some(request)) => HeldBack::Response {
            request,
            srv: *srv,
            request_version: request_version.to_owned(),
        },
        (ResponseBody::Smets1 { srv: Some(srv), .. }, Some(request)) => HeldBack::Response {
            request,
            srv: *srv,
            request_version: request_version.to_owned(),
        },
        (ResponseBody::DccAlert { code, alert, .. }, request) => HeldBack::Alert {
            code: code.to_string(),
            device: device(alert),
            request,
        },
        (_, request) => HeldBack::Alert {
            code: response.header.code.to_string(),
            device: None,
            request,
        },
    }
}

fn device(alert: &DccAlert) -> Option<Eui64> {
    match alert {
        DccAlert::S1sp { content, .. } => content.device,
        DccAlert::Payload(payload) => {
            let own = payload.child_text("DeviceID");
            let inner = || payload.children.first().and_then(|child| child.child_text("DeviceID"));
            own.or_else(inner)?.parse().ok()
        }
    }
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<OtherVersions, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}
