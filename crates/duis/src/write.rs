//! Writing: messages to bytes, every one held against the structure table on its way.
//!
//! Documents come without a signature; [`crate::signature::sign`] adds it. Signed parts are carried octet by octet.

use std::borrow::Cow;

use domain::Srv;

use crate::c14n::{escape_attribute, escape_text};
use crate::codes::DccAlertCode;
use crate::element::{Element, Namespace};
use crate::error::{ReadError, WriteError};
use crate::message::{DeviceAlert, Request, ResponseHeader, Root, S1spAlert, SignedBody, SignedHeader, Throttled};
use crate::read::{Limits, check_and_span};
use crate::scan::{Event, Scanner};
use crate::table::Version;
use crate::validate::{Fault, Validator};

/// A service request.
///
/// # Errors
/// When the body is not a service element or a value does not fit its type.
pub fn request(request: &Request) -> Result<Vec<u8>, WriteError> {
    let first = request
        .first_in_sequence
        .map(|first| Element::sr("FirstInSequence").with_text(first.to_string()));
    let preceding = request
        .preceding
        .map(|id| Element::sr("PrecedingServiceRequestID").with_text(id.to_string()));
    let header = Element::sr("Header")
        .with_leaf("RequestID", request.id.to_string())
        .with_optional(first)
        .with_optional(preceding)
        .with_leaf("CommandVariant", request.command_variant.to_string())
        .with_leaf("ServiceReference", request.reference.to_string())
        .with_leaf("ServiceReferenceVariant", request.srv.to_string());
    let mut writer = Writer::open(Root::Request, &request.schema_version, &[Namespace::Sr])?;
    writer.element(&header)?;
    writer.nested(&["Body"], |writer| writer.element(&request.body))?;
    writer.close()
}

/// An acknowledgement, a refusal or a DCC-only result: `ResponseMessage` with its references and at most one payload.
///
/// # Errors
/// When the payload is none of the schema.
pub fn response(header: &ResponseHeader, srv: Srv, payload: Option<&Element>) -> Result<Vec<u8>, WriteError> {
    let mut writer = open_response(header)?;
    writer.nested(&["Body", "ResponseMessage"], |writer| {
        writer.references(srv)?;
        payload.map_or(Ok(()), |payload| writer.element(payload))
    })?;
    writer.close()
}

/// A SMETS1 response or device alert around the S1SP's signed octets, which are carried unchanged but for an XML
/// declaration before them.
///
/// `srv` is none for a device alert; only that can be `throttled`.
///
/// # Errors
/// When `signed` is not a signed SMETS1 response that the table permits.
pub fn smets1_response(
    header: &ResponseHeader,
    srv: Option<Srv>,
    schedule_id: Option<u64>,
    throttled: Option<Throttled>,
    signed: &[u8],
) -> Result<Vec<u8>, WriteError> {
    let part = signed_part(signed, Root::SignedResponse)?;
    let mut writer = open_response(header)?;
    writer.nested(&["Body", "SMETS1ResponseMessage"], |writer| {
        srv.map_or(Ok(()), |srv| writer.references(srv))?;
        writer.schedule(schedule_id)?;
        writer.throttled(throttled)?;
        writer.raw(Root::SignedResponse, part)
    })?;
    writer.close()
}

/// What an S1SP signs: `SMETS1SignedResponse`, still without its signature, in schema version [`Request::SCHEMA_VERSION`].
///
/// # Errors
/// When payload or values do not fit.
pub fn smets1_signed_response(header: &SignedHeader, body: &SignedBody) -> Result<Vec<u8>, WriteError> {
    let namespaces = [Namespace::Sr, Namespace::Ra];
    let mut writer = Writer::open(Root::SignedResponse, Request::SCHEMA_VERSION, &namespaces)?;
    writer.nested(&["SMETS1Response"], |writer| {
        writer.element(&signed_header(header))?;
        writer.nested(&["Body"], |writer| match body {
            SignedBody::Response { payload, debug } => writer.nested(&["ResponseMessage"], |writer| {
                if let Some(payload) = payload {
                    writer.start(Namespace::Ra, "SMETSData", &[])?;
                    writer.element(payload)?;
                    writer.end("")?;
                }
                debug.as_ref().map_or(Ok(()), |debug| writer.element(debug))
            }),
            SignedBody::Alert(alert) => writer.element(&device_alert(alert)),
        })
    })?;
    writer.close()
}

