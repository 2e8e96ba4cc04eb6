//! Reading: bytes to messages, strictly.
//!
//! One pass over the document scans, resolves namespaces, holds every element against the structure table and builds the
//! tree; the typed values are then taken from the tree.

use std::borrow::Cow;

use domain::{RequestId, Srv};

use crate::element::{Element, Namespace};
use crate::error::{ReadError, ReadErrorKind};
use crate::message::{Request, Response, Root, S1spAlert, SignedResponse};
use crate::scan::{Event, Ns, Scanner, Start};
use crate::signature::enveloped::Survey;
use crate::signature::{Proof, SignatureError};
use crate::table::Version;
use crate::typed;
use crate::validate::{Fault, Validator};

/// How large a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Elements inside one another.
    pub depth: usize,
    /// Attributes of one element, declarations included.
    pub attributes: usize,
    /// Octets of one text or attribute value.
    pub text: usize,
}

impl Limits {
    /// What every function of this crate applies: 16 MiB, so that a firmware image fits; depth 40; 32 attributes; 14 MiB of
    /// text.
    pub const DEFAULT: Self = Self {
        octets: 16 << 20,
        depth: 40,
        attributes: 32,
        text: 14 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Reads and checks a service request.
///
/// # Errors
/// The first fault, with its place.
pub fn read_request(xml: &[u8]) -> Result<Request, ReadError> {
    typed::request(Document::read(xml, Root::Request)?)
}

/// As [`read_request`], and gathers in the same pass what proves the signature.
///
/// # Errors
/// The first fault of the message, with its place. What is wrong with the signature, [`Proof::verify`] says.
pub fn read_request_and_proof(xml: &[u8]) -> Result<(Request, Proof), ReadError> {
    let (document, proof) = Document::read_and_proof(xml, Root::Request)?;
    Ok((typed::request(document)?, proof))
}

/// As [`read_response`], and gathers in the same pass what proves the outer signature.
///
/// # Errors
/// As [`read_request_and_proof`].
pub fn read_response_and_proof(xml: &[u8]) -> Result<(Response, Proof), ReadError> {
    let (document, proof) = Document::read_and_proof(xml, Root::Response)?;
    Ok((typed::response(document)?, proof))
}

/// Reads and checks a response or alert of the DCC. The S1SP's part is cut out as a document of its own.
///
/// # Errors
/// The first fault, with its place.
pub fn read_response(xml: &[u8]) -> Result<Response, ReadError> {
    typed::response(Document::read(xml, Root::Response)?)
}

/// Reads and checks what an S1SP signed.
///
/// # Errors
/// The first fault, with its place.
pub fn read_signed_response(xml: &[u8]) -> Result<SignedResponse, ReadError> {
    typed::signed_response(Document::read(xml, Root::SignedResponse)?.tree)
}

/// Reads and checks an alert of an S1SP.
///
/// # Errors
/// The first fault, with its place.
pub fn read_s1sp_alert(xml: &[u8]) -> Result<S1spAlert, ReadError> {
    typed::s1sp_alert(Document::read(xml, Root::S1spAlert)?.tree)
}

/// Checks any message against version 5.4 and says which it is.
///
/// # Errors
/// The first fault, with its place.
pub fn check(xml: &[u8]) -> Result<Root, ReadError> {
    check_against(xml, Version::V5_4, &Limits::DEFAULT)
}

/// Checks any message against a version of the schemas and limits of the caller's.
///
/// Stricter than the schemas in two things: no `xsi:type` or `xsi:nil`, and nothing in a signature but what DUIS needs.
///
/// # Errors
/// The first fault, with its place.
pub fn check_against(xml: &[u8], version: Version, limits: &Limits) -> Result<Root, ReadError> {
    check_and_span(xml, version, limits).map(|(root, _)| root)
}

/// As [`check_against`], and gives the octets of the root element.
pub(crate) fn check_and_span<'a>(
    xml: &'a [u8],
    version: Version,
    limits: &Limits,
) -> Result<(Root, &'a str), ReadError> {
    let document = Reader::new(xml, version, limits, None)?.run(None)?;
    Ok((document.root, document.span))
}

/// Whatever a request that was refused still tells about itself, so that the refusal can name it: its id and its service
/// reference variant, as far as they can be read. Nothing may be done on the strength of it.
#[must_use]
pub fn salvage_header(xml: &[u8]) -> (Option<RequestId>, Option<Srv>) {
    let (mut id, mut srv) = (None, None);
    let Ok(mut scanner) = Scanner::new(xml, Limits::DEFAULT) else {
        return (id, srv);
    };
    let mut inside: Vec<&str> = Vec::new();
    while let Ok(event) = scanner.next() {
        match event {
            Event::Start(start) if start.ns == Ns::Known(Namespace::Sr) => inside.push(start.local),
            Event::Start(_) => inside.push(""),
            Event::End { .. } => {
                // What follows the header may be megabytes, and tells nothing here.
                if inside.pop() == Some("Header") && inside.len() == 1 {
                    break;
                }
            }
            Event::Text(text, _) => match inside.as_slice() {
                [_, "Header", "RequestID"] => id = text.trim().parse().ok(),
                [_, "Header", "ServiceReferenceVariant"] => srv = text.trim().parse().ok(),
                _ => {}
            },
            Event::Complete => break,
        }
    }
    (id, srv)
}

/// Whether a document is well-formed XML within the limits, whatever it says: no document type, no entities of its own, not
/// too deep. The readers find the same faults, but stop at the first one of any kind.
///
/// # Errors
/// The first fault of the XML itself.
pub fn check_well_formed(xml: &[u8]) -> Result<(), ReadError> {
    let mut scanner = Scanner::new(xml, Limits::DEFAULT)?;
    while !matches!(scanner.next()?, Event::Complete) {}
    Ok(())
}

/// A document that passed the check.
pub(crate) struct Document<'a> {
    pub(crate) root: Root,
    /// The octets of the root element.
    span: &'a str,
    /// Without signatures.
    pub(crate) tree: Element,
    /// The part of an S1SP, cut out.
    pub(crate) signed_part: Option<Vec<u8>>,
}

