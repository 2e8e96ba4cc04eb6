//! The enveloped signature: one pass over the document gives the canonical content and, apart from it, the signature.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Certificates, SignError, SignatureError, Signer, SigningKey};
use crate::c14n::{Canonical, Mode, escape_text};
use crate::element::Namespace;
use crate::error::ReadErrorKind;
use crate::read::Limits;
use crate::scan::{Attribute, Event, Ns, Scanner, Start, is_space, shortened};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256_URI: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

pub(super) fn sign(xml: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignError> {
    let mut scanner = Scanner::new(xml, Limits::DEFAULT)?;
    let mut survey = Survey::new(xml.len(), false);
    survey.run(&mut scanner).map_err(|error| match error {
        SignatureError::Read(error) => SignError::Read(error),
        // In signing mode the old signature is passed over unread.
        _ => SignError::Key,
    })?;
    let content = digest(&SHA256, survey.content.octets());
    let signed_info = signed_info(&STANDARD.encode(content));
    let value = STANDARD.encode(key.sign(signed_info.as_bytes())?);
    let (from, to) = survey.signature.unwrap_or((survey.root_end, survey.root_end));
    let octets = |from: usize, to: usize| scanner.span(from, to).as_bytes();
    let mut out = Vec::with_capacity(xml.len() + 1400);
    out.extend_from_slice(octets(0, from));
    out.extend_from_slice(b"<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">");
    // Inside the signature the namespace is declared already; the canonical form repeats it on its own apex.
    out.extend_from_slice(b"<ds:SignedInfo>");
    out.extend_from_slice(signed_info.as_bytes().get(APEX.len()..).unwrap_or_default());
    out.extend_from_slice(b"<ds:SignatureValue>");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>");
    let mut issuer = String::new();
    escape_text(&mut issuer, key.certificate().issuer());
    out.extend_from_slice(issuer.as_bytes());
    out.extend_from_slice(b"</ds:X509IssuerName><ds:X509SerialNumber>");
    out.extend_from_slice(key.certificate().serial().as_bytes());
    out.extend_from_slice(b"</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data></ds:KeyInfo></ds:Signature>");
    out.extend_from_slice(octets(to, xml.len()));
    Ok(out)
}

pub(super) fn verify(xml: &[u8], certificates: &dyn Certificates) -> Result<Signer, SignatureError> {
    let mut scanner = Scanner::new(xml, Limits::DEFAULT)?;
    let mut survey = Survey::new(xml.len(), true);
    survey.run(&mut scanner)?;
    survey.prove(certificates)
}

/// Holds what a survey found against the certificates.
fn prove(survey: &Survey, certificates: &dyn Certificates) -> Result<Signer, SignatureError> {
    let Found {
        signed_info,
        digest: stated,
        value,
        issuer,
        serial,
        ..
    } = survey
        .found
        .as_ref()
        .filter(|_| survey.signature.is_some())
        .ok_or(SignatureError::Missing)?;
    let serial = serial.trim_matches(is_space).trim_start_matches('0');
    if serial.is_empty() || !serial.bytes().all(|b| b.is_ascii_digit()) {
        return Err(profile("X509SerialNumber", "a decimal number", serial));
    }
    let certificate = certificates
        .by_serial(serial)
        .ok_or_else(|| SignatureError::UnknownSigner {
            serial: shortened(serial),
        })?;
    if name_parts(issuer) != name_parts(certificate.issuer()) {
        let (known, found) = (certificate.issuer().to_owned(), shortened(issuer));
        return Err(SignatureError::Issuer {
            serial: serial.to_owned(),
            known,
            found,
        });
    }
    let stated = octets(stated).ok_or_else(|| profile("DigestValue", "base64", stated))?;
    let value = octets(value)
        .filter(|value| value.len() == 64)
        .ok_or_else(|| profile("SignatureValue", "64 octets in base64: r and s side by side", value))?;
    // The signature first: until it holds, the digest is anybody's word.
    if !certificate.proves(signed_info.octets(), &value) {
        return Err(SignatureError::Value {
            serial: serial.to_owned(),
        });
    }
    if digest(&SHA256, survey.content.octets()).as_ref() != stated {
        return Err(SignatureError::Digest);
    }
    Ok(Signer {
        serial: serial.to_owned(),
        issuer: certificate.issuer().to_owned(),
        eui: certificate.eui(),
        role: certificate.role(),
    })
}

const APEX: &str = "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">";

/// What is signed, as its canonical form has it.
fn signed_info(digest: &str) -> String {
    format!(
        "{APEX}<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{ECDSA_SHA256}\"></ds:SignatureMethod><ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{SHA256_URI}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue>\
         </ds:Reference></ds:SignedInfo>"
    )
}

/// One element of the profile: how deep below the signature, its name, its one attribute, whether it holds text.
struct Place {
    depth: usize,
    name: &'static str,
    attribute: Option<(&'static str, &'static str)>,
    text: bool,
}

const fn place(depth: usize, name: &'static str) -> Place {
    Place {
        depth,
        name,
        attribute: None,
        text: false,
    }
}

const fn method(depth: usize, name: &'static str, algorithm: &'static str) -> Place {
    Place {
        depth,
        name,
        attribute: Some(("Algorithm", algorithm)),
        text: false,
    }
}

const fn leaf(depth: usize, name: &'static str) -> Place {
    Place {
        depth,
        name,
        attribute: None,
        text: true,
    }
}

/// The signature itself and everything in it, in document order. Nothing else may stand there.
static PROFILE: [Place; 15] = [
    place(0, "Signature"),
    place(1, "SignedInfo"),
    method(2, "CanonicalizationMethod", EXCLUSIVE),
    method(2, "SignatureMethod", ECDSA_SHA256),
    Place {
        depth: 2,
        name: "Reference",
        attribute: Some(("URI", "")),
        text: false,
    },
    place(3, "Transforms"),
    method(4, "Transform", ENVELOPED),
    method(3, "DigestMethod", SHA256_URI),
    leaf(3, "DigestValue"),
    leaf(1, "SignatureValue"),
    place(1, "KeyInfo"),
    place(2, "X509Data"),
    place(3, "X509IssuerSerial"),
    leaf(4, "X509IssuerName"),
    leaf(4, "X509SerialNumber"),
];

/// The parts of a signature.
struct Found {
    signed_info: Canonical,
    /// How much of the profile has been met.
    met: usize,
    digest: String,
    value: String,
    issuer: String,
    serial: String,
}

/// What a document's signature covers and states, gathered from the events of one pass over the document.
pub(crate) struct Survey {
    content: Canonical,
    /// Whether a signature is held against the profile or only passed over.
    judge: bool,
    found: Option<Found>,
    /// Octets of the signature element.
    signature: Option<(usize, usize)>,
    /// Where the signature being passed began.
    inside: Option<usize>,
    /// Where the root's end tag stands.
    root_end: usize,
}

impl Survey {
    /// For a document of so many octets; `judge` is whether its signature is held against the profile.
    pub(crate) fn new(octets: usize, judge: bool) -> Self {
        Self {
            content: Canonical::new(Mode::Inclusive, octets + 256),
            judge,
            found: None,
            signature: None,
            inside: None,
            root_end: 0,
        }
    }

    fn run(&mut self, scanner: &mut Scanner<'_>) -> Result<(), SignatureError> {
        loop {
            let event = scanner.next()?;
            if matches!(event, Event::Complete) {
                return Ok(());
            }
            self.take(&event, scanner)?;
        }
    }

    /// Takes the next event of the document, as the scanner stands after it.
    pub(crate) fn take(&mut self, event: &Event<'_>, scanner: &Scanner<'_>) -> Result<(), SignatureError> {
        match event {
            Event::Start(start) => self.start(start, scanner),
            Event::Text(text, _) if self.inside.is_none() => {
                self.content.text(text);
                Ok(())
            }
            Event::Text(text, _) => match &mut self.found {
                Some(found) => found.text(text, scanner.depth()),
                None => Ok(()),
            },
            Event::End { at, after } => self.end(*at, *after, scanner),
            Event::Complete => Ok(()),
        }
    }

    /// Who made the signature, if it holds.
    pub(crate) fn prove(&self, certificates: &dyn Certificates) -> Result<Signer, SignatureError> {
        prove(self, certificates)
    }

    fn start(&mut self, start: &Start<'_>, scanner: &Scanner<'_>) -> Result<(), SignatureError> {
        if self.inside.is_some() {
            return match &mut self.found {
                Some(found) => found.start(start, scanner),
                None => Ok(()),
            };
        }
        if scanner.depth() != 2 {
            self.content.start(start, scanner);
            return Ok(());
        }
        let signature = start.is(Namespace::Ds, "Signature");
        if self.signature.is_some() {
            return Err(self.after_signature(start, scanner));
        }
        if !signature {
            self.content.start(start, scanner);
            return Ok(());
        }
        self.inside = Some(start.at);
        if self.judge {
            let mut found = Found::new();
            found.start(start, scanner)?;
            self.found = Some(found);
        }
        Ok(())
    }

    fn end(&mut self, at: usize, after: usize, scanner: &Scanner<'_>) -> Result<(), SignatureError> {
        let depth = scanner.depth();
        match self.inside {
            None => {
                self.content.end();
                if depth == 0 {
                    self.root_end = at;
                    let empty = at == after;
                    if empty && self.signature.is_none() {
                        let kind = ReadErrorKind::MissingElement;
                        return Err(scanner.error(at, kind, "a root with content", "an empty root").into());
                    }
                }
            }
            Some(from) => {
                if let Some(found) = &mut self.found {
                    found.end(depth)?;
                }
                if depth == 1 {
                    self.signature = Some((from, after));
                    self.inside = None;
                }
            }
        }
        Ok(())
    }

    /// An element follows the signature: for a verifier a forbidden shape, for a signer an unreadable document.
    fn after_signature(&self, start: &Start<'_>, scanner: &Scanner<'_>) -> SignatureError {
        if self.judge {
            let expected = "one signature, and that as the last child of the root";
            return profile("Signature", expected, &format!("{} after it", start.local));
        }
        let kind = ReadErrorKind::UnexpectedElement;
        scanner
            .error(start.at, kind, "nothing after the signature", start.local)
            .into()
    }
}

impl Found {
    fn new() -> Self {
        Self {
            signed_info: Canonical::new(Mode::Exclusive, 900),
            met: 0,
            digest: String::new(),
            value: String::new(),
            issuer: String::new(),
            serial: String::new(),
        }
    }

    fn start(&mut self, start: &Start<'_>, scanner: &Scanner<'_>) -> Result<(), SignatureError> {
        let Some(place) = PROFILE.get(self.met) else {
            return Err(profile("Signature", "nothing more", start.local));
        };
        // The signature itself stands at depth 2.
        if !start.is(Namespace::Ds, place.name) || scanner.depth() != place.depth + 2 {
            return Err(profile("Signature", place.name, start.local));
        }
        let expected = place.attribute.map_or(
            "no attributes",
            |(_, value)| if value.is_empty() { "URI=\"\"" } else { value },
        );
        let fits = match (scanner.attributes.as_slice(), place.attribute) {
            ([], None) => true,
            ([one], Some((name, value))) => one.ns == Ns::None && one.local == name && one.value == value,
            _ => false,
        };
        if !fits {
            return Err(profile(place.name, expected, &attributes_text(&scanner.attributes)));
        }
        self.met += 1;
        if self.in_signed_info() {
            self.signed_info.start(start, scanner);
        }
        Ok(())
    }

    fn text(&mut self, text: &str, depth: usize) -> Result<(), SignatureError> {
        if self.in_signed_info() && depth > 2 {
            self.signed_info.text(text);
        }
        let place = self
            .met
            .checked_sub(1)
            .and_then(|at| PROFILE.get(at))
            .filter(|p| p.text && depth == p.depth + 2);
        let target = match place.map(|place| place.name) {
            Some("DigestValue") => &mut self.digest,
            Some("SignatureValue") => &mut self.value,
            Some("X509IssuerName") => &mut self.issuer,
            Some("X509SerialNumber") => &mut self.serial,
            _ if text.chars().all(is_space) => return Ok(()),
            _ => return Err(profile("Signature", "no text here", text)),
        };
        target.push_str(text);
        Ok(())
    }

    /// `depth` is that of the element around the one that ended.
    fn end(&mut self, depth: usize) -> Result<(), SignatureError> {
        if self.in_signed_info() && depth >= 2 {
            self.signed_info.end();
        }
        match PROFILE.get(self.met) {
            // Ended too early: what comes next in the profile belongs inside the element that ended.
            Some(next) if next.depth + 1 > depth => Err(profile("Signature", next.name, "the end of the element")),
            _ => Ok(()),
        }
    }

    fn in_signed_info(&self) -> bool {
        // After DigestValue nothing of SignedInfo begins, but its ends are still to come.
        (2..=9).contains(&self.met)
    }
}

fn attributes_text(attributes: &[Attribute<'_>]) -> String {
    match attributes {
        [] => "none".to_owned(),
        _ => attributes
            .iter()
            .map(|a| format!("{}=\"{}\"", a.local, a.value))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn profile(place: &'static str, expected: &'static str, found: &str) -> SignatureError {
    SignatureError::Profile {
        place,
        expected,
        found: shortened(found),
    }
}

/// Base64 with white space anywhere, as signers break their lines.
fn octets(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !is_space(*c)).collect();
    STANDARD.decode(compact).ok()
}

/// The parts of a name without regard to order and spacing: the serial number has chosen the certificate already, and
/// signers write the issuer either way round.
fn name_parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name
        .split(',')
        .map(|part| part.trim_matches(is_space).to_ascii_lowercase())
        .collect();
    parts.sort_unstable();
    parts
}