/// An alert of an S1SP, still without its signature.
///
/// # Errors
/// When a value does not fit, for example a UTRN that is not 20 digits.
pub fn s1sp_alert(alert: &S1spAlert) -> Result<Vec<u8>, WriteError> {
    let leaf = |name: &'static str, text: Option<String>| text.map(|text| Element::sr(name).with_text(text));
    let leaves = [
        leaf("RequestID", alert.request_id.map(|id| id.to_string())),
        leaf("DeviceID", alert.device.map(|device| device.to_string())),
        leaf("S1SPAlertCode", Some(alert.code.clone())),
        leaf("AdditionalInformation", alert.information.clone()),
        leaf("UTRN", alert.utrn.clone()),
        leaf("DateTime", Some(alert.at.to_string())),
    ];
    let mut writer = Writer::open(Root::S1spAlert, &alert.schema_version, &[Namespace::Sr])?;
    for leaf in leaves.iter().flatten() {
        writer.element(leaf)?;
    }
    writer.close()
}

/// A DCC alert with one payload element, for example of [`crate::AlertPayload::element`].
///
/// # Errors
/// When the payload is none of the schema, or a value does not fit.
pub fn dcc_alert(
    header: &ResponseHeader,
    code: DccAlertCode,
    throttled: Option<Throttled>,
    payload: &Element,
) -> Result<Vec<u8>, WriteError> {
    let mut writer = open_response(header)?;
    writer.nested(&["Body", "DCCAlertMessage"], |writer| {
        writer.element(&Element::sr("DCCAlertCode").with_text(code.as_str()))?;
        writer.throttled(throttled)?;
        writer.nested(&["DCCAlert"], |writer| writer.element(payload))
    })?;
    writer.close()
}

/// The DCC alert N55 around an S1SP's signed alert, which is carried unchanged.
///
/// # Errors
/// When `signed` is not a signed S1SP alert that the table permits.
pub fn dcc_s1sp_alert(
    header: &ResponseHeader,
    schedule_id: Option<u64>,
    throttled: Option<Throttled>,
    signed: &[u8],
) -> Result<Vec<u8>, WriteError> {
    let part = signed_part(signed, Root::S1spAlert)?;
    let mut writer = open_response(header)?;
    writer.nested(&["Body", "DCCAlertMessage"], |writer| {
        writer.element(&Element::sr("DCCAlertCode").with_text(DccAlertCode::N55.as_str()))?;
        writer.throttled(throttled)?;
        writer.nested(&["DCCAlert", "S1SPAlertDSP"], |writer| {
            writer.raw(Root::S1spAlert, part)?;
            writer.schedule(schedule_id)
        })
    })?;
    writer.close()
}

fn open_response(header: &ResponseHeader) -> Result<Writer, WriteError> {
    let leaf = |name: &'static str, id: domain::RequestId| Element::sr(name).with_text(id.to_string());
    let element = Element::sr("Header")
        .with_optional(header.request_id.map(|id| leaf("RequestID", id)))
        .with_optional(header.response_id.map(|id| leaf("ResponseID", id)))
        .with_leaf("ResponseCode", header.code.as_str())
        .with_leaf("ResponseDateTime", header.at.to_string());
    let mut writer = Writer::open(Root::Response, &header.schema_version, &[Namespace::Sr, Namespace::Ra])?;
    writer.element(&element)?;
    Ok(writer)
}