impl<'a> Document<'a> {
    pub(crate) fn read(xml: &'a [u8], wanted: Root) -> Result<Self, ReadError> {
        let mut tree = Vec::with_capacity(16);
        Reader::new(xml, Version::V5_4, &Limits::DEFAULT, Some(wanted))?.run(Some(&mut tree))
    }

    fn read_and_proof(xml: &'a [u8], wanted: Root) -> Result<(Self, Proof), ReadError> {
        let mut tree = Vec::with_capacity(16);
        let mut reader = Reader::new(xml, Version::V5_4, &Limits::DEFAULT, Some(wanted))?;
        let mut gathered = Ok(Survey::new(xml.len(), true));
        reader.survey = Some(&mut gathered);
        let document = reader.run(Some(&mut tree))?;
        Ok((document, Proof::new(gathered)))
    }
}

impl Root {
    /// Namespace and name of the root element.
    pub(crate) fn name(self) -> (Namespace, &'static str) {
        match self {
            Self::Request => (Namespace::Sr, "Request"),
            Self::Response => (Namespace::Sr, "Response"),
            Self::SignedResponse => (Namespace::Sr, "SMETS1SignedResponse"),
            Self::S1spAlert => (Namespace::Sr, "S1SPAlert"),
            Self::GbcsResponse => (Namespace::Ra, "GBCSResponse"),
        }
    }

    const ALL: [Self; 5] = [
        Self::Request,
        Self::Response,
        Self::SignedResponse,
        Self::S1spAlert,
        Self::GbcsResponse,
    ];
}