fn signed_header(header: &SignedHeader) -> Element {
    let leaf = |name: &'static str, text: Option<String>| text.map(|text| Element::ra(name).with_text(text));
    let timestamp = header.at.map(|at| {
        let mut timestamp = Element::ra("Timestamp").with_text(at.to_string());
        if let Some(from_gsme) = header.from_gsme {
            timestamp = timestamp.with_attribute("isFromGSME", from_gsme.to_string());
        }
        if let Some(status) = &header.clock_status {
            timestamp = timestamp.with_attribute("ClockStatus", status.clone());
        }
        timestamp
    });
    Element::sr("Header")
        .with_optional(leaf("BusinessOriginatorID", Some(header.originator.to_string())))
        .with_optional(leaf("BusinessTargetID", Some(header.target.to_string())))
        .with_optional(leaf("OriginatorCounter", Some(header.originator_counter.to_string())))
        .with_optional(leaf(
            "SupplementaryRemotePartyID",
            header.supplementary_remote_party.map(|id| id.to_string()),
        ))
        .with_optional(leaf(
            "SupplementaryRemotePartyCounter",
            header
                .supplementary_remote_party_counter
                .map(|counter| counter.to_string()),
        ))
        .with_optional(leaf(
            "SupplementaryOriginatorCounter",
            header
                .supplementary_originator_counter
                .map(|counter| counter.to_string()),
        ))
        .with_optional(leaf("GBCSHexadecimalMessageCode", header.message_code.clone()))
        .with_optional(leaf("ServiceReference", header.reference.map(|srv| srv.to_string())))
        .with_optional(leaf("ServiceReferenceVariant", header.srv.map(|srv| srv.to_string())))
        .with_optional(timestamp)
}

fn device_alert(alert: &DeviceAlert) -> Element {
    let code = alert
        .code
        .map(|code| Element::ra("GBCSHexAlertCode").with_text(format!("{code:04X}")));
    let content = Element::ra("DeviceAlertContent")
        .with_optional(code)
        .with_optional(
            alert
                .description
                .clone()
                .map(|text| Element::ra("AlertDescription").with_text(text)),
        )
        .with_leaf("Timestamp", alert.at.to_string())
        .with_optional(alert.payload.clone());
    Element::sr("DeviceAlertMessage").with(content)
}

/// The root element's octets of a signed document that passes the check.
fn signed_part(signed: &[u8], wanted: Root) -> Result<&str, WriteError> {
    let (root, span) = check_and_span(signed, Version::V5_4, &Limits::DEFAULT).map_err(WriteError::Signed)?;
    if root == wanted {
        return Ok(span);
    }
    let mut scanner = Scanner::new(signed, Limits::DEFAULT).map_err(WriteError::Signed)?;
    let Event::Start(start) = scanner.next().map_err(WriteError::Signed)? else {
        // Nothing but comments and white space stands before a root, and neither is an event.
        return Ok("");
    };
    let (namespace, name) = wanted.name();
    let expected = format!("{}:{name}", namespace.prefix());
    let kind = crate::ReadErrorKind::Root;
    Err(WriteError::Signed(scanner.error(start.at, kind, expected, start.local)))
}

/// Puts elements one after another while the table watches.
struct Writer {
    out: String,
    root: Root,
    validator: Validator,
    open: Vec<(Namespace, &'static str)>,
    /// The start tag still lacks its `>`, so that an empty element can close itself.
    pending: bool,
}

impl Writer {
    fn open(root: Root, schema_version: &str, namespaces: &[Namespace]) -> Result<Self, WriteError> {
        // A response must be readable for whoever asked in that version; who writes a request answers for it himself.
        let version = match root {
            Root::Response => Version::of(schema_version),
            _ => Version::V5_4,
        };
        let mut writer = Self {
            out: String::with_capacity(4096),
            root,
            validator: Validator::new(version.table(), true),
            open: Vec::with_capacity(16),
            pending: false,
        };
        writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (namespace, name) = root.name();
        let attributes = [("schemaVersion", schema_version.to_owned())];
        writer.begin(namespace, name, &attributes, namespaces)?;
        Ok(writer)
    }

    fn start(
        &mut self,
        namespace: Namespace,
        name: &'static str,
        attributes: &[(&'static str, String)],
    ) -> Result<(), WriteError> {
        self.begin(namespace, name, attributes, &[])
    }

    fn begin(
        &mut self,
        namespace: Namespace,
        name: &'static str,
        attributes: &[(&'static str, String)],
        declared: &[Namespace],
    ) -> Result<(), WriteError> {
        self.validator
            .start(namespace, name)
            .map_err(|fault| self.fault(fault))?;
        let present = attributes.iter().map(|(name, value)| (*name, value.as_str()));
        self.validator
            .attributes(present, |_, _| {})
            .map_err(|(_, fault)| self.fault(fault))?;
        self.settle();
        self.out.push('<');
        self.name(namespace, name);
        for declared in declared {
            self.out.push_str(" xmlns:");
            self.out.push_str(declared.prefix());
            self.out.push_str("=\"");
            self.out.push_str(declared.uri());
            self.out.push('"');
        }
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape_attribute(&mut self.out, value);
            self.out.push('"');
        }
        self.pending = true;
        self.open.push((namespace, name));
        Ok(())
    }

    fn end(&mut self, text: &str) -> Result<(), WriteError> {
        if self.validator.holds_text() {
            if let Some(wrong) = text
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
            {
                let kind = crate::ReadErrorKind::Value;
                let fault = Fault::new(kind, "characters XML permits", format!("U+{:04X}", u32::from(wrong)));
                return Err(self.fault(fault));
            }
        } else if !text.is_empty() {
            self.validator.stray_text(text).map_err(|fault| self.fault(fault))?;
        }
        self.validator
            .end(Cow::Borrowed(text))
            .map_err(|fault| self.fault(fault))?;
        let Some((namespace, name)) = self.open.pop() else {
            return Ok(());
        };
        if self.pending && text.is_empty() {
            self.out.push_str("/>");
            self.pending = false;
            return Ok(());
        }
        self.settle();
        escape_text(&mut self.out, text);
        self.out.push_str("</");
        self.name(namespace, name);
        self.out.push('>');
        Ok(())
    }

    /// A whole tree.
    fn element(&mut self, element: &Element) -> Result<(), WriteError> {
        self.start(element.namespace, element.name, &element.attributes)?;
        for child in &element.children {
            self.element(child)?;
        }
        self.end(&element.text)
    }

    /// Elements of the request and response schema around whatever `content` writes.
    fn nested(
        &mut self,
        names: &[&'static str],
        content: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for name in names {
            self.start(Namespace::Sr, name, &[])?;
        }
        content(self)?;
        names.iter().try_for_each(|_| self.end(""))
    }

    fn references(&mut self, srv: Srv) -> Result<(), WriteError> {
        self.element(&Element::sr("ServiceReference").with_text(srv.reference().to_string()))?;
        self.element(&Element::sr("ServiceReferenceVariant").with_text(srv.to_string()))
    }

    fn throttled(&mut self, throttled: Option<Throttled>) -> Result<(), WriteError> {
        let Some(Throttled { sequence, count }) = throttled else {
            return Ok(());
        };
        self.element(&Element::sr("ThrottledAlertSequenceId").with_text(sequence.to_string()))?;
        self.element(&Element::sr("ThrottledAlertCount").with_text(count.to_string()))
    }

    fn schedule(&mut self, id: Option<u64>) -> Result<(), WriteError> {
        id.map_or(Ok(()), |id| {
            self.element(&Element::sr("DSPScheduleID").with_text(id.to_string()))
        })
    }

    /// An element that was checked as a document of its own, octet by octet.
    fn raw(&mut self, root: Root, octets: &str) -> Result<(), WriteError> {
        let (namespace, name) = root.name();
        self.validator
            .start(namespace, name)
            .map_err(|fault| self.fault(fault))?;
        self.validator.end_unchecked();
        self.settle();
        self.out.push_str(octets);
        Ok(())
    }

    fn close(mut self) -> Result<Vec<u8>, WriteError> {
        self.end("")?;
        Ok(self.out.into_bytes())
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.pending) {
            self.out.push('>');
        }
    }

    fn name(&mut self, namespace: Namespace, name: &str) {
        self.out.push_str(namespace.prefix());
        self.out.push(':');
        self.out.push_str(name);
    }

    fn fault(&self, fault: Fault) -> WriteError {
        let line = u32::try_from(self.out.lines().count()).unwrap_or(u32::MAX).max(1);
        let column = self.out.lines().last().map_or(1, |line| line.chars().count() + 1);
        WriteError::Structure {
            root: self.root.name().1,
            problem: ReadError {
                kind: fault.kind,
                path: self.validator.path(),
                line,
                column: u32::try_from(column).unwrap_or(u32::MAX),
                expected: fault.expected,
                found: fault.found,
            },
        }
    }
}