struct Reader<'a, 's> {
    scanner: Scanner<'a>,
    /// Where what proves the signature is gathered, if anybody wants it.
    survey: Option<&'s mut Result<Survey, SignatureError>>,
    validator: Validator,
    wanted: Option<Root>,
    root: Root,
    /// Text of the innermost element, if it holds text.
    text: Cow<'a, str>,
    /// Depth of the signature being passed over in the tree.
    signature: Option<usize>,
    /// The S1SP's part being read: its depth and where it begins.
    part: Option<(usize, usize, &'a str)>,
    signed_part: Option<Vec<u8>>,
    /// Where the root element begins and ends.
    span: (usize, usize),
}

impl<'a> Reader<'a, '_> {
    fn new(xml: &'a [u8], version: Version, limits: &Limits, wanted: Option<Root>) -> Result<Self, ReadError> {
        Ok(Self {
            scanner: Scanner::new(xml, *limits)?,
            survey: None,
            validator: Validator::new(version.table(), false),
            wanted,
            root: Root::Request,
            text: Cow::Borrowed(""),
            signature: None,
            part: None,
            signed_part: None,
            span: (0, 0),
        })
    }

    fn run(mut self, mut tree: Option<&mut Vec<Element>>) -> Result<Document<'a>, ReadError> {
        let mut complete = None;
        loop {
            let event = self.scanner.next()?;
            if let Some(survey) = self.survey.as_deref_mut()
                && let Ok(gathering) = survey
                && let Err(error) = gathering.take(&event, &self.scanner)
            {
                *survey = Err(error);
            }
            match event {
                Event::Start(start) => {
                    let element = self.start(start)?;
                    if let Some(tree) = tree.as_deref_mut().filter(|_| self.signature.is_none()) {
                        tree.push(element);
                    }
                }
                Event::Text(text, at) => self.take_text(text, at)?,
                Event::End { at, after } => {
                    let text = self.end(at, after)?;
                    let skipped = self.signature.is_some();
                    if self.signature.is_some_and(|depth| self.scanner.depth() < depth) {
                        self.signature = None;
                    }
                    let Some(tree) = tree.as_deref_mut().filter(|_| !skipped) else {
                        continue;
                    };
                    let Some(mut element) = tree.pop() else { continue };
                    element.text = text.into_owned();
                    match tree.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => complete = Some(element),
                    }
                }
                Event::Complete => break,
            }
        }
        let tree = complete.unwrap_or_else(|| Element::new(self.root.name().0, self.root.name().1));
        Ok(Document {
            root: self.root,
            span: self.scanner.span(self.span.0, self.span.1),
            tree,
            signed_part: self.signed_part,
        })
    }

    /// Gives the element, without children, for the tree.
    fn start(&mut self, start: Start<'a>) -> Result<Element, ReadError> {
        let Ns::Known(namespace) = start.ns else {
            let found = format!("element {} of another namespace or none", start.local);
            // The path of a foreign element ends with itself; what could stand there is what its parent lacks.
            let error = self
                .scanner
                .error(start.at, ReadErrorKind::UnexpectedElement, "an element of DUIS", found);
            return Err(error);
        };
        let depth = self.scanner.depth();
        let name = match self.validator.start(namespace, start.local) {
            Ok(name) => name,
            Err(fault) => return Err(self.fault(start.at, fault)),
        };
        if depth == 1 {
            self.span.0 = start.at;
            self.check_root(&start, namespace, name)?;
        } else if namespace == Namespace::Sr && matches!(name, "SMETS1SignedResponse" | "S1SPAlert") {
            self.scanner.watch();
            self.part = Some((depth, start.at, start.prefix));
        } else if namespace == Namespace::Ds && name == "Signature" && self.signature.is_none() {
            self.signature = Some(depth);
        }
        self.text = Cow::Borrowed("");
        let mut element = Element::new(namespace, name);
        self.attributes(start.at, &mut element)?;
        if depth == 1 && self.wanted == Some(Root::Response) {
            self.follow_version(&start, namespace, &mut element)?;
        }
        Ok(element)
    }

    /// A response is held against the edition of its own version: what differs between them is not optional.
    fn follow_version(&mut self, start: &Start<'a>, namespace: Namespace, root: &mut Element) -> Result<(), ReadError> {
        let version = Version::of(root.attribute("schemaVersion").unwrap_or_default());
        if version == Version::V5_4 {
            return Ok(());
        }
        self.validator = Validator::new(version.table(), false);
        if let Err(fault) = self.validator.start(namespace, start.local) {
            return Err(self.fault(start.at, fault));
        }
        root.attributes.clear();
        self.attributes(start.at, root)
    }

    fn check_root(&mut self, start: &Start<'_>, namespace: Namespace, name: &str) -> Result<(), ReadError> {
        let root = Root::ALL.into_iter().find(|root| root.name() == (namespace, name));
        self.root = root.unwrap_or(self.root);
        match self.wanted {
            Some(wanted) if wanted != self.root => {
                let (expected_ns, expected) = wanted.name();
                let expected = format!("{}:{expected}", expected_ns.prefix());
                let found = format!("{}:{name}", namespace.prefix());
                Err(self.scanner.error(start.at, ReadErrorKind::Root, expected, found))
            }
            _ => Ok(()),
        }
    }

    fn attributes(&mut self, at: usize, element: &mut Element) -> Result<(), ReadError> {
        for attribute in &self.scanner.attributes {
            let hint =
                attribute.ns == Ns::Xsi && matches!(attribute.local, "schemaLocation" | "noNamespaceSchemaLocation");
            if attribute.ns != Ns::None && !hint {
                let found = format!("attribute {}:{}", attribute.prefix, attribute.local);
                let expected = "attributes without a namespace";
                return Err(self
                    .scanner
                    .error(attribute.at, ReadErrorKind::UnexpectedAttribute, expected, found));
            }
        }
        let own = self
            .scanner
            .attributes
            .iter()
            .filter(|attribute| attribute.ns == Ns::None);
        let present = own.map(|attribute| (attribute.local, &*attribute.value));
        let kept = self.signature.is_none();
        let accepted = |name: &'static str, value: &str| {
            if kept {
                element.attributes.push((name, value.to_owned()));
            }
        };
        self.validator.attributes(present, accepted).map_err(|(place, fault)| {
            let mut error = self.scanner.error(at, fault.kind, fault.expected, fault.found);
            error.path.push_str(&place.unwrap_or_default());
            error
        })
    }

    fn take_text(&mut self, text: Cow<'a, str>, at: usize) -> Result<(), ReadError> {
        if !self.validator.holds_text() {
            return self.validator.stray_text(&text).map_err(|fault| self.fault(at, fault));
        }
        if self.text.is_empty() {
            self.text = text;
        } else {
            // Comments, CDATA sections: several pieces are one text.
            self.text.to_mut().push_str(&text);
        }
        Ok(())
    }

    fn end(&mut self, at: usize, after: usize) -> Result<Cow<'a, str>, ReadError> {
        let path_depth = self.scanner.depth() + 1;
        self.span.1 = after;
        let text = std::mem::take(&mut self.text);
        let text = match self.validator.end(text) {
            Ok(text) => text,
            Err(fault) => {
                // The scanner has closed the element already, the machine has not.
                let mut error = self.fault(at, fault);
                error.path = self.validator.path();
                return Err(error);
            }
        };
        if let Some((depth, from, prefix)) = self.part
            && depth == path_depth
        {
            let declarations = self.scanner.watched();
            let name_ends = from + 1 + if prefix.is_empty() { 0 } else { prefix.len() + 1 };
            self.signed_part = Some(self.cut(from, name_ends, after, &declarations));
            self.part = None;
        }
        Ok(text)
    }

    /// The octets of an element, with more declarations after its name.
    fn cut(&self, from: usize, local: usize, to: usize, declarations: &str) -> Vec<u8> {
        let tag = self.scanner.span(local, to);
        let name = tag
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(tag.len());
        let mut out = Vec::with_capacity(to - from + declarations.len());
        out.extend_from_slice(self.scanner.span(from, local + name).as_bytes());
        out.extend_from_slice(declarations.as_bytes());
        out.extend_from_slice(self.scanner.span(local + name, to).as_bytes());
        out
    }

    /// A fault at an element that is already open in the scanner.
    fn fault(&self, at: usize, fault: Fault) -> ReadError {
        self.scanner.error(at, fault.kind, fault.expected, fault.found)
    }
}
